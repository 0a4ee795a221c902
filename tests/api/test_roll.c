/* SPDX-License-Identifier: MIT */
/* When a segment is full. */
#include "api/store.h"
#include "peer.h"
#include "store_fixture.h"

/* kafka:H7 */
START_TEST(a_segment_rolls_by_size)
{
    make_topic("t", 1, WITH("segment.bytes", "65536"));
    send_many("t", 0, 60, 1000);
    ck_assert_int_eq(segment_count_of("t", 0), 1);
    send_many("t", 0, 10, 1000);
    ck_assert_int_eq(segment_count_of("t", 0), 2);
    ck_assert_int_eq(stat_of("segment_rolls_total", "t", 0), 2); /* into the first, and out of it */
    kfl_consumer *consumer = open_consumer(NULL);
    assign_at(consumer, "t", 0, 0);
    ck_assert_int_eq(read_on(consumer, 0), 70);
    OK(kfl_consumer_close(consumer));
}
END_TEST

/* kafka:H7 */
START_TEST(a_segment_rolls_by_time)
{
    kfl_producer *producer = open_producer(NULL);
    make_topic("t", 1, WITH("segment.ms", "1000"));
    send_at(producer, "t", 0, NULL, "v0", 5000);
    send_at(producer, "t", 0, NULL, "v1", 6000); /* not yet: exactly segment.ms */
    ck_assert_int_eq(segment_count_of("t", 0), 1);
    send_at(producer, "t", 0, NULL, "v2", 6001);
    ck_assert_int_eq(segment_count_of("t", 0), 2);
    send_at(producer, "t", 0, NULL, "v3", 100); /* an old time rolls nothing */
    ck_assert_int_eq(segment_count_of("t", 0), 2);
    kfl_consumer *consumer = open_consumer(NULL);
    assign_at(consumer, "t", 0, 0);
    ck_assert_int_eq(read_on(consumer, 0), 4);
    OK(kfl_consumer_close(consumer));
    OK(kfl_producer_close(producer));
}
END_TEST

/* kafka:H7 */
START_TEST(a_segment_rolls_when_its_index_is_full)
{
    make_topic("t", 1, WITH("segment.index.bytes", "4096"));
    send_many("t", 0, 1024, 0); /* 4 bytes a batch, less what the index needs itself */
    int32_t before = segment_count_of("t", 0);
    send_many("t", 0, 1024, 0);
    ck_assert_int_gt(segment_count_of("t", 0), before);
    kfl_consumer *consumer = open_consumer(NULL);
    for (int64_t offset = 0; offset <= 2048; offset += 64) {
        assign_at(consumer, "t", 0, offset);
        ck_assert_int_eq(read_on(consumer, offset), 2048);
    }
    OK(kfl_consumer_close(consumer));
}
END_TEST

/* A batch larger than segment.bytes gets a file of its own. */
START_TEST(a_batch_larger_than_a_segment_fits)
{
    make_topic("t", 1, WITH("segment.bytes", "65536"));
    send_many("t", 0, 2, 100);
    send_many("t", 0, 2, 500000);
    send_many("t", 0, 2, 100);
    kfl_consumer *consumer = open_consumer(NULL);
    assign_at(consumer, "t", 0, 0);
    ck_assert_int_eq(read_on(consumer, 0), 6);
    OK(kfl_consumer_close(consumer));
    disk_reopen();
    ck_assert_int_eq(end_of("t", 0), 6);
}
END_TEST

/* kafka:H7: without two thousand million records: the file is told that it began so far below. */
START_TEST(a_segment_rolls_before_its_relative_offsets_are_used_up)
{
    struct kfl__topic *topic;
    struct kfl__partition *partition;
    make_topic("t", 1, NULL);
    /* More than half of the first file: the next one is made, and this one's row is complete. */
    send_many("t", 0, 300, 100);
    OK(kfl_store_maintain(store, 1000, NULL));
    OK(kfl__store_partition(store, "t", 0, &topic, &partition));
    int64_t rolls = stat_of("segment_rolls_total", "t", 0);
    atomic_store(&partition->slot->active_base_offset, 300 + 1 - INT64_C(0x7fffffff));
    send_many("t", 0, 1, 0);
    ck_assert_int_eq(stat_of("segment_rolls_total", "t", 0), rolls);
    send_many("t", 0, 1, 0);
    ck_assert_int_eq(stat_of("segment_rolls_total", "t", 0), rolls + 1);
    kfl__topic_release(topic);
    kfl_consumer *consumer = open_consumer(NULL);
    assign_at(consumer, "t", 0, 0);
    ck_assert_int_eq(read_on(consumer, 0), 302);
    OK(kfl_consumer_close(consumer));
}
END_TEST

static void fill_and_roll(struct peer *self, void *context)
{
    (void)context;
    store = open_store(temp_dir_path(), WITH("background.threads", "0"));
    peer_tell(self);
    peer_await(self);
    send_many("t", 0, 30, 1000);
    peer_tell(self);
    peer_await(self);
    OK(kfl_store_close(store));
    store = NULL;
}

/* rule:R3. Who has prepared a file goes on in it when somebody else has rolled to it. */
START_TEST(a_prepared_file_is_written_after_another_process_has_rolled_to_it)
{
    struct peer peer;
    make_topic("t", 1, WITH("segment.bytes", "65536"));
    OK(kfl_store_close(store));
    store = NULL;
    peer_start(&peer, fill_and_roll, NULL);
    peer_await(&peer);
    store = open_store(temp_dir_path(), WITH("background.threads", "0"));
    send_many("t", 0, 40, 1000);
    while (OK(kfl_store_maintain(store, 1000, NULL)) !=
           0) /* half full: the next file is made, and stays open here */
        ;
    peer_tell(&peer);
    peer_await(&peer);
    ck_assert_int_eq(stat_of("segment_rolls_total", "t", 0), 2);
    send_many("t", 0, 1, 0);
    peer_tell(&peer);
    peer_join(&peer);
    kfl_consumer *consumer = open_consumer(NULL);
    assign_at(consumer, "t", 0, 0);
    ck_assert_int_eq(read_on(consumer, 0), 71);
    OK(kfl_consumer_close(consumer));
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("roll");
    TCase *tests = tcase_create("roll");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, disk_set_up, disk_tear_down);
    tcase_add_test(tests, a_segment_rolls_by_size);
    tcase_add_test(tests, a_segment_rolls_by_time);
    tcase_add_test(tests, a_segment_rolls_when_its_index_is_full);
    tcase_add_test(tests, a_batch_larger_than_a_segment_fits);
    tcase_add_test(tests, a_segment_rolls_before_its_relative_offsets_are_used_up);
    tcase_add_test(tests, a_prepared_file_is_written_after_another_process_has_rolled_to_it);
    suite_add_tcase(suite, tests);
    return suite;
}
