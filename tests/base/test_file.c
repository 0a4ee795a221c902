/* SPDX-License-Identifier: MIT */
#include "base/file.h"

#include "quick_asserts.h"

#include <check.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/fault.h"
#include "child.h"
#include "file_fixture.h"
#include "suite.h"

/* --- bytes ------------------------------------------------------------------------------------- */

START_TEST(bytes_come_back_from_where_they_were_written)
{
    int fd = create("f");
    char bytes[8];
    size_t size;
    int64_t file_size;
    ck_assert_int_eq(kfl__file_write_at(fd, "abcdef", 6, 100), 0);
    ck_assert_int_eq(kfl__file_size(fd, &file_size), 0);
    ck_assert_int_eq(file_size, 106);
    ck_assert_int_eq(kfl__file_read_at(fd, bytes, 3, 101, &size), 0);
    ck_assert_uint_eq(size, 3);
    ck_assert_mem_eq(bytes, "bcd", 3);
    ck_assert_int_eq(kfl__file_sync(fd), 0);
    ck_assert_int_eq(kfl__file_sync_directory(dir), 0);
    kfl__file_close(fd);
}
END_TEST

START_TEST(reading_stops_at_the_end_of_the_file)
{
    int fd = create("f");
    char bytes[8];
    size_t size;
    ck_assert_int_eq(kfl__file_write_at(fd, "abcdef", 6, 0), 0);
    ck_assert_int_eq(kfl__file_read_at(fd, bytes, 8, 4, &size), 0);
    ck_assert_uint_eq(size, 2);
    ck_assert_int_eq(kfl__file_read_at(fd, bytes, 8, 6, &size), 0);
    ck_assert_uint_eq(size, 0);
    ck_assert_int_eq(kfl__file_read_at(fd, bytes, 8, 1000000, &size), 0);
    ck_assert_uint_eq(size, 0);
    kfl__file_close(fd);
}
END_TEST

static void expect_reserved(int fd)
{
    struct stat status;
    unsigned char bytes[4096];
    size_t size;
    ck_assert_int_eq(fstat(fd, &status), 0);
    ck_assert_int_eq(status.st_size, 300000);
    ck_assert_int_ge(status.st_blocks * 512, 300000);
    for (int64_t place = 4; place < 300000; place += (int64_t)size) {
        ck_assert_int_eq(kfl__file_read_at(fd, bytes, sizeof bytes, place, &size), 0);
        for (size_t i = 0; i < size; i++)
            ck_assert_int_eq(bytes[i], 0);
    }
    ck_assert_int_eq(kfl__file_read_at(fd, bytes, 4, 0, &size), 0);
    ck_assert_mem_eq(bytes, "abcd", 4);
}

START_TEST(reserved_room_has_blocks_reads_zero_and_keeps_what_was_there)
{
    int fd = create("f");
    ck_assert_int_eq(kfl__file_write_at(fd, "abcd", 4, 0), 0);
    ck_assert_int_eq(kfl__file_reserve(fd, 0, 300000), 0);
    expect_reserved(fd);
    kfl__file_close(fd);
}
END_TEST

START_TEST(punched_room_reads_zero_and_the_size_stays)
{
    int fd = create("f");
    unsigned char bytes[16];
    size_t size;
    int64_t file_size;
    memset(bytes, 7, sizeof bytes);
    for (int64_t place = 0; place < 65536; place += (int64_t)sizeof bytes)
        ck_assert_int_eq(kfl__file_write_at(fd, bytes, sizeof bytes, place), 0);
    ck_assert_int_eq(kfl__file_punch(fd, 4096, 65536 - 4096), 0);
    ck_assert_int_eq(kfl__file_size(fd, &file_size), 0);
    ck_assert_int_eq(file_size, 65536);
    ck_assert_int_eq(kfl__file_read_at(fd, bytes, sizeof bytes, 65520, &size), 0);
    ck_assert_int_eq(bytes[15], 0);
    ck_assert_int_eq(kfl__file_read_at(fd, bytes, sizeof bytes, 0, &size), 0);
    ck_assert_int_eq(bytes[15], 7);
    kfl__file_close(fd);
}
END_TEST

