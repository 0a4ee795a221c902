/* SPDX-License-Identifier: MIT */
/*
 * One record: head, key, value, and where there are any, count and size of the headers and the headers.
 * Everything lies unaligned, one directly behind the other; docs/format.md has the drawing.
 *
 * A size that was read is compared with the bytes that are left before it moves a pointer, and is
 * read once: the bytes may be a map that somebody else scribbles over.
 */
#include "format/record.h"

#include <assert.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/error.h"

/* Of key, value, headers and all that stands around them. */
#define RECORD_SIZE_MAX ((size_t)INT32_MAX - 65536)

/* What the size field says of bytes that may be missing. */
static uint32_t record_stored_size(const void *bytes, size_t size)
{
    return bytes == NULL ? UINT32_MAX : (uint32_t)size;
}

/* Adds sizes up to RECORD_SIZE_MAX; false beyond it. */
static bool record_size_add(size_t *sum, const void *bytes, size_t size)
{
    if (bytes == NULL)
        return true;
    if (size > RECORD_SIZE_MAX - *sum)
        return false;
    *sum += size;
    return true;
}

static int record_too_large(void)
{
    return kfl__fail(KFL_E_MESSAGE_TOO_LARGE, "a record has at most %zu bytes", RECORD_SIZE_MAX);
}

static int record_headers_size(const struct kfl__message *message, size_t *sum)
{
    if (!record_size_add(sum, "", KFL_HEADERS_HEAD_SIZE))
        return record_too_large();
    if (message->packed_headers != NULL) {
        if (!kfl__headers_check(message->packed_headers, message->packed_headers_size,
                                message->header_count))
            return kfl__fail(KFL_E_INVALID_RECORD, "%zu bytes are not %u packed headers",
                             message->packed_headers_size, message->header_count);
        return record_size_add(sum, message->packed_headers, message->packed_headers_size)
                   ? 0
                   : record_too_large();
    }
    for (uint32_t i = 0; i < message->header_count; i++) {
        const kfl_header *header = &message->headers[i];
        if (header->name == NULL)
            return kfl__fail(KFL_E_INVALID_RECORD, "header %u has no name", i);
        if (header->value == NULL && header->value_size > 0)
            return kfl__fail(KFL_E_INVALID_RECORD, "header %u has a size without bytes", i);
        if (!record_size_add(sum, "", KFL_HEADER_HEAD_SIZE + 1) ||
            !record_size_add(sum, header->name, strlen(header->name)) ||
            !record_size_add(sum, header->value, header->value_size))
            return record_too_large();
    }
    return 0;
}

int kfl__record_size(const struct kfl__message *message, size_t *out_size)
{
    size_t sum = sizeof(struct kfl__record_head);
    if (!record_size_add(&sum, message->key, message->key_size) ||
        !record_size_add(&sum, message->value, message->value_size))
        return record_too_large();
    if (message->header_count != 0) {
        int r = record_headers_size(message, &sum);
        if (r < 0)
            return r;
    }
    *out_size = sum;
    return 0;
}

static uint8_t *record_put(uint8_t *to, const void *bytes, size_t size)
{
    if (bytes == NULL)
        return to;
    memcpy(to, bytes, size);
    return to + size;
}

static uint8_t *record_put_headers(uint8_t *to, const struct kfl__message *message)
{
    uint8_t *head = to;
    to += KFL_HEADERS_HEAD_SIZE;
    if (message->packed_headers != NULL) {
        to = record_put(to, message->packed_headers, message->packed_headers_size);
    } else {
        for (uint32_t i = 0; i < message->header_count; i++) {
            const kfl_header *header = &message->headers[i];
            size_t name_size = strlen(header->name);
            kfl__store32(to, (uint32_t)name_size);
            kfl__store32(to + 4, record_stored_size(header->value, header->value_size));
            to = record_put(to + KFL_HEADER_HEAD_SIZE, header->name, name_size + 1);
            to = record_put(to, header->value, header->value_size);
        }
    }
    kfl__store32(head, message->header_count);
    kfl__store32(head + 4, (uint32_t)(to - head - KFL_HEADERS_HEAD_SIZE));
    return to;
}

uint8_t *kfl__record_encode(uint8_t *to, const struct kfl__message *message, uint32_t offset_delta,
                            int64_t max_timestamp_ms)
{
    assert(message->timestamp_ms <= max_timestamp_ms);
    /* In whole words: the payload's hash loads them so, right behind us. */
    uint64_t key_size = record_stored_size(message->key, message->key_size);
    uint64_t value_size = record_stored_size(message->value, message->value_size);
    uint64_t delta = (uint64_t)(message->timestamp_ms - max_timestamp_ms);
    if (message->header_count != 0)
        offset_delta |= KFL_RECORD_HAS_HEADERS;
    kfl__store64(to, key_size | value_size << 32);
    kfl__store64(to + 8, offset_delta | delta << 32);
    kfl__store32(to + 16, (uint32_t)(delta >> 32));
    to += sizeof(struct kfl__record_head);
    to = record_put(to, message->key, message->key_size);
    to = record_put(to, message->value, message->value_size);
    if (message->header_count != 0)
        to = record_put_headers(to, message);
    return to;
}

/* Where a part is missing, its size is 0. */
static inline __attribute__((always_inline)) uint8_t *record_put_few(uint8_t *to, const void *bytes, size_t size)
{
    kfl__copy_few(to, bytes, size);
    return to + size;
}

