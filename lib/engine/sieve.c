/* SPDX-License-Identifier: MIT */
/*
 * The sieve of compaction.
 *
 * First the newest record of each key is learned, with a locator that leads to its bytes. A record's digest leads to
 * the one that was the newest so far, and the two keys are compared, byte for byte, unless all have one size that is so
 * small that a digest is as good as the key. Where they differ, two keys share a digest, and the run begins anew with another seed: nothing was lost by it. Then the records are sifted in
 * order. Where all of an input was learned, what stays of it are the map's own locators: it is made a list, and only they
 * are looked at. Records that lie before the map ask it for their key. Records go through in blocks, so that
 * what is asked of the map and of other files is on its way while others are decoded.
 */
#include "engine/sieve.h"

#include <string.h>

#include "base/bytes.h"
#include "base/memory.h"
#include "engine/sieve_keys.h"
#include "engine/sieve_walk.h"
#include "engine/topics.h"
#include "format/record.h"

#define SIEVE_BLOCK 32
/* Records that wait for their slot of the map, and as many for the key that it leads to: what a processor fetches at once. */
#define SIEVE_AHEAD 16
#define SIEVE_QUEUE 64

struct sieve_entry {
    struct kfl__batch_key its;
    uint64_t digest, locator; /* locator 0: its batch is compressed */
    /* when sifting */
    struct kfl__rewrite_record record;
    int64_t horizon_ms; /* of its batch */
};

void kfl__sieve_release(struct kfl__sieve *sieve)
{
    kfl__free(sieve->survivors);
    kfl__offset_map_clear(&sieve->map);
    kfl__free(sieve->keys);
    kfl__free(sieve->unpacked);
    sieve->survivors = NULL;
    sieve->keys = sieve->unpacked = NULL;
}

/* The next record of the batch that the walk is in: 1; 0: behind its last; or damage. */
static inline int sieve_take(struct kfl__sieve_walk *walk, struct sieve_entry *out)
{
    const struct kfl__sieve *sieve = walk->sieve;
    int r = kfl__batch_next_key(&walk->cursor, &out->its);
    if (r != 1)
        return r < 0 ? kfl__sieve_walk_damaged(walk, KFL_SIEVE_NO_RECORD) : r;
    out->locator = kfl__sieve_walk_is_packed(walk)
                       ? 0
                       : (uint64_t)(walk->number + 1) << 32 |
                             (uint64_t)(out->its.record - walk->input->segment->bytes);
    if (out->its.key == NULL)
        return 1;
    out->digest = kfl__sieve_digest(sieve, out->its.key, out->its.key_size);
    kfl__offset_map_prefetch(&sieve->map, out->digest);
    return 1;
}

/* ---- learning ---- */

static inline void sieve_learn_size(struct kfl__sieve *sieve, int64_t size)
{
    if (KFL_UNLIKELY(size != sieve->key_size))
        sieve->key_size = sieve->key_size == KFL_SIEVE_NO_SIZE ? size : KFL_SIEVE_SIZES;
}

static inline int sieve_learn_plain(struct kfl__sieve *sieve, const struct sieve_entry *entry)
{
    uint64_t before;
    int r = kfl__offset_map_put(&sieve->map, entry->digest, entry->locator, &before);
    if (r != 0)
        return r == KFL_OFFSET_MAP_FULL ? KFL_SIEVE_FULL : r;
    return before == 0 || kfl__sieve_same_key(sieve, &entry->its, before) ? 0 : KFL_SIEVE_COLLIDED;
}

/* Records on their way into the map: taken; then the slot has come and the key it leads to was asked for; then learned. */
struct sieve_queue {
    uint32_t taken, asked, learned;
    struct sieve_entry entries[SIEVE_QUEUE];
};

static inline int sieve_learn_entry(struct kfl__sieve *sieve, const struct sieve_entry *entry)
{
    int r = 0;
    if (entry->its.offset < sieve->map_end)
        return 0; /* clean, in an input that is so in part */
    if (entry->its.key != NULL) {
        sieve_learn_size(sieve, (int64_t)entry->its.key_size);
        r = entry->locator == 0 ? kfl__sieve_keep_key(sieve, &entry->its, entry->digest)
                                : sieve_learn_plain(sieve, entry);
    }
    if (r == 0)
        sieve->map_end = entry->its.offset + 1;
    return r;
}

