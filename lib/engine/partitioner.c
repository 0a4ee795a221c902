/* SPDX-License-Identifier: MIT */
/*
 * The choice for records without a key.
 *
 * Spreading them one by one would make every batch small; so one partition is in favour until it
 * was given about a batch, and then another one is drawn. The draw leaves out the old favourite and
 * is even among the others, so that no partition is starved whatever the number of producers.
 */
#include "engine/partitioner.h"

void kfl__partitioner_init(struct kfl__partitioner *partitioner,
                           const struct kfl__settings *settings, uint64_t seed)
{
    *partitioner = (struct kfl__partitioner){
        .batch_size = settings->batch_size,
        .hash = settings->partitioner,
        .ignore_keys = settings->partitioner_ignore_keys != 0,
        .favourite = -1,
        .random = seed,
    };
}

/* An even draw below `limit`: splitmix64, whose state may be any seed, scaled by a product. */
static int32_t partitioner_draw(struct kfl__partitioner *partitioner, int32_t limit)
{
    uint64_t mixed = partitioner->random += UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    mixed ^= mixed >> 31;
    return (int32_t)((mixed >> 32) * (uint64_t)limit >> 32);
}

int32_t kfl__partitioner_pick_any(struct kfl__partitioner *partitioner, size_t record_size,
                                  int32_t partition_count)
{
    assert(partition_count > 0);
    int32_t favourite = partitioner->favourite;
    /* A topic made anew under the same name may have fewer partitions than the one before. */
    if (favourite < 0 || favourite >= partition_count) {
        favourite = partitioner_draw(partitioner, partition_count);
        partitioner->given_bytes = 0;
    } else if (partitioner->given_bytes >= partitioner->batch_size) {
        if (partition_count > 1) {
            int32_t other = partitioner_draw(partitioner, partition_count - 1);
            favourite = other < favourite ? other : other + 1;
        }
        partitioner->given_bytes = 0;
    }
    partitioner->favourite = favourite;
    partitioner->given_bytes += (int64_t)record_size;
    return favourite;
}
