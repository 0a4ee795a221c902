/* SPDX-License-Identifier: MIT */
/*
 * Sticky and cooperative-sticky: inputs and outputs of AbstractStickyAssignorTest,
 * StickyAssignorTest, CooperativeStickyAssignorTest and their Javadoc, written down anew; then what
 * must hold of any group that changes at random.
 */
#include "quick_asserts.h"

#include <check.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "assignor_fixture.h"
#include "chance.h"
#include "engine/assignor.h"
#include "suite.h"

struct vector {
    const char *topics;
    const char *members;
    const char *target;
    /* cooperative-sticky's first round; NULL: it is the target */
    const char *first;
    /* Kafka's test compares sets */
    bool any_order;
};

static const struct vector vectors[] = {
    /* The Javadoc's: one to three topics each (F5), four topics with two partitions (F6). */
    {.topics = "t0:1 t1:2 t2:3",
     .members = "C0 t0; C1 t0,t1; C2 t0,t1,t2",
     .target = "C0 t0-0; C1 t1-0 t1-1; C2 t2-0 t2-1 t2-2"},
    {.topics = "t0:2 t1:2 t2:2 t3:2",
     .members = "C0 t0,t1,t2,t3; C1 t0,t1,t2,t3; C2 t0,t1,t2,t3",
     .target = "C0 t0-0 t1-1 t3-0; C1 t0-1 t2-0 t3-1; C2 t1-0 t2-1"},
    {.topics = "t0:2 t1:2 t2:2 t3:2",
     .members = "C0 t0,t1,t2,t3 @1 t0-0 t1-1 t3-0; C2 t0,t1,t2,t3 @1 t1-0 t2-1",
     /* the Javadoc has t0-1 and t2-0 the other way round, which no Kafka since 2.4 does */
     .target = "C0 t0-0 t3-0 t1-1 t0-1; C2 t1-0 t2-1 t2-0 t3-1"},
    /* C0 leaves F5: F7 */
    {.topics = "t0:1 t1:2 t2:3",
     .members = "C1 t0,t1 @1 t1-0 t1-1; C2 t0,t1,t2 @1 t2-0 t2-1 t2-2",
     .target = "C1 t0-0 t1-0 t1-1; C2 t2-0 t2-1 t2-2",
     .any_order = true},
    /* one member */
    {.topics = "", .members = "C -", .target = "C -"},
    {.topics = "t:0", .members = "C t", .target = "C -"},
    {.topics = "t:3", .members = "C t", .target = "C t-0 t-1 t-2"},
    {.topics = "t:2", .members = "C t @1 t-0 t-1 other-0 other-1", .target = "C t-0 t-1"},
    {.topics = "t1:1 t2:2", .members = "C t1,t2", .target = "C t1-0 t2-0 t2-1"},
    /* two and three */
    {.topics = "t:1", .members = "C1 t; C2 t", .target = "C1 t-0; C2 -"},
    {.topics = "t:2", .members = "C1 t; C2 t", .target = "C1 t-0; C2 t-1"},
    {.topics = "t1:3 t2:2",
     .members = "C1 t1; C2 t1,t2; C3 t1",
     .target = "C1 t1-0 t1-2; C2 t2-0 t2-1; C3 t1-1"},
    {.topics = "t1:3 t2:3",
     .members = "C1 t1,t2; C2 t1,t2",
     .target = "C1 t1-0 t1-2 t2-1; C2 t1-1 t2-0 t2-2"},
    /* at, over and under what an even share is */
    {.topics = "t1:2 t2:3",
     .members = "C1 t1,t2 @1 t1-0 t2-1; C2 t1,t2 @1 t1-1 t2-2",
     .target = "C1 t1-0 t2-1 t2-0; C2 t1-1 t2-2"},
    {.topics = "t1:2 t2:2",
     .members = "C1 t1,t2 @1 t1-0 t2-0; C2 t1,t2 @1 t1-1 t2-1; C3 t1,t2 @1",
     .target = "C1 t1-0 t2-0; C2 t1-1; C3 t2-1",
     .first = "C1 t1-0 t2-0; C2 t1-1; C3 -"},
    {.topics = "t1:2 t2:3",
     .members = "C1 t1,t2 @1 t1-0; C2 t1,t2 @1 t1-1; C3 t1,t2 @1",
     .target = "C1 t1-0 t2-1; C2 t1-1 t2-2; C3 t2-0"},
    {.topics = "t:4",
     .members = "C1 t @1 t-0 t-1; C2 t @1 t-2; C3 t @1",
     .target = "C1 t-0 t-1; C2 t-2; C3 t-3"},
    /* one comes, one goes */
    {.topics = "t:3",
     .members = "C1 t @1 t-0 t-1 t-2; C2 t @1",
     .target = "C1 t-0 t-1; C2 t-2",
     .first = "C1 t-0 t-1; C2 -"},
    {.topics = "t:3", .members = "C1 t @1 t-0 t-1; C2 t @1", .target = "C1 t-0 t-1; C2 t-2"},
    {.topics = "t:3", .members = "C2 t @1 t-2", .target = "C2 t-2 t-0 t-1"},
    /* two come, two go */
    {.topics = "t1:3 t2:4",
     .members = "C1 t1,t2; C2 t1,t2",
     .target = "C1 t1-0 t1-2 t2-1 t2-3; C2 t1-1 t2-0 t2-2"},
    {.topics = "t1:3 t2:4",
     .members = "C1 t1,t2 @1 t1-0 t1-2 t2-1 t2-3; C2 t1,t2 @1 t1-1 t2-0 t2-2; C3 t1,t2 @1; "
                "C4 t1,t2 @1",
     .target = "C1 t1-0 t2-1; C2 t2-0 t1-1; C3 t1-2 t2-3; C4 t2-2",
     .first = "C1 t1-0 t2-1; C2 t2-0 t1-1; C3 -; C4 -"},
    {.topics = "t1:3 t2:4",
     .members = "C3 t1,t2 @1 t1-2 t2-3; C4 t1,t2 @1 t2-2",
     .target = "C3 t1-2 t2-3 t1-0 t2-1; C4 t2-2 t1-1 t2-0"},
    /* what roundrobin does badly */
    {.topics = "t1:2 t2:1 t3:2 t4:1 t5:2",
     .members = "C1 t1,t2,t3,t4,t5; C2 t1,t3,t5; C3 t1,t3,t5; C4 t1,t2,t3,t4,t5",
     .target = "C1 t2-0 t3-0; C2 t1-0 t3-1; C3 t1-1 t5-0; C4 t4-0 t5-1"},
    /* topics that come and go */
    {.topics = "t1:1 t3:100", .members = "C t1,t2,t3", .target = NULL},
    {.topics = "", .members = "C t @1 t-0 t-1 t-2", .target = "C -"},
    {.topics = "t2:3",
     .members = "C1 t2 @1 t-0 t-2 t2-1; C2 t2 @1 t-1 t2-0 t2-2",
     .target = "C1 t2-1; C2 t2-0 t2-2"},
    /* claims: an older generation's loses, two of one generation are void (F9) */
    {.topics = "t:3 u:3",
     .members = "C1 t,u @10 t-0 t-2 u-1; C2 t,u @9 t-0 t-2 u-1",
     .target = "C1 t-0 u-1 t-2; C2 t-1 u-0 u-2"},
    {.topics = "t:3 u:3",
     .members = "C1 t,u @10 t-0 t-2 u-1; C2 t,u t-0 t-2 u-1",
     .target = "C1 t-0 u-1 t-2; C2 t-1 u-0 u-2"},
    {.topics = "t:3 u:3",
     .members = "C1 t,u @10 t-0 u-1 t-1; C2 t,u @8 t-0 u-1 u-2",
     .target = "C1 t-0 t-1 u-1; C2 u-2 t-2 u-0"},
    {.topics = "t:3 u:3 v:3",
     .members = "C1 t,u,v @10 t-0 u-0 v-0; C2 t,u,v @9 t-1 u-1 v-1; C3 t,u,v @8 u-1 v-0 v-2",
     .target = "C1 t-0 u-0 v-0; C2 t-1 u-1 v-1; C3 v-2 t-2 u-2"},
    {.topics = "t:3 t1:3 t2:3 t3:3",
     .members = "C1 t,t2,t3,t1; C2 t,t2,t3,t1 @9 t-0 t2-0 t1-0; "
                "C3 t,t2,t3,t1 @8 t3-2 t2-2 t1-1; C4 t,t2,t3,t1 @7 t3-1 t-1 t-2",
     .target = "C1 t1-2 t2-1 t3-0; C2 t-0 t1-0 t2-0; C3 t1-1 t2-2 t3-2; C4 t-1 t3-1 t-2"},
    {.topics = "t:3",
     .members = "C1 t @1 t-0 t-1; C2 t @1 t-0 t-2; C3 t @1",
     .target = "C1 t-1; C2 t-2; C3 t-0",
     .first = "C1 t-1; C2 t-2; C3 -"},
    {.topics = "t:4",
     .members = "C1 t @1 t-0 t-1; C2 t @1 t-0 t-2; C3 t @1",
     .target = "C1 t-1 t-3; C2 t-2; C3 t-0",
     .first = "C1 t-1 t-3; C2 t-2; C3 -"},
    /* a member of an older version, which tells no generation */
    {.topics = "t:3",
     .members = "C1 t @1 t-0 t-2; C2 t t-1; C3 t",
     .target = "C1 t-0; C2 t-1; C3 t-2",
     .first = "C1 t-0; C2 t-1; C3 -"},
    {.topics = "t:3",
     .members = "C1 t @1 t-0; C2 t t-1; C3 t @1",
     .target = "C1 t-0; C2 t-1; C3 t-2"},
    /* no racks: equal and mixed subscriptions, fresh, and once more with what they have */
    {.topics = "t1:6 t2:7 t3:2",
     .members = "C0 t1,t2,t3; C1 t1,t2,t3; C2 t1,t2,t3",
     .target = "C0 t1-0 t1-3 t2-0 t2-3 t2-6; C1 t1-1 t1-4 t2-1 t2-4 t3-0; "
               "C2 t1-2 t1-5 t2-2 t2-5 t3-1"},
    {.topics = "t1:6 t2:7 t3:2",
     .members = "C0 t1,t2,t3 @1 t1-0 t1-3 t2-0 t2-3 t2-6; "
                "C1 t1,t2,t3 @1 t1-1 t1-4 t2-1 t2-4 t3-0; "
                "C2 t1,t2,t3 @1 t1-2 t1-5 t2-2 t2-5 t3-1",
     .target = "C0 t1-0 t1-3 t2-0 t2-3 t2-6; C1 t1-1 t1-4 t2-1 t2-4 t3-0; "
               "C2 t1-2 t1-5 t2-2 t2-5 t3-1",
     .any_order = true},
    {.topics = "t1:6 t2:7 t3:2",
     .members = "C0 t1,t2,t3; C1 t1,t2,t3; C2 t1,t3",
     .target = "C0 t1-5 t2-0 t2-2 t2-4 t2-6; C1 t1-3 t2-1 t2-3 t2-5 t3-0; "
               "C2 t1-0 t1-1 t1-2 t1-4 t3-1",
     .any_order = true},
    {.topics = "t1:6 t2:7 t3:2",
     .members = "C0 t1,t2,t3 @1 t1-5 t2-0 t2-2 t2-4 t2-6; "
                "C1 t1,t2,t3 @1 t1-3 t2-1 t2-3 t2-5 t3-0; C2 t1,t3 @1 t1-0 t1-1 t1-2 t1-4 t3-1",
     .target = "C0 t1-5 t2-0 t2-2 t2-4 t2-6; C1 t1-3 t2-1 t2-3 t2-5 t3-0; "
               "C2 t1-0 t1-1 t1-2 t1-4 t3-1"},
    /* both rounds of a member that gives up a topic */
    {.topics = "t1:6 t2:7 t3:2",
     .members = "C0 t1,t2,t3 @1 t1-0 t1-1 t1-2 t1-3 t1-4; C1 t1,t2,t3 @1 t1-5 t2-0 t2-1 t2-2 t2-3; "
                "C2 t1,t3 @1 t2-4 t2-5 t2-6 t3-0 t3-1",
     .target = NULL,
     .first = "C0 t1-2 t1-3 t1-4; C1 t2-0 t2-1 t2-2 t2-3; C2 t3-0 t3-1",
     .any_order = true},
    {.topics = "t1:6 t2:7 t3:2",
     .members = "C0 t1,t2,t3 @1 t1-2 t1-3 t1-4; C1 t1,t2,t3 @1 t2-0 t2-1 t2-2 t2-3; "
                "C2 t1,t3 @1 t3-0 t3-1",
     .target = "C0 t1-2 t1-3 t1-4 t2-4 t2-5; C1 t2-0 t2-1 t2-2 t2-3 t2-6; "
               "C2 t1-0 t1-1 t1-5 t3-0 t3-1",
     .any_order = true},
};

