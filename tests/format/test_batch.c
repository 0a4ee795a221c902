/* SPDX-License-Identifier: MIT */
#include "format/batch.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "format/record.h"
#include "image.h"
#include "suite.h"

START_TEST(what_is_sealed_verifies_and_says_what_was_said)
{
    struct kfl__batch_facts facts;
    struct kfl__batch_header header;
    struct image image = image_of_three(&facts);
    ck_assert_int_eq(image_verify(&image, &header), 0);
    ck_assert_uint_eq(header.size, HEADER_SIZE + facts.payload_size);
    ck_assert_uint_eq(header.record_count, 3);
    ck_assert_int_eq(header.base_offset, BASE_OFFSET);
    ck_assert_int_eq(header.max_timestamp_ms, NOW_MS);
    ck_assert_uint_eq(header.writer_epoch, 9);
    ck_assert_uint_eq(header.flags, 0);
    ck_assert_uint_eq(header.unpacked_size, facts.payload_size);
    ck_assert_int_eq(kfl__batch_end_offset(&header), BASE_OFFSET + 3);
    ck_assert_int_eq(kfl__batch_durable_offset(&header), BASE_OFFSET - 3);
    ck_assert_uint_eq(kfl__batch_next_place(PLACE, &header), image.size);

    struct kfl__batch_header peeked;
    ck_assert_int_eq(kfl__batch_peek(image.bytes, PLACE, image.size, &peeked), 0);
    ck_assert_mem_eq(&peeked, &header, sizeof header);
    free(image.bytes);
}
END_TEST

START_TEST(the_records_come_out_as_they_went_in)
{
    struct kfl__batch_facts facts;
    struct kfl__batch_header header;
    struct kfl__batch_cursor cursor;
    kfl_record record = {.topic = "topic", .partition = 6};
    struct image image = image_of_three(&facts);
    ck_assert_int_eq(image_verify(&image, &header), 0);
    kfl__batch_cursor_init(&cursor, &header, image.bytes + PLACE + HEADER_SIZE,
                           header.unpacked_size);
    ck_assert_int_eq(kfl__batch_next(&cursor, &record), 1);
    ck_assert_int_eq(record.offset, BASE_OFFSET);
    ck_assert_int_eq(record.timestamp_ms, NOW_MS - 2);
    ck_assert_int_eq(record.timestamp_type, 0);
    ck_assert_mem_eq(record.key, "key", 3);
    ck_assert_mem_eq(record.value, "value", 5);
    ck_assert_int_eq(kfl__batch_next(&cursor, &record), 1);
    ck_assert_int_eq(record.offset, BASE_OFFSET + 1);
    ck_assert_int_eq(record.header_count, 2);
    ck_assert_ptr_null(record.key);
    ck_assert_ptr_nonnull(record.value);
    ck_assert_int_eq(kfl__batch_next(&cursor, &record), 1);
    ck_assert_int_eq(record.offset, BASE_OFFSET + 2);
    ck_assert_int_eq(record.timestamp_ms, NOW_MS - 1);
    ck_assert_ptr_null(record.value);
    ck_assert_int_eq(kfl__batch_next(&cursor, &record), 0);
    ck_assert_int_eq(kfl__batch_next(&cursor, &record), 0);
    ck_assert_str_eq(record.topic, "topic");
    ck_assert_int_eq(record.partition, 6);
    free(image.bytes);
}
END_TEST

START_TEST(the_append_clocks_times_are_told_as_such)
{
    struct kfl__batch_facts facts;
    struct kfl__batch_header header;
    struct kfl__batch_cursor cursor;
    kfl_record record;
    struct image image = image_of_three(&facts);
    facts.flags = KFL_BATCH_FLAG_APPEND_TIME;
    kfl__batch_seal(image.bytes + PLACE, &facts, PLACE, SEED);
    ck_assert_int_eq(image_verify(&image, &header), 0);
    kfl__batch_cursor_init(&cursor, &header, image.bytes + PLACE + HEADER_SIZE,
                           header.unpacked_size);
    ck_assert_int_eq(kfl__batch_next(&cursor, &record), 1);
    ck_assert_int_eq(record.timestamp_type, 1);
    free(image.bytes);
}
END_TEST

