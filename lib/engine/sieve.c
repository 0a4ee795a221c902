/* SPDX-License-Identifier: MIT */
/*
 * The sieve of compaction.
 *
 * First the newest record of each key is learned, with a locator that leads to its bytes; then the records are
 * sifted in order. A record is superseded when the map knows another place for its digest, and the key that
 * stands there is the same, byte for byte. Where it is another key, two keys share a digest, and the run begins
 * anew with another seed: nothing was lost by it. Records go through in blocks, so that what is asked of the map and of
 * other files is on its way while others are decoded.
 *
 * A locator is (input + 1) << 32 | place of the record in that file, or, for a record of a compressed batch, whose
 * bytes are nowhere, SIEVE_KEPT_KEY | place of a kept key.
 */
#include "engine/sieve.h"

#include <string.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/memory.h"
#include "engine/topics.h"
#include "format/codec.h"
#include "format/record.h"

#define SIEVE_BLOCK 32
#define SIEVE_STEP (UINT64_C(256) << 10)
#define SIEVE_KEPT_KEY (UINT64_C(1) << 63)

/* A key of a record in a compressed batch, kept. */
struct sieve_key {
    int64_t offset; /* of the newest record that has it */
    uint32_t size;
    uint32_t reserved;
};

struct sieve_record {
    kfl_record record;
    uint64_t digest, locator;
    int64_t horizon_ms; /* of its batch */
};

/* Where a walk stands in an input. */
struct sieve_walk {
    struct kfl__sieve *sieve;
    struct kfl__sieve_input *input;
    int32_t number;
    uint64_t place; /* of the next batch */
    bool verify;
    /* the batch that is being read */
    struct kfl__batch_header header;
    struct kfl__batch_cursor cursor;
    const uint8_t *batch;
    int64_t horizon_ms;
    bool inside;
};

void kfl__sieve_release(struct kfl__sieve *sieve)
{
    kfl__offset_map_clear(&sieve->map);
    kfl__free(sieve->keys);
    kfl__free(sieve->unpacked);
    sieve->keys = sieve->unpacked = NULL;
}

static int sieve_damaged(const struct sieve_walk *walk, const char *what)
{
    struct kfl__partition *partition = walk->sieve->partition;
    kfl__fail(
        KFL_E_CORRUPT,
        "topics/%llu/%d/%020lld.log at %llu: %s: %s/%d is compacted up to there only, until the file is repaired",
        (unsigned long long)partition->topic->id, partition->number,
        (long long)walk->input->row.segment_id, (unsigned long long)walk->place, what,
        partition->topic->name, partition->number);
    kfl__fail_at(KFL_E_CORRUPT, partition->topic->name, partition->number,
                 walk->input->row.base_offset);
    return KFL_SIEVE_DAMAGED;
}

/* ---- walking ---- */

/* The next batch: 1 and its header; 0: the input ends here. */
static int sieve_next_batch(struct sieve_walk *walk)
{
    struct kfl__segment *segment = walk->input->segment;
    uint64_t bad_from, bad_to, limit = (uint64_t)walk->input->row.used;
    if (walk->place >= limit)
        return 0;
    if (limit > segment->size)
        return sieve_damaged(walk, "the file was cut");
    uint64_t ahead =
        walk->place + (SIEVE_STEP < limit - walk->place ? SIEVE_STEP : limit - walk->place);
    int r = kfl__segment_touch(segment, walk->place, ahead, &bad_from, &bad_to);
    if (r == 0 && kfl__batch_peek(segment->bytes, walk->place, limit, &walk->header) != 0)
        return sieve_damaged(walk, "no batch stands here");
    if (r == 0 && walk->place + walk->header.size > ahead)
        r = kfl__segment_touch(segment, walk->place, walk->place + walk->header.size, &bad_from,
                               &bad_to);
    if (r != 0)
        return r < 0 ? r : sieve_damaged(walk, "the device cannot read this place");
    if (walk->verify &&
        kfl__batch_verify(segment->bytes, walk->place, limit, segment->seed, &walk->header) != 0)
        return sieve_damaged(walk, "the checksum does not match");
    if ((walk->header.flags & KFL_BATCH_FLAG_END) != 0)
        return sieve_damaged(walk, "an end mark stands where more must follow");
    walk->batch = segment->bytes + walk->place;
    walk->horizon_ms = kfl__batch_horizon(&walk->header, walk->batch);
    return 1;
}

