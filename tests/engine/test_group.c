/* SPDX-License-Identifier: MIT */
/* Committed offsets: durable first, then true. */
#include "base/fault.h"
#include "base/memory.h"
#include "engine/committer.h"
#include "engine/group.h"
#include "one_partition.h"
#include "suite.h"

static int64_t durable(void)
{
    return atomic_load(&partition->slot->durable_offset);
}

/* rule:R8 */
START_TEST(a_commit_makes_durable_what_it_covers)
{
    core_append_run(partition, 0, 10, 100);
    struct kfl__group_item item = {.partition = partition, .offset = 7, .metadata = "m", .metadata_size = 1};
    assert_ok(kfl__group_commit(core, "g", NULL, "", &item, 1));
    ck_assert_int_ge(durable(), 7);
    item.offset = 11;
    assert_code(kfl__group_commit(core, "g", NULL, "", &item, 1), KFL_E_OFFSET_OUT_OF_RANGE);
    assert_ok(kfl__group_committed(core, "g", &item, 1));
    ck_assert_int_eq(item.offset, 7);
    ck_assert_uint_eq(item.metadata_size, 1);
    kfl__free((void *)(uintptr_t)item.metadata);
}
END_TEST

/* A client that has something more as soon as something was settled, so many times. */
struct eager {
    struct kfl__commit_client client;
    struct kfl__group_item item;
    int commits, more;
};

static bool eager_take(struct kfl__commit_client *client, struct kfl__group_commit *commit)
{
    struct eager *eager = (struct eager *)(void *)client;
    *commit = (struct kfl__group_commit){
        .group = "g", .instance_id = "", .items = &eager->item, .count = 1};
    return true;
}

static void eager_settle(struct kfl__commit_client *client, struct kfl__group_commit *commit)
{
    struct eager *eager = (struct eager *)(void *)client;
    assert_ok(commit->result);
    eager->commits++;
    if (eager->more > 0) {
        eager->more--;
        kfl__committer_add(core, client);
    }
}

START_TEST(who_commits_again_and_again_keeps_nobody_else)
{
    struct eager busy = {
        .client = {.take = eager_take, .settle = eager_settle},
        .item = {.partition = partition},
        .more = 1000,
    };
    struct eager waits = busy;
    waits.more = 0;
    assert_ok(kfl__committer_start(core));
    kfl__committer_run(core); /* nothing waits */
    core_append_run(partition, 0, 10, 100);
    kfl__committer_add(core, &busy.client);
    kfl__committer_add(core, &waits.client);
    kfl__committer_add(core, &waits.client); /* is listed already */
    kfl__committer_run(core);
    ck_assert_int_eq(waits.commits, 1);
    ck_assert_int_eq(busy.commits, 1);
    kfl__committer_run(core);
    ck_assert_int_eq(busy.commits, 2);
    busy.more = 0;
    kfl__committer_run(core);
    kfl__committer_run(core);
    ck_assert_int_eq(busy.commits, 3);
    kfl__committer_destroy(core);
}
END_TEST

#ifdef KFL_FAULT_POINTS
/* rule:R8 */
START_TEST(without_a_sync_nothing_is_committed)
{
    core_append_run(partition, 0, 100, 3000);
    assert_ok(kfl__fault_arm("file.sync:*=EIO"));
    struct kfl__group_item item = {.partition = partition, .offset = 50};
    ck_assert_int_lt(kfl__group_commit(core, "g", NULL, "", &item, 1), 0);
    assert_ok(kfl__fault_arm(NULL));
    assert_code(kfl__group_commit(core, "g", NULL, "", &item, 1), KFL_E_FAILED);
    assert_ok(kfl__group_committed(core, "g", &item, 1));
    ck_assert_int_eq(item.offset, -1);
}
END_TEST
#endif

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("engine/group");
    TCase *all = tcase_create("group");
    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_set_timeout(all, 60);
    tcase_add_test(all, a_commit_makes_durable_what_it_covers);
    tcase_add_test(all, who_commits_again_and_again_keeps_nobody_else);
#ifdef KFL_FAULT_POINTS
    tcase_add_test(all, without_a_sync_nothing_is_committed);
#endif
    suite_add_tcase(suite, all);
    return suite;
}
