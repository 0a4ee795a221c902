/* SPDX-License-Identifier: MIT */
/*
 * RocksDB: default options, its write-ahead log always on. One store serves all threads; a thread's
 * session holds its options, its write batch and nothing else.
 */
#include "peers.h"

#include <rocksdb/c.h>
#include <stdlib.h>
#include <string.h>

struct peer_rocksdb {
    rocksdb_t *database;
    bool durable;
};

struct peer_rocksdb_session {
    rocksdb_t *database;
    rocksdb_writeoptions_t *writing;
    rocksdb_readoptions_t *reading;
    rocksdb_writebatch_t *batch;
};

static void rocksdb_check(char *error, const char *call)
{
    if (error != NULL)
        bench_die("rocksdb: %s: %s", call, error);
}

static void *peer_rocksdb_open(const char *directory, bool durable)
{
    struct peer_rocksdb *store = calloc(1, sizeof *store);
    char *error = NULL;
    if (store == NULL)
        bench_die("out of memory");
    rocksdb_options_t *options = rocksdb_options_create();
    rocksdb_options_set_create_if_missing(options, 1);
    store->durable = durable;
    store->database = rocksdb_open(options, directory, &error);
    rocksdb_check(error, "open");
    rocksdb_options_destroy(options);
    return store;
}

static void peer_rocksdb_close(void *opaque)
{
    struct peer_rocksdb *store = opaque;
    if (store == NULL)
        return;
    rocksdb_close(store->database);
    free(store);
}

static void *peer_rocksdb_enter(void *opaque)
{
    struct peer_rocksdb *store = opaque;
    struct peer_rocksdb_session *session = calloc(1, sizeof *session);
    if (session == NULL)
        bench_die("out of memory");
    session->database = store->database;
    session->writing = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(session->writing, store->durable ? 1 : 0);
    session->reading = rocksdb_readoptions_create();
    session->batch = rocksdb_writebatch_create();
    return session;
}

static void peer_rocksdb_leave(void *opaque)
{
    struct peer_rocksdb_session *session = opaque;
    rocksdb_writeoptions_destroy(session->writing);
    rocksdb_readoptions_destroy(session->reading);
    rocksdb_writebatch_destroy(session->batch);
    free(session);
}

static void peer_rocksdb_append(void *opaque, uint64_t first, size_t count,
                                const struct bench_source *source)
{
    struct peer_rocksdb_session *session = opaque;
    char *error = NULL;
    rocksdb_writebatch_clear(session->batch);
    for (size_t i = 0; i < count; i++) {
        uint64_t key = bench_peer_key(first + i);
        const char *record = bench_source_record(source, first + i);
        rocksdb_writebatch_put(session->batch, (const char *)&key, sizeof key,
                               record + BENCH_KEY_SIZE, source->value_size);
    }
    rocksdb_write(session->database, session->writing, session->batch, &error);
    rocksdb_check(error, "write");
}

static uint64_t peer_rocksdb_scan(void *opaque, void (*visit)(const void *value, size_t size))
{
    struct peer_rocksdb_session *session = opaque;
    rocksdb_iterator_t *iterator = rocksdb_create_iterator(session->database, session->reading);
    uint64_t count = 0;
    for (rocksdb_iter_seek_to_first(iterator); rocksdb_iter_valid(iterator);
         rocksdb_iter_next(iterator)) {
        size_t size;
        const char *value = rocksdb_iter_value(iterator, &size);
        visit(value, size);
        count++;
    }
    rocksdb_iter_destroy(iterator);
    return count;
}

static uint64_t peer_rocksdb_get(void *opaque, uint64_t number)
{
    struct peer_rocksdb_session *session = opaque;
    uint64_t key = bench_peer_key(number), first;
    size_t size;
    char *error = NULL;
    char *value = rocksdb_get(session->database, session->reading, (const char *)&key, sizeof key,
                              &size, &error);
    rocksdb_check(error, "get");
    if (value == NULL || size < sizeof first)
        bench_die("rocksdb: record %llu is missing", (unsigned long long)number);
    memcpy(&first, value, sizeof first);
    free(value);
    return first;
}

static void peer_rocksdb_compact(void *opaque)
{
    struct peer_rocksdb *store = opaque;
    rocksdb_compact_range(store->database, NULL, 0, NULL, 0);
}

const struct bench_peer bench_peer_rocksdb = {
    "RocksDB",          peer_rocksdb_open,   peer_rocksdb_close, peer_rocksdb_enter,
    peer_rocksdb_leave, peer_rocksdb_append, peer_rocksdb_scan,  peer_rocksdb_get,
    peer_rocksdb_compact,
};
