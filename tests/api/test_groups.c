/* SPDX-License-Identifier: MIT */
/* Members of a group in one process: join, share, hand over, leave. */
#include <stdbool.h>

#include "base/fault.h"
#include "group_fixture.h"

/* kafka:E1 kafka:E11 kafka:E14 A member alone has everything, and is told once. */
START_TEST(the_first_member_owns_everything)
{
    make_topic("t", 3, NULL);
    kfl_consumer *a = open_member("t", "a");
    ck_assert_str_eq(settle(a), "A[t/0 t/1 t/2]");
    ck_assert_str_eq(has(a), "t/0 t/1 t/2");
    ck_assert_str_eq(kfl_property_default("partition.assignment.strategy"),
                     "range,cooperative-sticky");
    ck_assert_int_eq(state_of("g"), KFL_GROUP_STABLE);
    ck_assert_str_eq(settle(a), "");
    OK(kfl_consumer_commit(a, NULL));
    close_consumer(a);
    ck_assert_int_eq(state_of("g"), KFL_GROUP_EMPTY);
}
END_TEST

/* kafka:E1 kafka:E13 kafka:E15 kafka:E19 */
START_TEST(a_second_member_gets_its_share_once_it_was_given_up)
{
    make_topic("t", 3, NULL);
    kfl_consumer *a = open_member("t", "a"), *b = open_member("t", "b");
    settle(a);
    ck_assert_str_eq(settle(b), "A[]");
    ck_assert_str_eq(has(b), "");
    ck_assert_int_eq(state_of("g"), KFL_GROUP_PREPARING_REBALANCE);
    /* Only what moves is revoked, and it stays ours until the poll after the event. */
    ck_assert_int_eq(follow(a), KFL_E_EVENT);
    ck_assert_str_eq(told, "R[t/2] A[]");
    ck_assert_str_eq(has(a), "t/0 t/1 t/2");
    ck_assert_str_eq(settle(b), "");
    OK(commit_at(a, "t", 2, 0));
    ck_assert_int_eq(follow(a), 0);
    ck_assert_str_eq(has(a), "t/0 t/1");
    ck_assert_str_eq(settle(b), "A[t/2]");
    ck_assert_str_eq(has(b), "t/2");
    ck_assert_int_eq(state_of("g"), KFL_GROUP_STABLE);
    FAILS(KFL_E_ILLEGAL_GENERATION, commit_at(a, "t", 2, 0));
    OK(commit_at(b, "t", 2, 0));
    close_consumer(a);
    ck_assert_str_eq(settle(b), "A[t/0 t/1]");
    close_consumer(b);
}
END_TEST

/* kafka:E2 */
START_TEST(each_rebalance_adds_one_to_the_generation)
{
    make_topic("t", 4, NULL);
    kfl_consumer *members[4];
    int32_t generation = 0;
    for (int i = 0; i < 4; i++) {
        char name[8];
        snprintf(name, sizeof name, "m%d", i);
        members[i] = open_member("t", name);
        for (int round = 0; round < 3; round++)
            for (int j = 0; j <= i; j++)
                settle(members[j]);
        ck_assert_int_eq(generation_of("g"), ++generation);
        for (int j = 0; j <= i; j++) {
            int32_t taken = -1;
            OK(kfl_consumer_member(members[j], NULL, &taken));
            ck_assert_int_eq(taken, generation);
        }
    }
    OK(kfl_consumer_commit(members[3], NULL));
    for (int i = 0; i < 4; i++) {
        close_consumer(members[i]);
        ck_assert_int_eq(generation_of("g"), ++generation);
    }
}
END_TEST

