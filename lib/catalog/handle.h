/* SPDX-License-Identifier: MIT */
/* What catalog.c and change.c share: the catalog of this process, and who may do what with it. */
#ifndef KFL_CATALOG_HANDLE_H
#define KFL_CATALOG_HANDLE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/lock.h"
#include "catalog/catalog.h"
#include "catalog/environment.h"
#include "catalog/rows.h"

struct waiting_change;

struct kfl__catalog {
    /* constant after open */
    char *path;
    struct kfl__catalog_options options;
    struct kfl__robust *writers; /* the gate that changes go through; NULL: none */

    struct kfl__mutex guard;
    struct kfl__condition moved; /* somebody stopped leading, or the environment came free */

    /* guarded by guard */
    struct waiting_change *first;
    struct waiting_change **end;
    bool leading;
    pthread_t leader;
    bool exclusive; /* the environment is being exchanged: no look may enter */
    int32_t looks;
    MDB_txn *idle; /* of a look that is over; the next one need not ask for a slot */
    uint64_t transactions;
    uint64_t changes;

    /* guarded by leading; exchanged only while exclusive */
    struct kfl__environment environment;
    bool suspect;   /* a commit has failed, and no later one has made good for it */
    uint64_t token; /* of the last stamp */
};

/* Both by the leader. Begin mends first what an earlier commit may have left. */
int kfl__catalog_change_begin(struct kfl__catalog *catalog, struct kfl__catalog_txn *txn);
/*
 * Ends the transaction in any case. On failure *out_full tells a map that was full, a clean refusal
 * before anything was written; after all else the environment is suspect.
 */
int kfl__catalog_change_commit(struct kfl__catalog *catalog, struct kfl__catalog_txn *txn,
                               bool *out_full);

#endif
