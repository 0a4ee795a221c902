/* SPDX-License-Identifier: MIT */
/*
 * Append and roll.
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
#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/process.h"
#include "base/wait.h"
#include "engine/janitor.h"
#include "engine/notify.h"
#include "engine/sync.h"
#include "engine/topics.h"
#include "engine/touch.h"

#define APPEND_STAGING 4096u

#define load_relaxed(word) atomic_load_explicit(word, memory_order_relaxed)
#define store_relaxed(word, value) atomic_store_explicit(word, value, memory_order_relaxed)
#define store_release(word, value) atomic_store_explicit(word, value, memory_order_release)

/* What an attempt under the lock may find missing; positive, dealt with by the loop around it. */
enum {
    APPEND_NEEDS_FILE = 1, /* the active file is not open for writing here */
    APPEND_NEEDS_NEXT,     /* full, and nothing (large enough) is prepared */
    APPEND_NEEDS_FLOOR,    /* the next offset is not below the floor */
    APPEND_NEEDS_MENDING,  /* the tail is that of dead processes */
    APPEND_NEEDS_FILL,     /* the slot is not filled, or not recovered */
};

void kfl__partition_tail(struct kfl__partition *partition, uint64_t *out_word, int64_t *out_end_offset)
{
    kfl__slot_tail(partition->slot, out_word, out_end_offset);
}

/* ---- the lock, and what a dead owner left ---- */

static struct kfl__segment *partition_written(struct kfl__partition *partition, uint32_t ordinal)
{
    if (partition->writing != NULL && (uint32_t)partition->writing->id == ordinal)
        return partition->writing;
    if (partition->writing_next != NULL && (uint32_t)partition->writing_next->id == ordinal)
        return partition->writing_next;
    return NULL;
}

/* The prepared file becomes the active one in the slot's words; its publishing word stands already. */
static void slot_advance(struct kfl__slot *slot)
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

void kfl__partition_active(struct kfl__partition *partition, int64_t *out_id, int64_t *out_base_offset)
{
    struct kfl__slot *slot = partition->slot;
    for (int spins = 0;; spins++) {
        int64_t id = atomic_load_explicit(&slot->active.id, memory_order_acquire);
        int64_t base = atomic_load_explicit(&slot->active_base_offset, memory_order_acquire);
        bool rolling = id == 0 && atomic_load_explicit(&slot->published, memory_order_acquire) != 0;
        if (!rolling && atomic_load_explicit(&slot->active.id, memory_order_acquire) == id) {
            *out_id = id;
            *out_base_offset = base;
            return;
        }
        /* Long for a roll: its owner may have died in it, and taking the lock mends that. */
        if (spins > 1000 && !partition->core->read_only && kfl__partition_lock(partition, -1) == 0)
            kfl__partition_unlock(partition);
        else if (spins > 100000 && partition->core->read_only) {
            *out_id = 0; /* what can be read without writing ends at the last manifest row */
            *out_base_offset = 0;
            return;
        }
        kfl__relax();
    }
}

