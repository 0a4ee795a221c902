/* SPDX-License-Identifier: MIT */
/* Segment rows: the manifest's order, and the short list of leftovers. */
#include "fixture.h"
#include "suite.h"

static uint64_t topic_id;

static void set_up_topic(void)
{
    set_up_catalog();
    assert_ok(create_topic("t", 3, NULL, &topic_id));
}

static int put_segment(int32_t partition, int64_t segment_id, uint32_t state)
{
    struct row_call call = {.topic_id = topic_id, .partition = partition};
    call.segment = (struct kfl__segment_row){.segment_id = segment_id, .state = state};
    return kfl__catalog_change_run(catalog, run_put_segment, &call);
}

struct seen {
    int64_t ids[64];
    int32_t partitions[64];
    int count;
    int stop_at;
};

static int note_segment(const struct kfl__segment_row *row, void *context)
{
    struct seen *seen = context;
    seen->ids[seen->count++] = row->segment_id;
    return seen->count == seen->stop_at ? KFL_E_ABORTED : 0;
}

static int note_leftover(uint64_t topic, int32_t partition, const struct kfl__segment_row *row,
                         void *context)
{
    ck_assert_uint_eq(topic, topic_id);
    struct seen *seen = context;
    seen->partitions[seen->count] = partition;
    seen->ids[seen->count++] = row->segment_id;
    return 0;
}

static int run_visit_one(struct kfl__catalog_txn *txn, void *context)
{
    return kfl__segments_visit(txn, topic_id, 1, note_segment, context);
}

static int run_visit_leftovers(struct kfl__catalog_txn *txn, void *context)
{
    return kfl__segments_visit_leftovers(txn, note_leftover, context);
}

static int run_remove(struct kfl__catalog_txn *txn, void *context)
{
    const struct row_call *call = context;
    return kfl__segments_remove(txn, call->topic_id, call->partition, call->segment_id);
}

START_TEST(a_segment_comes_back_as_it_was_put)
{
    struct row_call put = {.topic_id = topic_id, .partition = 2, .segment_id = 7};
    put.segment = (struct kfl__segment_row){
        .segment_id = 7,
        .state = KFL_SEGMENT_ROW_SEALED,
        .maker = 11,
        .maker_start = UINT64_MAX - 3,
        .base_offset = 1000,
        .end_offset = 2000,
        .used = 60000,
        .size = 65536,
        .seed = 0x0123456789abcdef,
        .first_timestamp_ms = -1,
        .max_timestamp_ms = 1 << 30,
        .max_timestamp_offset = 1999,
        .record_count = 1000,
        .clean_offset = 1207,
        .horizon_ms = 1700000000007,
    };
    assert_ok(kfl__catalog_change_run(catalog, run_put_segment, &put));
    reopen_catalog();
    struct row_call got = {.topic_id = topic_id, .partition = 2, .segment_id = 7};
    assert_ok(kfl__catalog_look(catalog, run_get_segment, &got));
    ck_assert_mem_eq(&got.segment, &put.segment, sizeof put.segment);
    got.partition = 1;
    assert_code(kfl__catalog_look(catalog, run_get_segment, &got), KFL_E_NOT_FOUND);
}
END_TEST

START_TEST(a_visit_sees_one_partition_in_order_of_id)
{
    static const int64_t ids[] = {300, 2, 70000, 1, 255, 256};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
        assert_ok(put_segment(1, ids[i], KFL_SEGMENT_ROW_LIVE));
    assert_ok(put_segment(0, 5, KFL_SEGMENT_ROW_LIVE));
    assert_ok(put_segment(2, 6, KFL_SEGMENT_ROW_LIVE));
    struct seen seen = {0};
    assert_ok(kfl__catalog_look(catalog, run_visit_one, &seen));
    static const int64_t sorted[] = {1, 2, 255, 256, 300, 70000};
    ck_assert_int_eq(seen.count, 6);
    ck_assert_mem_eq(seen.ids, sorted, sizeof sorted);

    seen = (struct seen){.stop_at = 2};
    ck_assert_int_eq(kfl__catalog_look(catalog, run_visit_one, &seen), KFL_E_ABORTED);
    ck_assert_int_eq(seen.count, 2);
}
END_TEST

