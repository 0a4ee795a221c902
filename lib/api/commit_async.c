/* SPDX-License-Identifier: MIT */
/*
 * Commits that nobody waits for.
 *
 * A consumer keeps what is to be committed, the newest offset of each partition, until the committer
 * takes it; what comes while a commit is under way is joined. The outcome is an event.
 */
#include <stdio.h>
#include <string.h>

#include "api/consumer.h"
#include "base/memory.h"
#include "engine/members.h"
#include "engine/notify.h"

static kfl_consumer *async_consumer(struct kfl__commit_client *client)
{
    return (kfl_consumer *)(void *)((char *)client - offsetof(struct kfl_consumer, async) -
                                    offsetof(struct kfl__async, client));
}

static void async_free_metadata(struct kfl__group_item *item)
{
    kfl__free((void *)(uintptr_t)item->metadata);
    item->metadata = NULL;
}

/* Keeps the room. */
static void async_clear(struct kfl__commit_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        async_free_metadata(&list->items[i]);
        kfl__topic_release(list->topics[i]);
    }
    list->count = 0;
}

/* What became of a list: an event, if anybody wants to know. Holding the lock. */
static void async_tell(kfl_consumer *consumer, const struct kfl__commit_list *list, int64_t ticket,
                       int code, const char *text)
{
    if (code == 0 && ticket == 0)
        return;
    kfl_event *event = kfl__event_push(consumer, KFL_EVENT_COMMITTED);
    if (event == NULL || kfl__offsets_create(&event->offsets) < 0)
        return; /* without memory the outcome is lost, and the commit is not */
    event->code = code;
    event->ticket = ticket;
    snprintf(event->text, sizeof event->text, "%s", text);
    for (size_t i = 0; i < list->count; i++) {
        kfl_partition_offset offset = {
            .topic = list->topics[i]->name,
            .partition = list->items[i].partition->number,
            .offset = list->items[i].offset,
            .metadata = list->items[i].metadata,
            .metadata_size = list->items[i].metadata_size,
        };
        if (kfl__offsets_add(event->offsets, &offset) < 0)
            return;
    }
}

static bool async_take(struct kfl__commit_client *client, struct kfl__group_commit *commit)
{
    kfl_consumer *consumer = async_consumer(client);
    struct kfl__async *async = &consumer->async;
    kfl__mutex_lock(&consumer->lock);
    bool any = async->waiting.count > 0 || async->release == KFL_RELEASE_WAITS;
    if (async->release == KFL_RELEASE_WAITS)
        async->release = KFL_RELEASE_TAKEN;
    if (any) {
        struct kfl__commit_list empty = async->taken;
        async->taken = async->waiting;
        async->waiting = empty;
        async->taken_ticket = async->waiting_ticket;
        async->waiting_ticket = 0;
        *commit = (struct kfl__group_commit){
            .group = consumer->settings->group_id,
            .member_id = async->member_id,
            .instance_id = consumer->settings->group_instance_id,
            .items = async->taken.items,
            .count = async->taken.count,
        };
    }
    kfl__mutex_unlock(&consumer->lock);
    return any;
}

/* Behind the commits: the group's rows give on what this member has let go. */
static void async_give_up(kfl_consumer *consumer)
{
    struct kfl__async *async = &consumer->async;
    kfl__mutex_lock(&consumer->lock);
    bool taken = async->release == KFL_RELEASE_TAKEN;
    kfl__mutex_unlock(&consumer->lock);
    if (!taken)
        return;
    int r = kfl__members_release(consumer->core, consumer->settings->group_id, async->release_id,
                                 &async->released);
    kfl__mutex_lock(&consumer->lock);
    async->release = r < 0 ? KFL_RELEASE_FAILED : KFL_RELEASE_NONE;
    if (r == 0)
        kfl__places_free(&async->released);
    kfl__consumer_stir(consumer);
    kfl__mutex_unlock(&consumer->lock);
}

static void async_settle(struct kfl__commit_client *client, struct kfl__group_commit *commit)
{
    kfl_consumer *consumer = async_consumer(client);
    struct kfl__async *async = &consumer->async;
    if (commit->result < 0)
        kfl__error_restore(&commit->words);
    kfl__mutex_lock(&consumer->lock);
    async_tell(consumer, &async->taken, async->taken_ticket, commit->result,
               commit->result < 0 ? kfl_last_error() : "");
    async_clear(&async->taken);
    for (int32_t i = 0; commit->result < 0 && i < consumer->assigned_count; i++)
        consumer->assigned[i].auto_committed = -1; /* tried again with the next one */
    if (consumer->events != NULL)
        kfl__consumer_stir(consumer);
    kfl__mutex_unlock(&consumer->lock);
    async_give_up(consumer);
}

void kfl__async_init(kfl_consumer *consumer)
{
    consumer->async.client.take = async_take;
    consumer->async.client.settle = async_settle;
}

static int async_grow(struct kfl__commit_list *list)
{
    size_t room = list->room == 0 ? 16 : list->room * 2;
    struct kfl__group_item *items = kfl__realloc(list->items, room * sizeof *items);
    if (items != NULL)
        list->items = items;
    struct kfl__topic **topics = kfl__realloc(list->topics, room * sizeof *topics);
    if (topics != NULL)
        list->topics = topics;
    if (items == NULL || topics == NULL)
        return kfl__fail(KFL_E_NOMEM, "a commit of %zu partitions: out of memory", room);
    list->room = room;
    return 0;
}

