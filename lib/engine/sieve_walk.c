/* SPDX-License-Identifier: MIT */
#include "engine/sieve_walk.h"

#include "base/memory.h"
#include "engine/topics.h"

void kfl__sieve_walk_begin(struct kfl__sieve *sieve, int32_t input, uint64_t place, bool verify,
                           struct kfl__sieve_walk *out_walk)
{
    *out_walk = (struct kfl__sieve_walk){
        .sieve = sieve,
        .input = &sieve->inputs[input],
        .number = input,
        .place = place,
        .touched = place,
        .verify = verify,
    };
}

int kfl__sieve_walk_damaged(const struct kfl__sieve_walk *walk, const char *what)
{
    struct kfl__partition *partition = walk->sieve->partition;
    kfl__fail(
        KFL_E_CORRUPT,
        "topics/%llu/%d/%020lld.log at %llu: %s: %s/%d is compacted up to there only, until the file is repaired",
        (unsigned long long)partition->topic->id, partition->number,
        (long long)walk->input->row.segment_id, (unsigned long long)walk->place, what,
        partition->topic->name, partition->number);
    kfl__fail_at(KFL_E_CORRUPT, partition->topic->name, partition->number,
                 walk->input->row.base_offset);
    return KFL_SIEVE_DAMAGED;
}

/* Pages up to `end` answer, and a step's more while we are at it. */
static int walk_touch(struct kfl__sieve_walk *walk, uint64_t end, uint64_t limit)
{
    uint64_t bad_from, bad_to;
    if (end <= walk->touched)
        return 0;
    if (end > limit)
        return kfl__sieve_walk_damaged(walk, "no batch stands here");
    uint64_t ahead = limit - end < KFL_SIEVE_STEP ? limit : end + KFL_SIEVE_STEP;
    int r = kfl__segment_touch(walk->input->segment, walk->place, ahead, &bad_from, &bad_to);
    if (r == 0)
        walk->touched = ahead;
    else if (r > 0 && bad_from >= end)
        r = kfl__segment_touch(walk->input->segment, walk->place, end, &bad_from, &bad_to);
    return r > 0 ? kfl__sieve_walk_damaged(walk, "the device cannot read this place") : r;
}

int kfl__sieve_walk_next(struct kfl__sieve_walk *walk)
{
    struct kfl__segment *segment = walk->input->segment;
    uint64_t limit = (uint64_t)walk->input->row.used;
    if (walk->place >= limit)
        return 0;
    if (limit > segment->size)
        return kfl__sieve_walk_damaged(walk, "the file was cut");
    int r = walk_touch(walk, walk->place + sizeof walk->header, limit);
    if (r == 0 && kfl__batch_peek(segment->bytes, walk->place, limit, &walk->header) != 0)
        return kfl__sieve_walk_damaged(walk, "no batch stands here");
    if (r == 0)
        r = walk_touch(walk, walk->place + walk->header.size, limit);
    if (r != 0)
        return r;
    if (walk->verify &&
        kfl__batch_verify(segment->bytes, walk->place, limit, segment->seed, &walk->header) != 0)
        return kfl__sieve_walk_damaged(walk, "the checksum does not match");
    if ((walk->header.flags & KFL_BATCH_FLAG_END) != 0)
        return kfl__sieve_walk_damaged(walk, "an end mark stands where more must follow");
    walk->batch = segment->bytes + walk->place;
    walk->horizon_ms = kfl__batch_horizon(&walk->header, walk->batch);
    return 1;
}

static int walk_unpack(struct kfl__sieve_walk *walk)
{
    struct kfl__sieve *sieve = walk->sieve;
    size_t size = walk->header.unpacked_size, head = kfl__batch_head_size(&walk->header);
    if (sieve->unpacked_room < size) {
        kfl__free(sieve->unpacked);
        sieve->unpacked = kfl__alloc(size);
        sieve->unpacked_room = sieve->unpacked == NULL ? 0 : size;
        if (sieve->unpacked == NULL)
            return kfl__fail(KFL_E_NOMEM, "a batch of %zu bytes: out of memory", size);
    }
    int r = kfl__codec_unpack(walk->header.flags & (int)KFL_BATCH_FLAG_CODEC, walk->batch + head,
                              walk->header.size - head, sieve->unpacked, size);
    if (r == KFL_E_CORRUPT)
        return kfl__sieve_walk_damaged(walk, "the batch verifies, but cannot be unpacked");
    return r;
}

int kfl__sieve_walk_enter(struct kfl__sieve_walk *walk)
{
    bool packed = kfl__sieve_walk_is_packed(walk);
    int r = packed ? walk_unpack(walk) : 0;
    if (r != 0)
        return r;
    kfl__batch_cursor_init(&walk->cursor, &walk->header,
                           packed ? walk->sieve->unpacked
                                  : walk->batch + kfl__batch_head_size(&walk->header),
                           walk->header.unpacked_size);
    return 0;
}
