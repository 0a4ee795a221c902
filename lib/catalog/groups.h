/* SPDX-License-Identifier: MIT */
/*
 * Rows: a group as a whole, and its members. What they say together is the group's coordinator: who
 * is in it, who owns which partition now, who is to own it.
 */
#ifndef KFL_CATALOG_GROUPS_H
#define KFL_CATALOG_GROUPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "catalog/catalog.h"
#include "catalog/offsets.h"
#include "catalog/places.h"

#define KFL_MEMBER_ID_MAX 63
#define KFL_ASSIGNORS_MAX 1000

/* Strings are owned and never NULL. */
struct kfl__member {
    char id[KFL_MEMBER_ID_MAX + 1];
    char program[16];
    char *instance_id; /* "": dynamic */
    char *client_id;
    char *assignors; /* names separated by commas, the one it likes best first */
    char *topics;    /* subscribed names separated by newlines; "" with a pattern */
    char *pattern;   /* "": none */
    bool exclude_internal;
    /* Its process and its seat in the state file. */
    int32_t pid;
    uint32_t entry;
    uint64_t session; /* 0 while it is away */
    uint32_t seat;
    uint64_t seat_owner;
    int64_t away_since_ms; /* a static member whose process is gone; -1: it is here */
    int64_t session_timeout_ms;
    uint64_t order;       /* of joining */
    int32_t generation;   /* in which it was first given anything; -1: not yet */
    uint64_t *subscribed; /* topic ids that exist, rising */
    size_t subscribed_count;
    struct kfl__places owned;
    struct kfl__places target;
    /* not in the row: */
    bool changed; /* to be put */
    bool raise;   /* to be told */
};

struct kfl__group {
    char name[KFL_GROUP_NAME_MAX + 1];
    bool exists;        /* it has a row */
    bool answer_needed; /* the leader is to share out the partitions */
    int32_t generation;
    uint64_t next_order;
    uint64_t topics_version; /* of the store's topics, when subscriptions were looked up */
    uint64_t fingerprint;    /* of what that found */
    int64_t empty_since_ms;  /* -1 while there are members */
    char leader[KFL_MEMBER_ID_MAX + 1];
    char assignor[64];            /* "" while there are no members */
    struct kfl__member **members; /* sorted by id */
    size_t count, room;
    /* not in the row: */
    struct kfl__member **gone; /* members to be removed */
    size_t gone_count;
    bool over; /* its row is to be removed too */
};

#define KFL_ASSIGNOR_NAME_MAX 63

/* The row without members, and one member by id: for looks that must be short. 0, KFL_E_NOT_FOUND. */
int kfl__group_get(struct kfl__catalog_txn *txn, const char *name, struct kfl__group *out_group);
/* Owned: kfl__member_destroy(). 0, KFL_E_NOT_FOUND. */
int kfl__group_get_member(struct kfl__catalog_txn *txn, const char *name, const char *member_id,
                          struct kfl__member **out_member);
/* Is there any member? 1 or 0. */
int kfl__group_has_members(struct kfl__catalog_txn *txn, const char *name);

/* The whole; a group that is not there is one without members. Owned: kfl__group_destroy(). */
int kfl__group_load(struct kfl__catalog_txn *txn, const char *name, struct kfl__group **out_group);
/* The group's row (or its removal), members that changed, and members that are gone. */
int kfl__group_save(struct kfl__catalog_txn *txn, struct kfl__group *group);
/* The row, and whatever members there are. */
int kfl__group_remove(struct kfl__catalog_txn *txn, const char *name);
/* In order of name. visit < 0 stops. */
int kfl__groups_list(struct kfl__catalog_txn *txn, int (*visit)(const char *name, void *context),
                     void *context);
void kfl__group_destroy(struct kfl__group *group); /* takes NULL */

/* Memory only. */
struct kfl__member *kfl__member_create(void);
void kfl__member_destroy(struct kfl__member *member); /* takes NULL */
/* Takes the member in any case. */
int kfl__group_add_member(struct kfl__group *group, struct kfl__member *member);
/* To be removed by the next save; destroyed with the group. */
int kfl__group_drop_member(struct kfl__group *group, size_t index);
struct kfl__member *kfl__group_find_member(const struct kfl__group *group, const char *member_id);

#endif
