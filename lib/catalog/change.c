/* SPDX-License-Identifier: MIT */
/*
 * Changes that are asked for at the same time share one transaction.
 *
 * They queue. Whoever finds nobody leading leads: it goes through the gate, takes what waits, runs it in one
 * LMDB write transaction, commits, and tells each its result; the next group gathers during that commit. When
 * one of them spoils the transaction, the others are run again without it, and it alone.
 *
 * Before the gate anybody may lose patience (base/patience) and take its change back, who leads too: behind it
 * nobody waits for another process.
 */
#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/patience.h"
#include "base/wait.h"
#include "catalog/gate.h"
#include "catalog/handle.h"

#define GROUP_MAX 256

/* One call of kfl__catalog_change_run(), on its caller's stack. */
struct waiting_change {
    kfl__catalog_change *change;
    void *context;
    struct waiting_change *next;
    int result;
    bool taken; /* by who leads, and on its way */
    bool done;
    struct kfl__words words; /* of a failure, which may have happened in another thread */
};

/* What `waiting` gets, with this thread's words for it. */
static void settle(struct waiting_change *waiting, int result)
{
    waiting->result = result;
    if (result < 0)
        kfl__error_save(&waiting->words);
}

static void count_changes(struct kfl__catalog *catalog, struct waiting_change **group, size_t count)
{
    kfl__mutex_lock(&catalog->guard);
    catalog->transactions++;
    for (size_t i = 0; i < count; i++)
        catalog->changes += group[i]->result >= 0;
    kfl__mutex_unlock(&catalog->guard);
}

/*
 * Runs all of them in one transaction and settles them: `count`. Or the index of one that spoiled
 * it: nothing has happened then, and the others may run without that one. A single one is always
 * settled.
 */
static size_t run_together(struct kfl__catalog *catalog, struct waiting_change **group,
                           size_t count)
{
    assert(count > 0);
    struct kfl__catalog_txn txn;
    int r = kfl__catalog_change_begin(catalog, &txn);
    if (r < 0) {
        for (size_t i = 0; i < count; i++)
            settle(group[i], r);
        return count;
    }
    KFL_STEP("catalog.begun");
    for (size_t i = 0; i < count; i++) {
        uint64_t before = txn.changes;
        r = group[i]->change(&txn, group[i]->context);
        settle(group[i], txn.failed < 0 ? txn.failed : r);
        if (txn.failed < 0 || (r < 0 && txn.changes != before)) {
            mdb_txn_abort(txn.mdb);
            return count == 1 ? count : i;
        }
    }
    if (txn.changes == 0) {
        mdb_txn_abort(txn.mdb);
        return count;
    }
    bool full;
    r = kfl__catalog_change_commit(catalog, &txn, &full);
    if (r == 0) {
        count_changes(catalog, group, count);
        return count;
    }
    if (full && count > 1)
        return count - 1; /* nobody's fault in particular */
    for (size_t i = 0; i < count; i++) {
        if (group[i]->result >= 0)
            settle(group[i], r);
    }
    return count;
}

/* Behind the gate. As patient as it takes: the changes are those of others, too. */
static void run_group(struct kfl__catalog *catalog, struct waiting_change **group, size_t count)
{
    int32_t patience = kfl__patience_set(-1);
    size_t together = count;
    while (together > 0) {
        size_t spoiler = run_together(catalog, group, together);
        if (spoiler == together)
            break;
        struct waiting_change *taken_out = group[spoiler];
        memmove(group + spoiler, group + spoiler + 1, (count - spoiler - 1) * sizeof *group);
        group[count - 1] = taken_out;
        together--;
    }
    for (size_t i = together; i < count; i++)
        run_together(catalog, group + i, 1);
    kfl__patience_set(patience);
}

static size_t take_group(struct kfl__catalog *catalog, struct waiting_change **group)
    KFL_REQUIRES(catalog->guard);

/* Cuts at most GROUP_MAX from the front of the queue. */
static size_t take_group(struct kfl__catalog *catalog, struct waiting_change **group)
{
    size_t count = 0;
    while (count < GROUP_MAX && catalog->first != NULL) {
        group[count] = catalog->first;
        group[count++]->taken = true;
        catalog->first = catalog->first->next;
    }
    if (catalog->first == NULL)
        catalog->end = &catalog->first;
    return count;
}

static int lead(struct kfl__catalog *catalog) KFL_REQUIRES(catalog->guard);

/* One group, holding the guard, which is given up meanwhile: 0; KFL_E_INTR when the gate was not passed. */
KFL_UNCHECKED static int lead(struct kfl__catalog *catalog)
{
    struct waiting_change *group[GROUP_MAX];
    bool entered;
    assert(!catalog->leading && catalog->first != NULL);
    catalog->leading = true;
    catalog->leader = pthread_self();
    kfl__mutex_unlock(&catalog->guard);
    int r = kfl__gate_enter(catalog->writers, KFL_RANK_CATALOG, &entered);
    kfl__mutex_lock(&catalog->guard);
    if (r == 0) {
        size_t count = take_group(catalog, group);
        kfl__mutex_unlock(&catalog->guard);
        run_group(catalog, group, count);
        kfl__gate_leave(catalog->writers, KFL_RANK_CATALOG, entered);
        kfl__mutex_lock(&catalog->guard);
        for (size_t i = 0; i < count; i++)
            group[i]->done = true;
    }
    catalog->leading = false;
    kfl__condition_broadcast(&catalog->moved);
    return r;
}

static void take_back(struct kfl__catalog *catalog, const struct waiting_change *mine)
    KFL_REQUIRES(catalog->guard);

static void take_back(struct kfl__catalog *catalog, const struct waiting_change *mine)
{
    struct waiting_change **at = &catalog->first;
    while (*at != mine)
        at = &(*at)->next;
    *at = mine->next;
    if (*at == NULL)
        catalog->end = at;
}

int kfl__catalog_change_run(struct kfl__catalog *catalog, kfl__catalog_change *change,
                            void *context)
{
    assert(kfl__lock_highest_rank() < KFL_RANK_CATALOG);
    if (catalog->options.read_only)
        return kfl__fail(KFL_E_READ_ONLY, "catalog %s: opened read-only", catalog->path);

    struct waiting_change mine = {.change = change, .context = context};
    struct kfl__patience_wait wait;
    int r = 0;
    kfl__patience_begin(&wait, catalog, -1);
    kfl__mutex_lock(&catalog->guard);
    *catalog->end = &mine;
    catalog->end = &mine.next;
    while (!mine.done) {
        if (catalog->leading) {
            /* A change may not run another one: it would wait for itself. */
            assert(!pthread_equal(catalog->leader, pthread_self()));
            int64_t until = mine.taken ? -1 : wait.until_ns;
            bool late =
                kfl__condition_wait(&catalog->moved, &catalog->guard, until) == KFL_WAIT_TIMEOUT;
            r = mine.taken || mine.done ? 0 : kfl__patience_end(&wait, late);
        } else {
            r = lead(catalog);
        }
        if (r < 0) {
            take_back(catalog, &mine);
            break;
        }
    }
    kfl__mutex_unlock(&catalog->guard);
    if (r < 0)
        return r;
    if (mine.result < 0)
        kfl__error_restore(&mine.words);
    return mine.result;
}
