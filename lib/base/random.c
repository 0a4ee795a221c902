/* SPDX-License-Identifier: MIT */
/* Random bytes for seeds, epochs and names: they must differ, they need not be secret. */
#include "base/random.h"

#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"

/* One step of splitmix64: neighbouring inputs give unrelated outputs. */
static uint64_t scramble(uint64_t value)
{
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
    value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
    return value ^ (value >> 31);
}

void kfl__random_bytes(void *bytes, size_t size)
{
    unsigned char *to = bytes;
    while (size > 0) {
        size_t step;
        ssize_t got = getrandom(to, size, GRND_NONBLOCK);
        if (got > 0) {
            step = (size_t)got;
        } else {
            /* Interrupted, too early in the boot, or forbidden by a sandbox. */
            uint64_t mixed = scramble((uint64_t)kfl__clock_steady_ns() ^ (uint64_t)getpid() << 40 ^
                                      (uint64_t)(uintptr_t)to << 8);
            step = size < sizeof mixed ? size : sizeof mixed;
            memcpy(to, &mixed, step);
        }
        to += step;
        size -= step;
    }
}

uint64_t kfl__random64(void)
{
    uint64_t value;
    kfl__random_bytes(&value, sizeof value);
    return value;
}
