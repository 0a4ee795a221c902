/* SPDX-License-Identifier: MIT */
/* Commits of members: by themselves, without waiting, refused; offsets that outlive their group. */
#include <pthread.h>
#include <stdatomic.h>

#include "group_fixture.h"

/* Reads all there is. */
static int read_all(kfl_consumer *consumer)
{
    int total = 0;
    for (;;) {
        kfl_records *records = NULL;
        int n = OK(kfl_consumer_poll(consumer, 0, 0, &records));
        kfl_records_release(records);
        if (n == 0)
            return total;
        total += n;
    }
}

static kfl_consumer *open_auto(const char *interval_ms)
{
    return open_member_with("t", WITH("client.id", "a", "enable.auto.commit", "true",
                                      "auto.commit.interval.ms", interval_ms));
}

/* kafka:D6 What a poll hands out is committed by a later one, never by itself. */
START_TEST(a_poll_commits_what_earlier_polls_handed_out)
{
    kfl_records *records = NULL;
    make_topic("t", 1, NULL);
    send_many("t", 0, 10, 0);
    kfl_consumer *a = open_auto("0");
    settle(a); /* takes the ten, and a look finds no more */
    ck_assert_int_eq(committed_of(a, "t", 0), 10);
    send_many("t", 0, 5, 0);
    ck_assert_int_eq(OK(kfl_consumer_poll(a, 0, 3, &records)), 3);
    kfl_records_release(records);
    ck_assert_int_eq(committed_of(a, "t", 0), 10);
    ck_assert_int_eq(OK(kfl_consumer_poll(a, 0, 3, &records)), 2);
    kfl_records_release(records);
    ck_assert_int_eq(committed_of(a, "t", 0), 13);
    close_consumer(a);
    kfl_consumer *b = open_consumer(WITH("group.id", "g"));
    ck_assert_int_eq(committed_of(b, "t", 0), 15);
    close_consumer(b);
}
END_TEST

/* kafka:D6 Before the interval has passed nothing is committed, but for a close and a revocation. */
START_TEST(a_revocation_and_a_close_commit_too)
{
    make_topic("t", 2, NULL);
    send_many("t", 0, 4, 0);
    send_many("t", 1, 4, 0);
    kfl_consumer *a = open_auto("2147483647");
    settle(a);
    ck_assert_int_eq(committed_of(a, "t", 0), -1);
    kfl_consumer *b = open_member("t", "b");
    settle(b);
    ck_assert_int_eq(follow(a), KFL_E_EVENT);
    ck_assert_str_eq(told, "R[t/1] A[]");
    ck_assert_int_eq(committed_of(a, "t", 1), 4);
    ck_assert_int_eq(committed_of(a, "t", 0), -1);
    settle(a);
    ck_assert_str_eq(settle(b), "A[t/1]");
    ck_assert_int_eq(position_of(b, "t", 1), 4);
    close_consumer(a);
    ck_assert_int_eq(committed_of(b, "t", 0), 4);
    close_consumer(b);
    ck_assert_int_eq(members_of("g"), 0);
}
END_TEST

/* kafka:D8 A commit that is waited for comes behind those before it, and who asks what is committed sees them all. */
START_TEST(a_commit_comes_behind_those_before_it)
{
    make_topic("t", 1, NULL);
    send_many("t", 0, 9, 0);
    kfl_consumer *a = open_member("t", "a");
    settle(a);
    OK(kfl_consumer_commit_async(a, NULL, 0, NULL));
    ck_assert_int_eq(committed_of(a, "t", 0), 9);
    OK(kfl_consumer_commit_async(a, NULL, 0, NULL));
    OK(commit_at(a, "t", 0, 3));
    ck_assert_str_eq(settle(a), "");
    ck_assert_int_eq(committed_of(a, "t", 0), 3);
    close_consumer(a);
}
END_TEST

