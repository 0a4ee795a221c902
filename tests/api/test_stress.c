/* SPDX-License-Identifier: MIT */
/*
 * Everything at once, for KAFKALITE_STRESS_SECONDS (1): producers of all kinds, readers, commits,
 * prefix deletion, topics that come and go, alterations, looks from outside. Under the thread
 * sanitizer this looks for races. Afterwards the store is verified, opened again and counted.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "chance.h"
#include "store_fixture.h"

enum { TOPICS = 3, PARTITIONS = 2, PRODUCERS = 3, READERS = 2 };

static _Atomic int stop;
static struct chance seeds;
static _Atomic int64_t acknowledged[TOPICS][PARTITIONS];
static _Atomic int64_t appended_beside[TOPICS][PARTITIONS]; /* lingering ones, told by no offset */

struct actor {
    pthread_t thread;
    void *(*run)(void *);
    int number;
    struct chance chance;
    int64_t done;
};

struct value {
    int32_t producer, check;
    int64_t sequence;
    char padding[100];
};

static void name_of(char *name, int topic)
{
    sprintf(name, "stress-%d", topic);
}

static struct value value_of(int producer, int64_t sequence)
{
    struct value value = {
        .producer = producer, .check = (int32_t)(sequence * 31 + producer), .sequence = sequence};
    return value;
}

static void *produce(void *context)
{
    const char *const *const kinds[] = {NULL, WITH("acks", "all"),
                                        WITH("linger.ms", "1", "compression.type", "lz4")};
    struct actor *self = context;
    kfl_producer *producer = open_producer(kinds[self->number % 3]);
    char name[32];
    while (atomic_load(&stop) == 0) {
        int topic = (int)chance_below(&self->chance, TOPICS),
            partition = (int)chance_below(&self->chance, PARTITIONS);
        struct value value = value_of(self->number, self->done++);
        int64_t offset = -1;
        name_of(name, topic);
        OK(kfl_producer_send(producer, name, partition, "k", 1, &value,
                             16 + chance_below(&self->chance, 100), NULL, 0, KFL_TIMESTAMP_NOW,
                             &offset));
        if (offset == KFL_OFFSET_PENDING) {
            atomic_fetch_add(&appended_beside[topic][partition], 1);
            if (chance_below(&self->chance, 200) == 0)
                OK(kfl_producer_flush(producer, -1));
        } else {
            int64_t seen = atomic_load(&acknowledged[topic][partition]);
            while (seen < offset + 1 && !atomic_compare_exchange_weak(
                                            &acknowledged[topic][partition], &seen, offset + 1))
                ;
        }
    }
    OK(kfl_producer_close(producer));
    return NULL;
}

