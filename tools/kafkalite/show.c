/* SPDX-License-Identifier: MIT */
/*
 * One record as text. A format string is parsed once into pieces; a piece is text as it is, or a
 * part of the record and how to write it.
 */
#include "show.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "moment.h"
#include "output.h"

enum { AS_BYTES, AS_HEX, AS_BASE64, AS_JSON, AS_STRFTIME };

struct piece {
    char token; /* 0: `text` itself */
    int modifier;
    struct text text; /* or the format of strftime */
};
struct format {
    struct piece *pieces;
    size_t count;
};

static struct piece *add_piece(struct format *format, char token)
{
    format->pieces = need_room(format->pieces, format->count, sizeof *format->pieces);
    format->pieces[format->count] = (struct piece){.token = token};
    return &format->pieces[format->count++];
}

/* "{hex}" behind a token, or nothing. Returns how much was read, -1 for a modifier that is none. */
static int parse_modifier(const char *text, struct piece *piece)
{
    static const char *const names[] = {"{hex}", "{base64}", "{json}"};
    if (*text != '{' || strchr("skvd", piece->token) == NULL)
        return 0;
    for (int i = 0; i < 3 && piece->token != 'd'; i++) {
        if (strncmp(text, names[i], strlen(names[i])) == 0) {
            piece->modifier = AS_HEX + i;
            return (int)strlen(names[i]);
        }
    }
    const char *end = strstr(text, "]}");
    if (piece->token == 'd' && strncmp(text, "{strftime[", 10) == 0 && end != NULL) {
        piece->modifier = AS_STRFTIME;
        text_add(&piece->text, text + 10, (size_t)(end - text - 10));
        return (int)(end + 2 - text);
    }
    /* A brace that begins no modifier is text: '%k{' is allowed where no closing brace follows. */
    return strchr(text, '}') != NULL ? -1 : 0;
}

int format_parse(const struct call *call, const char *text, struct format **out_format)
{
    struct text unescaped;
    if (!text_unescape(text, &unescaped))
        return call_misused(call, "--format knows \\n \\t \\r \\0 \\\\ \\xNN: \"%s\"", text);
    struct format *format = need(calloc(1, sizeof *format));
    const char *end = unescaped.data + unescaped.size;
    int status = STATUS_OK;
    for (const char *c = unescaped.data; c < end && status == STATUS_OK;) {
        const char *percent = memchr(c, '%', (size_t)(end - c));
        const char *stop = percent != NULL ? percent : end;
        if (stop > c)
            text_add(&add_piece(format, 0)->text, c, (size_t)(stop - c));
        c = stop;
        if (percent == NULL)
            break;
        if (c[1] == '%') {
            text_add(&add_piece(format, 0)->text, "%", 1);
            c += 2;
        } else if (c[1] != '\0' && strchr("sSvkKtpoTdh", c[1]) != NULL) {
            int size = parse_modifier(c + 2, add_piece(format, c[1]));
            if (size < 0)
                status =
                    call_misused(call, "--format does not know the modifier behind %%%c", c[1]);
            c += 2 + (size > 0 ? size : 0);
        } else {
            status = call_misused(call, "--format does not know %%%c", c[1] != '\0' ? c[1] : ' ');
        }
    }
    text_free(&unescaped);
    if (status != STATUS_OK) {
        format_free(format);
        return status;
    }
    *out_format = format;
    return STATUS_OK;
}

void format_free(struct format *format)
{
    if (format == NULL)
        return;
    for (size_t i = 0; i < format->count; i++)
        text_free(&format->pieces[i].text);
    free(format->pieces);
    free(format);
}

static void add_bytes(struct text *text, int modifier, const void *data, size_t size)
{
    if (modifier == AS_JSON) {
        json_t *value = need_json(text_to_json(data, size));
        char *dumped = need(json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY));
        text_add(text, dumped, strlen(dumped));
        free(dumped);
        json_decref(value);
    } else if (modifier == AS_HEX) {
        text_add_hex(text, data, size);
    } else if (modifier == AS_BASE64) {
        text_add_base64(text, data, size);
    } else {
        text_add(text, data, size);
    }
}

