/* SPDX-License-Identifier: MIT */
/* XXH3, under our own names: the only file that knows which hash it is. */
#ifndef KFL_BASE_HASH_H
#define KFL_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* XXH3 64 bits. Same bytes, same seed, same number on every machine, for ever: it is on disk. */
uint64_t kfl__hash64(const void *bytes, size_t size);
uint64_t kfl__hash64_seeded(const void *bytes, size_t size, uint64_t seed);
/* The latter of 56 bytes, which is what a batch's hash covers: with the size known, half the work. */
uint64_t kfl__hash64_of_56(const void *bytes, uint64_t seed);
/* The same, for who has them in registers, where they stay. */
uint64_t kfl__hash64_of_words(const uint64_t words[7], uint64_t seed);
/*
 * The former of KFL_HASH_SPLIT_LEAST to KFL_HASH_SPLIT_MOST bytes: four words, and the rest, which lies somewhere else; before
 * it lie the bytes before it, as far as 48 bytes before the end.
 */
#define KFL_HASH_SPLIT_LEAST 68u
#define KFL_HASH_SPLIT_MOST 128u
uint64_t kfl__hash64_split(const uint64_t words[4], const uint8_t *rest, size_t size);

/* XXH3 128 bits: may only suggest that two keys are one. */
struct kfl__digest {
    uint64_t low, high;
};
struct kfl__digest kfl__digest128(const void *bytes, size_t size);

#endif
