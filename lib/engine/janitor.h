/* SPDX-License-Identifier: MIT */
/* When to flush, prepare, note, seal: the one background thread of a process, and the same work by hand. */
#ifndef KFL_ENGINE_JANITOR_H
#define KFL_ENGINE_JANITOR_H

#include <stdint.h>

#include "engine/core.h"

struct kfl__partition;

/* Starts the helper unless background.threads=0 or read_only. Without a thread to be had the store works all the same. */
int kfl__janitor_start(struct kfl__core *core);
void kfl__janitor_stop(struct kfl__core *core); /* the thread is gone when it returns */
void kfl__janitor_destroy(struct kfl__core *core);
/* Something is to be done soon. A system call only when the helper sleeps. */
void kfl__janitor_wake(struct kfl__core *core);
/* All files that are full become durable soon, where there is a helper. Waits for nothing. */
void kfl__janitor_sync(struct kfl__partition *partition);
/* One round by hand: 1 while there is more to do when budget_ms is over. */
int kfl__janitor_run(struct kfl__core *core, int32_t budget_ms);

/* What else is to be looked at in each round: lingering batches. Called with the core; registered by api/producer's list. */
typedef int64_t kfl__janitor_chore(void *context, int64_t now_ns); /* when to come again, steady; -1: no wish */
int kfl__janitor_add(struct kfl__core *core, kfl__janitor_chore *chore, void *context);
void kfl__janitor_remove(struct kfl__core *core, kfl__janitor_chore *chore, void *context); /* waits for a round that runs it */

#endif
