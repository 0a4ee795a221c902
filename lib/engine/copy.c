/* SPDX-License-Identifier: MIT */
/*
 * Copying a tail into a new file.
 *
 * Nothing is mended in place. Each batch is verified where it stood, sealed anew for its new place, and
 * written by pwrite; the file is synced before anybody hears of it. Its signposts are laid on the way.
 */
#include "engine/copy.h"

#include <string.h>

#include "base/bytes.h"
#include "base/fault.h"
#include "base/hash.h"
#include "base/memory.h"
#include "engine/segments.h"
#include "engine/topics.h"
#include "log/walk.h"

#define COPY_BUFFER (UINT64_C(1) << 20)

static int copy_flush(struct kfl__copy *copy)
{
    uint64_t size = copy->place - copy->written;
    int r = size == 0 ? 0 : kfl__segment_write(copy->segment, copy->buffer, size, copy->written);
    copy->written = copy->place;
    return r;
}

/* Room in the buffer for a batch; a batch may be larger than any setting of today allows. */
static int copy_make_room(struct kfl__copy *copy, uint64_t room)
{
    if (copy->place - copy->written + room <= copy->buffer_size)
        return 0;
    int r = copy_flush(copy);
    if (r < 0 || room <= copy->buffer_size)
        return r;
    uint64_t size = room > COPY_BUFFER ? room : COPY_BUFFER;
    uint8_t *grown = kfl__realloc(copy->buffer, size);
    if (grown == NULL)
        return kfl__fail(KFL_E_NOMEM, "a tail is copied, with a batch of %llu bytes: out of memory",
                         (unsigned long long)room);
    copy->buffer = grown;
    copy->buffer_size = size;
    return 0;
}

static void copy_note(struct kfl__copy *copy, const struct kfl__batch_header *header)
{
    struct kfl__index *offsets = &copy->segment->offsets, *times = &copy->segment->times;
    if (copy->batches < kfl__index_offsets_capacity(offsets))
        kfl__index_note(offsets, copy->batches++, copy->place);
    if (copy->place - copy->time_place >= copy->interval && copy->times < kfl__index_times_capacity(times)) {
        kfl__index_note_time(times, copy->times++, copy->max_timestamp_ms, copy->place, copy->segment->seed);
        copy->time_place = copy->place;
    }
    if (copy->first_offset < 0) {
        copy->first_offset = header->base_offset;
        copy->first_timestamp_ms = header->max_timestamp_ms;
    }
    if (header->max_timestamp_ms > copy->max_timestamp_ms)
        copy->max_timestamp_ms = header->max_timestamp_ms;
    copy->records += header->record_count;
    copy->end_offset = kfl__batch_end_offset(header);
}

static int copy_batch(struct kfl__copy *copy, const struct kfl__segment *from, uint64_t place,
                      const struct kfl__batch_header *header, uint32_t epoch)
{
    uint32_t payload = header->size - (uint32_t)sizeof *header;
    uint64_t room = kfl__batch_room(payload);
    struct kfl__batch_facts facts = {
        .base_offset = header->base_offset,
        .max_timestamp_ms = header->max_timestamp_ms,
        .record_count = header->record_count,
        .payload_size = payload,
        .unpacked_size = header->unpacked_size,
        .writer_epoch = epoch,
        .flags = header->flags,
        .durable_offset = -1,
        .payload_hash = kfl__hash64(from->bytes + place + sizeof *header, payload),
    };
    int r = copy_make_room(copy, room);
    if (r < 0)
        return r;
    uint8_t *to = copy->buffer + (copy->place - copy->written);
    memcpy(to + sizeof *header, from->bytes + place + sizeof *header, payload);
    kfl__batch_pad(to, payload);
    kfl__batch_seal(to, &facts, copy->place, copy->segment->seed);
    copy_note(copy, header);
    copy->place += room;
    return 0;
}

static int copy_pieces(struct kfl__copy *copy, const struct kfl__tail *tail, uint32_t epoch)
{
    for (int32_t i = 0; i < tail->piece_count; i++) {
        const struct kfl__tail_piece *piece = &tail->pieces[i];
        struct kfl__batch_header header;
        struct kfl__walk walk;
        kfl__walk_init(&walk, piece->segment, piece->from, piece->to, 0, 0);
        uint64_t place = walk.place;
        int r;
        while ((r = kfl__walk_step(&walk, &header)) == KFL_WALK_BATCH) {
            r = copy_batch(copy, piece->segment, place, &header, epoch);
            if (r < 0)
                return r;
            place = walk.place;
        }
        if (r < 0)
            return r;
        if (walk.place != piece->to)
            return kfl__fail(KFL_E_CORRUPT, "segment %lld changed while it was copied", (long long)piece->segment->id);
    }
    return copy_flush(copy);
}

/* What the tail needs, and some room behind, so that the appends that come need not roll at once. */
static uint64_t copy_size(const struct kfl__tail *tail, const struct kfl__settings *settings)
{
    uint64_t size = kfl__align_up(KFL_SEGMENT_FIRST_PLACE + (uint64_t)tail->bytes + KFL_END_MARK_SIZE, 4096);
    uint64_t usual = (uint64_t)settings->segment_bytes / 4096 * 4096;
    uint64_t roomy = size * 2 < usual ? size * 2 : usual;
    if (size < roomy)
        size = roomy;
    return size < KFL_SEGMENT_SIZE_MIN ? KFL_SEGMENT_SIZE_MIN : size;
}

int kfl__copy_make(struct kfl__partition *partition, const struct kfl__tail *tail, uint32_t epoch,
                   struct kfl__copy *out_copy)
{
    const struct kfl__settings *settings = kfl__topic_shape(partition->topic)->settings;
    struct kfl__copy copy = {
        .place = KFL_SEGMENT_FIRST_PLACE,
        .written = KFL_SEGMENT_FIRST_PLACE,
        .first_offset = -1,
        .first_timestamp_ms = -1,
        .max_timestamp_ms = -1,
        .time_place = KFL_SEGMENT_FIRST_PLACE,
        .interval = (uint64_t)settings->index_interval_bytes,
    };
    uint64_t size = copy_size(tail, settings);
    assert(tail->bytes > 0);
    if (size > KFL_SEGMENT_SIZE_MAX)
        return kfl__fail(KFL_E_NO_SPACE, "partition %s/%d: %lld bytes not yet synced do not fit one segment",
                         partition->topic->name, partition->number, (long long)tail->bytes);
    int r = kfl__segments_begin(partition, size, &copy.row);
    if (r < 0)
        return r;
    KFL_STEP("recover.listed");
    r = kfl__segments_create(partition, settings, &copy.row, &copy.segment);
    if (r == 0)
        r = copy_pieces(&copy, tail, epoch);
    KFL_STEP("recover.copied");
    if (r == 0)
        r = kfl__segment_sync(copy.segment);
    KFL_STEP("recover.synced");
    kfl__free(copy.buffer);
    copy.buffer = NULL;
    if (r < 0) {
        kfl__copy_discard(partition, &copy);
        kfl__copy_release(&copy);
        return r;
    }
    *out_copy = copy;
    return 0;
}

void kfl__copy_release(struct kfl__copy *copy)
{
    kfl__segment_release(copy->segment);
    copy->segment = NULL;
}

void kfl__copy_discard(struct kfl__partition *partition, const struct kfl__copy *copy)
{
    kfl__segments_discard(partition, &copy->row.segment_id, 1);
}
