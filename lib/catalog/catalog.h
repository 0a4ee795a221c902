/* SPDX-License-Identifier: MIT */
/*
 * The catalog: what is true for ever. One LMDB environment per store and process; nobody outside
 * this folder sees LMDB.
 *
 * A change is a function that runs inside a write transaction. Those who change at the same time
 * share one: the first leads, the others join (protocol R8), and each call returns once the shared
 * transaction is on the disk. A change that answers < 0 undoes itself: its own caller gets the code
 * and the words, the others are not harmed (if it had put anything before, they are run again
 * without it). So a change may run more than once, and in another thread than its caller's: it sets
 * its results, it does not add to them, and it runs no other change. Never to be called while a
 * catalog lock or a higher one is held (R17).
 */
#ifndef KFL_CATALOG_CATALOG_H
#define KFL_CATALOG_CATALOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/lock.h"

#define KFL_CATALOG_FILE "catalog.mdb"

struct kfl__catalog;
/* Inside a change or a look; borrowed. */
struct kfl__catalog_txn;

struct kfl__catalog_options {
    bool create;
    bool read_only;
    uint32_t file_mode;
    int64_t
        map_size; /* 0: the fixed large one (64 GiB, less under RLIMIT_AS); tests set a small one */
    int64_t now_ms; /* of the creation */
    bool check;     /* nobody else lives: the whole file is checked before LMDB touches it */
};

/* What is said of the store as a whole. */
struct kfl__catalog_store {
    uint8_t store_id[16];
    int64_t created_ms;
    uint64_t open_number; /* one more for each process that found nobody living */
    bool clean;           /* the last one to leave had synced everything */
};

/*
 * In the folder behind `directory`. 0, or KFL_E_NOT_FOUND (none there, create is false),
 * KFL_E_VERSION, KFL_E_CORRUPT (text names the file and the remedy),
 * KFL_E_NO_SPACE, KFL_E_IO, KFL_E_READ_ONLY. A half-made catalog of a killed creator is completed
 * when create is set. New files are synced with their directory. `path` is the folder's path, for
 * LMDB and for messages: absolute, because after a failed commit it is opened once more.
 */
int kfl__catalog_open(int directory, const char *path, const struct kfl__catalog_options *options,
                      struct kfl__catalog **out_catalog);
/*
 * The gates (catalog/gate), once memory that all processes of the store share is there, and before a second
 * thread knows the catalog. Borrowed for its life.
 */
void kfl__catalog_share(struct kfl__catalog *catalog, struct kfl__robust *writers,
                        struct kfl__robust *readers);
void kfl__catalog_close(struct kfl__catalog *catalog); /* takes NULL */

typedef int kfl__catalog_change(struct kfl__catalog_txn *txn, void *context);
/*
 * Durable when it returns 0 (or the change's positive result). KFL_E_NO_SPACE, KFL_E_IO: nothing of
 * it happened (unless the disk failed once more while that was made sure: whoever must know looks,
 * R15). KFL_E_INTR: the thread's patience is over (base/patience), and nothing of it happens.
 */
int kfl__catalog_change_run(struct kfl__catalog *catalog, kfl__catalog_change *change,
                            void *context);
/* A short look: `look` runs in a read transaction; bytes it sees are valid inside only. Not under
 * an append lock. */
int kfl__catalog_look(struct kfl__catalog *catalog, kfl__catalog_change *look, void *context);

int kfl__catalog_store_get(struct kfl__catalog_txn *txn, struct kfl__catalog_store *out_store);
int kfl__catalog_store_put(struct kfl__catalog_txn *txn, const struct kfl__catalog_store *store);

/* Readers of dead processes are cleared; done at open and by the helper. */
int kfl__catalog_clear_dead_readers(struct kfl__catalog *catalog);

/* Number of shared transactions committed and of changes in them since the open: tests and
 * statistics. */
void kfl__catalog_counters(struct kfl__catalog *catalog, uint64_t *out_transactions,
                           uint64_t *out_changes);

#endif
