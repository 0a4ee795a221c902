/* SPDX-License-Identifier: MIT */
/* Making and listing a partition's files; what engine/recover and engine/trim share with engine/segments. */
#ifndef KFL_ENGINE_SEGMENTS_H
#define KFL_ENGINE_SEGMENTS_H

#include <stdint.h>

#include "base/memory.h"
#include "catalog/segments.h"
#include "engine/partition.h"

/* The lock of whoever changes the list of files. KFL_E_BUSY names the holder. */
int kfl__partition_prepare_lock(struct kfl__partition *partition, int64_t deadline_ns);
void kfl__partition_prepare_unlock(struct kfl__partition *partition);
/* Whoever holds the prepare lock may be dead: what it committed reaches the slot. Waits for nobody. */
void kfl__segments_look_after(struct kfl__partition *partition);

/* Under the prepare lock: list a file as being made (one catalog transaction), then make it. */
int kfl__segments_begin(struct kfl__partition *partition, uint64_t size, struct kfl__segment_row *out_row);
int kfl__segments_create(struct kfl__partition *partition, const struct kfl__settings *settings,
                         const struct kfl__segment_row *row, struct kfl__segment **out_segment);
/* What the store's file system has for it; INT64_MAX where it does not say. Keeps the thread's words. */
int64_t kfl__segments_free_bytes(const struct kfl__core *core);
/* Unlink files whose rows count for nothing, and forget the rows. Keeps the thread's words. */
void kfl__segments_discard(struct kfl__partition *partition, const int64_t *ids, int32_t count);
/* Complete the row of a file that takes no more appends, from what its roll noted or from a walk. 1; 0: it is damaged. */
int kfl__partition_measure(struct kfl__partition *partition, struct kfl__segment_row *row);
/* The same from what the roll noted alone: 1; 0: nobody remembers. */
int kfl__partition_remember(struct kfl__partition *partition, struct kfl__segment_row *row);
/* The rows that may take part (READY, LIVE, SEALED), by id. Owned: kfl__free. */
int kfl__segments_rows(struct kfl__partition *partition, struct kfl__segment_row **out_rows, int32_t *out_count);
/*
 * Those of them that hold records, in order of offset; the one that takes appends with its beginning, *out_active (may be
 * NULL) is its id, 0: none. Owned: kfl__free.
 */
int kfl__segments_in_order(struct kfl__partition *partition, struct kfl__segment_row **out_rows, int32_t *out_count,
                           int64_t *out_active);
/* Sync what is full, and complete its rows. */
int kfl__partition_complete_rows(struct kfl__partition *partition);

#endif