/* R2: idempotent, so that its own death costs nothing. Positive: needs the active file first. */
static int partition_repair(struct kfl__partition *partition)
{
    struct kfl__slot *slot = partition->slot;
    uint64_t word = load_relaxed(&slot->published);
    uint64_t place = kfl__word_place(word);

    if (load_relaxed(&slot->ready) == 0 || load_relaxed(&slot->deleted) != 0)
        return 0;
    if (load_relaxed(&slot->next.id) != 0 && kfl__word_ordinal(word) == (uint32_t)load_relaxed(&slot->next.id))
        slot_advance(slot);
    if (load_relaxed(&slot->pending_word) == word)
        store_relaxed(&slot->end_offset, load_relaxed(&slot->pending_end_offset));
    if (load_relaxed(&slot->reserved_end) > place && word != 0) {
        struct kfl__segment *segment = partition_written(partition, kfl__word_ordinal(word));
        if (segment == NULL)
            return APPEND_NEEDS_FILE;
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

static int partition_open_active(struct kfl__partition *partition, int64_t segment_id);

static int partition_busy(struct kfl__partition *partition)
{
    char holder[64];
    int32_t owner = kfl__robust_owner(&partition->slot->append);
    /* Who holds it is gone, and the kernel did not say so: the words of this state file are no good (R18). */
    if (owner != 0 && !kfl__process_lives(owner, 0) && kfl__robust_owner(&partition->slot->append) == owner)
        kfl__state_condemn(partition->core->state);
    kfl__presence_describe(owner, holder, sizeof holder);
    kfl__fail(KFL_E_BUSY, "partition %s/%d stays locked by %s: is it stopped?", partition->topic->name,
              partition->number, holder);
    return kfl__fail_at(KFL_E_BUSY, partition->topic->name, partition->number, -1);
}

bool kfl__partition_exists(const struct kfl__partition *partition)
{
    return kfl__slot_is(partition->slot, partition->topic->id, (uint32_t)partition->number, partition->incarnation);
}

int kfl__partition_gone(const struct kfl__partition *partition)
{
    kfl__fail(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, "topic %s was deleted", partition->topic->name);
    return kfl__fail_at(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, partition->topic->name, partition->number, -1);
}

/* The last owner died inside. Holding the lock; opens the file that it was writing if need be. */
static KFL_UNCHECKED int partition_mend(struct kfl__partition *partition)
{
    int r = partition_repair(partition);
    if (r == APPEND_NEEDS_FILE) {
        /* Rare enough that opening a file under the lock harms nobody; nobody else could go on anyway. */
        r = partition_open_active(partition, load_relaxed(&partition->slot->active.id));
        if (r == 0)
            r = partition_repair(partition);
    }
    if (r == 0)
        kfl__robust_mended(&partition->slot->append);
    return r;
}

/* What the lock answered: mend what a dead owner left, and see that the slot is still ours. */
static KFL_UNCHECKED int partition_take(struct kfl__partition *partition, int r)
{
    struct kfl__slot *slot = partition->slot;
    if (r == KFL_LOCK_BUSY)
        return partition_busy(partition);
    if (r < 0) {
        kfl__state_condemn(partition->core->state);
        return r;
    }
    if (r == KFL_LOCK_OWNER_DIED) {
        r = partition_mend(partition);
        if (r < 0) {
            /* What is published stands; who appends next copies it into a new file. */
            kfl__robust_mended(&slot->append);
            atomic_store(&slot->suspect, 1);
            kfl__robust_unlock(&slot->append, KFL_RANK_APPEND);
            return r;
        }
    }
    if (KFL_UNLIKELY(!kfl__partition_exists(partition))) {
        kfl__robust_unlock(&slot->append, KFL_RANK_APPEND);
        return kfl__partition_gone(partition);
    }
    if (KFL_UNLIKELY(atomic_load_explicit(&partition->core->closing, memory_order_relaxed) > 1)) {
        kfl__robust_unlock(&slot->append, KFL_RANK_APPEND);
        return kfl__fail(KFL_E_CLOSED, "the store %s is closed", partition->core->path);
    }
    return 0;
}

KFL_UNCHECKED int kfl__partition_lock(struct kfl__partition *partition, int64_t deadline_ns)
{
    return partition_take(partition, kfl__robust_lock(&partition->slot->append, KFL_RANK_APPEND, deadline_ns));
}

KFL_UNCHECKED void kfl__partition_unlock(struct kfl__partition *partition)
{
    kfl__robust_unlock(&partition->slot->append, KFL_RANK_APPEND);
}

/* ---- the files this process writes ---- */

/* Keep a file's descriptor until its bytes are durable (R7); those that are by now are let go. */
static void partition_keep(struct kfl__partition *partition, struct kfl__segment *segment)
{
    uint64_t durable = load_relaxed(&partition->slot->durable_word);
    struct kfl__segment **at = &partition->kept;
    while (*at != NULL) {
        struct kfl__segment *older = *at;
        if ((int32_t)(kfl__word_ordinal(durable) - (uint32_t)older->id) > 0) {
            *at = older->kept_next;
            partition->kept_count--;
            kfl__segment_close_descriptor(older);
            kfl__segment_release(older);
        } else {
            at = &older->kept_next;
        }
    }
    segment->kept_next = NULL;
    *at = segment;
    partition->kept_count++;
}

static void partition_drop_kept(struct kfl__partition *partition)
{
    while (partition->kept != NULL) {
        struct kfl__segment *oldest = partition->kept;
        partition->kept = oldest->kept_next;
        kfl__segment_release(oldest);
    }
    partition->kept_count = 0;
}

/* Holding the append lock: `segment` (a share goes over) is what this process writes from now on. */
static void partition_write_to(struct kfl__partition *partition, struct kfl__segment *segment)
{
    if (partition->writing != NULL)
        partition_keep(partition, partition->writing);
    partition->writing = segment;
}

KFL_UNCHECKED void kfl__partition_rest(struct kfl__partition *partition)
{
    struct kfl__slot *slot = partition->slot;
    struct kfl__segment *writing = NULL, *next = NULL, *syncing = NULL;
    if (partition_take(partition, kfl__robust_trylock(&slot->append, KFL_RANK_APPEND)) < 0)
        return;
    bool durable = atomic_load(&slot->durable_offset) >= kfl__slot_end(slot);
    if (durable) {
        writing = partition->writing;
        next = partition->writing_next;
        partition->writing = partition->writing_next = NULL;
        partition_drop_kept(partition);
    }
    kfl__partition_unlock(partition);
    int r = durable ? kfl__robust_trylock(&slot->sync, KFL_RANK_SYNC) : KFL_LOCK_BUSY;
    if (r == KFL_LOCK_OWNER_DIED)
        kfl__robust_mended(&slot->sync); /* what it noted stands */
    if (r == 0 || r == KFL_LOCK_OWNER_DIED) {
        syncing = partition->syncing;
        partition->syncing = NULL;
        kfl__robust_unlock(&slot->sync, KFL_RANK_SYNC);
    }
    kfl__segment_release(writing);
    kfl__segment_release(next);
    kfl__segment_release(syncing);
}

/* Open the file with this id for writing, in place of what is written now. */
static int partition_open_active(struct kfl__partition *partition, int64_t segment_id)
{
    struct kfl__core *core = partition->core;
    struct kfl__segment_expect expect = {core->store_id, partition->topic->id, (uint32_t)partition->number};
    struct kfl__segment *segment = NULL;
    int directory = -1;
    int r = kfl__partition_directory(partition, false, &directory);
    if (r == 0) {
        r = kfl__segment_open(directory, segment_id, &expect, core->by_file ? KFL_SEGMENT_WRITE_BY_FILE : KFL_SEGMENT_WRITE,
                              &segment);
        kfl__file_close(directory);
    }
    if (r == KFL_FILE_MISSING)
        return kfl__fail(KFL_E_CORRUPT, "%s/topics/%llu/%d: segment %lld, which takes the appends, is missing", core->path,
                         (unsigned long long)partition->topic->id, partition->number, (long long)segment_id);
    if (r < 0)
        return r;
    if ((uint32_t)load_relaxed(&partition->slot->next.id) == (uint32_t)segment_id) {
        kfl__segment_release(partition->writing_next);
        partition->writing_next = segment;
    } else {
        partition_write_to(partition, segment);
    }
    return 0;
}

/* Not holding the lock: open what the slot says is active (or prepared), then look again. */
static int partition_open_for_append(struct kfl__partition *partition, bool next, int64_t deadline_ns)
{
    struct kfl__core *core = partition->core;
    struct kfl__slot *slot = partition->slot;
    struct kfl__segment_expect expect = {core->store_id, partition->topic->id, (uint32_t)partition->number};
    struct kfl__segment *segment = NULL;
    int directory = -1;
    int64_t id = atomic_load_explicit(next ? &slot->next.id : &slot->active.id, memory_order_acquire);
    if (id == 0)
        return 0;
    int r = kfl__partition_directory(partition, false, &directory);
    if (r == 0) {
        r = kfl__segment_open(directory, id, &expect, core->by_file ? KFL_SEGMENT_WRITE_BY_FILE : KFL_SEGMENT_WRITE, &segment);
        kfl__file_close(directory);
    }
    if (r == KFL_FILE_MISSING) {
        if (atomic_load(next ? &slot->next.id : &slot->active.id) != id)
            return 0;
        return kfl__fail(KFL_E_CORRUPT, "%s/topics/%llu/%d: segment %lld, which takes the appends, is missing", core->path,
                         (unsigned long long)partition->topic->id, partition->number, (long long)id);
    }
    if (r < 0)
        return r;
    r = kfl__partition_lock(partition, deadline_ns);
    if (r < 0) {
        kfl__segment_release(segment);
        return r;
    }
    if (load_relaxed(&slot->active.id) == id && (partition->writing == NULL || partition->writing->id != id)) {
        kfl__segment_touch_from(segment, kfl__word_place(load_relaxed(&slot->published)));
        partition_write_to(partition, segment);
        segment = NULL;
    } else if (load_relaxed(&slot->next.id) == id && (partition->writing_next == NULL || partition->writing_next->id != id)) {
        kfl__segment_release(partition->writing_next);
        partition->writing_next = segment;
        segment = NULL;
    }
    kfl__partition_unlock(partition);
    kfl__segment_release(segment);
    return 0;
}

/* The prepared file is damaged: with a size of 0 it is too small for any batch, and another one is made. */
static int partition_spurn_next(struct kfl__partition *partition, int64_t segment_id, int64_t deadline_ns)
{
    int r = kfl__partition_lock(partition, deadline_ns);
    if (r < 0)
        return r;
    if (load_relaxed(&partition->slot->next.id) == segment_id)
        store_relaxed(&partition->slot->next.size, 0);
    kfl__partition_unlock(partition);
    return 0;
}

/* ---- rolling ---- */

/* What the segment that is being left was; its manifest row is written later. */
static void slot_note_rolled(struct kfl__slot *slot, uint64_t used, int64_t end_offset)
{
    int64_t id = load_relaxed(&slot->active.id);
    struct kfl__slot_rolled *rolled = &slot->rolled[id % KFL_SLOT_ROLLED];
    store_relaxed(&rolled->id, 0);
    store_relaxed(&rolled->end_offset, end_offset);
    store_relaxed(&rolled->used, (int64_t)used);
    store_relaxed(&rolled->first_timestamp_ms, load_relaxed(&slot->active_first_timestamp_ms));
    store_relaxed(&rolled->max_timestamp_ms, load_relaxed(&slot->active_max_timestamp_ms));
    store_relaxed(&rolled->records, load_relaxed(&slot->active_records));
    store_release(&rolled->id, id);
}

static int64_t slot_durable_bound(const struct kfl__slot *slot)
{
    return atomic_load_explicit(&slot->durable_offset, memory_order_relaxed);
}

/* Lay the end mark behind the published place. */
static int partition_lay_end(struct kfl__partition *partition, uint64_t place, int64_t end_offset, int64_t next_id, bool by_file)
{
    struct kfl__slot *slot = partition->slot;
    struct kfl__segment *segment = partition->writing;
    uint8_t mark[KFL_END_MARK_SIZE];
    uint8_t *to = by_file ? NULL : kfl__segment_lay(segment, place);
    kfl__batch_seal_end(to != NULL ? to : mark, end_offset, next_id, load_relaxed(&slot->writer_epoch),
                        slot_durable_bound(slot), place, segment->seed);
    return to != NULL ? 0 : kfl__segment_write(segment, mark, sizeof mark, place);
}

/*
 * R3. Holding the lock, the prepared file is open here and large enough. END mark, then the word moves to
 * the next file; the first file of a partition has no older one to mark.
 */
static int partition_roll(struct kfl__partition *partition, bool by_file)
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
        slot_note_rolled(slot, place, end);
    }
    store_release(&slot->reserved_end, KFL_SEGMENT_FIRST_PLACE);
    store_release(&slot->pending_word, next_word);
    store_release(&slot->pending_end_offset, end);
    KFL_STEP("roll.before_publish");
    store_release(&slot->published, next_word);
    KFL_STEP("roll.published");
    slot_advance(slot);
    store_relaxed(&slot->rolls, load_relaxed(&slot->rolls) + 1);
    struct kfl__segment *next = partition->writing_next;
    partition->writing_next = NULL;
    partition_write_to(partition, next);
    return 0;
}

