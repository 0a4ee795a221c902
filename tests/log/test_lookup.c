/* SPDX-License-Identifier: MIT */
#include "log/lookup.h"

#include "quick_asserts.h"

#include "format/record.h"
#include "log_fixture.h"
#include "suite.h"

#define BASE 100

static uint64_t places[1000];
static struct kfl__batch_header header;
static uint64_t found;

/* A thousand batches of `count` records, of which the one of number `odd` has one record more (-1: none). */
static struct kfl__lookup lay_batches(uint32_t count, int odd)
{
    int64_t offset = BASE;
    for (int i = 0; i < 1000; i++) {
        places[i] = place;
        kfl__index_note(&segment->offsets, (uint32_t)i, place);
        uint32_t records = count + (i == odd);
        lay_batch(offset, records, 1, -1);
        offset += records;
    }
    return (struct kfl__lookup){.base_offset = BASE, .end_offset = offset, .limit = place};
}

START_TEST(a_batch_is_found_by_its_signpost)
{
    struct kfl__lookup known = lay_batches(3, -1);
    /* The first batch needs none: it stands in front. */
    ck_assert_int_eq(kfl__lookup_offset(segment, &known, 102, &header, &found), KFL_INDEX_USELESS);
    /* Neither does a wrong hope for a stride lead anywhere else. */
    for (known.stride = 0; known.stride < 400; known.stride += 8)
        for (int64_t offset = 103; offset < 3100; offset++) {
            assert_ok(kfl__lookup_offset(segment, &known, offset, &header, &found));
            ck_assert_uint_eq(found, places[(offset - BASE) / 3]);
        }
    /* Of what is not published yet, or not there, nothing is told. */
    known.batch_count = 1000;
    known.limit = places[500];
    for (int64_t offset = 101; offset < 3100; offset += 37) {
        int r = kfl__lookup_offset(segment, &known, offset, &header, &found);
        ck_assert(r == KFL_INDEX_USELESS || found < places[500]);
    }
    /* A signpost that leads nowhere is no harm. */
    known.limit = place;
    for (uint32_t i = 300; i < 700; i++)
        kfl__index_note(&segment->offsets, i, 8 * (i + 1000));
    for (int64_t offset = 101; offset < 3100; offset += 7) {
        int r = kfl__lookup_offset(segment, &known, offset, &header, &found);
        ck_assert(r == KFL_INDEX_USELESS || header.base_offset <= offset);
    }
}
END_TEST

/* With the signposts gone, only the stride can lead there. */
static void forget_signposts(void)
{
    for (uint32_t i = 0; i < 1000; i++)
        kfl__index_note(&segment->offsets, i, 0);
}

START_TEST(batches_of_one_record_and_one_size_need_no_signpost)
{
    struct kfl__lookup known = lay_batches(1, -1);
    assert_ok(kfl__lookup_offset(segment, &known, BASE + 7, &header, &found));
    known.stride = kfl__lookup_stride(BASE, &header, found);
    ck_assert_uint_eq(known.stride, places[1] - places[0]);
    const uint64_t size = header.size;
    forget_signposts();
    for (int64_t offset = BASE + 1; offset < known.end_offset; offset++) {
        assert_ok(kfl__lookup_offset(segment, &known, offset, &header, &found));
        ck_assert_uint_eq(found, places[offset - BASE]);
        ck_assert_int_eq(header.base_offset, offset);
    }
    /* rule:R1 nothing above what counts, and nothing that does not verify */
    known.limit = places[500];
    ck_assert_int_eq(kfl__lookup_offset(segment, &known, BASE + 500, &header, &found),
                     KFL_INDEX_USELESS);
    known.limit = places[500] + size - 1;
    ck_assert_int_eq(kfl__lookup_offset(segment, &known, BASE + 500, &header, &found),
                     KFL_INDEX_USELESS);
    known.limit = place;
    for (uint64_t at = places[500]; at < places[500] + size; at++) {
        segment->writing[at] ^= 4;
        ck_assert_int_eq(kfl__lookup_offset(segment, &known, BASE + 500, &header, &found),
                         KFL_INDEX_USELESS);
        segment->writing[at] ^= 4;
    }
}
END_TEST

START_TEST(a_stride_is_hoped_for_while_all_before_were_alike)
{
    struct kfl__lookup known = lay_batches(1, 500);
    for (int i = 1; i < 1000; i++) {
        int64_t offset = BASE + i + (i > 500);
        assert_ok(kfl__lookup_offset(segment, &known, offset, &header, &found));
        uint64_t stride = kfl__lookup_stride(BASE, &header, found);
        ck_assert_uint_eq(stride, i < 500 ? places[1] - places[0] : 0);
    }
}
END_TEST

START_TEST(what_is_fetched_may_be_anywhere)
{
    struct kfl__lookup known = lay_batches(1, -1);
    static const uint64_t distances[] = {
        0, 1, 999, 1000, 1 << 20, UINT64_MAX / 80, UINT64_MAX - 1, UINT64_MAX};
    for (size_t i = 0; i < sizeof distances / sizeof distances[0]; i++)
        for (uint64_t stride = 0; stride < 200; stride += 8)
            kfl__lookup_fetch(segment, distances[i], stride);
    assert_ok(kfl__lookup_offset(segment, &known, BASE + 1, &header, &found));
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("lookup");
    TCase *offsets = tcase_create("by offset");
    tcase_add_checked_fixture(offsets, set_up_segment, tear_down_segment);
    tcase_add_test(offsets, a_batch_is_found_by_its_signpost);
    tcase_add_test(offsets, batches_of_one_record_and_one_size_need_no_signpost);
    tcase_add_test(offsets, a_stride_is_hoped_for_while_all_before_were_alike);
    tcase_add_test(offsets, what_is_fetched_may_be_anywhere);
    suite_add_tcase(suite, offsets);
    return suite;
}
