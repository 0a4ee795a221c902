/* SPDX-License-Identifier: MIT */
/*
 * Producers: one record a call.
 *
 * A send that does not linger takes no lock but the partition's own: what it needs of the producer is
 * constant, and what it needs of the topic is a shape that is replaced as a whole. Its bytes are copied
 * once, from the caller into the log. Records without a key take the producer's lock, for the partition in
 * favour.
 */
#include "api/producer.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "base/patience.h"
#include "base/random.h"
#include "engine/janitor.h"
#include "format/codec.h"

/* ---- opening and closing ---- */

static int64_t producer_chore(void *context, int64_t now_ns)
{
    kfl_producer *producer = context;
    kfl__mutex_lock(&producer->lock);
    int64_t due = kfl__linger_run(producer, now_ns);
    kfl__mutex_unlock(&producer->lock);
    return due;
}

static void producer_free(kfl_producer *producer)
{
    while (producer->topics != NULL) {
        struct kfl__producer_topic *entry = producer->topics;
        producer->topics = entry->next;
        kfl__linger_destroy(entry);
        kfl__topic_release(entry->topic);
        kfl__free(entry);
    }
    kfl__free(producer->error_words);
    kfl_config_destroy(producer->config);
    kfl__mutex_destroy(&producer->lock);
    kfl__core_release(producer->core);
    kfl__free(producer);
}

int kfl_producer_open(kfl_store *store, const kfl_config *config, kfl_producer **out_producer)
{
    int r = kfl__store_check_writable(store);
    if (r == 0 && out_producer == NULL)
        r = kfl__fail(KFL_E_INVALID, "kfl_producer_open: out_producer is NULL");
    if (r == 0)
        r = kfl__config_check(config, KFL_SCOPE_PRODUCER, kfl__codec_is_built(KFL_CODEC_LZ4), kfl__codec_is_built(KFL_CODEC_ZSTD));
    if (r < 0)
        return r;
    kfl_producer *producer = kfl__alloc(sizeof *producer);
    if (producer == NULL)
        return kfl__fail(KFL_E_NOMEM, "a producer: out of memory");
    r = kfl__mutex_init(&producer->lock, KFL_RANK_HANDLE);
    if (r < 0) {
        kfl__free(producer);
        return r;
    }
    producer->core = store->core;
    kfl__core_acquire(producer->core);
    r = kfl__config_copy(config, &producer->config);
    if (r < 0) {
        producer_free(producer);
        return r;
    }
    producer->settings = kfl__config_settings(producer->config);
    producer->durable = producer->settings->acks == KFL_ACKS_ALL;
    if (producer->settings->linger_ms > 0)
        r = kfl__janitor_add(producer->core, producer_chore, producer);
    if (r < 0) {
        producer_free(producer);
        return r;
    }
    *out_producer = producer;
    return 0;
}

int kfl_producer_close(kfl_producer *producer)
{
    int r = 0;
    if (producer == NULL)
        return 0;
    if (producer->core->fork_page[0] == 0)
        return kfl__fail(KFL_E_FORKED, "the producer was opened before fork(): the parent closes it");
    if (producer->settings->linger_ms > 0) {
        int32_t patience = kfl__patience_set(-1); /* it goes whatever happens */
        kfl__janitor_remove(producer->core, producer_chore, producer);
        r = kfl_producer_flush(producer, (int32_t)producer->settings->max_block_ms);
        kfl__patience_set(patience);
    }
    producer_free(producer);
    return r;
}

/* ---- topics ---- */

#define PRODUCER_NAME_SHORT 16

static struct kfl__producer_topic *producer_known(kfl_producer *producer, const char *name)
{
    struct kfl__producer_topic *entry = producer->topics;
    while (entry != NULL && (strcmp(entry->topic->name, name) != 0 || atomic_load(&entry->topic->gone) != 0))
        entry = entry->next;
    return entry;
}