static bool slot_is_full(const struct kfl__partition *partition, const struct kfl__payload *payload,
                         const struct kfl__settings *settings, uint64_t place, uint64_t room, int64_t end)
{
    struct kfl__slot *slot = partition->slot;
    struct kfl__segment *segment = partition->writing;
    if (place + room + KFL_END_MARK_SIZE > segment->size)
        return true;
    if (place == KFL_SEGMENT_FIRST_PLACE)
        return false;
    int64_t first = load_relaxed(&slot->active_first_timestamp_ms);
    if (first >= 0 && payload->max_timestamp_ms - first > settings->segment_ms)
        return true;
    if (load_relaxed(&slot->active_batch_count) >= kfl__index_offsets_capacity(&segment->offsets) && segment->offsets.bytes != NULL)
        return true;
    return end + payload->record_count - load_relaxed(&slot->active_base_offset) > INT32_MAX;
}

/* ---- appending ---- */

/*
 * The words of time are moved before the batch is published, so that no death leaves them behind it: a largest time that is too
 * late costs a walk, one that is too early would hide a record.
 */
static void partition_note_time(struct kfl__partition *partition, const struct kfl__payload *payload,
                                const struct kfl__settings *settings, uint64_t place)
{
    struct kfl__slot *slot = partition->slot;
    struct kfl__segment *segment = partition->writing;
    int64_t max = load_relaxed(&slot->active_max_timestamp_ms);
    if (KFL_UNLIKELY(place - load_relaxed(&slot->active_time_place) >= (uint64_t)settings->index_interval_bytes)) {
        uint32_t times = load_relaxed(&slot->active_time_count);
        if (times < kfl__index_times_capacity(&segment->times)) {
            kfl__index_note_time(&segment->times, times, max, place, segment->seed);
            store_relaxed(&slot->active_time_count, times + 1);
        }
        store_relaxed(&slot->active_time_place, place);
    }
    if (payload->max_timestamp_ms > max)
        store_relaxed(&slot->active_max_timestamp_ms, payload->max_timestamp_ms);
    if (KFL_UNLIKELY(place == KFL_SEGMENT_FIRST_PLACE))
        store_relaxed(&slot->active_first_timestamp_ms, payload->max_timestamp_ms);
}

