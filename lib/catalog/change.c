/* SPDX-License-Identifier: MIT */
/*
 * Changes that are asked for at the same time share one transaction.
 *
 * They queue. Whoever finds nobody leading leads: it takes what waits, runs it in one LMDB write
 * transaction, commits, and tells each its result; the next group gathers during that commit. When
 * one of them spoils the transaction, the group is run again, each alone.
 */
#include "base/check.h"
#include "base/error.h"
#include "base/fault.h"
#include "catalog/handle.h"

#define GROUP_MAX 256

/* One call of kfl__catalog_change_run(), on its caller's stack. */
struct waiting_change {
    kfl__catalog_change *change;
    void *context;
    struct waiting_change *next;
    int result;
    bool done;
    struct kfl__words words; /* of a failure, which may have happened in another thread */
};

static void end_all(struct waiting_change *first, int result)
{
    for (struct waiting_change *waiting = first; waiting != NULL; waiting = waiting->next) {
        waiting->result = result;
        if (result < 0)
            kfl__error_save(&waiting->words);
    }
}

static void end_successful(struct waiting_change *first, int result)
{
    for (struct waiting_change *waiting = first; waiting != NULL; waiting = waiting->next) {
        if (waiting->result < 0)
            continue;
        waiting->result = result;
        kfl__error_save(&waiting->words);
    }
}

static void count_changes(struct kfl__catalog *catalog, const struct waiting_change *first)
{
    kfl__mutex_lock(&catalog->guard);
    catalog->transactions++;
    for (; first != NULL; first = first->next)
        catalog->changes += first->result >= 0;
    kfl__mutex_unlock(&catalog->guard);
}

/*
 * Runs all of them in one transaction and writes their results. false: the transaction was given up
 * because of one of them and nothing happened; each has to run alone. A single one is never
 * answered so.
 */
static bool run_together(struct kfl__catalog *catalog, struct waiting_change *first)
{
    bool alone = first->next == NULL;
    struct kfl__catalog_txn txn;
    int r = kfl__catalog_change_begin(catalog, &txn);
    if (r < 0) {
        end_all(first, r);
        return true;
    }
    KFL_STEP("catalog.begun");
    for (struct waiting_change *waiting = first; waiting != NULL; waiting = waiting->next) {
        uint64_t before = txn.changes;
        waiting->result = waiting->change(&txn, waiting->context);
        if (txn.failed < 0)
            waiting->result = txn.failed;
        if (waiting->result >= 0)
            continue;
        kfl__error_save(&waiting->words);
        if (txn.failed < 0 || txn.changes != before) {
            mdb_txn_abort(txn.mdb);
            return alone;
        }
    }
    if (txn.changes == 0) {
        mdb_txn_abort(txn.mdb);
        return true;
    }
    bool full;
    r = kfl__catalog_change_commit(catalog, &txn, &full);
    if (r == 0)
        count_changes(catalog, first);
    else if (full && !alone)
        return false;
    else
        end_successful(first, r);
    return true;
}

static void run_group(struct kfl__catalog *catalog, struct waiting_change *first)
{
    if (run_together(catalog, first))
        return;
    while (first != NULL) {
        struct waiting_change *next = first->next;
        first->next = NULL;
        bool ended = run_together(catalog, first);
        assert(ended);
        (void)ended;
        first->next = next;
        first = next;
    }
}

static struct waiting_change *take_group(struct kfl__catalog *catalog) KFL_REQUIRES(catalog->guard);
static void stop_leading(struct kfl__catalog *catalog) KFL_REQUIRES(catalog->guard);

/* Cuts at most GROUP_MAX from the front of the queue. */
static struct waiting_change *take_group(struct kfl__catalog *catalog)
{
    struct waiting_change *first = catalog->first;
    struct waiting_change **cut = &first;
    for (int count = 0; count < GROUP_MAX && *cut != NULL; count++)
        cut = &(*cut)->next;
    catalog->first = *cut;
    if (*cut == NULL)
        catalog->end = &catalog->first;
    *cut = NULL;
    assert(first != NULL);
    return first;
}

static void stop_leading(struct kfl__catalog *catalog)
{
    assert(catalog->leading);
    catalog->leading = false;
    kfl__condition_broadcast(&catalog->moved);
}

int kfl__catalog_change_run(struct kfl__catalog *catalog, kfl__catalog_change *change,
                            void *context)
{
    assert(kfl__lock_highest_rank() < KFL_RANK_CATALOG);
    if (catalog->options.read_only)
        return kfl__fail(KFL_E_READ_ONLY, "catalog %s: opened read-only", catalog->path);

    struct waiting_change mine = {.change = change, .context = context};
    kfl__mutex_lock(&catalog->guard);
    *catalog->end = &mine;
    catalog->end = &mine.next;
    while (!mine.done) {
        if (catalog->leading) {
            /* A change may not run another one: it would wait for itself. */
            assert(!pthread_equal(catalog->leader, pthread_self()));
            kfl__condition_wait(&catalog->moved, &catalog->guard, -1);
            continue;
        }
        catalog->leading = true;
        catalog->leader = pthread_self();
        struct waiting_change *group = take_group(catalog);
        kfl__mutex_unlock(&catalog->guard);
        run_group(catalog, group);
        kfl__mutex_lock(&catalog->guard);
        for (struct waiting_change *one = group; one != NULL; one = one->next)
            one->done = true;
        stop_leading(catalog);
    }
    kfl__mutex_unlock(&catalog->guard);
    if (mine.result < 0)
        kfl__error_restore(&mine.words);
    return mine.result;
}
