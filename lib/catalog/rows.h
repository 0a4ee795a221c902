/* SPDX-License-Identifier: MIT */
/*
 * Rows: a fixed head, a tail of any size, and a hash over key, head and tail. The head begins with
 * a byte that says which version of the row it is. A row that does not verify is KFL_E_CORRUPT; one
 * of a newer version is KFL_E_VERSION.
 */
#ifndef KFL_CATALOG_ROWS_H
#define KFL_CATALOG_ROWS_H

#include <lmdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "catalog/catalog.h"
#include "catalog/keys.h"

struct kfl__catalog_txn {
    MDB_txn *mdb;
    MDB_dbi rows;
    const char *path; /* of the file, for messages */
    bool writable;
    int failed; /* code of the first put or removal that LMDB refused: the transaction is void */
    uint64_t changes; /* puts and removals so far */
};

/*
 * The head of the store's row. Later formats keep the place of `version` and `format`, so that a
 * library that is too old can tell.
 */
#define KFL_CATALOG_FORMAT 1
struct kfl__store_head {
    uint8_t version;
    uint8_t clean;
    uint8_t zero[2];
    uint32_t format;
    uint8_t store_id[16];
    int64_t created_ms;
    uint64_t open_number;
};
_Static_assert(sizeof(struct kfl__store_head) == 40, "on disk");
_Static_assert(offsetof(struct kfl__store_head, format) == 4, "on disk");

/*
 * Which transaction wrote the tree: tells a root that is older than its meta page says, and whether
 * a commit that failed has arrived in spite of that.
 */
struct kfl__stamp_head {
    uint8_t version;
    uint8_t zero[7];
    uint64_t transaction;
    uint64_t token; /* random, and another one each time */
};
_Static_assert(sizeof(struct kfl__stamp_head) == 24, "on disk");

#define KFL_ROW_MISSING 1 /* positive answer: the caller deals with it */
#define KFL_ROW_HASH_SIZE 8
#define KFL_ROW_TAIL_MAX ((size_t)64 << 20)

/* What a row holds, hash cut off. Borrowed until the next change in the transaction, or its end. */
struct kfl__row {
    const uint8_t *key;
    size_t key_size;
    const uint8_t *bytes;
    size_t size;
};

uint64_t kfl__row_hash(const void *key, size_t key_size, const void *value, size_t size);
/* Size and hash of a value as it is stored. Fills the row, which borrows. */
int kfl__row_verify(const void *key, size_t key_size, const void *value, size_t value_size,
                    const char *path, struct kfl__row *out_row);
/* The head, copied; `version` is the newest known. out_tail (may be NULL) gets what follows. */
int kfl__row_head(const struct kfl__catalog_txn *txn, const struct kfl__row *row, uint8_t version,
                  void *head, size_t head_size, const uint8_t **out_tail, size_t *out_tail_size);
/* A row that verifies and yet holds what cannot be. */
int kfl__row_fail(const struct kfl__catalog_txn *txn, const struct kfl__row *row, const char *what);

/* 0, KFL_ROW_MISSING. */
int kfl__row_get(struct kfl__catalog_txn *txn, const struct kfl__key *key,
                 struct kfl__row *out_row);
int kfl__row_put(struct kfl__catalog_txn *txn, const struct kfl__key *key, const void *head,
                 size_t head_size, const void *tail, size_t tail_size);
/* 0, KFL_ROW_MISSING. */
int kfl__row_remove(struct kfl__catalog_txn *txn, const struct kfl__key *key);

/* The first row at or behind `key`: 0, KFL_ROW_MISSING. */
int kfl__rows_seek(struct kfl__catalog_txn *txn, const struct kfl__key *key,
                   struct kfl__row *out_row);
/*
 * Each row whose key begins with `prefix`, in order. The visitor may change rows, also the one it
 * is shown. A result other than 0 stops and is returned.
 */
typedef int kfl__row_visit(struct kfl__catalog_txn *txn, const struct kfl__row *row, void *context);
int kfl__rows_visit(struct kfl__catalog_txn *txn, const struct kfl__key *prefix,
                    kfl__row_visit *visit, void *context);
/* Also rows that do not verify. */
int kfl__rows_remove(struct kfl__catalog_txn *txn, const struct kfl__key *prefix);

#endif
