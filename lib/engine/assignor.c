/* SPDX-License-Identifier: MIT */
/*
 * Which assignor, and the two that look at nothing but the present: range and roundrobin.
 *
 * Both order members by instance id before member id, so that a static member that comes back
 * under a new member id gets what it had. The sticky ones have engine/assignor_sticky.c.
 */
#include "engine/assignor.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "engine/assignor_plan.h"

/* More than this on one ballot are not looked at. */
#define ASSIGNOR_MAX_NAMES 64

static const char *const assignor_names[KFL_ASSIGNOR_COUNT] = {
    [KFL_ASSIGNOR_RANGE] = "range",
    [KFL_ASSIGNOR_ROUNDROBIN] = "roundrobin",
    [KFL_ASSIGNOR_STICKY] = "sticky",
    [KFL_ASSIGNOR_COOPERATIVE_STICKY] = "cooperative-sticky",
};

const char *kfl__assignor_name(int32_t kind)
{
    assert(kind >= 0 && kind < KFL_ASSIGNOR_COUNT);
    return assignor_names[kind];
}

int32_t kfl__assignor_find(const char *name)
{
    for (int32_t kind = 0; kind < KFL_ASSIGNOR_COUNT; kind++) {
        if (strcmp(name, assignor_names[kind]) == 0)
            return kind;
    }
    return KFL_E_UNSUPPORTED;
}

/* Each topic is cut into as many runs as it has subscribers; the first ones get the remainder. */
static void assignor_range(struct kfl__assignor_plan *plan)
{
    for (size_t topic = 0; topic < plan->topic_count; topic++) {
        const int32_t *subscribers = plan->subscribers + plan->subscriber_starts[topic];
        size_t count = plan->subscriber_starts[topic + 1] - plan->subscriber_starts[topic];
        size_t partitions = plan->firsts[topic + 1] - plan->firsts[topic];
        size_t number = plan->firsts[topic];
        for (size_t i = 0; i < count; i++) {
            size_t run = partitions / count + (i < partitions % count ? 1 : 0);
            for (size_t j = 0; j < run; j++)
                kfl__assignor_plan_give(plan, number++, subscribers[i]);
        }
    }
}

/* One turn after the other, through all topics; who does not subscribe is passed over. */
static void assignor_roundrobin(struct kfl__assignor_plan *plan)
{
    int32_t next = 0;
    for (size_t number = 0; number < plan->partition_count; number++) {
        size_t topic = (size_t)plan->topics[number];
        size_t first = plan->subscriber_starts[topic];
        size_t low = first;
        size_t high = plan->subscriber_starts[topic + 1];
        while (low < high) {
            size_t middle = low + (high - low) / 2;
            if (plan->subscribers[middle] < next)
                low = middle + 1;
            else
                high = middle;
        }
        if (low == plan->subscriber_starts[topic + 1])
            low = first;
        kfl__assignor_plan_give(plan, number, plan->subscribers[low]);
        next = plan->subscribers[low] + 1;
    }
}

int kfl__assignor_assign(int32_t kind, const struct kfl__assignor_topic *topics, size_t topic_count,
                         const struct kfl__assignor_member *members, size_t member_count,
                         struct kfl__assignment **out_assignment)
{
    bool by_instance = kind == KFL_ASSIGNOR_RANGE || kind == KFL_ASSIGNOR_ROUNDROBIN;
    struct kfl__assignor_plan *plan;
    int r =
        kfl__assignor_plan_create(topics, topic_count, members, member_count, by_instance, &plan);
    if (r < 0)
        return r;
    switch (kind) {
    case KFL_ASSIGNOR_RANGE:
        assignor_range(plan);
        break;
    case KFL_ASSIGNOR_ROUNDROBIN:
        assignor_roundrobin(plan);
        break;
    default:
        assert(kind == KFL_ASSIGNOR_STICKY || kind == KFL_ASSIGNOR_COOPERATIVE_STICKY);
        r = kfl__assignor_sticky(plan);
        break;
    }
    if (r == 0)
        r = kfl__assignor_plan_finish(plan, out_assignment);
    kfl__assignor_plan_destroy(plan);
    return r;
}

static bool assignor_listed(const struct kfl__assignor_ballot *ballot, const char *name)
{
    for (size_t i = 0; i < ballot->name_count; i++) {
        if (strcmp(ballot->names[i], name) == 0)
            return true;
    }
    return false;
}

static bool assignor_common(const struct kfl__assignor_ballot *ballots, size_t count,
                            const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (!assignor_listed(&ballots[i], name))
            return false;
    }
    return true;
}

/* Whether the ballot likes ballots[0].names[place] best among the `common` names of ballots[0]. */
static bool assignor_votes_for(const struct kfl__assignor_ballot *ballots, size_t voter,
                               uint64_t common, size_t place)
{
    for (size_t i = 0; i < ballots[voter].name_count; i++) {
        for (size_t j = 0; j < ballots[0].name_count && j < ASSIGNOR_MAX_NAMES; j++) {
            if ((common >> j & 1) != 0 && strcmp(ballots[voter].names[i], ballots[0].names[j]) == 0)
                return j == place;
        }
    }
    return false;
}

const char *kfl__assignor_choose(const struct kfl__assignor_ballot *ballots, size_t count)
{
    assert(count > 0);
    const struct kfl__assignor_ballot *first = &ballots[0];
    uint64_t common = 0;
    for (size_t i = 0; i < first->name_count && i < ASSIGNOR_MAX_NAMES; i++) {
        if (assignor_common(ballots, count, first->names[i]))
            common |= UINT64_C(1) << i;
    }

    const char *best = NULL;
    size_t best_votes = 0;
    for (size_t i = 0; i < first->name_count && i < ASSIGNOR_MAX_NAMES; i++) {
        size_t votes = 0;
        for (size_t voter = 0; voter < count; voter++)
            votes += assignor_votes_for(ballots, voter, common, i);
        if (votes > best_votes) {
            best = first->names[i];
            best_votes = votes;
        }
    }
    return best;
}
