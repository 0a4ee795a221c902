/* SPDX-License-Identifier: MIT */
/*
 * The 48 bytes before each payload, and the 512 at the head of a segment.
 *
 * What a hash covers is written here, and once more in format/plain, for speed. A batch's hash covers its place and is
 * seeded by its segment, so bytes that were valid elsewhere, or in another file, never verify; it
 * covers the payload by the payload's own hash, which can be had before the place is known.
 */
#include "format/batch.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/fault.h"
#include "base/hash.h"
#include "format/codec.h"
#include "format/record.h"

/* What is hashed: the header with the place where its hash will stand, then the payload's hash. */
struct batch_hashed {
    struct kfl__batch_header header;
    uint64_t payload_hash;
};
_Static_assert(sizeof(struct batch_hashed) == 56, "docs/format.md");
_Static_assert(offsetof(struct kfl__batch_header, hash) == 0,
               "the place stands where the hash will");

static inline uint64_t batch_hash(struct batch_hashed *hashed, uint64_t place, uint64_t seed)
{
    hashed->header.hash = place;
    return kfl__hash64_of_56(hashed, seed);
}

static inline bool batch_codec_is_known(unsigned codec)
{
    return codec == KFL_CODEC_NONE || codec == KFL_CODEC_LZ4 || codec == KFL_CODEC_ZSTD;
}

/* 0, KFL_BATCH_BAD, or KFL_BATCH_NEWER; the sizes against the file were looked at before. */
static int batch_shape(const struct kfl__batch_header *header)
{
    unsigned codec = header->flags & KFL_BATCH_FLAG_CODEC;
    if ((header->flags & ~KFL_BATCH_FLAGS_KNOWN) != 0 || !batch_codec_is_known(codec))
        return KFL_BATCH_NEWER;

    uint16_t extension = (header->flags & KFL_BATCH_FLAG_HORIZON) != 0 ? KFL_BATCH_HORIZON_SIZE : 0;
    bool compacted = (header->flags & KFL_BATCH_FLAG_COMPACTED) != 0;
    uint32_t span = compacted ? header->durable_distance : header->record_count;
    int64_t end_offset;
    if (header->extension_size != extension || header->size < sizeof *header + extension || (extension != 0 && !compacted) ||
        header->base_offset < 0 || __builtin_add_overflow(header->base_offset, (int64_t)span, &end_offset))
        return KFL_BATCH_BAD;
    uint64_t payload_size = header->size - sizeof *header - extension;
    if (compacted ? span < header->record_count
                  : header->durable_distance != KFL_DURABLE_NOT_SAID && (int64_t)header->durable_distance > header->base_offset)
        return KFL_BATCH_BAD;
    if (codec == KFL_CODEC_NONE ? header->unpacked_size != payload_size
                                : header->unpacked_size > KFL_BATCH_SIZE_MAX)
        return KFL_BATCH_BAD;
    if (header->unpacked_size < (uint64_t)header->record_count * sizeof(struct kfl__record_head))
        return KFL_BATCH_BAD;
    /* Without a payload there are no records either: the sizes above have seen to that. */
    if ((header->flags & KFL_BATCH_FLAG_END) != 0 &&
        (header->flags != KFL_BATCH_FLAG_END || payload_size != 0))
        return KFL_BATCH_BAD;
    return 0;
}

/* Not said, too, when the distance does not fit: a shorter one would claim too much. */
static inline uint32_t batch_durable_distance(int64_t base_offset, int64_t durable_offset)
{
    int64_t distance = base_offset > durable_offset ? base_offset - durable_offset : 0;
    return KFL_LIKELY(durable_offset >= 0 && distance < KFL_DURABLE_NOT_SAID) ? (uint32_t)distance : KFL_DURABLE_NOT_SAID;
}