static bool sieve_is_packed(const struct sieve_walk *walk)
{
    return (walk->header.flags & KFL_BATCH_FLAG_CODEC) != KFL_CODEC_NONE;
}

/* The records of a compressed batch, unpacked into memory of the sieve's. */
static int sieve_unpack(struct sieve_walk *walk)
{
    struct kfl__sieve *sieve = walk->sieve;
    size_t size = walk->header.unpacked_size, head = kfl__batch_head_size(&walk->header);
    if (sieve->unpacked_room < size) {
        kfl__free(sieve->unpacked);
        sieve->unpacked = kfl__alloc(size);
        sieve->unpacked_room = sieve->unpacked == NULL ? 0 : size;
        if (sieve->unpacked == NULL)
            return kfl__fail(KFL_E_NOMEM, "a batch of %zu bytes: out of memory", size);
    }
    int r = kfl__codec_unpack(walk->header.flags & (int)KFL_BATCH_FLAG_CODEC, walk->batch + head,
                              walk->header.size - head, sieve->unpacked, size);
    if (r == KFL_E_CORRUPT)
        return sieve_damaged(walk, "the batch verifies, but cannot be unpacked");
    if (r == 0)
        kfl__batch_cursor_init(&walk->cursor, &walk->header, sieve->unpacked, size);
    return r;
}

static void sieve_pass_batch(struct sieve_walk *walk)
{
    walk->sieve->read_bytes += walk->header.size;
    walk->place = kfl__batch_next_place(walk->place, &walk->header);
    walk->inside = false;
}

/* The next record of the batch that the walk stands in. 1; 0: behind its last; or damage. */
static int sieve_next_record(struct sieve_walk *walk, struct sieve_record *out)
{
    const uint8_t *at = walk->cursor.at;
    int r = kfl__batch_next(&walk->cursor, &out->record);
    if (r < 0)
        return sieve_damaged(walk, "the batch verifies, but what it holds is no record");
    if (r == 0)
        return 0;
    out->locator =
        (uint64_t)(walk->number + 1) << 32 | (uint64_t)(at - walk->input->segment->bytes);
    out->horizon_ms = walk->horizon_ms;
    out->digest =
        out->record.key == NULL
            ? 0
            : kfl__hash64_seeded(out->record.key, out->record.key_size, walk->sieve->seed);
    return 1;
}

/*
 * Up to a block of records of plain batches. *out_count of them; 0: a block, perhaps an empty one at the end of the step;
 * SIEVE_PACKED: a compressed batch comes next; SIEVE_AT_END: nothing does; or damage, or an error.
 */
#define SIEVE_PACKED 10
#define SIEVE_AT_END 11
static int sieve_gather(struct sieve_walk *walk, uint64_t stop, struct sieve_record *block,
                        int32_t *out_count)
{
    int32_t count = 0;
    int r = 0;
    while (count < SIEVE_BLOCK && r == 0) {
        if (!walk->inside) {
            if (walk->place >= stop && count > 0)
                break;
            r = sieve_next_batch(walk);
            if (r != 1) {
                r = r == 0 ? SIEVE_AT_END : r;
                break;
            }
            r = 0;
            if (sieve_is_packed(walk)) {
                r = SIEVE_PACKED;
                break;
            }
            size_t head = kfl__batch_head_size(&walk->header);
            kfl__batch_cursor_init(&walk->cursor, &walk->header, walk->batch + head,
                                   walk->header.size - head);
            walk->inside = true;
        }
        struct sieve_record *out = &block[count];
        r = sieve_next_record(walk, out);
        if (r == 1) {
            kfl__offset_map_prefetch(&walk->sieve->map, out->digest);
            count++;
            r = 0;
        } else if (r == 0) {
            sieve_pass_batch(walk);
        }
    }
    *out_count = count;
    return r;
}

static void sieve_begin(struct kfl__sieve *sieve, int32_t input, uint64_t place, bool verify,
                        struct sieve_walk *walk)
{
    *walk = (struct sieve_walk){
        .sieve = sieve,
        .input = &sieve->inputs[input],
        .number = input,
        .place = place,
        .verify = verify,
    };
}

/* ---- keys ---- */

