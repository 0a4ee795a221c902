/* SPDX-License-Identifier: MIT */
/*
 * File names and topic names. A segment's file is named by its id in twenty digits, so that names
 * sort as ids do; topic names stay in the catalog and never become a path.
 */
#include "format/names.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "base/error.h"
#include "format/layout.h"

#define NAME_DIGITS 20

static const char *const name_suffixes[] = {
    [KFL_NAME_LOG] = ".log",
    [KFL_NAME_OFFSETS] = ".offsets",
    [KFL_NAME_TIMES] = ".times",
};
#define NAME_KINDS (sizeof name_suffixes / sizeof name_suffixes[0])

void kfl__name_encode(char out_name[KFL_NAME_SIZE], int64_t segment_id, enum kfl__name_kind kind)
{
    assert(segment_id >= 0);
    assert((size_t)kind < NAME_KINDS);

    for (int i = NAME_DIGITS - 1; i >= 0; i--) {
        out_name[i] = (char)('0' + segment_id % 10);
        segment_id /= 10;
    }
    strcpy(out_name + NAME_DIGITS, name_suffixes[kind]);
}

bool kfl__name_decode(const char *name, int64_t *out_segment_id, enum kfl__name_kind *out_kind)
{
    int64_t id = 0;
    for (int i = 0; i < NAME_DIGITS; i++) {
        if (name[i] < '0' || name[i] > '9')
            return false;
        if (__builtin_mul_overflow(id, 10, &id) || __builtin_add_overflow(id, name[i] - '0', &id))
            return false;
    }
    for (size_t kind = 0; kind < NAME_KINDS; kind++) {
        if (strcmp(name + NAME_DIGITS, name_suffixes[kind]) == 0) {
            *out_segment_id = id;
            *out_kind = (enum kfl__name_kind)kind;
            return true;
        }
    }
    return false;
}

/* Not isalnum(): what a name may be must not depend on the host program's locale. */
static bool topic_name_byte_is_good(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

int kfl__topic_name_check(const char *name)
{
    size_t size = strnlen(name, KFL_TOPIC_NAME_MAX + 1);
    if (size == 0)
        return kfl__fail(KFL_E_INVALID_TOPIC, "the empty string is not a topic name");
    if (size > KFL_TOPIC_NAME_MAX)
        return kfl__fail(KFL_E_INVALID_TOPIC, "a topic name has at most %d bytes",
                         KFL_TOPIC_NAME_MAX);
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return kfl__fail(KFL_E_INVALID_TOPIC, "\"%s\" is not a topic name", name);
    for (size_t i = 0; i < size; i++) {
        if (!topic_name_byte_is_good(name[i]))
            return kfl__fail(KFL_E_INVALID_TOPIC,
                             "topic name \"%.*s…\": byte 0x%02x at index %zu is not a letter, "
                             "digit, '.', '_' or '-'",
                             (int)i, name, (unsigned char)name[i], i);
    }
    return 0;
}
