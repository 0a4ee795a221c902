/* SPDX-License-Identifier: MIT */
/* Sets of partitions, by topic id and number. */
#ifndef KFL_CATALOG_PLACES_H
#define KFL_CATALOG_PLACES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kfl__place {
    uint64_t topic_id;
    int32_t partition;
};

/* Sorted by topic, then partition; each once. */
struct kfl__places {
    struct kfl__place *rows;
    size_t count, room;
};

int kfl__place_compare(const struct kfl__place *a, const struct kfl__place *b);
bool kfl__places_have(const struct kfl__places *places, const struct kfl__place *place);
/* Keeps the order; a place that is there already stays once. */
int kfl__places_add(struct kfl__places *places, const struct kfl__place *place);
void kfl__places_remove(struct kfl__places *places, const struct kfl__place *place);
bool kfl__places_equal(const struct kfl__places *a, const struct kfl__places *b);
int kfl__places_copy(const struct kfl__places *from, struct kfl__places *to);
void kfl__places_free(struct kfl__places *places);

#endif
