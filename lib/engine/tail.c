/* SPDX-License-Identifier: MIT */
/*
 * What can be believed of a partition's tail (R22).
 *
 * From the last place known to be durable, batch by batch; into the next listed file only through an end
 * mark that names it and to a first batch with exactly the offset that the mark promises. The first gap is
 * the end, unless a later batch that verifies says that something above the gap was durable: then the gap
 * is damage. Nothing is changed here.
 */
#include "engine/recover.h"

#include "base/file.h"
#include "base/memory.h"
#include "engine/topics.h"
#include "log/walk.h"

static const struct kfl__segment_row *tail_row(const struct kfl__segment_row *rows, int32_t count, int64_t id)
{
    for (int32_t i = 0; i < count; i++)
        if (rows[i].segment_id == id)
            return &rows[i];
    return NULL;
}

/* 0 and a share, or 1: it cannot be read (missing, foreign, damaged header). */
static int tail_open(struct kfl__partition *partition, int64_t id, struct kfl__segment **out_segment)
{
    struct kfl__segment_expect expect = {partition->core->store_id, partition->topic->id, (uint32_t)partition->number};
    int directory = -1;
    int r = kfl__partition_directory(partition, false, &directory);
    if (r != 0)
        return r < 0 ? r : 1;
    r = kfl__segment_open(directory, id, &expect, KFL_SEGMENT_READ, out_segment);
    kfl__file_close(directory);
    return r == KFL_FILE_MISSING || r == KFL_E_CORRUPT ? 1 : r;
}

int kfl__tail_add_piece(struct kfl__tail *tail, struct kfl__segment *segment, uint64_t from, uint64_t to)
{
    if (from >= to) {
        kfl__segment_release(segment);
        return 0;
    }
    if (tail->piece_count == tail->piece_room) {
        int32_t room = tail->piece_room == 0 ? 4 : tail->piece_room * 2;
        struct kfl__tail_piece *grown = kfl__realloc(tail->pieces, (size_t)room * sizeof *grown);
        if (grown == NULL) {
            kfl__segment_release(segment);
            return kfl__fail(KFL_E_NOMEM, "a tail of %d files: out of memory", room);
        }
        tail->pieces = grown;
        tail->piece_room = room;
    }
    tail->pieces[tail->piece_count++] = (struct kfl__tail_piece){segment, from, to};
    tail->bytes += (int64_t)(to - from);
    return 0;
}

void kfl__tail_release(struct kfl__tail *tail)
{
    for (int32_t i = 0; i < tail->piece_count; i++)
        kfl__segment_release(tail->pieces[i].segment);
    kfl__free(tail->pieces);
    tail->pieces = NULL;
    tail->piece_count = tail->piece_room = 0;
}

int kfl__tail_find_base(struct kfl__partition *partition, int64_t segment_id, uint64_t limit, int64_t *out_base_offset)
{
    struct kfl__segment *segment = NULL;
    struct kfl__batch_header header;
    uint64_t place;
    int r = tail_open(partition, segment_id, &segment);
    if (r != 0)
        return r < 0 ? r : 0;
    r = kfl__walk_search(segment, KFL_SEGMENT_FIRST_PLACE, limit < segment->size ? limit : segment->size, 0, &header, &place);
    kfl__segment_release(segment);
    if (r > 0)
        *out_base_offset = header.base_offset;
    return r;
}

/* Behind a gap: does any batch that verifies prove that something above `offset` was durable? Walks from batch to batch. */
static int tail_search_proof(struct kfl__segment *segment, uint64_t from, uint64_t limit, int64_t offset, bool *out_proof,
                             int64_t *out_base, uint64_t *out_place)
{
    struct kfl__batch_header header;
    uint64_t place;
    int64_t first_base = -1;
    uint64_t first_place = 0;
    for (;;) {
        int r = kfl__walk_search(segment, from, limit, offset, &header, &place);
        if (r <= 0)
            return r;
        if (first_base < 0) {
            first_base = header.base_offset;
            first_place = place;
        }
        if (kfl__batch_durable_offset(&header) > offset) {
            *out_proof = true;
            *out_base = first_base;
            *out_place = first_place;
            return 0;
        }
        from = kfl__batch_next_place(place, &header);
    }
}

