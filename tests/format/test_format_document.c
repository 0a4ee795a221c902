/* SPDX-License-Identifier: MIT */
/* docs/format.md is the specification: its tables and its worked example are held against the code.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "format/batch.h"
#include "suite.h"

#define DOCUMENT KFL_TESTS_SOURCE_ROOT "/docs/format.md"

static char *document_load(void)
{
    FILE *file = fopen(DOCUMENT, "rb");
    ck_assert_msg(file != NULL, DOCUMENT);
    fseek(file, 0, SEEK_END);
    size_t size = (size_t)ftell(file);
    rewind(file);
    char *text = malloc(size + 1);
    ck_assert_uint_eq(fread(text, 1, size, file), size);
    text[size] = '\0';
    fclose(file);
    return text;
}

/* One row of a table: "| byte | size | type | `field` |", below the heading of its struct. */
static void document_expect_row(const char *text, const char *heading, const char *field,
                                size_t byte, size_t size)
{
    char wanted[128], row[128];
    const char *section = strstr(text, heading);
    ck_assert_msg(section != NULL, "%s", heading);
    snprintf(wanted, sizeof wanted, "| `%s` |", field);
    snprintf(row, sizeof row, "| %zu | %zu | ", byte, size);
    const char *found = strstr(section, wanted);
    ck_assert_msg(found != NULL, "%s has no row %s", heading, wanted);
    while (found > section && found[-1] != '\n')
        found--;
    ck_assert_msg(strncmp(found, row, strlen(row)) == 0, "%s %s is not at %s", heading, field, row);
}

#define EXPECT_ROW(type, field)                                                                    \
    document_expect_row(text, heading, #field, offsetof(struct type, field),                       \
                        sizeof((struct type *)NULL)->field)

START_TEST(every_field_has_its_row)
{
    char *text = document_load();
    const char *heading = "\n## Segment header\n";
    EXPECT_ROW(kfl__segment_header, magic);
    EXPECT_ROW(kfl__segment_header, format);
    EXPECT_ROW(kfl__segment_header, header_size);
    EXPECT_ROW(kfl__segment_header, incompatible);
    EXPECT_ROW(kfl__segment_header, compatible);
    EXPECT_ROW(kfl__segment_header, store_id);
    EXPECT_ROW(kfl__segment_header, topic_id);
    EXPECT_ROW(kfl__segment_header, segment_id);
    EXPECT_ROW(kfl__segment_header, seed);
    EXPECT_ROW(kfl__segment_header, size);
    EXPECT_ROW(kfl__segment_header, created_ms);
    EXPECT_ROW(kfl__segment_header, partition);
    EXPECT_ROW(kfl__segment_header, topic_name_size);
    EXPECT_ROW(kfl__segment_header, topic_name);
    EXPECT_ROW(kfl__segment_header, reserved);
    EXPECT_ROW(kfl__segment_header, hash);
    heading = "\n## Batch\n";
    EXPECT_ROW(kfl__batch_header, hash);
    EXPECT_ROW(kfl__batch_header, size);
    EXPECT_ROW(kfl__batch_header, record_count);
    EXPECT_ROW(kfl__batch_header, base_offset);
    EXPECT_ROW(kfl__batch_header, max_timestamp_ms);
    EXPECT_ROW(kfl__batch_header, writer_epoch);
    EXPECT_ROW(kfl__batch_header, durable_distance);
    EXPECT_ROW(kfl__batch_header, flags);
    EXPECT_ROW(kfl__batch_header, extension_size);
    EXPECT_ROW(kfl__batch_header, unpacked_size);
    heading = "\n### Record\n";
    EXPECT_ROW(kfl__record_head, key_size);
    EXPECT_ROW(kfl__record_head, value_size);
    EXPECT_ROW(kfl__record_head, offset_delta);
    EXPECT_ROW(kfl__record_head, timestamp_delta);
    free(text);
}
END_TEST

/* The bytes of the hexdump, as hexdump -C prints them; "*" repeats the line before it. */
static size_t document_bytes(uint8_t *bytes, size_t room)
{
    char *text = document_load();
    char *line = strstr(text, "```hexdump\n");
    ck_assert_ptr_nonnull(line);
    size_t size = 0;
    bool repeat = false;
    for (line = strchr(line, '\n') + 1; strncmp(line, "```", 3) != 0;
         line = strchr(line, '\n') + 1) {
        if (*line == '*') {
            repeat = true;
            continue;
        }
        char *at;
        size_t place = strtoul(line, &at, 16);
        ck_assert_uint_le(place + 16, room);
        for (; repeat && size < place; size++)
            bytes[size] = bytes[size - 16];
        repeat = false;
        ck_assert_uint_eq(size, place);
        for (int i = 0; i < 16 && *at == ' '; i++, size++)
            bytes[size] = (uint8_t)strtoul(at, &at, 16);
    }
    free(text);
    return size;
}

static void expect_bytes(const void *bytes, size_t size, const char *wanted)
{
    ck_assert_uint_eq(size, strlen(wanted));
    ck_assert_mem_eq(bytes, wanted, size);
}

