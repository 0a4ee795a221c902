/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "chance.h"
#include "format/batch.h"
#include "suite.h"

#define FILE_SIZE 65536

static struct kfl__segment_header header_make(void)
{
    struct kfl__segment_header header = {
        .topic_id = 5,
        .segment_id = 6,
        .seed = 7,
        .size = FILE_SIZE,
        .created_ms = 1700000000000,
        .partition = 1,
        .topic_name_size = 6,
        .topic_name = "orders",
    };
    kfl__segment_header_seal(&header);
    return header;
}

/* With a hash that fits: what a hostile writer would do. */
static int header_check_forged(struct kfl__segment_header header)
{
    header.hash = kfl__hash64(&header, offsetof(struct kfl__segment_header, hash));
    return kfl__segment_header_check(&header, FILE_SIZE);
}

START_TEST(what_is_sealed_is_good)
{
    struct kfl__segment_header header = header_make();
    ck_assert_int_eq(kfl__segment_header_check(&header, FILE_SIZE), 0);
    ck_assert_mem_eq(header.magic, "KFLSEG\r\n", 8);
    ck_assert_uint_eq(header.format, KFL_FORMAT_VERSION);
    ck_assert_uint_eq(header.header_size, 512);
}
END_TEST

START_TEST(every_flipped_bit_is_damage_and_never_a_newer_format)
{
    struct kfl__segment_header header = header_make();
    for (size_t bit = 0; bit < sizeof header * 8; bit++) {
        ((uint8_t *)&header)[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_msg(kfl__segment_header_check(&header, FILE_SIZE) == KFL_HEADER_BAD, "bit %zu",
                      bit);
        ((uint8_t *)&header)[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}
END_TEST

START_TEST(a_file_shorter_than_a_header_is_not_looked_at)
{
    struct kfl__segment_header header = header_make();
    for (size_t size = 0; size < sizeof header; size++) {
        struct kfl__segment_header *part = malloc(size + (size == 0));
        memcpy(part, &header, size);
        ck_assert_int_eq(kfl__segment_header_check(part, size), KFL_HEADER_BAD);
        free(part);
    }
}
END_TEST

/* X22 */
START_TEST(a_file_that_was_cut_or_grown_can_still_be_read)
{
    struct kfl__segment_header header = header_make();
    ck_assert_int_eq(kfl__segment_header_check(&header, sizeof header), 0);
    ck_assert_int_eq(kfl__segment_header_check(&header, FILE_SIZE - 1), 0);
    ck_assert_int_eq(kfl__segment_header_check(&header, FILE_SIZE + 1), 0);
}
END_TEST

START_TEST(zeros_and_random_bytes_are_no_header)
{
    struct chance chance = chance_begin("zeros_and_random_bytes_are_no_header");
    struct kfl__segment_header header;
    memset(&header, 0, sizeof header);
    ck_assert_int_eq(kfl__segment_header_check(&header, FILE_SIZE), KFL_HEADER_BAD);
    for (int i = 0; i < 10000; i++) {
        chance_fill(&chance, &header, sizeof header);
        if (i % 2 == 0)
            memcpy(header.magic, KFL_SEGMENT_MAGIC, sizeof header.magic);
        ck_assert_int_eq(kfl__segment_header_check(&header, FILE_SIZE), KFL_HEADER_BAD);
    }
}
END_TEST

START_TEST(fields_that_cannot_be_are_bad_though_the_hash_is_right)
{
    struct kfl__segment_header header;
#define EXPECT(answer, field, value)                                                               \
    do {                                                                                           \
        header = header_make();                                                                    \
        header.field = (value);                                                                    \
        ck_assert_msg(header_check_forged(header) == (answer), #field " " #value);                 \
    } while (0)

    EXPECT(KFL_HEADER_BAD, format, 0);
    EXPECT(KFL_HEADER_BAD, header_size, 0);
    EXPECT(KFL_HEADER_BAD, header_size, 511);
    EXPECT(KFL_HEADER_BAD, header_size, 520);
    EXPECT(KFL_HEADER_BAD, size, 0);
    EXPECT(KFL_HEADER_BAD, size, 512);
    EXPECT(KFL_HEADER_BAD, size, 552);
    EXPECT(0, size, 560); /* an end mark and nothing else */
    EXPECT(KFL_HEADER_BAD, size, FILE_SIZE + 4);
    EXPECT(0, size, (uint64_t)KFL_SEGMENT_SIZE_MAX);
    EXPECT(KFL_HEADER_BAD, size, (uint64_t)KFL_SEGMENT_SIZE_MAX + 8);
    EXPECT(KFL_HEADER_BAD, size, UINT64_MAX);
    EXPECT(0, segment_id, INT64_MAX);
    EXPECT(KFL_HEADER_BAD, segment_id, (uint64_t)INT64_MAX + 1);
    EXPECT(0, partition, INT32_MAX);
    EXPECT(KFL_HEADER_BAD, partition, (uint32_t)INT32_MAX + 1);
    EXPECT(KFL_HEADER_BAD, topic_name_size, 5);
    EXPECT(KFL_HEADER_BAD, topic_name_size, 7);
    EXPECT(KFL_HEADER_BAD, topic_name_size, 256);
    EXPECT(KFL_HEADER_BAD, topic_name_size, UINT32_MAX);
    EXPECT(KFL_HEADER_BAD, topic_name[3], '\0');
    EXPECT(0, reserved[0], 1); /* a compatible newer library's business */
}
END_TEST

START_TEST(a_topic_name_always_ends)
{
    struct kfl__segment_header header = header_make();
    memset(header.topic_name, 'x', 249);
    header.topic_name_size = 249;
    ck_assert_int_eq(header_check_forged(header), 0);
    memset(header.topic_name, 'x', 256);
    ck_assert_int_eq(header_check_forged(header), KFL_HEADER_BAD);
    header.topic_name_size = 256;
    ck_assert_int_eq(header_check_forged(header), KFL_HEADER_BAD);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("segment_header");
    TCase *all = tcase_create("segment header");
    tcase_add_test(all, what_is_sealed_is_good);
    tcase_add_test(all, every_flipped_bit_is_damage_and_never_a_newer_format);
    tcase_add_test(all, a_file_shorter_than_a_header_is_not_looked_at);
    tcase_add_test(all, a_file_that_was_cut_or_grown_can_still_be_read);
    tcase_add_test(all, zeros_and_random_bytes_are_no_header);
    tcase_add_test(all, fields_that_cannot_be_are_bad_though_the_hash_is_right);
    tcase_add_test(all, a_topic_name_always_ends);
    suite_add_tcase(suite, all);
    return suite;
}
