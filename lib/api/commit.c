/* SPDX-License-Identifier: MIT */
/* Committed offsets, as consumers see them. */
#include <string.h>

#include "api/consumer.h"
#include "base/memory.h"
#include "catalog/offsets.h"
#include "engine/group.h"

int kfl__commit_list_create(size_t room, struct kfl__commit_list *list)
{
    *list = (struct kfl__commit_list){0};
    if (room > INT32_MAX)
        return kfl__fail(KFL_E_INVALID, "a commit of %zu partitions", room);
    list->room = room;
    list->items = kfl__alloc_array(room == 0 ? 1 : room, sizeof *list->items);
    list->topics = kfl__alloc_array(room == 0 ? 1 : room, sizeof *list->topics);
    if (list->items != NULL && list->topics != NULL)
        return 0;
    kfl__free(list->items);
    kfl__free(list->topics);
    *list = (struct kfl__commit_list){0};
    return kfl__fail(KFL_E_NOMEM, "a commit of %zu partitions: out of memory", room);
}

void kfl__commit_list_put(struct kfl__commit_list *list, struct kfl__topic *topic,
                          const struct kfl__group_item *item)
{
    assert(list->count < list->room);
    kfl__topic_acquire(topic);
    list->topics[list->count] = topic;
    list->items[list->count++] = *item;
}

void kfl__commit_list_release(struct kfl__commit_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        kfl__topic_release(list->topics[i]);
    kfl__free(list->items);
    kfl__free(list->topics);
    *list = (struct kfl__commit_list){0};
}

int kfl__commit_list_add(struct kfl__commit_list *list, struct kfl__core *core, const char *name, int32_t number)
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

/* What this consumer has asked to commit without waiting is settled first: one that comes later must not be undone by it. */
static int commit_come_behind(kfl_consumer *consumer)
{
    kfl__mutex_lock(&consumer->lock);
    bool any = consumer->async.waiting.count > 0 || consumer->async.taken.count > 0 ||
               kfl__async_releases(consumer);
    kfl__mutex_unlock(&consumer->lock);
    return any ? kfl__async_finish(consumer) : 0;
}

int kfl__consumer_commit_list(kfl_consumer *consumer, struct kfl__commit_list *list)
{
    const char *member_id = NULL, *instance_id = consumer->settings->group_instance_id;
    bool subscribed, fenced;
    int r = commit_come_behind(consumer);
    if (r < 0)
        return r;
    kfl__mutex_lock(&consumer->lock);
    struct kfl__membership *membership = consumer->membership;
    subscribed = membership != NULL;
    fenced = subscribed && membership->fenced;
    if (subscribed && membership->joined)
        member_id = membership->id;
    kfl__mutex_unlock(&consumer->lock);
    if (fenced)
        return kfl__fail(KFL_E_FENCED_INSTANCE_ID, "another consumer has joined with group.instance.id=%s: close this one",
                         instance_id);
    if (subscribed && member_id == NULL)
        return kfl__fail(KFL_E_UNKNOWN_MEMBER_ID, "this consumer has no place in group %s: the next poll joins",
                         consumer->settings->group_id);
    return kfl__group_commit(consumer->core, consumer->settings->group_id, member_id, instance_id, list->items, list->count);
}

static int commit_run(kfl_consumer *consumer, struct kfl__commit_list *list, int r)
{
    if (r == 0)
        r = kfl__consumer_commit_list(consumer, list);
    kfl__commit_list_release(list);
    kfl__core_leave(consumer->core);
    return r;
}

