/* SPDX-License-Identifier: MIT */
/* retain, compact, vacuum, forget: what goes, when, and why not more. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "call.h"
#include "moment.h"
#include "output.h"
#include "text.h"

/* Calls visit for the topics named, or for all. The first status that is not OK ends it. */
static int each_topic(struct call *call,
                      int (*visit)(struct call *call, const char *topic, void *context),
                      void *context)
{
    int status = STATUS_OK;
    for (int i = 0; status == STATUS_OK && i < call->argument_count; i++) {
        int32_t partitions;
        status = call_topic(call, call->arguments[i], &partitions);
        if (status == STATUS_OK)
            status = visit(call, call->arguments[i], context);
    }
    if (call->argument_count > 0)
        return status;
    kfl_names *names = NULL;
    int r = kfl_topic_list(call->store, &names);
    if (r < 0)
        return call_failed(r);
    for (int32_t i = 0; status == STATUS_OK && i < kfl_names_count(names); i++)
        status = visit(call, kfl_names_get(names, i), context);
    kfl_names_release(names);
    return status;
}

/* ---- plans ---- */

static const struct column plan_columns[] = {
    {"topic", "TOPIC", COLUMN_TEXT},       {"partition", "PARTITION", COLUMN_NUMBER},
    {"segment", "SEGMENT", COLUMN_NUMBER}, {"base_offset", "FIRST", COLUMN_COUNT},
    {"end_offset", "END", COLUMN_COUNT},   {"bytes", "SIZE", COLUMN_BYTES},
    {"why", "WHY", COLUMN_TEXT},           {NULL, NULL, 0}};

struct plan_wish {
    json_t *rows;
    int kind;
    int all; /* those that stay too */
};

static int add_plan(struct call *call, const char *topic, void *context)
{
    struct plan_wish *wish = context;
    kfl_plan *plan = NULL;
    int r = kfl_topic_plan(call->store, topic, wish->kind, &plan);
    if (r < 0)
        return call_failed(r);
    for (int32_t i = 0; i < kfl_plan_count(plan); i++) {
        const kfl_plan_row *row = kfl_plan_get(plan, i);
        if (row->goes != 0 || wish->all)
            json_array_append_new(
                wish->rows,
                need_json(json_pack(
                    "{s:s, s:i, s:I, s:I, s:I, s:I, s:b, s:s}", "topic", row->topic, "partition",
                    (int)row->partition, "segment", (json_int_t)row->segment_id, "base_offset",
                    (json_int_t)row->base_offset, "end_offset", (json_int_t)row->end_offset,
                    "bytes", (json_int_t)row->bytes, "goes", (int)row->goes, "why", row->text)));
    }
    kfl_plan_release(plan);
    return STATUS_OK;
}

static int show_plan(struct call *call, int kind)
{
    struct plan_wish wish = {need_json(json_array()), kind, call_option(call, "explain") != NULL};
    int status = each_topic(call, add_plan, &wish);
    if (status != STATUS_OK) {
        json_decref(wish.rows);
        return status;
    }
    output_rows("segments", plan_columns, wish.rows);
    return STATUS_OK;
}

/* ---- retain ---- */

static int retain_topic(struct call *call, const char *topic, void *context)
{
    json_t *rows = context;
    kfl_progress progress;
    int r = kfl_topic_retain(call->store, topic, &progress);
    if (r < 0)
        return call_failed(r);
    json_array_append_new(rows, need_json(json_pack("{s:s, s:I, s:I}", "topic", topic, "segments",
                                                    (json_int_t)progress.deleted_segments, "bytes",
                                                    (json_int_t)progress.deleted_bytes)));
    return STATUS_OK;
}