/* kafka:F5 kafka:F6 kafka:F7 kafka:F9 kafka:F11 */
START_TEST(sticky_and_cooperative_sticky_are_kafkas)
{
    const struct vector *vector = &vectors[_i];
    struct group *group = group_read(vector->topics, vector->members);
    struct group *shape = group_read(vector->topics, vector->members);
    struct kfl__assignment *target = group_assign(group, KFL_ASSIGNOR_STICKY);
    struct kfl__assignment *same = group_assign(shape, KFL_ASSIGNOR_COOPERATIVE_STICKY);
    int left_out;
    struct kfl__assignment *first = group_adjust(group, target, &left_out);
    char *written = group_write(group, target, vector->any_order);
    char *again = group_write(shape, same, vector->any_order);
    char *round = group_write(group, first, vector->any_order);
    ck_assert_str_eq(written, again);
    if (vector->target != NULL)
        ck_assert_str_eq(written, vector->target);
    ck_assert_str_eq(round, vector->first != NULL ? vector->first : written);
    ck_assert_uint_eq(target->partition_count, first->partition_count + (size_t)left_out);
    free(written);
    free(again);
    free(round);
    kfl__assignment_destroy(target);
    kfl__assignment_destroy(same);
    kfl__assignment_destroy(first);
    free(group);
    free(shape);
}
END_TEST

