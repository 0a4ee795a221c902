/* SPDX-License-Identifier: MIT */
/*
 * Rows in LMDB's tree, each under a hash of its own, because LMDB 0.9 has no checksums.
 *
 * The hash covers the key too: a row that a flipped bit has moved to another key does not verify
 * there. Values are aligned to two bytes only, so heads are copied out before they are read.
 */
#include "catalog/rows.h"

#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/error.h"
#include "base/hash.h"
#include "catalog/environment.h"

uint64_t kfl__row_hash(const void *key, size_t key_size, const void *value, size_t size)
{
    return kfl__hash64_seeded(value, size, kfl__hash64(key, key_size));
}

static int row_damaged(const void *key, size_t key_size, const char *path, const char *what)
{
    char text[KFL_KEY_TEXT_SIZE];
    kfl__key_print(key, key_size, text);
    kfl__fail(KFL_E_CORRUPT, "catalog %s: row (%s) %s" KFL_CATALOG_REMEDY, path, text, what);
    return kfl__fail_in(KFL_E_CORRUPT, path);
}

int kfl__row_fail(const struct kfl__catalog_txn *txn, const struct kfl__row *row, const char *what)
{
    return row_damaged(row->key, row->key_size, txn->path, what);
}

int kfl__row_verify(const void *key, size_t key_size, const void *value, size_t value_size,
                    const char *path, struct kfl__row *out_row)
{
    if (value_size < 1 + KFL_ROW_HASH_SIZE)
        return row_damaged(key, key_size, path, "is too short");
    size_t size = value_size - KFL_ROW_HASH_SIZE;
    const uint8_t *bytes = value;
    if (kfl__row_hash(key, key_size, bytes, size) != kfl__load64(bytes + size))
        return row_damaged(key, key_size, path, "fails its checksum");
    *out_row = (struct kfl__row){.key = key, .key_size = key_size, .bytes = bytes, .size = size};
    return 0;
}

int kfl__row_head(const struct kfl__catalog_txn *txn, const struct kfl__row *row, uint8_t version,
                  void *head, size_t head_size, const uint8_t **out_tail, size_t *out_tail_size)
{
    if (row->bytes[0] > version) {
        char text[KFL_KEY_TEXT_SIZE];
        kfl__key_print(row->key, row->key_size, text);
        kfl__fail(KFL_E_VERSION, "catalog %s: row (%s) was written by a newer version", txn->path,
                  text);
        return kfl__fail_in(KFL_E_VERSION, txn->path);
    }
    if (row->bytes[0] != version || row->size < head_size)
        return kfl__row_fail(txn, row, "has an impossible version or size");
    if (out_tail == NULL && row->size != head_size)
        return kfl__row_fail(txn, row, "has an impossible size");
    memcpy(head, row->bytes, head_size);
    if (out_tail != NULL) {
        *out_tail = row->bytes + head_size;
        *out_tail_size = row->size - head_size;
    }
    return 0;
}

/* A put or removal that LMDB refuses voids the whole transaction: whoever runs it has to know. */
static int refused(struct kfl__catalog_txn *txn, int answer, const char *operation)
{
    int code = kfl__environment_fail(answer, operation, txn->path);
    if (txn->failed == 0)
        txn->failed = code;
    return code;
}

int kfl__row_get(struct kfl__catalog_txn *txn, const struct kfl__key *key, struct kfl__row *out_row)
{
    MDB_val mdb_key = {key->size, (void *)(uintptr_t)key->bytes};
    MDB_val value;
    int answer = mdb_get(txn->mdb, txn->rows, &mdb_key, &value);
    if (answer == MDB_NOTFOUND)
        return KFL_ROW_MISSING;
    if (answer != 0)
        return kfl__environment_fail(answer, "read", txn->path);
    return kfl__row_verify(key->bytes, key->size, value.mv_data, value.mv_size, txn->path, out_row);
}

int kfl__row_put(struct kfl__catalog_txn *txn, const struct kfl__key *key, const void *head,
                 size_t head_size, const void *tail, size_t tail_size)
{
    assert(txn->writable && head_size > 0 && tail_size <= KFL_ROW_TAIL_MAX);
    size_t size = head_size + tail_size;
    MDB_val mdb_key = {key->size, (void *)(uintptr_t)key->bytes};
    MDB_val value = {size + KFL_ROW_HASH_SIZE, NULL};
    txn->changes++;
    int answer = mdb_put(txn->mdb, txn->rows, &mdb_key, &value, MDB_RESERVE);
    if (answer != 0)
        return refused(txn, answer, "put");

    uint8_t *bytes = value.mv_data;
    memcpy(bytes, head, head_size);
    if (tail_size > 0)
        memcpy(bytes + head_size, tail, tail_size);
    kfl__store64(bytes + size, kfl__row_hash(key->bytes, key->size, bytes, size));
    return 0;
}

