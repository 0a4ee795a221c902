/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/random.h"
#include "engine/partitioner.h"
#include "kafkalite.h"
#include "suite.h"

/* Of Kafka's UtilsTest and librdkafka's unit test; the partitions are those of the Java client. */
static const struct {
    const char *key;
    int32_t hash;
    int32_t of_3, of_4, of_6, of_10, of_12;
} golden[] = {
    {"21", -973932308, 0, 0, 0, 0, 0},
    {"foobar", -790332482, 0, 2, 0, 6, 6},
    {"a-little-bit-long-string", -985981536, 2, 0, 2, 2, 8},
    {"a-little-bit-longer-string", -1486304829, 2, 3, 5, 9, 11},
    {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971, 2, 1, 5, 7, 5},
    {"abc", 479470107, 0, 3, 3, 7, 3},
    {"", 275646681, 0, 1, 3, 1, 9},
    {"kafka", -798503068, 1, 0, 4, 0, 4},
};

static struct kfl__partitioner partitioner(int32_t hash, bool ignore_keys, int64_t batch_size,
                                           uint64_t seed)
{
    struct kfl__settings settings = *kfl__property_defaults();
    struct kfl__partitioner made;
    settings.partitioner = hash;
    settings.partitioner_ignore_keys = ignore_keys;
    settings.batch_size = batch_size;
    kfl__partitioner_init(&made, &settings, seed);
    return made;
}

/* kafka:B3 */
START_TEST(murmur2_is_that_of_the_java_client)
{
    ck_assert_int_eq((int32_t)kfl__partitioner_murmur2(golden[_i].key, strlen(golden[_i].key)),
                     golden[_i].hash);
}
END_TEST

/* kafka:B2 kafka:B3 */
START_TEST(a_key_goes_where_kafka_puts_it)
{
    struct kfl__partitioner p = partitioner(KFL_PARTITIONER_MURMUR2, false, 1, 1);
    const char *key = golden[_i].key;
    size_t size = strlen(key);
    ck_assert_int_eq(kfl__partitioner_pick(&p, KFL_PARTITION_ANY, key, size, 100, 3),
                     golden[_i].of_3);
    ck_assert_int_eq(kfl__partitioner_pick(&p, KFL_PARTITION_ANY, key, size, 100, 4),
                     golden[_i].of_4);
    ck_assert_int_eq(kfl__partitioner_pick(&p, KFL_PARTITION_ANY, key, size, 100, 6),
                     golden[_i].of_6);
    ck_assert_int_eq(kfl__partitioner_pick(&p, KFL_PARTITION_ANY, key, size, 100, 10),
                     golden[_i].of_10);
    ck_assert_int_eq(kfl__partitioner_pick(&p, KFL_PARTITION_ANY, key, size, 100, 12),
                     golden[_i].of_12);
    ck_assert_int_eq(kfl__partitioner_pick(&p, KFL_PARTITION_ANY, key, size, 100, 1), 0);
}
END_TEST

/* A second hand: the Java text word for word, byte by byte. */
static int32_t murmur2_as_in_java(const uint8_t *data, int32_t length)
{
    const uint32_t m = 0x5bd1e995;
    uint32_t h = 0x9747b28c ^ (uint32_t)length;
    int32_t words = length / 4;
    for (int32_t i = 0; i < words; i++) {
        const uint8_t *at = data + i * 4;
        uint32_t k = (uint32_t)at[0] + ((uint32_t)at[1] << 8) + ((uint32_t)at[2] << 16) +
                     ((uint32_t)at[3] << 24);
        k *= m;
        k ^= k >> 24;
        k *= m;
        h *= m;
        h ^= k;
    }
    switch (length % 4) {
    case 3:
        h ^= (uint32_t)data[(length & ~3) + 2] << 16;
        /* fall through */
    case 2:
        h ^= (uint32_t)data[(length & ~3) + 1] << 8;
        /* fall through */
    case 1:
        h ^= (uint32_t)data[length & ~3];
        h *= m;
    }
    h ^= h >> 13;
    h *= m;
    h ^= h >> 15;
    return (int32_t)h;
}