/* ---- what must hold of every group ---- */

static bool subscribes(const struct kfl__assignor_member *member, int32_t topic)
{
    for (size_t i = 0; i < member->topic_count; i++) {
        if (member->topics[i] == topic)
            return true;
    }
    return false;
}

static size_t count_of(const struct kfl__assignment *assignment, size_t member)
{
    return assignment->starts[member + 1] - assignment->starts[member];
}

/* Fills in owners[topic][partition], -1 for nobody. */
static void check_valid(const struct group *group, const struct kfl__assignment *assignment,
                        int owners[GROUP_MAX_TOPICS][64])
{
    memset(owners, -1, sizeof(int) * GROUP_MAX_TOPICS * 64);
    ck_assert_uint_eq(assignment->member_count, group->member_count);
    ck_assert_uint_eq(assignment->starts[group->member_count], assignment->partition_count);
    for (size_t i = 0; i < group->member_count; i++) {
        for (size_t j = assignment->starts[i]; j < assignment->starts[i + 1]; j++) {
            struct kfl__assignor_partition partition = assignment->partitions[j];
            ck_assert(subscribes(&group->members[i], partition.topic));
            ck_assert_int_lt(partition.partition, group->topics[partition.topic].partition_count);
            ck_assert_int_eq(owners[partition.topic][partition.partition], -1);
            owners[partition.topic][partition.partition] = (int)i;
        }
    }
}

