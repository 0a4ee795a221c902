/* SPDX-License-Identifier: MIT */
/*
 * The loops that reading spends its time in.
 *
 * Reading goes at the speed of memory, so there are two things to them: few instructions for a
 * record, and to fetch early what the processor would not foresee.
 */
#include "format/plain.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/hash.h"

/*
 * What is fetched ahead of its use: a line at a time; in a run of small batches, these bytes; in a
 * large one, the head of the record so many further on, which its hash has left behind, and at each
 * record so many bytes of the batch to come. Measured; none of them is critical.
 */
#define PLAIN_LINE 64
#define PLAIN_RUN_AHEAD 4096
#define PLAIN_HEADS_AHEAD 6
#define PLAIN_STEP_AHEAD 192

/* What the sizes at a record's head come to. Records of one kind have one: it is worked out once. */
struct plain_kind {
    uint64_t sizes;            /* the head's first word */
    uint64_t step;             /* bytes of the whole record */
    uint64_t key_at, value_at; /* from its head; 0: missing */
    uint64_t key_size, value_size;
};

static struct plain_kind plain_kind_of(uint64_t sizes)
{
    int32_t key_size = (int32_t)sizes, value_size = (int32_t)(sizes >> 32);
    struct plain_kind kind = {.sizes = sizes, .step = sizeof(struct kfl__record_head)};
    if (key_size >= 0) {
        kind.key_at = kind.step;
        kind.key_size = (uint64_t)key_size;
        kind.step += kind.key_size;
    }
    if (value_size >= 0) {
        kind.value_at = kind.step;
        kind.value_size = (uint64_t)value_size;
        kind.step += kind.value_size;
    }
    /* Any other negative size is no record's. */
    if (key_size < -1 || value_size < -1)
        kind.step = UINT64_MAX;
    return kind;
}

/* Of the record whose head is at `at`. false: its time is none. */
static inline bool plain_put(const struct plain_kind *kind, const uint8_t *at, int64_t offset,
                             int64_t max_timestamp_ms, const kfl_record *like,
                             kfl_record *out_record)
{
    int64_t delta = (int64_t)kfl__load64(at + offsetof(struct kfl__record_head, timestamp_delta));
    int64_t timestamp_ms;
    if (delta > 0 || __builtin_add_overflow(max_timestamp_ms, delta, &timestamp_ms))
        return false;
    out_record->topic = like->topic;
    out_record->partition = like->partition;
    out_record->timestamp_type = like->timestamp_type;
    out_record->offset = offset;
    out_record->timestamp_ms = timestamp_ms;
    out_record->key = kind->key_at == 0 ? NULL : at + kind->key_at;
    out_record->key_size = kind->key_size;
    out_record->value = kind->value_at == 0 ? NULL : at + kind->value_at;
    out_record->value_size = kind->value_size;
    out_record->packed_headers = NULL;
    out_record->packed_headers_size = 0;
    out_record->header_count = 0;
    out_record->reserved = 0;
    return true;
}

/*
 * Is the record at `at` plain, of this offset delta, and inside? The next one's place hangs on a
 * branch, which is foretold while records are of one size, and not on a load.
 */
static inline bool plain_stands(struct plain_kind *kind, const uint8_t *at, const uint8_t *end,
                                uint64_t delta)
{
    if ((size_t)(end - at) < sizeof(struct kfl__record_head))
        return false;
    uint64_t sizes = kfl__load64(at);
    if (sizes != kind->sizes)
        *kind = plain_kind_of(sizes);
    /* A delta that was asked for never has the bit of headers. */
    return kfl__load32(at + offsetof(struct kfl__record_head, offset_delta)) == delta &&
           kind->step <= (size_t)(end - at);
}

int32_t kfl__plain_take(struct kfl__batch_cursor *cursor, const kfl_record *like, int32_t room,
                        uint64_t ahead, kfl_record *out_records)
{
    struct plain_kind kind = plain_kind_of(0);
    const uint8_t *at = cursor->at, *end = cursor->end;
    kfl_record typed = *like;
    int64_t offset = cursor->next_offset;
    uint64_t most = (uint64_t)(cursor->end_offset - offset); /* offsets that are left */
    if (most > cursor->left)
        most = cursor->left;
    int32_t count = 0, upto = most < (uint64_t)room ? (int32_t)most : room;
    typed.timestamp_type = cursor->timestamp_type;
    const uint8_t *fetched = at;
    for (; count < upto; count++, offset++, at += kind.step) {
        if (!plain_stands(&kind, at, end, (uint64_t)(offset - cursor->base_offset)) ||
            !plain_put(&kind, at, offset, cursor->max_timestamp_ms, &typed, &out_records[count]))
            break;
        __builtin_prefetch(at + kind.step * PLAIN_HEADS_AHEAD);
        const uint8_t *to = at + kind.step;
        if (to > fetched + PLAIN_STEP_AHEAD)
            to = fetched + PLAIN_STEP_AHEAD;
        for (; ahead != 0 && fetched < to; fetched += PLAIN_LINE)
            __builtin_prefetch(fetched + ahead, 0, 2);
    }
    cursor->at = at;
    cursor->next_offset = offset;
    cursor->left -= (uint32_t)count;
    return count;
}

