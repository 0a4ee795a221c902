/* SPDX-License-Identifier: MIT */
/*
 * Wake and wait for records.
 *
 * Nothing here can be lost: a sleeper reads the value of its word, leaves its bits, fences, looks for
 * records, and only then sleeps while the word still has that value. An append publishes, fences, and
 * looks for bits. One of the two sees the other.
 */
#include "engine/notify.h"

#include <stdint.h>

#include "base/wait.h"

static uint32_t notify_bit(const struct kfl__core *core)
{
    return (uint32_t)core->presence.entry % 32;
}

_Atomic uint32_t *kfl__notify_word(struct kfl__core *core)
{
    return &core->shared->arrivals[notify_bit(core)].word;
}

void kfl__notify_register(struct kfl__core *core, struct kfl__slot *slot)
{
    uint32_t bit = UINT32_C(1) << notify_bit(core);
    if ((atomic_load_explicit(&slot->sleepers, memory_order_relaxed) & bit) == 0)
        atomic_fetch_or_explicit(&slot->sleepers, bit, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
}

void kfl__notify_wake(struct kfl__core *core, struct kfl__slot *slot)
{
    uint32_t bits = atomic_exchange_explicit(&slot->sleepers, 0, memory_order_acq_rel);
    for (; bits != 0; bits &= bits - 1) {
        _Atomic uint32_t *word = &core->shared->arrivals[__builtin_ctz(bits)].word;
        atomic_fetch_add_explicit(word, 1, memory_order_release);
        kfl__wake(word, INT32_MAX);
    }
}

void kfl__notify_wake_process(struct kfl__core *core)
{
    _Atomic uint32_t *word = kfl__notify_word(core);
    atomic_fetch_add_explicit(word, 1, memory_order_release);
    kfl__wake(word, INT32_MAX);
}
