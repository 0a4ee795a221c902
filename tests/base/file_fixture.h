/* SPDX-License-Identifier: MIT */
/* A folder that is open, for the tests of base/file. */
#ifndef KFL_TESTS_BASE_FILE_FIXTURE_H
#define KFL_TESTS_BASE_FILE_FIXTURE_H

#include <check.h>

#include "base/file.h"
#include "temp_dir.h"

static int dir = -1;

static inline void make_directory(void)
{
    temp_dir_make();
    ck_assert_int_eq(kfl__file_open_directory(-1, temp_dir_path(), &dir), 0);
}

static inline void remove_directory(void)
{
    kfl__file_close(dir);
    temp_dir_remove();
}

static inline int create(const char *name)
{
    int fd = -1;
    ck_assert_int_eq(kfl__file_create(dir, name, 0600, &fd), 0);
    return fd;
}

#endif