void kfl__plain_pass(struct kfl__batch_cursor *cursor, int64_t offset)
{
    struct plain_kind kind = plain_kind_of(0);
    while (cursor->next_offset < offset && cursor->left > 0 &&
           plain_stands(&kind, cursor->at, cursor->end,
                        (uint64_t)(cursor->next_offset - cursor->base_offset))) {
        cursor->at += kind.step;
        cursor->next_offset++;
        cursor->left--;
    }
}

/*
 * What a batch's hash should be; words: its header with the place in front, and room for the payload's hash. By itself
 * this is made for the sizes, and called once; as a part of the step it is three calls, and all of the step is in memory meanwhile.
 */
static __attribute__((noinline, flatten)) uint64_t plain_hash(uint64_t words[7],
                                                              const uint8_t *payload,
                                                              uint64_t payload_size, uint64_t seed)
{
    words[6] = kfl__hash64(payload, payload_size);
    return kfl__hash64_of_56(words, seed);
}

/*
 * A batch of one plain record at run->place: verified, and told in *out_record. Its size; 0: it is
 * anything else. The checks are those of batch_shape, for this shape.
 */
static inline uint64_t plain_run_step(const struct kfl__plain_run *run, struct plain_kind *kind,
                                      const kfl_record *like, kfl_record *out_record)
{
    const uint8_t *batch = run->segment + run->place;
    const uint8_t *payload = batch + sizeof(struct kfl__batch_header);
    uint64_t room = run->limit - run->place, words[7];
    if (room < sizeof(struct kfl__batch_header))
        return 0;
    for (size_t i = 0; i < 6; i++)
        words[i] = kfl__load64(batch + 8 * i);

    uint64_t hash = words[0], size = (uint32_t)words[1], distance = words[4] >> 32;
    uint64_t payload_size = size - sizeof(struct kfl__batch_header);
    uint64_t append_time = words[5] & KFL_BATCH_FLAG_APPEND_TIME;
    if (size < sizeof(struct kfl__batch_header) + sizeof(struct kfl__record_head) || size > room ||
        size > KFL_BATCH_SIZE_MAX || words[1] >> 32 != 1 || (int64_t)words[2] != run->offset ||
        (distance != KFL_DURABLE_NOT_SAID && (int64_t)distance > run->offset) ||
        words[5] != (append_time | payload_size << 32))
        return 0;
    words[0] = run->place;
    if (plain_hash(words, payload, payload_size, run->seed) != hash)
        return 0;

    kfl_record typed = *like;
    typed.timestamp_type = append_time != 0;
    if (!plain_stands(kind, payload, batch + size, 0) || kind->step != payload_size ||
        !plain_put(kind, payload, run->offset, (int64_t)words[3], &typed, out_record))
        return 0;
    return size;
}

int32_t kfl__plain_take_run(struct kfl__plain_run *run, uint64_t until, const kfl_record *like,
                            int32_t room, kfl_record *out_records)
{
    struct kfl__plain_run at = *run;
    struct plain_kind kind = plain_kind_of(0);
    uint64_t ahead = at.place;
    int32_t count = 0;
    assert(at.place % KFL_BATCH_ALIGNMENT == 0 && at.offset >= 0 && until <= at.limit);
    while (count < room && at.place < until && at.offset < INT64_MAX) {
        uint64_t size = plain_run_step(&at, &kind, like, &out_records[count]);
        if (size == 0)
            break;
        at.place = kfl__align_up(at.place + size, KFL_BATCH_ALIGNMENT);
        at.offset++;
        count++;
        if (at.place >= at.limit)
            break; /* padding may be cut */
        /* The processor foretells no further than a page, and starts each batch anew. */
        uint64_t to = at.limit - at.place < PLAIN_RUN_AHEAD ? at.limit : at.place + PLAIN_RUN_AHEAD;
        for (ahead = ahead < at.place ? at.place : ahead; ahead < to; ahead += PLAIN_LINE)
            __builtin_prefetch(at.segment + ahead);
    }
    run->place = at.place;
    run->offset = at.offset;
    return count;
}
