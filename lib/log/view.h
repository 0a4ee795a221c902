/* SPDX-License-Identifier: MIT */
/* The list of segments that made up a partition at one moment; see view.c. */
#ifndef KFL_LOG_VIEW_H
#define KFL_LOG_VIEW_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/count.h"
#include "log/segment.h"

struct kfl__view_entry {
    int64_t segment_id;
    int64_t base_offset;
    int64_t end_offset;   /* -1: told by the next entry's base, or by the publishing word */
    uint64_t bytes;       /* that count; 0: up to the end mark, or the publishing word */
    uint64_t size;
    int64_t max_timestamp_ms; /* -1: not known or none */
    int64_t max_timestamp_offset;
    /* guarded by whoever keeps the view */
    struct kfl__segment *segment; /* a share; opened on demand, given back when it is long unused */
    uint64_t used;                /* when it was asked for last, in the keeper's count */
};

struct kfl__view {
    struct kfl__count count;
    uint64_t manifest_version;
    int32_t entry_count;
    struct kfl__view_entry entries[];
};

/* counted: release. Entries are zeroed; the caller fills them in order of base offset. */
int kfl__view_create(int32_t entry_count, struct kfl__view **out_view);
void kfl__view_acquire(struct kfl__view *view);
void kfl__view_release(struct kfl__view *view); /* takes NULL */

/* The last entry whose base is at or below `offset`, else the first; -1 for an empty view. */
int32_t kfl__view_find(const struct kfl__view *view, int64_t offset);
/* The entry of this segment; -1 when it is not there. */
int32_t kfl__view_find_segment(const struct kfl__view *view, int64_t segment_id);
/* The new view takes over what the old one has open. */
void kfl__view_inherit(struct kfl__view *view, struct kfl__view *older);
/* Keep `segment` (a share of the caller's goes over) at the entry, unless there is one: returns the one that is kept, borrowed. */
struct kfl__segment *kfl__view_keep(struct kfl__view *view, int32_t entry, struct kfl__segment *segment);
/*
 * Take out up to `room` segments that nobody else has a share of and that were asked for last before `used_before`:
 * their number; the shares go over to the caller. Begins at *io_entry and moves it on; 0: there are no more.
 */
int32_t kfl__view_take_unused(struct kfl__view *view, uint64_t used_before, int32_t *io_entry, int32_t room,
                              struct kfl__segment **out_segments);

#endif
