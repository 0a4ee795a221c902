/* SPDX-License-Identifier: MIT */
/* Signposts of full segments, made anew where they are lost. */
#ifndef KFL_ENGINE_INDEXES_H
#define KFL_ENGINE_INDEXES_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/partition.h"

/* Do the signposts of a full segment, whose batches end at `used`, lead to its last batch? */
bool kfl__indexes_whole(const struct kfl__partition *partition, struct kfl__segment *segment,
                        uint64_t used);
/*
 * Lay them anew. true: who opens the segment now finds them. Holding no lock of the partition; waits for nobody, and
 * keeps the thread's words.
 */
bool kfl__indexes_mend(struct kfl__partition *partition, int64_t segment_id);

#endif
