/* SPDX-License-Identifier: MIT */
/* Index files of full segments: a cache that comes back when it is lost. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core.h"
#include "engine/janitor.h"
#include "engine/segments.h"
#include "engine/sync.h"
#include "fork.h"
#include "format/names.h"
#include "suite.h"
#include "temp_dir.h"

#define RECORDS 100

static struct kfl__core *core;
static struct kfl__partition *partition;

/* 3,000 bytes a record, in files of 64 KiB that are full, durable and listed so, but for the last. */
static void set_up(void)
{
    temp_dir_make();
    core = core_open(temp_dir_path(), NULL);
    partition = core_partition(core, "segment.bytes=65536 index.interval.bytes=4096");
    core_append_run(partition, 0, RECORDS, 3000);
    assert_ok(kfl__sync_wait(partition, RECORDS, -1));
    while (kfl__janitor_run(core, 1000) > 0)
        ;
}

static void tear_down(void)
{
    core_abandon(core);
    temp_dir_remove();
}

static const char *index_file(int64_t segment_id, const char *suffix)
{
    static char path[700];
    snprintf(path, sizeof path, "%s", core_file(partition, segment_id));
    snprintf(strrchr(path, '.'), 16, "%s", suffix);
    return path;
}

struct bytes {
    uint8_t *bytes;
    size_t size;
};

/* Up to its last entry: what stands behind is room. */
static struct bytes read_index(int64_t segment_id, const char *suffix)
{
    struct bytes file = {0};
    struct stat status;
    int fd = open(index_file(segment_id, suffix), O_RDONLY | O_CLOEXEC);
    ck_assert_msg(fd >= 0, "%s is not there", index_file(segment_id, suffix));
    ck_assert_int_eq(fstat(fd, &status), 0);
    file.bytes = malloc((size_t)status.st_size + 1);
    ck_assert_int_eq(read(fd, file.bytes, (size_t)status.st_size), status.st_size);
    close(fd);
    file.size = (size_t)status.st_size;
    while (file.size > 0 && file.bytes[file.size - 1] == 0)
        file.size--;
    return file;
}

static void reopen(void)
{
    core_abandon(core);
    core = core_open(temp_dir_path(), NULL);
    partition = core_partition(core, NULL);
}

static void check_same(const struct bytes *was, const struct bytes *is)
{
    ck_assert_uint_eq(is->size, was->size);
    ck_assert_mem_eq(is->bytes, was->bytes, was->size);
}

static void lose(const char *suffix, int how)
{
    const char *path = index_file(1, suffix);
    switch (how) {
    case 0: /* gone */
        ck_assert_int_eq(unlink(path), 0);
        break;
    case 1: /* cut to nothing */
        ck_assert_int_eq(truncate(path, 0), 0);
        break;
    case 2: /* cut */
        ck_assert_int_eq(truncate(path, 32), 0);
        break;
    default: /* what a power cut leaves of a file that was never synced */
        core_spoil(path, strcmp(suffix, ".offsets") == 0 ? 12 : 0, 0, 0);
    }
}

START_TEST(a_lost_index_comes_back_with_the_first_reader)
{
    struct bytes offsets = read_index(1, ".offsets"), times = read_index(1, ".times");
    ck_assert_uint_gt(offsets.size, 32);
    ck_assert_uint_gt(times.size, 32);
    lose(".offsets", _i);
    if (_i < 2)
        lose(".times", _i);
    reopen();
    ck_assert_int_eq(core_read(partition, 7, NULL), RECORDS - 7);
    struct bytes offsets_now = read_index(1, ".offsets"), times_now = read_index(1, ".times");
    check_same(&offsets, &offsets_now);
    check_same(&times, &times_now);
    free(offsets.bytes);
    free(times.bytes);
    free(offsets_now.bytes);
    free(times_now.bytes);
}
END_TEST

/* Nothing is made where the file that it belongs to may be going. */
START_TEST(whoever_changes_the_files_is_not_waited_for)
{
    lose(".offsets", 0);
    reopen();
    ck_assert_int_eq(kfl__partition_prepare_lock(partition, -1), 0);
    kfl__partition_prepare_unlock(partition);
    int pipes[2];
    char byte = 0;
    ck_assert_int_eq(pipe(pipes), 0);
    pid_t pid = fork_among_threads();
    if (pid == 0) {
        /* The child inherits the map of the state file: enough to hold a lock in it. */
        int r = kfl__robust_lock(&partition->slot->prepare, KFL_RANK_PREPARE, -1);
        (void)!write(pipes[1], r == 0 ? "1" : "0", 1);
        pause();
        _exit(0);
    }
    ck_assert_int_eq(read(pipes[0], &byte, 1), 1);
    ck_assert_int_eq(byte, '1');
    ck_assert_int_eq(core_read(partition, 7, NULL), RECORDS - 7);
    ck_assert_int_ne(access(index_file(1, ".offsets"), F_OK), 0);
    kill(pid, SIGKILL);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    close(pipes[0]);
    close(pipes[1]);
}
END_TEST

START_TEST(an_index_that_cannot_be_made_is_done_without)
{
    lose(".offsets", 0);
    ck_assert_int_eq(mkdir(index_file(1, ".offsets"), 0700), 0);
    reopen();
    ck_assert_int_eq(core_read(partition, 7, NULL), RECORDS - 7);
    ck_assert_int_eq(rmdir(index_file(1, ".offsets")), 0);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("engine/indexes");
    TCase *all = tcase_create("indexes");
    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_set_timeout(all, 60);
    tcase_add_loop_test(all, a_lost_index_comes_back_with_the_first_reader, 0, 4);
    tcase_add_test(all, whoever_changes_the_files_is_not_waited_for);
    tcase_add_test(all, an_index_that_cannot_be_made_is_done_without);
    suite_add_tcase(suite, all);
    return suite;
}
