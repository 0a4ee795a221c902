/* SPDX-License-Identifier: MIT */
/*
 * Range, roundrobin and the choice of an assignor: inputs and outputs of RangeAssignorTest,
 * RoundRobinAssignorTest and their Javadoc, and of librdkafka's tests, written down anew.
 */
#include "engine/assignor.h"

#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "assignor_fixture.h"
#include "base/fault.h"
#include "chance.h"
#include "kafkalite.h"
#include "suite.h"

struct vector {
    const char *topics;
    const char *members;
    const char *expected;
};

static void check_vectors(int32_t kind, const struct vector *vector)
{
    struct group *group = group_read(vector->topics, vector->members);
    struct kfl__assignment *assignment = group_assign(group, kind);
    char *text = group_write(group, assignment, false);
    ck_assert_str_eq(text, vector->expected);
    free(text);
    kfl__assignment_destroy(assignment);
    free(group);
}

static const struct vector range_vectors[] = {
    /* 3 partitions of two topics for two: F1 */
    {"t0:3 t1:3", "C0 t0,t1; C1 t0,t1", "C0 t0-0 t0-1 t1-0 t1-1; C1 t0-2 t1-2"},
    {"", "C -", "C -"},
    {"", "C t1", "C -"},
    {"t1:3", "C t1", "C t1-0 t1-1 t1-2"},
    {"t1:3 other:3", "C t1", "C t1-0 t1-1 t1-2"},
    {"t1:1 t2:2", "C t1,t2", "C t1-0 t2-0 t2-1"},
    {"t1:1", "C1 t1; C2 t1", "C1 t1-0; C2 -"},
    {"t1:2", "C1 t1; C2 t1", "C1 t1-0; C2 t1-1"},
    {"t1:3 t2:2", "C1 t1; C2 t1,t2; C3 t1", "C1 t1-0; C2 t1-1 t2-0 t2-1; C3 t1-2"},
    {"t1:3 t2:3", "C1 t1,t2; C2 t1,t2", "C1 t1-0 t1-1 t2-0 t2-1; C2 t1-2 t2-2"},
    /* static members go by their instance id, and before the dynamic ones */
    {"t1:3 t2:3", "b#i1 t1,t2; a#i2 t1,t2", "b t1-0 t1-1 t2-0 t2-1; a t1-2 t2-2"},
    {"t1:3 t2:3", "b#i1 t1,t2; a t1,t2", "b t1-0 t1-1 t2-0 t2-1; a t1-2 t2-2"},
    {"t1:5 t2:4", "C1#i1 t1,t2; C2#i2 t1,t2; C3#i3 t1,t2; C4 t1,t2",
     "C1 t1-0 t1-1 t2-0; C2 t1-2 t2-1; C3 t1-3 t2-2; C4 t1-4 t2-3"},
    {"t1:5 t2:4", "C1#i1 t1,t2; C2#i2 t1,t2; C3#i3 t1,t2; C5 t1,t2",
     "C1 t1-0 t1-1 t2-0; C2 t1-2 t2-1; C3 t1-3 t2-2; C5 t1-4 t2-3"},
    {"t1:5 t2:5", "C1#i1 t1,t2; C2#i2 t1,t2; C3#i3 t1,t2",
     "C1 t1-0 t1-1 t2-0 t2-1; C2 t1-2 t1-3 t2-2 t2-3; C3 t1-4 t2-4"},
    {"t1:5 t2:5", "C1#i1 t1,t2; C4#i3 t1,t2; C5#i2 t1,t2",
     "C1 t1-0 t1-1 t2-0 t2-1; C4 t1-4 t2-4; C5 t1-2 t1-3 t2-2 t2-3"},
    /* static, dynamic, static: what kafka-python gets wrong */
    {"t:6", "m1#a t; m2 t; m3#b t", "m1 t-0 t-1; m2 t-4 t-5; m3 t-2 t-3"},
    /* subscriptions and counts that agree, and that do not */
    {"t1:6 t2:7 t3:2", "C0 t1,t2,t3; C1 t1,t2,t3; C2 t1,t2,t3",
     "C0 t1-0 t1-1 t2-0 t2-1 t2-2 t3-0; C1 t1-2 t1-3 t2-3 t2-4 t3-1; C2 t1-4 t1-5 t2-5 t2-6"},
    {"t1:6 t2:7 t3:2", "C0 t1,t2,t3; C1 t1,t2,t3; C2 t1,t3",
     "C0 t1-0 t1-1 t2-0 t2-1 t2-2 t2-3 t3-0; C1 t1-2 t1-3 t2-4 t2-5 t2-6 t3-1; C2 t1-4 t1-5"},
    {"t1:5 t2:5 t3:5", "C0 t1,t2,t3; C1 t1,t2,t3; C2 t1,t2,t3",
     "C0 t1-0 t1-1 t2-0 t2-1 t3-0 t3-1; C1 t1-2 t1-3 t2-2 t2-3 t3-2 t3-3; C2 t1-4 t2-4 t3-4"},
    {"t1:5 t2:5 t3:5", "C0 t1,t2,t3; C1 t1,t2,t3; C2 t1,t3",
     "C0 t1-0 t1-1 t2-0 t2-1 t2-2 t3-0 t3-1; C1 t1-2 t1-3 t2-3 t2-4 t3-2 t3-3; C2 t1-4 t3-4"},
    {"t1:6 t2:6 t3:2 t4:2", "C0 t1,t2; C1 t1,t2; C2 t3,t4; C3 t3,t4",
     "C0 t1-0 t1-1 t1-2 t2-0 t2-1 t2-2; C1 t1-3 t1-4 t1-5 t2-3 t2-4 t2-5; C2 t3-0 t4-0; "
     "C3 t3-1 t4-1"},
    {"t1:6 t2:6 t3:2 t4:2", "C0 t1,t2,t3,t4; C1 t1,t2,t3,t4; C2 t1,t2,t3,t4; C3 t1,t2,t3,t4",
     "C0 t1-0 t1-1 t2-0 t2-1 t3-0 t4-0; C1 t1-2 t1-3 t2-2 t2-3 t3-1 t4-1; C2 t1-4 t2-4; "
     "C3 t1-5 t2-5"},
    {"t1:6 t2:6 t3:2 t4:2 t5:4 t6:4",
     "C0 t1,t2,t3,t4,t5,t6,t7,t8,t9; C1 t1,t2,t3,t4,t5,t6,t7,t8,t9; C2 t1,t2,t3,t4,t5,t6,t7,t8,t9",
     "C0 t1-0 t1-1 t2-0 t2-1 t3-0 t4-0 t5-0 t5-1 t6-0 t6-1; "
     "C1 t1-2 t1-3 t2-2 t2-3 t3-1 t4-1 t5-2 t6-2; C2 t1-4 t1-5 t2-4 t2-5 t5-3 t6-3"},
};

