/* SPDX-License-Identifier: MIT */
/*
 * Leaving a store clean.
 *
 * The last process to leave brings everything down and says so in each partition's row: the next opening,
 * also after a reboot, walks nothing and gives out the very next offset. The floor is lowered to the end
 * with it, so the slot must ask for a new one before it gives an offset again.
 */
#include "engine/clean.h"

#include "base/memory.h"
#include "base/wait.h"
#include "catalog/segments.h"
#include "catalog/topics.h"
#include "engine/segments.h"
#include "engine/sync.h"
#include "engine/topics.h"

struct clean_row {
    uint64_t topic_id;
    int32_t partition;
    int64_t end_offset;
    uint64_t word;
    uint32_t writer_epoch;
    int64_t active_id, active_base;
    int64_t next_id; /* prepared and not used: it goes, since who opens after a reboot begins a new one */
    struct kfl__topic *topic; /* a share */
    struct kfl__partition *of;
};

struct clean_note {
    struct clean_row *rows;
    int32_t count, room;
};

/* The partition of a slot that has something to be brought down; NULL and 0 when there is none any more. */
static int clean_find(struct kfl__core *core, struct kfl__slot *slot, struct kfl__topic **out_topic,
                      struct kfl__partition **out_partition)
{
    *out_topic = NULL;
    int r = kfl__topic_find_id(core, atomic_load(&slot->topic_id), out_topic);
    if (r == 0)
        r = kfl__topic_partition(*out_topic, (int32_t)atomic_load(&slot->partition), out_partition);
    if (r == 0)
        return 1;
    kfl__topic_release(*out_topic);
    *out_topic = NULL;
    return r == KFL_E_UNKNOWN_TOPIC_OR_PARTITION ? 0 : r;
}

static bool clean_in_use(const struct kfl__slot *slot)
{
    return atomic_load(&((struct kfl__slot *)(uintptr_t)slot)->topic_id) != 0 &&
           atomic_load(&((struct kfl__slot *)(uintptr_t)slot)->ready) == KFL_SLOT_READY &&
           atomic_load(&((struct kfl__slot *)(uintptr_t)slot)->deleted) == 0;
}

/* There to be read only, until there is room to copy what is in doubt (R23). */
static bool clean_is_to_be_mended(struct kfl__slot *slot)
{
    return atomic_load(&slot->topic_id) != 0 && atomic_load(&slot->ready) == KFL_SLOT_TO_READ && atomic_load(&slot->deleted) == 0;
}

/*
 * A tail in doubt that there is no room to copy (R23) waits for who appends next, and all of it can be read: that is no failure of
 * a process that has appended nothing there and may have come to read only.
 */
static int clean_answer(struct kfl__partition *partition, int r)
{
    struct kfl__words words;
    if (r != KFL_E_NO_SPACE || partition == NULL)
        return r;
    kfl__error_save(&words);
    bool ours = true;
    if (kfl__partition_lock(partition, kfl__clock_deadline_ns(1000)) == 0) {
        ours = partition->writing != NULL || partition->kept != NULL;
        kfl__partition_unlock(partition);
    }
    kfl__error_restore(&words);
    return ours ? r : 0;
}

static int clean_sync_slot(struct kfl__core *core, struct kfl__slot *slot, int64_t deadline_ns)
{
    struct kfl__partition *partition;
    struct kfl__topic *topic;
    int64_t end = kfl__slot_end(slot);
    if ((!clean_in_use(slot) && !clean_is_to_be_mended(slot)) || atomic_load(&slot->durable_offset) >= end)
        return 0;
    int r = clean_find(core, slot, &topic, &partition);
    if (r > 0)
        r = kfl__sync_wait(partition, end, deadline_ns);
    kfl__topic_release(topic);
    return r == KFL_E_UNKNOWN_TOPIC_OR_PARTITION ? 0 : r; /* deleted meanwhile: there is nothing to bring down */
}

