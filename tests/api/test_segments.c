/* SPDX-License-Identifier: MIT */
/* The files of a partition, as callers see them. */
#include "inspect_fixture.h"
#include "suite.h"

START_TEST(a_partition_without_records_has_no_file)
{
    inspect_topic("t", 1, NULL, NULL);
    ck_assert_int_eq(inspect_segment_count("t", 0), 0);
}
END_TEST

/* Every list tells one chain: offsets without a gap, one active file, prepared ones behind. */
static void check_chain(const char *topic, int64_t start_offset, int64_t end_offset)
{
    kfl_segments *segments;
    int64_t next = start_offset;
    int active = 0;
    OK(kfl_segments_list(store, topic, 0, &segments));
    for (int32_t i = 0; i < kfl_segments_count(segments); i++) {
        const kfl_segment *segment = kfl_segments_get(segments, i);
        struct stat status;
        ck_assert_int_eq(segment->path[0], '/');
        ck_assert_int_eq(stat(segment->path, &status), 0);
        ck_assert_int_eq(status.st_size, segment->size_bytes);
        ck_assert_int_le(segment->used_bytes, segment->size_bytes);
        if (segment->state == KFL_SEGMENT_PREPARED) {
            ck_assert_int_eq(segment->base_offset, -1);
            ck_assert_int_eq(segment->max_timestamp_ms, -1);
            ck_assert_int_eq(segment->used_bytes, 512);
            continue;
        }
        if (i > 0)
            ck_assert_int_eq(segment->base_offset, next);
        ck_assert_int_le(segment->base_offset, next);
        ck_assert_int_gt(segment->end_offset, segment->base_offset);
        ck_assert_int_eq(segment->max_timestamp_ms, NOW_MS + segment->end_offset - 1);
        next = segment->end_offset;
        active += segment->state == KFL_SEGMENT_ACTIVE;
    }
    ck_assert_int_eq(next, end_offset);
    ck_assert_int_eq(active, 1);
    kfl_segments_release(segments);
}

/* At each step of filling, rolling, syncing and sealing. */
START_TEST(at_any_time_the_files_are_one_chain)
{
    inspect_topic("t", 1, NULL, NULL);
    for (int i = 1; i <= 250; i++) {
        inspect_send("t", 0, 1, 1000);
        if (i % 40 == 0)
            OK(kfl_store_maintain(store, 1000, NULL));
        check_chain("t", 0, i);
    }
    OK(kfl_store_sync(store, -1));
    check_chain("t", 0, 250);
    OK(kfl_store_maintain(store, 1000, NULL));
    check_chain("t", 0, 250);
    inspect_reopen();
    check_chain("t", 0, 250);
    inspect_send("t", 0, 100, 1000);
    check_chain("t", 0, 350);
}
END_TEST

START_TEST(deleted_files_are_gone_from_the_list)
{
    int64_t start;
    inspect_topic("t", 1, NULL, NULL);
    inspect_send("t", 0, 250, 1000);
    int32_t before = inspect_segment_count("t", 0);
    kfl_segment first = inspect_segment("t", 0, 0);
    OK(kfl_topic_delete_records(store, "t", 0, first.end_offset + 1, &start));
    ck_assert_int_eq(inspect_segment_count("t", 0), before - 1);
    ck_assert_int_eq(inspect_segment("t", 0, 0).base_offset, first.end_offset);
    check_chain("t", start, 250);
}
END_TEST

/* More rolls than the slot remembers: what it has forgotten stands in the files. */
START_TEST(files_that_are_full_but_not_sealed_are_known)
{
    inspect_topic("t", 1, NULL, NULL);
    inspect_send("t", 0, 500, 1000);
    ck_assert_int_gt(inspect_segment_count("t", 0), 6);
    check_chain("t", 0, 500);
    for (int32_t i = 0; i < inspect_segment_count("t", 0); i++) {
        kfl_segment segment = inspect_segment("t", 0, i);
        kfl_walk *walk;
        const kfl_batch *batch;
        OK(kfl_walk_open(segment.path, &walk));
        int64_t place = 512;
        while (kfl_walk_next(walk, &batch) == 1 && batch->kind == KFL_BATCH_RECORDS)
            place = kfl_walk_place(walk);
        ck_assert_int_eq(segment.used_bytes, place);
        kfl_walk_close(walk);
    }
}
END_TEST

START_TEST(a_list_outlives_its_store)
{
    kfl_segments *segments;
    inspect_topic("t", 1, NULL, NULL);
    inspect_send("t", 0, 5, 10);
    OK(kfl_segments_list(store, "t", 0, &segments));
    OK(kfl_store_close(store));
    store = NULL;
    ck_assert_int_eq(kfl_segments_get(segments, 0)->end_offset, 5);
    ck_assert_int_eq(access(kfl_segments_get(segments, 0)->path, F_OK), 0);
    kfl_segments_release(segments);
}
END_TEST

START_TEST(nonsense_is_refused)
{
    kfl_segments *segments;
    inspect_topic("t", 1, NULL, NULL);
    ck_assert_int_eq(kfl_segments_list(NULL, "t", 0, &segments), KFL_E_INVALID);
    ck_assert_int_eq(kfl_segments_list(store, NULL, 0, &segments), KFL_E_INVALID);
    ck_assert_int_eq(kfl_segments_list(store, "t", 0, NULL), KFL_E_INVALID);
    ck_assert_int_eq(kfl_segments_list(store, "t", 1, &segments), KFL_E_UNKNOWN_TOPIC_OR_PARTITION);
    ck_assert_int_eq(kfl_segments_list(store, "t", -1, &segments),
                     KFL_E_UNKNOWN_TOPIC_OR_PARTITION);
    ck_assert_int_eq(kfl_segments_list(store, "u", 0, &segments), KFL_E_UNKNOWN_TOPIC_OR_PARTITION);
    ck_assert_int_eq(kfl_segments_count(NULL), 0);
    ck_assert_ptr_null(kfl_segments_get(NULL, 0));
    kfl_segments_release(NULL);
    OK(kfl_segments_list(store, "t", 0, &segments));
    ck_assert_ptr_null(kfl_segments_get(segments, 0));
    ck_assert_ptr_null(kfl_segments_get(segments, -1));
    kfl_segments_release(segments);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("segments");
    TCase *tests = tcase_create("segments");
    tcase_add_checked_fixture(tests, inspect_set_up, inspect_tear_down);
    tcase_add_test(tests, a_partition_without_records_has_no_file);
    tcase_add_test(tests, at_any_time_the_files_are_one_chain);
    tcase_add_test(tests, deleted_files_are_gone_from_the_list);
    tcase_add_test(tests, files_that_are_full_but_not_sealed_are_known);
    tcase_add_test(tests, a_list_outlives_its_store);
    tcase_add_test(tests, nonsense_is_refused);
    suite_add_tcase(suite, tests);
    return suite;
}