/* One signpost a batch; a death in between leaves one too few, and readers walk a little further. */
static void partition_note_place(struct kfl__partition *partition, uint64_t place)
{
    struct kfl__slot *slot = partition->slot;
    struct kfl__index *offsets = &partition->writing->offsets;
    uint32_t count = load_relaxed(&slot->active_batch_count);
    if (KFL_UNLIKELY(count >= kfl__index_offsets_capacity(offsets)))
        return;
    kfl__index_note(offsets, count, place);
    store_relaxed(&slot->active_batch_count, count + 1);
}

/* Bytes into the file at `place`; staging holds room for the header in front of the payload when not NULL. */
static int partition_lay(struct kfl__partition *partition, const struct kfl__payload *payload, uint8_t *staging,
                         uint64_t place, uint64_t room, int64_t base_offset)
{
    struct kfl__slot *slot = partition->slot;
    struct kfl__segment *segment = partition->writing;
    struct kfl__batch_facts facts = {
        .base_offset = base_offset,
        .max_timestamp_ms = payload->max_timestamp_ms,
        .record_count = payload->record_count,
        .payload_size = payload->size,
        .unpacked_size = payload->unpacked_size,
        .writer_epoch = load_relaxed(&slot->writer_epoch),
        .flags = payload->flags,
        .durable_offset = slot_durable_bound(slot),
        .payload_hash = payload->hash,
    };
    uint8_t *to = staging != NULL ? staging : kfl__segment_lay(segment, place);
    if (staging == NULL) {
        uint8_t *bytes = to + sizeof(struct kfl__batch_header);
        if (payload->bytes != NULL) {
            memcpy(bytes, payload->bytes, payload->size);
        } else {
            payload->fill(payload, bytes);
            facts.payload_hash = kfl__hash64(bytes, payload->size);
        }
        kfl__batch_pad(to, payload->size);
    }
    KFL_STEP("append.before_seal");
    kfl__batch_seal(to, &facts, place, segment->seed);
    KFL_STEP("append.laid");
    return staging != NULL ? kfl__segment_write(segment, staging, room, place) : 0;
}

