/* SPDX-License-Identifier: MIT */
/* What is assigned, where it stands: assign, seek, pause, and where auto.offset.reset leads. */
#include "store_fixture.h"

static kfl_consumer *consumer;

static void consumer_set_up(void)
{
    memory_set_up();
    make_topic("t", 3, NULL);
    send_many("t", 0, 100, 0);
    consumer = open_consumer(NULL);
}

static void consumer_tear_down(void)
{
    kfl_consumer_close(consumer);
    memory_tear_down();
}

START_TEST(nothing_is_assigned_at_first)
{
    kfl_offsets *offsets;
    kfl_records *records = (kfl_records *)&offsets;
    OK(kfl_consumer_assignment(consumer, &offsets));
    ck_assert_int_eq(kfl_offsets_count(offsets), 0);
    kfl_offsets_release(offsets);
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 0, 0, &records)), 0);
    ck_assert_ptr_null(records);
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 5, 0, &records)), 0);
}
END_TEST

/* kafka:C12 */
START_TEST(an_assignment_begins_where_it_is_told)
{
    static const struct {
        int64_t given, position;
    } cases[] = {{KFL_OFFSET_BEGINNING, 10},
                 {KFL_OFFSET_END, 100},
                 {42, 42},
                 {100, 100},
                 {KFL_OFFSET_STORED, 10}};
    OK(kfl_topic_delete_records(store, "t", 0, 10, NULL));
    for (int i = 0; i < 5; i++) {
        assign_at(consumer, "t", 1, 0);
        assign_at(consumer, "t", 0, cases[i].given);
        ck_assert_int_eq(position_of(consumer, "t", 0), cases[i].position);
        ck_assert_int_eq(read_on(consumer, cases[i].position), 100);
    }
}
END_TEST

START_TEST(an_assignment_that_cannot_be_changes_nothing)
{
    kfl_partition_offset wishes[2] = {{.topic = "t", .partition = 1},
                                      {.topic = "t", .partition = 1}};
    kfl_offsets *offsets;
    assign_at(consumer, "t", 0, 7);
    FAILS(KFL_E_INVALID, kfl_consumer_assign(consumer, wishes, 2)); /* named twice */
    wishes[1].partition = 3;
    FAILS(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, kfl_consumer_assign(consumer, wishes, 2));
    wishes[1] = (kfl_partition_offset){.topic = "nothing"};
    FAILS(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, kfl_consumer_assign(consumer, wishes, 2));
    wishes[1] = (kfl_partition_offset){.topic = NULL};
    FAILS(KFL_E_INVALID, kfl_consumer_assign(consumer, wishes, 2));
    wishes[1] = (kfl_partition_offset){.topic = "t", .offset = -77};
    FAILS(KFL_E_INVALID, kfl_consumer_assign(consumer, wishes, 2));
    FAILS(KFL_E_INVALID, kfl_consumer_assign(consumer, NULL, 1));
    FAILS(KFL_E_INVALID, kfl_consumer_assign(consumer, wishes, SIZE_MAX));
    OK(kfl_consumer_assignment(consumer, &offsets));
    ck_assert_int_eq(kfl_offsets_count(offsets), 1);
    ck_assert_str_eq(kfl_offsets_get(offsets, 0)->topic, "t");
    ck_assert_int_eq(kfl_offsets_get(offsets, 0)->partition, 0);
    ck_assert_int_eq(kfl_offsets_get(offsets, 0)->offset, 7);
    kfl_offsets_release(offsets);
}
END_TEST

START_TEST(an_assignment_replaces_the_one_before)
{
    kfl_records *records;
    assign_at(consumer, "t", 0, 0);
    assign_at(consumer, "t", 1, 0);
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 0, 0, &records)), 0);
    int64_t offset;
    FAILS(KFL_E_INVALID, kfl_consumer_position(consumer, "t", 0, &offset));
    OK(kfl_consumer_assign(consumer, NULL, 0));
    FAILS(KFL_E_INVALID, kfl_consumer_position(consumer, "t", 1, &offset));
}
END_TEST

