/* SPDX-License-Identifier: MIT */
/*
 * Nonsense, to every function that can fail: nothing falls over it, the code is the one that the header promises, and
 * the text names what was wrong.
 */
#include <limits.h>

#include "store_fixture.h"

static char too_long[70001];
static kfl_config *config, *shown;
static kfl_store *other;
static kfl_names *names;
static kfl_plan *plan;
static kfl_producer *producer, *another;
/* one without a group, one of group g with partitions by hand, one that could join */
static kfl_consumer *consumer, *member, *joiner, *reader;
static kfl_offsets *offsets;
static kfl_records *records, *batch;
static const kfl_record *record;
static kfl_event *event;
static kfl_group *group;
static kfl_segments *segments;
static kfl_walk *walk;
static const kfl_batch *walked;
static kfl_findings *findings;
static kfl_history *history;
static kfl_stats *stats;
static kfl_header header;
static int64_t number;
static int32_t small;
static const char *text;
static char bytes[100];
static size_t size;
static kfl_packed_row row;

static const kfl_header good_header = {"h", "v", 1}, nameless_header = {NULL, "v", 1},
                        large_header = {"h", "v", SIZE_MAX}, hollow_header = {"h", NULL, 1};
static kfl_packed_row negative_row = {.timestamp_ms = -1, .key_size = -2, .value_size = 1};
static kfl_packed_row nowhere_row = {
    .timestamp_ms = -1, .partition = INT32_MIN, .key_size = -1, .value_size = 1};
static const kfl_partition_offset place = {.topic = "t"}, topicless_place = {.offset = 0},
                                  negative_place = {.topic = "t", .partition = INT32_MIN},
                                  bad_offset_place = {.topic = "t", .offset = INT64_MIN};
static const char *const topics[] = {"t"}, *const null_topics[] = {NULL},
                         *const long_topics[] = {too_long};
static kfl_destination to, keyless_to, negative_to, large_to, topicless_to, empty_to;

/* 0 is its failure. */
static int sent(int64_t answer)
{
    return answer == 0 ? kfl_last_error_code() : 0;
}

static void arguments_set_up(void)
{
    memset(too_long, 'x', sizeof too_long - 1);
    memory_set_up();
    make_topic("t", 2, NULL);
    make_topic("c", 1, WITH("cleanup.policy", "compact"));
    OK(kfl_config_create(&config));
    producer = open_producer(NULL);
    consumer = open_consumer(NULL);
    member = open_consumer(WITH("group.id", "g"));
    joiner = open_consumer(WITH("group.id", "h"));
    OK(kfl_producer_send(producer, "t", 0, NULL, 0, "v", 1, &good_header, 1, -1, NULL));
    OK(kfl_consumer_assign(consumer, &place, 1));
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 1000, 1, &batch)), 1);
    record = kfl_records_get(batch, 0);
    OK(kfl_consumer_assign(member, &place, 1));
    OK(kfl_consumer_commit_offsets(member, &place, 1));
    row = (kfl_packed_row){.timestamp_ms = -1, .key_size = -1, .value_size = 1};
    to = (kfl_destination){producer, "t", -1, 0, 1, 1, 0};
    keyless_to = (kfl_destination){producer, "t", -1, 0, -2, 1, 0};
    negative_to = (kfl_destination){producer, "t", -1, 0, 1, INT32_MIN, 0};
    large_to = (kfl_destination){producer, "t", -1, 0, INT32_MAX, INT32_MAX, 0};
    topicless_to = (kfl_destination){.producer = producer};
}

static void arguments_tear_down(void)
{
    kfl_records_release(batch);
    OK(kfl_consumer_close(joiner));
    OK(kfl_consumer_close(member));
    OK(kfl_consumer_close(consumer));
    OK(kfl_producer_close(producer));
    kfl_config_destroy(config);
    memory_tear_down();
}

