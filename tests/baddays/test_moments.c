/* SPDX-License-Identifier: MIT */
/*
 * Things that happen to a program while it has a store open: its folder goes or moves, the clock jumps, a
 * thread closes the store under the others, the process forks, offsets run out, names are odd, another
 * process stops in the middle of an append.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fault.h"
#include "catalog/catalog.h"
#include "catalog/segments.h"
#include "catalog/topics.h"
#include "chance.h"
#include "child.h"
#include "day.h"
#include "suite.h"
#include "temp_dir.h"

static kfl_store *store;
static kfl_producer *producer;

static void ok(int r)
{
    ck_assert_msg(r >= 0, "%s: %s", kfl_error_name(r), kfl_last_error());
}

static void setup(void)
{
    temp_dir_make();
    ok(kfl_store_open(temp_dir_file("store"), NULL, &store));
    ok(day_make_topics(store));
    ok(kfl_producer_open(store, NULL, &producer));
}

static void teardown(void)
{
    kfl_producer_close(producer);
    kfl_store_close(store);
    temp_dir_remove();
}

/* How many records of a partition can be polled, from its beginning. */
static int count(kfl_store *of, int p)
{
    kfl_consumer *consumer = NULL;
    kfl_partition_offset from = {
        .topic = day_topics[p], .partition = day_numbers[p], .offset = KFL_OFFSET_BEGINNING};
    int r, found = 0;
    ok(kfl_consumer_open(of, NULL, &consumer));
    ok(kfl_consumer_assign(consumer, &from, 1));
    do {
        kfl_records *records = NULL;
        r = kfl_consumer_poll(consumer, 0, 0, &records);
        found += r > 0 ? r : 0;
        kfl_records_release(records);
    } while (r > 0);
    ok(r);
    kfl_consumer_close(consumer);
    return found;
}

/* ---- the folder ---- */

START_TEST(a_folder_that_moves_takes_nobody_with_it)
{
    int64_t next;
    ok(day_append(producer, 0, 0, 100, &next));
    ck_assert_int_eq(rename(temp_dir_file("store"), temp_dir_file("moved")), 0);
    /* All goes by the folder's descriptor: rolls, new topics and commits too. */
    ok(day_append(producer, 0, 100, 400, &next));
    ok(kfl_topic_create(store, "more", 1, NULL));
    ok(kfl_producer_send(producer, "more", 0, NULL, 0, "v", 1, NULL, 0, KFL_TIMESTAMP_NOW, NULL));
    ok(kfl_store_sync(store, -1));
    ck_assert_int_eq(count(store, 0), 400);
    kfl_producer_close(producer);
    producer = NULL;
    ok(kfl_store_close(store));
    store = NULL;
    ok(kfl_store_open(temp_dir_file("moved"), NULL, &store));
    ck_assert_int_eq(count(store, 0), 400);
}
END_TEST

START_TEST(a_folder_that_is_deleted_is_an_error_at_the_next_roll_and_no_signal)
{
    int64_t next;
    int r = 0;
    ok(day_append(producer, 0, 0, 100, &next));
    day_remove(temp_dir_file("store"));
    for (int64_t n = 100; n < 1000 && r >= 0; n++)
        r = day_append(producer, 0, n, n + 1, &next);
    ck_assert_int_lt(r, 0);
    ck_assert_int_ne(r, KFL_E_BUG);
    ck_assert_int_gt(count(store, 1) + 1, 0);
    (void)kfl_topic_create(store, "more", 1, NULL);
    kfl_producer_close(producer);
    producer = NULL;
    (void)kfl_store_close(store); /* what it answers is open; it returns, and frees */
    store = NULL;
}
END_TEST

/* ---- the clock ---- */

START_TEST(offsets_do_not_care_for_the_clock)
{
    static const int64_t times[] = {1700000000000,
                                    1700000000000 + 315360000000,
                                    1,
                                    0,
                                    1700000000000 - 315360000000,
                                    INT64_MAX / 2,
                                    5};
    int64_t offset, before = -1, next;
    ok(day_append(producer, 0, 0, 30, &next));
    before = 29;
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        ok(kfl_store_set_clock(store, times[i]));
        for (int n = 0; n < 40; n++) {
            ok(kfl_producer_send(producer, "orders", 0, "k", 1,
                                 "a value that is long enough to fill a file", 42, NULL, 0,
                                 KFL_TIMESTAMP_NOW, &offset));
            ck_assert_int_eq(offset, before + 1);
            before = offset;
        }
        ok(kfl_store_maintain(store, 100, NULL));
    }
    ok(kfl_store_set_clock(store, -1));
    ck_assert_int_eq(count(store, 0), before + 1);
    kfl_findings *findings = NULL;
    ck_assert_int_eq(kfl_store_verify(store, NULL, 0, &findings), 0);
    kfl_findings_release(findings);
}
END_TEST

