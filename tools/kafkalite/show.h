/* SPDX-License-Identifier: MIT */
/* How one record is shown: by a format string with kcat's tokens, as JSON, as a line for people. */
#ifndef KAFKALITE_SHOW_H
#define KAFKALITE_SHOW_H

#include "call.h"
#include "text.h"

struct format;
/* STATUS_OK and an owned format (format_free()), or STATUS_USAGE. */
int format_parse(const struct call *call, const char *text, struct format **out_format);
void format_free(struct format *format); /* takes NULL */
void format_add(const struct format *format, const kfl_record *record, struct text *text);

/* kcat's envelope. */
json_t *show_json(const kfl_record *record);
/* One line: where, when, key, value. */
void show_line(const kfl_record *record, struct text *text);
/* name=value, … with what cannot be shown escaped. */
void show_headers(const kfl_record *record, struct text *text);

#endif
