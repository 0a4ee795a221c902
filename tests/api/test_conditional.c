/* SPDX-License-Identifier: MIT */
/* Append only if the partition ends where the caller thinks. */
#include <pthread.h>
#include <stdatomic.h>

#include "store_fixture.h"

static kfl_producer *producer;

static void conditional_set_up(void)
{
    memory_set_up();
    make_topic("t", 2, NULL);
    producer = open_producer(NULL);
}

static void conditional_tear_down(void)
{
    kfl_producer_close(producer);
    memory_tear_down();
}

static int send_if(kfl_producer *by, int32_t partition, int64_t expected, int64_t *out_offset)
{
    return kfl_producer_send_if(by, "t", partition, "k", 1, "v", 1, NULL, 0, 1, expected,
                                out_offset);
}

START_TEST(it_appends_where_the_log_ends_as_expected)
{
    int64_t offset;
    for (int64_t i = 0; i < 5; i++) {
        ck_assert_int_eq(OK(send_if(producer, 1, i, &offset)), 1);
        ck_assert_int_eq(offset, i);
    }
    ck_assert_int_eq(end_of("t", 1), 5);
}
END_TEST

START_TEST(a_conflict_tells_the_actual_end)
{
    int64_t offset = 77;
    send_many("t", 0, 3, 0);
    FAILS(KFL_E_CONFLICT, send_if(producer, 0, 2, &offset));
    ck_assert_int_eq(kfl_last_error_offset(), 3);
    ck_assert_int_eq(kfl_last_error_partition(), 0);
    ck_assert_str_eq(kfl_last_error_topic(), "t");
    FAILS(KFL_E_CONFLICT, send_if(producer, 0, 4, &offset));
    FAILS(KFL_E_CONFLICT, send_if(producer, 0, INT64_MAX, &offset));
    FAILS(KFL_E_CONFLICT, send_if(producer, 1, 1, &offset)); /* nothing in it yet */
    ck_assert_int_eq(kfl_last_error_offset(), 0);
    ck_assert_int_eq(offset, 77);
    ck_assert_int_eq(end_of("t", 0), 3);
}
END_TEST

START_TEST(it_needs_a_partition_and_an_offset)
{
    FAILS(KFL_E_INVALID, send_if(producer, KFL_PARTITION_ANY, 0, NULL));
    FAILS(KFL_E_INVALID, send_if(producer, 0, -1, NULL));
    FAILS(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, send_if(producer, 2, 0, NULL));
    FAILS(KFL_E_INVALID,
          kfl_producer_send_if(producer, "t", 0, NULL, 1, NULL, 0, NULL, 0, 1, 0, NULL));
    FAILS(KFL_E_INVALID,
          kfl_producer_send_if(producer, NULL, 0, NULL, 0, NULL, 0, NULL, 0, 1, 0, NULL));
    ck_assert_int_eq(end_of("t", 0), 0);
}
END_TEST

START_TEST(it_never_lingers)
{
    int64_t offset;
    kfl_producer *lingers = open_producer(WITH("linger.ms", "3600000"));
    OK(send_if(lingers, 0, 0, &offset));
    ck_assert_int_eq(offset, 0);
    ck_assert_int_eq(end_of("t", 0), 1);
    OK(kfl_producer_close(lingers));
}
END_TEST

START_TEST(with_acks_all_it_is_durable)
{
    int64_t durable;
    kfl_producer *all = open_producer(WITH("acks", "all"));
    OK(send_if(all, 0, 0, NULL));
    OK(kfl_topic_durable_offset(store, "t", 0, &durable));
    ck_assert_int_eq(durable, 1);
    FAILS(KFL_E_CONFLICT, send_if(all, 0, 0, NULL));
    OK(kfl_producer_close(all));
}
END_TEST

/* The start does not count. */
START_TEST(deleted_records_do_not_move_the_end)
{
    send_many("t", 0, 10, 0);
    OK(kfl_topic_delete_records(store, "t", 0, KFL_OFFSET_END, NULL));
    FAILS(KFL_E_CONFLICT, send_if(producer, 0, 0, NULL));
    OK(send_if(producer, 0, 10, NULL));
}
END_TEST

enum { RACERS = 4, ROUNDS = 500 };
static _Atomic int64_t won[RACERS];
static _Atomic int64_t winners[ROUNDS];

static void *race(void *context)
{
    int self = *(int *)context;
    kfl_producer *own = self % 2 == 0 ? producer : open_producer(NULL);
    for (int64_t round = 0; round < ROUNDS;) {
        int64_t offset = -1;
        int r = send_if(own, 0, round, &offset);
        if (r == 0) {
            ck_assert_int_eq(offset, round);
            atomic_fetch_add(&won[self], 1);
            atomic_fetch_add(&winners[round], 1);
            round++;
        } else {
            ck_assert_int_eq(r, KFL_E_CONFLICT);
            ck_assert_int_gt(kfl_last_error_offset(), round);
            round = kfl_last_error_offset();
        }
    }
    if (self % 2 != 0)
        OK(kfl_producer_close(own));
    return NULL;
}

START_TEST(of_those_who_race_exactly_one_wins)
{
    pthread_t threads[RACERS];
    int selves[RACERS];
    for (int i = 0; i < RACERS; i++) {
        selves[i] = i;
        pthread_create(&threads[i], NULL, race, &selves[i]);
    }
    int64_t sum = 0;
    for (int i = 0; i < RACERS; i++) {
        pthread_join(threads[i], NULL);
        sum += atomic_load(&won[i]);
    }
    ck_assert_int_eq(sum, ROUNDS);
    for (int i = 0; i < ROUNDS; i++)
        ck_assert_int_eq(atomic_load(&winners[i]), 1);
    ck_assert_int_eq(end_of("t", 0), ROUNDS);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("conditional");
    TCase *tests = tcase_create("conditional");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, conditional_set_up, conditional_tear_down);
    tcase_add_test(tests, it_appends_where_the_log_ends_as_expected);
    tcase_add_test(tests, a_conflict_tells_the_actual_end);
    tcase_add_test(tests, it_needs_a_partition_and_an_offset);
    tcase_add_test(tests, it_never_lingers);
    tcase_add_test(tests, with_acks_all_it_is_durable);
    tcase_add_test(tests, deleted_records_do_not_move_the_end);
    tcase_add_test(tests, of_those_who_race_exactly_one_wins);
    suite_add_tcase(suite, tests);
    return suite;
}