/* The positions of all that is assigned. */
static int commit_positions(kfl_consumer *consumer, struct kfl__commit_list *list)
{
    kfl__mutex_lock(&consumer->lock);
    int r = kfl__commit_list_create((size_t)consumer->assigned_count, list);
    for (int32_t i = 0; i < consumer->assigned_count && r == 0; i++) {
        struct kfl__assigned *assigned = &consumer->assigned[i];
        struct kfl__group_item item = {.partition = assigned->partition, .offset = assigned->cursor.offset};
        /* Without a position, by auto.offset.reset=none, there is nothing to commit. */
        if (item.offset >= 0)
            kfl__commit_list_put(list, assigned->topic, &item);
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

/* Records of a partition that was another member's since they were polled must not take its group back. */
static int commit_check_epoch(kfl_consumer *consumer, const kfl_records *records, const struct kfl__commit_list *list)
{
    int r = 0;
    kfl__mutex_lock(&consumer->lock);
    for (size_t i = 0; consumer->membership != NULL && i < list->count && r == 0; i++)
        for (int32_t j = 0; j < consumer->assigned_count; j++) {
            const struct kfl__assigned *assigned = &consumer->assigned[j];
            if (assigned->partition != list->items[i].partition || assigned->epoch <= kfl__records_epoch(records))
                continue;
            kfl__fail(KFL_E_ILLEGAL_GENERATION, "partition %s/%d was another member's since these records were polled",
                      assigned->topic->name, assigned->partition->number);
            r = kfl__fail_at(KFL_E_ILLEGAL_GENERATION, assigned->topic->name, assigned->partition->number, -1);
        }
    kfl__mutex_unlock(&consumer->lock);
    return r;
}

/* Behind the last record of each partition. Records of one partition come in order and mostly together. */
static int commit_behind(kfl_consumer *consumer, const kfl_records *records, struct kfl__commit_list *list)
{
    int32_t count = kfl_records_count(records);
    size_t partitions = 0;
    for (int32_t i = 0; i < count; i++) {
        const kfl_record *record = kfl_records_get(records, i);
        const kfl_record *before = kfl_records_get(records, i - 1);
        partitions += before == NULL || before->partition != record->partition || before->topic != record->topic;
    }
    int r = kfl__commit_list_create(partitions, list);
    for (int32_t i = 0; i < count && r == 0; i++) {
        const kfl_record *record = kfl_records_get(records, i);
        const kfl_record *next = kfl_records_get(records, i + 1);
        if (next != NULL && next->partition == record->partition && next->topic == record->topic)
            continue;
        r = kfl__commit_list_add(list, consumer->core, record->topic, record->partition);
        if (r == 0)
            r = commit_check_topic(records, record, list->topics[list->count - 1]);
        if (r == 0)
            list->items[list->count - 1].offset = record->offset + 1;
    }
    return r;
}

int kfl_consumer_commit(kfl_consumer *consumer, const kfl_records *records)
{
    struct kfl__commit_list list = {0};
    int r = commit_enter(consumer);
    if (r < 0)
        return r;
    r = records == NULL ? commit_positions(consumer, &list) : commit_behind(consumer, records, &list);
    if (r == 0 && records != NULL)
        r = commit_check_epoch(consumer, records, &list);
    return commit_run(consumer, &list, r);
}

/* What the caller says, with shares of the topics; metadata are borrowed. */
static int commit_said(struct kfl__core *core, const kfl_partition_offset *offsets, size_t count,
                       struct kfl__commit_list *list)
{
    int r = kfl__commit_list_create(count, list);
    for (size_t i = 0; i < count && r == 0; i++) {
        if (offsets[i].metadata == NULL && offsets[i].metadata_size > 0)
            r = kfl__fail(KFL_E_INVALID, "a commit: a metadata size without bytes");
        else
            r = kfl__commit_list_add(list, core, offsets[i].topic, offsets[i].partition);
        if (r == 0) {
            list->items[i].offset = offsets[i].offset;
            list->items[i].metadata = offsets[i].metadata;
            list->items[i].metadata_size = offsets[i].metadata_size;
        }
    }
    return r;
}

int kfl_consumer_commit_offsets(kfl_consumer *consumer, const kfl_partition_offset *offsets, size_t count)
{
    struct kfl__commit_list list = {0};
    if (offsets == NULL && count > 0)
        return kfl__fail(KFL_E_INVALID, "kfl_consumer_commit_offsets: offsets is NULL");
    int r = commit_enter(consumer);
    if (r < 0)
        return r;
    r = commit_said(consumer->core, offsets, count, &list);
    return commit_run(consumer, &list, r);
}

int kfl_consumer_commit_async(kfl_consumer *consumer, const kfl_partition_offset *offsets, size_t count,
                              int64_t *out_ticket)
{
    struct kfl__commit_list list = {0};
    int64_t ticket = 0;
    if ((offsets == NULL) != (count == 0))
        return kfl__fail(KFL_E_INVALID, "kfl_consumer_commit_async: offsets and count do not go together");
    int r = commit_enter(consumer);
    if (r < 0)
        return r;
    if (offsets != NULL)
        r = commit_said(consumer->core, offsets, count, &list);
    if (r == 0)
        r = kfl__async_add(consumer, offsets == NULL ? NULL : &list, out_ticket == NULL ? NULL : &ticket);
    kfl__commit_list_release(&list);
    kfl__core_leave(consumer->core);
    if (r == 0 && out_ticket != NULL)
        *out_ticket = ticket;
    return r;
}

int kfl_consumer_committed(kfl_consumer *consumer, const kfl_partition_offset *partitions, size_t count, kfl_offsets **out_offsets)
{
    struct kfl__commit_list list = {0};
    kfl_offsets *offsets = NULL;
    if (out_offsets == NULL || (partitions == NULL && count > 0))
        return kfl__fail(KFL_E_INVALID, "kfl_consumer_committed: %s is NULL", out_offsets == NULL ? "out_offsets" : "partitions");
    if (consumer == NULL)
        return kfl__fail(KFL_E_INVALID, "the consumer is NULL");
    int r = kfl__group_name_check(consumer->settings->group_id);
    if (r == 0)
        r = kfl__core_enter(consumer->core);
    if (r < 0)
        return r;
    r = commit_come_behind(consumer);
    if (r == 0)
        r = kfl__commit_list_create(count, &list);
    for (size_t i = 0; i < count && r == 0; i++)
        r = kfl__commit_list_add(&list, consumer->core, partitions[i].topic, partitions[i].partition);
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
    kfl__commit_list_release(&list);
    kfl__core_leave(consumer->core);
    if (r < 0) {
        kfl_offsets_release(offsets);
        return r;
    }
    *out_offsets = offsets;
    return 0;
}

int kfl_group_commit_offsets(kfl_store *store, const char *group, const kfl_partition_offset *offsets, size_t count)
{
    struct kfl__commit_list list = {0};
    int r = kfl__store_check_writable(store);
    if (r == 0 && offsets == NULL && count > 0)
        r = kfl__fail(KFL_E_INVALID, "kfl_group_commit_offsets: offsets is NULL");
    if (r == 0)
        r = kfl__group_name_check(group);
    if (r == 0)
        r = kfl__core_enter(store->core);
    if (r < 0)
        return r;
    r = commit_said(store->core, offsets, count, &list);
    if (r == 0)
        r = kfl__group_commit(store->core, group, NULL, "", list.items, list.count);
    kfl__commit_list_release(&list);
    kfl__core_leave(store->core);
    return r;
}
