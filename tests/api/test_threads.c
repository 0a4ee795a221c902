/* SPDX-License-Identifier: MIT */
/* Many threads, and another process, on one store: topics change under producers and consumers. */
#include <pthread.h>
#include <stdatomic.h>

#include "child.h"
#include "peer.h"
#include "store_fixture.h"

enum { THREADS = 4, EACH = 2000 };

static _Atomic int stop;

struct worker {
    pthread_t thread;
    int number;
    int64_t counted;
    int32_t deleted_seen;
};

static void workers_start(struct worker *workers, int count, void *(*run)(void *))
{
    atomic_store(&stop, 0);
    for (int i = 0; i < count; i++) {
        workers[i] = (struct worker){.number = i};
        pthread_create(&workers[i].thread, NULL, run, &workers[i]);
    }
}

static void workers_join(struct worker *workers, int count)
{
    atomic_store(&stop, 1);
    for (int i = 0; i < count; i++)
        pthread_join(workers[i].thread, NULL);
}

/* ---- appending together ---- */

static kfl_producer *shared_producer;

static void *append_run(void *context)
{
    struct worker *self = context;
    kfl_producer *producer = self->number % 2 == 0 ? shared_producer : open_producer(NULL);
    int64_t last = -1, offset;
    for (int i = 0; i < EACH; i++) {
        OK(kfl_producer_send(producer, "t", 0, &self->number, sizeof self->number, &i, sizeof i,
                             NULL, 0, 1, &offset));
        ck_assert_int_gt(offset, last);
        last = offset;
    }
    if (self->number % 2 != 0)
        OK(kfl_producer_close(producer));
    return NULL;
}

/* kafka:C1 kafka:C6: offsets are dense, and each thread's records are in its order. */
START_TEST(appends_of_many_threads_are_dense_and_in_order)
{
    struct worker workers[THREADS];
    int next[THREADS] = {0};
    int64_t offset = 0;
    make_topic("t", 1, NULL);
    shared_producer = open_producer(NULL);
    workers_start(workers, THREADS, append_run);
    workers_join(workers, THREADS);
    kfl_consumer *consumer = open_consumer(NULL);
    assign_at(consumer, "t", 0, 0);
    kfl_records *records;
    for (int n; (n = OK(kfl_consumer_poll(consumer, 0, 0, &records))) > 0;
         kfl_records_release(records))
        for (int32_t i = 0; i < n; i++) {
            const kfl_record *record = kfl_records_get(records, i);
            int number, value;
            memcpy(&number, record->key, sizeof number);
            memcpy(&value, record->value, sizeof value);
            ck_assert_int_eq(record->offset, offset++);
            ck_assert_int_eq(value, next[number]++);
        }
    ck_assert_int_eq(offset, THREADS * EACH);
    OK(kfl_consumer_close(consumer));
    OK(kfl_producer_close(shared_producer));
}
END_TEST

/* ---- changing a topic while it is used ---- */

static void *send_run(void *context)
{
    struct worker *self = context;
    kfl_producer *producer = open_producer(self->number % 2 == 0 ? NULL : WITH("linger.ms", "1"));
    while (atomic_load(&stop) == 0) {
        int r = try_send(producer, "t", KFL_PARTITION_ANY, NULL, "v", KFL_TIMESTAMP_NOW, NULL);
        if (r == KFL_E_UNKNOWN_TOPIC_OR_PARTITION) {
            self->deleted_seen++;
        } else {
            OK(r);
            self->counted++;
        }
    }
    int r = kfl_producer_close(producer);
    ck_assert(r == 0 || r == KFL_E_UNKNOWN_TOPIC_OR_PARTITION);
    return NULL;
}

static void *read_run(void *context)
{
    struct worker *self = context;
    kfl_consumer *consumer = open_consumer(NULL);
    while (atomic_load(&stop) == 0) {
        kfl_partition_offset wish = {.topic = "t", .offset = KFL_OFFSET_BEGINNING};
        kfl_records *records = NULL;
        int r = kfl_consumer_assign(consumer, &wish, 1);
        for (int i = 0; i < 20 && r >= 0; i++) {
            r = kfl_consumer_poll(consumer, 1, 0, &records);
            for (int32_t n = 0; n < r; n++)
                check_bytes(kfl_records_get(records, n)->value,
                            kfl_records_get(records, n)->value_size, "v");
            if (r > 0) {
                self->counted += r;
                kfl_records_release(records);
            } else if (r == KFL_E_EVENT) {
                kfl_event *event;
                while (OK(kfl_consumer_next_event(consumer, &event)) == 1) {
                    ck_assert_int_eq(kfl_event_kind(event), KFL_EVENT_LAPPED);
                    kfl_event_release(event);
                }
                r = 0;
            }
        }
        ck_assert_msg(r >= 0 || r == KFL_E_UNKNOWN_TOPIC_OR_PARTITION, "%s: %s", kfl_error_name(r),
                      kfl_last_error());
        self->deleted_seen += r < 0;
    }
    OK(kfl_consumer_close(consumer));
    return NULL;
}

