/* SPDX-License-Identifier: MIT */
/*
 * Batches that wait for company.
 *
 * Records are encoded as they come, their times against 0, since the batch's largest time is known only at
 * its end; it is then subtracted in place. A batch is appended when it is full, when its time has come
 * (the helper looks), or by a flush, always under the producer's lock, so that the batches of a partition
 * keep their order. What an append meets is told by the next flush, but for KFL_E_INTR (base/patience): the batch then
 * lingers on.
 */
#include <string.h>

#include "api/producer.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "base/memory.h"
#include "engine/janitor.h"

static void linger_remember(kfl_producer *producer, int code, uint32_t lost)
{
    if (producer->error == 0) {
        if (producer->error_words == NULL)
            producer->error_words = kfl__alloc(sizeof *producer->error_words);
        if (producer->error_words != NULL)
            kfl__error_save(producer->error_words);
        producer->error = code;
    }
    producer->error_lost += lost;
}

/* The records' times, encoded against 0, become times against another one, or back. */
static void linger_shift_times(struct kfl__linger *linger, int64_t ms)
{
    for (uint32_t i = 0; i < linger->count; i++) {
        uint8_t *delta = linger->bytes + linger->starts[i] + offsetof(struct kfl__record_head, timestamp_delta);
        kfl__store64(delta, kfl__load64(delta) + (uint64_t)ms);
    }
}

/* Without an answer of the append: a time for all. */
static void linger_drop_times(struct kfl__linger *linger)
{
    for (uint32_t i = 0; i < linger->count; i++)
        kfl__store64(linger->bytes + linger->starts[i] + offsetof(struct kfl__record_head, timestamp_delta), 0);
}

/* Holding the lock. 0, whatever the append met, or KFL_E_INTR: the batch lingers on. */
static int linger_append(kfl_producer *producer, struct kfl__producer_topic *entry, int32_t partition)
{
    struct kfl__linger *linger = &entry->lingers[partition];
    const struct kfl__topic_shape *shape = kfl__topic_shape(entry->topic);
    bool append_time = shape->settings->message_timestamp_type == KFL_TIME_APPEND;
    int64_t offset = -1;
    if (append_time)
        linger_drop_times(linger);
    else
        linger_shift_times(linger, -linger->max_timestamp_ms);
    struct kfl__payload payload = {
        .size = linger->size,
        .unpacked_size = linger->size,
        .record_count = linger->count,
        .flags = append_time ? (uint16_t)KFL_BATCH_FLAG_APPEND_TIME : 0,
        .max_timestamp_ms = append_time ? kfl__clock_wall_ms(&producer->core->clock) : linger->max_timestamp_ms,
        .bytes = linger->bytes,
        .hash = kfl__hash64(linger->bytes, linger->size),
    };
    int r = kfl__producer_append(producer, entry, shape, partition, &payload, kfl__producer_codec(producer, shape), -1, false, &offset);
    if (r == KFL_E_INTR && offset < 0) {
        if (!append_time)
            linger_shift_times(linger, linger->max_timestamp_ms);
        return r;
    }
    if (r < 0 && r != KFL_E_INTR)
        linger_remember(producer, r, linger->count);
    else if (producer->durable)
        linger->sync_to = offset + linger->count;
    linger->size = 0;
    linger->count = 0;
    linger->max_timestamp_ms = 0;
    return 0;
}

/* Holding the lock: room for this record, of so many bytes. */
static int linger_make_room(struct kfl__linger *linger, size_t size)
{
    if (linger->size + size > linger->room) {
        size_t room = linger->room == 0 ? 4096 : (size_t)linger->room * 2;
        while (room < linger->size + size)
            room *= 2;
        uint8_t *grown = kfl__realloc(linger->bytes, room);
        if (grown == NULL)
            return kfl__fail(KFL_E_NOMEM, "a batch of %zu bytes: out of memory", room);
        linger->bytes = grown;
        linger->room = (uint32_t)room;
    }
    if (linger->count == linger->start_room) {
        uint32_t room = linger->start_room == 0 ? 64 : linger->start_room * 2;
        uint32_t *grown = kfl__realloc(linger->starts, room * sizeof *grown);
        if (grown == NULL)
            return kfl__fail(KFL_E_NOMEM, "a batch of %u records: out of memory", room);
        linger->starts = grown;
        linger->start_room = room;
    }
    return 0;
}