int run_retain(struct call *call)
{
    static const struct column columns[] = {{"topic", "TOPIC", COLUMN_TEXT},
                                            {"segments", "DELETED", COLUMN_COUNT},
                                            {"bytes", "FREED", COLUMN_BYTES},
                                            {NULL, NULL, 0}};
    int look = call_option(call, "dry-run") != NULL || call_option(call, "explain") != NULL;
    int status = call_open(call, look ? OPEN_TO_READ : OPEN_TO_WRITE);
    if (status != STATUS_OK)
        return status;
    if (look)
        return show_plan(call, KFL_PLAN_RETENTION);
    json_t *rows = need_json(json_array());
    status = each_topic(call, retain_topic, rows);
    if (status == STATUS_OK)
        output_rows("topics", columns, rows);
    else
        json_decref(rows);
    return status;
}

/* ---- compact ---- */

/* Redrawn where people look. */
static void draw_progress(const char *topic, const kfl_progress *progress)
{
    if (!isatty(STDERR_FILENO) || progress->total_bytes <= 0)
        return;
    fprintf(stderr, "\r%s/%" PRId32 " %3.0f%%", topic, progress->partition,
            100.0 * (double)progress->read_bytes / (double)progress->total_bytes);
    fflush(stderr);
}

static void end_progress(void)
{
    if (isatty(STDERR_FILENO))
        fputs("\r\033[K", stderr);
}

struct compact_wish {
    json_t *rows;
    int flags;
    int named; /* topics were: one that is not compacted is an error then */
};

static int compact_topic(struct call *call, const char *topic, void *context)
{
    const struct compact_wish *wish = context;
    kfl_progress progress = {0};
    int r;
    do {
        r = kfl_topic_compact(call->store, topic, wish->flags, 200, &progress);
        draw_progress(topic, &progress);
    } while (r == 1 && !call_stopped());
    end_progress();
    if (r == KFL_E_POLICY_VIOLATION && !wish->named)
        return STATUS_OK;
    if (r < 0)
        return call_failed(r);
    json_array_append_new(wish->rows,
                          need_json(json_pack("{s:s, s:I, s:I, s:I, s:I, s:I}", "topic", topic,
                                              "segments", (json_int_t)progress.compacted_segments,
                                              "kept", (json_int_t)progress.kept_records,
                                              "tombstones", (json_int_t)progress.kept_tombstones,
                                              "removed", (json_int_t)progress.removed_records,
                                              "freed", (json_int_t)progress.freed_bytes)));
    return STATUS_OK;
}

int run_compact(struct call *call)
{
    static const struct column columns[] = {{"topic", "TOPIC", COLUMN_TEXT},
                                            {"segments", "SEGMENTS", COLUMN_COUNT},
                                            {"kept", "KEPT", COLUMN_COUNT},
                                            {"tombstones", "TOMBSTONES", COLUMN_COUNT},
                                            {"removed", "REMOVED", COLUMN_COUNT},
                                            {"freed", "FREED", COLUMN_BYTES},
                                            {NULL, NULL, 0}};
    int dry = call_option(call, "dry-run") != NULL;
    struct compact_wish wish = {
        .flags = KFL_COMPACT_FORCE | (call_option(call, "roll") != NULL ? KFL_COMPACT_ROLL : 0) |
                 (dry ? KFL_COMPACT_DRY_RUN : 0),
        .named = call->argument_count > 0,
    };
    int status = call_open(call, OPEN_TO_WRITE);
    if (status != STATUS_OK)
        return status;
    if (call_option(call, "explain") != NULL)
        return show_plan(call, call_option(call, "force") != NULL ? KFL_PLAN_FORCED_COMPACTION
                                                                  : KFL_PLAN_COMPACTION);
    wish.rows = need_json(json_array());
    status = each_topic(call, compact_topic, &wish);
    if (status == STATUS_OK)
        output_rows("topics", columns, wish.rows);
    else
        json_decref(wish.rows);
    if (status == STATUS_OK && dry)
        say("nothing changed: without --dry-run it is done");
    return status;
}

/* ---- vacuum ---- */

