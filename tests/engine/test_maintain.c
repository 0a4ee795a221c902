/* SPDX-License-Identifier: MIT */
/* What is asked for is done at once, whatever others have left. */
#include "engine/maintain.h"

#include <unistd.h>

#include "child.h"
#include "core.h"
#include "suite.h"
#include "temp_dir.h"

static struct kfl__core *core;
static struct kfl__partition *partition;

static void set_up(void)
{
    temp_dir_make();
    core = core_open(temp_dir_path(), NULL);
    partition = core_partition(core, "cleanup.policy=compact");
}

static void tear_down(void)
{
    core_abandon(core);
    temp_dir_remove();
}

static int die_in_a_sync(void *context)
{
    struct kfl__core *own = NULL;
    (void)context;
    if (core_try_open(temp_dir_path(), NULL, &own) < 0)
        return 1;
    struct kfl__partition *other = core_partition(own, NULL);
    for (int64_t number = kfl__slot_end(other->slot), upto = number + 10; number < upto; number++)
        if (core_append(other, number, 100, false) != number)
            return 2;
    if (kfl__robust_lock(&other->slot->sync, KFL_RANK_SYNC, -1) != 0)
        return 3;
    atomic_store(&other->slot->sync_target, kfl__slot_end(other->slot));
    return 0;
}

/* rule:R7: what a dead leader's sync leaves in doubt is copied into a file that would take appends. */
START_TEST(all_that_is_there_is_rolled_though_some_of_it_is_in_doubt)
{
    kfl_progress progress;
    core_append_run(partition, 0, 10, 100);
    ck_assert_int_eq(child_run(die_in_a_sync, NULL), 0);
    assert_ok(kfl__maintain_compact(core, partition->topic->id, KFL_COMPACT_FORCE | KFL_COMPACT_ROLL, -1, &progress));
    int64_t active, base;
    kfl__partition_active(partition, &active, &base);
    ck_assert_int_eq(base, 20);
    ck_assert_int_eq(kfl__slot_end(partition->slot), 20);
}
END_TEST

START_TEST(what_is_empty_is_not_rolled)
{
    kfl_progress progress;
    assert_ok(kfl__maintain_compact(core, partition->topic->id, KFL_COMPACT_FORCE | KFL_COMPACT_ROLL, -1, &progress));
    core_append_run(partition, 0, 10, 100);
    assert_ok(kfl__maintain_compact(core, partition->topic->id, KFL_COMPACT_FORCE | KFL_COMPACT_ROLL, -1, &progress));
    int64_t active = atomic_load(&partition->slot->active.id);
    assert_ok(kfl__maintain_compact(core, partition->topic->id, KFL_COMPACT_FORCE | KFL_COMPACT_ROLL, -1, &progress));
    ck_assert_int_eq(atomic_load(&partition->slot->active.id), active);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("engine/maintain");
    TCase *all = tcase_create("maintain");
    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_set_timeout(all, 60);
    tcase_add_test(all, all_that_is_there_is_rolled_though_some_of_it_is_in_doubt);
    tcase_add_test(all, what_is_empty_is_not_rolled);
    suite_add_tcase(suite, all);
    return suite;
}
