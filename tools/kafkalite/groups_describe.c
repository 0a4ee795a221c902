/* SPDX-License-Identifier: MIT */
/*
 * groups describe: a row for each partition, topic or member of a group; once, or again and again.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "call.h"
#include "groups.h"
#include "moment.h"
#include "output.h"

static const struct column offset_columns[] = {{"group", "GROUP", COLUMN_TEXT},
                                               {"topic", "TOPIC", COLUMN_TEXT},
                                               {"partition", "PARTITION", COLUMN_NUMBER},
                                               {"committed_offset", "CURRENT-OFFSET", COLUMN_COUNT},
                                               {"end_offset", "LOG-END-OFFSET", COLUMN_COUNT},
                                               {"lag", "LAG", COLUMN_COUNT},
                                               {"lag_ms", "LAG-TIME", COLUMN_LAPSE},
                                               {"member", "CONSUMER-ID", COLUMN_TEXT},
                                               {NULL, NULL, 0}};
static const struct column topic_columns[] = {{"group", "GROUP", COLUMN_TEXT},
                                              {"topic", "TOPIC", COLUMN_TEXT},
                                              {"partitions", "PARTITIONS", COLUMN_COUNT},
                                              {"members", "MEMBERS", COLUMN_COUNT},
                                              {"lag", "LAG", COLUMN_COUNT},
                                              {"lag_ms", "LAG-TIME", COLUMN_LAPSE},
                                              {NULL, NULL, 0}};
static const struct column member_columns[] = {{"group", "GROUP", COLUMN_TEXT},
                                               {"member", "CONSUMER-ID", COLUMN_TEXT},
                                               {"instance", "INSTANCE-ID", COLUMN_TEXT},
                                               {"client", "CLIENT-ID", COLUMN_TEXT},
                                               {"pid", "PID", COLUMN_NUMBER},
                                               {"program", "PROGRAM", COLUMN_TEXT},
                                               {"state", "STATE", COLUMN_TEXT},
                                               {"partitions", "#PARTITIONS", COLUMN_COUNT},
                                               {NULL, NULL, 0}};

enum { OF_PARTITIONS, OF_TOPICS, OF_MEMBERS };
static const struct {
    const char *name;
    const struct column *columns;
} views[] = {{"offsets", offset_columns}, {"topics", topic_columns}, {"members", member_columns}};

/* Members that a group has now, with their processes. */
static void add_members(const kfl_group *group, const char *name, json_t *rows)
{
    for (int32_t i = 0; i < kfl_group_member_count(group); i++) {
        const kfl_member *member = kfl_group_member(group, i);
        json_t *topics = need_json(json_array());
        for (int32_t j = 0; j < kfl_names_count(member->topics); j++)
            json_array_append_new(topics, json_string(kfl_names_get(member->topics, j)));
        json_array_append_new(
            rows, need_json(json_pack(
                      "{s:o, s:o, s:o, s:o, s:I, s:o, s:s, s:i, s:i, s:o}", "group",
                      json_of_name(name), "member", json_of_name(member->member_id), "instance",
                      json_of_name(member->instance_id), "client", json_of_name(member->client_id),
                      "pid", (json_int_t)member->process_id, "program",
                      json_of_name(member->program), "state", member->is_away ? "away" : "here",
                      "partitions", (int)kfl_offsets_count(member->owned), "target",
                      (int)kfl_offsets_count(member->target), "topics", topics)));
    }
}

/* How many members own a partition among these rows. */
static int64_t count_members(const json_t *rows, const char *topic)
{
    const json_t *row, *other;
    size_t index, before;
    int64_t count = 0;
    json_array_foreach(rows, index, row)
    {
        const json_t *member = json_object_get(row, "member");
        int known = json_is_null(member) ||
                    strcmp(json_string_value(json_object_get(row, "topic")), topic) != 0;
        json_array_foreach(rows, before, other)
        {
            known =
                known || (before < index && json_equal(json_object_get(other, "member"), member) &&
                          strcmp(json_string_value(json_object_get(other, "topic")), topic) == 0);
        }
        count += !known;
    }
    return count;
}

