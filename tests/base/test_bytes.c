/* SPDX-License-Identifier: MIT */
#include "base/bytes.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "suite.h"

START_TEST(what_is_stored_at_any_place_is_loaded_from_there)
{
    unsigned char bytes[32] = {0};
    for (size_t place = 0; place < 8; place++) {
        kfl__store16(bytes + place, 0xa1b2);
        ck_assert_uint_eq(kfl__load16(bytes + place), 0xa1b2);
        kfl__store32(bytes + place, 0xa1b2c3d4);
        ck_assert_uint_eq(kfl__load32(bytes + place), 0xa1b2c3d4);
        kfl__store64(bytes + place, 0xa1b2c3d4e5f60718);
        ck_assert_uint_eq(kfl__load64(bytes + place), 0xa1b2c3d4e5f60718);
    }
}
END_TEST

START_TEST(the_lowest_byte_comes_first)
{
    unsigned char bytes[8];
    kfl__store32(bytes, 0x04030201);
    ck_assert_uint_eq(bytes[0], 1);
    ck_assert_uint_eq(bytes[3], 4);
}
END_TEST

/* One byte more, or one that is read beyond them, and the comparison or a sanitizer tells. */
START_TEST(a_short_copy_copies_what_it_was_told_to)
{
    for (size_t size = 0; size <= 300; size++) {
        unsigned char *from = malloc(size + 1), to[320], expected[320];
        for (size_t i = 0; i < size; i++)
            from[i] = (unsigned char)(i * 7 + size);
        memset(to, 0xee, sizeof to);
        memset(expected, 0xee, sizeof expected);
        memcpy(expected + 5, from, size);
        kfl__copy_few(to + 5, from, size);
        ck_assert_mem_eq(to, expected, sizeof to);
        free(from);
    }
}
END_TEST

START_TEST(rounding_goes_up_and_leaves_multiples_alone)
{
    ck_assert_uint_eq(kfl__align_up(0, 8), 0);
    ck_assert_uint_eq(kfl__align_up(1, 8), 8);
    ck_assert_uint_eq(kfl__align_up(8, 8), 8);
    ck_assert_uint_eq(kfl__align_up(4097, 4096), 8192);
}
END_TEST

START_TEST(overflow_is_noticed)
{
    uint64_t result;
    ck_assert(!kfl__add_overflows(UINT64_MAX - 1, 1, &result));
    ck_assert_uint_eq(result, UINT64_MAX);
    ck_assert(kfl__add_overflows(UINT64_MAX, 1, &result));
    ck_assert(!kfl__multiply_overflows(UINT64_C(1) << 32, UINT32_MAX, &result));
    ck_assert_uint_eq(result, UINT64_C(0xffffffff00000000));
    ck_assert(kfl__multiply_overflows(UINT64_C(1) << 32, UINT64_C(1) << 32, &result));
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("bytes");
    TCase *bytes = tcase_create("bytes");
    tcase_add_test(bytes, what_is_stored_at_any_place_is_loaded_from_there);
    tcase_add_test(bytes, the_lowest_byte_comes_first);
    tcase_add_test(bytes, a_short_copy_copies_what_it_was_told_to);
    tcase_add_test(bytes, rounding_goes_up_and_leaves_multiples_alone);
    tcase_add_test(bytes, overflow_is_noticed);
    suite_add_tcase(suite, bytes);
    return suite;
}
