/* SPDX-License-Identifier: MIT */
/*
 * A partition's files: making the next one, listing them in the catalog, throwing them away.
 *
 * A file is listed as being made before it exists (R4), is complete and synced before it is listed as
 * ready, and takes part once an end mark names it. Who prepares, mends or deletes holds the slot's prepare
 * lock; the catalog's transactions are over before the append lock is taken for the few words that the
 * appenders look at.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/file_system.h"
#include "base/patience.h"
#include "base/random.h"
#include "catalog/history.h"
#include "catalog/segments.h"
#include "catalog/topics.h"
#include "engine/floor.h"
#include "engine/hold.h"
#include "engine/notify.h"
#include "engine/partition.h"
#include "engine/segments.h"
#include "engine/sync.h"
#include "engine/topics.h"
#include "engine/touch.h"
#include "format/names.h"

/* ---- the prepare lock ---- */

struct segments_start {
    const struct kfl__partition *partition;
    struct kfl__partition_row row;
};

static int segments_get_start(struct kfl__catalog_txn *txn, void *context)
{
    struct segments_start *look = context;
    return kfl__partition_get(txn, look->partition->topic->id, look->partition->number, &look->row);
}

/*
 * Who changed the list of files died inside: what it committed stands in the catalog, and perhaps not yet in
 * the slot. Files that nobody finished are swept; the start and the list are brought along here, before
 * anybody unlinks what is no longer on it.
 */
static void segments_catch_up(struct kfl__partition *partition)
{
    struct kfl__slot *slot = partition->slot;
    struct segments_start look = {.partition = partition};
    struct kfl__words words;
    kfl__error_save(&words);
    if (kfl__catalog_look(partition->core->catalog, segments_get_start, &look) == 0 &&
        atomic_load(&slot->ready) != 0 && look.row.start_offset > atomic_load(&slot->start_offset))
        atomic_store_explicit(&slot->start_offset, look.row.start_offset, memory_order_release);
    atomic_fetch_add(&slot->manifest_version, 1);
    atomic_store(&partition->sealed_below, 0); /* what lies below the start may be there still */
    kfl__error_restore(&words);
}

KFL_UNCHECKED void kfl__segments_look_after(struct kfl__partition *partition)
{
    struct kfl__robust *prepare = &partition->slot->prepare;
    int r = kfl__robust_trylock(prepare, KFL_RANK_PREPARE);
    if (r == KFL_LOCK_OWNER_DIED) {
        segments_catch_up(partition);
        kfl__robust_mended(prepare);
    }
    if (r == 0 || r == KFL_LOCK_OWNER_DIED)
        kfl__robust_unlock(prepare, KFL_RANK_PREPARE);
}

KFL_UNCHECKED int kfl__partition_prepare_lock(struct kfl__partition *partition, int64_t deadline_ns)
{
    int r = kfl__lock_answer(partition->core, kfl__robust_lock(&partition->slot->prepare, KFL_RANK_PREPARE, deadline_ns));
    if (r == KFL_LOCK_OWNER_DIED) {
        segments_catch_up(partition);
        kfl__robust_mended(&partition->slot->prepare);
        r = 0;
    }
    if (r == KFL_LOCK_BUSY) {
        char holder[64];
        kfl__presence_describe(kfl__robust_owner(&partition->slot->prepare), holder, sizeof holder);
        kfl__fail(KFL_E_BUSY, "the files of partition %s/%d are being changed by %s", partition->topic->name,
                  partition->number, holder);
        return kfl__fail_at(KFL_E_BUSY, partition->topic->name, partition->number, -1);
    }
    if (r == 0 && !kfl__partition_exists(partition)) {
        kfl__robust_unlock(&partition->slot->prepare, KFL_RANK_PREPARE);
        return kfl__partition_gone(partition);
    }
    return r;
}

KFL_UNCHECKED void kfl__partition_prepare_unlock(struct kfl__partition *partition)
{
    kfl__robust_unlock(&partition->slot->prepare, KFL_RANK_PREPARE);
}

