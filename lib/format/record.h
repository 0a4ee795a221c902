/* SPDX-License-Identifier: MIT */
/*
 * One record: from a caller's message to bytes, and back. Pure: no I/O, no allocation.
 */
#ifndef KFL_FORMAT_RECORD_H
#define KFL_FORMAT_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "format/layout.h"
#include "kafkalite.h"

/*
 * What a caller wants written. Headers come either as an array or packed already (packed_headers
 * not NULL).
 */
struct kfl__message {
    const void *key; /* NULL: missing */
    const void *value;
    size_t key_size, value_size;
    const kfl_header *headers;
    const void *packed_headers;
    size_t packed_headers_size;
    uint32_t header_count;
    int64_t timestamp_ms;
};

/*
 * Bytes that the record takes in a payload. Sizes above INT32_MAX - 64 KiB in sum:
 * KFL_E_MESSAGE_TOO_LARGE; a header without a name, or packed headers that are none:
 * KFL_E_INVALID_RECORD.
 */
int kfl__record_size(const struct kfl__message *message, size_t *out_size);

/* Write it; `to` has the room that kfl__record_size told. Returns what lies behind it. */
uint8_t *kfl__record_encode(uint8_t *to, const struct kfl__message *message, uint32_t offset_delta,
                            int64_t max_timestamp_ms);

/* The same for a message without headers that is alone in its batch. */
uint8_t *kfl__record_encode_plain(uint8_t *to, const void *key, size_t key_size, const void *value,
                                  size_t value_size);

/*
 * The same again, not written: four words, and where in the value the rest lies, `rest_size` bytes. For a key of at most
 * KFL_RECORD_SPLIT_KEY bytes and a value of KFL_RECORD_SPLIT_LEAST or more, so that the 48 bytes before the end lie in the value.
 */
#define KFL_RECORD_SPLIT_KEY 8u
#define KFL_RECORD_SPLIT_LEAST 48u
struct kfl__record_split {
    uint64_t words[4];
    const uint8_t *rest;
    size_t rest_size;
};
struct kfl__record_split kfl__record_split(const void *key, size_t key_size, const void *value, size_t value_size);

/*
 * Read one; nothing is copied. Fills offset, timestamp, key, value and headers of out_record (not
 * topic, partition, type). Every size, also of each header, is checked against `end` first. Returns
 * what lies behind it, or NULL for bytes that are no record.
 */
const uint8_t *kfl__record_decode(const uint8_t *from, const uint8_t *end, int64_t base_offset,
                                  int64_t max_timestamp_ms, kfl_record *out_record);

/* The key of a record that was decoded before, at the same bytes; NULL: missing. */
static inline const uint8_t *kfl__record_key(const uint8_t *record, size_t *out_size)
{
    int32_t size = (int32_t)kfl__load32(record + offsetof(struct kfl__record_head, key_size));
    *out_size = size < 0 ? 0 : (size_t)size;
    return size < 0 ? NULL : record + sizeof(struct kfl__record_head);
}

/* Give a record that was copied into another batch its place and time there. */
static inline void kfl__record_rebase(uint8_t *record, uint32_t offset_delta,
                                      int64_t timestamp_delta)
{
    uint8_t *at = record + offsetof(struct kfl__record_head, offset_delta);
    kfl__store32(at, (kfl__load32(at) & KFL_RECORD_HAS_HEADERS) | offset_delta);
    kfl__store64(record + offsetof(struct kfl__record_head, timestamp_delta),
                 (uint64_t)timestamp_delta);
}

/* true when `size` bytes are exactly `count` well-formed packed headers. */
bool kfl__headers_check(const void *packed_headers, size_t size, uint32_t count);

#endif
