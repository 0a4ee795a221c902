/* SPDX-License-Identifier: MIT */
/*
 * Appending with acks=1, one thread: the bare copy of the same bytes into a mapped file, ours,
 * peers.
 *
 * A record has an 8-byte key and the value that its table names. "pages present": before each burst
 * of about a megabyte, untimed, the pages of the partition's files are brought into the page cache,
 * and the store's own threads, which touch pages ahead, get a moment; the note counts the faults
 * that the producer still met. "as it is": a default store, one burst after the other, new segments
 * and all.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "ours.h"
#include "peers.h"

#define COPY_BYTES ((size_t)96 << 20) /* larger than the last-level cache */

struct append {
    const char *name; /* of its file or directory */
    struct bench_source *source;
    size_t per_call;
    bool present; /* pages are brought in first */
    uint64_t next;
    char *map;
    struct ours ours;
    struct ours_pack pack;
    const struct bench_peer *peer;
    void *store, *session;
    char *path;
};

/* How many records a round writes: the same payload for all sizes, but not for slow peers. */
static uint64_t append_round_count(const struct append *append)
{
    uint64_t bytes = bench_quick() ? 8u << 20 : 24u << 20;
    uint64_t count = bytes / append->source->record_size;
    if (count > 200000)
        count = 200000;
    return count - count % OURS_PACK + OURS_PACK;
}

/* About a megabyte. */
static uint64_t append_burst_count(const struct append *append)
{
    return ((1u << 20) / append->source->record_size / OURS_PACK + 1) * OURS_PACK;
}

static int copy_open(struct bench_row *row)
{
    struct append *append = row->context;
    append->path = bench_path(append->name);
    append->map = bench_map(append->path, COPY_BYTES, append->present);
    return 0;
}

static void copy_close(struct bench_row *row)
{
    struct append *append = row->context;
    bench_unmap(append->map, COPY_BYTES);
    bench_remove(append->path);
    free(append->path);
}

/* The size comes from memory, so that the compiler cannot make the copy one of a known size. */
static double copy_run(struct bench_row *row)
{
    struct append *append = row->context;
    const struct bench_source *source = append->source;
    uint64_t count = append_round_count(append);
    if (!append->present) {
        copy_close(row);
        copy_open(row);
        append->next = 0;
    }
    if (append->next + count * source->record_size > COPY_BYTES)
        append->next = 0;
    if (count * source->record_size > COPY_BYTES)
        count = COPY_BYTES / source->record_size;
    char *to = append->map + append->next;
    uint64_t burst = append->present ? append_burst_count(append) : count;
    int64_t spent = 0;
    for (uint64_t done = 0; done < count;) {
        uint64_t upto = done + burst < count ? done + burst : count;
        if (append->present)
            ours_rest(); /* in the rhythm of the rows that follow: caches and clock rate as theirs */
        int64_t start = bench_now_ns();
        for (; done < upto; done++) {
            memcpy(to, bench_source_record(source, done), source->record_size);
            to += source->record_size;
        }
        __asm__ volatile("" : : : "memory");
        spent += bench_now_ns() - start;
    }
    append->next += count * source->record_size;
    return (double)spent / (double)count;
}

static int ours_row_open(struct bench_row *row)
{
    struct append *append = row->context;
    append->path = bench_path(append->name);
    if (ours_open(row, append->path, "1", 1, true, &append->ours) < 0)
        return -1;
    append->pack = ours_pack_create(append->source, OURS_PACK);
    /* Past the first files of a partition, which are small. */
    uint64_t bytes = bench_quick() ? 24u << 20 : 160u << 20;
    return ours_fill(row, &append->ours, append->source, bytes / append->source->record_size,
                     append->source->record_size < 4096 ? OURS_PACK : 1);
}

static void ours_row_close(struct bench_row *row)
{
    struct append *append = row->context;
    ours_close(&append->ours);
    ours_pack_destroy(&append->pack);
    bench_remove(append->path);
    free(append->path);
}

static int append_burst(struct append *append, uint64_t count)
{
    int r = 0;
    const struct bench_source *source = append->source;
    kfl_producer *producer = append->ours.producer;
    if (append->per_call > 1) {
        struct ours_pack *pack = &append->pack;
        for (uint64_t n = 0; n < count && r >= 0; n += pack->count)
            r = kfl_producer_send_packed(producer, OURS_TOPIC, pack->rows, pack->count, pack->bytes,
                                         pack->bytes_size);
        return r;
    }
    for (uint64_t n = 0; n < count && r >= 0; n++) {
        const char *record = bench_source_record(source, n);
        int64_t offset;
        r = kfl_producer_send(producer, OURS_TOPIC, 0, record, BENCH_KEY_SIZE,
                              record + BENCH_KEY_SIZE, source->value_size, NULL, 0,
                              KFL_TIMESTAMP_NOW, &offset);
    }
    return r;
}

