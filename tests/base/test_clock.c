/* SPDX-License-Identifier: MIT */
#include "base/clock.h"

#include <check.h>
#include <time.h>

#include "suite.h"

START_TEST(the_wall_clock_is_the_systems)
{
    struct kfl__clock clock;
    kfl__clock_init(&clock);
    struct timespec before, after;
    clock_gettime(CLOCK_REALTIME_COARSE, &before);
    int64_t now = kfl__clock_wall_ms(&clock);
    clock_gettime(CLOCK_REALTIME_COARSE, &after);
    ck_assert_int_ge(now, before.tv_sec * 1000 + before.tv_nsec / 1000000);
    ck_assert_int_le(now, after.tv_sec * 1000 + after.tv_nsec / 1000000);
}
END_TEST

START_TEST(a_clock_that_was_set_stands_still_until_it_is_let_go)
{
    struct kfl__clock clock, other;
    kfl__clock_init(&clock);
    kfl__clock_init(&other);
    kfl__clock_set(&clock, 1000);
    ck_assert_int_eq(kfl__clock_wall_ms(&clock), 1000);
    kfl__clock_set(&clock, 0);
    ck_assert_int_eq(kfl__clock_wall_ms(&clock), 0);
    ck_assert_int_gt(kfl__clock_wall_ms(&other), 1000);
    kfl__clock_set(&clock, -1);
    ck_assert_int_gt(kfl__clock_wall_ms(&clock), 1000);
}
END_TEST

START_TEST(steady_time_never_goes_back)
{
    int64_t last = kfl__clock_steady_ns();
    for (int i = 0; i < 100000; i++) {
        int64_t now = kfl__clock_steady_ns();
        ck_assert_int_ge(now, last);
        last = now;
    }
}
END_TEST

START_TEST(a_deadline_is_now_and_the_timeout)
{
    int64_t before = kfl__clock_steady_ns();
    int64_t deadline = kfl__clock_deadline_ns(1500);
    int64_t after = kfl__clock_steady_ns();
    ck_assert_int_ge(deadline, before + 1500000000);
    ck_assert_int_le(deadline, after + 1500000000);
    ck_assert_int_le(kfl__clock_deadline_ns(0), kfl__clock_steady_ns());
}
END_TEST

START_TEST(for_ever_is_no_deadline_and_a_very_long_time_does_not_overflow)
{
    ck_assert_int_eq(kfl__clock_deadline_ns(-1), -1);
    ck_assert_int_eq(kfl__clock_deadline_ns(INT64_MAX), INT64_MAX);
    ck_assert_int_eq(kfl__clock_deadline_ns(INT64_MAX / 1000000), INT64_MAX);
    ck_assert_int_gt(kfl__clock_deadline_ns(INT32_MAX), 0);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("clock");
    TCase *time = tcase_create("time");
    tcase_add_test(time, the_wall_clock_is_the_systems);
    tcase_add_test(time, a_clock_that_was_set_stands_still_until_it_is_let_go);
    tcase_add_test(time, steady_time_never_goes_back);
    tcase_add_test(time, a_deadline_is_now_and_the_timeout);
    tcase_add_test(time, for_ever_is_no_deadline_and_a_very_long_time_does_not_overflow);
    suite_add_tcase(suite, time);
    return suite;
}
