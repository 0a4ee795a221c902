/* SPDX-License-Identifier: MIT */
/*
 * Sticky: as even as it can be, and what a member has stays with it where that allows it.
 *
 * The steps and their order are those of Kafka's, down to which member gets which partition. When
 * all members subscribe to the same topics, counts alone decide (sticky_even). Otherwise what is
 * free goes to whoever has least, and then single partitions move from fuller to emptier members
 * until none can. A move takes a partition to a member that has at least two less, so the sum of
 * the squares of the counts falls with each, and the moves come to an end. (Kafka's may rise, and
 * it then throws all moves away; sticky_move() makes that impossible.)
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "engine/assignor_plan.h"

#define STICKY_DISPUTED (-2) /* two members of one generation claim it */

/* What the members say about a partition that they have had. */
struct sticky_claim {
    int32_t owner; /* a rank, KFL_ASSIGNOR_NOBODY or STICKY_DISPUTED */
    int32_t generation;
};

/* A member of an older generation that once had the partition. */
struct sticky_former {
    int32_t owner; /* or KFL_ASSIGNOR_NOBODY */
    int32_t generation;
};

struct sticky {
    struct kfl__assignor_plan *plan;
    struct sticky_claim *claims; /* by number */
    size_t *kept;                /* scratch: numbers, or keys to sort them by */
    size_t *counts;              /* by rank: how many partitions it has now */
    /* for equal subscriptions: members that may take one more, by rank */
    int32_t *under; /* have less than `least` */
    int32_t *exact; /* have `least`, while some are to have one more */
    /* for mixed subscriptions */
    struct sticky_former *formers; /* by number */
    int32_t *moved_from; /* by number: whose it was before it moved, or KFL_ASSIGNOR_NOBODY */
    size_t *in_order;    /* all numbers, topics with few subscribers first */
    size_t *unassigned;  /* those that nobody kept, in the same order */
    size_t unassigned_count;
    bool withdrawn; /* somebody has had a partition of a topic that it no longer subscribes to */
};

static int sticky_out_of_memory(void)
{
    return kfl__fail(KFL_E_NOMEM, "sticky assignment: out of memory");
}

/* An older generation's claim loses; two of one generation are both void (F9). */
static void sticky_read_claims(const struct kfl__assignor_plan *plan, struct sticky_claim *claims)
{
    for (size_t number = 0; number < plan->partition_count; number++)
        claims[number] = (struct sticky_claim){KFL_ASSIGNOR_NOBODY, KFL_ASSIGNOR_NO_GENERATION};
    for (size_t rank = 0; rank < plan->member_count; rank++) {
        const struct kfl__assignor_member *member = plan->ranked[rank];
        for (size_t i = 0; i < member->owned_count; i++) {
            size_t number = kfl__assignor_plan_find(plan, member->owned[i]);
            if (number == plan->partition_count)
                continue;
            struct sticky_claim *claim = &claims[number];
            if (claim->owner == KFL_ASSIGNOR_NOBODY || claim->generation < member->generation)
                *claim = (struct sticky_claim){(int32_t)rank, member->generation};
            else if (claim->generation == member->generation && claim->owner != (int32_t)rank)
                claim->owner = STICKY_DISPUTED;
        }
    }
}

/* The rank's own undisputed partitions, in the order it named them, into `kept`. */
static size_t sticky_list_owned(struct sticky *sticky, size_t rank)
{
    const struct kfl__assignor_member *member = sticky->plan->ranked[rank];
    size_t count = 0;
    for (size_t i = 0; i < member->owned_count; i++) {
        size_t number = kfl__assignor_plan_find(sticky->plan, member->owned[i]);
        if (number < sticky->plan->partition_count && sticky->claims[number].owner == (int32_t)rank)
            sticky->kept[count++] = number;
    }
    return count;
}

static void sticky_give(struct sticky *sticky, size_t number, int32_t rank)
{
    kfl__assignor_plan_give(sticky->plan, number, rank);
    sticky->counts[rank]++;
}

/* ---- equal subscriptions ---- */

