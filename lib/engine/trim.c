/* SPDX-License-Identifier: MIT */
/*
 * Manifest rows of full segments, and prefix deletion.
 *
 * A row says that a segment is complete only after a sync brought it down (R8). A deletion is true once the
 * catalog has the new start offset; the slot's word, the list and the files follow. What a killed deleter
 * leaves of that the helper of whoever lives brings along, and the next open sweeps the files (R27).
 */
#include "base/bytes.h"
#include "base/fault.h"
#include "base/file.h"
#include "engine/hold.h"
#include "engine/notify.h"
#include "engine/segments.h"
#include "engine/sync.h"
#include "engine/topics.h"
#include "format/names.h"
#include "log/walk.h"

/* ---- where the records begin ---- */

int64_t kfl__partition_start(struct kfl__partition *partition)
{
    if (!partition->core->read_only)
        kfl__segments_look_after(partition);
    return atomic_load_explicit(&partition->slot->start_offset, memory_order_acquire);
}

/* ---- prefix deletion ---- */

#define TRIM_FILES 256
#define TRIM_WAIT_MS 1000
struct trim_delete {
    struct kfl__partition *partition;
    int64_t start_offset;
    bool held; /* only what all groups have committed (R9) */
    int64_t active;
    const struct kfl__segment_row *rows;
    int32_t row_count;
    int32_t count;
    int64_t ids[TRIM_FILES];
};

/* Does all of the i-th file (in offset order) lie below the new start? The one that takes appends stays. */
static bool trim_lies_below(const struct trim_delete *delete, int32_t i)
{
    const struct kfl__segment_row *row = &delete->rows[i];
    if (row->segment_id == delete->active || row->base_offset < 0)
        return false;
    if (row->end_offset >= 0)
        return row->end_offset <= delete->start_offset;
    int64_t next = INT64_MAX;
    for (int32_t n = 0; n < delete->row_count; n++)
        if (delete->rows[n].base_offset > row->base_offset && delete->rows[n].base_offset < next)
            next = delete->rows[n].base_offset;
    return next <= delete->start_offset;
}

static int trim_put_start(struct kfl__catalog_txn *txn, void *context)
{
    struct trim_delete *delete = context;
    struct kfl__partition *partition = delete->partition;
    struct kfl__partition_row row;
    int r = kfl__partition_get(txn, partition->topic->id, partition->number, &row);
    struct kfl__hold hold = {.offset = INT64_MAX};
    if (r == 0 && delete->held)
        r = kfl__hold_get(txn, partition, &hold);
    if (r < 0)
        return r;
    if (hold.offset < delete->start_offset)
        return KFL_PARTITION_HELD;
    if (row.start_offset > delete->start_offset)
        delete->start_offset = row.start_offset;
    row.start_offset = delete->start_offset;
    return kfl__partition_put(txn, partition->topic->id, partition->number, &row);
}

/* The new start, true from here on; before any file goes, so that no reader takes what is gone for a gap in the numbers. */
static int trim_move_start(struct trim_delete *delete)
{
    struct kfl__partition *partition = delete->partition;
    struct kfl__slot *slot = partition->slot;
    int r = kfl__catalog_change_run(partition->core->catalog, trim_put_start, delete);
    KFL_STEP("trim.started");
    if (r == 0)
        r = kfl__partition_lock(partition, -1);
    if (r != 0)
        return r;
    if (atomic_load(&slot->start_offset) < delete->start_offset)
        atomic_store_explicit(&slot->start_offset, delete->start_offset, memory_order_release);
    kfl__partition_unlock(partition);
    kfl__notify_raise(partition->core, slot);
    return 0;
}

static int trim_put_trash(struct kfl__catalog_txn *txn, void *context)
{
    struct trim_delete *delete = context;
    struct kfl__partition *partition = delete->partition;
    int r = 0;
    delete->count = 0;
    for (int32_t i = 0; r == 0 && i < delete->row_count && delete->count < TRIM_FILES; i++) {
        if (!trim_lies_below(delete, i))
            continue;
        struct kfl__segment_row gone = delete->rows[i];
        gone.state = KFL_SEGMENT_ROW_TRASH;
        r = kfl__segments_put(txn, partition->topic->id, partition->number, &gone);
        delete->ids[delete->count++] = gone.segment_id;
    }
    return r;
}