/* Assigned partitions are committed by themselves as well. */
START_TEST(a_consumer_without_a_subscription_commits_by_itself)
{
    make_topic("t", 1, NULL);
    send_many("t", 0, 4, 0);
    kfl_consumer *a = open_consumer(WITH("group.id", "g", "enable.auto.commit", "true"));
    assign_at(a, "t", 0, KFL_OFFSET_STORED);
    ck_assert_int_eq(read_all(a), 4);
    ck_assert_int_eq(committed_of(a, "t", 0), -1);
    close_consumer(a);
    a = open_consumer(WITH("group.id", "g"));
    ck_assert_int_eq(committed_of(a, "t", 0), 4);
    close_consumer(a);
}
END_TEST

/* The next event, which must be the outcome of a commit. */
static void check_outcome(kfl_consumer *consumer, int code, int64_t ticket, int64_t offset)
{
    kfl_event *event = NULL;
    kfl_records *records = NULL;
    ck_assert_int_eq(kfl_consumer_poll(consumer, 5000, 0, &records), KFL_E_EVENT);
    ck_assert_int_eq(OK(kfl_consumer_next_event(consumer, &event)), 1);
    ck_assert_int_eq(kfl_event_kind(event), KFL_EVENT_COMMITTED);
    ck_assert_int_eq(kfl_event_code(event), code);
    ck_assert_int_eq(kfl_event_ticket(event), ticket);
    ck_assert_int_eq(kfl_event_generation(event), -1);
    ck_assert_int_eq(kfl_offsets_count(kfl_event_offsets(event)), 1);
    ck_assert_int_eq(kfl_offsets_get(kfl_event_offsets(event), 0)->offset, offset);
    ck_assert(code == 0 || ends_with_no_full_stop(kfl_event_text(event)));
    kfl_event_release(event);
}

/* kafka:D7 */
START_TEST(the_outcome_of_an_asynchronous_commit_is_an_event)
{
    int64_t first = 0, second = 0;
    make_topic("t", 1, NULL);
    send_many("t", 0, 9, 0);
    kfl_consumer *a = open_member("t", "a");
    settle(a);
    kfl_partition_offset at = {.topic = "t", .offset = 4, .metadata = "m", .metadata_size = 1};
    OK(kfl_consumer_commit_async(a, &at, 1, &first));
    at.offset = 6;
    OK(kfl_consumer_commit_async(a, &at, 1, &second)); /* the newest counts */
    ck_assert_int_eq(first, 1);
    ck_assert_int_eq(second, 2);
    check_outcome(a, 0, 2, 6);
    ck_assert_int_eq(committed_of(a, "t", 0), 6);
    /* All positions, and nobody wants to know. */
    OK(kfl_consumer_commit_async(a, NULL, 0, NULL));
    ck_assert_str_eq(settle(a), "");
    ck_assert_int_eq(committed_of(a, "t", 0), 9);
    /* A failure is told in any case. */
    at.offset = 10;
    OK(kfl_consumer_commit_async(a, &at, 1, NULL));
    check_outcome(a, KFL_E_OFFSET_OUT_OF_RANGE, 0, 10);
    ck_assert_int_eq(committed_of(a, "t", 0), 9);
    at.topic = "nowhere";
    FAILS(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, kfl_consumer_commit_async(a, &at, 1, NULL));
    FAILS(KFL_E_INVALID, kfl_consumer_commit_async(a, NULL, 1, NULL));
    close_consumer(a);
}
END_TEST

/* What nobody has waited for is committed by the close. */
START_TEST(a_close_waits_for_asynchronous_commits)
{
    make_topic("t", 1, NULL);
    send_many("t", 0, 3, 0);
    kfl_consumer *a = open_member("t", "a"), *b = open_consumer(WITH("group.id", "g"));
    settle(a);
    OK(kfl_consumer_commit_async(a, NULL, 0, NULL));
    close_consumer(a);
    ck_assert_int_eq(committed_of(b, "t", 0), 3);
    close_consumer(b);
}
END_TEST

