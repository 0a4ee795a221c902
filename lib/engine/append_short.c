/* SPDX-License-Identifier: MIT */
/*
 * Append one short record.
 *
 * The shortest way from a record whose bytes and hash are known to the publishing word. It is taken where all is as it is
 * nearly always; engine/append tells what is not, and deals with it.
 */
#include <string.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "engine/append_steps.h"
#include "engine/notify.h"
#include "engine/partition.h"

/* The same by the long way, which tells what is not usual and deals with it. */
static __attribute__((noinline)) int64_t append_short_unusual(struct kfl__partition *partition,
                                                              const void *bytes, uint32_t size,
                                                              uint64_t hash, int64_t timestamp_ms,
                                                              int64_t block_ms, const struct kfl__settings *settings)
{
    const struct kfl__append how = {-1, false, block_ms, settings};
    const struct kfl__payload payload = {
        .size = size,
        .unpacked_size = size,
        .record_count = 1,
        .max_timestamp_ms = timestamp_ms,
        .bytes = bytes,
        .hash = hash,
    };
    int64_t offset;
    int r = kfl__partition_append(partition, &payload, &how, &offset);
    return r < 0 ? r : offset;
}

/* A short record's bytes: as they are to be, with zeros up to a multiple of KFL_BATCH_ALIGNMENT, and hashed; or split. */
struct append_short {
    const void *laid;
    const struct kfl__record_split *split;
    uint32_t size;
    uint64_t hash;
};

static APPEND_INLINE void append_put_split(uint8_t *to, const struct kfl__record_split *split, uint64_t room)
{
    const uint8_t *from = split->rest;
    size_t size = split->rest_size;
    assert(size >= 32 && size <= 96);
    kfl__store64(to + room - sizeof(uint64_t), 0); /* what the payload does not fill of it */
    for (size_t i = 0; i < 4; i++) {
        uint64_t word = split->words[i];
        __asm__("" : "+r"(word)); /* as in a header: not two at a time */
        kfl__store64(to + 8 * i, word);
    }
    to += sizeof split->words;
    if (KFL_LIKELY(size >= 64))
        memcpy(to, from, 64);
    else
        memcpy(to, from, 32);
    memcpy(to + size - 32, from + size - 32, 32);
}

/* Holding the lock. KFL_APPEND_UNUSUAL: nothing was done. */
static APPEND_INLINE int64_t append_short_holding(struct kfl__partition *partition, struct append_short record,
                                                  int64_t timestamp_ms, const struct kfl__settings *settings)
{
    struct kfl__slot *slot = partition->slot;
    struct append_batch batch = {kfl__batch_room(record.size), record.hash, timestamp_ms, record.size, record.size, 1, 0};
    uint64_t word = load_relaxed(&slot->published), place = kfl__word_place(word);
    int64_t end = load_relaxed(&slot->end_offset);
    if (KFL_UNLIKELY(!partition_is_ours(partition) ||
                     !append_is_usual(partition, slot, settings, batch, word, end) ||
                     place + batch.room > load_relaxed(&partition->writing->look_at)))
        return KFL_APPEND_UNUSUAL;
    struct kfl__segment *segment = partition->writing;
    uint8_t *to = kfl__segment_lay(segment, place), *payload = to + sizeof(struct kfl__batch_header);
    uint64_t room = batch.room - sizeof(struct kfl__batch_header);
    assert(to != NULL && settings->flush_messages == INT64_MAX);
    append_fetch_ahead(to, batch.room);
    append_reserve(slot, place, batch.room);
    if (record.split != NULL) {
        append_put_split(payload, record.split, room);
        batch.hash = kfl__hash64_split(record.split->words, payload + sizeof record.split->words, record.size);
    } else
        kfl__copy_few(payload, record.laid, room);
    /* Once more: a reader may have pulled it away meanwhile. */
    kfl__fetch_to_write(&slot->published);
    append_seal(slot, segment, to, batch, place, end);
    append_publish(slot, segment, settings, batch, word, end);
    store_relaxed(&partition->tail, to + batch.room);
    return end;
}

/* Whether or not the lock is lent to this thread. */
static KFL_UNCHECKED __attribute__((noinline)) int64_t append_short_locked(struct kfl__partition *partition,
                                                                           const struct append_short *record, int64_t timestamp_ms,
                                                                           const struct kfl__settings *settings)
{
    struct kfl__lendable *lock = &partition->slot->append;
    enum kfl__taken taken = kfl__lendable_take_free(lock, KFL_RANK_APPEND);
    if (KFL_UNLIKELY(taken == KFL_TAKEN_NOT))
        return KFL_APPEND_UNUSUAL;
    int64_t offset = append_short_holding(partition, *record, timestamp_ms, settings);
    kfl__lendable_give_back(lock, KFL_RANK_APPEND, taken);
    return offset;
}

KFL_UNCHECKED KFL_INLINE_WHERE_SEEN int64_t
kfl__partition_append_split(struct kfl__partition *partition, const struct kfl__record_split *record,
                            int64_t timestamp_ms, const struct kfl__settings *settings)
{
    struct kfl__slot *slot = partition->slot;
    uint32_t size = (uint32_t)(sizeof record->words + record->rest_size);
    struct kfl__lent lent = kfl__lendable_enter(&slot->append, KFL_RANK_APPEND);
    int64_t offset;
    if (KFL_LIKELY(lent.list != NULL)) {
        offset = append_short_holding(partition, (struct append_short){NULL, record, size, 0}, timestamp_ms, settings);
        kfl__lendable_leave(&slot->append, KFL_RANK_APPEND, lent);
    } else { /* a copy of its own, so that the record need not be in memory otherwise */
        struct kfl__record_split copy = *record;
        struct append_short in_memory = {NULL, &copy, size, 0};
        offset = append_short_locked(partition, &in_memory, timestamp_ms, settings);
    }
    if (KFL_LIKELY(offset != KFL_APPEND_UNUSUAL))
        kfl__notify_raise(partition->core, slot);
    return offset;
}

/* The rest of the short records. */
int64_t kfl__partition_append_short(struct kfl__partition *partition, const void *bytes, uint32_t size, uint64_t hash,
                                    int64_t timestamp_ms, int64_t block_ms, const struct kfl__settings *settings)
{
    struct append_short record = {bytes, NULL, size, hash};
    int64_t offset = append_short_locked(partition, &record, timestamp_ms, settings);
    if (KFL_UNLIKELY(offset == KFL_APPEND_UNUSUAL))
        return append_short_unusual(partition, bytes, size, hash, timestamp_ms, block_ms, settings);
    kfl__notify_raise(partition->core, partition->slot);
    return offset;
}
