/* SPDX-License-Identifier: MIT */
/*
 * The newest record of each key.
 *
 * Open addressing, in 256 tables that grow on their own by a quarter, so that growing costs a moment and hardly
 * any memory: at its peak the whole is larger by one of them only. A slot's place rises with its digest, so a
 * table is moved into a larger one from front to back.
 */
#include "engine/offset_map.h"

#include "base/check.h"
#include "base/error.h"
#include "base/memory.h"

#define MAP_FIRST_CAPACITY 16u

int kfl__offset_map_init(struct kfl__offset_map *map, int64_t most_bytes)
{
    *map = (struct kfl__offset_map){
        .most_bytes = most_bytes < KFL_OFFSET_MAP_LEAST ? KFL_OFFSET_MAP_LEAST : most_bytes};
    for (int i = 0; i < KFL_OFFSET_MAP_SHARDS; i++) {
        struct kfl__offset_map_shard *shard = &map->shards[i];
        shard->slots = kfl__alloc_array(MAP_FIRST_CAPACITY, sizeof *shard->slots);
        if (shard->slots == NULL) {
            kfl__offset_map_clear(map);
            return kfl__fail(KFL_E_NOMEM, "a map of keys: out of memory");
        }
        shard->capacity = MAP_FIRST_CAPACITY;
        map->bytes += (int64_t)(MAP_FIRST_CAPACITY * sizeof *shard->slots);
    }
    return 0;
}

void kfl__offset_map_clear(struct kfl__offset_map *map)
{
    for (int i = 0; i < KFL_OFFSET_MAP_SHARDS; i++)
        kfl__free(map->shards[i].slots);
    *map = (struct kfl__offset_map){0};
}

/* The slot of the digest, or the empty one where it belongs. */
static struct kfl__offset_map_slot *map_find(struct kfl__offset_map *map, uint64_t digest)
{
    struct kfl__offset_map_shard *shard = &map->shards[digest >> 56];
    struct kfl__offset_map_slot *slot = kfl__offset_map_slot(map, digest);
    struct kfl__offset_map_slot *end = shard->slots + shard->capacity;
    while (slot->locator != 0 && slot->digest != digest) {
        if (++slot == end)
            slot = shard->slots;
    }
    return slot;
}

static int map_grow(struct kfl__offset_map *map, struct kfl__offset_map_shard *shard)
{
    struct kfl__offset_map_shard old = *shard;
    uint32_t capacity = old.capacity + old.capacity / 4 + 8;
    int64_t more = (int64_t)(capacity - old.capacity) * (int64_t)sizeof *old.slots;
    if (map->bytes + more > map->most_bytes)
        return KFL_OFFSET_MAP_FULL;
    struct kfl__offset_map_slot *slots = kfl__alloc_array(capacity, sizeof *slots);
    if (slots == NULL)
        return kfl__fail(KFL_E_NOMEM, "a map of %lld keys: out of memory", (long long)map->count);
    shard->slots = slots;
    shard->capacity = capacity;
    for (uint32_t i = 0; i < old.capacity; i++)
        if (old.slots[i].locator != 0)
            *map_find(map, old.slots[i].digest) = old.slots[i];
    kfl__free(old.slots);
    map->bytes += more;
    return 0;
}

int kfl__offset_map_put(struct kfl__offset_map *map, uint64_t digest, uint64_t locator)
{
    struct kfl__offset_map_shard *shard = &map->shards[digest >> 56];
    struct kfl__offset_map_slot *slot = map_find(map, digest);
    assert(locator != 0);
    if (KFL_UNLIKELY(slot->locator == 0)) {
        if ((shard->count + 1) * UINT64_C(5) > shard->capacity * UINT64_C(4)) {
            int r = map_grow(map, shard);
            if (r != 0)
                return r;
            slot = map_find(map, digest);
        }
        shard->count++;
        map->count++;
        slot->digest = digest;
    }
    slot->locator = locator;
    return 0;
}

uint64_t kfl__offset_map_get(struct kfl__offset_map *map, uint64_t digest)
{
    return map_find(map, digest)->locator;
}
