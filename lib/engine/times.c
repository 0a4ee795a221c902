/* SPDX-License-Identifier: MIT */
/*
 * Offsets for times.
 *
 * Times may be out of order, so the answer is the first record, in offset order, whose time is late enough
 * (G5). A segment whose largest time is known to be too early is passed over; inside one, the signposts of
 * largest times so far tell where to begin to walk.
 */
#include "base/file.h"
#include "base/memory.h"
#include "engine/read.h"
#include "engine/topics.h"
#include "format/codec.h"
#include "log/lookup.h"

/* The first record of a verified batch with a late enough time. 1, 0, or an error. */
static int times_search_batch(const struct kfl__segment *segment, uint64_t place, const struct kfl__batch_header *header,
                              int64_t timestamp_ms, int64_t least_offset, int64_t *out_offset, int64_t *out_timestamp_ms)
{
    const uint8_t *payload = segment->bytes + place + kfl__batch_head_size(header);
    size_t size = header->size - kfl__batch_head_size(header);
    uint8_t *unpacked = NULL;
    struct kfl__batch_cursor cursor;
    kfl_record record;
    int codec = header->flags & (int)KFL_BATCH_FLAG_CODEC;
    int r = 0;
    if (codec != KFL_CODEC_NONE) {
        unpacked = kfl__alloc(header->unpacked_size);
        if (unpacked == NULL)
            return kfl__fail(KFL_E_NOMEM, "a batch of %u bytes: out of memory", header->unpacked_size);
        r = kfl__codec_unpack(codec, payload, size, unpacked, header->unpacked_size);
        payload = unpacked;
        size = header->unpacked_size;
    }
    if (r == 0) {
        kfl__batch_cursor_init(&cursor, header, payload, size);
        while ((r = kfl__batch_next(&cursor, &record)) == 1)
            if (record.timestamp_ms >= timestamp_ms && record.offset >= least_offset) {
                *out_offset = record.offset;
                *out_timestamp_ms = record.timestamp_ms;
                break;
            }
    }
    kfl__free(unpacked);
    return r == KFL_E_CORRUPT ? 0 : r; /* what cannot be read has no time */
}

/* Walk from the cursor's place to the end of the partition. */
static int times_walk(struct kfl__cursor *cursor, int64_t timestamp_ms, int64_t *out_offset, int64_t *out_timestamp_ms)
{
    for (;;) {
        int r = kfl__cursor_batch(cursor);
        if (r == KFL_CURSOR_HOLE)
            continue;
        if (r <= 0)
            return r;
        if (cursor->header.max_timestamp_ms >= timestamp_ms) {
            r = times_search_batch(cursor->segment, cursor->place, &cursor->header, timestamp_ms, cursor->offset, out_offset,
                                   out_timestamp_ms);
            if (r != 0)
                return r;
        }
        kfl__cursor_pass(cursor);
    }
}

/* The first segment that may hold such a time, and the offset to begin at in it. */
static int times_begin(struct kfl__partition *partition, struct kfl__view *view, int64_t timestamp_ms, int64_t *io_offset)
{
    for (int32_t i = 0; i < view->entry_count; i++) {
        const struct kfl__view_entry *entry = &view->entries[i];
        int64_t end = i + 1 < view->entry_count ? entry[1].base_offset : INT64_MAX;
        struct kfl__segment *segment = NULL;
        struct kfl__batch_header header;
        if (end <= *io_offset || (entry->max_timestamp_ms >= 0 && entry->max_timestamp_ms < timestamp_ms))
            continue;
        int r = kfl__partition_segment(partition, view, i, &segment);
        if (r == KFL_E_CORRUPT || r > 0)
            continue; /* a lost file: the walk passes over it too */
        if (r < 0)
            return r;
        uint64_t place = kfl__lookup_time(segment, segment->size, timestamp_ms);
        if (entry->base_offset > *io_offset)
            *io_offset = entry->base_offset;
        if (place != KFL_SEGMENT_FIRST_PLACE && kfl__batch_peek(segment->bytes, place, segment->size, &header) == 0 &&
            header.base_offset > *io_offset)
            *io_offset = header.base_offset;
        kfl__segment_release(segment);
        return 1;
    }
    return 0;
}

int kfl__partition_find_time(struct kfl__partition *partition, int64_t timestamp_ms, int64_t *out_offset,
                             int64_t *out_timestamp_ms)
{
    struct kfl__view *view = NULL;
    struct kfl__cursor cursor;
    for (;;) {
        int64_t offset = kfl__partition_start(partition);
        int r = kfl__partition_view(partition, &view);
        if (r < 0)
            return r;
        r = times_begin(partition, view, timestamp_ms, &offset);
        kfl__view_release(view);
        if (r <= 0)
            return r;
        kfl__cursor_init(&cursor, partition, offset, false);
        r = times_walk(&cursor, timestamp_ms, out_offset, out_timestamp_ms);
        kfl__cursor_close(&cursor);
        if (r != KFL_E_OFFSET_OUT_OF_RANGE)
            return r; /* else the start moved meanwhile */
    }
}

/* The largest time in one segment, by walking it. -1: none. */
static int times_max_of(struct kfl__partition *partition, int64_t from, int64_t to, int64_t *io_max)
{
    struct kfl__cursor cursor;
    int r;
    kfl__cursor_init(&cursor, partition, from, false);
    while ((r = kfl__cursor_batch(&cursor)) > 0) {
        if (r == KFL_CURSOR_HOLE)
            continue;
        if (cursor.header.base_offset >= to)
            break;
        if (cursor.header.max_timestamp_ms > *io_max)
            *io_max = cursor.header.max_timestamp_ms;
        kfl__cursor_pass(&cursor);
    }
    kfl__cursor_close(&cursor);
    return r < 0 ? r : 0;
}

/* The largest time at `start` or above. -1: none. */
static int times_max(struct kfl__partition *partition, int64_t start, int64_t *out_max)
{
    struct kfl__view *view = NULL;
    int r = kfl__partition_view(partition, &view);
    *out_max = -1;
    for (int32_t i = 0; r >= 0 && i < view->entry_count; i++) {
        const struct kfl__view_entry *entry = &view->entries[i];
        int64_t end = i + 1 < view->entry_count ? entry[1].base_offset : INT64_MAX;
        if (end <= start)
            continue;
        if (entry->max_timestamp_ms >= 0 && entry->base_offset >= start)
            *out_max = entry->max_timestamp_ms > *out_max ? entry->max_timestamp_ms : *out_max;
        else
            r = times_max_of(partition, entry->base_offset > start ? entry->base_offset : start, end, out_max);
    }
    kfl__view_release(view);
    return r;
}

int kfl__partition_max_timestamp(struct kfl__partition *partition, int64_t *out_offset, int64_t *out_timestamp_ms)
{
    for (;;) {
        int64_t start = kfl__partition_start(partition), max;
        int r = times_max(partition, start, &max);
        if (r >= 0)
            r = max < 0 ? 0 : kfl__partition_find_time(partition, max, out_offset, out_timestamp_ms);
        /* The start may have moved meanwhile, and with it the largest time may have gone. */
        if ((r < 0 && r != KFL_E_OFFSET_OUT_OF_RANGE) || r == 1 || atomic_load(&partition->slot->start_offset) == start)
            return r;
    }
}
