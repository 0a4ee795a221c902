/* SPDX-License-Identifier: MIT */
/* Topics, as callers see them: create, change, list, and the offsets of their partitions. */
#include <string.h>

#include "api/store.h"
#include "base/memory.h"
#include "engine/maintain.h"
#include "engine/read.h"
#include "engine/sync.h"

/* Every call here is of this form: check, enter, work, leave. */
static int topics_enter(kfl_store *store, bool writable, const char *name)
{
    int r = writable ? kfl__store_check_writable(store) : kfl__store_check(store);
    if (r == 0 && name == NULL)
        r = kfl__fail(KFL_E_INVALID, "the topic name is NULL");
    return r < 0 ? r : kfl__core_enter(store->core);
}

static int topics_leave(kfl_store *store, int r)
{
    kfl__core_leave(store->core);
    return r;
}

int kfl_topic_create(kfl_store *store, const char *name, int32_t partition_count, const kfl_config *config)
{
    int r = topics_enter(store, true, name);
    return r < 0 ? r : topics_leave(store, kfl__topics_make(store->core, name, partition_count, config));
}

int kfl_topic_delete(kfl_store *store, const char *name)
{
    int r = topics_enter(store, true, name);
    return r < 0 ? r : topics_leave(store, kfl__topics_remove(store->core, name));
}

int kfl_topic_add_partitions(kfl_store *store, const char *name, int32_t partition_count)
{
    int r = topics_enter(store, true, name);
    return r < 0 ? r : topics_leave(store, kfl__topics_add_partitions(store->core, name, partition_count));
}

int kfl_topic_alter(kfl_store *store, const char *name, const kfl_config *config)
{
    if (config == NULL)
        return kfl__fail(KFL_E_INVALID, "kfl_topic_alter: the config is NULL");
    int r = topics_enter(store, true, name);
    return r < 0 ? r : topics_leave(store, kfl__topics_configure(store->core, name, config));
}

int kfl_topic_set(kfl_store *store, const char *name, const char *property, const char *value)
{
    kfl_config *config = NULL;
    int r = kfl_config_create(&config);
    if (r == 0)
        r = kfl_config_set(config, property, value);
    if (r == 0)
        r = kfl_topic_alter(store, name, config);
    kfl_config_destroy(config);
    return r;
}

int kfl_topic_partition_count(kfl_store *store, const char *name)
{
    struct kfl__topic *topic = NULL;
    int r = topics_enter(store, false, name);
    if (r < 0)
        return r;
    r = kfl__topic_find(store->core, name, &topic);
    if (r == 0)
        r = kfl__topic_shape(topic)->partition_count;
    kfl__topic_release(topic);
    return topics_leave(store, r);
}

int kfl_topic_config(kfl_store *store, const char *name, kfl_config **out_config)
{
    struct kfl__topic *topic = NULL;
    int r = topics_enter(store, false, name);
    if (r < 0)
        return r;
    if (out_config == NULL)
        r = kfl__fail(KFL_E_INVALID, "kfl_topic_config: out_config is NULL");
    if (r == 0)
        r = kfl__topic_find(store->core, name, &topic);
    if (r == 0)
        r = kfl__config_copy(kfl__topic_shape(topic)->config, out_config);
    kfl__topic_release(topic);
    return topics_leave(store, r);
}

static int topics_add_name(const struct kfl__topic_row *row, void *context)
{
    return kfl__names_add(context, row->name);
}

static int topics_list_names(struct kfl__catalog_txn *txn, void *context)
{
    return kfl__topics_list(txn, topics_add_name, context);
}

int kfl_topic_list(kfl_store *store, kfl_names **out_names)
{
    kfl_names *names = NULL;
    int r = topics_enter(store, false, "");
    if (r < 0)
        return r;
    r = out_names == NULL ? kfl__fail(KFL_E_INVALID, "kfl_topic_list: out_names is NULL") : kfl__names_create(&names);
    if (r == 0)
        r = kfl__catalog_look(store->core->catalog, topics_list_names, names);
    if (r < 0) {
        kfl_names_release(names);
        return topics_leave(store, r);
    }
    kfl__names_sort(names);
    *out_names = names;
    return topics_leave(store, 0);
}

/* ---- partitions ---- */

/* Enter, and find the partition. On success the caller releases the topic and leaves. */
static int topics_enter_partition(kfl_store *store, bool writable, const char *name, int32_t number, const void *out,
                                  struct kfl__topic **out_topic, struct kfl__partition **out_partition)
{
    int r = topics_enter(store, writable, name);
    if (r < 0)
        return r;
    r = out == NULL ? kfl__fail(KFL_E_INVALID, "topic %s: out_offset is NULL", name)
                    : kfl__store_partition(store, name, number, out_topic, out_partition);
    return r < 0 ? topics_leave(store, r) : 0;
}

static int topics_leave_partition(kfl_store *store, struct kfl__topic *topic, int r)
{
    kfl__topic_release(topic);
    return topics_leave(store, r);
}

static int topics_word(kfl_store *store, const char *name, int32_t number, int which, int64_t *out_offset)
{
    struct kfl__topic *topic;
    struct kfl__partition *partition;
    int r = topics_enter_partition(store, false, name, number, out_offset, &topic, &partition);
    if (r < 0)
        return r;
    struct kfl__slot *slot = partition->slot;
    *out_offset = which == 0   ? kfl__partition_start(partition)
                  : which == 1 ? kfl__slot_end(slot)
                               : atomic_load(&slot->durable_offset);
    return topics_leave_partition(store, topic, 0);
}

