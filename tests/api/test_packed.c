/* SPDX-License-Identifier: MIT */
/* Many records by one call, both ways. */
#include "base/fault.h"
#include "store_fixture.h"

static kfl_producer *producer;

static void packed_set_up(void)
{
    memory_set_up();
    producer = open_producer(NULL);
    make_topic("t", 3, NULL);
}

static void packed_tear_down(void)
{
    kfl_producer_close(producer);
    memory_tear_down();
}

/* A row of a key and a value of so many bytes; -1: missing. */
static kfl_packed_row row_of(int32_t partition, int32_t key_size, int32_t value_size)
{
    return (kfl_packed_row){.partition = partition,
                            .key_size = key_size,
                            .value_size = value_size,
                            .timestamp_ms = 5,
                            .offset = 88};
}

/* kafka:B11 kafka:B14 */
START_TEST(rows_of_a_partition_become_one_batch)
{
    kfl_packed_row rows[6];
    for (int i = 0; i < 6; i++)
        rows[i] = row_of(i % 2, 1, 2);
    ck_assert_int_eq(OK(kfl_producer_send_packed(producer, "t", rows, 6, "kv0kv0kv1kv1kv2kv2", 18)),
                     6);
    for (int i = 0; i < 6; i++) {
        ck_assert_int_eq(rows[i].offset, i / 2);
        ck_assert_int_eq(rows[i].partition, i % 2);
    }
    ck_assert_int_eq(stat_of("appended_batches_total", "t", 0), 1);
    ck_assert_int_eq(stat_of("appended_records_total", "t", 1), 3);
    kfl_consumer *consumer = open_consumer(NULL);
    assign_at(consumer, "t", 1, 0);
    ck_assert_int_eq(read_on(consumer, 0), 3);
    OK(kfl_consumer_close(consumer));
}
END_TEST

/* kafka:B2 kafka:B4 */
START_TEST(rows_without_a_partition_are_told_theirs)
{
    kfl_packed_row rows[] = {row_of(KFL_PARTITION_ANY, 6, 0), row_of(KFL_PARTITION_ANY, 5, 0),
                             row_of(KFL_PARTITION_ANY, -1, 1), row_of(KFL_PARTITION_ANY, 0, 0)};
    OK(kfl_producer_send_packed(producer, "t", rows, 4, "foobarkafkax", 12));
    ck_assert_int_eq(rows[0].partition, 0);
    ck_assert_int_eq(rows[1].partition, 1);
    ck_assert(rows[2].partition >= 0 && rows[2].partition < 3);
    ck_assert_int_eq(rows[3].partition, 0);
}
END_TEST

START_TEST(now_is_the_clock_s)
{
    kfl_packed_row row = row_of(0, -1, 1);
    OK(kfl_store_set_clock(store, 12345));
    row.timestamp_ms = KFL_TIMESTAMP_NOW;
    OK(kfl_producer_send_packed(producer, "t", &row, 1, "x", 1));
    ck_assert_int_eq(row.timestamp_ms, 12345);
    int64_t offset, time;
    ck_assert_int_eq(OK(kfl_topic_max_timestamp(store, "t", 0, &offset, &time)), 1);
    ck_assert_int_eq(time, 12345);
}
END_TEST

START_TEST(no_rows_are_no_error)
{
    ck_assert_int_eq(OK(kfl_producer_send_packed(producer, "t", NULL, 0, NULL, 0)), 0);
    FAILS(KFL_E_UNKNOWN_TOPIC_OR_PARTITION,
          kfl_producer_send_packed(producer, "u", NULL, 0, NULL, 0));
}
END_TEST

