/* SPDX-License-Identifier: MIT */
/* One record a call: where it goes, what it keeps, what is refused. */
#include "store_fixture.h"

/* Of Kafka's UtilsTest and librdkafka's unit test; see tests/engine/test_partitioner.c. */
static const struct {
    const char *key;
    int32_t of_3, of_4, of_6, of_10, of_12;
} golden[] = {
    {"21", 0, 0, 0, 0, 0},
    {"foobar", 0, 2, 0, 6, 6},
    {"a-little-bit-long-string", 2, 0, 2, 2, 8},
    {"a-little-bit-longer-string", 2, 3, 5, 9, 11},
    {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", 2, 1, 5, 7, 5},
    {"abc", 0, 3, 3, 7, 3},
    {"", 0, 1, 3, 1, 9},
    {"kafka", 1, 0, 4, 0, 4},
};

static kfl_producer *producer;

static void producer_set_up(void)
{
    memory_set_up();
    producer = open_producer(NULL);
}

static void producer_tear_down(void)
{
    kfl_producer_close(producer);
    memory_tear_down();
}

/* kafka:B2 kafka:B3 */
START_TEST(a_key_goes_where_kafka_puts_it)
{
    const char *key = golden[_i].key;
    make_topic("t3", 3, NULL);
    make_topic("t4", 4, NULL);
    make_topic("t6", 6, NULL);
    make_topic("t10", 10, NULL);
    make_topic("t12", 12, NULL);
    ck_assert_int_eq(try_send(producer, "t3", KFL_PARTITION_ANY, key, "v", 1, NULL),
                     golden[_i].of_3);
    ck_assert_int_eq(try_send(producer, "t4", KFL_PARTITION_ANY, key, "v", 1, NULL),
                     golden[_i].of_4);
    ck_assert_int_eq(try_send(producer, "t6", KFL_PARTITION_ANY, key, "v", 1, NULL),
                     golden[_i].of_6);
    ck_assert_int_eq(try_send(producer, "t10", KFL_PARTITION_ANY, key, "v", 1, NULL),
                     golden[_i].of_10);
    ck_assert_int_eq(try_send(producer, "t12", KFL_PARTITION_ANY, key, "v", 1, NULL),
                     golden[_i].of_12);
    ck_assert_int_eq(end_of("t12", golden[_i].of_12), 1);
}
END_TEST

/* kafka:B1 */
START_TEST(a_number_wins_over_the_key)
{
    make_topic("t", 4, NULL);
    for (int32_t i = 0; i < 4; i++) {
        ck_assert_int_eq(try_send(producer, "t", i, "foobar", "v", 1, NULL), i);
        ck_assert_int_eq(end_of("t", i), 1);
    }
}
END_TEST

/* kafka:B4 */
START_TEST(without_a_key_a_partition_stays_in_favour)
{
    kfl_producer *sticky = open_producer(WITH("batch.size", "1000"));
    char value[100];
    int32_t runs = 0, last = -1, run = 0, seen[4] = {0};
    memset(value, 'x', sizeof value);
    make_topic("t", 4, NULL);
    for (int i = 0; i < 400; i++) {
        int partition = OK(kfl_producer_send(sticky, "t", KFL_PARTITION_ANY, NULL, 0, value,
                                             sizeof value, NULL, 0, 1, NULL));
        seen[partition]++;
        run++;
        if (partition != last) {
            /* About 1000 bytes of records of 124 went to the one before. */
            ck_assert(last < 0 || (run >= 8 && run <= 11));
            run = 0;
            runs++;
            last = partition;
        }
    }
    ck_assert_int_ge(runs, 35);
    for (int i = 0; i < 4; i++)
        ck_assert_int_gt(seen[i], 0);
    OK(kfl_producer_close(sticky));
}
END_TEST

/* kafka:B6 */
START_TEST(keys_can_be_ignored_for_the_place_only)
{
    kfl_producer *ignores =
        open_producer(WITH("partitioner.ignore.keys", "true", "batch.size", "1"));
    kfl_consumer *consumer = open_consumer(NULL);
    int seen[4] = {0};
    make_topic("t", 4, NULL);
    for (int i = 0; i < 100; i++)
        seen[OK(try_send(ignores, "t", KFL_PARTITION_ANY, "foobar", "v0", 1, NULL))]++;
    for (int i = 0; i < 4; i++)
        ck_assert_int_gt(seen[i], 0);
    kfl_records *records;
    assign_at(consumer, "t", 0, 0);
    const kfl_record *record = poll_one(consumer, &records);
    check_bytes(record->key, record->key_size, "foobar");
    kfl_records_release(records);
    OK(kfl_consumer_close(consumer));
    OK(kfl_producer_close(ignores));
}
END_TEST

/* kafka:B5 */
START_TEST(a_partition_that_cannot_be_is_refused)
{
    int64_t offset = 77;
    make_topic("t", 2, NULL);
    FAILS(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, try_send(producer, "t", 2, "k", "v", 1, &offset));
    FAILS(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, try_send(producer, "t", -2, "k", "v", 1, &offset));
    FAILS(KFL_E_UNKNOWN_TOPIC_OR_PARTITION,
          try_send(producer, "t", INT32_MAX, "k", "v", 1, &offset));
    FAILS(KFL_E_UNKNOWN_TOPIC_OR_PARTITION,
          try_send(producer, "t", INT32_MIN, "k", "v", 1, &offset));
    FAILS(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, try_send(producer, "u", 0, "k", "v", 1, &offset));
    FAILS(KFL_E_INVALID_TOPIC, try_send(producer, "a/b", 0, "k", "v", 1, &offset));
    ck_assert_int_eq(offset, 77);
    ck_assert_int_eq(end_of("t", 0) + end_of("t", 1), 0);
}
END_TEST

/* kafka:B7 */
START_TEST(missing_is_not_empty)
{
    static const char *const keys[] = {NULL, "", "k", NULL, ""};
    static const char *const values[] = {"", NULL, "v", NULL, ""};
    kfl_consumer *consumer = open_consumer(NULL);
    make_topic("t", 1, NULL);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(send_at(producer, "t", 0, keys[i], values[i], 1), i);
    assign_at(consumer, "t", 0, 0);
    for (int i = 0; i < 5; i++) {
        kfl_records *records;
        const kfl_record *record = poll_one(consumer, &records);
        check_bytes(record->key, record->key_size, keys[i]);
        check_bytes(record->value, record->value_size, values[i]);
        kfl_records_release(records);
    }
    OK(kfl_consumer_close(consumer));
}
END_TEST

START_TEST(a_size_without_bytes_is_refused)
{
    make_topic("t", 1, NULL);
    FAILS(KFL_E_INVALID, kfl_producer_send(producer, "t", 0, NULL, 1, "v", 1, NULL, 0, 1, NULL));
    FAILS(KFL_E_INVALID, kfl_producer_send(producer, "t", 0, "k", 1, NULL, 1, NULL, 0, 1, NULL));
    FAILS(KFL_E_INVALID, kfl_producer_send(producer, "t", 0, "k", 1, "v", 1, NULL, 1, 1, NULL));
    FAILS(KFL_E_MESSAGE_TOO_LARGE,
          kfl_producer_send(producer, "t", 0, "k", 1, "v", SIZE_MAX, NULL, 0, 1, NULL));
    FAILS(KFL_E_MESSAGE_TOO_LARGE,
          kfl_producer_send(producer, "t", 0, "k", SIZE_MAX, "v", SIZE_MAX, NULL, 0, 1, NULL));
    FAILS(KFL_E_MESSAGE_TOO_LARGE,
          kfl_producer_send(producer, "t", 0, "k", 1, "v", INT32_MAX, NULL, 0, 1, NULL));
    ck_assert_int_eq(end_of("t", 0), 0);
}
END_TEST

/* kafka:B8 */
START_TEST(headers_keep_order_and_doubles)
{
    kfl_header headers[] = {
        {"b", "1", 1}, {"a", NULL, 0}, {"b", "", 0}, {"b", "1", 1}, {"", "x\0y", 3}};
    kfl_consumer *consumer = open_consumer(NULL);
    kfl_records *records;
    make_topic("t", 1, NULL);
    OK(kfl_producer_send(producer, "t", 0, "k", 1, "v", 1, headers, 5, 1, NULL));
    assign_at(consumer, "t", 0, 0);
    const kfl_record *record = poll_one(consumer, &records);
    ck_assert_int_eq(record->header_count, 5);
    for (int32_t i = 0; i < 5; i++) {
        kfl_header header;
        OK(kfl_record_header(record, i, &header));
        ck_assert_str_eq(header.name, headers[i].name);
        ck_assert_uint_eq(header.value_size, headers[i].value_size);
        ck_assert_int_eq(header.value == NULL, headers[i].value == NULL);
        if (header.value_size > 0)
            ck_assert_mem_eq(header.value, headers[i].value, header.value_size);
    }
    kfl_records_release(records);
    OK(kfl_consumer_close(consumer));
}
END_TEST

/* kafka:B8 */
START_TEST(a_header_needs_a_name)
{
    kfl_header no_name = {NULL, "x", 1}, no_bytes = {"n", NULL, 1};
    make_topic("t", 1, NULL);
    FAILS(KFL_E_INVALID_RECORD,
          kfl_producer_send(producer, "t", 0, "k", 1, "v", 1, &no_name, 1, 1, NULL));
    ck_assert_int_lt(kfl_producer_send(producer, "t", 0, "k", 1, "v", 1, &no_bytes, 1, 1, NULL), 0);
    ck_assert_int_eq(end_of("t", 0), 0);
}
END_TEST

/* kafka:B9: a batch's head is 48 bytes, a record's 20. */
START_TEST(the_largest_record_is_max_message_bytes)
{
    char value[2000];
    int64_t offset = 77;
    memset(value, 'x', sizeof value);
    make_topic("t", 1, WITH("max.message.bytes", "1000"));
    FAILS(KFL_E_MESSAGE_TOO_LARGE,
          kfl_producer_send(producer, "t", 0, NULL, 0, value, 933, NULL, 0, 1, &offset));
    ck_assert_int_eq(offset, 77);
    ck_assert_str_eq(kfl_last_error_topic(), "t");
    ck_assert_ptr_nonnull(strstr(kfl_last_error(), "max.message.bytes"));
    ck_assert_int_eq(end_of("t", 0), 0);
    OK(kfl_producer_send(producer, "t", 0, NULL, 0, value, 932, NULL, 0, 1, &offset));
    ck_assert_int_eq(offset, 0);
    OK(kfl_producer_send(producer, "t", 0, NULL, 0, value, 931, NULL, 0, 1, &offset));
    ck_assert_int_eq(offset, 1);
    OK(kfl_topic_set(store, "t", "max.message.bytes", "0"));
    FAILS(KFL_E_MESSAGE_TOO_LARGE,
          kfl_producer_send(producer, "t", 0, NULL, 0, NULL, 0, NULL, 0, 1, &offset));
}
END_TEST

/* kafka:B9 */
START_TEST(the_default_limit_is_kafka_s)
{
    char *value = calloc(1, 1 << 21);
    make_topic("t", 1, NULL);
    FAILS(KFL_E_MESSAGE_TOO_LARGE,
          kfl_producer_send(producer, "t", 0, NULL, 0, value, 1048588 - 67, NULL, 0, 1, NULL));
    OK(kfl_producer_send(producer, "t", 0, NULL, 0, value, 1048588 - 72, NULL, 0, 1, NULL));
    free(value);
}
END_TEST

/* kafka:B14: here the offset is told with acks=0 too. */
START_TEST(the_result_tells_partition_and_offset)
{
    static const char *const acks[] = {"0", "1", "all", "-1"};
    make_topic("t", 2, NULL);
    for (int i = 0; i < 4; i++) {
        int64_t offset = -99;
        kfl_producer *other = open_producer(WITH("acks", acks[i]));
        ck_assert_int_eq(try_send(other, "t", 1, "k", "v", 5, &offset), 1);
        ck_assert_int_eq(offset, i);
        OK(kfl_producer_close(other));
    }
}
END_TEST

START_TEST(the_offset_need_not_be_told)
{
    make_topic("t", 1, NULL);
    OK(try_send(producer, "t", 0, "k", "v", 1, NULL));
    ck_assert_int_eq(end_of("t", 0), 1);
}
END_TEST

/* kafka:L2: durable when the send returns. */
START_TEST(with_acks_all_a_sent_record_is_durable)
{
    int64_t durable;
    kfl_producer *all = open_producer(WITH("acks", "all"));
    make_topic("t", 1, WITH("flush.ms", "3600000"));
    for (int64_t i = 0; i < 20; i++) {
        send_value(all, "t", 0, "x");
        OK(kfl_topic_durable_offset(store, "t", 0, &durable));
        ck_assert_int_eq(durable, i + 1);
    }
    send_value(producer, "t", 0, "x");
    OK(kfl_topic_durable_offset(store, "t", 0, &durable));
    ck_assert_int_eq(durable, 20);
    /* What went before by other ways is covered too. */
    send_value(all, "t", 0, "x");
    OK(kfl_topic_durable_offset(store, "t", 0, &durable));
    ck_assert_int_eq(durable, 22);
    OK(kfl_producer_close(all));
}
END_TEST

/* kafka:L2 */
START_TEST(flush_messages_syncs_after_so_many)
{
    int64_t durable;
    make_topic("t", 1, WITH("flush.messages", "1", "flush.ms", "3600000"));
    send_value(producer, "t", 0, "x");
    OK(kfl_topic_durable_offset(store, "t", 0, &durable));
    ck_assert_int_eq(durable, 1);
    make_topic("u", 1, WITH("flush.messages", "10", "flush.ms", "3600000"));
    for (int i = 0; i < 9; i++)
        send_value(producer, "u", 0, "x");
    OK(kfl_topic_durable_offset(store, "u", 0, &durable));
    ck_assert_int_eq(durable, 0);
    send_value(producer, "u", 0, "x");
    OK(kfl_topic_durable_offset(store, "u", 0, &durable));
    ck_assert_int_eq(durable, 10);
}
END_TEST

/* kafka:I1 */
START_TEST(a_compacted_topic_needs_keys)
{
    make_topic("t", 1, WITH("cleanup.policy", "compact"));
    FAILS(KFL_E_INVALID_RECORD, try_send(producer, "t", 0, NULL, "v", 1, NULL));
    ck_assert_int_eq(end_of("t", 0), 0);
    OK(try_send(producer, "t", 0, "", "v", 1, NULL));
    OK(try_send(producer, "t", 0, "k", NULL, 1, NULL));
}
END_TEST

START_TEST(a_producer_takes_only_its_own_properties)
{
    kfl_producer *other = NULL;
    kfl_config *config = config_of(WITH("group.id", "g"));
    FAILS(KFL_E_UNKNOWN_PROPERTY, kfl_producer_open(store, config, &other));
    ck_assert_ptr_null(other);
    kfl_config_destroy(config);
    FAILS(KFL_E_BAD_VALUE, kfl_config_set((config = config_of(WITH("acks", "1"))), "acks", "2"));
    kfl_config_destroy(config);
}
END_TEST

/* The config may go, and change, as soon as the open has returned. */
START_TEST(properties_are_copied)
{
    kfl_config *config = config_of(WITH("acks", "all"));
    kfl_producer *all;
    int64_t durable;
    OK(kfl_producer_open(store, config, &all));
    OK(kfl_config_set(config, "acks", "0"));
    kfl_config_destroy(config);
    make_topic("t", 1, WITH("flush.ms", "3600000"));
    send_value(all, "t", 0, "x");
    OK(kfl_topic_durable_offset(store, "t", 0, &durable));
    ck_assert_int_eq(durable, 1);
    OK(kfl_producer_close(all));
}
END_TEST

START_TEST(a_producer_goes_from_topic_to_topic)
{
    char name[16];
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "t%d", i);
        make_topic(name, 1, NULL);
    }
    for (int64_t round = 0; round < 3; round++)
        for (int i = 0; i < 20; i++) {
            snprintf(name, sizeof name, "t%d", i);
            ck_assert_int_eq(send_value(producer, name, 0, "x"), round);
        }
}
END_TEST

