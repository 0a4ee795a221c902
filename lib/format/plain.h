/* SPDX-License-Identifier: MIT */
/*
 * Plain records, which have no headers and whose offsets follow one another: the common case of
 * reading, many at a step. Pure. Whatever is not plain ends the step, and is left to format/batch.
 */
#ifndef KFL_FORMAT_PLAIN_H
#define KFL_FORMAT_PLAIN_H

#include <stdint.h>

#include "format/batch.h"

/*
 * The next records of an unpacked payload: at most `room`, as far as they are plain. Each row's
 * topic and partition are those of `like`. While a record is looked at, the bytes that lie `ahead`
 * behind it are fetched: those of the batch to come, whose hash finds them there (0: none).
 * Returns how many; with fewer than there was room for, kfl__batch_next tells what comes then.
 */
int32_t kfl__plain_take(struct kfl__batch_cursor *cursor, const kfl_record *like, int32_t room,
                        uint64_t ahead, kfl_record *out_records);
/* Passes over plain records below `offset`, as far as they go. */
void kfl__plain_pass(struct kfl__batch_cursor *cursor, int64_t offset);

/*
 * Unbatched sends leave one batch after the other that holds one plain record and nothing else.
 * This takes such a run: at most `room` batches that begin below `until`, each verified before its
 * record is told, as far as their offsets follow one another. Returns how many. Place and offset
 * are moved behind them; what stands there then, kfl__batch_verify tells.
 */
struct kfl__plain_run {
    const uint8_t *segment; /* the file's byte 0 */
    uint64_t limit, seed;   /* as for kfl__batch_verify */
    uint64_t place;
    int64_t offset;
};
int32_t kfl__plain_take_run(struct kfl__plain_run *run, uint64_t until, const kfl_record *like,
                            int32_t room, kfl_record *out_records);

#endif
