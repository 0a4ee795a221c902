/* SPDX-License-Identifier: MIT */
/*
 * Where the newest record of each key is, in bounded memory: 16 bytes a slot, 20 to 25 a key. A key is known by a digest
 * of 64 bits alone, which may only suggest that two keys are one: who acts on it compares the keys.
 */
#ifndef KFL_ENGINE_OFFSET_MAP_H
#define KFL_ENGINE_OFFSET_MAP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"

struct kfl__offset_map_slot {
    uint64_t digest;
    uint64_t locator; /* 0: empty */
};

#define KFL_OFFSET_MAP_SHARDS 256
#define KFL_OFFSET_MAP_LEAST                                                                       \
    (KFL_OFFSET_MAP_SHARDS * 16 * (int64_t)sizeof(struct kfl__offset_map_slot))

struct kfl__offset_map {
    int64_t most_bytes, bytes;
    int64_t count;
    struct kfl__offset_map_shard {
        struct kfl__offset_map_slot *slots;
        uint32_t capacity, count;
    } shards[KFL_OFFSET_MAP_SHARDS];
};

/* At most `most_bytes` of slots, at least KFL_OFFSET_MAP_LEAST. Give back with _clear, which takes a zeroed one. */
int kfl__offset_map_init(struct kfl__offset_map *map, int64_t most_bytes);
void kfl__offset_map_clear(struct kfl__offset_map *map);

/* Where the search for a digest begins. */
static inline struct kfl__offset_map_slot *kfl__offset_map_slot(const struct kfl__offset_map *map,
                                                                uint64_t digest)
{
    const struct kfl__offset_map_shard *shard = &map->shards[digest >> 56];
    uint64_t at = (uint64_t)(((unsigned __int128)(digest << 8) * shard->capacity) >> 64);
    return &shard->slots[at];
}

/* The slot of the digest, or the empty one where it belongs. */
static inline struct kfl__offset_map_slot *kfl__offset_map_find(const struct kfl__offset_map *map,
                                                                uint64_t digest)
{
    const struct kfl__offset_map_shard *shard = &map->shards[digest >> 56];
    struct kfl__offset_map_slot *slot = kfl__offset_map_slot(map, digest);
    while (slot->locator != 0 && slot->digest != digest) {
        if (++slot == shard->slots + shard->capacity)
            slot = shard->slots;
    }
    return slot;
}

/* Its slot will be asked for soon. */
static inline void kfl__offset_map_prefetch(const struct kfl__offset_map *map, uint64_t digest)
{
    __builtin_prefetch(kfl__offset_map_slot(map, digest));
}

/* 0: there is none. */
static inline uint64_t kfl__offset_map_get(const struct kfl__offset_map *map, uint64_t digest)
{
    return kfl__offset_map_find(map, digest)->locator;
}

#define KFL_OFFSET_MAP_FULL 1
/* A digest that the map does not have yet. 0, KFL_OFFSET_MAP_FULL (nothing has changed), KFL_E_NOMEM. */
int kfl__offset_map_add(struct kfl__offset_map *map, uint64_t digest, uint64_t locator);

/*
 * The locator (not 0) of a newer record takes the place of an older one's, which *out_before tells; 0: there was
 * none. Results as above.
 */
static inline int kfl__offset_map_put(struct kfl__offset_map *map, uint64_t digest,
                                      uint64_t locator, uint64_t *out_before)
{
    struct kfl__offset_map_slot *slot = kfl__offset_map_find(map, digest);
    *out_before = slot->locator;
    if (KFL_UNLIKELY(slot->locator == 0))
        return kfl__offset_map_add(map, digest, locator);
    slot->locator = locator;
    return 0;
}

/*
 * From now on it is a list of its locators and cannot be asked for digests any more, nor take any: shard after shard the
 * first `count` words at `slots` are locators, in rising order. Takes no memory.
 */
void kfl__offset_map_list(struct kfl__offset_map *map);

static inline const uint64_t *kfl__offset_map_listed(const struct kfl__offset_map_shard *shard)
{
    return (const uint64_t *)(const void *)shard->slots;
}

#endif
