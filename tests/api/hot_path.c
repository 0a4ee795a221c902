/* SPDX-License-Identifier: MIT */
/*
 * Appends, alone or while a consumer spins, or polls, 100,000 records and prints what they cost: "<allocations> <rolls>".
 *
 * Allocations are counted by standing in for the C library's allocator, in this thread only. For a
 * tracer of system calls the measured part stands between two probes of files that do not exist.
 * test_hot_path.sh runs it and judges.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kafkalite.h"

#define RECORD_COUNT 100000

/* glibc's own names for what malloc() and its family do. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static __thread int64_t allocations;
static int64_t measured_allocations;
static _Atomic int spinning;

void *malloc(size_t size)
{
    allocations++;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    allocations++;
    return __libc_calloc(count, size);
}

void *realloc(void *block, size_t size)
{
    allocations++;
    return __libc_realloc(block, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    allocations++;
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **out_block, size_t alignment, size_t size)
{
    allocations++;
    *out_block = __libc_memalign(alignment, size);
    return *out_block == NULL ? ENOMEM : 0;
}

static void check(int r, const char *call)
{
    if (r >= 0)
        return;
    fprintf(stderr, "hot_path: %s: %s: %s\n", call, kfl_error_name(r), kfl_last_error());
    exit(1);
}

static void begin(void)
{
    access("/hot-path/begin", F_OK);
    allocations = 0;
}

static void end(void)
{
    measured_allocations = allocations;
    access("/hot-path/end", F_OK);
}

static void append(kfl_producer *producer, int count)
{
    char key[8] = "key-0000", value[100] = {0};
    for (int i = 0; i < count; i++) {
        int64_t offset;
        memcpy(key + 4, &i, sizeof i);
        check(kfl_producer_send(producer, "hot", KFL_PARTITION_ANY, key, sizeof key, value,
                                sizeof value, NULL, 0, KFL_TIMESTAMP_NOW, &offset),
              "send");
    }
}

static void poll_all(kfl_consumer *consumer, int count)
{
    uint64_t sum = 0;
    while (count > 0) {
        kfl_records *records;
        int r = kfl_consumer_poll(consumer, 0, 0, &records);
        check(r == 0 ? KFL_E_NOT_FOUND : r, "poll");
        for (int32_t i = 0; i < r; i++)
            sum += kfl_records_get(records, i)->value_size;
        kfl_records_release(records);
        count -= r;
    }
    if (sum == 0)
        exit(1);
}

/* Somebody who reads along and never sleeps. */
static void *spin(void *context)
{
    kfl_consumer *consumer = context;
    while (atomic_load(&spinning) != 0) {
        kfl_records *records;
        int r = kfl_consumer_poll(consumer, 0, 0, &records);
        check(r, "poll");
        if (r > 0)
            kfl_records_release(records);
    }
    return NULL;
}

static void append_watched(kfl_producer *producer, kfl_consumer *consumer)
{
    pthread_t thread;
    atomic_store(&spinning, 1);
    check(pthread_create(&thread, NULL, spin, consumer) == 0 ? 0 : KFL_E_NOMEM, "thread");
    begin();
    append(producer, RECORD_COUNT);
    end();
    atomic_store(&spinning, 0);
    pthread_join(thread, NULL);
}

static int32_t segment_count(kfl_store *store)
{
    kfl_segments *segments;
    check(kfl_segments_list(store, "hot", 0, &segments), "segments");
    int32_t count = kfl_segments_count(segments);
    kfl_segments_release(segments);
    return count;
}

int main(int argc, char **argv)
{
    kfl_store *store;
    kfl_producer *producer;
    kfl_consumer *consumer;
    kfl_partition_offset from = {.topic = "hot", .offset = KFL_OFFSET_BEGINNING};
    if (argc != 3) {
        fprintf(stderr, "usage: hot_path DIRECTORY append|watched|poll\n");
        return 2;
    }
    check(kfl_store_open(argv[1], NULL, &store), "open");
    check(kfl_topic_create(store, "hot", 1, NULL), "create");
    check(kfl_producer_open(store, NULL, &producer), "producer");
    check(kfl_consumer_open(store, NULL, &consumer), "consumer");
    check(kfl_consumer_assign(consumer, &from, 1), "assign");

    append(producer, RECORD_COUNT);
    int32_t rolls = segment_count(store);
    if (strcmp(argv[2], "append") == 0) {
        begin();
        append(producer, RECORD_COUNT);
        end();
    } else if (strcmp(argv[2], "watched") == 0) {
        append_watched(producer, consumer);
    } else {
        append(producer, RECORD_COUNT);
        poll_all(consumer, RECORD_COUNT);
        begin();
        poll_all(consumer, RECORD_COUNT);
        end();
    }
    rolls = segment_count(store) - rolls;
    printf("%" PRId64 " %" PRId32 "\n", measured_allocations, rolls);
    check(kfl_consumer_close(consumer), "close");
    check(kfl_producer_close(producer), "close");
    check(kfl_store_close(store), "close");
    return 0;
}