/* kafka:C1: dense from 0. */
START_TEST(offsets_are_dense)
{
    make_topic("t", 1, NULL);
    send_many("t", 0, 1000, 200);
    kfl_consumer *consumer = open_consumer(NULL);
    assign_at(consumer, "t", 0, 0);
    ck_assert_int_eq(read_on(consumer, 0), 1000);
    OK(kfl_consumer_close(consumer));
}
END_TEST

/* kafka:B2 */
START_TEST(the_other_partitioner_is_even_and_repeatable)
{
    kfl_producer *xxh3 = open_producer(WITH("partitioner", "xxh3"));
    int seen[4] = {0};
    char key[16];
    make_topic("t", 4, NULL);
    for (int i = 0; i < 200; i++) {
        snprintf(key, sizeof key, "k%d", i);
        int partition = OK(try_send(xxh3, "t", KFL_PARTITION_ANY, key, "v", 1, NULL));
        ck_assert_int_eq(try_send(xxh3, "t", KFL_PARTITION_ANY, key, "v", 1, NULL), partition);
        seen[partition]++;
    }
    for (int i = 0; i < 4; i++)
        ck_assert_int_gt(seen[i], 20);
    OK(kfl_producer_close(xxh3));
}
END_TEST

static uint8_t every_size_bytes[1200];