/* Until no more than `ahead` wait for either. */
static inline int sieve_learn_queued(struct kfl__sieve *sieve, struct sieve_queue *queue,
                                     uint32_t ahead)
{
    while (queue->taken - queue->asked > ahead) {
        const struct sieve_entry *entry = &queue->entries[queue->asked++ % SIEVE_QUEUE];
        if (entry->its.key != NULL)
            kfl__sieve_prefetch_key(sieve, &entry->its,
                                    kfl__offset_map_get(&sieve->map, entry->digest));
    }
    while (queue->asked - queue->learned > ahead) {
        int r = sieve_learn_entry(sieve, &queue->entries[queue->learned++ % SIEVE_QUEUE]);
        if (r != 0)
            return r;
    }
    return 0;
}

/* The records of a batch, behind those that wait. */
static int sieve_learn_batch(struct kfl__sieve_walk *walk, struct sieve_queue *queue)
{
    struct kfl__sieve *sieve = walk->sieve;
    bool packed = kfl__sieve_walk_is_packed(walk);
    int r = kfl__sieve_walk_enter(walk);
    sieve->packed = sieve->packed || packed;
    while (r == 0 && (r = sieve_take(walk, &queue->entries[queue->taken % SIEVE_QUEUE])) == 1) {
        queue->taken++;
        r = sieve_learn_queued(sieve, queue, SIEVE_AHEAD);
    }
    /* The next one will be unpacked over it. */
    return r == 0 && packed ? sieve_learn_queued(sieve, queue, 0) : r;
}

int kfl__sieve_learn(struct kfl__sieve *sieve, int32_t input, uint64_t *io_place)
{
    struct sieve_queue queue;
    struct kfl__sieve_walk walk;
    uint64_t stop = *io_place + KFL_SIEVE_STEP;
    int r = 1;
    queue.taken = queue.asked = queue.learned = 0;
    kfl__sieve_walk_begin(sieve, input, *io_place, true, &walk);
    while (walk.place < stop && (r = kfl__sieve_walk_next(&walk)) == 1) {
        r = sieve_learn_batch(&walk, &queue);
        if (r != 0)
            break;
        r = 1;
        kfl__sieve_walk_pass(&walk);
    }
    /* Damage behind it takes nothing from what was good. */
    if (r == 1 || r == 0 || r == KFL_SIEVE_DAMAGED) {
        int learned = sieve_learn_queued(sieve, &queue, 0);
        r = learned != 0 ? learned : r;
    }
    sieve->cut = sieve->cut || r == KFL_SIEVE_FULL;
    *io_place = walk.place;
    if (r != 0)
        return r == 1 ? KFL_SIEVE_MORE : r;
    sieve->inputs[input].verified = true;
    if (sieve->inputs[input].row.end_offset > sieve->map_end)
        sieve->map_end = sieve->inputs[input].row.end_offset;
    return 0;
}

/* ---- what stays ---- */

enum sieve_verdict { SIEVE_STAYS, SIEVE_GOES, SIEVE_COLLIDES };

/* Does the map's key belong to this very record of a compressed batch? */
static bool sieve_is_own(const struct kfl__sieve *sieve, uint64_t locator,
                         const struct sieve_entry *entry)
{
    if (entry->locator != 0 || (locator & KFL_SIEVE_KEPT_KEY) == 0)
        return entry->locator == locator;
    return kfl__sieve_kept_key(sieve, locator).offset == entry->its.offset;
}

static bool sieve_is_forgotten(const struct kfl__sieve *sieve, const struct kfl__batch_key *its)
{
    const struct kfl__sieve_forget *forget = &sieve->forget;
    return forget->key != NULL && its->offset < forget->end_offset &&
           its->key_size == forget->key_size &&
           memcmp(its->key, forget->key, forget->key_size) == 0;
}