int kfl__row_remove(struct kfl__catalog_txn *txn, const struct kfl__key *key)
{
    assert(txn->writable);
    MDB_val mdb_key = {key->size, (void *)(uintptr_t)key->bytes};
    int answer = mdb_del(txn->mdb, txn->rows, &mdb_key, NULL);
    if (answer == MDB_NOTFOUND)
        return KFL_ROW_MISSING;
    txn->changes++;
    return answer == 0 ? 0 : refused(txn, answer, "remove");
}

static int cursor_open(struct kfl__catalog_txn *txn, MDB_cursor **out_cursor)
{
    int answer = mdb_cursor_open(txn->mdb, txn->rows, out_cursor);
    return answer == 0 ? 0 : kfl__environment_fail(answer, "read", txn->path);
}

int kfl__rows_seek(struct kfl__catalog_txn *txn, const struct kfl__key *key,
                   struct kfl__row *out_row)
{
    MDB_cursor *cursor;
    int r = cursor_open(txn, &cursor);
    if (r < 0)
        return r;
    MDB_val mdb_key = {key->size, (void *)(uintptr_t)key->bytes};
    MDB_val value;
    int answer = mdb_cursor_get(cursor, &mdb_key, &value, MDB_SET_RANGE);
    mdb_cursor_close(cursor);
    if (answer == MDB_NOTFOUND)
        return KFL_ROW_MISSING;
    if (answer != 0)
        return kfl__environment_fail(answer, "read", txn->path);
    return kfl__row_verify(mdb_key.mv_data, mdb_key.mv_size, value.mv_data, value.mv_size,
                           txn->path, out_row);
}

static bool has_prefix(const MDB_val *key, const struct kfl__key *prefix)
{
    return key->mv_size >= prefix->size && memcmp(key->mv_data, prefix->bytes, prefix->size) == 0;
}

/* Shows one row. Afterwards *place is where to go on if rows were changed meanwhile, else empty. */
static int visit_one(struct kfl__catalog_txn *txn, const MDB_val *key, const MDB_val *value,
                     kfl__row_visit *visit, void *context, struct kfl__key *place)
{
    struct kfl__row row;
    int r = kfl__row_verify(key->mv_data, key->mv_size, value->mv_data, value->mv_size, txn->path,
                            &row);
    if (r < 0)
        return r;
    if (key->mv_size >= sizeof place->bytes)
        return kfl__row_fail(txn, &row, "has an impossible key");
    if (txn->writable) {
        /* The smallest key behind this one is this one and a NUL. */
        memcpy(place->bytes, key->mv_data, key->mv_size);
        place->bytes[key->mv_size] = 0;
        place->size = key->mv_size + 1;
    }
    uint64_t changes = txn->changes;
    r = visit(txn, &row, context);
    if (txn->changes == changes)
        place->size = 0;
    return r;
}

int kfl__rows_visit(struct kfl__catalog_txn *txn, const struct kfl__key *prefix,
                    kfl__row_visit *visit, void *context)
{
    MDB_cursor *cursor;
    int r = cursor_open(txn, &cursor);
    if (r < 0)
        return r;
    struct kfl__key place = *prefix;
    for (;;) {
        MDB_val key = {place.size, place.bytes};
        MDB_val value;
        int answer =
            mdb_cursor_get(cursor, &key, &value, place.size > 0 ? MDB_SET_RANGE : MDB_NEXT);
        if (answer == MDB_NOTFOUND || (answer == 0 && !has_prefix(&key, prefix))) {
            r = 0;
            break;
        }
        if (answer != 0) {
            r = kfl__environment_fail(answer, "read", txn->path);
            break;
        }
        r = visit_one(txn, &key, &value, visit, context, &place);
        if (r != 0)
            break;
    }
    mdb_cursor_close(cursor);
    return r;
}

int kfl__rows_remove(struct kfl__catalog_txn *txn, const struct kfl__key *prefix)
{
    assert(txn->writable);
    MDB_cursor *cursor;
    int r = cursor_open(txn, &cursor);
    if (r < 0)
        return r;
    for (;;) {
        MDB_val key = {prefix->size, (void *)(uintptr_t)prefix->bytes};
        MDB_val value;
        int answer = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
        if (answer == MDB_NOTFOUND || (answer == 0 && !has_prefix(&key, prefix)))
            break;
        if (answer == 0) {
            txn->changes++;
            answer = mdb_cursor_del(cursor, 0);
        }
        if (answer != 0) {
            r = refused(txn, answer, "remove");
            break;
        }
    }
    mdb_cursor_close(cursor);
    return r;
}
