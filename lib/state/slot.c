/* SPDX-License-Identifier: MIT */
/*
 * A slot as a new incarnation finds it, and two words of one moment without a lock.
 *
 * Numbers are 0, or -1 where 0 would say something, and locks free: only for a slot that nobody else
 * uses, since a lock that somebody waits for cannot be made anew: there the locks are kept.
 */
#include "state/slot.h"

#include <string.h>

#include "base/check.h"
#include "base/wait.h"

void kfl__slot_clear(struct kfl__slot *slot)
{
    /* Whoever still holds a pointer to the former incarnation must find it gone first of all. */
    (void)atomic_exchange(&slot->topic_id, 0);
    memset(slot, 0, sizeof *slot);
    atomic_store_explicit(&slot->active_first_timestamp_ms, -1, memory_order_relaxed);
    atomic_store_explicit(&slot->sync_target, -1, memory_order_relaxed);
    /* With attributes that this C library has, initialising cannot fail. */
    int r = kfl__lendable_init(&slot->append) | kfl__robust_init(&slot->sync) |
            kfl__robust_init(&slot->prepare);
    assert(r == 0);
    (void)r;
}

/* Word by word: somebody may be looking. */
static void slot_zero(struct kfl__slot *slot, size_t from, size_t to)
{
    _Atomic uint64_t *words = (_Atomic uint64_t *)(void *)((char *)slot + from);
    assert(from % sizeof *words == 0 && to % sizeof *words == 0);
    for (size_t i = 0; i < (to - from) / sizeof *words; i++)
        atomic_store_explicit(&words[i], 0, memory_order_relaxed);
}

void kfl__slot_reset(struct kfl__slot *slot)
{
    (void)atomic_exchange(&slot->topic_id, 0);
    slot_zero(slot, 0, offsetof(struct kfl__slot, append));
    slot_zero(slot, offsetof(struct kfl__slot, append) + sizeof slot->append, offsetof(struct kfl__slot, sync));
    slot_zero(slot, offsetof(struct kfl__slot, sync) + sizeof slot->sync, offsetof(struct kfl__slot, prepare));
    slot_zero(slot, offsetof(struct kfl__slot, prepare) + sizeof slot->prepare, sizeof *slot);
    atomic_store_explicit(&slot->active_first_timestamp_ms, -1, memory_order_relaxed);
    atomic_store_explicit(&slot->sync_target, -1, memory_order_relaxed);
}

void kfl__slot_tail(struct kfl__slot *slot, uint64_t *out_word, int64_t *out_end_offset)
{
    for (;;) {
        uint64_t word = atomic_load_explicit(&slot->published, memory_order_acquire);
        uint64_t before = atomic_load_explicit(&slot->pending_word, memory_order_acquire);
        int64_t end = atomic_load_explicit(&slot->pending_end_offset, memory_order_acquire);
        uint64_t after = atomic_load_explicit(&slot->pending_word, memory_order_acquire);
        if (before == word && after == word) {
            *out_word = word;
            *out_end_offset = end;
            return;
        }
        /* Somebody is about to publish, or died there: the older pair stands in the words themselves. */
        end = atomic_load_explicit(&slot->end_offset, memory_order_acquire);
        after = atomic_load_explicit(&slot->published, memory_order_acquire);
        if (after == word && before != word) {
            *out_word = word;
            *out_end_offset = end;
            return;
        }
        kfl__relax();
    }
}