static void send_and_see(kfl_consumer *consumer, size_t key_size, size_t size, int64_t timestamp_ms)
{
    kfl_records *records = NULL;
    const uint8_t *bytes = every_size_bytes, *key = key_size == 0 && size % 3 == 0 ? NULL : bytes;
    OK(kfl_producer_send(producer, "t", 0, key, key_size, bytes + key_size, size - key_size, NULL, 0, timestamp_ms, NULL));
    const kfl_record *record = poll_one(consumer, &records);
    ck_assert_int_eq(record->key == NULL, key == NULL);
    ck_assert_uint_eq(record->key_size, key_size);
    ck_assert_uint_eq(record->value_size, size - key_size);
    if (key_size > 0)
        ck_assert_mem_eq(record->key, bytes, key_size);
    ck_assert_mem_eq(record->value, bytes + key_size, size - key_size);
    if (timestamp_ms != KFL_TIMESTAMP_NOW)
        ck_assert_int_eq(record->timestamp_ms, timestamp_ms);
    kfl_records_release(records);
}

/* The short ways have limits of sizes: each size about them, split each way, by a lock that is lent or not, and each byte read back. */
START_TEST(records_of_every_size_come_back_whole)
{
    const size_t keys[] = {0, 1, 7, 8, 9, 16, 17, 240, 480};
    for (size_t i = 0; i < sizeof every_size_bytes; i++)
        every_size_bytes[i] = (uint8_t)(i * 37 + 11);
    make_topic("t", 1, NULL);
    const kfl_partition_offset from = {.topic = "t"};
    kfl_consumer *consumer = open_consumer(NULL);
    OK(kfl_consumer_assign(consumer, &from, 1));
    for (size_t size = 0; size < 600; size++) {
        size_t key_size = keys[size % (sizeof keys / sizeof keys[0])];
        send_and_see(consumer, key_size < size ? key_size : size, size, size % 2 == 0 ? KFL_TIMESTAMP_NOW : (int64_t)size);
    }
    for (size_t size = 40; size < 120; size++)
        for (size_t key_size = 0; key_size < 10; key_size++)
            send_and_see(consumer, key_size, size, KFL_TIMESTAMP_NOW);
    OK(kfl_consumer_close(consumer));
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("producer");
    TCase *tests = tcase_create("producer");
    tcase_add_checked_fixture(tests, producer_set_up, producer_tear_down);
    tcase_add_loop_test(tests, a_key_goes_where_kafka_puts_it, 0, sizeof golden / sizeof golden[0]);
    tcase_add_test(tests, a_number_wins_over_the_key);
    tcase_add_test(tests, without_a_key_a_partition_stays_in_favour);
    tcase_add_test(tests, keys_can_be_ignored_for_the_place_only);
    tcase_add_test(tests, a_partition_that_cannot_be_is_refused);
    tcase_add_test(tests, missing_is_not_empty);
    tcase_add_test(tests, a_size_without_bytes_is_refused);
    tcase_add_test(tests, headers_keep_order_and_doubles);
    tcase_add_test(tests, a_header_needs_a_name);
    tcase_add_test(tests, the_largest_record_is_max_message_bytes);
    tcase_add_test(tests, the_default_limit_is_kafka_s);
    tcase_add_test(tests, the_result_tells_partition_and_offset);
    tcase_add_test(tests, the_offset_need_not_be_told);
    tcase_add_test(tests, with_acks_all_a_sent_record_is_durable);
    tcase_add_test(tests, flush_messages_syncs_after_so_many);
    tcase_add_test(tests, a_compacted_topic_needs_keys);
    tcase_add_test(tests, a_producer_takes_only_its_own_properties);
    tcase_add_test(tests, properties_are_copied);
    tcase_add_test(tests, a_producer_goes_from_topic_to_topic);
    tcase_add_test(tests, offsets_are_dense);
    tcase_add_test(tests, records_of_every_size_come_back_whole);
    tcase_add_test(tests, the_other_partitioner_is_even_and_repeatable);
    suite_add_tcase(suite, tests);
    return suite;
}
