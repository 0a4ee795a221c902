/* SPDX-License-Identifier: MIT */
#include "base/memory.h"

#include <check.h>
#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "base/fault.h"
#include "suite.h"

/* The sanitizers' heaps end the program where the plain one answers NULL, unless they are told. */
const char *__asan_default_options(void);
const char *__tsan_default_options(void);
__attribute__((visibility("default"))) const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}
__attribute__((visibility("default"))) const char *__tsan_default_options(void)
{
    return "allocator_may_return_null=1";
}

START_TEST(new_memory_is_zero)
{
    for (int turn = 0; turn < 20; turn++) {
        unsigned char *block = kfl__alloc(1000);
        unsigned char *array = kfl__alloc_array(100, 10);
        ck_assert_ptr_nonnull(block);
        ck_assert_ptr_nonnull(array);
        for (int i = 0; i < 1000; i++)
            ck_assert_int_eq(block[i] | array[i], 0);
        memset(block, 1, 1000);
        memset(array, 1, 1000);
        kfl__free(block);
        kfl__free(array);
    }
}
END_TEST

START_TEST(memory_on_lines_of_its_own_shares_none)
{
    static const size_t sizes[] = {1,   16, KFL_CACHE_LINE - 1, KFL_CACHE_LINE, KFL_CACHE_LINE + 1,
                                   1000};
    unsigned char *blocks[sizeof sizes / sizeof sizes[0]];
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        blocks[i] = kfl__alloc_lines(sizes[i]);
        ck_assert_ptr_nonnull(blocks[i]);
        ck_assert_uint_eq((uintptr_t)blocks[i] % KFL_CACHE_LINE, 0);
        size_t room = (sizes[i] + KFL_CACHE_LINE - 1) / KFL_CACHE_LINE * KFL_CACHE_LINE;
        for (size_t at = 0; at < room; at++)
            ck_assert_int_eq(blocks[i][at], 0);
        memset(blocks[i], 1, room); /* the rest of the last line is the block's too */
    }
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        kfl__free(blocks[i]);
}
END_TEST

START_TEST(an_array_whose_size_overflows_is_not_given)
{
    volatile size_t huge = SIZE_MAX / 4;
    ck_assert_ptr_null(kfl__alloc_array(huge, 8));
}
END_TEST

START_TEST(growing_keeps_what_was_there)
{
    char *block = kfl__alloc(4);
    memcpy(block, "abc", 4);
    block = kfl__realloc(block, 100000);
    ck_assert_str_eq(block, "abc");
    kfl__free(block);
    block = kfl__realloc(NULL, 4);
    ck_assert_ptr_nonnull(block);
    kfl__free(block);
}
END_TEST

START_TEST(a_copied_string_is_a_copy)
{
    char original[] = "orders";
    char *copy = kfl__copy_string(original);
    original[0] = 'X';
    ck_assert_str_eq(copy, "orders");
    kfl__free(copy);
    kfl__free(NULL);
}
END_TEST

#ifdef KFL_FAULT_POINTS
START_TEST(the_nth_allocation_of_any_kind_can_be_made_to_fail)
{
    char *kept = kfl__copy_string("kept");
    ck_assert_int_eq(kfl__fault_arm("memory.alloc:2=ENOMEM"), 0);
    void *first = kfl__alloc(1);
    ck_assert_ptr_nonnull(first);
    ck_assert_ptr_null(kfl__alloc(1));
    ck_assert_int_eq(kfl__fault_arm("memory.alloc:*=ENOMEM"), 0);
    ck_assert_ptr_null(kfl__alloc_lines(1));
    ck_assert_ptr_null(kfl__alloc_array(1, 1));
    ck_assert_ptr_null(kfl__copy_string("x"));
    ck_assert_ptr_null(kfl__realloc(kept, 100));
    ck_assert_str_eq(kept, "kept");
    kfl__fault_arm(NULL);
    kfl__free(first);
    kfl__free(kept);
}
END_TEST
#endif

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("memory");
    TCase *heap = tcase_create("heap");
    tcase_add_test(heap, new_memory_is_zero);
    tcase_add_test(heap, memory_on_lines_of_its_own_shares_none);
    tcase_add_test(heap, an_array_whose_size_overflows_is_not_given);
    tcase_add_test(heap, growing_keeps_what_was_there);
    tcase_add_test(heap, a_copied_string_is_a_copy);
#ifdef KFL_FAULT_POINTS
    tcase_add_test(heap, the_nth_allocation_of_any_kind_can_be_made_to_fail);
#endif
    suite_add_tcase(suite, heap);
    return suite;
}
