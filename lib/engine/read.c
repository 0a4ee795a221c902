/* SPDX-License-Identifier: MIT */
/*
 * Read one partition.
 *
 * A cursor keeps a share of a view and of the segment that it stands in, and the place of the next batch, so
 * that reading on costs no search. It takes its limit from the publishing word (or, for a file that takes
 * no more appends, from the manifest or the end mark). The list of files may change at any time: the
 * version is looked at after the word, and a cursor that sees another one looks its offset up again.
 * Damage is handed out once as a hole, and reading goes on behind it (P6).
 */
#include "engine/read.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/file.h"
#include "engine/room.h"
#include "engine/topics.h"
#include "log/lookup.h"
#include "log/walk.h"

#define READ_TOUCH (UINT64_C(256) << 10)

/* What exists for this reader: the word, and the offset that ends it. */
static void cursor_tail(const struct kfl__cursor *cursor, uint64_t *out_word, int64_t *out_end)
{
    struct kfl__slot *slot = cursor->partition->slot;
    if (cursor->durable) {
        *out_end = atomic_load_explicit(&slot->durable_offset, memory_order_acquire);
        *out_word = atomic_load_explicit(&slot->durable_word, memory_order_acquire);
    } else {
        kfl__slot_tail(slot, out_word, out_end);
    }
}

static int cursor_out_of_range(const struct kfl__cursor *cursor, int64_t start, int64_t end)
{
    struct kfl__topic *topic = cursor->partition->topic;
    kfl__fail(KFL_E_OFFSET_OUT_OF_RANGE, "offset %lld is outside of partition %s/%d, which holds %lld to %lld: seek",
              (long long)cursor->offset, topic->name, cursor->partition->number, (long long)start, (long long)end);
    return kfl__fail_at(KFL_E_OFFSET_OUT_OF_RANGE, topic->name, cursor->partition->number, cursor->offset);
}

/* A hole up to `to`; an empty one is none. */
static int cursor_hole(struct kfl__cursor *cursor, int64_t to, const char *what)
{
    struct kfl__segment *segment = cursor->segment;
    if (to <= cursor->offset)
        return 0;
    cursor->hole_from = cursor->offset;
    cursor->hole_to = to;
    snprintf(cursor->hole_text, sizeof cursor->hole_text, "topics/%llu/%d/%020lld.log at %llu: %s",
             (unsigned long long)cursor->partition->topic->id, cursor->partition->number,
             (long long)(segment != NULL ? segment->id : cursor->view->entries[cursor->entry].segment_id),
             (unsigned long long)(segment != NULL ? cursor->place : 0), what);
    cursor->offset = to;
    return KFL_CURSOR_HOLE;
}

/* Where the entry's records end: by its row, the next one's base, or what is published. */
static int64_t cursor_entry_end(const struct kfl__cursor *cursor, int64_t end)
{
    const struct kfl__view_entry *entry = &cursor->view->entries[cursor->entry];
    if (entry->end_offset >= 0)
        return entry->end_offset;
    return cursor->entry + 1 < cursor->view->entry_count ? entry[1].base_offset : end;
}

/* Bytes of the cursor's segment that count, given a word read after the segment was found in the view. */
static uint64_t cursor_limit(const struct kfl__cursor *cursor, uint64_t word)
{
    const struct kfl__view_entry *entry = &cursor->view->entries[cursor->entry];
    if ((uint32_t)cursor->segment->id == kfl__word_ordinal(word))
        return kfl__word_place(word) < cursor->segment->size ? kfl__word_place(word) : cursor->segment->size;
    if (entry->bytes != 0)
        return entry->bytes < cursor->segment->size ? entry->bytes : cursor->segment->size;
    if (cursor->durable && (int32_t)((uint32_t)cursor->segment->id - kfl__word_ordinal(word)) > 0)
        return 0;
    return cursor->segment->size; /* up to the end mark */
}

