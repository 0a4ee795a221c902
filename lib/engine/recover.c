/* SPDX-License-Identifier: MIT */
/*
 * Filling a slot, and mending a tail.
 *
 * A partition's slot is filled from the catalog when it is used the first time in the life of a state file.
 * If the last process that left it said that all was durable, that is all there is to it. Else the tail is
 * walked (engine/tail), and what can be believed behind the durable place is copied into a new file, synced
 * and listed in one catalog transaction, before anybody builds on it: nothing is mended in place, since a
 * block that met a failed write may read as zeros later although a sync succeeded. The same copy serves a
 * tail that dead processes of this boot have written, because an error of the disk may have been told to
 * them (R7). Killed anywhere in here, the next one begins anew. Where nothing can be written, because the disk is
 * full, what can be believed is read where it lies, and each append tries again (R23).
 */
#include "engine/recover.h"

#include "base/memory.h"
#include "base/wait.h"
#include "engine/mend.h"
#include "engine/notify.h"
#include "engine/segments.h"
#include "engine/sync.h"
#include "engine/topics.h"

/* ---- the slot's words ---- */

/* Whoever reads looks at the word, then at the version: it has to be another before the word is. */
static int recover_install(struct kfl__partition *partition, const struct kfl__active *active, int64_t end_offset,
                           uint64_t durable_word, int64_t durable_offset, uint32_t epoch)
{
    struct kfl__slot *slot = partition->slot;
    uint64_t word = active->id == 0 ? 0 : kfl__word(active->id, active->place);
    int r = kfl__partition_lock(partition, -1);
    if (r < 0)
        return r;
    atomic_fetch_add(&slot->manifest_version, 1);
    atomic_store(&slot->active.id, 0);
    atomic_store(&slot->active.size, active->size);
    atomic_store(&slot->active.seed, active->seed);
    atomic_store(&slot->active_base_offset, active->base_offset);
    atomic_store(&slot->active_first_timestamp_ms, active->first_timestamp_ms);
    atomic_store(&slot->active_max_timestamp_ms, active->max_timestamp_ms);
    atomic_store(&slot->active_records, active->records);
    atomic_store(&slot->active_batch_count, active->batches);
    atomic_store(&slot->active_time_count, active->times);
    atomic_store(&slot->active_time_place, active->time_place);
    atomic_store(&slot->reserved_end, active->place);
    atomic_store(&slot->pending_word, word);
    atomic_store(&slot->pending_end_offset, end_offset);
    atomic_store(&slot->published, word);
    atomic_store(&slot->end_offset, end_offset);
    atomic_store(&slot->active.id, active->id);
    /* What was prepared went with the rest: the files of a chain of appends have rising ids. */
    atomic_store(&slot->next.id, 0);
    atomic_store(&slot->writer_epoch, epoch);
    kfl__slot_set_durable(slot, durable_word, durable_offset);
    atomic_store(&slot->noted_offset, durable_offset);
    atomic_store(&slot->sync_target, -1);
    atomic_store(&slot->unsynced_since_ns, 0);
    atomic_store(&slot->life, atomic_load(&partition->core->shared->life));
    atomic_store(&slot->failed, 0);
    atomic_store(&slot->suspect, 0);
    kfl__partition_unlock(partition);
    return 0;
}

/* ---- filling ---- */

struct recover_look {
    struct kfl__partition *partition;
    struct kfl__partition_row row;
};

static int recover_get_row(struct kfl__catalog_txn *txn, void *context)
{
    struct recover_look *look = context;
    return kfl__partition_get(txn, look->partition->topic->id, look->partition->number, &look->row);
}

/* The partition's row and its files. Owned: kfl__free(*out_rows). */
static int recover_read_catalog(struct kfl__partition *partition, struct kfl__partition_row *out_row,
                                struct kfl__segment_row **out_rows, int32_t *out_count)
{
    struct recover_look look = {.partition = partition};
    int r = kfl__catalog_look(partition->core->catalog, recover_get_row, &look);
    if (r == 0)
        r = kfl__segments_rows(partition, out_rows, out_count);
    if (r == 0)
        *out_row = look.row;
    return r;
}

static void recover_finish_fill(struct kfl__partition *partition, const struct kfl__partition_row *row, int64_t end_offset,
                                uint32_t ready)
{
    struct kfl__slot *slot = partition->slot;
    atomic_store(&slot->start_offset, row->start_offset);
    atomic_store(&slot->opened_offset, end_offset);
    /* The first append brings the floor up, and with it the row is marked as in use. */
    atomic_store(&slot->offset_floor, end_offset);
    atomic_store(&slot->floor_raised_at, end_offset);
    atomic_store_explicit(&slot->ready, ready, memory_order_release);
    kfl__notify_raise(partition->core, slot);
}

