/* SPDX-License-Identifier: MIT */
/* What the rooms of api/ share: the store handle, and lists that callers own. */
#ifndef KFL_API_STORE_H
#define KFL_API_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "engine/core.h"
#include "engine/topics.h"
#include "kafkalite.h"

struct kfl_store {
    struct kfl__core *core; /* a share */
    char *path;             /* as it was given */
    struct kfl_store *next; /* guarded by the list of open stores */
};

/* NULL handle -> KFL_E_INVALID naming `what`; else kfl__core_check. */
int kfl__store_check(const kfl_store *store);
int kfl__store_check_writable(const kfl_store *store);

void kfl__core_acquire(struct kfl__core *core);
void kfl__core_release(struct kfl__core *core); /* takes NULL */

/* A partition by name, ready; the topic is a share to be released. */
int kfl__store_partition(const kfl_store *store, const char *topic_name, int32_t number, struct kfl__topic **out_topic,
                         struct kfl__partition **out_partition);

/* Lists that are owned by callers: kfl_names, kfl_offsets. */
int kfl__names_create(kfl_names **out_names);
int kfl__names_add(kfl_names *names, const char *name);
int kfl__names_add_lines(kfl_names *names, const char *lines); /* separated by newlines */
void kfl__names_sort(kfl_names *names);
void kfl__names_unique(kfl_names *names); /* of sorted ones: each once */
int kfl__offsets_create(kfl_offsets **out_offsets);
/* Copies topic and metadata. */
int kfl__offsets_add(kfl_offsets *offsets, const kfl_partition_offset *offset);

#endif
