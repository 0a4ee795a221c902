/* SPDX-License-Identifier: MIT */
/*
 * XXH3 of libxxhash: inlined where the bytes are few, since the call then costs as much as the hash; by
 * the processor's widest vectors, where the library chooses them at run time, when they are many.
 */
#include "base/hash.h"

#include "base/bytes.h"
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

/*
 * XXH3's step over 16 bytes, and its end. One step behind the other, and in two registers: a compiler that is free to begin with
 * all products keeps them in memory.
 */
static inline __attribute__((always_inline)) uint64_t hash_step(uint64_t hash, uint64_t low, uint64_t high)
{
#if defined(__x86_64__)
    __asm__("mulq %1" : "+a"(low), "+d"(high) : : "cc");
#else
    __extension__ unsigned __int128 product = (unsigned __int128)low * high;
    low = (uint64_t)product;
    high = (uint64_t)(product >> 64);
#endif
    hash += low ^ high;
    __asm__("" : "+r"(hash));
    return hash;
}

static inline __attribute__((always_inline)) uint64_t hash_finish(uint64_t hash)
{
    hash = (hash ^ hash >> 37) * 0x165667919e3779f9u;
    return hash ^ hash >> 32;
}

KFL_INLINE_WHERE_SEEN __attribute__((flatten)) uint64_t
kfl__hash64_of_56(const void *bytes, uint64_t seed)
{
    return XXH3_64bits_withSeed(bytes, 56, seed);
}

KFL_INLINE_WHERE_SEEN uint64_t kfl__hash64_of_words(const uint64_t words[7], uint64_t seed)
{
    uint64_t hash = 56 * 0x9e3779b185ebca87u;
    hash = hash_step(hash, words[2] ^ (0x78e5c0cc4ee679cbu + seed), words[3] ^ (0x2172ffcc7dd05a82u - seed));
    hash = hash_step(hash, words[3] ^ (0x8e2443f7744608b8u + seed), words[4] ^ (0x4c263a81e69035e0u - seed));
    hash = hash_step(hash, words[0] ^ (0xbe4ba423396cfeb8u + seed), words[1] ^ (0x1cad21f72c81017cu - seed));
    hash = hash_step(hash, words[5] ^ (0xdb979083e96dd4deu + seed), words[6] ^ (0x1f67b3b7a4a44072u - seed));
    return hash_finish(hash);
}

static inline __attribute__((always_inline)) uint64_t hash_step_at(uint64_t hash, const uint8_t *at, uint64_t secret_low, uint64_t secret_high)
{
    return hash_step(hash, kfl__load64(at) ^ secret_low, kfl__load64(at + 8) ^ secret_high);
}

KFL_INLINE_WHERE_SEEN uint64_t kfl__hash64_split(const uint64_t words[4], const uint8_t *rest, size_t size)
{
    const uint8_t *end = rest + (size - 4 * sizeof(uint64_t));
    uint64_t hash = size * 0x9e3779b185ebca87u;
    assert(size >= KFL_HASH_SPLIT_LEAST && size <= KFL_HASH_SPLIT_MOST);
    if (KFL_LIKELY(size > 96)) {
        hash = hash_step_at(hash, rest + 16, 0x3f349ce33f76faa8u, 0x1d4f0bc7c7bbdcf9u);
        hash = hash_step_at(hash, end - 64, 0x3159b4cd4be0518au, 0x647378d9c97e9fc8u);
    }
    hash = hash_step_at(hash, rest, 0xcb00c391bb52283cu, 0xa32e531b8b65d088u);
    hash = hash_step_at(hash, end - 48, 0x4ef90da297486471u, 0xd8acdea946ef1938u);
    hash = hash_step(hash, words[2] ^ 0x78e5c0cc4ee679cbu, words[3] ^ 0x2172ffcc7dd05a82u);
    hash = hash_step_at(hash, end - 32, 0x8e2443f7744608b8u, 0x4c263a81e69035e0u);
    hash = hash_step(hash, words[0] ^ 0xbe4ba423396cfeb8u, words[1] ^ 0x1cad21f72c81017cu);
    hash = hash_step_at(hash, end - 16, 0xdb979083e96dd4deu, 0x1f67b3b7a4a44072u);
    return hash_finish(hash);
}

struct kfl__digest kfl__digest128(const void *bytes, size_t size)
{
    XXH128_hash_t digest = XXH3_128bits(bytes, size);
    return (struct kfl__digest){.low = digest.low64, .high = digest.high64};
}
