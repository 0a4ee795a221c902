/* SPDX-License-Identifier: MIT */
/* Walk one segment file, with no store: what log/scan finds, as callers see it. */
#include <string.h>

#include "api/records.h"
#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "log/scan.h"

struct kfl_walk {
    struct kfl__scan scan;
    char *path;
    struct kfl__batch_header header; /* of the last batch */
    kfl_batch batch;
    bool standing; /* the last step handed out a batch of records */
    bool cut_told;
};

int kfl_walk_open(const char *path, kfl_walk **out_walk)
{
    if (path == NULL || path[0] == '\0' || out_walk == NULL)
        return kfl__fail(KFL_E_INVALID, "kfl_walk_open: path or out_walk is missing");
    kfl_walk *walk = kfl__alloc(sizeof *walk);
    if (walk == NULL || (walk->path = kfl__copy_string(path)) == NULL) {
        kfl_walk_close(walk);
        return kfl__fail(KFL_E_NOMEM, "%s: out of memory", path);
    }
    int r = kfl__scan_open(-1, path, &walk->scan);
    if (r == KFL_FILE_MISSING) {
        kfl__fail(KFL_E_NOT_FOUND, "there is no file %s", path);
        r = kfl__fail_in(KFL_E_NOT_FOUND, path);
    }
    if (r < 0) {
        kfl_walk_close(walk);
        return r;
    }
    *out_walk = walk;
    return 0;
}

void kfl_walk_close(kfl_walk *walk)
{
    if (walk == NULL)
        return;
    kfl__scan_close(&walk->scan);
    kfl__free(walk->path);
    kfl__free(walk);
}

const char *kfl_walk_topic(const kfl_walk *walk)
{
    return walk == NULL ? "" : walk->scan.header.topic_name;
}

int32_t kfl_walk_partition(const kfl_walk *walk)
{
    return walk == NULL ? -1 : (int32_t)walk->scan.header.partition;
}

int64_t kfl_walk_segment_id(const kfl_walk *walk)
{
    return walk == NULL ? -1 : (int64_t)walk->scan.header.segment_id;
}

int64_t kfl_walk_place(const kfl_walk *walk)
{
    return walk == NULL ? -1 : (int64_t)walk->scan.place;
}

static int walk_damage(const kfl_walk *walk, const char *what)
{
    kfl__fail(KFL_E_CORRUPT, "%s at %llu, behind offset %lld: %s", walk->path,
              (unsigned long long)walk->scan.place, (long long)walk->scan.next_offset, what);
    kfl__fail_in(KFL_E_CORRUPT, walk->path);
    return kfl__fail_at(KFL_E_CORRUPT, walk->scan.header.topic_name,
                        (int32_t)walk->scan.header.partition, walk->scan.next_offset);
}

/* Bytes that are no batch: the end of what was written, or damage. */
static int walk_judge(kfl_walk *walk)
{
    const char *what = walk->scan.what;
    int r = kfl__scan_anything(&walk->scan);
    return r <= 0 ? r : walk_damage(walk, what);
}

/* Nothing left: so it should be, unless a part of the file is gone, which is told once. */
static int walk_end(kfl_walk *walk)
{
    if (walk->scan.file_size >= walk->scan.header.size || walk->cut_told)
        return 0;
    walk->cut_told = true;
    return walk_damage(walk, "the file was cut");
}

static void walk_describe(kfl_walk *walk, uint64_t place)
{
    const struct kfl__batch_header *header = &walk->header;
    bool is_end = (header->flags & KFL_BATCH_FLAG_END) != 0;
    int64_t first = -1;
    /*
     * A batch that verifies and yet does not decode is handed out all the same: asking for its
     * records tells.
     */
    if (!is_end && kfl__scan_records(&walk->scan, header, &first) < 0)
        first = -1;
    walk->batch = (kfl_batch){
        .place = (int64_t)place,
        .size = header->size,
        .base_offset = header->base_offset,
        .end_offset = kfl__batch_end_offset(header),
        .base_timestamp_ms = first,
        .max_timestamp_ms = is_end ? -1 : header->max_timestamp_ms,
        .durable_offset = kfl__batch_durable_offset(header),
        .checksum = header->hash,
        .record_count = (int32_t)header->record_count,
        .codec = header->flags & (int)KFL_BATCH_FLAG_CODEC,
        .kind = is_end ? KFL_BATCH_END_MARK : KFL_BATCH_RECORDS,
        .writer_epoch = header->writer_epoch,
        .next_segment_id = is_end ? header->max_timestamp_ms : -1,
    };
}

int kfl_walk_next(kfl_walk *walk, const kfl_batch **out_batch)
{
    if (walk == NULL || out_batch == NULL)
        return kfl__fail(KFL_E_INVALID, "kfl_walk_next: walk or out_batch is NULL");
    uint64_t place = walk->scan.place;
    bool ended = walk->batch.kind == KFL_BATCH_END_MARK;
    walk->standing = false;
    if (ended)
        return 0; /* nothing behind the mark is anybody's */
    int r = kfl__scan_step(&walk->scan, &walk->header);
    switch (r) {
    case KFL_SCAN_BATCH:
    case KFL_SCAN_END:
        walk_describe(walk, place);
        walk->standing = r == KFL_SCAN_BATCH;
        *out_batch = &walk->batch;
        return 1;
    case KFL_SCAN_BAD:
        return walk_judge(walk);
    case KFL_SCAN_ORDER:
        return walk_damage(walk, "a batch that cannot follow the one before it");
    case KFL_SCAN_NEWER:
        return kfl__fail(KFL_E_VERSION, "%s at %llu: written by a newer library", walk->path,
                         (unsigned long long)place);
    default:
        return r < 0 ? r : walk_end(walk);
    }
}

int kfl_walk_skip(kfl_walk *walk, int64_t *out_skipped_bytes)
{
    if (walk == NULL)
        return kfl__fail(KFL_E_INVALID, "kfl_walk_skip: the walk is NULL");
    struct kfl__batch_header header;
    uint64_t before = walk->scan.place;
    walk->standing = false;
    int r = kfl__scan_search(&walk->scan, &header);
    if (r >= 0 && out_skipped_bytes != NULL)
        *out_skipped_bytes = (int64_t)(walk->scan.place - before);
    return r;
}

int kfl_walk_records(kfl_walk *walk, kfl_records **out_records)
{
    kfl_records *records = NULL;
    if (walk == NULL || out_records == NULL || !walk->standing)
        return kfl__fail(KFL_E_INVALID,
                         "kfl_walk_records: there is no batch of records to take them from");
    const struct kfl__batch_header *header = &walk->header;
    uint8_t *block = kfl__alloc(header->size);
    if (block == NULL)
        return kfl__fail(KFL_E_NOMEM, "a batch of %u bytes: out of memory", header->size);
    memcpy(block, walk->scan.batch, header->size);
    int r = kfl__records_create(NULL, (int32_t)header->record_count, &records);
    if (r < 0)
        kfl__free(block);
    else
        r = kfl__records_keep(records, block);
    if (r >= 0)
        r = kfl__records_take_batch(records, NULL, block, header, walk->scan.header.topic_name,
                                    (int32_t)walk->scan.header.partition);
    if (r == KFL_E_CORRUPT)
        r = walk_damage(walk, "the batch verifies, but what it holds is no record");
    if (r < 0) {
        kfl_records_release(records);
        return r;
    }
    *out_records = records;
    return r;
}
