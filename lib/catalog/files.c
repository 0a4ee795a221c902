/* SPDX-License-Identifier: MIT */
/*
 * The catalog's files before LMDB has them: is there one, may it be trusted, make a new one.
 *
 * A creator that dies leaves a file that no transaction was ever committed to. It is made anew.
 */
#include "catalog/files.h"

#include <stddef.h>

#include "base/error.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/file_system.h"
#include "catalog/check.h"
#include "catalog/environment.h"

#define LOCK_SUFFIX "-lock"  /* LMDB's choice */
#define LOCK_SIZE ((KFL_READERS_MAX - 1) * 64 + 192)
#define LEAST_FILE_SIZE 8192 /* LMDB's two meta pages */

/*
 * LMDB stores into its lock file through a map: each page must be there before, or a full disk would
 * be a signal (R25). The size is LMDB's own for so many readers; with it there, LMDB lets it be.
 */
static int make_lock(int directory, uint32_t file_mode)
{
    int fd = -1;
    int r = kfl__file_create(directory, KFL_CATALOG_FILE LOCK_SUFFIX, file_mode, &fd);
    if (r != 0)
        return r < 0 ? r : 0;
    kfl__file_system_write_in_place(fd);
    r = kfl__file_reserve(fd, 0, LOCK_SIZE);
    kfl__file_close(fd);
    if (r < 0) {
        struct kfl__words words;
        kfl__error_save(&words);
        (void)kfl__file_unlink(directory, KFL_CATALOG_FILE LOCK_SUFFIX);
        kfl__error_restore(&words);
    }
    return r;
}

/* Before LMDB opens it: a file that was lost is made anew, since LMDB would make it of holes. */
int kfl__catalog_files_create(int directory, bool is_new, uint32_t file_mode)
{
    int fd = -1;
    int r = make_lock(directory, file_mode);
    if (r < 0 || !is_new)
        return r;
    /* Empty, so that it has the mode and the rules of all our files; LMDB fills it. */
    r = kfl__file_create(directory, KFL_CATALOG_FILE, file_mode, &fd);
    if (r < 0)
        return r;
    if (r == 0)
        kfl__file_close(fd);
    KFL_STEP("catalog.created");
    return 0;
}

/* LMDB opens it by its path and would follow a link to wherever it leads. */
static int check_lock(int directory)
{
    int fd = -1;
    int r = kfl__file_open(directory, KFL_CATALOG_FILE LOCK_SUFFIX, false, &fd);
    if (r == 0)
        kfl__file_close(fd);
    return r == KFL_E_CORRUPT ? r : 0;
}

int kfl__catalog_files_find(int directory, const char *path,
                            const struct kfl__catalog_options *options, bool *out_new)
{
    bool may_create = options->create && !options->read_only;
    int fd;
    int r = check_lock(directory);
    if (r == 0)
        r = kfl__file_open(directory, KFL_CATALOG_FILE, false, &fd);
    if (r < 0)
        return r;
    bool missing = r == KFL_FILE_MISSING;
    if (!missing) {
        int64_t size = 0;
        r = options->check ? kfl__catalog_check(fd, path) : kfl__file_size(fd, &size);
        kfl__file_close(fd);
        if (r < 0)
            return r;
        if (!options->check && size > 0 && size < LEAST_FILE_SIZE)
            return kfl__fail(KFL_E_CORRUPT, "catalog %s: cut short" KFL_CATALOG_REMEDY, path);
        missing = options->check ? r == KFL_CHECK_UNFINISHED : size == 0;
        if (missing && may_create && options->check) {
            r = kfl__file_unlink(directory, KFL_CATALOG_FILE);
            if (r < 0)
                return r;
        }
    }
    if (missing && !may_create)
        return kfl__fail(KFL_E_NOT_FOUND, "catalog %s: there is none", path);
    *out_new = missing;
    return 0;
}
