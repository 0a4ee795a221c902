/* SPDX-License-Identifier: MIT */
/*
 * A tail in doubt on a disk without the room to copy it. Whoever appended it was killed before a sync, so that nobody
 * knows whether an error of the disk was told to the dead (R7): it is copied before anything is laid behind it. Until
 * there is room for that, everything else goes on: opening, reading, checking, commits below the doubt, closing. An
 * append (and whoever else asks for the tail to be durable) says what it waits for and how many bytes that takes, and with these bytes free it goes through.
 * promise:P7 rule:R22 rule:R23
 */
#include <check.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "child.h"
#include "day.h"
#include "mounts.h"
#include "suite.h"
#include "temp_dir.h"

#define DURABLE 200
#define RECORDS 9000
#define VALUE_SIZE 1000
#define COMMITTED 100
#define FIRST_MS INT64_C(1700000000000)
#define MIB (INT64_C(1) << 20)

struct doubt {
    char folder[600], store_path[700], filler[700];
    bool reboot;   /* the state file does not survive */
    int64_t count; /* of the records that are there */
    int64_t gap;   /* of offsets, behind the first RECORDS: a reboot leaves one (R10) */
    kfl_store *store;
    kfl_producer *producer;
    kfl_consumer *consumer;
};

static void give_up(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, ": %s\n", kfl_last_error());
    va_end(arguments);
    _exit(1);
}

static void open_store(struct doubt *doubt, bool read_only)
{
    kfl_config *config = day_config(), *group = NULL;
    if (read_only)
        kfl_config_set(config, "read.only", "true");
    int r = kfl_store_open(doubt->store_path, config, &doubt->store);
    kfl_config_destroy(config);
    if (r < 0)
        give_up("the store does not open (%s)", kfl_error_name(r));
    kfl_config_create(&group);
    kfl_config_set(group, "group.id", DAY_GROUP);
    if (!read_only && kfl_producer_open(doubt->store, NULL, &doubt->producer) < 0)
        give_up("no producer");
    if (kfl_consumer_open(doubt->store, group, &doubt->consumer) < 0)
        give_up("no consumer");
    kfl_config_destroy(group);
}

static int close_store(struct doubt *doubt)
{
    kfl_producer_close(doubt->producer);
    kfl_consumer_close(doubt->consumer);
    doubt->producer = NULL;
    return kfl_store_close(doubt->store);
}

static int64_t offset_of(const struct doubt *doubt, int64_t n)
{
    return n < RECORDS ? n : n + doubt->gap;
}

static void value_of(int64_t n, char value[VALUE_SIZE])
{
    memset(value, 'v', VALUE_SIZE);
    snprintf(value, VALUE_SIZE, "record %" PRId64, n);
}

static int append(struct doubt *doubt, int64_t *out_offset)
{
    char value[VALUE_SIZE];
    value_of(doubt->count, value);
    return kfl_producer_send(doubt->producer, "t", 0, NULL, 0, value, sizeof value, NULL, 0,
                             FIRST_MS + doubt->count, out_offset);
}

static void append_well(struct doubt *doubt, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        int64_t offset = -1;
        int r = append(doubt, &offset);
        if (r >= 0 && doubt->reboot && doubt->count == RECORDS && offset >= RECORDS)
            doubt->gap = offset - RECORDS;
        if (r < 0 || offset != offset_of(doubt, doubt->count))
            give_up("record %" PRId64 " gets offset %" PRId64 " (%s)", doubt->count, offset,
                    kfl_error_name(r));
        doubt->count++;
    }
}

static int commit(struct doubt *doubt, int64_t offset)
{
    kfl_partition_offset to = {.topic = "t", .partition = 0, .offset = offset};
    return kfl_consumer_commit_offsets(doubt->consumer, &to, 1);
}

/* Ends as a killed process does, with nothing of the tail synced. */
static int run_maker(void *context)
{
    struct doubt *doubt = context;
    open_store(doubt, false);
    if (kfl_topic_create(doubt->store, "t", 1, NULL) < 0)
        give_up("no topic");
    append_well(doubt, DURABLE);
    if (kfl_topic_wait_durable(doubt->store, "t", 0, KFL_OFFSET_END, -1) < 0 ||
        commit(doubt, COMMITTED) < 0)
        give_up("no commit");
    append_well(doubt, RECORDS - DURABLE);
    _exit(0);
}

