/* SPDX-License-Identifier: MIT */
/* Walks: which batches are believed in a row. */
#include "log/walk.h"

#include "log_fixture.h"
#include "suite.h"

static int64_t walk_all(struct kfl__walk *walk, int *out_ended)
{
    struct kfl__batch_header header;
    int r;
    while ((r = kfl__walk_step(walk, &header)) == KFL_WALK_BATCH)
        ;
    *out_ended = r;
    return walk->batches;
}

START_TEST(a_walk_counts_what_it_passes)
{
    struct kfl__walk walk;
    int ended;
    lay_batch(10, 3, 1, -1);
    lay_batch(13, 1, 1, -1);
    lay_batch(20, 2, 2, -1);
    lay_end(22, 9, 2);
    kfl__walk_init(&walk, segment, KFL_SEGMENT_FIRST_PLACE, segment->size, 10, 0);
    ck_assert_int_eq(walk_all(&walk, &ended), 3);
    ck_assert_int_eq(ended, KFL_WALK_END);
    ck_assert_uint_eq(walk.place, place);
    ck_assert_int_eq(walk.records, 6);
    ck_assert_int_eq(walk.first_offset, 10);
    ck_assert_int_eq(walk.next_offset, 22);
    ck_assert_uint_eq(walk.epoch, 2);
    ck_assert_int_eq(walk.max_timestamp_ms, 1020);
    ck_assert_int_eq(walk.max_timestamp_offset, 20);
}
END_TEST

/* rule:R2 rule:R22 */
START_TEST(a_batch_of_an_earlier_epoch_ends_the_walk)
{
    struct kfl__walk walk;
    int ended;
    lay_batch(0, 1, 3, -1);
    lay_batch(1, 1, 2, -1);
    kfl__walk_init(&walk, segment, KFL_SEGMENT_FIRST_PLACE, segment->size, 0, 0);
    ck_assert_int_eq(walk_all(&walk, &ended), 1);
    ck_assert_int_eq(ended, 0);
    kfl__walk_init(&walk, segment, KFL_SEGMENT_FIRST_PLACE, segment->size, 0, 4);
    ck_assert_int_eq(walk_all(&walk, &ended), 0);
}
END_TEST

/* rule:R22 */
START_TEST(an_offset_that_falls_ends_the_walk)
{
    struct kfl__walk walk;
    int ended;
    lay_batch(0, 5, 1, -1);
    lay_batch(4, 1, 1, -1);
    kfl__walk_init(&walk, segment, KFL_SEGMENT_FIRST_PLACE, segment->size, 0, 0);
    ck_assert_int_eq(walk_all(&walk, &ended), 1);
    kfl__walk_init(&walk, segment, KFL_SEGMENT_FIRST_PLACE, segment->size, 1, 0);
    ck_assert_int_eq(walk_all(&walk, &ended), 0);
}
END_TEST

/* rule:R1 */
START_TEST(a_walk_ends_at_its_limit)
{
    struct kfl__walk walk;
    int ended;
    lay_batch(0, 1, 1, -1);
    uint64_t limit = place;
    lay_batch(1, 1, 1, -1);
    for (uint64_t at = limit; at < place; at += 8) {
        kfl__walk_init(&walk, segment, KFL_SEGMENT_FIRST_PLACE, at, 0, 0);
        ck_assert_int_eq(walk_all(&walk, &ended), 1);
        ck_assert_int_eq(ended, 0);
    }
    kfl__walk_init(&walk, segment, KFL_SEGMENT_FIRST_PLACE, place, 0, 0);
    ck_assert_int_eq(walk_all(&walk, &ended), 2);
}
END_TEST

START_TEST(each_byte_of_a_batch_matters)
{
    struct kfl__walk walk;
    int ended;
    lay_batch(0, 2, 1, -1); /* so many that there is no padding */
    uint8_t *bytes = kfl__segment_lay(segment, KFL_SEGMENT_FIRST_PLACE);
    for (uint64_t at = 0; at < place - KFL_SEGMENT_FIRST_PLACE; at++) {
        bytes[at] ^= 0x10;
        kfl__walk_init(&walk, segment, KFL_SEGMENT_FIRST_PLACE, segment->size, 0, 0);
        ck_assert_msg(walk_all(&walk, &ended) == 0, "byte %d", (int)at);
        bytes[at] ^= 0x10;
    }
}
END_TEST

START_TEST(a_search_finds_the_next_batch_and_the_mark)
{
    struct kfl__batch_header header;
    uint64_t found;
    for (int64_t i = 0; i < 200; i++)
        lay_batch(i, 1, 1, -1);
    uint64_t mark = place;
    lay_end(200, 9, 1);
    ck_assert_int_eq(kfl__walk_search(segment, KFL_SEGMENT_FIRST_PLACE + 8, segment->size, 0, &header, &found), 1);
    ck_assert_int_eq(header.base_offset, 1);
    ck_assert_int_eq(kfl__walk_search(segment, KFL_SEGMENT_FIRST_PLACE + 3, segment->size, 77, &header, &found), 1);
    ck_assert_int_eq(header.base_offset, 77);
    ck_assert_int_eq(kfl__walk_search(segment, KFL_SEGMENT_FIRST_PLACE, segment->size, 200, &header, &found), 1);
    ck_assert_uint_eq(found, mark);
    ck_assert_int_ne(header.flags & KFL_BATCH_FLAG_END, 0);
    ck_assert_int_eq(kfl__walk_search(segment, KFL_SEGMENT_FIRST_PLACE, segment->size, 201, &header, &found), 0);
    ck_assert_int_eq(kfl__walk_search(segment, mark + 8, segment->size, 0, &header, &found), 0);
    ck_assert_int_eq(kfl__walk_search(segment, KFL_SEGMENT_FIRST_PLACE, KFL_SEGMENT_FIRST_PLACE + 40, 0, &header, &found), 0);
}
END_TEST