START_TEST(every_flipped_bit_is_noticed)
{
    struct kfl__batch_facts facts;
    struct kfl__batch_header header, untouched;
    struct image image = image_of_three(&facts);
    memset(&header, 0xee, sizeof header);
    untouched = header;
    size_t bits = (HEADER_SIZE + facts.payload_size) * 8;
    for (size_t bit = 0; bit < bits; bit++) {
        image.bytes[PLACE + bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_msg(image_verify(&image, &header) == KFL_BATCH_BAD, "bit %zu", bit);
        ck_assert_mem_eq(&header, &untouched, sizeof header);
        image.bytes[PLACE + bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    ck_assert_int_eq(image_verify(&image, &header), 0);
    free(image.bytes);
}
END_TEST

/* rule:R1 X3 X4 */
START_TEST(a_batch_of_another_segment_never_verifies)
{
    struct kfl__batch_facts facts;
    struct kfl__batch_header header;
    struct image image = image_of_three(&facts);
    for (int bit = 0; bit < 64; bit++) {
        uint64_t seed = SEED ^ UINT64_C(1) << bit;
        ck_assert_int_eq(kfl__batch_verify(image.bytes, PLACE, image.size, seed, &header),
                         KFL_BATCH_BAD);
    }
    free(image.bytes);
}
END_TEST

/* X3 */
START_TEST(a_batch_at_another_place_never_verifies)
{
    struct kfl__batch_facts facts;
    struct kfl__batch_header header;
    struct image image = image_of_three(&facts);
    size_t size = image.size - PLACE;
    uint8_t *file = calloc(1, 4096 + size);
    for (uint64_t place = 0; place <= 4096; place += 8) {
        memcpy(file + place, image.bytes + PLACE, size);
        int answer = kfl__batch_verify(file, place, 4096 + size, SEED, &header);
        ck_assert_int_eq(answer, place == PLACE ? 0 : KFL_BATCH_BAD);
    }
    free(file);
    free(image.bytes);
}
END_TEST

/* X3: what a former writer left at this very place, with another payload behind its header. */
START_TEST(a_header_over_another_payload_never_verifies)
{
    struct kfl__batch_facts facts;
    struct kfl__batch_header header;
    struct image old = image_of_three(&facts);
    struct image new = image_of_three(&facts);
    new.bytes[PLACE + HEADER_SIZE + 24] = 'K';
    facts.payload_hash = kfl__hash64(new.bytes + PLACE + HEADER_SIZE, facts.payload_size);
    facts.writer_epoch++;
    kfl__batch_seal(new.bytes + PLACE, &facts, PLACE, SEED);
    ck_assert_int_eq(image_verify(&new, &header), 0);
    for (size_t torn = 8; torn < old.size - PLACE; torn += 8) {
        uint8_t *mixed = malloc(old.size);
        memcpy(mixed, old.bytes, old.size);
        memcpy(mixed + PLACE, new.bytes + PLACE, torn);
        /* Torn behind the last byte that differs, it is the new batch, whole. */
        bool whole = memcmp(mixed, new.bytes, old.size) == 0;
        ck_assert_int_eq(kfl__batch_verify(mixed, PLACE, old.size, SEED, &header),
                         whole ? 0 : KFL_BATCH_BAD);
        free(mixed);
    }
    free(old.bytes);
    free(new.bytes);
}
END_TEST

START_TEST(a_batch_cut_at_any_length_is_bad)
{
    struct kfl__batch_facts facts;
    struct kfl__batch_header header;
    struct image image = image_of_three(&facts);
    size_t whole = PLACE + HEADER_SIZE + facts.payload_size;
    for (size_t cut = 0; cut < whole; cut++) {
        uint8_t *part = malloc(cut + (cut == 0));
        memcpy(part, image.bytes, cut);
        ck_assert_int_eq(kfl__batch_verify(part, PLACE, cut, SEED, &header), KFL_BATCH_BAD);
        ck_assert_int_eq(kfl__batch_peek(part, PLACE, cut, &header), KFL_BATCH_BAD);
        free(part);
    }
    /* The padding behind is no part of it. */
    ck_assert_int_eq(kfl__batch_verify(image.bytes, PLACE, whole, SEED, &header), 0);
    free(image.bytes);
}
END_TEST

START_TEST(zeros_are_no_batch)
{
    struct kfl__batch_header header;
    static const uint8_t zeros[4096];
    for (uint64_t place = 0; place < sizeof zeros + 16; place++)
        ck_assert_int_eq(kfl__batch_verify(zeros, place, sizeof zeros, 0, &header), KFL_BATCH_BAD);
}
END_TEST

START_TEST(a_place_is_a_multiple_of_eight_and_inside)
{
    struct kfl__batch_facts facts;
    struct kfl__batch_header header;
    struct image image = image_of_three(&facts);
    for (uint64_t place = 505; place < 520; place++) {
        int answer = kfl__batch_verify(image.bytes, place, image.size, SEED, &header);
        ck_assert_int_eq(answer, place == PLACE ? 0 : KFL_BATCH_BAD);
    }
    static const uint64_t far[] = {UINT64_MAX, UINT64_MAX - 7, UINT64_MAX - 47, UINT64_MAX / 8 * 8,
                                   UINT64_C(1) << 63};
    for (size_t i = 0; i < sizeof far / sizeof far[0]; i++) {
        ck_assert_int_eq(kfl__batch_verify(image.bytes, far[i], image.size, SEED, &header),
                         KFL_BATCH_BAD);
        ck_assert_int_eq(kfl__batch_peek(image.bytes, far[i], image.size, &header), KFL_BATCH_BAD);
    }
    free(image.bytes);
}
END_TEST

START_TEST(an_end_mark_names_the_next_segment)
{
    struct kfl__batch_header header;
    struct image image = image_make(0);
    kfl__batch_seal_end(image.bytes + PLACE, 77, 12, 4, 70, PLACE, SEED);
    ck_assert_int_eq(image_verify(&image, &header), 0);
    ck_assert_uint_eq(header.flags, KFL_BATCH_FLAG_END);
    ck_assert_uint_eq(header.size, KFL_END_MARK_SIZE);
    ck_assert_uint_eq(header.record_count, 0);
    ck_assert_int_eq(header.base_offset, 77);
    ck_assert_int_eq(header.max_timestamp_ms, 12);
    ck_assert_uint_eq(header.writer_epoch, 4);
    ck_assert_int_eq(kfl__batch_end_offset(&header), 77);
    ck_assert_int_eq(kfl__batch_durable_offset(&header), 70);
    for (size_t bit = 0; bit < KFL_END_MARK_SIZE * 8; bit++) {
        image.bytes[PLACE + bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_int_eq(image_verify(&image, &header), KFL_BATCH_BAD);
        image.bytes[PLACE + bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    free(image.bytes);
}
END_TEST

START_TEST(a_batch_without_records_is_one)
{
    struct kfl__batch_header header;
    struct kfl__batch_cursor cursor;
    kfl_record record;
    struct image image = image_make(0);
    struct kfl__batch_facts facts = facts_of(&image, 0, 0);
    kfl__batch_seal(image.bytes + PLACE, &facts, PLACE, SEED);
    ck_assert_int_eq(image_verify(&image, &header), 0);
    kfl__batch_cursor_init(&cursor, &header, image.bytes + image.size, 0);
    ck_assert_int_eq(kfl__batch_next(&cursor, &record), 0);
    free(image.bytes);
}
END_TEST

/* rule:R22: a distance that does not fit is not said, because a shorter one would prove too much.
 */
START_TEST(a_durable_offset_is_told_exactly_or_not_at_all)
{
    static const struct {
        int64_t base_offset, durable_offset, told;
    } cases[] = {
        {0, 0, 0},
        {10, 0, 0},
        {10, 10, 10},
        {10, -1, -1},
        {10, 500, 10}, /* a copy of old records: more than these is durable by now */
        {INT64_C(1) << 40, (INT64_C(1) << 40) - UINT32_MAX + 1,
         (INT64_C(1) << 40) - UINT32_MAX + 1},
        {INT64_C(1) << 40, (INT64_C(1) << 40) - UINT32_MAX, -1},
        {INT64_C(1) << 40, 0, -1},
        {INT64_MAX - 1, INT64_MAX - 1, INT64_MAX - 1},
        {INT64_MAX - 1, 0, -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct kfl__batch_header header;
        struct image image = image_make(0);
        struct kfl__batch_facts facts = facts_of(&image, 0, 0);
        facts.base_offset = cases[i].base_offset;
        facts.durable_offset = cases[i].durable_offset;
        kfl__batch_seal(image.bytes + PLACE, &facts, PLACE, SEED);
        ck_assert_int_eq(image_verify(&image, &header), 0);
        ck_assert_int_eq(kfl__batch_durable_offset(&header), cases[i].told);
        free(image.bytes);
    }
}
END_TEST

START_TEST(padding_is_zeroed_up_to_the_next_place_and_no_further)
{
    for (uint32_t payload_size = 0; payload_size < 40; payload_size++) {
        uint8_t bytes[HEADER_SIZE + 64];
        memset(bytes, 0x5a, sizeof bytes);
        kfl__batch_pad(bytes, payload_size);
        size_t room = (size_t)kfl__batch_room(payload_size);
        ck_assert_uint_eq(room % 8, 0);
        ck_assert_uint_lt(room - HEADER_SIZE - payload_size, 8);
        for (size_t i = 0; i < sizeof bytes; i++) {
            bool padding = i >= HEADER_SIZE + payload_size && i < room;
            ck_assert_uint_eq(bytes[i], padding ? 0 : 0x5a);
        }
    }
}
END_TEST

/* X47 */
START_TEST(the_largest_batch_verifies_and_one_byte_more_does_not)
{
    struct image image = image_make((size_t)KFL_BATCH_SIZE_MAX - HEADER_SIZE + 8);
    struct kfl__batch_header header;
    struct kfl__batch_facts facts =
        facts_of(&image, (uint32_t)(KFL_BATCH_SIZE_MAX - HEADER_SIZE), 0);
    kfl__batch_seal(image.bytes + PLACE, &facts, PLACE, SEED);
    ck_assert_int_eq(image_verify(&image, &header), 0);
    header.size++;
    header.unpacked_size++;
    image_forge(&image, header);
    ck_assert_int_eq(image_verify(&image, &header), KFL_BATCH_BAD);
    free(image.bytes);
}
END_TEST

/* X47: one record of each size around what matters, sealed, verified, read. */
START_TEST(records_of_boundary_sizes_go_in_and_out)
{
    static const size_t sizes[] = {
        0,   1,   7,   8,   9,    15,   16,   17,    128,   129,      240,
        241, 511, 512, 513, 4095, 4096, 4097, 65535, 65536, 1u << 20, (1u << 20) + 1};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint8_t *value = malloc(sizes[i] + 1);
        memset(value, 'v', sizes[i]);
        const struct kfl__message message = {
            .key = "", .value = value, .value_size = sizes[i], .timestamp_ms = NOW_MS};
        size_t size;
        ck_assert_int_eq(kfl__record_size(&message, &size), 0);
        struct image image = image_make(size);
        kfl__record_encode(image.bytes + PLACE + HEADER_SIZE, &message, 0, NOW_MS);
        struct kfl__batch_facts facts = facts_of(&image, (uint32_t)size, 1);
        kfl__batch_seal(image.bytes + PLACE, &facts, PLACE, SEED);

        struct kfl__batch_header header;
        struct kfl__batch_cursor cursor;
        kfl_record record;
        ck_assert_int_eq(image_verify(&image, &header), 0);
        kfl__batch_cursor_init(&cursor, &header, image.bytes + PLACE + HEADER_SIZE, size);
        ck_assert_int_eq(kfl__batch_next(&cursor, &record), 1);
        ck_assert_uint_eq(record.value_size, sizes[i]);
        ck_assert_mem_eq(record.value, value, sizes[i]);
        ck_assert_int_eq(kfl__batch_next(&cursor, &record), 0);
        free(image.bytes);
        free(value);
    }
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("batch");
    TCase *good = tcase_create("seal and verify");
    tcase_add_test(good, what_is_sealed_verifies_and_says_what_was_said);
    tcase_add_test(good, the_records_come_out_as_they_went_in);
    tcase_add_test(good, the_append_clocks_times_are_told_as_such);
    tcase_add_test(good, an_end_mark_names_the_next_segment);
    tcase_add_test(good, a_batch_without_records_is_one);
    tcase_add_test(good, a_durable_offset_is_told_exactly_or_not_at_all);
    tcase_add_test(good, padding_is_zeroed_up_to_the_next_place_and_no_further);
    suite_add_tcase(suite, good);
    TCase *damage = tcase_create("damage");
    tcase_add_test(damage, every_flipped_bit_is_noticed);
    tcase_add_test(damage, a_batch_of_another_segment_never_verifies);
    tcase_add_test(damage, a_batch_at_another_place_never_verifies);
    tcase_add_test(damage, a_header_over_another_payload_never_verifies);
    tcase_add_test(damage, a_batch_cut_at_any_length_is_bad);
    tcase_add_test(damage, zeros_are_no_batch);
    tcase_add_test(damage, a_place_is_a_multiple_of_eight_and_inside);
    suite_add_tcase(suite, damage);
    TCase *sizes = tcase_create("boundary sizes");
    tcase_set_timeout(sizes, 60); /* a gigabyte, hashed twice, on a machine that does other things */
    tcase_add_test(sizes, the_largest_batch_verifies_and_one_byte_more_does_not);
    tcase_add_test(sizes, records_of_boundary_sizes_go_in_and_out);
    suite_add_tcase(suite, sizes);
    return suite;
}