/* kafka:B10: nothing of the call is appended, and the rows are as they were. */
START_TEST(one_bad_row_refuses_all)
{
    static const struct {
        kfl_packed_row row;
        int code;
    } bad[] = {
        {{.key_size = -2, .value_size = 1}, KFL_E_INVALID},
        {{.key_size = 1, .value_size = -2}, KFL_E_INVALID},
        {{.key_size = 100, .value_size = 1}, KFL_E_INVALID},
        {{.key_size = INT32_MAX, .value_size = INT32_MAX}, KFL_E_INVALID},
        {{.key_size = -1, .value_size = 0}, KFL_E_INVALID}, /* a byte too many in the block */
        {{.key_size = -1, .value_size = 1, .header_count = -1}, KFL_E_INVALID},
        {{.key_size = -1, .value_size = 1, .headers_size = -1}, KFL_E_INVALID},
        {{.key_size = -1, .value_size = 0, .headers_size = 1}, KFL_E_INVALID},
        {{.key_size = -1, .value_size = 0, .header_count = 1, .headers_size = 1},
         KFL_E_INVALID_RECORD},
        {{.key_size = -1, .value_size = 1, .header_count = 1}, KFL_E_INVALID_RECORD},
        {{.key_size = -1, .value_size = 1, .partition = 3}, KFL_E_UNKNOWN_TOPIC_OR_PARTITION},
        {{.key_size = -1, .value_size = 1, .partition = -2}, KFL_E_UNKNOWN_TOPIC_OR_PARTITION},
        {{.key_size = -1, .value_size = 1, .timestamp_ms = -2}, KFL_E_INVALID_TIMESTAMP},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        kfl_packed_row rows[2] = {row_of(KFL_PARTITION_ANY, -1, 1), bad[i].row};
        rows[0].timestamp_ms = KFL_TIMESTAMP_NOW;
        FAILS(bad[i].code, kfl_producer_send_packed(producer, "t", rows, 2, "xy", 2));
        ck_assert_int_eq(rows[0].offset, 88);
        ck_assert_int_eq(rows[0].timestamp_ms, KFL_TIMESTAMP_NOW);
        ck_assert_int_eq(rows[0].partition, KFL_PARTITION_ANY);
    }
    for (int32_t i = 0; i < 3; i++)
        ck_assert_int_eq(end_of("t", i), 0);
}
END_TEST

START_TEST(an_error_names_the_row)
{
    kfl_packed_row rows[3] = {row_of(0, -1, 1), row_of(0, -1, 1), row_of(7, -1, 1)};
    FAILS(KFL_E_UNKNOWN_TOPIC_OR_PARTITION,
          kfl_producer_send_packed(producer, "t", rows, 3, "xyz", 3));
    ck_assert_ptr_nonnull(strstr(kfl_last_error(), "row 2 of 3"));
    ck_assert_int_eq(kfl_last_error_partition(), 7);
    ck_assert_str_eq(kfl_last_error_topic(), "t");
}
END_TEST

START_TEST(arguments_that_cannot_be_are_refused)
{
    kfl_packed_row row = row_of(0, -1, 1);
    FAILS(KFL_E_INVALID, kfl_producer_send_packed(producer, "t", NULL, 1, "x", 1));
    FAILS(KFL_E_INVALID, kfl_producer_send_packed(producer, "t", &row, 1, NULL, 1));
    FAILS(KFL_E_INVALID, kfl_producer_send_packed(producer, "t", &row, SIZE_MAX, "x", 1));
}
END_TEST

/* kafka:B9 */
START_TEST(what_is_too_large_for_one_batch_is_split)
{
    enum { ROWS = 50 };
    kfl_packed_row rows[ROWS];
    char bytes[ROWS * 100];
    make_topic("small", 1, WITH("max.message.bytes", "1000"));
    for (int i = 0; i < ROWS; i++) {
        rows[i] = row_of(0, -1, 100);
        memset(bytes + (size_t)i * 100, '.', 100);
        bytes[i * 100 + sprintf(bytes + (size_t)i * 100, "v%d", i)] = '.';
    }
    ck_assert_int_eq(
        OK(kfl_producer_send_packed(producer, "small", rows, ROWS, bytes, sizeof bytes)), ROWS);
    for (int i = 0; i < ROWS; i++)
        ck_assert_int_eq(rows[i].offset, i);
    /* (1000 - 48) / 124 */
    ck_assert_int_eq(stat_of("appended_batches_total", "small", 0), 8);
    kfl_consumer *consumer = open_consumer(NULL);
    assign_at(consumer, "small", 0, 0);
    ck_assert_int_eq(read_on(consumer, 0), ROWS);
    OK(kfl_consumer_close(consumer));
}
END_TEST