static int recover_fill_clean(struct kfl__partition *partition, const struct kfl__partition_row *row,
                              const struct kfl__segment_row *rows, int32_t count)
{
    struct kfl__active active = {.first_timestamp_ms = -1, .max_timestamp_ms = -1};
    const struct kfl__segment_row *last = kfl__segment_row_find(rows, count, row->durable_segment);
    enum kfl__segment_access access = partition->core->read_only ? KFL_SEGMENT_READ : KFL_SEGMENT_WRITE_BY_FILE;
    int r = 0;
    if (last != NULL && last->state == KFL_SEGMENT_ROW_LIVE)
        r = kfl__active_of_file(partition, last, (uint64_t)row->durable_place, access, &active);
    /* A file that cannot be used is told to whoever reads there; appends go on in a new one. */
    if (r < 0 && r != KFL_E_CORRUPT && r != KFL_E_VERSION)
        return r;
    uint64_t word = row->durable_segment == 0 ? 0 : kfl__word(row->durable_segment, (uint64_t)row->durable_place);
    r = recover_install(partition, &active, row->durable_offset, word, row->durable_offset, row->writer_epoch + 1);
    if (r == 0)
        recover_finish_fill(partition, row, row->durable_offset, KFL_SLOT_READY);
    return r;
}

/* What can be believed is shown, and stays where it is: for who only reads, and while nothing can be written (R23). */
static int recover_show(const struct kfl__mend *mend, const struct kfl__partition_row *row)
{
    struct kfl__partition *partition = mend->partition;
    const struct kfl__tail *tail = &mend->tail;
    struct kfl__active active = {.first_timestamp_ms = -1, .max_timestamp_ms = -1};
    const struct kfl__segment_row *last = kfl__segment_row_find(mend->rows, mend->row_count, tail->last_segment);
    int r = 0;
    if (last != NULL && last->state != KFL_SEGMENT_ROW_SEALED) {
        struct kfl__segment_row shown = *last;
        if (shown.base_offset < 0)
            r = kfl__tail_find_base(partition, shown.segment_id, tail->last_place, &shown.base_offset);
        if (r >= 0 && shown.base_offset >= 0)
            r = kfl__active_of_file(partition, &shown, tail->last_place, KFL_SEGMENT_READ, &active);
    }
    if (r < 0 && r != KFL_E_CORRUPT && r != KFL_E_VERSION)
        return r;
    uint64_t word = row->durable_segment == 0 ? 0 : kfl__word(row->durable_segment, (uint64_t)row->durable_place);
    r = recover_install(partition, &active, tail->end_offset, word, row->durable_offset, row->writer_epoch);
    if (r == 0)
        recover_finish_fill(partition, row, tail->end_offset, KFL_SLOT_TO_READ);
    return r;
}

/* Nobody said that all was durable: walk, copy what can be believed, go on above the floor (R10). */
static int recover_fill_torn(struct kfl__partition *partition, const struct kfl__partition_row *row,
                             struct kfl__segment_row *rows, int32_t count)
{
    struct kfl__mend mend = {
        .partition = partition,
        .rows = rows,
        .row_count = count,
        .tail = {.durable_segment = row->durable_segment,
                 .durable_place = (uint64_t)row->durable_place,
                 .durable_offset = row->durable_offset},
    };
    int r = kfl__tail_walk(partition, rows, count, 0, &mend.tail);
    if (r < 0)
        goto out;
    if (partition->core->read_only) {
        r = recover_show(&mend, row);
        goto out;
    }
    mend.epoch = (row->writer_epoch > mend.tail.epoch ? row->writer_epoch : mend.tail.epoch) + 1;
    mend.end_offset = mend.tail.end_offset > row->offset_floor ? mend.tail.end_offset : row->offset_floor;
    /* No file of a failed sync is built on (R7). */
    r = kfl__mend_run(&mend, (row->flags & KFL_PARTITION_FAILED) == 0);
    if (r < 0) {
        struct kfl__words words;
        kfl__error_save(&words);
        if (atomic_load(&partition->slot->ready) == 0)
            (void)recover_show(&mend, row);
        kfl__error_restore(&words);
        goto out;
    }
    r = recover_install(partition, &mend.active, mend.end_offset, kfl__mend_durable_word(&mend), mend.end_offset, mend.epoch);
    if (r == 0)
        recover_finish_fill(partition, row, mend.end_offset, KFL_SLOT_READY);
    kfl__segments_discard(partition, mend.trash, mend.trash_count);
out:
    kfl__mend_release(&mend);
    return r;
}

