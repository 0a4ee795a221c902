/* SPDX-License-Identifier: MIT */
/*
 * offsets and trim: where partitions begin and end, where a time lies, and moving the beginning.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "call.h"
#include "moment.h"
#include "output.h"
#include "target.h"

enum { ASK_ALL, ASK_EARLIEST, ASK_LATEST, ASK_TIME, ASK_MAX_TIMESTAMP };

/* What one partition answers: an offset and a time, null where there is none. */
static int answer(struct call *call, const struct target *target, int asked, int64_t time_ms,
                  json_t *row)
{
    int64_t offset = asked == ASK_LATEST ? target->end_offset : target->start_offset;
    int64_t timestamp = -1;
    int r = 1;
    if (asked == ASK_TIME)
        r = kfl_topic_offset_for_time(call->store, target->topic, target->partition, time_ms,
                                      &offset, &timestamp);
    else if (asked == ASK_MAX_TIMESTAMP)
        r = kfl_topic_max_timestamp(call->store, target->topic, target->partition, &offset,
                                    &timestamp);
    if (r < 0)
        return call_failed(r);
    json_object_set_new(row, "offset", r > 0 ? json_integer(offset) : json_null());
    if (asked == ASK_TIME || asked == ASK_MAX_TIMESTAMP)
        json_object_set_new(row, "timestamp", r > 0 ? json_integer(timestamp) : json_null());
    return STATUS_OK;
}

static int describe(struct call *call, const struct target *target, json_t *row)
{
    int64_t durable;
    int r = kfl_topic_durable_offset(call->store, target->topic, target->partition, &durable);
    if (r < 0)
        return call_failed(r);
    json_object_set_new(row, "start_offset", json_integer(target->start_offset));
    json_object_set_new(row, "end_offset", json_integer(target->end_offset));
    json_object_set_new(row, "durable_offset", json_integer(durable));
    return STATUS_OK;
}

static const struct column *columns_of(int asked)
{
    static const struct column all[] = {{"topic", "TOPIC", COLUMN_TEXT},
                                        {"partition", "PARTITION", COLUMN_NUMBER},
                                        {"start_offset", "LOG-START", COLUMN_COUNT},
                                        {"end_offset", "LOG-END", COLUMN_COUNT},
                                        {"durable_offset", "DURABLE", COLUMN_COUNT},
                                        {NULL, NULL, 0}};
    static const struct column one[] = {{"topic", "TOPIC", COLUMN_TEXT},
                                        {"partition", "PARTITION", COLUMN_NUMBER},
                                        {"offset", "OFFSET", COLUMN_COUNT},
                                        {NULL, NULL, 0}};
    static const struct column timed[] = {{"topic", "TOPIC", COLUMN_TEXT},
                                          {"partition", "PARTITION", COLUMN_NUMBER},
                                          {"offset", "OFFSET", COLUMN_COUNT},
                                          {"timestamp", "TIMESTAMP", COLUMN_TIME},
                                          {NULL, NULL, 0}};
    if (asked == ASK_ALL)
        return all;
    return asked == ASK_TIME || asked == ASK_MAX_TIMESTAMP ? timed : one;
}

int run_offsets(struct call *call)
{
    static const char *const names[] = {"earliest", "latest", "at", "max-timestamp"};
    int asked = ASK_ALL;
    int64_t time_ms = 0;
    for (int i = 0; i < 4; i++) {
        if (call_option(call, names[i]) != NULL) {
            if (asked != ASK_ALL)
                return call_misused(call, "--%s or --%s, not both", names[asked - 1], names[i]);
            asked = i + 1;
        }
    }
    if (asked == ASK_TIME && !moment_parse(call_option(call, "at"), &time_ms))
        return call_misused(call, "\"%s\" is no time", call_option(call, "at"));
    struct target *targets = NULL;
    size_t count = 0;
    json_t *rows = need_json(json_array());
    int status = call_open(call, OPEN_TO_READ);
    if (status == STATUS_OK)
        status = target_list(call, call->arguments, call->argument_count, &targets, &count);
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        json_t *row = need_json(json_pack("{s:s, s:i}", "topic", targets[i].topic, "partition",
                                          (int)targets[i].partition));
        json_array_append_new(rows, row);
        status = asked == ASK_ALL ? describe(call, &targets[i], row)
                                  : answer(call, &targets[i], asked, time_ms, row);
    }
    if (status == STATUS_OK)
        output_rows("offsets", columns_of(asked), rows);
    else
        json_decref(rows);
    free(targets);
    return status;
}

