/* SPDX-License-Identifier: MIT */
/*
 * A disk that is full again and again. A small file system is filled up to a few bytes, and then the store
 * is worked until something is refused: at a roll, a create, a commit, whatever comes first. The call that met it
 * says KFL_E_NO_SPACE; all that was acknowledged stays readable, offsets and groups stay as they were, and
 * with space again the same process goes on. promise:P7 rule:R23 kafka:L7
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "chance.h"
#include "child.h"
#include "day.h"
#include "mounts.h"
#include "suite.h"
#include "temp_dir.h"

#define TOPICS 6
#define PARTITIONS 2

struct full {
    struct chance chance;
    const char *kind;
    char folder[600], store_path[700], filler[700];
    int fills;
    kfl_store *store;
    kfl_producer *producers[2]; /* acks=1, all */
    kfl_consumer *consumer;
    int topic_count;
    int64_t ends[TOPICS * PARTITIONS], committed[TOPICS * PARTITIONS];
    int refused, refused_creates, refused_commits;
};

static void give_up(const struct full *full, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s, fill %d: ", full->kind, full->fills);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, ": %s\n", kfl_last_error());
    va_end(arguments);
    _exit(1);
}

static const char *topic_name(int topic)
{
    static char name[16];
    snprintf(name, sizeof name, "t%d", topic);
    return name;
}

/* 0: done, 1: the disk is full; anything else ends the test. */
static int check(const struct full *full, int r, const char *what)
{
    if (r >= 0)
        return 0;
    if (r != KFL_E_NO_SPACE)
        give_up(full, "%s answers %s", what, kfl_error_name(r));
    return 1;
}

static int open_all(struct full *full)
{
    kfl_config *config = day_config(), *own = NULL;
    int r = kfl_store_open(full->store_path, config, &full->store);
    kfl_config_destroy(config);
    if (r < 0)
        return r;
    kfl_config_create(&own);
    for (int i = 0; i < 2; i++) {
        kfl_config_set(own, "acks", i == 0 ? "1" : "all");
        if (kfl_producer_open(full->store, own, &full->producers[i]) < 0)
            give_up(full, "a producer cannot be opened");
    }
    kfl_config_destroy(own);
    kfl_config_create(&own);
    kfl_config_set(own, "group.id", DAY_GROUP);
    if (kfl_consumer_open(full->store, own, &full->consumer) < 0)
        give_up(full, "a consumer cannot be opened");
    kfl_config_destroy(own);
    return 0;
}

static int close_all(struct full *full)
{
    for (int i = 0; i < 2; i++)
        kfl_producer_close(full->producers[i]);
    kfl_consumer_close(full->consumer);
    return kfl_store_close(full->store);
}

static int append(struct full *full, int p, int acks)
{
    uint8_t value[DAY_VALUE_MAX];
    int64_t offset = -1;
    size_t size = day_value(p, full->ends[p], value);
    int r = kfl_producer_send(full->producers[acks], topic_name(p / PARTITIONS), p % PARTITIONS,
                              NULL, 0, value, size, NULL, 0, KFL_TIMESTAMP_NOW, &offset);
    if (check(full, r, "an append") != 0) {
        full->refused++;
        return 1;
    }
    if (offset != full->ends[p])
        give_up(full, "record %lld of %s/%d got offset %lld", (long long)full->ends[p],
                topic_name(p / PARTITIONS), p % PARTITIONS, (long long)offset);
    full->ends[p]++;
    return 0;
}

static int commit(struct full *full, int p)
{
    kfl_partition_offset to = {
        .topic = topic_name(p / PARTITIONS), .partition = p % PARTITIONS, .offset = full->ends[p]};
    if (check(full, kfl_consumer_commit_offsets(full->consumer, &to, 1), "a commit") != 0) {
        full->refused_commits++;
        return 1;
    }
    full->committed[p] = full->ends[p];
    return 0;
}

static int create(struct full *full)
{
    kfl_config *config = NULL;
    if (full->topic_count == TOPICS)
        return 0;
    kfl_config_create(&config);
    kfl_config_set(config, "segment.bytes", "65536");
    int r = kfl_topic_create(full->store, topic_name(full->topic_count), PARTITIONS, config);
    kfl_config_destroy(config);
    if (check(full, r, "a create") != 0) {
        full->refused_creates++;
        return 1;
    }
    full->topic_count++;
    return 0;
}