/* One transaction's worth of files: off the list, then off the disk. */
static int trim_files(struct trim_delete *delete)
{
    struct kfl__partition *partition = delete->partition;
    int r = kfl__catalog_change_run(partition->core->catalog, trim_put_trash, delete);
    if (r < 0 || delete->count == 0)
        return r;
    KFL_STEP("trim.committed");
    kfl__partition_yield_files(partition, delete->ids, delete->count);
    r = kfl__partition_lock(partition, -1);
    if (r < 0)
        return r;
    atomic_fetch_add(&partition->slot->manifest_version, 1);
    kfl__partition_unlock(partition);
    kfl__segments_discard(partition, delete->ids, delete->count);
    return 0;
}

/* The list as it is now; the file that takes appends with its beginning. Owned: kfl__free(*out_rows). */
static int trim_read_rows(struct trim_delete *delete, struct kfl__segment_row **out_rows)
{
    int64_t base;
    kfl__partition_active(delete->partition, &delete->active, &base);
    int r = kfl__segments_rows(delete->partition, out_rows, &delete->row_count);
    for (int32_t i = 0; r == 0 && i < delete->row_count; i++)
        if ((*out_rows)[i].segment_id == delete->active && (*out_rows)[i].base_offset < 0)
            (*out_rows)[i].base_offset = base;
    delete->rows = *out_rows;
    return r;
}

/* Holding the prepare lock, the start being true: every file that lies below it. */
static int trim_files_below(struct trim_delete *delete)
{
    int r;
    do {
        struct kfl__segment_row *rows = NULL;
        r = trim_read_rows(delete, &rows);
        if (r == 0)
            r = trim_files(delete);
        kfl__free(rows);
    } while (r == 0 && delete->count == TRIM_FILES);
    return r;
}

/* Holding the prepare lock. */
static int trim_delete(struct kfl__partition *partition, int64_t before_offset, bool held, int64_t *out_start_offset)
{
    struct trim_delete delete = {.partition = partition, .start_offset = before_offset, .held = held};
    int r = trim_move_start(&delete);
    if (r != 0)
        return r;
    *out_start_offset = delete.start_offset;
    return trim_files_below(&delete);
}

int kfl__partition_drop_files(struct kfl__partition *partition)
{
    struct trim_delete delete = {.partition = partition,
                                 .start_offset = atomic_load(&partition->slot->start_offset)};
    struct kfl__segment_row *rows = NULL;
    bool any = false;
    int r = trim_read_rows(&delete, &rows);
    for (int32_t i = 0; r == 0 && i < delete.row_count && !any; i++)
        any = trim_lies_below(&delete, i);
    kfl__free(rows);
    if (r < 0 || !any)
        return r;
    r = kfl__partition_prepare_lock(partition, kfl__clock_deadline_ns(TRIM_WAIT_MS));
    if (r < 0)
        return r;
    r = trim_files_below(&delete);
    kfl__partition_prepare_unlock(partition);
    return r;
}

static int trim_up_to(struct kfl__partition *partition, int64_t before_offset, bool held, int64_t *out_start_offset)
{
    struct kfl__slot *slot = partition->slot;
    int64_t end = kfl__slot_end(slot);
    if (before_offset == KFL_OFFSET_END)
        before_offset = end;
    if (before_offset < 0)
        return kfl__fail(KFL_E_INVALID, "partition %s/%d: %lld is no offset to delete up to", partition->topic->name,
                         partition->number, (long long)before_offset);
    if (before_offset > end) {
        kfl__fail(KFL_E_OFFSET_OUT_OF_RANGE, "partition %s/%d ends at offset %lld: nothing can be deleted up to %lld",
                  partition->topic->name, partition->number, (long long)end, (long long)before_offset);
        return kfl__fail_at(KFL_E_OFFSET_OUT_OF_RANGE, partition->topic->name, partition->number, end);
    }
    if (before_offset <= atomic_load(&slot->start_offset)) {
        *out_start_offset = atomic_load(&slot->start_offset);
        return 0;
    }
    /* R8, R9: the new start speaks of records below it. */
    int r = kfl__sync_wait(partition, before_offset, -1);
    if (r < 0)
        return r;
    r = kfl__partition_prepare_lock(partition, -1);
    if (r < 0)
        return r;
    r = trim_delete(partition, before_offset, held, out_start_offset);
    kfl__partition_prepare_unlock(partition);
    return r;
}

