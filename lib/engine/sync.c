/* SPDX-License-Identifier: MIT */
/*
 * Group sync.
 *
 * Leadership is the slot's second robust mutex, taken by trylock: whoever gets it notes what it is about to
 * bring down, syncs every file that holds bytes not yet durable, moves durable_offset and wakes those whom
 * that serves, and one of the others to lead next: more would only find each other in the way. They sleep on
 * durable_seq, each for the round that will serve it, at most 20 ms at a time, and look again. A failed sync is final, since the
 * kernel reports an error once and calls the pages clean: the partition is marked, and nothing in it is
 * acknowledged as durable any more. A leader that died in the middle leaves its note, and with it the doubt
 * whether an error was reported to it: the bytes are then copied into a new file instead.
 */
#include "engine/sync.h"

#include "base/fault.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/patience.h"
#include "base/wait.h"
#include "catalog/segments.h"
#include "catalog/topics.h"
#include "engine/notify.h"
#include "engine/topics.h"
#include "state/presence.h"

#define SYNC_LOOK_NS INT64_C(20000000)

int kfl__sync_fail_again(struct kfl__partition *partition)
{
    kfl__fail(KFL_E_FAILED,
              "a sync of partition %s/%d failed earlier; what is durable stays readable below offset %lld: find the cause "
              "in the system's log, then close the store everywhere and open it again",
              partition->topic->name, partition->number,
              (long long)atomic_load(&partition->slot->durable_offset));
    return kfl__fail_at(KFL_E_FAILED, partition->topic->name, partition->number,
                        atomic_load(&partition->slot->durable_offset));
}

/* Rounds are counted by durable_seq; who waits for one leaves its bit in durable_waiters. */
static uint32_t sync_round(uint32_t seq)
{
    return UINT32_C(1) << seq % 32;
}

/* A round is over. */
static void sync_tell(struct kfl__core *core, struct kfl__slot *slot)
{
    uint32_t seq = atomic_fetch_add_explicit(&slot->durable_seq, 1, memory_order_release);
    atomic_thread_fence(memory_order_seq_cst);
    uint32_t waiters = atomic_fetch_and_explicit(&slot->durable_waiters, ~sync_round(seq), memory_order_acq_rel);
    if ((waiters & sync_round(seq)) != 0)
        kfl__wake_those(&slot->durable_seq, sync_round(seq), INT32_MAX);
    if ((waiters & sync_round(seq + 1)) != 0)
        kfl__wake_those(&slot->durable_seq, sync_round(seq + 1), 1);
    kfl__notify_raise(core, slot); /* consumers with read.durable */
}

/* There will be no more rounds, or not of this kind: all look for themselves. */
static void sync_tell_all(struct kfl__slot *slot)
{
    atomic_fetch_add_explicit(&slot->durable_seq, 1, memory_order_release);
    atomic_store(&slot->durable_waiters, 0);
    kfl__wake(&slot->durable_seq, INT32_MAX);
}

/* In which rounds may `offset` become durable? The running one has noted how far it goes, or will do so yet. */
static uint32_t sync_rounds(struct kfl__slot *slot, uint32_t seq, int64_t offset)
{
    int64_t target = atomic_load(&slot->sync_target);
    if (target >= offset)
        return sync_round(seq);
    return target >= 0 ? sync_round(seq + 1) : sync_round(seq) | sync_round(seq + 1);
}

/* A file that others wrote, opened to be synced: *out_segment is borrowed, NULL when it was deleted meanwhile. */
static int sync_open(struct kfl__partition *partition, int64_t segment_id, struct kfl__segment **out_segment)
{
    struct kfl__core *core = partition->core;
    struct kfl__segment *segment = partition->syncing;
    if (segment == NULL || segment->id != segment_id) {
        struct kfl__segment_expect expect = {core->store_id, partition->topic->id, (uint32_t)partition->number};
        int directory = -1;
        segment = NULL;
        int r = kfl__partition_directory(partition, false, &directory);
        if (r == 0) {
            r = kfl__segment_open(directory, segment_id, &expect, KFL_SEGMENT_WRITE_BY_FILE, &segment);
            kfl__file_close(directory);
        }
        if (r < 0)
            return r;
        if (segment != NULL) {
            kfl__segment_release(partition->syncing);
            partition->syncing = segment;
            atomic_store(&partition->holds_files, 1);
        }
    }
    *out_segment = segment;
    return 0;
}

/* What a leader needs, gathered before it takes the mutex: catalog and append lock come before it in rank. */
struct sync_means {
    struct kfl__segment **own; /* shares of each file this process has written and that may not be durable */
    int32_t own_count, own_room;
    bool full_files; /* no more is wanted */
    int64_t active_id, active_base_offset; /* where the file begins that takes appends; id 0: there is none */
    struct kfl__view *view; /* a share; NULL while one file holds all that is not durable */
};

