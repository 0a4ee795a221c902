/* SPDX-License-Identifier: MIT */
/* Group sync, deletion and commits behind it, wake-ups. */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fault.h"
#include "child.h"
#include "core.h"
#include "engine/group.h"
#include "engine/janitor.h"
#include "engine/notify.h"
#include "engine/segments.h"
#include "engine/sync.h"
#include "suite.h"
#include "temp_dir.h"

static struct kfl__core *core;
static struct kfl__partition *partition;

static void set_up(void)
{
    temp_dir_make();
    core = core_open(temp_dir_path(), NULL);
    partition = core_partition(core, "segment.bytes=65536");
}

static void tear_down(void)
{
#ifdef KFL_FAULT_POINTS
    assert_ok(kfl__fault_arm(NULL));
#endif
    core_abandon(core);
    temp_dir_remove();
}

static int64_t durable(void)
{
    return atomic_load(&partition->slot->durable_offset);
}

static void *wait_for_all(void *context)
{
    (void)context;
    return kfl__sync_wait(partition, 8, -1) == 0 ? partition : NULL;
}

static void *wait_in_vain(void *context)
{
    (void)context;
    return kfl__sync_wait(partition, 8, kfl__clock_deadline_ns(10)) == KFL_E_TIMEOUT ? partition : NULL;
}

/* rule:R6 */
START_TEST(those_who_wait_at_the_same_time_share_a_sync)
{
    pthread_t threads[8];
    core_append_run(partition, 0, 8, 100);
    /* Somebody leads: all eight have to wait. */
    ck_assert_int_eq(kfl__robust_lock(&partition->slot->sync, KFL_RANK_SYNC, -1), 0);
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, wait_for_all, NULL), 0);
    while (atomic_load(&partition->slot->durable_waiters) == 0)
        sched_yield();
    ck_assert_int_eq(durable(), 0);
    kfl__robust_unlock(&partition->slot->sync, KFL_RANK_SYNC);
    for (int i = 0; i < 8; i++) {
        void *result;
        pthread_join(threads[i], &result);
        ck_assert_ptr_nonnull(result);
    }
    ck_assert_uint_eq(atomic_load(&partition->slot->syncs), 1);
    ck_assert_int_eq(durable(), 8);
}
END_TEST

START_TEST(a_wait_ends_at_its_deadline)
{
    pthread_t thread;
    void *result;
    core_append_run(partition, 0, 8, 100);
    ck_assert_int_eq(kfl__robust_lock(&partition->slot->sync, KFL_RANK_SYNC, -1), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, wait_in_vain, NULL), 0);
    pthread_join(thread, &result);
    ck_assert_ptr_nonnull(result);
    kfl__robust_unlock(&partition->slot->sync, KFL_RANK_SYNC);
    assert_ok(kfl__sync_wait(partition, 8, kfl__clock_deadline_ns(20000)));
}
END_TEST

static int append_and_die(void *context)
{
    struct kfl__core *own = NULL;
    (void)context;
    if (core_try_open(temp_dir_path(), NULL, &own) < 0)
        return 1;
    struct kfl__partition *other = core_partition(own, NULL);
    for (int64_t number = kfl__slot_end(other->slot), end = number + 60; number < end; number++)
        if (core_append(other, number, 3000, false) != number)
            return 2;
    kill(getpid(), SIGKILL);
    return 3;
}

/* rule:R6 */
START_TEST(bytes_of_a_dead_process_and_of_older_files_are_synced_too)
{
    core_append_run(partition, 0, 5, 3000);
    ck_assert_int_eq(child_run(append_and_die, NULL), -SIGKILL);
    ck_assert_int_eq(kfl__slot_end(partition->slot), 65);
    assert_ok(kfl__sync_wait(partition, 65, -1));
    ck_assert_int_eq(durable(), 65);
    core_append_run(partition, 65, 130, 3000);
    assert_ok(kfl__sync_wait(partition, 130, -1));
    ck_assert_int_eq(core_read(partition, 0, NULL), 130);
}
END_TEST

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

/* rule:R9: what is deleted was durable. */
START_TEST(a_deletion_syncs_what_it_speaks_of_first)
{
    int64_t start = -1;
    core_append_run(partition, 0, 100, 3000);
    assert_ok(kfl__partition_trim(partition, 50, &start));
    ck_assert_int_eq(start, 50);
    ck_assert_int_ge(durable(), 50);
    ck_assert_int_eq(core_read(partition, 50, NULL), 50);
    assert_code(kfl__partition_trim(partition, 101, &start), KFL_E_OFFSET_OUT_OF_RANGE);
    assert_ok(kfl__partition_trim(partition, KFL_OFFSET_END, &start));
    ck_assert_int_eq(start, 100);
    core_append_run(partition, 100, 110, 3000);
    ck_assert_int_eq(core_read(partition, 100, NULL), 10);
}
END_TEST

