/* SPDX-License-Identifier: MIT */
/* Consumers: what is assigned, and where it stands. */
#include "api/consumer.h"

#include <string.h>

#include "base/memory.h"
#include "base/patience.h"
#include "base/wait.h"
#include "engine/group.h"
#include "engine/notify.h"
#include "engine/rebalance.h"

KFL_UNCHECKED int kfl__consumer_enter(kfl_consumer *consumer)
{
    if (consumer == NULL)
        return kfl__fail(KFL_E_INVALID, "the consumer is NULL");
    kfl__mutex_lock(&consumer->lock);
    int r = kfl__caller_enter(consumer->core, &consumer->caller);
    if (r < 0)
        kfl__mutex_unlock(&consumer->lock);
    return r;
}

KFL_UNCHECKED int kfl__consumer_leave(kfl_consumer *consumer, int r)
{
    kfl__caller_leave(&consumer->caller);
    kfl__mutex_unlock(&consumer->lock);
    return r;
}

void kfl__assigned_release(struct kfl__assigned *assigned)
{
    kfl__cursor_close(&assigned->cursor);
    kfl__topic_release(assigned->topic);
}

static void consumer_drop_assigned(struct kfl__assigned *assigned, int32_t count)
{
    for (int32_t i = 0; i < count; i++)
        kfl__assigned_release(&assigned[i]);
    kfl__free(assigned);
}

/* Properties that say nothing without another one are refused, not ignored. */
static int consumer_check_config(const kfl_config *config)
{
    const struct kfl__settings *settings = kfl__config_settings(config);
    const char *group = settings->group_id, *instance = settings->group_instance_id;
    if (settings->enable_auto_commit != 0 && group[0] == '\0')
        return kfl__fail(KFL_E_INVALID_CONFIG, "enable.auto.commit=true needs group.id: set it too");
    if (instance[0] != '\0' && group[0] == '\0')
        return kfl__fail(KFL_E_INVALID_CONFIG, "group.instance.id needs group.id: set it too");
    if (config != NULL && kfl_config_is_set(config, "session.timeout.ms") && instance[0] == '\0')
        return kfl__fail(KFL_E_INVALID_CONFIG,
                         "session.timeout.ms needs group.instance.id: the death of any other member is known at once");
    return kfl__assignors_check(settings->partition_assignment_strategy);
}

static void consumer_free(kfl_consumer *consumer)
{
    kfl__callers_remove(consumer->core, &consumer->caller);
    kfl__event_fd_close(consumer);
    consumer_drop_assigned(consumer->assigned, consumer->assigned_count);
    kfl__events_drop(consumer);
    kfl__async_destroy(consumer);
    kfl__membership_free(consumer);
    while (consumer->ids != NULL) {
        struct kfl__consumer_id *next = consumer->ids->next;
        kfl__free(consumer->ids);
        consumer->ids = next;
    }
    kfl__free(consumer->watches);
    kfl__records_pool_release(consumer->pool);
    kfl_config_destroy(consumer->config);
    kfl__condition_destroy(&consumer->turn);
    kfl__mutex_destroy(&consumer->lock);
    kfl__core_release(consumer->core);
    kfl__free(consumer);
}

int kfl_consumer_open(kfl_store *store, const kfl_config *config, kfl_consumer **out_consumer)
{
    int r = kfl__store_check(store);
    if (r == 0 && out_consumer == NULL)
        r = kfl__fail(KFL_E_INVALID, "kfl_consumer_open: out_consumer is NULL");
    if (r == 0)
        r = kfl__config_check(config, KFL_SCOPE_CONSUMER, true, true);
    if (r == 0)
        r = consumer_check_config(config);
    if (r < 0)
        return r;
    kfl_consumer *consumer = kfl__alloc_lines(sizeof *consumer);
    if (consumer == NULL)
        return kfl__fail(KFL_E_NOMEM, "a consumer: out of memory");
    r = kfl__mutex_init(&consumer->lock, KFL_RANK_HANDLE);
    if (r == 0) {
        r = kfl__condition_init(&consumer->turn);
        if (r < 0)
            kfl__mutex_destroy(&consumer->lock);
    }
    if (r < 0) {
        kfl__free(consumer);
        return r;
    }
    consumer->core = store->core;
    kfl__core_acquire(consumer->core);
    consumer->last_event = &consumer->events;
    consumer->caller.lock = &consumer->lock;
    kfl__callers_add(consumer->core, &consumer->caller);
    kfl__event_fd_init(consumer);
    r = kfl__config_copy(config, &consumer->config);
    if (r == 0)
        r = kfl__records_pool_create(&consumer->pool);
    if (r < 0) {
        consumer_free(consumer);
        return r;
    }
    consumer->settings = kfl__config_settings(consumer->config);
    consumer->follows = consumer->settings->enable_auto_commit != 0;
    kfl__async_init(consumer);
    *out_consumer = consumer;
    return 0;
}

