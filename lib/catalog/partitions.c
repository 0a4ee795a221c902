/* SPDX-License-Identifier: MIT */
/*
 * One row a partition, and who owns which slot of the state file.
 *
 * A slot belongs to its partition until the topic is deleted; then it is free for another one under
 * a higher incarnation, which tells the new owner's words from the old one's.
 */
#include "catalog/partitions.h"

#include <inttypes.h>
#include <stddef.h>

#include "base/check.h"
#include "base/error.h"
#include "catalog/rows.h"
#include "catalog/topics.h"

struct partition_head {
    uint8_t version;
    uint8_t zero[3];
    uint32_t slot;
    uint32_t incarnation;
    uint32_t writer_epoch;
    uint32_t flags;
    uint32_t zero_too;
    int64_t next_segment_id;
    int64_t start_offset;
    int64_t offset_floor;
    int64_t durable_offset;
    int64_t durable_segment;
    int64_t durable_place;
};
_Static_assert(sizeof(struct partition_head) == 72, "on disk");
_Static_assert(offsetof(struct partition_head, next_segment_id) == 24, "on disk");

struct free_slot_head {
    uint8_t version;
    uint8_t zero[3];
    uint32_t incarnation; /* of the last owner */
};
_Static_assert(sizeof(struct free_slot_head) == 8, "on disk");

static void partition_key(struct kfl__key *key, uint64_t topic_id, int32_t partition)
{
    kfl__key_begin(key, KFL_TABLE_PARTITION);
    kfl__key_add64(key, topic_id);
    kfl__key_add32(key, (uint32_t)partition);
}

/* ---- rows ---- */

static int partition_decode(struct kfl__catalog_txn *txn, const struct kfl__row *row,
                            struct kfl__partition_row *out_row)
{
    struct partition_head head;
    int r = kfl__row_head(txn, row, 1, &head, sizeof head, NULL, NULL);
    if (r < 0)
        return r;
    *out_row = (struct kfl__partition_row){
        .slot = head.slot,
        .incarnation = head.incarnation,
        .next_segment_id = head.next_segment_id,
        .start_offset = head.start_offset,
        .offset_floor = head.offset_floor,
        .durable_offset = head.durable_offset,
        .durable_segment = head.durable_segment,
        .durable_place = head.durable_place,
        .writer_epoch = head.writer_epoch,
        .flags = head.flags,
    };
    return 0;
}

static int partition_put(struct kfl__catalog_txn *txn, uint64_t topic_id, int32_t partition,
                         const struct kfl__partition_row *row)
{
    struct partition_head head = {
        .version = 1,
        .slot = row->slot,
        .incarnation = row->incarnation,
        .writer_epoch = row->writer_epoch,
        .flags = row->flags,
        .next_segment_id = row->next_segment_id,
        .start_offset = row->start_offset,
        .offset_floor = row->offset_floor,
        .durable_offset = row->durable_offset,
        .durable_segment = row->durable_segment,
        .durable_place = row->durable_place,
    };
    struct kfl__key key;
    partition_key(&key, topic_id, partition);
    return kfl__row_put(txn, &key, &head, sizeof head, NULL, 0);
}

int kfl__partition_get(struct kfl__catalog_txn *txn, uint64_t topic_id, int32_t partition,
                       struct kfl__partition_row *out_row)
{
    struct kfl__key key;
    partition_key(&key, topic_id, partition);
    struct kfl__row row;
    int r = kfl__row_get(txn, &key, &row);
    if (r == KFL_ROW_MISSING) {
        kfl__fail(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, "no partition %d of a topic with id %" PRIu64,
                  partition, topic_id);
        return kfl__fail_at(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, NULL, partition, -1);
    }
    return r < 0 ? r : partition_decode(txn, &row, out_row);
}

int kfl__partition_require(struct kfl__catalog_txn *txn, uint64_t topic_id, int32_t partition)
{
    struct kfl__partition_row row;
    return kfl__partition_get(txn, topic_id, partition, &row);
}

int kfl__partition_put(struct kfl__catalog_txn *txn, uint64_t topic_id, int32_t partition,
                       const struct kfl__partition_row *row)
{
    int r = kfl__partition_require(txn, topic_id, partition);
    return r < 0 ? r : partition_put(txn, topic_id, partition, row);
}

/* ---- slots ---- */

/* The lowest free slot, else a new one. */
static int slot_take(struct kfl__catalog_txn *txn, struct kfl__counters *counters,
                     struct kfl__partition_row *partition)
{
    struct kfl__key key;
    kfl__key_begin(&key, KFL_TABLE_FREE_SLOT);
    struct kfl__row row;
    int r = kfl__rows_seek(txn, &key, &row);
    if (r < 0)
        return r;
    if (r == KFL_ROW_MISSING || row.key[0] != KFL_TABLE_FREE_SLOT) {
        if (counters->next_slot == UINT32_MAX)
            return kfl__fail(KFL_E_INVALID_PARTITIONS, "no slot is left for another partition");
        partition->slot = counters->next_slot++;
        partition->incarnation = 1;
        return 0;
    }
    struct free_slot_head head;
    r = kfl__row_head(txn, &row, 1, &head, sizeof head, NULL, NULL);
    if (r < 0)
        return r;
    if (row.key_size != 5)
        return kfl__row_fail(txn, &row, "is no free slot");
    partition->slot = kfl__key_load32(row.key + 1);
    partition->incarnation = head.incarnation + 1;
    kfl__key_add32(&key, partition->slot);
    return kfl__row_remove(txn, &key);
}

static int slot_drop(struct kfl__catalog_txn *txn, const struct kfl__partition_row *partition)
{
    struct kfl__key key;
    kfl__key_begin(&key, KFL_TABLE_FREE_SLOT);
    kfl__key_add32(&key, partition->slot);
    struct free_slot_head head = {.version = 1, .incarnation = partition->incarnation};
    return kfl__row_put(txn, &key, &head, sizeof head, NULL, 0);
}

/* ---- for topics ---- */

int kfl__partitions_create(struct kfl__catalog_txn *txn, uint64_t topic_id, int32_t first,
                           int32_t end, struct kfl__counters *counters)
{
    assert(first >= 0 && first < end);
    for (int32_t partition = first; partition < end; partition++) {
        struct kfl__partition_row row = {.next_segment_id = 1};
        int r = slot_take(txn, counters, &row);
        if (r == 0)
            r = partition_put(txn, topic_id, partition, &row);
        if (r < 0)
            return r;
    }
    return 0;
}

static int free_slot_of(struct kfl__catalog_txn *txn, const struct kfl__row *row, void *context)
{
    (void)context;
    struct kfl__partition_row partition;
    int r = partition_decode(txn, row, &partition);
    return r < 0 ? r : slot_drop(txn, &partition);
}

int kfl__partitions_remove(struct kfl__catalog_txn *txn, uint64_t topic_id)
{
    struct kfl__key prefix;
    kfl__key_begin(&prefix, KFL_TABLE_PARTITION);
    kfl__key_add64(&prefix, topic_id);
    int r = kfl__rows_visit(txn, &prefix, free_slot_of, NULL);
    return r < 0 ? r : kfl__rows_remove(txn, &prefix);
}
