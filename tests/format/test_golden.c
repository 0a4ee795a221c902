/* SPDX-License-Identifier: MIT */
/*
 * Segment files of every released format, read by format/ alone: each must say for ever what the
 * text beside it says. Run from anywhere: meson tells where the tree is.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "format/batch.h"
#include "format/codec.h"
#include "../golden/golden_text.h"
#include "suite.h"

#define GOLDEN KFL_TESTS_SOURCE_ROOT "/tests/golden/format-1/"

static const char *const golden_names[] = {"example", "plain", "missing", "lz4", "zstd", "open", "compacted"};
#define GOLDEN_COUNT ((int)(sizeof golden_names / sizeof golden_names[0]))

/* The whole file and a NUL; malloc'ed to its exact size. */
static uint8_t *golden_load(const char *name, const char *suffix, size_t *out_size)
{
    char path[1024];
    snprintf(path, sizeof path, GOLDEN "%s%s", name, suffix);
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "%s", path);
    fseek(file, 0, SEEK_END);
    size_t size = (size_t)ftell(file);
    rewind(file);
    uint8_t *bytes = malloc(size + 1);
    ck_assert_uint_eq(fread(bytes, 1, size, file), size);
    bytes[size] = '\0';
    fclose(file);
    *out_size = size;
    return bytes;
}

static void golden_tell_headers(FILE *to, const kfl_record *record)
{
    const uint8_t *at = record->packed_headers;
    for (int32_t i = 0; i < record->header_count; i++) {
        uint32_t name_size = kfl__load32(at);
        int32_t value_size = (int32_t)kfl__load32(at + 4);
        const char *name = (const char *)at + KFL_HEADER_HEAD_SIZE;
        at += KFL_HEADER_HEAD_SIZE + name_size + 1;
        text_header(to, name, name_size, value_size < 0 ? NULL : at,
                    value_size < 0 ? 0 : (size_t)value_size);
        at += value_size < 0 ? 0 : value_size;
    }
}

static void golden_tell_records(FILE *to, const struct kfl__batch_header *header,
                                const uint8_t *payload)
{
    uint8_t *unpacked = malloc((size_t)header->unpacked_size + 1);
    int codec = header->flags & KFL_BATCH_FLAG_CODEC;
    if (codec == KFL_CODEC_NONE)
        memcpy(unpacked, payload, header->unpacked_size);
    else
        ck_assert_int_eq(kfl__codec_unpack(codec, payload, header->size - kfl__batch_head_size(header), unpacked,
                                           header->unpacked_size),
                         0);
    struct kfl__batch_cursor cursor;
    kfl_record record;
    int r;
    kfl__batch_cursor_init(&cursor, header, unpacked, header->unpacked_size);
    while ((r = kfl__batch_next(&cursor, &record)) == 1) {
        text_record(to, record.offset, record.timestamp_ms, record.key, record.key_size,
                    record.value, record.value_size);
        golden_tell_headers(to, &record);
        ck_assert_int_eq(record.timestamp_type, (header->flags & KFL_BATCH_FLAG_APPEND_TIME) != 0);
    }
    ck_assert_int_eq(r, 0);
    free(unpacked);
}

/* Walks a segment file as docs/format.md says, and tells what it meets. */
static void golden_tell(FILE *to, const uint8_t *file, size_t size)
{
    struct kfl__segment_header segment;
    ck_assert_uint_ge(size, sizeof segment);
    memcpy(&segment, file, sizeof segment);
    ck_assert_int_eq(kfl__segment_header_check(&segment, size), 0);
    text_segment(to, segment.segment_id, segment.topic_id, segment.topic_name, segment.partition,
                 segment.size);
    uint64_t place = segment.header_size;
    struct kfl__batch_header header;
    while (kfl__batch_verify(file, place, size, segment.seed, &header) == 0) {
        if ((header.flags & KFL_BATCH_FLAG_END) != 0) {
            text_end(to, place, header.base_offset, header.max_timestamp_ms);
            return;
        }
        text_batch(to, place, header.base_offset, header.record_count, header.writer_epoch,
                   kfl__batch_durable_offset(&header), header.flags);
        text_compacted(to, kfl__batch_end_offset(&header), kfl__batch_horizon(&header, file + place), header.flags);
        golden_tell_records(to, &header, file + place + kfl__batch_head_size(&header));
        place = kfl__batch_next_place(place, &header);
    }
    text_nothing(to, place);
}

