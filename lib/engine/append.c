/* SPDX-License-Identifier: MIT */
/*
 * Append.
 *
 * Whoever holds a slot's append lock owns the bytes behind the published place. It notes how far it may
 * have written, lays the batch, notes what it is about to publish, and publishes with one store (R1, R2).
 * When it dies anywhere in between, the next owner zeroes what was half laid, or finishes what was
 * published. Nothing under the lock waits for a disk, begins a catalog transaction or allocates: when a
 * file, a floor or a mended tail is missing, the lock is given back, the thing is brought about, and the
 * append begins again.
 */
#include "engine/partition.h"

#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "engine/append_steps.h"
#include "engine/janitor.h"
#include "engine/notify.h"
#include "engine/sync.h"
#include "engine/touch.h"

#define APPEND_STAGING 4096u

static struct append_batch append_batch_of(const struct kfl__payload *payload)
{
    return (struct append_batch){
        .room = kfl__batch_room(payload->size),
        .hash = payload->hash,
        .max_timestamp_ms = payload->max_timestamp_ms,
        .size = payload->size,
        .unpacked_size = payload->unpacked_size,
        .record_count = payload->record_count,
        .flags = payload->flags,
    };
}

/* Holding the lock, all is as it must be, and `word` and `end` are published: lay the batch, and publish it. */
static int append_lay(struct kfl__partition *partition, const struct kfl__payload *payload,
                      const struct kfl__settings *settings, uint8_t *staging, uint64_t word,
                      int64_t end)
{
    struct kfl__slot *slot = partition->slot;
    struct kfl__segment *segment = partition->writing;
    struct append_batch batch = append_batch_of(payload);
    uint64_t place = kfl__word_place(word);
    uint8_t *to = staging != NULL ? staging : kfl__segment_lay(segment, place);
    append_reserve(slot, place, batch.room);
    if (staging == NULL) {
        uint8_t *bytes = to + sizeof(struct kfl__batch_header);
        append_fetch_ahead(to, batch.room);
        if (payload->bytes != NULL) {
            memcpy(bytes, payload->bytes, payload->size);
        } else {
            payload->fill(payload, bytes);
            batch.hash = kfl__hash64(bytes, payload->size);
        }
        kfl__batch_pad(to, payload->size);
    }
    append_seal(slot, segment, to, batch, place, end);
    int r = staging != NULL ? kfl__segment_write(segment, staging, batch.room, place) : 0;
    if (r < 0)
        return r;
    append_publish(slot, segment, settings, batch, word, end);
    return 0;
}

/* Holding the lock, and something is not usual. 0, a positive need, or an error. */
static __attribute__((noinline)) int append_unusual(struct kfl__partition *partition,
                                                    const struct kfl__payload *payload,
                                                    const struct kfl__append *how, uint8_t *staging)
{
    struct kfl__slot *slot = partition->slot;
    if (load_relaxed(&partition->core->closing) != 0)
        return kfl__fail(KFL_E_CLOSED, "the store %s is closed", partition->core->path);
    if (load_relaxed(&slot->ready) != KFL_SLOT_READY)
        return KFL_NEEDS_FILL;
    if (load_relaxed(&slot->life) != load_relaxed(&partition->core->shared->life))
        return KFL_NEEDS_MENDING; /* also what a failed sync left: a new life begins with a copy */
    if (load_relaxed(&slot->failed) != 0)
        return kfl__sync_fail_again(partition);
    if (load_relaxed(&slot->suspect) != 0)
        return KFL_NEEDS_MENDING;

    int64_t end = load_relaxed(&slot->end_offset);
    if (how->expected_offset >= 0 && how->expected_offset != end) {
        kfl__fail(KFL_E_CONFLICT,
                  "partition %s/%d ends at offset %lld, not at %lld: read on and decide again",
                  partition->topic->name, partition->number, (long long)end,
                  (long long)how->expected_offset);
        return kfl__fail_at(KFL_E_CONFLICT, partition->topic->name, partition->number, end);
    }
    if (payload->record_count > INT64_MAX - end)
        return kfl__fail(KFL_E_INVALID, "partition %s/%d has no offsets left",
                         partition->topic->name, partition->number);

    uint64_t word = load_relaxed(&slot->published);
    uint64_t room = kfl__batch_room(payload->size);
    bool begun = load_relaxed(&slot->active.id) != 0;
    if (begun &&
        (partition->writing == NULL || (uint32_t)partition->writing->id != kfl__word_ordinal(word)))
        return KFL_NEEDS_FILE;
    bool roll = !begun || slot_is_full(slot, partition->writing, how->settings,
                                       append_batch_of(payload), kfl__word_place(word), end);
    int64_t next_id = load_relaxed(&slot->next.id);
    if (roll &&
        (next_id == 0 ||
         (uint64_t)load_relaxed(&slot->next.size) <
             KFL_SEGMENT_FIRST_PLACE + room + KFL_END_MARK_SIZE ||
         partition->writing_next == NULL || partition->writing_next->id != next_id))
        return KFL_NEEDS_NEXT;
    /* After the file: listing a new one raises the floor in the same transaction. */
    if (end + payload->record_count > load_relaxed(&slot->offset_floor))
        return KFL_NEEDS_FLOOR;
    if (roll) {
        int r = kfl__partition_roll_to_next(partition, staging != NULL);
        if (r < 0)
            return r;
        word = load_relaxed(&slot->published);
    }
    return append_lay(partition, payload, how->settings, staging, word, end);
}

