/* SPDX-License-Identifier: MIT */
/* Topic and partition rows: names, growth, deletion, and what a deletion leaves behind. */
#include <stdlib.h>
#include <time.h>

#include "fixture.h"
#include "suite.h"

struct find_call {
    const char *name;
    struct kfl__topic_row row;
    char properties[256];
};

static int run_find(struct kfl__catalog_txn *txn, void *context)
{
    struct find_call *call = context;
    int r = kfl__topics_find(txn, call->name, &call->row);
    if (r == 0)
        snprintf(call->properties, sizeof call->properties, "%s", call->row.properties);
    return r;
}

static int run_version(struct kfl__catalog_txn *txn, void *context)
{
    return kfl__topics_version(txn, context);
}

static uint64_t topics_version(void)
{
    uint64_t version = 0;
    assert_ok(kfl__catalog_look(catalog, run_version, &version));
    return version;
}

struct alter_call {
    const char *name;
    int32_t partition_count;
    const char *properties;
};

static int run_grow(struct kfl__catalog_txn *txn, void *context)
{
    const struct alter_call *call = context;
    return kfl__topics_grow(txn, call->name, call->partition_count);
}

static int run_alter(struct kfl__catalog_txn *txn, void *context)
{
    const struct alter_call *call = context;
    return kfl__topics_alter(txn, call->name, call->properties);
}

static int grow_topic(const char *name, int32_t partition_count)
{
    struct alter_call call = {.name = name, .partition_count = partition_count};
    return kfl__catalog_change_run(catalog, run_grow, &call);
}

static int append_name(const struct kfl__topic_row *row, void *context)
{
    char *names = context;
    strcat(strcat(names, row->name), " ");
    return 0;
}

static int run_list(struct kfl__catalog_txn *txn, void *context)
{
    return kfl__topics_list(txn, append_name, context);
}

static struct kfl__partition_row partition_row(uint64_t topic_id, int32_t partition)
{
    struct row_call call = {.topic_id = topic_id, .partition = partition};
    assert_ok(kfl__catalog_look(catalog, run_get_partition, &call));
    return call.row;
}

START_TEST(a_topic_comes_back_as_it_was_put)
{
    uint64_t topic_id;
    assert_ok(create_topic("orders", 3, "retention.ms=5\nfoo=bar\n", &topic_id));
    reopen_catalog();
    struct find_call call = {.name = "orders"};
    assert_ok(kfl__catalog_look(catalog, run_find, &call));
    ck_assert_uint_eq(call.row.topic_id, topic_id);
    ck_assert_int_eq(call.row.partition_count, 3);
    ck_assert_int_eq(call.row.created_ms, 77);
    ck_assert_str_eq(call.row.name, "orders");
    ck_assert_str_eq(call.properties, "retention.ms=5\nfoo=bar\n");
    for (int32_t partition = 0; partition < 3; partition++) {
        struct kfl__partition_row row = partition_row(topic_id, partition);
        ck_assert_uint_eq(row.slot, (uint32_t)partition);
        ck_assert_uint_eq(row.incarnation, 1);
        ck_assert_int_eq(row.next_segment_id, 1);
        ck_assert_int_eq(row.start_offset, 0);
        ck_assert_int_eq(row.offset_floor, 0);
    }
    struct row_call none = {.topic_id = topic_id, .partition = 3};
    assert_code(kfl__catalog_look(catalog, run_get_partition, &none),
                KFL_E_UNKNOWN_TOPIC_OR_PARTITION);
}
END_TEST

START_TEST(an_unknown_name_is_told_with_its_name)
{
    assert_ok(create_topic("a.b", 1, NULL, NULL));
    struct find_call call = {.name = "a_b"};
    assert_code(kfl__catalog_look(catalog, run_find, &call), KFL_E_UNKNOWN_TOPIC_OR_PARTITION);
    ck_assert_str_eq(kfl_last_error_topic(), "a_b");
}
END_TEST