/* Partitions of one topic become one row: lags added, and the longest of the times. */
static void add_topics(const json_t *partitions, json_t *rows)
{
    const json_t *row;
    size_t index;
    size_t first = json_array_size(rows);
    json_array_foreach(partitions, index, row)
    {
        json_t *found = NULL;
        for (size_t i = first; i < json_array_size(rows) && found == NULL; i++)
            if (json_equal(json_object_get(json_array_get(rows, i), "topic"),
                           json_object_get(row, "topic")))
                found = json_array_get(rows, i);
        if (found == NULL) {
            found = need_json(
                json_pack("{s:O, s:O, s:i, s:I, s:i, s:i}", "group", json_object_get(row, "group"),
                          "topic", json_object_get(row, "topic"), "partitions", 0, "members",
                          (json_int_t)count_members(
                              partitions, json_string_value(json_object_get(row, "topic"))),
                          "lag", 0, "lag_ms", 0));
            json_array_append_new(rows, found);
        }
        json_int_t lag_ms = json_integer_value(json_object_get(row, "lag_ms")),
                   longest = json_integer_value(json_object_get(found, "lag_ms"));
        json_object_set_new(
            found, "partitions",
            json_integer(json_integer_value(json_object_get(found, "partitions")) + 1));
        json_object_set_new(found, "lag",
                            json_integer(json_integer_value(json_object_get(found, "lag")) +
                                         json_integer_value(json_object_get(row, "lag"))));
        json_object_set_new(found, "lag_ms", json_integer(lag_ms > longest ? lag_ms : longest));
    }
}

/* One group: its line, and its rows. */
static int add_group(struct call *call, const char *name, int view, json_t *rows)
{
    char lag[TEXT_NUMBER_SIZE], behind[TEXT_NUMBER_SIZE];
    kfl_group *group = NULL;
    int status = group_find(call, name);
    if (status != STATUS_OK)
        return status;
    int r = kfl_group_describe(call->store, name, &group);
    if (r < 0)
        return call_failed(r);
    json_t *partitions = need_json(json_array());
    status = group_add_rows(call, group, name, partitions);
    if (status == STATUS_OK) {
        int64_t longest_ms = group_longest_lag_ms(partitions);
        output_note("Group: %s    State: %s    Members: %" PRId32
                    "    Strategy: %s    Total lag: %s records%s%s%s",
                    name, group_state_word(kfl_group_state(group)), kfl_group_member_count(group),
                    kfl_group_member_count(group) > 0 ? kfl_group_assignor(group) : "-",
                    text_of_count(group_sum_of_lags(partitions), lag),
                    longest_ms > 0 ? ", oldest " : "",
                    longest_ms > 0 ? text_of_seconds((double)longest_ms / 1000, behind) : "",
                    longest_ms > 0 ? " behind\n" : "\n");
    }
    if (status == STATUS_OK && view == OF_MEMBERS)
        add_members(group, name, rows);
    else if (status == STATUS_OK && view == OF_TOPICS)
        add_topics(partitions, rows);
    else if (status == STATUS_OK)
        json_array_extend(rows, partitions);
    json_decref(partitions);
    kfl_group_release(group);
    return status;
}

static int show(struct call *call, int view)
{
    json_t *rows = need_json(json_array());
    int status = STATUS_OK;
    for (int i = 0; i < call->argument_count && status == STATUS_OK; i++)
        status = add_group(call, call->arguments[i], view, rows);
    if (status == STATUS_OK)
        output_rows(views[view].name, views[view].columns, rows);
    else
        json_decref(rows);
    return status;
}

/* Until a signal asks to stop: a screen that is drawn anew, or one table or document after the other. */
static int watch(struct call *call, int view, int64_t every_ms)
{
    const struct timespec rest = {every_ms / 1000, every_ms % 1000 * 1000000};
    int status = STATUS_OK;
    while (status == STATUS_OK && !call_stopped()) {
        if (output_is_table())
            fputs("\033[H\033[2J", stdout);
        status = show(call, view);
        if (!output_flush())
            break;
        if (status == STATUS_OK && !call_stopped())
            nanosleep(&rest, NULL);
    }
    return status;
}

int run_groups_describe(struct call *call)
{
    int of_members = call_option(call, "members") != NULL,
        of_topics = call_option(call, "by-topic") != NULL;
    int view = of_members ? OF_MEMBERS : of_topics ? OF_TOPICS : OF_PARTITIONS;
    const char *every = call_option(call, "watch");
    int64_t every_ms = 0;
    if (of_members && of_topics)
        return call_misused(call, "--members and --by-topic exclude each other");
    if (every != NULL &&
        (!moment_parse_duration(every, &every_ms) || every_ms < 10 || every_ms > INT32_MAX))
        return call_misused(call, "--watch takes 500ms, 2s or 1m, not \"%s\"", every);
    int status = call_open(call, OPEN_TO_READ);
    if (status != STATUS_OK)
        return status;
    return every != NULL ? watch(call, view, every_ms) : show(call, view);
}
