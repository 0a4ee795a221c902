/* SPDX-License-Identifier: MIT */
#include "engine/sieve_keys.h"

#include "base/memory.h"

/* Room for a key of a compressed batch; the map gets less, since one bound holds for both. */
static int keys_grow(struct kfl__sieve *sieve, uint64_t size)
{
    uint64_t room = sieve->keys_room + sieve->keys_room / 2 + size + 4096;
    int64_t more = (int64_t)(room - sieve->keys_room);
    if (sieve->map.bytes + more > sieve->map.most_bytes && sieve->keys_size > 0)
        return KFL_SIEVE_FULL;
    uint8_t *grown = kfl__realloc(sieve->keys, room);
    if (grown == NULL)
        return kfl__fail(KFL_E_NOMEM, "a list of keys: out of memory");
    sieve->keys = grown;
    sieve->keys_room = room;
    sieve->map.most_bytes -= more;
    return 0;
}

int kfl__sieve_keep_key(struct kfl__sieve *sieve, const struct kfl__batch_key *its, uint64_t digest)
{
    uint64_t locator = kfl__offset_map_get(&sieve->map, digest);
    struct kfl__sieve_key key = {.offset = its->offset, .size = (uint32_t)its->key_size};
    if (locator != 0 && !kfl__sieve_same_key(sieve, its, locator))
        return KFL_SIEVE_COLLIDED;
    if ((locator & KFL_SIEVE_KEPT_KEY) != 0) {
        memcpy(sieve->keys + (locator & ~KFL_SIEVE_KEPT_KEY), &key, sizeof key);
        return 0;
    }
    uint64_t size = kfl__align_up(sizeof key + key.size, 8);
    int r = sieve->keys_size + size > sieve->keys_room ? keys_grow(sieve, size) : 0;
    if (r != 0)
        return r;
    r = kfl__offset_map_put(&sieve->map, digest, KFL_SIEVE_KEPT_KEY | sieve->keys_size, &locator);
    if (r != 0)
        return r == KFL_OFFSET_MAP_FULL ? KFL_SIEVE_FULL : r;
    memcpy(sieve->keys + sieve->keys_size, &key, sizeof key);
    memcpy(sieve->keys + sieve->keys_size + sizeof key, its->key, key.size);
    sieve->keys_size += size;
    return 0;
}