/* ---- what goes on ---- */

static void check_committed(struct doubt *doubt, int64_t committed)
{
    kfl_offsets *offsets = NULL;
    kfl_partition_offset of = {.topic = "t", .partition = 0};
    if (kfl_consumer_committed(doubt->consumer, &of, 1, &offsets) < 0 ||
        kfl_offsets_get(offsets, 0)->offset != committed)
        give_up("committed is not %" PRId64, committed);
    kfl_offsets_release(offsets);
}

static int64_t take(const struct doubt *doubt, kfl_records *records, int r, int64_t n)
{
    char value[VALUE_SIZE];
    for (int i = 0; i < r; i++, n++) {
        const kfl_record *record = kfl_records_get(records, i);
        value_of(n, value);
        if (record->offset != offset_of(doubt, n) || record->value_size != sizeof value ||
            memcmp(record->value, value, sizeof value) != 0)
            give_up("record %" PRId64 " is not what was sent", n);
    }
    kfl_records_release(records);
    return n;
}

static void read_all(struct doubt *doubt)
{
    kfl_records *records = NULL;
    kfl_partition_offset from = {.topic = "t", .partition = 0, .offset = KFL_OFFSET_BEGINNING};
    int64_t n = 0;
    int r = kfl_consumer_assign(doubt->consumer, &from, 1);
    while (r >= 0 && (r = kfl_consumer_poll(doubt->consumer, 0, 0, &records)) > 0)
        n = take(doubt, records, r, n);
    if (r < 0 || n != doubt->count)
        give_up("%" PRId64 " of %" PRId64 " records are read (%s)", n, doubt->count,
                kfl_error_name(r));
    for (n = doubt->count - 1; n >= 0; n -= 1777) {
        r = kfl_consumer_seek(doubt->consumer, "t", 0, offset_of(doubt, n));
        if (r == 0)
            r = kfl_consumer_poll(doubt->consumer, 0, 1, &records);
        if (r != 1 || take(doubt, records, r, n) != n + 1)
            give_up("record %" PRId64 " is not found (%s)", n, kfl_error_name(r));
    }
}

static void check_offsets(struct doubt *doubt)
{
    int64_t offset = -1, ms = -1;
    if (kfl_topic_start_offset(doubt->store, "t", 0, &offset) < 0 || offset != 0)
        give_up("the start is %" PRId64, offset);
    if (kfl_topic_end_offset(doubt->store, "t", 0, &offset) < 0 ||
        offset != offset_of(doubt, doubt->count))
        give_up("the end is %" PRId64 ", not %" PRId64, offset, offset_of(doubt, doubt->count));
    for (int64_t n = 0; n < doubt->count; n += 1777)
        if (kfl_topic_offset_for_time(doubt->store, "t", 0, FIRST_MS + n, &offset, &ms) != 1 ||
            offset != offset_of(doubt, n))
            give_up("time %" PRId64 " leads to offset %" PRId64, n, offset);
    if (kfl_topic_max_timestamp(doubt->store, "t", 0, &offset, &ms) != 1 ||
        offset != offset_of(doubt, doubt->count - 1))
        give_up("the largest time is at offset %" PRId64, offset);
}

static void check_store(struct doubt *doubt)
{
    kfl_findings *findings = NULL;
    int r = kfl_store_verify(doubt->store, NULL, 0, &findings);
    if (r != 0 || kfl_findings_checked_records(findings) != doubt->count)
        give_up("%d findings in %" PRId64 " records", r,
                r < 0 ? -1 : kfl_findings_checked_records(findings));
    kfl_findings_release(findings);
    kfl_history *history = NULL;
    if (kfl_history_list(doubt->store, &history) < 0)
        give_up("no history");
    kfl_history_release(history);
}

static void check_all(struct doubt *doubt, int64_t committed)
{
    read_all(doubt);
    check_offsets(doubt);
    check_store(doubt);
    check_committed(doubt, committed);
}

/* ---- what does not, and says why ---- */

static int64_t number_behind(const char *words)
{
    const char *at = strstr(kfl_last_error(), words);
    if (at == NULL)
        give_up("the error does not say \"%s\"", words);
    return strtoll(at + strlen(words), NULL, 10);
}

