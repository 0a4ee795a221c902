/* SPDX-License-Identifier: MIT */
/*
 * Walk the batches of one segment, by the rules that make a sequence of them believable (R2, R22): each
 * verifies, offsets rise, writer epochs never fall.
 */
#ifndef KFL_LOG_WALK_H
#define KFL_LOG_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "format/batch.h"
#include "log/segment.h"

struct kfl__walk {
    struct kfl__segment *segment; /* borrowed */
    uint64_t place;               /* of the next batch */
    uint64_t limit;               /* bytes that may count */
    int64_t next_offset;          /* the next batch begins here or above */
    uint32_t epoch;               /* and is of this writer epoch or a later one */
    /* what was seen */
    int64_t batches, records, first_offset, first_timestamp_ms;
    int64_t max_timestamp_ms, max_timestamp_offset; /* of batches; offset: base of the batch that has it */
};

#define KFL_WALK_BATCH 1 /* *out_header is a batch of records */
#define KFL_WALK_END 2   /* *out_header is an end mark; the walk stays in front of it */
/* 0: no believable batch stands here (or the limit is reached); < 0: an error of the device. */
void kfl__walk_init(struct kfl__walk *walk, struct kfl__segment *segment, uint64_t place, uint64_t limit,
                    int64_t next_offset, uint32_t epoch);
int kfl__walk_step(struct kfl__walk *walk, struct kfl__batch_header *out_header);

/*
 * Look behind `from` for the next place where a batch of this segment verifies and does not begin below
 * `least_offset`. 1 and its header and place, 0 when there is none up to `limit`. Unreadable pages are passed over.
 * Takes time in proportion to what is passed, whatever stands there: among very many bytes that look like batches and
 * are none, a large one that no signpost names may be passed over too.
 */
int kfl__walk_search(struct kfl__segment *segment, uint64_t from, uint64_t limit, int64_t least_offset,
                     struct kfl__batch_header *out_header, uint64_t *out_place);

/* The place behind the last byte of [from, to) that is not zero; `from`: all are. Unreadable pages count as bytes. */
uint64_t kfl__walk_last(struct kfl__segment *segment, uint64_t from, uint64_t to);

#endif
