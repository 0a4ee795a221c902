/* SPDX-License-Identifier: MIT */
/*
 * What all assignors start from and fill in: members and topics in order, who subscribes to what,
 * and every partition that somebody is to own, numbered.
 *
 * A member's rank is its place among the members in order; a topic's rank its place by name. The
 * numbers of the partitions run through the topics by rank, so their order is (topic name,
 * partition). Topics without partitions or without subscribers have no numbers.
 */
#ifndef KFL_ENGINE_ASSIGNOR_PLAN_H
#define KFL_ENGINE_ASSIGNOR_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/assignor.h"

#define KFL_ASSIGNOR_NOBODY (-1)

struct kfl__assignor_plan {
    /* constant after create */
    const struct kfl__assignor_topic *listed; /* borrowed: the caller's lists */
    const struct kfl__assignor_member *members;
    size_t member_count;
    size_t topic_count;
    size_t partition_count;
    const struct kfl__assignor_member **ranked; /* by rank */
    const struct kfl__assignor_topic **named;   /* by rank */
    int32_t *topic_ranks;                       /* by place among `listed` */
    size_t *firsts;            /* by topic rank, and one more: number of its partition 0 */
    int32_t *topics;           /* by number: the rank of its topic */
    size_t *subscriber_starts; /* by topic rank, and one more */
    int32_t *subscribers;      /* member ranks, rising within a topic */
    /* filled in */
    int32_t *owners; /* by number: a member's rank, or KFL_ASSIGNOR_NOBODY */
    size_t *turns;   /* by number: when its owner got it; orders the owner's list */
    size_t next_turn;
};

/* by_instance: static members first, by instance id, as range and roundrobin want it; else by id. */
int kfl__assignor_plan_create(const struct kfl__assignor_topic *topics, size_t topic_count,
                              const struct kfl__assignor_member *members, size_t member_count,
                              bool by_instance, struct kfl__assignor_plan **out_plan);
/* Takes NULL. */
void kfl__assignor_plan_destroy(struct kfl__assignor_plan *plan);

/* The partition's number, or partition_count when there is nothing like it to assign. */
size_t kfl__assignor_plan_find(const struct kfl__assignor_plan *plan,
                               struct kfl__assignor_partition partition);
bool kfl__assignor_plan_subscribes(const struct kfl__assignor_plan *plan, int32_t rank,
                                   int32_t topic_rank);
/* Now `rank` owns the partition; it stands last in its list. */
void kfl__assignor_plan_give(struct kfl__assignor_plan *plan, size_t number, int32_t rank);
/* What the owners say. */
int kfl__assignor_plan_finish(const struct kfl__assignor_plan *plan,
                              struct kfl__assignment **out_assignment);

/* Room for so many members and partitions, all zero. */
int kfl__assignment_create(size_t member_count, size_t partition_count,
                           struct kfl__assignment **out_assignment, size_t **out_starts,
                           struct kfl__assignor_partition **out_partitions);

/* engine/assignor_sticky.c: fills in a plan that is ranked by member id. */
int kfl__assignor_sticky(struct kfl__assignor_plan *plan);

#endif
