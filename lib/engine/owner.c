/* SPDX-License-Identifier: MIT */
/*
 * Who owns the bytes behind the published place: the holder of the slot's append lock, and after its death the next one,
 * who zeroes what was half laid, or finishes what was published (R2).
 */
#include "engine/partition.h"

#include "base/process.h"
#include "engine/sync.h"
#include "engine/topics.h"
#include "format/names.h"

/* What a repair may find missing. */
#define OWNER_NEEDS_FILE 1

#define load_relaxed(word) atomic_load_explicit(word, memory_order_relaxed)
#define store_relaxed(word, value) atomic_store_explicit(word, value, memory_order_relaxed)
#define store_release(word, value) atomic_store_explicit(word, value, memory_order_release)

/* The prepared file becomes the active one in the slot's words; its publishing word stands already. */
void kfl__partition_advance(struct kfl__slot *slot)
{
    /* Zero in between: who reads id, base, id again without the lock gets a pair of one moment. */
    store_relaxed(&slot->active.id, 0);
    atomic_thread_fence(memory_order_release);
    store_relaxed(&slot->active.size, load_relaxed(&slot->next.size));
    store_relaxed(&slot->active.seed, load_relaxed(&slot->next.seed));
    store_relaxed(&slot->active_base_offset, load_relaxed(&slot->pending_end_offset));
    store_relaxed(&slot->active_first_timestamp_ms, -1);
    store_relaxed(&slot->active_max_timestamp_ms, -1);
    store_relaxed(&slot->active_records, 0);
    store_relaxed(&slot->active_batch_count, 0);
    store_relaxed(&slot->active_time_count, 0);
    store_relaxed(&slot->active_time_place, KFL_SEGMENT_FIRST_PLACE);
    store_release(&slot->active.id, load_relaxed(&slot->next.id));
    store_release(&slot->next.id, 0);
}

/* R2: idempotent, so that its own death costs nothing. Positive: needs the active file first. */
static int partition_repair(struct kfl__partition *partition)
{
    struct kfl__slot *slot = partition->slot;
    uint64_t word = load_relaxed(&slot->published);
    uint64_t place = kfl__word_place(word);

    if (load_relaxed(&slot->ready) == 0 || load_relaxed(&slot->deleted) != 0)
        return 0;
    if (load_relaxed(&slot->next.id) != 0 &&
        kfl__word_ordinal(word) == (uint32_t)load_relaxed(&slot->next.id))
        kfl__partition_advance(slot);
    if (load_relaxed(&slot->pending_word) == word)
        store_relaxed(&slot->end_offset, load_relaxed(&slot->pending_end_offset));
    if (load_relaxed(&slot->reserved_end) > place && word != 0) {
        struct kfl__segment *segment = kfl__partition_written(partition, kfl__word_ordinal(word));
        if (segment == NULL)
            return OWNER_NEEDS_FILE;
        uint64_t end = load_relaxed(&slot->reserved_end);
        int r = kfl__segment_clear(segment, place, end < segment->size ? end : segment->size);
        if (r < 0)
            return r;
        store_relaxed(&slot->reserved_end, place);
    }
    store_relaxed(&slot->writer_epoch, load_relaxed(&slot->writer_epoch) + 1);
    store_relaxed(&slot->repairs, load_relaxed(&slot->repairs) + 1);
    return 0;
}

static int partition_busy(struct kfl__partition *partition)
{
    char holder[64];
    int32_t owner = kfl__lendable_owner(&partition->slot->append);
    /* Who holds it is gone, and the kernel did not say so: the words of this state file are no good (R18). */
    if (owner != 0 && !kfl__process_lives(owner, 0) &&
        kfl__lendable_owner(&partition->slot->append) == owner)
        kfl__state_condemn(partition->core->state);
    kfl__presence_describe(owner, holder, sizeof holder);
    kfl__fail(KFL_E_BUSY, "partition %s/%d stays locked by %s: is it stopped?",
              partition->topic->name, partition->number, holder);
    return kfl__fail_at(KFL_E_BUSY, partition->topic->name, partition->number, -1);
}

int kfl__lock_answer(struct kfl__core *core, int r)
{
    if (KFL_LIKELY(r != KFL_E_CORRUPT))
        return r;
    kfl__state_condemn(core->state);
    kfl__fail(r,
              "%s/" KFL_NAME_STATE ", which processes share, was overwritten: a lock in it is none any more. Close the store in "
              "every process: the next open makes that file anew, and no record is lost",
              core->path);
    return kfl__fail_in(r, core->path);
}

/* The last owner died inside. Holding the lock; opens the file that it was writing if need be. */
static KFL_UNCHECKED int partition_mend(struct kfl__partition *partition)
{
    int r = partition_repair(partition);
    if (r == OWNER_NEEDS_FILE) {
        /* Rare enough that opening a file under the lock harms nobody; nobody else could go on anyway. */
        r = kfl__partition_open_active(partition, load_relaxed(&partition->slot->active.id));
        if (r == 0)
            r = partition_repair(partition);
    }
    if (r == 0)
        kfl__lendable_mended(&partition->slot->append);
    return r;
}

/* What the lock answered: mend what a dead owner left, and see that the slot is still ours. */
KFL_UNCHECKED int kfl__partition_take(struct kfl__partition *partition, int r)
{
    struct kfl__slot *slot = partition->slot;
    if (r == KFL_LOCK_BUSY)
        return partition_busy(partition);
    if (r == KFL_E_INTR)
        return r;
    if (r < 0) {
        r = kfl__lock_answer(partition->core, r);
        return r == KFL_E_CORRUPT ? kfl__fail_at(r, partition->topic->name, partition->number, -1) : r;
    }
    if (r == KFL_LOCK_OWNER_DIED) {
        r = partition_mend(partition);
        if (r < 0) {
            /* What is published stands; who appends next copies it into a new file. */
            kfl__lendable_mended(&slot->append);
            atomic_store(&slot->suspect, 1);
            kfl__lendable_unlock(&slot->append, KFL_RANK_APPEND);
            return r;
        }
    }
    if (KFL_UNLIKELY(!kfl__partition_exists(partition))) {
        kfl__lendable_unlock(&slot->append, KFL_RANK_APPEND);
        return kfl__partition_gone(partition);
    }
    if (KFL_UNLIKELY(atomic_load_explicit(&partition->core->closing, memory_order_relaxed) > 1)) {
        kfl__lendable_unlock(&slot->append, KFL_RANK_APPEND);
        return kfl__fail(KFL_E_CLOSED, "the store %s is closed", partition->core->path);
    }
    return 0;
}

KFL_UNCHECKED int kfl__partition_lock(struct kfl__partition *partition, int64_t deadline_ns)
{
    return kfl__partition_take(
        partition, kfl__lendable_lock(&partition->slot->append, KFL_RANK_APPEND, deadline_ns));
}

KFL_UNCHECKED void kfl__partition_unlock(struct kfl__partition *partition)
{
    kfl__lendable_unlock(&partition->slot->append, KFL_RANK_APPEND);
}
