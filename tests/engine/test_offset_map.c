/* SPDX-License-Identifier: MIT */
#include "engine/offset_map.h"

#include "quick_asserts.h"

#include <check.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"
#include "chance.h"
#include "engine/survivors.h"
#include "suite.h"

static struct kfl__offset_map map;

static void set_up(void)
{
    ck_assert_int_eq(kfl__offset_map_init(&map, INT64_C(1) << 30), 0);
}

static void tear_down(void)
{
    kfl__offset_map_clear(&map);
}

static uint64_t before;

static int put(uint64_t digest, uint64_t locator)
{
    return kfl__offset_map_put(&map, digest, locator, &before);
}

START_TEST(the_last_locator_of_a_digest_counts)
{
    ck_assert_uint_eq(kfl__offset_map_get(&map, 7), 0);
    ck_assert_int_eq(put(7, 1), 0);
    ck_assert_uint_eq(before, 0);
    ck_assert_int_eq(put(7, 2), 0);
    ck_assert_uint_eq(before, 1);
    ck_assert_int_eq(put(0, 3), 0);
    ck_assert_uint_eq(kfl__offset_map_get(&map, 7), 2);
    ck_assert_uint_eq(kfl__offset_map_get(&map, 0), 3);
    ck_assert_uint_eq(kfl__offset_map_get(&map, UINT64_MAX), 0);
    ck_assert_int_eq(map.count, 2);
}
END_TEST

/* Random digests; and such as all want one slot. */
START_TEST(as_many_as_there_are)
{
    struct chance chance = chance_begin("as_many_as_there_are");
    uint64_t *digests = calloc(300000, sizeof *digests);
    for (int i = 0; i < 300000; i++) {
        digests[i] = _i == 0 ? chance_next(&chance) : UINT64_C(0xff) << 56 | (uint64_t)i;
        if (_i == 1 && i == 3000)
            break;
        ck_assert_int_eq(put(digests[i], (uint64_t)i + 1), 0);
    }
    for (int i = 0; i < (_i == 0 ? 300000 : 3000); i++)
        ck_assert_uint_eq(kfl__offset_map_get(&map, digests[i]), (uint64_t)i + 1);
    if (_i == 0) {
        ck_assert_int_le(map.bytes / map.count, 26);
        ck_assert_int_ge(map.bytes / map.count, 19);
    }
    free(digests);
}
END_TEST

START_TEST(a_full_one_says_so_and_stays_as_it_was)
{
    struct chance chance = chance_begin("a_full_one_says_so");
    uint64_t digests[20000];
    int count = 0;
    kfl__offset_map_clear(&map);
    ck_assert_int_eq(kfl__offset_map_init(&map, 200000), 0);
    for (;; count++) {
        digests[count] = chance_next(&chance);
        int r = put(digests[count], (uint64_t)count + 1);
        if (r == KFL_OFFSET_MAP_FULL)
            break;
        ck_assert_int_eq(r, 0);
    }
    ck_assert_int_gt(count, 4000);
    ck_assert_int_le(map.bytes, 200000);
    ck_assert_uint_eq(kfl__offset_map_get(&map, digests[count]), 0);
    for (int i = 0; i < count; i++)
        ck_assert_uint_eq(kfl__offset_map_get(&map, digests[i]), (uint64_t)i + 1);
    /* What is known can be moved on. */
    ck_assert_int_eq(put(digests[0], 99), 0);
}
END_TEST

static int order(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* Few and many; crowded into one shard or not; near to each other and in far windows. */
START_TEST(listed_they_come_in_order)
{
    static const int counts[] = {0, 1, 40, 65, 3000, 200000};
    struct chance chance = chance_begin("listed_they_come_in_order");
    int count = counts[_i / 2];
    uint64_t *locators = calloc((size_t)count + 1, sizeof *locators);
    for (int i = 0; i < count; i++) {
        uint64_t digest = (uint64_t)i * UINT64_C(0x9e3779b97f4a7c15);
        uint64_t input = 1 + chance_below(&chance, 5) * chance_below(&chance, 2) * 1000000;
        if (_i % 2 == 1 && count < 5000)
            digest = UINT64_C(0xab) << 56 | digest >> 8;
        locators[i] = input << 32 | (uint64_t)i * 20 | chance_below(&chance, 8);
        ck_assert_int_eq(put(digest, input), 0);
        ck_assert_int_eq(put(digest, locators[i]), 0);
    }
    int64_t bytes = map.bytes;
    kfl__offset_map_list(&map);
    ck_assert_int_eq(map.bytes, bytes);
    qsort(locators, (size_t)count, sizeof *locators, order);
    struct kfl__survivors *survivors = kfl__survivors_create(&map);
    for (int i = 0; i < count; i++) {
        ck_assert_uint_eq(survivors->next, locators[i]);
        kfl__survivors_advance(survivors);
    }
    ck_assert_uint_eq(survivors->next, UINT64_MAX);
    kfl__free(survivors);
    free(locators);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("engine/offset_map");
    TCase *all = tcase_create("map");
    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_test(all, the_last_locator_of_a_digest_counts);
    tcase_add_loop_test(all, as_many_as_there_are, 0, 2);
    tcase_add_test(all, a_full_one_says_so_and_stays_as_it_was);
    tcase_add_loop_test(all, listed_they_come_in_order, 0, 12);
    suite_add_tcase(suite, all);
    return suite;
}
