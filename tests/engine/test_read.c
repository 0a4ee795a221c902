/* SPDX-License-Identifier: MIT */
/* Cursors: gaps, damage, lost and cut files, files given back. */
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/hash.h"
#include "core.h"
#include "engine/janitor.h"
#include "engine/segments.h"
#include "engine/sync.h"
#include "format/record.h"
#include "suite.h"
#include "temp_dir.h"

static struct kfl__core *core;
static struct kfl__partition *partition;

static void open_store(const char *properties)
{
    core = core_open(temp_dir_path(), NULL);
    partition = core_partition(core, properties);
}

static void close_store(void)
{
    assert_ok(core_close(core));
    core = NULL;
}

static void set_up(void)
{
    temp_dir_make();
    open_store("segment.bytes=65536");
}

static void tear_down(void)
{
#ifdef KFL_FAULT_POINTS
    assert_ok(kfl__fault_arm(NULL));
#endif
    if (core != NULL)
        core_abandon(core);
    temp_dir_remove();
}

static int64_t first_file(void)
{
    struct kfl__view *view = NULL;
    assert_ok(kfl__partition_view(partition, &view));
    int64_t id = view->entries[0].segment_id;
    kfl__view_release(view);
    return id;
}

#define ROOM kfl__batch_room(sizeof(struct kfl__record_head) + 1000)

/* Who has handed out all that it saw published needs no second look to know; one that went back, or lags behind, does. */
START_TEST(the_end_is_known_without_a_second_look)
{
    struct kfl__cursor cursor;
    core_append_run(partition, 0, 2, 100);
    kfl__cursor_init(&cursor, partition, 0, false);
    for (int64_t i = 0; i < 2; i++) {
        ck_assert(!kfl__cursor_at_end(&cursor));
        ck_assert_int_eq(kfl__cursor_batch(&cursor), KFL_CURSOR_BATCH);
        kfl__cursor_pass(&cursor);
    }
    ck_assert_int_eq(kfl__cursor_batch(&cursor), 0); /* the file was looked up: from now on it is followed */
    ck_assert(kfl__cursor_idle(&cursor));
    core_append_run(partition, 2, 4, 100);
    ck_assert(!kfl__cursor_idle(&cursor));
    ck_assert_int_eq(kfl__cursor_batch(&cursor), KFL_CURSOR_BATCH);
    ck_assert(!kfl__cursor_at_end(&cursor));
    kfl__cursor_pass(&cursor);
    ck_assert(!kfl__cursor_at_end(&cursor));
    ck_assert_int_eq(kfl__cursor_batch(&cursor), KFL_CURSOR_BATCH);
    core_append_run(partition, 4, 5, 100); /* comes too late to be seen */
    kfl__cursor_pass(&cursor);
    ck_assert(kfl__cursor_at_end(&cursor));
    ck_assert(!kfl__cursor_idle(&cursor));
    ck_assert_int_eq(kfl__cursor_batch(&cursor), KFL_CURSOR_BATCH);
    ck_assert_int_eq(cursor.header.base_offset, 4);
    kfl__cursor_pass(&cursor);
    ck_assert(kfl__cursor_at_end(&cursor));
    ck_assert(kfl__cursor_idle(&cursor));
    kfl__cursor_seek(&cursor, 1);
    ck_assert(!kfl__cursor_at_end(&cursor));
    ck_assert(!kfl__cursor_idle(&cursor));
    kfl__cursor_close(&cursor);
}
END_TEST

START_TEST(a_damaged_batch_costs_itself)
{
    core_append_run(partition, 0, 50, 1000);
    core_spoil(core_file(partition, first_file()), KFL_SEGMENT_FIRST_PLACE + 7 * ROOM + 60, 3, 0x5a);
    int64_t holes = 0;
    ck_assert_int_eq(core_read(partition, 0, &holes), 49);
    ck_assert_int_eq(holes, 1);
    ck_assert_int_eq(core_read(partition, 7, &holes), 42);
    ck_assert_int_eq(holes, 1);
    ck_assert_int_eq(core_read(partition, 8, &holes), 42);
    ck_assert_int_eq(holes, 0);
}
END_TEST

