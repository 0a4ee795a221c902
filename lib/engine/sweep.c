/* SPDX-License-Identifier: MIT */
/*
 * What the killed left: files that count for nothing, by the catalog's list and never by guess.
 *
 * Who opens the store sweeps, under byte 0 of LOCK, beside processes that go on working. A file that is
 * being made is swept when its maker is dead; whether it is still being made is looked up again after that
 * is known, since the maker may have finished it and died in between. A file that is to go is unlinked
 * once nobody's list has it any more: whoever put it there has brought the slot along, or is waited for,
 * or is dead, and then the next holder of the prepare lock does (R4, R27).
 */
#include <stdio.h>

#include "base/file.h"
#include "base/memory.h"
#include "catalog/segments.h"
#include "engine/segments.h"
#include "engine/topics.h"
#include "format/names.h"

#define SWEEP_MOST 256
#define SWEEP_WAIT_MS 1000

struct sweep_file {
    uint64_t topic_id;
    int32_t partition;
    int64_t segment_id;
    bool counts; /* it turned out to be alive, or somebody is at it: not now */
};

struct sweep {
    struct kfl__core *core;
    int32_t count;
    struct sweep_file files[SWEEP_MOST];
    int32_t folder_count;
    uint64_t folders[SWEEP_MOST];
};

static int sweep_visit(uint64_t topic_id, int32_t partition, const struct kfl__segment_row *row,
                       void *context)
{
    struct sweep *sweep = context;
    struct kfl__core *core = sweep->core;
    if (row->state == KFL_SEGMENT_ROW_MAKING &&
        kfl__presence_lives(&core->presence, kfl__state_entries(core->state), row->maker,
                            row->maker_start))
        return 0;
    if (sweep->count < SWEEP_MOST)
        sweep->files[sweep->count++] =
            (struct sweep_file){topic_id, partition, row->segment_id, false};
    return 0;
}

static int sweep_folder(uint64_t topic_id, void *context)
{
    struct sweep *sweep = context;
    if (sweep->folder_count < SWEEP_MOST)
        sweep->folders[sweep->folder_count++] = topic_id;
    return 0;
}

static int sweep_look(struct kfl__catalog_txn *txn, void *context)
{
    struct sweep *sweep = context;
    sweep->count = 0;
    sweep->folder_count = 0;
    int r = kfl__segments_visit_leftovers(txn, sweep_visit, sweep);
    return r < 0 ? r : kfl__topic_trash_list(txn, sweep_folder, sweep);
}

/* A later moment than that at which the makers were found dead. */
static int sweep_look_again(struct kfl__catalog_txn *txn, void *context)
{
    struct sweep *sweep = context;
    for (int32_t i = 0; i < sweep->count; i++) {
        struct sweep_file *file = &sweep->files[i];
        struct kfl__segment_row row;
        int r = kfl__segments_get(txn, file->topic_id, file->partition, file->segment_id, &row);
        if (r < 0 && r != KFL_E_NOT_FOUND)
            return r;
        file->counts =
            r < 0 || (row.state != KFL_SEGMENT_ROW_MAKING && row.state != KFL_SEGMENT_ROW_TRASH);
    }
    return 0;
}

struct sweep_slot {
    const struct sweep_file *file;
    struct kfl__partition_row row;
};

static int sweep_get_row(struct kfl__catalog_txn *txn, void *context)
{
    struct sweep_slot *look = context;
    return kfl__partition_get(txn, look->file->topic_id, look->file->partition, &look->row);
}

/* Nobody who uses the partition has the file on its list when this has returned 0. */
static int sweep_settle(struct kfl__core *core, const struct sweep_file *file)
{
    struct sweep_slot look = {.file = file};
    struct kfl__partition *partition;
    struct kfl__topic *topic = NULL;
    struct kfl__slot *slot = NULL;
    int r = kfl__catalog_look(core->catalog, sweep_get_row, &look);
    if (r < 0)
        return r == KFL_E_UNKNOWN_TOPIC_OR_PARTITION ? 0 : r;
    r = kfl__state_slot(core->state, look.row.slot, &slot);
    if (r < 0 ||
        !kfl__slot_is(slot, file->topic_id, (uint32_t)file->partition, look.row.incarnation) ||
        atomic_load(&slot->ready) == 0)
        return r; /* nobody has used it since the catalog was read */
    r = kfl__topic_find_id(core, file->topic_id, &topic);
    if (r == 0)
        r = kfl__topic_partition(topic, file->partition, &partition);
    if (r == 0)
        r = kfl__partition_prepare_lock(partition, kfl__clock_deadline_ns(SWEEP_WAIT_MS));
    if (r == 0)
        kfl__partition_prepare_unlock(partition);
    kfl__topic_release(topic);
    return r == KFL_E_UNKNOWN_TOPIC_OR_PARTITION ? 0 : r;
}

static int sweep_unlink(struct kfl__core *core, const struct sweep_file *file)
{
    char path[96];
    int directory = -1;
    snprintf(path, sizeof path, "%s/%llu/%d", KFL_NAME_TOPICS, (unsigned long long)file->topic_id,
             file->partition);
    int r = kfl__file_open_directory(core->directory, path, &directory);
    if (r != 0)
        return r < 0 ? r : 0;
    r = kfl__segment_discard(directory, file->segment_id);
    if (r == 0)
        r = kfl__file_sync_directory(directory); /* before the row that remembers it goes */
    kfl__file_close(directory);
    return r;
}

static int sweep_drop_rows(struct kfl__catalog_txn *txn, void *context)
{
    struct sweep *sweep = context;
    for (int32_t i = 0; i < sweep->count; i++) {
        const struct sweep_file *file = &sweep->files[i];
        int r = file->counts
                    ? 0
                    : kfl__segments_remove(txn, file->topic_id, file->partition, file->segment_id);
        if (r < 0 && r != KFL_E_NOT_FOUND)
            return r;
    }
    return 0;
}

static int sweep_files(struct sweep *sweep)
{
    struct kfl__core *core = sweep->core;
    int r = sweep->count > 0 ? kfl__catalog_look(core->catalog, sweep_look_again, sweep) : 0;
    for (int32_t i = 0; r >= 0 && i < sweep->count; i++) {
        struct sweep_file *file = &sweep->files[i];
        if (file->counts)
            continue;
        r = sweep_settle(core, file);
        if (r == KFL_E_BUSY) {
            file->counts = true;
            r = 0;
            continue;
        }
        if (r == 0)
            r = sweep_unlink(core, file);
    }
    return r >= 0 && sweep->count > 0
               ? kfl__catalog_change_run(core->catalog, sweep_drop_rows, sweep)
               : r;
}

int kfl__topics_sweep(struct kfl__core *core)
{
    struct sweep *sweep = kfl__alloc(sizeof *sweep);
    if (sweep == NULL)
        return kfl__fail(KFL_E_NOMEM, "%s: out of memory", core->path);
    sweep->core = core;
    int r = kfl__catalog_look(core->catalog, sweep_look, sweep);
    if (r >= 0)
        r = sweep_files(sweep);
    for (int32_t i = 0; r >= 0 && i < sweep->folder_count; i++) {
        r = kfl__topics_clear(core, sweep->folders[i], SWEEP_WAIT_MS);
        if (r == KFL_E_BUSY)
            r = 0; /* the next sweep */
    }
    kfl__free(sweep);
    return r < 0 ? r : 0;
}
