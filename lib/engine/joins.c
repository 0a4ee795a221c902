/* SPDX-License-Identifier: MIT */
/*
 * Joining a group: a new member, one that takes the place of its former self (a static member), or
 * one that changes what it is subscribed to.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/memory.h"
#include "base/random.h"
#include "engine/member_change.h"
#include "engine/rebalance.h"

static int member_set_string(char **string, const char *value, bool *out_changed)
{
    if (strcmp(*string, value) == 0)
        return 0;
    char *copy = kfl__copy_string(value);
    if (copy == NULL)
        return kfl__fail(KFL_E_NOMEM, "a member of a group: out of memory");
    kfl__free(*string);
    *string = copy;
    *out_changed = true;
    return 0;
}

/* What the wish says becomes the member's; *out_changed: so that there must be a rebalance. */
static int member_take_wish(struct kfl__member_change *change, struct kfl__member *member,
                            bool *out_changed)
{
    const struct kfl__member_wish *wish = change->wish;
    bool only_shown = false;
    int r = member_set_string(&member->instance_id, wish->instance_id, out_changed);
    if (r == 0)
        r = member_set_string(&member->client_id, wish->client_id, &only_shown);
    if (r == 0)
        r = member_set_string(&member->assignors, wish->assignors, out_changed);
    if (r == 0)
        r = member_set_string(&member->topics, wish->topics, out_changed);
    if (r == 0)
        r = member_set_string(&member->pattern, wish->pattern, out_changed);
    *out_changed = *out_changed || member->exclude_internal != wish->exclude_internal;
    member->exclude_internal = wish->exclude_internal;
    member->session_timeout_ms = wish->session_timeout_ms;
    member->away_since_ms = -1;
    member->changed = member->raise = true;
    return r;
}

/* Its process, its seat and, when it is new, its id. */
static void member_seat(struct kfl__member_change *change, struct kfl__member *member)
{
    struct kfl__core *core = change->core;
    member->pid = core->presence.pid;
    member->entry = (uint32_t)core->presence.entry;
    member->session = core->presence.session;
    member->seat = (uint32_t)change->seat;
    member->seat_owner = change->seat_owner;
    memcpy(member->program, change->program, sizeof member->program);
}

/*
 * The member of this instance id, whose place the new one takes: everything it owns, under another
 * member id, so that the former one is found out wherever it still lives.
 */
static int members_replace(struct kfl__member_change *change, size_t index,
                           struct kfl__member *member)
{
    struct kfl__group *group = change->group;
    struct kfl__member *former = group->members[index];
    int r = kfl__places_copy(&former->owned, &member->owned);
    if (r == 0)
        r = kfl__places_copy(&former->target, &member->target);
    member->order = former->order;
    member->generation = former->generation;
    if (strcmp(group->leader, former->id) == 0)
        memcpy(group->leader, member->id, sizeof group->leader);
    return r < 0 ? r : kfl__group_drop_member(group, index);
}

static int members_add(struct kfl__catalog_txn *txn, struct kfl__member_change *change,
                       bool changed)
{
    struct kfl__group *group = change->group;
    const char *instance_id = change->wish->instance_id;
    bool same = false;
    struct kfl__member *member = kfl__member_create();
    if (member == NULL)
        return kfl__fail(KFL_E_NOMEM, "group %s: out of memory", group->name);
    memcpy(member->id, change->new_id, sizeof member->id);
    member->order = group->next_order++;
    int r = 0;
    for (size_t i = group->count; i > 0 && instance_id[0] != '\0' && r == 0; i--) {
        struct kfl__member *former = group->members[i - 1];
        if (strcmp(former->instance_id, instance_id) != 0)
            continue;
        same = strcmp(former->topics, change->wish->topics) == 0 &&
               strcmp(former->pattern, change->wish->pattern) == 0 &&
               strcmp(former->assignors, change->wish->assignors) == 0 &&
               former->exclude_internal == change->wish->exclude_internal;
        r = members_replace(change, i - 1, member);
    }
    bool ignored = false;
    if (r == 0)
        r = member_take_wish(change, member, &ignored);
    if (r < 0) {
        kfl__member_destroy(member);
        return r;
    }
    member_seat(change, member);
    r = kfl__group_add_member(group, member);
    if (r < 0)
        return r;
    if (!same || changed)
        return kfl__members_rebalance(txn, change);
    /* It returns to what it had, and nobody else is disturbed, unless topics have changed meanwhile. */
    r = kfl__rebalance_resolve(txn, group);
    return r == 1 ? kfl__rebalance_run(txn, group) : r;
}

static int members_step_join(struct kfl__catalog_txn *txn, struct kfl__member_change *change)
{
    int cleared = kfl__members_clear(change);
    if (cleared < 0)
        return cleared;
    bool changed = cleared == 1;
    struct kfl__group *group = change->group;
    if (change->wish->member_id[0] == '\0')
        return members_add(txn, change, changed);
    struct kfl__member *member = kfl__group_find_member(group, change->wish->member_id);
    if (member == NULL)
        return kfl__member_tell_missing(txn, change->name, change->wish->member_id,
                                        change->wish->instance_id);
    int r = member_take_wish(change, member, &changed);
    if (r == 0 && changed)
        r = kfl__members_rebalance(txn, change);
    return r;
}

/* As Kafka's: what it is known by, and something that no other has. */
static void members_make_id(struct kfl__member_change *change)
{
    const struct kfl__member_wish *wish = change->wish;
    const char *prefix = wish->instance_id[0] != '\0' ? wish->instance_id
                         : wish->client_id[0] != '\0' ? wish->client_id
                                                      : change->program;
    snprintf(change->new_id, sizeof change->new_id, "%.40s-%016" PRIx64, prefix,
             change->seat_owner);
}

int kfl__members_join(struct kfl__core *core, const struct kfl__member_wish *wish,
                      struct kfl__member_view *out_view)
{
    struct kfl__seat *seats = kfl__state_seats(core->state);
    struct kfl__member_change *change = kfl__member_change_create(core, wish->group);
    if (change == NULL)
        return KFL_E_NOMEM;
    change->wish = wish;
    change->step = members_step_join;
    change->seat = -1;
    int r = 0;
    if (wish->member_id[0] == '\0') {
        change->seat_owner = kfl__seat_owner(kfl__random64(), (uint32_t)core->presence.entry);
        kfl__process_name(core->presence.pid, change->program);
        members_make_id(change);
        change->seat = kfl__seat_take(seats, change->seat_owner, core->presence.session);
        if (change->seat < 0)
            r = kfl__fail(KFL_E_BUSY, "group %s: %d members live in this store: no more can",
                          wish->group, KFL_SEATS_MAX);
    }
    if (r == 0)
        r = kfl__member_change_run(change);
    if (r == 0) {
        const char *id = wish->member_id[0] == '\0' ? change->new_id : wish->member_id;
        r = kfl__member_view_fill(change->group, kfl__group_find_member(change->group, id),
                                  out_view);
    }
    if (r < 0 && change->seat >= 0)
        kfl__seat_leave(seats, (uint32_t)change->seat, change->seat_owner);
    r = kfl__member_change_finish(change, r);
    kfl__free(change);
    return r;
}
