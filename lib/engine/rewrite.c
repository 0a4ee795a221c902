/* SPDX-License-Identifier: MIT */
/*
 * New files for the records that stay.
 *
 * Offsets and times are as they were. Records of many small batches share a larger one; what was compressed stays
 * so. The batches of a file span all from its base offset to its end, at both ends even without a record, so that the
 * files say for themselves which offsets were given, and which older files they stand for. Written by pwrite and synced before anybody hears of it.
 */
#include "engine/rewrite.h"

#include <string.h>

#include "base/bytes.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"
#include "engine/segments.h"
#include "engine/topics.h"
#include "format/codec.h"
#include "format/record.h"

#define REWRITE_BUFFER (UINT64_C(1) << 20)
#define REWRITE_BATCH (UINT64_C(64) << 10)
#define REWRITE_SPAN_MOST INT64_C(0x7fffffff)

int kfl__rewrite_init(struct kfl__rewrite *rewrite, struct kfl__partition *partition)
{
    const struct kfl__settings *settings = kfl__topic_shape(partition->topic)->settings;
    *rewrite = (struct kfl__rewrite){
        .partition = partition,
        .settings = settings,
        .epoch = atomic_load(&partition->slot->writer_epoch),
        .interval = (uint64_t)settings->index_interval_bytes,
    };
    rewrite->records = kfl__alloc_array(KFL_REWRITE_RECORDS, sizeof *rewrite->records);
    rewrite->buffer = kfl__alloc(REWRITE_BUFFER);
    rewrite->buffer_room = REWRITE_BUFFER;
    if (rewrite->records == NULL || rewrite->buffer == NULL) {
        kfl__rewrite_release(rewrite);
        return kfl__fail(KFL_E_NOMEM, "compaction of %s/%d: out of memory", partition->topic->name,
                         partition->number);
    }
    return 0;
}

void kfl__rewrite_release(struct kfl__rewrite *rewrite)
{
    if (rewrite->segment != NULL)
        kfl__segments_discard(rewrite->partition, &rewrite->row.segment_id, 1);
    kfl__segment_release(rewrite->segment);
    for (int32_t i = 0; i < rewrite->done_count; i++)
        kfl__segments_discard(rewrite->partition, &rewrite->done[i].segment_id, 1);
    kfl__free(rewrite->done);
    kfl__free(rewrite->records);
    kfl__free(rewrite->buffer);
    *rewrite = (struct kfl__rewrite){0};
}

/* With three headers more: a batch without records at both ends, and what the end mark would take. */
static int64_t rewrite_file_size(int64_t bytes)
{
    return (int64_t)kfl__align_up(KFL_SEGMENT_FIRST_PLACE + (uint64_t)bytes + 3 * KFL_END_MARK_SIZE,
                                  4096);
}

/* Under the prepare lock, so that a deletion of the topic knows of it. */
static int rewrite_create(struct kfl__rewrite *rewrite, uint64_t size)
{
    struct kfl__partition *partition = rewrite->partition;
    int r = kfl__partition_prepare_lock(partition, -1);
    if (r < 0)
        return r;
    r = kfl__segments_begin(partition, size, &rewrite->row);
    KFL_STEP("compact.listed");
    if (r == 0) {
        r = kfl__segments_create(partition, rewrite->settings, &rewrite->row, &rewrite->segment);
        if (r < 0)
            kfl__segments_discard(partition, &rewrite->row.segment_id, 1);
    }
    kfl__partition_prepare_unlock(partition);
    KFL_STEP("compact.created");
    return r;
}

int kfl__rewrite_open(struct kfl__rewrite *rewrite, int64_t base_offset, int64_t bytes,
                      int64_t least)
{
    int64_t usual = rewrite->settings->segment_bytes / 4096 * 4096;
    int64_t size = rewrite_file_size(bytes);
    if (size > usual)
        size = usual;
    if (size < rewrite_file_size(least))
        size = rewrite_file_size(least);
    if (size < KFL_SEGMENT_SIZE_MIN)
        size = KFL_SEGMENT_SIZE_MIN;
    assert(rewrite->segment == NULL);
    int r = rewrite_create(rewrite, (uint64_t)size);
    if (r < 0)
        return r;
    rewrite->row.base_offset = base_offset;
    rewrite->row.record_count = 0;
    rewrite->place = rewrite->written = rewrite->time_place = KFL_SEGMENT_FIRST_PLACE;
    rewrite->batches = rewrite->times = 0;
    rewrite->next_offset = base_offset;
    return 0;
}

/* ---- the file ---- */

