/* SPDX-License-Identifier: MIT */
/*
 * Mending a tail.
 *
 * What can be believed behind the durable place is copied into a new file, or nothing lies there and the
 * file stays as it is; then one catalog transaction says what each listed file is from now on. Damage is
 * left where it lies, to be told to whoever reads there. Killed before the transaction, nothing has
 * happened; behind it, what is left to do is to throw files away.
 */
#include "engine/mend.h"

#include <errno.h>
#include <stdio.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/process.h"
#include "catalog/history.h"
#include "engine/segments.h"
#include "engine/topics.h"

void kfl__mend_release(struct kfl__mend *mend)
{
    kfl__copy_release(&mend->copy);
    kfl__tail_release(&mend->tail);
    kfl__free(mend->trash);
}

const struct kfl__segment_row *kfl__segment_row_find(const struct kfl__segment_row *rows, int32_t count, int64_t id)
{
    for (int32_t i = 0; i < count; i++)
        if (rows[i].segment_id == id)
            return &rows[i];
    return NULL;
}

/* ---- the one transaction that makes it so ---- */

/* What becomes of one listed file. */
static int mend_settle_row(struct kfl__catalog_txn *txn, struct kfl__mend *mend, const struct kfl__segment_row *listed)
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

static int mend_add_history(struct kfl__catalog_txn *txn, const struct kfl__mend *mend)
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

static int mend_run_commit(struct kfl__catalog_txn *txn, void *context)
{
    struct kfl__mend *mend = context;
    struct kfl__partition *partition = mend->partition;
    const struct kfl__tail *tail = &mend->tail;
    struct kfl__partition_row row;
    mend->trash_count = 0;
    int r = kfl__partition_get(txn, partition->topic->id, partition->number, &row);
    for (int32_t i = 0; r == 0 && i < mend->row_count; i++)
        r = mend_settle_row(txn, mend, &mend->rows[i]);
    if (r < 0)
        return r;
    row.durable_segment = tail->damaged || mend->keep_last ? tail->last_segment : tail->durable_segment;
    row.durable_place = (int64_t)(tail->damaged || mend->keep_last ? tail->last_place : tail->durable_place);
    for (int32_t i = 0; r == 0 && mend->copied && i < mend->copy.full_count; i++)
        r = kfl__segments_put(txn, partition->topic->id, partition->number, &mend->copy.full[i]);
    if (r < 0)
        return r;
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
    return r == 0 && mend->text != NULL ? mend_add_history(txn, mend) : r;
}

/* ---- the file that takes appends ---- */

