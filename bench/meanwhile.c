/* SPDX-License-Identifier: MIT */
/*
 * What appends and polls feel of maintenance: one thread appends to a partition, or reads it from its beginning again and
 * again, while another thread compacts the same partition, or deletes its expired segments. Beside it the same with nobody at
 * work. The thread that is measured has a processor to itself and real-time priority, where that is allowed, for at most 0.8 s;
 * the one that maintains, and the store's own, have the rest of the machine. What is polled has been read once before. A row of quantiles has the calls of an earlier row.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "ours.h"

#define DAY_MS INT64_C(86400000)
#define WRITTEN_MS INT64_C(1700000000000)
#define ALONE_NS INT64_C(300000000)
#define MOST_NS INT64_C(800000000)
#define CALLS_MAX 8000000u

enum work { WORK_NONE, WORK_COMPACT, WORK_RETAIN };

struct meanwhile {
    enum work prepared, work; /* what the store is made for; what happens */
    bool polls;
    double tail_ns; /* p99.9 of the round's calls */
};

static struct bench_source source;
static double *calls;
static _Atomic bool over;

struct worker {
    struct ours *ours;
    enum work work;
    int r;
    kfl_progress progress;
    int64_t ns;
    char error[96];
};

static int prepare(struct bench_row *row, const char *path, enum work work, struct ours *out)
{
    uint64_t count = bench_quick() ? 1000000 : 4000000, keys = count / 10;
    kfl_packed_row rows[OURS_PACK];
    char *bytes = malloc(OURS_PACK * source.record_size);
    int r = ours_open(row, path, "1", 1, true, out);
    if (bytes == NULL)
        bench_die("out of memory");
    if (r >= 0)
        r = kfl_store_set_clock(out->store, WRITTEN_MS);
    if (r >= 0 && work == WORK_COMPACT)
        r = kfl_topic_set(out->store, OURS_TOPIC, "cleanup.policy", "compact");
    if (r >= 0 && work == WORK_RETAIN)
        r = kfl_topic_set(out->store, OURS_TOPIC, "segment.bytes", "1048576");
    for (uint64_t n = 0; r >= 0 && n < count; n += OURS_PACK) {
        for (uint64_t i = 0; i < OURS_PACK; i++) {
            uint64_t key = (n * 7919 + i * 31) % keys;
            char *at = bytes + i * source.record_size;
            memcpy(at, bench_source_record(&source, n + i), source.record_size);
            memcpy(at, &key, sizeof key);
            rows[i] = (kfl_packed_row){.timestamp_ms = WRITTEN_MS,
                                       .key_size = (int32_t)BENCH_KEY_SIZE,
                                       .value_size = (int32_t)source.value_size};
        }
        r = kfl_producer_send_packed(out->producer, OURS_TOPIC, rows, OURS_PACK, bytes,
                                     OURS_PACK * source.record_size);
    }
    free(bytes);
    if (r >= 0)
        r = kfl_store_sync(out->store, -1);
    return r < 0 ? ours_failed(row, "fill") : 0;
}

static void *work_thread(void *opaque)
{
    struct worker *worker = opaque;
    int64_t start = bench_now_ns();
    if (worker->work == WORK_COMPACT)
        worker->r = kfl_topic_compact(worker->ours->store, OURS_TOPIC,
                                      KFL_COMPACT_FORCE | KFL_COMPACT_ROLL, -1, &worker->progress);
    else
        worker->r = kfl_topic_retain(worker->ours->store, OURS_TOPIC, &worker->progress);
    if (worker->r < 0)
        snprintf(worker->error, sizeof worker->error, "%s", kfl_last_error());
    worker->ns = bench_now_ns() - start;
    atomic_store(&over, true);
    return NULL;
}

/* The cleaner or the time decides, or there is no more room to note calls. */
static bool goes_on(enum work work, int64_t start, size_t count)
{
    int64_t most = work == WORK_NONE ? ALONE_NS : MOST_NS;
    return !atomic_load_explicit(&over, memory_order_relaxed) && count < CALLS_MAX &&
           bench_now_ns() - start < most;
}

/* The calls, and in *out_records what they have moved. */
static size_t append_all(struct ours *ours, enum work work, uint64_t *out_records)
{
    size_t count = 0;
    int64_t start = bench_now_ns(), before = start;
    for (; goes_on(work, start, count); count++) {
        const char *record = bench_source_record(&source, count);
        if (kfl_producer_send(ours->producer, OURS_TOPIC, 0, record, BENCH_KEY_SIZE,
                              record + BENCH_KEY_SIZE, source.value_size, NULL, 0,
                              WRITTEN_MS + DAY_MS, NULL) < 0)
            break;
        int64_t now = bench_now_ns();
        calls[count] = (double)(now - before);
        before = now;
    }
    *out_records = count;
    return count;
}

static size_t poll_all(struct ours *ours, enum work work, uint64_t *out_records)
{
    kfl_consumer *consumer;
    kfl_partition_offset at = {.topic = OURS_TOPIC};
    size_t count = 0;
    if (kfl_consumer_open(ours->store, NULL, &consumer) < 0)
        return 0;
    (void)kfl_topic_start_offset(ours->store, OURS_TOPIC, 0, &at.offset);
    int r = kfl_consumer_assign(consumer, &at, 1);
    int64_t start = bench_now_ns();
    for (; r >= 0 && goes_on(work, start, count); count++) {
        kfl_records *records = NULL;
        int64_t before = bench_now_ns();
        r = kfl_consumer_poll(consumer, 0, 0, &records);
        calls[count] = (double)(bench_now_ns() - before);
        kfl_records_release(records);
        if (r == KFL_E_EVENT) { /* passed by the deletion */
            kfl_event *event = NULL;
            (void)kfl_consumer_next_event(consumer, &event);
            kfl_event_release(event);
            r = 0;
        } else if (r == 0) {
            (void)kfl_topic_start_offset(ours->store, OURS_TOPIC, 0, &at.offset);
            r = kfl_consumer_assign(consumer, &at, 1);
        } else if (r > 0) {
            *out_records += (uint64_t)r;
        }
    }
    (void)kfl_consumer_close(consumer);
    return r < 0 ? 0 : count;
}