/* kafka:B9 */
START_TEST(a_row_that_is_too_large_is_refused)
{
    char bytes[2000] = {0};
    kfl_packed_row row = row_of(0, -1, 933);
    make_topic("small", 1, WITH("max.message.bytes", "1000"));
    FAILS(KFL_E_MESSAGE_TOO_LARGE,
          kfl_producer_send_packed(producer, "small", &row, 1, bytes, 933));
    row.value_size = 932;
    OK(kfl_producer_send_packed(producer, "small", &row, 1, bytes, 932));
    row.value_size = 927;
    OK(kfl_producer_send_packed(producer, "small", &row, 1, bytes, 927));
    ck_assert_int_eq(row.offset, 1);
}
END_TEST

/* kafka:I1 */
START_TEST(rows_for_a_compacted_topic_need_keys)
{
    kfl_packed_row rows[2] = {row_of(0, 1, 0), row_of(0, -1, 1)};
    make_topic("compacted", 1, WITH("cleanup.policy", "compact"));
    FAILS(KFL_E_INVALID_RECORD, kfl_producer_send_packed(producer, "compacted", rows, 2, "kv", 2));
    ck_assert_int_eq(end_of("compacted", 0), 0);
}
END_TEST

/* More rows and more partitions than there is room for on the stack. */
START_TEST(many_rows_over_many_partitions)
{
    enum { ROWS = 3000, PARTITIONS = 100 };
    kfl_packed_row *rows = calloc(ROWS, sizeof *rows);
    char *bytes = malloc(ROWS);
    make_topic("wide", PARTITIONS, NULL);
    for (int i = 0; i < ROWS; i++) {
        rows[i] = row_of(i % PARTITIONS, -1, 1);
        bytes[i] = (char)('a' + i % 26);
    }
    ck_assert_int_eq(OK(kfl_producer_send_packed(producer, "wide", rows, ROWS, bytes, ROWS)), ROWS);
    for (int i = 0; i < ROWS; i++)
        ck_assert_int_eq(rows[i].offset, i / PARTITIONS);
    ck_assert_int_eq(stat_of("appended_batches_total", "wide", 99), 1);
    free(rows);
    free(bytes);
}
END_TEST

START_TEST(acks_all_makes_all_of_it_durable)
{
    int64_t durable;
    kfl_producer *all = open_producer(WITH("acks", "all"));
    kfl_packed_row rows[] = {row_of(0, -1, 1), row_of(1, -1, 1), row_of(2, -1, 1),
                             row_of(0, -1, 1)};
    OK(kfl_producer_send_packed(all, "t", rows, 4, "abcd", 4));
    for (int32_t i = 0; i < 3; i++) {
        OK(kfl_topic_durable_offset(store, "t", i, &durable));
        ck_assert_int_eq(durable, end_of("t", i));
    }
    OK(kfl_producer_close(all));
}
END_TEST

/* A lingering producer's packed send does not linger. */
START_TEST(packed_never_lingers)
{
    kfl_producer *lingers = open_producer(WITH("linger.ms", "3600000"));
    kfl_packed_row row = row_of(0, -1, 1);
    OK(kfl_producer_send_packed(lingers, "t", &row, 1, "x", 1));
    ck_assert_int_eq(row.offset, 0);
    ck_assert_int_eq(end_of("t", 0), 1);
    OK(kfl_producer_close(lingers));
}
END_TEST

/* Rows of one partition take a shorter way than those of which one is still to be given its partition: what is read does not tell. */
static void same_both_ways(const char *topic, size_t max_value_size)
{
    enum { ROWS = 80 };
    static char bytes[ROWS * 400], copy[2 * ROWS * 400];
    kfl_packed_row rows[2][ROWS], back[2 * ROWS];
    kfl_records *records;
    size_t size = 0, needed = 0;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i * 7 + i / 251);
    for (int i = 0; i < ROWS; i++) {
        rows[0][i] = row_of(0, i % 12 - 1, (int32_t)((size_t)i * 31 % (max_value_size + 2)) - 1);
        rows[0][i].timestamp_ms = i % 3 == 0 ? KFL_TIMESTAMP_NOW : 900 + i * 13 % 300;
        size += (size_t)(rows[0][i].key_size > 0 ? rows[0][i].key_size : 0);
        size += (size_t)(rows[0][i].value_size > 0 ? rows[0][i].value_size : 0);
    }
    memcpy(rows[1], rows[0], sizeof rows[0]);
    rows[1][ROWS - 1].partition = KFL_PARTITION_ANY;
    for (int way = 0; way < 2; way++)
        ck_assert_int_eq(OK(kfl_producer_send_packed(producer, topic, rows[way], ROWS, bytes, size)), ROWS);
    ck_assert_int_eq(stat_of("appended_batches_total", topic, 0), 2);
    kfl_consumer *consumer = open_consumer(NULL);
    assign_at(consumer, topic, 0, 0);
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 2 * ROWS, 0, &records)), 2 * ROWS);
    ck_assert_int_eq(OK(kfl_records_pack(records, back, copy, sizeof copy, &needed)), 2 * ROWS);
    ck_assert_uint_eq(needed, 2 * size);
    ck_assert_mem_eq(copy, bytes, size);
    ck_assert_mem_eq(copy + size, bytes, size);
    for (int i = 0; i < 2 * ROWS; i++)
        ck_assert_mem_eq(&back[i], &rows[i / ROWS][i % ROWS], sizeof back[i]);
    kfl_records_release(records);
    OK(kfl_consumer_close(consumer));
}

