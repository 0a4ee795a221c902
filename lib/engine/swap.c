/* SPDX-License-Identifier: MIT */
/*
 * One catalog transaction puts new files into the place of old ones, if the old ones are all still there; the slot's
 * version then tells every process to look again, and the old files are unlinked.
 */
#include "engine/swap.h"

#include "base/fault.h"
#include "base/memory.h"
#include "engine/segments.h"
#include "engine/topics.h"

static int swap_check_rows(struct kfl__catalog_txn *txn, struct kfl__swap *swap)
{
    const struct kfl__partition *partition = swap->sieve->partition;
    const struct kfl__rewrite *rewrite = swap->rewrite;
    for (int32_t i = swap->from - swap->to; i < rewrite->done_count && !swap->lost; i++) {
        bool output = i >= 0;
        int64_t id =
            output ? rewrite->done[i].segment_id : swap->sieve->inputs[swap->to + i].row.segment_id;
        struct kfl__segment_row row;
        int r = kfl__segments_get(txn, partition->topic->id, partition->number, id, &row);
        if (r < 0 && r != KFL_E_NOT_FOUND)
            return r;
        swap->lost =
            r < 0 || row.state != (output ? KFL_SEGMENT_ROW_MAKING : KFL_SEGMENT_ROW_SEALED);
    }
    return 0;
}

static int swap_put_rows(struct kfl__catalog_txn *txn, void *context)
{
    struct kfl__swap *swap = context;
    const struct kfl__partition *partition = swap->sieve->partition;
    const struct kfl__rewrite *rewrite = swap->rewrite;
    swap->lost = false;
    int r = swap_check_rows(txn, swap);
    if (swap->lost)
        return 0;
    for (int32_t i = swap->from; r == 0 && i < swap->to; i++) {
        struct kfl__segment_row old = swap->sieve->inputs[i].row;
        old.state = KFL_SEGMENT_ROW_TRASH;
        r = kfl__segments_put(txn, partition->topic->id, partition->number, &old);
    }
    for (int32_t i = 0; r == 0 && i < rewrite->done_count; i++) {
        struct kfl__segment_row made = rewrite->done[i];
        made.clean_offset =
            made.end_offset < swap->sieve->map_end ? made.end_offset : swap->sieve->map_end;
        r = kfl__segments_put(txn, partition->topic->id, partition->number, &made);
    }
    return r;
}

static void swap_count(const struct kfl__swap *swap)
{
    struct kfl__compact_done *done = swap->done;
    for (int32_t i = swap->from; i < swap->to; i++)
        done->freed_bytes += swap->sieve->inputs[i].row.used;
    for (int32_t i = 0; i < swap->rewrite->done_count; i++)
        done->freed_bytes -= swap->rewrite->done[i].used;
    done->segments += swap->to - swap->from;
}

/* Holding the prepare lock: the new files are in use, and the old ones gone. */
static int swap_locked(struct kfl__swap *swap)
{
    struct kfl__partition *partition = swap->sieve->partition;
    int32_t count = swap->to - swap->from;
    int64_t *ids = kfl__alloc_array((size_t)count, sizeof *ids);
    if (ids == NULL)
        return kfl__fail(KFL_E_NOMEM, "a list of %d segments: out of memory", count);
    for (int32_t i = 0; i < count; i++)
        ids[i] = swap->sieve->inputs[swap->from + i].row.segment_id;
    KFL_STEP("compact.before_commit");
    int r = kfl__catalog_change_run(partition->core->catalog, swap_put_rows, swap);
    KFL_STEP("compact.committed");
    if (r == 0 && !swap->lost) {
        swap_count(swap);
        swap->rewrite->done_count = 0; /* not ours to throw away any more */
        kfl__partition_yield_files(partition, ids, count);
        r = kfl__partition_lock(partition, -1);
        if (r == 0) {
            atomic_fetch_add(&partition->slot->manifest_version, 1);
            kfl__partition_unlock(partition);
            KFL_STEP("compact.told");
            kfl__segments_discard(partition, ids, count);
        }
    }
    kfl__free(ids);
    return r;
}

int kfl__swap(struct kfl__swap *swap)
{
    int r = kfl__partition_prepare_lock(swap->sieve->partition, -1);
    if (r < 0)
        return r;
    r = swap_locked(swap);
    kfl__partition_prepare_unlock(swap->sieve->partition);
    return r;
}