/* Everything that was acknowledged, and no more. */
static void read_all(struct full *full)
{
    uint8_t expected[DAY_VALUE_MAX];
    for (int p = 0; p < full->topic_count * PARTITIONS; p++) {
        kfl_consumer *consumer = NULL;
        kfl_partition_offset from = {.topic = topic_name(p / PARTITIONS),
                                     .partition = p % PARTITIONS,
                                     .offset = KFL_OFFSET_BEGINNING};
        int64_t next = 0;
        int r;
        if (kfl_consumer_open(full->store, NULL, &consumer) < 0 ||
            kfl_consumer_assign(consumer, &from, 1) < 0)
            give_up(full, "%s/%d cannot be assigned", from.topic, from.partition);
        do {
            kfl_records *records = NULL;
            r = kfl_consumer_poll(consumer, 0, 0, &records);
            for (int32_t i = 0; i < r; i++, next++) {
                const kfl_record *record = kfl_records_get(records, i);
                size_t size = day_value(p, next, expected);
                if (record->offset != next || record->value_size != size ||
                    memcmp(record->value, expected, size) != 0)
                    give_up(full, "record %lld of partition %d is not what was sent",
                            (long long)next, p);
            }
            kfl_records_release(records);
        } while (r > 0);
        if (r < 0 || next != full->ends[p])
            give_up(full, "partition %d: %lld of %lld records are read (%d)", p, (long long)next,
                    (long long)full->ends[p], r);
        kfl_consumer_close(consumer);
    }
    for (int p = 0; p < full->topic_count * PARTITIONS; p++) {
        kfl_offsets *offsets = NULL;
        kfl_partition_offset of = {.topic = topic_name(p / PARTITIONS),
                                   .partition = p % PARTITIONS};
        if (kfl_consumer_committed(full->consumer, &of, 1, &offsets) < 0)
            give_up(full, "committed offsets cannot be read");
        if (kfl_offsets_get(offsets, 0)->offset != full->committed[p])
            give_up(full, "partition %d: committed is %lld, not %lld", p,
                    (long long)kfl_offsets_get(offsets, 0)->offset, (long long)full->committed[p]);
        kfl_offsets_release(offsets);
    }
}

