/* SPDX-License-Identifier: MIT */
/* Members in many threads of one process, and one consumer used by several threads at once. */
#include <pthread.h>
#include <stdatomic.h>

#include "chance.h"
#include "group_fixture.h"

enum { THREADS = 5, PARTITIONS = 6, RECORDS = 3000, ROUNDS = 12 };

static _Atomic int owners[PARTITIONS];
static _Atomic int two_owners, strangers;
static _Atomic uint8_t handled[PARTITIONS][RECORDS];
static _Atomic int stop;

struct member {
    pthread_t thread;
    int number;
    uint64_t seed;
};

static void note_events(kfl_consumer *consumer, int me)
{
    kfl_event *event = NULL;
    while (OK(kfl_consumer_next_event(consumer, &event)) == 1) {
        const kfl_offsets *offsets = kfl_event_offsets(event);
        int kind = kfl_event_kind(event);
        for (int32_t i = 0; i < kfl_offsets_count(offsets); i++) {
            int32_t partition = kfl_offsets_get(offsets, i)->partition;
            int nobody = 0, mine = me;
            if (kind == KFL_EVENT_ASSIGNED &&
                !atomic_compare_exchange_strong(&owners[partition], &nobody, me))
                atomic_fetch_add(&two_owners, 1);
            if (kind == KFL_EVENT_REVOKED || kind == KFL_EVENT_LOST)
                (void)atomic_compare_exchange_strong(&owners[partition], &mine, 0);
        }
        kfl_event_release(event);
    }
}

static void handle(kfl_consumer *consumer, const kfl_records *records, int me,
                   struct chance *chance)
{
    for (int32_t i = 0; i < kfl_records_count(records); i++) {
        const kfl_record *record = kfl_records_get(records, i);
        atomic_fetch_add(&handled[record->partition][record->offset], 1);
        if (atomic_load(&owners[record->partition]) != me)
            atomic_fetch_add(&strangers, 1);
    }
    if (chance_below(chance, 2) == 0)
        OK(kfl_consumer_commit(consumer, records));
    else
        OK(kfl_consumer_commit_async(consumer, NULL, 0, NULL));
}

static void poll_once(kfl_consumer *consumer, int me, struct chance *chance)
{
    kfl_records *records = NULL;
    int n = kfl_consumer_poll(consumer, 20, 100, &records);
    if (n == KFL_E_EVENT)
        note_events(consumer, me);
    else if (OK(n) > 0)
        handle(consumer, records, me, chance);
    kfl_records_release(records);
}

static void give_all(int me)
{
    for (int i = 0; i < PARTITIONS; i++) {
        int mine = me;
        (void)atomic_compare_exchange_strong(&owners[i], &mine, 0);
    }
}

static void *member_run(void *context)
{
    struct member *self = context;
    struct chance chance = {self->seed};
    int me = self->number + 1;
    for (int round = 0; round < ROUNDS; round++) {
        kfl_consumer *consumer = open_member(chance_below(&chance, 2) == 0 ? "t" : NULL, "m");
        if (strcmp(has(consumer), "") == 0)
            OK(kfl_consumer_subscribe_pattern(consumer, "t|u"));
        for (uint64_t polls = 5 + chance_below(&chance, 30); polls > 0; polls--)
            poll_once(consumer, me, &chance);
        give_all(me);
        if (chance_below(&chance, 2) == 0)
            OK(kfl_consumer_unsubscribe(consumer));
        close_consumer(consumer);
    }
    return NULL;
}

static void *append_run(void *context)
{
    kfl_producer *producer = open_producer(NULL);
    (void)context;
    for (int i = 0; i < RECORDS; i++)
        for (int partition = 0; partition < PARTITIONS; partition++)
            send_value(producer, "t", partition, "v");
    OK(kfl_producer_close(producer));
    return NULL;
}

