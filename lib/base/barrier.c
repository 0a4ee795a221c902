/* SPDX-License-Identifier: MIT */
/* Barriers for others: membarrier(2). */
#include "base/barrier.h"

#include <linux/membarrier.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* A child of fork() has it from its parent, as the kernel's word of it. */
static _Atomic int joined;

/* What leaves a processor's store buffer within a microsecond, or at the next interrupt, has left it by then. */
#define BARRIER_REFUSED_NS 20000000

static bool barrier_call(int command)
{
    return syscall(SYS_membarrier, command, 0, 0) == 0;
}

void kfl__barrier_join(void)
{
    if (atomic_load_explicit(&joined, memory_order_relaxed) == 0 &&
        barrier_call(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED))
        atomic_store_explicit(&joined, 1, memory_order_release);
}

bool kfl__barrier_joined(void)
{
    return atomic_load_explicit(&joined, memory_order_acquire) != 0;
}

void kfl__barrier_all(void)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (!barrier_call(MEMBARRIER_CMD_GLOBAL_EXPEDITED))
        (void)nanosleep(&(struct timespec){.tv_nsec = BARRIER_REFUSED_NS}, NULL);
    atomic_thread_fence(memory_order_seq_cst);
}
