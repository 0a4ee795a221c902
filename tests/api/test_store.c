/* SPDX-License-Identifier: MIT */
/* Open, close, sync, and what every call answers to nonsense. */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "store_fixture.h"

START_TEST(a_store_is_made_and_found_again)
{
    make_topic("t", 1, NULL);
    send_many("t", 0, 10, 0);
    disk_reopen();
    ck_assert_int_eq(end_of("t", 0), 10);
    ck_assert_str_eq(kfl_store_path(store), temp_dir_path());
}
END_TEST

START_TEST(without_create_nothing_is_made)
{
    kfl_store *other = NULL;
    kfl_config *config = config_of(WITH("create", "false"));
    FAILS(KFL_E_NOT_FOUND, kfl_store_open(temp_dir_file("none"), config, &other));
    ck_assert_ptr_null(other);
    ck_assert_ptr_nonnull(strstr(kfl_last_error(), "none"));
    ck_assert_int_ne(access(temp_dir_file("none"), F_OK), 0);
    ck_assert_int_eq(mkdir(temp_dir_file("empty"), 0700), 0);
    FAILS(KFL_E_NOT_FOUND, kfl_store_open(temp_dir_file("empty"), config, &other));
    ck_assert_int_ne(access(temp_dir_file("empty/LOCK"), F_OK), 0);
    kfl_config_destroy(config);
}
END_TEST

START_TEST(the_parent_folder_must_exist)
{
    kfl_store *other = NULL;
    int r = kfl_store_open(temp_dir_file("no/such"), NULL, &other);
    ck_assert_int_lt(r, 0);
    ck_assert_ptr_nonnull(strstr(kfl_last_error(), "no/such"));
    ck_assert_ptr_null(other);
}
END_TEST

START_TEST(a_file_is_no_store)
{
    kfl_store *other = NULL;
    FILE *file = fopen(temp_dir_file("file"), "w");
    fclose(file);
    ck_assert_int_lt(kfl_store_open(temp_dir_file("file"), NULL, &other), 0);
    ck_assert_ptr_null(other);
    ck_assert_str_ne(kfl_last_error(), "");
}
END_TEST

START_TEST(arguments_of_open_are_checked)
{
    kfl_store *other = NULL;
    kfl_config *config = config_of(WITH("acks", "all"));
    FAILS(KFL_E_INVALID, kfl_store_open(NULL, NULL, &other));
    FAILS(KFL_E_INVALID, kfl_store_open("", NULL, &other));
    FAILS(KFL_E_INVALID, kfl_store_open(temp_dir_path(), NULL, NULL));
    FAILS(KFL_E_UNKNOWN_PROPERTY, kfl_store_open(temp_dir_path(), config, &other));
    ck_assert_ptr_nonnull(strstr(kfl_last_error(), "acks"));
    ck_assert_ptr_nonnull(strstr(kfl_last_error(), "producer")); /* where it belongs */
    ck_assert_ptr_null(other);
    kfl_config_destroy(config);
}
END_TEST

START_TEST(two_opens_share_what_is_open)
{
    kfl_store *second = open_store(temp_dir_path(), WITH("background.threads", "0"));
    kfl_store *first = store;
    make_topic("t", 1, NULL);
    send_many("t", 0, 3, 0);
    store = second;
    ck_assert_int_eq(end_of("t", 0), 3);
    send_many("t", 0, 2, 0);
    store = first;
    ck_assert_int_eq(end_of("t", 0), 5);
    /* The first close takes nothing from the second. */
    OK(kfl_store_close(store));
    store = second;
    ck_assert_int_eq(end_of("t", 0), 5);
    send_many("t", 0, 1, 0);
}
END_TEST

