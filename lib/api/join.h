/* SPDX-License-Identifier: MIT */
/* Joining a store, step by step; what fails half-way is given back by the one who closes the core. */
#ifndef KFL_API_JOIN_H
#define KFL_API_JOIN_H

#include <stdbool.h>

#include "engine/core.h"

/* Open the folder (made when `create`). KFL_E_NOT_FOUND. */
int kfl__join_folder(struct kfl__core *core, bool create);
/* Become one of those who have the store open: catalog, state file, presence, a line in the history. */
int kfl__join(struct kfl__core *core, bool create);

#endif