int kfl_consumer_close(kfl_consumer *consumer)
{
    if (consumer == NULL)
        return 0;
    if (consumer->core->fork_page[0] == 0)
        return kfl__fail(KFL_E_FORKED, "the consumer was opened before fork(): the parent closes it");
    /* It goes whatever happens, and nobody could ask again. */
    int32_t patience = kfl__patience_set(-1);
    int r = 0;
    if (consumer->follows && kfl__consumer_enter(consumer) == 0)
        r = kfl__consumer_leave(consumer, kfl__consumer_leave_group(consumer));
    struct kfl__words words;
    kfl__error_save(&words);
    consumer_free(consumer);
    kfl__error_restore(&words);
    kfl__patience_set(patience);
    return r;
}

/* ---- where to begin ---- */

/* Where this consumer's reading ends. */
static int64_t consumer_end(const kfl_consumer *consumer, struct kfl__slot *slot)
{
    return consumer->settings->read_durable != 0 ? atomic_load(&slot->durable_offset) : kfl__slot_end(slot);
}

int kfl__consumer_reset(kfl_consumer *consumer, struct kfl__partition *partition, int64_t *out_offset)
{
    struct kfl__slot *slot = partition->slot;
    switch (consumer->settings->auto_offset_reset) {
    case KFL_RESET_EARLIEST:
        *out_offset = kfl__partition_start(partition);
        return 0;
    case KFL_RESET_LATEST:
        *out_offset = consumer_end(consumer, slot);
        return 0;
    default:
        kfl__fail(KFL_E_OFFSET_OUT_OF_RANGE,
                  "partition %s/%d: without a group.id there is no committed offset to begin at, and auto.offset.reset=none: seek",
                  partition->topic->name, partition->number);
        return kfl__fail_at(KFL_E_OFFSET_OUT_OF_RANGE, partition->topic->name, partition->number, -1);
    }
}

/* auto.offset.reset=none: what is committed, -1 for nothing, is no place to begin at. */
static int consumer_tell_stored(const kfl_consumer *consumer, const struct kfl__partition *partition, int64_t committed)
{
    const char *group = consumer->settings->group_id, *topic = partition->topic->name;
    if (committed < 0)
        kfl__fail(KFL_E_OFFSET_OUT_OF_RANGE,
                  "group %s has no committed offset for partition %s/%d, and auto.offset.reset=none: commit one or seek, or "
                  "set auto.offset.reset to earliest or latest",
                  group, topic, partition->number);
    else
        kfl__fail(KFL_E_OFFSET_OUT_OF_RANGE,
                  "group %s has committed offset %lld of partition %s/%d, which holds %lld to %lld, and auto.offset.reset=none: "
                  "commit another one or seek, or set auto.offset.reset to earliest or latest",
                  group, (long long)committed, topic, partition->number,
                  (long long)atomic_load(&partition->slot->start_offset), (long long)kfl__slot_end(partition->slot));
    return kfl__fail_at(KFL_E_OFFSET_OUT_OF_RANGE, topic, partition->number, committed);
}

static int consumer_stored(kfl_consumer *consumer, struct kfl__partition *partition, int64_t *out_offset)
{
    struct kfl__group_item item = {.partition = partition};
    const char *group = consumer->settings->group_id;
    if (group[0] == '\0')
        return kfl__consumer_reset(consumer, partition, out_offset);
    int r = kfl__group_committed(consumer->core, group, &item, 1);
    if (r < 0)
        return r;
    kfl__free((void *)(uintptr_t)item.metadata);
    if (item.offset >= kfl__partition_start(partition) && item.offset <= kfl__slot_end(partition->slot)) {
        *out_offset = item.offset;
        return 0;
    }
    if (consumer->settings->auto_offset_reset == KFL_RESET_NONE)
        return consumer_tell_stored(consumer, partition, item.offset);
    return kfl__consumer_reset(consumer, partition, out_offset);
}

