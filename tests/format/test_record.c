/* SPDX-License-Identifier: MIT */
#include "format/record.h"

#include "quick_asserts.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "chance.h"
#include "suite.h"

#define BASE_OFFSET 1000
#define MAX_TIMESTAMP_MS 1700000000000

/* Exactly as many bytes as the record takes, so that the address sanitizer sees a step too far. */
static uint8_t *record_make(const struct kfl__message *message, uint32_t offset_delta,
                            size_t *out_size)
{
    ck_assert_int_eq(kfl__record_size(message, out_size), 0);
    uint8_t *bytes = malloc(*out_size);
    ck_assert_ptr_eq(kfl__record_encode(bytes, message, offset_delta, MAX_TIMESTAMP_MS),
                     bytes + *out_size);
    return bytes;
}

static const uint8_t *record_read(const uint8_t *bytes, size_t size, kfl_record *out_record)
{
    memset(out_record, 0xee, sizeof *out_record);
    return kfl__record_decode(bytes, bytes + size, BASE_OFFSET, MAX_TIMESTAMP_MS, out_record);
}

static void record_expect(const struct kfl__message *message, const void *key, size_t key_size,
                          const void *value, size_t value_size)
{
    size_t size;
    kfl_record record;
    uint8_t *bytes = record_make(message, 3, &size);
    ck_assert_ptr_eq(record_read(bytes, size, &record), bytes + size);
    ck_assert_int_eq(record.offset, BASE_OFFSET + 3);
    ck_assert_int_eq(record.timestamp_ms, message->timestamp_ms);
    ck_assert_int_eq(record.key == NULL, key == NULL);
    ck_assert_int_eq(record.value == NULL, value == NULL);
    ck_assert_uint_eq(record.key_size, key_size);
    ck_assert_uint_eq(record.value_size, value_size);
    if (key_size > 0)
        ck_assert_mem_eq(record.key, key, key_size);
    if (value_size > 0)
        ck_assert_mem_eq(record.value, value, value_size);
    free(bytes);
}

START_TEST(what_is_encoded_is_decoded)
{
    const struct kfl__message message = {
        .key = "key",
        .key_size = 3,
        .value = "some value",
        .value_size = 10,
        .timestamp_ms = MAX_TIMESTAMP_MS - 5,
    };
    record_expect(&message, "key", 3, "some value", 10);
}
END_TEST

/* The bytes lie at the very ends of what was allocated: nothing beyond them is looked at. */
START_TEST(a_split_record_has_the_bytes_of_one_that_is_written)
{
    static const char pattern[KFL_RECORD_SPLIT_KEY + 1] = "\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8";
    uint8_t written[256];
    for (size_t key_size = 0; key_size <= KFL_RECORD_SPLIT_KEY; key_size++) {
        for (size_t value_size = KFL_RECORD_SPLIT_LEAST; value_size <= 108; value_size++) {
            uint8_t *block = malloc(1 + key_size), *key = block + 1, *value = malloc(value_size);
            memcpy(key, pattern, key_size);
            for (size_t i = 0; i < value_size; i++)
                value[i] = (uint8_t)(i * 29 + value_size);
            for (int missing = 0; missing <= (key_size == 0 ? 1 : 0); missing++) {
                const void *given = missing ? NULL : key;
                struct kfl__record_split split = kfl__record_split(given, key_size, value, value_size);
                size_t size = (size_t)(kfl__record_encode_plain(written, given, key_size, value, value_size) - written);
                ck_assert_uint_eq(sizeof split.words + split.rest_size, size);
                ck_assert_mem_eq(split.words, written, sizeof split.words);
                ck_assert_ptr_eq(split.rest + split.rest_size, value + value_size);
                ck_assert_mem_eq(split.rest, written + sizeof split.words, split.rest_size);
            }
            free(value);
            free(block);
        }
    }
}
END_TEST

