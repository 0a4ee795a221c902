/* SPDX-License-Identifier: MIT */
/* Compaction, as a program sees it: each rule with Kafka's defaults and with others. */
#include "quick_asserts.h"

#include "base/fault.h"
#include "child.h"
#include "store_fixture.h"

#define DAY INT64_C(86400000)
#define SMALL "cleanup.policy", "compact", "segment.bytes", "65536"

static kfl_producer *producer;

static void set_up(void)
{
    disk_set_up();
    OK(kfl_store_set_clock(store, NOW_MS));
    producer = open_producer(NULL);
}

static void tear_down(void)
{
    kfl_producer_close(producer);
    disk_tear_down();
}

/* value NULL: a tombstone. */
static int64_t put(const char *key, const char *value, int64_t time_ms)
{
    return send_at(producer, "t", 0, key, value, time_ms);
}

/* `count` records of `size` bytes with keys "k<0 .. keys - 1>" in turn; the value begins with "v<offset>". */
static void fill(int32_t count, int32_t keys, size_t size, int64_t time_ms)
{
    char *value = malloc(size + 32), key[24];
    for (int32_t i = 0; i < count; i++) {
        memset(value, '.', size);
        value[size] = '\0';
        value[snprintf(value, 32, "v%" PRId64, end_of("t", 0))] = '.';
        snprintf(key, sizeof key, "k%d", i % keys);
        put(key, value, time_ms + i);
    }
    free(value);
}

static kfl_progress compact(int flags)
{
    kfl_progress progress;
    ck_assert_int_eq(OK(kfl_topic_compact(store, "t", flags, -1, &progress)), 0);
    return progress;
}

#define ALL (KFL_COMPACT_FORCE | KFL_COMPACT_ROLL)

/* What is left, by offset: "k1=v17 k2=v18 k3-" with - for a tombstone; values up to the first dot. */
static const char *left(void)
{
    static char text[20000];
    size_t size = 0;
    int64_t before = -1;
    kfl_consumer *consumer = open_consumer(NULL);
    assign_at(consumer, "t", 0, KFL_OFFSET_BEGINNING);
    text[0] = '\0';
    for (;;) {
        kfl_records *records = NULL;
        int n = OK(kfl_consumer_poll(consumer, 0, 0, &records));
        if (n == 0)
            break;
        for (int32_t i = 0; i < n; i++) {
            const kfl_record *record = kfl_records_get(records, i);
            ck_assert_int_gt(record->offset, before);
            before = record->offset;
            const char *dot =
                record->value == NULL ? NULL : memchr(record->value, '.', record->value_size);
            size_t value =
                dot == NULL ? record->value_size : (size_t)(dot - (const char *)record->value);
            size += (size_t)snprintf(
                text + size, sizeof text - size, "%s%.*s%s%.*s@%" PRId64, size > 0 ? " " : "",
                (int)record->key_size, (const char *)record->key, record->value == NULL ? "-" : "=",
                (int)value, record->value == NULL ? "" : (const char *)record->value,
                record->offset);
        }
        kfl_records_release(records);
    }
    ck_assert_int_eq(position_of(consumer, "t", 0), end_of("t", 0));
    OK(kfl_consumer_close(consumer));
    return text;
}

static void check_verifies(void)
{
    kfl_findings *findings = NULL;
    OK(kfl_store_verify(store, NULL, 0, &findings));
    for (int32_t i = 0; i < kfl_findings_count(findings); i++)
        ck_abort_msg("%s: %s", kfl_findings_get(findings, i)->path,
                     kfl_findings_get(findings, i)->text);
    kfl_findings_release(findings);
}

/* kafka:I2 kafka:I3 kafka:C1 */
START_TEST(the_newest_record_of_each_key_stays_where_it_was)
{
    make_topic("t", 1, WITH(SMALL));
    put("a", "1", NOW_MS);
    put("b", "1", NOW_MS);
    put("a", "2", NOW_MS);
    put("c", "1", NOW_MS);
    put("b", "2", NOW_MS);
    kfl_progress progress = compact(ALL);
    ck_assert_int_eq(progress.removed_records, 2);
    ck_assert_int_eq(progress.kept_records, 3);
    ck_assert_str_eq(left(), "a=2@2 c=1@3 b=2@4");
    ck_assert_int_eq(end_of("t", 0), 5);
    put("a", "3", NOW_MS);
    ck_assert_str_eq(left(), "a=2@2 c=1@3 b=2@4 a=3@5");
    compact(ALL);
    ck_assert_str_eq(left(), "c=1@3 b=2@4 a=3@5");
    check_verifies();
    disk_reopen();
    producer = (kfl_producer_close(producer), open_producer(NULL));
    ck_assert_str_eq(left(), "c=1@3 b=2@4 a=3@5");
    check_verifies();
}
END_TEST

