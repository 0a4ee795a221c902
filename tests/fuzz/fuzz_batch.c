/* SPDX-License-Identifier: MIT */
/*
 * Walks arbitrary bytes as a segment file, with -Dfuzz=enabled and clang:
 *
 *     build/tests/fuzz_batch -max_len=4096 CORPUS tests/golden/format-1
 *
 * First as they are; then with each hash put right, so that what stands behind a hash is reached
 * too. The sanitizers see a step out of bounds; what a reader relies on is asserted here.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "format/batch.h"
#include "format/codec.h"
#include "format/names.h"
#include "format/record.h"

#define UNPACKED_MAX (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

static void fuzz_require(int holds)
{
    if (!holds)
        abort();
}

/* Reads what it is told lies there, so that the address sanitizer looks at each byte. */
static void fuzz_touch(const void *bytes, size_t size)
{
    static volatile uint64_t sink;
    sink += size == 0 ? 0 : kfl__hash64(bytes, size);
}

static void fuzz_record(const kfl_record *record)
{
    fuzz_require((record->key != NULL || record->key_size == 0) && record->header_count >= 0);
    fuzz_require(record->value != NULL || record->value_size == 0);
    fuzz_touch(record->key, record->key_size);
    fuzz_touch(record->value, record->value_size);
    fuzz_require((record->header_count == 0) == (record->packed_headers == NULL));
    if (record->header_count == 0)
        return;
    const uint8_t *at = record->packed_headers, *end = at + record->packed_headers_size;
    for (int32_t i = 0; i < record->header_count; i++) {
        uint32_t name_size = kfl__load32(at);
        int32_t value_size = (int32_t)kfl__load32(at + 4);
        fuzz_require(strlen((const char *)at + KFL_HEADER_HEAD_SIZE) == name_size);
        at += KFL_HEADER_HEAD_SIZE + name_size + 1 + (value_size > 0 ? value_size : 0);
        fuzz_require(at <= end);
    }
    fuzz_require(at == end);
}

static void fuzz_records(const struct kfl__batch_header *header, const uint8_t *payload,
                         size_t size)
{
    struct kfl__batch_cursor cursor;
    kfl_record record;
    int64_t next_offset = header->base_offset;
    uint32_t count = 0;
    int r;
    kfl__batch_cursor_init(&cursor, header, payload, size);
    while ((r = kfl__batch_next(&cursor, &record)) == 1) {
        fuzz_require(record.offset >= next_offset);
        fuzz_require(record.timestamp_ms <= header->max_timestamp_ms);
        fuzz_record(&record);
        next_offset = record.offset + 1;
        count++;
    }
    fuzz_require(r == KFL_E_CORRUPT || (r == 0 && count == header->record_count));
    fuzz_require(next_offset <= kfl__batch_end_offset(header));
}

static void fuzz_payload(const struct kfl__batch_header *header, const uint8_t *payload)
{
    int codec = header->flags & KFL_BATCH_FLAG_CODEC;
    size_t size = header->size - sizeof *header;
    if (codec == KFL_CODEC_NONE) {
        fuzz_records(header, payload, size);
    } else if (header->unpacked_size <= UNPACKED_MAX && kfl__codec_is_built(codec)) {
        uint8_t *unpacked = malloc((size_t)header->unpacked_size + (header->unpacked_size == 0));
        int r = kfl__codec_unpack(codec, payload, size, unpacked, header->unpacked_size);
        fuzz_require(r == 0 || r == KFL_E_CORRUPT || r == KFL_E_NOMEM);
        if (r == 0)
            fuzz_records(header, unpacked, header->unpacked_size);
        free(unpacked);
    }
}

/* Gives the bytes at `place` the hash that they would have, if they had one. */
static void fuzz_put_hash_right(uint8_t *file, uint64_t place, uint64_t limit, uint64_t seed)
{
    uint64_t words[7];
    if (limit < 48 || place > limit - 48)
        return;
    uint32_t size = kfl__load32(file + place + 8);
    if (size < 48 || size > limit - place)
        return;
    memcpy(words, file + place, 48);
    words[0] = place;
    words[6] = kfl__hash64(file + place + 48, size - 48);
    kfl__store64(file + place, kfl__hash64_seeded(words, sizeof words, seed));
}

static void fuzz_walk(uint8_t *file, uint64_t limit, uint64_t seed, int put_right)
{
    uint64_t place = sizeof(struct kfl__segment_header);
    struct kfl__batch_header header, peeked;
    for (;;) {
        if (put_right)
            fuzz_put_hash_right(file, place, limit, seed);
        if (kfl__batch_verify(file, place, limit, seed, &header) != 0)
            break;
        fuzz_require(kfl__batch_peek(file, place, limit, &peeked) == 0);
        fuzz_require(memcmp(&header, &peeked, sizeof header) == 0);
        fuzz_require(header.size <= limit - place);
        fuzz_require(kfl__batch_end_offset(&header) >= header.base_offset);
        fuzz_require(kfl__batch_durable_offset(&header) >= -1);
        fuzz_payload(&header, file + place + sizeof header);
        if ((header.flags & KFL_BATCH_FLAG_END) != 0)
            break;
        fuzz_require(kfl__batch_next_place(place, &header) > place);
        place = kfl__batch_next_place(place, &header);
    }
}

static void fuzz_parts(const uint8_t *bytes, size_t size)
{
    kfl_record record;
    const uint8_t *behind = kfl__record_decode(bytes, bytes + size, 0, INT64_MAX, &record);
    if (behind != NULL) {
        fuzz_require(behind > bytes && behind <= bytes + size);
        fuzz_record(&record);
    }
    char name[64] = {0};
    int64_t segment_id;
    enum kfl__name_kind kind;
    memcpy(name, bytes, size < sizeof name ? size : sizeof name - 1);
    kfl__topic_name_check(name);
    if (kfl__name_decode(name, &segment_id, &kind)) {
        char again[KFL_NAME_SIZE];
        kfl__name_encode(again, segment_id, kind);
        fuzz_require(strcmp(name, again) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    uint8_t *file = malloc(size + (size == 0)); /* writable, and exactly as long as the input */
    memcpy(file, input, size);
    struct kfl__segment_header segment = {.seed = 0};
    if (size >= sizeof segment) {
        memcpy(&segment, file, sizeof segment);
        int answer = kfl__segment_header_check(&segment, size);
        fuzz_require(answer == 0 || answer == KFL_HEADER_BAD || answer == KFL_HEADER_NEWER);
        if (answer == 0)
            fuzz_require(strlen(segment.topic_name) == segment.topic_name_size);
    }
    fuzz_walk(file, size, segment.seed, 0);
    fuzz_walk(file, size, segment.seed, 1);
    fuzz_parts(input, size);
    free(file);
    return 0;
}