/* kafka:B7 */
START_TEST(an_empty_key_or_value_is_not_a_missing_one)
{
    struct kfl__message message = {.timestamp_ms = MAX_TIMESTAMP_MS};
    record_expect(&message, NULL, 0, NULL, 0);
    message.key = "";
    record_expect(&message, "", 0, NULL, 0);
    message.value = "";
    record_expect(&message, "", 0, "", 0);
    message.key = NULL;
    record_expect(&message, NULL, 0, "", 0);
}
END_TEST

START_TEST(the_size_of_what_is_missing_is_not_looked_at)
{
    const struct kfl__message message = {
        .key_size = 77, .value_size = SIZE_MAX, .timestamp_ms = MAX_TIMESTAMP_MS};
    record_expect(&message, NULL, 0, NULL, 0);
}
END_TEST

START_TEST(a_time_is_any_that_is_not_above_the_latest)
{
    static const int64_t times[] = {0, 1, MAX_TIMESTAMP_MS - 1, MAX_TIMESTAMP_MS,
                                    INT64_MIN + MAX_TIMESTAMP_MS};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        const struct kfl__message message = {.timestamp_ms = times[i]};
        record_expect(&message, NULL, 0, NULL, 0);
    }
}
END_TEST

/* Reads the header at *at of packed headers and steps over it. */
static kfl_header header_take(const uint8_t **at)
{
    uint32_t name_size = kfl__load32(*at);
    int32_t value_size = (int32_t)kfl__load32(*at + 4);
    kfl_header header = {.name = (const char *)*at + 8};
    ck_assert_uint_eq(strlen(header.name), name_size);
    *at += 8 + name_size + 1;
    if (value_size >= 0) {
        header.value = *at;
        header.value_size = (size_t)value_size;
        *at += value_size;
    }
    return header;
}

static const kfl_header six_headers[] = {
    {"b", "2", 1},      {"a", "1", 1},    {"b", "3", 1}, /* a name twice */
    {"", "no name", 7}, {"empty", "", 0}, {"missing", NULL, 0},
};
static const struct kfl__message with_headers = {
    .key = "k",
    .key_size = 1,
    .headers = six_headers,
    .header_count = 6,
    .timestamp_ms = MAX_TIMESTAMP_MS,
};

/* kafka:B8 */
START_TEST(headers_keep_order_duplicates_and_missing_values)
{
    size_t size;
    kfl_record record;
    uint8_t *bytes = record_make(&with_headers, 0, &size);
    ck_assert_ptr_eq(record_read(bytes, size, &record), bytes + size);
    ck_assert_int_eq(record.header_count, 6);
    const uint8_t *at = record.packed_headers;
    for (int i = 0; i < 6; i++) {
        kfl_header header = header_take(&at);
        ck_assert_str_eq(header.name, six_headers[i].name);
        ck_assert_uint_eq(header.value_size, six_headers[i].value_size);
        ck_assert_int_eq(header.value == NULL, six_headers[i].value == NULL);
        if (header.value_size > 0)
            ck_assert_mem_eq(header.value, six_headers[i].value, header.value_size);
    }
    ck_assert_ptr_eq(at, (const uint8_t *)record.packed_headers + record.packed_headers_size);
    ck_assert_ptr_eq(at, bytes + size);
    free(bytes);
}
END_TEST

START_TEST(headers_that_are_packed_already_make_the_same_bytes)
{
    size_t size, size_again;
    kfl_record record;
    uint8_t *bytes = record_make(&with_headers, 0, &size);
    record_read(bytes, size, &record);
    struct kfl__message packed = with_headers;
    packed.headers = NULL;
    packed.packed_headers = record.packed_headers;
    packed.packed_headers_size = record.packed_headers_size;
    uint8_t *again = record_make(&packed, 0, &size_again);
    ck_assert_uint_eq(size, size_again);
    ck_assert_mem_eq(bytes, again, size);
    free(bytes);
    free(again);
}
END_TEST

