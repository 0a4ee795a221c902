/* SPDX-License-Identifier: MIT */
/*
 * One moment of a partition's files, for lists, checks and statistics.
 *
 * The publishing word says which file takes appends and how far it is filled, the catalog which
 * files there are. Both move on while we look: the word is read first and once more behind, and
 * when it has moved to another file, or the list is of another version, all is looked at again.
 * Nothing is locked, opened or mended.
 */
#include "api/manifest.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "catalog/offsets.h"
#include "log/segment.h"

struct manifest_look {
    uint64_t topic_id;
    int32_t number;
    struct kfl__manifest *manifest;
    int32_t room;
};

static int manifest_add_row(const struct kfl__segment_row *row, void *context)
{
    struct manifest_look *look = context;
    struct kfl__manifest *manifest = look->manifest;
    if (row->state != KFL_SEGMENT_ROW_READY && row->state != KFL_SEGMENT_ROW_LIVE &&
        row->state != KFL_SEGMENT_ROW_SEALED)
        return 0;
    if (manifest->count == look->room) {
        int32_t room = look->room == 0 ? 16 : look->room * 2;
        struct kfl__segment_row *grown = kfl__realloc(manifest->rows, (size_t)room * sizeof *grown);
        if (grown == NULL)
            return kfl__fail(KFL_E_NOMEM, "a list of %d segments: out of memory", room);
        manifest->rows = grown;
        look->room = room;
    }
    manifest->rows[manifest->count++] = *row;
    return 0;
}

static int manifest_get_partition(struct kfl__catalog_txn *txn, void *context)
{
    struct manifest_look *look = context;
    return kfl__partition_get(txn, look->topic_id, look->number, &look->manifest->partition);
}

static int manifest_get_all(struct kfl__catalog_txn *txn, void *context)
{
    struct manifest_look *look = context;
    look->manifest->count = 0;
    int r = manifest_get_partition(txn, look);
    if (r == 0)
        r = kfl__segments_visit(txn, look->topic_id, look->number, manifest_add_row, look);
    if (r == 0)
        r = kfl__offsets_highest(txn, look->topic_id, look->number,
                                 &look->manifest->committed_offset);
    return r;
}

/* The partition's slot, if somebody has filled it. */
static int manifest_find_slot(struct kfl__core *core, const struct manifest_look *look,
                              struct kfl__slot **out_slot)
{
    const struct kfl__partition_row *row = &look->manifest->partition;
    struct kfl__slot *slot;
    *out_slot = NULL;
    if (row->slot >= atomic_load(&core->shared->slot_count))
        return 0; /* asking for it would make it */
    int r = kfl__state_slot(core->state, row->slot, &slot);
    if (r == 0 && kfl__slot_is(slot, look->topic_id, (uint32_t)look->number, row->incarnation) &&
        atomic_load_explicit(&slot->ready, memory_order_acquire) != 0)
        *out_slot = slot;
    return r;
}

/*
 * Where the file begins that is published and not yet listed as begun. false: another one is published by now.
 * Between the word and what follows it the older words still stand, and until they are replaced nobody appends: the
 * file begins at the end that was pending.
 */
static bool manifest_find_base(struct kfl__slot *slot, int64_t segment_id, int64_t *out_base_offset)
{
    for (;; kfl__relax()) {
        int64_t active = atomic_load(&slot->active.id);
        int64_t base = active == segment_id ? atomic_load(&slot->active_base_offset)
                                            : atomic_load(&slot->pending_end_offset);
        if (kfl__word_ordinal(atomic_load(&slot->published)) != (uint32_t)segment_id)
            return false;
        if (atomic_load(&slot->active.id) == active) {
            *out_base_offset = base;
            return true;
        }
    }
}

/*
 * The row of the file that the word names: it may be listed as prepared still, its base known to
 * the slot only. false: the numbers are of different moments.
 */
static bool manifest_find_active(struct kfl__manifest *manifest, uint64_t word)
{
    manifest->active = -1;
    for (int32_t i = 0; word != 0 && i < manifest->count; i++) {
        struct kfl__segment_row *row = &manifest->rows[i];
        if ((uint32_t)row->segment_id != kfl__word_ordinal(word) ||
            row->state == KFL_SEGMENT_ROW_SEALED)
            continue;
        if (row->base_offset < 0 &&
            !manifest_find_base(manifest->slot, row->segment_id, &row->base_offset))
            return false;
        manifest->active = i;
        manifest->active_place = kfl__word_place(word);
    }
    return true;
}

static bool manifest_stands_before(const struct kfl__segment_row *a,
                                   const struct kfl__segment_row *b)
{
    if ((a->base_offset < 0) != (b->base_offset < 0))
        return b->base_offset < 0;
    return a->base_offset != b->base_offset ? a->base_offset < b->base_offset
                                            : a->segment_id < b->segment_id;
}

/* Ids mostly rise with offsets: what was mended is put into its place. */
static void manifest_sort(struct kfl__manifest *manifest)
{
    int64_t active = manifest->active < 0 ? 0 : manifest->rows[manifest->active].segment_id;
    int32_t count = manifest->count;
    for (int32_t i = 1; i < count; i++) {
        struct kfl__segment_row row = manifest->rows[i];
        int32_t at = i;
        for (; at > 0 && manifest_stands_before(&row, &manifest->rows[at - 1]); at--)
            manifest->rows[at] = manifest->rows[at - 1];
        manifest->rows[at] = row;
    }
    while (manifest->count > 0 && manifest->rows[manifest->count - 1].base_offset < 0)
        manifest->count--;
    manifest->prepared = count - manifest->count;
    for (int32_t i = 0; i < manifest->count; i++)
        if (manifest->rows[i].segment_id == active)
            manifest->active = i;
}