/* By the descriptors that were open before the first store into each file (R7): there may be many of them. */
static int sync_gather(struct kfl__partition *partition, struct sync_means *means, int64_t deadline_ns)
{
    for (;;) {
        int r = kfl__partition_lock(partition, deadline_ns);
        if (r < 0)
            return r;
        int32_t count = partition->kept_count + 1;
        uint32_t from = kfl__word_ordinal(atomic_load(&partition->slot->durable_word));
        struct kfl__segment *kept = partition->kept;
        means->active_id = atomic_load(&partition->slot->active.id);
        means->active_base_offset = atomic_load(&partition->slot->active_base_offset);
        for (int32_t i = 0; count <= means->own_room && i < count; i++) {
            struct kfl__segment *segment = kept != NULL ? kept : partition->writing;
            kept = kept != NULL ? kept->kept_next : NULL;
            if (segment != NULL && atomic_load(&segment->fd) >= 0 && (int32_t)((uint32_t)segment->id - from) >= 0) {
                kfl__segment_acquire(segment);
                means->own[means->own_count++] = segment;
            }
        }
        kfl__partition_unlock(partition);
        if (count <= means->own_room)
            return 0;
        struct kfl__segment **grown = kfl__realloc(means->own, (size_t)count * 2 * sizeof *grown);
        if (grown == NULL)
            return kfl__fail(KFL_E_NOMEM, "partition %s/%d: out of memory for a sync", partition->topic->name,
                             partition->number);
        means->own = grown;
        means->own_room = count * 2;
    }
}

static void sync_release(struct sync_means *means)
{
    kfl__view_release(means->view);
    for (int32_t i = 0; i < means->own_count; i++)
        kfl__segment_release(means->own[i]);
    kfl__free(means->own);
}

#define SYNC_NEEDS_VIEW 5 /* positive: another file takes the appends by now */

/* Behind `place` others may be storing meanwhile. */
static int sync_one(struct kfl__segment *segment, uint64_t place, bool *out_failed)
{
    kfl__segment_let_go(segment, place);
    int r = kfl__segment_sync(segment);
    *out_failed = r < 0;
    return r;
}

/*
 * All files from the durable one to the one that `word` stands in, the older first. *out_failed: the device
 * refused a sync; any other error has touched nothing, and the next leader tries again.
 */
static int sync_files(struct kfl__partition *partition, uint64_t word, const struct sync_means *means, bool *out_failed)
{
    uint32_t from = kfl__word_ordinal(atomic_load(&partition->slot->durable_word));
    uint32_t to = kfl__word_ordinal(word);
    if (from == to && means->own_count > 0 && (uint32_t)means->own[means->own_count - 1]->id == to)
        return sync_one(means->own[means->own_count - 1], kfl__word_place(word), out_failed);
    bool found = false;
    for (int32_t i = 0; means->view != NULL && i < means->view->entry_count; i++)
        found = found || (uint32_t)means->view->entries[i].segment_id == to;
    if (!found)
        return SYNC_NEEDS_VIEW;
    int r = 0;
    for (int32_t i = 0; r >= 0 && i < means->view->entry_count; i++) {
        int64_t id = means->view->entries[i].segment_id;
        /* The chain of appends has rising ids; what compaction made is durable from the start. */
        if ((int32_t)((uint32_t)id - from) < 0 || (int32_t)((uint32_t)id - to) > 0)
            continue;
        if ((uint32_t)id == to && kfl__word_place(word) == KFL_SEGMENT_FIRST_PLACE)
            continue; /* there is nothing in it yet, or nothing that this is about */
        struct kfl__segment *segment = NULL;
        for (int32_t n = 0; n < means->own_count; n++)
            if (means->own[n]->id == id)
                segment = means->own[n];
        if (segment == NULL)
            r = sync_open(partition, id, &segment);
        if (r == 0 && segment != NULL)
            r = sync_one(segment, (uint32_t)id == to ? kfl__word_place(word) : segment->size, out_failed);
    }
    return r < 0 ? r : 0;
}

static int sync_failed(struct kfl__partition *partition)
{
    struct kfl__words words;
    kfl__error_save(&words);
    atomic_store(&partition->slot->failed, 1);
    sync_tell_all(partition->slot);
    kfl__error_restore(&words);
    return kfl__fail_at(kfl_last_error_code(), partition->topic->name, partition->number,
                        atomic_load(&partition->slot->durable_offset));
}

/*
 * How far to go: to the tail, for all who wait now or will; but where full files are what was asked for, only up to their end. A
 * sync of the file that takes appends interrupts its producer for each page that was written, or touched, beside.
 */