START_TEST(the_same_folder_by_another_name_is_shared_too)
{
    char path[600];
    snprintf(path, sizeof path, "%s/./", temp_dir_path());
    kfl_store *second = open_store(path, WITH("background.threads", "0"));
    ck_assert_str_eq(kfl_store_path(second), path);
    make_topic("t", 1, NULL);
    ck_assert_int_eq(kfl_topic_partition_count(second, "t"), 1);
    OK(kfl_store_close(second));
}
END_TEST

START_TEST(other_properties_for_the_same_folder_are_refused)
{
    kfl_store *second = NULL;
    kfl_config *config = config_of(WITH("background.threads", "0", "flush.ms", "7"));
    FAILS(KFL_E_OPTIONS_DIFFER, kfl_store_open(temp_dir_path(), config, &second));
    ck_assert_ptr_null(second);
    ck_assert_ptr_nonnull(strstr(kfl_last_error(), temp_dir_path()));
    kfl_config_destroy(config);
    /* A default that was spelled out is the default. */
    second = open_store(temp_dir_path(), WITH("background.threads", "0", "flush.ms", "1000"));
    OK(kfl_store_close(second));
}
END_TEST

START_TEST(a_sync_makes_everything_durable)
{
    int64_t durable;
    make_topic("t", 3, NULL);
    for (int32_t i = 0; i < 3; i++)
        send_many("t", i, 5 + i, 0);
    OK(kfl_topic_durable_offset(store, "t", 2, &durable));
    ck_assert_int_eq(durable, 0);
    OK(kfl_store_sync(store, -1));
    for (int32_t i = 0; i < 3; i++) {
        OK(kfl_topic_durable_offset(store, "t", i, &durable));
        ck_assert_int_eq(durable, 5 + i);
    }
    OK(kfl_store_sync(store, 0)); /* nothing to do needs no time */
}
END_TEST

/* rule:R24 */
START_TEST(maintain_flushes_what_is_older_than_flush_ms)
{
    int64_t durable = 0;
    make_topic("t", 1, WITH("flush.ms", "1"));
    send_many("t", 0, 5, 0);
    while (durable < 5) {
        OK(kfl_store_maintain(store, 100, NULL));
        OK(kfl_topic_durable_offset(store, "t", 0, &durable));
    }
    ck_assert_int_eq(durable, 5);
}
END_TEST

START_TEST(maintain_leaves_what_is_younger_than_flush_ms)
{
    int64_t durable = 0;
    make_topic("t", 1, WITH("flush.ms", "3600000"));
    send_many("t", 0, 5, 0);
    ck_assert_int_eq(OK(kfl_store_maintain(store, 100, NULL)), 0);
    OK(kfl_topic_durable_offset(store, "t", 0, &durable));
    ck_assert_int_eq(durable, 0);
}
END_TEST

START_TEST(the_clock_stands_where_it_was_set)
{
    kfl_producer *producer = open_producer(NULL);
    int64_t offset, time;
    make_topic("t", 1, NULL);
    OK(kfl_store_set_clock(store, 5000));
    send_value(producer, "t", 0, "x");
    ck_assert_int_eq(OK(kfl_topic_max_timestamp(store, "t", 0, &offset, &time)), 1);
    ck_assert_int_eq(time, 5000);
    OK(kfl_store_set_clock(store, -1));
    send_value(producer, "t", 0, "x");
    OK(kfl_topic_max_timestamp(store, "t", 0, &offset, &time));
    ck_assert_int_gt(time, INT64_C(1600000000000));
    FAILS(KFL_E_INVALID, kfl_store_set_clock(store, -2));
    OK(kfl_producer_close(producer));
}
END_TEST

static kfl_consumer *blocked_consumer;
static _Atomic int blocked_answer;

static void *blocked_poll(void *context)
{
    kfl_records *records;
    atomic_store((_Atomic int *)context, 1);
    atomic_store(&blocked_answer, kfl_consumer_poll(blocked_consumer, -1, 0, &records));
    return NULL;
}