/* Offsets without a gap, but for what was deleted; the bytes as sent, each producer's in order. */
static void *consume(void *context)
{
    struct actor *self = context;
    kfl_consumer *consumer = open_consumer(
        self->number == 0 ? NULL : WITH("group.id", "readers", "max.poll.records", "37"));
    kfl_partition_offset wishes[TOPICS * PARTITIONS];
    char names[TOPICS][32];
    int64_t next[TOPICS][PARTITIONS] = {0}, last[TOPICS][PARTITIONS][PRODUCERS];
    memset(last, 0xff, sizeof last);
    for (int i = 0; i < TOPICS * PARTITIONS; i++) {
        name_of(names[i / PARTITIONS], i / PARTITIONS);
        wishes[i] =
            (kfl_partition_offset){.topic = names[i / PARTITIONS], .partition = i % PARTITIONS};
    }
    OK(kfl_consumer_assign(consumer, wishes, TOPICS * PARTITIONS));
    while (atomic_load(&stop) == 0) {
        kfl_records *records = NULL;
        kfl_event *event;
        int r = kfl_consumer_poll(consumer, 5, 0, &records);
        while (r == KFL_E_EVENT && OK(kfl_consumer_next_event(consumer, &event)) == 1) {
            int64_t *at = &next[kfl_event_topic(event)[7] - '0'][kfl_event_partition(event)];
            ck_assert_int_eq(kfl_event_kind(event), KFL_EVENT_LAPPED);
            ck_assert_int_eq(kfl_event_offset(event), *at);
            *at = kfl_event_end_offset(event);
            kfl_event_release(event);
        }
        if (r == KFL_E_EVENT)
            continue;
        OK(r);
        for (int32_t i = 0; i < r; i++) {
            const kfl_record *record = kfl_records_get(records, i);
            int topic = record->topic[7] - '0';
            struct value value;
            memcpy(&value, record->value, 16);
            ck_assert_int_eq(record->offset, next[topic][record->partition]++);
            ck_assert_int_eq(value.check, (int32_t)(value.sequence * 31 + value.producer));
            ck_assert_int_gt(value.sequence, last[topic][record->partition][value.producer]);
            last[topic][record->partition][value.producer] = value.sequence;
        }
        if (r > 0 && self->number == 1)
            OK(kfl_consumer_commit(consumer, chance_below(&self->chance, 2) == 0 ? records : NULL));
        self->done += r;
        kfl_records_release(records);
    }
    OK(kfl_consumer_close(consumer));
    return NULL;
}

static void *trim(void *context)
{
    struct actor *self = context;
    char name[32];
    while (atomic_load(&stop) == 0) {
        int64_t start;
        name_of(name, (int)chance_below(&self->chance, TOPICS));
        int32_t partition = (int32_t)chance_below(&self->chance, PARTITIONS);
        int64_t before = start_of(name, partition), end = end_of(name, partition);
        OK(kfl_topic_delete_records(store, name, partition, before + (end - before) / 2, &start));
        ck_assert_int_ge(start, before + (end - before) / 2);
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    return NULL;
}

static void *come_and_go(void *context)
{
    struct actor *self = context;
    kfl_producer *producer = open_producer(NULL);
    kfl_consumer *consumer = open_consumer(WITH("group.id", "visitors"));
    char name[32];
    while (atomic_load(&stop) == 0) {
        kfl_records *records;
        snprintf(name, sizeof name, "visitor-%d", (int)chance_below(&self->chance, 3));
        make_topic(name, 1 + (int32_t)chance_below(&self->chance, 3), NULL);
        for (int i = 0; i < 20; i++)
            OK(try_send(producer, name, KFL_PARTITION_ANY, NULL, "v", KFL_TIMESTAMP_NOW, NULL));
        OK(kfl_topic_add_partitions(store, name, 5));
        ck_assert_int_eq(send_value(producer, name, 4, "v0"), 0);
        assign_at(consumer, name, 4, 0);
        ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 0, 0, &records)), 1);
        OK(kfl_consumer_commit(consumer, records));
        kfl_records_release(records);
        OK(kfl_topic_delete(store, name));
        self->done++;
    }
    OK(kfl_consumer_close(consumer));
    OK(kfl_producer_close(producer));
    return NULL;
}