/* The numbers of one moment, as far as one word can say them: each may have risen since. */
static void manifest_read_words(struct kfl__manifest *manifest, uint64_t *out_word)
{
    struct kfl__slot *slot = manifest->slot;
    *out_word = 0;
    if (slot == NULL) {
        manifest->start_offset = manifest->partition.start_offset;
        manifest->durable_offset = manifest->end_offset = manifest->partition.durable_offset;
        return;
    }
    manifest->start_offset = atomic_load(&slot->start_offset);
    manifest->durable_offset = atomic_load(&slot->durable_offset);
    kfl__slot_tail(slot, out_word, &manifest->end_offset);
}

int kfl__manifest_read(struct kfl__core *core, uint64_t topic_id, int32_t number,
                       struct kfl__manifest *out_manifest)
{
    struct kfl__manifest manifest = {.active = -1, .committed_offset = -1};
    struct manifest_look look = {.topic_id = topic_id, .number = number, .manifest = &manifest};
    uint64_t before, word, version = 0;
    int r = kfl__catalog_look(core->catalog, manifest_get_partition, &look);
    if (r == 0)
        r = manifest_find_slot(core, &look, &manifest.slot);
    for (bool agree = false; r == 0 && !agree;) {
        struct kfl__slot *slot = manifest.slot;
        before = slot == NULL ? 0 : atomic_load_explicit(&slot->published, memory_order_acquire);
        version = slot == NULL ? 0 : atomic_load(&slot->manifest_version);
        r = kfl__catalog_look(core->catalog, manifest_get_all, &look);
        manifest_read_words(&manifest, &word);
        agree = slot == NULL || (kfl__word_ordinal(before) == kfl__word_ordinal(word) &&
                                 atomic_load(&slot->manifest_version) == version);
        agree = agree && manifest_find_active(&manifest, word);
    }
    if (r < 0) {
        kfl__manifest_release(&manifest);
        return r;
    }
    manifest_sort(&manifest);
    *out_manifest = manifest;
    return 0;
}

void kfl__manifest_release(struct kfl__manifest *manifest)
{
    kfl__free(manifest->rows);
    manifest->rows = NULL;
    manifest->count = manifest->prepared = 0;
}

enum kfl__manifest_extent kfl__manifest_extent(const struct kfl__manifest *manifest, int32_t i,
                                               uint64_t *out_used)
{
    const struct kfl__segment_row *row = &manifest->rows[i];
    const struct kfl__partition_row *partition = &manifest->partition;
    if (row->state == KFL_SEGMENT_ROW_SEALED && row->used >= 0) {
        *out_used = (uint64_t)row->used;
        return KFL_MANIFEST_BYTES;
    }
    if (i == manifest->active) {
        *out_used = manifest->active_place;
        return KFL_MANIFEST_BYTES;
    }
    if (manifest->active < 0 && row->segment_id == partition->durable_segment) {
        *out_used = (uint64_t)partition->durable_place;
        return KFL_MANIFEST_BYTES;
    }
    if (manifest->slot == NULL && row->segment_id > partition->durable_segment)
        return KFL_MANIFEST_UNKNOWN;
    return KFL_MANIFEST_END_MARK;
}

int kfl__manifest_path(const struct kfl__core *core, uint64_t topic_id, int32_t number,
                       int64_t segment_id, enum kfl__name_kind kind, char **out_path)
{
    char name[KFL_NAME_SIZE];
    size_t size = strlen(core->path) + sizeof name + 64;
    char *path = kfl__alloc(size);
    if (path == NULL)
        return kfl__fail(KFL_E_NOMEM, "a path in %s: out of memory", core->path);
    kfl__name_encode(name, segment_id, kind);
    snprintf(path, size, "%s/%s/%llu/%d/%s", core->path, KFL_NAME_TOPICS,
             (unsigned long long)topic_id, number, name);
    *out_path = path;
    return 0;
}

/* ---- topics ---- */

struct manifest_topics {
    const char *name;
    struct kfl__manifest_topic *topics;
    int32_t count, room;
};

static int manifest_add_topic(const struct kfl__topic_row *row, void *context)
{
    struct manifest_topics *list = context;
    if (list->count == list->room) {
        int32_t room = list->room == 0 ? 16 : list->room * 2;
        struct kfl__manifest_topic *grown =
            kfl__realloc(list->topics, (size_t)room * sizeof *grown);
        if (grown == NULL)
            return kfl__fail(KFL_E_NOMEM, "a list of %d topics: out of memory", room);
        list->topics = grown;
        list->room = room;
    }
    struct kfl__manifest_topic *topic = &list->topics[list->count++];
    topic->id = row->topic_id;
    topic->partition_count = row->partition_count;
    memcpy(topic->name, row->name, sizeof topic->name);
    return 0;
}

static int manifest_get_topics(struct kfl__catalog_txn *txn, void *context)
{
    struct manifest_topics *list = context;
    struct kfl__topic_row row;
    list->count = 0;
    if (list->name == NULL)
        return kfl__topics_list(txn, manifest_add_topic, list);
    int r = kfl__topics_find(txn, list->name, &row);
    return r < 0 ? r : manifest_add_topic(&row, list);
}

int kfl__manifest_topics(struct kfl__core *core, const char *name,
                         struct kfl__manifest_topic **out_topics, int32_t *out_count)
{
    struct manifest_topics list = {.name = name};
    int r = kfl__catalog_look(core->catalog, manifest_get_topics, &list);
    if (r < 0) {
        kfl__free(list.topics);
        return r;
    }
    *out_topics = list.topics;
    *out_count = list.count;
    return 0;
}
