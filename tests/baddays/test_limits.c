/* SPDX-License-Identifier: MIT */
/*
 * A process with little: few descriptors, little address space, no threads. What does not fit is refused with
 * the reason, and what was acknowledged is there once there is more again.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "child.h"
#include "day.h"
#include "suite.h"
#include "temp_dir.h"

static char store[600];
static struct day_visit *visit;

static void setup(void)
{
    temp_dir_make();
    snprintf(store, sizeof store, "%s", temp_dir_file("store"));
    visit = day_visit_create();
}

static void teardown(void)
{
    temp_dir_remove();
}

struct limit {
    int resource;
    rlim_t value;
    const char *topic_bytes;
    int refused;
};

/* Only these may be answered for want of something. */
static bool is_want(int r)
{
    return r >= 0 || r == KFL_E_IO || r == KFL_E_NOMEM || r == KFL_E_BUSY;
}

static int told(const char *what, int r)
{
    fprintf(stderr, "%s: %s: %s\n", what, kfl_error_name(r), kfl_last_error());
    return 1;
}

/* Work on ten topics of ten partitions with little; then with more, everything that was told is there. */
static int run_with_little(void *context)
{
    struct limit *limit = context;
    struct rlimit before, little;
    kfl_store *own = NULL;
    kfl_producer *producer = NULL;
    static int64_t ends[10][10];
    alarm(60);
    getrlimit((__rlimit_resource_t)limit->resource, &before);
    little = (struct rlimit){.rlim_cur = limit->value, .rlim_max = before.rlim_max};
    setrlimit((__rlimit_resource_t)limit->resource, &little);
    int r = kfl_store_open(store, NULL, &own);
    if (r < 0) {
        if (!is_want(r))
            return told("open", r);
        limit->refused++;
        setrlimit((__rlimit_resource_t)limit->resource, &before);
        if ((r = kfl_store_open(store, NULL, &own)) < 0)
            return told("open with more", r);
        setrlimit((__rlimit_resource_t)limit->resource, &little);
    }
    if ((r = kfl_producer_open(own, NULL, &producer)) < 0)
        return told("producer", r);
    for (int t = 0; t < 10; t++) {
        char name[8];
        snprintf(name, sizeof name, "t%d", t);
        r = kfl_topic_create(own, name, 10, NULL);
        if (!is_want(r))
            return told("create", r);
        limit->refused += r < 0;
        for (int n = 0; n < 40; n++) {
            int64_t offset = -1;
            int p = n % 10;
            r = kfl_producer_send(producer, name, p, NULL, 0,
                                  "0123456789012345678901234567890123456789", 40, NULL, 0,
                                  KFL_TIMESTAMP_NOW, &offset);
            if (!is_want(r) && r != KFL_E_UNKNOWN_TOPIC_OR_PARTITION)
                return told("send", r);
            limit->refused += r < 0;
            if (r >= 0 && offset != ends[t][p])
                return told("an offset out of order", KFL_E_BUG);
            ends[t][p] += r >= 0;
        }
    }
    r = kfl_store_sync(own, 5000);
    if (!is_want(r))
        return told("sync", r);
    r = kfl_store_maintain(own, 100, NULL);
    if (!is_want(r))
        return told("maintain", r);
    setrlimit((__rlimit_resource_t)limit->resource, &before);
    for (int t = 0; t < 10; t++)
        for (int p = 0; p < 10; p++) {
            char name[8];
            snprintf(name, sizeof name, "t%d", t);
            (void)kfl_topic_create(own, name, 10, NULL);
            kfl_consumer *consumer = NULL;
            kfl_partition_offset from = {
                .topic = name, .partition = p, .offset = KFL_OFFSET_BEGINNING};
            int64_t count = 0, offset;
            if ((r = kfl_consumer_open(own, NULL, &consumer)) < 0 ||
                (r = kfl_consumer_assign(consumer, &from, 1)) < 0)
                return told("consumer with more", r);
            kfl_records *records = NULL;
            while ((r = kfl_consumer_poll(consumer, 0, 0, &records)) > 0) {
                count += r;
                kfl_records_release(records);
            }
            if (r < 0 || count != ends[t][p])
                return told("what was acknowledged", r);
            kfl_consumer_close(consumer);
            if ((r = kfl_producer_send(producer, name, p, NULL, 0, "v", 1, NULL, 0,
                                       KFL_TIMESTAMP_NOW, &offset)) < 0)
                return told("send with more", r);
            if (offset != ends[t][p])
                return told("an offset was given twice", KFL_E_BUG);
        }
    kfl_producer_close(producer);
    r = kfl_store_close(own);
    return r < 0 ? told("close", r) : 0;
}

