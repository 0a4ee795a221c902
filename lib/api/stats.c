/* SPDX-License-Identifier: MIT */
/*
 * Statistics: what the slots count, and the sizes in the manifests.
 *
 * Slots are shared by all processes, so these are the whole store's numbers. A partition that
 * nobody has used since the state file was made has none in its slot: its offsets are then what the
 * catalog knows to be durable, and its counters 0. Nothing is opened or recovered to count it.
 */
#include "api/manifest.h"
#include "api/store.h"
#include "base/memory.h"

/* In the order in which they are told. */
enum stats_name {
    STATS_LOG_START_OFFSET,
    STATS_LOG_END_OFFSET,
    STATS_DURABLE_OFFSET,
    STATS_LOG_SIZE_BYTES,
    STATS_LOG_SEGMENTS,
    STATS_APPENDED_RECORDS,
    STATS_APPENDED_BYTES,
    STATS_APPENDED_BATCHES,
    STATS_FSYNCS,
    STATS_FSYNC_NANOSECONDS,
    STATS_SEGMENT_ROLLS,
    STATS_REPAIRS,
    STATS_OF_PARTITION,
    STATS_TOPICS = STATS_OF_PARTITION,
    STATS_PARTITIONS,
    STATS_PROCESSES,
    STATS_CATALOG_TRANSACTIONS,
    STATS_CATALOG_CHANGES,
    STATS_ALL,
};
#define STATS_OF_STORE (STATS_ALL - STATS_OF_PARTITION)

static const char *const stats_names[STATS_ALL] = {
    "log_start_offset",
    "log_end_offset",
    "durable_offset",
    "log_size_bytes",
    "log_segments",
    "appended_records_total",
    "appended_bytes_total",
    "appended_batches_total",
    "fsyncs_total",
    "fsync_nanoseconds_total",
    "segment_rolls_total",
    "repairs_total",
    "topics",
    "partitions",
    "processes",
    "catalog_transactions_total",
    "catalog_changes_total",
};

struct stats_partition {
    int32_t topic; /* which of stats->topics */
    int32_t number;
    int64_t values[STATS_OF_PARTITION];
};

struct kfl_stats {
    int64_t of_store[STATS_OF_STORE];
    struct kfl__manifest_topic *topics;
    int32_t topic_count;
    struct stats_partition *partitions;
    int32_t partition_count;
    int64_t next; /* which number is told next */
};

static int64_t stats_size(const struct kfl__manifest *manifest)
{
    int64_t size = 0;
    for (int32_t i = 0; i < manifest->count; i++) {
        const struct kfl__segment_row *row = &manifest->rows[i];
        uint64_t used = 0;
        if (kfl__manifest_extent(manifest, i, &used) != KFL_MANIFEST_BYTES) {
            /* Full but not sealed yet: what its roll noted, or else all of it. */
            struct kfl__slot_rolled *rolled =
                manifest->slot == NULL ? NULL
                                       : &manifest->slot->rolled[row->segment_id % KFL_SLOT_ROLLED];
            bool known = rolled != NULL && atomic_load(&rolled->id) == row->segment_id;
            used = (uint64_t)(known ? atomic_load(&rolled->used) : row->size);
        }
        size += (int64_t)used;
    }
    return size;
}

static void stats_read_slot(struct kfl__slot *slot, int64_t *values)
{
    values[STATS_APPENDED_RECORDS] = (int64_t)atomic_load(&slot->appended_records);
    values[STATS_APPENDED_BYTES] = (int64_t)atomic_load(&slot->appended_bytes);
    values[STATS_APPENDED_BATCHES] = (int64_t)atomic_load(&slot->appended_batches);
    values[STATS_FSYNCS] = (int64_t)atomic_load(&slot->syncs);
    values[STATS_FSYNC_NANOSECONDS] = (int64_t)atomic_load(&slot->sync_ns);
    values[STATS_SEGMENT_ROLLS] = (int64_t)atomic_load(&slot->rolls);
    values[STATS_REPAIRS] = (int64_t)atomic_load(&slot->repairs);
}

/* One partition; a topic that was deleted meanwhile is left out. */
static int stats_read_partition(kfl_stats *stats, struct kfl__core *core, int32_t topic,
                                int32_t number)
{
    struct stats_partition *partition = &stats->partitions[stats->partition_count];
    struct kfl__manifest manifest;
    int r = kfl__manifest_read(core, stats->topics[topic].id, number, &manifest);
    if (r < 0)
        return r == KFL_E_UNKNOWN_TOPIC_OR_PARTITION ? 0 : r;
    partition->topic = topic;
    partition->number = number;
    partition->values[STATS_LOG_START_OFFSET] = manifest.start_offset;
    partition->values[STATS_LOG_END_OFFSET] = manifest.end_offset;
    partition->values[STATS_DURABLE_OFFSET] = manifest.durable_offset;
    partition->values[STATS_LOG_SIZE_BYTES] = stats_size(&manifest);
    partition->values[STATS_LOG_SEGMENTS] = manifest.count;
    if (manifest.slot != NULL)
        stats_read_slot(manifest.slot, partition->values);
    stats->partition_count++;
    kfl__manifest_release(&manifest);
    return 0;
}

