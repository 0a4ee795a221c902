/* SPDX-License-Identifier: MIT */
/*
 * The newest record of each key.
 *
 * Open addressing, in one table that grows by a quarter. A slot's place rises with its digest, so it is moved into the larger
 * table from front to back, and what was moved is given back behind it: at its peak the whole takes hardly more than
 * the larger table.
 */
#include "engine/offset_map.h"

#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "base/map.h"

#define MAP_LARGE_PAGE ((size_t)2 << 20)
/* From here on a table is in large pages: a smaller one would waste too much of them, and is found nearly as fast without. */
#define MAP_LARGE ((size_t)16 << 20)

static int map_begin(struct kfl__offset_map *map, uint64_t capacity)
{
    size_t size = capacity * sizeof *map->slots;
    map->slots = kfl__map_memory(size, size >= MAP_LARGE);
    if (map->slots == NULL)
        return kfl__fail(KFL_E_NOMEM, "a map of %lld keys: out of memory", (long long)map->count);
    map->capacity = capacity;
    map->bytes = (int64_t)size;
    return 0;
}

int kfl__offset_map_init(struct kfl__offset_map *map, int64_t most_bytes)
{
    *map = (struct kfl__offset_map){
        .most_bytes = most_bytes < KFL_OFFSET_MAP_LEAST ? KFL_OFFSET_MAP_LEAST : most_bytes};
    return map_begin(map, KFL_OFFSET_MAP_LEAST / sizeof *map->slots);
}

void kfl__offset_map_clear(struct kfl__offset_map *map)
{
    kfl__map_close(map->slots, map->capacity * sizeof *map->slots);
    *map = (struct kfl__offset_map){0};
}

/* What was moved is given back step by step. */
static void map_move(struct kfl__offset_map *map, struct kfl__offset_map_slot *from, uint64_t count)
{
    size_t size = count * sizeof *from, most = size >= MAP_LARGE ? MAP_LARGE_PAGE : MAP_LARGE_PAGE / 16;
    char *bytes = (char *)from;
    for (size_t done = 0; done < size; done += most) {
        size_t step = size - done < most ? size - done : most;
        struct kfl__offset_map_slot *at = (void *)(bytes + done), *end = at + step / sizeof *at;
        for (; at < end; at++)
            if (at->locator != 0)
                *kfl__offset_map_find(map, at->digest) = *at;
        kfl__map_let_go(bytes + done, step);
    }
    kfl__map_close(from, size);
}

static int map_grow(struct kfl__offset_map *map)
{
    struct kfl__offset_map old = *map;
    uint64_t most = (uint64_t)map->most_bytes / sizeof *map->slots;
    uint64_t capacity = old.capacity + old.capacity / 4;
    capacity = capacity < most ? capacity : most;
    capacity -= capacity % (capacity * sizeof *map->slots >= MAP_LARGE ? MAP_LARGE_PAGE / sizeof *map->slots : KFL_OFFSET_MAP_PARTS);
    if (capacity < old.capacity + old.capacity / 64)
        return KFL_OFFSET_MAP_FULL;
    int r = map_begin(map, capacity);
    if (r < 0)
        *map = old;
    else
        map_move(map, old.slots, old.capacity);
    return r;
}

int kfl__offset_map_add(struct kfl__offset_map *map, uint64_t digest, uint64_t locator)
{
    assert(locator != 0);
    if (((uint64_t)map->count + 1) * 5 > map->capacity * 4) {
        int r = map_grow(map);
        if (r != 0)
            return r;
    }
    struct kfl__offset_map_slot *slot = kfl__offset_map_find(map, digest);
    assert(slot->locator == 0);
    *slot = (struct kfl__offset_map_slot){digest, locator};
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

/* The locators move to the front half of their slots; the back half is what sorting needs beside. Answers how many. */
static uint32_t list_part(struct kfl__offset_map_slot *slots, uint64_t slot_count)
{
    uint64_t *words = (uint64_t *)(void *)slots, *other = words + slot_count;
    uint32_t count = 0;
    for (uint64_t i = 0; i < slot_count; i++) {
        uint64_t locator = slots[i].locator;
        if (locator != 0)
            words[count++] = locator;
    }
    if (count <= 64) {
        list_sort_few(words, count);
        return count;
    }
    uint64_t *from = words;
    for (int byte = 0; byte < LIST_BYTES; byte++)
        if (list_sort_by(from, from == words ? other : words, count, byte))
            from = from == words ? other : words;
    if (from != words)
        memcpy(words, from, count * sizeof *words);
    return count;
}

void kfl__offset_map_list(struct kfl__offset_map *map)
{
    uint64_t slot_count = map->capacity / KFL_OFFSET_MAP_PARTS;
    for (int i = 0; i < KFL_OFFSET_MAP_PARTS; i++)
        map->listed[i] = list_part(map->slots + slot_count * (uint64_t)i, slot_count);
}
