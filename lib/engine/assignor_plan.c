/* SPDX-License-Identifier: MIT */
/*
 * Members, topics and partitions in order, and the list that comes out.
 *
 * All arrays of a plan are made at once and are of the sizes that its header states, so assignors
 * neither allocate nor fail while they hand out partitions.
 */
#include "engine/assignor_plan.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

static int assignor_out_of_memory(void)
{
    return kfl__fail(KFL_E_NOMEM, "assigning partitions: out of memory");
}

static int assignor_compare_ids(const void *left, const void *right)
{
    const struct kfl__assignor_member *a = *(const struct kfl__assignor_member *const *)left;
    const struct kfl__assignor_member *b = *(const struct kfl__assignor_member *const *)right;
    return strcmp(a->member_id, b->member_id);
}

static int assignor_compare_instances(const void *left, const void *right)
{
    const struct kfl__assignor_member *a = *(const struct kfl__assignor_member *const *)left;
    const struct kfl__assignor_member *b = *(const struct kfl__assignor_member *const *)right;
    if (a->instance_id != NULL && b->instance_id != NULL) {
        int order = strcmp(a->instance_id, b->instance_id);
        if (order != 0)
            return order;
    } else if (a->instance_id != NULL || b->instance_id != NULL) {
        return a->instance_id != NULL ? -1 : 1;
    }
    return strcmp(a->member_id, b->member_id);
}

static int assignor_compare_names(const void *left, const void *right)
{
    const struct kfl__assignor_topic *a = *(const struct kfl__assignor_topic *const *)left;
    const struct kfl__assignor_topic *b = *(const struct kfl__assignor_topic *const *)right;
    return strcmp(a->name, b->name);
}

static int assignor_order(struct kfl__assignor_plan *plan, bool by_instance)
{
    plan->ranked = kfl__alloc_array(plan->member_count + 1, sizeof *plan->ranked);
    plan->named = kfl__alloc_array(plan->topic_count + 1, sizeof *plan->named);
    plan->topic_ranks = kfl__alloc_array(plan->topic_count + 1, sizeof *plan->topic_ranks);
    if (plan->ranked == NULL || plan->named == NULL || plan->topic_ranks == NULL)
        return assignor_out_of_memory();

    for (size_t i = 0; i < plan->member_count; i++)
        plan->ranked[i] = &plan->members[i];
    qsort(plan->ranked, plan->member_count, sizeof *plan->ranked,
          by_instance ? assignor_compare_instances : assignor_compare_ids);
    for (size_t i = 0; i < plan->topic_count; i++)
        plan->named[i] = &plan->listed[i];
    qsort(plan->named, plan->topic_count, sizeof *plan->named, assignor_compare_names);
    for (size_t i = 0; i < plan->topic_count; i++)
        plan->topic_ranks[plan->named[i] - plan->listed] = (int32_t)i;
    return 0;
}

static int assignor_list_subscribers(struct kfl__assignor_plan *plan)
{
    size_t total = 0;
    for (size_t i = 0; i < plan->member_count; i++)
        total += plan->members[i].topic_count;
    plan->subscriber_starts =
        kfl__alloc_array(plan->topic_count + 1, sizeof *plan->subscriber_starts);
    plan->subscribers = kfl__alloc_array(total + 1, sizeof *plan->subscribers);
    if (plan->subscriber_starts == NULL || plan->subscribers == NULL)
        return assignor_out_of_memory();

    size_t *starts = plan->subscriber_starts;
    for (size_t i = 0; i < plan->member_count; i++) {
        for (size_t j = 0; j < plan->members[i].topic_count; j++) {
            assert((size_t)plan->members[i].topics[j] < plan->topic_count);
            starts[plan->topic_ranks[plan->members[i].topics[j]] + 1]++;
        }
    }
    for (size_t topic = 0; topic < plan->topic_count; topic++)
        starts[topic + 1] += starts[topic];
    /* Filling moves each start to the next one; they are moved back after it. */
    for (size_t rank = 0; rank < plan->member_count; rank++) {
        const struct kfl__assignor_member *member = plan->ranked[rank];
        for (size_t j = 0; j < member->topic_count; j++)
            plan->subscribers[starts[plan->topic_ranks[member->topics[j]]]++] = (int32_t)rank;
    }
    memmove(starts + 1, starts, plan->topic_count * sizeof *starts);
    starts[0] = 0;
    return 0;
}

static int assignor_number_partitions(struct kfl__assignor_plan *plan)
{
    plan->firsts = kfl__alloc_array(plan->topic_count + 1, sizeof *plan->firsts);
    if (plan->firsts == NULL)
        return assignor_out_of_memory();
    for (size_t topic = 0; topic < plan->topic_count; topic++) {
        assert(plan->named[topic]->partition_count >= 0);
        plan->firsts[topic] = plan->partition_count;
        if (plan->subscriber_starts[topic] < plan->subscriber_starts[topic + 1])
            plan->partition_count += (size_t)plan->named[topic]->partition_count;
    }
    plan->firsts[plan->topic_count] = plan->partition_count;

    plan->topics = kfl__alloc_array(plan->partition_count + 1, sizeof *plan->topics);
    plan->owners = kfl__alloc_array(plan->partition_count + 1, sizeof *plan->owners);
    plan->turns = kfl__alloc_array(plan->partition_count + 1, sizeof *plan->turns);
    if (plan->topics == NULL || plan->owners == NULL || plan->turns == NULL)
        return assignor_out_of_memory();
    for (size_t topic = 0; topic < plan->topic_count; topic++) {
        for (size_t number = plan->firsts[topic]; number < plan->firsts[topic + 1]; number++) {
            plan->topics[number] = (int32_t)topic;
            plan->owners[number] = KFL_ASSIGNOR_NOBODY;
        }
    }
    return 0;
}

