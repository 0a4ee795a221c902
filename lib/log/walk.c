/* SPDX-License-Identifier: MIT */
/*
 * Walk the batches of one segment.
 *
 * A walk trusts nothing: it is what recovery, verify and a reader that met damage go by. The first batch
 * that does not verify is the end of what can be believed; whether that is a torn tail or damage is for
 * the caller to find out, by looking for batches behind it.
 */
#include "log/walk.h"

#include <string.h>

#include "base/bytes.h"

void kfl__walk_init(struct kfl__walk *walk, struct kfl__segment *segment, uint64_t place, uint64_t limit,
                    int64_t next_offset, uint32_t epoch)
{
    assert(place >= KFL_SEGMENT_FIRST_PLACE && limit <= segment->size);
    *walk = (struct kfl__walk){
        .segment = segment,
        .place = place,
        .limit = limit,
        .next_offset = next_offset,
        .epoch = epoch,
        .first_offset = -1,
        .first_timestamp_ms = -1,
        .max_timestamp_ms = -1,
        .max_timestamp_offset = -1,
    };
}

/* Verify the batch at `place`, asking for its pages first. 0, or > 0: none; < 0: error. */
static int walk_verify(struct kfl__segment *segment, uint64_t place, uint64_t limit, struct kfl__batch_header *out_header)
{
    uint64_t bad_from, bad_to;
    if (limit < sizeof *out_header || place > limit - sizeof *out_header)
        return KFL_BATCH_BAD;
    int r = kfl__segment_touch(segment, place, place + sizeof *out_header, &bad_from, &bad_to);
    if (r != 0)
        return r < 0 ? r : KFL_BATCH_BAD;
    r = kfl__batch_peek(segment->bytes, place, limit, out_header);
    if (r != 0)
        return KFL_BATCH_BAD;
    r = kfl__segment_touch(segment, place, place + out_header->size, &bad_from, &bad_to);
    if (r != 0)
        return r < 0 ? r : KFL_BATCH_BAD;
    return kfl__batch_verify(segment->bytes, place, limit, segment->seed, out_header);
}

int kfl__walk_step(struct kfl__walk *walk, struct kfl__batch_header *out_header)
{
    int r = walk_verify(walk->segment, walk->place, walk->limit, out_header);
    if (r != 0)
        return r < 0 ? r : 0;
    if (out_header->base_offset < walk->next_offset || out_header->writer_epoch < walk->epoch)
        return 0;
    if ((out_header->flags & KFL_BATCH_FLAG_END) != 0)
        return KFL_WALK_END;
    if (walk->first_offset < 0) {
        walk->first_offset = out_header->base_offset;
        walk->first_timestamp_ms = out_header->max_timestamp_ms;
    }
    if (out_header->max_timestamp_ms > walk->max_timestamp_ms) {
        walk->max_timestamp_ms = out_header->max_timestamp_ms;
        walk->max_timestamp_offset = out_header->base_offset;
    }
    walk->batches++;
    walk->records += out_header->record_count;
    walk->next_offset = kfl__batch_end_offset(out_header);
    walk->epoch = out_header->writer_epoch;
    walk->place = kfl__batch_next_place(walk->place, out_header);
    return KFL_WALK_BATCH;
}

/* Cheap to refuse: most bytes are no header, and hashing at each place would be. */
static bool walk_plausible(const uint8_t *bytes, uint64_t room, int64_t least_offset)
{
    struct kfl__batch_header header;
    memcpy(&header, bytes, sizeof header);
    if (header.size < sizeof header || header.size > room)
        return false;
    if ((header.flags & ~KFL_BATCH_FLAGS_KNOWN) != 0 || header.extension_size > header.size - sizeof header)
        return false;
    uint64_t payload = header.size - kfl__batch_head_size(&header);
    if ((header.flags & KFL_BATCH_FLAG_END) != 0)
        return payload == 0 && header.record_count == 0 && header.base_offset >= least_offset;
    if ((header.flags & KFL_BATCH_FLAG_CODEC) == 0 && header.unpacked_size != payload)
        return false;
    return (header.record_count > 0 || (header.flags & KFL_BATCH_FLAG_COMPACTED) != 0) && header.record_count <= header.unpacked_size / sizeof(struct kfl__record_head) &&
           header.base_offset >= least_offset;
}

