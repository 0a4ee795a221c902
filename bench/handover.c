/* SPDX-License-Identifier: MIT */
/*
 * From publishing to consuming, 100-byte values, one record at a time, a round at a steady pace.
 *
 * Spinning: both sides are awake; the limit is a ring of slots in memory, without locks. Sleeping:
 * the consumer has gone to sleep before each record; the limit is a bare mutex and condition
 * variable. The time of a row is the median of a round; the note has the quantiles of all rounds.
 * Each burst runs at real-time priority, one side to a processor, where that is allowed.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "ours.h"

#define VALUE_SIZE 100u
#define RING_SLOTS 1024u
#define BURST_NS INT64_C(300000000)
#define WARM_RECORDS 2000
#define MANY_PARTITIONS 2000

enum handover_kind { RING, CONDITION, OURS_SPINS, OURS_WAITS };

struct ring_slot {
    _Alignas(128) _Atomic uint64_t number; /* of the message that it holds, from 1 on */
    char bytes[BENCH_KEY_SIZE + VALUE_SIZE];
};

/* What both sides see, also when they are two processes. */
struct handover_shared {
    _Atomic int ready, go, failed;
    char error[96];
    pthread_mutex_t mutex;
    pthread_cond_t condition;
    uint64_t written; /* guarded by mutex */
    _Alignas(128) _Atomic uint64_t taken;
    struct ring_slot slots[RING_SLOTS];
};

struct handover {
    enum handover_kind kind;
    bool processes;
    int64_t gap_ns;
    uint64_t count; /* messages of a round */
    struct bench_source *source;
    struct handover_shared *shared;
    char *path;
    struct ours ours;
    kfl_consumer *consumer;
    double *samples; /* of all rounds but the first */
    size_t sample_count;
    bool warm;
    /* Of the limits: messages so far, on cache lines of whoever counts them. */
    _Alignas(128) uint64_t written;
    _Alignas(128) uint64_t taken;
};

/* ---- time ---- */

/* A stamp costs less than a call of the clock, which would be much of what is measured. */
static inline uint64_t stamp(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#else
    return (uint64_t)bench_now_ns();
#endif
}

/*
 * The time at which what was loaded before has come. The bare counter is read ahead of loads that are still under way: of a
 * value on two cache lines the second one would not be waited for where nothing else looks at it.
 */
static inline uint64_t stamp_behind_loads(void)
{
#if defined(__x86_64__)
    __builtin_ia32_lfence();
#else
    atomic_thread_fence(memory_order_acquire);
#endif
    return stamp();
}

static double stamp_ns = 1;

static void stamp_calibrate(void)
{
    int64_t begin = bench_now_ns();
    uint64_t from = stamp();
    while (bench_now_ns() - begin < 20000000)
        ;
    stamp_ns = (double)(bench_now_ns() - begin) / (double)(stamp() - from);
}

/* ---- the two sides ---- */

static void ring_put(struct handover *handover, const char *bytes)
{
    struct handover_shared *shared = handover->shared;
    struct ring_slot *slot = &shared->slots[handover->written % RING_SLOTS];
    while (handover->written - atomic_load_explicit(&shared->taken, memory_order_acquire) >=
           RING_SLOTS)
        ;
    memcpy(slot->bytes, bytes, sizeof slot->bytes);
    atomic_store_explicit(&slot->number, ++handover->written, memory_order_release);
}

static void condition_put(struct handover *handover, const char *bytes)
{
    struct handover_shared *shared = handover->shared;
    pthread_mutex_lock(&shared->mutex);
    memcpy(shared->slots[shared->written % RING_SLOTS].bytes, bytes, BENCH_KEY_SIZE + VALUE_SIZE);
    shared->written++;
    pthread_mutex_unlock(&shared->mutex);
    pthread_cond_signal(&shared->condition);
}

static int handover_put(struct handover *handover, kfl_producer *producer, const char *bytes)
{
    int64_t offset;
    if (handover->kind == RING)
        ring_put(handover, bytes);
    else if (handover->kind == CONDITION)
        condition_put(handover, bytes);
    else
        return kfl_producer_send(producer, OURS_TOPIC, 0, bytes, BENCH_KEY_SIZE,
                                 bytes + BENCH_KEY_SIZE, VALUE_SIZE, NULL, 0, KFL_TIMESTAMP_NOW,
                                 &offset);
    return 0;
}

