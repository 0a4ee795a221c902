/* SPDX-License-Identifier: MIT */
/* Who maintains a store, when, and one round over all of its partitions: retention and compaction. */
#ifndef KFL_ENGINE_MAINTAIN_H
#define KFL_ENGINE_MAINTAIN_H

#include <stdint.h>

#include "engine/core.h"
#include "kafkalite.h"

/* With the helper: engine/janitor creates, stops and destroys it. */
int kfl__maintain_create(struct kfl__core *core);
void kfl__maintain_stop(struct kfl__core *core); /* the thread is gone when it returns */
void kfl__maintain_destroy(struct kfl__core *core);

/* The helper comes by: is there any topic with something to maintain? Then a thread begins. */
void kfl__maintain_look(struct kfl__core *core);

/*
 * Go on with the round that was begun, or begin one, until deadline_ns (-1: none). Fills *progress. 0: the round is
 * over; 1: there is more; or the first error that a partition met, told when the round is over.
 */
int kfl__maintain_run(struct kfl__core *core, int64_t deadline_ns, kfl_progress *progress);
/* The same for the compaction of one topic; flags: KFL_COMPACT_… of kafkalite.h. Another wish ends the one before. */
int kfl__maintain_compact(struct kfl__core *core, uint64_t topic_id, int flags, int64_t deadline_ns,
                          kfl_progress *progress);

#endif