/* What is called, the code (0: it is no error), and a word of the text. */
// clang-format off
#define ARGUMENTS_MAP(X) \
    X(kfl_config_create(NULL), KFL_E_INVALID, "out_config") \
    X(kfl_config_set(NULL, "acks", "1"), KFL_E_INVALID, "config") \
    X(kfl_config_set(config, NULL, "1"), KFL_E_INVALID, "name") \
    X(kfl_config_set(config, "acks", NULL), 0, "") \
    X(kfl_config_set(config, too_long, "1"), KFL_E_UNKNOWN_PROPERTY, "") \
    X(kfl_config_set(config, "acks", too_long), KFL_E_BAD_VALUE, "acks") \
    X(kfl_config_set_int64(NULL, "acks", 1), KFL_E_INVALID, "config") \
    X(kfl_config_set_int64(config, NULL, 1), KFL_E_INVALID, "name") \
    X(kfl_config_set_int64(config, "linger.ms", INT64_MIN), KFL_E_BAD_VALUE, "linger.ms") \
    X(kfl_config_is_set(NULL, "acks"), 0, "") \
    X(kfl_config_is_set(config, NULL), 0, "") \
    X(kfl_store_open(NULL, NULL, &other), KFL_E_INVALID, "path") \
    X(kfl_store_open("", NULL, &other), KFL_E_INVALID, "path") \
    X(kfl_store_open(too_long, NULL, &other), KFL_E_IO, "cannot open") \
    X(kfl_store_open(":memory:", NULL, NULL), KFL_E_INVALID, "out_store") \
    X(kfl_store_close(NULL), 0, "") \
    X(kfl_store_set_clock(NULL, 1), KFL_E_INVALID, "store") \
    X(kfl_store_set_clock(store, INT64_MIN), KFL_E_INVALID, "no time") \
    X(kfl_store_sync(NULL, 1), KFL_E_INVALID, "store") \
    X(kfl_store_sync(store, INT32_MIN), KFL_E_INVALID, "timeout_ms") \
    X(kfl_store_maintain(NULL, 0, NULL), KFL_E_INVALID, "store") \
    X(kfl_store_maintain(store, INT32_MIN, NULL), 0, "") \
    X(kfl_topic_create(NULL, "n", 1, NULL), KFL_E_INVALID, "store") \
    X(kfl_topic_create(store, NULL, 1, NULL), KFL_E_INVALID, "name") \
    X(kfl_topic_create(store, "", 1, NULL), KFL_E_INVALID_TOPIC, "") \
    X(kfl_topic_create(store, too_long, 1, NULL), KFL_E_INVALID_TOPIC, "") \
    X(kfl_topic_create(store, "..", 1, NULL), KFL_E_INVALID_TOPIC, "..") \
    X(kfl_topic_create(store, "n", 0, NULL), KFL_E_INVALID_PARTITIONS, "") \
    X(kfl_topic_create(store, "n", -1, NULL), KFL_E_INVALID_PARTITIONS, "") \
    X(kfl_topic_create(store, "n", INT32_MIN, NULL), KFL_E_INVALID_PARTITIONS, "") \
    X(kfl_topic_create(store, "n", INT32_MAX, NULL), KFL_E_INVALID_PARTITIONS, "") \
    X(kfl_topic_delete(NULL, "t"), KFL_E_INVALID, "store") \
    X(kfl_topic_delete(store, NULL), KFL_E_INVALID, "name") \
    X(kfl_topic_delete(store, too_long), KFL_E_INVALID_TOPIC, "249") \
    X(kfl_topic_add_partitions(NULL, "t", 2), KFL_E_INVALID, "store") \
    X(kfl_topic_add_partitions(store, NULL, 2), KFL_E_INVALID, "name") \
    X(kfl_topic_add_partitions(store, "t", INT32_MIN), KFL_E_INVALID_PARTITIONS, "") \
    X(kfl_topic_add_partitions(store, "t", INT32_MAX), KFL_E_INVALID_PARTITIONS, "") \
    X(kfl_topic_alter(NULL, "t", config), KFL_E_INVALID, "store") \
    X(kfl_topic_alter(store, NULL, config), KFL_E_INVALID, "name") \
    X(kfl_topic_alter(store, "t", NULL), KFL_E_INVALID, "config") \
    X(kfl_topic_set(NULL, "t", "retention.ms", "1"), KFL_E_INVALID, "store") \
    X(kfl_topic_set(store, NULL, "retention.ms", "1"), KFL_E_INVALID, "name") \
    X(kfl_topic_set(store, "t", NULL, "1"), KFL_E_INVALID, "name") \
    X(kfl_topic_set(store, "t", too_long, "1"), KFL_E_UNKNOWN_PROPERTY, "") \
    X(kfl_topic_set(store, "t", "retention.ms", too_long), KFL_E_BAD_VALUE, "retention.ms") \
    X(kfl_topic_partition_count(NULL, "t"), KFL_E_INVALID, "store") \
    X(kfl_topic_partition_count(store, NULL), KFL_E_INVALID, "name") \
    X(kfl_topic_config(NULL, "t", &shown), KFL_E_INVALID, "store") \
    X(kfl_topic_config(store, NULL, &shown), KFL_E_INVALID, "name") \
    X(kfl_topic_config(store, "t", NULL), KFL_E_INVALID, "out_config") \
    X(kfl_topic_list(NULL, &names), KFL_E_INVALID, "store") \
    X(kfl_topic_list(store, NULL), KFL_E_INVALID, "out_names") \
    X(kfl_topic_start_offset(NULL, "t", 0, &number), KFL_E_INVALID, "store") \
    X(kfl_topic_start_offset(store, NULL, 0, &number), KFL_E_INVALID, "name") \
    X(kfl_topic_start_offset(store, "t", INT32_MIN, &number), KFL_E_UNKNOWN_TOPIC_OR_PARTITION, "t") \
    X(kfl_topic_start_offset(store, "t", INT32_MAX, &number), KFL_E_UNKNOWN_TOPIC_OR_PARTITION, "t") \
    X(kfl_topic_start_offset(store, "t", 0, NULL), KFL_E_INVALID, "out_offset") \
    X(kfl_topic_end_offset(NULL, "t", 0, &number), KFL_E_INVALID, "store") \
    X(kfl_topic_end_offset(store, NULL, 0, &number), KFL_E_INVALID, "name") \
    X(kfl_topic_end_offset(store, "t", INT32_MIN, &number), KFL_E_UNKNOWN_TOPIC_OR_PARTITION, "t") \
    X(kfl_topic_end_offset(store, "t", 0, NULL), KFL_E_INVALID, "out_offset") \
    X(kfl_topic_durable_offset(NULL, "t", 0, &number), KFL_E_INVALID, "store") \
    X(kfl_topic_durable_offset(store, NULL, 0, &number), KFL_E_INVALID, "name") \
    X(kfl_topic_durable_offset(store, "t", INT32_MIN, &number), KFL_E_UNKNOWN_TOPIC_OR_PARTITION, "t") \
    X(kfl_topic_durable_offset(store, "t", 0, NULL), KFL_E_INVALID, "out_offset") \
    X(kfl_topic_offset_for_time(NULL, "t", 0, 0, &number, &number), KFL_E_INVALID, "store") \
    X(kfl_topic_offset_for_time(store, NULL, 0, 0, &number, &number), KFL_E_INVALID, "name") \
    X(kfl_topic_offset_for_time(store, "t", INT32_MIN, 0, &number, &number), KFL_E_UNKNOWN_TOPIC_OR_PARTITION, "t") \
    X(kfl_topic_offset_for_time(store, "t", 0, INT64_MIN, &number, &number), KFL_E_INVALID_TIMESTAMP, "no time") \
    X(kfl_topic_offset_for_time(store, "t", 0, 0, NULL, &number), KFL_E_INVALID, "out_offset") \
    X(kfl_topic_offset_for_time(store, "t", 0, INT64_MAX, &number, NULL), 0, "") \
    X(kfl_topic_max_timestamp(NULL, "t", 0, &number, &number), KFL_E_INVALID, "store") \
    X(kfl_topic_max_timestamp(store, NULL, 0, &number, &number), KFL_E_INVALID, "name") \
    X(kfl_topic_max_timestamp(store, "t", INT32_MIN, &number, &number), KFL_E_UNKNOWN_TOPIC_OR_PARTITION, "t") \
    X(kfl_topic_max_timestamp(store, "t", 0, NULL, &number), KFL_E_INVALID, "out_offset") \
    X(kfl_topic_max_timestamp(store, "t", 0, &number, NULL), 0, "") \
    X(kfl_topic_lag(NULL, "t", 0, 0, &number, &number), KFL_E_INVALID, "store") \
    X(kfl_topic_lag(store, NULL, 0, 0, &number, &number), KFL_E_INVALID, "name") \
    X(kfl_topic_lag(store, "t", INT32_MIN, 0, &number, &number), KFL_E_UNKNOWN_TOPIC_OR_PARTITION, "t") \
    X(kfl_topic_lag(store, "t", 0, INT64_MIN, &number, &number), KFL_E_INVALID, "offset") \
    X(kfl_topic_lag(store, "t", 0, INT64_MAX, &number, &number), 0, "") \
    X(kfl_topic_lag(store, "t", 0, 0, NULL, NULL), 0, "") \
    X(kfl_topic_wait_durable(NULL, "t", 0, 0, 0), KFL_E_INVALID, "store") \
    X(kfl_topic_wait_durable(store, NULL, 0, 0, 0), KFL_E_INVALID, "name") \
    X(kfl_topic_wait_durable(store, "t", INT32_MIN, 0, 0), KFL_E_UNKNOWN_TOPIC_OR_PARTITION, "t") \
    X(kfl_topic_wait_durable(store, "t", 0, INT64_MIN, 0), KFL_E_INVALID, "offset") \
    X(kfl_topic_wait_durable(store, "t", 0, INT64_MAX, 0), KFL_E_OFFSET_OUT_OF_RANGE, "ends at") \
    X(kfl_topic_wait_durable(store, "t", 0, 0, INT32_MIN), KFL_E_INVALID, "timeout_ms") \
    X(kfl_consumer_poll(consumer, INT32_MIN, 0, &records), KFL_E_INVALID, "timeout_ms") \
    X(kfl_topic_delete_records(NULL, "t", 0, 0, &number), KFL_E_INVALID, "store") \
    X(kfl_topic_delete_records(store, NULL, 0, 0, &number), KFL_E_INVALID, "name") \
    X(kfl_topic_delete_records(store, "t", INT32_MIN, 0, &number), KFL_E_UNKNOWN_TOPIC_OR_PARTITION, "t") \
    X(kfl_topic_delete_records(store, "t", 0, INT64_MIN, &number), KFL_E_INVALID, "offset") \
    X(kfl_topic_delete_records(store, "t", 0, INT64_MAX, &number), KFL_E_OFFSET_OUT_OF_RANGE, "") \
    X(kfl_topic_compact(NULL, "c", 0, 0, NULL), KFL_E_INVALID, "store") \
    X(kfl_topic_compact(store, NULL, 0, 0, NULL), KFL_E_INVALID, "name") \
    X(kfl_topic_compact(store, "c", -1, 0, NULL), KFL_E_INVALID, "flags") \
    X(kfl_topic_compact(store, "c", 1 << 20, 0, NULL), KFL_E_INVALID, "flags") \
    X(kfl_topic_retain(NULL, "t", NULL), KFL_E_INVALID, "store") \
    X(kfl_topic_retain(store, NULL, NULL), KFL_E_INVALID, "name") \
    X(kfl_topic_plan(NULL, "t", 0, &plan), KFL_E_INVALID, "store") \
    X(kfl_topic_plan(store, NULL, 0, &plan), KFL_E_INVALID, "name") \
    X(kfl_topic_plan(store, "t", 77, &plan), KFL_E_INVALID, "kind") \
    X(kfl_topic_plan(store, "t", INT32_MIN, &plan), KFL_E_INVALID, "kind") \
    X(kfl_topic_plan(store, "t", 0, NULL), KFL_E_INVALID, "out_plan") \
    X(kfl_topic_forget(NULL, "c", "k", 1, NULL), KFL_E_INVALID, "store") \
    X(kfl_topic_forget(store, NULL, "k", 1, NULL), KFL_E_INVALID, "name") \
    X(kfl_topic_forget(store, "c", NULL, 1, NULL), KFL_E_INVALID, "key") \
    X(kfl_topic_forget(store, "c", "k", SIZE_MAX, NULL), KFL_E_INVALID, "key_size") \
    X(kfl_producer_open(NULL, NULL, &another), KFL_E_INVALID, "store") \
    X(kfl_producer_open(store, NULL, NULL), KFL_E_INVALID, "out_producer") \
    X(kfl_producer_close(NULL), 0, "") \
    X(kfl_producer_send(NULL, "t", 0, NULL, 0, "v", 1, NULL, 0, -1, NULL), KFL_E_INVALID, "producer") \
    X(kfl_producer_send(producer, NULL, 0, NULL, 0, "v", 1, NULL, 0, -1, NULL), KFL_E_INVALID, "topic") \
    X(kfl_producer_send(producer, too_long, 0, NULL, 0, "v", 1, NULL, 0, -1, NULL), KFL_E_INVALID_TOPIC, "249") \
    X(kfl_producer_send(producer, "t", -2, NULL, 0, "v", 1, NULL, 0, -1, NULL), KFL_E_UNKNOWN_TOPIC_OR_PARTITION, "partition -2") \
    X(kfl_producer_send(producer, "t", INT32_MIN, NULL, 0, "v", 1, NULL, 0, -1, NULL), KFL_E_UNKNOWN_TOPIC_OR_PARTITION, "partition -2147483648") \
    X(kfl_producer_send(producer, "t", INT32_MAX, NULL, 0, "v", 1, NULL, 0, -1, NULL), KFL_E_UNKNOWN_TOPIC_OR_PARTITION, "t") \
    X(kfl_producer_send(producer, "t", 0, NULL, 1, "v", 1, NULL, 0, -1, NULL), KFL_E_INVALID, "size without bytes") \
    X(kfl_producer_send(producer, "t", 0, "k", SIZE_MAX, "v", 1, NULL, 0, -1, NULL), KFL_E_MESSAGE_TOO_LARGE, "") \
    X(kfl_producer_send(producer, "t", 0, NULL, 0, NULL, 1, NULL, 0, -1, NULL), KFL_E_INVALID, "size without bytes") \
    X(kfl_producer_send(producer, "t", 0, NULL, 0, "v", SIZE_MAX, NULL, 0, -1, NULL), KFL_E_MESSAGE_TOO_LARGE, "") \
    X(kfl_producer_send(producer, "t", 0, "k", SIZE_MAX / 2 + 1, "v", SIZE_MAX / 2 + 1, NULL, 0, -1, NULL), KFL_E_MESSAGE_TOO_LARGE, "") \
    X(kfl_producer_send(producer, "t", 0, NULL, 0, "v", 1, NULL, 1, -1, NULL), KFL_E_INVALID, "size without bytes") \
    X(kfl_producer_send(producer, "t", 0, NULL, 0, "v", 1, &good_header, SIZE_MAX, -1, NULL), KFL_E_INVALID, "headers") \
    X(kfl_producer_send(producer, "t", 0, NULL, 0, "v", 1, &nameless_header, 1, -1, NULL), KFL_E_INVALID_RECORD, "header 0") \
    X(kfl_producer_send(producer, "t", 0, NULL, 0, "v", 1, &large_header, 1, -1, NULL), KFL_E_MESSAGE_TOO_LARGE, "") \
    X(kfl_producer_send(producer, "t", 0, NULL, 0, "v", 1, &hollow_header, 1, -1, NULL), KFL_E_INVALID_RECORD, "header 0") \
    X(kfl_producer_send(producer, "t", 0, NULL, 0, "v", 1, NULL, 0, -2, NULL), KFL_E_INVALID_TIMESTAMP, "-2") \
    X(kfl_producer_send(producer, "t", 0, NULL, 0, "v", 1, NULL, 0, INT64_MIN, NULL), KFL_E_INVALID_TIMESTAMP, "no time") \
    X(kfl_producer_send_if(NULL, "t", 0, NULL, 0, "v", 1, NULL, 0, -1, 0, NULL), KFL_E_INVALID, "producer") \
    X(kfl_producer_send_if(producer, NULL, 0, NULL, 0, "v", 1, NULL, 0, -1, 0, NULL), KFL_E_INVALID, "topic") \
    X(kfl_producer_send_if(producer, "t", -1, NULL, 0, "v", 1, NULL, 0, -1, 0, NULL), KFL_E_INVALID, "partition") \
    X(kfl_producer_send_if(producer, "t", 0, NULL, 0, "v", 1, NULL, 0, -1, -1, NULL), KFL_E_INVALID, "offset") \
    X(kfl_producer_send_if(producer, "t", 0, NULL, 0, "v", 1, NULL, 0, -1, INT64_MIN, NULL), KFL_E_INVALID, "offset") \
    X(kfl_producer_send_if(producer, "t", 0, NULL, 1, "v", 1, NULL, 0, -1, 0, NULL), KFL_E_INVALID, "size without bytes") \
    X(sent(kfl_producer_send_to(NULL, NULL, "v")), KFL_E_INVALID, "") \
    X(sent(kfl_producer_send_to(&empty_to, NULL, "v")), KFL_E_INVALID, "producer") \
    X(sent(kfl_producer_send_to(&topicless_to, NULL, "v")), KFL_E_INVALID, "topic") \
    X(sent(kfl_producer_send_to(&keyless_to, "k", "v")), KFL_E_INVALID, "size") \
    X(sent(kfl_producer_send_to(&to, NULL, "v")), KFL_E_INVALID, "size without bytes") \
    X(sent(kfl_producer_send_to(&negative_to, "k", "v")), KFL_E_INVALID, "size") \
    X(sent(kfl_producer_send_to(&to, "k", NULL)), KFL_E_INVALID, "size without bytes") \
    X(sent(kfl_producer_send_to(&large_to, "k", "v")), KFL_E_MESSAGE_TOO_LARGE, "") \
    X(kfl_producer_send_packed(NULL, "t", &row, 1, "v", 1), KFL_E_INVALID, "producer") \
    X(kfl_producer_send_packed(producer, NULL, &row, 1, "v", 1), KFL_E_INVALID, "topic") \
    X(kfl_producer_send_packed(producer, "t", NULL, 1, "v", 1), KFL_E_INVALID, "rows") \
    X(kfl_producer_send_packed(producer, "t", &row, 1, NULL, 1), KFL_E_INVALID, "bytes") \
    X(kfl_producer_send_packed(producer, "t", &row, 1, "v", 0), KFL_E_INVALID, "") \
    X(kfl_producer_send_packed(producer, "t", &row, SIZE_MAX, "v", 1), KFL_E_INVALID, "row") \
    X(kfl_producer_send_packed(producer, "t", &negative_row, 1, "v", 1), KFL_E_INVALID, "") \
    X(kfl_producer_send_packed(producer, "t", &nowhere_row, 1, "v", 1), KFL_E_UNKNOWN_TOPIC_OR_PARTITION, "row 0") \
    X(kfl_producer_flush(NULL, 0), KFL_E_INVALID, "producer") \
    X(kfl_producer_flush(producer, INT32_MIN), KFL_E_INVALID, "timeout_ms") \
    X(kfl_consumer_open(NULL, NULL, &reader), KFL_E_INVALID, "store") \
    X(kfl_consumer_open(store, NULL, NULL), KFL_E_INVALID, "out_consumer") \
    X(kfl_consumer_close(NULL), 0, "") \
    X(kfl_consumer_assign(NULL, &place, 1), KFL_E_INVALID, "consumer") \
    X(kfl_consumer_assign(consumer, NULL, 1), KFL_E_INVALID, "partitions") \
    X(kfl_consumer_assign(consumer, &place, SIZE_MAX), KFL_E_INVALID, "partitions") \
    X(kfl_consumer_assign(consumer, &topicless_place, 1), KFL_E_INVALID, "topic") \
    X(kfl_consumer_assign(consumer, &negative_place, 1), KFL_E_UNKNOWN_TOPIC_OR_PARTITION, "t") \
    X(kfl_consumer_assign(consumer, &bad_offset_place, 1), KFL_E_INVALID, "offset") \
    X(kfl_consumer_assignment(NULL, &offsets), KFL_E_INVALID, "consumer") \
    X(kfl_consumer_assignment(consumer, NULL), KFL_E_INVALID, "out_offsets") \
    X(kfl_consumer_subscribe(NULL, topics, 1), KFL_E_INVALID, "consumer") \
    X(kfl_consumer_subscribe(joiner, NULL, 1), KFL_E_INVALID, "topics") \
    X(kfl_consumer_subscribe(joiner, null_topics, 1), KFL_E_INVALID, "topic") \
    X(kfl_consumer_subscribe(joiner, long_topics, 1), KFL_E_INVALID_TOPIC, "") \
    X(kfl_consumer_subscribe(joiner, topics, SIZE_MAX), KFL_E_INVALID, "topics") \
    X(kfl_consumer_subscribe_pattern(NULL, "t.*"), KFL_E_INVALID, "consumer") \
    X(kfl_consumer_subscribe_pattern(joiner, NULL), KFL_E_INVALID, "pattern") \
    X(kfl_consumer_subscribe_pattern(joiner, "("), KFL_E_BAD_VALUE, "regular expression") \
    X(kfl_consumer_unsubscribe(NULL), KFL_E_INVALID, "consumer") \
    X(kfl_consumer_subscription(NULL, &names), KFL_E_INVALID, "consumer") \
    X(kfl_consumer_subscription(consumer, NULL), KFL_E_INVALID, "out_names") \
    X(kfl_consumer_member(NULL, &text, &small), KFL_E_INVALID, "consumer") \
    X(kfl_consumer_member(consumer, NULL, NULL), KFL_E_UNKNOWN_MEMBER_ID, "no member") \
    X(kfl_consumer_seek(NULL, "t", 0, 0), KFL_E_INVALID, "consumer") \
    X(kfl_consumer_seek(consumer, NULL, 0, 0), KFL_E_INVALID, "topic") \
    X(kfl_consumer_seek(consumer, "t", INT32_MIN, 0), KFL_E_INVALID, "t") \
    X(kfl_consumer_seek(consumer, "t", 0, INT64_MIN), KFL_E_INVALID, "offset") \
    X(kfl_consumer_position(NULL, "t", 0, &number), KFL_E_INVALID, "consumer") \
    X(kfl_consumer_position(consumer, NULL, 0, &number), KFL_E_INVALID, "topic") \
    X(kfl_consumer_position(consumer, "t", INT32_MIN, &number), KFL_E_INVALID, "t") \
    X(kfl_consumer_position(consumer, "t", 0, NULL), KFL_E_INVALID, "out_offset") \
    X(kfl_consumer_pause(NULL, "t", 0), KFL_E_INVALID, "consumer") \
    X(kfl_consumer_pause(consumer, NULL, 0), KFL_E_INVALID, "topic") \
    X(kfl_consumer_pause(consumer, "t", INT32_MIN), KFL_E_INVALID, "t") \
    X(kfl_consumer_resume(NULL, "t", 0), KFL_E_INVALID, "consumer") \
    X(kfl_consumer_resume(consumer, NULL, 0), KFL_E_INVALID, "topic") \
    X(kfl_consumer_resume(consumer, "t", INT32_MAX), KFL_E_INVALID, "t") \
    X(kfl_consumer_poll(NULL, 0, 0, &records), KFL_E_INVALID, "consumer") \
    X(kfl_consumer_poll(consumer, 0, 0, NULL), KFL_E_INVALID, "out_records") \
    X(kfl_consumer_poll(consumer, 0, INT32_MIN, &records), KFL_E_INVALID, "max_records") \
    X(kfl_consumer_wakeup(NULL), KFL_E_INVALID, "consumer") \
    X(kfl_consumer_event_fd(NULL), KFL_E_INVALID, "consumer") \
    X(kfl_consumer_next_event(NULL, &event), KFL_E_INVALID, "consumer") \
    X(kfl_consumer_next_event(consumer, NULL), KFL_E_INVALID, "out_event") \
    X(kfl_consumer_assign_answer(NULL, 0, NULL, 0), KFL_E_INVALID, "consumer") \
    X(kfl_consumer_assign_answer(consumer, INT32_MIN, NULL, 0), KFL_E_UNKNOWN_MEMBER_ID, "no member") \
    X(kfl_consumer_assign_answer(consumer, 0, NULL, 1), KFL_E_INVALID, "partitions") \
    X(kfl_consumer_assign_answer(consumer, 0, NULL, SIZE_MAX), KFL_E_INVALID, "partitions") \
    X(kfl_record_header(NULL, 0, &header), KFL_E_INVALID, "record") \
    X(kfl_record_header(record, INT32_MIN, &header), KFL_E_INVALID, "header") \
    X(kfl_record_header(record, INT32_MAX, &header), KFL_E_INVALID, "header") \
    X(kfl_record_header(record, 0, NULL), KFL_E_INVALID, "out_header") \
    X(kfl_records_pack(NULL, &row, bytes, sizeof bytes, &size), KFL_E_INVALID, "records") \
    X(kfl_records_pack(batch, NULL, bytes, sizeof bytes, &size), 0, "") \
    X(kfl_records_pack(batch, &row, NULL, 10, &size), KFL_E_INVALID, "bytes") \
    X(kfl_records_pack(batch, &row, bytes, sizeof bytes, NULL), 0, "") \
    X(kfl_consumer_commit(NULL, NULL), KFL_E_INVALID, "consumer") \
    X(kfl_consumer_commit_offsets(NULL, &place, 1), KFL_E_INVALID, "consumer") \
    X(kfl_consumer_commit_offsets(member, NULL, 1), KFL_E_INVALID, "offsets") \
    X(kfl_consumer_commit_offsets(member, &place, SIZE_MAX), KFL_E_INVALID, "partitions") \
    X(kfl_consumer_commit_offsets(member, &topicless_place, 1), KFL_E_INVALID, "topic") \
    X(kfl_consumer_commit_offsets(member, &bad_offset_place, 1), KFL_E_OFFSET_OUT_OF_RANGE, "ends at") \
    X(kfl_consumer_commit_offsets(consumer, &place, 1), KFL_E_INVALID_GROUP_ID, "group.id") \
    X(kfl_consumer_commit_async(NULL, &place, 1, &number), KFL_E_INVALID, "consumer") \
    X(kfl_consumer_commit_async(member, NULL, 1, &number), KFL_E_INVALID, "offsets") \
    X(kfl_consumer_commit_async(member, &place, SIZE_MAX, &number), KFL_E_INVALID, "partitions") \
    X(kfl_consumer_committed(NULL, &place, 1, &offsets), KFL_E_INVALID, "consumer") \
    X(kfl_consumer_committed(member, NULL, 1, &offsets), KFL_E_INVALID, "partitions") \
    X(kfl_consumer_committed(member, &place, SIZE_MAX, &offsets), KFL_E_INVALID, "partitions") \
    X(kfl_consumer_committed(member, &place, 1, NULL), KFL_E_INVALID, "out_offsets") \
    X(kfl_group_list(NULL, &names), KFL_E_INVALID, "store") \
    X(kfl_group_list(store, NULL), KFL_E_INVALID, "out_names") \
    X(kfl_group_offsets(NULL, "g", &offsets), KFL_E_INVALID, "store") \
    X(kfl_group_offsets(store, NULL, &offsets), KFL_E_INVALID_GROUP_ID, "group") \
    X(kfl_group_offsets(store, "", &offsets), KFL_E_INVALID_GROUP_ID, "") \
    X(kfl_group_offsets(store, too_long, &offsets), KFL_E_INVALID_GROUP_ID, "") \
    X(kfl_group_offsets(store, "g", NULL), KFL_E_INVALID, "out_offsets") \
    X(kfl_group_describe(NULL, "g", &group), KFL_E_INVALID, "store") \
    X(kfl_group_describe(store, NULL, &group), KFL_E_INVALID_GROUP_ID, "group") \
    X(kfl_group_describe(store, too_long, &group), KFL_E_INVALID_GROUP_ID, "") \
    X(kfl_group_describe(store, "g", NULL), KFL_E_INVALID, "out_group") \
    X(kfl_group_commit_offsets(NULL, "g", &place, 1), KFL_E_INVALID, "store") \
    X(kfl_group_commit_offsets(store, NULL, &place, 1), KFL_E_INVALID_GROUP_ID, "group") \
    X(kfl_group_commit_offsets(store, too_long, &place, 1), KFL_E_INVALID_GROUP_ID, "") \
    X(kfl_group_commit_offsets(store, "g", NULL, 1), KFL_E_INVALID, "offsets") \
    X(kfl_group_commit_offsets(store, "g", &place, SIZE_MAX), KFL_E_INVALID, "partitions") \
    X(kfl_group_commit_offsets(store, "g", &topicless_place, 1), KFL_E_INVALID, "topic") \
    X(kfl_group_commit_offsets(store, "g", &negative_place, 1), KFL_E_UNKNOWN_TOPIC_OR_PARTITION, "t") \
    X(kfl_group_delete_offsets(NULL, "g", &place, 1), KFL_E_INVALID, "store") \
    X(kfl_group_delete_offsets(store, NULL, &place, 1), KFL_E_INVALID_GROUP_ID, "group") \
    X(kfl_group_delete_offsets(store, "g", NULL, 1), KFL_E_INVALID, "partitions") \
    X(kfl_group_delete_offsets(store, "g", &place, SIZE_MAX), KFL_E_INVALID, "partitions") \
    X(kfl_group_delete_offsets(store, "g", &topicless_place, 1), KFL_E_INVALID, "topic") \
    X(kfl_group_delete(NULL, "g"), KFL_E_INVALID, "store") \
    X(kfl_group_delete(store, NULL), KFL_E_INVALID_GROUP_ID, "group") \
    X(kfl_group_delete(store, too_long), KFL_E_INVALID_GROUP_ID, "") \
    X(kfl_segments_list(NULL, "t", 0, &segments), KFL_E_INVALID, "store") \
    X(kfl_segments_list(store, NULL, 0, &segments), KFL_E_INVALID, "topic") \
    X(kfl_segments_list(store, "t", INT32_MIN, &segments), KFL_E_UNKNOWN_TOPIC_OR_PARTITION, "t") \
    X(kfl_segments_list(store, "t", 0, NULL), KFL_E_INVALID, "out_segments") \
    X(kfl_walk_open(NULL, &walk), KFL_E_INVALID, "path") \
    X(kfl_walk_open(too_long, &walk), KFL_E_IO, "cannot open") \
    X(kfl_walk_open("/dev/null", NULL), KFL_E_INVALID, "out_walk") \
    X(kfl_walk_open("/dev/null", &walk), KFL_E_INVALID, "/dev/null") \
    X(kfl_walk_next(NULL, &walked), KFL_E_INVALID, "walk") \
    X(kfl_walk_skip(NULL, &number), KFL_E_INVALID, "walk") \
    X(kfl_walk_records(NULL, &records), KFL_E_INVALID, "walk") \
    X(kfl_store_verify(NULL, NULL, 0, &findings), KFL_E_INVALID, "store") \
    X(kfl_store_verify(store, NULL, 0, NULL), KFL_E_INVALID, "out_findings") \
    X(kfl_store_verify(store, too_long, 0, &findings), KFL_E_INVALID_TOPIC, "249") \
    X(kfl_store_repair(NULL, "/tmp/copy", &findings), KFL_E_INVALID, "path") \
    X(kfl_store_repair("/nowhere", "/tmp/copy", NULL), KFL_E_INVALID, "out_findings") \
    X(kfl_store_repair(too_long, "/tmp/copy", &findings), KFL_E_IO, "cannot open") \
    X(kfl_store_repair(":memory:", "/tmp/copy", &findings), KFL_E_NOT_FOUND, "directory") \
    X(kfl_history_list(NULL, &history), KFL_E_INVALID, "store") \
    X(kfl_history_list(store, NULL), KFL_E_INVALID, "out_history") \
    X(kfl_stats_open(NULL, &stats), KFL_E_INVALID, "store") \
    X(kfl_stats_open(store, NULL), KFL_E_INVALID, "out_stats") \
    X(kfl_stats_next(NULL, &text, &text, &small, &number), KFL_E_INVALID, "stats")
