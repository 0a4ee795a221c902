/* SPDX-License-Identifier: MIT */
/*
 * The files that compaction reads.
 *
 * Only what is durable may destroy (R9). To learn keys destroys nothing, so a pass begins with files that are full
 * but not durable yet, while the helper syncs them; before the first record is sifted the sync is waited for, the
 * files' rows are completed, and they have to be the files that were learned. A sync that fails ends the run with
 * nothing replaced; a tail that was mended meanwhile lies in other files, and the pass begins anew. A swap looks
 * once more, in its transaction, that all it takes away are sealed, which rows become behind the sync alone.
 */
#include "engine/compact_inputs.h"

#include "base/file.h"
#include "base/map.h"
#include "base/memory.h"
#include "engine/janitor.h"
#include "engine/segments.h"
#include "engine/topics.h"

/* All full ones are sealed. */
static int rows_sealed(struct kfl__partition *partition, struct kfl__compact_rows *out_rows)
{
    out_rows->ahead = false;
    int r = kfl__partition_complete_rows(partition);
    return r < 0 ? r : kfl__segments_in_order(partition, &out_rows->rows, &out_rows->count, NULL);
}

int kfl__compact_rows_as_sealed(struct kfl__partition *partition, struct kfl__segment_row *rows,
                                int32_t count, int64_t active)
{
    for (int32_t i = 0; i < count; i++) {
        if (rows[i].state != KFL_SEGMENT_ROW_LIVE || rows[i].segment_id == active)
            continue;
        int r = kfl__partition_remember(partition, &rows[i]);
        if (r != 1)
            return r;
        rows[i].state = KFL_SEGMENT_ROW_SEALED;
    }
    return 1;
}

int kfl__compact_rows(struct kfl__partition *partition, bool may_be_ahead,
                      struct kfl__compact_rows *out_rows)
{
    int64_t active, base;
    /* Who died in a roll has left it half done: the lock mends that. */
    int r = kfl__partition_lock(partition, -1);
    if (r < 0)
        return r;
    kfl__partition_unlock(partition);
    kfl__partition_active(partition, &active, &base);
    if (!may_be_ahead || active == 0 || atomic_load(&partition->slot->durable_offset) >= base)
        return rows_sealed(partition, out_rows);
    kfl__janitor_sync(partition);
    r = kfl__segments_in_order(partition, &out_rows->rows, &out_rows->count, &active);
    if (r < 0)
        return r;
    out_rows->ahead = true;
    r = kfl__compact_rows_as_sealed(partition, out_rows->rows, out_rows->count, active);
    if (r == 1)
        return 0;
    kfl__free(out_rows->rows);
    out_rows->rows = NULL;
    return r < 0 ? r : rows_sealed(partition, out_rows);
}

static bool inputs_same(const struct kfl__segment_row *learned, const struct kfl__segment_row *now)
{
    return now->state == KFL_SEGMENT_ROW_SEALED && now->segment_id == learned->segment_id &&
           now->base_offset == learned->base_offset && now->end_offset == learned->end_offset &&
           now->used == learned->used;
}

int kfl__compact_inputs_settle(struct kfl__partition *partition, struct kfl__sieve_input *inputs,
                               int32_t count, bool *out_lost)
{
    struct kfl__compact_rows now;
    int32_t found = 0;
    int r = rows_sealed(partition, &now);
    if (r < 0)
        return r;
    for (int32_t i = 0; i < now.count && found < count; i++)
        if (inputs_same(&inputs[found].row, &now.rows[i]))
            inputs[found++].row = now.rows[i];
    kfl__free(now.rows);
    *out_lost = found < count;
    return 0;
}

int kfl__compact_input_open(struct kfl__partition *partition, struct kfl__sieve_input *input,
                            uint64_t version, bool *out_lost)
{
    struct kfl__segment_expect expect = {partition->core->store_id, partition->topic->id,
                                         (uint32_t)partition->number};
    int directory = -1;
    if (input->segment != NULL)
        return 0;
    int r = kfl__partition_directory(partition, false, &directory);
    if (r == 0) {
        r = kfl__segment_open(directory, input->row.segment_id, &expect, KFL_SEGMENT_READ,
                              &input->segment);
        kfl__file_close(directory);
    }
    if (r == KFL_FILE_MISSING && atomic_load(&partition->slot->manifest_version) != version) {
        *out_lost = true;
        return 0;
    }
    if (r == KFL_FILE_MISSING) {
        kfl__fail(KFL_E_CORRUPT, "segment %lld of %s/%d is missing",
                  (long long)input->row.segment_id, partition->topic->name, partition->number);
        r = KFL_E_CORRUPT;
    }
    return r == KFL_E_CORRUPT ? KFL_SIEVE_DAMAGED : r;
}

void kfl__compact_input_cool(const struct kfl__sieve_input *input)
{
    kfl__map_cold(input->segment->bytes, (size_t)input->segment->size);
}