START_TEST(a_golden_file_says_what_its_text_says)
{
    const char *name = golden_names[_i];
    int codec = kfl__codec_find(name);
    if (codec > 0 && !kfl__codec_is_built(codec))
        return;
    size_t size, text_size, told_size;
    uint8_t *file = golden_load(name, ".log", &size);
    uint8_t *text = golden_load(name, ".txt", &text_size);
    char *told;
    FILE *to = open_memstream(&told, &told_size);
    golden_tell(to, file, size);
    fclose(to);
    ck_assert_str_eq(told, (char *)text);
    free(told);
    free(text);
    free(file);
}
END_TEST

/* X65: refused, and not one byte of it touched. */
static void golden_expect_newer(size_t field, uint32_t value)
{
    size_t size;
    uint8_t *file = golden_load("plain", ".log", &size);
    uint8_t *before = malloc(size);
    kfl__store32(file + field, value);
    kfl__store64(file + offsetof(struct kfl__segment_header, hash),
                 kfl__hash64(file, offsetof(struct kfl__segment_header, hash)));
    memcpy(before, file, size);
    const void *header = file;
    ck_assert_int_eq(kfl__segment_header_check(header, size), KFL_HEADER_NEWER);
    ck_assert_mem_eq(before, file, size);
    free(before);
    free(file);
}

START_TEST(a_newer_format_is_refused)
{
    static const uint32_t formats[] = {KFL_FORMAT_VERSION + 1, 7, UINT32_MAX};
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        golden_expect_newer(offsetof(struct kfl__segment_header, format), formats[i]);
}
END_TEST

START_TEST(each_unknown_incompatible_bit_is_refused)
{
    for (int bit = 0; bit < 32; bit++)
        golden_expect_newer(offsetof(struct kfl__segment_header, incompatible), 1u << bit);
}
END_TEST

START_TEST(unknown_compatible_bits_are_no_reason_to_refuse)
{
    size_t size;
    uint8_t *file = golden_load("plain", ".log", &size);
    kfl__store32(file + offsetof(struct kfl__segment_header, compatible), UINT32_MAX);
    kfl__store64(file + offsetof(struct kfl__segment_header, hash),
                 kfl__hash64(file, offsetof(struct kfl__segment_header, hash)));
    const void *header = file;
    ck_assert_int_eq(kfl__segment_header_check(header, size), 0);
    free(file);
}
END_TEST

/* X48: whatever bit is wrong, of a header or of a batch, the walk tells less, never something else.
 */
START_TEST(a_flipped_bit_never_changes_what_is_told)
{
    size_t size, text_size;
    uint8_t *file = golden_load("missing", ".log", &size);
    uint8_t *text = golden_load("missing", ".txt", &text_size);
    struct kfl__segment_header segment;
    struct kfl__batch_header header;
    memcpy(&segment, file, sizeof segment);
    for (size_t bit = 0; bit < size * 8; bit++) {
        file[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (bit / 8 < sizeof segment) {
            const void *damaged = file;
            ck_assert_int_eq(kfl__segment_header_check(damaged, size), KFL_HEADER_BAD);
        } else {
            char *told;
            size_t told_size;
            FILE *to = open_memstream(&told, &told_size);
            golden_tell(to, file, size);
            fclose(to);
            bool whole = strcmp(told, (char *)text) == 0;
            bool padding =
                kfl__batch_verify(file, sizeof segment, size, segment.seed, &header) == 0 &&
                bit / 8 >= sizeof segment + header.size && bit / 8 < size - KFL_END_MARK_SIZE;
            ck_assert_msg(whole == padding, "bit %zu", bit);
            ck_assert_msg(whole || strstr(told, "nothing at") != NULL, "bit %zu", bit);
            free(told);
        }
        file[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    free(text);
    free(file);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("golden");
    TCase *files = tcase_create("files");
    tcase_add_loop_test(files, a_golden_file_says_what_its_text_says, 0, GOLDEN_COUNT);
    tcase_add_test(files, a_flipped_bit_never_changes_what_is_told);
    suite_add_tcase(suite, files);
    TCase *newer = tcase_create("newer formats");
    tcase_add_test(newer, a_newer_format_is_refused);
    tcase_add_test(newer, each_unknown_incompatible_bit_is_refused);
    tcase_add_test(newer, unknown_compatible_bits_are_no_reason_to_refuse);
    suite_add_tcase(suite, newer);
    return suite;
}
