/* SPDX-License-Identifier: MIT */
/*
 * Reading a whole warm partition from its beginning, every record verified and looked at.
 *
 * The limit is XXH3 over a mapped file of as many bytes, a megabyte at a time. Ours hands out
 * records by kfl_consumer_poll(), which verifies; the bench reads the first bytes of each value.
 * Peers hand out their values; "hashed" runs XXH3 over each, which is what verifying would cost
 * them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef KFL_HAVE_XXH_DISPATCH
#include <xxh_x86dispatch.h> /* as the library: the widest vectors of this processor */
#else
#include <xxhash.h>
#endif

#include "bench.h"
#include "ours.h"
#include "peers.h"

struct poll {
    char name[16];
    struct bench_source *source;
    size_t per_call; /* ours: records of one append */
    int32_t max_records;
    bool hashed;
    uint64_t count; /* records in the store */
    char *path, *map;
    struct ours ours;
    const struct bench_peer *peer;
    void *store, *session;
};

static uint64_t poll_sum;

static size_t poll_bytes(void)
{
    return (size_t)(bench_quick() ? 64 : 256) << 20;
}

static int map_open(struct bench_row *row)
{
    struct poll *poll = row->context;
    poll->path = bench_path(poll->name);
    poll->map = bench_map(poll->path, poll_bytes(), true);
    for (size_t i = 0; i < poll_bytes(); i += poll->source->record_size) {
        size_t size = poll_bytes() - i < poll->source->record_size ? poll_bytes() - i
                                                                   : poll->source->record_size;
        memcpy(poll->map + i, bench_source_record(poll->source, i), size);
    }
    return 0;
}

static void map_close(struct bench_row *row)
{
    struct poll *poll = row->context;
    bench_unmap(poll->map, poll_bytes());
    bench_remove(poll->path);
    free(poll->path);
}

static double map_run(struct bench_row *row)
{
    struct poll *poll = row->context;
    uint64_t sum = 0;
    int64_t start = bench_now_ns();
    for (size_t place = 0; place < poll_bytes(); place += (size_t)1 << 20) {
        if (poll->hashed) {
            sum += XXH3_64bits(poll->map + place, (size_t)1 << 20);
            continue;
        }
        for (size_t i = 0; i < (size_t)1 << 20; i += sizeof(uint64_t)) {
            uint64_t word;
            memcpy(&word, poll->map + place + i, sizeof word);
            sum += word;
        }
    }
    bench_keep(sum);
    double records = (double)poll_bytes() / (double)poll->source->record_size;
    return (double)(bench_now_ns() - start) / records;
}

static int ours_row_open(struct bench_row *row)
{
    struct poll *poll = row->context;
    poll->count = poll_bytes() / poll->source->record_size / OURS_PACK * OURS_PACK;
    poll->path = bench_path(poll->name);
    if (ours_open(row, poll->path, "1", 1, true, &poll->ours) < 0)
        return -1;
    return ours_fill(row, &poll->ours, poll->source, poll->count, poll->per_call);
}

static void ours_row_close(struct bench_row *row)
{
    struct poll *poll = row->context;
    ours_close(&poll->ours);
    bench_remove(poll->path);
    free(poll->path);
}

/* What a program does first with a record: look at its value. */
static uint64_t ours_visit(const kfl_records *records, int32_t count)
{
    uint64_t sum = 0;
    size_t stride = kfl_records_stride(records);
    const char *row = (const char *)kfl_records_get(records, 0);
    for (int32_t i = 0; i < count; i++, row += stride) {
        const kfl_record *record = (const kfl_record *)(const void *)row;
        uint64_t word;
        memcpy(&word, record->value, sizeof word);
        sum += word + record->value_size;
    }
    return sum;
}

static double ours_read_all(struct bench_row *row, kfl_consumer *consumer)
{
    struct poll *poll = row->context;
    uint64_t seen = 0, sum = 0;
    kfl_partition_offset from = {.topic = OURS_TOPIC, .offset = KFL_OFFSET_BEGINNING};
    if (kfl_consumer_assign(consumer, &from, 1) < 0)
        return ours_failed(row, "assign");
    int64_t start = bench_now_ns();
    while (seen < poll->count) {
        kfl_records *records;
        int r = kfl_consumer_poll(consumer, 1000, poll->max_records, &records);
        if (r < 0)
            return ours_failed(row, "poll");
        if (r == 0)
            return bench_out(row, "only %llu records came", (unsigned long long)seen);
        sum += ours_visit(records, r);
        seen += (uint64_t)r;
        kfl_records_release(records);
    }
    bench_keep(sum);
    return (double)(bench_now_ns() - start) / (double)seen;
}

