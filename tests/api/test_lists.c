/* SPDX-License-Identifier: MIT */
/* Lists that callers own. */
#include <stdio.h>
#include <string.h>

#include "api/store.h"
#include "base/fault.h"
#include "suite.h"

START_TEST(names_are_copied_and_sorted)
{
    kfl_names *names;
    char name[16];
    ck_assert_int_eq(kfl__names_create(&names), 0);
    for (int i = 99; i >= 0; i--) {
        snprintf(name, sizeof name, "n%02d", i);
        ck_assert_int_eq(kfl__names_add(names, name), 0);
    }
    const char *before = kfl_names_get(names, 0);
    kfl__names_sort(names);
    ck_assert_int_eq(kfl_names_count(names), 100);
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "n%02d", i);
        ck_assert_str_eq(kfl_names_get(names, i), name);
    }
    ck_assert_str_eq(before, "n99"); /* where it was borrowed from */
    kfl_names_release(names);
}
END_TEST

START_TEST(a_bad_index_answers_null)
{
    kfl_names *names;
    kfl_offsets *offsets;
    ck_assert_int_eq(kfl__names_create(&names), 0);
    ck_assert_int_eq(kfl__offsets_create(&offsets), 0);
    kfl__names_sort(names);
    ck_assert_ptr_null(kfl_names_get(names, 0));
    ck_assert_ptr_null(kfl_offsets_get(offsets, 0));
    ck_assert_int_eq(kfl__names_add(names, "one"), 0);
    ck_assert_ptr_null(kfl_names_get(names, -1));
    ck_assert_ptr_null(kfl_names_get(names, 1));
    ck_assert_ptr_null(kfl_offsets_get(offsets, -1));
    kfl_names_release(names);
    kfl_offsets_release(offsets);
}
END_TEST

START_TEST(no_list_is_an_empty_list)
{
    ck_assert_int_eq(kfl_names_count(NULL), 0);
    ck_assert_ptr_null(kfl_names_get(NULL, 0));
    kfl_names_release(NULL);
    ck_assert_int_eq(kfl_offsets_count(NULL), 0);
    ck_assert_ptr_null(kfl_offsets_get(NULL, 0));
    kfl_offsets_release(NULL);
}
END_TEST

START_TEST(topic_and_metadata_are_copied)
{
    kfl_offsets *offsets;
    char topic[16] = "orders", metadata[4] = {'a', 0, 'b', 0};
    ck_assert_int_eq(kfl__offsets_create(&offsets), 0);
    for (int32_t i = 0; i < 50; i++) {
        kfl_partition_offset offset = {.topic = topic,
                                       .partition = i,
                                       .offset = 100 + i,
                                       .metadata = metadata,
                                       .metadata_size = 3};
        ck_assert_int_eq(kfl__offsets_add(offsets, &offset), 0);
    }
    memset(topic, 'x', sizeof topic);
    memset(metadata, 'x', sizeof metadata);
    ck_assert_int_eq(kfl_offsets_count(offsets), 50);
    for (int32_t i = 0; i < 50; i++) {
        const kfl_partition_offset *row = kfl_offsets_get(offsets, i);
        ck_assert_str_eq(row->topic, "orders");
        ck_assert_int_eq(row->partition, i);
        ck_assert_int_eq(row->offset, 100 + i);
        ck_assert_uint_eq(row->metadata_size, 3);
        ck_assert_mem_eq(row->metadata, "a\0b", 3);
    }
    kfl_offsets_release(offsets);
}
END_TEST

START_TEST(empty_metadata_is_not_missing_metadata)
{
    kfl_offsets *offsets;
    ck_assert_int_eq(kfl__offsets_create(&offsets), 0);
    ck_assert_int_eq(
        kfl__offsets_add(offsets, &(kfl_partition_offset){.topic = "t", .metadata = ""}), 0);
    ck_assert_int_eq(kfl__offsets_add(offsets, &(kfl_partition_offset){.topic = "t"}), 0);
    ck_assert_ptr_nonnull(kfl_offsets_get(offsets, 0)->metadata);
    ck_assert_uint_eq(kfl_offsets_get(offsets, 0)->metadata_size, 0);
    ck_assert_ptr_null(kfl_offsets_get(offsets, 1)->metadata);
    kfl_offsets_release(offsets);
}
END_TEST

#ifdef KFL_FAULT_POINTS
/* Each allocation in turn: the list stays as it was. */
START_TEST(without_memory_a_list_stays_as_it_was)
{
    for (int n = 1; n <= 4; n++) {
        char plan[32];
        kfl_names *names = NULL;
        kfl_offsets *offsets = NULL;
        snprintf(plan, sizeof plan, "memory.alloc:%d=ENOMEM", n);
        ck_assert_int_eq(kfl__fault_arm(plan), 0);
        int r = kfl__names_create(&names);
        if (r == 0)
            r = kfl__names_add(names, "one");
        kfl__fault_arm(NULL);
        ck_assert_int_eq(r, n <= 3 ? KFL_E_NOMEM : 0);
        ck_assert_int_eq(kfl_names_count(names), n <= 3 ? 0 : 1);
        kfl_names_release(names);

        ck_assert_int_eq(kfl__fault_arm(plan), 0);
        r = kfl__offsets_create(&offsets);
        if (r == 0)
            r = kfl__offsets_add(offsets, &(kfl_partition_offset){.topic = "t"});
        kfl__fault_arm(NULL);
        ck_assert_int_eq(r, n <= 3 ? KFL_E_NOMEM : 0);
        ck_assert_int_eq(kfl_offsets_count(offsets), n <= 3 ? 0 : 1);
        kfl_offsets_release(offsets);
    }
}
END_TEST
#endif

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("lists");
    TCase *tests = tcase_create("lists");
    tcase_add_test(tests, names_are_copied_and_sorted);
    tcase_add_test(tests, a_bad_index_answers_null);
    tcase_add_test(tests, no_list_is_an_empty_list);
    tcase_add_test(tests, topic_and_metadata_are_copied);
    tcase_add_test(tests, empty_metadata_is_not_missing_metadata);
#ifdef KFL_FAULT_POINTS
    tcase_add_test(tests, without_memory_a_list_stays_as_it_was);
#endif
    suite_add_tcase(suite, tests);
    return suite;
}
