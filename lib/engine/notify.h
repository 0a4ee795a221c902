/* SPDX-License-Identifier: MIT */
/*
 * Wake and wait for records, across processes (R5). A consumer sleeps on the word of its process in the
 * state file, and leaves its bit at each slot that it waits for; an append that finds bits takes them and
 * raises the words. A killed sleeper leaves bits, and one system call for all of them.
 */
#ifndef KFL_ENGINE_NOTIFY_H
#define KFL_ENGINE_NOTIFY_H

#include <stdatomic.h>

#include "base/barrier.h"
#include "engine/core.h"
#include "state/slot.h"

void kfl__notify_wake(struct kfl__core *core, struct kfl__slot *slot);

/* After publishing, without a lock. No system call when nobody sleeps. */
static inline void kfl__notify_raise(struct kfl__core *core, struct kfl__slot *slot)
{
    /*
     * Between the publishing store and this load: a sleeper sets its bit, fences, and looks at the word. On x86 the
     * unlock in between is a locked instruction, and so a fence already; where the lock is lent (base/loan), the sleeper
     * makes the fence for both.
     */
#if defined(__x86_64__) && !defined(KFL_THREAD_SANITIZER)
    atomic_signal_fence(memory_order_seq_cst);
#else
    atomic_thread_fence(memory_order_seq_cst);
#endif
    if (KFL_UNLIKELY(atomic_load_explicit(&slot->sleepers, memory_order_relaxed) != 0))
        kfl__notify_wake(core, slot);
}

/* Who sleeps on these words: bit n is that of the processes whose entry % 32 is n. */
void kfl__notify_wake_words(struct kfl__core *core, uint32_t bits);
/* Everybody of this process who sleeps in the store: a wakeup, a close. */
void kfl__notify_wake_process(struct kfl__core *core);

/* The word of this process. It changes with each raise, whether or not somebody sleeps. */
_Atomic uint32_t *kfl__notify_word(struct kfl__core *core);
/*
 * To sleep: begin, which tells the value to sleep on; leave our bit at each slot; fence; look for records
 * once more; kfl__wait() on the word.
 */
uint32_t kfl__notify_begin(struct kfl__core *core);
/* true: somebody appends there without a fence. */
bool kfl__notify_register(struct kfl__core *core, struct kfl__slot *slot);
/* lent: of any of the slots that our bit was left at; then the fence is made for those who append. */
static inline void kfl__notify_fence(bool lent)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (lent)
        kfl__barrier_all();
}

#endif
