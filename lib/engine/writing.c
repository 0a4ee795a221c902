/* SPDX-License-Identifier: MIT */
/*
 * The files that this process writes of a partition: the one that takes appends, the prepared one behind it, and those that
 * were left behind but are not durable yet. All of it belongs to the holder of the append lock.
 */
#include "engine/partition.h"

#include "base/file.h"
#include "base/memory.h"
#include "engine/topics.h"

#define load_relaxed(word) atomic_load_explicit(word, memory_order_relaxed)
#define store_relaxed(word, value) atomic_store_explicit(word, value, memory_order_relaxed)
#define store_release(word, value) atomic_store_explicit(word, value, memory_order_release)

struct kfl__segment *kfl__partition_written(struct kfl__partition *partition, uint32_t ordinal)
{
    if (partition->writing != NULL && (uint32_t)partition->writing->id == ordinal)
        return partition->writing;
    if (partition->writing_next != NULL && (uint32_t)partition->writing_next->id == ordinal)
        return partition->writing_next;
    return NULL;
}

/* So many that are durable are remembered until their rows are complete; more may have to be walked for that. */
#define WRITING_REMEMBERED 64

/* Durable, and nobody will ask any more what it was when it was left. */
static bool partition_has_done_with(const struct kfl__partition *partition, const struct kfl__segment *older)
{
    uint32_t durable = kfl__word_ordinal(load_relaxed(&partition->slot->durable_word));
    uint32_t sealed_below = load_relaxed(&partition->sealed_below);
    return (int32_t)(durable - (uint32_t)older->id) > 0 &&
           ((int32_t)(sealed_below - (uint32_t)older->id) > 0 || partition->kept_count > WRITING_REMEMBERED);
}

/* Keep a file's descriptor until its bytes are durable (R7); those that are by now are let go. */
static void partition_keep(struct kfl__partition *partition, struct kfl__segment *segment)
{
    struct kfl__segment **at = &partition->kept;
    while (*at != NULL) {
        struct kfl__segment *older = *at;
        if (partition_has_done_with(partition, older)) {
            *at = older->kept_next;
            partition->kept_count--;
            kfl__segment_close_descriptor(older);
            kfl__segment_release(older);
        } else {
            at = &older->kept_next;
        }
    }
    segment->kept_next = NULL;
    *at = segment;
    partition->kept_count++;
}

void kfl__partition_drop_kept(struct kfl__partition *partition)
{
    while (partition->kept != NULL) {
        struct kfl__segment *oldest = partition->kept;
        partition->kept = oldest->kept_next;
        kfl__segment_release(oldest);
    }
    partition->kept_count = 0;
}

/* Holding the append lock: `segment` (a share goes over) is what this process writes from now on. */
void kfl__partition_write_to(struct kfl__partition *partition, struct kfl__segment *segment)
{
    if (partition->writing != NULL)
        partition_keep(partition, partition->writing);
    partition->writing = segment;
    atomic_store(&partition->holds_files, 1);
}

KFL_UNCHECKED void kfl__partition_rest(struct kfl__partition *partition)
{
    struct kfl__slot *slot = partition->slot;
    struct kfl__segment *writing = NULL, *next = NULL, *syncing = NULL;
    if (kfl__partition_take(partition, kfl__lendable_trylock(&slot->append, KFL_RANK_APPEND)) < 0)
        return;
    bool durable = atomic_load(&slot->durable_offset) >= kfl__slot_end(slot);
    if (durable) {
        writing = partition->writing;
        next = partition->writing_next;
        partition->writing = partition->writing_next = NULL;
        kfl__partition_drop_kept(partition);
        atomic_store(&partition->holds_files, 0);
    }
    kfl__partition_unlock(partition);
    int r = durable ? kfl__robust_trylock(&slot->sync, KFL_RANK_SYNC) : KFL_LOCK_BUSY;
    if (r == KFL_LOCK_OWNER_DIED)
        kfl__robust_mended(&slot->sync); /* what it noted stands */
    if (r == 0 || r == KFL_LOCK_OWNER_DIED) {
        syncing = partition->syncing;
        partition->syncing = NULL;
        kfl__robust_unlock(&slot->sync, KFL_RANK_SYNC);
    } else {
        atomic_store(&partition->holds_files, 1); /* perhaps that one */
    }
    if (writing != NULL)
        kfl__partition_unshare(partition, writing);
    kfl__segment_release(writing);
    kfl__segment_release(next);
    kfl__segment_release(syncing);
}

