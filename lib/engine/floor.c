/* SPDX-License-Identifier: MIT */
/*
 * The offset floor: the catalog holds a number above every offset that was given, so that a power cut never gives one
 * twice (R10). It goes up about as far as was come since it was raised last, so that slow partitions lose few numbers
 * to a power cut.
 */
#include "engine/floor.h"

#include "base/fault.h"
#include "catalog/topics.h"
#include "engine/partition.h"
#include "engine/topics.h"

#define FLOOR_LEAST INT64_C(4096)
#define FLOOR_MOST (INT64_C(1) << 24)

int64_t kfl__floor_next(const struct kfl__slot *slot, int64_t least)
{
    int64_t end = atomic_load(&slot->end_offset);
    int64_t step = (end - atomic_load(&slot->floor_raised_at)) * 2;
    if (step < FLOOR_LEAST)
        step = FLOOR_LEAST;
    if (step > FLOOR_MOST)
        step = FLOOR_MOST;
    if (least < end)
        least = end;
    return least > INT64_MAX - step ? INT64_MAX : least + step;
}

void kfl__floor_put(const struct kfl__partition *partition, struct kfl__partition_row *row, int64_t *io_floor)
{
    uint32_t epoch = atomic_load(&partition->slot->writer_epoch);
    if (row->offset_floor > *io_floor)
        *io_floor = row->offset_floor;
    row->offset_floor = *io_floor;
    row->flags &= ~KFL_PARTITION_CLEAN;
    if (row->writer_epoch < epoch)
        row->writer_epoch = epoch;
}

void kfl__floor_tell(struct kfl__slot *slot, int64_t floor)
{
    if (floor <= atomic_load(&slot->offset_floor))
        return;
    atomic_store(&slot->offset_floor, floor);
    atomic_store(&slot->floor_raised_at, atomic_load(&slot->end_offset));
}

struct floor_raise {
    struct kfl__partition *partition;
    int64_t floor;
};

static int floor_put(struct kfl__catalog_txn *txn, void *context)
{
    struct floor_raise *raise = context;
    struct kfl__partition *partition = raise->partition;
    struct kfl__partition_row row;
    int r = kfl__partition_get(txn, partition->topic->id, partition->number, &row);
    if (r < 0)
        return r;
    kfl__floor_put(partition, &row, &raise->floor);
    return kfl__partition_put(txn, partition->topic->id, partition->number, &row);
}

int kfl__partition_raise_floor(struct kfl__partition *partition, int64_t least)
{
    struct kfl__slot *slot = partition->slot;
    struct floor_raise raise = {partition, kfl__floor_next(slot, least)};
    int r = kfl__catalog_change_run(partition->core->catalog, floor_put, &raise);
    if (r < 0)
        return r;
    KFL_STEP("floor.raised");
    r = kfl__partition_lock(partition, -1);
    if (r < 0)
        return r;
    kfl__floor_tell(slot, raise.floor);
    kfl__partition_unlock(partition);
    return 0;
}