/* kafka:E1 Surplus members own nothing. */
START_TEST(more_members_than_partitions_leave_some_with_nothing)
{
    make_topic("t", 2, NULL);
    kfl_consumer *members[3];
    for (int i = 0; i < 3; i++) {
        char name[8];
        snprintf(name, sizeof name, "m%d", i);
        members[i] = open_member("t", name);
    }
    for (int round = 0; round < 4; round++)
        for (int i = 0; i < 3; i++)
            settle(members[i]);
    ck_assert_str_eq(has(members[0]), "t/0");
    ck_assert_str_eq(has(members[1]), "t/1");
    ck_assert_str_eq(has(members[2]), "");
    for (int i = 0; i < 3; i++)
        close_consumer(members[i]);
}
END_TEST

/* kafka:C14 */
START_TEST(assign_and_subscribe_exclude_each_other)
{
    make_topic("t", 2, NULL);
    kfl_consumer *a = open_member("t", "a");
    kfl_partition_offset wish = {.topic = "t"};
    FAILS(KFL_E_INVALID, kfl_consumer_assign(a, &wish, 1));
    OK(kfl_consumer_unsubscribe(a));
    OK(kfl_consumer_assign(a, &wish, 1));
    FAILS(KFL_E_INVALID, kfl_consumer_subscribe(a, WITH("t"), 1));
    FAILS(KFL_E_INVALID, kfl_consumer_subscribe_pattern(a, "t.*"));
    OK(kfl_consumer_assign(a, NULL, 0));
    OK(kfl_consumer_subscribe(a, WITH("t"), 1));
    ck_assert_str_eq(settle(a), "A[t/0 t/1]");
    close_consumer(a);
}
END_TEST

/* kafka:A9 kafka:E17 */
START_TEST(a_topic_that_appears_later_is_read)
{
    kfl_consumer *a = open_member("later", "a");
    ck_assert_str_eq(settle(a), "A[]");
    make_topic("later", 2, NULL);
    ck_assert_str_eq(settle(a), "A[later/0 later/1]");
    OK(kfl_topic_add_partitions(store, "later", 3));
    ck_assert_str_eq(settle(a), "A[later/2]");
    int32_t generation = generation_of("g");
    make_topic("other", 1, NULL);
    ck_assert_str_eq(settle(a), "");
    ck_assert_int_eq(generation_of("g"), generation);
    close_consumer(a);
}
END_TEST

/* kafka:A8 kafka:E17 */
START_TEST(a_pattern_matches_whole_names_and_nothing_internal)
{
    make_topic("orders", 1, NULL);
    make_topic("reorders", 1, NULL);
    make_topic("__orders", 1, NULL);
    kfl_consumer *a = open_member(NULL, "a");
    OK(kfl_consumer_subscribe_pattern(a, "(or|__or|x)ders?"));
    ck_assert_str_eq(settle(a), "A[orders/0]");
    make_topic("xders", 1, NULL);
    ck_assert_str_eq(settle(a), "A[xders/0]");
    kfl_names *names = NULL;
    OK(kfl_consumer_subscription(a, &names));
    ck_assert_int_eq(kfl_names_count(names), 2);
    ck_assert_str_eq(kfl_names_get(names, 1), "xders");
    kfl_names_release(names);
    close_consumer(a);

    kfl_consumer *b = open_member_with(NULL, WITH("exclude.internal.topics", "false"));
    FAILS(KFL_E_BAD_VALUE, kfl_consumer_subscribe_pattern(b, "(oops"));
    FAILS(KFL_E_INVALID, kfl_consumer_subscribe_pattern(b, ""));
    OK(kfl_consumer_subscribe_pattern(b, ".*"));
    settle(b);
    ck_assert_str_eq(has(b), "__orders/0 orders/0 reorders/0 xders/0");
    close_consumer(b);
    /* By name it is asked for. */
    kfl_consumer *c = open_member("__orders", "c");
    ck_assert_str_eq(settle(c), "A[__orders/0]");
    close_consumer(c);
}
END_TEST

