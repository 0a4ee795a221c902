/* SPDX-License-Identifier: MIT */
/* Prefix deletion: what goes, what stays, and who is told. */
#include "base/fault.h"
#include "child.h"
#include "peer.h"
#include "store_fixture.h"

/* kafka:H11 kafka:C12 */
START_TEST(delete_records_moves_the_start_to_exactly_there)
{
    int64_t start = -1;
    make_topic("t", 1, NULL);
    send_many("t", 0, 100, 0);
    OK(kfl_topic_delete_records(store, "t", 0, 37, &start));
    ck_assert_int_eq(start, 37);
    ck_assert_int_eq(start_of("t", 0), 37);
    ck_assert_int_eq(end_of("t", 0), 100);
    kfl_consumer *consumer = open_consumer(NULL);
    assign_at(consumer, "t", 0, KFL_OFFSET_BEGINNING);
    ck_assert_int_eq(position_of(consumer, "t", 0), 37);
    ck_assert_int_eq(read_on(consumer, 37), 100);
    OK(kfl_consumer_close(consumer));
}
END_TEST

/* kafka:H11 */
START_TEST(delete_records_in_the_middle_of_a_batch)
{
    kfl_producer *producer = open_producer(NULL);
    make_topic("t", 1, NULL);
    send_batch(producer, "t", 0, 50);
    send_batch(producer, "t", 0, 50);
    OK(kfl_topic_delete_records(store, "t", 0, 75, NULL));
    kfl_consumer *consumer = open_consumer(NULL);
    assign_at(consumer, "t", 0, KFL_OFFSET_BEGINNING);
    ck_assert_int_eq(read_on(consumer, 75), 100);
    OK(kfl_consumer_close(consumer));
    OK(kfl_producer_close(producer));
}
END_TEST

/* kafka:H11 */
START_TEST(delete_records_up_to_the_end)
{
    int64_t start;
    kfl_producer *producer = open_producer(NULL);
    make_topic("t", 1, NULL);
    send_many("t", 0, 10, 0);
    OK(kfl_topic_delete_records(store, "t", 0, KFL_OFFSET_END, &start));
    ck_assert_int_eq(start, 10);
    ck_assert_int_eq(start_of("t", 0), 10);
    ck_assert_int_eq(end_of("t", 0), 10);
    ck_assert_int_eq(kfl_topic_max_timestamp(store, "t", 0, &start, NULL), 0);
    ck_assert_int_eq(send_value(producer, "t", 0, "v10"), 10);
    OK(kfl_producer_close(producer));
}
END_TEST

/* kafka:H11 */
START_TEST(delete_records_below_the_start_does_nothing)
{
    int64_t start;
    make_topic("t", 1, NULL);
    send_many("t", 0, 10, 0);
    OK(kfl_topic_delete_records(store, "t", 0, 5, NULL));
    OK(kfl_topic_delete_records(store, "t", 0, 3, &start));
    ck_assert_int_eq(start, 5);
    OK(kfl_topic_delete_records(store, "t", 0, 5, &start));
    ck_assert_int_eq(start, 5);
    OK(kfl_topic_delete_records(store, "t", 0, 0, &start));
    ck_assert_int_eq(start_of("t", 0), 5);
}
END_TEST

/* kafka:H11 */
START_TEST(delete_records_above_the_end_is_refused)
{
    int64_t start = 77;
    make_topic("t", 1, NULL);
    send_many("t", 0, 10, 0);
    FAILS(KFL_E_OFFSET_OUT_OF_RANGE, kfl_topic_delete_records(store, "t", 0, 11, &start));
    FAILS(KFL_E_INVALID, kfl_topic_delete_records(store, "t", 0, -2, &start));
    ck_assert_int_eq(start, 77);
    ck_assert_int_eq(start_of("t", 0), 0);
}
END_TEST

/* kafka:H11 */
START_TEST(delete_records_of_a_compacted_topic_is_refused)
{
    make_topic("t", 1, WITH("cleanup.policy", "compact"));
    FAILS(KFL_E_POLICY_VIOLATION, kfl_topic_delete_records(store, "t", 0, 0, NULL));
    OK(kfl_topic_set(store, "t", "cleanup.policy", "compact,delete"));
    OK(kfl_topic_delete_records(store, "t", 0, 0, NULL));
}
END_TEST

/* kafka:H11 */
START_TEST(bytes_go_when_a_whole_segment_lies_below)
{
    make_topic("t", 1, WITH("segment.bytes", "65536"));
    send_many("t", 0, 300, 1000); /* five files */
    int32_t before = segment_count_of("t", 0);
    ck_assert_int_ge(before, 5);
    OK(kfl_topic_delete_records(store, "t", 0, 1, NULL));
    ck_assert_int_eq(segment_count_of("t", 0), before);
    OK(kfl_topic_delete_records(store, "t", 0, 200, NULL));
    ck_assert_int_le(segment_count_of("t", 0), before - 3);
    OK(kfl_topic_delete_records(store, "t", 0, KFL_OFFSET_END, NULL));
    ck_assert_int_eq(segment_count_of("t", 0), 1);
    ck_assert_int_eq(stat_of("log_start_offset", "t", 0), 300);
}
END_TEST

