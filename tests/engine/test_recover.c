/* SPDX-License-Identifier: MIT */
/* Filling a slot and mending a tail: what stays after deaths and reboots. */
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "child.h"
#include "core.h"
#include "engine/janitor.h"
#include "engine/segments.h"
#include "engine/sync.h"
#include "suite.h"
#include "temp_dir.h"

static struct kfl__core *core;
static struct kfl__partition *partition;

static void set_up(void)
{
    temp_dir_make();
    core = NULL;
}

static void tear_down(void)
{
#ifdef KFL_FAULT_POINTS
    assert_ok(kfl__fault_arm(NULL));
#endif
    if (core != NULL)
        core_abandon(core);
    temp_dir_remove();
}

static void open_store(const char *properties)
{
    core = core_open(temp_dir_path(), NULL);
    partition = core_partition(core, properties);
}

static void kill_store(void)
{
    core_abandon(core);
    core = NULL;
}

static int64_t end_of(void)
{
    return atomic_load(&partition->slot->end_offset);
}

START_TEST(what_was_durable_in_the_first_file_survives_a_reboot)
{
    open_store(NULL);
    for (int64_t i = 0; i < 10; i++)
        ck_assert_int_eq(core_append(partition, i, 100, true), i);
    assert_ok(kfl__sync_wait(partition, 10, -1));
    assert_ok(kfl__janitor_run(core, -1));
    kill_store();
    core_reboot(temp_dir_path());
    open_store(NULL);
    ck_assert_int_eq(core_read(partition, 0, NULL), 10);
    ck_assert_int_ge(end_of(), 10);
}
END_TEST

START_TEST(records_not_synced_survive_the_death_of_their_process)
{
    open_store(NULL);
    core_append_run(partition, 0, 500, 200);
    kill_store();
    open_store(NULL);
    ck_assert_int_eq(end_of(), 500);
    ck_assert_int_eq(core_read(partition, 0, NULL), 500);
    core_append_run(partition, 500, 1000, 200);
    ck_assert_int_eq(core_read(partition, 0, NULL), 1000);
    assert_ok(core_close(core));
    open_store(NULL);
    ck_assert_int_eq(core_read(partition, 0, NULL), 1000);
}
END_TEST


/* Small files, many of them, none synced: the tail of a dead process may span any number. */
START_TEST(a_tail_of_a_hundred_files_is_taken_over)
{
    open_store("segment.bytes=65536");
    core_append_run(partition, 0, 2500, 3000);
    ck_assert_uint_gt(atomic_load(&partition->slot->rolls), 100);
    kill_store();
    open_store(NULL);
    ck_assert_int_eq(core_append(partition, 2500, 3000, true), 2500);
    ck_assert_int_eq(core_read(partition, 0, NULL), 2501);
}
END_TEST

START_TEST(a_batch_larger_than_any_setting_of_today_is_copied)
{
    open_store(NULL);
    ck_assert_int_eq(core_append(partition, 0, 10, false), 0);
    ck_assert_int_eq(core_append(partition, 1, 5000000, false), 1);
    ck_assert_int_eq(core_append(partition, 2, 10, false), 2);
    kfl_config *changes;
    assert_ok(kfl_config_create(&changes));
    assert_ok(kfl_config_set(changes, "max.message.bytes", "1000"));
    assert_ok(kfl__topics_configure(core, "t", changes));
    kfl_config_destroy(changes);
    kill_store();
    open_store(NULL);
    ck_assert_int_eq(core_append(partition, 3, 10, false), 3);
    ck_assert_int_eq(core_read(partition, 0, NULL), 4);
}
END_TEST