static bool sticky_equal_subscriptions(const struct kfl__assignor_plan *plan)
{
    if (plan->member_count == 0)
        return true;
    size_t count = plan->members[0].topic_count;
    for (size_t i = 1; i < plan->member_count; i++) {
        if (plan->members[i].topic_count != count)
            return false;
    }
    for (size_t i = 0; i < count; i++) {
        size_t topic = (size_t)plan->topic_ranks[plan->members[0].topics[i]];
        if (plan->subscriber_starts[topic + 1] - plan->subscriber_starts[topic] !=
            plan->member_count)
            return false;
    }
    return true;
}

static int sticky_compare_keys(const void *left, const void *right)
{
    size_t a = *(const size_t *)left;
    size_t b = *(const size_t *)right;
    return (a > b) - (a < b);
}

/* By partition, then by topic: what is cut off at the end comes from all topics alike. */
static void sticky_sort_across_topics(const struct sticky *sticky, size_t count)
{
    const struct kfl__assignor_plan *plan = sticky->plan;
    for (size_t i = 0; i < count; i++) {
        size_t number = sticky->kept[i];
        size_t topic = (size_t)plan->topics[number];
        sticky->kept[i] = (number - plan->firsts[topic]) << 32 | topic;
    }
    qsort(sticky->kept, count, sizeof *sticky->kept, sticky_compare_keys);
    for (size_t i = 0; i < count; i++)
        sticky->kept[i] = plan->firsts[sticky->kept[i] & UINT32_MAX] + (sticky->kept[i] >> 32);
}

/* `extra` members are to have one more than `least`. */
struct sticky_quota {
    size_t least;
    size_t extra;
    size_t filled; /* how many have one more by now */
    size_t under_count;
    size_t exact_count;
};

static void sticky_even_keep(struct sticky *sticky, struct sticky_quota *quota)
{
    for (size_t rank = 0; rank < sticky->plan->member_count; rank++) {
        size_t owned = sticky_list_owned(sticky, rank);
        sticky_sort_across_topics(sticky, owned);
        size_t kept = owned;
        if (owned < quota->least) {
            sticky->under[quota->under_count++] = (int32_t)rank;
        } else if (owned > quota->least && quota->filled < quota->extra) {
            kept = quota->least + 1;
            if (++quota->filled == quota->extra)
                quota->exact_count = 0;
        } else {
            kept = quota->least;
            if (quota->filled < quota->extra)
                sticky->exact[quota->exact_count++] = (int32_t)rank;
        }
        for (size_t i = 0; i < kept; i++)
            sticky_give(sticky, sticky->kept[i], (int32_t)rank);
    }
}

static void sticky_even_fill(struct sticky *sticky, struct sticky_quota *quota)
{
    size_t turn = 0;    /* in `under`: the next to get one */
    size_t staying = 0; /* of those before it, how many want more: they are moved to the front */
    size_t exact = 0;
    for (size_t number = 0; number < sticky->plan->partition_count; number++) {
        if (sticky->plan->owners[number] != KFL_ASSIGNOR_NOBODY)
            continue;
        if (turn == quota->under_count) {
            quota->under_count = staying;
            turn = 0;
            staying = 0;
        }
        if (quota->under_count == 0) {
            assert(exact < quota->exact_count);
            sticky_give(sticky, number, sticky->exact[exact++]);
            continue;
        }
        int32_t rank = sticky->under[turn++];
        sticky_give(sticky, number, rank);
        if (sticky->counts[rank] < quota->least)
            sticky->under[staying++] = rank;
        else
            sticky->exact[quota->exact_count++] = rank;
    }
}

static int sticky_even(struct sticky *sticky)
{
    size_t members = sticky->plan->member_count;
    sticky->under = kfl__alloc_array(members + 1, sizeof *sticky->under);
    sticky->exact = kfl__alloc_array(members + 1, sizeof *sticky->exact);
    if (sticky->under == NULL || sticky->exact == NULL)
        return sticky_out_of_memory();
    struct sticky_quota quota = {.least = sticky->plan->partition_count / members,
                                 .extra = sticky->plan->partition_count % members};
    sticky_even_keep(sticky, &quota);
    sticky_even_fill(sticky, &quota);
    return 0;
}

/* ---- mixed subscriptions ---- */