/* Those that have the store open: itself, should it be a reader that leaves no trace. */
static int64_t stats_processes(struct kfl__core *core)
{
    struct kfl__presence_entry *entries = kfl__state_entries(core->state);
    int64_t count = 0;
    for (uint32_t n = 0; !core->detached && n < KFL_PRESENCE_MAX; n++)
        count += atomic_load(&entries[n].pid) != 0 &&
                 kfl__presence_lives(&core->presence, entries, n, atomic_load(&entries[n].start));
    return count > 0 ? count : 1;
}

static int stats_read(kfl_stats *stats, struct kfl__core *core)
{
    uint64_t transactions, changes;
    int64_t count = 0;
    int r = kfl__manifest_topics(core, NULL, &stats->topics, &stats->topic_count);
    for (int32_t i = 0; r == 0 && i < stats->topic_count; i++)
        count += stats->topics[i].partition_count;
    if (r == 0)
        stats->partitions = kfl__alloc_array((size_t)count + 1, sizeof *stats->partitions);
    if (r == 0 && stats->partitions == NULL)
        r = kfl__fail(KFL_E_NOMEM, "statistics of %lld partitions: out of memory",
                      (long long)count);
    for (int32_t i = 0; r == 0 && i < stats->topic_count; i++)
        for (int32_t n = 0; r == 0 && n < stats->topics[i].partition_count; n++)
            r = stats_read_partition(stats, core, i, n);
    if (r < 0)
        return r;
    kfl__catalog_counters(core->catalog, &transactions, &changes);
    stats->of_store[STATS_TOPICS - STATS_OF_PARTITION] = stats->topic_count;
    stats->of_store[STATS_PARTITIONS - STATS_OF_PARTITION] = stats->partition_count;
    stats->of_store[STATS_PROCESSES - STATS_OF_PARTITION] = stats_processes(core);
    stats->of_store[STATS_CATALOG_TRANSACTIONS - STATS_OF_PARTITION] = (int64_t)transactions;
    stats->of_store[STATS_CATALOG_CHANGES - STATS_OF_PARTITION] = (int64_t)changes;
    return 0;
}

int kfl_stats_open(kfl_store *store, kfl_stats **out_stats)
{
    int r = kfl__store_check(store);
    if (r == 0 && out_stats == NULL)
        r = kfl__fail(KFL_E_INVALID, "kfl_stats_open: out_stats is NULL");
    if (r == 0)
        r = kfl__core_enter(store->core);
    if (r < 0)
        return r;
    kfl_stats *stats = kfl__alloc(sizeof *stats);
    r = stats == NULL ? kfl__fail(KFL_E_NOMEM, "statistics: out of memory")
                      : stats_read(stats, store->core);
    kfl__core_leave(store->core);
    if (r < 0) {
        kfl_stats_close(stats);
        return r;
    }
    *out_stats = stats;
    return 0;
}

int kfl_stats_next(kfl_stats *stats, const char **out_name, const char **out_topic,
                   int32_t *out_partition, int64_t *out_value)
{
    if (stats == NULL || out_name == NULL || out_topic == NULL || out_partition == NULL ||
        out_value == NULL)
        return kfl__fail(KFL_E_INVALID, "kfl_stats_next: stats or an output parameter is NULL");
    int64_t at = stats->next;
    if (at < STATS_OF_STORE) {
        *out_name = stats_names[STATS_OF_PARTITION + at];
        *out_topic = "";
        *out_partition = -1;
        *out_value = stats->of_store[at];
    } else {
        at -= STATS_OF_STORE;
        if (at / STATS_OF_PARTITION >= stats->partition_count)
            return 0;
        const struct stats_partition *partition = &stats->partitions[at / STATS_OF_PARTITION];
        *out_name = stats_names[at % STATS_OF_PARTITION];
        *out_topic = stats->topics[partition->topic].name;
        *out_partition = partition->number;
        *out_value = partition->values[at % STATS_OF_PARTITION];
    }
    stats->next++;
    return 1;
}

void kfl_stats_close(kfl_stats *stats)
{
    if (stats == NULL)
        return;
    kfl__free(stats->topics);
    kfl__free(stats->partitions);
    kfl__free(stats);
}