/* kafka:A7 */
START_TEST(a_deleted_topic_is_revoked_and_its_namesake_begins_anew)
{
    make_topic("t", 1, NULL);
    make_topic("u", 1, NULL);
    send_many("t", 0, 5, 0);
    kfl_consumer *a = open_member(NULL, "a");
    OK(kfl_consumer_subscribe(a, WITH("t", "u"), 2));
    settle(a);
    OK(commit_at(a, "t", 0, 5));
    OK(kfl_topic_delete(store, "t"));
    ck_assert_str_eq(settle(a), "R[t/0] A[]");
    ck_assert_str_eq(has(a), "u/0");
    make_topic("t", 1, NULL);
    send_many("t", 0, 2, 0);
    ck_assert_str_eq(settle(a), "A[t/0]");
    ck_assert_int_eq(committed_of(a, "t", 0), -1);
    ck_assert_int_eq(position_of(a, "t", 0), 2);
    close_consumer(a);
}
END_TEST

/* kafka:E18 */
START_TEST(each_group_gets_every_record)
{
    make_topic("t", 2, NULL);
    send_many("t", 0, 10, 0);
    send_many("t", 1, 10, 0);
    for (int i = 0; i < 3; i++) {
        char name[8];
        int total = 0;
        snprintf(name, sizeof name, "g%d", i);
        kfl_consumer *consumer = open_member_with("t", WITH("group.id", name));
        for (int n = 0; n >= 0 && total < 20;) {
            kfl_records *records = NULL;
            n = kfl_consumer_poll(consumer, 1000, 0, &records);
            if (n == KFL_E_EVENT) {
                take_events(consumer);
                n = 0;
            }
            OK(n);
            total += n;
            kfl_records_release(records);
        }
        ck_assert_int_eq(total, 20);
        close_consumer(consumer);
    }
}
END_TEST

/* kafka:E10 */
START_TEST(members_without_a_common_assignor_do_not_mix)
{
    make_topic("t", 2, NULL);
    kfl_consumer *a = open_member_with("t", WITH("partition.assignment.strategy", "range"));
    kfl_consumer *b = open_member_with("t", WITH("partition.assignment.strategy", "sticky"));
    settle(a);
    kfl_records *records = NULL;
    FAILS(KFL_E_INCONSISTENT_GROUP_PROTOCOL, kfl_consumer_poll(b, 0, 0, &records));
    ck_assert_str_eq(settle(a), "");
    ck_assert_int_eq(members_of("g"), 1);
    close_consumer(a);
    ck_assert_str_eq(settle(b), "A[t/0 t/1]");
    kfl_group *group = describe("g");
    ck_assert_str_eq(kfl_group_assignor(group), "sticky");
    kfl_group_release(group);
    close_consumer(b);
    kfl_config *config = config_of(WITH("group.id", "g", "partition.assignment.strategy", "rang"));
    FAILS(KFL_E_BAD_VALUE, kfl_consumer_open(store, config, &a));
    OK(kfl_config_set(config, "partition.assignment.strategy", "range,range"));
    FAILS(KFL_E_BAD_VALUE, kfl_consumer_open(store, config, &a));
    kfl_config_destroy(config);
}
END_TEST

/* kafka:E5 kafka:E7 */
START_TEST(who_closes_or_unsubscribes_is_replaced_at_once)
{
    make_topic("t", 2, NULL);
    kfl_consumer *a = open_member("t", "a"), *b = open_member("t", "b");
    settle(a), settle(b), settle(a), settle(b);
    ck_assert_str_eq(has(b), "t/1");
    OK(kfl_consumer_unsubscribe(a));
    ck_assert_str_eq(has(a), "");
    ck_assert_str_eq(settle(b), "A[t/0]");
    ck_assert_int_eq(members_of("g"), 1);
    FAILS(KFL_E_UNKNOWN_MEMBER_ID, kfl_consumer_member(a, NULL, NULL));
    OK(kfl_consumer_unsubscribe(a));
    close_consumer(a);
    close_consumer(b);
}
END_TEST