START_TEST(a_close_wakes_a_poll_that_waits)
{
    pthread_t thread;
    _Atomic int begun = 0;
    make_topic("t", 1, NULL);
    blocked_consumer = open_consumer(NULL);
    assign_at(blocked_consumer, "t", 0, 0);
    pthread_create(&thread, NULL, blocked_poll, &begun);
    while (atomic_load(&begun) == 0)
        ;
    OK(kfl_store_close(store));
    store = NULL;
    pthread_join(thread, NULL);
    ck_assert_int_eq(atomic_load(&blocked_answer), KFL_E_CLOSED);
    OK(kfl_consumer_close(blocked_consumer));
}
END_TEST

/* Every call on what outlived its store. */
START_TEST(after_the_close_everything_answers_closed)
{
    kfl_records *records = NULL, *more;
    kfl_offsets *offsets;
    kfl_event *event;
    kfl_packed_row row = {.key_size = -1, .value_size = 1, .timestamp_ms = 1};
    kfl_partition_offset place = {.topic = "t"};
    int64_t offset;
    make_topic("t", 1, NULL);
    send_many("t", 0, 3, 0);
    kfl_producer *producer = open_producer(NULL);
    kfl_consumer *consumer = open_consumer(WITH("group.id", "g"));
    send_value(producer, "t", 0, "v3");
    assign_at(consumer, "t", 0, 0);
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 0, 0, &records)), 4);
    OK(kfl_store_close(store));
    store = NULL;
    FAILS(KFL_E_CLOSED, try_send(producer, "t", 0, "k", "v", 1, &offset));
    FAILS(KFL_E_CLOSED, try_send(producer, "other", 0, "k", "v", 1, &offset));
    FAILS(KFL_E_CLOSED,
          kfl_producer_send_if(producer, "t", 0, "k", 1, "v", 1, NULL, 0, 1, 4, &offset));
    FAILS(KFL_E_CLOSED, kfl_producer_send_packed(producer, "t", &row, 1, "x", 1));
    FAILS(KFL_E_CLOSED, kfl_producer_flush(producer, -1));
    FAILS(KFL_E_CLOSED, kfl_consumer_poll(consumer, -1, 0, &more));
    FAILS(KFL_E_CLOSED, kfl_consumer_assign(consumer, &place, 1));
    FAILS(KFL_E_CLOSED, kfl_consumer_assignment(consumer, &offsets));
    FAILS(KFL_E_CLOSED, kfl_consumer_seek(consumer, "t", 0, 0));
    FAILS(KFL_E_CLOSED, kfl_consumer_position(consumer, "t", 0, &offset));
    FAILS(KFL_E_CLOSED, kfl_consumer_pause(consumer, "t", 0));
    FAILS(KFL_E_CLOSED, kfl_consumer_resume(consumer, "t", 0));
    FAILS(KFL_E_CLOSED, kfl_consumer_wakeup(consumer));
    FAILS(KFL_E_CLOSED, kfl_consumer_next_event(consumer, &event));
    FAILS(KFL_E_CLOSED, kfl_consumer_commit(consumer, NULL));
    FAILS(KFL_E_CLOSED, kfl_consumer_commit(consumer, records));
    FAILS(KFL_E_CLOSED, kfl_consumer_commit_offsets(consumer, &place, 1));
    FAILS(KFL_E_CLOSED, kfl_consumer_committed(consumer, &place, 1, &offsets));
    /* What was polled stays. */
    ck_assert_int_eq(kfl_records_count(records), 4);
    for (int32_t i = 0; i < 4; i++)
        check_value(kfl_records_get(records, i));
    OK(kfl_producer_close(producer));
    OK(kfl_consumer_close(consumer));
    for (int32_t i = 0; i < 4; i++)
        check_value(kfl_records_get(records, i));
    kfl_records_release(records);
}
END_TEST