static void mend_active_of_copy(const struct kfl__copy *copy, struct kfl__active *active)
{
    *active = (struct kfl__active){
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
static int mend_count_batches(struct kfl__segment *segment, uint64_t place, uint64_t interval, struct kfl__active *active)
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

int kfl__active_of_file(struct kfl__partition *partition, const struct kfl__segment_row *row, uint64_t place,
                        enum kfl__segment_access access, struct kfl__active *out_active)
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
    struct kfl__active active = {
        .id = row->segment_id,
        .size = (int64_t)segment->size,
        .seed = segment->seed,
        .base_offset = row->base_offset,
        .first_timestamp_ms = -1,
        .max_timestamp_ms = -1,
        .place = place,
        .time_place = KFL_SEGMENT_FIRST_PLACE,
    };
    r = mend_count_batches(segment, place, (uint64_t)settings->index_interval_bytes, &active);
    kfl__segment_release(segment);
    if (r == 0)
        *out_active = active;
    return r;
}

/* ---- mending ---- */

static void mend_tell(const struct kfl__mend *mend, int64_t took_ns, char *text, size_t text_size)
{
    const struct kfl__tail *tail = &mend->tail;
    int64_t ms = took_ns / 1000000;
    if (tail->damaged && tail->hole_to <= tail->hole_from)
        snprintf(text, text_size, "damage: segment %lld takes no more appends; goes on at %lld (%lld ms)",
                 (long long)tail->last_segment, (long long)mend->end_offset, (long long)ms);
    else if (tail->damaged)
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
static int mend_know_bases(struct kfl__mend *mend)
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

/* They stay, so what can be read of them has to lie on the disk before the catalog says so. */
static int mend_sync_damaged(const struct kfl__mend *mend)
{
    struct kfl__partition *partition = mend->partition;
    struct kfl__segment_expect expect = {partition->core->store_id, partition->topic->id, (uint32_t)partition->number};
    int directory = -1;
    int r = kfl__partition_directory(partition, false, &directory);
    if (r != 0)
        return r < 0 && r != KFL_E_CORRUPT ? r : 0;
    for (int32_t i = 0; r >= 0 && i < mend->row_count; i++) {
        const struct kfl__segment_row *row = &mend->rows[i];
        struct kfl__segment *segment = NULL;
        if (row->segment_id < mend->tail.durable_segment || row->segment_id > mend->tail.last_segment)
            continue;
        r = kfl__segment_open(directory, row->segment_id, &expect, KFL_SEGMENT_WRITE_BY_FILE, &segment);
        if (r == 0)
            r = kfl__segment_sync(segment);
        else if (r == KFL_E_CORRUPT || r == KFL_E_VERSION)
            r = 0;
        kfl__segment_release(segment);
    }
    kfl__file_close(directory);
    return r < 0 ? r : 0;
}

/* The tail cannot be copied: who appends is told what for there has to be room, and how much (R23). */
static int mend_tell_no_space(const struct kfl__mend *mend)
{
    const struct kfl__partition *partition = mend->partition;
    const struct kfl__tail *tail = &mend->tail;
    int errnum = kfl_last_error_errno();
    kfl__fail_errno(KFL_E_NO_SPACE, errnum != 0 ? errnum : ENOSPC,
                    "partition %s/%d: nobody who lives knows whether the records at offsets %lld to %lld have reached the disk, "
                    "so they are copied before anything is appended behind them: that takes %lld bytes, and %lld are free: "
                    "make room, and appends go on, until then everything can be read (%s)",
                    partition->topic->name, partition->number, (long long)tail->durable_offset,
                    (long long)tail->end_offset - 1, (long long)kfl__copy_room(partition, tail->bytes),
                    (long long)kfl__segments_free_bytes(partition->core), partition->core->path);
    kfl__fail_in(KFL_E_NO_SPACE, partition->core->path);
    return kfl__fail_at(KFL_E_NO_SPACE, partition->topic->name, partition->number, tail->durable_offset);
}

int kfl__mend_run(struct kfl__mend *mend, bool may_keep)
{
    struct kfl__partition *partition = mend->partition;
    const struct kfl__tail *tail = &mend->tail;
    const struct kfl__segment_row *last = kfl__segment_row_find(mend->rows, mend->row_count, tail->last_segment);
    bool nothing = tail->bytes == 0 && !tail->damaged && !tail->anything_behind && !tail->last_is_full;
    char text[256];
    int64_t began = kfl__clock_steady_ns();
    int r = 0;
    mend->active = (struct kfl__active){.first_timestamp_ms = -1, .max_timestamp_ms = -1};
    mend->trash = kfl__alloc_array((size_t)mend->row_count + 1, sizeof *mend->trash);
    if (mend->trash == NULL)
        return kfl__fail(KFL_E_NOMEM, "partition %s/%d: out of memory", partition->topic->name, partition->number);
    if (tail->damaged) {
        r = mend_know_bases(mend);
        if (r == 0)
            r = mend_sync_damaged(mend);
    } else if (nothing && may_keep && last != NULL && last->base_offset >= 0 && last->state != KFL_SEGMENT_ROW_SEALED) {
        r = kfl__active_of_file(partition, last, tail->last_place, KFL_SEGMENT_WRITE_BY_FILE, &mend->active);
        mend->keep_last = r == 0;
        if (r == KFL_E_CORRUPT || r == KFL_E_VERSION)
            r = 0; /* it is told to whoever reads there; appends go on in a new file */
    } else if (tail->bytes > 0) {
        r = kfl__copy_make(partition, tail, mend->epoch, &mend->copy);
        mend->copied = r == 0;
        if (r == 0)
            mend_active_of_copy(&mend->copy, &mend->active);
        else if (r == KFL_E_NO_SPACE && mend->story == NULL)
            r = mend_tell_no_space(mend);
    }
    if (r < 0)
        return r;
    if (!nothing || !mend->keep_last) {
        mend_tell(mend, kfl__clock_steady_ns() - began, text, sizeof text);
        mend->text = mend->story != NULL ? mend->story : text;
    }
    KFL_STEP("recover.before_commit");
    r = kfl__catalog_change_run(partition->core->catalog, mend_run_commit, mend);
    mend->text = NULL;
    KFL_STEP("recover.committed");
    if (r < 0 && mend->copied)
        kfl__copy_discard(partition, &mend->copy);
    return r;
}

uint64_t kfl__mend_durable_word(const struct kfl__mend *mend)
{
    if (mend->active.id != 0)
        return kfl__word(mend->active.id, mend->active.place);
    return mend->tail.last_segment == 0 ? 0 : kfl__word(mend->tail.last_segment, mend->tail.last_place);
}