/* kafka:B3 */
START_TEST(murmur2_agrees_at_every_length_and_alignment)
{
    /* On the heap and of exact size, so that a byte read too far is seen by the sanitizer. */
    for (int32_t size = 0; size <= 70; size++) {
        for (int32_t shift = 0; shift < 4; shift++) {
            uint8_t *bytes = malloc((size_t)(size + shift) + (size + shift == 0));
            ck_assert_ptr_nonnull(bytes);
            for (int32_t i = 0; i < size + shift; i++)
                bytes[i] = (uint8_t)(255 - i * 37);
            ck_assert_int_eq((int32_t)kfl__partitioner_murmur2(bytes + shift, (size_t)size),
                             murmur2_as_in_java(bytes + shift, size));
            free(bytes);
        }
    }
}
END_TEST

/* kafka:B2 */
START_TEST(an_empty_key_is_a_key)
{
    struct kfl__partitioner p = partitioner(KFL_PARTITIONER_MURMUR2, false, 1, 1);
    for (int32_t i = 0; i < 100; i++)
        ck_assert_int_eq(kfl__partitioner_pick(&p, KFL_PARTITION_ANY, "", 0, 100, 12), 9);
}
END_TEST

/* kafka:B2 kafka:A5 */
START_TEST(a_grown_topic_counts_with_its_new_number)
{
    struct kfl__partitioner p = partitioner(KFL_PARTITIONER_MURMUR2, false, 1, 1);
    ck_assert_int_eq(kfl__partitioner_pick(&p, KFL_PARTITION_ANY, "abc", 3, 1, 10), 7);
    ck_assert_int_eq(kfl__partitioner_pick(&p, KFL_PARTITION_ANY, "abc", 3, 1, 12), 3);
}
END_TEST

START_TEST(xxh3_takes_its_own_low_bits)
{
    struct kfl__partitioner p = partitioner(KFL_PARTITIONER_XXH3, false, 1, 1);
    for (size_t i = 0; i < sizeof golden / sizeof golden[0]; i++) {
        size_t size = strlen(golden[i].key);
        int32_t expected = (int32_t)((kfl__hash64(golden[i].key, size) & 0x7fffffff) % 7);
        ck_assert_int_eq(kfl__partitioner_pick(&p, KFL_PARTITION_ANY, golden[i].key, size, 1, 7),
                         expected);
    }
}
END_TEST

/* kafka:B1 */
START_TEST(a_requested_partition_wins_over_any_key)
{
    for (int32_t ignore_keys = 0; ignore_keys < 2; ignore_keys++) {
        struct kfl__partitioner p = partitioner(KFL_PARTITIONER_MURMUR2, ignore_keys != 0, 1, 1);
        for (int32_t partition = 0; partition < 12; partition++) {
            ck_assert_int_eq(kfl__partitioner_pick(&p, partition, "kafka", 5, 100, 12), partition);
            ck_assert_int_eq(kfl__partitioner_pick(&p, partition, NULL, 0, 100, 12), partition);
        }
    }
}
END_TEST

/* kafka:B4 */
START_TEST(records_without_a_key_stay_until_a_batch_is_full)
{
    struct kfl__partitioner p = partitioner(KFL_PARTITIONER_MURMUR2, false, 1000, 5);
    for (int32_t stay = 0; stay < 50; stay++) {
        int32_t before = p.favourite;
        int32_t first = kfl__partitioner_pick(&p, KFL_PARTITION_ANY, NULL, 0, 100, 8);
        ck_assert_int_ne(first, before);
        for (int32_t i = 1; i < 10; i++)
            ck_assert_int_eq(kfl__partitioner_pick(&p, KFL_PARTITION_ANY, NULL, 0, 100, 8), first);
    }
}
END_TEST

