/* SPDX-License-Identifier: MIT */
/*
 * Folders and files that are not as they should be: missing, of another kind, not ours to write, of another
 * mode, of a newer format. An error that says so; nothing hangs, and nothing outside is touched.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/hash.h"
#include "child.h"
#include "day.h"
#include "format/layout.h"
#include "mounts.h"
#include "suite.h"
#include "temp_dir.h"

static struct day_visit *visit;
static char store[700];

static void setup(void)
{
    temp_dir_make();
    ck_assert_int_eq(chmod(temp_dir_path(), 0755), 0);
    snprintf(store, sizeof store, "%s", temp_dir_file("store"));
    visit = day_visit_create();
}

static void teardown(void)
{
    temp_dir_remove();
}

static int open_error(const char *path, const char *property, const char *value)
{
    kfl_config *config = day_config();
    kfl_store *opened = NULL;
    if (property != NULL)
        kfl_config_set(config, property, value);
    int r = kfl_store_open(path, config, &opened);
    kfl_config_destroy(config);
    if (r == 0)
        kfl_store_close(opened);
    return r;
}

#define ck_error(r, expected)                                                                      \
    ck_assert_msg((r) == (expected), "%s: %s", kfl_error_name(r), kfl_last_error())

/* ---- the path ---- */

START_TEST(a_missing_parent_is_told)
{
    ck_error(open_error(temp_dir_file("no/store"), NULL, NULL), KFL_E_NOT_FOUND);
    ck_assert_int_ne(access(temp_dir_file("no"), F_OK), 0);
}
END_TEST

START_TEST(a_missing_folder_is_made_only_where_it_may_be)
{
    ck_error(open_error(store, "create", "false"), KFL_E_NOT_FOUND);
    ck_error(open_error(store, "read.only", "true"), KFL_E_NOT_FOUND);
    ck_assert_int_ne(access(store, F_OK), 0);
    ck_assert_int_eq(mkdir(store, 0700), 0);
    ck_error(open_error(store, "create", "false"), KFL_E_NOT_FOUND);
    ck_error(open_error(store, "read.only", "true"), KFL_E_NOT_FOUND);
    struct day_files files;
    day_list(store, "", &files);
    ck_assert_int_eq(files.count, 0);
    ck_error(open_error(store, NULL, NULL), 0);
}
END_TEST

static void make_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

START_TEST(a_file_in_place_of_the_store_is_told)
{
    make_file(store, "not a store");
    int r = open_error(store, NULL, NULL);
    ck_assert_msg(r == KFL_E_CORRUPT || r == KFL_E_IO || r == KFL_E_NOT_FOUND ||
                      r == KFL_E_INVALID || r == KFL_E_EXISTS,
                  "%s", kfl_error_name(r));
}
END_TEST