START_TEST(no_handle_is_an_error_everywhere)
{
    kfl_producer *producer = NULL;
    kfl_consumer *consumer = NULL;
    kfl_config *config = NULL;
    kfl_names *names = NULL;
    kfl_offsets *offsets = NULL;
    kfl_records *records = NULL;
    kfl_stats *stats = NULL;
    kfl_event *event = NULL;
    kfl_packed_row row = {0};
    int64_t offset;
    OK(kfl_store_close(NULL));
    OK(kfl_producer_close(NULL));
    OK(kfl_consumer_close(NULL));
    ck_assert_str_eq(kfl_store_path(NULL), "");
    FAILS(KFL_E_INVALID, kfl_store_sync(NULL, 0));
    FAILS(KFL_E_INVALID, kfl_store_maintain(NULL, 0, NULL));
    FAILS(KFL_E_INVALID, kfl_store_set_clock(NULL, 0));
    FAILS(KFL_E_INVALID, kfl_topic_create(NULL, "t", 1, NULL));
    FAILS(KFL_E_INVALID, kfl_topic_delete(NULL, "t"));
    FAILS(KFL_E_INVALID, kfl_topic_add_partitions(NULL, "t", 2));
    FAILS(KFL_E_INVALID, kfl_topic_alter(NULL, "t", NULL));
    FAILS(KFL_E_INVALID, kfl_topic_set(NULL, "t", "flush.ms", "1"));
    FAILS(KFL_E_INVALID, kfl_topic_partition_count(NULL, "t"));
    FAILS(KFL_E_INVALID, kfl_topic_config(NULL, "t", &config));
    FAILS(KFL_E_INVALID, kfl_topic_list(NULL, &names));
    FAILS(KFL_E_INVALID, kfl_topic_start_offset(NULL, "t", 0, &offset));
    FAILS(KFL_E_INVALID, kfl_topic_end_offset(NULL, "t", 0, &offset));
    FAILS(KFL_E_INVALID, kfl_topic_durable_offset(NULL, "t", 0, &offset));
    FAILS(KFL_E_INVALID, kfl_topic_offset_for_time(NULL, "t", 0, 1, &offset, NULL));
    FAILS(KFL_E_INVALID, kfl_topic_max_timestamp(NULL, "t", 0, &offset, NULL));
    FAILS(KFL_E_INVALID, kfl_topic_lag(NULL, "t", 0, 0, &offset, NULL));
    FAILS(KFL_E_INVALID, kfl_topic_wait_durable(NULL, "t", 0, 0, 0));
    FAILS(KFL_E_INVALID, kfl_topic_delete_records(NULL, "t", 0, 0, NULL));
    FAILS(KFL_E_INVALID, kfl_producer_open(NULL, NULL, &producer));
    FAILS(KFL_E_INVALID, try_send(NULL, "t", 0, "k", "v", 1, &offset));
    FAILS(KFL_E_INVALID, kfl_producer_send_if(NULL, "t", 0, NULL, 0, NULL, 0, NULL, 0, 1, 0, NULL));
    FAILS(KFL_E_INVALID, kfl_producer_send_packed(NULL, "t", &row, 1, NULL, 0));
    FAILS(KFL_E_INVALID, kfl_producer_flush(NULL, 0));
    FAILS(KFL_E_INVALID, kfl_consumer_open(NULL, NULL, &consumer));
    FAILS(KFL_E_INVALID, kfl_consumer_assign(NULL, NULL, 0));
    FAILS(KFL_E_INVALID, kfl_consumer_assignment(NULL, &offsets));
    FAILS(KFL_E_INVALID, kfl_consumer_seek(NULL, "t", 0, 0));
    FAILS(KFL_E_INVALID, kfl_consumer_position(NULL, "t", 0, &offset));
    FAILS(KFL_E_INVALID, kfl_consumer_pause(NULL, "t", 0));
    FAILS(KFL_E_INVALID, kfl_consumer_resume(NULL, "t", 0));
    FAILS(KFL_E_INVALID, kfl_consumer_poll(NULL, 0, 0, &records));
    FAILS(KFL_E_INVALID, kfl_consumer_wakeup(NULL));
    FAILS(KFL_E_INVALID, kfl_consumer_next_event(NULL, &event));
    FAILS(KFL_E_INVALID, kfl_consumer_commit(NULL, NULL));
    FAILS(KFL_E_INVALID, kfl_consumer_commit_offsets(NULL, NULL, 0));
    FAILS(KFL_E_INVALID, kfl_consumer_committed(NULL, NULL, 0, &offsets));
    FAILS(KFL_E_INVALID, kfl_group_list(NULL, &names));
    FAILS(KFL_E_INVALID, kfl_group_offsets(NULL, "g", &offsets));
    FAILS(KFL_E_INVALID, kfl_stats_open(NULL, &stats));
    FAILS(KFL_E_INVALID, kfl_config_create(NULL));
    FAILS(KFL_E_INVALID, kfl_config_set(NULL, "acks", "1"));
    FAILS(KFL_E_INVALID, kfl_config_set_int64(NULL, "acks", 1));
    kfl_config_destroy(NULL);
    kfl_stats_close(NULL);
    kfl_event_release(NULL);
    kfl_records_release(NULL);
    ck_assert_int_eq(kfl_event_kind(NULL), 0);
    ck_assert_str_eq(kfl_event_topic(NULL), "");
    ck_assert_str_eq(kfl_event_text(NULL), "");
    ck_assert_int_eq(kfl_event_partition(NULL), -1);
    ck_assert_int_eq(kfl_event_offset(NULL), -1);
    ck_assert_int_eq(kfl_event_end_offset(NULL), -1);
}
END_TEST

