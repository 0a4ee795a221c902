/* SPDX-License-Identifier: MIT */
/*
 * LevelDB: default options, its write-ahead log always on. One store serves all threads; a thread's
 * session holds its options, its write batch and nothing else.
 */
#include "peers.h"

#include <leveldb/c.h>
#include <stdlib.h>
#include <string.h>

struct peer_leveldb {
    leveldb_t *database;
    bool durable;
};

struct peer_leveldb_session {
    leveldb_t *database;
    leveldb_writeoptions_t *writing;
    leveldb_readoptions_t *reading;
    leveldb_writebatch_t *batch;
};

static void leveldb_check(char *error, const char *call)
{
    if (error != NULL)
        bench_die("leveldb: %s: %s", call, error);
}

static void *peer_leveldb_open(const char *directory, bool durable)
{
    struct peer_leveldb *store = calloc(1, sizeof *store);
    char *error = NULL;
    if (store == NULL)
        bench_die("out of memory");
    leveldb_options_t *options = leveldb_options_create();
    leveldb_options_set_create_if_missing(options, 1);
    store->durable = durable;
    store->database = leveldb_open(options, directory, &error);
    leveldb_check(error, "open");
    leveldb_options_destroy(options);
    return store;
}

static void peer_leveldb_close(void *opaque)
{
    struct peer_leveldb *store = opaque;
    if (store == NULL)
        return;
    leveldb_close(store->database);
    free(store);
}

static void *peer_leveldb_enter(void *opaque)
{
    struct peer_leveldb *store = opaque;
    struct peer_leveldb_session *session = calloc(1, sizeof *session);
    if (session == NULL)
        bench_die("out of memory");
    session->database = store->database;
    session->writing = leveldb_writeoptions_create();
    leveldb_writeoptions_set_sync(session->writing, store->durable ? 1 : 0);
    session->reading = leveldb_readoptions_create();
    session->batch = leveldb_writebatch_create();
    return session;
}

static void peer_leveldb_leave(void *opaque)
{
    struct peer_leveldb_session *session = opaque;
    leveldb_writeoptions_destroy(session->writing);
    leveldb_readoptions_destroy(session->reading);
    leveldb_writebatch_destroy(session->batch);
    free(session);
}

static void peer_leveldb_append(void *opaque, uint64_t first, size_t count,
                                const struct bench_source *source)
{
    struct peer_leveldb_session *session = opaque;
    char *error = NULL;
    leveldb_writebatch_clear(session->batch);
    for (size_t i = 0; i < count; i++) {
        uint64_t key = bench_peer_key(first + i);
        const char *record = bench_source_record(source, first + i);
        leveldb_writebatch_put(session->batch, (const char *)&key, sizeof key,
                               record + BENCH_KEY_SIZE, source->value_size);
    }
    leveldb_write(session->database, session->writing, session->batch, &error);
    leveldb_check(error, "write");
}

static uint64_t peer_leveldb_scan(void *opaque, void (*visit)(const void *value, size_t size))
{
    struct peer_leveldb_session *session = opaque;
    leveldb_iterator_t *iterator = leveldb_create_iterator(session->database, session->reading);
    uint64_t count = 0;
    for (leveldb_iter_seek_to_first(iterator); leveldb_iter_valid(iterator);
         leveldb_iter_next(iterator)) {
        size_t size;
        const char *value = leveldb_iter_value(iterator, &size);
        visit(value, size);
        count++;
    }
    leveldb_iter_destroy(iterator);
    return count;
}

static uint64_t peer_leveldb_get(void *opaque, uint64_t number)
{
    struct peer_leveldb_session *session = opaque;
    uint64_t key = bench_peer_key(number), first;
    size_t size;
    char *error = NULL;
    char *value = leveldb_get(session->database, session->reading, (const char *)&key, sizeof key,
                              &size, &error);
    leveldb_check(error, "get");
    if (value == NULL || size < sizeof first)
        bench_die("leveldb: record %llu is missing", (unsigned long long)number);
    memcpy(&first, value, sizeof first);
    free(value);
    return first;
}

static void peer_leveldb_compact(void *opaque)
{
    struct peer_leveldb *store = opaque;
    leveldb_compact_range(store->database, NULL, 0, NULL, 0);
}

const struct bench_peer bench_peer_leveldb = {
    "LevelDB",          peer_leveldb_open,   peer_leveldb_close, peer_leveldb_enter,
    peer_leveldb_leave, peer_leveldb_append, peer_leveldb_scan,  peer_leveldb_get,
    peer_leveldb_compact,
};