/* kafka:I1: an empty key is a key. */
START_TEST(an_empty_key_is_a_key)
{
    make_topic("t", 1, WITH(SMALL));
    FAILS(KFL_E_INVALID_RECORD, try_send(producer, "t", 0, NULL, "1", NOW_MS, NULL));
    put("", "1", NOW_MS);
    put("a", "1", NOW_MS);
    put("", "2", NOW_MS);
    compact(ALL);
    ck_assert_str_eq(left(), "a=1@1 =2@2");
}
END_TEST

/* kafka:I4 */
START_TEST(the_file_that_takes_appends_is_never_compacted)
{
    make_topic("t", 1, WITH(SMALL));
    put("a", "1", NOW_MS);
    put("a", "2", NOW_MS);
    kfl_progress progress = compact(KFL_COMPACT_FORCE);
    ck_assert_int_eq(progress.compacted_segments, 0);
    ck_assert_str_eq(left(), "a=1@0 a=2@1");
}
END_TEST

/* kafka:C2 kafka:C3 kafka:C4 kafka:C5: readers among holes. */
START_TEST(readers_find_the_next_record_behind_a_hole)
{
    make_topic("t", 1, WITH(SMALL));
    kfl_consumer *consumer = open_consumer(WITH("auto.offset.reset", "none"));
    for (int i = 0; i < 10; i++)
        put(i % 3 == 0 ? "a" : "b", "x", NOW_MS);
    compact(ALL);
    ck_assert_str_eq(left(), "b=x@8 a=x@9");
    for (int64_t from = 0; from <= 9; from++) {
        kfl_records *records = NULL;
        assign_at(consumer, "t", 0, from);
        ck_assert_int_eq(poll_one(consumer, &records)->offset, from <= 8 ? 8 : 9);
        kfl_records_release(records);
        ck_assert_int_eq(position_of(consumer, "t", 0), from <= 8 ? 9 : 10);
    }
    kfl_records *records = NULL;
    assign_at(consumer, "t", 0, 10);
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 0, 0, &records)), 0);
    OK(kfl_consumer_seek(consumer, "t", 0, 11));
    FAILS(KFL_E_OFFSET_OUT_OF_RANGE, kfl_consumer_poll(consumer, 0, 0, &records));
    OK(kfl_consumer_close(consumer));
}
END_TEST

/* kafka:I7 kafka:I8 kafka:I9, with Kafka's 24 hours. */
START_TEST(a_tombstone_stays_for_a_day_after_the_compaction_that_met_it)
{
    make_topic("t", 1, WITH(SMALL));
    put("a", "1", NOW_MS);
    put("b", "", NOW_MS);
    put("a", NULL, NOW_MS);
    put("c", "1", NOW_MS);
    /* However late the first one comes. */
    OK(kfl_store_set_clock(store, NOW_MS + 100 * DAY));
    kfl_progress progress = compact(ALL);
    ck_assert_int_eq(progress.kept_tombstones, 1);
    ck_assert_str_eq(left(), "b=@1 a-@2 c=1@3");
    OK(kfl_store_set_clock(store, NOW_MS + 101 * DAY - 1));
    compact(ALL);
    ck_assert_str_eq(left(), "b=@1 a-@2 c=1@3");
    OK(kfl_store_set_clock(store, NOW_MS + 101 * DAY));
    progress = compact(ALL);
    ck_assert_int_eq(progress.removed_tombstones, 1);
    ck_assert_str_eq(left(), "b=@1 c=1@3");
    check_verifies();
}
END_TEST

/* kafka:I8: never by the pass that meets it first, also without any time to stay. */
START_TEST(a_tombstone_goes_in_a_second_pass_only)
{
    make_topic("t", 1, WITH(SMALL, "delete.retention.ms", "0"));
    put("a", "1", NOW_MS);
    put("a", NULL, NOW_MS);
    compact(ALL);
    ck_assert_str_eq(left(), "a-@1");
    compact(ALL);
    ck_assert_str_eq(left(), "");
    ck_assert_int_eq(end_of("t", 0), 2);
}
END_TEST

/* kafka:I8: a merge with younger tombstones does not make an older one stay longer. */
START_TEST(each_tombstone_has_its_own_time)
{
    make_topic("t", 1, WITH(SMALL));
    put("a", NULL, NOW_MS);
    compact(ALL);
    OK(kfl_store_set_clock(store, NOW_MS + DAY / 2));
    put("b", NULL, NOW_MS);
    compact(ALL);
    ck_assert_str_eq(left(), "a-@0 b-@1");
    OK(kfl_store_set_clock(store, NOW_MS + DAY));
    compact(ALL);
    ck_assert_str_eq(left(), "b-@1");
    OK(kfl_store_set_clock(store, NOW_MS + DAY / 2 + DAY));
    compact(ALL);
    ck_assert_str_eq(left(), "");
}
END_TEST

