/* SPDX-License-Identifier: MIT */
/* Committed offsets, as callers see them: by consumers, and by group name. */
#include <string.h>

#include "api/consumer.h"
#include "base/memory.h"
#include "catalog/offsets.h"
#include "engine/group.h"

/* Partitions of one commit, with shares of their topics. */
struct commit_list {
    struct kfl__group_item *items;
    struct kfl__topic **topics;
    size_t count, room;
};

static int commit_list_create(size_t room, struct commit_list *list)
{
    *list = (struct commit_list){.room = room};
    list->items = kfl__alloc_array(room == 0 ? 1 : room, sizeof *list->items);
    list->topics = kfl__alloc_array(room == 0 ? 1 : room, sizeof *list->topics);
    if (list->items != NULL && list->topics != NULL)
        return 0;
    kfl__free(list->items);
    kfl__free(list->topics);
    *list = (struct commit_list){0};
    return kfl__fail(KFL_E_NOMEM, "a commit of %zu partitions: out of memory", room);
}

static void commit_list_release(struct commit_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        kfl__topic_release(list->topics[i]);
    kfl__free(list->items);
    kfl__free(list->topics);
}

static int commit_list_add(struct commit_list *list, struct kfl__core *core, const char *name, int32_t number)
{
    struct kfl__topic *topic = NULL;
    struct kfl__group_item *item = &list->items[list->count];
    if (name == NULL)
        return kfl__fail(KFL_E_INVALID, "a topic name is NULL");
    int r = kfl__topic_find(core, name, &topic);
    if (r == 0)
        r = kfl__topic_partition(topic, number, &item->partition);
    if (r < 0) {
        kfl__topic_release(topic);
        return r;
    }
    list->topics[list->count++] = topic;
    return 0;
}

/* Enter for a call on the consumer's group; polls are not waited for. */
static int commit_enter(kfl_consumer *consumer)
{
    if (consumer == NULL)
        return kfl__fail(KFL_E_INVALID, "the consumer is NULL");
    int r = kfl__core_check_writable(consumer->core);
    if (r == 0)
        r = kfl__group_name_check(consumer->settings->group_id);
    return r < 0 ? r : kfl__core_enter(consumer->core);
}

static int commit_run(kfl_consumer *consumer, struct commit_list *list, int r)
{
    if (r == 0)
        r = kfl__group_commit(consumer->core, consumer->settings->group_id, list->items, list->count);
    commit_list_release(list);
    kfl__core_leave(consumer->core);
    return r;
}

/* The positions of all that is assigned. */
static int commit_positions(kfl_consumer *consumer, struct commit_list *list)
{
    kfl__mutex_lock(&consumer->lock);
    int r = commit_list_create((size_t)consumer->assigned_count, list);
    for (int32_t i = 0; i < consumer->assigned_count && r == 0; i++) {
        struct kfl__assigned *assigned = &consumer->assigned[i];
        kfl__topic_acquire(assigned->topic);
        list->topics[list->count] = assigned->topic;
        list->items[list->count++] = (struct kfl__group_item){.partition = assigned->partition, .offset = assigned->cursor.offset};
    }
    kfl__mutex_unlock(&consumer->lock);
    return r;
}

/* A topic of this name is there; is it the one that the record was read from? */
static int commit_check_topic(const kfl_records *records, const kfl_record *record, const struct kfl__topic *topic)
{
    uint64_t topic_id = kfl__records_topic_id(records, record->topic);
    if (topic_id == 0 || topic_id == topic->id)
        return 0;
    kfl__fail(KFL_E_UNKNOWN_TOPIC_OR_PARTITION,
              "the topic %s of these records was deleted, and another one has its name: poll the new one, then commit",
              record->topic);
    return kfl__fail_at(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, record->topic, record->partition, record->offset + 1);
}

/* Behind the last record of each partition. Records of one partition come in order and mostly together. */
static int commit_behind(kfl_consumer *consumer, const kfl_records *records, struct commit_list *list)
{
    int32_t count = kfl_records_count(records);
    size_t partitions = 0;
    for (int32_t i = 0; i < count; i++) {
        const kfl_record *record = kfl_records_get(records, i);
        const kfl_record *before = kfl_records_get(records, i - 1);
        partitions += before == NULL || before->partition != record->partition || before->topic != record->topic;
    }
    int r = commit_list_create(partitions, list);
    for (int32_t i = 0; i < count && r == 0; i++) {
        const kfl_record *record = kfl_records_get(records, i);
        const kfl_record *next = kfl_records_get(records, i + 1);
        if (next != NULL && next->partition == record->partition && next->topic == record->topic)
            continue;
        r = commit_list_add(list, consumer->core, record->topic, record->partition);
        if (r == 0)
            r = commit_check_topic(records, record, list->topics[list->count - 1]);
        if (r == 0)
            list->items[list->count - 1].offset = record->offset + 1;
    }
    return r;
}

int kfl_consumer_commit(kfl_consumer *consumer, const kfl_records *records)
{
    struct commit_list list = {0};
    int r = commit_enter(consumer);
    if (r < 0)
        return r;
    r = records == NULL ? commit_positions(consumer, &list) : commit_behind(consumer, records, &list);
    return commit_run(consumer, &list, r);
}

