/* SPDX-License-Identifier: MIT */
/*
 * Filling a slot, and mending a tail.
 *
 * A partition's slot is filled from the catalog when it is used the first time in the life of a state file.
 * If the last process that left it said that all was durable, that is all there is to it. Else the tail is
 * walked (engine/tail), and what can be believed behind the durable place is copied into a new file, synced
 * and listed in one catalog transaction, before anybody builds on it: nothing is mended in place, since a
 * block that met a failed write may read as zeros later although a sync succeeded. The same copy serves a
 * tail that dead processes of this boot have written, because an error of the disk may have been told to
 * them (R7). Killed anywhere in here, the next one begins anew.
 */
#include "engine/recover.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/process.h"
#include "base/wait.h"
#include "catalog/history.h"
#include "engine/notify.h"
#include "engine/segments.h"
#include "engine/sync.h"
#include "engine/topics.h"
#include "log/walk.h"

#define RECOVER_BUFFER (UINT64_C(1) << 20)

/* A file into which a tail is copied. */
struct recover_copy {
    struct kfl__segment *segment;
    struct kfl__segment_row row;
    uint64_t place;        /* behind the last batch */
    uint64_t written;      /* what has left the buffer */
    uint8_t *buffer;
    uint64_t buffer_size;
    int64_t end_offset, first_offset, records;
    int64_t first_timestamp_ms, max_timestamp_ms;
    uint32_t batches, times;
    uint64_t time_place;
    uint64_t interval;
};

static int recover_flush(struct recover_copy *copy)
{
    uint64_t size = copy->place - copy->written;
    int r = size == 0 ? 0 : kfl__segment_write(copy->segment, copy->buffer, size, copy->written);
    copy->written = copy->place;
    return r;
}

