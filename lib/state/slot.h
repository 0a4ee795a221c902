/* SPDX-License-Identifier: MIT */
/*
 * One partition's live numbers, shared by all processes through the state file: the locks, the publishing
 * word, the ends, and what the next owner of the append lock needs to mend after a death.
 *
 * The publishing word (R1) is (segment ordinal << 32 | place / 8). The ordinal is the low half of the
 * segment's id. Readers look at nothing above it. Who holds the append lock lays bytes between the published place and `reserved_end`,
 * notes what it is about to publish, publishes with one release store, then moves end_offset along.
 * What one side writes often stands on cache lines of its own. A slot is about 1 KiB.
 */
#ifndef KFL_STATE_SLOT_H
#define KFL_STATE_SLOT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/loan.h"

/* What the roll of a segment knew of it: its manifest row is written from this, or else from a walk. */
struct kfl__slot_rolled {
    _Atomic int64_t id; /* 0: none; written last */
    _Atomic int64_t end_offset, used, first_timestamp_ms, max_timestamp_ms, records;
};
#define KFL_SLOT_ROLLED 4 /* the newest few: id % 4 */

/* What `ready` says. */
#define KFL_SLOT_READY 1   /* filled from the catalog and recovered */
#define KFL_SLOT_TO_READ 2 /* recovery could not be written down: what can be believed is read, appends try again (R23) */

/* What the appenders know of the file that takes appends, and of the one prepared behind it. */
struct kfl__slot_segment {
    _Atomic int64_t id; /* 0: none */
    _Atomic int64_t size;
    _Atomic uint64_t seed;
};

struct kfl__slot {
    /* constant while the incarnation stands */
    _Alignas(128) _Atomic uint64_t topic_id; /* 0: free */
    _Atomic uint32_t partition;
    _Atomic uint32_t incarnation;
    _Atomic uint32_t ready;   /* 0: not filled yet; else KFL_SLOT_… */
    _Atomic uint32_t deleted; /* 1: the topic is gone */
    _Atomic uint32_t writer_epoch; /* raised by each filling and each repair; guarded by append */
    _Atomic uint32_t repairs;
    _Atomic int64_t opened_offset; /* durable_offset when this slot was filled: below it nothing is in doubt */
    _Atomic uint32_t life;    /* the state file's life in which an append last happened (0: none) */
    _Atomic uint32_t suspect; /* 1: [durable_offset, end_offset) was written by processes that are dead: trust no sync of it (R7) */

    /* guarded by append */
    _Alignas(128) struct kfl__lendable append;
    _Alignas(64) _Atomic uint64_t reserved_end;      /* bytes below this place of the active file may be half laid */
    _Atomic uint64_t pending_word;      /* about to be published, with this end: */
    _Atomic int64_t pending_end_offset;
    struct kfl__slot_segment active;    /* read without the lock too: check the ordinal again afterwards */
    _Atomic int64_t active_base_offset; /* of the active file's first record */
    _Atomic int64_t active_first_timestamp_ms; /* of its first record, -1: empty */
    _Atomic int64_t active_max_timestamp_ms;
    _Atomic uint32_t active_batch_count; /* entries in its .offsets file; may trail */
    _Atomic uint32_t active_time_count;  /* entries in its .times file */
    _Atomic uint64_t active_time_place;  /* place up to which the time signposts reach */
    _Atomic int64_t active_records;
    struct kfl__slot_segment next;      /* prepared; id 0 while there is none */
    struct kfl__slot_rolled rolled[KFL_SLOT_ROLLED];
    _Atomic int64_t offset_floor;       /* R10: no offset at or above is given before the catalog holds a higher floor */
    _Atomic int64_t floor_raised_at;    /* end_offset when the floor was raised last */
    _Atomic int64_t map_written_at_ns;  /* steady time of the last append through the map (R11) */

    /* written at each append, read by consumers */
    _Alignas(128) _Atomic uint64_t published;
    _Atomic int64_t end_offset;
    _Atomic uint64_t manifest_version; /* rises when the catalog's list changed, or the topic went: look again; for ever */

    /* sleepers (R5) */
    _Alignas(128) _Atomic uint32_t sleepers; /* bit n: somebody sleeps on arrivals[n]; exchanged to 0 by who wakes */

