/* SPDX-License-Identifier: MIT */
/* Finding out who is gone from the groups of a store, and what follows from it. */
#ifndef KFL_ENGINE_DEPARTURES_H
#define KFL_ENGINE_DEPARTURES_H

#include "catalog/groups.h"
#include "engine/core.h"

/*
 * Members whose process is gone, who did not poll in time, or whose session ran out: out they go, in
 * all groups. With `leaving` also those of this process. 1: somebody went.
 */
int kfl__members_sweep(struct kfl__core *core, bool leaving);
/* Is there a reason for a sweep? Looks at the seats only. */
bool kfl__members_suspect(struct kfl__core *core);
/* Does the member's process stand? Its seat's deadline passed? What a look can say of a member. */
bool kfl__member_is_here(struct kfl__core *core, const struct kfl__member *member);

#endif
