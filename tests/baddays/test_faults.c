/* SPDX-License-Identifier: MIT */
/*
 * Each call that can fail is made to fail, once: memory, files, maps, the catalog. A run of everything that a
 * program does with a store meets the n-th of them, n rising until none is left. The step that met it
 * says so and can be done again; what was acknowledged is there afterwards; nothing leaks.
 *
 * Needs -Dfault_points=true. A sample runs by default; KAFKALITE_TEST_CASES=0 runs every n of every point.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/fault.h"
#include "chance.h"
#include "child.h"
#include "day.h"
#include "suite.h"
#include "temp_dir.h"

#define SENDS_MAX 512
/* So many runs in a row without an error: the point is not passed that often. */
#define QUIET_RUNS (getenv("KAFKALITE_TEST_CASES") != NULL ? 40 : 3)

/* In memory shared with the child that runs. */
struct run {
    char store[600];
    char plan[100];
    int errors; /* steps that failed */
    int step;   /* where it is, for a message */
    char words[400];
    int sends;
    struct {
        int64_t offset; /* -1: not acknowledged */
        int partition;
    } sent[SENDS_MAX];
    int64_t
        committed[3]; /* the last that succeeded, and what was tried since: it may have arrived */
    int leaks;
};

static struct run *run;
static struct day_visit *visit;

#ifdef KFL_FAULT_POINTS

extern int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

static void explain(const char *what, int r)
{
    snprintf(run->words, sizeof run->words, "step %d, %s: %s, %s", run->step, what,
             kfl_error_name(r), kfl_last_error());
}

/* A failed step may be done again: 1. Else 0, or the run ends. */
static int failed(const char *what, int r, int attempt)
{
    if (r >= 0)
        return 0;
    run->errors++;
    if (kfl_last_error()[0] == '\0' || kfl_last_error_code() != r) {
        explain(what, r);
        strcat(run->words, " (the words are not those of this error)");
        _exit(3);
    }
    if (r == KFL_E_BUG || r == KFL_E_INVALID || r == KFL_E_OPTIONS_DIFFER) {
        explain(what, r);
        _exit(4);
    }
    /* After a failed sync nothing is promised any more until the store is opened anew. */
    if (attempt == 0 && r != KFL_E_FAILED)
        return 1;
    if (r == KFL_E_FAILED)
        return 0;
    explain(what, r);
    _exit(5);
}