/* The first reading of a file opens it, which is nobody's maintenance: all of them are open before the clock runs. */
static int read_once(struct ours *ours)
{
    kfl_consumer *consumer;
    kfl_partition_offset at = {.topic = OURS_TOPIC};
    if (kfl_consumer_open(ours->store, NULL, &consumer) < 0)
        return -1;
    (void)kfl_topic_start_offset(ours->store, OURS_TOPIC, 0, &at.offset);
    int r = kfl_consumer_assign(consumer, &at, 1);
    for (int n = 1; r >= 0 && n > 0;) {
        kfl_records *records = NULL;
        r = n = kfl_consumer_poll(consumer, 0, 0, &records);
        kfl_records_release(records);
    }
    (void)kfl_consumer_close(consumer);
    return r;
}

static double meanwhile_run(struct bench_row *row)
{
    struct meanwhile *meanwhile = row->context;
    struct ours ours;
    struct worker worker = {.ours = &ours, .work = meanwhile->work};
    pthread_t thread;
    uint64_t records = 0;
    size_t count = 0;
    double result = -1;
    char *path = bench_path("meanwhile");
    bench_burst_aside(0); /* the system may put a thread that is woken behind one that never rests */
    int r = prepare(row, path, meanwhile->prepared, &ours);
    if (r >= 0 && meanwhile->prepared == WORK_RETAIN) {
        r = kfl_topic_set(ours.store, OURS_TOPIC, "retention.bytes", "67108864");
        if (r < 0)
            ours_failed(row, "retention.bytes");
    }
    if (r >= 0 && meanwhile->polls && (r = read_once(&ours)) < 0)
        ours_failed(row, "read");
    if (r >= 0) {
        atomic_store(&over, false);
        if (meanwhile->work != WORK_NONE &&
            pthread_create(&thread, NULL, work_thread, &worker) != 0)
            bench_die("no thread");
        bench_burst_begin(0);
        int64_t start = bench_now_ns();
        count = meanwhile->polls ? poll_all(&ours, meanwhile->work, &records)
                                 : append_all(&ours, meanwhile->work, &records);
        int64_t end = bench_now_ns();
        bench_burst_end();
        if (meanwhile->work != WORK_NONE)
            pthread_join(thread, NULL);
        if (worker.r < 0)
            bench_out(row, "%s", worker.error);
        else if (records == 0)
            ours_failed(row, meanwhile->polls ? "poll" : "send");
        else
            result = (double)(end - start) / (double)records;
    }
    if (result >= 0) {
        meanwhile->tail_ns = bench_quantile(calls, count, 0.999);
        snprintf(row->note, sizeof row->note, "%zu calls, p50 %.0f, p99 %.0f, p99.9 %.0f ns", count,
                 bench_quantile(calls, count, 0.5), bench_quantile(calls, count, 0.99),
                 meanwhile->tail_ns);
        if (meanwhile->work != WORK_NONE) {
            size_t used = strlen(row->note);
            snprintf(row->note + used, sizeof row->note - used, ", work %.0f ms",
                     (double)worker.ns / 1e6);
        }
    }
    bench_burst_end();
    ours_close(&ours);
    bench_remove(path);
    free(path);
    return result;
}

static double tail_run(struct bench_row *row)
{
    const struct meanwhile *meanwhile = row->context;
    return meanwhile->tail_ns > 0 ? meanwhile->tail_ns : bench_out(row, "its calls failed");
}

static void table(const char *title, enum work work, bool polls, double must_rate, double must_tail)
{
    struct meanwhile alone = {work, WORK_NONE, polls, 0}, beside = {work, work, polls, 0};
    struct bench_row rows[] = {
        {.name = "nothing else", .role = BENCH_LIMIT, .run = meanwhile_run, .context = &alone},
        {.name = "meanwhile",
         .role = BENCH_OURS,
         .bar = {BENCH_RATE, must_rate, 0},
         .run = meanwhile_run,
         .context = &beside},
        {.name = "nothing else, p99.9", .role = BENCH_LIMIT, .run = tail_run, .context = &alone},
        {.name = "meanwhile, p99.9",
         .role = BENCH_OURS,
         .bar = {BENCH_TIME, must_tail, 0},
         .run = tail_run,
         .context = &beside},
    };
    bench_table(title, rows, sizeof rows / sizeof *rows);
}

int main(int argc, char **argv)
{
    bench_start(argc, argv, "meanwhile");
    source = bench_source_create(100 - BENCH_KEY_SIZE);
    calls = malloc(CALLS_MAX * sizeof *calls);
    if (calls == NULL)
        bench_die("out of memory");
    memset(calls, 0, CALLS_MAX * sizeof *calls);
    table("append one a call, meanwhile compaction", WORK_COMPACT, false, 0.8, 3);
    table("poll, a record, meanwhile compaction", WORK_COMPACT, true, 0.8, 0);
    table("append one a call, meanwhile retention", WORK_RETAIN, false, 0, 2);
    table("poll, a record, meanwhile retention", WORK_RETAIN, true, 0, 2);
    free(calls);
    bench_source_destroy(&source);
    return bench_finish();
}