static void *look(void *context)
{
    struct actor *self = context;
    char name[32];
    while (atomic_load(&stop) == 0) {
        int topic = (int)chance_below(&self->chance, TOPICS),
            partition = (int)chance_below(&self->chance, PARTITIONS);
        kfl_names *names;
        kfl_stats *stats;
        kfl_segments *segments;
        int64_t offset, durable, time;
        name_of(name, topic);
        int64_t known = atomic_load(&acknowledged[topic][partition]);
        ck_assert_int_ge(end_of(name, partition), known);
        OK(kfl_topic_durable_offset(store, name, partition, &durable));
        ck_assert_int_le(durable, end_of(name, partition));
        switch (chance_below(&self->chance, 8)) {
        case 0:
            OK(kfl_topic_wait_durable(store, name, partition, KFL_OFFSET_END, -1));
            break;
        case 1:
            OK(kfl_topic_list(store, &names));
            ck_assert_int_ge(kfl_names_count(names), TOPICS);
            kfl_names_release(names);
            break;
        case 2:
            OK(kfl_stats_open(store, &stats));
            kfl_stats_close(stats);
            break;
        case 3:
            OK(kfl_segments_list(store, name, partition, &segments));
            kfl_segments_release(segments);
            break;
        case 4:
            OK(kfl_topic_max_timestamp(store, name, partition, &offset, &time));
            break;
        case 5:
            OK(kfl_topic_set(store, name, "index.interval.bytes",
                             chance_below(&self->chance, 2) == 0 ? "64" : "4096"));
            break;
        case 6:
            OK(kfl_store_sync(store, -1));
            break;
        default:
            OK(kfl_topic_offset_for_time(store, name, partition, 1000, &offset, &time));
        }
        self->done++;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return NULL;
}

static void check_all(int64_t ends[TOPICS][PARTITIONS])
{
    char name[32];
    kfl_findings *findings;
    ck_assert_msg(OK(kfl_store_verify(store, NULL, 0, &findings)) == 0, "%s",
                  kfl_findings_count(findings) > 0 ? kfl_findings_get(findings, 0)->text : "");
    kfl_findings_release(findings);
    for (int i = 0; i < TOPICS; i++)
        for (int32_t n = 0; n < PARTITIONS; n++) {
            name_of(name, i);
            ck_assert_int_ge(end_of(name, n), atomic_load(&acknowledged[i][n]));
            if (ends[i][n] >= 0)
                ck_assert_int_eq(end_of(name, n), ends[i][n]);
            ends[i][n] = end_of(name, n);
        }
}

START_TEST(everything_at_once)
{
    struct actor actors[] = {
        {.run = produce, .number = 0}, {.run = produce, .number = 1}, {.run = produce, .number = 2},
        {.run = consume, .number = 0}, {.run = consume, .number = 1}, {.run = trim},
        {.run = come_and_go},          {.run = look, .number = 0},    {.run = look, .number = 1},
    };
    const size_t count = sizeof actors / sizeof actors[0];
    int64_t ends[TOPICS][PARTITIONS], sent = 0, kept = 0;
    const char *seconds = getenv("KAFKALITE_STRESS_SECONDS");
    char name[32];
    memset(ends, 0xff, sizeof ends);
    seeds = chance_begin("everything_at_once");
    for (int i = 0; i < TOPICS; i++) {
        name_of(name, i);
        make_topic(name, PARTITIONS, WITH("segment.bytes", "65536"));
    }
    for (size_t i = 0; i < count; i++) {
        actors[i].chance.state = chance_next(&seeds);
        pthread_create(&actors[i].thread, NULL, actors[i].run, &actors[i]);
    }
    sleep(seconds == NULL ? 1 : (unsigned)atoi(seconds));
    atomic_store(&stop, 1);
    for (size_t i = 0; i < count; i++)
        pthread_join(actors[i].thread, NULL);
    check_all(ends);
    for (int i = 0; i < PRODUCERS; i++)
        sent += actors[i].done;
    for (int i = 0; i < TOPICS * PARTITIONS; i++)
        kept += ends[i / PARTITIONS][i % PARTITIONS];
    ck_assert_int_eq(kept, sent);
    ck_assert_int_gt(actors[PRODUCERS].done, 0);
    OK(kfl_store_close(store));
    store = open_store(temp_dir_path(), NULL);
    check_all(ends);
}
END_TEST

static void stress_set_up(void)
{
    temp_dir_make();
    store = open_store(temp_dir_path(), NULL);
}

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("stress");
    TCase *tests = tcase_create("stress");
    tcase_set_timeout(tests, 600);
    tcase_add_checked_fixture(tests, stress_set_up, disk_tear_down);
    tcase_add_test(tests, everything_at_once);
    suite_add_tcase(suite, tests);
    return suite;
}
