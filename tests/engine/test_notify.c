/* SPDX-License-Identifier: MIT */
/* Who sleeps is woken, and nobody else. */
#include "base/fault.h"
#include "core.h"
#include "engine/notify.h"
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

/* rule:R5: bits at many slots, and one who sleeps: one call. */
START_TEST(who_slept_is_woken_by_a_call_once)
{
    core_append_run(partition, 0, 1, 100);
    _Atomic uint32_t *word = kfl__notify_word(core);
    uint32_t value = kfl__notify_begin(core), n = (uint32_t)core->presence.entry % 32;
    ck_assert_uint_eq(value, atomic_load(word));
    ck_assert_uint_eq(atomic_load(&core->shared->arrivals[n].sleeps), 1);
    kfl__notify_register(core, partition->slot);
    core_append_run(partition, 1, 2, 100);
    ck_assert_uint_eq(atomic_load(word), value + 1);
    ck_assert_uint_eq(atomic_load(&core->shared->arrivals[n].sleeps), 0);
    /* A bit that was left behind changes the word, and nobody is said to sleep. */
    kfl__notify_register(core, partition->slot);
    core_append_run(partition, 2, 3, 100);
    ck_assert_uint_eq(atomic_load(word), value + 2);
    ck_assert_uint_eq(atomic_load(&core->shared->arrivals[n].sleeps), 0);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("engine/notify");
    TCase *all = tcase_create("notify");
    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_set_timeout(all, 60);
    tcase_add_test(all, an_append_raises_the_word_of_who_sleeps_and_of_nobody_else);
    tcase_add_test(all, who_slept_is_woken_by_a_call_once);
    suite_add_tcase(suite, all);
    return suite;
}
