/* SPDX-License-Identifier: MIT */
/* Poll: how much, in which order, how long it waits, and what ends the wait. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <time.h>

#include "peer.h"
#include "store_fixture.h"

static kfl_consumer *consumer;
static kfl_producer *producer;

static void poll_set_up(void)
{
    memory_set_up();
    make_topic("t", 3, NULL);
    consumer = open_consumer(NULL);
    producer = open_producer(NULL);
}

static void poll_tear_down(void)
{
    kfl_producer_close(producer);
    kfl_consumer_close(consumer);
    memory_tear_down();
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* kafka:C7 */
START_TEST(at_most_max_poll_records_and_none_lost)
{
    static const int32_t limits[] = {1, 3, 499, 500, 501, 65536};
    kfl_records *records;
    send_many("t", 0, 1100, 0);
    assign_at(consumer, "t", 0, 0);
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 0, 0, &records)), 500);
    kfl_records_release(records);
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        int64_t next = 0;
        OK(kfl_consumer_seek(consumer, "t", 0, 0));
        while (next < 1100) {
            int n = OK(kfl_consumer_poll(consumer, 0, limits[i], &records));
            ck_assert_int_ge(n, 1);
            ck_assert_int_le(n, limits[i]);
            for (int32_t k = 0; k < n; k++)
                ck_assert_int_eq(kfl_records_get(records, k)->offset, next++);
            kfl_records_release(records);
        }
    }
}
END_TEST

/* kafka:C7: the room of a larger result that was released is not taken for this one's. */
START_TEST(a_smaller_poll_after_a_larger_one_is_smaller)
{
    kfl_records *records;
    send_many("t", 0, 1000, 0);
    assign_at(consumer, "t", 0, 0);
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 0, 400, &records)), 400);
    kfl_records_release(records);
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 0, 10, &records)), 10);
    kfl_records_release(records);
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 0, 1, &records)), 1);
    ck_assert_int_eq(kfl_records_get(records, 0)->offset, 410);
    kfl_records_release(records);
}
END_TEST

/* kafka:C7 kafka:B15: inside plain and compressed batches. */
START_TEST(a_poll_may_end_inside_a_batch)
{
    static const char *const types[] = {"none", "lz4", "zstd"};
    kfl_producer *packs = open_producer(WITH("compression.type", types[_i]));
    kfl_records *records;
    int64_t next = 0;
    for (int i = 0; i < 5; i++)
        send_batch(packs, "t", 0, 100);
    ck_assert_int_eq(stat_of("appended_batches_total", "t", 0), 5);
    assign_at(consumer, "t", 0, 0);
    while (next < 500) {
        int n = OK(kfl_consumer_poll(consumer, 0, 7, &records));
        ck_assert_int_eq(n, next + 7 <= 500 ? 7 : 500 - next);
        ck_assert_int_eq(position_of(consumer, "t", 0), next + n);
        for (int32_t k = 0; k < n; k++) {
            ck_assert_int_eq(kfl_records_get(records, k)->offset, next++);
            check_value(kfl_records_get(records, k));
        }
        kfl_records_release(records);
    }
    /* kafka:C2: any offset inside. */
    for (int64_t offset = 0; offset < 500; offset += 13) {
        OK(kfl_consumer_seek(consumer, "t", 0, offset));
        ck_assert_int_eq(read_on(consumer, offset), 500);
    }
    OK(kfl_producer_close(packs));
}
END_TEST

START_TEST(arguments_are_checked)
{
    kfl_records *records;
    FAILS(KFL_E_INVALID, kfl_consumer_poll(consumer, 0, -1, &records));
    FAILS(KFL_E_INVALID, kfl_consumer_poll(consumer, 0, 65537, &records));
    FAILS(KFL_E_INVALID, kfl_consumer_poll(consumer, -2, 0, &records));
    FAILS(KFL_E_INVALID, kfl_consumer_poll(consumer, INT32_MIN, 0, &records));
}
END_TEST

