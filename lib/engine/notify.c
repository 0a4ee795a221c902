/* SPDX-License-Identifier: MIT */
/*
 * Wake and wait for records.
 *
 * Nothing here can be lost: a sleeper reads the value of its word, says that it sleeps, leaves its bits,
 * fences, looks for records, and only then sleeps while the word still has that value. An append publishes,
 * fences, and looks for bits. One of the two sees the other. Who wakes takes the word that somebody sleeps
 * before it raises the value: who says so afterwards has read the new value, and who is missed by the
 * call has not.
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

uint32_t kfl__notify_begin(struct kfl__core *core)
{
    uint32_t n = notify_bit(core);
    uint32_t value = atomic_load_explicit(&core->shared->arrivals[n].word, memory_order_acquire);
    atomic_store(&core->shared->arrivals[n].sleeps, 1);
    return value;
}

bool kfl__notify_register(struct kfl__core *core, struct kfl__slot *slot)
{
    uint32_t bit = UINT32_C(1) << notify_bit(core);
    if ((atomic_load(&slot->sleepers) & bit) == 0)
        (void)atomic_fetch_or(&slot->sleepers, bit);
    return kfl__lendable_is_lent(&slot->append);
}

/* One call for all who sleep there, and none when nobody has said so since the last one. */
static void notify_raise_word(struct kfl__core *core, uint32_t n)
{
    _Atomic uint32_t *word = &core->shared->arrivals[n].word;
    uint32_t sleeps = atomic_exchange(&core->shared->arrivals[n].sleeps, 0);
    atomic_fetch_add_explicit(word, 1, memory_order_acq_rel);
    if (sleeps != 0)
        kfl__wake(word, INT32_MAX);
}

void kfl__notify_wake_words(struct kfl__core *core, uint32_t bits)
{
    for (; bits != 0; bits &= bits - 1)
        notify_raise_word(core, (uint32_t)__builtin_ctz(bits));
}

void kfl__notify_wake(struct kfl__core *core, struct kfl__slot *slot)
{
    /* Who sleeps between records would have to make the fence each time. */
    kfl__lendable_keep_company(&slot->append);
    kfl__notify_wake_words(core, atomic_exchange_explicit(&slot->sleepers, 0, memory_order_acq_rel));
}

void kfl__notify_wake_process(struct kfl__core *core)
{
    notify_raise_word(core, notify_bit(core));
}