static void slot_note_unsynced(struct kfl__slot *slot)
{
    if (KFL_UNLIKELY(load_relaxed(&slot->unsynced_since_ns) == 0))
        store_relaxed(&slot->unsynced_since_ns, kfl__clock_steady_ns());
}

/* Holding the lock. 0, a positive need, or an error. */
static int partition_append_locked(struct kfl__partition *partition, const struct kfl__payload *payload,
                                   const struct kfl__append *how, uint8_t *staging, int64_t *out_base_offset)
{
    struct kfl__slot *slot = partition->slot;
    if (KFL_UNLIKELY(load_relaxed(&partition->core->closing) != 0))
        return kfl__fail(KFL_E_CLOSED, "the store %s is closed", partition->core->path);
    if (KFL_UNLIKELY(load_relaxed(&slot->ready) != KFL_SLOT_READY))
        return APPEND_NEEDS_FILL;
    if (KFL_UNLIKELY(load_relaxed(&slot->life) != load_relaxed(&partition->core->shared->life)))
        return APPEND_NEEDS_MENDING; /* also what a failed sync left: a new life begins with a copy */
    if (KFL_UNLIKELY(load_relaxed(&slot->failed) != 0))
        return kfl__sync_fail_again(partition);
    if (KFL_UNLIKELY(load_relaxed(&slot->suspect) != 0))
        return APPEND_NEEDS_MENDING;

    int64_t end = load_relaxed(&slot->end_offset);
    if (KFL_UNLIKELY(how->expected_offset >= 0 && how->expected_offset != end)) {
        kfl__fail(KFL_E_CONFLICT, "partition %s/%d ends at offset %lld, not at %lld: read on and decide again",
                  partition->topic->name, partition->number, (long long)end, (long long)how->expected_offset);
        return kfl__fail_at(KFL_E_CONFLICT, partition->topic->name, partition->number, end);
    }
    if (KFL_UNLIKELY(payload->record_count > INT64_MAX - end))
        return kfl__fail(KFL_E_INVALID, "partition %s/%d has no offsets left", partition->topic->name, partition->number);
    if (KFL_UNLIKELY(end + payload->record_count > load_relaxed(&slot->offset_floor)))
        return APPEND_NEEDS_FLOOR;

    uint64_t word = load_relaxed(&slot->published);
    uint64_t room = kfl__batch_room(payload->size);
    if (KFL_LIKELY(load_relaxed(&slot->active.id) != 0)) {
        if (KFL_UNLIKELY(partition->writing == NULL || (uint32_t)partition->writing->id != kfl__word_ordinal(word)))
            return APPEND_NEEDS_FILE;
    }
    uint64_t place = kfl__word_place(word);
    if (KFL_UNLIKELY(load_relaxed(&slot->active.id) == 0 ||
                     slot_is_full(partition, payload, how->settings, place, room, end))) {
        int64_t next_id = load_relaxed(&slot->next.id);
        if (next_id == 0 || (uint64_t)load_relaxed(&slot->next.size) < KFL_SEGMENT_FIRST_PLACE + room + KFL_END_MARK_SIZE ||
            partition->writing_next == NULL || partition->writing_next->id != next_id)
            return APPEND_NEEDS_NEXT;
        int r = partition_roll(partition, staging != NULL);
        if (r < 0)
            return r;
        word = load_relaxed(&slot->published);
        place = kfl__word_place(word);
    }

    store_release(&slot->reserved_end, place + room);
    KFL_STEP("append.reserved");
    int r = partition_lay(partition, payload, staging, place, room, end);
    if (r < 0)
        return r;
    uint64_t next_word = word + room / KFL_BATCH_ALIGNMENT;
    int64_t next_end = end + payload->record_count;
    partition_note_time(partition, payload, how->settings, place);
    slot_note_unsynced(slot); /* before, for who dies here; and behind, for a sync that came between */
    store_release(&slot->pending_word, next_word);
    store_release(&slot->pending_end_offset, next_end);
    KFL_STEP("append.before_publish");
    store_release(&slot->published, next_word);
    KFL_STEP("append.published");
    store_release(&slot->end_offset, next_end);
    partition_note_place(partition, place);
    store_relaxed(&slot->active_records, load_relaxed(&slot->active_records) + payload->record_count);
    store_relaxed(&slot->appended_records, load_relaxed(&slot->appended_records) + payload->record_count);
    store_relaxed(&slot->appended_bytes, load_relaxed(&slot->appended_bytes) + room);
    store_relaxed(&slot->appended_batches, load_relaxed(&slot->appended_batches) + 1);
    slot_note_unsynced(slot);
    *out_base_offset = end;
    return 0;
}

