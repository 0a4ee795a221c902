/* SPDX-License-Identifier: MIT */
/* One LMDB environment: open, close, begin, and what its errors mean. */
#ifndef KFL_CATALOG_ENVIRONMENT_H
#define KFL_CATALOG_ENVIRONMENT_H

#include <lmdb.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/lock.h"

/* The end of every story about a catalog that is damaged. */
#define KFL_CATALOG_REMEDY \
    "; remedy: a copy of the store, or kafkalite repair, which salvages the records into a new one"

/* All processes of a store together: one that each keeps, and as many in use. */
#define KFL_READERS_MAX 2048

struct kfl__environment {
    MDB_env *env; /* NULL: closed */
    MDB_dbi rows; /* the one tree of rows */
    struct kfl__robust *readers; /* the gate to its table of readers; NULL: none */
};

/*
 * `path` is the file's; it exists or may be created. map_size 0: 64 GiB of address space, or what a
 * smaller address space allows.
 */
int kfl__environment_open(const char *path, int64_t map_size, bool read_only, uint32_t file_mode,
                          struct kfl__environment *environment);
void kfl__environment_close(struct kfl__environment *environment);

/*
 * Begin a transaction: an LMDB result, or KFL_E_INTR (base/patience). The slots of dead readers are cleared when there is none
 * left. MDB_MAP_RESIZED is left to the caller, who knows when nobody else is inside.
 */
int kfl__environment_begin(struct kfl__environment *environment, bool read_only, MDB_txn **out_mdb);
/* Another process has grown the file beyond our map. Nobody may be inside. */
int kfl__environment_grow(struct kfl__environment *environment);

/* Slots of readers that are dead come free: an LMDB result, or KFL_E_INTR. */
int kfl__environment_clear_readers(struct kfl__environment *environment);

/* What LMDB answered (not 0), as our code, with its story; KFL_E_INTR has its own. */
int kfl__environment_fail(int answer, const char *operation, const char *path);

#endif
