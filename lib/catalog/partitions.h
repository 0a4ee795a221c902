/* SPDX-License-Identifier: MIT */
/* Partition rows and the slots they own; what only topics.c needs. The rest is in topics.h. */
#ifndef KFL_CATALOG_PARTITIONS_H
#define KFL_CATALOG_PARTITIONS_H

#include <stdint.h>

#include "catalog/catalog.h"
#include "catalog/counters.h"

/* New rows for the partitions from `first` to below `end`; counts slots up in `counters`, which the
 * caller puts. */
int kfl__partitions_create(struct kfl__catalog_txn *txn, uint64_t topic_id, int32_t first,
                           int32_t end, struct kfl__counters *counters);
/* All of the topic; their slots are free afterwards. */
int kfl__partitions_remove(struct kfl__catalog_txn *txn, uint64_t topic_id);
/* 0, or KFL_E_UNKNOWN_TOPIC_OR_PARTITION: rows that belong to a partition are put only while it
 * exists. */
int kfl__partition_require(struct kfl__catalog_txn *txn, uint64_t topic_id, int32_t partition);

#endif