/* More files than one catalog transaction takes. */
START_TEST(a_long_prefix_goes_at_once)
{
    make_topic("t", 1, WITH("segment.bytes", "65536"));
    kfl_producer *producer = open_producer(NULL);
    char *value = calloc(1, 60000);
    for (int i = 0; i < 300; i++)
        OK(kfl_producer_send(producer, "t", 0, NULL, 0, value, 60000, NULL, 0, 1, NULL));
    ck_assert_int_eq(segment_count_of("t", 0), 300);
    OK(kfl_topic_delete_records(store, "t", 0, KFL_OFFSET_END, NULL));
    ck_assert_int_eq(segment_count_of("t", 0), 1);
    free(value);
    OK(kfl_producer_close(producer));
}
END_TEST

/* kafka:H6 kafka:L5 */
START_TEST(the_start_stays_over_a_restart)
{
    make_topic("t", 1, NULL);
    send_many("t", 0, 10, 0);
    OK(kfl_topic_delete_records(store, "t", 0, 7, NULL));
    disk_reopen();
    ck_assert_int_eq(start_of("t", 0), 7);
    ck_assert_int_eq(end_of("t", 0), 10);
    OK(kfl_topic_delete_records(store, "t", 0, KFL_OFFSET_END, NULL));
    disk_reopen();
    ck_assert_int_eq(start_of("t", 0), 10);
    ck_assert_int_eq(end_of("t", 0), 10);
    send_many("t", 0, 1, 0);
    ck_assert_int_eq(end_of("t", 0), 11);
}
END_TEST

/* kafka:H12 */
START_TEST(a_reader_below_the_new_start_is_told)
{
    kfl_records *records;
    make_topic("t", 1, NULL);
    send_many("t", 0, 10, 0);
    kfl_consumer *consumer = open_consumer(WITH("auto.offset.reset", "none"));
    assign_at(consumer, "t", 0, 2);
    OK(kfl_topic_delete_records(store, "t", 0, 7, NULL));
    FAILS(KFL_E_OFFSET_OUT_OF_RANGE, kfl_consumer_poll(consumer, 0, 0, &records));
    ck_assert_int_eq(kfl_last_error_offset(), 2);
    OK(kfl_consumer_seek(consumer, "t", 0, KFL_OFFSET_BEGINNING));
    ck_assert_int_eq(read_on(consumer, 7), 10);
    OK(kfl_consumer_close(consumer));
}
END_TEST

/* kafka:H12 */
START_TEST(a_reader_in_the_middle_of_what_goes_keeps_what_it_holds)
{
    kfl_records *records;
    make_topic("t", 1, WITH("segment.bytes", "65536"));
    send_many("t", 0, 300, 1000);
    kfl_consumer *consumer = open_consumer(NULL);
    assign_at(consumer, "t", 0, 0);
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 0, 100, &records)), 100);
    OK(kfl_topic_delete_records(store, "t", 0, 250, NULL));
    for (int32_t i = 0; i < 100; i++)
        check_value(kfl_records_get(records, i));
    kfl_records *more;
    FAILS(KFL_E_EVENT, kfl_consumer_poll(consumer, 0, 0, &more));
    kfl_event *event;
    ck_assert_int_eq(OK(kfl_consumer_next_event(consumer, &event)), 1);
    ck_assert_int_eq(kfl_event_kind(event), KFL_EVENT_LAPPED);
    ck_assert_int_eq(kfl_event_offset(event), 100);
    ck_assert_int_eq(kfl_event_end_offset(event), 250);
    kfl_event_release(event);
    ck_assert_int_eq(read_on(consumer, 250), 300);
    kfl_records_release(records);
    OK(kfl_consumer_close(consumer));
}
END_TEST

#ifdef KFL_FAULT_POINTS
static const char *const moments[] = {"trim.started=stop", "trim.committed=stop"};

static void stop_while_deleting(struct peer *self, void *context)
{
    store = open_store(temp_dir_path(), WITH("background.threads", "0"));
    peer_await(self);
    ck_assert_int_eq(kfl__fault_arm(context), 0);
    OK(kfl_topic_delete_records(store, "t", 0, 250, NULL));
    OK(kfl_store_close(store));
}

