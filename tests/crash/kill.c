/* SPDX-License-Identifier: MIT */
/*
 * Kills: several processes with several threads append, commit and read; some of them are killed by
 * SIGKILL again and again and take up their work anew. At the end the whole log is read.
 *
 *   kill [--seed N] [--rounds N] [--cycles N] [--kills N] [--every-ms N] [--records N]
 *        [--processes N] [--threads N] [--readers N] [--partitions N] [--folder PATH]
 *
 * A round is a store of its own. It ends after `cycles` times `kills` kills, every-ms apart (with 0: at
 * random, up to 60 ms), or, with --records, when that many are acknowledged. Every eighth cycle kills all.
 *
 * Each acknowledgement is noted in memory that the parent owns, after the call has returned. Then: every
 * acknowledged record stands where it was told, once; each sender's records are in order; offsets have no
 * gap; commits are those that were acknowledged or under way; the store verifies clean.
 *
 * This holds the library to rule:R1 rule:R2 rule:R3 rule:R4 rule:R5 rule:R17 rule:R19 rule:R21 rule:R27.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "chance.h"
#include "images.h"
#include "kafkalite.h"
#include "records.h"

#define TOPIC "kills"
#define PROCESSES_MAX 16
#define THREADS_MAX 8
#define PARTITIONS_MAX 8
#define OFFSETS_MAX (INT64_C(1) << 26)
#define SENDERS_MAX (1 << 16)
#define PACKED_MAX 100

/* Memory of the parent that all share. */
struct report {
    _Atomic int stop;
    _Atomic uint32_t senders;
    _Atomic int64_t acknowledged;
    _Atomic int64_t read;
    struct {
        _Atomic int64_t begun, done;
    } commits[PROCESSES_MAX][PARTITIONS_MAX];
    _Atomic uint64_t told[PARTITIONS_MAX]
                         [OFFSETS_MAX]; /* who stands there: sender << 40 | sequence; 0: not told */
};

struct plan {
    uint64_t seed;
    int64_t rounds, cycles, kills, every_ms, records;
    int32_t processes, threads, readers, partitions;
    char folder[400];
    struct report *report;
};

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

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int worker_fail(struct worker *worker, const char *what)
{
    fprintf(stderr, "process %d: %s: %s\n", worker->number, what, kfl_last_error());
    return worker->failed = 1;
}

