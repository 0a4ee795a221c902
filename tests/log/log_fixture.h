/* SPDX-License-Identifier: MIT */
/* A segment file in a fresh folder, filled by hand. */
#ifndef KFL_TESTS_LOG_FIXTURE_H
#define KFL_TESTS_LOG_FIXTURE_H

#include <check.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "log/segment.h"
#include "temp_dir.h"

#define assert_ok(call)                                                                            \
    do {                                                                                           \
        int result_ = (call);                                                                      \
        ck_assert_msg(result_ == 0, "%s: %d (%s)", #call, result_, kfl_last_error());              \
    } while (0)

static int directory = -1;
static struct kfl__segment *segment;
static struct kfl__segment_plan plan;
static uint64_t place;

static inline void set_up_folder(void)
{
    temp_dir_make();
    directory = open(temp_dir_path(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(directory, 0);
    plan = (struct kfl__segment_plan){
        .store_id = {1, 2, 3},
        .topic_id = 7,
        .partition = 2,
        .topic_name = "t",
        .segment_id = 5,
        .size = 1 << 20,
        .seed = 0x1234567890abcdef,
        .mode = 0600,
        .index_size_max = 1 << 20,
        .index_interval = 4096,
    };
    place = KFL_SEGMENT_FIRST_PLACE;
    segment = NULL;
}

static inline void set_up_segment(void)
{
    set_up_folder();
    assert_ok(kfl__segment_create(directory, &plan, true, &segment));
}

static inline void tear_down_segment(void)
{
    kfl__segment_release(segment);
    close(directory);
    temp_dir_remove();
}

/* One batch of `count` records without keys or values at `place`, which moves on. */
static inline void lay_batch(int64_t base_offset, uint32_t count, uint32_t epoch, int64_t durable_offset)
{
    struct kfl__record_head heads[16] = {{0}};
    uint32_t size = count * (uint32_t)sizeof heads[0];
    for (uint32_t i = 0; i < count; i++)
        heads[i] = (struct kfl__record_head){.key_size = -1, .value_size = -1, .offset_delta = i};
    struct kfl__batch_facts facts = {
        .base_offset = base_offset,
        .max_timestamp_ms = 1000 + base_offset,
        .record_count = count,
        .payload_size = size,
        .unpacked_size = size,
        .writer_epoch = epoch,
        .durable_offset = durable_offset,
        .payload_hash = kfl__hash64(heads, size),
    };
    uint8_t *to = kfl__segment_lay(segment, place);
    ck_assert_ptr_nonnull(to);
    memcpy(to + sizeof(struct kfl__batch_header), heads, size);
    kfl__batch_pad(to, size);
    kfl__batch_seal(to, &facts, place, plan.seed);
    place += kfl__batch_room(size);
}

static inline void lay_end(int64_t end_offset, int64_t next_id, uint32_t epoch)
{
    kfl__batch_seal_end(kfl__segment_lay(segment, place), end_offset, next_id, epoch, -1, place, plan.seed);
}

#endif
