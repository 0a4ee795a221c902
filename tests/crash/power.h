/* SPDX-License-Identifier: MIT */
/* The marks that a workload leaves in its trace: what it was told, and what it is about to do. */
#ifndef KFL_TESTS_CRASH_POWER_H
#define KFL_TESTS_CRASH_POWER_H

#include <stdbool.h>
#include <stdint.h>

#include "chance.h"
#include "recorder.h"

#define POWER_TOPIC "power"
#define POWER_GROUP "readers"
#define POWER_PARTITIONS_MAX 3
#define POWER_SENDERS 64
#define POWER_SEQUENCES 8192
#define POWER_BURST 59   /* sends many small records at once */
#define POWER_CHECKER 60 /* senders from here on are checkers */

enum power_mark_kind {
    POWER_CREATED = 1,  /* offset: number of partitions */
    POWER_BEGUN,        /* the sender is about to send up to this sequence */
    POWER_TOLD,         /* the record stands at this offset (-1: somewhere); durable: for good */
    POWER_DURABLE,      /* all of the partition below this offset is */
    POWER_COMMIT_BEGUN, /* of this offset */
    POWER_COMMITTED,
    POWER_DELETE_BEGUN, /* below this offset */
    POWER_DELETED,
};

struct power_mark {
    uint32_t kind;
    int32_t partition;
    uint32_t sender;
    uint32_t durable;
    uint64_t sequence;
    int64_t offset;
};

/* ---- power_load.c ---- */

struct power_load {
    char folder[200];
    struct recorder_trace *trace;
    uint64_t seed;
    int32_t phase; /* a former one was killed */
    int32_t steps;
    bool kill;         /* end like kill -9 */
    const char *fault; /* KAFKALITE_FAULT of this process; NULL: none */
    int lies;
    bool compacting; /* a compacted topic, every record with a key of its own */
};
/* In a process of its own. Does not return when it kills itself; else 0, or 1 and a message. */
int power_load_run(const struct power_load *load);

/* ---- power_check.c ---- */

/* What follows from the marks up to a moment. */
struct power_expect;
struct power_expect *power_expect_make(void);
void power_expect_drop(struct power_expect *expect);
void power_expect_mark(struct power_expect *expect, const struct power_mark *mark);
/* All marks so far. */
void power_expect_trace(struct power_expect *expect, const struct recorder_trace *trace);
/* No power was cut: all that was told is there, and (dense) there are no gaps between offsets. */
void power_expect_all(struct power_expect *expect, bool dense);
/* In a process of its own: open what lies there, hold it against what is expected, go on with it. 0, or 1 and a message. */
int power_check_run(const struct power_expect *expect, const char *folder, uint32_t round,
                    struct recorder_trace *trace);
/*
 * The same for a process that has the store open while another one dies, which writes `trace`: opens, tells
 * it by a byte to `up`, waits for one from `down`, and judges without opening anew.
 */
int power_check_survive(const struct recorder_trace *trace, const char *folder, bool dense, int up,
                        int down);

#endif
