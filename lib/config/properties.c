/* SPDX-License-Identifier: MIT */
/*
 * The table of properties, and all that takes only one row of it: find, read, write, describe.
 *
 * A value is a number whatever its type, so that reading and writing it need no type of their own.
 * Reading is strict and writing has one form: what was written reads as the same value. The table
 * and what is derived from it never change, so everything here may be called from any thread.
 */
#include "config/properties.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/error.h"

static const struct kfl__property property_table[KFL_PROPERTY_COUNT] = {
#define KFL__ROW(field, name_, scopes_, type_, default_, least_, most_, choices_, text_)           \
    {.name = name_,                                                                                \
     .default_text = default_,                                                                     \
     .choices = choices_,                                                                          \
     .text = text_,                                                                                \
     .least = least_,                                                                              \
     .most = most_,                                                                                \
     .place = offsetof(struct kfl__settings, field),                                               \
     .scopes = scopes_,                                                                            \
     .type = KFL_TYPE_##type_},
    KFL_PROPERTIES(KFL__ROW)
#undef KFL__ROW
};

/* What the table says, in words, and its defaults as values: derived at the first use. */
static struct {
    pthread_once_t once;
    struct kfl__settings defaults;
    struct {
        char scope[40];
        char accepts[100];
    } words[KFL_PROPERTY_COUNT];
} property_derived = {.once = PTHREAD_ONCE_INIT};

/* Names longer than this are nobody's slip of the pen. */
#define PROPERTY_NAME_MOST 48

/* One of the words in "0|1|all=-1". Start with zeros. */
struct property_choice {
    const char *word;
    size_t size;
    int32_t index;
    bool is_alias; /* another word for the one before, with its index */
};

static bool property_next_choice(const char *choices, struct property_choice *choice)
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
static int32_t property_find_choice(const char *choices, const char *word, size_t size)
{
    struct property_choice choice = {0};
    while (property_next_choice(choices, &choice)) {
        if (choice.size == size && memcmp(choice.word, word, size) == 0)
            return choice.index;
    }
    return -1;
}

/* Append to a text that must fit: its parts come from the table. */
static void property_append(char *text, size_t size, const char *format, ...) KFL_PRINTF(3, 4);
static void property_append(char *text, size_t size, const char *format, ...)
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
static bool property_read_number(const char *text, int64_t *out_value)
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
static bool property_read_ratio(const char *text, int64_t *out_value)
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

static bool property_read_mode(const char *text, int64_t *out_value)
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

static bool property_read_list(const char *choices, const char *text, int64_t *out_value)
{
    int64_t value = 0;
    for (;;) {
        size_t size = strcspn(text, ",");
        int32_t index = property_find_choice(choices, text, size);
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
static bool property_is_plain(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return false;
    }
    return true;
}

/* Of ASCII only: what a name or a word is does not depend on the program's locale. */
static char property_lower(char letter)
{
    return letter >= 'A' && letter <= 'Z' ? (char)(letter - 'A' + 'a') : letter;
}

static bool property_equals_any_case(const char *a, const char *b)
{
    while (*a != '\0' && property_lower(*a) == property_lower(*b)) {
        a++;
        b++;
    }
    return *a == *b;
}

static bool property_read(const struct kfl__property *property, const char *text,
                          int64_t *out_value)
{
    int64_t value = 0;
    switch (property->type) {
    case KFL_TYPE_BOOLEAN:
        value = property_equals_any_case(text, "true");
        if (value == 0 && !property_equals_any_case(text, "false"))
            return false;
        break;
    case KFL_TYPE_INT64:
        if (!property_read_number(text, &value) || value < property->least ||
            value > property->most)
            return false;
        break;
    case KFL_TYPE_RATIO:
        if (!property_read_ratio(text, &value) || value < property->least || value > property->most)
            return false;
        break;
    case KFL_TYPE_MODE:
        if (!property_read_mode(text, &value) || (value & property->least) != property->least ||
            (value & ~property->most) != 0)
            return false;
        break;
    case KFL_TYPE_CHOICE:
        value = property_find_choice(property->choices, text, strlen(text));
        if (value < 0)
            return false;
        break;
    case KFL_TYPE_LIST:
        if (!property_read_list(property->choices, text, &value))
            return false;
        break;
    case KFL_TYPE_STRING:
        value = (int64_t)strlen(text);
        if (value < property->least || value > property->most || !property_is_plain(text))
            return false;
        break;
    }
    *out_value = value;
    return true;
}

void kfl__property_format(const struct kfl__property *property, int64_t value,
                          char text[KFL_PROPERTY_TEXT_SIZE])
{
    struct property_choice choice = {0};
    text[0] = '\0';
    switch (property->type) {
    case KFL_TYPE_BOOLEAN:
        property_append(text, KFL_PROPERTY_TEXT_SIZE, "%s", value != 0 ? "true" : "false");
        break;
    case KFL_TYPE_INT64:
        property_append(text, KFL_PROPERTY_TEXT_SIZE, "%" PRId64, value);
        break;
    case KFL_TYPE_RATIO:
        property_append(text, KFL_PROPERTY_TEXT_SIZE, "%" PRId64 ".%06" PRId64, value / 1000000, value % 1000000);
        /* At least one digit behind the point. */
        for (size_t size = strlen(text); text[size - 1] == '0' && text[size - 2] != '.'; size--)
            text[size - 1] = '\0';
        break;
    case KFL_TYPE_MODE:
        property_append(text, KFL_PROPERTY_TEXT_SIZE, "%04" PRIo64, (uint64_t)value);
        break;
    case KFL_TYPE_CHOICE:
    case KFL_TYPE_LIST:
        while (property_next_choice(property->choices, &choice)) {
            bool chosen = property->type == KFL_TYPE_LIST ? (value >> choice.index & 1) != 0
                                                          : value == choice.index;
            if (chosen && !choice.is_alias)
                property_append(text, KFL_PROPERTY_TEXT_SIZE, "%s%.*s", text[0] != '\0' ? "," : "",
                                (int)choice.size, choice.word);
        }
        break;
    case KFL_TYPE_STRING:
        assert(property->type != KFL_TYPE_STRING);
        break;
    }
}

void kfl__property_store(const struct kfl__property *property, int64_t value, const char *text,
                         struct kfl__settings *settings)
{
    void *field = (char *)settings + property->place;
    switch (property->type) {
    case KFL_TYPE_BOOLEAN:
    case KFL_TYPE_CHOICE:
        *(int32_t *)field = (int32_t)value;
        break;
    case KFL_TYPE_INT64:
    case KFL_TYPE_RATIO:
        *(int64_t *)field = value;
        break;
    case KFL_TYPE_MODE:
    case KFL_TYPE_LIST:
        *(uint32_t *)field = (uint32_t)value;
        break;
    case KFL_TYPE_STRING:
        *(const char **)field = text;
        break;
    }
}

static void property_describe_choices(const char *choices, char *text, size_t size)
{
    struct property_choice choice = {0};
    while (property_next_choice(choices, &choice)) {
        const char *before = choice.is_alias ? " (or " : text[0] != '\0' ? ", " : "";
        property_append(text, size, "%s%.*s%s", before, (int)choice.size, choice.word,
                        choice.is_alias ? ")" : "");
    }
}

static void property_describe(const struct kfl__property *property, char *text, size_t size)
{
    char choices[KFL_PROPERTY_TEXT_SIZE] = "";
    switch (property->type) {
    case KFL_TYPE_BOOLEAN:
        property_append(text, size, "true, false");
        break;
    case KFL_TYPE_INT64:
        property_append(text, size, "%" PRId64 " .. %" PRId64, property->least, property->most);
        break;
    case KFL_TYPE_RATIO:
        property_append(text, size, "%" PRId64 ".%" PRId64 " .. %" PRId64 ".0", property->least / 1000000,
                        property->least % 1000000 / 100000, property->most / 1000000);
        break;
    case KFL_TYPE_MODE:
        property_append(text, size, "bits of %04" PRIo64 " with all of %04" PRIo64,
                        (uint64_t)property->most, (uint64_t)property->least);
        break;
    case KFL_TYPE_CHOICE:
        property_describe_choices(property->choices, text, size);
        break;
    case KFL_TYPE_LIST:
        property_describe_choices(property->choices, choices, sizeof choices);
        property_append(text, size, "one or more of %s, separated by commas", choices);
        break;
    case KFL_TYPE_STRING:
        property_append(text, size, "at most %" PRId64 " bytes, no control characters",
                        property->most);
        break;
    }
}

static void property_derive(void)
{
    static const char *const scopes[] = {"store", "topic", "producer", "consumer"};
    for (int32_t i = 0; i < KFL_PROPERTY_COUNT; i++) {
        const struct kfl__property *property = &property_table[i];
        char *scope = property_derived.words[i].scope;
        for (size_t bit = 0; bit < sizeof scopes / sizeof scopes[0]; bit++) {
            if ((property->scopes >> bit & 1) != 0)
                property_append(scope, sizeof property_derived.words[i].scope, "%s%s",
                                scope[0] != '\0' ? "," : "", scopes[bit]);
        }
        property_describe(property, property_derived.words[i].accepts,
                          sizeof property_derived.words[i].accepts);

        int64_t value = 0;
        bool valid = property_read(property, property->default_text, &value);
        assert(valid);
        (void)valid;
        kfl__property_store(property, value, property->default_text, &property_derived.defaults);
    }
}

const struct kfl__settings *kfl__property_defaults(void)
{
    pthread_once(&property_derived.once, property_derive);
    return &property_derived.defaults;
}

int kfl__property_parse(const struct kfl__property *property, const char *text, int64_t *out_value)
{
    if (property_read(property, text, out_value))
        return 0;
    pthread_once(&property_derived.once, property_derive);
    bool is_long = strnlen(text, 81) > 80;
    return kfl__fail(KFL_E_BAD_VALUE, "\"%.*s%s\" is not a value of %s, which takes %s",
                     is_long ? 77 : 80, text, is_long ? "..." : "", property->name,
                     property_derived.words[property - property_table].accepts);
}

/* Python and the environment write linger_ms and LINGER_MS: these are nearer than they look. */
static char property_fold(char letter)
{
    return letter == '_' || letter == '-' ? '.' : property_lower(letter);
}

/* Letters to insert, drop, replace, or swap with their neighbour until one name is the other. */
static size_t property_distance(const char *a, const char *b)
{
    size_t a_size = strlen(a);
    size_t b_size = strlen(b);
    size_t rows[3][PROPERTY_NAME_MOST + 1];
    size_t *before = rows[0], *last = rows[1], *row = rows[2];
    assert(a_size <= PROPERTY_NAME_MOST && b_size <= PROPERTY_NAME_MOST);
    for (size_t j = 0; j <= b_size; j++)
        last[j] = j;
    for (size_t i = 1; i <= a_size; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            bool same = property_fold(a[i - 1]) == property_fold(b[j - 1]);
            size_t least = last[j - 1] + (same ? 0 : 1);
            least = last[j] + 1 < least ? last[j] + 1 : least;
            least = row[j - 1] + 1 < least ? row[j - 1] + 1 : least;
            bool swapped = i > 1 && j > 1 && property_fold(a[i - 1]) == property_fold(b[j - 2]) &&
                           property_fold(a[i - 2]) == property_fold(b[j - 1]);
            if (swapped && before[j - 2] + 1 < least)
                least = before[j - 2] + 1;
            row[j] = least;
        }
        size_t *oldest = before;
        before = last;
        last = row;
        row = oldest;
    }
    return last[b_size];
}

/* The name that was probably meant; NULL when none is near. */
static const char *property_suggest(const char *name)
{
    size_t size = strnlen(name, PROPERTY_NAME_MOST + 1);
    const char *nearest = NULL;
    size_t least = size / 3 < 3 ? size / 3 + 1 : 4;
    if (size > PROPERTY_NAME_MOST)
        return NULL;
    for (int32_t i = 0; i < KFL_PROPERTY_COUNT; i++) {
        size_t distance = property_distance(name, property_table[i].name);
        if (distance < least) {
            least = distance;
            nearest = property_table[i].name;
        }
    }
    return nearest;
}

static int32_t property_look_up(const char *name)
{
    for (int32_t i = 0; name != NULL && i < KFL_PROPERTY_COUNT; i++) {
        if (strcmp(name, property_table[i].name) == 0)
            return i;
    }
    return -1;
}

int kfl__property_find(const char *name)
{
    int32_t index = property_look_up(name);
    if (index >= 0)
        return index;
    const char *suggestion = property_suggest(name);
    if (suggestion != NULL)
        return kfl__fail(KFL_E_UNKNOWN_PROPERTY, "there is no property \"%s\": did you mean %s?",
                         name, suggestion);
    return kfl__fail(KFL_E_UNKNOWN_PROPERTY,
                     "there is no property \"%.80s\": docs/configuration.md lists them", name);
}

const struct kfl__property *kfl__property_get(int32_t index)
{
    assert(index >= 0 && index < KFL_PROPERTY_COUNT);
    return &property_table[index];
}

const char *kfl_property_name(int32_t index)
{
    return index >= 0 && index < KFL_PROPERTY_COUNT ? property_table[index].name : NULL;
}

const char *kfl_property_scope(const char *name)
{
    int32_t index = property_look_up(name);
    pthread_once(&property_derived.once, property_derive);
    return index >= 0 ? property_derived.words[index].scope : NULL;
}

const char *kfl_property_type(const char *name)
{
    int32_t index = property_look_up(name);
    if (index < 0)
        return NULL;
    switch (property_table[index].type) {
    case KFL_TYPE_BOOLEAN:
        return "boolean";
    case KFL_TYPE_INT64:
        return property_table[index].most <= INT32_MAX ? "int" : "long";
    case KFL_TYPE_RATIO:
        return "double";
    case KFL_TYPE_MODE:
        return "octal";
    case KFL_TYPE_CHOICE:
        return "choice";
    case KFL_TYPE_LIST:
        return "list";
    case KFL_TYPE_STRING:
        return "string";
    }
    return NULL;
}

const char *kfl_property_default(const char *name)
{
    int32_t index = property_look_up(name);
    return index >= 0 ? property_table[index].default_text : NULL;
}

const char *kfl_property_accepts(const char *name)
{
    int32_t index = property_look_up(name);
    pthread_once(&property_derived.once, property_derive);
    return index >= 0 ? property_derived.words[index].accepts : NULL;
}

const char *kfl_property_text(const char *name)
{
    int32_t index = property_look_up(name);
    return index >= 0 ? property_table[index].text : NULL;
}
