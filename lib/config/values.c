/* SPDX-License-Identifier: MIT */
/*
 * A property's value: read, written, and what is accepted, by the type and the bounds of its row.
 *
 * Reading is strict and writing has one form: what was written reads as the same value.
 */
#include "config/values.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"

/* One of the words in "0|1|all=-1". Start with zeros. */
struct value_choice {
    const char *word;
    size_t size;
    int32_t index;
    bool is_alias; /* another word for the one before, with its index */
};

static bool value_next_choice(const char *choices, struct value_choice *choice)
{
    const char *from = choices;
    if (choice->word != NULL) {
        from = choice->word + choice->size;
        if (*from == '\0')
            return false;
        choice->is_alias = *from == '=';
        choice->index += choice->is_alias ? 0 : 1;
        from++;
    }
    choice->word = from;
    choice->size = strcspn(from, "|=");
    return true;
}

/* -1: not among them. */
static int32_t value_find_choice(const char *choices, const char *word, size_t size)
{
    struct value_choice choice = {0};
    while (value_next_choice(choices, &choice)) {
        if (choice.size == size && memcmp(choice.word, word, size) == 0)
            return choice.index;
    }
    return -1;
}

/* Append to a text that must fit: its parts come from the table. */
static void value_append(char *text, size_t size, const char *format, ...) KFL_PRINTF(3, 4);
static void value_append(char *text, size_t size, const char *format, ...)
{
    size_t used = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    int added = vsnprintf(text + used, size - used, format, arguments);
    va_end(arguments);
    assert(added >= 0 && (size_t)added < size - used);
    (void)added;
}

/* Decimal digits with an optional minus, nothing else, and no more than 64 bits. */
static bool value_read_number(const char *text, int64_t *out_value)
{
    bool negative = *text == '-';
    const char *digit = text + (negative ? 1 : 0);
    int64_t value = 0;
    if (*digit == '\0')
        return false;
    for (; *digit != '\0'; digit++) {
        if (*digit < '0' || *digit > '9')
            return false;
        int64_t step = negative ? '0' - *digit : *digit - '0';
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, step, &value))
            return false;
    }
    *out_value = value;
    return true;
}

/* "0.5" in millionths: digits, and up to six more behind a point. */
static bool value_read_ratio(const char *text, int64_t *out_value)
{
    int64_t value = 0, unit = 1000000;
    size_t whole = strspn(text, "0123456789");
    if (whole == 0 || whole > 9)
        return false;
    for (size_t i = 0; i < whole; i++)
        value = value * 10 + (text[i] - '0');
    value *= unit;
    const char *digit = text + whole;
    if (*digit == '.') {
        digit++;
        if (*digit == '\0')
            return false;
        for (; *digit >= '0' && *digit <= '9' && unit > 1; digit++) {
            unit /= 10;
            value += (*digit - '0') * unit;
        }
    }
    if (*digit != '\0')
        return false;
    *out_value = value;
    return true;
}

static bool value_read_mode(const char *text, int64_t *out_value)
{
    size_t size = strlen(text);
    int64_t value = 0;
    if (size < 3 || size > 4 || strspn(text, "01234567") != size)
        return false;
    for (; *text != '\0'; text++)
        value = value * 8 + (*text - '0');
    *out_value = value;
    return true;
}

static bool value_read_list(const char *choices, const char *text, int64_t *out_value)
{
    int64_t value = 0;
    for (;;) {
        size_t size = strcspn(text, ",");
        int32_t index = value_find_choice(choices, text, size);
        if (index < 0 || (value >> index & 1) != 0)
            return false;
        value |= INT64_C(1) << index;
        if (text[size] == '\0')
            break;
        text += size + 1;
    }
    *out_value = value;
    return true;
}

/* A value is kept as a line of text in the catalog, so it must be one. */
static bool value_is_plain(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return false;
    }
    return true;
}

static bool value_equals_any_case(const char *a, const char *b)
{
    while (*a != '\0' && kfl__value_lower(*a) == kfl__value_lower(*b)) {
        a++;
        b++;
    }
    return *a == *b;
}

