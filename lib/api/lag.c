/* SPDX-License-Identifier: MIT */
/* How far behind a place in a partition is: in records, and by the time of the first one that is not read. */
#include <string.h>

#include "api/records.h"
#include "api/store.h"
#include "engine/topics.h"

/* The time of the first record at the cursor or behind it: 1, 0 when there is none, or an error. */
static int lag_find(struct kfl__cursor *cursor, struct kfl_records *records, int64_t *out_timestamp_ms)
{
    for (;;) {
        int r = kfl__cursor_batch(cursor);
        if (r == KFL_CURSOR_HOLE)
            continue; /* what is damaged is not waited for */
        if (r != KFL_CURSOR_BATCH)
            return r;
        r = kfl__records_take(records, cursor, INT64_MAX, "", cursor->partition->number);
        if (r == KFL_E_CORRUPT)
            kfl__cursor_pass(cursor);
        else if (r < 0)
            return r;
        if (kfl_records_count(records) > 0) {
            *out_timestamp_ms = kfl_records_get(records, 0)->timestamp_ms;
            return 1;
        }
    }
}

static int lag_time(kfl_store *store, struct kfl__partition *partition, int64_t offset, int64_t *out_ms)
{
    struct kfl__cursor cursor;
    kfl_records *records = NULL;
    int64_t timestamp_ms = 0;
    int r = kfl__records_create(NULL, 1, &records);
    if (r < 0)
        return r;
    kfl__cursor_init(&cursor, partition, offset, false);
    r = lag_find(&cursor, records, &timestamp_ms);
    kfl__cursor_close(&cursor);
    kfl_records_release(records);
    if (r == 1) {
        int64_t now_ms = kfl__clock_wall_ms(&store->core->clock);
        *out_ms = timestamp_ms < now_ms ? now_ms - timestamp_ms : 0;
    }
    return r;
}

static int lag_measure(kfl_store *store, struct kfl__partition *partition, int64_t offset, int64_t *out_records,
                       int64_t *out_ms)
{
    struct kfl__slot *slot = partition->slot;
    for (;;) {
        int64_t start = kfl__partition_start(partition), end = kfl__slot_end(slot), from = offset < start ? start : offset;
        *out_records = from < end ? end - from : 0;
        *out_ms = 0;
        if (*out_records == 0)
            return 0;
        int r = lag_time(store, partition, from, out_ms);
        if (r != KFL_E_OFFSET_OUT_OF_RANGE || from >= atomic_load(&slot->start_offset))
            return r < 0 ? r : 1;
        /* It was deleted between the two looks. */
    }
}

int kfl_topic_lag(kfl_store *store, const char *name, int32_t number, int64_t offset, int64_t *out_records, int64_t *out_ms)
{
    struct kfl__topic *topic = NULL;
    struct kfl__partition *partition;
    int64_t records = 0, ms = 0;
    int r = kfl__store_check(store);
    if (r == 0 && (name == NULL || offset < 0))
        r = kfl__fail(KFL_E_INVALID, "kfl_topic_lag: %s", name == NULL ? "the topic name is NULL" : "the offset is none");
    if (r == 0)
        r = kfl__core_enter(store->core);
    if (r < 0)
        return r;
    r = kfl__store_partition(store, name, number, &topic, &partition);
    if (r == 0)
        r = lag_measure(store, partition, offset, &records, &ms);
    if (r >= 0 && out_records != NULL)
        *out_records = records;
    if (r >= 0 && out_ms != NULL)
        *out_ms = ms;
    kfl__topic_release(topic);
    kfl__core_leave(store->core);
    return r;
}
