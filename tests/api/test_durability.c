/* SPDX-License-Identifier: MIT */
/*
 * What is there after a kill, and after a power cut: the state file gone, as after a reboot, and
 * bytes that never reached the disk spoilt. The power cut as such is tests/crash.
 */
#include <fcntl.h>
#include <time.h>

#include "base/fault.h"
#include "child.h"
#include "peer.h"
#include "store_fixture.h"

enum { RECORDS = 20, DURABLE = 10 };

static void durability_set_up(void)
{
    temp_dir_make_on_disk();
    store = open_store(temp_dir_path(), WITH("background.threads", "0"));
    make_topic("t", 1, WITH("flush.ms", "3600000"));
    OK(kfl_store_close(store));
    store = NULL;
}

/* Half of the records durable, half of them only acknowledged; then it waits to be killed. */
static void write_and_wait(struct peer *self, void *context)
{
    (void)context;
    store = open_store(temp_dir_path(), WITH("background.threads", "0"));
    send_many("t", 0, DURABLE, 100);
    OK(kfl_store_sync(store, -1));
    send_many("t", 0, RECORDS - DURABLE, 100);
    peer_tell(self);
    peer_await(self);
}

static void write_and_be_killed(void)
{
    struct peer peer;
    peer_start(&peer, write_and_wait, NULL);
    peer_await(&peer);
    peer_kill(&peer);
}

/* The path of the only segment that has records, and where its n-th batch stands. */
static int64_t place_of_batch(int n, char *path)
{
    kfl_segments *segments;
    const kfl_batch *batch;
    kfl_walk *walk;
    kfl_store *looks = open_store(temp_dir_path(), WITH("read.only", "true"));
    OK(kfl_segments_list(looks, "t", 0, &segments));
    sprintf(path, "%s", kfl_segments_get(segments, 0)->path);
    kfl_segments_release(segments);
    OK(kfl_store_close(looks));
    OK(kfl_walk_open(path, &walk));
    for (int i = 0; i <= n; i++)
        ck_assert_int_eq(OK(kfl_walk_next(walk, &batch)), 1);
    ck_assert_int_eq(batch->base_offset, n);
    int64_t place = batch->place;
    kfl_walk_close(walk);
    return place;
}

static void spoil_batch(int n)
{
    char path[1024];
    uint8_t byte;
    int64_t place = place_of_batch(n, path) + 80;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    ck_assert_int_eq(pread(fd, &byte, 1, place), 1);
    byte ^= 0x40;
    ck_assert_int_eq(pwrite(fd, &byte, 1, place), 1);
    close(fd);
}

static void forget_state(void)
{
    ck_assert_int_eq(unlink(temp_dir_file("state")), 0);
}

static void open_again(void)
{
    store = open_store(temp_dir_path(), WITH("background.threads", "0"));
}

/* Does an entry of the history about a recovery of t/0 say this? */
static int history_says(const char *words)
{
    kfl_history *history;
    int found = 0;
    OK(kfl_history_list(store, &history));
    for (int32_t i = 0; i < kfl_history_count(history); i++) {
        const kfl_history_entry *entry = kfl_history_get(history, i);
        found += entry->kind == KFL_HISTORY_RECOVERY && strcmp(entry->topic, "t") == 0 &&
                 entry->partition == 0 && strstr(entry->text, words) != NULL;
    }
    kfl_history_release(history);
    return found;
}

/* The records from `from` on, up to `to`, and no other one below it. */
static void check_records(kfl_consumer *consumer, int64_t from, int64_t to)
{
    for (int64_t next = from; next < to; next++) {
        kfl_records *records;
        const kfl_record *record = poll_one(consumer, &records);
        ck_assert_int_eq(record->offset, next);
        check_value(record);
        kfl_records_release(records);
    }
}