/* A topic that this producer has not sent to, or that was deleted and made anew. Holding the lock. */
static int producer_learn(kfl_producer *producer, const char *name, struct kfl__producer_topic **out_entry)
{
    struct kfl__topic *topic = NULL;
    int r = kfl__topic_find(producer->core, name, &topic);
    if (r < 0)
        return r;
    struct kfl__producer_topic *entry = kfl__alloc(sizeof *entry);
    if (entry == NULL) {
        kfl__topic_release(topic);
        return kfl__fail(KFL_E_NOMEM, "topic %s: out of memory", name);
    }
    entry->topic = topic;
    kfl__partitioner_init(&entry->partitioner, producer->settings, kfl__random64());
    entry->next = producer->topics;
    producer->topics = entry;
    *out_entry = entry;
    return 0;
}

static int producer_find(kfl_producer *producer, const char *name, struct kfl__producer_topic **out_entry)
{
    int r = kfl__core_enter(producer->core);
    if (r < 0)
        return r;
    kfl__mutex_lock(&producer->lock);
    struct kfl__producer_topic *entry = producer_known(producer, name);
    if (entry != NULL && kfl__topic_current(entry->topic) < 0)
        entry = NULL; /* deleted: perhaps there is a new one of this name */
    r = entry != NULL ? 0 : producer_learn(producer, name, &entry);
    if (r == 0)
        atomic_store_explicit(&producer->last, entry, memory_order_release);
    kfl__mutex_unlock(&producer->lock);
    kfl__core_leave(producer->core);
    if (r == 0)
        *out_entry = entry;
    return r;
}

/* Does the topic bear this name, and is it as the catalog has it? */
static inline bool producer_topic_stands(const kfl_producer *producer, const struct kfl__topic *topic, const char *name)
{
    /* With the NUL at its end. Most names are short, and a call costs more than they do. */
    const char *own = topic->name;
    size_t size = topic->name_size + 1, at = 0;
    if (KFL_LIKELY(size <= PRODUCER_NAME_SHORT))
        while (at < size && own[at] == name[at])
            at++;
    else if (strcmp(own, name) == 0)
        at = size;
    return at == size && atomic_load_explicit(&producer->core->shared->topics_version, memory_order_acquire) ==
                       atomic_load_explicit(&topic->seen_version, memory_order_relaxed);
}

int kfl__producer_topic(kfl_producer *producer, const char *name, struct kfl__producer_topic **out_entry)
{
    struct kfl__producer_topic *entry = atomic_load_explicit(&producer->last, memory_order_acquire);
    if (KFL_LIKELY(entry != NULL && producer_topic_stands(producer, entry->topic, name))) {
        *out_entry = entry;
        return 0;
    }
    return producer_find(producer, name, out_entry);
}

/* ---- checking ---- */

int kfl__producer_check_time(const struct kfl__producer_topic *entry, const struct kfl__topic_shape *shape, int64_t timestamp_ms,
                             int64_t now_ms)
{
    const struct kfl__settings *settings = shape->settings;
    if (timestamp_ms < 0) {
        kfl__fail(KFL_E_INVALID_TIMESTAMP, "topic %s: %lld is no time: milliseconds since 1970, or KFL_TIMESTAMP_NOW",
                  entry->topic->name, (long long)timestamp_ms);
        return kfl__fail_at(KFL_E_INVALID_TIMESTAMP, entry->topic->name, -1, -1);
    }
    if (now_ms - timestamp_ms <= settings->message_timestamp_before_max_ms &&
        timestamp_ms - now_ms <= settings->message_timestamp_after_max_ms)
        return 0;
    kfl__fail(KFL_E_INVALID_TIMESTAMP, "topic %s does not take the time %lld: see message.timestamp.before.max.ms and .after.max.ms",
              entry->topic->name, (long long)timestamp_ms);
    return kfl__fail_at(KFL_E_INVALID_TIMESTAMP, entry->topic->name, -1, -1);
}

