/* SPDX-License-Identifier: MIT */
/*
 * Bytes and numbers as text. Keys and values are any bytes, so nothing here believes that they are
 * UTF-8, or that they end with NUL.
 */
#include "text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "call.h"
#include "output.h"

void text_reserve(struct text *text, size_t more)
{
    if (text->room >= text->size + more + 1)
        return;
    size_t room = text->room < 64 ? 64 : text->room;
    while (room < text->size + more + 1)
        room *= 2;
    text->data = need(realloc(text->data, room));
    text->room = room;
}

void text_add(struct text *text, const void *data, size_t size)
{
    text_reserve(text, size);
    if (size > 0)
        memcpy(text->data + text->size, data, size);
    text->size += size;
    text->data[text->size] = '\0';
}

void text_add_format(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (size < 0)
        return;
    text_reserve(text, (size_t)size);
    va_start(arguments, format);
    vsnprintf(text->data + text->size, (size_t)size + 1, format, arguments);
    va_end(arguments);
    text->size += (size_t)size;
}

void text_free(struct text *text)
{
    free(text->data);
    *text = (struct text){0};
}

const char *text_of_count(int64_t count, char buffer[TEXT_NUMBER_SIZE])
{
    char digits[TEXT_NUMBER_SIZE];
    int length = snprintf(digits, sizeof digits, "%" PRId64, count);
    int first = digits[0] == '-';
    int out = 0;
    for (int i = 0; i < length; i++) {
        if (i > first && (length - i) % 3 == 0)
            buffer[out++] = ',';
        buffer[out++] = digits[i];
    }
    buffer[out] = '\0';
    return buffer;
}

const char *text_of_bytes(int64_t bytes, char buffer[TEXT_NUMBER_SIZE])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    double number = (double)bytes;
    size_t unit = 0;
    while (number >= 1023.95 && unit + 1 < sizeof units / sizeof *units) {
        number /= 1024;
        unit++;
    }
    snprintf(buffer, TEXT_NUMBER_SIZE, unit == 0 ? "%.0f %s" : "%.1f %s", number, units[unit]);
    return buffer;
}

const char *text_of_seconds(double seconds, char buffer[TEXT_NUMBER_SIZE])
{
    if (seconds < 0.001)
        snprintf(buffer, TEXT_NUMBER_SIZE, "%.0f %s", seconds * 1e6, output_word("µs", "us"));
    else if (seconds < 1)
        snprintf(buffer, TEXT_NUMBER_SIZE, seconds < 0.01 ? "%.1f ms" : "%.0f ms", seconds * 1e3);
    else
        snprintf(buffer, TEXT_NUMBER_SIZE, "%.1f s", seconds);
    return buffer;
}

int text_to_number(const char *text, int64_t *out_number)
{
    char *end;
    errno = 0;
    if ((*text < '0' || *text > '9') && *text != '-')
        return 0;
    long long number = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0')
        return 0;
    *out_number = number;
    return 1;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int text_unescape(const char *escaped, struct text *out_text)
{
    static const char letters[] = "ntr0\\";
    static const char bytes[] = "\n\t\r\0\\";
    struct text text = {0};
    text_add(&text, "", 0);
    for (const char *c = escaped; *c != '\0'; c++) {
        if (*c != '\\') {
            text_add(&text, c, 1);
            continue;
        }
        c++;
        const char *letter = *c != '\0' ? strchr(letters, *c) : NULL;
        if (letter != NULL) {
            text_add(&text, &bytes[letter - letters], 1);
        } else if (*c == 'x' && hex_digit(c[1]) >= 0 && hex_digit(c[2]) >= 0) {
            char byte = (char)(hex_digit(c[1]) * 16 + hex_digit(c[2]));
            text_add(&text, &byte, 1);
            c += 2;
        } else {
            text_free(&text);
            return 0;
        }
    }
    *out_text = text;
    return 1;
}

/* The size of the UTF-8 character that begins here, 0 when none does, or one that a terminal obeys.
 */
static size_t shown_size(const unsigned char *bytes, size_t size)
{
    if (bytes[0] < 0x80)
        return bytes[0] >= 0x20 && bytes[0] != 0x7f;
    size_t length = bytes[0] >= 0xf0 ? 4 : bytes[0] >= 0xe0 ? 3 : 2;
    if (bytes[0] < 0xc2 || bytes[0] > 0xf4 || length > size)
        return 0;
    for (size_t i = 1; i < length; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
    }
    int c1_control = bytes[0] == 0xc2 && bytes[1] < 0xa0;
    int overlong = (bytes[0] == 0xe0 && bytes[1] < 0xa0) || (bytes[0] == 0xf0 && bytes[1] < 0x90);
    int beyond = (bytes[0] == 0xf4 && bytes[1] > 0x8f) || (bytes[0] == 0xed && bytes[1] > 0x9f);
    return c1_control || overlong || beyond ? 0 : length;
}

void text_add_shown(struct text *text, const void *data, size_t size)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < size;) {
        size_t length = shown_size(bytes + i, size - i);
        if (bytes[i] == '\\') {
            text_add(text, "\\\\", 2);
            i++;
        } else if (length > 0) {
            text_add(text, bytes + i, length);
            i += length;
        } else {
            if (bytes[i] == '\n')
                text_add(text, "\\n", 2);
            else if (bytes[i] == '\t')
                text_add(text, "\\t", 2);
            else
                text_add_format(text, "\\x%02x", bytes[i]);
            i++;
        }
    }
}

