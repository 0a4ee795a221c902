/* SPDX-License-Identifier: MIT */
/*
 * Many records by one call.
 *
 * A first pass checks everything and places each row; then each partition's rows become one batch, encoded
 * straight into the log. Nothing is appended before everything is known to be right.
 */
#include <string.h>

#include "api/producer.h"
#include "base/bytes.h"
#include "base/memory.h"

#define PACKED_ROWS_ON_STACK 512
#define PACKED_NONE UINT32_MAX
#define PACKED_FETCH_AHEAD 1024u
#define PACKED_FEW 256u /* bytes, of which a call would cost more than they do */

/* What is known of a row. */
struct packed_place {
    uint64_t at;   /* where its bytes begin */
    uint32_t size; /* how many: of key, value and headers */
    uint32_t next; /* the next row of the same partition; PACKED_NONE: none */
};

struct packed_send {
    kfl_producer *producer;
    struct kfl__producer_topic *entry;
    const struct kfl__topic_shape *shape;
    kfl_packed_row *rows;
    size_t row_count;
    const uint8_t *bytes;
    struct packed_place *places; /* one a row */
    int64_t now_ms;
    bool append_time;
    /* what packed_row_is_plain() compares with */
    int32_t key_least; /* of a key's size */
    int64_t most;      /* of a row's bytes; below 0: not even an empty one */
    bool any_time;
};

/* A run of rows that becomes one batch. */
struct packed_batch {
    const struct packed_send *send;
    uint32_t first, count;
};

static inline size_t packed_row_bytes(const kfl_packed_row *row)
{
    return (size_t)(row->key_size > 0 ? row->key_size : 0) + (size_t)(row->value_size > 0 ? row->value_size : 0) +
           (size_t)row->headers_size;
}

/* In a payload, of a row of so many bytes. */
static inline size_t packed_row_size(const kfl_packed_row *row, size_t bytes)
{
    return sizeof(struct kfl__record_head) + bytes + (row->header_count > 0 ? KFL_HEADERS_HEAD_SIZE : 0);
}

/* The lines that the rows behind this one will lie in: a copy that waits for each takes twice as long. */
static inline void packed_fetch_ahead(const uint8_t *to, size_t size)
{
    for (size_t at = 0; at < size + sizeof(struct kfl__record_head) && at < PACKED_FETCH_AHEAD; at += 64)
        kfl__fetch_to_write(to + PACKED_FETCH_AHEAD + at);
}

static inline uint8_t *packed_put(uint8_t *to, const uint8_t *from, size_t size)
{
    if (KFL_LIKELY(size <= PACKED_FEW))
        kfl__copy_few(to, from, size);
    else
        memcpy(to, from, size);
    return to + size;
}

static void packed_fill(const struct kfl__payload *payload, uint8_t *to)
{
    const struct packed_batch *batch = payload->context;
    const struct packed_send *send = batch->send;
    uint32_t n = batch->first;
    for (uint32_t i = 0; i < batch->count; i++) {
        const kfl_packed_row *row = &send->rows[n];
        const struct packed_place *place = &send->places[n];
        const uint8_t *from = send->bytes + place->at;
        struct kfl__record_head head = {
            .key_size = row->key_size,
            .value_size = row->value_size,
            .offset_delta = row->header_count > 0 ? i | KFL_RECORD_HAS_HEADERS : i,
            .timestamp_delta = send->append_time ? 0 : row->timestamp_ms - payload->max_timestamp_ms,
        };
        /* Key and value lie one behind the other on both sides. */
        size_t size = place->size - (size_t)row->headers_size;
        packed_fetch_ahead(to, size);
        memcpy(to, &head, sizeof head);
        to = packed_put(to + sizeof head, from, size);
        if (row->header_count > 0) {
            kfl__store32(to, (uint32_t)row->header_count);
            kfl__store32(to + 4, (uint32_t)row->headers_size);
            memcpy(to + KFL_HEADERS_HEAD_SIZE, from + size, (size_t)row->headers_size);
            to += KFL_HEADERS_HEAD_SIZE + (size_t)row->headers_size;
        }
        n = place->next;
    }
}

/* Is nothing wrong with a row of so many bytes, of which `left` are there? When not, packed_check_row() knows whether there is. */
static inline bool packed_row_is_plain(const struct packed_send *send, const kfl_packed_row *row, size_t bytes, size_t left)
{
    return (row->header_count | row->headers_size) == 0 && row->key_size >= send->key_least && row->value_size >= -1 &&
           bytes <= left && (int64_t)bytes <= send->most && row->partition >= KFL_PARTITION_ANY &&
           row->partition < send->shape->partition_count &&
           (row->timestamp_ms == KFL_TIMESTAMP_NOW || (row->timestamp_ms >= 0 && send->any_time));
}