int kfl__partition_trim(struct kfl__partition *partition, int64_t before_offset, int64_t *out_start_offset)
{
    return trim_up_to(partition, before_offset, false, out_start_offset);
}

int kfl__partition_trim_held(struct kfl__partition *partition, int64_t before_offset, int64_t *out_start_offset)
{
    return trim_up_to(partition, before_offset, true, out_start_offset);
}

/* ---- sealing ---- */

#define TRIM_SEAL_BATCH 16
struct trim_seal {
    struct kfl__partition *partition;
    int32_t count;
    struct kfl__segment_row rows[TRIM_SEAL_BATCH];
};

static int trim_put_sealed(struct kfl__catalog_txn *txn, void *context)
{
    struct trim_seal *seal = context;
    for (int32_t i = 0; i < seal->count; i++) {
        struct kfl__segment_row row;
        int r = kfl__segments_get(txn, seal->partition->topic->id, seal->partition->number, seal->rows[i].segment_id, &row);
        if (r == KFL_E_NOT_FOUND || (r == 0 && row.state != KFL_SEGMENT_ROW_LIVE))
            continue; /* deleted or replaced meanwhile */
        if (r == 0)
            r = kfl__segments_put(txn, seal->partition->topic->id, seal->partition->number, &seal->rows[i]);
        if (r < 0)
            return r;
    }
    return 0;
}

/* From what the roll noted in the slot, if it still stands. */
static bool trim_row_of_slot(struct kfl__slot *slot, struct kfl__segment_row *row)
{
    struct kfl__slot_rolled *rolled = &slot->rolled[row->segment_id % KFL_SLOT_ROLLED];
    if (atomic_load(&rolled->id) != row->segment_id)
        return false;
    row->end_offset = atomic_load(&rolled->end_offset);
    row->used = atomic_load(&rolled->used);
    row->first_timestamp_ms = atomic_load(&rolled->first_timestamp_ms);
    row->max_timestamp_ms = atomic_load(&rolled->max_timestamp_ms);
    row->record_count = atomic_load(&rolled->records);
    return atomic_load(&rolled->id) == row->segment_id;
}

int kfl__partition_remember(struct kfl__partition *partition, struct kfl__segment_row *row)
{
    struct kfl__segment_facts facts = {0};
    if (trim_row_of_slot(partition->slot, row))
        return 1;
    if (atomic_load(&partition->holds_files) == 0)
        return 0;
    int r = kfl__partition_lock(partition, -1);
    if (r < 0)
        return r;
    for (const struct kfl__segment *kept = partition->kept; kept != NULL; kept = kept->kept_next)
        if (kept->id == row->segment_id)
            facts = kept->rolled;
    kfl__partition_unlock(partition);
    if (facts.end_offset == 0)
        return 0;
    row->end_offset = facts.end_offset;
    row->used = facts.used;
    row->first_timestamp_ms = facts.first_timestamp_ms;
    row->max_timestamp_ms = facts.max_timestamp_ms;
    row->record_count = facts.record_count;
    return 1;
}

/*
 * Else from a walk over the file. 1: done; 0: it is damaged, or of a newer library, and stays as it is; or it has gone from the
 * list since its row was read.
 */
static int trim_row_of_walk(struct kfl__partition *partition, struct kfl__segment_row *row)
{
    struct kfl__segment *segment = NULL;
    struct kfl__view *view = NULL;
    struct kfl__batch_header header;
    struct kfl__walk walk;
    int r = kfl__partition_view(partition, &view);
    if (r < 0)
        return r;
    int32_t at = kfl__view_find_segment(view, row->segment_id);
    r = at < 0 ? KFL_FILE_MISSING : kfl__partition_segment(partition, view, at, &segment);
    kfl__view_release(view);
    if (r != 0)
        return r == KFL_FILE_MISSING || r == KFL_E_CORRUPT || r == KFL_E_VERSION ? 0 : r;
    kfl__walk_init(&walk, segment, KFL_SEGMENT_FIRST_PLACE, segment->size, row->base_offset, 0);
    do
        r = kfl__walk_step(&walk, &header);
    while (r == KFL_WALK_BATCH);
    kfl__segment_release(segment);
    if (r != KFL_WALK_END)
        return r; /* a gap where no gap can be, or an error */
    row->end_offset = header.base_offset;
    row->used = (int64_t)walk.place;
    row->first_timestamp_ms = walk.first_timestamp_ms;
    row->max_timestamp_ms = walk.max_timestamp_ms;
    row->record_count = walk.records;
    return 1;
}

