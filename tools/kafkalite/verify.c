/* SPDX-License-Identifier: MIT */
/*
 * verify, history and stats: what the store says about itself.
 */
#include <inttypes.h>
#include <string.h>

#include "call.h"
#include "findings.h"
#include "moment.h"
#include "output.h"

/* A row a partition: PASS or FAIL. */
static int add_results(struct call *call, const char *topic, const kfl_findings *findings,
                       json_t *rows)
{
    int32_t count;
    int status = call_topic(call, topic, &count);
    if (status != STATUS_OK)
        return status;
    for (int32_t i = 0; i < count; i++) {
        int problems = 0;
        for (int32_t k = 0; k < kfl_findings_count(findings); k++) {
            const kfl_finding *finding = kfl_findings_get(findings, k);
            problems += finding->partition == i && finding->topic != NULL &&
                        strcmp(finding->topic, topic) == 0;
        }
        json_array_append_new(rows, need_json(json_pack("{s:s, s:i, s:i, s:s}", "topic", topic,
                                                        "partition", (int)i, "problems", problems,
                                                        "result", problems > 0 ? "FAIL" : "PASS")));
    }
    return STATUS_OK;
}

static int results(struct call *call, const char *topic, const kfl_findings *findings, json_t *rows)
{
    kfl_names *names = NULL;
    if (topic != NULL)
        return add_results(call, topic, findings, rows);
    int r = kfl_topic_list(call->store, &names);
    int status = r < 0 ? call_failed(r) : STATUS_OK;
    for (int32_t i = 0; i < kfl_names_count(names) && status == STATUS_OK; i++)
        status = add_results(call, kfl_names_get(names, i), findings, rows);
    kfl_names_release(names);
    return status;
}

static void show_check(const kfl_findings *findings, double seconds, json_t *partitions)
{
    static const struct column result_columns[] = {{"topic", "TOPIC", COLUMN_TEXT},
                                                   {"partition", "PARTITION", COLUMN_NUMBER},
                                                   {"problems", "PROBLEMS", COLUMN_COUNT},
                                                   {"result", "RESULT", COLUMN_TEXT},
                                                   {NULL, NULL, 0}};
    char numbers[3][TEXT_NUMBER_SIZE];
    int64_t records = kfl_findings_checked_records(findings);
    int64_t bytes = kfl_findings_checked_bytes(findings);
    int32_t count = kfl_findings_count(findings);
    json_t *problems = findings_rows(findings);
    if (output_is_json()) {
        output_json(need_json(json_pack("{s:I, s:I, s:O, s:o}", "checked_records",
                                        (json_int_t)records, "checked_bytes", (json_int_t)bytes,
                                        "partitions", partitions, "problems", problems)));
        return;
    }
    if (output_is_table())
        output_rows("partitions", result_columns, json_incref(partitions));
    if (output_is_table() && count > 0)
        putchar('\n');
    findings_show(problems);
    say("%s, %s records in %s, %" PRId32 " problem%s", text_of_bytes(bytes, numbers[0]),
        text_of_count(records, numbers[1]), text_of_seconds(seconds, numbers[2]), count,
        count == 1 ? "" : "s");
}

int run_verify(struct call *call)
{
    const char *topic = call->argument_count > 0 ? call->arguments[0] : NULL;
    kfl_findings *findings = NULL;
    int32_t partition_count;
    int status = call_open(call, OPEN_TO_READ);
    if (status == STATUS_OK && topic != NULL)
        status = call_topic(call, topic, &partition_count);
    if (status != STATUS_OK)
        return status;
    double begin = moment_steady_seconds();
    int r = kfl_store_verify(call->store, topic, call_option(call, "quick") != NULL, &findings);
    if (r < 0)
        return call_failed(r);
    double seconds = moment_steady_seconds() - begin;
    json_t *partitions = need_json(json_array());
    status = results(call, topic, findings, partitions);
    show_check(findings, seconds, partitions);
    json_decref(partitions);
    if (kfl_findings_count(findings) > 0)
        status = STATUS_DAMAGE;
    kfl_findings_release(findings);
    return status;
}

int run_history(struct call *call)
{
    static const char *const kinds[] = {"unknown", "open", "close", "recovery", "killed"};
    static const struct column columns[] = {
        {"time", "TIME", COLUMN_TIME},   {"event", "EVENT", COLUMN_TEXT},
        {"pid", "PID", COLUMN_NUMBER},   {"program", "BY", COLUMN_TEXT},
        {"topic", "TOPIC", COLUMN_TEXT}, {"partition", "PARTITION", COLUMN_NUMBER},
        {"text", "TEXT", COLUMN_TEXT},   {NULL, NULL, 0}};
    kfl_history *history = NULL;
    int status = call_open(call, OPEN_TO_READ);
    if (status != STATUS_OK)
        return status;
    int r = kfl_history_list(call->store, &history);
    if (r < 0)
        return call_failed(r);
    json_t *rows = need_json(json_array());
    for (int32_t i = 0; i < kfl_history_count(history); i++) {
        const kfl_history_entry *entry = kfl_history_get(history, i);
        int has_topic = entry->topic != NULL && *entry->topic != '\0';
        int kind = entry->kind > 0 && entry->kind < 5 ? entry->kind : 0;
        json_array_append_new(
            rows, need_json(json_pack(
                      "{s:I, s:s, s:I, s:o, s:s?, s:o, s:o}", "time", (json_int_t)entry->time_ms,
                      "event", kinds[kind], "pid", (json_int_t)entry->process_id, "program",
                      need_json(text_to_json(entry->program, strlen(entry->program))), "topic",
                      has_topic ? entry->topic : NULL, "partition", json_or_null(entry->partition),
                      "text", need_json(text_to_json(entry->text, strlen(entry->text))))));
    }
    kfl_history_release(history);
    output_rows("history", columns, rows);
    return STATUS_OK;
}

static int is_asked(const struct call *call, const char *name)
{
    for (int i = 0; i < call->argument_count; i++) {
        if (strncmp(name, call->arguments[i], strlen(call->arguments[i])) == 0)
            return 1;
    }
    return call->argument_count == 0;
}

int run_stats(struct call *call)
{
    static const struct column columns[] = {{"name", "NAME", COLUMN_TEXT},
                                            {"topic", "TOPIC", COLUMN_TEXT},
                                            {"partition", "PARTITION", COLUMN_NUMBER},
                                            {"value", "VALUE", COLUMN_COUNT},
                                            {NULL, NULL, 0}};
    kfl_stats *stats = NULL;
    const char *name;
    const char *topic;
    int32_t partition;
    int64_t value;
    int status = call_open(call, OPEN_TO_READ);
    if (status != STATUS_OK)
        return status;
    int r = kfl_stats_open(call->store, &stats);
    if (r < 0)
        return call_failed(r);
    json_t *rows = need_json(json_array());
    while ((r = kfl_stats_next(stats, &name, &topic, &partition, &value)) > 0) {
        if (is_asked(call, name))
            json_array_append_new(
                rows, need_json(json_pack("{s:s, s:s?, s:o, s:I}", "name", name, "topic",
                                          *topic != '\0' ? topic : NULL, "partition",
                                          json_or_null(partition), "value", (json_int_t)value)));
    }
    kfl_stats_close(stats);
    if (r < 0) {
        json_decref(rows);
        return call_failed(r);
    }
    output_rows("stats", columns, rows);
    return STATUS_OK;
}