bool kfl__value_read(const struct kfl__property *property, const char *text, int64_t *out_value)
{
    int64_t value = 0;
    switch (property->type) {
    case KFL_TYPE_BOOLEAN:
        value = value_equals_any_case(text, "true");
        if (value == 0 && !value_equals_any_case(text, "false"))
            return false;
        break;
    case KFL_TYPE_INT64:
        if (!value_read_number(text, &value) || value < property->least || value > property->most)
            return false;
        break;
    case KFL_TYPE_RATIO:
        if (!value_read_ratio(text, &value) || value < property->least || value > property->most)
            return false;
        break;
    case KFL_TYPE_MODE:
        if (!value_read_mode(text, &value) || (value & property->least) != property->least ||
            (value & ~property->most) != 0)
            return false;
        break;
    case KFL_TYPE_CHOICE:
        value = value_find_choice(property->choices, text, strlen(text));
        if (value < 0)
            return false;
        break;
    case KFL_TYPE_LIST:
        if (!value_read_list(property->choices, text, &value))
            return false;
        break;
    case KFL_TYPE_STRING:
        value = (int64_t)strlen(text);
        if (value < property->least || value > property->most || !value_is_plain(text))
            return false;
        break;
    }
    *out_value = value;
    return true;
}

void kfl__value_format(const struct kfl__property *property, int64_t value,
                       char text[KFL_VALUE_TEXT_SIZE])
{
    struct value_choice choice = {0};
    text[0] = '\0';
    switch (property->type) {
    case KFL_TYPE_BOOLEAN:
        value_append(text, KFL_VALUE_TEXT_SIZE, "%s", value != 0 ? "true" : "false");
        break;
    case KFL_TYPE_INT64:
        value_append(text, KFL_VALUE_TEXT_SIZE, "%" PRId64, value);
        break;
    case KFL_TYPE_RATIO:
        value_append(text, KFL_VALUE_TEXT_SIZE, "%" PRId64 ".%06" PRId64, value / 1000000,
                     value % 1000000);
        /* At least one digit behind the point. */
        for (size_t size = strlen(text); text[size - 1] == '0' && text[size - 2] != '.'; size--)
            text[size - 1] = '\0';
        break;
    case KFL_TYPE_MODE:
        value_append(text, KFL_VALUE_TEXT_SIZE, "%04" PRIo64, (uint64_t)value);
        break;
    case KFL_TYPE_CHOICE:
    case KFL_TYPE_LIST:
        while (value_next_choice(property->choices, &choice)) {
            bool chosen = property->type == KFL_TYPE_LIST ? (value >> choice.index & 1) != 0
                                                          : value == choice.index;
            if (chosen && !choice.is_alias)
                value_append(text, KFL_VALUE_TEXT_SIZE, "%s%.*s", text[0] != '\0' ? "," : "",
                             (int)choice.size, choice.word);
        }
        break;
    case KFL_TYPE_STRING:
        assert(property->type != KFL_TYPE_STRING);
        break;
    }
}

static void value_describe_choices(const char *choices, char *text, size_t size)
{
    struct value_choice choice = {0};
    while (value_next_choice(choices, &choice)) {
        const char *before = choice.is_alias ? " (or " : text[0] != '\0' ? ", " : "";
        value_append(text, size, "%s%.*s%s", before, (int)choice.size, choice.word,
                     choice.is_alias ? ")" : "");
    }
}

void kfl__value_describe(const struct kfl__property *property, char *text, size_t size)
{
    char choices[KFL_VALUE_TEXT_SIZE] = "";
    switch (property->type) {
    case KFL_TYPE_BOOLEAN:
        value_append(text, size, "true, false");
        break;
    case KFL_TYPE_INT64:
        value_append(text, size, "%" PRId64 " .. %" PRId64, property->least, property->most);
        break;
    case KFL_TYPE_RATIO:
        value_append(text, size, "%" PRId64 ".%" PRId64 " .. %" PRId64 ".0",
                     property->least / 1000000, property->least % 1000000 / 100000,
                     property->most / 1000000);
        break;
    case KFL_TYPE_MODE:
        value_append(text, size, "bits of %04" PRIo64 " with all of %04" PRIo64,
                     (uint64_t)property->most, (uint64_t)property->least);
        break;
    case KFL_TYPE_CHOICE:
        value_describe_choices(property->choices, text, size);
        break;
    case KFL_TYPE_LIST:
        value_describe_choices(property->choices, choices, sizeof choices);
        value_append(text, size, "one or more of %s, separated by commas", choices);
        break;
    case KFL_TYPE_STRING:
        value_append(text, size, "at most %" PRId64 " bytes, no control characters",
                     property->most);
        break;
    }
}
