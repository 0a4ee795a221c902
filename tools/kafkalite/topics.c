/* SPDX-License-Identifier: MIT */
/*
 * topics list, create, describe, alter, delete.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "call.h"
#include "output.h"
#include "target.h"

/* What one partition, or the sum of several, amounts to. */
struct amount {
    int64_t records;
    int64_t bytes;
    int64_t segments;
};

static int add_amount(struct call *call, const struct target *target, struct amount *amount)
{
    kfl_segments *segments = NULL;
    int r = kfl_segments_list(call->store, target->topic, target->partition, &segments);
    if (r < 0)
        return call_failed(r);
    for (int32_t i = 0; i < kfl_segments_count(segments); i++)
        amount->bytes += kfl_segments_get(segments, i)->used_bytes;
    amount->segments += kfl_segments_count(segments);
    amount->records += target->end_offset - target->start_offset;
    kfl_segments_release(segments);
    return STATUS_OK;
}

static int topic_amount(struct call *call, char *topic, struct amount *out_amount,
                        size_t *out_partitions)
{
    struct target *targets = NULL;
    size_t count = 0;
    struct amount amount = {0};
    int status = target_list(call, &topic, 1, &targets, &count);
    for (size_t i = 0; i < count && status == STATUS_OK; i++)
        status = add_amount(call, &targets[i], &amount);
    free(targets);
    if (status == STATUS_OK) {
        *out_amount = amount;
        *out_partitions = count;
    }
    return status;
}

/* A topic that cannot be looked into is listed all the same, with what went wrong in the status. */
static int add_topic_row(struct call *call, const char *name, json_t *rows)
{
    struct amount amount = {0};
    size_t partitions = 0;
    char *topic = need(strdup(name));
    int status = topic_amount(call, topic, &amount, &partitions);
    json_t *row = need_json(json_pack("{s:s}", "topic", name));
    free(topic);
    if (status == STATUS_OK)
        json_object_update_new(
            row,
            need_json(json_pack("{s:I, s:I, s:I}", "partitions", (json_int_t)partitions, "records",
                                (json_int_t)amount.records, "bytes", (json_int_t)amount.bytes)));
    json_array_append_new(rows, row);
    return status;
}

int run_topics_list(struct call *call)
{
    static const struct column columns[] = {{"topic", "TOPIC", COLUMN_TEXT},
                                            {"partitions", "PARTITIONS", COLUMN_COUNT},
                                            {"records", "RECORDS", COLUMN_COUNT},
                                            {"bytes", "SIZE", COLUMN_BYTES},
                                            {NULL, NULL, 0}};
    int only_names = call_option(call, "names") != NULL && !output_is_json();
    int status = call_open(call, OPEN_TO_READ);
    if (status != STATUS_OK)
        return status;
    kfl_names *names = NULL;
    int r = kfl_topic_list(call->store, &names);
    if (r < 0)
        return call_failed(r);
    json_t *rows = need_json(json_array());
    for (int32_t i = 0; i < kfl_names_count(names); i++) {
        int one = STATUS_OK;
        if (only_names)
            printf("%s\n", kfl_names_get(names, i));
        else
            one = add_topic_row(call, kfl_names_get(names, i), rows);
        status = status == STATUS_OK ? one : status;
    }
    kfl_names_release(names);
    if (only_names)
        json_decref(rows);
    else
        output_rows("topics", columns, rows);
    return status;
}

int run_topics_create(struct call *call)
{
    int64_t partitions;
    kfl_config *config = NULL;
    int status = call_number(call, "partitions", 1, KFL_PARTITIONS_MAX, 1, &partitions);
    int r = kfl_config_create(&config);
    if (r < 0)
        return call_failed(r);
    if (status == STATUS_OK)
        status = call_properties(call, "config", config);
    if (status == STATUS_OK)
        status = call_open(call, OPEN_TO_CREATE);
    for (int i = 0; i < call->argument_count && status == STATUS_OK; i++) {
        r = kfl_topic_create(call->store, call->arguments[i], (int32_t)partitions, config);
        int is_there =
            r == KFL_E_TOPIC_ALREADY_EXISTS && call_option(call, "if-not-exists") != NULL;
        if (r < 0 && !is_there)
            status = call_failed(r);
        else if (output_is_json())
            output_json_line(need_json(
                json_pack("{s:s, s:b}", "topic", call->arguments[i], "created", !is_there)));
    }
    kfl_config_destroy(config);
    return status;
}