/* Without signposts the way to an offset leads over the damage in front of it. */
START_TEST(damage_in_front_of_an_offset_does_not_cost_what_lies_behind_it)
{
    core_append_run(partition, 0, 50, 1000);
    close_store();
    open_store(NULL);
    char path[700];
    snprintf(path, sizeof path, "%s", core_file(partition, first_file()));
    core_spoil(path, KFL_SEGMENT_FIRST_PLACE + 7 * ROOM, ROOM, 0x5a);
    snprintf(path + strlen(path) - 3, 8, "offsets");
    ck_assert_int_eq(unlink(path), 0);
    int64_t holes = 0;
    for (int64_t from = 8; from < 50; from++) {
        ck_assert_int_eq(core_read(partition, from, &holes), 50 - from);
        ck_assert_int_eq(holes, 0);
    }
    ck_assert_int_eq(core_read(partition, 3, &holes), 46);
    ck_assert_int_eq(holes, 1);
}
END_TEST

static int64_t append_many(int64_t first, uint32_t count)
{
    struct kfl__append how = {
        .expected_offset = -1, .block_ms = 20000, .settings = kfl__topic_shape(partition->topic)->settings};
    struct kfl__record_head heads[32] = {{0}};
    int64_t offset;
    for (uint32_t i = 0; i < count; i++)
        heads[i] = (struct kfl__record_head){.key_size = -1, .value_size = 0, .offset_delta = i};
    struct kfl__payload payload = {
        .size = count * (uint32_t)sizeof heads[0],
        .unpacked_size = count * (uint32_t)sizeof heads[0],
        .record_count = count,
        .max_timestamp_ms = 1000000 + first,
        .bytes = heads,
        .hash = kfl__hash64(heads, count * sizeof heads[0]),
    };
    assert_ok(kfl__partition_append(partition, &payload, &how, &offset));
    return offset;
}

/* A batch of many records is found by an offset in its middle, damage in front of it or not. */
START_TEST(the_middle_of_a_batch_behind_damage_is_no_hole)
{
    for (int64_t i = 0; i < 10; i++)
        ck_assert_int_eq(append_many(i * 10, 10), i * 10);
    close_store();
    open_store(NULL);
    char path[700];
    snprintf(path, sizeof path, "%s", core_file(partition, first_file()));
    core_spoil(path, KFL_SEGMENT_FIRST_PLACE + 2 * (48 + 200), 48 + 200, 0x5a);
    snprintf(path + strlen(path) - 3, 8, "offsets");
    ck_assert_int_eq(unlink(path), 0);
    struct kfl__cursor cursor;
    kfl__cursor_init(&cursor, partition, 35, false);
    ck_assert_int_eq(kfl__cursor_batch(&cursor), KFL_CURSOR_BATCH);
    ck_assert_int_eq(cursor.header.base_offset, 30);
    kfl__cursor_close(&cursor);
    kfl__cursor_init(&cursor, partition, 25, false);
    ck_assert_int_eq(kfl__cursor_batch(&cursor), KFL_CURSOR_HOLE);
    ck_assert_int_eq(cursor.hole_from, 25);
    ck_assert_int_eq(cursor.hole_to, 30);
    kfl__cursor_close(&cursor);
}
END_TEST

/* rule:R27 */
START_TEST(a_missing_file_is_a_hole)
{
    core_append_run(partition, 0, 100, 3000);
    close_store();
    open_store(NULL);
    ck_assert_int_eq(unlink(core_file(partition, first_file())), 0);
    int64_t holes = 0;
    int64_t count = core_read(partition, 0, &holes);
    ck_assert_int_gt(holes, 10);
    ck_assert_int_eq(count + holes, 100);
    core_append_run(partition, 100, 120, 3000);
    ck_assert_int_eq(core_read(partition, 0, &holes), count + 20);
}
END_TEST

/* rule:R27: the file went because the list is another by now: no hole. */
START_TEST(a_file_that_was_deleted_meanwhile_is_no_hole)
{
    core_append_run(partition, 0, 100, 3000);
    struct kfl__cursor cursor;
    int64_t start;
    kfl__cursor_init(&cursor, partition, 0, false);
    ck_assert_int_eq(kfl__cursor_batch(&cursor), KFL_CURSOR_BATCH);
    assert_ok(kfl__partition_trim(partition, 60, &start));
    ck_assert_int_eq(kfl__cursor_batch(&cursor), KFL_CURSOR_BATCH);
    kfl__cursor_seek(&cursor, 60);
    ck_assert_int_eq(kfl__cursor_batch(&cursor), KFL_CURSOR_BATCH);
    ck_assert_int_le(cursor.header.base_offset, 60);
    kfl__cursor_seek(&cursor, 59);
    assert_code(kfl__cursor_batch(&cursor), KFL_E_OFFSET_OUT_OF_RANGE);
    kfl__cursor_close(&cursor);
}
END_TEST