START_TEST(leftovers_are_those_on_their_way_in_or_out) /* rule:R4 */
{
    assert_ok(put_segment(0, 1, KFL_SEGMENT_ROW_MAKING));
    assert_ok(put_segment(0, 2, KFL_SEGMENT_ROW_SEALED));
    assert_ok(put_segment(1, 1, KFL_SEGMENT_ROW_MAKING));
    assert_ok(put_segment(1, 1, KFL_SEGMENT_ROW_READY));
    assert_ok(put_segment(2, 9, KFL_SEGMENT_ROW_LIVE));
    assert_ok(put_segment(2, 9, KFL_SEGMENT_ROW_TRASH));
    struct seen seen = {0};
    assert_ok(kfl__catalog_look(catalog, run_visit_leftovers, &seen));
    ck_assert_int_eq(seen.count, 2);
    ck_assert_int_eq(seen.partitions[0], 0);
    ck_assert_int_eq(seen.ids[0], 1);
    ck_assert_int_eq(seen.partitions[1], 2);
    ck_assert_int_eq(seen.ids[1], 9);

    struct row_call call = {.topic_id = topic_id, .partition = 2, .segment_id = 9};
    assert_ok(kfl__catalog_change_run(catalog, run_remove, &call));
    assert_ok(kfl__catalog_change_run(catalog, run_remove, &call));
    seen = (struct seen){0};
    assert_ok(kfl__catalog_look(catalog, run_visit_leftovers, &seen));
    ck_assert_int_eq(seen.count, 1);
}
END_TEST

struct sweep {
    struct kfl__catalog_txn *txn;
    int count;
};

static int sweep_one(uint64_t topic, int32_t partition, const struct kfl__segment_row *row,
                     void *context)
{
    struct sweep *sweep = context;
    sweep->count++;
    return kfl__segments_remove(sweep->txn, topic, partition, row->segment_id);
}

static int run_sweep(struct kfl__catalog_txn *txn, void *context)
{
    struct sweep *sweep = context;
    *sweep = (struct sweep){.txn = txn};
    return kfl__segments_visit_leftovers(txn, sweep_one, sweep);
}

START_TEST(a_visitor_may_remove_what_it_is_shown)
{
    for (int64_t id = 1; id <= 200; id++)
        assert_ok(put_segment((int32_t)(id % 3), id,
                              id % 2 == 0 ? KFL_SEGMENT_ROW_TRASH : KFL_SEGMENT_ROW_LIVE));
    struct sweep sweep;
    assert_ok(kfl__catalog_change_run(catalog, run_sweep, &sweep));
    ck_assert_int_eq(sweep.count, 100);
    assert_ok(kfl__catalog_change_run(catalog, run_sweep, &sweep));
    ck_assert_int_eq(sweep.count, 0);
    struct row_call live = {.topic_id = topic_id, .partition = 1, .segment_id = 1};
    assert_ok(kfl__catalog_look(catalog, run_get_segment, &live));
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("catalog/segments");
    TCase *rows = tcase_create("rows");
    tcase_add_checked_fixture(rows, set_up_topic, tear_down_catalog);
    tcase_set_timeout(rows, 60);
    tcase_add_test(rows, a_segment_comes_back_as_it_was_put);
    tcase_add_test(rows, a_visit_sees_one_partition_in_order_of_id);
    tcase_add_test(rows, leftovers_are_those_on_their_way_in_or_out);
    tcase_add_test(rows, a_visitor_may_remove_what_it_is_shown);
    suite_add_tcase(suite, rows);
    return suite;
}
