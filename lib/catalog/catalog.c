/* SPDX-License-Identifier: MIT */
/*
 * The catalog as a whole: open and close, looks, and how a transaction begins and ends.
 *
 * Each transaction that changes anything also writes its number into the stamp row. After a commit
 * that failed nobody can say what the disk holds of it, and LMDB may have given up on its
 * environment. The environment is then closed and opened anew, once no look is inside, and a fresh
 * transaction is committed over what may be there. Until that has worked no other change begins.
 */
#include "catalog/catalog.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/file_system.h"
#include "base/lock.h"
#include "base/memory.h"
#include "base/random.h"
#include "catalog/environment.h"
#include "catalog/files.h"
#include "catalog/handle.h"
#include "catalog/rows.h"
#include "catalog/store.h"

/* Room for the largest usual transaction: less than that explains a write that fell short. */
#define NEARLY_FULL ((int64_t)16 << 20)

/* ---- the environment's exchange; all of it by the leader ---- */

static void drop_idle(struct kfl__catalog *catalog)
{
    if (catalog->idle != NULL)
        mdb_txn_abort(catalog->idle);
    catalog->idle = NULL;
}

static void exclude_looks(struct kfl__catalog *catalog)
{
    kfl__mutex_lock(&catalog->guard);
    assert(catalog->leading && !catalog->exclusive);
    while (catalog->looks > 0)
        kfl__condition_wait(&catalog->moved, &catalog->guard, -1);
    catalog->exclusive = true;
    drop_idle(catalog);
    kfl__mutex_unlock(&catalog->guard);
}

static void admit_looks(struct kfl__catalog *catalog)
{
    kfl__mutex_lock(&catalog->guard);
    catalog->exclusive = false;
    kfl__condition_broadcast(&catalog->moved);
    kfl__mutex_unlock(&catalog->guard);
}

static int open_environment(struct kfl__catalog *catalog)
{
    return kfl__environment_open(catalog->path, catalog->options.map_size,
                                 catalog->options.read_only, catalog->options.file_mode,
                                 &catalog->environment);
}

static void txn_init(struct kfl__catalog_txn *txn, const struct kfl__catalog *catalog, MDB_txn *mdb,
                     bool writable)
{
    *txn = (struct kfl__catalog_txn){
        .mdb = mdb,
        .rows = catalog->environment.rows,
        .path = catalog->path,
        .writable = writable,
    };
}

static int put_stamp(struct kfl__catalog *catalog, struct kfl__catalog_txn *txn)
{
    struct kfl__key key;
    kfl__key_begin(&key, KFL_TABLE_STAMP);
    struct kfl__stamp_head head = {
        .version = 1,
        .transaction = mdb_txn_id(txn->mdb),
        .token = ++catalog->token,
    };
    return kfl__row_put(txn, &key, &head, sizeof head, NULL, 0);
}

/* Is the newest stamp in the file our last one? */
static int has_arrived(struct kfl__catalog *catalog, struct kfl__catalog_txn *txn,
                       bool *out_arrived)
{
    struct kfl__key key;
    kfl__key_begin(&key, KFL_TABLE_STAMP);
    struct kfl__row row;
    struct kfl__stamp_head head = {0};
    int r = kfl__row_get(txn, &key, &row);
    if (r == 0)
        r = kfl__row_head(txn, &row, 1, &head, sizeof head, NULL, NULL);
    if (r < 0)
        return r;
    *out_arrived = head.token == catalog->token;
    return 0;
}

/* Ends the transaction in any case. An LMDB result. */
static int commit_stamped(struct kfl__catalog_txn *txn)
{
    int answer = KFL_FAULT("catalog.commit");
    if (answer == 0) {
        answer = mdb_txn_commit(txn->mdb);
        KFL_STEP("catalog.committed");
    } else {
        mdb_txn_abort(txn->mdb);
    }
    return answer;
}

/* *out_arrived: the commit that failed is in the file, and durable now. */
static int mend(struct kfl__catalog *catalog, bool *out_arrived)
{
    exclude_looks(catalog);
    kfl__environment_close(&catalog->environment);
    int r = open_environment(catalog);
    admit_looks(catalog);
    if (r < 0)
        return r;

    MDB_txn *mdb;
    int answer = kfl__environment_begin(&catalog->environment, false, &mdb);
    if (answer != 0)
        return kfl__environment_fail(answer, "begin", catalog->path);
    struct kfl__catalog_txn txn;
    txn_init(&txn, catalog, mdb, true);
    bool arrived = false;
    MDB_stat stat;
    if (mdb_stat(mdb, txn.rows, &stat) == 0 && stat.ms_entries == 0) {
        /* The first commit of a new file: a stamp alone would pass for a store that has lost its row. */
        mdb_txn_abort(mdb);
        catalog->suspect = false;
        *out_arrived = false;
        return 0;
    }
    r = has_arrived(catalog, &txn, &arrived);
    uint64_t token = catalog->token;
    if (r == 0)
        r = put_stamp(catalog, &txn);
    if (r < 0) {
        mdb_txn_abort(mdb);
        return r;
    }
    answer = commit_stamped(&txn);
    if (answer != 0) {
        catalog->token = token;
        return kfl__environment_fail(answer, "commit", catalog->path);
    }
    catalog->suspect = false;
    *out_arrived = arrived;
    return 0;
}

