/* SPDX-License-Identifier: MIT */
/*
 * make_format_1 DIRECTORY: writes segment files of format 1 and, beside each, what is in it.
 *
 * It was run once: the files of a released format are never written again, since they must open for
 * ever. Kept to show how they came to be, and as the pattern for the next format's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "format/batch.h"
#include "format/codec.h"
#include "format/record.h"
#include "golden_text.h"

#define NOW_MS INT64_C(1700000000000)
#define SEGMENT_SIZE 65536

struct golden {
    char path[512]; /* without the suffix */
    uint8_t bytes[SEGMENT_SIZE];
    uint64_t place, seed;
    int64_t next_offset;
    uint32_t writer_epoch;
    FILE *text;
};
static struct golden golden;

static void golden_die(const char *what)
{
    fprintf(stderr, "%s: %s\n", golden.path, what);
    exit(EXIT_FAILURE);
}

static void golden_begin(const char *directory, const char *name, uint64_t segment_id,
                         uint64_t seed, int64_t base_offset)
{
    memset(&golden, 0, sizeof golden);
    snprintf(golden.path, sizeof golden.path, "%s/%s", directory, name);
    char path[sizeof golden.path + 4];
    snprintf(path, sizeof path, "%s.txt", golden.path);
    golden.text = fopen(path, "w");
    if (golden.text == NULL)
        golden_die("cannot be written");

    struct kfl__segment_header header = {
        .topic_id = 3,
        .segment_id = segment_id,
        .seed = seed,
        .size = SEGMENT_SIZE,
        .created_ms = NOW_MS - 1000,
        .partition = 2,
        .topic_name_size = 6,
        .topic_name = "orders",
    };
    for (uint8_t i = 0; i < 16; i++)
        header.store_id[i] = (uint8_t)(0xa0 + i);
    kfl__segment_header_seal(&header);
    memcpy(golden.bytes, &header, sizeof header);
    golden.place = sizeof header;
    golden.seed = seed;
    golden.next_offset = base_offset;
    golden.writer_epoch = 3;
    text_segment(golden.text, segment_id, 3, "orders", 2, SEGMENT_SIZE);
}

static void golden_tell(const struct kfl__message *messages, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct kfl__message *m = &messages[i];
        text_record(golden.text, golden.next_offset + i, m->timestamp_ms, m->key, m->key_size,
                    m->value, m->value_size);
        for (uint32_t k = 0; k < m->header_count; k++)
            text_header(golden.text, m->headers[k].name, strlen(m->headers[k].name),
                        m->headers[k].value, m->headers[k].value_size);
    }
}

static void golden_batch(const struct kfl__message *messages, uint32_t count, uint16_t flags,
                         int64_t durable_offset)
{
    static uint8_t plain[SEGMENT_SIZE];
    uint8_t *at = plain, *payload = golden.bytes + golden.place + sizeof(struct kfl__batch_header);
    int64_t max_timestamp_ms = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (messages[i].timestamp_ms > max_timestamp_ms)
            max_timestamp_ms = messages[i].timestamp_ms;
    }
    for (uint32_t i = 0; i < count; i++)
        at = kfl__record_encode(at, &messages[i], i, max_timestamp_ms);
    size_t plain_size = (size_t)(at - plain), size = plain_size;
    int codec = flags & KFL_BATCH_FLAG_CODEC;
    if (codec == KFL_CODEC_NONE)
        memcpy(payload, plain, plain_size);
    else if (kfl__codec_pack(codec, plain, plain_size, payload, kfl__codec_bound(codec, plain_size),
                             &size) < 0)
        golden_die(kfl_last_error());

    const struct kfl__batch_facts facts = {
        .base_offset = golden.next_offset,
        .max_timestamp_ms = max_timestamp_ms,
        .record_count = count,
        .payload_size = (uint32_t)size,
        .unpacked_size = (uint32_t)plain_size,
        .writer_epoch = golden.writer_epoch,
        .flags = flags,
        .durable_offset = durable_offset,
        .payload_hash = kfl__hash64(payload, size),
    };
    kfl__batch_seal(golden.bytes + golden.place, &facts, golden.place, golden.seed);
    text_batch(golden.text, golden.place, golden.next_offset, count, golden.writer_epoch,
               durable_offset, flags);
    golden_tell(messages, count);
    golden.place += kfl__batch_room(size);
    golden.next_offset += count;
}

static void golden_finish(void)
{
    char path[sizeof golden.path + 4];
    snprintf(path, sizeof path, "%s.log", golden.path);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(golden.bytes, 1, (size_t)golden.place, file) != golden.place ||
        fclose(file) != 0 || fclose(golden.text) != 0)
        golden_die("cannot be written");
}