static int64_t free_bytes(const struct doubt *doubt)
{
    struct statvfs status;
    if (statvfs(doubt->folder, &status) < 0)
        give_up("no statvfs");
    return (int64_t)status.f_bavail * (int64_t)status.f_frsize;
}

/* How many bytes it says are needed. */
static int64_t check_refusal(struct doubt *doubt, int r)
{
    if (r != KFL_E_NO_SPACE || kfl_last_error_code() != r)
        give_up("%s instead of KFL_E_NO_SPACE", kfl_error_name(r));
    if (strcmp(kfl_last_error_topic(), "t") != 0 || kfl_last_error_partition() != 0 ||
        kfl_last_error_offset() != DURABLE)
        give_up("the error is at %s/%d, offset %" PRId64, kfl_last_error_topic(),
                kfl_last_error_partition(), kfl_last_error_offset());
    int64_t needed = number_behind("that takes "), there = number_behind(" bytes, and ");
    int64_t tail = (doubt->count - DURABLE) * VALUE_SIZE;
    if (needed < tail || needed > tail + tail / 5)
        give_up("a tail of %" PRId64 " bytes takes %" PRId64 " bytes", tail, needed);
    if (there > free_bytes(doubt) + MIB / 2 || there < free_bytes(doubt) - MIB / 2)
        give_up("%" PRId64 " bytes are free", free_bytes(doubt));
    if (strstr(kfl_last_error(), "t/0") == NULL || strstr(kfl_last_error(), "make room") == NULL)
        give_up("place and remedy are missing");
    return needed;
}

