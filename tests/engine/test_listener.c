/* SPDX-License-Identifier: MIT */
/* A thread that sleeps for listeners: they are called when the process's word is raised. */
#include "base/wait.h"
#include "core.h"
#include "engine/listener.h"
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
    kfl__listener_stop(core);
    kfl__listener_destroy(core);
    core_abandon(core);
    temp_dir_remove();
}

struct ear {
    struct kfl__listener listener;
    _Atomic int calls, last_calls;
};

static void hear(void *context)
{
    struct ear *ear = context;
    atomic_fetch_add(&ear->calls, 1);
    if (atomic_load(&core->closing) != 0)
        atomic_fetch_add(&ear->last_calls, 1);
}

static void ear_open(struct ear *ear)
{
    *ear = (struct ear){.listener = {.hear = hear, .context = ear}};
    assert_ok(kfl__listener_add(core, &ear->listener));
}

static void ear_await(struct ear *ear, int calls)
{
    for (int i = 0; i < 20000 && atomic_load(&ear->calls) < calls; i++) {
        _Atomic uint32_t pause = 0;
        (void)kfl__wait(&pause, 0, kfl__clock_steady_ns() + 1000000);
    }
    ck_assert_int_ge(atomic_load(&ear->calls), calls);
}

START_TEST(an_append_to_a_slot_with_our_bit_is_heard)
{
    struct ear ear;
    core_append_run(partition, 0, 1, 100);
    ear_open(&ear);
    for (int64_t i = 1; i < 20; i++) {
        int before = atomic_load(&ear.calls);
        kfl__notify_register(core, partition->slot);
        core_append_run(partition, i, i + 1, 100);
        ear_await(&ear, before + 1);
        ck_assert_uint_eq(atomic_load(&partition->slot->sleepers), 0);
    }
    kfl__listener_remove(core, &ear.listener);
}
END_TEST

START_TEST(who_is_removed_is_not_called_and_another_one_is)
{
    struct ear gone, stays;
    ear_open(&gone);
    ear_open(&stays);
    assert_ok(kfl__listener_add(core, &stays.listener)); /* once */
    kfl__listener_remove(core, &gone.listener);
    kfl__listener_remove(core, &gone.listener);
    int calls = atomic_load(&gone.calls), before = atomic_load(&stays.calls);
    kfl__notify_wake_process(core);
    ear_await(&stays, before + 1);
    ck_assert_int_eq(atomic_load(&gone.calls), calls);
    kfl__listener_remove(core, &stays.listener);
}
END_TEST

START_TEST(all_are_called_once_more_by_the_close)
{
    struct ear ears[3];
    for (int i = 0; i < 3; i++)
        ear_open(&ears[i]);
    atomic_store(&core->closing, 1);
    kfl__listener_stop(core);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_ge(atomic_load(&ears[i].last_calls), 1);
        kfl__listener_remove(core, &ears[i].listener);
    }
    kfl__listener_stop(core); /* nothing to stop any more */
    atomic_store(&core->closing, 0);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("engine/listener");
    TCase *all = tcase_create("listener");
    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_set_timeout(all, 60);
    tcase_add_test(all, an_append_to_a_slot_with_our_bit_is_heard);
    tcase_add_test(all, who_is_removed_is_not_called_and_another_one_is);
    tcase_add_test(all, all_are_called_once_more_by_the_close);
    suite_add_tcase(suite, all);
    return suite;
}