/* kafka:F1 kafka:F2 kafka:F11 */
START_TEST(range_is_kafkas)
{
    check_vectors(KFL_ASSIGNOR_RANGE, &range_vectors[_i]);
}
END_TEST

static const struct vector roundrobin_vectors[] = {
    {"t0:3 t1:3", "C0 t0,t1; C1 t0,t1", "C0 t0-0 t0-2 t1-1; C1 t0-1 t1-0 t1-2"}, /* F3 */
    {"t0:1 t1:2 t2:3", "C0 t0; C1 t0,t1; C2 t0,t1,t2",
     "C0 t0-0; C1 t1-0; C2 t1-1 t2-0 t2-1 t2-2"}, /* F4 */
    {"", "C -", "C -"},
    {"", "C t", "C -"},
    {"t:3", "C t", "C t-0 t-1 t-2"},
    {"t:3 other:3", "C t", "C t-0 t-1 t-2"},
    {"t1:1 t2:2", "C t1,t2", "C t1-0 t2-0 t2-1"},
    {"t:1", "C1 t; C2 t", "C1 t-0; C2 -"},
    {"t:2", "C1 t; C2 t", "C1 t-0; C2 t-1"},
    {"t1:3 t2:2", "C1 t1; C2 t1,t2; C3 t1", "C1 t1-0; C2 t1-1 t2-0 t2-1; C3 t1-2"},
    {"t1:3 t2:3", "C1 t1,t2; C2 t1,t2", "C1 t1-0 t1-2 t2-1; C2 t1-1 t2-0 t2-2"},
    {"t1:3 t2:3", "b#i1 t1,t2; a#i2 t1,t2", "b t1-0 t1-2 t2-1; a t1-1 t2-0 t2-2"},
    {"t1:3 t2:3", "b#i1 t1,t2; a t1,t2", "b t1-0 t1-2 t2-1; a t1-1 t2-0 t2-2"},
    {"t1:3 t2:3", "C1#i1 t1,t2; C2#i2 t1,t2; C3#i3 t1,t2; C4 t1,t2",
     "C1 t1-0 t2-1; C2 t1-1 t2-2; C3 t1-2; C4 t2-0"},
    {"t1:3 t2:3", "C1#i1 t1,t2; C2#i2 t1,t2; C3#i3 t1,t2; C5 t1,t2",
     "C1 t1-0 t2-1; C2 t1-1 t2-2; C3 t1-2; C5 t2-0"},
    {"t1:3 t2:3", "C1#i1 t1,t2; C2#i2 t1,t2; C3#i3 t1,t2",
     "C1 t1-0 t2-0; C2 t1-1 t2-1; C3 t1-2 t2-2"},
    {"t1:3 t2:3", "C4#i1 t1,t2; C5#i2 t1,t2; C1#i3 t1,t2",
     "C4 t1-0 t2-0; C5 t1-1 t2-1; C1 t1-2 t2-2"},
    /* what sticky does better */
    {"t1:2 t2:1 t3:2 t4:1 t5:2", "C1 t1,t2,t3,t4,t5; C2 t1,t3,t5; C3 t1,t3,t5; C4 t1,t2,t3,t4,t5",
     "C1 t1-0 t3-0 t5-0; C2 t1-1 t3-1 t5-1; C3 -; C4 t2-0 t4-0"},
    {"t0:2 t1:2 t2:2 t3:2", "C0 t0,t1,t2,t3; C1 t0,t1,t2,t3; C2 t0,t1,t2,t3",
     "C0 t0-0 t1-1 t3-0; C1 t0-1 t2-0 t3-1; C2 t1-0 t2-1"},
};

