/* SPDX-License-Identifier: MIT */
/*
 * A group's row in the catalog is its coordinator: each change loads the group, does one thing to it
 * and saves it, in one transaction, whoever runs it. What happens to a member without its doing
 * (another target, a grant, its removal) is told through its seat afterwards. Who dies between the
 * commit and the telling is noticed, and whoever notices it has everybody look again.
 */
#include "engine/members.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/fault.h"
#include "base/memory.h"
#include "base/process.h"
#include "base/random.h"
#include "catalog/topics.h"
#include "engine/member_change.h"
#include "engine/notify.h"
#include "engine/rebalance.h"
#include "engine/topics.h"

/* ---- running a change, and telling of it ---- */

static int members_step(struct kfl__catalog_txn *txn, void *context)
{
    struct kfl__member_change *change = context;
    kfl__group_destroy(change->group);
    change->group = NULL;
    int r = kfl__group_load(txn, change->name, &change->group);
    if (r == 0)
        r = change->step(txn, change);
    if (r == 0)
        r = kfl__group_save(txn, change->group);
    return r;
}

static void members_raise(struct kfl__core *core, uint32_t number, uint64_t owner)
{
    struct kfl__seat *seat = &kfl__state_seats(core->state)[number];
    if (number < KFL_SEATS_MAX && kfl__seat_is(seat, owner))
        atomic_fetch_add(&seat->version, 1);
}

static void members_tell(struct kfl__core *core, const struct kfl__group *group)
{
    uint32_t words = 0;
    for (size_t i = 0; i < group->count; i++) {
        const struct kfl__member *member = group->members[i];
        if (!member->raise || member->session == 0)
            continue;
        members_raise(core, member->seat, member->seat_owner);
        words |= UINT32_C(1) << member->entry % 32;
    }
    for (size_t i = 0; i < group->gone_count; i++) {
        const struct kfl__member *member = group->gone[i];
        kfl__seat_leave(kfl__state_seats(core->state), member->seat, member->seat_owner);
        words |= UINT32_C(1) << member->entry % 32;
    }
    kfl__notify_wake_words(core, words);
}

/* Runs the step; the group as it left it stays in the change. */
int kfl__member_change_run(struct kfl__member_change *change)
{
    change->now_ms = kfl__clock_wall_ms(&change->core->clock);
    change->now_ns = kfl__clock_steady_ns();
    int r = kfl__catalog_change_run(change->core->catalog, members_step, change);
    KFL_STEP("members.committed");
    if (r == 0)
        members_tell(change->core, change->group);
    return r;
}

int kfl__member_change_finish(struct kfl__member_change *change, int r)
{
    kfl__group_destroy(change->group);
    change->group = NULL;
    return r == KFL_MEMBERS_UNTOUCHED ? 0 : r;
}

void kfl__members_wake_all(struct kfl__core *core, bool raise)
{
    struct kfl__seat *seats = kfl__state_seats(core->state);
    uint32_t words = 0;
    for (uint32_t i = 0; i < KFL_SEATS_MAX; i++) {
        uint64_t owner = atomic_load_explicit(&seats[i].owner, memory_order_acquire);
        if (owner <= KFL_SEAT_RESERVED)
            continue;
        if (raise)
            atomic_fetch_add(&seats[i].version, 1);
        words |= UINT32_C(1) << kfl__seat_entry(owner) % 32;
    }
    kfl__notify_wake_words(core, words);
}

struct kfl__member_change *kfl__member_change_create(struct kfl__core *core, const char *name)
{
    struct kfl__member_change *change = kfl__alloc(sizeof *change);
    if (change == NULL) {
        kfl__fail(KFL_E_NOMEM, "group %s: out of memory", name);
        return NULL;
    }
    change->core = core;
    change->name = name;
    change->now_ms = kfl__clock_wall_ms(&core->clock);
    change->now_ns = kfl__clock_steady_ns();
    return change;
}

static int members_see_offset(uint64_t topic_id, int32_t partition,
                              const struct kfl__offset_row *row, void *context)
{
    (void)topic_id;
    (void)partition;
    (void)row;
    *(bool *)context = true;
    return KFL_E_EXISTS; /* one is enough */
}

