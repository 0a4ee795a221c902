/* SPDX-License-Identifier: MIT */
/* The files that compaction reads: read ahead of their being durable, replaced only behind it. */
#ifndef KFL_ENGINE_COMPACT_INPUTS_H
#define KFL_ENGINE_COMPACT_INPUTS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/sieve.h"

struct kfl__compact_rows {
    struct kfl__segment_row *rows; /* in order of offset; owned: kfl__free */
    int32_t count;
    /* The full ones among them count as sealed already, and a sync of them is under way: _inputs_settle comes first. */
    bool ahead;
};
/* may_be_ahead: of who goes on to _inputs_settle. Else all that is full is synced before it returns. */
int kfl__compact_rows(struct kfl__partition *partition, bool may_be_ahead,
                      struct kfl__compact_rows *out_rows);

/*
 * Full files that are not sealed, as they will be: 1; 0: to know it of one of them, and of those behind it, it would have
 * to be walked. `active`: the one that takes appends.
 */
int kfl__compact_rows_as_sealed(struct kfl__partition *partition, struct kfl__segment_row *rows,
                                int32_t count, int64_t active);

/*
 * Wait until all that was read ahead is durable, and take the rows of the inputs as they are now. *out_lost: they are
 * not the files that were read.
 */
int kfl__compact_inputs_settle(struct kfl__partition *partition, struct kfl__sieve_input *inputs,
                               int32_t count, bool *out_lost);

/*
 * A map of the run's own, so that what happens to its pages is nobody else's affair. KFL_SIEVE_DAMAGED: it is missing
 * or damaged. *out_lost: it is gone because the list of files is another one than it was at `version`.
 */
int kfl__compact_input_open(struct kfl__partition *partition, struct kfl__sieve_input *input,
                            uint64_t version, bool *out_lost);
/* Its bytes were read, and nobody else may want them: they are the first to go when memory is short. */
void kfl__compact_input_cool(const struct kfl__sieve_input *input);

#endif