/* A topic's only partition need not be named. */
START_TEST(rows_of_the_only_partition_are_told_it)
{
    kfl_packed_row rows[] = {row_of(KFL_PARTITION_ANY, 1, 2), row_of(KFL_PARTITION_ANY, -1, 3)};
    make_topic("one", 1, NULL);
    ck_assert_int_eq(OK(kfl_producer_send_packed(producer, "one", rows, 2, "kv1kv2", 6)), 2);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(rows[i].partition, 0);
        ck_assert_int_eq(rows[i].offset, i);
    }
}
END_TEST

START_TEST(rows_of_one_partition_are_as_all_others)
{
    OK(kfl_store_set_clock(store, 1000));
    make_topic("one", 1, NULL);
    make_topic("append", 1, WITH("message.timestamp.type", "LogAppendTime"));
    make_topic("near", 1, WITH("message.timestamp.before.max.ms", "500"));
    make_topic("packed", 1, WITH("compression.type", "lz4"));
    same_both_ways("one", 340);
    same_both_ways("append", 70);
    same_both_ways("near", 70);
    same_both_ways("packed", 340);
}
END_TEST

/* ---- reading ---- */

/* What was sent packed comes back packed, byte for byte. */
START_TEST(packed_there_and_back)
{
    static const char bytes[] = "kv0\1\0\0\0\2\0\0\0n\0hh\1\0\0\0\377\377\377\377m\0"
                                "v1"
                                "key";
    kfl_packed_row rows[3] = {row_of(0, 1, 2), row_of(0, -1, 2), row_of(0, 3, -1)}, back[3];
    size_t size = sizeof bytes - 1, needed = 0;
    char copy[sizeof bytes];
    kfl_records *records;
    rows[0].header_count = 2;
    rows[0].headers_size = (int32_t)(size - 3 - 2 - 3);
    OK(kfl_producer_send_packed(producer, "t", rows, 3, bytes, size));
    kfl_consumer *consumer = open_consumer(NULL);
    assign_at(consumer, "t", 0, 0);
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 0, 0, &records)), 3);
    ck_assert_int_eq(OK(kfl_records_pack(records, NULL, NULL, 0, &needed)), 3);
    ck_assert_uint_eq(needed, size);
    FAILS(KFL_E_INVALID, kfl_records_pack(records, back, copy, size - 1, &needed));
    FAILS(KFL_E_INVALID, kfl_records_pack(records, back, NULL, size, &needed));
    FAILS(KFL_E_INVALID, kfl_records_pack(NULL, back, copy, size, &needed));
    ck_assert_int_eq(OK(kfl_records_pack(records, back, copy, size, NULL)), 3);
    ck_assert_mem_eq(copy, bytes, size);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(back[i].offset, i);
        ck_assert_int_eq(back[i].timestamp_ms, 5);
        ck_assert_int_eq(back[i].key_size, rows[i].key_size);
        ck_assert_int_eq(back[i].value_size, rows[i].value_size);
        ck_assert_int_eq(back[i].header_count, rows[i].header_count);
        ck_assert_int_eq(back[i].headers_size, rows[i].headers_size);
        ck_assert_int_eq(back[i].topic_index, 0);
    }
    ck_assert_str_eq(kfl_records_topic(records, 0), "t");
    ck_assert_ptr_null(kfl_records_topic(records, 1));
    ck_assert_ptr_null(kfl_records_topic(records, -1));
    ck_assert_ptr_null(kfl_records_topic(NULL, 0));
    kfl_records_release(records);
    OK(kfl_consumer_close(consumer));
}
END_TEST

