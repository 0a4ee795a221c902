/* SPDX-License-Identifier: MIT */
/*
 * Worker processes, of which one is killed in the middle of its work.
 *
 *     worker_processes DIR
 *
 * Three processes share the partitions of a topic. One of them gets a SIGKILL: no good-bye, no
 * clean-up. The others have its partitions milliseconds later, and go on where it had committed.
 */
#include <kafkalite.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORKERS = 3, PARTITIONS = 6, JOBS = 3000 };

static int check(int r)
{
    if (r < 0) {
        fprintf(stderr, "worker_processes: %s: %s\n", kfl_error_name(r), kfl_last_error());
        exit(EXIT_FAILURE);
    }
    return r;
}

/* What the group has committed: so many jobs are done for good. */
static int64_t jobs_done(kfl_store *store)
{
    kfl_offsets *offsets;
    int64_t done = 0;
    if (kfl_group_offsets(store, "workers", &offsets) == KFL_E_GROUP_ID_NOT_FOUND)
        return 0;
    for (int32_t i = 0; i < kfl_offsets_count(offsets); i++)
        done += kfl_offsets_get(offsets, i)->offset;
    kfl_offsets_release(offsets);
    return done;
}

/* A process of its own: it opens the store itself, as every process does. */
static void work(const char *path)
{
    const char *topic = "jobs";
    kfl_store *store;
    kfl_config *config;
    kfl_consumer *consumer;
    check(kfl_store_open(path, NULL, &store));
    check(kfl_config_create(&config));
    check(kfl_config_set(config, "group.id", "workers"));
    check(kfl_consumer_open(store, config, &consumer));
    check(kfl_consumer_subscribe(consumer, &topic, 1));
    for (;;) {
        kfl_records *records;
        kfl_event *event;
        int count = kfl_consumer_poll(consumer, -1, 20, &records);
        if (count == KFL_E_EVENT) {
            while (check(kfl_consumer_next_event(consumer, &event)) == 1)
                kfl_event_release(event);
            continue;
        }
        check(count);
        usleep(2000); /* the work */
        check(kfl_consumer_commit(consumer, records));
        kfl_records_release(records);
    }
}

int main(int argc, char **argv)
{
    pid_t workers[WORKERS];
    kfl_store *store;
    if (argc != 2) {
        fprintf(stderr, "usage: worker_processes DIR\n");
        return 2;
    }
    /* Processes are made before this one has a store open: what a child inherits it cannot use. */
    for (int i = 0; i < WORKERS; i++)
        if ((workers[i] = fork()) == 0)
            work(argv[1]);
    check(kfl_store_open(argv[1], NULL, &store));
    int r = kfl_topic_create(store, "jobs", PARTITIONS, NULL);
    if (r != KFL_E_TOPIC_ALREADY_EXISTS)
        check(r);
    int64_t before = jobs_done(store);
    kfl_producer *producer;
    check(kfl_producer_open(store, NULL, &producer));
    for (int i = 0; i < JOBS; i++)
        check(kfl_producer_send(producer, "jobs", i % PARTITIONS, NULL, 0, &i, sizeof i, NULL, 0,
                                KFL_TIMESTAMP_NOW, NULL));
    check(kfl_producer_close(producer));

    while (jobs_done(store) - before < JOBS / 3)
        usleep(1000);
    kill(workers[0], SIGKILL);
    while (jobs_done(store) - before < JOBS)
        usleep(1000);
    printf("%lld jobs done, with one worker killed in the middle\n",
           (long long)(jobs_done(store) - before));
    for (int i = 0; i < WORKERS; i++) {
        kill(workers[i], SIGKILL);
        waitpid(workers[i], NULL, 0);
    }
    check(kfl_store_close(store));
    return EXIT_SUCCESS;
}

/* prints:
3000 jobs done, with one worker killed in the middle
*/
