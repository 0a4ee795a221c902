/* SPDX-License-Identifier: MIT */
/*
 * Topics: found by name, kept by id. A topic is one row, two index rows (its name; its name with
 * each . as _, which tells collisions) and one row a partition. All of them change together, in one
 * transaction, and each such change raises the version that tells caches to look again.
 */
#include "catalog/topics.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "base/memory.h"
#include "catalog/counters.h"
#include "catalog/environment.h"
#include "catalog/offsets.h"
#include "catalog/partitions.h"
#include "catalog/rows.h"
#include "catalog/segments.h"

#define NAME_MAX_SIZE 249

struct topic_head {
    uint8_t version;
    uint8_t zero;
    uint16_t name_size;
    int32_t partition_count;
    int64_t created_ms;
    uint64_t altered; /* its version */
};
_Static_assert(sizeof(struct topic_head) == 24,
               "on disk; name and properties follow, each with a NUL");

/* Of both index rows. */
struct topic_id_head {
    uint8_t version;
    uint8_t zero[7];
    uint64_t topic_id;
};
_Static_assert(sizeof(struct topic_id_head) == 16, "on disk");

/* ---- keys ---- */

static void topic_key(struct kfl__key *key, uint64_t topic_id)
{
    kfl__key_begin(key, KFL_TABLE_TOPIC);
    kfl__key_add64(key, topic_id);
}

static void name_key(struct kfl__key *key, const char *name)
{
    kfl__key_begin(key, KFL_TABLE_TOPIC_NAME);
    kfl__key_add_name(key, name);
}

static void folded_key(struct kfl__key *key, const char *name)
{
    kfl__key_begin(key, KFL_TABLE_TOPIC_FOLDED);
    kfl__key_add_name(key, name);
    for (size_t i = 1; i < key->size; i++) {
        if (key->bytes[i] == '.')
            key->bytes[i] = '_';
    }
}

static void trash_key(struct kfl__key *key, uint64_t topic_id)
{
    kfl__key_begin(key, KFL_TABLE_TOPIC_TRASH);
    kfl__key_add64(key, topic_id);
}

/* ---- topic rows ---- */

static int no_such_topic(const char *name)
{
    kfl__fail(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, "no topic %s", name);
    return kfl__fail_at(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, name, -1, -1);
}

static int topic_decode(struct kfl__catalog_txn *txn, const struct kfl__row *row,
                        struct kfl__topic_row *out_row)
{
    struct topic_head head;
    const uint8_t *tail;
    size_t tail_size;
    int r = kfl__row_head(txn, row, 1, &head, sizeof head, &tail, &tail_size);
    if (r < 0)
        return r;
    size_t name_size = head.name_size;
    if (row->key_size != 9 || name_size == 0 || name_size > NAME_MAX_SIZE ||
        tail_size < name_size + 2 || tail[name_size] != 0 || tail[tail_size - 1] != 0 ||
        head.partition_count < 1)
        return kfl__row_fail(txn, row, "is no topic");
    out_row->topic_id = kfl__key_load64(row->key + 1);
    out_row->partition_count = head.partition_count;
    out_row->created_ms = head.created_ms;
    out_row->version = head.altered;
    memcpy(out_row->name, tail, name_size + 1);
    out_row->properties = (const char *)tail + name_size + 1;
    return 0;
}

/* `properties` may lie in the row that is replaced: the caller has copied it if so. */
static int topic_put(struct kfl__catalog_txn *txn, const struct kfl__topic_row *row)
{
    static const char none[] = "";
    const char *properties = row->properties != NULL ? row->properties : none;
    struct {
        struct topic_head head;
        char name[NAME_MAX_SIZE + 1];
    } whole = {
        .head = {.version = 1,
                 .name_size = (uint16_t)strlen(row->name),
                 .partition_count = row->partition_count,
                 .created_ms = row->created_ms,
                 .altered = row->version},
    };
    assert(whole.head.name_size > 0 && whole.head.name_size <= NAME_MAX_SIZE);
    memcpy(whole.name, row->name, whole.head.name_size);
    struct kfl__key key;
    topic_key(&key, row->topic_id);
    return kfl__row_put(txn, &key, &whole, sizeof whole.head + whole.head.name_size + 1, properties,
                        strlen(properties) + 1);
}

static int index_get(struct kfl__catalog_txn *txn, const struct kfl__key *key,
                     uint64_t *out_topic_id)
{
    struct kfl__row row;
    int r = kfl__row_get(txn, key, &row);
    if (r != 0)
        return r;
    struct topic_id_head head;
    r = kfl__row_head(txn, &row, 1, &head, sizeof head, NULL, NULL);
    if (r < 0)
        return r;
    *out_topic_id = head.topic_id;
    return 0;
}

static int index_put(struct kfl__catalog_txn *txn, const struct kfl__key *key, uint64_t topic_id)
{
    struct topic_id_head head = {.version = 1, .topic_id = topic_id};
    return kfl__row_put(txn, key, &head, sizeof head, NULL, 0);
}

