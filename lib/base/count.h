/* SPDX-License-Identifier: MIT */
/* Share counting: who creates holds the first share, who drops the last one destroys. */
#ifndef KFL_BASE_COUNT_H
#define KFL_BASE_COUNT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"

struct kfl__count {
    _Atomic int32_t shares;
};

static inline void kfl__count_init(struct kfl__count *count)
{
    atomic_init(&count->shares, 1);
}

static inline void kfl__count_acquire(struct kfl__count *count)
{
    int32_t before = atomic_fetch_add_explicit(&count->shares, 1, memory_order_relaxed);
    assert(before > 0);
    (void)before;
}

/* true when this was the last share: the caller destroys the thing now. */
static inline bool kfl__count_release(struct kfl__count *count)
{
    int32_t before = atomic_fetch_sub_explicit(&count->shares, 1, memory_order_acq_rel);
    assert(before > 0);
    return before == 1;
}

#endif
