/* SPDX-License-Identifier: MIT */
/* The one row of numbers that only rise. */
#ifndef KFL_CATALOG_COUNTERS_H
#define KFL_CATALOG_COUNTERS_H

#include <stdint.h>

#include "catalog/catalog.h"

struct kfl__counters {
    uint64_t next_topic_id;
    uint64_t next_history;
    uint64_t topics_version;
    uint32_t next_slot; /* slots below were given out once */
};

int kfl__counters_get(struct kfl__catalog_txn *txn, struct kfl__counters *out_counters);
int kfl__counters_put(struct kfl__catalog_txn *txn, const struct kfl__counters *counters);

#endif
