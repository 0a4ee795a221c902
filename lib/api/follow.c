/* SPDX-License-Identifier: MIT */
/*
 * How a consumer follows its group.
 *
 * Whoever has the turn to poll walks from what it has to what the group's rows say: it joins, gives
 * up what it has told as revoked, tells what is to be revoked now, and takes what was given to it.
 * The lock is given up for everything that touches the disk; what is assigned changes only by the
 * turn. A look at one word of our seat, and one of the store's topics, tells whether there is
 * anything to do.
 */
#include <stdio.h>
#include <string.h>

#include "api/consumer.h"
#include "api/groups.h"
#include "base/memory.h"
#include "engine/lookout.h"
#include "engine/members.h"
#include "engine/notify.h"

#define FOLLOW_LOOK_NS INT64_C(1000000000)

/* The lock is given up around what may wait. */
#define FOLLOW_UNLOCKED(consumer, call)                                                            \
    (kfl__mutex_unlock(&(consumer)->lock), follow_relock(consumer, (call)))

static KFL_UNCHECKED int follow_relock(kfl_consumer *consumer, int r)
{
    kfl__mutex_lock(&consumer->lock);
    return r;
}

static uint64_t follow_topics_version(const kfl_consumer *consumer)
{
    return atomic_load_explicit(&consumer->core->shared->topics_version, memory_order_relaxed);
}

static struct kfl__place follow_place(const struct kfl__assigned *assigned)
{
    return (struct kfl__place){assigned->topic->id, assigned->partition->number};
}

/* Kept until the close, because callers borrow it. */
static int follow_keep_id(kfl_consumer *consumer, const char *id)
{
    struct kfl__consumer_id *kept = kfl__alloc(sizeof *kept);
    if (kept == NULL)
        return kfl__fail(KFL_E_NOMEM, "a member id: out of memory");
    memcpy(kept->id, id, strlen(id) + 1);
    kept->next = consumer->ids;
    consumer->ids = kept;
    consumer->membership->id = kept->id;
    return 0;
}

/* ---- joining ---- */

static int follow_wish(kfl_consumer *consumer, struct kfl__member_wish *wish)
{
    const struct kfl__membership *membership = consumer->membership;
    *wish = (struct kfl__member_wish){
        .group = consumer->settings->group_id,
        .member_id = membership->joined ? membership->id : "",
        .instance_id = consumer->settings->group_instance_id,
        .client_id = consumer->settings->client_id,
        .assignors = consumer->settings->partition_assignment_strategy,
        .topics = kfl__copy_string(membership->topics),
        .pattern = kfl__copy_string(membership->pattern),
        .exclude_internal = consumer->settings->exclude_internal_topics != 0,
        .session_timeout_ms = consumer->settings->session_timeout_ms,
    };
    return wish->topics == NULL || wish->pattern == NULL
               ? kfl__fail(KFL_E_NOMEM, "a subscription: out of memory")
               : 0;
}

static int follow_join_now(kfl_consumer *consumer, const struct kfl__member_wish *wish,
                           struct kfl__member_view *view)
{
    int r = kfl__core_check_writable(consumer->core);
    if (r == 0)
        r = kfl__lookout_start(consumer->core);
    if (r == 0)
        r = kfl__members_join(consumer->core, wish, view);
    if (r == 0)
        kfl__lookout_ring(consumer->core);
    return r;
}

/* A new member, or another subscription of one. What it is given is seen by the look that follows. */
static KFL_UNCHECKED int follow_join(kfl_consumer *consumer)
{
    struct kfl__membership *membership = consumer->membership;
    struct kfl__member_wish wish;
    struct kfl__member_view view = {0};
    membership->wish_changed = false;
    int r = follow_wish(consumer, &wish);
    if (r == 0)
        r = FOLLOW_UNLOCKED(consumer, follow_join_now(consumer, &wish, &view));
    if (r == 0 && !membership->joined) {
        r = follow_keep_id(consumer, view.id);
        if (r < 0)
            (void)FOLLOW_UNLOCKED(consumer,
                                  kfl__members_leave(consumer->core, wish.group, view.id));
    }
    if (r == 0) {
        membership->joined = true;
        membership->seat_number = (uint32_t)view.seat;
        membership->seat_owner = view.seat_owner;
        membership->seat = &kfl__state_seats(consumer->core->state)[view.seat];
        membership->deadline_ns = 0;
        membership->seen_version = atomic_load(&membership->seat->version) - 1;
        membership->seen_topics = follow_topics_version(consumer) - 1;
    } else {
        membership->wish_changed = true; /* the next poll tries again */
    }
    kfl__free((char *)(uintptr_t)wish.topics);
    kfl__free((char *)(uintptr_t)wish.pattern);
    kfl__member_view_free(&view);
    return r;
}

