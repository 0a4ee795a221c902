/* SPDX-License-Identifier: MIT */
/*
 * Other embedded stores, made to do a log's work: the key is the record's number, the value its
 * value. Each is set up as its own documents advise for the purpose; what is not on the machine at
 * build time is not in the list.
 */
#ifndef KFL_BENCH_PEERS_H
#define KFL_BENCH_PEERS_H

#include "bench.h"

struct bench_peer {
    const char *name;
    /* A new or existing store in `directory`. durable: a commit survives power loss; else the death
     * of the process. */
    void *(*open)(const char *directory, bool durable);
    void (*close)(void *store); /* takes NULL */
    /* What one thread works with, from enter to leave. */
    void *(*enter)(void *store);
    void (*leave)(void *session);
    /* Records first .. first + count - 1, in one commit. */
    void (*append)(void *session, uint64_t first, size_t count, const struct bench_source *source);
    /* Visits all records in order, each value handed to `visit`. Returns how many there were. */
    uint64_t (*scan)(void *session, void (*visit)(const void *value, size_t size));
    /* The value of one record; its first 8 bytes are returned. */
    uint64_t (*get)(void *session, uint64_t number);
    /* All of it, now; NULL: nothing of the kind. */
    void (*compact)(void *store);
};

/* NULL behind the last. */
extern const struct bench_peer *const bench_peers[];

extern const struct bench_peer bench_peer_lmdb;
extern const struct bench_peer bench_peer_sqlite;
extern const struct bench_peer bench_peer_rocksdb;
extern const struct bench_peer bench_peer_leveldb;

/* Not 0: the numbers below it have keys that are scattered over all of them, one each. */
extern uint64_t bench_peer_scatter;

/* The key of a number: big-endian, so that stores which sort bytes keep the order. */
static inline uint64_t bench_peer_key(uint64_t number)
{
    if (bench_peer_scatter != 0) /* the factor is prime */
        number = number * UINT64_C(2654435761) % bench_peer_scatter;
    return __builtin_bswap64(number);
}

#endif