START_TEST(a_record_without_headers_says_none)
{
    size_t size;
    kfl_record record;
    const struct kfl__message message = {.timestamp_ms = MAX_TIMESTAMP_MS};
    uint8_t *bytes = record_make(&message, 0, &size);
    ck_assert_uint_eq(size, 20);
    record_read(bytes, size, &record);
    ck_assert_int_eq(record.header_count, 0);
    ck_assert_ptr_null(record.packed_headers);
    ck_assert_uint_eq(record.packed_headers_size, 0);
    free(bytes);
}
END_TEST

START_TEST(a_header_without_a_name_is_refused)
{
    const kfl_header headers[] = {{"good", NULL, 0}, {NULL, "x", 1}};
    const struct kfl__message message = {
        .headers = headers, .header_count = 2, .timestamp_ms = MAX_TIMESTAMP_MS};
    size_t size = 5;
    ck_assert_int_eq(kfl__record_size(&message, &size), KFL_E_INVALID_RECORD);
    ck_assert_uint_eq(size, 5);
}
END_TEST

START_TEST(packed_headers_that_are_none_are_refused)
{
    size_t size = 5;
    struct kfl__message message = {
        .packed_headers = "\1\0\0\0\0\0\0\0a", .packed_headers_size = 10, .header_count = 1};
    ck_assert_int_eq(kfl__record_size(&message, &size), 0);
    message.header_count = 2;
    ck_assert_int_eq(kfl__record_size(&message, &size), KFL_E_INVALID_RECORD);
    message.header_count = 1;
    message.packed_headers_size = 9;
    ck_assert_int_eq(kfl__record_size(&message, &size), KFL_E_INVALID_RECORD);
}
END_TEST

/* X47. No byte of a too large message is looked at, so none needs to exist. */
START_TEST(the_largest_record_is_two_gibibytes_but_for_a_margin)
{
    const size_t most = (size_t)INT32_MAX - 65536 - 20;
    static const char byte;
    size_t size = 5;
    struct kfl__message message = {.value = &byte, .value_size = most};
    ck_assert_int_eq(kfl__record_size(&message, &size), 0);
    ck_assert_uint_eq(size, most + 20);

    message.value_size = most + 1;
    ck_assert_int_eq(kfl__record_size(&message, &size), KFL_E_MESSAGE_TOO_LARGE);
    message.value_size = SIZE_MAX;
    ck_assert_int_eq(kfl__record_size(&message, &size), KFL_E_MESSAGE_TOO_LARGE);
    message.value_size = most;
    message.key = &byte;
    message.key_size = 1;
    ck_assert_int_eq(kfl__record_size(&message, &size), KFL_E_MESSAGE_TOO_LARGE);
    message.key_size = SIZE_MAX - most;
    ck_assert_int_eq(kfl__record_size(&message, &size), KFL_E_MESSAGE_TOO_LARGE);

    const kfl_header headers[] = {{"a", &byte, SIZE_MAX}, {"b", &byte, 1}};
    message = (struct kfl__message){.headers = headers, .header_count = 2};
    ck_assert_int_eq(kfl__record_size(&message, &size), KFL_E_MESSAGE_TOO_LARGE);
    message = (struct kfl__message){
        .value = &byte, .value_size = most - 7, .headers = headers + 1, .header_count = 1};
    ck_assert_int_eq(kfl__record_size(&message, &size), KFL_E_MESSAGE_TOO_LARGE);
    ck_assert_uint_eq(size, most + 20);
}
END_TEST

START_TEST(a_record_cut_at_any_length_is_none)
{
    size_t size;
    uint8_t *bytes = record_make(&with_headers, 0, &size);
    for (size_t cut = 0; cut < size; cut++) {
        uint8_t *part = malloc(cut + (cut == 0));
        kfl_record record, before;
        memcpy(part, bytes, cut);
        memset(&before, 0xee, sizeof before);
        ck_assert_msg(record_read(part, cut, &record) == NULL, "cut at %zu", cut);
        ck_assert_mem_eq(&record, &before, sizeof record);
        free(part);
    }
    free(bytes);
}
END_TEST