/* Another subscription is another share. */
START_TEST(a_member_may_change_its_subscription)
{
    make_topic("t", 1, NULL);
    make_topic("u", 1, NULL);
    kfl_consumer *a = open_member("t", "a");
    settle(a);
    const char *id = id_of(a);
    OK(kfl_consumer_subscribe(a, WITH("u"), 1));
    ck_assert_str_eq(settle(a), "R[t/0] A[u/0]");
    ck_assert_str_eq(has(a), "u/0");
    ck_assert_str_eq(id_of(a), id);
    close_consumer(a);
}
END_TEST

/* kafka:E3 kafka:D10 */
START_TEST(who_is_no_member_commits_only_for_an_empty_group)
{
    make_topic("t", 1, NULL);
    send_many("t", 0, 3, 0);
    kfl_consumer *a = open_member("t", "a");
    kfl_consumer *loner = open_consumer(WITH("group.id", "g"));
    kfl_partition_offset at = {.topic = "t", .offset = 2};
    OK(commit_at(loner, "t", 0, 1));
    OK(kfl_group_commit_offsets(store, "g", &at, 1));
    FAILS(KFL_E_UNKNOWN_MEMBER_ID, commit_at(a, "t", 0, 1)); /* it has not joined */
    settle(a);
    FAILS(KFL_E_UNKNOWN_MEMBER_ID, commit_at(loner, "t", 0, 1));
    FAILS(KFL_E_UNKNOWN_MEMBER_ID, kfl_group_commit_offsets(store, "g", &at, 1));
    OK(commit_at(a, "t", 0, 3));
    close_consumer(a);
    OK(commit_at(loner, "t", 0, 1));
    close_consumer(loner);
}
END_TEST

/* kafka:E6 */
START_TEST(a_member_that_does_not_poll_loses_its_place)
{
    make_topic("t", 2, NULL);
    kfl_consumer *a = open_member_with("t", WITH("client.id", "a", "max.poll.interval.ms", "1"));
    kfl_consumer *b = open_member("t", "b");
    settle(a);
    usleep(20000); /* more than the interval; what it must not do is time, and not a state */
    ck_assert_str_eq(settle(b), "A[t/0 t/1]");
    FAILS(KFL_E_UNKNOWN_MEMBER_ID, commit_at(a, "t", 0, 0));
    ck_assert_int_eq(follow(a), KFL_E_EVENT);
    ck_assert_str_eq(told, "L[t/0 t/1]");
    ck_assert_str_eq(has(a), "");
    close_consumer(b);
    /* The next poll joins again. */
    for (int i = 0; i < 100 && strcmp(has(a), "t/0 t/1") != 0; i++)
        settle(a);
    ck_assert_str_eq(has(a), "t/0 t/1");
    close_consumer(a);
}
END_TEST

/* Records of a partition that another member had in between do not take its group back. */
START_TEST(old_records_commit_nothing_after_a_change_of_hands)
{
    make_topic("t", 2, NULL);
    send_many("t", 1, 3, 0);
    kfl_consumer *a = open_member("t", "a"), *b = open_member("t", "b");
    kfl_records *records = NULL;
    settle(b);
    ck_assert_int_eq(kfl_consumer_poll(b, 0, 0, &records), 0);
    OK(kfl_consumer_seek(b, "t", 1, 0));
    ck_assert_int_eq(OK(kfl_consumer_poll(b, 0, 0, &records)), 3);
    /* a joins, and gets t/0; b goes and comes, and has t/1 again. */
    settle(a), settle(b), settle(a);
    ck_assert_str_eq(has(b), "t/1");
    OK(kfl_consumer_commit(b, records));
    OK(kfl_consumer_unsubscribe(b));
    settle(a);
    OK(commit_at(a, "t", 1, 3));
    OK(kfl_consumer_subscribe(b, WITH("t"), 1));
    settle(b), settle(a), settle(b);
    ck_assert_str_eq(has(b), "t/1");
    FAILS(KFL_E_ILLEGAL_GENERATION, kfl_consumer_commit(b, records));
    kfl_records_release(records);
    close_consumer(a);
    close_consumer(b);
}
END_TEST