/* ---- making a file ---- */

struct segments_make {
    struct kfl__partition *partition;
    struct kfl__segment_row row;
    int64_t discard;   /* a prepared file that is too small; 0: none */
    int64_t new_floor; /* 0: leave it */
    int64_t active_id, active_base_offset;
};

static int segments_list_making(struct kfl__catalog_txn *txn, void *context)
{
    struct segments_make *make = context;
    struct kfl__partition *partition = make->partition;
    struct kfl__partition_row row;
    int r = kfl__partition_get(txn, partition->topic->id, partition->number, &row);
    if (r < 0)
        return r;
    make->row.segment_id = row.next_segment_id++;
    r = kfl__segments_put(txn, partition->topic->id, partition->number, &make->row);
    if (r < 0)
        return r;
    return kfl__partition_put(txn, partition->topic->id, partition->number, &row);
}

int kfl__segments_begin(struct kfl__partition *partition, uint64_t size, struct kfl__segment_row *out_row)
{
    struct kfl__core *core = partition->core;
    struct segments_make make = {
        .partition = partition,
        .row =
            {
                .state = KFL_SEGMENT_ROW_MAKING,
                .maker = (uint32_t)core->presence.entry,
                .maker_start = core->presence.start,
                .base_offset = -1,
                .end_offset = -1,
                .used = -1,
                .size = (int64_t)size,
                .seed = kfl__random64(),
                .first_timestamp_ms = -1,
                .max_timestamp_ms = -1,
                .max_timestamp_offset = -1,
                .record_count = -1,
            },
    };
    int r = kfl__catalog_change_run(core->catalog, segments_list_making, &make);
    if (r < 0)
        return r;
    *out_row = make.row;
    return 0;
}

int kfl__segments_create(struct kfl__partition *partition, const struct kfl__settings *settings,
                         const struct kfl__segment_row *row, struct kfl__segment **out_segment)
{
    struct kfl__core *core = partition->core;
    struct kfl__segment_plan plan = {
        .topic_id = partition->topic->id,
        .partition = (uint32_t)partition->number,
        .topic_name = partition->topic->name,
        .segment_id = row->segment_id,
        .size = (uint64_t)row->size,
        .seed = row->seed,
        .created_ms = kfl__clock_wall_ms(&core->clock),
        .mode = core->settings->file_mode,
        .index_size_max = (uint64_t)settings->segment_index_bytes,
        .index_interval = (uint64_t)settings->index_interval_bytes,
    };
    int directory = -1;
    memcpy(plan.store_id, core->store_id, sizeof plan.store_id);
    int r = kfl__partition_directory(partition, true, &directory);
    if (r < 0)
        return r;
    if (r == KFL_FILE_MISSING)
        return kfl__partition_gone(partition);
    r = kfl__segment_create(directory, &plan, !core->by_file, out_segment);
    kfl__file_close(directory);
    if (r < 0)
        return r;
    r = kfl__partition_sync_folder(partition);
    if (r < 0) {
        kfl__segment_release(*out_segment);
        *out_segment = NULL;
    }
    return r;
}

struct segments_drop {
    struct kfl__partition *partition;
    const int64_t *ids;
    int32_t count;
};

static int segments_drop_rows(struct kfl__catalog_txn *txn, void *context)
{
    struct segments_drop *drop = context;
    for (int32_t i = 0; i < drop->count; i++) {
        int r = kfl__segments_remove(txn, drop->partition->topic->id, drop->partition->number, drop->ids[i]);
        if (r < 0 && r != KFL_E_NOT_FOUND)
            return r;
    }
    return 0;
}

