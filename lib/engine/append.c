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

#include "base/bytes.h"
#include "base/fault.h"
#include "base/hash.h"
#include "base/memory.h"
#include "engine/janitor.h"
#include "engine/notify.h"
#include "engine/sync.h"
#include "engine/topics.h"
#include "engine/touch.h"

#define APPEND_STAGING 4096u
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
    const uint8_t *ahead = to + APPEND_FETCH_AHEAD;
    kfl__fetch_to_write(ahead);
    kfl__fetch_to_write(ahead + 64);
    kfl__fetch_to_write(ahead + 128);
    for (uint64_t at = 192; at < room && at < APPEND_FETCH_MOST; at += 64)
        kfl__fetch_to_write(ahead + at);
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

/* Holding the lock, or about to. */
static APPEND_INLINE bool partition_is_ours(const struct kfl__partition *partition)
{
    return kfl__slot_is(partition->slot, partition->topic->id, (uint32_t)partition->number,
                        partition->incarnation);
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

/* The same by the long way, which tells what is not usual and deals with it. */
static __attribute__((noinline)) int64_t append_short_unusual(struct kfl__partition *partition,
                                                              const void *bytes, uint32_t size,
                                                              uint64_t hash, int64_t timestamp_ms,
                                                              const struct kfl__append *how)
{
    const struct kfl__payload payload = {
        .size = size,
        .unpacked_size = size,
        .record_count = 1,
        .max_timestamp_ms = timestamp_ms,
        .bytes = bytes,
        .hash = hash,
    };
    int64_t offset;
    int r = kfl__partition_append(partition, &payload, how, &offset);
    return r < 0 ? r : offset;
}

KFL_UNCHECKED KFL_INLINE_WHERE_SEEN int64_t
kfl__partition_append_short(struct kfl__partition *partition, const void *bytes, uint32_t size,
                            uint64_t hash, int64_t timestamp_ms, const struct kfl__append *how)
{
    struct kfl__slot *slot = partition->slot;
    const struct kfl__settings *settings = how->settings;
    const struct append_batch batch = {kfl__batch_room(size), hash, timestamp_ms, size, size, 1, 0};
    enum kfl__taken taken = kfl__lendable_take_free(&slot->append, KFL_RANK_APPEND);
    if (KFL_UNLIKELY(taken == KFL_TAKEN_NOT))
        return append_short_unusual(partition, bytes, size, hash, timestamp_ms, how);
    uint64_t word = load_relaxed(&slot->published), place = kfl__word_place(word);
    int64_t end = load_relaxed(&slot->end_offset);
    if (KFL_UNLIKELY(!partition_is_ours(partition) ||
                     !append_is_usual(partition, slot, settings, batch, word, end) ||
                     place + batch.room > load_relaxed(&partition->writing->look_at))) {
        kfl__lendable_give_back(&slot->append, KFL_RANK_APPEND, taken);
        return append_short_unusual(partition, bytes, size, hash, timestamp_ms, how);
    }
    struct kfl__segment *segment = partition->writing;
    uint8_t *to = kfl__segment_lay(segment, place);
    assert(to != NULL && settings->flush_messages == INT64_MAX);
    append_fetch_ahead(to, batch.room);
    append_reserve(slot, place, batch.room);
    kfl__copy_few(to + sizeof(struct kfl__batch_header), bytes, batch.room - sizeof(struct kfl__batch_header));
    /* Once more: a reader may have pulled it away meanwhile. */
    kfl__fetch_to_write(&slot->published);
    append_seal(slot, segment, to, batch, place, end);
    append_publish(slot, segment, settings, batch, word, end);
    store_relaxed(&partition->tail, to + batch.room);
    kfl__lendable_give_back(&slot->append, KFL_RANK_APPEND, taken);
    kfl__notify_raise(partition->core, slot);
    return end;
}