/* kafka:E8 kafka:E9 kafka:E7 */
START_TEST(a_static_member_returns_to_what_it_had)
{
    make_topic("t", 4, NULL);
    kfl_consumer *a = open_member_with("t", WITH("group.instance.id", "one"));
    kfl_consumer *b = open_member_with("t", WITH("group.instance.id", "two"));
    settle(a), settle(b), settle(a), settle(b);
    ck_assert_str_eq(has(a), "t/0 t/1");
    int32_t generation = generation_of("g");
    close_consumer(a);
    ck_assert_str_eq(settle(b), "");
    a = open_member_with("t", WITH("group.instance.id", "one"));
    ck_assert_str_eq(settle(a), "A[t/0 t/1]");
    ck_assert_str_eq(settle(b), "");
    ck_assert_int_eq(generation_of("g"), generation);
    ck_assert_int_eq(state_of("g"), KFL_GROUP_STABLE);

    /* Two of one name: the newer one has it. */
    kfl_consumer *newer = open_member_with("t", WITH("group.instance.id", "one"));
    ck_assert_str_eq(settle(newer), "A[t/0 t/1]");
    FAILS(KFL_E_FENCED_INSTANCE_ID, commit_at(a, "t", 0, 0));
    ck_assert_int_eq(follow(a), KFL_E_EVENT);
    ck_assert_str_eq(told, "L[t/0 t/1]");
    kfl_records *records = NULL;
    FAILS(KFL_E_FENCED_INSTANCE_ID, kfl_consumer_poll(a, 0, 0, &records));
    FAILS(KFL_E_FENCED_INSTANCE_ID, commit_at(a, "t", 0, 0));
    OK(commit_at(newer, "t", 0, 0));
    close_consumer(a);
    ck_assert_int_eq(members_of("g"), 2);
    close_consumer(newer);
    close_consumer(b);
}
END_TEST

/* kafka:E8 The session runs out by the store's clock. */
START_TEST(a_static_member_that_stays_away_is_replaced)
{
    make_topic("t", 2, NULL);
    OK(kfl_store_set_clock(store, NOW_MS));
    kfl_consumer *a =
        open_member_with("t", WITH("group.instance.id", "one", "session.timeout.ms", "1000"));
    kfl_consumer *b = open_member_with("t", WITH("group.instance.id", "two"));
    settle(a), settle(b), settle(a), settle(b);
    ck_assert_str_eq(has(b), "t/1");
    close_consumer(a);
    kfl_consumer *c = open_member("t", "c");
    OK(kfl_store_set_clock(store, NOW_MS + 1000));
    settle(c);
    ck_assert_str_eq(has(c), "");
    close_consumer(c);
    ck_assert_str_eq(settle(b), "A[]");
    ck_assert_str_eq(has(b), "t/1");
    OK(kfl_store_set_clock(store, NOW_MS + 1001));
    c = open_member("t", "c");
    settle(c), settle(b), settle(c);
    ck_assert_int_eq(members_of("g"), 2);
    ck_assert_str_eq(has(b), "t/0");
    ck_assert_str_eq(has(c), "t/1");
    close_consumer(b);
    close_consumer(c);
}
END_TEST