START_TEST(a_partition_assigned_before_keeps_its_place)
{
    kfl_partition_offset wishes[2] = {{.topic = "t", .partition = 0, .offset = KFL_OFFSET_STORED},
                                      {.topic = "t", .partition = 1, .offset = KFL_OFFSET_STORED}};
    assign_at(consumer, "t", 0, 33);
    OK(kfl_consumer_pause(consumer, "t", 0));
    OK(kfl_consumer_assign(consumer, wishes, 2));
    ck_assert_int_eq(position_of(consumer, "t", 0), 33);
    ck_assert_int_eq(position_of(consumer, "t", 1), 0);
    OK(kfl_consumer_resume(consumer, "t", 0));
    ck_assert_int_eq(read_on(consumer, 33), 100);
    /* But for one that is told where to begin. */
    wishes[0].offset = 50;
    OK(kfl_consumer_assign(consumer, wishes, 2));
    ck_assert_int_eq(position_of(consumer, "t", 0), 50);
}
END_TEST

/* kafka:C5 */
START_TEST(the_position_is_the_next_offset)
{
    kfl_records *records;
    assign_at(consumer, "t", 0, 0);
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(position_of(consumer, "t", 0), i * 7);
        ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 0, 7, &records)), 7);
        ck_assert_int_eq(kfl_records_get(records, 0)->offset, i * 7);
        kfl_records_release(records);
    }
}
END_TEST

/* kafka:C11 */
START_TEST(a_seek_takes_effect_at_the_next_poll)
{
    kfl_records *records;
    assign_at(consumer, "t", 0, 0);
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 0, 10, &records)), 10);
    kfl_records_release(records);
    static const int64_t places[] = {90, 3, 4, 99, 0, 10, 11};
    for (int i = 0; i < 7; i++) {
        OK(kfl_consumer_seek(consumer, "t", 0, places[i]));
        ck_assert_int_eq(position_of(consumer, "t", 0), places[i]);
        ck_assert_int_eq(read_on(consumer, places[i]), 100);
    }
    OK(kfl_consumer_seek(consumer, "t", 0, KFL_OFFSET_BEGINNING));
    ck_assert_int_eq(read_on(consumer, 0), 100);
    OK(kfl_consumer_seek(consumer, "t", 0, KFL_OFFSET_END));
    ck_assert_int_eq(read_on(consumer, 100), 100);
    FAILS(KFL_E_INVALID, kfl_consumer_seek(consumer, "t", 0, -5));
    ck_assert_int_eq(position_of(consumer, "t", 0), 100);
}
END_TEST

/* kafka:C11 */
START_TEST(what_is_not_assigned_cannot_be_moved)
{
    int64_t offset;
    assign_at(consumer, "t", 0, 0);
    FAILS(KFL_E_INVALID, kfl_consumer_seek(consumer, "t", 1, 0));
    ck_assert_str_eq(kfl_last_error_topic(), "t");
    ck_assert_int_eq(kfl_last_error_partition(), 1);
    FAILS(KFL_E_INVALID, kfl_consumer_seek(consumer, "u", 0, 0));
    FAILS(KFL_E_INVALID, kfl_consumer_seek(consumer, NULL, 0, 0));
    FAILS(KFL_E_INVALID, kfl_consumer_position(consumer, "t", 1, &offset));
    FAILS(KFL_E_INVALID, kfl_consumer_pause(consumer, "t", 1));
    FAILS(KFL_E_INVALID, kfl_consumer_resume(consumer, "t", -1));
}
END_TEST

/* kafka:C10 */
START_TEST(a_paused_partition_hands_out_nothing)
{
    kfl_partition_offset wishes[2] = {{.topic = "t", .partition = 0},
                                      {.topic = "t", .partition = 1}};
    kfl_records *records;
    send_many("t", 1, 5, 0);
    OK(kfl_consumer_assign(consumer, wishes, 2));
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 0, 10, &records)), 10);
    kfl_records_release(records);
    OK(kfl_consumer_pause(consumer, "t", 0));
    int64_t position = position_of(consumer, "t", 0);
    ck_assert_int_eq(position, 10);
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 0, 0, &records)), 5);
    for (int32_t i = 0; i < 5; i++)
        ck_assert_int_eq(kfl_records_get(records, i)->partition, 1);
    kfl_records_release(records);
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 5, 0, &records)), 0);
    ck_assert_int_eq(position_of(consumer, "t", 0), position);
    OK(kfl_consumer_resume(consumer, "t", 0));
    ck_assert_int_eq(read_on(consumer, position), 100);
}
END_TEST