/* Stand at the batch that holds the offset, or in front of it. */
static void cursor_place(struct kfl__cursor *cursor, int64_t end)
{
    const struct kfl__view_entry *entry = &cursor->view->entries[cursor->entry];
    struct kfl__slot *slot = cursor->partition->slot;
    uint32_t batches = entry->segment_id == atomic_load(&slot->active.id) ? atomic_load(&slot->active_batch_count) : 0;
    struct kfl__lookup known = {
        .base_offset = entry->base_offset,
        .end_offset = cursor_entry_end(cursor, end),
        .limit = cursor->limit,
        .batch_count = batches,
        .stride = cursor->stride,
    };
    cursor->place = KFL_SEGMENT_FIRST_PLACE;
    cursor->verified = false;
    cursor->touched = 0;
    if (kfl__lookup_offset(cursor->segment, &known, cursor->offset, &cursor->header, &cursor->place) == 0) {
        cursor->verified = (cursor->header.flags & KFL_BATCH_FLAG_END) == 0;
        cursor->touched = cursor->place + cursor->header.size;
        cursor->stride = kfl__lookup_stride(entry->base_offset, &cursor->header, cursor->place);
    }
}

#define CURSOR_WAIT 3 /* positive: nothing is there yet */

/* The file cannot be opened: all of it is a hole, unless the list has changed meanwhile (R27). 0: look again. */
static int cursor_lost_file(struct kfl__cursor *cursor, int r, int64_t end)
{
    char what[100];
    if (r < 0 && r != KFL_E_CORRUPT)
        return r;
    if (kfl__cursor_version(cursor) != cursor->view->manifest_version)
        return 0;
    snprintf(what, sizeof what, "%s", r == KFL_FILE_MISSING ? "the file is missing" : kfl_last_error());
    int64_t to = cursor_entry_end(cursor, end);
    if (to > cursor->offset)
        return cursor_hole(cursor, to < end ? to : end, what);
    /* Behind its records, in numbers that were never given (R10). */
    if (cursor->entry + 1 == cursor->view->entry_count)
        return CURSOR_WAIT;
    cursor->offset = cursor->view->entries[cursor->entry + 1].base_offset;
    return 0;
}

/* Records, and no file is listed: the topic was deleted a moment ago and its slot not yet marked; else rows are lost. */
static int cursor_without_files(struct kfl__cursor *cursor)
{
    struct kfl__topic *topic = cursor->partition->topic;
    int r = kfl__topic_refresh(topic);
    if (r < 0)
        return r;
    kfl__fail(KFL_E_CORRUPT, "partition %s/%d: the catalog lists none of its files", topic->name, cursor->partition->number);
    return kfl__fail_at(KFL_E_CORRUPT, topic->name, cursor->partition->number, cursor->offset);
}

/* Look the offset up: a view, its entry, the segment, a limit and a place. 1 when found, 0: look again, CURSOR_WAIT, KFL_CURSOR_HOLE, error. */
static int cursor_locate(struct kfl__cursor *cursor)
{
    struct kfl__view *view = NULL;
    struct kfl__segment *segment = NULL;
    uint64_t word;
    int64_t end;
    int r = kfl__partition_view(cursor->partition, &view);
    if (r < 0)
        return r;
    if (view != cursor->view)
        kfl__cursor_drop_files(cursor);
    kfl__view_release(cursor->view);
    cursor->view = view;
    kfl__cursor_drop(cursor);
    cursor_tail(cursor, &word, &end);
    cursor->entry = kfl__view_find(view, cursor->offset);
    if (cursor->entry < 0) {
        if (kfl__cursor_version(cursor) != view->manifest_version || end <= cursor->offset)
            return 0;
        /* No file takes appends: these are numbers that a power cut took, or that were never given (R10). */
        if (atomic_load(&cursor->partition->slot->published) == 0)
            return CURSOR_WAIT;
        return cursor_without_files(cursor);
    }
    kfl__room_make(cursor->partition->core);
    r = kfl__partition_segment(cursor->partition, view, cursor->entry, &segment);
    if (r < 0 && kfl__room_is_short(r) && kfl__room_force(cursor->partition->core))
        r = kfl__partition_segment(cursor->partition, view, cursor->entry, &segment);
    if (r != 0)
        return cursor_lost_file(cursor, r, end);
    kfl__cursor_stand(cursor, cursor->entry, segment);
    cursor_tail(cursor, &word, &end);
    cursor->limit = cursor_limit(cursor, word);
    /* A list without the files below a new start is newer than that start: look at it before taking them for a gap. */
    if (kfl__cursor_version(cursor) != view->manifest_version ||
        cursor->offset < atomic_load(&cursor->partition->slot->start_offset)) {
        kfl__cursor_drop(cursor);
        return 0;
    }
    cursor_place(cursor, end);
    return 1;
}

