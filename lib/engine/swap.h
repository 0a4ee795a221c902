/* SPDX-License-Identifier: MIT */
/* New files take the place of old ones, in one step. */
#ifndef KFL_ENGINE_SWAP_H
#define KFL_ENGINE_SWAP_H

#include "engine/compact.h"
#include "engine/rewrite.h"
#include "engine/sieve.h"

struct kfl__swap {
    const struct kfl__sieve *sieve; /* its inputs [from, to) are what is replaced */
    int32_t from, to;
    struct kfl__rewrite *rewrite;   /* its files that are done, synced, take their place */
    struct kfl__compact_done *done; /* counted here */
    bool lost;
};

/*
 * The files that are done are not the rewrite's any more; the old ones are unlinked. 0 with `lost` when somebody else has
 * replaced or deleted what was to be replaced: nothing has changed. Takes the prepare lock, then the append lock.
 */
int kfl__swap(struct kfl__swap *swap);

#endif
