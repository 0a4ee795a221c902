/* SPDX-License-Identifier: MIT */
/* A store, and short ways to send and to poll. Only the public calls. */
#ifndef KFL_TESTS_API_STORE_FIXTURE_H
#define KFL_TESTS_API_STORE_FIXTURE_H

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kafkalite.h"
#include "suite.h"
#include "temp_dir.h"

/* What a child opens a store with: the thread sanitizer lets no thread begin in it. */
#if defined(__SANITIZE_THREAD__)
#define IN_A_CHILD WITH("background.threads", "0")
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define IN_A_CHILD WITH("background.threads", "0")
#endif
#endif
#ifndef IN_A_CHILD
#define IN_A_CHILD NULL
#endif

#define NOW_MS INT64_C(1700000000000)
#define WITH(...) ((const char *const[]){__VA_ARGS__, NULL})

#define OK(call) fixture_ok(call, #call)
#define FAILS(code, call) fixture_fails(code, call, #call)

static kfl_store *store;

static inline int fixture_ok(int r, const char *call)
{
    ck_assert_msg(r >= 0, "%s: %s: %s", call, kfl_error_name(r), kfl_last_error());
    return r;
}

/* The code, and a text that goes with it. */
static inline void fixture_fails(int code, int r, const char *call)
{
    ck_assert_msg(r == code, "%s: %s (%d), not %s: %s", call, kfl_error_name(r), r,
                  kfl_error_name(code), kfl_last_error());
    ck_assert_int_eq(kfl_last_error_code(), code);
    ck_assert_msg(kfl_last_error()[0] != '\0', "%s: no text", call);
}

/* Names and values in turn; NULL for no config at all. */
static inline kfl_config *config_of(const char *const *properties)
{
    kfl_config *config = NULL;
    if (properties == NULL)
        return NULL;
    OK(kfl_config_create(&config));
    for (; properties[0] != NULL; properties += 2)
        OK(kfl_config_set(config, properties[0], properties[1]));
    return config;
}

static inline kfl_store *open_store(const char *path, const char *const *properties)
{
    kfl_config *config = config_of(properties);
    kfl_store *opened = NULL;
    OK(kfl_store_open(path, config, &opened));
    kfl_config_destroy(config);
    return opened;
}

/* In memory, with a helper. */
static inline void memory_set_up(void)
{
    store = open_store(":memory:", NULL);
}

static inline void memory_tear_down(void)
{
    kfl_store_close(store);
    store = NULL;
}

/* In a folder, without a helper: nothing happens that the test does not do. */
static inline void disk_set_up(void)
{
    temp_dir_make();
    store = open_store(temp_dir_path(), WITH("background.threads", "0"));
}

static inline void disk_tear_down(void)
{
    kfl_store_close(store);
    store = NULL;
    temp_dir_remove();
}

static inline void disk_reopen(void)
{
    OK(kfl_store_close(store));
    store = open_store(temp_dir_path(), WITH("background.threads", "0"));
}

static inline int try_topic(const char *name, int32_t partition_count,
                            const char *const *properties)
{
    kfl_config *config = config_of(properties);
    int r = kfl_topic_create(store, name, partition_count, config);
    kfl_config_destroy(config);
    return r;
}

static inline void make_topic(const char *name, int32_t partition_count,
                              const char *const *properties)
{
    OK(try_topic(name, partition_count, properties));
}

static inline kfl_producer *open_producer(const char *const *properties)
{
    kfl_config *config = config_of(properties);
    kfl_producer *producer = NULL;
    OK(kfl_producer_open(store, config, &producer));
    kfl_config_destroy(config);
    return producer;
}

static inline kfl_consumer *open_consumer(const char *const *properties)
{
    kfl_config *config = config_of(properties);
    kfl_consumer *consumer = NULL;
    OK(kfl_consumer_open(store, config, &consumer));
    kfl_config_destroy(config);
    return consumer;
}

static inline int64_t end_of(const char *topic, int32_t partition)
{
    int64_t offset = -99;
    OK(kfl_topic_end_offset(store, topic, partition, &offset));
    return offset;
}

static inline int64_t start_of(const char *topic, int32_t partition)
{
    int64_t offset = -99;
    OK(kfl_topic_start_offset(store, topic, partition, &offset));
    return offset;
}

/* What the call answered. Strings; NULL is missing. */
static inline int try_send(kfl_producer *producer, const char *topic, int32_t partition,
                           const char *key, const char *value, int64_t timestamp_ms,
                           int64_t *out_offset)
{
    return kfl_producer_send(producer, topic, partition, key, key != NULL ? strlen(key) : 0, value,
                             value != NULL ? strlen(value) : 0, NULL, 0, timestamp_ms, out_offset);
}

/* The offset that it got. */
static inline int64_t send_at(kfl_producer *producer, const char *topic, int32_t partition,
                              const char *key, const char *value, int64_t timestamp_ms)
{
    int64_t offset = -99;
    OK(try_send(producer, topic, partition, key, value, timestamp_ms, &offset));
    return offset;
}

static inline int64_t send_value(kfl_producer *producer, const char *topic, int32_t partition,
                                 const char *value)
{
    return send_at(producer, topic, partition, NULL, value, KFL_TIMESTAMP_NOW);
}