static void check_complete(const struct group *group, int owners[GROUP_MAX_TOPICS][64])
{
    for (size_t topic = 0; topic < group->topic_count; topic++) {
        bool wanted = false;
        for (size_t i = 0; i < group->member_count; i++)
            wanted |= subscribes(&group->members[i], (int32_t)topic);
        for (int32_t p = 0; p < group->topics[topic].partition_count; p++)
            ck_assert_int_eq(owners[topic][p] >= 0, wanted);
    }
}

/* F8: who has at least two less than another cannot take any of the other's. */
static void check_balanced(const struct group *group, const struct kfl__assignment *assignment)
{
    for (size_t big = 0; big < group->member_count; big++) {
        for (size_t small = 0; small < group->member_count; small++) {
            if (count_of(assignment, small) + 1 >= count_of(assignment, big))
                continue;
            for (size_t j = assignment->starts[big]; j < assignment->starts[big + 1]; j++)
                ck_assert(!subscribes(&group->members[small], assignment->partitions[j].topic));
        }
    }
}

/* No two partitions of one topic have changed places between two members. */
static void check_sticky(const struct group *group, int before[GROUP_MAX_TOPICS][64],
                         int after[GROUP_MAX_TOPICS][64])
{
    for (size_t topic = 0; topic < group->topic_count; topic++) {
        int32_t count = group->topics[topic].partition_count;
        for (int32_t p = 0; p < count; p++) {
            if (before[topic][p] < 0 || before[topic][p] == after[topic][p] ||
                !subscribes(&group->members[before[topic][p]], (int32_t)topic))
                continue;
            for (int32_t q = p + 1; q < count; q++)
                ck_assert(before[topic][q] != after[topic][p] ||
                          after[topic][q] != before[topic][p]);
        }
    }
}

