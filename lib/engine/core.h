/* SPDX-License-Identifier: MIT */
/*
 * What one process holds of one open store. Every module of the engine is handed it; api/store opens and
 * closes it. It lives until the last handle on it is closed; what it has open goes when the last store
 * handle closes, and everything that is still called then answers KFL_E_CLOSED.
 */
#ifndef KFL_ENGINE_CORE_H
#define KFL_ENGINE_CORE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/count.h"
#include "base/error.h"
#include "base/lock.h"
#include "catalog/catalog.h"
#include "config/config.h"
#include "state/state.h"

struct kfl__topic;
struct kfl__caller;
struct maintain;
struct listeners;
struct hands;

struct kfl__core {
    struct kfl__count count;

    /* constant after open */
    int directory; /* the store's folder */
    char *path;
    uint64_t device, inode;
    kfl_config *config;
    const struct kfl__settings *settings;
    struct kfl__catalog *catalog;
    struct kfl__state *state;
    struct kfl__state_header *shared;
    uint8_t store_id[16];
    bool read_only;
    bool by_file; /* copy-on-write file system: never store through a map (R25) */
    bool memory;  /* ":memory:": the folder goes at close */
    bool detached; /* read-only with nobody writing: no state file, no presence */
    const volatile uint8_t *fork_page; /* zero in a child */

    struct kfl__presence presence;
    struct kfl__clock clock;

    /* guarded by registry */
    struct kfl__mutex registry;
    struct kfl__topic *topic_list;

    /* engine/callers */
    struct kfl__mutex callers_lock; /* guards: */
    struct kfl__caller *callers;

    /* atomic */
    _Atomic int closing;    /* 1: calls are refused; 2: also those that were under way */
    _Atomic int topics_synced; /* the name of the folder of topics is durable */
    _Atomic int making_room; /* engine/room is at it */
    /*
     * Calls that use the catalog or wait, but for those of handles that count them (engine/callers); the close waits for
     * them. Away from the rest, since such calls write it and each append reads what stands around.
     */
    char away_before[64];
    _Atomic int32_t inside;
    char away_behind[64];

    _Atomic int members_away; /* some group may have a member that is away, or has left and could not say so */
    _Atomic int64_t expiry_due_ms; /* when committed offsets are looked at again; 0: not known yet */
    void *lookout;   /* engine/lookout */
    void *committer; /* engine/committer */

    /* the helper: engine/janitor */
    pthread_t helper;
    bool helper_runs;
    void *janitor;
    struct maintain *maintain; /* engine/maintain */
    _Atomic(struct hands *) hands; /* engine/hands */
    _Atomic(struct listeners *) listeners; /* engine/listener */
};

/* Would kfl__core_check() answer 0? */
static inline bool kfl__core_check_quickly(const struct kfl__core *core)
{
    return core->fork_page[0] != 0 && atomic_load_explicit(&core->closing, memory_order_relaxed) == 0;
}

/* 0, KFL_E_FORKED or KFL_E_CLOSED: the first line of every public call. */
static inline int kfl__core_check(const struct kfl__core *core)
{
    if (KFL_UNLIKELY(core->fork_page[0] == 0))
        return kfl__fail(KFL_E_FORKED, "%s was opened before fork(): open the store anew in the child", core->path);
    if (KFL_UNLIKELY(atomic_load_explicit(&core->closing, memory_order_relaxed) != 0))
        return kfl__fail(KFL_E_CLOSED, "the store %s is closed", core->path);
    return 0;
}

/*
 * The same for a call that may wait or use the catalog: the close waits until it has left. Appends do
 * without on their fast path, since they look at `closing` under the append lock.
 */
static inline int kfl__core_enter(struct kfl__core *core)
{
    atomic_fetch_add(&core->inside, 1);
    int r = kfl__core_check(core);
    if (KFL_UNLIKELY(r < 0))
        atomic_fetch_sub(&core->inside, 1);
    return r;
}

static inline void kfl__core_leave(struct kfl__core *core)
{
    atomic_fetch_sub(&core->inside, 1);
}

static inline int kfl__core_check_writable(const struct kfl__core *core)
{
    int r = kfl__core_check(core);
    if (r == 0 && core->read_only)
        r = kfl__fail(KFL_E_READ_ONLY, "the store %s is open for reading only", core->path);
    return r;
}

#endif
