/* SPDX-License-Identifier: MIT */
/* Partitions that change hands: what a member gives up, and what it does meanwhile. */
#include "base/fault.h"
#include "group_fixture.h"

static int64_t transactions(void)
{
    return stat_of("catalog_transactions_total", "", -1);
}

/* What waits to be committed and given up, as the helper would do it. */
static void run_chores(void)
{
    while (OK(kfl_store_maintain(store, 1000, NULL)) == 1)
        ;
}

/* `a` has two partitions, was told to give up the second one, and has a record to read in the first. */
static void begin_hand_over(kfl_consumer **out_a, kfl_consumer **out_b)
{
    make_topic("t", 2, NULL);
    kfl_consumer *a = open_member("t", "a"), *b = open_member("t", "b");
    ck_assert_str_eq(settle(a), "A[t/0 t/1]");
    ck_assert_str_eq(settle(b), "A[]");
    ck_assert_int_eq(follow(a), KFL_E_EVENT);
    ck_assert_str_eq(told, "R[t/1] A[]");
    ck_assert_str_eq(has(a), "t/0 t/1");
    send_many("t", 0, 1, 0);
    *out_a = a;
    *out_b = b;
}

/* kafka:E19 Who has something to read gives up what it must behind its back, and what it reads costs no transaction. */
START_TEST(reading_goes_on_while_something_is_given_up)
{
    kfl_consumer *a, *b;
    begin_hand_over(&a, &b);
    int64_t before = transactions();
    ck_assert_int_eq(follow(a), 1);
    ck_assert_str_eq(has(a), "t/0");
    ck_assert_int_eq(transactions(), before);
    ck_assert_str_eq(settle(b), "");
    /* Without the helper the next poll does it, though there is something to read again. */
    send_many("t", 0, 1, 0);
    ck_assert_int_eq(follow(a), 1);
    ck_assert_int_eq(transactions(), before + 1);
    ck_assert_str_eq(settle(b), "A[t/1]");
    close_consumer(a);
    close_consumer(b);
}
END_TEST

/* kafka:E15 Commits that nobody has waited for come before: the next owner goes on behind them. */
START_TEST(what_is_given_up_comes_behind_its_commits)
{
    kfl_consumer *a, *b;
    begin_hand_over(&a, &b);
    send_many("t", 1, 3, 0);
    kfl_partition_offset at = {.topic = "t", .partition = 1};
    OK(kfl_consumer_commit_async(a, &at, 1, NULL));
    at.partition = 0;
    at.offset = 1;
    ck_assert_int_eq(follow(a), 1);
    OK(kfl_consumer_commit_async(a, &at, 1, NULL));
    run_chores();
    ck_assert_str_eq(settle(b), "A[t/1]");
    ck_assert_int_eq(committed_of(b, "t", 0), 1);
    ck_assert_int_eq(committed_of(b, "t", 1), 0);
    /* It is another member's now. */
    at = (kfl_partition_offset){.topic = "t", .partition = 1, .offset = 2};
    FAILS(KFL_E_ILLEGAL_GENERATION, kfl_consumer_commit_offsets(a, &at, 1));
    close_consumer(a);
    close_consumer(b);
}
END_TEST

/*
 * kafka:E1 kafka:E15 While it is on its way back the rows say that it is ours still; and that it is to be ours again, when
 * who was to have it is gone. To believe them would make two owners of the next one's grant.
 */
START_TEST(what_is_given_up_is_not_taken_again_before_it_is_there)
{
    kfl_consumer *a, *b;
    begin_hand_over(&a, &b);
    close_consumer(b);
    ck_assert_int_eq(follow(a), 1);
    ck_assert_str_eq(has(a), "t/0");
    kfl_consumer *c = open_member("t", "c");
    ck_assert_str_eq(settle(c), "A[]");
    run_chores();
    ck_assert_str_eq(settle(c), "A[t/1]");
    ck_assert_str_eq(has(a), "t/0");
    ck_assert_str_eq(settle(a), "A[]");
    ck_assert_str_eq(has(a), "t/0");
    /* Nobody else is to have it: it comes back by a grant. */
    close_consumer(c);
    ck_assert_str_eq(settle(a), "A[t/1]");
    close_consumer(a);
}
END_TEST

