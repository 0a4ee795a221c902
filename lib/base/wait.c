/* SPDX-License-Identifier: MIT */
/*
 * Sleeping on a word: the futex calls, never the private ones, since the word may lie in a file
 * that several processes map.
 */
#include "base/wait.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"

_Static_assert(sizeof(_Atomic uint32_t) == 4, "what the kernel compares");

int kfl__wait(_Atomic uint32_t *word, uint32_t expected, int64_t deadline_ns)
{
    return kfl__wait_for(word, expected, FUTEX_BITSET_MATCH_ANY, deadline_ns);
}

int kfl__wait_for(_Atomic uint32_t *word, uint32_t expected, uint32_t kinds, int64_t deadline_ns)
{
    assert(deadline_ns >= -1 && kinds != 0);
    /*
     * "For ever" is a deadline too, in some 292 years: only a wait with a deadline is interrupted
     * by a signal whose handler was installed with SA_RESTART.
     */
    if (deadline_ns < 0)
        deadline_ns = INT64_MAX;
    struct timespec deadline = {.tv_sec = deadline_ns / 1000000000,
                                .tv_nsec = deadline_ns % 1000000000};
    /* Unlike FUTEX_WAIT, this one takes the deadline itself, on the steady clock. */
    if (syscall(SYS_futex, word, FUTEX_WAIT_BITSET, expected, &deadline, NULL, kinds) == 0)
        return 0;
    switch (errno) {
    case EAGAIN:
        return 0;
    case ETIMEDOUT:
        return KFL_WAIT_TIMEOUT;
    case EINTR:
        return kfl__fail(KFL_E_INTR, "a signal arrived while waiting");
    default:
        return kfl__fail_errno(KFL_E_BUG, errno, "cannot sleep on a word at %p", (void *)word);
    }
}

void kfl__wake(_Atomic uint32_t *word, int32_t count)
{
    assert(count > 0);
    syscall(SYS_futex, word, FUTEX_WAKE, count, NULL, NULL, 0);
}

void kfl__wake_those(_Atomic uint32_t *word, uint32_t kinds, int32_t count)
{
    assert(count > 0 && kinds != 0);
    syscall(SYS_futex, word, FUTEX_WAKE_BITSET, count, NULL, NULL, kinds);
}

int kfl__event_open(int *out_fd)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return kfl__fail_errno(KFL_E_IO, errno, "cannot make an event descriptor");
    *out_fd = fd;
    return 0;
}

void kfl__event_raise(int fd)
{
    /* EAGAIN: the counter is full, and readable too. */
    (void)eventfd_write(fd, 1);
}

void kfl__event_clear(int fd)
{
    eventfd_t count;
    /* EAGAIN: it was clear. */
    (void)eventfd_read(fd, &count);
}

static pthread_once_t wait_once = PTHREAD_ONCE_INIT;
static bool wait_spins;

static void wait_count_processors(void)
{
    /* Not the processors of the calling thread: it may be bound to one of its own. */
    wait_spins = sysconf(_SC_NPROCESSORS_ONLN) > 1;
}

bool kfl__spins(void)
{
    (void)pthread_once(&wait_once, wait_count_processors);
    return wait_spins;
}
