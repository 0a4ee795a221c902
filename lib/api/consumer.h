/* SPDX-License-Identifier: MIT */
/* A consumer's inside: what api/consumer, api/poll and api/commit share. */
#ifndef KFL_API_CONSUMER_H
#define KFL_API_CONSUMER_H

#include <stdbool.h>
#include <stdint.h>

#include "api/records.h"
#include "api/store.h"
#include "engine/read.h"

struct kfl_event {
    struct kfl_event *next;
    int32_t kind, partition;
    int64_t offset, end_offset;
    char topic[256];
    char text[256];
};

/* One assigned partition. Guarded by the consumer. */
struct kfl__assigned {
    struct kfl__topic *topic; /* a share */
    struct kfl__partition *partition;
    struct kfl__cursor cursor; /* its offset is the position */
    bool paused;
};

struct kfl_consumer {
    /* constant after open */
    struct kfl__core *core; /* a share */
    kfl_config *config;
    const struct kfl__settings *settings;
    struct kfl__records_pool *pool;
    _Atomic int woken;
    _Atomic int closed;

    struct kfl__mutex lock; /* rank HANDLE, never held while waiting; guards: */
    struct kfl__condition turn;
    bool polling; /* somebody is in a poll: others wait for their turn */
    struct kfl__assigned *assigned;
    int32_t assigned_count;
    int32_t first; /* which partition the next poll begins with */
    struct kfl_event *events, **last_event;
};

/*
 * NULL -> KFL_E_INVALID; then enters the core and takes the lock. On success the caller calls kfl__consumer_leave.
 * Which of both it was cannot be told to the analysis of locks, so it does not look at them.
 */
int kfl__consumer_enter(kfl_consumer *consumer);
int kfl__consumer_leave(kfl_consumer *consumer, int r);
/* The assigned partition; NULL and KFL_E_INVALID with text when it is not. Holding the lock. */
int kfl__consumer_find(kfl_consumer *consumer, const char *topic, int32_t partition, struct kfl__assigned **out_assigned);
/* What an offset that is none means here: BEGINNING, END, STORED (with auto.offset.reset). */
int kfl__consumer_resolve(kfl_consumer *consumer, struct kfl__partition *partition, int64_t offset, int64_t *out_offset);
/* Where auto.offset.reset leads. KFL_E_OFFSET_OUT_OF_RANGE for none. */
int kfl__consumer_reset(kfl_consumer *consumer, struct kfl__partition *partition, int64_t *out_offset);

#endif
