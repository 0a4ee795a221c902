/* SPDX-License-Identifier: MIT */
/*
 * One partition's story in this process: its slot, the current view, the files it writes.
 *
 * engine/append appends and rolls; engine/owner takes the append lock and mends what the dead left there;
 * engine/writing has the files that are written; engine/segments makes files; engine/views keeps views;
 * engine/recover mends a tail; engine/read reads; engine/sync makes durable. They share this struct.
 */
#ifndef KFL_ENGINE_PARTITION_H
#define KFL_ENGINE_PARTITION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/lock.h"
#include "engine/core.h"
#include "format/record.h"
#include "log/segment.h"
#include "log/view.h"
#include "state/slot.h"

struct kfl__partition {
    /* constant once made */
    struct kfl__core *core;
    struct kfl__topic *topic; /* borrowed: it owns us */
    int32_t number;
    uint32_t incarnation;
    struct kfl__slot *slot;

    struct kfl__mutex view_lock; /* rank VIEW; guards: */
    struct kfl__view *view;      /* NULL: not looked up yet */
    uint64_t view_uses;          /* how often a segment of a view was asked for */

    /* guarded by append (the slot's, so by one thread of one process at a time) */
    const uint8_t *_Atomic tail; /* where the next batch will lie, most likely: to be fetched, and never looked at */
    struct kfl__segment *writing;      /* the file this process appends to; may be one that others have left behind */
    struct kfl__segment *writing_next; /* the prepared one behind it */
    struct kfl__segment *kept;         /* left behind, the oldest first, their descriptors kept until durable (R7) */
    int32_t kept_count;

    _Atomic int sync_asked; /* the helper syncs it in its next round, whatever flush.ms says */

    /* any of writing, writing_next, kept, syncing may be there: a hint for those who hold no lock */
    _Atomic int holds_files;

    /* of engine/room: what its last visit saw */
    _Atomic int64_t room_offset;
    _Atomic uint64_t room_uses;

    /* of the helper's rounds: how long nothing was appended */
    int64_t rest_offset;
    int32_t rest_rounds;
    uint64_t view_uses_seen;
    _Atomic uint32_t sealed_below; /* all full files below this ordinal have complete rows, or cannot have them */

    /* guarded by sync (the slot's) */
    struct kfl__segment *syncing; /* opened for a sync although somebody else writes it */
};

/* The bytes of a batch's payload, and what its header says of them. */
struct kfl__payload {
    uint32_t size;
    uint32_t unpacked_size;
    uint32_t record_count;
    uint16_t flags;
    int64_t max_timestamp_ms;
    /* Either built: */
    const void *bytes;
    uint64_t hash; /* kfl__hash64(bytes) */
    /* or, with bytes NULL, written by this, `size` bytes to `to`. Must not fail, wait, or allocate. */
    void (*fill)(const struct kfl__payload *payload, uint8_t *to);
    const void *context;
};

struct kfl__append {
    int64_t expected_offset; /* -1: wherever it ends */
    bool durable;            /* acks=all: by pwrite; the caller waits for the sync */
    int64_t block_ms;        /* longest wait for locks and room: max.block.ms */
    const struct kfl__settings *settings; /* the topic's */
};

/* ---- engine/recover ---- */

/*
 * Fill the slot from the catalog at its first use, and recover what needs it (R22). 0 once it can be read,
 * although the recovery may be owed still because nothing could be written (R23).
 */
int kfl__partition_ready(struct kfl__partition *partition);
/* The same for who writes: 0 once it is recovered. */
int kfl__partition_recovered(struct kfl__partition *partition);

/* ---- engine/append ---- */

/*
 * Append one batch: consecutive offsets, visible in one step. KFL_E_CONFLICT, KFL_E_BUSY, KFL_E_NO_SPACE,
 * KFL_E_FAILED, KFL_E_UNKNOWN_TOPIC_OR_PARTITION (deleted meanwhile), KFL_E_CLOSED.
 */
int kfl__partition_append(struct kfl__partition *partition, const struct kfl__payload *payload,
                          const struct kfl__append *how, int64_t *out_base_offset);

/*
 * The same for one record without more ado: laid out already, `size` bytes with zeros behind them up to a multiple of
 * KFL_BATCH_ALIGNMENT, and hashed; through the map (the store is not `by_file`), not durable, no offset expected, and
 * without flush.messages. block_ms and settings as in struct kfl__append. Its offset, or the error.
 */
int64_t kfl__partition_append_short(struct kfl__partition *partition, const void *bytes, uint32_t size, uint64_t hash,
                                    int64_t timestamp_ms, int64_t block_ms, const struct kfl__settings *settings);

/*
 * The same of a record that is not laid out, by the shortest way: KFL_APPEND_UNUSUAL where it is none, and nothing was done.
 * The caller's bytes are read once and hashed in the file: who changes them meanwhile finds a mixture there, but no batch that
 * does not verify.
 */
#define KFL_APPEND_UNUSUAL INT64_MIN
int64_t kfl__partition_append_split(struct kfl__partition *partition, const struct kfl__record_split *record,
                                    int64_t timestamp_ms, const struct kfl__settings *settings);