static KFL_INLINE_WHERE_SEEN void batch_seal(void *to, const struct kfl__batch_facts *facts, uint32_t distance, uint16_t extension,
                              uint64_t place, uint64_t seed)
{
    assert(place % KFL_BATCH_ALIGNMENT == 0);
    assert(facts->payload_size <= KFL_BATCH_SIZE_MAX - sizeof(struct kfl__batch_header));

    /*
     * In whole words, since a load of eight bytes that were stored in pieces stalls: measured, it
     * halves what sealing costs.
     */
    uint32_t size = (uint32_t)sizeof(struct kfl__batch_header) + facts->payload_size;
    union {
        uint64_t words[7];
        struct batch_hashed hashed;
    } sealed = {{
        place,
        size | (uint64_t)facts->record_count << 32,
        (uint64_t)facts->base_offset,
        (uint64_t)facts->max_timestamp_ms,
        facts->writer_epoch | (uint64_t)distance << 32,
        facts->flags | (uint64_t)extension << 16 | (uint64_t)facts->unpacked_size << 32,
        facts->payload_hash,
    }};
    assert(batch_shape(&sealed.hashed.header) == 0);
    uint64_t hash = kfl__hash64_of_words(sealed.words, seed);
    kfl__store64(to, hash);
    for (size_t i = 1; i < 6; i++) {
        uint64_t word = sealed.words[i];
        __asm__("" : "+r"(word)); /* two at a time would be loaded from two stores, which stalls too */
        kfl__store64((uint8_t *)to + 8 * i, word);
    }
}

KFL_INLINE_WHERE_SEEN void kfl__batch_seal(void *to, const struct kfl__batch_facts *facts, uint64_t place, uint64_t seed)
{
    assert((facts->flags & KFL_BATCH_FLAG_COMPACTED) == 0);
    batch_seal(to, facts, batch_durable_distance(facts->base_offset, facts->durable_offset), 0, place, seed);
}

void kfl__batch_seal_compacted(void *to, const struct kfl__batch_facts *facts, uint32_t span, uint64_t place,
                               uint64_t seed)
{
    uint16_t extension = (facts->flags & KFL_BATCH_FLAG_HORIZON) != 0 ? KFL_BATCH_HORIZON_SIZE : 0;
    assert((facts->flags & KFL_BATCH_FLAG_COMPACTED) != 0);
    batch_seal(to, facts, span, extension, place, seed);
}

void kfl__batch_seal_end(void *to, int64_t end_offset, int64_t next_segment_id,
                         uint32_t writer_epoch, int64_t durable_offset, uint64_t place,
                         uint64_t seed)
{
    const struct kfl__batch_facts facts = {
        .base_offset = end_offset,
        .max_timestamp_ms = next_segment_id,
        .writer_epoch = writer_epoch,
        .flags = KFL_BATCH_FLAG_END,
        .durable_offset = durable_offset,
        .payload_hash = kfl__hash64("", 0),
    };
    kfl__batch_seal(to, &facts, place, seed);
}

/* The sizes that decide which bytes may be looked at. */
static inline bool batch_is_inside(const struct kfl__batch_header *header, uint64_t place,
                                   uint64_t limit)
{
    return header->size >= sizeof *header && header->size <= KFL_BATCH_SIZE_MAX &&
           header->size <= limit - place;
}

/* Copies the header, once; false when there is no room for one, or no place for one to begin. */
static inline bool batch_load(const uint8_t *segment, uint64_t place, uint64_t limit,
                              struct kfl__batch_header *out_header)
{
    if (place % KFL_BATCH_ALIGNMENT != 0 || limit < sizeof *out_header ||
        place > limit - sizeof *out_header)
        return false;
    memcpy(out_header, segment + place, sizeof *out_header);
    return batch_is_inside(out_header, place, limit);
}

int kfl__batch_verify_at(const uint8_t *batch, uint64_t room, uint64_t place, uint64_t seed,
                         struct kfl__batch_header *out_header)
{
    struct batch_hashed hashed;
    struct kfl__batch_header header;
    if (place % KFL_BATCH_ALIGNMENT != 0 || !batch_load(batch, 0, room, &header))
        return KFL_BATCH_BAD;
    hashed.header = header;
    hashed.payload_hash = kfl__hash64(batch + sizeof header, header.size - sizeof header);
    /* Armed, the point takes a wrong checksum for a right one: whether crash tests would notice. */
    if (batch_hash(&hashed, place, seed) != header.hash && KFL_FAULT("batch.checksum") == 0)
        return KFL_BATCH_BAD;

