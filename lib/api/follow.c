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
#include "api/handover.h"
#include "base/memory.h"
#include "base/patience.h"
#include "engine/departures.h"
#include "engine/lookout.h"
#include "engine/members.h"
#include "engine/notify.h"

#define FOLLOW_LOOK_NS INT64_C(1000000000)

static uint64_t follow_topics_version(const kfl_consumer *consumer)
{
    return atomic_load_explicit(&consumer->core->shared->topics_version, memory_order_relaxed);
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
        r = KFL__UNLOCKED(consumer, follow_join_now(consumer, &wish, &view));
    if (r == 0 && !membership->joined) {
        r = follow_keep_id(consumer, view.id);
        if (r < 0)
            (void)KFL__UNLOCKED(consumer, kfl__members_leave(consumer->core, wish.group, view.id));
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
        struct kfl__place place = kfl__follow_place(assigned);
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
    int r = KFL__UNLOCKED(
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
        r = kfl__follow_revoke(consumer, &plan.revoked, view->generation);
    /* Of this look alone: what an earlier one called so may be for us by now, and begin below. */
    if (r == 0)
        r = kfl__places_copy(&plan.stray, &membership->stray);
    if (r == 0 && (is_new || plan.fresh.count > 0))
        r = kfl__follow_assign(consumer, &plan.fresh, view->generation);
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
    int r = KFL__UNLOCKED(
        consumer, kfl__members_look(consumer->core, consumer->settings->group_id, membership->id,
                                    consumer->settings->group_instance_id, &view));
    if (r == KFL_E_UNKNOWN_MEMBER_ID || r == KFL_E_FENCED_INSTANCE_ID)
        return kfl__follow_lose(consumer, r);
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
    int r = KFL__UNLOCKED(consumer,
                          kfl__members_sync_topics(consumer->core, consumer->settings->group_id));
    if (r == 0 && consumer->membership != NULL)
        consumer->membership->seen_topics = version;
    return r;
}

/* The committer could not give up what is not ours any more: here the caller learns why. */
static KFL_UNCHECKED int follow_release_again(kfl_consumer *consumer)
{
    struct kfl__async *async = &consumer->async;
    int r =
        KFL__UNLOCKED(consumer, kfl__members_release(consumer->core, consumer->settings->group_id,
                                                     async->release_id, &async->released));
    if (r == 0) {
        async->release = KFL_RELEASE_NONE;
        kfl__places_free(&async->released);
    }
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
    if (consumer->async.release == KFL_RELEASE_FAILED)
        return follow_release_again(consumer);
    if (membership->joined && follow_seat_changed(consumer) && !membership->releasing)
        r = follow_look(consumer);
    if (r == 0 && consumer->events == NULL && membership->joined &&
        (membership->releasing || membership->stray.count > 0))
        return kfl__follow_release(consumer); /* nothing else until the rows say so too */
    if (r == 0 && consumer->events == NULL && membership->wish_changed) {
        r = follow_join(consumer);
        if (r == KFL_E_UNKNOWN_MEMBER_ID || r == KFL_E_FENCED_INSTANCE_ID)
            r = membership->joined ? kfl__follow_lose(consumer, r) : r;
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

/* Where no thread commits what waits, polls do. */
static bool follow_must_commit(const kfl_consumer *consumer)
{
    return consumer->async.waiting.count > 0 && !consumer->core->helper_runs;
}

/* Is there anything that a poll has to do for its group? One word each. */
static bool follow_must(const kfl_consumer *consumer)
{
    const struct kfl__membership *membership = consumer->membership;
    if (membership == NULL || membership->leaving)
        return membership != NULL;
    return !kfl__async_releases(consumer) &&
           (!membership->joined || membership->wish_changed || membership->releasing ||
            consumer->async.release == KFL_RELEASE_FAILED || membership->stray.count > 0 ||
            follow_seat_changed(consumer) || follow_topics_changed(consumer));
}

KFL_UNCHECKED int kfl__consumer_follow_group(kfl_consumer *consumer, int64_t deadline_ns)
{
    int64_t now_ns = kfl__clock_coarse_ns();
    int r = follow_auto_commit(consumer, now_ns);
    if (r < 0)
        return r;
    if (now_ns >= consumer->look_ns)
        follow_look_out(consumer, now_ns);
    follow_stamp(consumer, now_ns, 0);
    /* Once: other threads may commit as fast as this one settles it. */
    if (follow_must_commit(consumer)) {
        r = KFL__UNLOCKED(consumer, kfl__committer_run(consumer->core));
        if (r < 0)
            return r;
    }
    /* The helper had the time since the last poll; a caller that always finds something keeps nobody waiting. */
    if (consumer->async.release == KFL_RELEASE_WAITS) {
        r = kfl__consumer_finish_release(consumer, deadline_ns);
        if (r < 0)
            return r;
    }
    while (consumer->events == NULL && follow_must(consumer)) {
        int32_t patience = kfl__patience_narrow(deadline_ns);
        r = follow_membership(consumer);
        kfl__patience_set(patience);
        if (r < 0)
            return r;
        r = kfl__core_check(consumer->core);
        if (r < 0)
            return r;
        follow_stamp(consumer, kfl__clock_coarse_ns(), 0);
    }
    return consumer->events == NULL ? 0 : KFL_E_EVENT;
}

KFL_UNCHECKED int kfl__consumer_finish_release(kfl_consumer *consumer, int64_t deadline_ns)
{
    if (!kfl__async_releases(consumer))
        return 0;
    int32_t patience = kfl__patience_narrow(deadline_ns);
    int r = KFL__UNLOCKED(consumer, kfl__async_finish(consumer));
    kfl__patience_set(patience);
    return r < 0 ? r : 1;
}

bool kfl__consumer_would_follow(const kfl_consumer *consumer)
{
    return consumer->follows && (follow_must_commit(consumer) || follow_must(consumer));
}

bool kfl__consumer_must_follow(kfl_consumer *consumer)
{
    if (!consumer->follows)
        return false;
    follow_stamp(consumer, kfl__clock_coarse_ns(), FOLLOW_LOOK_NS);
    return consumer->events != NULL || follow_must_commit(consumer) || follow_must(consumer);
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

void kfl__membership_free(kfl_consumer *consumer)
{
    struct kfl__membership *membership = consumer->membership;
    if (membership == NULL)
        return;
    kfl__places_free(&membership->stray);
    kfl__free(membership->topics);
    kfl__free(membership->pattern);
    kfl__free(membership);
    consumer->membership = NULL;
}

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
    int finished = kfl__async_finish(consumer);
    r = r < 0 ? r : finished;
    if (r == 0 && list.count > 0)
        r = kfl__consumer_commit_list(consumer, &list);
    kfl__commit_list_release(&list);
    if (membership != NULL && membership->joined && r != KFL_E_INTR)
        left = kfl__members_leave(consumer->core, consumer->settings->group_id, membership->id);
    kfl__mutex_lock(&consumer->lock);
    if (r == KFL_E_INTR || left == KFL_E_INTR)
        return KFL_E_INTR;
    /* Whatever was on its way has gone with the member's rows. */
    kfl__places_free(&consumer->async.released);
    consumer->async.release = KFL_RELEASE_NONE;
    if (membership == NULL)
        return r;
    if (left < 0)
        atomic_store(&consumer->core->members_away, 1); /* a sweep finds the seat empty */
    if (membership->joined)
        kfl__seat_leave(kfl__state_seats(consumer->core->state), membership->seat_number,
                        membership->seat_owner);
    kfl__follow_drop(consumer, NULL);
    kfl__membership_free(consumer);
    kfl__condition_broadcast(&consumer->turn);
    return r < 0 ? r : left;
}