START_TEST(topics_are_counted_in_order_of_appearance)
{
    kfl_partition_offset places[] = {
        {.topic = "u"}, {.topic = "t", .partition = 1}, {.topic = "w"}, {.topic = "t"}};
    kfl_packed_row back[8];
    char copy[64];
    kfl_records *records;
    make_topic("u", 1, NULL);
    make_topic("w", 1, NULL);
    for (int i = 0; i < 4; i++)
        send_value(producer, places[i].topic, places[i].partition, "v0");
    kfl_consumer *consumer = open_consumer(NULL);
    OK(kfl_consumer_assign(consumer, places, 4));
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 0, 0, &records)), 4);
    ck_assert_int_eq(OK(kfl_records_pack(records, back, copy, sizeof copy, NULL)), 4);
    for (int i = 0; i < 4; i++)
        ck_assert_str_eq(kfl_records_topic(records, back[i].topic_index),
                         kfl_records_get(records, i)->topic);
    ck_assert_int_eq(back[0].topic_index, 0);
    ck_assert_ptr_nonnull(kfl_records_topic(records, 2));
    ck_assert_ptr_null(kfl_records_topic(records, 3));
    kfl_records_release(records);
    OK(kfl_consumer_close(consumer));
}
END_TEST

#ifdef KFL_FAULT_POINTS
/* Appended is not durable: their offsets are told, so that nobody sends them a second time. Rows of one partition, and others. */
START_TEST(rows_whose_sync_fails_are_told_where_they_are)
{
    kfl_producer *durable = open_producer(WITH("acks", "all"));
    kfl_packed_row rows[] = {row_of(1, 1, 2), row_of(1, 1, 2), row_of(2, 1, 2)};
    size_t count = _i == 0 ? 2 : 3;
    send_many("t", 1, 1, 0); /* the file is there */
    ck_assert_int_eq(kfl__fault_arm("file.sync:*=EIO"), 0);
    ck_assert_int_lt(kfl_producer_send_packed(durable, "t", rows, count, "kv1kv2kv0", 3 * count), 0);
    ck_assert_int_eq(kfl__fault_arm(NULL), 0);
    ck_assert_int_eq(rows[0].offset, 1);
    ck_assert_int_eq(rows[1].offset, 2);
    if (_i == 1)
        ck_assert_int_eq(rows[2].offset, KFL_OFFSET_PENDING);
    kfl_consumer *consumer = open_consumer(NULL);
    assign_at(consumer, "t", 1, 1);
    ck_assert_int_eq(read_on(consumer, 1), 3);
    OK(kfl_consumer_close(consumer));
    kfl_producer_close(durable);
}
END_TEST
#endif

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("packed");
    TCase *tests = tcase_create("packed");
    tcase_add_checked_fixture(tests, packed_set_up, packed_tear_down);
    tcase_add_test(tests, rows_of_a_partition_become_one_batch);
    tcase_add_test(tests, rows_without_a_partition_are_told_theirs);
    tcase_add_test(tests, now_is_the_clock_s);
    tcase_add_test(tests, no_rows_are_no_error);
    tcase_add_test(tests, one_bad_row_refuses_all);
    tcase_add_test(tests, an_error_names_the_row);
    tcase_add_test(tests, arguments_that_cannot_be_are_refused);
    tcase_add_test(tests, what_is_too_large_for_one_batch_is_split);
    tcase_add_test(tests, a_row_that_is_too_large_is_refused);
    tcase_add_test(tests, rows_for_a_compacted_topic_need_keys);
    tcase_add_test(tests, many_rows_over_many_partitions);
    tcase_add_test(tests, acks_all_makes_all_of_it_durable);
    tcase_add_test(tests, packed_never_lingers);
    tcase_add_test(tests, rows_of_the_only_partition_are_told_it);
    tcase_add_test(tests, rows_of_one_partition_are_as_all_others);
    tcase_add_test(tests, packed_there_and_back);
#ifdef KFL_FAULT_POINTS
    tcase_add_loop_test(tests, rows_whose_sync_fails_are_told_where_they_are, 0, 2);
#endif
    tcase_add_test(tests, topics_are_counted_in_order_of_appearance);
    suite_add_tcase(suite, tests);
    return suite;
}
