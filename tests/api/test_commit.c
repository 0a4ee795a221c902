/* SPDX-License-Identifier: MIT */
/* Committed offsets: what is stored, when, for whom, and how long. */
#include "store_fixture.h"

static kfl_consumer *consumer;

static void commit_set_up(void)
{
    disk_set_up();
    make_topic("t", 3, WITH("flush.ms", "3600000"));
    send_many("t", 0, 20, 0);
    consumer = open_consumer(WITH("group.id", "g"));
}

static void commit_tear_down(void)
{
    kfl_consumer_close(consumer);
    disk_tear_down();
}

/* kafka:D4 */
START_TEST(a_commit_stores_the_next_offset)
{
    kfl_records *records;
    assign_at(consumer, "t", 0, 0);
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 0, 7, &records)), 7);
    OK(kfl_consumer_commit(consumer, records));
    kfl_records_release(records);
    ck_assert_int_eq(committed_of(consumer, "t", 0), 7);
    kfl_consumer *second = open_consumer(WITH("group.id", "g"));
    assign_at(second, "t", 0, KFL_OFFSET_STORED);
    ck_assert_int_eq(read_on(second, 7), 20);
    OK(kfl_consumer_close(second));
}
END_TEST

/* kafka:D5 */
START_TEST(without_records_the_positions_are_committed)
{
    kfl_partition_offset wishes[2] = {{.topic = "t", .partition = 0},
                                      {.topic = "t", .partition = 1}};
    kfl_records *records;
    OK(kfl_consumer_assign(consumer, wishes, 2));
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 0, 11, &records)), 11);
    OK(kfl_consumer_commit(consumer, NULL));
    kfl_records_release(records);
    ck_assert_int_eq(committed_of(consumer, "t", 0), 11);
    ck_assert_int_eq(committed_of(consumer, "t", 1), 0);
    ck_assert_int_eq(committed_of(consumer, "t", 2), -1);
}
END_TEST

/* kafka:D5: of each partition in the result, its last record. */
START_TEST(records_commit_what_lies_behind_them)
{
    kfl_partition_offset wishes[2] = {{.topic = "t", .partition = 0},
                                      {.topic = "t", .partition = 1}};
    kfl_records *first, *second;
    send_many("t", 1, 5, 0);
    OK(kfl_consumer_assign(consumer, wishes, 2));
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 0, 22, &first)), 22);
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 0, 22, &second)), 3);
    OK(kfl_consumer_commit(consumer, first));
    ck_assert_int_eq(committed_of(consumer, "t", 0) + committed_of(consumer, "t", 1), 22);
    OK(kfl_consumer_commit(consumer, second));
    ck_assert_int_eq(committed_of(consumer, "t", 0), 20);
    ck_assert_int_eq(committed_of(consumer, "t", 1), 5);
    kfl_records_release(first);
    kfl_records_release(second);
}
END_TEST

START_TEST(nothing_assigned_commits_nothing)
{
    OK(kfl_consumer_commit(consumer, NULL));
    OK(kfl_consumer_commit_offsets(consumer, NULL, 0));
    kfl_names *groups;
    OK(kfl_group_list(store, &groups));
    ck_assert_int_eq(kfl_names_count(groups), 0);
    kfl_names_release(groups);
}
END_TEST

/* kafka:D8 */
START_TEST(a_commit_may_go_back)
{
    static const int64_t offsets[] = {20, 3, 0, 20, 19};
    for (int i = 0; i < 5; i++) {
        kfl_partition_offset at = {.topic = "t", .offset = offsets[i]};
        OK(kfl_consumer_commit_offsets(consumer, &at, 1));
        ck_assert_int_eq(committed_of(consumer, "t", 0), offsets[i]);
    }
}
END_TEST

/* kafka:C11 */
START_TEST(a_seek_does_not_touch_the_commit)
{
    assign_at(consumer, "t", 0, 5);
    OK(kfl_consumer_commit(consumer, NULL));
    OK(kfl_consumer_seek(consumer, "t", 0, 15));
    ck_assert_int_eq(committed_of(consumer, "t", 0), 5);
    OK(kfl_consumer_seek(consumer, "t", 0, KFL_OFFSET_STORED));
    ck_assert_int_eq(position_of(consumer, "t", 0), 5);
}
END_TEST

