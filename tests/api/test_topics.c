/* SPDX-License-Identifier: MIT */
/* Topics: names, create, grow, change, delete; many of them; the numbers of their partitions. */
#include <time.h>

#include "store_fixture.h"

/* kafka:A1 */
START_TEST(a_name_of_the_right_characters_is_taken)
{
    char longest[250];
    memset(longest, 'x', 249);
    longest[249] = '\0';
    make_topic("azAZ09-", 1, NULL);
    make_topic("...", 1, NULL);
    make_topic("a", 1, NULL);
    make_topic(longest, 1, NULL);
    ck_assert_int_eq(kfl_topic_partition_count(store, longest), 1);
    send_many(longest, 0, 1, 0);
    kfl_consumer *consumer = open_consumer(NULL);
    kfl_records *records;
    assign_at(consumer, longest, 0, 0);
    ck_assert_str_eq(poll_one(consumer, &records)->topic, longest);
    kfl_records_release(records);
    OK(kfl_consumer_close(consumer));
}
END_TEST

/* kafka:A1 */
START_TEST(any_other_name_is_refused)
{
    static const char *const names[] = {"",     ".",           "..",  "a/b",  "../x", "a b",
                                        "a\nb", "caf\xc3\xa9", "a:b", "a\\b", "~"};
    char too_long[251];
    memset(too_long, 'x', 250);
    too_long[250] = '\0';
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        FAILS(KFL_E_INVALID_TOPIC, kfl_topic_create(store, names[i], 1, NULL));
    FAILS(KFL_E_INVALID_TOPIC, kfl_topic_create(store, too_long, 1, NULL));
    FAILS(KFL_E_INVALID_TOPIC, kfl_topic_delete(store, "a/b"));
    FAILS(KFL_E_INVALID_TOPIC, kfl_topic_partition_count(store, "../x"));
    kfl_names *list;
    OK(kfl_topic_list(store, &list));
    ck_assert_int_eq(kfl_names_count(list), 0);
    kfl_names_release(list);
}
END_TEST

/* kafka:A2 */
START_TEST(names_that_differ_in_dot_and_underscore_collide)
{
    make_topic("a_b", 1, NULL);
    FAILS(KFL_E_INVALID_TOPIC, kfl_topic_create(store, "a.b", 1, NULL));
    ck_assert_ptr_nonnull(strstr(kfl_last_error(), "a_b"));
    make_topic("a-b", 1, NULL);
    OK(kfl_topic_delete(store, "a_b"));
    make_topic("a.b", 1, NULL);
}
END_TEST

/* kafka:A3 */
START_TEST(an_existing_topic_is_not_made_again)
{
    make_topic("t", 2, WITH("segment.ms", "5"));
    send_many("t", 1, 4, 0);
    FAILS(KFL_E_TOPIC_ALREADY_EXISTS, try_topic("t", 5, WITH("segment.ms", "6")));
    ck_assert_str_eq(kfl_last_error_topic(), "t");
    ck_assert_int_eq(kfl_topic_partition_count(store, "t"), 2);
    ck_assert_int_eq(end_of("t", 1), 4);
    kfl_config *config;
    OK(kfl_topic_config(store, "t", &config));
    ck_assert_str_eq(kfl_config_get(config, "segment.ms"), "5");
    kfl_config_destroy(config);
}
END_TEST

/* kafka:A4 */
START_TEST(partitions_only_grow)
{
    make_topic("t", 3, NULL);
    FAILS(KFL_E_INVALID_PARTITIONS, kfl_topic_add_partitions(store, "t", 3));
    FAILS(KFL_E_INVALID_PARTITIONS, kfl_topic_add_partitions(store, "t", 2));
    FAILS(KFL_E_INVALID_PARTITIONS, kfl_topic_add_partitions(store, "t", 0));
    FAILS(KFL_E_INVALID_PARTITIONS, kfl_topic_add_partitions(store, "t", -1));
    FAILS(KFL_E_INVALID_PARTITIONS, kfl_topic_add_partitions(store, "t", KFL_PARTITIONS_MAX + 1));
    ck_assert_int_eq(kfl_topic_partition_count(store, "t"), 3);
    OK(kfl_topic_add_partitions(store, "t", 4));
    ck_assert_int_eq(kfl_topic_partition_count(store, "t"), 4);
    FAILS(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, kfl_topic_add_partitions(store, "u", 4));
}
END_TEST

