/* SPDX-License-Identifier: MIT */
/*
 * A gate before each of LMDB's two mutexes, in memory that all processes of the store share.
 *
 * LMDB's are robust mutexes of the C library, whose waiters can sleep for ever: giving one back wakes one
 * waiter; if that one is killed before it runs, and somebody else has taken the mutex meanwhile, without a
 * thought of waiters, then nobody wakes the others, though the mutex is free or its owner dead. Our own
 * locks look again now and then (base/lock), and LMDB's do not. So no more than two ever ask for LMDB's
 * mutex: who is through the gate, and who joins the store and does not know the gate yet, of which there
 * is one at a time (LOCK, byte 0). A waiter that is killed then leaves no other behind.
 */
#ifndef KFL_CATALOG_GATE_H
#define KFL_CATALOG_GATE_H

#include <stdbool.h>

#include "base/error.h"
#include "base/lock.h"

/*
 * 0, or KFL_E_INTR (base/patience). *out_entered is false when there is no gate (a store that is not shared, or being
 * joined), or it was overwritten: then go on without it.
 */
static inline int kfl__gate_enter(struct kfl__robust *gate, enum kfl__rank rank, bool *out_entered)
{
    *out_entered = false;
    if (gate == NULL)
        return 0;
    int r = kfl__robust_lock(gate, rank, -1);
    if (r == KFL_LOCK_OWNER_DIED)
        kfl__robust_mended(gate); /* it guards nothing of ours: LMDB mends what is behind it */
    *out_entered = r >= 0;
    return r == KFL_E_INTR ? r : 0;
}

static inline void kfl__gate_leave(struct kfl__robust *gate, enum kfl__rank rank, bool entered)
{
    if (entered)
        kfl__robust_unlock(gate, rank);
}

#endif
