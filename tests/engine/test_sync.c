/* SPDX-License-Identifier: MIT */
/* Group sync: one leads, all who wait are served, whoever wrote the bytes. */
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "child.h"
#include "core.h"
#include "engine/sync.h"
#include "suite.h"
#include "temp_dir.h"

static struct kfl__core *core;
static struct kfl__partition *partition;

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

/* Is told who leads. */
static void *wait_in_vain(void *context)
{
    char leader[64];
    (void)context;
    snprintf(leader, sizeof leader, "is being synced by pid %d (", (int)getpid());
    return kfl__sync_wait(partition, 8, kfl__clock_deadline_ns(10)) == KFL_E_TIMEOUT &&
                   strstr(kfl_last_error(), leader) != NULL
               ? partition
               : NULL;
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

static void *wait_until(void *context)
{
    return kfl__sync_wait(partition, *(const int64_t *)context, -1) == 0 ? partition : NULL;
}

/* rule:R6 A round wakes those whom it serves; one that has not said how far it goes may serve anybody. */
START_TEST(each_waits_for_the_round_that_will_serve_it)
{
    struct kfl__slot *slot = partition->slot;
    for (int64_t i = 0, end = 8; i < 3; i++, end += 8) {
        pthread_t thread;
        void *result;
        core_append_run(partition, end - 8, end, 100);
        ck_assert_int_eq(kfl__robust_lock(&slot->sync, KFL_RANK_SYNC, -1), 0);
        uint32_t now = UINT32_C(1) << atomic_load(&slot->durable_seq) % 32, next = now << 1;
        atomic_store(&slot->durable_waiters, 0);
        atomic_store(&slot->sync_target, i == 0 ? end : i == 1 ? end - 1 : -1);
        ck_assert_int_eq(pthread_create(&thread, NULL, wait_until, &end), 0);
        while (atomic_load(&slot->durable_waiters) == 0)
            sched_yield();
        ck_assert_uint_eq(atomic_load(&slot->durable_waiters), i == 0   ? now
                                                               : i == 1 ? next
                                                                        : now | next);
        atomic_store(&slot->sync_target, -1);
        kfl__robust_unlock(&slot->sync, KFL_RANK_SYNC);
        pthread_join(thread, &result);
        ck_assert_ptr_nonnull(result);
        ck_assert_int_eq(durable(), end);
    }
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

#ifdef KFL_FAULT_POINTS
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

/* rule:R7: the mark outlives the state file, and no file of the failed sync is built on. */
START_TEST(a_failed_sync_is_known_after_a_reboot)
{
    struct kfl__partition_row row;
    core_append_run(partition, 0, 10, 3000);
    assert_ok(kfl__sync_wait(partition, 10, -1));
    assert_ok(core_note_durable(partition));
    uint64_t place = kfl__word_place(atomic_load(&partition->slot->published));
    core_append_run(partition, 10, 12, 3000);
    assert_ok(kfl__fault_arm("file.sync:*=EIO"));
    assert_code(kfl__sync_wait(partition, 12, -1), KFL_E_IO);
    assert_ok(kfl__fault_arm(NULL));
    assert_ok(core_partition_row(partition, &row));
    ck_assert_uint_ne(row.flags & KFL_PARTITION_FAILED, 0);
    /* The disk has lost what the sync did not bring down; nothing else tells of it. */
    core_spoil(core_file(partition, atomic_load(&partition->slot->active.id)), place, 0, 0);
    int64_t file = atomic_load(&partition->slot->active.id);
    core_abandon(core);
    core_reboot(temp_dir_path());
    core = core_open(temp_dir_path(), NULL);
    partition = core_partition(core, NULL);
    int64_t first = kfl__slot_end(partition->slot);
    ck_assert_int_ge(first, 12);
    ck_assert_int_eq(core_append(partition, first, 100, true), first);
    ck_assert_int_ne(atomic_load(&partition->slot->active.id), file);
    assert_ok(core_partition_row(partition, &row));
    ck_assert_uint_eq(row.flags & KFL_PARTITION_FAILED, 0);
    ck_assert_int_eq(core_read(partition, 0, NULL), 11);
}
END_TEST
#endif

/*
 * Compaction and retention want full files: the one that takes appends, whose producer would feel it, is left alone, and the
 * helper comes for it when it would have come anyhow.
 */
START_TEST(a_sync_of_full_files_leaves_the_file_alone_that_takes_appends)
{
    struct kfl__slot *slot = partition->slot;
    int64_t active, base, n = 0, offset;
    uint64_t word;
    do {
        ck_assert_int_eq(core_append(partition, n, 3000, false), n);
        n++;
        kfl__partition_active(partition, &active, &base);
    } while (base == 0 || n < base + 3);
    int64_t since = atomic_load(&slot->unsynced_since_ns);
    ck_assert_int_ne(since, 0);
    assert_ok(kfl__sync_full_files(partition, -1));
    ck_assert_int_eq(durable(), base);
    kfl__slot_durable(slot, &word, &offset);
    ck_assert_int_eq(offset, base);
    ck_assert_uint_eq(word, kfl__word(active, KFL_SEGMENT_FIRST_PLACE));
    ck_assert_int_eq(atomic_load(&slot->unsynced_since_ns), since);
    ck_assert_int_eq(atomic_load(&slot->sync_target), -1);
    /* What is noted of it holds after a power cut: nothing below is missed, and what lies behind is walked. */
    assert_ok(core_note_durable(partition));
    core_abandon(core);
    core_reboot(temp_dir_path());
    core = core_open(temp_dir_path(), NULL);
    partition = core_partition(core, NULL);
    ck_assert_int_eq(core_read(partition, 0, NULL), n);
    ck_assert_int_ge(core_append(partition, kfl__slot_end(partition->slot), 100, true), n);
}
END_TEST

/* The rest follows for who waits for it, by the same file and no other. */
START_TEST(behind_a_sync_of_full_files_the_rest_is_synced)
{
    int64_t active, base;
    core_append_run(partition, 0, 60, 3000);
    kfl__partition_active(partition, &active, &base);
    ck_assert_int_gt(base, 0);
    ck_assert_int_lt(base, 60);
    assert_ok(kfl__sync_full_files(partition, -1));
    ck_assert_int_eq(durable(), base);
    assert_ok(kfl__sync_wait(partition, base + 1, -1));
    ck_assert_int_eq(durable(), 60);
    ck_assert_uint_eq(atomic_load(&partition->slot->durable_word),
                      atomic_load(&partition->slot->published));
}
END_TEST

/* A commit of an early offset has to make all durable that was there: who reads on from it counts on more than that. */
START_TEST(who_waits_for_an_early_offset_has_all_synced)
{
    int64_t active, base;
    core_append_run(partition, 0, 60, 3000);
    kfl__partition_active(partition, &active, &base);
    ck_assert_int_gt(base, 1);
    assert_ok(kfl__sync_wait(partition, 1, -1));
    ck_assert_int_eq(durable(), 60);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("engine/sync");
    TCase *syncs = tcase_create("syncs");
    tcase_add_checked_fixture(syncs, set_up, tear_down);
    tcase_set_timeout(syncs, 60);
    tcase_add_test(syncs, those_who_wait_at_the_same_time_share_a_sync);
    tcase_add_test(syncs, each_waits_for_the_round_that_will_serve_it);
    tcase_add_test(syncs, a_wait_ends_at_its_deadline);
    tcase_add_test(syncs, bytes_of_a_dead_process_and_of_older_files_are_synced_too);
    tcase_add_test(syncs, a_sync_of_full_files_leaves_the_file_alone_that_takes_appends);
    tcase_add_test(syncs, behind_a_sync_of_full_files_the_rest_is_synced);
    tcase_add_test(syncs, who_waits_for_an_early_offset_has_all_synced);
#ifdef KFL_FAULT_POINTS
    tcase_add_test(syncs, all_files_that_are_not_durable_are_synced);
    tcase_add_test(syncs, a_failed_sync_is_known_after_a_reboot);
#endif
    suite_add_tcase(suite, syncs);
    return suite;
}