static int producer_too_large(const struct kfl__outgoing *outgoing)
{
    const char *name = outgoing->entry->topic->name;
    kfl__fail(KFL_E_MESSAGE_TOO_LARGE, "a record of %zu bytes: topic %s takes at most %lld (max.message.bytes), with %zu of a batch's head",
              outgoing->size, name, (long long)outgoing->shape->settings->max_message_bytes, sizeof(struct kfl__batch_header));
    return kfl__fail_at(KFL_E_MESSAGE_TOO_LARGE, name, -1, -1);
}

static int producer_no_key(const struct kfl__outgoing *outgoing)
{
    const char *name = outgoing->entry->topic->name;
    kfl__fail(KFL_E_INVALID_RECORD, "topic %s is compacted: every record needs a key", name);
    return kfl__fail_at(KFL_E_INVALID_RECORD, name, -1, -1);
}

static int producer_set_time(struct kfl__outgoing *outgoing, const struct kfl__clock *clock)
{
    const struct kfl__settings *settings = outgoing->shape->settings;
    int64_t timestamp = outgoing->message.timestamp_ms;
    if (settings->message_timestamp_type == KFL_TIME_APPEND) {
        outgoing->message.timestamp_ms = kfl__clock_wall_ms(clock);
        outgoing->flags = KFL_BATCH_FLAG_APPEND_TIME;
        return 0;
    }
    if (timestamp == KFL_TIMESTAMP_NOW) {
        outgoing->message.timestamp_ms = kfl__clock_wall_ms(clock);
        return 0;
    }
    if (KFL_LIKELY(timestamp >= 0 && settings->message_timestamp_before_max_ms == INT64_MAX &&
                   settings->message_timestamp_after_max_ms == INT64_MAX))
        return 0;
    return kfl__producer_check_time(outgoing->entry, outgoing->shape, timestamp, kfl__clock_wall_ms(clock));
}

/* The partition, by number, by key, or in favour now. */
static int producer_place(kfl_producer *producer, struct kfl__outgoing *outgoing)
{
    int32_t count = outgoing->shape->partition_count;
    const struct kfl__message *message = &outgoing->message;
    if (outgoing->partition >= 0 && outgoing->partition < count)
        return 0;
    if (outgoing->partition != KFL_PARTITION_ANY) {
        kfl__fail(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, "topic %s has no partition %d: it has %d, 0 to %d",
                  outgoing->entry->topic->name, outgoing->partition, count, count - 1);
        return kfl__fail_at(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, outgoing->entry->topic->name, outgoing->partition, -1);
    }
    if (KFL_LIKELY(message->key != NULL && !outgoing->entry->partitioner.ignore_keys)) {
        outgoing->partition = kfl__partitioner_pick_by_key(outgoing->entry->partitioner.hash, message->key, message->key_size, count);
        return 0;
    }
    kfl__mutex_lock(&producer->lock);
    outgoing->partition = kfl__partitioner_pick_any(&outgoing->entry->partitioner, outgoing->size, count);
    kfl__mutex_unlock(&producer->lock);
    return 0;
}

/* A caller's record, before anything of it is looked at. Field by field: most of a send is spared otherwise. */
static inline void producer_take(struct kfl__outgoing *outgoing, int32_t partition, const void *key, size_t key_size,
                                 const void *value, size_t value_size, const kfl_header *headers, size_t header_count,
                                 int64_t timestamp_ms)
{
    struct kfl__message *message = &outgoing->message;
    message->key = key;
    message->value = value;
    message->key_size = key_size;
    message->value_size = value_size;
    message->headers = headers;
    message->packed_headers = NULL;
    message->packed_headers_size = 0;
    message->header_count = (uint32_t)header_count;
    message->timestamp_ms = timestamp_ms;
    outgoing->partition = partition;
    outgoing->flags = 0;
}

