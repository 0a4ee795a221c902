/* SPDX-License-Identifier: MIT */
/* Members in other processes: killed, ended without a close, coming back under their instance id. */
#include <signal.h>
#include <stdbool.h>

#include "group_fixture.h"
#include "peer.h"

static void set_up(void)
{
    temp_dir_make();
}

static void tear_down(void)
{
    kfl_store_close(store);
    store = NULL;
    temp_dir_remove();
}

struct plan {
    const char *const *properties; /* of the consumer */
    bool keeps;                    /* ends by itself, without closing anything */
};

/* The peer's member polls until it is told to go on, or is killed. */
static void peer_run(struct peer *self, void *context)
{
    const struct plan *plan = context;
    store = open_store(temp_dir_path(), IN_A_CHILD);
    kfl_consumer *consumer = open_member_with("t", plan->properties);
    while (strcmp(has(consumer), "") == 0)
        settle(consumer);
    OK(kfl_consumer_commit(consumer, NULL));
    peer_tell(self);
    peer_await(self);
    if (plan->keeps)
        _exit(0);
    for (;;)
        pause();
}

/* Polls, sleeping, until an event; what it tells. */
static const char *wait_event(kfl_consumer *consumer)
{
    kfl_records *records = NULL;
    for (int i = 0; i < 20; i++) {
        int n = kfl_consumer_poll(consumer, 1000, 0, &records);
        if (n == KFL_E_EVENT) {
            take_events(consumer);
            return told;
        }
        ck_assert_int_eq(OK(n), 0);
    }
    return "nothing";
}

/* kafka:E5 rule:R19 Killed, or ended without a close: the next owner sleeps in a poll, and is woken. */
START_TEST(a_member_whose_process_is_gone_is_replaced)
{
    struct peer peer;
    struct plan plan = {WITH("client.id", "peer"), (_i & 1) != 0};
    store = open_store(temp_dir_path(), NULL);
    make_topic("t", 2, NULL);
    OK(kfl_store_close(store));
    peer_start(&peer, peer_run, &plan);
    peer_await(&peer);
    store = open_store(temp_dir_path(), (_i & 2) != 0 ? WITH("background.threads", "0") : NULL);
    kfl_consumer *a = open_member("t", "a");
    ck_assert_str_eq(settle(a), "A[]");
    if (plan.keeps) {
        peer_tell(&peer);
        peer_join(&peer);
    } else {
        peer_kill(&peer);
    }
    ck_assert_str_eq(wait_event(a), "A[t/0 t/1]");
    ck_assert_int_eq(members_of("g"), 1);
    close_consumer(a);
}
END_TEST

/* kafka:E8 kafka:D10 The partitions of a static member wait for it, and nobody else commits meanwhile. */
START_TEST(a_static_member_that_was_killed_comes_back)
{
    struct peer peer;
    struct plan plan = {WITH("group.instance.id", "one"), false};
    store = open_store(temp_dir_path(), NULL);
    make_topic("t", 2, NULL);
    OK(kfl_store_close(store));
    peer_start(&peer, peer_run, &plan);
    peer_await(&peer);
    store = open_store(temp_dir_path(), NULL);
    kfl_consumer *loner = open_consumer(WITH("group.id", "g"));
    peer_kill(&peer);
    int32_t generation = generation_of("g");
    kfl_group *group = describe("g");
    ck_assert_int_eq(kfl_group_member(group, 0)->is_away, 1);
    kfl_group_release(group);
    FAILS(KFL_E_UNKNOWN_MEMBER_ID, commit_at(loner, "t", 0, 0));
    kfl_consumer *back = open_member_with("t", WITH("group.instance.id", "one"));
    ck_assert_str_eq(settle(back), "A[t/0 t/1]");
    ck_assert_int_eq(generation_of("g"), generation);
    close_consumer(loner);
    close_consumer(back);
}
END_TEST

/* Of a group whose members have all been killed nobody keeps anybody from committing or deleting. */
START_TEST(the_dead_do_not_hold_a_group)
{
    struct peer peer;
    struct plan plan = {NULL, false};
    kfl_partition_offset at = {.topic = "t"};
    store = open_store(temp_dir_path(), NULL);
    make_topic("t", 2, NULL);
    OK(kfl_store_close(store));
    peer_start(&peer, peer_run, &plan);
    peer_await(&peer);
    peer_kill(&peer);
    store = open_store(temp_dir_path(), WITH("background.threads", "0"));
    OK(kfl_group_commit_offsets(store, "g", &at, 1));
    ck_assert_int_eq(members_of("g"), 0);
    OK(kfl_group_delete(store, "g"));
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("api/group_processes");
    TCase *all = tcase_create("processes");
    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_set_timeout(all, 120);
    tcase_add_loop_test(all, a_member_whose_process_is_gone_is_replaced, 0, 4);
    tcase_add_test(all, a_static_member_that_was_killed_comes_back);
    tcase_add_test(all, the_dead_do_not_hold_a_group);
    suite_add_tcase(suite, all);
    return suite;
}