/* kafka:I11 kafka:L5: the end is never given again, also when nothing is left. */
START_TEST(the_end_stays_where_it_was)
{
    make_topic("t", 1, WITH(SMALL, "delete.retention.ms", "0"));
    for (int i = 0; i < 5; i++) {
        put("a", i < 4 ? "1" : NULL, NOW_MS);
        compact(ALL);
    }
    compact(ALL);
    compact(ALL);
    ck_assert_str_eq(left(), "");
    ck_assert_int_eq(end_of("t", 0), 5);
    ck_assert_int_eq(start_of("t", 0), 0);
    disk_reopen();
    producer = (kfl_producer_close(producer), open_producer(NULL));
    ck_assert_int_eq(end_of("t", 0), 5);
    ck_assert_int_eq(put("b", "1", NOW_MS), 5);
    ck_assert_str_eq(left(), "b=1@5");
    check_verifies();
}
END_TEST

/* kafka:I6: half of it has to be dirty, by default. */
START_TEST(a_small_dirty_part_is_left_alone)
{
    make_topic("t", 1, WITH(SMALL));
    fill(60, 60, 5000, NOW_MS); /* five full segments and one that takes appends, no key twice */
    kfl_progress progress;
    OK(kfl_store_maintain(store, -1, &progress));
    ck_assert_int_ge(progress.compacted_segments, 4);
    fill(30, 10, 5000, NOW_MS); /* two or three more: less than half */
    OK(kfl_store_maintain(store, -1, &progress));
    ck_assert_int_eq(progress.compacted_segments, 0);
    OK(kfl_topic_set(store, "t", "min.cleanable.dirty.ratio", "0.2"));
    OK(kfl_store_maintain(store, -1, &progress));
    ck_assert_int_gt(progress.compacted_segments, 0);
    ck_assert_int_gt(progress.removed_records, 0);
    check_verifies();
}
END_TEST

/* kafka:I5 */
START_TEST(what_is_young_is_left_alone_and_what_is_behind_it)
{
    make_topic("t", 1, WITH(SMALL, "min.compaction.lag.ms", "1000"));
    fill(12, 1, 5000, NOW_MS - 5000);
    fill(12, 1, 5000, NOW_MS - 500);
    fill(24, 1, 5000, NOW_MS - 5000);
    kfl_progress progress = compact(KFL_COMPACT_FORCE);
    ck_assert_int_eq(progress.removed_records,
                     11); /* one segment of twelve: of one key one stays */
    OK(kfl_store_set_clock(store, NOW_MS + 5000));
    progress = compact(KFL_COMPACT_FORCE);
    ck_assert_int_gt(progress.removed_records, 12);
}
END_TEST

/* kafka:I6 kafka:H8: max.compaction.lag.ms compacts whatever the ratio, and closes files. */
START_TEST(what_waits_too_long_is_compacted)
{
    make_topic("t", 1,
               WITH(SMALL, "max.compaction.lag.ms", "1000", "min.cleanable.dirty.ratio", "1.0"));
    put("a", "1", NOW_MS);
    put("a", "2", NOW_MS + 1000);
    int64_t rolls = stat_of("segment_rolls_total", "t", 0);
    put("a", "3", NOW_MS + 1001);
    ck_assert_int_eq(stat_of("segment_rolls_total", "t", 0), rolls + 1);
    compact(KFL_COMPACT_FORCE);
    put("a", "4", NOW_MS + 2001);
    put("a", "5", NOW_MS + 3002);
    kfl_progress progress;
    OK(kfl_store_set_clock(store, NOW_MS + 2001));
    OK(kfl_store_maintain(store, -1, &progress));
    ck_assert_int_eq(progress.compacted_segments, 0);
    OK(kfl_store_set_clock(store, NOW_MS + 3003));
    OK(kfl_store_maintain(store, -1, &progress));
    ck_assert_int_gt(progress.compacted_segments, 0);
    ck_assert_str_eq(left(), "a=4@3 a=5@4");
}
END_TEST

