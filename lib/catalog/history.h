/* SPDX-License-Identifier: MIT */
/* Rows: who opened the store, how it was closed, what recovery did. The newest 1,000 are kept. */
#ifndef KFL_CATALOG_HISTORY_H
#define KFL_CATALOG_HISTORY_H

#include <stdint.h>

#include "catalog/catalog.h"

struct kfl__history_row {
    int64_t time_ms;
    int64_t process_id;
    int32_t kind;      /* KFL_HISTORY_… of kafkalite.h */
    int32_t partition; /* -1 when none */
    char topic[256];
    char program[16];
    char text[256];
};

int kfl__history_add(struct kfl__catalog_txn *txn, const struct kfl__history_row *row);
/* Oldest first. */
int kfl__history_visit(struct kfl__catalog_txn *txn,
                       int (*visit)(const struct kfl__history_row *row, void *context),
                       void *context);

#endif