/* Their rows say TRASH (or MAKING) already: unlink, then forget the rows. What fails is swept later. */
void kfl__segments_discard(struct kfl__partition *partition, const int64_t *ids, int32_t count)
{
    struct kfl__words words;
    struct segments_drop drop = {partition, ids, count};
    int directory = -1;
    kfl__error_save(&words);
    int r = count == 0 ? KFL_FILE_MISSING : kfl__partition_directory(partition, false, &directory);
    if (r == 0) {
        for (int32_t i = 0; i < count && r == 0; i++)
            r = kfl__segment_discard(directory, ids[i]);
        /* The row is all that remembers the file: it goes once the name is gone for good. */
        if (r == 0)
            r = kfl__file_sync_directory(directory);
        kfl__file_close(directory);
        if (r == 0)
            (void)kfl__catalog_change_run(partition->core->catalog, segments_drop_rows, &drop);
    }
    kfl__error_restore(&words);
}

/* The row of the file that takes appends says by now where it begins. */
static int segments_note_active(struct kfl__catalog_txn *txn, const struct segments_make *make)
{
    const struct kfl__partition *partition = make->partition;
    struct kfl__segment_row row;
    if (make->active_id == 0)
        return 0;
    int r = kfl__segments_get(txn, partition->topic->id, partition->number, make->active_id, &row);
    if (r < 0 || row.state != KFL_SEGMENT_ROW_READY)
        return r;
    row.state = KFL_SEGMENT_ROW_LIVE;
    row.base_offset = make->active_base_offset;
    return kfl__segments_put(txn, partition->topic->id, partition->number, &row);
}

static int segments_list_ready(struct kfl__catalog_txn *txn, void *context)
{
    struct segments_make *make = context;
    struct kfl__partition *partition = make->partition;
    struct kfl__partition_row row;
    int r = kfl__partition_get(txn, partition->topic->id, partition->number, &row);
    if (r < 0)
        return r;
    r = segments_note_active(txn, make);
    if (r < 0)
        return r;
    make->row.state = KFL_SEGMENT_ROW_READY;
    r = kfl__segments_put(txn, partition->topic->id, partition->number, &make->row);
    if (r == 0 && make->discard != 0) {
        struct kfl__segment_row old;
        r = kfl__segments_get(txn, partition->topic->id, partition->number, make->discard, &old);
        if (r == 0) {
            old.state = KFL_SEGMENT_ROW_TRASH;
            r = kfl__segments_put(txn, partition->topic->id, partition->number, &old);
        } else if (r == KFL_E_NOT_FOUND) {
            r = 0;
        }
    }
    if (r < 0 || make->new_floor == 0)
        return r;
    kfl__floor_put(partition, &row, &make->new_floor);
    return kfl__partition_put(txn, partition->topic->id, partition->number, &row);
}

int64_t kfl__segments_free_bytes(const struct kfl__core *core)
{
    struct kfl__words words;
    int64_t free_bytes = INT64_MAX;
    kfl__error_save(&words);
    if (kfl__file_system_free(core->directory, &free_bytes) < 0)
        kfl__error_restore(&words);
    return free_bytes;
}

/* A file takes a quarter of what is free at most, so that a nearly full disk is filled by smaller and smaller ones. */
static uint64_t segments_most_for_disk(const struct kfl__core *core)
{
    return (uint64_t)kfl__segments_free_bytes(core) / 4 / 4096 * 4096;
}

static uint64_t segments_next_size(const struct kfl__partition *partition, const struct kfl__settings *settings, uint64_t room)
{
    const struct kfl__slot *slot = partition->slot;
    /* Small first files, each four times the one before: 10,000 partitions do not reserve 10 TB. */
    uint64_t size = (uint64_t)atomic_load(&slot->active.size) * 4;
    uint64_t most = (uint64_t)settings->segment_bytes / 4096 * 4096;
    uint64_t least = kfl__align_up(KFL_SEGMENT_FIRST_PLACE + room + KFL_END_MARK_SIZE, 4096);
    uint64_t on_disk = segments_most_for_disk(partition->core);
    if (size > on_disk)
        size = on_disk;
    if (size < KFL_SEGMENT_SIZE_MIN)
        size = KFL_SEGMENT_SIZE_MIN;
    if (size > most)
        size = most;
    return size > least ? size : least;
}

