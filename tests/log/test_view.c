/* SPDX-License-Identifier: MIT */
/* Views: finding by offset, handing over what is open, giving back what is not used. */
#include "log/view.h"

#include "log_fixture.h"
#include "suite.h"

static struct kfl__view *view;

static void set_up(void)
{
    set_up_segment();
    assert_ok(kfl__view_create(4, &view));
    for (int32_t i = 0; i < 4; i++) {
        view->entries[i].segment_id = 5 + i;
        view->entries[i].base_offset = 10 * (i + 1);
    }
}

static void tear_down(void)
{
    kfl__view_release(view);
    tear_down_segment();
}

static struct kfl__segment *share(void)
{
    kfl__segment_acquire(segment);
    return segment;
}

START_TEST(an_offset_lies_in_the_last_entry_that_begins_at_or_below_it)
{
    static const struct {
        int64_t offset;
        int32_t entry;
    } rows[] = {{0, 0}, {9, 0}, {10, 0}, {19, 0}, {20, 1}, {39, 2}, {40, 3}, {INT64_MAX, 3}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        ck_assert_int_eq(kfl__view_find(view, rows[i].offset), rows[i].entry);
    ck_assert_int_eq(kfl__view_find_segment(view, 8), 3);
    ck_assert_int_eq(kfl__view_find_segment(view, 9), -1);
    struct kfl__view *empty = NULL;
    assert_ok(kfl__view_create(0, &empty));
    ck_assert_int_eq(kfl__view_find(empty, 0), -1);
    kfl__view_release(empty);
    kfl__view_release(NULL);
}
END_TEST

START_TEST(an_offset_is_found_in_a_list_of_any_length)
{
    for (int32_t count = 1; count <= 40; count++) {
        struct kfl__view *list = NULL;
        assert_ok(kfl__view_create(count, &list));
        for (int32_t i = 0; i < count; i++)
            list->entries[i].base_offset = 3 * i;
        for (int32_t offset = 0; offset < 3 * count + 5; offset++)
            ck_assert_int_eq(kfl__view_find(list, offset), offset / 3 < count ? offset / 3 : count - 1);
        ck_assert_int_eq(kfl__view_find(list, -1), 0);
        kfl__view_release(list);
    }
}
END_TEST

START_TEST(the_first_who_opened_a_file_is_kept)
{
    ck_assert_ptr_eq(kfl__view_keep(view, 0, share()), segment);
    ck_assert_ptr_eq(kfl__view_keep(view, 0, share()), segment);
    ck_assert_int_eq(atomic_load(&segment->count.shares), 2);
}
END_TEST

START_TEST(a_new_list_takes_over_what_the_old_one_has_open)
{
    struct kfl__view *newer = NULL;
    assert_ok(kfl__view_create(2, &newer));
    newer->entries[0].segment_id = 77; /* another file in the place of what was there */
    newer->entries[0].base_offset = 7;
    newer->entries[1].segment_id = 5;
    newer->entries[1].base_offset = 10;
    (void)kfl__view_keep(view, 0, share());
    view->entries[0].used = 3;
    kfl__view_inherit(newer, view);
    ck_assert_ptr_null(view->entries[0].segment);
    ck_assert_ptr_null(newer->entries[0].segment);
    ck_assert_ptr_eq(newer->entries[1].segment, segment);
    ck_assert_uint_eq(newer->entries[1].used, 3);
    ck_assert_int_eq(atomic_load(&segment->count.shares), 2);
    kfl__view_release(newer);
    ck_assert_int_eq(atomic_load(&segment->count.shares), 1);
}
END_TEST

START_TEST(what_is_in_use_is_not_given_back)
{
    struct kfl__segment *unused[4];
    int32_t entry = 0;
    (void)kfl__view_keep(view, 0, share());
    view->entries[0].used = 7;
    ck_assert_int_eq(kfl__view_take_unused(view, UINT64_MAX, &entry, 4, unused), 0);
    ck_assert_int_eq(entry, 4);
    kfl__segment_release(segment); /* ours: now the view alone has a share */
    entry = 0;
    ck_assert_int_eq(kfl__view_take_unused(view, 7, &entry, 4, unused), 0);
    entry = 0;
    ck_assert_int_eq(kfl__view_take_unused(view, 8, &entry, 0, unused), 0);
    ck_assert_int_eq(kfl__view_take_unused(view, 8, &entry, 4, unused), 1);
    ck_assert_ptr_eq(unused[0], segment);
    ck_assert_ptr_null(view->entries[0].segment);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("log/view");
    TCase *views = tcase_create("views");
    tcase_add_checked_fixture(views, set_up, tear_down);
    tcase_add_test(views, an_offset_lies_in_the_last_entry_that_begins_at_or_below_it);
    tcase_add_test(views, an_offset_is_found_in_a_list_of_any_length);
    tcase_add_test(views, the_first_who_opened_a_file_is_kept);
    tcase_add_test(views, a_new_list_takes_over_what_the_old_one_has_open);
    tcase_add_test(views, what_is_in_use_is_not_given_back);
    suite_add_tcase(suite, views);
    return suite;
}
