/* SPDX-License-Identifier: MIT */
/*
 * Batches: seal, verify, step through. Pure: no I/O, no clock, no allocation.
 *
 * A payload is laid first (record by record, or copied from where it was built), then the header is
 * sealed over it: offsets, times and checksum are set in one step, and nothing changes any more.
 */
#ifndef KFL_FORMAT_BATCH_H
#define KFL_FORMAT_BATCH_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "format/layout.h"
#include "format/record.h"
#include "kafkalite.h"

/* What the one who appends knows of the batch. */
struct kfl__batch_facts {
    int64_t base_offset;
    int64_t max_timestamp_ms;
    uint32_t record_count;
    uint32_t payload_size;
    uint32_t unpacked_size;
    uint32_t writer_epoch;
    uint16_t flags;
    int64_t durable_offset; /* -1: not said */
    uint64_t payload_hash;  /* kfl__hash64 of the payload */
};

/* Room in the file: header and payload, rounded up to KFL_BATCH_ALIGNMENT. */
static inline uint64_t kfl__batch_room(uint64_t payload_size)
{
    return (sizeof(struct kfl__batch_header) + payload_size + KFL_BATCH_ALIGNMENT - 1) &
           ~(uint64_t)(KFL_BATCH_ALIGNMENT - 1);
}

/*
 * Write the header for a batch at `place` of the segment with this seed; the payload lies (or will
 * lie) right behind. The padding behind the payload is not touched: see kfl__batch_pad().
 */
void kfl__batch_seal(void *to, const struct kfl__batch_facts *facts, uint64_t place, uint64_t seed);
/*
 * Zero the up to 7 bytes between the payload's end and the next batch's place. `batch` points at
 * the header.
 */
static inline void kfl__batch_pad(void *batch, uint32_t payload_size)
{
    uint8_t *last = (uint8_t *)batch + kfl__batch_room(payload_size) - sizeof(uint64_t);
    /* The payload fills `payload_size % 8` bytes of the last word, or all of it. */
    uint64_t padding = (0 - (uint64_t)payload_size) % sizeof(uint64_t);
    kfl__store64(last, kfl__load64(last) & UINT64_MAX >> 8 * padding);
}
/*
 * The same for what compaction leaves of one or more batches: it spans `span` offsets, at least as many as it has
 * records. With KFL_BATCH_FLAG_HORIZON among the flags the payload begins with the extension, which payload_size and
 * the payload's hash count in, and unpacked_size does not.
 */
void kfl__batch_seal_compacted(void *to, const struct kfl__batch_facts *facts, uint32_t span, uint64_t place,
                               uint64_t seed);
/* An end mark: 48 bytes at `to`. */
void kfl__batch_seal_end(void *to, int64_t end_offset, int64_t next_segment_id,
                         uint32_t writer_epoch, int64_t durable_offset, uint64_t place,
                         uint64_t seed);

#define KFL_BATCH_BAD 1   /* not a batch of this place and segment, or damaged */
#define KFL_BATCH_NEWER 2 /* verifies, but has a flag that this library does not know */

/*
 * Look at the bytes of a segment from `place` to `limit` (exclusive; at most the file's size).
 * `segment` points at the file's byte 0. 0 when a whole, well-formed, verified batch or end mark
 * stands there: *out_header is a copy, trusted from then on. Checks sizes before it believes them,
 * then the hash, then the record count against the payload's size.
 */
int kfl__batch_verify(const uint8_t *segment, uint64_t place, uint64_t limit, uint64_t seed,
                      struct kfl__batch_header *out_header);

/*
 * The same for a batch that is held in `room` bytes of memory, away from its file; `place` is where
 * it was there.
 */
int kfl__batch_verify_at(const uint8_t *batch, uint64_t room, uint64_t place, uint64_t seed,
                         struct kfl__batch_header *out_header);

/*
 * The header's fields alone, sizes checked against the limit, no hash: for walks over what was
 * verified before. 0 or KFL_BATCH_BAD.
 */
int kfl__batch_peek(const uint8_t *segment, uint64_t place, uint64_t limit,
                    struct kfl__batch_header *out_header);

static inline uint64_t kfl__batch_next_place(uint64_t place, const struct kfl__batch_header *header)
{
    return (place + header->size + KFL_BATCH_ALIGNMENT - 1) & ~(uint64_t)(KFL_BATCH_ALIGNMENT - 1);
}

/* base_offset + number of offsets that the batch spans. */
static inline int64_t kfl__batch_end_offset(const struct kfl__batch_header *header)
{
    return header->base_offset + ((header->flags & KFL_BATCH_FLAG_COMPACTED) != 0 ? header->durable_distance
                                                                                  : header->record_count);
}

