/* SPDX-License-Identifier: MIT */
/* The new files into which a believable tail is copied: mostly one. */
#ifndef KFL_ENGINE_COPY_H
#define KFL_ENGINE_COPY_H

#include <stdint.h>

#include "catalog/segments.h"
#include "engine/recover.h"

struct kfl__copy {
    struct kfl__segment *segment; /* a share: the last file */
    struct kfl__segment_row row;  /* of it, as it was listed: being made */
    struct kfl__segment_row *full; /* owned: of those before it, as they are to be listed */
    int32_t full_count, full_room;
    uint64_t place;               /* behind the last batch */
    int64_t first_offset, end_offset, records;
    int64_t first_timestamp_ms, max_timestamp_ms;
    uint32_t batches, times; /* signposts */
    uint64_t time_place;
    /* while it is made */
    struct kfl__partition *partition;
    uint32_t epoch;
    int64_t left; /* bytes of the tail that are not copied yet */
    uint64_t interval, written;
    uint8_t *buffer;
    uint64_t buffer_size;
};

/*
 * Under the prepare lock: list a file, fill it with what the tail's pieces hold, sealed anew with this
 * writer epoch, and sync it; and so on where one does not hold all. On failure they are gone again.
 * Owned: kfl__copy_release.
 */
int kfl__copy_make(struct kfl__partition *partition, const struct kfl__tail *tail, uint32_t epoch,
                   struct kfl__copy *out_copy);
/* About how much of the disk a copy of so many bytes of batches takes, at least. */
int64_t kfl__copy_room(const struct kfl__partition *partition, int64_t bytes);
void kfl__copy_release(struct kfl__copy *copy); /* takes a zeroed one */
/* It did not come into use. Keeps the thread's words. */
void kfl__copy_discard(struct kfl__partition *partition, const struct kfl__copy *copy);

#endif