/* Open the file with this id for writing, in place of what is written now. */
int kfl__partition_open_active(struct kfl__partition *partition, int64_t segment_id)
{
    struct kfl__core *core = partition->core;
    struct kfl__segment_expect expect = {core->store_id, partition->topic->id,
                                         (uint32_t)partition->number};
    struct kfl__segment *segment = NULL;
    int directory = -1;
    int r = kfl__partition_directory(partition, false, &directory);
    if (r == 0) {
        r = kfl__segment_open(directory, segment_id, &expect,
                              core->by_file ? KFL_SEGMENT_WRITE_BY_FILE : KFL_SEGMENT_WRITE,
                              &segment);
        kfl__file_close(directory);
    }
    if (r == KFL_FILE_MISSING)
        return kfl__fail(KFL_E_CORRUPT,
                         "%s/topics/%llu/%d: segment %lld, which takes the appends, is missing",
                         core->path, (unsigned long long)partition->topic->id, partition->number,
                         (long long)segment_id);
    if (r < 0)
        return r;
    if ((uint32_t)load_relaxed(&partition->slot->next.id) == (uint32_t)segment_id) {
        kfl__segment_release(partition->writing_next);
        partition->writing_next = segment;
        atomic_store(&partition->holds_files, 1);
    } else {
        kfl__partition_write_to(partition, segment);
    }
    return 0;
}

/* Not holding the lock: open what the slot says is active (or prepared), then look again. */
int kfl__partition_open_for_append(struct kfl__partition *partition, bool next, int64_t deadline_ns)
{
    struct kfl__core *core = partition->core;
    struct kfl__slot *slot = partition->slot;
    struct kfl__segment_expect expect = {core->store_id, partition->topic->id,
                                         (uint32_t)partition->number};
    struct kfl__segment *segment = NULL;
    int directory = -1;
    int64_t id =
        atomic_load_explicit(next ? &slot->next.id : &slot->active.id, memory_order_acquire);
    if (id == 0)
        return 0;
    int r = kfl__partition_lock(partition, deadline_ns);
    if (r < 0)
        return r;
    if (load_relaxed(&slot->active.id) == id && partition->writing_next != NULL &&
        partition->writing_next->id == id) {
        /* Another process has rolled to what is prepared and open here. */
        struct kfl__segment *ready = partition->writing_next;
        partition->writing_next = NULL;
        kfl__segment_touch_from(ready, kfl__word_place(load_relaxed(&slot->published)));
        kfl__partition_write_to(partition, ready);
    }
    struct kfl__segment *written =
        load_relaxed(&slot->active.id) == id ? partition->writing : partition->writing_next;
    bool open = written != NULL && written->id == id;
    kfl__partition_unlock(partition);
    if (open)
        return 0; /* whoever prepared it was this process, a moment ago */
    r = kfl__partition_directory(partition, false, &directory);
    if (r == 0) {
        r = kfl__segment_open(directory, id, &expect,
                              core->by_file ? KFL_SEGMENT_WRITE_BY_FILE : KFL_SEGMENT_WRITE,
                              &segment);
        kfl__file_close(directory);
    }
    if (r == KFL_FILE_MISSING) {
        if (atomic_load(next ? &slot->next.id : &slot->active.id) != id)
            return 0;
        return kfl__fail(
            KFL_E_CORRUPT, "%s/topics/%llu/%d: segment %lld, which takes the appends, is missing",
            core->path, (unsigned long long)partition->topic->id, partition->number, (long long)id);
    }
    if (r < 0)
        return r;
    r = kfl__partition_lock(partition, deadline_ns);
    if (r < 0) {
        kfl__segment_release(segment);
        return r;
    }
    if (load_relaxed(&slot->active.id) == id &&
        (partition->writing == NULL || partition->writing->id != id)) {
        kfl__segment_touch_from(segment, kfl__word_place(load_relaxed(&slot->published)));
        kfl__partition_write_to(partition, segment);
        segment = NULL;
    } else if (load_relaxed(&slot->next.id) == id &&
               (partition->writing_next == NULL || partition->writing_next->id != id)) {
        kfl__segment_release(partition->writing_next);
        partition->writing_next = segment;
        atomic_store(&partition->holds_files, 1);
        segment = NULL;
    }
    kfl__partition_unlock(partition);
    kfl__segment_release(segment);
    return 0;
}

/* The prepared file is damaged: with a size of 0 it is too small for any batch, and another one is made. */
int kfl__partition_spurn_next(struct kfl__partition *partition, int64_t segment_id,
                              int64_t deadline_ns)
{
    int r = kfl__partition_lock(partition, deadline_ns);
    if (r < 0)
        return r;
    if (load_relaxed(&partition->slot->next.id) == segment_id)
        store_relaxed(&partition->slot->next.size, 0);
    kfl__partition_unlock(partition);
    return 0;
}