int kfl__consumer_resolve(kfl_consumer *consumer, struct kfl__partition *partition, int64_t offset, int64_t *out_offset)
{
    if (offset == KFL_OFFSET_BEGINNING)
        *out_offset = kfl__partition_start(partition);
    else if (offset == KFL_OFFSET_END)
        *out_offset = consumer_end(consumer, partition->slot);
    else if (offset == KFL_OFFSET_STORED)
        return consumer_stored(consumer, partition, out_offset);
    else if (offset >= 0)
        *out_offset = offset;
    else
        return kfl__fail(KFL_E_INVALID, "partition %s/%d: %lld is no offset", partition->topic->name, partition->number,
                         (long long)offset);
    return 0;
}

/* ---- assigning ---- */

void kfl__consumer_stir(kfl_consumer *consumer)
{
    kfl__event_fd_raise(consumer);
    if (consumer->polling)
        kfl__notify_wake_process(consumer->core);
}

int kfl__consumer_find(kfl_consumer *consumer, const char *topic, int32_t partition, struct kfl__assigned **out_assigned)
{
    if (topic == NULL)
        return kfl__fail(KFL_E_INVALID, "the topic name is NULL");
    for (int32_t i = 0; i < consumer->assigned_count; i++)
        if (consumer->assigned[i].partition->number == partition && strcmp(consumer->assigned[i].topic->name, topic) == 0) {
            *out_assigned = &consumer->assigned[i];
            return 0;
        }
    kfl__fail(KFL_E_INVALID, "partition %s/%d is not assigned to this consumer", topic, partition);
    return kfl__fail_at(KFL_E_INVALID, topic, partition, -1);
}

static int consumer_assign_one(kfl_consumer *consumer, const kfl_partition_offset *wish, struct kfl__assigned *assigned)
{
    struct kfl__assigned *before = NULL;
    int64_t offset;
    if (wish->topic == NULL)
        return kfl__fail(KFL_E_INVALID, "kfl_consumer_assign: a topic name is NULL");
    int r = kfl__topic_find(consumer->core, wish->topic, &assigned->topic);
    if (r == 0)
        r = kfl__topic_partition(assigned->topic, wish->partition, &assigned->partition);
    if (r < 0)
        return r;
    for (int32_t i = 0; i < consumer->assigned_count; i++)
        if (consumer->assigned[i].partition == assigned->partition)
            before = &consumer->assigned[i];
    if (before != NULL && wish->offset == KFL_OFFSET_STORED)
        offset = before->cursor.offset;
    else
        r = kfl__consumer_resolve(consumer, assigned->partition, wish->offset, &offset);
    if (r < 0)
        return r;
    kfl__cursor_init(&assigned->cursor, assigned->partition, offset, consumer->settings->read_durable != 0);
    assigned->paused = before != NULL ? before->paused : 0;
    assigned->epoch = before != NULL ? before->epoch : consumer->epoch;
    assigned->auto_committed = -1;
    return 0;
}

static bool consumer_assigned_twice(const struct kfl__assigned *assigned, int32_t at)
{
    for (int32_t i = 0; i < at; i++)
        if (assigned[i].partition == assigned[at].partition)
            return true;
    return false;
}

int kfl_consumer_assign(kfl_consumer *consumer, const kfl_partition_offset *partitions, size_t count)
{
    if ((partitions == NULL && count > 0) || count > KFL_PARTITIONS_MAX)
        return kfl__fail(KFL_E_INVALID, "kfl_consumer_assign: %zu partitions", count);
    int r = kfl__consumer_enter(consumer);
    if (r < 0)
        return r;
    if (consumer->membership != NULL)
        return kfl__consumer_leave(
            consumer, kfl__fail(KFL_E_INVALID, "the consumer is subscribed: kfl_consumer_unsubscribe() first"));
    struct kfl__assigned *assigned = kfl__alloc_lines((count == 0 ? 1 : count) * sizeof *assigned);
    if (assigned == NULL)
        return kfl__consumer_leave(consumer, kfl__fail(KFL_E_NOMEM, "%zu partitions: out of memory", count));
    int32_t made = 0;
    for (size_t i = 0; i < count && r == 0; i++) {
        r = consumer_assign_one(consumer, &partitions[i], &assigned[made]);
        if (r == 0 && consumer_assigned_twice(assigned, made))
            r = kfl__fail(KFL_E_INVALID, "partition %s/%d is named twice", partitions[i].topic, partitions[i].partition);
        made++;
    }
    if (r < 0) {
        consumer_drop_assigned(assigned, made);
        return kfl__consumer_leave(consumer, r);
    }
    consumer_drop_assigned(consumer->assigned, consumer->assigned_count);
    consumer->assigned = assigned;
    consumer->assigned_count = made;
    consumer->first = 0;
    kfl__consumer_stir(consumer);
    return kfl__consumer_leave(consumer, 0);
}

