/* SPDX-License-Identifier: MIT */
/*
 * Copying a tail into a new file, or into several where it is long.
 *
 * Nothing is mended in place. Each batch is verified where it stood, sealed anew for its new place, and
 * written by pwrite; the files are synced before anybody hears of them. Their signposts are laid on the way.
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
/* A longer tail takes several files, unless those of the topic are larger. */
#define COPY_FILE_MOST (UINT64_C(64) << 20)

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
    if (copy->first_offset < 0)
        copy->first_offset = header->base_offset;
    if (copy->records == 0 && header->record_count > 0)
        copy->first_timestamp_ms = header->max_timestamp_ms;
    if (header->max_timestamp_ms > copy->max_timestamp_ms)
        copy->max_timestamp_ms = header->max_timestamp_ms;
    copy->records += header->record_count;
    copy->end_offset = kfl__batch_end_offset(header);
}

static uint64_t copy_most(const struct kfl__settings *settings)
{
    uint64_t usual = (uint64_t)settings->segment_bytes / 4096 * 4096;
    return usual > COPY_FILE_MOST ? usual : COPY_FILE_MOST;
}

/* A file that holds so many bytes of batches. */
static uint64_t copy_file_of(uint64_t bytes)
{
    uint64_t size = kfl__align_up(KFL_SEGMENT_FIRST_PLACE + bytes + KFL_END_MARK_SIZE, 4096);
    return size < KFL_SEGMENT_SIZE_MIN ? KFL_SEGMENT_SIZE_MIN : size;
}

/* What a file of this size takes of the disk, with its signposts. */
static uint64_t copy_takes(const struct kfl__settings *settings, uint64_t size)
{
    struct kfl__segment_plan plan = {
        .size = size,
        .index_size_max = (uint64_t)settings->segment_index_bytes,
        .index_interval = (uint64_t)settings->index_interval_bytes,
    };
    return size + kfl__segment_offsets_size(&plan) + kfl__segment_times_size(&plan);
}

/* Some room behind the tail, so that the appends that come need not roll at once; a quarter of what it leaves free at most. */
static uint64_t copy_roomy(const struct kfl__copy *copy, const struct kfl__settings *settings, uint64_t size)
{
    uint64_t usual = (uint64_t)settings->segment_bytes / 4096 * 4096;
    uint64_t roomy = size * 2 < usual ? size * 2 : usual;
    uint64_t there = (uint64_t)kfl__segments_free_bytes(copy->partition->core), takes = copy_takes(settings, size);
    uint64_t spare = there > takes ? (there - takes) / 4 / 4096 * 4096 : 0;
    if (roomy < size)
        return size;
    return roomy - size > spare ? size + spare : roomy;
}

/* What is left of the tail, or as much as one file takes; and at least the batch that comes next, of `room` bytes. */
static uint64_t copy_size(const struct kfl__copy *copy, const struct kfl__settings *settings, uint64_t room)
{
    uint64_t most = copy_most(settings), least = copy_file_of(room);
    uint64_t size = copy_roomy(copy, settings, copy_file_of((uint64_t)copy->left));
    if (size > most)
        size = most;
    return size < least ? least : size;
}

int64_t kfl__copy_room(const struct kfl__partition *partition, int64_t bytes)
{
    const struct kfl__settings *settings = kfl__topic_shape(partition->topic)->settings;
    uint64_t most = copy_most(settings), room = 0, left = (uint64_t)bytes;
    for (; copy_file_of(left) > most; left -= most - KFL_SEGMENT_FIRST_PLACE - KFL_END_MARK_SIZE)
        room += copy_takes(settings, most);
    return (int64_t)(room + copy_takes(settings, copy_file_of(left)));
}

/* List another file: *out_row, which is being made. */
static int copy_begin(struct kfl__copy *copy, uint64_t room, struct kfl__segment_row *out_row)
{
    struct kfl__partition *partition = copy->partition;
    int r = kfl__segments_begin(partition, copy_size(copy, kfl__topic_shape(partition->topic)->settings, room), out_row);
    KFL_STEP("recover.listed");
    return r;
}

/* Make the listed file: from here on batches go there. */
static int copy_enter(struct kfl__copy *copy, const struct kfl__segment_row *row)
{
    struct kfl__partition *partition = copy->partition;
    copy->row = *row;
    copy->place = copy->written = copy->time_place = KFL_SEGMENT_FIRST_PLACE;
    copy->first_offset = copy->first_timestamp_ms = copy->max_timestamp_ms = -1;
    copy->records = 0;
    copy->batches = copy->times = 0;
    return kfl__segments_create(partition, kfl__topic_shape(partition->topic)->settings, row, &copy->segment);
}

static int copy_sync(struct kfl__copy *copy)
{
    int r = copy_flush(copy);
    KFL_STEP("recover.copied");
    if (r == 0)
        r = kfl__segment_sync(copy->segment);
    KFL_STEP("recover.synced");
    return r;
}

static int copy_lay_end(struct kfl__copy *copy, int64_t next_id)
{
    uint8_t mark[KFL_END_MARK_SIZE];
    kfl__batch_seal_end(mark, copy->end_offset, next_id, copy->epoch, -1, copy->place, copy->segment->seed);
    return kfl__segment_write(copy->segment, mark, sizeof mark, copy->place);
}

