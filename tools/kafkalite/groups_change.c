/* SPDX-License-Identifier: MIT */
/*
 * groups reset, delete: the plan is shown, and carried out with --execute.
 *
 * Only a group without members is changed: what a member has committed or is about to would be lost
 * either way.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "call.h"
#include "groups.h"
#include "moment.h"
#include "output.h"
#include "target.h"

enum {
    TO_EARLIEST,
    TO_LATEST,
    TO_CURRENT,
    TO_OFFSET,
    TO_DATETIME,
    BY_DURATION,
    SHIFT_BY,
    FROM_FILE
};
static const char *const reset_options[] = {"to-earliest", "to-latest",   "to-current",
                                            "to-offset",   "to-datetime", "by-duration",
                                            "shift-by",    "from-file"};
#define RESET_OPTIONS ((int)(sizeof reset_options / sizeof reset_options[0]))

struct reset {
    struct call *call;
    const char *group;
    int kind;
    int64_t number; /* an offset, a time, a distance */
    kfl_offsets *committed;
    kfl_partition_offset *offsets; /* the new ones */
    json_t *rows;
    size_t count;
    char **strings; /* owned: what the offsets borrow */
    size_t string_count;
};

/* STATUS_BUSY, saying who, while the group has members. */
static int check_unused(struct call *call, const char *name)
{
    kfl_group *group = NULL;
    int r = kfl_group_describe(call->store, name, &group);
    if (r == KFL_E_GROUP_ID_NOT_FOUND)
        return STATUS_OK;
    if (r < 0)
        return call_failed(r);
    int32_t count = kfl_group_member_count(group);
    struct text who = {0};
    for (int32_t i = 0; i < count && i < 4; i++) {
        const kfl_member *member = kfl_group_member(group, i);
        text_add_format(&who, "%spid %" PRId64 " %s", i > 0 ? ", " : "", member->process_id,
                        member->program);
    }
    if (count > 0)
        say("group \"%s\" has %" PRId32 " active member%s (%s%s); stop them first", name, count,
            count == 1 ? "" : "s", who.data, count > 4 ? ", ..." : "");
    text_free(&who);
    kfl_group_release(group);
    return count > 0 ? STATUS_BUSY : STATUS_OK;
}

/* -1: nothing is committed. */
static int64_t committed_offset(const struct reset *reset, const char *topic, int32_t partition)
{
    for (int32_t i = 0; i < kfl_offsets_count(reset->committed); i++) {
        const kfl_partition_offset *at = kfl_offsets_get(reset->committed, i);
        if (at->partition == partition && strcmp(at->topic, topic) == 0)
            return at->offset;
    }
    return -1;
}

static int64_t clamp(int64_t offset, const struct target *target)
{
    return offset < target->start_offset ? target->start_offset
           : offset > target->end_offset ? target->end_offset
                                         : offset;
}

/* The new offset, within what the partition has; it says so where that is another one. */
static int plan_offset(const struct reset *reset, const struct target *target, int64_t *out_offset)
{
    int64_t current = committed_offset(reset, target->topic, target->partition);
    int64_t wanted = reset->number;
    struct point point = {POINT_TIME, reset->number};
    if (reset->kind == TO_EARLIEST)
        wanted = target->start_offset;
    else if (reset->kind == TO_LATEST)
        wanted = target->end_offset;
    else if (reset->kind == TO_CURRENT)
        wanted = current >= 0 ? current : target->end_offset;
    else if (reset->kind == SHIFT_BY)
        wanted = (current >= 0 ? current : target->end_offset) + reset->number;
    else if (reset->kind == TO_DATETIME || reset->kind == BY_DURATION) {
        int status = point_find(reset->call, target, point, &wanted);
        if (status != STATUS_OK)
            return status;
    }
    *out_offset = clamp(wanted, target);
    if (*out_offset != wanted)
        say("%s/%" PRId32 " has offsets %" PRId64 " to %" PRId64 ": %" PRId64
            " instead of %" PRId64,
            target->topic, target->partition, target->start_offset, target->end_offset, *out_offset,
            wanted);
    return STATUS_OK;
}

static void plan_add(struct reset *reset, const struct target *target, int64_t offset)
{
    int64_t current = committed_offset(reset, target->topic, target->partition);
    reset->offsets = need_room(reset->offsets, reset->count, sizeof *reset->offsets);
    reset->offsets[reset->count++] = (kfl_partition_offset){
        .topic = target->topic, .partition = target->partition, .offset = offset};
    json_array_append_new(
        reset->rows,
        need_json(
            json_pack("{s:o, s:s, s:i, s:o, s:I, s:o}", "group",
                      need_json(text_to_json(reset->group, strlen(reset->group))), "topic",
                      target->topic, "partition", (int)target->partition, "committed_offset",
                      current >= 0 ? json_integer((json_int_t)current) : json_null(), "new_offset",
                      (json_int_t)offset, "change",
                      current >= 0 ? json_integer((json_int_t)(offset - current)) : json_null())));
}

