/* SPDX-License-Identifier: MIT */
/*
 * One record by its offset, at random, each choice made from the record before.
 *
 * The limit is a random dependent load over a mapped file as large as the records. Ours seeks and
 * polls one record, which is verified; "written 500 a call" has to verify the batch that holds it.
 * Peers get a value by the record's number.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "ours.h"
#include "peers.h"

struct get {
    char name[16];
    struct bench_source *source;
    size_t per_call;
    uint64_t count; /* records, or cache lines of the map */
    uint64_t state; /* of the choices */
    char *path, *map;
    struct ours ours;
    kfl_consumer *consumer;
    const struct bench_peer *peer;
    void *store, *session;
};

static size_t get_bytes(void)
{
    return (size_t)(bench_quick() ? 256 : 1024) << 20;
}

static uint64_t get_round_count(void)
{
    return bench_quick() ? 50000 : 200000;
}

static int load_open(struct bench_row *row)
{
    struct get *get = row->context;
    get->path = bench_path(get->name);
    get->map = bench_map(get->path, get_bytes(), true);
    get->count = get_bytes() / 64;
    return 0;
}

static void load_close(struct bench_row *row)
{
    struct get *get = row->context;
    bench_unmap(get->map, get_bytes());
    bench_remove(get->path);
    free(get->path);
}

static double load_run(struct bench_row *row)
{
    struct get *get = row->context;
    uint64_t word = 0;
    int64_t start = bench_now_ns();
    for (uint64_t i = 0; i < get_round_count(); i++) {
        uint64_t line = (bench_random(&get->state) + word) % get->count;
        memcpy(&word, get->map + line * 64, sizeof word);
    }
    bench_keep(word);
    return (double)(bench_now_ns() - start) / (double)get_round_count();
}

static int ours_row_open(struct bench_row *row)
{
    struct get *get = row->context;
    get->count = get_bytes() / get->source->record_size / OURS_PACK * OURS_PACK;
    get->path = bench_path(get->name);
    if (ours_open(row, get->path, "1", 1, true, &get->ours) < 0 ||
        ours_fill(row, &get->ours, get->source, get->count, get->per_call) < 0)
        return -1;
    kfl_partition_offset from = {.topic = OURS_TOPIC, .offset = KFL_OFFSET_BEGINNING};
    if (kfl_consumer_open(get->ours.store, NULL, &get->consumer) < 0 ||
        kfl_consumer_assign(get->consumer, &from, 1) < 0)
        return ours_failed(row, "consumer");
    return 0;
}

static void ours_row_close(struct bench_row *row)
{
    struct get *get = row->context;
    kfl_consumer_close(get->consumer);
    ours_close(&get->ours);
    bench_remove(get->path);
    free(get->path);
}

static double ours_row_run(struct bench_row *row)
{
    struct get *get = row->context;
    uint64_t word = 0, count = get_round_count();
    if (get->per_call > 1)
        count /= 10;
    int64_t start = bench_now_ns();
    for (uint64_t i = 0; i < count; i++) {
        kfl_records *records;
        int64_t offset = (int64_t)((bench_random(&get->state) + word) % get->count);
        if (kfl_consumer_seek(get->consumer, OURS_TOPIC, 0, offset) < 0)
            return ours_failed(row, "seek");
        if (kfl_consumer_poll(get->consumer, 0, 1, &records) != 1)
            return ours_failed(row, "poll");
        const kfl_record *record = kfl_records_get(records, 0);
        if (record->offset != offset)
            return bench_out(row, "asked for %lld, got %lld", (long long)offset,
                             (long long)record->offset);
        memcpy(&word, record->value, sizeof word);
        kfl_records_release(records);
    }
    return (double)(bench_now_ns() - start) / (double)count;
}

static int peer_open(struct bench_row *row)
{
    struct get *get = row->context;
    get->path = bench_path(get->name);
    get->count = get_bytes() / get->source->record_size / OURS_PACK * OURS_PACK;
    get->store = get->peer->open(get->path, false);
    get->session = get->peer->enter(get->store);
    for (uint64_t n = 0; n < get->count && bench_going_on(); n += OURS_PACK)
        get->peer->append(get->session, n, OURS_PACK, get->source);
    return 0;
}

static void peer_close(struct bench_row *row)
{
    struct get *get = row->context;
    get->peer->leave(get->session);
    get->peer->close(get->store);
    bench_remove(get->path);
    free(get->path);
}

static double peer_run(struct bench_row *row)
{
    struct get *get = row->context;
    uint64_t word = 0, count = get_round_count() / 10;
    int64_t start = bench_now_ns();
    for (uint64_t i = 0; i < count; i++)
        word = get->peer->get(get->session, (bench_random(&get->state) + word) % get->count);
    bench_keep(word);
    return (double)(bench_now_ns() - start) / (double)count;
}

static void get_table(size_t value_size, struct bench_bar bar)
{
    enum { ROWS = 12 };
    static struct get contexts[ROWS];
    static struct bench_row rows[ROWS];
    struct bench_source source = bench_source_create(value_size);
    char title[64];
    size_t count = 3;
    memset(contexts, 0, sizeof contexts);
    memset(rows, 0, sizeof rows);
    rows[0] = (struct bench_row){.name = "random dependent load", .role = BENCH_LIMIT};
    rows[1] = (struct bench_row){
        .name = "seek + poll, written one a call", .role = BENCH_OURS, .bar = bar};
    rows[2] = (struct bench_row){.name = "seek + poll, written 500 a call", .role = BENCH_OURS};
    for (size_t i = 0; i < 3; i++) {
        contexts[i].per_call = i == 1 ? 1 : OURS_PACK;
        rows[i].open = i == 0 ? load_open : ours_row_open;
        rows[i].run = i == 0 ? load_run : ours_row_run;
        rows[i].close = i == 0 ? load_close : ours_row_close;
    }
    for (size_t i = 0; bench_peers[i] != NULL && count < ROWS; i++, count++) {
        contexts[count].peer = bench_peers[i];
        rows[count] = (struct bench_row){.name = bench_peers[i]->name, .role = BENCH_PEER};
        rows[count].open = peer_open;
        rows[count].run = peer_run;
        rows[count].close = peer_close;
    }
    for (size_t i = 0; i < count; i++) {
        snprintf(contexts[i].name, sizeof contexts[i].name, "row%zu", i);
        contexts[i].source = &source;
        contexts[i].state = 0x9e3779b97f4a7c15u;
        rows[i].context = &contexts[i];
    }
    snprintf(title, sizeof title, "get by offset, %zu MiB, %zu-byte values", get_bytes() >> 20,
             value_size);
    bench_table(title, rows, count);
    bench_source_destroy(&source);
}

int main(int argc, char **argv)
{
    bench_start(argc, argv, "get");
    get_table(100, (struct bench_bar){BENCH_TIME, 2, 1.25});
    if (!bench_quick())
        get_table(1024, (struct bench_bar){BENCH_TIME, 2, 1.25});
    return bench_finish();
}
