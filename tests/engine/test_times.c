/* SPDX-License-Identifier: MIT */
/* Offsets for times, over files, signposts and what is damaged. */
#include "base/fault.h"
#include "core.h"
#include "engine/janitor.h"
#include "suite.h"
#include "temp_dir.h"

static struct kfl__core *core;
static struct kfl__partition *partition;

static void set_up(void)
{
    temp_dir_make();
    core = core_open(temp_dir_path(), NULL);
    partition = core_partition(core, "segment.bytes=65536 index.interval.bytes=4096");
}

static void tear_down(void)
{
    core_abandon(core);
    temp_dir_remove();
}

static void check(int64_t time, int64_t expected)
{
    int64_t offset = -1, found = -1;
    int r = kfl__partition_find_time(partition, time, &offset, &found);
    ck_assert_msg(r == (expected >= 0), "time %lld: %d (%s)", (long long)time, r, r < 0 ? kfl_last_error() : "");
    if (expected >= 0) {
        ck_assert_int_eq(offset, expected);
        ck_assert_int_ge(found, time);
    }
}

START_TEST(the_first_record_that_is_late_enough_is_found)
{
    check(0, -1);
    core_append_run(partition, 0, 300, 1000);
    check(0, 0);
    for (int64_t i = 0; i < 300; i += 7)
        check(1000000 + i, i);
    check(1000299, 299);
    check(1000300, -1);
}
END_TEST

START_TEST(times_out_of_order_give_the_first_in_offset_order)
{
    static const int64_t times[] = {5, 90, 20, 30, 95, 10, 96};
    for (int64_t i = 0; i < 7; i++)
        ck_assert_int_eq(core_append(partition, times[i], 20000, false), i);
    check(1000006, 1);
    check(1000091, 4);
    check(1000096, 6);
    check(1000097, -1);
    int64_t offset, time;
    ck_assert_int_eq(kfl__partition_max_timestamp(partition, &offset, &time), 1);
    ck_assert_int_eq(offset, 6);
    ck_assert_int_eq(time, 1000096);
}
END_TEST

START_TEST(what_was_deleted_has_no_time)
{
    int64_t start, offset, time;
    core_append_run(partition, 0, 300, 1000);
    assert_ok(kfl__partition_trim(partition, 200, &start));
    check(0, 200);
    check(1000250, 250);
    assert_ok(kfl__partition_trim(partition, 300, &start));
    check(0, -1);
    ck_assert_int_eq(kfl__partition_max_timestamp(partition, &offset, &time), 0);
}
END_TEST

START_TEST(sealed_rows_and_a_new_opening_change_no_answer)
{
    core_append_run(partition, 0, 300, 1000);
    atomic_store(&partition->slot->unsynced_since_ns, 1);
    assert_ok(kfl__janitor_run(core, -1));
    for (int64_t i = 0; i < 300; i += 7)
        check(1000000 + i, i);
    assert_ok(core_close(core));
    core_reboot(temp_dir_path());
    core = core_open(temp_dir_path(), NULL);
    partition = core_partition(core, NULL);
    for (int64_t i = 0; i < 300; i += 7)
        check(1000000 + i, i);
    check(1000300, -1);
}
END_TEST

START_TEST(damage_is_passed_over)
{
    core_append_run(partition, 0, 100, 1000);
    core_spoil(core_file(partition, 1), KFL_SEGMENT_FIRST_PLACE + 10 * 1072, 1072, 0x5a);
    check(1000009, 9);
    check(1000010, 11);
    check(1000099, 99);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("engine/times");
    TCase *times = tcase_create("times");
    tcase_add_checked_fixture(times, set_up, tear_down);
    tcase_set_timeout(times, 60);
    tcase_add_test(times, the_first_record_that_is_late_enough_is_found);
    tcase_add_test(times, times_out_of_order_give_the_first_in_offset_order);
    tcase_add_test(times, what_was_deleted_has_no_time);
    tcase_add_test(times, sealed_rows_and_a_new_opening_change_no_answer);
    tcase_add_test(times, damage_is_passed_over);
    suite_add_tcase(suite, times);
    return suite;
}
