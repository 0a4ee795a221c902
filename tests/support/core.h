/* SPDX-License-Identifier: MIT */
/*
 * The engine without the library's front door: a store's core opened by hand, as api/store does it, with
 * no helper thread, so that a test takes each step itself. Needs the engine's layers.
 */
#ifndef KFL_TESTS_CORE_H
#define KFL_TESTS_CORE_H

#include <check.h>
#include <stdint.h>

#include "engine/core.h"
#include "engine/partition.h"
#include "engine/read.h"
#include "engine/topics.h"

#define assert_ok(call)                                                                            \
    do {                                                                                           \
        int result_ = (call);                                                                      \
        ck_assert_msg(result_ >= 0, "%s: %s (%s)", #call, kfl_error_name(result_),                 \
                      kfl_last_error());                                                           \
    } while (0)
#define assert_code(call, code)                                                                    \
    do {                                                                                           \
        int result_ = (call);                                                                      \
        ck_assert_msg(result_ == (code), "%s: %s (%s)", #call, kfl_error_name(result_),            \
                      kfl_last_error());                                                           \
    } while (0)

/* Opens the store in `path`, making it if need be. `properties`: "name=value name=value", may be NULL. */
int core_try_open(const char *path, const char *properties, struct kfl__core **out_core);
struct kfl__core *core_open(const char *path, const char *properties);
/* As the last handle's close does: syncs, and leaves the clean note when nobody else lives. The close's answer. */
int core_close(struct kfl__core *core);
/* As if the process had been killed: nothing is synced and nothing noted. */
void core_abandon(struct kfl__core *core);
/* What a reboot leaves of a store that nobody has open: the state file is worth nothing. Files are as they are. */
void core_reboot(const char *path);

/* A topic, made if need be; `properties` as above. The topic is counted: kfl__topic_release. */
struct kfl__topic *core_topic(struct kfl__core *core, const char *name, int32_t partition_count,
                              const char *properties);
/* Partition 0 of topic "t", whose topic lives as long as the core. */
struct kfl__partition *core_partition(struct kfl__core *core, const char *properties);

/*
 * One batch of one record, `size` bytes of value that follow from `number`; its offset or an error.
 * The record's time is 1000000 + number.
 */
int64_t core_append(struct kfl__partition *partition, int64_t number, uint32_t size, bool durable);
/* The same, waiting for locks and room no longer than block_ms. */
int64_t core_append_within(struct kfl__partition *partition, int64_t number, uint32_t size, bool durable,
                           int64_t block_ms);
/* The same, of a few bytes and by the way of a lone producer, who is lent the lock when nobody else comes. */
int64_t core_append_alone(struct kfl__partition *partition, int64_t number);
/* Appends records number, number + 1, … that each get the offset of their number. */
void core_append_run(struct kfl__partition *partition, int64_t from, int64_t to, uint32_t size);

/*
 * Reads from `from` to the end: each record must be what core_append made of its own offset.
 * The number of records; *out_holes (may be NULL): offsets told as holes.
 */
int64_t core_read(struct kfl__partition *partition, int64_t from, int64_t *out_holes);

/* Note in the catalog what is durable now. */
int core_note_durable(struct kfl__partition *partition);
/* What the catalog says of the partition. */
int core_partition_row(struct kfl__partition *partition, struct kfl__partition_row *out_row);
/* "topics/<id>/<number>/<segment id>.log" below the store, in a static buffer. */
const char *core_file(struct kfl__partition *partition, int64_t segment_id);
/* Overwrite bytes of a segment file with `byte`; size 0: up to its end. */
void core_spoil(const char *path, uint64_t place, uint64_t size, int byte);

#endif
