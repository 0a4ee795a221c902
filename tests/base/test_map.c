/* SPDX-License-Identifier: MIT */
#include "base/map.h"

#include <check.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fault.h"
#include "base/file.h"
#include "child.h"
#include "suite.h"
#include "temp_dir.h"

static int fd = -1;
static size_t page;

static void make_file(void)
{
    page = kfl__map_page_size();
    temp_dir_make();
    ck_assert_int_eq(kfl__file_create(-1, temp_dir_file("f"), 0600, &fd), 0);
    ck_assert_int_eq(kfl__file_reserve(fd, 0, (int64_t)(4 * page)), 0);
}

static void remove_file(void)
{
    kfl__file_close(fd);
    temp_dir_remove();
}

START_TEST(what_is_stored_through_a_map_is_in_the_file)
{
    char *bytes;
    ck_assert_int_eq(kfl__map_open(fd, 0, 4 * page, true, (void **)&bytes), 0);
    memcpy(bytes + page - 2, "abcd", 4);
    char read[4];
    size_t size;
    ck_assert_int_eq(kfl__file_read_at(fd, read, 4, (int64_t)page - 2, &size), 0);
    ck_assert_mem_eq(read, "abcd", 4);
    kfl__map_close(bytes, 4 * page);
    kfl__map_close(NULL, 1);
}
END_TEST

START_TEST(what_is_written_to_the_file_is_in_the_map)
{
    char *bytes;
    ck_assert_int_eq(kfl__map_open(fd, (int64_t)page, page, false, (void **)&bytes), 0);
    ck_assert_int_eq(kfl__file_write_at(fd, "abcd", 4, (int64_t)page + 8), 0);
    ck_assert_mem_eq(bytes + 8, "abcd", 4);
    kfl__map_close(bytes, page);
}
END_TEST

START_TEST(a_map_outlives_name_and_descriptor)
{
    char *bytes;
    ck_assert_int_eq(kfl__file_write_at(fd, "abcd", 4, 0), 0);
    ck_assert_int_eq(kfl__map_open(fd, 0, page, false, (void **)&bytes), 0);
    kfl__file_close(fd);
    fd = -1;
    ck_assert_int_eq(kfl__file_unlink(-1, temp_dir_file("f")), 0);
    ck_assert_mem_eq(bytes, "abcd", 4);
    kfl__map_close(bytes, page);
}
END_TEST

static int store_into(void *bytes)
{
    *(volatile char *)bytes = 1;
    return 0;
}

START_TEST(a_map_to_read_cannot_be_stored_into)
{
    void *bytes;
    ck_assert_int_eq(kfl__map_open(fd, 0, page, false, &bytes), 0);
    ck_assert_int_ne(child_run_quietly(store_into, bytes), 0);
    ck_assert_int_eq(*(char *)bytes, 0);
    kfl__map_close(bytes, page);
}
END_TEST

START_TEST(a_file_that_is_not_writable_is_told_by_name)
{
    int readable;
    void *bytes;
    ck_assert_int_eq(kfl__file_open(-1, temp_dir_file("f"), false, &readable), 0);
    ck_assert_int_eq(kfl__map_open(readable, 0, page, true, &bytes), KFL_E_READ_ONLY);
    ck_assert_ptr_nonnull(strstr(kfl_last_error(), temp_dir_file("f")));
    ck_assert_str_eq(kfl_last_error_path(), temp_dir_file("f"));
    kfl__file_close(readable);
}
END_TEST

START_TEST(a_map_that_is_too_large_is_refused)
{
    void *bytes;
    if (getenv("KFL_TESTS_VALGRIND") != NULL)
        return; /* which answers EINVAL to what is too large for itself */
    /* More than there are addresses. */
    ck_assert_int_eq(kfl__map_open(fd, 0, SIZE_MAX / 2 / page * page, false, &bytes), KFL_E_NOMEM);
    ck_assert_ptr_nonnull(strstr(kfl_last_error(), "vm.max_map_count"));
}
END_TEST

