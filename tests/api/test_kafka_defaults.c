/* SPDX-License-Identifier: MIT */
/*
 * Retention and compaction with Kafka's defaults: what a program that was written for Kafka, and sets nothing, goes by.
 * The same rules with other values are in test_retention, test_trim, test_roll and test_compact.
 */
#include "store_fixture.h"

#define DAY INT64_C(86400000)
#define WEEK (7 * DAY)
/* Kafka's, where ours are others: kafka:H5 kafka:H7. */
#define KAFKA "retention.ms", "604800000", "segment.bytes", "1073741824"

static kfl_producer *producer;

static void set_up(void)
{
    disk_set_up();
    OK(kfl_store_set_clock(store, NOW_MS));
    producer = open_producer(NULL);
}

static void tear_down(void)
{
    kfl_producer_close(producer);
    disk_tear_down();
}

/* Records of 6,000 bytes: ten fill the first file. */
static void send_large(int count, const char *key, int64_t time_ms)
{
    char value[6000];
    memset(value, '.', sizeof value);
    value[sizeof value - 1] = '\0';
    for (int i = 0; i < count; i++)
        OK(try_send(producer, "t", 0, key, value, time_ms, NULL));
}

static kfl_progress maintain_at(int64_t now_ms)
{
    kfl_progress progress = {0};
    OK(kfl_store_set_clock(store, now_ms));
    while (OK(kfl_store_maintain(store, -1, &progress)) == 1)
        ;
    return progress;
}

static kfl_progress compact(int flags)
{
    kfl_progress progress;
    ck_assert_int_eq(OK(kfl_topic_compact(store, "t", flags, -1, &progress)), 0);
    return progress;
}

#define ALL (KFL_COMPACT_FORCE | KFL_COMPACT_ROLL)

/* "a=1@0 b-@1": what a new reader gets, - for a tombstone. */
static const char *left(void)
{
    static char text[4000];
    size_t size = 0;
    kfl_consumer *consumer = open_consumer(NULL);
    kfl_records *records = NULL;
    int n;
    assign_at(consumer, "t", 0, KFL_OFFSET_BEGINNING);
    text[0] = '\0';
    while ((n = OK(kfl_consumer_poll(consumer, 0, 0, &records))) > 0) {
        for (int32_t i = 0; i < n; i++) {
            const kfl_record *record = kfl_records_get(records, i);
            size += (size_t)snprintf(
                text + size, sizeof text - size, "%s%.*s%s%.*s@%" PRId64, size > 0 ? " " : "",
                (int)record->key_size, (const char *)record->key, record->value == NULL ? "-" : "=",
                (int)record->value_size, record->value == NULL ? "" : (const char *)record->value,
                record->offset);
        }
        kfl_records_release(records);
    }
    OK(kfl_consumer_close(consumer));
    return text;
}

/* kafka:H5 kafka:I6 kafka:I8: what is not said is as Kafka has it, but for the seven days and a file of a gigabyte. */
START_TEST(what_is_not_said)
{
    static const char *const defaults[][2] = {
        {"retention.ms", "-1"},
        {"retention.bytes", "-1"},
        {"segment.ms", "604800000"},
        {"min.compaction.lag.ms", "0"},
        {"max.compaction.lag.ms", "9223372036854775807"},
        {"delete.retention.ms", "86400000"},
        {"min.cleanable.dirty.ratio", "0.5"},
        {"cleanup.policy", "delete"},
    };
    kfl_config *config = NULL;
    make_topic("t", 1, NULL);
    OK(kfl_topic_config(store, "t", &config));
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++)
        ck_assert_str_eq(kfl_config_get(config, defaults[i][0]), defaults[i][1]);
    kfl_config_destroy(config);
}
END_TEST

/* kafka:H1 kafka:H6: strictly older than seven days; the start never falls, also over a restart. */
START_TEST(seven_days_strictly)
{
    make_topic("t", 1, WITH(KAFKA));
    send_large(10, NULL, NOW_MS);
    send_large(5, NULL, NOW_MS + DAY);
    ck_assert_int_eq(maintain_at(NOW_MS + WEEK).deleted_segments, 0);
    ck_assert_int_eq(maintain_at(NOW_MS + WEEK + 1).deleted_segments, 1);
    ck_assert_int_eq(start_of("t", 0), 10);
    disk_reopen();
    ck_assert_int_eq(start_of("t", 0), 10);
    producer = (kfl_producer_close(producer), open_producer(NULL));
}
END_TEST

/* kafka:H2 */
START_TEST(a_time_in_the_future_keeps_all_behind_it)
{
    make_topic("t", 1, WITH(KAFKA));
    send_large(10, NULL, NOW_MS);
    send_large(1, NULL, NOW_MS + 100 * DAY);
    send_large(40, NULL, NOW_MS);
    maintain_at(NOW_MS + 8 * DAY);
    ck_assert_int_eq(start_of("t", 0), 10);
}
END_TEST

