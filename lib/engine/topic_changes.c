/* SPDX-License-Identifier: MIT */
/*
 * Changes of topics: create, grow, configure, delete; and the word that tells the other processes.
 *
 * The word says twice which version of the topics the catalog has. Before a change is committed it is made
 * odd, and whoever meets an odd word looks at the catalog and does not remember the word: a process that is
 * killed on either side of its commit has told the others all the same. Once the commit can be seen, anybody
 * raises the word to an even one; where no commit came, the helper makes one that changes nothing else.
 */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "engine/hold.h"
#include "engine/members.h"
#include "engine/notify.h"
#include "engine/topics.h"
#include "format/codec.h"
#include "format/names.h"

#define CHANGES_WAIT_MS 10000

/* ---- the word ---- */

static void changes_raise_word(struct kfl__core *core, uint64_t word)
{
    _Atomic uint64_t *shared = &core->shared->topics_version;
    uint64_t before = atomic_load(shared);
    while (before < word && !atomic_compare_exchange_weak(shared, &before, word))
        ;
}

void kfl__topics_saw(struct kfl__core *core, uint64_t version)
{
    changes_raise_word(core, version * 2);
}

/* Within the change, its work done: from here on the others look at the catalog each time. */
static int changes_announce(struct kfl__catalog_txn *txn, struct kfl__core *core)
{
    uint64_t version;
    int r = kfl__topics_version(txn, &version);
    if (r == 0)
        changes_raise_word(core, version * 2 - 1);
    return r;
}

static int changes_get_version(struct kfl__catalog_txn *txn, void *context)
{
    return kfl__topics_version(txn, context);
}

/* The change is over, and may have been committed. Keeps the thread's words. */
static void changes_settle(struct kfl__core *core)
{
    struct kfl__words words;
    uint64_t version;
    kfl__error_save(&words);
    if (kfl__catalog_look(core->catalog, changes_get_version, &version) == 0)
        kfl__topics_saw(core, version);
    kfl__error_restore(&words);
}

static int changes_run_catch_up(struct kfl__catalog_txn *txn, void *context)
{
    return kfl__topics_version_raise(txn, *(uint64_t *)context);
}

int kfl__topics_catch_up(struct kfl__core *core, uint64_t word)
{
    uint64_t version = word / 2 + 1;
    if (word % 2 == 0 || atomic_load(&core->shared->topics_version) != word)
        return 0;
    int r = kfl__catalog_change_run(core->catalog, changes_run_catch_up, &version);
    changes_settle(core);
    return r;
}

/* ---- changing ---- */

struct changes_topic {
    struct kfl__core *core;
    const char *name;
    int32_t partition_count;
    const kfl_config *config; /* of an alteration */
    char *properties;         /* of a creation */
    struct kfl__topic_row row;
};

static int changes_run_create(struct kfl__catalog_txn *txn, void *context)
{
    struct changes_topic *change = context;
    int r = kfl__topics_create(txn, &change->row);
    return r < 0 ? r : changes_announce(txn, change->core);
}

static int changes_run_grow(struct kfl__catalog_txn *txn, void *context)
{
    struct changes_topic *change = context;
    int r = kfl__topics_grow(txn, change->name, change->partition_count);
    return r < 0 ? r : changes_announce(txn, change->core);
}

/* What is set joins what the row has, within the transaction: changes made at the same time add up. */
static int changes_run_alter(struct kfl__catalog_txn *txn, void *context)
{
    struct changes_topic *change = context;
    struct kfl__topic_row row;
    kfl_config *config = NULL;
    char *properties = NULL;
    int r = kfl__topics_find(txn, change->name, &row);
    if (r == 0)
        r = kfl__config_decode(row.properties == NULL ? "" : row.properties, &config);
    if (r == 0)
        r = kfl__config_merge(config, change->config);
    if (r == 0)
        r = kfl__hold_check_config(config);
    if (r == 0)
        r = kfl__config_encode(config, &properties);
    if (r == 0)
        r = kfl__topics_alter(txn, change->name, properties);
    if (r == 0)
        r = changes_announce(txn, change->core);
    kfl_config_destroy(config);
    kfl__free(properties);
    return r;
}

struct changes_delete {
    struct kfl__core *core;
    const char *name;
    uint64_t topic_id;
};