static bool sync_aim(struct kfl__partition *partition, const struct sync_means *means,
                     uint64_t *out_word, int64_t *out_end)
{
    struct kfl__slot *slot = partition->slot;
    if (means->full_files && means->active_id != 0) {
        *out_word = kfl__word(means->active_id, KFL_SEGMENT_FIRST_PLACE);
        *out_end = means->active_base_offset;
        return false;
    }
    /* Appends from here on begin a new span of time; what they lay before we look at the end is only synced early. */
    atomic_store(&slot->unsynced_since_ns, 0);
    kfl__partition_tail(partition, out_word, out_end);
    return true;
}

/* Holding the sync mutex. */
static int sync_lead(struct kfl__partition *partition, const struct sync_means *means)
{
    struct kfl__slot *slot = partition->slot;
    uint64_t word;
    int64_t end;
    bool all = sync_aim(partition, means, &word, &end);
    if (end <= atomic_load(&slot->durable_offset))
        return 0;
    atomic_store(&slot->sync_target, end);
    int64_t began = kfl__clock_steady_ns();
    KFL_STEP("sync.noted");
    bool failed = false;
    int r = sync_files(partition, word, means, &failed);
    KFL_STEP("sync.done");
    if (failed)
        return sync_failed(partition);
    if (r != 0) {
        int64_t nothing = 0;
        atomic_store(&slot->sync_target, -1);
        if (all)
            atomic_compare_exchange_strong(&slot->unsynced_since_ns, &nothing, began);
        return r;
    }
    kfl__slot_set_durable(slot, word, end);
    KFL_STEP("sync.durable");
    atomic_store(&slot->sync_target, -1);
    atomic_fetch_add_explicit(&slot->syncs, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&slot->sync_ns, (uint64_t)(kfl__clock_steady_ns() - began), memory_order_relaxed);
    sync_tell(partition->core, slot);
    return 0;
}

/* Holding the mutex, which is given back. 0, SYNC_NEEDS_VIEW, or an error; *out_doubt: the last leader died in a sync. */
static KFL_UNCHECKED int sync_take(struct kfl__partition *partition, int taken, const struct sync_means *means,
                                   bool *out_doubt)
{
    struct kfl__slot *slot = partition->slot;
    if (taken == KFL_LOCK_OWNER_DIED)
        kfl__robust_mended(&slot->sync);
    *out_doubt = atomic_load(&slot->sync_target) >= 0;
    if (*out_doubt)
        atomic_store(&slot->suspect, 1);
    bool lead = atomic_load(&slot->suspect) == 0 && atomic_load(&slot->failed) == 0;
    int r = lead ? sync_lead(partition, means) : 0;
    kfl__robust_unlock(&slot->sync, KFL_RANK_SYNC);
    return r;
}

static int sync_put_failed(struct kfl__catalog_txn *txn, void *context)
{
    const struct kfl__partition *partition = context;
    struct kfl__partition_row row;
    int r = kfl__partition_get(txn, partition->topic->id, partition->number, &row);
    if (r < 0 || (row.flags & KFL_PARTITION_FAILED) != 0)
        return r;
    row.flags |= KFL_PARTITION_FAILED;
    return kfl__partition_put(txn, partition->topic->id, partition->number, &row);
}

/* For who comes after a reboot, which the slot does not survive. Best effort; keeps the thread's words. */
static void sync_note_failed(struct kfl__partition *partition)
{
    struct kfl__words words;
    kfl__error_save(&words);
    (void)kfl__catalog_change_run(partition->core->catalog, sync_put_failed, partition);
    kfl__error_restore(&words);
}

/* Try to lead. 0: led (or somebody's work sufficed); KFL_LOCK_BUSY: somebody else leads. */
static int sync_try(struct kfl__partition *partition, bool full_files, int64_t deadline_ns)
{
    struct kfl__slot *slot = partition->slot;
    struct sync_means means = {.full_files = full_files};
    bool doubt = false;
    if (kfl__robust_owner(&slot->sync) != 0)
        return KFL_LOCK_BUSY; /* a hint that spares the shares */
    int r = sync_gather(partition, &means, deadline_ns);
    while (r >= 0) {
        r = kfl__lock_answer(partition->core, kfl__robust_trylock(&slot->sync, KFL_RANK_SYNC));
        if (r == 0 || r == KFL_LOCK_OWNER_DIED)
            r = sync_take(partition, r, &means, &doubt);
        if (r != SYNC_NEEDS_VIEW)
            break;
        kfl__view_release(means.view);
        means.view = NULL;
        r = kfl__partition_view(partition, &means.view);
    }
    sync_release(&means);
    if (r < 0 && atomic_load(&slot->failed) != 0)
        sync_note_failed(partition);
    return doubt ? kfl__partition_replace_tail(partition) : r;
}

