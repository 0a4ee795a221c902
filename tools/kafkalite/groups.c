/* SPDX-License-Identifier: MIT */
/*
 * groups list, describe: what groups have committed, and how far behind they are.
 */
#include <stdlib.h>
#include <string.h>

#include "call.h"
#include "output.h"

static json_t *json_of_name(const char *name)
{
    return need_json(text_to_json(name, strlen(name)));
}

/* One row for each offset that a group has committed. */
static int add_offset_rows(struct call *call, const char *group, json_t *rows)
{
    kfl_offsets *offsets = NULL;
    int r = kfl_group_offsets(call->store, group, &offsets);
    for (int32_t i = 0; r >= 0 && i < kfl_offsets_count(offsets); i++) {
        const kfl_partition_offset *committed = kfl_offsets_get(offsets, i);
        int64_t end;
        r = kfl_topic_end_offset(call->store, committed->topic, committed->partition, &end);
        if (r < 0)
            break;
        json_t *metadata = need_json(text_to_json(committed->metadata, committed->metadata_size));
        json_array_append_new(
            rows, need_json(json_pack(
                      "{s:o, s:s, s:i, s:I, s:I, s:I, s:o}", "group", json_of_name(group), "topic",
                      committed->topic, "partition", (int)committed->partition, "committed_offset",
                      (json_int_t)committed->offset, "end_offset", (json_int_t)end, "lag",
                      (json_int_t)(end - committed->offset), "metadata", metadata)));
    }
    kfl_offsets_release(offsets);
    return r < 0 ? call_failed(r) : STATUS_OK;
}

static int64_t sum_of_lags(const json_t *rows)
{
    const json_t *row;
    size_t index;
    int64_t lag = 0;
    json_array_foreach(rows, index, row)
    {
        lag += json_integer_value(json_object_get(row, "lag"));
    }
    return lag;
}

int run_groups_list(struct call *call)
{
    static const struct column columns[] = {{"group", "GROUP", COLUMN_TEXT},
                                            {"partitions", "PARTITIONS", COLUMN_COUNT},
                                            {"lag", "LAG", COLUMN_COUNT},
                                            {NULL, NULL, 0}};
    kfl_names *names = NULL;
    int status = call_open(call, OPEN_TO_READ);
    if (status != STATUS_OK)
        return status;
    int r = kfl_group_list(call->store, &names);
    if (r < 0)
        return call_failed(r);
    json_t *groups = need_json(json_array());
    for (int32_t i = 0; i < kfl_names_count(names) && status == STATUS_OK; i++) {
        json_t *rows = need_json(json_array());
        status = add_offset_rows(call, kfl_names_get(names, i), rows);
        json_array_append_new(
            groups,
            need_json(json_pack("{s:o, s:I, s:I}", "group", json_of_name(kfl_names_get(names, i)),
                                "partitions", (json_int_t)json_array_size(rows), "lag",
                                (json_int_t)sum_of_lags(rows))));
        json_decref(rows);
    }
    kfl_names_release(names);
    if (status == STATUS_OK)
        output_rows("groups", columns, groups);
    else
        json_decref(groups);
    return status;
}

/* Whether the store knows the group; if not, suggests one. */
static int find_group(struct call *call, const char *group)
{
    kfl_names *names = NULL;
    int r = kfl_group_list(call->store, &names);
    if (r < 0)
        return call_failed(r);
    int32_t count = kfl_names_count(names);
    const char **candidates = need(calloc((size_t)count + 1, sizeof *candidates));
    int found = 0;
    for (int32_t i = 0; i < count; i++) {
        candidates[i] = kfl_names_get(names, i);
        found = found || strcmp(candidates[i], group) == 0;
    }
    const char *near = found ? NULL : text_nearest(group, candidates);
    if (near != NULL)
        say("no group \"%s\" in %s; did you mean \"%s\"?", group, call->directory, near);
    else if (!found)
        say("no group \"%s\" in %s", group, call->directory);
    free(candidates);
    kfl_names_release(names);
    return found ? STATUS_OK : STATUS_MISSING;
}

int run_groups_describe(struct call *call)
{
    static const struct column columns[] = {{"group", "GROUP", COLUMN_TEXT},
                                            {"topic", "TOPIC", COLUMN_TEXT},
                                            {"partition", "PARTITION", COLUMN_NUMBER},
                                            {"committed_offset", "CURRENT-OFFSET", COLUMN_COUNT},
                                            {"end_offset", "LOG-END-OFFSET", COLUMN_COUNT},
                                            {"lag", "LAG", COLUMN_COUNT},
                                            {NULL, NULL, 0}};
    json_t *rows = need_json(json_array());
    int status = call_open(call, OPEN_TO_READ);
    for (int i = 0; i < call->argument_count && status == STATUS_OK; i++) {
        status = find_group(call, call->arguments[i]);
        if (status == STATUS_OK)
            status = add_offset_rows(call, call->arguments[i], rows);
    }
    if (status == STATUS_OK) {
        char lag[TEXT_NUMBER_SIZE];
        output_note("Total lag: %s records\n", text_of_count(sum_of_lags(rows), lag));
        output_rows("offsets", columns, rows);
    } else {
        json_decref(rows);
    }
    return status;
}