static int changes_run_delete(struct kfl__catalog_txn *txn, void *context)
{
    struct changes_delete *delete = context;
    int r = kfl__topics_delete(txn, delete->name, &delete->topic_id);
    return r < 0 ? r : changes_announce(txn, delete->core);
}

/* Runs it, and tells the others whichever way it went. */
static int changes_run(struct kfl__core *core, kfl__catalog_change *change, void *context)
{
    int r = kfl__catalog_change_run(core->catalog, change, context);
    changes_settle(core);
    kfl__members_wake_all(core, false);
    return r;
}

static int changes_check_config(const kfl_config *config)
{
    return kfl__config_check(config, KFL_SCOPE_TOPIC, kfl__codec_is_built(KFL_CODEC_LZ4),
                             kfl__codec_is_built(KFL_CODEC_ZSTD));
}

static int changes_check_count(const char *name, int32_t partition_count)
{
    if (partition_count >= 1 && partition_count <= KFL_PARTITIONS_MAX)
        return 0;
    kfl__fail(KFL_E_INVALID_PARTITIONS,
              "topic %s: %d is not a possible number of partitions: 1 to %d", name, partition_count,
              KFL_PARTITIONS_MAX);
    return kfl__fail_at(KFL_E_INVALID_PARTITIONS, name, -1, -1);
}

int kfl__topics_make(struct kfl__core *core, const char *name, int32_t partition_count,
                     const kfl_config *config)
{
    struct changes_topic change = {.core = core, .name = name};
    int r = kfl__topic_name_check(name);
    if (r == 0)
        r = changes_check_count(name, partition_count);
    if (r == 0)
        r = changes_check_config(config);
    if (r == 0)
        r = kfl__hold_check_config(config);
    if (r == 0)
        r = kfl__config_encode(config, &change.properties);
    if (r < 0)
        return r;
    change.row.partition_count = partition_count;
    change.row.created_ms = kfl__clock_wall_ms(&core->clock);
    change.row.properties = change.properties;
    snprintf(change.row.name, sizeof change.row.name, "%s", name);
    r = changes_run(core, changes_run_create, &change);
    kfl__free(change.properties);
    return r < 0 ? kfl__fail_at(r, name, -1, -1) : 0;
}

int kfl__topics_add_partitions(struct kfl__core *core, const char *name, int32_t partition_count)
{
    struct changes_topic change = {.core = core, .name = name, .partition_count = partition_count};
    int r = kfl__topic_name_check(name);
    if (r == 0)
        r = changes_check_count(name, partition_count);
    if (r == 0)
        r = changes_run(core, changes_run_grow, &change);
    return r < 0 ? kfl__fail_at(r, name, -1, -1) : 0;
}

int kfl__topics_configure(struct kfl__core *core, const char *name, const kfl_config *changes)
{
    struct changes_topic change = {.core = core, .name = name, .config = changes};
    int r = kfl__topic_name_check(name);
    if (r == 0)
        r = changes_check_config(changes);
    if (r == 0)
        r = changes_run(core, changes_run_alter, &change);
    return r < 0 ? kfl__fail_at(r, name, -1, -1) : 0;
}

/* ---- deleting ---- */

static int changes_unlink_visit(const char *name, void *context)
{
    int64_t id;
    enum kfl__name_kind kind;
    int directory = *(int *)context;
    if (!kfl__name_decode(name, &id, &kind))
        return 0; /* not ours: it stays, and with it the folder */
    int r = kfl__file_unlink(directory, name);
    return r < 0 ? r : 0;
}

struct changes_folder {
    int topic;
};

static int changes_empty_partition(const char *name, void *context)
{
    struct changes_folder *folder = context;
    int directory = -1;
    int r = kfl__file_open_directory(folder->topic, name, &directory);
    if (r != 0)
        return r < 0 ? r : 0;
    r = kfl__file_list(directory, changes_unlink_visit, &directory);
    kfl__file_close(directory);
    if (r == 0)
        r = kfl__file_remove_directory(folder->topic, name);
    return r < 0 ? r : 0;
}

