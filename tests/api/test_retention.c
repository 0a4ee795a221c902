/* SPDX-License-Identifier: MIT */
/* Retention by time and size, as a program sees it: each rule with Kafka's defaults and with others. */
#include "base/fault.h"
#include "child.h"
#include "peer.h"
#include "store_fixture.h"

#define DAY INT64_C(86400000)

/* `count` records of about 6,000 bytes, each a batch, from `time_ms` on; ten fill a segment of 64 KiB. */
static void send_old(const char *topic, int32_t count, int64_t time_ms)
{
    kfl_producer *producer = open_producer(NULL);
    char *value = calloc(1, 6000);
    memset(value, '.', 5999);
    for (int32_t i = 0; i < count; i++) {
        int64_t next = end_of(topic, 0);
        value[snprintf(value, 32, "v%" PRId64, next)] = '.';
        OK(try_send(producer, topic, 0, NULL, value, time_ms + i, NULL));
    }
    free(value);
    OK(kfl_producer_close(producer));
}

static kfl_progress maintain_at(int64_t now_ms)
{
    kfl_progress progress = {0};
    OK(kfl_store_set_clock(store, now_ms));
    while (OK(kfl_store_maintain(store, -1, &progress)) == 1)
        ;
    return progress;
}

static void check_reads(int64_t from, int64_t to)
{
    kfl_consumer *consumer = open_consumer(NULL);
    assign_at(consumer, "t", 0, KFL_OFFSET_BEGINNING);
    ck_assert_int_eq(position_of(consumer, "t", 0), from);
    ck_assert_int_eq(read_on(consumer, from), to);
    OK(kfl_consumer_close(consumer));
}

/* kafka:H5: an embedded log deletes nothing that nobody asked it to delete. */
START_TEST(by_default_nothing_goes)
{
    make_topic("t", 1, WITH("segment.bytes", "65536"));
    send_old("t", 50, 1000);
    kfl_progress progress = maintain_at(NOW_MS + 3650 * DAY);
    ck_assert_int_eq(progress.deleted_segments, 0);
    check_reads(0, 50);
}
END_TEST

/* kafka:H1 kafka:H6, with Kafka's seven days. */
START_TEST(a_segment_older_than_seven_days_goes)
{
    make_topic("t", 1, WITH("segment.bytes", "65536", "retention.ms", "604800000"));
    send_old("t", 10, NOW_MS);
    send_old("t", 30, NOW_MS + 5 * DAY);
    int32_t before = segment_count_of("t", 0);
    ck_assert_int_eq(maintain_at(NOW_MS + 7 * DAY + 9).deleted_segments, 0);
    kfl_progress progress = maintain_at(NOW_MS + 7 * DAY + 10);
    ck_assert_int_eq(progress.deleted_segments, 1);
    ck_assert_int_gt(progress.deleted_bytes, 60000);
    ck_assert_int_eq(segment_count_of("t", 0), before - 1);
    ck_assert_int_eq(start_of("t", 0), 10);
    check_reads(10, 40);
    disk_reopen();
    ck_assert_int_eq(start_of("t", 0), 10);
    check_reads(10, 40);
}
END_TEST

/* kafka:H2 */
START_TEST(one_time_in_the_future_keeps_all_behind_it)
{
    make_topic("t", 1, WITH("segment.bytes", "65536", "retention.ms", "1000"));
    send_old("t", 10, NOW_MS);
    send_old("t", 1, NOW_MS + 3650 * DAY);
    send_old("t", 40, NOW_MS);
    maintain_at(NOW_MS + DAY);
    ck_assert_int_eq(start_of("t", 0), 10);
    check_reads(10, 51);
    maintain_at(NOW_MS + 3651 * DAY);
    ck_assert_int_eq(start_of("t", 0), 51);
}
END_TEST

static int64_t files_size(void)
{
    int64_t size = 0;
    kfl_segments *list = NULL;
    OK(kfl_segments_list(store, "t", 0, &list));
    for (int32_t i = 0; i < kfl_segments_count(list); i++)
        size += kfl_segments_get(list, i)->used_bytes - 512;
    kfl_segments_release(list);
    return size;
}