/* kafka:B4 */
START_TEST(a_record_larger_than_a_batch_goes_alone)
{
    struct kfl__partitioner p = partitioner(KFL_PARTITIONER_MURMUR2, false, 1000, 6);
    int32_t first = kfl__partitioner_pick(&p, KFL_PARTITION_ANY, NULL, 0, 999, 2);
    ck_assert_int_eq(kfl__partitioner_pick(&p, KFL_PARTITION_ANY, NULL, 0, 5000000000, 2), first);
    ck_assert_int_eq(kfl__partitioner_pick(&p, KFL_PARTITION_ANY, NULL, 0, 1, 2), 1 - first);
}
END_TEST

/* kafka:B4 */
START_TEST(without_batches_each_record_moves_on)
{
    struct kfl__partitioner p = partitioner(KFL_PARTITIONER_MURMUR2, false, 0, 7);
    int32_t before = kfl__partitioner_pick(&p, KFL_PARTITION_ANY, NULL, 0, 1, 3);
    for (int32_t i = 0; i < 100; i++) {
        int32_t next = kfl__partitioner_pick(&p, KFL_PARTITION_ANY, NULL, 0, 1, 3);
        ck_assert_int_ne(next, before);
        before = next;
    }
}
END_TEST

/* kafka:B4: keyed and placed records do not fill the favourite's batch. */
START_TEST(only_what_the_favourite_was_given_counts)
{
    struct kfl__partitioner p = partitioner(KFL_PARTITIONER_MURMUR2, false, 1000, 8);
    int32_t favourite = kfl__partitioner_pick(&p, KFL_PARTITION_ANY, NULL, 0, 10, 8);
    kfl__partitioner_pick(&p, KFL_PARTITION_ANY, "k", 1, 100000, 8);
    kfl__partitioner_pick(&p, favourite, NULL, 0, 100000, 8);
    ck_assert_int_eq(kfl__partitioner_pick(&p, KFL_PARTITION_ANY, NULL, 0, 10, 8), favourite);
}
END_TEST

/* kafka:B4 */
START_TEST(every_partition_gets_its_share)
{
    static const int32_t counts[] = {1, 2, 3, 7, 64};
    int32_t count = counts[_i];
    uint64_t seed = kfl__random64();
    struct kfl__partitioner p = partitioner(KFL_PARTITIONER_MURMUR2, false, 1, seed);
    int32_t given[64] = {0};
    int32_t before = -1;
    for (int32_t i = 0; i < count * 1000; i++) {
        int32_t picked = kfl__partitioner_pick(&p, KFL_PARTITION_ANY, NULL, 0, 1, count);
        ck_assert_int_ge(picked, 0);
        ck_assert_int_lt(picked, count);
        ck_assert(count == 1 || picked != before);
        given[picked]++;
        before = picked;
    }
    /* Six standard deviations of 1000 draws: once in a hundred million runs. */
    for (int32_t i = 0; i < count; i++)
        ck_assert_msg(given[i] > 800 && given[i] < 1200, "partition %d of %d: %d, seed %" PRIu64, i,
                      count, given[i], seed);
}
END_TEST

START_TEST(the_first_favourite_is_drawn_from_all)
{
    bool seen[4] = {false};
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct kfl__partitioner p = partitioner(KFL_PARTITIONER_MURMUR2, false, 1, seed);
        seen[kfl__partitioner_pick(&p, KFL_PARTITION_ANY, NULL, 0, 1, 4)] = true;
    }
    ck_assert(seen[0] && seen[1] && seen[2] && seen[3]);
}
END_TEST

