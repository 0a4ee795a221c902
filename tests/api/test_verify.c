/* SPDX-License-Identifier: MIT */
/* What a check of the whole store says: nothing where nothing is wrong, and of the catalog. */
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "api/store.h"
#include "base/fault.h"
#include "catalog/offsets.h"
#include "catalog/segments.h"
#include "child.h"
#include "format/codec.h"
#include "verify_fixture.h"

/* ---- all is well ---- */

START_TEST(an_empty_store_is_well)
{
    expect_nothing();
    inspect_topic("t", 3, NULL, NULL);
    expect_nothing();
    ck_assert_int_eq(kfl_findings_checked_records(findings), 0);
    ck_assert_int_eq(kfl_findings_checked_bytes(findings), 0);
}
END_TEST

START_TEST(a_whole_store_is_well_and_all_of_it_is_read)
{
    fill();
    expect_nothing();
    ck_assert_int_eq(kfl_findings_checked_records(findings), 20 + RECORDS + 5);
    ck_assert_int_gt(kfl_findings_checked_bytes(findings), RECORDS * 1000);
    ck_assert_int_eq(verify("s", 0), 0);
    ck_assert_int_eq(kfl_findings_checked_records(findings), 20);
    ck_assert_int_eq(verify(NULL, 1), 0);
    ck_assert_int_eq(kfl_findings_checked_records(findings), 0);
    inspect_reopen();
    expect_nothing();
    ck_assert_int_eq(kfl_findings_checked_records(findings), 20 + RECORDS + 5);
}
END_TEST

/* Before anything is synced, sealed or maintained, at each length. */
START_TEST(at_any_time_a_store_is_well)
{
    inspect_topic("t", 1, NULL, NULL);
    for (int i = 1; i <= 150; i++) {
        inspect_send("t", 0, 1, 1500);
        if (i % 29 == 0)
            OK(kfl_store_maintain(store, 1000, NULL));
        if (i % 37 == 0)
            inspect_reopen();
        expect_nothing();
        ck_assert_int_eq(kfl_findings_checked_records(findings), i);
    }
}
END_TEST

START_TEST(compressed_batches_are_unpacked_and_checked)
{
    static const char *const names[] = {"lz4", "zstd"};
    if (!kfl__codec_is_built(kfl__codec_find(names[_i])))
        return;
    inspect_topic("t", 1, "compression.type", names[_i]);
    inspect_send("t", 0, 50, 2000);
    kfl_segment segment = inspect_segment("t", 0, 0);
    kfl_batch batch = inspect_batch(segment.path, 10);
    ck_assert_int_eq(batch.codec, kfl__codec_find(names[_i]));
    ck_assert_int_eq(batch.base_timestamp_ms, NOW_MS + 10);
    expect_nothing();
    ck_assert_int_eq(kfl_findings_checked_records(findings), 50);
    /* X48: what does not unpack, under a hash that fits. */
    forge(segment.path, batch, batch.base_offset, batch.writer_epoch, (uint16_t)batch.codec, 0xee);
    const kfl_finding *finding = expect_one(0, KFL_FINDING_DAMAGE, "t", 0, segment.path);
    ck_assert_int_eq(finding->offset, 10);
    ck_assert_int_eq(finding->end_offset, 11);
}
END_TEST

/* All files but those that every process writes to: the lock table, and what is true now. */
static uint64_t files_hash;
static int files_count;
static int add_file(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    const char *name = path + walk->base;
    if (kind != FTW_F || strcmp(name, "state") == 0 || strcmp(name, "catalog.mdb-lock") == 0)
        return 0;
    uint8_t *bytes = malloc((size_t)status->st_size + 1);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(read(fd, bytes, (size_t)status->st_size), status->st_size);
    close(fd);
    uint64_t seed = kfl__hash64(path, strlen(path)) + (uint64_t)status->st_mtim.tv_nsec;
    files_hash += kfl__hash64_seeded(bytes, (size_t)status->st_size, seed);
    files_count++;
    free(bytes);
    return 0;
}