static int producer_bad_argument(const kfl_producer *producer, const char *topic)
{
    return kfl__fail(KFL_E_INVALID, "kfl_producer_send: %s",
                     producer == NULL ? "the producer is NULL" : topic == NULL ? "the topic is NULL" : "a size without bytes");
}

static inline int producer_size(struct kfl__outgoing *outgoing)
{
    const struct kfl__message *message = &outgoing->message;
    if (KFL_UNLIKELY(message->header_count != 0 || (message->key_size | message->value_size) >= (size_t)1 << 29))
        return kfl__record_size(message, &outgoing->size);
    outgoing->size = sizeof(struct kfl__record_head) + message->key_size + message->value_size;
    return 0;
}

/* Key and value together: what is laid out in memory first, so that its hash is known before the lock is taken. */
#define PRODUCER_SHORT 480u
#define PRODUCER_NOT_SHORT INT_MIN
/* In whole words, of which one more than the record may need is zeroed. */
#define PRODUCER_SHORT_ROOM ((sizeof(struct kfl__record_head) + PRODUCER_SHORT + 2 * sizeof(uint64_t) - 1) / sizeof(uint64_t) * sizeof(uint64_t))

/* Do the properties leave nothing to be done for a short record but to append it? */
static bool producer_is_plain(const kfl_producer *producer, const struct kfl__topic_shape *shape)
{
    const struct kfl__settings *settings = shape->settings;
    return producer->settings->linger_ms == 0 && !producer->durable && !producer->core->by_file && settings->flush_messages == INT64_MAX && (settings->cleanup_policy & KFL_CLEANUP_COMPACT) == 0 &&
           settings->max_message_bytes >= (int64_t)(sizeof(struct kfl__batch_header) + PRODUCER_SHORT_ROOM) &&
           settings->message_timestamp_type != KFL_TIME_APPEND && settings->message_timestamp_before_max_ms == INT64_MAX &&
           settings->message_timestamp_after_max_ms == INT64_MAX && kfl__producer_codec(producer, shape) == KFL_CODEC_NONE;
}

static inline int producer_check(kfl_producer *producer, const char *topic, struct kfl__outgoing *outgoing)
{
    const struct kfl__message *message = &outgoing->message;
    if (KFL_UNLIKELY(producer == NULL || topic == NULL || (message->key == NULL && message->key_size > 0) ||
                     (message->value == NULL && message->value_size > 0) ||
                     (message->headers == NULL && message->header_count > 0)))
        return producer_bad_argument(producer, topic);
    int r = kfl__core_check(producer->core);
    if (KFL_LIKELY(r == 0))
        r = kfl__producer_topic(producer, topic, &outgoing->entry);
    if (KFL_UNLIKELY(r < 0))
        return r;
    outgoing->shape = kfl__topic_shape(outgoing->entry->topic);
    r = producer_size(outgoing);
    if (KFL_UNLIKELY(r < 0))
        return r;
    const struct kfl__settings *settings = outgoing->shape->settings;
    if (KFL_UNLIKELY(outgoing->size + sizeof(struct kfl__batch_header) > (uint64_t)settings->max_message_bytes))
        return producer_too_large(outgoing);
    if (KFL_UNLIKELY(message->key == NULL && (settings->cleanup_policy & KFL_CLEANUP_COMPACT) != 0))
        return producer_no_key(outgoing);
    r = producer_set_time(outgoing, &producer->core->clock);
    if (KFL_UNLIKELY(r < 0))
        return r;
    outgoing->codec = kfl__producer_codec(producer, outgoing->shape);
    atomic_store_explicit(&outgoing->entry->plain, producer_is_plain(producer, outgoing->shape) ? outgoing->shape : NULL,
                          memory_order_relaxed);
    return producer_place(producer, outgoing);
}

/* ---- short records ---- */