/* Nothing more in this file, and it takes no appends: go on in the next one. 0: nothing behind yet. */
static int cursor_next_file(struct kfl__cursor *cursor)
{
    struct kfl__view *view = NULL;
    int64_t id = cursor->view->entries[cursor->entry].segment_id;
    int r = kfl__partition_view(cursor->partition, &view);
    if (r < 0)
        return r;
    int32_t at = kfl__view_find_segment(view, id);
    int64_t base = at >= 0 && at + 1 < view->entry_count ? view->entries[at + 1].base_offset : -1;
    kfl__view_release(view);
    if (at >= 0 && base < 0)
        return 0;
    if (base > cursor->offset && cursor->offset >= atomic_load(&cursor->partition->slot->start_offset))
        cursor->offset = base; /* numbers that were never given (R10) */
    kfl__cursor_drop(cursor);
    return 1;
}

/* Behind `from`, the next batch that reaches behind the offset, or the end mark: 1; 0: none. */
static int cursor_search(struct kfl__cursor *cursor, uint64_t from, struct kfl__batch_header *out_header, uint64_t *out_place)
{
    for (;;) {
        int r = kfl__walk_search(cursor->segment, from, cursor->limit, 0, out_header, out_place);
        if (r <= 0 || (out_header->flags & KFL_BATCH_FLAG_END) != 0 || kfl__batch_end_offset(out_header) > cursor->offset)
            return r;
        from = kfl__batch_next_place(*out_place, out_header);
    }
}

/* Bytes that should be a batch are none. 0: they cost no record; the place has moved behind them. */
static int cursor_damage(struct kfl__cursor *cursor, const char *what, uint64_t from)
{
    struct kfl__batch_header header;
    uint64_t place;
    int64_t end;
    uint64_t word;
    bool last;
    int r = cursor_search(cursor, from, &header, &place);
    if (r < 0)
        return r;
    if (r > 0) {
        r = cursor_hole(cursor, header.base_offset, what);
        cursor->place = place;
        cursor->touched = 0;
        return r;
    }
    /* Nothing behind in this file: all that is left of it is lost. */
    cursor_tail(cursor, &word, &end);
    last = (uint32_t)cursor->segment->id == kfl__word_ordinal(word);
    int64_t to = last ? end : cursor_entry_end(cursor, end);
    if (!last && to > end)
        to = end;
    r = cursor_hole(cursor, to, what);
    if (r != 0)
        kfl__cursor_drop(cursor);
    else
        cursor->place = cursor->limit; /* only an end mark was hurt */
    return r;
}

