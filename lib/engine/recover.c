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

#include <stdio.h>
#include <string.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/process.h"
#include "base/wait.h"
#include "catalog/history.h"
#include "engine/copy.h"
#include "engine/notify.h"
#include "engine/segments.h"
#include "engine/sync.h"
#include "engine/topics.h"

/* What the appenders need to know of the file that takes appends; id 0: none. */
struct recover_active {
    int64_t id, size, base_offset, first_timestamp_ms, max_timestamp_ms, records;
    uint64_t seed, place, time_place;
    uint32_t batches, times;
};

/* A tail on its way to being mended. */
struct recover_mend {
    struct kfl__partition *partition;
    struct kfl__segment_row *rows; /* those that may take part */
    int32_t row_count;
    struct kfl__tail tail;
    struct kfl__copy copy;
    bool copied;
    bool keep_last; /* the last file stays active as it is */
    struct recover_active active;
    int64_t end_offset; /* of the partition from now on */
    uint32_t epoch;
    const char *text; /* for the history; NULL: nothing worth a line */
    int64_t *trash;   /* room for each row */
    int32_t trash_count;
};

static void recover_release(struct recover_mend *mend)
{
    kfl__copy_release(&mend->copy);
    kfl__tail_release(&mend->tail);
    kfl__free(mend->trash);
}

static const struct kfl__segment_row *recover_row(const struct kfl__segment_row *rows, int32_t count, int64_t id)
{
    for (int32_t i = 0; i < count; i++)
        if (rows[i].segment_id == id)
            return &rows[i];
    return NULL;
}

/* ---- the one transaction that makes it so ---- */

/* What becomes of one listed file. */
static int recover_settle_row(struct kfl__catalog_txn *txn, struct recover_mend *mend, const struct kfl__segment_row *listed)
{
    const struct kfl__tail *tail = &mend->tail;
    struct kfl__partition *partition = mend->partition;
    struct kfl__segment_row row = *listed;
    bool durable_file = row.segment_id == tail->durable_segment;
    if (row.state == KFL_SEGMENT_ROW_SEALED)
        return 0;
    if (row.state == KFL_SEGMENT_ROW_LIVE && row.segment_id < tail->durable_segment)
        return 0; /* full and durable; its row is completed by the seal */
    if (mend->keep_last && row.segment_id == tail->last_segment) {
        row.state = KFL_SEGMENT_ROW_LIVE;
        return kfl__segments_put(txn, partition->topic->id, partition->number, &row);
    }
    if (tail->damaged && row.segment_id <= tail->last_segment && row.segment_id >= tail->durable_segment) {
        /* Damage stays where it is, to be told to whoever reads there. */
        row.state = row.segment_id == tail->last_segment ? KFL_SEGMENT_ROW_SEALED : KFL_SEGMENT_ROW_LIVE;
        if (row.segment_id == tail->last_segment) {
            row.end_offset = tail->end_offset;
            row.used = (int64_t)tail->last_place;
        }
        return kfl__segments_put(txn, partition->topic->id, partition->number, &row);
    }
    if (durable_file && tail->durable_place > KFL_SEGMENT_FIRST_PLACE && row.base_offset >= 0) {
        row.state = KFL_SEGMENT_ROW_SEALED;
        row.end_offset = tail->durable_offset;
        row.used = (int64_t)tail->durable_place;
        return kfl__segments_put(txn, partition->topic->id, partition->number, &row);
    }
    row.state = KFL_SEGMENT_ROW_TRASH;
    mend->trash[mend->trash_count++] = row.segment_id;
    return kfl__segments_put(txn, partition->topic->id, partition->number, &row);
}

