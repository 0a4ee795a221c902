/* SPDX-License-Identifier: MIT */
/* Leaving a store clean. */
#include "base/fault.h"
#include "child.h"
#include "engine/clean.h"
#include "one_partition.h"
#include "suite.h"

static uint32_t flags(void)
{
    struct kfl__partition_row row;
    assert_ok(core_partition_row(partition, &row));
    return row.flags;
}

/* rule:R10: what says that all is durable goes before the next number is given. */
START_TEST(a_clean_note_stands_until_the_first_append)
{
    core_append_run(partition, 0, 40, 3000);
    ck_assert_uint_eq(flags() & KFL_PARTITION_CLEAN, 0);
    assert_ok(core_close(core));
    core = core_open(temp_dir_path(), NULL);
    partition = core_partition(core, NULL);
    ck_assert_uint_ne(flags() & KFL_PARTITION_CLEAN, 0);
    ck_assert_int_eq(core_read(partition, 0, NULL), 40);
    ck_assert_uint_ne(flags() & KFL_PARTITION_CLEAN, 0);
    core_append_run(partition, 40, 41, 3000);
    ck_assert_uint_eq(flags() & KFL_PARTITION_CLEAN, 0);
}
END_TEST

static int close_too(void *context)
{
    struct kfl__core *own = NULL;
    (void)context;
    if (core_try_open(temp_dir_path(), NULL, &own) < 0)
        return 1;
    (void)core_partition(own, NULL);
    return core_close(own) == 0 ? 0 : 2;
}

START_TEST(who_leaves_others_behind_notes_nothing)
{
    core_append_run(partition, 0, 5, 100);
    ck_assert_int_eq(child_run(close_too, NULL), 0);
    ck_assert_uint_eq(flags() & KFL_PARTITION_CLEAN, 0);
    core_append_run(partition, 5, 9, 100);
}
END_TEST

static int append_and_leave(void *context)
{
    struct kfl__core *own = NULL;
    (void)context;
    if (core_try_open(temp_dir_path(), NULL, &own) < 0)
        return 1;
    struct kfl__topic *topic = core_topic(own, "other", 1, NULL);
    struct kfl__partition *other;
    if (kfl__topic_partition(topic, 0, &other) < 0 || core_append(other, 0, 100, false) != 0)
        return 2;
    kill(getpid(), SIGKILL);
    return 3;
}

/* Also what a dead process wrote to a topic that this one never opened. */
START_TEST(the_last_to_leave_brings_down_everything)
{
    ck_assert_int_eq(child_run(append_and_leave, NULL), -SIGKILL);
    assert_ok(core_close(core));
    core_reboot(temp_dir_path());
    core = core_open(temp_dir_path(), NULL);
    struct kfl__topic *topic = core_topic(core, "other", 1, NULL);
    assert_ok(kfl__topic_partition(topic, 0, &partition));
    ck_assert_uint_ne(flags() & KFL_PARTITION_CLEAN, 0);
    ck_assert_int_eq(kfl__slot_end(partition->slot), 1);
    kfl__topic_release(topic);
}
END_TEST

#ifdef KFL_FAULT_POINTS
/* rule:R7 */
START_TEST(a_partition_whose_sync_failed_is_not_noted_clean)
{
    core_append_run(partition, 0, 5, 100);
    assert_ok(kfl__fault_arm("file.sync:1=EIO"));
    ck_assert_int_lt(core_close(core), 0);
    assert_ok(kfl__fault_arm(NULL));
    core = core_open(temp_dir_path(), NULL);
    partition = core_partition(core, NULL);
    ck_assert_uint_eq(flags() & KFL_PARTITION_CLEAN, 0);
    core_append_run(partition, 5, 6, 100);
    ck_assert_int_eq(core_read(partition, 0, NULL), 6);
    assert_ok(core_close(core));
    core = core_open(temp_dir_path(), NULL);
    partition = core_partition(core, NULL);
    ck_assert_uint_ne(flags() & KFL_PARTITION_CLEAN, 0);
}
END_TEST
#endif

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("engine/clean");
    TCase *notes = tcase_create("notes");
    tcase_add_checked_fixture(notes, set_up, tear_down);
    tcase_set_timeout(notes, 60);
    tcase_add_test(notes, a_clean_note_stands_until_the_first_append);
    tcase_add_test(notes, who_leaves_others_behind_notes_nothing);
    tcase_add_test(notes, the_last_to_leave_brings_down_everything);
#ifdef KFL_FAULT_POINTS
    tcase_add_test(notes, a_partition_whose_sync_failed_is_not_noted_clean);
#endif
    suite_add_tcase(suite, notes);
    return suite;
}
