/* SPDX-License-Identifier: MIT */
/* What a partition is at this moment, and its end. */
#include "engine/partition.h"

#include "base/memory.h"
#include "base/wait.h"
#include "engine/topics.h"

void kfl__partition_tail(struct kfl__partition *partition, uint64_t *out_word,
                         int64_t *out_end_offset)
{
    kfl__slot_tail(partition->slot, out_word, out_end_offset);
}

bool kfl__partition_exists(const struct kfl__partition *partition)
{
    return kfl__slot_is(partition->slot, partition->topic->id, (uint32_t)partition->number,
                        partition->incarnation);
}

int kfl__partition_gone(const struct kfl__partition *partition)
{
    kfl__fail(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, "topic %s was deleted", partition->topic->name);
    return kfl__fail_at(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, partition->topic->name, partition->number,
                        -1);
}

void kfl__partition_active(struct kfl__partition *partition, int64_t *out_id,
                           int64_t *out_base_offset)
{
    struct kfl__slot *slot = partition->slot;
    for (int spins = 0;; spins++) {
        int64_t id = atomic_load_explicit(&slot->active.id, memory_order_acquire);
        int64_t base = atomic_load_explicit(&slot->active_base_offset, memory_order_acquire);
        bool rolling = id == 0 && atomic_load_explicit(&slot->published, memory_order_acquire) != 0;
        if (!rolling && atomic_load_explicit(&slot->active.id, memory_order_acquire) == id) {
            *out_id = id;
            *out_base_offset = base;
            return;
        }
        /* Long for a roll: its owner may have died in it, and taking the lock mends that. */
        if (spins > 1000 && !partition->core->read_only && kfl__partition_lock(partition, -1) == 0)
            kfl__partition_unlock(partition);
        else if (spins > 100000 && partition->core->read_only) {
            *out_id = 0; /* what can be read without writing ends at the last manifest row */
            *out_base_offset = 0;
            return;
        }
        kfl__relax();
    }
}

void kfl__partition_destroy(struct kfl__partition *partition)
{
    if (partition == NULL)
        return;
    kfl__view_release(partition->view);
    kfl__segment_release(partition->writing);
    kfl__segment_release(partition->writing_next);
    kfl__partition_drop_kept(partition);
    kfl__segment_release(partition->syncing);
    kfl__mutex_destroy(&partition->view_lock);
    kfl__free(partition);
}
