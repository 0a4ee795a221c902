/* SPDX-License-Identifier: MIT */
/* What a child may do with what its parent opened: nothing; and the parent does not notice. */
#include "child.h"
#include "store_fixture.h"

static kfl_producer *producer;
static kfl_consumer *consumer;
static kfl_records *records;

static void fork_set_up(void)
{
    temp_dir_make();
    store = open_store(temp_dir_path(), NULL);
    make_topic("t", 1, NULL);
    send_many("t", 0, 5, 0);
    producer = open_producer(NULL);
    consumer = open_consumer(WITH("group.id", "g"));
    assign_at(consumer, "t", 0, 0);
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 0, 2, &records)), 2);
}

static void fork_tear_down(void)
{
    kfl_records_release(records);
    kfl_consumer_close(consumer);
    kfl_producer_close(producer);
    kfl_store_close(store);
    temp_dir_remove();
}

/* The number of the first call that answers something else, or 0. */
#define EXPECT_FORKED(number, call)                                                                \
    do {                                                                                           \
        int r_ = (call);                                                                           \
        if (r_ != KFL_E_FORKED || kfl_last_error_code() != KFL_E_FORKED)                           \
            return number;                                                                         \
    } while (0)

static int use_topics(void *context)
{
    kfl_config *config = config_of(WITH("segment.ms", "5"));
    kfl_names *names;
    kfl_offsets *offsets;
    kfl_stats *stats;
    kfl_segments *segments;
    kfl_history *history;
    kfl_findings *findings;
    int64_t offset;
    (void)context;
    EXPECT_FORKED(1, kfl_topic_create(store, "u", 1, NULL));
    EXPECT_FORKED(2, kfl_topic_delete(store, "t"));
    EXPECT_FORKED(3, kfl_topic_add_partitions(store, "t", 2));
    EXPECT_FORKED(4, kfl_topic_alter(store, "t", config));
    EXPECT_FORKED(5, kfl_topic_set(store, "t", "segment.ms", "5"));
    EXPECT_FORKED(6, kfl_topic_partition_count(store, "t"));
    EXPECT_FORKED(8, kfl_topic_list(store, &names));
    EXPECT_FORKED(9, kfl_topic_start_offset(store, "t", 0, &offset));
    EXPECT_FORKED(10, kfl_topic_end_offset(store, "t", 0, &offset));
    EXPECT_FORKED(11, kfl_topic_durable_offset(store, "t", 0, &offset));
    EXPECT_FORKED(12, kfl_topic_offset_for_time(store, "t", 0, 0, &offset, NULL));
    EXPECT_FORKED(13, kfl_topic_max_timestamp(store, "t", 0, &offset, NULL));
    EXPECT_FORKED(14, kfl_topic_wait_durable(store, "t", 0, 0, 0));
    EXPECT_FORKED(15, kfl_topic_delete_records(store, "t", 0, 1, NULL));
    EXPECT_FORKED(16, kfl_group_list(store, &names));
    EXPECT_FORKED(17, kfl_group_offsets(store, "g", &offsets));
    EXPECT_FORKED(18, kfl_stats_open(store, &stats));
    EXPECT_FORKED(19, kfl_segments_list(store, "t", 0, &segments));
    EXPECT_FORKED(20, kfl_history_list(store, &history));
    EXPECT_FORKED(21, kfl_store_verify(store, NULL, 0, &findings));
    EXPECT_FORKED(22, kfl_store_sync(store, 0));
    EXPECT_FORKED(23, kfl_store_maintain(store, 0, NULL));
    EXPECT_FORKED(24, kfl_store_set_clock(store, 0));
    EXPECT_FORKED(25, kfl_topic_config(store, "t", &config));
    kfl_config_destroy(config);
    return 0;
}