/* kafka:C10 */
START_TEST(a_seek_while_paused_is_where_it_resumes)
{
    assign_at(consumer, "t", 0, 0);
    OK(kfl_consumer_pause(consumer, "t", 0));
    OK(kfl_consumer_pause(consumer, "t", 0));
    OK(kfl_consumer_seek(consumer, "t", 0, 60));
    OK(kfl_consumer_resume(consumer, "t", 0));
    OK(kfl_consumer_resume(consumer, "t", 0));
    ck_assert_int_eq(read_on(consumer, 60), 100);
}
END_TEST

/* ---- auto.offset.reset ---- */

/* kafka:D1 */
START_TEST(without_a_commit_the_reset_says_where_to_begin)
{
    static const char *const resets[] = {"earliest", "latest"};
    OK(kfl_topic_delete_records(store, "t", 0, 10, NULL));
    for (int i = 0; i < 2; i++) {
        kfl_consumer *other = open_consumer(WITH("group.id", "g", "auto.offset.reset", resets[i]));
        assign_at(other, "t", 0, KFL_OFFSET_STORED);
        ck_assert_int_eq(position_of(other, "t", 0), i == 0 ? 10 : 100);
        OK(kfl_consumer_close(other));
    }
    kfl_consumer *none = open_consumer(WITH("group.id", "g", "auto.offset.reset", "none"));
    kfl_partition_offset wish = {.topic = "t", .offset = KFL_OFFSET_STORED};
    FAILS(KFL_E_OFFSET_OUT_OF_RANGE, kfl_consumer_assign(none, &wish, 1));
    ck_assert_ptr_nonnull(strstr(kfl_last_error(), "auto.offset.reset"));
    OK(kfl_consumer_close(none));
}
END_TEST

/* kafka:D2 */
START_TEST(a_commit_outside_the_log_is_reset_too)
{
    static const char *const resets[] = {"earliest", "latest"};
    kfl_partition_offset at = {.topic = "t", .offset = 5};
    kfl_consumer *first = open_consumer(WITH("group.id", "g"));
    OK(kfl_consumer_commit_offsets(first, &at, 1));
    OK(kfl_topic_delete_records(store, "t", 0, 10, NULL));
    for (int i = 0; i < 2; i++) {
        kfl_consumer *other = open_consumer(WITH("group.id", "g", "auto.offset.reset", resets[i]));
        assign_at(other, "t", 0, KFL_OFFSET_STORED);
        ck_assert_int_eq(position_of(other, "t", 0), i == 0 ? 10 : 100);
        OK(kfl_consumer_close(other));
    }
    OK(kfl_consumer_close(first));
}
END_TEST

/* kafka:C4 kafka:D2 */
START_TEST(a_position_above_the_end_is_out_of_range)
{
    kfl_records *records;
    kfl_consumer *none = open_consumer(WITH("auto.offset.reset", "none"));
    assign_at(none, "t", 0, 101);
    FAILS(KFL_E_OFFSET_OUT_OF_RANGE, kfl_consumer_poll(none, 0, 0, &records));
    ck_assert_int_eq(kfl_last_error_offset(), 101);
    ck_assert_int_eq(kfl_last_error_partition(), 0);
    FAILS(KFL_E_OFFSET_OUT_OF_RANGE,
          kfl_consumer_poll(none, -1, 0, &records)); /* and does not wait */
    OK(kfl_consumer_close(none));
    kfl_consumer *latest = open_consumer(WITH("auto.offset.reset", "latest"));
    assign_at(latest, "t", 0, 5000);
    ck_assert_int_eq(OK(kfl_consumer_poll(latest, 0, 0, &records)), 0);
    ck_assert_int_eq(position_of(latest, "t", 0), 100);
    OK(kfl_consumer_close(latest));
    assign_at(consumer, "t", 0, 5000);
    ck_assert_int_eq(read_on(consumer, 0), 100);
}
END_TEST

