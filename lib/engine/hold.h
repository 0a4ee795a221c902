/* SPDX-License-Identifier: MIT */
/* What consumer groups hold back: records that they have not committed are not deleted, up to a limit of bytes. */
#ifndef KFL_ENGINE_HOLD_H
#define KFL_ENGINE_HOLD_H

#include <stdint.h>

#include "catalog/catalog.h"
#include "engine/partition.h"

/* KFL_E_INVALID_CONFIG: a group that can have no such name, a limit without a group or below two segments. */
int kfl__hold_check_config(const kfl_config *config);

/* Does anybody hold anything back in topics of these settings? */
static inline bool kfl__hold_is_set(const struct kfl__settings *settings)
{
    return settings->retention_consumers_groups[0] != '\0';
}

struct kfl__hold {
    int64_t
        offset; /* what all groups have committed, durably: below it nobody holds anything. INT64_MAX: no group is set */
    char group[256]; /* which of them it is */
};
/* In a look or a change (R9). A group that has committed nothing holds all. */
int kfl__hold_get(struct kfl__catalog_txn *txn, const struct kfl__partition *partition,
                  struct kfl__hold *out_hold);
int kfl__hold_look(struct kfl__partition *partition, struct kfl__hold *out_hold);

#define KFL_HOLD_FULL 7 /* positive: the limit does not allow another file */
/*
 * Under the prepare lock: may a file of *io_size bytes be made beside those that are there, but for the one that is
 * discarded for it (0: none)? It is made smaller where that helps, and still has `least` bytes. 0 or KFL_HOLD_FULL.
 */
int kfl__hold_allows(struct kfl__partition *partition, const struct kfl__settings *settings,
                     int64_t discard, uint64_t least, uint64_t *io_size);
/* Not holding it: what retention.consumers.on.full says. 0: try again; KFL_E_NO_SPACE, and the text names the group. */
int kfl__hold_make_room(struct kfl__partition *partition, const struct kfl__settings *settings,
                        int64_t deadline_ns);

#endif
