/* SPDX-License-Identifier: MIT */
/*
 * What goes to standard output: rows as a table for people, as tab-separated lines for scripts, as
 * JSON for programs.
 *
 * The rows are JSON objects in all three cases, so no form can tell what the others do not know.
 */
#ifndef KAFKALITE_OUTPUT_H
#define KAFKALITE_OUTPUT_H

#include <jansson.h>
#include <stdint.h>

#include "text.h"

enum column_kind {
    COLUMN_TEXT,
    COLUMN_NUMBER, /* as it is: an id */
    COLUMN_COUNT,
    COLUMN_BYTES,
    COLUMN_TIME,
    COLUMN_LAPSE, /* milliseconds */
    COLUMN_SHARE /* 0 .. 1, a bar */
};
struct column {
    const char *key;
    const char *title;
    int kind;
};

/* Once, before anything is put out. color: "auto", "always", "never". Returns 0 for another word.
 */
int output_setup(int json, int plain, const char *color);
int output_is_json(void);
int output_is_table(void); /* for people: neither JSON nor plain */

/* The rows in the form asked for. In JSON: {"<name>": rows}. Takes the reference. `columns` ends
 * with a NULL key. */
void output_rows(const char *name, const struct column *columns, json_t *rows);
/* One JSON document; output_json_line() one a line. Both take the reference. */
void output_json(json_t *document);
void output_json_line(json_t *document);
/* A line for people, shown only above or below tables. */
void output_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Escape sequences, "" where there are no colours. */
const char *output_dim(void);
const char *output_bold(void);
const char *output_good(void);
const char *output_bad(void);
const char *output_plain(void);
/* A bar of `width` cells. */
void output_add_bar(struct text *text, double share, int width);
/* The first word in a UTF-8 locale, else the second. */
const char *output_word(const char *unicode, const char *ascii);

/* 1 while standard output takes what it is given; 0 once it failed. */
int output_flush(void);
/* Ends the output: STATUS_OK or STATUS_FAILED, having said why; *out_broken when the reader has
 * gone. */
int output_finish(int *out_broken);

/* A new object or array from json_pack(), or the end of the program. */
json_t *need_json(json_t *value);
/* null below 0 */
json_t *json_or_null(int64_t number);

#endif
