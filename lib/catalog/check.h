/* SPDX-License-Identifier: MIT */
/* The catalog's file, checked by reading before LMDB, which trusts what it maps, touches it. */
#ifndef KFL_CATALOG_CHECK_H
#define KFL_CATALOG_CHECK_H

#include <stdint.h>

#define KFL_CHECK_UNFINISHED 1 /* nothing was ever committed to it: its creator died */

/*
 * The whole file: structure, order, free pages, every row's hash. Nobody else may have it open.
 * 0, KFL_CHECK_UNFINISHED, KFL_E_CORRUPT, KFL_E_VERSION, KFL_E_IO, KFL_E_NOMEM.
 */
int kfl__catalog_check(int fd, const char *path);

#endif