/* With the helper: it commits, and a poll that sleeps is woken for the outcome. */
START_TEST(the_helper_carries_out_asynchronous_commits)
{
    make_topic("t", 1, NULL);
    send_many("t", 0, 3, 0);
    kfl_consumer *a = open_member("t", "a");
    for (int i = 0; i < 100 && strcmp(has(a), "t/0") != 0; i++)
        settle(a);
    settle(a);
    for (int64_t i = 1; i <= 50; i++) {
        int64_t ticket = 0;
        kfl_partition_offset at = {.topic = "t", .offset = i % 4};
        OK(kfl_consumer_commit_async(a, &at, 1, &ticket));
        ck_assert_int_eq(ticket, i);
        check_outcome(a, 0, i, i % 4);
    }
    close_consumer(a);
}
END_TEST

static _Atomic int commits_on;

static void *commit_on_and_on(void *consumer)
{
    while (atomic_load(&commits_on) != 0)
        OK(kfl_consumer_commit_async(consumer, NULL, 0, NULL));
    return NULL;
}

/* Without the helper a poll commits; it ends though another thread has more to commit at all times. */
START_TEST(a_poll_ends_while_another_thread_commits_on_and_on)
{
    pthread_t threads[2];
    kfl_records *records = NULL;
    make_topic("t", 1, NULL);
    send_many("t", 0, 3, 0);
    kfl_consumer *a = open_member("t", "a");
    settle(a);
    atomic_store(&commits_on, 1);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, commit_on_and_on, a), 0);
    for (int i = 0; i < 20; i++) {
        ck_assert_int_eq(OK(kfl_consumer_poll(a, i % 2, 0, &records)), 0);
        ck_assert_ptr_null(records);
    }
    atomic_store(&commits_on, 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    close_consumer(a);
}
END_TEST

/* kafka:E3 A commit under way when the place is lost is refused, and told. */
START_TEST(an_asynchronous_commit_of_a_member_that_lost_its_place_is_refused)
{
    make_topic("t", 1, NULL);
    send_many("t", 0, 3, 0);
    kfl_consumer *a = open_member_with("t", WITH("max.poll.interval.ms", "1"));
    kfl_consumer *b = open_member("t", "b");
    settle(a);
    usleep(20000);
    settle(b);
    ck_assert_str_eq(has(b), "t/0");
    OK(kfl_consumer_commit_async(a, NULL, 0, NULL));
    ck_assert_int_eq(follow(a), KFL_E_EVENT);
    ck_assert_str_eq(told, "C[-25]");
    ck_assert_int_eq(committed_of(b, "t", 0), -1);
    close_consumer(a);
    close_consumer(b);
}
END_TEST

static int64_t committed_in(const char *group, const char *topic)
{
    kfl_offsets *offsets = NULL;
    int64_t found = -1;
    if (kfl_group_offsets(store, group, &offsets) < 0)
        return -1;
    for (int32_t i = 0; i < kfl_offsets_count(offsets); i++)
        if (strcmp(kfl_offsets_get(offsets, i)->topic, topic) == 0)
            found = kfl_offsets_get(offsets, i)->offset;
    kfl_offsets_release(offsets);
    return found;
}

enum { MINUTES = 10080 };

/* The clock moves to so many minutes after the beginning, and the helper's work is done. */
static void at_minute(int64_t minute, int64_t more_ms)
{
    OK(kfl_store_set_clock(store, NOW_MS + minute * 60000 + more_ms));
    OK(kfl_store_maintain(store, 1000, NULL));
}

/* kafka:D11 kafka:D14 */
START_TEST(offsets_outlive_the_last_member_for_their_time)
{
    make_topic("t", 1, NULL);
    send_many("t", 0, 3, 0);
    at_minute(0, 0);
    kfl_consumer *a = open_member("t", "a");
    settle(a);
    OK(kfl_consumer_commit(a, NULL));
    at_minute(3 * MINUTES, 0); /* a member keeps them, however old they are */
    ck_assert_int_eq(committed_in("g", "t"), 3);
    close_consumer(a);
    at_minute(4 * MINUTES, 0);
    ck_assert_int_eq(committed_in("g", "t"), 3);
    at_minute(4 * MINUTES + 10, 1);
    ck_assert_int_eq(committed_in("g", "t"), -1);
    kfl_group *group = NULL;
    FAILS(KFL_E_GROUP_ID_NOT_FOUND, kfl_group_describe(store, "g", &group));
    /* The next member begins where auto.offset.reset says. */
    kfl_consumer *b = open_member_with("t", WITH("auto.offset.reset", "latest"));
    settle(b);
    ck_assert_int_eq(position_of(b, "t", 0), 3);
    close_consumer(b);
    kfl_consumer *c =
        open_member_with("t", WITH("auto.offset.reset", "earliest", "max.poll.records", "1"));
    ck_assert_int_eq(follow(c), KFL_E_EVENT);
    ck_assert_int_eq(position_of(c, "t", 0), 0);
    close_consumer(c);
}
END_TEST

