/* SPDX-License-Identifier: MIT */
/*
 * groups list, export: who reads in which group, what is committed, how far behind it is.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "call.h"
#include "groups.h"
#include "output.h"

json_t *json_of_name(const char *name)
{
    return need_json(text_to_json(name, strlen(name)));
}

const char *group_state_word(int32_t state)
{
    switch (state) {
    case KFL_GROUP_EMPTY:
        return "Empty";
    case KFL_GROUP_PREPARING_REBALANCE:
        return "PreparingRebalance";
    case KFL_GROUP_COMPLETING_REBALANCE:
        return "CompletingRebalance";
    default:
        return "Stable";
    }
}

int group_find(struct call *call, const char *name)
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
        found = found || strcmp(candidates[i], name) == 0;
    }
    const char *near = found ? NULL : text_nearest(name, candidates);
    if (near != NULL)
        say("no group \"%s\" in %s; did you mean \"%s\"?", name, call->directory, near);
    else if (!found)
        say("no group \"%s\" in %s", name, call->directory);
    free(candidates);
    kfl_names_release(names);
    return found ? STATUS_OK : STATUS_MISSING;
}

/* The member that owns the partition; NULL: nobody does. */
static const kfl_member *owner_of(const kfl_group *group, const char *topic, int32_t partition)
{
    for (int32_t i = 0; i < kfl_group_member_count(group); i++) {
        const kfl_member *member = kfl_group_member(group, i);
        for (int32_t j = 0; j < kfl_offsets_count(member->owned); j++) {
            const kfl_partition_offset *at = kfl_offsets_get(member->owned, j);
            if (at->partition == partition && strcmp(at->topic, topic) == 0)
                return member;
        }
    }
    return NULL;
}

/* committed -1: nothing is. */
static int add_row(struct call *call, const kfl_group *group, const char *name,
                   const kfl_partition_offset *at, json_t *rows)
{
    const kfl_member *owner = owner_of(group, at->topic, at->partition);
    int64_t end = 0, lag = 0, lag_ms = 0;
    int r = kfl_topic_end_offset(call->store, at->topic, at->partition, &end);
    if (r >= 0)
        r = kfl_topic_lag(call->store, at->topic, at->partition, at->offset >= 0 ? at->offset : 0,
                          &lag, &lag_ms);
    if (r < 0)
        return call_failed(r);
    json_t *row = need_json(json_pack(
        "{s:o, s:s, s:i, s:o, s:I, s:I, s:I, s:o, s:o}", "group", json_of_name(name), "topic",
        at->topic, "partition", (int)at->partition, "committed_offset",
        at->offset >= 0 ? json_integer((json_int_t)at->offset) : json_null(), "end_offset",
        (json_int_t)end, "lag", (json_int_t)lag, "lag_ms", (json_int_t)lag_ms, "metadata",
        need_json(text_to_json(at->metadata, at->metadata_size)), "member",
        owner != NULL ? json_of_name(owner->member_id) : json_null()));
    json_array_append_new(rows, row);
    return STATUS_OK;
}

static int was_committed(const kfl_offsets *offsets, const kfl_partition_offset *at)
{
    for (int32_t i = 0; i < kfl_offsets_count(offsets); i++) {
        const kfl_partition_offset *other = kfl_offsets_get(offsets, i);
        if (other->partition == at->partition && strcmp(other->topic, at->topic) == 0)
            return 1;
    }
    return 0;
}

int group_add_rows(struct call *call, const kfl_group *group, const char *name, json_t *rows)
{
    kfl_offsets *offsets = NULL;
    int r = kfl_group_offsets(call->store, name, &offsets);
    if (r < 0 && r != KFL_E_GROUP_ID_NOT_FOUND)
        return call_failed(r);
    int status = STATUS_OK;
    for (int32_t i = 0; i < kfl_offsets_count(offsets) && status == STATUS_OK; i++)
        status = add_row(call, group, name, kfl_offsets_get(offsets, i), rows);
    for (int32_t i = 0; i < kfl_group_member_count(group); i++) {
        const kfl_offsets *owned = kfl_group_member(group, i)->owned;
        for (int32_t j = 0; j < kfl_offsets_count(owned) && status == STATUS_OK; j++)
            if (!was_committed(offsets, kfl_offsets_get(owned, j)))
                status = add_row(call, group, name, kfl_offsets_get(owned, j), rows);
    }
    kfl_offsets_release(offsets);
    return status;
}

int64_t group_sum_of_lags(const json_t *rows)
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

int64_t group_longest_lag_ms(const json_t *rows)
{
    const json_t *row;
    size_t index;
    int64_t longest = 0;
    json_array_foreach(rows, index, row)
    {
        int64_t lag_ms = json_integer_value(json_object_get(row, "lag_ms"));
        longest = lag_ms > longest ? lag_ms : longest;
    }
    return longest;
}

int run_groups_list(struct call *call)
{
    static const struct column columns[] = {
        {"group", "GROUP", COLUMN_TEXT},      {"state", "STATE", COLUMN_TEXT},
        {"members", "MEMBERS", COLUMN_COUNT}, {"partitions", "PARTITIONS", COLUMN_COUNT},
        {"lag", "LAG", COLUMN_COUNT},         {NULL, NULL, 0}};
    kfl_names *names = NULL;
    int status = call_open(call, OPEN_TO_READ);
    if (status != STATUS_OK)
        return status;
    int r = kfl_group_list(call->store, &names);
    if (r < 0)
        return call_failed(r);
    json_t *groups = need_json(json_array());
    for (int32_t i = 0; i < kfl_names_count(names) && status == STATUS_OK; i++) {
        const char *name = kfl_names_get(names, i);
        kfl_group *group = NULL;
        r = kfl_group_describe(call->store, name, &group);
        if (r == KFL_E_GROUP_ID_NOT_FOUND)
            continue; /* it went meanwhile */
        json_t *rows = need_json(json_array());
        status = r < 0 ? call_failed(r) : group_add_rows(call, group, name, rows);
        if (status == STATUS_OK)
            json_array_append_new(
                groups,
                need_json(json_pack("{s:o, s:s, s:i, s:I, s:I}", "group", json_of_name(name),
                                    "state", group_state_word(kfl_group_state(group)), "members",
                                    (int)kfl_group_member_count(group), "partitions",
                                    (json_int_t)json_array_size(rows), "lag",
                                    (json_int_t)group_sum_of_lags(rows))));
        json_decref(rows);
        kfl_group_release(group);
    }
    kfl_names_release(names);
    if (status == STATUS_OK)
        output_rows("groups", columns, groups);
    else
        json_decref(groups);
    return status;
}

/* Lines that `groups reset --from-file` reads, as Kafka's tool writes them. */
int run_groups_export(struct call *call)
{
    const char *name = call->arguments[0];
    kfl_offsets *offsets = NULL;
    int status = call_open(call, OPEN_TO_READ);
    if (status == STATUS_OK)
        status = group_find(call, name);
    if (status != STATUS_OK)
        return status;
    int r = kfl_group_offsets(call->store, name, &offsets);
    if (r < 0)
        return call_failed(r);
    for (int32_t i = 0; i < kfl_offsets_count(offsets); i++) {
        const kfl_partition_offset *at = kfl_offsets_get(offsets, i);
        printf("%s,%" PRId32 ",%" PRId64 "\n", at->topic, at->partition, at->offset);
    }
    kfl_offsets_release(offsets);
    return output_flush() ? STATUS_OK : STATUS_FAILED;
}
