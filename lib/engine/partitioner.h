/* SPDX-License-Identifier: MIT */
/*
 * Which partition a record goes to: by request, by its key, or by the partition in favour now.
 * Pure: no clock, no I/O, no lock; the same seed gives the same choices.
 */
#ifndef KFL_ENGINE_PARTITIONER_H
#define KFL_ENGINE_PARTITIONER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/hash.h"
#include "config/properties.h"

/* One per producer and topic, guarded by whatever guards the producer. */
struct kfl__partitioner {
    /* constant after init */
    int64_t batch_size;
    int32_t hash; /* KFL_PARTITIONER_… */
    bool ignore_keys;
    /* the choice for records without a key */
    int32_t favourite;   /* -1: none yet */
    int64_t given_bytes; /* to the favourite so far */
    uint64_t random;
};

/* partitioner, partitioner.ignore.keys and batch.size of a producer. seed: kfl__random64(). */
void kfl__partitioner_init(struct kfl__partitioner *partitioner,
                           const struct kfl__settings *settings, uint64_t seed);

/*
 * The partition for a record that counts record_size bytes and brings no key: the favourite, until
 * it was given batch.size bytes; then any other one, all equally likely. Counts the record.
 */
int32_t kfl__partitioner_pick_any(struct kfl__partitioner *partitioner, size_t record_size,
                                  int32_t partition_count);

/* Kafka's murmur2 (Java: Utils.murmur2), which says where the keys of its producers are. */
static inline uint32_t kfl__partitioner_murmur2(const void *bytes, size_t size)
{
    const uint32_t factor = 0x5bd1e995u;
    const unsigned char *at = bytes;
    const unsigned char *end = at + (size & ~(size_t)3);
    uint32_t hash = 0x9747b28cu ^ (uint32_t)size;

    for (; at != end; at += 4) {
        uint32_t word = kfl__load32(at) * factor;
        word = (word ^ word >> 24) * factor;
        hash = hash * factor ^ word;
    }
    if ((size & 3) != 0) {
        uint32_t rest = at[0];
        if ((size & 3) > 1)
            rest |= (uint32_t)at[1] << 8;
        if ((size & 3) > 2)
            rest |= (uint32_t)at[2] << 16;
        hash = (hash ^ rest) * factor;
    }
    hash = (hash ^ hash >> 13) * factor;
    return hash ^ hash >> 15;
}

/* The partition of a key, hashed by KFL_PARTITIONER_…. An empty key is a key; key is not NULL. */
static inline int32_t kfl__partitioner_pick_by_key(int32_t hash, const void *key, size_t key_size,
                                                   int32_t partition_count)
{
    assert(key != NULL && partition_count > 0);
    if (partition_count == 1)
        return 0;
    uint32_t number = hash == KFL_PARTITIONER_MURMUR2 ? kfl__partitioner_murmur2(key, key_size)
                                                      : (uint32_t)kfl__hash64(key, key_size);
    return (int32_t)((number & 0x7fffffffu) % (uint32_t)partition_count);
}

/*
 * The partition for one record.
 *
 *   partition        the caller's request, below partition_count, or KFL_PARTITION_ANY
 *   key              NULL: missing
 *   record_size      what the record counts towards batch.size
 *   partition_count  how many the topic has now; it may have grown since the last pick
 */
static inline int32_t kfl__partitioner_pick(struct kfl__partitioner *partitioner, int32_t partition,
                                            const void *key, size_t key_size, size_t record_size,
                                            int32_t partition_count)
{
    assert(partition < partition_count);
    if (partition >= 0)
        return partition;
    if (key != NULL && !partitioner->ignore_keys)
        return kfl__partitioner_pick_by_key(partitioner->hash, key, key_size, partition_count);
    return kfl__partitioner_pick_any(partitioner, record_size, partition_count);
}

#endif
