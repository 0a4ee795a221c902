/* SPDX-License-Identifier: MIT */
/* The library under measurement, through its public header only: open, fill, close, in one call
 * each. */
#ifndef KFL_BENCH_OURS_H
#define KFL_BENCH_OURS_H

#include "bench.h"
#include "kafkalite.h"

#define OURS_TOPIC "bench"

struct ours {
    kfl_store *store;
    kfl_producer *producer;
    int64_t touched_segment; /* the newest file whose pages ours_touch() brought in */
};

/*
 * The store in the directory `path`, with one topic and one producer. helper: the background thread
 * runs. Returns 0, or a negative number with the reason in row->note; ours_close() in any case.
 */
int ours_open(struct bench_row *row, const char *path, const char *acks, int32_t partitions,
              bool helper, struct ours *out);
void ours_close(struct ours *ours);

/* Appends `count` records of the source to partition 0, `per_call` at a time (1:
 * kfl_producer_send). */
int ours_fill(struct bench_row *row, struct ours *ours, const struct bench_source *source,
              uint64_t count, size_t per_call);
/* As many records as a packed call takes here. */
#define OURS_PACK 500u

/* The rows and the bytes of one packed call: `count` records of the source. Owned:
 * ours_pack_destroy(). */
struct ours_pack {
    kfl_packed_row *rows;
    const char *bytes;
    size_t count, bytes_size;
    char *owned;
};
struct ours_pack ours_pack_create(const struct bench_source *source, size_t count);
void ours_pack_destroy(struct ours_pack *pack);

/*
 * Brings every page of the partition's files into the cache through a map of its own, and gives the
 * store's helper threads a moment: they then are ahead of the producer, as they would be of a slower one.
 */
int ours_touch(struct bench_row *row, struct ours *ours);
/* That moment. Whoever is compared with it rests as long, and finds caches and clock rates as cold. */
void ours_rest(void);

/* What the last failed call said, as the row's note; returns -1. */
int ours_failed(struct bench_row *row, const char *call);

#endif