static uint64_t hash_of_files(void)
{
    files_hash = 0;
    files_count = 0;
    ck_assert_int_eq(nftw(temp_dir_path(), add_file, 16, FTW_PHYS), 0);
    ck_assert_int_gt(files_count, 5);
    return files_hash;
}

START_TEST(nothing_is_changed)
{
    fill();
    inspect_flip(file(0).path, inspect_batch(file(0).path, 3).place + 60);
    uint64_t before = hash_of_files();
    verify(NULL, 0);
    verify(NULL, 1);
    ck_assert_uint_eq(hash_of_files(), before);
    inspect_flip(file(0).path, 513);
    ck_assert_uint_ne(hash_of_files(), before);
}
END_TEST

/* ---- the catalog ---- */

struct commit {
    uint64_t topic_id;
    int32_t partition;
    int64_t offset;
};

static int put_commit(struct kfl__catalog_txn *txn, void *context)
{
    const struct commit *commit = context;
    const struct kfl__offset_row row = {.offset = commit->offset, .commit_ms = NOW_MS};
    return kfl__offsets_put(txn, "g", commit->topic_id, commit->partition, &row);
}

/* rule:R8 */
START_TEST(a_commit_above_the_end_is_told)
{
    fill();
    struct kfl__topic *topic;
    OK(kfl__topic_find(store->core, "t", &topic));
    struct commit commit = {topic->id, 1, RECORDS};
    kfl__topic_release(topic);
    OK(kfl__catalog_change_run(store->core->catalog, put_commit, &commit));
    expect_nothing();
    commit.offset++;
    OK(kfl__catalog_change_run(store->core->catalog, put_commit, &commit));
    const kfl_finding *finding = expect_one(1, KFL_FINDING_CATALOG, "t", 1, "");
    ck_assert_int_eq(finding->offset, RECORDS + 1);
}
END_TEST

struct row_change {
    uint64_t topic_id;
    int64_t segment_id;
};

static int change_seed(struct kfl__catalog_txn *txn, void *context)
{
    const struct row_change *change = context;
    struct kfl__segment_row row;
    int r = kfl__segments_get(txn, change->topic_id, 1, change->segment_id, &row);
    row.seed ^= 1;
    return r < 0 ? r : kfl__segments_put(txn, change->topic_id, 1, &row);
}

START_TEST(a_row_that_does_not_agree_with_its_file_is_told)
{
    fill();
    struct kfl__topic *topic;
    OK(kfl__topic_find(store->core, "t", &topic));
    kfl_segment sealed = file(0);
    struct row_change change = {topic->id, sealed.segment_id};
    kfl__topic_release(topic);
    OK(kfl__catalog_change_run(store->core->catalog, change_seed, &change));
    expect_one(0, KFL_FINDING_CATALOG, "t", 1, sealed.path);
    ck_assert_int_eq(kfl_findings_checked_records(findings), 20 + RECORDS + 5);
}
END_TEST

/* ---- others ---- */

static int append_and_be_killed(void *context)
{
    int told = *(int *)context;
    store = NULL;
    kfl_producer *producer;
    int64_t offset;
    char value[700] = {0};
    if (kfl_store_open(temp_dir_path(), NULL, &store) < 0 ||
        kfl_producer_open(store, NULL, &producer) < 0)
        return 1;
    for (int i = 0;; i++) {
        if (kfl_producer_send(producer, "t", 0, "k", 1, value, (size_t)(i % 700), NULL, 0,
                              NOW_MS + i, &offset) < 0)
            return 2;
        if (i == 300 && write(told, "!", 1) != 1)
            return 3;
    }
}

/* rule:R1 rule:R27: while another process appends, rolls and is killed, and this one deletes. */
START_TEST(others_may_append_roll_and_delete_meanwhile)
{
    int told[2];
    char byte;
    int64_t end, start;
    inspect_topic("t", 1, NULL, NULL);
    OK(kfl_store_close(store));
    ck_assert_int_eq(pipe(told), 0);
    pid_t pid = child_start(append_and_be_killed, &told[1]);
    ck_assert_int_eq(read(told[0], &byte, 1), 1);
    store = inspect_open(NULL, NULL);
    for (int i = 0; i < 30; i++) {
        expect_nothing();
        OK(kfl_topic_end_offset(store, "t", 0, &end));
        if (i % 4 == 0)
            OK(kfl_topic_delete_records(store, "t", 0, end - 100, &start));
    }
    kill(pid, SIGKILL);
    ck_assert_int_eq(child_end(pid), -SIGKILL);
    expect_nothing();
    inspect_send("t", 0, 10, 100);
    expect_nothing();
    inspect_reopen();
    expect_nothing();
}
END_TEST

