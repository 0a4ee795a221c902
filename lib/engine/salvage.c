/* SPDX-License-Identifier: MIT */
/*
 * Salvage.
 *
 * Each file is walked, the newest first, and runs of batches that verify are noted, but for those whose
 * offsets a newer file holds: recovery and compaction copy into new files, and which of the old ones still
 * counted, and up to where, stood in the catalog. The runs are then put into the order of their offsets and
 * copied as recovery copies a tail: sealed anew, synced, listed in one transaction for some hundred files.
 */
#include "engine/salvage.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/memory.h"
#include "engine/recover.h"
#include "format/names.h"
#include "log/walk.h"

#define SALVAGE_RUNS_AT_ONCE 256

/* A run of batches, one behind the other. */
struct salvage_run {
    int64_t segment_id;
    uint64_t from, to;
    int64_t first_offset, end_offset;
};

struct salvage_file {
    int64_t id;
    int64_t first_offset, end_offset; /* of what verifies in it; -1: nothing does */
    int64_t next_id;                  /* of its end mark; 0: it has none */
    uint64_t torn_place; /* bytes that are no batch stand behind the last one; 0: none do */
    bool opened;
};

struct salvage_work {
    struct kfl__salvage *salvage;
    struct salvage_file *files; /* owned: by id */
    int32_t file_count, file_room;
    struct salvage_run *runs; /* owned */
    int32_t run_count, run_room;
    int64_t newer_from; /* the lowest offset in the files walked before */
};

/* ---- the files ---- */

static int salvage_list(const char *name, void *context)
{
    struct salvage_work *work = context;
    enum kfl__name_kind kind;
    int64_t id;
    if (!kfl__name_decode(name, &id, &kind) || kind != KFL_NAME_LOG)
        return 0;
    if (work->file_count == work->file_room) {
        int32_t room = work->file_room * 2 + 16;
        struct salvage_file *grown = kfl__realloc(work->files, (size_t)room * sizeof *grown);
        if (grown == NULL)
            return kfl__fail(KFL_E_NOMEM, "a list of %d segments: out of memory", room);
        work->files = grown;
        work->file_room = room;
    }
    work->files[work->file_count++] =
        (struct salvage_file){.id = id, .first_offset = -1, .end_offset = -1};
    return 0;
}

static int salvage_by_id(const void *a, const void *b)
{
    int64_t left = ((const struct salvage_file *)a)->id;
    int64_t right = ((const struct salvage_file *)b)->id;
    return (left > right) - (left < right);
}

static int salvage_by_offset(const void *a, const void *b)
{
    int64_t left = ((const struct salvage_run *)a)->first_offset;
    int64_t right = ((const struct salvage_run *)b)->first_offset;
    return (left > right) - (left < right);
}

static const struct salvage_file *salvage_find(const struct salvage_work *work, int64_t id)
{
    struct salvage_file key = {.id = id};
    return bsearch(&key, work->files, (size_t)work->file_count, sizeof key, salvage_by_id);
}

/* 0 and a share, or 1: it cannot be believed, and why stands in the thread's words. */
static int salvage_open(const struct kfl__salvage *salvage, int64_t id,
                        struct kfl__segment **out_segment)
{
    struct kfl__segment_expect expect = {salvage->store_id, salvage->topic_id,
                                         (uint32_t)salvage->number};
    int r = kfl__segment_open(salvage->folder, id, &expect, KFL_SEGMENT_READ, out_segment);
    return r == KFL_E_CORRUPT || r == KFL_E_VERSION || r == KFL_FILE_MISSING ? 1 : r;
}

/* ---- what can be believed ---- */

static int salvage_add_run(struct salvage_work *work, const struct salvage_run *run)
{
    if (work->run_count == work->run_room) {
        int32_t room = work->run_room * 2 + 16;
        struct salvage_run *grown = kfl__realloc(work->runs, (size_t)room * sizeof *grown);
        if (grown == NULL)
            return kfl__fail(KFL_E_NOMEM, "a list of %d runs of batches: out of memory", room);
        work->runs = grown;
        work->run_room = room;
    }
    work->runs[work->run_count++] = *run;
    return 0;
}

/* Does a file with a higher id than this one hold any of these offsets? */
static bool salvage_is_newer_elsewhere(const struct salvage_work *work,
                                       const struct salvage_file *file, int64_t from, int64_t to)
{
    if (to <= work->newer_from)
        return false;
    for (const struct salvage_file *newer = file + 1; newer < work->files + work->file_count;
         newer++)
        if (from < newer->end_offset && to > newer->first_offset)
            return true;
    return false;
}