/* kafka:F3 kafka:F4 kafka:F11 */
START_TEST(roundrobin_is_kafkas)
{
    check_vectors(KFL_ASSIGNOR_ROUNDROBIN, &roundrobin_vectors[_i]);
}
END_TEST

/* kafka:F10 */
START_TEST(static_members_keep_range_over_a_rolling_restart_and_dynamic_ones_may_not)
{
    static const struct vector before_and_after[] = {
        {"t:3", "a#x t; b#y t; c#z t", "a t-0; b t-1; c t-2"},
        {"t:3", "c2#x t; a2#y t; b2#z t", "c2 t-0; a2 t-1; b2 t-2"},
        {"t:3", "a t; b t; c t", "a t-0; b t-1; c t-2"},
        {"t:3", "c2 t; a2 t; b2 t", "c2 t-2; a2 t-0; b2 t-1"},
    };
    for (size_t i = 0; i < 4; i++)
        check_vectors(KFL_ASSIGNOR_RANGE, &before_and_after[i]);
}
END_TEST

START_TEST(no_members_and_no_topics_are_an_empty_assignment)
{
    for (int32_t kind = 0; kind < KFL_ASSIGNOR_COUNT; kind++) {
        const struct vector nobody = {"t:3", "", ""};
        const struct vector nothing = {"", "M -; N -", "M -; N -"};
        check_vectors(kind, &nobody);
        check_vectors(kind, &nothing);
    }
}
END_TEST