static void sticky_mixed_keep(struct sticky *sticky)
{
    for (size_t rank = 0; rank < sticky->plan->member_count; rank++) {
        size_t owned = sticky_list_owned(sticky, rank);
        for (size_t i = 0; i < owned; i++) {
            size_t number = sticky->kept[i];
            if (!kfl__assignor_plan_subscribes(sticky->plan, (int32_t)rank,
                                               sticky->plan->topics[number]))
                sticky->withdrawn = true;
            else if (sticky->plan->owners[number] == KFL_ASSIGNOR_NOBODY)
                sticky_give(sticky, number, (int32_t)rank);
        }
    }
}

static void sticky_mixed_read_formers(struct sticky *sticky)
{
    const struct kfl__assignor_plan *plan = sticky->plan;
    int32_t newest = KFL_ASSIGNOR_NO_GENERATION;
    for (size_t i = 0; i < plan->member_count; i++) {
        if (plan->members[i].generation > newest)
            newest = plan->members[i].generation;
    }
    for (size_t number = 0; number < plan->partition_count; number++)
        sticky->formers[number] =
            (struct sticky_former){KFL_ASSIGNOR_NOBODY, KFL_ASSIGNOR_NO_GENERATION};
    for (size_t rank = 0; rank < plan->member_count; rank++) {
        const struct kfl__assignor_member *member = plan->ranked[rank];
        for (size_t i = 0; i < member->owned_count && member->generation < newest; i++) {
            size_t number = kfl__assignor_plan_find(plan, member->owned[i]);
            if (number == plan->partition_count)
                continue;
            struct sticky_former *former = &sticky->formers[number];
            if ((former->owner == KFL_ASSIGNOR_NOBODY || former->generation < member->generation) &&
                kfl__assignor_plan_subscribes(plan, (int32_t)rank, plan->topics[number]))
                *former = (struct sticky_former){(int32_t)rank, member->generation};
        }
    }
}

struct sticky_topic {
    size_t subscribers;
    size_t topic;
};

static int sticky_compare_topics(const void *left, const void *right)
{
    const struct sticky_topic *a = left;
    const struct sticky_topic *b = right;
    if (a->subscribers != b->subscribers)
        return a->subscribers < b->subscribers ? -1 : 1;
    return (a->topic > b->topic) - (a->topic < b->topic);
}

static int sticky_mixed_order(struct sticky *sticky)
{
    const struct kfl__assignor_plan *plan = sticky->plan;
    struct sticky_topic *topics = kfl__alloc_array(plan->topic_count + 1, sizeof *topics);
    if (topics == NULL)
        return sticky_out_of_memory();
    for (size_t topic = 0; topic < plan->topic_count; topic++) {
        topics[topic].topic = topic;
        topics[topic].subscribers =
            plan->subscriber_starts[topic + 1] - plan->subscriber_starts[topic];
    }
    qsort(topics, plan->topic_count, sizeof *topics, sticky_compare_topics);
    size_t count = 0;
    for (size_t i = 0; i < plan->topic_count; i++) {
        size_t topic = topics[i].topic;
        for (size_t number = plan->firsts[topic]; number < plan->firsts[topic + 1]; number++) {
            sticky->in_order[count++] = number;
            if (plan->owners[number] == KFL_ASSIGNOR_NOBODY)
                sticky->unassigned[sticky->unassigned_count++] = number;
        }
    }
    kfl__free(topics);
    return 0;
}

/* Who of the topic's subscribers has least; of several the first by member id. */
static int32_t sticky_emptiest(const struct sticky *sticky, int32_t topic)
{
    const int32_t *subscribers = sticky->plan->subscribers;
    size_t end = sticky->plan->subscriber_starts[topic + 1];
    int32_t emptiest = subscribers[sticky->plan->subscriber_starts[topic]];
    for (size_t i = sticky->plan->subscriber_starts[topic] + 1; i < end; i++) {
        if (sticky->counts[subscribers[i]] < sticky->counts[emptiest])
            emptiest = subscribers[i];
    }
    return emptiest;
}

