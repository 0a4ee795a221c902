/* SPDX-License-Identifier: MIT */
/* Committed offsets by group name: durable, never ahead of their records, in shared catalog transactions. */
#ifndef KFL_ENGINE_GROUP_H
#define KFL_ENGINE_GROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/partition.h"

struct kfl__group_item {
    struct kfl__partition *partition; /* borrowed */
    int64_t offset;                   /* -1 from kfl__group_committed: nothing is committed */
    const void *metadata;             /* borrowed when committing; owned (kfl__free) when looked up */
    size_t metadata_size;
};

/* One commit: all of its items or none. Borrowed for the call. */
struct kfl__group_commit {
    const char *group;
    const char *member_id; /* who commits; NULL: nobody who is a member, and the group must have none */
    const char *instance_id; /* of the member, "" */
    const struct kfl__group_item *items;
    size_t count;
    /* set by the commit */
    int result;
    bool refused; /* before the transaction */
    struct kfl__words words; /* of a failure */
};

/* KFL_E_INVALID_GROUP_ID unless 1 to 255 bytes. */
int kfl__group_name_check(const char *group);
/*
 * KFL_E_OFFSET_OUT_OF_RANGE above an end, KFL_E_OFFSET_METADATA_TOO_LARGE, and what
 * kfl__members_fence() answers.
 */
int kfl__group_commit(struct kfl__core *core, const char *group, const char *member_id, const char *instance_id,
                      const struct kfl__group_item *items, size_t count);
/* Several in one transaction; each has its own result. */
void kfl__group_commit_all(struct kfl__core *core, struct kfl__group_commit *commits, size_t count);
int kfl__group_committed(struct kfl__core *core, const char *group, struct kfl__group_item *items, size_t count);

#endif
