/* SPDX-License-Identifier: MIT */
/*
 * Work that is slower than its input: partitions are paused while their queue is full.
 *
 *     back_pressure DIR
 *
 * The consumer goes on polling, so it keeps its place in the group and reads what is not paused.
 */
#include <kafkalite.h>

#include <stdio.h>
#include <stdlib.h>

enum { PARTITIONS = 2, JOBS = 200, QUEUE = 8, POLL = 4 };

/* Offsets of jobs to be done. */
struct queue {
    int64_t waiting[QUEUE + POLL];
    int count, paused;
};

static struct queue queues[PARTITIONS];
static int pauses, longest;

static int check(int r)
{
    if (r < 0) {
        fprintf(stderr, "back_pressure: %s: %s\n", kfl_error_name(r), kfl_last_error());
        exit(EXIT_FAILURE);
    }
    return r;
}

/* What is to be given up is worked off first: it is ours until the next poll. */
static int work(kfl_consumer *consumer, int32_t partition)
{
    struct queue *queue = &queues[partition];
    if (queue->count == 0)
        return 0;
    kfl_partition_offset next = {
        .topic = "jobs", .partition = partition, .offset = queue->waiting[0] + 1};
    check(kfl_consumer_commit_async(consumer, &next, 1, NULL));
    queue->count--;
    for (int i = 0; i < queue->count; i++)
        queue->waiting[i] = queue->waiting[i + 1];
    if (queue->paused && queue->count <= QUEUE / 2) {
        check(kfl_consumer_resume(consumer, "jobs", partition));
        queue->paused = 0;
    }
    return 1;
}

static void take_events(kfl_consumer *consumer)
{
    kfl_event *event;
    while (check(kfl_consumer_next_event(consumer, &event)) == 1) {
        const kfl_offsets *offsets = kfl_event_offsets(event);
        for (int32_t i = 0;
             kfl_event_kind(event) == KFL_EVENT_REVOKED && i < kfl_offsets_count(offsets); i++)
            while (work(consumer, kfl_offsets_get(offsets, i)->partition))
                ;
        kfl_event_release(event);
    }
}

int main(int argc, char **argv)
{
    const char *topic = "jobs";
    kfl_store *store;
    kfl_config *config;
    kfl_producer *producer;
    kfl_consumer *consumer;
    int done = 0;
    if (argc != 2) {
        fprintf(stderr, "usage: back_pressure DIR\n");
        return 2;
    }
    check(kfl_store_open(argv[1], NULL, &store));
    check(kfl_topic_create(store, "jobs", PARTITIONS, NULL));
    check(kfl_producer_open(store, NULL, &producer));
    for (int i = 0; i < JOBS; i++)
        check(kfl_producer_send(producer, "jobs", i % PARTITIONS, NULL, 0, &i, sizeof i, NULL, 0,
                                KFL_TIMESTAMP_NOW, NULL));
    check(kfl_producer_close(producer));
    check(kfl_config_create(&config));
    check(kfl_config_set(config, "group.id", "worker"));
    check(kfl_consumer_open(store, config, &consumer));
    kfl_config_destroy(config);
    check(kfl_consumer_subscribe(consumer, &topic, 1));
    while (done < JOBS) {
        kfl_records *records;
        int count = kfl_consumer_poll(consumer, 0, POLL, &records);
        if (count == KFL_E_EVENT)
            take_events(consumer);
        else
            check(count);
        for (int32_t i = 0; i < count; i++) {
            const kfl_record *record = kfl_records_get(records, i);
            struct queue *queue = &queues[record->partition];
            queue->waiting[queue->count++] = record->offset;
            longest = queue->count > longest ? queue->count : longest;
            if (queue->count >= QUEUE && !queue->paused) {
                check(kfl_consumer_pause(consumer, "jobs", record->partition));
                queue->paused = 1;
                pauses++;
            }
        }
        kfl_records_release(count > 0 ? records : NULL);
        for (int32_t partition = 0; partition < PARTITIONS; partition++)
            done += work(consumer, partition);
    }
    printf("%d jobs done; partitions were paused: %s; longest queue within its room: %s\n", done,
           pauses > 0 ? "yes" : "no", longest < QUEUE + POLL ? "yes" : "no");
    check(kfl_consumer_close(consumer)); /* and waits for the commits */
    return check(kfl_store_close(store));
}

/* prints:
200 jobs done; partitions were paused: yes; longest queue within its room: yes
*/