/* Everything of a topic that the catalog does not have any more. */
static int changes_remove_folder(struct kfl__core *core, uint64_t topic_id)
{
    struct changes_folder folder = {-1};
    char name[32];
    int topics = -1;
    int r = kfl__file_open_directory(core->directory, KFL_NAME_TOPICS, &topics);
    if (r != 0)
        return r < 0 ? r : 0;
    snprintf(name, sizeof name, "%llu", (unsigned long long)topic_id);
    r = kfl__file_open_directory(topics, name, &folder.topic);
    if (r == 0) {
        r = kfl__file_list(folder.topic, changes_empty_partition, &folder);
        kfl__file_close(folder.topic);
        if (r == 0)
            r = kfl__file_remove_directory(topics, name);
        if (r >= 0)
            r = kfl__file_sync_directory(topics); /* before the note that remembers it goes */
    }
    kfl__file_close(topics);
    return r < 0 ? r : 0;
}

static int changes_drop_trash(struct kfl__catalog_txn *txn, void *context)
{
    return kfl__topic_trash_drop(txn, *(uint64_t *)context);
}

/*
 * No append to the slot from here on, and nobody makes a file for it: who was at either is waited for. KFL_E_BUSY:
 * somebody holds on to its files for so long that it must be stopped; what it leaves is for the next sweep.
 */
static KFL_UNCHECKED int changes_mark_slot(struct kfl__core *core, struct kfl__slot *slot,
                                           uint64_t topic_id, int32_t wait_ms)
{
    int64_t deadline = kfl__clock_deadline_ns(wait_ms);
    int prepare = kfl__lock_answer(core, kfl__robust_lock(&slot->prepare, KFL_RANK_PREPARE, deadline));
    if (prepare < 0)
        return prepare;
    int append = kfl__lock_answer(core, kfl__lendable_lock(&slot->append, KFL_RANK_APPEND, deadline));
    if (append >= 0) {
        /* Whoever holds it for so long is stopped: its append goes to a topic that is gone. */
        if (atomic_load(&slot->topic_id) == topic_id)
            atomic_store(&slot->deleted, 1);
        else if (append == KFL_LOCK_OWNER_DIED)
            atomic_store(&slot->suspect, 1);
        atomic_fetch_add(&slot->manifest_version, 1);
        if (append == KFL_LOCK_OWNER_DIED)
            kfl__lendable_mended(&slot->append);
        if (append != KFL_LOCK_BUSY)
            kfl__lendable_unlock(&slot->append, KFL_RANK_APPEND);
    }
    if (prepare == KFL_LOCK_OWNER_DIED)
        kfl__robust_mended(&slot->prepare);
    if (prepare != KFL_LOCK_BUSY)
        kfl__robust_unlock(&slot->prepare, KFL_RANK_PREPARE);
    kfl__notify_raise(core, slot);
    return append < 0 ? append : prepare == KFL_LOCK_BUSY ? KFL_E_BUSY : 0;
}

/* The slots of a topic that the catalog does not have any more: those that some process has used. */
static int changes_mark_slots(struct kfl__core *core, uint64_t topic_id, int32_t wait_ms)
{
    uint32_t count = atomic_load(&core->shared->slot_count);
    int first = 0;
    for (uint32_t n = 0; n < count; n++) {
        struct kfl__slot *slot;
        int r = kfl__state_slot(core->state, n, &slot);
        if (r < 0)
            return r;
        if (atomic_load(&slot->topic_id) == topic_id && atomic_load(&slot->deleted) == 0)
            r = changes_mark_slot(core, slot, topic_id, wait_ms);
        if (r < 0 && first == 0)
            first = r;
    }
    return first;
}

int kfl__topics_clear(struct kfl__core *core, uint64_t topic_id, int32_t wait_ms)
{
    int r = changes_mark_slots(core, topic_id, wait_ms);
    if (r == 0)
        r = changes_remove_folder(core, topic_id);
    return r < 0 ? r : kfl__catalog_change_run(core->catalog, changes_drop_trash, &topic_id);
}

int kfl__topics_remove(struct kfl__core *core, const char *name)
{
    struct changes_delete delete = {.core = core, .name = name};
    struct kfl__topic *topic = NULL;
    int r = kfl__topic_find(core, name, &topic);
    if (r < 0)
        return r;
    r = changes_run(core, changes_run_delete, &delete);
    if (r == 0) {
        struct kfl__words words;
        kfl__error_save(&words);
        /* The records are gone with the transaction; files that cannot be unlinked now are swept later. */
        (void)kfl__topics_clear(core, delete.topic_id, CHANGES_WAIT_MS);
        (void)kfl__topic_refresh(topic); /* finds it gone */
        kfl__error_restore(&words);
    }
    kfl__topic_release(topic);
    return r < 0 ? kfl__fail_at(r, name, -1, -1) : 0;
}