static int salvage_take(struct salvage_work *work, struct salvage_file *file, uint64_t place,
                        uint64_t next_place, const struct kfl__batch_header *header)
{
    int64_t end_offset = kfl__batch_end_offset(header);
    if (file->first_offset < 0)
        file->first_offset = header->base_offset;
    file->end_offset = end_offset;
    if (salvage_is_newer_elsewhere(work, file, header->base_offset, end_offset))
        return 0;
    work->salvage->records += header->record_count;
    work->salvage->bytes += header->size;
    struct salvage_run *last = work->run_count > 0 ? &work->runs[work->run_count - 1] : NULL;
    /* Numbers that were skipped before this batch begin another run, so that they are told. */
    if (last != NULL && last->segment_id == file->id && last->to == place &&
        last->end_offset == header->base_offset) {
        last->to = next_place;
        last->end_offset = end_offset;
        return 0;
    }
    return salvage_add_run(
        work, &(struct salvage_run){file->id, place, next_place, header->base_offset, end_offset});
}

/* Every batch that verifies, also behind damage. */
static int salvage_walk(struct salvage_work *work, struct salvage_file *file,
                        struct kfl__segment *segment)
{
    struct kfl__batch_header header;
    struct kfl__walk walk;
    kfl__walk_init(&walk, segment, KFL_SEGMENT_FIRST_PLACE, segment->size, 0, 0);
    for (;;) {
        uint64_t place = walk.place;
        int r = kfl__walk_step(&walk, &header);
        if (r == KFL_WALK_BATCH)
            r = salvage_take(work, file, place, walk.place, &header);
        else if (r == KFL_WALK_END)
            file->next_id = header.max_timestamp_ms;
        if (r < 0 || file->next_id != 0)
            return r < 0 ? r : 0;
        if (walk.place != place)
            continue;
        r = kfl__walk_search(segment, place + KFL_BATCH_ALIGNMENT, segment->size, walk.next_offset,
                             &header, &place);
        if (r < 0)
            return r;
        if (r == 0) {
            if (kfl__walk_last(segment, walk.place, segment->size) > walk.place)
                file->torn_place = walk.place;
            return 0;
        }
        kfl__walk_init(&walk, segment, place, segment->size, walk.next_offset, 0);
    }
}

static int salvage_tell(const struct salvage_work *work, struct kfl__loss loss)
{
    return work->salvage->tell(&loss, work->salvage->context);
}

static int salvage_look(struct salvage_work *work, struct salvage_file *file)
{
    struct kfl__segment *segment = NULL;
    int r = salvage_open(work->salvage, file->id, &segment);
    if (r > 0)
        return salvage_tell(work, (struct kfl__loss){.offset = -1,
                                                     .end_offset = -1,
                                                     .segment_id = file->id,
                                                     .place = -1,
                                                     .text = kfl_last_error()});
    if (r < 0)
        return r;
    file->opened = true;
    r = salvage_walk(work, file, segment);
    kfl__segment_release(segment);
    if (file->first_offset >= 0 && file->first_offset < work->newer_from)
        work->newer_from = file->first_offset;
    return r;
}

/* ---- what is lost ---- */

/* Numbers between two runs (before: NULL at the beginning) that no file has. */
static int salvage_tell_gap(const struct salvage_work *work, const struct salvage_run *before,
                            const struct salvage_run *behind)
{
    const struct salvage_file *file =
        before == NULL ? NULL : salvage_find(work, before->segment_id);
    struct kfl__loss loss = {
        .offset = before == NULL ? -1 : before->end_offset,
        .end_offset = behind->first_offset,
        .place = -1,
        .text = "what stood here does not verify",
    };
    if (before != NULL && before->segment_id == behind->segment_id && before->to == behind->from)
        return 0; /* the numbers were skipped when this was written */
    if (before != NULL && before->segment_id == behind->segment_id) {
        loss.segment_id = before->segment_id;
        loss.place = (int64_t)before->to;
    } else if (behind->from > KFL_SEGMENT_FIRST_PLACE) {
        loss.segment_id = behind->segment_id;
        loss.place = KFL_SEGMENT_FIRST_PLACE;
    } else if (file == NULL) {
        return 0; /* what was before was deleted */
    } else if (file->torn_place != 0) {
        loss.segment_id = file->id;
        loss.place = (int64_t)file->torn_place;
    } else {
        loss.missing_file = true;
        loss.text = "no file has these records: one is missing, or a power cut took them once";
    }
    return salvage_tell(work, loss);
}

