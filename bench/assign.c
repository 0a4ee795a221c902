/* SPDX-License-Identifier: MIT */
/*
 * One assignment of a large group: 1,000 members and 10,000 partitions, by each assignor.
 *
 * There is no limit to compare with; the bars are seconds for the whole of it. "half left": every
 * second member is gone, and the others have what they had before. "chain": each member shares a
 * topic with the next one only and the load is at the far end, so that it has to be handed down
 * member by member.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "engine/assignor.h"

#define MEMBERS 1000
#define PARTITIONS 10000

enum group_shape { GROUP_EQUAL, GROUP_HALVES, GROUP_CHAIN };

struct group {
    int32_t kind;
    enum group_shape shape;
    bool half_left;
    struct kfl__assignor_topic *topics;
    size_t topic_count;
    struct kfl__assignor_member *members;
    size_t member_count;
    struct kfl__assignment *before;
    struct kfl__assignor_partition *chain;
    char (*names)[32];
    int32_t *subscribed;
};

static void group_subscribe(struct group *group, size_t member, uint64_t *random)
{
    int32_t *topics = group->subscribed + member * group->topic_count;
    size_t count = 0;
    for (size_t topic = 0; topic < group->topic_count; topic++) {
        bool wanted = true;
        if (group->shape == GROUP_HALVES)
            wanted = (bench_random(random) >> 32 & 1) != 0;
        else if (group->shape == GROUP_CHAIN)
            wanted = topic == member || topic == member + 1; /* hands down to the one before */
        if (wanted)
            topics[count++] = (int32_t)topic;
    }
    group->members[member].topics = topics;
    group->members[member].topic_count = count;
}

static struct kfl__assignment *group_assign(const struct group *group)
{
    struct kfl__assignment *assignment;
    if (kfl__assignor_assign(group->kind, group->topics, group->topic_count, group->members,
                             group->member_count, &assignment) < 0)
        bench_die("out of memory");
    return assignment;
}

static void group_remember(struct group *group)
{
    group->before = group_assign(group);
    for (size_t i = 0; i < group->member_count; i++) {
        size_t start = group->before->starts[i];
        group->members[i].owned = group->before->partitions + start;
        group->members[i].owned_count = group->before->starts[i + 1] - start;
        group->members[i].generation = 1;
    }
    for (size_t i = 0; i < group->member_count / 2; i++)
        group->members[i] = group->members[2 * i + 1];
    group->member_count /= 2;
}

/* Each member has all of its own topic: the last one far too much. */
static void group_remember_chain(struct group *group)
{
    struct kfl__assignor_partition *owned = calloc(PARTITIONS, sizeof *owned);
    size_t count = 0;
    for (size_t i = 0; i < MEMBERS; i++) {
        group->members[i].owned = owned + count;
        group->members[i].owned_count = (size_t)group->topics[i].partition_count;
        group->members[i].generation = 1;
        for (int32_t j = 0; j < group->topics[i].partition_count; j++)
            owned[count++] = (struct kfl__assignor_partition){(int32_t)i, j};
    }
    group->chain = owned;
}

static int group_open(struct bench_row *row)
{
    struct group *group = row->context;
    uint64_t random = 1;
    group->topic_count = group->shape == GROUP_CHAIN ? MEMBERS : 100;
    group->member_count = MEMBERS;
    group->topics = calloc(group->topic_count, sizeof *group->topics);
    group->members = calloc(MEMBERS, sizeof *group->members);
    group->names = calloc(MEMBERS + group->topic_count, sizeof *group->names);
    group->subscribed = calloc(MEMBERS * group->topic_count, sizeof *group->subscribed);
    for (size_t i = 0; i < group->topic_count; i++) {
        snprintf(group->names[MEMBERS + i], sizeof group->names[0], "topic-%04zu", i);
        group->topics[i].name = group->names[MEMBERS + i];
        group->topics[i].partition_count = (int32_t)(PARTITIONS / group->topic_count);
        if (group->shape == GROUP_CHAIN)
            group->topics[i].partition_count =
                i == MEMBERS - 1 ? PARTITIONS - 9 * (MEMBERS - 1) : 9;
    }
    for (size_t i = 0; i < MEMBERS; i++) {
        snprintf(group->names[i], sizeof group->names[0], "member-%04zu", i);
        group->members[i].member_id = group->names[i];
        group->members[i].generation = KFL_ASSIGNOR_NO_GENERATION;
        group_subscribe(group, i, &random);
    }
    if (group->half_left)
        group_remember(group);
    if (group->shape == GROUP_CHAIN)
        group_remember_chain(group);
    return 0;
}

static void group_close(struct bench_row *row)
{
    struct group *group = row->context;
    kfl__assignment_destroy(group->before);
    free(group->chain);
    free(group->topics);
    free(group->members);
    free(group->names);
    free(group->subscribed);
}

static double group_run(struct bench_row *row)
{
    struct group *group = row->context;
    int64_t start = bench_now_ns();
    struct kfl__assignment *assignment = group_assign(group);
    int64_t ns = bench_now_ns() - start;
    size_t fewest = SIZE_MAX;
    size_t most = 0;
    for (size_t i = 0; i < group->member_count; i++) {
        size_t count = assignment->starts[i + 1] - assignment->starts[i];
        fewest = count < fewest ? count : fewest;
        most = count > most ? count : most;
    }
    snprintf(row->note, sizeof row->note, "%.2f ms, %zu to %zu each", (double)ns / 1e6, fewest,
             most);
    kfl__assignment_destroy(assignment);
    return (double)ns;
}

#define GROUP_ROW(title, must_seconds, ...)                                                        \
    {                                                                                              \
        .name = title, .role = BENCH_OURS, .bar = {BENCH_NS, (must_seconds)*1e9, 0},               \
        .open = group_open, .close = group_close, .run = group_run, .context = &(struct group)     \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

int main(int argc, char **argv)
{
    bench_start(argc, argv, "assign");
    struct bench_row rows[] = {
        GROUP_ROW("range", 1, .kind = KFL_ASSIGNOR_RANGE),
        GROUP_ROW("range, mixed", 1, .kind = KFL_ASSIGNOR_RANGE, .shape = GROUP_HALVES),
        GROUP_ROW("roundrobin", 1, .kind = KFL_ASSIGNOR_ROUNDROBIN),
        GROUP_ROW("roundrobin, mixed", 1, .kind = KFL_ASSIGNOR_ROUNDROBIN, .shape = GROUP_HALVES),
        GROUP_ROW("sticky", 5, .kind = KFL_ASSIGNOR_STICKY),
        GROUP_ROW("sticky, half left", 5, .kind = KFL_ASSIGNOR_STICKY, .half_left = true),
        GROUP_ROW("sticky, mixed", 5, .kind = KFL_ASSIGNOR_STICKY, .shape = GROUP_HALVES),
        GROUP_ROW("sticky, mixed, half left", 5, .kind = KFL_ASSIGNOR_STICKY, .shape = GROUP_HALVES,
                  .half_left = true),
        GROUP_ROW("sticky, chain", 5, .kind = KFL_ASSIGNOR_STICKY, .shape = GROUP_CHAIN),
    };
    bench_table("1,000 members, 10,000 partitions", rows, sizeof rows / sizeof rows[0]);
    return bench_finish();
}