/* kafka:C3 */
START_TEST(at_the_end_there_is_nothing_and_no_error)
{
    kfl_records *records = (kfl_records *)&records;
    kfl_consumer *none = open_consumer(WITH("auto.offset.reset", "none"));
    assign_at(none, "t", 0, 100);
    ck_assert_int_eq(OK(kfl_consumer_poll(none, 0, 0, &records)), 0);
    ck_assert_ptr_null(records);
    OK(kfl_consumer_close(none));
}
END_TEST

/* kafka:D3 */
START_TEST(an_overtaken_reader_is_told_and_goes_where_the_reset_says)
{
    static const char *const resets[] = {"earliest", "latest"};
    for (int i = 0; i < 2; i++) {
        kfl_consumer *other = open_consumer(WITH("auto.offset.reset", resets[i]));
        kfl_event *event = NULL;
        kfl_records *records;
        int64_t start = 20 + i * 10, before = start - 10;
        assign_at(other, "t", 0, before);
        ck_assert_int_eq(OK(kfl_consumer_poll(other, 0, 1, &records)), 1);
        kfl_records_release(records);
        OK(kfl_topic_delete_records(store, "t", 0, start, NULL));
        FAILS(KFL_E_EVENT, kfl_consumer_poll(other, 0, 0, &records));
        FAILS(KFL_E_EVENT, kfl_consumer_poll(other, -1, 0, &records)); /* until it is fetched */
        ck_assert_int_eq(OK(kfl_consumer_next_event(other, &event)), 1);
        ck_assert_int_eq(kfl_event_kind(event), KFL_EVENT_LAPPED);
        ck_assert_str_eq(kfl_event_topic(event), "t");
        ck_assert_int_eq(kfl_event_partition(event), 0);
        ck_assert_int_eq(kfl_event_offset(event), before + 1);
        ck_assert_int_eq(kfl_event_end_offset(event), i == 0 ? start : 100);
        ck_assert_str_ne(kfl_event_text(event), "");
        kfl_event_release(event);
        ck_assert_int_eq(OK(kfl_consumer_next_event(other, &event)), 0);
        ck_assert_int_eq(read_on(other, i == 0 ? start : 100), 100);
        OK(kfl_consumer_close(other));
    }
}
END_TEST

/* An event that nobody fetched goes with its consumer. */
START_TEST(unfetched_events_are_no_leak)
{
    kfl_records *records;
    assign_at(consumer, "t", 0, 0);
    OK(kfl_topic_delete_records(store, "t", 0, 20, NULL));
    FAILS(KFL_E_EVENT, kfl_consumer_poll(consumer, 0, 0, &records));
}
END_TEST

/* kafka:A7 */
START_TEST(the_partitions_of_a_deleted_topic_answer_so)
{
    kfl_records *records;
    make_topic("u", 1, NULL);
    send_many("u", 0, 3, 0);
    kfl_partition_offset wishes[2] = {{.topic = "u"}, {.topic = "t"}};
    OK(kfl_consumer_assign(consumer, wishes, 2));
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 0, 1, &records)), 1);
    OK(kfl_topic_delete(store, "u"));
    /* The other partition is read all the same. */
    int32_t errors = 0, read = 0;
    for (int i = 0; i < 20; i++) {
        kfl_records *more;
        int r = kfl_consumer_poll(consumer, 0, 5, &more);
        if (r == KFL_E_UNKNOWN_TOPIC_OR_PARTITION) {
            errors++;
        } else {
            ck_assert_int_eq(OK(r), 5);
            ck_assert_str_eq(kfl_records_get(more, 0)->topic, "t");
            read += r;
            kfl_records_release(more);
        }
    }
    ck_assert_int_gt(errors, 0);
    ck_assert_int_gt(read, 20);
    ck_assert_str_eq(kfl_records_get(records, 0)->topic, "u");
    check_bytes(kfl_records_get(records, 0)->value, 2, "v0");
    kfl_records_release(records);
    OK(kfl_consumer_assign(consumer, &wishes[1], 1));
    ck_assert_int_eq(read_on(consumer, 0), 100);
}
END_TEST