/* Also one whose batches are larger than a file of a copy usually is. */
START_TEST(a_long_tail_is_copied_into_several_files)
{
    struct kfl__segment_row *rows = NULL;
    int32_t count = 0;
    open_store(NULL);
    ck_assert_int_eq(core_append(partition, 0, 70000000, false), 0);
    core_append_run(partition, 1, 81, 2000000);
    ck_assert_int_eq(core_append(partition, 81, 70000000, false), 81);
    core_append_run(partition, 82, 90, 100);
    kill_store();
    open_store(NULL);
    ck_assert_int_eq(core_append(partition, 90, 100, true), 90);
    assert_ok(kfl__segments_rows(partition, &rows, &count));
    ck_assert_int_ge(count, 5);
    for (int32_t i = 0; i < count - 1; i++) {
        ck_assert_uint_eq(rows[i].state, KFL_SEGMENT_ROW_SEALED);
        ck_assert_int_eq(rows[i].end_offset, rows[i + 1].base_offset);
    }
    kfl__free(rows);
    ck_assert_int_eq(core_read(partition, 0, NULL), 91);
    /* Their end marks lead from one to the next: a reboot finds the same. */
    assert_ok(core_close(core));
    core = NULL;
    core_reboot(temp_dir_path());
    open_store(NULL);
    ck_assert_int_eq(core_read(partition, 0, NULL), 91);
}
END_TEST

#ifdef KFL_FAULT_POINTS
/* rule:R23: a disk that is full in the middle leaves nothing of the copies behind. */
START_TEST(a_long_copy_that_fails_leaves_no_file)
{
    struct kfl__segment_row *rows = NULL;
    int32_t count = 0, after = 0;
    open_store(NULL);
    core_append_run(partition, 0, 81, 2000000);
    kill_store();
    core = core_open(temp_dir_path(), NULL);
    assert_ok(kfl__fault_arm("file.reserve:4=ENOSPC"));
    partition = core_partition(core, NULL);
    assert_ok(kfl__segments_rows(partition, &rows, &count));
    kfl__free(rows);
    ck_assert_int_eq(core_append(partition, 81, 100, true), KFL_E_NO_SPACE);
    assert_ok(kfl__fault_arm(NULL));
    assert_ok(kfl__segments_rows(partition, &rows, &after));
    kfl__free(rows);
    ck_assert_int_eq(after, count);
    ck_assert_int_eq(core_append(partition, 81, 100, true), 81);
    ck_assert_int_eq(core_read(partition, 0, NULL), 82);
}
END_TEST
#endif

/* rule:R3 */
START_TEST(the_files_behind_a_replaced_tail_have_rising_ids)
{
    open_store("segment.bytes=65536");
    core_append_run(partition, 0, 18, 3000); /* more than half full: the next file can be prepared */
    assert_ok(kfl__partition_prepare(partition, kfl__topic_shape(partition->topic)->settings, 0, -1));
    int64_t prepared = atomic_load(&partition->slot->next.id);
    ck_assert_int_ne(prepared, 0);
    kill_store();
    open_store(NULL);
    core_append_run(partition, 18, 60, 3000);
    ck_assert_int_gt(atomic_load(&partition->slot->active.id), prepared);
    uint32_t before = (uint32_t)atomic_load(&partition->slot->syncs);
    assert_ok(kfl__sync_wait(partition, 60, -1));
    ck_assert_uint_eq(atomic_load(&partition->slot->syncs), before + 1);
    ck_assert_uint_eq(kfl__word_ordinal(atomic_load(&partition->slot->durable_word)),
                      (uint32_t)atomic_load(&partition->slot->active.id));
    ck_assert_int_eq(core_read(partition, 0, NULL), 60);
}
END_TEST

/* rule:R10 */
START_TEST(after_a_loss_no_number_is_given_twice)
{
    open_store(NULL);
    core_append_run(partition, 0, 100, 100);
    int64_t file = atomic_load(&partition->slot->active.id);
    int64_t floor = atomic_load(&partition->slot->offset_floor);
    const char *path = core_file(partition, file);
    ck_assert_int_gt(floor, 100);
    kill_store();
    core_reboot(temp_dir_path());
    core_spoil(path, KFL_SEGMENT_FIRST_PLACE, 0, 0); /* nothing of it had reached the disk */
    open_store(NULL);
    ck_assert_int_eq(end_of(), floor);
    ck_assert_int_eq(core_append(partition, 7, 100, false), floor);
    ck_assert_int_eq(core_read(partition, 0, NULL), 1);
}
END_TEST

