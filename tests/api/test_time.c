/* SPDX-License-Identifier: MIT */
/* Timestamps: who gives them, which are taken, and what is found by them. */
#include "chance.h"
#include "store_fixture.h"

static kfl_producer *producer;

static void time_set_up(void)
{
    memory_set_up();
    OK(kfl_store_set_clock(store, NOW_MS));
    producer = open_producer(NULL);
}

static void time_tear_down(void)
{
    kfl_producer_close(producer);
    memory_tear_down();
}

static void check_time_of(const char *topic, int64_t offset, int64_t timestamp_ms, int32_t type)
{
    kfl_consumer *consumer = open_consumer(NULL);
    kfl_records *records;
    assign_at(consumer, topic, 0, offset);
    const kfl_record *record = poll_one(consumer, &records);
    ck_assert_int_eq(record->offset, offset);
    ck_assert_int_eq(record->timestamp_ms, timestamp_ms);
    ck_assert_int_eq(record->timestamp_type, type);
    kfl_records_release(records);
    OK(kfl_consumer_close(consumer));
}

/* The first record at that time or later: found at `expected`, or none with -1. */
static void check_found(const char *topic, int64_t timestamp_ms, int64_t expected,
                        int64_t expected_ms)
{
    int64_t offset = -1, time = -1;
    int r = OK(kfl_topic_offset_for_time(store, topic, 0, timestamp_ms, &offset, &time));
    ck_assert_int_eq(r, expected >= 0);
    ck_assert_int_eq(offset, expected);
    ck_assert_int_eq(time, expected_ms);
    if (r == 1) {
        ck_assert_int_eq(
            OK(kfl_topic_offset_for_time(store, topic, 0, timestamp_ms, &offset, NULL)), 1);
        ck_assert_int_eq(offset, expected);
    }
}

/* kafka:G1 */
START_TEST(the_caller_s_time_is_kept)
{
    static const int64_t times[] = {5, 0, 1000, 3, INT64_MAX, 3};
    make_topic("t", 1, NULL);
    for (int64_t i = 0; i < 6; i++)
        ck_assert_int_eq(send_at(producer, "t", 0, "k", "v", times[i]), i);
    for (int64_t i = 0; i < 6; i++)
        check_time_of("t", i, times[i], 0);
}
END_TEST

/* kafka:G1 */
START_TEST(without_one_it_is_the_wall_clock_s)
{
    make_topic("t", 1, NULL);
    send_value(producer, "t", 0, "x");
    OK(kfl_store_set_clock(store, NOW_MS - 5000)); /* and may step back */
    send_value(producer, "t", 0, "x");
    check_time_of("t", 0, NOW_MS, 0);
    check_time_of("t", 1, NOW_MS - 5000, 0);
}
END_TEST

/* kafka:G2 kafka:G3 */
START_TEST(append_time_overwrites_the_caller_s)
{
    make_topic("t", 1, WITH("message.timestamp.type", "LogAppendTime"));
    send_at(producer, "t", 0, "k", "v", 5);
    OK(kfl_store_set_clock(store, NOW_MS - 5000));
    send_at(producer, "t", 0, "k", "v", -7); /* whatever it says */
    send_batch(producer, "t", 0, 3);
    check_time_of("t", 0, NOW_MS, 1);
    check_time_of("t", 1, NOW_MS - 5000, 1);
    check_time_of("t", 4, NOW_MS - 5000, 1);
}
END_TEST

/* kafka:G4 */
START_TEST(limits_of_past_and_future_are_kept)
{
    make_topic(
        "t", 1,
        WITH("message.timestamp.before.max.ms", "1000", "message.timestamp.after.max.ms", "10"));
    send_at(producer, "t", 0, "k", "v", NOW_MS - 1000);
    send_at(producer, "t", 0, "k", "v", NOW_MS + 10);
    send_at(producer, "t", 0, "k", "v", KFL_TIMESTAMP_NOW);
    FAILS(KFL_E_INVALID_TIMESTAMP, try_send(producer, "t", 0, "k", "v", NOW_MS - 1001, NULL));
    ck_assert_ptr_nonnull(strstr(kfl_last_error(), "message.timestamp"));
    FAILS(KFL_E_INVALID_TIMESTAMP, try_send(producer, "t", 0, "k", "v", NOW_MS + 11, NULL));
    FAILS(KFL_E_INVALID_TIMESTAMP, try_send(producer, "t", 0, "k", "v", INT64_MAX, NULL));
    FAILS(KFL_E_INVALID_TIMESTAMP, try_send(producer, "t", 0, "k", "v", 0, NULL));
    kfl_packed_row rows[2] = {{.key_size = -1, .value_size = 0, .timestamp_ms = NOW_MS},
                              {.key_size = -1, .value_size = 0, .timestamp_ms = NOW_MS + 11}};
    FAILS(KFL_E_INVALID_TIMESTAMP, kfl_producer_send_packed(producer, "t", rows, 2, NULL, 0));
    ck_assert_int_eq(end_of("t", 0), 3);
    /* The append clock is not asked. */
    OK(kfl_topic_set(store, "t", "message.timestamp.type", "LogAppendTime"));
    ck_assert_int_eq(send_at(producer, "t", 0, "k", "v", 0), 3);
}
END_TEST

