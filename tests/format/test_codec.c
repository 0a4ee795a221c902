/* SPDX-License-Identifier: MIT */
#include "format/codec.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "chance.h"
#include "kafkalite.h"
#include "suite.h"

/* Tests about bytes run once for each. */
static const int packing[] = {
#ifdef KFL_HAVE_LZ4
    KFL_CODEC_LZ4,
#endif
#ifdef KFL_HAVE_ZSTD
    KFL_CODEC_ZSTD,
#endif
    -1, /* no codec may be built: the list still has a member */
};
#define PACKING_COUNT ((int)(sizeof packing / sizeof packing[0]) - 1)

START_TEST(names_and_numbers_are_kafkas)
{
    ck_assert_int_eq(kfl__codec_find("none"), 0);
    ck_assert_int_eq(kfl__codec_find("lz4"), 3);
    ck_assert_int_eq(kfl__codec_find("zstd"), 4);
    ck_assert_str_eq(kfl__codec_name(0), "none");
    ck_assert_str_eq(kfl__codec_name(3), "lz4");
    ck_assert_str_eq(kfl__codec_name(4), "zstd");
}
END_TEST

START_TEST(what_is_not_known_has_no_name_and_no_number)
{
    static const char *const names[] = {"", "LZ4", "lz", "lz44", "gzip", "snappy", "uncompressed"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        ck_assert_int_eq(kfl__codec_find(names[i]), -1);
    static const int numbers[] = {-1, 1, 2, 5, 6, 7, 8, INT_MAX, INT_MIN};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        ck_assert_ptr_null(kfl__codec_name(numbers[i]));
        ck_assert(!kfl__codec_is_built(numbers[i]));
    }
    ck_assert(kfl__codec_is_built(KFL_CODEC_NONE));
}
END_TEST

START_TEST(a_codec_that_is_not_built_is_unsupported)
{
    static const int numbers[] = {KFL_CODEC_LZ4, KFL_CODEC_ZSTD, 1, 2, 5, 7};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (kfl__codec_is_built(numbers[i]))
            continue;
        char to[64];
        size_t size = 99;
        ck_assert_int_eq(kfl__codec_pack(numbers[i], "abc", 3, to, sizeof to, &size),
                         KFL_E_UNSUPPORTED);
        ck_assert_uint_eq(size, 99);
        ck_assert_int_eq(kfl__codec_unpack(numbers[i], "abc", 3, to, sizeof to), KFL_E_UNSUPPORTED);
    }
}
END_TEST

static uint8_t *codec_packed(int codec, const void *bytes, size_t size, size_t *out_size)
{
    size_t bound = kfl__codec_bound(codec, size);
    uint8_t *packed = malloc(bound);
    ck_assert_int_eq(kfl__codec_pack(codec, bytes, size, packed, bound, out_size), 0);
    ck_assert_uint_le(*out_size, bound);
    return packed;
}

START_TEST(what_is_packed_unpacks)
{
    struct chance chance = chance_begin("what_is_packed_unpacks");
    static const size_t sizes[] = {0, 1, 2, 15, 100, 4096, 65535, 65536, 300000};
    const int codec = packing[_i];
    for (size_t i = 0; i < 2 * sizeof sizes / sizeof sizes[0]; i++) {
        size_t size = sizes[i / 2], packed_size;
        uint8_t *bytes = calloc(1, size + 1), *back = malloc(size + 1);
        if (i % 2 == 1)
            chance_fill(&chance, bytes, size);
        uint8_t *packed = codec_packed(codec, bytes, size, &packed_size);
        ck_assert_int_eq(kfl__codec_unpack(codec, packed, packed_size, back, size), 0);
        ck_assert_mem_eq(bytes, back, size);
        free(bytes);
        free(back);
        free(packed);
    }
}
END_TEST

/* The buffers are exactly as large as they are said to be, so that the address sanitizer sees. X50
 */
START_TEST(a_lie_about_the_size_is_corrupt_and_stays_in_bounds)
{
    uint8_t bytes[1000];
    memset(bytes, 'k', sizeof bytes);
    const int codec = packing[_i];
    size_t packed_size;
    uint8_t *packed = codec_packed(codec, bytes, sizeof bytes, &packed_size);
    for (size_t size = 0; size < 1100; size++) {
        if (size == sizeof bytes)
            continue;
        uint8_t *to = malloc(size + (size == 0));
        ck_assert_int_eq(kfl__codec_unpack(codec, packed, packed_size, to, size), KFL_E_CORRUPT);
        free(to);
    }
    free(packed);
}
END_TEST

