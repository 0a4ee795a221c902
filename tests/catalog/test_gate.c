/* SPDX-License-Identifier: MIT */
/* Who waits to change the catalog is not forgotten, whoever else is killed. */
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "base/check.h"
#include "child.h"
#include "fixture.h"
#include "peer.h"
#include "suite.h"

struct gates {
    struct kfl__robust writers, readers;
};

static struct gates *gates;

static void set_up_gates(void)
{
    set_up_catalog();
    gates = child_share(sizeof *gates);
    assert_ok(kfl__robust_init(&gates->writers));
    assert_ok(kfl__robust_init(&gates->readers));
    kfl__catalog_share(catalog, &gates->writers, &gates->readers);
}

/* Opened while the other one waits, as everybody does who finds the store in use. */
static void join_catalog(void)
{
    catalog = NULL;
    options.check = false;
    assert_ok(open_catalog());
    kfl__catalog_share(catalog, &gates->writers, &gates->readers);
}

#ifndef KFL_THREAD_SANITIZER
static void change_once(struct peer *self, void *context)
{
    uint64_t topic_id = *(const uint64_t *)context;
    join_catalog();
    peer_tell(self);
    peer_await(self);
    assert_ok(commit_offset("g", topic_id, 0, 1));
    close_catalog();
    peer_tell(self);
}

static bool is_asleep(pid_t pid)
{
    char path[40], text[200];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[size] = '\0';
    return strrchr(text, ')')[2] == 'S';
}

static void let_wait(struct peer *peer)
{
    peer_tell(peer);
    for (int asleep = 0; asleep < 20;) {
        nanosleep(&(struct timespec){0, 500000}, NULL);
        asleep = is_asleep(peer->pid) ? asleep + 1 : 0;
    }
}

static struct peer first, second;

static int both_wait(struct kfl__catalog_txn *txn, void *context)
{
    (void)txn;
    (void)context;
    let_wait(&first);
    let_wait(&second);
    /* It is the one who is woken, and it will not run any more. */
    ck_assert_int_eq(kill(first.pid, SIGSTOP), 0);
    return 0;
}

static int the_woken_one_dies(struct kfl__catalog_txn *txn, void *context)
{
    (void)txn;
    (void)context;
    peer_kill(&first);
    return 0;
}
#endif

START_TEST(a_waiter_that_is_woken_and_killed_takes_no_other_with_it)
{
#ifndef KFL_THREAD_SANITIZER /* nobody sleeps in a lock there, so nobody is woken */
    uint64_t topic_id;
    assert_ok(create_topic("t", 1, NULL, &topic_id));
    close_catalog();
    peer_start(&first, change_once, &topic_id);
    peer_start(&second, change_once, &topic_id);
    peer_await(&first);
    peer_await(&second);
    join_catalog();
    assert_ok(kfl__catalog_change_run(catalog, both_wait, NULL));
    assert_ok(kfl__catalog_change_run(catalog, the_woken_one_dies, NULL));
    /* Nobody asks for the catalog now: whoever sleeps must come by itself. */
    peer_await(&second);
    peer_join(&second);
    ck_assert_int_eq(committed_offset("g", topic_id, 0), 1);
#endif
}
END_TEST

static int die_inside(struct kfl__catalog_txn *txn, void *context)
{
    (void)txn;
    (void)context;
    raise(SIGKILL);
    return 0;
}

static int killed_inside(void *context)
{
    (void)context;
    join_catalog();
    return kfl__catalog_change_run(catalog, die_inside, NULL);
}

START_TEST(a_gate_whose_holder_was_killed_opens)
{
    uint64_t topic_id;
    assert_ok(create_topic("t", 1, NULL, &topic_id));
    close_catalog();
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(child_run(killed_inside, NULL), -SIGKILL);
        join_catalog();
        assert_ok(commit_offset("g", topic_id, 0, i));
        ck_assert_int_eq(committed_offset("g", topic_id, 0), i);
        close_catalog();
    }
}
END_TEST

START_TEST(a_gate_that_was_overwritten_is_no_obstacle)
{
    uint64_t topic_id;
    memset(gates, 0xee, sizeof *gates);
    assert_ok(create_topic("t", 1, NULL, &topic_id));
    assert_ok(commit_offset("g", topic_id, 0, 7));
    ck_assert_int_eq(committed_offset("g", topic_id, 0), 7);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("gate");
    TCase *tests = tcase_create("gate");
    tcase_add_checked_fixture(tests, set_up_gates, tear_down_catalog);
    tcase_add_test(tests, a_waiter_that_is_woken_and_killed_takes_no_other_with_it);
    tcase_add_test(tests, a_gate_whose_holder_was_killed_opens);
    tcase_add_test(tests, a_gate_that_was_overwritten_is_no_obstacle);
    suite_add_tcase(suite, tests);
    return suite;
}
