/* SPDX-License-Identifier: MIT */
/* Records that wait for company: when they go, and how their errors are told. */
#include "store_fixture.h"

/* kafka:B14 */
START_TEST(a_lingering_record_has_no_offset_yet)
{
    int64_t offset = 77;
    kfl_producer *producer = open_producer(WITH("linger.ms", "3600000"));
    make_topic("t", 2, NULL);
    ck_assert_int_eq(try_send(producer, "t", 1, "k", "v0", 1, &offset), 1);
    ck_assert_int_eq(offset, KFL_OFFSET_PENDING);
    ck_assert_int_eq(end_of("t", 1), 0);
    OK(kfl_producer_flush(producer, -1));
    ck_assert_int_eq(end_of("t", 1), 1);
    OK(kfl_producer_close(producer));
}
END_TEST

/* kafka:B11 kafka:B13 kafka:B15 */
START_TEST(a_flush_appends_one_batch_a_partition)
{
    char value[16];
    kfl_header header = {"h", "x", 1};
    kfl_producer *producer = open_producer(WITH("linger.ms", "3600000", "batch.size", "1000000"));
    make_topic("t", 2, NULL);
    for (int i = 0; i < 100; i++) {
        snprintf(value, sizeof value, "v%d", i / 2);
        /* Times out of order within the batch. */
        OK(kfl_producer_send(producer, "t", i % 2, "k", 1, value, strlen(value), &header, 1,
                             1000 - i, NULL));
    }
    OK(kfl_producer_flush(producer, -1));
    ck_assert_int_eq(stat_of("appended_batches_total", "t", 0), 1);
    ck_assert_int_eq(stat_of("appended_batches_total", "t", 1), 1);
    kfl_consumer *consumer = open_consumer(NULL);
    kfl_records *records;
    assign_at(consumer, "t", 0, 0);
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 0, 0, &records)), 50);
    for (int32_t i = 0; i < 50; i++) {
        const kfl_record *record = kfl_records_get(records, i);
        ck_assert_int_eq(record->offset, i);
        ck_assert_int_eq(record->timestamp_ms, 1000 - i * 2);
        ck_assert_int_eq(record->timestamp_type, 0);
        ck_assert_int_eq(record->header_count, 1);
        check_bytes(record->key, record->key_size, "k");
        check_value(record);
    }
    kfl_records_release(records);
    OK(kfl_consumer_close(consumer));
    OK(kfl_producer_flush(producer, -1)); /* nothing left to say */
    OK(kfl_producer_close(producer));
}
END_TEST

START_TEST(a_full_batch_goes_by_itself)
{
    char value[100];
    kfl_producer *producer = open_producer(WITH("linger.ms", "3600000", "batch.size", "1000"));
    make_topic("t", 1, NULL);
    memset(value, 'x', sizeof value);
    for (int i = 0; i < 30; i++)
        OK(kfl_producer_send(producer, "t", 0, NULL, 0, value, sizeof value, NULL, 0, 1, NULL));
    /* (1000 - 48) / 124 = 7 records a batch */
    ck_assert_int_eq(end_of("t", 0), 28);
    ck_assert_int_eq(stat_of("appended_batches_total", "t", 0), 4);
    OK(kfl_producer_close(producer)); /* flushes */
    ck_assert_int_eq(end_of("t", 0), 30);
}
END_TEST

START_TEST(a_record_larger_than_batch_size_goes_at_once)
{
    kfl_producer *producer = open_producer(WITH("linger.ms", "3600000", "batch.size", "100"));
    char value[500] = {0};
    make_topic("t", 1, NULL);
    OK(kfl_producer_send(producer, "t", 0, NULL, 0, value, sizeof value, NULL, 0, 1, NULL));
    ck_assert_int_eq(end_of("t", 0), 1);
    OK(kfl_producer_close(producer));
}
END_TEST

/* The helper appends it, without any other call. */
START_TEST(a_batch_goes_when_its_time_has_come)
{
    kfl_producer *producer = open_producer(WITH("linger.ms", "5"));
    kfl_consumer *consumer = open_consumer(NULL);
    kfl_records *records;
    make_topic("t", 1, NULL);
    assign_at(consumer, "t", 0, 0);
    for (int64_t i = 0; i < 5; i++) {
        OK(try_send(producer, "t", 0, "k", "v", 1, NULL));
        ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 10000, 0, &records)), 1);
        ck_assert_int_eq(kfl_records_get(records, 0)->offset, i);
        kfl_records_release(records);
    }
    OK(kfl_consumer_close(consumer));
    OK(kfl_producer_close(producer));
}
END_TEST