/* Holding the lock. */
static int linger_of(struct kfl__producer_topic *entry, int32_t partition, struct kfl__linger **out_linger)
{
    if (partition >= entry->linger_count) {
        int32_t count = kfl__topic_shape(entry->topic)->partition_count;
        struct kfl__linger *grown = kfl__realloc(entry->lingers, (size_t)count * sizeof *grown);
        if (grown == NULL)
            return kfl__fail(KFL_E_NOMEM, "topic %s: out of memory", entry->topic->name);
        memset(grown + entry->linger_count, 0, (size_t)(count - entry->linger_count) * sizeof *grown);
        entry->lingers = grown;
        entry->linger_count = count;
    }
    *out_linger = &entry->lingers[partition];
    return 0;
}

static int linger_add(kfl_producer *producer, const struct kfl__outgoing *outgoing, bool *out_first)
{
    const struct kfl__settings *settings = producer->settings;
    struct kfl__linger *linger = NULL;
    uint64_t most = (uint64_t)outgoing->shape->settings->max_message_bytes;
    int r = linger_of(outgoing->entry, outgoing->partition, &linger);
    if (r < 0)
        return r;
    if (most > (uint64_t)settings->batch_size)
        most = (uint64_t)settings->batch_size;
    if (linger->count > 0 && linger->size + outgoing->size + sizeof(struct kfl__batch_header) > most) {
        r = linger_append(producer, outgoing->entry, outgoing->partition);
        if (r < 0)
            return r;
    }
    r = linger_make_room(linger, outgoing->size);
    if (r < 0)
        return r;
    *out_first = linger->count == 0;
    if (linger->count == 0)
        linger->due_ns = kfl__clock_steady_ns() + settings->linger_ms * 1000000;
    linger->starts[linger->count] = linger->size;
    uint8_t *to = linger->bytes + linger->size;
    kfl__record_encode(to, &outgoing->message, linger->count, outgoing->message.timestamp_ms);
    kfl__store64(to + offsetof(struct kfl__record_head, timestamp_delta), (uint64_t)outgoing->message.timestamp_ms);
    linger->size += (uint32_t)outgoing->size;
    linger->count++;
    if (outgoing->message.timestamp_ms > linger->max_timestamp_ms)
        linger->max_timestamp_ms = outgoing->message.timestamp_ms;
    if (linger->size + sizeof(struct kfl__batch_header) >= most)
        (void)linger_append(producer, outgoing->entry, outgoing->partition);
    return 0;
}

KFL_UNCHECKED int kfl__linger_add(kfl_producer *producer, const struct kfl__outgoing *outgoing)
{
    bool first = false;
    /* The helper may hold it for as long as it waits for another process. */
    int r = kfl__mutex_lock_patiently(&producer->lock);
    if (r < 0)
        return r;
    r = linger_add(producer, outgoing, &first);
    kfl__mutex_unlock(&producer->lock);
    /* The helper sleeps until what is due; with a first record there is something new. */
    if (r == 0 && first)
        kfl__janitor_wake(producer->core);
    return r;
}

int64_t kfl__linger_run(kfl_producer *producer, int64_t now_ns)
{
    int64_t due = -1;
    int r = 0;
    for (struct kfl__producer_topic *entry = producer->topics; entry != NULL; entry = entry->next)
        for (int32_t i = 0; i < entry->linger_count; i++) {
            struct kfl__linger *linger = &entry->lingers[i];
            if (linger->count == 0)
                continue;
            if (now_ns < 0 || linger->due_ns <= now_ns)
                r = linger_append(producer, entry, i) < 0 ? KFL_E_INTR : r;
            else if (due < 0 || linger->due_ns < due)
                due = linger->due_ns;
        }
    return r < 0 ? r : due;
}

void kfl__linger_destroy(struct kfl__producer_topic *entry)
{
    for (int32_t i = 0; i < entry->linger_count; i++) {
        kfl__free(entry->lingers[i].bytes);
        kfl__free(entry->lingers[i].starts);
    }
    kfl__free(entry->lingers);
}