static int packed_bad_row(const struct packed_send *send, size_t n, int code, const char *what)
{
    kfl__fail(code, "kfl_producer_send_packed: row %zu of %zu for topic %s: %s", n, send->row_count, send->entry->topic->name, what);
    return kfl__fail_at(code, send->entry->topic->name, send->rows[n].partition, -1);
}

static __attribute__((noinline)) int packed_check_row(const struct packed_send *send, size_t n, size_t place, size_t bytes_size)
{
    const struct kfl__settings *settings = send->shape->settings;
    const kfl_packed_row *row = &send->rows[n];
    if (row->key_size < -1 || row->value_size < -1 || row->header_count < 0 || row->headers_size < 0 ||
        (row->header_count == 0 && row->headers_size != 0))
        return packed_bad_row(send, n, KFL_E_INVALID, "a size that cannot be");
    if (packed_row_bytes(row) > bytes_size - place)
        return packed_bad_row(send, n, KFL_E_INVALID, "its bytes lie behind the end of the block");
    if (row->header_count > 0) {
        const uint8_t *headers = send->bytes + place + packed_row_bytes(row) - (size_t)row->headers_size;
        if (!kfl__headers_check(headers, (size_t)row->headers_size, (uint32_t)row->header_count))
            return packed_bad_row(send, n, KFL_E_INVALID_RECORD, "its headers are not as they are to be packed");
    }
    if (row->key_size < 0 && (settings->cleanup_policy & KFL_CLEANUP_COMPACT) != 0)
        return packed_bad_row(send, n, KFL_E_INVALID_RECORD, "the topic is compacted: every record needs a key");
    if (packed_row_size(row, packed_row_bytes(row)) + sizeof(struct kfl__batch_header) > (uint64_t)settings->max_message_bytes)
        return packed_bad_row(send, n, KFL_E_MESSAGE_TOO_LARGE, "larger than max.message.bytes");
    if (row->partition < KFL_PARTITION_ANY || row->partition >= send->shape->partition_count)
        return packed_bad_row(send, n, KFL_E_UNKNOWN_TOPIC_OR_PARTITION, "the topic has no such partition");
    if (send->append_time || row->timestamp_ms == KFL_TIMESTAMP_NOW)
        return 0;
    return kfl__producer_check_time(send->entry, send->shape, row->timestamp_ms, send->now_ms);
}

/* Check every row, then date it, place it and chain it behind the last one of its partition. heads and tails: one a partition. */
static int packed_plan(struct packed_send *send, size_t bytes_size, uint32_t *heads, uint32_t *tails)
{
    kfl_producer *producer = send->producer;
    int32_t partitions = send->shape->partition_count;
    size_t place = 0;
    for (size_t n = 0; n < send->row_count; n++) {
        size_t bytes = packed_row_bytes(&send->rows[n]);
        if (KFL_UNLIKELY(!packed_row_is_plain(send, &send->rows[n], bytes, bytes_size - place))) {
            int r = packed_check_row(send, n, place, bytes_size);
            if (r < 0)
                return r;
        }
        send->places[n] = (struct packed_place){.at = place, .size = (uint32_t)bytes, .next = PACKED_NONE};
        place += bytes;
    }
    if (place != bytes_size)
        return kfl__fail(KFL_E_INVALID, "kfl_producer_send_packed: the rows take %zu bytes, the block has %zu", place, bytes_size);
    for (int32_t i = 0; i < partitions; i++)
        heads[i] = PACKED_NONE;
    kfl__mutex_lock(&producer->lock); /* for the partition in favour */
    for (size_t n = 0; n < send->row_count; n++) {
        kfl_packed_row *row = &send->rows[n];
        if (send->append_time || row->timestamp_ms == KFL_TIMESTAMP_NOW)
            row->timestamp_ms = send->now_ms;
        if (row->partition < 0)
            row->partition = kfl__partitioner_pick(&send->entry->partitioner, row->partition,
                                                   row->key_size >= 0 ? send->bytes + send->places[n].at : NULL,
                                                   row->key_size > 0 ? (size_t)row->key_size : 0,
                                                   packed_row_size(row, send->places[n].size), partitions);
        row->offset = KFL_OFFSET_PENDING;
        if (heads[row->partition] == PACKED_NONE)
            heads[row->partition] = (uint32_t)n;
        else
            send->places[tails[row->partition]].next = (uint32_t)n;
        tails[row->partition] = (uint32_t)n;
    }
    kfl__mutex_unlock(&producer->lock);
    return 0;
}

