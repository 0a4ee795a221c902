/* SPDX-License-Identifier: MIT */
/*
 * A process is stopped in the middle of a change of the catalog: calls of a thread without patience say so, have
 * changed nothing, and do what they are to do once it goes on.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "api/store.h"
#include "base/patience.h"
#include "group_fixture.h"
#include "peer.h"

static struct peer holder;
static const char *const *how;

/* Holds the gate each time it is told to, until it is told again. */
static void hold_gate(struct peer *self, void *context)
{
    (void)context;
    store = open_store(temp_dir_path(), IN_A_CHILD);
    struct kfl__robust *gate = &store->core->shared->catalog_writers;
    peer_tell(self);
    for (;;) {
        peer_await(self);
        if (kfl__robust_lock(gate, KFL_RANK_CATALOG, -1) != 0)
            _exit(1);
        peer_tell(self);
        peer_await(self);
        kfl__robust_unlock(gate, KFL_RANK_CATALOG);
        peer_tell(self);
    }
}

static void step_holder(void)
{
    peer_tell(&holder);
    peer_await(&holder);
}

static void set_up_with(const char *const *properties)
{
    how = properties;
    temp_dir_make();
    store = open_store(temp_dir_path(), WITH("background.threads", "0"));
    make_topic("t", 2, NULL);
    make_topic("u", 1, NULL);
    send_many("t", 0, 10, 0);
    OK(kfl_store_close(store));
    peer_start(&holder, hold_gate, NULL);
    peer_await(&holder);
    store = open_store(temp_dir_path(), how);
    /* What an append needs for itself. */
    send_many("t", 0, 1, 0);
    kfl_thread_patience(1);
}

static void set_up(void)
{
    set_up_with(WITH("background.threads", "0"));
}

static void set_up_with_helper(void)
{
    set_up_with(NULL);
}

static void tear_down(void)
{
    peer_kill(&holder);
    kfl_thread_patience(-1);
    kfl_store_close(store);
    store = NULL;
    temp_dir_remove();
}

START_TEST(patience_is_a_number)
{
    FAILS(KFL_E_INVALID, kfl_thread_patience(-2));
    OK(kfl_thread_patience(0));
    OK(kfl_thread_patience(-1));
}
END_TEST

static int64_t committed(const char *group)
{
    kfl_offsets *offsets = NULL;
    int r = kfl_group_offsets(store, group, &offsets);
    if (r == KFL_E_GROUP_ID_NOT_FOUND)
        return -1;
    OK(r);
    int64_t offset = kfl_offsets_count(offsets) > 0 ? kfl_offsets_get(offsets, 0)->offset : -1;
    kfl_offsets_release(offsets);
    return offset;
}

/* Each change of the catalog that a call can ask for. */
static int change(int which)
{
    const kfl_partition_offset at = {.topic = "t", .offset = 7};
    int64_t start;
    switch (which) {
    case 0:
        return kfl_topic_create(store, "new", 1, NULL);
    case 1:
        return kfl_topic_add_partitions(store, "t", 3);
    case 2:
        return kfl_topic_set(store, "t", "retention.ms", "1000000");
    case 3:
        return kfl_group_commit_offsets(store, "g", &at, 1);
    case 4:
        return kfl_group_delete_offsets(store, "g", &at, 1);
    case 5:
        return kfl_group_delete(store, "g");
    case 6:
        return kfl_topic_delete_records(store, "t", 0, 5, &start);
    case 7:
        return kfl_topic_delete(store, "u");
    default:
        return 0;
    }
}

/* What can be seen of it, in one number. */
static int seen(void)
{
    kfl_names *names = NULL;
    kfl_config *config = NULL;
    OK(kfl_topic_list(store, &names));
    OK(kfl_topic_config(store, "t", &config));
    int sum = kfl_names_count(names) + 10 * kfl_topic_partition_count(store, "t") +
              100 * (int)start_of("t", 0) + 1000 * kfl_config_is_set(config, "retention.ms");
    kfl_names_release(names);
    kfl_config_destroy(config);
    return sum;
}

START_TEST(a_change_is_made_when_it_is_asked_for_again_and_not_before)
{
    if (_i == 4 || _i == 5)
        OK(change(3));
    int before = seen();
    int64_t offset = _i < 4 ? -1 : committed("g");
    step_holder();
    for (int i = 0; i < 3; i++)
        FAILS(KFL_E_INTR, change(_i));
    ck_assert_int_eq(seen(), before);
    ck_assert_int_eq(_i < 4 ? -1 : committed("g"), offset);
    step_holder();
    ck_assert_int_eq(seen(), before);
    OK(change(_i));
    if (_i == 3)
        ck_assert_int_eq(committed("g"), 7);
    else if (_i == 4 || _i == 5)
        ck_assert_int_eq(committed("g"), -1);
    else
        ck_assert_int_ne(seen(), before);
}
END_TEST

/* kafka:D1 Joining, taking over, giving up and leaving, each from where it was interrupted. */
START_TEST(a_member_joins_commits_and_leaves_when_it_can)
{
    kfl_consumer *consumer = open_member("t", "a");
    step_holder();
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(follow(consumer), KFL_E_INTR);
    step_holder();
    ck_assert_str_eq(settle(consumer), "A[t/0 t/1]");
    OK(kfl_consumer_seek(consumer, "t", 0, 4));
    step_holder();
    for (int i = 0; i < 3; i++)
        FAILS(KFL_E_INTR, kfl_consumer_commit(consumer, NULL));
    for (int i = 0; i < 3; i++)
        FAILS(KFL_E_INTR, kfl_consumer_unsubscribe(consumer));
    ck_assert_str_eq(has(consumer), "t/0 t/1");
    step_holder();
    ck_assert_int_eq(committed("g"), -1);
    OK(kfl_consumer_commit(consumer, NULL));
    ck_assert_int_eq(committed("g"), 4);
    OK(kfl_consumer_unsubscribe(consumer));
    ck_assert_str_eq(has(consumer), "");
    OK(kfl_consumer_close(consumer));
}
END_TEST

