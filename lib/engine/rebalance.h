/* SPDX-License-Identifier: MIT */
/*
 * What a group's members are to own: a target for each member, and what is free given to whom it is for. Inside one catalog transaction, on the group as it was loaded.
 */
#ifndef KFL_ENGINE_REBALANCE_H
#define KFL_ENGINE_REBALANCE_H

#include "catalog/groups.h"

/* Names of assignors that begin so are the program's own. */
#define KFL_ASSIGNOR_USER "user:"

/* KFL_E_BAD_VALUE: empty, twice the same, unknown. */
int kfl__assignors_check(const char *assignors);

/* What members are subscribed to by now. 1: that has changed since the last time; 0. */
int kfl__rebalance_resolve(struct kfl__catalog_txn *txn, struct kfl__group *group);
/*
 * The next generation, after kfl__rebalance_resolve(). With an assignor of the program's own its
 * leader is to answer, and until then the members keep what they have.
 * KFL_E_INCONSISTENT_GROUP_PROTOCOL: the members have no assignor in common.
 */
int kfl__rebalance_run(struct kfl__catalog_txn *txn, struct kfl__group *group);
/* Each member gets what is in its target and nobody owns. */
int kfl__rebalance_grant(struct kfl__group *group);

#endif
