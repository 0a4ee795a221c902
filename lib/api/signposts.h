/* SPDX-License-Identifier: MIT */
/* One index file of a segment, read to be held against the batches that a walk meets. */
#ifndef KFL_API_SIGNPOSTS_H
#define KFL_API_SIGNPOSTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/names.h"

struct kfl__signposts {
    enum kfl__name_kind kind; /* KFL_NAME_OFFSETS or KFL_NAME_TIMES */
    uint64_t seed;            /* of the segment */
    uint8_t *bytes;
    uint32_t count; /* up to the first that is none */
    uint32_t at;    /* not met yet */
    uint32_t wrong; /* that lead to no batch, or tell a time that is too early */
    bool odd;       /* no index at all: a size that cannot be, or entries behind the last */
    bool gap;       /* damage was met: what lay before it is not known */
};

/* 0, or KFL_FILE_MISSING: a cache may be. Owned: kfl__signposts_close. */
int kfl__signposts_read(int directory, int64_t segment_id, enum kfl__name_kind kind, uint64_t seed,
                        struct kfl__signposts *out_signposts);
void kfl__signposts_close(struct kfl__signposts *signposts); /* takes a zeroed one */

/*
 * A batch stands at `place`, behind records of which the latest is of max_timestamp_ms (-1: none).
 * In order of place.
 */
void kfl__signposts_meet(struct kfl__signposts *signposts, uint64_t place,
                         int64_t max_timestamp_ms);
/* What leads to below `place` cannot be judged. */
void kfl__signposts_skip(struct kfl__signposts *signposts, uint64_t place);
/* There are no batches up to `limit` any more. */
void kfl__signposts_end(struct kfl__signposts *signposts, uint64_t limit);
/* Without the batches: order, bounds and hashes. */
void kfl__signposts_glance(struct kfl__signposts *signposts, uint64_t limit);

#endif