/* The newest offset of its partition. `hint`: where it stands, if all commits name the same. */
static int async_note(struct kfl__commit_list *waiting, size_t hint, struct kfl__topic *topic,
                      const struct kfl__group_item *item)
{
    struct kfl__group_item copy = *item;
    size_t at =
        hint < waiting->count && waiting->items[hint].partition == item->partition ? hint : 0;
    while (at < waiting->count && waiting->items[at].partition != item->partition)
        at++;
    if (item->metadata != NULL) {
        void *bytes = kfl__alloc(item->metadata_size + 1);
        if (bytes == NULL)
            return kfl__fail(KFL_E_NOMEM, "metadata: out of memory");
        memcpy(bytes, item->metadata, item->metadata_size);
        copy.metadata = bytes;
    }
    if (at < waiting->count) {
        async_free_metadata(&waiting->items[at]);
        waiting->items[at] = copy;
        return 0;
    }
    int r = waiting->count == waiting->room ? async_grow(waiting) : 0;
    if (r < 0) {
        async_free_metadata(&copy);
        return r;
    }
    kfl__commit_list_put(waiting, topic, &copy);
    return 0;
}

/* Holding the lock: as whom this consumer commits. */
static int async_begin(kfl_consumer *consumer)
{
    struct kfl__membership *membership = consumer->membership;
    if (membership != NULL && membership->fenced)
        return kfl__fail(KFL_E_FENCED_INSTANCE_ID,
                         "another consumer has joined with group.instance.id=%s: close this one",
                         consumer->settings->group_instance_id);
    if (membership != NULL && !membership->joined)
        return kfl__fail(KFL_E_UNKNOWN_MEMBER_ID,
                         "this consumer has no place in group %s: the next poll joins",
                         consumer->settings->group_id);
    consumer->async.member_id = membership == NULL ? NULL : membership->id;
    consumer->follows = true;
    return 0;
}

int kfl__async_add(kfl_consumer *consumer, const struct kfl__commit_list *list, int64_t *out_ticket)
{
    struct kfl__async *async = &consumer->async;
    kfl__mutex_lock(&consumer->lock);
    int r = async_begin(consumer);
    for (size_t i = 0; list != NULL && i < list->count && r == 0; i++)
        r = async_note(&async->waiting, i, list->topics[i], &list->items[i]);
    for (int32_t i = 0; list == NULL && i < consumer->assigned_count && r == 0; i++) {
        struct kfl__assigned *assigned = &consumer->assigned[i];
        struct kfl__group_item item = {.partition = assigned->partition,
                                       .offset = assigned->cursor.offset};
        if (item.offset >= 0)
            r = async_note(&async->waiting, (size_t)i, assigned->topic, &item);
    }
    if (r == 0 && out_ticket != NULL)
        *out_ticket = async->waiting_ticket = ++async->last_ticket;
    bool any = async->waiting.count > 0;
    /* Nothing to commit is done at once. */
    if (r == 0 && !any && async->waiting_ticket != 0) {
        async_tell(consumer, &async->waiting, async->waiting_ticket, 0, "");
        async->waiting_ticket = 0;
    }
    kfl__mutex_unlock(&consumer->lock);
    if (r == 0 && any)
        kfl__committer_add(consumer->core, &async->client);
    return r;
}

int kfl__async_add_moved(kfl_consumer *consumer)
{
    struct kfl__async *async = &consumer->async;
    bool any = false;
    int r = consumer->assigned_count == 0 ? 0 : async_begin(consumer);
    for (int32_t i = 0; i < consumer->assigned_count && r == 0; i++) {
        struct kfl__assigned *assigned = &consumer->assigned[i];
        struct kfl__group_item item = {.partition = assigned->partition,
                                       .offset = assigned->cursor.offset};
        if (item.offset < 0 || item.offset == assigned->auto_committed)
            continue;
        r = async_note(&async->waiting, (size_t)i, assigned->topic, &item);
        assigned->auto_committed = item.offset;
        any = true;
    }
    if (any)
        kfl__committer_add(consumer->core, &async->client);
    return r;
}

void kfl__async_release(kfl_consumer *consumer, struct kfl__places *places)
{
    struct kfl__async *async = &consumer->async;
    assert(async->release == KFL_RELEASE_NONE && async->released.count == 0);
    async->release_id = consumer->membership->id;
    async->released = *places;
    *places = (struct kfl__places){0};
    async->release = KFL_RELEASE_WAITS;
    kfl__committer_add(consumer->core, &async->client);
}

bool kfl__async_releases(const kfl_consumer *consumer)
{
    return consumer->async.release == KFL_RELEASE_WAITS ||
           consumer->async.release == KFL_RELEASE_TAKEN;
}

int kfl__async_finish(kfl_consumer *consumer)
{
    return kfl__committer_run(consumer->core);
}

void kfl__async_refuse(kfl_consumer *consumer, int code)
{
    struct kfl__async *async = &consumer->async;
    if (async->waiting.count == 0)
        return;
    async_tell(consumer, &async->waiting, async->waiting_ticket, code,
               "the consumer lost its place in the group");
    async_clear(&async->waiting);
    async->waiting_ticket = 0;
}

void kfl__async_destroy(kfl_consumer *consumer)
{
    struct kfl__async *async = &consumer->async;
    async_clear(&async->waiting);
    async_clear(&async->taken);
    kfl__places_free(&async->released);
    kfl__commit_list_release(&async->waiting);
    kfl__commit_list_release(&async->taken);
}