/* Where a partition would begin; its own start when the point lies below it. */
static int plan_trim(struct call *call, const struct target *target, struct point before,
                     json_t *rows)
{
    int64_t new_start;
    int status = point_find(call, target, before, &new_start);
    if (status != STATUS_OK)
        return status;
    if (new_start > target->end_offset) {
        say("offset %" PRId64 " is above the end of %s/%" PRId32 ", which is %" PRId64, new_start,
            target->topic, target->partition, target->end_offset);
        return STATUS_MISSING;
    }
    if (new_start < target->start_offset)
        new_start = target->start_offset;
    json_array_append_new(rows,
                          need_json(json_pack("{s:s, s:i, s:I, s:I, s:I}", "topic", target->topic,
                                              "partition", (int)target->partition, "start_offset",
                                              (json_int_t)target->start_offset, "new_start_offset",
                                              (json_int_t)new_start, "records",
                                              (json_int_t)(new_start - target->start_offset))));
    return STATUS_OK;
}

static int run_plan(struct call *call, json_t *rows)
{
    json_t *row;
    size_t index;
    json_array_foreach(rows, index, row)
    {
        int64_t start;
        int r = kfl_topic_delete_records(
            call->store, call->arguments[0],
            (int32_t)json_integer_value(json_object_get(row, "partition")),
            json_integer_value(json_object_get(row, "new_start_offset")), &start);
        if (r < 0)
            return call_failed(r);
        json_object_set_new(row, "new_start_offset", json_integer(start));
    }
    return STATUS_OK;
}

int run_trim(struct call *call)
{
    static const struct column columns[] = {{"topic", "TOPIC", COLUMN_TEXT},
                                            {"partition", "PARTITION", COLUMN_NUMBER},
                                            {"start_offset", "LOG-START", COLUMN_COUNT},
                                            {"new_start_offset", "NEW-START", COLUMN_COUNT},
                                            {"records", "RECORDS", COLUMN_COUNT},
                                            {NULL, NULL, 0}};
    int execute = call_option(call, "execute") != NULL;
    struct point before;
    struct target *targets = NULL;
    size_t count = 0;
    if (call_option(call, "before") == NULL)
        return call_misused(call, "--before POINT is missing");
    int status = point_option(call, "before", (struct point){POINT_BEGINNING, 0}, &before);
    if (status == STATUS_OK && before.kind == POINT_STORED)
        return call_misused(call, "--before takes an offset, -N, @TIME or end");
    json_t *rows = need_json(json_array());
    if (status == STATUS_OK)
        status = call_open(call, execute ? OPEN_TO_WRITE : OPEN_TO_READ);
    if (status == STATUS_OK)
        status = target_list(call, call->arguments, 1, &targets, &count);
    if (status == STATUS_OK && before.kind == POINT_OFFSET && count > 1)
        status = call_misused(call, "an offset means one partition: name it with -p");
    for (size_t i = 0; i < count && status == STATUS_OK; i++)
        status = plan_trim(call, &targets[i], before, rows);
    if (status == STATUS_OK && execute)
        status = run_plan(call, rows);
    if (status == STATUS_OK)
        output_rows("partitions", columns, rows);
    else
        json_decref(rows);
    if (status == STATUS_OK && !execute)
        say("nothing changed; add --execute");
    free(targets);
    return status;
}
