/* SPDX-License-Identifier: MIT */
/* The plan alone: which segments take part, and whether it is due. */
#include "engine/compact.h"

#include <check.h>

#include "suite.h"

#define NOW INT64_C(1000000000)
#define MOST 6

static struct kfl__segment_row rows[MOST];
static struct kfl__compact_rules rules;

/* Sealed, ten offsets and 100 bytes each, `clean` of them cleaned; the last one takes appends. */
static void given(int32_t clean)
{
    for (int32_t i = 0; i < MOST; i++)
        rows[i] = (struct kfl__segment_row){
            .segment_id = i + 1,
            .state = i < MOST - 1 ? KFL_SEGMENT_ROW_SEALED : KFL_SEGMENT_ROW_LIVE,
            .base_offset = i * 10,
            .end_offset = i < MOST - 1 ? i * 10 + 10 : -1,
            .used = i < MOST - 1 ? 100 : -1,
            .first_timestamp_ms = NOW - 1000 + i,
            .max_timestamp_ms = NOW - 1000 + i,
            .clean_offset = i < clean ? i * 10 + 10 : 0,
        };
    rules = (struct kfl__compact_rules){
        .compacts = true, .now_ms = NOW, .max_lag_ms = INT64_MAX, .ratio_millionths = 500000};
}

static struct kfl__compact_plan plan(void)
{
    return kfl__compact_plan(rows, MOST, &rules);
}

/* kafka:I6 kafka:I4 */
START_TEST(it_is_due_when_half_is_dirty)
{
    given(0);
    ck_assert_int_eq(plan().why, KFL_COMPACT_WHY_DIRTY);
    ck_assert_int_eq(plan().count, MOST - 1);
    ck_assert_int_eq(plan().first_dirty, 0);
    ck_assert_int_eq(plan().dirty_bytes, 500);
    given(2);
    ck_assert_int_eq(plan().why, KFL_COMPACT_WHY_DIRTY);
    ck_assert_int_eq(plan().clean_bytes, 200);
    given(3);
    ck_assert_int_eq(plan().why, KFL_COMPACT_WHY_RATIO);
    rows[2].used = 0; /* 200 of 400: exactly half is enough */
    ck_assert_int_eq(plan().why, KFL_COMPACT_WHY_DIRTY);
    rules.ratio_millionths = 500001;
    ck_assert_int_eq(plan().why, KFL_COMPACT_WHY_RATIO);
    rules.force = true;
    ck_assert_int_eq(plan().why, KFL_COMPACT_WHY_FORCED);
    given(5);
    ck_assert_int_eq(plan().why, KFL_COMPACT_WHY_CLEAN);
    ck_assert_int_eq(plan().first_dirty, 5);
}
END_TEST

/* kafka:I5 */
START_TEST(the_first_young_segment_stops_it)
{
    given(0);
    rules.min_lag_ms = 999;
    ck_assert_int_eq(plan().count, 2); /* 1000 and 999 old; 998 is too young */
    ck_assert(plan().stopped_by_lag);
    rules.min_lag_ms = 1001;
    ck_assert_int_eq(plan().count, 0);
    ck_assert_int_eq(plan().why, KFL_COMPACT_WHY_CLEAN);
    rules.min_lag_ms = 0;
    rows[1].max_timestamp_ms = NOW + 1000000;
    ck_assert_int_eq(plan().count, 5);
    rules.min_lag_ms = 1;
    ck_assert_int_eq(plan().count, 1);
    given(2); /* what is clean is not asked for its age */
    rules.min_lag_ms = 998;
    rows[0].max_timestamp_ms = NOW;
    ck_assert_int_eq(plan().count, 3);
}
END_TEST

/* kafka:I6 */
START_TEST(a_record_that_waits_too_long_makes_it_due)
{
    given(4);
    rules.max_lag_ms = 996;
    ck_assert_int_eq(plan().why, KFL_COMPACT_WHY_RATIO);
    rules.max_lag_ms = 995;
    ck_assert_int_eq(plan().why, KFL_COMPACT_WHY_LAG);
    given(5);
    rules.max_lag_ms = 1;
    ck_assert_int_eq(plan().why, KFL_COMPACT_WHY_CLEAN);
}
END_TEST

START_TEST(tombstones_whose_time_has_come_are_for_who_asks)
{
    given(5);
    rows[1].horizon_ms = NOW;
    ck_assert_int_eq(plan().why, KFL_COMPACT_WHY_CLEAN);
    rules.force = true;
    ck_assert_int_eq(plan().why, KFL_COMPACT_WHY_TOMBSTONES);
    rows[1].horizon_ms = NOW + 1;
    ck_assert_int_eq(plan().why, KFL_COMPACT_WHY_CLEAN);
}
END_TEST

START_TEST(a_file_that_is_not_complete_stops_it)
{
    given(0);
    rows[2].state = KFL_SEGMENT_ROW_LIVE;
    ck_assert_int_eq(plan().count, 2);
    rules.compacts = false;
    ck_assert_int_eq(plan().why, KFL_COMPACT_WHY_POLICY);
}
END_TEST

/* A pass that memory has ended in the middle of a segment: the rest of it is dirty. */
START_TEST(a_segment_may_be_clean_in_part)
{
    given(3);
    rows[2].clean_offset = 25;
    ck_assert_int_eq(plan().first_dirty, 2);
    ck_assert_int_eq(plan().dirty_bytes, 300);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("engine/compact");
    TCase *all = tcase_create("plan");
    tcase_add_test(all, it_is_due_when_half_is_dirty);
    tcase_add_test(all, the_first_young_segment_stops_it);
    tcase_add_test(all, a_record_that_waits_too_long_makes_it_due);
    tcase_add_test(all, tombstones_whose_time_has_come_are_for_who_asks);
    tcase_add_test(all, a_file_that_is_not_complete_stops_it);
    tcase_add_test(all, a_segment_may_be_clean_in_part);
    suite_add_tcase(suite, all);
    return suite;
}
