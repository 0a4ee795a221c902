/* SPDX-License-Identifier: MIT */
/*
 * Who is in a group: join, leave, release, look, and finding out who is gone. Each is one catalog
 * transaction at most; whom it concerns is told through the seats in the state file and woken.
 */
#ifndef KFL_ENGINE_MEMBERS_H
#define KFL_ENGINE_MEMBERS_H

#include "catalog/groups.h"
#include "engine/core.h"
#include "engine/group.h"

/* Who joins. Strings are borrowed for the call. */
struct kfl__member_wish {
    const char *group;
    const char *member_id; /* of a member that changes its subscription; "" for a new one */
    const char *instance_id, *client_id, *assignors, *topics, *pattern; /* "" where there is none */
    bool exclude_internal;
    int64_t session_timeout_ms;
};

/* What a member's row says, as far as it is of use to the member. Owned: kfl__member_view_free(). */
struct kfl__member_view {
    char id[KFL_MEMBER_ID_MAX + 1];
    int32_t seat;
    uint64_t seat_owner;
    int32_t generation; /* of the group */
    bool answer_needed; /* the leader has not answered yet */
    bool leads;         /* and that is this member */
    bool away;          /* it was late, and its session runs out: it joins again */
    struct kfl__places owned, target;
};
void kfl__member_view_free(struct kfl__member_view *view);

/*
 * KFL_E_INCONSISTENT_GROUP_PROTOCOL, KFL_E_UNKNOWN_MEMBER_ID (the member that changes is gone),
 * KFL_E_BUSY (no seat).
 */
int kfl__members_join(struct kfl__core *core, const struct kfl__member_wish *wish,
                      struct kfl__member_view *out_view);
/* A static member stays, away; `forever` removes it too. Not being there is no error. */
int kfl__members_leave(struct kfl__core *core, const char *group, const char *member_id);
/* These places are given up. Not being a member any more is no error. */
int kfl__members_release(struct kfl__core *core, const char *group, const char *member_id,
                         const struct kfl__places *places);
/* KFL_E_UNKNOWN_MEMBER_ID, KFL_E_FENCED_INSTANCE_ID (instance_id "": not asked). */
int kfl__members_look(struct kfl__core *core, const char *group, const char *member_id,
                      const char *instance_id, struct kfl__member_view *out_view);
/* The store's topics have changed: a rebalance if that concerns the group. */
int kfl__members_sync_topics(struct kfl__core *core, const char *group);
/* As kfl_consumer_assign_answer(): targets[i] is for the member member_ids[i]. */
int kfl__members_answer(struct kfl__core *core, const char *group, const char *member_id,
                        int32_t generation, const char *const *member_ids,
                        const struct kfl__places *targets, size_t count);

/*
 * Every member that sleeps in a poll follows its group: the store's topics have changed; or, with
 * `raise`, all look at their rows, since who had to tell them of a change may have died before it did.
 */
void kfl__members_wake_all(struct kfl__core *core, bool raise);

/*
 * In a change: may this member commit for these? member_id NULL: not a member, and the group must
 * have none. The codes of kfl_consumer_commit().
 */
int kfl__members_fence(struct kfl__catalog_txn *txn, const char *group, const char *member_id,
                       const char *instance_id, const struct kfl__group_item *items, size_t count);

/* Has the group committed anything? 1 or 0. */
int kfl__group_has_offsets(struct kfl__catalog_txn *txn, const char *name);

#endif
