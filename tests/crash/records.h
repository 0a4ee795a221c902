/* SPDX-License-Identifier: MIT */
/*
 * Records that tell what they are: who sent them, as which of its records, and whether the bytes are
 * still those. What a log holds after a crash is judged by them alone.
 */
#ifndef KFL_TESTS_CRASH_RECORDS_H
#define KFL_TESTS_CRASH_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct told {
    uint64_t sequence; /* of this sender, from 1 */
    uint32_t sender;
    uint32_t size; /* of the whole value */
    uint64_t hash;
};

static inline uint64_t told_mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* What byte i of a value is, in words of eight. */
static inline uint64_t told_filler(const struct told *told, size_t word)
{
    return (told->sequence * 0x9e3779b97f4a7c15u) ^ ((uint64_t)told->sender << 48) ^
           (word * 0xff51afd7ed558ccdu);
}

static inline uint64_t told_hash(const struct told *told)
{
    return told_mix(told->sequence ^ told_mix(((uint64_t)told->sender << 32 | told->size) + 1));
}

/* Writes `size` bytes, at least sizeof (struct told). */
static inline void told_write(void *value, uint32_t sender, uint64_t sequence, size_t size)
{
    struct told told = {.sequence = sequence, .sender = sender, .size = (uint32_t)size};
    told.hash = told_hash(&told);
    memcpy(value, &told, sizeof told);
    uint8_t *at = (uint8_t *)value + sizeof told;
    size_t rest = size - sizeof told;
    for (size_t word = 0; rest > 0; word++) {
        uint64_t filler = told_filler(&told, word);
        size_t part = rest < sizeof filler ? rest : sizeof filler;
        memcpy(at, &filler, part);
        at += part;
        rest -= part;
    }
}

static inline bool told_read(const void *value, size_t size, struct told *out_told)
{
    if (size < sizeof *out_told)
        return false;
    memcpy(out_told, value, sizeof *out_told);
    if (out_told->size != size || out_told->hash != told_hash(out_told))
        return false;
    const uint8_t *at = (const uint8_t *)value + sizeof *out_told;
    size_t rest = size - sizeof *out_told;
    for (size_t word = 0; rest > 0; word++) {
        uint64_t filler = told_filler(out_told, word);
        size_t part = rest < sizeof filler ? rest : sizeof filler;
        if (memcmp(at, &filler, part) != 0)
            return false;
        at += part;
        rest -= part;
    }
    return true;
}

#endif