int kfl__group_has_offsets(struct kfl__catalog_txn *txn, const char *name)
{
    bool any = false;
    int r = kfl__offsets_visit_group(txn, name, members_see_offset, &any);
    return any ? 1 : r;
}

/*
 * Who comes and goes takes effect: the members share, or the group is empty from now on. Without
 * members and offsets it is no group any more.
 */
int kfl__members_rebalance(struct kfl__catalog_txn *txn, struct kfl__member_change *change)
{
    struct kfl__group *group = change->group;
    group->empty_since_ms = group->count == 0 ? change->now_ms : -1;
    int r = kfl__rebalance_resolve(txn, group);
    if (r >= 0)
        r = kfl__rebalance_run(txn, group);
    if (r < 0 || group->count > 0)
        return r;
    int any = kfl__group_has_offsets(txn, group->name);
    group->over = any == 0;
    return any < 0 ? any : 0;
}

/* ---- what a member sees ---- */

void kfl__member_view_free(struct kfl__member_view *view)
{
    kfl__places_free(&view->owned);
    kfl__places_free(&view->target);
}

int kfl__member_view_fill(const struct kfl__group *group, const struct kfl__member *member,
                          struct kfl__member_view *view)
{
    memset(view, 0, sizeof *view);
    memcpy(view->id, member->id, sizeof view->id);
    view->seat = (int32_t)member->seat;
    view->seat_owner = member->seat_owner;
    view->generation = group->generation;
    view->answer_needed = group->answer_needed;
    view->leads = strcmp(group->leader, member->id) == 0;
    view->away = member->away_since_ms >= 0;
    int r = kfl__places_copy(&member->owned, &view->owned);
    if (r == 0)
        r = kfl__places_copy(&member->target, &view->target);
    if (r < 0)
        kfl__member_view_free(view);
    return r;
}

struct members_look {
    const char *group, *member_id, *instance_id;
    struct kfl__member_view *view;
};

/* The member is not there: was it replaced by another one with its instance id? */
int kfl__member_tell_missing(struct kfl__catalog_txn *txn, const char *name, const char *member_id,
                             const char *instance_id)
{
    struct kfl__group *group = NULL;
    bool fenced = false;
    int r = instance_id[0] == '\0' ? 0 : kfl__group_load(txn, name, &group);
    if (r < 0)
        return r;
    for (size_t i = 0; group != NULL && i < group->count; i++)
        fenced = fenced || strcmp(group->members[i]->instance_id, instance_id) == 0;
    kfl__group_destroy(group);
    if (fenced)
        return kfl__fail(
            KFL_E_FENCED_INSTANCE_ID,
            "group %s: another consumer has joined with group.instance.id=%s: close this one", name,
            instance_id);
    return kfl__fail(
        KFL_E_UNKNOWN_MEMBER_ID,
        "%s is not a member of group %s any more: it did not poll for max.poll.interval.ms, or "
        "the group was deleted",
        member_id, name);
}

static int members_get(struct kfl__catalog_txn *txn, void *context)
{
    struct members_look *look = context;
    struct kfl__group group;
    struct kfl__member *member = NULL;
    int r = kfl__group_get_member(txn, look->group, look->member_id, &member);
    if (r == KFL_E_NOT_FOUND)
        return kfl__member_tell_missing(txn, look->group, look->member_id, look->instance_id);
    if (r == 0)
        r = kfl__group_get(txn, look->group, &group);
    if (r == 0)
        r = kfl__member_view_fill(&group, member, look->view);
    kfl__member_destroy(member);
    return r;
}

int kfl__members_look(struct kfl__core *core, const char *group, const char *member_id,
                      const char *instance_id, struct kfl__member_view *out_view)
{
    struct members_look look = {group, member_id, instance_id, out_view};
    return kfl__catalog_look(core->catalog, members_get, &look);
}

/* ---- leaving, releasing, following the topics, answering ---- */

