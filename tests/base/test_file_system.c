/* SPDX-License-Identifier: MIT */
#include "base/file_system.h"

#include <check.h>
#include <errno.h>
#include <sched.h>
#include <sys/mount.h>

#include "base/error.h"
#include "base/fault.h"
#include "base/file.h"
#include "child.h"
#include "suite.h"
#include "temp_dir.h"

static int kind_of(const char *path, enum kfl__file_system *out_kind)
{
    int fd;
    int r = kfl__file_open_directory(-1, path, &fd);
    if (r != 0)
        return r;
    r = kfl__file_system_kind(fd, out_kind);
    kfl__file_close(fd);
    return r;
}

/* Mounts in a mount namespace of the child's own. The exit status is the kind. */
static int mount_and_look(void *context)
{
    const char *const *mounted = context; /* type, options */
    if (unshare(CLONE_NEWNS) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
        return CHILD_CANNOT_TRY;
    if (mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", temp_dir_path(), mounted[0], 0, mounted[1]) < 0)
        return CHILD_CANNOT_TRY;
    enum kfl__file_system kind;
    int r = kind_of(temp_dir_path(), &kind);
    return r == 0 ? (int)kind : 100;
}

START_TEST(what_keeps_its_blocks_is_plain)
{
    const char *mounted[] = {"tmpfs", ""};
    int end = child_run(mount_and_look, mounted);
    ck_assert(end == KFL_FILE_SYSTEM_PLAIN || end == CHILD_CANNOT_TRY);
}
END_TEST

/* rule:R25 */
START_TEST(an_overlay_copies_on_write)
{
    const char *mounted[] = {"overlay", "lowerdir=/usr:/etc"};
    int end = child_run(mount_and_look, mounted);
    ck_assert(end == KFL_FILE_SYSTEM_COPY_ON_WRITE || end == CHILD_CANNOT_TRY);
}
END_TEST

START_TEST(what_is_not_known_is_taken_for_copying_on_write)
{
    enum kfl__file_system kind;
    ck_assert_int_eq(kind_of("/proc", &kind), 0);
    ck_assert_int_eq(kind, KFL_FILE_SYSTEM_COPY_ON_WRITE);
}
END_TEST

START_TEST(a_bad_descriptor_is_an_error)
{
    enum kfl__file_system kind;
    ck_assert_int_eq(kfl__file_system_kind(9999, &kind), KFL_E_IO);
}
END_TEST

#ifdef KFL_FAULT_POINTS
START_TEST(a_test_can_pretend_another_file_system)
{
    enum kfl__file_system kind;
    kfl__fault_arm("file.system:1=EXDEV,file.system:2=EREMOTE,file.system:3=EIO");
    ck_assert_int_eq(kind_of("/", &kind), 0);
    ck_assert_int_eq(kind, KFL_FILE_SYSTEM_COPY_ON_WRITE);
    ck_assert_int_eq(kind_of("/", &kind), 0);
    ck_assert_int_eq(kind, KFL_FILE_SYSTEM_REMOTE);
    ck_assert_int_eq(kind_of("/", &kind), KFL_E_IO);
    kfl__fault_arm(NULL);
}
END_TEST
#endif

static void make_directory(void)
{
    temp_dir_make_on_disk();
}

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("file_system");
    TCase *kinds = tcase_create("kinds");
    tcase_add_checked_fixture(kinds, make_directory, temp_dir_remove);
    tcase_add_test(kinds, what_keeps_its_blocks_is_plain);
    tcase_add_test(kinds, an_overlay_copies_on_write);
    tcase_add_test(kinds, what_is_not_known_is_taken_for_copying_on_write);
    tcase_add_test(kinds, a_bad_descriptor_is_an_error);
#ifdef KFL_FAULT_POINTS
    tcase_add_test(kinds, a_test_can_pretend_another_file_system);
#endif
    suite_add_tcase(suite, kinds);
    return suite;
}