/* A file that is missing, then numbers that were never given, then nothing: a reader waits and does not spin. */
START_TEST(a_missing_file_in_front_of_a_gap_is_read_past)
{
    core_append_run(partition, 0, 10, 1000);
    assert_ok(kfl__sync_wait(partition, 10, -1));
    assert_ok(kfl__janitor_run(core, -1));
    core_append_run(partition, 10, 11, 1000);
    int64_t file = first_file();
    core_abandon(core);
    core_reboot(temp_dir_path());
    char path[700];
    snprintf(path, sizeof path, "%s/topics/1/0/%020lld.log", temp_dir_path(), (long long)file);
    core_spoil(path, KFL_SEGMENT_FIRST_PLACE + 10 * ROOM, ROOM / 2, 0x5a);
    open_store(NULL);
    ck_assert_int_eq(unlink(path), 0);
    int64_t holes = 0, end = kfl__slot_end(partition->slot);
    ck_assert_int_gt(end, 11);
    ck_assert_int_eq(core_read(partition, 0, &holes), 0);
    ck_assert_int_eq(holes, 10);
    ck_assert_int_eq(core_append(partition, 3, 10, false), end);
    ck_assert_int_eq(core_read(partition, 0, &holes), 1);
    ck_assert_int_eq(core_read(partition, 10, &holes), 1);
    ck_assert_int_eq(holes, 0);
}
END_TEST

/* rule:R26 */
START_TEST(a_cut_file_is_read_up_to_the_cut)
{
    core_append_run(partition, 0, 100, 3000);
    close_store();
    open_store(NULL);
    ck_assert_int_eq(truncate(core_file(partition, first_file()), 8192), 0);
    int64_t holes = 0;
    int64_t count = core_read(partition, 0, &holes);
    ck_assert_int_gt(holes, 0);
    ck_assert_int_eq(count + holes, 100);
    core_append_run(partition, 100, 130, 3000);
    ck_assert_int_eq(core_read(partition, 0, &holes), count + 30);
}
END_TEST

/* rule:R26 */
START_TEST(the_active_file_that_was_cut_takes_no_append_by_signal)
{
    core_append_run(partition, 0, 10, 1000);
    int64_t file = atomic_load(&partition->slot->active.id);
    close_store();
    core_reboot(temp_dir_path());
    char path[700];
    snprintf(path, sizeof path, "%s/topics/1/0/%020lld.log", temp_dir_path(), (long long)file);
    ck_assert_int_eq(truncate(path, 8192), 0);
    open_store(NULL);
    core_append_run(partition, 10, 40, 1000);
    int64_t holes = 0;
    int64_t count = core_read(partition, 0, &holes);
    ck_assert_int_eq(count + holes, 40);
    ck_assert_int_ge(count, 37);
}
END_TEST

#ifdef KFL_FAULT_POINTS
/* rule:R26 */
START_TEST(a_device_that_refuses_a_page_costs_that_page)
{
    core_append_run(partition, 0, 50, 1000);
    close_store();
    open_store(NULL);
    struct kfl__cursor cursor;
    kfl__cursor_init(&cursor, partition, 0, false);
    /* The first window, then page by page: the third page is bad. */
    struct kfl__view *view = NULL;
    struct kfl__segment *segment = NULL;
    assert_ok(kfl__partition_view(partition, &view));
    assert_ok(kfl__partition_segment(partition, view, 0, &segment));
    kfl__segment_release(segment);
    kfl__view_release(view);
    assert_ok(kfl__fault_arm("map.populate:*=EFAULT"));
    int r = kfl__cursor_batch(&cursor);
    ck_assert_msg(r == KFL_CURSOR_HOLE, "%d", r);
    ck_assert_int_eq(cursor.hole_from, 0);
    assert_ok(kfl__fault_arm(NULL));
    kfl__cursor_close(&cursor);
    ck_assert_int_eq(core_read(partition, 0, NULL), 50);
}
END_TEST
#endif

