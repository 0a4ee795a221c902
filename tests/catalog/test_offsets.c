/* SPDX-License-Identifier: MIT */
/* Committed offsets: by group, by partition, with metadata. */
#include "fixture.h"
#include "suite.h"

static uint64_t topic_id;
static uint64_t other_id;

static void set_up_topics(void)
{
    set_up_catalog();
    assert_ok(create_topic("t", 3, NULL, &topic_id));
    assert_ok(create_topic("other", 3, NULL, &other_id));
}

struct metadata_call {
    struct row_call row;
    char metadata[KFL_METADATA_MAX];
    bool is_missing;
};

static int run_get_metadata(struct kfl__catalog_txn *txn, void *context)
{
    struct metadata_call *call = context;
    int r = kfl__offsets_get(txn, call->row.group, call->row.topic_id, call->row.partition,
                             &call->row.offset);
    if (r < 0)
        return r;
    call->is_missing = call->row.offset.metadata == NULL;
    if (!call->is_missing)
        memcpy(call->metadata, call->row.offset.metadata, call->row.offset.metadata_size);
    return 0;
}

START_TEST(a_committed_offset_comes_back_with_its_metadata)
{
    char metadata[KFL_METADATA_MAX];
    memset(metadata, 'm', sizeof metadata);
    metadata[17] = '\0';
    static const uint32_t sizes[] = {0, 1, 100, KFL_METADATA_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct row_call put = {.group = "g", .topic_id = topic_id, .partition = 2};
        put.offset = (struct kfl__offset_row){.offset = INT64_MAX - 1,
                                              .commit_ms = 99,
                                              .metadata = metadata,
                                              .metadata_size = sizes[i]};
        assert_ok(kfl__catalog_change_run(catalog, run_put_offset, &put));
        reopen_catalog();
        struct metadata_call got = {.row = {.group = "g", .topic_id = topic_id, .partition = 2}};
        assert_ok(kfl__catalog_look(catalog, run_get_metadata, &got));
        ck_assert_int_eq(got.row.offset.offset, INT64_MAX - 1);
        ck_assert_int_eq(got.row.offset.commit_ms, 99);
        ck_assert_uint_eq(got.row.offset.metadata_size, sizes[i]);
        ck_assert(!got.is_missing);
        ck_assert_int_eq(memcmp(got.metadata, metadata, sizes[i]), 0);
    }
}
END_TEST

START_TEST(missing_metadata_is_not_empty_metadata)
{
    assert_ok(commit_offset("g", topic_id, 0, 5));
    struct metadata_call got = {.row = {.group = "g", .topic_id = topic_id}};
    assert_ok(kfl__catalog_look(catalog, run_get_metadata, &got));
    ck_assert(got.is_missing);
}
END_TEST

START_TEST(the_newest_commit_stands_also_when_it_is_lower)
{
    assert_ok(commit_offset("g", topic_id, 0, 50));
    assert_ok(commit_offset("g", topic_id, 0, 20));
    ck_assert_int_eq(committed_offset("g", topic_id, 0), 20);
    ck_assert_int_eq(committed_offset("g", topic_id, 1), KFL_E_NOT_FOUND);
    ck_assert_int_eq(committed_offset("gg", topic_id, 0), KFL_E_NOT_FOUND);
}
END_TEST

static int note_offset(uint64_t topic, int32_t partition, const struct kfl__offset_row *row,
                       void *context)
{
    char *text = context;
    sprintf(text + strlen(text), "%c%d=%d ", topic == topic_id ? 't' : 'o', partition,
            (int)row->offset);
    return 0;
}

static int run_visit_group(struct kfl__catalog_txn *txn, void *context)
{
    return kfl__offsets_visit_group(txn, "app", note_offset, context);
}

static int note_group(const char *group, void *context)
{
    strcat(strcat(context, group), " ");
    return 0;
}

static int run_visit_groups(struct kfl__catalog_txn *txn, void *context)
{
    return kfl__offsets_visit_groups(txn, note_group, context);
}

START_TEST(a_group_is_not_mixed_up_with_one_whose_name_begins_alike)
{
    assert_ok(commit_offset("app", topic_id, 2, 3));
    assert_ok(commit_offset("app", topic_id, 0, 1));
    assert_ok(commit_offset("app", other_id, 1, 2));
    assert_ok(commit_offset("ap", topic_id, 1, 7));
    assert_ok(commit_offset("app2", topic_id, 1, 8));
    assert_ok(commit_offset("app\x01", topic_id, 1, 9));
    char text[256] = "";
    assert_ok(kfl__catalog_look(catalog, run_visit_group, text));
    ck_assert_str_eq(text, "t0=1 t2=3 o1=2 ");
    text[0] = '\0';
    assert_ok(kfl__catalog_look(catalog, run_visit_groups, text));
    ck_assert_str_eq(text, "ap app app\x01 app2 ");
}
END_TEST

START_TEST(the_longest_group_name_fits)
{
    char group[KFL_GROUP_NAME_MAX + 1];
    memset(group, 0xff, sizeof group - 1);
    group[sizeof group - 1] = '\0';
    assert_ok(commit_offset(group, topic_id, 0, 9));
    ck_assert_int_eq(committed_offset(group, topic_id, 0), 9);
    char text[512] = "";
    assert_ok(kfl__catalog_look(catalog, run_visit_groups, text));
    ck_assert_uint_eq(strlen(text), sizeof group);
}
END_TEST

static int run_highest(struct kfl__catalog_txn *txn, void *context)
{
    struct row_call *call = context;
    return kfl__offsets_highest(txn, call->topic_id, call->partition, &call->highest);
}

static int64_t highest(uint64_t topic, int32_t partition)
{
    struct row_call call = {.topic_id = topic, .partition = partition};
    assert_ok(kfl__catalog_look(catalog, run_highest, &call));
    return call.highest;
}

static int run_remove_offset(struct kfl__catalog_txn *txn, void *context)
{
    const struct row_call *call = context;
    return kfl__offsets_remove(txn, call->group, call->topic_id, call->partition);
}

START_TEST(the_highest_offset_is_that_of_any_group)
{
    ck_assert_int_eq(highest(topic_id, 0), -1);
    assert_ok(commit_offset("a", topic_id, 0, 5));
    assert_ok(commit_offset("b", topic_id, 0, 50));
    assert_ok(commit_offset("c", topic_id, 0, 7));
    assert_ok(commit_offset("c", topic_id, 1, 700));
    assert_ok(commit_offset("c", other_id, 0, 7000));
    ck_assert_int_eq(highest(topic_id, 0), 50);
    struct row_call call = {.group = "b", .topic_id = topic_id};
    assert_ok(kfl__catalog_change_run(catalog, run_remove_offset, &call));
    assert_ok(kfl__catalog_change_run(catalog, run_remove_offset, &call));
    ck_assert_int_eq(highest(topic_id, 0), 7);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("catalog/offsets");
    TCase *rows = tcase_create("rows");
    tcase_add_checked_fixture(rows, set_up_topics, tear_down_catalog);
    tcase_add_test(rows, a_committed_offset_comes_back_with_its_metadata);
    tcase_add_test(rows, missing_metadata_is_not_empty_metadata);
    tcase_add_test(rows, the_newest_commit_stands_also_when_it_is_lower);
    tcase_add_test(rows, a_group_is_not_mixed_up_with_one_whose_name_begins_alike);
    tcase_add_test(rows, the_longest_group_name_fits);
    tcase_add_test(rows, the_highest_offset_is_that_of_any_group);
    suite_add_tcase(suite, rows);
    return suite;
}
