/* SPDX-License-Identifier: MIT */
/* The quick way of reading must tell what the careful one tells, and stop where it would. */
#include "format/plain.h"

#include "quick_asserts.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "chance.h"
#include "image.h"
#include "suite.h"

#define ROWS 64
static const kfl_record like = {.topic = "topic", .partition = 6};

static void assert_same_record(const kfl_record *told, const kfl_record *expected)
{
    ck_assert_ptr_eq(told->topic, like.topic);
    ck_assert_int_eq(told->partition, like.partition);
    ck_assert_int_eq(told->timestamp_type, expected->timestamp_type);
    ck_assert_int_eq(told->offset, expected->offset);
    ck_assert_int_eq(told->timestamp_ms, expected->timestamp_ms);
    ck_assert_ptr_eq(told->key, expected->key);
    ck_assert_uint_eq(told->key_size, expected->key_size);
    ck_assert_ptr_eq(told->value, expected->value);
    ck_assert_uint_eq(told->value_size, expected->value_size);
    ck_assert_ptr_null(told->packed_headers);
    ck_assert_uint_eq(told->packed_headers_size, 0);
    ck_assert_int_eq(told->header_count, 0);
    ck_assert_int_eq(told->reserved, 0);
}

/* Key and value are each missing, empty, or of some size; mostly of the same one. */
static struct kfl__message chance_message(struct chance *chance, int64_t timestamp_ms)
{
    static const char bytes[64] = "sixty-four bytes, of which a key or a value takes some of them.";
    static const size_t sizes[] = {8, 8, 8, 8, 0, 1, 31};
    size_t kind = (size_t)chance_below(chance, 9);
    return (struct kfl__message){
        .key = kind == 8 ? NULL : bytes,
        .key_size = kind == 8 ? 0 : sizes[kind % 7],
        .value = kind == 7 ? NULL : bytes,
        .value_size = kind == 7 ? 0 : sizes[chance_below(chance, 7)],
        .timestamp_ms = timestamp_ms,
    };
}

static size_t message_size(const struct kfl__message *message)
{
    size_t size;
    ck_assert_int_eq(kfl__record_size(message, &size), 0);
    return size;
}

/* A batch of up to 20 records, one in eight of them with a header, or behind a gap. */
static struct image chance_batch(struct chance *chance, struct kfl__batch_facts *out_facts)
{
    static const kfl_header header = {"name", "value", 5};
    struct kfl__message messages[20];
    uint32_t count = 1 + (uint32_t)chance_below(chance, 20), deltas[20], next = 0;
    size_t size = 0;
    for (uint32_t i = 0; i < count; i++, next++) {
        messages[i] = chance_message(chance, NOW_MS - (int64_t)chance_below(chance, 1000));
        if (chance_below(chance, 8) == 0) {
            messages[i].headers = &header;
            messages[i].header_count = 1;
        }
        next += chance_below(chance, 64) == 0;
        deltas[i] = next;
        size += message_size(&messages[i]);
    }
    struct image image = image_make(size);
    uint8_t *at = image.bytes + PLACE + HEADER_SIZE;
    for (uint32_t i = 0; i < count; i++)
        at = kfl__record_encode(at, &messages[i], deltas[i], NOW_MS);
    *out_facts = facts_of(&image, (uint32_t)size, count);
    return image;
}

/* Steps through by both ways at once, the quick one in steps of up to `room`. */
static int32_t walk_both(const struct kfl__batch_header *header, const uint8_t *payload,
                         int32_t room)
{
    struct kfl__batch_cursor quick, careful;
    kfl_record rows[ROWS], record;
    int32_t plain = 0;
    kfl__batch_cursor_init(&quick, header, payload, header->unpacked_size);
    kfl__batch_cursor_init(&careful, header, payload, header->unpacked_size);
    for (;;) {
        int32_t count = kfl__plain_take(&quick, &like, room, header->size, rows);
        ck_assert_int_le(count, room);
        for (int32_t i = 0; i < count; i++) {
            ck_assert_int_eq(kfl__batch_next(&careful, &record), 1);
            assert_same_record(&rows[i], &record);
        }
        plain += count;
        ck_assert_mem_eq(&quick, &careful, sizeof quick);
        if (count == room)
            continue;
        int r = kfl__batch_next(&quick, &rows[0]);
        ck_assert_int_eq(r, kfl__batch_next(&careful, &record));
        if (r <= 0)
            return plain;
    }
}