/* kafka:L1 */
START_TEST(what_a_killed_process_acknowledged_is_there)
{
    write_and_be_killed();
    open_again();
    ck_assert_int_eq(end_of("t", 0), RECORDS);
    kfl_consumer *consumer = open_consumer(NULL);
    assign_at(consumer, "t", 0, 0);
    ck_assert_int_eq(read_on(consumer, 0), RECORDS);
    send_many("t", 0, 5, 0);
    ck_assert_int_eq(read_on(consumer, RECORDS), RECORDS + 5);
    OK(kfl_consumer_close(consumer));
    disk_reopen();
    ck_assert_int_eq(end_of("t", 0), RECORDS + 5);
}
END_TEST

/* kafka:L2: bytes that happened to reach the disk are kept too. */
START_TEST(after_a_reboot_a_whole_tail_is_kept)
{
    write_and_be_killed();
    forget_state();
    open_again();
    kfl_consumer *consumer = open_consumer(NULL);
    assign_at(consumer, "t", 0, 0);
    check_records(consumer, 0, RECORDS);
    ck_assert_int_ge(end_of("t", 0), RECORDS);
    OK(kfl_consumer_close(consumer));
}
END_TEST

/* kafka:L3 kafka:L5 rule:R10 rule:R22 */
START_TEST(a_torn_tail_is_cut_and_its_length_told)
{
    int64_t offset;
    kfl_records *records;
    write_and_be_killed();
    spoil_batch(15);
    forget_state();
    open_again();
    kfl_consumer *consumer = open_consumer(NULL);
    assign_at(consumer, "t", 0, 0);
    check_records(consumer, 0, 15);
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 0, 0, &records)), 0); /* no record beyond */
    ck_assert_int_eq(history_says("cut"), 1);
    ck_assert_int_eq(history_says("behind offset 15"), 1);
    kfl_producer *producer = open_producer(NULL);
    offset = send_value(producer, "t", 0, "new");
    ck_assert_int_ge(offset, RECORDS); /* somebody may have seen those that were lost */
    const kfl_record *record = poll_one(consumer, &records);
    ck_assert_int_eq(record->offset, offset);
    kfl_records_release(records);
    OK(kfl_producer_close(producer));
    OK(kfl_consumer_close(consumer));
    disk_reopen();
    ck_assert_int_eq(end_of("t", 0), offset + 1);
}
END_TEST

/* kafka:L2 kafka:L4 kafka:C15 */
START_TEST(damage_of_durable_records_is_a_hole_and_hides_nothing)
{
    kfl_records *records;
    kfl_event *event;
    write_and_be_killed();
    spoil_batch(4);
    forget_state();
    open_again();
    kfl_consumer *consumer = open_consumer(NULL);
    assign_at(consumer, "t", 0, 0);
    check_records(consumer, 0, 4);
    FAILS(KFL_E_EVENT, kfl_consumer_poll(consumer, 0, 0, &records));
    ck_assert_int_eq(OK(kfl_consumer_next_event(consumer, &event)), 1);
    ck_assert_int_eq(kfl_event_kind(event), KFL_EVENT_HOLE);
    ck_assert_int_eq(kfl_event_offset(event), 4);
    ck_assert_int_eq(kfl_event_end_offset(event), 5);
    ck_assert_ptr_nonnull(strstr(kfl_event_text(event), ".log"));
    kfl_event_release(event);
    check_records(consumer, 5, RECORDS);
    OK(kfl_consumer_close(consumer));
}
END_TEST

#ifdef KFL_FAULT_POINTS
static int recover_until_killed(void *context)
{
    int64_t offset;
    if (kfl__fault_arm(context) < 0)
        return 1;
    store = open_store(temp_dir_path(), WITH("background.threads", "0"));
    if (kfl_topic_end_offset(store, "t", 0, &offset) < 0)
        return 2;
    /* What the first append does is a part of it, too. */
    send_many("t", 0, 1, 0);
    return 3;
}