/* Bytes before the payload: the header and its extension. */
static inline uint32_t kfl__batch_head_size(const struct kfl__batch_header *header)
{
    return (uint32_t)sizeof *header + header->extension_size;
}

/* When the tombstones of this verified batch may go; -1: no clean has met them yet. `batch` points at the header. */
static inline int64_t kfl__batch_horizon(const struct kfl__batch_header *header, const uint8_t *batch)
{
    return (header->flags & KFL_BATCH_FLAG_HORIZON) == 0 ? -1 : (int64_t)kfl__load64(batch + sizeof *header);
}

/* -1: not said. */
static inline int64_t kfl__batch_durable_offset(const struct kfl__batch_header *header)
{
    return header->durable_distance == KFL_DURABLE_NOT_SAID || (header->flags & KFL_BATCH_FLAG_COMPACTED) != 0
               ? -1
               : header->base_offset - (int64_t)header->durable_distance;
}

/*
 * Step through the records of an unpacked payload; offsets must rise and lie within the batch.
 * Returns 1 and the record, 0 behind the last, KFL_E_CORRUPT (no text) for bytes that are not
 * `record_count` records.
 */
struct kfl__batch_cursor {
    const uint8_t *at, *end;
    int64_t base_offset, max_timestamp_ms, next_offset, end_offset;
    uint32_t left;
    int32_t timestamp_type;
};
void kfl__batch_cursor_init(struct kfl__batch_cursor *cursor,
                            const struct kfl__batch_header *header, const void *unpacked_payload,
                            size_t unpacked_size);
int kfl__batch_next(struct kfl__batch_cursor *cursor, kfl_record *out_record);

/* The same without a step: has the record that comes next an offset that may come? *out_offset is set with 1. */
static inline int kfl__batch_stands(const struct kfl__batch_cursor *cursor, int64_t *out_offset)
{
    if (cursor->left == 0)
        return cursor->at == cursor->end ? 0 : KFL_E_CORRUPT;
    if ((size_t)(cursor->end - cursor->at) < sizeof(struct kfl__record_head))
        return KFL_E_CORRUPT;
    int64_t delta = kfl__load32(cursor->at + offsetof(struct kfl__record_head, offset_delta)) & ~KFL_RECORD_HAS_HEADERS;
    if (delta < cursor->next_offset - cursor->base_offset || delta >= cursor->end_offset - cursor->base_offset)
        return KFL_E_CORRUPT;
    *out_offset = cursor->base_offset + delta;
    return 1;
}

/*
 * The same step for who wants to know only whose record it is: sizes and order are checked, the time is not. The size
 * of a missing key is 0.
 */
struct kfl__batch_key {
    const uint8_t *record; /* its first byte; the last lies before the cursor's `at` */
    const uint8_t *key;    /* NULL: missing */
    size_t key_size;
    int64_t offset;
};
static inline int kfl__batch_next_key(struct kfl__batch_cursor *cursor, struct kfl__batch_key *out)
{
    const uint8_t *at = cursor->at;
    int64_t offset;
    int r = kfl__batch_stands(cursor, &offset);
    if (r <= 0)
        return r;
    uint64_t sizes = kfl__load64(at);
    if ((kfl__load32(at + offsetof(struct kfl__record_head, offset_delta)) & KFL_RECORD_HAS_HEADERS) != 0) {
        kfl_record record;
        cursor->at = kfl__record_decode(at, cursor->end, cursor->base_offset,
                                        cursor->max_timestamp_ms, &record);
        if (cursor->at == NULL)
            return KFL_E_CORRUPT;
    } else {
        int64_t key_size = (int32_t)sizes, value_size = (int32_t)(sizes >> 32);
        int64_t size = (int64_t)sizeof(struct kfl__record_head) + (key_size < 0 ? 0 : key_size) +
                       (value_size < 0 ? 0 : value_size);
        if (key_size < -1 || value_size < -1 || size > cursor->end - at)
            return KFL_E_CORRUPT;
        cursor->at = at + size;
    }
    out->record = at;
    out->key = kfl__record_key(at, &out->key_size);
    out->offset = offset;
    cursor->next_offset = offset + 1;
    cursor->left--;
    return 1;
}

/* Fills magic, format, header_size and, last, the hash over what the caller has filled. */
void kfl__segment_header_seal(struct kfl__segment_header *header);
#define KFL_HEADER_NEWER 1 /* a newer format number or an unknown incompatible bit */
#define KFL_HEADER_BAD 2
/*
 * Magic, hash, version, then each field's bounds; topic_name is a string of topic_name_size bytes
 * from then on. A file shorter than the header's `size` is not refused: what is there can still be
 * read, up to the smaller of both. 0, KFL_HEADER_NEWER or KFL_HEADER_BAD.
 */
int kfl__segment_header_check(const struct kfl__segment_header *header, uint64_t file_size);

#endif
