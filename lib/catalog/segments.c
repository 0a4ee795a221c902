/* SPDX-License-Identifier: MIT */
/*
 * The manifest: one row a segment. Rows of files on their way in or out have a second row in a
 * table of their own, so that a sweep after a crash looks at those only, however many segments
 * there are.
 */
#include "catalog/segments.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/check.h"
#include "base/error.h"
#include "catalog/partitions.h"
#include "catalog/rows.h"

struct segment_head {
    uint8_t version;
    uint8_t state;
    uint8_t zero[2];
    uint32_t maker;
    uint64_t maker_start;
    int64_t base_offset;
    int64_t end_offset;
    int64_t used;
    int64_t size;
    uint64_t seed;
    int64_t first_timestamp_ms;
    int64_t max_timestamp_ms;
    int64_t max_timestamp_offset;
    int64_t record_count;
    int64_t clean_offset;
    int64_t horizon_ms;
};
_Static_assert(sizeof(struct segment_head) == 104, "on disk");
_Static_assert(offsetof(struct segment_head, maker_start) == 8, "on disk");

#define SEGMENT_KEY_SIZE 21

static void segment_key(struct kfl__key *key, enum kfl__table table, uint64_t topic_id,
                        int32_t partition, int64_t segment_id)
{
    kfl__key_begin(key, table);
    kfl__key_add64(key, topic_id);
    kfl__key_add32(key, (uint32_t)partition);
    kfl__key_add64(key, (uint64_t)segment_id);
    assert(key->size == SEGMENT_KEY_SIZE);
}

static bool is_leftover(uint32_t state)
{
    return state == KFL_SEGMENT_ROW_MAKING || state == KFL_SEGMENT_ROW_TRASH;
}

static int segment_decode(struct kfl__catalog_txn *txn, const struct kfl__row *row,
                          struct kfl__segment_row *out_row)
{
    struct segment_head head;
    int r = kfl__row_head(txn, row, 1, &head, sizeof head, NULL, NULL);
    if (r < 0)
        return r;
    if (row->key_size != SEGMENT_KEY_SIZE || head.state < KFL_SEGMENT_ROW_MAKING ||
        head.state > KFL_SEGMENT_ROW_TRASH)
        return kfl__row_fail(txn, row, "is no segment");
    *out_row = (struct kfl__segment_row){
        .segment_id = (int64_t)kfl__key_load64(row->key + 13),
        .state = head.state,
        .maker = head.maker,
        .maker_start = head.maker_start,
        .base_offset = head.base_offset,
        .end_offset = head.end_offset,
        .used = head.used,
        .size = head.size,
        .seed = head.seed,
        .first_timestamp_ms = head.first_timestamp_ms,
        .max_timestamp_ms = head.max_timestamp_ms,
        .max_timestamp_offset = head.max_timestamp_offset,
        .record_count = head.record_count,
        .clean_offset = head.clean_offset,
        .horizon_ms = head.horizon_ms,
    };
    return 0;
}

int kfl__segments_get(struct kfl__catalog_txn *txn, uint64_t topic_id, int32_t partition,
                      int64_t segment_id, struct kfl__segment_row *out_row)
{
    struct kfl__key key;
    segment_key(&key, KFL_TABLE_SEGMENT, topic_id, partition, segment_id);
    struct kfl__row row;
    int r = kfl__row_get(txn, &key, &row);
    if (r == KFL_ROW_MISSING)
        return kfl__fail(KFL_E_NOT_FOUND,
                         "no segment %" PRId64 " of partition %d, topic id %" PRIu64, segment_id,
                         partition, topic_id);
    return r < 0 ? r : segment_decode(txn, &row, out_row);
}

struct segment_visit {
    int (*visit)(const struct kfl__segment_row *row, void *context);
    void *context;
};

static int visit_segment(struct kfl__catalog_txn *txn, const struct kfl__row *row, void *context)
{
    const struct segment_visit *outer = context;
    struct kfl__segment_row segment;
    int r = segment_decode(txn, row, &segment);
    if (r == 0)
        r = outer->visit(&segment, outer->context);
    return r < 0 ? r : 0;
}

int kfl__segments_visit(struct kfl__catalog_txn *txn, uint64_t topic_id, int32_t partition,
                        int (*visit)(const struct kfl__segment_row *row, void *context),
                        void *context)
{
    struct kfl__key prefix;
    kfl__key_begin(&prefix, KFL_TABLE_SEGMENT);
    kfl__key_add64(&prefix, topic_id);
    kfl__key_add32(&prefix, (uint32_t)partition);
    struct segment_visit outer = {visit, context};
    return kfl__rows_visit(txn, &prefix, visit_segment, &outer);
}