START_TEST(names_that_differ_only_in_dot_and_underscore_collide) /* kafka:A2 */
{
    assert_ok(create_topic("a_b.c", 1, NULL, NULL));
    assert_code(create_topic("a.b.c", 1, NULL, NULL), KFL_E_INVALID_TOPIC);
    ck_assert_ptr_nonnull(strstr(kfl_last_error(), "a_b.c"));
    assert_code(create_topic("a.b_c", 1, NULL, NULL), KFL_E_INVALID_TOPIC);
    assert_ok(create_topic("a-b.c", 1, NULL, NULL));
    assert_ok(delete_topic("a_b.c"));
    assert_ok(create_topic("a.b.c", 1, NULL, NULL));
}
END_TEST

START_TEST(creating_an_existing_topic_changes_nothing) /* kafka:A3 */
{
    assert_ok(create_topic("t", 2, "x=1\n", NULL));
    uint64_t version = topics_version();
    assert_code(create_topic("t", 5, "x=2\n", NULL), KFL_E_TOPIC_ALREADY_EXISTS);
    struct find_call call = {.name = "t"};
    assert_ok(kfl__catalog_look(catalog, run_find, &call));
    ck_assert_int_eq(call.row.partition_count, 2);
    ck_assert_str_eq(call.properties, "x=1\n");
    ck_assert_uint_eq(topics_version(), version);
}
END_TEST

START_TEST(partitions_can_only_grow) /* kafka:A4 kafka:A5 */
{
    uint64_t topic_id;
    assert_ok(create_topic("t", 2, "x=1\n", &topic_id));
    struct row_call call = {.topic_id = topic_id, .partition = 1};
    call.row = partition_row(topic_id, 1);
    call.row.start_offset = 41;
    assert_ok(kfl__catalog_change_run(catalog, run_put_partition, &call));

    assert_code(grow_topic("t", 2), KFL_E_INVALID_PARTITIONS);
    assert_code(grow_topic("t", 1), KFL_E_INVALID_PARTITIONS);
    assert_code(grow_topic("t", 0), KFL_E_INVALID_PARTITIONS);
    assert_code(grow_topic("u", 9), KFL_E_UNKNOWN_TOPIC_OR_PARTITION);
    assert_ok(grow_topic("t", 5));
    struct find_call found = {.name = "t"};
    assert_ok(kfl__catalog_look(catalog, run_find, &found));
    ck_assert_int_eq(found.row.partition_count, 5);
    ck_assert_str_eq(found.properties, "x=1\n");
    ck_assert_int_eq(partition_row(topic_id, 1).start_offset, 41);
    for (int32_t partition = 0; partition < 5; partition++)
        ck_assert_uint_eq(partition_row(topic_id, partition).slot, (uint32_t)partition);

    /* The slots that a growth has taken are not given out twice. */
    uint64_t other_id;
    assert_ok(create_topic("u", 1, NULL, &other_id));
    ck_assert_uint_eq(partition_row(other_id, 0).slot, 5);
}
END_TEST

START_TEST(a_topic_has_at_least_one_partition)
{
    assert_code(create_topic("t", 0, NULL, NULL), KFL_E_INVALID_PARTITIONS);
    assert_code(create_topic("t", -1, NULL, NULL), KFL_E_INVALID_PARTITIONS);
}
END_TEST

