/* SPDX-License-Identifier: MIT */
/*
 * What retention and compaction would do, and why not more: the same plans that they go by, in words. Nothing is
 * changed.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "api/store.h"
#include "base/memory.h"
#include "engine/compact.h"
#include "engine/compact_inputs.h"
#include "engine/hold.h"
#include "engine/retention.h"
#include "engine/segments.h"

struct kfl_plan {
    kfl_plan_row *rows; /* texts and topics are owned */
    int32_t count, room;
};

struct plan_text {
    char bytes[256];
};

static void KFL_PRINTF(2, 3) plan_say(struct plan_text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text->bytes, sizeof text->bytes, format, arguments);
    va_end(arguments);
}

static int plan_add(kfl_plan *plan, const struct kfl__partition *partition, const kfl_plan_row *row,
                    const struct plan_text *text)
{
    if (plan->count == plan->room) {
        int32_t room = plan->room == 0 ? 16 : plan->room * 2;
        kfl_plan_row *grown = kfl__realloc(plan->rows, (size_t)room * sizeof *grown);
        if (grown == NULL)
            return kfl__fail(KFL_E_NOMEM, "a plan of %d rows: out of memory", room);
        plan->rows = grown;
        plan->room = room;
    }
    kfl_plan_row *added = &plan->rows[plan->count];
    *added = *row;
    added->partition = partition->number;
    char *topic = kfl__copy_string(partition->topic->name), *words = kfl__copy_string(text->bytes);
    added->topic = topic;
    added->text = words;
    if (topic == NULL || words == NULL) {
        kfl__free(topic);
        kfl__free(words);
        return kfl__fail(KFL_E_NOMEM, "a plan: out of memory");
    }
    plan->count++;
    return 0;
}

/* ---- retention ---- */

static void plan_say_retention(const struct kfl__retention_segment *segment,
                               const struct kfl__retention_rules *rules,
                               const struct kfl__hold *hold, struct plan_text *text)
{
    int64_t age = rules->now_ms - segment->max_timestamp_ms;
    switch (segment->why) {
    case KFL_RETENTION_DELETED:
        plan_say(text, "goes: its records were deleted");
        break;
    case KFL_RETENTION_SIZE:
        plan_say(text, "goes: retention.bytes=%" PRId64 " are left without it",
                 rules->retention_bytes);
        break;
    case KFL_RETENTION_TIME:
        plan_say(text, "goes: its newest record is %" PRId64 " ms old, retention.ms=%" PRId64, age,
                 rules->retention_ms);
        break;
    case KFL_RETENTION_CONSUMED:
        plan_say(text, "goes: every group of retention.consumers.groups has committed it");
        break;
    case KFL_RETENTION_POLICY:
        plan_say(text, "stays: cleanup.policy lacks delete");
        break;
    case KFL_RETENTION_NO_LIMIT:
        plan_say(text, "stays: neither retention.ms nor retention.bytes is set");
        break;
    case KFL_RETENTION_EMPTY:
        plan_say(text, "stays: it takes appends and holds nothing");
        break;
    case KFL_RETENTION_YOUNG:
        if (segment->max_timestamp_ms < 0)
            plan_say(text, "stays: its time is not known, nor that of any behind it");
        else if (age < 0)
            plan_say(text, "stays: a record of it is %" PRId64 " ms in the future", -age);
        else
            plan_say(text, "stays: its newest record is %" PRId64 " ms old, retention.ms=%" PRId64,
                     age, rules->retention_ms);
        break;
    case KFL_RETENTION_SMALL:
        plan_say(text, "stays: without it less than retention.bytes=%" PRId64 " were left",
                 rules->retention_bytes);
        break;
    case KFL_RETENTION_HELD:
        plan_say(text, "stays: group \"%s\" has committed %" PRId64 " only", hold->group,
                 hold->offset);
        break;
    case KFL_RETENTION_BEHIND:
        plan_say(text, "stays: a segment in front of it stays");
        break;
    }
}