static int use_handles(void *context)
{
    kfl_producer *more;
    kfl_consumer *another;
    kfl_packed_row row = {.key_size = -1, .value_size = 1};
    kfl_destination to = {producer, "t", KFL_TIMESTAMP_NOW, KFL_PARTITION_ANY, 1, 1, 0};
    kfl_partition_offset place = {.topic = "t"};
    kfl_offsets *offsets;
    kfl_records *polled;
    kfl_event *event;
    int64_t offset;
    (void)context;
    EXPECT_FORKED(1, kfl_producer_open(store, NULL, &more));
    EXPECT_FORKED(2, try_send(producer, "t", 0, "k", "v", 1, &offset));
    EXPECT_FORKED(3, try_send(producer, "u", 0, "k", "v", 1, &offset));
    EXPECT_FORKED(4,
                  kfl_producer_send_if(producer, "t", 0, "k", 1, "v", 1, NULL, 0, 1, 5, &offset));
    EXPECT_FORKED(5, kfl_producer_send_packed(producer, "t", &row, 1, "x", 1));
    EXPECT_FORKED(6, kfl_producer_flush(producer, 0));
    EXPECT_FORKED(6, kfl_producer_send_to(&to, "k", "v") == 0 ? kfl_last_error_code() : 0);
    EXPECT_FORKED(7, kfl_consumer_open(store, NULL, &another));
    EXPECT_FORKED(8, kfl_consumer_poll(consumer, -1, 0, &polled));
    EXPECT_FORKED(9, kfl_consumer_assign(consumer, &place, 1));
    EXPECT_FORKED(10, kfl_consumer_assignment(consumer, &offsets));
    EXPECT_FORKED(11, kfl_consumer_seek(consumer, "t", 0, 0));
    EXPECT_FORKED(12, kfl_consumer_position(consumer, "t", 0, &offset));
    EXPECT_FORKED(13, kfl_consumer_pause(consumer, "t", 0));
    EXPECT_FORKED(14, kfl_consumer_resume(consumer, "t", 0));
    EXPECT_FORKED(15, kfl_consumer_wakeup(consumer));
    EXPECT_FORKED(16, kfl_consumer_next_event(consumer, &event));
    EXPECT_FORKED(17, kfl_consumer_commit(consumer, NULL));
    EXPECT_FORKED(18, kfl_consumer_commit(consumer, records));
    EXPECT_FORKED(19, kfl_consumer_commit_offsets(consumer, &place, 1));
    EXPECT_FORKED(20, kfl_consumer_committed(consumer, &place, 1, &offsets));
    EXPECT_FORKED(21, kfl_producer_close(producer));
    EXPECT_FORKED(22, kfl_consumer_close(consumer));
    EXPECT_FORKED(23, kfl_consumer_event_fd(consumer));
    EXPECT_FORKED(24, kfl_store_close(store));
    return 0;
}

/* rule:R19 */
START_TEST(every_call_of_a_child_answers_forked)
{
    ck_assert_int_eq(child_run(use_topics, NULL), 0);
    ck_assert_int_eq(child_run(use_handles, NULL), 0);
    /* The parent goes on as if nothing had been. */
    ck_assert_int_eq(send_value(producer, "t", 0, "v5"), 5);
    ck_assert_int_eq(read_on(consumer, 2), 6);
    OK(kfl_consumer_commit(consumer, NULL));
    make_topic("u", 1, NULL);
}
END_TEST

static int look_at_records(void *context)
{
    (void)context;
    if (kfl_records_count(records) != 2 || kfl_records_get(records, 1)->offset != 1 ||
        memcmp(kfl_records_get(records, 1)->value, "v1", 2) != 0)
        return 1;
    kfl_records_release(records);
    return 0;
}

START_TEST(records_can_be_read_in_the_child)
{
    ck_assert_int_eq(child_run(look_at_records, NULL), 0);
    check_value(kfl_records_get(records, 1));
}
END_TEST

/* Of the parent: a child that forgets it altogether would lose it. */
static kfl_store *volatile inherited;

static int open_anew(void *context)
{
    int64_t *offset = context;
    kfl_store *own;
    kfl_config *config = config_of(IN_A_CHILD);
    if (kfl_store_open(temp_dir_path(), config, &own) < 0)
        return 1;
    kfl_config_destroy(config);
    inherited = store;
    store = own;
    kfl_producer *mine;
    kfl_consumer *reader;
    if (kfl_producer_open(own, NULL, &mine) < 0 ||
        try_send(mine, "t", 0, NULL, "child", 1, offset) < 0)
        return 2;
    if (kfl_consumer_open(own, NULL, &reader) < 0)
        return 3;
    kfl_partition_offset place = {.topic = "t", .offset = *offset};
    kfl_records *polled;
    if (kfl_consumer_assign(reader, &place, 1) < 0 ||
        kfl_consumer_poll(reader, 1000, 1, &polled) != 1)
        return 4;
    kfl_records_release(polled);
    if (kfl_consumer_close(reader) < 0 || kfl_producer_close(mine) < 0)
        return 5;
    return kfl_store_close(own) == 0 ? 0 : 6;
}

