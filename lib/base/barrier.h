/* SPDX-License-Identifier: MIT */
/*
 * A memory barrier on every processor at once, so that one side of a handshake needs none: who does a thing all the time
 * orders its store and its load for the compiler only, and who wants to be seen by it does this in between.
 */
#ifndef KFL_BASE_BARRIER_H
#define KFL_BASE_BARRIER_H

#include <stdatomic.h>
#include <stdbool.h>

/*
 * Let other processes' barriers reach this one. Cheap while the process has one thread; waits some 10 ms else, and only the
 * first time. Any thread.
 */
void kfl__barrier_join(void);
/* A child of fork() has it from its parent, as the kernel's word of it; exec() ends both. */
extern _Atomic int kfl__barrier_is_joined __attribute__((visibility("hidden")));
/* Do they? Never, where the kernel does not have it. */
static inline bool kfl__barrier_joined(void)
{
    return atomic_load_explicit(&kfl__barrier_is_joined, memory_order_relaxed) != 0;
}

/*
 * Behind it, each thread of the processes that joined has passed a barrier since it began. Some microseconds, and an interrupt
 * for each of them that runs. A kernel that refuses it (a sandbox) makes this wait, far longer than a store can stay unseen.
 */
void kfl__barrier_all(void);

#endif