static int rewrite_write(struct kfl__rewrite *rewrite)
{
    uint64_t size = rewrite->place - rewrite->written;
    int r = size == 0
                ? 0
                : kfl__segment_write(rewrite->segment, rewrite->buffer, size, rewrite->written);
    if (size > 0 && r == 0)
        kfl__file_write_out(atomic_load(&rewrite->segment->fd), (int64_t)rewrite->written,
                            (int64_t)size);
    rewrite->written = rewrite->place;
    return r;
}

static uint8_t *rewrite_at(const struct kfl__rewrite *rewrite)
{
    return rewrite->buffer + (rewrite->place - rewrite->written);
}

/* The payload (extension first) lies behind the header's place in the buffer. */
static void rewrite_seal(struct kfl__rewrite *rewrite, struct kfl__batch_facts *facts,
                         uint32_t span)
{
    struct kfl__index *offsets = &rewrite->segment->offsets, *times = &rewrite->segment->times;
    uint8_t *to = rewrite_at(rewrite);
    facts->writer_epoch = rewrite->epoch;
    facts->flags |= KFL_BATCH_FLAG_COMPACTED;
    facts->durable_offset = -1;
    facts->payload_hash = kfl__hash64(to + sizeof(struct kfl__batch_header), facts->payload_size);
    kfl__batch_pad(to, facts->payload_size);
    kfl__batch_seal_compacted(to, facts, span, rewrite->place, rewrite->segment->seed);
    kfl__index_note(offsets, rewrite->batches++, rewrite->place);
    if (rewrite->place - rewrite->time_place >= rewrite->interval &&
        rewrite->times < kfl__index_times_capacity(times)) {
        kfl__index_note_time(times, rewrite->times++, rewrite->row.max_timestamp_ms, rewrite->place,
                             rewrite->segment->seed);
        rewrite->time_place = rewrite->place;
    }
    if (facts->record_count > 0 && rewrite->row.record_count == 0)
        rewrite->row.first_timestamp_ms = facts->max_timestamp_ms;
    if (facts->max_timestamp_ms > rewrite->row.max_timestamp_ms)
        rewrite->row.max_timestamp_ms = facts->max_timestamp_ms;
    if ((facts->flags & KFL_BATCH_FLAG_HORIZON) != 0) {
        int64_t horizon = (int64_t)kfl__load64(to + sizeof(struct kfl__batch_header));
        if (rewrite->row.horizon_ms == 0 || horizon < rewrite->row.horizon_ms)
            rewrite->row.horizon_ms = horizon;
    }
    rewrite->row.record_count += facts->record_count;
    rewrite->kept_records += facts->record_count;
    rewrite->written_bytes += (int64_t)kfl__batch_room(facts->payload_size);
    rewrite->next_offset = facts->base_offset + span;
    rewrite->place += kfl__batch_room(facts->payload_size);
}

/* What stands for offsets whose records are all gone, at an end of a file. It has no record, so no time. */
static int rewrite_empty(struct kfl__rewrite *rewrite, int64_t end_offset)
{
    while (rewrite->next_offset < end_offset) {
        int64_t left = end_offset - rewrite->next_offset;
        struct kfl__batch_facts facts = {.base_offset = rewrite->next_offset,
                                         .max_timestamp_ms = -1};
        if (rewrite->place - rewrite->written + kfl__batch_room(0) > rewrite->buffer_room) {
            int r = rewrite_write(rewrite);
            if (r < 0)
                return r;
        }
        rewrite_seal(rewrite, &facts,
                     (uint32_t)(left < REWRITE_SPAN_MOST ? left : REWRITE_SPAN_MOST));
    }
    return 0;
}

/* Room for a batch in the buffer, and in the file: a full one is closed, and the next begins with this batch. */
static int rewrite_make_room(struct kfl__rewrite *rewrite, int64_t base_offset, uint64_t room)
{
    int r = 0;
    bool full =
        rewrite->place + kfl__batch_room(0) + room + KFL_END_MARK_SIZE > rewrite->segment->size ||
        rewrite->batches + 2 >= kfl__index_offsets_capacity(&rewrite->segment->offsets);
    if (full) {
        r = kfl__rewrite_close(rewrite, base_offset);
        if (r == 0)
            r = kfl__rewrite_open(rewrite, base_offset, rewrite->settings->segment_bytes,
                                  (int64_t)room);
    }
    /* A file says for itself from where on it stands for others. */
    if (r == 0 && rewrite->batches == 0)
        r = rewrite_empty(rewrite, base_offset);
    if (r < 0 || rewrite->place - rewrite->written + room <= rewrite->buffer_room)
        return r;
    r = rewrite_write(rewrite);
    if (r < 0 || room <= rewrite->buffer_room)
        return r;
    uint8_t *grown = kfl__realloc(rewrite->buffer, room);
    if (grown == NULL)
        return kfl__fail(KFL_E_NOMEM, "a batch of %llu bytes: out of memory",
                         (unsigned long long)room);
    rewrite->buffer = grown;
    rewrite->buffer_room = room;
    return 0;
}

