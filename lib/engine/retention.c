/* SPDX-License-Identifier: MIT */
/*
 * Retention by time and size.
 *
 * The plan is pure and is Kafka's: whole segments, from the oldest on, up to the first that must stay. So a
 * record with a time in the future protects everything behind it, and the file that takes appends is not
 * spared: when all are expired an empty one is rolled, and a partition that nobody writes to empties. What
 * was planned is carried out as a deletion of a prefix (engine/trim), which first makes durable what it
 * speaks of.
 */
#include "engine/retention.h"

#include "base/fault.h"
#include "base/memory.h"
#include "engine/hold.h"
#include "engine/segments.h"
#include "engine/sync.h"
#include "engine/topics.h"

/* ---- the plan ---- */

static bool retention_is_empty(const struct kfl__retention_segment *segment)
{
    return segment->active && segment->end_offset <= segment->base_offset;
}

/* The time that counts: its own, or where that is not known the one of the next segment that has one. */
static int64_t retention_time(const struct kfl__retention_segment *segments, int32_t count,
                              int32_t i)
{
    while (i < count && segments[i].max_timestamp_ms < 0)
        i++;
    return i < count ? segments[i].max_timestamp_ms : -1;
}

/* Strictly older. A difference that overflows is that of a time before 1970 and of one far away. */
static bool retention_is_old(int64_t now_ms, int64_t time_ms, int64_t retention_ms)
{
    int64_t age;
    if (time_ms < 0)
        return false;
    return !__builtin_sub_overflow(now_ms, time_ms, &age) && age > retention_ms;
}

static int32_t retention_by_start(struct kfl__retention_segment *segments, int32_t count,
                                  int64_t start_offset)
{
    int32_t n = 0;
    while (n < count && !segments[n].active && segments[n].end_offset <= start_offset)
        segments[n++].why = KFL_RETENTION_DELETED;
    return n;
}

static bool retention_is_held(const struct kfl__retention_segment *segment,
                              const struct kfl__retention_rules *rules)
{
    return segment->end_offset > rules->hold_offset;
}

static int32_t retention_by_size(struct kfl__retention_segment *segments, int32_t from,
                                 int32_t count, const struct kfl__retention_rules *rules)
{
    int64_t size = 0;
    for (int32_t i = from; i < count; i++)
        size += segments[i].bytes;
    int32_t n = from;
    for (; n < count && !retention_is_empty(&segments[n]) &&
           !retention_is_held(&segments[n], rules) &&
           size - segments[n].bytes >= rules->retention_bytes;
         n++) {
        size -= segments[n].bytes;
        segments[n].why = KFL_RETENTION_SIZE;
    }
    return n;
}

static int32_t retention_by_time(struct kfl__retention_segment *segments, int32_t from,
                                 int32_t count, const struct kfl__retention_rules *rules)
{
    int32_t n = from;
    for (; n < count && !retention_is_empty(&segments[n]) &&
           !retention_is_held(&segments[n], rules) &&
           retention_is_old(rules->now_ms, retention_time(segments, count, n), rules->retention_ms);
         n++)
        segments[n].why = KFL_RETENTION_TIME;
    return n;
}

/* Where nothing else says when records that were consumed go. A file that takes appends is left to fill. */
static int32_t retention_by_progress(struct kfl__retention_segment *segments, int32_t from,
                                     int32_t count, const struct kfl__retention_rules *rules)
{
    int32_t n = from;
    for (; n < count && !segments[n].active && !retention_is_held(&segments[n], rules); n++)
        segments[n].why = KFL_RETENTION_CONSUMED;
    return n;
}

/* Why the first that stays does. */
static enum kfl__retention_why retention_stays(const struct kfl__retention_segment *segment,
                                               const struct kfl__retention_rules *rules)
{
    if (!rules->deletes)
        return KFL_RETENTION_POLICY;
    if (retention_is_empty(segment))
        return KFL_RETENTION_EMPTY;
    if (retention_is_held(segment, rules))
        return KFL_RETENTION_HELD;
    if (rules->retention_ms >= 0)
        return KFL_RETENTION_YOUNG;
    return rules->retention_bytes >= 0 ? KFL_RETENTION_SMALL : KFL_RETENTION_NO_LIMIT;
}

int32_t kfl__retention_plan(struct kfl__retention_segment *segments, int32_t count,
                            const struct kfl__retention_rules *rules)
{
    int32_t n = 0;
    if (rules->deletes) {
        n = retention_by_start(segments, count, rules->start_offset);
        if (rules->retention_bytes >= 0)
            n = retention_by_size(segments, n, count, rules);
        if (rules->retention_ms >= 0)
            n = retention_by_time(segments, n, count, rules);
        if (rules->retention_bytes < 0 && rules->retention_ms < 0 &&
            rules->hold_offset != INT64_MAX)
            n = retention_by_progress(segments, n, count, rules);
    }
    for (int32_t i = n; i < count; i++)
        segments[i].why =
            i == n || !rules->deletes ? retention_stays(&segments[i], rules) : KFL_RETENTION_BEHIND;
    return n;
}

/* ---- what it needs ---- */

