/* SPDX-License-Identifier: MIT */
/* The demonstration: its steps, of which the crash has a file of its own. */
#ifndef KAFKALITE_DEMO_H
#define KAFKALITE_DEMO_H

#include "call.h"
#include "text.h"

enum { DEMO_PARTITIONS = 3 };

struct demo {
    struct call *call;
    int64_t records;
    int step;
    int failed; /* checks that did not hold */
    json_t *steps;
};

/*
 * Tells a step: what was done, how it went, and the command that does the same. good=0 is a check
 * that did not hold.
 */
void demo_tell(struct demo *demo, const char *name, int good, const char *command,
               const char *format, ...) __attribute__((format(printf, 5, 6)));

/*
 * Kills a process that appends, opens the store again and looks for every record it had reported.
 * The store of the call is closed on entry and open on return, when that is STATUS_OK.
 */
int demo_crash(struct demo *demo);

#endif