/* kafka:L6 rule:R22 */
START_TEST(a_kill_during_recovery_is_harmless)
{
    static const char *const points[] = {"recover.listed=kill",  "recover.copied=kill",
                                         "recover.synced=kill",  "prepare.listed=kill",
                                         "prepare.created=kill", "catalog.begun:2=kill"};
    int killed = 0;
    write_and_be_killed();
    spoil_batch(15);
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
        if (access(temp_dir_file("state"), F_OK) == 0)
            forget_state();
        int status = child_run(recover_until_killed, (void *)(uintptr_t)points[i]);
        ck_assert_msg(status == -SIGKILL || status == 3, "%s: %d", points[i], status);
        killed += status == -SIGKILL;
        if (status == 3)
            break; /* its record is there now: nothing left to be killed in */
    }
    ck_assert_int_ge(killed, 3);
    open_again();
    kfl_consumer *consumer = open_consumer(NULL);
    assign_at(consumer, "t", 0, 0);
    check_records(consumer, 0, 15);
    kfl_producer *producer = open_producer(NULL);
    ck_assert_int_ge(send_value(producer, "t", 0, "new"), RECORDS);
    OK(kfl_producer_close(producer));
    OK(kfl_consumer_close(consumer));
}
END_TEST

static void stop_while_laying(struct peer *self, void *context)
{
    (void)context;
    store = open_store(temp_dir_path(), WITH("background.threads", "0"));
    kfl_producer *producer = open_producer(NULL);
    send_value(producer, "t", 0, "v0");
    peer_tell(self);
    ck_assert_int_eq(kfl__fault_arm("append.laid=stop"), 0);
    send_value(producer, "t", 0, "v1");
    peer_await(self);
    OK(kfl_producer_close(producer));
    OK(kfl_store_close(store));
}

/* kafka:B16 rule:R18: a send waits for max.block.ms, says who is in the way, and loses nothing. */
START_TEST(a_send_that_is_kept_waiting_says_by_whom)
{
    struct peer peer;
    char pid[16];
    int status;
    peer_start(&peer, stop_while_laying, NULL);
    peer_await(&peer);
    ck_assert_int_eq(waitpid(peer.pid, &status, WUNTRACED), peer.pid);
    ck_assert(WIFSTOPPED(status));
    open_again();
    kfl_producer *producer = open_producer(WITH("max.block.ms", "30"));
    kfl_producer *lingers = open_producer(WITH("max.block.ms", "30", "linger.ms", "3600000"));
    FAILS(KFL_E_BUSY, try_send(producer, "t", 0, NULL, "v2", 1, NULL));
    snprintf(pid, sizeof pid, "%d", (int)peer.pid);
    ck_assert_ptr_nonnull(strstr(kfl_last_error(), pid));
    ck_assert_str_eq(kfl_last_error_topic(), "t");
    OK(try_send(lingers, "t", 0, NULL, "v2", 1, NULL));
    FAILS(KFL_E_BUSY, kfl_producer_flush(lingers, -1));
    /* A reader does not wait for it. */
    kfl_consumer *consumer = open_consumer(NULL);
    assign_at(consumer, "t", 0, 0);
    ck_assert_int_eq(read_on(consumer, 0), 1);
    kill(peer.pid, SIGCONT);
    peer_tell(&peer);
    peer_join(&peer);
    ck_assert_int_eq(send_value(producer, "t", 0, "v2"), 2);
    ck_assert_int_eq(read_on(consumer, 1), 3);
    OK(kfl_consumer_close(consumer));
    OK(kfl_producer_close(lingers));
    OK(kfl_producer_close(producer));
}
END_TEST
#endif

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("durability");
    TCase *tests = tcase_create("durability");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, durability_set_up, disk_tear_down);
    tcase_add_test(tests, what_a_killed_process_acknowledged_is_there);
    tcase_add_test(tests, after_a_reboot_a_whole_tail_is_kept);
    tcase_add_test(tests, a_torn_tail_is_cut_and_its_length_told);
    tcase_add_test(tests, damage_of_durable_records_is_a_hole_and_hides_nothing);
#ifdef KFL_FAULT_POINTS
    tcase_add_test(tests, a_kill_during_recovery_is_harmless);
    tcase_add_test(tests, a_send_that_is_kept_waiting_says_by_whom);
#endif
    suite_add_tcase(suite, tests);
    return suite;
}
