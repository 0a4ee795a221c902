/* SPDX-License-Identifier: MIT */
/*
 * Committed offsets.
 *
 * A commit first makes the records below it durable (R8), so that no power cut leaves an offset that points
 * behind the log; then one catalog transaction, shared with whoever else commits now, makes it true.
 */
#include "engine/group.h"

#include <string.h>

#include "base/memory.h"
#include "catalog/offsets.h"
#include "engine/sync.h"
#include "engine/topics.h"

struct group_change {
    const char *group;
    const struct kfl__group_item *items;
    struct kfl__sync_note *notes; /* of each item's partition */
    size_t count;
    int64_t now_ms;
};

struct group_look {
    const char *group;
    struct kfl__group_item *items;
    size_t count;
};

int kfl__group_name_check(const char *group)
{
    size_t size = group == NULL ? 0 : strlen(group);
    if (size >= 1 && size <= KFL_GROUP_NAME_MAX)
        return 0;
    return kfl__fail(KFL_E_INVALID_GROUP_ID, size == 0 ? "no group: set group.id" : "a group name has at most %d bytes",
                     KFL_GROUP_NAME_MAX);
}

static int group_put(struct kfl__catalog_txn *txn, void *context)
{
    const struct group_change *change = context;
    for (size_t i = 0; i < change->count; i++) {
        const struct kfl__group_item *item = &change->items[i];
        struct kfl__offset_row row = {
            .offset = item->offset,
            .commit_ms = change->now_ms,
            .metadata = item->metadata,
            .metadata_size = (uint32_t)item->metadata_size,
        };
        /*
         * A topic deleted meanwhile takes no more commits. With the commit stands what it covers: after a
         * power cut a damaged record below it is told as damage, and is not cut off as a torn tail.
         */
        int r = kfl__sync_put_note(txn, &change->notes[i]);
        if (r == 0)
            r = kfl__offsets_put(txn, change->group, item->partition->topic->id, item->partition->number, &row);
        if (r < 0)
            return r;
    }
    return 0;
}

static int group_check(const struct kfl__group_item *item)
{
    struct kfl__partition *partition = item->partition;
    int64_t end = kfl__slot_end(partition->slot);
    if (item->metadata_size > KFL_METADATA_MAX) {
        kfl__fail(KFL_E_OFFSET_METADATA_TOO_LARGE, "%zu bytes of metadata: at most %d", item->metadata_size, KFL_METADATA_MAX);
        return kfl__fail_at(KFL_E_OFFSET_METADATA_TOO_LARGE, partition->topic->name, partition->number, item->offset);
    }
    if (item->offset >= 0 && item->offset <= end)
        return 0;
    kfl__fail(KFL_E_OFFSET_OUT_OF_RANGE, "partition %s/%d ends at offset %lld: %lld cannot be committed", partition->topic->name,
              partition->number, (long long)end, (long long)item->offset);
    return kfl__fail_at(KFL_E_OFFSET_OUT_OF_RANGE, partition->topic->name, partition->number, item->offset);
}

int kfl__group_commit(struct kfl__core *core, const char *group, const struct kfl__group_item *items, size_t count)
{
    struct group_change change = {.group = group, .items = items, .count = count, .now_ms = kfl__clock_wall_ms(&core->clock)};
    int r = 0;
    for (size_t i = 0; i < count && r == 0; i++)
        r = group_check(&items[i]);
    for (size_t i = 0; i < count && r == 0; i++)
        r = kfl__sync_wait(items[i].partition, items[i].offset, -1);
    if (r < 0 || count == 0)
        return r;
    change.notes = kfl__alloc_array(count, sizeof *change.notes);
    if (change.notes == NULL)
        return kfl__fail(KFL_E_NOMEM, "a commit of %zu partitions: out of memory", count);
    for (size_t i = 0; i < count; i++)
        kfl__sync_note(items[i].partition, &change.notes[i]);
    r = kfl__catalog_change_run(core->catalog, group_put, &change);
    kfl__free(change.notes);
    return r;
}

static int group_get(struct kfl__catalog_txn *txn, void *context)
{
    const struct group_look *look = context;
    for (size_t i = 0; i < look->count; i++) {
        struct kfl__group_item *item = &look->items[i];
        struct kfl__offset_row row;
        item->offset = -1;
        item->metadata = NULL;
        item->metadata_size = 0;
        int r = kfl__offsets_get(txn, look->group, item->partition->topic->id, item->partition->number, &row);
        if (r == KFL_E_NOT_FOUND)
            continue;
        if (r < 0)
            return r;
        item->offset = row.offset;
        if (row.metadata_size > 0) {
            void *copy = kfl__alloc(row.metadata_size);
            if (copy == NULL)
                return kfl__fail(KFL_E_NOMEM, "metadata: out of memory");
            memcpy(copy, row.metadata, row.metadata_size);
            item->metadata = copy;
            item->metadata_size = row.metadata_size;
        }
    }
    return 0;
}

int kfl__group_committed(struct kfl__core *core, const char *group, struct kfl__group_item *items, size_t count)
{
    struct group_look look = {group, items, count};
    for (size_t i = 0; i < count; i++)
        items[i].metadata = NULL;
    int r = kfl__catalog_look(core->catalog, group_get, &look);
    if (r < 0)
        for (size_t i = 0; i < count; i++) {
            kfl__free((void *)(uintptr_t)items[i].metadata);
            items[i].metadata = NULL;
        }
    return r;
}