static void check_first_round(const struct group *group, const struct kfl__assignment *target,
                              int had[GROUP_MAX_TOPICS][64])
{
    int now[GROUP_MAX_TOPICS][64];
    int left_out;
    struct kfl__assignment *first = group_adjust(group, target, &left_out);
    check_valid(group, first, now);
    size_t kept_back = 0;
    for (size_t i = 0; i < group->member_count; i++) {
        for (size_t j = target->starts[i]; j < target->starts[i + 1]; j++) {
            struct kfl__assignor_partition p = target->partitions[j];
            int owner = had[p.topic][p.partition];
            bool moves = owner >= 0 && owner != (int)i;
            ck_assert_int_eq(now[p.topic][p.partition], moves ? -1 : (int)i);
            kept_back += moves;
        }
    }
    ck_assert_uint_eq(kept_back, (size_t)left_out);
    kfl__assignment_destroy(first);
}

/* Assigns and makes it what the members have, in a new generation. */
static void step(struct group *group, int32_t generation, bool fresh)
{
    int before[GROUP_MAX_TOPICS][64];
    int after[GROUP_MAX_TOPICS][64];
    memset(before, -1, sizeof before);
    for (size_t i = 0; i < group->member_count; i++) {
        for (size_t j = 0; j < group->members[i].owned_count; j++) {
            struct kfl__assignor_partition p = group->owned[i][j];
            if (p.partition < group->topics[p.topic].partition_count)
                before[p.topic][p.partition] = (int)i;
        }
    }
    struct kfl__assignment *target = group_assign(group, KFL_ASSIGNOR_STICKY);
    check_valid(group, target, after);
    check_complete(group, after);
    check_balanced(group, target);
    if (!fresh)
        check_sticky(group, before, after);
    check_first_round(group, target, before);
    for (size_t i = 0; i < group->member_count; i++) {
        group->members[i].owned_count = count_of(target, i);
        group->members[i].generation = generation;
        memcpy(group->owned[i], target->partitions + target->starts[i],
               count_of(target, i) * sizeof group->owned[0][0]);
    }
    kfl__assignment_destroy(target);
    /* Nothing has changed, so nothing moves. */
    struct kfl__assignment *again = group_assign(group, KFL_ASSIGNOR_STICKY);
    int once_more[GROUP_MAX_TOPICS][64];
    check_valid(group, again, once_more);
    ck_assert_mem_eq(after, once_more, sizeof after);
    kfl__assignment_destroy(again);
}

static void subscribe_at_random(struct group *group, size_t member, struct chance *chance,
                                bool equal)
{
    group->members[member].topic_count = 0;
    for (size_t topic = 0; topic < group->topic_count; topic++) {
        if (equal || chance_below(chance, 2) == 0)
            group->subscribed[member][group->members[member].topic_count++] = (int32_t)topic;
    }
}

static void join(struct group *group, struct chance *chance, bool equal, int number)
{
    size_t place = group->member_count++;
    snprintf(group->ids[place][0], sizeof group->ids[0][0], "m%03d-%d",
             (int)chance_below(chance, 1000), number);
    group->members[place] = (struct kfl__assignor_member){.member_id = group->ids[place][0],
                                                          .topics = group->subscribed[place],
                                                          .owned = group->owned[place],
                                                          .generation = KFL_ASSIGNOR_NO_GENERATION};
    subscribe_at_random(group, place, chance, equal);
}

