/* SPDX-License-Identifier: MIT */
/* One record a call, with the place put aside and the outcome in one number. */
#include "store_fixture.h"

#include <stddef.h>

static kfl_producer *producer;

static void send_to_set_up(void)
{
    memory_set_up();
    producer = open_producer(NULL);
    make_topic("t", 3, NULL);
}

static void send_to_tear_down(void)
{
    kfl_producer_close(producer);
    memory_tear_down();
}

/* For records of "v" and a key of this size. */
static kfl_destination to_topic(kfl_producer *by, const char *topic, int32_t key_size)
{
    return (kfl_destination){by, topic, KFL_TIMESTAMP_NOW, KFL_PARTITION_ANY, key_size, 1, 0};
}

#define REFUSED(code, call)                                                                        \
    do {                                                                                           \
        ck_assert_int_eq((call), 0);                                                               \
        ck_assert_int_eq(kfl_last_error_code(), (code));                                           \
    } while (0)

START_TEST(the_number_tells_partition_and_offset)
{
    for (int i = 0; i < 30; i++) {
        char key[8];
        int size = snprintf(key, sizeof key, "%d", 7 * i % 20);
        kfl_destination to = to_topic(producer, "t", size);
        int64_t sent = kfl_producer_send_to(&to, key, "v");
        ck_assert_int_ne(sent, 0);
        int64_t offset = -1;
        int again = OK(kfl_producer_send(producer, "t", KFL_PARTITION_ANY, key, (size_t)size, "v",
                                         1, NULL, 0, KFL_TIMESTAMP_NOW, &offset));
        ck_assert_int_eq(KFL_SENT_PARTITION(sent), again);
        ck_assert_int_eq(KFL_SENT_OFFSET(sent), offset - 1);
    }
}
END_TEST

START_TEST(place_and_time_are_the_destination_s)
{
    kfl_destination empty = {producer, "t", 77, 2, 0, 0, 0},
                    keyed = {producer, "t", 77, 2, 1, 0, 0};
    ck_assert_int_eq(kfl_producer_send_to(&empty, NULL, ""), (INT64_C(2) << 46) + 1);
    ck_assert_int_eq(kfl_producer_send_to(&keyed, "k", NULL), (INT64_C(2) << 46) + 2);
    kfl_consumer *consumer = open_consumer(NULL);
    kfl_records *records;
    assign_at(consumer, "t", 2, 0);
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 0, 0, &records)), 2);
    const kfl_record *first = kfl_records_get(records, 0), *second = kfl_records_get(records, 1);
    ck_assert_ptr_null(first->key);
    ck_assert_ptr_nonnull(first->value);
    ck_assert_uint_eq(first->value_size, 0);
    ck_assert_int_eq(first->timestamp_ms, 77);
    ck_assert_ptr_null(second->value);
    kfl_records_release(records);
    OK(kfl_consumer_close(consumer));
}
END_TEST

/* What a language may have for a string: its size, something else, and its bytes. */
struct counted {
    size_t size;
    char other[3];
    char bytes[9];
};

START_TEST(sizes_may_lie_in_front_of_the_bytes)
{
    static const struct counted strings[] = {{0, "", ""}, {1, "", "a"}, {8, "", "abcdefgh"}};
    kfl_destination to = {
        producer, "t", KFL_TIMESTAMP_NOW, 0, 0, 0, offsetof(struct counted, bytes)};
    for (int i = 0; i < 3; i++)
        ck_assert_int_ne(kfl_producer_send_to(&to, strings[i].bytes, strings[2 - i].bytes), 0);
    ck_assert_int_ne(kfl_producer_send_to(&to, NULL, NULL), 0);
    kfl_consumer *consumer = open_consumer(NULL);
    kfl_records *records;
    assign_at(consumer, "t", 0, 0);
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 0, 0, &records)), 4);
    for (int i = 0; i < 3; i++) {
        const kfl_record *record = kfl_records_get(records, i);
        ck_assert_uint_eq(record->key_size, strings[i].size);
        ck_assert_mem_eq(record->key, strings[i].bytes, strings[i].size);
        ck_assert_uint_eq(record->value_size, strings[2 - i].size);
        ck_assert_mem_eq(record->value, strings[2 - i].bytes, strings[2 - i].size);
    }
    ck_assert_ptr_null(kfl_records_get(records, 3)->key);
    ck_assert_ptr_null(kfl_records_get(records, 3)->value);
    kfl_records_release(records);
    OK(kfl_consumer_close(consumer));
}
END_TEST

START_TEST(failures_are_0_and_the_last_error)
{
    kfl_destination none = to_topic(producer, "none", 0), nobody = to_topic(NULL, "t", 0),
                    nameless = to_topic(producer, NULL, 0), to = to_topic(producer, "t", 1),
                    beyond = to, past = to, shorter = to_topic(producer, "t", -1), valueless = to,
                    behind = to;
    beyond.partition = 3;
    past.timestamp_ms = -7;
    valueless.value_size = -1;
    behind.size_before = -8;
    REFUSED(KFL_E_INVALID, kfl_producer_send_to(NULL, NULL, "v"));
    REFUSED(KFL_E_INVALID, kfl_producer_send_to(&shorter, "k", "v"));
    REFUSED(KFL_E_INVALID, kfl_producer_send_to(&valueless, "k", "v"));
    REFUSED(KFL_E_INVALID, kfl_producer_send_to(&behind, "k", "v"));
    REFUSED(KFL_E_INVALID, kfl_producer_send_to(&to, NULL, "v"));
    REFUSED(KFL_E_INVALID, kfl_producer_send_to(&to, "k", NULL));
    REFUSED(KFL_E_INVALID, kfl_producer_send_to(&nobody, NULL, "v"));
    REFUSED(KFL_E_INVALID, kfl_producer_send_to(&nameless, NULL, "v"));
    REFUSED(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, kfl_producer_send_to(&none, NULL, "v"));
    REFUSED(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, kfl_producer_send_to(&beyond, "k", "v"));
    REFUSED(KFL_E_INVALID_TIMESTAMP, kfl_producer_send_to(&past, "k", "v"));
    for (int32_t i = 0; i < 3; i++)
        ck_assert_int_eq(end_of("t", i), 0);
}
END_TEST

START_TEST(what_lingers_has_an_offset_untold)
{
    kfl_producer *lingers = open_producer(WITH("linger.ms", "60000"));
    kfl_destination to = {lingers, "t", KFL_TIMESTAMP_NOW, 1, 0, 1, 0};
    int64_t sent = kfl_producer_send_to(&to, NULL, "v");
    ck_assert_int_eq(KFL_SENT_OFFSET(sent), KFL_SENT_UNTOLD);
    ck_assert_int_eq(KFL_SENT_PARTITION(sent), 1);
    ck_assert_int_eq(end_of("t", 1), 0);
    OK(kfl_producer_flush(lingers, -1));
    ck_assert_int_eq(end_of("t", 1), 1);
    OK(kfl_producer_close(lingers));
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("send_to");
    TCase *tests = tcase_create("send_to");
    tcase_add_checked_fixture(tests, send_to_set_up, send_to_tear_down);
    tcase_add_test(tests, the_number_tells_partition_and_offset);
    tcase_add_test(tests, place_and_time_are_the_destination_s);
    tcase_add_test(tests, sizes_may_lie_in_front_of_the_bytes);
    tcase_add_test(tests, failures_are_0_and_the_last_error);
    tcase_add_test(tests, what_lingers_has_an_offset_untold);
    suite_add_tcase(suite, tests);
    return suite;
}
