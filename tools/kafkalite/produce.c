/* SPDX-License-Identifier: MIT */
/*
 * produce: records from files or standard input.
 *
 * What one read brought is appended by one call, and nothing waits for more to come: a pipe that is
 * written fast gets large batches, a person who types gets each line appended at once. An offset is
 * reported only after the call that gave it has returned.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "call.h"
#include "input.h"
#include "output.h"

enum { ROWS_MOST = 4096, BYTES_MOST = 1 << 20 };

struct producing {
    struct call *call;
    const char *topic;
    kfl_producer *producer;
    int32_t partition;
    int any_partition; /* said so: overrides what JSON says */
    int reports;
    int empty_is_null;
    struct text key_separator; /* size 0: no keys */
    const char *key;           /* the same for all records; NULL: none */
    struct text headers;       /* of all records, packed */
    int32_t header_count;
    kfl_packed_row *rows;
    size_t row_count;
    struct text bytes;
    int64_t sent;
};

static void pack_header(struct text *headers, const void *name, size_t name_size, const void *value,
                        size_t value_size)
{
    uint32_t name_head = (uint32_t)name_size;
    int32_t value_head = value != NULL ? (int32_t)value_size : -1;
    text_add(headers, &name_head, sizeof name_head);
    text_add(headers, &value_head, sizeof value_head);
    text_add(headers, name, name_size);
    text_add(headers, "", 1);
    text_add(headers, value, value != NULL ? value_size : 0);
}

/* Lines of whole rows, each write below the size that a pipe takes in one piece. */
static int report(const struct producing *p, size_t first, size_t count)
{
    char lines[4096];
    size_t size = 0;
    for (size_t i = first; i < first + count; i++) {
        size += (size_t)snprintf(lines + size, sizeof lines - size, "%" PRId32 " %" PRId64 "\n",
                                 p->rows[i].partition, p->rows[i].offset);
        if (size > sizeof lines - 64 || i + 1 == first + count) {
            fwrite(lines, 1, size, stdout);
            if (!output_flush())
                return STATUS_FAILED;
            size = 0;
        }
    }
    return STATUS_OK;
}

static size_t row_bytes(const kfl_packed_row *row)
{
    return (size_t)(row->key_size > 0 ? row->key_size : 0) +
           (size_t)(row->value_size > 0 ? row->value_size : 0) + (size_t)row->headers_size;
}

/*
 * One by one after a refusal: the good records before the bad one are not lost with it, and the bad
 * one gets its number.
 */
static int send_singly(struct producing *p)
{
    size_t place = 0;
    for (size_t i = 0; i < p->row_count; i++) {
        kfl_packed_row *row = &p->rows[i];
        size_t size = row_bytes(row);
        int r = row->offset != KFL_OFFSET_PENDING
                    ? 1
                    : kfl_producer_send_packed(p->producer, p->topic, row, 1, p->bytes.data + place,
                                               size);
        if (r < 0) {
            say("record %" PRId64 " was not appended", p->sent + 1);
            return call_failed(r);
        }
        p->sent++;
        if (p->reports && report(p, i, 1) != STATUS_OK)
            return STATUS_FAILED;
        place += size;
    }
    return STATUS_OK;
}

static int send_rows(struct producing *p)
{
    if (p->row_count == 0)
        return STATUS_OK;
    int status = STATUS_OK;
    int r = kfl_producer_send_packed(p->producer, p->topic, p->rows, p->row_count, p->bytes.data,
                                     p->bytes.size);
    if (r < 0) {
        status = send_singly(p);
    } else {
        p->sent += (int64_t)p->row_count;
        if (p->reports)
            status = report(p, 0, p->row_count);
    }
    p->row_count = 0;
    p->bytes.size = 0;
    return status;
}

/* A record to be. Keys and values: NULL is missing. */
static int add_row(struct producing *p, kfl_packed_row row, const struct text *key,
                   const struct text *value, const struct text *headers)
{
    if (p->empty_is_null && key != NULL && key->size == 0)
        key = NULL;
    if (p->empty_is_null && value != NULL && value->size == 0)
        value = NULL;
    if ((key != NULL && key->size > INT32_MAX) || (value != NULL && value->size > INT32_MAX) ||
        headers->size > INT32_MAX) {
        say("record %" PRId64 " is larger than 2 GiB", p->sent + (int64_t)p->row_count + 1);
        return STATUS_FAILED;
    }
    row.offset = KFL_OFFSET_PENDING;
    row.key_size = key != NULL ? (int32_t)key->size : -1;
    row.value_size = value != NULL ? (int32_t)value->size : -1;
    row.headers_size = (int32_t)headers->size;
    if (key != NULL)
        text_add(&p->bytes, key->data, key->size);
    if (value != NULL)
        text_add(&p->bytes, value->data, value->size);
    text_add(&p->bytes, headers->data, headers->size);
    p->rows[p->row_count++] = row;
    return p->row_count == ROWS_MOST || p->bytes.size >= BYTES_MOST ? send_rows(p) : STATUS_OK;
}