/* kafka:H8: with a lag that is longer than segment.ms, segment.ms decides; without compact too. */
START_TEST(files_are_closed_by_the_shorter_time)
{
    make_topic("t", 1, WITH(SMALL, "max.compaction.lag.ms", "5000", "segment.ms", "1000"));
    make_topic("d", 1, WITH("segment.bytes", "65536", "max.compaction.lag.ms", "1000"));
    for (int i = 0; i < 3; i++) {
        put("a", "1", NOW_MS + i * 1001);
        send_at(producer, "d", 0, "a", "1", NOW_MS + i * 1001);
    }
    ck_assert_int_eq(segment_count_of("t", 0), 3);
    ck_assert_int_eq(segment_count_of("d", 0), 1);
}
END_TEST

/* kafka:H10: both policies apply. */
START_TEST(with_both_policies_the_last_value_of_a_key_may_go)
{
    make_topic(
        "t", 1,
        WITH("cleanup.policy", "compact,delete", "segment.bytes", "65536", "retention.ms", "1000"));
    put("a", "1", NOW_MS);
    put("b", "1", NOW_MS);
    put("a", "2", NOW_MS);
    compact(ALL);
    ck_assert_str_eq(left(), "b=1@1 a=2@2");
    OK(kfl_store_set_clock(store, NOW_MS + 1001));
    OK(kfl_store_maintain(store, -1, NULL));
    ck_assert_str_eq(left(), "");
    ck_assert_int_eq(start_of("t", 0), 3);
}
END_TEST

/* kafka:I10 kafka:I15: what a reader holds stays, and it goes on behind it. */
START_TEST(a_reader_in_the_middle_goes_on)
{
    make_topic("t", 1, WITH(SMALL));
    fill(100, 5, 3000, NOW_MS);
    kfl_consumer *consumer = open_consumer(NULL);
    kfl_records *records = NULL;
    assign_at(consumer, "t", 0, 0);
    const kfl_record *held = poll_one(consumer, &records);
    ck_assert_int_eq(held->offset, 0);
    compact(ALL);
    check_value(held);
    kfl_records_release(records);
    int64_t last = 0;
    int count = 0, n;
    while ((n = OK(kfl_consumer_poll(consumer, 0, 0, &records))) > 0) {
        for (int32_t i = 0; i < n; i++) {
            check_value(kfl_records_get(records, i));
            ck_assert_int_gt(kfl_records_get(records, i)->offset, last);
            last = kfl_records_get(records, i)->offset;
            count++;
        }
        kfl_records_release(records);
    }
    ck_assert_int_ge(count, 5); /* it may finish the file that it stands in */
    ck_assert_int_eq(last, 99);
    OK(kfl_consumer_close(consumer));
}
END_TEST

/* kafka:G5 kafka:G6 kafka:I16: times are as they were; what is gone has none. */
START_TEST(times_stay_right)
{
    int64_t offset = -1, time = -1;
    make_topic("t", 1, WITH(SMALL));
    put("a", "1", NOW_MS + 100);
    put("b", "1", NOW_MS + 900); /* superseded: the largest time of all */
    put("c", "1", NOW_MS + 50);
    put("d", "1", NOW_MS + 500);
    put("b", NULL, NOW_MS + 10);
    put("e", "1", NOW_MS + 300);
    compact(ALL);
    ck_assert_str_eq(left(), "a=1@0 c=1@2 d=1@3 b-@4 e=1@5");
    ck_assert_int_eq(OK(kfl_topic_max_timestamp(store, "t", 0, &offset, &time)), 1);
    ck_assert_int_eq(offset, 3);
    ck_assert_int_eq(time, NOW_MS + 500);
    ck_assert_int_eq(OK(kfl_topic_offset_for_time(store, "t", 0, NOW_MS + 200, &offset, &time)), 1);
    ck_assert_int_eq(offset, 3);
    ck_assert_int_eq(OK(kfl_topic_offset_for_time(store, "t", 0, NOW_MS, &offset, &time)), 1);
    ck_assert_int_eq(offset, 0);
    ck_assert_int_eq(OK(kfl_topic_offset_for_time(store, "t", 0, NOW_MS + 501, &offset, &time)), 0);
}
END_TEST

START_TEST(headers_and_stamped_times_are_kept)
{
    static const kfl_header headers[] = {{"h", "1", 1}, {"h", NULL, 0}};
    kfl_records *records = NULL;
    kfl_consumer *consumer = open_consumer(NULL);
    make_topic("t", 1, WITH(SMALL, "message.timestamp.type", "LogAppendTime"));
    put("a", "1", 5);
    OK(kfl_producer_send(producer, "t", 0, "b", 1, "2", 1, headers, 2, 5, NULL));
    OK(kfl_topic_set(store, "t", "message.timestamp.type", "CreateTime"));
    put("a", "3", 7);
    compact(ALL);
    assign_at(consumer, "t", 0, 0);
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 0, 0, &records)), 2);
    const kfl_record *b = kfl_records_get(records, 0), *a = kfl_records_get(records, 1);
    ck_assert_int_eq(b->timestamp_type, 1);
    ck_assert_int_eq(b->timestamp_ms, NOW_MS);
    ck_assert_int_eq(b->header_count, 2);
    ck_assert_int_eq(a->timestamp_type, 0);
    ck_assert_int_eq(a->timestamp_ms, 7);
    kfl_records_release(records);
    OK(kfl_consumer_close(consumer));
}
END_TEST