static int recover_add_history(struct kfl__catalog_txn *txn, const struct recover_mend *mend)
{
    struct kfl__core *core = mend->partition->core;
    struct kfl__history_row row = {
        .time_ms = kfl__clock_wall_ms(&core->clock),
        .process_id = core->presence.pid,
        .kind = KFL_HISTORY_RECOVERY,
        .partition = mend->partition->number,
    };
    snprintf(row.topic, sizeof row.topic, "%s", mend->partition->topic->name);
    snprintf(row.text, sizeof row.text, "%s", mend->text);
    kfl__process_name(core->presence.pid, row.program);
    return kfl__history_add(txn, &row);
}

static int recover_run_commit(struct kfl__catalog_txn *txn, void *context)
{
    struct recover_mend *mend = context;
    struct kfl__partition *partition = mend->partition;
    const struct kfl__tail *tail = &mend->tail;
    struct kfl__partition_row row;
    mend->trash_count = 0;
    int r = kfl__partition_get(txn, partition->topic->id, partition->number, &row);
    for (int32_t i = 0; r == 0 && i < mend->row_count; i++)
        r = recover_settle_row(txn, mend, &mend->rows[i]);
    if (r < 0)
        return r;
    row.durable_segment = tail->damaged || mend->keep_last ? tail->last_segment : tail->durable_segment;
    row.durable_place = (int64_t)(tail->damaged || mend->keep_last ? tail->last_place : tail->durable_place);
    if (mend->copied) {
        struct kfl__segment_row made = mend->copy.row;
        made.state = KFL_SEGMENT_ROW_LIVE;
        made.base_offset = mend->copy.first_offset;
        r = kfl__segments_put(txn, partition->topic->id, partition->number, &made);
        if (r < 0)
            return r;
        row.durable_segment = made.segment_id;
        row.durable_place = (int64_t)mend->copy.place;
    }
    row.durable_offset = mend->end_offset;
    if (row.offset_floor < mend->end_offset)
        row.offset_floor = mend->end_offset;
    if (row.writer_epoch < mend->epoch)
        row.writer_epoch = mend->epoch;
    row.flags &= ~(KFL_PARTITION_CLEAN | KFL_PARTITION_FAILED);
    r = kfl__partition_put(txn, partition->topic->id, partition->number, &row);
    return r == 0 && mend->text != NULL ? recover_add_history(txn, mend) : r;
}

/* ---- the slot's words ---- */

