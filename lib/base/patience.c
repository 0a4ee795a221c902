/* SPDX-License-Identifier: MIT */
/* Waits that are given up for want of patience, and gone on with. */
#include "base/patience.h"

#include <stddef.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"

/* Who makes the call again does so at once; later it is another wait. */
#define PATIENCE_AGAIN_NS INT64_C(1000000000)

static _Thread_local struct {
    int32_t limit_ms; /* 0: as long as it takes; else one more than it is */
    const void *what; /* given up last; NULL: nothing */
    int64_t began_ns, left_ns;
} patience;

int32_t kfl__patience(void)
{
    return patience.limit_ms - 1;
}

int32_t kfl__patience_set(int32_t patience_ms)
{
    assert(patience_ms >= -1 && patience_ms < INT32_MAX);
    int32_t before = kfl__patience();
    patience.limit_ms = patience_ms + 1;
    return before;
}

int32_t kfl__patience_narrow(int64_t deadline_ns)
{
    int32_t before = kfl__patience();
    if (deadline_ns <= 0)
        return before;
    int64_t left = (deadline_ns - kfl__clock_steady_ns()) / 1000000 + 1;
    if (left < 1)
        left = 1;
    return before >= 0 && before <= left ? before : kfl__patience_set(left < INT32_MAX ? (int32_t)left : INT32_MAX - 1);
}

void kfl__patience_begin(struct kfl__patience_wait *wait, const void *what, int64_t deadline_ns)
{
    *wait = (struct kfl__patience_wait){.until_ns = deadline_ns};
    if (KFL_LIKELY(kfl__patience() < 0))
        return;
    int64_t now = kfl__clock_steady_ns(), until = now + (int64_t)kfl__patience() * 1000000;
    if (patience.what != what || now - patience.left_ns > PATIENCE_AGAIN_NS)
        patience.began_ns = now;
    patience.what = what;
    if (deadline_ns >= 0)
        deadline_ns -= now - patience.began_ns;
    wait->gives_up = deadline_ns < 0 || until < deadline_ns;
    wait->until_ns = wait->gives_up ? until : deadline_ns;
}

int kfl__patience_end(const struct kfl__patience_wait *wait, bool timed_out)
{
    if (!timed_out || !wait->gives_up) {
        patience.what = NULL;
        return 0;
    }
    patience.left_ns = kfl__clock_steady_ns();
    return kfl__fail(KFL_E_INTR,
                     "others were waited for longer than this thread has patience for: call again");
}