static double ours_row_run(struct bench_row *row)
{
    struct poll *poll = row->context;
    kfl_consumer *consumer;
    if (kfl_consumer_open(poll->ours.store, NULL, &consumer) < 0)
        return ours_failed(row, "consumer");
    double ns = ours_read_all(row, consumer);
    kfl_consumer_close(consumer);
    return ns;
}

static int peer_open(struct bench_row *row)
{
    struct poll *poll = row->context;
    poll->path = bench_path(poll->name);
    poll->count = poll_bytes() / poll->source->record_size / OURS_PACK * OURS_PACK;
    poll->store = poll->peer->open(poll->path, false);
    poll->session = poll->peer->enter(poll->store);
    for (uint64_t n = 0; n < poll->count && bench_going_on(); n += OURS_PACK)
        poll->peer->append(poll->session, n, OURS_PACK, poll->source);
    return 0;
}

static void peer_close(struct bench_row *row)
{
    struct poll *poll = row->context;
    poll->peer->leave(poll->session);
    poll->peer->close(poll->store);
    bench_remove(poll->path);
    free(poll->path);
}

static void peer_look(const void *value, size_t size)
{
    uint64_t word;
    memcpy(&word, value, sizeof word);
    poll_sum += word + size;
}

static void peer_hash(const void *value, size_t size)
{
    poll_sum += XXH3_64bits(value, size);
}

static double peer_run(struct bench_row *row)
{
    struct poll *poll = row->context;
    int64_t start = bench_now_ns();
    uint64_t count = poll->peer->scan(poll->session, poll->hashed ? peer_hash : peer_look);
    double spent = (double)(bench_now_ns() - start);
    bench_keep(poll_sum);
    return count < poll->count ? bench_out(row, "records are missing") : spent / (double)count;
}

static void poll_table(size_t value_size, struct bench_bar bar)
{
    enum { ROWS = 16 };
    static struct poll contexts[ROWS];
    static struct bench_row rows[ROWS];
    static char names[ROWS][48];
    struct bench_source source = bench_source_create(value_size);
    char title[64];
    size_t count = 6;
    memset(contexts, 0, sizeof contexts);
    memset(rows, 0, sizeof rows);
    rows[0] = (struct bench_row){.name = "XXH3 over the mapping", .role = BENCH_LIMIT};
    rows[1] = (struct bench_row){.name = "sum over the mapping", .role = BENCH_NOTE};
    rows[2] =
        (struct bench_row){.name = "poll, written 500 a call", .role = BENCH_OURS, .bar = bar};
    rows[3] = (struct bench_row){.name = "same, 10000 a poll", .role = BENCH_OURS, .bar = bar};
    rows[4] =
        (struct bench_row){.name = "poll, written one a call", .role = BENCH_OURS, .bar = bar};
    rows[5] = (struct bench_row){.name = "same, 10000 a poll", .role = BENCH_OURS, .bar = bar};
    for (size_t i = 0; i < 6; i++) {
        contexts[i].hashed = i == 0;
        contexts[i].per_call = i < 4 ? OURS_PACK : 1;
        contexts[i].max_records = i % 2 == 0 ? 0 : 10000;
        rows[i].open = i < 2 ? map_open : ours_row_open;
        rows[i].run = i < 2 ? map_run : ours_row_run;
        rows[i].close = i < 2 ? map_close : ours_row_close;
    }
    for (size_t i = 0; bench_peers[i] != NULL && count + 2 <= ROWS; i++) {
        for (int hashed = 0; hashed < 2; hashed++, count++) {
            snprintf(names[count], sizeof names[count], "%s%s", bench_peers[i]->name,
                     hashed ? ", hashed" : "");
            contexts[count].peer = bench_peers[i];
            contexts[count].hashed = hashed != 0;
            rows[count] = (struct bench_row){.name = names[count], .role = BENCH_PEER};
            rows[count].open = peer_open;
            rows[count].run = peer_run;
            rows[count].close = peer_close;
        }
    }
    for (size_t i = 0; i < count; i++) {
        snprintf(contexts[i].name, sizeof contexts[i].name, "row%zu", i);
        contexts[i].source = &source;
        rows[i].context = &contexts[i];
        rows[i].bytes = (double)source.record_size;
        rows[i].bar.measure = bar.measure;
    }
    snprintf(title, sizeof title, "poll 8-byte key, %zu-byte value", value_size);
    bench_table(title, rows, count);
    bench_source_destroy(&source);
}

int main(int argc, char **argv)
{
    bench_start(argc, argv, "poll");
    poll_table(100, (struct bench_bar){BENCH_NS, 25, 20});
    poll_table(1024, (struct bench_bar){BENCH_RATE, 0.7, 0.85});
    if (!bench_quick())
        poll_table(16, (struct bench_bar){BENCH_NS, 0, 0});
    return bench_finish();
}
