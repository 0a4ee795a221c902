/* SPDX-License-Identifier: MIT */
#include "temp_dir.h"

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char current[512];

const char *temp_dir_make(void)
{
    const char *base = getenv("TMPDIR");
    snprintf(current, sizeof current, "%s/kafkalite-test-XXXXXX", base != NULL && base[0] != '\0' ? base : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(current));
    return current;
}

const char *temp_dir_path(void)
{
    return current;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

void temp_dir_remove(void)
{
    if (current[0] != '\0')
        nftw(current, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    current[0] = '\0';
}

const char *temp_dir_file(const char *name)
{
    static char paths[8][1024];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", current, name);
    return path;
}
