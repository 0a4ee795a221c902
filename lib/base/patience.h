/* SPDX-License-Identifier: MIT */
/*
 * How long a thread waits for others before its call gives up with KFL_E_INTR, so that its caller can look
 * at its signals and make the call again. Most threads wait as long as it takes.
 *
 * A call that was made again and comes to the same wait goes on with it: a time limit of the wait's own
 * counts from the first time.
 */
#ifndef KFL_BASE_PATIENCE_H
#define KFL_BASE_PATIENCE_H

#include <stdbool.h>
#include <stdint.h>

/* The calling thread's, in milliseconds; -1: as long as it takes. Answers what it was. */
int32_t kfl__patience_set(int32_t patience_ms);
int32_t kfl__patience(void);
/* No more of it than there is until then, on the steady clock, and a millisecond; -1 and 0: no limit. Answers what it was. */
int32_t kfl__patience_narrow(int64_t deadline_ns);

/* One wait of the calling thread. */
struct kfl__patience_wait {
    int64_t until_ns; /* on the steady clock; -1: for ever */
    bool gives_up;    /* then it is patience that is over, and not the wait's own time */
};

/* `what` is waited for: a lock, say. deadline_ns is the wait's own; -1: none. */
void kfl__patience_begin(struct kfl__patience_wait *wait, const void *what, int64_t deadline_ns);
/*
 * It is over: `timed_out` when until_ns came first. KFL_E_INTR when that was for want of patience; else 0. The
 * text says who or what was waited for, in the words of the call's caller.
 */
int kfl__patience_end(const struct kfl__patience_wait *wait, bool timed_out);

#endif
