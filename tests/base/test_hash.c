/* SPDX-License-Identifier: MIT */
#include "base/hash.h"

#include <check.h>
#include <string.h>

#include "suite.h"

/* The bytes of XXH3's own self test would do as well; these are easy to make anywhere. */
static void fill_pattern(unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)(i * 7 + 3);
}

struct row {
    size_t size;
    uint64_t plain, seeded, low, high;
};

/* These numbers stand in files: they may never change, whatever processor or library computes them. */
START_TEST(the_numbers_are_those_of_xxh3_on_every_machine)
{
    /* clang-format off */
    static const struct row rows[] = {
        {0, 0x2d06800538d394c2, 0x602b0e2cd6662c8b, 0x6001c324468d497f, 0x99aa06d3014798d8},
        {1, 0x13e608bc156defed, 0x1b4c466098160569, 0x13e608bc156defed, 0x22bbb76b211a39ba},
        {3, 0xa9088dda485b481c, 0xa8bacd847619199e, 0xa9088dda485b481c, 0xce31763cbf8245a5},
        {4, 0x6d9253b16c8b1ed3, 0xe1c585329cf1878e, 0x788a609154b0fe20, 0x47197970590746b1},
        {8, 0x60539db630471163, 0xbc53d62e02f670a4, 0x3cd024e3d63a1588, 0xe3bc8a5f46171555},
        {9, 0xfeff668361d723a8, 0xd4fb426f424e6e62, 0xeafab1c7f123109f, 0xc72c88247a9a56d7},
        {16, 0xb8c859b0f030b585, 0x7775d23337d796b5, 0x60d75c5e47d40a24, 0xce0b9647ab24f884},
        {17, 0x714a04408e79b80f, 0x7d1872b1361c0fa6, 0xeeed7654312a26d7, 0xbfd327edcc2fbd12},
        {48, 0xacfddc85e0659691, 0x246baa11fcb04260, 0x22d3e965a254acd3, 0x22d70cc533aac31b},
        {100, 0xb5937857f0d78c9f, 0xc201874f33306c7f, 0x0cc97f05750182b2, 0x2207ed96998d91f2},
        {128, 0x67425a03650261bf, 0xe9e239440dac1b3c, 0xc580008b6c92ac53, 0x1b1962a096bac78b},
        {129, 0xc664bf3311c6abc4, 0xb11455ab08c506d4, 0xbd91ce7ace4d385b, 0x293e4968c4619023},
        {200, 0x746cd0025327bf5b, 0x302a45dfe0468be1, 0x380142cdd5843bbd, 0x32200a52a918beaf},
        {240, 0x64556dc6b462a6cf, 0x6ea73b2be19b57c5, 0x04e0b5f034bee80b, 0xad46c1021b076bc7},
        {241, 0x8beadd3a8874fe17, 0xa0462d397650b282, 0x8beadd3a8874fe17, 0xac6c3492c3d6b45d},
        {256, 0x3c38817f6d79c0da, 0xe0437e437071b601, 0x3c38817f6d79c0da, 0x77f21db933350c7e},
        {512, 0xf58202b8d9019d1d, 0x2ed447cad5d1a6b6, 0xf58202b8d9019d1d, 0x1af3d0367ba5a0c4},
        {1023, 0xd26986a0b85dcc44, 0x9e9f410e73c95073, 0xd26986a0b85dcc44, 0xdedd3c0d6bceed34},
        {1024, 0x9b81661c641c72b1, 0xe955d0afe88a0f51, 0x9b81661c641c72b1, 0x18bc0eaca9a33636},
        {1025, 0x806c2072ed713576, 0xcbdb289911b2614b, 0x806c2072ed713576, 0xbf447251cfa98d7c},
        {4096, 0xd7428746842be37e, 0x0caed020a4f33ca1, 0xd7428746842be37e, 0x1546867423105cd5},
        {5000, 0x799aaddd7339581d, 0x4eae2d7f035db6bb, 0x799aaddd7339581d, 0xc98ae385d09887cc},
    };
    /* clang-format on */
    unsigned char bytes[5000];
    fill_pattern(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct row *row = &rows[i];
        ck_assert_uint_eq(kfl__hash64(bytes, row->size), row->plain);
        ck_assert_uint_eq(kfl__hash64_seeded(bytes, row->size, 0x9e3779b97f4a7c15), row->seeded);
        struct kfl__digest digest = kfl__digest128(bytes, row->size);
        ck_assert_uint_eq(digest.low, row->low);
        ck_assert_uint_eq(digest.high, row->high);
    }
}
END_TEST