static const uint8_t *sieve_key_at(const struct kfl__sieve *sieve, uint64_t locator,
                                   size_t *out_size)
{
    if ((locator & SIEVE_KEPT_KEY) != 0) {
        const uint8_t *at = sieve->keys + (locator & ~SIEVE_KEPT_KEY);
        struct sieve_key key;
        memcpy(&key, at, sizeof key);
        *out_size = key.size;
        return at + sizeof key;
    }
    return kfl__record_key(sieve->inputs[(locator >> 32) - 1].segment->bytes + (uint32_t)locator,
                           out_size);
}

static bool sieve_same_key(const struct kfl__sieve *sieve, const kfl_record *record,
                           uint64_t locator)
{
    size_t size;
    const uint8_t *key = sieve_key_at(sieve, locator, &size);
    return size == record->key_size && memcmp(key, record->key, size) == 0;
}

/* The record of a compressed batch is the newest: its key is kept, once. 0, FULL, COLLIDED, or an error. */
static int sieve_learn_packed(struct kfl__sieve *sieve, const struct sieve_record *record)
{
    uint64_t locator = kfl__offset_map_get(&sieve->map, record->digest);
    struct sieve_key key = {.offset = record->record.offset,
                            .size = (uint32_t)record->record.key_size};
    if ((locator & SIEVE_KEPT_KEY) != 0) {
        if (!sieve_same_key(sieve, &record->record, locator))
            return KFL_SIEVE_COLLIDED;
        memcpy(sieve->keys + (locator & ~SIEVE_KEPT_KEY), &key, sizeof key);
        return 0;
    }
    uint64_t size = kfl__align_up(sizeof key + key.size, 8);
    if (sieve->keys_size + size > sieve->keys_room) {
        uint64_t room = sieve->keys_room + sieve->keys_room / 2 + size + 4096;
        int64_t more = (int64_t)(room - sieve->keys_room);
        if (sieve->map.bytes + more > sieve->map.most_bytes && sieve->keys_size > 0)
            return KFL_SIEVE_FULL;
        uint8_t *grown = kfl__realloc(sieve->keys, room);
        if (grown == NULL)
            return kfl__fail(KFL_E_NOMEM, "a list of keys: out of memory");
        sieve->keys = grown;
        sieve->keys_room = room;
        sieve->map.most_bytes -= more; /* one bound for both */
    }
    int r = kfl__offset_map_put(&sieve->map, record->digest, SIEVE_KEPT_KEY | sieve->keys_size);
    if (r != 0)
        return r == KFL_OFFSET_MAP_FULL ? KFL_SIEVE_FULL : r;
    memcpy(sieve->keys + sieve->keys_size, &key, sizeof key);
    memcpy(sieve->keys + sieve->keys_size + sizeof key, record->record.key, key.size);
    sieve->keys_size += size;
    return 0;
}

/* ---- learning ---- */

/* 0: learned, or there is nothing to learn of it. */
static int sieve_learn_one(struct kfl__sieve *sieve, const struct sieve_record *record, bool packed)
{
    if (record->record.offset < sieve->map_end || record->record.key == NULL)
        return 0;
    int r = packed ? sieve_learn_packed(sieve, record)
                   : kfl__offset_map_put(&sieve->map, record->digest, record->locator);
    if (r == KFL_OFFSET_MAP_FULL && !packed)
        r = KFL_SIEVE_FULL;
    return r;
}

static int sieve_learn_block(struct kfl__sieve *sieve, const struct sieve_record *block,
                             int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        int r = sieve_learn_one(sieve, &block[i], false);
        if (r != 0)
            return r;
        if (block[i].record.offset >= sieve->map_end)
            sieve->map_end = block[i].record.offset + 1;
    }
    return 0;
}

static int sieve_learn_batch(struct sieve_walk *walk)
{
    struct kfl__sieve *sieve = walk->sieve;
    struct sieve_record record;
    int r = sieve_unpack(walk);
    while (r == 0 && (r = sieve_next_record(walk, &record)) == 1) {
        r = sieve_learn_one(sieve, &record, true);
        if (r == 0 && record.record.offset >= sieve->map_end)
            sieve->map_end = record.record.offset + 1;
    }
    if (r == 0)
        sieve_pass_batch(walk);
    return r;
}

