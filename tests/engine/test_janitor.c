/* SPDX-License-Identifier: MIT */
/* What the helper does in its rounds, taken by hand. */
#include "engine/janitor.h"
#include "engine/segments.h"
#include "one_partition.h"
#include "suite.h"

static int64_t durable(void)
{
    return atomic_load(&partition->slot->durable_offset);
}

/* rule:R24: what is durable is noted in the catalog, with the file that it ends in. */
START_TEST(the_helper_syncs_what_is_due_and_notes_it)
{
    struct kfl__partition_row row;
    core_append_run(partition, 0, 60, 3000);
    ck_assert_int_eq(durable(), 0);
    atomic_store(&partition->slot->unsynced_since_ns, 1); /* long ago */
    assert_ok(kfl__janitor_run(core, -1));
    ck_assert_int_eq(durable(), 60);
    assert_ok(core_partition_row(partition, &row));
    ck_assert_int_eq(row.durable_offset, 60);
    ck_assert_int_eq(row.durable_segment, atomic_load(&partition->slot->active.id));
    ck_assert_int_eq(row.durable_place, (int64_t)kfl__word_place(atomic_load(&partition->slot->published)));
    /* rule:R8: full files are listed as complete once they are durable. */
    struct kfl__segment_row *rows = NULL;
    int32_t count = 0, sealed = 0;
    assert_ok(kfl__segments_rows(partition, &rows, &count));
    for (int32_t i = 0; i < count; i++)
        sealed += rows[i].state == KFL_SEGMENT_ROW_SEALED;
    kfl__free(rows);
    ck_assert_int_ge(sealed, 1);
}
END_TEST

/* An append that a sync missed by a hair leaves no note of its time: the helper makes one. */
START_TEST(unsynced_bytes_without_a_note_are_found)
{
    core_append_run(partition, 0, 5, 100);
    atomic_store(&partition->slot->unsynced_since_ns, 0);
    assert_ok(kfl__janitor_run(core, -1));
    ck_assert_int_ne(atomic_load(&partition->slot->unsynced_since_ns), 0);
}
END_TEST

START_TEST(a_flush_that_is_never_due_overflows_nothing)
{
    core_abandon(core);
    core = core_open(temp_dir_path(), "flush.ms=9223372036854775807");
    partition = core_partition(core, NULL);
    core_append_run(partition, 0, 5, 100);
    assert_ok(kfl__janitor_run(core, -1));
    ck_assert_int_eq(durable(), 0);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("engine/janitor");
    TCase *all = tcase_create("janitor");
    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_set_timeout(all, 60);
    tcase_add_test(all, the_helper_syncs_what_is_due_and_notes_it);
    tcase_add_test(all, unsynced_bytes_without_a_note_are_found);
    tcase_add_test(all, a_flush_that_is_never_due_overflows_nothing);
    suite_add_tcase(suite, all);
    return suite;
}
