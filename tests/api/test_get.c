/* SPDX-License-Identifier: MIT */
/* One record by its offset: a seek, and a poll of one. Where it is looked for first must not matter. */
#include "quick_asserts.h"

#include <fcntl.h>

#include "chance.h"
#include "store_fixture.h"

static kfl_consumer *consumer;

static void get_set_up(void)
{
    disk_set_up();
    make_topic("t", 1, WITH("segment.bytes", "262144"));
    consumer = open_consumer(NULL);
    assign_at(consumer, "t", 0, 0);
}

static void get_tear_down(void)
{
    kfl_consumer_close(consumer);
    disk_tear_down();
}

static void check_get(int64_t offset)
{
    kfl_records *records;
    OK(kfl_consumer_seek(consumer, "t", 0, offset));
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 0, 1, &records)), 1);
    ck_assert_int_eq(kfl_records_get(records, 0)->offset, offset);
    check_value(kfl_records_get(records, 0));
    kfl_records_release(records);
    ck_assert_int_eq(position_of(consumer, "t", 0), offset + 1);
}

/* kafka:C5 Batches of one size, of others, of many records, over several files, while more come. */
START_TEST(each_offset_is_found_whatever_the_sizes_are)
{
    struct chance chance = chance_begin("each_offset_is_found_whatever_the_sizes_are");
    kfl_producer *producer = open_producer(NULL);
    for (int round = 0; round < 8; round++) {
        send_many("t", 0, 1000, 100);
        for (int i = 0; i < 300; i++)
            check_get((int64_t)chance_below(&chance, (uint64_t)end_of("t", 0)));
        if (round % 2 == 0)
            send_many("t", 0, 1 + (int32_t)chance_below(&chance, 3),
                      (size_t)chance_below(&chance, 3000));
        else
            send_batch(producer, "t", 0, 2 + (int32_t)chance_below(&chance, 40));
        for (int i = 0; i < 300; i++)
            check_get((int64_t)chance_below(&chance, (uint64_t)end_of("t", 0)));
    }
    ck_assert_int_gt(segment_count_of("t", 0), 3);
    /* What was looked for at random is read on from there in order. */
    int64_t from = (int64_t)chance_below(&chance, (uint64_t)end_of("t", 0));
    OK(kfl_consumer_seek(consumer, "t", 0, from));
    ck_assert_int_eq(read_on(consumer, from), end_of("t", 0));
    OK(kfl_producer_close(producer));
}
END_TEST

/* kafka:C3 kafka:H6 A record is not found where it was once that it is deleted, nor one that is yet to come. */
START_TEST(what_is_deleted_or_not_there_is_not_found)
{
    kfl_records *records;
    int64_t start;
    kfl_consumer_close(consumer);
    consumer = open_consumer(WITH("auto.offset.reset", "none"));
    assign_at(consumer, "t", 0, 0);
    send_many("t", 0, 1000, 100);
    check_get(10);
    check_get(500);
    check_get(400);
    OK(kfl_topic_delete_records(store, "t", 0, 450, &start));
    OK(kfl_consumer_seek(consumer, "t", 0, 400));
    FAILS(KFL_E_OFFSET_OUT_OF_RANGE, kfl_consumer_poll(consumer, 0, 1, &records));
    check_get(450);
    check_get(999);
    OK(kfl_consumer_seek(consumer, "t", 0, 1000));
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 0, 1, &records)), 0);
    send_many("t", 0, 1, 100);
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 0, 1, &records)), 1);
    ck_assert_int_eq(kfl_records_get(records, 0)->offset, 1000);
    kfl_records_release(records);
    OK(kfl_consumer_seek(consumer, "t", 0, 1002));
    FAILS(KFL_E_OFFSET_OUT_OF_RANGE, kfl_consumer_poll(consumer, 0, 1, &records));
}
END_TEST

/* A bit of the record's value changes on the disk, under the open store. */
static void spoil_value(int64_t offset)
{
    char text[32];
    size_t size = (size_t)snprintf(text, sizeof text, "v%" PRId64 ".", offset);
    kfl_segments *segments;
    OK(kfl_segments_list(store, "t", 0, &segments));
    for (int32_t i = 0; i < kfl_segments_count(segments); i++) {
        const kfl_segment *segment = kfl_segments_get(segments, i);
        char *bytes = malloc((size_t)segment->size_bytes);
        int fd = open(segment->path, O_RDWR | O_CLOEXEC);
        ck_assert_int_eq(pread(fd, bytes, (size_t)segment->size_bytes, 0), segment->size_bytes);
        const char *at = memmem(bytes, (size_t)segment->size_bytes, text, size);
        if (at != NULL)
            ck_assert_int_eq(pwrite(fd, "V", 1, at - bytes), 1);
        close(fd);
        free(bytes);
    }
    kfl_segments_release(segments);
}