START_TEST(a_consumer_takes_only_its_own_properties)
{
    kfl_consumer *other = NULL;
    kfl_config *config = config_of(WITH("acks", "all"));
    FAILS(KFL_E_UNKNOWN_PROPERTY, kfl_consumer_open(store, config, &other));
    ck_assert_ptr_null(other);
    kfl_config_destroy(config);
}
END_TEST

/* kafka:K6: what a reader of durable records calls the end. */
START_TEST(read_durable_stops_where_a_power_cut_would)
{
    static const char *const resets[] = {"earliest", "latest"};
    kfl_records *records;
    make_topic("d", 1, WITH("flush.ms", "3600000"));
    send_many("d", 0, 10, 0);
    OK(kfl_topic_wait_durable(store, "d", 0, KFL_OFFSET_END, -1));
    send_many("d", 0, 10, 0);
    for (int i = 0; i < 2; i++) {
        kfl_consumer *durable =
            open_consumer(WITH("read.durable", "true", "auto.offset.reset", resets[i]));
        assign_at(durable, "d", 0, KFL_OFFSET_STORED);
        ck_assert_int_eq(position_of(durable, "d", 0), i == 0 ? 0 : 10);
        ck_assert_int_eq(read_on(durable, i == 0 ? 0 : 10), 10);
        OK(kfl_consumer_seek(durable, "d", 0, KFL_OFFSET_END));
        ck_assert_int_eq(position_of(durable, "d", 0), 10);
        ck_assert_int_eq(OK(kfl_consumer_poll(durable, 1, 0, &records)), 0);
        /* Standing beyond the durable end, but not beyond the end, is no error. */
        OK(kfl_consumer_seek(durable, "d", 0, 15));
        ck_assert_int_eq(OK(kfl_consumer_poll(durable, 0, 0, &records)), 0);
        ck_assert_int_eq(position_of(durable, "d", 0), 15);
        OK(kfl_consumer_close(durable));
    }
    kfl_consumer *durable = open_consumer(WITH("read.durable", "true"));
    assign_at(durable, "d", 0, 0);
    ck_assert_int_eq(read_on(durable, 0), 10);
    OK(kfl_store_sync(store, -1));
    ck_assert_int_eq(read_on(durable, 10), 20);
    OK(kfl_consumer_close(durable));
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("consumer");
    TCase *tests = tcase_create("consumer");
    tcase_add_checked_fixture(tests, consumer_set_up, consumer_tear_down);
    tcase_add_test(tests, nothing_is_assigned_at_first);
    tcase_add_test(tests, an_assignment_begins_where_it_is_told);
    tcase_add_test(tests, an_assignment_that_cannot_be_changes_nothing);
    tcase_add_test(tests, an_assignment_replaces_the_one_before);
    tcase_add_test(tests, a_partition_assigned_before_keeps_its_place);
    tcase_add_test(tests, the_position_is_the_next_offset);
    tcase_add_test(tests, a_seek_takes_effect_at_the_next_poll);
    tcase_add_test(tests, what_is_not_assigned_cannot_be_moved);
    tcase_add_test(tests, a_paused_partition_hands_out_nothing);
    tcase_add_test(tests, a_seek_while_paused_is_where_it_resumes);
    tcase_add_test(tests, without_a_commit_the_reset_says_where_to_begin);
    tcase_add_test(tests, a_commit_outside_the_log_is_reset_too);
    tcase_add_test(tests, a_position_above_the_end_is_out_of_range);
    tcase_add_test(tests, at_the_end_there_is_nothing_and_no_error);
    tcase_add_test(tests, an_overtaken_reader_is_told_and_goes_where_the_reset_says);
    tcase_add_test(tests, unfetched_events_are_no_leak);
    tcase_add_test(tests, the_partitions_of_a_deleted_topic_answer_so);
    tcase_add_test(tests, a_consumer_takes_only_its_own_properties);
    tcase_add_test(tests, read_durable_stops_where_a_power_cut_would);
    suite_add_tcase(suite, tests);
    return suite;
}
