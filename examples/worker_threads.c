/* SPDX-License-Identifier: MIT */
/*
 * A pool of worker threads that share the partitions of a topic.
 *
 *     worker_threads DIR
 *
 * Each thread has a consumer of its own, a member of the group "workers"; the library shares the
 * partitions out among them. A record is committed once it is handled, so none is lost, whatever
 * ends a worker: at least once.
 */
#include <kafkalite.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { WORKERS = 3, PARTITIONS = 6, JOBS = 6000 };

static kfl_store *store;
static atomic_int done;
static _Atomic int workers_with_something;

static int check(int r)
{
    if (r < 0) {
        fprintf(stderr, "worker_threads: %s: %s\n", kfl_error_name(r), kfl_last_error());
        exit(EXIT_FAILURE);
    }
    return r;
}

/* Partitions come and go: a worker that keeps nothing of a partition in memory need not mind. */
static void take_events(kfl_consumer *consumer)
{
    kfl_event *event;
    while (check(kfl_consumer_next_event(consumer, &event)) == 1)
        kfl_event_release(event);
}

static void *work(void *unused)
{
    const char *topic = "jobs";
    int handled = 0;
    kfl_config *config;
    kfl_consumer *consumer;
    check(kfl_config_create(&config));
    check(kfl_config_set(config, "group.id", "workers"));
    check(kfl_consumer_open(store, config, &consumer));
    kfl_config_destroy(config);
    check(kfl_consumer_subscribe(consumer, &topic, 1));
    while (atomic_load(&done) < JOBS) {
        kfl_records *records;
        int count = kfl_consumer_poll(consumer, 100, 50, &records);
        if (count == KFL_E_EVENT) {
            take_events(consumer);
            continue;
        }
        if (check(count) == 0)
            continue;
        /* Here the work would be done. */
        handled += count;
        int r = kfl_consumer_commit(consumer, records);
        if (r == KFL_E_ILLEGAL_GENERATION || r == KFL_E_UNKNOWN_MEMBER_ID)
            handled -= count; /* others have these partitions by now, and do the work again */
        else
            atomic_fetch_add(&done, check(r) == 0 ? count : 0);
        kfl_records_release(records);
    }
    atomic_fetch_add(&workers_with_something, handled > 0);
    check(kfl_consumer_close(consumer)); /* its partitions go to the others */
    return unused;
}

int main(int argc, char **argv)
{
    pthread_t threads[WORKERS];
    if (argc != 2) {
        fprintf(stderr, "usage: worker_threads DIR\n");
        return 2;
    }
    check(kfl_store_open(argv[1], NULL, &store));
    int r = kfl_topic_create(store, "jobs", PARTITIONS, NULL);
    if (r != KFL_E_TOPIC_ALREADY_EXISTS)
        check(r);
    for (int i = 0; i < WORKERS; i++)
        pthread_create(&threads[i], NULL, work, NULL);

    kfl_producer *producer;
    check(kfl_producer_open(store, NULL, &producer));
    for (int i = 0; i < JOBS; i++)
        check(kfl_producer_send(producer, "jobs", i % PARTITIONS, NULL, 0, &i, sizeof i, NULL, 0,
                                KFL_TIMESTAMP_NOW, NULL));
    check(kfl_producer_close(producer));

    for (int i = 0; i < WORKERS; i++)
        pthread_join(threads[i], NULL);
    printf("%d jobs done\n", atomic_load(&done));
    check(kfl_store_close(store));
    return EXIT_SUCCESS;
}

/* prints:
6000 jobs done
*/