START_TEST(what_is_taken_is_what_stepping_tells)
{
    struct chance chance = chance_begin("what_is_taken_is_what_stepping_tells");
    int64_t plain = 0;
    for (int i = 0; i < 20000; i++) {
        struct kfl__batch_facts facts;
        struct kfl__batch_header header;
        struct image image = chance_batch(&chance, &facts);
        uint8_t *payload = image.bytes + PLACE + HEADER_SIZE;
        /* Half of them are written by somebody hostile: under a right hash anything may stand. */
        for (uint64_t changes = i % 2 == 0 ? 0 : chance_below(&chance, 4); changes > 0; changes--)
            payload[chance_below(&chance, facts.payload_size)] = (uint8_t)chance_next(&chance);
        facts.payload_hash = kfl__hash64(payload, facts.payload_size);
        kfl__batch_seal(image.bytes + PLACE, &facts, PLACE, SEED);
        ck_assert_int_eq(image_verify(&image, &header), 0);
        plain += walk_both(&header, payload, 1 + (int32_t)chance_below(&chance, ROWS));
        free(image.bytes);
    }
    ck_assert_int_gt(plain, 20000);
}
END_TEST

START_TEST(records_below_an_offset_are_passed_over)
{
    struct chance chance = chance_begin("records_below_an_offset_are_passed_over");
    for (int i = 0; i < 5000; i++) {
        struct kfl__batch_facts facts;
        struct kfl__batch_header header;
        struct kfl__batch_cursor quick, careful;
        kfl_record record;
        struct image image = chance_batch(&chance, &facts);
        kfl__batch_seal(image.bytes + PLACE, &facts, PLACE, SEED);
        ck_assert_int_eq(image_verify(&image, &header), 0);
        const uint8_t *payload = image.bytes + PLACE + HEADER_SIZE;
        int64_t offset = BASE_OFFSET - 1 + (int64_t)chance_below(&chance, facts.record_count + 2);
        kfl__batch_cursor_init(&quick, &header, payload, header.unpacked_size);
        kfl__batch_cursor_init(&careful, &header, payload, header.unpacked_size);
        kfl__plain_pass(&quick, offset);
        ck_assert_int_le(quick.next_offset, offset > BASE_OFFSET ? offset : BASE_OFFSET);
        while (careful.next_offset < quick.next_offset)
            ck_assert_int_eq(kfl__batch_next(&careful, &record), 1);
        ck_assert_mem_eq(&quick, &careful, sizeof quick);
        free(image.bytes);
    }
}
END_TEST

/* ---- runs ---- */

struct run_image {
    struct image image;
    uint64_t places[ROWS + 1];
    int32_t count;
};

