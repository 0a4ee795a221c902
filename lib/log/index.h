/* SPDX-License-Identifier: MIT */
/*
 * Signposts of one segment: caches that prove nothing.
 *
 * `.offsets` holds the place of each batch (u32, in eights); `.times` holds, about every
 * index.interval.bytes, the largest timestamp of all that lies before a batch. An entry of zero is no
 * entry. Whoever follows a signpost verifies the batch that stands there.
 */
#ifndef KFL_LOG_INDEX_H
#define KFL_LOG_INDEX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kfl__index {
    uint8_t *bytes; /* NULL: there is none */
    size_t size;
    bool writable;
};

struct kfl__time_signpost {
    int64_t max_timestamp_ms; /* of all records before the place */
    uint32_t place_eighth;
    uint32_t check; /* of the two above, seeded as the segment: a damaged signpost must not mislead */
};
_Static_assert(sizeof(struct kfl__time_signpost) == 16, "docs/format.md");

/* A new file of real blocks, mapped. An old one of the name is unlinked first: it can only be a leftover. */
int kfl__index_create(int directory, const char *name, uint32_t mode, size_t size, struct kfl__index *out_index);
/* 0, or KFL_FILE_MISSING. An empty or odd file counts as missing. */
int kfl__index_open(int directory, const char *name, bool writable, struct kfl__index *out_index);
void kfl__index_close(struct kfl__index *index);

static inline uint32_t kfl__index_offsets_capacity(const struct kfl__index *index)
{
    return (uint32_t)(index->size / sizeof(uint32_t));
}

static inline uint32_t kfl__index_times_capacity(const struct kfl__index *index)
{
    return (uint32_t)(index->size / sizeof(struct kfl__time_signpost));
}

/* The place of the n-th batch; 0 when there is no entry. */
static inline uint64_t kfl__index_place(const struct kfl__index *index, uint32_t n)
{
    const _Atomic uint32_t *entries = (const _Atomic uint32_t *)(const void *)index->bytes;
    return (uint64_t)atomic_load_explicit(&entries[n], memory_order_relaxed) * 8;
}

/* The append lock is held; n is below the capacity. */
static inline void kfl__index_note(struct kfl__index *index, uint32_t n, uint64_t place)
{
    _Atomic uint32_t *entries = (_Atomic uint32_t *)(void *)index->bytes;
    atomic_store_explicit(&entries[n], (uint32_t)(place / 8), memory_order_relaxed);
}

/* The append lock is held; n is below the capacity. */
void kfl__index_note_time(struct kfl__index *index, uint32_t n, int64_t max_timestamp_ms, uint64_t place, uint64_t seed);

/* Is the entry what was noted in this segment? */
bool kfl__index_time_holds(const struct kfl__time_signpost *signpost, uint64_t seed);

/* Number of entries before the first zero one: what a sealed segment's files hold. */
uint32_t kfl__index_count_places(const struct kfl__index *index);
uint32_t kfl__index_count_times(const struct kfl__index *index);
/* The last signpost, among the first `count`, whose max_timestamp_ms is below `timestamp_ms`; false when there is none that holds. */
bool kfl__index_find_time(const struct kfl__index *index, uint32_t count, int64_t timestamp_ms, uint64_t seed,
                          struct kfl__time_signpost *out_signpost);

#endif