/* kafka:E12 kafka:E16 Between polls a consumer's partitions stay what they are, whatever the group does. */
START_TEST(nothing_changes_but_in_a_poll)
{
    kfl_event *event = NULL;
    make_topic("t", 2, NULL);
    kfl_consumer *a = open_member("t", "a"), *b = open_member("t", "b");
    settle(a), settle(b);
    ck_assert_str_eq(has(a), "t/0 t/1");
    ck_assert_int_eq(kfl_consumer_next_event(a, &event), 0);
    kfl_records *records = NULL;
    ck_assert_int_eq(kfl_consumer_poll(a, 0, 0, &records), KFL_E_EVENT);
    /* As long as the event is not taken there is nothing else to be had, and nothing is given up. */
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(kfl_consumer_poll(a, 0, 0, &records), KFL_E_EVENT);
    ck_assert_str_eq(has(a), "t/0 t/1");
    ck_assert_str_eq(settle(b), "");
    take_events(a);
    ck_assert_str_eq(told, "R[t/1] A[]");
    settle(a);
    ck_assert_str_eq(has(a), "t/0");
    close_consumer(a);
    close_consumer(b);
}
END_TEST

/* kafka:D1 With none, the poll says what is missing, until somebody seeks; the others are read. */
START_TEST(a_partition_without_an_offset_waits_for_a_seek)
{
    kfl_records *records = NULL;
    make_topic("t", 1, NULL);
    send_many("t", 0, 2, 0);
    kfl_consumer *a = open_member_with("t", WITH("auto.offset.reset", "none"));
    ck_assert_int_eq(follow(a), KFL_E_EVENT);
    ck_assert_str_eq(told, "A[t/0]");
    FAILS(KFL_E_OFFSET_OUT_OF_RANGE, kfl_consumer_poll(a, 0, 0, &records));
    OK(kfl_consumer_commit(a, NULL)); /* there is no position to commit */
    ck_assert_int_eq(committed_of(a, "t", 0), -1);
    OK(kfl_consumer_seek(a, "t", 0, 1));
    ck_assert_int_eq(OK(kfl_consumer_poll(a, 0, 0, &records)), 1);
    kfl_records_release(records);
    close_consumer(a);
}
END_TEST

START_TEST(properties_that_need_others_are_refused)
{
    kfl_consumer *consumer = NULL;
    const char *const *wrong[] = {
        WITH("session.timeout.ms", "1000", "group.id", "g"),
        WITH("group.instance.id", "i"),
        WITH("enable.auto.commit", "true"),
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        kfl_config *config = config_of(wrong[i]);
        FAILS(KFL_E_INVALID_CONFIG, kfl_consumer_open(store, config, &consumer));
        kfl_config_destroy(config);
    }
    consumer = open_consumer(NULL);
    FAILS(KFL_E_INVALID_GROUP_ID, kfl_consumer_subscribe(consumer, WITH("t"), 1));
    FAILS(KFL_E_INVALID_GROUP_ID, kfl_consumer_subscribe_pattern(consumer, "t"));
    close_consumer(consumer);
    consumer = open_member(NULL, "a");
    FAILS(KFL_E_INVALID_TOPIC, kfl_consumer_subscribe(consumer, WITH("a/b"), 1));
    FAILS(KFL_E_INVALID, kfl_consumer_subscribe(consumer, WITH("a", "a"), 2));
    FAILS(KFL_E_INVALID, kfl_consumer_subscribe(consumer, WITH("a"), 0));
    close_consumer(consumer);
}
END_TEST

#ifdef KFL_FAULT_POINTS

static int faults_met;

/* Again and again until it works: one failure is all there is. */
static int insist(int r)
{
    faults_met += r < 0 && r != KFL_E_EVENT;
    return r;
}

/* Polls until the consumer has what it is to have. */
static void insist_on(kfl_consumer *consumer, const char *partitions, kfl_consumer *other)
{
    for (int i = 0; i < 50; i++) {
        kfl_event *event = NULL;
        if (insist(follow(consumer)) != KFL_E_EVENT && strcmp(has(consumer), partitions) == 0)
            return;
        kfl_group *group = NULL;
        if (other != NULL)
            (void)insist(follow(other));
        /* Who left and could not say so is found out by whoever looks. */
        if (kfl_group_describe(store, "g", &group) == 0)
            kfl_group_release(group);
        while (kfl_consumer_next_event(consumer, &event) == 1)
            kfl_event_release(event);
    }
    ck_abort_msg("never has %s: %s", partitions, has(consumer));
}

