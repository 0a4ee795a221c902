/* SPDX-License-Identifier: MIT */
/*
 * Find a batch of one segment by an offset or a time.
 *
 * Neither a signpost nor a guess proves anything: what stands at the place is verified before it is believed,
 * and its hash covers the place. What a lookup costs is mostly memory that is far away, one piece after the
 * other: a signpost, a header, the batch. So the pieces are asked for as early as their places are known.
 */
#include "log/lookup.h"

#include "base/error.h"

#define LOOKUP_LINE 64u
#define LOOKUP_LINES 4u /* fetched of a batch: the rest follows as it is hashed */

/* The header of what claims to be a batch; false: nothing does, or its pages cannot be read. */
static bool lookup_peek(struct kfl__segment *segment, uint64_t place, uint64_t limit,
                        struct kfl__batch_header *out_header)
{
    uint64_t bad_from, bad_to;
    return place >= KFL_SEGMENT_FIRST_PLACE && place + sizeof *out_header <= limit &&
           kfl__segment_touch(segment, place, place + sizeof *out_header, &bad_from, &bad_to) ==
               0 &&
           kfl__batch_peek(segment->bytes, place, limit, out_header) == 0;
}

static bool lookup_verify(struct kfl__segment *segment, uint64_t place, uint64_t limit,
                          struct kfl__batch_header *out_header)
{
    uint64_t bad_from, bad_to;
    return lookup_peek(segment, place, limit, out_header) &&
           kfl__segment_touch(segment, place, place + out_header->size, &bad_from, &bad_to) == 0 &&
           kfl__batch_verify(segment->bytes, place, limit, segment->seed, out_header) == 0;
}

/* ---- by offset ---- */

static uint32_t lookup_count(struct kfl__segment *segment, uint64_t limit, uint32_t hint)
{
    uint32_t count = hint;
    uint32_t capacity =
        segment->offsets.bytes == NULL ? 0 : kfl__index_offsets_capacity(&segment->offsets);
    if (count == 0)
        count = atomic_load_explicit(&segment->offsets_count, memory_order_relaxed);
    if (count == 0 && capacity > 0)
        count = kfl__index_count_places(&segment->offsets);
    if (count > capacity)
        count = capacity;
    /* A hint may run ahead of what `limit` takes in. */
    while (count > 0 && kfl__index_place(&segment->offsets, count - 1) >= limit)
        count--;
    if (hint == 0)
        atomic_store_explicit(&segment->offsets_count, count, memory_order_relaxed);
    return count;
}

/* Bisects the signposts; 0 when none of them is of use. */
static uint64_t lookup_search(struct kfl__segment *segment, uint64_t limit, uint32_t count,
                              uint32_t guess, int64_t offset)
{
    uint32_t low = 0,
             high = count; /* the batch of `low` begins at or below offset, that of `high` above */
    uint32_t n = guess;
    uint64_t found = 0;
    for (int round = 0; high - low > 1; round++) {
        struct kfl__batch_header header;
        if (n <= low || n >= high || round > 1)
            n = low + (high - low) / 2;
        uint64_t place = kfl__index_place(&segment->offsets, n);
        if (!lookup_peek(segment, place, limit, &header))
            return 0;
        if (header.base_offset <= offset) {
            low = n;
            found = place;
            if (header.base_offset == offset)
                break;
            n++; /* a good guess is often one off */
        } else {
            high = n;
            n--;
        }
    }
    return found;
}

int kfl__lookup_offset(struct kfl__segment *segment, const struct kfl__lookup *known,
                       int64_t offset, struct kfl__batch_header *out_header, uint64_t *out_place)
{
    int64_t span = known->end_offset - known->base_offset, distance = offset - known->base_offset;
    uint64_t place, limit = known->limit;
    if (span <= 0 || distance <= 0)
        return KFL_INDEX_USELESS;
    if (known->stride != 0 && !__builtin_mul_overflow((uint64_t)distance, known->stride, &place) &&
        place < limit) {
        place += KFL_SEGMENT_FIRST_PLACE;
        if (lookup_verify(segment, place, limit, out_header) && out_header->base_offset == offset) {
            *out_place = place;
            return 0;
        }
    }
    uint32_t count = lookup_count(segment, limit, known->batch_count);
    if (count == 0)
        return KFL_INDEX_USELESS;
    /* Batches are mostly of one size: with one record each, the guess is right. */
    uint64_t guess =
        span == count ? (uint64_t)distance : (uint64_t)((double)distance * count / (double)span);
    place =
        lookup_search(segment, limit, count, guess < count ? (uint32_t)guess : count - 1, offset);
    if (!lookup_verify(segment, place, limit, out_header) || out_header->base_offset > offset)
        return KFL_INDEX_USELESS;
    *out_place = place;
    return 0;
}

uint64_t kfl__lookup_stride(int64_t base_offset, const struct kfl__batch_header *header,
                            uint64_t place)
{
    uint64_t stride = kfl__batch_next_place(place, header) - place, expected;
    return header->record_count == 1 &&
                   !__builtin_mul_overflow((uint64_t)(header->base_offset - base_offset), stride,
                                           &expected) &&
                   expected == place - KFL_SEGMENT_FIRST_PLACE
               ? stride
               : 0;
}

void kfl__lookup_fetch(const struct kfl__segment *segment, uint64_t distance, uint64_t stride)
{
    uint64_t place;
    if (stride == 0) {
        if (segment->offsets.bytes != NULL &&
            distance < kfl__index_offsets_capacity(&segment->offsets))
            kfl__fetch(segment->offsets.bytes + distance * sizeof(uint32_t));
    } else if (!__builtin_mul_overflow(distance, stride, &place) && place < segment->size) {
        const uint8_t *batch = segment->bytes + KFL_SEGMENT_FIRST_PLACE + place;
        for (uint64_t at = 0; at < LOOKUP_LINES * LOOKUP_LINE && at < stride; at += LOOKUP_LINE)
            kfl__fetch(batch + at);
        kfl__fetch(batch + stride - 1); /* seldom does it begin and end with a line */
    }
}

/* ---- by time ---- */

uint64_t kfl__lookup_time(struct kfl__segment *segment, uint64_t limit, int64_t timestamp_ms)
{
    struct kfl__time_signpost signpost;
    struct kfl__batch_header header;
    if (segment->times.bytes == NULL ||
        !kfl__index_find_time(&segment->times, kfl__index_count_times(&segment->times),
                              timestamp_ms, segment->seed, &signpost))
        return KFL_SEGMENT_FIRST_PLACE;
    uint64_t place = (uint64_t)signpost.place_eighth * 8;
    return lookup_verify(segment, place, limit, &header) ? place : KFL_SEGMENT_FIRST_PLACE;
}