int kfl_topic_start_offset(kfl_store *store, const char *name, int32_t partition, int64_t *out_offset)
{
    return topics_word(store, name, partition, 0, out_offset);
}

int kfl_topic_end_offset(kfl_store *store, const char *name, int32_t partition, int64_t *out_offset)
{
    return topics_word(store, name, partition, 1, out_offset);
}

int kfl_topic_durable_offset(kfl_store *store, const char *name, int32_t partition, int64_t *out_offset)
{
    return topics_word(store, name, partition, 2, out_offset);
}

int kfl_topic_offset_for_time(kfl_store *store, const char *name, int32_t number, int64_t timestamp_ms, int64_t *out_offset,
                              int64_t *out_timestamp_ms)
{
    struct kfl__topic *topic;
    struct kfl__partition *partition;
    int64_t timestamp;
    if (timestamp_ms < 0)
        return kfl__fail(KFL_E_INVALID_TIMESTAMP, "kfl_topic_offset_for_time: %lld is no time", (long long)timestamp_ms);
    int r = topics_enter_partition(store, false, name, number, out_offset, &topic, &partition);
    if (r < 0)
        return r;
    r = kfl__partition_find_time(partition, timestamp_ms, out_offset, out_timestamp_ms != NULL ? out_timestamp_ms : &timestamp);
    return topics_leave_partition(store, topic, r);
}

int kfl_topic_max_timestamp(kfl_store *store, const char *name, int32_t number, int64_t *out_offset, int64_t *out_timestamp_ms)
{
    struct kfl__topic *topic;
    struct kfl__partition *partition;
    int64_t timestamp;
    int r = topics_enter_partition(store, false, name, number, out_offset, &topic, &partition);
    if (r < 0)
        return r;
    r = kfl__partition_max_timestamp(partition, out_offset, out_timestamp_ms != NULL ? out_timestamp_ms : &timestamp);
    return topics_leave_partition(store, topic, r);
}

int kfl_topic_wait_durable(kfl_store *store, const char *name, int32_t number, int64_t offset, int32_t timeout_ms)
{
    struct kfl__topic *topic;
    struct kfl__partition *partition;
    int r = topics_enter_partition(store, true, name, number, store, &topic, &partition);
    if (r < 0)
        return r;
    int64_t end = kfl__slot_end(partition->slot);
    if (offset == KFL_OFFSET_END)
        offset = end;
    if (timeout_ms < -1)
        r = kfl__fail(KFL_E_INVALID, "kfl_topic_wait_durable: timeout_ms %d", timeout_ms);
    else if (offset < 0)
        r = kfl__fail(KFL_E_INVALID, "kfl_topic_wait_durable: %lld is no offset", (long long)offset);
    else if (offset > end) {
        kfl__fail(KFL_E_OFFSET_OUT_OF_RANGE, "partition %s/%d ends at offset %lld: nothing can be durable up to %lld", name,
                  number, (long long)end, (long long)offset);
        r = kfl__fail_at(KFL_E_OFFSET_OUT_OF_RANGE, name, number, end);
    } else
        r = kfl__sync_wait(partition, offset, kfl__clock_deadline_ns(timeout_ms));
    return topics_leave_partition(store, topic, r);
}

int kfl_topic_delete_records(kfl_store *store, const char *name, int32_t number, int64_t before_offset,
                             int64_t *out_start_offset)
{
    struct kfl__topic *topic;
    struct kfl__partition *partition;
    int64_t start;
    int r = topics_enter_partition(store, true, name, number, store, &topic, &partition);
    if (r < 0)
        return r;
    if ((kfl__topic_shape(topic)->settings->cleanup_policy & KFL_CLEANUP_DELETE) == 0) {
        kfl__fail(KFL_E_POLICY_VIOLATION, "topic %s has cleanup.policy=compact: records are deleted by request only with delete",
                  name);
        r = kfl__fail_at(KFL_E_POLICY_VIOLATION, name, number, -1);
    } else
        r = kfl__partition_trim(partition, before_offset, out_start_offset != NULL ? out_start_offset : &start);
    return topics_leave_partition(store, topic, r);
}

int kfl_topic_compact(kfl_store *store, const char *name, int flags, int32_t budget_ms, kfl_progress *out_progress)
{
    int64_t deadline = budget_ms < 0 ? -1 : kfl__clock_deadline_ns(budget_ms);
    kfl_progress progress = {0};
    struct kfl__topic *topic = NULL;
    int r = kfl__store_check_writable(store);
    if (r == 0 && (name == NULL || (flags & ~(KFL_COMPACT_FORCE | KFL_COMPACT_ROLL | KFL_COMPACT_DRY_RUN)) != 0))
        r = kfl__fail(KFL_E_INVALID, "kfl_topic_compact: no name, or flags %d", flags);
    if (r == 0)
        r = kfl__core_enter(store->core);
    if (r < 0)
        return r;
    r = kfl__topic_find(store->core, name, &topic);
    if (r == 0)
        r = kfl__topic_current(topic);
    if (r == 0 && (kfl__topic_shape(topic)->settings->cleanup_policy & KFL_CLEANUP_COMPACT) == 0) {
        kfl__fail(KFL_E_POLICY_VIOLATION, "topic %s has cleanup.policy=delete: set compact to have it compacted", name);
        r = kfl__fail_at(KFL_E_POLICY_VIOLATION, name, -1, -1);
    }
    if (r == 0)
        r = kfl__maintain_compact(store->core, topic->id, flags, deadline, &progress);
    kfl__topic_release(topic);
    kfl__core_leave(store->core);
    if (r >= 0 && out_progress != NULL)
        *out_progress = progress;
    return r;
}
