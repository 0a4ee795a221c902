/* SPDX-License-Identifier: MIT */
/* Taking and leaving a seat: one compare-and-swap each, in memory that processes share. */
#include "state/seat.h"

#include "base/check.h"

int32_t kfl__seat_take(struct kfl__seat *seats, uint64_t owner, uint64_t session)
{
    assert(owner > KFL_SEAT_RESERVED);
    for (int32_t number = 0; number < KFL_SEATS_MAX; number++) {
        struct kfl__seat *seat = &seats[number];
        uint64_t free = 0;
        if (atomic_load_explicit(&seat->owner, memory_order_relaxed) != 0 ||
            !atomic_compare_exchange_strong(&seat->owner, &free, KFL_SEAT_RESERVED))
            continue;
        atomic_store(&seat->deadline_ns, INT64_MAX);
        atomic_store(&seat->generation, -1);
        atomic_store(&seat->session, session);
        /* Last: who is found in a seat is found with its process. */
        atomic_store_explicit(&seat->owner, owner, memory_order_release);
        return number;
    }
    return -1;
}

void kfl__seat_leave(struct kfl__seat *seats, uint32_t number, uint64_t owner)
{
    if (number >= KFL_SEATS_MAX || owner == 0)
        return;
    /* Raised first: a member that hangs looks at its row when it wakes, not at another one's. */
    if (kfl__seat_is(&seats[number], owner))
        atomic_fetch_add(&seats[number].version, 1);
    (void)atomic_compare_exchange_strong(&seats[number].owner, &owner, 0);
}
