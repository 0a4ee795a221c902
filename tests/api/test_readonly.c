/* SPDX-License-Identifier: MIT */
/* A store that is only looked at: nothing in its folder changes, and all can be read. */
#include <dirent.h>
#include <ftw.h>
#include <sys/stat.h>

#include "child.h"
#include "peer.h"
#include "store_fixture.h"

static kfl_store *reader;

static void readonly_set_up(void)
{
    disk_set_up();
    make_topic("t", 2, WITH("segment.bytes", "65536"));
    send_many("t", 0, 300, 1000);
    kfl_consumer *consumer = open_consumer(WITH("group.id", "g"));
    kfl_partition_offset at = {.topic = "t", .offset = 42};
    OK(kfl_consumer_commit_offsets(consumer, &at, 1));
    OK(kfl_consumer_close(consumer));
}

static void close_and_look(void)
{
    OK(kfl_store_close(store));
    store = reader = open_store(temp_dir_path(), WITH("read.only", "true"));
}

START_TEST(everything_can_be_read)
{
    kfl_names *names;
    kfl_offsets *offsets;
    int64_t offset, time;
    close_and_look();
    ck_assert_int_eq(end_of("t", 0), 300);
    ck_assert_int_eq(end_of("t", 1), 0);
    ck_assert_int_eq(start_of("t", 0), 0);
    kfl_consumer *consumer = open_consumer(WITH("group.id", "g"));
    assign_at(consumer, "t", 0, 0);
    ck_assert_int_eq(read_on(consumer, 0), 300);
    ck_assert_int_eq(committed_of(consumer, "t", 0), 42);
    assign_at(consumer, "t", 1, 0);
    assign_at(consumer, "t", 0, KFL_OFFSET_STORED);
    ck_assert_int_eq(position_of(consumer, "t", 0), 42);
    OK(kfl_topic_list(store, &names));
    ck_assert_int_eq(kfl_names_count(names), 1);
    kfl_names_release(names);
    OK(kfl_group_offsets(store, "g", &offsets));
    ck_assert_int_eq(kfl_offsets_get(offsets, 0)->offset, 42);
    kfl_offsets_release(offsets);
    ck_assert_int_eq(OK(kfl_topic_offset_for_time(store, "t", 0, NOW_MS + 100, &offset, &time)), 1);
    ck_assert_int_eq(offset, 100);
    ck_assert_int_eq(OK(kfl_topic_max_timestamp(store, "t", 0, &offset, &time)), 1);
    ck_assert_int_eq(offset, 299);
    OK(kfl_topic_durable_offset(store, "t", 0, &offset));
    ck_assert_int_eq(offset, 300);
    ck_assert_int_eq(stat_of("log_end_offset", "t", 0), 300);
    OK(kfl_consumer_close(consumer));
}
END_TEST

START_TEST(everything_that_writes_is_refused)
{
    kfl_producer *producer = NULL;
    kfl_partition_offset at = {.topic = "t", .offset = 1};
    close_and_look();
    FAILS(KFL_E_READ_ONLY, kfl_topic_create(store, "u", 1, NULL));
    FAILS(KFL_E_READ_ONLY, kfl_topic_delete(store, "t"));
    FAILS(KFL_E_READ_ONLY, kfl_topic_add_partitions(store, "t", 3));
    FAILS(KFL_E_READ_ONLY, kfl_topic_set(store, "t", "segment.ms", "5"));
    FAILS(KFL_E_READ_ONLY, kfl_topic_delete_records(store, "t", 0, 1, NULL));
    FAILS(KFL_E_READ_ONLY, kfl_topic_wait_durable(store, "t", 0, 1, 0));
    FAILS(KFL_E_READ_ONLY, kfl_store_sync(store, 0));
    FAILS(KFL_E_READ_ONLY, kfl_store_maintain(store, 0, NULL));
    FAILS(KFL_E_READ_ONLY, kfl_producer_open(store, NULL, &producer));
    kfl_consumer *consumer = open_consumer(WITH("group.id", "g"));
    assign_at(consumer, "t", 0, 0);
    FAILS(KFL_E_READ_ONLY, kfl_consumer_commit(consumer, NULL));
    FAILS(KFL_E_READ_ONLY, kfl_consumer_commit_offsets(consumer, &at, 1));
    ck_assert_int_eq(committed_of(consumer, "t", 0), 42);
    OK(kfl_consumer_close(consumer));
}
END_TEST