static int segments_publish_next(struct kfl__partition *partition, const struct segments_make *make,
                                 struct kfl__segment *segment, int64_t deadline_ns)
{
    struct kfl__slot *slot = partition->slot;
    int r = kfl__partition_lock(partition, deadline_ns);
    if (r < 0) {
        kfl__segment_release(segment);
        return r;
    }
    atomic_store(&slot->next.size, make->row.size);
    atomic_store(&slot->next.seed, make->row.seed);
    atomic_store(&slot->next.id, make->row.segment_id);
    kfl__floor_tell(slot, make->new_floor);
    kfl__segment_release(partition->writing_next);
    partition->writing_next = segment;
    atomic_store(&partition->holds_files, 1);
    struct kfl__segment *writing = partition->writing, *touch = NULL;
    if (writing != NULL && atomic_load(&writing->touched_to) > 0) {
        kfl__segment_acquire(segment);
        touch = segment;
    }
    kfl__partition_unlock(partition);
    if (touch != NULL)
        kfl__touch_begin(partition->core, touch);
    kfl__segment_release(touch);
    return 0;
}

/*
 * The prepared file is too small: out of the slot with it, so that nobody rolls into it while it goes, and what
 * takes the appends stands still until another one is prepared.
 */
static int segments_withdraw_next(struct kfl__partition *partition, struct segments_make *make, int64_t deadline_ns)
{
    struct kfl__slot *slot = partition->slot;
    int r = kfl__partition_lock(partition, deadline_ns);
    if (r < 0)
        return r;
    make->discard = atomic_load(&slot->next.id);
    make->active_id = atomic_load(&slot->active.id);
    make->active_base_offset = atomic_load(&slot->active_base_offset);
    atomic_store(&slot->next.id, 0);
    kfl__partition_unlock(partition);
    return 0;
}

/* It goes on after all: its size and seed stand there still. */
static void segments_restore_next(struct kfl__partition *partition, const struct segments_make *make)
{
    struct kfl__words words;
    int32_t patience = kfl__patience_set(-1);
    kfl__error_save(&words);
    if (make->discard != 0 && kfl__partition_lock(partition, -1) == 0) {
        atomic_store(&partition->slot->next.id, make->discard);
        kfl__partition_unlock(partition);
    }
    kfl__error_restore(&words);
    kfl__patience_set(patience);
}

/* Holding the prepare lock. */
static int segments_prepare(struct kfl__partition *partition, const struct kfl__settings *settings, uint64_t room, int64_t deadline_ns)
{
    struct kfl__slot *slot = partition->slot;
    struct segments_make make = {.partition = partition};
    struct kfl__segment *segment = NULL;
    if (atomic_load(&slot->next.id) != 0 &&
        (uint64_t)atomic_load(&slot->next.size) >= KFL_SEGMENT_FIRST_PLACE + room + KFL_END_MARK_SIZE)
        return 0; /* somebody else was first */
    uint64_t size = segments_next_size(partition, settings, room);
    uint64_t least = kfl__align_up(KFL_SEGMENT_FIRST_PLACE + room + KFL_END_MARK_SIZE, 4096);
    int r = kfl__hold_allows(partition, settings, atomic_load(&slot->next.id),
                             least > KFL_SEGMENT_SIZE_MIN ? least : KFL_SEGMENT_SIZE_MIN, &size);
    if (r == 0)
        r = kfl__segments_begin(partition, size, &make.row);
    if (r != 0)
        return r;
    KFL_STEP("prepare.listed");
    r = kfl__segments_create(partition, settings, &make.row, &segment);
    if (r < 0)
        goto fail;
    KFL_STEP("prepare.created");
    if (!kfl__file_has_name(atomic_load(&segment->fd))) {
        r = kfl__fail(KFL_E_BUSY, "segment %lld of %s/%d was swept while it was made: try again",
                      (long long)make.row.segment_id, partition->topic->name, partition->number);
        goto fail;
    }
    r = segments_withdraw_next(partition, &make, deadline_ns);
    if (r < 0)
        goto fail;
    if (atomic_load(&slot->end_offset) + 1 > atomic_load(&slot->offset_floor))
        make.new_floor = kfl__floor_next(slot, 0);
    KFL_STEP("prepare.withdrawn");
    r = kfl__catalog_change_run(partition->core->catalog, segments_list_ready, &make);
    if (r < 0) {
        segments_restore_next(partition, &make);
        goto fail;
    }
    KFL_STEP("prepare.ready");
    r = segments_publish_next(partition, &make, segment, deadline_ns);
    if (make.discard != 0)
        kfl__segments_discard(partition, &make.discard, 1);
    return r;
fail:
    kfl__segment_release(segment);
    kfl__segments_discard(partition, &make.row.segment_id, 1);
    return r;
}