/* Encoded and hashed in memory before the lock is taken, and appended as it stands. */
static __attribute__((noinline)) int64_t producer_append_laid(kfl_producer *producer, struct kfl__partition *partition,
                                                              const struct kfl__settings *settings, const void *key, size_t key_size,
                                                              const void *value, size_t value_size, int64_t timestamp_ms)
{
    uint64_t laid[PRODUCER_SHORT_ROOM / sizeof(uint64_t)];
    uint8_t *behind = kfl__record_encode_plain((uint8_t *)laid, key, key_size, value, value_size);
    uint32_t size = (uint32_t)(behind - (uint8_t *)laid);
    kfl__store64(behind, 0);
    return kfl__partition_append_short(partition, laid, size, kfl__hash64(laid, size), timestamp_ms,
                                       producer->settings->max_block_ms, settings);
}

/*
 * Most short records are not laid out at all: a load of bytes that were stored by several stores, or across the edges of one, waits
 * until these have left the processor, behind all those of the append before, and so each hash would wait for the last append.
 */
static inline __attribute__((always_inline)) int64_t producer_append_split(struct kfl__partition *partition,
                                                                           const struct kfl__settings *settings, const void *key,
                                                                           size_t key_size, const void *value, size_t value_size,
                                                                           int64_t timestamp_ms)
{
    if (key_size > KFL_RECORD_SPLIT_KEY || value_size < KFL_RECORD_SPLIT_LEAST ||
        key_size + value_size > KFL_HASH_SPLIT_MOST - sizeof(struct kfl__record_head))
        return KFL_APPEND_UNUSUAL;
    struct kfl__record_split split = kfl__record_split(key, key_size, value, value_size);
    return kfl__partition_append_split(partition, &split, timestamp_ms, settings);
}

/*
 * A record that needs no look at a property. PRODUCER_NOT_SHORT: it is none, or something is wrong with it, and nothing was
 * done; else as kfl_producer_send().
 */
static inline __attribute__((always_inline)) int producer_send_short(kfl_producer *producer, const char *topic, int32_t number, const void *key,
                                      size_t key_size, const void *value, size_t value_size, int64_t timestamp_ms,
                                      int64_t *out_offset)
{
    if (KFL_UNLIKELY(producer == NULL || topic == NULL || key_size > PRODUCER_SHORT || value_size > PRODUCER_SHORT - key_size ||
                     (key == NULL && key_size > 0) || (value == NULL && value_size > 0) || timestamp_ms < KFL_TIMESTAMP_NOW))
        return PRODUCER_NOT_SHORT;
    /* Where anything is not as it is nearly always, the long way tells why. */
    struct kfl__producer_topic *entry = atomic_load_explicit(&producer->last, memory_order_acquire);
    if (KFL_UNLIKELY(entry == NULL || !kfl__core_check_quickly(producer->core)))
        return PRODUCER_NOT_SHORT;
    const struct kfl__topic *known = entry->topic;
    const struct kfl__topic_shape *shape = kfl__topic_shape(known);
    if (KFL_UNLIKELY(!producer_topic_stands(producer, known, topic) ||
                     shape != atomic_load_explicit(&entry->plain, memory_order_relaxed)))
        return PRODUCER_NOT_SHORT;
    if (number == KFL_PARTITION_ANY && key != NULL && !entry->partitioner.ignore_keys)
        number = kfl__partitioner_pick_by_key(entry->partitioner.hash, key, key_size, shape->partition_count);
    struct kfl__partition *partition = kfl__topic_shape_partition(shape, number);
    if (KFL_UNLIKELY(partition == NULL))
        return PRODUCER_NOT_SHORT;

    kfl__partition_fetch_tail(partition, (uint32_t)(sizeof(struct kfl__record_head) + key_size + value_size));
    if (KFL_LIKELY(timestamp_ms == KFL_TIMESTAMP_NOW))
        timestamp_ms = kfl__clock_wall_ms(&producer->core->clock);
    int64_t offset = producer_append_split(partition, shape->settings, key, key_size, value, value_size, timestamp_ms);
    if (KFL_UNLIKELY(offset == KFL_APPEND_UNUSUAL))
        offset = producer_append_laid(producer, partition, shape->settings, key, key_size, value, value_size, timestamp_ms);
    if (KFL_UNLIKELY(offset < 0))
        return (int)offset;
    if (out_offset != NULL)
        *out_offset = offset;
    return number;
}