/* Sets a field of a record's head to what it cannot be. */
static void record_expect_refused(size_t at, uint64_t value, size_t value_size)
{
    size_t size;
    kfl_record record;
    uint8_t *bytes = record_make(&with_headers, 0, &size);
    memcpy(bytes + at, &value, value_size);
    ck_assert_msg(record_read(bytes, size, &record) == NULL, "%zu", at);
    free(bytes);
}

START_TEST(fields_that_cannot_be_are_refused)
{
    record_expect_refused(offsetof(struct kfl__record_head, key_size), (uint32_t)-2, 4);
    record_expect_refused(offsetof(struct kfl__record_head, key_size), INT32_MAX, 4);
    record_expect_refused(offsetof(struct kfl__record_head, key_size), (uint32_t)INT32_MIN, 4);
    record_expect_refused(offsetof(struct kfl__record_head, value_size), (uint32_t)-2, 4);
    record_expect_refused(offsetof(struct kfl__record_head, value_size), INT32_MAX, 4);
    record_expect_refused(offsetof(struct kfl__record_head, timestamp_delta), 1, 8);
    static const uint32_t counts[] = {0, 5, 7, UINT32_MAX}, sizes[] = {0, UINT32_MAX};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        record_expect_refused(20 + 1, counts[i], 4);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        record_expect_refused(20 + 5, sizes[i], 4);
}
END_TEST

/* None at all is said by the bit's absence, so that there is one way to say it. */
START_TEST(a_record_that_announces_headers_has_some)
{
    size_t size;
    kfl_record record;
    const struct kfl__message message = {.timestamp_ms = MAX_TIMESTAMP_MS};
    uint8_t *bytes = record_make(&message, 5, &size);
    uint8_t longer[20 + KFL_HEADERS_HEAD_SIZE] = {0};
    memcpy(longer, bytes, size);
    ck_assert_ptr_eq(record_read(longer, sizeof longer, &record), longer + 20);
    longer[11] |= 0x80;
    ck_assert_ptr_null(record_read(longer, sizeof longer, &record));
    free(bytes);
}
END_TEST

START_TEST(an_offset_or_time_beyond_64_bits_is_refused)
{
    size_t size;
    kfl_record record;
    const struct kfl__message message = {.timestamp_ms = MAX_TIMESTAMP_MS - 10};
    uint8_t *bytes = record_make(&message, 5, &size);
    const uint8_t *end = bytes + size;
    ck_assert_ptr_nonnull(kfl__record_decode(bytes, end, INT64_MAX - 5, 0, &record));
    ck_assert_int_eq(record.offset, INT64_MAX);
    ck_assert_ptr_null(kfl__record_decode(bytes, end, INT64_MAX - 4, 0, &record));
    ck_assert_ptr_nonnull(kfl__record_decode(bytes, end, 0, INT64_MIN + 10, &record));
    ck_assert_ptr_null(kfl__record_decode(bytes, end, 0, INT64_MIN + 9, &record));
    free(bytes);
}
END_TEST

