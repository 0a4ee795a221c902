/* SPDX-License-Identifier: MIT */
/* Filling a slot and mending a tail: what stays after deaths and reboots. */
#include <unistd.h>

#include "base/fault.h"
#include "core.h"
#include "engine/janitor.h"
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

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("engine/recover");
    TCase *deaths = tcase_create("deaths");
    tcase_add_checked_fixture(deaths, set_up, tear_down);
    tcase_set_timeout(deaths, 60);
    tcase_add_test(deaths, what_was_durable_in_the_first_file_survives_a_reboot);
    tcase_add_test(deaths, records_not_synced_survive_the_death_of_their_process);
    suite_add_tcase(suite, deaths);
    return suite;
}
