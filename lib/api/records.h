/* SPDX-License-Identifier: MIT */
/* What a poll gives back: decoded records, the segments that they lie in, and what had to be unpacked. */
#ifndef KFL_API_RECORDS_H
#define KFL_API_RECORDS_H

#include <stdint.h>

#include "engine/read.h"
#include "kafkalite.h"
#include "log/segment.h"

/* Keeps one released result for the next poll, so that a warm consumer allocates nothing. Counted. */
struct kfl__records_pool;
int kfl__records_pool_create(struct kfl__records_pool **out_pool);
void kfl__records_pool_release(struct kfl__records_pool *pool); /* takes NULL */

/* Empty, with room for `max_records`. pool may be NULL. Owned: kfl_records_release. */
int kfl__records_create(struct kfl__records_pool *pool, int32_t max_records, kfl_records **out_records);

/*
 * Take records of the batch that the cursor stands at (KFL_CURSOR_BATCH), from its offset on, as far as there is room.
 * Moves the cursor: behind the batch when all of it was taken. A batch of one record is followed by more of its kind,
 * until `bytes_max` bytes of log are taken. Keeps a share of the segment. Returns how many were taken, KFL_E_NOMEM,
 * or KFL_E_CORRUPT (no text: the batch verifies, but what it holds is no record, or does not unpack).
 */
int kfl__records_take(kfl_records *records, struct kfl__cursor *cursor, int64_t bytes_max, const char *topic,
                      int32_t partition);

/*
 * A released result keeps shares of the files that it lay in, so that who reads on, or at random among a few, takes none
 * anew. Where this poll took nothing, those are let go but for one that its reader still stands in (`but`, or NULL).
 */
void kfl__records_let_go(kfl_records *records, const struct kfl__segment *but);

/* Of the topic that a record's `topic` names: 0 where it was read outside of a store. */
uint64_t kfl__records_topic_id(const kfl_records *records, const char *topic);

/* Where a record's `topic` stands among those of the result, in order of first appearance. */
int32_t kfl__records_topic_index(const kfl_records *records, const char *topic);

/* After kfl__cursor_guess: the record at the cursor's offset, if it verifies there; else the guess is taken back. 0 or KFL_E_NOMEM. */
int kfl__records_take_guessed(kfl_records *records, struct kfl__cursor *cursor, const char *topic, int32_t partition);

/* Bytes of log taken so far, for fetch.max.bytes. */
int64_t kfl__records_bytes(const kfl_records *records);
int32_t kfl__records_room(const kfl_records *records);

/* Under which of its consumer's assignments they were polled. */
void kfl__records_set_epoch(kfl_records *records, uint32_t epoch);
uint32_t kfl__records_epoch(const kfl_records *records);

/* The records of one batch that is not a cursor's: `segment` is kept by a share, or is NULL and `bytes` stay by other means. */
int kfl__records_take_batch(kfl_records *records, struct kfl__segment *segment, const uint8_t *batch,
                            const struct kfl__batch_header *header, const char *topic, int32_t partition);

/* A heap block (kfl__alloc) that goes with the records; freed at once when it cannot be kept. 0 or KFL_E_NOMEM. */
int kfl__records_keep(kfl_records *records, void *block);

#endif
