/* SPDX-License-Identifier: MIT */
/*
 * Deletion of expired segments: kfl_topic_retain() of a store that was just opened, beside bare unlink() of the same
 * files, which another store of the same content has. The time of an operation is a segment's.
 */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "ours.h"

#define DAY_MS INT64_C(86400000)
#define WRITTEN_MS INT64_C(1700000000000)
#define ROWS 30
#define VALUE_SIZE 8000

struct retain {
    int64_t segment_bytes;
    int count;
    bool bare;
};

static int retain_open(struct bench_row *row, const char *path, struct ours *out)
{
    const struct retain *retain = row->context;
    char text[24];
    int r = ours_open(row, path, "1", 1, false, out);
    if (r < 0)
        return r;
    snprintf(text, sizeof text, "%" PRId64, retain->segment_bytes);
    r = kfl_store_set_clock(out->store, WRITTEN_MS);
    if (r >= 0)
        r = kfl_topic_set(out->store, OURS_TOPIC, "segment.bytes", text);
    if (r >= 0)
        r = kfl_topic_set(out->store, OURS_TOPIC, "retention.ms", "1000");
    return r < 0 ? ours_failed(row, "topic") : 0;
}

/* As many full segments, durable; and the store closed. */
static int retain_fill(struct bench_row *row, const char *path)
{
    const struct retain *retain = row->context;
    static char bytes[ROWS * VALUE_SIZE];
    kfl_packed_row rows[ROWS];
    struct ours ours;
    int r = retain_open(row, path, &ours);
    for (int i = 0; i < ROWS; i++)
        rows[i] =
            (kfl_packed_row){.timestamp_ms = WRITTEN_MS, .key_size = -1, .value_size = VALUE_SIZE};
    for (int64_t left = retain->count * retain->segment_bytes; r >= 0 && left > 0;
         left -= (int64_t)sizeof bytes) {
        r = kfl_producer_send_packed(ours.producer, OURS_TOPIC, rows, ROWS, bytes, sizeof bytes);
        if (r < 0)
            ours_failed(row, "fill");
    }
    if (r >= 0 && (r = kfl_store_sync(ours.store, -1)) < 0)
        ours_failed(row, "sync");
    ours_close(&ours);
    return r < 0 ? -1 : 0;
}

static double retain_ours(struct bench_row *row, const char *path)
{
    struct ours ours;
    kfl_progress progress = {0};
    double result = -1;
    if (retain_open(row, path, &ours) < 0)
        return -1;
    int r = kfl_store_set_clock(ours.store, WRITTEN_MS + DAY_MS);
    int64_t start = bench_now_ns();
    if (r >= 0)
        r = kfl_topic_retain(ours.store, OURS_TOPIC, &progress);
    int64_t end = bench_now_ns();
    if (r < 0)
        ours_failed(row, "retain");
    else
        result = (double)(end - start) / (double)progress.deleted_segments;
    snprintf(row->note, sizeof row->note, "%" PRId64 " segments, %.0f MiB: %.1f ms",
             progress.deleted_segments, (double)progress.deleted_bytes / 1048576,
             (double)(end - start) / 1e6);
    ours_close(&ours);
    return result;
}

/* Every file of the partition, in the order in which the folder has them. */
static double retain_bare(struct bench_row *row, const char *path)
{
    char folder[4200];
    struct dirent *entry;
    int count = 0;
    snprintf(folder, sizeof folder, "%s/topics/1/0", path);
    DIR *list = opendir(folder);
    if (list == NULL)
        return bench_out(row, "no folder %s", folder);
    int64_t start = bench_now_ns();
    while ((entry = readdir(list)) != NULL) {
        size_t size = strlen(entry->d_name);
        if (entry->d_name[0] == '.')
            continue;
        count += size > 4 && strcmp(entry->d_name + size - 4, ".log") == 0;
        if (unlinkat(dirfd(list), entry->d_name, 0) < 0)
            bench_die("cannot unlink %s", entry->d_name);
    }
    int64_t end = bench_now_ns();
    closedir(list);
    snprintf(row->note, sizeof row->note, "%d segments: %.1f ms", count,
             (double)(end - start) / 1e6);
    return (double)(end - start) / count;
}

static double retain_run(struct bench_row *row)
{
    const struct retain *retain = row->context;
    char *path = bench_path(retain->bare ? "bare" : "ours");
    double result = -1;
    if (retain_fill(row, path) == 0)
        result = retain->bare ? retain_bare(row, path) : retain_ours(row, path);
    bench_remove(path);
    free(path);
    return result;
}

static void retain_table(const char *title, int64_t segment_bytes, int count, struct bench_bar bar)
{
    struct retain bare = {segment_bytes, count, true}, ours = {segment_bytes, count, false};
    struct bench_row rows[] = {
        {.name = "unlink", .role = BENCH_LIMIT, .run = retain_run, .context = &bare},
        {.name = "retain", .role = BENCH_OURS, .bar = bar, .run = retain_run, .context = &ours},
    };
    bench_table(title, rows, sizeof rows / sizeof *rows);
}

int main(int argc, char **argv)
{
    bench_start(argc, argv, "retain");
    /* A second for a thousand. */
    retain_table("delete 1,000 segments of 1 MiB, a segment", INT64_C(1) << 20, 1000,
                 (struct bench_bar){BENCH_NS, 1e6, 0});
    retain_table("delete segments of 64 MiB, a segment", INT64_C(64) << 20, bench_quick() ? 8 : 32,
                 (struct bench_bar){BENCH_TIME, 1.3, 0});
    return bench_finish();
}