/* `count` records "v<offset>", padded to `size` bytes when that is more; each a batch. */
static inline void send_many(const char *topic, int32_t partition, int32_t count, size_t size)
{
    kfl_producer *producer = open_producer(NULL);
    size_t room = size > 32 ? size : 32;
    char *value = malloc(room);
    int64_t end = end_of(topic, partition), offset;
    for (int32_t i = 0; i < count; i++) {
        memset(value, '.', room);
        size_t text = (size_t)snprintf(value, 32, "v%" PRId64, end + i);
        value[text] = '.';
        OK(kfl_producer_send(producer, topic, partition, NULL, 0, value, text > size ? text : size,
                             NULL, 0, NOW_MS + end + i, &offset));
        ck_assert_int_eq(offset, end + i);
    }
    free(value);
    OK(kfl_producer_close(producer));
}

/* `count` records "v<offset>" as one batch. */
static inline void send_batch(kfl_producer *producer, const char *topic, int32_t partition,
                              int32_t count)
{
    kfl_packed_row *rows = calloc((size_t)count, sizeof *rows);
    char *bytes = malloc((size_t)count * 24);
    size_t size = 0;
    int64_t end = end_of(topic, partition);
    for (int32_t i = 0; i < count; i++) {
        int length = sprintf(bytes + size, "v%" PRId64, end + i);
        rows[i] = (kfl_packed_row){.timestamp_ms = NOW_MS + end + i,
                                   .partition = partition,
                                   .key_size = -1,
                                   .value_size = length};
        size += (size_t)length;
    }
    ck_assert_int_eq(
        OK(kfl_producer_send_packed(producer, topic, rows, (size_t)count, bytes, size)), count);
    for (int32_t i = 0; i < count; i++)
        ck_assert_int_eq(rows[i].offset, end + i);
    free(rows);
    free(bytes);
}

static inline void assign_at(kfl_consumer *consumer, const char *topic, int32_t partition,
                             int64_t offset)
{
    kfl_partition_offset wish = {.topic = topic, .partition = partition, .offset = offset};
    OK(kfl_consumer_assign(consumer, &wish, 1));
}

static inline int64_t position_of(kfl_consumer *consumer, const char *topic, int32_t partition)
{
    int64_t offset = -99;
    OK(kfl_consumer_position(consumer, topic, partition, &offset));
    return offset;
}

static inline int64_t committed_of(kfl_consumer *consumer, const char *topic, int32_t partition)
{
    kfl_partition_offset wish = {.topic = topic, .partition = partition};
    kfl_offsets *offsets = NULL;
    OK(kfl_consumer_committed(consumer, &wish, 1, &offsets));
    ck_assert_int_eq(kfl_offsets_count(offsets), 1);
    int64_t offset = kfl_offsets_get(offsets, 0)->offset;
    kfl_offsets_release(offsets);
    return offset;
}

/* Is the value of the record "v<offset>", perhaps padded? */
static inline void check_value(const kfl_record *record)
{
    char text[32];
    size_t size = (size_t)snprintf(text, sizeof text, "v%" PRId64, record->offset);
    ck_assert_uint_ge(record->value_size, size);
    ck_assert_mem_eq(record->value, text, size);
    ck_assert(record->value_size == size || ((const char *)record->value)[size] == '.');
}

/* Poll until nothing is there: the records of one partition from `next` on, as send_many wrote. */
static inline int64_t read_on(kfl_consumer *consumer, int64_t next)
{
    for (;;) {
        kfl_records *records = NULL;
        int n = OK(kfl_consumer_poll(consumer, 0, 0, &records));
        if (n == 0)
            return next;
        for (int32_t i = 0; i < n; i++) {
            const kfl_record *record = kfl_records_get(records, i);
            ck_assert_int_eq(record->offset, next);
            check_value(record);
            next++;
        }
        kfl_records_release(records);
    }
}

/* One record, which must be there; its rows stay until the release. */
static inline const kfl_record *poll_one(kfl_consumer *consumer, kfl_records **out_records)
{
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 1000, 1, out_records)), 1);
    return kfl_records_get(*out_records, 0);
}

static inline void check_bytes(const void *bytes, size_t size, const char *expected)
{
    if (expected == NULL) {
        ck_assert_ptr_null(bytes);
        ck_assert_uint_eq(size, 0);
    } else {
        ck_assert_ptr_nonnull(bytes);
        ck_assert_uint_eq(size, strlen(expected));
        ck_assert_mem_eq(bytes, expected, size);
    }
}

/* A number of the statistics. */
static inline int64_t stat_of(const char *name, const char *topic, int32_t partition)
{
    kfl_stats *stats = NULL;
    const char *at, *of;
    int32_t number;
    int64_t value;
    OK(kfl_stats_open(store, &stats));
    while (OK(kfl_stats_next(stats, &at, &of, &number, &value)) == 1)
        if (strcmp(at, name) == 0 && strcmp(of, topic) == 0 && number == partition) {
            kfl_stats_close(stats);
            return value;
        }
    kfl_stats_close(stats);
    ck_abort_msg("no statistic %s of \"%s\" %d", name, topic, partition);
    return -1;
}

static inline int32_t segment_count_of(const char *topic, int32_t partition)
{
    kfl_segments *segments = NULL;
    int32_t used = 0;
    OK(kfl_segments_list(store, topic, partition, &segments));
    for (int32_t i = 0; i < kfl_segments_count(segments); i++)
        used += kfl_segments_get(segments, i)->state != KFL_SEGMENT_PREPARED;
    kfl_segments_release(segments);
    return used;
}

static inline int ends_with_no_full_stop(const char *text)
{
    size_t size = strlen(text);
    return size > 0 && text[size - 1] != '.';
}

#endif