/* Though its thread has all the patience there is. */
START_TEST(a_poll_ends_at_its_time_out_while_it_waits_to_join)
{
    kfl_records *records = NULL;
    kfl_consumer *consumer = open_member("t", "a");
    OK(kfl_thread_patience(-1));
    step_holder();
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 5, 0, &records)), 0);
        ck_assert_ptr_null(records);
    }
    ck_assert_int_eq(kfl__patience(), -1);
    step_holder();
    ck_assert_str_eq(settle(consumer), "A[t/0 t/1]");
    OK(kfl_consumer_close(consumer));
}
END_TEST

/* A commit that nobody waits for is made by the helper; who comes behind it waits, and may lose patience. */
START_TEST(a_commit_comes_behind_those_that_are_on_their_way)
{
    kfl_consumer *consumer = open_member("t", "a");
    int r = KFL_E_INTR;
    while (strcmp(has(consumer), "t/0 t/1") != 0)
        ck_assert_int_ne(follow(consumer), KFL_E_CORRUPT);
    step_holder();
    OK(kfl_consumer_commit_async(consumer, &(const kfl_partition_offset){.topic = "t", .offset = 3},
                                 1, NULL));
    for (int i = 0; i < 3; i++)
        FAILS(KFL_E_INTR,
              kfl_consumer_commit_offsets(
                  consumer, &(const kfl_partition_offset){.topic = "t", .offset = 2}, 1));
    step_holder();
    while (r == KFL_E_INTR)
        r = kfl_consumer_commit_offsets(
            consumer, &(const kfl_partition_offset){.topic = "t", .offset = 2}, 1);
    OK(r);
    ck_assert_int_eq(committed("g"), 2);
    OK(kfl_consumer_close(consumer));
}
END_TEST

static _Atomic int asked;

static void *make_patiently(void *context)
{
    (void)context;
    atomic_store(&asked, 1);
    return (void *)(intptr_t)kfl_topic_create(store, "patient", 1, NULL);
}

/* They share transactions: one that is taken back takes nobody's with it. */
START_TEST(who_has_patience_is_not_disturbed_by_who_has_not)
{
    pthread_t thread;
    void *answer = NULL;
    step_holder();
    if (_i == 0)
        FAILS(KFL_E_INTR, kfl_topic_create(store, "hasty", 1, NULL));
    ck_assert_int_eq(pthread_create(&thread, NULL, make_patiently, NULL), 0);
    while (atomic_load(&asked) == 0)
        ;
    for (int i = 0; i < 20; i++)
        FAILS(KFL_E_INTR, kfl_topic_create(store, "hasty", 1, NULL));
    step_holder();
    pthread_join(thread, &answer);
    ck_assert_int_eq((int)(intptr_t)answer, 0);
    ck_assert_int_eq(kfl_topic_partition_count(store, "patient"), 1);
    FAILS(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, kfl_topic_partition_count(store, "hasty"));
}
END_TEST

/* A file of its own needs the catalog: the record waits for it, and is sent once. */
START_TEST(a_send_that_needs_a_file_is_sent_once)
{
    kfl_producer *producer = open_producer(_i == 0 ? NULL : WITH("linger.ms", "60000"));
    int64_t offset;
    int r = KFL_E_INTR;
    step_holder();
    for (int i = 0; i < 3; i++) {
        if (_i == 0)
            FAILS(KFL_E_INTR, try_send(producer, "t", 1, "k", "v", 1234, &offset));
        else if (i == 0)
            OK(try_send(producer, "t", 1, "k", "v", 1234, &offset));
        if (_i == 1)
            FAILS(KFL_E_INTR, kfl_producer_flush(producer, -1));
    }
    step_holder();
    while (r == KFL_E_INTR)
        r = _i == 0 ? try_send(producer, "t", 1, "k", "v", 1234, &offset)
                    : kfl_producer_flush(producer, -1);
    OK(r);
    ck_assert_int_eq(end_of("t", 1), 1);
    int64_t timestamp;
    OK(kfl_topic_max_timestamp(store, "t", 1, &offset, &timestamp));
    ck_assert_int_eq(timestamp, 1234);
    OK(kfl_producer_close(producer));
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("patience");
    TCase *alone = tcase_create("alone"), *helped = tcase_create("with a helper");
    tcase_add_checked_fixture(alone, set_up, tear_down);
    tcase_add_checked_fixture(helped, set_up_with_helper, tear_down);
    tcase_add_test(alone, patience_is_a_number);
    tcase_add_loop_test(alone, a_change_is_made_when_it_is_asked_for_again_and_not_before, 0, 8);
    tcase_add_test(alone, a_member_joins_commits_and_leaves_when_it_can);
    tcase_add_loop_test(alone, who_has_patience_is_not_disturbed_by_who_has_not, 0, 2);
    tcase_add_loop_test(alone, a_send_that_needs_a_file_is_sent_once, 0, 2);
    tcase_add_test(alone, a_poll_ends_at_its_time_out_while_it_waits_to_join);
    tcase_add_test(helped, a_poll_ends_at_its_time_out_while_it_waits_to_join);
    tcase_add_test(helped, a_commit_comes_behind_those_that_are_on_their_way);
    tcase_add_test(helped, a_member_joins_commits_and_leaves_when_it_can);
    suite_add_tcase(suite, alone);
    suite_add_tcase(suite, helped);
    return suite;
}