START_TEST(packed_bytes_cut_at_any_length_are_corrupt)
{
    uint8_t bytes[2000], back[sizeof bytes];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * i / 7);
    const int codec = packing[_i];
    size_t packed_size;
    uint8_t *packed = codec_packed(codec, bytes, sizeof bytes, &packed_size);
    for (size_t size = 0; size < packed_size; size++) {
        uint8_t *cut = malloc(size + (size == 0));
        memcpy(cut, packed, size);
        ck_assert_int_eq(kfl__codec_unpack(codec, cut, size, back, sizeof back), KFL_E_CORRUPT);
        free(cut);
    }
    free(packed);
}
END_TEST

/* 64 MiB of zeros in a few bytes: as much is written as was promised, and not one byte more. X50 */
START_TEST(a_bomb_fills_no_more_than_its_promise)
{
    size_t size = (size_t)64 << 20;
    uint8_t *zeros = calloc(1, size);
    const int codec = packing[_i];
    size_t packed_size;
    uint8_t *packed = codec_packed(codec, zeros, size, &packed_size);
    ck_assert_uint_lt(packed_size, size / 200);
    uint8_t to[64];
    memset(to, 0x5a, sizeof to);
    ck_assert_int_eq(kfl__codec_unpack(codec, packed, packed_size, to, 48), KFL_E_CORRUPT);
    for (size_t i = 48; i < sizeof to; i++)
        ck_assert_uint_eq(to[i], 0x5a);
    free(packed);
    free(zeros);
}
END_TEST

START_TEST(random_bytes_never_unpack_beyond_their_room)
{
    struct chance chance = chance_begin("random_bytes_never_unpack_beyond_their_room");
    static const uint8_t zstd_magic[] = {0x28, 0xb5, 0x2f, 0xfd};
    const int codec = packing[_i];
    for (int i = 0; i < 20000; i++) {
        size_t size = (size_t)chance_below(&chance, 200);
        size_t to_size = (size_t)chance_below(&chance, 400);
        uint8_t *bytes = malloc(size + 1), *to = malloc(to_size + 1);
        chance_fill(&chance, bytes, size);
        if (size >= 4 && i % 2 == 0)
            memcpy(bytes, zstd_magic, 4);
        to[to_size] = 0x5a;
        int r = kfl__codec_unpack(codec, bytes, size, to, to_size);
        ck_assert(r == 0 || r == KFL_E_CORRUPT || r == KFL_E_NOMEM);
        ck_assert_uint_eq(to[to_size], 0x5a);
        free(bytes);
        free(to);
    }
}
END_TEST

START_TEST(too_little_room_for_packing_is_told)
{
    struct chance chance = chance_begin("too_little_room_for_packing_is_told");
    uint8_t bytes[500], to[100];
    chance_fill(&chance, bytes, sizeof bytes);
    const int codec = packing[_i];
    size_t size = 7;
    ck_assert_int_eq(kfl__codec_pack(codec, bytes, sizeof bytes, to, sizeof to, &size), KFL_E_BUG);
    ck_assert_uint_eq(size, 7);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("codec");
    TCase *names = tcase_create("names");
    tcase_add_test(names, names_and_numbers_are_kafkas);
    tcase_add_test(names, what_is_not_known_has_no_name_and_no_number);
    tcase_add_test(names, a_codec_that_is_not_built_is_unsupported);
    suite_add_tcase(suite, names);
    TCase *bytes = tcase_create("bytes");
    tcase_set_timeout(bytes, 60);
    tcase_add_loop_test(bytes, what_is_packed_unpacks, 0, PACKING_COUNT);
    tcase_add_loop_test(bytes, a_lie_about_the_size_is_corrupt_and_stays_in_bounds, 0,
                        PACKING_COUNT);
    tcase_add_loop_test(bytes, packed_bytes_cut_at_any_length_are_corrupt, 0, PACKING_COUNT);
    tcase_add_loop_test(bytes, a_bomb_fills_no_more_than_its_promise, 0, PACKING_COUNT);
    tcase_add_loop_test(bytes, random_bytes_never_unpack_beyond_their_room, 0, PACKING_COUNT);
    tcase_add_loop_test(bytes, too_little_room_for_packing_is_told, 0, PACKING_COUNT);
    suite_add_tcase(suite, bytes);
    return suite;
}
