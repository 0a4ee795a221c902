/* SPDX-License-Identifier: MIT */
/*
 * Retention by consumer progress.
 *
 * Only what stands in the catalog counts as committed, since a commit is durable there before anything is deleted for
 * it (R9). The limit is one of files: the partition's never take more of the disk than
 * retention.consumers.max.bytes. So it is met when a new file is needed, and what happens then is what
 * retention.consumers.on.full says; the append path knows nothing of it.
 */
#include "engine/hold.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/wait.h"
#include "catalog/offsets.h"
#include "engine/retention.h"
#include "engine/segments.h"
#include "engine/topics.h"

#define HOLD_LOOK_NS INT64_C(20000000)

/* The next name of "a,b,c" at *io_from; false behind the last. */
static bool hold_next(const char **io_from, char name[256], size_t *out_size)
{
    const char *from = *io_from;
    if (from == NULL)
        return false;
    size_t size = strcspn(from, ",");
    *out_size = size;
    snprintf(name, 256, "%.*s", (int)(size < 255 ? size : 255), from);
    *io_from = from[size] == ',' ? from + size + 1 : NULL;
    return true;
}

int kfl__hold_check_config(const kfl_config *config)
{
    const struct kfl__settings *settings = kfl__config_settings(config);
    char name[256];
    size_t size;
    if (!kfl__hold_is_set(settings)) {
        if (settings->retention_consumers_max_bytes >= 0)
            return kfl__fail(
                KFL_E_INVALID_CONFIG,
                "retention.consumers.max.bytes has no effect without retention.consumers.groups");
        return 0;
    }
    for (const char *from = settings->retention_consumers_groups; hold_next(&from, name, &size);)
        if (size == 0 || size > KFL_GROUP_NAME_MAX)
            return kfl__fail(
                KFL_E_INVALID_CONFIG,
                "retention.consumers.groups=%s: names of groups, separated by commas, without blanks",
                settings->retention_consumers_groups);
    if (settings->retention_consumers_max_bytes >= 0 &&
        settings->retention_consumers_max_bytes / 2 < settings->segment_bytes)
        return kfl__fail(
            KFL_E_INVALID_CONFIG,
            "retention.consumers.max.bytes=%lld is less than two segments of %lld bytes",
            (long long)settings->retention_consumers_max_bytes, (long long)settings->segment_bytes);
    return 0;
}

int kfl__hold_get(struct kfl__catalog_txn *txn, const struct kfl__partition *partition,
                  struct kfl__hold *out_hold)
{
    const struct kfl__settings *settings = kfl__topic_shape(partition->topic)->settings;
    const char *from = kfl__hold_is_set(settings) ? settings->retention_consumers_groups : NULL;
    char name[256];
    size_t size;
    *out_hold = (struct kfl__hold){.offset = INT64_MAX};
    while (hold_next(&from, name, &size)) {
        struct kfl__offset_row row = {0};
        int r = kfl__offsets_get(txn, name, partition->topic->id, partition->number, &row);
        if (r < 0 && r != KFL_E_NOT_FOUND)
            return r;
        int64_t offset = r < 0 ? 0 : row.offset;
        if (offset < out_hold->offset) {
            out_hold->offset = offset;
            memcpy(out_hold->group, name, sizeof name);
        }
    }
    return 0;
}

struct hold_look {
    struct kfl__partition *partition;
    struct kfl__hold *hold;
};

static int hold_run_look(struct kfl__catalog_txn *txn, void *context)
{
    struct hold_look *look = context;
    return kfl__hold_get(txn, look->partition, look->hold);
}

int kfl__hold_look(struct kfl__partition *partition, struct kfl__hold *out_hold)
{
    struct hold_look look = {partition, out_hold};
    *out_hold = (struct kfl__hold){.offset = INT64_MAX};
    if (!kfl__hold_is_set(kfl__topic_shape(partition->topic)->settings))
        return 0;
    return kfl__catalog_look(partition->core->catalog, hold_run_look, &look);
}

/* ---- the limit ---- */

int kfl__hold_allows(struct kfl__partition *partition, const struct kfl__settings *settings,
                     int64_t discard, uint64_t least, uint64_t *io_size)
{
    struct kfl__segment_row *rows = NULL;
    int32_t count = 0;
    int64_t used = 0;
    if (!kfl__hold_is_set(settings) || settings->retention_consumers_max_bytes < 0)
        return 0;
    int r = kfl__segments_rows(partition, &rows, &count);
    if (r < 0)
        return r;
    for (int32_t i = 0; i < count; i++)
        if (rows[i].segment_id != discard)
            used += rows[i].size;
    kfl__free(rows);
    int64_t room = (settings->retention_consumers_max_bytes - used) / 4096 * 4096;
    if (room >= (int64_t)*io_size)
        return 0;
    if (room < (int64_t)least)
        return KFL_HOLD_FULL;
    *io_size = (uint64_t)room;
    return 0;
}

static int hold_refuse(struct kfl__partition *partition, const struct kfl__settings *settings,
                       const char *how)
{
    struct kfl__hold hold;
    int r = kfl__hold_look(partition, &hold);
    if (r < 0)
        return r;
    kfl__fail(
        KFL_E_NO_SPACE,
        "partition %s/%d has its %lld bytes (retention.consumers.max.bytes), and group \"%s\" has committed %lld of %lld "
        "only%s: let it go on, or take it out of retention.consumers.groups",
        partition->topic->name, partition->number,
        (long long)settings->retention_consumers_max_bytes, hold.group, (long long)hold.offset,
        (long long)kfl__slot_end(partition->slot), how);
    return kfl__fail_at(KFL_E_NO_SPACE, partition->topic->name, partition->number, hold.offset);
}

/* The oldest file that takes no appends goes, whoever has not read it. */
static int hold_drop(struct kfl__partition *partition, const struct kfl__settings *settings)
{
    struct kfl__segment_row *rows = NULL;
    int32_t count = 0;
    int64_t active, end = -1, start;
    int r = kfl__segments_in_order(partition, &rows, &count, &active);
    if (r == 0 && count > 1 && rows[0].segment_id != active)
        end = rows[1].base_offset;
    kfl__free(rows);
    if (r == 0 && end < 0)
        return hold_refuse(partition, settings, ", and nothing is left that could be dropped");
    return r < 0 ? r : kfl__partition_trim(partition, end, &start);
}

int kfl__hold_make_room(struct kfl__partition *partition, const struct kfl__settings *settings,
                        int64_t deadline_ns)
{
    _Atomic uint32_t nobody = 0;
    struct kfl__retention_done done = {0};
    int r = kfl__retention_run(partition, &done);
    if (r == KFL_E_NO_SPACE)
        r = 0; /* one that takes appends is too old, and none can be made to take its place */
    if (r < 0 || done.segments > 0)
        return r;
    switch (settings->retention_consumers_on_full) {
    case KFL_ON_FULL_REFUSE:
        return hold_refuse(partition, settings, "");
    case KFL_ON_FULL_DROP:
        return hold_drop(partition, settings);
    default:
        break;
    }
    int64_t now = kfl__clock_steady_ns();
    if (deadline_ns >= 0 && now >= deadline_ns)
        return hold_refuse(partition, settings, ", for max.block.ms");
    if (atomic_load(&partition->core->closing) != 0)
        return kfl__fail(KFL_E_CLOSED, "the store %s is closed", partition->core->path);
    (void)kfl__wait(&nobody, 0,
                    deadline_ns >= 0 && deadline_ns < now + HOLD_LOOK_NS ? deadline_ns
                                                                         : now + HOLD_LOOK_NS);
    return 0;
}
