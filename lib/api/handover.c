/* SPDX-License-Identifier: MIT */
/*
 * Partitions that come and go. What is assigned changes only here and at the leave, by the turn; an
 * event tells of each change, and a step that fails leaves things so that it can be done again.
 */
#include "api/handover.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "engine/members.h"

static int follow_tell_partitions(kfl_event *event, const struct kfl__assigned *assigned)
{
    kfl_partition_offset offset = {
        .topic = assigned->topic->name,
        .partition = assigned->partition->number,
        .offset = assigned->cursor.offset,
    };
    return kfl__offsets_add(event->offsets, &offset);
}

static kfl_event *follow_push(kfl_consumer *consumer, int32_t kind, int32_t generation)
{
    kfl_event *event = kfl__event_push(consumer, kind);
    if (event == NULL)
        return NULL;
    event->generation = generation;
    return kfl__offsets_create(&event->offsets) < 0 ? NULL : event;
}

/* Keeps those rows for which `keep` is true; releases the others. */
void kfl__follow_drop(kfl_consumer *consumer, const struct kfl__places *gone)
{
    int32_t kept = 0;
    for (int32_t i = 0; i < consumer->assigned_count; i++) {
        struct kfl__place place = kfl__follow_place(&consumer->assigned[i]);
        if (gone == NULL || kfl__places_have(gone, &place))
            kfl__assigned_release(&consumer->assigned[i]);
        else
            consumer->assigned[kept++] = consumer->assigned[i];
    }
    consumer->assigned_count = kept;
    consumer->first = 0;
}

/* Everything is lost at once: others may own it already. */
int kfl__follow_lose(kfl_consumer *consumer, int code)
{
    struct kfl__membership *membership = consumer->membership;
    char text[256];
    snprintf(text, sizeof text, "%s", kfl_last_error());
    membership->joined = false;
    membership->fenced = code == KFL_E_FENCED_INSTANCE_ID;
    membership->wish_changed = !membership->fenced;
    membership->releasing = false;
    membership->generation = membership->asked_generation = -1;
    kfl__places_free(&membership->stray);
    kfl__seat_leave(kfl__state_seats(consumer->core->state), membership->seat_number,
                    membership->seat_owner);
    kfl__async_refuse(consumer, code);
    if (consumer->assigned_count == 0)
        return 0;
    kfl_event *event = follow_push(consumer, KFL_EVENT_LOST, -1);
    for (int32_t i = 0; event != NULL && i < consumer->assigned_count; i++)
        if (follow_tell_partitions(event, &consumer->assigned[i]) < 0)
            event = NULL;
    if (event != NULL)
        snprintf(event->text, sizeof event->text, "%s", text);
    kfl__follow_drop(consumer, NULL);
    return event == NULL ? KFL_E_NOMEM : 0;
}

/* Nobody who has something to read waits for the disk here: a successor would, before its first record. */
KFL_UNCHECKED int kfl__follow_release(kfl_consumer *consumer)
{
    struct kfl__membership *membership = consumer->membership;
    struct kfl__places places = {0};
    int r = kfl__places_copy(&membership->stray, &places);
    for (int32_t i = 0; i < consumer->assigned_count && r == 0; i++) {
        struct kfl__place place = kfl__follow_place(&consumer->assigned[i]);
        if ((consumer->assigned[i].paused & KFL_PAUSED_REVOKED) != 0)
            r = kfl__places_add(&places, &place);
    }
    if (r == 0) {
        kfl__follow_drop(consumer, &places);
        membership->releasing = false;
        kfl__places_free(&membership->stray);
        kfl__async_release(consumer, &places);
    }
    kfl__places_free(&places);
    return r;
}

/* One partition that is ours from now on. KFL_E_UNKNOWN_TOPIC_OR_PARTITION: it was deleted meanwhile. */
static int follow_open(kfl_consumer *consumer, const struct kfl__place *place,
                       struct kfl__assigned *assigned)
{
    int64_t offset = -1;
    int r = kfl__topic_find_id(consumer->core, place->topic_id, &assigned->topic);
    if (r == 0)
        r = kfl__topic_current(assigned->topic);
    if (r == 0)
        r = kfl__topic_partition(assigned->topic, place->partition, &assigned->partition);
    if (r == 0)
        r = kfl__consumer_resolve(consumer, assigned->partition, KFL_OFFSET_STORED, &offset);
    if (r == KFL_E_OFFSET_OUT_OF_RANGE)
        r = 0; /* auto.offset.reset=none: the poll tells it, until somebody seeks */
    if (r < 0) {
        kfl__topic_release(assigned->topic);
        assigned->topic = NULL;
        return r;
    }
    kfl__cursor_init(&assigned->cursor, assigned->partition, offset,
                     consumer->settings->read_durable != 0);
    assigned->auto_committed = -1;
    return 0;
}

