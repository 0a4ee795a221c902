/* SPDX-License-Identifier: MIT */
/*
 * What a member of a group has: told as revoked, given up, taken, lost. All by whoever has the turn
 * to poll, holding the lock, which is given up meanwhile.
 */
#ifndef KFL_API_HANDOVER_H
#define KFL_API_HANDOVER_H

#include "api/consumer.h"

/* The lock is given up around what may wait. */
#define KFL__UNLOCKED(consumer, call)                                                              \
    (kfl__mutex_unlock(&(consumer)->lock), kfl__follow_relock(consumer, (call)))

static inline KFL_UNCHECKED int kfl__follow_relock(kfl_consumer *consumer, int r)
{
    kfl__mutex_lock(&consumer->lock);
    return r;
}

static inline struct kfl__place kfl__follow_place(const struct kfl__assigned *assigned)
{
    return (struct kfl__place){assigned->topic->id, assigned->partition->number};
}

/* These are not assigned any more; NULL: nothing is. */
void kfl__follow_drop(kfl_consumer *consumer, const struct kfl__places *gone);
/* Everything is lost at once, because of this error: others may own it already. */
int kfl__follow_lose(kfl_consumer *consumer, int code);
/*
 * What was told as revoked, and what never began, is not assigned any more, and goes back to the group behind the
 * commits that wait. Until it is there the rows still say that it is ours, and must not be looked at.
 */
int kfl__follow_release(kfl_consumer *consumer);
/* Opens these, and tells that they are ours; also when there are none. */
int kfl__follow_assign(kfl_consumer *consumer, const struct kfl__places *places,
                       int32_t generation);
/* Tells that these are to be given up; with enable.auto.commit they are committed first. */
int kfl__follow_revoke(kfl_consumer *consumer, const struct kfl__places *revoked,
                       int32_t generation);

#endif
