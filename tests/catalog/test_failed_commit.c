/* SPDX-License-Identifier: MIT */
/*
 * Commits that the disk refuses, at each write and sync: nothing of them happened, looks go on, and
 * the catalog works again once the disk does.
 *
 * LMDB's system calls arrive here, because a program's own functions come before the C library's.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "fixture.h"
#include "suite.h"

#define EXPORTED __attribute__((visibility("default")))

static int calls_until_failure; /* 0: never; counts down */
static int failures;            /* how many calls in a row fail from there */
static int failure_errno;
static bool fails_after_writing; /* the bytes arrive all the same, as after a failed sync */
static bool only_first_arrives;
static int failed_calls;

static bool fails_now(void)
{
    if (calls_until_failure == 0 || --calls_until_failure > 0)
        return false;
    if (failed_calls++ > 0 && only_first_arrives)
        fails_after_writing = false;
    calls_until_failure = --failures > 0;
    return true;
}

/* By its name for the linker, since our own `pwrite` may be another one, for large files. */
EXPORTED ssize_t refusing_pwrite(int fd, const void *bytes, size_t size,
                                 int64_t place) __asm__("pwrite");
ssize_t refusing_pwrite(int fd, const void *bytes, size_t size, int64_t place)
{
    bool fails = fails_now();
    if (!fails || fails_after_writing) {
        ssize_t written = syscall(SYS_pwrite64, fd, bytes, size, place);
        if (!fails)
            return written;
    }
    errno = failure_errno;
    return -1;
}

EXPORTED ssize_t writev(int fd, const struct iovec *parts, int count);
ssize_t writev(int fd, const struct iovec *parts, int count)
{
    bool fails = fails_now();
    if (!fails || fails_after_writing) {
        ssize_t written = syscall(SYS_writev, fd, parts, count);
        if (!fails)
            return written;
    }
    errno = failure_errno;
    return -1;
}

EXPORTED int fdatasync(int fd);
int fdatasync(int fd)
{
    if (!fails_now())
        return (int)syscall(SYS_fdatasync, fd);
    errno = failure_errno;
    return -1;
}

static void fail_from(int call, int count, int errnum)
{
    failed_calls = 0;
    calls_until_failure = call;
    failures = count;
    failure_errno = errnum;
}

static void mend_disk(void)
{
    calls_until_failure = 0;
    failures = 0;
}

static uint64_t topic_id;

static void set_up_topic(void)
{
    set_up_catalog();
    assert_ok(create_topic("t", 300, NULL, &topic_id));
    for (int32_t partition = 0; partition < 300; partition += 7)
        assert_ok(commit_offset("other", topic_id, partition, 1));
    assert_ok(commit_offset("g", topic_id, 0, 0));
}

static void tear_down_topic(void)
{
    mend_disk();
    tear_down_catalog();
}

static const int errnos[] = {ENOSPC, EIO, EDQUOT};

static int expected_code(int errnum)
{
    return errnum == EIO ? KFL_E_IO : KFL_E_NO_SPACE;
}

/* Loop index: an errno, and whether the bytes arrive. */
static int chosen_errno(int i)
{
    fails_after_writing = i % 2 == 1;
    return errnos[i / 2];
}

START_TEST(a_commit_that_fails_once_has_not_happened) /* rule:R15 */
{
    int errnum = chosen_errno(_i);
    int64_t committed = 0;
    int call = 1;
    for (;; call++) {
        ck_assert_int_lt(call, 100);
        fail_from(call, 1, errnum);
        int r = commit_offset("g", topic_id, 0, committed + 1);
        bool failed = failed_calls > 0;
        mend_disk();
        if (failed) {
            assert_code(r, expected_code(errnum));
            ck_assert_int_eq(kfl_last_error_code(), r);
            ck_assert_int_eq(committed_offset("g", topic_id, 0), committed);
            assert_ok(commit_offset("g", topic_id, 0, ++committed));
        } else {
            assert_ok(r);
            committed++;
        }
        reopen_catalog(); /* with the check */
        ck_assert_int_eq(committed_offset("g", topic_id, 0), committed);
        if (!failed)
            break;
    }
    ck_assert_int_ge(call, 4); /* pages, sync, meta page: there was something to fail */
}
END_TEST

