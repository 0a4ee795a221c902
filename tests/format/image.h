/* SPDX-License-Identifier: MIT */
/* One batch in an image of its segment, for the tests of format/batch. */
#ifndef KFL_TESTS_FORMAT_IMAGE_H
#define KFL_TESTS_FORMAT_IMAGE_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "format/batch.h"
#include "format/record.h"

#define SEED UINT64_C(0x0123456789abcdef)
#define PLACE 512u
#define BASE_OFFSET 40
#define NOW_MS 1700000000000
#define HEADER_SIZE sizeof(struct kfl__batch_header)

/* The file's bytes, of which the first PLACE are nobody's, are exactly as many as are said. */
struct image {
    uint8_t *bytes;
    size_t size;
};

static inline struct image image_make(size_t payload_size)
{
    struct image image = {.size = PLACE + (size_t)kfl__batch_room(payload_size)};
    image.bytes = calloc(1, image.size);
    return image;
}

static inline struct kfl__batch_facts facts_of(const struct image *image, uint32_t payload_size,
                                               uint32_t record_count)
{
    return (struct kfl__batch_facts){
        .base_offset = BASE_OFFSET,
        .max_timestamp_ms = NOW_MS,
        .record_count = record_count,
        .payload_size = payload_size,
        .unpacked_size = payload_size,
        .writer_epoch = 9,
        .durable_offset = BASE_OFFSET - 3,
        .payload_hash = kfl__hash64(image->bytes + PLACE + HEADER_SIZE, payload_size),
    };
}

/* Three records: one plain, one with headers, one with nothing. */
static inline struct image image_of_three(struct kfl__batch_facts *out_facts)
{
    static const kfl_header headers[] = {{"h", "1", 1}, {"h", NULL, 0}};
    const struct kfl__message messages[] = {
        {.key = "key",
         .key_size = 3,
         .value = "value",
         .value_size = 5,
         .timestamp_ms = NOW_MS - 2},
        {.value = "", .headers = headers, .header_count = 2, .timestamp_ms = NOW_MS},
        {.timestamp_ms = NOW_MS - 1},
    };
    size_t payload_size = 0, size;
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(kfl__record_size(&messages[i], &size), 0);
        payload_size += size;
    }
    struct image image = image_make(payload_size);
    uint8_t *at = image.bytes + PLACE + HEADER_SIZE;
    for (uint32_t i = 0; i < 3; i++)
        at = kfl__record_encode(at, &messages[i], i, NOW_MS);
    *out_facts = facts_of(&image, (uint32_t)payload_size, 3);
    kfl__batch_seal(image.bytes + PLACE, out_facts, PLACE, SEED);
    return image;
}

static inline int image_verify(const struct image *image, struct kfl__batch_header *out_header)
{
    return kfl__batch_verify(image->bytes, PLACE, image->size, SEED, out_header);
}

/* Writes a header as it is given, with a hash that fits: what a hostile writer would do. */
static inline void image_forge_at(struct image *image, uint64_t place,
                                  struct kfl__batch_header header)
{
    struct {
        struct kfl__batch_header header;
        uint64_t payload_hash;
    } hashed = {.header = header};
    uint64_t payload_size = header.size >= HEADER_SIZE && header.size <= image->size - place
                                ? header.size - HEADER_SIZE
                                : 0;
    hashed.header.hash = place;
    hashed.payload_hash = kfl__hash64(image->bytes + place + HEADER_SIZE, (size_t)payload_size);
    header.hash = kfl__hash64_seeded(&hashed, sizeof hashed, SEED);
    memcpy(image->bytes + place, &header, sizeof header);
}

static inline void image_forge(struct image *image, struct kfl__batch_header header)
{
    image_forge_at(image, PLACE, header);
}

#endif
