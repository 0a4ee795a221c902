/* SPDX-License-Identifier: MIT */
/* Committed offsets that outlived their group, and groups that have nothing left. */
#ifndef KFL_ENGINE_EXPIRY_H
#define KFL_ENGINE_EXPIRY_H

#include "engine/core.h"

/* A chore of the helper's: looks every ten minutes of the store's clock. */
int kfl__expiry_start(struct kfl__core *core);
/* Looks now. */
int kfl__expiry_run(struct kfl__core *core);

#endif