int kfl__assignor_plan_create(const struct kfl__assignor_topic *topics, size_t topic_count,
                              const struct kfl__assignor_member *members, size_t member_count,
                              bool by_instance, struct kfl__assignor_plan **out_plan)
{
    assert(member_count <= INT32_MAX && topic_count <= INT32_MAX);
    struct kfl__assignor_plan *plan = kfl__alloc(sizeof *plan);
    if (plan == NULL)
        return assignor_out_of_memory();
    plan->listed = topics;
    plan->members = members;
    plan->member_count = member_count;
    plan->topic_count = topic_count;

    int r = assignor_order(plan, by_instance);
    if (r == 0)
        r = assignor_list_subscribers(plan);
    if (r == 0)
        r = assignor_number_partitions(plan);
    if (r < 0) {
        kfl__assignor_plan_destroy(plan);
        return r;
    }
    *out_plan = plan;
    return 0;
}

void kfl__assignor_plan_destroy(struct kfl__assignor_plan *plan)
{
    if (plan == NULL)
        return;
    kfl__free(plan->ranked);
    kfl__free(plan->named);
    kfl__free(plan->topic_ranks);
    kfl__free(plan->firsts);
    kfl__free(plan->topics);
    kfl__free(plan->subscriber_starts);
    kfl__free(plan->subscribers);
    kfl__free(plan->owners);
    kfl__free(plan->turns);
    kfl__free(plan);
}

size_t kfl__assignor_plan_find(const struct kfl__assignor_plan *plan,
                               struct kfl__assignor_partition partition)
{
    assert((size_t)partition.topic < plan->topic_count && partition.partition >= 0);
    size_t topic = (size_t)plan->topic_ranks[partition.topic];
    size_t number = plan->firsts[topic] + (size_t)partition.partition;
    return number < plan->firsts[topic + 1] ? number : plan->partition_count;
}

bool kfl__assignor_plan_subscribes(const struct kfl__assignor_plan *plan, int32_t rank,
                                   int32_t topic_rank)
{
    size_t low = plan->subscriber_starts[topic_rank];
    size_t high = plan->subscriber_starts[topic_rank + 1];
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (plan->subscribers[middle] == rank)
            return true;
        if (plan->subscribers[middle] < rank)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

void kfl__assignor_plan_give(struct kfl__assignor_plan *plan, size_t number, int32_t rank)
{
    assert(number < plan->partition_count && (size_t)rank < plan->member_count);
    plan->owners[number] = rank;
    plan->turns[number] = plan->next_turn++;
}

int kfl__assignment_create(size_t member_count, size_t partition_count,
                           struct kfl__assignment **out_assignment, size_t **out_starts,
                           struct kfl__assignor_partition **out_partitions)
{
    size_t starts_size = (member_count + 1) * sizeof(size_t);
    struct kfl__assignment *assignment =
        kfl__alloc(sizeof *assignment + starts_size +
                   partition_count * sizeof(struct kfl__assignor_partition));
    if (assignment == NULL)
        return assignor_out_of_memory();
    *out_starts = (size_t *)(assignment + 1);
    *out_partitions = (struct kfl__assignor_partition *)(*out_starts + member_count + 1);
    assignment->member_count = member_count;
    assignment->partition_count = partition_count;
    assignment->starts = *out_starts;
    assignment->partitions = *out_partitions;
    *out_assignment = assignment;
    return 0;
}

void kfl__assignment_destroy(struct kfl__assignment *assignment)
{
    kfl__free(assignment);
}

struct assignor_given {
    size_t turn;
    size_t number;
};

static int assignor_compare_turns(const void *left, const void *right)
{
    size_t a = ((const struct assignor_given *)left)->turn;
    size_t b = ((const struct assignor_given *)right)->turn;
    return (a > b) - (a < b);
}

int kfl__assignor_plan_finish(const struct kfl__assignor_plan *plan,
                              struct kfl__assignment **out_assignment)
{
    struct assignor_given *given = kfl__alloc_array(plan->partition_count + 1, sizeof *given);
    size_t *starts = NULL;
    struct kfl__assignor_partition *partitions = NULL;
    if (given == NULL)
        return assignor_out_of_memory();
    int r = kfl__assignment_create(plan->member_count, plan->partition_count, out_assignment,
                                   &starts, &partitions);
    if (r < 0)
        goto done;

    for (size_t number = 0; number < plan->partition_count; number++) {
        assert(plan->owners[number] != KFL_ASSIGNOR_NOBODY);
        given[number] = (struct assignor_given){plan->turns[number], number};
        starts[plan->ranked[plan->owners[number]] - plan->members + 1]++;
    }
    for (size_t i = 0; i < plan->member_count; i++)
        starts[i + 1] += starts[i];
    qsort(given, plan->partition_count, sizeof *given, assignor_compare_turns);
    /* As with the subscribers: filling moves each start to the next one. */
    for (size_t i = 0; i < plan->partition_count; i++) {
        size_t number = given[i].number;
        size_t topic = (size_t)plan->topics[number];
        size_t member = (size_t)(plan->ranked[plan->owners[number]] - plan->members);
        partitions[starts[member]++] = (struct kfl__assignor_partition){
            (int32_t)(plan->named[topic] - plan->listed), (int32_t)(number - plan->firsts[topic])};
    }
    memmove(starts + 1, starts, plan->member_count * sizeof *starts);
    starts[0] = 0;
done:
    kfl__free(given);
    return r;
}