static void retention_fill_active(struct kfl__slot *slot, struct kfl__retention_segment *segment)
{
    uint64_t word;
    kfl__slot_tail(slot, &word, &segment->end_offset);
    segment->active = true;
    segment->bytes =
        kfl__word_place(word) > KFL_SEGMENT_FIRST_PLACE ? (int64_t)kfl__word_place(word) : 0;
    /* Before a batch is published its time is noted: what is told here is never too early. */
    segment->max_timestamp_ms = atomic_load(&slot->active_max_timestamp_ms);
}

int kfl__retention_look(struct kfl__partition *partition, struct kfl__retention_rules *out_rules,
                        struct kfl__retention_segment **out_segments, int32_t *out_count)
{
    const struct kfl__settings *settings = kfl__topic_shape(partition->topic)->settings;
    struct kfl__slot *slot = partition->slot;
    struct kfl__segment_row *rows = NULL;
    int64_t active;
    int32_t count = 0;
    int r = kfl__segments_in_order(partition, &rows, &count, &active);
    if (r < 0)
        return r;
    struct kfl__retention_segment *segments = kfl__alloc_array((size_t)count + 1, sizeof *segments);
    if (segments == NULL) {
        kfl__free(rows);
        return kfl__fail(KFL_E_NOMEM, "a list of %d segments: out of memory", count);
    }
    for (int32_t i = 0; r >= 0 && i < count; i++) {
        struct kfl__segment_row *row = &rows[i];
        /* Full, and no sync has moved behind it yet that would complete its row. */
        if (row->state != KFL_SEGMENT_ROW_SEALED && row->segment_id != active)
            r = kfl__partition_measure(partition, row);
        if (r == KFL_E_IO)
            r = 0; /* it has the time of the one behind it, as a damaged one has, and keeps none of the others */
        segments[i] = (struct kfl__retention_segment){
            .segment_id = row->segment_id,
            .base_offset = row->base_offset,
            .end_offset = row->end_offset,
            .bytes = row->used >= 0 ? row->used : row->size,
            .max_timestamp_ms = row->max_timestamp_ms,
        };
        if (row->segment_id == active)
            retention_fill_active(slot, &segments[i]);
        else if (row->end_offset < 0)
            segments[i].end_offset = i + 1 < count ? rows[i + 1].base_offset : kfl__slot_end(slot);
    }
    kfl__free(rows);
    if (r < 0) {
        kfl__free(segments);
        return r;
    }
    struct kfl__hold hold;
    r = kfl__hold_look(partition, &hold);
    if (r < 0) {
        kfl__free(segments);
        return r;
    }
    *out_rules = (struct kfl__retention_rules){
        .deletes = (settings->cleanup_policy & KFL_CLEANUP_DELETE) != 0,
        .now_ms = kfl__clock_wall_ms(&partition->core->clock),
        .retention_ms = settings->retention_ms,
        .retention_bytes = settings->retention_bytes,
        .start_offset = atomic_load(&slot->start_offset),
        .hold_offset = hold.offset,
    };
    *out_segments = segments;
    *out_count = count;
    return 0;
}

/* ---- bringing it about ---- */

static int retention_delete(struct kfl__partition *partition,
                            const struct kfl__retention_segment *segments, int32_t count,
                            int64_t start_offset, struct kfl__retention_done *done)
{
    const struct kfl__retention_segment *last = &segments[count - 1];
    int64_t start;
    int r = last->active ? kfl__partition_roll(partition, last->segment_id, last->end_offset) : 0;
    if (r == KFL_PARTITION_MOVED || (r == KFL_E_NO_SPACE && count > 1)) {
        /* It took an append meanwhile, which is as young as can be; or those before it have to go first. */
        count--;
        r = 0;
    }
    if (r < 0 || count == 0)
        return r;
    KFL_STEP("retention.rolled");
    r = kfl__partition_trim_held(partition, segments[count - 1].end_offset, &start);
    if (r == KFL_PARTITION_HELD)
        return 0; /* a group went back meanwhile */
    if (r == 0 && segments[count - 1].end_offset <= start_offset)
        r = kfl__partition_drop_files(partition);
    for (int32_t i = 0; r == 0 && i < count; i++) {
        done->segments++;
        done->bytes += segments[i].bytes;
    }
    return r;
}

int kfl__retention_run(struct kfl__partition *partition, struct kfl__retention_done *done)
{
    const struct kfl__settings *settings = kfl__topic_shape(partition->topic)->settings;
    struct kfl__retention_rules rules;
    struct kfl__retention_segment *segments = NULL;
    int32_t count = 0;
    if ((settings->cleanup_policy & KFL_CLEANUP_DELETE) == 0 ||
        (settings->retention_ms < 0 && settings->retention_bytes < 0 &&
         !kfl__hold_is_set(settings)))
        return 0;
    int r = kfl__partition_recovered(partition);
    if (r == 0)
        r = kfl__partition_complete_rows(partition);
    if (r == 0 || r == KFL_E_IO) /* of a file that cannot be read; what goes is known to be durable before it does */
        r = kfl__retention_look(partition, &rules, &segments, &count);
    if (r == 0)
        count = kfl__retention_plan(segments, count, &rules);
    if (r == 0 && count > 0)
        r = retention_delete(partition, segments, count, rules.start_offset, done);
    kfl__free(segments);
    return r;
}