/* kafka:H3 kafka:H6 */
START_TEST(an_idle_topic_empties)
{
    kfl_producer *producer = open_producer(NULL);
    make_topic("t", 1, WITH("segment.bytes", "65536", "retention.ms", "1000"));
    send_old("t", 35, NOW_MS);
    maintain_at(NOW_MS + DAY);
    ck_assert_int_eq(start_of("t", 0), 35);
    ck_assert_int_eq(end_of("t", 0), 35);
    ck_assert_int_eq(files_size(), 0);
    ck_assert_int_eq(maintain_at(NOW_MS + 2 * DAY).deleted_segments, 0);
    ck_assert_int_eq(send_value(producer, "t", 0, "v35"), 35);
    check_reads(35, 36);
    OK(kfl_producer_close(producer));
    disk_reopen();
    check_reads(35, 36);
    maintain_at(NOW_MS * 2);
    disk_reopen();
    ck_assert_int_eq(start_of("t", 0), 36);
    ck_assert_int_eq(end_of("t", 0), 36);
    send_many("t", 0, 3, 0);
    check_reads(36, 39);
}
END_TEST

/* kafka:H3 kafka:H11: records deleted by request leave a file that takes appends; it goes when it is old. */
START_TEST(a_file_whose_records_are_deleted_goes_when_it_is_old)
{
    make_topic("t", 1, WITH("segment.bytes", "65536", "retention.ms", "1000"));
    send_old("t", 5, NOW_MS);
    OK(kfl_topic_delete_records(store, "t", 0, KFL_OFFSET_END, NULL));
    ck_assert_int_gt(files_size(), 0);
    maintain_at(NOW_MS + DAY);
    ck_assert_int_eq(files_size(), 0);
    ck_assert_int_eq(segment_count_of("t", 0), 1);
}
END_TEST

/* kafka:H4: never less than retention.bytes by size alone. */
START_TEST(size_deletes_down_to_the_limit_and_not_below)
{
    make_topic("t", 1, WITH("segment.bytes", "65536", "retention.bytes", "130000"));
    send_old("t", 55, NOW_MS);
    maintain_at(NOW_MS);
    int64_t left = files_size();
    ck_assert_int_ge(left + 512 * segment_count_of("t", 0), 130000);
    ck_assert_int_lt(left, 130000 + 65536);
    int64_t start = start_of("t", 0);
    ck_assert_int_gt(start, 0);
    check_reads(start, 55);
    ck_assert_int_eq(maintain_at(NOW_MS).deleted_segments, 0);
}
END_TEST

/* kafka:H5: the limits are of one partition. */
START_TEST(limits_are_of_one_partition)
{
    kfl_producer *producer = open_producer(NULL);
    char value[6000];
    memset(value, '.', sizeof value);
    make_topic("t", 2, WITH("segment.bytes", "65536", "retention.bytes", "200000"));
    for (int32_t i = 0; i < 60; i++)
        OK(kfl_producer_send(producer, "t", i % 2, NULL, 0, value, sizeof value, NULL, 0, NOW_MS,
                             NULL));
    maintain_at(NOW_MS);
    ck_assert_int_eq(start_of("t", 0), 0);
    ck_assert_int_eq(start_of("t", 1), 0);
    OK(kfl_producer_close(producer));
}
END_TEST

/* kafka:H10 */
START_TEST(a_compacted_topic_ignores_retention)
{
    kfl_producer *producer = open_producer(NULL);
    make_topic("t", 1,
               WITH("cleanup.policy", "compact", "retention.ms", "1", "retention.bytes", "1"));
    for (int32_t i = 0; i < 10; i++)
        send_at(producer, "t", 0, "k", "v", NOW_MS + i);
    ck_assert_int_eq(maintain_at(NOW_MS + DAY).deleted_segments, 0);
    ck_assert_int_eq(start_of("t", 0), 0);
    OK(kfl_topic_set(store, "t", "cleanup.policy", "delete"));
    ck_assert_int_eq(maintain_at(NOW_MS + DAY).deleted_segments, 1);
    ck_assert_int_eq(start_of("t", 0), 10);
    OK(kfl_producer_close(producer));
}
END_TEST