int kfl__sieve_learn(struct kfl__sieve *sieve, int32_t input, uint64_t *io_place)
{
    struct sieve_record block[SIEVE_BLOCK];
    struct sieve_walk walk;
    uint64_t stop = *io_place + SIEVE_STEP;
    int32_t count;
    int r = 0;
    sieve_begin(sieve, input, *io_place, true, &walk);
    while (r == 0 && (walk.inside || walk.place < stop)) {
        r = sieve_gather(&walk, stop, block, &count);
        int learned = sieve_learn_block(sieve, block, count);
        if (learned != 0)
            return learned;
        if (r == SIEVE_PACKED)
            r = sieve_learn_batch(&walk);
    }
    *io_place = walk.place;
    if (r == 0)
        return KFL_SIEVE_MORE;
    if (r != SIEVE_AT_END)
        return r;
    sieve->inputs[input].verified = true;
    if (sieve->inputs[input].row.end_offset > sieve->map_end)
        sieve->map_end = sieve->inputs[input].row.end_offset;
    return 0;
}

/* ---- sifting ---- */

enum sieve_verdict { SIEVE_STAYS, SIEVE_GOES, SIEVE_COLLIDES };

/* By the map: is there a newer one? `own` when the map's locator leads to this very record. */
static enum sieve_verdict sieve_superseded(const struct kfl__sieve *sieve, const kfl_record *record,
                                           uint64_t locator, bool own)
{
    if (locator == 0 || own)
        return SIEVE_STAYS;
    return sieve_same_key(sieve, record, locator) ? SIEVE_GOES : SIEVE_COLLIDES;
}

static bool sieve_is_forgotten(const struct kfl__sieve *sieve, const kfl_record *record)
{
    const struct kfl__sieve_forget *forget = &sieve->forget;
    return forget->key != NULL && record->offset < forget->end_offset &&
           record->key_size == forget->key_size &&
           memcmp(record->key, forget->key, forget->key_size) == 0;
}

/* One that the map lets stay: a tombstone whose time has come goes, one that is met first is stamped. */
static bool sieve_stays(struct kfl__sieve *sieve, struct sieve_record *record)
{
    if (record->record.value != NULL)
        return true;
    if (record->record.offset >= sieve->map_end) {
        record->horizon_ms = -1; /* this clean does not look at its key */
        return true;
    }
    if (record->horizon_ms >= 0 && sieve->now_ms >= record->horizon_ms) {
        sieve->removed_tombstones++;
        return false;
    }
    if (record->horizon_ms < 0 &&
        __builtin_add_overflow(sieve->now_ms, sieve->delete_retention_ms, &record->horizon_ms))
        record->horizon_ms = INT64_MAX;
    sieve->kept_tombstones++;
    return true;
}

/* SIEVE_COLLIDES counts nothing. */
static enum sieve_verdict sieve_judge(struct kfl__sieve *sieve, struct sieve_record *record,
                                      uint64_t locator, bool own)
{
    enum sieve_verdict verdict = SIEVE_STAYS;
    if (record->record.key != NULL) {
        if (record->record.offset < sieve->map_end)
            verdict = sieve_superseded(sieve, &record->record, locator, own);
        if (verdict == SIEVE_STAYS &&
            (sieve_is_forgotten(sieve, &record->record) || !sieve_stays(sieve, record)))
            verdict = SIEVE_GOES;
    }
    sieve->kept += verdict == SIEVE_STAYS;
    sieve->removed += verdict == SIEVE_GOES;
    return verdict;
}