int kfl__clean_sync_until(struct kfl__core *core, int64_t deadline_ns)
{
    uint32_t count = atomic_load(&core->shared->slot_count);
    int first = 0;
    for (uint32_t n = 0; n < count; n++) {
        struct kfl__slot *slot;
        int r = kfl__state_slot(core->state, n, &slot);
        if (r == 0)
            r = clean_sync_slot(core, slot, deadline_ns);
        /* One failed partition must not keep the others from the disk. */
        if (r < 0 && first == 0)
            first = r;
        if (r == KFL_E_TIMEOUT)
            break;
    }
    return first;
}

/* What this process remembers of the files it left goes into their rows; later somebody would have to walk them. */
static void clean_seal(struct kfl__partition *partition)
{
    struct kfl__words words;
    if (partition->kept_count == 0)
        return;
    kfl__error_save(&words);
    while (kfl__partition_seal(partition) > 0)
        ;
    kfl__error_restore(&words);
}

static int clean_sync_topic(struct kfl__topic *topic, void *context)
{
    const struct kfl__topic_shape *shape = kfl__topic_shape(topic);
    int *first = context;
    for (int32_t i = 0; i < shape->partition_count; i++) {
        struct kfl__partition *partition =
            atomic_load_explicit(&((struct kfl__topic_shape *)(uintptr_t)shape)->partitions[i], memory_order_acquire);
        if (partition == NULL || !clean_in_use(partition->slot))
            continue;
        int64_t end = kfl__slot_end(partition->slot);
        int r = atomic_load(&partition->slot->durable_offset) >= end ? 0 : kfl__sync_wait(partition, end, kfl__clock_deadline_ns(60000));
        if (r == KFL_E_UNKNOWN_TOPIC_OR_PARTITION)
            r = 0;
        else if (r == 0)
            clean_seal(partition);
        r = clean_answer(partition, r);
        if (r < 0 && *first == 0)
            *first = r;
    }
    return 0;
}

int kfl__clean_sync(struct kfl__core *core)
{
    int first = 0;
    (void)kfl__topics_visit_open(core, clean_sync_topic, &first);
    return first;
}

/* ---- the note ---- */

static int clean_put_row(struct kfl__catalog_txn *txn, const struct clean_row *clean)
{
    struct kfl__partition_row row;
    int r = kfl__partition_get(txn, clean->topic_id, clean->partition, &row);
    if (r == KFL_E_UNKNOWN_TOPIC_OR_PARTITION)
        return 0;
    if (r < 0)
        return r;
    row.durable_offset = clean->end_offset;
    row.offset_floor = clean->end_offset;
    row.durable_place = (int64_t)kfl__word_place(clean->word);
    if (clean->active_id != 0) {
        struct kfl__segment_row segment;
        row.durable_segment = clean->active_id;
        r = kfl__segments_get(txn, clean->topic_id, clean->partition, clean->active_id, &segment);
        if (r == 0 && segment.state == KFL_SEGMENT_ROW_READY) {
            segment.state = KFL_SEGMENT_ROW_LIVE;
            segment.base_offset = clean->active_base;
            r = kfl__segments_put(txn, clean->topic_id, clean->partition, &segment);
        }
        if (r < 0)
            return r;
    }
    if (clean->next_id != 0) {
        struct kfl__segment_row segment;
        r = kfl__segments_get(txn, clean->topic_id, clean->partition, clean->next_id, &segment);
        segment.state = KFL_SEGMENT_ROW_TRASH;
        if (r == 0)
            r = kfl__segments_put(txn, clean->topic_id, clean->partition, &segment);
        if (r < 0 && r != KFL_E_NOT_FOUND)
            return r;
    }
    if (row.writer_epoch < clean->writer_epoch)
        row.writer_epoch = clean->writer_epoch;
    row.flags |= KFL_PARTITION_CLEAN;
    return kfl__partition_put(txn, clean->topic_id, clean->partition, &row);
}

static int clean_put(struct kfl__catalog_txn *txn, void *context)
{
    const struct clean_note *note = context;
    struct kfl__catalog_store store;
    int r = 0;
    for (int32_t i = 0; r == 0 && i < note->count; i++)
        r = clean_put_row(txn, &note->rows[i]);
    if (r == 0)
        r = kfl__catalog_store_get(txn, &store);
    if (r < 0)
        return r;
    store.clean = true;
    return kfl__catalog_store_put(txn, &store);
}

