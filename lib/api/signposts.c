/* SPDX-License-Identifier: MIT */
/*
 * Held against the batches, a signpost is right when it leads to one and, if it tells a time, none
 * of the records before that batch is later: readers look for a time behind it, and would miss
 * those. Batches without a signpost are no fault. Signposts behind what counts are nobody's.
 */
#include "api/signposts.h"

#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "format/layout.h"
#include "log/index.h"

static size_t signposts_entry_size(const struct kfl__signposts *signposts)
{
    return signposts->kind == KFL_NAME_TIMES ? sizeof(struct kfl__time_signpost) : sizeof(uint32_t);
}

static struct kfl__time_signpost signposts_get(const struct kfl__signposts *signposts, uint32_t n)
{
    struct kfl__time_signpost signpost = {0};
    const uint8_t *entry = signposts->bytes + n * signposts_entry_size(signposts);
    if (signposts->kind == KFL_NAME_TIMES)
        memcpy(&signpost, entry, sizeof signpost);
    else
        signpost.place_eighth = kfl__load32(entry);
    return signpost;
}

static uint64_t signposts_place(const struct kfl__signposts *signposts, uint32_t n)
{
    return (uint64_t)signposts_get(signposts, n).place_eighth * KFL_BATCH_ALIGNMENT;
}

static void signposts_count(struct kfl__signposts *signposts, size_t size)
{
    uint32_t capacity = (uint32_t)(size / signposts_entry_size(signposts));
    while (signposts->count < capacity && signposts_place(signposts, signposts->count) != 0)
        signposts->count++;
    for (uint32_t n = signposts->count; n < capacity && !signposts->odd; n++)
        signposts->odd = signposts_place(signposts, n) != 0;
}

static int signposts_load(struct kfl__signposts *signposts, int fd)
{
    int64_t size;
    size_t got = 0;
    int r = kfl__file_size(fd, &size);
    if (r < 0)
        return r;
    /* Larger than one place for each possible batch: no index of ours. */
    if (size < (int64_t)sizeof(struct kfl__time_signpost) ||
        size % (int64_t)sizeof(uint32_t) != 0 || size > KFL_SEGMENT_SIZE_MAX / 8) {
        signposts->odd = true;
        return 0;
    }
    signposts->bytes = kfl__alloc((size_t)size);
    if (signposts->bytes == NULL)
        return kfl__fail(KFL_E_NOMEM, "an index of %lld bytes: out of memory", (long long)size);
    if (kfl__file_read_at(fd, signposts->bytes, (size_t)size, 0, &got) < 0)
        signposts->odd = true; /* what cannot be read is no use either */
    signposts_count(signposts, got);
    return 0;
}

int kfl__signposts_read(int directory, int64_t segment_id, enum kfl__name_kind kind, uint64_t seed,
                        struct kfl__signposts *out_signposts)
{
    struct kfl__signposts signposts = {.kind = kind, .seed = seed};
    char name[KFL_NAME_SIZE];
    int fd = -1;
    kfl__name_encode(name, segment_id, kind);
    int r = kfl__file_open(directory, name, false, &fd);
    if (r == KFL_E_CORRUPT) {
        signposts.odd = true; /* a folder, a link */
        r = 0;
    } else if (r == 0) {
        r = signposts_load(&signposts, fd);
        kfl__file_close(fd);
    }
    if (r != 0)
        return r;
    *out_signposts = signposts;
    return 0;
}

void kfl__signposts_close(struct kfl__signposts *signposts)
{
    kfl__free(signposts->bytes);
    signposts->bytes = NULL;
    signposts->count = 0;
}

/* One that leads farther than the next one does is wrong wherever it leads. */
static bool signposts_rise(const struct kfl__signposts *signposts, uint32_t n)
{
    return n + 1 == signposts->count ||
           signposts_place(signposts, n) < signposts_place(signposts, n + 1);
}

void kfl__signposts_meet(struct kfl__signposts *signposts, uint64_t place, int64_t max_timestamp_ms)
{
    for (; signposts->at < signposts->count; signposts->at++) {
        struct kfl__time_signpost signpost = signposts_get(signposts, signposts->at);
        uint64_t leads_to = (uint64_t)signpost.place_eighth * KFL_BATCH_ALIGNMENT;
        if (leads_to > place && signposts_rise(signposts, signposts->at))
            return;
        bool right = leads_to == place;
        if (right && signposts->kind == KFL_NAME_TIMES)
            right = kfl__index_time_holds(&signpost, signposts->seed) &&
                    (signposts->gap || signpost.max_timestamp_ms >= max_timestamp_ms);
        signposts->wrong += !right;
    }
}

void kfl__signposts_skip(struct kfl__signposts *signposts, uint64_t place)
{
    signposts->gap = true;
    while (signposts->at < signposts->count && signposts_place(signposts, signposts->at) < place)
        signposts->at++;
}

void kfl__signposts_end(struct kfl__signposts *signposts, uint64_t limit)
{
    for (; signposts->at < signposts->count && signposts_place(signposts, signposts->at) < limit;
         signposts->at++)
        signposts->wrong++;
}

void kfl__signposts_glance(struct kfl__signposts *signposts, uint64_t limit)
{
    uint64_t before = 0;
    for (uint32_t n = 0; n < signposts->count; n++) {
        struct kfl__time_signpost signpost = signposts_get(signposts, n);
        uint64_t place = (uint64_t)signpost.place_eighth * KFL_BATCH_ALIGNMENT;
        if (place >= limit)
            break;
        signposts->wrong += place < sizeof(struct kfl__segment_header) || place <= before ||
                            (signposts->kind == KFL_NAME_TIMES &&
                             !kfl__index_time_holds(&signpost, signposts->seed));
        before = place;
    }
}
