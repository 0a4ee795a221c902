/* SPDX-License-Identifier: MIT */
/*
 * Commits of offsets: a thread alone, 64 together, and without waiting.
 *
 * The limit of a thread alone is LMDB itself: one durable transaction of one small put, in the mode
 * in which the catalog uses it. That of 64 threads is our one thread. Each thread is a consumer of a
 * group of its own; the records below the offsets are durable already, so what is measured is the
 * commit. An asynchronous commit is measured as its caller sees it, the helper committing beside.
 */
#include <errno.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bench.h"
#include "ours.h"

enum { COMMIT_THREADS = 64, COMMIT_RECORDS = 1000 };

struct commit {
    int threads; /* 0: LMDB */
    bool asynchronous;
    const char *name;
    char *path;
    MDB_env *env;
    MDB_dbi dbi;
    struct ours ours;
    kfl_consumer *consumers[COMMIT_THREADS];
    int each; /* commits a thread a round */
};

struct commit_thread {
    struct commit *commit;
    pthread_t thread;
    int number, failed;
};

/* ---- LMDB ---- */

static int raw_open(struct bench_row *row, struct commit *commit)
{
    MDB_txn *txn = NULL;
    int r = mdb_env_create(&commit->env);
    if (r == 0)
        r = mdb_env_set_mapsize(commit->env, (size_t)1 << 30);
    if (r == 0)
        r = mdb_env_open(commit->env, commit->path, MDB_NOSUBDIR | MDB_NOTLS | MDB_NORDAHEAD, 0600);
    if (r == 0)
        r = mdb_txn_begin(commit->env, NULL, 0, &txn);
    if (r == 0)
        r = mdb_dbi_open(txn, NULL, 0, &commit->dbi);
    if (r == 0)
        r = mdb_txn_commit(txn);
    return r == 0 ? 0 : bench_out(row, "LMDB: %s", mdb_strerror(r));
}

static double raw_run(struct bench_row *row, struct commit *commit)
{
    int64_t begin = bench_now_ns();
    for (int i = 0; i < commit->each; i++) {
        char value[32] = {0};
        MDB_txn *txn = NULL;
        MDB_val key = {19, "group-0 topic 1 / 0"}, data = {sizeof value, value};
        memcpy(value, &i, sizeof i);
        int r = mdb_txn_begin(commit->env, NULL, 0, &txn);
        if (r == 0)
            r = mdb_put(txn, commit->dbi, &key, &data, 0);
        if (r == 0)
            r = mdb_txn_commit(txn);
        if (r != 0)
            return bench_out(row, "LMDB: %s", mdb_strerror(r));
    }
    return (double)(bench_now_ns() - begin) / commit->each;
}

/* ---- ours ---- */

static int commit_open_consumer(struct commit *commit, int number)
{
    kfl_config *config = NULL;
    char group[24];
    snprintf(group, sizeof group, "group-%d", number);
    int r = kfl_config_create(&config);
    if (r == 0)
        r = kfl_config_set(config, "group.id", group);
    if (r == 0)
        r = kfl_consumer_open(commit->ours.store, config, &commit->consumers[number]);
    kfl_config_destroy(config);
    return r;
}

static int commit_open(struct bench_row *row)
{
    struct commit *commit = row->context;
    commit->path = bench_path(commit->name);
    commit->each = bench_quick() ? 50 : 500;
    if (commit->threads == 0)
        return raw_open(row, commit);
    struct bench_source source = bench_source_create(100);
    int r = ours_open(row, commit->path, "all", 1, true, &commit->ours);
    if (r == 0)
        r = ours_fill(row, &commit->ours, &source, COMMIT_RECORDS, OURS_PACK);
    bench_source_destroy(&source);
    for (int i = 0; i < commit->threads && r == 0; i++) {
        kfl_partition_offset all = {.topic = OURS_TOPIC, .offset = KFL_OFFSET_BEGINNING};
        if (commit_open_consumer(commit, i) < 0 ||
            kfl_consumer_assign(commit->consumers[i], &all, 1) < 0)
            r = ours_failed(row, "kfl_consumer_open");
    }
    return r;
}