static uint64_t seen;

static int see(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)walk;
    if (strstr(path, "catalog.mdb-lock") != NULL)
        return 0; /* where LMDB's readers say that they are there, for the writers that may come */
    seen = seen * 31 + (uint64_t)status->st_ino;
    seen = seen * 31 + (uint64_t)status->st_size;
    if (kind == FTW_F)
        seen = seen * 31 + (uint64_t)status->st_mtim.tv_sec * 1000000000u +
               (uint64_t)status->st_mtim.tv_nsec;
    return 0;
}

START_TEST(nothing_in_the_folder_changes)
{
    OK(kfl_store_close(store));
    seen = 0;
    nftw(temp_dir_path(), see, 16, FTW_PHYS);
    uint64_t before = seen;
    store = open_store(temp_dir_path(), WITH("read.only", "true"));
    kfl_consumer *consumer = open_consumer(NULL);
    assign_at(consumer, "t", 0, 0);
    ck_assert_int_eq(read_on(consumer, 0), 300);
    OK(kfl_consumer_close(consumer));
    OK(kfl_store_close(store));
    store = NULL;
    seen = 0;
    nftw(temp_dir_path(), see, 16, FTW_PHYS);
    ck_assert_uint_eq(seen, before);
}
END_TEST

START_TEST(no_store_is_not_made_to_be_looked_at)
{
    kfl_store *other = NULL;
    kfl_config *config = config_of(WITH("read.only", "true"));
    FAILS(KFL_E_NOT_FOUND, kfl_store_open(temp_dir_file("none"), config, &other));
    ck_assert_int_eq(mkdir(temp_dir_file("empty"), 0700), 0);
    FAILS(KFL_E_NOT_FOUND, kfl_store_open(temp_dir_file("empty"), config, &other));
    DIR *folder = opendir(temp_dir_file("empty"));
    int entries = 0;
    while (readdir(folder) != NULL)
        entries++;
    closedir(folder);
    ck_assert_int_eq(entries, 2);
    kfl_config_destroy(config);
}
END_TEST

START_TEST(one_process_does_not_both_write_and_look)
{
    kfl_store *other = NULL;
    kfl_config *config = config_of(WITH("read.only", "true"));
    FAILS(KFL_E_OPTIONS_DIFFER, kfl_store_open(temp_dir_path(), config, &other));
    kfl_config_destroy(config);
}
END_TEST

static int look_as_nobody(void *context)
{
    (void)context;
    kfl_config *config = config_of(WITH("read.only", "true"));
    kfl_store *own;
    if (setgid(65534) != 0 || setuid(65534) != 0)
        return CHILD_CANNOT_TRY;
    if (kfl_store_open(temp_dir_path(), NULL, &own) != KFL_E_READ_ONLY)
        return 1;
    if (strstr(kfl_last_error(), "read.only") == NULL && kfl_last_error()[0] == '\0')
        return 2;
    if (kfl_store_open(temp_dir_path(), config, &own) < 0)
        return 3;
    kfl_config_destroy(config);
    store = own;
    kfl_consumer *consumer = open_consumer(NULL);
    assign_at(consumer, "t", 0, 0);
    if (read_on(consumer, 0) != 300)
        return 4;
    return kfl_consumer_close(consumer) < 0 || kfl_store_close(own) < 0 ? 5 : 0;
}

START_TEST(who_may_not_write_can_look)
{
    char command[700];
    OK(kfl_store_close(store));
    store = NULL;
    snprintf(command, sizeof command, "chmod -R a+rX %s", temp_dir_path());
    ck_assert_int_eq(system(command), 0);
    int status = child_run(look_as_nobody, NULL);
    ck_assert_msg(status == 0 || status == CHILD_CANNOT_TRY, "%d", status);
}
END_TEST

