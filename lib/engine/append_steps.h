/* SPDX-License-Identifier: MIT */
/*
 * The steps of an append, which both ways of appending take in one order (R2): engine/append, which deals with whatever
 * it finds, and engine/append_short, which does the usual thing or nothing.
 */
#ifndef KFL_ENGINE_APPEND_STEPS_H
#define KFL_ENGINE_APPEND_STEPS_H

#include <string.h>

#include "base/bytes.h"
#include "base/fault.h"
#include "engine/partition.h"
#include "engine/topics.h"

/* Far enough for a miss, near enough to stay in the first-level cache. */
#define APPEND_FETCH_AHEAD 1024u
/* Of longer batches the processor fetches the rest itself. */
#define APPEND_FETCH_MOST 1024u

#define load_relaxed(word) atomic_load_explicit(word, memory_order_relaxed)
#define store_relaxed(word, value) atomic_store_explicit(word, value, memory_order_relaxed)
#define store_release(word, value) atomic_store_explicit(word, value, memory_order_release)

#define APPEND_INLINE inline __attribute__((always_inline))

/* What is said of a batch whose bytes are ready, or will be. Passed by value, so that it need not be in memory. */
struct append_batch {
    uint64_t room; /* in the file */
    uint64_t hash; /* of the payload */
    int64_t max_timestamp_ms;
    uint32_t size, unpacked_size; /* of the payload */
    uint32_t record_count;
    uint16_t flags;
};

/* What is to be compacted soon has to be closed soon. */
static inline int64_t append_roll_ms(const struct kfl__settings *settings)
{
    bool lag = (settings->cleanup_policy & KFL_CLEANUP_COMPACT) != 0 && settings->max_compaction_lag_ms < settings->segment_ms;
    return KFL_UNLIKELY(lag) ? settings->max_compaction_lag_ms : settings->segment_ms;
}

static APPEND_INLINE bool slot_is_full(const struct kfl__slot *slot,
                                       const struct kfl__segment *segment,
                                       const struct kfl__settings *settings,
                                       struct append_batch batch, uint64_t place, int64_t end)
{
    if (place + batch.room + KFL_END_MARK_SIZE > segment->size)
        return true;
    if (place == KFL_SEGMENT_FIRST_PLACE)
        return false;
    int64_t first = load_relaxed(&slot->active_first_timestamp_ms);
    if (first >= 0 && batch.max_timestamp_ms - first > append_roll_ms(settings))
        return true;
    if (load_relaxed(&slot->active_batch_count) >= kfl__index_offsets_capacity(&segment->offsets) &&
        segment->offsets.bytes != NULL)
        return true;
    return end + batch.record_count - load_relaxed(&slot->active_base_offset) > INT32_MAX;
}

static __attribute__((noinline)) void slot_note_signpost(struct kfl__slot *slot,
                                                         struct kfl__segment *segment,
                                                         int64_t max_timestamp_ms, uint64_t place)
{
    uint32_t times = load_relaxed(&slot->active_time_count);
    if (times < kfl__index_times_capacity(&segment->times)) {
        kfl__index_note_time(&segment->times, times, max_timestamp_ms, place, segment->seed);
        store_relaxed(&slot->active_time_count, times + 1);
    }
    store_relaxed(&slot->active_time_place, place);
}

/*
 * The words of time are moved before the batch is published, so that no death leaves them behind it: a largest time that is too
 * late costs a walk, one that is too early would hide a record.
 */
static APPEND_INLINE void slot_note_time(struct kfl__slot *slot, struct kfl__segment *segment,
                                         const struct kfl__settings *settings,
                                         int64_t max_timestamp_ms, uint64_t place)
{
    int64_t max = load_relaxed(&slot->active_max_timestamp_ms);
    if (KFL_UNLIKELY(place - load_relaxed(&slot->active_time_place) >=
                     (uint64_t)settings->index_interval_bytes))
        slot_note_signpost(slot, segment, max, place);
    if (max_timestamp_ms > max)
        store_relaxed(&slot->active_max_timestamp_ms, max_timestamp_ms);
    if (KFL_UNLIKELY(place == KFL_SEGMENT_FIRST_PLACE))
        store_relaxed(&slot->active_first_timestamp_ms, max_timestamp_ms);
}

/* One signpost a batch; a death in between leaves one too few, and readers walk a little further. */
static APPEND_INLINE void slot_note_place(struct kfl__slot *slot, struct kfl__index *offsets,
                                          uint64_t place)
{
    uint32_t count = load_relaxed(&slot->active_batch_count);
    if (KFL_UNLIKELY(count >= kfl__index_offsets_capacity(offsets)))
        return;
    kfl__index_note(offsets, count, place);
    __builtin_prefetch(offsets->bytes + sizeof(uint32_t) * ((size_t)count + 32), 1);
    store_relaxed(&slot->active_batch_count, count + 1);
}

static APPEND_INLINE void slot_note_unsynced(struct kfl__slot *slot)
{
    if (KFL_UNLIKELY(load_relaxed(&slot->unsynced_since_ns) == 0))
        store_relaxed(&slot->unsynced_since_ns, kfl__clock_steady_ns());
}

