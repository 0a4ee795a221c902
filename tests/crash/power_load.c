/* SPDX-License-Identifier: MIT */
/* What a power cut interrupts: one process, one or more threads, all of the library that touches a disk. */
#include "power.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "kafkalite.h"
#include "records.h"

#define PACKED_MAX 8
#define VALUE_MAX 40000
#define THREADS_MAX 3u

struct load_thread {
    const struct power_load *load;
    kfl_store *store;
    kfl_producer *one, *all, *lingering;
    kfl_consumer *consumer;
    struct chance chance;
    uint32_t sender;
    uint64_t sequence;
    int32_t partitions;
    int failed;
};

static int load_fail(struct load_thread *thread, const char *what)
{
    fprintf(stderr, "workload %llu: %s: %s\n", (unsigned long long)thread->load->seed, what,
            kfl_last_error());
    return thread->failed = 1;
}

static void load_mark(uint32_t kind, int32_t partition, uint32_t sender, uint64_t sequence,
                      int64_t offset, bool durable)
{
    struct power_mark mark = {kind, partition, sender, durable, sequence, offset};
    /* What is about to happen has changed nothing; of many that were told at once the first one compares. */
    bool before = kind == POWER_BEGUN || kind == POWER_COMMIT_BEGUN || kind == POWER_DELETE_BEGUN ||
                  (sender == POWER_BURST && sequence % 64 != 1);
    recorder_mark(&mark, sizeof mark, !before);
}

static size_t load_size(struct load_thread *thread)
{
    uint64_t kind = chance_below(&thread->chance, 20);
    return sizeof(struct told) + (kind == 0  ? chance_below(&thread->chance, 30000)
                                  : kind < 4 ? chance_below(&thread->chance, 3000)
                                             : chance_below(&thread->chance, 200));
}

/* In a compacted topic each record has a key of its own, so that every one stays: what was written beside it. */
static const void *load_key(const struct load_thread *thread, const uint8_t *value)
{
    return thread->load->compacting ? value : NULL;
}

static size_t load_key_size(const struct load_thread *thread)
{
    return thread->load->compacting ? sizeof(struct told) : 0;
}

static int load_send(struct load_thread *thread, kfl_producer *producer, bool durable)
{
    static _Thread_local uint8_t value[VALUE_MAX];
    int64_t offset = -1;
    size_t size = load_size(thread);
    int32_t partition = (int32_t)chance_below(&thread->chance, (uint64_t)thread->partitions);
    uint64_t sequence = ++thread->sequence;
    told_write(value, thread->sender, sequence, size);
    load_mark(POWER_BEGUN, partition, thread->sender, sequence, 0, false);
    int r =
        kfl_producer_send(producer, POWER_TOPIC, partition, load_key(thread, value),
                          load_key_size(thread), value, size, NULL, 0, KFL_TIMESTAMP_NOW, &offset);
    if (r < 0)
        return load_fail(thread, "send");
    load_mark(POWER_TOLD, partition, thread->sender, sequence, offset, durable);
    return 0;
}

static int load_packed(struct load_thread *thread, kfl_producer *producer, bool durable)
{
    static _Thread_local uint8_t bytes[PACKED_MAX * (VALUE_MAX + sizeof(struct told))];
    kfl_packed_row rows[PACKED_MAX];
    uint64_t count = 1 + chance_below(&thread->chance, PACKED_MAX), first = thread->sequence + 1;
    size_t used = 0;
    memset(rows, 0, sizeof rows);
    for (uint64_t i = 0; i < count; i++) {
        size_t size = sizeof(struct told) + chance_below(&thread->chance, 600);
        told_write(bytes + used, thread->sender, ++thread->sequence, size);
        if (thread->load->compacting) {
            memmove(bytes + used + load_key_size(thread), bytes + used, size);
            used += load_key_size(thread);
        }
        used += size;
        rows[i].timestamp_ms = KFL_TIMESTAMP_NOW;
        rows[i].partition = (int32_t)chance_below(&thread->chance, (uint64_t)thread->partitions);
        rows[i].key_size = thread->load->compacting ? (int32_t)load_key_size(thread) : -1;
        rows[i].value_size = (int32_t)size;
    }
    load_mark(POWER_BEGUN, 0, thread->sender, thread->sequence, 0, false);
    if (kfl_producer_send_packed(producer, POWER_TOPIC, rows, count, bytes, used) < 0)
        return load_fail(thread, "send_packed");
    for (uint64_t i = 0; i < count; i++)
        load_mark(POWER_TOLD, rows[i].partition, thread->sender, first + i, rows[i].offset,
                  durable);
    return 0;
}

