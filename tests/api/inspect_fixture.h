/* SPDX-License-Identifier: MIT */
/* A store with records in several segments, and ways to damage its files. Only the public calls. */
#ifndef KFL_TESTS_API_INSPECT_FIXTURE_H
#define KFL_TESTS_API_INSPECT_FIXTURE_H

#include <check.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kafkalite.h"
#include "temp_dir.h"

#define NOW_MS INT64_C(1700000000000)
#define OK(call) inspect_ok(call, #call)

static kfl_store *store;

static inline int inspect_ok(int r, const char *call)
{
    ck_assert_msg(r >= 0, "%s: %s: %s", call, kfl_error_name(r), kfl_last_error());
    return r;
}

/* Without a helper: nothing happens that the test does not do. */
static inline kfl_store *inspect_open(const char *property, const char *value)
{
    kfl_config *config;
    kfl_store *opened;
    OK(kfl_config_create(&config));
    OK(kfl_config_set(config, "background.threads", "0"));
    if (property != NULL)
        OK(kfl_config_set(config, property, value));
    OK(kfl_store_open(temp_dir_path(), config, &opened));
    kfl_config_destroy(config);
    return opened;
}

static inline void inspect_set_up(void)
{
    temp_dir_make();
    store = inspect_open(NULL, NULL);
}

static inline void inspect_tear_down(void)
{
    kfl_store_close(store);
    temp_dir_remove();
}

static inline void inspect_reopen(void)
{
    OK(kfl_store_close(store));
    store = inspect_open(NULL, NULL);
}

/* Segments of 64 KiB. */
static inline void inspect_topic(const char *name, int32_t partition_count, const char *property,
                                 const char *value)
{
    kfl_config *config;
    OK(kfl_config_create(&config));
    OK(kfl_config_set(config, "segment.bytes", "65536"));
    if (property != NULL)
        OK(kfl_config_set(config, property, value));
    OK(kfl_topic_create(store, name, partition_count, config));
    kfl_config_destroy(config);
}

/* `count` batches of one record each, keys k<offset>, of `value_size` bytes. */
static inline void inspect_send(const char *topic, int32_t partition, int count, size_t value_size)
{
    kfl_producer *producer;
    char key[32];
    char *value = malloc(value_size + 1);
    memset(value, 'v', value_size);
    OK(kfl_producer_open(store, NULL, &producer));
    for (int i = 0; i < count; i++) {
        int64_t end, offset;
        OK(kfl_topic_end_offset(store, topic, partition, &end));
        int size = snprintf(key, sizeof key, "k%" PRId64, end);
        OK(kfl_producer_send(producer, topic, partition, key, (size_t)size, value, value_size, NULL,
                             0, NOW_MS + end, &offset));
        ck_assert_int_eq(offset, end);
    }
    OK(kfl_producer_close(producer));
    free(value);
}

/* The i-th file of a partition: its row, whose path stays for the next 15 calls. */
static inline kfl_segment inspect_segment(const char *topic, int32_t partition, int32_t index)
{
    static char paths[16][1024];
    static unsigned next;
    char *path = paths[next++ % 16];
    kfl_segments *segments;
    OK(kfl_segments_list(store, topic, partition, &segments));
    const kfl_segment *row = kfl_segments_get(segments, index);
    ck_assert_ptr_nonnull(row);
    kfl_segment segment = *row;
    snprintf(path, sizeof paths[0], "%s", row->path);
    segment.path = path;
    kfl_segments_release(segments);
    return segment;
}

static inline int32_t inspect_segment_count(const char *topic, int32_t partition)
{
    kfl_segments *segments;
    OK(kfl_segments_list(store, topic, partition, &segments));
    int32_t count = kfl_segments_count(segments);
    kfl_segments_release(segments);
    return count;
}

/* Where the n-th batch of a file stands. */
static inline kfl_batch inspect_batch(const char *path, int n)
{
    kfl_walk *walk;
    const kfl_batch *at;
    OK(kfl_walk_open(path, &walk));
    for (int i = 0; i <= n; i++)
        ck_assert_int_eq(kfl_walk_next(walk, &at), 1);
    kfl_batch batch = *at;
    kfl_walk_close(walk);
    return batch;
}

static inline void inspect_write(const char *path, int64_t place, const void *bytes, size_t size)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pwrite(fd, bytes, size, place), (ssize_t)size);
    close(fd);
}

static inline void inspect_flip(const char *path, int64_t place)
{
    uint8_t byte;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pread(fd, &byte, 1, place), 1);
    byte ^= 0x10;
    ck_assert_int_eq(pwrite(fd, &byte, 1, place), 1);
    close(fd);
}

/* "….log" -> "….offsets" */
static inline const char *inspect_sibling(const char *path, const char *suffix)
{
    static char sibling[1024];
    snprintf(sibling, sizeof sibling, "%s", path);
    char *dot = strrchr(sibling, '.');
    ck_assert_ptr_nonnull(dot);
    snprintf(dot, sizeof sibling - (size_t)(dot - sibling), "%s", suffix);
    return sibling;
}

#endif
