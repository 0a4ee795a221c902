/* SPDX-License-Identifier: MIT */
/* Recovery's own nouns: the walk over a tail, and what it found. */
#ifndef KFL_ENGINE_RECOVER_H
#define KFL_ENGINE_RECOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "catalog/segments.h"
#include "catalog/topics.h"
#include "engine/partition.h"

/* A span of believable batches in one file. */
struct kfl__tail_piece {
    struct kfl__segment *segment; /* a share */
    uint64_t from, to;
};

struct kfl__tail {
    /* where it began: known durable */
    int64_t durable_segment;
    uint64_t durable_place;
    int64_t durable_offset;
    /* what is believable behind it */
    struct kfl__tail_piece *pieces; /* owned */
    int32_t piece_count, piece_room;
    int64_t end_offset;
    uint32_t epoch;         /* the highest seen */
    int64_t last_segment;   /* the file in which it ends, and where; 0: there is no file */
    uint64_t last_place;
    bool last_is_full;      /* an end mark stands there */
    bool anything_behind;   /* bytes that are not believable stand behind */
    int64_t bytes;          /* of batches behind the durable place */
    int64_t cut_bytes;      /* from the last believable batch to the last byte that is not zero */
    /* damage: something above it is known to have been durable */
    bool damaged;
    int64_t hole_from, hole_to;
};

/* Walk what lies behind the durable place; `rows` are those that may take part. limit_word: 0, or the publishing word that bounds it. */
int kfl__tail_walk(struct kfl__partition *partition, const struct kfl__segment_row *rows, int32_t row_count,
                   uint64_t limit_word, struct kfl__tail *tail);
/* The share goes over, whatever the answer. */
int kfl__tail_add_piece(struct kfl__tail *tail, struct kfl__segment *segment, uint64_t from, uint64_t to);
void kfl__tail_release(struct kfl__tail *tail); /* takes a zeroed one */
/*
 * Copy the pieces, whose offsets lie at or above the end and rise, behind what the partition has; from then on it ends at
 * end_offset, durable. `story` is for the history.
 */
int kfl__partition_adopt(struct kfl__partition *partition, struct kfl__tail *pieces, int64_t end_offset,
                         const char *story);
/* Where a file's records begin, by the first batch in it that can be believed: 1; 0: there is none below `limit`, or no file. */
int kfl__tail_find_base(struct kfl__partition *partition, int64_t segment_id, uint64_t limit, int64_t *out_base_offset);

#endif