static int plan_retention(kfl_plan *plan, struct kfl__partition *partition)
{
    struct kfl__retention_rules rules;
    struct kfl__retention_segment *segments = NULL;
    struct kfl__hold hold;
    int32_t count = 0;
    int r = kfl__hold_look(partition, &hold);
    if (r == 0)
        r = kfl__retention_look(partition, &rules, &segments, &count);
    int32_t going = r < 0 ? 0 : kfl__retention_plan(segments, count, &rules);
    for (int32_t i = 0; r == 0 && i < count; i++) {
        struct plan_text text;
        const kfl_plan_row row = {
            .segment_id = segments[i].segment_id,
            .base_offset = segments[i].base_offset,
            .end_offset = segments[i].end_offset,
            .bytes = segments[i].bytes,
            .goes = i < going,
        };
        plan_say_retention(&segments[i], &rules, &hold, &text);
        r = plan_add(plan, partition, &row, &text);
    }
    kfl__free(segments);
    return r;
}

/* ---- compaction ---- */

static void plan_say_compaction(const struct kfl__compact_plan *plan,
                                const struct kfl__settings *settings, int32_t i, bool active,
                                struct plan_text *text)
{
    int64_t bytes = plan->clean_bytes + plan->dirty_bytes;
    if (plan->why == KFL_COMPACT_WHY_POLICY)
        plan_say(text, "stays: cleanup.policy lacks compact");
    else if (active)
        plan_say(text, "stays: it takes appends");
    else if (i >= plan->count)
        plan_say(text,
                 plan->stopped_by_lag && i == plan->count
                     ? "stays: a record of it is younger than min.compaction.lag.ms=%" PRId64
                     : "stays: it is not complete yet, or lies behind one that stays",
                 settings->min_compaction_lag_ms);
    else if (plan->why == KFL_COMPACT_WHY_CLEAN)
        plan_say(text, "stays: nothing of it is new since the last compaction");
    else if (plan->why == KFL_COMPACT_WHY_RATIO)
        plan_say(text,
                 "stays: %.1f%% of the partition is dirty, min.cleanable.dirty.ratio is %.1f%%",
                 100.0 * (double)plan->dirty_bytes / (double)bytes,
                 (double)settings->min_cleanable_dirty_ratio / 10000.0);
    else
        plan_say(text, i < plan->first_dirty
                           ? "is compacted: it was before, and may hold what was superseded since"
                           : "is compacted: it was not before");
}

static int plan_compaction(kfl_plan *plan, struct kfl__partition *partition, bool force)
{
    const struct kfl__settings *settings = kfl__topic_shape(partition->topic)->settings;
    const struct kfl__compact_rules rules = kfl__compact_rules(partition, force);
    struct kfl__segment_row *rows = NULL;
    int64_t active = 0;
    int32_t count = 0;
    int r = kfl__segments_in_order(partition, &rows, &count, &active);
    struct kfl__compact_plan compact = {.why = KFL_COMPACT_WHY_CLEAN};
    if (r == 0)
        r = kfl__compact_rows_as_sealed(partition, rows, count, active);
    if (r >= 0) {
        compact = kfl__compact_plan(rows, count, &rules);
        r = 0;
    }
    for (int32_t i = 0; r == 0 && i < count; i++) {
        struct plan_text text;
        bool takes_appends = rows[i].segment_id == active;
        const kfl_plan_row row = {
            .segment_id = rows[i].segment_id,
            .base_offset = rows[i].base_offset,
            .end_offset = takes_appends             ? kfl__slot_end(partition->slot)
                          : rows[i].end_offset >= 0 ? rows[i].end_offset
                          : i + 1 < count           ? rows[i + 1].base_offset
                                                    : -1,
            .bytes = rows[i].used >= 0 ? rows[i].used : rows[i].size,
            .goes = compact.why < KFL_COMPACT_WHY_POLICY && i < compact.count,
        };
        plan_say_compaction(&compact, settings, i, takes_appends, &text);
        r = plan_add(plan, partition, &row, &text);
    }
    kfl__free(rows);
    return r;
}

