/* SPDX-License-Identifier: MIT */
/*
 * Durable appends, 100-byte values: how many a second survive a power cut, by 1 to 64 threads.
 *
 * The limit is one thread that writes 128 bytes and calls fdatasync, into a file reserved
 * beforehand. The time of an operation is that of the whole row divided by the commits of all its
 * threads; so a ratio above 1 with many threads is what sharing a sync brings. Bytes written are
 * the device's own count, the smallest of the rounds: other programs' writes are in it.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "ours.h"
#include "peers.h"

#define RAW_RECORD 128
#define RAW_FILE_BYTES ((size_t)64 << 20)
#define THREADS_MAX 64
#define LATENCIES_MAX 65536

struct durable {
    const char *kind; /* "raw", "ours", or NULL: a peer */
    const struct bench_peer *peer;
    int threads;
    bool prewritten; /* raw: every block was written before */
    char name[24];
    char *path;
    struct bench_source source;
    int fd;
    struct ours ours;
    void *store;
    _Atomic uint64_t next; /* the number of the next record */
    _Atomic bool stop;
    _Atomic int failed;
    pthread_barrier_t start;
    double least_written; /* bytes a commit */
};

struct durable_thread {
    struct bench_row *row;
    struct durable *durable;
    pthread_t thread;
    uint64_t commits;
    double *latencies;
    char error[96];
};

static int raw_commit(struct durable *durable, uint64_t number)
{
    char record[RAW_RECORD];
    memcpy(record, bench_source_record(&durable->source, number), durable->source.record_size);
    memset(record + durable->source.record_size, 0, sizeof record - durable->source.record_size);
    off_t place = (off_t)(number * RAW_RECORD % RAW_FILE_BYTES);
    if (pwrite(durable->fd, record, sizeof record, place) != (ssize_t)sizeof record ||
        fdatasync(durable->fd) < 0)
        return -errno;
    return 0;
}

static int ours_commit(struct durable *durable, uint64_t number)
{
    const char *record = bench_source_record(&durable->source, number);
    int64_t offset;
    return kfl_producer_send(durable->ours.producer, OURS_TOPIC, 0, record, BENCH_KEY_SIZE,
                             record + BENCH_KEY_SIZE, durable->source.value_size, NULL, 0,
                             KFL_TIMESTAMP_NOW, &offset);
}

static void *durable_worker(void *opaque)
{
    struct durable_thread *self = opaque;
    struct durable *durable = self->durable;
    void *session = durable->peer != NULL ? durable->peer->enter(durable->store) : NULL;
    bool raw = durable->kind != NULL && strcmp(durable->kind, "raw") == 0;
    pthread_barrier_wait(&durable->start);
    while (!atomic_load_explicit(&durable->stop, memory_order_relaxed)) {
        uint64_t number = atomic_fetch_add(&durable->next, 1);
        int64_t before = bench_now_ns();
        int r = 0;
        if (session != NULL)
            durable->peer->append(session, number, 1, &durable->source);
        else
            r = raw ? raw_commit(durable, number) : ours_commit(durable, number);
        if (r < 0) {
            snprintf(self->error, sizeof self->error, "%s", raw ? strerror(-r) : kfl_last_error());
            atomic_store(&durable->failed, 1);
            break;
        }
        /* What ends after the time is up does not count: a waiter may be seconds late. */
        if (atomic_load(&durable->stop))
            break;
        if (self->commits < LATENCIES_MAX)
            self->latencies[self->commits] = (double)(bench_now_ns() - before);
        self->commits++;
    }
    if (session != NULL)
        durable->peer->leave(session);
    return NULL;
}

/* All latencies of a round in one array, for their quantiles. */
static void durable_note(struct bench_row *row, struct durable_thread *threads, double written)
{
    struct durable *durable = row->context;
    size_t count = 0;
    for (int i = 0; i < durable->threads; i++)
        count += threads[i].commits < LATENCIES_MAX ? threads[i].commits : LATENCIES_MAX;
    double *all = malloc((count + 1) * sizeof *all);
    if (all == NULL)
        bench_die("out of memory");
    count = 0;
    for (int i = 0; i < durable->threads; i++) {
        size_t part = threads[i].commits < LATENCIES_MAX ? threads[i].commits : LATENCIES_MAX;
        memcpy(all + count, threads[i].latencies, part * sizeof *all);
        count += part;
    }
    if (durable->least_written < 0 || written < durable->least_written)
        durable->least_written = written;
    double p50 = bench_quantile(all, count, 0.5) / 1000,
           p99 = bench_quantile(all, count, 0.99) / 1000;
    snprintf(row->note, sizeof row->note, "%.2f KiB a commit, p50 %.0f us, p99 %.0f us",
             durable->least_written / 1024, p50, p99);
    free(all);
}

