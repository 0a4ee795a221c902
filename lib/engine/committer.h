/* SPDX-License-Identifier: MIT */
/* Asynchronous commits: who has one says so, and one transaction carries all that have come meanwhile. */
#ifndef KFL_ENGINE_COMMITTER_H
#define KFL_ENGINE_COMMITTER_H

#include <stdbool.h>

#include "engine/core.h"
#include "engine/group.h"

/* Somebody with commits. Both calls come without locks, and never two at once for one client. */
struct kfl__commit_client {
    /* Moves what waits into the commit; false: nothing does. */
    bool (*take)(struct kfl__commit_client *client, struct kfl__group_commit *commit);
    /* The outcome; what was taken is given back. */
    void (*settle)(struct kfl__commit_client *client, struct kfl__group_commit *commit);
    /* guarded by the committer */
    struct kfl__commit_client *next;
    bool listed;
};

int kfl__committer_start(struct kfl__core *core); /* once; more calls do nothing */
void kfl__committer_destroy(struct kfl__core *core);
/* Something waits: carried out by the helper soon, or by whoever runs it. */
void kfl__committer_add(struct kfl__core *core, struct kfl__commit_client *client);
/*
 * What waits now, of all clients, is settled when this returns 0, by this thread or by another one that is at it.
 * KFL_E_INTR (base/patience): it is still on its way.
 */
int kfl__committer_run(struct kfl__core *core);

#endif