/* X38: some hundred files open at a time, however many there are. */
START_TEST(files_that_nobody_reads_are_given_back)
{
    core_append_run(partition, 0, 1300, 30000);
    struct kfl__view *view = NULL;
    assert_ok(kfl__partition_view(partition, &view));
    ck_assert_int_gt(view->entry_count, KFL_SEGMENTS_OPEN + 100);
    kfl__view_release(view);
    struct kfl__cursor cursor, pinned;
    kfl__cursor_init(&pinned, partition, 5, false);
    ck_assert_int_eq(kfl__cursor_batch(&pinned), KFL_CURSOR_BATCH);
    kfl__cursor_init(&cursor, partition, 0, false);
    int64_t count = 0;
    for (int r; (r = kfl__cursor_batch(&cursor)) == KFL_CURSOR_BATCH; count++) {
        ck_assert_int_le(kfl__segment_count_reading(), KFL_SEGMENTS_OPEN + 8);
        kfl__cursor_pass(&cursor);
    }
    ck_assert_int_eq(count, 1300);
    kfl__cursor_close(&cursor);
    /* What is read stays where it is. */
    ck_assert_int_eq(pinned.header.base_offset, 5);
    ck_assert_int_eq(kfl__batch_verify(pinned.segment->bytes, pinned.place, pinned.limit, pinned.segment->seed,
                                       &pinned.header), 0);
    kfl__cursor_close(&pinned);
    ck_assert_int_gt(kfl__partition_give_back(partition, UINT64_MAX), 200);
    ck_assert_int_eq(kfl__segment_count_reading(), 0);
    ck_assert_int_eq(core_read(partition, 1200, NULL), 100);
}
END_TEST

START_TEST(a_list_that_is_replaced_hands_over_what_is_open)
{
    core_append_run(partition, 0, 90, 3000);
    struct kfl__cursor idle;
    kfl__cursor_init(&idle, partition, 0, false);
    ck_assert_int_eq(kfl__cursor_batch(&idle), KFL_CURSOR_BATCH);
    ck_assert_int_eq(core_read(partition, 0, NULL), 90);
    int32_t open = kfl__segment_count_reading();
    ck_assert_int_gt(open, 2);
    core_append_run(partition, 90, 130, 3000);
    ck_assert_int_eq(core_read(partition, 0, NULL), 130);
    ck_assert_int_ge(kfl__segment_count_reading(), open);
    /* The idle cursor's old list pins nothing but the file that it stands in. */
    (void)kfl__partition_give_back(partition, UINT64_MAX);
    ck_assert_int_eq(kfl__segment_count_reading(), 1);
    kfl__cursor_close(&idle);
    (void)kfl__partition_give_back(partition, UINT64_MAX);
    ck_assert_int_eq(kfl__segment_count_reading(), 0);
}
END_TEST

/* Shares of the view's entry that are not the view's. */
static int32_t shares_of(const struct kfl__view *view, int32_t entry)
{
    struct kfl__segment *segment = view->entries[entry].segment;
    return segment == NULL ? 0 : atomic_load(&segment->count.shares) - 1;
}

/* Two files whose entries have one place in the cursor: the one that is left makes room for the other. */
START_TEST(of_files_with_one_place_the_newest_is_at_hand)
{
    struct kfl__cursor cursor;
    struct kfl__view *view = NULL;
    core_append_run(partition, 0, 200, 10000);
    assert_ok(kfl__partition_view(partition, &view));
    ck_assert_int_gt(view->entry_count, 2 + 2 * KFL_CURSOR_FILES);
    kfl__cursor_init(&cursor, partition, 0, false);
    for (int32_t round = 0; round < 12; round++) {
        int32_t entry = 1 + round % 3 * KFL_CURSOR_FILES;
        int64_t offset = view->entries[entry].base_offset + round / 3 % 2;
        kfl__cursor_seek(&cursor, offset);
        ck_assert_int_eq(kfl__cursor_batch(&cursor), KFL_CURSOR_BATCH);
        ck_assert_int_eq(cursor.header.base_offset, offset);
        ck_assert_int_eq(cursor.entry, entry);
        for (int32_t other = 1; other < 2 + 2 * KFL_CURSOR_FILES; other += KFL_CURSOR_FILES)
            ck_assert_int_eq(shares_of(view, other), other == entry ? 1 : 0);
    }
    kfl__cursor_close(&cursor);
    for (int32_t entry = 0; entry < view->entry_count; entry++)
        ck_assert_int_eq(shares_of(view, entry), 0);
    kfl__view_release(view);
}
END_TEST