START_TEST(without_a_helper_maintain_appends_what_is_due)
{
    kfl_store *other = store;
    store = open_store(":memory:", WITH("background.threads", "0"));
    kfl_producer *producer = open_producer(WITH("linger.ms", "1"));
    make_topic("t", 1, NULL);
    OK(try_send(producer, "t", 0, "k", "v", 1, NULL));
    while (end_of("t", 0) == 0)
        OK(kfl_store_maintain(store, 100, NULL));
    ck_assert_int_eq(end_of("t", 0), 1);
    OK(kfl_producer_close(producer));
    OK(kfl_store_close(store));
    store = other;
}
END_TEST

/* What can be seen at the send is told by the send. */
START_TEST(errors_of_the_record_are_told_at_once)
{
    kfl_producer *producer = open_producer(WITH("linger.ms", "3600000"));
    make_topic("t", 1, WITH("max.message.bytes", "200", "cleanup.policy", "compact"));
    char value[200] = {0};
    FAILS(KFL_E_MESSAGE_TOO_LARGE,
          kfl_producer_send(producer, "t", 0, "k", 1, value, sizeof value, NULL, 0, 1, NULL));
    FAILS(KFL_E_INVALID_RECORD, try_send(producer, "t", 0, NULL, "v", 1, NULL));
    FAILS(KFL_E_INVALID_TIMESTAMP, try_send(producer, "t", 0, "k", "v", -5, NULL));
    OK(kfl_producer_flush(producer, -1));
    ck_assert_int_eq(end_of("t", 0), 0);
    OK(kfl_producer_close(producer));
}
END_TEST

/* kafka:B13 */
START_TEST(errors_met_later_are_told_by_the_flush_once)
{
    kfl_producer *producer = open_producer(WITH("linger.ms", "3600000"));
    make_topic("t", 1, NULL);
    make_topic("u", 1, NULL);
    for (int i = 0; i < 3; i++)
        OK(try_send(producer, "t", 0, "k", "v", 1, NULL));
    OK(try_send(producer, "u", 0, "k", "v", 1, NULL));
    OK(kfl_topic_delete(store, "t"));
    FAILS(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, kfl_producer_flush(producer, -1));
    ck_assert_ptr_nonnull(strstr(kfl_last_error(), "3 "));
    ck_assert_ptr_nonnull(strstr(kfl_last_error(), "t"));
    ck_assert_str_eq(kfl_last_error_topic(), "t");
    ck_assert_int_eq(kfl_last_error_partition(), 0);
    ck_assert_int_eq(end_of("u", 0), 1); /* the others went their way */
    OK(kfl_producer_flush(producer, -1));
    OK(kfl_producer_close(producer));
}
END_TEST

START_TEST(the_close_tells_what_its_flush_met)
{
    kfl_producer *producer = open_producer(WITH("linger.ms", "3600000"));
    make_topic("t", 1, NULL);
    OK(try_send(producer, "t", 0, "k", "v", 1, NULL));
    OK(kfl_topic_delete(store, "t"));
    FAILS(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, kfl_producer_close(producer));
}
END_TEST

/* kafka:B13 kafka:L2 */
START_TEST(a_flush_with_acks_all_is_durable)
{
    int64_t durable;
    kfl_producer *producer =
        open_producer(WITH("linger.ms", "3600000", "acks", "all", "batch.size", "200"));
    make_topic("t", 3, WITH("flush.ms", "3600000"));
    for (int i = 0; i < 50; i++)
        OK(try_send(producer, "t", i % 3, "k", "v", 1, NULL));
    OK(kfl_producer_flush(producer, -1));
    for (int32_t i = 0; i < 3; i++) {
        OK(kfl_topic_durable_offset(store, "t", i, &durable));
        ck_assert_int_eq(durable, end_of("t", i));
    }
    ck_assert_int_eq(end_of("t", 0) + end_of("t", 1) + end_of("t", 2), 50);
    OK(kfl_producer_close(producer));
}
END_TEST

/* What was flushed is done with: its topic may go, and its place be another's. */
START_TEST(a_flush_does_not_ask_for_what_is_gone)
{
    kfl_producer *producer = open_producer(WITH("linger.ms", "3600000", "acks", "all"));
    make_topic("t", 1, NULL);
    for (int i = 0; i < 20; i++)
        OK(try_send(producer, "t", 0, "k", "v", 1, NULL));
    OK(kfl_producer_flush(producer, -1));
    OK(kfl_topic_delete(store, "t"));
    make_topic("u", 1, NULL);
    ck_assert_int_eq(end_of("u", 0), 0);
    OK(kfl_producer_flush(producer, -1));
    OK(try_send(producer, "u", 0, "k", "v", 1, NULL));
    OK(kfl_producer_flush(producer, -1));
    ck_assert_int_eq(end_of("u", 0), 1);
    OK(kfl_producer_close(producer));
}
END_TEST