static int sieve_sift_block(struct kfl__sieve *sieve, struct sieve_record *block, int32_t count,
                            struct kfl__rewrite *rewrite)
{
    uint64_t found[SIEVE_BLOCK];
    for (int32_t i = 0; i < count; i++) {
        found[i] =
            block[i].record.key == NULL ? 0 : kfl__offset_map_get(&sieve->map, block[i].digest);
        if (found[i] != 0 && found[i] != block[i].locator && (found[i] & SIEVE_KEPT_KEY) == 0)
            __builtin_prefetch(sieve->inputs[(found[i] >> 32) - 1].segment->bytes +
                               (uint32_t)found[i]);
    }
    for (int32_t i = 0; i < count; i++) {
        enum sieve_verdict verdict =
            sieve_judge(sieve, &block[i], found[i], found[i] == block[i].locator);
        if (verdict == SIEVE_COLLIDES)
            return KFL_SIEVE_COLLIDED;
        if (verdict == SIEVE_GOES || rewrite == NULL)
            continue;
        int r = kfl__rewrite_add(rewrite, &block[i].record, block[i].horizon_ms);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Does the map's key belong to this very record of a compressed batch? */
static bool sieve_is_own(const struct kfl__sieve *sieve, uint64_t locator, const kfl_record *record)
{
    struct sieve_key key;
    if ((locator & SIEVE_KEPT_KEY) == 0)
        return false;
    memcpy(&key, sieve->keys + (locator & ~SIEVE_KEPT_KEY), sizeof key);
    return key.offset == record->offset;
}

/* What stays of a compressed batch, and whether that is all of it, as it was. */
struct sieve_rest {
    int64_t kept;
    int64_t horizon_ms; /* of its tombstones; -1: none */
    bool stamped;       /* a tombstone got its horizon now */
};

static int sieve_sift_records(struct sieve_walk *walk, struct kfl__rewrite *rewrite,
                              struct sieve_rest *out_rest)
{
    struct kfl__sieve *sieve = walk->sieve;
    struct sieve_record record;
    int r = sieve_unpack(walk);
    *out_rest = (struct sieve_rest){.horizon_ms = -1};
    while (r == 0 && (r = sieve_next_record(walk, &record)) == 1) {
        uint64_t locator =
            record.record.key == NULL ? 0 : kfl__offset_map_get(&sieve->map, record.digest);
        int64_t before = record.horizon_ms;
        enum sieve_verdict verdict =
            sieve_judge(sieve, &record, locator, sieve_is_own(sieve, locator, &record.record));
        r = verdict == SIEVE_COLLIDES ? KFL_SIEVE_COLLIDED : 0;
        if (verdict != SIEVE_STAYS)
            continue;
        out_rest->kept++;
        if (record.record.value == NULL && record.record.key != NULL) {
            out_rest->stamped = out_rest->stamped || record.horizon_ms != before;
            out_rest->horizon_ms = record.horizon_ms;
        }
        if (rewrite != NULL)
            r = kfl__rewrite_add(rewrite, &record.record, record.horizon_ms);
    }
    return r;
}

/* It is read twice where a part of it goes: what all of it needs is known behind its last record. */
static int sieve_sift_batch(struct sieve_walk *walk, struct kfl__rewrite *rewrite)
{
    struct kfl__sieve *sieve = walk->sieve;
    struct kfl__sieve before = *sieve;
    struct sieve_rest rest;
    int r = rewrite == NULL ? 0 : kfl__rewrite_flush(rewrite, KFL_CODEC_NONE);
    if (r == 0)
        r = sieve_sift_records(walk, NULL, &rest);
    if (r == 0 && rewrite != NULL && rest.kept == walk->header.record_count) {
        size_t head = kfl__batch_head_size(&walk->header);
        r = kfl__rewrite_add_packed(rewrite, &walk->header, walk->batch + head,
                                    walk->cursor.next_offset, rest.horizon_ms);
    } else if (r == 0 && rewrite != NULL && rest.kept > 0) {
        sieve->kept = before.kept;
        sieve->removed = before.removed;
        sieve->removed_tombstones = before.removed_tombstones;
        sieve->kept_tombstones = before.kept_tombstones;
        r = sieve_sift_records(walk, rewrite, &rest);
        if (r == 0)
            r = kfl__rewrite_flush(rewrite, walk->header.flags & (int)KFL_BATCH_FLAG_CODEC);
    }
    if (r == 0)
        sieve_pass_batch(walk);
    return r;
}

int kfl__sieve_sift(struct kfl__sieve *sieve, int32_t input, uint64_t *io_place,
                    struct kfl__rewrite *rewrite)
{
    struct sieve_record block[SIEVE_BLOCK];
    struct sieve_walk walk;
    uint64_t stop = *io_place + SIEVE_STEP;
    int32_t count;
    int r = 0;
    sieve_begin(sieve, input, *io_place, !sieve->inputs[input].verified, &walk);
    while (r == 0 && (walk.inside || walk.place < stop)) {
        r = sieve_gather(&walk, stop, block, &count);
        int sifted = sieve_sift_block(sieve, block, count, rewrite);
        if (sifted != 0)
            return sifted;
        if (r == SIEVE_PACKED)
            r = sieve_sift_batch(&walk, rewrite);
    }
    *io_place = walk.place;
    return r == 0 ? KFL_SIEVE_MORE : r == SIEVE_AT_END ? 0 : r;
}