/* More records than a step of the floor has numbers. */
static int load_burst(struct load_thread *thread)
{
    enum { ROWS = 64, ROUNDS = 66, SIZE = sizeof(struct told) };
    uint8_t bytes[ROWS * SIZE];
    kfl_packed_row rows[ROWS];
    uint64_t sequence = 0;
    for (int round = 0; round < ROUNDS; round++) {
        memset(rows, 0, sizeof rows);
        for (int i = 0; i < ROWS; i++) {
            told_write(bytes + i * SIZE, POWER_BURST, sequence + (uint64_t)i + 1, SIZE);
            rows[i].timestamp_ms = KFL_TIMESTAMP_NOW;
            rows[i].key_size = -1;
            rows[i].value_size = SIZE;
        }
        load_mark(POWER_BEGUN, 0, POWER_BURST, sequence + ROWS, 0, false);
        if (kfl_producer_send_packed(thread->one, POWER_TOPIC, rows, ROWS, bytes, sizeof bytes) < 0)
            return load_fail(thread, "burst");
        for (int i = 0; i < ROWS; i++)
            load_mark(POWER_TOLD, 0, POWER_BURST, ++sequence, rows[i].offset, false);
    }
    return 0;
}

static int load_linger(struct load_thread *thread)
{
    uint8_t value[512];
    uint64_t count = 1 + chance_below(&thread->chance, 6), first = thread->sequence + 1;
    int32_t partition = (int32_t)chance_below(&thread->chance, (uint64_t)thread->partitions);
    load_mark(POWER_BEGUN, 0, thread->sender, thread->sequence + count, 0, false);
    for (uint64_t i = 0; i < count; i++) {
        size_t size = sizeof(struct told) + chance_below(&thread->chance, 200);
        told_write(value, thread->sender, ++thread->sequence, size);
        if (kfl_producer_send(thread->lingering, POWER_TOPIC, partition, load_key(thread, value),
                              load_key_size(thread), value, size, NULL, 0, KFL_TIMESTAMP_NOW,
                              NULL) < 0)
            return load_fail(thread, "send");
    }
    if (kfl_producer_flush(thread->lingering, 10000) < 0)
        return load_fail(thread, "flush");
    for (uint64_t i = 0; i < count; i++)
        load_mark(POWER_TOLD, partition, thread->sender, first + i, -1, true);
    return 0;
}

static int load_durable(struct load_thread *thread)
{
    int32_t partition = (int32_t)chance_below(&thread->chance, (uint64_t)thread->partitions);
    int64_t end;
    if (kfl_topic_end_offset(thread->store, POWER_TOPIC, partition, &end) < 0 ||
        kfl_topic_wait_durable(thread->store, POWER_TOPIC, partition, end, 10000) < 0)
        return load_fail(thread, "wait_durable");
    load_mark(POWER_DURABLE, partition, 0, 0, end, true);
    return 0;
}

static int load_commit(struct load_thread *thread)
{
    int32_t partition = (int32_t)chance_below(&thread->chance, (uint64_t)thread->partitions);
    kfl_partition_offset offset = {.topic = POWER_TOPIC, .partition = partition};
    if (kfl_topic_end_offset(thread->store, POWER_TOPIC, partition, &offset.offset) < 0)
        return load_fail(thread, "end_offset");
    load_mark(POWER_COMMIT_BEGUN, partition, 0, 0, offset.offset, false);
    if (kfl_consumer_commit_offsets(thread->consumer, &offset, 1) < 0)
        return load_fail(thread, "commit");
    load_mark(POWER_COMMITTED, partition, 0, 0, offset.offset, true);
    return 0;
}

static int load_delete(struct load_thread *thread)
{
    int32_t partition = (int32_t)chance_below(&thread->chance, (uint64_t)thread->partitions);
    int64_t start, end, upto, now;
    if (kfl_topic_start_offset(thread->store, POWER_TOPIC, partition, &start) < 0 ||
        kfl_topic_end_offset(thread->store, POWER_TOPIC, partition, &end) < 0)
        return load_fail(thread, "offsets");
    upto = start + (int64_t)chance_below(&thread->chance, (uint64_t)(end - start) + 1);
    load_mark(POWER_DELETE_BEGUN, partition, 0, 0, upto, false);
    if (kfl_topic_delete_records(thread->store, POWER_TOPIC, partition, upto, &now) < 0)
        return load_fail(thread, "delete_records");
    load_mark(POWER_DELETED, partition, 0, 0, upto, true);
    return 0;
}

static int load_step(struct load_thread *thread)
{
    uint64_t dice = chance_below(&thread->chance, 100);
    if (dice < 44)
        return load_send(thread, thread->one, false);
    if (dice < 58)
        return load_send(thread, thread->all, true);
    if (dice < 68)
        return load_packed(thread, thread->one, false);
    if (dice < 76)
        return load_packed(thread, thread->all, true);
    if (dice < 80)
        return load_linger(thread);
    if (dice < 86)
        return load_durable(thread);
    /* One commits, so that each commit is above the one before. */
    if (dice < 91)
        return thread->sender % THREADS_MAX == 0 ? load_commit(thread) : load_durable(thread);
    if (dice < 94)
        return load_delete(thread);
    if (kfl_store_maintain(thread->store, -1, NULL) < 0)
        return load_fail(thread, "maintain");
    if (thread->load->compacting &&
        kfl_topic_compact(thread->store, POWER_TOPIC, KFL_COMPACT_FORCE | KFL_COMPACT_ROLL, -1,
                          NULL) < 0)
        return load_fail(thread, "compact");
    return 0;
}

