/* SPDX-License-Identifier: MIT */
/* Who opened the store, and how it ended. */
#include <signal.h>
#include <sys/prctl.h>

#include "child.h"
#include "inspect_fixture.h"
#include "suite.h"

static kfl_history *history;

static const kfl_history_entry *entry(int32_t index)
{
    const kfl_history_entry *found = kfl_history_get(history, index);
    ck_assert_ptr_nonnull(found);
    return found;
}

static void forget(void)
{
    kfl_history_release(history);
    history = NULL;
    inspect_tear_down();
}

START_TEST(an_open_and_a_close_are_told)
{
    inspect_reopen();
    ck_assert_int_eq(kfl_history_list(store, &history), 0);
    ck_assert_int_eq(kfl_history_count(history), 3);
    const int32_t kinds[] = {KFL_HISTORY_OPEN, KFL_HISTORY_CLOSE, KFL_HISTORY_OPEN};
    for (int32_t i = 0; i < 3; i++) {
        ck_assert_int_eq(entry(i)->kind, kinds[i]);
        ck_assert_int_eq(entry(i)->process_id, getpid());
        ck_assert_str_eq(entry(i)->topic, "");
        ck_assert_int_eq(entry(i)->partition, -1);
        ck_assert_int_gt(entry(i)->time_ms, NOW_MS);
        ck_assert_int_gt((int)strlen(entry(i)->program), 0);
        ck_assert_int_le((int)strlen(entry(i)->program), 15);
    }
    ck_assert_int_le(entry(0)->time_ms, entry(2)->time_ms);
}
END_TEST

/* X44 */
static int open_and_be_killed(void *context)
{
    kfl_store *mine;
    (void)context;
    prctl(PR_SET_NAME, "the victim");
    if (kfl_store_open(temp_dir_path(), NULL, &mine) < 0)
        return 1;
    raise(SIGKILL);
    return 2;
}

START_TEST(who_was_killed_is_told_at_the_next_open)
{
    OK(kfl_store_close(store));
    pid_t pid = child_start(open_and_be_killed, NULL);
    ck_assert_int_eq(child_end(pid), -SIGKILL);
    store = inspect_open(NULL, NULL);
    ck_assert_int_eq(kfl_history_list(store, &history), 0);
    int32_t count = kfl_history_count(history);
    ck_assert_int_ge(count, 3);
    ck_assert_int_eq(entry(count - 1)->kind, KFL_HISTORY_OPEN);
    ck_assert_int_eq(entry(count - 2)->kind, KFL_HISTORY_KILLED);
    ck_assert_int_eq(entry(count - 2)->process_id, pid);
    ck_assert_str_eq(entry(count - 2)->program, "the victim");
}
END_TEST

START_TEST(a_list_outlives_its_store)
{
    ck_assert_int_eq(kfl_history_list(store, &history), 0);
    OK(kfl_store_close(store));
    store = NULL;
    ck_assert_int_eq(entry(0)->kind, KFL_HISTORY_OPEN);
    ck_assert_int_eq(entry(0)->process_id, getpid());
}
END_TEST

START_TEST(nonsense_is_refused)
{
    ck_assert_int_eq(kfl_history_list(NULL, &history), KFL_E_INVALID);
    ck_assert_int_eq(kfl_history_list(store, NULL), KFL_E_INVALID);
    ck_assert_int_eq(kfl_history_count(NULL), 0);
    ck_assert_ptr_null(kfl_history_get(NULL, 0));
    kfl_history_release(NULL);
    ck_assert_int_eq(kfl_history_list(store, &history), 0);
    ck_assert_ptr_null(kfl_history_get(history, -1));
    ck_assert_ptr_null(kfl_history_get(history, kfl_history_count(history)));
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("history");
    TCase *tests = tcase_create("history");
    tcase_add_checked_fixture(tests, inspect_set_up, forget);
    tcase_add_test(tests, an_open_and_a_close_are_told);
    tcase_add_test(tests, who_was_killed_is_told_at_the_next_open);
    tcase_add_test(tests, a_list_outlives_its_store);
    tcase_add_test(tests, nonsense_is_refused);
    suite_add_tcase(suite, tests);
    return suite;
}