/* rule:R10 */
START_TEST(the_floor_is_in_the_catalog_before_a_number_at_it_is_given)
{
    open_store(NULL);
    int64_t floor = 0;
    for (int64_t i = 0; i < 5000; i++) {
        if (i % 1000 == 0) {
            struct kfl__partition_row row;
            assert_ok(core_partition_row(partition, &row));
            ck_assert_int_ge(row.offset_floor, atomic_load(&partition->slot->offset_floor));
            floor = row.offset_floor;
        }
        ck_assert_int_eq(core_append(partition, i, 0, false), i);
        ck_assert_int_lt(i, atomic_load(&partition->slot->offset_floor));
    }
    ck_assert_int_gt(atomic_load(&partition->slot->offset_floor), 5000);
    ck_assert_int_ge(floor, 4096);
}
END_TEST

/* rule:R10 */
START_TEST(a_clean_close_gives_no_number_away)
{
    open_store(NULL);
    core_append_run(partition, 0, 100, 100);
    assert_ok(core_close(core));
    core = NULL;
    core_reboot(temp_dir_path());
    open_store(NULL);
    ck_assert_int_eq(end_of(), 100);
    core_append_run(partition, 100, 200, 100);
    ck_assert_int_eq(core_read(partition, 0, NULL), 200);
}
END_TEST

static int count_file(const char *name, void *context)
{
    (void)name;
    ++*(int *)context;
    return 0;
}

static int count_files(void)
{
    int directory = -1, count = 0;
    assert_ok(kfl__partition_directory(partition, false, &directory));
    assert_ok(kfl__file_list(directory, count_file, &count));
    close(directory);
    return count;
}

/* rule:R4 */
START_TEST(prepared_files_of_a_former_life_are_not_kept)
{
    open_store("segment.bytes=65536");
    core_append_run(partition, 0, 18, 3000);
    assert_ok(kfl__partition_prepare(partition, kfl__topic_shape(partition->topic)->settings, 0, -1));
    ck_assert_int_eq(count_files(), 6); /* each with two files of signposts */
    assert_ok(core_close(core));
    core = NULL;
    core_reboot(temp_dir_path());
    open_store(NULL);
    ck_assert_int_eq(count_files(), 3);
    core_append_run(partition, 18, 19, 3000);
    kill_store();
    core_reboot(temp_dir_path());
    open_store(NULL);
    ck_assert_int_eq(core_append(partition, 1, 10, true), end_of() - 1);
    assert_ok(core_close(core));
    core = NULL;
    open_store(NULL);
    struct kfl__segment_row *rows = NULL;
    int32_t count = 0;
    assert_ok(kfl__segments_rows(partition, &rows, &count));
    ck_assert_int_eq(count_files(), 3 * count);
    kfl__free(rows);
}
END_TEST

/* rule:R24 */
START_TEST(a_walk_begins_at_the_place_that_was_noted)
{
    open_store(NULL);
    core_append_run(partition, 0, 100, 1000);
    assert_ok(kfl__sync_wait(partition, 100, -1));
    assert_ok(kfl__janitor_run(core, -1));
    struct kfl__partition_row row;
    assert_ok(core_partition_row(partition, &row));
    ck_assert_int_eq(row.durable_offset, 100);
    ck_assert_int_eq(row.durable_segment, atomic_load(&partition->slot->active.id));
    core_append_run(partition, 100, 110, 1000);
    const char *path = core_file(partition, atomic_load(&partition->slot->active.id));
    kill_store();
    core_reboot(temp_dir_path());
    /* What lies below is not walked over: damage in it does not hurt what lies behind. */
    core_spoil(path, KFL_SEGMENT_FIRST_PLACE + 20 * 1072, 1072, 0x5a);
    open_store(NULL);
    int64_t holes = 0;
    ck_assert_int_eq(core_read(partition, 0, &holes), 109);
    ck_assert_int_eq(holes, 1);
}
END_TEST

