/* SPDX-License-Identifier: MIT */
/* Calls that the close waits for: each is met, or sees that the store closes. */
#include <pthread.h>

#include "engine/callers.h"
#include "core.h"
#include "suite.h"

/* More than a core: what of it a handle uses. */
static struct kfl__core core;
static const uint8_t living = 1;
static struct handle {
    struct kfl__mutex lock;
    struct kfl__caller caller;
} handles[3];

static void set_up(void)
{
    static char path[] = "here";
    core = (struct kfl__core){.fork_page = &living, .path = path};
    assert_ok(kfl__callers_init(&core));
    for (size_t i = 0; i < 3; i++) {
        handles[i] = (struct handle){.caller = {.lock = &handles[i].lock}};
        assert_ok(kfl__mutex_init(&handles[i].lock, KFL_RANK_HANDLE));
        kfl__callers_add(&core, &handles[i].caller);
    }
}

static void tear_down(void)
{
    for (size_t i = 0; i < 3; i++) {
        kfl__callers_remove(&core, &handles[i].caller);
        kfl__mutex_destroy(&handles[i].lock);
    }
    kfl__callers_destroy(&core);
}

static int enter(struct handle *handle)
{
    kfl__mutex_lock(&handle->lock);
    int r = kfl__caller_enter(&core, &handle->caller);
    kfl__mutex_unlock(&handle->lock);
    return r;
}

static void leave(struct handle *handle)
{
    kfl__mutex_lock(&handle->lock);
    kfl__caller_leave(&handle->caller);
    kfl__mutex_unlock(&handle->lock);
}

START_TEST(a_call_of_any_handle_is_met_until_it_has_left)
{
    for (size_t i = 0; i < 3; i++) {
        ck_assert(!kfl__callers_inside(&core));
        assert_ok(enter(&handles[i]));
        assert_ok(enter(&handles[i]));
        leave(&handles[i]);
        ck_assert(kfl__callers_inside(&core));
        leave(&handles[i]);
    }
    ck_assert(!kfl__callers_inside(&core));
}
END_TEST

START_TEST(who_comes_after_the_close_is_refused_and_not_counted)
{
    assert_ok(enter(&handles[1]));
    atomic_store(&core.closing, 1);
    ck_assert_int_eq(enter(&handles[0]), KFL_E_CLOSED);
    ck_assert_int_eq(enter(&handles[1]), KFL_E_CLOSED);
    leave(&handles[1]);
    ck_assert(!kfl__callers_inside(&core));
}
END_TEST

START_TEST(a_handle_that_is_gone_is_not_looked_at)
{
    assert_ok(enter(&handles[1]));
    kfl__callers_remove(&core, &handles[1].caller);
    ck_assert(!kfl__callers_inside(&core));
    kfl__callers_remove(&core, &handles[1].caller); /* none any more: nothing happens */
    kfl__callers_add(&core, &handles[1].caller);
    ck_assert(kfl__callers_inside(&core));
}
END_TEST

static _Atomic int closed;

static void *call_until_refused(void *context)
{
    struct handle *handle = context;
    while (enter(handle) == 0) {
        ck_assert_int_eq(atomic_load(&closed), 0);
        leave(handle);
    }
    return NULL;
}

START_TEST(when_nobody_is_inside_nobody_comes_in)
{
    for (int round = 0; round < 50; round++) {
        pthread_t threads[3];
        atomic_store(&closed, 0);
        atomic_store(&core.closing, 0);
        for (size_t i = 0; i < 3; i++)
            ck_assert_int_eq(pthread_create(&threads[i], NULL, call_until_refused, &handles[i]), 0);
        atomic_store(&core.closing, 1);
        while (kfl__callers_inside(&core))
            ;
        atomic_store(&closed, 1);
        for (size_t i = 0; i < 3; i++)
            pthread_join(threads[i], NULL);
    }
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("callers");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_test(all, a_call_of_any_handle_is_met_until_it_has_left);
    tcase_add_test(all, who_comes_after_the_close_is_refused_and_not_counted);
    tcase_add_test(all, a_handle_that_is_gone_is_not_looked_at);
    tcase_add_test(all, when_nobody_is_inside_nobody_comes_in);
    suite_add_tcase(suite, all);
    return suite;
}
