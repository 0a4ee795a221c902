/* SPDX-License-Identifier: MIT */
/*
 * Standard output. Tables and colours are for terminals; what is piped is tab-separated with whole
 * numbers, and --json is the same everywhere. A reader that goes away is noticed here: the program
 * then closes its store and ends as if the signal had killed it.
 */
#include "output.h"

#include <errno.h>
#include <inttypes.h>
#include <langinfo.h>
#include <libsmartcols/libsmartcols.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "call.h"
#include "moment.h"

enum { FORM_TABLE, FORM_PLAIN, FORM_JSON };
static int form = FORM_PLAIN;
static int with_colors;
static int with_unicode;
static int failed; /* errno of the first write that failed */

int output_setup(int json, int plain, const char *color)
{
    int terminal = isatty(STDOUT_FILENO);
    const char *term = getenv("TERM");
    const char *no_color = getenv("NO_COLOR");
    form = json ? FORM_JSON : plain || !terminal ? FORM_PLAIN : FORM_TABLE;
    with_unicode = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    if (strcmp(color, "always") == 0)
        with_colors = 1;
    else if (strcmp(color, "auto") == 0)
        with_colors = terminal && !plain && (no_color == NULL || *no_color == '\0') &&
                      (term == NULL || strcmp(term, "dumb") != 0);
    else if (strcmp(color, "never") != 0)
        return 0;
    return 1;
}

int output_is_json(void)
{
    return form == FORM_JSON;
}

int output_is_table(void)
{
    return form == FORM_TABLE;
}

const char *output_dim(void)
{
    return with_colors ? "\033[2m" : "";
}

const char *output_bold(void)
{
    return with_colors ? "\033[1m" : "";
}

const char *output_good(void)
{
    return with_colors ? "\033[32m" : "";
}

const char *output_bad(void)
{
    return with_colors ? "\033[31m" : "";
}

const char *output_plain(void)
{
    return with_colors ? "\033[0m" : "";
}

const char *output_word(const char *unicode, const char *ascii)
{
    return with_unicode ? unicode : ascii;
}

json_t *need_json(json_t *value)
{
    return need(value);
}

json_t *json_or_null(int64_t number)
{
    return number >= 0 ? json_integer(number) : json_null();
}

void output_add_bar(struct text *text, double share, int width)
{
    static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    int cells = (int)(share * width * 8 + 0.5);
    cells = cells < 0 ? 0 : cells > width * 8 ? width * 8 : cells;
    int used = 0;
    for (; used < cells / 8; used++)
        text_add_format(text, "%s", output_word("█", "#"));
    if (cells % 8 > 0 && with_unicode) {
        text_add_format(text, "%s", eighths[cells % 8]);
        used++;
    }
    text_add_format(text, "%*s", width - used, "");
}

/* A cell for people: units, separators, bars. */
static void add_table_cell(struct text *text, const json_t *cell, int kind)
{
    char buffer[TEXT_NUMBER_SIZE];
    if (cell == NULL || json_is_null(cell)) {
        text_add(text, "-", 1);
    } else if (json_is_string(cell)) {
        text_add_shown(text, json_string_value(cell), json_string_length(cell));
    } else if (json_is_boolean(cell)) {
        text_add_format(text, "%s", json_is_true(cell) ? "yes" : "no");
    } else if (kind == COLUMN_SHARE) {
        output_add_bar(text, json_number_value(cell), 12);
        text_add_format(text, " %5.1f%%", json_number_value(cell) * 100);
    } else if (json_is_integer(cell)) {
        int64_t number = json_integer_value(cell);
        if (kind == COLUMN_COUNT)
            text_add_format(text, "%s", text_of_count(number, buffer));
        else if (kind == COLUMN_BYTES)
            text_add_format(text, "%s", text_of_bytes(number, buffer));
        else if (kind == COLUMN_TIME)
            text_add_format(text, "%s", moment_text(number, buffer));
        else if (kind == COLUMN_LAPSE)
            text_add_format(text, "%s",
                            number == 0 ? "0 s" : text_of_seconds((double)number / 1000, buffer));
        else
            text_add_format(text, "%" PRId64, number);
    } else {
        char *dumped = need(json_dumps(cell, JSON_COMPACT | JSON_ENCODE_ANY));
        text_add_format(text, "%s", dumped);
        free(dumped);
    }
}

