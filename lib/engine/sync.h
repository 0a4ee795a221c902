/* SPDX-License-Identifier: MIT */
/* Group sync: one leads, all who wait are served, across threads and processes (R6, R7). */
#ifndef KFL_ENGINE_SYNC_H
#define KFL_ENGINE_SYNC_H

#include <stdint.h>

#include "engine/partition.h"

/*
 * Wait until everything below `offset` is durable, leading the sync when nobody does. Who leads brings down all there is.
 * 0, KFL_E_TIMEOUT, KFL_E_FAILED, KFL_E_CLOSED, KFL_E_INTR (base/patience).
 */
int kfl__sync_wait(struct kfl__partition *partition, int64_t offset, int64_t deadline_ns);
/* The same of the files that take no more appends, and of nothing else: for compaction, beside which a producer goes on. */
int kfl__sync_full_files(struct kfl__partition *partition, int64_t deadline_ns);
/* The story of a partition whose sync failed earlier: KFL_E_FAILED. */
int kfl__sync_fail_again(struct kfl__partition *partition);

/*
 * What is durable at one moment, for the catalog (R24): a walk begins there, and what lies below is never
 * taken for a torn tail. Taken outside of the transaction, put inside; an older note changes nothing.
 */
struct kfl__sync_note {
    struct kfl__partition *partition; /* borrowed */
    uint64_t word;
    int64_t offset;
    int64_t active_id, active_base_offset;
};
void kfl__sync_note(struct kfl__partition *partition, struct kfl__sync_note *out_note);
int kfl__sync_put_note(struct kfl__catalog_txn *txn, const struct kfl__sync_note *note);

#endif