/* kafka:C8 */
START_TEST(fetch_max_bytes_ends_a_poll_but_not_before_its_first_batch)
{
    kfl_consumer *small = open_consumer(WITH("fetch.max.bytes", "1"));
    kfl_records *records;
    send_many("t", 0, 3, 5000);
    send_batch(producer, "t", 0, 20);
    assign_at(small, "t", 0, 0);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(OK(kfl_consumer_poll(small, 0, 0, &records)), 1);
        kfl_records_release(records);
    }
    ck_assert_int_eq(OK(kfl_consumer_poll(small, 0, 0, &records)), 20);
    kfl_records_release(records);
    OK(kfl_consumer_close(small));
    small = open_consumer(WITH("fetch.max.bytes", "10000"));
    assign_at(small, "t", 0, 0);
    ck_assert_int_eq(OK(kfl_consumer_poll(small, 0, 0, &records)), 2);
    kfl_records_release(records);
    OK(kfl_consumer_close(small));
}
END_TEST

/* kafka:C6 */
START_TEST(each_partition_is_in_order_and_none_starves)
{
    kfl_partition_offset wishes[3] = {{.topic = "t", .partition = 0},
                                      {.topic = "t", .partition = 1},
                                      {.topic = "t", .partition = 2}};
    int64_t next[3] = {0};
    kfl_records *records;
    for (int32_t i = 0; i < 3; i++)
        send_many("t", i, 300, 0);
    OK(kfl_consumer_assign(consumer, wishes, 3));
    for (int polls = 0; polls < 9; polls++) {
        int n = OK(kfl_consumer_poll(consumer, 0, 50, &records));
        ck_assert_int_eq(n, 50);
        for (int32_t i = 0; i < n; i++) {
            const kfl_record *record = kfl_records_get(records, i);
            ck_assert_int_eq(record->offset, next[record->partition]++);
        }
        kfl_records_release(records);
    }
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(next[i], 150);
}
END_TEST

/* kafka:C9 */
START_TEST(with_data_a_poll_returns_at_once)
{
    kfl_records *records;
    send_many("t", 0, 1, 0);
    assign_at(consumer, "t", 0, 0);
    int64_t begin = now_ms();
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 60000, 0, &records)), 1);
    ck_assert_int_lt(now_ms() - begin, 10000);
    kfl_records_release(records);
}
END_TEST

/* kafka:C9 */
START_TEST(without_data_a_poll_waits_that_long)
{
    kfl_records *records;
    assign_at(consumer, "t", 0, 0);
    int64_t begin = now_ms();
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 50, 0, &records)), 0);
    ck_assert_int_ge(now_ms() - begin, 49);
    ck_assert_ptr_null(records);
}
END_TEST

/* ---- other threads ---- */

struct waiter {
    pthread_t thread;
    kfl_consumer *consumer;
    _Atomic int begun;
    int answer;
    int64_t offset;
    char words[200];
};

static void *waiter_run(void *context)
{
    struct waiter *waiter = context;
    kfl_records *records = NULL;
    atomic_store(&waiter->begun, 1);
    waiter->answer = kfl_consumer_poll(waiter->consumer, 20000, 0, &records);
    if (waiter->answer > 0) {
        waiter->offset = kfl_records_get(records, 0)->offset;
        kfl_records_release(records);
    } else if (waiter->answer < 0) {
        snprintf(waiter->words, sizeof waiter->words, "%s", kfl_last_error());
    }
    return NULL;
}

/* Begun, and most likely asleep; what is tested holds in either case. */
static void waiter_start(struct waiter *waiter, kfl_consumer *of)
{
    *waiter = (struct waiter){.consumer = of};
    pthread_create(&waiter->thread, NULL, waiter_run, waiter);
    while (atomic_load(&waiter->begun) == 0)
        sched_yield();
}

static void waiter_doze(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 3000000}, NULL);
}

