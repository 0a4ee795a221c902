/* SPDX-License-Identifier: MIT */
/* A producer's inside: what api/producer, api/packed and api/linger share. */
#ifndef KFL_API_PRODUCER_H
#define KFL_API_PRODUCER_H

#include <stdint.h>

#include "api/store.h"
#include "engine/partitioner.h"
#include "format/record.h"

/* A batch that waits for company: one a partition. */
struct kfl__linger {
    uint8_t *bytes; /* records, their timestamps against 0 */
    uint32_t size, room;
    uint32_t *starts; /* where each record begins */
    uint32_t count, start_room;
    int64_t max_timestamp_ms;
    int64_t due_ns;       /* when it goes at the latest */
    int64_t sync_to;      /* acks=all: flush waits until this is durable; 0: nothing to wait for */
};

/* What a producer remembers of a topic that it sent to. Kept until the producer closes. */
struct kfl__producer_topic {
    struct kfl__producer_topic *next;
    struct kfl__topic *topic; /* a share */
    /* the shape by which this producer's short records need no look at any property; NULL: none, or not known yet */
    _Atomic(const struct kfl__topic_shape *) plain;
    struct kfl__partitioner partitioner; /* guarded by the producer */
    struct kfl__linger *lingers;         /* one a partition; NULL while nothing lingers */
    int32_t linger_count;
};

struct kfl_producer {
    /* constant after open */
    struct kfl__core *core; /* a share */
    kfl_config *config;
    const struct kfl__settings *settings;
    bool durable; /* acks=all */
    /* the topic of the last send: what most sends need */
    _Atomic(struct kfl__producer_topic *) last;

    struct kfl__mutex lock; /* rank HANDLE; guards: */
    struct kfl__producer_topic *topics;
    int error;          /* the first that a lingering batch met since the last flush */
    int64_t error_lost; /* records that are therefore not in the log */
    struct kfl__words *error_words;
};

/* One record, checked and placed. */
struct kfl__outgoing {
    struct kfl__producer_topic *entry;
    const struct kfl__topic_shape *shape;
    struct kfl__message message;
    size_t size;      /* in a payload */
    int32_t partition;
    int codec;
    uint16_t flags;
    int64_t now_ms;
};

/* borrowed while the producer is open; the topic is as the catalog has it. */
int kfl__producer_topic(kfl_producer *producer, const char *name, struct kfl__producer_topic **out_entry);
/* The codec of new batches for this topic. */
int kfl__producer_codec(const kfl_producer *producer, const struct kfl__topic_shape *shape);
/* Smaller by the codec, or as it was: *out_bytes is owned, and NULL for the latter. */
int kfl__producer_pack(struct kfl__payload *payload, int codec, uint8_t **out_bytes);
/* Refuse times that the topic does not take. */
int kfl__producer_check_time(const struct kfl__producer_topic *entry, const struct kfl__topic_shape *shape, int64_t timestamp_ms, int64_t now_ms);
/* Append a payload to a partition, packed by the codec first; waits for the sync when `wait`. */
int kfl__producer_append(kfl_producer *producer, struct kfl__producer_topic *entry, const struct kfl__topic_shape *shape,
                         int32_t partition, struct kfl__payload *payload, int codec, int64_t expected_offset, bool wait,
                         int64_t *out_offset);

/* Add a record to its partition's batch; appends the batch when it is full. The producer's lock is taken inside. */
int kfl__linger_add(kfl_producer *producer, const struct kfl__outgoing *outgoing);
/* Append what is due (now_ns -1: all). Holding the lock. The earliest time something is due then; -1: nothing waits;
 * KFL_E_INTR: something is due and lingers on. */
int64_t kfl__linger_run(kfl_producer *producer, int64_t now_ns);
void kfl__linger_destroy(struct kfl__producer_topic *entry);

#endif
