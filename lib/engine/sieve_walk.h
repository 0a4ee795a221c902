/* SPDX-License-Identifier: MIT */
/* The batches of an input of compaction, one after another: asked for, verified where nobody has, unpacked. */
#ifndef KFL_ENGINE_SIEVE_WALK_H
#define KFL_ENGINE_SIEVE_WALK_H

#include "engine/sieve.h"
#include "format/batch.h"
#include "format/codec.h"

#define KFL_SIEVE_STEP (UINT64_C(256) << 10)

/* Where a walk stands in an input. */
struct kfl__sieve_walk {
    struct kfl__sieve *sieve;
    struct kfl__sieve_input *input;
    int32_t number;
    uint64_t place;   /* of the next batch */
    uint64_t touched; /* up to here the pages are known to answer */
    bool verify;
    /* the batch that is being read */
    struct kfl__batch_header header;
    struct kfl__batch_cursor cursor;
    const uint8_t *batch;
    int64_t horizon_ms;
};

void kfl__sieve_walk_begin(struct kfl__sieve *sieve, int32_t input, uint64_t place, bool verify,
                           struct kfl__sieve_walk *out_walk);
/* The next batch: 1 and its header; 0: the input ends here; KFL_SIEVE_DAMAGED; or an error. */
int kfl__sieve_walk_next(struct kfl__sieve_walk *walk);
/* Behind it. */
static inline void kfl__sieve_walk_pass(struct kfl__sieve_walk *walk)
{
    walk->sieve->read_bytes += walk->header.size;
    walk->place = kfl__batch_next_place(walk->place, &walk->header);
}

static inline bool kfl__sieve_walk_is_packed(const struct kfl__sieve_walk *walk)
{
    return (walk->header.flags & KFL_BATCH_FLAG_CODEC) != KFL_CODEC_NONE;
}
/*
 * The cursor at the first record of the batch; of a compressed one they are unpacked into memory of the sieve's, where they
 * stay until the next call. 0, KFL_SIEVE_DAMAGED, KFL_E_NOMEM.
 */
int kfl__sieve_walk_enter(struct kfl__sieve_walk *walk);

/* Says which batch of which file it is, and `what` is wrong with it: KFL_SIEVE_DAMAGED. */
int kfl__sieve_walk_damaged(const struct kfl__sieve_walk *walk, const char *what);
#define KFL_SIEVE_NO_RECORD "the batch verifies, but what it holds is no record"

#endif
