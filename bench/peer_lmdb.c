/* SPDX-License-Identifier: MIT */
/*
 * LMDB. Without durability: a writable map and no sync, its fastest setting; with it: its default.
 * Numbers are appended in order where one thread writes, so that pages fill.
 */
#include "peers.h"

#include <lmdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct peer_lmdb {
    MDB_env *env;
    MDB_dbi dbi;
    MDB_txn *reading; /* of a session; NULL until it reads */
    bool ordered;
};

static void lmdb_check(int r, const char *call)
{
    if (r != MDB_SUCCESS)
        bench_die("lmdb: %s: %s", call, mdb_strerror(r));
}

static void *peer_lmdb_open(const char *directory, bool durable)
{
    struct peer_lmdb *store = calloc(1, sizeof *store);
    MDB_txn *txn;
    if (store == NULL)
        bench_die("out of memory");
    mkdir(directory, 0700);
    store->ordered = !durable;
    lmdb_check(mdb_env_create(&store->env), "env_create");
    lmdb_check(mdb_env_set_mapsize(store->env, (size_t)32 << 30), "set_mapsize");
    lmdb_check(mdb_env_open(store->env, directory,
                            durable ? MDB_NOTLS : MDB_NOTLS | MDB_WRITEMAP | MDB_NOSYNC, 0600),
               "env_open");
    lmdb_check(mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn), "txn_begin");
    lmdb_check(mdb_dbi_open(txn, NULL, 0, &store->dbi), "dbi_open");
    lmdb_check(mdb_txn_commit(txn), "txn_commit");
    return store;
}

static void peer_lmdb_close(void *opaque)
{
    struct peer_lmdb *store = opaque;
    if (store == NULL)
        return;
    mdb_env_close(store->env);
    free(store);
}

static void *peer_lmdb_enter(void *opaque)
{
    struct peer_lmdb *session = malloc(sizeof *session);
    if (session == NULL)
        bench_die("out of memory");
    memcpy(session, opaque, sizeof *session);
    session->reading = NULL;
    return session;
}

static void peer_lmdb_leave(void *opaque)
{
    struct peer_lmdb *session = opaque;
    if (session->reading != NULL)
        mdb_txn_abort(session->reading);
    free(session);
}

static void peer_lmdb_append(void *opaque, uint64_t first, size_t count,
                             const struct bench_source *source)
{
    struct peer_lmdb *session = opaque;
    MDB_txn *txn;
    lmdb_check(mdb_txn_begin(session->env, NULL, 0, &txn), "txn_begin");
    for (size_t i = 0; i < count; i++) {
        uint64_t number = bench_peer_key(first + i);
        char *record = (char *)(uintptr_t)bench_source_record(source, first + i);
        MDB_val key = {sizeof number, &number};
        MDB_val value = {source->value_size, record + BENCH_KEY_SIZE};
        lmdb_check(mdb_put(txn, session->dbi, &key, &value, session->ordered ? MDB_APPEND : 0),
                   "put");
    }
    lmdb_check(mdb_txn_commit(txn), "txn_commit");
}

static uint64_t peer_lmdb_scan(void *opaque, void (*visit)(const void *value, size_t size))
{
    struct peer_lmdb *session = opaque;
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_val key, value;
    uint64_t count = 0;
    lmdb_check(mdb_txn_begin(session->env, NULL, MDB_RDONLY, &txn), "txn_begin");
    lmdb_check(mdb_cursor_open(txn, session->dbi, &cursor), "cursor_open");
    while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == MDB_SUCCESS) {
        visit(value.mv_data, value.mv_size);
        count++;
    }
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    return count;
}

static uint64_t peer_lmdb_get(void *opaque, uint64_t number)
{
    struct peer_lmdb *session = opaque;
    uint64_t bytes = bench_peer_key(number), first;
    MDB_val key = {sizeof bytes, &bytes}, value;
    if (session->reading == NULL)
        lmdb_check(mdb_txn_begin(session->env, NULL, MDB_RDONLY, &session->reading), "txn_begin");
    lmdb_check(mdb_get(session->reading, session->dbi, &key, &value), "get");
    memcpy(&first, value.mv_data, sizeof first);
    return first;
}

const struct bench_peer bench_peer_lmdb = {
    "LMDB",          peer_lmdb_open,   peer_lmdb_close, peer_lmdb_enter,
    peer_lmdb_leave, peer_lmdb_append, peer_lmdb_scan,  peer_lmdb_get,
};