static double durable_run(struct bench_row *row)
{
    struct durable *durable = row->context;
    struct durable_thread threads[THREADS_MAX];
    uint64_t commits = 0;
    memset(threads, 0, sizeof threads);
    durable->stop = false;
    durable->failed = 0;
    sync();
    pthread_barrier_init(&durable->start, NULL, (unsigned)durable->threads + 1);
    for (int i = 0; i < durable->threads; i++) {
        threads[i].row = row;
        threads[i].durable = durable;
        threads[i].latencies = malloc(LATENCIES_MAX * sizeof(double));
        if (threads[i].latencies == NULL ||
            pthread_create(&threads[i].thread, NULL, durable_worker, &threads[i]) != 0)
            bench_die("cannot start a thread");
    }
    int64_t written = bench_device_written();
    pthread_barrier_wait(&durable->start);
    int64_t start = bench_now_ns();
    usleep(bench_quick() ? 150000 : 500000);
    durable->stop = true;
    int64_t spent = bench_now_ns() - start;
    for (int i = 0; i < durable->threads; i++) {
        pthread_join(threads[i].thread, NULL);
        commits += threads[i].commits;
    }
    written = bench_device_written() - written;
    if (commits > 0)
        durable_note(row, threads, (double)written / (double)commits);
    for (int i = 0; i < durable->threads; i++) {
        if (threads[i].error[0] != '\0')
            bench_out(row, "%s", threads[i].error);
        free(threads[i].latencies);
    }
    pthread_barrier_destroy(&durable->start);
    return durable->failed != 0 || commits == 0 ? -1 : (double)spent / (double)commits;
}

static int raw_open(struct bench_row *row)
{
    struct durable *durable = row->context;
    durable->fd = open(durable->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int r = durable->fd < 0 ? errno : posix_fallocate(durable->fd, 0, (off_t)RAW_FILE_BYTES);
    static char zeros[1 << 16];
    for (size_t place = 0; r == 0 && durable->prewritten && place < RAW_FILE_BYTES;
         place += sizeof zeros)
        r = pwrite(durable->fd, zeros, sizeof zeros, (off_t)place) == (ssize_t)sizeof zeros ? 0
                                                                                            : EIO;
    if (r != 0)
        return bench_out(row, "%s: %s", durable->path, strerror(r));
    return fsync(durable->fd);
}

static int durable_open(struct bench_row *row)
{
    struct durable *durable = row->context;
    durable->path = bench_path(durable->name);
    durable->source = bench_source_create(100);
    durable->fd = -1;
    durable->least_written = -1;
    if (durable->peer != NULL)
        durable->store = durable->peer->open(durable->path, true);
    else if (strcmp(durable->kind, "raw") == 0)
        return raw_open(row);
    else
        return ours_open(row, durable->path, "all", 1, true, &durable->ours);
    return 0;
}

static void durable_close(struct bench_row *row)
{
    struct durable *durable = row->context;
    if (durable->peer != NULL)
        durable->peer->close(durable->store);
    if (durable->fd >= 0)
        close(durable->fd);
    ours_close(&durable->ours);
    bench_remove(durable->path);
    bench_source_destroy(&durable->source);
    free(durable->path);
}

struct durable_plan {
    const char *name, *kind;
    enum bench_role role;
    int threads;
    bool prewritten;
    struct bench_bar bar;
};

int main(int argc, char **argv)
{
    static const struct durable_plan plans[] = {
        {"pwrite + fdatasync, reserved file", "raw", BENCH_LIMIT, 1, false, {0}},
        {"pwrite + fdatasync, written before", "raw", BENCH_NOTE, 1, true, {0}},
        {"pwrite + fdatasync, 64 threads", "raw", BENCH_NOTE, 64, false, {0}},
        {"acks=all, 1 thread", "ours", BENCH_OURS, 1, false, {BENCH_RATE, 0.9, 0.97}},
        {"acks=all, 2 threads", "ours", BENCH_OURS, 2, false, {BENCH_RATE, 0, 1.8}},
        {"acks=all, 8 threads", "ours", BENCH_OURS, 8, false, {BENCH_RATE, 0, 4}},
        {"acks=all, 64 threads", "ours", BENCH_OURS, 64, false, {BENCH_RATE, 12, 24}},
    };
    enum { PLANS = sizeof plans / sizeof plans[0], ROWS = PLANS + 8 };
    static struct durable contexts[ROWS];
    static struct bench_row rows[ROWS];
    static char names[ROWS][48];
    size_t count = 0;
    bench_start(argc, argv, "durable");
    for (size_t i = 0; i < PLANS; i++, count++) {
        contexts[count].kind = plans[i].kind;
        contexts[count].threads = plans[i].threads;
        contexts[count].prewritten = plans[i].prewritten;
        rows[count] =
            (struct bench_row){.name = plans[i].name, .role = plans[i].role, .bar = plans[i].bar};
    }
    for (size_t i = 0; bench_peers[i] != NULL && count + 2 <= ROWS; i++) {
        for (int threads = 1; threads <= 64; threads *= 64, count++) {
            contexts[count].peer = bench_peers[i];
            contexts[count].threads = threads;
            snprintf(names[count], sizeof names[count], "%s, %d thread%s", bench_peers[i]->name,
                     threads, threads > 1 ? "s" : "");
            rows[count] = (struct bench_row){.name = names[count], .role = BENCH_PEER};
        }
    }
    for (size_t i = 0; i < count; i++) {
        snprintf(contexts[i].name, sizeof contexts[i].name, "row%zu", i);
        rows[i].context = &contexts[i];
        rows[i].open = durable_open;
        rows[i].run = durable_run;
        rows[i].close = durable_close;
        rows[i].bytes = 108;
    }
    bench_table("durable 8-byte key, 100-byte value", rows, count);
    return bench_finish();
}