void text_add_hex(struct text *text, const void *data, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *bytes = data;
    text_reserve(text, size * 2);
    for (size_t i = 0; i < size; i++) {
        char pair[2] = {digits[bytes[i] >> 4], digits[bytes[i] & 15]};
        text_add(text, pair, 2);
    }
}

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void text_add_base64(struct text *text, const void *data, size_t size)
{
    const unsigned char *bytes = data;
    text_reserve(text, (size + 2) / 3 * 4);
    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i;
        uint32_t word = (uint32_t)bytes[i] << 16;
        if (left > 1)
            word |= (uint32_t)bytes[i + 1] << 8;
        if (left > 2)
            word |= bytes[i + 2];
        char four[4] = {base64_digits[word >> 18], base64_digits[word >> 12 & 63],
                        left > 1 ? base64_digits[word >> 6 & 63] : '=',
                        left > 2 ? base64_digits[word & 63] : '='};
        text_add(text, four, 4);
    }
}

int text_from_base64(const char *base64, size_t size, struct text *out_text)
{
    struct text text = {0};
    text_add(&text, "", 0);
    int good = size % 4 == 0;
    for (size_t i = 0; good && i < size; i += 4) {
        int padding = 0;
        if (i + 4 == size)
            padding = base64[i + 3] != '=' ? 0 : base64[i + 2] != '=' ? 1 : 2;
        uint32_t word = 0;
        for (int k = 0; k < 4; k++) {
            char c = base64[i + (size_t)k];
            const char *digit = c != '\0' ? strchr(base64_digits, c) : NULL;
            int is_padding = k >= 4 - padding;
            good = good && (is_padding || digit != NULL);
            word =
                word << 6 | (digit != NULL && !is_padding ? (uint32_t)(digit - base64_digits) : 0);
        }
        char three[3] = {(char)(word >> 16), (char)(word >> 8), (char)word};
        text_add(&text, three, (size_t)(3 - padding));
    }
    if (!good) {
        text_free(&text);
        return 0;
    }
    *out_text = text;
    return 1;
}

json_t *text_to_json(const void *data, size_t size)
{
    if (data == NULL)
        return json_null();
    json_t *string = json_stringn(data, size);
    if (string != NULL)
        return string;
    struct text base64 = {0};
    text_add_base64(&base64, data, size);
    json_t *object = need_json(json_pack("{s:s}", "base64", base64.data));
    text_free(&base64);
    return object;
}

int text_from_json(const json_t *value, struct text *out_text)
{
    struct text text = {0};
    if (json_is_null(value))
        return 0;
    if (json_is_string(value)) {
        text_add(&text, json_string_value(value), json_string_length(value));
    } else if (json_is_object(value) && json_object_size(value) == 1 &&
               json_is_string(json_object_get(value, "base64"))) {
        const json_t *base64 = json_object_get(value, "base64");
        if (!text_from_base64(json_string_value(base64), json_string_length(base64), &text))
            return -1;
    } else {
        char *dumped = need(json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY));
        text_add(&text, dumped, strlen(dumped));
        free(dumped);
    }
    *out_text = text;
    return 1;
}

/* How many letters to change, add, drop or swap. Words beyond 31 letters are far from everything.
 */
static int distance(const char *a, const char *b)
{
    enum { LONGEST = 31 };
    int rows[LONGEST + 1][LONGEST + 1];
    size_t a_size = strlen(a);
    size_t b_size = strlen(b);
    if (a_size > LONGEST || b_size > LONGEST)
        return LONGEST;
    for (size_t i = 0; i <= a_size; i++) {
        for (size_t k = 0; k <= b_size; k++) {
            if (i == 0 || k == 0) {
                rows[i][k] = (int)(i + k);
                continue;
            }
            int best = rows[i - 1][k - 1] + (a[i - 1] != b[k - 1]);
            if (rows[i - 1][k] + 1 < best)
                best = rows[i - 1][k] + 1;
            if (rows[i][k - 1] + 1 < best)
                best = rows[i][k - 1] + 1;
            int swapped = i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1];
            if (swapped && rows[i - 2][k - 2] + 1 < best)
                best = rows[i - 2][k - 2] + 1;
            rows[i][k] = best;
        }
    }
    return rows[a_size][b_size];
}

const char *text_nearest(const char *word, const char *const *candidates)
{
    const char *nearest = NULL;
    int least = (int)strlen(word) / 3 + 2;
    for (; *candidates != NULL; candidates++) {
        int steps = distance(word, *candidates);
        if (steps < least) {
            least = steps;
            nearest = *candidates;
        }
    }
    return nearest;
}