/* Holding the prepare lock. */
static int recover_fill(struct kfl__partition *partition)
{
    struct kfl__partition_row row;
    struct kfl__segment_row *rows = NULL;
    int32_t count = 0;
    int r = recover_read_catalog(partition, &row, &rows, &count);
    if (r == 0)
        r = (row.flags & (KFL_PARTITION_CLEAN | KFL_PARTITION_FAILED)) == KFL_PARTITION_CLEAN || count == 0 ? recover_fill_clean(partition, &row, rows, count)
                                                                : recover_fill_torn(partition, &row, rows, count);
    kfl__free(rows);
    return r;
}

/* Fill the slot unless somebody was first; `whole`: what is there to be read only does not do. */
static int recover_make_ready(struct kfl__partition *partition, bool whole)
{
    struct kfl__slot *slot = partition->slot;
    int r = kfl__partition_prepare_lock(partition, -1);
    if (r < 0)
        return r;
    uint32_t ready = atomic_load(&slot->ready);
    if (ready == 0 || (whole && ready != KFL_SLOT_READY))
        r = recover_fill(partition);
    /* Reads are served although the mending failed. */
    if (r < 0 && !whole && atomic_load(&slot->ready) != 0)
        r = 0;
    kfl__partition_prepare_unlock(partition);
    return r;
}

int kfl__partition_ready(struct kfl__partition *partition)
{
    if (KFL_LIKELY(atomic_load_explicit(&partition->slot->ready, memory_order_acquire) != 0))
        return 0;
    return recover_make_ready(partition, false);
}

int kfl__partition_recovered(struct kfl__partition *partition)
{
    if (KFL_LIKELY(atomic_load_explicit(&partition->slot->ready, memory_order_acquire) == KFL_SLOT_READY))
        return 0;
    return recover_make_ready(partition, true);
}

/* ---- the tail of the dead, in the same boot ---- */

/*
 * What is published in this boot and cannot be believed any more is damage and no torn end: the files stay
 * as they are, up to the published place, and whoever reads there is told.
 */
static void recover_keep_damage(struct kfl__mend *mend, uint64_t word, int64_t end)
{
    struct kfl__tail *tail = &mend->tail;
    for (int32_t i = 0; i < mend->row_count; i++) {
        if ((uint32_t)mend->rows[i].segment_id != kfl__word_ordinal(word))
            continue;
        if (!tail->damaged)
            tail->hole_from = tail->end_offset;
        tail->damaged = true;
        tail->hole_to = end;
        tail->end_offset = end;
        tail->last_segment = mend->rows[i].segment_id;
        tail->last_place = kfl__word_place(word);
    }
}

/* What the slot knows of the tail: where it is durable, and where the file that takes appends begins. */
static int recover_begin_mend(struct kfl__mend *mend, struct kfl__segment_row **out_rows)
{
    struct kfl__partition *partition = mend->partition;
    struct kfl__slot *slot = partition->slot;
    struct kfl__partition_row row;
    uint64_t durable;
    kfl__slot_durable(slot, &durable, &mend->tail.durable_offset);
    mend->tail.durable_place = kfl__word_place(durable);
    mend->epoch = atomic_load(&slot->writer_epoch) + 1;
    int r = recover_read_catalog(partition, &row, out_rows, &mend->row_count);
    struct kfl__segment_row *rows = *out_rows;
    for (int32_t i = 0; r == 0 && i < mend->row_count; i++) {
        if ((uint32_t)rows[i].segment_id == kfl__word_ordinal(durable))
            mend->tail.durable_segment = rows[i].segment_id;
        if (rows[i].segment_id == atomic_load(&slot->active.id) && rows[i].base_offset < 0)
            rows[i].base_offset = atomic_load(&slot->active_base_offset);
    }
    mend->rows = rows;
    return r;
}

/* `leave`: the file that takes appends cannot be used any more, whatever can be read of it. */
static int recover_replace(struct kfl__partition *partition, uint64_t word, int64_t end, bool leave)
{
    struct kfl__slot *slot = partition->slot;
    struct kfl__mend mend = {.partition = partition, .end_offset = end};
    struct kfl__segment_row *rows = NULL;
    int r = recover_begin_mend(&mend, &rows);
    if (r == 0)
        r = kfl__tail_walk(partition, rows, mend.row_count, word, &mend.tail);
    if (r == 0 && (leave || mend.tail.damaged || mend.tail.end_offset != end))
        recover_keep_damage(&mend, word, end);
    if (r == 0)
        r = kfl__mend_run(&mend, false);
    if (r == 0)
        r = recover_install(partition, &mend.active, end, kfl__mend_durable_word(&mend), end, mend.epoch);
    if (r == 0) {
        atomic_fetch_add(&slot->durable_seq, 1);
        kfl__wake(&slot->durable_seq, INT32_MAX);
        kfl__notify_raise(partition->core, slot);
        kfl__segments_discard(partition, mend.trash, mend.trash_count);
    }
    kfl__mend_release(&mend);
    kfl__free(rows);
    return r;
}