static void writer_goes_on(struct peer *self, void *context)
{
    (void)context;
    store = open_store(temp_dir_path(), IN_A_CHILD);
    peer_tell(self);
    peer_await(self);
    send_many("t", 0, 200, 1000);
    peer_tell(self);
    peer_await(self);
    OK(kfl_topic_delete_records(store, "t", 0, 450, NULL));
    make_topic("later", 1, NULL);
    send_many("later", 0, 1, 0);
    peer_tell(self);
    peer_await(self);
    OK(kfl_store_close(store));
}

/* A reader beside a writer sees what it does, at once. */
START_TEST(a_reader_follows_a_writer)
{
    struct peer peer;
    OK(kfl_store_close(store));
    peer_start(&peer, writer_goes_on, NULL);
    peer_await(&peer);
    store = open_store(temp_dir_path(), WITH("read.only", "true"));
    kfl_consumer *consumer = open_consumer(NULL);
    assign_at(consumer, "t", 0, 0);
    ck_assert_int_eq(read_on(consumer, 0), 300);
    peer_tell(&peer);
    kfl_records *records;
    int n = OK(kfl_consumer_poll(consumer, 20000, 1, &records)); /* woken by another process */
    ck_assert_int_eq(n, 1);
    ck_assert_int_eq(kfl_records_get(records, 0)->offset, 300);
    kfl_records_release(records);
    peer_await(&peer);
    ck_assert_int_eq(read_on(consumer, 301), 500);
    peer_tell(&peer);
    peer_await(&peer);
    ck_assert_int_eq(start_of("t", 0), 450);
    OK(kfl_consumer_seek(consumer, "t", 0, KFL_OFFSET_BEGINNING));
    ck_assert_int_eq(read_on(consumer, 450), 500);
    assign_at(consumer, "later", 0, 0);
    ck_assert_int_eq(read_on(consumer, 0), 1);
    ck_assert_int_eq(stat_of("processes", "", -1), 2);
    OK(kfl_consumer_close(consumer));
    OK(kfl_store_close(store));
    store = NULL;
    peer_tell(&peer);
    peer_join(&peer);
}
END_TEST

static void killed_writer(struct peer *self, void *context)
{
    (void)context;
    store = open_store(temp_dir_path(), IN_A_CHILD);
    send_many("t", 0, 50, 1000);
    peer_tell(self);
    peer_await(self);
}

/* kafka:L1: what a killed process acknowledged is there, for a reader too. */
START_TEST(a_reader_sees_what_a_killed_writer_left)
{
    struct peer peer;
    OK(kfl_store_close(store));
    peer_start(&peer, killed_writer, NULL);
    peer_await(&peer);
    peer_kill(&peer);
    store = open_store(temp_dir_path(), WITH("read.only", "true"));
    ck_assert_int_eq(end_of("t", 0), 350);
    kfl_consumer *consumer = open_consumer(NULL);
    assign_at(consumer, "t", 0, 0);
    ck_assert_int_eq(read_on(consumer, 0), 350);
    OK(kfl_consumer_close(consumer));
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("readonly");
    TCase *tests = tcase_create("readonly");
    tcase_set_timeout(tests, 30);
    tcase_add_checked_fixture(tests, readonly_set_up, disk_tear_down);
    tcase_add_test(tests, everything_can_be_read);
    tcase_add_test(tests, everything_that_writes_is_refused);
    tcase_add_test(tests, nothing_in_the_folder_changes);
    tcase_add_test(tests, no_store_is_not_made_to_be_looked_at);
    tcase_add_test(tests, one_process_does_not_both_write_and_look);
    tcase_add_test(tests, who_may_not_write_can_look);
    tcase_add_test(tests, a_reader_follows_a_writer);
    tcase_add_test(tests, a_reader_sees_what_a_killed_writer_left);
    suite_add_tcase(suite, tests);
    return suite;
}
