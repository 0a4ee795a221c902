/* SPDX-License-Identifier: MIT */
/* Compaction of one partition: what it would take, and a run that can be left and gone on with. */
#ifndef KFL_ENGINE_COMPACT_H
#define KFL_ENGINE_COMPACT_H

#include <stdbool.h>
#include <stdint.h>

#include "catalog/segments.h"
#include "engine/sieve.h"

enum kfl__compact_why {
    /* it is due */
    KFL_COMPACT_WHY_DIRTY = 1, /* the dirty part is large enough */
    KFL_COMPACT_WHY_LAG,       /* a dirty record is older than max.compaction.lag.ms */
    KFL_COMPACT_WHY_FORCED,
    KFL_COMPACT_WHY_TOMBSTONES, /* forced, and only tombstones whose time has come are to go */
    /* it is not */
    KFL_COMPACT_WHY_POLICY, /* cleanup.policy lacks compact */
    KFL_COMPACT_WHY_CLEAN,  /* nothing that may be looked at is dirty */
    KFL_COMPACT_WHY_RATIO,  /* the dirty part is too small */
};

struct kfl__compact_rules {
    bool compacts;   /* cleanup.policy has compact */
    bool force;      /* whatever the ratio */
    bool everything; /* young and clean, too: a forgotten key may be anywhere */
    int64_t now_ms, min_lag_ms, max_lag_ms, ratio_millionths;
};

struct kfl__compact_plan {
    enum kfl__compact_why why;
    int32_t count; /* of the segments, oldest first, that take part */
    int32_t
        first_dirty; /* the first of them with records that were not cleaned; count: there is none */
    int64_t clean_bytes, dirty_bytes;
    /* what stops it there: a segment that takes appends or is not complete yet; one that is too young */
    bool stopped_by_lag;
};
/* Kafka's rules. `rows` in order of offset: those that hold records. Pure. */
struct kfl__compact_plan kfl__compact_plan(const struct kfl__segment_row *rows, int32_t count,
                                           const struct kfl__compact_rules *rules);

/* As the topic's properties and the clock are now. */
struct kfl__compact_rules kfl__compact_rules(const struct kfl__partition *partition, bool force);

struct kfl__compact_wish {
    bool force;
    bool dry; /* only count */
    struct kfl__sieve_forget forget;
};

struct kfl__compact_done {
    int64_t segments;                /* replaced */
    int64_t read_bytes, total_bytes; /* of the pass: each input is read twice, but for clean ones */
    int64_t freed_bytes, written_bytes;
    int64_t kept, removed, kept_tombstones, removed_tombstones;
};

struct kfl__compaction;
#define KFL_COMPACT_NOTHING 1 /* positive: nothing is due; *out_plan says why */
/* Owned: kfl__compaction_end. */
int kfl__compaction_begin(struct kfl__partition *partition, const struct kfl__compact_wish *wish,
                          struct kfl__compact_plan *out_plan,
                          struct kfl__compaction **out_compaction);
/* Go on until deadline_ns (-1: none). 1: there is more; 0: it is done; or an error, and what was replaced before stays so. */
int kfl__compaction_step(struct kfl__compaction *compaction, int64_t deadline_ns);
/* What it has done so far. */
const struct kfl__compact_done *kfl__compaction_done(const struct kfl__compaction *compaction);
struct kfl__partition *kfl__compaction_partition(const struct kfl__compaction *compaction);
/* Whatever is unfinished is thrown away: no file counts that was not replaced. Takes NULL. Keeps the thread's words. */
void kfl__compaction_end(struct kfl__compaction *compaction);

#endif