/* kafka:D9 */
START_TEST(metadata_come_back_byte_for_byte)
{
    char metadata[4097];
    kfl_offsets *offsets;
    for (size_t i = 0; i < sizeof metadata; i++)
        metadata[i] = (char)(i * 7);
    kfl_partition_offset at = {
        .topic = "t", .offset = 3, .metadata = metadata, .metadata_size = 4096};
    OK(kfl_consumer_commit_offsets(consumer, &at, 1));
    OK(kfl_consumer_committed(consumer, &at, 1, &offsets));
    ck_assert_uint_eq(kfl_offsets_get(offsets, 0)->metadata_size, 4096);
    ck_assert_mem_eq(kfl_offsets_get(offsets, 0)->metadata, metadata, 4096);
    kfl_offsets_release(offsets);
    OK(kfl_group_offsets(store, "g", &offsets));
    ck_assert_int_eq(kfl_offsets_count(offsets), 1);
    ck_assert_mem_eq(kfl_offsets_get(offsets, 0)->metadata, metadata, 4096);
    kfl_offsets_release(offsets);
    at.metadata_size = 4097;
    at.offset = 4;
    FAILS(KFL_E_OFFSET_METADATA_TOO_LARGE, kfl_consumer_commit_offsets(consumer, &at, 1));
    ck_assert_int_eq(committed_of(consumer, "t", 0), 3);
    /* A commit without metadata forgets the old ones. */
    at = (kfl_partition_offset){.topic = "t", .offset = 5};
    OK(kfl_consumer_commit_offsets(consumer, &at, 1));
    OK(kfl_consumer_committed(consumer, &at, 1, &offsets));
    ck_assert_ptr_null(kfl_offsets_get(offsets, 0)->metadata);
    ck_assert_uint_eq(kfl_offsets_get(offsets, 0)->metadata_size, 0);
    kfl_offsets_release(offsets);
}
END_TEST

START_TEST(a_commit_is_all_or_none)
{
    kfl_partition_offset at[3] = {{.topic = "t", .partition = 0, .offset = 5},
                                  {.topic = "t", .partition = 1, .offset = 0},
                                  {.topic = "t", .partition = 2, .offset = 1}};
    FAILS(KFL_E_OFFSET_OUT_OF_RANGE, kfl_consumer_commit_offsets(consumer, at, 3));
    ck_assert_int_eq(kfl_last_error_partition(), 2);
    at[2] = (kfl_partition_offset){.topic = "nothing"};
    FAILS(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, kfl_consumer_commit_offsets(consumer, at, 3));
    at[2] = (kfl_partition_offset){.topic = "t", .partition = 3};
    FAILS(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, kfl_consumer_commit_offsets(consumer, at, 3));
    at[2] = (kfl_partition_offset){.topic = NULL};
    FAILS(KFL_E_INVALID, kfl_consumer_commit_offsets(consumer, at, 3));
    at[2] = (kfl_partition_offset){.topic = "t", .offset = -1};
    FAILS(KFL_E_OFFSET_OUT_OF_RANGE, kfl_consumer_commit_offsets(consumer, at, 3));
    at[2] = (kfl_partition_offset){.topic = "t", .metadata_size = 1};
    FAILS(KFL_E_INVALID, kfl_consumer_commit_offsets(consumer, at, 3));
    FAILS(KFL_E_INVALID, kfl_consumer_commit_offsets(consumer, NULL, 1));
    ck_assert_int_eq(committed_of(consumer, "t", 0), -1);
    OK(kfl_consumer_commit_offsets(consumer, at, 2));
    ck_assert_int_eq(committed_of(consumer, "t", 0), 5);
}
END_TEST

/* rule:R8: what a commit covers is made durable first. */
START_TEST(a_commit_makes_its_records_durable)
{
    int64_t durable;
    kfl_partition_offset at = {.topic = "t", .offset = 12};
    OK(kfl_topic_durable_offset(store, "t", 0, &durable));
    ck_assert_int_eq(durable, 0);
    OK(kfl_consumer_commit_offsets(consumer, &at, 1));
    OK(kfl_topic_durable_offset(store, "t", 0, &durable));
    ck_assert_int_ge(durable, 12);
    at.offset = 21;
    FAILS(KFL_E_OFFSET_OUT_OF_RANGE, kfl_consumer_commit_offsets(consumer, &at, 1));
}
END_TEST

/* kafka:D19 */
START_TEST(commits_survive_a_restart)
{
    kfl_partition_offset at = {.topic = "t", .offset = 9, .metadata = "note", .metadata_size = 4};
    kfl_offsets *offsets;
    OK(kfl_consumer_commit_offsets(consumer, &at, 1));
    OK(kfl_consumer_close(consumer));
    disk_reopen();
    consumer = open_consumer(WITH("group.id", "g"));
    ck_assert_int_eq(committed_of(consumer, "t", 0), 9);
    OK(kfl_group_offsets(store, "g", &offsets));
    ck_assert_mem_eq(kfl_offsets_get(offsets, 0)->metadata, "note", 4);
    kfl_offsets_release(offsets);
    assign_at(consumer, "t", 0, KFL_OFFSET_STORED);
    ck_assert_int_eq(read_on(consumer, 9), 20);
}
END_TEST