KFL_INLINE_WHERE_SEEN uint8_t *kfl__record_encode_plain(uint8_t *to, const void *key,
                                                        size_t key_size, const void *value,
                                                        size_t value_size)
{
    uint64_t stored_key_size = record_stored_size(key, key_size);
    uint64_t stored_value_size = record_stored_size(value, value_size);
    kfl__store64(to, stored_key_size | stored_value_size << 32);
    kfl__store64(to + 8, 0);
    kfl__store32(to + 16, 0);
    to = record_put_few(to + sizeof(struct kfl__record_head), key, key_size);
    return record_put_few(to, value, value_size);
}

/* A key of up to eight bytes, as a word. */
static inline __attribute__((always_inline)) uint64_t record_key_word(const uint8_t *key, size_t size)
{
    uint64_t word = 0;
    if (KFL_LIKELY(size == sizeof word))
        return kfl__load64(key);
    for (size_t i = 0; i < size; i++)
        word |= (uint64_t)key[i] << 8 * i;
    return word;
}

KFL_INLINE_WHERE_SEEN struct kfl__record_split kfl__record_split(const void *key, size_t key_size, const void *value, size_t value_size)
{
    assert(key_size <= KFL_RECORD_SPLIT_KEY && value_size >= KFL_RECORD_SPLIT_LEAST);
    uint64_t stored_key_size = record_stored_size(key, key_size);
    uint64_t key_word = record_key_word(key, key_size), behind = kfl__load64(value), low = key_word, high = behind;
    /* The twelve bytes behind the record's head: the key's, and the value's first. */
    if (KFL_UNLIKELY(key_size < sizeof low)) {
        low = key_word | behind << 8 * key_size;
        high = kfl__load64((const uint8_t *)value + sizeof low - key_size);
    }
    size_t taken = 4 * sizeof(uint64_t) - sizeof(struct kfl__record_head) - key_size;
    return (struct kfl__record_split){
        .words = {stored_key_size | (uint64_t)value_size << 32, 0, low << 32, low >> 32 | high << 32},
        .rest = (const uint8_t *)value + taken,
        .rest_size = value_size - taken,
    };
}

/* -1 is a missing part; any other negative size is, unsigned, more than is ever left. */
static inline bool record_part_fits(int32_t size, size_t left)
{
    return size == -1 || (size_t)size <= left;
}

/* Moves over one part that was found to fit; NULL when it is missing. */
static inline const uint8_t *record_take(const uint8_t **at, int32_t size, size_t *out_size)
{
    const uint8_t *part = *at;
    if (size < 0) {
        *out_size = 0;
        return NULL;
    }
    *out_size = (size_t)size;
    *at += size;
    return part;
}

const uint8_t *kfl__record_decode(const uint8_t *from, const uint8_t *end, int64_t base_offset,
                                  int64_t max_timestamp_ms, kfl_record *out_record)
{
    struct kfl__record_head head;
    assert(from <= end);
    if ((size_t)(end - from) < sizeof head)
        return NULL;
    memcpy(&head, from, sizeof head);
    const uint8_t *at = from + sizeof head;

    int64_t offset_delta = head.offset_delta & ~KFL_RECORD_HAS_HEADERS, offset, timestamp_ms;
    if (head.timestamp_delta > 0 ||
        __builtin_add_overflow(max_timestamp_ms, (int64_t)head.timestamp_delta, &timestamp_ms) ||
        __builtin_add_overflow(base_offset, offset_delta, &offset))
        return NULL;

    size_t key_size, value_size, headers_size = 0;
    if (!record_part_fits(head.key_size, (size_t)(end - at)))
        return NULL;
    const uint8_t *key = record_take(&at, head.key_size, &key_size);
    if (!record_part_fits(head.value_size, (size_t)(end - at)))
        return NULL;
    const uint8_t *value = record_take(&at, head.value_size, &value_size);

    const uint8_t *headers = NULL;
    uint32_t header_count = 0;
    if ((head.offset_delta & KFL_RECORD_HAS_HEADERS) != 0) {
        if ((size_t)(end - at) < KFL_HEADERS_HEAD_SIZE)
            return NULL;
        header_count = kfl__load32(at);
        headers_size = kfl__load32(at + 4);
        headers = at + KFL_HEADERS_HEAD_SIZE;
        if (header_count == 0 || headers_size > (size_t)(end - headers) ||
            !kfl__headers_check(headers, headers_size, header_count))
            return NULL;
        at = headers + headers_size;
    }

    out_record->offset = offset;
    out_record->timestamp_ms = timestamp_ms;
    out_record->key = key;
    out_record->key_size = key_size;
    out_record->value = value;
    out_record->value_size = value_size;
    out_record->packed_headers = headers;
    out_record->packed_headers_size = headers_size;
    out_record->header_count = (int32_t)header_count;
    return at;
}

bool kfl__headers_check(const void *packed_headers, size_t size, uint32_t count)
{
    const uint8_t *at = packed_headers;
    for (; count > 0; count--) {
        if (size < KFL_HEADER_HEAD_SIZE)
            return false;
        uint32_t name_size = kfl__load32(at);
        int32_t value_size = (int32_t)kfl__load32(at + 4);
        at += KFL_HEADER_HEAD_SIZE;
        size -= KFL_HEADER_HEAD_SIZE;
        /* The name ends at its first NUL: callers are handed it as a string. */
        if (name_size >= size || memchr(at, '\0', (size_t)name_size + 1) != at + name_size)
            return false;
        at += name_size + 1;
        size -= name_size + 1;
        if (!record_part_fits(value_size, size))
            return false;
        if (value_size > 0) {
            at += value_size;
            size -= (size_t)value_size;
        }
    }
    return size == 0;
}