/* Records that were there before the topic was compacted may have none. */
START_TEST(records_without_a_key_go)
{
    make_topic("t", 1, WITH("segment.bytes", "65536"));
    put(NULL, "1", NOW_MS);
    put("a", "1", NOW_MS);
    put(NULL, NULL, NOW_MS);
    put("a", "2", NOW_MS);
    OK(kfl_topic_set(store, "t", "cleanup.policy", "compact"));
    compact(ALL);
    ck_assert_str_eq(left(), "a=2@3");
    ck_assert_int_eq(end_of("t", 0), 4);
}
END_TEST

START_TEST(a_topic_that_is_not_compacted_is_refused)
{
    make_topic("t", 1, NULL);
    FAILS(KFL_E_POLICY_VIOLATION, kfl_topic_compact(store, "t", 0, -1, NULL));
    FAILS(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, kfl_topic_compact(store, "nobody", 0, -1, NULL));
    FAILS(KFL_E_INVALID, kfl_topic_compact(store, "t", 64, -1, NULL));
    FAILS(KFL_E_INVALID, kfl_topic_compact(NULL, "t", 0, -1, NULL));
}
END_TEST

START_TEST(a_dry_run_changes_nothing)
{
    make_topic("t", 1, WITH(SMALL));
    fill(60, 3, 5000, NOW_MS);
    int32_t segments = segment_count_of("t", 0);
    kfl_progress progress = compact(KFL_COMPACT_FORCE | KFL_COMPACT_DRY_RUN);
    ck_assert_int_gt(progress.removed_records, 40);
    ck_assert_int_eq(progress.kept_records, 3);
    ck_assert_int_eq(segment_count_of("t", 0), segments);
    kfl_progress done = compact(KFL_COMPACT_FORCE);
    ck_assert_int_eq(done.removed_records, progress.removed_records);
    ck_assert_int_eq(done.compacted_segments, progress.compacted_segments);
    ck_assert_int_le(llabs(done.freed_bytes - progress.freed_bytes), done.freed_bytes / 100);
    ck_assert_int_lt(segment_count_of("t", 0), segments);
}
END_TEST

/* A budget of nothing is enough, if one goes on asking; who stops asking loses nothing. */
START_TEST(it_can_be_left_and_gone_on_with)
{
    kfl_progress progress;
    int rounds = 0;
    make_topic("t", 1, WITH(SMALL));
    fill(300, 7, 5000, NOW_MS);
    while (OK(kfl_topic_compact(store, "t", KFL_COMPACT_FORCE, 0, &progress)) == 1) {
        ck_assert_int_le(progress.read_bytes, progress.total_bytes);
        rounds++;
    }
    ck_assert_int_gt(rounds, 5);
    ck_assert_int_gt(progress.removed_records, 200);
    fill(300, 7, 5000, NOW_MS);
    ck_assert_int_eq(OK(kfl_topic_compact(store, "t", KFL_COMPACT_FORCE, 0, &progress)), 1);
    disk_reopen();
    producer = (kfl_producer_close(producer), open_producer(NULL));
    check_verifies();
    compact(ALL);
    check_verifies();
    ck_assert_int_eq(end_of("t", 0), 600);
}
END_TEST

/* The bytes, anywhere in the store's files. */
static int files_hold(const char *bytes)
{
    char command[700];
    snprintf(command, sizeof command, "grep -rlaq '%s' %s", bytes, temp_dir_path());
    return system(command) == 0;
}

