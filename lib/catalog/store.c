/* SPDX-License-Identifier: MIT */
/* The row of the store as a whole. A file without it is new, or is no catalog of ours. */
#include "catalog/store.h"

#include <string.h>

#include "base/error.h"
#include "base/random.h"
#include "catalog/environment.h"
#include "catalog/rows.h"

int kfl__catalog_store_get(struct kfl__catalog_txn *txn, struct kfl__catalog_store *out_store)
{
    struct kfl__key key;
    kfl__key_begin(&key, KFL_TABLE_STORE);
    struct kfl__row row;
    int r = kfl__row_get(txn, &key, &row);
    if (r < 0)
        return r;
    if (r == KFL_ROW_MISSING)
        return kfl__fail(KFL_E_NOT_FOUND, "catalog %s: holds no store", txn->path);
    struct kfl__store_head head;
    r = kfl__row_head(txn, &row, 1, &head, sizeof head, NULL, NULL);
    if (r < 0)
        return r;
    if (head.format > KFL_CATALOG_FORMAT)
        return kfl__fail(KFL_E_VERSION, "catalog %s: format %u, and this library knows %d",
                         txn->path, head.format, KFL_CATALOG_FORMAT);
    memcpy(out_store->store_id, head.store_id, sizeof out_store->store_id);
    out_store->created_ms = head.created_ms;
    out_store->open_number = head.open_number;
    out_store->clean = head.clean != 0;
    return 0;
}

int kfl__catalog_store_put(struct kfl__catalog_txn *txn, const struct kfl__catalog_store *store)
{
    struct kfl__key key;
    kfl__key_begin(&key, KFL_TABLE_STORE);
    struct kfl__store_head head = {
        .version = 1,
        .clean = store->clean,
        .format = KFL_CATALOG_FORMAT,
        .created_ms = store->created_ms,
        .open_number = store->open_number,
    };
    memcpy(head.store_id, store->store_id, sizeof head.store_id);
    return kfl__row_put(txn, &key, &head, sizeof head, NULL, 0);
}

static int create_store(struct kfl__catalog_txn *txn, void *context)
{
    const int64_t *now_ms = context;
    struct kfl__catalog_store store = {.created_ms = *now_ms};
    kfl__random_bytes(store.store_id, sizeof store.store_id);
    return kfl__catalog_store_put(txn, &store);
}

static int get_store(struct kfl__catalog_txn *txn, void *context)
{
    return kfl__catalog_store_get(txn, context);
}

int kfl__catalog_store_set_up(struct kfl__catalog *catalog, const char *path, bool is_new,
                              int64_t now_ms)
{
    struct kfl__catalog_store store;
    int r = kfl__catalog_look(catalog, get_store, &store);
    if (r != KFL_E_NOT_FOUND)
        return r < 0 ? r : 0;
    if (!is_new)
        return kfl__fail(KFL_E_CORRUPT, "catalog %s: has lost its store row" KFL_CATALOG_REMEDY,
                         path);
    r = kfl__catalog_change_run(catalog, create_store, &now_ms);
    if (r < 0)
        return r;
    /* Once more, so that each of the two meta pages tells of a commit: a file that is damaged later
     * cannot pass for one that never held anything. */
    return kfl__catalog_change_run(catalog, create_store, &now_ms);
}
