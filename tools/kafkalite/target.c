/* SPDX-License-Identifier: MIT */
/*
 * Partitions and points in them, as the command line names them.
 */
#include "target.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "moment.h"
#include "text.h"

int point_parse(const char *text, struct point *out_point)
{
    int64_t number;
    if (strcmp(text, "beginning") == 0 || strcmp(text, "earliest") == 0)
        *out_point = (struct point){POINT_BEGINNING, 0};
    else if (strcmp(text, "end") == 0 || strcmp(text, "latest") == 0)
        *out_point = (struct point){POINT_END, 0};
    else if (strcmp(text, "stored") == 0)
        *out_point = (struct point){POINT_STORED, 0};
    else if (*text == '@' && moment_parse(text + 1, &number) && number >= 0)
        *out_point = (struct point){POINT_TIME, number};
    else if (text_to_number(text, &number) && *text != '-')
        *out_point = (struct point){POINT_OFFSET, number};
    else if (text_to_number(text, &number) && number > INT64_MIN)
        *out_point = (struct point){POINT_BACK, -number};
    else
        return 0;
    return 1;
}

int point_option(const struct call *call, const char *name, struct point fallback,
                 struct point *out_point)
{
    const char *text = call_option(call, name);
    *out_point = fallback;
    if (text != NULL && !point_parse(text, out_point))
        return call_misused(call, "--%s takes beginning, end, an offset, -N or @TIME, not \"%s\"",
                            name, text);
    return STATUS_OK;
}

int point_find(struct call *call, const struct target *target, struct point point,
               int64_t *out_offset)
{
    int64_t time_ms;
    int r;
    switch (point.kind) {
    case POINT_BEGINNING:
        *out_offset = target->start_offset;
        return STATUS_OK;
    case POINT_END:
        *out_offset = target->end_offset;
        return STATUS_OK;
    case POINT_STORED:
        *out_offset = KFL_OFFSET_STORED;
        return STATUS_OK;
    case POINT_OFFSET:
        *out_offset = point.number;
        return STATUS_OK;
    case POINT_BACK:
        *out_offset = target->end_offset - target->start_offset > point.number
                          ? target->end_offset - point.number
                          : target->start_offset;
        return STATUS_OK;
    default:
        r = kfl_topic_offset_for_time(call->store, target->topic, target->partition, point.number,
                                      out_offset, &time_ms);
        if (r < 0)
            return call_failed(r);
        if (r == 0)
            *out_offset = target->end_offset;
        return STATUS_OK;
    }
}

/* The numbers of all --partition options: "0", "0,2". Owned: free(); NULL when none was given. */
static int chosen_partitions(const struct call *call, int32_t **out_numbers, size_t *out_count)
{
    int32_t *numbers = NULL;
    size_t count = 0;
    const char *list;
    size_t cursor = 0;
    while ((list = call_next_option(call, "partition", &cursor)) != NULL) {
        char *copy = need(strdup(list));
        char *rest = copy;
        char *word;
        while ((word = strsep(&rest, ",")) != NULL) {
            int64_t number;
            if (!text_to_number(word, &number) || number < 0 || number > INT32_MAX) {
                free(copy);
                free(numbers);
                return call_misused(call, "--partition takes numbers such as 0 or 0,2, not \"%s\"",
                                    list);
            }
            numbers = need_room(numbers, count, sizeof *numbers);
            numbers[count++] = (int32_t)number;
        }
        free(copy);
    }
    *out_numbers = numbers;
    *out_count = count;
    return STATUS_OK;
}

static int fill_target(struct call *call, struct target *target)
{
    int r = kfl_topic_start_offset(call->store, target->topic, target->partition,
                                   &target->start_offset);
    if (r >= 0)
        r = kfl_topic_end_offset(call->store, target->topic, target->partition,
                                 &target->end_offset);
    return r < 0 ? call_failed(r) : STATUS_OK;
}

/* Adds the chosen partitions of one topic. */
static int add_targets(struct call *call, const char *topic, const int32_t *numbers,
                       size_t number_count, struct target **targets, size_t *count)
{
    int32_t partition_count = 0;
    int status = call_topic(call, topic, &partition_count);
    size_t wanted = number_count > 0 ? number_count : (size_t)partition_count;
    for (size_t i = 0; status == STATUS_OK && i < wanted; i++) {
        int32_t partition = number_count > 0 ? numbers[i] : (int32_t)i;
        if (partition >= partition_count) {
            say("no partition %" PRId32 " of \"%s\": it has %" PRId32, partition, topic,
                partition_count);
            return STATUS_MISSING;
        }
        *targets = need_room(*targets, *count, sizeof **targets);
        (*targets)[*count] = (struct target){.topic = topic, .partition = partition};
        status = fill_target(call, &(*targets)[*count]);
        (*count)++;
    }
    return status;
}

int target_list(struct call *call, char **topics, int topic_count, struct target **out_targets,
                size_t *out_count)
{
    struct target *targets = NULL;
    size_t count = 0;
    int32_t *numbers = NULL;
    size_t number_count = 0;
    int status = chosen_partitions(call, &numbers, &number_count);
    for (int i = 0; i < topic_count && status == STATUS_OK; i++)
        status = add_targets(call, topics[i], numbers, number_count, &targets, &count);
    free(numbers);
    if (status != STATUS_OK) {
        free(targets);
        return status;
    }
    *out_targets = targets;
    *out_count = count;
    return STATUS_OK;
}