/* The properties that a topic sets itself. */
static int add_configs(struct call *call, const char *topic, json_t *configs)
{
    kfl_config *config = NULL;
    const char *name;
    int r = kfl_topic_config(call->store, topic, &config);
    if (r < 0)
        return call_failed(r);
    for (int32_t i = 0; (name = kfl_property_name(i)) != NULL; i++) {
        if (kfl_config_is_set(config, name))
            json_object_set_new(configs, name,
                                need_json(json_string(kfl_config_get(config, name))));
    }
    kfl_config_destroy(config);
    return STATUS_OK;
}

static int add_segment_rows(struct call *call, const struct target *target, json_t *rows)
{
    static const char *const states[] = {"sealed", "active", "prepared"};
    kfl_segments *segments = NULL;
    int r = kfl_segments_list(call->store, target->topic, target->partition, &segments);
    if (r < 0)
        return call_failed(r);
    for (int32_t i = 0; i < kfl_segments_count(segments); i++) {
        const kfl_segment *segment = kfl_segments_get(segments, i);
        const char *state =
            segment->state >= 0 && segment->state < 3 ? states[segment->state] : "unknown";
        int has_records = segment->base_offset >= 0;
        double full =
            segment->size_bytes > 0 ? (double)segment->used_bytes / (double)segment->size_bytes : 0;
        json_t *row = need_json(json_pack(
            "{s:s, s:i, s:I, s:s, s:o, s:o, s:I, s:I, s:o, s:f, s:s}", "topic", target->topic,
            "partition", (int)target->partition, "segment", (json_int_t)segment->segment_id,
            "state", state, "base_offset",
            has_records ? json_integer(segment->base_offset) : json_null(), "end_offset",
            has_records ? json_integer(segment->end_offset) : json_null(), "bytes",
            (json_int_t)segment->used_bytes, "reserved", (json_int_t)segment->size_bytes, "newest",
            segment->max_timestamp_ms >= 0 ? json_integer(segment->max_timestamp_ms) : json_null(),
            "full", full, "path", segment->path));
        json_array_append_new(rows, row);
    }
    kfl_segments_release(segments);
    return STATUS_OK;
}

static int add_partition_row(struct call *call, const struct target *target, json_t *rows)
{
    struct amount amount = {0};
    int64_t durable = 0;
    int64_t offset;
    int64_t newest;
    int status = add_amount(call, target, &amount);
    if (status != STATUS_OK)
        return status;
    int r = kfl_topic_durable_offset(call->store, target->topic, target->partition, &durable);
    int has_newest = r < 0 ? r
                           : kfl_topic_max_timestamp(call->store, target->topic, target->partition,
                                                     &offset, &newest);
    if (has_newest < 0)
        return call_failed(has_newest);
    json_array_append_new(
        rows, need_json(json_pack(
                  "{s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "topic", target->topic,
                  "partition", (int)target->partition, "start_offset",
                  (json_int_t)target->start_offset, "end_offset", (json_int_t)target->end_offset,
                  "durable_offset", (json_int_t)durable, "records", (json_int_t)amount.records,
                  "bytes", (json_int_t)amount.bytes, "segments", (json_int_t)amount.segments,
                  "newest", has_newest ? json_integer(newest) : json_null())));
    return STATUS_OK;
}

/* Each partition's part of the topic's records. */
static void add_shares(json_t *rows)
{
    json_t *row;
    size_t index;
    double sum = 0;
    json_array_foreach(rows, index, row)
    {
        sum += json_number_value(json_object_get(row, "records"));
    }
    json_array_foreach(rows, index, row)
    {
        double records = json_number_value(json_object_get(row, "records"));
        json_object_set_new(row, "share", json_real(sum > 0 ? records / sum : 0));
    }
}

/* All there is to say about a topic. */
static int describe_topic(struct call *call, char *topic, const char *rows_name, json_t *topics)
{
    struct target *targets = NULL;
    size_t count = 0;
    struct amount sum = {0};
    json_t *rows = need_json(json_array());
    json_t *configs = need_json(json_object());
    int status = target_list(call, &topic, 1, &targets, &count);
    if (status == STATUS_OK)
        status = add_configs(call, topic, configs);
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        status = add_amount(call, &targets[i], &sum);
        if (status == STATUS_OK)
            status = strcmp(rows_name, "segments") == 0
                         ? add_segment_rows(call, &targets[i], rows)
                         : add_partition_row(call, &targets[i], rows);
    }
    free(targets);
    add_shares(rows);
    json_t *object = need_json(json_pack(
        "{s:s, s:I, s:I, s:I, s:I, s:o, s:o}", "topic", topic, "partition_count", (json_int_t)count,
        "records", (json_int_t)sum.records, "bytes", (json_int_t)sum.bytes, "segment_count",
        (json_int_t)sum.segments, "configs", configs, rows_name, rows));
    json_array_append_new(topics, object);
    return status;
}

