/* SPDX-License-Identifier: MIT */
/* Signposts: caches that may be missing, short or wrong. */
#include "log/index.h"

#include "base/file.h"
#include "log_fixture.h"
#include "suite.h"

static struct kfl__index made;

static void set_up(void)
{
    set_up_folder();
    made = (struct kfl__index){0};
    assert_ok(kfl__index_create(directory, "i", 0600, 4096, &made));
}

static void tear_down(void)
{
    kfl__index_close(&made);
    tear_down_segment();
}

START_TEST(a_new_index_has_no_entry)
{
    ck_assert_uint_eq(kfl__index_offsets_capacity(&made), 1024);
    ck_assert_uint_eq(kfl__index_times_capacity(&made), 256);
    ck_assert_uint_eq(kfl__index_count_places(&made), 0);
    ck_assert_uint_eq(kfl__index_count_times(&made), 0);
    ck_assert_uint_eq(kfl__index_place(&made, 0), 0);
}
END_TEST

START_TEST(places_are_read_back_by_others)
{
    struct kfl__index other;
    for (uint32_t n = 0; n < 1024; n++) {
        ck_assert_uint_eq(kfl__index_count_places(&made), n);
        kfl__index_note(&made, n, 512 + 8 * (uint64_t)n);
    }
    assert_ok(kfl__index_open(directory, "i", false, &other));
    ck_assert_uint_eq(kfl__index_count_places(&other), 1024);
    ck_assert_uint_eq(kfl__index_place(&other, 1023), 512 + 8 * 1023);
    kfl__index_close(&other);
    ck_assert_ptr_null(other.bytes);
}
END_TEST

START_TEST(the_largest_place_of_a_segment_fits)
{
    kfl__index_note(&made, 0, UINT64_C(1) << 32);
    ck_assert_uint_eq(kfl__index_place(&made, 0), UINT64_C(1) << 32);
}
END_TEST

START_TEST(a_time_is_found_before_the_first_that_is_late_enough)
{
    struct kfl__time_signpost signpost;
    for (uint32_t n = 0; n < 100; n++)
        kfl__index_note_time(&made, n, (int64_t)(n / 2) * 10, 512 + 8 * (uint64_t)n, 42);
    ck_assert_uint_eq(kfl__index_count_times(&made), 100);
    ck_assert(!kfl__index_find_time(&made, 100, 0, 42, &signpost));
    for (int64_t time = 1; time < 600; time++) {
        ck_assert(kfl__index_find_time(&made, 100, time, 42, &signpost));
        ck_assert_int_lt(signpost.max_timestamp_ms, time);
        int64_t last = (time - 1) / 10 < 49 ? (time - 1) / 10 : 49;
        ck_assert_uint_eq(signpost.place_eighth, 64 + (uint32_t)last * 2 + 1);
    }
    ck_assert(!kfl__index_find_time(&made, 0, 100, 42, &signpost));
}
END_TEST

START_TEST(a_damaged_signpost_of_time_misleads_nobody)
{
    struct kfl__time_signpost signpost;
    kfl__index_note_time(&made, 0, 10, 512, 42);
    ck_assert(kfl__index_find_time(&made, 1, 11, 42, &signpost));
    ck_assert(kfl__index_time_holds(&signpost, 42));
    ck_assert(!kfl__index_find_time(&made, 1, 11, 43, &signpost)); /* of another segment */
    for (size_t at = 0; at < sizeof signpost; at++) {
        made.bytes[at] ^= 0x40;
        if (kfl__index_find_time(&made, 1, 11, 42, &signpost))
            ck_abort_msg("byte %d", (int)at);
        made.bytes[at] ^= 0x40;
    }
}
END_TEST

START_TEST(an_odd_or_empty_file_is_no_index)
{
    static const int sizes[] = {0, 3, 15, 4095};
    struct kfl__index other = {0};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        ck_assert_int_eq(truncate(temp_dir_file("i"), sizes[i]), 0);
        ck_assert_int_eq(kfl__index_open(directory, "i", false, &other), KFL_FILE_MISSING);
    }
    ck_assert_int_eq(unlink(temp_dir_file("i")), 0);
    ck_assert_int_eq(kfl__index_open(directory, "i", false, &other), KFL_FILE_MISSING);
    ck_assert_int_eq(symlink("/dev/zero", temp_dir_file("i")), 0);
    ck_assert_int_eq(kfl__index_open(directory, "i", false, &other), KFL_FILE_MISSING);
}
END_TEST

START_TEST(a_leftover_of_the_name_makes_way)
{
    struct kfl__index other = {0};
    kfl__index_note(&made, 0, 512);
    assert_ok(kfl__index_create(directory, "i", 0600, 8192, &other));
    ck_assert_uint_eq(kfl__index_count_places(&other), 0);
    ck_assert_uint_eq(kfl__index_count_places(&made), 1);
    kfl__index_close(&other);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("log/index");
    TCase *index = tcase_create("index");
    tcase_add_checked_fixture(index, set_up, tear_down);
    tcase_add_test(index, a_new_index_has_no_entry);
    tcase_add_test(index, places_are_read_back_by_others);
    tcase_add_test(index, the_largest_place_of_a_segment_fits);
    tcase_add_test(index, a_time_is_found_before_the_first_that_is_late_enough);
    tcase_add_test(index, a_damaged_signpost_of_time_misleads_nobody);
    tcase_add_test(index, an_odd_or_empty_file_is_no_index);
    tcase_add_test(index, a_leftover_of_the_name_makes_way);
    suite_add_tcase(suite, index);
    return suite;
}
