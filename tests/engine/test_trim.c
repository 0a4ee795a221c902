/* SPDX-License-Identifier: MIT */
/* Deletion of a prefix: sync, catalog, words, files, in this order. */
#include <fcntl.h>
#include <stddef.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/hash.h"
#include "child.h"
#include "engine/janitor.h"
#include "engine/retention.h"
#include "engine/segments.h"
#include "engine/sync.h"
#include "engine/topics.h"
#include "format/batch.h"
#include "one_partition.h"
#include "suite.h"

static int64_t durable(void)
{
    return atomic_load(&partition->slot->durable_offset);
}

/* rule:R9: what is deleted was durable. */
START_TEST(a_deletion_syncs_what_it_speaks_of_first)
{
    int64_t start = -1;
    core_append_run(partition, 0, 100, 3000);
    assert_ok(kfl__partition_trim(partition, 50, &start));
    ck_assert_int_eq(start, 50);
    ck_assert_int_ge(durable(), 50);
    ck_assert_int_eq(core_read(partition, 50, NULL), 50);
    assert_code(kfl__partition_trim(partition, 101, &start), KFL_E_OFFSET_OUT_OF_RANGE);
    assert_ok(kfl__partition_trim(partition, KFL_OFFSET_END, &start));
    ck_assert_int_eq(start, 100);
    core_append_run(partition, 100, 110, 3000);
    ck_assert_int_eq(core_read(partition, 100, NULL), 10);
}
END_TEST

START_TEST(a_long_prefix_goes_at_once)
{
    int64_t start;
    struct kfl__segment_row *rows = NULL;
    int32_t count = 0;
    core_append_run(partition, 0, 700, 30000);
    assert_ok(kfl__segments_rows(partition, &rows, &count));
    kfl__free(rows);
    ck_assert_int_gt(count, 300);
    assert_ok(kfl__partition_trim(partition, 690, &start));
    assert_ok(kfl__segments_rows(partition, &rows, &count));
    kfl__free(rows);
    ck_assert_int_le(count, 7);
    ck_assert_int_eq(core_read(partition, 690, NULL), 10);
}
END_TEST

/* Full files that nobody remembers, since who wrote them is dead: their rows are completed by a walk. */
static void leave_full_files(void)
{
    core_append_run(partition, 0, 300, 3000);
    assert_ok(kfl__sync_wait(partition, 300, -1));
    core_abandon(core);
    core = core_open(temp_dir_path(), NULL);
    partition = core_partition(core, NULL);
}

/* How many full files have no complete row. */
static int32_t count_incomplete(void)
{
    struct kfl__segment_row *rows = NULL;
    int32_t count = 0, incomplete = 0;
    assert_ok(kfl__segments_rows(partition, &rows, &count));
    ck_assert_int_gt(count, 12);
    for (int32_t i = 0; i < count; i++)
        incomplete += rows[i].state == KFL_SEGMENT_ROW_LIVE && rows[i].segment_id != atomic_load(&partition->slot->active.id);
    kfl__free(rows);
    return incomplete;
}

static void seal_all(void)
{
    while (kfl__janitor_run(core, 1000) > 0)
        ;
}

/* rule:R8 Damage costs what was damaged. */
START_TEST(a_file_of_a_newer_library_keeps_no_other_from_being_complete)
{
    struct kfl__segment_header header;
    int fd;
    leave_full_files();
    ck_assert_int_gt(count_incomplete(), 8);
    fd = open(core_file(partition, 2), O_RDWR | O_CLOEXEC);
    ck_assert_int_eq(pread(fd, &header, sizeof header, 0), sizeof header);
    header.format++;
    header.hash = kfl__hash64(&header, offsetof(struct kfl__segment_header, hash));
    ck_assert_int_eq(pwrite(fd, &header, sizeof header, 0), sizeof header);
    close(fd);
    seal_all();
    ck_assert_int_eq(count_incomplete(), 1);
}
END_TEST

#ifdef KFL_FAULT_POINTS
/* Nor is it forgotten: what cannot be read now may be readable in a second. */
START_TEST(a_file_that_cannot_be_read_now_is_completed_later)
{
    leave_full_files();
    assert_ok(kfl__fault_arm("file.read_at:1=EIO"));
    seal_all();
    assert_ok(kfl__fault_arm(NULL));
    ck_assert_int_le(count_incomplete(), 1);
    seal_all();
    ck_assert_int_eq(count_incomplete(), 0);
}
END_TEST

/* It is as a damaged one: the oldest still go. Both looks at it fail, whichever passage the second one is. */
START_TEST(a_file_that_cannot_be_read_keeps_no_other_from_retention)
{
    struct kfl__retention_done done = {0};
    char plan[64];
    snprintf(plan, sizeof plan, "file.read_at:1=EIO,file.read_at:%d=EIO", _i);
    kfl_config *changes;
    assert_ok(kfl_config_create(&changes));
    assert_ok(kfl_config_set(changes, "retention.bytes", "400000"));
    assert_ok(kfl__topics_configure(core, "t", changes));
    kfl_config_destroy(changes);
    leave_full_files();
    assert_ok(kfl__fault_arm(plan));
    assert_ok(kfl__retention_run(partition, &done));
    assert_ok(kfl__fault_arm(NULL));
    ck_assert_int_gt(done.segments, 3);
    ck_assert_int_eq(core_read(partition, kfl__partition_start(partition), NULL), 300 - kfl__partition_start(partition));
}
END_TEST

