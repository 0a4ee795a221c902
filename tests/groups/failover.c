/* SPDX-License-Identifier: MIT */
/*
 * From the death of a member's process to the first record at its successor:
 * failover [--rounds N] [--killed N] [--median-us N] [--p99-us N]
 *
 * Four processes of one member each share 12 partitions under constant appends. Each round kills one
 * (or --killed of them in one go) and looks when records of each of its partitions are handled again.
 */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "rig.h"

enum { PROCESSES = 4 };
static int rounds = 20, killed = 1, median_us = 5000, p99_us = 50000;

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x == y ? 0 : x < y ? -1 : 1;
}

/* Until every partition that the dead had is read again, by somebody who lives. */
static int64_t wait_taken(const int *lost, int64_t killed_ns)
{
    int64_t last = 0;
    for (int i = 0; i < rig->partitions; i++) {
        if (!lost[i])
            continue;
        for (;;) {
            int owner = atomic_load(&rig->owner[i]);
            int64_t at = atomic_load(&rig->handled_ns[i]);
            if (owner != 0 && atomic_load(&rig->processes[(owner - 1) / RIG_MEMBERS].dying) == 0 &&
                at > killed_ns) {
                last = at > last ? at : last;
                break;
            }
            if (rig_now_ns() - killed_ns > INT64_C(10000000000))
                rig_fail("partition %d has no successor", i);
            /* The time is the handler's: nothing is lost by leaving the processor to those who are measured. */
            nanosleep(&(struct timespec){0, 100000}, NULL);
        }
    }
    return last - killed_ns;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"rounds", 1, NULL, 'r'},
                                            {"killed", 1, NULL, 'k'},
                                            {"median-us", 1, NULL, 'm'},
                                            {"p99-us", 1, NULL, 'p'},
                                            {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
        if (option == 'r')
            rounds = atoi(optarg);
        else if (option == 'k')
            killed = atoi(optarg);
        else if (option == 'm')
            median_us = atoi(optarg);
        else if (option == 'p')
            p99_us = atoi(optarg);
        else
            return 2;
    }
    if (killed < 1 || killed >= PROCESSES)
        return 2;
    rig_begin(RIG_PARTITIONS, 0);
    rig->commits_async = 1;
    int64_t *times = calloc((size_t)rounds, sizeof *times);
    pid_t appender = rig_start_appender(INT64_MAX, 200);
    for (int i = 0; i < PROCESSES; i++)
        rig_start(i, 1);
    for (int round = 0; round < rounds; round++) {
        int lost[RIG_PARTITIONS] = {0};
        if (rig_wait_balanced(PROCESSES, 10000) < 0)
            rig_fail("the group does not come to rest");
        rig_sleep_ms(20);
        for (int i = 0; i < killed; i++) {
            int victim = (round + i) % PROCESSES;
            atomic_store(&rig->processes[victim].dying, 1);
            for (int j = 0; j < rig->partitions; j++)
                lost[j] |= (atomic_load(&rig->owner[j]) - 1) / RIG_MEMBERS == victim;
        }
        /* Nothing that they handled in their last moments counts. */
        int64_t begin = rig_now_ns();
        for (int i = 0; i < killed; i++)
            kill(atomic_load(&rig->processes[(round + i) % PROCESSES].pid), SIGKILL);
        times[round] = wait_taken(lost, begin);
        for (int i = 0; i < killed; i++) {
            rig_kill((round + i) % PROCESSES);
            rig_start((round + i) % PROCESSES, 1);
        }
    }
    atomic_store(&rig->appending, 0);
    rig_wait_child(appender);
    for (int i = 0; i < PROCESSES; i++)
        rig_stop(i);
    qsort(times, (size_t)rounds, sizeof *times, compare);
    int64_t median = times[rounds / 2] / 1000, p99 = times[(rounds * 99 - 1) / 100] / 1000;
    printf("%d rounds, %d killed at once: median %" PRId64 " us, p99 %" PRId64 " us, worst %" PRId64
           " us; two owners %" PRId64 "\n",
           rounds, killed, median, p99, times[rounds - 1] / 1000,
           (int64_t)atomic_load(&rig->two_owners));
    int bad = median > median_us || p99 > p99_us || atomic_load(&rig->two_owners) != 0;
    free(times);
    rig_end();
    if (bad)
        printf("FAILED\n");
    return bad;
}
