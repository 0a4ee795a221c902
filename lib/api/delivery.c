/* SPDX-License-Identifier: MIT */
/* One batch of a producer goes into the log: packed, appended, and with acks=all waited for. */
#include "api/producer.h"
#include "base/memory.h"
#include "engine/sync.h"
#include "format/codec.h"

/* Patience was over behind the append: the caller is told where the records are. */
static int producer_not_durable(const struct kfl__producer_topic *entry, int32_t number, int64_t offset, int64_t *out_offset)
{
    if (out_offset != NULL)
        *out_offset = offset;
    kfl__fail(KFL_E_INTR, "what was sent to %s/%d is in the log at offset %lld, and its sync was not waited for to its end",
              entry->topic->name, number, (long long)offset);
    return kfl__fail_at(KFL_E_INTR, entry->topic->name, number, offset);
}

int kfl__producer_append(kfl_producer *producer, struct kfl__producer_topic *entry, const struct kfl__topic_shape *shape,
                         int32_t number, struct kfl__payload *payload, int codec, int64_t expected_offset, bool wait,
                         int64_t *out_offset)
{
    struct kfl__append how = {
        .expected_offset = expected_offset,
        .durable = producer->durable,
        .block_ms = producer->settings->max_block_ms,
        .settings = shape->settings,
    };
    struct kfl__partition *partition;
    uint8_t *packed = NULL;
    int64_t offset = -1;
    int r = 0;
    if (KFL_UNLIKELY(codec != KFL_CODEC_NONE)) {
        r = kfl__producer_pack(payload, codec, &packed);
        if (r < 0)
            return r;
    }
    r = kfl__topic_partition(entry->topic, number, &partition);
    if (r == 0)
        r = kfl__partition_append(partition, payload, &how, &offset);
    kfl__free(packed);
    if (KFL_UNLIKELY(r < 0))
        return r == KFL_E_INTR && offset >= 0 ? producer_not_durable(entry, number, offset, out_offset) : r;
    if (out_offset != NULL)
        *out_offset = offset;
    if (KFL_LIKELY(!producer->durable || !wait))
        return 0;
    r = kfl__core_enter(producer->core);
    if (r < 0)
        return r;
    r = kfl__sync_wait(partition, offset + payload->record_count, -1);
    kfl__core_leave(producer->core);
    return r == KFL_E_INTR ? producer_not_durable(entry, number, offset, out_offset) : r;
}