/* Hashing each of them to its end would take minutes: the time limit of the test is the assertion. */
START_TEST(a_search_among_what_only_looks_like_batches_ends)
{
    struct kfl__batch_header header, fake = {.record_count = 1, .unpacked_size = 4096, .flags = 3};
    uint64_t found, large;
    kfl__segment_release(segment);
    plan.segment_id = 6;
    plan.size = 16 << 20;
    assert_ok(kfl__segment_create(directory, &plan, true, &segment));
    for (; place < plan.size - 8192; place += sizeof fake) {
        fake.base_offset = (int64_t)place;
        fake.size = (uint32_t)(plan.size - place);
        memcpy(kfl__segment_lay(segment, place), &fake, sizeof fake);
    }
    large = place;
    lay_batch(INT64_C(1) << 40, 16, 1, -1);
    lay_batch((INT64_C(1) << 40) + 16, 16, 1, -1);
    /* Small ones are found always, and a large one (432 bytes are none) that a signpost names. */
    ck_assert_int_eq(kfl__walk_search(segment, KFL_SEGMENT_FIRST_PLACE, segment->size, 0, &header, &found), 1);
    ck_assert_uint_eq(found, large);
    uint8_t *bytes = kfl__segment_lay(segment, large);
    struct kfl__batch_facts facts = {.base_offset = 7,
                                     .record_count = 1,
                                     .payload_size = 4000,
                                     .unpacked_size = 4000,
                                     .writer_epoch = 1,
                                     .durable_offset = -1,
                                     .payload_hash = kfl__hash64(bytes + sizeof header, 4000)};
    kfl__batch_seal(bytes, &facts, large, plan.seed);
    kfl__index_note(&segment->offsets, 0, large);
    ck_assert_int_eq(kfl__walk_search(segment, KFL_SEGMENT_FIRST_PLACE, segment->size, 0, &header, &found), 1);
    ck_assert_uint_eq(found, large);
    ck_assert_uint_eq(header.size, sizeof header + 4000);
}
END_TEST

START_TEST(any_byte_but_zero_is_something)
{
    ck_assert(kfl__walk_last(segment, KFL_SEGMENT_FIRST_PLACE, segment->size) == KFL_SEGMENT_FIRST_PLACE);
    uint64_t last = segment->size - 1;
    for (uint64_t at = 70000; at < segment->size; at = at < last ? last : segment->size) {
        kfl__segment_lay(segment, at)[0] = 1;
        ck_assert(kfl__walk_last(segment, KFL_SEGMENT_FIRST_PLACE, segment->size) == at + 1);
        ck_assert(kfl__walk_last(segment, KFL_SEGMENT_FIRST_PLACE, at) == KFL_SEGMENT_FIRST_PLACE);
        ck_assert(kfl__walk_last(segment, at, at + 1) == at + 1);
        kfl__segment_lay(segment, at)[0] = 0;
    }
}
END_TEST

/* rule:R26 */
START_TEST(a_walk_into_a_cut_file_ends_and_does_not_die)
{
    struct kfl__walk walk;
    struct kfl__batch_header header;
    uint64_t found;
    int ended;
    for (int64_t i = 0; i < 3000; i++)
        lay_batch(i, 1, 1, -1);
    kfl__segment_release(segment);
    segment = NULL;
    ck_assert_int_eq(truncate(temp_dir_file("00000000000000000005.log"), 40960), 0);
    struct kfl__segment_expect expect = {plan.store_id, 7, 2};
    assert_ok(kfl__segment_open(directory, 5, &expect, KFL_SEGMENT_READ, &segment));
    kfl__walk_init(&walk, segment, KFL_SEGMENT_FIRST_PLACE, segment->size, 0, 0);
    ck_assert_int_eq(walk_all(&walk, &ended), (40960 - 512) / 72);
    ck_assert_int_eq(ended, 0);
    ck_assert_int_eq(kfl__walk_search(segment, walk.place + 8, segment->size, 0, &header, &found), 0);
    ck_assert(kfl__walk_last(segment, 40960, segment->size) == segment->size);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("log/walk");
    TCase *walks = tcase_create("walks");
    tcase_add_checked_fixture(walks, set_up_segment, tear_down_segment);
    tcase_set_timeout(walks, 30);
    tcase_add_test(walks, a_walk_counts_what_it_passes);
    tcase_add_test(walks, a_batch_of_an_earlier_epoch_ends_the_walk);
    tcase_add_test(walks, an_offset_that_falls_ends_the_walk);
    tcase_add_test(walks, a_walk_ends_at_its_limit);
    tcase_add_test(walks, each_byte_of_a_batch_matters);
    tcase_add_test(walks, a_search_finds_the_next_batch_and_the_mark);
    tcase_add_test(walks, a_search_among_what_only_looks_like_batches_ends);
    tcase_add_test(walks, any_byte_but_zero_is_something);
    tcase_add_test(walks, a_walk_into_a_cut_file_ends_and_does_not_die);
    suite_add_tcase(suite, walks);
    return suite;
}
