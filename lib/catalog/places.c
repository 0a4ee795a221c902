/* SPDX-License-Identifier: MIT */
/* Sorted arrays: members own few partitions, and are asked for one at a time. */
#include "catalog/places.h"

#include <string.h>

#include "base/error.h"
#include "base/memory.h"

int kfl__place_compare(const struct kfl__place *a, const struct kfl__place *b)
{
    if (a->topic_id != b->topic_id)
        return a->topic_id < b->topic_id ? -1 : 1;
    return a->partition == b->partition ? 0 : a->partition < b->partition ? -1 : 1;
}

/* Where it is, or belongs. */
static size_t places_find(const struct kfl__places *places, const struct kfl__place *place,
                          bool *out_there)
{
    size_t from = 0, to = places->count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        int order = kfl__place_compare(&places->rows[middle], place);
        if (order == 0) {
            *out_there = true;
            return middle;
        }
        if (order < 0)
            from = middle + 1;
        else
            to = middle;
    }
    *out_there = false;
    return from;
}

bool kfl__places_have(const struct kfl__places *places, const struct kfl__place *place)
{
    bool there;
    (void)places_find(places, place, &there);
    return there;
}

int kfl__places_add(struct kfl__places *places, const struct kfl__place *place)
{
    bool there;
    size_t at = places_find(places, place, &there);
    if (there)
        return 0;
    if (places->count == places->room) {
        size_t room = places->room == 0 ? 8 : places->room * 2;
        struct kfl__place *grown = kfl__realloc(places->rows, room * sizeof *grown);
        if (grown == NULL)
            return kfl__fail(KFL_E_NOMEM, "%zu partitions: out of memory", room);
        places->rows = grown;
        places->room = room;
    }
    memmove(places->rows + at + 1, places->rows + at, (places->count - at) * sizeof *places->rows);
    places->rows[at] = *place;
    places->count++;
    return 0;
}

void kfl__places_remove(struct kfl__places *places, const struct kfl__place *place)
{
    bool there;
    size_t at = places_find(places, place, &there);
    if (!there)
        return;
    places->count--;
    memmove(places->rows + at, places->rows + at + 1, (places->count - at) * sizeof *places->rows);
}

bool kfl__places_equal(const struct kfl__places *a, const struct kfl__places *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (kfl__place_compare(&a->rows[i], &b->rows[i]) != 0)
            return false;
    return true;
}

int kfl__places_copy(const struct kfl__places *from, struct kfl__places *to)
{
    struct kfl__place *rows = kfl__alloc_array(from->count + 1, sizeof *rows);
    if (rows == NULL)
        return kfl__fail(KFL_E_NOMEM, "%zu partitions: out of memory", from->count);
    if (from->count > 0)
        memcpy(rows, from->rows, from->count * sizeof *rows);
    kfl__free(to->rows);
    *to = (struct kfl__places){rows, from->count, from->count + 1};
    return 0;
}

void kfl__places_free(struct kfl__places *places)
{
    kfl__free(places->rows);
    *places = (struct kfl__places){0};
}
