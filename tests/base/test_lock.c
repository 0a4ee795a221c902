/* SPDX-License-Identifier: MIT */
#include "base/lock.h"

#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/wait.h"
#include "child.h"
#include "suite.h"

#define THREADS 4
#define TURNS 20000

static int64_t soon(void)
{
    return kfl__clock_deadline_ns(2);
}

/* --- the mutex of one process ------------------------------------------------------------------ */

struct counter {
    struct kfl__mutex mutex;
    struct kfl__condition condition;
    struct kfl__robust robust;
    _Atomic int stage;
    int turns; /* guarded by whichever lock the test is about */
};

static void *count_under_mutex(void *context)
{
    struct counter *counter = context;
    for (int i = 0; i < TURNS; i++) {
        kfl__mutex_lock(&counter->mutex);
        counter->turns++;
        kfl__mutex_unlock(&counter->mutex);
    }
    return NULL;
}

static void run_threads(void *(*body)(void *context), void *context)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, body, context), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

START_TEST(threads_take_turns)
{
    struct counter counter = {.turns = 0};
    ck_assert_int_eq(kfl__mutex_init(&counter.mutex, KFL_RANK_HANDLE), 0);
    run_threads(count_under_mutex, &counter);
    ck_assert_int_eq(counter.turns, THREADS * TURNS);
    kfl__mutex_destroy(&counter.mutex);
}
END_TEST

static void *raise_turns(void *context)
{
    struct counter *counter = context;
    kfl__mutex_lock(&counter->mutex);
    counter->turns = 1;
    kfl__condition_tell(&counter->condition);
    /* Who waits is counted until it has the mutex again. */
    ck_assert_int_eq(counter->condition.waiters, 1);
    kfl__mutex_unlock(&counter->mutex);
    return NULL;
}

START_TEST(a_condition_lets_others_in_while_it_waits)
{
    struct counter counter = {.turns = 0};
    ck_assert_int_eq(kfl__mutex_init(&counter.mutex, KFL_RANK_HANDLE), 0);
    ck_assert_int_eq(kfl__condition_init(&counter.condition), 0);
    kfl__mutex_lock(&counter.mutex);
    kfl__condition_tell(&counter.condition); /* nobody */
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, raise_turns, &counter), 0);
    while (counter.turns == 0)
        ck_assert_int_eq(kfl__condition_wait(&counter.condition, &counter.mutex, -1), 0);
    ck_assert_int_eq(counter.condition.waiters, 0);
    kfl__mutex_unlock(&counter.mutex);
    pthread_join(thread, NULL);
    kfl__condition_destroy(&counter.condition);
    kfl__mutex_destroy(&counter.mutex);
}
END_TEST

START_TEST(a_condition_gives_up_at_its_deadline)
{
    struct counter counter = {.turns = 0};
    ck_assert_int_eq(kfl__mutex_init(&counter.mutex, KFL_RANK_HANDLE), 0);
    ck_assert_int_eq(kfl__condition_init(&counter.condition), 0);
    kfl__mutex_lock(&counter.mutex);
    int64_t deadline = soon();
    int r;
    do {
        r = kfl__condition_wait(&counter.condition, &counter.mutex, deadline);
    } while (r == 0);
    ck_assert_int_eq(r, KFL_WAIT_TIMEOUT);
    ck_assert_int_ge(kfl__clock_steady_ns(), deadline);
    kfl__mutex_unlock(&counter.mutex);
    kfl__condition_destroy(&counter.condition);
    kfl__mutex_destroy(&counter.mutex);
}
END_TEST

/* --- ranks: rule:R17 --------------------------------------------------------------------------- */

#ifndef NDEBUG
/* The ranks to take, one after the other; -1 ends them. */
KFL_UNCHECKED static int take_in_order(void *context)
{
    const int *ranks = context;
    struct kfl__mutex mutexes[4];
    for (int i = 0; ranks[i] >= 0; i++) {
        if (kfl__mutex_init(&mutexes[i], (enum kfl__rank)ranks[i]) < 0)
            return 1;
        kfl__mutex_lock(&mutexes[i]);
    }
    return 0;
}

START_TEST(a_lower_rank_inside_a_higher_one_aborts)
{
    ck_assert_int_eq(
        child_run_quietly(take_in_order, (int[]){KFL_RANK_APPEND, KFL_RANK_CATALOG, -1}), -SIGABRT);
    ck_assert_int_eq(child_run_quietly(take_in_order,
                                       (int[]){KFL_RANK_GROUP, KFL_RANK_VIEW, KFL_RANK_APPEND, -1}),
                     -SIGABRT);
}
END_TEST