START_TEST(a_key_can_be_forgotten)
{
    int64_t records = -1;
    make_topic("t", 3, WITH(SMALL, "min.compaction.lag.ms", "1000000000"));
    for (int32_t i = 0; i < 30; i++) {
        send_at(producer, "t", i % 2, "the-subject", "what-is-known-of-it", NOW_MS);
        send_at(producer, "t", i % 3, "somebody-else", "stays", NOW_MS);
    }
    OK(kfl_store_sync(store, -1));
    ck_assert(files_hold("the-subject") && files_hold("what-is-known"));
    OK(kfl_topic_forget(store, "t", "the-subject", 11, &records));
    ck_assert_int_eq(records, 30);
    OK(kfl_store_sync(store, -1));
    ck_assert(!files_hold("the-subject") && !files_hold("what-is-known"));
    ck_assert(files_hold("somebody-else"));
    OK(kfl_topic_forget(store, "t", "the-subject", 11, &records));
    ck_assert_int_eq(records, 0);
    ck_assert_ptr_nonnull(strstr(left(), "somebody-else=stays"));
    check_verifies();
    make_topic("d", 1, NULL);
    FAILS(KFL_E_POLICY_VIOLATION, kfl_topic_forget(store, "d", "k", 1, NULL));
    FAILS(KFL_E_INVALID, kfl_topic_forget(store, "t", NULL, 0, NULL));
}
END_TEST

START_TEST(a_plan_says_why)
{
    kfl_plan *plan = NULL;
    make_topic("t", 1, WITH(SMALL));
    fill(30, 3, 5000, NOW_MS);
    OK(kfl_store_maintain(store, 0, NULL));
    OK(kfl_topic_plan(store, "t", KFL_PLAN_COMPACTION, &plan));
    ck_assert_int_ge(kfl_plan_count(plan), 3);
    ck_assert_int_eq(kfl_plan_get(plan, 0)->goes, 1);
    const kfl_plan_row *last = kfl_plan_get(plan, kfl_plan_count(plan) - 1);
    ck_assert_int_eq(last->goes, 0);
    ck_assert_str_eq(last->text, "stays: it takes appends");
    ck_assert_int_eq(last->end_offset, 30);
    ck_assert_ptr_null(kfl_plan_get(plan, kfl_plan_count(plan)));
    kfl_plan_release(plan);
    OK(kfl_topic_plan(store, "t", KFL_PLAN_RETENTION, &plan));
    ck_assert_str_eq(kfl_plan_get(plan, 0)->text, "stays: cleanup.policy lacks delete");
    kfl_plan_release(plan);
    OK(kfl_topic_set(store, "t", "cleanup.policy", "delete"));
    OK(kfl_topic_set(store, "t", "retention.ms", "1000"));
    OK(kfl_store_set_clock(store, NOW_MS + 5000));
    OK(kfl_topic_plan(store, "t", KFL_PLAN_RETENTION, &plan));
    ck_assert_int_eq(kfl_plan_get(plan, 0)->goes, 1);
    ck_assert_ptr_nonnull(strstr(kfl_plan_get(plan, 0)->text, "retention.ms=1000"));
    kfl_plan_release(plan);
    kfl_progress progress;
    OK(kfl_topic_retain(store, "t", &progress));
    ck_assert_int_ge(progress.deleted_segments, 3);
    ck_assert_int_eq(start_of("t", 0), 30);
    FAILS(KFL_E_INVALID, kfl_topic_plan(store, "t", 7, &plan));
    FAILS(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, kfl_topic_retain(store, "nobody", NULL));
}
END_TEST

START_TEST(a_slow_rate_is_kept)
{
    kfl_progress progress;
    OK(kfl_producer_close(producer));
    OK(kfl_store_close(store));
    store = open_store(temp_dir_path(), WITH("background.threads", "0",
                                             "log.cleaner.io.max.bytes.per.second", "1000000"));
    producer = open_producer(NULL);
    make_topic("t", 1, WITH(SMALL));
    fill(100, 3, 5000, NOW_MS); /* half a million bytes, read twice */
    ck_assert_int_eq(OK(kfl_topic_compact(store, "t", KFL_COMPACT_FORCE, 300, &progress)), 1);
    ck_assert_int_le(progress.read_bytes, 900000);
    ck_assert_int_eq(OK(kfl_topic_compact(store, "t", KFL_COMPACT_FORCE, -1, &progress)), 0);
}
END_TEST

/* More keys than the memory holds take several passes, and the outcome is the same. */
START_TEST(little_memory_takes_several_passes)
{
    OK(kfl_producer_close(producer));
    OK(kfl_store_close(store));
    store = open_store(temp_dir_path(),
                       WITH("background.threads", "0", "log.cleaner.dedupe.buffer.size", "65536"));
    producer = open_producer(NULL);
    make_topic("t", 1, WITH(SMALL));
    fill(40000, 20000, 8, NOW_MS);
    kfl_progress progress = compact(ALL);
    ck_assert_int_eq(progress.removed_records, 20000);
    ck_assert_int_eq(progress.kept_records, 20000);
    kfl_consumer *consumer = open_consumer(NULL);
    assign_at(consumer, "t", 0, 0);
    ck_assert_int_eq(read_on(consumer, 20000), 40000);
    OK(kfl_consumer_close(consumer));
    check_verifies();
}
END_TEST

