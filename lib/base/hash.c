/* SPDX-License-Identifier: MIT */
/* XXH3 of libxxhash, by the processor's widest vectors where the library chooses at run time. */
#include "base/hash.h"

#ifdef KFL_HAVE_XXH_DISPATCH
#include <xxh_x86dispatch.h> /* gives the names below their choosing variants */
#else
#include <xxhash.h>
#endif

uint64_t kfl__hash64(const void *bytes, size_t size)
{
    return XXH3_64bits(bytes, size);
}

uint64_t kfl__hash64_seeded(const void *bytes, size_t size, uint64_t seed)
{
    return XXH3_64bits_withSeed(bytes, size, seed);
}

struct kfl__digest kfl__digest128(const void *bytes, size_t size)
{
    XXH128_hash_t digest = XXH3_128bits(bytes, size);
    return (struct kfl__digest){.low = digest.low64, .high = digest.high64};
}