START_TEST(rising_and_equal_ranks_may_be_held_together)
{
    ck_assert_int_eq(
        child_run(take_in_order, (int[]){KFL_RANK_STORE, KFL_RANK_GROUP, KFL_RANK_LEAF, -1}), 0);
    ck_assert_int_eq(
        child_run(take_in_order, (int[]){KFL_RANK_APPEND, KFL_RANK_APPEND, KFL_RANK_SYNC, -1}), 0);
}
END_TEST

START_TEST(nothing_is_taken_inside_a_leaf)
{
    ck_assert_int_eq(child_run_quietly(take_in_order, (int[]){KFL_RANK_LEAF, KFL_RANK_LEAF, -1}),
                     -SIGABRT);
}
END_TEST

KFL_UNCHECKED static int take_catalog_under_append(void *context)
{
    struct kfl__robust robust;
    struct kfl__mutex catalog;
    (void)context;
    if (kfl__robust_init(&robust) < 0 || kfl__mutex_init(&catalog, KFL_RANK_CATALOG) < 0)
        return 1;
    if (kfl__robust_lock(&robust, KFL_RANK_APPEND, -1) != 0)
        return 1;
    kfl__mutex_lock(&catalog);
    return 0;
}

START_TEST(the_robust_kind_has_its_rank_too)
{
    ck_assert_int_eq(child_run_quietly(take_catalog_under_append, NULL), -SIGABRT);
}
END_TEST

START_TEST(the_rank_goes_with_the_lock)
{
    struct kfl__mutex low, high;
    struct kfl__robust robust;
    ck_assert_int_eq(kfl__mutex_init(&low, KFL_RANK_HANDLE), 0);
    ck_assert_int_eq(kfl__mutex_init(&high, KFL_RANK_VIEW), 0);
    ck_assert_int_eq(kfl__robust_init(&robust), 0);
    ck_assert_int_eq(kfl__lock_highest_rank(), -1);
    kfl__mutex_lock(&low);
    ck_assert_int_eq(kfl__robust_lock(&robust, KFL_RANK_APPEND, -1), 0);
    kfl__mutex_lock(&high);
    ck_assert_int_eq(kfl__lock_highest_rank(), KFL_RANK_VIEW);
    kfl__mutex_unlock(&low);
    kfl__mutex_unlock(&high);
    ck_assert_int_eq(kfl__lock_highest_rank(), KFL_RANK_APPEND);
    kfl__robust_unlock(&robust, KFL_RANK_APPEND);
    ck_assert_int_eq(kfl__lock_highest_rank(), -1);
    kfl__mutex_destroy(&low);
    kfl__mutex_destroy(&high);
}
END_TEST

#endif

/* --- the robust kind --------------------------------------------------------------------------- */

static void *count_under_robust(void *context)
{
    struct counter *counter = context;
    for (int i = 0; i < TURNS; i++) {
        if (kfl__robust_lock(&counter->robust, KFL_RANK_APPEND, kfl__clock_deadline_ns(60000)) != 0)
            break;
        counter->turns++;
        kfl__robust_unlock(&counter->robust, KFL_RANK_APPEND);
    }
    return NULL;
}

START_TEST(threads_take_turns_at_a_shared_lock)
{
    struct counter counter = {.turns = 0};
    ck_assert_int_eq(kfl__robust_init(&counter.robust), 0);
    run_threads(count_under_robust, &counter);
    ck_assert_int_eq(counter.turns, THREADS * TURNS);
}
END_TEST

static int count_in_process(void *context)
{
    count_under_robust(context);
    return 0;
}

START_TEST(processes_take_turns_at_a_shared_lock)
{
    struct counter *counter = child_share(sizeof *counter);
    ck_assert_int_eq(kfl__robust_init(&counter->robust), 0);
    pid_t children[THREADS];
    for (int i = 0; i < THREADS; i++)
        children[i] = child_start(count_in_process, counter);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(child_end(children[i]), 0);
    ck_assert_int_eq(counter->turns, THREADS * TURNS);
    munmap(counter, sizeof *counter);
}
END_TEST

/* Takes the lock, says so, and waits to be killed. */
static int die_inside(void *context)
{
    struct counter *counter = context;
    if (kfl__robust_lock(&counter->robust, KFL_RANK_APPEND, -1) < 0)
        return 1;
    counter->turns = 42;
    atomic_store(&counter->stage, 1);
    for (;;)
        pause();
}

static pid_t start_holder(struct counter *counter)
{
    atomic_store(&counter->stage, 0);
    pid_t pid = child_start(die_inside, counter);
    while (atomic_load(&counter->stage) == 0)
        sched_yield();
    return pid;
}

