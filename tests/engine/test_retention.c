/* SPDX-License-Identifier: MIT */
/* The plan alone: ages and sizes in, what goes out. */
#include "engine/retention.h"

#include <check.h>

#include "suite.h"

#define NOW INT64_C(1000000)
#define MOST 8

static struct kfl__retention_segment segments[MOST];
static int32_t count;
static struct kfl__retention_rules rules;

/* Each segment: ten offsets, 100 bytes; the last one takes appends. */
static void given(int32_t n, const int64_t *times)
{
    count = n;
    for (int32_t i = 0; i < n; i++)
        segments[i] = (struct kfl__retention_segment){
            .segment_id = i + 1,
            .base_offset = i * 10,
            .end_offset = i * 10 + 10,
            .bytes = 100,
            .max_timestamp_ms = times[i],
            .active = i == n - 1,
        };
    rules = (struct kfl__retention_rules){
        .deletes = true, .now_ms = NOW, .retention_ms = -1, .retention_bytes = -1, .hold_offset = INT64_MAX};
}
#define TIMES(...) ((const int64_t[]){__VA_ARGS__})

static int32_t plan(void)
{
    return kfl__retention_plan(segments, count, &rules);
}

/* kafka:H1 */
START_TEST(age_is_compared_strictly)
{
    given(3, TIMES(NOW - 101, NOW - 100, NOW));
    rules.retention_ms = 100;
    ck_assert_int_eq(plan(), 1);
    ck_assert_int_eq(segments[0].why, KFL_RETENTION_TIME);
    ck_assert_int_eq(segments[1].why, KFL_RETENTION_YOUNG);
    ck_assert_int_eq(segments[2].why, KFL_RETENTION_BEHIND);
    rules.now_ms++;
    ck_assert_int_eq(plan(), 2);
}
END_TEST

/* kafka:H1: zero keeps what is of this very millisecond. */
START_TEST(no_time_at_all_keeps_this_millisecond)
{
    given(2, TIMES(NOW - 1, NOW));
    rules.retention_ms = 0;
    ck_assert_int_eq(plan(), 1);
}
END_TEST

/* kafka:H2 */
START_TEST(a_time_in_the_future_protects_what_is_behind_it)
{
    given(4, TIMES(1, NOW + 1000000000, 1, 1));
    rules.retention_ms = 100;
    ck_assert_int_eq(plan(), 1);
    ck_assert_int_eq(segments[1].why, KFL_RETENTION_YOUNG);
    ck_assert_int_eq(segments[2].why, KFL_RETENTION_BEHIND);
    ck_assert_int_eq(segments[3].why, KFL_RETENTION_BEHIND);
    given(2, TIMES(INT64_MAX, 1));
    rules.retention_ms = 0;
    rules.now_ms = 0;
    ck_assert_int_eq(plan(), 0);
}
END_TEST

/* kafka:H3 */
START_TEST(the_file_that_takes_appends_is_not_spared)
{
    given(2, TIMES(1, 2));
    rules.retention_ms = 100;
    ck_assert_int_eq(plan(), 2);
    ck_assert_int_eq(segments[1].why, KFL_RETENTION_TIME);
    segments[1].end_offset = segments[1].base_offset; /* but for an empty one */
    ck_assert_int_eq(plan(), 1);
    ck_assert_int_eq(segments[1].why, KFL_RETENTION_EMPTY);
}
END_TEST

/* kafka:H4 */
START_TEST(size_never_leaves_less_than_the_limit)
{
    given(4, TIMES(1, 2, 3, 4));
    rules.retention_bytes = 300;
    ck_assert_int_eq(plan(), 1);
    ck_assert_int_eq(segments[0].why, KFL_RETENTION_SIZE);
    ck_assert_int_eq(segments[1].why, KFL_RETENTION_SMALL);
    rules.retention_bytes = 301;
    ck_assert_int_eq(plan(), 0);
    rules.retention_bytes = 299;
    ck_assert_int_eq(plan(), 1);
    rules.retention_bytes = 400;
    ck_assert_int_eq(plan(), 0);
    rules.retention_bytes = 0;
    ck_assert_int_eq(plan(), 4);
    /* A large one in front protects small ones behind it. */
    rules.retention_bytes = 200;
    segments[0].bytes = 250;
    ck_assert_int_eq(plan(), 2);
    segments[0].bytes = 100;
    segments[1].bytes = 1000;
    rules.retention_bytes = 250;
    ck_assert_int_eq(plan(), 1);
}
END_TEST

/* kafka:H5 */
START_TEST(without_limits_nothing_goes)
{
    given(3, TIMES(1, 2, 3));
    ck_assert_int_eq(plan(), 0);
    ck_assert_int_eq(segments[0].why, KFL_RETENTION_NO_LIMIT);
}
END_TEST

/* kafka:H5: size is looked at first, time goes on where it stopped. */
START_TEST(both_limits_together)
{
    given(5, TIMES(NOW, 1, 2, NOW, NOW));
    rules.retention_ms = 100;
    rules.retention_bytes = 400;
    ck_assert_int_eq(plan(), 3);
    ck_assert_int_eq(segments[0].why, KFL_RETENTION_SIZE);
    ck_assert_int_eq(segments[1].why, KFL_RETENTION_TIME);
}
END_TEST

/* kafka:H10 */
START_TEST(without_delete_in_the_policy_nothing_goes)
{
    given(3, TIMES(1, 2, 3));
    rules.deletes = false;
    rules.retention_ms = 0;
    rules.retention_bytes = 0;
    rules.start_offset = 30;
    ck_assert_int_eq(plan(), 0);
    for (int32_t i = 0; i < count; i++)
        ck_assert_int_eq(segments[i].why, KFL_RETENTION_POLICY);
}
END_TEST

/* kafka:H11: what was deleted by request goes whatever the limits say. */
START_TEST(what_lies_below_the_start_goes)
{
    given(4, TIMES(NOW, NOW, NOW, NOW));
    rules.start_offset = 25;
    ck_assert_int_eq(plan(), 2);
    ck_assert_int_eq(segments[1].why, KFL_RETENTION_DELETED);
}
END_TEST

/* A file that nobody can date goes with the one behind it, and never before it. */
START_TEST(an_unknown_time_is_that_of_the_next_segment)
{
    given(4, TIMES(-1, -1, NOW - 200, NOW));
    rules.retention_ms = 100;
    ck_assert_int_eq(plan(), 3);
    given(3, TIMES(-1, NOW, NOW));
    rules.retention_ms = 100;
    ck_assert_int_eq(plan(), 0);
    given(3, TIMES(1, -1, -1));
    rules.retention_ms = 100;
    ck_assert_int_eq(plan(), 1);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("engine/retention");
    TCase *all = tcase_create("plan");
    tcase_add_test(all, age_is_compared_strictly);
    tcase_add_test(all, no_time_at_all_keeps_this_millisecond);
    tcase_add_test(all, a_time_in_the_future_protects_what_is_behind_it);
    tcase_add_test(all, the_file_that_takes_appends_is_not_spared);
    tcase_add_test(all, size_never_leaves_less_than_the_limit);
    tcase_add_test(all, without_limits_nothing_goes);
    tcase_add_test(all, both_limits_together);
    tcase_add_test(all, without_delete_in_the_policy_nothing_goes);
    tcase_add_test(all, what_lies_below_the_start_goes);
    tcase_add_test(all, an_unknown_time_is_that_of_the_next_segment);
    suite_add_tcase(suite, all);
    return suite;
}