static int add_line(struct producing *p, const char *data, size_t size)
{
    /* Neither key nor value is changed: they only look like a text. */
    struct text value = {.data = (char *)(uintptr_t)data, .size = size};
    struct text key = {0};
    const struct text *used_key = NULL;
    const char *split = p->key_separator.size > 0
                            ? memmem(data, size, p->key_separator.data, p->key_separator.size)
                            : NULL;
    if (split != NULL) {
        key = (struct text){.data = value.data, .size = (size_t)(split - data)};
        value.data += key.size + p->key_separator.size;
        value.size -= key.size + p->key_separator.size;
        used_key = &key;
    } else if (p->key != NULL) {
        key = (struct text){.data = (char *)(uintptr_t)p->key, .size = strlen(p->key)};
        used_key = &key;
    }
    kfl_packed_row row = {.timestamp_ms = KFL_TIMESTAMP_NOW,
                          .partition = p->partition,
                          .header_count = p->header_count};
    return add_row(p, row, used_key, &value, &p->headers);
}

/* [name, value, name, value] or {name: value}. Returns 0 for what is neither. */
static int pack_json_headers(const json_t *json, struct text *headers, int32_t *count)
{
    json_t *pairs = need_json(json_array());
    const char *name;
    json_t *value;
    int good = json == NULL || json_is_null(json) || json_is_object(json) ||
               (json_is_array(json) && json_array_size(json) % 2 == 0);
    if (json_is_object(json)) {
        json_object_foreach((json_t *)(uintptr_t)json, name, value)
        {
            json_array_append_new(pairs, json_string(name));
            json_array_append(pairs, value);
        }
    } else if (json_is_array(json)) {
        json_array_extend(pairs, (json_t *)(uintptr_t)json);
    }
    for (size_t i = 0; good && i < json_array_size(pairs); i += 2) {
        struct text name_text = {0};
        struct text value_text = {0};
        good = text_from_json(json_array_get(pairs, i), &name_text) == 1 &&
               memchr(name_text.data, 0, name_text.size) == NULL;
        int has_value = good ? text_from_json(json_array_get(pairs, i + 1), &value_text) : 0;
        good = good && has_value >= 0;
        if (good)
            pack_header(headers, name_text.data, name_text.size, has_value ? value_text.data : NULL,
                        value_text.size);
        *count += good;
        text_free(&name_text);
        text_free(&value_text);
    }
    json_decref(pairs);
    return good;
}

static int add_json_object(struct producing *p, const json_t *object)
{
    const json_t *partition = json_object_get(object, "partition");
    const json_t *time = json_object_get(object, "ts");
    const json_t *payload = json_object_get(object, "payload");
    struct text key = {0};
    struct text value = {0};
    struct text headers = {0};
    kfl_packed_row row = {.timestamp_ms = KFL_TIMESTAMP_NOW,
                          .partition = p->partition,
                          .header_count = p->header_count};
    text_add(&headers, p->headers.data, p->headers.size);
    if (payload == NULL)
        payload = json_object_get(object, "value");
    const json_t *json_key = json_object_get(object, "key");
    int has_key = json_key != NULL ? text_from_json(json_key, &key) : 0;
    int has_value = payload != NULL ? text_from_json(payload, &value) : 0;
    int good =
        has_key >= 0 && has_value >= 0 &&
        (partition == NULL || (json_is_integer(partition) && json_integer_value(partition) >= 0 &&
                               json_integer_value(partition) < KFL_PARTITIONS_MAX)) &&
        (time == NULL || json_is_null(time) || json_is_integer(time)) &&
        pack_json_headers(json_object_get(object, "headers"), &headers, &row.header_count);
    if (json_key == NULL && p->key != NULL) {
        text_add(&key, p->key, strlen(p->key));
        has_key = 1;
    }
    if (good && partition != NULL && p->partition == KFL_PARTITION_ANY && !p->any_partition)
        row.partition = (int32_t)json_integer_value(partition);
    if (good && json_is_integer(time))
        row.timestamp_ms = json_integer_value(time);
    int status =
        good ? add_row(p, row, has_key > 0 ? &key : NULL, has_value > 0 ? &value : NULL, &headers)
             : STATUS_USAGE;
    text_free(&key);
    text_free(&value);
    text_free(&headers);
    return status;
}

