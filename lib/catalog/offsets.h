/* SPDX-License-Identifier: MIT */
/* Rows: (group, topic, partition) -> committed offset. */
#ifndef KFL_CATALOG_OFFSETS_H
#define KFL_CATALOG_OFFSETS_H

#include <stdint.h>

#include "catalog/catalog.h"

#define KFL_GROUP_NAME_MAX 255
#define KFL_METADATA_MAX 4096

struct kfl__offset_row {
    int64_t offset;
    int64_t commit_ms;
    const void *metadata; /* in a look: borrowed for the look; NULL when none */
    uint32_t metadata_size;
};

/* 0, or KFL_E_NOT_FOUND. */
int kfl__offsets_get(struct kfl__catalog_txn *txn, const char *group, uint64_t topic_id,
                     int32_t partition, struct kfl__offset_row *out_row);
/* KFL_E_UNKNOWN_TOPIC_OR_PARTITION when the topic is gone. */
int kfl__offsets_put(struct kfl__catalog_txn *txn, const char *group, uint64_t topic_id,
                     int32_t partition, const struct kfl__offset_row *row);
/* 0 also when there was none. */
int kfl__offsets_remove(struct kfl__catalog_txn *txn, const char *group, uint64_t topic_id,
                        int32_t partition);
int kfl__offsets_visit_group(struct kfl__catalog_txn *txn, const char *group,
                             int (*visit)(uint64_t topic_id, int32_t partition,
                                          const struct kfl__offset_row *row, void *context),
                             void *context);
/* Each group that has a row, in order of name. */
int kfl__offsets_visit_groups(struct kfl__catalog_txn *txn,
                              int (*visit)(const char *group, void *context), void *context);
/* The largest committed offset of any group for this partition, -1 when none: after a crash no
 * offset below it is given again. */
int kfl__offsets_highest(struct kfl__catalog_txn *txn, uint64_t topic_id, int32_t partition,
                         int64_t *out_offset);
/* All that a group has committed. */
int kfl__offsets_remove_group(struct kfl__catalog_txn *txn, const char *group);
int kfl__offsets_remove_topic(struct kfl__catalog_txn *txn, uint64_t topic_id);

#endif
