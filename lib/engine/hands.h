/* SPDX-License-Identifier: MIT */
/*
 * Threads that do what appends need next, so that the producer need not: each has a job of its own, since one waits for the
 * disk and the other must not, and the helper may stand in a sync.
 */
#ifndef KFL_ENGINE_HANDS_H
#define KFL_ENGINE_HANDS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/core.h"

enum kfl__hand_job {
    KFL_HAND_TOUCH,   /* pages: engine/touch */
    KFL_HAND_PREPARE, /* the next file: engine/ahead */
    KFL_HAND_JOBS,
};

struct kfl__wish {
    bool (*fulfil)(struct kfl__core *core,
                   const struct kfl__wish *wish); /* a step of it; true: all is done */
    void (*share)(const struct kfl__wish *wish);  /* one more of the subject */
    void (*forget)(const struct kfl__wish *wish); /* gives one back */
    void *subject;                                /* a share */
    uint64_t upto, offsets_upto;
};

/*
 * Waits for nothing; a system call only when the thread sleeps, or is begun by this. false: nobody will do it, and the share stays the
 * caller's: too much was asked for, the store closes, or has no threads.
 */
bool kfl__hands_ask(struct kfl__core *core, enum kfl__hand_job job, const struct kfl__wish *wish);
/*
 * Does in the calling thread what was asked for and is not done yet, side by side with the job's own thread, which may stand
 * in the middle of it without a processor: for who takes processors from such threads. The job's steps have to bear that.
 */
void kfl__hands_help(struct kfl__core *core, enum kfl__hand_job job);

void kfl__hands_stop(struct kfl__core *core); /* the threads are gone when it returns */
void kfl__hands_destroy(struct kfl__core *core);

#endif