/* Lay one batch of the old file, sealed anew for its new place. */
static int recover_copy_batch(struct recover_copy *copy, const struct kfl__segment *from, uint64_t place,
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
    if (copy->place - copy->written + room > copy->buffer_size) {
        int r = recover_flush(copy);
        if (r < 0)
            return r;
    }
    uint8_t *to = copy->buffer + (copy->place - copy->written);
    memcpy(to + sizeof *header, from->bytes + place + sizeof *header, payload);
    kfl__batch_pad(to, payload);
    kfl__batch_seal(to, &facts, copy->place, copy->segment->seed);
    if (copy->batches < kfl__index_offsets_capacity(&copy->segment->offsets))
        kfl__index_note(&copy->segment->offsets, copy->batches++, copy->place);
    if (copy->place - copy->time_place >= copy->interval && copy->times < kfl__index_times_capacity(&copy->segment->times)) {
        kfl__index_note_time(&copy->segment->times, copy->times++, copy->max_timestamp_ms, copy->place, copy->segment->seed);
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
    copy->place += room;
    return 0;
}

static int recover_copy_pieces(struct recover_copy *copy, const struct kfl__tail *tail, uint32_t epoch)
{
    for (int32_t i = 0; i < tail->piece_count; i++) {
        const struct kfl__tail_piece *piece = &tail->pieces[i];
        struct kfl__batch_header header;
        struct kfl__walk walk;
        kfl__walk_init(&walk, piece->segment, piece->from, piece->to, 0, 0);
        uint64_t place = walk.place;
        int r;
        while ((r = kfl__walk_step(&walk, &header)) == KFL_WALK_BATCH) {
            r = recover_copy_batch(copy, piece->segment, place, &header, epoch);
            if (r < 0)
                return r;
            place = walk.place;
        }
        if (r < 0)
            return r;
        if (walk.place != piece->to)
            return kfl__fail(KFL_E_CORRUPT, "segment %lld changed while it was copied", (long long)piece->segment->id);
    }
    return recover_flush(copy);
}

/* List, make, fill and sync the new file. On failure it is gone again. */
static int recover_make_copy(struct kfl__partition *partition, const struct kfl__tail *tail, uint32_t epoch,
                             struct recover_copy *copy)
{
    const struct kfl__settings *settings = kfl__topic_shape(partition->topic)->settings;
    uint64_t size = kfl__align_up(KFL_SEGMENT_FIRST_PLACE + (uint64_t)tail->bytes + KFL_END_MARK_SIZE, 4096);
    uint64_t usual = (uint64_t)settings->segment_bytes / 4096 * 4096;
    uint64_t roomy = kfl__align_up(size * 2, 4096);
    *copy = (struct recover_copy){
        .place = KFL_SEGMENT_FIRST_PLACE,
        .written = KFL_SEGMENT_FIRST_PLACE,
        .first_offset = -1,
        .first_timestamp_ms = -1,
        .max_timestamp_ms = -1,
        .time_place = KFL_SEGMENT_FIRST_PLACE,
        .interval = (uint64_t)settings->index_interval_bytes,
    };
    /* Some room behind, so that the appends that come need not roll at once. */
    if (roomy > usual)
        roomy = usual;
    if (size < roomy)
        size = roomy;
    if (size < KFL_SEGMENT_SIZE_MIN)
        size = KFL_SEGMENT_SIZE_MIN;
    if (size > KFL_SEGMENT_SIZE_MAX)
        return kfl__fail(KFL_E_NO_SPACE, "partition %s/%d: %lld bytes not yet synced do not fit one segment",
                         partition->topic->name, partition->number, (long long)tail->bytes);
    copy->buffer_size = (uint64_t)tail->bytes < RECOVER_BUFFER ? (uint64_t)tail->bytes : RECOVER_BUFFER;
    for (int32_t i = 0; i < tail->piece_count; i++) {
        /* A batch larger than the buffer: give the buffer the room of the largest piece's batch at most. */
        uint64_t piece = tail->pieces[i].to - tail->pieces[i].from;
        if (piece > copy->buffer_size && copy->buffer_size < (uint64_t)settings->max_message_bytes + 65536)
            copy->buffer_size = piece < (uint64_t)tail->bytes ? piece : (uint64_t)tail->bytes;
    }
    copy->buffer = kfl__alloc(copy->buffer_size);
    if (copy->buffer == NULL)
        return kfl__fail(KFL_E_NOMEM, "partition %s/%d: out of memory while its tail was copied", partition->topic->name,
                         partition->number);
    int r = kfl__segments_begin(partition, size, &copy->row);
    if (r < 0)
        goto out;
    KFL_STEP("recover.listed");
    r = kfl__segments_create(partition, settings, &copy->row, &copy->segment);
    if (r == 0)
        r = recover_copy_pieces(copy, tail, epoch);
    KFL_STEP("recover.copied");
    if (r == 0)
        r = kfl__segment_sync(copy->segment);
    KFL_STEP("recover.synced");
    if (r < 0) {
        kfl__segment_release(copy->segment);
        copy->segment = NULL;
        kfl__segments_discard(partition, &copy->row.segment_id, 1);
    }
out:
    kfl__free(copy->buffer);
    copy->buffer = NULL;
    return r;
}

/* ---- the one transaction that makes it so ---- */

struct recover_commit {
    struct kfl__partition *partition;
    const struct kfl__tail *tail;
    const struct recover_copy *copy; /* NULL: nothing was copied */
    const struct kfl__segment_row *rows;
    int32_t row_count;
    bool keep_last;      /* the last file stays active as it is */
    int64_t end_offset;  /* of the partition from now on */
    uint32_t epoch;
    int64_t active_id;   /* out: the file that takes appends; 0: none */
    const char *text;    /* for the history; NULL: nothing worth a line */
    int64_t trash[KFL_TAIL_PIECES + 64];
    int32_t trash_count;
};

/* What becomes of one listed file. */
static int recover_settle_row(struct kfl__catalog_txn *txn, struct recover_commit *commit, const struct kfl__segment_row *listed)
{
    const struct kfl__tail *tail = commit->tail;
    struct kfl__partition *partition = commit->partition;
    struct kfl__segment_row row = *listed;
    bool durable_file = row.segment_id == tail->durable_segment;
    if (row.state == KFL_SEGMENT_ROW_SEALED)
        return 0;
    if (row.state == KFL_SEGMENT_ROW_LIVE && row.segment_id < tail->durable_segment)
        return 0; /* full and durable; its row is completed by the seal */
    if (commit->keep_last && row.segment_id == tail->last_segment)
        return 0;
    if (tail->damaged && row.segment_id <= tail->last_segment && row.segment_id >= tail->durable_segment) {
        /* Damage stays where it is, to be told to whoever reads there. */
        row.state = row.segment_id == tail->last_segment ? KFL_SEGMENT_ROW_SEALED : KFL_SEGMENT_ROW_LIVE;
        if (row.base_offset < 0)
            row.base_offset = durable_file || tail->durable_segment == 0 ? tail->durable_offset : tail->hole_from;
        if (row.segment_id == tail->last_segment) {
            row.end_offset = tail->end_offset;
            row.used = (int64_t)tail->last_place;
        }
        return kfl__segments_put(txn, partition->topic->id, partition->number, &row);
    }
    if (durable_file && tail->durable_place > KFL_SEGMENT_FIRST_PLACE && row.base_offset >= 0) {
        row.state = KFL_SEGMENT_ROW_SEALED;
        row.end_offset = tail->durable_offset;
        row.used = (int64_t)tail->durable_place;
        return kfl__segments_put(txn, partition->topic->id, partition->number, &row);
    }
    if (commit->trash_count == (int32_t)(sizeof commit->trash / sizeof commit->trash[0]))
        return 0; /* swept at a later recovery */
    row.state = KFL_SEGMENT_ROW_TRASH;
    commit->trash[commit->trash_count++] = row.segment_id;
    return kfl__segments_put(txn, partition->topic->id, partition->number, &row);
}

static int recover_add_history(struct kfl__catalog_txn *txn, const struct recover_commit *commit)
{
    struct kfl__core *core = commit->partition->core;
    struct kfl__history_row row = {
        .time_ms = kfl__clock_wall_ms(&core->clock),
        .process_id = core->presence.pid,
        .kind = KFL_HISTORY_RECOVERY,
        .partition = commit->partition->number,
    };
    snprintf(row.topic, sizeof row.topic, "%s", commit->partition->topic->name);
    snprintf(row.text, sizeof row.text, "%s", commit->text);
    kfl__process_name(core->presence.pid, row.program);
    return kfl__history_add(txn, &row);
}

static int recover_run_commit(struct kfl__catalog_txn *txn, void *context)
{
    struct recover_commit *commit = context;
    struct kfl__partition *partition = commit->partition;
    const struct kfl__tail *tail = commit->tail;
    struct kfl__partition_row row;
    commit->trash_count = 0;
    int r = kfl__partition_get(txn, partition->topic->id, partition->number, &row);
    for (int32_t i = 0; r == 0 && i < commit->row_count; i++)
        r = recover_settle_row(txn, commit, &commit->rows[i]);
    if (r < 0)
        return r;
    row.durable_segment = tail->damaged || commit->keep_last ? tail->last_segment : tail->durable_segment;
    row.durable_place = (int64_t)(tail->damaged || commit->keep_last ? tail->last_place : tail->durable_place);
    if (commit->copy != NULL) {
        struct kfl__segment_row made = commit->copy->row;
        made.state = KFL_SEGMENT_ROW_LIVE;
        made.base_offset = commit->copy->first_offset;
        r = kfl__segments_put(txn, partition->topic->id, partition->number, &made);
        if (r < 0)
            return r;
        row.durable_segment = made.segment_id;
        row.durable_place = (int64_t)commit->copy->place;
    }
    row.durable_offset = commit->end_offset;
    if (row.offset_floor < commit->end_offset)
        row.offset_floor = commit->end_offset;
    if (row.writer_epoch < commit->epoch)
        row.writer_epoch = commit->epoch;
    row.flags &= ~(KFL_PARTITION_CLEAN | KFL_PARTITION_FAILED);
    r = kfl__partition_put(txn, partition->topic->id, partition->number, &row);
    return r == 0 && commit->text != NULL ? recover_add_history(txn, commit) : r;
}

/* ---- the slot's words ---- */

/* What the appenders need to know of a file that stays active although others wrote it. */
struct recover_active {
    int64_t id, size, base_offset, first_timestamp_ms, max_timestamp_ms, records;
    uint64_t seed, place, time_place;
    uint32_t batches, times;
};

/* The append lock is held, or the slot is not ready. */
static void recover_install(struct kfl__slot *slot, const struct recover_active *active, int64_t end_offset, uint32_t epoch)
{
    uint64_t word = active->id == 0 ? 0 : kfl__word(active->id, active->place);
    atomic_store(&slot->active.id, 0);
    atomic_store(&slot->active.size, active->size);
    atomic_store(&slot->active.seed, active->seed);
    atomic_store(&slot->active_base_offset, active->base_offset);
    atomic_store(&slot->active_first_timestamp_ms, active->first_timestamp_ms);
    atomic_store(&slot->active_max_timestamp_ms, active->max_timestamp_ms);
    atomic_store(&slot->active_records, active->records);
    atomic_store(&slot->active_batch_count, active->batches);
    atomic_store(&slot->active_time_count, active->times);
    atomic_store(&slot->active_time_place, active->time_place);
    atomic_store(&slot->reserved_end, active->place);
    atomic_store(&slot->pending_word, word);
    atomic_store(&slot->pending_end_offset, end_offset);
    atomic_store(&slot->published, word);
    atomic_store(&slot->end_offset, end_offset);
    atomic_store(&slot->active.id, active->id);
    atomic_store(&slot->writer_epoch, epoch);
    atomic_store(&slot->sync_target, -1);
    atomic_store(&slot->unsynced_since_ns, 0);
    atomic_store(&slot->suspect, 0);
    atomic_store(&slot->failed, 0);
}

static void recover_active_of_copy(const struct recover_copy *copy, struct recover_active *active)
{
    *active = (struct recover_active){
        .id = copy->row.segment_id,
        .size = copy->row.size,
        .seed = copy->row.seed,
        .base_offset = copy->first_offset,
        .first_timestamp_ms = copy->first_timestamp_ms,
        .max_timestamp_ms = copy->max_timestamp_ms,
        .records = copy->records,
        .place = copy->place,
        .batches = copy->batches,
        .times = copy->times,
        .time_place = copy->time_place,
    };
}

/* A file that stays active: look at its signposts, and lay them anew where they do not lead to the end. */
static int recover_active_of_file(struct kfl__partition *partition, const struct kfl__segment_row *row, uint64_t place,
                                  struct recover_active *active)
{
    struct kfl__core *core = partition->core;
    struct kfl__segment_expect expect = {core->store_id, partition->topic->id, (uint32_t)partition->number};
    const struct kfl__settings *settings = kfl__topic_shape(partition->topic)->settings;
    struct kfl__segment *segment = NULL;
    struct kfl__batch_header header;
    uint64_t bad_from, bad_to, at = KFL_SEGMENT_FIRST_PLACE;
    int directory = -1;
    int r = kfl__partition_directory(partition, false, &directory);
    if (r == 0) {
        r = kfl__segment_open(directory, row->segment_id, &expect, core->read_only ? KFL_SEGMENT_READ : KFL_SEGMENT_WRITE_BY_FILE,
                              &segment);
        kfl__file_close(directory);
    }
    if (r != 0)
        return r < 0 ? r : kfl__fail(KFL_E_CORRUPT, "segment %lld of %s/%d is missing", (long long)row->segment_id,
                                     partition->topic->name, partition->number);
    *active = (struct recover_active){
        .id = row->segment_id,
        .size = (int64_t)segment->size,
        .seed = segment->seed,
        .base_offset = row->base_offset,
        .first_timestamp_ms = -1,
        .max_timestamp_ms = -1,
        .place = place,
        .time_place = KFL_SEGMENT_FIRST_PLACE,
    };
    r = kfl__segment_touch(segment, at, place, &bad_from, &bad_to);
    uint64_t interval = (uint64_t)settings->index_interval_bytes;
    while (r == 0 && at < place && kfl__batch_peek(segment->bytes, at, place, &header) == 0) {
        if (segment->offsets.writable && active->batches < kfl__index_offsets_capacity(&segment->offsets) &&
            kfl__index_place(&segment->offsets, active->batches) != at)
            kfl__index_note(&segment->offsets, active->batches, at);
        if (at - active->time_place >= interval && active->times < kfl__index_times_capacity(&segment->times)) {
            if (segment->times.writable)
                kfl__index_note_time(&segment->times, active->times, active->max_timestamp_ms, at, segment->seed);
            active->times++;
            active->time_place = at;
        }
        if (at == KFL_SEGMENT_FIRST_PLACE)
            active->first_timestamp_ms = header.max_timestamp_ms;
        if (header.max_timestamp_ms > active->max_timestamp_ms)
            active->max_timestamp_ms = header.max_timestamp_ms;
        active->records += header.record_count;
        active->batches++;
        at = kfl__batch_next_place(at, &header);
    }
    kfl__segment_release(segment);
    return r < 0 ? r : 0;
}

/* ---- filling ---- */

struct recover_look {
    struct kfl__partition *partition;
    struct kfl__partition_row row;
};

static int recover_get_row(struct kfl__catalog_txn *txn, void *context)
{
    struct recover_look *look = context;
    return kfl__partition_get(txn, look->partition->topic->id, look->partition->number, &look->row);
}

static void recover_tell(const struct kfl__tail *tail, int64_t took_ns, int64_t end_offset, char *text, size_t text_size)
{
    int64_t ms = took_ns / 1000000;
    if (tail->damaged)
        snprintf(text, text_size, "damage: the records %lld..%lld cannot be read; goes on at %lld (%lld ms)",
                 (long long)tail->hole_from, (long long)tail->hole_to - 1, (long long)end_offset, (long long)ms);
    else if (tail->cut_bytes > 0)
        snprintf(text, text_size, "cut %lld torn bytes behind offset %lld; kept %lld bytes not yet synced; goes on at %lld (%lld ms)",
                 (long long)tail->cut_bytes, (long long)tail->end_offset, (long long)tail->bytes, (long long)end_offset,
                 (long long)ms);
    else
        snprintf(text, text_size, "kept %lld bytes not yet synced, up to offset %lld; goes on at %lld (%lld ms)",
                 (long long)tail->bytes, (long long)tail->end_offset, (long long)end_offset, (long long)ms);
}

static int recover_finish_fill(struct kfl__partition *partition, const struct kfl__partition_row *row,
                               const struct recover_active *active, int64_t end_offset, uint32_t epoch)
{
    struct kfl__slot *slot = partition->slot;
    recover_install(slot, active, end_offset, epoch);
    atomic_store(&slot->start_offset, row->start_offset);
    atomic_store(&slot->next.id, 0);
    uint64_t word = atomic_load(&slot->published);
    if (word == 0 && row->durable_segment != 0)
        word = kfl__word(row->durable_segment, (uint64_t)row->durable_place);
    kfl__slot_set_durable(slot, word, end_offset);
    atomic_store(&slot->noted_offset, end_offset);
    atomic_store(&slot->opened_offset, end_offset);
    /* The first append brings the floor up, and with it the row is marked as in use. */
    atomic_store(&slot->offset_floor, end_offset);
    atomic_store(&slot->floor_raised_at, end_offset);
    atomic_store(&slot->failed, 0);
    atomic_store(&slot->life, atomic_load(&partition->core->shared->life));
    atomic_fetch_add(&slot->manifest_version, 1);
    atomic_store_explicit(&slot->ready, 1, memory_order_release);
    return 0;
}

static const struct kfl__segment_row *recover_row(const struct kfl__segment_row *rows, int32_t count, int64_t id)
{
    for (int32_t i = 0; i < count; i++)
        if (rows[i].segment_id == id)
            return &rows[i];
    return NULL;
}

static int recover_fill_clean(struct kfl__partition *partition, const struct kfl__partition_row *row,
                              const struct kfl__segment_row *rows, int32_t count)
{
    struct recover_active active = {.first_timestamp_ms = -1, .max_timestamp_ms = -1, .place = 0};
    const struct kfl__segment_row *last = recover_row(rows, count, row->durable_segment);
    if (last != NULL && last->state == KFL_SEGMENT_ROW_LIVE) {
        int r = recover_active_of_file(partition, last, (uint64_t)row->durable_place, &active);
        if (r == KFL_E_CORRUPT || r == KFL_E_VERSION)
            /* It is told to whoever reads there; appends go on in a new file. */
            active = (struct recover_active){.first_timestamp_ms = -1, .max_timestamp_ms = -1};
        else if (r < 0)
            return r;
    }
    return recover_finish_fill(partition, row, &active, row->durable_offset, row->writer_epoch + 1);
}

/* Reading only: what can be believed is shown, and stays where it is. */
static int recover_fill_to_read(struct kfl__partition *partition, const struct kfl__partition_row *row,
                                const struct kfl__segment_row *rows, int32_t count)
{
    struct kfl__tail tail = {
        .durable_segment = row->durable_segment,
        .durable_place = (uint64_t)row->durable_place,
        .durable_offset = row->durable_offset,
    };
    struct recover_active active = {.first_timestamp_ms = -1, .max_timestamp_ms = -1};
    if (!partition->core->detached)
        return kfl__fail(KFL_E_READ_ONLY, "partition %s/%d was not closed cleanly: open the store for writing once",
                         partition->topic->name, partition->number);
    int r = kfl__tail_walk(partition, rows, count, 0, &tail);
    const struct kfl__segment_row *last = recover_row(rows, count, tail.last_segment);
    if (r == 0 && last != NULL && last->state != KFL_SEGMENT_ROW_SEALED) {
        struct kfl__segment_row shown = *last;
        if (shown.base_offset < 0)
            shown.base_offset = tail.last_base >= 0 ? tail.last_base : row->durable_offset;
        r = recover_active_of_file(partition, &shown, tail.last_place, &active);
    }
    if (r == 0)
        r = recover_finish_fill(partition, row, &active, tail.end_offset, row->writer_epoch);
    kfl__tail_release(&tail);
    return r;
}

/* Nobody said that all was durable: walk, copy what can be believed, go on above the floor. */
static int recover_fill_torn(struct kfl__partition *partition, const struct kfl__partition_row *row,
                             const struct kfl__segment_row *rows, int32_t count)
{
    struct kfl__tail tail = {
        .durable_segment = row->durable_segment,
        .durable_place = (uint64_t)row->durable_place,
        .durable_offset = row->durable_offset,
    };
    struct recover_active active = {.first_timestamp_ms = -1, .max_timestamp_ms = -1};
    struct recover_copy copy = {0};
    char text[256];
    int64_t began = kfl__clock_steady_ns();
    int r = kfl__tail_walk(partition, rows, count, 0, &tail);
    if (r < 0)
        goto out;
    struct recover_commit commit = {
        .partition = partition,
        .tail = &tail,
        .rows = rows,
        .row_count = count,
        .epoch = (row->writer_epoch > tail.epoch ? row->writer_epoch : tail.epoch) + 1,
        .end_offset = tail.end_offset > row->offset_floor ? tail.end_offset : row->offset_floor,
    };
    const struct kfl__segment_row *last = recover_row(rows, count, tail.last_segment);
    bool nothing = tail.bytes == 0 && !tail.damaged && !tail.anything_behind && !tail.last_is_full;
    commit.keep_last = nothing && last != NULL && last->state == KFL_SEGMENT_ROW_LIVE;
    if (!nothing && !tail.damaged && tail.bytes > 0) {
        r = recover_make_copy(partition, &tail, commit.epoch, &copy);
        if (r < 0)
            goto out;
        commit.copy = &copy;
        recover_active_of_copy(&copy, &active);
    } else if (commit.keep_last) {
        r = recover_active_of_file(partition, last, tail.last_place, &active);
        if (r < 0)
            goto out;
    }
    if (!nothing) {
        recover_tell(&tail, kfl__clock_steady_ns() - began, commit.end_offset, text, sizeof text);
        commit.text = text;
    }
    KFL_STEP("recover.before_commit");
    r = kfl__catalog_change_run(partition->core->catalog, recover_run_commit, &commit);
    KFL_STEP("recover.committed");
    if (r == 0) {
        struct kfl__partition_row filled = *row;
        filled.durable_segment = tail.last_segment;
        filled.durable_place = (int64_t)tail.last_place;
        r = recover_finish_fill(partition, &filled, &active, commit.end_offset, commit.epoch);
        kfl__segments_discard(partition, commit.trash, commit.trash_count);
    } else if (commit.copy != NULL) {
        kfl__segments_discard(partition, &copy.row.segment_id, 1);
    }
out:
    kfl__segment_release(copy.segment);
    kfl__tail_release(&tail);
    return r;
}

int kfl__partition_fill(struct kfl__partition *partition)
{
    struct recover_look look = {.partition = partition};
    struct kfl__segment_row *rows = NULL;
    int32_t count = 0;
    int r = kfl__catalog_look(partition->core->catalog, recover_get_row, &look);
    if (r < 0)
        return r;
    r = kfl__segments_rows(partition, &rows, &count);
    if (r < 0)
        return r;
    r = (look.row.flags & KFL_PARTITION_CLEAN) != 0 || count == 0
            ? recover_fill_clean(partition, &look.row, rows, count)
        : partition->core->read_only ? recover_fill_to_read(partition, &look.row, rows, count)
            : recover_fill_torn(partition, &look.row, rows, count);
    kfl__free(rows);
    return r;
}

int kfl__partition_ready(struct kfl__partition *partition)
{
    if (KFL_LIKELY(atomic_load_explicit(&partition->slot->ready, memory_order_acquire) != 0))
        return 0;
    int r = kfl__partition_prepare_lock(partition, -1);
    if (r < 0)
        return r;
    if (atomic_load(&partition->slot->ready) == 0)
        r = kfl__partition_fill(partition);
    kfl__partition_prepare_unlock(partition);
    return r;
}

/* ---- the tail of the dead, in the same boot ---- */

static int recover_replace(struct kfl__partition *partition, uint64_t word, int64_t end)
{
    struct kfl__slot *slot = partition->slot;
    uint64_t durable;
    struct recover_look look = {.partition = partition};
    struct kfl__segment_row *rows = NULL;
    struct recover_copy copy = {0};
    struct recover_active active;
    struct kfl__tail tail = {0};
    char text[256];
    int32_t count = 0;
    int64_t began = kfl__clock_steady_ns();

    kfl__slot_durable(slot, &durable, &tail.durable_offset);
    int r = kfl__catalog_look(partition->core->catalog, recover_get_row, &look);
    if (r == 0)
        r = kfl__segments_rows(partition, &rows, &count);
    for (int32_t i = 0; r == 0 && i < count; i++)
        if ((uint32_t)rows[i].segment_id == kfl__word_ordinal(durable))
            tail.durable_segment = rows[i].segment_id;
    tail.durable_place = kfl__word_place(durable);
    for (int32_t i = 0; r == 0 && i < count; i++)
        if (rows[i].segment_id == atomic_load(&slot->active.id) && rows[i].base_offset < 0)
            rows[i].base_offset = atomic_load(&slot->active_base_offset);
    if (r == 0)
        r = kfl__tail_walk(partition, rows, count, word, &tail);
    if (r < 0)
        goto out;
    if (tail.end_offset != end || tail.damaged) {
        r = kfl__fail(KFL_E_CORRUPT, "partition %s/%d: what is published up to offset %lld can be verified up to %lld only",
                      partition->topic->name, partition->number, (long long)end, (long long)tail.end_offset);
        goto out;
    }
    struct recover_commit commit = {
        .partition = partition,
        .tail = &tail,
        .copy = &copy,
        .rows = rows,
        .row_count = count,
        .epoch = atomic_load(&slot->writer_epoch) + 1,
        .end_offset = end,
        .text = text,
    };
    r = recover_make_copy(partition, &tail, commit.epoch, &copy);
    if (r < 0)
        goto out;
    recover_tell(&tail, kfl__clock_steady_ns() - began, end, text, sizeof text);
    r = kfl__catalog_change_run(partition->core->catalog, recover_run_commit, &commit);
    KFL_STEP("replace.committed");
    if (r < 0) {
        kfl__segments_discard(partition, &copy.row.segment_id, 1);
        goto out;
    }
    recover_active_of_copy(&copy, &active);
    r = kfl__partition_lock(partition, -1);
    if (r < 0)
        goto out;
    /* First the version: who sees the new word then sees that the list of files is another. */
    atomic_fetch_add(&slot->manifest_version, 1);
    recover_install(slot, &active, end, commit.epoch);
    /* What was prepared went with the rest: the files of a chain of appends have rising ids. */
    atomic_store(&slot->next.id, 0);
    kfl__slot_set_durable(slot, atomic_load(&slot->published), end);
    atomic_store(&slot->noted_offset, end);
    atomic_store(&slot->life, atomic_load(&partition->core->shared->life));
    kfl__partition_unlock(partition);
    atomic_fetch_add(&slot->durable_seq, 1);
    kfl__wake(&slot->durable_seq, INT32_MAX);
    kfl__notify_raise(partition->core, slot);
    kfl__segments_discard(partition, commit.trash, commit.trash_count);
out:
    kfl__segment_release(copy.segment);
    kfl__tail_release(&tail);
    kfl__free(rows);
    return r;
}

int kfl__partition_replace_tail(struct kfl__partition *partition)
{
    struct kfl__slot *slot = partition->slot;
    uint64_t word;
    int64_t end;
    int r = kfl__partition_ready(partition);
    if (r < 0)
        return r;
    r = kfl__partition_prepare_lock(partition, -1);
    if (r < 0)
        return r;
    uint32_t life = atomic_load(&partition->core->shared->life);
    if (atomic_load(&slot->suspect) == 0 && atomic_load(&slot->life) == life)
        goto out; /* somebody else was first */
    if (atomic_load(&slot->failed) != 0 && atomic_load(&slot->life) == life) {
        r = kfl__sync_fail_again(partition); /* while those live who may have built on it */
        goto out;
    }
    /* From here on every append turns round at the mark; one that is under way is waited for. */
    atomic_store(&slot->suspect, 1);
    r = kfl__partition_lock(partition, -1);
    if (r < 0)
        goto out;
    kfl__partition_unlock(partition);
    kfl__partition_tail(partition, &word, &end);
    if (end == atomic_load(&slot->durable_offset) && atomic_load(&slot->sync_target) < 0) {
        atomic_store(&slot->failed, 0);
        atomic_store(&slot->life, life);
        atomic_store(&slot->suspect, 0);
    } else {
        r = recover_replace(partition, word, end);
    }
out:
    kfl__partition_prepare_unlock(partition);
    return r;
}