/* One batch: as many of the chained rows as a batch may hold. Tells the row behind it. */
static int packed_append_batch(const struct packed_send *send, int32_t number, uint32_t first, bool wait, uint32_t *out_next)
{
    uint64_t most = (uint64_t)send->shape->settings->max_message_bytes - sizeof(struct kfl__batch_header);
    struct packed_batch batch = {.send = send, .first = first};
    struct kfl__payload payload = {
        .flags = send->append_time ? (uint16_t)KFL_BATCH_FLAG_APPEND_TIME : 0,
        .max_timestamp_ms = -1,
        .fill = packed_fill,
        .context = &batch,
    };
    uint64_t size = 0;
    uint32_t n = first;
    int64_t base = KFL_OFFSET_PENDING;
    while (n != PACKED_NONE) {
        const kfl_packed_row *row = &send->rows[n];
        size_t more = packed_row_size(row, send->places[n].size);
        if (batch.count > 0 && size + more > most)
            break;
        size += more;
        if (row->timestamp_ms > payload.max_timestamp_ms)
            payload.max_timestamp_ms = row->timestamp_ms;
        batch.count++;
        n = send->places[n].next;
    }
    *out_next = n;
    payload.size = payload.unpacked_size = (uint32_t)size;
    payload.record_count = batch.count;
    int r = kfl__producer_append(send->producer, send->entry, send->shape, number, &payload,
                                 kfl__producer_codec(send->producer, send->shape), -1, wait && n == PACKED_NONE, &base);
    /* Also where the sync behind the append failed: the rows are in the log. */
    n = first;
    for (uint32_t i = 0; i < batch.count && base != KFL_OFFSET_PENDING; i++) {
        send->rows[n].offset = base + i;
        n = send->places[n].next;
    }
    return r;
}

static int packed_send_planned(struct packed_send *send, size_t bytes_size, uint32_t *heads, uint32_t *tails)
{
    int r = packed_plan(send, bytes_size, heads, tails);
    for (int32_t i = 0; r == 0 && i < send->shape->partition_count; i++) {
        uint32_t n = heads[i];
        while (r == 0 && n != PACKED_NONE)
            r = packed_append_batch(send, i, n, true, &n);
    }
    return r < 0 ? r : (int)send->row_count;
}

/* ---- rows that need no plan: nothing is wrong with any, none has headers, and one batch takes them all ---- */

struct packed_run {
    const struct packed_send *send;
    const uint8_t *end; /* of the block */
    int64_t max_timestamp_ms;
    int32_t partition;
    bool dated; /* some row is dated by us */
};

/* Whether they are such rows. When not, packed_plan() knows what they are, or what is wrong with them. */
static bool packed_is_run(const struct packed_send *send, size_t bytes_size, struct packed_run *out_run)
{
    const kfl_packed_row *rows = send->rows;
    int64_t max_timestamp_ms = KFL_TIMESTAMP_NOW;
    int32_t partition = rows[0].partition;
    bool any_dated = false, any_told = false;
    size_t bytes = 0;
    bool only = partition == KFL_PARTITION_ANY && send->shape->partition_count == 1;
    if (!only && (partition < 0 || partition >= send->shape->partition_count))
        return false;
    for (size_t n = 0; n < send->row_count; n++) {
        const kfl_packed_row *row = &rows[n];
        int64_t timestamp_ms = row->timestamp_ms;
        if (((row->partition ^ partition) | row->header_count | row->headers_size) != 0 || row->key_size < send->key_least ||
            row->value_size < -1 || timestamp_ms < KFL_TIMESTAMP_NOW)
            return false;
        bytes += packed_row_bytes(row);
        any_dated |= timestamp_ms < 0;
        any_told |= timestamp_ms >= 0;
        if (timestamp_ms > max_timestamp_ms)
            max_timestamp_ms = timestamp_ms;
    }
    if (bytes != bytes_size || (int64_t)(bytes + (send->row_count - 1) * sizeof(struct kfl__record_head)) > send->most ||
        (any_told && !send->any_time))
        return false;
    if (send->append_time || (any_dated && send->now_ms > max_timestamp_ms))
        max_timestamp_ms = send->now_ms;
    *out_run = (struct packed_run){send, send->bytes + bytes_size, max_timestamp_ms, only ? 0 : partition, any_dated || send->append_time};
    return true;
}

static void packed_run_fill(const struct kfl__payload *payload, uint8_t *to)
{
    const struct packed_run *run = payload->context;
    const struct packed_send *send = run->send;
    const kfl_packed_row *row = send->rows;
    const uint8_t *from = send->bytes;
    int64_t now_delta = send->now_ms - run->max_timestamp_ms;
    for (uint32_t i = 0; i < payload->record_count; i++, row++) {
        uint64_t delta = (uint64_t)(row->timestamp_ms - run->max_timestamp_ms);
        if (KFL_UNLIKELY(run->dated) && (send->append_time || row->timestamp_ms < 0))
            delta = (uint64_t)now_delta;
        size_t size = packed_row_bytes(row), left = (size_t)(run->end - from);
        if (KFL_UNLIKELY(size > left))
            size = left; /* somebody has changed the row meanwhile: nothing is written behind the batch for it */
        packed_fetch_ahead(to, size);
        kfl__store64(to, (uint32_t)row->key_size | (uint64_t)(uint32_t)row->value_size << 32);
        kfl__store64(to + 8, i | delta << 32);
        kfl__store32(to + 16, (uint32_t)(delta >> 32));
        to = packed_put(to + sizeof(struct kfl__record_head), from, size);
        from += size;
    }
}