START_TEST(a_disk_that_stays_broken_stops_changes_but_no_looks) /* rule:R15 */
{
    int errnum = chosen_errno(_i);
    int64_t committed = 0;
    for (int call = 1; call < 100; call++) {
        fail_from(call, INT32_MAX, errnum);
        int r = commit_offset("g", topic_id, 0, committed + 1);
        if (failed_calls == 0) {
            mend_disk();
            assert_ok(r);
            return;
        }
        assert_code(r, expected_code(errnum));
        for (int i = 0; i < 3; i++) {
            ck_assert_int_eq(committed_offset("g", topic_id, 0), committed);
            assert_code(commit_offset("g", topic_id, 0, 1000), expected_code(errnum));
        }
        mend_disk();
        ck_assert_int_eq(committed_offset("g", topic_id, 0), committed);
        assert_ok(commit_offset("g", topic_id, 0, ++committed));
        ck_assert_int_eq(committed_offset("g", topic_id, 0), committed);
        reopen_catalog();
        ck_assert_int_eq(committed_offset("g", topic_id, 0), committed);
    }
    ck_abort_msg("no commit went through");
}
END_TEST

/* What the process's death in that state leaves: closing writes nothing, so a reopen is as good. */
START_TEST(a_failed_commit_is_not_found_after_the_end_of_the_process)
{
    int errnum = chosen_errno(_i);
    for (int call = 1; call < 100; call++) {
        fail_from(call, INT32_MAX, errnum);
        int r = commit_offset("g", topic_id, 0, 77);
        bool failed = failed_calls > 0;
        mend_disk();
        if (!failed) {
            assert_ok(r);
            return;
        }
        ck_assert_int_lt(r, 0);
        reopen_catalog();
        ck_assert_int_eq(committed_offset("g", topic_id, 0), 0);
    }
    ck_abort_msg("no commit went through");
}
END_TEST

/* LMDB puts an old meta page back over one whose sync failed. When that fails too, the new one
 * stands. */
START_TEST(a_commit_that_arrived_in_spite_of_its_error_has_happened) /* rule:R15 */
{
    int64_t committed = 0;
    int arrived = 0;
    for (int call = 1; call < 100; call++) {
        only_first_arrives = true;
        fails_after_writing = true;
        fail_from(call, 2, EIO);
        int r = commit_offset("g", topic_id, 0, committed + 1);
        bool failed = failed_calls > 0;
        mend_disk();
        if (r == 0)
            committed++;
        ck_assert_int_eq(committed_offset("g", topic_id, 0), committed);
        reopen_catalog();
        ck_assert_int_eq(committed_offset("g", topic_id, 0), committed);
        arrived += failed && r == 0;
        if (!failed)
            break;
    }
    ck_assert_int_eq(arrived, 1);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("catalog/failed commit");
    TCase *failures_case = tcase_create("failures");
    tcase_add_checked_fixture(failures_case, set_up_topic, tear_down_topic);
    tcase_set_timeout(failures_case, 60);
    tcase_add_loop_test(failures_case, a_commit_that_fails_once_has_not_happened, 0, 6);
    tcase_add_loop_test(failures_case, a_disk_that_stays_broken_stops_changes_but_no_looks, 0, 6);
    tcase_add_loop_test(failures_case, a_failed_commit_is_not_found_after_the_end_of_the_process, 0,
                        6);
    tcase_add_test(failures_case, a_commit_that_arrived_in_spite_of_its_error_has_happened);
    suite_add_tcase(suite, failures_case);
    return suite;
}