/* A close, and another subscription, in between. */
START_TEST(who_leaves_while_something_is_given_up_leaves_all)
{
    kfl_consumer *a, *b;
    begin_hand_over(&a, &b);
    ck_assert_int_eq(follow(a), 1);
    OK(kfl_consumer_subscribe(a, WITH("t", "u"), 2));
    settle(a);
    ck_assert_str_eq(has(a), "t/0");
    ck_assert_str_eq(settle(b), "A[t/1]");
    close_consumer(b);
    ck_assert_str_eq(settle(a), "A[t/1]");
    b = open_member("t", "b");
    settle(b);
    ck_assert_int_eq(follow(a), KFL_E_EVENT);
    send_many("t", 0, 1, 0);
    ck_assert_int_eq(follow(a), 1);
    close_consumer(a);
    ck_assert_str_eq(settle(b), "A[t/0 t/1]");
    close_consumer(b);
}
END_TEST

/* kafka:D1 The error names what is missing, and is over once that is there. */
START_TEST(a_member_without_an_offset_is_told_whose_and_begins_at_one_that_is_committed)
{
    kfl_records *records = NULL;
    make_topic("t", 1, NULL);
    send_many("t", 0, 10, 0);
    kfl_consumer *a =
        open_member_with("t", WITH("auto.offset.reset", "none", "group.id", "billing"));
    ck_assert_int_eq(follow(a), KFL_E_EVENT);
    FAILS(KFL_E_OFFSET_OUT_OF_RANGE, kfl_consumer_poll(a, 0, 0, &records));
    ck_assert_ptr_nonnull(strstr(
        kfl_last_error(), "group billing has no committed offset for partition t/0, and auto"));
    ck_assert_str_eq(kfl_last_error_topic(), "t");
    ck_assert_int_eq(kfl_last_error_partition(), 0);
    ck_assert_int_eq(kfl_last_error_offset(), -1);
    OK(commit_at(a, "t", 0, 3));
    ck_assert_int_eq(OK(kfl_consumer_poll(a, 0, 1, &records)), 1);
    ck_assert_int_eq(kfl_records_get(records, 0)->offset, 3);
    kfl_records_release(records);
    close_consumer(a);
    /* What was committed is no longer there: that is another story. */
    OK(kfl_topic_delete_records(store, "t", 0, 5, NULL));
    kfl_consumer *b =
        open_member_with("t", WITH("auto.offset.reset", "none", "group.id", "billing"));
    ck_assert_int_eq(follow(b), KFL_E_EVENT);
    FAILS(KFL_E_OFFSET_OUT_OF_RANGE, kfl_consumer_poll(b, 0, 0, &records));
    ck_assert_ptr_nonnull(strstr(kfl_last_error(), "group billing has committed offset 3 of "
                                                   "partition t/0, which holds 5 to 10"));
    ck_assert_int_eq(kfl_last_error_offset(), 3);
    close_consumer(b);
}
END_TEST

#ifdef KFL_FAULT_POINTS
/* The poll after tells why, and tries again; until it works it is neither ours nor anybody else's. */
START_TEST(what_could_not_be_given_up_is_tried_again)
{
    kfl_consumer *a, *b;
    kfl_records *records = NULL;
    begin_hand_over(&a, &b);
    ck_assert_int_eq(follow(a), 1);
    send_many("t", 0, 1, 0);
    OK(kfl__fault_arm("catalog.commit:*=EIO"));
    for (int i = 0; i < 3; i++) {
        FAILS(KFL_E_IO, kfl_consumer_poll(a, 0, 0, &records));
        ck_assert_str_eq(has(a), "t/0");
    }
    OK(kfl__fault_arm(NULL));
    ck_assert_str_eq(settle(b), "");
    ck_assert_int_eq(follow(a), 1);
    ck_assert_str_eq(has(a), "t/0");
    ck_assert_str_eq(settle(b), "A[t/1]");
    close_consumer(a);
    close_consumer(b);
}
END_TEST
#endif

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("api/handover");
    TCase *all = tcase_create("by hand");
    tcase_add_checked_fixture(all, disk_set_up, disk_tear_down);
    tcase_set_timeout(all, 60);
    tcase_add_test(all, reading_goes_on_while_something_is_given_up);
    tcase_add_test(all, what_is_given_up_comes_behind_its_commits);
    tcase_add_test(all, what_is_given_up_is_not_taken_again_before_it_is_there);
    tcase_add_test(all, who_leaves_while_something_is_given_up_leaves_all);
    tcase_add_test(all,
                   a_member_without_an_offset_is_told_whose_and_begins_at_one_that_is_committed);
#ifdef KFL_FAULT_POINTS
    tcase_add_test(all, what_could_not_be_given_up_is_tried_again);
#endif
    suite_add_tcase(suite, all);
    return suite;
}