static int members_step_leave(struct kfl__catalog_txn *txn, struct kfl__member_change *change)
{
    struct kfl__group *group = change->group;
    for (size_t i = 0; i < group->count; i++) {
        struct kfl__member *member = group->members[i];
        if (strcmp(member->id, change->member_id) != 0)
            continue;
        if (member->instance_id[0] != '\0') {
            kfl__member_send_away(change, member);
            member->session = 0;
            return 0;
        }
        int r = kfl__group_drop_member(group, i);
        return r < 0 ? r : kfl__members_rebalance(txn, change);
    }
    return KFL_MEMBERS_UNTOUCHED;
}

static int members_step_release(struct kfl__catalog_txn *txn, struct kfl__member_change *change)
{
    (void)txn;
    struct kfl__member *member = kfl__group_find_member(change->group, change->member_id);
    if (member == NULL)
        return KFL_MEMBERS_UNTOUCHED;
    for (size_t i = 0; i < change->places->count; i++)
        kfl__places_remove(&member->owned, &change->places->rows[i]);
    member->changed = true;
    return kfl__rebalance_grant(change->group);
}

static int members_step_topics(struct kfl__catalog_txn *txn, struct kfl__member_change *change)
{
    uint64_t version = 0;
    int r = kfl__topics_version(txn, &version);
    if (r < 0)
        return r;
    if (change->group->count == 0 || change->group->topics_version == version)
        return KFL_MEMBERS_UNTOUCHED;
    r = kfl__rebalance_resolve(txn, change->group);
    return r == 1 ? kfl__rebalance_run(txn, change->group) : r;
}

static int members_run_simple(struct kfl__core *core, const char *name, const char *member_id,
                              const struct kfl__places *places,
                              int (*step)(struct kfl__catalog_txn *txn,
                                          struct kfl__member_change *change))
{
    struct kfl__member_change *change = kfl__member_change_create(core, name);
    if (change == NULL)
        return KFL_E_NOMEM;
    change->member_id = member_id;
    change->places = places;
    change->step = step;
    int r = kfl__member_change_run(change);
    r = kfl__member_change_finish(change, r);
    kfl__free(change);
    return r;
}

int kfl__members_leave(struct kfl__core *core, const char *group, const char *member_id)
{
    return members_run_simple(core, group, member_id, NULL, members_step_leave);
}

int kfl__members_release(struct kfl__core *core, const char *group, const char *member_id,
                         const struct kfl__places *places)
{
    return members_run_simple(core, group, member_id, places, members_step_release);
}

struct members_topics_look {
    const char *group;
    bool stale;
};

static int members_look_topics(struct kfl__catalog_txn *txn, void *context)
{
    struct members_topics_look *look = context;
    struct kfl__group group;
    uint64_t version = 0;
    int r = kfl__topics_version(txn, &version);
    if (r == 0)
        r = kfl__group_get(txn, look->group, &group);
    look->stale = r == 0 && group.topics_version != version;
    return r == KFL_E_NOT_FOUND ? 0 : r;
}

int kfl__members_sync_topics(struct kfl__core *core, const char *group)
{
    struct members_topics_look look = {.group = group};
    int r = kfl__catalog_look(core->catalog, members_look_topics, &look);
    if (r < 0 || !look.stale)
        return r;
    return members_run_simple(core, group, NULL, NULL, members_step_topics);
}

/* Each place exists, is subscribed to by its member, and is given once. */
static int members_check_answer(struct kfl__catalog_txn *txn, const struct kfl__member *member,
                                const struct kfl__places *target, struct kfl__places *given)
{
    int r = 0;
    for (size_t i = 0; i < target->count && r == 0; i++) {
        const struct kfl__place *place = &target->rows[i];
        struct kfl__topic_row topic;
        bool subscribed = false;
        for (size_t j = 0; j < member->subscribed_count; j++)
            subscribed = subscribed || member->subscribed[j] == place->topic_id;
        r = kfl__topics_get(txn, place->topic_id, &topic);
        if (r < 0)
            return r;
        if (place->partition >= topic.partition_count)
            return kfl__fail(KFL_E_UNKNOWN_TOPIC_OR_PARTITION,
                             "topic %s has %d partitions, and no %d", topic.name,
                             topic.partition_count, place->partition);
        if (!subscribed)
            return kfl__fail(KFL_E_INVALID, "member %s is not subscribed to %s", member->id,
                             topic.name);
        if (kfl__places_have(given, place))
            return kfl__fail(KFL_E_INVALID, "partition %s/%d is given to two members", topic.name,
                             place->partition);
        r = kfl__places_add(given, place);
    }
    return r;
}

