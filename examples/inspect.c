/* SPDX-License-Identifier: MIT */
/*
 * What is in a store: topics, partitions, files, and how far each group has come.
 *
 *     inspect DIR
 *
 * It may look at a store that other processes are using; nothing is changed.
 */
#include <kafkalite.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static int check(int r)
{
    if (r < 0) {
        fprintf(stderr, "inspect: %s: %s\n", kfl_error_name(r), kfl_last_error());
        exit(EXIT_FAILURE);
    }
    return r;
}

/* A prepared file holds nothing yet. */
static int32_t files_with_records(kfl_store *store, const char *topic, int32_t partition)
{
    kfl_segments *segments;
    check(kfl_segments_list(store, topic, partition, &segments));
    int32_t used = 0;
    for (int32_t i = 0; i < kfl_segments_count(segments); i++) {
        if (kfl_segments_get(segments, i)->state != KFL_SEGMENT_PREPARED)
            used++;
    }
    kfl_segments_release(segments);
    return used;
}

static void print_topic(kfl_store *store, const char *topic)
{
    int count = check(kfl_topic_partition_count(store, topic));
    printf("topic %s, %d partitions\n", topic, count);
    for (int32_t i = 0; i < count; i++) {
        int64_t start, end, durable;
        check(kfl_topic_start_offset(store, topic, i, &start));
        check(kfl_topic_end_offset(store, topic, i, &end));
        check(kfl_topic_durable_offset(store, topic, i, &durable));
        printf("  %" PRId32 ": offsets %" PRId64 " to %" PRId64 ", durable to %" PRId64 ", %" PRId32
               " files\n",
               i, start, end, durable, files_with_records(store, topic, i));
    }
}

/* The committed offset is the next one to be read, so the lag is the distance to the end. */
static void print_group(kfl_store *store, const char *group)
{
    kfl_offsets *offsets;
    check(kfl_group_offsets(store, group, &offsets));
    printf("group %s\n", group);
    for (int32_t i = 0; i < kfl_offsets_count(offsets); i++) {
        const kfl_partition_offset *row = kfl_offsets_get(offsets, i);
        int64_t end;
        check(kfl_topic_end_offset(store, row->topic, row->partition, &end));
        printf("  %s/%" PRId32 ": committed %" PRId64 ", lag %" PRId64 "\n", row->topic,
               row->partition, row->offset, end - row->offset);
    }
    kfl_offsets_release(offsets);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: inspect DIR\n");
        return 2;
    }

    kfl_config *config;
    check(kfl_config_create(&config));
    check(kfl_config_set(config, "read.only", "true"));
    kfl_store *store;
    check(kfl_store_open(argv[1], config, &store));
    kfl_config_destroy(config);

    kfl_names *names;
    check(kfl_topic_list(store, &names));
    for (int32_t i = 0; i < kfl_names_count(names); i++)
        print_topic(store, kfl_names_get(names, i));
    kfl_names_release(names);

    check(kfl_group_list(store, &names));
    for (int32_t i = 0; i < kfl_names_count(names); i++)
        print_group(store, kfl_names_get(names, i));
    kfl_names_release(names);

    check(kfl_store_close(store));
    return EXIT_SUCCESS;
}

/* prints, after produce and `consume DIR orders billing`:
topic orders, 3 partitions
  0: offsets 0 to 2, durable to 2, 1 files
  1: offsets 0 to 2, durable to 2, 1 files
  2: offsets 0 to 1, durable to 1, 1 files
group billing
  orders/0: committed 2, lag 0
  orders/1: committed 2, lag 0
  orders/2: committed 1, lag 0
*/