START_TEST(the_same_seed_chooses_the_same)
{
    struct kfl__partitioner a = partitioner(KFL_PARTITIONER_MURMUR2, false, 100, 42);
    struct kfl__partitioner b = partitioner(KFL_PARTITIONER_MURMUR2, false, 100, 42);
    struct kfl__partitioner c = partitioner(KFL_PARTITIONER_MURMUR2, false, 100, 43);
    int32_t different = 0;
    for (int32_t i = 0; i < 1000; i++) {
        int32_t picked = kfl__partitioner_pick(&a, KFL_PARTITION_ANY, NULL, 0, 60, 10);
        ck_assert_int_eq(picked, kfl__partitioner_pick(&b, KFL_PARTITION_ANY, NULL, 0, 60, 10));
        different += picked != kfl__partitioner_pick(&c, KFL_PARTITION_ANY, NULL, 0, 60, 10);
    }
    ck_assert_int_gt(different, 500);
}
END_TEST

START_TEST(a_topic_that_grew_or_was_made_anew_smaller_is_served)
{
    struct kfl__partitioner p = partitioner(KFL_PARTITIONER_MURMUR2, false, 1, 9);
    bool seen[20] = {false};
    for (int32_t i = 0; i < 100; i++)
        ck_assert_int_lt(kfl__partitioner_pick(&p, KFL_PARTITION_ANY, NULL, 0, 1, 2), 2);
    for (int32_t i = 0; i < 1000; i++)
        seen[kfl__partitioner_pick(&p, KFL_PARTITION_ANY, NULL, 0, 1, 20)] = true;
    for (int32_t i = 0; i < 20; i++)
        ck_assert(seen[i]);
    for (int32_t i = 0; i < 100; i++)
        ck_assert_int_lt(kfl__partitioner_pick(&p, KFL_PARTITION_ANY, NULL, 0, 1, 2), 2);
}
END_TEST

/* kafka:B6 */
START_TEST(ignored_keys_are_placed_as_if_there_were_none)
{
    struct kfl__partitioner with = partitioner(KFL_PARTITIONER_MURMUR2, true, 100, 11);
    struct kfl__partitioner without = partitioner(KFL_PARTITIONER_MURMUR2, false, 100, 11);
    for (int32_t i = 0; i < 1000; i++)
        ck_assert_int_eq(kfl__partitioner_pick(&with, KFL_PARTITION_ANY, "abc", 3, 30, 12),
                         kfl__partitioner_pick(&without, KFL_PARTITION_ANY, NULL, 0, 30, 12));
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("partitioner");
    int vectors = (int)(sizeof golden / sizeof golden[0]);

    TCase *keyed = tcase_create("keyed");
    tcase_add_loop_test(keyed, murmur2_is_that_of_the_java_client, 0, vectors);
    tcase_add_loop_test(keyed, a_key_goes_where_kafka_puts_it, 0, vectors);
    tcase_add_test(keyed, murmur2_agrees_at_every_length_and_alignment);
    tcase_add_test(keyed, an_empty_key_is_a_key);
    tcase_add_test(keyed, a_grown_topic_counts_with_its_new_number);
    tcase_add_test(keyed, xxh3_takes_its_own_low_bits);
    tcase_add_test(keyed, a_requested_partition_wins_over_any_key);
    suite_add_tcase(suite, keyed);

    TCase *keyless = tcase_create("keyless");
    tcase_add_test(keyless, records_without_a_key_stay_until_a_batch_is_full);
    tcase_add_test(keyless, a_record_larger_than_a_batch_goes_alone);
    tcase_add_test(keyless, without_batches_each_record_moves_on);
    tcase_add_test(keyless, only_what_the_favourite_was_given_counts);
    tcase_add_loop_test(keyless, every_partition_gets_its_share, 0, 5);
    tcase_add_test(keyless, the_first_favourite_is_drawn_from_all);
    tcase_add_test(keyless, the_same_seed_chooses_the_same);
    tcase_add_test(keyless, a_topic_that_grew_or_was_made_anew_smaller_is_served);
    tcase_add_test(keyless, ignored_keys_are_placed_as_if_there_were_none);
    suite_add_tcase(suite, keyless);
    return suite;
}