/* rule:R2 rule:R19 */
START_TEST(the_death_of_an_owner_is_told_to_the_next)
{
    struct counter *counter = child_share(sizeof *counter);
    ck_assert_int_eq(kfl__robust_init(&counter->robust), 0);
    pid_t pid = start_holder(counter);
    ck_assert_int_eq(kfl__robust_owner(&counter->robust), pid);
    ck_assert_int_eq(kfl__robust_lock(&counter->robust, KFL_RANK_APPEND, soon()), KFL_LOCK_BUSY);
    ck_assert_int_eq(kfl__lock_highest_rank(), -1);
    kill(pid, SIGKILL);
    ck_assert_int_eq(child_end(pid), -SIGKILL);

    ck_assert_int_eq(kfl__robust_lock(&counter->robust, KFL_RANK_APPEND, -1), KFL_LOCK_OWNER_DIED);
    ck_assert_int_eq(counter->turns, 42);
    kfl__robust_mended(&counter->robust);
    kfl__robust_unlock(&counter->robust, KFL_RANK_APPEND);
    ck_assert_int_eq(kfl__robust_owner(&counter->robust), 0);
    ck_assert_int_eq(kfl__robust_lock(&counter->robust, KFL_RANK_APPEND, -1), 0);
    kfl__robust_unlock(&counter->robust, KFL_RANK_APPEND);
    munmap(counter, sizeof *counter);
}
END_TEST

static int wait_for_lock(void *context)
{
    struct counter *counter = context;
    int64_t deadline = kfl__clock_deadline_ns(60000);
    int r = kfl__robust_lock(&counter->robust, KFL_RANK_APPEND, deadline);
    if (r != KFL_LOCK_OWNER_DIED)
        return 1;
    kfl__robust_mended(&counter->robust);
    kfl__robust_unlock(&counter->robust, KFL_RANK_APPEND);
    return 0;
}

START_TEST(the_death_of_an_owner_wakes_who_waits)
{
    struct counter *counter = child_share(sizeof *counter);
    ck_assert_int_eq(kfl__robust_init(&counter->robust), 0);
    pid_t holder = start_holder(counter);
    pid_t waiter = child_start(wait_for_lock, counter);
#ifndef KFL_THREAD_SANITIZER
    /* The word says that somebody waits before the kernel lets him sleep; under that sanitizer he tries. */
    while (((uint32_t)__atomic_load_n(&counter->robust.mutex.__data.__lock, __ATOMIC_RELAXED) &
            0x80000000u) == 0)
        sched_yield();
#endif
    kill(holder, SIGKILL);
    ck_assert_int_eq(child_end(holder), -SIGKILL);
    ck_assert_int_eq(child_end(waiter), 0);
    munmap(counter, sizeof *counter);
}
END_TEST

START_TEST(a_trylock_tells_of_a_death_too)
{
    struct counter *counter = child_share(sizeof *counter);
    ck_assert_int_eq(kfl__robust_init(&counter->robust), 0);
    pid_t pid = start_holder(counter);
    ck_assert_int_eq(kfl__robust_trylock(&counter->robust, KFL_RANK_SYNC), KFL_LOCK_BUSY);
    kill(pid, SIGKILL);
    child_end(pid);
    ck_assert_int_eq(kfl__robust_trylock(&counter->robust, KFL_RANK_SYNC), KFL_LOCK_OWNER_DIED);
    kfl__robust_mended(&counter->robust);
    kfl__robust_unlock(&counter->robust, KFL_RANK_SYNC);
    munmap(counter, sizeof *counter);
}
END_TEST

START_TEST(who_dies_while_mending_leaves_it_to_the_next)
{
    struct counter *counter = child_share(sizeof *counter);
    ck_assert_int_eq(kfl__robust_init(&counter->robust), 0);
    for (int i = 0; i < 3; i++) {
        pid_t pid = start_holder(counter);
        kill(pid, SIGKILL);
        child_end(pid);
    }
    ck_assert_int_eq(kfl__robust_lock(&counter->robust, KFL_RANK_APPEND, -1), KFL_LOCK_OWNER_DIED);
    kfl__robust_mended(&counter->robust);
    kfl__robust_unlock(&counter->robust, KFL_RANK_APPEND);
    munmap(counter, sizeof *counter);
}
END_TEST

START_TEST(a_lock_given_back_unmended_is_lost)
{
    struct counter *counter = child_share(sizeof *counter);
    ck_assert_int_eq(kfl__robust_init(&counter->robust), 0);
    pid_t pid = start_holder(counter);
    kill(pid, SIGKILL);
    child_end(pid);
    ck_assert_int_eq(kfl__robust_lock(&counter->robust, KFL_RANK_APPEND, -1), KFL_LOCK_OWNER_DIED);
    kfl__robust_unlock(&counter->robust, KFL_RANK_APPEND);
    ck_assert_int_eq(kfl__robust_lock(&counter->robust, KFL_RANK_APPEND, -1), KFL_E_CORRUPT);
    ck_assert_int_eq(kfl__robust_trylock(&counter->robust, KFL_RANK_APPEND), KFL_E_CORRUPT);
    ck_assert_int_eq(kfl__lock_highest_rank(), -1);
    munmap(counter, sizeof *counter);
}
END_TEST