static void golden_end(int64_t next_segment_id)
{
    text_end(golden.text, golden.place, golden.next_offset, next_segment_id);
    kfl__batch_seal_end(golden.bytes + golden.place, golden.next_offset, next_segment_id,
                        golden.writer_epoch, golden.next_offset, golden.place, golden.seed);
    golden.place += KFL_END_MARK_SIZE;
    golden_finish();
}

/* The worked example of docs/format.md. */
static void make_example(const char *directory)
{
    static const kfl_header headers[] = {{"trace", "a1", 2}, {"retry", NULL, 0}};
    static const struct kfl__message messages[] = {
        {.key = "o-1",
         .key_size = 3,
         .value = "shipped",
         .value_size = 7,
         .headers = headers,
         .header_count = 2,
         .timestamp_ms = NOW_MS},
        {.key = "o-2", .key_size = 3, .timestamp_ms = NOW_MS - 1},
    };
    golden_begin(directory, "example", 7, UINT64_C(0x0123456789abcdef), 1000);
    golden_batch(messages, 2, 0, 990);
    golden_end(8);
}

static void make_plain(const char *directory)
{
    static const struct kfl__message messages[] = {
        {.key = "a", .key_size = 1, .value = "first", .value_size = 5, .timestamp_ms = NOW_MS},
        {.key = "b",
         .key_size = 1,
         .value = "\x00\xff\"\\",
         .value_size = 4,
         .timestamp_ms = NOW_MS + 1},
        {.key = "a", .key_size = 1, .value = "an older time", .value_size = 13, .timestamp_ms = 0},
    };
    static const struct kfl__message stamped[] = {
        {.key = "c", .key_size = 1, .value = "1", .value_size = 1, .timestamp_ms = NOW_MS + 2},
        {.key = "c", .key_size = 1, .value = "2", .value_size = 1, .timestamp_ms = NOW_MS + 2},
    };
    golden_begin(directory, "plain", 1, 11, 0);
    golden_batch(messages, 1, 0, 0);
    golden_batch(messages, 3, 0, -1);
    golden.writer_epoch = 4;
    golden_batch(stamped, 2, KFL_BATCH_FLAG_APPEND_TIME, 4);
    golden_batch(NULL, 0, 0, 6); /* compaction took all its records */
    golden.next_offset = INT64_C(1) << 40;
    golden_batch(messages, 1, 0, (INT64_C(1) << 40) - 1);
    golden_end(2);
}

/* kafka:B7 kafka:B8 */
static void make_missing(const char *directory)
{
    static const kfl_header headers[] = {
        {"b", "2", 1}, {"a", "", 0}, {"b", NULL, 0}, {"", "no name", 7}, {"b", "2", 1},
    };
    static const struct kfl__message messages[] = {
        {.timestamp_ms = NOW_MS},
        {.key = "", .timestamp_ms = NOW_MS},
        {.value = "", .timestamp_ms = NOW_MS},
        {.key = "", .value = "", .timestamp_ms = NOW_MS},
        {.key = "tombstone", .key_size = 9, .timestamp_ms = NOW_MS},
        {.headers = headers, .header_count = 5, .timestamp_ms = NOW_MS},
        {.key = "k",
         .key_size = 1,
         .value = "v",
         .value_size = 1,
         .headers = headers + 2,
         .header_count = 1,
         .timestamp_ms = NOW_MS},
    };
    golden_begin(directory, "missing", 4, 44, 500);
    golden_batch(messages, 7, 0, 500);
    golden_end(5);
}

static void make_packed(const char *directory, const char *name, int codec)
{
    static const kfl_header headers[] = {{"codec", "yes", 3}};
    struct kfl__message messages[40];
    char values[40][32];
    for (int i = 0; i < 40; i++) {
        int size = snprintf(values[i], sizeof values[i], "the same words, number %d", i);
        messages[i] = (struct kfl__message){
            .key = "key",
            .key_size = 3,
            .value = i % 10 == 9 ? NULL : values[i],
            .value_size = (size_t)size,
            .headers = headers,
            .header_count = (uint32_t)i % 2,
            .timestamp_ms = NOW_MS + i % 7,
        };
    }
    golden_begin(directory, name, (uint64_t)codec + 7, (uint64_t)codec, 100);
    golden_batch(messages, 40, (uint16_t)codec, -1);
    golden_batch(messages, 1, 0, 100);
    for (int i = 0; i < 5; i++)
        messages[i].timestamp_ms = NOW_MS + 9;
    golden_batch(messages, 5, (uint16_t)(codec | (int)KFL_BATCH_FLAG_APPEND_TIME), 100);
    golden_end(codec + 8);
}

/* No end mark: behind the last batch lies one that another file's seed sealed, then half a batch.
 */
