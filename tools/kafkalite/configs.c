/* SPDX-License-Identifier: MIT */
/*
 * configs list, get, set, unset: the table of properties, and those of a topic.
 */
#include <string.h>

#include "call.h"
#include "output.h"

int run_configs_list(struct call *call)
{
    static const struct column columns[] = {
        {"name", "NAME", COLUMN_TEXT},       {"scope", "SCOPE", COLUMN_TEXT},
        {"type", "TYPE", COLUMN_TEXT},       {"default", "DEFAULT", COLUMN_TEXT},
        {"accepts", "ACCEPTS", COLUMN_TEXT}, {NULL, NULL, 0}};
    static const struct column with_text[] = {{"name", "NAME", COLUMN_TEXT},
                                              {"scope", "SCOPE", COLUMN_TEXT},
                                              {"type", "TYPE", COLUMN_TEXT},
                                              {"default", "DEFAULT", COLUMN_TEXT},
                                              {"accepts", "ACCEPTS", COLUMN_TEXT},
                                              {"text", "TEXT", COLUMN_TEXT},
                                              {NULL, NULL, 0}};
    const char *wanted = call->argument_count > 0 ? call->arguments[0] : NULL;
    const char *name;
    json_t *rows = need_json(json_array());
    for (int32_t i = 0; (name = kfl_property_name(i)) != NULL; i++) {
        const char *scope = kfl_property_scope(name);
        if (wanted != NULL && strstr(scope, wanted) == NULL)
            continue;
        json_array_append_new(
            rows, need_json(json_pack(
                      "{s:s, s:s, s:s, s:s, s:s, s:s}", "name", name, "scope", scope, "type",
                      kfl_property_type(name), "default", kfl_property_default(name), "accepts",
                      kfl_property_accepts(name), "text", kfl_property_text(name))));
    }
    if (json_array_size(rows) == 0) {
        json_decref(rows);
        return call_misused(call, "SCOPE is store, topic, producer or consumer, not \"%s\"",
                            wanted);
    }
    output_rows("properties", output_is_table() ? columns : with_text, rows);
    return STATUS_OK;
}

/* Whether a property was asked for, by its name or, without names, by being set. */
static int is_wanted(const struct call *call, const kfl_config *config, const char *name)
{
    for (int i = 1; i < call->argument_count; i++) {
        if (strcmp(call->arguments[i], name) == 0)
            return 1;
    }
    if (call->argument_count > 1 || strstr(kfl_property_scope(name), "topic") == NULL)
        return 0;
    return call_option(call, "all") != NULL || kfl_config_is_set(config, name);
}

int run_configs_get(struct call *call)
{
    static const struct column columns[] = {{"name", "NAME", COLUMN_TEXT},
                                            {"value", "VALUE", COLUMN_TEXT},
                                            {"source", "SOURCE", COLUMN_TEXT},
                                            {NULL, NULL, 0}};
    kfl_config *config = NULL;
    int32_t partitions;
    const char *name;
    for (int i = 1; i < call->argument_count; i++) {
        const char *scope = kfl_property_scope(call->arguments[i]);
        if (scope == NULL || strstr(scope, "topic") == NULL)
            return call_misused(call, "topics have no property \"%s\"", call->arguments[i]);
    }
    int status = call_open(call, OPEN_TO_READ);
    if (status == STATUS_OK)
        status = call_topic(call, call->arguments[0], &partitions);
    if (status != STATUS_OK)
        return status;
    int r = kfl_topic_config(call->store, call->arguments[0], &config);
    if (r < 0)
        return call_failed(r);
    json_t *rows = need_json(json_array());
    for (int32_t i = 0; (name = kfl_property_name(i)) != NULL; i++) {
        if (is_wanted(call, config, name))
            json_array_append_new(
                rows, need_json(json_pack("{s:s, s:s, s:s}", "name", name, "value",
                                          kfl_config_get(config, name), "source",
                                          kfl_config_is_set(config, name) ? "topic" : "default")));
    }
    output_rows("configs", columns, rows);
    kfl_config_destroy(config);
    return STATUS_OK;
}

/* Sets (or puts back) all or none of the properties named behind the topic. */
static int change(struct call *call, int value_needed)
{
    kfl_config *config = NULL;
    int32_t partitions;
    int r = kfl_config_create(&config);
    int status = r < 0 ? call_failed(r) : STATUS_OK;
    for (int i = 1; i < call->argument_count && status == STATUS_OK; i++) {
        if (!value_needed && strchr(call->arguments[i], '=') != NULL)
            status = call_misused(call, "NAME alone, not \"%s\"", call->arguments[i]);
        else
            status = call_property(call->arguments[i], value_needed, config);
    }
    if (status == STATUS_OK)
        status = call_open(call, OPEN_TO_WRITE);
    if (status == STATUS_OK)
        status = call_topic(call, call->arguments[0], &partitions);
    if (status == STATUS_OK) {
        r = kfl_topic_alter(call->store, call->arguments[0], config);
        status = r < 0 ? call_failed(r) : STATUS_OK;
    }
    kfl_config_destroy(config);
    return status;
}

int run_configs_set(struct call *call)
{
    return change(call, 1);
}

int run_configs_unset(struct call *call)
{
    return change(call, 0);
}