#ifdef KFL_FAULT_POINTS
/* rule:R7 */
START_TEST(a_failed_sync_is_final_in_its_life_and_mended_in_the_next)
{
    open_store(NULL);
    core_append_run(partition, 0, 10, 100);
    assert_ok(kfl__sync_wait(partition, 10, -1));
    core_append_run(partition, 10, 20, 100);
    int64_t file = atomic_load(&partition->slot->active.id);
    assert_ok(kfl__fault_arm("file.sync:1=EIO"));
    assert_code(kfl__sync_wait(partition, 20, -1), KFL_E_IO);
    assert_ok(kfl__fault_arm(NULL));
    /* The next sync would answer 0. */
    assert_code(kfl__sync_wait(partition, 20, -1), KFL_E_FAILED);
    ck_assert_int_eq(core_append(partition, 20, 100, true), KFL_E_FAILED);
    ck_assert_int_eq(core_append(partition, 20, 100, false), KFL_E_FAILED);
    assert_ok(kfl__janitor_run(core, -1));
    ck_assert_int_eq(atomic_load(&partition->slot->durable_offset), 10);
    ck_assert_int_eq(core_read(partition, 0, NULL), 20);
    ck_assert_int_lt(core_close(core), 0);
    open_store(NULL);
    ck_assert_int_eq(core_append(partition, 20, 100, false), 20);
    assert_ok(kfl__sync_wait(partition, 21, -1));
    ck_assert_int_ne(atomic_load(&partition->slot->active.id), file);
    ck_assert_int_eq(core_read(partition, 0, NULL), 21);
}
END_TEST

/* rule:R7: only a device that refuses a sync leaves doubt. */
START_TEST(a_sync_that_could_not_begin_is_tried_again)
{
    open_store("segment.bytes=65536");
    core_append_run(partition, 0, 60, 3000);
    /* Files of this process are synced by the descriptors it has; make it forget them. */
    kill_store();
    open_store(NULL);
    core_append_run(partition, 60, 120, 3000);
    for (struct kfl__segment *kept = partition->kept; kept != NULL; kept = kept->kept_next)
        kfl__segment_close_descriptor(kept);
    assert_ok(kfl__fault_arm("file.open:*=EMFILE"));
    assert_code(kfl__sync_wait(partition, 120, -1), KFL_E_IO);
    assert_ok(kfl__fault_arm(NULL));
    ck_assert_int_ne(atomic_load(&partition->slot->unsynced_since_ns), 0);
    assert_ok(kfl__sync_wait(partition, 120, -1));
}
END_TEST

/* rule:R23 */
START_TEST(a_full_disk_leaves_reads_and_each_append_tries_again)
{
    open_store(NULL);
    core_append_run(partition, 0, 10, 100);
    assert_ok(kfl__sync_wait(partition, 10, -1));
    assert_ok(kfl__janitor_run(core, -1));
    core_append_run(partition, 10, 20, 100);
    kill_store();
    core_reboot(temp_dir_path());
    core = core_open(temp_dir_path(), NULL);
    assert_ok(kfl__fault_arm("file.reserve:*=ENOSPC"));
    partition = core_partition(core, NULL);
    ck_assert_int_eq(core_read(partition, 0, NULL), 20);
    ck_assert_int_eq(core_append(partition, 20, 100, false), KFL_E_NO_SPACE);
    ck_assert_int_eq(core_append(partition, 20, 100, true), KFL_E_NO_SPACE);
    assert_code(kfl__sync_wait(partition, 20, -1), KFL_E_NO_SPACE);
    assert_ok(kfl__janitor_run(core, -1));
    ck_assert_int_eq(core_read(partition, 0, NULL), 20);
    assert_ok(kfl__fault_arm(NULL));
    int64_t offset = core_append(partition, 20, 100, false);
    ck_assert_int_ge(offset, 20);
    assert_ok(kfl__sync_wait(partition, offset + 1, -1));
    ck_assert_int_eq(core_read(partition, 0, NULL), 21);
}
END_TEST

/* rule:R23 rule:R22 */
START_TEST(a_full_disk_after_a_kill_leaves_reads_too)
{
    open_store("segment.bytes=65536");
    core_append_run(partition, 0, 60, 3000);
    kill_store();
    core = core_open(temp_dir_path(), NULL);
    partition = core_partition(core, NULL);
    assert_ok(kfl__fault_arm("file.reserve:*=ENOSPC"));
    ck_assert_int_eq(core_append(partition, 60, 3000, false), KFL_E_NO_SPACE);
    ck_assert_int_eq(core_read(partition, 0, NULL), 60);
    assert_ok(kfl__fault_arm(NULL));
    core_append_run(partition, 60, 70, 3000);
    ck_assert_int_eq(core_read(partition, 0, NULL), 70);
}
END_TEST