/* Who leads is named: it may be stopped, or the disk slow. */
static int sync_late(struct kfl__partition *partition, int64_t offset)
{
    char leader[64] = "nobody";
    struct kfl__slot *slot = partition->slot;
    int32_t owner = kfl__robust_owner(&slot->sync);
    if (owner != 0)
        kfl__presence_describe(owner, leader, sizeof leader);
    kfl__fail(KFL_E_TIMEOUT, "partition %s/%d is durable below offset %lld only, not below %lld, and is being synced by %s",
              partition->topic->name, partition->number, (long long)atomic_load(&slot->durable_offset),
              (long long)offset, leader);
    return kfl__fail_at(KFL_E_TIMEOUT, partition->topic->name, partition->number, offset);
}

static int sync_wait(struct kfl__partition *partition, int64_t offset, bool full_files,
                     int64_t deadline_ns)
{
    struct kfl__slot *slot = partition->slot;
    struct kfl__patience_wait wait;
    kfl__patience_begin(&wait, &slot->durable_seq, deadline_ns);
    for (;;) {
        uint32_t seq = atomic_load_explicit(&slot->durable_seq, memory_order_acquire);
        if (atomic_load_explicit(&slot->durable_offset, memory_order_acquire) >= offset)
            return kfl__patience_end(&wait, false);
        bool new_life = atomic_load(&slot->life) != atomic_load(&partition->core->shared->life);
        if (atomic_load(&slot->failed) != 0 && !new_life)
            return kfl__sync_fail_again(partition);
        int r;
        if (atomic_load(&partition->core->closing) > 1)
            return kfl__fail(KFL_E_CLOSED, "the store %s is closed", partition->core->path);
        if (atomic_load(&slot->ready) != KFL_SLOT_READY)
            r = kfl__partition_recovered(partition);
        else if (atomic_load(&slot->suspect) != 0 || new_life)
            r = kfl__partition_replace_tail(partition);
        else
            r = sync_try(partition, full_files, deadline_ns);
        if (r < 0)
            return r;
        if (r != KFL_LOCK_BUSY)
            continue;
        uint32_t rounds = sync_rounds(slot, seq, offset);
        atomic_fetch_or(&slot->durable_waiters, rounds);
        int64_t now = kfl__clock_steady_ns();
        if (wait.until_ns >= 0 && now >= wait.until_ns) {
            r = kfl__patience_end(&wait, true);
            return r < 0 ? r : sync_late(partition, offset);
        }
        int64_t look = now + SYNC_LOOK_NS;
        (void)kfl__wait_for(&slot->durable_seq, seq, rounds,
                            wait.until_ns >= 0 && wait.until_ns < look ? wait.until_ns : look);
    }
}

int kfl__sync_wait(struct kfl__partition *partition, int64_t offset, int64_t deadline_ns)
{
    return sync_wait(partition, offset, false, deadline_ns);
}

int kfl__sync_full_files(struct kfl__partition *partition, int64_t deadline_ns)
{
    int64_t active, base;
    kfl__partition_active(partition, &active, &base);
    return active == 0 ? 0 : sync_wait(partition, base, true, deadline_ns);
}

void kfl__sync_note(struct kfl__partition *partition, struct kfl__sync_note *out_note)
{
    out_note->partition = partition;
    kfl__slot_durable(partition->slot, &out_note->word, &out_note->offset);
    kfl__partition_active(partition, &out_note->active_id, &out_note->active_base_offset);
}

int kfl__sync_put_note(struct kfl__catalog_txn *txn, const struct kfl__sync_note *note)
{
    struct kfl__partition *partition = note->partition;
    struct kfl__partition_row row;
    struct kfl__segment_row segment;
    int r = kfl__partition_get(txn, partition->topic->id, partition->number, &row);
    if (r < 0 || note->word == 0 || row.durable_offset >= note->offset)
        return r;
    /* The full id: its low half is the word's, and ids only rise. */
    int64_t id = (row.next_segment_id & ~(int64_t)UINT32_MAX) | kfl__word_ordinal(note->word);
    if (id >= row.next_segment_id)
        id -= INT64_C(1) << 32;
    row.durable_offset = note->offset;
    row.durable_segment = id;
    row.durable_place = (int64_t)kfl__word_place(note->word);
    r = kfl__partition_put(txn, partition->topic->id, partition->number, &row);
    if (r < 0 || id != note->active_id)
        return r;
    /* With its beginning known, a file that is lost is missed. */
    r = kfl__segments_get(txn, partition->topic->id, partition->number, id, &segment);
    if (r < 0 || segment.state != KFL_SEGMENT_ROW_READY)
        return r;
    segment.state = KFL_SEGMENT_ROW_LIVE;
    segment.base_offset = note->active_base_offset;
    return kfl__segments_put(txn, partition->topic->id, partition->number, &segment);
}
