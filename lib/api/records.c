/* SPDX-License-Identifier: MIT */
/*
 * What a poll gives back.
 *
 * Rows point into the maps of segments, of which the result keeps shares, or into what had to be unpacked,
 * which it owns; topic names are copied, since a topic may be deleted before its records are released. A
 * released result goes back to its consumer's pool, so that the next poll allocates nothing.
 */
#include "api/records.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/count.h"
#include "base/error.h"
#include "base/memory.h"
#include "engine/topics.h"
#include "format/codec.h"
#include "format/plain.h"

/* Larger batches would drive each other out of the processor's cache. */
#define RECORDS_AHEAD_MAX (UINT32_C(1) << 20)
/* Files whose shares a released result keeps for the next poll. */
#define RECORDS_KEPT_MAX 8

/* Counted by its consumer, and by each result that was made for it, also while that lies in the pool. */
struct kfl__records_pool {
    struct kfl__count count;
    /* Put in by a release where there is none, by any thread; taken out by polls, which take turns. */
    _Atomic(struct kfl_records *) spare;
};

struct records_name {
    struct records_name *next;
    uint64_t topic_id; /* 0: of no store that is open */
    char name[256];
};

struct kfl_records {
    struct kfl__records_pool *pool; /* a share, or NULL */
    int32_t count, room; /* rows that are filled, and that there are */
    int32_t limit;       /* rows that this poll may fill */
    uint32_t epoch;      /* of the consumer's assignment, when they were polled */
    int64_t bytes;
    kfl_record *rows;
    struct kfl__segment **segments; /* shares: of what this result lies in, and behind them of what earlier ones lay in */
    int32_t segment_count, segment_kept, segment_room;
    const struct kfl__view *kept_view; /* that they are from; only compared */
    void **blocks; /* owned bytes */
    int32_t block_count, block_room;
    struct records_name *names;  /* in use, newest first */
    struct records_name *unused; /* for the next time */
};

/* In a pool whose consumer is closed: nothing is put in any more. */
static struct kfl_records records_closed;

int kfl__records_pool_create(struct kfl__records_pool **out_pool)
{
    struct kfl__records_pool *pool = kfl__alloc_lines(sizeof *pool);
    if (pool == NULL)
        return kfl__fail(KFL_E_NOMEM, "a consumer: out of memory");
    kfl__count_init(&pool->count);
    *out_pool = pool;
    return 0;
}

static void pool_drop(struct kfl__records_pool *pool)
{
    if (pool != NULL && kfl__count_release(&pool->count))
        kfl__free(pool);
}

/* Shares that this result has no use for, but for the first `count` of them. */
static void records_drop_kept(struct kfl_records *records, int32_t count)
{
    while (records->segment_kept > records->segment_count + count)
        kfl__segment_release(records->segments[--records->segment_kept]);
}

static void records_free(struct kfl_records *records)
{
    records->segment_count = 0;
    records_drop_kept(records, 0);
    struct records_name *lists[2] = {records->names, records->unused};
    for (int i = 0; i < 2; i++)
        while (lists[i] != NULL) {
            struct records_name *next = lists[i]->next;
            kfl__free(lists[i]);
            lists[i] = next;
        }
    kfl__free(records->rows);
    kfl__free(records->segments);
    kfl__free(records->blocks);
    pool_drop(records->pool);
    kfl__free(records);
}

void kfl__records_pool_release(struct kfl__records_pool *pool)
{
    if (pool == NULL)
        return;
    struct kfl_records *spare = atomic_exchange(&pool->spare, &records_closed);
    if (spare != NULL)
        records_free(spare);
    pool_drop(pool);
}

/* The one that lies in the pool, or another one. */
static struct kfl_records *records_take_out(struct kfl__records_pool *pool)
{
    struct kfl_records *records = pool == NULL ? NULL : atomic_load_explicit(&pool->spare, memory_order_acquire);
    if (KFL_LIKELY(records != NULL)) {
        atomic_store_explicit(&pool->spare, NULL, memory_order_relaxed);
        return records;
    }
    records = kfl__alloc_lines(sizeof *records);
    if (records != NULL && pool != NULL)
        kfl__count_acquire(&pool->count);
    if (records != NULL)
        records->pool = pool;
    return records;
}

