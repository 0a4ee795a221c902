/* SPDX-License-Identifier: MIT */
/* The store's row at the opening; the rest is in catalog.h. */
#ifndef KFL_CATALOG_STORE_H
#define KFL_CATALOG_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "catalog/catalog.h"

/* Makes sure that the row is there and can be understood; a new file gets one. */
int kfl__catalog_store_set_up(struct kfl__catalog *catalog, const char *path, bool is_new,
                              int64_t now_ms);

#endif