/* kafka:D12 */
START_TEST(offsets_of_a_topic_that_is_not_read_any_more_go_by_their_commit)
{
    make_topic("t", 1, NULL);
    make_topic("u", 1, NULL);
    at_minute(0, 0);
    kfl_consumer *a = open_member(NULL, "a");
    OK(kfl_consumer_subscribe(a, WITH("t", "u"), 2));
    settle(a);
    OK(kfl_consumer_commit(a, NULL));
    OK(kfl_consumer_subscribe(a, WITH("t"), 1));
    settle(a);
    at_minute(MINUTES, 0);
    ck_assert_int_eq(committed_in("g", "u"), 0);
    at_minute(MINUTES + 10, 0);
    ck_assert_int_eq(committed_in("g", "u"), -1);
    ck_assert_int_eq(committed_in("g", "t"), 0);
    close_consumer(a);
}
END_TEST

/* kafka:D13 */
START_TEST(offsets_of_a_group_without_members_go_by_their_commit)
{
    make_topic("t", 1, NULL);
    make_topic("u", 1, NULL);
    at_minute(0, 0);
    kfl_partition_offset at[] = {{.topic = "t"}, {.topic = "u"}};
    OK(kfl_group_commit_offsets(store, "g", at, 2));
    at_minute(20, 0);
    OK(kfl_group_commit_offsets(store, "g", at, 1));
    at_minute(MINUTES + 10, 1);
    ck_assert_int_eq(committed_in("g", "t"), 0);
    ck_assert_int_eq(committed_in("g", "u"), -1);
    at_minute(MINUTES + 30, 0);
    ck_assert_int_eq(committed_in("g", "t"), -1);
}
END_TEST

/* kafka:D17 kafka:E4 */
START_TEST(a_group_is_deleted_once_it_has_no_members)
{
    kfl_names *names = NULL;
    make_topic("t", 1, NULL);
    make_topic("u", 1, NULL);
    kfl_partition_offset at[] = {{.topic = "t"}, {.topic = "u"}};
    OK(kfl_group_commit_offsets(store, "g", at, 2));
    kfl_consumer *a = open_member("t", "a");
    settle(a);
    FAILS(KFL_E_NON_EMPTY_GROUP, kfl_group_delete(store, "g"));
    FAILS(KFL_E_GROUP_SUBSCRIBED_TO_TOPIC, kfl_group_delete_offsets(store, "g", at, 2));
    ck_assert_int_eq(committed_in("g", "u"), 0);
    OK(kfl_group_delete_offsets(store, "g", at + 1, 1));
    ck_assert_int_eq(committed_in("g", "u"), -1);
    ck_assert_int_eq(committed_in("g", "t"), 0);
    close_consumer(a);
    OK(kfl_group_list(store, &names));
    ck_assert_int_eq(kfl_names_count(names), 1);
    kfl_names_release(names);
    OK(kfl_group_delete(store, "g"));
    FAILS(KFL_E_GROUP_ID_NOT_FOUND, kfl_group_delete(store, "g"));
    FAILS(KFL_E_GROUP_ID_NOT_FOUND, kfl_group_delete_offsets(store, "g", at, 1));
    /* With the last of its offsets goes a group that has no members. */
    a = open_member("t", "a");
    settle(a);
    OK(commit_at(a, "t", 0, 0));
    close_consumer(a);
    OK(kfl_group_delete_offsets(store, "g", at, 1));
    OK(kfl_group_list(store, &names));
    ck_assert_int_eq(kfl_names_count(names), 0);
    kfl_names_release(names);
}
END_TEST

