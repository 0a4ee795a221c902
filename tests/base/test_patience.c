/* SPDX-License-Identifier: MIT */
/* Who has no patience is told so, has taken nothing, and goes on with its wait when it asks again. */
#include "base/patience.h"

#include <check.h>
#include <pthread.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/loan.h"
#include "base/lock.h"
#include "child.h"
#include "peer.h"
#include "suite.h"

struct locks {
    struct kfl__robust robust;
    struct kfl__lendable lendable;
};

static struct locks *locks;

static void set_up(void)
{
    locks = child_share(sizeof *locks);
    ck_assert_int_eq(kfl__robust_init(&locks->robust), 0);
    ck_assert_int_eq(kfl__lendable_init(&locks->lendable), 0);
}

START_TEST(threads_begin_with_all_the_patience_there_is)
{
    struct kfl__patience_wait wait;
    ck_assert_int_eq(kfl__patience(), -1);
    kfl__patience_begin(&wait, &wait, -1);
    ck_assert_int_eq(wait.until_ns, -1);
    kfl__patience_begin(&wait, &wait, 77);
    ck_assert_int_eq(wait.until_ns, 77);
    ck_assert_int_eq(kfl__patience_end(&wait, true), 0);
    ck_assert_int_eq(kfl__patience_set(5), -1);
    ck_assert_int_eq(kfl__patience_set(-1), 5);
}
END_TEST

START_TEST(a_wait_with_less_time_of_its_own_is_not_given_up)
{
    struct kfl__patience_wait wait;
    int64_t soon = kfl__clock_deadline_ns(1);
    kfl__patience_set(60000);
    kfl__patience_begin(&wait, &wait, soon);
    ck_assert_int_eq(wait.until_ns, soon);
    ck_assert_int_eq(kfl__patience_end(&wait, true), 0);
}
END_TEST

START_TEST(patience_is_narrowed_to_what_time_is_left_and_never_widened)
{
    ck_assert_int_eq(kfl__patience_narrow(-1), -1);
    ck_assert_int_eq(kfl__patience_narrow(0), -1);
    ck_assert_int_eq(kfl__patience(), -1);
    ck_assert_int_eq(kfl__patience_narrow(kfl__clock_deadline_ns(INT32_MAX)), -1);
    ck_assert_int_ge(kfl__patience(), INT32_MAX / 2);
    ck_assert_int_ge(kfl__patience_narrow(kfl__clock_deadline_ns(60000)), INT32_MAX / 2);
    ck_assert_int_ge(kfl__patience(), 1);
    ck_assert_int_le(kfl__patience(), 60001);
    kfl__patience_set(5);
    ck_assert_int_eq(kfl__patience_narrow(kfl__clock_deadline_ns(60000)), 5);
    ck_assert_int_eq(kfl__patience(), 5);
    /* Over already: a lock that is free is taken all the same. */
    ck_assert_int_eq(kfl__patience_narrow(1), 5);
    ck_assert_int_eq(kfl__patience(), 1);
}
END_TEST

START_TEST(a_wait_that_is_gone_on_with_ends_in_its_own_time)
{
    struct kfl__patience_wait wait, other;
    int r = KFL_E_INTR;
    kfl__patience_set(0);
    for (int64_t began = kfl__clock_steady_ns(); kfl__clock_steady_ns() < began + 5000000;) {
        /* Now for this, now for that: each is another wait, and given up. */
        kfl__patience_begin(&wait, &wait, kfl__clock_deadline_ns(2));
        ck_assert_int_eq(kfl__patience_end(&wait, true), KFL_E_INTR);
        kfl__patience_begin(&other, &other, kfl__clock_deadline_ns(2));
        ck_assert_int_eq(kfl__patience_end(&other, true), KFL_E_INTR);
    }
    while (r == KFL_E_INTR) {
        kfl__patience_begin(&wait, &wait, kfl__clock_deadline_ns(2));
        r = kfl__patience_end(&wait, true);
    }
    ck_assert_int_eq(r, 0);
}
END_TEST

