/* SPDX-License-Identifier: MIT */
/* The locators of a listed offset map, all shards together, in rising order: what of the dirty part is the newest of its key. */
#ifndef KFL_ENGINE_SURVIVORS_H
#define KFL_ENGINE_SURVIVORS_H

#include <stdint.h>

#include "engine/offset_map.h"

#define KFL_SURVIVORS_WINDOW (UINT64_C(256) << 10)

struct kfl__survivors {
    uint64_t next; /* the locator that comes; UINT64_MAX: none does */
    const struct kfl__offset_map *map;
    uint64_t from; /* of the window; a multiple of its size */
    uint32_t word; /* of the window's bits, the first that may have one set */
    uint32_t taken[KFL_OFFSET_MAP_SHARDS]; /* of each shard */
    uint64_t bits[KFL_SURVIVORS_WINDOW / 64];
};

/* Of a map that stays listed as long. Owned: kfl__free. NULL: no memory. */
struct kfl__survivors *kfl__survivors_create(const struct kfl__offset_map *map);
/* Goes on to the next one. */
void kfl__survivors_advance(struct kfl__survivors *survivors);

#endif