static void *load_thread_run(void *context)
{
    struct load_thread *thread = context;
    for (int32_t i = 0; i < thread->load->steps && thread->failed == 0; i++)
        if (thread->sequence + 3 * PACKED_MAX < POWER_SEQUENCES)
            load_step(thread);
    return NULL;
}

static int load_producer(kfl_store *store, const char *acks, const char *linger,
                         kfl_producer **out_producer)
{
    kfl_config *config = NULL;
    int r = kfl_config_create(&config);
    if (r == 0)
        r = kfl_config_set(config, "acks", acks);
    if (r == 0)
        r = kfl_config_set(config, "linger.ms", linger);
    if (r == 0)
        r = kfl_producer_open(store, config, out_producer);
    kfl_config_destroy(config);
    return r;
}

static int load_open(struct load_thread *thread, bool background)
{
    kfl_config *store_config = NULL, *group_config = NULL;
    int r = kfl_config_create(&store_config);
    if (r == 0)
        r = kfl_config_set(store_config, "background.threads", background ? "1" : "0");
    if (r == 0)
        r = kfl_config_set(store_config, "flush.ms", background ? "3" : "1000");
    if (r == 0)
        r = kfl_store_open(thread->load->folder, store_config, &thread->store);
    if (r == 0)
        r = load_producer(thread->store, "1", "0", &thread->one);
    if (r == 0)
        r = load_producer(thread->store, "all", "0", &thread->all);
    if (r == 0)
        r = load_producer(thread->store, "all", "1000", &thread->lingering);
    if (r == 0)
        r = kfl_config_create(&group_config);
    if (r == 0)
        r = kfl_config_set(group_config, "group.id", POWER_GROUP);
    if (r == 0)
        r = kfl_consumer_open(thread->store, group_config, &thread->consumer);
    kfl_config_destroy(store_config);
    kfl_config_destroy(group_config);
    return r < 0 ? load_fail(thread, "open") : 0;
}

static int load_create(struct load_thread *thread)
{
    kfl_config *config = NULL;
    int r = kfl_config_create(&config);
    if (r == 0)
        r = kfl_config_set(config, "segment.bytes", "65536");
    if (r == 0 && thread->load->compacting)
        r = kfl_config_set(config, "cleanup.policy", "compact,delete");
    if (r == 0)
        r = kfl_topic_create(thread->store, POWER_TOPIC, thread->partitions, config);
    kfl_config_destroy(config);
    if (r < 0 && r != KFL_E_TOPIC_ALREADY_EXISTS)
        return load_fail(thread, "create");
    load_mark(POWER_CREATED, 0, 0, 0, thread->partitions, true);
    return 0;
}

int power_load_run(const struct power_load *load)
{
    struct load_thread threads[THREADS_MAX];
    pthread_t ids[THREADS_MAX];
    struct chance chance = {load->seed};
    int32_t partitions = 1 + (int32_t)chance_below(&chance, POWER_PARTITIONS_MAX);
    uint32_t count = chance_below(&chance, 4) == 0 ? THREADS_MAX : 1;
    bool background = chance_below(&chance, 4) == 0;
    struct load_thread first = {.load = load, .partitions = partitions};

    if (load->fault != NULL)
        setenv("KAFKALITE_FAULT", load->fault, 1);
    recorder_start(load->folder, load->trace, load->lies);
    if (load_open(&first, background) != 0 || load_create(&first) != 0)
        return 1;
    if (chance_below(&chance, 4) == 0 && load->phase == 0 && !load->compacting &&
        load_burst(&first) != 0)
        return 1;
    for (uint32_t i = 0; i < count; i++) {
        threads[i] = first;
        threads[i].sender = (uint32_t)load->phase * THREADS_MAX + i;
        threads[i].chance = (struct chance){load->seed * 31 + threads[i].sender + 7};
        if (pthread_create(&ids[i], NULL, load_thread_run, &threads[i]) != 0)
            return 1;
    }
    int failed = 0;
    for (uint32_t i = 0; i < count; i++) {
        pthread_join(ids[i], NULL);
        failed |= threads[i].failed;
    }
    if (load->kill)
        recorder_kill();
    kfl_consumer_close(first.consumer);
    if (kfl_producer_close(first.one) < 0 || kfl_producer_close(first.all) < 0 ||
        kfl_producer_close(first.lingering) < 0 || kfl_store_close(first.store) < 0)
        return load_fail(&first, "close");
    recorder_stop();
    return failed;
}
