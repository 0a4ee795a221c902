/* SPDX-License-Identifier: MIT */
/* A program that changes what it sends, while it is sent, gets a mixture into its log, and no damage. */
#include <pthread.h>
#include <stdatomic.h>

#include "store_fixture.h"

static _Atomic int stop;
static uint8_t bytes[1024];

static void *change(void *context)
{
    (void)context;
    for (uint8_t i = 0; !atomic_load_explicit(&stop, memory_order_relaxed); i++)
        memset(bytes, i, sizeof bytes);
    return NULL;
}

static void send_one(kfl_producer *producer, size_t size)
{
    OK(kfl_producer_send(producer, "t", 0, bytes, size % 9, bytes + 9, size, NULL, 0, KFL_TIMESTAMP_NOW, NULL));
}

static void send_packed(kfl_producer *producer, size_t size)
{
    kfl_packed_row rows[2];
    for (int i = 0; i < 2; i++)
        rows[i] = (kfl_packed_row){.timestamp_ms = 1, .key_size = (int32_t)(size % 9), .value_size = (int32_t)(size - size % 9)};
    ck_assert_int_eq(OK(kfl_producer_send_packed(producer, "t", rows, 2, bytes, size * 2)), 2);
}

static void (*const ways[])(kfl_producer *, size_t) = {send_one, send_packed};

START_TEST(a_value_that_changes_meanwhile_is_no_damage)
{
    pthread_t thread;
    kfl_producer *producer = open_producer(NULL);
    kfl_findings *findings = NULL;
    make_topic("t", 1, NULL);
    atomic_store(&stop, 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, change, NULL), 0);
    for (int i = 0; i < 200000; i++)
        ways[_i](producer, 9 + (size_t)i % 300);
    atomic_store(&stop, 1);
    pthread_join(thread, NULL);
    OK(kfl_producer_close(producer));
    OK(kfl_store_verify(store, NULL, 0, &findings));
    ck_assert_msg(kfl_findings_count(findings) == 0, "%s", kfl_findings_get(findings, 0)->text);
    kfl_findings_release(findings);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("changing");
    TCase *tests = tcase_create("changing");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, memory_set_up, memory_tear_down);
#if !defined(__SANITIZE_THREAD__) /* it is a race, of the program's own */
    tcase_add_loop_test(tests, a_value_that_changes_meanwhile_is_no_damage, 0, 2);
#endif
    suite_add_tcase(suite, tests);
    return suite;
}