static double ours_row_run(struct bench_row *row)
{
    struct append *append = row->context;
    uint64_t count = append_round_count(append), done = 0;
    uint64_t burst = append_burst_count(append);
    int64_t spent = 0, faults = 0;
    if (!append->present)
        burst = count;
    for (; done < count; done += burst) {
        if (append->present && ours_touch(row, &append->ours) < 0)
            return -1;
        int64_t faults_before = bench_faults();
        int64_t start = bench_now_ns();
        int r = append_burst(append, burst);
        spent += bench_now_ns() - start;
        faults += bench_faults() - faults_before;
        if (r < 0)
            return ours_failed(row, "send");
    }
    double megabytes = (double)(done * append->source->record_size) / 1048576;
    snprintf(row->note, sizeof row->note, "%.2f faults/MiB of payload", (double)faults / megabytes);
    return (double)spent / (double)done;
}

static int peer_open(struct bench_row *row)
{
    struct append *append = row->context;
    append->path = bench_path(append->name);
    append->store = append->peer->open(append->path, false);
    append->session = append->peer->enter(append->store);
    return 0;
}

static void peer_close(struct bench_row *row)
{
    struct append *append = row->context;
    append->peer->leave(append->session);
    append->peer->close(append->store);
    bench_remove(append->path);
    free(append->path);
}

/* At most a fixed time a round: slow peers write fewer records. */
static double peer_run(struct bench_row *row)
{
    struct append *append = row->context;
    uint64_t count = append_round_count(append), done = 0;
    int64_t start = bench_now_ns(), spent = 0;
    int64_t limit = bench_quick() ? 50000000 : 150000000;
    while (done < count && spent < limit) {
        for (int i = 0; i < (append->per_call == 1 ? 50 : 1); i++) {
            append->peer->append(append->session, append->next + done, append->per_call,
                                 append->source);
            done += append->per_call;
        }
        spent = bench_now_ns() - start;
    }
    append->next += done;
    return (double)spent / (double)done;
}

/* must and goal, in times the copy; 0: none. */
struct append_bars {
    double one_must, one_goal, many_must, many_goal, fresh_must, fresh_goal;
};

static void append_table(size_t value_size, const struct append_bars *bars)
{
    struct bench_source source = bench_source_create(value_size);
    struct append contexts[24];
    struct bench_row rows[24];
    char title[64], names[24][48];
    size_t count = 6;
    double bytes = (double)source.record_size;
    memset(contexts, 0, sizeof contexts);
    memset(rows, 0, sizeof rows);
    rows[0] = (struct bench_row){.name = "copy, pages present", .role = BENCH_LIMIT};
    rows[1] = (struct bench_row){.name = "copy, fresh pages", .role = BENCH_NOTE};
    rows[2] = (struct bench_row){.name = "send, pages present",
                                 .bar = {BENCH_TIME, bars->one_must, bars->one_goal}};
    rows[3] = (struct bench_row){.name = "send, as it is",
                                 .bar = {BENCH_TIME, bars->fresh_must, bars->fresh_goal}};
    rows[4] = (struct bench_row){.name = "500 a call, pages present",
                                 .bar = {BENCH_TIME, bars->many_must, bars->many_goal}};
    rows[5] = (struct bench_row){.name = "500 a call, as it is"};
    for (size_t i = 0; i < 6; i++) {
        bool copy = i < 2;
        contexts[i].per_call = i >= 4 ? OURS_PACK : 1;
        contexts[i].present = i == 0 || i == 2 || i == 4;
        rows[i].open = copy ? copy_open : ours_row_open;
        rows[i].run = copy ? copy_run : ours_row_run;
        rows[i].close = copy ? copy_close : ours_row_close;
        if (!copy)
            rows[i].role = BENCH_OURS;
    }
    for (size_t i = 0; bench_peers[i] != NULL && count + 2 <= 24; i++) {
        for (int many = 0; many < 2; many++, count++) {
            snprintf(names[count], sizeof names[count], "%s, %s", bench_peers[i]->name,
                     many ? "500 a commit" : "one a commit");
            contexts[count].peer = bench_peers[i];
            contexts[count].per_call = many ? OURS_PACK : 1;
            rows[count] = (struct bench_row){.name = names[count], .role = BENCH_PEER};
            rows[count].open = peer_open;
            rows[count].run = peer_run;
            rows[count].close = peer_close;
        }
    }
    for (size_t i = 0; i < count; i++) {
        char name[16];
        snprintf(name, sizeof name, "row%zu", i);
        contexts[i].name = strdup(name);
        contexts[i].source = &source;
        rows[i].context = &contexts[i];
        rows[i].bytes = bytes;
    }
    snprintf(title, sizeof title, "append 8-byte key, %zu-byte value", value_size);
    bench_table(title, rows, count);
    for (size_t i = 0; i < count; i++)
        free((char *)(uintptr_t)contexts[i].name);
    bench_source_destroy(&source);
}

int main(int argc, char **argv)
{
    static const struct append_bars bars_16 = {.one_goal = 5, .many_goal = 2.8};
    static const struct append_bars bars_100 = {3, 2, 2, 1.6, 5, 3.5};
    static const struct append_bars bars_1024 = {.one_goal = 1.6, .many_goal = 1.5};
    static const struct append_bars bars_65536 = {.one_goal = 1.5, .many_goal = 1.4};
    bench_start(argc, argv, "append");
    append_table(100, &bars_100);
    if (!bench_quick()) {
        append_table(16, &bars_16);
        append_table(1024, &bars_1024);
        append_table(65536, &bars_65536);
    }
    return bench_finish();
}