static void hold_both(struct peer *self, void *context)
{
    (void)context;
    if (kfl__robust_lock(&locks->robust, KFL_RANK_CATALOG, -1) != 0 ||
        kfl__lendable_lock(&locks->lendable, KFL_RANK_APPEND, -1) != 0)
        _exit(1);
    peer_tell(self);
    peer_await(self);
    kfl__lendable_unlock(&locks->lendable, KFL_RANK_APPEND);
    kfl__robust_unlock(&locks->robust, KFL_RANK_CATALOG);
}

START_TEST(a_lock_that_another_process_holds_is_given_up)
{
    struct peer peer;
    peer_start(&peer, hold_both, NULL);
    peer_await(&peer);
    kfl__patience_set(1);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(kfl__robust_lock(&locks->robust, KFL_RANK_CATALOG, -1), KFL_E_INTR);
        ck_assert_int_eq(kfl__lendable_lock(&locks->lendable, KFL_RANK_APPEND, -1), KFL_E_INTR);
    }
    ck_assert_int_eq(kfl__lock_highest_rank(), -1);
    int r = KFL_E_INTR;
    while (r == KFL_E_INTR)
        r = kfl__robust_lock(&locks->robust, KFL_RANK_CATALOG, kfl__clock_deadline_ns(20));
    ck_assert_int_eq(r, KFL_LOCK_BUSY);
    peer_tell(&peer);
    peer_join(&peer);
    ck_assert_int_eq(kfl__robust_lock(&locks->robust, KFL_RANK_CATALOG, -1), 0);
    ck_assert_int_eq(kfl__lendable_lock(&locks->lendable, KFL_RANK_APPEND, -1), 0);
    kfl__lendable_unlock(&locks->lendable, KFL_RANK_APPEND);
    kfl__robust_unlock(&locks->robust, KFL_RANK_CATALOG);
}
END_TEST

static KFL_UNCHECKED void give_back(struct kfl__mutex *mutex)
{
    kfl__mutex_unlock(mutex);
}

static void *lose_patience(void *context)
{
    struct kfl__mutex *mutex = context;
    kfl__patience_set(1);
    int r = kfl__mutex_lock_patiently(mutex);
    return (void *)(intptr_t)r;
}

START_TEST(a_mutex_is_given_up_by_who_has_no_patience_and_by_nobody_else)
{
    struct kfl__mutex mutex;
    pthread_t thread;
    void *answer = NULL;
    ck_assert_int_eq(kfl__mutex_init(&mutex, KFL_RANK_HANDLE), 0);
    ck_assert_int_eq(kfl__mutex_lock_patiently(&mutex), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, lose_patience, &mutex), 0);
    pthread_join(thread, &answer);
    ck_assert_int_eq((int)(intptr_t)answer, KFL_E_INTR);
    give_back(&mutex);
    kfl__patience_set(1);
    ck_assert_int_eq(kfl__mutex_lock_patiently(&mutex), 0);
    give_back(&mutex);
    kfl__mutex_destroy(&mutex);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("patience");
    TCase *tests = tcase_create("patience");
    tcase_add_checked_fixture(tests, set_up, NULL);
    tcase_add_test(tests, threads_begin_with_all_the_patience_there_is);
    tcase_add_test(tests, a_wait_with_less_time_of_its_own_is_not_given_up);
    tcase_add_test(tests, patience_is_narrowed_to_what_time_is_left_and_never_widened);
    tcase_add_test(tests, a_wait_that_is_gone_on_with_ends_in_its_own_time);
    tcase_add_test(tests, a_lock_that_another_process_holds_is_given_up);
    tcase_add_test(tests, a_mutex_is_given_up_by_who_has_no_patience_and_by_nobody_else);
    suite_add_tcase(suite, tests);
    return suite;
}
