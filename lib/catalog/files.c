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
#include "catalog/check.h"

#define LOCK_SUFFIX "-lock"  /* LMDB's choice */
#define LEAST_FILE_SIZE 8192 /* LMDB's two meta pages */

/* Empty files, so that they have the mode and the rules of all our files; LMDB fills them. */
int kfl__catalog_files_create(int directory, uint32_t file_mode)
{
    static const char *const names[] = {KFL_CATALOG_FILE LOCK_SUFFIX, KFL_CATALOG_FILE};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        int fd = -1;
        int r = kfl__file_create(directory, names[i], file_mode, &fd);
        if (r < 0)
            return r;
        if (r == 0)
            kfl__file_close(fd);
    }
    KFL_STEP("catalog.created");
    return 0;
}

int kfl__catalog_files_find(int directory, const char *path,
                            const struct kfl__catalog_options *options, bool *out_new)
{
    bool may_create = options->create && !options->read_only;
    int fd;
    int r = kfl__file_open(directory, KFL_CATALOG_FILE, false, &fd);
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
            return kfl__fail(KFL_E_CORRUPT, "catalog %s: cut short; remedy: kafkalite repair",
                             path);
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
