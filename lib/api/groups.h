/* SPDX-License-Identifier: MIT */
/* A group described, for whoever has entered the store already. */
#ifndef KFL_API_GROUPS_H
#define KFL_API_GROUPS_H

#include "engine/core.h"
#include "kafkalite.h"

/* As kfl_group_describe(). */
int kfl__group_describe(struct kfl__core *core, const char *name, kfl_group **out_group);

#endif
