/* SPDX-License-Identifier: MIT */
/* New files, filled with the records that compaction keeps. */
#ifndef KFL_ENGINE_REWRITE_H
#define KFL_ENGINE_REWRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "catalog/segments.h"
#include "engine/partition.h"

#define KFL_REWRITE_RECORDS 512

/* A record that stays: its bytes as they are in an unpacked batch. */
struct kfl__rewrite_record {
    const uint8_t *bytes;
    uint32_t size;
    bool append_time, tombstone;
    int64_t offset, timestamp_ms;
};

struct kfl__rewrite {
    /* constant while it runs */
    struct kfl__partition *partition;
    const struct kfl__settings *settings;
    uint32_t epoch;
    uint64_t interval;

    /* complete, synced, not in use yet; rows as they will be */
    struct kfl__segment_row *done;
    int32_t done_count, done_room;

    /* the file that is being filled; segment NULL: none */
    struct kfl__segment *segment;
    struct kfl__segment_row row;
    uint64_t place, written; /* behind the last batch; of it, what is in the file */
    uint32_t batches, times;
    uint64_t time_place;
    int64_t next_offset; /* behind the last batch's span */
    uint8_t *buffer;
    uint64_t buffer_room;

    /* the batch that is being gathered: borrowed records, to be laid when its largest time is known */
    struct kfl__rewrite_record *records;
    int32_t record_count;
    uint64_t bytes;
    uint16_t flags;
    bool tombstones;
    int64_t horizon_ms; /* of its tombstones; -1: not stamped */

    int64_t written_bytes, kept_records; /* so far */
};

int kfl__rewrite_init(struct kfl__rewrite *rewrite, struct kfl__partition *partition);
/* What is not in use is thrown away. Takes a zeroed one. Keeps the thread's words. */
void kfl__rewrite_release(struct kfl__rewrite *rewrite);

static inline bool kfl__rewrite_is_open(const struct kfl__rewrite *rewrite)
{
    return rewrite->segment != NULL;
}
/* A file that begins at base_offset, for `bytes` or as many as a segment holds, and at least for a batch of `least`. */
int kfl__rewrite_open(struct kfl__rewrite *rewrite, int64_t base_offset, int64_t bytes,
                      int64_t least);

/*
 * Keep a record: its bytes stay until the next _flush, _add_packed or _close. horizon_ms counts for a tombstone.
 */
int kfl__rewrite_add(struct kfl__rewrite *rewrite, const struct kfl__rewrite_record *record,
                     int64_t horizon_ms);
/* Keep a whole compressed batch as it is: `payload` bytes, with the horizon that its tombstones have, if any (-1). */
int kfl__rewrite_add_packed(struct kfl__rewrite *rewrite, const struct kfl__batch_header *header,
                            const uint8_t *payload, int64_t end_offset, int64_t horizon_ms);
/* Lay what is gathered, compressed where codec is not 0. */
int kfl__rewrite_flush(struct kfl__rewrite *rewrite, int codec);
/* The file ends with everything below end_offset: synced, and among those that are done. */
int kfl__rewrite_close(struct kfl__rewrite *rewrite, int64_t end_offset);

#endif