/* kafka:H12 kafka:D3 */
START_TEST(a_reader_that_was_overtaken_is_told)
{
    kfl_consumer *consumer = open_consumer(NULL);
    kfl_records *records = NULL;
    kfl_event *event = NULL;
    make_topic("t", 1, WITH("segment.bytes", "65536", "retention.ms", "1000"));
    send_old("t", 30, NOW_MS);
    assign_at(consumer, "t", 0, 0);
    const kfl_record *held = poll_one(consumer, &records);
    maintain_at(NOW_MS + DAY);
    check_value(held); /* what a reader holds stays */
    kfl_records_release(records);
    send_old("t", 2, NOW_MS + DAY);
    FAILS(KFL_E_EVENT, kfl_consumer_poll(consumer, 0, 0, &records));
    ck_assert_int_eq(OK(kfl_consumer_next_event(consumer, &event)), 1);
    ck_assert_int_eq(kfl_event_kind(event), KFL_EVENT_LAPPED);
    ck_assert_int_eq(kfl_event_offset(event), 1);
    ck_assert_int_eq(kfl_event_end_offset(event), 30);
    kfl_event_release(event);
    ck_assert_int_eq(read_on(consumer, 30), 32);
    OK(kfl_consumer_close(consumer));
}
END_TEST

/* A clock that steps back deletes nothing, and brings nothing back. */
START_TEST(the_clock_may_step_back)
{
    make_topic("t", 1, WITH("segment.bytes", "65536", "retention.ms", "1000"));
    send_old("t", 30, NOW_MS);
    ck_assert_int_eq(maintain_at(NOW_MS - 3650 * DAY).deleted_segments, 0);
    ck_assert_int_eq(maintain_at(0).deleted_segments, 0);
    maintain_at(NOW_MS + DAY);
    ck_assert_int_eq(start_of("t", 0), 30);
    ck_assert_int_eq(maintain_at(0).deleted_segments, 0);
    ck_assert_int_eq(start_of("t", 0), 30);
}
END_TEST

/* A topic of which this process has nothing open. */
START_TEST(a_topic_that_nobody_uses_is_maintained_too)
{
    make_topic("t", 1, WITH("segment.bytes", "65536", "retention.ms", "1000"));
    send_old("t", 30, NOW_MS);
    disk_reopen();
    ck_assert_int_gt(maintain_at(NOW_MS + DAY).deleted_segments, 1);
    ck_assert_int_eq(start_of("t", 0), 30);
}
END_TEST

/* kafka:H9: the helper does it, some time. */
START_TEST(the_helper_does_it)
{
    OK(kfl_store_close(store));
    store = open_store(temp_dir_path(), WITH("log.retention.check.interval.ms", "5"));
    make_topic("t", 1, WITH("segment.bytes", "65536", "retention.ms", "1000"));
    send_old("t", 30, 1000);
    for (int i = 0; i < 20000 && start_of("t", 0) < 30; i++)
        usleep(1000);
    ck_assert_int_eq(start_of("t", 0), 30);
}
END_TEST

/* Another process has the byte, until it dies. */
static void maintain_elsewhere(struct peer *self, void *context)
{
    (void)context;
    kfl_store *own = open_store(temp_dir_path(), WITH("log.retention.check.interval.ms", "1"));
    int64_t start = 0;
    for (int i = 0; i < 20000 && start < 30; i++) {
        usleep(1000);
        OK(kfl_topic_start_offset(own, "t", 0, &start));
    }
    peer_tell(self);
    peer_await(self);
}

START_TEST(it_moves_when_its_process_dies)
{
    struct peer peer;
    make_topic("t", 1, WITH("segment.bytes", "65536", "retention.ms", "1000"));
    send_old("t", 30, 1000);
    OK(kfl_store_close(store));
    peer_start(&peer, maintain_elsewhere, NULL);
    peer_await(&peer);
    store = open_store(temp_dir_path(), WITH("log.retention.check.interval.ms", "1"));
    ck_assert_int_eq(start_of("t", 0), 30);
    peer_kill(&peer);
    send_old("t", 30, 1000);
    for (int i = 0; i < 20000 && start_of("t", 0) < 60; i++)
        usleep(1000);
    ck_assert_int_eq(start_of("t", 0), 60);
}
END_TEST