/* A partition of the topic that has moved from `to` to `home`, or partition_count. */
static size_t sticky_find_reverse(const struct sticky *sticky, size_t topic, int32_t home,
                                  int32_t to)
{
    const struct kfl__assignor_plan *plan = sticky->plan;
    for (size_t other = plan->firsts[topic]; other < plan->firsts[topic + 1]; other++) {
        if (sticky->moved_from[other] == to && plan->owners[other] == home)
            return other;
    }
    return plan->partition_count;
}

static void sticky_move_one(struct sticky *sticky, size_t number, int32_t to)
{
    int32_t from = sticky->plan->owners[number];
    if (sticky->moved_from[number] == KFL_ASSIGNOR_NOBODY)
        sticky->moved_from[number] = from;
    else if (sticky->moved_from[number] == to)
        sticky->moved_from[number] = KFL_ASSIGNOR_NOBODY;
    sticky->counts[from]--;
    sticky_give(sticky, number, to);
}

/*
 * Takes one from who has the partition to `to`. Two members are not to end up with each other's
 * partitions of one topic: when one of them has moved the other way before, it moves back. Where
 * this alone leaves the fuller member as full, the partition goes home in the same step.
 */
static void sticky_move(struct sticky *sticky, size_t number, int32_t to)
{
    const struct kfl__assignor_plan *plan = sticky->plan;
    int32_t from = plan->owners[number];
    int32_t home = sticky->moved_from[number];
    if (home == KFL_ASSIGNOR_NOBODY)
        home = from;
    assert(sticky->counts[from] > sticky->counts[to] + 1);
    size_t reverse = sticky_find_reverse(sticky, (size_t)plan->topics[number], home, to);
    if (reverse == plan->partition_count) {
        sticky_move_one(sticky, number, to);
        return;
    }
    bool helps = sticky->counts[home] > sticky->counts[to] + 1;
    sticky_move_one(sticky, reverse, to);
    if (!helps)
        sticky_move_one(sticky, number, home);
}

/* Moves what helps the balance, of these partitions, until nothing does. */
static void sticky_level(struct sticky *sticky, const size_t *numbers, size_t count)
{
    const struct kfl__assignor_plan *plan = sticky->plan;
    bool moved;
    do {
        moved = false;
        int32_t topic = -1; /* the one whose emptiest subscriber is known */
        int32_t emptiest = KFL_ASSIGNOR_NOBODY;
        for (size_t i = 0; i < count; i++) {
            size_t number = numbers[i];
            if (plan->topics[number] != topic) {
                topic = plan->topics[number];
                emptiest = sticky_emptiest(sticky, topic);
            }
            size_t has = sticky->counts[plan->owners[number]];
            int32_t former = sticky->formers[number].owner;
            if (former != KFL_ASSIGNOR_NOBODY && has > sticky->counts[former] + 1)
                sticky_move(sticky, number, former);
            else if (has > sticky->counts[emptiest] + 1)
                sticky_move(sticky, number, emptiest);
            else
                continue;
            moved = true;
            topic = -1;
        }
    } while (moved);
}

static int sticky_mixed(struct sticky *sticky)
{
    size_t partitions = sticky->plan->partition_count;
    sticky->formers = kfl__alloc_array(partitions + 1, sizeof *sticky->formers);
    sticky->moved_from = kfl__alloc_array(partitions + 1, sizeof *sticky->moved_from);
    sticky->in_order = kfl__alloc_array(partitions + 1, sizeof *sticky->in_order);
    sticky->unassigned = kfl__alloc_array(partitions + 1, sizeof *sticky->unassigned);
    if (sticky->formers == NULL || sticky->moved_from == NULL || sticky->in_order == NULL ||
        sticky->unassigned == NULL)
        return sticky_out_of_memory();

    for (size_t number = 0; number < partitions; number++)
        sticky->moved_from[number] = KFL_ASSIGNOR_NOBODY;
    sticky_mixed_keep(sticky);
    sticky_mixed_read_formers(sticky);
    int r = sticky_mixed_order(sticky);
    if (r < 0)
        return r;
    for (size_t i = 0; i < sticky->unassigned_count; i++) {
        size_t number = sticky->unassigned[i];
        sticky_give(sticky, number, sticky_emptiest(sticky, sticky->plan->topics[number]));
    }
    /* As long as nothing was taken from anybody, try to move only what is newly given. */
    if (!sticky->withdrawn)
        sticky_level(sticky, sticky->unassigned, sticky->unassigned_count);
    sticky_level(sticky, sticky->in_order, partitions);
    return 0;
}

