/* SPDX-License-Identifier: MIT */
/* Syncing everything, and the clean note of the last process to leave. */
#ifndef KFL_ENGINE_CLEAN_H
#define KFL_ENGINE_CLEAN_H

#include <stdint.h>

#include "engine/core.h"

/* All that any process has appended so far. KFL_E_TIMEOUT, KFL_E_FAILED. */
int kfl__clean_sync_until(struct kfl__core *core, int64_t deadline_ns);
/* At the close: what this process has open. */
int kfl__clean_sync(struct kfl__core *core);
/* Under byte 0, nobody else lives: sync the rest, and note in the catalog that all is durable. */
int kfl__clean_note(struct kfl__core *core);
/* Whoever waits for a sync looks again. */
void kfl__clean_wake_waiters(struct kfl__core *core);

#endif