START_TEST(batches_of_a_deleted_topic_do_not_reach_the_new_one)
{
    kfl_producer *producer = open_producer(WITH("linger.ms", "3600000"));
    make_topic("t", 1, NULL);
    OK(try_send(producer, "t", 0, "k", "old", 1, NULL));
    OK(kfl_topic_delete(store, "t"));
    make_topic("t", 1, NULL);
    OK(try_send(producer, "t", 0, "k", "new", 1, NULL));
    FAILS(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, kfl_producer_flush(producer, -1));
    ck_assert_int_eq(end_of("t", 0), 1);
    OK(kfl_producer_close(producer));
}
END_TEST

START_TEST(partitions_added_meanwhile_linger_too)
{
    kfl_producer *producer = open_producer(WITH("linger.ms", "3600000"));
    make_topic("t", 1, NULL);
    OK(try_send(producer, "t", 0, "k", "v", 1, NULL));
    OK(kfl_topic_add_partitions(store, "t", 5));
    OK(try_send(producer, "t", 4, "k", "v", 1, NULL));
    OK(kfl_producer_flush(producer, -1));
    ck_assert_int_eq(end_of("t", 0), 1);
    ck_assert_int_eq(end_of("t", 4), 1);
    OK(kfl_producer_close(producer));
}
END_TEST

/* kafka:G2: the time of the append, not of the send. */
START_TEST(append_time_is_that_of_the_append)
{
    int64_t offset, time;
    kfl_producer *producer = open_producer(WITH("linger.ms", "3600000"));
    make_topic("t", 1, WITH("message.timestamp.type", "LogAppendTime"));
    OK(kfl_store_set_clock(store, 1000));
    OK(try_send(producer, "t", 0, "k", "v", 5, NULL));
    OK(kfl_store_set_clock(store, 2000));
    OK(kfl_producer_flush(producer, -1));
    ck_assert_int_eq(OK(kfl_topic_max_timestamp(store, "t", 0, &offset, &time)), 1);
    ck_assert_int_eq(time, 2000);
    OK(kfl_producer_close(producer));
}
END_TEST

/* Its limit may have come down since the records were taken in. */
START_TEST(an_alteration_meanwhile_loses_nothing_that_fits)
{
    kfl_producer *producer = open_producer(WITH("linger.ms", "3600000"));
    make_topic("t", 1, NULL);
    for (int i = 0; i < 10; i++)
        OK(try_send(producer, "t", 0, "k", "0123456789", 1, NULL));
    if (strstr(kfl_build_info(), "lz4") != NULL)
        OK(kfl_topic_set(store, "t", "compression.type", "lz4"));
    OK(kfl_topic_set(store, "t", "message.timestamp.type", "LogAppendTime"));
    OK(kfl_producer_flush(producer, -1));
    ck_assert_int_eq(end_of("t", 0), 10);
    OK(kfl_producer_close(producer));
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("linger");
    TCase *tests = tcase_create("linger");
    tcase_add_checked_fixture(tests, memory_set_up, memory_tear_down);
    tcase_add_test(tests, a_lingering_record_has_no_offset_yet);
    tcase_add_test(tests, a_flush_appends_one_batch_a_partition);
    tcase_add_test(tests, a_full_batch_goes_by_itself);
    tcase_add_test(tests, a_record_larger_than_batch_size_goes_at_once);
    tcase_add_test(tests, a_batch_goes_when_its_time_has_come);
    tcase_add_test(tests, without_a_helper_maintain_appends_what_is_due);
    tcase_add_test(tests, errors_of_the_record_are_told_at_once);
    tcase_add_test(tests, errors_met_later_are_told_by_the_flush_once);
    tcase_add_test(tests, the_close_tells_what_its_flush_met);
    tcase_add_test(tests, a_flush_with_acks_all_is_durable);
    tcase_add_test(tests, a_flush_does_not_ask_for_what_is_gone);
    tcase_add_test(tests, batches_of_a_deleted_topic_do_not_reach_the_new_one);
    tcase_add_test(tests, partitions_added_meanwhile_linger_too);
    tcase_add_test(tests, append_time_is_that_of_the_append);
    tcase_add_test(tests, an_alteration_meanwhile_loses_nothing_that_fits);
    suite_add_tcase(suite, tests);
    return suite;
}