/* A sender's records go where their numbers say: one that stood in two partitions would be seen. */
static int32_t partition_of(const struct plan *plan, uint32_t sender, uint64_t sequence)
{
    return (int32_t)(told_mix(sequence ^ (uint64_t)sender << 32) % (uint64_t)plan->partitions);
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

static int run_worker(const struct plan *plan, int32_t number, uint64_t seed)
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

/* ---- reading ---- */

struct reading {
    const struct plan *plan;
    int64_t next[PARTITIONS_MAX];
    uint64_t newest[PARTITIONS_MAX][SENDERS_MAX];
    int64_t count;
};

__attribute__((format(printf, 1, 2))) static int read_fail(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
    return -1;
}

static int read_record(struct reading *reading, const kfl_record *record)
{
    int32_t partition = record->partition;
    struct told told;
    if (record->offset != reading->next[partition])
        return read_fail("partition %d: offset %" PRId64 " behind %" PRId64, partition,
                         record->offset, reading->next[partition] - 1);
    if (!told_read(record->value, record->value_size, &told) || told.sender >= SENDERS_MAX)
        return read_fail("partition %d offset %" PRId64 ": bytes that nobody sent", partition,
                         record->offset);
    if (partition_of(reading->plan, told.sender, told.sequence) != partition)
        return read_fail("partition %d offset %" PRId64 ": of another partition", partition,
                         record->offset);
    if (told.sequence <= reading->newest[partition][told.sender])
        return read_fail("partition %d offset %" PRId64 ": sender %u record %" PRIu64
                         " behind %" PRIu64,
                         partition, record->offset, told.sender, told.sequence,
                         reading->newest[partition][told.sender]);
    uint64_t expected = record->offset < OFFSETS_MAX
                            ? atomic_load(&reading->plan->report->told[partition][record->offset])
                            : 0;
    if (expected != 0 && expected != ((uint64_t)told.sender << 40 | told.sequence))
        return read_fail(
            "partition %d offset %" PRId64 ": acknowledged as sender %" PRIu64 " record %" PRIu64,
            partition, record->offset, expected >> 40, expected & ((UINT64_C(1) << 40) - 1));
    reading->newest[partition][told.sender] = told.sequence;
    reading->next[partition] = record->offset + 1;
    reading->count++;
    return 0;
}

/* Reads on: the number of records, 0 when there are none now, or -1. */
static int read_some(struct reading *reading, kfl_consumer *consumer, int32_t timeout_ms)
{
    kfl_records *records = NULL;
    int r = kfl_consumer_poll(consumer, timeout_ms, 10000, &records);
    if (r == KFL_E_EVENT) {
        kfl_event *event = NULL;
        kfl_consumer_next_event(consumer, &event);
        read_fail("event: %s", kfl_event_text(event));
        kfl_event_release(event);
        return -1;
    }
    if (r < 0)
        return read_fail("poll: %s", kfl_last_error());
    for (int i = 0; i < r; i++)
        if (read_record(reading, kfl_records_get(records, i)) < 0)
            return -1;
    kfl_records_release(records);
    return r;
}

static int open_reading(const struct plan *plan, kfl_store *store, struct reading **out_reading,
                        kfl_consumer **out_consumer)
{
    kfl_partition_offset from[PARTITIONS_MAX] = {0};
    struct reading *reading = calloc(1, sizeof *reading);
    if (reading == NULL || kfl_consumer_open(store, NULL, out_consumer) < 0)
        return read_fail("consumer: %s", kfl_last_error());
    for (int32_t i = 0; i < plan->partitions; i++)
        from[i] =
            (kfl_partition_offset){.topic = TOPIC, .partition = i, .offset = KFL_OFFSET_BEGINNING};
    reading->plan = plan;
    *out_reading = reading;
    return kfl_consumer_assign(*out_consumer, from, (size_t)plan->partitions) < 0
               ? read_fail("assign: %s", kfl_last_error())
               : 0;
}

static int run_reader(const struct plan *plan)
{
    struct reading *reading = NULL;
    kfl_consumer *consumer = NULL;
    kfl_store *store = NULL;
    if (kfl_store_open(plan->folder, NULL, &store) < 0 ||
        open_reading(plan, store, &reading, &consumer) < 0)
        return read_fail("reader: %s", kfl_last_error());
    while (atomic_load(&plan->report->stop) == 0) {
        int r = read_some(reading, consumer, 20);
        if (r < 0)
            return 1;
        atomic_fetch_add(&plan->report->read, r);
    }
    free(reading);
    kfl_consumer_close(consumer);
    return kfl_store_close(store) < 0;
}

/* ---- the end ---- */

static int check_told(const struct plan *plan, const struct reading *reading)
{
    for (int32_t i = 0; i < plan->partitions; i++)
        for (int64_t offset = reading->next[i];
             offset < OFFSETS_MAX && offset < reading->next[i] + 1000000; offset++)
            if (atomic_load(&plan->report->told[i][offset]) != 0)
                return read_fail("partition %d ends at %" PRId64 ", offset %" PRId64
                                 " was acknowledged",
                                 i, reading->next[i], offset);
    return 0;
}

static int check_commits(const struct plan *plan, kfl_store *store, const struct reading *reading)
{
    for (int32_t n = 0; n < plan->processes; n++) {
        int64_t committed[PARTITIONS_MAX] = {0};
        kfl_offsets *offsets = NULL;
        char group[32];
        snprintf(group, sizeof group, "group-%d", n);
        if (kfl_group_offsets(store, group, &offsets) == 0)
            for (int32_t i = 0; i < kfl_offsets_count(offsets); i++)
                committed[kfl_offsets_get(offsets, i)->partition] =
                    kfl_offsets_get(offsets, i)->offset;
        kfl_offsets_release(offsets);
        for (int32_t i = 0; i < plan->partitions; i++) {
            int64_t begun = atomic_load(&plan->report->commits[n][i].begun);
            int64_t done = atomic_load(&plan->report->commits[n][i].done);
            if ((committed[i] < done || committed[i] > begun) || committed[i] > reading->next[i])
                return read_fail("%s partition %d: committed %" PRId64 ", acknowledged %" PRId64
                                 ", begun %" PRId64,
                                 group, i, committed[i], done, begun);
        }
    }
    return 0;
}

static int check_verify(kfl_store *store)
{
    kfl_findings *findings = NULL;
    int count = kfl_store_verify(store, NULL, 0, &findings);
    for (int32_t i = 0; i < count; i++)
        read_fail("verify: %s: %s", kfl_findings_get(findings, i)->path,
                  kfl_findings_get(findings, i)->text);
    kfl_findings_release(findings);
    return count == 0
               ? 0
               : read_fail("verify: %d %s", count, count < 0 ? kfl_last_error() : "findings");
}

static int check_all(const struct plan *plan)
{
    struct reading *reading = NULL;
    kfl_consumer *consumer = NULL;
    kfl_store *store = NULL;
    int r;
    if (kfl_store_open(plan->folder, NULL, &store) < 0)
        return read_fail("refused: %s", kfl_last_error());
    r = open_reading(plan, store, &reading, &consumer);
    while (r == 0 && (r = read_some(reading, consumer, 0)) > 0)
        r = 0;
    if (r == 0)
        r = check_told(plan, reading);
    if (r == 0)
        r = check_commits(plan, store, reading);
    if (r == 0)
        r = check_verify(store);
    printf("  %" PRId64 " records in the log, %" PRId64 " acknowledged, %" PRId64
           " read meanwhile: %s\n",
           reading->count, atomic_load(&plan->report->acknowledged),
           atomic_load(&plan->report->read), r == 0 ? "all well" : "BAD");
    fflush(stdout);
    free(reading);
    kfl_consumer_close(consumer);
    return kfl_store_close(store) < 0 ? -1 : r;
}

/* ---- the parent ---- */

static pid_t start(const struct plan *plan, int32_t number, uint64_t seed)
{
    pid_t pid = fork();
    if (pid == 0) {
        int r = number < plan->processes ? run_worker(plan, number, seed) : run_reader(plan);
        fflush(stderr);
        _exit(r);
    }
    return pid;
}

static int make_store(const struct plan *plan, struct chance *chance)
{
    kfl_store *store = NULL;
    kfl_config *config = NULL;
    static const char *const sizes[] = {"65536", "1048576", "67108864"};
    int r = kfl_store_open(plan->folder, NULL, &store);
    if (r == 0)
        r = kfl_config_create(&config);
    if (r == 0)
        r = kfl_config_set(config, "segment.bytes",
                           plan->records > 0 ? sizes[2] : sizes[chance_below(chance, 3)]);
    if (r == 0)
        r = kfl_topic_create(store, TOPIC, plan->partitions, config);
    if (r < 0)
        fprintf(stderr, "making the store: %s\n", kfl_last_error());
    kfl_config_destroy(config);
    kfl_store_close(store);
    return r;
}

static int reap(pid_t pid, bool killed)
{
    int status = 0;
    if (waitpid(pid, &status, 0) != pid)
        return -1;
    if (killed && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        return 0;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0
               ? 0
               : read_fail("a process ended with %x", status);
}

static int kill_some(const struct plan *plan, struct chance *chance, pid_t *pids, int64_t cycle)
{
    int32_t all = plan->processes + plan->readers;
    bool everybody = cycle % 8 == 7 && plan->records == 0;
    int64_t kills = everybody ? all : plan->kills;
    int32_t first = everybody ? 0 : (int32_t)chance_below(chance, (uint64_t)all);
    int r = 0;
    for (int64_t i = 0; i < kills; i++)
        kill(pids[(first + i) % all], SIGKILL);
    for (int64_t i = 0; i < kills && r == 0; i++) {
        int32_t n = (int32_t)((first + i) % all);
        r = reap(pids[n], true);
        pids[n] = -1;
    }
    for (int64_t i = 0; i < kills && r == 0; i++) {
        int32_t n = (int32_t)((first + i) % all);
        pids[n] = start(plan, n, chance_next(chance));
    }
    return r;
}

static int run_round(const struct plan *plan, struct chance *chance)
{
    pid_t pids[2 * PROCESSES_MAX];
    int32_t all = plan->processes + plan->readers;
    int64_t began = now_ms(), cycle = 0;
    int r = make_store(plan, chance);
    for (int32_t i = 0; r == 0 && i < all; i++)
        pids[i] = start(plan, i, chance_next(chance));
    while (r == 0 && (plan->records > 0 ? atomic_load(&plan->report->acknowledged) < plan->records
                                        : cycle < plan->cycles)) {
        int64_t pause = plan->every_ms > 0 ? plan->every_ms : (int64_t)chance_below(chance, 60);
        usleep((useconds_t)pause * 1000);
        r = kill_some(plan, chance, pids, cycle++);
    }
    atomic_store(&plan->report->stop, 1);
    for (int32_t i = 0; i < all; i++)
        if (pids[i] > 0 && reap(pids[i], false) < 0)
            r = -1;
    printf("  %" PRId64 " cycles in %" PRId64 " ms, %u senders\n", cycle, now_ms() - began,
           atomic_load(&plan->report->senders));
    return r == 0 ? check_all(plan) : r;
}

static int64_t number_after(int argc, char **argv, const char *name, int64_t otherwise)
{
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return strtoll(argv[i + 1], NULL, 0);
    return otherwise;
}

int main(int argc, char **argv)
{
    struct plan plan = {
        .seed = (uint64_t)number_after(argc, argv, "--seed", (int64_t)time(NULL)),
        .rounds = number_after(argc, argv, "--rounds", 1),
        .cycles = number_after(argc, argv, "--cycles", 20),
        .kills = number_after(argc, argv, "--kills", 2),
        .every_ms = number_after(argc, argv, "--every-ms", 0),
        .records = number_after(argc, argv, "--records", 0),
        .processes = (int32_t)number_after(argc, argv, "--processes", 4),
        .threads = (int32_t)number_after(argc, argv, "--threads", 2),
        .readers = (int32_t)number_after(argc, argv, "--readers", 1),
        .partitions = (int32_t)number_after(argc, argv, "--partitions", 3),
    };
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], "--folder") == 0)
            base = argv[i + 1];
    struct chance chance = {plan.seed};
    int r = 0;
    if (plan.processes > PROCESSES_MAX || plan.readers > PROCESSES_MAX ||
        plan.threads > THREADS_MAX || plan.partitions > PARTITIONS_MAX)
        return 2;
    printf("kill: --seed %" PRIu64 " --rounds %" PRId64 " --cycles %" PRId64 " --kills %" PRId64
           " --records %" PRId64 "\n",
           plan.seed, plan.rounds, plan.cycles, plan.kills, plan.records);
    fflush(stdout);
    for (int64_t round = 0; r == 0 && round < plan.rounds; round++) {
        snprintf(plan.folder, sizeof plan.folder, "%s/kafkalite-kill-XXXXXX", base);
        plan.report = mmap(NULL, sizeof *plan.report, PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (mkdtemp(plan.folder) == NULL || plan.report == MAP_FAILED)
            return 2;
        r = run_round(&plan, &chance);
        munmap(plan.report, sizeof *plan.report);
        if (r == 0) {
            images_clear(plan.folder);
            rmdir(plan.folder);
        } else {
            fprintf(stderr, "kept: %s\n", plan.folder);
        }
    }
    return r != 0;
}
