/* SPDX-License-Identifier: MIT */
/* What base/file opens and makes, and what it refuses to. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"
#include "file_fixture.h"
#include "suite.h"

START_TEST(a_file_is_created_once)
{
    int fd = create("f"), again = -7;
    ck_assert_int_eq(kfl__file_create(dir, "f", 0600, &again), KFL_FILE_EXISTS);
    ck_assert_int_eq(again, -7);
    struct stat status;
    ck_assert_int_eq(fstat(fd, &status), 0);
    ck_assert_uint_eq(status.st_mode & 0777, 0600);
    ck_assert_int_ne(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
    kfl__file_close(fd);
    kfl__file_close(-1);
}
END_TEST

START_TEST(what_is_not_there_is_missing_and_no_failure)
{
    int fd = -7;
    kfl__fail(KFL_E_BUSY, "said before");
    ck_assert_int_eq(kfl__file_open(dir, "f", false, &fd), KFL_FILE_MISSING);
    ck_assert_int_eq(kfl__file_open_directory(dir, "d", &fd), KFL_FILE_MISSING);
    ck_assert_int_eq(kfl__file_unlink(dir, "f"), KFL_FILE_MISSING);
    ck_assert_int_eq(kfl__file_remove_directory(dir, "d"), KFL_FILE_MISSING);
    ck_assert_int_eq(fd, -7);
    ck_assert_str_eq(kfl_last_error(), "said before");
}
END_TEST

static void expect_no_file(const char *name)
{
    int fd = -7;
    for (int writable = 0; writable <= 1; writable++) {
        ck_assert_int_eq(kfl__file_open(dir, name, writable != 0, &fd), KFL_E_CORRUPT);
        ck_assert_int_eq(fd, -7);
        ck_assert_str_eq(kfl_last_error_path(), temp_dir_file(name));
    }
}

/* A pipe must not hang the open, and a link must not lead out of the store. */
START_TEST(only_a_plain_file_is_opened_as_one)
{
    ck_assert_int_eq(mkfifoat(dir, "pipe", 0600), 0);
    expect_no_file("pipe");
    ck_assert_int_eq(symlinkat("/etc/passwd", dir, "link"), 0);
    expect_no_file("link");
    ck_assert_int_eq(symlinkat("nowhere", dir, "dangling"), 0);
    expect_no_file("dangling");
    ck_assert_int_eq(kfl__file_make_directory(dir, "folder", 0700), 0);
    expect_no_file("folder");

    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", temp_dir_file("socket"));
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    expect_no_file("socket");
    close(listener);
}
END_TEST

START_TEST(a_dangling_link_is_not_created_through)
{
    int fd;
    ck_assert_int_eq(symlinkat(temp_dir_file("target"), dir, "link"), 0);
    ck_assert_int_eq(kfl__file_create(dir, "link", 0600, &fd), KFL_FILE_EXISTS);
    ck_assert_int_eq(access(temp_dir_file("target"), F_OK), -1);
}
END_TEST

START_TEST(links_are_followed_to_the_store_but_not_below_it)
{
    ck_assert_int_eq(kfl__file_make_directory(dir, "store", 0700), 0);
    ck_assert_int_eq(kfl__file_make_directory(dir, "store", 0700), KFL_FILE_EXISTS);
    ck_assert_int_eq(symlinkat("store", dir, "link"), 0);
    int fd = -7;
    ck_assert_int_eq(kfl__file_open_directory(dir, "link", &fd), KFL_E_CORRUPT);
    ck_assert_int_eq(kfl__file_open_directory(-1, temp_dir_file("link"), &fd), 0);
    kfl__file_close(fd);
}
END_TEST

START_TEST(a_file_is_no_directory)
{
    int fd = -7;
    kfl__file_close(create("f"));
    ck_assert_int_eq(kfl__file_open_directory(dir, "f", &fd), KFL_E_CORRUPT);
    ck_assert_int_eq(kfl__file_open_directory(-1, temp_dir_file("f"), &fd), KFL_E_INVALID);
    ck_assert_ptr_nonnull(strstr(kfl_last_error(), "is not a directory"));
}
END_TEST

START_TEST(a_failure_names_operation_path_and_reason)
{
    int fd = create("f");
    int64_t size;
    ck_assert_int_eq(kfl__file_write_at(fd, "x", 1, 0), 0);
    kfl__file_close(fd);
    ck_assert_int_eq(kfl__file_open(dir, "f", false, &fd), 0);
    ck_assert_int_lt(kfl__file_write_at(fd, "x", 1, 0), 0);
    char expected[1200];
    snprintf(expected, sizeof expected, "cannot write %s: Bad file descriptor", temp_dir_file("f"));
    ck_assert_str_eq(kfl_last_error(), expected);
    ck_assert_str_eq(kfl_last_error_path(), temp_dir_file("f"));
    ck_assert_int_eq(kfl_last_error_errno(), EBADF);
    kfl__file_close(fd);

    ck_assert_int_eq(kfl__file_size(9999, &size), KFL_E_IO);
    ck_assert_str_eq(kfl_last_error(), "cannot look at a file: Bad file descriptor");
    ck_assert_int_eq(kfl__file_make_directory(dir, "a/b", 0700), KFL_E_NOT_FOUND);
    ck_assert_str_eq(kfl_last_error_path(), temp_dir_file("a/b"));
}
END_TEST

START_TEST(a_path_is_made_absolute_without_looking_at_it)
{
    char *path, here[4096], expected[4200];
    ck_assert_int_eq(kfl__file_absolute("/no/such", &path), 0);
    ck_assert_str_eq(path, "/no/such");
    kfl__free(path);
    ck_assert_ptr_nonnull(getcwd(here, sizeof here));
    snprintf(expected, sizeof expected, "%s/no/../such", here);
    ck_assert_int_eq(kfl__file_absolute("no/../such", &path), 0);
    ck_assert_str_eq(path, expected);
    kfl__free(path);
}
END_TEST

START_TEST(a_temporary_folder_is_new_and_private)
{
    char first[1100], second[1100];
    snprintf(first, sizeof first, "%s", temp_dir_file("t-XXXXXX"));
    snprintf(second, sizeof second, "%s", temp_dir_file("t-XXXXXX"));
    ck_assert_int_eq(kfl__file_make_temporary(first), 0);
    ck_assert_int_eq(kfl__file_make_temporary(second), 0);
    ck_assert_str_ne(first, second);
    struct stat status;
    ck_assert_int_eq(stat(first, &status), 0);
    ck_assert_uint_eq(status.st_mode & 0777, 0700);
    snprintf(first, sizeof first, "%s", temp_dir_file("none/t-XXXXXX"));
    ck_assert_int_eq(kfl__file_make_temporary(first), KFL_E_NOT_FOUND);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("file_open");
    TCase *opening = tcase_create("opening");
    tcase_add_checked_fixture(opening, make_directory, remove_directory);
    tcase_add_test(opening, a_file_is_created_once);
    tcase_add_test(opening, what_is_not_there_is_missing_and_no_failure);
    tcase_add_test(opening, only_a_plain_file_is_opened_as_one);
    tcase_add_test(opening, a_dangling_link_is_not_created_through);
    tcase_add_test(opening, links_are_followed_to_the_store_but_not_below_it);
    tcase_add_test(opening, a_file_is_no_directory);
    tcase_add_test(opening, a_failure_names_operation_path_and_reason);
    tcase_add_test(opening, a_path_is_made_absolute_without_looking_at_it);
    tcase_add_test(opening, a_temporary_folder_is_new_and_private);
    suite_add_tcase(suite, opening);
    return suite;
}
