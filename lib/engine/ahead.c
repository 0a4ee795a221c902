/* SPDX-License-Identifier: MIT */
/* What an append leaves to be done once the lock is given back: pages, the next file, flush.messages. */
#include "engine/partition.h"

#include "engine/hands.h"
#include "engine/janitor.h"
#include "engine/sync.h"
#include "engine/topics.h"
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

int kfl__partition_prepare_ahead(struct kfl__partition *partition)
{
    struct kfl__slot *slot = partition->slot;
    uint64_t place = kfl__word_place(atomic_load(&slot->published));
    int64_t size = atomic_load(&slot->active.size);
    /* With a tail in doubt it would go when that is copied, and might take the room that the copy needs. */
    if (atomic_load(&slot->suspect) != 0 ||
        atomic_load(&slot->life) != atomic_load(&partition->core->shared->life))
        return 0;
    if (atomic_load(&slot->active.id) == 0 || atomic_load(&slot->next.id) != 0 ||
        (int64_t)place * 2 <= size)
        return 0;
    return kfl__partition_prepare(partition, kfl__topic_shape(partition->topic)->settings, 0,
                                  kfl__clock_deadline_ns(1000));
}

static bool ahead_prepare(struct kfl__core *core, const struct kfl__wish *wish)
{
    struct kfl__partition *partition = wish->subject;
    const struct kfl__slot *slot = partition->slot;
    /* A failure is met again, and told, by whoever appends. */
    if (atomic_load(&core->closing) == 0 && atomic_load(&slot->ready) == KFL_SLOT_READY &&
        kfl__slot_is(slot, partition->topic->id, (uint32_t)partition->number,
                     partition->incarnation))
        (void)kfl__partition_prepare_ahead(partition);
    return true;
}

static void ahead_share(const struct kfl__wish *wish)
{
    const struct kfl__partition *partition = wish->subject;
    kfl__topic_acquire(partition->topic);
}

static void ahead_forget(const struct kfl__wish *wish)
{
    const struct kfl__partition *partition = wish->subject;
    kfl__topic_release(partition->topic);
}

/* By a thread of its own, since the helper may stand in a sync for longer than it takes to fill the other half. */
static void ahead_ask(struct kfl__partition *partition)
{
    const struct kfl__wish wish = {ahead_prepare, ahead_share, ahead_forget, partition, 0, 0};
    ahead_share(&wish);
    if (kfl__hands_ask(partition->core, KFL_HAND_PREPARE, &wish))
        return;
    ahead_forget(&wish);
    kfl__janitor_wake(partition->core);
}

int kfl__partition_do_after(struct kfl__partition *partition, const struct kfl__append *how,
                            const struct kfl__after *after)
{
    if (after->touch != NULL) {
        kfl__touch_look(partition->core, after->touch, after->place, after->batches);
        kfl__segment_release(after->touch);
    }
    if (after->prepare)
        ahead_ask(partition);
    if (after->flush == 0 || how->durable)
        return 0;
    int r = kfl__core_enter(partition->core);
    if (r == 0) {
        r = kfl__sync_wait(partition, after->flush, -1);
        kfl__core_leave(partition->core);
    }
    return r;
}
