/* SPDX-License-Identifier: MIT */
/* Pages for the appends to come (R11), asked for by a thread of their own: a first touch costs more than the copy. */
#ifndef KFL_ENGINE_TOUCH_H
#define KFL_ENGINE_TOUCH_H

#include <stdint.h>

#include "engine/core.h"
#include "log/segment.h"

/* How far ahead of the appends. */
#define KFL_TOUCH_AHEAD (UINT64_C(8) << 20)

/* A file was prepared for appends that come through the map: they are to find the pages of its beginning. */
void kfl__touch_begin(struct kfl__core *core, struct kfl__segment *segment);

/*
 * An append through the map stands at `place`, behind so many batches. Asks the thread for more when it comes near the end of what was
 * asked for, and touches a little itself when the thread has not kept up. Holds no lock.
 */
void kfl__touch_look(struct kfl__core *core, struct kfl__segment *segment, uint64_t place, uint32_t batches);

#endif
