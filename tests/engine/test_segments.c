/* SPDX-License-Identifier: MIT */
/* Making files: what stays when it fails at any point, and what a list is built from. */
#include <stdio.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/memory.h"
#include "engine/segments.h"
#include "one_partition.h"
#include "suite.h"

static const struct kfl__settings *settings(void)
{
    return kfl__topic_shape(partition->topic)->settings;
}

static int32_t count_rows(uint32_t state)
{
    struct kfl__segment_row *rows = NULL;
    int32_t count = 0, found = 0;
    assert_ok(kfl__segments_rows(partition, &rows, &count));
    for (int32_t i = 0; i < count; i++)
        found += rows[i].state == state;
    kfl__free(rows);
    return found;
}

START_TEST(a_prepared_file_is_made_once)
{
    core_append_run(partition, 0, 18, 3000);
    assert_ok(kfl__partition_prepare(partition, settings(), 0, -1));
    int64_t next = atomic_load(&partition->slot->next.id);
    ck_assert_int_gt(next, atomic_load(&partition->slot->active.id));
    assert_ok(kfl__partition_prepare(partition, settings(), 0, -1));
    ck_assert_int_eq(atomic_load(&partition->slot->next.id), next);
    ck_assert_int_eq(count_rows(KFL_SEGMENT_ROW_READY), 1);
}
END_TEST

START_TEST(one_that_is_too_small_is_replaced)
{
    core_append_run(partition, 0, 18, 3000);
    assert_ok(kfl__partition_prepare(partition, settings(), 0, -1));
    int64_t next = atomic_load(&partition->slot->next.id);
    assert_ok(kfl__partition_prepare(partition, settings(), 1 << 20, -1));
    ck_assert_int_gt(atomic_load(&partition->slot->next.id), next);
    ck_assert_int_ne(access(core_file(partition, next), F_OK), 0);
    ck_assert_int_eq(count_rows(KFL_SEGMENT_ROW_READY), 1);
    ck_assert_int_eq(core_append(partition, 18, 1 << 19, false), 18);
    ck_assert_int_eq(core_read(partition, 0, NULL), 19);
}
END_TEST

START_TEST(a_batch_larger_than_a_segment_can_be_is_refused)
{
    assert_code(kfl__partition_prepare(partition, settings(), UINT64_C(1) << 32, -1), KFL_E_MESSAGE_TOO_LARGE);
}
END_TEST

START_TEST(a_list_is_built_anew_when_the_manifest_is_another)
{
    struct kfl__view *first = NULL, *second = NULL, *third = NULL;
    core_append_run(partition, 0, 5, 3000);
    assert_ok(kfl__partition_view(partition, &first));
    assert_ok(kfl__partition_view(partition, &second));
    ck_assert_ptr_eq(first, second);
    core_append_run(partition, 5, 40, 3000);
    assert_ok(kfl__partition_view(partition, &third));
    ck_assert_ptr_ne(first, third);
    ck_assert_int_eq(first->entry_count, 1);
    ck_assert_int_eq(third->entry_count, 2);
    kfl__view_release(first);
    kfl__view_release(second);
    kfl__view_release(third);
}
END_TEST

#ifdef KFL_FAULT_POINTS
static int count_entry(const char *name, void *context)
{
    (void)name;
    ++*(int *)context;
    return 0;
}

/* rule:R4: whatever fails, no file is left that no row lists, and no row that is not finished. */
START_TEST(a_file_that_cannot_be_made_is_not_listed)
{
    static const char *const points[] = {"file.reserve", "file.write_at", "file.sync", "file.sync_directory", "map.open",
                                         "memory.alloc", "file.has_name"};
    char fault[64];
    core_append_run(partition, 0, 18, 3000);
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        snprintf(fault, sizeof fault, "%s:*=ENOSPC", points[i]);
        assert_ok(kfl__fault_arm(fault));
        ck_assert_int_lt(kfl__partition_prepare(partition, settings(), 0, -1), 0);
        assert_ok(kfl__fault_arm(NULL));
        ck_assert_int_eq(atomic_load(&partition->slot->next.id), 0);
        ck_assert_int_eq(count_rows(KFL_SEGMENT_ROW_READY), 1); /* the active one, as it began */
        int directory = -1, files = 0;
        assert_ok(kfl__partition_directory(partition, false, &directory));
        assert_ok(kfl__file_list(directory, count_entry, &files));
        close(directory);
        ck_assert_int_eq(files, 3);
    }
    core_append_run(partition, 18, 60, 3000);
    ck_assert_int_eq(core_read(partition, 0, NULL), 60);
}
END_TEST

/* rule:R27: what was prepared before stays in use when its successor cannot be listed. */
START_TEST(a_withdrawn_file_comes_back)
{
    core_append_run(partition, 0, 18, 3000);
    assert_ok(kfl__partition_prepare(partition, settings(), 0, -1));
    int64_t next = atomic_load(&partition->slot->next.id);
    /* The first transaction lists a file as being made, the second as ready. */
    assert_ok(kfl__fault_arm("catalog.commit:2=ENOSPC"));
    assert_code(kfl__partition_prepare(partition, settings(), 1 << 20, -1), KFL_E_NO_SPACE);
    assert_ok(kfl__fault_arm(NULL));
    ck_assert_int_eq(atomic_load(&partition->slot->next.id), next);
    ck_assert_int_eq(access(core_file(partition, next), F_OK), 0);
    core_append_run(partition, 18, 60, 3000);
    ck_assert_int_eq(core_read(partition, 0, NULL), 60);
}
END_TEST
#endif

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("engine/segments");
    TCase *files = tcase_create("files");
    tcase_add_checked_fixture(files, set_up, tear_down);
    tcase_set_timeout(files, 60);
    tcase_add_test(files, a_prepared_file_is_made_once);
    tcase_add_test(files, one_that_is_too_small_is_replaced);
    tcase_add_test(files, a_batch_larger_than_a_segment_can_be_is_refused);
    tcase_add_test(files, a_list_is_built_anew_when_the_manifest_is_another);
#ifdef KFL_FAULT_POINTS
    tcase_add_test(files, a_file_that_cannot_be_made_is_not_listed);
    tcase_add_test(files, a_withdrawn_file_comes_back);
#endif
    suite_add_tcase(suite, files);
    return suite;
}
