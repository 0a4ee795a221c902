/* SPDX-License-Identifier: MIT */
/*
 * Committed offsets, keyed by group first, because that is how they are read and written. A second
 * table is keyed by partition first and says which groups have a row there: deleting a topic, and
 * finding a partition's highest commit, cost what they touch. It is written with a group's first
 * commit only.
 */
#include "catalog/offsets.h"

#include <inttypes.h>
#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "catalog/partitions.h"
#include "catalog/rows.h"

struct offset_head {
    uint8_t version;
    uint8_t has_metadata;
    uint8_t zero[6];
    int64_t offset;
    int64_t commit_ms;
};
_Static_assert(sizeof(struct offset_head) == 24, "on disk; the metadata follow");

/* A table, a NUL, topic id, partition. */
#define OFFSET_KEY_MORE (1 + 1 + 8 + 4)
/* A table, topic id, partition. */
#define OFFSET_OF_KEY_MORE (1 + 8 + 4)

static void offset_key(struct kfl__key *key, const char *group, uint64_t topic_id,
                       int32_t partition)
{
    kfl__key_begin(key, KFL_TABLE_OFFSET);
    kfl__key_add_name_and_end(key, group);
    kfl__key_add64(key, topic_id);
    kfl__key_add32(key, (uint32_t)partition);
}

static void offset_of_key(struct kfl__key *key, const char *group, uint64_t topic_id,
                          int32_t partition)
{
    kfl__key_begin(key, KFL_TABLE_OFFSET_OF);
    kfl__key_add64(key, topic_id);
    kfl__key_add32(key, (uint32_t)partition);
    if (group != NULL)
        kfl__key_add_name(key, group);
}

static int offset_decode(struct kfl__catalog_txn *txn, const struct kfl__row *row,
                         struct kfl__offset_row *out_row)
{
    struct offset_head head;
    const uint8_t *tail;
    size_t tail_size;
    int r = kfl__row_head(txn, row, 1, &head, sizeof head, &tail, &tail_size);
    if (r < 0)
        return r;
    if (tail_size > KFL_METADATA_MAX || (head.has_metadata == 0 && tail_size > 0))
        return kfl__row_fail(txn, row, "is no committed offset");
    *out_row = (struct kfl__offset_row){
        .offset = head.offset,
        .commit_ms = head.commit_ms,
        .metadata = head.has_metadata != 0 ? tail : NULL,
        .metadata_size = (uint32_t)tail_size,
    };
    return 0;
}

int kfl__offsets_get(struct kfl__catalog_txn *txn, const char *group, uint64_t topic_id,
                     int32_t partition, struct kfl__offset_row *out_row)
{
    struct kfl__key key;
    offset_key(&key, group, topic_id, partition);
    struct kfl__row row;
    int r = kfl__row_get(txn, &key, &row);
    if (r == KFL_ROW_MISSING)
        return kfl__fail(KFL_E_NOT_FOUND,
                         "group %s has committed nothing for partition %d, topic id %" PRIu64,
                         group, partition, topic_id);
    return r < 0 ? r : offset_decode(txn, &row, out_row);
}

int kfl__offsets_put(struct kfl__catalog_txn *txn, const char *group, uint64_t topic_id,
                     int32_t partition, const struct kfl__offset_row *row)
{
    assert(row->offset >= 0 && row->metadata_size <= KFL_METADATA_MAX);
    assert(row->metadata != NULL || row->metadata_size == 0);
    struct kfl__key key;
    offset_key(&key, group, topic_id, partition);
    struct kfl__row before;
    int r = kfl__row_get(txn, &key, &before);
    if (r < 0)
        return r;
    bool is_first = r == KFL_ROW_MISSING;
    if (is_first)
        r = kfl__partition_require(txn, topic_id, partition);
    if (r < 0)
        return r;

    struct offset_head head = {
        .version = 1,
        .has_metadata = row->metadata != NULL,
        .offset = row->offset,
        .commit_ms = row->commit_ms,
    };
    r = kfl__row_put(txn, &key, &head, sizeof head, row->metadata, row->metadata_size);
    if (r < 0 || !is_first)
        return r;
    offset_of_key(&key, group, topic_id, partition);
    return kfl__row_put(txn, &key, &head.version, sizeof head.version, NULL, 0);
}

int kfl__offsets_remove(struct kfl__catalog_txn *txn, const char *group, uint64_t topic_id,
                        int32_t partition)
{
    struct kfl__key key;
    offset_key(&key, group, topic_id, partition);
    int r = kfl__row_remove(txn, &key);
    if (r < 0)
        return r;
    offset_of_key(&key, group, topic_id, partition);
    r = kfl__row_remove(txn, &key);
    return r < 0 ? r : 0;
}

struct group_visit {
    int (*visit)(uint64_t topic_id, int32_t partition, const struct kfl__offset_row *row,
                 void *context);
    void *context;
    size_t key_size;
};

static int visit_offset(struct kfl__catalog_txn *txn, const struct kfl__row *row, void *context)
{
    const struct group_visit *outer = context;
    if (row->key_size != outer->key_size)
        return kfl__row_fail(txn, row, "is no committed offset");
    uint64_t topic_id = kfl__key_load64(row->key + row->key_size - 12);
    int32_t partition = (int32_t)kfl__key_load32(row->key + row->key_size - 4);
    struct kfl__offset_row offset;
    int r = offset_decode(txn, row, &offset);
    if (r == 0)
        r = outer->visit(topic_id, partition, &offset, outer->context);
    return r < 0 ? r : 0;
}