static int add_json(struct producing *p, const char *data, size_t size)
{
    json_error_t error;
    size_t blank = 0;
    while (blank < size && strchr(" \t\r\n", data[blank]) != NULL)
        blank++;
    if (blank == size)
        return STATUS_OK;
    json_t *object = json_loadb(data, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    int64_t number = p->sent + (int64_t)p->row_count + 1;
    if (!json_is_object(object)) {
        say("record %" PRId64 " is no JSON object: %s", number,
            object == NULL ? error.text : "something else");
        json_decref(object);
        return STATUS_FAILED;
    }
    int status = add_json_object(p, object);
    json_decref(object);
    if (status == STATUS_USAGE) {
        say("record %" PRId64 " has a key, payload, ts, partition or headers that cannot be",
            number);
        status = STATUS_FAILED;
    }
    return status;
}

static int add_all(struct producing *p, int fd, const char *name, const struct text *delimiter)
{
    int as_json = call_option(p->call, "json") != NULL;
    struct input input = {.fd = fd, .delimiter = delimiter};
    int status = STATUS_OK;
    int more = 1;
    while (status == STATUS_OK && more > 0 && !call_stopped()) {
        const char *data;
        size_t size;
        more = input_read(&input);
        if (more < 0 && errno != EINTR) {
            say("%s: %s", name, strerror(errno));
            status = STATUS_FAILED;
        }
        while (status == STATUS_OK && input_cut(&input, &data, &size))
            status = as_json ? add_json(p, data, size) : add_line(p, data, size);
        /* What came before a record that cannot be is appended all the same. */
        int sent = send_rows(p);
        status = status == STATUS_OK ? sent : status;
        more = more < 0 ? 1 : more;
    }
    text_free(&input.bytes);
    return status;
}

static int add_file(struct producing *p, const char *name, const struct text *delimiter)
{
    if (strcmp(name, "-") == 0)
        return add_all(p, STDIN_FILENO, "standard input", delimiter);
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        say("%s: %s", name, strerror(errno));
        return STATUS_FAILED;
    }
    int status = add_all(p, fd, name, delimiter);
    close(fd);
    return status;
}

static int add_files(struct producing *p, const struct text *delimiter)
{
    if (p->call->argument_count == 1)
        return add_file(p, "-", delimiter);
    int status = STATUS_OK;
    for (int i = 1; i < p->call->argument_count && status == STATUS_OK && !call_stopped(); i++)
        status = add_file(p, p->call->arguments[i], delimiter);
    return status;
}

static void take_headers(struct producing *p)
{
    const char *pair;
    size_t cursor = 0;
    while ((pair = call_next_option(p->call, "header", &cursor)) != NULL) {
        const char *equals = strchr(pair, '=');
        const char *value = equals != NULL ? equals + 1 : NULL;
        pack_header(&p->headers, pair, equals != NULL ? (size_t)(equals - pair) : strlen(pair),
                    value, value != NULL ? strlen(value) : 0);
        p->header_count++;
    }
}

/* The command line into `p`, the delimiter and the producer's properties. */
static int take_choices(struct producing *p, struct text *delimiter, kfl_config *config)
{
    static const char *const properties[][2] = {{"acks", "acks"}, {"compress", "compression.type"}};
    const char *separator = call_option(p->call, "key-sep");
    const char *end = call_option(p->call, "delim");
    const char *partition = call_option(p->call, "partition");
    int64_t number = KFL_PARTITION_ANY;
    p->key = call_option(p->call, "key");
    p->reports = call_option(p->call, "report") != NULL;
    p->empty_is_null = call_option(p->call, "empty-is-null") != NULL;
    p->any_partition = partition != NULL && strcmp(partition, "any") == 0;
    if (separator != NULL &&
        (!text_unescape(separator, &p->key_separator) || p->key_separator.size == 0))
        return call_misused(p->call, "--key-sep takes text with \\n \\t \\xNN, not \"%s\"",
                            separator);
    if (!text_unescape(end != NULL ? end : "\\n", delimiter))
        return call_misused(p->call, "--delim takes text with \\n \\t \\xNN, not \"%s\"", end);
    if (!p->any_partition) {
        int status = call_number(p->call, "partition", 0, KFL_PARTITIONS_MAX - 1, number, &number);
        if (status != STATUS_OK)
            return status;
    }
    p->partition = (int32_t)number;
    take_headers(p);
    for (size_t i = 0; i < 2; i++) {
        const char *value = call_option(p->call, properties[i][0]);
        int r = value != NULL ? kfl_config_set(config, properties[i][1], value) : 0;
        if (r < 0)
            return call_failed(r);
    }
    return call_properties(p->call, "config", config);
}

int run_produce(struct call *call)
{
    struct producing p = {.call = call, .topic = call->arguments[0]};
    struct text delimiter = {0};
    kfl_config *config = NULL;
    int32_t partition_count;
    int r = kfl_config_create(&config);
    int status = r < 0 ? call_failed(r) : take_choices(&p, &delimiter, config);
    if (status == STATUS_OK)
        status = call_open(call, OPEN_TO_WRITE);
    if (status == STATUS_OK)
        status = call_topic(call, p.topic, &partition_count);
    if (status == STATUS_OK) {
        r = kfl_producer_open(call->store, config, &p.producer);
        status = r < 0 ? call_failed(r) : STATUS_OK;
    }
    if (status == STATUS_OK) {
        p.rows = need(calloc(ROWS_MOST, sizeof *p.rows));
        status = add_files(&p, &delimiter);
        if (status == STATUS_OK && !p.reports && isatty(STDERR_FILENO))
            say("%" PRId64 " records", p.sent);
    }
    r = kfl_producer_close(p.producer);
    if (r < 0 && status == STATUS_OK)
        status = call_failed(r);
    kfl_config_destroy(config);
    text_free(&p.key_separator);
    text_free(&p.headers);
    text_free(&p.bytes);
    text_free(&delimiter);
    free(p.rows);
    return status;
}
