/* SPDX-License-Identifier: MIT */
/* What compaction reads before it is durable, and what has to be before it replaces anything. */
#include "engine/compact_inputs.h"

#include <unistd.h>

#include "base/fault.h"
#include "base/memory.h"
#include "core.h"
#include "engine/segments.h"
#include "engine/sync.h"
#include "log/view.h"
#include "suite.h"
#include "temp_dir.h"

#define MOST 40

static struct kfl__core *core;
static struct kfl__partition *partition;
static struct kfl__compact_rows rows;
static struct kfl__sieve_input inputs[MOST];

static void set_up(void)
{
    temp_dir_make_on_disk();
    core = core_open(temp_dir_path(), NULL);
    partition = core_partition(core, "segment.bytes=65536");
}

static void tear_down(void)
{
#ifdef KFL_FAULT_POINTS
    assert_ok(kfl__fault_arm(NULL));
#endif
    kfl__free(rows.rows);
    core_abandon(core);
    temp_dir_remove();
}

/* A dozen full files and one that takes appends; the rows as compaction sees them. How many are full. */
static int32_t given_rows(bool may_be_ahead)
{
    core_append_run(partition, 0, 250, 3000);
    assert_ok(kfl__compact_rows(partition, may_be_ahead, &rows));
    int32_t full = rows.count - 1;
    ck_assert_int_gt(full, KFL_SLOT_ROLLED * 2);
    ck_assert_int_lt(full, MOST);
    for (int32_t i = 0; i < full; i++)
        inputs[i] = (struct kfl__sieve_input){.row = rows.rows[i]};
    return full;
}

static int32_t sealed_in_catalog(void)
{
    struct kfl__segment_row *all;
    int32_t count, sealed = 0;
    assert_ok(kfl__segments_rows(partition, &all, &count));
    for (int32_t i = 0; i < count; i++)
        sealed += all[i].state == KFL_SEGMENT_ROW_SEALED;
    kfl__free(all);
    return sealed;
}

/* The slot has room for four; nobody walks the others. */
START_TEST(whoever_left_many_files_remembers_them_all)
{
    struct kfl__segment_row *all;
    int64_t active, end = 0;
    int32_t count;
    core_append_run(partition, 0, 250, 3000);
    ck_assert_uint_gt(atomic_load(&partition->slot->rolls), KFL_SLOT_ROLLED * 2);
    assert_ok(kfl__segments_in_order(partition, &all, &count, &active));
    for (int32_t i = 0; i < count; i++) {
        if (all[i].segment_id == active)
            continue;
        ck_assert_int_eq(kfl__partition_remember(partition, &all[i]), 1);
        ck_assert_int_eq(all[i].base_offset, end);
        ck_assert_int_eq(all[i].record_count, all[i].end_offset - end);
        ck_assert_int_eq(all[i].max_timestamp_ms, 1000000 + all[i].end_offset - 1);
        end = all[i].end_offset;
    }
    ck_assert_int_gt(end, 200);
    kfl__free(all);
}
END_TEST

/* They are what a walk finds, and so they are after the sync and at the next look. */
START_TEST(what_is_remembered_is_what_a_walk_finds)
{
    int32_t full = given_rows(true);
    assert_ok(kfl__sync_wait(partition, 250, -1));
    core_abandon(core);
    core = core_open(temp_dir_path(), NULL);
    partition = core_partition(core, NULL);
    assert_ok(kfl__partition_recovered(partition));
    struct kfl__compact_rows walked;
    assert_ok(kfl__compact_rows(partition, false, &walked));
    ck_assert_int_ge(walked.count, full);
    for (int32_t i = 0; i < full; i++) {
        ck_assert_int_eq(walked.rows[i].segment_id, rows.rows[i].segment_id);
        ck_assert_int_eq(walked.rows[i].used, rows.rows[i].used);
        ck_assert_int_eq(walked.rows[i].end_offset, rows.rows[i].end_offset);
        ck_assert_int_eq(walked.rows[i].first_timestamp_ms, rows.rows[i].first_timestamp_ms);
        ck_assert_int_eq(walked.rows[i].max_timestamp_ms, rows.rows[i].max_timestamp_ms);
        ck_assert_int_eq(walked.rows[i].record_count, rows.rows[i].record_count);
    }
    kfl__free(walked.rows);
}
END_TEST

/* rule:R9 */
START_TEST(what_is_full_is_read_ahead_and_durable_before_anything_goes)
{
    bool lost = true;
    int32_t full = given_rows(true);
    ck_assert(rows.ahead);
    ck_assert_int_eq(atomic_load(&partition->slot->durable_offset), 0);
    ck_assert_int_eq(sealed_in_catalog(), 0);
    for (int32_t i = 0; i < full; i++)
        ck_assert_int_eq(rows.rows[i].state, KFL_SEGMENT_ROW_SEALED);
    ck_assert_int_ne(rows.rows[full].state, KFL_SEGMENT_ROW_SEALED);
    assert_ok(kfl__compact_inputs_settle(partition, inputs, full, &lost));
    ck_assert(!lost);
    ck_assert_int_ge(atomic_load(&partition->slot->durable_offset), rows.rows[full].base_offset);
    ck_assert_int_eq(sealed_in_catalog(), full);
}
END_TEST

