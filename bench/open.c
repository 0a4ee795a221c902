/* SPDX-License-Identifier: MIT */
/*
 * From nothing to the newest record read: opening a store of two sizes, LMDB beside it.
 *
 * "closed": the last process closed it. "killed": a child appended, told its offset and died by
 * SIGKILL. "state file lost": as killed, but the state file is removed too, which is what a reboot
 * amounts to; everything since the last sync, here some megabytes, has to be walked. Each round
 * prepares its store anew, untimed. Every record that the child was told an offset for must be
 * there.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "ours.h"
#include "peers.h"

#define CHILD "--child" /* the first argument of the program when it is one */
#define VALUE_SIZE 1024
#define WALK_BYTES ((uint64_t)8 << 20)

enum open_how { OPEN_CLOSED, OPEN_KILLED, OPEN_LOST };

struct open_store {
    char name[24];
    uint64_t bytes;
    char *path;
    struct bench_source source;
    int64_t end; /* the offset behind the last record that was told */
    bool lmdb;
};

struct open_case {
    struct open_store *store;
    enum open_how how;
    double least_open_us; /* of the open alone */
};

#ifdef BENCH_HAVE_LMDB
static const struct bench_peer *const lmdb = &bench_peer_lmdb;
#else
static const struct bench_peer *const lmdb = NULL;
#endif

static void store_fill_lmdb(struct open_store *store, uint64_t count)
{
    void *opened = lmdb->open(store->path, false);
    void *session = lmdb->enter(opened);
    for (uint64_t n = 0; n < count && bench_going_on(); n += OURS_PACK) {
        lmdb->append(session, (uint64_t)store->end, OURS_PACK, &store->source);
        store->end += OURS_PACK;
    }
    lmdb->leave(session);
    lmdb->close(opened);
}

static int store_open(struct bench_row *row)
{
    struct open_store *store = ((struct open_case *)row->context)->store;
    struct ours ours;
    store->source = bench_source_create(VALUE_SIZE);
    store->path = bench_path(store->name);
    uint64_t count = store->bytes / store->source.record_size / OURS_PACK * OURS_PACK;
    if (store->lmdb) {
        if (lmdb == NULL)
            return bench_out(row, "not built in");
        store_fill_lmdb(store, count);
        return 0;
    }
    int r = ours_open(row, store->path, "1", 1, true, &ours);
    if (r >= 0)
        r = ours_fill(row, &ours, &store->source, count, OURS_PACK);
    ours_close(&ours);
    store->end = (int64_t)count;
    return r;
}

static void store_close(struct bench_row *row)
{
    struct open_store *store = ((struct open_case *)row->context)->store;
    bench_source_destroy(&store->source);
    bench_remove(store->path);
    free(store->path);
}

/*
 * The program started anew by store_start(): append, tell the last offset on standard output, die.
 * It is not forked from the measuring process, whose pages would then have to be copied while it
 * measures.
 */
static int child_main(char **argv)
{
    struct open_store store = {.path = argv[2], .lmdb = argv[3][0] == 'l', .end = atoll(argv[4])};
    bool lost = argv[3][0] == 's';
    struct bench_row row = {0};
    struct ours ours;
    int64_t end = -1;
    store.source = bench_source_create(VALUE_SIZE);
    uint64_t count =
        lost ? WALK_BYTES / store.source.record_size / OURS_PACK * OURS_PACK : OURS_PACK;
    if (store.lmdb) {
        store_fill_lmdb(&store, OURS_PACK);
        lmdb->enter(lmdb->open(store.path, false));
        end = store.end;
    } else if (ours_open(&row, store.path, "1", 1, !lost, &ours) < 0 ||
               ours_fill(&row, &ours, &store.source, count, OURS_PACK) < 0 ||
               kfl_topic_end_offset(ours.store, OURS_TOPIC, 0, &end) < 0) {
        fprintf(stderr, "child: %s\n", row.note);
    }
    if (write(STDOUT_FILENO, &end, sizeof end) == (ssize_t)sizeof end)
        raise(SIGKILL);
    return 1;
}

/* Runs child_main() in a process of its own; returns the offset it told, or -1. */
static int64_t store_start(const struct open_store *store, enum open_how how)
{
    int ends[2], status;
    char begin[24];
    const char *kind = store->lmdb ? "lmdb" : how == OPEN_LOST ? "state" : "killed";
    pid_t child;
    int64_t end = -1;
    posix_spawn_file_actions_t actions;
    snprintf(begin, sizeof begin, "%lld", (long long)store->end);
    char *arguments[] = {(char *)(uintptr_t) "open",
                         (char *)(uintptr_t)CHILD,
                         store->path,
                         (char *)(uintptr_t)kind,
                         begin,
                         NULL};
    if (pipe2(ends, O_CLOEXEC) < 0)
        bench_die("pipe: %s", strerror(errno));
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    int r = posix_spawn(&child, "/proc/self/exe", &actions, NULL, arguments, environ);
    if (r != 0)
        bench_die("cannot start a child: %s", strerror(r));
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (read(ends[0], &end, sizeof end) != (ssize_t)sizeof end)
        end = -1;
    waitpid(child, &status, 0);
    close(ends[0]);
    return end;
}