/* ---- what is assigned ---- */

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
static void follow_drop(kfl_consumer *consumer, const struct kfl__places *gone)
{
    int32_t kept = 0;
    for (int32_t i = 0; i < consumer->assigned_count; i++) {
        struct kfl__place place = follow_place(&consumer->assigned[i]);
        if (gone == NULL || kfl__places_have(gone, &place))
            kfl__assigned_release(&consumer->assigned[i]);
        else
            consumer->assigned[kept++] = consumer->assigned[i];
    }
    consumer->assigned_count = kept;
    consumer->first = 0;
}

/* Everything is lost at once: others may own it already. */
static int follow_lose(kfl_consumer *consumer, int code)
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
    follow_drop(consumer, NULL);
    return event == NULL ? KFL_E_NOMEM : 0;
}

/* What was told as revoked, and what never began, is given up now. */
static KFL_UNCHECKED int follow_release(kfl_consumer *consumer)
{
    struct kfl__membership *membership = consumer->membership;
    struct kfl__places places = {0};
    int r = kfl__places_copy(&membership->stray, &places);
    for (int32_t i = 0; i < consumer->assigned_count && r == 0; i++) {
        struct kfl__place place = follow_place(&consumer->assigned[i]);
        if ((consumer->assigned[i].paused & KFL_PAUSED_REVOKED) != 0)
            r = kfl__places_add(&places, &place);
    }
    if (r == 0)
        r = FOLLOW_UNLOCKED(consumer,
                            kfl__members_release(consumer->core, consumer->settings->group_id,
                                                 membership->id, &places));
    if (r == 0) {
        follow_drop(consumer, &places);
        membership->releasing = false;
        kfl__places_free(&membership->stray);
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

static KFL_UNCHECKED int follow_assign(kfl_consumer *consumer, const struct kfl__places *places,
                                       int32_t generation)
{
    int32_t count = 0;
    struct kfl__assigned *fresh = kfl__alloc_array(places->count + 1, sizeof *fresh);
    if (fresh == NULL)
        return kfl__fail(KFL_E_NOMEM, "%zu partitions: out of memory", places->count);
    int r = places->count == 0
                ? 0
                : FOLLOW_UNLOCKED(consumer, follow_open_all(consumer, places, fresh, &count));
    if (r == 0)
        r = follow_take(consumer, fresh, count, generation);
    if (r < 0)
        for (int32_t i = 0; i < count; i++)
            kfl__assigned_release(&fresh[i]);
    kfl__free(fresh);
    return r;
}

/* ---- revoking ---- */

/* With enable.auto.commit: where the partitions stand that are to be given up. */
static KFL_UNCHECKED void follow_commit_revoked(kfl_consumer *consumer,
                                                const struct kfl__places *revoked)
{
    struct kfl__commit_list list = {0};
    int r = kfl__commit_list_create(revoked->count, &list);
    for (int32_t i = 0; i < consumer->assigned_count && r == 0; i++) {
        struct kfl__assigned *assigned = &consumer->assigned[i];
        struct kfl__place place = follow_place(assigned);
        struct kfl__group_item item = {.partition = assigned->partition,
                                       .offset = assigned->cursor.offset};
        if (item.offset >= 0 && kfl__places_have(revoked, &place) &&
            kfl__partition_exists(assigned->partition))
            kfl__commit_list_put(&list, assigned->topic, &item);
    }
    kfl__mutex_unlock(&consumer->lock);
    kfl__async_finish(consumer);
    if (r == 0 && list.count > 0)
        r = kfl__consumer_commit_list(consumer, &list);
    kfl__commit_list_release(&list);
    kfl__mutex_lock(&consumer->lock);
    if (r == 0 || r == KFL_E_UNKNOWN_TOPIC_OR_PARTITION)
        return;
    kfl_event *event = kfl__event_push(consumer, KFL_EVENT_COMMITTED);
    if (event == NULL)
        return;
    event->code = r;
    snprintf(event->text, sizeof event->text, "%s", kfl_last_error());
}

static int follow_revoke(kfl_consumer *consumer, const struct kfl__places *revoked,
                         int32_t generation)
{
    if (consumer->settings->enable_auto_commit != 0)
        follow_commit_revoked(consumer, revoked);
    kfl_event *event = follow_push(consumer, KFL_EVENT_REVOKED, generation);
    if (event == NULL)
        return KFL_E_NOMEM;
    for (int32_t i = 0; i < consumer->assigned_count; i++) {
        struct kfl__assigned *assigned = &consumer->assigned[i];
        struct kfl__place place = follow_place(assigned);
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

/* ---- taking over what the rows say ---- */

struct follow_plan {
    struct kfl__places revoked, fresh, stray;
};

static int follow_compare(kfl_consumer *consumer, const struct kfl__member_view *view,
                          struct follow_plan *plan)
{
    struct kfl__places have = {0};
    int r = 0;
    for (int32_t i = 0; i < consumer->assigned_count && r == 0; i++) {
        const struct kfl__assigned *assigned = &consumer->assigned[i];
        struct kfl__place place = follow_place(assigned);
        r = kfl__places_add(&have, &place);
        if (r == 0 && (assigned->paused & KFL_PAUSED_REVOKED) == 0 &&
            !kfl__places_have(&view->target, &place))
            r = kfl__places_add(&plan->revoked, &place);
    }
    for (size_t i = 0; i < view->owned.count && r == 0; i++) {
        const struct kfl__place *place = &view->owned.rows[i];
        if (!kfl__places_have(&have, place))
            r = kfl__places_add(
                kfl__places_have(&view->target, place) ? &plan->fresh : &plan->stray, place);
    }
    kfl__places_free(&have);
    return r;
}

/* The leader shares out the partitions by its own means. */
static KFL_UNCHECKED int follow_ask(kfl_consumer *consumer, const struct kfl__member_view *view)
{
    kfl_group *group = NULL;
    int r = FOLLOW_UNLOCKED(
        consumer, kfl__group_describe(consumer->core, consumer->settings->group_id, &group));
    kfl_event *event = r < 0 ? NULL : kfl__event_push(consumer, KFL_EVENT_ASSIGN_NEEDED);
    if (event == NULL) {
        kfl_group_release(group);
        return r < 0 ? r : KFL_E_NOMEM;
    }
    event->group = group;
    event->generation = view->generation;
    consumer->membership->asked_generation = view->generation;
    return 0;
}

static int follow_adopt(kfl_consumer *consumer, const struct kfl__member_view *view)
{
    struct kfl__membership *membership = consumer->membership;
    struct follow_plan plan = {0};
    bool is_new = view->generation != membership->generation && !view->answer_needed;
    int r = follow_compare(consumer, view, &plan);
    if (r == 0 && plan.revoked.count > 0)
        r = follow_revoke(consumer, &plan.revoked, view->generation);
    if (r == 0 && plan.stray.count > 0)
        r = kfl__places_copy(&plan.stray, &membership->stray);
    if (r == 0 && (is_new || plan.fresh.count > 0))
        r = follow_assign(consumer, &plan.fresh, view->generation);
    if (r == 0 && is_new) {
        membership->generation = view->generation;
        atomic_store(&membership->seat->generation, view->generation);
        kfl__lookout_ring(consumer->core);
    }
    if (r == 0 && view->answer_needed && view->leads &&
        membership->asked_generation != view->generation)
        r = follow_ask(consumer, view);
    kfl__places_free(&plan.revoked);
    kfl__places_free(&plan.fresh);
    kfl__places_free(&plan.stray);
    return r;
}

static KFL_UNCHECKED int follow_look(kfl_consumer *consumer)
{
    struct kfl__membership *membership = consumer->membership;
    struct kfl__member_view view = {0};
    uint32_t version = atomic_load(&membership->seat->version);
    int r = FOLLOW_UNLOCKED(
        consumer, kfl__members_look(consumer->core, consumer->settings->group_id, membership->id,
                                    consumer->settings->group_instance_id, &view));
    if (r == KFL_E_UNKNOWN_MEMBER_ID || r == KFL_E_FENCED_INSTANCE_ID)
        return follow_lose(consumer, r);
    if (r < 0)
        return r;
    if (view.away)
        membership->wish_changed = true; /* late, but in time for its session: it is back */
    r = follow_adopt(consumer, &view);
    kfl__member_view_free(&view);
    if (r == 0)
        membership->seen_version = version;
    return r;
}

/* ---- each poll ---- */

static void follow_stamp(kfl_consumer *consumer, int64_t now_ns, int64_t more_ns)
{
    struct kfl__membership *membership = consumer->membership;
    if (membership == NULL || !membership->joined)
        return;
    int64_t deadline = now_ns + more_ns + consumer->settings->max_poll_interval_ms * 1000000;
    /* The clock is coarse: most polls find it said already, and leave the line to its neighbours. */
    if (deadline != membership->deadline_ns)
        atomic_store_explicit(&membership->seat->deadline_ns, deadline, memory_order_relaxed);
    membership->deadline_ns = deadline;
}

/* Where no thread looks out for the dead, polls do. */
static KFL_UNCHECKED void follow_look_out(kfl_consumer *consumer, int64_t now_ns)
{
    consumer->look_ns = now_ns + FOLLOW_LOOK_NS;
    if (consumer->membership == NULL || consumer->core->settings->background_threads != 0)
        return;
    kfl__mutex_unlock(&consumer->lock);
    if (kfl__members_suspect(consumer->core))
        (void)kfl__members_sweep(consumer->core, false);
    kfl__mutex_lock(&consumer->lock);
}

static bool follow_topics_changed(const kfl_consumer *consumer)
{
    return consumer->membership->seen_topics != follow_topics_version(consumer);
}

static bool follow_seat_changed(const kfl_consumer *consumer)
{
    const struct kfl__membership *membership = consumer->membership;
    return atomic_load_explicit(&membership->seat->version, memory_order_acquire) !=
           membership->seen_version;
}

static KFL_UNCHECKED int follow_topics(kfl_consumer *consumer)
{
    uint64_t version = follow_topics_version(consumer);
    int r = FOLLOW_UNLOCKED(consumer,
                            kfl__members_sync_topics(consumer->core, consumer->settings->group_id));
    if (r == 0 && consumer->membership != NULL)
        consumer->membership->seen_topics = version;
    return r;
}

static int follow_membership(kfl_consumer *consumer)
{
    struct kfl__membership *membership = consumer->membership;
    int r = 0;
    if (membership->fenced)
        return kfl__fail(KFL_E_FENCED_INSTANCE_ID,
                         "another consumer has joined with group.instance.id=%s: close this one",
                         consumer->settings->group_instance_id);
    if (membership->leaving)
        return kfl__consumer_leave_group(consumer);
    if (membership->joined && follow_seat_changed(consumer) && !membership->releasing)
        r = follow_look(consumer);
    if (r == 0 && consumer->events == NULL && membership->joined &&
        (membership->releasing || membership->stray.count > 0))
        r = follow_release(consumer);
    if (r == 0 && consumer->events == NULL && membership->wish_changed) {
        r = follow_join(consumer);
        if (r == KFL_E_UNKNOWN_MEMBER_ID || r == KFL_E_FENCED_INSTANCE_ID)
            r = membership->joined ? follow_lose(consumer, r) : r;
    }
    if (r == 0 && consumer->events == NULL && membership->joined && follow_topics_changed(consumer))
        r = follow_topics(consumer);
    if (r == 0 && consumer->events == NULL && membership->joined && follow_seat_changed(consumer))
        r = follow_look(consumer);
    return r;
}

static int follow_auto_commit(kfl_consumer *consumer, int64_t now_ns)
{
    int64_t interval_ns = consumer->settings->auto_commit_interval_ms * 1000000;
    bool due = consumer->auto_commit_ns != 0 && now_ns >= consumer->auto_commit_ns;
    if (consumer->settings->enable_auto_commit == 0 || (consumer->auto_commit_ns != 0 && !due))
        return 0;
    consumer->auto_commit_ns = now_ns + interval_ns;
    if (!due || (consumer->membership != NULL && !consumer->membership->joined))
        return 0;
    return kfl__async_add_moved(consumer);
}

/* Is there anything that a poll has to do for its group? One word each. */
static bool follow_must(const kfl_consumer *consumer)
{
    const struct kfl__membership *membership = consumer->membership;
    if (consumer->async.waiting.count > 0 && !consumer->core->helper_runs)
        return true;
    return membership != NULL &&
           (!membership->joined || membership->wish_changed || membership->leaving ||
            membership->releasing || membership->stray.count > 0 || follow_seat_changed(consumer) ||
            follow_topics_changed(consumer));
}

KFL_UNCHECKED int kfl__consumer_follow_group(kfl_consumer *consumer)
{
    int64_t now_ns = kfl__clock_coarse_ns();
    int r = follow_auto_commit(consumer, now_ns);
    if (r < 0)
        return r;
    if (now_ns >= consumer->look_ns)
        follow_look_out(consumer, now_ns);
    follow_stamp(consumer, now_ns, 0);
    while (consumer->events == NULL && follow_must(consumer)) {
        if (consumer->async.waiting.count > 0 && !consumer->core->helper_runs) {
            kfl__mutex_unlock(&consumer->lock);
            kfl__committer_run(consumer->core);
            kfl__mutex_lock(&consumer->lock);
            continue;
        }
        r = follow_membership(consumer);
        if (r < 0)
            return r;
        r = kfl__core_check(consumer->core);
        if (r < 0)
            return r;
        follow_stamp(consumer, kfl__clock_coarse_ns(), 0);
    }
    return consumer->events == NULL ? 0 : KFL_E_EVENT;
}

bool kfl__consumer_would_follow(const kfl_consumer *consumer)
{
    return consumer->follows && follow_must(consumer);
}

bool kfl__consumer_must_follow(kfl_consumer *consumer)
{
    if (!consumer->follows)
        return false;
    follow_stamp(consumer, kfl__clock_coarse_ns(), FOLLOW_LOOK_NS);
    return consumer->events != NULL || follow_must(consumer);
}

bool kfl__consumer_forgets(kfl_consumer *consumer, int code)
{
    struct kfl__membership *membership = consumer->membership;
    if (code != KFL_E_UNKNOWN_TOPIC_OR_PARTITION || membership == NULL || !membership->joined)
        return false;
    /* Those that are gone are revoked by the group; until it has seen that, they are not read. */
    bool any = false;
    for (int32_t i = 0; i < consumer->assigned_count; i++) {
        struct kfl__assigned *assigned = &consumer->assigned[i];
        if ((assigned->paused & KFL_PAUSED_REVOKED) != 0 ||
            kfl__partition_exists(assigned->partition))
            continue;
        assigned->paused |= KFL_PAUSED_GONE;
        any = true;
    }
    membership->seen_topics = follow_topics_version(consumer) - 1;
    return any;
}

/* ---- leaving ---- */

KFL_UNCHECKED int kfl__consumer_leave_group(kfl_consumer *consumer)
{
    struct kfl__membership *membership = consumer->membership;
    struct kfl__commit_list list = {0};
    bool commits =
        consumer->settings->enable_auto_commit != 0 && (membership == NULL || membership->joined);
    int r = 0, left = 0;
    if (commits)
        r = kfl__commit_list_create((size_t)consumer->assigned_count, &list);
    for (int32_t i = 0; commits && r == 0 && i < consumer->assigned_count; i++) {
        struct kfl__assigned *assigned = &consumer->assigned[i];
        struct kfl__group_item item = {.partition = assigned->partition,
                                       .offset = assigned->cursor.offset};
        if (item.offset >= 0 && kfl__partition_exists(assigned->partition))
            kfl__commit_list_put(&list, assigned->topic, &item);
    }
    kfl__mutex_unlock(&consumer->lock);
    kfl__async_finish(consumer);
    if (r == 0 && list.count > 0)
        r = kfl__consumer_commit_list(consumer, &list);
    kfl__commit_list_release(&list);
    if (membership != NULL && membership->joined)
        left = kfl__members_leave(consumer->core, consumer->settings->group_id, membership->id);
    kfl__mutex_lock(&consumer->lock);
    if (membership == NULL)
        return r;
    if (left < 0)
        atomic_store(&consumer->core->members_away, 1); /* a sweep finds the seat empty */
    if (membership->joined)
        kfl__seat_leave(kfl__state_seats(consumer->core->state), membership->seat_number,
                        membership->seat_owner);
    follow_drop(consumer, NULL);
    kfl__places_free(&membership->stray);
    kfl__free(membership->topics);
    kfl__free(membership->pattern);
    kfl__free(membership);
    consumer->membership = NULL;
    kfl__condition_broadcast(&consumer->turn);
    return r < 0 ? r : left;
}
