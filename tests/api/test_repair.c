/* SPDX-License-Identifier: MIT */
/* A store whose catalog is lost: what comes back, what is told as lost, and that the old one stays as it is. */
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include "child.h"
#include "store_fixture.h"

#define GAP (INT64_C(1) << 32)
#define SMALL WITH("segment.bytes", "65536", "flush.ms", "3600000")

static char old_path[600], new_path[600];
static kfl_findings *findings;

static void open_old(void)
{
    store = open_store(old_path, WITH("background.threads", "0"));
}

static void close_old(void)
{
    OK(kfl_store_close(store));
    store = NULL;
}

static void set_up(void)
{
    temp_dir_make();
    snprintf(old_path, sizeof old_path, "%s", temp_dir_file("old"));
    snprintf(new_path, sizeof new_path, "%s", temp_dir_file("new"));
    open_old();
}

static void tear_down(void)
{
    kfl_findings_release(findings);
    findings = NULL;
    kfl_store_close(store);
    store = NULL;
    temp_dir_remove();
}

static void shell(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void shell(const char *format, ...)
{
    char command[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    ck_assert_msg(system(command) == 0, "%s", command);
}

/* Every file's name, time and bytes. */
static void fingerprint(char out[65])
{
    char command[900];
    snprintf(
        command, sizeof command,
        "cd %s && find . -printf '%%p %%s %%T@\\n' -type f -exec sha1sum {} + | sort | sha256sum",
        old_path);
    FILE *pipe = popen(command, "r");
    ck_assert_ptr_nonnull(pipe);
    ck_assert_uint_eq(fread(out, 1, 64, pipe), 64);
    out[64] = '\0';
    ck_assert_int_eq(pclose(pipe), 0);
}

/* Changes nothing of the old one; the new one is open afterwards. The number of findings. */
static int repair(void)
{
    char before[65], after[65];
    fingerprint(before);
    kfl_findings_release(findings);
    findings = NULL;
    int count = OK(kfl_store_repair(old_path, new_path, &findings));
    fingerprint(after);
    ck_assert_str_eq(before, after);
    ck_assert_int_eq(kfl_findings_count(findings), count);
    store = open_store(new_path, WITH("background.threads", "0"));
    kfl_findings *verified = NULL;
    ck_assert_int_eq(OK(kfl_store_verify(store, NULL, 0, &verified)), 0);
    kfl_findings_release(verified);
    return count;
}

static void lose_catalog(void)
{
    close_old();
    shell("rm %s/catalog.mdb*", old_path);
}

/* "v<offset>" from `from` up to `to`, with nothing else before and none behind. */
static void expect_records(const char *topic, int32_t partition, int64_t from, int64_t to)
{
    kfl_consumer *consumer = open_consumer(NULL);
    ck_assert_int_eq(start_of(topic, partition), from);
    assign_at(consumer, topic, partition, from);
    ck_assert_int_eq(read_on(consumer, from), to);
    OK(kfl_consumer_close(consumer));
}

static const kfl_finding *expect_finding(int32_t index, int32_t kind, int64_t offset,
                                         int64_t end_offset)
{
    const kfl_finding *finding = kfl_findings_get(findings, index);
    ck_assert_ptr_nonnull(finding);
    ck_assert_msg(finding->kind == kind && finding->offset == offset &&
                      finding->end_offset == end_offset,
                  "kind %d, %" PRId64 "..%" PRId64 ": %s", finding->kind, finding->offset,
                  finding->end_offset, finding->text);
    ck_assert(ends_with_no_full_stop(finding->text));
    return finding;
}

/* The number of the segment that holds the offset. */
static int64_t segment_of(const char *topic, int32_t partition, int64_t offset)
{
    kfl_segments *segments = NULL;
    int64_t id = 0;
    OK(kfl_segments_list(store, topic, partition, &segments));
    for (int32_t i = 0; i < kfl_segments_count(segments); i++) {
        const kfl_segment *segment = kfl_segments_get(segments, i);
        if (segment->state != KFL_SEGMENT_PREPARED && segment->base_offset <= offset)
            id = segment->segment_id;
    }
    kfl_segments_release(segments);
    return id;
}

static void spoil(int64_t topic_id, int32_t partition, int64_t segment_id, int64_t place)
{
    char path[800], byte;
    snprintf(path, sizeof path, "%s/topics/%" PRId64 "/%d/%020" PRId64 ".log", old_path, topic_id,
             (int)partition, segment_id);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pread(fd, &byte, 1, place), 1);
    byte ^= 0x5a;
    ck_assert_int_eq(pwrite(fd, &byte, 1, place), 1);
    close(fd);
}

START_TEST(everything_comes_back_at_its_offset)
{
    kfl_store *refused = NULL;
    make_topic("t", 3, SMALL);
    make_topic("u", 1, NULL);
    send_many("t", 0, 300, 1000);
    send_many("t", 2, 1, 0);
    send_many("u", 0, 40, 0);
    kfl_producer *producer = open_producer(NULL);
    send_batch(producer, "u", 0, 25);
    OK(kfl_producer_close(producer));
    ck_assert_int_gt(segment_count_of("t", 0), 3);
    lose_catalog();
    FAILS(KFL_E_CORRUPT, kfl_store_open(old_path, NULL, &refused));
    ck_assert_int_eq(repair(), 0);
    ck_assert_int_eq(kfl_findings_checked_records(findings), 300 + 1 + 65);
    expect_records("t", 0, 0, 300);
    expect_records("t", 1, 0, 0);
    expect_records("t", 2, 0, 1);
    expect_records("u", 0, 0, 65);
    ck_assert_int_eq(end_of("t", 0), 300 + GAP);
    ck_assert_int_eq(end_of("t", 1), 0);
    ck_assert_int_eq(end_of("u", 0), 65 + GAP);
    /* It goes on behind the gap, which readers pass. */
    kfl_records *records;
    producer = open_producer(WITH("acks", "all"));
    ck_assert_int_eq(send_value(producer, "u", 0, "new"), 65 + GAP);
    OK(kfl_producer_close(producer));
    kfl_consumer *consumer = open_consumer(NULL);
    assign_at(consumer, "u", 0, 65);
    const kfl_record *record = poll_one(consumer, &records);
    ck_assert_int_eq(record->offset, 65 + GAP);
    check_bytes(record->value, record->value_size, "new");
    kfl_records_release(records);
    OK(kfl_consumer_close(consumer));
}
END_TEST

START_TEST(keys_headers_times_and_missing_values_come_back)
{
    kfl_header headers[] = {{.name = "h", .value = "1", .value_size = 1}, {.name = "h"}};
    kfl_records *records;
    int64_t offset;
    make_topic("t", 1, NULL);
    kfl_producer *producer = open_producer(NULL);
    OK(kfl_producer_send(producer, "t", 0, "key", 3, NULL, 0, headers, 2, 77, &offset));
    OK(kfl_producer_close(producer));
    lose_catalog();
    ck_assert_int_eq(repair(), 0);
    kfl_consumer *consumer = open_consumer(NULL);
    assign_at(consumer, "t", 0, 0);
    const kfl_record *record = poll_one(consumer, &records);
    check_bytes(record->key, record->key_size, "key");
    check_bytes(record->value, record->value_size, NULL);
    ck_assert_int_eq(record->timestamp_ms, 77);
    ck_assert_int_eq(record->header_count, 2);
    kfl_records_release(records);
    OK(kfl_consumer_close(consumer));
}
END_TEST

/* Whatever is flipped in the catalog: the store opens or is refused, and can be repaired. */
START_TEST(flipped_bytes_of_the_catalog_cost_no_record)
{
    char path[700];
    struct stat status;
    make_topic("t", 2, SMALL);
    send_many("t", 0, 100, 1000);
    send_many("t", 1, 7, 0);
    close_old();
    snprintf(path, sizeof path, "%s/catalog.mdb", old_path);
    ck_assert_int_eq(stat(path, &status), 0);
    int refused = 0;
    uint32_t seed = 20261127;
    for (int64_t page = 0; page < status.st_size; page += 4096) {
        kfl_store *opened = NULL;
        shell("rm -rf %s && cp -r %s %s/kept", new_path, old_path, temp_dir_path());
        int fd = open(path, O_RDWR | O_CLOEXEC);
        for (int i = 0; i < 64; i++) {
            uint8_t byte;
            seed = seed * 1664525 + 1013904223;
            int64_t place = page + (seed >> 8) % 4096;
            ck_assert_int_eq(pread(fd, &byte, 1, place), 1);
            byte ^= (uint8_t)(1 << (seed >> 29));
            ck_assert_int_eq(pwrite(fd, &byte, 1, place), 1);
        }
        close(fd);
        if (kfl_store_open(old_path, NULL, &opened) < 0)
            refused++;
        kfl_store_close(opened);
        ck_assert_int_eq(repair(), 0);
        expect_records("t", 0, 0, 100);
        expect_records("t", 1, 0, 7);
        OK(kfl_store_close(store));
        store = NULL;
        shell("rm -rf %s && mv %s/kept %s", old_path, temp_dir_path(), old_path);
    }
    ck_assert_int_gt(refused, 0);
}
END_TEST

START_TEST(a_missing_file_is_told_and_costs_its_records)
{
    make_topic("t", 1, SMALL);
    send_many("t", 0, 300, 1000);
    int64_t id = segment_of("t", 0, 120);
    int64_t from = 0, to = 0;
    kfl_segments *segments = NULL;
    OK(kfl_segments_list(store, "t", 0, &segments));
    for (int32_t i = 0; i < kfl_segments_count(segments); i++) {
        const kfl_segment *segment = kfl_segments_get(segments, i);
        if (segment->segment_id == id)
            from = segment->base_offset;
        else if (segment->base_offset > from && from > 0 && to == 0)
            to = segment->base_offset;
    }
    kfl_segments_release(segments);
    ck_assert(from > 0 && to > from);
    lose_catalog();
    shell("rm %s/topics/1/0/%020" PRId64 ".log", old_path, id);
    ck_assert_int_eq(repair(), 1);
    expect_finding(0, KFL_FINDING_MISSING_FILE, from, to);
    ck_assert_int_eq(kfl_findings_checked_records(findings), 300 - (to - from));
    kfl_consumer *consumer = open_consumer(NULL);
    assign_at(consumer, "t", 0, to);
    ck_assert_int_eq(read_on(consumer, to), 300);
    OK(kfl_consumer_close(consumer));
}
END_TEST

START_TEST(a_missing_last_file_is_told)
{
    make_topic("t", 1, SMALL);
    send_many("t", 0, 300, 1000);
    int64_t id = segment_of("t", 0, 299);
    lose_catalog();
    shell("rm %s/topics/1/0/%020" PRId64 ".log", old_path, id);
    ck_assert_int_eq(repair(), 1);
    const kfl_finding *finding = kfl_findings_get(findings, 0);
    ck_assert_int_eq(finding->kind, KFL_FINDING_MISSING_FILE);
    ck_assert_int_eq(finding->end_offset, -1);
    expect_records("t", 0, 0, finding->offset);
    ck_assert_int_eq(end_of("t", 0), finding->offset + GAP);
}
END_TEST

START_TEST(a_damaged_batch_costs_itself)
{
    make_topic("t", 1, NULL);
    send_many("t", 0, 50, 1000);
    lose_catalog();
    spoil(1, 0, 1, 512 + 10 * (((48 + 24 + 1000) + 7) / 8 * 8) + 300);
    ck_assert_int_eq(repair(), 1);
    const kfl_finding *finding = expect_finding(0, KFL_FINDING_DAMAGE, 10, 11);
    ck_assert_int_eq(finding->place, 512 + 10 * 1072);
    ck_assert_str_eq(finding->topic, "t");
    ck_assert_ptr_nonnull(strstr(finding->path, "/topics/1/0/00000000000000000001.log"));
    kfl_consumer *consumer = open_consumer(NULL);
    assign_at(consumer, "t", 0, 11);
    ck_assert_int_eq(read_on(consumer, 11), 50);
    OK(kfl_consumer_close(consumer));
}
END_TEST

START_TEST(a_damaged_header_costs_its_file)
{
    make_topic("t", 1, SMALL);
    send_many("t", 0, 300, 1000);
    int64_t id = segment_of("t", 0, 120);
    lose_catalog();
    spoil(1, 0, id, 60);
    ck_assert_int_eq(repair(), 2); /* the file, and the records that are nowhere */
    ck_assert_int_eq(kfl_findings_get(findings, 0)->kind, KFL_FINDING_DAMAGE);
    ck_assert_int_eq(kfl_findings_get(findings, 0)->offset, -1);
    ck_assert_int_eq(kfl_findings_get(findings, 1)->kind, KFL_FINDING_MISSING_FILE);
}
END_TEST

static int append_and_die(void *context)
{
    (void)context;
    open_old();
    send_many("t", 0, 50, 1000);
    kill(getpid(), SIGKILL);
    return 1;
}

/* What was copied by recoveries lies in two files: it comes back once. */
START_TEST(what_recovery_copied_comes_back_once)
{
    make_topic("t", 1, SMALL);
    close_old();
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(child_run(append_and_die, NULL), -SIGKILL);
    open_old();
    kfl_producer *producer = open_producer(WITH("acks", "all"));
    send_batch(producer, "t", 0, 3);
    OK(kfl_producer_close(producer));
    lose_catalog();
    ck_assert_int_eq(repair(), 0);
    ck_assert_int_eq(kfl_findings_checked_records(findings), 203);
    expect_records("t", 0, 0, 203);
}
END_TEST

/* Those that were killed leave a state file that says what was published: the files say it too. */
/* What a reader from the beginning gets: "key@offset " for each record. */
static const char *what_is_left(void)
{
    static char text[8192];
    size_t size = 0;
    kfl_consumer *consumer = open_consumer(NULL);
    kfl_records *records = NULL;
    text[0] = '\0';
    assign_at(consumer, "t", 0, 0);
    int n;
    while ((n = OK(kfl_consumer_poll(consumer, 0, 0, &records))) > 0) {
        for (int32_t i = 0; i < n; i++) {
            const kfl_record *record = kfl_records_get(records, i);
            size += (size_t)snprintf(text + size, sizeof text - size, "%.*s@%" PRId64 " ",
                                     (int)record->key_size, (const char *)record->key,
                                     record->offset);
        }
        kfl_records_release(records);
    }
    OK(kfl_consumer_close(consumer));
    return text;
}

/* Killed between the swap's commit and the unlinking, the replaced files stand beside the new ones. */
START_TEST(what_compaction_replaced_stays_away)
{
    char value[3000], left[8192];
    memset(value, '.', sizeof value);
    make_topic("t", 1, WITH("segment.bytes", "65536", "cleanup.policy", "compact"));
    kfl_producer *producer = open_producer(NULL);
    for (int i = 0; i < 200; i++) {
        char key[16];
        int size = snprintf(key, sizeof key, "%d", i < 100 ? i % 7 : i % 60);
        OK(kfl_producer_send(producer, "t", 0, key, (size_t)size, value, sizeof value, NULL, 0,
                             NOW_MS, NULL));
    }
    OK(kfl_producer_close(producer));
    OK(kfl_store_sync(store, -1));
    shell("mkdir %s/kept && cp -a %s/topics/*/0/*.log %s/kept", temp_dir_path(), old_path,
          temp_dir_path());
    OK(kfl_topic_compact(store, "t", KFL_COMPACT_FORCE, -1, NULL));
    snprintf(left, sizeof left, "%s", what_is_left());
    ck_assert_ptr_null(strstr(left, "0@0 "));
    lose_catalog();
    shell("cp -an %s/kept/*.log %s/topics/*/0", temp_dir_path(), old_path);
    repair();
    ck_assert_str_eq(what_is_left(), left);
}
END_TEST

START_TEST(a_killed_store_is_repaired_up_to_its_end)
{
    make_topic("t", 1, SMALL);
    close_old();
    ck_assert_int_eq(child_run(append_and_die, NULL), -SIGKILL);
    shell("rm %s/catalog.mdb", old_path);
    ck_assert_int_eq(repair(), 0);
    expect_records("t", 0, 0, 50);
}
END_TEST

START_TEST(a_deleted_beginning_stays_away_with_its_files)
{
    int64_t start;
    make_topic("t", 1, SMALL);
    send_many("t", 0, 300, 1000);
    OK(kfl_topic_delete_records(store, "t", 0, 200, &start));
    lose_catalog();
    ck_assert_int_eq(repair(), 0);
    start = start_of("t", 0);
    ck_assert(start > 0 && start <= 200); /* its file's other records come back */
    expect_records("t", 0, start, 300);
}
END_TEST

START_TEST(an_older_topic_of_the_same_name_comes_back_under_another)
{
    make_topic("t", 1, NULL);
    send_many("t", 0, 5, 0);
    shell("cp -r %s/topics/1 %s/../kept", old_path, old_path);
    OK(kfl_topic_delete(store, "t"));
    make_topic("t", 1, NULL);
    send_many("t", 0, 7, 0);
    lose_catalog();
    shell("mv %s/../kept %s/topics/1", old_path, old_path);
    ck_assert_int_eq(repair(), 1);
    const kfl_finding *finding = expect_finding(0, KFL_FINDING_CATALOG, -1, -1);
    ck_assert_str_eq(finding->topic, "t.1");
    expect_records("t", 0, 0, 7);
    expect_records("t.1", 0, 0, 5);
}
END_TEST

START_TEST(files_of_another_store_are_not_taken)
{
    make_topic("t", 1, NULL);
    send_many("t", 0, 5, 0);
    close_old();
    shell("mv %s %s/../other", old_path, old_path);
    open_old();
    make_topic("t", 1, NULL);
    send_many("t", 0, 9, 0);
    lose_catalog();
    shell(
        "cp %s/../other/topics/1/0/00000000000000000001.log %s/topics/1/0/00000000000000000009.log",
        old_path, old_path);
    int count = repair();
    ck_assert_int_ge(count, 1);
    ck_assert_int_eq(kfl_findings_get(findings, 0)->kind, KFL_FINDING_DAMAGE);
    expect_records("t", 0, 0, 9);
}
END_TEST

START_TEST(a_repair_is_refused_where_it_would_do_harm)
{
    char inside[700];
    make_topic("t", 1, NULL);
    send_many("t", 0, 5, 0);
    FAILS(KFL_E_BUSY, kfl_store_repair(old_path, new_path, &findings));
    close_old();
    FAILS(KFL_E_INVALID, kfl_store_repair(NULL, new_path, &findings));
    FAILS(KFL_E_INVALID, kfl_store_repair(old_path, "", &findings));
    FAILS(KFL_E_INVALID, kfl_store_repair(old_path, new_path, NULL));
    FAILS(KFL_E_NOT_FOUND, kfl_store_repair(temp_dir_file("none"), new_path, &findings));
    FAILS(KFL_E_NOT_FOUND, kfl_store_repair(old_path, temp_dir_file("none/new"), &findings));
    FAILS(KFL_E_EXISTS, kfl_store_repair(old_path, old_path, &findings));
    snprintf(inside, sizeof inside, "%s/topics/new", old_path);
    FAILS(KFL_E_INVALID, kfl_store_repair(old_path, inside, &findings));
    snprintf(inside, sizeof inside, "%s/empty", temp_dir_path());
    ck_assert_int_eq(mkdir(inside, 0700), 0);
    FAILS(KFL_E_NOT_FOUND, kfl_store_repair(inside, new_path, &findings));
    ck_assert_int_ne(access(new_path, F_OK), 0);
    ck_assert_ptr_null(findings);
    /* An empty folder is taken. */
    OK(kfl_store_repair(old_path, inside, &findings));
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("api/repair");
    TCase *tests = tcase_create("repair");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, everything_comes_back_at_its_offset);
    tcase_add_test(tests, keys_headers_times_and_missing_values_come_back);
    tcase_add_test(tests, flipped_bytes_of_the_catalog_cost_no_record);
    tcase_add_test(tests, a_missing_file_is_told_and_costs_its_records);
    tcase_add_test(tests, a_missing_last_file_is_told);
    tcase_add_test(tests, a_damaged_batch_costs_itself);
    tcase_add_test(tests, a_damaged_header_costs_its_file);
    tcase_add_test(tests, what_recovery_copied_comes_back_once);
    tcase_add_test(tests, what_compaction_replaced_stays_away);
    tcase_add_test(tests, a_killed_store_is_repaired_up_to_its_end);
    tcase_add_test(tests, a_deleted_beginning_stays_away_with_its_files);
    tcase_add_test(tests, an_older_topic_of_the_same_name_comes_back_under_another);
    tcase_add_test(tests, files_of_another_store_are_not_taken);
    tcase_add_test(tests, a_repair_is_refused_where_it_would_do_harm);
    suite_add_tcase(suite, tests);
    return suite;
}
