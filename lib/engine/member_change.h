/* SPDX-License-Identifier: MIT */
/* One change of a group: loaded, one step, saved, told. What engine/members and engine/departures share. */
#ifndef KFL_ENGINE_MEMBER_CHANGE_H
#define KFL_ENGINE_MEMBER_CHANGE_H

#include "base/process.h"
#include "engine/members.h"

struct kfl__member_change {
    struct kfl__core *core;
    const char *name;
    int64_t now_ms, now_ns;
    struct kfl__group *group; /* as the last run left it; told, then destroyed, by who began it */
    int (*step)(struct kfl__catalog_txn *txn, struct kfl__member_change *change);
    /* of one step or another */
    const struct kfl__member_wish *wish;
    const char *member_id;
    const struct kfl__places *places;
    int32_t generation;
    const char *const *member_ids;
    size_t count;
    int32_t seat;
    uint64_t seat_owner;
    char new_id[KFL_MEMBER_ID_MAX + 1];
    char program[KFL_PROCESS_NAME_SIZE];
    bool leaving;
    uint8_t known[KFL_PRESENCE_MAX]; /* 1: the process stands, 2: it does not; by entry */
    uint64_t known_session[KFL_PRESENCE_MAX];
};

#define KFL_MEMBERS_UNTOUCHED 1 /* of a step: nothing to save */

/* NULL and KFL_E_NOMEM's text. Given back with kfl__free(), after each run was finished. */
struct kfl__member_change *kfl__member_change_create(struct kfl__core *core, const char *name);
/* Runs the step, and tells whom it concerns; the group as it left it stays in the change. */
int kfl__member_change_run(struct kfl__member_change *change);
int kfl__member_change_finish(struct kfl__member_change *change, int r);

/* Within a step. 1: somebody went, so there must be a rebalance; 2: somebody is away; 0. */
int kfl__members_clear(struct kfl__member_change *change);
void kfl__member_send_away(struct kfl__member_change *change, struct kfl__member *member);
/* The member is not there: KFL_E_FENCED_INSTANCE_ID, KFL_E_UNKNOWN_MEMBER_ID, or another error. */
int kfl__member_tell_missing(struct kfl__catalog_txn *txn, const char *name, const char *member_id,
                             const char *instance_id);
/* Owned: kfl__member_view_free(). */
int kfl__member_view_fill(const struct kfl__group *group, const struct kfl__member *member,
                          struct kfl__member_view *view);
/* Who comes and goes takes effect. */
int kfl__members_rebalance(struct kfl__catalog_txn *txn, struct kfl__member_change *change);

#endif