/* kafka:E4 */
START_TEST(a_description_shows_who_is_there_and_what_is_under_way)
{
    make_topic("t", 2, NULL);
    kfl_consumer *a = open_member("t", "reader");
    kfl_consumer *b = open_member_with(NULL, WITH("group.instance.id", "one"));
    OK(kfl_consumer_subscribe_pattern(b, "t+"));
    settle(a);
    OK(commit_at(a, "t", 1, 0));
    ck_assert_int_eq(state_of("g"), KFL_GROUP_STABLE);
    follow(b);
    kfl_group *group = describe("g");
    ck_assert_int_eq(kfl_group_state(group), KFL_GROUP_PREPARING_REBALANCE);
    ck_assert_str_eq(kfl_group_assignor(group), "range");
    ck_assert_int_eq(kfl_group_generation(group), 2);
    ck_assert_int_eq(kfl_group_member_count(group), 2);
    const kfl_member *reader = kfl_group_member(group, 1), *one = kfl_group_member(group, 0);
    ck_assert_ptr_null(kfl_group_member(group, 2));
    ck_assert_int_eq(strncmp(reader->member_id, "reader-", 7), 0);
    ck_assert_str_eq(reader->client_id, "reader");
    ck_assert_str_eq(reader->instance_id, "");
    ck_assert_int_eq(reader->process_id, getpid());
    ck_assert_int_eq(reader->generation, 1);
    ck_assert_int_eq(kfl_offsets_count(reader->owned), 2);
    ck_assert_int_eq(kfl_offsets_get(reader->owned, 0)->offset, -1);
    ck_assert_int_eq(kfl_offsets_get(reader->owned, 1)->offset, 0);
    ck_assert_int_eq(kfl_offsets_count(reader->target), 1);
    ck_assert_str_eq(kfl_names_get(reader->topics, 0), "t");
    ck_assert_str_eq(one->pattern, "t+");
    ck_assert_str_eq(one->instance_id, "one");
    ck_assert_str_eq(kfl_names_get(one->topics, 0), "t");
    ck_assert_int_eq(kfl_offsets_count(one->owned), 0);
    kfl_group_release(group);
    settle(a), settle(b);
    ck_assert_int_eq(state_of("g"), KFL_GROUP_STABLE);
    close_consumer(a);
    ck_assert_int_eq(state_of("g"), KFL_GROUP_COMPLETING_REBALANCE);
    settle(b);
    ck_assert_int_eq(state_of("g"), KFL_GROUP_STABLE);
    close_consumer(b);
    group = describe("g");
    ck_assert_int_eq(kfl_group_member(group, 0)->is_away, 1);
    kfl_group_release(group);
}
END_TEST

/* ---- assignors of the program's own ---- */

static kfl_consumer *open_own(const char *client_id)
{
    return open_member_with(
        "t", WITH("client.id", client_id, "partition.assignment.strategy", "user:mine,range"));
}