static void run_a_group(const char *plan)
{
    kfl_consumer *a = open_member(NULL, "a"), *b = open_member(NULL, "b");
    OK(kfl__fault_arm(plan));
    while (insist(kfl_consumer_subscribe(a, WITH("t"), 1)) < 0)
        ;
    while (insist(kfl_consumer_subscribe_pattern(b, "t")) < 0)
        ;
    insist_on(a, "t/0 t/1", NULL);
    insist_on(b, "t/1", a);
    insist_on(a, "t/0", b);
    while (insist(kfl_consumer_commit(a, NULL)) < 0)
        ;
    while (insist(kfl_consumer_commit_async(b, NULL, 0, NULL)) < 0)
        ;
    while (insist(kfl_consumer_unsubscribe(a)) < 0 && strcmp(has(a), "") != 0)
        ;
    insist_on(b, "t/0 t/1", NULL);
    (void)insist(kfl_consumer_close(a));
    (void)insist(kfl_consumer_close(b));
    OK(kfl__fault_arm(NULL));
}

/* Memory that is refused, a transaction that fails: an error of the call, and nobody loses a partition. */
START_TEST(a_call_that_fails_harms_no_group)
{
    static const char *const plans[] = {"memory.alloc:%d=ENOMEM", "catalog.commit:%d=EIO"};
    make_topic("t", 2, NULL);
    run_a_group(NULL);
    /* What fails behind a poll's back is tried again, and told only if it fails again: that is quiet, too. */
    for (int n = 1, quiet = 0; quiet < 100 && n < 2000; n++) {
        char plan[60];
        snprintf(plan, sizeof plan, plans[_i], n);
        faults_met = 0;
        run_a_group(plan);
        quiet = faults_met == 0 ? quiet + 1 : 0;
        ck_assert_int_eq(members_of("g"), 0);
    }
}
END_TEST
#endif

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("api/groups");
    TCase *all = tcase_create("groups");
    tcase_add_checked_fixture(all, disk_set_up, disk_tear_down);
    tcase_set_timeout(all, 60);
    tcase_add_test(all, the_first_member_owns_everything);
    tcase_add_test(all, a_second_member_gets_its_share_once_it_was_given_up);
    tcase_add_test(all, each_rebalance_adds_one_to_the_generation);
    tcase_add_test(all, more_members_than_partitions_leave_some_with_nothing);
    tcase_add_test(all, assign_and_subscribe_exclude_each_other);
    tcase_add_test(all, a_topic_that_appears_later_is_read);
    tcase_add_test(all, a_pattern_matches_whole_names_and_nothing_internal);
    tcase_add_test(all, a_deleted_topic_is_revoked_and_its_namesake_begins_anew);
    tcase_add_test(all, each_group_gets_every_record);
    tcase_add_test(all, members_without_a_common_assignor_do_not_mix);
    tcase_add_test(all, who_closes_or_unsubscribes_is_replaced_at_once);
    tcase_add_test(all, a_member_may_change_its_subscription);
    tcase_add_test(all, who_is_no_member_commits_only_for_an_empty_group);
    tcase_add_test(all, a_member_that_does_not_poll_loses_its_place);
    tcase_add_test(all, old_records_commit_nothing_after_a_change_of_hands);
    tcase_add_test(all, a_static_member_returns_to_what_it_had);
    tcase_add_test(all, a_static_member_that_stays_away_is_replaced);
#ifdef KFL_FAULT_POINTS
    tcase_add_loop_test(all, a_call_that_fails_harms_no_group, 0, 2);
#endif
    tcase_add_test(all, nothing_changes_but_in_a_poll);
    tcase_add_test(all, a_partition_without_an_offset_waits_for_a_seek);
    tcase_add_test(all, properties_that_need_others_are_refused);
    suite_add_tcase(suite, all);
    return suite;
}