START_TEST(a_budget_of_nothing_comes_to_an_end)
{
    make_topic("t", 5, WITH("segment.bytes", "65536", "retention.ms", "1000"));
    kfl_progress progress;
    int rounds = 0;
    send_old("t", 30, NOW_MS);
    OK(kfl_store_set_clock(store, NOW_MS + DAY));
    do {
        OK(kfl_store_maintain(store, 0, &progress));
        ck_assert_int_lt(rounds++, 5);
        ck_assert_int_le(progress.partitions_left, 5 - rounds);
    } while (progress.partitions_left > 0);
    ck_assert_int_eq(start_of("t", 0), 30);
}
END_TEST

#ifdef KFL_FAULT_POINTS
static int die_in_retention(void *context)
{
    kfl_store *own = NULL;
    kfl_config *config = config_of(WITH("background.threads", "0"));
    if (kfl_store_open(temp_dir_path(), config, &own) < 0 ||
        kfl_store_set_clock(own, NOW_MS + DAY) < 0 || kfl__fault_arm(context) < 0)
        return 1;
    (void)kfl_store_maintain(own, -1, NULL);
    return 2;
}

/* rule:R27: killed anywhere, the next one goes on. */
START_TEST(killed_at_any_step_it_goes_on)
{
    static const char *const steps[] = {
        "prepare.listed=kill",   "prepare.created=kill",     "prepare.ready=kill",
        "roll.marked=kill",      "roll.before_publish=kill", "roll.published=kill",
        "retention.rolled=kill", "trim.started=kill",        "trim.committed=kill",
    };
    const char *step = steps[_i];
    make_topic("t", 1, WITH("segment.bytes", "65536", "retention.ms", "1000"));
    send_old("t", 25, NOW_MS);
    OK(kfl_store_close(store));
    ck_assert_msg(child_run(die_in_retention, (void *)(uintptr_t)step) == -SIGKILL, "%s", step);
    store = open_store(temp_dir_path(), WITH("background.threads", "0"));
    ck_assert_int_eq(end_of("t", 0), 25);
    check_reads(start_of("t", 0), 25);
    maintain_at(NOW_MS + DAY);
    ck_assert_int_eq(start_of("t", 0), 25);
    ck_assert_int_eq(files_size(), 0);
    send_many("t", 0, 3, 0);
    check_reads(25, 28);
}
END_TEST
#endif

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("retention");
    TCase *tests = tcase_create("retention");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, disk_set_up, disk_tear_down);
    tcase_add_test(tests, by_default_nothing_goes);
    tcase_add_test(tests, a_segment_older_than_seven_days_goes);
    tcase_add_test(tests, one_time_in_the_future_keeps_all_behind_it);
    tcase_add_test(tests, an_idle_topic_empties);
    tcase_add_test(tests, a_file_whose_records_are_deleted_goes_when_it_is_old);
    tcase_add_test(tests, size_deletes_down_to_the_limit_and_not_below);
    tcase_add_test(tests, limits_are_of_one_partition);
    tcase_add_test(tests, a_compacted_topic_ignores_retention);
    tcase_add_test(tests, a_reader_that_was_overtaken_is_told);
    tcase_add_test(tests, the_clock_may_step_back);
    tcase_add_test(tests, a_topic_that_nobody_uses_is_maintained_too);
    tcase_add_test(tests, the_helper_does_it);
    tcase_add_test(tests, it_moves_when_its_process_dies);
    tcase_add_test(tests, a_budget_of_nothing_comes_to_an_end);
#ifdef KFL_FAULT_POINTS
    tcase_add_loop_test(tests, killed_at_any_step_it_goes_on, 0, 9);
#endif
    suite_add_tcase(suite, tests);
    return suite;
}