int kfl__partition_measure(struct kfl__partition *partition, struct kfl__segment_row *row)
{
    int r = kfl__partition_remember(partition, row);
    return r != 0 ? r : trim_row_of_walk(partition, row);
}

/* Blocks behind the end mark, which nothing will ever be laid into; best effort (R4). */
static void trim_give_back(const struct trim_seal *seal)
{
    char name[KFL_NAME_SIZE];
    int directory = -1;
    if (kfl__partition_directory(seal->partition, false, &directory) != 0)
        return;
    for (int32_t i = 0; i < seal->count; i++) {
        const struct kfl__segment_row *row = &seal->rows[i];
        int64_t from = (int64_t)kfl__align_up((uint64_t)row->used + KFL_END_MARK_SIZE, 4096);
        int fd = -1;
        kfl__name_encode(name, row->segment_id, KFL_NAME_LOG);
        if (from >= row->size || kfl__file_open(directory, name, true, &fd) != 0)
            continue;
        (void)kfl__file_punch(fd, from, row->size - from);
        kfl__file_close(fd);
    }
    kfl__file_close(directory);
}

int kfl__partition_seal(struct kfl__partition *partition)
{
    struct kfl__slot *slot = partition->slot;
    struct trim_seal seal = {.partition = partition};
    struct kfl__segment_row *rows = NULL;
    int32_t count = 0;
    int64_t active, base;
    uint32_t durable = kfl__word_ordinal(atomic_load(&slot->durable_word));
    kfl__partition_active(partition, &active, &base);
    /* What was rolled into may still be empty: the word of what is durable stays behind then, in a file that is full. */
    if (active != 0 && atomic_load(&slot->durable_offset) >= base)
        durable = (uint32_t)active;
    /* The helper comes every second, and the list may be long. */
    if (atomic_load(&partition->sealed_below) == durable)
        return 0;
    int r = kfl__partition_drop_files(partition);
    if (r < 0)
        return r;
    r = kfl__segments_rows(partition, &rows, &count);
    int unread = 0;
    for (int32_t i = 0; r >= 0 && i < count && seal.count < TRIM_SEAL_BATCH; i++) {
        struct kfl__segment_row row = rows[i];
        if (row.state != KFL_SEGMENT_ROW_LIVE || row.segment_id == active || (int32_t)(durable - (uint32_t)row.segment_id) <= 0)
            continue;
        r = kfl__partition_measure(partition, &row);
        if (r == 1) {
            row.state = KFL_SEGMENT_ROW_SEALED;
            seal.rows[seal.count++] = row;
        } else if (r == KFL_E_IO) {
            /* It keeps none of the others, and is looked at again. */
            unread = r;
            r = 0;
        }
    }
    kfl__free(rows);
    if (r >= 0 && seal.count > 0)
        r = kfl__catalog_change_run(partition->core->catalog, trim_put_sealed, &seal);
    if (r < 0)
        return r;
    if (seal.count < TRIM_SEAL_BATCH && unread == 0)
        atomic_store(&partition->sealed_below, durable);
    if (seal.count == 0)
        return unread;
    KFL_STEP("seal.committed");
    trim_give_back(&seal);
    return seal.count == TRIM_SEAL_BATCH ? 1 : unread;
}

int kfl__partition_complete_rows(struct kfl__partition *partition)
{
    /* Who died in a roll has left it half done: the lock mends that. */
    int r = kfl__partition_lock(partition, -1);
    if (r < 0)
        return r;
    kfl__partition_unlock(partition);
    r = kfl__sync_full_files(partition, -1);
    while (r == 0 && (r = kfl__partition_seal(partition)) > 0)
        r = 0;
    return r;
}