/* Leave about `room` bytes, of what root may use. */
static void fill_up(struct full *full, int64_t room)
{
    struct statvfs status;
    uint8_t bytes[4096];
    int fd = open(full->filler, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    memset(bytes, 'f', sizeof bytes);
    off_t at = lseek(fd, 0, SEEK_END);
    if (fd < 0 || fstatvfs(fd, &status) < 0)
        give_up(full, "the filler cannot be made");
    /* What is called free is more than what one file gets: large pieces first, then smaller ones. */
    for (int64_t piece = (int64_t)status.f_bfree * (int64_t)status.f_frsize; piece >= 65536;) {
        int64_t left = fstatvfs(fd, &status) == 0
                           ? (int64_t)status.f_bfree * (int64_t)status.f_frsize - room - 32768
                           : 0;
        if (piece > left)
            piece = left;
        if (piece > 0 && fallocate(fd, 0, at, piece) == 0)
            at += piece;
        else
            piece /= 2;
    }
    /* The last bytes one by one: what a file system calls free is a guess, and a better one after a sync. */
    for (int writes = 1; writes < 400 && fstatvfs(fd, &status) == 0; writes++) {
        int64_t free_bytes = (int64_t)status.f_bfree * (int64_t)status.f_frsize;
        size_t size = free_bytes - room < 4096 ? 512 : sizeof bytes;
        if (free_bytes <= room || pwrite(fd, bytes, size, at) != (ssize_t)size ||
            (writes % 32 == 0 && fsync(fd) < 0))
            break;
        at += (off_t)size;
    }
    close(fd);
}

static void work_until_full(struct full *full)
{
    bool stopped = false;
    for (int step = 0; step < 2000 && !stopped; step++) {
        int p = (int)chance_below(&full->chance, (uint64_t)full->topic_count * PARTITIONS);
        uint64_t what = chance_below(&full->chance, 100);
        if (what < 90)
            stopped = append(full, p, what < 80 ? 0 : 1) != 0;
        else if (what < 95)
            stopped = commit(full, p) != 0;
        else if (what < 97)
            stopped = create(full) != 0;
        else if (what < 98)
            stopped = check(full, kfl_store_sync(full->store, 10000), "a sync") != 0;
        else
            stopped = check(full, kfl_store_maintain(full->store, 100, NULL), "maintenance") != 0;
    }
    if (!stopped)
        give_up(full, "the disk is never full");
}

/* With nothing left at all, everything is tried once more, and refused or done, but never harmed. */
static void try_everything(struct full *full)
{
    fill_up(full, 0);
    for (int p = 0; p < full->topic_count * PARTITIONS; p++) {
        (void)append(full, p, p % 2);
        (void)commit(full, p);
    }
    (void)create(full);
    (void)check(full, kfl_store_maintain(full->store, 100, NULL), "maintenance");
}

static void reopen_while_full(struct full *full)
{
    kfl_config *config = NULL;
    (void)check(full, close_all(full), "a close");
    int r = open_all(full);
    if (check(full, r, "an open") == 0) {
        read_all(full);
        (void)check(full, close_all(full), "a close");
    }
    /* Reading asks for no space. */
    kfl_config_create(&config);
    kfl_config_set(config, "read.only", "true");
    r = kfl_store_open(full->store_path, config, &full->store);
    kfl_config_destroy(config);
    if (r < 0)
        give_up(full, "a full store does not open for reading (%s)", kfl_error_name(r));
    kfl_store_close(full->store);
    if (unlink(full->filler) < 0 && errno != ENOENT)
        give_up(full, "the filler stays");
    if (open_all(full) < 0)
        give_up(full, "the store does not open although there is space again");
}

static int run_fills(void *context)
{
    struct full *full = context;
    int fills = full->fills;
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    alarm(120);
    if (open_all(full) < 0)
        give_up(full, "no store");
    for (int p = 0; p < TOPICS * PARTITIONS; p++)
        full->committed[p] = -1;
    if (create(full) != 0)
        give_up(full, "no topic");
    for (full->fills = 0; full->fills < fills; full->fills++) {
        fill_up(full, (int64_t)chance_below(&full->chance, full->fills % 2 == 0 ? 400000 : 20000));
        work_until_full(full);
        read_all(full);
        try_everything(full);
        read_all(full);
        if (full->fills % 4 == 3)
            reopen_while_full(full);
        else if (unlink(full->filler) < 0)
            give_up(full, "the filler stays");
        /* With space again the same process goes on, with everything. */
        for (int p = 0; p < full->topic_count * PARTITIONS; p++)
            if (append(full, p, p % 2) != 0 || commit(full, p) != 0)
                give_up(full, "there is space, and partition %d is refused", p);
        if (full->fills % 3 == 0 && create(full) != 0)
            give_up(full, "there is space, and a topic is refused");
        read_all(full);
    }
    if (close_all(full) < 0)
        give_up(full, "the close fails");
    if (open_all(full) < 0)
        give_up(full, "the store does not open again");
    read_all(full);
    close_all(full);
    fprintf(stderr, "%s: %d fills; refused: %d appends, %d commits, %d creates\n", full->kind,
            fills, full->refused, full->refused_commits, full->refused_creates);
    return 0;
}

static void fill(const char *kind, int megabytes, int fills)
{
    struct full full = {.kind = kind, .fills = fills};
    char image[600];
    const char *given = getenv("KAFKALITE_TEST_CASES");
    if (given != NULL)
        full.fills = atoi(given);
    megabytes += full.fills / 3; /* what is kept of each fill */
    snprintf(full.folder, sizeof full.folder, "%s", temp_dir_file(kind));
    snprintf(image, sizeof image, "%s", temp_dir_file("image"));
    if (!mounts_begin() || !mounts_make(kind, full.folder, image, megabytes)) {
        fprintf(stderr, "skipped: %s cannot be mounted here\n", kind);
        return;
    }
    snprintf(full.store_path, sizeof full.store_path, "%s/store", full.folder);
    snprintf(full.filler, sizeof full.filler, "%s/filler", full.folder);
    full.chance = chance_begin(kind);
    ck_assert_int_eq(child_run(run_fills, &full), 0);
    umount2(full.folder, MNT_DETACH);
}

static void setup(void)
{
    temp_dir_make();
}

static void teardown(void)
{
    temp_dir_remove();
}

START_TEST(a_full_tmpfs_is_an_error_code_and_space_lets_it_go_on)
{
    fill("tmpfs", 16, 12);
}
END_TEST

START_TEST(a_full_ext4_is_an_error_code_and_space_lets_it_go_on)
{
    fill("ext4", 32, 10);
}
END_TEST

START_TEST(a_full_xfs_is_an_error_code_and_space_lets_it_go_on)
{
    fill("xfs", 320, 2);
}
END_TEST

START_TEST(a_full_btrfs_is_an_error_code_and_space_lets_it_go_on)
{
    fill("btrfs", 128, 2);
}
END_TEST

/* The limit of a process is as a full disk to it, where the host ignores the signal. */
static int run_size_limit(void *context)
{
    struct full *full = context;
    alarm(60);
    signal(SIGXFSZ, SIG_IGN);
    for (int p = 0; p < TOPICS * PARTITIONS; p++)
        full->committed[p] = -1;
    if (open_all(full) < 0 || create(full) != 0)
        give_up(full, "no store");
    for (int i = 0; i < 5; i++)
        if (append(full, 0, i % 2) != 0)
            give_up(full, "no record");
    struct rlimit before, limit = {.rlim_cur = 20000};
    getrlimit(RLIMIT_FSIZE, &before);
    limit.rlim_max = before.rlim_max;
    setrlimit(RLIMIT_FSIZE, &limit);
    int refused = 0;
    for (int i = 0; i < 200 && refused < 20; i++) {
        int64_t offset = -1;
        uint8_t value[DAY_VALUE_MAX];
        size_t size = day_value(0, full->ends[0], value);
        int r = kfl_producer_send(full->producers[i % 2], "t0", 0, NULL, 0, value, size, NULL, 0,
                                  KFL_TIMESTAMP_NOW, &offset);
        if (r < 0 && r != KFL_E_IO && r != KFL_E_NO_SPACE)
            give_up(full, "an append answers %s", kfl_error_name(r));
        if (r >= 0)
            full->ends[0]++;
        refused += r < 0;
    }
    if (refused == 0)
        give_up(full, "nothing was refused");
    read_all(full);
    setrlimit(RLIMIT_FSIZE, &before);
    for (int i = 0; i < 100; i++)
        if (append(full, 0, i % 2) != 0)
            give_up(full, "the limit is gone, and an append is refused");
    if (commit(full, 0) != 0)
        give_up(full, "the limit is gone, and a commit is refused");
    read_all(full);
    return close_all(full) < 0;
}

START_TEST(a_limit_on_file_sizes_is_an_error_code)
{
    struct full full = {.kind = "RLIMIT_FSIZE"};
    snprintf(full.store_path, sizeof full.store_path, "%s", temp_dir_file("limited"));
    ck_assert_int_eq(child_run(run_size_limit, &full), 0);
}
END_TEST

static int run_to_the_brim(void *context)
{
    const struct full *full = context;
    kfl_store *store;
    kfl_producer *producer = NULL;
    uint8_t value[1000] = {0};
    int64_t offset, bytes = 0;
    int r = kfl_store_open(full->store_path, NULL, &store);
    if (r == 0)
        r = kfl_topic_create(store, "t0", 1, NULL);
    if (r == 0)
        r = kfl_producer_open(store, NULL, &producer);
    if (r < 0)
        give_up(full, "no store");
    while ((r = kfl_producer_send(producer, "t0", 0, NULL, 0, value, sizeof value, NULL, 0, KFL_TIMESTAMP_NOW, &offset)) >= 0)
        bytes += (int64_t)sizeof value;
    if (r != KFL_E_NO_SPACE || bytes < full->fills * INT64_C(1000000))
        give_up(full, "full with %lld bytes: %s", (long long)bytes, kfl_error_name(r));
    kfl_producer_close(producer);
    return kfl_store_close(store) < 0;
}

/* Files grow by the records that come, not by the disk that is there: the last of them are small ones. */
START_TEST(a_small_disk_is_full_when_it_is_full)
{
    struct full full = {.kind = "tmpfs", .fills = 13};
    snprintf(full.folder, sizeof full.folder, "%s", temp_dir_file("brim"));
    snprintf(full.store_path, sizeof full.store_path, "%s/store", full.folder);
    if (!mounts_begin() || !mounts_make("tmpfs", full.folder, "", 16)) {
        fprintf(stderr, "skipped: tmpfs cannot be mounted here\n");
        return;
    }
    ck_assert_int_eq(child_run(run_to_the_brim, &full), 0);
    umount2(full.folder, MNT_DETACH);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("full_disk");
    TCase *tests = tcase_create("full_disk");
    tcase_set_timeout(tests, 1000);
    tcase_add_unchecked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_full_tmpfs_is_an_error_code_and_space_lets_it_go_on);
    tcase_add_test(tests, a_full_ext4_is_an_error_code_and_space_lets_it_go_on);
    tcase_add_test(tests, a_full_xfs_is_an_error_code_and_space_lets_it_go_on);
    tcase_add_test(tests, a_full_btrfs_is_an_error_code_and_space_lets_it_go_on);
    tcase_add_test(tests, a_small_disk_is_full_when_it_is_full);
    tcase_add_test(tests, a_limit_on_file_sizes_is_an_error_code);
    suite_add_tcase(suite, tests);
    return suite;
}