/* kafka:E18 */
START_TEST(groups_are_independent)
{
    char name[32];
    kfl_names *groups;
    for (int i = 9; i >= 0; i--) {
        snprintf(name, sizeof name, "group %d", i);
        kfl_consumer *one = open_consumer(WITH("group.id", name));
        kfl_partition_offset at = {.topic = "t", .offset = i};
        OK(kfl_consumer_commit_offsets(one, &at, 1));
        OK(kfl_consumer_close(one));
    }
    OK(kfl_group_list(store, &groups));
    ck_assert_int_eq(kfl_names_count(groups), 10);
    for (int i = 0; i < 10; i++) {
        kfl_offsets *offsets;
        snprintf(name, sizeof name, "group %d", i);
        ck_assert_str_eq(kfl_names_get(groups, i), name);
        OK(kfl_group_offsets(store, name, &offsets));
        ck_assert_int_eq(kfl_offsets_count(offsets), 1);
        ck_assert_int_eq(kfl_offsets_get(offsets, 0)->offset, i);
        ck_assert_str_eq(kfl_offsets_get(offsets, 0)->topic, "t");
        kfl_offsets_release(offsets);
    }
    kfl_names_release(groups);
}
END_TEST

START_TEST(without_a_group_nothing_can_be_committed)
{
    kfl_consumer *alone = open_consumer(NULL);
    kfl_partition_offset at = {.topic = "t"};
    kfl_offsets *offsets;
    assign_at(alone, "t", 0, 0);
    FAILS(KFL_E_INVALID_GROUP_ID, kfl_consumer_commit(alone, NULL));
    ck_assert_ptr_nonnull(strstr(kfl_last_error(), "group.id"));
    FAILS(KFL_E_INVALID_GROUP_ID, kfl_consumer_commit_offsets(alone, &at, 1));
    FAILS(KFL_E_INVALID_GROUP_ID, kfl_consumer_committed(alone, &at, 1, &offsets));
    FAILS(KFL_E_INVALID_GROUP_ID, kfl_group_offsets(store, "", &offsets));
    FAILS(KFL_E_INVALID_GROUP_ID, kfl_group_offsets(store, NULL, &offsets));
    OK(kfl_consumer_close(alone));
}
END_TEST

START_TEST(a_group_name_has_a_limit)
{
    char name[257];
    kfl_config *config = config_of(WITH("group.id", "x"));
    kfl_offsets *offsets;
    memset(name, 'g', sizeof name);
    name[256] = '\0';
    FAILS(KFL_E_BAD_VALUE, kfl_config_set(config, "group.id", name));
    FAILS(KFL_E_INVALID_GROUP_ID, kfl_group_offsets(store, name, &offsets));
    name[255] = '\0';
    OK(kfl_config_set(config, "group.id", name));
    kfl_consumer *longest;
    OK(kfl_consumer_open(store, config, &longest));
    assign_at(longest, "t", 0, 3);
    OK(kfl_consumer_commit(longest, NULL));
    ck_assert_int_eq(committed_of(longest, "t", 0), 3);
    OK(kfl_consumer_close(longest));
    kfl_config_destroy(config);
}
END_TEST

START_TEST(an_unknown_group_is_not_found)
{
    kfl_offsets *offsets = (kfl_offsets *)&offsets;
    FAILS(KFL_E_GROUP_ID_NOT_FOUND, kfl_group_offsets(store, "nobody", &offsets));
    ck_assert_ptr_eq(offsets, (kfl_offsets *)&offsets);
}
END_TEST

/* kafka:A7 */
START_TEST(records_of_a_topic_made_anew_are_not_the_old_ones)
{
    kfl_records *records;
    make_topic("u", 1, NULL);
    send_many("u", 0, 10, 0);
    assign_at(consumer, "u", 0, 0);
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 0, 5, &records)), 5);
    OK(kfl_topic_delete(store, "u"));
    FAILS(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, kfl_consumer_commit(consumer, records));
    FAILS(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, kfl_consumer_commit(consumer, NULL));
    make_topic("u", 1, NULL);
    send_many("u", 0, 10, 0);
    FAILS(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, kfl_consumer_commit(consumer, NULL));
    ck_assert_int_eq(committed_of(consumer, "u", 0), -1);
    kfl_records_release(records);
}
END_TEST