START_TEST(only_whole_headers_with_names_that_end_are_packed_headers)
{
    ck_assert(kfl__headers_check("", 0, 0));
    ck_assert(!kfl__headers_check("", 0, 1));
    ck_assert(!kfl__headers_check("x", 1, 0));
    ck_assert(kfl__headers_check("\0\0\0\0\xff\xff\xff\xff", 9, 1));
    ck_assert(!kfl__headers_check("\0\0\0\0\xfe\xff\xff\xff", 9, 1));
    ck_assert(!kfl__headers_check("\0\0\0\0\xff\xff\xff\xff!", 9, 1));
    ck_assert(kfl__headers_check("\3\0\0\0\1\0\0\0abc\0v", 13, 1));
    ck_assert(!kfl__headers_check("\3\0\0\0\1\0\0\0abc\0v", 12, 1));
    ck_assert(!kfl__headers_check("\3\0\0\0\1\0\0\0abc\0vw", 14, 1));
    ck_assert(!kfl__headers_check("\3\0\0\0\1\0\0\0abcdv", 13, 1));
    ck_assert(!kfl__headers_check("\3\0\0\0\1\0\0\0a\0c\0v", 13, 1));
    ck_assert(!kfl__headers_check("\xff\xff\xff\xff\1\0\0\0abc\0v", 13, 1));
    ck_assert(!kfl__headers_check("\3\0\0\0\xff\xff\xff\x7f"
                                  "abc\0v",
                                  13, 1));
}
END_TEST

START_TEST(random_bytes_are_never_read_beyond_their_end)
{
    struct chance chance = chance_begin("random_bytes_are_never_read_beyond_their_end");
    size_t model_size, found = 0;
    uint8_t *model = record_make(&with_headers, 0, &model_size);
    for (int i = 0; i < 200000; i++) {
        size_t size = (size_t)chance_below(&chance, 160);
        uint8_t *bytes = malloc(size + (size == 0));
        if (i % 4 == 0) {
            chance_fill(&chance, bytes, size);
        } else { /* a good record with a few bytes changed gets further */
            memset(bytes, 0, size);
            memcpy(bytes, model, size < model_size ? size : model_size);
            for (uint64_t changes = chance_below(&chance, 4); changes > 0 && size > 0; changes--)
                bytes[chance_below(&chance, size)] = (uint8_t)chance_next(&chance);
        }
        kfl_record record;
        const uint8_t *behind = record_read(bytes, size, &record);
        if (behind != NULL) {
            found++;
            ck_assert(behind > bytes && behind <= bytes + size);
            const uint8_t *at = record.packed_headers;
            for (int32_t k = 0; k < record.header_count; k++)
                header_take(&at);
            size_t sum = record.key_size + record.value_size + record.packed_headers_size;
            ck_assert_uint_le(sum, size);
        }
        free(bytes);
    }
    ck_assert_uint_gt(found, 0);
    free(model);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("record");
    TCase *good = tcase_create("there and back");
    tcase_add_test(good, what_is_encoded_is_decoded);
    tcase_add_test(good, a_split_record_has_the_bytes_of_one_that_is_written);
    tcase_add_test(good, an_empty_key_or_value_is_not_a_missing_one);
    tcase_add_test(good, the_size_of_what_is_missing_is_not_looked_at);
    tcase_add_test(good, a_time_is_any_that_is_not_above_the_latest);
    tcase_add_test(good, headers_keep_order_duplicates_and_missing_values);
    tcase_add_test(good, headers_that_are_packed_already_make_the_same_bytes);
    tcase_add_test(good, a_record_without_headers_says_none);
    suite_add_tcase(suite, good);
    TCase *refused = tcase_create("messages that are refused");
    tcase_add_test(refused, a_header_without_a_name_is_refused);
    tcase_add_test(refused, packed_headers_that_are_none_are_refused);
    tcase_add_test(refused, the_largest_record_is_two_gibibytes_but_for_a_margin);
    suite_add_tcase(suite, refused);
    TCase *hostile = tcase_create("hostile bytes");
    tcase_set_timeout(hostile, 60);
    tcase_add_test(hostile, a_record_cut_at_any_length_is_none);
    tcase_add_test(hostile, fields_that_cannot_be_are_refused);
    tcase_add_test(hostile, a_record_that_announces_headers_has_some);
    tcase_add_test(hostile, an_offset_or_time_beyond_64_bits_is_refused);
    tcase_add_test(hostile, only_whole_headers_with_names_that_end_are_packed_headers);
    tcase_add_test(hostile, random_bytes_are_never_read_beyond_their_end);
    suite_add_tcase(suite, hostile);
    return suite;
}