/* ---- engine/ahead ---- */

/* What is left to do once the lock is given back. */
struct kfl__after {
    struct kfl__segment *touch; /* a share: pages for the appends to come (R11) */
    uint64_t place;
    uint32_t batches;
    bool prepare;  /* half full, and nothing is prepared */
    int64_t flush; /* flush.messages is reached: sync up to here; else 0 */
};

/* Holding the lock, after an append that found one of the marks behind it. by_file: nobody asks for pages. true. */
bool kfl__partition_look_ahead(struct kfl__partition *partition, const struct kfl__append *how, bool by_file,
                               struct kfl__after *out_after);
/* Half of the file is full, and nothing is prepared: the next one. */
int kfl__partition_prepare_ahead(struct kfl__partition *partition);
/* Not holding it. */
int kfl__partition_do_after(struct kfl__partition *partition, const struct kfl__append *how, const struct kfl__after *after);

/* ---- engine/owner: the append lock ---- */

/*
 * Take the slot's append lock and mend what a dead owner left. The partition is then known to belong to its
 * topic still. KFL_E_BUSY names the holder. */
int kfl__partition_lock(struct kfl__partition *partition, int64_t deadline_ns);
void kfl__partition_unlock(struct kfl__partition *partition);
/* What a try for the lock answered: mend what a dead owner left, and see that the slot is still ours. */
int kfl__partition_take(struct kfl__partition *partition, int r);
/* What any lock of the state file answered: when it is none any more, the file is to be made anew, and the caller is told how. */
int kfl__lock_answer(struct kfl__core *core, int r);
/* Holding it: the prepared file becomes the active one in the slot's words; its publishing word stands already. */
void kfl__partition_advance(struct kfl__slot *slot);

/* ---- engine/partition ---- */

/* false once its topic was deleted: its slot may be another partition's. */
bool kfl__partition_exists(const struct kfl__partition *partition);
/* KFL_E_UNKNOWN_TOPIC_OR_PARTITION and its story. */
int kfl__partition_gone(const struct kfl__partition *partition);

/* The publishing word and the end that belongs to it, without a lock. */
void kfl__partition_tail(struct kfl__partition *partition, uint64_t *out_word, int64_t *out_end_offset);

/* The file that takes appends (0: none yet) and its base offset, of one moment, without a lock. */
void kfl__partition_active(struct kfl__partition *partition, int64_t *out_id, int64_t *out_base_offset);

/* Destroys what nobody uses any more. */
void kfl__partition_destroy(struct kfl__partition *partition); /* takes NULL */

/* ---- engine/roll ---- */

/*
 * R3. Holding the lock, the prepared file is open here and large enough: END mark, then the word moves to the next file; the
 * first file of a partition has no older one to mark. by_file: the mark goes by pwrite.
 */
int kfl__partition_roll_to_next(struct kfl__partition *partition, bool by_file);
/*
 * The file that takes appends takes no more: an empty one is rolled in behind it. Only while it is still that one, and
 * the partition still ends at end_offset (-1: wherever it ends).
 */
#define KFL_PARTITION_MOVED 1 /* it is not, or holds nothing */
int kfl__partition_roll(struct kfl__partition *partition, int64_t segment_id, int64_t end_offset);
/* The file that took this offset takes no more, and none before it does. */
int kfl__partition_roll_behind(struct kfl__partition *partition, int64_t offset);

/* ---- engine/provide ---- */

/* What an attempt under the lock may find missing; positive, dealt with by the loop around it. */
enum {
    KFL_NEEDS_FILE = 1, /* the active file is not open for writing here */
    KFL_NEEDS_NEXT,     /* full, and nothing (large enough) is prepared */
    KFL_NEEDS_FLOOR,    /* the next offset is not below the floor */
    KFL_NEEDS_MENDING,  /* the tail is that of dead processes */
    KFL_NEEDS_FILL,     /* the slot is not filled, or not recovered */
};
/* Not holding the lock: bring it about, for this payload. 0: try again. */
int kfl__partition_provide(struct kfl__partition *partition, int need, const struct kfl__payload *payload,
                           const struct kfl__append *how, int64_t deadline_ns);

/* ---- engine/writing: the files that this process writes; holding the lock where it is not said ---- */

/* The one with this ordinal, if it is open here. borrowed. */
struct kfl__segment *kfl__partition_written(struct kfl__partition *partition, uint32_t ordinal);
/* `segment` (a share goes over) is what this process writes from now on; the former one is kept until it is durable (R7). */
void kfl__partition_write_to(struct kfl__partition *partition, struct kfl__segment *segment);
/* Let go of all files that were left behind. */
void kfl__partition_drop_kept(struct kfl__partition *partition);
/* Open the file with this id for writing, in place of what is written now. */
int kfl__partition_open_active(struct kfl__partition *partition, int64_t segment_id);
/* Not holding the lock: open what the slot says is active (next: prepared), then look again. */
int kfl__partition_open_for_append(struct kfl__partition *partition, bool next, int64_t deadline_ns);
/* Not holding the lock. The prepared file is damaged: with a size of 0 it is too small for any batch, and another one is made. */
int kfl__partition_spurn_next(struct kfl__partition *partition, int64_t segment_id, int64_t deadline_ns);

