/* SPDX-License-Identifier: MIT */
/* Committed offsets by group name: durable, never ahead of their records, in shared catalog transactions. */
#ifndef KFL_ENGINE_GROUP_H
#define KFL_ENGINE_GROUP_H

#include <stddef.h>
#include <stdint.h>

#include "engine/partition.h"

struct kfl__group_item {
    struct kfl__partition *partition; /* borrowed */
    int64_t offset;                   /* -1 from kfl__group_committed: nothing is committed */
    const void *metadata;             /* borrowed when committing; owned (kfl__free) when looked up */
    size_t metadata_size;
};

/* KFL_E_INVALID_GROUP_ID unless 1 to 255 bytes. */
int kfl__group_name_check(const char *group);
/* All or none. KFL_E_OFFSET_OUT_OF_RANGE above an end, KFL_E_OFFSET_METADATA_TOO_LARGE. */
int kfl__group_commit(struct kfl__core *core, const char *group, const struct kfl__group_item *items, size_t count);
int kfl__group_committed(struct kfl__core *core, const char *group, struct kfl__group_item *items, size_t count);

#endif