#ifdef KFL_FAULT_POINTS
/* rule:R8 rule:R9 */
START_TEST(without_a_sync_nothing_is_deleted_and_nothing_committed)
{
    int64_t start = -1;
    core_append_run(partition, 0, 100, 3000);
    assert_ok(kfl__fault_arm("file.sync:*=EIO"));
    ck_assert_int_lt(kfl__partition_trim(partition, 50, &start), 0);
    ck_assert_int_eq(start, -1);
    ck_assert_int_eq(atomic_load(&partition->slot->start_offset), 0);
    struct kfl__group_item item = {.partition = partition, .offset = 50};
    ck_assert_int_lt(kfl__group_commit(core, "g", &item, 1), 0);
    assert_ok(kfl__fault_arm(NULL));
    assert_code(kfl__group_commit(core, "g", &item, 1), KFL_E_FAILED);
    assert_ok(kfl__group_committed(core, "g", &item, 1));
    ck_assert_int_eq(item.offset, -1);
    ck_assert_int_eq(core_read(partition, 0, NULL), 100);
}
END_TEST

/* rule:R6: one refused file of several fails the whole. */
START_TEST(all_files_that_are_not_durable_are_synced)
{
    core_append_run(partition, 0, 60, 3000);
    ck_assert_uint_ge(atomic_load(&partition->slot->rolls), 2);
    assert_ok(kfl__fault_arm("file.sync:2=EIO"));
    assert_code(kfl__sync_wait(partition, 60, -1), KFL_E_IO);
    assert_ok(kfl__fault_arm(NULL));
    ck_assert_int_eq(durable(), 0);
}
END_TEST
#endif

/* rule:R8 */
START_TEST(a_commit_makes_durable_what_it_covers)
{
    core_append_run(partition, 0, 10, 100);
    struct kfl__group_item item = {.partition = partition, .offset = 7, .metadata = "m", .metadata_size = 1};
    assert_ok(kfl__group_commit(core, "g", &item, 1));
    ck_assert_int_ge(durable(), 7);
    item.offset = 11;
    assert_code(kfl__group_commit(core, "g", &item, 1), KFL_E_OFFSET_OUT_OF_RANGE);
    assert_ok(kfl__group_committed(core, "g", &item, 1));
    ck_assert_int_eq(item.offset, 7);
    ck_assert_uint_eq(item.metadata_size, 1);
    kfl__free((void *)(uintptr_t)item.metadata);
}
END_TEST

/* rule:R5 */
START_TEST(an_append_raises_the_word_of_who_sleeps_and_of_nobody_else)
{
    core_append_run(partition, 0, 1, 100);
    _Atomic uint32_t *word = kfl__notify_word(core);
    uint32_t before = atomic_load(word);
    core_append_run(partition, 1, 2, 100);
    ck_assert_uint_eq(atomic_load(word), before);
    kfl__notify_register(core, partition->slot);
    /* A killed sleeper's bit, too. */
    atomic_fetch_or(&partition->slot->sleepers, UINT32_C(1) << 31);
    core_append_run(partition, 2, 3, 100);
    ck_assert_uint_eq(atomic_load(word), before + 1);
    ck_assert_uint_eq(atomic_load(&partition->slot->sleepers), 0);
    core_append_run(partition, 3, 4, 100);
    ck_assert_uint_eq(atomic_load(word), before + 1);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("engine/sync");
    TCase *syncs = tcase_create("syncs");
    tcase_add_checked_fixture(syncs, set_up, tear_down);
    tcase_set_timeout(syncs, 60);
    tcase_add_test(syncs, those_who_wait_at_the_same_time_share_a_sync);
    tcase_add_test(syncs, a_wait_ends_at_its_deadline);
    tcase_add_test(syncs, bytes_of_a_dead_process_and_of_older_files_are_synced_too);
    tcase_add_test(syncs, the_helper_syncs_what_is_due_and_notes_it);
    tcase_add_test(syncs, unsynced_bytes_without_a_note_are_found);
    tcase_add_test(syncs, a_flush_that_is_never_due_overflows_nothing);
    tcase_add_test(syncs, a_deletion_syncs_what_it_speaks_of_first);
#ifdef KFL_FAULT_POINTS
    tcase_add_test(syncs, without_a_sync_nothing_is_deleted_and_nothing_committed);
    tcase_add_test(syncs, all_files_that_are_not_durable_are_synced);
#endif
    tcase_add_test(syncs, a_commit_makes_durable_what_it_covers);
    tcase_add_test(syncs, an_append_raises_the_word_of_who_sleeps_and_of_nobody_else);
    suite_add_tcase(suite, syncs);
    return suite;
}