START_TEST(the_order_in_which_members_and_topics_are_listed_does_not_matter)
{
    const struct vector given = {"b:4 a:3 c:5", "N#i a,b @4 a-0 b-1; L c,a @4 a-1 c-4; M b,c,a",
                                 ""};
    const struct vector turned = {"c:5 b:4 a:3", "M a,c,b; L a,c @4 c-4 a-1; N#i b,a @4 b-1 a-0",
                                  ""};
    for (int32_t kind = 0; kind < KFL_ASSIGNOR_COUNT; kind++) {
        struct group *one = group_read(given.topics, given.members);
        struct group *two = group_read(turned.topics, turned.members);
        struct kfl__assignment *first = group_assign(one, kind);
        struct kfl__assignment *second = group_assign(two, kind);
        char *left = group_write(one, first, true);
        char *right = group_write(two, second, true);
        /* N; L; M against M; L; N */
        char *middle = strstr(left, "; L") + 2;
        char *last = strstr(left, "; M") + 2;
        char expected[400];
        snprintf(expected, sizeof expected, "%s; %.*s; %.*s", last, (int)(last - 2 - middle),
                 middle, (int)(middle - 2 - left), left);
        ck_assert_str_eq(right, expected);
        free(left);
        free(right);
        kfl__assignment_destroy(first);
        kfl__assignment_destroy(second);
        free(one);
        free(two);
    }
}
END_TEST

START_TEST(the_assignors_have_kafkas_names)
{
    static const char *const names[KFL_ASSIGNOR_COUNT] = {"range", "roundrobin", "sticky",
                                                          "cooperative-sticky"};
    for (int32_t kind = 0; kind < KFL_ASSIGNOR_COUNT; kind++) {
        ck_assert_str_eq(kfl__assignor_name(kind), names[kind]);
        ck_assert_int_eq(kfl__assignor_find(names[kind]), kind);
    }
    ck_assert_int_eq(kfl__assignor_find("Range"), KFL_E_UNSUPPORTED);
    ck_assert_int_eq(kfl__assignor_find(""), KFL_E_UNSUPPORTED);
}
END_TEST

static const struct {
    const char *ballots[5]; /* names with blanks between them */
    const char *chosen;
} elections[] = {
    {{"range"}, "range"},
    {{"range cooperative-sticky", "range cooperative-sticky"}, "range"},
    {{"range cooperative-sticky", "cooperative-sticky range"}, "range"}, /* one vote each */
    {{"cooperative-sticky range", "range cooperative-sticky"}, "cooperative-sticky"},
    {{"range cooperative-sticky", "cooperative-sticky range", "cooperative-sticky range"},
     "cooperative-sticky"},
    /* a rolling upgrade: as long as one member lacks it, it is not chosen */
    {{"cooperative-sticky range", "cooperative-sticky range", "range"}, "range"},
    {{"cooperative-sticky range", "cooperative-sticky range", "cooperative-sticky range"},
     "cooperative-sticky"},
    {{"mine range", "range mine", "mine range"}, "mine"},
    /* a vote goes to the best of what all have, not to the best of all */
    {{"a b c", "d c b", "e c b"}, "c"},
    {{"a b c", "c b d", "b c d", "b d c"}, "b"},
    {{"range", "roundrobin"}, NULL},
    {{"range roundrobin", "roundrobin sticky", "sticky range"}, NULL},
    {{""}, NULL},
    {{"range", ""}, NULL},
};