/* ---- appending ---- */

static void producer_fill(const struct kfl__payload *payload, uint8_t *to)
{
    kfl__record_encode(to, payload->context, 0, payload->max_timestamp_ms);
}

static int producer_append_one(kfl_producer *producer, const struct kfl__outgoing *outgoing, int64_t expected_offset,
                               int64_t *out_offset)
{
    struct kfl__payload payload = {
        .size = (uint32_t)outgoing->size,
        .unpacked_size = (uint32_t)outgoing->size,
        .record_count = 1,
        .flags = outgoing->flags,
        .max_timestamp_ms = outgoing->message.timestamp_ms,
        .fill = producer_fill,
        .context = &outgoing->message,
    };
    int r = kfl__producer_append(producer, outgoing->entry, outgoing->shape, outgoing->partition, &payload, outgoing->codec,
                                 expected_offset, true, out_offset);
    return r < 0 ? r : outgoing->partition;
}

/* Whatever the record is; taken already. */
static __attribute__((noinline)) int producer_send_any(kfl_producer *producer, const char *topic, struct kfl__outgoing *outgoing,
                                                       size_t header_count, int64_t *out_offset)
{
    if (KFL_UNLIKELY(header_count > UINT32_MAX))
        return kfl__fail(KFL_E_INVALID, "kfl_producer_send: %zu headers", header_count);
    int r = producer_check(producer, topic, outgoing);
    if (KFL_UNLIKELY(r < 0))
        return r;
    if (KFL_LIKELY(producer->settings->linger_ms == 0))
        return producer_append_one(producer, outgoing, -1, out_offset);
    r = kfl__linger_add(producer, outgoing);
    if (r < 0)
        return r;
    if (out_offset != NULL)
        *out_offset = KFL_OFFSET_PENDING;
    return outgoing->partition;
}

int kfl_producer_send(kfl_producer *producer, const char *topic, int32_t partition, const void *key, size_t key_size,
                      const void *value, size_t value_size, const kfl_header *headers, size_t header_count,
                      int64_t timestamp_ms, int64_t *out_offset)
{
    if (KFL_LIKELY(header_count == 0)) {
        int r = producer_send_short(producer, topic, partition, key, key_size, value, value_size, timestamp_ms, out_offset);
        if (KFL_LIKELY(r != PRODUCER_NOT_SHORT))
            return r;
    }
    /*
     * By a record in memory and not by all these parameters: for a call with the same ones the compiler would prepare, in each
     * send, by copying what lies on the stack.
     */
    struct kfl__outgoing outgoing;
    producer_take(&outgoing, partition, key, key_size, value, value_size, headers, header_count, timestamp_ms);
    return producer_send_any(producer, topic, &outgoing, header_count, out_offset);
}

int kfl_producer_send_if(kfl_producer *producer, const char *topic, int32_t partition, const void *key, size_t key_size,
                         const void *value, size_t value_size, const kfl_header *headers, size_t header_count,
                         int64_t timestamp_ms, int64_t expected_offset, int64_t *out_offset)
{
    struct kfl__outgoing outgoing;
    producer_take(&outgoing, partition, key, key_size, value, value_size, headers, header_count, timestamp_ms);
    if (header_count > UINT32_MAX || partition < 0 || expected_offset < 0)
        return kfl__fail(KFL_E_INVALID, "kfl_producer_send_if: the partition is a number, and so is the offset that it ends at");
    int r = producer_check(producer, topic, &outgoing);
    return r < 0 ? r : producer_append_one(producer, &outgoing, expected_offset, out_offset);
}