// clang-format on

static void argument_check(int r, int code, const char *word, const char *call)
{
    if (code == 0) {
        ck_assert_msg(r >= 0, "%s: %s: %s", call, kfl_error_name(r), kfl_last_error());
        return;
    }
    ck_assert_msg(r == code, "%s: %s: %s", call, kfl_error_name(r), kfl_last_error());
    ck_assert_int_eq(kfl_last_error_code(), code);
    ck_assert_msg(kfl_last_error()[0] != '\0' && strstr(kfl_last_error(), word) != NULL,
                  "%s: no \"%s\" in: %s", call, word, kfl_last_error());
}

START_TEST(nonsense_is_an_error_that_names_it)
{
#define X(call, code, word) argument_check(call, code, word, #call);
    ARGUMENTS_MAP(X)
#undef X
    /* And none of it changed anything. */
    ck_assert_int_eq(end_of("t", 0), 1);
    ck_assert_int_eq(end_of("t", 1), 0);
    ck_assert_int_eq(end_of("c", 0), 0);
    ck_assert_int_eq(OK(kfl_topic_partition_count(store, "t")), 2);
}
END_TEST

/* Lists by an index that they do not have, and no list at all. */
START_TEST(what_a_list_does_not_have_is_nothing)
{
    static const int32_t indexes[] = {INT32_MIN, -1, 1, INT32_MAX};
    for (size_t i = 0; i < sizeof indexes / sizeof *indexes; i++) {
        ck_assert_ptr_null(kfl_records_get(batch, indexes[i]));
        ck_assert_ptr_null(kfl_records_topic(batch, indexes[i]));
        ck_assert_ptr_null(kfl_records_get(NULL, indexes[i]));
        ck_assert_ptr_null(kfl_names_get(NULL, indexes[i]));
        ck_assert_ptr_null(kfl_offsets_get(NULL, indexes[i]));
        ck_assert_ptr_null(kfl_plan_get(NULL, indexes[i]));
        ck_assert_ptr_null(kfl_segments_get(NULL, indexes[i]));
        ck_assert_ptr_null(kfl_findings_get(NULL, indexes[i]));
        ck_assert_ptr_null(kfl_history_get(NULL, indexes[i]));
        ck_assert_ptr_null(kfl_group_member(NULL, indexes[i]));
    }
    ck_assert_ptr_null(kfl_property_name(INT32_MIN));
    ck_assert_ptr_null(kfl_property_name(INT32_MAX));
    ck_assert_ptr_null(kfl_property_text(NULL));
    ck_assert_ptr_null(kfl_property_text(too_long));
    ck_assert_ptr_nonnull(kfl_error_name(INT_MIN));
    ck_assert_ptr_nonnull(kfl_error_text(INT_MAX));
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("arguments");
    TCase *tests = tcase_create("arguments");
    tcase_add_checked_fixture(tests, arguments_set_up, arguments_tear_down);
    tcase_add_test(tests, nonsense_is_an_error_that_names_it);
    tcase_add_test(tests, what_a_list_does_not_have_is_nothing);
    suite_add_tcase(suite, tests);
    return suite;
}
