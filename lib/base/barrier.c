/* SPDX-License-Identifier: MIT */
/* Barriers for others: membarrier(2). */
#include "base/barrier.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

_Atomic int kfl__barrier_is_joined;

/* What leaves a processor's store buffer within a microsecond, or at the next interrupt, has left it by then. */
#define BARRIER_REFUSED_NS 20000000

static bool barrier_call(int command)
{
    return syscall(SYS_membarrier, command, 0, 0) == 0;
}

void kfl__barrier_join(void)
{
    if (!kfl__barrier_joined() && barrier_call(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED))
        atomic_store_explicit(&kfl__barrier_is_joined, 1, memory_order_release);
}

/* A signal that comes in between must not make it shorter. */
static void barrier_wait(void)
{
    struct timespec rest = {.tv_nsec = BARRIER_REFUSED_NS};
    while (nanosleep(&rest, &rest) != 0 && errno == EINTR)
        ;
}

void kfl__barrier_all(void)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (!barrier_call(MEMBARRIER_CMD_GLOBAL_EXPEDITED))
        barrier_wait();
    atomic_thread_fence(memory_order_seq_cst);
}
