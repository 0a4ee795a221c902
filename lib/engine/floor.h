/* SPDX-License-Identifier: MIT */
/* The offset floor of a partition (R10); kfl__partition_raise_floor() is in engine/partition.h. */
#ifndef KFL_ENGINE_FLOOR_H
#define KFL_ENGINE_FLOOR_H

#include <stdint.h>

#include "catalog/topics.h"
#include "engine/partition.h"

/* How far to raise it, so that `least` lies below. */
int64_t kfl__floor_next(const struct kfl__slot *slot, int64_t least);
/*
 * Into the partition's row, before an offset below it is given: the partition is in use from now on, by this writer
 * epoch. *io_floor becomes the row's where that is higher.
 */
void kfl__floor_put(const struct kfl__partition *partition, struct kfl__partition_row *row, int64_t *io_floor);
/* To those who append; holding the append lock, once the catalog has it. */
void kfl__floor_tell(struct kfl__slot *slot, int64_t floor);

#endif