static int plan_partition(struct reset *reset, const char *topic, int32_t partition)
{
    struct target target = {.topic = topic, .partition = partition};
    int64_t offset = 0;
    int r = kfl_topic_start_offset(reset->call->store, topic, partition, &target.start_offset);
    if (r >= 0)
        r = kfl_topic_end_offset(reset->call->store, topic, partition, &target.end_offset);
    int status = r < 0 ? call_failed(r) : plan_offset(reset, &target, &offset);
    if (status == STATUS_OK)
        plan_add(reset, &target, offset);
    return status;
}

/* Kept until the end, since the plan borrows topics. */
static char *keep(struct reset *reset, char *string)
{
    reset->strings = need_room(reset->strings, reset->string_count, sizeof *reset->strings);
    reset->strings[reset->string_count++] = string;
    return string;
}

/* "orders", all its partitions, or "orders:0,1". The string is kept, and cut. */
static int plan_topic(struct reset *reset, char *topic)
{
    int32_t partition_count = 0;
    char *numbers = strchr(keep(reset, topic), ':'), *word;
    if (numbers != NULL)
        *numbers++ = '\0';
    int status = call_topic(reset->call, topic, &partition_count);
    for (int32_t i = 0; numbers == NULL && i < partition_count && status == STATUS_OK; i++)
        status = plan_partition(reset, topic, i);
    while (status == STATUS_OK && (word = strsep(&numbers, ",")) != NULL) {
        int64_t number;
        if (!text_to_number(word, &number))
            return call_misused(reset->call, "--topic takes orders or orders:0,1, not \"%s\"",
                                word);
        if (number < 0 || number >= partition_count) {
            say("no partition %s of \"%s\": it has %" PRId32, word, topic, partition_count);
            return STATUS_MISSING;
        }
        status = plan_partition(reset, topic, (int32_t)number);
    }
    return status;
}

/* One line of a file that `groups export` has written: topic,partition,offset. Kept, and cut. */
static int plan_line(struct reset *reset, char *line, int number)
{
    char *rest = keep(reset, line);
    char *topic = strsep(&rest, ","), *partition = strsep(&rest, ","), *offset = strsep(&rest, ",");
    int64_t partition_number;
    int32_t partition_count = 0;
    if (offset == NULL || rest != NULL || !text_to_number(partition, &partition_number) ||
        !text_to_number(offset, &reset->number) || partition_number < 0 ||
        partition_number > INT32_MAX) {
        say("line %d is not topic,partition,offset", number);
        return STATUS_USAGE;
    }
    int status = call_topic(reset->call, topic, &partition_count);
    return status == STATUS_OK ? plan_partition(reset, topic, (int32_t)partition_number) : status;
}

static void reset_free(struct reset *reset)
{
    for (size_t i = 0; i < reset->string_count; i++)
        free(reset->strings[i]);
    free(reset->strings);
    free(reset->offsets);
    kfl_offsets_release(reset->committed);
}

static int plan_file(struct reset *reset, const char *path)
{
    FILE *file = fopen(path, "r");
    int status = STATUS_OK, number = 0;
    if (file == NULL) {
        say("cannot open %s", path);
        return STATUS_FAILED;
    }
    while (status == STATUS_OK) {
        char *line = NULL;
        size_t room = 0;
        if (getline(&line, &room, file) < 0) {
            free(line);
            break;
        }
        line[strcspn(line, "\r\n")] = '\0';
        number++;
        if (line[0] != '\0')
            status = plan_line(reset, line, number);
        else
            free(line);
    }
    fclose(file);
    return status;
}

/* Without --topic: what the group has committed. */
static int plan_committed(struct reset *reset)
{
    int status = STATUS_OK;
    if (kfl_offsets_count(reset->committed) == 0)
        return call_misused(reset->call,
                            "group \"%s\" has committed nothing: name topics with --topic",
                            reset->group);
    for (int32_t i = 0; i < kfl_offsets_count(reset->committed) && status == STATUS_OK; i++) {
        const kfl_partition_offset *at = kfl_offsets_get(reset->committed, i);
        size_t size = strlen(at->topic) + 16;
        char *one = need(malloc(size));
        snprintf(one, size, "%s:%" PRId32, at->topic, at->partition);
        status = plan_topic(reset, one);
    }
    return status;
}

/* Which of the forms was asked for, and its number. */
static int reset_form(struct reset *reset)
{
    const char *value = NULL;
    int given = 0;
    for (int i = 0; i < RESET_OPTIONS; i++) {
        const char *option = call_option(reset->call, reset_options[i]);
        if (option == NULL)
            continue;
        reset->kind = i;
        value = option;
        given++;
    }
    if (given != 1)
        return call_misused(
            reset->call, "one of --to-earliest --to-latest --to-current --to-offset --to-datetime "
                         "--by-duration --shift-by --from-file is needed");
    if ((reset->kind == TO_OFFSET || reset->kind == SHIFT_BY) &&
        !text_to_number(value, &reset->number))
        return call_misused(reset->call, "--%s takes a number, not \"%s\"",
                            reset_options[reset->kind], value);
    if (reset->kind == TO_DATETIME && !moment_parse(value, &reset->number))
        return call_misused(reset->call, "--to-datetime takes a time, not \"%s\"", value);
    if (reset->kind == BY_DURATION) {
        if (!moment_parse_duration(value, &reset->number))
            return call_misused(reset->call, "--by-duration takes 30m, 2h, 7d or PT30M, not \"%s\"",
                                value);
        reset->number = moment_now_ms() - reset->number;
    }
    return STATUS_OK;
}