/* kafka:A5 */
START_TEST(partitions_are_added_under_producers)
{
    struct worker senders[2];
    int64_t sum = 0;
    make_topic("t", 1, NULL);
    workers_start(senders, 2, send_run);
    for (int32_t count = 2; count <= 40; count++)
        OK(kfl_topic_add_partitions(store, "t", count));
    /* Until the last one was given something. */
    while (end_of("t", 39) == 0)
        sched_yield();
    workers_join(senders, 2);
    for (int32_t i = 0; i < 40; i++)
        sum += end_of("t", i);
    ck_assert_int_eq(sum, senders[0].counted + senders[1].counted);
}
END_TEST

START_TEST(a_topic_is_altered_under_producers)
{
    struct worker senders[2];
    make_topic("t", 2, NULL);
    workers_start(senders, 2, send_run);
    for (int i = 0; i < 100; i++) {
        OK(kfl_topic_set(store, "t", "segment.bytes", i % 2 == 0 ? "65536" : "131072"));
        OK(kfl_topic_set(store, "t", "compression.type", i % 3 == 0 ? "lz4" : "producer"));
        OK(kfl_topic_set(store, "t", "message.timestamp.type",
                         i % 5 == 0 ? "LogAppendTime" : "CreateTime"));
    }
    workers_join(senders, 2);
    ck_assert_int_eq(end_of("t", 0) + end_of("t", 1), senders[0].counted + senders[1].counted);
    ck_assert_int_eq(senders[0].deleted_seen + senders[1].deleted_seen, 0);
}
END_TEST

static void *alter_run(void *context)
{
    static const char *const names[] = {"flush.messages", "segment.ms",
                                        "message.timestamp.before.max.ms",
                                        "message.timestamp.after.max.ms"};
    const struct worker *self = context;
    for (int i = 1; i <= 50; i++) {
        char value[16];
        snprintf(value, sizeof value, "%d", 1000 + i);
        OK(kfl_topic_set(store, "t", names[self->number], value));
    }
    return NULL;
}

/* Changes of different properties, made at the same time, all stand. */
START_TEST(alterations_do_not_undo_each_other)
{
    struct worker workers[4];
    kfl_config *config;
    make_topic("t", 1, NULL);
    workers_start(workers, 4, alter_run);
    workers_join(workers, 4);
    OK(kfl_topic_config(store, "t", &config));
    ck_assert_str_eq(kfl_config_get(config, "flush.messages"), "1050");
    ck_assert_str_eq(kfl_config_get(config, "segment.ms"), "1050");
    ck_assert_str_eq(kfl_config_get(config, "message.timestamp.before.max.ms"), "1050");
    ck_assert_str_eq(kfl_config_get(config, "message.timestamp.after.max.ms"), "1050");
    kfl_config_destroy(config);
}
END_TEST

/* kafka:A7 */
START_TEST(a_topic_is_deleted_and_made_anew_under_its_users)
{
    struct worker senders[2], readers[2];
    int64_t begin = 0;
    make_topic("t", 2, NULL);
    workers_start(senders, 2, send_run);
    workers_start(readers, 2, read_run);
    for (int i = 0; i < 30; i++) {
        while (end_of("t", 0) + end_of("t", 1) == 0)
            sched_yield();
        OK(kfl_topic_delete(store, "t"));
        make_topic("t", 2, NULL);
        ck_assert_int_eq(start_of("t", 0), 0);
    }
    while (end_of("t", 0) + end_of("t", 1) == begin)
        sched_yield();
    workers_join(senders, 2);
    workers_join(readers, 2);
    ck_assert_int_gt(senders[0].counted, 0);
    ck_assert_int_gt(readers[0].counted + readers[1].counted, 0);
}
END_TEST