/* kafka:C9 rule:R5 */
START_TEST(a_record_wakes_who_waits)
{
    struct waiter waiter;
    int slow = 0;
    assign_at(consumer, "t", 1, 0);
    for (int64_t i = 0; i < 30; i++) {
        int64_t begin = now_ms();
        waiter_start(&waiter, consumer);
        if (i % 2 == 0)
            waiter_doze();
        send_value(producer, "t", 1, "x");
        pthread_join(waiter.thread, NULL);
        ck_assert_int_eq(waiter.answer, 1);
        ck_assert_int_eq(waiter.offset, i);
        slow += now_ms() - begin > 900;
    }
    /* Woken, and not found by the look once a second. */
    ck_assert_int_lt(slow, 10);
}
END_TEST

/* kafka:C9 rule:R5 */
START_TEST(a_sync_wakes_who_waits_for_what_is_durable)
{
    kfl_consumer *durable = open_consumer(WITH("read.durable", "true"));
    struct waiter waiter;
    int slow = 0;
    assign_at(durable, "t", 1, 0);
    for (int64_t i = 0; i < 10; i++) {
        int64_t begin = now_ms();
        waiter_start(&waiter, durable);
        waiter_doze();
        send_value(producer, "t", 1, "x");
        waiter_doze(); /* the append wakes it, for nothing */
        OK(kfl_store_sync(store, 20000));
        pthread_join(waiter.thread, NULL);
        ck_assert_int_eq(waiter.answer, 1);
        ck_assert_int_eq(waiter.offset, i);
        slow += now_ms() - begin > 900;
    }
    ck_assert_int_lt(slow, 4);
    OK(kfl_consumer_close(durable));
}
END_TEST

/* ---- many partitions ---- */

#define MANY_PARTITIONS 2000
#define MANY_APPENDS 60

static int32_t many_turn(int i)
{
    return (int32_t)((uint32_t)i * 2654435761u % MANY_PARTITIONS);
}

static void append_to_many(struct peer *self, void *context)
{
    (void)context;
    kfl_store *own;
    kfl_producer *with;
    OK(kfl_store_open(temp_dir_path(), config_of(IN_A_CHILD), &own));
    OK(kfl_producer_open(own, NULL, &with));
    for (int i = 0; i < MANY_APPENDS; i++) {
        peer_await(self);
        if (i % 2 == 0)
            waiter_doze();
        send_value(with, "many", many_turn(i), "x");
    }
    OK(kfl_producer_close(with));
    OK(kfl_store_close(own));
}

static int64_t context_switches(void)
{
    struct rusage usage;
    getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_nvcsw;
}

/* rule:R5 */
START_TEST(one_sleep_is_enough_for_thousands_of_partitions)
{
    kfl_partition_offset *places = calloc(MANY_PARTITIONS, sizeof *places);
    kfl_records *records;
    struct peer peer;
    int slow = 0;
    temp_dir_make();
    peer_start(&peer, append_to_many, NULL);
    kfl_store *on_disk = open_store(temp_dir_path(), NULL);
    OK(kfl_topic_create(on_disk, "many", MANY_PARTITIONS, NULL));
    kfl_consumer *all = NULL;
    OK(kfl_consumer_open(on_disk, NULL, &all));
    for (int32_t i = 0; i < MANY_PARTITIONS; i++)
        places[i] = (kfl_partition_offset){.topic = "many", .partition = i};
    OK(kfl_consumer_assign(all, places, MANY_PARTITIONS));
    free(places);
    for (int i = 0; i < MANY_APPENDS; i++) {
        int64_t begin = now_ms();
        peer_tell(&peer);
        ck_assert_int_eq(OK(kfl_consumer_poll(all, 20000, 0, &records)), 1);
        slow += now_ms() - begin > 900;
        ck_assert_int_eq(kfl_records_get(records, 0)->partition, many_turn(i));
        kfl_records_release(records);
    }
    ck_assert_int_lt(slow, 10);
    peer_join(&peer);
    /* And nothing wakes it where nothing comes: one sleep, whatever the number of partitions. */
    int64_t before = context_switches();
    ck_assert_int_eq(OK(kfl_consumer_poll(all, 300, 0, &records)), 0);
    ck_assert_int_le(context_switches() - before, 3);
    OK(kfl_consumer_close(all));
    OK(kfl_store_close(on_disk));
    temp_dir_remove();
}
END_TEST

