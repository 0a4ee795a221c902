/* SPDX-License-Identifier: MIT */
#include "temp_dir.h"

#include <check.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static char current[512];

#define MEMORY "/dev/shm"
/* Several tests run at a time, and a container may have 64 MiB. */
#define MEMORY_ROOM (UINT64_C(1) << 30)

static const char *make_below(const char *usual)
{
    const char *base = getenv("TMPDIR");
    snprintf(current, sizeof current, "%s/kafkalite-test-XXXXXX",
             base != NULL && base[0] != '\0' ? base : usual);
    ck_assert_ptr_nonnull(mkdtemp(current));
    return current;
}

static bool memory_has_room(void)
{
    struct statvfs told;
    return access(MEMORY, W_OK) == 0 && statvfs(MEMORY, &told) == 0 &&
           (uint64_t)told.f_bavail * told.f_frsize >= MEMORY_ROOM;
}

const char *temp_dir_make(void)
{
    return make_below(memory_has_room() ? MEMORY : "/tmp");
}

const char *temp_dir_make_on_disk(void)
{
    return make_below("/var/tmp");
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
