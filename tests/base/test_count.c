/* SPDX-License-Identifier: MIT */
#include "base/count.h"

#include <check.h>
#include <pthread.h>

#include "suite.h"

#define THREADS 4
#define TURNS 20000

START_TEST(only_the_last_share_destroys)
{
    struct kfl__count count;
    kfl__count_init(&count);
    kfl__count_acquire(&count);
    kfl__count_acquire(&count);
    ck_assert(!kfl__count_release(&count));
    ck_assert(!kfl__count_release(&count));
    ck_assert(kfl__count_release(&count));
}
END_TEST

struct counted {
    struct kfl__count count;
    int written; /* by a sharer before it releases, read by who destroys */
    _Atomic int destroyed;
};

static void *share_and_release(void *context)
{
    struct counted *counted = context;
    for (int i = 0; i < TURNS; i++) {
        kfl__count_acquire(&counted->count);
        if (kfl__count_release(&counted->count))
            atomic_fetch_add(&counted->destroyed, 1);
    }
    return NULL;
}

START_TEST(threads_that_share_never_destroy_under_each_other)
{
    struct counted counted = {.written = 0};
    kfl__count_init(&counted.count);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, share_and_release, &counted), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_int_eq(atomic_load(&counted.destroyed), 0);
    ck_assert(kfl__count_release(&counted.count));
}
END_TEST

static void *write_and_release(void *context)
{
    struct counted *counted = context;
    counted->written++;
    if (kfl__count_release(&counted->count))
        atomic_store(&counted->destroyed, counted->written);
    return NULL;
}

/* Under the thread sanitizer this also shows that a release orders what came before it. */
START_TEST(who_destroys_sees_what_the_others_wrote)
{
    for (int turn = 0; turn < 200; turn++) {
        struct counted counted = {.written = 0};
        kfl__count_init(&counted.count);
        kfl__count_acquire(&counted.count);
        pthread_t thread;
        ck_assert_int_eq(pthread_create(&thread, NULL, write_and_release, &counted), 0);
        if (kfl__count_release(&counted.count))
            atomic_store(&counted.destroyed, counted.written);
        pthread_join(thread, NULL);
        ck_assert_int_eq(atomic_load(&counted.destroyed), 1);
    }
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("count");
    TCase *shares = tcase_create("shares");
    tcase_add_test(shares, only_the_last_share_destroys);
    tcase_add_test(shares, threads_that_share_never_destroy_under_each_other);
    tcase_add_test(shares, who_destroys_sees_what_the_others_wrote);
    suite_add_tcase(suite, shares);
    return suite;
}
