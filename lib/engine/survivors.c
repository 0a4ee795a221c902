/* SPDX-License-Identifier: MIT */
/*
 * A window of places at a time: each shard's list, which is sorted by itself, sets a bit for each locator in it, and the
 * bits are read in order. That merges 256 lists without comparing them.
 */
#include "engine/survivors.h"

#include <string.h>

#include "base/memory.h"

/* The least locator behind the window; UINT64_MAX: there is none. */
static uint64_t survivors_least(const struct kfl__survivors *survivors)
{
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < KFL_OFFSET_MAP_SHARDS; i++) {
        const struct kfl__offset_map_shard *shard = &survivors->map->shards[i];
        if (survivors->taken[i] == shard->count)
            continue;
        uint64_t locator = kfl__offset_map_listed(shard)[survivors->taken[i]];
        if (locator < least)
            least = locator;
    }
    return least;
}

static void survivors_fill(struct kfl__survivors *survivors)
{
    uint64_t last = survivors->from + (KFL_SURVIVORS_WINDOW - 1);
    for (int i = 0; i < KFL_OFFSET_MAP_SHARDS; i++) {
        const struct kfl__offset_map_shard *shard = &survivors->map->shards[i];
        const uint64_t *listed = kfl__offset_map_listed(shard);
        uint32_t at = survivors->taken[i];
        for (; at < shard->count && listed[at] <= last; at++) {
            uint64_t bit = listed[at] - survivors->from;
            survivors->bits[bit / 64] |= UINT64_C(1) << bit % 64;
        }
        survivors->taken[i] = at;
    }
}

void kfl__survivors_advance(struct kfl__survivors *survivors)
{
    for (;;) {
        for (; survivors->word < KFL_SURVIVORS_WINDOW / 64; survivors->word++) {
            uint64_t *word = &survivors->bits[survivors->word];
            if (*word == 0)
                continue;
            survivors->next =
                survivors->from + survivors->word * 64 + (uint64_t)__builtin_ctzll(*word);
            *word &= *word - 1;
            return;
        }
        survivors->next = survivors_least(survivors);
        if (survivors->next == UINT64_MAX)
            return;
        survivors->from = survivors->next / KFL_SURVIVORS_WINDOW * KFL_SURVIVORS_WINDOW;
        survivors->word = 0;
        survivors_fill(survivors);
    }
}

struct kfl__survivors *kfl__survivors_create(const struct kfl__offset_map *map)
{
    struct kfl__survivors *survivors = kfl__alloc(sizeof *survivors);
    if (survivors == NULL)
        return NULL;
    survivors->map = map;
    survivors->word = KFL_SURVIVORS_WINDOW / 64; /* no window yet */
    kfl__survivors_advance(survivors);
    return survivors;
}