/* Nobody else lives and no append is under way here: the words stand still. */
static int clean_add(struct clean_note *note, struct kfl__partition *partition)
{
    struct kfl__slot *slot = partition->slot;
    if (note->count == note->room) {
        int32_t room = note->room == 0 ? 16 : note->room * 2;
        struct clean_row *grown = kfl__realloc(note->rows, (size_t)room * sizeof *grown);
        if (grown == NULL)
            return kfl__fail(KFL_E_NOMEM, "the clean note: out of memory");
        note->rows = grown;
        note->room = room;
    }
    struct clean_row *row = &note->rows[note->count];
    *row = (struct clean_row){
        .topic_id = partition->topic->id, .partition = partition->number, .topic = partition->topic, .of = partition};
    int r = kfl__partition_lock(partition, kfl__clock_deadline_ns(1000));
    if (r < 0)
        return r;
    row->end_offset = atomic_load(&slot->end_offset);
    row->word = atomic_load(&slot->published);
    row->writer_epoch = atomic_load(&slot->writer_epoch);
    row->active_id = atomic_load(&slot->active.id);
    row->active_base = atomic_load(&slot->active_base_offset);
    if (row->word == 0)
        row->word = atomic_load(&slot->durable_word);
    bool all = atomic_load(&slot->durable_offset) == row->end_offset && atomic_load(&slot->suspect) == 0 &&
               atomic_load(&slot->failed) == 0;
    if (all) {
        atomic_store(&slot->offset_floor, row->end_offset);
        atomic_store(&slot->floor_raised_at, row->end_offset);
        atomic_store(&slot->noted_offset, row->end_offset);
        row->next_id = atomic_exchange(&slot->next.id, 0);
        kfl__topic_acquire(row->topic);
        note->count++;
    }
    kfl__partition_unlock(partition);
    return 0;
}

int kfl__clean_note(struct kfl__core *core)
{
    struct clean_note note = {0};
    uint32_t count = atomic_load(&core->shared->slot_count);
    int first = 0;
    for (uint32_t n = 0; n < count; n++) {
        struct kfl__partition *partition;
        struct kfl__topic *topic;
        struct kfl__slot *slot;
        if (kfl__state_slot(core->state, n, &slot) < 0)
            break;
        /* With the floor at the end nothing was given since the last clean note. */
        int64_t end = kfl__slot_end(slot);
        if (!clean_in_use(slot) ||
            (atomic_load(&slot->offset_floor) == end && atomic_load(&slot->durable_offset) == end))
            continue;
        int r = clean_find(core, slot, &topic, &partition);
        if (r > 0)
            r = kfl__sync_wait(partition, end, kfl__clock_deadline_ns(60000));
        if (r == 0 && topic != NULL)
            r = clean_add(&note, partition);
        else if (topic != NULL)
            r = clean_answer(partition, r);
        kfl__topic_release(topic);
        if (r < 0 && first == 0)
            first = r;
    }
    int r = note.count > 0 ? kfl__catalog_change_run(core->catalog, clean_put, &note) : 0;
    for (int32_t i = 0; i < note.count; i++) {
        if (r == 0 && note.rows[i].next_id != 0)
            kfl__segments_discard(note.rows[i].of, &note.rows[i].next_id, 1);
        kfl__topic_release(note.rows[i].topic);
    }
    kfl__free(note.rows);
    return first < 0 ? first : r;
}

static int clean_wake_topic(struct kfl__topic *topic, void *context)
{
    const struct kfl__topic_shape *shape = kfl__topic_shape(topic);
    (void)context;
    for (int32_t i = 0; i < shape->partition_count; i++) {
        struct kfl__partition *partition =
            atomic_load_explicit(&((struct kfl__topic_shape *)(uintptr_t)shape)->partitions[i], memory_order_acquire);
        if (partition != NULL)
            kfl__wake(&partition->slot->durable_seq, INT32_MAX);
    }
    return 0;
}

void kfl__clean_wake_waiters(struct kfl__core *core)
{
    (void)kfl__topics_visit_open(core, clean_wake_topic, NULL);
}
