/* SPDX-License-Identifier: MIT */
/* The kill test's workers: they append in every way there is, commit, and note what is acknowledged. */
#include "kill.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "chance.h"
#include "kafkalite.h"

#define PACKED_MAX 100

struct worker {
    const struct plan *plan;
    kfl_store *store;
    kfl_producer *one, *all, *lingering, *none;
    kfl_consumer *consumer;
    int32_t number, thread;
    uint32_t sender, lingerer; /* what lingers has an order of its own */
    uint64_t sequence, lingered;
    struct chance chance;
    int failed;
};

static int worker_fail(struct worker *worker, const char *what)
{
    fprintf(stderr, "process %d: %s: %s\n", worker->number, what, kfl_last_error());
    return worker->failed = 1;
}

static void tell(struct worker *worker, uint64_t sequence, int32_t partition, int64_t offset)
{
    if (offset < 0 || offset >= OFFSETS_MAX)
        return;
    atomic_store(&worker->plan->report->told[partition][offset],
                 (uint64_t)worker->sender << 40 | sequence);
    atomic_fetch_add(&worker->plan->report->acknowledged, 1);
}

static int send_one(struct worker *worker, kfl_producer *producer, bool told)
{
    uint8_t value[2048];
    int64_t offset = -1;
    size_t size = sizeof(struct told) +
                  chance_below(&worker->chance, chance_below(&worker->chance, 10) == 0 ? 2000 : 80);
    uint64_t sequence = ++worker->sequence;
    int32_t partition = partition_of(worker->plan, worker->sender, sequence);
    told_write(value, worker->sender, sequence, size);
    if (kfl_producer_send(producer, TOPIC, partition, NULL, 0, value, size, NULL, 0,
                          KFL_TIMESTAMP_NOW, &offset) < 0)
        return worker_fail(worker, "send");
    if (told)
        tell(worker, sequence, partition, offset);
    return 0;
}

static int send_lingering(struct worker *worker)
{
    uint8_t value[64];
    uint64_t sequence = ++worker->lingered;
    told_write(value, worker->lingerer, sequence, sizeof value);
    if (kfl_producer_send(worker->lingering, TOPIC,
                          partition_of(worker->plan, worker->lingerer, sequence), NULL, 0, value,
                          sizeof value, NULL, 0, KFL_TIMESTAMP_NOW, NULL) < 0)
        return worker_fail(worker, "send lingering");
    return 0;
}

static int send_if(struct worker *worker)
{
    uint8_t value[64];
    int64_t offset = -1, end;
    uint64_t sequence = ++worker->sequence;
    int32_t partition = partition_of(worker->plan, worker->sender, sequence);
    told_write(value, worker->sender, sequence, sizeof value);
    if (kfl_topic_end_offset(worker->store, TOPIC, partition, &end) < 0)
        return worker_fail(worker, "end_offset");
    int r = kfl_producer_send_if(worker->one, TOPIC, partition, NULL, 0, value, sizeof value, NULL,
                                 0, KFL_TIMESTAMP_NOW, end, &offset);
    if (r == KFL_E_CONFLICT)
        return 0;
    if (r < 0 || offset != end)
        return worker_fail(worker, "send_if");
    tell(worker, sequence, partition, offset);
    return 0;
}

static int send_packed(struct worker *worker, kfl_producer *producer)
{
    uint8_t bytes[PACKED_MAX * 48];
    kfl_packed_row rows[PACKED_MAX];
    uint64_t first = worker->sequence + 1;
    for (int i = 0; i < PACKED_MAX; i++) {
        told_write(bytes + i * 48, worker->sender, ++worker->sequence, 48);
        rows[i] = (kfl_packed_row){
            .timestamp_ms = KFL_TIMESTAMP_NOW,
            .partition = partition_of(worker->plan, worker->sender, worker->sequence),
            .key_size = -1,
            .value_size = 48,
        };
    }
    if (kfl_producer_send_packed(producer, TOPIC, rows, PACKED_MAX, bytes, sizeof bytes) < 0)
        return worker_fail(worker, "send_packed");
    for (int i = 0; i < PACKED_MAX; i++)
        tell(worker, first + (uint64_t)i, rows[i].partition, rows[i].offset);
    return 0;
}