static void expect_records(const struct kfl__batch_header *header, const uint8_t *payload)
{
    struct kfl__batch_cursor cursor;
    kfl_record record;
    kfl__batch_cursor_init(&cursor, header, payload, header->unpacked_size);
    ck_assert_int_eq(kfl__batch_next(&cursor, &record), 1);
    ck_assert_int_eq(record.offset, 1000);
    ck_assert_int_eq(record.timestamp_ms, 1700000000000);
    expect_bytes(record.key, record.key_size, "o-1");
    expect_bytes(record.value, record.value_size, "shipped");
    ck_assert_int_eq(record.header_count, 2);
    ck_assert_uint_eq(record.packed_headers_size, 30);
    ck_assert_mem_eq(record.packed_headers,
                     "\5\0\0\0\2\0\0\0trace\0a1\5\0\0\0\xff\xff\xff\xffretry", 30);
    ck_assert_int_eq(kfl__batch_next(&cursor, &record), 1);
    ck_assert_int_eq(record.offset, 1001);
    ck_assert_int_eq(record.timestamp_ms, 1699999999999);
    expect_bytes(record.key, record.key_size, "o-2");
    ck_assert_ptr_null(record.value);
    ck_assert_int_eq(record.header_count, 0);
    ck_assert_int_eq(kfl__batch_next(&cursor, &record), 0);
}

START_TEST(the_worked_example_is_what_it_is_said_to_be)
{
    _Alignas(struct kfl__segment_header) uint8_t bytes[1024];
    size_t size = document_bytes(bytes, sizeof bytes);
    ck_assert_uint_eq(size, 704);

    struct kfl__segment_header segment;
    memcpy(&segment, bytes, sizeof segment);
    ck_assert_int_eq(kfl__segment_header_check(&segment, size), 0);
    ck_assert_uint_eq(segment.format, 1);
    ck_assert_uint_eq(segment.store_id[0], 0xa0);
    ck_assert_uint_eq(segment.store_id[15], 0xaf);
    ck_assert_uint_eq(segment.topic_id, 3);
    ck_assert_uint_eq(segment.segment_id, 7);
    ck_assert_uint_eq(segment.seed, 0x0123456789abcdef);
    ck_assert_uint_eq(segment.size, 65536);
    ck_assert_int_eq(segment.created_ms, 1699999999000);
    ck_assert_uint_eq(segment.partition, 2);
    ck_assert_str_eq(segment.topic_name, "orders");

    struct kfl__batch_header header;
    ck_assert_int_eq(kfl__batch_verify(bytes, 0x200, size, segment.seed, &header), 0);
    ck_assert_uint_eq(header.size, 139);
    ck_assert_uint_eq(header.record_count, 2);
    ck_assert_int_eq(header.base_offset, 1000);
    ck_assert_int_eq(header.max_timestamp_ms, 1700000000000);
    ck_assert_uint_eq(header.writer_epoch, 3);
    ck_assert_int_eq(kfl__batch_durable_offset(&header), 990);
    ck_assert_uint_eq(header.flags, 0);
    ck_assert_uint_eq(header.unpacked_size, 91);
    expect_records(&header, bytes + 0x200 + sizeof header);

    uint64_t place = kfl__batch_next_place(0x200, &header);
    ck_assert_uint_eq(place, 0x290);
    ck_assert_int_eq(kfl__batch_verify(bytes, place, size, segment.seed, &header), 0);
    ck_assert_uint_eq(header.flags, KFL_BATCH_FLAG_END);
    ck_assert_int_eq(header.base_offset, 1002);
    ck_assert_int_eq(header.max_timestamp_ms, 8);
    ck_assert_uint_eq(header.writer_epoch, 3);
    ck_assert_int_eq(kfl__batch_durable_offset(&header), 1002);
    ck_assert_uint_eq(kfl__batch_next_place(place, &header), size);
}
END_TEST

/* Nothing of the example is free to differ: sealed again from what it says, the bytes are the same.
 */
START_TEST(the_worked_example_is_made_again_byte_for_byte)
{
    uint8_t bytes[1024], again[1024];
    size_t size = document_bytes(bytes, sizeof bytes);
    memcpy(again, bytes, size);
    struct kfl__segment_header segment;
    memcpy(&segment, bytes, sizeof segment);
    segment.hash = 0;
    kfl__segment_header_seal(&segment);
    memcpy(again, &segment, sizeof segment);

    memset(again + 0x200, 0, 48);
    memset(again + 0x290, 0, 48);
    const struct kfl__batch_facts facts = {
        .base_offset = 1000,
        .max_timestamp_ms = 1700000000000,
        .record_count = 2,
        .payload_size = 91,
        .unpacked_size = 91,
        .writer_epoch = 3,
        .durable_offset = 990,
        .payload_hash = kfl__hash64(bytes + 0x230, 91),
    };
    kfl__batch_seal(again + 0x200, &facts, 0x200, segment.seed);
    kfl__batch_pad(again + 0x200, facts.payload_size);
    kfl__batch_seal_end(again + 0x290, 1002, 8, 3, 1002, 0x290, segment.seed);
    ck_assert_mem_eq(again, bytes, size);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("format_document");
    TCase *all = tcase_create("docs/format.md");
    tcase_add_test(all, every_field_has_its_row);
    tcase_add_test(all, the_worked_example_is_what_it_is_said_to_be);
    tcase_add_test(all, the_worked_example_is_made_again_byte_for_byte);
    suite_add_tcase(suite, all);
    return suite;
}
