/* SPDX-License-Identifier: MIT */
/* What the kill test's parent, its workers and its readers share. */
#ifndef KFL_TESTS_CRASH_KILL_H
#define KFL_TESTS_CRASH_KILL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "records.h"

#define TOPIC "kills"
#define PROCESSES_MAX 16
#define THREADS_MAX 8
#define PARTITIONS_MAX 8
#define OFFSETS_MAX (INT64_C(1) << 26)
#define SENDERS_MAX (1 << 16)

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

/* A sender's records go where their numbers say: one that stood in two partitions would be seen. */
/* Every third stretch of so many records goes to one partition, one a call: its lock is lent to who is alone there. */
static inline bool in_a_run(uint64_t sequence)
{
    return sequence / 8192 % 3 == 2;
}

static inline int32_t partition_of(const struct plan *plan, uint32_t sender, uint64_t sequence)
{
    if (in_a_run(sequence))
        return (int32_t)(sender / 2 % (uint32_t)plan->partitions);
    return (int32_t)(told_mix(sequence ^ (uint64_t)sender << 32) % (uint64_t)plan->partitions);
}

/* A process of plan->threads threads that append and commit until the report says stop: its exit status. */
int run_worker(const struct plan *plan, int32_t number, uint64_t seed);

#endif