static int plan(struct reset *reset)
{
    const char *topic;
    size_t cursor = 0;
    int status = STATUS_OK, topics = 0;
    if (reset->kind == FROM_FILE)
        return plan_file(reset, call_option(reset->call, "from-file"));
    while (status == STATUS_OK &&
           (topic = call_next_option(reset->call, "topic", &cursor)) != NULL) {
        status = plan_topic(reset, need(strdup(topic)));
        topics++;
    }
    return status == STATUS_OK && topics == 0 ? plan_committed(reset) : status;
}

int run_groups_reset(struct call *call)
{
    static const struct column columns[] = {{"group", "GROUP", COLUMN_TEXT},
                                            {"topic", "TOPIC", COLUMN_TEXT},
                                            {"partition", "PARTITION", COLUMN_NUMBER},
                                            {"committed_offset", "CURRENT-OFFSET", COLUMN_COUNT},
                                            {"new_offset", "NEW-OFFSET", COLUMN_COUNT},
                                            {"change", "CHANGE", COLUMN_COUNT},
                                            {NULL, NULL, 0}};
    int execute = call_option(call, "execute") != NULL;
    struct reset reset = {
        .call = call, .group = call->arguments[0], .rows = need_json(json_array())};
    int status = reset_form(&reset);
    if (status == STATUS_OK)
        status = call_open(call, execute ? OPEN_TO_WRITE : OPEN_TO_READ);
    if (status == STATUS_OK && execute)
        status = check_unused(call, reset.group);
    if (status == STATUS_OK) {
        int r = kfl_group_offsets(call->store, reset.group, &reset.committed);
        if (r < 0 && r != KFL_E_GROUP_ID_NOT_FOUND)
            status = call_failed(r);
    }
    if (status == STATUS_OK)
        status = plan(&reset);
    if (status == STATUS_OK && execute) {
        int r = kfl_group_commit_offsets(call->store, reset.group, reset.offsets, reset.count);
        status = r < 0 ? call_failed(r) : STATUS_OK;
    }
    if (status == STATUS_OK)
        output_rows("offsets", columns, reset.rows);
    else
        json_decref(reset.rows);
    if (status == STATUS_OK && !execute)
        say("nothing changed; add --execute");
    reset_free(&reset);
    return status;
}

/* ---- deleting ---- */

/* With --topic only what is committed for those. */
static int delete_offsets(struct call *call, const char *group)
{
    struct reset reset = {
        .call = call, .group = group, .kind = TO_EARLIEST, .rows = need_json(json_array())};
    int status = plan(&reset);
    int r = status == STATUS_OK
                ? kfl_group_delete_offsets(call->store, group, reset.offsets, reset.count)
                : 0;
    json_decref(reset.rows);
    reset_free(&reset);
    return r < 0 ? call_failed(r) : status;
}

static int delete_group(struct call *call, const char *group, int execute, json_t *rows)
{
    int of_topics = call_option(call, "topic") != NULL;
    int status = group_find(call, group);
    if (status == STATUS_OK && execute && !of_topics)
        status = check_unused(call, group);
    if (status == STATUS_OK && execute && of_topics)
        status = delete_offsets(call, group);
    else if (status == STATUS_OK && execute) {
        int r = kfl_group_delete(call->store, group);
        status = r < 0 ? call_failed(r) : STATUS_OK;
    }
    if (status == STATUS_OK)
        json_array_append_new(rows,
                              need_json(json_pack("{s:o, s:s}", "group",
                                                  need_json(text_to_json(group, strlen(group))),
                                                  "deleted", !execute ? "no" : of_topics ? "offsets" : "yes")));
    return status;
}

int run_groups_delete(struct call *call)
{
    static const struct column columns[] = {
        {"group", "GROUP", COLUMN_TEXT}, {"deleted", "DELETED", COLUMN_TEXT}, {NULL, NULL, 0}};
    int execute = call_option(call, "execute") != NULL;
    json_t *rows = need_json(json_array());
    int status = call_open(call, execute ? OPEN_TO_WRITE : OPEN_TO_READ);
    for (int i = 0; i < call->argument_count && status == STATUS_OK; i++)
        status = delete_group(call, call->arguments[i], execute, rows);
    if (status == STATUS_OK)
        output_rows("groups", columns, rows);
    else
        json_decref(rows);
    if (status == STATUS_OK && !execute)
        say("nothing changed; add --execute");
    return status;
}