START_TEST(no_place_for_the_answer_is_an_error)
{
    make_topic("t", 1, NULL);
    kfl_consumer *consumer = open_consumer(WITH("group.id", "g"));
    assign_at(consumer, "t", 0, 0);
    FAILS(KFL_E_INVALID, kfl_producer_open(store, NULL, NULL));
    FAILS(KFL_E_INVALID, kfl_consumer_open(store, NULL, NULL));
    FAILS(KFL_E_INVALID, kfl_topic_list(store, NULL));
    FAILS(KFL_E_INVALID, kfl_topic_config(store, "t", NULL));
    FAILS(KFL_E_INVALID, kfl_topic_start_offset(store, "t", 0, NULL));
    FAILS(KFL_E_INVALID, kfl_topic_end_offset(store, "t", 0, NULL));
    FAILS(KFL_E_INVALID, kfl_topic_durable_offset(store, "t", 0, NULL));
    FAILS(KFL_E_INVALID, kfl_topic_offset_for_time(store, "t", 0, 1, NULL, NULL));
    FAILS(KFL_E_INVALID, kfl_topic_max_timestamp(store, "t", 0, NULL, NULL));
    FAILS(KFL_E_INVALID, kfl_consumer_poll(consumer, 0, 0, NULL));
    FAILS(KFL_E_INVALID, kfl_consumer_position(consumer, "t", 0, NULL));
    FAILS(KFL_E_INVALID, kfl_consumer_assignment(consumer, NULL));
    FAILS(KFL_E_INVALID, kfl_consumer_next_event(consumer, NULL));
    FAILS(KFL_E_INVALID, kfl_consumer_committed(consumer, NULL, 0, NULL));
    FAILS(KFL_E_INVALID, kfl_group_list(store, NULL));
    FAILS(KFL_E_INVALID, kfl_group_offsets(store, "g", NULL));
    FAILS(KFL_E_INVALID, kfl_stats_open(store, NULL));
    OK(kfl_consumer_close(consumer));
}
END_TEST