/* Not holding the lock: bring about what an attempt found missing. */
static int partition_provide(struct kfl__partition *partition, int need, const struct kfl__payload *payload,
                             const struct kfl__append *how, int64_t deadline_ns)
{
    struct kfl__slot *slot = partition->slot;
    switch (need) {
    case APPEND_NEEDS_FILL:
        return kfl__partition_recovered(partition);
    case APPEND_NEEDS_MENDING:
        return kfl__partition_replace_tail(partition);
    case APPEND_NEEDS_FLOOR:
        return kfl__partition_raise_floor(partition, load_relaxed(&slot->end_offset) + payload->record_count);
    case APPEND_NEEDS_FILE: {
        /* Damage costs what was damaged (P6), and not the records to come. */
        int64_t id = atomic_load(&slot->active.id);
        int r = partition_open_for_append(partition, false, deadline_ns);
        return r == KFL_E_CORRUPT && id != 0 ? kfl__partition_leave_file(partition, id) : r;
    }
    default: {
        uint64_t room = kfl__batch_room(payload->size);
        int r = kfl__partition_prepare(partition, how->settings, room, deadline_ns);
        if (r < 0)
            return r;
        int64_t id = atomic_load(&slot->next.id);
        r = partition_open_for_append(partition, true, deadline_ns);
        return r == KFL_E_CORRUPT && id != 0 ? partition_spurn_next(partition, id, deadline_ns) : r;
    }
    }
}

