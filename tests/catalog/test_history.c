/* SPDX-License-Identifier: MIT */
/* The diary: order, fields, and the thousand newest. */
#include "catalog/history.h"

#include "fixture.h"
#include "suite.h"

static int run_add(struct kfl__catalog_txn *txn, void *context)
{
    return kfl__history_add(txn, context);
}

struct add_call {
    struct kfl__history_row row;
    int count;
};

static int run_add_many(struct kfl__catalog_txn *txn, void *context)
{
    struct add_call *call = context;
    int r = 0;
    for (int i = 0; i < call->count && r >= 0; i++) {
        call->row.time_ms = i;
        r = kfl__history_add(txn, &call->row);
    }
    return r;
}

struct seen {
    struct kfl__history_row last;
    int64_t first_ms;
    int count;
};

static int note(const struct kfl__history_row *row, void *context)
{
    struct seen *seen = context;
    if (seen->count == 0)
        seen->first_ms = row->time_ms;
    else
        ck_assert_int_gt(row->time_ms, seen->last.time_ms);
    seen->last = *row;
    seen->count++;
    return 0;
}

static int run_visit(struct kfl__catalog_txn *txn, void *context)
{
    return kfl__history_visit(txn, note, context);
}

START_TEST(an_entry_comes_back_as_it_was_added)
{
    struct kfl__history_row row = {.time_ms = 12, .process_id = 4711, .kind = 3, .partition = -1};
    memset(row.topic, 't', 249);
    memset(row.program, 'p', sizeof row.program - 1);
    memset(row.text, 'x', sizeof row.text - 1);
    assert_ok(kfl__catalog_change_run(catalog, run_add, &row));
    reopen_catalog();
    struct seen seen = {0};
    assert_ok(kfl__catalog_look(catalog, run_visit, &seen));
    ck_assert_int_eq(seen.count, 1);
    ck_assert_mem_eq(&seen.last, &row, sizeof row);
}
END_TEST

START_TEST(the_newest_thousand_stay)
{
    struct add_call call = {.row = {.kind = 1, .text = "open"}, .count = 1234};
    assert_ok(kfl__catalog_change_run(catalog, run_add_many, &call));
    struct seen seen = {0};
    assert_ok(kfl__catalog_look(catalog, run_visit, &seen));
    ck_assert_int_eq(seen.count, 1000);
    ck_assert_int_eq(seen.first_ms, 234);
    ck_assert_int_eq(seen.last.time_ms, 1233);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("catalog/history");
    TCase *rows = tcase_create("rows");
    tcase_add_checked_fixture(rows, set_up_catalog, tear_down_catalog);
    tcase_add_test(rows, an_entry_comes_back_as_it_was_added);
    tcase_add_test(rows, the_newest_thousand_stay);
    suite_add_tcase(suite, rows);
    return suite;
}