static int commit(struct worker *worker)
{
    int32_t partition = (int32_t)chance_below(&worker->chance, (uint64_t)worker->plan->partitions);
    kfl_partition_offset offset = {.topic = TOPIC, .partition = partition};
    if (kfl_topic_end_offset(worker->store, TOPIC, partition, &offset.offset) < 0)
        return worker_fail(worker, "end_offset");
    atomic_store(&worker->plan->report->commits[worker->number][partition].begun, offset.offset);
    if (kfl_consumer_commit_offsets(worker->consumer, &offset, 1) < 0)
        return worker_fail(worker, "commit");
    atomic_store(&worker->plan->report->commits[worker->number][partition].done, offset.offset);
    return 0;
}

static int step(struct worker *worker)
{
    if (in_a_run(worker->sequence + 1))
        return send_one(worker, worker->one, true);
    uint64_t dice = chance_below(&worker->chance, 1000);
    if (dice < 300)
        return send_one(worker, worker->one, true);
    if (dice < 320)
        return send_one(worker, worker->all, true);
    if (dice < 340)
        return send_one(worker, worker->none, false);
    if (dice < 360)
        return send_lingering(worker);
    if (dice < 364)
        return kfl_producer_flush(worker->lingering, 30000) < 0 ? worker_fail(worker, "flush") : 0;
    if (dice < 400)
        return send_if(worker);
    if (dice < 403)
        return worker->thread == 0 ? commit(worker) : 0;
    return send_packed(worker, dice < 410 ? worker->all : worker->one);
}

static void *worker_thread(void *context)
{
    struct worker *worker = context;
    struct report *report = worker->plan->report;
    while (atomic_load(&report->stop) == 0 && worker->failed == 0)
        step(worker);
    return NULL;
}

static int open_producer(kfl_store *store, const char *acks, const char *linger,
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

static int open_worker(struct worker *worker)
{
    char group[32];
    kfl_config *config = NULL;
    snprintf(group, sizeof group, "group-%d", worker->number);
    int r = kfl_store_open(worker->plan->folder, NULL, &worker->store);
    if (r == 0)
        r = open_producer(worker->store, "0", "0", &worker->none);
    if (r == 0)
        r = open_producer(worker->store, "1", "0", &worker->one);
    if (r == 0)
        r = open_producer(worker->store, "all", "0", &worker->all);
    if (r == 0)
        r = open_producer(worker->store, "1", "5", &worker->lingering);
    if (r == 0)
        r = kfl_config_create(&config);
    if (r == 0)
        r = kfl_config_set(config, "group.id", group);
    if (r == 0)
        r = kfl_consumer_open(worker->store, config, &worker->consumer);
    kfl_config_destroy(config);
    return r < 0 ? worker_fail(worker, "open") : 0;
}

int run_worker(const struct plan *plan, int32_t number, uint64_t seed)
{
    struct worker first = {.plan = plan, .number = number}, workers[THREADS_MAX];
    pthread_t threads[THREADS_MAX];
    if (open_worker(&first) != 0)
        return 1;
    for (int32_t i = 0; i < plan->threads; i++) {
        workers[i] = first;
        workers[i].thread = i;
        workers[i].sender = atomic_fetch_add(&plan->report->senders, 2) + 1;
        workers[i].lingerer = workers[i].sender + 1;
        workers[i].chance = (struct chance){seed + (uint64_t)i * 7919};
        if (pthread_create(&threads[i], NULL, worker_thread, &workers[i]) != 0)
            return 1;
    }
    int failed = 0;
    for (int32_t i = 0; i < plan->threads; i++) {
        pthread_join(threads[i], NULL);
        failed |= workers[i].failed;
    }
    kfl_consumer_close(first.consumer);
    if (kfl_producer_close(first.none) < 0 || kfl_producer_close(first.one) < 0 ||
        kfl_producer_close(first.all) < 0 || kfl_producer_close(first.lingering) < 0 ||
        kfl_store_close(first.store) < 0)
        return worker_fail(&first, "close");
    return failed;
}
