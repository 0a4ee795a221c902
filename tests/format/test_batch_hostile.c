/* SPDX-License-Identifier: MIT */
/* Batches whose hash is right and whose writer is not: every size is a lie until it is checked. */
#include "format/batch.h"

#include "quick_asserts.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "chance.h"
#include "format/codec.h"
#include "format/record.h"
#include "image.h"
#include "suite.h"

/* Each case changes one field of a good header and seals it anew, so that only the rule can refuse.
 */
START_TEST(a_header_that_cannot_be_is_bad_though_its_hash_is_right)
{
    struct kfl__batch_facts facts;
    struct image image = image_of_three(&facts);
    struct kfl__batch_header good, header;
    ck_assert_int_eq(image_verify(&image, &good), 0);
#define EXPECT(answer, field, value)                                                               \
    do {                                                                                           \
        header = good;                                                                             \
        header.field = (value);                                                                    \
        image_forge(&image, header);                                                               \
        ck_assert_msg(image_verify(&image, &header) == (answer), #field " " #value);               \
        ck_assert_msg(kfl__batch_peek(image.bytes, PLACE, image.size, &header) ==                  \
                          ((answer) == 0 ? 0 : KFL_BATCH_BAD),                                     \
                      #field " " #value);                                                          \
    } while (0)

    EXPECT(0, writer_epoch, UINT32_MAX);
    EXPECT(0, max_timestamp_ms, INT64_MIN);
    EXPECT(0, record_count, good.unpacked_size / 20);
    EXPECT(KFL_BATCH_BAD, record_count, good.unpacked_size / 20 + 1);
    EXPECT(KFL_BATCH_BAD, record_count, UINT32_MAX);
    EXPECT(KFL_BATCH_BAD, record_count, UINT32_MAX / 20 + 1);
    EXPECT(KFL_BATCH_BAD, size, 0);
    EXPECT(KFL_BATCH_BAD, size, 47);
    EXPECT(KFL_BATCH_BAD, size, 48);
    EXPECT(KFL_BATCH_BAD, size, good.size - 1);
    EXPECT(KFL_BATCH_BAD, size, good.size + 1);
    EXPECT(KFL_BATCH_BAD, size, (uint32_t)(image.size - PLACE + 1));
    EXPECT(KFL_BATCH_BAD, size, UINT32_MAX);
    EXPECT(KFL_BATCH_BAD, base_offset, -1);
    EXPECT(KFL_BATCH_BAD, base_offset, INT64_MIN);
    EXPECT(0, base_offset, INT64_MAX - 3);
    EXPECT(KFL_BATCH_BAD, base_offset, INT64_MAX - 2);
    EXPECT(KFL_BATCH_BAD, base_offset, INT64_MAX);
    EXPECT(KFL_BATCH_BAD, extension_size, 8);
    EXPECT(KFL_BATCH_BAD, extension_size, UINT16_MAX);
    EXPECT(KFL_BATCH_BAD, unpacked_size, good.unpacked_size - 1);
    EXPECT(KFL_BATCH_BAD, unpacked_size, good.unpacked_size + 1);
    EXPECT(0, durable_distance, BASE_OFFSET);
    EXPECT(KFL_BATCH_BAD, durable_distance, BASE_OFFSET + 1);
    EXPECT(0, durable_distance, KFL_DURABLE_NOT_SAID);
    good.durable_distance = KFL_DURABLE_NOT_SAID;
    EXPECT(KFL_BATCH_BAD, base_offset, -1);
    EXPECT(KFL_BATCH_BAD, base_offset, INT64_MIN);
    EXPECT(KFL_BATCH_BAD, flags, KFL_BATCH_FLAG_END);
    EXPECT(KFL_BATCH_BAD, flags, KFL_BATCH_FLAG_END | KFL_BATCH_FLAG_APPEND_TIME);
    EXPECT(0, flags, KFL_CODEC_LZ4);
    EXPECT(0, flags, KFL_CODEC_ZSTD | KFL_BATCH_FLAG_APPEND_TIME);
    good.flags = KFL_CODEC_ZSTD;
    EXPECT(0, unpacked_size, (uint32_t)KFL_BATCH_SIZE_MAX);
    EXPECT(KFL_BATCH_BAD, unpacked_size, (uint32_t)KFL_BATCH_SIZE_MAX + 1); /* X50 */
    EXPECT(KFL_BATCH_BAD, unpacked_size, UINT32_MAX);
    EXPECT(0, unpacked_size, 3 * 20);
    EXPECT(KFL_BATCH_BAD, unpacked_size, 3 * 20 - 1);
    EXPECT(KFL_BATCH_BAD, flags, KFL_CODEC_ZSTD | KFL_BATCH_FLAG_END);
    free(image.bytes);
}
END_TEST

START_TEST(an_end_mark_with_anything_in_it_is_bad)
{
    struct image image = image_make(20);
    struct kfl__batch_header good, header;
    kfl__batch_seal_end(image.bytes + PLACE, 77, 12, 4, 70, PLACE, SEED);
    ck_assert_int_eq(image_verify(&image, &good), 0);
    EXPECT(0, max_timestamp_ms, 13);
    EXPECT(KFL_BATCH_BAD, record_count, 1);
    EXPECT(KFL_BATCH_BAD, unpacked_size, 20);
    EXPECT(KFL_BATCH_BAD, size, 72);
    EXPECT(KFL_BATCH_BAD, flags, KFL_BATCH_FLAG_END | KFL_CODEC_LZ4);
    EXPECT(KFL_BATCH_BAD, flags, KFL_BATCH_FLAG_END | KFL_BATCH_FLAG_APPEND_TIME);
    EXPECT(KFL_BATCH_BAD, base_offset, -1);
    good.size = 72;
    EXPECT(KFL_BATCH_BAD, unpacked_size, 20);
    free(image.bytes);
}
END_TEST

START_TEST(a_batch_at_a_place_that_is_none_is_bad_though_its_hash_is_right)
{
    for (uint64_t place = PLACE; place <= PLACE + 8; place++) {
        struct image image = image_make(20);
        struct kfl__batch_header header = {.size = HEADER_SIZE};
        image_forge_at(&image, place, header);
        int answer = kfl__batch_verify(image.bytes, place, image.size, SEED, &header);
        ck_assert_int_eq(answer, place % 8 == 0 ? 0 : KFL_BATCH_BAD);
        free(image.bytes);
    }
}
END_TEST

/* X65 */
START_TEST(a_flag_or_codec_that_is_not_known_is_newer)
{
    struct kfl__batch_facts facts;
    struct image image = image_of_three(&facts);
    struct kfl__batch_header good, header;
    ck_assert_int_eq(image_verify(&image, &good), 0);
    for (unsigned bit = 7; bit < 16; bit++)
        EXPECT(KFL_BATCH_NEWER, flags, (uint16_t)(1u << bit));
    EXPECT(KFL_BATCH_NEWER, flags, 1);
    EXPECT(KFL_BATCH_NEWER, flags, 2);
    EXPECT(KFL_BATCH_NEWER, flags, 5);
    EXPECT(KFL_BATCH_NEWER, flags, 6);
    EXPECT(KFL_BATCH_NEWER, flags, 7);
    good.extension_size = 16;
    EXPECT(KFL_BATCH_NEWER, flags, 0x80);
    /* Without the right hash it is damage, whatever it claims. */
    image.bytes[PLACE + HEADER_SIZE] ^= 1;
    ck_assert_int_eq(image_verify(&image, &header), KFL_BATCH_BAD);
    free(image.bytes);
}
END_TEST

/* A span below the records, an extension that nobody announced or that is cut, a span beyond all numbers. */
START_TEST(a_compacted_batch_is_held_to_its_own_rules)
{
    struct kfl__batch_facts facts;
    struct image image = image_of_three(&facts);
    struct kfl__batch_header good, header;
    ck_assert_int_eq(image_verify(&image, &good), 0);
    good.flags = KFL_BATCH_FLAG_COMPACTED;
    EXPECT(0, durable_distance, 3);
    EXPECT(0, durable_distance, UINT32_MAX);
    EXPECT(KFL_BATCH_BAD, durable_distance, 2);
    good.durable_distance = 1000;
    EXPECT(KFL_BATCH_BAD, base_offset, INT64_MAX - 999);
    EXPECT(KFL_BATCH_BAD, extension_size, 8);
    good.flags |= KFL_BATCH_FLAG_HORIZON;
    EXPECT(KFL_BATCH_BAD, extension_size, 0);
    EXPECT(KFL_BATCH_BAD, extension_size, 16);
    EXPECT(KFL_BATCH_BAD, extension_size, 8); /* the payload is not shorter by it */
    good.extension_size = 8;
    EXPECT(0, unpacked_size, good.unpacked_size - 8);
    good.flags = KFL_BATCH_FLAG_HORIZON;
    EXPECT(KFL_BATCH_BAD, unpacked_size, good.unpacked_size - 8);
    free(image.bytes);
}
END_TEST

/* A payload of record heads alone; `deltas` are their offset deltas. Answers what stops the walk.
 */
static int walk_deltas(const uint32_t *deltas, uint32_t count, uint32_t told_count,
                       int *out_records)
{
    struct image image = image_make(count * 20);
    uint8_t *at = image.bytes + PLACE + HEADER_SIZE;
    const struct kfl__message message = {.timestamp_ms = NOW_MS};
    for (uint32_t i = 0; i < count; i++)
        at = kfl__record_encode(at, &message, deltas[i], NOW_MS);
    struct kfl__batch_facts facts = facts_of(&image, count * 20, told_count);
    kfl__batch_seal(image.bytes + PLACE, &facts, PLACE, SEED);

    struct kfl__batch_header header;
    struct kfl__batch_cursor cursor;
    kfl_record record;
    ck_assert_int_eq(image_verify(&image, &header), 0);
    kfl__batch_cursor_init(&cursor, &header, image.bytes + PLACE + HEADER_SIZE,
                           header.unpacked_size);
    int r;
    for (*out_records = 0; (r = kfl__batch_next(&cursor, &record)) == 1; ++*out_records)
        ;
    free(image.bytes);
    return r;
}

START_TEST(offsets_rise_and_stay_within_the_batch)
{
    int records;
    ck_assert_int_eq(walk_deltas((const uint32_t[]){0, 1, 2}, 3, 3, &records), 0);
    ck_assert_int_eq(records, 3);
    ck_assert_int_eq(walk_deltas((const uint32_t[]){0, 0, 1}, 3, 3, &records), KFL_E_CORRUPT);
    ck_assert_int_eq(records, 1);
    ck_assert_int_eq(walk_deltas((const uint32_t[]){0, 2, 1}, 3, 3, &records), KFL_E_CORRUPT);
    ck_assert_int_eq(records, 2);
    ck_assert_int_eq(walk_deltas((const uint32_t[]){0, 1, 3}, 3, 3, &records), KFL_E_CORRUPT);
    ck_assert_int_eq(records, 2);
    ck_assert_int_eq(walk_deltas((const uint32_t[]){UINT32_MAX}, 1, 1, &records), KFL_E_CORRUPT);
    ck_assert_int_eq(records, 0);
}
END_TEST

START_TEST(a_payload_holds_as_many_records_as_the_header_says)
{
    int records;
    ck_assert_int_eq(walk_deltas((const uint32_t[]){0, 1, 2}, 3, 2, &records), KFL_E_CORRUPT);
    ck_assert_int_eq(records, 2);
    ck_assert_int_eq(walk_deltas((const uint32_t[]){0}, 1, 0, &records), KFL_E_CORRUPT);
    ck_assert_int_eq(records, 0);
}
END_TEST

START_TEST(a_record_that_is_none_leaves_the_result_alone)
{
    struct kfl__batch_facts facts;
    struct kfl__batch_header header;
    struct image image = image_of_three(&facts);
    uint8_t *payload = image.bytes + PLACE + HEADER_SIZE;
    ck_assert_int_eq(image_verify(&image, &header), 0);
    /* The highest bit of both sizes, the offset delta, the time. */
    static const struct {
        size_t at;
        uint8_t bit;
    } flips[] = {{3, 0x80}, {7, 0x80}, {11, 0x40}, {19, 0x80}};
    for (size_t i = 0; i < sizeof flips / sizeof flips[0]; i++) {
        struct kfl__batch_cursor cursor;
        kfl_record record, untouched;
        memset(&record, 0xee, sizeof record);
        untouched = record;
        payload[flips[i].at] ^= flips[i].bit;
        kfl__batch_cursor_init(&cursor, &header, payload, header.unpacked_size);
        ck_assert_int_eq(kfl__batch_next(&cursor, &record), KFL_E_CORRUPT);
        ck_assert_mem_eq(&record, &untouched, sizeof record);
        payload[flips[i].at] ^= flips[i].bit;
    }
    free(image.bytes);
}
END_TEST

START_TEST(random_bytes_are_never_a_batch_and_never_read_beyond_their_end)
{
    struct chance chance = chance_begin("random_bytes_are_never_a_batch");
    for (int i = 0; i < 100000; i++) {
        size_t size = (size_t)chance_below(&chance, 400);
        uint8_t *bytes = malloc(size + (size == 0));
        chance_fill(&chance, bytes, size);
        uint64_t place = chance_below(&chance, size + 16);
        if (place + 12 <= size && i % 2 == 0) { /* a size that may fit */
            uint32_t told = (uint32_t)chance_below(&chance, size);
            memcpy(bytes + place + 8, &told, 4);
        }
        struct kfl__batch_header header;
        ck_assert_int_ne(kfl__batch_verify(bytes, place, size, SEED, &header), 0);
        if (kfl__batch_peek(bytes, place, size, &header) == 0)
            ck_assert_uint_le(header.size, size - place);
        free(bytes);
    }
}
END_TEST

/* Behind a right hash anything may stand: the walk must hold whatever the records claim. */
START_TEST(random_payloads_under_a_right_hash_are_never_read_beyond_their_end)
{
    struct chance chance = chance_begin("random_payloads_under_a_right_hash");
    int records = 0;
    for (int i = 0; i < 100000; i++) {
        struct kfl__batch_facts facts;
        struct image image = image_of_three(&facts);
        for (uint64_t changes = chance_below(&chance, 5); changes > 0; changes--)
            image.bytes[PLACE + HEADER_SIZE + chance_below(&chance, facts.payload_size)] =
                (uint8_t)chance_next(&chance);
        facts.payload_hash = kfl__hash64(image.bytes + PLACE + HEADER_SIZE, facts.payload_size);
        kfl__batch_seal(image.bytes + PLACE, &facts, PLACE, SEED);

        struct kfl__batch_header header;
        struct kfl__batch_cursor cursor;
        kfl_record record;
        ck_assert_int_eq(image_verify(&image, &header), 0);
        kfl__batch_cursor_init(&cursor, &header, image.bytes + PLACE + HEADER_SIZE,
                               header.unpacked_size);
        int r;
        while ((r = kfl__batch_next(&cursor, &record)) == 1) {
            records++;
            ck_assert_int_ge(record.offset, BASE_OFFSET);
            ck_assert_int_lt(record.offset, BASE_OFFSET + 3);
        }
        ck_assert(r == 0 || r == KFL_E_CORRUPT);
        free(image.bytes);
    }
    ck_assert_int_gt(records, 0);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("batch_hostile");
    TCase *hostile = tcase_create("hostile headers");
    tcase_add_test(hostile, a_header_that_cannot_be_is_bad_though_its_hash_is_right);
    tcase_add_test(hostile, an_end_mark_with_anything_in_it_is_bad);
    tcase_add_test(hostile, a_batch_at_a_place_that_is_none_is_bad_though_its_hash_is_right);
    tcase_add_test(hostile, a_flag_or_codec_that_is_not_known_is_newer);
    tcase_add_test(hostile, a_compacted_batch_is_held_to_its_own_rules);
    suite_add_tcase(suite, hostile);
    TCase *walks = tcase_create("hostile payloads");
    tcase_set_timeout(walks, 60);
    tcase_add_test(walks, offsets_rise_and_stay_within_the_batch);
    tcase_add_test(walks, a_payload_holds_as_many_records_as_the_header_says);
    tcase_add_test(walks, a_record_that_is_none_leaves_the_result_alone);
    tcase_add_test(walks, random_bytes_are_never_a_batch_and_never_read_beyond_their_end);
    tcase_add_test(walks, random_payloads_under_a_right_hash_are_never_read_beyond_their_end);
    suite_add_tcase(suite, walks);
    return suite;
}
