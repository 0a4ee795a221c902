/* SPDX-License-Identifier: MIT */
/* The byte-range locks of base/file, which tell who lives. rule:R19 */
#include <check.h>
#include <sched.h>

#include "child.h"
#include "file_fixture.h"
#include "suite.h"

static int lock_is_seen(void *context)
{
    (void)context;
    int fd;
    bool first = false, second = true;
    if (kfl__file_open(-1, temp_dir_file("LOCK"), true, &fd) != 0)
        return 1;
    if (kfl__file_is_locked(fd, 1, 1, &first) < 0 || kfl__file_is_locked(fd, 2, 1, &second) < 0)
        return 2;
    if (!first || second)
        return 3;
    if (kfl__file_lock(fd, 1, 1, false) != KFL_FILE_LOCKED || kfl__file_lock(fd, 2, 1, false) != 0)
        return 4;
    return 0;
}

START_TEST(a_lock_is_seen_by_another_process_and_goes_with_it)
{
    int fd = create("LOCK");
    bool locked;
    ck_assert_int_eq(kfl__file_lock(fd, 1, 1, false), 0);
    ck_assert_int_eq(child_run(lock_is_seen, NULL), 0);
    ck_assert_int_eq(kfl__file_is_locked(fd, 2, 1, &locked), 0);
    ck_assert(!locked);
    kfl__file_close(fd);
}
END_TEST

START_TEST(a_lock_is_the_descriptions_and_not_the_process_s)
{
    int fd = create("LOCK"), other;
    bool locked;
    ck_assert_int_eq(kfl__file_open(dir, "LOCK", true, &other), 0);
    ck_assert_int_eq(kfl__file_lock(fd, 7, 1, false), 0);
    ck_assert_int_eq(kfl__file_lock(fd, 7, 1, false), 0);
    ck_assert_int_eq(kfl__file_is_locked(fd, 7, 1, &locked), 0);
    ck_assert(!locked);
    ck_assert_int_eq(kfl__file_lock(other, 7, 1, false), KFL_FILE_LOCKED);
    ck_assert_int_eq(kfl__file_is_locked(other, 0, 100, &locked), 0);
    ck_assert(locked);
    kfl__file_close(other);
    ck_assert_int_eq(kfl__file_open(dir, "LOCK", true, &other), 0);
    ck_assert_int_eq(kfl__file_lock(other, 7, 1, false), KFL_FILE_LOCKED);
    ck_assert_int_eq(kfl__file_unlock(fd, 7, 1), 0);
    ck_assert_int_eq(kfl__file_lock(other, 7, 1, false), 0);
    kfl__file_close(other);
    kfl__file_close(fd);
}
END_TEST

START_TEST(shared_locks_go_together_and_keep_out_an_exclusive_one)
{
    int fd = create("LOCK"), reader, second;
    bool locked;
    ck_assert_int_eq(kfl__file_open(dir, "LOCK", false, &reader), 0);
    ck_assert_int_eq(kfl__file_open(dir, "LOCK", false, &second), 0);
    ck_assert_int_eq(kfl__file_lock_shared(reader, 3, 1, false), 0);
    ck_assert_int_eq(kfl__file_lock_shared(second, 3, 1, false), 0);
    ck_assert_int_eq(kfl__file_lock(fd, 3, 1, false), KFL_FILE_LOCKED);
    ck_assert_int_eq(kfl__file_is_locked(fd, 3, 1, &locked), 0);
    ck_assert(locked);
    kfl__file_close(reader);
    kfl__file_close(second);
    ck_assert_int_eq(kfl__file_lock(fd, 3, 1, false), 0);
    kfl__file_close(fd);
}
END_TEST

struct turn {
    _Atomic int waiting;
    int held; /* by whoever has the lock */
};

static int wait_for_byte(void *context)
{
    struct turn *turn = context;
    int fd;
    if (kfl__file_open(-1, temp_dir_file("LOCK"), true, &fd) != 0)
        return 1;
    turn->waiting = 1;
    if (kfl__file_lock(fd, 0, 1, true) != 0)
        return 2;
    return turn->held == 0 ? 0 : 3;
}

START_TEST(a_lock_can_be_waited_for)
{
    struct turn *turn = child_share(sizeof *turn);
    int fd = create("LOCK");
    ck_assert_int_eq(kfl__file_lock(fd, 0, 1, true), 0);
    turn->held = 1;
    pid_t pid = child_start(wait_for_byte, turn);
    while (turn->waiting == 0)
        sched_yield();
    for (int i = 0; i < 100; i++)
        sched_yield();
    turn->held = 0;
    ck_assert_int_eq(kfl__file_unlock(fd, 0, 1), 0);
    ck_assert_int_eq(child_end(pid), 0);
    kfl__file_close(fd);
    munmap(turn, sizeof *turn);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("file_locks");
    TCase *locks = tcase_create("locks");
    tcase_add_checked_fixture(locks, make_directory, remove_directory);
    tcase_add_test(locks, a_lock_is_seen_by_another_process_and_goes_with_it);
    tcase_add_test(locks, a_lock_is_the_descriptions_and_not_the_process_s);
    tcase_add_test(locks, shared_locks_go_together_and_keep_out_an_exclusive_one);
    tcase_add_test(locks, a_lock_can_be_waited_for);
    suite_add_tcase(suite, locks);
    return suite;
}