/* Ask for the pages of what comes next. */
static int cursor_touch(struct kfl__cursor *cursor, uint64_t need)
{
    uint64_t bad_from = 0, bad_to = 0;
    uint64_t to = cursor->place + need;
    uint64_t more = cursor->place + READ_TOUCH;
    if (to < more)
        to = more;
    if (to > cursor->limit)
        to = cursor->limit;
    int r = kfl__segment_touch(cursor->segment, cursor->place, to, &bad_from, &bad_to);
    if (r < 0)
        return r;
    if (r == 0) {
        cursor->touched = to;
        return 0;
    }
    cursor->touched = bad_from > cursor->place ? bad_from : cursor->place;
    if (cursor->touched >= cursor->place + need)
        return 0;
    r = cursor_damage(cursor, "the device cannot read this place", bad_to);
    return r == 0 ? KFL_SEGMENT_UNREADABLE : r;
}

static void cursor_found_end(struct kfl__cursor *cursor, uint64_t word, uint64_t version)
{
    cursor->idle_slot = cursor->partition->slot;
    cursor->idle_word = word;
    cursor->idle_version = version;
}

/*
 * For who reads what is appended: the cursor stands in the file that takes appends, and the publishing word
 * alone says what is new. The end is not asked for, since it lies where appenders write (R1). 1, 0, or CURSOR_WAIT:
 * not so.
 */
static int cursor_follow(struct kfl__cursor *cursor, uint64_t version)
{
    if (cursor->durable || cursor->segment == NULL || cursor->place == 0)
        return CURSOR_WAIT;
    uint64_t word = atomic_load_explicit(&cursor->partition->slot->published, memory_order_acquire);
    if ((uint32_t)cursor->segment->id != kfl__word_ordinal(word) || version != cursor->view->manifest_version ||
        kfl__cursor_version(cursor) != version)
        return CURSOR_WAIT;
    cursor->limit = cursor_limit(cursor, word);
    if (cursor->place + sizeof cursor->header <= cursor->limit) {
        cursor->follow_word = word;
        cursor->follow_version = version;
        return 1;
    }
    cursor_found_end(cursor, word, version);
    return 0;
}

/* Stand in front of bytes that exist. 1; 0: nothing now; KFL_CURSOR_HOLE; error. */
static int cursor_window(struct kfl__cursor *cursor)
{
    struct kfl__partition *partition = cursor->partition;
    struct kfl__slot *slot = partition->slot;
    for (;;) {
        uint64_t word;
        int64_t end;
        uint64_t version = kfl__cursor_version(cursor); /* first: what changes from here on is met again */
        if (!kfl__partition_exists(partition))
            return kfl__partition_gone(partition);
        int64_t start = atomic_load_explicit(&slot->start_offset, memory_order_acquire);
        cursor->follow_word = 0;
        int r = cursor->offset >= start ? cursor_follow(cursor, version) : CURSOR_WAIT;
        if (KFL_LIKELY(r != CURSOR_WAIT))
            return r;
        cursor_tail(cursor, &word, &end);
        if (cursor->offset < start || (cursor->offset > end && cursor->offset > kfl__slot_end(slot)))
            return cursor_out_of_range(cursor, start, end);
        if (cursor->offset >= end) {
            cursor_found_end(cursor, cursor->durable ? (uint64_t)end : word, version);
            /* Who has read all holds no map where they are short, and no file that may be deleted. */
            if (KFL_UNLIKELY(kfl__segment_crowded(4) ||
                             (cursor->view != NULL && version != cursor->view->manifest_version)))
                kfl__cursor_close(cursor);
            return 0;
        }
        if (cursor->segment == NULL || kfl__cursor_version(cursor) != cursor->view->manifest_version) {
            r = cursor_locate(cursor);
            if (r < 0 || r == KFL_CURSOR_HOLE)
                return r;
            if (r == CURSOR_WAIT)
                return 0;
            if (r == 0)
                continue;
        } else {
            cursor->limit = cursor_limit(cursor, word);
            if (kfl__cursor_version(cursor) != cursor->view->manifest_version)
                continue;
            if (cursor->place == 0)
                cursor_place(cursor, end);
        }
        if (cursor->place + sizeof cursor->header <= cursor->limit)
            return 1;
        if ((uint32_t)cursor->segment->id == kfl__word_ordinal(word))
            return 0;
        r = cursor_next_file(cursor);
        if (r <= 0)
            return r;
    }
}

