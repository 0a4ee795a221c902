/* SPDX-License-Identifier: MIT */
/*
 * What every verb asks of its call: options, the store, topics; and how a failure is told.
 */
#include "call.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "text.h"

void say(const char *format, ...)
{
    va_list arguments;
    fflush(stdout);
    fputs("kafkalite: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

void *need(void *memory)
{
    if (memory == NULL) {
        say("out of memory");
        exit(STATUS_FAILED);
    }
    return memory;
}

void *need_room(void *array, size_t count, size_t element_size)
{
    /* The room doubles: it is full when the count is a power of two, or 0. */
    if ((count & (count - 1)) != 0)
        return array;
    return need(reallocarray(array, count == 0 ? 1 : count * 2, element_size));
}

const char *call_next_option(const struct call *call, const char *name, size_t *cursor)
{
    for (; *cursor < call->given_count; (*cursor)++) {
        if (strcmp(call->given[*cursor].name, name) == 0)
            return call->given[(*cursor)++].value;
    }
    return NULL;
}

const char *call_option(const struct call *call, const char *name)
{
    const char *last = NULL;
    const char *value;
    size_t cursor = 0;
    while ((value = call_next_option(call, name, &cursor)) != NULL)
        last = value;
    return last;
}

int call_number(const struct call *call, const char *name, int64_t least, int64_t most,
                int64_t fallback, int64_t *out_number)
{
    const char *value = call_option(call, name);
    int64_t number = fallback;
    if (value != NULL && (!text_to_number(value, &number) || number < least || number > most))
        return call_misused(call, "--%s takes a whole number from %lld to %lld, not \"%s\"", name,
                            (long long)least, (long long)most, value);
    *out_number = number;
    return STATUS_OK;
}

int call_property(const char *pair, int value_needed, kfl_config *config)
{
    const char *equals = strchr(pair, '=');
    if (equals == NULL && value_needed) {
        say("\"%s\" is no NAME=VALUE", pair);
        return STATUS_USAGE;
    }
    char *name = need(strndup(pair, equals != NULL ? (size_t)(equals - pair) : strlen(pair)));
    int r = kfl_config_set(config, name, equals != NULL ? equals + 1 : NULL);
    free(name);
    return r < 0 ? call_failed(r) : STATUS_OK;
}

int call_properties(const struct call *call, const char *name, kfl_config *config)
{
    const char *pair;
    size_t cursor = 0;
    while ((pair = call_next_option(call, name, &cursor)) != NULL) {
        int status = call_property(pair, 1, config);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

static int status_of(int code)
{
    switch (code) {
    case KFL_E_UNKNOWN_TOPIC_OR_PARTITION:
    case KFL_E_OFFSET_OUT_OF_RANGE:
    case KFL_E_GROUP_ID_NOT_FOUND:
    case KFL_E_NOT_FOUND:
        return STATUS_MISSING;
    case KFL_E_BUSY:
    case KFL_E_NON_EMPTY_GROUP:
        return STATUS_BUSY;
    case KFL_E_TIMEOUT:
        return STATUS_TIMEOUT;
    case KFL_E_CORRUPT:
        return STATUS_DAMAGE;
    case KFL_E_INVALID:
    case KFL_E_INVALID_TOPIC:
    case KFL_E_INVALID_PARTITIONS:
    case KFL_E_INVALID_GROUP_ID:
    case KFL_E_INVALID_CONFIG:
    case KFL_E_UNKNOWN_PROPERTY:
    case KFL_E_BAD_VALUE:
        return STATUS_USAGE;
    default:
        return STATUS_FAILED;
    }
}

int call_failed(int code)
{
    const char *story = kfl_last_error_code() == code ? kfl_last_error() : "";
    /* A signal that asks us to stop interrupts a call on its way: that is no failure to tell. */
    if (code != KFL_E_INTR || !call_stopped())
        say("%s", *story != '\0' ? story : kfl_error_text(code));
    return status_of(code);
}

int call_misused(const struct call *call, const char *format, ...)
{
    va_list arguments;
    fflush(stdout);
    fputs("kafkalite: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\ntry: kafkalite help%s%s%s%s\n", call->verb != NULL ? " " : "",
            call->verb != NULL ? call->verb->noun : "",
            call->verb != NULL && call->verb->action != NULL ? " " : "",
            call->verb != NULL && call->verb->action != NULL ? call->verb->action : "");
    return STATUS_USAGE;
}

/* Whether the working directory is a store. */
static int stands_in_store(void)
{
    struct stat found;
    return stat("catalog.mdb", &found) == 0 && stat("LOCK", &found) == 0;
}

int call_directory(struct call *call)
{
    const char *directory = call_option(call, "dir");
    if (directory == NULL)
        directory = getenv("KAFKALITE_DIR");
    if ((directory == NULL || *directory == '\0') && stands_in_store())
        directory = ".";
    if (directory == NULL || *directory == '\0') {
        say("which store? Name its directory: kafkalite -d DIR …, or export KAFKALITE_DIR=DIR");
        return STATUS_USAGE;
    }
    call->directory = directory;
    return STATUS_OK;
}

int call_open(struct call *call, int purpose)
{
    int status = call_directory(call);
    if (status != STATUS_OK)
        return status;
    kfl_config *config = NULL;
    int r = kfl_config_create(&config);
    if (r >= 0)
        r = kfl_config_set(config, "create", purpose == OPEN_TO_CREATE ? "true" : "false");
    if (r >= 0)
        r = kfl_store_open(call->directory, config, &call->store);
    if ((r == KFL_E_READ_ONLY || r == KFL_E_NO_SPACE) && purpose == OPEN_TO_READ) {
        r = kfl_config_set(config, "read.only", "true");
        if (r >= 0)
            r = kfl_store_open(call->directory, config, &call->store);
    }
    status = r < 0 ? call_failed(r) : STATUS_OK;
    kfl_config_destroy(config);
    return status;
}

/* The topic's name that was probably meant. Owned: free(). */
static char *similar_topic(struct call *call, const char *topic)
{
    kfl_names *names = NULL;
    if (kfl_topic_list(call->store, &names) < 0)
        return NULL;
    int32_t count = kfl_names_count(names);
    const char **candidates = need(calloc((size_t)count + 1, sizeof *candidates));
    for (int32_t i = 0; i < count; i++)
        candidates[i] = kfl_names_get(names, i);
    const char *nearest = text_nearest(topic, candidates);
    char *copy = nearest != NULL ? need(strdup(nearest)) : NULL;
    free(candidates);
    kfl_names_release(names);
    return copy;
}

int call_topic(struct call *call, const char *topic, int32_t *out_partition_count)
{
    int r = kfl_topic_partition_count(call->store, topic);
    if (r == KFL_E_UNKNOWN_TOPIC_OR_PARTITION || r == KFL_E_INVALID_TOPIC) {
        char *similar = similar_topic(call, topic);
        if (similar != NULL)
            say("no topic \"%s\" in %s; did you mean \"%s\"?", topic, call->directory, similar);
        else
            say("no topic \"%s\" in %s", topic, call->directory);
        free(similar);
        return STATUS_MISSING;
    }
    if (r < 0)
        return call_failed(r);
    *out_partition_count = r;
    return STATUS_OK;
}
