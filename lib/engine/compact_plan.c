/* SPDX-License-Identifier: MIT */
/* When compaction of a partition is due, and what of it takes part. */
#include "engine/compact.h"
#include "engine/topics.h"

static bool plan_is_too_young(const struct kfl__segment_row *row,
                              const struct kfl__compact_rules *rules)
{
    int64_t age;
    if (rules->min_lag_ms <= 0 || rules->everything)
        return false;
    return __builtin_sub_overflow(rules->now_ms, row->max_timestamp_ms, &age) ||
           age < rules->min_lag_ms;
}

static bool plan_is_late(const struct kfl__segment_row *row, const struct kfl__compact_rules *rules)
{
    int64_t age;
    if (row->first_timestamp_ms < 0 || rules->max_lag_ms == INT64_MAX)
        return false;
    return !__builtin_sub_overflow(rules->now_ms, row->first_timestamp_ms, &age) &&
           age > rules->max_lag_ms;
}

static enum kfl__compact_why plan_judge(const struct kfl__compact_plan *plan,
                                        const struct kfl__compact_rules *rules, bool late,
                                        bool expired)
{
    if (!rules->compacts)
        return KFL_COMPACT_WHY_POLICY;
    if (rules->everything && plan->count > 0)
        return KFL_COMPACT_WHY_FORCED;
    if (plan->dirty_bytes > 0) {
        double ratio = (double)plan->dirty_bytes / (double)(plan->dirty_bytes + plan->clean_bytes);
        if (ratio * 1000000 >= (double)rules->ratio_millionths)
            return KFL_COMPACT_WHY_DIRTY;
        if (late)
            return KFL_COMPACT_WHY_LAG;
        return rules->force ? KFL_COMPACT_WHY_FORCED : KFL_COMPACT_WHY_RATIO;
    }
    return rules->force && expired ? KFL_COMPACT_WHY_TOMBSTONES : KFL_COMPACT_WHY_CLEAN;
}

struct kfl__compact_plan kfl__compact_plan(const struct kfl__segment_row *rows, int32_t count,
                                           const struct kfl__compact_rules *rules)
{
    struct kfl__compact_plan plan = {.first_dirty = -1};
    bool late = false, expired = false;
    for (; plan.count < count; plan.count++) {
        const struct kfl__segment_row *row = &rows[plan.count];
        bool dirty = plan.first_dirty >= 0 || row->clean_offset < row->end_offset;
        if (row->state != KFL_SEGMENT_ROW_SEALED || row->used < 0)
            break;
        if (dirty && plan_is_too_young(row, rules)) {
            plan.stopped_by_lag = true;
            break;
        }
        if (dirty) {
            plan.dirty_bytes += row->used;
            late = late || plan_is_late(row, rules);
            if (plan.first_dirty < 0)
                plan.first_dirty = plan.count;
        } else {
            plan.clean_bytes += row->used;
        }
        expired = expired || (row->horizon_ms > 0 && row->horizon_ms <= rules->now_ms);
    }
    if (plan.first_dirty < 0)
        plan.first_dirty = plan.count;
    plan.why = plan_judge(&plan, rules, late, expired);
    return plan;
}

struct kfl__compact_rules kfl__compact_rules(const struct kfl__partition *partition, bool force)
{
    const struct kfl__settings *settings = kfl__topic_shape(partition->topic)->settings;
    return (struct kfl__compact_rules){
        .compacts = (settings->cleanup_policy & KFL_CLEANUP_COMPACT) != 0,
        .force = force,
        .now_ms = kfl__clock_wall_ms(&partition->core->clock),
        .min_lag_ms = settings->min_compaction_lag_ms,
        .max_lag_ms = settings->max_compaction_lag_ms,
        .ratio_millionths = settings->min_cleanable_dirty_ratio,
    };
}
