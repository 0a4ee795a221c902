/* SPDX-License-Identifier: MIT */
/*
 * Process descriptors and a bell, under poll().
 *
 * The kernel makes a process descriptor readable when the whole process has ended, after it has
 * freed its locks: what is found then is what it has left.
 */
#include "base/watch.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"

#define WATCH_MAX 64

int kfl__watch_process(int32_t pid)
{
    assert(pid > 0);
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

int kfl__watch_make_bell(void)
{
    return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

void kfl__watch_ring(int bell)
{
    uint64_t one = 1;
    if (bell >= 0 && write(bell, &one, sizeof one) < 0)
        return; /* it rings already, and so loud that nothing is added */
}

int kfl__watch_wait(int bell, const int *processes, int32_t count, int32_t timeout_ms)
{
    struct pollfd fds[WATCH_MAX + 1] = {{.fd = bell, .events = POLLIN}};
    uint64_t rung;
    assert(count >= 0 && count <= WATCH_MAX);
    for (int32_t i = 0; i < count; i++)
        fds[i + 1] = (struct pollfd){.fd = processes[i], .events = POLLIN};
    if (poll(fds, (nfds_t)count + 1, timeout_ms) <= 0)
        return 0;
    if (fds[0].revents != 0 && read(bell, &rung, sizeof rung) < 0)
        rung = 0;
    for (int32_t i = 0; i < count; i++)
        if (fds[i + 1].revents != 0)
            return 1;
    return 0;
}