int kfl_consumer_assignment(kfl_consumer *consumer, kfl_offsets **out_offsets)
{
    kfl_offsets *offsets = NULL;
    if (out_offsets == NULL)
        return kfl__fail(KFL_E_INVALID, "kfl_consumer_assignment: out_offsets is NULL");
    int r = kfl__consumer_enter(consumer);
    if (r < 0)
        return r;
    r = kfl__offsets_create(&offsets);
    for (int32_t i = 0; i < consumer->assigned_count && r == 0; i++) {
        kfl_partition_offset offset = {
            .topic = consumer->assigned[i].topic->name,
            .partition = consumer->assigned[i].partition->number,
            .offset = consumer->assigned[i].cursor.offset,
        };
        r = kfl__offsets_add(offsets, &offset);
    }
    if (r == 0)
        *out_offsets = offsets;
    else
        kfl_offsets_release(offsets);
    return kfl__consumer_leave(consumer, r);
}

/* Holding the lock. */
static int consumer_seek(kfl_consumer *consumer, const char *topic, int32_t partition, int64_t offset)
{
    struct kfl__assigned *assigned = NULL;
    int r = kfl__consumer_find(consumer, topic, partition, &assigned);
    if (r == 0 && KFL_UNLIKELY(offset < 0))
        r = kfl__consumer_resolve(consumer, assigned->partition, offset, &offset);
    if (r < 0)
        return r;
    kfl__cursor_seek(&assigned->cursor, offset);
    kfl__consumer_stir(consumer);
    return 0;
}

KFL_UNCHECKED int kfl_consumer_seek(kfl_consumer *consumer, const char *topic, int32_t partition, int64_t offset)
{
    int r = kfl__consumer_enter(consumer);
    return r < 0 ? r : kfl__consumer_leave(consumer, consumer_seek(consumer, topic, partition, offset));
}

int kfl_consumer_position(kfl_consumer *consumer, const char *topic, int32_t partition, int64_t *out_offset)
{
    struct kfl__assigned *assigned = NULL;
    int r = kfl__consumer_enter(consumer);
    if (r < 0)
        return r;
    r = out_offset == NULL ? kfl__fail(KFL_E_INVALID, "kfl_consumer_position: out_offset is NULL")
                           : kfl__consumer_find(consumer, topic, partition, &assigned);
    if (r == 0)
        *out_offset = assigned->cursor.offset;
    return kfl__consumer_leave(consumer, r);
}

static int consumer_set_paused(kfl_consumer *consumer, const char *topic, int32_t partition, bool paused)
{
    struct kfl__assigned *assigned = NULL;
    int r = kfl__consumer_enter(consumer);
    if (r < 0)
        return r;
    r = kfl__consumer_find(consumer, topic, partition, &assigned);
    if (r == 0)
        assigned->paused = (uint8_t)((assigned->paused & ~KFL_PAUSED_BY_CALLER) | (paused ? KFL_PAUSED_BY_CALLER : 0));
    if (r == 0 && !paused)
        kfl__consumer_stir(consumer);
    return kfl__consumer_leave(consumer, r);
}

int kfl_consumer_pause(kfl_consumer *consumer, const char *topic, int32_t partition)
{
    return consumer_set_paused(consumer, topic, partition, true);
}

int kfl_consumer_resume(kfl_consumer *consumer, const char *topic, int32_t partition)
{
    return consumer_set_paused(consumer, topic, partition, false);
}

int kfl_consumer_wakeup(kfl_consumer *consumer)
{
    if (consumer == NULL)
        return kfl__fail(KFL_E_INVALID, "the consumer is NULL");
    int r = kfl__core_check(consumer->core);
    if (r < 0)
        return r;
    atomic_store(&consumer->woken, 1);
    kfl__event_fd_raise(consumer);
    kfl__notify_wake_process(consumer->core);
    return 0;
}
