/* SPDX-License-Identifier: MIT */
/* The pages of a writable map: there before they are stored to, and gone again once they are full. */
#include "base/map.h"
#include "log/segment.h"

/* Fewer are left to the sync, which takes a moment for each. */
#define PAGES_LET_GO_LEAST ((uint64_t)256 << 10)

bool kfl__segment_touch_ahead(struct kfl__segment *segment, uint64_t size)
{
    uint64_t from = atomic_load_explicit(&segment->touched_to, memory_order_relaxed);
    uint64_t to = from + size < segment->size ? from + size : segment->size;
    if (segment->writing == NULL || from >= to)
        return false;
    /* Whoever moves the mark does the work; a place that a second one finds untouched merely faults. */
    if (atomic_compare_exchange_strong(&segment->touched_to, &from, to))
        (void)kfl__map_populate_write(segment->writing + from, to - from);
    return true;
}

void kfl__segment_touch_offsets(struct kfl__segment *segment, uint64_t upto)
{
    uint64_t from = atomic_load_explicit(&segment->offsets_touched_to, memory_order_relaxed);
    uint64_t to = (upto < segment->offsets.size ? upto : segment->offsets.size) / 4096 * 4096;
    if (segment->offsets.writable && from < to && atomic_compare_exchange_strong(&segment->offsets_touched_to, &from, to))
        (void)kfl__map_populate_write(segment->offsets.bytes + from, to - from);
}

void kfl__segment_touch_from(struct kfl__segment *segment, uint64_t place)
{
    atomic_store(&segment->touched_to, place / 4096 * 4096);
}

void kfl__segment_let_go(struct kfl__segment *segment, uint64_t place)
{
    uint64_t from = atomic_load_explicit(&segment->let_go_to, memory_order_relaxed);
    uint64_t to = (place < segment->size ? place : segment->size) / 4096 * 4096;
    if (segment->writing != NULL && to >= from + PAGES_LET_GO_LEAST &&
        atomic_compare_exchange_strong(&segment->let_go_to, &from, to))
        kfl__map_let_go(segment->writing + from, to - from);
}