START_TEST(each_bit_and_each_seed_changes_the_number)
{
    unsigned char bytes[600];
    fill_pattern(bytes, sizeof bytes);
    uint64_t plain = kfl__hash64(bytes, sizeof bytes);
    for (size_t bit = 0; bit < sizeof bytes * 8; bit++) {
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        ck_assert_uint_ne(kfl__hash64(bytes, sizeof bytes), plain);
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    ck_assert_uint_eq(kfl__hash64_seeded(bytes, sizeof bytes, 0), plain);
    ck_assert_uint_ne(kfl__hash64_seeded(bytes, sizeof bytes, 1), plain);
}
END_TEST

START_TEST(the_place_in_memory_does_not_matter)
{
    unsigned char bytes[1100], moved[1164];
    fill_pattern(bytes, sizeof bytes);
    for (size_t size = 0; size <= sizeof bytes; size += 13) {
        for (size_t place = 0; place < 64; place += 7) {
            memcpy(moved + place, bytes, size);
            ck_assert_uint_eq(kfl__hash64(moved + place, size), kfl__hash64(bytes, size));
        }
    }
}
END_TEST

/* What is written out for one size is what any size is hashed by. */
START_TEST(fifty_six_bytes_are_hashed_as_any_others)
{
    unsigned char bytes[56 + 64];
    uint64_t seed = 0;
    fill_pattern(bytes, sizeof bytes);
    for (size_t place = 0; place < 64; place++) {
        for (int i = 0; i < 16; i++) {
            uint64_t words[7];
            memcpy(words, bytes + place, sizeof words);
            ck_assert_uint_eq(kfl__hash64_of_56(bytes + place, seed), kfl__hash64_seeded(bytes + place, 56, seed));
            ck_assert_uint_eq(kfl__hash64_of_words(words, seed), kfl__hash64_seeded(bytes + place, 56, seed));
            seed = seed * 0x9e3779b97f4a7c15 + place + 1;
        }
    }
    ck_assert_uint_eq(kfl__hash64_of_56(bytes, UINT64_MAX), kfl__hash64_seeded(bytes, 56, UINT64_MAX));
}
END_TEST

START_TEST(bytes_in_two_pieces_are_hashed_as_those_in_one)
{
    unsigned char bytes[KFL_HASH_SPLIT_MOST], apart[KFL_HASH_SPLIT_MOST];
    uint64_t words[4];
    for (size_t size = KFL_HASH_SPLIT_LEAST; size <= KFL_HASH_SPLIT_MOST; size++) {
        fill_pattern(bytes, size);
        bytes[size / 2] = (unsigned char)size;
        memcpy(words, bytes, sizeof words);
        memset(apart, 0, sizeof apart);
        memcpy(apart + size - 48, bytes + size - 48, 48);
        memcpy(apart + sizeof words, bytes + sizeof words, size - sizeof words);
        ck_assert_uint_eq(kfl__hash64_split(words, apart + sizeof words, size), kfl__hash64(bytes, size));
    }
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("hash");
    TCase *numbers = tcase_create("numbers");
    tcase_add_test(numbers, the_numbers_are_those_of_xxh3_on_every_machine);
    tcase_add_test(numbers, each_bit_and_each_seed_changes_the_number);
    tcase_add_test(numbers, the_place_in_memory_does_not_matter);
    tcase_add_test(numbers, fifty_six_bytes_are_hashed_as_any_others);
    tcase_add_test(numbers, bytes_in_two_pieces_are_hashed_as_those_in_one);
    suite_add_tcase(suite, numbers);
    return suite;
}