/* kcat's: name=value,name=value as they are; a missing value is NULL. */
static void add_headers(struct text *text, const kfl_record *record)
{
    for (int32_t i = 0; i < record->header_count; i++) {
        kfl_header header;
        if (kfl_record_header(record, i, &header) < 0)
            return;
        text_add_format(text, "%s%s=", i > 0 ? "," : "", header.name);
        if (header.value == NULL)
            text_add(text, "NULL", 4);
        else
            text_add(text, header.value, header.value_size);
    }
}

static void add_token(const struct piece *piece, const kfl_record *record, struct text *text)
{
    switch (piece->token) {
    case 0:
        text_add(text, piece->text.data, piece->text.size);
        break;
    case 's':
    case 'v':
        add_bytes(text, piece->modifier, record->value, record->value_size);
        break;
    case 'k':
        add_bytes(text, piece->modifier, record->key, record->key_size);
        break;
    case 'S':
        text_add_format(text, "%" PRId64, record->value != NULL ? (int64_t)record->value_size : -1);
        break;
    case 'K':
        text_add_format(text, "%" PRId64, record->key != NULL ? (int64_t)record->key_size : -1);
        break;
    case 't':
        text_add_format(text, "%s", record->topic);
        break;
    case 'p':
        text_add_format(text, "%" PRId32, record->partition);
        break;
    case 'o':
        text_add_format(text, "%" PRId64, record->offset);
        break;
    case 'T':
        text_add_format(text, "%" PRId64, record->timestamp_ms);
        break;
    case 'd':
        moment_add(text, piece->modifier == AS_STRFTIME ? piece->text.data : NULL,
                   record->timestamp_ms);
        break;
    default:
        add_headers(text, record);
    }
}

void format_add(const struct format *format, const kfl_record *record, struct text *text)
{
    for (size_t i = 0; i < format->count; i++)
        add_token(&format->pieces[i], record, text);
}

json_t *show_json(const kfl_record *record)
{
    json_t *headers = need_json(json_array());
    for (int32_t i = 0; i < record->header_count; i++) {
        kfl_header header;
        if (kfl_record_header(record, i, &header) < 0)
            break;
        json_array_append_new(headers, need_json(text_to_json(header.name, strlen(header.name))));
        json_array_append_new(headers, need_json(text_to_json(header.value, header.value_size)));
    }
    return need_json(
        json_pack("{s:s, s:i, s:I, s:s, s:I, s:o, s:o, s:o}", "topic", record->topic, "partition",
                  (int)record->partition, "offset", (json_int_t)record->offset, "tstype",
                  record->timestamp_type == 1 ? "logappend" : "create", "ts",
                  (json_int_t)record->timestamp_ms, "key",
                  need_json(text_to_json(record->key, record->key_size)), "payload",
                  need_json(text_to_json(record->value, record->value_size)), "headers", headers));
}

void show_headers(const kfl_record *record, struct text *text)
{
    for (int32_t i = 0; i < record->header_count; i++) {
        kfl_header header;
        if (kfl_record_header(record, i, &header) < 0)
            return;
        text_add(text, "  ", 2);
        text_add_shown(text, header.name, strlen(header.name));
        if (header.value != NULL) {
            text_add(text, "=", 1);
            text_add_shown(text, header.value, header.value_size);
        }
    }
}

void show_line(const kfl_record *record, struct text *text)
{
    char buffer[TEXT_NUMBER_SIZE];
    text_add_format(text, "%s%" PRId32 "/%s", output_dim(), record->partition,
                    text_of_count(record->offset, buffer));
    text_add_format(text, "  %s%s  ", moment_clock(record->timestamp_ms, buffer), output_plain());
    if (record->key != NULL) {
        text_add_shown(text, record->key, record->key_size);
        text_add(text, "  ", 2);
    }
    if (record->value != NULL)
        text_add_shown(text, record->value, record->value_size);
    else
        text_add_format(text, "%s", output_word("∅", "(none)"));
    text_add_format(text, "%s", output_dim());
    show_headers(record, text);
    text_add_format(text, "%s\n", output_plain());
}
