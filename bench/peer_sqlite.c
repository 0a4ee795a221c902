/* SPDX-License-Identifier: MIT */
/*
 * SQLite: a write-ahead log, one row a record, one connection a thread, statements prepared once.
 * synchronous is FULL where commits are to be durable, else OFF.
 */
#include "peers.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct peer_sqlite {
    char *path;
    bool durable;
};

struct peer_sqlite_session {
    sqlite3 *connection;
    sqlite3_stmt *begin, *insert, *commit, *all, *one;
};

static void sqlite_check(sqlite3 *connection, int r, const char *call)
{
    if (r != SQLITE_OK && r != SQLITE_DONE && r != SQLITE_ROW)
        bench_die("sqlite: %s: %s", call, sqlite3_errmsg(connection));
}

static void sqlite_run(sqlite3 *connection, const char *sql)
{
    sqlite_check(connection, sqlite3_exec(connection, sql, NULL, NULL, NULL), sql);
}

static sqlite3_stmt *sqlite_prepare(sqlite3 *connection, const char *sql)
{
    sqlite3_stmt *statement;
    sqlite_check(connection, sqlite3_prepare_v2(connection, sql, -1, &statement, NULL), sql);
    return statement;
}

/* Its own handler sleeps up to 100 ms a time, which starves threads at this rate of commits. */
static int sqlite_wait(void *unused, int tries)
{
    (void)unused;
    (void)tries;
    usleep(200);
    return 1;
}

static sqlite3 *sqlite_connect(const struct peer_sqlite *store)
{
    sqlite3 *connection;
    if (sqlite3_open(store->path, &connection) != SQLITE_OK)
        bench_die("sqlite: cannot open %s", store->path);
    sqlite3_busy_handler(connection, sqlite_wait, NULL);
    sqlite_run(connection, "pragma journal_mode=wal");
    sqlite_run(connection, store->durable ? "pragma synchronous=full" : "pragma synchronous=off");
    sqlite_run(connection, "pragma mmap_size=2147418112");
    return connection;
}

static void *peer_sqlite_open(const char *directory, bool durable)
{
    struct peer_sqlite *store = calloc(1, sizeof *store);
    mkdir(directory, 0700);
    if (store == NULL || asprintf(&store->path, "%s/records.sqlite", directory) < 0)
        bench_die("out of memory");
    store->durable = durable;
    sqlite3 *connection = sqlite_connect(store);
    sqlite_run(connection,
               "create table if not exists records(number integer primary key, value blob)");
    sqlite3_close(connection);
    return store;
}

static void peer_sqlite_close(void *opaque)
{
    struct peer_sqlite *store = opaque;
    if (store == NULL)
        return;
    free(store->path);
    free(store);
}

static void *peer_sqlite_enter(void *opaque)
{
    struct peer_sqlite_session *session = calloc(1, sizeof *session);
    if (session == NULL)
        bench_die("out of memory");
    sqlite3 *connection = sqlite_connect(opaque);
    session->connection = connection;
    session->begin = sqlite_prepare(connection, "begin immediate");
    session->insert = sqlite_prepare(connection, "insert into records values(?, ?)");
    session->commit = sqlite_prepare(connection, "commit");
    session->all = sqlite_prepare(connection, "select number, value from records order by number");
    session->one = sqlite_prepare(connection, "select value from records where number = ?");
    return session;
}

static void peer_sqlite_leave(void *opaque)
{
    struct peer_sqlite_session *session = opaque;
    sqlite3_finalize(session->begin);
    sqlite3_finalize(session->insert);
    sqlite3_finalize(session->commit);
    sqlite3_finalize(session->all);
    sqlite3_finalize(session->one);
    sqlite3_close(session->connection);
    free(session);
}

static void sqlite_step(struct peer_sqlite_session *session, sqlite3_stmt *statement)
{
    sqlite_check(session->connection, sqlite3_step(statement), "step");
    sqlite_check(session->connection, sqlite3_reset(statement), "reset");
}

static void peer_sqlite_append(void *opaque, uint64_t first, size_t count,
                               const struct bench_source *source)
{
    struct peer_sqlite_session *session = opaque;
    sqlite_step(session, session->begin);
    for (size_t i = 0; i < count; i++) {
        const char *record = bench_source_record(source, first + i);
        sqlite3_bind_int64(session->insert, 1, (sqlite3_int64)(first + i));
        sqlite3_bind_blob(session->insert, 2, record + BENCH_KEY_SIZE, (int)source->value_size,
                          SQLITE_STATIC);
        sqlite_step(session, session->insert);
    }
    sqlite_step(session, session->commit);
}

static uint64_t peer_sqlite_scan(void *opaque, void (*visit)(const void *value, size_t size))
{
    struct peer_sqlite_session *session = opaque;
    uint64_t count = 0;
    while (sqlite3_step(session->all) == SQLITE_ROW) {
        visit(sqlite3_column_blob(session->all, 1), (size_t)sqlite3_column_bytes(session->all, 1));
        count++;
    }
    sqlite_check(session->connection, sqlite3_reset(session->all), "scan");
    return count;
}

static uint64_t peer_sqlite_get(void *opaque, uint64_t number)
{
    struct peer_sqlite_session *session = opaque;
    uint64_t first;
    sqlite3_bind_int64(session->one, 1, (sqlite3_int64)number);
    if (sqlite3_step(session->one) != SQLITE_ROW)
        bench_die("sqlite: record %llu is missing", (unsigned long long)number);
    memcpy(&first, sqlite3_column_blob(session->one, 0), sizeof first);
    sqlite3_reset(session->one);
    return first;
}

const struct bench_peer bench_peer_sqlite = {
    "SQLite",          peer_sqlite_open,   peer_sqlite_close, peer_sqlite_enter,
    peer_sqlite_leave, peer_sqlite_append, peer_sqlite_scan,  peer_sqlite_get,
};