/* A seek that returns to a file finds it at hand; none outlives the list that it is of. */
START_TEST(files_that_seeks_left_are_at_hand_until_the_list_changes)
{
    struct kfl__cursor cursor;
    struct kfl__view *view = NULL;
    int64_t start, end;
    core_append_run(partition, 0, 60, 10000);
    assert_ok(kfl__sync_wait(partition, 60, -1));
    assert_ok(kfl__janitor_run(core, -1));
    assert_ok(kfl__partition_view(partition, &view));
    ck_assert_int_gt(view->entry_count, 3);
    end = view->entries[3].base_offset;
    kfl__cursor_init(&cursor, partition, 0, false);
    for (int round = 0; round < 3; round++)
        for (int64_t offset = 0; offset < end; offset += 2) {
            kfl__cursor_seek(&cursor, offset);
            ck_assert_int_eq(kfl__cursor_batch(&cursor), KFL_CURSOR_BATCH);
            ck_assert_int_eq(cursor.header.base_offset, offset);
        }
    ck_assert_int_eq(cursor.entry, 2);
    for (int32_t entry = 0; entry < 3; entry++)
        ck_assert_int_eq(shares_of(view, entry), 1);
    assert_ok(kfl__partition_trim(partition, end, &start));
    kfl__cursor_seek(&cursor, end);
    ck_assert_int_eq(kfl__cursor_batch(&cursor), KFL_CURSOR_BATCH);
    for (int32_t entry = 0; entry < 3; entry++)
        ck_assert_int_eq(shares_of(view, entry), 0);
    /* Nor does who has read all hold the list before. */
    kfl__cursor_seek(&cursor, 60);
    ck_assert_int_eq(kfl__cursor_batch(&cursor), 0);
    assert_ok(kfl__partition_trim(partition, 55, &start));
    ck_assert_int_eq(kfl__cursor_batch(&cursor), 0);
    ck_assert(cursor.view == NULL && cursor.segment == NULL);
    kfl__cursor_close(&cursor);
    kfl__view_release(view);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("engine/read");
    TCase *damage = tcase_create("damage");
    tcase_add_checked_fixture(damage, set_up, tear_down);
    tcase_set_timeout(damage, 60);
    tcase_add_test(damage, the_end_is_known_without_a_second_look);
    tcase_add_test(damage, a_damaged_batch_costs_itself);
    tcase_add_test(damage, damage_in_front_of_an_offset_does_not_cost_what_lies_behind_it);
    tcase_add_test(damage, the_middle_of_a_batch_behind_damage_is_no_hole);
    tcase_add_test(damage, a_missing_file_is_a_hole);
    tcase_add_test(damage, a_file_that_was_deleted_meanwhile_is_no_hole);
    tcase_add_test(damage, a_missing_file_in_front_of_a_gap_is_read_past);
    tcase_add_test(damage, a_cut_file_is_read_up_to_the_cut);
    tcase_add_test(damage, the_active_file_that_was_cut_takes_no_append_by_signal);
#ifdef KFL_FAULT_POINTS
    tcase_add_test(damage, a_device_that_refuses_a_page_costs_that_page);
#endif
    suite_add_tcase(suite, damage);
    TCase *files = tcase_create("files");
    tcase_add_checked_fixture(files, set_up, tear_down);
    tcase_set_timeout(files, 60);
    tcase_add_test(files, files_that_nobody_reads_are_given_back);
    tcase_add_test(files, files_that_seeks_left_are_at_hand_until_the_list_changes);
    tcase_add_test(files, of_files_with_one_place_the_newest_is_at_hand);
    tcase_add_test(files, a_list_that_is_replaced_hands_over_what_is_open);
    suite_add_tcase(suite, files);
    return suite;
}