static APPEND_INLINE void slot_count(struct kfl__slot *slot, struct append_batch batch)
{
    store_relaxed(&slot->active_records, load_relaxed(&slot->active_records) + batch.record_count);
    store_relaxed(&slot->appended_records,
                  load_relaxed(&slot->appended_records) + batch.record_count);
    store_relaxed(&slot->appended_bytes, load_relaxed(&slot->appended_bytes) + batch.room);
    store_relaxed(&slot->appended_batches, load_relaxed(&slot->appended_batches) + 1);
}

/*
 * A locked instruction waits for the stores before it, and so for the lines that they miss: those that the appends to come
 * will lie in are asked for now. An address that is not mapped does no harm.
 */
static APPEND_INLINE void append_fetch_ahead(const uint8_t *to, uint64_t room)
{
    uintptr_t ahead = (uintptr_t)to + APPEND_FETCH_AHEAD;
    __asm__("" : "+r"(ahead)); /* one address, not one of each line */
    kfl__fetch_to_write((const void *)ahead);
    kfl__fetch_to_write((const void *)(ahead + 64));
    kfl__fetch_to_write((const void *)(ahead + 128));
    for (uint64_t at = 192; at < room && at < APPEND_FETCH_MOST; at += 64)
        kfl__fetch_to_write((const void *)(ahead + at));
}

/* The steps of R2, between which an owner may die. First: how far the bytes may be half laid. */
static APPEND_INLINE void append_reserve(struct kfl__slot *slot, uint64_t place, uint64_t room)
{
    store_release(&slot->reserved_end, place + room);
    KFL_STEP("append.reserved");
}

/* Second: the header over a payload that lies behind it. */
static APPEND_INLINE void append_seal(struct kfl__slot *slot, const struct kfl__segment *segment,
                                      uint8_t *to, struct append_batch batch, uint64_t place,
                                      int64_t base_offset)
{
    const struct kfl__batch_facts facts = {
        .base_offset = base_offset,
        .max_timestamp_ms = batch.max_timestamp_ms,
        .record_count = batch.record_count,
        .payload_size = batch.size,
        .unpacked_size = batch.unpacked_size,
        .writer_epoch = load_relaxed(&slot->writer_epoch),
        .flags = batch.flags,
        .durable_offset = load_relaxed(&slot->durable_offset),
        .payload_hash = batch.hash,
    };
    KFL_STEP("append.before_seal");
    kfl__batch_seal(to, &facts, place, segment->seed);
    KFL_STEP("append.laid");
}

/* Third: the batch is in the file, and is published behind `word` and `end`. */
static APPEND_INLINE void append_publish(struct kfl__slot *slot, struct kfl__segment *segment,
                                         const struct kfl__settings *settings,
                                         struct append_batch batch, uint64_t word, int64_t end)
{
    uint64_t next_word = word + batch.room / KFL_BATCH_ALIGNMENT, place = kfl__word_place(word);
    int64_t next_end = end + batch.record_count;
    slot_note_time(slot, segment, settings, batch.max_timestamp_ms, place);
    slot_note_unsynced(
        slot); /* before, for who dies here; and behind, for a sync that came between */
    store_release(&slot->pending_word, next_word);
    store_release(&slot->pending_end_offset, next_end);
    KFL_STEP("append.before_publish");
    store_release(&slot->published, next_word);
    KFL_STEP("append.published");
    store_release(&slot->end_offset, next_end);
    slot_note_place(slot, &segment->offsets, place);
    slot_count(slot, batch);
    slot_note_unsynced(slot);
}

/* Holding the lock: is all as it is nearly always, so that the batch can be laid where the last one ends? */
static APPEND_INLINE bool append_is_usual(const struct kfl__partition *partition,
                                          const struct kfl__slot *slot,
                                          const struct kfl__settings *settings,
                                          struct append_batch batch, uint64_t word, int64_t end)
{
    const struct kfl__segment *segment = partition->writing;
    const struct kfl__core *core = partition->core;
    return load_relaxed(&core->closing) == 0 && load_relaxed(&slot->ready) == KFL_SLOT_READY &&
           load_relaxed(&slot->life) == load_relaxed(&core->shared->life) &&
           (load_relaxed(&slot->failed) | load_relaxed(&slot->suspect)) == 0 &&
           (int64_t)batch.record_count <= load_relaxed(&slot->offset_floor) - end &&
           segment != NULL && segment->id == load_relaxed(&slot->active.id) &&
           (uint32_t)segment->id == kfl__word_ordinal(word) &&
           !slot_is_full(slot, segment, settings, batch, kfl__word_place(word), end);
}

/* Holding the lock, or about to. */
static APPEND_INLINE bool partition_is_ours(const struct kfl__partition *partition)
{
    return kfl__slot_is(partition->slot, partition->topic->id, (uint32_t)partition->number,
                        partition->incarnation);
}

#endif
