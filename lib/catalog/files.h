/* SPDX-License-Identifier: MIT */
/* The catalog's files before LMDB has them. */
#ifndef KFL_CATALOG_FILES_H
#define KFL_CATALOG_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "catalog/catalog.h"

/*
 * Checks the file as the options say. *out_new: there is none, or it never held anything and is out
 * of the way now. KFL_E_NOT_FOUND then, when none may be created.
 */
int kfl__catalog_files_find(int directory, const char *path,
                            const struct kfl__catalog_options *options, bool *out_new);
/* What is not there of LMDB's files: its lock file, and where the catalog is new, that one. */
int kfl__catalog_files_create(int directory, bool is_new, uint32_t file_mode);

#endif