int kfl_consumer_commit_offsets(kfl_consumer *consumer, const kfl_partition_offset *offsets, size_t count)
{
    struct commit_list list = {0};
    if (offsets == NULL && count > 0)
        return kfl__fail(KFL_E_INVALID, "kfl_consumer_commit_offsets: offsets is NULL");
    int r = commit_enter(consumer);
    if (r < 0)
        return r;
    r = commit_list_create(count, &list);
    for (size_t i = 0; i < count && r == 0; i++) {
        if (offsets[i].metadata == NULL && offsets[i].metadata_size > 0)
            r = kfl__fail(KFL_E_INVALID, "kfl_consumer_commit_offsets: a metadata size without bytes");
        else
            r = commit_list_add(&list, consumer->core, offsets[i].topic, offsets[i].partition);
        if (r == 0) {
            list.items[i].offset = offsets[i].offset;
            list.items[i].metadata = offsets[i].metadata;
            list.items[i].metadata_size = offsets[i].metadata_size;
        }
    }
    return commit_run(consumer, &list, r);
}

int kfl_consumer_committed(kfl_consumer *consumer, const kfl_partition_offset *partitions, size_t count, kfl_offsets **out_offsets)
{
    struct commit_list list = {0};
    kfl_offsets *offsets = NULL;
    if (out_offsets == NULL || (partitions == NULL && count > 0))
        return kfl__fail(KFL_E_INVALID, "kfl_consumer_committed: an argument is NULL");
    if (consumer == NULL)
        return kfl__fail(KFL_E_INVALID, "the consumer is NULL");
    int r = kfl__group_name_check(consumer->settings->group_id);
    if (r == 0)
        r = kfl__core_enter(consumer->core);
    if (r < 0)
        return r;
    r = commit_list_create(count, &list);
    for (size_t i = 0; i < count && r == 0; i++)
        r = commit_list_add(&list, consumer->core, partitions[i].topic, partitions[i].partition);
    if (r == 0)
        r = kfl__group_committed(consumer->core, consumer->settings->group_id, list.items, list.count);
    bool looked = r == 0;
    if (r == 0)
        r = kfl__offsets_create(&offsets);
    for (size_t i = 0; i < list.count && r == 0; i++) {
        kfl_partition_offset offset = {
            .topic = list.topics[i]->name,
            .partition = list.items[i].partition->number,
            .offset = list.items[i].offset,
            .metadata = list.items[i].metadata,
            .metadata_size = list.items[i].metadata_size,
        };
        r = kfl__offsets_add(offsets, &offset);
    }
    for (size_t i = 0; looked && i < list.count; i++)
        kfl__free((void *)(uintptr_t)list.items[i].metadata);
    commit_list_release(&list);
    kfl__core_leave(consumer->core);
    if (r < 0) {
        kfl_offsets_release(offsets);
        return r;
    }
    *out_offsets = offsets;
    return 0;
}

/* ---- groups by name ---- */

static int commit_add_group(const char *group, void *context)
{
    return kfl__names_add(context, group);
}

static int commit_list_groups(struct kfl__catalog_txn *txn, void *context)
{
    return kfl__offsets_visit_groups(txn, commit_add_group, context);
}

int kfl_group_list(kfl_store *store, kfl_names **out_names)
{
    kfl_names *names = NULL;
    int r = kfl__store_check(store);
    if (r == 0 && out_names == NULL)
        r = kfl__fail(KFL_E_INVALID, "kfl_group_list: out_names is NULL");
    if (r == 0)
        r = kfl__core_enter(store->core);
    if (r < 0)
        return r;
    r = kfl__names_create(&names);
    if (r == 0)
        r = kfl__catalog_look(store->core->catalog, commit_list_groups, names);
    kfl__core_leave(store->core);
    if (r < 0) {
        kfl_names_release(names);
        return r;
    }
    kfl__names_sort(names);
    *out_names = names;
    return 0;
}

struct commit_group_look {
    struct kfl__catalog_txn *txn;
    const char *group;
    kfl_offsets *offsets;
};

static int commit_add_offset(uint64_t topic_id, int32_t partition, const struct kfl__offset_row *row, void *context)
{
    struct commit_group_look *look = context;
    struct kfl__topic_row topic;
    int r = kfl__topics_get(look->txn, topic_id, &topic);
    if (r == KFL_E_UNKNOWN_TOPIC_OR_PARTITION)
        return 0;
    if (r < 0)
        return r;
    kfl_partition_offset offset = {
        .topic = topic.name,
        .partition = partition,
        .offset = row->offset,
        .metadata = row->metadata,
        .metadata_size = row->metadata_size,
    };
    return kfl__offsets_add(look->offsets, &offset);
}

static int commit_look_group(struct kfl__catalog_txn *txn, void *context)
{
    struct commit_group_look *look = context;
    look->txn = txn;
    return kfl__offsets_visit_group(txn, look->group, commit_add_offset, look);
}

int kfl_group_offsets(kfl_store *store, const char *group, kfl_offsets **out_offsets)
{
    struct commit_group_look look = {.group = group};
    int r = kfl__store_check(store);
    if (r == 0 && out_offsets == NULL)
        r = kfl__fail(KFL_E_INVALID, "kfl_group_offsets: out_offsets is NULL");
    if (r == 0)
        r = kfl__group_name_check(group);
    if (r == 0)
        r = kfl__core_enter(store->core);
    if (r < 0)
        return r;
    r = kfl__offsets_create(&look.offsets);
    if (r == 0)
        r = kfl__catalog_look(store->core->catalog, commit_look_group, &look);
    kfl__core_leave(store->core);
    if (r == 0 && kfl_offsets_count(look.offsets) == 0)
        r = kfl__fail(KFL_E_GROUP_ID_NOT_FOUND, "group %s has committed nothing", group);
    if (r < 0) {
        kfl_offsets_release(look.offsets);
        return r;
    }
    *out_offsets = look.offsets;
    return 0;
}