/* The file is full: it is complete with its end mark, and listed as that with the others. */
static int copy_finish(struct kfl__copy *copy, int64_t next_id)
{
    if (copy->full_count == copy->full_room) {
        int32_t room = copy->full_room * 2 + 4;
        struct kfl__segment_row *grown = kfl__realloc(copy->full, (size_t)room * sizeof *grown);
        if (grown == NULL)
            return kfl__fail(KFL_E_NOMEM, "a tail is copied into %d files: out of memory", room);
        copy->full = grown;
        copy->full_room = room;
    }
    struct kfl__segment_row *full = &copy->full[copy->full_count++];
    *full = copy->row;
    full->state = KFL_SEGMENT_ROW_SEALED;
    full->base_offset = copy->first_offset;
    full->end_offset = copy->end_offset;
    full->used = (int64_t)copy->place;
    full->first_timestamp_ms = copy->first_timestamp_ms;
    full->max_timestamp_ms = copy->max_timestamp_ms;
    full->record_count = copy->records;
    int r = copy_lay_end(copy, next_id);
    if (r == 0)
        r = copy_sync(copy);
    kfl__segment_release(copy->segment);
    copy->segment = NULL;
    return r;
}

/* Another file, with room for a batch of `room` bytes. */
static int copy_roll(struct kfl__copy *copy, uint64_t room)
{
    struct kfl__segment_row next;
    int r = copy_begin(copy, room, &next);
    if (r < 0)
        return r;
    if (copy->segment != NULL)
        r = copy_finish(copy, next.segment_id);
    if (r < 0) {
        kfl__segments_discard(copy->partition, &next.segment_id, 1);
        return r;
    }
    return copy_enter(copy, &next);
}

static bool copy_has_room(const struct kfl__copy *copy, uint64_t room)
{
    return copy->segment != NULL && copy->place + room + KFL_END_MARK_SIZE <= copy->segment->size;
}

static int copy_batch(struct kfl__copy *copy, const struct kfl__segment *from, uint64_t place,
                      const struct kfl__batch_header *header)
{
    uint32_t payload = header->size - (uint32_t)sizeof *header;
    uint64_t room = kfl__batch_room(payload);
    struct kfl__batch_facts facts = {
        .base_offset = header->base_offset,
        .max_timestamp_ms = header->max_timestamp_ms,
        .record_count = header->record_count,
        .payload_size = payload,
        .unpacked_size = header->unpacked_size,
        .writer_epoch = copy->epoch,
        .flags = header->flags,
        .durable_offset = -1,
        .payload_hash = kfl__hash64(from->bytes + place + sizeof *header, payload),
    };
    int r = copy_has_room(copy, room) ? 0 : copy_roll(copy, room);
    if (r == 0)
        r = copy_make_room(copy, room);
    if (r < 0)
        return r;
    uint8_t *to = copy->buffer + (copy->place - copy->written);
    memcpy(to + sizeof *header, from->bytes + place + sizeof *header, payload);
    kfl__batch_pad(to, payload);
    if ((header->flags & KFL_BATCH_FLAG_COMPACTED) != 0)
        kfl__batch_seal_compacted(to, &facts, (uint32_t)(kfl__batch_end_offset(header) - header->base_offset),
                                  copy->place, copy->segment->seed);
    else
        kfl__batch_seal(to, &facts, copy->place, copy->segment->seed);
    copy_note(copy, header);
    copy->place += room;
    copy->left -= (int64_t)room;
    return 0;
}

static int copy_pieces(struct kfl__copy *copy, const struct kfl__tail *tail)
{
    for (int32_t i = 0; i < tail->piece_count; i++) {
        const struct kfl__tail_piece *piece = &tail->pieces[i];
        struct kfl__batch_header header;
        struct kfl__walk walk;
        kfl__walk_init(&walk, piece->segment, piece->from, piece->to, 0, 0);
        uint64_t place = walk.place;
        int r;
        while ((r = kfl__walk_step(&walk, &header)) == KFL_WALK_BATCH) {
            r = copy_batch(copy, piece->segment, place, &header);
            if (r < 0)
                return r;
            place = walk.place;
        }
        if (r < 0)
            return r;
        if (walk.place != piece->to)
            return kfl__fail(KFL_E_CORRUPT, "segment %lld changed while it was copied", (long long)piece->segment->id);
    }
    return copy_sync(copy);
}

int kfl__copy_make(struct kfl__partition *partition, const struct kfl__tail *tail, uint32_t epoch,
                   struct kfl__copy *out_copy)
{
    struct kfl__copy copy = {
        .partition = partition,
        .epoch = epoch,
        .left = tail->bytes,
        .interval = (uint64_t)kfl__topic_shape(partition->topic)->settings->index_interval_bytes,
    };
    assert(tail->bytes > 0);
    int r = copy_pieces(&copy, tail);
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
    kfl__free(copy->full);
    copy->segment = NULL;
    copy->full = NULL;
    copy->full_count = copy->full_room = 0;
}

void kfl__copy_discard(struct kfl__partition *partition, const struct kfl__copy *copy)
{
    for (int32_t i = 0; i < copy->full_count; i++)
        kfl__segments_discard(partition, &copy->full[i].segment_id, 1);
    if (copy->row.segment_id != 0)
        kfl__segments_discard(partition, &copy->row.segment_id, 1);
}