/*
 * What a caller once wrote as a value may look like one large batch after the other, each of which has to be hashed to be
 * refused. A search hashes in vain for so many bytes for each one that it may pass; from then on only small ones, and
 * those that a signpost names.
 */
#define WALK_PATIENCE 16
#define WALK_SMALL 512

static bool walk_is_posted(const struct kfl__segment *segment, uint64_t place)
{
    uint32_t low = 0, high = segment->offsets.bytes == NULL ? 0 : kfl__index_offsets_capacity(&segment->offsets);
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        uint64_t at = kfl__index_place(&segment->offsets, middle);
        if (at == place)
            return true;
        if (at != 0 && at < place)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

int kfl__walk_search(struct kfl__segment *segment, uint64_t from, uint64_t limit, int64_t least_offset,
                     struct kfl__batch_header *out_header, uint64_t *out_place)
{
    const uint64_t step = UINT64_C(65536);
    uint64_t at = kfl__align_up(from, KFL_BATCH_ALIGNMENT);
    uint64_t patience = limit > at ? (limit - at) * WALK_PATIENCE : 0;
    while (at + sizeof *out_header <= limit) {
        uint64_t bad_from, bad_to;
        uint64_t upto = (at / step + 1) * step < limit ? (at / step + 1) * step : limit;
        uint64_t reach = upto + sizeof *out_header <= limit ? upto + sizeof *out_header : limit;
        int r = kfl__segment_touch(segment, at, reach, &bad_from, &bad_to);
        if (r < 0)
            return r;
        bool bad = r == KFL_SEGMENT_UNREADABLE;
        /* A header must not reach into the pages that do not answer either. */
        uint64_t readable = bad ? bad_from : limit;
        for (; at < upto && at + sizeof *out_header <= readable; at += KFL_BATCH_ALIGNMENT) {
            if (kfl__load32(segment->bytes + at + 8) == 0 ||
                !walk_plausible(segment->bytes + at, limit - at, least_offset))
                continue;
            uint64_t size = kfl__load32(segment->bytes + at + 8);
            if (size > patience && size > WALK_SMALL && !walk_is_posted(segment, at))
                continue;
            patience -= size < patience ? size : patience;
            r = walk_verify(segment, at, limit, out_header);
            if (r < 0)
                return r;
            if (r == 0) {
                *out_place = at;
                return 1;
            }
        }
        if (bad && at < bad_to && at + sizeof *out_header > readable)
            at = kfl__align_up(bad_to, KFL_BATCH_ALIGNMENT);
    }
    return 0;
}

/* Behind the last byte of [from, to) that is not zero; 0: there is none. */
static uint64_t walk_last_byte(const uint8_t *bytes, uint64_t from, uint64_t to)
{
    static const uint8_t zeros[4096];
    while (to > from) {
        uint64_t size = to - from < sizeof zeros ? to - from : sizeof zeros;
        if (memcmp(bytes + to - size, zeros, size) != 0)
            break;
        to -= size;
    }
    while (to > from && bytes[to - 1] == 0)
        to--;
    return to > from ? to : 0;
}

uint64_t kfl__walk_last(struct kfl__segment *segment, uint64_t from, uint64_t to)
{
    const uint64_t step = UINT64_C(65536);
    uint64_t last = from;
    for (uint64_t at = from; at < to;) {
        uint64_t bad_from, bad_to;
        uint64_t upto = (at / step + 1) * step < to ? (at / step + 1) * step : to;
        uint64_t found = kfl__segment_touch(segment, at, upto, &bad_from, &bad_to) != 0 ? upto : walk_last_byte(segment->bytes, at, upto);
        if (found != 0)
            last = found;
        at = upto;
    }
    return last;
}