/* A reader beside a dead writer: it mends nothing, and what it checks is what it would read. */
START_TEST(a_reader_may_check_what_a_killed_process_left)
{
    int told[2];
    char byte;
    inspect_topic("t", 1, NULL, NULL);
    OK(kfl_store_close(store));
    ck_assert_int_eq(pipe(told), 0);
    pid_t pid = child_start(append_and_be_killed, &told[1]);
    ck_assert_int_eq(read(told[0], &byte, 1), 1);
    kill(pid, SIGKILL);
    ck_assert_int_eq(child_end(pid), -SIGKILL);
    uint64_t before = hash_of_files();
    store = inspect_open("read.only", "true");
    expect_nothing();
    ck_assert_int_ge(kfl_findings_checked_records(findings), 300);
    ck_assert_uint_eq(hash_of_files(), before);
}
END_TEST

static _Atomic int appending;

static void *append_meanwhile(void *context)
{
    kfl_producer *producer;
    char value[700] = {0};
    int64_t offset;
    (void)context;
    int r = kfl_producer_open(store, NULL, &producer);
    for (int i = 0; r >= 0 && atomic_load(&appending); i++)
        r = kfl_producer_send(producer, "t", i % 2, "k", 1, value, (size_t)(i % 700), NULL, 0,
                              NOW_MS + i, &offset);
    return r < 0 || kfl_producer_close(producer) < 0 ? "failed" : NULL;
}

START_TEST(threads_of_this_process_may_append_meanwhile)
{
    pthread_t thread;
    void *failed;
    int64_t value, records = 0;
    const char *name, *topic;
    int32_t partition;
    inspect_topic("t", 2, NULL, NULL);
    atomic_store(&appending, 1);
    ck_assert_int_eq(pthread_create(&thread, NULL, append_meanwhile, NULL), 0);
    while (records < 2000) {
        kfl_stats *stats;
        expect_nothing();
        ck_assert_int_ge(kfl_findings_checked_records(findings), records);
        inspect_segment_count("t", 1);
        OK(kfl_stats_open(store, &stats));
        records = 0;
        while (kfl_stats_next(stats, &name, &topic, &partition, &value) == 1)
            records += strcmp(name, "log_end_offset") == 0 ? value : 0;
        kfl_stats_close(stats);
    }
    atomic_store(&appending, 0);
    ck_assert_int_eq(pthread_join(thread, &failed), 0);
    ck_assert_ptr_null(failed);
    expect_nothing();
}
END_TEST

#ifdef KFL_FAULT_POINTS
static int look_on(int which)
{
    kfl_segments *segments = NULL;
    kfl_history *history = NULL;
    kfl_stats *stats = NULL;
    kfl_findings *found = NULL;
    int r = which == 0   ? kfl_store_verify(store, NULL, 0, &found)
            : which == 1 ? kfl_segments_list(store, "t", 1, &segments)
            : which == 2 ? kfl_history_list(store, &history)
                         : kfl_stats_open(store, &stats);
    ck_assert_int_eq(r >= 0, found != NULL || segments != NULL || history != NULL || stats != NULL);
    kfl_findings_release(found);
    kfl_segments_release(segments);
    kfl_history_release(history);
    kfl_stats_close(stats);
    return r;
}

