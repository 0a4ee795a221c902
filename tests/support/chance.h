/* SPDX-License-Identifier: MIT */
/*
 * Repeatable chance: numbers that follow from a seed, which is printed and can be given back by
 * KAFKALITE_TEST_SEED=number.
 */
#ifndef KFL_TESTS_CHANCE_H
#define KFL_TESTS_CHANCE_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct chance {
    uint64_t state;
};

static inline struct chance chance_begin(const char *test)
{
    const char *given = getenv("KAFKALITE_TEST_SEED");
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t seed = given != NULL ? strtoull(given, NULL, 0)
                                  : (uint64_t)now.tv_nsec * 4294967296u + (uint64_t)now.tv_sec;
    fprintf(stderr, "%s: KAFKALITE_TEST_SEED=%" PRIu64 "\n", test, seed);
    return (struct chance){seed};
}

/* splitmix64 */
static inline uint64_t chance_next(struct chance *chance)
{
    uint64_t z = chance->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* 0 .. below - 1 */
static inline uint64_t chance_below(struct chance *chance, uint64_t below)
{
    return chance_next(chance) % below;
}

static inline void chance_fill(struct chance *chance, void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((uint8_t *)bytes)[i] = (uint8_t)chance_next(chance);
}

#endif