/* No append and no sync is under way any more, and none will be. */
static KFL_UNCHECKED int recover_stop_others(struct kfl__partition *partition)
{
    struct kfl__slot *slot = partition->slot;
    atomic_store(&slot->suspect, 1);
    int r = kfl__partition_lock(partition, -1);
    if (r < 0)
        return r;
    kfl__partition_unlock(partition);
    r = kfl__lock_answer(partition->core, kfl__robust_lock(&slot->sync, KFL_RANK_SYNC, -1));
    if (r < 0)
        return r;
    if (r == KFL_LOCK_OWNER_DIED)
        kfl__robust_mended(&slot->sync);
    kfl__robust_unlock(&slot->sync, KFL_RANK_SYNC);
    return 0;
}

/* Holding the prepare lock. */
static int recover_take_over(struct kfl__partition *partition)
{
    struct kfl__slot *slot = partition->slot;
    uint32_t life = atomic_load(&partition->core->shared->life);
    uint64_t word;
    int64_t end;
    if (atomic_load(&slot->suspect) == 0 && atomic_load(&slot->life) == life)
        return 0; /* somebody else was first */
    if (atomic_load(&slot->failed) != 0 && atomic_load(&slot->life) == life)
        return kfl__sync_fail_again(partition); /* while those live who may have built on it */
    int r = recover_stop_others(partition);
    if (r < 0)
        return r;
    kfl__partition_tail(partition, &word, &end);
    if (end != atomic_load(&slot->durable_offset))
        return recover_replace(partition, word, end, false);
    /* A leader may have died between its last word and taking back its note. */
    atomic_store(&slot->sync_target, -1);
    atomic_store(&slot->failed, 0);
    atomic_store(&slot->life, life);
    atomic_store(&slot->suspect, 0);
    return 0;
}

int kfl__partition_replace_tail(struct kfl__partition *partition)
{
    int r = kfl__partition_recovered(partition);
    if (r < 0)
        return r;
    r = kfl__partition_prepare_lock(partition, -1);
    if (r < 0)
        return r;
    r = recover_take_over(partition);
    kfl__partition_prepare_unlock(partition);
    return r;
}

int kfl__partition_leave_file(struct kfl__partition *partition, int64_t segment_id)
{
    struct kfl__slot *slot = partition->slot;
    uint64_t word;
    int64_t end;
    int r = kfl__partition_prepare_lock(partition, -1);
    if (r < 0)
        return r;
    if (atomic_load(&slot->active.id) == segment_id) {
        r = recover_stop_others(partition);
        if (r == 0) {
            kfl__partition_tail(partition, &word, &end);
            r = recover_replace(partition, word, end, true);
        }
    }
    kfl__partition_prepare_unlock(partition);
    return r;
}

/* ---- pieces of another life ---- */

/* Holding the prepare lock; nothing is appended meanwhile. */
static int recover_adopt(struct kfl__partition *partition, struct kfl__tail *pieces, int64_t end_offset, const char *story)
{
    struct kfl__mend mend = {.partition = partition, .end_offset = end_offset, .story = story};
    struct kfl__segment_row *rows = NULL;
    int r = recover_begin_mend(&mend, &rows);
    mend.tail.pieces = pieces->pieces;
    mend.tail.piece_count = pieces->piece_count;
    mend.tail.piece_room = pieces->piece_room;
    mend.tail.bytes = pieces->bytes;
    mend.tail.last_segment = mend.tail.durable_segment;
    mend.tail.last_place = mend.tail.durable_place;
    *pieces = (struct kfl__tail){0};
    if (r == 0)
        r = kfl__mend_run(&mend, false);
    if (r == 0)
        r = recover_install(partition, &mend.active, end_offset, kfl__mend_durable_word(&mend), end_offset, mend.epoch);
    if (r == 0)
        kfl__segments_discard(partition, mend.trash, mend.trash_count);
    kfl__mend_release(&mend);
    kfl__free(rows);
    return r;
}

int kfl__partition_adopt(struct kfl__partition *partition, struct kfl__tail *pieces, int64_t end_offset, const char *story)
{
    int r = kfl__partition_recovered(partition);
    if (r == 0)
        r = kfl__partition_prepare_lock(partition, -1);
    if (r < 0)
        return r;
    r = recover_adopt(partition, pieces, end_offset, story);
    kfl__partition_prepare_unlock(partition);
    return r;
}