static int members_step_answer(struct kfl__catalog_txn *txn, struct kfl__member_change *change)
{
    struct kfl__group *group = change->group;
    struct kfl__places given = {0};
    int r = 0;
    if (!group->answer_needed || group->generation != change->generation ||
        strcmp(group->leader, change->member_id) != 0)
        return kfl__fail(KFL_E_ILLEGAL_GENERATION,
                         "group %s: nobody waits for this member's answer to generation %d",
                         group->name, change->generation);
    for (size_t i = 0; i < group->count; i++)
        group->members[i]->target.count = 0;
    for (size_t i = 0; i < change->count && r == 0; i++) {
        struct kfl__member *member = kfl__group_find_member(group, change->member_ids[i]);
        if (member == NULL)
            r = kfl__fail(KFL_E_UNKNOWN_MEMBER_ID, "group %s has no member %s", group->name,
                          change->member_ids[i]);
        else
            r = members_check_answer(txn, member, &change->places[i], &given);
        for (size_t j = 0; j < change->places[i].count && r == 0; j++)
            r = kfl__places_add(&member->target, &change->places[i].rows[j]);
    }
    kfl__places_free(&given);
    for (size_t i = 0; i < group->count; i++) {
        group->members[i]->changed = group->members[i]->raise = true;
        if (group->members[i]->generation < 0)
            group->members[i]->generation = group->generation;
    }
    group->answer_needed = false;
    return r < 0 ? r : kfl__rebalance_grant(group);
}

int kfl__members_answer(struct kfl__core *core, const char *group, const char *member_id,
                        int32_t generation, const char *const *member_ids,
                        const struct kfl__places *targets, size_t count)
{
    struct kfl__member_change *change = kfl__member_change_create(core, group);
    if (change == NULL)
        return KFL_E_NOMEM;
    change->step = members_step_answer;
    change->member_id = member_id;
    change->generation = generation;
    change->member_ids = member_ids;
    change->places = targets;
    change->count = count;
    int r = kfl__member_change_run(change);
    r = kfl__member_change_finish(change, r);
    kfl__free(change);
    return r;
}

/* ---- commits ---- */

static int members_refuse(struct kfl__catalog_txn *txn, const char *name,
                          const struct kfl__member *member, const struct kfl__partition *partition)
{
    struct kfl__group group;
    int r = member->generation < 0 ? kfl__group_get(txn, name, &group) : 0;
    if (r < 0)
        return r;
    if (member->generation < 0 && group.answer_needed)
        return kfl__fail(KFL_E_REBALANCE_IN_PROGRESS,
                         "group %s: member %s waits for its first assignment", name, member->id);
    kfl__fail(KFL_E_ILLEGAL_GENERATION,
              "group %s: partition %s/%d does not belong to member %s (any more)", name,
              partition->topic->name, partition->number, member->id);
    return kfl__fail_at(KFL_E_ILLEGAL_GENERATION, partition->topic->name, partition->number, -1);
}

int kfl__members_fence(struct kfl__catalog_txn *txn, const char *group, const char *member_id,
                       const char *instance_id, const struct kfl__group_item *items, size_t count)
{
    struct kfl__member *member = NULL;
    int r;
    if (member_id == NULL) {
        r = kfl__group_has_members(txn, group);
        return r <= 0
                   ? r
                   : kfl__fail(
                         KFL_E_UNKNOWN_MEMBER_ID,
                         "group %s has members: only they commit for it; close them, or use another group.id",
                         group);
    }
    r = kfl__group_get_member(txn, group, member_id, &member);
    if (r == KFL_E_NOT_FOUND)
        return kfl__member_tell_missing(txn, group, member_id, instance_id);
    for (size_t i = 0; i < count && r == 0; i++) {
        struct kfl__place place = {items[i].partition->topic->id, items[i].partition->number};
        if (!kfl__places_have(&member->owned, &place))
            r = members_refuse(txn, group, member, items[i].partition);
    }
    kfl__member_destroy(member);
    return r;
}
