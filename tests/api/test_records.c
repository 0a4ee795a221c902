/* SPDX-License-Identifier: MIT */
/* What a poll hands out, and how long it stays. */
#include "store_fixture.h"

static kfl_consumer *consumer;
static kfl_producer *producer;

static void records_set_up(void)
{
    memory_set_up();
    make_topic("t", 2, NULL);
    consumer = open_consumer(NULL);
    producer = open_producer(NULL);
}

static void records_tear_down(void)
{
    kfl_producer_close(producer);
    kfl_consumer_close(consumer);
    memory_tear_down();
}

START_TEST(a_record_carries_all_that_was_sent)
{
    kfl_header header = {"h", "xy", 2};
    kfl_records *records;
    OK(kfl_producer_send(producer, "t", 1, "key", 3, "value", 5, &header, 1, 123456, NULL));
    assign_at(consumer, "t", 1, 0);
    const kfl_record *record = poll_one(consumer, &records);
    ck_assert_str_eq(record->topic, "t");
    ck_assert_int_eq(record->partition, 1);
    ck_assert_int_eq(record->offset, 0);
    ck_assert_int_eq(record->timestamp_ms, 123456);
    ck_assert_int_eq(record->timestamp_type, 0);
    ck_assert_int_eq(record->header_count, 1);
    ck_assert_int_eq(record->reserved, 0);
    check_bytes(record->key, record->key_size, "key");
    check_bytes(record->value, record->value_size, "value");
    ck_assert_uint_eq(record->packed_headers_size, 8 + 2 + 2);
    kfl_records_release(records);
}
END_TEST

START_TEST(without_headers_there_are_none)
{
    kfl_records *records;
    kfl_header header;
    send_value(producer, "t", 0, "x");
    assign_at(consumer, "t", 0, 0);
    const kfl_record *record = poll_one(consumer, &records);
    ck_assert_int_eq(record->header_count, 0);
    ck_assert_ptr_null(record->packed_headers);
    ck_assert_uint_eq(record->packed_headers_size, 0);
    FAILS(KFL_E_INVALID, kfl_record_header(record, 0, &header));
    FAILS(KFL_E_INVALID, kfl_record_header(record, -1, &header));
    FAILS(KFL_E_INVALID, kfl_record_header(NULL, 0, &header));
    FAILS(KFL_E_INVALID, kfl_record_header(record, 0, NULL));
    kfl_records_release(records);
}
END_TEST

START_TEST(a_bad_index_answers_null)
{
    kfl_records *records;
    send_many("t", 0, 3, 0);
    assign_at(consumer, "t", 0, 0);
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 0, 0, &records)), 3);
    ck_assert_int_eq(kfl_records_count(records), 3);
    ck_assert_ptr_null(kfl_records_get(records, 3));
    ck_assert_ptr_null(kfl_records_get(records, -1));
    ck_assert_ptr_null(kfl_records_get(records, INT32_MAX));
    ck_assert_ptr_null(kfl_records_get(NULL, 0));
    ck_assert_int_eq(kfl_records_count(NULL), 0);
    kfl_records_release(records);
}
END_TEST

/* A caller may step over them. */
START_TEST(rows_lie_a_stride_apart)
{
    kfl_records *records;
    send_many("t", 0, 3, 0);
    assign_at(consumer, "t", 0, 0);
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 0, 0, &records)), 3);
    const char *first = (const char *)kfl_records_get(records, 0);
    for (int32_t i = 0; i < 3; i++)
        ck_assert_ptr_eq(first + (size_t)i * kfl_records_stride(records),
                         kfl_records_get(records, i));
    ck_assert_uint_ge(kfl_records_stride(records), sizeof(kfl_record));
    kfl_records_release(records);
}
END_TEST

/* Many results at a time, given back in another order. */
START_TEST(results_are_independent)
{
    kfl_records *held[20];
    send_many("t", 0, 100, 100);
    assign_at(consumer, "t", 0, 0);
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 0, 5, &held[i])), 5);
    for (int i = 0; i < 20; i += 2)
        kfl_records_release(held[i]);
    OK(kfl_consumer_seek(consumer, "t", 0, 0));
    ck_assert_int_eq(read_on(consumer, 0), 100);
    for (int i = 19; i > 0; i -= 2) {
        for (int32_t k = 0; k < 5; k++) {
            ck_assert_int_eq(kfl_records_get(held[i], k)->offset, i * 5 + k);
            check_value(kfl_records_get(held[i], k));
        }
        kfl_records_release(held[i]);
    }
}
END_TEST

/* kafka:A7: what was polled stays, whatever happens to its topic, consumer and store. */
START_TEST(records_outlive_topic_consumer_and_store)
{
    static const char *const types[] = {"none", "lz4"};
    kfl_store *other = open_store(":memory:", NULL), *kept = store;
    kfl_records *records;
    store = other;
    make_topic("u", 1, WITH("segment.bytes", "65536", "compression.type", types[_i]));
    send_many("u", 0, 200, 1000);
    kfl_consumer *reader = open_consumer(NULL);
    assign_at(reader, "u", 0, 0);
    ck_assert_int_eq(OK(kfl_consumer_poll(reader, 0, 0, &records)), 200);
    OK(kfl_topic_delete_records(store, "u", 0, KFL_OFFSET_END, NULL));
    OK(kfl_topic_delete(store, "u"));
    make_topic("u", 1, NULL);
    send_many("u", 0, 10, 0);
    for (int32_t i = 0; i < 200; i++)
        check_value(kfl_records_get(records, i));
    OK(kfl_consumer_close(reader));
    OK(kfl_store_close(store));
    store = kept;
    for (int32_t i = 0; i < 200; i++) {
        check_value(kfl_records_get(records, i));
        ck_assert_str_eq(kfl_records_get(records, i)->topic, "u");
    }
    kfl_records_release(records);
}
END_TEST

/* A result over several topics and segments. */
START_TEST(a_result_may_span_topics_and_segments)
{
    kfl_partition_offset wishes[2] = {{.topic = "small"}, {.topic = "t"}};
    int64_t next[2] = {0};
    kfl_records *records;
    make_topic("small", 1, WITH("segment.bytes", "65536"));
    send_many("small", 0, 300, 1000);
    send_many("t", 0, 50, 0);
    OK(kfl_consumer_assign(consumer, wishes, 2));
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 0, 1000, &records)), 350);
    for (int32_t i = 0; i < 350; i++) {
        const kfl_record *record = kfl_records_get(records, i);
        ck_assert_int_eq(record->offset, next[strcmp(record->topic, "t") == 0]++);
        check_value(record);
    }
    kfl_records_release(records);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("records");
    TCase *tests = tcase_create("records");
    tcase_add_checked_fixture(tests, records_set_up, records_tear_down);
    tcase_add_test(tests, a_record_carries_all_that_was_sent);
    tcase_add_test(tests, without_headers_there_are_none);
    tcase_add_test(tests, a_bad_index_answers_null);
    tcase_add_test(tests, rows_lie_a_stride_apart);
    tcase_add_test(tests, results_are_independent);
    tcase_add_loop_test(tests, records_outlive_topic_consumer_and_store, 0, 2);
    tcase_add_test(tests, a_result_may_span_topics_and_segments);
    suite_add_tcase(suite, tests);
    return suite;
}