/* kafka:H3: the file that takes appends goes, too. */
START_TEST(an_idle_topic_empties_after_a_week)
{
    make_topic("t", 1, WITH(KAFKA));
    send_large(5, NULL, NOW_MS);
    maintain_at(NOW_MS + WEEK);
    ck_assert_int_eq(start_of("t", 0), 0);
    maintain_at(NOW_MS + WEEK + 1);
    ck_assert_int_eq(start_of("t", 0), 5);
    ck_assert_int_eq(end_of("t", 0), 5);
}
END_TEST

/* kafka:H4 kafka:H5: there is no limit of bytes. */
START_TEST(size_alone_deletes_nothing)
{
    make_topic("t", 1, WITH(KAFKA));
    send_large(100, NULL, NOW_MS);
    ck_assert_int_eq(maintain_at(NOW_MS).deleted_segments, 0);
    ck_assert_int_eq(start_of("t", 0), 0);
}
END_TEST

/* kafka:H7 kafka:H8: a week, also of a compacted topic, whose largest lag is endless. */
START_TEST(a_file_is_closed_after_a_week)
{
    make_topic("t", 1, _i == 0 ? WITH(KAFKA) : WITH(KAFKA, "cleanup.policy", "compact"));
    send_large(1, "a", NOW_MS);
    send_large(1, "a", NOW_MS + WEEK);
    ck_assert_int_eq(segment_count_of("t", 0), 1);
    send_large(1, "a", NOW_MS + WEEK + 1);
    ck_assert_int_eq(segment_count_of("t", 0), 2);
}
END_TEST

/* kafka:H9: it is a permission: between two looks of the helper, five minutes, what may go is still there. */
START_TEST(what_may_go_is_there_until_somebody_looks)
{
    kfl_config *config = NULL;
    OK(kfl_config_create(&config));
    ck_assert_str_eq(kfl_config_get(config, "log.retention.check.interval.ms"), "300000");
    kfl_config_destroy(config);
    make_topic("t", 1, WITH(KAFKA));
    send_large(20, NULL, NOW_MS);
    OK(kfl_store_set_clock(store, NOW_MS + 8 * DAY));
    ck_assert_int_eq(start_of("t", 0), 0);
    ck_assert_int_eq(maintain_at(NOW_MS + 8 * DAY).deleted_segments, 2);
    ck_assert_int_eq(start_of("t", 0), 20);
}
END_TEST

/* kafka:H10 */
START_TEST(a_compacted_topic_knows_no_week)
{
    make_topic("t", 1, WITH(KAFKA, "cleanup.policy", "compact"));
    send_large(20, "a", NOW_MS);
    ck_assert_int_eq(maintain_at(NOW_MS + 100 * DAY).deleted_segments, 0);
    ck_assert_int_eq(start_of("t", 0), 0);
    OK(kfl_topic_set(store, "t", "cleanup.policy", "compact,delete"));
    maintain_at(NOW_MS + 100 * DAY);
    ck_assert_str_eq(left(), "");
}
END_TEST

/* kafka:H11 kafka:H12: in the middle of a file, which stays; who asks for what was before it is refused. */
START_TEST(records_are_deleted_up_to_an_offset)
{
    int64_t start = -1;
    kfl_records *records = NULL;
    kfl_consumer *consumer = open_consumer(WITH("auto.offset.reset", "none"));
    make_topic("t", 1, WITH(KAFKA));
    send_large(5, NULL, NOW_MS);
    OK(kfl_topic_delete_records(store, "t", 0, 3, &start));
    ck_assert_int_eq(start, 3);
    ck_assert_int_eq(segment_count_of("t", 0), 1);
    assign_at(consumer, "t", 0, 2);
    FAILS(KFL_E_OFFSET_OUT_OF_RANGE, kfl_consumer_poll(consumer, 0, 0, &records));
    assign_at(consumer, "t", 0, 3);
    ck_assert_int_eq(poll_one(consumer, &records)->offset, 3);
    kfl_records_release(records);
    OK(kfl_consumer_close(consumer));
}
END_TEST

/* kafka:I1 kafka:I2 kafka:I3 kafka:I7 kafka:I11 kafka:I16 */
START_TEST(one_record_of_each_key_stays_where_it_was)
{
    int64_t offset, time;
    make_topic("t", 1, WITH(KAFKA, "cleanup.policy", "compact"));
    FAILS(KFL_E_INVALID_RECORD, try_send(producer, "t", 0, NULL, "1", NOW_MS, NULL));
    send_at(producer, "t", 0, "", "1", NOW_MS);
    send_at(producer, "t", 0, "b", "1", NOW_MS + 7);
    send_at(producer, "t", 0, "", "", NOW_MS + 3);
    send_at(producer, "t", 0, "c", "1", NOW_MS);
    send_at(producer, "t", 0, "c", NULL, NOW_MS + 1);
    compact(ALL);
    ck_assert_str_eq(left(), "b=1@1 =@2 c-@4");
    ck_assert_int_eq(OK(kfl_topic_max_timestamp(store, "t", 0, &offset, &time)), 1);
    ck_assert_int_eq(offset, 1);
    ck_assert_int_eq(time, NOW_MS + 7);
    disk_reopen();
    producer = (kfl_producer_close(producer), open_producer(NULL));
    ck_assert_str_eq(left(), "b=1@1 =@2 c-@4");
    ck_assert_int_eq(send_at(producer, "t", 0, "d", "1", NOW_MS), 5);
}
END_TEST