int kfl__topics_get(struct kfl__catalog_txn *txn, uint64_t topic_id, struct kfl__topic_row *out_row)
{
    struct kfl__key key;
    topic_key(&key, topic_id);
    struct kfl__row row;
    int r = kfl__row_get(txn, &key, &row);
    if (r == KFL_ROW_MISSING)
        return kfl__fail(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, "no topic with id %" PRIu64, topic_id);
    return r < 0 ? r : topic_decode(txn, &row, out_row);
}

int kfl__topics_find(struct kfl__catalog_txn *txn, const char *name, struct kfl__topic_row *out_row)
{
    if (name[0] == '\0' || strlen(name) > NAME_MAX_SIZE)
        return no_such_topic(name);
    struct kfl__key key;
    name_key(&key, name);
    uint64_t topic_id = 0;
    int r = index_get(txn, &key, &topic_id);
    if (r == KFL_ROW_MISSING)
        return no_such_topic(name);
    return r < 0 ? r : kfl__topics_get(txn, topic_id, out_row);
}

struct topic_visit {
    int (*visit)(const struct kfl__topic_row *row, void *context);
    void *context;
};

static int visit_topic_name(struct kfl__catalog_txn *txn, const struct kfl__row *row, void *context)
{
    const struct topic_visit *outer = context;
    struct topic_id_head head;
    int r = kfl__row_head(txn, row, 1, &head, sizeof head, NULL, NULL);
    if (r < 0)
        return r;
    struct kfl__topic_row topic;
    r = kfl__topics_get(txn, head.topic_id, &topic);
    if (r < 0)
        return r;
    r = outer->visit(&topic, outer->context);
    return r < 0 ? r : 0;
}

int kfl__topics_list(struct kfl__catalog_txn *txn,
                     int (*visit)(const struct kfl__topic_row *row, void *context), void *context)
{
    struct kfl__key key;
    kfl__key_begin(&key, KFL_TABLE_TOPIC_NAME);
    struct topic_visit outer = {visit, context};
    return kfl__rows_visit(txn, &key, visit_topic_name, &outer);
}

int kfl__topics_version(struct kfl__catalog_txn *txn, uint64_t *out_version)
{
    struct kfl__counters counters;
    int r = kfl__counters_get(txn, &counters);
    if (r == 0)
        *out_version = counters.topics_version;
    return r;
}

int kfl__topics_version_raise(struct kfl__catalog_txn *txn, uint64_t version)
{
    struct kfl__counters counters;
    int r = kfl__counters_get(txn, &counters);
    if (r < 0 || counters.topics_version >= version)
        return r;
    counters.topics_version = version;
    return kfl__counters_put(txn, &counters);
}

/* ---- changes ---- */

static int check_new_name(struct kfl__catalog_txn *txn, const char *name)
{
    struct kfl__key key;
    folded_key(&key, name);
    uint64_t other_id = 0;
    int r = index_get(txn, &key, &other_id);
    if (r == KFL_ROW_MISSING)
        return 0;
    if (r < 0)
        return r;
    struct kfl__topic_row other;
    r = kfl__topics_get(txn, other_id, &other);
    if (r < 0)
        return r;
    int code = KFL_E_TOPIC_ALREADY_EXISTS;
    if (strcmp(other.name, name) == 0) {
        kfl__fail(code, "topic %s exists", name);
    } else {
        code = KFL_E_INVALID_TOPIC;
        kfl__fail(code, "topic %s collides with %s: names may not differ only in . and _", name,
                  other.name);
    }
    return kfl__fail_at(code, name, -1, -1);
}

static int bad_partition_count(const char *name, int32_t wanted, int32_t existing)
{
    kfl__fail(KFL_E_INVALID_PARTITIONS, "topic %s has %d partitions: %d is not more", name,
              existing, wanted);
    return kfl__fail_at(KFL_E_INVALID_PARTITIONS, name, -1, -1);
}

int kfl__topics_create(struct kfl__catalog_txn *txn, struct kfl__topic_row *row)
{
    assert(row->name[0] != '\0' && strlen(row->name) <= NAME_MAX_SIZE);
    if (row->partition_count < 1)
        return bad_partition_count(row->name, row->partition_count, 0);
    int r = check_new_name(txn, row->name);
    if (r < 0)
        return r;
    struct kfl__counters counters;
    r = kfl__counters_get(txn, &counters);
    if (r < 0)
        return r;

    row->topic_id = counters.next_topic_id++;
    row->version = 1;
    counters.topics_version++;
    struct kfl__key key;
    r = topic_put(txn, row);
    if (r == 0) {
        name_key(&key, row->name);
        r = index_put(txn, &key, row->topic_id);
    }
    if (r == 0) {
        folded_key(&key, row->name);
        r = index_put(txn, &key, row->topic_id);
    }
    if (r == 0)
        r = kfl__partitions_create(txn, row->topic_id, 0, row->partition_count, &counters);
    return r < 0 ? r : kfl__counters_put(txn, &counters);
}