/* ---- batches ---- */

static uint8_t *rewrite_lay_horizon(const struct kfl__rewrite *rewrite, uint8_t *to,
                                    uint16_t *io_flags)
{
    if (!rewrite->tombstones || rewrite->horizon_ms < 0)
        return to;
    *io_flags |= KFL_BATCH_FLAG_HORIZON;
    kfl__store64(to, (uint64_t)rewrite->horizon_ms);
    return to + KFL_BATCH_HORIZON_SIZE;
}

static void rewrite_lay_records(const struct kfl__rewrite *rewrite, uint8_t *to,
                                int64_t max_timestamp_ms)
{
    int64_t base_offset = rewrite->records[0].offset;
    for (int32_t i = 0; i < rewrite->record_count; i++) {
        const struct kfl__rewrite_record *record = &rewrite->records[i];
        memcpy(to, record->bytes, record->size);
        kfl__record_rebase(to, (uint32_t)(record->offset - base_offset),
                           record->timestamp_ms - max_timestamp_ms);
        to += record->size;
    }
}

/* The records, compressed, behind the horizon at `to`. */
static int rewrite_pack(const struct kfl__rewrite *rewrite, uint8_t *to, size_t room, int codec,
                        int64_t max_timestamp_ms, size_t *out_size)
{
    uint8_t *plain = kfl__alloc(rewrite->bytes);
    if (plain == NULL)
        return kfl__fail(KFL_E_NOMEM, "a batch of %llu bytes: out of memory",
                         (unsigned long long)rewrite->bytes);
    rewrite_lay_records(rewrite, plain, max_timestamp_ms);
    int r = kfl__codec_pack(codec, plain, rewrite->bytes, to, room, out_size);
    kfl__free(plain);
    return r;
}

/* `end_offset`: the batch spans up to there; -1: up to its last record. */
static int rewrite_lay(struct kfl__rewrite *rewrite, int codec, int64_t end_offset)
{
    if (rewrite->record_count == 0)
        return 0;
    int64_t base = rewrite->records[0].offset, max = -1;
    int64_t last = rewrite->records[rewrite->record_count - 1].offset;
    for (int32_t i = 0; i < rewrite->record_count; i++)
        if (rewrite->records[i].timestamp_ms > max)
            max = rewrite->records[i].timestamp_ms;
    size_t bound =
        codec == KFL_CODEC_NONE ? rewrite->bytes : kfl__codec_bound(codec, rewrite->bytes);
    int r = rewrite_make_room(rewrite, base, kfl__batch_room(bound + KFL_BATCH_HORIZON_SIZE));
    if (r < 0)
        return r;
    struct kfl__batch_facts facts = {
        .base_offset = base,
        .max_timestamp_ms = max,
        .record_count = (uint32_t)rewrite->record_count,
        .unpacked_size = (uint32_t)rewrite->bytes,
        .flags = (uint16_t)(rewrite->flags | codec),
    };
    uint8_t *payload = rewrite_at(rewrite) + sizeof(struct kfl__batch_header);
    uint8_t *to = rewrite_lay_horizon(rewrite, payload, &facts.flags);
    size_t size = rewrite->bytes;
    if (codec == KFL_CODEC_NONE)
        rewrite_lay_records(rewrite, to, max);
    else
        r = rewrite_pack(rewrite, to, bound, codec, max, &size);
    if (r < 0)
        return r;
    facts.payload_size = (uint32_t)((size_t)(to - payload) + size);
    if (end_offset < last + 1 || end_offset - base > REWRITE_SPAN_MOST)
        end_offset = last + 1;
    rewrite_seal(rewrite, &facts, (uint32_t)(end_offset - base));
    rewrite->record_count = 0;
    rewrite->bytes = 0;
    rewrite->tombstones = false;
    return 0;
}

int kfl__rewrite_flush(struct kfl__rewrite *rewrite, int codec)
{
    return rewrite_lay(rewrite, codec, -1);
}