int kfl__offsets_visit_group(struct kfl__catalog_txn *txn, const char *group,
                             int (*visit)(uint64_t topic_id, int32_t partition,
                                          const struct kfl__offset_row *row, void *context),
                             void *context)
{
    struct kfl__key prefix;
    kfl__key_begin(&prefix, KFL_TABLE_OFFSET);
    kfl__key_add_name_and_end(&prefix, group);
    struct group_visit outer = {visit, context, strlen(group) + OFFSET_KEY_MORE};
    return kfl__rows_visit(txn, &prefix, visit_offset, &outer);
}

int kfl__offsets_visit_groups(struct kfl__catalog_txn *txn,
                              int (*visit)(const char *group, void *context), void *context)
{
    struct kfl__key key;
    kfl__key_begin(&key, KFL_TABLE_OFFSET);
    for (;;) {
        struct kfl__row row;
        int r = kfl__rows_seek(txn, &key, &row);
        if (r < 0)
            return r;
        if (r == KFL_ROW_MISSING || row.key[0] != KFL_TABLE_OFFSET)
            return 0;
        if (row.key_size <= OFFSET_KEY_MORE ||
            row.key_size > KFL_GROUP_NAME_MAX + OFFSET_KEY_MORE || row.key[row.key_size - 13] != 0)
            return kfl__row_fail(txn, &row, "is no committed offset");

        char group[KFL_GROUP_NAME_MAX + 1];
        memcpy(group, row.key + 1, row.key_size - OFFSET_KEY_MORE + 1);
        r = visit(group, context);
        if (r < 0)
            return r;
        /* Behind all rows of this group: its name ended by what comes after NUL. */
        kfl__key_begin(&key, KFL_TABLE_OFFSET);
        kfl__key_add_name(&key, group);
        key.bytes[key.size++] = 1;
    }
}

/* The group's name at the end of an offset-of key. */
static int group_of(struct kfl__catalog_txn *txn, const struct kfl__row *row,
                    char out_group[KFL_GROUP_NAME_MAX + 1])
{
    if (row->key_size <= OFFSET_OF_KEY_MORE ||
        row->key_size > OFFSET_OF_KEY_MORE + KFL_GROUP_NAME_MAX)
        return kfl__row_fail(txn, row, "names no group");
    size_t size = row->key_size - OFFSET_OF_KEY_MORE;
    memcpy(out_group, row->key + OFFSET_OF_KEY_MORE, size);
    out_group[size] = '\0';
    return 0;
}

static int raise_highest(struct kfl__catalog_txn *txn, const struct kfl__row *row, void *context)
{
    int64_t *highest = context;
    char group[KFL_GROUP_NAME_MAX + 1];
    int r = group_of(txn, row, group);
    if (r < 0)
        return r;
    struct kfl__offset_row offset = {0};
    r = kfl__offsets_get(txn, group, kfl__key_load64(row->key + 1),
                         (int32_t)kfl__key_load32(row->key + 9), &offset);
    if (r == KFL_E_NOT_FOUND)
        return kfl__row_fail(txn, row, "has lost its offset");
    if (r == 0 && offset.offset > *highest)
        *highest = offset.offset;
    return r;
}

int kfl__offsets_highest(struct kfl__catalog_txn *txn, uint64_t topic_id, int32_t partition,
                         int64_t *out_offset)
{
    struct kfl__key prefix;
    offset_of_key(&prefix, NULL, topic_id, partition);
    int64_t highest = -1;
    int r = kfl__rows_visit(txn, &prefix, raise_highest, &highest);
    if (r == 0)
        *out_offset = highest;
    return r;
}

static int remove_of_group(struct kfl__catalog_txn *txn, const struct kfl__row *row, void *context)
{
    const char *group = context;
    if (row->key_size != strlen(group) + OFFSET_KEY_MORE)
        return kfl__row_fail(txn, row, "is no committed offset");
    return kfl__offsets_remove(txn, group, kfl__key_load64(row->key + row->key_size - 12),
                               (int32_t)kfl__key_load32(row->key + row->key_size - 4));
}

int kfl__offsets_remove_group(struct kfl__catalog_txn *txn, const char *group)
{
    struct kfl__key prefix;
    kfl__key_begin(&prefix, KFL_TABLE_OFFSET);
    kfl__key_add_name_and_end(&prefix, group);
    return kfl__rows_visit(txn, &prefix, remove_of_group, (void *)(uintptr_t)group);
}

static int remove_offset_of(struct kfl__catalog_txn *txn, const struct kfl__row *row, void *context)
{
    (void)context;
    char group[KFL_GROUP_NAME_MAX + 1];
    int r = group_of(txn, row, group);
    if (r < 0)
        return r;
    struct kfl__key key;
    offset_key(&key, group, kfl__key_load64(row->key + 1), (int32_t)kfl__key_load32(row->key + 9));
    r = kfl__row_remove(txn, &key);
    return r < 0 ? r : 0;
}

int kfl__offsets_remove_topic(struct kfl__catalog_txn *txn, uint64_t topic_id)
{
    struct kfl__key prefix;
    kfl__key_begin(&prefix, KFL_TABLE_OFFSET_OF);
    kfl__key_add64(&prefix, topic_id);
    int r = kfl__rows_visit(txn, &prefix, remove_offset_of, NULL);
    return r < 0 ? r : kfl__rows_remove(txn, &prefix);
}