/* rule:R19 */
START_TEST(a_child_opens_anew_while_the_parent_works_on)
{
    int64_t *offset = child_share(sizeof *offset);
    for (int i = 0; i < 5; i++) {
        pid_t pid = child_start(open_anew, offset);
        int64_t own = send_value(producer, "t", 0, "parent");
        ck_assert_int_eq(child_end(pid), 0);
        ck_assert_int_ne(*offset, own);
        ck_assert_int_eq(*offset + own, 5 + 2 * i + 6 + 2 * i);
    }
    ck_assert_int_eq(stat_of("processes", "", -1), 1);
    OK(kfl_store_sync(store, -1));
}
END_TEST

static int close_inherited_then_open(void *context)
{
    if (kfl_store_close(store) != KFL_E_FORKED)
        return 10;
    return open_anew(context);
}

START_TEST(a_child_may_close_what_it_inherited_and_open_anew)
{
    int64_t *offset = child_share(sizeof *offset);
    ck_assert_int_eq(child_run(close_inherited_then_open, offset), 0);
    ck_assert_int_eq(*offset, 5);
    ck_assert_int_eq(send_value(producer, "t", 0, "x"), 6);
}
END_TEST

static int sleep_until_killed(void *context)
{
    (void)context;
    while (pause() == -1)
        ;
    return 0;
}

/* rule:R19: the parent is gone, its child has all it inherited: nobody takes it for the parent. */
START_TEST(an_orphan_does_not_hold_the_store)
{
    pid_t pid = child_start(sleep_until_killed, NULL);
    kfl_records_release(records);
    records = NULL;
    OK(kfl_consumer_close(consumer));
    consumer = NULL;
    OK(kfl_producer_close(producer));
    producer = NULL;
    OK(kfl_store_close(store));
    store = open_store(temp_dir_path(), NULL);
    ck_assert_int_eq(stat_of("processes", "", -1), 1);
    ck_assert_int_eq(end_of("t", 0), 5);
    kill(pid, SIGKILL);
    ck_assert_int_eq(child_end(pid), -SIGKILL);
}
END_TEST

static int fork_of_a_fork(void *context)
{
    int r = open_anew(context);
    if (r != 0)
        return r;
    kfl_store *own;
    kfl_config *config = config_of(IN_A_CHILD);
    if (kfl_store_open(temp_dir_path(), config, &own) < 0)
        return 20;
    kfl_config_destroy(config);
    store = own;
    int64_t offset;
    pid_t pid = fork_among_threads();
    if (pid == 0)
        _exit(kfl_topic_end_offset(own, "t", 0, &offset) == KFL_E_FORKED ? 0 : 1);
    int status;
    waitpid(pid, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return 21;
    return kfl_topic_end_offset(own, "t", 0, &offset) == 0 && kfl_store_close(own) == 0 ? 0 : 22;
}

START_TEST(forks_of_forks_are_found_out_too)
{
    int64_t *offset = child_share(sizeof *offset);
    ck_assert_int_eq(child_run(fork_of_a_fork, offset), 0);
    ck_assert_int_eq(send_value(producer, "t", 0, "x"), 6);
}
END_TEST

static int make_memory_store(void *context)
{
    (void)context;
    kfl_store *own;
    kfl_config *config = config_of(IN_A_CHILD);
    if (kfl_store_open(":memory:", config, &own) < 0 || kfl_topic_create(own, "m", 1, NULL) < 0)
        return 1;
    kfl_config_destroy(config);
    return kfl_store_close(own) == 0 ? 0 : 2;
}

START_TEST(a_child_may_have_a_store_of_its_own)
{
    ck_assert_int_eq(child_run(make_memory_store, NULL), 0);
    ck_assert_int_eq(kfl_topic_partition_count(store, "t"), 1);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("fork");
    TCase *tests = tcase_create("fork");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, fork_set_up, fork_tear_down);
    tcase_add_test(tests, every_call_of_a_child_answers_forked);
    tcase_add_test(tests, records_can_be_read_in_the_child);
    tcase_add_test(tests, a_child_opens_anew_while_the_parent_works_on);
    tcase_add_test(tests, a_child_may_close_what_it_inherited_and_open_anew);
    tcase_add_test(tests, an_orphan_does_not_hold_the_store);
    tcase_add_test(tests, forks_of_forks_are_found_out_too);
    tcase_add_test(tests, a_child_may_have_a_store_of_its_own);
    suite_add_tcase(suite, tests);
    return suite;
}
