/* SPDX-License-Identifier: MIT */
/*
 * More producers at once, acks=1, 100-byte values, each thread with a producer of its own.
 *
 * The limit is one thread on one partition. An operation is one record of whichever thread, so a
 * ratio of 2 is twice the records a second. The copy rows say what the machine's memory would
 * allow.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "ours.h"

#define THREADS_MAX 8
#define COPY_BYTES ((size_t)64 << 20)

struct scale {
    char name[16];
    int threads, partitions;
    bool copy; /* no library: each thread fills a map of its own */
    struct bench_source *source;
    struct ours ours;
    char *path, *path_of_map[THREADS_MAX], *map[THREADS_MAX];
    kfl_producer *producers[THREADS_MAX];
    pthread_barrier_t start;
};

struct scale_thread {
    struct scale *scale;
    int index;
    pthread_t thread;
    char error[96];
};

/* Records of a thread in a round. */
static uint64_t scale_count(const struct scale *scale)
{
    if (scale->copy)
        return COPY_BYTES / scale->source->record_size;
    return bench_quick() ? 100000 : 300000;
}

static void scale_send(struct scale_thread *self, int32_t partition, kfl_producer *producer)
{
    const struct bench_source *source = self->scale->source;
    int r = 0;
    for (uint64_t n = 0; n < scale_count(self->scale) && r >= 0; n++) {
        const char *record = bench_source_record(source, n);
        int64_t offset;
        r = kfl_producer_send(producer, OURS_TOPIC, partition, record, BENCH_KEY_SIZE,
                              record + BENCH_KEY_SIZE, source->value_size, NULL, 0,
                              KFL_TIMESTAMP_NOW, &offset);
    }
    if (r < 0)
        snprintf(self->error, sizeof self->error, "send: %s", kfl_last_error());
}

static void *scale_worker(void *opaque)
{
    struct scale_thread *self = opaque;
    struct scale *scale = self->scale;
    pthread_barrier_wait(&scale->start);
    if (scale->copy) {
        char *to = scale->map[self->index];
        for (uint64_t n = 0; n < scale_count(scale); n++) {
            memcpy(to, bench_source_record(scale->source, n), scale->source->record_size);
            to += scale->source->record_size;
        }
        return NULL;
    }
    scale_send(self, self->index % scale->partitions, scale->producers[self->index]);
    return NULL;
}

static int scale_open(struct bench_row *row)
{
    struct scale *scale = row->context;
    scale->path = bench_path(scale->name);
    if (!scale->copy && ours_open(row, scale->path, "1", scale->partitions, true, &scale->ours) < 0)
        return -1;
    for (int i = 0; i < scale->threads; i++) {
        char name[48];
        if (!scale->copy) {
            if (kfl_producer_open(scale->ours.store, NULL, &scale->producers[i]) < 0)
                return ours_failed(row, "producer");
            continue;
        }
        snprintf(name, sizeof name, "%s-%d", scale->name, i);
        scale->path_of_map[i] = bench_path(name);
        scale->map[i] = bench_map(scale->path_of_map[i], COPY_BYTES, true);
    }
    return 0;
}

static void scale_close(struct bench_row *row)
{
    struct scale *scale = row->context;
    for (int i = 0; i < scale->threads; i++) {
        kfl_producer_close(scale->producers[i]);
        bench_unmap(scale->map[i], COPY_BYTES);
        bench_remove(scale->path_of_map[i]);
        free(scale->path_of_map[i]);
    }
    ours_close(&scale->ours);
    bench_remove(scale->path);
    free(scale->path);
}

static double scale_run(struct bench_row *row)
{
    struct scale *scale = row->context;
    struct scale_thread threads[THREADS_MAX];
    bool failed = false;
    memset(threads, 0, sizeof threads);
    pthread_barrier_init(&scale->start, NULL, (unsigned)scale->threads + 1);
    for (int i = 0; i < scale->threads; i++) {
        threads[i].scale = scale;
        threads[i].index = i;
        if (pthread_create(&threads[i].thread, NULL, scale_worker, &threads[i]) != 0)
            bench_die("cannot start a thread");
    }
    int64_t start = bench_now_ns();
    pthread_barrier_wait(&scale->start);
    for (int i = 0; i < scale->threads; i++)
        pthread_join(threads[i].thread, NULL);
    int64_t spent = bench_now_ns() - start;
    for (int i = 0; i < scale->threads; i++) {
        if (threads[i].error[0] != '\0') {
            bench_out(row, "%s", threads[i].error);
            failed = true;
        }
    }
    pthread_barrier_destroy(&scale->start);
    return failed ? -1 : (double)spent / (double)(scale_count(scale) * (uint64_t)scale->threads);
}

struct scale_plan {
    const char *name;
    enum bench_role role;
    int threads, partitions;
    bool copy;
    struct bench_bar bar;
};

int main(int argc, char **argv)
{
    static const struct scale_plan plans[] = {
        {"copy, 1 thread", BENCH_LIMIT, 1, 0, true, {0}},
        {"copy, 2 threads", BENCH_NOTE, 2, 0, true, {BENCH_RATE, 0, 0}},
        {"send, 1 thread", BENCH_LIMIT, 1, 1, false, {0}},
        {"send, 2 threads, 2 partitions", BENCH_OURS, 2, 2, false, {BENCH_RATE, 0, 1.85}},
        {"send, 2 threads, 1 partition", BENCH_OURS, 2, 1, false, {BENCH_RATE, 0, 0.75}},
        {"send, 4 threads, 4 partitions", BENCH_OURS, 4, 4, false, {BENCH_RATE, 0, 0}},
        {"send, 4 threads, 1 partition", BENCH_OURS, 4, 1, false, {BENCH_RATE, 0, 0}},
    };
    enum { ROWS = sizeof plans / sizeof plans[0] };
    static struct scale contexts[ROWS];
    static struct bench_row rows[ROWS];
    bench_start(argc, argv, "scale");
    struct bench_source source = bench_source_create(100);
    for (size_t i = 0; i < ROWS; i++) {
        snprintf(contexts[i].name, sizeof contexts[i].name, "row%zu", i);
        contexts[i].threads = plans[i].threads;
        contexts[i].partitions = plans[i].partitions;
        contexts[i].copy = plans[i].copy;
        contexts[i].source = &source;
        rows[i] =
            (struct bench_row){.name = plans[i].name, .role = plans[i].role, .bar = plans[i].bar};
        rows[i].context = &contexts[i];
        rows[i].bytes = (double)source.record_size;
        rows[i].open = scale_open;
        rows[i].run = scale_run;
        rows[i].close = scale_close;
    }
    bench_table("scaling 8-byte key, 100-byte value", rows, ROWS);
    bench_source_destroy(&source);
    return bench_finish();
}