static void note_topic(json_t *topic)
{
    char numbers[4][TEXT_NUMBER_SIZE];
    struct text properties = {0};
    const char *name;
    json_t *value;
    json_object_foreach(json_object_get(topic, "configs"), name, value)
    {
        text_add_format(&properties, " %s=%s", name, json_string_value(value));
    }
    output_note(
        "Topic: %s%s%s    Partitions: %s    Records: %s    Size: %s    Segments: %s", output_bold(),
        json_string_value(json_object_get(topic, "topic")), output_plain(),
        text_of_count(json_integer_value(json_object_get(topic, "partition_count")), numbers[0]),
        text_of_count(json_integer_value(json_object_get(topic, "records")), numbers[1]),
        text_of_bytes(json_integer_value(json_object_get(topic, "bytes")), numbers[2]),
        text_of_count(json_integer_value(json_object_get(topic, "segment_count")), numbers[3]));
    output_note("Configs:%s\n", properties.size > 0 ? properties.data : " all at their defaults");
    text_free(&properties);
}

static void show_topics(const char *rows_name, json_t *topics)
{
    static const struct column partitions[] = {{"topic", "TOPIC", COLUMN_TEXT},
                                               {"partition", "PARTITION", COLUMN_NUMBER},
                                               {"start_offset", "LOG-START", COLUMN_COUNT},
                                               {"end_offset", "LOG-END", COLUMN_COUNT},
                                               {"durable_offset", "DURABLE", COLUMN_COUNT},
                                               {"records", "RECORDS", COLUMN_COUNT},
                                               {"bytes", "SIZE", COLUMN_BYTES},
                                               {"segments", "SEGMENTS", COLUMN_COUNT},
                                               {"newest", "NEWEST", COLUMN_TIME},
                                               {"share", "SHARE", COLUMN_SHARE},
                                               {NULL, NULL, 0}};
    static const struct column segments[] = {{"topic", "TOPIC", COLUMN_TEXT},
                                             {"partition", "PARTITION", COLUMN_NUMBER},
                                             {"segment", "SEGMENT", COLUMN_NUMBER},
                                             {"state", "STATE", COLUMN_TEXT},
                                             {"base_offset", "BASE", COLUMN_COUNT},
                                             {"end_offset", "END", COLUMN_COUNT},
                                             {"bytes", "USED", COLUMN_BYTES},
                                             {"reserved", "RESERVED", COLUMN_BYTES},
                                             {"newest", "NEWEST", COLUMN_TIME},
                                             {"full", "FULL", COLUMN_SHARE},
                                             {NULL, NULL, 0}};
    const struct column *columns = strcmp(rows_name, "segments") == 0 ? segments : partitions;
    json_t *all_rows = need_json(json_array());
    json_t *topic;
    size_t index;
    json_array_foreach(topics, index, topic)
    {
        json_t *rows = json_object_get(topic, rows_name);
        json_array_extend(all_rows, rows);
        if (output_is_table()) {
            if (index > 0)
                putchar('\n');
            note_topic(topic);
            /* The line above names the topic: its column would only repeat it. */
            output_rows(rows_name, columns + 1, json_incref(rows));
        }
    }
    if (!output_is_table())
        output_rows(rows_name, columns, json_incref(all_rows));
    json_decref(all_rows);
}

int run_topics_describe(struct call *call)
{
    const char *rows_name = call_option(call, "segments") != NULL ? "segments" : "partitions";
    kfl_names *names = NULL;
    json_t *topics = need_json(json_array());
    int status = call_open(call, OPEN_TO_READ);
    for (int i = 0; i < call->argument_count && status == STATUS_OK; i++)
        status = describe_topic(call, call->arguments[i], rows_name, topics);
    if (call->argument_count == 0 && status == STATUS_OK) {
        int r = kfl_topic_list(call->store, &names);
        if (r < 0)
            status = call_failed(r);
        for (int32_t i = 0; i < kfl_names_count(names) && status == STATUS_OK; i++) {
            char *name = need(strdup(kfl_names_get(names, i)));
            status = describe_topic(call, name, rows_name, topics);
            free(name);
        }
        kfl_names_release(names);
    }
    if (status == STATUS_OK && output_is_json())
        output_json(need_json(json_pack("{s:O}", "topics", topics)));
    else if (status == STATUS_OK)
        show_topics(rows_name, topics);
    json_decref(topics);
    return status;
}

