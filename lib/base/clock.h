/* SPDX-License-Identifier: MIT */
/*
 * Wall and steady time.
 *
 * A clock belongs to a store: tests set its wall time, and then it stands still until it is set
 * again. Steady time never jumps and is not set.
 */
#ifndef KFL_BASE_CLOCK_H
#define KFL_BASE_CLOCK_H

#include <stdatomic.h>
#include <stdint.h>

struct kfl__clock {
    _Atomic int64_t set_ms; /* -1: the real time */
};

void kfl__clock_init(struct kfl__clock *clock);
/* wall_ms since 1970, or -1 to go back to the real time. */
void kfl__clock_set(struct kfl__clock *clock, int64_t wall_ms);
/* Milliseconds since 1970 UTC, of the kernel's coarse clock (1-4 ms steps, 5 ns a call). */
int64_t kfl__clock_wall_ms(const struct kfl__clock *clock);

int64_t kfl__clock_steady_ns(void);
/* The same, up to a few milliseconds late, for a quarter of the time. */
int64_t kfl__clock_coarse_ns(void);
/* timeout_ms -1 (for ever) gives -1. */
int64_t kfl__clock_deadline_ns(int64_t timeout_ms);

#endif
