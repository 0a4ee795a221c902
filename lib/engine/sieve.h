/* SPDX-License-Identifier: MIT */
/* Which records of a run of sealed segments stay: the newest of each key, and tombstones for a time. */
#ifndef KFL_ENGINE_SIEVE_H
#define KFL_ENGINE_SIEVE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/offset_map.h"
#include "engine/rewrite.h"
#include "engine/survivors.h"

/* A sealed file, in order of offset. */
struct kfl__sieve_input {
    struct kfl__segment_row row;
    struct kfl__segment *segment; /* a share, of a map of our own; NULL: not open */
    bool verified;                /* all of its batches were, when the map was made */
};

/* A forgotten key's records go, whatever stands behind them. */
struct kfl__sieve_forget {
    const void *key; /* NULL: none */
    size_t key_size;
    int64_t end_offset; /* below it */
};

#define KFL_SIEVE_NO_SIZE (-1) /* none was learned */
#define KFL_SIEVE_SIZES (-2)   /* they differ */

struct kfl__sieve {
    struct kfl__partition *partition;
    struct kfl__sieve_input *inputs;
    int32_t input_count;
    struct kfl__offset_map map;
    struct kfl__survivors *survivors; /* the map is a list now; NULL: it is a map */
    bool cut;                         /* the map has no room for all of the dirty part */
    bool packed;                      /* compressed batches were among what was learned */
    uint64_t seed;                    /* of the digests */
    int64_t key_size;                 /* of all keys that were learned; or KFL_SIEVE_NO_SIZE, KFL_SIEVE_SIZES */
    int64_t map_from, map_end;        /* the records that the map knows the newest of */
    int64_t now_ms, delete_retention_ms;
    struct kfl__sieve_forget forget;
    /* keys of compressed batches */
    uint8_t *keys;
    uint64_t keys_size, keys_room;
    uint8_t *unpacked;
    size_t unpacked_room;
    /* found so far */
    int64_t read_bytes, kept, removed, removed_tombstones, kept_tombstones;
    int64_t kept_bytes; /* about; only when nothing is rewritten */
};

void kfl__sieve_release(
    struct kfl__sieve *sieve); /* takes a zeroed one; the inputs are the caller's */

#define KFL_SIEVE_MORE 1     /* the place has moved; call again */
#define KFL_SIEVE_FULL 2     /* the map has no room: it knows all below map_end */
#define KFL_SIEVE_COLLIDED 3 /* two keys have one digest: begin anew with another seed */
#define KFL_SIEVE_DAMAGED 4  /* a batch does not verify; the text tells which */
/*
 * Learn the keys of an input from *io_place on, about 256 KiB. 0: to its end. map_end moves with what was learned.
 */
int kfl__sieve_learn(struct kfl__sieve *sieve, int32_t input, uint64_t *io_place);
/* Sift an input: what stays goes to `rewrite`, which has a file open; NULL: it is only counted. Results as above. */
int kfl__sieve_sift(struct kfl__sieve *sieve, int32_t input, uint64_t *io_place,
                    struct kfl__rewrite *rewrite);

#endif