/* ---- the last offsets ---- */

static int put_floor(struct kfl__catalog_txn *txn, void *context)
{
    struct kfl__topic_row topic;
    struct kfl__partition_row row;
    int r = kfl__topics_find(txn, "clicks", &topic);
    if (r == 0)
        r = kfl__partition_get(txn, topic.topic_id, 0, &row);
    if (r < 0)
        return r;
    row.durable_offset = row.offset_floor = *(const int64_t *)context;
    return kfl__partition_put(txn, topic.topic_id, 0, &row);
}

static void begin_at(int64_t offset)
{
    struct kfl__catalog *catalog = NULL;
    struct kfl__catalog_options options = {.file_mode = 0600};
    int directory = -1;
    kfl_producer_close(producer);
    ok(kfl_store_close(store));
    ck_assert_int_eq(unlink(temp_dir_file("store/state")), 0);
    directory = open(temp_dir_file("store"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(directory, 0);
    ok(kfl__catalog_open(directory, temp_dir_file("store"), &options, &catalog));
    ok(kfl__catalog_change_run(catalog, put_floor, &offset));
    kfl__catalog_close(catalog);
    close(directory);
    ok(kfl_store_open(temp_dir_file("store"), NULL, &store));
    ok(kfl_producer_open(store, NULL, &producer));
}

START_TEST(a_partition_without_offsets_left_refuses)
{
    int64_t offset = -1;
    begin_at(INT64_MAX - 10);
    for (int64_t n = INT64_MAX - 10; n < INT64_MAX; n++) {
        ok(kfl_producer_send(producer, "clicks", 0, NULL, 0, "v", 1, NULL, 0, KFL_TIMESTAMP_NOW,
                             &offset));
        ck_assert_int_eq(offset, n);
    }
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(kfl_producer_send(producer, "clicks", 0, NULL, 0, "v", 1, NULL, 0,
                                           KFL_TIMESTAMP_NOW, &offset),
                         KFL_E_INVALID);
    for (int again = 0; again < 2; again++) {
        ok(kfl_topic_end_offset(store, "clicks", 0, &offset));
        ck_assert_int_eq(offset, INT64_MAX);
        kfl_consumer *consumer = NULL;
        kfl_partition_offset from = {.topic = "clicks", .offset = INT64_MAX - 10};
        kfl_records *records = NULL;
        ok(kfl_consumer_open(store, NULL, &consumer));
        ok(kfl_consumer_assign(consumer, &from, 1));
        ck_assert_int_eq(kfl_consumer_poll(consumer, 0, 100, &records), 10);
        kfl_records_release(records);
        ck_assert_int_eq(kfl_consumer_poll(consumer, 0, 100, &records), 0);
        kfl_consumer_close(consumer);
        kfl_producer_close(producer);
        producer = NULL;
        ok(kfl_store_close(store));
        ok(kfl_store_open(temp_dir_file("store"), NULL, &store));
    }
}
END_TEST

/* ---- a close under calls ---- */

struct caller {
    pthread_t thread;
    int kind;
    kfl_consumer *consumer;
    kfl_producer *own;
    int result;
};
static _Atomic int inside;

static void *call_on(void *context)
{
    struct caller *caller = context;
    kfl_records *records = NULL;
    kfl_partition_offset to = {.topic = "orders", .partition = 0, .offset = 1};
    int r = 0;
    atomic_fetch_add(&inside, 1);
    while (r >= 0) {
        switch (caller->kind) {
        case 0:
            r = kfl_consumer_poll(caller->consumer, -1, 0, &records);
            if (r > 0)
                kfl_records_release(records);
            break;
        case 1:
            r = kfl_producer_send(caller->own, "orders", 1, NULL, 0, "vvvvvvvvvvvvvvvv", 16, NULL,
                                  0, KFL_TIMESTAMP_NOW, NULL);
            break;
        case 2:
            r = kfl_consumer_commit_offsets(caller->consumer, &to, 1);
            break;
        default:
            r = kfl_producer_flush(caller->own, 1000);
            break;
        }
    }
    caller->result = r;
    return NULL;
}

static int run_close_under_calls(void)
{
    alarm(60);
    for (int round = 0; round < 4; round++) {
        kfl_store *shared = NULL;
        kfl_config *config = NULL;
        struct caller callers[8] = {0};
        if (kfl_store_open(temp_dir_file("other"), NULL, &shared) < 0 ||
            (round == 0 && day_make_topics(shared) < 0))
            return 2;
        kfl_config_create(&config);
        kfl_config_set(config, "group.id", "g");
        kfl_producer *first = NULL;
        kfl_producer_open(shared, NULL, &first);
        kfl_producer_send(first, "orders", 0, NULL, 0, "v", 1, NULL, 0, KFL_TIMESTAMP_NOW, NULL);
        kfl_producer_close(first);
        atomic_store(&inside, 0);
        for (int i = 0; i < 8; i++) {
            kfl_partition_offset from = {.topic = i == 0 ? "clicks" : "orders",
                                         .partition = i == 0 ? 0 : 1,
                                         .offset = KFL_OFFSET_END};
            callers[i].kind = i % 4;
            if (kfl_consumer_open(shared, config, &callers[i].consumer) < 0 ||
                kfl_consumer_assign(callers[i].consumer, &from, 1) < 0 ||
                kfl_producer_open(shared, NULL, &callers[i].own) < 0)
                return 3;
            if (pthread_create(&callers[i].thread, NULL, call_on, &callers[i]) != 0)
                return 4;
        }
        while (atomic_load(&inside) < 8)
            sched_yield();
        nanosleep(&(struct timespec){.tv_nsec = round * 3000000},
                  NULL); /* each round somewhere else in the calls */
        struct timespec began, ended;
        clock_gettime(CLOCK_MONOTONIC, &began);
        int r = kfl_store_close(shared);
        clock_gettime(CLOCK_MONOTONIC, &ended);
        if (r < 0) {
            fprintf(stderr, "the close: %s\n", kfl_last_error());
            return 5;
        }
        if (ended.tv_sec - began.tv_sec > 8) {
            fprintf(stderr, "the close took %d s\n", (int)(ended.tv_sec - began.tv_sec));
            return 6;
        }
        for (int i = 0; i < 8; i++) {
            pthread_join(callers[i].thread, NULL);
            if (callers[i].result != KFL_E_CLOSED) {
                fprintf(stderr, "a call of kind %d answers %s\n", callers[i].kind,
                        kfl_error_name(callers[i].result));
                return 7;
            }
            kfl_consumer_close(callers[i].consumer);
            kfl_producer_close(callers[i].own);
        }
        kfl_config_destroy(config);
    }
    return 0;
}

START_TEST(a_close_wakes_those_who_are_inside)
{
    ck_assert_int_eq(run_close_under_calls(), 0);
}
END_TEST

/* ---- fork ---- */

#ifndef __SANITIZE_THREAD__
struct inherited {
    kfl_store *store;
    kfl_producer *producer;
    kfl_consumer *consumer;
};

static int use_inherited(void *context)
{
    struct inherited *handles = context;
    kfl_records *records = NULL;
    kfl_names *names = NULL;
    kfl_stats *stats = NULL;
    int64_t offset;
    kfl_partition_offset to = {.topic = "orders", .partition = 0, .offset = 1};
    alarm(20);
    int answers[] = {
        kfl_producer_send(handles->producer, "orders", 0, NULL, 0, "v", 1, NULL, 0,
                          KFL_TIMESTAMP_NOW, &offset),
        kfl_producer_flush(handles->producer, 100),
        kfl_consumer_poll(handles->consumer, 0, 0, &records),
        kfl_consumer_commit_offsets(handles->consumer, &to, 1),
        kfl_consumer_wakeup(handles->consumer),
        kfl_topic_create(handles->store, "child", 1, NULL),
        kfl_topic_list(handles->store, &names),
        kfl_topic_end_offset(handles->store, "orders", 0, &offset),
        kfl_topic_wait_durable(handles->store, "orders", 0, 1, 0),
        kfl_store_sync(handles->store, 100),
        kfl_store_maintain(handles->store, 100, NULL),
        kfl_stats_open(handles->store, &stats),
        kfl_group_list(handles->store, &names),
    };
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
        if (answers[i] != KFL_E_FORKED) {
            fprintf(stderr, "call %zu answers %s in the child\n", i, kfl_error_name(answers[i]));
            return 1;
        }
    kfl_consumer_close(handles->consumer);
    kfl_producer_close(handles->producer);
    kfl_store_close(handles->store);
    /* What it opens itself is its own. */
    kfl_store *own = NULL;
    if (kfl_store_open(temp_dir_file("store"), NULL, &own) < 0 ||
        kfl_producer_open(own, NULL, &handles->producer) < 0 ||
        kfl_producer_send(handles->producer, "orders", 0, NULL, 0, "c", 1, NULL, 0,
                          KFL_TIMESTAMP_NOW, &offset) < 0)
        return 2;
    kfl_producer_close(handles->producer);
    return kfl_store_close(own) < 0 ? 3 : 0;
}

START_TEST(a_child_is_told_and_its_parent_goes_on)
{
    struct inherited handles = {store, producer, NULL};
    kfl_config *config = NULL;
    int64_t next;
    ok(kfl_config_create(&config));
    ok(kfl_config_set(config, "group.id", "g"));
    ok(kfl_consumer_open(store, config, &handles.consumer));
    kfl_config_destroy(config);
    kfl_partition_offset from = {.topic = "orders", .partition = 0, .offset = KFL_OFFSET_BEGINNING};
    ok(day_append(producer, 0, 0, 10, &next));
    ok(kfl_consumer_assign(handles.consumer, &from, 1));
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(child_run(use_inherited, &handles), 0);
    ok(day_append(producer, 0, 13, 100, &next));
    ck_assert_int_eq(count(store, 0), 100);
    kfl_consumer_close(handles.consumer);
}
END_TEST
#endif

/* ---- names ---- */

/* Every folder below the store has a number for a name, whatever the topics are called. */
static void only_numbers(const char *path)
{
    DIR *directory = opendir(path);
    struct dirent *entry;
    if (directory == NULL)
        return;
    while ((entry = readdir(directory)) != NULL)
        if (entry->d_name[0] != '.')
            ck_assert_msg(strspn(entry->d_name, "0123456789") == strlen(entry->d_name), "%s/%s",
                          path, entry->d_name);
    closedir(directory);
}

START_TEST(no_name_leaves_the_folder)
{
    static const char *const odd[] = {"",     ".",           "..",   "/",   "../x",
                                      "a/b",  "/etc/passwd", "a\nb", "a b", "\xff\xfe",
                                      "a\\b", "%2e%2e",      "~",    "a:b", "\xc3\xa4"};
    static const char letters[] = "abzAZ019._-/\\ \n\x01\x7f\xc3%:~$*?";
    struct chance chance = chance_begin("names");
    int taken = 0;
    for (int i = 0; i < 2000; i++) {
        char name[400] = "";
        bool good = true;
        size_t size = i % 50 == 0 ? 245 + chance_below(&chance, 10) : chance_below(&chance, 8);
        for (size_t at = 0; at < size; at++)
            name[at] = letters[chance_below(&chance, i % 4 == 0 ? 8 : sizeof letters - 1)];
        if (i < (int)(sizeof odd / sizeof odd[0]))
            snprintf(name, sizeof name, "%s", odd[i]);
        size = strlen(name);
        for (size_t at = 0; at < size; at++)
            good =
                good && strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-",
                               name[at]) != NULL;
        good =
            good && size >= 1 && size <= 249 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
        int64_t offset;
        int r = kfl_topic_end_offset(store, name, 0, &offset);
        ck_assert_msg(r == (good ? KFL_E_UNKNOWN_TOPIC_OR_PARTITION : KFL_E_INVALID_TOPIC) ||
                          (good && r == 0),
                      "%s: %s", name, kfl_error_name(r));
        /* Creating costs a disk's sync or two: good names are tried now and then. */
        if (good && taken >= 40)
            continue;
        r = kfl_topic_create(store, name, 1, NULL);
        ck_assert_msg(good ? r == 0 || r == KFL_E_TOPIC_ALREADY_EXISTS || r == KFL_E_INVALID_TOPIC
                           : r == KFL_E_INVALID_TOPIC,
                      "%s: %s", name, kfl_error_name(r));
        if (r == 0) {
            taken++;
            ok(kfl_producer_send(producer, name, 0, NULL, 0, "v", 1, NULL, 0, KFL_TIMESTAMP_NOW,
                                 NULL));
        }
    }
    ck_assert_int_gt(taken, 20);
    only_numbers(temp_dir_file("store/topics"));
    DIR *directory = opendir(temp_dir_path());
    struct dirent *entry;
    while ((entry = readdir(directory)) != NULL)
        ck_assert_msg(entry->d_name[0] == '.' || strcmp(entry->d_name, "store") == 0, "%s",
                      entry->d_name);
    closedir(directory);
}
END_TEST

/* ---- a process that stops ---- */

#if defined(KFL_FAULT_POINTS) && !defined(__SANITIZE_THREAD__)
static int stop_in_append(void *context)
{
    (void)context;
    kfl_store *own = NULL;
    kfl_producer *sends = NULL;
    alarm(60);
    if (kfl_store_open(temp_dir_file("store"), NULL, &own) < 0 ||
        kfl_producer_open(own, NULL, &sends) < 0)
        return 1;
    if (kfl_producer_send(sends, "orders", 0, NULL, 0, "a", 1, NULL, 0, KFL_TIMESTAMP_NOW, NULL) <
        0)
        return 2;
    if (kfl__fault_arm("append.laid:1=stop") < 0)
        return 3;
    if (kfl_producer_send(sends, "orders", 0, NULL, 0, "b", 1, NULL, 0, KFL_TIMESTAMP_NOW, NULL) <
        0)
        return 4;
    kfl_producer_close(sends);
    return kfl_store_close(own) < 0 ? 5 : 0;
}

/* rule:R18 */
START_TEST(a_stopped_process_is_named_and_costs_no_more_than_time)
{
    kfl_config *config = NULL;
    kfl_producer *quick = NULL;
    char pid_text[32];
    int status;
    ok(kfl_config_create(&config));
    ok(kfl_config_set(config, "max.block.ms", "200"));
    ok(kfl_producer_open(store, config, &quick));
    kfl_config_destroy(config);
    pid_t pid = child_start(stop_in_append, NULL);
    ck_assert_int_eq(waitpid(pid, &status, WUNTRACED), pid);
    ck_assert_msg(WIFSTOPPED(status), "the other one did not stop: %d", status);
    int r =
        kfl_producer_send(quick, "orders", 0, NULL, 0, "c", 1, NULL, 0, KFL_TIMESTAMP_NOW, NULL);
    ck_assert_msg(r == KFL_E_BUSY, "%s", kfl_error_name(r));
    snprintf(pid_text, sizeof pid_text, "%d", (int)pid);
    ck_assert_msg(strstr(kfl_last_error(), pid_text) != NULL, "%s", kfl_last_error());
    /* Readers do not wait for it, and neither do the other partitions. */
    ck_assert_int_eq(count(store, 0), 1);
    ok(kfl_producer_send(quick, "orders", 1, NULL, 0, "d", 1, NULL, 0, KFL_TIMESTAMP_NOW, NULL));
    ck_assert_int_eq(kill(pid, SIGCONT), 0);
    ck_assert_int_eq(child_end(pid), 0);
    ok(kfl_producer_send(quick, "orders", 0, NULL, 0, "e", 1, NULL, 0, KFL_TIMESTAMP_NOW, NULL));
    ck_assert_int_eq(count(store, 0), 3);
    kfl_producer_close(quick);
}
END_TEST

/* A close does not wait for ever either. */
START_TEST(a_stopped_process_does_not_hold_up_a_close)
{
    int status;
    struct timespec began, ended;
    pid_t pid = child_start(stop_in_append, NULL);
    ck_assert_int_eq(waitpid(pid, &status, WUNTRACED), pid);
    ck_assert(WIFSTOPPED(status));
    kfl_producer_close(producer);
    producer = NULL;
    clock_gettime(CLOCK_MONOTONIC, &began);
    (void)kfl_store_close(store);
    store = NULL;
    clock_gettime(CLOCK_MONOTONIC, &ended);
    kill(pid, SIGCONT);
    ck_assert_int_eq(child_end(pid), 0);
    ck_assert_int_lt(ended.tv_sec - began.tv_sec, 12);
}
END_TEST
#endif

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("moments");
    TCase *tests = tcase_create("moments");
    tcase_set_timeout(tests, 200);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_folder_that_moves_takes_nobody_with_it);
    tcase_add_test(tests, a_folder_that_is_deleted_is_an_error_at_the_next_roll_and_no_signal);
    tcase_add_test(tests, offsets_do_not_care_for_the_clock);
    tcase_add_test(tests, a_partition_without_offsets_left_refuses);
    tcase_add_test(tests, a_close_wakes_those_who_are_inside);
    tcase_add_test(tests, no_name_leaves_the_folder);
    /* Children that have threads of their own are more than the thread sanitizer can follow. */
#ifndef __SANITIZE_THREAD__
    tcase_add_test(tests, a_child_is_told_and_its_parent_goes_on);
#ifdef KFL_FAULT_POINTS
    tcase_add_test(tests, a_stopped_process_is_named_and_costs_no_more_than_time);
    tcase_add_test(tests, a_stopped_process_does_not_hold_up_a_close);
#endif
#endif
    suite_add_tcase(suite, tests);
    return suite;
}