/* A segment that may go, oldest first by its newest record. */
struct old_segment {
    char *topic;
    int32_t partition;
    int64_t end_offset, bytes, time_ms;
};

struct vacuum {
    struct old_segment *segments;
    size_t count;
    int64_t bytes; /* of all, those that cannot go too */
};

/* Those of a partition in order: a segment counts as no older than one in front of it. */
static int list_partition(struct call *call, struct vacuum *vacuum, const char *topic,
                          int32_t partition, int deletable)
{
    kfl_segments *segments = NULL;
    int64_t time_ms = -1;
    int r = kfl_segments_list(call->store, topic, partition, &segments);
    if (r < 0)
        return call_failed(r);
    for (int32_t i = 0; i < kfl_segments_count(segments); i++) {
        const kfl_segment *segment = kfl_segments_get(segments, i);
        vacuum->bytes += segment->used_bytes;
        if (segment->max_timestamp_ms > time_ms)
            time_ms = segment->max_timestamp_ms;
        if (segment->state != KFL_SEGMENT_SEALED || !deletable)
            continue;
        vacuum->segments = need_room(vacuum->segments, vacuum->count, sizeof *vacuum->segments);
        vacuum->segments[vacuum->count++] = (struct old_segment){
            need(strdup(topic)), partition, segment->end_offset, segment->used_bytes, time_ms};
    }
    kfl_segments_release(segments);
    return STATUS_OK;
}

static int list_topic(struct call *call, const char *topic, void *context)
{
    struct vacuum *vacuum = context;
    kfl_config *config = NULL;
    int r = kfl_topic_config(call->store, topic, &config);
    if (r < 0)
        return call_failed(r);
    int deletable = strstr(kfl_config_get(config, "cleanup.policy"), "delete") != NULL;
    kfl_config_destroy(config);
    int32_t partitions = kfl_topic_partition_count(call->store, topic);
    int status = partitions < 0 ? call_failed(partitions) : STATUS_OK;
    for (int32_t i = 0; status == STATUS_OK && i < partitions; i++)
        status = list_partition(call, vacuum, topic, i, deletable);
    return status;
}

static int compare_segments(const void *a, const void *b)
{
    const struct old_segment *one = a, *other = b;
    if (one->time_ms != other->time_ms)
        return one->time_ms < other->time_ms ? -1 : 1;
    int topic = strcmp(one->topic, other->topic);
    if (topic != 0)
        return topic;
    if (one->partition != other->partition)
        return one->partition < other->partition ? -1 : 1;
    return one->end_offset < other->end_offset ? -1 : one->end_offset > other->end_offset;
}

/* "2G", "500M", "64K", "1000". -1: none of them. */
static int64_t parse_size(const char *text)
{
    char *end;
    double number = strtod(text, &end);
    static const char units[] = "KMGT";
    const char *unit = *end == '\0' ? NULL : strchr(units, *end);
    if (end == text || number < 0 || number > 1e18 ||
        (*end != '\0' && (unit == NULL || end[1] != '\0')))
        return -1;
    for (long i = unit == NULL ? -1 : unit - units; i >= 0; i--)
        number *= 1024;
    return number < 9e18 ? (int64_t)number : -1;
}