/* The last pass has room for all that is left, and what the one before it did not know begins within a file. */
START_TEST(a_pass_begins_within_a_file)
{
    int32_t count = 3000 + 100 * _i;
    OK(kfl_producer_close(producer));
    OK(kfl_store_close(store));
    store = open_store(temp_dir_path(),
                       WITH("background.threads", "0", "log.cleaner.dedupe.buffer.size", "65536"));
    producer = open_producer(NULL);
    make_topic("t", 1, WITH(SMALL));
    fill(count, count, 8, NOW_MS);
    kfl_progress progress = compact(ALL);
    ck_assert_int_eq(progress.removed_records, 0);
    ck_assert_int_eq(progress.kept_records, count);
    kfl_consumer *consumer = open_consumer(NULL);
    assign_at(consumer, "t", 0, 0);
    ck_assert_int_eq(read_on(consumer, 0), count);
    OK(kfl_consumer_close(consumer));
    check_verifies();
}
END_TEST

/* P6: what is damaged is told, and costs nothing else. */
START_TEST(damage_stops_it_there)
{
    kfl_segments *list = NULL;
    char path[600];
    make_topic("t", 1, WITH(SMALL));
    fill(60, 3, 5000, NOW_MS);
    OK(kfl_store_maintain(store, 0, NULL));
    OK(kfl_segments_list(store, "t", 0, &list));
    ck_assert_int_ge(kfl_segments_count(list), 4);
    int64_t damaged = kfl_segments_get(list, 2)->base_offset;
    snprintf(path, sizeof path, "%s", kfl_segments_get(list, 2)->path);
    kfl_segments_release(list);
    FILE *file = fopen(path, "r+");
    ck_assert_ptr_nonnull(file);
    fseek(file, 20000, SEEK_SET);
    fputc('!', file);
    fclose(file);
    kfl_progress progress;
    FAILS(KFL_E_CORRUPT, kfl_topic_compact(store, "t", KFL_COMPACT_FORCE, -1, &progress));
    ck_assert_ptr_nonnull(strstr(kfl_last_error(), "checksum"));
    /* In front of it it was done; behind it all is as it was. */
    kfl_consumer *consumer = open_consumer(NULL);
    kfl_records *records = NULL;
    assign_at(consumer, "t", 0, 0);
    ck_assert_int_ge(poll_one(consumer, &records)->offset, damaged - 3);
    kfl_records_release(records);
    int32_t seen = 0, holes = 0;
    for (;;) {
        kfl_event *event = NULL;
        int n = kfl_consumer_poll(consumer, 0, 0, &records);
        if (n == KFL_E_EVENT) {
            while (OK(kfl_consumer_next_event(consumer, &event)) == 1) {
                holes += (int32_t)(kfl_event_end_offset(event) - kfl_event_offset(event));
                kfl_event_release(event);
            }
            continue;
        }
        if (OK(n) == 0)
            break;
        seen += n;
        kfl_records_release(records);
    }
    ck_assert_int_eq(holes, 1);
    ck_assert_int_ge(seen, 60 - damaged - 2); /* one was taken before, one is the hole */
    OK(kfl_consumer_close(consumer));
}
END_TEST

/* Zeros behind a key are part of it, whatever words it is looked at by. */
START_TEST(keys_that_differ_by_their_size_are_told_apart)
{
    static const char key[16] = "ab";
    make_topic("t", 1, WITH(SMALL));
    for (int turn = 0; turn < 3; turn++)
        for (size_t size = 0; size <= sizeof key; size++)
            OK(kfl_producer_send(producer, "t", 0, key, size, turn == 2 ? "new" : "old", 3, NULL, 0,
                                 NOW_MS, NULL));
    compact(ALL);
    kfl_consumer *consumer = open_consumer(NULL);
    kfl_records *records = NULL;
    assign_at(consumer, "t", 0, 0);
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 0, 0, &records)), sizeof key + 1);
    for (int32_t i = 0; i <= (int32_t)sizeof key; i++) {
        ck_assert_uint_eq(kfl_records_get(records, i)->key_size, (size_t)i);
        ck_assert_mem_eq(kfl_records_get(records, i)->value, "new", 3);
    }
    kfl_records_release(records);
    OK(kfl_consumer_close(consumer));
}
END_TEST

#ifdef KFL_FAULT_POINTS
/* Two keys with one digest are two keys. */
START_TEST(keys_with_one_digest_are_told_apart)
{
    make_topic("t", 1, WITH(SMALL));
    put("a", "1", NOW_MS);
    put("b", "1", NOW_MS);
    put("a", NULL, NOW_MS);
    put("c", "1", NOW_MS);
    /* The first seed gives every key the same digest; the next one does not. */
    OK(kfl__fault_arm("compact.digest=EIO"));
    compact(ALL);
    OK(kfl__fault_arm(NULL));
    ck_assert_str_eq(left(), "b=1@1 a-@2 c=1@3");
}
END_TEST