/* kafka:H12 */
START_TEST(prefixes_are_deleted_under_readers)
{
    struct worker senders[1], readers[2];
    make_topic("t", 1, WITH("segment.bytes", "65536"));
    workers_start(senders, 1, send_run);
    workers_start(readers, 2, read_run);
    for (int i = 0; i < 50; i++) {
        int64_t start, end = end_of("t", 0);
        OK(kfl_topic_delete_records(store, "t", 0, end / 2, &start));
        ck_assert_int_ge(start, end / 2);
        while (end_of("t", 0) == end)
            sched_yield();
    }
    workers_join(senders, 1);
    workers_join(readers, 2);
    ck_assert_int_eq(end_of("t", 0), senders[0].counted);
}
END_TEST

static void *create_run(void *context)
{
    const struct worker *self = context;
    int64_t *made = &((struct worker *)context)->counted;
    for (int i = 0; i < 40; i++) {
        char name[16];
        snprintf(name, sizeof name, "t%d", i);
        int r = kfl_topic_create(store, name, 1 + self->number, NULL);
        ck_assert(r == 0 || r == KFL_E_TOPIC_ALREADY_EXISTS);
        *made += r == 0;
    }
    return NULL;
}

/* kafka:A3 */
START_TEST(of_those_who_create_one_topic_one_succeeds)
{
    struct worker workers[THREADS];
    int64_t made = 0;
    workers_start(workers, THREADS, create_run);
    workers_join(workers, THREADS);
    for (int i = 0; i < THREADS; i++)
        made += workers[i].counted;
    ck_assert_int_eq(made, 40);
}
END_TEST

/* ---- open and close ---- */

static void *open_run(void *context)
{
    (void)context;
    for (int i = 0; i < 15; i++) {
        kfl_store *own = open_store(temp_dir_path(), NULL);
        kfl_producer *producer;
        int64_t offset;
        OK(kfl_producer_open(own, NULL, &producer));
        OK(try_send(producer, "t", 0, NULL, "v", 1, &offset));
        if (i % 2 == 0) {
            OK(kfl_producer_close(producer));
            OK(kfl_store_close(own));
        } else {
            OK(kfl_store_close(own));
            OK(kfl_producer_close(producer));
        }
    }
    return NULL;
}

START_TEST(opens_and_closes_of_one_folder_at_the_same_time)
{
    struct worker workers[THREADS];
    temp_dir_make();
    kfl_store *kept = store;
    store = open_store(temp_dir_path(), NULL);
    make_topic("t", 1, NULL);
    OK(kfl_store_close(store)); /* so that the last close may come at any time */
    workers_start(workers, THREADS, open_run);
    workers_join(workers, THREADS);
    store = open_store(temp_dir_path(), NULL);
    ck_assert_int_eq(end_of("t", 0), THREADS * 15);
    OK(kfl_store_close(store));
    store = kept;
    temp_dir_remove();
}
END_TEST

static void *until_closed_run(void *context)
{
    struct worker *self = context;
    kfl_producer *producer;
    kfl_consumer *consumer;
    int64_t offset;
    int r;
    OK(kfl_producer_open(store, NULL, &producer));
    consumer = open_consumer(WITH("group.id", "g"));
    assign_at(consumer, "t", 0, 0);
    self->deleted_seen = 1; /* at work */
    atomic_fetch_add(&stop, 1);
    do {
        kfl_records *records;
        r = try_send(producer, "t", 0, "k", "v", 1, &offset);
        self->counted += r >= 0;
        if (r >= 0 && (r = kfl_consumer_poll(consumer, 0, 0, &records)) > 0) {
            r = kfl_consumer_commit(consumer, records);
            kfl_records_release(records);
        }
    } while (r >= 0);
    ck_assert_msg(r == KFL_E_CLOSED, "%s: %s", kfl_error_name(r), kfl_last_error());
    r = kfl_producer_close(producer);
    ck_assert(r == 0 || r == KFL_E_CLOSED);
    OK(kfl_consumer_close(consumer));
    return NULL;
}

/* What was acknowledged before the close is there after it. */
START_TEST(a_close_under_work_loses_nothing)
{
    kfl_store *kept = store;
    for (int round = 0; round < 5; round++) {
        struct worker workers[THREADS];
        int64_t counted = 0;
        temp_dir_make();
        store = open_store(temp_dir_path(), NULL);
        make_topic("t", 1, NULL);
        workers_start(workers, THREADS, until_closed_run);
        while (atomic_load(&stop) < THREADS || end_of("t", 0) < 100)
            sched_yield();
        OK(kfl_store_close(store));
        workers_join(workers, THREADS);
        for (int i = 0; i < THREADS; i++)
            counted += workers[i].counted;
        store = open_store(temp_dir_path(), NULL);
        ck_assert_int_eq(end_of("t", 0), counted);
        OK(kfl_store_close(store));
        temp_dir_remove();
    }
    store = kept;
}
END_TEST