/* Each allocation of each call fails once: the call says so, and the next one succeeds. */
START_TEST(without_memory_the_call_fails_and_nothing_else)
{
    char plan[32];
    fill();
    inspect_flip(file(0).path, inspect_batch(file(0).path, 3).place + 60);
    for (int n = 1, r = -1; r < 0; n++) {
        ck_assert_int_lt(n, 1000);
        snprintf(plan, sizeof plan, "memory.alloc:%d=ENOMEM", n);
        ck_assert_int_eq(kfl__fault_arm(plan), 0);
        r = look_on(_i);
        kfl__fault_arm(NULL);
        ck_assert_msg(r >= 0 || r == KFL_E_NOMEM, "allocation %d: %s", n, kfl_last_error());
        ck_assert_int_gt(n, r >= 0 ? 2 : 0); /* there were some */
        OK(look_on(_i));
    }
}
END_TEST

/* A look at a file that fails is told, or fails the call; it is never taken for a missing or a whole file. */
START_TEST(a_system_call_that_fails_is_not_overlooked)
{
    static const char *const points[] = {"file.open", "file.open_directory", "file.size",
                                         "file.read_at"};
    char plan[48];
    fill();
    for (int n = 1; n <= 12; n++) {
        snprintf(plan, sizeof plan, "%s:%d=EIO", points[_i], n);
        ck_assert_int_eq(kfl__fault_arm(plan), 0);
        int r = kfl_store_verify(store, "t", 0, &findings);
        kfl__fault_arm(NULL);
        ck_assert_msg(r == KFL_E_IO || r >= 0, "%s: %s", plan, kfl_last_error());
        for (int32_t i = 0; i < kfl_findings_count(findings); i++)
            ck_assert_int_ne(kfl_findings_get(findings, i)->kind, KFL_FINDING_MISSING_FILE);
        if (r == 0) /* read once more, page by page; or a cache */
            ck_assert_int_eq(kfl_findings_checked_records(findings), RECORDS + 5);
        kfl_findings_release(findings);
        findings = NULL;
    }
}
END_TEST
#endif

START_TEST(nonsense_is_refused)
{
    ck_assert_int_eq(kfl_store_verify(NULL, NULL, 0, &findings), KFL_E_INVALID);
    ck_assert_int_eq(kfl_store_verify(store, NULL, 0, NULL), KFL_E_INVALID);
    ck_assert_int_eq(kfl_store_verify(store, "none", 0, &findings),
                     KFL_E_UNKNOWN_TOPIC_OR_PARTITION);
    ck_assert_int_eq(kfl_store_verify(store, "../t", 0, &findings), KFL_E_INVALID_TOPIC);
    ck_assert_ptr_null(findings);
    ck_assert_int_eq(kfl_findings_count(NULL), 0);
    ck_assert_ptr_null(kfl_findings_get(NULL, 0));
    ck_assert_int_eq(kfl_findings_checked_records(NULL), 0);
    ck_assert_int_eq(kfl_findings_checked_bytes(NULL), 0);
    kfl_findings_release(NULL);
    expect_nothing();
    ck_assert_ptr_null(kfl_findings_get(findings, 0));
    ck_assert_ptr_null(kfl_findings_get(findings, -1));
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("verify");
    ADD_CASE(suite, "well", an_empty_store_is_well, a_whole_store_is_well_and_all_of_it_is_read,
             at_any_time_a_store_is_well, nothing_is_changed);
    TCase *codecs = tcase_create("codecs");
    tcase_add_checked_fixture(codecs, inspect_set_up, forget);
    tcase_add_loop_test(codecs, compressed_batches_are_unpacked_and_checked, 0, 2);
    suite_add_tcase(suite, codecs);
    ADD_CASE(suite, "catalog", a_commit_above_the_end_is_told,
             a_row_that_does_not_agree_with_its_file_is_told);
    ADD_CASE(suite, "others", others_may_append_roll_and_delete_meanwhile,
             threads_of_this_process_may_append_meanwhile,
             a_reader_may_check_what_a_killed_process_left, nonsense_is_refused);
#ifdef KFL_FAULT_POINTS
    TCase *faults = tcase_create("faults");
    tcase_add_checked_fixture(faults, inspect_set_up, forget);
    tcase_add_loop_test(faults, without_memory_the_call_fails_and_nothing_else, 0, 4);
    tcase_add_loop_test(faults, a_system_call_that_fails_is_not_overlooked, 0, 4);
    suite_add_tcase(suite, faults);
#endif
    return suite;
}
