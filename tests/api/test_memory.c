/* SPDX-License-Identifier: MIT */
/* ":memory:": private, whole, and gone at the close. */
#include <dirent.h>
#include <sys/stat.h>

#include "child.h"
#include "store_fixture.h"

/* Folders of stores in memory that this process (or a child that it names) has. */
static int folders_of(pid_t pid)
{
    char prefix[64];
    int count = 0;
    snprintf(prefix, sizeof prefix, "kafkalite-memory-%d-", (int)pid);
    DIR *folder = opendir("/dev/shm");
    if (folder == NULL)
        folder = opendir("/tmp");
    ck_assert_ptr_nonnull(folder);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
        count += strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
    closedir(folder);
    return count;
}

START_TEST(it_does_what_a_store_on_disk_does)
{
    kfl_consumer *consumer = open_consumer(WITH("group.id", "g"));
    make_topic("t", 2, WITH("segment.bytes", "65536"));
    send_many("t", 1, 500, 1000);
    assign_at(consumer, "t", 1, 0);
    ck_assert_int_eq(read_on(consumer, 0), 500);
    OK(kfl_consumer_commit(consumer, NULL));
    ck_assert_int_eq(committed_of(consumer, "t", 1), 500);
    OK(kfl_topic_delete_records(store, "t", 1, 250, NULL));
    ck_assert_int_eq(start_of("t", 1), 250);
    OK(kfl_store_sync(store, -1));
    OK(kfl_consumer_close(consumer));
    OK(kfl_topic_delete(store, "t"));
    ck_assert_str_eq(kfl_store_path(store), ":memory:");
}
END_TEST

START_TEST(each_open_is_a_store_of_its_own)
{
    kfl_store *first = store, *second = open_store(":memory:", WITH("flush.ms", "7"));
    make_topic("t", 1, NULL);
    FAILS(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, kfl_topic_partition_count(second, "t"));
    OK(kfl_topic_create(second, "t", 3, NULL));
    ck_assert_int_eq(kfl_topic_partition_count(first, "t"), 1);
    OK(kfl_store_close(second));
    ck_assert_int_eq(kfl_topic_partition_count(first, "t"), 1);
}
END_TEST

START_TEST(it_vanishes_at_the_close)
{
    ck_assert_int_eq(folders_of(getpid()), 1);
    make_topic("t", 1, NULL);
    send_many("t", 0, 10, 0);
    OK(kfl_store_close(store));
    ck_assert_int_eq(folders_of(getpid()), 0);
    store = open_store(":memory:", NULL);
    FAILS(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, kfl_topic_partition_count(store, "t"));
}
END_TEST

static int die_with_a_store(void *context)
{
    kfl_store *own;
    kfl_config *config = config_of(IN_A_CHILD);
    (void)context;
    if (kfl_store_open(":memory:", config, &own) < 0 || kfl_topic_create(own, "t", 1, NULL) < 0)
        return 1;
    raise(SIGSTOP);
    return 2;
}

START_TEST(what_a_killed_process_left_goes_with_the_next_open)
{
    int status;
    pid_t pid = child_start(die_with_a_store, NULL);
    /* Counted while it lives: whoever opens a store in memory sweeps what the dead have left. */
    ck_assert_int_eq(waitpid(pid, &status, WUNTRACED), pid);
    ck_assert(WIFSTOPPED(status));
    ck_assert_int_eq(folders_of(pid), 1);
    kill(pid, SIGKILL);
    ck_assert_int_eq(child_end(pid), -SIGKILL);
    kfl_store *other = open_store(":memory:", NULL);
    ck_assert_int_eq(folders_of(pid), 0);
    OK(kfl_store_close(other));
}
END_TEST

START_TEST(reading_only_there_is_nothing_to_read)
{
    kfl_store *other = NULL;
    kfl_config *config = config_of(WITH("read.only", "true"));
    FAILS(KFL_E_NOT_FOUND, kfl_store_open(":memory:", config, &other));
    kfl_config_destroy(config);
    ck_assert_int_eq(folders_of(getpid()), 1);
}
END_TEST

START_TEST(many_of_them_may_be_open)
{
    kfl_store *stores[50];
    for (int i = 0; i < 50; i++) {
        stores[i] = open_store(":memory:", WITH("background.threads", "0"));
        OK(kfl_topic_create(stores[i], "t", i + 1, NULL));
    }
    for (int i = 0; i < 50; i++) {
        ck_assert_int_eq(kfl_topic_partition_count(stores[i], "t"), i + 1);
        OK(kfl_store_close(stores[i]));
    }
    ck_assert_int_eq(folders_of(getpid()), 1);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("memory");
    TCase *tests = tcase_create("memory");
    tcase_set_timeout(tests, 30);
    tcase_add_checked_fixture(tests, memory_set_up, memory_tear_down);
    tcase_add_test(tests, it_does_what_a_store_on_disk_does);
    tcase_add_test(tests, each_open_is_a_store_of_its_own);
    tcase_add_test(tests, it_vanishes_at_the_close);
    tcase_add_test(tests, what_a_killed_process_left_goes_with_the_next_open);
    tcase_add_test(tests, reading_only_there_is_nothing_to_read);
    tcase_add_test(tests, many_of_them_may_be_open);
    suite_add_tcase(suite, tests);
    return suite;
}
