/* SPDX-License-Identifier: MIT */
/*
 * The shared library, as a program outside links it: every function that the header declares is
 * there, and none of them falls over handles and pointers that are missing. abi_functions.h is made
 * from the header.
 */
#include <stdint.h>
#include <string.h>

#include "kafkalite.h"
#include "suite.h"

/*
 * Twelve words of nothing: more than any function takes, and by the calling convention too many do
 * no harm.
 */
typedef uint64_t any_function(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                              uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);

static const struct {
    const char *name;
    any_function *function;
} abi_functions[] = {
#define X(name) {#name, (any_function *)(void (*)(void))name},
#include "abi_functions.h"
#undef X
};
#define ABI_COUNT ((int)(sizeof abi_functions / sizeof abi_functions[0]))

START_TEST(every_function_of_the_header_is_there)
{
    ck_assert_int_gt(ABI_COUNT, 100);
    for (int i = 0; i < ABI_COUNT; i++)
        ck_assert_msg(abi_functions[i].function != NULL, "%s", abi_functions[i].name);
}
END_TEST

/* All but those that answer 0 or a string without any argument. */
START_TEST(a_call_without_arguments_does_no_harm)
{
    uint64_t answer = abi_functions[_i].function(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    (void)answer;
    ck_assert_ptr_nonnull(kfl_last_error());
}
END_TEST

START_TEST(header_and_library_are_of_one_version)
{
    ck_assert_int_eq(kfl_version(), KFL_VERSION_HEX);
    ck_assert_str_eq(kfl_version_string(), KFL_VERSION_STRING);
}
END_TEST

/* Bindings rely on these: they may grow at their end, and nothing moves. */
START_TEST(structs_are_laid_out_as_bindings_know_them)
{
    ck_assert_uint_eq(offsetof(kfl_record, offset), 16);
    ck_assert_uint_eq(offsetof(kfl_record, key), 32);
    ck_assert_uint_eq(offsetof(kfl_record, value_size), 56);
    ck_assert_uint_eq(offsetof(kfl_record, header_count), 80);
    ck_assert_uint_eq(sizeof(kfl_record), 88);
    ck_assert_uint_eq(sizeof(kfl_header), 24);
    ck_assert_uint_eq(sizeof(kfl_packed_row), 40);
    ck_assert_uint_eq(sizeof(kfl_partition_offset), 40);
    ck_assert_uint_eq(sizeof(kfl_segment), 64);
    ck_assert_uint_eq(sizeof(kfl_batch), 88);
    ck_assert_uint_eq(sizeof(kfl_finding), 56);
    ck_assert_uint_eq(sizeof(kfl_history_entry), 48);
    ck_assert_uint_eq(kfl_records_stride(NULL), sizeof(kfl_record));
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("abi");
    TCase *tests = tcase_create("abi");
    tcase_add_test(tests, every_function_of_the_header_is_there);
    tcase_add_loop_test(tests, a_call_without_arguments_does_no_harm, 0, ABI_COUNT);
    tcase_add_test(tests, header_and_library_are_of_one_version);
    tcase_add_test(tests, structs_are_laid_out_as_bindings_know_them);
    suite_add_tcase(suite, tests);
    return suite;
}
