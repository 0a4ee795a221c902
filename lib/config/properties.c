/* SPDX-License-Identifier: MIT */
/*
 * The table of properties, and what is found in it by name.
 *
 * A value is a number whatever its type, so that reading and writing it need no type of their own. The table
 * and what is derived from it never change, so everything here may be called from any thread.
 */
#include "config/properties.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "config/values.h"

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

static void property_derive(void)
{
    static const char *const scopes[] = {"store", "topic", "producer", "consumer"};
    for (int32_t i = 0; i < KFL_PROPERTY_COUNT; i++) {
        const struct kfl__property *property = &property_table[i];
        char *scope = property_derived.words[i].scope;
        size_t size = 0;
        for (size_t bit = 0; bit < sizeof scopes / sizeof scopes[0]; bit++) {
            if ((property->scopes >> bit & 1) != 0)
                size += (size_t)snprintf(scope + size, sizeof property_derived.words[i].scope - size,
                                         "%s%s", size > 0 ? "," : "", scopes[bit]);
        }
        kfl__value_describe(property, property_derived.words[i].accepts,
                          sizeof property_derived.words[i].accepts);

        int64_t value = 0;
        bool valid = kfl__value_read(property, property->default_text, &value);
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
    if (kfl__value_read(property, text, out_value))
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
    return letter == '_' || letter == '-' ? '.' : kfl__value_lower(letter);
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