bool kfl__cursor_guess(struct kfl__cursor *cursor)
{
    struct kfl__partition *partition = cursor->partition;
    uint64_t word, place, bad_from, bad_to;
    int64_t end;
    if (cursor->stride == 0 || cursor->segment == NULL || cursor->place != 0 || !kfl__partition_exists(partition))
        return false;
    /* As in cursor_window: what exists, from a list of files that stands before and after. */
    int64_t start = atomic_load_explicit(&partition->slot->start_offset, memory_order_acquire);
    cursor_tail(cursor, &word, &end);
    if (cursor->offset < start || cursor->offset >= end || kfl__cursor_version(cursor) != cursor->view->manifest_version)
        return false;
    uint64_t limit = cursor_limit(cursor, word);
    if (kfl__cursor_version(cursor) != cursor->view->manifest_version)
        return false;
    uint64_t distance = (uint64_t)(cursor->offset - cursor->view->entries[cursor->entry].base_offset);
    if (__builtin_mul_overflow(distance, cursor->stride, &place) || place >= limit ||
        place + KFL_SEGMENT_FIRST_PLACE + cursor->stride > limit)
        return false;
    place += KFL_SEGMENT_FIRST_PLACE;
    if (kfl__segment_touch(cursor->segment, place, place + cursor->stride, &bad_from, &bad_to) != 0)
        return false;
    cursor->limit = limit;
    cursor->place = place;
    cursor->touched = place + cursor->stride;
    return true;
}

int kfl__cursor_find_batch(struct kfl__cursor *cursor)
{
    for (;;) {
        if (cursor->verified && cursor->segment != NULL && kfl__cursor_version(cursor) == cursor->view->manifest_version &&
            kfl__batch_end_offset(&cursor->header) > cursor->offset && cursor->place + cursor->header.size <= cursor->limit)
            return KFL_CURSOR_BATCH;
        if (!cursor->verified || cursor->segment == NULL || cursor->place + cursor->header.size > cursor->limit) {
            int r = cursor_window(cursor);
            if (r != 1)
                return r;
        }
        int r = 0;
        if (!cursor->verified) {
            if (cursor->touched < cursor->place + sizeof cursor->header)
                r = cursor_touch(cursor, sizeof cursor->header);
            /* The hash is taken over as much as the header says, whatever else is wrong with it. */
            uint64_t said = r == 0 ? kfl__load32(cursor->segment->bytes + cursor->place + offsetof(struct kfl__batch_header, size)) : 0;
            if (said <= cursor->limit - cursor->place && cursor->touched < cursor->place + said)
                r = cursor_touch(cursor, said);
            if (r == KFL_SEGMENT_UNREADABLE)
                continue;
            if (r != 0)
                return r;
            r = kfl__batch_verify(cursor->segment->bytes, cursor->place, cursor->limit, cursor->segment->seed, &cursor->header);
        }
        if (r == KFL_BATCH_NEWER)
            return kfl__fail(KFL_E_VERSION, "partition %s/%d at offset %lld: written by a newer library",
                             cursor->partition->topic->name, cursor->partition->number, (long long)cursor->offset);
        if (r != 0) {
            r = cursor_damage(cursor, "the checksum does not match", cursor->place + KFL_BATCH_ALIGNMENT);
            if (r != 0)
                return r;
            continue;
        }
        if ((cursor->header.flags & KFL_BATCH_FLAG_END) != 0) {
            r = cursor_next_file(cursor);
            if (r <= 0)
                return r;
            continue;
        }
        if (kfl__batch_end_offset(&cursor->header) <= cursor->offset) {
            int64_t offset = cursor->offset;
            kfl__cursor_pass(cursor);
            cursor->offset = offset;
            continue;
        }
        cursor->verified = true;
        return KFL_CURSOR_BATCH;
    }
}
