/* SPDX-License-Identifier: MIT */
/*
 * The first thing to read: open a store, create a topic, append a few records.
 *
 *     produce DIR          DIR is created when it is not there
 *
 * Records with the same key go to the same partition and stay in order there. With acks=all each of
 * them survives a power cut from the moment the call has told its offset.
 */
#include <kafkalite.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *key;
    const char *value;
} orders[] = {
    {"o-1", "2 books"}, {"o-3", "1 lamp"}, {"o-5", "4 chairs"},
    {"o-1", "3 books"}, /* the order was changed: a newer record of the same key */
    {"o-3", NULL},      /* the order was cancelled: a missing value, which is not an empty one */
};

static int check(int r)
{
    if (r < 0) {
        fprintf(stderr, "produce: %s: %s\n", kfl_error_name(r), kfl_last_error());
        exit(EXIT_FAILURE);
    }
    return r;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: produce DIR\n");
        return 2;
    }

    kfl_store *store;
    check(kfl_store_open(argv[1], NULL, &store));
    int r = kfl_topic_create(store, "orders", 3, NULL);
    if (r != KFL_E_TOPIC_ALREADY_EXISTS)
        check(r);

    /* Properties have Kafka's names; a typing mistake is an error that suggests the right one. */
    kfl_config *config;
    check(kfl_config_create(&config));
    check(kfl_config_set(config, "acks", "all"));
    kfl_producer *producer;
    check(kfl_producer_open(store, config, &producer));
    kfl_config_destroy(config);

    const kfl_header header = {.name = "shop", .value = "north", .value_size = 5};
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        const char *key = orders[i].key;
        const char *value = orders[i].value;
        int64_t offset;
        int partition = check(kfl_producer_send(
            producer, "orders", KFL_PARTITION_ANY, key, strlen(key), value,
            value != NULL ? strlen(value) : 0, &header, 1, KFL_TIMESTAMP_NOW, &offset));
        printf("%s: partition %d, offset %" PRId64 "\n", key, partition, offset);
    }

    check(kfl_producer_close(producer));
    check(kfl_store_close(store));
    return EXIT_SUCCESS;
}

/* prints, the first time:
o-1: partition 0, offset 0
o-3: partition 1, offset 0
o-5: partition 2, offset 0
o-1: partition 0, offset 1
o-3: partition 1, offset 1
*/
