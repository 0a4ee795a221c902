/* SPDX-License-Identifier: MIT */
/* The threads that do what appends need next. */
#include "engine/hands.h"

#include <pthread.h>
#include <unistd.h>

#include "base/clock.h"
#include "engine/janitor.h"
#include "one_partition.h"
#include "suite.h"

#define STEPS 20

/* Something that takes STEPS steps, each of which may have to wait until it may go on. */
struct task {
    _Atomic int held; /* steps stand still */
    _Atomic int begun, steps, shares;
};

static bool task_step(struct kfl__core *one, const struct kfl__wish *wish)
{
    struct task *task = wish->subject;
    ck_assert_ptr_eq(one, core);
    int number = atomic_fetch_add(&task->begun, 1);
    while (number == 0 && atomic_load(&task->held) != 0)
        usleep(1000);
    return atomic_fetch_add(&task->steps, 1) + 1 >= STEPS;
}

static void task_share(const struct kfl__wish *wish)
{
    struct task *task = wish->subject;
    atomic_fetch_add(&task->shares, 1);
}

static void task_forget(const struct kfl__wish *wish)
{
    struct task *task = wish->subject;
    atomic_fetch_sub(&task->shares, 1);
}

static bool ask(enum kfl__hand_job job, struct task *task)
{
    const struct kfl__wish wish = {task_step, task_share, task_forget, task, 0, 0};
    task_share(&wish);
    if (kfl__hands_ask(core, job, &wish))
        return true;
    task_forget(&wish);
    return false;
}

/* A condition that others bring about; far longer than it takes, and shorter than what must not be waited for. */
static bool comes(const _Atomic int *word, int value)
{
    int64_t until = kfl__clock_deadline_ns(5000);
    while (atomic_load(word) != value && kfl__clock_steady_ns() < until)
        usleep(500);
    return atomic_load(word) == value;
}

static void open_with_threads(void)
{
    core_abandon(core);
    core = core_open(temp_dir_path(), "background.threads=1");
    partition = core_partition(core, NULL);
}

START_TEST(jobs_do_not_wait_for_each_other)
{
    struct task stuck = {.held = 1}, other = {0};
    open_with_threads();
    ck_assert(ask(KFL_HAND_PREPARE, &stuck));
    ck_assert(comes(&stuck.begun, 1));
    ck_assert(ask(KFL_HAND_TOUCH, &other));
    ck_assert(comes(&other.shares, 0));
    ck_assert_int_eq(atomic_load(&other.steps), STEPS);
    ck_assert_int_eq(atomic_load(&stuck.steps), 0);
    atomic_store(&stuck.held, 0);
    ck_assert(comes(&stuck.shares, 0));
}
END_TEST

START_TEST(who_helps_does_what_a_thread_without_a_processor_has_begun)
{
    struct task stuck = {.held = 1}, next = {0};
    open_with_threads();
    ck_assert(ask(KFL_HAND_TOUCH, &stuck));
    ck_assert(comes(&stuck.begun, 1));
    ck_assert(ask(KFL_HAND_TOUCH, &next));
    kfl__hands_help(core, KFL_HAND_TOUCH);
    ck_assert_int_eq(atomic_load(&stuck.steps), STEPS);
    ck_assert_int_eq(atomic_load(&stuck.shares), 1); /* that of the step under way */
    ck_assert_int_eq(atomic_load(&next.steps), STEPS);
    ck_assert_int_eq(atomic_load(&next.shares), 0);
    atomic_store(&stuck.held, 0);
    ck_assert(comes(&stuck.shares, 0));
}
END_TEST

START_TEST(too_much_is_refused_and_what_is_left_at_the_end_is_forgotten)
{
    static struct task tasks[100];
    int asked = 0;
    open_with_threads();
    atomic_store(&tasks[0].held, 1);
    ck_assert(ask(KFL_HAND_TOUCH, &tasks[0]));
    ck_assert(comes(&tasks[0].begun, 1));
    for (int i = 1; i < 100; i++)
        asked += ask(KFL_HAND_TOUCH, &tasks[i]);
    ck_assert_int_gt(asked, 0);
    ck_assert_int_lt(asked, 99);
    atomic_store(&tasks[0].held, 0);
    kfl__hands_stop(core);
    ck_assert(!ask(KFL_HAND_TOUCH, &tasks[99]));
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(atomic_load(&tasks[i].shares), 0);
}
END_TEST

START_TEST(without_threads_nobody_does_it)
{
    struct task task = {0};
    ck_assert(!ask(KFL_HAND_TOUCH, &task));
    kfl__hands_help(core, KFL_HAND_TOUCH);
    ck_assert_int_eq(atomic_load(&task.steps), 0);
}
END_TEST

/* ---- what it is for ---- */

static _Atomic int syncing;

/* As a leader whose device takes its time. */
static void *stand_in_a_sync(void *unused)
{
    struct kfl__slot *slot = partition->slot;
    ck_assert_int_eq(kfl__robust_lock(&slot->sync, KFL_RANK_SYNC, -1), 0);
    atomic_store(&syncing, 1);
    while (atomic_load(&syncing) == 1)
        usleep(1000);
    kfl__robust_unlock(&slot->sync, KFL_RANK_SYNC);
    return unused;
}

/* The helper waits ten seconds for a sync; the other half of a file is full in thirty milliseconds. */
START_TEST(the_next_file_is_prepared_while_the_helper_stands_in_a_sync)
{
    pthread_t thread;
    open_with_threads();
    struct kfl__slot *slot = partition->slot;
    ck_assert_int_ge(core_append(partition, 0, 100, false), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, stand_in_a_sync, NULL), 0);
    ck_assert(comes(&syncing, 1));
    kfl__janitor_sync(partition);
    int64_t until = kfl__clock_deadline_ns(5000);
    while (atomic_load(&slot->durable_waiters) == 0 && kfl__clock_steady_ns() < until)
        usleep(500);
    ck_assert_uint_ne(atomic_load(&slot->durable_waiters), 0);
    ck_assert_int_eq(atomic_load(&slot->next.id), 0);
    int64_t n = 1;
    while ((int64_t)kfl__word_place(atomic_load(&slot->published)) * 2 <=
           atomic_load(&slot->active.size)) {
        ck_assert_int_eq(core_append(partition, n, 1000, false), n);
        n++;
    }
    ck_assert_int_eq(core_append(partition, n, 1000, false), n);
    until = kfl__clock_deadline_ns(5000);
    while (atomic_load(&slot->next.id) == 0 && kfl__clock_steady_ns() < until)
        usleep(500);
    bool prepared = atomic_load(&slot->next.id) != 0;
    atomic_store(&syncing, 2);
    pthread_join(thread, NULL);
    ck_assert(prepared);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("engine/hands");
    TCase *all = tcase_create("hands");
    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_set_timeout(all, 60);
    tcase_add_test(all, jobs_do_not_wait_for_each_other);
    tcase_add_test(all, who_helps_does_what_a_thread_without_a_processor_has_begun);
    tcase_add_test(all, too_much_is_refused_and_what_is_left_at_the_end_is_forgotten);
    tcase_add_test(all, without_threads_nobody_does_it);
    tcase_add_test(all, the_next_file_is_prepared_while_the_helper_stands_in_a_sync);
    suite_add_tcase(suite, all);
    return suite;
}
