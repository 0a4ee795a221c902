/* SPDX-License-Identifier: MIT */
/*
 * What readers hold: the list of a partition's files, and the files that are open.
 *
 * The current view is rebuilt from the catalog when the manifest or the file that takes appends is another
 * one by now. Its files are opened on demand. A process keeps about KFL_SEGMENTS_OPEN of them; those that
 * nobody reads are given back, the longest unused first, and opened again when they are asked for.
 */
#include "base/file.h"
#include "engine/indexes.h"
#include "engine/segments.h"
#include "engine/topics.h"

/* ---- the list ---- */

struct segments_look {
    struct kfl__partition *partition;
    struct kfl__segment_row *rows;
    int32_t count, room;
};

static int segments_collect(const struct kfl__segment_row *row, void *context)
{
    struct segments_look *look = context;
    if (row->state != KFL_SEGMENT_ROW_LIVE && row->state != KFL_SEGMENT_ROW_SEALED && row->state != KFL_SEGMENT_ROW_READY)
        return 0;
    if (look->count == look->room) {
        int32_t room = look->room == 0 ? 16 : look->room * 2;
        struct kfl__segment_row *grown = kfl__realloc(look->rows, (size_t)room * sizeof *grown);
        if (grown == NULL)
            return kfl__fail(KFL_E_NOMEM, "a list of %d segments: out of memory", room);
        look->rows = grown;
        look->room = room;
    }
    look->rows[look->count++] = *row;
    return 0;
}

static int segments_read_rows(struct kfl__catalog_txn *txn, void *context)
{
    struct segments_look *look = context;
    struct kfl__partition_row row;
    look->count = 0;
    /* Of a deleted topic there are no files, which must not be taken for an empty list. */
    int r = kfl__partition_get(txn, look->partition->topic->id, look->partition->number, &row);
    return r < 0 ? r : kfl__segments_visit(txn, look->partition->topic->id, look->partition->number, segments_collect, look);
}

int kfl__segments_rows(struct kfl__partition *partition, struct kfl__segment_row **out_rows, int32_t *out_count)
{
    struct segments_look look = {.partition = partition};
    int r = kfl__catalog_look(partition->core->catalog, segments_read_rows, &look);
    if (r < 0) {
        kfl__free(look.rows);
        return r;
    }
    *out_rows = look.rows;
    *out_count = look.count;
    return 0;
}

/* Of those that are listed: which take part, and where the one that takes appends begins. */
static int32_t segments_choose(struct kfl__segment_row *rows, int32_t count, int64_t active_id, int64_t active_base)
{
    int32_t chosen = 0;
    for (int32_t i = 0; i < count; i++) {
        struct kfl__segment_row row = rows[i];
        if (row.base_offset < 0 && row.segment_id == active_id)
            row.base_offset = active_base;
        if (row.base_offset < 0)
            continue; /* prepared; or rolled into a moment ago: the slot is looked at again */
        /* Ids mostly rise with offsets; what was mended or compacted is put into its place. */
        int32_t at = chosen++;
        for (; at > 0 && rows[at - 1].base_offset > row.base_offset; at--)
            rows[at] = rows[at - 1];
        rows[at] = row;
    }
    return chosen;
}

static int segments_build(struct kfl__partition *partition, struct kfl__view **out_view)
{
    struct kfl__slot *slot = partition->slot;
    struct kfl__segment_row *rows = NULL;
    struct kfl__view *view = NULL;
    int32_t count = 0;
    uint64_t version;
    int64_t active_id, active_base;
    int r;
    for (;;) {
        version = atomic_load(&slot->manifest_version);
        kfl__partition_active(partition, &active_id, &active_base);
        kfl__free(rows);
        rows = NULL;
        r = kfl__segments_rows(partition, &rows, &count);
        if (r < 0)
            return r;
        if (atomic_load(&slot->active.id) == active_id && atomic_load(&slot->manifest_version) == version)
            break;
    }
    count = segments_choose(rows, count, active_id, active_base);
    r = kfl__view_create(count, &view);
    if (r < 0)
        goto out;
    view->manifest_version = version;
    for (int32_t i = 0; i < count; i++) {
        struct kfl__view_entry *entry = &view->entries[i];
        entry->segment_id = rows[i].segment_id;
        entry->base_offset = rows[i].base_offset;
        entry->end_offset = rows[i].end_offset;
        entry->bytes = rows[i].state == KFL_SEGMENT_ROW_SEALED ? (uint64_t)rows[i].used : 0;
        entry->size = (uint64_t)rows[i].size;
        entry->max_timestamp_ms = rows[i].max_timestamp_ms;
        entry->max_timestamp_offset = rows[i].max_timestamp_offset;
    }
    *out_view = view;
out:
    kfl__free(rows);
    return r;
}

