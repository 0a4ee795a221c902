/* SPDX-License-Identifier: MIT */
/*
 * XXH3 of libxxhash: inlined where the bytes are few, since the call then costs as much as the hash; by
 * the processor's widest vectors, where the library chooses them at run time, when they are many.
 */
#include "base/hash.h"

#include "base/check.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

/* Up to here XXH3 does without long vectors. */
#define HASH_FEW 240

#ifdef KFL_HAVE_XXH_DISPATCH
/* As xxh_x86dispatch.h declares them; that header cannot be had beside the inlined functions. */
extern XXH64_hash_t XXH3_64bits_dispatch(const void *bytes, size_t size);
extern XXH64_hash_t XXH3_64bits_withSeed_dispatch(const void *bytes, size_t size,
                                                  XXH64_hash_t seed);
#define hash_many XXH3_64bits_dispatch
#define hash_many_seeded XXH3_64bits_withSeed_dispatch
#else
#define hash_many XXH3_64bits
#define hash_many_seeded XXH3_64bits_withSeed
#endif

/*
 * The library's long hashes leave the upper halves of the vector registers in use, after which code
 * for older processors, such as ours and our caller's, runs into a stall of the processor: 190 ns on
 * Sapphire Rapids, five times the hash of a kilobyte.
 */
static inline uint64_t hash_tidied(uint64_t hash)
{
#if defined(KFL_HAVE_XXH_DISPATCH) && defined(__x86_64__)
    if (__builtin_cpu_supports("avx"))
        __asm__ volatile("vzeroupper" ::
                             : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
                               "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
                               "xmm15");
#endif
    return hash;
}

KFL_INLINE_WHERE_SEEN uint64_t kfl__hash64(const void *bytes, size_t size)
{
    return size <= HASH_FEW ? XXH3_64bits(bytes, size) : hash_tidied(hash_many(bytes, size));
}

uint64_t kfl__hash64_seeded(const void *bytes, size_t size, uint64_t seed)
{
    return size <= HASH_FEW ? XXH3_64bits_withSeed(bytes, size, seed)
                            : hash_tidied(hash_many_seeded(bytes, size, seed));
}

KFL_INLINE_WHERE_SEEN __attribute__((flatten)) uint64_t
kfl__hash64_of_56(const void *bytes, uint64_t seed)
{
    return XXH3_64bits_withSeed(bytes, 56, seed);
}

struct kfl__digest kfl__digest128(const void *bytes, size_t size)
{
    XXH128_hash_t digest = XXH3_128bits(bytes, size);
    return (struct kfl__digest){.low = digest.low64, .high = digest.high64};
}