/* kafka:E10 */
START_TEST(the_assignor_that_most_members_like_best_of_those_that_all_have_is_chosen)
{
    struct kfl__assignor_ballot ballots[5];
    const char *names[5][8];
    char text[5][80];
    size_t count = 0;
    for (; count < 5 && elections[_i].ballots[count] != NULL; count++) {
        strcpy(text[count], elections[_i].ballots[count]);
        ballots[count] = (struct kfl__assignor_ballot){.names = names[count]};
        for (char *word = strtok(text[count], " "); word != NULL; word = strtok(NULL, " "))
            names[count][ballots[count].name_count++] = word;
    }
    const char *chosen = kfl__assignor_choose(ballots, count);
    if (elections[_i].chosen == NULL)
        ck_assert_ptr_null(chosen);
    else
        ck_assert_str_eq(chosen, elections[_i].chosen);
}
END_TEST

/* Range: runs that differ by at most one, per topic. Roundrobin: all partitions, and with equal
 * subscriptions counts that differ by at most one. */
static void check_blind(const struct group *group, int32_t kind, bool equal)
{
    struct kfl__assignment *assignment = group_assign(group, kind);
    size_t total = 0;
    size_t fewest = SIZE_MAX;
    size_t most = 0;
    for (size_t topic = 0; topic < group->topic_count; topic++) {
        size_t seen = 0;
        size_t least_run = SIZE_MAX;
        size_t longest_run = 0;
        bool given[64] = {false};
        for (size_t i = 0; i < group->member_count; i++) {
            bool subscribed = false;
            for (size_t j = 0; j < group->members[i].topic_count; j++)
                subscribed |= group->members[i].topics[j] == (int32_t)topic;
            size_t run = 0;
            for (size_t j = assignment->starts[i]; j < assignment->starts[i + 1]; j++) {
                if (assignment->partitions[j].topic != (int32_t)topic)
                    continue;
                int32_t partition = assignment->partitions[j].partition;
                ck_assert_int_lt(partition, group->topics[topic].partition_count);
                ck_assert(subscribed && !given[partition]);
                if (kind == KFL_ASSIGNOR_RANGE && run > 0)
                    ck_assert_int_eq(partition, assignment->partitions[j - 1].partition + 1);
                given[partition] = true;
                run++;
            }
            seen += run;
            if (subscribed && run < least_run)
                least_run = run;
            if (subscribed && run > longest_run)
                longest_run = run;
        }
        if (least_run != SIZE_MAX)
            ck_assert_uint_eq(seen, (size_t)group->topics[topic].partition_count);
        if (kind == KFL_ASSIGNOR_RANGE && least_run != SIZE_MAX)
            ck_assert_uint_le(longest_run, least_run + 1);
        total += seen;
    }
    for (size_t i = 0; i < group->member_count; i++) {
        size_t count = assignment->starts[i + 1] - assignment->starts[i];
        if (count < fewest)
            fewest = count;
        if (count > most)
            most = count;
    }
    if (kind == KFL_ASSIGNOR_ROUNDROBIN && equal)
        ck_assert_uint_le(most, fewest + 1);
    ck_assert_uint_eq(assignment->partition_count, total);
    kfl__assignment_destroy(assignment);
}

/* kafka:F2 */
START_TEST(each_partition_of_a_random_group_goes_to_one_subscriber)
{
    struct chance chance = chance_begin("each_partition_of_a_random_group_goes_to_one_subscriber");
    struct group *group = calloc(1, sizeof *group);
    for (int round = 0; round < 300; round++) {
        char name[16];
        bool equal = chance_below(&chance, 2) == 0;
        memset(group, 0, sizeof *group);
        for (size_t i = 0, count = 1 + chance_below(&chance, 12); i < count; i++) {
            snprintf(name, sizeof name, "t%d", (int)chance_below(&chance, 30));
            int32_t topic = group_topic(group, name, strlen(name));
            group->topics[topic].partition_count = (int32_t)chance_below(&chance, 30);
        }
        group->member_count = 1 + chance_below(&chance, 20);
        for (size_t i = 0; i < group->member_count; i++) {
            struct kfl__assignor_member *member = &group->members[i];
            snprintf(group->ids[i][0], sizeof group->ids[i][0], "m%04d-%d",
                     (int)chance_below(&chance, 10000), (int)i);
            snprintf(group->ids[i][1], sizeof group->ids[i][1], "i%d", (int)i);
            member->member_id = group->ids[i][0];
            member->instance_id = chance_below(&chance, 3) == 0 ? group->ids[i][1] : NULL;
            member->topics = group->subscribed[i];
            for (size_t topic = 0; topic < group->topic_count; topic++) {
                if (equal || chance_below(&chance, 2) == 0)
                    group->subscribed[i][member->topic_count++] = (int32_t)topic;
            }
        }
        check_blind(group, KFL_ASSIGNOR_RANGE, equal);
        check_blind(group, KFL_ASSIGNOR_ROUNDROBIN, equal);
    }
    free(group);
}
END_TEST

