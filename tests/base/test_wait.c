/* SPDX-License-Identifier: MIT */
#include "base/wait.h"

#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include "base/clock.h"
#include "base/error.h"
#include "child.h"
#include "suite.h"

START_TEST(a_word_that_has_changed_already_is_not_waited_for)
{
    _Atomic uint32_t word = 1;
    ck_assert_int_eq(kfl__wait(&word, 0, -1), 0);
    ck_assert_int_eq(kfl__wait(&word, 0, 0), 0);
}
END_TEST

START_TEST(the_deadline_ends_the_wait_and_not_before)
{
    _Atomic uint32_t word = 0;
    ck_assert_int_eq(kfl__wait(&word, 0, 0), KFL_WAIT_TIMEOUT);
    ck_assert_int_eq(kfl__wait(&word, 0, kfl__clock_steady_ns()), KFL_WAIT_TIMEOUT);
    int64_t deadline = kfl__clock_deadline_ns(3);
    int r;
    do {
        r = kfl__wait(&word, 0, deadline);
    } while (r == 0);
    ck_assert_int_eq(r, KFL_WAIT_TIMEOUT);
    ck_assert_int_ge(kfl__clock_steady_ns(), deadline);
}
END_TEST

/* A word that does not change, and a flag that tells that the sleeper has left. */
struct bed {
    _Atomic uint32_t word;
    _Atomic uint32_t left;
    int64_t timeout_ms;
    int result;
};

static int sleep_once(void *context)
{
    struct bed *bed = context;
    bed->result = kfl__wait(&bed->word, 0, kfl__clock_deadline_ns(bed->timeout_ms));
    atomic_store(&bed->left, 1);
    return 0;
}

/* The word stays, so only the waking itself can end the sleep. rule:R5 */
START_TEST(a_sleeper_in_another_process_is_woken)
{
    struct bed *bed = child_share(sizeof *bed);
    bed->timeout_ms = -1;
    pid_t pid = child_start(sleep_once, bed);
    while (atomic_load(&bed->left) == 0) {
        kfl__wake(&bed->word, 1);
        sched_yield();
    }
    ck_assert_int_eq(child_end(pid), 0);
    ck_assert_int_eq(bed->result, 0);
    munmap(bed, sizeof *bed);
}
END_TEST

static void *sleep_in_thread(void *context)
{
    struct bed *bed = context;
    kfl__wait(&bed->word, 0, -1);
    atomic_fetch_add(&bed->left, 1);
    return NULL;
}

START_TEST(all_sleepers_are_woken_at_once)
{
    struct bed bed = {.word = 0};
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, sleep_in_thread, &bed), 0);
    while (atomic_load(&bed.left) < 3) {
        kfl__wake(&bed.word, INT32_MAX);
        sched_yield();
    }
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
}
END_TEST

static void *sleep_for_a_kind(void *context)
{
    struct bed *bed = context;
    bed->result = kfl__wait_for(&bed->word, 0, 2, kfl__clock_deadline_ns(bed->timeout_ms));
    atomic_store(&bed->left, 1);
    return NULL;
}

/* The word stays; a sleeper of the kind 2 is not woken by a wake of the kind 1. */
START_TEST(only_sleepers_of_a_kind_are_woken)
{
    struct bed bed = {.timeout_ms = 50};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, sleep_for_a_kind, &bed), 0);
    while (atomic_load(&bed.left) == 0) {
        kfl__wake_those(&bed.word, 1, INT32_MAX);
        sched_yield();
    }
    pthread_join(thread, NULL);
    ck_assert_int_eq(bed.result, KFL_WAIT_TIMEOUT);
    bed.timeout_ms = -1;
    atomic_store(&bed.left, 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, sleep_for_a_kind, &bed), 0);
    while (atomic_load(&bed.left) == 0) {
        kfl__wake_those(&bed.word, 3, 1);
        sched_yield();
    }
    pthread_join(thread, NULL);
    ck_assert_int_eq(bed.result, 0);
}
END_TEST

START_TEST(waking_nobody_is_fine)
{
    _Atomic uint32_t word = 0;
    kfl__wake(&word, INT32_MAX);
    ck_assert_uint_eq(atomic_load(&word), 0);
}
END_TEST

static void ignore_signal(int number)
{
    (void)number;
}

/* SA_RESTART must not make the wait begin anew. */
static int sleep_until_signal(void *context)
{
    struct bed *bed = context;
    struct sigaction action = {.sa_handler = ignore_signal, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &action, NULL);
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR1);
    sigprocmask(SIG_UNBLOCK, &signals, NULL);
    do {
        bed->result = kfl__wait(&bed->word, 0, kfl__clock_deadline_ns(bed->timeout_ms));
    } while (bed->result == 0);
    atomic_store(&bed->left, 1);
    return kfl_last_error_code() == KFL_E_INTR ? 0 : 1;
}

START_TEST(a_signal_interrupts_with_and_without_a_deadline)
{
    static const int64_t timeouts[] = {-1, 60000};
    for (int i = 0; i < 2; i++) {
        struct bed *bed = child_share(sizeof *bed);
        bed->timeout_ms = timeouts[i];
        /* Blocked until the child's handler stands, so that no signal can end it. */
        sigset_t signals, before;
        sigemptyset(&signals);
        sigaddset(&signals, SIGUSR1);
        sigprocmask(SIG_BLOCK, &signals, &before);
        pid_t pid = child_start(sleep_until_signal, bed);
        while (atomic_load(&bed->left) == 0) {
            kill(pid, SIGUSR1);
            sched_yield();
        }
        ck_assert_int_eq(child_end(pid), 0);
        sigprocmask(SIG_SETMASK, &before, NULL);
        ck_assert_int_eq(bed->result, KFL_E_INTR);
        munmap(bed, sizeof *bed);
    }
}
END_TEST

START_TEST(a_word_that_is_not_there_is_an_error_and_no_endless_loop)
{
    void *page = child_share(4096);
    munmap(page, 4096);
    ck_assert_int_eq(kfl__wait(page, 0, -1), KFL_E_BUG);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("wait");
    TCase *sleep = tcase_create("sleep");
    tcase_add_test(sleep, a_word_that_has_changed_already_is_not_waited_for);
    tcase_add_test(sleep, the_deadline_ends_the_wait_and_not_before);
    tcase_add_test(sleep, a_sleeper_in_another_process_is_woken);
    tcase_add_test(sleep, all_sleepers_are_woken_at_once);
    tcase_add_test(sleep, only_sleepers_of_a_kind_are_woken);
    tcase_add_test(sleep, waking_nobody_is_fine);
    tcase_add_test(sleep, a_signal_interrupts_with_and_without_a_deadline);
    tcase_add_test(sleep, a_word_that_is_not_there_is_an_error_and_no_endless_loop);
    suite_add_tcase(suite, sleep);
    return suite;
}