    int answer = batch_shape(&header);
    if (answer == 0)
        *out_header = header;
    return answer;
}

int kfl__batch_verify(const uint8_t *segment, uint64_t place, uint64_t limit, uint64_t seed,
                      struct kfl__batch_header *out_header)
{
    if (place > limit)
        return KFL_BATCH_BAD;
    return kfl__batch_verify_at(segment + place, limit - place, place, seed, out_header);
}

int kfl__batch_peek(const uint8_t *segment, uint64_t place, uint64_t limit,
                    struct kfl__batch_header *out_header)
{
    struct kfl__batch_header header;
    if (!batch_load(segment, place, limit, &header) || batch_shape(&header) != 0)
        return KFL_BATCH_BAD;
    *out_header = header;
    return 0;
}

void kfl__batch_cursor_init(struct kfl__batch_cursor *cursor,
                            const struct kfl__batch_header *header, const void *unpacked_payload,
                            size_t unpacked_size)
{
    assert(unpacked_size == header->unpacked_size);
    *cursor = (struct kfl__batch_cursor){
        .at = unpacked_payload,
        .end = (const uint8_t *)unpacked_payload + unpacked_size,
        .base_offset = header->base_offset,
        .max_timestamp_ms = header->max_timestamp_ms,
        .next_offset = header->base_offset,
        .end_offset = kfl__batch_end_offset(header),
        .left = header->record_count,
        .timestamp_type = (header->flags & KFL_BATCH_FLAG_APPEND_TIME) != 0,
    };
}

int kfl__batch_next(struct kfl__batch_cursor *cursor, kfl_record *out_record)
{
    /* The offset is looked at first, so that a record of a wrong one leaves *out_record alone. */
    int64_t offset;
    int r = kfl__batch_stands(cursor, &offset);
    if (r <= 0)
        return r;
    const uint8_t *behind = kfl__record_decode(cursor->at, cursor->end, cursor->base_offset,
                                               cursor->max_timestamp_ms, out_record);
    if (behind == NULL)
        return KFL_E_CORRUPT;
    out_record->timestamp_type = cursor->timestamp_type;
    cursor->at = behind;
    cursor->next_offset = out_record->offset + 1;
    cursor->left--;
    return 1;
}

void kfl__segment_header_seal(struct kfl__segment_header *header)
{
    assert(header->topic_name_size <= KFL_TOPIC_NAME_MAX);
    memcpy(header->magic, KFL_SEGMENT_MAGIC, sizeof header->magic);
    header->format = KFL_FORMAT_VERSION;
    header->header_size = sizeof *header;
    header->hash = kfl__hash64(header, offsetof(struct kfl__segment_header, hash));
}

int kfl__segment_header_check(const struct kfl__segment_header *header, uint64_t file_size)
{
    if (file_size < sizeof *header ||
        memcmp(header->magic, KFL_SEGMENT_MAGIC, sizeof header->magic) != 0 ||
        header->hash != kfl__hash64(header, offsetof(struct kfl__segment_header, hash)))
        return KFL_HEADER_BAD;
    if (header->format > KFL_FORMAT_VERSION ||
        (header->incompatible & ~KFL_FORMAT_INCOMPATIBLE_KNOWN) != 0)
        return KFL_HEADER_NEWER;
    if (header->format == 0 || header->header_size != sizeof *header)
        return KFL_HEADER_BAD;
    if (header->size < sizeof *header + KFL_END_MARK_SIZE || header->size > KFL_SEGMENT_SIZE_MAX ||
        header->size % KFL_BATCH_ALIGNMENT != 0)
        return KFL_HEADER_BAD;
    if (header->segment_id > INT64_MAX || header->partition > INT32_MAX ||
        header->topic_name_size > KFL_TOPIC_NAME_MAX ||
        strnlen(header->topic_name, sizeof header->topic_name) != header->topic_name_size)
        return KFL_HEADER_BAD;
    return 0;
}