START_TEST(populated_pages_hold_what_the_file_holds)
{
    char *bytes;
    ck_assert_int_eq(kfl__file_write_at(fd, "abcd", 4, (int64_t)page), 0);
    ck_assert_int_eq(kfl__map_open(fd, 0, 4 * page, true, (void **)&bytes), 0);
    ck_assert_int_eq(kfl__map_populate_read(bytes + page + 3, 1), 0);
    ck_assert_int_eq(kfl__map_populate_write(bytes + 1, 4 * page - 1), 0);
    kfl__map_expect_sequential(bytes, 4 * page);
    ck_assert_mem_eq(bytes + page, "abcd", 4);
    kfl__map_close(bytes, 4 * page);
}
END_TEST

/* Touching such a page would be the end of the process. rule:R26 */
START_TEST(a_page_that_cannot_be_read_is_an_answer_and_no_signal)
{
    char *bytes;
    ck_assert_int_eq(kfl__map_open(fd, 0, 4 * page, true, (void **)&bytes), 0);
    ck_assert_int_eq(ftruncate(fd, (off_t)page + 10), 0);
    ck_assert_int_eq(kfl__map_populate_read(bytes, 2 * page), 0);
    ck_assert_int_eq(kfl__map_populate_read(bytes + 2 * page - 1, 2), KFL_MAP_BAD);
    ck_assert_int_eq(kfl__map_populate_read(bytes, 4 * page), KFL_MAP_BAD);
    ck_assert_int_eq(kfl__map_populate_write(bytes + 2 * page, 1), KFL_MAP_BAD);
    kfl__map_close(bytes, 4 * page);
}
END_TEST

static int page_is_zero(void *context)
{
    return *(char *)context == 0 ? 0 : 1;
}

START_TEST(a_child_sees_the_fork_page_empty)
{
    void *noticed;
    ck_assert_int_eq(kfl__map_fork_page(&noticed), 0);
    ck_assert_int_eq(page_is_zero(noticed), 0);
    *(char *)noticed = 1;
    ck_assert_int_eq(child_run(page_is_zero, noticed), 0);
    ck_assert_int_eq(*(char *)noticed, 1);
    kfl__map_close(noticed, page);
}
END_TEST

#ifdef KFL_FAULT_POINTS
START_TEST(faults_of_maps_are_answers)
{
    void *bytes;
    ck_assert_int_eq(kfl__fault_arm("map.open=ENOMEM"), 0);
    ck_assert_int_eq(kfl__map_open(fd, 0, page, false, &bytes), KFL_E_NOMEM);
    ck_assert_int_eq(kfl__map_open(fd, 0, page, false, &bytes), 0);
    kfl__fault_arm(
        "map.populate:1=EHWPOISON,map.populate:2=EFAULT,map.populate:3=EINVAL,map.populate:4=ENOMEM");
    ck_assert_int_eq(kfl__map_populate_read(bytes, page), KFL_MAP_BAD);
    ck_assert_int_eq(kfl__map_populate_read(bytes, page), KFL_MAP_BAD);
    ck_assert_int_eq(kfl__map_populate_read(bytes, page), 0);
    ck_assert_int_eq(kfl__map_populate_read(bytes, page), KFL_E_NOMEM);
    kfl__fault_arm(NULL);
    kfl__map_close(bytes, page);
}
END_TEST
#endif

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("map");
    TCase *map = tcase_create("map");
    tcase_add_checked_fixture(map, make_file, remove_file);
    tcase_add_test(map, what_is_stored_through_a_map_is_in_the_file);
    tcase_add_test(map, what_is_written_to_the_file_is_in_the_map);
    tcase_add_test(map, a_map_outlives_name_and_descriptor);
    tcase_add_test(map, a_map_to_read_cannot_be_stored_into);
    tcase_add_test(map, a_file_that_is_not_writable_is_told_by_name);
    tcase_add_test(map, a_map_that_is_too_large_is_refused);
    tcase_add_test(map, populated_pages_hold_what_the_file_holds);
    tcase_add_test(map, a_page_that_cannot_be_read_is_an_answer_and_no_signal);
    tcase_add_test(map, a_child_sees_the_fork_page_empty);
#ifdef KFL_FAULT_POINTS
    tcase_add_test(map, faults_of_maps_are_answers);
#endif
    suite_add_tcase(suite, map);
    return suite;
}