static void make_open(const char *directory)
{
    static const struct kfl__message message = {
        .key = "k", .key_size = 1, .value = "v", .value_size = 1, .timestamp_ms = NOW_MS};
    golden_begin(directory, "open", 20, 20, 7);
    golden_batch(&message, 1, 0, 7);
    golden_batch(&message, 1, 0, 7);
    text_nothing(golden.text, golden.place);
    fflush(golden.text);
    FILE *text = golden.text, *unheard = fopen("/dev/null", "w");
    golden.text = unheard;
    golden.seed = 21;
    golden_batch(&message, 1, 0, 7);
    golden.seed = 20;
    golden_batch(&message, 1, 0, 7);
    golden.place -= 16;
    fclose(unheard);
    golden.text = text;
    golden_finish();
}

/* What compaction leaves: gaps within a batch, tombstones with a horizon, and an end without a record. */
static void golden_compacted(const struct kfl__message *messages, const uint32_t *deltas, uint32_t count, uint32_t span,
                             uint16_t flags, int64_t horizon_ms)
{
    uint8_t *payload = golden.bytes + golden.place + sizeof(struct kfl__batch_header), *at = payload;
    int64_t max_timestamp_ms = -1;
    for (uint32_t i = 0; i < count; i++) {
        if (messages[i].timestamp_ms > max_timestamp_ms)
            max_timestamp_ms = messages[i].timestamp_ms;
    }
    if ((flags & KFL_BATCH_FLAG_HORIZON) != 0) {
        kfl__store64(at, (uint64_t)horizon_ms);
        at += KFL_BATCH_HORIZON_SIZE;
    }
    uint8_t *records = at;
    for (uint32_t i = 0; i < count; i++)
        at = kfl__record_encode(at, &messages[i], deltas[i], max_timestamp_ms);
    const struct kfl__batch_facts facts = {
        .base_offset = golden.next_offset,
        .max_timestamp_ms = max_timestamp_ms,
        .record_count = count,
        .payload_size = (uint32_t)(at - payload),
        .unpacked_size = (uint32_t)(at - records),
        .writer_epoch = golden.writer_epoch,
        .flags = flags,
        .durable_offset = -1,
        .payload_hash = kfl__hash64(payload, (size_t)(at - payload)),
    };
    kfl__batch_seal_compacted(golden.bytes + golden.place, &facts, span, golden.place, golden.seed);
    text_batch(golden.text, golden.place, golden.next_offset, count, golden.writer_epoch, -1, flags);
    text_compacted(golden.text, golden.next_offset + span, horizon_ms, flags);
    for (uint32_t i = 0; i < count; i++)
        text_record(golden.text, golden.next_offset + deltas[i], messages[i].timestamp_ms, messages[i].key,
                    messages[i].key_size, messages[i].value, messages[i].value_size);
    golden.place += kfl__batch_room(facts.payload_size);
    golden.next_offset += span;
}

static void make_compacted(const char *directory)
{
    static const struct kfl__message messages[] = {
        {.key = "a", .key_size = 1, .value = "1", .value_size = 1, .timestamp_ms = NOW_MS},
        {.key = "b", .key_size = 1, .timestamp_ms = NOW_MS + 5},
        {.key = "c", .key_size = 1, .value = "", .timestamp_ms = 0},
    };
    static const uint32_t deltas[] = {0, 7, 4000000};
    golden_begin(directory, "compacted", 30, 30, 100);
    golden_compacted(messages, deltas, 3, 4000001, KFL_BATCH_FLAG_COMPACTED, 0);
    golden_compacted(messages + 1, deltas, 2, 8, KFL_BATCH_FLAG_COMPACTED | KFL_BATCH_FLAG_HORIZON, NOW_MS + 86400000);
    golden_compacted(messages, deltas, 1, 1, KFL_BATCH_FLAG_COMPACTED | KFL_BATCH_FLAG_APPEND_TIME, 0);
    golden_compacted(NULL, NULL, 0, 1000, KFL_BATCH_FLAG_COMPACTED, 0);
    text_nothing(golden.text, golden.place);
    golden_finish();
}

int main(int count, char **arguments)
{
    if (count != 2) {
        fprintf(stderr, "usage: %s DIRECTORY\n", arguments[0]);
        return EXIT_FAILURE;
    }
    make_example(arguments[1]);
    make_plain(arguments[1]);
    make_missing(arguments[1]);
    make_packed(arguments[1], "lz4", KFL_CODEC_LZ4);
    make_packed(arguments[1], "zstd", KFL_CODEC_ZSTD);
    make_open(arguments[1]);
    make_compacted(arguments[1]);
    return EXIT_SUCCESS;
}