static int store_prepare(struct bench_row *row, struct open_store *store, enum open_how how)
{
    if (how == OPEN_CLOSED)
        return 0;
    int64_t end = store_start(store, how);
    if (end <= store->end)
        return bench_out(row, "the child could not append");
    store->end = end;
    if (how == OPEN_LOST) {
        char *path;
        if (asprintf(&path, "%s/state", store->path) < 0)
            bench_die("out of memory");
        int r = unlink(path);
        free(path);
        if (r < 0)
            return bench_out(row, "there is no state file");
    }
    return 0;
}

static int ours_read_last(struct bench_row *row, kfl_store *store, int64_t end)
{
    kfl_consumer *consumer;
    kfl_records *records = NULL;
    kfl_partition_offset from = {.topic = OURS_TOPIC, .offset = end - 1};
    int r = kfl_consumer_open(store, NULL, &consumer);
    if (r < 0)
        return ours_failed(row, "consumer");
    r = kfl_consumer_assign(consumer, &from, 1);
    if (r >= 0)
        r = kfl_consumer_poll(consumer, 0, 1, &records);
    if (r < 0)
        r = ours_failed(row, kfl_error_name(r));
    else if (r == 0 || kfl_records_get(records, 0)->offset != end - 1)
        r = bench_out(row, "record %lld is lost", (long long)end - 1);
    kfl_records_release(records);
    kfl_consumer_close(consumer);
    return r;
}

static double ours_run(struct bench_row *row)
{
    struct open_case *one = row->context;
    struct open_store *store = one->store;
    kfl_store *opened;
    if (store_prepare(row, store, one->how) < 0)
        return -1;
    int64_t start = bench_now_ns();
    if (kfl_store_open(store->path, NULL, &opened) < 0)
        return ours_failed(row, "open");
    int64_t middle = bench_now_ns();
    int r = ours_read_last(row, opened, store->end);
    int64_t end = bench_now_ns();
    if (kfl_store_close(opened) < 0)
        return ours_failed(row, "close");
    if (r < 0)
        return -1;
    double open_us = (double)(middle - start) / 1000;
    if (one->least_open_us <= 0 || open_us < one->least_open_us)
        one->least_open_us = open_us;
    snprintf(row->note, sizeof row->note, "the open alone: %.0f us at best", one->least_open_us);
    return (double)(end - start);
}

static double lmdb_run(struct bench_row *row)
{
    struct open_case *one = row->context;
    struct open_store *store = one->store;
    if (store_prepare(row, store, one->how) < 0)
        return -1;
    int64_t start = bench_now_ns();
    void *opened = lmdb->open(store->path, false);
    void *session = lmdb->enter(opened);
    bench_keep(lmdb->get(session, (uint64_t)store->end - 1));
    int64_t spent = bench_now_ns() - start;
    lmdb->leave(session);
    lmdb->close(opened);
    return (double)spent;
}

int main(int argc, char **argv)
{
    enum { ROWS = 12 };
    static struct open_store stores[4];
    static struct open_case cases[ROWS];
    static struct bench_row rows[ROWS];
    static char names[ROWS][48];
    static const struct {
        const char *name;
        int store;
        enum open_how how;
        struct bench_bar bar;
    } plans[] = {
        {"LMDB, killed", 0, OPEN_KILLED, {0}},
        {"closed", 1, OPEN_CLOSED, {BENCH_TIME, 0, 4}},
        {"killed", 1, OPEN_KILLED, {BENCH_TIME, 0, 4}},
        {"state file lost", 1, OPEN_LOST, {BENCH_NS, 0, 10e6}},
        {"LMDB, killed", 2, OPEN_KILLED, {0}},
        {"closed", 3, OPEN_CLOSED, {BENCH_TIME, 0, 4}},
        {"killed", 3, OPEN_KILLED, {BENCH_TIME, 0, 4}},
        {"state file lost", 3, OPEN_LOST, {BENCH_NS, 0, 10e6}},
        {"killed", 1, OPEN_KILLED, {0}},
        {"killed", 3, OPEN_KILLED, {BENCH_TIME, 0, 1.2}},
    };
    size_t count = sizeof plans / sizeof plans[0];
    if (argc == 5 && strcmp(argv[1], CHILD) == 0)
        return child_main(argv);
    bench_start(argc, argv, "open");
    for (int i = 0; i < 4; i++) {
        snprintf(stores[i].name, sizeof stores[i].name, "store%d", i);
        stores[i].lmdb = i % 2 == 0;
        stores[i].bytes =
            (uint64_t)(i < 2 ? (bench_quick() ? 64 : 100) : (bench_quick() ? 256 : 4096)) << 20;
    }
    for (size_t i = 0; i < count; i++) {
        struct open_store *store = &stores[plans[i].store];
        bool first = i == 0 || i == 1 || i == 4 || i == 5;
        cases[i].store = store;
        cases[i].how = plans[i].how;
        snprintf(names[i], sizeof names[i], "%s, %llu MiB", plans[i].name,
                 (unsigned long long)(store->bytes >> 20));
        rows[i] = (struct bench_row){.name = names[i], .role = BENCH_OURS, .bar = plans[i].bar};
        rows[i].context = &cases[i];
        rows[i].open = first ? store_open : NULL;
        rows[i].close = first ? store_close : NULL;
        rows[i].run = store->lmdb ? lmdb_run : ours_run;
        if (store->lmdb || i == 8)
            rows[i].role = BENCH_LIMIT;
    }
    bench_table("open and read the last record", rows, count);
    return bench_finish();
}