START_TEST(a_number_of_partitions_that_cannot_be_is_refused)
{
    FAILS(KFL_E_INVALID_PARTITIONS, kfl_topic_create(store, "t", 0, NULL));
    FAILS(KFL_E_INVALID_PARTITIONS, kfl_topic_create(store, "t", -1, NULL));
    FAILS(KFL_E_INVALID_PARTITIONS, kfl_topic_create(store, "t", INT32_MAX, NULL));
    FAILS(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, kfl_topic_partition_count(store, "t"));
}
END_TEST

/* kafka:A5 */
START_TEST(growing_moves_no_record)
{
    /* "foobar" goes to 0 of 3 and to 2 of 4. */
    kfl_producer *producer = open_producer(NULL);
    make_topic("t", 3, NULL);
    ck_assert_int_eq(try_send(producer, "t", KFL_PARTITION_ANY, "foobar", "v0", 1, NULL), 0);
    OK(kfl_topic_add_partitions(store, "t", 4));
    ck_assert_int_eq(try_send(producer, "t", KFL_PARTITION_ANY, "foobar", "v0", 1, NULL), 2);
    ck_assert_int_eq(end_of("t", 0), 1);
    ck_assert_int_eq(end_of("t", 2), 1);
    kfl_consumer *consumer = open_consumer(NULL);
    assign_at(consumer, "t", 0, 0);
    ck_assert_int_eq(read_on(consumer, 0), 1);
    OK(kfl_consumer_close(consumer));
    OK(kfl_producer_close(producer));
}
END_TEST

/* kafka:A6 */
START_TEST(each_partition_begins_at_offset_0)
{
    kfl_producer *producer = open_producer(NULL);
    make_topic("t", 3, NULL);
    for (int32_t i = 0; i < 3; i++) {
        ck_assert_int_eq(send_value(producer, "t", i, "x"), 0);
        ck_assert_int_eq(send_value(producer, "t", i, "x"), 1);
    }
    OK(kfl_producer_close(producer));
}
END_TEST

/* kafka:A7 kafka:L5 */
START_TEST(a_topic_made_again_remembers_nothing)
{
    kfl_names *groups;
    kfl_producer *producer = open_producer(NULL);
    kfl_consumer *consumer = open_consumer(WITH("group.id", "g"));
    make_topic("t", 2, WITH("max.message.bytes", "200"));
    make_topic("other", 1, NULL);
    send_many("t", 0, 50, 0);
    send_value(producer, "t", 0, "v50");
    assign_at(consumer, "t", 0, 0);
    ck_assert_int_eq(read_on(consumer, 0), 51);
    OK(kfl_consumer_commit(consumer, NULL));
    OK(kfl_topic_delete(store, "t"));
    FAILS(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, kfl_topic_partition_count(store, "t"));
    OK(kfl_group_list(store, &groups));
    ck_assert_int_eq(kfl_names_count(groups), 0);
    kfl_names_release(groups);
    make_topic("t", 1, NULL);
    ck_assert_int_eq(end_of("t", 0), 0);
    ck_assert_int_eq(start_of("t", 0), 0);
    ck_assert_int_eq(committed_of(consumer, "t", 0), -1);
    ck_assert_int_eq(kfl_topic_partition_count(store, "t"), 1);
    /* The producer and a consumer that knew the old one find the new one. */
    ck_assert_int_eq(send_value(producer, "t", 0, "v0"), 0);
    FAILS(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, try_send(producer, "t", 1, NULL, "x", 1, NULL));
    assign_at(consumer, "t", 0, KFL_OFFSET_STORED);
    ck_assert_int_eq(read_on(consumer, 0), 1);
    kfl_config *config;
    OK(kfl_topic_config(store, "t", &config));
    ck_assert_int_eq(kfl_config_is_set(config, "max.message.bytes"), 0);
    kfl_config_destroy(config);
    OK(kfl_consumer_close(consumer));
    OK(kfl_producer_close(producer));
}
END_TEST