int kfl__catalog_change_begin(struct kfl__catalog *catalog, struct kfl__catalog_txn *txn)
{
    assert(catalog->leading);
    bool arrived;
    int r = catalog->suspect ? mend(catalog, &arrived) : 0;
    if (r < 0)
        return r;
    MDB_txn *mdb;
    int answer = kfl__environment_begin(&catalog->environment, false, &mdb);
    if (answer == MDB_MAP_RESIZED) {
        exclude_looks(catalog);
        answer = kfl__environment_grow(&catalog->environment);
        admit_looks(catalog);
        if (answer == 0)
            answer = kfl__environment_begin(&catalog->environment, false, &mdb);
    }
    if (answer == MDB_PANIC)
        catalog->suspect = true; /* the next one tries to mend it */
    if (answer != 0)
        return kfl__environment_fail(answer, "begin", catalog->path);
    txn_init(txn, catalog, mdb, true);
    return 0;
}

/* LMDB calls a write that the disk had room for in part only an I/O error. */
static bool is_disk_full(struct kfl__catalog *catalog)
{
    int fd;
    int64_t free_bytes;
    return catalog->environment.env != NULL && mdb_env_get_fd(catalog->environment.env, &fd) == 0 &&
           kfl__file_system_free(fd, &free_bytes) == 0 && free_bytes < NEARLY_FULL;
}

int kfl__catalog_change_commit(struct kfl__catalog *catalog, struct kfl__catalog_txn *txn,
                               bool *out_full)
{
    *out_full = false;
    int r = put_stamp(catalog, txn);
    if (r < 0) {
        *out_full = true;
        mdb_txn_abort(txn->mdb);
        return r;
    }
    int answer = commit_stamped(txn);
    if (answer == 0)
        return 0;
    r = kfl__environment_fail(answer, "commit", catalog->path);
    *out_full = answer == MDB_MAP_FULL;
    if (!*out_full) {
        struct kfl__words words;
        kfl__error_save(&words);
        catalog->suspect = true;
        bool arrived = false;
        int mended = mend(catalog, &arrived); /* if it fails, the next change tries again */
        if (arrived)
            return 0;
        if (mended == KFL_E_NO_SPACE)
            return mended;
        bool is_full = answer == EIO && is_disk_full(catalog);
        kfl__error_restore(&words);
        if (is_full)
            r = kfl__fail(KFL_E_NO_SPACE, "catalog %s: commit: the disk is full", catalog->path);
    }
    return r;
}

/* ---- looks ---- */

static int enter_look(struct kfl__catalog *catalog, MDB_txn **out_idle)
{
    kfl__mutex_lock(&catalog->guard);
    while (catalog->exclusive)
        kfl__condition_wait(&catalog->moved, &catalog->guard, -1);
    bool open = catalog->environment.env != NULL;
    catalog->looks += open;
    *out_idle = catalog->idle;
    catalog->idle = NULL;
    kfl__mutex_unlock(&catalog->guard);
    if (!open)
        return kfl__fail(KFL_E_IO, "catalog %s: could not be opened again after a failure",
                         catalog->path);
    return 0;
}

/* mdb: reset, and kept for the next one; may be NULL. */
static void leave_look(struct kfl__catalog *catalog, MDB_txn *mdb)
{
    kfl__mutex_lock(&catalog->guard);
    assert(catalog->looks > 0);
    catalog->looks--;
    if (catalog->idle == NULL) {
        catalog->idle = mdb;
        mdb = NULL;
    }
    if (mdb != NULL)
        mdb_txn_abort(mdb); /* inside: who waits for the last look may close the environment */
    if (catalog->looks == 0 && catalog->leading)
        kfl__condition_broadcast(&catalog->moved);
    kfl__mutex_unlock(&catalog->guard);
}

/* An LMDB result; on failure *mdb is NULL. */
static int begin_look(struct kfl__catalog *catalog, MDB_txn **mdb)
{
    if (*mdb == NULL)
        return kfl__environment_begin(&catalog->environment, true, mdb);
    int answer = mdb_txn_renew(*mdb);
    if (answer != 0) {
        mdb_txn_abort(*mdb);
        *mdb = NULL;
    }
    return answer;
}

/* Another process has a larger map and has used it. */
static int grow_for_look(struct kfl__catalog *catalog)
{
    kfl__mutex_lock(&catalog->guard);
    while (catalog->leading)
        kfl__condition_wait(&catalog->moved, &catalog->guard, -1);
    catalog->leading = true;
    catalog->leader = pthread_self();
    kfl__mutex_unlock(&catalog->guard);

    exclude_looks(catalog);
    int answer = 0;
    if (catalog->environment.env != NULL)
        answer = kfl__environment_grow(&catalog->environment);
    admit_looks(catalog);

    kfl__mutex_lock(&catalog->guard);
    catalog->leading = false;
    kfl__condition_broadcast(&catalog->moved);
    kfl__mutex_unlock(&catalog->guard);
    return answer;
}