static int segments_prepare_once(struct kfl__partition *partition, const struct kfl__settings *settings, uint64_t room,
                                 int64_t deadline_ns)
{
    int r = kfl__partition_prepare_lock(partition, deadline_ns);
    if (r < 0)
        return r;
    r = segments_prepare(partition, settings, room, deadline_ns);
    /* A deleted topic's folder may have gone while a file was made in it. */
    if (r < 0 && !kfl__partition_exists(partition))
        r = kfl__partition_gone(partition);
    kfl__partition_prepare_unlock(partition);
    return r;
}

int kfl__partition_prepare(struct kfl__partition *partition, const struct kfl__settings *settings, uint64_t room,
                           int64_t deadline_ns)
{
    if (KFL_SEGMENT_FIRST_PLACE + room + KFL_END_MARK_SIZE > KFL_SEGMENT_SIZE_MAX - 4096)
        return kfl__fail(KFL_E_MESSAGE_TOO_LARGE, "a batch of %llu bytes is larger than a segment can be",
                         (unsigned long long)room);
    for (;;) {
        int r = segments_prepare_once(partition, settings, room, deadline_ns);
        if (r != KFL_HOLD_FULL)
            return r;
        /* Ahead of any need nobody is made to go for it. */
        if (room == 0)
            return kfl__fail(KFL_E_NO_SPACE, "partition %s/%d has its retention.consumers.max.bytes", partition->topic->name,
                             partition->number);
        r = kfl__hold_make_room(partition, settings, deadline_ns);
        if (r < 0)
            return r;
    }
}

/* ---- the files in order ---- */

static int segments_compare(const void *a, const void *b)
{
    const struct kfl__segment_row *one = a, *other = b;
    return one->base_offset < other->base_offset ? -1 : one->base_offset > other->base_offset;
}

int kfl__segments_in_order(struct kfl__partition *partition, struct kfl__segment_row **out_rows, int32_t *out_count,
                           int64_t *out_active)
{
    struct kfl__segment_row *rows = NULL;
    int32_t count = 0, kept = 0;
    int64_t base = 0, again = 0, id = 0;
    do {
        kfl__free(rows);
        rows = NULL;
        kfl__partition_active(partition, &id, &base);
        int r = kfl__segments_rows(partition, &rows, &count);
        if (r < 0)
            return r;
        int64_t unused;
        kfl__partition_active(partition, &again, &unused);
    } while (again != id);
    for (int32_t i = 0; i < count; i++) {
        if (rows[i].segment_id == id && rows[i].base_offset < 0)
            rows[i].base_offset = base;
        if (rows[i].base_offset >= 0)
            rows[kept++] = rows[i];
    }
    if (kept > 0)
        qsort(rows, (size_t)kept, sizeof *rows, segments_compare);
    *out_rows = rows;
    *out_count = kept;
    if (out_active != NULL)
        *out_active = id;
    return 0;
}