/* kafka:A7 */
START_TEST(a_deleted_topic_leaves_no_file)
{
    char command[700];
    make_topic("t", 2, NULL);
    send_many("t", 0, 100, 1000);
    send_many("t", 1, 1, 0);
    snprintf(command, sizeof command, "test -n \"$(find %s/topics -name '*.log')\"",
             temp_dir_path());
    ck_assert_int_eq(system(command), 0);
    OK(kfl_topic_delete(store, "t"));
    ck_assert_int_ne(system(command), 0);
    FAILS(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, kfl_topic_delete(store, "t"));
}
END_TEST

START_TEST(properties_are_kept_and_changed_one_by_one)
{
    kfl_config *config;
    make_topic("t", 1, WITH("segment.ms", "5", "flush.messages", "7"));
    OK(kfl_topic_set(store, "t", "flush.messages", "9"));
    OK(kfl_topic_set(store, "t", "max.message.bytes", "1000"));
    disk_reopen();
    OK(kfl_topic_config(store, "t", &config));
    ck_assert_str_eq(kfl_config_get(config, "segment.ms"), "5");
    ck_assert_str_eq(kfl_config_get(config, "flush.messages"), "9");
    ck_assert_str_eq(kfl_config_get(config, "max.message.bytes"), "1000");
    kfl_config_destroy(config);
    OK(kfl_topic_set(store, "t", "flush.messages", NULL));
    config = config_of(WITH("segment.ms", NULL));
    OK(kfl_config_set(config, "segment.ms", NULL));
    OK(kfl_config_set(config, "segment.bytes", "70000"));
    OK(kfl_topic_alter(store, "t", config));
    kfl_config_destroy(config);
    OK(kfl_topic_config(store, "t", &config));
    ck_assert_int_eq(kfl_config_is_set(config, "segment.ms"), 0);
    ck_assert_int_eq(kfl_config_is_set(config, "flush.messages"), 0);
    ck_assert_str_eq(kfl_config_get(config, "segment.bytes"), "70000");
    ck_assert_str_eq(kfl_config_get(config, "max.message.bytes"), "1000");
    kfl_config_destroy(config);
}
END_TEST

START_TEST(a_wrong_property_changes_nothing)
{
    kfl_config *config;
    make_topic("t", 1, NULL);
    FAILS(KFL_E_UNKNOWN_PROPERTY, kfl_topic_set(store, "t", "segment.byte", "70000"));
    ck_assert_ptr_nonnull(strstr(kfl_last_error(), "segment.bytes")); /* the one that was meant */
    FAILS(KFL_E_BAD_VALUE, kfl_topic_set(store, "t", "segment.bytes", "1"));
    FAILS(KFL_E_UNKNOWN_PROPERTY, kfl_topic_set(store, "t", "acks", "all"));
    FAILS(KFL_E_UNKNOWN_PROPERTY, try_topic("u", 1, WITH("linger.ms", "1")));
    FAILS(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, kfl_topic_set(store, "u", "segment.ms", "1"));
    FAILS(KFL_E_INVALID, kfl_topic_alter(store, "t", NULL));
    OK(kfl_topic_config(store, "t", &config));
    ck_assert_int_eq(kfl_config_is_set(config, "segment.bytes"), 0);
    kfl_config_destroy(config);
}
END_TEST

/* An alter is seen by a producer that sent before. */
START_TEST(a_change_takes_effect_at_the_next_send)
{
    kfl_producer *producer = open_producer(NULL);
    make_topic("t", 1, NULL);
    send_value(producer, "t", 0, "0123456789");
    OK(kfl_topic_set(store, "t", "max.message.bytes", "77"));
    FAILS(KFL_E_MESSAGE_TOO_LARGE, try_send(producer, "t", 0, NULL, "0123456789", 1, NULL));
    OK(kfl_topic_set(store, "t", "max.message.bytes", NULL));
    ck_assert_int_eq(send_value(producer, "t", 0, "0123456789"), 1);
    OK(kfl_producer_close(producer));
}
END_TEST

