/* SPDX-License-Identifier: MIT */
/* Which of a partition's oldest segments go, and why the others do not. */
#ifndef KFL_ENGINE_RETENTION_H
#define KFL_ENGINE_RETENTION_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/partition.h"

enum kfl__retention_why {
    /* it goes */
    KFL_RETENTION_DELETED = 1, /* wholly below the start offset: its records are gone already */
    KFL_RETENTION_SIZE,        /* retention.bytes are left without it */
    KFL_RETENTION_TIME,        /* its newest record is older than retention.ms */
    KFL_RETENTION_CONSUMED, /* all of retention.consumers.groups have committed it, and there is no other limit */
    /* it stays */
    KFL_RETENTION_POLICY, /* cleanup.policy lacks delete */
    KFL_RETENTION_NO_LIMIT,
    KFL_RETENTION_EMPTY,  /* takes appends and holds nothing */
    KFL_RETENTION_YOUNG,  /* its newest record is not old enough, and the limit of size is kept */
    KFL_RETENTION_SMALL,  /* the limit of size is kept, and there is none of time */
    KFL_RETENTION_HELD,   /* a group has not committed it */
    KFL_RETENTION_BEHIND, /* one in front of it stays */
};

/* One file that holds records, in order of offset. */
struct kfl__retention_segment {
    int64_t segment_id, base_offset, end_offset;
    int64_t bytes;            /* that count */
    int64_t max_timestamp_ms; /* -1: not known, or no record in it: as old as the one behind it */
    bool active;
    enum kfl__retention_why why; /* the plan's answer */
};

struct kfl__retention_rules {
    bool deletes; /* cleanup.policy has delete */
    int64_t now_ms;
    int64_t retention_ms, retention_bytes; /* -1: none */
    int64_t start_offset;
    int64_t hold_offset; /* nothing goes that ends above it; INT64_MAX: no group holds anything */
};

/*
 * Kafka's rules, in its order: what lies below the start, then size, then time, each from the oldest on
 * up to the first that must stay. Sets `why` of each; the number of those that go. Pure.
 */
int32_t kfl__retention_plan(struct kfl__retention_segment *segments, int32_t count,
                            const struct kfl__retention_rules *rules);

/* What the plan needs of a partition, at one moment. Owned: kfl__free. */
int kfl__retention_look(struct kfl__partition *partition, struct kfl__retention_rules *out_rules,
                        struct kfl__retention_segment **out_segments, int32_t *out_count);

struct kfl__retention_done {
    int64_t segments, bytes; /* that went */
};
/*
 * Bring it about: sync what is spoken of (R9), roll an active file that is expired into an empty one (H3), delete.
 * Adds to *done. 0, or what the sync or the catalog met.
 */
int kfl__retention_run(struct kfl__partition *partition, struct kfl__retention_done *done);

#endif