static void commit_close(struct bench_row *row)
{
    struct commit *commit = row->context;
    if (commit->env != NULL)
        mdb_env_close(commit->env);
    for (int i = 0; i < COMMIT_THREADS; i++)
        kfl_consumer_close(commit->consumers[i]);
    if (commit->threads != 0)
        ours_close(&commit->ours);
    bench_remove(commit->path);
    free(commit->path);
}

static void *commit_worker(void *opaque)
{
    struct commit_thread *self = opaque;
    kfl_partition_offset at = {.topic = OURS_TOPIC};
    for (int i = 0; i < self->commit->each && self->failed == 0; i++) {
        at.offset = i % COMMIT_RECORDS;
        self->failed = kfl_consumer_commit_offsets(self->commit->consumers[self->number], &at, 1);
    }
    return NULL;
}

static double commit_run_threads(struct bench_row *row, struct commit *commit)
{
    struct commit_thread threads[COMMIT_THREADS];
    int64_t begin = bench_now_ns();
    for (int i = 0; i < commit->threads; i++) {
        threads[i] = (struct commit_thread){.commit = commit, .number = i};
        pthread_create(&threads[i].thread, NULL, commit_worker, &threads[i]);
    }
    int failed = 0;
    for (int i = 0; i < commit->threads; i++) {
        pthread_join(threads[i].thread, NULL);
        failed = failed == 0 ? threads[i].failed : failed;
    }
    if (failed < 0)
        return bench_out(row, "a commit: %s", kfl_error_name(failed));
    return (double)(bench_now_ns() - begin) / ((double)commit->each * commit->threads);
}

static double commit_run_async(struct bench_row *row, struct commit *commit)
{
    int calls = commit->each * 200;
    int64_t begin = bench_now_ns();
    for (int i = 0; i < calls; i++)
        if (kfl_consumer_commit_async(commit->consumers[0], NULL, 0, NULL) < 0)
            return ours_failed(row, "kfl_consumer_commit_async");
    return (double)(bench_now_ns() - begin) / calls;
}

static double commit_run(struct bench_row *row)
{
    struct commit *commit = row->context;
    if (commit->threads == 0)
        return raw_run(row, commit);
    return commit->asynchronous ? commit_run_async(row, commit) : commit_run_threads(row, commit);
}

int main(int argc, char **argv)
{
    static struct commit contexts[] = {
        {.threads = 0, .name = "lmdb"},
        {.threads = 1, .name = "one"},
        {.threads = 1, .name = "alone"},
        {.threads = COMMIT_THREADS, .name = "many"},
        {.threads = 1, .asynchronous = true, .name = "async"},
    };
    static struct bench_row alone[] = {
        {.name = "LMDB, a durable transaction", .role = BENCH_LIMIT},
        {.name = "a commit, 1 thread", .role = BENCH_OURS, .bar = {BENCH_RATE, 0.5, 0.8}},
    };
    static struct bench_row together[] = {
        {.name = "a commit, 1 thread", .role = BENCH_LIMIT},
        {.name = "a commit, 64 threads", .role = BENCH_OURS, .bar = {BENCH_RATE, 10, 20}},
    };
    static struct bench_row waiting[] = {
        {.name = "an asynchronous commit", .role = BENCH_OURS, .bar = {BENCH_NS, 2000, 500}},
    };
    struct bench_row *const rows[] = {&alone[0], &alone[1], &together[0], &together[1],
                                      &waiting[0]};
    bench_start(argc, argv, "commit");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        rows[i]->context = &contexts[i];
        rows[i]->open = commit_open;
        rows[i]->close = commit_close;
        rows[i]->run = commit_run;
    }
    bench_table("commits, one thread", alone, 2);
    bench_table("commits, many threads", together, 2);
    bench_table("asynchronous commits", waiting, 1);
    return bench_finish();
}