START_TEST(bytes_that_are_no_lock_are_refused)
{
    struct kfl__robust robust;
    static const int fillings[] = {0x00, 0xff, 0x5a, 0x01};
    for (size_t i = 0; i < sizeof fillings / sizeof fillings[0]; i++) {
        memset(&robust, fillings[i], sizeof robust);
        ck_assert_int_eq(kfl__robust_lock(&robust, KFL_RANK_APPEND, soon()), KFL_E_CORRUPT);
        ck_assert_int_eq(kfl__robust_trylock(&robust, KFL_RANK_APPEND), KFL_E_CORRUPT);
    }
}
END_TEST

START_TEST(who_holds_it_already_is_told_and_does_not_wait_for_itself)
{
    struct kfl__robust robust;
    ck_assert_int_eq(kfl__robust_init(&robust), 0);
    ck_assert_int_eq(kfl__robust_lock(&robust, KFL_RANK_APPEND, -1), 0);
    ck_assert_int_eq(kfl__robust_lock(&robust, KFL_RANK_APPEND, -1), KFL_E_BUG);
    ck_assert_int_eq(kfl__robust_lock(&robust, KFL_RANK_APPEND, soon()), KFL_E_BUG);
    ck_assert_int_eq(kfl__robust_owner(&robust), gettid());
    kfl__robust_unlock(&robust, KFL_RANK_APPEND);
}
END_TEST

START_TEST(a_busy_lock_leaves_the_words_alone)
{
    struct counter *counter = child_share(sizeof *counter);
    ck_assert_int_eq(kfl__robust_init(&counter->robust), 0);
    kfl__fail(KFL_E_CONFLICT, "said before");
    pid_t pid = start_holder(counter);
    int64_t deadline = soon();
    ck_assert_int_eq(kfl__robust_lock(&counter->robust, KFL_RANK_APPEND, deadline), KFL_LOCK_BUSY);
    ck_assert_int_ge(kfl__clock_steady_ns(), deadline);
    ck_assert_int_eq(kfl__robust_lock(&counter->robust, KFL_RANK_APPEND, 0), KFL_LOCK_BUSY);
    ck_assert_str_eq(kfl_last_error(), "said before");
    kill(pid, SIGKILL);
    child_end(pid);
    munmap(counter, sizeof *counter);
}
END_TEST

static void add_robust_tests(Suite *suite)
{
    TCase *robust = tcase_create("robust");
    tcase_set_timeout(robust, 60);
    tcase_add_test(robust, threads_take_turns_at_a_shared_lock);
    tcase_add_test(robust, processes_take_turns_at_a_shared_lock);
    tcase_add_test(robust, the_death_of_an_owner_is_told_to_the_next);
    tcase_add_test(robust, the_death_of_an_owner_wakes_who_waits);
    tcase_add_test(robust, a_trylock_tells_of_a_death_too);
    tcase_add_test(robust, who_dies_while_mending_leaves_it_to_the_next);
    tcase_add_test(robust, a_lock_given_back_unmended_is_lost);
    tcase_add_test(robust, bytes_that_are_no_lock_are_refused);
    tcase_add_test(robust, who_holds_it_already_is_told_and_does_not_wait_for_itself);
    tcase_add_test(robust, a_busy_lock_leaves_the_words_alone);
    suite_add_tcase(suite, robust);
}

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("lock");
    TCase *mutex = tcase_create("mutex");
    tcase_set_timeout(mutex, 60);
    tcase_add_test(mutex, threads_take_turns);
    tcase_add_test(mutex, a_condition_lets_others_in_while_it_waits);
    tcase_add_test(mutex, a_condition_gives_up_at_its_deadline);
    suite_add_tcase(suite, mutex);
#ifndef NDEBUG
    TCase *ranks = tcase_create("ranks");
    tcase_add_test(ranks, a_lower_rank_inside_a_higher_one_aborts);
    tcase_add_test(ranks, rising_and_equal_ranks_may_be_held_together);
    tcase_add_test(ranks, nothing_is_taken_inside_a_leaf);
    tcase_add_test(ranks, the_robust_kind_has_its_rank_too);
    tcase_add_test(ranks, the_rank_goes_with_the_lock);
    suite_add_tcase(suite, ranks);
#endif
    add_robust_tests(suite);
    return suite;
}
