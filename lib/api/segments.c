/* SPDX-License-Identifier: MIT */
/*
 * The files of a partition, as callers see them.
 *
 * A sealed file's numbers stand in the catalog, the active one's in the slot. A file that is full
 * but not yet sealed is known by what its roll noted; where that is gone the file is read.
 */
#include "api/manifest.h"
#include "api/store.h"
#include "base/file.h"
#include "base/memory.h"
#include "log/scan.h"

struct kfl_segments {
    kfl_segment *rows; /* paths are owned */
    int32_t count;
};

/* What stands in the file, up to `limit`. One that cannot be read leaves the row as it is. */
static int segments_measure(kfl_segment *segment, uint64_t limit)
{
    struct kfl__batch_header header;
    struct kfl__scan scan;
    int r = kfl__scan_open(-1, segment->path, &scan);
    if (r != 0)
        return r == KFL_E_NOMEM ? r : 0;
    kfl__scan_begin(&scan, sizeof scan.header, limit, 0);
    while ((r = kfl__scan_step(&scan, &header)) == KFL_SCAN_BATCH)
        if (header.max_timestamp_ms > segment->max_timestamp_ms)
            segment->max_timestamp_ms = header.max_timestamp_ms;
    segment->used_bytes = (int64_t)scan.place;
    if (segment->end_offset < scan.next_offset)
        segment->end_offset = scan.next_offset;
    kfl__scan_close(&scan);
    return r < 0 ? r : 0;
}

/* 1 when the slot still knows what the file held as it was left behind. */
static int segments_of_roll(struct kfl__slot *slot, kfl_segment *segment)
{
    struct kfl__slot_rolled *rolled = &slot->rolled[segment->segment_id % KFL_SLOT_ROLLED];
    if (atomic_load(&rolled->id) != segment->segment_id)
        return 0;
    int64_t end_offset = atomic_load(&rolled->end_offset);
    int64_t used = atomic_load(&rolled->used);
    int64_t max_timestamp_ms = atomic_load(&rolled->max_timestamp_ms);
    if (atomic_load(&rolled->id) != segment->segment_id)
        return 0;
    segment->end_offset = end_offset;
    segment->used_bytes = used;
    segment->max_timestamp_ms = max_timestamp_ms;
    return 1;
}

/* One that holds records. */
static int segments_fill(const struct kfl__manifest *manifest, int32_t i, kfl_segment *segment)
{
    const struct kfl__segment_row *row = &manifest->rows[i];
    struct kfl__slot *slot = manifest->slot;
    uint64_t used = 0;
    enum kfl__manifest_extent extent = kfl__manifest_extent(manifest, i, &used);
    segment->base_offset = row->base_offset;
    segment->max_timestamp_ms = row->max_timestamp_ms;
    segment->used_bytes = (int64_t)used;
    if (i == manifest->active) {
        segment->state = KFL_SEGMENT_ACTIVE;
        segment->end_offset = manifest->end_offset;
        if (atomic_load(&slot->active.id) == row->segment_id)
            segment->max_timestamp_ms = atomic_load(&slot->active_max_timestamp_ms);
        return 0;
    }
    segment->end_offset = row->end_offset;
    if (row->end_offset < 0)
        segment->end_offset =
            i + 1 < manifest->count ? manifest->rows[i + 1].base_offset : manifest->end_offset;
    if (extent == KFL_MANIFEST_UNKNOWN) {
        segment->used_bytes = row->size;
        return 0;
    }
    if (extent == KFL_MANIFEST_END_MARK && slot != NULL && segments_of_roll(slot, segment))
        return 0;
    if (extent == KFL_MANIFEST_END_MARK ||
        (row->max_timestamp_ms < 0 && used > sizeof(struct kfl__segment_header)))
        return segments_measure(segment, extent == KFL_MANIFEST_BYTES ? used : (uint64_t)row->size);
    return 0;
}

static int segments_take(const struct kfl__core *core, const struct kfl__topic *topic,
                         int32_t number, const struct kfl__manifest *manifest,
                         kfl_segments *segments)
{
    int32_t count = manifest->count + manifest->prepared;
    segments->rows = kfl__alloc_array((size_t)count + 1, sizeof *segments->rows);
    if (segments->rows == NULL)
        return kfl__fail(KFL_E_NOMEM, "a list of %d segments: out of memory", count);
    for (int32_t i = 0; i < count; i++) {
        const struct kfl__segment_row *row = &manifest->rows[i];
        kfl_segment *segment = &segments->rows[i];
        char *path;
        int r = kfl__manifest_path(core, topic->id, number, row->segment_id, KFL_NAME_LOG, &path);
        if (r < 0)
            return r;
        *segment = (kfl_segment){
            .segment_id = row->segment_id,
            .base_offset = -1,
            .end_offset = -1,
            .used_bytes = (int64_t)sizeof(struct kfl__segment_header),
            .size_bytes = row->size,
            .max_timestamp_ms = -1,
            .state = i < manifest->count ? KFL_SEGMENT_SEALED : KFL_SEGMENT_PREPARED,
            .path = path,
        };
        segments->count++;
        r = i < manifest->count ? segments_fill(manifest, i, segment) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

static int segments_list(kfl_store *store, const char *topic_name, int32_t number,
                         kfl_segments *segments)
{
    struct kfl__partition *partition;
    struct kfl__manifest manifest = {0};
    struct kfl__topic *topic;
    int r = kfl__store_partition(store, topic_name, number, &topic, &partition);
    if (r < 0)
        return r;
    r = kfl__manifest_read(store->core, topic->id, number, &manifest);
    if (r == 0)
        r = segments_take(store->core, topic, number, &manifest, segments);
    kfl__manifest_release(&manifest);
    kfl__topic_release(topic);
    return r;
}

int kfl_segments_list(kfl_store *store, const char *topic, int32_t partition,
                      kfl_segments **out_segments)
{
    int r = kfl__store_check(store);
    if (r == 0 && (topic == NULL || out_segments == NULL))
        r = kfl__fail(KFL_E_INVALID, "kfl_segments_list: topic or out_segments is NULL");
    if (r == 0)
        r = kfl__core_enter(store->core);
    if (r < 0)
        return r;
    kfl_segments *segments = kfl__alloc(sizeof *segments);
    r = segments == NULL ? kfl__fail(KFL_E_NOMEM, "a list of segments: out of memory")
                         : segments_list(store, topic, partition, segments);
    kfl__core_leave(store->core);
    if (r < 0) {
        kfl_segments_release(segments);
        return r;
    }
    *out_segments = segments;
    return 0;
}

int32_t kfl_segments_count(const kfl_segments *segments)
{
    return segments == NULL ? 0 : segments->count;
}

const kfl_segment *kfl_segments_get(const kfl_segments *segments, int32_t index)
{
    return segments == NULL || index < 0 || index >= segments->count ? NULL
                                                                     : &segments->rows[index];
}

void kfl_segments_release(kfl_segments *segments)
{
    if (segments == NULL)
        return;
    for (int32_t i = 0; i < segments->count; i++)
        kfl__free((char *)(uintptr_t)segments->rows[i].path);
    kfl__free(segments->rows);
    kfl__free(segments);
}