/* kafka:H12: what goes is never taken for a gap in the numbers, at whatever moment one looks. */
START_TEST(a_reader_in_the_middle_of_a_deletion_is_told)
{
    struct peer peer;
    kfl_records *records;
    kfl_event *event;
    int64_t offset, time;
    int status;
    make_topic("t", 1, WITH("segment.bytes", "65536"));
    send_many("t", 0, 300, 1000);
    OK(kfl_store_close(store));
    peer_start(&peer, stop_while_deleting, (void *)(uintptr_t)moments[_i]);
    store = open_store(temp_dir_path(), WITH("background.threads", "0"));
    peer_tell(&peer);
    ck_assert_int_eq(waitpid(peer.pid, &status, WUNTRACED), peer.pid);
    ck_assert(WIFSTOPPED(status));
    kfl_consumer *consumer = open_consumer(NULL);
    assign_at(consumer, "t", 0, 10);
    int r = kfl_consumer_poll(consumer, 0, 1, &records);
    if (r == 1) {
        ck_assert_int_eq(_i, 0); /* true in the catalog, but not yet told */
        ck_assert_int_eq(kfl_records_get(records, 0)->offset, 10);
        kfl_records_release(records);
    } else {
        ck_assert_int_eq(r, KFL_E_EVENT);
        ck_assert_int_eq(OK(kfl_consumer_next_event(consumer, &event)), 1);
        ck_assert_int_eq(kfl_event_offset(event), 10);
        ck_assert_int_eq(kfl_event_end_offset(event), 250);
        kfl_event_release(event);
        ck_assert_int_eq(read_on(consumer, 250), 300);
    }
    ck_assert_int_eq(OK(kfl_topic_max_timestamp(store, "t", 0, &offset, &time)), 1);
    ck_assert_int_eq(offset, 299);
    ck_assert_int_eq(OK(kfl_topic_offset_for_time(store, "t", 0, NOW_MS, &offset, &time)), 1);
    ck_assert_int_eq(offset, _i == 0 ? 0 : 250);
    OK(kfl_consumer_close(consumer));
    kill(peer.pid, SIGCONT);
    peer_join(&peer);
    ck_assert_int_eq(start_of("t", 0), 250);
}
END_TEST

static int die_while_deleting(void *context)
{
    store = open_store(temp_dir_path(), WITH("background.threads", "0"));
    if (kfl__fault_arm(context) < 0)
        return 1;
    OK(kfl_topic_delete_records(store, "t", 0, 250, NULL));
    return 2;
}

/* kafka:H6 kafka:H11 */
START_TEST(a_deletion_that_was_killed_can_be_done_again)
{
    static const char *const kills[] = {"trim.started=kill", "trim.committed=kill"};
    int64_t start;
    make_topic("t", 1, WITH("segment.bytes", "65536"));
    send_many("t", 0, 300, 1000);
    int32_t before = segment_count_of("t", 0);
    OK(kfl_store_close(store));
    ck_assert_int_eq(child_run(die_while_deleting, (void *)(uintptr_t)kills[_i]), -SIGKILL);
    store = open_store(temp_dir_path(), WITH("background.threads", "0"));
    OK(kfl_topic_delete_records(store, "t", 0, 251, &start));
    ck_assert_int_eq(start, 251);
    ck_assert_int_le(segment_count_of("t", 0), before - 3);
    kfl_consumer *consumer = open_consumer(NULL);
    assign_at(consumer, "t", 0, KFL_OFFSET_BEGINNING);
    ck_assert_int_eq(read_on(consumer, 251), 300);
    OK(kfl_consumer_close(consumer));
}
END_TEST
#endif

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("trim");
    TCase *tests = tcase_create("trim");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, disk_set_up, disk_tear_down);
    tcase_add_test(tests, delete_records_moves_the_start_to_exactly_there);
    tcase_add_test(tests, delete_records_in_the_middle_of_a_batch);
    tcase_add_test(tests, delete_records_up_to_the_end);
    tcase_add_test(tests, delete_records_below_the_start_does_nothing);
    tcase_add_test(tests, delete_records_above_the_end_is_refused);
    tcase_add_test(tests, delete_records_of_a_compacted_topic_is_refused);
    tcase_add_test(tests, bytes_go_when_a_whole_segment_lies_below);
    tcase_add_test(tests, a_long_prefix_goes_at_once);
    tcase_add_test(tests, the_start_stays_over_a_restart);
    tcase_add_test(tests, a_reader_below_the_new_start_is_told);
    tcase_add_test(tests, a_reader_in_the_middle_of_what_goes_keeps_what_it_holds);
#ifdef KFL_FAULT_POINTS
    tcase_add_loop_test(tests, a_reader_in_the_middle_of_a_deletion_is_told, 0, 2);
    tcase_add_loop_test(tests, a_deletion_that_was_killed_can_be_done_again, 0, 2);
#endif
    suite_add_tcase(suite, tests);
    return suite;
}