static int packed_run_append(const struct packed_run *run, size_t bytes_size)
{
    const struct packed_send *send = run->send;
    uint32_t size = (uint32_t)(bytes_size + send->row_count * sizeof(struct kfl__record_head));
    struct kfl__payload payload = {
        .size = size,
        .unpacked_size = size,
        .record_count = (uint32_t)send->row_count,
        .flags = send->append_time ? (uint16_t)KFL_BATCH_FLAG_APPEND_TIME : 0,
        .max_timestamp_ms = run->max_timestamp_ms,
        .fill = packed_run_fill,
        .context = run,
    };
    int64_t base = KFL_OFFSET_PENDING;
    int r = kfl__producer_append(send->producer, send->entry, send->shape, run->partition, &payload,
                                 kfl__producer_codec(send->producer, send->shape), -1, true, &base);
    int64_t step = base != KFL_OFFSET_PENDING; /* also where the sync behind the append failed: the rows are in the log */
    for (size_t n = 0; n < send->row_count; n++, base += step) {
        send->rows[n].offset = base;
        send->rows[n].partition = run->partition;
    }
    for (size_t n = 0; n < send->row_count && run->dated; n++)
        if (send->append_time || send->rows[n].timestamp_ms < 0)
            send->rows[n].timestamp_ms = send->now_ms;
    return r < 0 ? r : (int)send->row_count;
}

int kfl_producer_send_packed(kfl_producer *producer, const char *topic, kfl_packed_row *rows, size_t row_count,
                             const void *bytes, size_t bytes_size)
{
    struct packed_place places[PACKED_ROWS_ON_STACK];
    uint32_t few[2][64];
    const char *missing = producer == NULL                  ? "producer"
                          : topic == NULL                   ? "topic"
                          : rows == NULL && row_count > 0   ? "rows"
                          : bytes == NULL && bytes_size > 0 ? "bytes"
                                                            : NULL;
    if (KFL_UNLIKELY(missing != NULL))
        return kfl__fail(KFL_E_INVALID, "kfl_producer_send_packed: %s is NULL", missing);
    if (KFL_UNLIKELY(row_count > INT32_MAX))
        return kfl__fail(KFL_E_INVALID, "kfl_producer_send_packed: %zu rows", row_count);
    struct packed_send send = {.producer = producer, .rows = rows, .row_count = row_count, .bytes = bytes};
    int r = kfl__core_check(producer->core);
    if (r == 0)
        r = kfl__producer_topic(producer, topic, &send.entry);
    if (r < 0 || row_count == 0)
        return r;
    send.shape = kfl__topic_shape(send.entry->topic);
    send.now_ms = kfl__clock_wall_ms(&producer->core->clock);
    const struct kfl__settings *settings = send.shape->settings;
    send.append_time = settings->message_timestamp_type == KFL_TIME_APPEND;
    send.key_least = (settings->cleanup_policy & KFL_CLEANUP_COMPACT) != 0 ? 0 : -1;
    send.most = settings->max_message_bytes - (int64_t)(sizeof(struct kfl__batch_header) + sizeof(struct kfl__record_head));
    send.any_time = settings->message_timestamp_before_max_ms == INT64_MAX && settings->message_timestamp_after_max_ms == INT64_MAX;

    struct packed_run run;
    if (KFL_LIKELY(packed_is_run(&send, bytes_size, &run)))
        return packed_run_append(&run, bytes_size);

    size_t partitions = (size_t)send.shape->partition_count;
    bool small_rows = row_count <= PACKED_ROWS_ON_STACK, small_heads = partitions <= 64;
    uint32_t *heads = small_heads ? few[0] : kfl__alloc_array(partitions * 2, sizeof *heads);
    send.places = small_rows ? places : kfl__alloc_array(row_count, sizeof *places);
    if (heads == NULL || send.places == NULL)
        r = kfl__fail(KFL_E_NOMEM, "kfl_producer_send_packed: %zu rows: out of memory", row_count);
    else
        r = packed_send_planned(&send, bytes_size, heads, small_heads ? few[1] : heads + partitions);
    if (!small_heads)
        kfl__free(heads);
    if (!small_rows)
        kfl__free(send.places);
    return r;
}