/* Nobody has to walk what a process left behind that went in peace. */
START_TEST(a_close_completes_the_rows_of_what_was_left)
{
    core_append_run(partition, 0, 250, 3000);
    int32_t rolls = (int32_t)atomic_load(&partition->slot->rolls);
    ck_assert_int_eq(sealed_in_catalog(), 0);
    assert_ok(core_close(core));
    core = core_open(temp_dir_path(), NULL);
    partition = core_partition(core, NULL);
    ck_assert_int_gt(rolls, KFL_SLOT_ROLLED * 2);
    ck_assert_int_eq(sealed_in_catalog(), rolls - 1); /* the first was into the first file */
}
END_TEST

/* rule:R27 A reader who comes later would wait for the file system. */
START_TEST(who_throws_files_away_has_closed_them_for_the_readers)
{
    struct kfl__segment *segment;
    struct kfl__view *view;
    int64_t start;
    core_append_run(partition, 0, 250, 3000);
    assert_ok(kfl__partition_complete_rows(partition));
    assert_ok(kfl__partition_view(partition, &view));
    for (int32_t i = 0; i < view->entry_count; i++) {
        assert_ok(kfl__partition_segment(partition, view, i, &segment));
        kfl__segment_release(segment);
    }
    int32_t before = kfl__segment_count_reading();
    ck_assert_int_gt(before, 6);
    assert_ok(kfl__partition_trim(partition, view->entries[4].base_offset, &start));
    ck_assert_int_eq(kfl__segment_count_reading(), before - 4);
    kfl__view_release(view);
}
END_TEST

/* rule:R9 */
START_TEST(who_does_not_settle_waits_at_once)
{
    int32_t full = given_rows(false);
    ck_assert(!rows.ahead);
    ck_assert_int_ge(atomic_load(&partition->slot->durable_offset), rows.rows[full].base_offset);
    ck_assert_int_eq(sealed_in_catalog(), full);
}
END_TEST

START_TEST(durable_files_are_not_ahead)
{
    core_append_run(partition, 0, 250, 3000);
    assert_ok(kfl__sync_wait(partition, 250, -1));
    assert_ok(kfl__compact_rows(partition, true, &rows));
    ck_assert(!rows.ahead);
    ck_assert_int_eq(sealed_in_catalog(), rows.count - 1);
}
END_TEST

START_TEST(files_that_went_meanwhile_are_lost)
{
    bool lost = false;
    int64_t start;
    int32_t full = given_rows(true);
    assert_ok(kfl__partition_trim(partition, inputs[2].row.base_offset, &start));
    assert_ok(kfl__compact_inputs_settle(partition, inputs, full, &lost));
    ck_assert(lost);
    assert_ok(kfl__compact_inputs_settle(partition, inputs + 2, full - 2, &lost));
    ck_assert(!lost);
}
END_TEST

#ifdef KFL_FAULT_POINTS
/* rule:R7 rule:R9 */
START_TEST(a_sync_that_fails_ends_it)
{
    bool lost = false;
    int32_t full = given_rows(true);
    assert_ok(kfl__fault_arm("file.sync:*=EIO"));
    assert_code(kfl__compact_inputs_settle(partition, inputs, full, &lost), KFL_E_IO);
    assert_ok(kfl__fault_arm(NULL));
    ck_assert_int_eq(sealed_in_catalog(), 0);
    assert_code(kfl__compact_inputs_settle(partition, inputs, full, &lost), KFL_E_FAILED);
}
END_TEST
#endif

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("engine/compact_inputs");
    TCase *all = tcase_create("inputs");
    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_test(all, whoever_left_many_files_remembers_them_all);
    tcase_add_test(all, what_is_remembered_is_what_a_walk_finds);
    tcase_add_test(all, what_is_full_is_read_ahead_and_durable_before_anything_goes);
    tcase_add_test(all, a_close_completes_the_rows_of_what_was_left);
    tcase_add_test(all, who_throws_files_away_has_closed_them_for_the_readers);
    tcase_add_test(all, who_does_not_settle_waits_at_once);
    tcase_add_test(all, durable_files_are_not_ahead);
    tcase_add_test(all, files_that_went_meanwhile_are_lost);
#ifdef KFL_FAULT_POINTS
    tcase_add_test(all, a_sync_that_fails_ends_it);
#endif
    suite_add_tcase(suite, all);
    return suite;
}