/* One message each gap_ns. */
static void handover_produce(struct handover *handover, kfl_producer *producer)
{
    struct handover_shared *shared = handover->shared;
    char bytes[BENCH_KEY_SIZE + VALUE_SIZE];
    int r = 0;
    atomic_store(&shared->ready, 1);
    while (atomic_load(&shared->go) == 0)
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    bench_burst_begin(0);
    uint64_t next = stamp(), gap = (uint64_t)((double)handover->gap_ns / stamp_ns);
    for (uint64_t n = 0; n < handover->count && r >= 0; n++) {
        memcpy(bytes, bench_source_record(handover->source, n), sizeof bytes);
        next += gap;
        uint64_t now;
        while ((now = stamp()) < next)
            ;
        memcpy(bytes, &now, sizeof now);
        r = handover_put(handover, producer, bytes);
    }
    bench_burst_end();
    if (r < 0) {
        snprintf(shared->error, sizeof shared->error, "send: %s", kfl_last_error());
        atomic_store(&shared->failed, 1);
    }
}

static void *handover_thread(void *context)
{
    struct handover *handover = context;
    handover_produce(handover, handover->ours.producer);
    return NULL;
}

/* The other process: it opens the store for itself. */
static void handover_process(struct handover *handover)
{
    struct bench_row row = {0};
    struct ours ours = {0};
    bool uses = handover->kind == OURS_SPINS || handover->kind == OURS_WAITS;
    if (uses && (ours_open(&row, handover->path, "1", 1, true, &ours) < 0 ||
                 ours_fill(&row, &ours, handover->source, WARM_RECORDS, 1) < 0)) {
        snprintf(handover->shared->error, sizeof handover->shared->error, "%s", row.note);
        atomic_store(&handover->shared->failed, 1);
        _exit(1);
    }
    handover_produce(handover, ours.producer);
    if (uses)
        ours_close(&ours);
    _exit(0);
}

/* A message that was stamped when it was sent is here now. */
static void handover_note(struct handover *handover, const void *key, uint64_t now)
{
    uint64_t sent;
    memcpy(&sent, key, sizeof sent);
    handover->samples[handover->sample_count++] = now > sent ? (double)(now - sent) * stamp_ns : 0;
}

static int ring_take(struct handover *handover)
{
    struct handover_shared *shared = handover->shared;
    struct ring_slot *slot = &shared->slots[handover->taken % RING_SLOTS];
    char bytes[sizeof slot->bytes];
    while (atomic_load_explicit(&slot->number, memory_order_acquire) != handover->taken + 1)
        ;
    memcpy(bytes, slot->bytes, sizeof bytes);
    bench_keep((uint64_t)bytes[BENCH_KEY_SIZE + VALUE_SIZE - 1]);
    handover_note(handover, bytes, stamp_behind_loads());
    atomic_store_explicit(&shared->taken, ++handover->taken, memory_order_release);
    return 1;
}

static int condition_take(struct handover *handover)
{
    struct handover_shared *shared = handover->shared;
    char bytes[BENCH_KEY_SIZE + VALUE_SIZE];
    pthread_mutex_lock(&shared->mutex);
    while (shared->written == handover->taken)
        pthread_cond_wait(&shared->condition, &shared->mutex);
    memcpy(bytes, shared->slots[handover->taken % RING_SLOTS].bytes, sizeof bytes);
    pthread_mutex_unlock(&shared->mutex);
    bench_keep((uint64_t)bytes[BENCH_KEY_SIZE + VALUE_SIZE - 1]);
    handover_note(handover, bytes, stamp_behind_loads());
    handover->taken++;
    return 1;
}

static int ours_take(struct handover *handover, int32_t timeout_ms)
{
    kfl_records *records;
    int r = kfl_consumer_poll(handover->consumer, timeout_ms, 0, &records);
    for (int32_t i = 0; i < r; i++) {
        const kfl_record *record = kfl_records_get(records, i);
        bench_keep((uint64_t)((const char *)record->value)[VALUE_SIZE - 1]);
        handover_note(handover, record->key, stamp_behind_loads());
    }
    if (r > 0)
        kfl_records_release(records);
    return r;
}

