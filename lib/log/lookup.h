/* SPDX-License-Identifier: MIT */
/* Find a batch of one segment by an offset or a time: by signposts, and before that by a guess. */
#ifndef KFL_LOG_LOOKUP_H
#define KFL_LOG_LOOKUP_H

#include <stdint.h>

#include "format/batch.h"
#include "log/segment.h"

/* What is known of the segment. */
struct kfl__lookup {
    int64_t base_offset, end_offset; /* what it spans up to `limit` */
    uint64_t limit;                  /* bytes that count */
    uint32_t batch_count;            /* a hint; 0: not known */
    /*
     * Bytes of a batch, where each was seen to hold one record and to take as many as the others: the place follows
     * from the offset then, and no signpost is asked. 0: it is not so. Wrong, it costs a look.
     */
    uint64_t stride;
};

/*
 * The batch that holds `offset`, or one before it: verified.
 * KFL_INDEX_USELESS: the signposts do not help; walk from the first place.
 */
#define KFL_INDEX_USELESS 1
int kfl__lookup_offset(struct kfl__segment *segment, const struct kfl__lookup *known,
                       int64_t offset, struct kfl__batch_header *out_header, uint64_t *out_place);

/* The stride that this batch lets hope for: 0 if it holds more than one record, or if those before it were of another size. */
uint64_t kfl__lookup_stride(int64_t base_offset, const struct kfl__batch_header *header,
                            uint64_t place);

/* `base_offset + distance` will be looked up next: lets the memory that this needs come nearer meanwhile. */
void kfl__lookup_fetch(const struct kfl__segment *segment, uint64_t distance, uint64_t stride);

/* A place at or before the first record whose timestamp is `timestamp_ms` or later, by the time signposts. */
uint64_t kfl__lookup_time(struct kfl__segment *segment, uint64_t limit, int64_t timestamp_ms);

#endif