int kfl__segments_put(struct kfl__catalog_txn *txn, uint64_t topic_id, int32_t partition,
                      const struct kfl__segment_row *row)
{
    assert(row->state >= KFL_SEGMENT_ROW_MAKING && row->state <= KFL_SEGMENT_ROW_TRASH);
    int r = kfl__partition_require(txn, topic_id, partition);
    if (r < 0)
        return r;
    struct segment_head head = {
        .version = 1,
        .state = (uint8_t)row->state,
        .maker = row->maker,
        .maker_start = row->maker_start,
        .base_offset = row->base_offset,
        .end_offset = row->end_offset,
        .used = row->used,
        .size = row->size,
        .seed = row->seed,
        .first_timestamp_ms = row->first_timestamp_ms,
        .max_timestamp_ms = row->max_timestamp_ms,
        .max_timestamp_offset = row->max_timestamp_offset,
        .record_count = row->record_count,
        .clean_offset = row->clean_offset,
        .horizon_ms = row->horizon_ms,
    };
    struct kfl__key key;
    segment_key(&key, KFL_TABLE_SEGMENT, topic_id, partition, row->segment_id);
    r = kfl__row_put(txn, &key, &head, sizeof head, NULL, 0);
    if (r < 0)
        return r;

    segment_key(&key, KFL_TABLE_LEFTOVER, topic_id, partition, row->segment_id);
    if (!is_leftover(row->state)) {
        r = kfl__row_remove(txn, &key);
        return r < 0 ? r : 0;
    }
    return kfl__row_put(txn, &key, &head.version, sizeof head.version, NULL, 0);
}

int kfl__segments_remove(struct kfl__catalog_txn *txn, uint64_t topic_id, int32_t partition,
                         int64_t segment_id)
{
    struct kfl__key key;
    segment_key(&key, KFL_TABLE_SEGMENT, topic_id, partition, segment_id);
    int r = kfl__row_remove(txn, &key);
    if (r < 0)
        return r;
    segment_key(&key, KFL_TABLE_LEFTOVER, topic_id, partition, segment_id);
    r = kfl__row_remove(txn, &key);
    return r < 0 ? r : 0;
}

int kfl__segments_remove_topic(struct kfl__catalog_txn *txn, uint64_t topic_id)
{
    static const enum kfl__table tables[] = {KFL_TABLE_SEGMENT, KFL_TABLE_LEFTOVER};
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        struct kfl__key prefix;
        kfl__key_begin(&prefix, tables[i]);
        kfl__key_add64(&prefix, topic_id);
        int r = kfl__rows_remove(txn, &prefix);
        if (r < 0)
            return r;
    }
    return 0;
}

struct leftover_visit {
    int (*visit)(uint64_t topic_id, int32_t partition, const struct kfl__segment_row *row,
                 void *context);
    void *context;
};

static int visit_leftover(struct kfl__catalog_txn *txn, const struct kfl__row *row, void *context)
{
    const struct leftover_visit *outer = context;
    if (row->key_size != SEGMENT_KEY_SIZE)
        return kfl__row_fail(txn, row, "is no leftover");
    uint64_t topic_id = kfl__key_load64(row->key + 1);
    int32_t partition = (int32_t)kfl__key_load32(row->key + 9);
    int64_t segment_id = (int64_t)kfl__key_load64(row->key + 13);
    struct kfl__segment_row segment;
    int r = kfl__segments_get(txn, topic_id, partition, segment_id, &segment);
    if (r == KFL_E_NOT_FOUND)
        return kfl__row_fail(txn, row, "has lost its segment");
    if (r == 0)
        r = outer->visit(topic_id, partition, &segment, outer->context);
    return r < 0 ? r : 0;
}

int kfl__segments_visit_leftovers(struct kfl__catalog_txn *txn,
                                  int (*visit)(uint64_t topic_id, int32_t partition,
                                               const struct kfl__segment_row *row, void *context),
                                  void *context)
{
    struct kfl__key prefix;
    kfl__key_begin(&prefix, KFL_TABLE_LEFTOVER);
    struct leftover_visit outer = {visit, context};
    return kfl__rows_visit(txn, &prefix, visit_leftover, &outer);
}
