/* SPDX-License-Identifier: MIT */
/* Who goes to sleep next to partitions whose producers are lent their locks and append no more. */
#include <pthread.h>

#include "api/consumer.h"
#include "base/barrier.h"
#include "base/loan.h"
#include "engine/partition.h"
#include "store_fixture.h"

#define PARTITIONS 3
#define ALONE 200 /* appends after which the lock is lent */

static kfl_consumer *consumer;

static void lent_set_up(void)
{
    kfl__barrier_join();
    disk_set_up();
    make_topic("t", PARTITIONS, NULL);
    consumer = open_consumer(NULL);
}

static void lent_tear_down(void)
{
    kfl_consumer_close(consumer);
    disk_tear_down();
}

static void assign_all(void)
{
    kfl_partition_offset places[PARTITIONS];
    kfl_records *records;
    for (int32_t i = 0; i < PARTITIONS; i++)
        places[i] = (kfl_partition_offset){.topic = "t", .partition = i, .offset = 0};
    OK(kfl_consumer_assign(consumer, places, PARTITIONS));
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 0, 0, &records)), 0);
}

static void send_to_all(int32_t count)
{
    for (int32_t i = 0; i < PARTITIONS; i++)
        send_many("t", i, count, 0);
}

static void *send_alone(void *context)
{
    send_to_all(ALONE);
    return context;
}

static int32_t count_lent(void)
{
    int32_t lent = 0;
    for (int32_t i = 0; i < PARTITIONS; i++)
        lent += kfl__lendable_is_lent(&consumer->assigned[i].partition->slot->append);
    return lent;
}

static int poll_once(int32_t timeout_ms)
{
    kfl_records *records;
    int n = OK(kfl_consumer_poll(consumer, timeout_ms, 0, &records));
    if (n > 0)
        kfl_records_release(records);
    return n;
}

static void read_count(int32_t count)
{
    while (count > 0)
        count -= poll_once(0);
    ck_assert_int_eq(count, 0);
}

/* Else each sleep would make a barrier on all processors, for as long as nobody else wants those locks. */
START_TEST(each_sleep_ends_one_of_the_loans)
{
    pthread_t thread;
    assign_all();
    send_to_all(1);
    read_count(PARTITIONS); /* the files are open from here on, which takes the lock */
    ck_assert_int_eq(pthread_create(&thread, NULL, send_alone, NULL), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    read_count(PARTITIONS * ALONE);
    int32_t lent = count_lent();
#if !defined(KFL_THREAD_SANITIZER)
    ck_assert(!kfl__barrier_joined() || lent == PARTITIONS);
#endif
    while (lent > 0) {
        int32_t before = lent;
        ck_assert_int_eq(poll_once(1), 0);
        lent = count_lent();
        ck_assert_int_lt(lent, before);
    }
    send_many("t", 1, 1, 0);
    ck_assert_int_eq(poll_once(10000), 1);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("api/lent");
    TCase *all = tcase_create("lent");
    tcase_add_checked_fixture(all, lent_set_up, lent_tear_down);
    tcase_set_timeout(all, 60);
    tcase_add_test(all, each_sleep_ends_one_of_the_loans);
    suite_add_tcase(suite, all);
    return suite;
}