/* The lock is free nearly always: try before the deadline is worked out. */
static KFL_UNCHECKED int partition_lock_quickly(struct kfl__partition *partition, int64_t block_ms, int64_t *io_deadline_ns)
{
    int r = kfl__robust_trylock(&partition->slot->append, KFL_RANK_APPEND);
    if (KFL_UNLIKELY(r == KFL_LOCK_BUSY)) {
        if (*io_deadline_ns == 0)
            *io_deadline_ns = kfl__clock_deadline_ns(block_ms);
        r = kfl__robust_lock(&partition->slot->append, KFL_RANK_APPEND, *io_deadline_ns);
    }
    if (KFL_LIKELY(r == 0 && kfl__slot_is(partition->slot, partition->topic->id, (uint32_t)partition->number, partition->incarnation)))
        return 0;
    return partition_take(partition, r);
}

/* What is left to do once the lock is given back. */
struct partition_after {
    struct kfl__segment *touch; /* a share: pages for the appends to come (R11) */
    uint64_t place;
    bool prepare;  /* half full, and nothing is prepared */
    int64_t flush; /* flush.messages is reached: sync up to here; else 0 */
};

/* Holding the lock, after an append that found one of the marks behind it. */
static __attribute__((noinline)) bool partition_look_ahead(struct kfl__partition *partition, const struct kfl__append *how, bool by_file,
                                                           struct partition_after *out_after)
{
    struct kfl__slot *slot = partition->slot;
    struct kfl__segment *segment = partition->writing;
    uint64_t place = kfl__word_place(load_relaxed(&slot->published));
    int64_t end = load_relaxed(&slot->end_offset);
    bool prepare = place * 2 > segment->size && load_relaxed(&slot->next.id) == 0 && !segment->next_asked;
    *out_after = (struct partition_after){.place = place, .prepare = prepare};
    if (end - load_relaxed(&slot->durable_offset) >= how->settings->flush_messages)
        out_after->flush = end;
    if (!by_file) {
        kfl__segment_acquire(segment);
        out_after->touch = segment;
    }
    if (prepare)
        segment->next_asked = true;
    if (by_file) /* nobody asks for pages: only the half is to be noticed */
        store_relaxed(&segment->look_at, place * 2 > segment->size ? segment->size : segment->size / 2);
    return true;
}