/* kafka:C13 */
START_TEST(a_wakeup_ends_the_poll_that_waits)
{
    struct waiter waiter;
    kfl_records *records;
    assign_at(consumer, "t", 1, 0);
    for (int i = 0; i < 20; i++) {
        waiter_start(&waiter, consumer);
        if (i % 2 == 0)
            waiter_doze();
        OK(kfl_consumer_wakeup(consumer));
        pthread_join(waiter.thread, NULL);
        ck_assert_int_eq(waiter.answer, KFL_E_WOKEN);
        /* Once. */
        ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 0, 0, &records)), 0);
    }
}
END_TEST

/* kafka:C13 */
START_TEST(a_wakeup_before_a_poll_ends_the_next_one)
{
    kfl_records *records;
    send_many("t", 0, 5, 0);
    assign_at(consumer, "t", 0, 0);
    OK(kfl_consumer_wakeup(consumer));
    OK(kfl_consumer_wakeup(consumer));
    FAILS(KFL_E_WOKEN, kfl_consumer_poll(consumer, -1, 0, &records));
    ck_assert_int_eq(position_of(consumer, "t", 0), 0);
    ck_assert_int_eq(read_on(consumer, 0), 5);
}
END_TEST

static void on_signal(int number)
{
    (void)number;
}

START_TEST(a_signal_interrupts_a_poll)
{
    struct waiter waiter;
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = _i == 0 ? 0 : SA_RESTART};
    sigaction(SIGUSR1, &action, NULL);
    assign_at(consumer, "t", 1, 0);
    waiter_start(&waiter, consumer);
    for (int i = 0; i < 2000 && pthread_tryjoin_np(waiter.thread, NULL) != 0; i++) {
        pthread_kill(waiter.thread, SIGUSR1);
        waiter_doze();
        if (i == 1999)
            ck_abort_msg("the poll was not interrupted");
    }
    ck_assert_int_eq(waiter.answer, KFL_E_INTR);
    ck_assert_str_ne(waiter.words, "");
}
END_TEST

/* Woken, and not found by the look once a second: at least once in a few tries. */
static int woken_by(void (*wake)(void), int answer)
{
    for (int tries = 0; tries < 5; tries++) {
        struct waiter waiter;
        assign_at(consumer, "t", 0, KFL_OFFSET_END);
        OK(kfl_consumer_pause(consumer, "t", 0));
        int64_t begin = now_ms();
        waiter_start(&waiter, consumer);
        waiter_doze();
        wake();
        pthread_join(waiter.thread, NULL);
        ck_assert_int_eq(waiter.answer, answer);
        if (now_ms() - begin < 900)
            return 1;
    }
    return 0;
}

static void wake_by_resume(void)
{
    OK(kfl_consumer_seek(consumer, "t", 0, 0));
    OK(kfl_consumer_resume(consumer, "t", 0));
}

static void wake_by_assignment(void)
{
    assign_at(consumer, "t", 1, 0);
}

static void wake_by_seek(void)
{
    OK(kfl_consumer_resume(consumer, "t", 0));
    waiter_doze();
    OK(kfl_consumer_seek(consumer, "t", 0, 1));
}

/* kafka:C10 kafka:C11 */
START_TEST(what_changes_an_assignment_wakes_who_waits)
{
    send_many("t", 0, 3, 0);
    send_many("t", 1, 4, 0);
    ck_assert(woken_by(wake_by_resume, 3));
    ck_assert(woken_by(wake_by_assignment, 4));
    ck_assert(woken_by(wake_by_seek, 2));
}
END_TEST

/* kafka:A7 */
START_TEST(a_deletion_wakes_who_waits)
{
    struct waiter waiter;
    for (int i = 0; i < 10; i++) {
        make_topic("u", 1, NULL);
        if (i % 2 == 0)
            send_many("u", 0, 1, 0);
        assign_at(consumer, "u", 0, KFL_OFFSET_END);
        int64_t begin = now_ms();
        waiter_start(&waiter, consumer);
        waiter_doze();
        OK(kfl_topic_delete(store, "u"));
        if (i % 3 == 0)
            make_topic("w", 1, NULL); /* may take its place */
        if (i % 3 == 0)
            ck_assert_int_eq(end_of("w", 0), 0);
        pthread_join(waiter.thread, NULL);
        ck_assert_int_eq(waiter.answer, KFL_E_UNKNOWN_TOPIC_OR_PARTITION);
        ck_assert_int_lt(now_ms() - begin, 5000);
        if (i % 3 == 0)
            OK(kfl_topic_delete(store, "w"));
    }
}
END_TEST

