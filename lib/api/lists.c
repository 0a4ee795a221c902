/* SPDX-License-Identifier: MIT */
/*
 * Lists that callers own: names, and places in partitions.
 *
 * Each element is a block of its own, so that what a caller borrowed stays where it is while the
 * list is still being filled.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "api/store.h"
#include "base/error.h"
#include "base/memory.h"

struct kfl_names {
    char **names;
    int32_t count, room;
};

struct kfl_offsets {
    kfl_partition_offset
        *rows; /* the topic of each is the block; its metadata lies behind the name */
    int32_t count, room;
};

/* Room for one more in an array of `size` bytes each. */
static int lists_grow(void **array, int32_t count, int32_t *room, size_t size)
{
    if (count < *room)
        return 0;
    int32_t more = *room == 0 ? 16 : *room <= INT32_MAX / 2 ? *room * 2 : INT32_MAX;
    void *grown = count == INT32_MAX ? NULL : kfl__realloc(*array, (size_t)more * size);
    if (grown == NULL)
        return kfl__fail(KFL_E_NOMEM, "a list of more than %d: out of memory", count);
    *array = grown;
    *room = more;
    return 0;
}

/* ---- names ---- */

int kfl__names_create(kfl_names **out_names)
{
    kfl_names *names = kfl__alloc(sizeof *names);
    if (names == NULL)
        return kfl__fail(KFL_E_NOMEM, "a list of names: out of memory");
    *out_names = names;
    return 0;
}

int kfl__names_add(kfl_names *names, const char *name)
{
    void *array = names->names;
    int r = lists_grow(&array, names->count, &names->room, sizeof *names->names);
    names->names = array;
    if (r < 0)
        return r;
    char *copy = kfl__copy_string(name);
    if (copy == NULL)
        return kfl__fail(KFL_E_NOMEM, "a list of names: out of memory");
    names->names[names->count++] = copy;
    return 0;
}

static int lists_compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void kfl__names_sort(kfl_names *names)
{
    if (names->count > 1)
        qsort(names->names, (size_t)names->count, sizeof *names->names, lists_compare_names);
}

int kfl__names_add_lines(kfl_names *names, const char *lines)
{
    char *copy = kfl__copy_string(lines), *rest = copy;
    int r = copy == NULL ? kfl__fail(KFL_E_NOMEM, "a list of names: out of memory") : 0;
    while (r == 0 && *rest != '\0') {
        char *name = rest;
        rest += strcspn(rest, "\n");
        if (*rest != '\0')
            *rest++ = '\0';
        r = kfl__names_add(names, name);
    }
    kfl__free(copy);
    return r;
}

void kfl__names_unique(kfl_names *names)
{
    int32_t kept = 0;
    for (int32_t i = 0; i < names->count; i++) {
        if (kept > 0 && strcmp(names->names[kept - 1], names->names[i]) == 0)
            kfl__free(names->names[i]);
        else
            names->names[kept++] = names->names[i];
    }
    names->count = kept;
}

int32_t kfl_names_count(const kfl_names *names)
{
    return names == NULL ? 0 : names->count;
}

const char *kfl_names_get(const kfl_names *names, int32_t index)
{
    return names == NULL || index < 0 || index >= names->count ? NULL : names->names[index];
}

void kfl_names_release(kfl_names *names)
{
    if (names == NULL)
        return;
    for (int32_t i = 0; i < names->count; i++)
        kfl__free(names->names[i]);
    kfl__free(names->names);
    kfl__free(names);
}

/* ---- places in partitions ---- */

int kfl__offsets_create(kfl_offsets **out_offsets)
{
    kfl_offsets *offsets = kfl__alloc(sizeof *offsets);
    if (offsets == NULL)
        return kfl__fail(KFL_E_NOMEM, "a list of offsets: out of memory");
    *out_offsets = offsets;
    return 0;
}

int kfl__offsets_add(kfl_offsets *offsets, const kfl_partition_offset *offset)
{
    void *array = offsets->rows;
    int r = lists_grow(&array, offsets->count, &offsets->room, sizeof *offsets->rows);
    offsets->rows = array;
    if (r < 0)
        return r;
    size_t topic_size = strlen(offset->topic) + 1;
    size_t metadata_size = offset->metadata == NULL ? 0 : offset->metadata_size;
    char *block = kfl__alloc(topic_size + metadata_size);
    if (block == NULL)
        return kfl__fail(KFL_E_NOMEM, "a list of offsets: out of memory");
    memcpy(block, offset->topic, topic_size);
    if (metadata_size > 0)
        memcpy(block + topic_size, offset->metadata, metadata_size);
    offsets->rows[offsets->count++] = (kfl_partition_offset){
        .topic = block,
        .offset = offset->offset,
        .partition = offset->partition,
        .metadata = offset->metadata == NULL ? NULL : block + topic_size,
        .metadata_size = metadata_size,
    };
    return 0;
}

int32_t kfl_offsets_count(const kfl_offsets *offsets)
{
    return offsets == NULL ? 0 : offsets->count;
}

const kfl_partition_offset *kfl_offsets_get(const kfl_offsets *offsets, int32_t index)
{
    return offsets == NULL || index < 0 || index >= offsets->count ? NULL : &offsets->rows[index];
}

void kfl_offsets_release(kfl_offsets *offsets)
{
    if (offsets == NULL)
        return;
    for (int32_t i = 0; i < offsets->count; i++)
        kfl__free((char *)(uintptr_t)offsets->rows[i].topic);
    kfl__free(offsets->rows);
    kfl__free(offsets);
}