int kfl__records_create(struct kfl__records_pool *pool, int32_t max_records, kfl_records **out_records)
{
    struct kfl_records *records = records_take_out(pool);
    if (records != NULL && records->room < max_records) {
        kfl_record *rows = kfl__realloc(records->rows, (size_t)max_records * sizeof *rows);
        if (rows == NULL) {
            records_free(records);
            records = NULL;
        } else {
            records->rows = rows;
            records->room = max_records;
        }
    }
    if (records == NULL)
        return kfl__fail(KFL_E_NOMEM, "%d records: out of memory", max_records);
    if (KFL_UNLIKELY(records->segment_kept > 0 && kfl__segment_crowded(2)))
        records_drop_kept(records, 0);
    records->limit = max_records;
    *out_records = records;
    return 0;
}

void kfl_records_release(kfl_records *records)
{
    struct kfl_records *none = NULL;
    if (records == NULL)
        return;
    for (int32_t i = 0; i < records->block_count; i++)
        kfl__free(records->blocks[i]);
    while (records->names != NULL) {
        struct records_name *name = records->names;
        records->names = name->next;
        name->next = records->unused;
        records->unused = name;
    }
    records->count = records->segment_count = records->block_count = 0;
    records->bytes = 0;
    records_drop_kept(records, RECORDS_KEPT_MAX);
    if (records->pool == NULL ||
        !atomic_compare_exchange_strong_explicit(&records->pool->spare, &none, records, memory_order_release,
                                                 memory_order_relaxed))
        records_free(records);
}

/* ---- taking ---- */

static int records_nomem(void)
{
    return kfl__fail(KFL_E_NOMEM, "records: out of memory");
}

static int records_keep_segment(kfl_records *records, struct kfl__segment *segment)
{
    int32_t at = records->segment_count;
    if (segment == NULL || (at > 0 && records->segments[at - 1] == segment))
        return 0;
    /* All are looked at, since who reads at random cannot have it foretold which one it is. */
    int32_t kept = records->segment_kept, found = kept;
    for (int32_t i = at; i < kept; i++)
        found = records->segments[i] == segment ? i : found;
    if (KFL_LIKELY(found < kept)) {
        records->segments[found] = records->segments[records->segment_count];
        records->segments[records->segment_count++] = segment;
        return 0;
    }
    if (records->segment_kept == records->segment_room) {
        int32_t room = records->segment_room == 0 ? 4 : records->segment_room * 2;
        struct kfl__segment **grown = kfl__realloc(records->segments, (size_t)room * sizeof *grown);
        if (grown == NULL)
            return records_nomem();
        records->segments = grown;
        records->segment_room = room;
    }
    kfl__segment_acquire(segment);
    records->segments[records->segment_kept++] = records->segments[records->segment_count];
    records->segments[records->segment_count++] = segment;
    return 0;
}

/* The same for where a cursor stands. What is kept of another list of files is let go: some of it may be deleted. */
static int records_keep_cursor(kfl_records *records, const struct kfl__cursor *cursor)
{
    if (KFL_UNLIKELY(records->kept_view != cursor->view)) {
        records_drop_kept(records, 0);
        records->kept_view = cursor->view;
    }
    return records_keep_segment(records, cursor->segment);
}

void kfl__records_let_go(kfl_records *records, const struct kfl__segment *but)
{
    bool stays = records->segment_kept == 1 && records->segments[0] == but;
    if (records->segment_count == 0 && !stays)
        records_drop_kept(records, 0);
}

int kfl__records_keep(kfl_records *records, void *block)
{
    if (records->block_count == records->block_room) {
        int32_t room = records->block_room == 0 ? 4 : records->block_room * 2;
        void **grown = kfl__realloc(records->blocks, (size_t)room * sizeof *grown);
        if (grown == NULL) {
            kfl__free(block);
            return records_nomem();
        }
        records->blocks = grown;
        records->block_room = room;
    }
    records->blocks[records->block_count++] = block;
    return 0;
}