static bool segments_view_current(const struct kfl__partition *partition, const struct kfl__view *view)
{
    const struct kfl__slot *slot = partition->slot;
    int64_t active = atomic_load_explicit(&((struct kfl__slot *)(uintptr_t)slot)->active.id, memory_order_acquire);
    return view->manifest_version == atomic_load(&((struct kfl__slot *)(uintptr_t)slot)->manifest_version) &&
           (active == 0 || (view->entry_count > 0 && view->entries[view->entry_count - 1].segment_id == active));
}

int kfl__partition_view(struct kfl__partition *partition, struct kfl__view **out_view)
{
    struct kfl__view *view, *fresh = NULL;
    kfl__mutex_lock(&partition->view_lock);
    view = partition->view;
    if (view != NULL)
        kfl__view_acquire(view);
    kfl__mutex_unlock(&partition->view_lock);
    if (view != NULL && segments_view_current(partition, view)) {
        *out_view = view;
        return 0;
    }
    int r = segments_build(partition, &fresh);
    if (r < 0) {
        kfl__view_release(view);
        return r;
    }
    kfl__view_acquire(fresh);
    kfl__mutex_lock(&partition->view_lock);
    struct kfl__view *old = partition->view;
    if (old != NULL)
        kfl__view_inherit(fresh, old);
    partition->view = fresh;
    kfl__mutex_unlock(&partition->view_lock);
    kfl__view_release(old);
    kfl__view_release(view);
    *out_view = fresh;
    return 0;
}

/* ---- the open files ---- */

struct kfl__segment *kfl__partition_opened(struct kfl__partition *partition, struct kfl__view *view, int32_t entry)
{
    kfl__mutex_lock(&partition->view_lock);
    struct kfl__segment *segment = view->entries[entry].segment;
    if (segment != NULL) {
        view->entries[entry].used = ++partition->view_uses;
        kfl__segment_acquire(segment);
    }
    kfl__mutex_unlock(&partition->view_lock);
    return segment;
}

/* A share of the file that this process appends to, if it is that one: it need not be mapped twice. Or NULL. */
static KFL_UNCHECKED struct kfl__segment *segments_share_written(struct kfl__partition *partition, int64_t segment_id)
{
    struct kfl__slot *slot = partition->slot;
    struct kfl__segment *segment = NULL;
    if (atomic_load(&partition->holds_files) == 0 || atomic_load(&slot->active.id) != segment_id)
        return NULL;
    int r = kfl__lendable_trylock(&slot->append, KFL_RANK_APPEND);
    if (r == KFL_LOCK_BUSY)
        return NULL;
    struct kfl__words words;
    kfl__error_save(&words);
    r = kfl__partition_take(partition, r);
    kfl__error_restore(&words);
    if (r < 0)
        return NULL;
    if (partition->writing != NULL && partition->writing->id == segment_id) {
        segment = partition->writing;
        kfl__segment_acquire(segment);
    }
    kfl__partition_unlock(partition);
    return segment;
}

static int segments_open(struct kfl__partition *partition, int64_t segment_id, struct kfl__segment **out_segment)
{
    struct kfl__core *core = partition->core;
    struct kfl__segment_expect expect = {core->store_id, partition->topic->id, (uint32_t)partition->number};
    int directory = -1;
    *out_segment = segments_share_written(partition, segment_id);
    if (*out_segment != NULL)
        return 0;
    int r = kfl__partition_directory(partition, false, &directory);
    if (r != 0)
        return r;
    r = kfl__segment_open(directory, segment_id, &expect, KFL_SEGMENT_READ, out_segment);
    kfl__file_close(directory);
    return r;
}

