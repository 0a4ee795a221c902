/* SPDX-License-Identifier: MIT */
/*
 * Signposts of one segment, in mapped files of their own.
 *
 * Written by the holder of the append lock, read by everybody without one: entries are written once,
 * in order, and a reader who sees one too few walks a little further. They are never synced. After a
 * power cut an entry may be anything; whoever follows it looks at the batch.
 */
#include "log/index.h"

#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/file_system.h"
#include "base/hash.h"
#include "base/map.h"

int kfl__index_create(int directory, const char *name, uint32_t mode, size_t size, struct kfl__index *out_index)
{
    struct kfl__index index = {.size = size, .writable = true};
    int fd = -1;
    int r = kfl__file_unlink(directory, name);
    if (r < 0)
        return r;
    r = kfl__file_create(directory, name, mode, &fd);
    if (r == KFL_FILE_EXISTS)
        r = kfl__fail(KFL_E_BUSY, "index %s is being made by somebody else", name);
    if (r < 0)
        return r;
    /* Stored into through a map, also where batches are not: never a page that needs space (R25). */
    kfl__file_system_write_in_place(fd);
    r = kfl__file_reserve(fd, 0, (int64_t)size);
    if (r == 0) {
        void *bytes;
        r = kfl__map_open(fd, 0, size, true, &bytes);
        if (r == 0)
            index.bytes = bytes;
    }
    kfl__file_close(fd);
    if (r < 0) {
        struct kfl__words words;
        kfl__error_save(&words);
        kfl__file_unlink(directory, name);
        kfl__error_restore(&words);
        return r;
    }
    *out_index = index;
    return 0;
}

int kfl__index_open(int directory, const char *name, bool writable, struct kfl__index *out_index)
{
    int fd = -1;
    int64_t size = 0;
    int r = kfl__file_open(directory, name, writable, &fd);
    if (r == KFL_E_CORRUPT)
        return KFL_FILE_MISSING; /* something else stands in its place: a cache may be done without */
    if (r != 0)
        return r;
    r = kfl__file_size(fd, &size);
    if (r == 0 && (size < (int64_t)sizeof(struct kfl__time_signpost) || size % 4 != 0))
        r = KFL_FILE_MISSING;
    if (r == 0) {
        void *bytes;
        r = kfl__map_open(fd, 0, (size_t)size, writable, &bytes);
        if (r == 0) {
            /* The pages must be there to be read: a shortened file would answer with a signal. */
            if (kfl__map_populate_read(bytes, (size_t)size) != 0) {
                kfl__map_close(bytes, (size_t)size);
                r = KFL_FILE_MISSING;
            } else {
                *out_index = (struct kfl__index){.bytes = bytes, .size = (size_t)size, .writable = writable};
            }
        }
    }
    kfl__file_close(fd);
    return r;
}

void kfl__index_close(struct kfl__index *index)
{
    kfl__map_close(index->bytes, index->size);
    index->bytes = NULL;
    index->size = 0;
}

static uint32_t index_check(int64_t max_timestamp_ms, uint32_t place_eighth, uint64_t seed)
{
    uint64_t words[2] = {(uint64_t)max_timestamp_ms, place_eighth};
    return (uint32_t)kfl__hash64_seeded(words, sizeof words, seed);
}

bool kfl__index_time_holds(const struct kfl__time_signpost *signpost, uint64_t seed)
{
    return signpost->check == index_check(signpost->max_timestamp_ms, signpost->place_eighth, seed);
}

void kfl__index_note_time(struct kfl__index *index, uint32_t n, int64_t max_timestamp_ms, uint64_t place, uint64_t seed)
{
    assert(n < kfl__index_times_capacity(index));
    struct kfl__time_signpost *entry = (struct kfl__time_signpost *)(void *)index->bytes + n;
    entry->max_timestamp_ms = max_timestamp_ms;
    entry->check = index_check(max_timestamp_ms, (uint32_t)(place / 8), seed);
    /* The place comes last: an entry without one is no entry. */
    atomic_store_explicit((_Atomic uint32_t *)&entry->place_eighth, (uint32_t)(place / 8), memory_order_release);
}

uint32_t kfl__index_count_places(const struct kfl__index *index)
{
    uint32_t low = 0, high = kfl__index_offsets_capacity(index);
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (kfl__index_place(index, middle) != 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct kfl__time_signpost index_time(const struct kfl__index *index, uint32_t n)
{
    const struct kfl__time_signpost *entry = (const struct kfl__time_signpost *)(const void *)index->bytes + n;
    struct kfl__time_signpost signpost;
    signpost.place_eighth = atomic_load_explicit((const _Atomic uint32_t *)&entry->place_eighth, memory_order_acquire);
    signpost.max_timestamp_ms = entry->max_timestamp_ms;
    signpost.check = entry->check;
    return signpost;
}

uint32_t kfl__index_count_times(const struct kfl__index *index)
{
    uint32_t low = 0, high = kfl__index_times_capacity(index);
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (index_time(index, middle).place_eighth != 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool kfl__index_find_time(const struct kfl__index *index, uint32_t count, int64_t timestamp_ms, uint64_t seed,
                          struct kfl__time_signpost *out_signpost)
{
    /* The largest-so-far never falls, so the entries below timestamp_ms are a prefix. */
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (index_time(index, middle).max_timestamp_ms < timestamp_ms)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return false;
    *out_signpost = index_time(index, low - 1);
    return out_signpost->max_timestamp_ms < timestamp_ms && kfl__index_time_holds(out_signpost, seed);
}
