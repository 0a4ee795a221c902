/* SPDX-License-Identifier: MIT */
/*
 * Seats: what is live of the members of groups, shared by all processes.
 *
 * What a group is stands in the catalog. A seat tells its member that its row there has changed, so
 * that a poll looks at one word, and tells the others until when the member must have polled. It is
 * known by a random number, because the seat may have been given to somebody else meanwhile.
 */
#ifndef KFL_STATE_SEAT_H
#define KFL_STATE_SEAT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "state/presence.h"

#define KFL_SEATS_MAX 1024
#define KFL_SEAT_RESERVED 1 /* its next owner is about to tell who it is */

struct kfl__seat {
    _Alignas(
        32) _Atomic uint64_t owner; /* 0: free; the low bits are its process's presence entry */
    _Atomic uint64_t session;       /* of the process, as in its presence entry */
    _Atomic int64_t
        deadline_ns; /* steady: the next poll comes before it; written by the owner, seldom */
    _Atomic uint32_t version;   /* raised when the owner's row has changed */
    _Atomic int32_t generation; /* that the owner has taken over; -1: none */
};
_Static_assert(sizeof(struct kfl__seat) == 32, "in the state file");

/* An owner that no other member has had: random, and where its process is found. */
static inline uint64_t kfl__seat_owner(uint64_t random, uint32_t entry)
{
    return (random | (uint64_t)1 << 63) / KFL_PRESENCE_MAX * KFL_PRESENCE_MAX + entry;
}

static inline uint32_t kfl__seat_entry(uint64_t owner)
{
    return (uint32_t)(owner % KFL_PRESENCE_MAX);
}

/* Takes a free one for `owner`: its number, or -1 when all are taken. */
int32_t kfl__seat_take(struct kfl__seat *seats, uint64_t owner, uint64_t session);
/* Nothing happens when it is somebody else's by now. */
void kfl__seat_leave(struct kfl__seat *seats, uint32_t number, uint64_t owner);

static inline bool kfl__seat_is(const struct kfl__seat *seat, uint64_t owner)
{
    return atomic_load_explicit(&seat->owner, memory_order_acquire) == owner;
}

#endif