#ifdef KFL_FAULT_POINTS
/* The n-th allocation fails, n upward until all passes. */
START_TEST(without_memory_an_assignment_is_an_error_and_leaves_nothing)
{
    struct group *group = group_read("a:3 b:4", _i % 2 == 0 ? "M a,b @1 a-0 b-1; N a,b @1 a-0"
                                                            : "M a,b @1 a-0 b-1; N a @1 a-1");
    struct kfl__assignment *target = NULL;
    struct kfl__assignment *first = NULL;
    for (int n = 1, r = KFL_E_NOMEM; r != 0; n++) {
        char plan[40];
        snprintf(plan, sizeof plan, "memory.alloc:%d=ENOMEM", n);
        ck_assert_int_eq(kfl__fault_arm(plan), 0);
        r = kfl__assignor_assign(_i / 2, group->topics, group->topic_count, group->members,
                                 group->member_count, &target);
        kfl__fault_arm(NULL);
        ck_assert(r == 0 || (r == KFL_E_NOMEM && target == NULL && n < 60));
    }
    for (int n = 1, r = KFL_E_NOMEM; r < 0; n++) {
        char plan[40];
        snprintf(plan, sizeof plan, "memory.alloc:%d=ENOMEM", n);
        ck_assert_int_eq(kfl__fault_arm(plan), 0);
        r = kfl__assignment_adjust(target, group->topics, group->topic_count, group->members,
                                   &first);
        kfl__fault_arm(NULL);
        ck_assert(r >= 0 || (r == KFL_E_NOMEM && first == NULL && n < 60));
    }
    kfl__assignment_destroy(target);
    kfl__assignment_destroy(first);
    free(group);
}
END_TEST
#endif

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("engine/assignor");
    TCase *vectors = tcase_create("vectors");
    tcase_add_loop_test(vectors, range_is_kafkas, 0,
                        (int)(sizeof range_vectors / sizeof *range_vectors));
    tcase_add_loop_test(vectors, roundrobin_is_kafkas, 0,
                        (int)(sizeof roundrobin_vectors / sizeof *roundrobin_vectors));
    tcase_add_test(vectors,
                   static_members_keep_range_over_a_rolling_restart_and_dynamic_ones_may_not);
    suite_add_tcase(suite, vectors);
    TCase *edges = tcase_create("edges");
    tcase_add_test(edges, no_members_and_no_topics_are_an_empty_assignment);
    tcase_add_test(edges, the_order_in_which_members_and_topics_are_listed_does_not_matter);
    tcase_add_test(edges, each_partition_of_a_random_group_goes_to_one_subscriber);
#ifdef KFL_FAULT_POINTS
    tcase_add_loop_test(edges, without_memory_an_assignment_is_an_error_and_leaves_nothing, 0,
                        2 * KFL_ASSIGNOR_COUNT);
#endif
    suite_add_tcase(suite, edges);
    TCase *choice = tcase_create("choice");
    tcase_add_test(choice, the_assignors_have_kafkas_names);
    tcase_add_loop_test(choice,
                        the_assignor_that_most_members_like_best_of_those_that_all_have_is_chosen,
                        0, (int)(sizeof elections / sizeof *elections));
    suite_add_tcase(suite, choice);
    return suite;
}