/* Batches of one plain record, of rising offsets from BASE_OFFSET on. */
static struct run_image chance_run(struct chance *chance, int32_t count)
{
    struct run_image run = {.count = count};
    struct kfl__message messages[ROWS];
    size_t room = 0;
    for (int32_t i = 0; i < count; i++) {
        messages[i] = chance_message(chance, NOW_MS + i);
        run.places[i] = PLACE + room;
        room += (size_t)kfl__batch_room(message_size(&messages[i]));
    }
    run.places[count] = PLACE + room;
    run.image = image_make(room - HEADER_SIZE);
    ck_assert_uint_eq(run.image.size, PLACE + room);
    for (int32_t i = 0; i < count; i++) {
        uint8_t *batch = run.image.bytes + run.places[i];
        uint32_t size = (uint32_t)message_size(&messages[i]);
        kfl__record_encode(batch + HEADER_SIZE, &messages[i], 0, NOW_MS + i);
        const struct kfl__batch_facts facts = {
            .base_offset = BASE_OFFSET + i,
            .max_timestamp_ms = NOW_MS + i,
            .record_count = 1,
            .payload_size = size,
            .unpacked_size = size,
            .writer_epoch = 9,
            .flags = chance_below(chance, 8) == 0 ? KFL_BATCH_FLAG_APPEND_TIME : 0,
            .durable_offset = i % 3 == 0 ? -1 : BASE_OFFSET + i / 2,
            .payload_hash = kfl__hash64(batch + HEADER_SIZE, size),
        };
        kfl__batch_seal(batch, &facts, run.places[i], SEED);
    }
    return run;
}

static struct kfl__plain_run run_from(const struct run_image *run, int32_t first)
{
    return (struct kfl__plain_run){
        .segment = run->image.bytes,
        .limit = run->image.size,
        .seed = SEED,
        .place = run->places[first],
        .offset = BASE_OFFSET + first,
    };
}

/* What one batch holds, told by the careful way; false: it is no batch of one record. */
static bool told_alone(const struct image *image, uint64_t place, kfl_record *out_record)
{
    struct kfl__batch_header header;
    struct kfl__batch_cursor cursor;
    if (kfl__batch_verify(image->bytes, place, image->size, SEED, &header) != 0 ||
        header.record_count != 1 || (header.flags & KFL_BATCH_FLAG_CODEC) != 0)
        return false;
    kfl__batch_cursor_init(&cursor, &header, image->bytes + place + HEADER_SIZE,
                           header.unpacked_size);
    return kfl__batch_next(&cursor, out_record) == 1 && kfl__batch_next(&cursor, out_record) == 0;
}

START_TEST(a_run_is_taken_batch_after_batch)
{
    struct chance chance = chance_begin("a_run_is_taken_batch_after_batch");
    for (int round = 0; round < 500; round++) {
        kfl_record rows[ROWS], record;
        struct run_image image = chance_run(&chance, 1 + (int32_t)chance_below(&chance, ROWS));
        int32_t first = (int32_t)chance_below(&chance, (uint64_t)image.count);
        int32_t room = (int32_t)chance_below(&chance, ROWS + 1), last = first;
        struct kfl__plain_run run = run_from(&image, first);
        uint64_t until = PLACE + chance_below(&chance, image.image.size - PLACE + 1);
        while (last < image.count && image.places[last] < until && last - first < room)
            last++;
        ck_assert_int_eq(kfl__plain_take_run(&run, until, &like, room, rows), last - first);
        ck_assert_uint_eq(run.place, image.places[last]);
        ck_assert_int_eq(run.offset, BASE_OFFSET + last);
        for (int32_t i = first; i < last; i++) {
            ck_assert(told_alone(&image.image, image.places[i], &record));
            assert_same_record(&rows[i - first], &record);
        }
        free(image.image.bytes);
    }
}
END_TEST

START_TEST(a_run_ends_in_front_of_another_offset)
{
    struct chance chance = chance_begin("a_run_ends_in_front_of_another_offset");
    kfl_record rows[ROWS];
    struct run_image image = chance_run(&chance, 3);
    struct kfl__plain_run run = run_from(&image, 1);
    run.offset--;
    ck_assert_int_eq(kfl__plain_take_run(&run, run.limit, &like, ROWS, rows), 0);
    run.offset += 2;
    ck_assert_int_eq(kfl__plain_take_run(&run, run.limit, &like, ROWS, rows), 0);
    ck_assert_uint_eq(run.place, image.places[1]);
    ck_assert_int_eq(run.offset, BASE_OFFSET + 2);
    free(image.image.bytes);
}
END_TEST