/* Whoever reads looks at the word, then at the version: it has to be another before the word is. */
static int recover_install(struct kfl__partition *partition, const struct recover_active *active, int64_t end_offset,
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

static void recover_active_of_copy(const struct kfl__copy *copy, struct recover_active *active)
{
    *active = (struct recover_active){
        .id = copy->row.segment_id,
        .size = copy->row.size,
        .seed = copy->row.seed,
        .base_offset = copy->first_offset,
        .first_timestamp_ms = copy->first_timestamp_ms,
        .max_timestamp_ms = copy->max_timestamp_ms,
        .records = copy->records,
        .place = copy->place,
        .batches = copy->batches,
        .times = copy->times,
        .time_place = copy->time_place,
    };
}

/* Look at a file's batches up to `place`; lay its signposts anew where they do not lead there. */
static int recover_count_batches(struct kfl__segment *segment, uint64_t place, uint64_t interval, struct recover_active *active)
{
    struct kfl__batch_header header;
    uint64_t bad_from, bad_to, at = KFL_SEGMENT_FIRST_PLACE;
    int r = kfl__segment_touch(segment, at, place, &bad_from, &bad_to);
    while (r == 0 && at < place && kfl__batch_peek(segment->bytes, at, place, &header) == 0) {
        if (segment->offsets.writable && active->batches < kfl__index_offsets_capacity(&segment->offsets) &&
            kfl__index_place(&segment->offsets, active->batches) != at)
            kfl__index_note(&segment->offsets, active->batches, at);
        if (at - active->time_place >= interval && active->times < kfl__index_times_capacity(&segment->times)) {
            if (segment->times.writable)
                kfl__index_note_time(&segment->times, active->times, active->max_timestamp_ms, at, segment->seed);
            active->times++;
            active->time_place = at;
        }
        if (at == KFL_SEGMENT_FIRST_PLACE)
            active->first_timestamp_ms = header.max_timestamp_ms;
        if (header.max_timestamp_ms > active->max_timestamp_ms)
            active->max_timestamp_ms = header.max_timestamp_ms;
        active->records += header.record_count;
        active->batches++;
        at = kfl__batch_next_place(at, &header);
    }
    return r < 0 ? r : 0;
}

/* A file that stays active although others wrote it. */
static int recover_active_of_file(struct kfl__partition *partition, const struct kfl__segment_row *row, uint64_t place,
                                  enum kfl__segment_access access, struct recover_active *out_active)
{
    struct kfl__segment_expect expect = {partition->core->store_id, partition->topic->id, (uint32_t)partition->number};
    const struct kfl__settings *settings = kfl__topic_shape(partition->topic)->settings;
    struct kfl__segment *segment = NULL;
    int directory = -1;
    int r = kfl__partition_directory(partition, false, &directory);
    if (r == 0) {
        r = kfl__segment_open(directory, row->segment_id, &expect, access, &segment);
        kfl__file_close(directory);
    }
    if (r != 0)
        return r < 0 ? r : kfl__fail(KFL_E_CORRUPT, "segment %lld of %s/%d is missing", (long long)row->segment_id,
                                     partition->topic->name, partition->number);
    struct recover_active active = {
        .id = row->segment_id,
        .size = (int64_t)segment->size,
        .seed = segment->seed,
        .base_offset = row->base_offset,
        .first_timestamp_ms = -1,
        .max_timestamp_ms = -1,
        .place = place,
        .time_place = KFL_SEGMENT_FIRST_PLACE,
    };
    r = recover_count_batches(segment, place, (uint64_t)settings->index_interval_bytes, &active);
    kfl__segment_release(segment);
    if (r == 0)
        *out_active = active;
    return r;
}

/* ---- mending ---- */

static void recover_tell(const struct recover_mend *mend, int64_t took_ns, char *text, size_t text_size)
{
    const struct kfl__tail *tail = &mend->tail;
    int64_t ms = took_ns / 1000000;
    if (tail->damaged)
        snprintf(text, text_size, "damage: the records %lld..%lld cannot be read; goes on at %lld (%lld ms)",
                 (long long)tail->hole_from, (long long)tail->hole_to - 1, (long long)mend->end_offset, (long long)ms);
    else if (tail->cut_bytes > 0)
        snprintf(text, text_size, "cut %lld torn bytes behind offset %lld; kept %lld bytes not yet synced; goes on at %lld (%lld ms)",
                 (long long)tail->cut_bytes, (long long)tail->end_offset, (long long)tail->bytes,
                 (long long)mend->end_offset, (long long)ms);
    else
        snprintf(text, text_size, "kept %lld bytes not yet synced, up to offset %lld; goes on at %lld (%lld ms)",
                 (long long)tail->bytes, (long long)tail->end_offset, (long long)mend->end_offset, (long long)ms);
}

/* Files that stay although they are damaged: where does each begin? */
static int recover_know_bases(struct recover_mend *mend)
{
    for (int32_t i = 0; i < mend->row_count; i++) {
        struct kfl__segment_row *row = &mend->rows[i];
        if (row->base_offset >= 0 || row->segment_id < mend->tail.durable_segment || row->segment_id > mend->tail.last_segment)
            continue;
        row->base_offset = mend->tail.hole_from; /* where nothing in it can be believed */
        int r = kfl__tail_find_base(mend->partition, row->segment_id, (uint64_t)row->size, &row->base_offset);
        if (r < 0)
            return r;
    }
    return 0;
}

/*
 * The tail was walked: copy what is not durable, or keep the last file where nothing lies behind its durable
 * place, and make it true in the catalog. The slot's words are the caller's affair.
 */
static int recover_mend(struct recover_mend *mend, bool may_keep)
{
    struct kfl__partition *partition = mend->partition;
    const struct kfl__tail *tail = &mend->tail;
    const struct kfl__segment_row *last = recover_row(mend->rows, mend->row_count, tail->last_segment);
    bool nothing = tail->bytes == 0 && !tail->damaged && !tail->anything_behind && !tail->last_is_full;
    char text[256];
    int64_t began = kfl__clock_steady_ns();
    int r = 0;
    mend->active = (struct recover_active){.first_timestamp_ms = -1, .max_timestamp_ms = -1};
    mend->trash = kfl__alloc_array((size_t)mend->row_count + 1, sizeof *mend->trash);
    if (mend->trash == NULL)
        return kfl__fail(KFL_E_NOMEM, "partition %s/%d: out of memory", partition->topic->name, partition->number);
    if (tail->damaged) {
        r = recover_know_bases(mend);
    } else if (nothing && may_keep && last != NULL && last->base_offset >= 0 && last->state != KFL_SEGMENT_ROW_SEALED) {
        r = recover_active_of_file(partition, last, tail->last_place, KFL_SEGMENT_WRITE_BY_FILE, &mend->active);
        mend->keep_last = r == 0;
        if (r == KFL_E_CORRUPT || r == KFL_E_VERSION)
            r = 0; /* it is told to whoever reads there; appends go on in a new file */
    } else if (tail->bytes > 0) {
        r = kfl__copy_make(partition, tail, mend->epoch, &mend->copy);
        mend->copied = r == 0;
        if (r == 0)
            recover_active_of_copy(&mend->copy, &mend->active);
    }
    if (r < 0)
        return r;
    if (!nothing || !mend->keep_last) {
        recover_tell(mend, kfl__clock_steady_ns() - began, text, sizeof text);
        mend->text = text;
    }
    KFL_STEP("recover.before_commit");
    r = kfl__catalog_change_run(partition->core->catalog, recover_run_commit, mend);
    mend->text = NULL;
    KFL_STEP("recover.committed");
    if (r < 0 && mend->copied)
        kfl__copy_discard(partition, &mend->copy);
    return r;
}

/* Where the tail ends when it was mended: the new file, or the old one's last believable place. */
static uint64_t recover_durable_word(const struct recover_mend *mend)
{
    if (mend->active.id != 0)
        return kfl__word(mend->active.id, mend->active.place);
    return mend->tail.last_segment == 0 ? 0 : kfl__word(mend->tail.last_segment, mend->tail.last_place);
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
    struct recover_active active = {.first_timestamp_ms = -1, .max_timestamp_ms = -1};
    const struct kfl__segment_row *last = recover_row(rows, count, row->durable_segment);
    enum kfl__segment_access access = partition->core->read_only ? KFL_SEGMENT_READ : KFL_SEGMENT_WRITE_BY_FILE;
    int r = 0;
    if (last != NULL && last->state == KFL_SEGMENT_ROW_LIVE)
        r = recover_active_of_file(partition, last, (uint64_t)row->durable_place, access, &active);
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
static int recover_show(const struct recover_mend *mend, const struct kfl__partition_row *row)
{
    struct kfl__partition *partition = mend->partition;
    const struct kfl__tail *tail = &mend->tail;
    struct recover_active active = {.first_timestamp_ms = -1, .max_timestamp_ms = -1};
    const struct kfl__segment_row *last = recover_row(mend->rows, mend->row_count, tail->last_segment);
    int r = 0;
    if (last != NULL && last->state != KFL_SEGMENT_ROW_SEALED) {
        struct kfl__segment_row shown = *last;
        if (shown.base_offset < 0)
            r = kfl__tail_find_base(partition, shown.segment_id, tail->last_place, &shown.base_offset);
        if (r >= 0 && shown.base_offset >= 0)
            r = recover_active_of_file(partition, &shown, tail->last_place, KFL_SEGMENT_READ, &active);
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
    struct recover_mend mend = {
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
    r = recover_mend(&mend, true);
    if (r < 0) {
        struct kfl__words words;
        kfl__error_save(&words);
        if (atomic_load(&partition->slot->ready) == 0)
            (void)recover_show(&mend, row);
        kfl__error_restore(&words);
        goto out;
    }
    r = recover_install(partition, &mend.active, mend.end_offset, recover_durable_word(&mend), mend.end_offset, mend.epoch);
    if (r == 0)
        recover_finish_fill(partition, row, mend.end_offset, KFL_SLOT_READY);
    kfl__segments_discard(partition, mend.trash, mend.trash_count);
out:
    recover_release(&mend);
    return r;
}

/* The file that was durable in part may not be listed with its beginning yet: its first batch tells. */
static int recover_know_base(struct kfl__partition *partition, const struct kfl__partition_row *row,
                             struct kfl__segment_row *rows, int32_t count)
{
    int64_t behind = row->start_offset;
    for (int32_t i = 0; i < count; i++) {
        if (rows[i].segment_id == row->durable_segment && rows[i].base_offset < 0) {
            int r = kfl__tail_find_base(partition, rows[i].segment_id, (uint64_t)row->durable_place, &rows[i].base_offset);
            if (r < 0)
                return r;
            /* Nothing in it can be believed: it is told as a hole behind what is listed with its end. */
            if (r == 0 && row->durable_offset > behind)
                rows[i].base_offset = behind;
        }
        if (rows[i].end_offset > behind)
            behind = rows[i].end_offset;
    }
    return 0;
}

/* Holding the prepare lock. */
static int recover_fill(struct kfl__partition *partition)
{
    struct kfl__partition_row row;
    struct kfl__segment_row *rows = NULL;
    int32_t count = 0;
    int r = recover_read_catalog(partition, &row, &rows, &count);
    if (r == 0)
        r = recover_know_base(partition, &row, rows, count);
    if (r == 0)
        r = (row.flags & KFL_PARTITION_CLEAN) != 0 || count == 0 ? recover_fill_clean(partition, &row, rows, count)
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

/* What is published and cannot be believed any more is cut: its numbers are not given again. */
static int recover_replace(struct kfl__partition *partition, uint64_t word, int64_t end)
{
    struct kfl__slot *slot = partition->slot;
    struct recover_mend mend = {.partition = partition, .end_offset = end};
    struct kfl__partition_row row;
    struct kfl__segment_row *rows = NULL;
    int32_t count = 0;
    uint64_t durable;

    kfl__slot_durable(slot, &durable, &mend.tail.durable_offset);
    mend.tail.durable_place = kfl__word_place(durable);
    int r = recover_read_catalog(partition, &row, &rows, &count);
    for (int32_t i = 0; r == 0 && i < count; i++) {
        if ((uint32_t)rows[i].segment_id == kfl__word_ordinal(durable))
            mend.tail.durable_segment = rows[i].segment_id;
        if (rows[i].segment_id == atomic_load(&slot->active.id) && rows[i].base_offset < 0)
            rows[i].base_offset = atomic_load(&slot->active_base_offset);
    }
    mend.rows = rows;
    mend.row_count = count;
    mend.epoch = atomic_load(&slot->writer_epoch) + 1;
    if (r == 0)
        r = kfl__tail_walk(partition, rows, count, word, &mend.tail);
    if (r == 0)
        r = recover_mend(&mend, false);
    if (r == 0)
        r = recover_install(partition, &mend.active, end, recover_durable_word(&mend), end, mend.epoch);
    if (r == 0) {
        atomic_fetch_add(&slot->durable_seq, 1);
        kfl__wake(&slot->durable_seq, INT32_MAX);
        kfl__notify_raise(partition->core, slot);
        kfl__segments_discard(partition, mend.trash, mend.trash_count);
    }
    recover_release(&mend);
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
    r = kfl__robust_lock(&slot->sync, KFL_RANK_SYNC, -1);
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
        return recover_replace(partition, word, end);
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
