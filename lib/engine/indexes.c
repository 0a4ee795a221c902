/* SPDX-License-Identifier: MIT */
/*
 * Signposts of full segments, made anew where they are lost.
 *
 * Whoever opens a full segment to read it and finds a file of signposts missing or short lays them again, by
 * a walk from header to header that the search for its offset would have cost anyway. It is a favour: where
 * somebody changes the partition's files just now, or nothing can be written, the reader goes on without.
 * Under the prepare lock nobody throws the segment away meanwhile, so no signposts are left behind alone.
 */
#include "engine/indexes.h"

#include "base/file.h"
#include "engine/mend.h"
#include "engine/segments.h"
#include "engine/topics.h"
#include "format/names.h"

/* As a new segment of this size would be made today. */
static struct kfl__segment_plan indexes_plan(const struct kfl__partition *partition, uint64_t size)
{
    const struct kfl__settings *settings = kfl__topic_shape(partition->topic)->settings;
    return (struct kfl__segment_plan){
        .size = size,
        .index_size_max = (uint64_t)settings->segment_index_bytes,
        .index_interval = (uint64_t)settings->index_interval_bytes,
    };
}

bool kfl__indexes_whole(const struct kfl__partition *partition, struct kfl__segment *segment,
                        uint64_t used)
{
    struct kfl__batch_header header;
    uint64_t bad_from, bad_to;
    if (segment->offsets.bytes == NULL || segment->times.bytes == NULL)
        return false;
    struct kfl__segment_plan plan = indexes_plan(partition, segment->size);
    uint32_t count = kfl__index_count_places(&segment->offsets);
    uint64_t last = count == 0 ? 0 : kfl__index_place(&segment->offsets, count - 1);
    if (count == kfl__index_offsets_capacity(&segment->offsets) &&
        segment->offsets.size >= kfl__segment_offsets_size(&plan))
        return true; /* as many as there is room for */
    if (last < used && used - last <= plan.index_interval)
        return true; /* near enough, without a look at pages that nobody has asked for */
    if (last < KFL_SEGMENT_FIRST_PLACE || last + sizeof header > used || used > segment->size ||
        kfl__segment_touch(segment, last, last + sizeof header, &bad_from, &bad_to) != 0 ||
        kfl__batch_peek(segment->bytes, last, used, &header) != 0)
        return used <= KFL_SEGMENT_FIRST_PLACE;
    return kfl__batch_next_place(last, &header) >= used;
}

struct indexes_look {
    struct kfl__partition *partition;
    int64_t segment_id;
    struct kfl__segment_row row;
};

static int indexes_get_row(struct kfl__catalog_txn *txn, void *context)
{
    struct indexes_look *look = context;
    struct kfl__partition *partition = look->partition;
    return kfl__segments_get(txn, partition->topic->id, partition->number, look->segment_id,
                             &look->row);
}

/* A file of at least `size` bytes under this name; an older one that is too small is replaced. */
static int indexes_make_file(int directory, const char *name, uint32_t mode, size_t size)
{
    struct kfl__index index = {0};
    int r = kfl__index_open(directory, name, true, &index);
    if (r == 0 && index.size < size) {
        kfl__index_close(&index);
        r = KFL_FILE_MISSING;
    }
    if (r == KFL_FILE_MISSING)
        r = kfl__index_create(directory, name, mode, size, &index);
    if (r == 0)
        kfl__index_close(&index);
    return r;
}

static int indexes_make_files(struct kfl__partition *partition, const struct kfl__segment_row *row)
{
    struct kfl__segment_plan plan = indexes_plan(partition, (uint64_t)row->size);
    uint32_t mode = partition->core->settings->file_mode;
    char name[KFL_NAME_SIZE];
    int directory = -1;
    int r = kfl__partition_directory(partition, false, &directory);
    if (r != 0)
        return r;
    kfl__name_encode(name, row->segment_id, KFL_NAME_OFFSETS);
    r = indexes_make_file(directory, name, mode, kfl__segment_offsets_size(&plan));
    kfl__name_encode(name, row->segment_id, KFL_NAME_TIMES);
    if (r == 0)
        r = indexes_make_file(directory, name, mode, kfl__segment_times_size(&plan));
    kfl__file_close(directory);
    return r;
}

/* Holding the prepare lock. */
static int indexes_lay(struct kfl__partition *partition, int64_t segment_id)
{
    struct indexes_look look = {.partition = partition, .segment_id = segment_id};
    struct kfl__active unused;
    int r = kfl__catalog_look(partition->core->catalog, indexes_get_row, &look);
    if (r < 0 || look.row.state != KFL_SEGMENT_ROW_SEALED)
        return r < 0 ? r : KFL_FILE_MISSING;
    r = indexes_make_files(partition, &look.row);
    if (r != 0)
        return r;
    return kfl__active_of_file(partition, &look.row, (uint64_t)look.row.used,
                               KFL_SEGMENT_WRITE_BY_FILE, &unused);
}

bool kfl__indexes_mend(struct kfl__partition *partition, int64_t segment_id)
{
    struct kfl__words words;
    if (partition->core->read_only)
        return false;
    kfl__error_save(&words);
    int r = kfl__partition_prepare_lock(partition, 0);
    if (r == 0) {
        r = indexes_lay(partition, segment_id);
        kfl__partition_prepare_unlock(partition);
    }
    kfl__error_restore(&words);
    return r == 0;
}