/* A tombstone whose time has come goes, one that is met first is stamped. */
static bool sieve_tombstone_stays(struct kfl__sieve *sieve, struct sieve_entry *entry)
{
    if (entry->its.offset >= sieve->map_end) {
        entry->horizon_ms = -1; /* this clean does not look at its key */
        return true;
    }
    if (entry->horizon_ms >= 0 && sieve->now_ms >= entry->horizon_ms) {
        sieve->removed_tombstones++;
        return false;
    }
    if (entry->horizon_ms < 0 &&
        __builtin_add_overflow(sieve->now_ms, sieve->delete_retention_ms, &entry->horizon_ms))
        entry->horizon_ms = INT64_MAX;
    sieve->kept_tombstones++;
    return true;
}

/* One that no newer record supersedes. */
static enum sieve_verdict sieve_judge_newest(struct kfl__sieve *sieve, struct sieve_entry *entry)
{
    bool stays = !sieve_is_forgotten(sieve, &entry->its) &&
                 (!entry->record.tombstone || sieve_tombstone_stays(sieve, entry));
    sieve->kept += stays;
    sieve->removed += !stays;
    return stays ? SIEVE_STAYS : SIEVE_GOES;
}

/* `locator`: what the map has under its digest, if it knows of this record at all. SIEVE_COLLIDES counts nothing. */
static enum sieve_verdict sieve_judge(struct kfl__sieve *sieve, struct sieve_entry *entry,
                                      uint64_t locator)
{
    enum sieve_verdict verdict = SIEVE_STAYS;
    if (entry->its.key == NULL)
        verdict = SIEVE_GOES; /* of the time before the topic was compacted */
    else if (locator != 0 && !sieve_is_own(sieve, locator, entry))
        verdict = kfl__sieve_same_key(sieve, &entry->its, locator) ? SIEVE_GOES : SIEVE_COLLIDES;
    if (verdict == SIEVE_STAYS)
        return sieve_judge_newest(sieve, entry);
    sieve->removed += verdict == SIEVE_GOES;
    return verdict;
}

/* All that stays the same when the record moves. 0, or damage. */
static int sieve_describe(const struct kfl__sieve_walk *walk, struct sieve_entry *entry,
                          const uint8_t *behind)
{
    const uint8_t *bytes = entry->its.record;
    int64_t delta =
        (int64_t)kfl__load64(bytes + offsetof(struct kfl__record_head, timestamp_delta));
    struct kfl__rewrite_record *record = &entry->record;
    *record = (struct kfl__rewrite_record){
        .bytes = bytes,
        .size = (uint32_t)(behind - bytes),
        .append_time = (walk->header.flags & KFL_BATCH_FLAG_APPEND_TIME) != 0,
        .tombstone =
            entry->its.key != NULL &&
            (int32_t)kfl__load32(bytes + offsetof(struct kfl__record_head, value_size)) < 0,
        .offset = entry->its.offset,
    };
    entry->horizon_ms = walk->horizon_ms;
    if (delta > 0 ||
        __builtin_add_overflow(walk->header.max_timestamp_ms, delta, &record->timestamp_ms))
        return kfl__sieve_walk_damaged(walk, KFL_SIEVE_NO_RECORD);
    return 0;
}

static int sieve_keep(struct kfl__sieve *sieve, const struct sieve_entry *entry,
                      struct kfl__rewrite *rewrite)
{
    if (rewrite != NULL)
        return kfl__rewrite_add(rewrite, &entry->record, entry->horizon_ms);
    sieve->kept_bytes += entry->record.size;
    return 0;
}

/* ---- sifting by the map ---- */

/* What stays of a compressed batch, and what its tombstones need. */
struct sieve_rest {
    int64_t kept;
    int64_t horizon_ms; /* -1: none */
};