/* kafka:I4 kafka:I5: without a lag all is compacted but the file that takes appends, however young it is. */
START_TEST(what_is_of_this_moment_is_compacted)
{
    make_topic("t", 1, WITH(KAFKA, "cleanup.policy", "compact"));
    send_large(25, "a", NOW_MS);
    kfl_progress progress = compact(KFL_COMPACT_FORCE);
    ck_assert_int_eq(progress.removed_records, 9); /* of ten in the one file that is full */
    ck_assert_int_eq(progress.kept_records, 1);
}
END_TEST

/* kafka:I6: half of the bytes. */
START_TEST(half_of_it_has_to_be_dirty)
{
    char key[16];
    make_topic("t", 1, WITH(KAFKA, "cleanup.policy", "compact"));
    for (int i = 0; i < 70; i++) { /* each file is larger than the one before: two are full */
        snprintf(key, sizeof key, "%d", i);
        send_large(1, key, NOW_MS);
    }
    ck_assert_int_gt(maintain_at(NOW_MS).compacted_segments, 0);
    ck_assert_int_eq(maintain_at(NOW_MS).compacted_segments, 0);
    send_large(5, "0", NOW_MS);
    ck_assert_int_eq(maintain_at(NOW_MS).compacted_segments, 0); /* nothing of it is full */
    send_large(300, "0", NOW_MS);
    ck_assert_int_gt(maintain_at(NOW_MS).compacted_segments, 0);
}
END_TEST

/* kafka:I8 kafka:I9 kafka:I10: a day from the pass that met it; a reader at the end has seen all. */
START_TEST(a_tombstone_stays_for_a_day)
{
    kfl_consumer *consumer = open_consumer(NULL);
    kfl_records *records = NULL;
    make_topic("t", 1, WITH(KAFKA, "cleanup.policy", "compact"));
    assign_at(consumer, "t", 0, 0);
    for (int i = 0; i < 4; i++) {
        send_at(producer, "t", 0, "a", i < 3 ? "1" : NULL, NOW_MS);
        ck_assert_int_eq(poll_one(consumer, &records)->offset, i);
        kfl_records_release(records);
        compact(ALL);
    }
    OK(kfl_consumer_close(consumer));
    OK(kfl_store_set_clock(store, NOW_MS + DAY - 1));
    compact(ALL);
    ck_assert_str_eq(left(), "a-@3");
    OK(kfl_store_set_clock(store, NOW_MS + DAY));
    compact(ALL);
    ck_assert_str_eq(left(), "");
}
END_TEST

/* kafka:I15: appends and reads go on between two steps of a compaction. */
START_TEST(it_is_in_nobodys_way)
{
    kfl_progress progress;
    char key[16];
    int rounds = 0;
    make_topic("t", 1, WITH(KAFKA, "cleanup.policy", "compact"));
    for (int i = 0; i < 500; i++) {
        snprintf(key, sizeof key, "%d", i % 3);
        send_large(1, key, NOW_MS);
    }
    while (OK(kfl_topic_compact(store, "t", KFL_COMPACT_FORCE, 0, &progress)) == 1) {
        kfl_consumer *consumer = open_consumer(NULL);
        kfl_records *records = NULL;
        ck_assert_int_eq(send_at(producer, "t", 0, "new", "1", NOW_MS), 500 + rounds++);
        assign_at(consumer, "t", 0, 499 + rounds);
        ck_assert_int_eq(poll_one(consumer, &records)->offset, 499 + rounds);
        kfl_records_release(records);
        OK(kfl_consumer_close(consumer));
    }
    ck_assert_int_gt(rounds, 3);
    ck_assert_int_gt(progress.removed_records, 100);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("kafka_defaults");
    TCase *tests = tcase_create("defaults");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, what_is_not_said);
    tcase_add_test(tests, seven_days_strictly);
    tcase_add_test(tests, a_time_in_the_future_keeps_all_behind_it);
    tcase_add_test(tests, an_idle_topic_empties_after_a_week);
    tcase_add_test(tests, size_alone_deletes_nothing);
    tcase_add_loop_test(tests, a_file_is_closed_after_a_week, 0, 2);
    tcase_add_test(tests, what_may_go_is_there_until_somebody_looks);
    tcase_add_test(tests, a_compacted_topic_knows_no_week);
    tcase_add_test(tests, records_are_deleted_up_to_an_offset);
    tcase_add_test(tests, one_record_of_each_key_stays_where_it_was);
    tcase_add_test(tests, what_is_of_this_moment_is_compacted);
    tcase_add_test(tests, half_of_it_has_to_be_dirty);
    tcase_add_test(tests, a_tombstone_stays_for_a_day);
    tcase_add_test(tests, it_is_in_nobodys_way);
    suite_add_tcase(suite, tests);
    return suite;
}
