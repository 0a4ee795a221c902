/* SPDX-License-Identifier: MIT */
/* What an append leaves to be done once the lock is given back: pages, the next file, flush.messages. */
#include "engine/partition.h"

#include "engine/janitor.h"
#include "engine/sync.h"
#include "engine/touch.h"

#define load_relaxed(word) atomic_load_explicit(word, memory_order_relaxed)
#define store_relaxed(word, value) atomic_store_explicit(word, value, memory_order_relaxed)

bool kfl__partition_look_ahead(struct kfl__partition *partition, const struct kfl__append *how,
                               bool by_file, struct kfl__after *out_after)
{
    struct kfl__slot *slot = partition->slot;
    struct kfl__segment *segment = partition->writing;
    uint64_t place = kfl__word_place(load_relaxed(&slot->published));
    int64_t end = load_relaxed(&slot->end_offset);
    bool prepare =
        place * 2 > segment->size && load_relaxed(&slot->next.id) == 0 && !segment->next_asked;
    *out_after = (struct kfl__after){
        .place = place,
        .batches = load_relaxed(&slot->active_batch_count),
        .prepare = prepare,
    };
    if (end - load_relaxed(&slot->durable_offset) >= how->settings->flush_messages)
        out_after->flush = end;
    if (!by_file) {
        kfl__segment_acquire(segment);
        out_after->touch = segment;
    }
    if (prepare)
        segment->next_asked = true;
    if (by_file) /* nobody asks for pages: only the half is to be noticed */
        store_relaxed(&segment->look_at,
                      place * 2 > segment->size ? segment->size : segment->size / 2);
    return true;
}

int kfl__partition_do_after(struct kfl__partition *partition, const struct kfl__append *how,
                            const struct kfl__after *after)
{
    if (after->touch != NULL) {
        kfl__touch_look(partition->core, after->touch, after->place, after->batches);
        kfl__segment_release(after->touch);
    }
    if (after->prepare)
        kfl__janitor_wake(partition->core);
    if (after->flush == 0 || how->durable)
        return 0;
    int r = kfl__core_enter(partition->core);
    if (r == 0) {
        r = kfl__sync_wait(partition, after->flush, -1);
        kfl__core_leave(partition->core);
    }
    return r;
}
