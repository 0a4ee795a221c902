/* SPDX-License-Identifier: MIT */
/* Rows: topic -> id, partitions, properties; and one row a partition. */
#ifndef KFL_CATALOG_TOPICS_H
#define KFL_CATALOG_TOPICS_H

#include <stdbool.h>
#include <stdint.h>

#include "catalog/catalog.h"

struct kfl__topic_row {
    uint64_t topic_id; /* rises, never reused */
    int32_t partition_count;
    int64_t created_ms;
    uint64_t version; /* one more at each alteration */
    char name[256];
    const char *properties; /* "name=value\n…", NUL at its end; in a look: borrowed for the look */
};

/* What is true for ever of one partition. */
struct kfl__partition_row {
    uint32_t slot;           /* its place in the state file */
    uint32_t incarnation;    /* of that slot: differs for each partition that ever had it */
    int64_t next_segment_id; /* rises, never reused; begins at 1 */
    int64_t start_offset;
    int64_t offset_floor;    /* above every offset ever given (R10) */
    int64_t durable_offset;  /* known durable (R24): everything below lies */
    int64_t durable_segment; /* in segments up to this one, 0: none yet */
    int64_t durable_place;   /* and in this one below this place */
    uint32_t writer_epoch;   /* last one given out */
    uint32_t flags;          /* KFL_PARTITION_… */
};
#define KFL_PARTITION_CLEAN                                                                        \
    1u /* durable_offset was the end when the last process left, and nothing was written since */
#define KFL_PARTITION_FAILED 2u /* a sync failed (R7) */

/* 0 or KFL_E_UNKNOWN_TOPIC_OR_PARTITION (text names it). */
int kfl__topics_find(struct kfl__catalog_txn *txn, const char *name,
                     struct kfl__topic_row *out_row);
int kfl__topics_get(struct kfl__catalog_txn *txn, uint64_t topic_id,
                    struct kfl__topic_row *out_row);
/* In order of name. visit < 0 stops. */
int kfl__topics_list(struct kfl__catalog_txn *txn,
                     int (*visit)(const struct kfl__topic_row *row, void *context), void *context);

/*
 * New topic with its partition rows (slots from those that are free, else new ones). Fills
 * topic_id. KFL_E_TOPIC_ALREADY_EXISTS; KFL_E_INVALID_TOPIC when a name that differs only in . and
 * _ exists.
 */
int kfl__topics_create(struct kfl__catalog_txn *txn, struct kfl__topic_row *row);
/* KFL_E_INVALID_PARTITIONS unless it grows. */
int kfl__topics_grow(struct kfl__catalog_txn *txn, const char *name, int32_t partition_count);
int kfl__topics_alter(struct kfl__catalog_txn *txn, const char *name, const char *properties);
/* With its partition and segment rows, and every group's offsets; frees its slots; its folder is
 * listed as trash. Tells the id. */
int kfl__topics_delete(struct kfl__catalog_txn *txn, const char *name, uint64_t *out_topic_id);

/* Rises at every create, grow, alter, delete. */
int kfl__topics_version(struct kfl__catalog_txn *txn, uint64_t *out_version);
/* Not below `version` from here on; changes nothing where it is not. */
int kfl__topics_version_raise(struct kfl__catalog_txn *txn, uint64_t version);

int kfl__partition_get(struct kfl__catalog_txn *txn, uint64_t topic_id, int32_t partition,
                       struct kfl__partition_row *out_row);
/* The topic is gone: KFL_E_UNKNOWN_TOPIC_OR_PARTITION. */
int kfl__partition_put(struct kfl__catalog_txn *txn, uint64_t topic_id, int32_t partition,
                       const struct kfl__partition_row *row);

/* Folders of deleted topics that may still have files: visit, then drop once they are gone. */
int kfl__topic_trash_list(struct kfl__catalog_txn *txn,
                          int (*visit)(uint64_t topic_id, void *context), void *context);
int kfl__topic_trash_drop(struct kfl__catalog_txn *txn, uint64_t topic_id);

#endif
