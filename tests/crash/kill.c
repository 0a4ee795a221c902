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
#include "kill.h"

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
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