/* kafka:E3 The leader is asked, and nobody has anything before it has answered. */
START_TEST(an_assignor_of_the_programs_own_is_asked_by_an_event)
{
    kfl_event *event = NULL;
    kfl_records *records = NULL;
    make_topic("t", 2, NULL);
    kfl_consumer *a = open_own("a"), *b = open_own("b");
    ck_assert_int_eq(kfl_consumer_poll(a, 0, 0, &records), KFL_E_EVENT);
    ck_assert_int_eq(OK(kfl_consumer_next_event(a, &event)), 1);
    ck_assert_int_eq(kfl_event_kind(event), KFL_EVENT_ASSIGN_NEEDED);
    ck_assert_int_eq(kfl_event_generation(event), 1);
    ck_assert_int_eq(kfl_group_member_count(kfl_event_group(event)), 1);
    ck_assert_int_eq(state_of("g"), KFL_GROUP_COMPLETING_REBALANCE);
    FAILS(KFL_E_REBALANCE_IN_PROGRESS, commit_at(a, "t", 0, 0));
    const char *id = id_of(a); /* as the event has it, and longer */
    ck_assert_str_eq(kfl_group_member(kfl_event_group(event), 0)->member_id, id);
    kfl_member_partition all[] = {{.member_id = id, .topic = "t"},
                                  {.member_id = id, .topic = "t", .partition = 1}};
    FAILS(KFL_E_ILLEGAL_GENERATION, kfl_consumer_assign_answer(a, 7, all, 2));
    kfl_member_partition wrong[] = {all[0], all[0]};
    FAILS(KFL_E_INVALID, kfl_consumer_assign_answer(a, 1, wrong, 2));
    wrong[1].partition = 2;
    FAILS(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, kfl_consumer_assign_answer(a, 1, wrong, 2));
    wrong[1] = (kfl_member_partition){.member_id = "nobody", .topic = "t", .partition = 1};
    FAILS(KFL_E_UNKNOWN_MEMBER_ID, kfl_consumer_assign_answer(a, 1, wrong, 2));
    OK(kfl_consumer_assign_answer(a, 1, all, 2));
    kfl_event_release(event);
    ck_assert_str_eq(settle(a), "A[t/0 t/1]");
    /* Another one comes: until the answer everybody keeps what there was. */
    ck_assert_str_eq(settle(b), "");
    FAILS(KFL_E_REBALANCE_IN_PROGRESS, commit_at(b, "t", 0, 0));
    OK(commit_at(a, "t", 0, 0));
    ck_assert_str_eq(settle(a), "N[]");
    FAILS(KFL_E_ILLEGAL_GENERATION, kfl_consumer_assign_answer(a, 1, all, 2));
    FAILS(KFL_E_ILLEGAL_GENERATION, kfl_consumer_assign_answer(b, 2, all, 2));
    all[1].member_id = id_of(b);
    OK(kfl_consumer_assign_answer(a, 2, all, 2));
    ck_assert_str_eq(settle(a), "R[t/1] A[]");
    ck_assert_str_eq(settle(b), "A[t/1]");
    /* The leader goes: the other one is asked. */
    close_consumer(a);
    ck_assert_str_eq(settle(b), "N[]");
    close_consumer(b);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("api/group_commits");
    TCase *all = tcase_create("by hand");
    tcase_add_checked_fixture(all, disk_set_up, disk_tear_down);
    tcase_set_timeout(all, 60);
    tcase_add_test(all, a_poll_commits_what_earlier_polls_handed_out);
    tcase_add_test(all, a_revocation_and_a_close_commit_too);
    tcase_add_test(all, a_commit_comes_behind_those_before_it);
    tcase_add_test(all, a_consumer_without_a_subscription_commits_by_itself);
    tcase_add_test(all, the_outcome_of_an_asynchronous_commit_is_an_event);
    tcase_add_test(all, a_close_waits_for_asynchronous_commits);
    tcase_add_test(all, a_poll_ends_while_another_thread_commits_on_and_on);
    tcase_add_test(all, an_asynchronous_commit_of_a_member_that_lost_its_place_is_refused);
    tcase_add_test(all, offsets_outlive_the_last_member_for_their_time);
    tcase_add_test(all, offsets_of_a_topic_that_is_not_read_any_more_go_by_their_commit);
    tcase_add_test(all, offsets_of_a_group_without_members_go_by_their_commit);
    tcase_add_test(all, a_group_is_deleted_once_it_has_no_members);
    tcase_add_test(all, a_description_shows_who_is_there_and_what_is_under_way);
    tcase_add_test(all, an_assignor_of_the_programs_own_is_asked_by_an_event);
    suite_add_tcase(suite, all);
    TCase *helper = tcase_create("with the helper");
    tcase_add_checked_fixture(helper, memory_set_up, memory_tear_down);
    tcase_set_timeout(helper, 60);
    tcase_add_test(helper, the_helper_carries_out_asynchronous_commits);
    suite_add_tcase(suite, helper);
    return suite;
}