    /* durability (R6, R7); guarded by sync where it is written */
    _Alignas(128) struct kfl__robust sync;
    _Atomic int64_t durable_offset;
    _Atomic uint64_t durable_word;    /* as the publishing word: everything up to here lies */
    /* The two together, of one moment: [durable_pair] is valid, the other one is being written. */
    struct {
        _Atomic uint64_t word;
        _Atomic int64_t offset;
    } durable_pairs[2];
    _Atomic uint32_t durable_pair;
    _Atomic int64_t sync_target;      /* -1: nobody syncs; else the end that the leader is bringing down */
    _Atomic uint32_t failed;          /* 1: a sync failed; for ever (R7) */
    _Atomic uint32_t durable_seq;     /* changes when durable_offset or failed does: waiters sleep here */
    _Atomic uint32_t durable_waiters; /* a bit for each round that somebody sleeps for (engine/sync) */
    _Atomic int64_t noted_offset;     /* durable_offset as the catalog has it (R24) */
    _Atomic int64_t unsynced_since_ns;/* steady time of the first append after the last sync, 0: none */

    /* changes of the segment list */
    _Alignas(128) struct kfl__robust prepare; /* who prepares the next segment, replaces, recovers */
    _Atomic int64_t start_offset;

    /* counters; guarded by append or relaxed */
    _Alignas(128) _Atomic uint64_t appended_records;
    _Atomic uint64_t appended_bytes;
    _Atomic uint64_t appended_batches;
    _Atomic uint64_t syncs;
    _Atomic uint64_t rolls;
    _Atomic uint64_t sync_ns;
};
_Static_assert(sizeof(struct kfl__slot) <= 1408, "10,000 partitions take 13 MB");

static inline uint64_t kfl__word(int64_t segment_id, uint64_t place)
{
    assert(place % 8 == 0 && place / 8 <= UINT32_MAX);
    return (uint64_t)(uint32_t)segment_id << 32 | place / 8;
}

static inline uint32_t kfl__word_ordinal(uint64_t word)
{
    return (uint32_t)(word >> 32);
}

static inline uint64_t kfl__word_place(uint64_t word)
{
    return (word & UINT32_MAX) * 8;
}

/*
 * Prepare for a new incarnation: all numbers 0, or -1 where said, the mutexes fresh. Only under LOCK
 * byte 0, or while nobody else can know the slot.
 */
void kfl__slot_clear(struct kfl__slot *slot);
/*
 * The same for a slot that others may know still: its three locks are held by the caller and stay as they
 * are, because somebody may wait for one of them.
 */
void kfl__slot_reset(struct kfl__slot *slot);

/* Guarded by sync (or the slot is not in use yet): everything below lies, up to this word. */
static inline void kfl__slot_set_durable(struct kfl__slot *slot, uint64_t word, int64_t offset)
{
    uint32_t other = 1 - (atomic_load_explicit(&slot->durable_pair, memory_order_relaxed) & 1);
    atomic_store_explicit(&slot->durable_pairs[other].word, word, memory_order_relaxed);
    atomic_store_explicit(&slot->durable_pairs[other].offset, offset, memory_order_relaxed);
    atomic_store_explicit(&slot->durable_pair, other, memory_order_release);
    atomic_store_explicit(&slot->durable_word, word, memory_order_release);
    atomic_store_explicit(&slot->durable_offset, offset, memory_order_release);
}

/* Without a lock: word and offset of one moment. */
static inline void kfl__slot_durable(struct kfl__slot *slot, uint64_t *out_word, int64_t *out_offset)
{
    int64_t before;
    do {
        before = atomic_load_explicit(&slot->durable_offset, memory_order_acquire);
        uint32_t pair = atomic_load_explicit(&slot->durable_pair, memory_order_acquire) & 1;
        *out_word = atomic_load_explicit(&slot->durable_pairs[pair].word, memory_order_acquire);
        *out_offset = atomic_load_explicit(&slot->durable_pairs[pair].offset, memory_order_acquire);
        /* A pair is written over only two changes later, and each change moves the offset. */
    } while (atomic_load_explicit(&slot->durable_offset, memory_order_acquire) != before);
}

/* Without a lock: the publishing word and the end that belongs to it. */
void kfl__slot_tail(struct kfl__slot *slot, uint64_t *out_word, int64_t *out_end_offset);

/* The end, as the publishing word has it: the word `end_offset` may trail, for good after a death. */
static inline int64_t kfl__slot_end(struct kfl__slot *slot)
{
    uint64_t word;
    int64_t end;
    kfl__slot_tail(slot, &word, &end);
    return end;
}

/* Does the slot still belong to this partition? */
static inline __attribute__((always_inline)) bool kfl__slot_is(const struct kfl__slot *slot, uint64_t topic_id, uint32_t partition, uint32_t incarnation)
{
    return atomic_load_explicit(&slot->topic_id, memory_order_acquire) == topic_id &&
           atomic_load_explicit(&slot->partition, memory_order_relaxed) == partition &&
           atomic_load_explicit(&slot->incarnation, memory_order_relaxed) == incarnation &&
           atomic_load_explicit(&slot->deleted, memory_order_relaxed) == 0;
}

#endif
