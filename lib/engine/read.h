/* SPDX-License-Identifier: MIT */
/* Read one partition, batch by batch, from an offset on. */
#ifndef KFL_ENGINE_READ_H
#define KFL_ENGINE_READ_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/partition.h"
#include "format/batch.h"

#define KFL_CURSOR_FILES 8

/* One reader's place. Used by one thread at a time. */
struct kfl__cursor {
    struct kfl__partition *partition; /* borrowed */
    int64_t offset;                   /* the next one to be handed out; set it by kfl__cursor_seek */
    /* What a reading that found the end saw; set by it, and good until the offset is set. */
    struct kfl__slot *idle_slot; /* NULL: no such reading */
    uint64_t idle_word;          /* the publishing word; with read.durable, durable_offset */
    uint64_t idle_version;
    uint64_t follow_word, follow_version; /* what `limit` is from, where the file that takes appends is followed; 0: it is not */
    bool durable;                     /* read.durable: stop at durable_offset */
    struct kfl__view *view;           /* a share */
    struct kfl__segment *segment;     /* one of `files`; NULL: to be looked up by offset */
    int32_t entry;
    /*
     * Shares of files of the view, at their entries' numbers modulo the size: the one that is stood in, and those that seeks
     * have left, to be stood in again without a lock.
     */
    struct kfl__segment *files[KFL_CURSOR_FILES];
    int32_t file_entries[KFL_CURSOR_FILES];
    uint64_t place, limit, touched;
    /* the batch that stands at `place` was verified: no need to hash it again */
    bool verified;
    struct kfl__batch_header header;
    uint64_t stride; /* as for kfl__lookup_offset */
    /* what could not be read: told with KFL_CURSOR_HOLE, until the next call */
    int64_t hole_from, hole_to;
    char hole_text[200];
};

void kfl__cursor_init(struct kfl__cursor *cursor, struct kfl__partition *partition, int64_t offset, bool durable);
void kfl__cursor_seek(struct kfl__cursor *cursor, int64_t offset);
/* Gives back what it holds, until it is used again; takes a zeroed one. */
void kfl__cursor_close(struct kfl__cursor *cursor);

/* Leaves the file: the offset is looked up anew. */
void kfl__cursor_drop(struct kfl__cursor *cursor);
/* The same, and those that seeks have left are not kept any more: the list of files is about to be another one. */
void kfl__cursor_drop_files(struct kfl__cursor *cursor);
/* Stands in the file of this entry of the view; the share goes over. */
void kfl__cursor_stand(struct kfl__cursor *cursor, int32_t entry, struct kfl__segment *segment);

static inline uint64_t kfl__cursor_version(const struct kfl__cursor *cursor)
{
    return atomic_load_explicit(&cursor->partition->slot->manifest_version, memory_order_acquire);
}

/* The word that moves when there is more to read. */
static inline uint64_t kfl__cursor_word(struct kfl__slot *slot, bool durable)
{
    return KFL_UNLIKELY(durable)
               ? (uint64_t)atomic_load_explicit(&slot->durable_offset, memory_order_acquire)
               : atomic_load_explicit(&slot->published, memory_order_acquire);
}

/*
 * Nothing has come, and nothing has become of the partition, since a reading found the end: two loads
 * from one cache line. "No" tells nothing.
 */
static inline bool kfl__cursor_idle(const struct kfl__cursor *cursor)
{
    struct kfl__slot *slot = cursor->idle_slot;
    return slot != NULL && kfl__cursor_word(slot, cursor->durable) == cursor->idle_word &&
           atomic_load_explicit(&slot->manifest_version, memory_order_relaxed) == cursor->idle_version;
}

/* What comes next lies here; it may not be there. NULL: that is not known. */
static inline const uint8_t *kfl__cursor_next(const struct kfl__cursor *cursor)
{
    return cursor->segment == NULL || cursor->place == 0 ? NULL : cursor->segment->bytes + cursor->place;
}

/* As many bytes of it as are worth to be asked for at once: what comes next is often as long as what came before. */
#define KFL_CURSOR_FETCH_MOST 256u
static inline uint32_t kfl__cursor_next_size(const struct kfl__cursor *cursor)
{
    uint32_t size = cursor->header.size;
    return size - 1 < KFL_CURSOR_FETCH_MOST ? size : KFL_CURSOR_FETCH_MOST;
}

/*
 * Bytes that were published a moment ago come from the cache of who wrote them: all lines at once, and before anything else.
 * Not the one behind them, which who appends is to write next.
 */