START_TEST(topics_are_listed_in_order)
{
    static const char *const names[] = {"B", "a", "a-", "a0", "b"};
    kfl_names *list;
    for (int i = 4; i >= 0; i--)
        make_topic(names[i], 1, NULL);
    OK(kfl_topic_list(store, &list));
    ck_assert_int_eq(kfl_names_count(list), 5);
    for (int i = 0; i < 5; i++)
        ck_assert_str_eq(kfl_names_get(list, i), names[i]);
    ck_assert_ptr_null(kfl_names_get(list, 5));
    kfl_names_release(list);
}
END_TEST

static double seconds_since(const struct timespec *begin)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - begin->tv_sec) + (double)(now.tv_nsec - begin->tv_nsec) * 1e-9;
}

/* kafka:A6 */
START_TEST(two_thousand_topics_open_and_list_quickly)
{
    struct timespec begin;
    char name[32];
    kfl_names *list;
    for (int i = 0; i < 2000; i++) {
        snprintf(name, sizeof name, "topic-%04d", i);
        make_topic(name, 1, NULL);
    }
    kfl_producer *producer = open_producer(NULL);
    for (int i = 0; i < 2000; i += 100) {
        snprintf(name, sizeof name, "topic-%04d", i);
        ck_assert_int_eq(send_value(producer, name, 0, "x"), 0);
    }
    OK(kfl_producer_close(producer));
    OK(kfl_store_close(store));
    clock_gettime(CLOCK_MONOTONIC, &begin);
    store = open_store(temp_dir_path(), WITH("background.threads", "0"));
    OK(kfl_topic_list(store, &list));
    ck_assert_int_eq(kfl_names_count(list), 2000);
    ck_assert_str_eq(kfl_names_get(list, 1999), "topic-1999");
    kfl_names_release(list);
    ck_assert_int_eq(end_of("topic-1900", 0), 1);
    ck_assert_double_lt(seconds_since(&begin), 1.0);
}
END_TEST

START_TEST(ten_thousand_partitions_open_quickly)
{
    struct timespec begin;
    make_topic("wide", 10000, NULL);
    kfl_producer *producer = open_producer(NULL);
    for (int32_t i = 0; i < 10000; i += 500)
        ck_assert_int_eq(send_value(producer, "wide", i, "v0"), 0);
    OK(kfl_producer_close(producer));
    OK(kfl_store_close(store));
    clock_gettime(CLOCK_MONOTONIC, &begin);
    store = open_store(temp_dir_path(), WITH("background.threads", "0"));
    ck_assert_int_eq(kfl_topic_partition_count(store, "wide"), 10000);
    ck_assert_int_eq(end_of("wide", 9500), 1);
    ck_assert_int_eq(end_of("wide", 9999), 0);
    ck_assert_double_lt(seconds_since(&begin), 0.5);
    /* All of them read by one consumer. */
    kfl_partition_offset *wishes = calloc(10000, sizeof *wishes);
    for (int32_t i = 0; i < 10000; i++)
        wishes[i] = (kfl_partition_offset){.topic = "wide", .partition = i};
    kfl_consumer *consumer = open_consumer(NULL);
    kfl_records *records;
    OK(kfl_consumer_assign(consumer, wishes, 10000));
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 0, 0, &records)), 20);
    kfl_records_release(records);
    OK(kfl_consumer_close(consumer));
    free(wishes);
    OK(kfl_topic_delete(store, "wide"));
}
END_TEST