/* kafka:L4 A guess that leads to damage tells of a hole, as any other way does. */
START_TEST(damage_is_told_and_its_neighbours_are_found)
{
    kfl_records *records;
    kfl_event *event;
    send_many("t", 0, 1000, 100);
    check_get(3);
    check_get(700); /* the size of batches is known by now */
    spoil_value(500);
    check_get(499);
    check_get(501);
    OK(kfl_consumer_seek(consumer, "t", 0, 500));
    FAILS(KFL_E_EVENT, kfl_consumer_poll(consumer, 0, 1, &records));
    ck_assert_int_eq(OK(kfl_consumer_next_event(consumer, &event)), 1);
    ck_assert_int_eq(kfl_event_kind(event), KFL_EVENT_HOLE);
    ck_assert_int_eq(kfl_event_offset(event), 500);
    ck_assert_int_eq(kfl_event_end_offset(event), 501);
    kfl_event_release(event);
    check_get(502);
    OK(kfl_consumer_seek(consumer, "t", 0, 501));
    ck_assert_int_eq(read_on(consumer, 501), 1000);
}
END_TEST

/* Seeking about in a batch of many records, and back to one that was just read. */
START_TEST(a_seek_within_a_batch_finds_each_of_its_records)
{
    kfl_producer *producer = open_producer(NULL);
    send_batch(producer, "t", 0, 30);
    send_batch(producer, "t", 0, 30);
    for (int64_t from = 0; from < 60; from++)
        for (int64_t to = 0; to < 60; to++) {
            check_get(from);
            check_get(to);
        }
    OK(kfl_producer_close(producer));
}
END_TEST

/* Maps of this partition's files that are on no disk any more. */
static int deleted_maps(void)
{
    char line[1024];
    int count = 0;
    FILE *file = fopen("/proc/self/maps", "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        count += strstr(line, "/topics/") != NULL && strstr(line, ".log (deleted)") != NULL;
    ck_assert_ptr_nonnull(file);
    fclose(file);
    return count;
}

/* Neither a consumer nor its released results keep room on the disk, once a poll has found nothing more. */
START_TEST(a_file_that_is_deleted_is_let_go)
{
    kfl_records *records;
    int64_t start;
    send_many("t", 0, 1000, 1000);
    for (int64_t offset = 0; offset < 1000; offset += 50) {
        check_get(offset);
        check_get(offset / 2);
    }
    ck_assert_int_gt(segment_count_of("t", 0), 4);
    OK(kfl_topic_delete_records(store, "t", 0, 1000, &start));
    OK(kfl_consumer_seek(consumer, "t", 0, 1000));
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 0, 1, &records)), 0);
    /* The partition's own list is another one as soon as somebody reads. */
    send_many("t", 0, 1, 100);
    kfl_consumer *other = open_consumer(NULL);
    assign_at(other, "t", 0, 1000);
    ck_assert_int_eq(read_on(other, 1000), 1001);
    OK(kfl_consumer_close(other));
    int left = deleted_maps();
    OK(kfl_consumer_close(consumer));
    ck_assert_int_eq(deleted_maps(), left);
    consumer = open_consumer(NULL);
}
END_TEST

/* A result may be released when its consumer is closed, and when another one has taken its place. */
START_TEST(results_outlive_each_other_and_their_consumer)
{
    kfl_records *records[3];
    send_many("t", 0, 30, 100);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 3; i++) {
            OK(kfl_consumer_seek(consumer, "t", 0, 10 * i));
            ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 0, 5, &records[i])), 5);
        }
        for (int i = 0; i < 3; i++) {
            ck_assert_int_eq(kfl_records_get(records[i], 4)->offset, 10 * i + 4);
            check_value(kfl_records_get(records[i], 4));
            if (round < 2 || i < 2)
                kfl_records_release(records[i]);
        }
    }
    OK(kfl_consumer_close(consumer));
    check_value(kfl_records_get(records[2], 0));
    kfl_records_release(records[2]);
    consumer = open_consumer(NULL);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("get");
    TCase *tests = tcase_create("by offset");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, get_set_up, get_tear_down);
    tcase_add_test(tests, each_offset_is_found_whatever_the_sizes_are);
    tcase_add_test(tests, what_is_deleted_or_not_there_is_not_found);
    tcase_add_test(tests, damage_is_told_and_its_neighbours_are_found);
    tcase_add_test(tests, a_seek_within_a_batch_finds_each_of_its_records);
    tcase_add_test(tests, a_file_that_is_deleted_is_let_go);
    tcase_add_test(tests, results_outlive_each_other_and_their_consumer);
    suite_add_tcase(suite, tests);
    return suite;
}
