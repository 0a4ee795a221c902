/* SPDX-License-Identifier: MIT */
/* Bytes and numbers as text, and back. */
#ifndef KAFKALITE_TEXT_H
#define KAFKALITE_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

/* Bytes that grow. `data` has room for one byte more than `size`. */
struct text {
    char *data;
    size_t size;
    size_t room;
};
void text_reserve(struct text *text, size_t more); /* room for so many bytes more */
void text_add(struct text *text, const void *data, size_t size);
void text_add_format(struct text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void text_free(struct text *text);

/* "12,000", "13.9 MiB", "1.3 s". The buffer is returned. */
#define TEXT_NUMBER_SIZE 40
const char *text_of_count(int64_t count, char buffer[TEXT_NUMBER_SIZE]);
const char *text_of_bytes(int64_t bytes, char buffer[TEXT_NUMBER_SIZE]);
const char *text_of_seconds(double seconds, char buffer[TEXT_NUMBER_SIZE]);
int text_to_number(const char *text, int64_t *out_number); /* the whole text, decimal */

/* Backslash escapes: \n \t \r \0 \\ \xNN. Returns 1, or 0 for an escape that is none. Owned:
 * text_free(). */
int text_unescape(const char *escaped, struct text *out_text);
/* Bytes for a terminal or a line: what cannot be shown becomes \xNN, \n … */
void text_add_shown(struct text *text, const void *data, size_t size);
void text_add_hex(struct text *text, const void *data, size_t size);
void text_add_base64(struct text *text, const void *data, size_t size);
int text_from_base64(const char *base64, size_t size, struct text *out_text);

/* A JSON string, {"base64": …} for what is not UTF-8, null for NULL. */
json_t *text_to_json(const void *data, size_t size);
/* Back: 1, 0 for null; -1 for what is neither. A value of any other JSON type is its compact text.
 * Owned. */
int text_from_json(const json_t *value, struct text *out_text);

/* The candidate that was probably meant; NULL when none is near. Ends with a NULL. */
const char *text_nearest(const char *word, const char *const *candidates);

#endif