START_TEST(no_name_is_an_error)
{
    int64_t offset;
    FAILS(KFL_E_INVALID, kfl_topic_create(store, NULL, 1, NULL));
    FAILS(KFL_E_INVALID, kfl_topic_delete(store, NULL));
    FAILS(KFL_E_INVALID, kfl_topic_partition_count(store, NULL));
    FAILS(KFL_E_INVALID, kfl_topic_end_offset(store, NULL, 0, &offset));
    FAILS(KFL_E_INVALID, kfl_topic_set(store, NULL, "flush.ms", "1"));
    FAILS(KFL_E_INVALID, kfl_topic_set(store, "t", NULL, "1"));
    kfl_producer *producer = open_producer(NULL);
    FAILS(KFL_E_INVALID, try_send(producer, NULL, 0, NULL, NULL, 1, NULL));
    FAILS(KFL_E_INVALID, kfl_producer_send_packed(producer, NULL, NULL, 0, NULL, 0));
    OK(kfl_producer_close(producer));
}
END_TEST

/* What, where, and the remedy; and the place by itself. */
START_TEST(an_error_tells_its_place)
{
    kfl_producer *producer = open_producer(NULL);
    int64_t offset = 77;
    make_topic("orders", 2, NULL);
    FAILS(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, try_send(producer, "orders", 9, "k", "v", 1, &offset));
    ck_assert_int_eq(offset, 77); /* written on success only */
    ck_assert_str_eq(kfl_last_error_topic(), "orders");
    ck_assert_int_eq(kfl_last_error_partition(), 9);
    ck_assert_int_eq(kfl_last_error_offset(), -1);
    ck_assert_int_eq(kfl_last_error_errno(), 0);
    ck_assert_str_eq(kfl_last_error_path(), "");
    ck_assert_ptr_nonnull(strstr(kfl_last_error(), "orders"));
    ck_assert_ptr_nonnull(strstr(kfl_last_error(), "0 to 1"));
    ck_assert(ends_with_no_full_stop(kfl_last_error()));
    /* A success leaves the words alone; another failure forgets the old place. */
    send_value(producer, "orders", 0, "v");
    ck_assert_int_eq(kfl_last_error_partition(), 9);
    FAILS(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, try_send(producer, "nothing", 0, "k", "v", 1, &offset));
    ck_assert_str_eq(kfl_last_error_topic(), "nothing");
    ck_assert_int_eq(kfl_last_error_partition(), -1);
    FAILS(KFL_E_INVALID, kfl_store_sync(NULL, 0));
    ck_assert_str_eq(kfl_last_error_topic(), "");
    ck_assert_int_eq(kfl_last_error_offset(), -1);
    OK(kfl_producer_close(producer));
}
END_TEST

static void *words_of_another_thread(void *context)
{
    (void)context;
    ck_assert_str_eq(kfl_last_error(), "");
    ck_assert_int_eq(kfl_last_error_code(), 0);
    return NULL;
}

START_TEST(the_words_belong_to_the_thread)
{
    pthread_t thread;
    FAILS(KFL_E_INVALID, kfl_store_sync(NULL, 0));
    pthread_create(&thread, NULL, words_of_another_thread, NULL);
    pthread_join(thread, NULL);
}
END_TEST