static int die_when_durable(void *context)
{
    (void)context;
    core = core_open(temp_dir_path(), NULL);
    partition = core_partition(core, NULL);
    if (core_append(partition, 0, 100, true) != 0 || kfl__fault_arm("sync.durable=kill") < 0)
        return 1;
    (void)kfl__sync_wait(partition, 1, -1);
    return 2;
}

/* rule:R6 */
START_TEST(a_leader_that_died_behind_its_last_word_leaves_no_doubt)
{
    ck_assert_int_eq(child_run(die_when_durable, NULL), -SIGKILL);
    open_store(NULL);
    int64_t file = atomic_load(&partition->slot->active.id);
    ck_assert_int_ge(atomic_load(&partition->slot->sync_target), 0);
    core_append_run(partition, 1, 10, 100);
    assert_ok(kfl__sync_wait(partition, 10, -1));
    ck_assert_int_eq(atomic_load(&partition->slot->active.id), file);
    ck_assert_int_ge(atomic_load(&partition->slot->active_base_offset), 0);
    ck_assert_int_eq(core_read(partition, 0, NULL), 10);
}
END_TEST

static int die_in_a_sync(void *context)
{
    (void)context;
    core = core_open(temp_dir_path(), NULL);
    partition = core_partition(core, NULL);
    for (int64_t i = 0; i < 10; i++)
        if (core_append(partition, i, 100, false) != i)
            return 1;
    if (kfl__fault_arm("sync.done=kill") < 0)
        return 1;
    (void)kfl__sync_wait(partition, 10, -1);
    return 2;
}

/* rule:R7: an error of the disk may have been told to the dead. */
START_TEST(what_a_dead_leader_was_syncing_is_copied)
{
    ck_assert_int_eq(child_run(die_in_a_sync, NULL), -SIGKILL);
    open_store(NULL);
    int64_t file = atomic_load(&partition->slot->active.id);
    assert_ok(kfl__sync_wait(partition, 10, -1));
    ck_assert_int_gt(atomic_load(&partition->slot->active.id), file);
    ck_assert_int_eq(core_read(partition, 0, NULL), 10);
}
END_TEST
#endif

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("engine/recover");
    TCase *deaths = tcase_create("deaths");
    tcase_add_checked_fixture(deaths, set_up, tear_down);
    tcase_set_timeout(deaths, 60);
    tcase_add_test(deaths, what_was_durable_in_the_first_file_survives_a_reboot);
    tcase_add_test(deaths, records_not_synced_survive_the_death_of_their_process);
    tcase_add_test(deaths, a_tail_of_a_hundred_files_is_taken_over);
    tcase_add_test(deaths, a_long_tail_is_copied_into_several_files);
#ifdef KFL_FAULT_POINTS
    tcase_add_test(deaths, a_long_copy_that_fails_leaves_no_file);
#endif
    tcase_add_test(deaths, a_batch_larger_than_any_setting_of_today_is_copied);
    tcase_add_test(deaths, the_files_behind_a_replaced_tail_have_rising_ids);
    tcase_add_test(deaths, after_a_loss_no_number_is_given_twice);
    tcase_add_test(deaths, the_floor_is_in_the_catalog_before_a_number_at_it_is_given);
    tcase_add_test(deaths, a_clean_close_gives_no_number_away);
    tcase_add_test(deaths, prepared_files_of_a_former_life_are_not_kept);
    tcase_add_test(deaths, a_walk_begins_at_the_place_that_was_noted);
    suite_add_tcase(suite, deaths);
#ifdef KFL_FAULT_POINTS
    TCase *faults = tcase_create("faults");
    tcase_add_checked_fixture(faults, set_up, tear_down);
    tcase_set_timeout(faults, 60);
    tcase_add_test(faults, a_failed_sync_is_final_in_its_life_and_mended_in_the_next);
    tcase_add_test(faults, a_sync_that_could_not_begin_is_tried_again);
    tcase_add_test(faults, a_full_disk_leaves_reads_and_each_append_tries_again);
    tcase_add_test(faults, a_full_disk_after_a_kill_leaves_reads_too);
    tcase_add_test(faults, a_leader_that_died_behind_its_last_word_leaves_no_doubt);
    tcase_add_test(faults, what_a_dead_leader_was_syncing_is_copied);
    suite_add_tcase(suite, faults);
#endif
    return suite;
}