static int sieve_sift_block(struct kfl__sieve *sieve, struct sieve_entry *block, int32_t count,
                            struct kfl__rewrite *rewrite, struct sieve_rest *rest)
{
    uint64_t found[SIEVE_BLOCK];
    for (int32_t i = 0; i < count; i++) {
        /* What the map has under the key of a record behind it may be in a file that is closed already. */
        bool known = block[i].its.key != NULL && block[i].its.offset < sieve->map_end;
        found[i] = known ? kfl__offset_map_get(&sieve->map, block[i].digest) : 0;
        kfl__sieve_prefetch_key(sieve, &block[i].its, found[i]);
    }
    for (int32_t i = 0; i < count; i++) {
        enum sieve_verdict verdict = sieve_judge(sieve, &block[i], found[i]);
        if (verdict == SIEVE_COLLIDES)
            return KFL_SIEVE_COLLIDED;
        if (verdict == SIEVE_GOES)
            continue;
        rest->kept++;
        if (block[i].record.tombstone)
            rest->horizon_ms = block[i].horizon_ms;
        int r =
            rewrite == NULL ? 0 : kfl__rewrite_add(rewrite, &block[i].record, block[i].horizon_ms);
        if (r < 0)
            return r;
    }
    return 0;
}

/* The records of a batch that was entered, behind those that wait in the block. */
static int sieve_sift_records(struct kfl__sieve_walk *walk, struct kfl__rewrite *rewrite,
                              struct sieve_entry *block, int32_t *io_count, struct sieve_rest *rest)
{
    int r = 0;
    while (r == 0 && (r = sieve_take(walk, &block[*io_count])) == 1) {
        r = sieve_describe(walk, &block[*io_count], walk->cursor.at);
        if (r == 0 && ++*io_count == SIEVE_BLOCK) {
            r = sieve_sift_block(walk->sieve, block, SIEVE_BLOCK, rewrite, rest);
            *io_count = 0;
        }
    }
    return r;
}

static int sieve_sift_unpacked(struct kfl__sieve_walk *walk, struct kfl__rewrite *rewrite,
                               struct sieve_rest *out_rest)
{
    struct sieve_entry block[SIEVE_BLOCK];
    int32_t count = 0;
    *out_rest = (struct sieve_rest){.horizon_ms = -1};
    int r = kfl__sieve_walk_enter(walk);
    if (r == 0)
        r = sieve_sift_records(walk, rewrite, block, &count, out_rest);
    return r == 0 ? sieve_sift_block(walk->sieve, block, count, rewrite, out_rest) : r;
}

/* It is read twice where a part of it goes: what all of it needs is known behind its last record. */
static int sieve_sift_packed(struct kfl__sieve_walk *walk, struct kfl__rewrite *rewrite)
{
    struct kfl__sieve *sieve = walk->sieve;
    struct kfl__sieve before = *sieve;
    struct sieve_rest rest;
    int r = rewrite == NULL ? 0 : kfl__rewrite_flush(rewrite, KFL_CODEC_NONE);
    if (r == 0)
        r = sieve_sift_unpacked(walk, NULL, &rest);
    if (r != 0)
        return r;
    sieve->kept_bytes =
        before.kept_bytes + (int64_t)walk->header.size * rest.kept / walk->header.record_count;
    if (rewrite == NULL || rest.kept == 0)
        return 0;
    if (rest.kept == walk->header.record_count)
        return kfl__rewrite_add_packed(rewrite, &walk->header,
                                       walk->batch + kfl__batch_head_size(&walk->header),
                                       walk->cursor.next_offset, rest.horizon_ms);
    sieve->kept = before.kept;
    sieve->removed = before.removed;
    sieve->removed_tombstones = before.removed_tombstones;
    sieve->kept_tombstones = before.kept_tombstones;
    r = sieve_sift_unpacked(walk, rewrite, &rest);
    return r == 0 ? kfl__rewrite_flush(rewrite, walk->header.flags & (int)KFL_BATCH_FLAG_CODEC) : r;
}

static int sieve_sift_by_map(struct kfl__sieve_walk *walk, uint64_t stop,
                             struct kfl__rewrite *rewrite)
{
    struct sieve_entry block[SIEVE_BLOCK];
    struct sieve_rest rest = {0};
    int32_t count = 0;
    int r = 1;
    while (walk->place < stop && (r = kfl__sieve_walk_next(walk)) == 1) {
        if (kfl__sieve_walk_is_packed(walk)) {
            r = sieve_sift_block(walk->sieve, block, count, rewrite, &rest);
            count = 0;
            if (r == 0)
                r = sieve_sift_packed(walk, rewrite);
        } else {
            r = kfl__sieve_walk_enter(walk);
            if (r == 0)
                r = sieve_sift_records(walk, rewrite, block, &count, &rest);
        }
        if (r != 0)
            return r;
        r = 1;
        kfl__sieve_walk_pass(walk);
    }
    int sifted = r == 0 || r == 1 ? sieve_sift_block(walk->sieve, block, count, rewrite, &rest) : 0;
    return sifted != 0 ? sifted : r;
}

