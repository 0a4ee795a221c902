/* SPDX-License-Identifier: MIT */
/* Brings about what somebody who held the append lock found missing, without it. */
#include "engine/partition.h"

#include "engine/room.h"

#define load_relaxed(word) atomic_load_explicit(word, memory_order_relaxed)

static int provide_once(struct kfl__partition *partition, int need,
                        const struct kfl__payload *payload, const struct kfl__append *how,
                        int64_t deadline_ns)
{
    struct kfl__slot *slot = partition->slot;
    switch (need) {
    case KFL_NEEDS_FILL:
        return kfl__partition_recovered(partition);
    case KFL_NEEDS_MENDING:
        return kfl__partition_replace_tail(partition);
    case KFL_NEEDS_FLOOR:
        return kfl__partition_raise_floor(partition,
                                          load_relaxed(&slot->end_offset) + payload->record_count);
    case KFL_NEEDS_FILE: {
        /* Damage costs what was damaged (P6), and not the records to come. */
        int64_t id = atomic_load(&slot->active.id);
        int r = kfl__partition_open_for_append(partition, false, deadline_ns);
        return r == KFL_E_CORRUPT && id != 0 ? kfl__partition_leave_file(partition, id) : r;
    }
    default: {
        /* For no record, as retention rolls, nobody is made to go: it is retention that would do it. */
        uint64_t room = payload->record_count > 0 ? kfl__batch_room(payload->size) : 0;
        int r = kfl__partition_prepare(partition, how->settings, room, deadline_ns);
        if (r < 0)
            return r;
        int64_t id = atomic_load(&slot->next.id);
        r = kfl__partition_open_for_append(partition, true, deadline_ns);
        return r == KFL_E_CORRUPT && id != 0 ? kfl__partition_spurn_next(partition, id, deadline_ns)
                                             : r;
    }
    }
}

int kfl__partition_provide(struct kfl__partition *partition, int need,
                           const struct kfl__payload *payload, const struct kfl__append *how,
                           int64_t deadline_ns)
{
    kfl__room_make(partition->core);
    int r = provide_once(partition, need, payload, how, deadline_ns);
    if (r < 0 && kfl__room_is_short(r) && kfl__room_force(partition->core))
        r = provide_once(partition, need, payload, how, deadline_ns);
    return r;
}
