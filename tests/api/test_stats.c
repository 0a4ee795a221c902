/* SPDX-License-Identifier: MIT */
/* Statistics: names and numbers, of all processes. */
#include "child.h"
#include "inspect_fixture.h"
#include "suite.h"

/* The value of a name; -1 when it is not told. Told twice is a failure. */
static int64_t stat_of(const char *name, const char *topic, int32_t partition)
{
    kfl_stats *stats;
    const char *told_name, *told_topic;
    int32_t told_partition;
    int64_t value, found = -1;
    int r;
    OK(kfl_stats_open(store, &stats));
    while ((r = kfl_stats_next(stats, &told_name, &told_topic, &told_partition, &value)) == 1) {
        if (strcmp(told_name, name) != 0 || strcmp(told_topic, topic) != 0 ||
            told_partition != partition)
            continue;
        ck_assert_int_eq(found, -1);
        found = value;
    }
    ck_assert_int_eq(r, 0);
    kfl_stats_close(stats);
    return found;
}

START_TEST(an_empty_store_counts_itself)
{
    ck_assert_int_eq(stat_of("topics", "", -1), 0);
    ck_assert_int_eq(stat_of("partitions", "", -1), 0);
    ck_assert_int_eq(stat_of("processes", "", -1), 1);
    ck_assert_int_ge(stat_of("catalog_transactions_total", "", -1), 1);
    ck_assert_int_ge(stat_of("catalog_changes_total", "", -1), 1);
    ck_assert_int_eq(stat_of("log_end_offset", "t", 0), -1);
}
END_TEST

START_TEST(what_was_appended_is_counted)
{
    inspect_topic("t", 3, NULL, NULL);
    inspect_topic("u", 1, NULL, NULL);
    inspect_send("t", 1, 100, 1000);
    ck_assert_int_eq(stat_of("topics", "", -1), 2);
    ck_assert_int_eq(stat_of("partitions", "", -1), 4);
    ck_assert_int_eq(stat_of("log_start_offset", "t", 1), 0);
    ck_assert_int_eq(stat_of("log_end_offset", "t", 1), 100);
    ck_assert_int_eq(stat_of("durable_offset", "t", 1), 0);
    ck_assert_int_eq(stat_of("appended_records_total", "t", 1), 100);
    ck_assert_int_eq(stat_of("appended_batches_total", "t", 1), 100);
    ck_assert_int_gt(stat_of("appended_bytes_total", "t", 1), 100 * 1000);
    ck_assert_int_eq(stat_of("fsyncs_total", "t", 1), 0);
    ck_assert_int_eq(stat_of("log_segments", "t", 1), stat_of("segment_rolls_total", "t", 1));
    ck_assert_int_ge(stat_of("log_segments", "t", 1), 2);
    ck_assert_int_eq(stat_of("repairs_total", "t", 1), 0);
    ck_assert_int_eq(stat_of("log_end_offset", "t", 0), 0);
    ck_assert_int_eq(stat_of("log_segments", "t", 0), 0);
    ck_assert_int_eq(stat_of("log_size_bytes", "t", 0), 0);
    ck_assert_int_eq(stat_of("log_end_offset", "t", 3), -1);
}
END_TEST

START_TEST(a_sync_is_counted_and_timed)
{
    inspect_topic("t", 1, NULL, NULL);
    inspect_send("t", 0, 10, 100);
    OK(kfl_store_sync(store, -1));
    ck_assert_int_eq(stat_of("durable_offset", "t", 0), 10);
    ck_assert_int_eq(stat_of("fsyncs_total", "t", 0), 1);
    ck_assert_int_gt(stat_of("fsync_nanoseconds_total", "t", 0), 0);
}
END_TEST

START_TEST(the_size_is_that_of_the_files)
{
    kfl_segments *segments;
    int64_t size = 0;
    inspect_topic("t", 1, NULL, NULL);
    inspect_send("t", 0, 200, 1000);
    OK(kfl_segments_list(store, "t", 0, &segments));
    for (int32_t i = 0; i < kfl_segments_count(segments); i++)
        if (kfl_segments_get(segments, i)->state != KFL_SEGMENT_PREPARED)
            size += kfl_segments_get(segments, i)->used_bytes;
    kfl_segments_release(segments);
    ck_assert_int_eq(stat_of("log_size_bytes", "t", 0), size);
    ck_assert_int_eq(size, stat_of("appended_bytes_total", "t", 0) +
                               512 * stat_of("log_segments", "t", 0));
}
END_TEST

START_TEST(deleting_moves_the_start_and_frees_bytes)
{
    int64_t start;
    inspect_topic("t", 1, NULL, NULL);
    inspect_send("t", 0, 200, 1000);
    int64_t before = stat_of("log_size_bytes", "t", 0);
    OK(kfl_topic_delete_records(store, "t", 0, 150, &start));
    ck_assert_int_eq(stat_of("log_start_offset", "t", 0), 150);
    ck_assert_int_eq(stat_of("log_end_offset", "t", 0), 200);
    ck_assert_int_lt(stat_of("log_size_bytes", "t", 0), before - 100 * 1000);
    ck_assert_int_eq(stat_of("appended_records_total", "t", 0), 200);
}
END_TEST

