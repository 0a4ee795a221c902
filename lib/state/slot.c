/* SPDX-License-Identifier: MIT */
/*
 * A slot as a new incarnation finds it: numbers 0, or -1 where 0 would say something, locks free.
 *
 * Only for a slot that nobody else uses: a lock that somebody waits for cannot be made anew.
 */
#include "state/slot.h"

#include <string.h>

#include "base/check.h"

void kfl__slot_clear(struct kfl__slot *slot)
{
    /* Whoever still holds a pointer to the former incarnation must find it gone first of all. */
    (void)atomic_exchange(&slot->topic_id, 0);
    memset(slot, 0, sizeof *slot);
    atomic_store_explicit(&slot->active_first_timestamp_ms, -1, memory_order_relaxed);
    atomic_store_explicit(&slot->sync_target, -1, memory_order_relaxed);
    /* With attributes that this C library has, initialising cannot fail. */
    int r = kfl__robust_init(&slot->append) | kfl__robust_init(&slot->sync) |
            kfl__robust_init(&slot->prepare);
    assert(r == 0);
    (void)r;
}
