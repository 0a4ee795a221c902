/* SPDX-License-Identifier: MIT */
/*
 * Load and compaction of records over a tenth as many keys, LevelDB and RocksDB beside it: the same keys in the
 * same order, 500 records a commit, then all of it compacted. Each commit's keys are scattered over all keys, as those of
 * updates are. What is left must be one record a key. The note has the most memory that the process took during
 * compaction beyond what it had before, pages of files left out.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "ours.h"
#include "peers.h"

#define BLOCK 500u

static uint64_t record_count, key_count;
static struct bench_source source;

/* The number of the first key of the n-th block of the load. */
static uint64_t block_key(uint64_t n)
{
    uint64_t blocks = key_count / BLOCK;
    /* Each turn over all keys has an order of its own; the factor shares nothing with the number of blocks. */
    return ((n % blocks) * UINT64_C(7919) + n / blocks * 131) % blocks * BLOCK;
}

/* Memory of the process that is no file's, now and then: what compaction takes at most. */
struct watch {
    _Atomic bool over;
    int64_t least;
    _Atomic int64_t most;
};

static int64_t anonymous_bytes(void)
{
    long all = 0, files = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL || fscanf(file, "%*d %ld %ld", &all, &files) != 2)
        all = files = 0;
    if (file != NULL)
        fclose(file);
    return (int64_t)(all - files) * sysconf(_SC_PAGESIZE);
}

static void *watch_memory(void *opaque)
{
    struct watch *watch = opaque;
    while (!atomic_load(&watch->over)) {
        int64_t now = anonymous_bytes();
        if (now > atomic_load(&watch->most))
            atomic_store(&watch->most, now);
        usleep(2000);
    }
    return NULL;
}

struct ours_case {
    size_t per_call; /* 1: a batch for each record */
    bool sync;       /* before compaction, so that its own rate can be told */
};

static int ours_send_block(struct ours *ours, uint64_t n, size_t per_call, kfl_packed_row *rows,
                           char *bytes)
{
    uint64_t first = block_key(n);
    if (per_call == 1) {
        for (uint64_t i = 0; i < BLOCK; i++) {
            uint64_t key = bench_peer_key(first + i);
            int r = kfl_producer_send(ours->producer, OURS_TOPIC, 0, &key, sizeof key,
                                      bench_source_record(&source, n + i) + BENCH_KEY_SIZE,
                                      source.value_size, NULL, 0, 1, NULL);
            if (r < 0)
                return r;
        }
        return 0;
    }
    char *at = bytes;
    for (uint64_t i = 0; i < BLOCK; i++) {
        uint64_t key = bench_peer_key(first + i);
        rows[i] = (kfl_packed_row){
            .timestamp_ms = 1, .key_size = sizeof key, .value_size = (int32_t)source.value_size};
        memcpy(at, &key, sizeof key);
        memcpy(at + sizeof key, bench_source_record(&source, n + i) + BENCH_KEY_SIZE,
               source.value_size);
        at += source.record_size;
    }
    return kfl_producer_send_packed(ours->producer, OURS_TOPIC, rows, BLOCK, bytes,
                                    (size_t)(at - bytes));
}