static inline void kfl__cursor_fetch(const uint8_t *next, uint32_t size)
{
    uintptr_t last = (uintptr_t)next + size - 1;
    for (uintptr_t line = (uintptr_t)next & ~(uintptr_t)63; line <= last; line += 64)
        kfl__fetch((const void *)line); /* NULL does no harm */
}

/*
 * All that was published when the limit was taken is handed out: true, and the cursor is idle. Asked without a look at
 * the slot, whose line who appends may be writing.
 */
static inline bool kfl__cursor_at_end(struct kfl__cursor *cursor)
{
    if (cursor->follow_word == 0 || cursor->place != cursor->limit || cursor->verified ||
        cursor->limit != kfl__word_place(cursor->follow_word))
        return false;
    cursor->idle_slot = cursor->partition->slot;
    cursor->idle_word = cursor->follow_word;
    cursor->idle_version = cursor->follow_version;
    return true;
}

/* A reading begins: what was deleted since the last one is not handed out any more. */
static inline void kfl__cursor_begin(struct kfl__cursor *cursor)
{
    const struct kfl__partition *partition = cursor->partition;
    struct kfl__slot *slot = partition->slot;
    if (KFL_UNLIKELY(cursor->offset < atomic_load_explicit(&slot->start_offset, memory_order_acquire) ||
                     atomic_load_explicit(&slot->deleted, memory_order_relaxed) != 0 ||
                     atomic_load_explicit(&slot->incarnation, memory_order_relaxed) != partition->incarnation)) {
        cursor->verified = false;
        cursor->touched = 0;
    }
}

#define KFL_CURSOR_BATCH 1
#define KFL_CURSOR_HOLE 2
/*
 * The batch that holds `offset`, or the first behind it: verified; header in cursor->header, bytes at
 * cursor->segment->bytes + cursor->place, where they stay while the caller keeps a share of the segment.
 * kfl__cursor_pass moves behind it.
 *
 * Returns KFL_CURSOR_BATCH; 0: nothing there now; KFL_CURSOR_HOLE: offset stands behind the hole now;
 * KFL_E_OFFSET_OUT_OF_RANGE, KFL_E_UNKNOWN_TOPIC_OR_PARTITION, KFL_E_IO, KFL_E_NOMEM, KFL_E_VERSION.
 */
int kfl__cursor_find_batch(struct kfl__cursor *cursor);

/*
 * Right after a seek, where batches of one record all took as many bytes: stands where the offset's record should be,
 * at bytes that exist and can be read up to cursor->touched. Nothing is verified: who does not find just that record
 * there sets `place` and `touched` back to 0, and the offset is looked up. false: there is nothing to guess from.
 */
bool kfl__cursor_guess(struct kfl__cursor *cursor);

/* The same as kfl__cursor_find_batch, where the common case is decided without a call. */
static inline int kfl__cursor_batch(struct kfl__cursor *cursor)
{
    if (KFL_LIKELY(cursor->segment != NULL && cursor->place + sizeof cursor->header <= cursor->touched &&
                   cursor->touched <= cursor->limit && !cursor->verified)) {
        if (KFL_LIKELY(kfl__batch_verify(cursor->segment->bytes, cursor->place, cursor->touched, cursor->segment->seed,
                                         &cursor->header) == 0 &&
                       (cursor->header.flags & KFL_BATCH_FLAG_END) == 0 &&
                       kfl__batch_end_offset(&cursor->header) > cursor->offset)) {
            cursor->verified = true;
            return KFL_CURSOR_BATCH;
        }
    }
    return kfl__cursor_find_batch(cursor);
}

/* All of the batch was handed out. */
static inline void kfl__cursor_pass(struct kfl__cursor *cursor)
{
    cursor->offset = kfl__batch_end_offset(&cursor->header);
    cursor->place = kfl__batch_next_place(cursor->place, &cursor->header);
    cursor->verified = false;
}

/* Offsets for times: the first record at `least_offset` or above whose timestamp is timestamp_ms or later. 1, 0, or an error. */
int kfl__partition_find_time(struct kfl__partition *partition, int64_t timestamp_ms, int64_t *out_offset,
                             int64_t *out_timestamp_ms);
/* The largest timestamp and the first record that has it. 1, 0 for an empty partition, or an error. */
int kfl__partition_max_timestamp(struct kfl__partition *partition, int64_t *out_offset, int64_t *out_timestamp_ms);

#endif