static void leave(struct group *group, size_t place)
{
    size_t last = --group->member_count;
    if (place == last)
        return;
    group->members[place].topic_count = group->members[last].topic_count;
    group->members[place].owned_count = group->members[last].owned_count;
    group->members[place].generation = group->members[last].generation;
    memcpy(group->subscribed[place], group->subscribed[last], sizeof group->subscribed[0]);
    memcpy(group->owned[place], group->owned[last], sizeof group->owned[0]);
    memcpy(group->ids[place], group->ids[last], sizeof group->ids[0]);
}

/* kafka:F8 kafka:F9 */
START_TEST(a_group_that_changes_at_random_stays_balanced_and_sticky)
{
    struct chance chance = chance_begin("a_group_that_changes_at_random_stays_balanced_and_sticky");
    struct group *group = calloc(1, sizeof *group);
    for (int round = 0; round < 60; round++) {
        bool equal = _i == 0;
        int joined = 0;
        memset(group, 0, sizeof *group);
        for (size_t i = 0, count = 1 + chance_below(&chance, 20); i < count; i++) {
            char name[16];
            snprintf(name, sizeof name, "t%02d", (int)i);
            int32_t topic = group_topic(group, name, strlen(name));
            group->topics[topic].partition_count = (int32_t)chance_below(&chance, 21);
        }
        for (size_t i = 0, count = 1 + chance_below(&chance, 40); i < count; i++)
            join(group, &chance, equal, joined++);
        step(group, 1, true);
        for (int32_t generation = 2; generation < 12; generation++) {
            switch (chance_below(&chance, 6)) {
            case 0:
            case 1:
                for (size_t n = chance_below(&chance, 8);
                     n > 0 && group->member_count < GROUP_MAX_MEMBERS; n--)
                    join(group, &chance, equal, joined++);
                break;
            case 2:
            case 3:
                for (size_t n = chance_below(&chance, 8); n > 0 && group->member_count > 1; n--)
                    leave(group, chance_below(&chance, group->member_count));
                break;
            case 4: {
                struct kfl__assignor_topic *topic =
                    &group->topics[chance_below(&chance, group->topic_count)];
                topic->partition_count =
                    topic->partition_count == 0 ? 5 : (int32_t)chance_below(&chance, 2) * 20;
                break;
            }
            default:
                if (!equal)
                    subscribe_at_random(group, chance_below(&chance, group->member_count), &chance,
                                        false);
                break;
            }
            step(group, generation, false);
        }
    }
    free(group);
}
END_TEST

/* Claims that contradict each other, of many generations: the newest alone holds. kafka:F9 */
START_TEST(of_contradicting_claims_only_a_single_newest_one_counts)
{
    struct chance chance = chance_begin("of_contradicting_claims_only_a_single_newest_one_counts");
    struct group *group = calloc(1, sizeof *group);
    for (int round = 0; round < 200; round++) {
        memset(group, 0, sizeof *group);
        int had[GROUP_MAX_TOPICS][64];
        int32_t newest[GROUP_MAX_TOPICS][64];
        memset(had, -1, sizeof had);
        memset(newest, 0xfe, sizeof newest);
        group_read_topics(group, "a:7 b:9 c:4");
        bool equal = chance_below(&chance, 2) == 0;
        for (int i = 0, count = 1 + (int)chance_below(&chance, 7); i < count; i++) {
            join(group, &chance, equal, i);
            struct kfl__assignor_member *member = &group->members[i];
            member->generation = (int32_t)chance_below(&chance, 4) - 1;
            for (int32_t topic = 0; topic < 3; topic++) {
                for (int32_t p = 0; p < 12; p++) {
                    if (chance_below(&chance, 3) != 0)
                        continue;
                    group->owned[i][member->owned_count++] =
                        (struct kfl__assignor_partition){topic, p};
                    if (member->generation > newest[topic][p]) {
                        newest[topic][p] = member->generation;
                        had[topic][p] = i;
                    } else if (member->generation == newest[topic][p]) {
                        had[topic][p] = GROUP_MAX_MEMBERS; /* disputed */
                    }
                }
            }
        }
        struct kfl__assignment *target = group_assign(group, KFL_ASSIGNOR_STICKY);
        int now[GROUP_MAX_TOPICS][64];
        check_valid(group, target, now);
        check_complete(group, now);
        check_balanced(group, target);
        check_first_round(group, target, had);
        kfl__assignment_destroy(target);
    }
    free(group);
}
END_TEST