/* ---- what callers see ---- */

static int plan_topic(kfl_plan *plan, struct kfl__topic *topic, int kind)
{
    int32_t count = kfl__topic_shape(topic)->partition_count;
    int r = 0;
    for (int32_t i = 0; r == 0 && i < count; i++) {
        struct kfl__partition *partition;
        r = kfl__topic_partition(topic, i, &partition);
        if (r == 0)
            r = kind == KFL_PLAN_RETENTION
                    ? plan_retention(plan, partition)
                    : plan_compaction(plan, partition, kind == KFL_PLAN_FORCED_COMPACTION);
    }
    return r;
}

int kfl_topic_plan(kfl_store *store, const char *name, int kind, kfl_plan **out_plan)
{
    struct kfl__topic *topic = NULL;
    int r = kfl__store_check(store);
    if (r == 0 && (name == NULL || out_plan == NULL))
        r = kfl__fail(KFL_E_INVALID, "kfl_topic_plan: %s is NULL", name == NULL ? "name" : "out_plan");
    if (r == 0 && (kind < KFL_PLAN_RETENTION || kind > KFL_PLAN_FORCED_COMPACTION))
        r = kfl__fail(KFL_E_INVALID, "kfl_topic_plan: %d is no kind of plan", kind);
    if (r == 0)
        r = kfl__core_enter(store->core);
    if (r < 0)
        return r;
    kfl_plan *plan = kfl__alloc(sizeof *plan);
    r = plan == NULL ? kfl__fail(KFL_E_NOMEM, "a plan: out of memory")
                     : kfl__topic_find(store->core, name, &topic);
    if (r == 0)
        r = plan_topic(plan, topic, kind);
    kfl__topic_release(topic);
    kfl__core_leave(store->core);
    if (r < 0) {
        kfl_plan_release(plan);
        return r;
    }
    *out_plan = plan;
    return 0;
}

int32_t kfl_plan_count(const kfl_plan *plan)
{
    return plan == NULL ? 0 : plan->count;
}

const kfl_plan_row *kfl_plan_get(const kfl_plan *plan, int32_t index)
{
    return plan == NULL || index < 0 || index >= plan->count ? NULL : &plan->rows[index];
}

void kfl_plan_release(kfl_plan *plan)
{
    if (plan == NULL)
        return;
    for (int32_t i = 0; i < plan->count; i++) {
        kfl__free((void *)(uintptr_t)plan->rows[i].topic);
        kfl__free((void *)(uintptr_t)plan->rows[i].text);
    }
    kfl__free(plan->rows);
    kfl__free(plan);
}

int kfl_topic_retain(kfl_store *store, const char *name, kfl_progress *out_progress)
{
    struct kfl__retention_done done = {0};
    struct kfl__topic *topic = NULL;
    int r = kfl__store_check_writable(store);
    if (r == 0 && name == NULL)
        r = kfl__fail(KFL_E_INVALID, "kfl_topic_retain: no name");
    if (r == 0)
        r = kfl__core_enter(store->core);
    if (r < 0)
        return r;
    r = kfl__topic_find(store->core, name, &topic);
    int32_t count = r < 0 ? 0 : kfl__topic_shape(topic)->partition_count;
    for (int32_t i = 0; r == 0 && i < count; i++) {
        struct kfl__partition *partition;
        r = kfl__topic_partition(topic, i, &partition);
        if (r == 0)
            r = kfl__retention_run(partition, &done);
    }
    kfl__topic_release(topic);
    kfl__core_leave(store->core);
    if (r == 0 && out_progress != NULL)
        *out_progress = (kfl_progress){
            .deleted_segments = done.segments, .deleted_bytes = done.bytes, .partition = -1};
    return r;
}