/*
 * Puts the altered topic. Its properties are copied first, since they may lie in the very row that
 * is replaced.
 */
static int topic_replace(struct kfl__catalog_txn *txn, struct kfl__topic_row *topic,
                         struct kfl__counters *counters)
{
    char *properties = kfl__copy_string(topic->properties);
    if (properties == NULL)
        return kfl__fail(KFL_E_NOMEM, "topic %s", topic->name);
    topic->properties = properties;
    topic->version++;
    counters->topics_version++;
    int r = topic_put(txn, topic);
    if (r == 0)
        r = kfl__counters_put(txn, counters);
    kfl__free(properties);
    return r;
}

int kfl__topics_grow(struct kfl__catalog_txn *txn, const char *name, int32_t partition_count)
{
    struct kfl__topic_row topic;
    struct kfl__counters counters;
    int r = kfl__topics_find(txn, name, &topic);
    if (r == 0)
        r = kfl__counters_get(txn, &counters);
    if (r < 0)
        return r;
    int32_t before = topic.partition_count;
    if (partition_count <= before)
        return bad_partition_count(name, partition_count, before);
    topic.partition_count = partition_count;
    /* The topic first: `topic.properties` is borrowed until something is put. */
    uint32_t first_slot = counters.next_slot;
    r = topic_replace(txn, &topic, &counters);
    if (r == 0)
        r = kfl__partitions_create(txn, topic.topic_id, before, partition_count, &counters);
    if (r == 0 && counters.next_slot != first_slot)
        r = kfl__counters_put(txn, &counters);
    return r;
}

int kfl__topics_alter(struct kfl__catalog_txn *txn, const char *name, const char *properties)
{
    struct kfl__topic_row topic;
    struct kfl__counters counters;
    int r = kfl__topics_find(txn, name, &topic);
    if (r == 0)
        r = kfl__counters_get(txn, &counters);
    if (r < 0)
        return r;
    topic.properties = properties;
    return topic_replace(txn, &topic, &counters);
}

static int remove_index_rows(struct kfl__catalog_txn *txn, const struct kfl__topic_row *topic)
{
    struct kfl__key key;
    topic_key(&key, topic->topic_id);
    int r = kfl__row_remove(txn, &key);
    if (r == 0) {
        name_key(&key, topic->name);
        r = kfl__row_remove(txn, &key);
    }
    if (r == 0) {
        folded_key(&key, topic->name);
        r = kfl__row_remove(txn, &key);
    }
    if (r == KFL_ROW_MISSING)
        return kfl__fail(KFL_E_CORRUPT, "catalog %s: topic %s has lost a row" KFL_CATALOG_REMEDY,
                         txn->path, topic->name);
    return r;
}

int kfl__topics_delete(struct kfl__catalog_txn *txn, const char *name, uint64_t *out_topic_id)
{
    struct kfl__topic_row topic;
    struct kfl__counters counters;
    int r = kfl__topics_find(txn, name, &topic);
    if (r == 0)
        r = kfl__counters_get(txn, &counters);
    if (r == 0)
        r = remove_index_rows(txn, &topic);
    if (r == 0)
        r = kfl__partitions_remove(txn, topic.topic_id);
    if (r == 0)
        r = kfl__segments_remove_topic(txn, topic.topic_id);
    if (r == 0)
        r = kfl__offsets_remove_topic(txn, topic.topic_id);
    if (r < 0)
        return r;

    struct kfl__key key;
    trash_key(&key, topic.topic_id);
    static const uint8_t version = 1;
    r = kfl__row_put(txn, &key, &version, sizeof version, NULL, 0);
    counters.topics_version++;
    if (r == 0)
        r = kfl__counters_put(txn, &counters);
    if (r == 0)
        *out_topic_id = topic.topic_id;
    return r;
}

/* ---- trash ---- */

struct trash_visit {
    int (*visit)(uint64_t topic_id, void *context);
    void *context;
};

static int visit_trash(struct kfl__catalog_txn *txn, const struct kfl__row *row, void *context)
{
    const struct trash_visit *outer = context;
    if (row->key_size != 9)
        return kfl__row_fail(txn, row, "is no topic's trash");
    int r = outer->visit(kfl__key_load64(row->key + 1), outer->context);
    return r < 0 ? r : 0;
}

int kfl__topic_trash_list(struct kfl__catalog_txn *txn,
                          int (*visit)(uint64_t topic_id, void *context), void *context)
{
    struct kfl__key key;
    kfl__key_begin(&key, KFL_TABLE_TOPIC_TRASH);
    struct trash_visit outer = {visit, context};
    return kfl__rows_visit(txn, &key, visit_trash, &outer);
}

int kfl__topic_trash_drop(struct kfl__catalog_txn *txn, uint64_t topic_id)
{
    struct kfl__key key;
    trash_key(&key, topic_id);
    int r = kfl__row_remove(txn, &key);
    return r < 0 ? r : 0;
}