/* Behind the last run. */
static int salvage_tell_end(const struct salvage_work *work, const struct salvage_run *last)
{
    const struct salvage_file *file = salvage_find(work, last->segment_id);
    struct kfl__loss loss = {.offset = last->end_offset, .end_offset = -1, .place = -1};
    char text[128];
    if (file->torn_place != 0) {
        loss.segment_id = file->id;
        loss.place = (int64_t)file->torn_place;
        loss.text =
            "what stands behind the last record does not verify: torn by a crash, or damaged";
        return salvage_tell(work, loss);
    }
    if (file->next_id == 0 || salvage_find(work, file->next_id) != NULL)
        return 0;
    snprintf(text, sizeof text, "segment %" PRId64 ", which follows, is missing", file->next_id);
    loss.missing_file = true;
    loss.text = text;
    return salvage_tell(work, loss);
}

static int salvage_tell_losses(const struct salvage_work *work)
{
    const struct salvage_run *before = NULL;
    int r = 0;
    for (int32_t i = 0; i < work->run_count && r >= 0; i++) {
        const struct salvage_run *run = &work->runs[i];
        if (before == NULL || run->first_offset != before->end_offset)
            r = salvage_tell_gap(work, before, run);
        before = run;
    }
    return before == NULL || r < 0 ? r : salvage_tell_end(work, before);
}

/* ---- copying ---- */

/* The runs [from, to) as a tail; those of one file stand side by side and share it. */
static int salvage_gather(const struct salvage_work *work, int32_t from, int32_t to,
                          struct kfl__tail *tail)
{
    for (int32_t i = from; i < to; i++) {
        const struct salvage_run *run = &work->runs[i];
        struct kfl__segment *segment = NULL;
        int r = 0;
        if (i > from && work->runs[i - 1].segment_id == run->segment_id) {
            segment = tail->pieces[tail->piece_count - 1].segment;
            kfl__segment_acquire(segment);
        } else {
            r = salvage_open(work->salvage, run->segment_id, &segment);
        }
        if (r > 0)
            return kfl__fail(KFL_E_BUSY, "segment %" PRId64 " changes while it is salvaged",
                             run->segment_id);
        if (r == 0)
            r = kfl__tail_add_piece(tail, segment, run->from, run->to);
        if (r < 0)
            return r;
    }
    return 0;
}

static int salvage_copy(const struct salvage_work *work, struct kfl__partition *into)
{
    int r = 0;
    for (int32_t from = 0; from < work->run_count && r == 0; from += SALVAGE_RUNS_AT_ONCE) {
        int32_t to = work->run_count - from < SALVAGE_RUNS_AT_ONCE ? work->run_count
                                                                   : from + SALVAGE_RUNS_AT_ONCE;
        struct kfl__tail tail = {0};
        r = salvage_gather(work, from, to, &tail);
        if (r == 0)
            r = kfl__partition_adopt(into, &tail, work->runs[to - 1].end_offset,
                                     work->salvage->story);
        kfl__tail_release(&tail);
    }
    return r;
}

/* Where it begins, and the number it goes on at. */
static int salvage_finish(struct salvage_work *work, struct kfl__partition *into)
{
    struct kfl__salvage *salvage = work->salvage;
    struct kfl__tail nothing = {0};
    if (work->file_count == 0)
        return 0; /* never appended to */
    int64_t end = work->run_count == 0 ? 0 : work->runs[work->run_count - 1].end_offset;
    if (end > INT64_MAX - KFL_SALVAGE_GAP)
        return kfl__fail(KFL_E_CORRUPT, "no number above offset %" PRId64 " can be given", end);
    salvage->end_offset = end + KFL_SALVAGE_GAP;
    int64_t start = work->run_count == 0 ? salvage->end_offset : work->runs[0].first_offset;
    int r = kfl__partition_adopt(into, &nothing, salvage->end_offset, salvage->story);
    if (r == 0)
        r = kfl__partition_trim(into, start, &salvage->start_offset);
    return r;
}

int kfl__salvage_run(struct kfl__salvage *salvage, struct kfl__partition *into)
{
    struct salvage_work work = {.salvage = salvage, .newer_from = INT64_MAX};
    salvage->records = salvage->bytes = salvage->start_offset = salvage->end_offset = 0;
    int r = kfl__file_list(salvage->folder, salvage_list, &work);
    if (r >= 0 && work.file_count > 0)
        qsort(work.files, (size_t)work.file_count, sizeof *work.files, salvage_by_id);
    for (int32_t i = work.file_count - 1; i >= 0 && r >= 0; i--)
        r = salvage_look(&work, &work.files[i]);
    if (r >= 0 && work.run_count > 0)
        qsort(work.runs, (size_t)work.run_count, sizeof *work.runs, salvage_by_offset);
    if (r >= 0)
        r = salvage_tell_losses(&work);
    if (r >= 0)
        r = salvage_copy(&work, into);
    if (r >= 0)
        r = salvage_finish(&work, into);
    kfl__free(work.files);
    kfl__free(work.runs);
    return r < 0 ? r : 0;
}