/* A cell for scripts: whole numbers, one line. */
static void add_plain_cell(struct text *text, const json_t *cell)
{
    if (json_is_real(cell))
        text_add_format(text, "%.4f", json_real_value(cell));
    else
        add_table_cell(text, cell, COLUMN_NUMBER);
}

static void print_plain(const struct column *columns, const json_t *rows)
{
    struct text text = {0};
    const json_t *row;
    size_t index;
    for (const struct column *column = columns; column->key != NULL; column++)
        text_add_format(&text, "%s%s", column == columns ? "" : "\t", column->title);
    text_add(&text, "\n", 1);
    json_array_foreach(rows, index, row)
    {
        for (const struct column *column = columns; column->key != NULL; column++) {
            if (column != columns)
                text_add(&text, "\t", 1);
            add_plain_cell(&text, json_object_get(row, column->key));
        }
        text_add(&text, "\n", 1);
    }
    fwrite(text.data, 1, text.size, stdout);
    text_free(&text);
}

static const char *color_of(const char *word)
{
    if (strcmp(word, "PASS") == 0)
        return "green";
    return strcmp(word, "FAIL") == 0 ? "red" : NULL;
}

static void add_table_line(struct libscols_table *table, const struct column *columns,
                           const json_t *row)
{
    struct libscols_line *line = need(scols_table_new_line(table, NULL));
    for (size_t i = 0; columns[i].key != NULL; i++) {
        struct text text = {0};
        text_add(&text, "", 0);
        add_table_cell(&text, json_object_get(row, columns[i].key), columns[i].kind);
        scols_line_set_data(line, i, text.data);
        const char *color = color_of(text.data);
        if (color != NULL)
            scols_cell_set_color(scols_line_get_cell(line, i), color);
        text_free(&text);
    }
}

static void print_table(const struct column *columns, const json_t *rows)
{
    struct libscols_table *table = need(scols_new_table());
    const json_t *row;
    size_t index;
    scols_table_set_stream(table, stdout);
    scols_table_set_column_separator(table, "  ");
    scols_table_enable_colors(table, with_colors);
    for (const struct column *column = columns; column->key != NULL; column++) {
        int right = column->kind != COLUMN_TEXT && column->kind != COLUMN_TIME &&
                    column->kind != COLUMN_SHARE;
        struct libscols_column *shown =
            need(scols_table_new_column(table, column->title, 0, right ? SCOLS_FL_RIGHT : 0));
        scols_cell_set_color(scols_column_get_header(shown), "bold");
    }
    json_array_foreach(rows, index, row)
    {
        add_table_line(table, columns, row);
    }
    scols_print_table(table);
    scols_unref_table(table);
}

void output_rows(const char *name, const struct column *columns, json_t *rows)
{
    if (form == FORM_JSON) {
        output_json(need_json(json_pack("{s:o}", name, rows)));
        return;
    }
    if (form == FORM_PLAIN)
        print_plain(columns, rows);
    else if (json_array_size(rows) > 0)
        print_table(columns, rows);
    json_decref(rows);
}

void output_json(json_t *document)
{
    json_dumpf(document, stdout, isatty(STDOUT_FILENO) ? JSON_INDENT(2) : JSON_COMPACT);
    putchar('\n');
    json_decref(document);
}

void output_json_line(json_t *document)
{
    json_dumpf(document, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(document);
}

void output_note(const char *format, ...)
{
    if (form != FORM_TABLE)
        return;
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
}

int output_flush(void)
{
    if (failed == 0 && (fflush(stdout) != 0 || ferror(stdout)))
        failed = errno != 0 ? errno : EIO;
    return failed == 0;
}

int output_finish(int *out_broken)
{
    *out_broken = 0;
    if (output_flush())
        return STATUS_OK;
    if (failed == EPIPE)
        *out_broken = 1;
    else
        say("standard output: %s", strerror(failed));
    return STATUS_FAILED;
}
