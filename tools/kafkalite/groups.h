/* SPDX-License-Identifier: MIT */
/* What the verbs of groups share. */
#ifndef KAFKALITE_GROUPS_H
#define KAFKALITE_GROUPS_H

#include "call.h"

/* "Stable", as Kafka's tool says it. */
const char *group_state_word(int32_t state);
/* STATUS_OK when the store knows the group; if not, suggests one. */
int group_find(struct call *call, const char *name);

#endif