#define STEP(call)                                                                                 \
    do {                                                                                           \
        run->step = __LINE__;                                                                      \
        for (int attempt = 0; failed(#call, call, attempt) != 0; attempt++) {                      \
        }                                                                                          \
    } while (0)

static int send_one(kfl_producer *producer, const char *topic, int partition)
{
    char value[3000];
    int64_t offset = -1;
    int n = run->sends;
    memset(value, 'a' + n % 26, sizeof value);
    memcpy(value, &n, sizeof n);
    run->sent[n].offset = -1;
    run->sent[n].partition = partition;
    run->sends++;
    ck_assert_int_lt(run->sends, SENDS_MAX);
    int r = kfl_producer_send(producer, topic, partition, "k", 1, value, 4 + (size_t)n * 37 % 2900,
                              NULL, 0, KFL_TIMESTAMP_NOW, &offset);
    if (r >= 0)
        run->sent[n].offset = offset;
    return r;
}

static int commit_one(kfl_consumer *consumer, int64_t offset)
{
    kfl_partition_offset to = {
        .topic = "things", .partition = 0, .offset = offset, .metadata = "m", .metadata_size = 1};
    int r = kfl_consumer_commit_offsets(consumer, &to, 1);
    if (r >= 0)
        run->committed[0] = run->committed[1] = run->committed[2] = offset;
    else
        run->committed[offset == 20 ? 1 : 2] = offset;
    return r;
}

static int create_one(kfl_store *store, const char *name)
{
    kfl_config *config = NULL;
    int r = kfl_config_create(&config);
    if (r == 0)
        r = kfl_config_set(config, "segment.bytes", "65536");
    if (r == 0)
        r = kfl_topic_create(store, name, 2, config);
    kfl_config_destroy(config);
    /* An attempt whose answer was lost may have made it. */
    return r == KFL_E_TOPIC_ALREADY_EXISTS ? 0 : r;
}

static int poll_all(kfl_consumer *consumer)
{
    int r, count = 0;
    do {
        kfl_records *records = NULL;
        r = kfl_consumer_poll(consumer, 0, 40, &records);
        count += r > 0 ? r : 0;
        kfl_records_release(records);
    } while (r > 0);
    return r < 0 ? r : count;
}

static int consumer_open(kfl_store *store, kfl_consumer **out_consumer)
{
    kfl_config *config = NULL;
    int r = kfl_config_create(&config);
    if (r == 0)
        r = kfl_config_set(config, "group.id", "g");
    if (r == 0)
        r = kfl_consumer_open(store, config, out_consumer);
    kfl_config_destroy(config);
    return r;
}

static int producer_open(kfl_store *store, const char *name, const char *value,
                         kfl_producer **out_producer)
{
    kfl_config *config = NULL;
    int r = kfl_config_create(&config);
    if (r == 0)
        r = kfl_config_set(config, name, value);
    if (r == 0)
        r = kfl_producer_open(store, config, out_producer);
    kfl_config_destroy(config);
    return r;
}

static int list_all(kfl_store *store)
{
    kfl_names *names = NULL;
    kfl_offsets *offsets = NULL;
    kfl_segments *segments = NULL;
    kfl_history *history = NULL;
    kfl_stats *stats = NULL;
    kfl_config *config = NULL;
    int r = kfl_topic_list(store, &names);
    kfl_names_release(names);
    names = NULL;
    if (r >= 0)
        r = kfl_group_list(store, &names);
    kfl_names_release(names);
    if (r >= 0)
        r = kfl_group_offsets(store, "g", &offsets);
    if (r == KFL_E_GROUP_ID_NOT_FOUND)
        r = 0; /* the commit before was refused for good */
    kfl_offsets_release(offsets);
    if (r >= 0)
        r = kfl_segments_list(store, "things", 0, &segments);
    kfl_segments_release(segments);
    if (r >= 0)
        r = kfl_history_list(store, &history);
    kfl_history_release(history);
    if (r >= 0)
        r = kfl_topic_config(store, "things", &config);
    kfl_config_destroy(config);
    if (r >= 0)
        r = kfl_stats_open(store, &stats);
    kfl_stats_close(stats);
    return r;
}

static int verify_all(kfl_store *store)
{
    kfl_findings *findings = NULL;
    int r = kfl_store_verify(store, NULL, 0, &findings);
    kfl_findings_release(findings);
    return r;
}

static int close_quietly(kfl_store *store)
{
    int r = kfl_store_close(store);
    if (r < 0)
        run->errors++;
    return 0; /* the handle is gone in any case */
}

static int send_packed(kfl_producer *producer)
{
    kfl_packed_row rows[4];
    char bytes[4 * 504];
    int first = run->sends;
    memset(bytes, 'p', sizeof bytes);
    for (int i = 0; i < 4; i++) {
        int n = first + i;
        memcpy(bytes + i * 504, &n, sizeof n);
        rows[i] = (kfl_packed_row){.timestamp_ms = KFL_TIMESTAMP_NOW,
                                   .partition = i % 2,
                                   .key_size = -1,
                                   .value_size = 504};
        run->sent[n].partition = i % 2;
        run->sent[n].offset = -1;
    }
    run->sends += 4;
    int r = kfl_producer_send_packed(producer, "things", rows, 4, bytes, sizeof bytes);
    for (int i = 0; i < 4; i++)
        run->sent[first + i].offset = r >= 0                ? rows[i].offset
                                      : rows[i].offset >= 0 ? rows[i].offset
                                                            : -1;
    return r;
}

/* What a program does with a store. */
static int body(void *context)
{
    (void)context;
    kfl_store *store = NULL;
    kfl_producer *one = NULL, *all = NULL, *slow = NULL;
    kfl_consumer *consumer = NULL;
    kfl_partition_offset both[2] = {
        {.topic = "things", .partition = 0, .offset = KFL_OFFSET_BEGINNING},
        {.topic = "things", .partition = 1, .offset = KFL_OFFSET_BEGINNING}};
    int64_t offset;
    alarm(30);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    kfl_config *config = day_config();
    if (kfl__fault_arm(run->plan) < 0)
        return 2;
    STEP(kfl_store_open(run->store, config, &store));
    STEP(create_one(store, "things"));
    STEP(create_one(store, "gone"));
    STEP(producer_open(store, "acks", "1", &one));
    STEP(producer_open(store, "acks", "all", &all));
    STEP(producer_open(store, "linger.ms", "100000", &slow));
    STEP(consumer_open(store, &consumer));
    STEP(kfl_consumer_assign(consumer, both, 2));
    for (int i = 0; i < 90; i++)
        STEP(send_one(one, "things", i % 8 == 0));
    STEP(send_one(all, "things", 0));
    STEP(send_one(all, "things", 1));
    STEP(send_packed(one));
    STEP(poll_all(consumer));
    STEP(commit_one(consumer, 20));
    STEP(kfl_topic_wait_durable(store, "things", 0, KFL_OFFSET_END, 10000));
    STEP(commit_one(consumer, 30));
    STEP(kfl_store_maintain(store, 1000, NULL));
    STEP(list_all(store));
    STEP(verify_all(store));
    STEP(kfl_topic_offset_for_time(store, "things", 0, 1, &offset, &offset));
    STEP(kfl_topic_set(store, "things", "flush.ms", "500"));
    STEP(kfl_producer_send(slow, "gone", 0, NULL, 0, "v", 1, NULL, 0, KFL_TIMESTAMP_NOW, NULL));
    STEP(kfl_producer_flush(slow, 10000));
    int r = kfl_topic_delete(store, "gone");
    if (r < 0)
        run->errors++;
    for (int i = 0; i < 20; i++)
        STEP(send_one(one, "things", 0));
    STEP(kfl_consumer_seek(consumer, "things", 0, 10));
    STEP(poll_all(consumer));
    STEP(kfl_store_sync(store, 10000));
    kfl_consumer_close(consumer);
    kfl_producer_close(one);
    kfl_producer_close(all);
    kfl_producer_close(slow);
    STEP(close_quietly(store));
    kfl__fault_arm(NULL);
    kfl_config_destroy(config);
    if (__lsan_do_recoverable_leak_check != NULL)
        run->leaks = __lsan_do_recoverable_leak_check();
    return 0;
}

/* What a program does first with a store that was left in the middle: recovery meets the fault. */
static int body_of_heir(void *context)
{
    (void)context;
    kfl_store *store = NULL;
    kfl_producer *producer = NULL;
    kfl_consumer *consumer = NULL;
    kfl_partition_offset all[DAY_PARTITIONS];
    alarm(30);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    kfl_config *config = day_config();
    if (kfl__fault_arm(run->plan) < 0)
        return 2;
    STEP(kfl_store_open(run->store, config, &store));
    STEP(kfl_consumer_open(store, NULL, &consumer));
    for (int p = 0; p < DAY_PARTITIONS; p++)
        all[p] = (kfl_partition_offset){
            .topic = day_topics[p], .partition = day_numbers[p], .offset = KFL_OFFSET_BEGINNING};
    STEP(kfl_consumer_assign(consumer, all, DAY_PARTITIONS));
    STEP(poll_all(consumer));
    STEP(producer_open(store, "acks", "all", &producer));
    for (int p = 0; p < DAY_PARTITIONS; p++)
        STEP(kfl_producer_send(producer, day_topics[p], day_numbers[p], NULL, 0, "v", 1, NULL, 0,
                               KFL_TIMESTAMP_NOW, NULL));
    kfl_producer_close(producer);
    kfl_consumer_close(consumer);
    STEP(close_quietly(store));
    kfl__fault_arm(NULL);
    kfl_config_destroy(config);
    if (__lsan_do_recoverable_leak_check != NULL)
        run->leaks = __lsan_do_recoverable_leak_check();
    return 0;
}

/* Another process finds what was acknowledged, and goes on. */
static int look_again(void *context)
{
    (void)context;
    kfl_store *store = NULL;
    kfl_consumer *consumer = NULL;
    static int found[SENDS_MAX];
    alarm(30);
    run->words[0] = '\0';
    memset(found, 0, sizeof found);
    kfl_config *config = day_config();
    int r = kfl_store_open(run->store, config, &store);
    kfl_config_destroy(config);
    kfl_partition_offset both[2] = {
        {.topic = "things", .partition = 0, .offset = KFL_OFFSET_BEGINNING},
        {.topic = "things", .partition = 1, .offset = KFL_OFFSET_BEGINNING}};
    if (r == 0)
        r = consumer_open(store, &consumer);
    if (r == 0)
        r = kfl_consumer_assign(consumer, both, 2);
    while (r >= 0) {
        kfl_records *records = NULL;
        r = kfl_consumer_poll(consumer, 0, 0, &records);
        for (int32_t i = 0; i < r; i++) {
            const kfl_record *record = kfl_records_get(records, i);
            int n = -1;
            memcpy(&n, record->value, sizeof n);
            if (n < 0 || n >= run->sends || record->partition != run->sent[n].partition ||
                found[n]++ != 0 ||
                (run->sent[n].offset >= 0 && run->sent[n].offset != record->offset)) {
                snprintf(run->words, sizeof run->words,
                         "record %d at offset %lld of %d: sent to %lld", n,
                         (long long)record->offset, record->partition,
                         n < 0 || n >= run->sends ? -2 : (long long)run->sent[n].offset);
                return 1;
            }
        }
        kfl_records_release(records);
        if (r == 0)
            break;
    }
    for (int n = 0; n < run->sends && r >= 0; n++)
        if (run->sent[n].offset >= 0 && found[n] == 0) {
            snprintf(run->words, sizeof run->words, "record %d at offset %lld of %d is lost", n,
                     (long long)run->sent[n].offset, run->sent[n].partition);
            return 1;
        }
    kfl_offsets *offsets = NULL;
    if (r >= 0)
        r = kfl_consumer_committed(consumer, both, 1, &offsets);
    if (r >= 0) {
        int64_t at = kfl_offsets_get(offsets, 0)->offset;
        if (at != run->committed[0] && at != run->committed[1] && at != run->committed[2]) {
            snprintf(run->words, sizeof run->words, "committed is %lld, not %lld", (long long)at,
                     (long long)run->committed[0]);
            return 1;
        }
    }
    kfl_offsets_release(offsets);
    if (r >= 0)
        r = verify_all(store);
    if (r > 0) {
        snprintf(run->words, sizeof run->words, "verify has %d findings", r);
        return 1;
    }
    kfl_producer *producer = NULL;
    if (r >= 0)
        r = producer_open(store, "acks", "all", &producer);
    for (int p = 0; p < 2 && r >= 0; p++)
        r = kfl_producer_send(producer, "things", p, NULL, 0, "x", 1, NULL, 0, KFL_TIMESTAMP_NOW,
                              NULL);
    if (r >= 0) {
        kfl_producer_close(producer);
        kfl_consumer_close(consumer);
        r = kfl_store_close(store);
    }
    if (r < 0)
        snprintf(run->words, sizeof run->words, "%s: %s", kfl_error_name(r), kfl_last_error());
    return r < 0;
}

/* What the one before left is read by the next as if nothing had been in the way. */
static int look_at_heritage(void)
{
    day_visit_run(run->store, DAY_VERIFY, visit);
    bool whole =
        visit->signal == 0 && visit->open == 0 && visit->verify == 0 && visit->committed_right;
    for (int p = 0; p < DAY_PARTITIONS; p++)
        for (int64_t n = 0; n < day_ends[p]; n++)
            whole = whole && visit->partitions[p].fates[n] == DAY_RIGHT;
    if (!whole)
        snprintf(run->words, sizeof run->words, "%s", day_visit_text(visit));
    return !whole;
}

enum life { LIFE_OWN, LIFE_AFTER_KILL, LIFE_AFTER_POWER_CUT, LIFE_COUNT };

/* 1: the fault was met, 0: not; -1: what follows is wrong. */
static int run_one(enum life life, const char *point, int n, const char *error)
{
    memset(run, 0, sizeof *run);
    for (int i = 0; i < 3; i++)
        run->committed[i] = -1;
    snprintf(run->store, sizeof run->store, "%s/s", temp_dir_path());
    snprintf(run->plan, sizeof run->plan, "%s:%d=%s", point, n, error);
    if (life == LIFE_AFTER_KILL)
        day_make(run->store, false);
    if (life == LIFE_AFTER_POWER_CUT)
        day_copy(temp_dir_file("template"), run->store);
    int r = child_run(life == LIFE_OWN ? body : body_of_heir, NULL);
    const char *what = r == -SIGALRM ? "hangs" : r != 0 ? "ends" : run->leaks != 0 ? "leaks" : NULL;
    if (what == NULL) {
        r = life == LIFE_OWN ? child_run(look_again, NULL) : look_at_heritage();
        what = r == 0 ? NULL : r < 0 ? "look again: a signal" : "look again";
    }
    int errors = run->errors;
    if (what != NULL)
        fprintf(stderr, "life %d, KAFKALITE_FAULT=%s: %s (%d): %s\n", life, run->plan, what, r,
                run->words);
    if (what != NULL && getenv("KAFKALITE_TEST_KEEP") != NULL) {
        char kept[700];
        snprintf(kept, sizeof kept, "%s-%s-%d", run->store, point, n);
        (void)rename(run->store, kept);
    }
    day_remove(run->store);
    return what != NULL ? -1 : errors > 0;
}

/* n from `first` on, by steps of a random size up to `stride`. Returns how many went wrong. */
static int sweep(struct chance *chance, enum life life, const char *point, const char *error,
                 int stride)
{
    int bad = 0, quiet = 0, met = 0, last = 0;
    for (int n = 1 + (int)chance_below(chance, (uint64_t)stride); quiet < QUIET_RUNS && bad < 10;
         n += 1 + (int)chance_below(chance, (uint64_t)stride)) {
        int r = run_one(life, point, n, error);
        bad += r < 0;
        met += r > 0;
        quiet = r == 0 ? quiet + 1 : 0;
        last = n;
    }
    if (getenv("KAFKALITE_TEST_CASES") != NULL)
        fprintf(stderr, "life %d, %s=%s: up to %d, met %d times, %d bad\n", life, point, error,
                last, met, bad);
    return bad;
}

static int stride_of(int sampled)
{
    return getenv("KAFKALITE_TEST_CASES") != NULL ? 1 : sampled;
}

START_TEST(a_run_without_faults_passes)
{
    for (int life = 0; life < LIFE_COUNT; life++)
        ck_assert_int_eq(run_one((enum life)life, "no.such.point", 1, "EIO"), 0);
}
END_TEST

START_TEST(memory_that_is_refused_once_is_an_error_and_no_more)
{
    struct chance chance = chance_begin("memory");
    ck_assert_int_eq(sweep(&chance, (enum life)_i, "memory.alloc", "ENOMEM", stride_of(17)), 0);
}
END_TEST

static const struct call {
    const char *point, *error;
    int stride;
} calls[] = {
    {"file.create", "EMFILE", 3},
    {"file.create", "ENOSPC", 3},
    {"file.open", "EMFILE", 9},
    {"file.open", "EIO", 9},
    {"file.reserve", "ENOSPC", 4},
    {"file.reserve", "EIO", 4},
    {"file.write_at", "ENOSPC", 7},
    {"file.write_at", "EIO", 7},
    {"file.read_at", "EIO", 9},
    {"file.sync", "EIO", 3},
    {"file.sync_directory", "EIO", 3},
    {"file.unlink", "EIO", 5},
    {"file.make_directory", "ENOSPC", 3},
    {"file.lock", "EIO", 3},
    {"file.list", "EIO", 3},
    {"map.open", "ENOMEM", 7},
    {"map.populate", "ENOMEM", 20},
    {"map.populate", "EFAULT", 20},
    {"catalog.commit", "ENOSPC", 4},
    {"catalog.commit", "EIO", 4},
    {"file.identity", "EIO", 3},
    {"file.size", "EIO", 9},
    {"file.system", "EIO", 2},
    {"file.open_directory", "EMFILE", 5},
    {"file.has_name", "EIO", 3},
    {"file.is_locked", "EIO", 3},
    {"file.unlock", "EIO", 3},
    {"file.read_text", "EIO", 3},
    {"file.remove_directory", "EIO", 3},
    {"file.punch", "EIO", 3},
    {"file.write_at", "EFBIG", 9},
};

START_TEST(a_call_that_fails_once_is_an_error_and_no_more)
{
    struct chance chance = chance_begin("calls");
    const struct call *call = &calls[_i / LIFE_COUNT];
    if (getenv("KAFKALITE_TEST_CASES") == NULL && chance_below(&chance, 3) != 0)
        return; /* a sample of all pairs of a call and a life */
    ck_assert_int_eq(sweep(&chance, (enum life)(_i % LIFE_COUNT), call->point, call->error,
                           stride_of(call->stride)),
                     0);
}
END_TEST

/* Memory is refused while holes are met: the poll is done again, and each of them is told once. */
static int poll_with_holes(void *context)
{
    int n = *(const int *)context, holes = 0, records_seen = 0, r;
    char plan[40];
    kfl_store *store = NULL;
    kfl_consumer *consumer = NULL;
    kfl_config *config = day_config();
    kfl_partition_offset from = {
        .topic = day_topics[0], .partition = day_numbers[0], .offset = KFL_OFFSET_BEGINNING};
    alarm(20);
    if (kfl_store_open(run->store, config, &store) < 0 ||
        kfl_consumer_open(store, NULL, &consumer) < 0 ||
        kfl_consumer_assign(consumer, &from, 1) < 0)
        return 2;
    snprintf(plan, sizeof plan, "memory.alloc:%d=ENOMEM", n);
    kfl__fault_arm(plan);
    do {
        kfl_records *records = NULL;
        kfl_event *event = NULL;
        r = kfl_consumer_poll(consumer, 0, 7, &records);
        records_seen += r > 0 ? r : 0;
        kfl_records_release(records);
        if (r == KFL_E_NOMEM)
            run->errors++;
        if (r == KFL_E_EVENT && kfl_consumer_next_event(consumer, &event) == 1) {
            holes += (int)(kfl_event_end_offset(event) - kfl_event_offset(event));
            kfl_event_release(event);
        }
    } while (r > 0 || r == KFL_E_NOMEM || r == KFL_E_EVENT);
    kfl__fault_arm(NULL);
    kfl_consumer_close(consumer);
    kfl_store_close(store);
    kfl_config_destroy(config);
    if (r < 0 || records_seen + holes != day_ends[0] || holes < 2) {
        fprintf(stderr, "%s: %d records and %d in holes, of %d (%d)\n", plan, records_seen, holes,
                (int)day_ends[0], r);
        return 1;
    }
    return 0;
}

START_TEST(a_hole_is_told_although_memory_was_refused)
{
    char path[800];
    memset(run, 0, sizeof *run);
    snprintf(run->store, sizeof run->store, "%s/s", temp_dir_path());
    day_make(run->store, true);
    snprintf(path, sizeof path, "%s/topics/1/0/00000000000000000001.log", run->store);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    for (int64_t place = 5000; place <= 45000; place += 20000)
        ck_assert_int_eq(pwrite(fd, "?!?!?!?!", 8, place), 8);
    close(fd);
    for (int n = 1, met = 0; n < 60; n++) {
        ck_assert_int_eq(child_run(poll_with_holes, &n), 0);
        ck_assert_msg(n < 59 || run->errors > met, "never met");
    }
    day_remove(run->store);
}
END_TEST

#else

START_TEST(skipped_without_fault_points)
{
    fprintf(stderr, "skipped: built without -Dfault_points=true\n");
}
END_TEST

#endif

static void setup(void)
{
    temp_dir_make();
    run = child_share(sizeof *run);
    visit = day_visit_create();
    day_make(temp_dir_file("template"), false);
}

static void teardown(void)
{
    temp_dir_remove();
}

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("faults");
    TCase *tests = tcase_create("faults");
    tcase_set_timeout(tests, 100000);
    tcase_add_unchecked_fixture(tests, setup, teardown);
#ifdef KFL_FAULT_POINTS
    tcase_add_test(tests, a_run_without_faults_passes);
    tcase_add_test(tests, a_hole_is_told_although_memory_was_refused);
    tcase_add_loop_test(tests, memory_that_is_refused_once_is_an_error_and_no_more, 0, LIFE_COUNT);
    tcase_add_loop_test(tests, a_call_that_fails_once_is_an_error_and_no_more, 0,
                        LIFE_COUNT * (int)(sizeof calls / sizeof calls[0]));
#else
    tcase_add_test(tests, skipped_without_fault_points);
#endif
    suite_add_tcase(suite, tests);
    return suite;
}