static int die_in_compaction(void *context)
{
    kfl_store *own = NULL;
    kfl_config *config = config_of(WITH("background.threads", "0"));
    if (kfl_store_open(temp_dir_path(), config, &own) < 0 || kfl_store_set_clock(own, NOW_MS) < 0 ||
        kfl__fault_arm(context) < 0)
        return 1;
    (void)kfl_topic_compact(own, "t", ALL, -1, NULL);
    return 2;
}

static const char *const steps[] = {
    "compact.learned",     "compact.listed",    "segment.created", "segment.before_sync",
    "compact.created",     "compact.written",   "compact.synced",  "compact.before_commit",
    "catalog.begun:6",     "compact.committed", "compact.told",    "compact.before_commit:2",
    "compact.committed:2", "compact.told:2",
};

/* kafka:I15 rule:R27: a kill at any step leaves the old files or the new ones. */
START_TEST(killed_at_any_step_nothing_is_mixed)
{
    char plan[64], before[20000];
    snprintf(plan, sizeof plan, "%s=kill", steps[_i]);
    make_topic("t", 1, WITH(SMALL));
    fill(250, 40, 5000, NOW_MS);
    OK(kfl_store_close(store));
    ck_assert_msg(child_run(die_in_compaction, plan) == -SIGKILL, "%s", plan);
    store = open_store(temp_dir_path(), WITH("background.threads", "0"));
    OK(kfl_store_set_clock(store, NOW_MS));
    check_verifies();
    snprintf(before, sizeof before, "%s", left());
    ck_assert_ptr_nonnull(strstr(before, "k9=v249@249")); /* the newest of every key, at least */
    compact(ALL);
    const char *after = left();
    ck_assert_ptr_nonnull(strstr(after, "k9=v249@249"));
    ck_assert_ptr_null(strstr(after, "@209 "));
    check_verifies();
    ck_assert_int_eq(end_of("t", 0), 250);
}
END_TEST
#endif

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("compact");
    TCase *tests = tcase_create("compact");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, the_newest_record_of_each_key_stays_where_it_was);
    tcase_add_test(tests, an_empty_key_is_a_key);
    tcase_add_test(tests, the_file_that_takes_appends_is_never_compacted);
    tcase_add_test(tests, readers_find_the_next_record_behind_a_hole);
    tcase_add_test(tests, a_tombstone_stays_for_a_day_after_the_compaction_that_met_it);
    tcase_add_test(tests, a_tombstone_goes_in_a_second_pass_only);
    tcase_add_test(tests, each_tombstone_has_its_own_time);
    tcase_add_test(tests, the_end_stays_where_it_was);
    tcase_add_test(tests, a_small_dirty_part_is_left_alone);
    tcase_add_test(tests, what_is_young_is_left_alone_and_what_is_behind_it);
    tcase_add_test(tests, what_waits_too_long_is_compacted);
    tcase_add_test(tests, files_are_closed_by_the_shorter_time);
    tcase_add_test(tests, with_both_policies_the_last_value_of_a_key_may_go);
    tcase_add_test(tests, a_reader_in_the_middle_goes_on);
    tcase_add_test(tests, times_stay_right);
    tcase_add_test(tests, headers_and_stamped_times_are_kept);
    tcase_add_test(tests, records_without_a_key_go);
    tcase_add_test(tests, a_topic_that_is_not_compacted_is_refused);
    tcase_add_test(tests, a_dry_run_changes_nothing);
    tcase_add_test(tests, it_can_be_left_and_gone_on_with);
    tcase_add_test(tests, a_key_can_be_forgotten);
    tcase_add_test(tests, a_plan_says_why);
    tcase_add_test(tests, a_slow_rate_is_kept);
    tcase_add_test(tests, little_memory_takes_several_passes);
    tcase_add_loop_test(tests, a_pass_begins_within_a_file, 0, 10);
    tcase_add_test(tests, damage_stops_it_there);
    tcase_add_test(tests, keys_that_differ_by_their_size_are_told_apart);
#ifdef KFL_FAULT_POINTS
    tcase_add_test(tests, keys_with_one_digest_are_told_apart);
    tcase_add_loop_test(tests, killed_at_any_step_nothing_is_mixed, 0,
                        (int)(sizeof steps / sizeof *steps));
#endif
    suite_add_tcase(suite, tests);
    return suite;
}