/* kafka:E1 kafka:E15 Members come and go all the time. */
START_TEST(no_partition_has_two_owners_among_threads)
{
    struct chance chance = chance_begin("group_threads");
    struct member members[THREADS];
    pthread_t appender;
    make_topic("t", PARTITIONS, NULL);
    pthread_create(&appender, NULL, append_run, NULL);
    for (int i = 0; i < THREADS; i++) {
        members[i] = (struct member){.number = i, .seed = chance_next(&chance)};
        pthread_create(&members[i].thread, NULL, member_run, &members[i]);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(members[i].thread, NULL);
    pthread_join(appender, NULL);
    /* The last one reads what is left. */
    kfl_consumer *last = open_member("t", "last");
    for (int quiet = 0; quiet < 2;) {
        kfl_records *records = NULL;
        int n = kfl_consumer_poll(last, 200, 0, &records);
        if (n == KFL_E_EVENT)
            note_events(last, THREADS + 1);
        else if (OK(n) > 0)
            handle(last, records, THREADS + 1, &chance);
        else
            quiet++;
        kfl_records_release(records);
    }
    close_consumer(last);
    ck_assert_int_eq(two_owners, 0);
    ck_assert_int_eq(strangers, 0);
    for (int partition = 0; partition < PARTITIONS; partition++)
        for (int i = 0; i < RECORDS; i++)
            ck_assert_msg(handled[partition][i] > 0, "t/%d: record %d was never handled", partition,
                          i);
}
END_TEST

/* ---- one consumer, many threads ---- */

static kfl_consumer *shared;

static void *poll_run(void *context)
{
    (void)context;
    while (atomic_load(&stop) == 0) {
        kfl_records *records = NULL;
        kfl_event *event = NULL;
        int n = kfl_consumer_poll(shared, 5, 10, &records);
        if (n == KFL_E_EVENT)
            while (OK(kfl_consumer_next_event(shared, &event)) == 1)
                kfl_event_release(event);
        else if (n != KFL_E_WOKEN)
            OK(n);
        kfl_records_release(records);
    }
    return NULL;
}

static void *look_run(void *context)
{
    (void)context;
    while (atomic_load(&stop) == 0) {
        kfl_names *names = NULL;
        kfl_group *group = NULL;
        const char *id = NULL;
        int32_t generation;
        (void)has(shared);
        OK(kfl_consumer_subscription(shared, &names));
        kfl_names_release(names);
        if (kfl_consumer_member(shared, &id, &generation) == 0)
            ck_assert_ptr_nonnull(id);
        if (kfl_group_describe(store, "g", &group) == 0)
            kfl_group_release(group);
        OK(kfl_consumer_wakeup(shared));
        (void)kfl_consumer_commit_async(shared, NULL, 0, NULL);
    }
    return NULL;
}

START_TEST(one_consumer_is_subscribed_and_not_while_others_use_it)
{
    pthread_t threads[3];
    make_topic("t", 3, NULL);
    make_topic("u", 1, NULL);
    shared =
        open_member_with(NULL, WITH("enable.auto.commit", "true", "auto.commit.interval.ms", "1"));
    pthread_create(&threads[0], NULL, poll_run, NULL);
    pthread_create(&threads[1], NULL, poll_run, NULL);
    pthread_create(&threads[2], NULL, look_run, NULL);
    for (int i = 0; i < 40; i++) {
        OK(kfl_consumer_subscribe(shared, i % 2 == 0 ? WITH("t") : WITH("t", "u"),
                                  i % 2 == 0 ? 1 : 2));
        send_many("t", i % 3, 5, 0);
        if (i % 3 == 0)
            OK(kfl_consumer_unsubscribe(shared));
    }
    OK(kfl_consumer_subscribe_pattern(shared, ".*"));
    atomic_store(&stop, 1);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    (void)follow(shared); /* the last wakeup may still stand */
    settle(shared);
    ck_assert_str_eq(has(shared), "t/0 t/1 t/2 u/0");
    close_consumer(shared);
}
END_TEST

/* The store closes under members that poll: they are woken, and their places are free. */
START_TEST(a_close_of_the_store_ends_the_polls_of_members)
{
    pthread_t thread;
    make_topic("t", 1, NULL);
    shared = open_member("t", "a");
    settle(shared);
    pthread_create(&thread, NULL, poll_run, NULL);
    atomic_store(&stop, 1);
    pthread_join(thread, NULL);
    OK(kfl_store_close(store));
    kfl_records *records = NULL;
    FAILS(KFL_E_CLOSED, kfl_consumer_poll(shared, -1, 0, &records));
    FAILS(KFL_E_CLOSED, kfl_consumer_unsubscribe(shared));
    close_consumer(shared);
    store = open_store(":memory:", NULL);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("api/group_threads");
    TCase *all = tcase_create("threads");
    tcase_add_checked_fixture(all, memory_set_up, memory_tear_down);
    tcase_set_timeout(all, 120);
    tcase_add_test(all, no_partition_has_two_owners_among_threads);
    tcase_add_test(all, one_consumer_is_subscribed_and_not_while_others_use_it);
    tcase_add_test(all, a_close_of_the_store_ends_the_polls_of_members);
    suite_add_tcase(suite, all);
    return suite;
}
