/* SPDX-License-Identifier: MIT */
/*
 * Read what is there, print it, and say how far it came.
 *
 *     consume DIR [TOPIC [GROUP]]        the topic is "orders" when none is named
 *
 * One line a record, separated by tabs: partition, offset, key, value, headers. With a group it
 * goes on where that group has committed, and commits what it has printed; without one it reads
 * everything.
 */
#include <kafkalite.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static int check(int r)
{
    if (r < 0) {
        fprintf(stderr, "consume: %s: %s\n", kfl_error_name(r), kfl_last_error());
        exit(EXIT_FAILURE);
    }
    return r;
}

static void print_bytes(const void *bytes, size_t size)
{
    if (bytes == NULL)
        fputs("(none)", stdout);
    else
        fwrite(bytes, 1, size, stdout);
}

static void print_record(const kfl_record *record)
{
    printf("%" PRId32 "\t%" PRId64 "\t", record->partition, record->offset);
    print_bytes(record->key, record->key_size);
    putchar('\t');
    print_bytes(record->value, record->value_size);
    for (int32_t i = 0; i < record->header_count; i++) {
        kfl_header header;
        check(kfl_record_header(record, i, &header));
        printf("\t%s=", header.name);
        print_bytes(header.value, header.value_size);
    }
    putchar('\n');
}

/* A damaged place costs the records that were in it: say so, and read on behind it. */
static void print_event(kfl_consumer *consumer)
{
    kfl_event *event;
    while (check(kfl_consumer_next_event(consumer, &event)) == 1) {
        fprintf(stderr, "consume: %s\n", kfl_event_text(event));
        kfl_event_release(event);
    }
}

static void assign_all(kfl_store *store, kfl_consumer *consumer, const char *topic, int64_t from)
{
    int count = check(kfl_topic_partition_count(store, topic));
    kfl_partition_offset *partitions = calloc((size_t)count, sizeof *partitions);
    if (partitions == NULL)
        exit(EXIT_FAILURE);
    for (int i = 0; i < count; i++)
        partitions[i] = (kfl_partition_offset){.topic = topic, .partition = i, .offset = from};
    check(kfl_consumer_assign(consumer, partitions, (size_t)count));
    free(partitions);
}

int main(int argc, char **argv)
{
    if (argc < 2 || argc > 4) {
        fprintf(stderr, "usage: consume DIR [TOPIC [GROUP]]\n");
        return 2;
    }
    const char *topic = argc > 2 ? argv[2] : "orders";
    const char *group = argc > 3 ? argv[3] : NULL;

    kfl_store *store;
    check(kfl_store_open(argv[1], NULL, &store));
    kfl_config *config;
    check(kfl_config_create(&config));
    check(kfl_config_set(config, "group.id", group));
    kfl_consumer *consumer;
    check(kfl_consumer_open(store, config, &consumer));
    kfl_config_destroy(config);
    assign_all(store, consumer, topic, group != NULL ? KFL_OFFSET_STORED : KFL_OFFSET_BEGINNING);

    /* A service would pass -1 and wait for more; a time-out of 0 looks once and ends at the end of
     * the log. */
    kfl_records *records;
    int count;
    while ((count = kfl_consumer_poll(consumer, 0, 0, &records)) != 0) {
        if (count == KFL_E_EVENT) {
            print_event(consumer);
            continue;
        }
        check(count);
        for (int32_t i = 0; i < count; i++)
            print_record(kfl_records_get(records, i));
        /* Only now: a crash before the commit prints these again, and never leaves one out. */
        if (group != NULL)
            check(kfl_consumer_commit(consumer, records));
        kfl_records_release(records);
    }

    check(kfl_consumer_close(consumer));
    check(kfl_store_close(store));
    return EXIT_SUCCESS;
}

/* prints, after produce (between partitions no order is promised):
0	0	o-1	2 books	shop=north
0	1	o-1	3 books	shop=north
1	0	o-3	1 lamp	shop=north
1	1	o-3	(none)	shop=north
2	0	o-5	4 chairs	shop=north
*/
