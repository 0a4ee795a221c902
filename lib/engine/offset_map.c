/* SPDX-License-Identifier: MIT */
/*
 * The newest record of each key.
 *
 * Open addressing, in 256 tables that grow on their own by a quarter, so that growing costs a moment and hardly
 * any memory: at its peak the whole is larger by one of them only. A slot's place rises with its digest, so a
 * table is moved into a larger one from front to back.
 */
#include "engine/offset_map.h"

#include <string.h>

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
            *kfl__offset_map_find(map, old.slots[i].digest) = old.slots[i];
    kfl__free(old.slots);
    map->bytes += more;
    return 0;
}

int kfl__offset_map_add(struct kfl__offset_map *map, uint64_t digest, uint64_t locator)
{
    struct kfl__offset_map_shard *shard = &map->shards[digest >> 56];
    assert(locator != 0);
    if ((shard->count + 1) * UINT64_C(5) > shard->capacity * UINT64_C(4)) {
        int r = map_grow(map, shard);
        if (r != 0)
            return r;
    }
    struct kfl__offset_map_slot *slot = kfl__offset_map_find(map, digest);
    assert(slot->locator == 0);
    *slot = (struct kfl__offset_map_slot){digest, locator};
    shard->count++;
    map->count++;
    return 0;
}

/* ---- the list ---- */

#define LIST_BYTES 8 /* of a locator: as many rounds at most */

/* Words by one of their bytes, those of equal bytes in the order they are in. false: all have the same, nothing moved. */
static bool list_sort_by(const uint64_t *from, uint64_t *to, uint32_t count, int byte)
{
    uint32_t places[256] = {0}, place = 0;
    for (uint32_t i = 0; i < count; i++)
        places[from[i] >> 8 * byte & 0xff]++;
    if (places[from[0] >> 8 * byte & 0xff] == count)
        return false;
    for (int i = 0; i < 256; i++) {
        uint32_t here = places[i];
        places[i] = place;
        place += here;
    }
    for (uint32_t i = 0; i < count; i++)
        to[places[from[i] >> 8 * byte & 0xff]++] = from[i];
    return true;
}

static void list_sort_few(uint64_t *words, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        uint64_t word = words[i];
        uint32_t to = i;
        for (; to > 0 && words[to - 1] > word; to--)
            words[to] = words[to - 1];
        words[to] = word;
    }
}

/* The locators move to the front half of their slots; the back half is what sorting needs beside. */
static void list_shard(struct kfl__offset_map_shard *shard)
{
    uint64_t *words = (uint64_t *)(void *)shard->slots, *other = words + shard->capacity;
    uint32_t count = 0;
    for (uint32_t i = 0; i < shard->capacity; i++) {
        uint64_t locator = shard->slots[i].locator;
        if (locator != 0)
            words[count++] = locator;
    }
    assert(count == shard->count);
    if (count <= 64) {
        list_sort_few(words, count);
        return;
    }
    uint64_t *from = words;
    for (int byte = 0; byte < LIST_BYTES; byte++)
        if (list_sort_by(from, from == words ? other : words, count, byte))
            from = from == words ? other : words;
    if (from != words)
        memcpy(words, from, count * sizeof *words);
}

void kfl__offset_map_list(struct kfl__offset_map *map)
{
    for (int i = 0; i < KFL_OFFSET_MAP_SHARDS; i++)
        list_shard(&map->shards[i]);
}
