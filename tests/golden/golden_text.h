/* SPDX-License-Identifier: MIT */
/*
 * How golden files are told in text: what the generator writes from what it put in, and the test
 * from what it reads back.
 */
#ifndef KFL_TESTS_GOLDEN_TEXT_H
#define KFL_TESTS_GOLDEN_TEXT_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>

#include "format/codec.h"
#include "format/layout.h"

/* In quotes; a dash is missing. */
static inline void text_bytes(FILE *to, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    if (bytes == NULL) {
        fputc('-', to);
        return;
    }
    fputc('"', to);
    for (size_t i = 0; i < size; i++) {
        if (at[i] >= 0x20 && at[i] < 0x7f && at[i] != '"' && at[i] != '\\')
            fputc(at[i], to);
        else
            fprintf(to, "\\x%02x", at[i]);
    }
    fputc('"', to);
}

static inline void text_segment(FILE *to, uint64_t segment_id, uint64_t topic_id, const char *topic,
                                uint32_t partition, uint64_t size)
{
    fprintf(to, "segment %" PRIu64 " of topic %" PRIu64 " \"%s\" partition %u, %" PRIu64 " bytes\n",
            segment_id, topic_id, topic, partition, size);
}

static inline void text_batch(FILE *to, uint64_t place, int64_t base_offset, uint32_t count,
                              uint32_t writer_epoch, int64_t durable_offset, uint16_t flags)
{
    fprintf(to,
            "batch at %" PRIu64 ": %u from offset %" PRId64 ", epoch %u, durable %" PRId64
            ", %s, %s\n",
            place, count, base_offset, writer_epoch, durable_offset,
            kfl__codec_name(flags & KFL_BATCH_FLAG_CODEC),
            (flags & KFL_BATCH_FLAG_APPEND_TIME) != 0 ? "LogAppendTime" : "CreateTime");
}

static inline void text_record(FILE *to, int64_t offset, int64_t timestamp_ms, const void *key,
                               size_t key_size, const void *value, size_t value_size)
{
    fprintf(to, "  %" PRId64 " at %" PRId64 ": ", offset, timestamp_ms);
    text_bytes(to, key, key_size);
    fputs(" -> ", to);
    text_bytes(to, value, value_size);
    fputc('\n', to);
}

static inline void text_header(FILE *to, const char *name, size_t name_size, const void *value,
                               size_t value_size)
{
    fputs("    ", to);
    text_bytes(to, name, name_size);
    fputs(" = ", to);
    text_bytes(to, value, value_size);
    fputc('\n', to);
}

static inline void text_end(FILE *to, uint64_t place, int64_t end_offset, int64_t next_segment_id)
{
    fprintf(to, "end mark at %" PRIu64 ": end offset %" PRId64 ", next segment %" PRId64 "\n",
            place, end_offset, next_segment_id);
}

/* What a compacted batch says beside. */
static inline void text_compacted(FILE *to, int64_t end_offset, int64_t horizon_ms, uint16_t flags)
{
    if ((flags & KFL_BATCH_FLAG_COMPACTED) == 0)
        return;
    fprintf(to, "  compacted, up to offset %" PRId64, end_offset);
    if ((flags & KFL_BATCH_FLAG_HORIZON) != 0)
        fprintf(to, ", tombstones go at %" PRId64, horizon_ms);
    fputc('\n', to);
}

/* The bytes at `place` are no batch of this file. */
static inline void text_nothing(FILE *to, uint64_t place)
{
    fprintf(to, "nothing at %" PRIu64 "\n", place);
}

#endif
