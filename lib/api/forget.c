/* SPDX-License-Identifier: MIT */
/*
 * Forgetting one key.
 *
 * In each partition that has it a tombstone is appended, for those who keep a table; the file that took it is
 * closed; then all is compacted and every record of the key goes, the tombstone among them. At last the partition is
 * read once more.
 */
#include <string.h>

#include "api/store.h"
#include "base/hash.h"
#include "base/memory.h"
#include "engine/compact.h"
#include "engine/read.h"
#include "engine/sync.h"
#include "format/codec.h"
#include "format/record.h"

struct forget {
    const void *key;
    size_t key_size;
    int64_t removed;
};

/* How many records of a verified batch have the key, below end_offset. */
static int forget_count_batch(const struct forget *forget, const struct kfl__cursor *cursor,
                              int64_t end_offset, int64_t *io_count)
{
    const struct kfl__batch_header *header = &cursor->header;
    const uint8_t *payload = cursor->segment->bytes + cursor->place + kfl__batch_head_size(header);
    size_t size = header->size - kfl__batch_head_size(header);
    int codec = header->flags & (int)KFL_BATCH_FLAG_CODEC;
    uint8_t *unpacked = NULL;
    struct kfl__batch_cursor records;
    kfl_record record;
    int r = 0;
    if (codec != KFL_CODEC_NONE) {
        unpacked = kfl__alloc(header->unpacked_size);
        if (unpacked == NULL)
            return kfl__fail(KFL_E_NOMEM, "a batch of %u bytes: out of memory",
                             header->unpacked_size);
        r = kfl__codec_unpack(codec, payload, size, unpacked, header->unpacked_size);
        payload = unpacked;
        size = header->unpacked_size;
    }
    if (r == 0) {
        kfl__batch_cursor_init(&records, header, payload, size);
        while ((r = kfl__batch_next(&records, &record)) == 1)
            *io_count += record.offset < end_offset && record.key != NULL &&
                         record.key_size == forget->key_size &&
                         memcmp(record.key, forget->key, forget->key_size) == 0;
    }
    kfl__free(unpacked);
    return r;
}

/* In the whole partition, as far as it can be read. */
static int forget_count(const struct forget *forget, struct kfl__partition *partition,
                        int64_t end_offset, int64_t *out_count)
{
    struct kfl__cursor cursor;
    int64_t count = 0;
    int r;
    kfl__cursor_init(&cursor, partition, atomic_load(&partition->slot->start_offset), false);
    while ((r = kfl__cursor_batch(&cursor)) > 0) {
        if (r == KFL_CURSOR_HOLE) {
            r = kfl__fail(KFL_E_CORRUPT,
                          "%s: whether the key was there cannot be said: repair first",
                          cursor.hole_text);
            break;
        }
        r = forget_count_batch(forget, &cursor, end_offset, &count);
        if (r < 0)
            break;
        if (kfl__batch_end_offset(&cursor.header) >= end_offset) {
            r = 0;
            break;
        }
        kfl__cursor_pass(&cursor);
    }
    kfl__cursor_close(&cursor);
    *out_count = count;
    return r;
}

static int forget_append_tombstone(const struct forget *forget, struct kfl__partition *partition,
                                   int64_t *out_offset)
{
    const struct kfl__message message = {.key = forget->key,
                                         .key_size = forget->key_size,
                                         .timestamp_ms =
                                             kfl__clock_wall_ms(&partition->core->clock)};
    const struct kfl__append how = {.expected_offset = -1,
                                    .durable = true,
                                    .block_ms = 60000,
                                    .settings = kfl__topic_shape(partition->topic)->settings};
    size_t size;
    int r = kfl__record_size(&message, &size);
    if (r < 0)
        return r;
    uint8_t *bytes = kfl__alloc(size);
    if (bytes == NULL)
        return kfl__fail(KFL_E_NOMEM, "a record of %zu bytes: out of memory", size);
    kfl__record_encode(bytes, &message, 0, message.timestamp_ms);
    const struct kfl__payload payload = {
        .size = (uint32_t)size,
        .unpacked_size = (uint32_t)size,
        .record_count = 1,
        .max_timestamp_ms = message.timestamp_ms,
        .bytes = bytes,
        .hash = kfl__hash64(bytes, size),
    };
    r = kfl__partition_append(partition, &payload, &how, out_offset);
    kfl__free(bytes);
    return r < 0 ? r : kfl__sync_wait(partition, *out_offset + 1, -1);
}

static int forget_compact(const struct forget *forget, struct kfl__partition *partition,
                          int64_t end_offset)
{
    const struct kfl__compact_wish wish = {.force = true,
                                           .forget = {forget->key, forget->key_size, end_offset}};
    struct kfl__compaction *compaction = NULL;
    struct kfl__compact_plan plan;
    int r = kfl__compaction_begin(partition, &wish, &plan, &compaction);
    if (r == 0)
        r = kfl__compaction_step(compaction, -1);
    kfl__compaction_end(compaction);
    return r < 0 ? r : 0;
}

static int forget_partition(struct forget *forget, struct kfl__partition *partition)
{
    int64_t count, left, offset;
    int r = kfl__partition_recovered(partition);
    if (r == 0)
        r = forget_count(forget, partition, INT64_MAX, &count);
    if (r < 0 || count == 0)
        return r;
    r = forget_append_tombstone(forget, partition, &offset);
    if (r == 0)
        r = kfl__partition_roll_behind(partition, offset);
    if (r == 0)
        r = forget_compact(forget, partition, offset + 1);
    if (r == 0)
        r = forget_count(forget, partition, offset + 1, &left);
    if (r == 0 && left > 0) {
        kfl__fail(
            KFL_E_BUSY,
            "partition %s/%d still has %lld records of the key: somebody else compacts it, try again",
            partition->topic->name, partition->number, (long long)left);
        r = kfl__fail_at(KFL_E_BUSY, partition->topic->name, partition->number, -1);
    }
    forget->removed += count;
    return r;
}

int kfl_topic_forget(kfl_store *store, const char *name, const void *key, size_t key_size,
                     int64_t *out_records)
{
    struct forget forget = {.key = key, .key_size = key_size};
    struct kfl__topic *topic = NULL;
    int r = kfl__store_check_writable(store);
    if (r == 0 && (name == NULL || key == NULL))
        r = kfl__fail(KFL_E_INVALID, "kfl_topic_forget: name or key is NULL");
    if (r == 0 && key_size > INT32_MAX)
        r = kfl__fail(KFL_E_INVALID, "kfl_topic_forget: key_size %zu", key_size);
    if (r == 0)
        r = kfl__core_enter(store->core);
    if (r < 0)
        return r;
    r = kfl__topic_find(store->core, name, &topic);
    if (r == 0 && (kfl__topic_shape(topic)->settings->cleanup_policy & KFL_CLEANUP_COMPACT) == 0) {
        kfl__fail(KFL_E_POLICY_VIOLATION,
                  "topic %s has cleanup.policy=delete: only compaction takes single records out",
                  name);
        r = kfl__fail_at(KFL_E_POLICY_VIOLATION, name, -1, -1);
    }
    int32_t count = r < 0 ? 0 : kfl__topic_shape(topic)->partition_count;
    for (int32_t i = 0; r == 0 && i < count; i++) {
        struct kfl__partition *partition;
        r = kfl__topic_partition(topic, i, &partition);
        if (r == 0)
            r = forget_partition(&forget, partition);
    }
    kfl__topic_release(topic);
    kfl__core_leave(store->core);
    if (r == 0 && out_records != NULL)
        *out_records = forget.removed;
    return r;
}
