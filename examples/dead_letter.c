/* SPDX-License-Identifier: MIT */
/*
 * A job that fails is tried again later, and after three attempts goes to a topic of dead letters.
 *
 *     dead_letter DIR
 *
 * The partition does not wait for it: the failed record is appended anew, with one more in its
 * header "attempts", and then committed. In this order, so that a crash between the two leaves it
 * twice rather than not at all.
 */
#include <kafkalite.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { JOBS = 10, ATTEMPTS = 3 };

static int check(int r)
{
    if (r < 0) {
        fprintf(stderr, "dead_letter: %s: %s\n", kfl_error_name(r), kfl_last_error());
        exit(EXIT_FAILURE);
    }
    return r;
}

static void make_topic(kfl_store *store, const char *name)
{
    int r = kfl_topic_create(store, name, 1, NULL);
    if (r != KFL_E_TOPIC_ALREADY_EXISTS)
        check(r);
}

/* Every fourth job cannot be done. */
static int do_job(const kfl_record *record)
{
    return ((const char *)record->value)[0] % 4 != 0;
}

static int attempts_of(const kfl_record *record)
{
    for (int32_t i = 0; i < record->header_count; i++) {
        kfl_header header;
        check(kfl_record_header(record, i, &header));
        if (strcmp(header.name, "attempts") == 0 && header.value_size == 1)
            return *(const char *)header.value - '0';
    }
    return 0;
}

static void give_back(kfl_producer *producer, const kfl_record *record)
{
    int attempts = attempts_of(record) + 1;
    char text = (char)('0' + attempts);
    kfl_header header = {.name = "attempts", .value = &text, .value_size = 1};
    check(kfl_producer_send(producer, attempts < ATTEMPTS ? "jobs" : "jobs.dead", 0, record->key,
                            record->key_size, record->value, record->value_size, &header, 1,
                            KFL_TIMESTAMP_NOW, NULL));
}

int main(int argc, char **argv)
{
    const char *topic = "jobs";
    kfl_store *store;
    kfl_config *config;
    kfl_producer *producer;
    kfl_consumer *consumer;
    int done = 0, failed = 0;
    if (argc != 2) {
        fprintf(stderr, "usage: dead_letter DIR\n");
        return 2;
    }
    check(kfl_store_open(argv[1], NULL, &store));
    make_topic(store, "jobs");
    make_topic(store, "jobs.dead");
    check(kfl_producer_open(store, NULL, &producer));
    for (char job = '0'; job < '0' + JOBS; job++)
        check(kfl_producer_send(producer, "jobs", 0, NULL, 0, &job, 1, NULL, 0, KFL_TIMESTAMP_NOW,
                                NULL));
    check(kfl_config_create(&config));
    check(kfl_config_set(config, "group.id", "worker"));
    check(kfl_consumer_open(store, config, &consumer));
    kfl_config_destroy(config);
    check(kfl_consumer_subscribe(consumer, &topic, 1));

    kfl_records *records;
    kfl_event *event;
    int count;
    while ((count = kfl_consumer_poll(consumer, 0, 4, &records)) != 0) {
        if (count == KFL_E_EVENT) {
            while (check(kfl_consumer_next_event(consumer, &event)) == 1)
                kfl_event_release(event);
            continue;
        }
        for (int32_t i = 0; i < check(count); i++) {
            const kfl_record *record = kfl_records_get(records, i);
            if (do_job(record)) {
                done++;
            } else {
                failed++;
                give_back(producer, record);
            }
        }
        check(kfl_consumer_commit(consumer, records));
        kfl_records_release(records);
    }
    int64_t dead;
    check(kfl_topic_end_offset(store, "jobs.dead", 0, &dead));
    printf("%d jobs done, %d attempts failed, %lld dead letters\n", done, failed, (long long)dead);
    check(kfl_consumer_close(consumer));
    check(kfl_producer_close(producer));
    check(kfl_store_close(store));
    return EXIT_SUCCESS;
}

/* prints:
7 jobs done, 9 attempts failed, 3 dead letters
*/