/* The same in the files behind: any listed one with a higher id. */
static int tail_search_files(struct kfl__partition *partition, const struct kfl__segment_row *rows, int32_t count,
                             int64_t after_id, int64_t offset, int64_t *out_id, int64_t *out_base, uint64_t *out_place)
{
    *out_id = 0;
    for (int32_t i = 0; i < count && *out_id == 0; i++) {
        struct kfl__segment *segment = NULL;
        bool proof = false;
        if (rows[i].segment_id <= after_id || rows[i].state == KFL_SEGMENT_ROW_SEALED)
            continue;
        int r = tail_open(partition, rows[i].segment_id, &segment);
        if (r < 0)
            return r;
        if (r > 0)
            continue;
        r = tail_search_proof(segment, KFL_SEGMENT_FIRST_PLACE, segment->size, offset, &proof, out_base, out_place);
        if (proof)
            *out_id = segment->id;
        kfl__segment_release(segment);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Where a tail without a file of its own begins: behind a sealed segment, or in a partition that never synced. */
static int tail_find_first(struct kfl__partition *partition, const struct kfl__segment_row *rows, int32_t count,
                           const struct kfl__tail *tail, struct kfl__segment **out_segment)
{
    for (int32_t i = 0; i < count; i++) {
        struct kfl__batch_header header;
        struct kfl__walk walk;
        if (rows[i].segment_id <= tail->durable_segment || rows[i].state == KFL_SEGMENT_ROW_SEALED)
            continue;
        int r = tail_open(partition, rows[i].segment_id, out_segment);
        if (r < 0)
            return r;
        if (r > 0)
            continue;
        kfl__walk_init(&walk, *out_segment, KFL_SEGMENT_FIRST_PLACE, (*out_segment)->size, tail->durable_offset, 0);
        r = kfl__walk_step(&walk, &header);
        if (r == KFL_WALK_BATCH)
            return 1;
        kfl__segment_release(*out_segment);
        *out_segment = NULL;
        if (r < 0)
            return r;
    }
    return 0;
}

/* Walk one file to its end, its gap, or its mark: KFL_WALK_END and the mark, or 0. */
static int tail_walk_file(struct kfl__tail *tail, struct kfl__walk *walk, struct kfl__batch_header *out_mark)
{
    int r;
    do
        r = kfl__walk_step(walk, out_mark);
    while (r == KFL_WALK_BATCH);
    if (r < 0)
        return r;
    tail->end_offset = walk->next_offset;
    tail->epoch = walk->epoch > tail->epoch ? walk->epoch : tail->epoch;
    tail->last_segment = walk->segment->id;
    tail->last_place = walk->place;
    tail->last_is_full = r == KFL_WALK_END;
    return r;
}

/* A gap: is it the torn end, or damage? Damage: the walk goes on at the batch behind it. */
static int tail_judge_gap(struct kfl__partition *partition, const struct kfl__segment_row *rows, int32_t count,
                          struct kfl__tail *tail, struct kfl__walk *walk, struct kfl__segment **io_segment)
{
    struct kfl__segment *segment = *io_segment;
    bool proof = false;
    int64_t base = 0, id = 0;
    uint64_t place = 0;
    uint64_t last = kfl__walk_last(segment, walk->place, segment->size);
    tail->anything_behind = last > walk->place;
    if (tail->anything_behind) {
        int r = tail_search_proof(segment, walk->place + KFL_BATCH_ALIGNMENT, segment->size, walk->next_offset, &proof, &base, &place);
        if (r < 0)
            return r;
    }
    if (!proof) {
        int r = tail_search_files(partition, rows, count, segment->id, walk->next_offset, &id, &base, &place);
        if (r < 0)
            return r;
        if (id == 0) {
            tail->cut_bytes = (int64_t)(last - walk->place);
            return 0;
        }
        kfl__segment_release(segment);
        *io_segment = NULL;
        r = tail_open(partition, id, io_segment);
        if (r != 0)
            return r < 0 ? r : 0;
        segment = *io_segment;
    }
    if (!tail->damaged) {
        tail->damaged = true;
        tail->hole_from = walk->next_offset;
    }
    tail->hole_to = base;
    kfl__walk_init(walk, segment, place, segment->size, base, 0);
    return 1;
}

int kfl__tail_walk(struct kfl__partition *partition, const struct kfl__segment_row *rows, int32_t row_count,
                   uint64_t limit_word, struct kfl__tail *tail)
{
    const struct kfl__segment_row *row = tail_row(rows, row_count, tail->durable_segment);
    struct kfl__segment *segment = NULL;
    uint64_t place = tail->durable_place;
    struct kfl__walk walk;
    tail->end_offset = tail->durable_offset;
    tail->last_segment = tail->durable_segment;
    tail->last_place = tail->durable_place;

    int r = row == NULL || row->state == KFL_SEGMENT_ROW_SEALED ? 1 : tail_open(partition, row->segment_id, &segment);
    if (r < 0)
        return r;
    if (r > 0) {
        r = tail_find_first(partition, rows, row_count, tail, &segment);
        if (r <= 0)
            return r;
        place = KFL_SEGMENT_FIRST_PLACE;
    }
    kfl__walk_init(&walk, segment, place, segment->size, tail->durable_offset, 0);
    for (;;) {
        struct kfl__batch_header mark;
        if (limit_word != 0 && kfl__word_ordinal(limit_word) == (uint32_t)segment->id)
            walk.limit = kfl__word_place(limit_word);
        uint64_t from = walk.place;
        r = tail_walk_file(tail, &walk, &mark);
        if (r < 0)
            break;
        kfl__segment_acquire(segment);
        int added = kfl__tail_add_piece(tail, segment, from, walk.place);
        if (added < 0) {
            r = added;
            break;
        }
        if (limit_word != 0 && kfl__word_ordinal(limit_word) == (uint32_t)segment->id) {
            r = 0;
            break;
        }
        if (r == 0) {
            r = tail_judge_gap(partition, rows, row_count, tail, &walk, &segment);
            if (r <= 0)
                break;
            continue;
        }
        const struct kfl__segment_row *next = tail_row(rows, row_count, mark.max_timestamp_ms);
        struct kfl__segment *behind = NULL;
        r = next == NULL ? 1 : tail_open(partition, next->segment_id, &behind);
        if (r != 0) {
            r = r < 0 ? r : 0;
            break;
        }
        struct kfl__batch_header first;
        kfl__walk_init(&walk, behind, KFL_SEGMENT_FIRST_PLACE, behind->size, mark.base_offset, walk.epoch);
        struct kfl__walk probe = walk;
        r = kfl__walk_step(&probe, &first);
        if (r != KFL_WALK_BATCH || (first.base_offset != mark.base_offset && limit_word == 0)) {
            /* Full and nothing behind: what the next file may have held was never synced. */
            kfl__segment_release(segment);
            segment = behind;
            if (r < 0)
                break;
            r = tail_judge_gap(partition, rows, row_count, tail, &walk, &segment);
            if (r <= 0)
                break;
            continue;
        }
        kfl__segment_release(segment);
        segment = behind;
    }
    kfl__segment_release(segment);
    return r < 0 ? r : 0;
}