static int append_elsewhere(void *context)
{
    kfl_store *mine;
    kfl_producer *producer;
    int64_t offset;
    int *told = context;
    if (kfl_store_open(temp_dir_path(), NULL, &mine) < 0 ||
        kfl_producer_open(mine, NULL, &producer) < 0)
        return 1;
    for (int i = 0; i < 7; i++)
        if (kfl_producer_send(producer, "t", 0, "k", 1, "v", 1, NULL, 0, KFL_TIMESTAMP_NOW,
                              &offset) < 0)
            return 2;
    if (write(told[1], "!", 1) != 1)
        return 3;
    for (;;)
        pause();
}

START_TEST(other_processes_are_counted_and_so_is_what_they_append)
{
    int told[2];
    char byte;
    inspect_topic("t", 1, NULL, NULL);
    inspect_send("t", 0, 3, 10);
    OK(kfl_store_close(store));
    ck_assert_int_eq(pipe(told), 0);
    pid_t pid = child_start(append_elsewhere, told);
    ck_assert_int_eq(read(told[0], &byte, 1), 1);
    store = inspect_open(NULL, NULL);
    ck_assert_int_eq(stat_of("processes", "", -1), 2);
    ck_assert_int_eq(stat_of("log_end_offset", "t", 0), 10);
    kill(pid, SIGKILL);
    ck_assert_int_eq(child_end(pid), -SIGKILL);
    ck_assert_int_eq(stat_of("processes", "", -1), 1);
    ck_assert_int_eq(stat_of("log_end_offset", "t", 0), 10);
}
END_TEST

/* After a clean end, and without opening a partition. */
START_TEST(what_nobody_has_used_yet_is_told_from_the_catalog)
{
    inspect_topic("t", 1, NULL, NULL);
    inspect_send("t", 0, 100, 1000);
    int64_t size = stat_of("log_size_bytes", "t", 0);
    OK(kfl_store_close(store));
    ck_assert_int_eq(unlink(temp_dir_file("state")), 0); /* as after a reboot */
    store = inspect_open("read.only", "true");
    ck_assert_int_eq(stat_of("log_end_offset", "t", 0), 100);
    ck_assert_int_eq(stat_of("durable_offset", "t", 0), 100);
    ck_assert_int_eq(stat_of("appended_records_total", "t", 0), 0);
    ck_assert_int_ge(stat_of("log_size_bytes", "t", 0), size);
    OK(kfl_store_close(store));
    store = inspect_open(NULL, NULL);
    ck_assert_int_eq(stat_of("log_end_offset", "t", 0), 100);
    inspect_send("t", 0, 1, 10);
    ck_assert_int_eq(stat_of("log_end_offset", "t", 0), 101);
    ck_assert_int_eq(stat_of("appended_records_total", "t", 0), 1);
}
END_TEST

START_TEST(the_moment_stands_still)
{
    kfl_stats *stats;
    const char *name, *topic;
    int32_t partition;
    int64_t value, end = -1;
    inspect_topic("t", 1, NULL, NULL);
    inspect_send("t", 0, 3, 10);
    OK(kfl_stats_open(store, &stats));
    inspect_send("t", 0, 3, 10);
    OK(kfl_topic_delete(store, "t"));
    while (kfl_stats_next(stats, &name, &topic, &partition, &value) == 1)
        if (strcmp(name, "log_end_offset") == 0 && strcmp(topic, "t") == 0)
            end = value;
    ck_assert_int_eq(end, 3);
    ck_assert_int_eq(kfl_stats_next(stats, &name, &topic, &partition, &value), 0);
    kfl_stats_close(stats);
    ck_assert_int_eq(stat_of("topics", "", -1), 0);
    ck_assert_int_eq(stat_of("log_end_offset", "t", 0), -1);
}
END_TEST

START_TEST(nonsense_is_refused)
{
    kfl_stats *stats;
    const char *name;
    int32_t partition;
    int64_t value;
    ck_assert_int_eq(kfl_stats_open(NULL, &stats), KFL_E_INVALID);
    ck_assert_int_eq(kfl_stats_open(store, NULL), KFL_E_INVALID);
    ck_assert_int_eq(kfl_stats_next(NULL, &name, &name, &partition, &value), KFL_E_INVALID);
    OK(kfl_stats_open(store, &stats));
    ck_assert_int_eq(kfl_stats_next(stats, NULL, &name, &partition, &value), KFL_E_INVALID);
    ck_assert_int_eq(kfl_stats_next(stats, &name, &name, &partition, NULL), KFL_E_INVALID);
    kfl_stats_close(stats);
    kfl_stats_close(NULL);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("stats");
    TCase *tests = tcase_create("stats");
    tcase_add_checked_fixture(tests, inspect_set_up, inspect_tear_down);
    tcase_add_test(tests, an_empty_store_counts_itself);
    tcase_add_test(tests, what_was_appended_is_counted);
    tcase_add_test(tests, a_sync_is_counted_and_timed);
    tcase_add_test(tests, the_size_is_that_of_the_files);
    tcase_add_test(tests, deleting_moves_the_start_and_frees_bytes);
    tcase_add_test(tests, other_processes_are_counted_and_so_is_what_they_append);
    tcase_add_test(tests, what_nobody_has_used_yet_is_told_from_the_catalog);
    tcase_add_test(tests, the_moment_stands_still);
    tcase_add_test(tests, nonsense_is_refused);
    suite_add_tcase(suite, tests);
    return suite;
}