START_TEST(altered_properties_replace_the_old_ones)
{
    assert_ok(create_topic("t", 1, "x=1\n", NULL));
    char large[9000];
    memset(large, 'p', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    struct alter_call call = {.name = "t", .properties = large};
    assert_ok(kfl__catalog_change_run(catalog, run_alter, &call));
    struct find_call found = {.name = "t"};
    assert_ok(kfl__catalog_look(catalog, run_find, &found));
    ck_assert_uint_eq(found.row.version, 2);
    ck_assert_int_eq(strncmp(found.properties, large, sizeof found.properties - 1), 0);
    call.properties = "";
    assert_ok(kfl__catalog_change_run(catalog, run_alter, &call));
    assert_ok(kfl__catalog_look(catalog, run_find, &found));
    ck_assert_uint_eq(found.row.version, 3);
    ck_assert_str_eq(found.properties, "");
}
END_TEST

START_TEST(the_version_rises_with_each_change)
{
    uint64_t before = topics_version();
    assert_ok(create_topic("t", 1, NULL, NULL));
    ck_assert_uint_gt(topics_version(), before);
    before = topics_version();
    assert_ok(grow_topic("t", 2));
    ck_assert_uint_gt(topics_version(), before);
    before = topics_version();
    struct alter_call call = {.name = "t", .properties = "y=2\n"};
    assert_ok(kfl__catalog_change_run(catalog, run_alter, &call));
    ck_assert_uint_gt(topics_version(), before);
    before = topics_version();
    assert_ok(delete_topic("t"));
    ck_assert_uint_gt(topics_version(), before);
    before = topics_version();
    assert_code(delete_topic("t"), KFL_E_UNKNOWN_TOPIC_OR_PARTITION);
    ck_assert_uint_eq(topics_version(), before);
}
END_TEST

START_TEST(topics_are_listed_in_order_of_name)
{
    static const char *const names[] = {"b", "a_z", "aZ", "a.b", "c", "a"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_ok(create_topic(names[i], 1, NULL, NULL));
    char listed[256] = "";
    assert_ok(kfl__catalog_look(catalog, run_list, listed));
    ck_assert_str_eq(listed, "a a.b aZ a_z b c ");
}
END_TEST

static int count_trash(uint64_t topic_id, void *context)
{
    uint64_t *sum = context;
    *sum += topic_id;
    return 0;
}

static int run_trash(struct kfl__catalog_txn *txn, void *context)
{
    return kfl__topic_trash_list(txn, count_trash, context);
}

static int run_trash_drop(struct kfl__catalog_txn *txn, void *context)
{
    return kfl__topic_trash_drop(txn, *(const uint64_t *)context);
}

START_TEST(a_deleted_topic_leaves_no_memory) /* kafka:A7 */
{
    uint64_t topic_id;
    uint64_t other_id;
    assert_ok(create_topic("t", 2, NULL, &topic_id));
    assert_ok(create_topic("other", 1, NULL, &other_id));
    assert_ok(commit_offset("g", topic_id, 0, 100));
    assert_ok(commit_offset("h", topic_id, 1, 200));
    assert_ok(commit_offset("g", other_id, 0, 300));
    struct row_call call = {.topic_id = topic_id, .segment_id = 1};
    call.segment =
        (struct kfl__segment_row){.segment_id = 1, .state = KFL_SEGMENT_ROW_MAKING, .size = 65536};
    assert_ok(kfl__catalog_change_run(catalog, run_put_segment, &call));
    uint32_t slot = partition_row(topic_id, 0).slot;

    assert_ok(delete_topic("t"));
    ck_assert_int_eq(committed_offset("g", topic_id, 0), KFL_E_NOT_FOUND);
    ck_assert_int_eq(committed_offset("h", topic_id, 1), KFL_E_NOT_FOUND);
    ck_assert_int_eq(committed_offset("g", other_id, 0), 300);
    assert_code(kfl__catalog_look(catalog, run_get_segment, &call), KFL_E_NOT_FOUND);

    uint64_t again_id;
    assert_ok(create_topic("t", 2, NULL, &again_id));
    ck_assert_uint_gt(again_id, other_id);
    struct kfl__partition_row row = partition_row(again_id, 0);
    ck_assert_int_eq(row.start_offset, 0);
    ck_assert_int_eq(row.next_segment_id, 1);
    ck_assert_uint_eq(row.slot, slot);
    ck_assert_uint_eq(row.incarnation, 2);
    ck_assert_int_eq(committed_offset("g", again_id, 0), KFL_E_NOT_FOUND);
}
END_TEST

START_TEST(rows_of_a_deleted_topic_cannot_be_put)
{
    uint64_t topic_id;
    assert_ok(create_topic("t", 1, NULL, &topic_id));
    struct row_call call = {.topic_id = topic_id, .row = partition_row(topic_id, 0)};
    call.segment = (struct kfl__segment_row){.segment_id = 1, .state = KFL_SEGMENT_ROW_LIVE};
    assert_ok(delete_topic("t"));
    assert_code(kfl__catalog_change_run(catalog, run_put_partition, &call),
                KFL_E_UNKNOWN_TOPIC_OR_PARTITION);
    assert_code(kfl__catalog_change_run(catalog, run_put_segment, &call),
                KFL_E_UNKNOWN_TOPIC_OR_PARTITION);
    assert_code(commit_offset("g", topic_id, 0, 1), KFL_E_UNKNOWN_TOPIC_OR_PARTITION);
}
END_TEST

START_TEST(a_deleted_topic_is_trash_until_it_is_dropped)
{
    uint64_t first_id;
    uint64_t second_id;
    assert_ok(create_topic("a", 1, NULL, &first_id));
    assert_ok(create_topic("b", 1, NULL, &second_id));
    assert_ok(delete_topic("a"));
    assert_ok(delete_topic("b"));
    uint64_t sum = 0;
    assert_ok(kfl__catalog_look(catalog, run_trash, &sum));
    ck_assert_uint_eq(sum, first_id + second_id);
    assert_ok(kfl__catalog_change_run(catalog, run_trash_drop, &first_id));
    assert_ok(kfl__catalog_change_run(catalog, run_trash_drop, &first_id));
    sum = 0;
    assert_ok(kfl__catalog_look(catalog, run_trash, &sum));
    ck_assert_uint_eq(sum, second_id);
}
END_TEST

START_TEST(ten_thousand_partitions_are_one_quick_change)
{
    uint64_t transactions;
    uint64_t changes;
    kfl__catalog_counters(catalog, &transactions, &changes);
    uint64_t topic_id;
    clock_t start = clock();
    assert_ok(create_topic("wide", 10000, NULL, &topic_id));
    double cpu_ms = (double)(clock() - start) * 1000 / CLOCKS_PER_SEC;
    uint64_t after;
    kfl__catalog_counters(catalog, &after, &changes);
    ck_assert_uint_eq(after - transactions, 1);
    ck_assert_uint_eq(partition_row(topic_id, 9999).slot, 9999);
    /* Processor time, and far more of it than is needed: sanitizers and busy machines. */
    ck_assert_msg(cpu_ms < 1000, "%f ms", cpu_ms);
    if (getenv("KFL_TEST_TIMES") != NULL)
        fprintf(stderr, "# 10000 partitions: %.1f ms of processor time\n", cpu_ms);
    assert_ok(delete_topic("wide"));
    assert_ok(create_topic("wide", 10000, NULL, &topic_id));
    ck_assert_uint_eq(partition_row(topic_id, 9999).slot, 9999);
    ck_assert_uint_eq(partition_row(topic_id, 9999).incarnation, 2);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("catalog/topics");
    TCase *rows = tcase_create("rows");
    tcase_add_checked_fixture(rows, set_up_catalog, tear_down_catalog);
    tcase_add_test(rows, a_topic_comes_back_as_it_was_put);
    tcase_add_test(rows, an_unknown_name_is_told_with_its_name);
    tcase_add_test(rows, names_that_differ_only_in_dot_and_underscore_collide);
    tcase_add_test(rows, creating_an_existing_topic_changes_nothing);
    tcase_add_test(rows, partitions_can_only_grow);
    tcase_add_test(rows, a_topic_has_at_least_one_partition);
    tcase_add_test(rows, altered_properties_replace_the_old_ones);
    tcase_add_test(rows, the_version_rises_with_each_change);
    tcase_add_test(rows, topics_are_listed_in_order_of_name);
    tcase_add_test(rows, a_deleted_topic_leaves_no_memory);
    tcase_add_test(rows, rows_of_a_deleted_topic_cannot_be_put);
    tcase_add_test(rows, a_deleted_topic_is_trash_until_it_is_dropped);
    tcase_add_test(rows, ten_thousand_partitions_are_one_quick_change);
    suite_add_tcase(suite, rows);
    return suite;
}