int kfl__catalog_look(struct kfl__catalog *catalog, kfl__catalog_change *look, void *context)
{
    assert(kfl__lock_highest_rank() < KFL_RANK_APPEND);
    MDB_txn *mdb = NULL;
    int r = enter_look(catalog, &mdb);
    if (r < 0)
        return r;
    int answer = begin_look(catalog, &mdb);
    if (answer == MDB_MAP_RESIZED) {
        leave_look(catalog, NULL);
        answer = grow_for_look(catalog);
        r = enter_look(catalog, &mdb);
        if (r < 0)
            return r;
        if (answer == 0)
            answer = begin_look(catalog, &mdb);
    }
    if (answer == 0) {
        struct kfl__catalog_txn txn;
        txn_init(&txn, catalog, mdb, false);
        r = look(&txn, context);
        mdb_txn_reset(mdb);
    } else {
        r = kfl__environment_fail(answer, "begin", catalog->path);
    }
    leave_look(catalog, mdb);
    return r;
}

int kfl__catalog_clear_dead_readers(struct kfl__catalog *catalog)
{
    MDB_txn *idle = NULL;
    int r = enter_look(catalog, &idle);
    if (r < 0)
        return r;
    int answer = kfl__environment_clear_readers(&catalog->environment);
    leave_look(catalog, idle);
    return answer == 0 ? 0 : kfl__environment_fail(answer, "clear dead readers", catalog->path);
}

void kfl__catalog_counters(struct kfl__catalog *catalog, uint64_t *out_transactions,
                           uint64_t *out_changes)
{
    kfl__mutex_lock(&catalog->guard);
    *out_transactions = catalog->transactions;
    *out_changes = catalog->changes;
    kfl__mutex_unlock(&catalog->guard);
}

/* ---- open and close ---- */

/* Memory only. */
static int create_catalog(const char *path, const struct kfl__catalog_options *options,
                          struct kfl__catalog **out_catalog)
{
    size_t path_size = strlen(path) + sizeof "/" KFL_CATALOG_FILE;
    struct kfl__catalog *catalog = kfl__alloc(sizeof *catalog);
    char *file_path = kfl__alloc(path_size);
    int r = 0;
    if (catalog == NULL || file_path == NULL) {
        r = kfl__fail(KFL_E_NOMEM, "catalog %s", path);
        goto fail;
    }
    snprintf(file_path, path_size, "%s/%s", path, KFL_CATALOG_FILE);
    catalog->path = file_path;
    catalog->options = *options;
    catalog->end = &catalog->first;
    catalog->token = kfl__random64();
    r = kfl__mutex_init(&catalog->guard, KFL_RANK_LEAF);
    if (r < 0)
        goto fail;
    r = kfl__condition_init(&catalog->moved);
    if (r < 0) {
        kfl__mutex_destroy(&catalog->guard);
        goto fail;
    }
    *out_catalog = catalog;
    return 0;
fail:
    kfl__free(catalog);
    kfl__free(file_path);
    return r;
}

int kfl__catalog_open(int directory, const char *path, const struct kfl__catalog_options *options,
                      struct kfl__catalog **out_catalog)
{
    struct kfl__catalog *catalog = NULL;
    int r = create_catalog(path, options, &catalog);
    if (r < 0)
        return r;
    bool is_new = false;
    r = kfl__catalog_files_find(directory, catalog->path, options, &is_new);
    if (r == 0 && !options->read_only)
        r = kfl__catalog_files_create(directory, is_new, options->file_mode);
    if (r == 0)
        r = open_environment(catalog);
    /* Its name first: a file that has seen a commit is taken for whole by whoever comes next. */
    if (r == 0 && is_new)
        r = kfl__file_sync_directory(directory);
    if (r == 0)
        r = kfl__catalog_store_set_up(catalog, catalog->path, is_new, options->now_ms);
    if (r == 0 && !options->read_only)
        r = kfl__catalog_clear_dead_readers(catalog);
    if (r < 0) {
        kfl__catalog_close(catalog);
        return r;
    }
    *out_catalog = catalog;
    return 0;
}

void kfl__catalog_share(struct kfl__catalog *catalog, struct kfl__robust *writers,
                        struct kfl__robust *readers)
{
    assert(catalog->looks == 0 && !catalog->leading);
    catalog->writers = writers;
    catalog->environment.readers = readers;
}

void kfl__catalog_close(struct kfl__catalog *catalog)
{
    if (catalog == NULL)
        return;
    assert(catalog->looks == 0 && !catalog->leading && catalog->first == NULL);
    drop_idle(catalog);
    kfl__environment_close(&catalog->environment);
    kfl__condition_destroy(&catalog->moved);
    kfl__mutex_destroy(&catalog->guard);
    kfl__free(catalog->path);
    kfl__free(catalog);
}