static void run_limit(int resource, rlim_t value, bool must_refuse)
{
    struct limit *limit = child_share(sizeof *limit);
    *limit = (struct limit){.resource = resource, .value = value};
    int r = child_run(run_with_little, limit);
    ck_assert_msg(r == 0, "limit %llu: %d", (unsigned long long)value, r);
    if (must_refuse)
        ck_assert_int_gt(limit->refused, 0);
}

START_TEST(few_descriptors_are_an_error_and_cost_nothing_else)
{
    /* From 14 on, files that are durable are given back for others. */
    run_limit(RLIMIT_NOFILE, (rlim_t)(8 + 2 * _i), _i < 3);
}
END_TEST

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SHADOWED 1
#else
#define SHADOWED 0
#endif

START_TEST(little_address_space_is_an_error_and_costs_nothing_else)
{
    if (SHADOWED) {
        fprintf(stderr, "skipped: a sanitizer needs the address space for itself\n");
        return;
    }
    run_limit(RLIMIT_AS, (rlim_t)(48 + 16 * _i) << 20, false);
}
END_TEST

/* A user who may not have another thread. */
static int run_without_threads(void *context)
{
    (void)context;
    kfl_store *own = NULL;
    kfl_producer *producer = NULL;
    int64_t next = 0;
    alarm(30);
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_NPROC, &none);
    if (geteuid() == 0 && (setgid(54321) < 0 || setuid(54321) < 0))
        return CHILD_CANNOT_TRY;
    kfl_config *config = NULL;
    kfl_config_create(&config);
    kfl_config_set(config, "linger.ms", "5");
    int r = kfl_store_open(store, NULL, &own);
    if (r < 0 || (r = day_make_topics(own)) < 0 ||
        (r = kfl_producer_open(own, NULL, &producer)) < 0 ||
        (r = day_append(producer, 0, 0, 200, &next)) < 0)
        return told("without threads", r);
    kfl_producer_close(producer);
    /* Lingering counts on a thread that is not there: flush, and nothing is lost. */
    if ((r = kfl_producer_open(own, config, &producer)) < 0 ||
        (r = kfl_producer_send(producer, "clicks", 0, NULL, 0, "v", 1, NULL, 0, KFL_TIMESTAMP_NOW,
                               NULL)) < 0 ||
        (r = kfl_producer_flush(producer, 5000)) < 0)
        return told("lingering without threads", r);
    kfl_config_destroy(config);
    kfl_producer_close(producer);
    int64_t end = 0;
    if ((r = kfl_topic_end_offset(own, "clicks", 0, &end)) < 0 || end != 1)
        return told("what lingered", r);
    r = kfl_store_close(own);
    return r < 0 ? told("close", r) : 0;
}

START_TEST(without_threads_it_works_all_the_same)
{
    ck_assert_int_eq(chmod(temp_dir_path(), 0777), 0);
    int r = child_run(run_without_threads, NULL);
    if (r == CHILD_CANNOT_TRY)
        fprintf(stderr, "skipped: cannot be another user\n");
    else
        ck_assert_int_eq(r, 0);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("limits");
    TCase *tests = tcase_create("limits");
    tcase_set_timeout(tests, 200);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, few_descriptors_are_an_error_and_cost_nothing_else, 0, 16);
    tcase_add_loop_test(tests, little_address_space_is_an_error_and_costs_nothing_else, 0, 8);
    tcase_add_test(tests, without_threads_it_works_all_the_same);
    suite_add_tcase(suite, tests);
    return suite;
}