/* A commit below the start is taken; the reset decides when it is used. */
/* What was read of the old one says nothing of the new one, and commits nothing of the others either. */
START_TEST(records_of_a_deleted_topic_commit_nothing_on_its_namesake)
{
    kfl_partition_offset wishes[2] = {{.topic = "t", .partition = 0},
                                      {.topic = "u", .partition = 0}};
    kfl_records *records;
    make_topic("u", 1, NULL);
    send_many("u", 0, 3, 0);
    OK(kfl_consumer_assign(consumer, wishes, 2));
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 0, 100, &records)), 23);
    OK(kfl_topic_delete(store, "t"));
    FAILS(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, kfl_consumer_commit(consumer, records));
    make_topic("t", 1, NULL);
    send_many("t", 0, 40, 0);
    FAILS(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, kfl_consumer_commit(consumer, records));
    ck_assert_int_eq(committed_of(consumer, "t", 0), -1);
    ck_assert_int_eq(committed_of(consumer, "u", 0), -1);
    kfl_records_release(records);
    /* Those of the new one do. */
    assign_at(consumer, "t", 0, 0);
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 0, 30, &records)), 30);
    OK(kfl_consumer_commit(consumer, records));
    ck_assert_int_eq(committed_of(consumer, "t", 0), 30);
    kfl_records_release(records);
}
END_TEST

START_TEST(a_commit_below_the_start_is_taken)
{
    kfl_partition_offset at = {.topic = "t", .offset = 2};
    OK(kfl_topic_delete_records(store, "t", 0, 10, NULL));
    OK(kfl_consumer_commit_offsets(consumer, &at, 1));
    ck_assert_int_eq(committed_of(consumer, "t", 0), 2);
    assign_at(consumer, "t", 0, KFL_OFFSET_STORED);
    ck_assert_int_eq(position_of(consumer, "t", 0), 10);
}
END_TEST

START_TEST(many_partitions_are_one_commit)
{
    kfl_partition_offset *at = calloc(1000, sizeof *at);
    kfl_offsets *offsets;
    make_topic("wide", 1000, NULL);
    for (int32_t i = 0; i < 1000; i++)
        at[i] = (kfl_partition_offset){.topic = "wide", .partition = i};
    int64_t before = stat_of("catalog_transactions_total", "", -1);
    OK(kfl_consumer_commit_offsets(consumer, at, 1000));
    ck_assert_int_eq(stat_of("catalog_transactions_total", "", -1), before + 1);
    OK(kfl_consumer_committed(consumer, at, 1000, &offsets));
    ck_assert_int_eq(kfl_offsets_count(offsets), 1000);
    for (int32_t i = 0; i < 1000; i++) {
        ck_assert_int_eq(kfl_offsets_get(offsets, i)->offset, 0);
        ck_assert_int_eq(kfl_offsets_get(offsets, i)->partition, i);
    }
    kfl_offsets_release(offsets);
    free(at);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("commit");
    TCase *tests = tcase_create("commit");
    tcase_set_timeout(tests, 30);
    tcase_add_checked_fixture(tests, commit_set_up, commit_tear_down);
    tcase_add_test(tests, a_commit_stores_the_next_offset);
    tcase_add_test(tests, without_records_the_positions_are_committed);
    tcase_add_test(tests, records_commit_what_lies_behind_them);
    tcase_add_test(tests, nothing_assigned_commits_nothing);
    tcase_add_test(tests, a_commit_may_go_back);
    tcase_add_test(tests, a_seek_does_not_touch_the_commit);
    tcase_add_test(tests, metadata_come_back_byte_for_byte);
    tcase_add_test(tests, a_commit_is_all_or_none);
    tcase_add_test(tests, a_commit_makes_its_records_durable);
    tcase_add_test(tests, commits_survive_a_restart);
    tcase_add_test(tests, groups_are_independent);
    tcase_add_test(tests, without_a_group_nothing_can_be_committed);
    tcase_add_test(tests, a_group_name_has_a_limit);
    tcase_add_test(tests, an_unknown_group_is_not_found);
    tcase_add_test(tests, records_of_a_topic_made_anew_are_not_the_old_ones);
    tcase_add_test(tests, records_of_a_deleted_topic_commit_nothing_on_its_namesake);
    tcase_add_test(tests, a_commit_below_the_start_is_taken);
    tcase_add_test(tests, many_partitions_are_one_commit);
    suite_add_tcase(suite, tests);
    return suite;
}
