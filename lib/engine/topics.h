/* SPDX-License-Identifier: MIT */
/* The registry of this process: find, create, change, delete topics; owns their partitions. */
#ifndef KFL_ENGINE_TOPICS_H
#define KFL_ENGINE_TOPICS_H

#include <stdatomic.h>
#include <stdint.h>

#include "catalog/topics.h"
#include "config/config.h"
#include "engine/core.h"
#include "engine/partition.h"

/* What may change of a topic; replaced as a whole, kept until the topic goes. */
struct kfl__topic_shape {
    struct kfl__topic_shape *older;
    uint64_t version; /* of the topic's row */
    kfl_config *config;
    const struct kfl__settings *settings;
    int32_t partition_count;
    _Atomic(struct kfl__partition *) partitions[];
};

struct kfl__topic {
    struct kfl__core *core;
    struct kfl__topic *next; /* guarded by registry */
    struct kfl__count count;
    uint64_t id;
    size_t name_size;
    char name[256];
    _Atomic(struct kfl__topic_shape *) shape;
    _Atomic uint64_t seen_version; /* the word of the store's topics that this is as new as; even */
    _Atomic int gone;
    _Atomic int folder_synced; /* this process has seen to it that the folder's name is durable */
};

/* counted: release. KFL_E_UNKNOWN_TOPIC_OR_PARTITION, KFL_E_INVALID_TOPIC. */
int kfl__topic_find(struct kfl__core *core, const char *name, struct kfl__topic **out_topic);
/* The one with this id. */
int kfl__topic_find_id(struct kfl__core *core, uint64_t topic_id, struct kfl__topic **out_topic);
void kfl__topic_acquire(struct kfl__topic *topic);
void kfl__topic_release(struct kfl__topic *topic); /* takes NULL */
/* Look at the catalog again. KFL_E_UNKNOWN_TOPIC_OR_PARTITION when it was deleted. */
int kfl__topic_refresh(struct kfl__topic *topic);

/* Is what we know of the topic still so? Cheap. */
static inline int kfl__topic_current(struct kfl__topic *topic)
{
    if (KFL_LIKELY(topic->core->shared == NULL ||
                   atomic_load_explicit(&topic->core->shared->topics_version, memory_order_acquire) ==
                       atomic_load_explicit(&topic->seen_version, memory_order_relaxed)))
        return 0;
    return kfl__topic_refresh(topic);
}

static inline const struct kfl__topic_shape *kfl__topic_shape(const struct kfl__topic *topic)
{
    return atomic_load_explicit(&((struct kfl__topic *)(uintptr_t)topic)->shape, memory_order_acquire);
}

/* borrowed, as long as the topic. Made and attached at the first use. A bad number: KFL_E_UNKNOWN_TOPIC_OR_PARTITION. */
int kfl__topic_partition_make(struct kfl__topic *topic, int32_t number, struct kfl__partition **out_partition);
/* The same where it is made already, of a topic of this shape; NULL: it is not, or there is none. */
static inline __attribute__((always_inline)) struct kfl__partition *kfl__topic_shape_partition(const struct kfl__topic_shape *shape,
                                                                                               int32_t number)
{
    if (KFL_UNLIKELY(number < 0 || number >= shape->partition_count))
        return NULL;
    struct kfl__partition *partition =
        atomic_load_explicit(&((struct kfl__topic_shape *)(uintptr_t)shape)->partitions[number], memory_order_acquire);
    return KFL_LIKELY(partition != NULL && atomic_load_explicit(&partition->slot->ready, memory_order_acquire) != 0) ? partition : NULL;
}
static inline __attribute__((always_inline)) int kfl__topic_partition(struct kfl__topic *topic, int32_t number, struct kfl__partition **out_partition)
{
    struct kfl__partition *partition = kfl__topic_shape_partition(kfl__topic_shape(topic), number);
    if (KFL_UNLIKELY(partition == NULL))
        return kfl__topic_partition_make(topic, number, out_partition);
    *out_partition = partition;
    return 0;
}

int kfl__topics_make(struct kfl__core *core, const char *name, int32_t partition_count, const kfl_config *config);
int kfl__topics_remove(struct kfl__core *core, const char *name);
int kfl__topics_add_partitions(struct kfl__core *core, const char *name, int32_t partition_count);
int kfl__topics_configure(struct kfl__core *core, const char *name, const kfl_config *changes);

/* Each topic this process has open: visit is called without the registry lock. For the helper and the close. */
int kfl__topics_visit_open(struct kfl__core *core, int (*visit)(struct kfl__topic *topic, void *context), void *context);
/* At the last close: everything goes that nobody counts. */
void kfl__topics_close(struct kfl__core *core);
/*
 * Of a topic that the catalog does not have any more: stop those who still use it, each waited for no longer than
 * wait_ms, then remove its files. KFL_E_BUSY: one of them is stopped, and the files are left to the next sweep.
 */
int kfl__topics_clear(struct kfl__core *core, uint64_t topic_id, int32_t wait_ms);
/* The catalog was seen at this version of its topics: the word that all processes look at is not behind it. */
void kfl__topics_saw(struct kfl__core *core, uint64_t version);
/*
 * The word has said for a while that a change is under way: whoever made it is dead, or failed. Settles it, so that the
 * others need not look at the catalog each time.
 */
int kfl__topics_catch_up(struct kfl__core *core, uint64_t word);
/* Remove what killed processes left: files being made or to be unlinked, folders of deleted topics. Under LOCK byte 0. */
int kfl__topics_sweep(struct kfl__core *core);

#endif