static int write_beyond_a_limit(void *context)
{
    int fd = *(int *)context;
    static char bytes[20000];
    struct rlimit limit = {10000, 10000};
    signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
        return CHILD_CANNOT_TRY;
    int64_t size = 0;
    if (kfl__file_write_at(fd, bytes, sizeof bytes, 0) != KFL_E_IO ||
        kfl_last_error_errno() != EFBIG)
        return 1;
    /* The system wrote a part and was asked again for the rest. */
    return kfl__file_size(fd, &size) == 0 && size == 10000 ? 0 : 2;
}

START_TEST(a_write_that_stops_half_way_is_taken_up_again)
{
    int fd = create("f");
    ck_assert_int_eq(child_run(write_beyond_a_limit, &fd), 0);
    kfl__file_close(fd);
}
END_TEST

static int fill_a_small_disk(void *context)
{
    (void)context;
    static char bytes[300000];
    if (unshare(CLONE_NEWNS) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
        return CHILD_CANNOT_TRY;
    if (mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", temp_dir_path(), "tmpfs", 0, "size=256k") < 0)
        return CHILD_CANNOT_TRY;
    int fd;
    if (kfl__file_create(-1, temp_dir_file("f"), 0600, &fd) != 0)
        return 1;
    if (kfl__file_reserve(fd, 0, 1000000) != KFL_E_NO_SPACE || kfl_last_error_errno() != ENOSPC)
        return 2;
    return kfl__file_write_at(fd, bytes, sizeof bytes, 0) == KFL_E_NO_SPACE ? 0 : 3;
}

START_TEST(a_full_disk_is_an_answer)
{
    int end = child_run(fill_a_small_disk, NULL);
    ck_assert(end == 0 || end == CHILD_CANNOT_TRY);
}
END_TEST

/* --- names ------------------------------------------------------------------------------------- */

static int count_names(const char *name, void *context)
{
    int *counts = context;
    ck_assert_int_eq(name[1], '\0');
    counts[name[0] - 'a']++;
    return 0;
}

START_TEST(a_list_visits_each_name_once_and_can_be_repeated)
{
    kfl__file_close(create("a"));
    kfl__file_close(create("b"));
    ck_assert_int_eq(kfl__file_make_directory(dir, "c", 0700), 0);
    int counts[26] = {0};
    ck_assert_int_eq(kfl__file_list(dir, count_names, counts), 0);
    ck_assert_int_eq(kfl__file_list(dir, count_names, counts), 0);
    ck_assert_int_eq(counts[0], 2);
    ck_assert_int_eq(counts[1], 2);
    ck_assert_int_eq(counts[2], 2);
    int file = create("d");
    ck_assert_int_lt(kfl__file_list(file, count_names, counts), 0);
    kfl__file_close(file);
}
END_TEST

static int stop_at_second(const char *name, void *context)
{
    (void)name;
    int *visits = context;
    return ++*visits == 2 ? KFL_E_ABORTED : 0;
}

START_TEST(a_visit_that_fails_stops_the_list)
{
    kfl__file_close(create("a"));
    kfl__file_close(create("b"));
    kfl__file_close(create("c"));
    int visits = 0;
    ck_assert_int_eq(kfl__file_list(dir, stop_at_second, &visits), KFL_E_ABORTED);
    ck_assert_int_eq(visits, 2);
}
END_TEST

START_TEST(a_file_without_a_name_can_be_told)
{
    int fd = create("f");
    ck_assert(kfl__file_has_name(fd));
    ck_assert_int_eq(kfl__file_unlink(dir, "f"), 0);
    ck_assert(!kfl__file_has_name(fd));
    kfl__file_close(fd);
    ck_assert(!kfl__file_has_name(fd));
}
END_TEST

START_TEST(only_an_empty_directory_is_removed)
{
    ck_assert_int_eq(kfl__file_make_directory(dir, "d", 0700), 0);
    int inner, fd;
    ck_assert_int_eq(kfl__file_open_directory(dir, "d", &inner), 0);
    ck_assert_int_eq(kfl__file_create(inner, "f", 0600, &fd), 0);
    kfl__file_close(fd);
    ck_assert_int_eq(kfl__file_remove_directory(dir, "d"), KFL_E_IO);
    ck_assert_int_eq(kfl__file_unlink(inner, "f"), 0);
    ck_assert_int_eq(kfl__file_remove_directory(dir, "d"), 0);
    kfl__file_close(inner);
}
END_TEST

START_TEST(one_file_has_one_identity)
{
    struct kfl__file_identity first, same, other;
    int fd = create("f"), again, second = create("g");
    ck_assert_int_eq(kfl__file_open(dir, "f", false, &again), 0);
    ck_assert_int_eq(kfl__file_identity(fd, &first), 0);
    ck_assert_int_eq(kfl__file_identity(again, &same), 0);
    ck_assert_int_eq(kfl__file_identity(second, &other), 0);
    struct stat status;
    ck_assert_int_eq(fstat(fd, &status), 0);
    ck_assert_uint_eq(first.device, status.st_dev);
    ck_assert_uint_eq(first.inode, status.st_ino);
    ck_assert_mem_eq(&first, &same, sizeof first);
    ck_assert_uint_ne(first.inode, other.inode);
    ck_assert_uint_eq(first.mount, other.mount);
    kfl__file_close(fd);
    kfl__file_close(again);
    kfl__file_close(second);
}
END_TEST

START_TEST(a_small_text_is_read_whole_cut_or_missing)
{
    char text[64], small[5];
    int fd = create("t");
    ck_assert_int_eq(kfl__file_write_at(fd, "0123456789", 10, 0), 0);
    kfl__file_close(fd);
    ck_assert_int_eq(kfl__file_read_text(temp_dir_file("t"), text, sizeof text), 0);
    ck_assert_str_eq(text, "0123456789");
    ck_assert_int_eq(kfl__file_read_text(temp_dir_file("t"), small, sizeof small), 0);
    ck_assert_str_eq(small, "0123");
    ck_assert_int_eq(kfl__file_read_text(temp_dir_file("none"), text, sizeof text),
                     KFL_FILE_MISSING);
    ck_assert_int_lt(kfl__file_read_text(temp_dir_path(), text, sizeof text), 0);
    ck_assert_int_eq(kfl__file_read_text("/proc/sys/kernel/random/boot_id", text, sizeof text), 0);
    ck_assert_uint_eq(strlen(text), 37);
}
END_TEST

#ifdef KFL_FAULT_POINTS

static int visit_nothing(const char *name, void *context)
{
    (void)name;
    (void)context;
    return 0;
}

/* The `index`-th function with its point armed; its name, or NULL behind the last. */
static const char *pass_point(int index, int fd, int *out_result)
{
    int opened = -1;
    bool locked;
    char bytes[8];
    size_t size;
    int64_t file_size;
    struct kfl__file_identity identity;
#define POINT(number, point, call)                                                                 \
    case number:                                                                                   \
        kfl__fault_arm("file." point "=EIO");                                                      \
        *out_result = call;                                                                        \
        return point;
    switch (index) {
        POINT(0, "open_directory", kfl__file_open_directory(dir, "d", &opened))
        POINT(1, "make_directory", kfl__file_make_directory(dir, "new", 0700))
        POINT(2, "create", kfl__file_create(dir, "new", 0600, &opened))
        POINT(3, "open", kfl__file_open(dir, "f", true, &opened))
        POINT(4, "size", kfl__file_size(fd, &file_size))
        POINT(5, "reserve", kfl__file_reserve(fd, 0, 1))
        POINT(6, "punch", kfl__file_punch(fd, 0, 1))
        POINT(7, "write_at", kfl__file_write_at(fd, "x", 1, 0))
        POINT(8, "read_at", kfl__file_read_at(fd, bytes, 1, 0, &size))
        POINT(9, "sync", kfl__file_sync(fd))
        POINT(10, "sync_directory", kfl__file_sync_directory(dir))
        POINT(11, "unlink", kfl__file_unlink(dir, "f"))
        POINT(12, "remove_directory", kfl__file_remove_directory(dir, "d"))
        POINT(13, "list", kfl__file_list(dir, visit_nothing, NULL))
        POINT(14, "lock", kfl__file_lock(fd, 0, 1, false))
        POINT(15, "lock", kfl__file_lock_shared(fd, 0, 1, false))
        POINT(16, "unlock", kfl__file_unlock(fd, 0, 1))
        POINT(17, "is_locked", kfl__file_is_locked(fd, 0, 1, &locked))
        POINT(18, "identity", kfl__file_identity(fd, &identity))
        POINT(19, "read_text", kfl__file_read_text(temp_dir_file("f"), bytes, sizeof bytes))
    default:
        return NULL;
    }
#undef POINT
}

START_TEST(each_call_fails_at_the_point_named_after_it)
{
    int fd = create("f"), r = 0;
    ck_assert_int_eq(kfl__file_make_directory(dir, "d", 0700), 0);
    const char *point;
    for (int index = 0; (point = pass_point(index, fd, &r)) != NULL; index++) {
        ck_assert_msg(r == KFL_E_IO, "%s answered %d", point, r);
        ck_assert_int_eq(kfl_last_error_errno(), EIO);
        ck_assert_str_ne(kfl_last_error_path(), "");
    }
    kfl__fault_arm("file.has_name=EIO");
    ck_assert(!kfl__file_has_name(fd));
    ck_assert(kfl__file_has_name(fd));
    kfl__file_close(fd);
}
END_TEST

START_TEST(where_room_cannot_be_reserved_it_is_written)
{
    int fd = create("f");
    ck_assert_int_eq(kfl__file_write_at(fd, "abcd", 4, 0), 0);
    kfl__fault_arm("file.reserve=EOPNOTSUPP");
    ck_assert_int_eq(kfl__file_reserve(fd, 0, 300000), 0);
    expect_reserved(fd);
    kfl__fault_arm("file.punch=EOPNOTSUPP");
    ck_assert_int_eq(kfl__file_punch(fd, 0, 4096), 0);
    expect_reserved(fd);
    kfl__file_close(fd);
}
END_TEST

#endif

static void add_case(Suite *suite, const char *name, const TTest *const *tests, size_t count)
{
    TCase *tests_of_one_kind = tcase_create(name);
    tcase_add_checked_fixture(tests_of_one_kind, make_directory, remove_directory);
    for (size_t i = 0; i < count; i++)
        tcase_add_test(tests_of_one_kind, tests[i]);
    suite_add_tcase(suite, tests_of_one_kind);
}
#define ADD_CASE(suite, name, ...)                                                                 \
    do {                                                                                           \
        const TTest *const tests[] = {__VA_ARGS__};                                                \
        add_case(suite, name, tests, sizeof tests / sizeof tests[0]);                              \
    } while (0)

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("file");
    ADD_CASE(suite, "bytes", bytes_come_back_from_where_they_were_written,
             reading_stops_at_the_end_of_the_file,
             reserved_room_has_blocks_reads_zero_and_keeps_what_was_there,
             punched_room_reads_zero_and_the_size_stays,
             a_write_that_stops_half_way_is_taken_up_again, a_full_disk_is_an_answer);
    ADD_CASE(suite, "names", a_list_visits_each_name_once_and_can_be_repeated,
             a_visit_that_fails_stops_the_list, a_file_without_a_name_can_be_told,
             only_an_empty_directory_is_removed, one_file_has_one_identity,
             a_small_text_is_read_whole_cut_or_missing);
#ifdef KFL_FAULT_POINTS
    ADD_CASE(suite, "faults", each_call_fails_at_the_point_named_after_it,
             where_room_cannot_be_reserved_it_is_written);
#endif
    return suite;
}