/*
 * Not holding the lock. Nothing was appended for a while and all is durable: give back the files that this process has
 * open for writing. The next append opens them again.
 */
void kfl__partition_rest(struct kfl__partition *partition);

/* ---- engine/folders ---- */

/* The partition's folder; make: create it, and the topic's, whose name is synced. 0 or KFL_FILE_MISSING. */
int kfl__partition_directory(struct kfl__partition *partition, bool make, int *out_fd);
/* Before the partition's first file is listed: the name of its folder is durable. */
int kfl__partition_sync_folder(struct kfl__partition *partition);

/* ---- engine/floor ---- */

/* Move the offset floor up (R10). */
int kfl__partition_raise_floor(struct kfl__partition *partition, int64_t least);

/* ---- engine/segments: files ---- */

/* Make the file behind the active one, with room for at least `room` bytes of batches; unless there is one (R3, R4). */
int kfl__partition_prepare(struct kfl__partition *partition, const struct kfl__settings *settings, uint64_t room,
                           int64_t deadline_ns);
/* Where the records begin, once what a killed deleter made true is brought along. Holding no lock of rank 5 or above. */
int64_t kfl__partition_start(struct kfl__partition *partition);
/*
 * Write manifest rows for files that are full and durable. 1: there is more; 0; or an error, KFL_E_IO when a file could not be read,
 * which keeps none of the others.
 */
int kfl__partition_seal(struct kfl__partition *partition);
/* Delete what lies below: catalog first (R8), then the slot, then files. */
int kfl__partition_trim(struct kfl__partition *partition, int64_t before_offset, int64_t *out_start_offset);
/* The same unless a group of retention.consumers.groups has not committed all of it: KFL_PARTITION_HELD, and nothing happens. */
#define KFL_PARTITION_HELD 2
int kfl__partition_trim_held(struct kfl__partition *partition, int64_t before_offset, int64_t *out_start_offset);
/*
 * Throw away the files that lie wholly below the start: of somebody who was killed when it had moved, or one that took appends
 * when its records were deleted.
 */
int kfl__partition_drop_files(struct kfl__partition *partition);

/* ---- engine/views: what readers hold ---- */

/* A share of the current view, rebuilt if the manifest or the active segment is another by now. counted. */
int kfl__partition_view(struct kfl__partition *partition, struct kfl__view **out_view);
/* A share of the segment behind an entry of a view, opened if need be. counted. KFL_FILE_MISSING, KFL_E_CORRUPT … */
int kfl__partition_segment(struct kfl__partition *partition, struct kfl__view *view, int32_t entry,
                           struct kfl__segment **out_segment);
/* The same of one that is open already, or NULL. */
struct kfl__segment *kfl__partition_opened(struct kfl__partition *partition, struct kfl__view *view, int32_t entry);
/* About how many files a process keeps open that it only reads: more are given back, the longest unused first. */
#define KFL_SEGMENTS_OPEN 512
/* Close files that nobody reads and that were asked for last before this count of view_uses: how many. */
int32_t kfl__partition_give_back(struct kfl__partition *partition, uint64_t used_before);
/* The current list lets go of this file, which it shared with who wrote it. */
void kfl__partition_unshare(struct kfl__partition *partition, const struct kfl__segment *segment);
/*
 * And of these, which are about to be unlinked: who has the last share of a file without a name waits until the file
 * system has freed it, and that is to be who throws it away, not the reader who comes first with a newer list.
 */
void kfl__partition_yield_files(struct kfl__partition *partition, const int64_t *ids, int32_t count);

/* ---- engine/recover ---- */

/* The bytes behind the durable place were written by the dead: copy them into a new, synced file (R7). */
int kfl__partition_replace_tail(struct kfl__partition *partition);
/* The file that takes appends is damaged, so that nobody can write to it: it stays to be read, and the next append makes a new one. */
int kfl__partition_leave_file(struct kfl__partition *partition, int64_t segment_id);

/*
 * Who reads what is appended as it comes pulls the lines behind it over as well. They are asked back for before there is
 * anything to write into them: a store that waits for its line keeps those behind it waiting. The publishing word's line, which
 * a reader looks at all the time, comes after them: one that comes back before they do is pulled away again.
 */
static inline void kfl__partition_fetch_tail(const struct kfl__partition *partition, uint32_t size)
{
    /* NULL while there is none: an address that is not mapped does no harm. */
    uintptr_t tail = (uintptr_t)atomic_load_explicit(&partition->tail, memory_order_relaxed);
    kfl__fetch_to_write((const void *)tail);
    kfl__fetch_to_write((const void *)(tail + 64));
    kfl__fetch_to_write((const void *)(tail + 128));
    for (uint32_t at = 192; at < size + 48 + 63; at += 64)
        kfl__fetch_to_write((const void *)(tail + at));
    kfl__fetch_to_write(&partition->slot->published);
}

#endif