int run_topics_alter(struct call *call)
{
    const char *topic = call->arguments[0];
    int64_t partitions;
    int32_t count;
    kfl_config *config = NULL;
    size_t cursor = 0;
    const char *name;
    int status = call_number(call, "partitions", 1, KFL_PARTITIONS_MAX, 0, &partitions);
    int r = kfl_config_create(&config);
    if (r < 0)
        return call_failed(r);
    if (status == STATUS_OK)
        status = call_properties(call, "config", config);
    while (status == STATUS_OK && (name = call_next_option(call, "delete-config", &cursor)) != NULL)
        status = call_property(name, 0, config);
    if (status == STATUS_OK)
        status = call_open(call, OPEN_TO_WRITE);
    if (status == STATUS_OK)
        status = call_topic(call, topic, &count);
    if (status == STATUS_OK) {
        r = kfl_topic_alter(call->store, topic, config);
        if (r >= 0 && partitions > 0)
            r = kfl_topic_add_partitions(call->store, topic, (int32_t)partitions);
        status = r < 0 ? call_failed(r) : STATUS_OK;
    }
    kfl_config_destroy(config);
    return status;
}

/* How many records of a topic its groups have not read yet, said a group a line. */
static int tell_unread(struct call *call, const char *topic)
{
    kfl_names *groups = NULL;
    int r = kfl_group_list(call->store, &groups);
    for (int32_t i = 0; r >= 0 && i < kfl_names_count(groups); i++) {
        kfl_offsets *offsets = NULL;
        int64_t unread = 0;
        r = kfl_group_offsets(call->store, kfl_names_get(groups, i), &offsets);
        for (int32_t k = 0; r >= 0 && k < kfl_offsets_count(offsets); k++) {
            const kfl_partition_offset *committed = kfl_offsets_get(offsets, k);
            int64_t end;
            if (strcmp(committed->topic, topic) != 0)
                continue;
            r = kfl_topic_end_offset(call->store, topic, committed->partition, &end);
            unread += r >= 0 ? end - committed->offset : 0;
        }
        kfl_offsets_release(offsets);
        char number[TEXT_NUMBER_SIZE];
        if (r >= 0 && unread > 0)
            say("group \"%s\" has %s of %s unread", kfl_names_get(groups, i),
                text_of_count(unread, number), topic);
    }
    kfl_names_release(groups);
    return r < 0 ? call_failed(r) : STATUS_OK;
}

int run_topics_delete(struct call *call)
{
    static const struct column columns[] = {{"topic", "TOPIC", COLUMN_TEXT},
                                            {"records", "RECORDS", COLUMN_COUNT},
                                            {"bytes", "SIZE", COLUMN_BYTES},
                                            {"deleted", "DELETED", COLUMN_TEXT},
                                            {NULL, NULL, 0}};
    int execute = call_option(call, "execute") != NULL;
    json_t *rows = need_json(json_array());
    int status = call_open(call, OPEN_TO_WRITE);
    for (int i = 0; i < call->argument_count && status == STATUS_OK; i++) {
        char *topic = call->arguments[i];
        struct amount amount;
        size_t partitions;
        if (call_option(call, "if-exists") != NULL &&
            kfl_topic_partition_count(call->store, topic) == KFL_E_UNKNOWN_TOPIC_OR_PARTITION)
            continue;
        status = topic_amount(call, topic, &amount, &partitions);
        if (status == STATUS_OK && !execute)
            status = tell_unread(call, topic);
        int r = status == STATUS_OK && execute ? kfl_topic_delete(call->store, topic) : 0;
        if (r < 0)
            status = call_failed(r);
        if (status == STATUS_OK)
            json_array_append_new(
                rows, need_json(json_pack("{s:s, s:I, s:I, s:b}", "topic", topic, "records",
                                          (json_int_t)amount.records, "bytes",
                                          (json_int_t)amount.bytes, "deleted", execute)));
    }
    /* What was deleted before a failure is told too. */
    output_rows("topics", columns, rows);
    if (status == STATUS_OK && !execute)
        say("nothing changed; add --execute");
    return status;
}