/* Every bit of a run; and limits that cut a batch, of which not a byte may be believed (rule:R1). */
START_TEST(a_run_ends_in_front_of_damage_and_of_what_is_cut)
{
    struct chance chance = chance_begin("a_run_ends_in_front_of_damage");
    kfl_record rows[ROWS];
    struct run_image image = chance_run(&chance, 8);
    for (uint64_t place = PLACE; place < image.image.size; place++) {
        int32_t hit = 0;
        struct kfl__batch_header header;
        while (image.places[hit + 1] <= place)
            hit++;
        memcpy(&header, image.image.bytes + image.places[hit], sizeof header);
        bool padding = place >= image.places[hit] + header.size;
        for (int bit = 0; bit < 8; bit++) {
            struct kfl__plain_run run = run_from(&image, 0);
            image.image.bytes[place] ^= (uint8_t)(1 << bit);
            int32_t count = kfl__plain_take_run(&run, run.limit, &like, ROWS, rows);
            ck_assert_int_eq(count, padding ? image.count : hit);
            image.image.bytes[place] ^= (uint8_t)(1 << bit);
        }
        struct kfl__plain_run run = run_from(&image, 0);
        run.limit = place;
        ck_assert_int_eq(kfl__plain_take_run(&run, place, &like, ROWS, rows),
                         padding ? hit + 1 : hit);
    }
    free(image.image.bytes);
}
END_TEST

/* Headers of a hostile writer, under a right hash: what the run takes, the careful way takes. */
START_TEST(a_run_takes_nothing_that_stepping_refuses)
{
    struct chance chance = chance_begin("a_run_takes_nothing_that_stepping_refuses");
    int taken = 0, refused = 0;
    for (int round = 0; round < 100000; round++) {
        kfl_record rows[1], record;
        struct kfl__batch_header header;
        struct run_image image = chance_run(&chance, 1);
        uint8_t *batch = image.image.bytes + PLACE;
        struct kfl__plain_run run = run_from(&image, 0);
        memcpy(&header, batch, sizeof header);
        for (uint64_t changes = chance_below(&chance, 3); changes > 0; changes--) {
            uint64_t at = 8 + chance_below(&chance, header.size - 8);
            uint64_t change = chance_next(&chance);
            batch[at] =
                (uint8_t)(batch[at] ^ (change % 2 == 0 ? 1u << change / 2 % 8 : change / 2));
        }
        memcpy(&header, batch, sizeof header);
        image_forge(&image.image, header);
        run.offset = header.base_offset;
        bool told = told_alone(&image.image, PLACE, &record);
        if (run.offset >= 0 && kfl__plain_take_run(&run, run.limit, &like, 1, rows) == 1) {
            ck_assert(told);
            assert_same_record(&rows[0], &record);
            taken++;
        } else {
            /* What compaction left may look like one, and spans more. */
            ck_assert(!told || record.header_count > 0 || record.offset != header.base_offset ||
                      (header.flags & KFL_BATCH_FLAG_COMPACTED) != 0);
            refused++;
        }
        free(image.image.bytes);
    }
    ck_assert_int_gt(taken, 1000);
    ck_assert_int_gt(refused, 1000);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("plain");
    TCase *payloads = tcase_create("payloads");
    tcase_set_timeout(payloads, 60);
    tcase_add_test(payloads, what_is_taken_is_what_stepping_tells);
    tcase_add_test(payloads, records_below_an_offset_are_passed_over);
    suite_add_tcase(suite, payloads);
    TCase *runs = tcase_create("runs");
    tcase_set_timeout(runs, 60);
    tcase_add_test(runs, a_run_is_taken_batch_after_batch);
    tcase_add_test(runs, a_run_ends_in_front_of_another_offset);
    tcase_add_test(runs, a_run_ends_in_front_of_damage_and_of_what_is_cut);
    tcase_add_test(runs, a_run_takes_nothing_that_stepping_refuses);
    suite_add_tcase(suite, runs);
    return suite;
}