static int partition_do_after(struct kfl__partition *partition, const struct kfl__append *how, const struct partition_after *after)
{
    if (after->touch != NULL) {
        kfl__touch_look(partition->core, after->touch, after->place);
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

/* An attempt found something missing: bring it about, not holding the lock. 0: try again. */
static int partition_provide_for(struct kfl__partition *partition, int need, const struct kfl__payload *payload,
                                 const struct kfl__append *how, int64_t *io_deadline_ns)
{
    int r = kfl__core_enter(partition->core);
    if (r < 0)
        return r;
    if (*io_deadline_ns == 0)
        *io_deadline_ns = kfl__clock_deadline_ns(how->block_ms);
    r = partition_provide(partition, need, payload, how, *io_deadline_ns);
    kfl__core_leave(partition->core);
    return r;
}

/* staging: NULL, or the batch laid out in memory, to be written from there. */
static inline int partition_append(struct kfl__partition *partition, const struct kfl__payload *payload,
                                   const struct kfl__append *how, uint8_t *staging, int64_t *out_base_offset)
{
    struct partition_after after;
    bool more = false;
    int64_t deadline = 0; /* a look at the clock is for those who have to wait */
    for (;;) {
        int r = partition_lock_quickly(partition, how->block_ms, &deadline);
        if (KFL_UNLIKELY(r < 0))
            return r;
        r = partition_append_locked(partition, payload, how, staging, out_base_offset);
        if (KFL_UNLIKELY(r == 0 && (kfl__word_place(load_relaxed(&partition->slot->published)) > load_relaxed(&partition->writing->look_at) ||
                                    how->settings->flush_messages != INT64_MAX)))
            more = partition_look_ahead(partition, how, staging != NULL, &after);
        kfl__partition_unlock(partition);
        if (KFL_LIKELY(r == 0))
            break;
        if (r > 0)
            r = partition_provide_for(partition, r, payload, how, &deadline);
        if (r < 0)
            return r;
    }
    kfl__notify_raise(partition->core, partition->slot);
    return KFL_LIKELY(!more) ? 0 : partition_do_after(partition, how, &after);
}

/* The batch is laid out in memory first, so that one pwrite brings it into the file. */
static __attribute__((noinline)) int partition_append_by_file(struct kfl__partition *partition,
                                                              const struct kfl__payload *payload,
                                                              const struct kfl__append *how, int64_t *out_base_offset)
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
    if (KFL_UNLIKELY(how->durable || partition->core->by_file || how->settings->flush_messages == 1))
        return partition_append_by_file(partition, payload, how, out_base_offset);
    return partition_append(partition, payload, how, NULL, out_base_offset);
}

/* Holding the lock. 0; with *out_need not 0 nothing has happened and that is missing; KFL_PARTITION_MOVED; an error. */
static int partition_roll_locked(struct kfl__partition *partition, int64_t segment_id, int64_t end_offset, int *out_need)
{
    struct kfl__slot *slot = partition->slot;
    uint64_t word = load_relaxed(&slot->published);
    *out_need = 0;
    if (load_relaxed(&slot->ready) != KFL_SLOT_READY)
        *out_need = APPEND_NEEDS_FILL;
    else if (load_relaxed(&slot->life) != load_relaxed(&partition->core->shared->life) || load_relaxed(&slot->suspect) != 0)
        *out_need = APPEND_NEEDS_MENDING;
    else if (load_relaxed(&slot->failed) != 0)
        return kfl__sync_fail_again(partition);
    if (*out_need != 0)
        return 0;
    if (load_relaxed(&slot->active.id) != segment_id || load_relaxed(&slot->end_offset) != end_offset ||
        kfl__word_place(word) == KFL_SEGMENT_FIRST_PLACE)
        return KFL_PARTITION_MOVED;
    int64_t next_id = load_relaxed(&slot->next.id);
    if (partition->writing == NULL || partition->writing->id != segment_id)
        *out_need = APPEND_NEEDS_FILE;
    else if (next_id == 0 || load_relaxed(&slot->next.size) == 0 || partition->writing_next == NULL ||
             partition->writing_next->id != next_id)
        *out_need = APPEND_NEEDS_NEXT;
    return *out_need != 0 ? 0 : partition_roll(partition, true);
}

int kfl__partition_roll(struct kfl__partition *partition, int64_t segment_id, int64_t end_offset)
{
    const struct kfl__append how = {.expected_offset = -1, .settings = kfl__topic_shape(partition->topic)->settings};
    const struct kfl__payload nothing = {0};
    for (;;) {
        int need;
        int r = kfl__partition_lock(partition, -1);
        if (r < 0)
            return r;
        r = partition_roll_locked(partition, segment_id, end_offset, &need);
        kfl__partition_unlock(partition);
        if (r == 0 && need != 0)
            r = partition_provide(partition, need, &nothing, &how, -1);
        if (r != 0 || need == 0)
            return r;
    }
}

void kfl__partition_destroy(struct kfl__partition *partition)
{
    if (partition == NULL)
        return;
    kfl__view_release(partition->view);
    kfl__segment_release(partition->writing);
    kfl__segment_release(partition->writing_next);
    partition_drop_kept(partition);
    kfl__segment_release(partition->syncing);
    kfl__mutex_destroy(&partition->view_lock);
    kfl__free(partition);
}