/* rule:R9 rule:R8 */
START_TEST(without_a_sync_nothing_is_deleted)
{
    int64_t start = -1;
    core_append_run(partition, 0, 100, 3000);
    assert_ok(kfl__fault_arm("file.sync:*=EIO"));
    ck_assert_int_lt(kfl__partition_trim(partition, 50, &start), 0);
    assert_ok(kfl__fault_arm(NULL));
    ck_assert_int_eq(start, -1);
    ck_assert_int_eq(atomic_load(&partition->slot->start_offset), 0);
    ck_assert_int_eq(core_read(partition, 0, NULL), 100);
}
END_TEST
#endif

#ifdef KFL_FAULT_POINTS
struct dying_deletion {
    const char *plan;
    int64_t before_offset;
};

static int die_in_a_deletion(void *context)
{
    const struct dying_deletion *dying = context;
    struct kfl__core *own = NULL;
    int64_t start;
    if (core_try_open(temp_dir_path(), NULL, &own) < 0 || kfl__fault_arm(dying->plan) < 0)
        return 1;
    (void)kfl__partition_trim(core_partition(own, NULL), dying->before_offset, &start);
    return 2;
}

/* rule:R4 rule:R27: a killed deleter leaves a start that holds, and files that the next opening sweeps. */
START_TEST(a_deletion_that_was_killed_holds)
{
    struct dying_deletion dying = {"trim.committed=kill", 60};
    int64_t start;
    core_append_run(partition, 0, 100, 3000);
    assert_ok(kfl__sync_wait(partition, 100, -1));
    ck_assert_int_eq(child_run(die_in_a_deletion, &dying), -SIGKILL);
    assert_ok(core_close(core));
    core_reboot(temp_dir_path());
    core = core_open(temp_dir_path(), NULL);
    partition = core_partition(core, NULL);
    ck_assert_int_eq(atomic_load(&partition->slot->start_offset), 60);
    ck_assert_int_eq(core_read(partition, 60, NULL), 40);
    ck_assert_int_ne(access(core_file(partition, 1), F_OK), 0);
    assert_ok(kfl__partition_trim(partition, 61, &start));
    ck_assert_int_eq(start, 61);
}
END_TEST

/* rule:R27: what is true in the catalog is so for who asks next, before a helper has come round. */
START_TEST(who_asks_for_the_start_brings_it_along)
{
    struct dying_deletion dying = {"trim.started=kill", 60};
    core_append_run(partition, 0, 100, 3000);
    assert_ok(kfl__sync_wait(partition, 100, -1));
    ck_assert_int_eq(child_run(die_in_a_deletion, &dying), -SIGKILL);
    if (_i != 0) {
        core_abandon(core);
        core = core_open(temp_dir_path(), NULL);
        partition = core_partition(core, NULL);
    }
    ck_assert_int_eq(kfl__partition_start(partition), 60);
    ck_assert_int_eq(core_read(partition, 60, NULL), 40);
}
END_TEST

/* rule:R27: who goes on finishes what the killed one began: the start within a round of the helper, then the files. */
START_TEST(a_deletion_that_was_killed_is_finished_by_those_who_live)
{
    static const char *const plans[] = {"trim.started=kill", "trim.committed=kill"};
    core_append_run(partition, 0, 100, 3000);
    bool reopen = _i != 0;
    /* What is off the list already waits for the sweep of the next opening. */
    for (size_t i = 0; i < (reopen ? 2 : 1); i++) {
        int64_t start = i == 0 ? 60 : 90;
        struct kfl__segment_row *rows = NULL;
        int32_t count = 0;
        char first[700];
        assert_ok(kfl__sync_wait(partition, 100, -1));
        assert_ok(kfl__segments_rows(partition, &rows, &count));
        snprintf(first, sizeof first, "%s", core_file(partition, rows[0].segment_id));
        kfl__free(rows);
        struct dying_deletion dying = {plans[i], start};
        ck_assert_int_eq(child_run(die_in_a_deletion, &dying), -SIGKILL);
        ck_assert_int_eq(access(first, F_OK), 0);
        if (reopen) {
            core_abandon(core);
            core = core_open(temp_dir_path(), NULL);
            partition = core_partition(core, NULL);
        }
        while (kfl__janitor_run(core, 1000) > 0)
            ;
        ck_assert_int_eq(atomic_load(&partition->slot->start_offset), start);
        ck_assert_msg(access(first, F_OK) != 0, "%s: %s is still there", plans[i], first);
        ck_assert_int_eq(core_read(partition, start, NULL), 100 - start);
    }
}
END_TEST
#endif

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("engine/trim");
    TCase *all = tcase_create("trim");
    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_set_timeout(all, 60);
    tcase_add_test(all, a_deletion_syncs_what_it_speaks_of_first);
    tcase_add_test(all, a_long_prefix_goes_at_once);
    tcase_add_test(all, a_file_of_a_newer_library_keeps_no_other_from_being_complete);
#ifdef KFL_FAULT_POINTS
    tcase_add_test(all, a_file_that_cannot_be_read_now_is_completed_later);
    tcase_add_loop_test(all, a_file_that_cannot_be_read_keeps_no_other_from_retention, 2, 24);
    tcase_add_test(all, without_a_sync_nothing_is_deleted);
#endif
#ifdef KFL_FAULT_POINTS
    tcase_add_test(all, a_deletion_that_was_killed_holds);
    tcase_add_loop_test(all, who_asks_for_the_start_brings_it_along, 0, 2);
    tcase_add_loop_test(all, a_deletion_that_was_killed_is_finished_by_those_who_live, 0, 2);
#endif
    suite_add_tcase(suite, all);
    return suite;
}
