/* SPDX-License-Identifier: MIT */
/* The keys that the sieve's map leads to: those of records in files, and those kept of compressed batches. */
#ifndef KFL_ENGINE_SIEVE_KEYS_H
#define KFL_ENGINE_SIEVE_KEYS_H

#include <string.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "engine/sieve.h"
#include "format/batch.h"

/*
 * A locator is (input + 1) << 32 | place of the record in that file, or, for a record of a compressed batch, whose
 * bytes are nowhere, KFL_SIEVE_KEPT_KEY | place of a kept key.
 */
#define KFL_SIEVE_KEPT_KEY (UINT64_C(1) << 63)

static inline uint64_t kfl__sieve_locator(int32_t input, uint64_t place)
{
    return (uint64_t)(input + 1) << 32 | place;
}

/* A key of a record in a compressed batch, kept; its bytes follow. */
struct kfl__sieve_key {
    int64_t offset; /* of the newest record that has it */
    uint32_t size;
    uint32_t reserved;
};

static inline struct kfl__sieve_key kfl__sieve_kept_key(const struct kfl__sieve *sieve,
                                                        uint64_t locator)
{
    struct kfl__sieve_key key;
    memcpy(&key, sieve->keys + (locator & ~KFL_SIEVE_KEPT_KEY), sizeof key);
    return key;
}

static inline const uint8_t *kfl__sieve_key_at(const struct kfl__sieve *sieve, uint64_t locator,
                                               size_t *out_size)
{
    if ((locator & KFL_SIEVE_KEPT_KEY) != 0) {
        *out_size = kfl__sieve_kept_key(sieve, locator).size;
        return sieve->keys + (locator & ~KFL_SIEVE_KEPT_KEY) + sizeof(struct kfl__sieve_key);
    }
    return kfl__record_key(sieve->inputs[(locator >> 32) - 1].segment->bytes + (uint32_t)locator,
                           out_size);
}

/* Most keys are as short as that. */
static inline bool kfl__sieve_bytes_equal(const uint8_t *a, const uint8_t *b, size_t size)
{
    if (size >= 8 && size <= 16)
        return ((kfl__load64(a) ^ kfl__load64(b)) |
                (kfl__load64(a + size - 8) ^ kfl__load64(b + size - 8))) == 0;
    return memcmp(a, b, size) == 0;
}

/* Up to this size a digest tells the whole key, among keys of its size. */
#define KFL_SIEVE_WHOLE_KEY 8

/* Another word for each. */
static inline uint64_t kfl__sieve_mix(uint64_t word)
{
    word = (word ^ word >> 32) * UINT64_C(0xff51afd7ed558ccd);
    word = (word ^ word >> 32) * UINT64_C(0xc4ceb9fe1a85ec53);
    return word ^ word >> 29;
}

static inline uint64_t kfl__sieve_digest(const struct kfl__sieve *sieve, const uint8_t *key,
                                         size_t size)
{
    uint64_t word = 0;
#ifdef KFL_FAULT_POINTS
    if (sieve->seed == 0) /* "compact.digest": all keys have one */
        return 0;
#endif
    if (size > KFL_SIEVE_WHOLE_KEY)
        return kfl__hash64_seeded(key, size, sieve->seed);
    if (size == sizeof word)
        word = kfl__load64(key);
    else
        memcpy(&word, key, size);
    /* Keys of two sizes that are padded to one word have nothing in common. */
    return kfl__sieve_mix(word ^ kfl__sieve_mix(sieve->seed + size));
}

/* Are all keys that were learned, and this one, of one size, and so small that a digest is as good as the key? */
static inline bool kfl__sieve_digest_tells(const struct kfl__sieve *sieve,
                                           const struct kfl__batch_key *its)
{
    return (int64_t)its->key_size == sieve->key_size && its->key_size <= KFL_SIEVE_WHOLE_KEY;
}

/* Is it one key that has one digest, here and at the locator? */
static inline bool kfl__sieve_same_key(const struct kfl__sieve *sieve,
                                       const struct kfl__batch_key *its, uint64_t locator)
{
    size_t size;
    if (kfl__sieve_digest_tells(sieve, its))
        return true;
    const uint8_t *key = kfl__sieve_key_at(sieve, locator, &size);
    return size == its->key_size && kfl__sieve_bytes_equal(key, its->key, size);
}

/* The key at the locator will soon be compared with this one. locator 0: there is none. */
static inline void kfl__sieve_prefetch_key(const struct kfl__sieve *sieve,
                                           const struct kfl__batch_key *its, uint64_t locator)
{
    if (locator == 0 || kfl__sieve_digest_tells(sieve, its) || (locator & KFL_SIEVE_KEPT_KEY) != 0)
        return;
    const uint8_t *record = sieve->inputs[(locator >> 32) - 1].segment->bytes + (uint32_t)locator;
    __builtin_prefetch(record);
    __builtin_prefetch(record + sizeof(struct kfl__record_head) + 7); /* it may cross a line */
}

/*
 * The record of a compressed batch is the newest: its key is kept, once. 0, KFL_SIEVE_FULL, KFL_SIEVE_COLLIDED, or an
 * error.
 */
int kfl__sieve_keep_key(struct kfl__sieve *sieve, const struct kfl__batch_key *its,
                        uint64_t digest);

#endif