static void fill_up(const struct doubt *doubt, int64_t room)
{
    int fd = open(doubt->filler, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int64_t left;
    int r = 0;
    for (off_t at = 0; fd >= 0 && r == 0 && (left = free_bytes(doubt) - room) > 0; at += left)
        r = posix_fallocate(fd, at, left);
    if (fd < 0 || r != 0)
        give_up("the filler cannot be made");
    close(fd);
}

/* Nothing but appends asks for room. */
static int run_visitor(void *context)
{
    struct doubt *doubt = context;
    int64_t offset;
    alarm(120);
    for (int read_only = 0; read_only <= 1; read_only++) {
        open_store(doubt, read_only != 0);
        check_all(doubt, COMMITTED);
        if (close_store(doubt) < 0)
            give_up("the close of who appended nothing fails");
    }
    open_store(doubt, false);
    check_refusal(doubt, append(doubt, &offset));
    check_refusal(doubt, commit(doubt, RECORDS));
    check_refusal(doubt, kfl_topic_wait_durable(doubt->store, "t", 0, KFL_OFFSET_END, -1));
    check_refusal(doubt, kfl_store_sync(doubt->store, -1));
    if (commit(doubt, COMMITTED + 50) < 0 || commit(doubt, COMMITTED) < 0)
        give_up("a commit below the doubt is refused");
    int r = kfl_store_maintain(doubt->store, -1, NULL);
    if (r < 0)
        check_refusal(doubt, r);
    check_all(doubt, COMMITTED);
    check_refusal(doubt, append(doubt, &offset));
    if (close_store(doubt) < 0)
        give_up("the close of whose appends were refused fails");
    return 0;
}

/* With nothing left at all there is no room for a state file after a reboot; reading needs none. */
static int run_reader(void *context)
{
    struct doubt *doubt = context;
    kfl_config *config = day_config();
    alarm(120);
    fill_up(doubt, 0);
    int r = kfl_store_open(doubt->store_path, config, &doubt->store);
    kfl_config_destroy(config);
    if (r != KFL_E_NO_SPACE || strstr(kfl_last_error(), "read.only=true") == NULL)
        give_up("%s instead of KFL_E_NO_SPACE with its remedy", kfl_error_name(r));
    open_store(doubt, true);
    check_all(doubt, COMMITTED);
    return close_store(doubt) < 0;
}

/* With room again the same process goes on, and the next one. */
static int run_successor(void *context)
{
    struct doubt *doubt = context;
    int64_t offset;
    alarm(120);
    open_store(doubt, false);
    check_refusal(doubt, append(doubt, &offset));
    if (unlink(doubt->filler) < 0)
        give_up("the filler stays");
    append_well(doubt, 500);
    check_all(doubt, COMMITTED);
    if (close_store(doubt) < 0)
        give_up("the close fails");
    open_store(doubt, false);
    append_well(doubt, 500);
    check_all(doubt, COMMITTED);
    return close_store(doubt) < 0;
}

/* What it says is enough, but for what the catalog takes. */
static int run_to_the_letter(void *context)
{
    struct doubt *doubt = context;
    int64_t offset;
    alarm(120);
    open_store(doubt, false);
    int64_t needed = check_refusal(doubt, append(doubt, &offset));
    fill_up(doubt, needed + MIB / 4);
    append_well(doubt, 1);
    check_all(doubt, COMMITTED);
    return close_store(doubt) < 0;
}

static void run(const char *kind, int megabytes, bool reboot, int (*body)(void *))
{
    struct doubt doubt = {.reboot = reboot};
    struct day_files before, after;
    char image[600], state[800];
    snprintf(doubt.folder, sizeof doubt.folder, "%s", temp_dir_file(kind));
    snprintf(image, sizeof image, "%s", temp_dir_file("image"));
    if (!mounts_begin() || !mounts_make(kind, doubt.folder, image, megabytes)) {
        fprintf(stderr, "skipped: %s cannot be mounted here\n", kind);
        return;
    }
    snprintf(doubt.store_path, sizeof doubt.store_path, "%s/store", doubt.folder);
    snprintf(doubt.filler, sizeof doubt.filler, "%s/filler", doubt.folder);
    snprintf(state, sizeof state, "%s/state", doubt.store_path);
    ck_assert_int_eq(child_run(run_maker, &doubt), 0);
    doubt.count = RECORDS;
    if (reboot)
        ck_assert_int_eq(unlink(state), 0);
    fill_up(&doubt, 4 * MIB);
    day_list(doubt.store_path, ".log", &before);
    ck_assert_int_eq(child_run(body, &doubt), 0);
    day_list(doubt.store_path, ".log", &after);
    /* Neither a file for the appends to come nor half a copy takes room. */
    ck_assert_int_eq(body == run_visitor && after.count != before.count, 0);
    umount2(doubt.folder, MNT_DETACH);
}

static void setup(void)
{
    temp_dir_make();
}

static void teardown(void)
{
    temp_dir_remove();
}

START_TEST(after_a_kill_all_but_appends_goes_on)
{
    run("tmpfs", 24, false, run_visitor);
}
END_TEST

START_TEST(after_a_reboot_all_but_appends_goes_on)
{
    run("tmpfs", 24, true, run_visitor);
}
END_TEST

START_TEST(on_ext4_all_but_appends_goes_on)
{
    run("ext4", 32, false, run_visitor);
}
END_TEST

START_TEST(after_a_reboot_a_full_disk_is_read)
{
    run("tmpfs", 24, true, run_reader);
}
END_TEST

START_TEST(after_a_kill_room_lets_appends_go_on)
{
    run("tmpfs", 32, false, run_successor);
}
END_TEST

START_TEST(after_a_reboot_room_lets_appends_go_on)
{
    run("tmpfs", 32, true, run_successor);
}
END_TEST

START_TEST(after_a_kill_the_room_that_was_told_is_enough)
{
    run("tmpfs", 32, false, run_to_the_letter);
}
END_TEST

START_TEST(after_a_reboot_the_room_that_was_told_is_enough)
{
    run("tmpfs", 32, true, run_to_the_letter);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("doubt");
    TCase *tests = tcase_create("doubt");
    tcase_set_timeout(tests, 200);
    tcase_add_unchecked_fixture(tests, setup, teardown);
    tcase_add_test(tests, after_a_kill_all_but_appends_goes_on);
    tcase_add_test(tests, after_a_reboot_all_but_appends_goes_on);
    tcase_add_test(tests, on_ext4_all_but_appends_goes_on);
    tcase_add_test(tests, after_a_reboot_a_full_disk_is_read);
    tcase_add_test(tests, after_a_kill_room_lets_appends_go_on);
    tcase_add_test(tests, after_a_reboot_room_lets_appends_go_on);
    tcase_add_test(tests, after_a_kill_the_room_that_was_told_is_enough);
    tcase_add_test(tests, after_a_reboot_the_room_that_was_told_is_enough);
    suite_add_tcase(suite, tests);
    return suite;
}