/* kafka:G7 */
START_TEST(a_negative_time_is_refused)
{
    make_topic("t", 1, NULL);
    FAILS(KFL_E_INVALID_TIMESTAMP, try_send(producer, "t", 0, "k", "v", -2, NULL));
    FAILS(KFL_E_INVALID_TIMESTAMP, try_send(producer, "t", 0, "k", "v", INT64_MIN, NULL));
    ck_assert_int_eq(end_of("t", 0), 0);
}
END_TEST

/* kafka:G5 */
START_TEST(the_first_record_at_a_time_or_later)
{
    static const int64_t times[] = {100, 50, 200, 150, 200, 300, 10};
    make_topic("t", 1, NULL);
    check_found("t", 0, -1, -1);
    for (int i = 0; i < 7; i++)
        send_at(producer, "t", 0, "k", "v", times[i]);
    check_found("t", 0, 0, 100);
    check_found("t", 100, 0, 100);
    check_found("t", 101, 2, 200);
    check_found("t", 150, 2, 200);
    check_found("t", 200, 2, 200);
    check_found("t", 201, 5, 300);
    check_found("t", 300, 5, 300);
    check_found("t", 301, -1, -1);
    check_found("t", INT64_MAX, -1, -1);
}
END_TEST

/* kafka:G5 */
START_TEST(a_negative_time_finds_nothing_but_an_error)
{
    int64_t offset = 77;
    make_topic("t", 1, NULL);
    FAILS(KFL_E_INVALID_TIMESTAMP, kfl_topic_offset_for_time(store, "t", 0, -1, &offset, NULL));
    FAILS(KFL_E_UNKNOWN_TOPIC_OR_PARTITION,
          kfl_topic_offset_for_time(store, "t", 1, 0, &offset, NULL));
    ck_assert_int_eq(offset, 77);
}
END_TEST

/* kafka:G5 kafka:G6: held against a plain list, over many segments, with deletions in between. */
START_TEST(times_out_of_order_across_segments)
{
    enum { COUNT = 3000 };
    struct chance chance = chance_begin("times_out_of_order_across_segments");
    int64_t *times = calloc(COUNT, sizeof *times);
    char value[200] = {0};
    int64_t start = 0;
    make_topic("t", 1,
               WITH("segment.bytes", "65536", "index.interval.bytes", _i == 0 ? "64" : "4096",
                    "compression.type", _i == 2 ? "lz4" : "producer"));
    for (int64_t i = 0; i < COUNT; i++) {
        times[i] =
            100000 + i * 10 + (int64_t)chance_below(&chance, 3000) - (i % 500 == 0 ? 90000 : 0);
        OK(kfl_producer_send(producer, "t", 0, NULL, 0, value, sizeof value, NULL, 0, times[i],
                             NULL));
    }
    ck_assert(_i == 2 || segment_count_of("t", 0) > 8);
    for (int round = 0; round < 3; round++) {
        int64_t max = start, offset, time;
        for (int64_t i = start; i < COUNT; i++)
            if (times[i] > times[max])
                max = i;
        ck_assert_int_eq(OK(kfl_topic_max_timestamp(store, "t", 0, &offset, &time)), 1);
        ck_assert_int_eq(offset, max);
        ck_assert_int_eq(time, times[max]);
        for (int n = 0; n < 200; n++) {
            int64_t at = (int64_t)chance_below(&chance, 150000), expected = -1;
            for (int64_t i = start; i < COUNT && expected < 0; i++)
                if (times[i] >= at)
                    expected = i;
            check_found("t", at, expected, expected < 0 ? -1 : times[expected]);
        }
        start = round == 0 ? 1001 : 2750;
        OK(kfl_topic_delete_records(store, "t", 0, start, NULL));
        OK(kfl_store_maintain(store, 1000, NULL));
    }
    free(times);
}
END_TEST