static int handover_consume(struct bench_row *row, struct handover *handover)
{
    struct handover_shared *shared = handover->shared;
    enum handover_kind kind = handover->kind;
    int r = 0;
    bench_burst_begin(1);
    atomic_store(&shared->go, 1);
    for (uint64_t n = 0; n < handover->count && r >= 0; n += (uint64_t)r) {
        r = kind == RING        ? ring_take(handover)
            : kind == CONDITION ? condition_take(handover)
                                : ours_take(handover, kind == OURS_SPINS ? 0 : 5000);
        if (atomic_load_explicit(&shared->failed, memory_order_relaxed) != 0)
            break;
    }
    bench_burst_end();
    return r < 0 ? ours_failed(row, "poll") : 0;
}

/* ---- rows ---- */

static void shared_create(struct handover *handover)
{
    pthread_mutexattr_t mutex;
    pthread_condattr_t condition;
    handover->shared = mmap(NULL, sizeof *handover->shared, PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (handover->shared == MAP_FAILED)
        bench_die("out of memory");
    pthread_mutexattr_init(&mutex);
    pthread_condattr_init(&condition);
    if (handover->processes) {
        pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
        pthread_condattr_setpshared(&condition, PTHREAD_PROCESS_SHARED);
    }
    pthread_mutex_init(&handover->shared->mutex, &mutex);
    pthread_cond_init(&handover->shared->condition, &condition);
}

static int handover_open(struct bench_row *row)
{
    struct handover *handover = row->context;
    kfl_partition_offset place = {.topic = OURS_TOPIC, .offset = KFL_OFFSET_END};
    shared_create(handover);
    handover->samples = malloc(BENCH_ROUNDS_MAX * handover->count * sizeof *handover->samples);
    if (handover->samples == NULL)
        bench_die("out of memory");
    if (handover->kind == RING || handover->kind == CONDITION)
        return 0;
    handover->path = bench_path(row->name);
    if (ours_open(row, handover->path, "1", 1, true, &handover->ours) < 0)
        return -1;
    if (kfl_consumer_open(handover->ours.store, NULL, &handover->consumer) < 0 ||
        kfl_consumer_assign(handover->consumer, &place, 1) < 0)
        return ours_failed(row, "consumer");
    return ours_fill(row, &handover->ours, handover->source, WARM_RECORDS, 1);
}

/* What was sent to warm up is not of the burst. */
static int handover_drain(struct bench_row *row, struct handover *handover)
{
    size_t before = handover->sample_count;
    int r = 0;
    while (handover->consumer != NULL && (r = ours_take(handover, 0)) > 0)
        handover->sample_count = before;
    return r < 0 ? ours_failed(row, "poll") : 0;
}

static double handover_run(struct bench_row *row)
{
    struct handover *handover = row->context;
    struct handover_shared *shared = handover->shared;
    pthread_t thread;
    pid_t child = -1;
    atomic_store(&shared->ready, 0);
    atomic_store(&shared->go, 0);
    if (handover->consumer != NULL && ours_touch(row, &handover->ours) < 0)
        return -1;
    if (handover->processes) {
        child = fork();
        if (child == 0)
            handover_process(handover);
    } else if (pthread_create(&thread, NULL, handover_thread, handover) != 0) {
        bench_die("cannot start a thread");
    }
    while (atomic_load(&shared->ready) == 0 && atomic_load(&shared->failed) == 0)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    /* The kernel stops real-time threads that run for most of a second. */
    nanosleep(&(struct timespec){.tv_nsec = BURST_NS / 2}, NULL);
    size_t before = handover->sample_count;
    int r = handover_drain(row, handover);
    if (r == 0)
        r = handover_consume(row, handover);
    if (handover->processes) {
        waitpid(child, NULL, 0);
        handover->written += handover->count;
    } else {
        pthread_join(thread, NULL);
    }
    if (r < 0)
        return -1;
    if (atomic_load(&shared->failed) != 0)
        return bench_out(row, "%s", shared->error);
    if (!handover->warm)
        handover->sample_count = before;
    handover->warm = true;
    return bench_quantile(handover->samples + before, handover->count, 0.5);
}

static void handover_close(struct bench_row *row)
{
    struct handover *handover = row->context;
    size_t count = handover->sample_count;
    if (count > 0)
        snprintf(row->note, sizeof row->note, "p50 %.0f p99 %.0f p99.9 %.0f",
                 bench_quantile(handover->samples, count, 0.5),
                 bench_quantile(handover->samples, count, 0.99),
                 bench_quantile(handover->samples, count, 0.999));
    kfl_consumer_close(handover->consumer);
    ours_close(&handover->ours);
    if (handover->path != NULL)
        bench_remove(handover->path);
    free(handover->path);
    free(handover->samples);
    munmap(handover->shared, sizeof *handover->shared);
}

static void handover_table(const char *title, bool spins, bool processes, int64_t gap_ns,
                           struct bench_bar bar)
{
    struct bench_source source = bench_source_create(VALUE_SIZE);
    struct handover handovers[3] = {0};
    struct bench_row rows[3] = {0};
    static const char *const names[2][3] = {
        {"condition variable", "poll that waits"},
        {"ring in memory", "poll again and again", "poll that waits"},
    };
    static const enum handover_kind kinds[2][3] = {{CONDITION, OURS_WAITS},
                                                   {RING, OURS_SPINS, OURS_WAITS}};
    size_t count = spins ? 3 : 2;
    for (size_t i = 0; i < count; i++) {
        handovers[i].kind = kinds[spins][i];
        handovers[i].processes = processes;
        handovers[i].gap_ns = gap_ns;
        handovers[i].count = (uint64_t)(BURST_NS / gap_ns);
        handovers[i].source = &source;
        rows[i].name = names[spins][i];
        rows[i].role = i == 0 ? BENCH_LIMIT : BENCH_OURS;
        rows[i].open = handover_open;
        rows[i].run = handover_run;
        rows[i].close = handover_close;
        rows[i].context = &handovers[i];
        if (i > 0)
            rows[i].bar = bar;
    }
    bench_table(title, rows, count);
    bench_source_destroy(&source);
}

/* ---- polls that find nothing ---- */

struct idle {
    int32_t partitions;
    char *path;
    struct ours ours;
    kfl_consumer *consumer;
};

static int idle_open(struct bench_row *row)
{
    struct idle *idle = row->context;
    kfl_partition_offset *places = calloc((size_t)idle->partitions, sizeof *places);
    idle->path = bench_path(row->name);
    if (places == NULL)
        bench_die("out of memory");
    for (int32_t i = 0; i < idle->partitions; i++)
        places[i] =
            (kfl_partition_offset){.topic = OURS_TOPIC, .partition = i, .offset = KFL_OFFSET_END};
    int r = ours_open(row, idle->path, "1", idle->partitions, true, &idle->ours);
    if (r == 0 && (kfl_consumer_open(idle->ours.store, NULL, &idle->consumer) < 0 ||
                   kfl_consumer_assign(idle->consumer, places, (size_t)idle->partitions) < 0))
        r = ours_failed(row, "consumer");
    free(places);
    return r;
}

static void idle_close(struct bench_row *row)
{
    struct idle *idle = row->context;
    kfl_consumer_close(idle->consumer);
    ours_close(&idle->ours);
    bench_remove(idle->path);
    free(idle->path);
}

static double idle_run(struct bench_row *row)
{
    struct idle *idle = row->context;
    kfl_records *records;
    int polls = 2000000 / (idle->partitions + 100);
    int64_t begin = bench_now_ns();
    for (int i = 0; i < polls; i++)
        if (kfl_consumer_poll(idle->consumer, 0, 0, &records) != 0)
            return ours_failed(row, "poll");
    return (double)(bench_now_ns() - begin) / polls / idle->partitions;
}

static void idle_table(void)
{
    struct idle idles[] = {{.partitions = 1}, {.partitions = MANY_PARTITIONS}};
    struct bench_row rows[] = {
        {.name = "1 partition", .role = BENCH_OURS},
        {.name = "2,000 partitions", .role = BENCH_OURS, .bar = {BENCH_NS, 0, 5}},
    };
    for (size_t i = 0; i < 2; i++) {
        rows[i].open = idle_open;
        rows[i].run = idle_run;
        rows[i].close = idle_close;
        rows[i].context = &idles[i];
    }
    bench_table("a poll that finds nothing, for a partition", rows, 2);
}

int main(int argc, char **argv)
{
    struct bench_bar spinning = {BENCH_TIME, 2.5, 1.8}, sleeping = {BENCH_TIME, 1.3, 1.05};
    bench_start(argc, argv, "handover");
    stamp_calibrate();
    handover_table("spinning, 100 k/s, one process", true, false, 10000, spinning);
    handover_table("spinning, 100 k/s, two processes", true, true, 10000, spinning);
    handover_table("sleeping, 2 k/s, one process", false, false, 500000, sleeping);
    handover_table("sleeping, 2 k/s, two processes", false, true, 500000, sleeping);
    idle_table();
    return bench_finish();
}
