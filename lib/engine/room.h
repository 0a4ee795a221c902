/* SPDX-License-Identifier: MIT */
/*
 * Room for more files. A partition that is appended to takes four maps and a descriptor of what the system lets a process
 * have, one that is read three maps. What is idle is given back, and opened again when it is needed.
 *
 * To be called with no lock of rank REGISTRY or above held; may sync other partitions. Keeps the thread's words.
 */
#ifndef KFL_ENGINE_ROOM_H
#define KFL_ENGINE_ROOM_H

#include <stdbool.h>

#include "engine/core.h"

/* Before a file is opened: gives back until there is room. Costs a look at two counts when there is. */
void kfl__room_make(struct kfl__core *core);

/* Did the last failure of this thread, which answered r, come of a limit on maps, memory or descriptors? */
bool kfl__room_is_short(int r);
/* It did: gives back a quarter of all that is open. true: something went, so try once more. */
bool kfl__room_force(struct kfl__core *core);

#endif