/* kafka:G6 */
START_TEST(the_largest_time_is_not_the_last_one)
{
    int64_t offset = 77, time = 77;
    make_topic("t", 1, NULL);
    ck_assert_int_eq(OK(kfl_topic_max_timestamp(store, "t", 0, &offset, &time)), 0);
    ck_assert_int_eq(offset, 77);
    send_at(producer, "t", 0, "k", "v", 5);
    send_at(producer, "t", 0, "k", "v", 9);
    send_at(producer, "t", 0, "k", "v", 9);
    send_at(producer, "t", 0, "k", "v", 2);
    ck_assert_int_eq(OK(kfl_topic_max_timestamp(store, "t", 0, &offset, &time)), 1);
    ck_assert_int_eq(offset, 1); /* the first of several */
    ck_assert_int_eq(time, 9);
    OK(kfl_topic_delete_records(store, "t", 0, 3, NULL));
    ck_assert_int_eq(OK(kfl_topic_max_timestamp(store, "t", 0, &offset, NULL)), 1);
    ck_assert_int_eq(offset, 3);
    FAILS(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, kfl_topic_max_timestamp(store, "u", 0, &offset, NULL));
}
END_TEST

/* kafka:G6 */
START_TEST(a_single_record_at_time_0_is_found)
{
    int64_t offset = -1, time = -1;
    make_topic("t", 1, NULL);
    send_at(producer, "t", 0, "k", "v", 0);
    ck_assert_int_eq(OK(kfl_topic_max_timestamp(store, "t", 0, &offset, &time)), 1);
    ck_assert_int_eq(offset, 0);
    ck_assert_int_eq(time, 0);
    check_found("t", 0, 0, 0);
    check_found("t", 1, -1, -1);
}
END_TEST

/* kafka:D18 The first record that is not read tells for how long, by the store's clock. */
START_TEST(a_lag_has_a_length_in_time)
{
    int64_t records = -1, ms = -1;
    make_topic("t", 1, NULL);
    ck_assert_int_eq(OK(kfl_topic_lag(store, "t", 0, 0, &records, &ms)), 0);
    ck_assert_int_eq(records, 0);
    ck_assert_int_eq(ms, 0);
    send_many("t", 0, 10, 0);
    OK(kfl_store_set_clock(store, NOW_MS + 5000));
    ck_assert_int_eq(OK(kfl_topic_lag(store, "t", 0, 3, &records, &ms)), 1);
    ck_assert_int_eq(records, 7);
    ck_assert_int_eq(ms, 4997);
    ck_assert_int_eq(OK(kfl_topic_lag(store, "t", 0, 10, &records, &ms)), 0);
    ck_assert_int_eq(records, 0);
    ck_assert_int_eq(ms, 0);
    ck_assert_int_eq(OK(kfl_topic_lag(store, "t", 0, 99, NULL, NULL)), 0);
    OK(kfl_store_set_clock(store, NOW_MS + 2)); /* before the record's own */
    ck_assert_int_eq(OK(kfl_topic_lag(store, "t", 0, 3, &records, &ms)), 1);
    ck_assert_int_eq(ms, 0);
    OK(kfl_store_set_clock(store, NOW_MS + 7000));
    OK(kfl_topic_delete_records(store, "t", 0, 3, NULL));
    ck_assert_int_eq(OK(kfl_topic_lag(store, "t", 0, 0, &records, &ms)), 1);
    ck_assert_int_eq(records, 7);
    ck_assert_int_eq(ms, 6997);
    FAILS(KFL_E_INVALID, kfl_topic_lag(store, "t", 0, -1, &records, &ms));
    FAILS(KFL_E_INVALID, kfl_topic_lag(store, NULL, 0, 0, &records, &ms));
    FAILS(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, kfl_topic_lag(store, "u", 0, 0, &records, &ms));
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("time");
    TCase *tests = tcase_create("time");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, time_set_up, time_tear_down);
    tcase_add_test(tests, the_caller_s_time_is_kept);
    tcase_add_test(tests, without_one_it_is_the_wall_clock_s);
    tcase_add_test(tests, append_time_overwrites_the_caller_s);
    tcase_add_test(tests, limits_of_past_and_future_are_kept);
    tcase_add_test(tests, a_negative_time_is_refused);
    tcase_add_test(tests, the_first_record_at_a_time_or_later);
    tcase_add_test(tests, a_negative_time_finds_nothing_but_an_error);
    tcase_add_loop_test(tests, times_out_of_order_across_segments, 0, 3);
    tcase_add_test(tests, the_largest_time_is_not_the_last_one);
    tcase_add_test(tests, a_single_record_at_time_0_is_found);
    tcase_add_test(tests, a_lag_has_a_length_in_time);
    suite_add_tcase(suite, tests);
    return suite;
}
