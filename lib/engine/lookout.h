/* SPDX-License-Identifier: MIT */
/* Who looks out for the end of other processes, so that their group members are replaced at once. */
#ifndef KFL_ENGINE_LOOKOUT_H
#define KFL_ENGINE_LOOKOUT_H

#include "engine/core.h"

/*
 * This process has members from now on: a thread begins, once, to watch the processes that come
 * after ours. Without a thread to be had (or background.threads=0) polls find out, within a second.
 */
int kfl__lookout_start(struct kfl__core *core);
/* Other processes may have come: it looks round again. */
void kfl__lookout_ring(struct kfl__core *core);
void kfl__lookout_stop(struct kfl__core *core); /* the thread is gone when it returns */
void kfl__lookout_destroy(struct kfl__core *core);

#endif