int kfl__assignor_sticky(struct kfl__assignor_plan *plan)
{
    if (plan->partition_count == 0)
        return 0;
    struct sticky sticky = {.plan = plan};
    size_t most_owned = 0;
    for (size_t i = 0; i < plan->member_count; i++) {
        if (plan->members[i].owned_count > most_owned)
            most_owned = plan->members[i].owned_count;
    }
    sticky.claims = kfl__alloc_array(plan->partition_count, sizeof *sticky.claims);
    sticky.kept = kfl__alloc_array(most_owned + 1, sizeof *sticky.kept);
    sticky.counts = kfl__alloc_array(plan->member_count, sizeof *sticky.counts);
    int r;
    if (sticky.claims == NULL || sticky.kept == NULL || sticky.counts == NULL) {
        r = sticky_out_of_memory();
    } else {
        sticky_read_claims(plan, sticky.claims);
        r = sticky_equal_subscriptions(plan) ? sticky_even(&sticky) : sticky_mixed(&sticky);
    }
    kfl__free(sticky.claims);
    kfl__free(sticky.kept);
    kfl__free(sticky.counts);
    kfl__free(sticky.under);
    kfl__free(sticky.exact);
    kfl__free(sticky.formers);
    kfl__free(sticky.moved_from);
    kfl__free(sticky.in_order);
    kfl__free(sticky.unassigned);
    return r;
}

/*
 * Marks in plan->owners what the members may have at once: what nobody else claims. A disputed
 * partition waits until both who claim it have let go. Returns how many are left out.
 */
static size_t sticky_leave_out(struct kfl__assignor_plan *plan, const struct sticky_claim *claims,
                               const struct kfl__assignment *target)
{
    size_t left_out = 0;
    for (size_t rank = 0; rank < plan->member_count; rank++) {
        size_t member = (size_t)(plan->ranked[rank] - plan->members);
        for (size_t i = target->starts[member]; i < target->starts[member + 1]; i++) {
            size_t number = kfl__assignor_plan_find(plan, target->partitions[i]);
            assert(number < plan->partition_count);
            int32_t claimed_by = claims[number].owner;
            if (claimed_by == KFL_ASSIGNOR_NOBODY || claimed_by == (int32_t)rank)
                kfl__assignor_plan_give(plan, number, (int32_t)rank);
            else
                left_out++;
        }
    }
    return left_out;
}

int kfl__assignment_adjust(const struct kfl__assignment *target,
                           const struct kfl__assignor_topic *topics, size_t topic_count,
                           const struct kfl__assignor_member *members,
                           struct kfl__assignment **out_assignment)
{
    struct kfl__assignor_plan *plan;
    int r =
        kfl__assignor_plan_create(topics, topic_count, members, target->member_count, false, &plan);
    if (r < 0)
        return r;
    struct sticky_claim *claims = kfl__alloc_array(plan->partition_count + 1, sizeof *claims);
    if (claims == NULL) {
        r = sticky_out_of_memory();
        goto done;
    }
    sticky_read_claims(plan, claims);
    size_t left_out = sticky_leave_out(plan, claims, target);

    size_t *starts;
    struct kfl__assignor_partition *partitions;
    r = kfl__assignment_create(target->member_count, target->partition_count - left_out,
                               out_assignment, &starts, &partitions);
    if (r < 0)
        goto done;
    size_t count = 0;
    for (size_t member = 0; member < target->member_count; member++) {
        for (size_t i = target->starts[member]; i < target->starts[member + 1]; i++) {
            if (plan->owners[kfl__assignor_plan_find(plan, target->partitions[i])] !=
                KFL_ASSIGNOR_NOBODY)
                partitions[count++] = target->partitions[i];
        }
        starts[member + 1] = count;
    }
    r = (int)left_out;
done:
    kfl__free(claims);
    kfl__assignor_plan_destroy(plan);
    return r;
}