/* What one topic knows of the others must not grow with each change of them. */
START_TEST(changes_of_other_topics_cost_a_wide_topic_nothing)
{
    char name[32];
    make_topic("wide", 5000, NULL);
    kfl_producer *producer = open_producer(NULL);
    send_value(producer, "wide", 0, "x");
    FILE *statm = fopen("/proc/self/statm", "r");
    long before = 0, after = 0, size;
    ck_assert_int_eq(fscanf(statm, "%ld %ld", &size, &before), 2);
    fclose(statm);
    for (int i = 0; i < 400; i++) {
        snprintf(name, sizeof name, "t%d", i);
        make_topic(name, 1, NULL);
        send_value(producer, "wide", 0, "x");
    }
    statm = fopen("/proc/self/statm", "r");
    ck_assert_int_eq(fscanf(statm, "%ld %ld", &size, &after), 2);
    fclose(statm);
    /* 400 times 40 KB would be 16 MB. */
    ck_assert_int_lt((after - before) * sysconf(_SC_PAGESIZE), 8 << 20);
    OK(kfl_producer_close(producer));
}
END_TEST

/* kafka:C12 */
START_TEST(a_partition_never_written_begins_and_ends_at_0)
{
    int64_t offset = -1;
    make_topic("t", 1, NULL);
    ck_assert_int_eq(start_of("t", 0), 0);
    ck_assert_int_eq(end_of("t", 0), 0);
    OK(kfl_topic_durable_offset(store, "t", 0, &offset));
    ck_assert_int_eq(offset, 0);
    FAILS(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, kfl_topic_end_offset(store, "t", 1, &offset));
    FAILS(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, kfl_topic_end_offset(store, "t", -1, &offset));
    ck_assert_int_eq(kfl_last_error_partition(), -1);
    ck_assert_str_eq(kfl_last_error_topic(), "t");
    FAILS(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, kfl_topic_end_offset(store, "u", 0, &offset));
}
END_TEST

/* ---- waiting for durability ---- */

START_TEST(wait_durable_brings_it_about)
{
    int64_t durable;
    make_topic("t", 1, NULL);
    send_many("t", 0, 10, 0);
    OK(kfl_topic_wait_durable(store, "t", 0, 4, -1));
    OK(kfl_topic_durable_offset(store, "t", 0, &durable));
    ck_assert_int_ge(durable, 4);
    OK(kfl_topic_wait_durable(store, "t", 0, KFL_OFFSET_END, -1));
    OK(kfl_topic_durable_offset(store, "t", 0, &durable));
    ck_assert_int_eq(durable, 10);
    FAILS(KFL_E_OFFSET_OUT_OF_RANGE, kfl_topic_wait_durable(store, "t", 0, 11, -1));
    ck_assert_int_eq(kfl_last_error_offset(), 10);
    FAILS(KFL_E_INVALID, kfl_topic_wait_durable(store, "t", 0, -5, -1));
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("topics");
    TCase *tests = tcase_create("topics");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, disk_set_up, disk_tear_down);
    tcase_add_test(tests, a_name_of_the_right_characters_is_taken);
    tcase_add_test(tests, any_other_name_is_refused);
    tcase_add_test(tests, names_that_differ_in_dot_and_underscore_collide);
    tcase_add_test(tests, an_existing_topic_is_not_made_again);
    tcase_add_test(tests, partitions_only_grow);
    tcase_add_test(tests, a_number_of_partitions_that_cannot_be_is_refused);
    tcase_add_test(tests, growing_moves_no_record);
    tcase_add_test(tests, each_partition_begins_at_offset_0);
    tcase_add_test(tests, a_topic_made_again_remembers_nothing);
    tcase_add_test(tests, a_deleted_topic_leaves_no_file);
    tcase_add_test(tests, properties_are_kept_and_changed_one_by_one);
    tcase_add_test(tests, a_wrong_property_changes_nothing);
    tcase_add_test(tests, a_change_takes_effect_at_the_next_send);
    tcase_add_test(tests, topics_are_listed_in_order);
    tcase_add_test(tests, two_thousand_topics_open_and_list_quickly);
    tcase_add_test(tests, ten_thousand_partitions_open_quickly);
    tcase_add_test(tests, changes_of_other_topics_cost_a_wide_topic_nothing);
    tcase_add_test(tests, a_partition_never_written_begins_and_ends_at_0);
    tcase_add_test(tests, wait_durable_brings_it_about);
    suite_add_tcase(suite, tests);
    return suite;
}
