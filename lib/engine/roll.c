/* SPDX-License-Identifier: MIT */
/* A full file is left for the prepared one behind it (R3). */
#include "engine/partition.h"

#include "base/fault.h"
#include "engine/sync.h"
#include "engine/topics.h"

#define load_relaxed(word) atomic_load_explicit(word, memory_order_relaxed)
#define store_relaxed(word, value) atomic_store_explicit(word, value, memory_order_relaxed)
#define store_release(word, value) atomic_store_explicit(word, value, memory_order_release)

/* What the segment that is being left was; its manifest row is written later. */
static void partition_note_rolled(struct kfl__partition *partition, uint64_t used,
                                  int64_t end_offset)
{
    struct kfl__slot *slot = partition->slot;
    int64_t id = load_relaxed(&slot->active.id);
    struct kfl__slot_rolled *rolled = &slot->rolled[id % KFL_SLOT_ROLLED];
    store_relaxed(&rolled->id, 0);
    store_relaxed(&rolled->end_offset, end_offset);
    store_relaxed(&rolled->used, (int64_t)used);
    store_relaxed(&rolled->first_timestamp_ms, load_relaxed(&slot->active_first_timestamp_ms));
    store_relaxed(&rolled->max_timestamp_ms, load_relaxed(&slot->active_max_timestamp_ms));
    store_relaxed(&rolled->records, load_relaxed(&slot->active_records));
    store_release(&rolled->id, id);
    /* The slot has room for a few: whoever left many at once remembers them all. */
    partition->writing->rolled = (struct kfl__segment_facts){
        .end_offset = end_offset,
        .used = (int64_t)used,
        .first_timestamp_ms = load_relaxed(&slot->active_first_timestamp_ms),
        .max_timestamp_ms = load_relaxed(&slot->active_max_timestamp_ms),
        .record_count = load_relaxed(&slot->active_records),
    };
}

/* Lay the end mark behind the published place. */
static int partition_lay_end(struct kfl__partition *partition, uint64_t place, int64_t end_offset,
                             int64_t next_id, bool by_file)
{
    struct kfl__slot *slot = partition->slot;
    struct kfl__segment *segment = partition->writing;
    uint8_t mark[KFL_END_MARK_SIZE];
    uint8_t *to = by_file ? NULL : kfl__segment_lay(segment, place);
    kfl__batch_seal_end(to != NULL ? to : mark, end_offset, next_id,
                        load_relaxed(&slot->writer_epoch), load_relaxed(&slot->durable_offset),
                        place, segment->seed);
    return to != NULL ? 0 : kfl__segment_write(segment, mark, sizeof mark, place);
}

int kfl__partition_roll_to_next(struct kfl__partition *partition, bool by_file)
{
    struct kfl__slot *slot = partition->slot;
    uint64_t word = load_relaxed(&slot->published);
    uint64_t place = kfl__word_place(word);
    int64_t end = load_relaxed(&slot->end_offset);
    int64_t next_id = load_relaxed(&slot->next.id);
    uint64_t next_word = kfl__word(next_id, KFL_SEGMENT_FIRST_PLACE);

    if (load_relaxed(&slot->active.id) != 0) {
        store_release(&slot->reserved_end, place + KFL_END_MARK_SIZE);
        int r = partition_lay_end(partition, place, end, next_id, by_file);
        if (r < 0)
            return r;
        KFL_STEP("roll.marked");
        partition_note_rolled(partition, place, end);
    }
    store_release(&slot->reserved_end, KFL_SEGMENT_FIRST_PLACE);
    store_release(&slot->pending_word, next_word);
    store_release(&slot->pending_end_offset, end);
    KFL_STEP("roll.before_publish");
    store_release(&slot->published, next_word);
    KFL_STEP("roll.published");
    kfl__partition_advance(slot);
    store_relaxed(&slot->rolls, load_relaxed(&slot->rolls) + 1);
    struct kfl__segment *next = partition->writing_next;
    partition->writing_next = NULL;
    kfl__partition_write_to(partition, next);
    return 0;
}

/* Holding the lock. 0; with *out_need not 0 nothing has happened and that is missing; KFL_PARTITION_MOVED; an error. */
static int partition_roll_locked(struct kfl__partition *partition, int64_t segment_id,
                                 int64_t end_offset, int *out_need)
{
    struct kfl__slot *slot = partition->slot;
    uint64_t word = load_relaxed(&slot->published);
    *out_need = 0;
    if (load_relaxed(&slot->ready) != KFL_SLOT_READY)
        *out_need = KFL_NEEDS_FILL;
    else if (load_relaxed(&slot->life) != load_relaxed(&partition->core->shared->life) ||
             load_relaxed(&slot->suspect) != 0)
        *out_need = KFL_NEEDS_MENDING;
    else if (load_relaxed(&slot->failed) != 0)
        return kfl__sync_fail_again(partition);
    if (*out_need != 0)
        return 0;
    if (load_relaxed(&slot->active.id) != segment_id ||
        (end_offset >= 0 && load_relaxed(&slot->end_offset) != end_offset) ||
        kfl__word_place(word) == KFL_SEGMENT_FIRST_PLACE)
        return KFL_PARTITION_MOVED;
    int64_t next_id = load_relaxed(&slot->next.id);
    if (partition->writing == NULL || partition->writing->id != segment_id)
        *out_need = KFL_NEEDS_FILE;
    else if (next_id == 0 || load_relaxed(&slot->next.size) == 0 ||
             partition->writing_next == NULL || partition->writing_next->id != next_id)
        *out_need = KFL_NEEDS_NEXT;
    return *out_need != 0 ? 0 : kfl__partition_roll_to_next(partition, true);
}

int kfl__partition_roll(struct kfl__partition *partition, int64_t segment_id, int64_t end_offset)
{
    const struct kfl__append how = {.expected_offset = -1,
                                    .settings = kfl__topic_shape(partition->topic)->settings};
    const struct kfl__payload nothing = {0};
    for (;;) {
        int need;
        int r = kfl__partition_lock(partition, -1);
        if (r < 0)
            return r;
        r = partition_roll_locked(partition, segment_id, end_offset, &need);
        kfl__partition_unlock(partition);
        if (r == 0 && need != 0)
            r = kfl__partition_provide(partition, need, &nothing, &how, -1);
        if (r != 0 || need == 0)
            return r;
    }
}

int kfl__partition_roll_behind(struct kfl__partition *partition, int64_t offset)
{
    for (;;) {
        int64_t active, base;
        kfl__partition_active(partition, &active, &base);
        if (active == 0 || base > offset)
            return 0;
        int r = kfl__partition_roll(partition, active, -1);
        if (r < 0)
            return r;
        /* Empty, and the offsets before it are those of a gap. */
        if (r == KFL_PARTITION_MOVED && load_relaxed(&partition->slot->active.id) == active &&
            kfl__word_place(load_relaxed(&partition->slot->published)) == KFL_SEGMENT_FIRST_PLACE)
            return 0;
    }
}
