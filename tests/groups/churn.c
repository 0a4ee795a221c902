/* SPDX-License-Identifier: MIT */
/*
 * A group under churn: churn [--seconds N] [--every-ms N] [--records N] [--first]
 *
 * 8 processes of 2 members each on 12 partitions under constant appends; every so often a process is
 * killed, started or stopped, or a member closes and comes back. At no moment has a partition two
 * owners, and no record is lost; with --first, where members commit before they handle, none is
 * handled twice. After the last change the group is balanced within 100 ms (--balanced-ms).
 * KAFKALITE_TEST_SEED gives the schedule.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "chance.h"
#include "rig.h"

static int seconds = 3, every_ms = 100, first = 0, balanced_ms = 100;
static int64_t records = 1000000;
static int kills, starts, stops, rejoins;

static int living(void)
{
    int count = 0;
    for (int i = 0; i < RIG_PROCESSES; i++)
        count += atomic_load(&rig->processes[i].pid) != 0;
    return count;
}

static void change(struct chance *chance)
{
    int process = (int)chance_below(chance, RIG_PROCESSES);
    int kind = (int)chance_below(chance, 4);
    if (atomic_load(&rig->processes[process].pid) == 0) {
        rig_start(process, RIG_MEMBERS);
        starts++;
    } else if (kind <= 1 && living() > 1) {
        rig_kill(process);
        kills++;
    } else if (kind == 2 && living() > 1) {
        rig_stop(process);
        stops++;
    } else {
        atomic_store(&rig->processes[process].rejoin[chance_below(chance, RIG_MEMBERS)], 1);
        rejoins++;
    }
}

/* Kills one, and waits until the others share evenly what there is; the time that took, or -1. */
static int64_t last_death(void)
{
    int64_t begin = rig_now_ns();
    for (int i = 0; i < RIG_PROCESSES; i++)
        if (atomic_load(&rig->processes[i].pid) != 0 && living() > 1) {
            begin = rig_now_ns();
            rig_kill(i);
            kills++;
            break;
        }
    return rig_wait_balanced(living() * RIG_MEMBERS, 10000) < 0 ? -1 : rig_now_ns() - begin;
}

/* Everything is committed and handled: the group has nothing to do any more. */
static void drain(void)
{
    kfl_store *store = NULL;
    int64_t until = rig_now_ns() + INT64_C(60000000000);
    RIG_OK(kfl_store_open(rig->path, NULL, &store));
    for (;;) {
        kfl_offsets *offsets = NULL;
        int64_t done = 0;
        if (kfl_group_offsets(store, "g", &offsets) == 0)
            for (int32_t i = 0; i < kfl_offsets_count(offsets); i++) {
                const kfl_partition_offset *at = kfl_offsets_get(offsets, i);
                done += at->offset == atomic_load(&rig->end[at->partition]);
            }
        kfl_offsets_release(offsets);
        if (done == rig->partitions)
            break;
        if (rig_now_ns() > until)
            rig_fail("the group does not come to the end of its partitions");
        rig_sleep_ms(20);
    }
    RIG_OK(kfl_store_close(store));
}

static int count(int64_t *out_lost, int64_t *out_twice)
{
    int64_t all = 0;
    *out_lost = *out_twice = 0;
    for (int32_t i = 0; i < rig->partitions; i++)
        for (int64_t at = 0; at < atomic_load(&rig->end[i]); at++, all++) {
            uint8_t times = atomic_load(&rig->counts[i][at]);
            *out_lost += times == 0;
            *out_twice += times > 1;
        }
    return (int)all;
}

static void parse(int argc, char **argv)
{
    static const struct option options[] = {
        {"seconds", 1, NULL, 's'}, {"every-ms", 1, NULL, 'e'},    {"records", 1, NULL, 'r'},
        {"first", 0, NULL, 'f'},   {"balanced-ms", 1, NULL, 'b'}, {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
        if (option == 's')
            seconds = atoi(optarg);
        else if (option == 'e')
            every_ms = atoi(optarg);
        else if (option == 'r')
            records = atoll(optarg);
        else if (option == 'f')
            first = 1;
        else if (option == 'b')
            balanced_ms = atoi(optarg);
        else
            exit(2);
    }
}

int main(int argc, char **argv)
{
    parse(argc, argv);
    struct chance chance = chance_begin("churn");
    rig_begin(RIG_PARTITIONS, first);
    int64_t passes = records / RIG_PARTITIONS;
    int every_us = passes > 0 ? (int)((int64_t)seconds * 900000 / passes) : 1000;
    pid_t appender = rig_start_appender(records, every_us);
    for (int i = 0; i < RIG_PROCESSES / 2; i++)
        rig_start(i, RIG_MEMBERS);
    int64_t until = rig_now_ns() + (int64_t)seconds * 1000000000;
    while (rig_now_ns() < until) {
        rig_sleep_ms(every_ms);
        change(&chance);
    }
    /* The last change is one that is seen in what is shared: a death. */
    int64_t balanced = last_death();
    rig_wait_child(appender);
    drain();
    for (int i = 0; i < RIG_PROCESSES; i++)
        if (atomic_load(&rig->processes[i].pid) != 0)
            rig_stop(i);
    int64_t lost, twice;
    int all = count(&lost, &twice);
    printf("%d records, %d kills, %d starts, %d stops, %d members anew, %" PRId64
           " partitions taken\n",
           all, kills, starts, stops, rejoins, (int64_t)atomic_load(&rig->takes));
    printf("lost %" PRId64 ", handled twice %" PRId64 ", two owners %" PRId64
           ", handled by strangers %" PRId64 ", commits refused %" PRId64
           ", balanced after %.1f ms\n",
           lost, twice, (int64_t)atomic_load(&rig->two_owners),
           (int64_t)atomic_load(&rig->handled_by_strangers),
           (int64_t)atomic_load(&rig->refused_commits), (double)balanced / 1e6);
    int bad = (first ? twice != 0 : lost != 0) || atomic_load(&rig->two_owners) != 0 ||
              atomic_load(&rig->handled_by_strangers) != 0 || balanced < 0 ||
              balanced > (int64_t)balanced_ms * 1000000;
    rig_end();
    if (bad)
        printf("FAILED\n");
    return bad;
}