START_TEST(statistics_count)
{
    make_topic("t", 2, NULL);
    send_many("t", 1, 7, 100);
    ck_assert_int_eq(stat_of("topics", "", -1), 1);
    ck_assert_int_eq(stat_of("partitions", "", -1), 2);
    ck_assert_int_eq(stat_of("processes", "", -1), 1);
    ck_assert_int_eq(stat_of("log_end_offset", "t", 1), 7);
    ck_assert_int_eq(stat_of("log_start_offset", "t", 1), 0);
    ck_assert_int_eq(stat_of("durable_offset", "t", 1), 0);
    ck_assert_int_eq(stat_of("appended_records_total", "t", 1), 7);
    ck_assert_int_eq(stat_of("appended_batches_total", "t", 1), 7);
    ck_assert_int_ge(stat_of("appended_bytes_total", "t", 1), 700);
    ck_assert_int_ge(stat_of("log_size_bytes", "t", 1), 700);
    ck_assert_int_eq(stat_of("appended_records_total", "t", 0), 0);
    ck_assert_int_eq(stat_of("log_end_offset", "t", 0), 0);
    ck_assert_int_eq(stat_of("fsyncs_total", "t", 1), 0);
    OK(kfl_store_sync(store, -1));
    ck_assert_int_eq(stat_of("fsyncs_total", "t", 1), 1);
    ck_assert_int_eq(stat_of("durable_offset", "t", 1), 7);
    ck_assert_int_eq(stat_of("segment_rolls_total", "t", 1), stat_of("log_segments", "t", 1));
    ck_assert_int_gt(stat_of("catalog_transactions_total", "", -1), 0);
}
END_TEST

#ifdef KFL_FAULT_POINTS
/* The first thing a new store does, each time until there is a catalog. */
START_TEST(the_name_of_a_new_folder_is_durable_before_anything_in_it)
{
    char path[600], catalog[620];
    kfl_store *made = NULL;
    snprintf(path, sizeof path, "%s/made", temp_dir_path());
    snprintf(catalog, sizeof catalog, "%s/catalog.mdb", path);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(kfl__fault_arm("file.sync_directory:1=EIO"), 0);
        FAILS(KFL_E_IO, kfl_store_open(path, NULL, &made));
        ck_assert_int_eq(kfl__fault_arm(NULL), 0);
        ck_assert_int_eq(access(path, F_OK), 0);
        ck_assert_int_ne(access(catalog, F_OK), 0);
    }
    OK(kfl_store_open(path, NULL, &made));
    OK(kfl_store_close(made));
    ck_assert_int_eq(kfl__fault_arm("file.sync_directory:1=EIO"), 0);
    OK(kfl_store_open(path, NULL, &made));
    ck_assert_int_eq(kfl__fault_arm(NULL), 0);
    OK(kfl_store_close(made));
}
END_TEST
#endif

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("store");
    TCase *tests = tcase_create("store");
    tcase_add_checked_fixture(tests, disk_set_up, disk_tear_down);
    tcase_add_test(tests, a_store_is_made_and_found_again);
#ifdef KFL_FAULT_POINTS
    tcase_add_test(tests, the_name_of_a_new_folder_is_durable_before_anything_in_it);
#endif
    tcase_add_test(tests, without_create_nothing_is_made);
    tcase_add_test(tests, the_parent_folder_must_exist);
    tcase_add_test(tests, a_file_is_no_store);
    tcase_add_test(tests, arguments_of_open_are_checked);
    tcase_add_test(tests, two_opens_share_what_is_open);
    tcase_add_test(tests, the_same_folder_by_another_name_is_shared_too);
    tcase_add_test(tests, other_properties_for_the_same_folder_are_refused);
    tcase_add_test(tests, a_sync_makes_everything_durable);
    tcase_add_test(tests, maintain_flushes_what_is_older_than_flush_ms);
    tcase_add_test(tests, maintain_leaves_what_is_younger_than_flush_ms);
    tcase_add_test(tests, the_clock_stands_where_it_was_set);
    tcase_add_test(tests, a_close_wakes_a_poll_that_waits);
    tcase_add_test(tests, after_the_close_everything_answers_closed);
    tcase_add_test(tests, no_handle_is_an_error_everywhere);
    tcase_add_test(tests, no_place_for_the_answer_is_an_error);
    tcase_add_test(tests, no_name_is_an_error);
    tcase_add_test(tests, an_error_tells_its_place);
    tcase_add_test(tests, the_words_belong_to_the_thread);
    tcase_add_test(tests, statistics_count);
    suite_add_tcase(suite, tests);
    return suite;
}
