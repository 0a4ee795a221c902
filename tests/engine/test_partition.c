/* SPDX-License-Identifier: MIT */
/* Appends and rolls: what other processes see, and what they do when one dies or stops in the middle. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/barrier.h"
#include "base/fault.h"
#include "child.h"
#include "engine/janitor.h"
#include "engine/sync.h"
#include "one_partition.h"
#include "suite.h"

/* Numbers go by position: what is read must be what each offset was given. */
static void go_on(int64_t upto)
{
    core_append_run(partition, kfl__slot_end(partition->slot), upto, 3000);
    ck_assert_int_eq(core_read(partition, 0, NULL), upto);
}

static int run_catalog(struct kfl__catalog_txn *txn, void *context)
{
    (void)txn;
    (void)context;
    return 0;
}

static int begin_transaction_under_append(void *context)
{
    (void)context;
    if (kfl__partition_lock(partition, -1) < 0)
        return 1;
    (void)kfl__catalog_change_run(core->catalog, run_catalog, NULL);
    return 2;
}

/* rule:R17 */
START_TEST(a_catalog_transaction_under_an_append_lock_is_a_bug)
{
    ck_assert_int_eq(child_run_quietly(begin_transaction_under_append, NULL), -SIGABRT);
    go_on(3);
}
END_TEST

/* rule:R18: such a state file is made anew once nobody lives; the records stand. */
START_TEST(a_lock_of_nobody_condemns_the_state_file)
{
    go_on(5);
    /* A thread that cannot be: above every id that the kernel gives. */
    int *word = (int *)(void *)&partition->slot->append.robust.mutex.__data.__lock;
    __atomic_store_n(word, 0x3ffffffe, __ATOMIC_SEQ_CST);
    ck_assert_int_eq(core_append_within(partition, 5, 10, false, 20), KFL_E_BUSY);
    ck_assert_uint_eq(atomic_load(&core->shared->bad), 1);
    core_abandon(core);
    core = core_open(temp_dir_path(), NULL);
    partition = core_partition(core, NULL);
    ck_assert_int_eq(core_read(partition, 0, NULL), 5);
    ck_assert_int_ge(core_append(partition, 5, 10, false), 5);
}
END_TEST

START_TEST(an_expected_offset_is_checked_with_the_append)
{
    struct kfl__record_head head = {.key_size = -1, .value_size = -1};
    struct kfl__append how = {
        .expected_offset = 1, .block_ms = 1000, .settings = kfl__topic_shape(partition->topic)->settings};
    struct kfl__payload payload = {
        .size = sizeof head, .unpacked_size = sizeof head, .record_count = 1, .bytes = &head};
    int64_t offset = -5;
    assert_code(kfl__partition_append(partition, &payload, &how, &offset), KFL_E_CONFLICT);
    ck_assert_int_eq(offset, -5);
    how.expected_offset = 0;
    assert_ok(kfl__partition_append(partition, &payload, &how, &offset));
    ck_assert_int_eq(offset, 0);
}
END_TEST

/* rule:R3 */
START_TEST(an_end_mark_names_the_next_file_and_its_first_offset)
{
    int64_t first = 0;
    go_on(1);
    first = atomic_load(&partition->slot->active.id);
    go_on(40);
    struct kfl__view *view = NULL;
    struct kfl__segment *segment = NULL;
    struct kfl__batch_header header = {0};
    assert_ok(kfl__partition_view(partition, &view));
    ck_assert_int_gt(view->entry_count, 1);
    ck_assert_int_eq(view->entries[0].segment_id, first);
    assert_ok(kfl__partition_segment(partition, view, 0, &segment));
    uint64_t place = KFL_SEGMENT_FIRST_PLACE;
    while (kfl__batch_verify(segment->bytes, place, segment->size, segment->seed, &header) == 0 &&
           (header.flags & KFL_BATCH_FLAG_END) == 0)
        place = kfl__batch_next_place(place, &header);
    ck_assert_int_ne(header.flags & KFL_BATCH_FLAG_END, 0);
    ck_assert_int_eq(header.max_timestamp_ms, view->entries[1].segment_id);
    ck_assert_int_eq(header.base_offset, view->entries[1].base_offset);
    kfl__segment_release(segment);
    kfl__view_release(view);
}
END_TEST

