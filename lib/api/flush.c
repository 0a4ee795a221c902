/* SPDX-License-Identifier: MIT */
/*
 * Flushing a producer: what lingers goes into the log, what is to be durable becomes so, and what a lingering batch met
 * is told.
 */
#include <stdio.h>

#include "api/producer.h"
#include "engine/sync.h"

/* Under the lock: what a lingering batch met, told once. */
static int producer_take_error(kfl_producer *producer)
{
    int r = producer->error;
    if (r < 0 && producer->error_words != NULL) {
        char text[512], topic[256];
        kfl__error_restore(producer->error_words);
        int32_t partition = kfl_last_error_partition();
        int64_t offset = kfl_last_error_offset();
        snprintf(text, sizeof text, "%s", kfl_last_error());
        snprintf(topic, sizeof topic, "%s", kfl_last_error_topic());
        kfl__fail(r, "%lld lingering records are not in the log: %s", (long long)producer->error_lost, text);
        r = kfl__fail_at(r, topic, partition, offset);
    } else if (r < 0) {
        r = kfl__fail(r, "%lld lingering records are not in the log", (long long)producer->error_lost);
    }
    producer->error = 0;
    producer->error_lost = 0;
    return r;
}

/* Wait for what lingered in one partition, and be done with it: its topic may go later. */
static int producer_sync_linger(kfl_producer *producer, struct kfl__producer_topic *entry, int32_t number, int64_t deadline_ns)
{
    struct kfl__partition *partition;
    kfl__mutex_lock(&producer->lock);
    int64_t upto = entry->lingers[number].sync_to;
    kfl__mutex_unlock(&producer->lock);
    if (upto == 0)
        return 0;
    int r = kfl__topic_partition(entry->topic, number, &partition);
    if (r == 0)
        r = kfl__sync_wait(partition, upto, deadline_ns);
    if (r < 0 && r != KFL_E_UNKNOWN_TOPIC_OR_PARTITION)
        return r;
    kfl__mutex_lock(&producer->lock);
    if (entry->lingers[number].sync_to == upto)
        entry->lingers[number].sync_to = 0;
    kfl__mutex_unlock(&producer->lock);
    return r;
}

static int producer_sync_entry(kfl_producer *producer, struct kfl__producer_topic *entry, int64_t deadline_ns)
{
    kfl__mutex_lock(&producer->lock);
    int32_t count = entry->linger_count;
    kfl__mutex_unlock(&producer->lock);
    int r = 0;
    for (int32_t i = 0; i < count && r == 0; i++)
        r = producer_sync_linger(producer, entry, i, deadline_ns);
    return r;
}

KFL_UNCHECKED int kfl_producer_flush(kfl_producer *producer, int32_t timeout_ms)
{
    if (producer == NULL)
        return kfl__fail(KFL_E_INVALID, "kfl_producer_flush: the producer is NULL");
    if (timeout_ms < -1)
        return kfl__fail(KFL_E_INVALID, "kfl_producer_flush: timeout_ms %d", timeout_ms);
    int64_t deadline = kfl__clock_deadline_ns(timeout_ms);
    int r = kfl__core_enter(producer->core);
    if (r < 0)
        return r;
    r = kfl__mutex_lock_patiently(&producer->lock);
    if (r < 0) {
        kfl__core_leave(producer->core);
        return r;
    }
    r = kfl__linger_run(producer, -1) == KFL_E_INTR ? KFL_E_INTR : producer_take_error(producer);
    struct kfl__producer_topic *entry = producer->topics; /* entries stay until the producer closes */
    kfl__mutex_unlock(&producer->lock);
    for (; producer->durable && entry != NULL; entry = entry->next) {
        int synced = producer_sync_entry(producer, entry, deadline);
        r = r < 0 ? r : synced;
    }
    kfl__core_leave(producer->core);
    return r;
}