/*
 * The name's copy in this result. An id is never another topic's, so that the name need not be looked at; where there are
 * no ids, it is.
 */
static const char *records_name(kfl_records *records, const char *topic, uint64_t topic_id)
{
    struct records_name *name = records->names;
    while (name != NULL && (topic_id != name->topic_id || (topic_id == 0 && strcmp(name->name, topic) != 0)))
        name = name->next;
    if (KFL_LIKELY(name != NULL))
        return name->name; /* batch after batch of one partition */
    name = records->unused;
    if (name != NULL)
        records->unused = name->next;
    else
        name = kfl__alloc_lines(sizeof *name);
    if (name == NULL)
        return NULL;
    if (topic_id == 0 || topic_id != name->topic_id) {
        size_t size = strlen(topic);
        size = size < sizeof name->name ? size : sizeof name->name - 1;
        memcpy(name->name, topic, size);
        name->name[size] = '\0';
        name->topic_id = topic_id;
    }
    name->next = records->names;
    records->names = name;
    return name->name;
}

/* The payload as it was before compression; unpacked bytes belong to the result. */
static int records_unpack(kfl_records *records, const uint8_t *batch, const struct kfl__batch_header *header,
                          const uint8_t **out_bytes, size_t *out_size)
{
    int codec = header->flags & (int)KFL_BATCH_FLAG_CODEC;
    *out_bytes = batch + kfl__batch_head_size(header);
    *out_size = header->size - kfl__batch_head_size(header);
    if (KFL_LIKELY(codec == KFL_CODEC_NONE))
        return 0;
    uint8_t *unpacked = kfl__alloc(header->unpacked_size);
    if (unpacked == NULL)
        return records_nomem();
    int r = kfl__codec_unpack(codec, *out_bytes, *out_size, unpacked, header->unpacked_size);
    if (r < 0) {
        kfl__free(unpacked);
        return r;
    }
    *out_bytes = unpacked;
    *out_size = header->unpacked_size;
    return kfl__records_keep(records, unpacked);
}

/* Rows from one batch, from `offset` on, while there is room. *out_all: nothing of the batch is left. */
static int records_decode(kfl_records *records, const uint8_t *batch, const struct kfl__batch_header *header, int64_t offset,
                          const kfl_record *like, bool *out_all)
{
    struct kfl__batch_cursor cursor;
    const uint8_t *bytes;
    size_t size;
    int32_t before = records->count;
    int r = records_unpack(records, batch, header, &bytes, &size);
    if (r < 0)
        return r;
    uint64_t ahead = bytes == batch + sizeof *header && header->size <= RECORDS_AHEAD_MAX ? header->size : 0;
    kfl__batch_cursor_init(&cursor, header, bytes, size);
    kfl__plain_pass(&cursor, offset);
    do {
        kfl_record *row = &records->rows[records->count];
        if (cursor.next_offset >= offset)
            records->count += kfl__plain_take(&cursor, like, records->limit - records->count, ahead, row);
        if (records->count == records->limit && cursor.left > 0)
            break;
        /* Another kind of record, or none: then this tells whether all bytes were theirs. */
        row = &records->rows[records->count];
        r = kfl__batch_next(&cursor, row);
        if (r > 0 && row->offset >= offset) {
            row->topic = like->topic;
            row->partition = like->partition;
            row->reserved = 0;
            records->count++;
        }
    } while (r > 0);
    if (r < 0) {
        records->count = before;
        return r;
    }
    *out_all = cursor.left == 0;
    return records->count - before;
}

/* The batches of one plain record behind the cursor, as far as their pages were asked for. */
static void records_take_run(kfl_records *records, struct kfl__cursor *cursor, const kfl_record *like, int64_t bytes_max)
{
    uint64_t until = cursor->touched < cursor->limit ? cursor->touched : cursor->limit;
    struct kfl__plain_run run = {
        .segment = cursor->segment->bytes,
        .limit = until,
        .seed = cursor->segment->seed,
        .place = cursor->place,
        .offset = cursor->offset,
    };
    if (records->bytes >= bytes_max || run.place >= until)
        return;
    if (until - run.place > (uint64_t)(bytes_max - records->bytes))
        until = run.place + (uint64_t)(bytes_max - records->bytes);
    records->count += kfl__plain_take_run(&run, until, like, records->limit - records->count,
                                          &records->rows[records->count]);
    records->bytes += (int64_t)(run.place - cursor->place);
    cursor->place = run.place;
    cursor->offset = run.offset;
}

