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
#include "engine/departures.h"
#include "engine/members.h"
#include "engine/sync.h"
#include "engine/topics.h"

struct group_change {
    struct kfl__group_commit *commits;
    size_t count;
    struct kfl__sync_note *notes; /* of each item's partition, one commit after the other */
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

/* The outcome of one, with its story. */
static void group_settle(struct kfl__group_commit *commit, int r)
{
    commit->result = r;
    if (r < 0)
        kfl__error_save(&commit->words);
}

static int group_put_one(struct kfl__catalog_txn *txn, const struct kfl__group_commit *commit,
                         const struct kfl__sync_note *notes, int64_t now_ms)
{
    int r = 0;
    for (size_t i = 0; i < commit->count && r == 0; i++) {
        const struct kfl__group_item *item = &commit->items[i];
        struct kfl__offset_row row = {
            .offset = item->offset,
            .commit_ms = now_ms,
            .metadata = item->metadata,
            .metadata_size = (uint32_t)item->metadata_size,
        };
        /*
         * With the commit stands what it covers: after a power cut a damaged record below it is told as
         * damage, and is not cut off as a torn tail.
         */
        r = kfl__sync_put_note(txn, &notes[i]);
        if (r == 0)
            r = kfl__offsets_put(txn, commit->group, item->partition->topic->id, item->partition->number, &row);
    }
    return r;
}

/* A topic deleted meanwhile takes no more commits; asked before anything of the commit is put. */
static int group_check_topics(struct kfl__catalog_txn *txn, const struct kfl__group_commit *commit)
{
    int r = 0;
    for (size_t i = 0; i < commit->count && r == 0; i++) {
        struct kfl__partition_row row;
        r = kfl__partition_get(txn, commit->items[i].partition->topic->id, commit->items[i].partition->number, &row);
    }
    return r;
}

/* Those that are refused are refused before they put anything, so that the others stand. */
static int group_put(struct kfl__catalog_txn *txn, void *context)
{
    struct group_change *change = context;
    const struct kfl__sync_note *at = change->notes, *notes;
    for (size_t i = 0; i < change->count; i++) {
        struct kfl__group_commit *commit = &change->commits[i];
        notes = at;
        at += commit->count;
        if (commit->refused)
            continue;
        int r = kfl__members_fence(txn, commit->group, commit->member_id, commit->instance_id, commit->items, commit->count);
        if (r == 0)
            r = group_check_topics(txn, commit);
        group_settle(commit, r);
        r = r < 0 ? 0 : group_put_one(txn, commit, notes, change->now_ms);
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

/* Before the transaction: can it be, and is what it covers durable? */
static int group_prepare(const struct kfl__group_commit *commit)
{
    int r = 0;
    for (size_t i = 0; i < commit->count && r == 0; i++)
        r = group_check(&commit->items[i]);
    for (size_t i = 0; i < commit->count && r == 0; i++)
        r = kfl__sync_wait(commit->items[i].partition, commit->items[i].offset, -1);
    return r;
}

void kfl__group_commit_all(struct kfl__core *core, struct kfl__group_commit *commits, size_t count)
{
    struct group_change change = {.commits = commits, .count = count, .now_ms = kfl__clock_wall_ms(&core->clock)};
    size_t items = 0, at = 0, left = 0;
    for (size_t i = 0; i < count; i++) {
        int r = group_prepare(&commits[i]);
        group_settle(&commits[i], r);
        commits[i].refused = r < 0 || commits[i].count == 0;
        left += !commits[i].refused;
        items += commits[i].count;
    }
    if (left == 0)
        return;
    int r = 0;
    change.notes = kfl__alloc_array(items, sizeof *change.notes);
    if (change.notes == NULL)
        r = kfl__fail(KFL_E_NOMEM, "a commit of %zu partitions: out of memory", items);
    for (size_t i = 0; i < count && r == 0; i++)
        for (size_t j = 0; j < commits[i].count; j++, at++)
            if (!commits[i].refused)
                kfl__sync_note(commits[i].items[j].partition, &change.notes[at]);
    if (r == 0)
        r = kfl__catalog_change_run(core->catalog, group_put, &change);
    kfl__free(change.notes);
    for (size_t i = 0; i < count && r < 0; i++)
        if (!commits[i].refused)
            group_settle(&commits[i], r);
}

int kfl__group_commit(struct kfl__core *core, const char *group, const char *member_id, const char *instance_id,
                      const struct kfl__group_item *items, size_t count)
{
    struct kfl__group_commit commit = {
        .group = group, .member_id = member_id, .instance_id = instance_id, .items = items, .count = count};
    kfl__group_commit_all(core, &commit, 1);
    /* A group whose members are all dead has none: somebody has to find that out. */
    if (commit.result == KFL_E_UNKNOWN_MEMBER_ID && member_id == NULL && kfl__members_sweep(core, false) > 0)
        kfl__group_commit_all(core, &commit, 1);
    if (commit.result < 0)
        kfl__error_restore(&commit.words);
    return commit.result;
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