/* rule:R3: small first files. */
START_TEST(the_first_file_is_small_and_each_next_one_larger)
{
    struct kfl__topic *topic = core_topic(core, "large", 1, NULL);
    struct kfl__partition *large;
    assert_ok(kfl__topic_partition(topic, 0, &large));
    ck_assert_int_eq(atomic_load(&large->slot->active.id), 0);
    core_append_run(large, 0, 1, 10);
    ck_assert_int_eq(atomic_load(&large->slot->active.size), KFL_SEGMENT_SIZE_MIN);
    core_append_run(large, 1, 40, 3000);
    ck_assert_int_gt(atomic_load(&large->slot->active.size), KFL_SEGMENT_SIZE_MIN);
    kfl__topic_release(topic);
}
END_TEST

START_TEST(a_batch_larger_than_a_segment_gets_a_file_of_its_size)
{
    go_on(3);
    ck_assert_int_eq(core_append(partition, 3, 300000, false), 3);
    go_on(60);
}
END_TEST

/* rule:R11 */
START_TEST(only_appends_through_the_map_ask_for_pages)
{
    ck_assert_int_eq(core_append(partition, 0, 100, true), 0);
    uint64_t touched = atomic_load(&partition->writing->touched_to);
    for (int64_t i = 1; i < 100; i++)
        ck_assert_int_eq(core_append(partition, i, 100, true), i);
    ck_assert_uint_eq(atomic_load(&partition->writing->touched_to), touched);
    core_append_run(partition, 100, 110, 3000);
    ck_assert_uint_gt(atomic_load(&partition->writing->touched_to), touched);
}
END_TEST

/* rule:R25 */
START_TEST(where_blocks_move_nothing_is_stored_through_a_map)
{
    core->by_file = true;
    go_on(60);
    ck_assert_ptr_null(partition->writing->writing);
    core_abandon(core);
    core = core_open(temp_dir_path(), NULL);
    core->by_file = true;
    partition = core_partition(core, NULL);
    go_on(61); /* in a file that recovery has made */
    ck_assert_ptr_null(partition->writing->writing);
    go_on(120);
    ck_assert_ptr_null(partition->writing->writing);
}
END_TEST

START_TEST(a_partition_at_rest_has_no_file_open_and_goes_on)
{
    go_on(60);
    assert_ok(kfl__sync_wait(partition, 60, -1));
    for (int round = 0; round < 40; round++)
        assert_ok(kfl__janitor_run(core, -1));
    ck_assert_ptr_null(partition->writing);
    ck_assert_ptr_null(partition->writing_next);
    ck_assert_int_eq(partition->kept_count, 0);
    go_on(120);
    /* rule:R7: what is not durable keeps its descriptor, however long nobody comes. */
    struct kfl__segment *writing = partition->writing;
    for (int round = 0; round < 40; round++) {
        kfl__partition_rest(partition);
        ck_assert_ptr_eq(partition->writing, writing);
        ck_assert_int_ge(atomic_load(&writing->fd), 0);
    }
}
END_TEST

#ifdef KFL_FAULT_POINTS
struct death {
    const char *point;
    int32_t appends; /* before it is armed */
    int32_t size;    /* 0: few bytes, and alone: the lock is lent to it by then */
};

static int64_t append_number(const struct death *death, struct kfl__partition *to, int64_t number)
{
    return death->size == 0 ? core_append_alone(to, number) : core_append(to, number, (uint32_t)death->size, false);
}

/* Another process appends, and ends at the point. */
static int die_at(void *context)
{
    const struct death *death = context;
    char plan[80];
    struct kfl__core *own = NULL;
    if (core_try_open(temp_dir_path(), NULL, &own) < 0)
        return 1;
    struct kfl__partition *other = core_partition(own, NULL);
    int64_t number = kfl__slot_end(other->slot);
    for (int32_t i = 0; i < death->appends; i++, number++)
        if (append_number(death, other, number) != number)
            return 2;
    if (death->size == 0 && kfl__barrier_joined() != kfl__lendable_is_lent(&other->slot->append))
        return 6;
    snprintf(plan, sizeof plan, "%s=kill", death->point);
    if (kfl__fault_arm(plan) < 0)
        return 3;
    for (int32_t i = 0; i < 200; i++, number++)
        if (append_number(death, other, number) != number)
            return 4;
    return 5;
}

static const char *const append_points[] = {"append.reserved", "append.before_seal", "append.laid",
                                            "append.before_publish", "append.published"};