/* Polls of one consumer take turns; each record goes to one of them. */
START_TEST(two_polls_of_one_consumer_take_turns)
{
    struct waiter first, second;
    kfl_records *records;
    assign_at(consumer, "t", 0, 0);
    waiter_start(&first, consumer);
    waiter_start(&second, consumer);
    waiter_doze();
    int64_t begin = now_ms();
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 0, 0, &records)),
                     0); /* not its turn: no waiting */
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 10, 0, &records)), 0);
    ck_assert_int_lt(now_ms() - begin, 5000);
    send_value(producer, "t", 0, "v0");
    /* One of them has it; the other waits on. */
    while (position_of(consumer, "t", 0) < 1)
        sched_yield();
    send_value(producer, "t", 0, "v1");
    pthread_join(first.thread, NULL);
    pthread_join(second.thread, NULL);
    ck_assert_int_eq(first.answer, 1);
    ck_assert_int_eq(second.answer, 1);
    ck_assert_int_eq(first.offset + second.offset, 1);
}
END_TEST

/* Wakeup, position and commit do not wait for a poll that waits. */
START_TEST(nothing_else_waits_for_a_poll)
{
    struct waiter waiter;
    kfl_offsets *offsets;
    kfl_consumer *grouped = open_consumer(WITH("group.id", "g"));
    assign_at(grouped, "t", 0, 0);
    waiter_start(&waiter, grouped);
    waiter_doze();
    int64_t begin = now_ms();
    ck_assert_int_eq(position_of(grouped, "t", 0), 0);
    OK(kfl_consumer_commit(grouped, NULL));
    OK(kfl_consumer_assignment(grouped, &offsets));
    kfl_offsets_release(offsets);
    OK(kfl_consumer_wakeup(grouped));
    pthread_join(waiter.thread, NULL);
    ck_assert_int_lt(now_ms() - begin, 5000);
    ck_assert_int_eq(waiter.answer, KFL_E_WOKEN);
    OK(kfl_consumer_close(grouped));
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("poll");
    TCase *tests = tcase_create("poll");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, poll_set_up, poll_tear_down);
    tcase_add_test(tests, at_most_max_poll_records_and_none_lost);
    tcase_add_test(tests, a_smaller_poll_after_a_larger_one_is_smaller);
    tcase_add_loop_test(tests, a_poll_may_end_inside_a_batch, 0, 3);
    tcase_add_test(tests, arguments_are_checked);
    tcase_add_test(tests, fetch_max_bytes_ends_a_poll_but_not_before_its_first_batch);
    tcase_add_test(tests, each_partition_is_in_order_and_none_starves);
    tcase_add_test(tests, with_data_a_poll_returns_at_once);
    tcase_add_test(tests, without_data_a_poll_waits_that_long);
    tcase_add_test(tests, a_record_wakes_who_waits);
    tcase_add_test(tests, a_sync_wakes_who_waits_for_what_is_durable);
    tcase_add_test(tests, one_sleep_is_enough_for_thousands_of_partitions);
    tcase_add_test(tests, a_wakeup_ends_the_poll_that_waits);
    tcase_add_test(tests, a_wakeup_before_a_poll_ends_the_next_one);
    tcase_add_loop_test(tests, a_signal_interrupts_a_poll, 0, 2);
    tcase_add_test(tests, what_changes_an_assignment_wakes_who_waits);
    tcase_add_test(tests, a_deletion_wakes_who_waits);
    tcase_add_test(tests, two_polls_of_one_consumer_take_turns);
    tcase_add_test(tests, nothing_else_waits_for_a_poll);
    suite_add_tcase(suite, tests);
    return suite;
}