int kfl__rewrite_add(struct kfl__rewrite *rewrite, const struct kfl__rewrite_record *record,
                     int64_t horizon_ms)
{
    uint16_t flags = record->append_time ? KFL_BATCH_FLAG_APPEND_TIME : 0;
    if (rewrite->record_count > 0 &&
        (rewrite->record_count == KFL_REWRITE_RECORDS ||
         rewrite->bytes + record->size > REWRITE_BATCH || rewrite->flags != flags ||
         (record->tombstone && rewrite->tombstones && rewrite->horizon_ms != horizon_ms) ||
         record->offset - rewrite->records[0].offset >= REWRITE_SPAN_MOST)) {
        int r = rewrite_lay(rewrite, KFL_CODEC_NONE, -1);
        if (r < 0)
            return r;
    }
    rewrite->flags = flags;
    if (record->tombstone) {
        rewrite->tombstones = true;
        rewrite->horizon_ms = horizon_ms;
    }
    rewrite->records[rewrite->record_count++] = *record;
    rewrite->bytes += record->size;
    return 0;
}

int kfl__rewrite_add_packed(struct kfl__rewrite *rewrite, const struct kfl__batch_header *header,
                            const uint8_t *payload, int64_t end_offset, int64_t horizon_ms)
{
    size_t size = header->size - kfl__batch_head_size(header);
    int r = rewrite_lay(rewrite, KFL_CODEC_NONE, -1);
    if (r == 0)
        r = rewrite_make_room(rewrite, header->base_offset,
                              kfl__batch_room(size + KFL_BATCH_HORIZON_SIZE));
    if (r < 0)
        return r;
    struct kfl__batch_facts facts = {
        .base_offset = header->base_offset,
        .max_timestamp_ms = header->max_timestamp_ms,
        .record_count = header->record_count,
        .unpacked_size = header->unpacked_size,
        .flags = header->flags & (KFL_BATCH_FLAG_CODEC | KFL_BATCH_FLAG_APPEND_TIME),
    };
    uint8_t *first = rewrite_at(rewrite) + sizeof(struct kfl__batch_header), *to = first;
    if (horizon_ms >= 0) {
        facts.flags |= KFL_BATCH_FLAG_HORIZON;
        kfl__store64(to, (uint64_t)horizon_ms);
        to += KFL_BATCH_HORIZON_SIZE;
    }
    memcpy(to, payload, size);
    facts.payload_size = (uint32_t)((size_t)(to - first) + size);
    rewrite_seal(rewrite, &facts, (uint32_t)(end_offset - header->base_offset));
    return 0;
}

/* ---- the end of a file ---- */

/* Blocks behind the last batch, which nothing will ever be laid into; best effort (R4). */
static void rewrite_give_back(const struct kfl__rewrite *rewrite)
{
    int64_t from = (int64_t)kfl__align_up(rewrite->place, 4096);
    if (from < rewrite->row.size)
        (void)kfl__file_punch(atomic_load(&rewrite->segment->fd), from, rewrite->row.size - from);
}

static int rewrite_keep(struct kfl__rewrite *rewrite)
{
    if (rewrite->done_count == rewrite->done_room) {
        int32_t room = rewrite->done_room == 0 ? 8 : rewrite->done_room * 2;
        struct kfl__segment_row *grown = kfl__realloc(rewrite->done, (size_t)room * sizeof *grown);
        if (grown == NULL)
            return kfl__fail(KFL_E_NOMEM, "a list of %d segments: out of memory", room);
        rewrite->done = grown;
        rewrite->done_room = room;
    }
    rewrite->done[rewrite->done_count++] = rewrite->row;
    return 0;
}

int kfl__rewrite_close(struct kfl__rewrite *rewrite, int64_t end_offset)
{
    /* What is gathered belongs into the next file when this one is closed because it has no room for it. */
    bool own = rewrite->record_count > 0 &&
               rewrite->records[rewrite->record_count - 1].offset < end_offset;
    int r = own ? rewrite_lay(rewrite, KFL_CODEC_NONE, end_offset) : 0;
    if (r == 0)
        r = rewrite_empty(rewrite, end_offset);
    if (r == 0)
        r = rewrite_write(rewrite);
    KFL_STEP("compact.written");
    if (r == 0)
        r = kfl__segment_sync(rewrite->segment);
    KFL_STEP("compact.synced");
    if (r < 0)
        return r;
    rewrite_give_back(rewrite);
    rewrite->row.state = KFL_SEGMENT_ROW_SEALED;
    rewrite->row.end_offset = end_offset;
    rewrite->row.used = (int64_t)rewrite->place;
    r = rewrite_keep(rewrite);
    if (r < 0)
        return r;
    kfl__segment_release(rewrite->segment);
    rewrite->segment = NULL;
    return 0;
}
