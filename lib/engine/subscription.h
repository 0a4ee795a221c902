/* SPDX-License-Identifier: MIT */
/* What a member of a group wishes to read: names, or a pattern, as topics that there are. */
#ifndef KFL_ENGINE_SUBSCRIPTION_H
#define KFL_ENGINE_SUBSCRIPTION_H

#include <stdbool.h>

#include "catalog/groups.h"

/* An extended regular expression? KFL_E_BAD_VALUE with what is wrong with it. */
int kfl__subscription_check_pattern(const char *pattern);
/* Each topic whose whole name matches. */
int kfl__subscription_matches(struct kfl__catalog_txn *txn, const char *pattern,
                              bool exclude_internal,
                              int (*visit)(const char *name, uint64_t topic_id, void *context),
                              void *context);
/*
 * The ids of the member's topics, rising, by now. `before`: another member, whose list is copied
 * where it wishes the same, as most do; or NULL.
 */
int kfl__subscription_resolve(struct kfl__catalog_txn *txn, struct kfl__member *member,
                              const struct kfl__member *before);
/* Of topic ids, for qsort() and bsearch(). */
int kfl__subscription_compare(const void *a, const void *b);

#endif
