/* SPDX-License-Identifier: MIT */
/* One file: made whole or not at all, opened only as what it is, found in by signposts. */
#include "log/segment.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/fault.h"
#include "base/file.h"
#include "log_fixture.h"
#include "suite.h"

#define NAME "00000000000000000005.log"

START_TEST(a_new_file_is_reserved_and_reads_back)
{
    struct stat status;
    ck_assert_int_eq(stat(temp_dir_file(NAME), &status), 0);
    ck_assert_int_eq(status.st_size, 1 << 20);
    ck_assert_int_ge(status.st_blocks * 512, 1 << 20);
    lay_batch(0, 1, 1, -1);
    struct kfl__segment *again = NULL;
    struct kfl__segment_expect expect = {plan.store_id, 7, 2};
    assert_ok(kfl__segment_open(directory, 5, &expect, KFL_SEGMENT_READ, &again));
    ck_assert_uint_eq(again->size, plan.size);
    ck_assert_uint_eq(again->seed, plan.seed);
    ck_assert_int_eq(atomic_load(&again->fd), -1);
    ck_assert_ptr_null(again->writing);
    ck_assert_mem_eq(again->bytes, segment->bytes, place);
    kfl__segment_release(again);
}
END_TEST

START_TEST(a_file_of_another_place_is_refused)
{
    struct kfl__segment *again = NULL;
    uint8_t other[16] = {9};
    struct kfl__segment_expect wrong[] = {{other, 7, 2}, {plan.store_id, 8, 2}, {plan.store_id, 7, 3}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_int_eq(kfl__segment_open(directory, 5, &wrong[i], KFL_SEGMENT_READ, &again), KFL_E_CORRUPT);
    struct kfl__segment_expect any = {NULL, 0, 0};
    ck_assert_int_eq(kfl__segment_open(directory, 6, &any, KFL_SEGMENT_READ, &again), KFL_FILE_MISSING);
    ck_assert_int_eq(link(temp_dir_file(NAME), temp_dir_file("00000000000000000006.log")), 0);
    ck_assert_int_eq(kfl__segment_open(directory, 6, &any, KFL_SEGMENT_READ, &again), KFL_E_CORRUPT);
    assert_ok(kfl__segment_open(directory, 5, &any, KFL_SEGMENT_READ, &again));
    kfl__segment_release(again);
}
END_TEST

/* rule:R26: a store into pages behind the end of a file would be a signal. */
START_TEST(a_cut_file_is_opened_for_reading_only)
{
    struct kfl__segment *again = NULL;
    struct kfl__segment_expect expect = {plan.store_id, 7, 2};
    uint64_t bad_from = 0, bad_to = 0;
    ck_assert_int_eq(truncate(temp_dir_file(NAME), 300000), 0);
    ck_assert_int_eq(kfl__segment_open(directory, 5, &expect, KFL_SEGMENT_WRITE, &again), KFL_E_CORRUPT);
    ck_assert_int_eq(kfl__segment_open(directory, 5, &expect, KFL_SEGMENT_WRITE_BY_FILE, &again), KFL_E_CORRUPT);
    assert_ok(kfl__segment_open(directory, 5, &expect, KFL_SEGMENT_READ, &again));
    assert_ok(kfl__segment_touch(again, 512, 300000, &bad_from, &bad_to));
    ck_assert_int_eq(kfl__segment_touch(again, 512, 400000, &bad_from, &bad_to), KFL_SEGMENT_UNREADABLE);
    ck_assert_uint_eq(bad_from, 303104);
    ck_assert_uint_ge(bad_to, 400000);
    kfl__segment_release(again);
    ck_assert_int_eq(truncate(temp_dir_file(NAME), 100), 0);
    ck_assert_int_eq(kfl__segment_open(directory, 5, &expect, KFL_SEGMENT_READ, &again), KFL_E_CORRUPT);
}
END_TEST

START_TEST(bytes_by_file_and_by_map_are_the_same)
{
    assert_ok(kfl__segment_write(segment, "written!", 8, 4096));
    ck_assert_mem_eq(segment->bytes + 4096, "written!", 8);
    assert_ok(kfl__segment_clear(segment, 4096, 4104));
    ck_assert_int_eq(segment->bytes[4100], 0);
    assert_ok(kfl__segment_sync(segment));
}
END_TEST

static int pages_in_map(const void *bytes, size_t size)
{
    int count = 0, fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    for (size_t at = 0; at < size; at += 4096) {
        uint64_t page = 0;
        off_t entry = (off_t)(((uintptr_t)bytes + at) / 4096 * sizeof page);
        ck_assert_int_eq(pread(fd, &page, sizeof page, entry), sizeof page);
        count += (page >> 63) != 0;
    }
    close(fd);
    return count;
}

/* What was stored stays, in the file and for whoever stores there again. */
START_TEST(full_pages_leave_the_map_and_their_bytes_stay)
{
    uint8_t *bytes = kfl__segment_lay(segment, 0);
    memset(bytes + 512, 7, 600000 - 512);
    ck_assert_int_eq(pages_in_map(bytes, 600000), 147);
    kfl__segment_let_go(segment, 100000); /* too few to be worth it */
    ck_assert_int_eq(pages_in_map(bytes, 600000), 147);
    kfl__segment_let_go(segment, 600000);
    ck_assert_int_eq(pages_in_map(bytes, 600000), 1); /* the one that is not full */
    assert_ok(kfl__segment_sync(segment));
    for (int at = 512; at < 600000; at++)
        ck_assert(segment->bytes[at] == 7);
    bytes[5000] = 8;
    ck_assert_int_eq(segment->bytes[5000], 8);
    ck_assert_int_eq(segment->bytes[4999], 7);
    kfl__segment_let_go(segment, segment->size + 1);
    ck_assert_int_eq(segment->bytes[599999], 7);
}
END_TEST

START_TEST(clearing_by_file_reaches_all_bytes)
{
    struct kfl__segment_expect expect = {plan.store_id, 7, 2};
    struct kfl__segment *by_file = NULL;
    memset(kfl__segment_lay(segment, 512), 7, 20000);
    assert_ok(kfl__segment_open(directory, 5, &expect, KFL_SEGMENT_WRITE_BY_FILE, &by_file));
    ck_assert_ptr_null(kfl__segment_lay(by_file, 512));
    assert_ok(kfl__segment_clear(by_file, 1000, 19001));
    ck_assert_int_eq(segment->bytes[999], 7);
    for (int at = 1000; at < 19001; at++)
        ck_assert_int_eq(segment->bytes[at], 0);
    ck_assert_int_eq(segment->bytes[19001], 7);
    kfl__segment_release(by_file);
}
END_TEST

START_TEST(only_files_opened_to_be_read_are_counted)
{
    struct kfl__segment_expect expect = {plan.store_id, 7, 2};
    struct kfl__segment *reading = NULL, *writing = NULL;
    int32_t before = kfl__segment_count_reading();
    assert_ok(kfl__segment_open(directory, 5, &expect, KFL_SEGMENT_READ, &reading));
    assert_ok(kfl__segment_open(directory, 5, &expect, KFL_SEGMENT_WRITE, &writing));
    ck_assert_int_eq(kfl__segment_count_reading(), before + 1);
    kfl__segment_acquire(reading);
    kfl__segment_release(reading);
    ck_assert_int_eq(kfl__segment_count_reading(), before + 1);
    kfl__segment_release(reading);
    kfl__segment_release(writing);
    ck_assert_int_eq(kfl__segment_count_reading(), before);
}
END_TEST

#ifdef KFL_FAULT_POINTS
static int count_entry(const char *name, void *context)
{
    (void)name;
    ++*(int *)context;
    return 0;
}

static int count_files(void)
{
    int count = 0;
    assert_ok(kfl__file_list(directory, count_entry, &count));
    return count;
}

/* rule:R4: a full disk, a refused sync, no memory: each call that can fail fails once. */
START_TEST(a_file_that_cannot_be_made_leaves_nothing_behind)
{
    static const char *const points[] = {"file.create", "file.reserve", "file.write_at", "file.sync", "file.sync_directory", "map.open", "memory.alloc"};
    char fault[64];
    int failed = 0;
    for (size_t i = 0; i < sizeof points / sizeof *points; i++)
        for (int n = 1; n <= 4; n++) {
            snprintf(fault, sizeof fault, "%s:%d=ENOSPC", points[i], n);
            ck_assert_int_eq(kfl__fault_arm(fault), 0);
            struct kfl__segment *made = NULL;
            int r = kfl__segment_create(directory, &plan, true, &made);
            ck_assert_int_eq(kfl__fault_arm(NULL), 0);
            if (r == 0) {
                kfl__segment_release(made);
                ck_assert_int_eq(count_files(), 3);
                assert_ok(kfl__segment_discard(directory, 5));
                continue;
            }
            failed++;
            ck_assert_int_eq(count_files(), 0);
        }
    ck_assert_int_ge(failed, 8);
}
END_TEST

/* rule:R26 */
START_TEST(a_page_that_the_device_refuses_is_named)
{
    uint64_t bad_from = 0, bad_to = 0;
    /* The window of 64 KiB, then its pages one by one: the fourth and fifth of these do not answer. */
    ck_assert_int_eq(kfl__fault_arm("map.populate:1=EFAULT,map.populate:5=EFAULT,map.populate:6=EFAULT"), 0);
    ck_assert_int_eq(kfl__segment_touch(segment, 512, 60000, &bad_from, &bad_to), KFL_SEGMENT_UNREADABLE);
    ck_assert_uint_eq(bad_from, 3 * 4096);
    ck_assert_uint_eq(bad_to, 5 * 4096);
    ck_assert_int_eq(kfl__fault_arm(NULL), 0);
    assert_ok(kfl__segment_touch(segment, 512, 60000, &bad_from, &bad_to));
    /* What answered once is not asked again. */
    ck_assert_int_eq(kfl__fault_arm("map.populate:*=EFAULT"), 0);
    assert_ok(kfl__segment_touch(segment, 512, 65536, &bad_from, &bad_to));
    ck_assert_int_eq(kfl__fault_arm(NULL), 0);
}
END_TEST
#endif

static _Atomic int touchers_ready;

static void *touch_all(void *opaque)
{
    uint64_t *out_left_at = opaque;
    atomic_fetch_add(&touchers_ready, 1);
    while (atomic_load(&touchers_ready) < 2)
        ;
    while (kfl__segment_touch_ahead(segment, 4096))
        ;
    *out_left_at = atomic_load(&segment->touched_to);
    return NULL;
}

/* A producer that touches what it needs at once must not send the thread away that touches ahead of it. */
START_TEST(who_touches_side_by_side_with_others_goes_on_to_the_end)
{
    for (int round = 0; round < 20; round++) {
        uint64_t left_at[2] = {0, 0};
        pthread_t other;
        atomic_store(&touchers_ready, 0);
        kfl__segment_touch_from(segment, 0);
        ck_assert_int_eq(pthread_create(&other, NULL, touch_all, &left_at[1]), 0);
        touch_all(&left_at[0]);
        pthread_join(other, NULL);
        ck_assert_uint_eq(left_at[0], segment->size);
        ck_assert_uint_eq(left_at[1], segment->size);
    }
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("log/segment");
    TCase *files = tcase_create("files");
    tcase_add_checked_fixture(files, set_up_segment, tear_down_segment);
    tcase_add_test(files, a_new_file_is_reserved_and_reads_back);
    tcase_add_test(files, a_file_of_another_place_is_refused);
    tcase_add_test(files, a_cut_file_is_opened_for_reading_only);
    tcase_add_test(files, bytes_by_file_and_by_map_are_the_same);
    tcase_add_test(files, full_pages_leave_the_map_and_their_bytes_stay);
    tcase_add_test(files, clearing_by_file_reaches_all_bytes);
    tcase_add_test(files, only_files_opened_to_be_read_are_counted);
#ifdef KFL_FAULT_POINTS
    tcase_add_test(files, a_page_that_the_device_refuses_is_named);
    TCase *making = tcase_create("making");
    tcase_add_checked_fixture(making, set_up_folder, tear_down_segment);
    tcase_add_test(making, a_file_that_cannot_be_made_leaves_nothing_behind);
    suite_add_tcase(suite, making);
#endif
    tcase_add_test(files, who_touches_side_by_side_with_others_goes_on_to_the_end);
    suite_add_tcase(suite, files);
    return suite;
}
