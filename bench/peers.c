/* SPDX-License-Identifier: MIT */
/* Which peers this build knows. */
#include "peers.h"

const struct bench_peer *const bench_peers[] = {
#ifdef BENCH_HAVE_LMDB
    &bench_peer_lmdb,
#endif
#ifdef BENCH_HAVE_SQLITE
    &bench_peer_sqlite,
#endif
#ifdef BENCH_HAVE_LEVELDB
    &bench_peer_leveldb,
#endif
#ifdef BENCH_HAVE_ROCKSDB
    &bench_peer_rocksdb,
#endif
    NULL,
};

uint64_t bench_peer_scatter;