/* ---- another process ---- */

static void peer_deletes(struct peer *self, void *context)
{
    (void)context;
    store = open_store(temp_dir_path(), IN_A_CHILD);
    for (int i = 0; i < 10; i++) {
        while (end_of("t", 0) == 0)
            sched_yield();
        OK(kfl_topic_delete(store, "t"));
        make_topic("t", 1, NULL);
    }
    peer_tell(self);
    peer_await(self);
    ck_assert_int_gt(end_of("t", 0), 0);
    OK(kfl_store_close(store));
}

/* kafka:A7 rule:R21 */
START_TEST(another_process_deletes_the_topic_under_its_users)
{
    struct worker senders[2], readers[1];
    struct peer peer;
    kfl_store *kept = store;
    temp_dir_make();
    store = open_store(temp_dir_path(), NULL);
    make_topic("t", 1, NULL);
    OK(kfl_store_close(store));
    peer_start(&peer, peer_deletes, NULL);
    store = open_store(temp_dir_path(), NULL);
    workers_start(senders, 2, send_run);
    workers_start(readers, 1, read_run);
    peer_await(&peer);
    while (end_of("t", 0) == 0)
        sched_yield();
    peer_tell(&peer);
    peer_join(&peer);
    workers_join(senders, 2);
    workers_join(readers, 1);
    OK(kfl_store_close(store));
    store = kept;
    temp_dir_remove();
}
END_TEST

static void peer_sends(struct peer *self, void *context)
{
    (void)context;
    store = open_store(temp_dir_path(), IN_A_CHILD);
    peer_await(self);
    kfl_producer *producer = open_producer(NULL);
    for (int i = 0; i < EACH; i++)
        OK(try_send(producer, "t", 0, "peer", "v", 1, NULL));
    OK(kfl_producer_close(producer));
    peer_tell(self);
    peer_await(self);
    OK(kfl_store_close(store));
}

/* kafka:C1: over small segments, so that both roll. */
START_TEST(two_processes_append_and_read_together)
{
    struct peer peer;
    kfl_store *kept = store;
    temp_dir_make();
    store = open_store(temp_dir_path(), NULL);
    make_topic("t", 1, WITH("segment.bytes", "65536"));
    OK(kfl_store_close(store));
    peer_start(&peer, peer_sends, NULL);
    store = open_store(temp_dir_path(), NULL);
    kfl_consumer *consumer = open_consumer(NULL);
    kfl_producer *producer = open_producer(NULL);
    assign_at(consumer, "t", 0, 0);
    peer_tell(&peer);
    int64_t next = 0, sent = 0;
    while (next < 2 * EACH) {
        kfl_records *records;
        if (sent < EACH) {
            OK(try_send(producer, "t", 0, "self", "v", 1, NULL));
            sent++;
        }
        int n = OK(kfl_consumer_poll(consumer, sent < EACH ? 0 : 20000, 0, &records));
        ck_assert(n > 0 || sent <= EACH);
        for (int32_t i = 0; i < n; i++)
            ck_assert_int_eq(kfl_records_get(records, i)->offset, next++);
        kfl_records_release(records);
    }
    ck_assert_int_eq(stat_of("processes", "", -1), 2);
    peer_await(&peer);
    peer_tell(&peer);
    peer_join(&peer);
    ck_assert_int_eq(end_of("t", 0), 2 * EACH);
    OK(kfl_producer_close(producer));
    OK(kfl_consumer_close(consumer));
    OK(kfl_store_close(store));
    store = kept;
    temp_dir_remove();
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("threads");
    TCase *tests = tcase_create("threads");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, memory_set_up, memory_tear_down);
    tcase_add_test(tests, appends_of_many_threads_are_dense_and_in_order);
    tcase_add_test(tests, partitions_are_added_under_producers);
    tcase_add_test(tests, a_topic_is_altered_under_producers);
    tcase_add_test(tests, alterations_do_not_undo_each_other);
    tcase_add_test(tests, a_topic_is_deleted_and_made_anew_under_its_users);
    tcase_add_test(tests, prefixes_are_deleted_under_readers);
    tcase_add_test(tests, of_those_who_create_one_topic_one_succeeds);
    tcase_add_test(tests, opens_and_closes_of_one_folder_at_the_same_time);
    tcase_add_test(tests, a_close_under_work_loses_nothing);
    tcase_add_test(tests, another_process_deletes_the_topic_under_its_users);
    tcase_add_test(tests, two_processes_append_and_read_together);
    suite_add_tcase(suite, tests);
    return suite;
}