/* ---- sifting by the list ---- */

/* The map knows all of this input and of those behind it, and where each record is. */
static bool sieve_can_list(const struct kfl__sieve *sieve, const struct kfl__sieve_input *input)
{
    return !sieve->cut && !sieve->packed && input->verified &&
           input->row.base_offset >= sieve->map_from;
}

/* What lies in front of the input was sifted by the map: the file in whose middle the dirty part begins. */
static int sieve_list(struct kfl__sieve *sieve, int32_t input)
{
    kfl__offset_map_list(&sieve->map);
    sieve->survivors = kfl__survivors_create(&sieve->map);
    if (sieve->survivors == NULL)
        return kfl__fail(KFL_E_NOMEM, "a list of records: out of memory");
    while (sieve->survivors->next < kfl__sieve_locator(input, 0))
        kfl__survivors_advance(sieve->survivors);
    return 0;
}

/* The record that stands `at` a place in the walk's batch, which the map found to be the newest of its key. */
static int sieve_keep_listed(struct kfl__sieve_walk *walk, uint64_t at,
                             struct kfl__rewrite *rewrite)
{
    struct sieve_entry entry;
    struct kfl__batch_cursor cursor = {
        .at = walk->input->segment->bytes + at,
        .end = walk->batch + walk->header.size,
        .base_offset = walk->header.base_offset,
        .max_timestamp_ms = walk->header.max_timestamp_ms,
        .next_offset = walk->header.base_offset,
        .end_offset = kfl__batch_end_offset(&walk->header),
        .left = 1,
    };
    int r = kfl__batch_next_key(&cursor, &entry.its);
    if (r != 1)
        return kfl__sieve_walk_damaged(walk, KFL_SIEVE_NO_RECORD);
    r = sieve_describe(walk, &entry, cursor.at);
    if (r != 0 || sieve_judge_newest(walk->sieve, &entry) == SIEVE_GOES)
        return r;
    return sieve_keep(walk->sieve, &entry, rewrite);
}

static int sieve_sift_by_list(struct kfl__sieve_walk *walk, uint64_t stop,
                              struct kfl__rewrite *rewrite)
{
    struct kfl__survivors *survivors = walk->sieve->survivors;
    uint64_t base = kfl__sieve_locator(walk->number, 0);
    int r = 1;
    while (walk->place < stop && (r = kfl__sieve_walk_next(walk)) == 1) {
        uint64_t behind = base + walk->place + walk->header.size;
        int64_t newest = 0;
        for (; survivors->next < behind; newest++) {
            r = sieve_keep_listed(walk, survivors->next - base, rewrite);
            if (r != 0)
                return r;
            kfl__survivors_advance(survivors);
        }
        walk->sieve->removed += (int64_t)walk->header.record_count - newest;
        r = 1;
        kfl__sieve_walk_pass(walk);
    }
    return r;
}

int kfl__sieve_sift(struct kfl__sieve *sieve, int32_t input, uint64_t *io_place,
                    struct kfl__rewrite *rewrite)
{
    struct kfl__sieve_walk walk;
    uint64_t stop = *io_place + KFL_SIEVE_STEP;
    int r = 0;
    if (sieve->survivors == NULL && sieve_can_list(sieve, &sieve->inputs[input]))
        r = sieve_list(sieve, input);
    if (r < 0)
        return r;
    kfl__sieve_walk_begin(sieve, input, *io_place, !sieve->inputs[input].verified, &walk);
    r = sieve->survivors != NULL ? sieve_sift_by_list(&walk, stop, rewrite)
                                 : sieve_sift_by_map(&walk, stop, rewrite);
    *io_place = walk.place;
    return r == 1 ? KFL_SIEVE_MORE : r;
}
