/* SPDX-License-Identifier: MIT */
/*
 * Handles whose calls the close of a store waits for.
 *
 * A call that takes its handle's lock first thing counts itself there, by a plain store, where a counter of the whole
 * process would cost each of them two locked instructions on a line that all threads write. The close pays instead: it
 * has said that it closes, takes each handle's lock once, and so meets each call that has not seen it.
 */
#ifndef KFL_ENGINE_CALLERS_H
#define KFL_ENGINE_CALLERS_H

#include "base/check.h"
#include "engine/core.h"

struct kfl__caller {
    struct kfl__caller *next; /* guarded by the list's lock */
    struct kfl__mutex *lock;  /* borrowed: the handle's; guards: */
    int32_t inside;           /* calls that are under way, also those that gave the lock up to wait */
};

int kfl__callers_init(struct kfl__core *core);
void kfl__callers_destroy(struct kfl__core *core);
/* Neither while holding the handle's lock. `caller` is the handle's own, with its lock set. */
void kfl__callers_add(struct kfl__core *core, struct kfl__caller *caller);
void kfl__callers_remove(struct kfl__core *core, struct kfl__caller *caller);
/* With `closing` set: is a call of any of them under way? Those that come later are refused. */
bool kfl__callers_inside(struct kfl__core *core);

/* Holding the handle's lock. As kfl__core_enter. */
static inline int kfl__caller_enter(const struct kfl__core *core, struct kfl__caller *caller)
{
    int r = kfl__core_check(core);
    if (KFL_LIKELY(r == 0))
        caller->inside++;
    return r;
}

/* Holding the handle's lock. */
static inline void kfl__caller_leave(struct kfl__caller *caller)
{
    caller->inside--;
}

#endif