static int vacuum_run(struct call *call, const struct vacuum *vacuum, int64_t size,
                      int64_t before_ms, int execute)
{
    static const struct column columns[] = {{"topic", "TOPIC", COLUMN_TEXT},
                                            {"partition", "PARTITION", COLUMN_NUMBER},
                                            {"new_start_offset", "NEW-START", COLUMN_COUNT},
                                            {"bytes", "SIZE", COLUMN_BYTES},
                                            {"time", "NEWEST", COLUMN_TIME},
                                            {NULL, NULL, 0}};
    json_t *rows = need_json(json_array());
    int64_t left = vacuum->bytes;
    for (size_t i = 0; i < vacuum->count; i++) {
        const struct old_segment *segment = &vacuum->segments[i];
        if ((size >= 0 && left <= size) || (before_ms >= 0 && segment->time_ms >= before_ms))
            break;
        int r = execute ? kfl_topic_delete_records(call->store, segment->topic, segment->partition,
                                                   segment->end_offset, NULL)
                        : 0;
        if (r < 0) {
            json_decref(rows);
            return call_failed(r);
        }
        left -= segment->bytes;
        json_array_append_new(
            rows, need_json(json_pack(
                      "{s:s, s:i, s:I, s:I, s:I}", "topic", segment->topic, "partition",
                      (int)segment->partition, "new_start_offset", (json_int_t)segment->end_offset,
                      "bytes", (json_int_t)segment->bytes, "time", (json_int_t)segment->time_ms)));
    }
    output_rows("segments", columns, rows);
    if (!execute)
        say("nothing changed; add --execute");
    return STATUS_OK;
}

/* "7d" is older than seven days, as "-7d" is: what is to come is not looked for. */
static int parse_age(const char *text, int64_t *out_before_ms)
{
    int64_t age_ms;
    if (moment_parse(text, out_before_ms))
        return 1;
    if (!moment_parse_duration(text, &age_ms))
        return 0;
    *out_before_ms = moment_now_ms() - age_ms;
    return 1;
}

int run_vacuum(struct call *call)
{
    const char *size_text = call_option(call, "size"), *time_text = call_option(call, "time");
    int execute = call_option(call, "execute") != NULL;
    int64_t size = -1, before_ms = -1;
    struct vacuum vacuum = {0};
    if ((size_text == NULL) == (time_text == NULL))
        return call_misused(call, "give --size SIZE or --time TIME");
    if (size_text != NULL && (size = parse_size(size_text)) < 0)
        return call_misused(call, "\"%s\" is no size: 2G, 500M, 64K or a number of bytes",
                            size_text);
    if (time_text != NULL && !parse_age(time_text, &before_ms))
        return call_misused(call, "\"%s\" is no time: 7d, 12h, 2026-11-20", time_text);
    int status = call_open(call, execute ? OPEN_TO_WRITE : OPEN_TO_READ);
    if (status == STATUS_OK)
        status = each_topic(call, list_topic, &vacuum);
    if (status == STATUS_OK) {
        if (vacuum.count > 0)
            qsort(vacuum.segments, vacuum.count, sizeof *vacuum.segments, compare_segments);
        status = vacuum_run(call, &vacuum, size, before_ms, execute);
    }
    for (size_t i = 0; i < vacuum.count; i++)
        free(vacuum.segments[i].topic);
    free(vacuum.segments);
    return status;
}

/* ---- forget ---- */

int run_forget(struct call *call)
{
    const char *topic = call->arguments[0], *key = call->arguments[1];
    int64_t records = 0;
    int32_t partitions;
    int status = call_open(call, OPEN_TO_WRITE);
    if (status == STATUS_OK)
        status = call_topic(call, topic, &partitions);
    if (status != STATUS_OK)
        return status;
    if (call_option(call, "execute") == NULL) {
        say("every record of key \"%s\" would go from topic %s (partitions: %" PRId32
            "), and it be compacted; nothing changed; add --execute",
            key, topic, partitions);
        return STATUS_OK;
    }
    int r = kfl_topic_forget(call->store, topic, key, strlen(key), &records);
    if (r < 0)
        return call_failed(r);
    static const struct column columns[] = {{"topic", "TOPIC", COLUMN_TEXT},
                                            {"key", "KEY", COLUMN_TEXT},
                                            {"records", "FORGOTTEN", COLUMN_COUNT},
                                            {NULL, NULL, 0}};
    output_rows("keys", columns,
                need_json(json_pack("[{s:s, s:s, s:I}]", "topic", topic, "key", key, "records",
                                    (json_int_t)records)));
    return STATUS_OK;
}