int32_t kfl__partition_give_back(struct kfl__partition *partition, uint64_t used_before)
{
    struct kfl__segment *unused[32];
    struct kfl__view *view = NULL;
    int32_t entry = 0, given = 0, count;
    do {
        kfl__mutex_lock(&partition->view_lock);
        if (partition->view != view)
            entry = 0; /* compared only: another list has come, with all that the old one had open */
        view = partition->view;
        count = view == NULL ? 0
                             : kfl__view_take_unused(view, used_before, &entry, (int32_t)(sizeof unused / sizeof *unused), unused);
        kfl__mutex_unlock(&partition->view_lock);
        for (int32_t i = 0; i < count; i++)
            kfl__segment_release(unused[i]);
        given += count;
    } while (count > 0);
    return given;
}

void kfl__partition_unshare(struct kfl__partition *partition, const struct kfl__segment *segment)
{
    struct kfl__segment *share = NULL;
    kfl__mutex_lock(&partition->view_lock);
    struct kfl__view *view = partition->view;
    for (int32_t i = view == NULL ? -1 : view->entry_count - 1; i >= 0 && share == NULL; i--)
        if (view->entries[i].segment == segment) {
            share = view->entries[i].segment;
            view->entries[i].segment = NULL;
        }
    kfl__mutex_unlock(&partition->view_lock);
    kfl__segment_release(share);
}

void kfl__partition_yield_files(struct kfl__partition *partition, const int64_t *ids, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        struct kfl__segment *share = NULL;
        kfl__mutex_lock(&partition->view_lock);
        struct kfl__view *view = partition->view;
        int32_t at = view == NULL ? -1 : kfl__view_find_segment(view, ids[i]);
        if (at >= 0) {
            share = view->entries[at].segment;
            view->entries[at].segment = NULL;
        }
        kfl__mutex_unlock(&partition->view_lock);
        kfl__segment_release(share);
    }
}

/*
 * There are many open: those of this partition that were not asked for lately go now. Those of others go when the helper
 * comes, or when a file is opened and there are too many for the process (engine/room).
 */
static void segments_limit(struct kfl__partition *partition, uint64_t uses)
{
    if (kfl__segment_count_reading() > KFL_SEGMENTS_OPEN && uses > KFL_SEGMENTS_OPEN / 2)
        (void)kfl__partition_give_back(partition, uses - KFL_SEGMENTS_OPEN / 2);
}

int kfl__partition_segment(struct kfl__partition *partition, struct kfl__view *view, int32_t entry,
                           struct kfl__segment **out_segment)
{
    struct kfl__segment *segment = kfl__partition_opened(partition, view, entry);
    if (segment != NULL) {
        *out_segment = segment;
        return 0;
    }
    int r = segments_open(partition, view->entries[entry].segment_id, &segment);
    /* No room for another map: what nobody uses goes, and if that was any, once more. */
    if (r == KFL_E_NOMEM && kfl__partition_give_back(partition, UINT64_MAX) > 0)
        r = segments_open(partition, view->entries[entry].segment_id, &segment);
    if (r != 0)
        return r;
    uint64_t used = view->entries[entry].bytes;
    if (KFL_UNLIKELY(used > 0 && !kfl__indexes_whole(partition, segment, used)) &&
        kfl__indexes_mend(partition, segment->id)) {
        int64_t id = segment->id;
        kfl__segment_release(segment);
        r = segments_open(partition, id, &segment);
        if (r != 0)
            return r;
    }
    kfl__mutex_lock(&partition->view_lock);
    uint64_t uses = ++partition->view_uses;
    segment = kfl__view_keep(view, entry, segment);
    view->entries[entry].used = uses;
    kfl__segment_acquire(segment);
    kfl__mutex_unlock(&partition->view_lock);
    *out_segment = segment;
    segments_limit(partition, uses);
    return 0;
}