START_TEST(a_folder_of_others_is_left_alone)
{
    char text[32] = "";
    ck_assert_int_eq(mkdir(store, 0700), 0);
    make_file(temp_dir_file("store/catalog.mdb"), "somebody's own database, and no catalog");
    ck_error(open_error(store, NULL, NULL), KFL_E_CORRUPT);
    int fd = open(temp_dir_file("store/catalog.mdb"), O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(read(fd, text, 10), 10);
    ck_assert_str_eq(text, "somebody's");
    close(fd);
}
END_TEST

/* A new catalog would give out the numbers of the old one's files. */
START_TEST(records_without_a_catalog_are_no_new_store)
{
    static const char *const become[] = {"rm '%s'", ": > '%s'", "head -c 4096 /dev/zero > '%s'",
                                         "head -c 8192 /dev/zero > '%s'"};
    char command[1000], catalog[800];
    struct day_files before, after;
    day_make(store, true);
    snprintf(catalog, sizeof catalog, "%s/catalog.mdb", store);
    snprintf(command, sizeof command, become[_i], catalog);
    ck_assert_int_eq(system(command), 0);
    day_list(store, ".log", &before);
    for (int again = 0; again < 2; again++)
        ck_error(open_error(store, NULL, NULL), KFL_E_CORRUPT);
    day_list(store, ".log", &after);
    ck_assert_int_eq(after.count, before.count);
}
END_TEST

/* ---- other kinds of files in place of each (X52) ---- */

enum kind { KIND_FIFO, KIND_LINK, KIND_LINK_TO_NOTHING, KIND_FOLDER, KIND_SOCKET, KIND_COUNT };
static const char *const kind_names[] = {"a pipe", "a link", "a link to nothing", "a folder",
                                         "a socket"};

static bool put_in_place(const char *path, enum kind kind)
{
    char aside[1100];
    snprintf(aside, sizeof aside, "%s.aside", path);
    ck_assert_int_eq(rename(path, aside), 0);
    switch (kind) {
    case KIND_FIFO:
        return mkfifo(path, 0600) == 0;
    case KIND_LINK:
        return symlink(aside, path) == 0; /* to the right bytes even */
    case KIND_LINK_TO_NOTHING:
        return symlink(temp_dir_file("outside"), path) == 0;
    case KIND_FOLDER:
        return mkdir(path, 0700) == 0;
    default: {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (strlen(path) >= sizeof address.sun_path)
            return false;
        strcpy(address.sun_path, path);
        bool made = bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
        close(fd);
        return made;
    }
    }
}

/* A wrong thing in one place costs at most what was kept there. */
static void check_in_place(const char *name, enum kind kind)
{
    char path[1000];
    day_make(store, true);
    snprintf(path, sizeof path, "%s/%s", store, name);
    struct stat status;
    ck_assert_int_eq(lstat(path, &status), 0);
    bool folder = S_ISDIR(status.st_mode);
    if ((folder && kind == KIND_FOLDER) || !put_in_place(path, kind)) {
        day_remove(store);
        return;
    }
    day_visit_run(store, DAY_APPEND | DAY_VERIFY, visit);
    ck_assert_msg(visit->signal == 0 && visit->exit_status == 0, "%s in place of %s: %s",
                  kind_names[kind], name, day_visit_text(visit));
    for (int p = 0; p < DAY_PARTITIONS; p++)
        for (int64_t n = 0; n < day_ends[p]; n++) {
            uint8_t fate = visit->partitions[p].fates[n];
            ck_assert_msg(fate != DAY_WRONG, "%s in place of %s: %s", kind_names[kind], name,
                          day_visit_text(visit));
            ck_assert_msg(fate != DAY_UNSEEN || visit->open < 0 || visit->partitions[p].read < 0,
                          "%s in place of %s: silent loss: %s", kind_names[kind], name,
                          day_visit_text(visit));
        }
    /* Caches may be done without. */
    if (strstr(name, ".offsets") != NULL || strstr(name, ".times") != NULL)
        ck_assert_msg(visit->open == 0 &&
                          visit->partitions[0].fates[day_ends[0] - 1] == DAY_RIGHT &&
                          visit->partitions[2].append >= 0,
                      "%s in place of %s: %s", kind_names[kind], name, day_visit_text(visit));
    ck_assert_msg(access(temp_dir_file("outside"), F_OK) != 0,
                  "a link was followed: %s in place of %s", kind_names[kind], name);
    day_remove(store);
}

START_TEST(a_pipe_a_link_or_a_folder_in_place_of_a_file_is_told)
{
    static const char *const names[] = {
        "LOCK",
        "state",
        "catalog.mdb",
        "catalog.mdb-lock",
        "topics",
        "topics/1",
        "topics/1/0",
        "topics/1/0/00000000000000000001.log",
        "topics/1/0/00000000000000000001.offsets",
        "topics/2/0/00000000000000000001.times",
    };
    check_in_place(names[_i / KIND_COUNT], (enum kind)(_i % KIND_COUNT));
}
END_TEST

static void check_file_for_folder(const char *name)
{
    char path[1000], aside[1100];
    day_make(store, true);
    snprintf(path, sizeof path, "%s/%s", store, name);
    snprintf(aside, sizeof aside, "%s.aside", path);
    ck_assert_int_eq(rename(path, aside), 0);
    make_file(path, "x");
    day_visit_run(store, DAY_APPEND | DAY_VERIFY, visit);
    ck_assert_msg(visit->signal == 0 && visit->exit_status == 0, "%s: %s", name,
                  day_visit_text(visit));
    for (int p = 0; p < DAY_PARTITIONS; p++)
        for (int64_t n = 0; n < day_ends[p]; n++)
            ck_assert_msg(visit->partitions[p].fates[n] != DAY_WRONG &&
                              (visit->partitions[p].fates[n] != DAY_UNSEEN || visit->open < 0 ||
                               visit->partitions[p].read < 0),
                          "%s: %s", name, day_visit_text(visit));
    day_remove(store);
}

START_TEST(a_file_in_place_of_a_folder_is_told)
{
    check_file_for_folder("topics");
    check_file_for_folder("topics/1");
    check_file_for_folder("topics/1/0");
}
END_TEST

/* ---- who may ---- */

struct attempt {
    int flags;
    bool nobody;
    int (*before)(void);
};

static int visit_as_nobody(void *context)
{
    int flags = *(int *)context;
    if (setgroups(0, NULL) < 0 || setgid(65534) < 0 || setuid(65534) < 0)
        return CHILD_CANNOT_TRY;
    day_visit_run(store, flags, visit);
    return 0;
}

static bool run_as_nobody(int flags)
{
    if (geteuid() != 0) {
        fprintf(stderr, "skipped: needs root\n");
        return false;
    }
    return child_run(visit_as_nobody, &flags) == 0;
}

static bool all_right(void)
{
    bool right = visit->signal == 0 && visit->open == 0;
    for (int p = 0; p < DAY_PARTITIONS; p++)
        for (int64_t n = 0; n < day_ends[p]; n++)
            right = right && visit->partitions[p].fates[n] == DAY_RIGHT;
    return right;
}

static void set_modes(const char *path, mode_t file, mode_t folder)
{
    char command[1600];
    snprintf(command, sizeof command,
             "find '%s' -type f -exec chmod %o {} + ; find '%s' -type d -exec chmod %o {} +", path,
             file, path, folder);
    ck_assert_int_eq(system(command), 0);
}

START_TEST(who_may_not_even_look_is_told)
{
    day_make(store, true);
    if (!run_as_nobody(0))
        return;
    ck_assert_msg(visit->open == KFL_E_READ_ONLY, "%s", day_visit_text(visit));
    ck_assert(run_as_nobody(DAY_READ_ONLY));
    ck_assert_msg(visit->open < 0 && visit->open != KFL_E_BUG && visit->signal == 0, "%s",
                  day_visit_text(visit));
}
END_TEST

/* Clean, and left behind by a killed process: who may read reads all of it, and writes nothing. */
START_TEST(who_may_only_read_reads)
{
    day_make(store, _i == 0);
    set_modes(store, 0644, 0755);
    if (!run_as_nobody(0))
        return;
    ck_assert_msg(visit->open == KFL_E_READ_ONLY, "%s", day_visit_text(visit));
    ck_assert(run_as_nobody(DAY_READ_ONLY | DAY_VERIFY));
    ck_assert_msg(all_right() && visit->verify == 0 && visit->committed_right, "%s",
                  day_visit_text(visit));
    day_visit_run(store, DAY_APPEND | DAY_VERIFY, visit);
    ck_assert_msg(day_visit_is_whole(visit), "%s", day_visit_text(visit));
}
END_TEST

static int live_writer(void *context)
{
    int *pipes = context;
    kfl_store *own = NULL;
    kfl_producer *producer = NULL;
    char byte = '!';
    alarm(60);
    if (kfl_store_open(store, NULL, &own) < 0 || kfl_producer_open(own, NULL, &producer) < 0)
        return 1;
    if (write(pipes[1], &byte, 1) != 1 || read(pipes[2], &byte, 1) != 1)
        return 2;
    int r =
        kfl_producer_send(producer, "orders", 1, NULL, 0, "v", 1, NULL, 0, KFL_TIMESTAMP_NOW, NULL);
    kfl_producer_close(producer);
    return r < 0 || kfl_store_close(own) < 0 ? 3 : 0;
}

START_TEST(a_live_store_is_read_by_who_may_only_read)
{
    int up[2], down[2], pipes[3];
    char byte;
    day_make(store, _i == 0);
    set_modes(store, 0644, 0755);
    ck_assert_int_eq(pipe(up), 0);
    ck_assert_int_eq(pipe(down), 0);
    pipes[1] = up[1];
    pipes[2] = down[0];
    pid_t pid = child_start(live_writer, pipes);
    ck_assert_int_eq(read(up[0], &byte, 1), 1);
    /* By the property alone, with every right. */
    day_visit_run(store, DAY_READ_ONLY | DAY_VERIFY, visit);
    ck_assert_msg(all_right() && visit->verify == 0, "by property: %s", day_visit_text(visit));
    if (geteuid() == 0) {
        ck_assert(run_as_nobody(DAY_READ_ONLY | DAY_VERIFY));
        ck_assert_msg(all_right() && visit->verify == 0, "as nobody: %s", day_visit_text(visit));
    }
    ck_assert_int_eq(write(down[1], "!", 1), 1);
    ck_assert_int_eq(child_end(pid), 0);
}
END_TEST

START_TEST(reading_only_changes_nothing)
{
    char before[64], after[64], command[1700];
    day_make(store, _i == 0);
    for (int look = 0; look < 2; look++) {
        snprintf(
            command, sizeof command,
            "cd '%s' && find . -type f ! -name '*-lock' ! -name LOCK -print0 | sort -z | xargs -0 sha1sum | sha1sum",
            store);
        FILE *sum = popen(command, "r");
        ck_assert_ptr_nonnull(fgets(look == 0 ? before : after, 64, sum));
        pclose(sum);
        if (look == 0)
            day_visit_run(store, DAY_READ_ONLY | DAY_VERIFY, visit);
    }
    ck_assert_msg(all_right() && visit->verify == 0, "%s", day_visit_text(visit));
    ck_assert_str_eq(before, after);
}
END_TEST

START_TEST(a_file_system_that_is_read_only_is_read)
{
    char mounted[600];
    if (!mounts_begin() || !mounts_make("tmpfs", temp_dir_file("mounted"), NULL, 32)) {
        fprintf(stderr, "skipped: needs root\n");
        return;
    }
    snprintf(mounted, sizeof mounted, "%s", temp_dir_file("mounted"));
    snprintf(store, sizeof store, "%s/store", mounted);
    day_make(store, _i == 0);
    ck_assert_int_eq(mount(NULL, mounted, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    day_visit_run(store, 0, visit);
    ck_assert_msg(visit->open == KFL_E_READ_ONLY, "%s", day_visit_text(visit));
    day_visit_run(store, DAY_READ_ONLY | DAY_VERIFY, visit);
    ck_assert_msg(all_right() && visit->verify == 0, "%s", day_visit_text(visit));
    ck_assert_int_eq(mount(NULL, mounted, NULL, MS_REMOUNT, NULL), 0);
    day_visit_run(store, DAY_APPEND | DAY_VERIFY, visit);
    ck_assert_msg(day_visit_is_whole(visit), "%s", day_visit_text(visit));
    ck_assert_int_eq(umount2(mounted, MNT_DETACH), 0);
}
END_TEST

/* ---- modes (X53) ---- */

static int make_with_mode(void *context)
{
    const char *mode = context;
    kfl_config *config = day_config();
    kfl_store *own = NULL;
    kfl_producer *producer = NULL;
    int64_t next;
    if (mode != NULL && kfl_config_set(config, "file.mode", mode) < 0)
        return 1;
    if (kfl_store_open(store, config, &own) < 0 || day_make_topics(own) < 0 ||
        kfl_producer_open(own, NULL, &producer) < 0 || day_append(producer, 0, 0, 100, &next) < 0)
        return 2;
    kfl_producer_close(producer);
    return kfl_store_close(own) < 0;
}

static void check_modes(mode_t mask, const char *given, mode_t file, mode_t folder)
{
    char command[1700];
    mode_t before = umask(mask);
    ck_assert_int_eq(child_run(make_with_mode, (void *)(uintptr_t)given), 0);
    umask(before);
    snprintf(command, sizeof command,
             "test -z \"$(find '%s' -type f ! -perm %o -o -type d ! -perm %o | tee /dev/stderr)\"",
             store, file, folder);
    ck_assert_msg(system(command) == 0, "umask %o, file.mode %s", mask,
                  given == NULL ? "unset" : given);
    day_remove(store);
}

START_TEST(files_have_the_mode_that_was_asked_for)
{
    check_modes(0, NULL, 0600, 0700);
    check_modes(077, NULL, 0600, 0700);
    check_modes(0, "0660", 0660, 0770);
    check_modes(0, "0644", 0644, 0755);
}
END_TEST

/* ---- newer formats (X65) ---- */

START_TEST(a_newer_segment_is_told_and_left_alone)
{
    struct kfl__segment_header header;
    day_make(store, true);
    int fd = open(temp_dir_file("store/topics/1/0/00000000000000000001.log"), O_RDWR | O_CLOEXEC);
    ck_assert_int_eq(pread(fd, &header, sizeof header, 0), (ssize_t)sizeof header);
    header.format++;
    header.hash = kfl__hash64(&header, offsetof(struct kfl__segment_header, hash));
    ck_assert_int_eq(pwrite(fd, &header, sizeof header, 0), (ssize_t)sizeof header);
    close(fd);
    day_visit_run(store, DAY_VERIFY, visit);
    ck_assert_msg(visit->signal == 0 && visit->open == 0 &&
                      visit->partitions[0].read == KFL_E_VERSION &&
                      visit->partitions[1].read == 0 && visit->partitions[2].fates[0] == DAY_RIGHT,
                  "%s", day_visit_text(visit));
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("permissions");
    TCase *tests = tcase_create("permissions");
    tcase_set_timeout(tests, 200);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_missing_parent_is_told);
    tcase_add_test(tests, a_missing_folder_is_made_only_where_it_may_be);
    tcase_add_test(tests, a_file_in_place_of_the_store_is_told);
    tcase_add_test(tests, a_folder_of_others_is_left_alone);
    tcase_add_loop_test(tests, records_without_a_catalog_are_no_new_store, 0, 4);
    tcase_add_loop_test(tests, a_pipe_a_link_or_a_folder_in_place_of_a_file_is_told, 0,
                        10 * KIND_COUNT);
    tcase_add_test(tests, a_file_in_place_of_a_folder_is_told);
    tcase_add_test(tests, who_may_not_even_look_is_told);
    tcase_add_loop_test(tests, who_may_only_read_reads, 0, 2);
    tcase_add_loop_test(tests, a_live_store_is_read_by_who_may_only_read, 0, 2);
    tcase_add_loop_test(tests, reading_only_changes_nothing, 0, 2);
    tcase_add_loop_test(tests, a_file_system_that_is_read_only_is_read, 0, 2);
    tcase_add_test(tests, files_have_the_mode_that_was_asked_for);
    tcase_add_test(tests, a_newer_segment_is_told_and_left_alone);
    suite_add_tcase(suite, tests);
    return suite;
}
