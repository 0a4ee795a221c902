/* SPDX-License-Identifier: MIT */
/*
 * Maps and descriptors that are given back when a process is short of them.
 *
 * The helper gives back what was idle for long; here it is what was idle since the last visit, and if that does not
 * suffice, what was not. Never what somebody reads (R27), and a file that this process has stored into only once its
 * bytes are durable (R7): it is synced first. Whoever opens files does this work, so it keeps step with them.
 */
#include "engine/room.h"

#include <errno.h>

#include "engine/sync.h"
#include "engine/topics.h"

/* For one partition: somebody else may be leading its sync. */
#define ROOM_SYNC_MS 10000

struct room {
    struct kfl__segment_use goal; /* enough went once no more than this is open */
    bool all;                     /* also what was used since the last visit */
};

static bool room_is_enough(const struct room *room)
{
    struct kfl__segment_use use, limit;
    kfl__segment_use(&use, &limit);
    return use.maps <= room->goal.maps && use.descriptors <= room->goal.descriptors;
}

static void room_take_written(const struct room *room, struct kfl__partition *partition)
{
    struct kfl__slot *slot = partition->slot;
    int64_t end = kfl__slot_end(slot);
    bool idle = atomic_exchange(&partition->room_offset, end) == end;
    if (atomic_load(&partition->holds_files) == 0 || !(idle || room->all))
        return;
    /* A sync that fails is told to those who append there, by the mark that it leaves. */
    if (atomic_load(&slot->durable_offset) < end)
        (void)kfl__sync_wait(partition, end, kfl__clock_deadline_ns(ROOM_SYNC_MS));
    kfl__partition_rest(partition);
}

static void room_take_read(const struct room *room, struct kfl__partition *partition)
{
    kfl__mutex_lock(&partition->view_lock);
    uint64_t uses = partition->view_uses;
    kfl__mutex_unlock(&partition->view_lock);
    uint64_t seen = atomic_exchange(&partition->room_uses, uses);
    (void)kfl__partition_give_back(partition, room->all ? UINT64_MAX : seen + 1);
}

/* KFL_E_TIMEOUT: that is enough. */
static int room_visit(struct kfl__topic *topic, void *context)
{
    const struct room *room = context;
    const struct kfl__topic_shape *shape = kfl__topic_shape(topic);
    for (int32_t i = 0; i < shape->partition_count; i++) {
        struct kfl__partition *partition = atomic_load_explicit(
            &((struct kfl__topic_shape *)(uintptr_t)shape)->partitions[i], memory_order_acquire);
        if (partition == NULL || atomic_load(&partition->slot->ready) != KFL_SLOT_READY)
            continue;
        if (room_is_enough(room))
            return KFL_E_TIMEOUT;
        room_take_read(room, partition);
        if (!topic->core->read_only && kfl__partition_exists(partition))
            room_take_written(room, partition);
    }
    return 0;
}

static void room_give_back(struct kfl__core *core, struct kfl__segment_use goal)
{
    struct room room = {.goal = goal};
    struct kfl__words words;
    kfl__error_save(&words);
    (void)kfl__topics_visit_open(core, room_visit, &room);
    room.all = true;
    if (!room_is_enough(&room))
        (void)kfl__topics_visit_open(core, room_visit, &room);
    kfl__error_restore(&words);
}

void kfl__room_make(struct kfl__core *core)
{
    struct kfl__segment_use use, limit;
    if (KFL_LIKELY(!kfl__segment_crowded(8)))
        return;
    if (atomic_exchange(&core->making_room, 1) != 0)
        return; /* the limits leave room enough for those who do not wait */
    kfl__segment_use(&use, &limit);
    room_give_back(core, (struct kfl__segment_use){limit.maps / 8 * 7, limit.descriptors / 8 * 7});
    atomic_store(&core->making_room, 0);
}

bool kfl__room_is_short(int r)
{
    int errnum = kfl_last_error_errno();
    return r == KFL_E_NOMEM || (r == KFL_E_IO && (errnum == EMFILE || errnum == ENFILE));
}

bool kfl__room_force(struct kfl__core *core)
{
    struct kfl__segment_use before, after, limit;
    kfl__segment_learn_limits();
    kfl__segment_use(&before, &limit);
    room_give_back(core,
                   (struct kfl__segment_use){before.maps / 4 * 3, before.descriptors / 4 * 3});
    kfl__segment_use(&after, &limit);
    return after.maps < before.maps;
}