static double ours_run(struct bench_row *row)
{
    const struct ours_case *how = row->context;
    char *path = bench_path("ours");
    struct ours ours;
    kfl_packed_row *rows = calloc(BLOCK, sizeof *rows);
    char *bytes = malloc(BLOCK * source.record_size);
    kfl_progress progress = {0};
    double result = -1;
    int64_t start = bench_now_ns(), middle = 0, end = 0;
    if (rows == NULL || bytes == NULL)
        bench_die("out of memory");
    int r = ours_open(row, path, "1", 1, true, &ours);
    if (r >= 0)
        r = kfl_topic_set(ours.store, OURS_TOPIC, "cleanup.policy", "compact");
    for (uint64_t n = 0; r >= 0 && n < record_count / BLOCK; n++)
        r = ours_send_block(&ours, n, how->per_call, rows, bytes);
    /* What is compacted has to be durable before anything goes: by a call, or by compaction itself. */
    if (r >= 0 && how->sync)
        r = kfl_store_sync(ours.store, -1);
    struct watch watch = {.least = anonymous_bytes()};
    pthread_t thread;
    if (pthread_create(&thread, NULL, watch_memory, &watch) != 0)
        bench_die("no thread");
    middle = bench_now_ns();
    if (r >= 0)
        r = kfl_topic_compact(ours.store, OURS_TOPIC, KFL_COMPACT_FORCE | KFL_COMPACT_ROLL, -1,
                              &progress);
    end = bench_now_ns();
    atomic_store(&watch.over, true);
    pthread_join(thread, NULL);
    if (r < 0)
        ours_failed(row, "compact");
    else if ((uint64_t)progress.kept_records != key_count)
        bench_out(row, "%lld records are left", (long long)progress.kept_records);
    else
        result = (double)(end - start) / (double)record_count;
    double input = (double)(progress.freed_bytes + progress.written_bytes);
    snprintf(row->note, sizeof row->note,
             "%.2f s, %.2f of it compaction%s: %.2f GB/s of input; %.0f MB written; %.1f bytes a key",
             (double)(end - start) / 1e9, (double)(end - middle) / 1e9,
             how->sync ? "" : " and its sync", input / (double)(end - middle), (double)progress.written_bytes / 1e6,
             (double)(watch.most - watch.least) / (double)key_count);
    ours_close(&ours);
    bench_remove(path);
    free(path);
    free(rows);
    free(bytes);
    return result;
}

static double peer_run(struct bench_row *row)
{
    const struct bench_peer *peer = row->context;
    char *path = bench_path("peer");
    bench_remove(path);
    int64_t start = bench_now_ns();
    void *store = peer->open(path, false);
    void *session = peer->enter(store);
    for (uint64_t n = 0; n < record_count / BLOCK && bench_going_on(); n++)
        peer->append(session, block_key(n), BLOCK, &source);
    int64_t middle = bench_now_ns();
    peer->compact(store);
    int64_t end = bench_now_ns();
    peer->leave(session);
    peer->close(store);
    bench_remove(path);
    free(path);
    snprintf(row->note, sizeof row->note, "%.2f s, %.2f of it compaction",
             (double)(end - start) / 1e9, (double)(end - middle) / 1e9);
    return (double)(end - start) / (double)record_count;
}

int main(int argc, char **argv)
{
    static struct ours_case packed = {BLOCK, false}, single = {1, false}, synced = {BLOCK, true};
    struct bench_row rows[5] = {{0}};
    size_t count = 0;
    bench_start(argc, argv, "compact");
    record_count = bench_quick() ? 1000000 : 10000000;
    key_count = record_count / 10;
    bench_peer_scatter = key_count;
    bench_take_long();
    source = bench_source_create(100 - BENCH_KEY_SIZE);
    for (const struct bench_peer *const *peer = bench_peers; *peer != NULL; peer++)
        if ((*peer)->compact != NULL && count < 2) {
            rows[count] = (struct bench_row){.name = (*peer)->name,
                                             .role = count == 0 ? BENCH_LIMIT : BENCH_PEER,
                                             .bytes = 100,
                                             .bar = {BENCH_RATE, 0, 0},
                                             .run = peer_run,
                                             .context = (void *)(uintptr_t)*peer};
            count++;
        }
    rows[count++] = (struct bench_row){.name = "500 a call",
                                       .role = BENCH_OURS,
                                       .bytes = 100,
                                       .bar = {BENCH_RATE, 5, 9},
                                       .run = ours_run,
                                       .context = &packed};
    rows[count++] = (struct bench_row){.name = "one a call",
                                       .role = BENCH_OURS,
                                       .bytes = 100,
                                       .bar = {BENCH_RATE, 0, 0},
                                       .run = ours_run,
                                       .context = &single};
    rows[count++] = (struct bench_row){.name = "500 a call, synced",
                                       .role = BENCH_OURS,
                                       .bytes = 100,
                                       .bar = {BENCH_RATE, 0, 0},
                                       .run = ours_run,
                                       .context = &synced};
    bench_table("load and compact, a record", rows, count);
    bench_source_destroy(&source);
    return bench_finish();
}