/* The lock is free nearly always: try before the deadline is worked out. */
static KFL_UNCHECKED inline int partition_lock_quickly(struct kfl__partition *partition,
                                                       int64_t block_ms, int64_t *io_deadline_ns)
{
    int r = kfl__lendable_trylock(&partition->slot->append, KFL_RANK_APPEND);
    if (KFL_UNLIKELY(r == KFL_LOCK_BUSY)) {
        if (*io_deadline_ns == 0)
            *io_deadline_ns = kfl__clock_deadline_ns(block_ms);
        r = kfl__lendable_lock(&partition->slot->append, KFL_RANK_APPEND, *io_deadline_ns);
    }
    if (KFL_LIKELY(r == 0 && partition_is_ours(partition)))
        return 0;
    return kfl__partition_take(partition, r);
}

/* An attempt found something missing: bring it about, not holding the lock. 0: try again. */
static int partition_provide_for(struct kfl__partition *partition, int need,
                                 const struct kfl__payload *payload, const struct kfl__append *how,
                                 int64_t *io_deadline_ns)
{
    int r = kfl__core_enter(partition->core);
    if (r < 0)
        return r;
    if (*io_deadline_ns == 0)
        *io_deadline_ns = kfl__clock_deadline_ns(how->block_ms);
    r = kfl__partition_provide(partition, need, payload, how, *io_deadline_ns);
    kfl__core_leave(partition->core);
    return r;
}

/* staging: NULL, or the batch laid out in memory, to be written from there. */
static inline int partition_append(struct kfl__partition *partition,
                                   const struct kfl__payload *payload,
                                   const struct kfl__append *how, uint8_t *staging,
                                   int64_t *out_base_offset)
{
    struct kfl__after after;
    struct kfl__slot *slot = partition->slot;
    bool more = false;
    int64_t deadline = 0; /* a look at the clock is for those who have to wait */
    for (;;) {
        int r = partition_lock_quickly(partition, how->block_ms, &deadline);
        if (KFL_UNLIKELY(r < 0))
            return r;
        uint64_t word = load_relaxed(&slot->published);
        int64_t end = load_relaxed(&slot->end_offset);
        r = KFL_LIKELY(how->expected_offset < 0 &&
                       append_is_usual(partition, slot, how->settings, append_batch_of(payload),
                                       word, end))
                ? append_lay(partition, payload, how->settings, staging, word, end)
                : append_unusual(partition, payload, how, staging);
        if (KFL_UNLIKELY(r == 0 && (kfl__word_place(load_relaxed(&slot->published)) >
                                        load_relaxed(&partition->writing->look_at) ||
                                    how->settings->flush_messages != INT64_MAX)))
            more = kfl__partition_look_ahead(partition, how, staging != NULL, &after);
        kfl__partition_unlock(partition);
        if (KFL_LIKELY(r == 0)) {
            *out_base_offset = end;
            break;
        }
        if (r > 0)
            r = partition_provide_for(partition, r, payload, how, &deadline);
        if (r < 0)
            return r;
    }
    kfl__notify_raise(partition->core, slot);
    return KFL_LIKELY(!more) ? 0 : kfl__partition_do_after(partition, how, &after);
}

/* The batch is laid out in memory first, so that one pwrite brings it into the file. */
static __attribute__((noinline)) int partition_append_by_file(struct kfl__partition *partition,
                                                              const struct kfl__payload *payload,
                                                              const struct kfl__append *how,
                                                              int64_t *out_base_offset)
{
    uint64_t small[APPEND_STAGING / sizeof(uint64_t)];
    uint64_t room = kfl__batch_room(payload->size);
    uint8_t *staging = (uint8_t *)small, *large = NULL;
    struct kfl__payload staged = *payload;
    if (room > sizeof small) {
        staging = large = kfl__alloc(room);
        if (large == NULL)
            return kfl__fail(KFL_E_NOMEM, "a batch of %u bytes: out of memory", payload->size);
    }
    uint8_t *bytes = staging + sizeof(struct kfl__batch_header);
    if (payload->bytes != NULL) {
        memcpy(bytes, payload->bytes, payload->size);
    } else {
        payload->fill(payload, bytes);
        staged.hash = kfl__hash64(bytes, payload->size);
    }
    kfl__batch_pad(staging, payload->size);
    int r = partition_append(partition, &staged, how, staging, out_base_offset);
    kfl__free(large);
    return r;
}

int kfl__partition_append(struct kfl__partition *partition, const struct kfl__payload *payload,
                          const struct kfl__append *how, int64_t *out_base_offset)
{
    if (KFL_UNLIKELY(how->durable || partition->core->by_file ||
                     how->settings->flush_messages == 1))
        return partition_append_by_file(partition, payload, how, out_base_offset);
    return partition_append(partition, payload, how, NULL, out_base_offset);
}