int kfl__records_take(kfl_records *records, struct kfl__cursor *cursor, int64_t bytes_max, const char *topic,
                      int32_t partition)
{
    bool all;
    const struct kfl__batch_header *header = &cursor->header;
    int32_t before = records->count;
    const kfl_record like = {
        .topic = records_name(records, topic, cursor->partition->topic->id),
        .partition = partition,
    };
    int r = like.topic == NULL ? records_nomem() : records_keep_cursor(records, cursor);
    if (r == 0)
        r = records_decode(records, cursor->segment->bytes + cursor->place, header, cursor->offset, &like, &all);
    if (r < 0)
        return r;
    records->bytes += header->size;
    if (!all) {
        cursor->offset = records->rows[records->count - 1].offset + 1;
        return r;
    }
    kfl__cursor_pass(cursor);
    if (header->record_count == 1)
        records_take_run(records, cursor, &like, bytes_max);
    return records->count - before;
}

int kfl__records_take_guessed(kfl_records *records, struct kfl__cursor *cursor, const char *topic, int32_t partition)
{
    int32_t before = records->count;
    const kfl_record like = {
        .topic = records_name(records, topic, cursor->partition->topic->id),
        .partition = partition,
    };
    int r = like.topic == NULL ? records_nomem() : records_keep_cursor(records, cursor);
    if (r == 0)
        records_take_run(records, cursor, &like, INT64_MAX);
    if (records->count == before)
        cursor->place = cursor->touched = 0;
    return r;
}

int kfl__records_take_batch(kfl_records *records, struct kfl__segment *segment, const uint8_t *batch,
                            const struct kfl__batch_header *header, const char *topic, int32_t partition)
{
    bool all;
    const kfl_record like = {.topic = records_name(records, topic, 0), .partition = partition};
    int r = like.topic == NULL ? records_nomem() : records_keep_segment(records, segment);
    return r < 0 ? r : records_decode(records, batch, header, 0, &like, &all);
}

uint64_t kfl__records_topic_id(const kfl_records *records, const char *topic)
{
    for (const struct records_name *name = records->names; name != NULL; name = name->next)
        if (name->name == topic)
            return name->topic_id;
    return 0;
}

void kfl__records_set_epoch(kfl_records *records, uint32_t epoch)
{
    records->epoch = epoch;
}

uint32_t kfl__records_epoch(const kfl_records *records)
{
    return records->epoch;
}

int64_t kfl__records_bytes(const kfl_records *records)
{
    return records->bytes;
}

int32_t kfl__records_room(const kfl_records *records)
{
    return records->limit - records->count;
}

/* ---- what callers see ---- */

int32_t kfl_records_count(const kfl_records *records)
{
    return records == NULL ? 0 : records->count;
}

const kfl_record *kfl_records_get(const kfl_records *records, int32_t index)
{
    return records == NULL || index < 0 || index >= records->count ? NULL : &records->rows[index];
}

size_t kfl_records_stride(const kfl_records *records)
{
    (void)records;
    return sizeof(kfl_record);
}

/* The list is newest first. */
int32_t kfl__records_topic_index(const kfl_records *records, const char *topic)
{
    int32_t behind = 0;
    bool found = false;
    for (const struct records_name *name = records->names; name != NULL; name = name->next) {
        if (found)
            behind++;
        if (name->name == topic)
            found = true;
    }
    return behind;
}

const char *kfl_records_topic(const kfl_records *records, int32_t topic_index)
{
    if (records == NULL || topic_index < 0)
        return NULL;
    for (const struct records_name *name = records->names; name != NULL; name = name->next)
        if (kfl__records_topic_index(records, name->name) == topic_index)
            return name->name;
    return NULL;
}