/* rule:R1 rule:R2 */
START_TEST(an_append_that_died_is_there_or_not)
{
    const size_t points = sizeof append_points / sizeof *append_points;
    bool alone = (size_t)_i >= points;
    struct death death = {append_points[(size_t)_i % points], alone ? 200 : 3, alone ? 0 : 3000};
    go_on(5);
    uint32_t epoch = atomic_load(&partition->slot->writer_epoch);
    ck_assert_int_eq(child_run(die_at, &death), -SIGKILL);
    int64_t end = 5 + death.appends + (strcmp(death.point, "append.published") == 0 ? 1 : 0);
    /* Readers look at nothing above the word, and need nobody to mend. */
    ck_assert_int_eq(kfl__slot_end(partition->slot), end);
    ck_assert_int_eq(core_read(partition, 0, NULL), end);
    uint64_t place = kfl__word_place(atomic_load(&partition->slot->published));
    assert_ok(kfl__partition_lock(partition, -1));
    kfl__partition_unlock(partition);
    ck_assert_uint_eq(atomic_load(&partition->slot->writer_epoch), epoch + 1);
    uint8_t bytes[4096], zeros[4096] = {0};
    int fd = open(core_file(partition, atomic_load(&partition->slot->active.id)), O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(pread(fd, bytes, sizeof bytes, (off_t)place), sizeof bytes);
    close(fd);
    ck_assert_mem_eq(bytes, zeros, sizeof bytes);
    go_on(end + 60);
}
END_TEST

static const char *const roll_points[] = {"roll.marked",      "roll.before_publish", "roll.published",
                                          "prepare.listed",   "prepare.created",     "prepare.withdrawn",
                                          "prepare.ready",    "floor.raised",        "segment.created",
                                          "segment.before_sync"};

/* rule:R3 rule:R4 */
START_TEST(a_roll_that_died_is_finished_by_the_next)
{
    bool floor = strcmp(roll_points[_i], "floor.raised") == 0;
    struct death death = {roll_points[_i], floor ? 0 : 3, 3000};
    go_on(5);
    if (floor) { /* raised by itself by the first append to a file that is there already */
        ck_assert_int_lt(core_close(core), 1);
        core = core_open(temp_dir_path(), NULL);
        partition = core_partition(core, NULL);
    }
    ck_assert_int_eq(child_run(die_at, &death), -SIGKILL);
    int64_t end = kfl__slot_end(partition->slot);
    ck_assert_int_eq(core_read(partition, 0, NULL), end);
    go_on(end + 100);
    ck_assert_int_lt(core_close(core), 1);
    core = core_open(temp_dir_path(), NULL);
    partition = core_partition(core, NULL);
    ck_assert_int_eq(core_read(partition, 0, NULL), end + 100);
}
END_TEST

static int stop_at(void *context)
{
    const struct death *death = context;
    char plan[80];
    struct kfl__core *own = NULL;
    if (core_try_open(temp_dir_path(), NULL, &own) < 0)
        return 1;
    struct kfl__partition *other = core_partition(own, NULL);
    int64_t number = kfl__slot_end(other->slot), upto = number + death->appends;
    for (; number < upto; number++)
        if (append_number(death, other, number) != number)
            return 4;
    snprintf(plan, sizeof plan, "%s=stop", death->point);
    if (kfl__fault_arm(plan) < 0)
        return 2;
    int64_t offset = append_number(death, other, number);
    core_abandon(own);
    return offset >= 0 ? 0 : 3;
}

static pid_t start_and_stop(struct death *death)
{
    int status;
    pid_t pid = child_start(stop_at, death);
    ck_assert_int_eq(waitpid(pid, &status, WUNTRACED), pid);
    ck_assert_msg(WIFSTOPPED(status), "ended with %d", status);
    return pid;
}

/* rule:R18 */
START_TEST(a_stopped_appender_is_waited_for_and_named)
{
    struct death death = {"append.laid", _i == 0 ? 0 : 200, _i == 0 ? 10 : 0};
    int64_t end = 5 + death.appends;
    char expected[32];
    go_on(5);
    pid_t pid = start_and_stop(&death);
    ck_assert_int_eq(core_append_within(partition, end, 10, false, 50), KFL_E_BUSY);
    snprintf(expected, sizeof expected, "pid %d", (int)pid);
    ck_assert_msg(strstr(kfl_last_error(), expected) != NULL, "%s", kfl_last_error());
    /* Readers do not wait. */
    ck_assert_int_eq(core_read(partition, 0, NULL), end);
    ck_assert_int_eq(kill(pid, SIGCONT), 0);
    ck_assert_int_eq(child_end(pid), 0);
    ck_assert_int_eq(core_append(partition, end + 1, 10, false), end + 1);
    ck_assert_int_eq(core_read(partition, 0, NULL), end + 2);
}
END_TEST

/* rule:R4: a prepared file that is too small for one may be rolled into by another meanwhile. */
START_TEST(a_file_that_took_appends_is_not_thrown_away_as_too_small)
{
    struct death death = {"prepare.created", 0, 300000};
    go_on(15);
    assert_ok(kfl__partition_prepare(partition, kfl__topic_shape(partition->topic)->settings, 0, -1));
    int64_t prepared = atomic_load(&partition->slot->next.id);
    pid_t pid = start_and_stop(&death);
    core_append_run(partition, 15, 25, 3000);
    ck_assert_int_eq(atomic_load(&partition->slot->active.id), prepared);
    ck_assert_int_eq(kill(pid, SIGCONT), 0);
    ck_assert_int_eq(child_end(pid), 0);
    ck_assert_int_eq(core_read(partition, 0, NULL), 26);
    ck_assert_int_eq(core_append(partition, 26, 10, false), 26);
    assert_ok(core_close(core));
    core_reboot(temp_dir_path());
    core = core_open(temp_dir_path(), NULL);
    partition = core_partition(core, NULL);
    ck_assert_int_eq(core_read(partition, 0, NULL), 27);
}
END_TEST

START_TEST(memory_that_runs_out_in_an_append_changes_nothing)
{
    int64_t number = 0;
    go_on(5);
    for (int n = 1; n < 60; n++) {
        char plan[40];
        snprintf(plan, sizeof plan, "memory.alloc:%d=ENOMEM", n);
        assert_ok(kfl__fault_arm(plan));
        number = kfl__slot_end(partition->slot);
        int64_t r = core_append(partition, number, n % 3 == 0 ? 20000 : 3000, n % 2 == 0);
        assert_ok(kfl__fault_arm(NULL));
        ck_assert_msg(r == number || r == KFL_E_NOMEM, "%lld: %s", (long long)r, kfl_last_error());
        if (r == number)
            number++;
        ck_assert_int_eq(kfl__slot_end(partition->slot), number);
    }
    ck_assert_int_eq(core_read(partition, 0, NULL), number);
}
END_TEST
#endif

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("engine/partition");
    TCase *appends = tcase_create("appends");
    tcase_add_checked_fixture(appends, set_up, tear_down);
    tcase_set_timeout(appends, 60);
    tcase_add_test(appends, a_catalog_transaction_under_an_append_lock_is_a_bug);
    tcase_add_test(appends, a_lock_of_nobody_condemns_the_state_file);
    tcase_add_test(appends, an_expected_offset_is_checked_with_the_append);
    tcase_add_test(appends, an_end_mark_names_the_next_file_and_its_first_offset);
    tcase_add_test(appends, the_first_file_is_small_and_each_next_one_larger);
    tcase_add_test(appends, a_batch_larger_than_a_segment_gets_a_file_of_its_size);
    tcase_add_test(appends, only_appends_through_the_map_ask_for_pages);
    tcase_add_test(appends, where_blocks_move_nothing_is_stored_through_a_map);
    tcase_add_test(appends, a_partition_at_rest_has_no_file_open_and_goes_on);
    suite_add_tcase(suite, appends);
#ifdef KFL_FAULT_POINTS
    TCase *deaths = tcase_create("deaths");
    tcase_add_checked_fixture(deaths, set_up, tear_down);
    tcase_set_timeout(deaths, 60);
    tcase_add_loop_test(deaths, an_append_that_died_is_there_or_not, 0, 2 * sizeof append_points / sizeof *append_points);
    tcase_add_loop_test(deaths, a_roll_that_died_is_finished_by_the_next, 0, sizeof roll_points / sizeof *roll_points);
    tcase_add_loop_test(deaths, a_stopped_appender_is_waited_for_and_named, 0, 2);
    tcase_add_test(deaths, a_file_that_took_appends_is_not_thrown_away_as_too_small);
    tcase_add_test(deaths, memory_that_runs_out_in_an_append_changes_nothing);
    suite_add_tcase(suite, deaths);
#endif
    return suite;
}