/* Kafka's own scenario: 19 topics and members, each with one topic more; the tenth leaves. */
START_TEST(a_staircase_of_subscriptions_stays_sticky_when_one_leaves)
{
    struct group *group = calloc(1, sizeof *group);
    char name[16];
    for (int i = 1; i < 20; i++) {
        snprintf(name, sizeof name, "t%02d", i);
        group->topics[group_topic(group, name, strlen(name))].partition_count = i;
    }
    struct chance chance = {0};
    for (int i = 1; i < 20; i++) {
        join(group, &chance, true, i);
        snprintf(group->ids[i - 1][0], sizeof group->ids[0][0], "c%02d", i);
        group->members[i - 1].topic_count = (size_t)i;
    }
    step(group, 1, true);
    leave(group, 9);
    step(group, 2, false);
    free(group);
}
END_TEST

/* Two topics, 12 partitions each: however members come and go, each has as many of both. */
START_TEST(what_is_taken_away_comes_from_all_topics_alike)
{
    static const int sizes[] = {1, 2, 4, 2};
    struct group *group = calloc(1, sizeof *group);
    struct chance chance = {0};
    group_read_topics(group, "t1:12 t2:12");
    int joined = 0;
    for (int i = 0; i < 4; i++) {
        while ((int)group->member_count < sizes[i]) {
            join(group, &chance, true, joined);
            snprintf(group->ids[group->member_count - 1][0], sizeof group->ids[0][0], "c%d",
                     ++joined);
        }
        while ((int)group->member_count > sizes[i])
            leave(group, 0);
        step(group, i + 1, i == 0);
        for (size_t m = 0; m < group->member_count; m++) {
            int of_first = 0;
            for (size_t j = 0; j < group->members[m].owned_count; j++)
                of_first += group->owned[m][j].topic == 0;
            ck_assert_uint_eq(group->members[m].owned_count, 24 / (size_t)sizes[i]);
            ck_assert_int_eq(of_first, 12 / sizes[i]);
        }
    }
    free(group);
}
END_TEST

/* Three members claim t-2 in three generations, in any order of them: nothing twice, one or two
 * each. */
START_TEST(a_partition_claimed_in_three_generations_is_given_once)
{
    static const char *const orders[] = {"123", "132", "213", "231", "312", "321"};
    char members[200];
    snprintf(members, sizeof members,
             "C1 t @%c t-0 t-2; C2 t @%c t-1 t-2 t-3; C3 t @%c t-2 t-4 t-5; C4 u @2 u-0",
             orders[_i][0], orders[_i][1], orders[_i][2]);
    struct group *group = group_read("t:6 u:1", members);
    struct kfl__assignment *target = group_assign(group, KFL_ASSIGNOR_STICKY);
    int owners[GROUP_MAX_TOPICS][64];
    check_valid(group, target, owners);
    check_complete(group, owners);
    for (size_t i = 0; i < 4; i++)
        ck_assert(count_of(target, i) == 1 || count_of(target, i) == 2);
    kfl__assignment_destroy(target);
    free(group);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("engine/assignor_sticky");
    TCase *table = tcase_create("vectors");
    tcase_add_loop_test(table, sticky_and_cooperative_sticky_are_kafkas, 0,
                        (int)(sizeof vectors / sizeof *vectors));
    suite_add_tcase(suite, table);
    TCase *rules = tcase_create("rules");
    tcase_add_loop_test(rules, a_group_that_changes_at_random_stays_balanced_and_sticky, 0, 2);
    tcase_add_test(rules, of_contradicting_claims_only_a_single_newest_one_counts);
    tcase_add_test(rules, a_staircase_of_subscriptions_stays_sticky_when_one_leaves);
    tcase_add_test(rules, what_is_taken_away_comes_from_all_topics_alike);
    tcase_add_loop_test(rules, a_partition_claimed_in_three_generations_is_given_once, 0, 6);
    tcase_set_timeout(rules, 60);
    suite_add_tcase(suite, rules);
    return suite;
}
