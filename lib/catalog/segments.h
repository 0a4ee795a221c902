/* SPDX-License-Identifier: MIT */
/* Rows: the manifest of each partition, and files on their way in or out. */
#ifndef KFL_CATALOG_SEGMENTS_H
#define KFL_CATALOG_SEGMENTS_H

#include <stdint.h>

#include "catalog/catalog.h"

enum kfl__segment_state {
    KFL_SEGMENT_ROW_MAKING = 1, /* listed before it is created (R4); `maker` says by whom */
    KFL_SEGMENT_ROW_READY =
        2, /* on the disk with its header; takes part once an end mark names it, or as the first */
    KFL_SEGMENT_ROW_LIVE = 3,   /* base_offset known; the end is told by its batches */
    KFL_SEGMENT_ROW_SEALED = 4, /* complete, durable: end_offset, used and times known */
    KFL_SEGMENT_ROW_TRASH = 5,  /* to be unlinked; counts for nothing */
};

struct kfl__segment_row {
    int64_t segment_id;
    uint32_t state;
    uint32_t maker; /* presence entry of the maker, with maker_start telling it from a later one */
    uint64_t maker_start;
    int64_t base_offset; /* -1: not known */
    int64_t end_offset;  /* -1: not known */
    int64_t used; /* bytes up to the end of its last batch (end mark not counted), -1: not known */
    int64_t size; /* reserved */
    uint64_t seed;
    int64_t first_timestamp_ms; /* of its first record, -1 */
    int64_t max_timestamp_ms;   /* -1: not known or none */
    int64_t max_timestamp_offset;
    int64_t record_count;    /* -1: not known */
    int64_t clean_offset; /* records below it were cleaned: none of an older one of its keys is left; 0: none */
    int64_t horizon_ms;   /* the earliest time at which tombstones in it may go; 0: none was stamped */
};

/* 0 or KFL_E_NOT_FOUND. */
int kfl__segments_get(struct kfl__catalog_txn *txn, uint64_t topic_id, int32_t partition,
                      int64_t segment_id, struct kfl__segment_row *out_row);
/* In order of segment id, all states. visit < 0 stops. */
int kfl__segments_visit(struct kfl__catalog_txn *txn, uint64_t topic_id, int32_t partition,
                        int (*visit)(const struct kfl__segment_row *row, void *context),
                        void *context);
/* KFL_E_UNKNOWN_TOPIC_OR_PARTITION when the topic is gone. */
int kfl__segments_put(struct kfl__catalog_txn *txn, uint64_t topic_id, int32_t partition,
                      const struct kfl__segment_row *row);
/* 0 also when there was none. */
int kfl__segments_remove(struct kfl__catalog_txn *txn, uint64_t topic_id, int32_t partition,
                         int64_t segment_id);
int kfl__segments_remove_topic(struct kfl__catalog_txn *txn, uint64_t topic_id);
/* All MAKING and TRASH rows of the store, without looking at the others. */
int kfl__segments_visit_leftovers(struct kfl__catalog_txn *txn,
                                  int (*visit)(uint64_t topic_id, int32_t partition,
                                               const struct kfl__segment_row *row, void *context),
                                  void *context);

#endif
