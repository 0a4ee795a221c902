/* SPDX-License-Identifier: MIT */
/* Wall time: the coarse clock, unless a test has set it. Steady time: the fine one. */
#include "base/clock.h"

#include <time.h>

#include "base/check.h"

static inline struct timespec clock_now(clockid_t id)
{
    struct timespec now;
    int r = clock_gettime(id, &now);
    assert(r == 0);
    (void)r;
    return now;
}

static int64_t read_clock(clockid_t id)
{
    struct timespec now = clock_now(id);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void kfl__clock_init(struct kfl__clock *clock)
{
    atomic_init(&clock->set_ms, -1);
}

void kfl__clock_set(struct kfl__clock *clock, int64_t wall_ms)
{
    assert(wall_ms >= -1);
    atomic_store_explicit(&clock->set_ms, wall_ms, memory_order_relaxed);
}

KFL_INLINE_WHERE_SEEN int64_t kfl__clock_wall_ms(const struct kfl__clock *clock)
{
    int64_t set_ms = atomic_load_explicit(&clock->set_ms, memory_order_relaxed);
    if (KFL_UNLIKELY(set_ms >= 0))
        return set_ms;
    struct timespec now = clock_now(CLOCK_REALTIME_COARSE);
    return (int64_t)now.tv_sec * 1000 + (uint32_t)now.tv_nsec / 1000000;
}

int64_t kfl__clock_steady_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t kfl__clock_coarse_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t kfl__clock_deadline_ns(int64_t timeout_ms)
{
    assert(timeout_ms >= -1);
    if (timeout_ms < 0)
        return -1;
    int64_t now = kfl__clock_steady_ns();
    return timeout_ms > (INT64_MAX - now) / 1000000 ? INT64_MAX : now + timeout_ms * 1000000;
}