static int follow_open_all(kfl_consumer *consumer, const struct kfl__places *places,
                           struct kfl__assigned *fresh, int32_t *out_count)
{
    int r = 0;
    *out_count = 0;
    for (size_t i = 0; i < places->count && r == 0; i++) {
        r = follow_open(consumer, &places->rows[i], &fresh[*out_count]);
        if (r == 0)
            ++*out_count;
        else if (r == KFL_E_UNKNOWN_TOPIC_OR_PARTITION)
            r = 0;
    }
    return r;
}

/* Takes what was opened. */
static int follow_take(kfl_consumer *consumer, struct kfl__assigned *fresh, int32_t count,
                       int32_t generation)
{
    kfl_event *event = follow_push(consumer, KFL_EVENT_ASSIGNED, generation);
    size_t room = (size_t)consumer->assigned_count + (size_t)count;
    struct kfl__assigned *grown =
        event == NULL ? NULL : kfl__realloc(consumer->assigned, (room + 1) * sizeof *grown);
    if (grown == NULL)
        return kfl__fail(KFL_E_NOMEM, "%zu partitions: out of memory", room);
    consumer->assigned = grown;
    consumer->epoch++;
    for (int32_t i = 0; i < count; i++) {
        fresh[i].epoch = consumer->epoch;
        (void)follow_tell_partitions(event, &fresh[i]);
        consumer->assigned[consumer->assigned_count++] = fresh[i];
    }
    return 0;
}

KFL_UNCHECKED int kfl__follow_assign(kfl_consumer *consumer, const struct kfl__places *places,
                                     int32_t generation)
{
    int32_t count = 0;
    struct kfl__assigned *fresh = kfl__alloc_array(places->count + 1, sizeof *fresh);
    if (fresh == NULL)
        return kfl__fail(KFL_E_NOMEM, "%zu partitions: out of memory", places->count);
    int r = places->count == 0
                ? 0
                : KFL__UNLOCKED(consumer, follow_open_all(consumer, places, fresh, &count));
    if (r == 0)
        r = follow_take(consumer, fresh, count, generation);
    if (r < 0)
        for (int32_t i = 0; i < count; i++)
            kfl__assigned_release(&fresh[i]);
    kfl__free(fresh);
    return r;
}

/* With enable.auto.commit: where the partitions stand that are to be given up. 0, or KFL_E_INTR: the next poll tries again. */
static KFL_UNCHECKED int follow_commit_revoked(kfl_consumer *consumer,
                                               const struct kfl__places *revoked)
{
    struct kfl__commit_list list = {0};
    int r = kfl__commit_list_create(revoked->count, &list);
    for (int32_t i = 0; i < consumer->assigned_count && r == 0; i++) {
        struct kfl__assigned *assigned = &consumer->assigned[i];
        struct kfl__place place = kfl__follow_place(assigned);
        struct kfl__group_item item = {.partition = assigned->partition,
                                       .offset = assigned->cursor.offset};
        if (item.offset >= 0 && kfl__places_have(revoked, &place) &&
            kfl__partition_exists(assigned->partition))
            kfl__commit_list_put(&list, assigned->topic, &item);
    }
    kfl__mutex_unlock(&consumer->lock);
    int finished = kfl__async_finish(consumer);
    r = r < 0 ? r : finished;
    if (r == 0 && list.count > 0)
        r = kfl__consumer_commit_list(consumer, &list);
    kfl__commit_list_release(&list);
    kfl__mutex_lock(&consumer->lock);
    if (r == KFL_E_INTR)
        return r;
    kfl_event *event = r == 0 || r == KFL_E_UNKNOWN_TOPIC_OR_PARTITION
                           ? NULL
                           : kfl__event_push(consumer, KFL_EVENT_COMMITTED);
    if (event == NULL)
        return 0;
    event->code = r;
    snprintf(event->text, sizeof event->text, "%s", kfl_last_error());
    return 0;
}

int kfl__follow_revoke(kfl_consumer *consumer, const struct kfl__places *revoked,
                       int32_t generation)
{
    if (consumer->settings->enable_auto_commit != 0) {
        int r = follow_commit_revoked(consumer, revoked);
        if (r < 0)
            return r;
    }
    kfl_event *event = follow_push(consumer, KFL_EVENT_REVOKED, generation);
    if (event == NULL)
        return KFL_E_NOMEM;
    for (int32_t i = 0; i < consumer->assigned_count; i++) {
        struct kfl__assigned *assigned = &consumer->assigned[i];
        struct kfl__place place = kfl__follow_place(assigned);
        if (!kfl__places_have(revoked, &place))
            continue;
        int r = follow_tell_partitions(event, assigned);
        if (r < 0)
            return r;
        assigned->paused |= KFL_PAUSED_REVOKED;
    }
    consumer->membership->releasing = true;
    return 0;
}
