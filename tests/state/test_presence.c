/* SPDX-License-Identifier: MIT */
#include "state/presence.h"

#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "peer.h"
#include "suite.h"
#include "temp_dir.h"

static int directory = -1;
/* As in a state file: memory that all processes share. */
static struct kfl__presence_entry *entries;

static void set_up(void)
{
    ck_assert_int_eq(kfl__file_open_directory(-1, temp_dir_make(), &directory), 0);
    entries = mmap(NULL, KFL_PRESENCE_MAX * sizeof *entries, PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(entries, MAP_FAILED);
}

static void tear_down(void)
{
    munmap(entries, KFL_PRESENCE_MAX * sizeof *entries);
    kfl__file_close(directory);
    temp_dir_remove();
}

static bool others(struct kfl__presence *presence)
{
    bool living;
    ck_assert_int_eq(kfl__presence_others(presence, entries, &living), 0);
    return living;
}

static bool bytes_held(struct kfl__presence *presence)
{
    bool held;
    ck_assert_int_eq(kfl__presence_others(presence, NULL, &held), 0);
    return held;
}

static void enter(struct kfl__presence *presence)
{
    ck_assert_int_eq(kfl__presence_enter(presence, directory, 0600, false), 0);
}

static void join(struct kfl__presence *presence)
{
    enter(presence);
    ck_assert_int_eq(kfl__presence_join(presence, entries), 0);
    ck_assert_int_eq(kfl__presence_settle(presence), 0);
}

static void leave(struct kfl__presence *presence)
{
    ck_assert_int_eq(kfl__presence_reenter(presence), 0);
    kfl__presence_leave(presence, entries);
}

/* Lives in the store until it is told to leave. */
static void live(struct peer *self, void *context)
{
    (void)context;
    struct kfl__presence presence;
    join(&presence);
    peer_tell(self);
    peer_await(self);
    leave(&presence);
}

START_TEST(who_is_alone_sees_nobody)
{
    struct kfl__presence presence;
    enter(&presence);
    ck_assert(!others(&presence));
    ck_assert(!bytes_held(&presence));
    ck_assert_int_eq(presence.entry, -1);
    ck_assert_int_eq(kfl__presence_join(&presence, entries), 0);
    ck_assert(!others(&presence));
    ck_assert(!bytes_held(&presence));
    ck_assert_int_eq(presence.entry, 0);
    ck_assert_int_eq(entries[0].pid, getpid());
    ck_assert_uint_eq(entries[0].start, presence.start);
    ck_assert_uint_ne(entries[0].namespace, 0);
    ck_assert_str_ne(entries[0].program, "");
    ck_assert(kfl__presence_lives(&presence, entries, 0, presence.start));
    ck_assert(!kfl__presence_lives(&presence, entries, 0, presence.start + 1));
    ck_assert(!kfl__presence_lives(&presence, entries, KFL_PRESENCE_MAX, presence.start));
    kfl__presence_leave(&presence, entries);
    ck_assert_int_eq(entries[0].pid, 0);
    ck_assert_int_eq(presence.lock_fd, -1);
    kfl__presence_leave(&presence, entries);
}
END_TEST

/* rule:R19 */
START_TEST(processes_see_each_other_until_they_leave_or_die)
{
    struct kfl__presence presence;
    struct peer peers[2];
    join(&presence);
    peer_start(&peers[0], live, NULL);
    peer_await(&peers[0]);
    peer_start(&peers[1], live, NULL);
    peer_await(&peers[1]);
    ck_assert(others(&presence));
    ck_assert(bytes_held(&presence));
    ck_assert_int_eq(entries[1].pid, peers[0].pid);
    ck_assert_int_eq(entries[2].pid, peers[1].pid);
    uint64_t starts[] = {entries[0].start, entries[1].start, entries[2].start};
    ck_assert(kfl__presence_lives(&presence, entries, 1, starts[1]));

    peer_tell(&peers[0]);
    peer_join(&peers[0]);
    ck_assert(!kfl__presence_lives(&presence, entries, 1, starts[1]));
    ck_assert(kfl__presence_lives(&presence, entries, 2, starts[2]));
    ck_assert(others(&presence));

    peer_kill(&peers[1]);
    ck_assert(!kfl__presence_lives(&presence, entries, 2, starts[2]));
    ck_assert(!others(&presence));
    ck_assert(!bytes_held(&presence));

    /* Its entry is used again; who asks for the former owner is not taken in. */
    peer_start(&peers[0], live, NULL);
    peer_await(&peers[0]);
    ck_assert_int_eq(entries[1].pid, peers[0].pid);
    entries[1].start++;
    ck_assert(!others(&presence));
    entries[1].start--;
    ck_assert(others(&presence));
    peer_tell(&peers[0]);
    peer_join(&peers[0]);
    leave(&presence);
}
END_TEST

static void enter_and_die(struct peer *self, void *context)
{
    (void)context;
    struct kfl__presence presence;
    enter(&presence);
    peer_tell(self);
    peer_await(self);
}

static void *enter_in_a_thread(void *context)
{
    enter(context);
    return NULL;
}

START_TEST(one_enters_at_a_time_and_a_death_inside_lets_the_next_in)
{
    struct kfl__presence presence;
    struct peer peer;
    peer_start(&peer, enter_and_die, NULL);
    peer_await(&peer);
    int fd;
    ck_assert_int_eq(kfl__file_open(directory, "LOCK", true, &fd), 0);
    ck_assert_int_eq(kfl__file_lock(fd, 0, 1, false), KFL_FILE_LOCKED);
    kfl__file_close(fd);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, enter_in_a_thread, &presence), 0);
    peer_kill(&peer);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert(!others(&presence));
    kfl__presence_leave(&presence, entries);
}
END_TEST

/* What the host program may do in between: fork a child that knows nothing of us, and die. */
static void live_and_leave_a_child(struct peer *self, void *context)
{
    struct kfl__presence presence;
    join(&presence);
    struct peer *child = context;
    pid_t pid = fork();
    if (pid == 0) {
        if (child->to != 0) {
            kfl__presence_forked(&presence);
            ck_assert_int_eq(presence.lock_fd, -1);
            kfl__presence_leave(&presence, entries);
        }
        peer_tell(self);
        pause();
    }
    child->pid = pid;
    peer_tell(self);
    peer_await(self);
    if (child->from != 0)
        leave(&presence);
    else
        raise(SIGKILL);
}

struct kept_child {
    struct peer parent;
    struct peer *child; /* to != 0: it closes LOCK at once; from != 0: its parent leaves in peace */
};

static struct kept_child start_with_child(bool child_closes, bool parent_leaves)
{
    struct kept_child kept;
    kept.child = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(kept.child, MAP_FAILED);
    kept.child->to = child_closes;
    kept.child->from = parent_leaves;
    peer_start(&kept.parent, live_and_leave_a_child, kept.child);
    peer_await(&kept.parent);
    peer_await(&kept.parent);
    return kept;
}

static void end_child(struct kept_child *kept)
{
    ck_assert_int_gt(kept->child->pid, 0);
    ck_assert_int_eq(kill(kept->child->pid, SIGKILL), 0);
    munmap(kept->child, 4096);
}

/* rule:R19 */
START_TEST(a_byte_that_only_a_child_holds_is_a_dead_one)
{
    struct kept_child kept = start_with_child(false, false);
    struct kfl__presence presence;
    enter(&presence);
    ck_assert(others(&presence));
    uint64_t start = entries[0].start;
    ck_assert(kfl__presence_lives(&presence, entries, 0, start));

    peer_kill(&kept.parent);
    ck_assert(bytes_held(&presence));
    ck_assert(!others(&presence));
    ck_assert(!kfl__presence_lives(&presence, entries, 0, start));
    ck_assert_int_eq(kfl__presence_join(&presence, entries), 0);
    ck_assert_int_eq(presence.entry, 1);
    kfl__presence_leave(&presence, entries);
    end_child(&kept);
}
END_TEST

/* rule:R19 */
START_TEST(a_child_that_closes_takes_nothing_from_its_parent_and_keeps_nothing)
{
    struct kept_child kept = start_with_child(true, false);
    struct kfl__presence presence;
    enter(&presence);
    ck_assert(others(&presence));
    ck_assert_int_eq(entries[0].pid, kept.parent.pid);
    peer_kill(&kept.parent);
    ck_assert(!bytes_held(&presence));
    ck_assert(!others(&presence));
    kfl__presence_leave(&presence, entries);
    end_child(&kept);
}
END_TEST

/* rule:R19 */
START_TEST(who_leaves_frees_its_byte_though_a_child_has_it_too)
{
    struct kept_child kept = start_with_child(false, true);
    peer_tell(&kept.parent);
    peer_join(&kept.parent);
    struct kfl__presence presence;
    enter(&presence);
    ck_assert(!bytes_held(&presence));
    ck_assert_int_eq(kfl__presence_join(&presence, entries), 0);
    ck_assert_int_eq(presence.entry, 0);
    kfl__presence_leave(&presence, entries);
    end_child(&kept);
}
END_TEST

/* rule:R19 */
START_TEST(a_second_copy_in_one_process_is_refused)
{
    struct kfl__presence presence, copy;
    join(&presence);
    enter(&copy);
    ck_assert(others(&copy));
    ck_assert_int_eq(kfl__presence_join(&copy, entries), KFL_E_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(kfl_last_error(), "another copy"));
    ck_assert_ptr_nonnull(strstr(kfl_last_error(), "one shared libkafkalite"));
    kfl__presence_leave(&copy, entries);
    ck_assert_int_eq(entries[0].pid, getpid());

    struct peer peer;
    peer_start(&peer, live, NULL);
    peer_await(&peer);
    peer_tell(&peer);
    peer_join(&peer);
    leave(&presence);
    join(&copy);
    leave(&copy);
}
END_TEST

/* rule:R19 */
START_TEST(a_process_of_another_namespace_is_refused)
{
    struct kfl__presence presence;
    struct peer peer;
    peer_start(&peer, live, NULL);
    peer_await(&peer);
    entries[0].namespace++;
    entries[0].pid = 1 << 30; /* says nothing to us */
    enter(&presence);
    ck_assert(others(&presence));
    ck_assert(kfl__presence_lives(&presence, entries, 0, entries[0].start));
    ck_assert_int_eq(kfl__presence_join(&presence, entries), KFL_E_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(kfl_last_error(), "namespace"));
    ck_assert_int_eq(presence.entry, -1);
    /* Its byte is free: it is gone, wherever it was. */
    peer_kill(&peer);
    ck_assert(!others(&presence));
    ck_assert_int_eq(kfl__presence_join(&presence, entries), 0);
    kfl__presence_leave(&presence, entries);
}
END_TEST

START_TEST(there_are_1024_places)
{
    struct kfl__presence presence;
    enter(&presence);
    int fd;
    ck_assert_int_eq(kfl__file_open(directory, "LOCK", true, &fd), 0);
    ck_assert_int_eq(kfl__file_lock(fd, 1, KFL_PRESENCE_MAX, false), 0);
    ck_assert(bytes_held(&presence));
    /* Bytes without entries: nobody is behind them. */
    ck_assert(!others(&presence));
    ck_assert_int_eq(kfl__presence_join(&presence, entries), KFL_E_BUSY);
    ck_assert_int_eq(presence.entry, -1);
    ck_assert_int_eq(kfl__file_unlock(fd, KFL_PRESENCE_MAX, 1), 0);
    ck_assert_int_eq(kfl__presence_join(&presence, entries), 0);
    ck_assert_int_eq(presence.entry, KFL_PRESENCE_MAX - 1);
    kfl__presence_leave(&presence, entries);
    kfl__file_close(fd);
}
END_TEST

static void maintain(struct peer *self, void *context)
{
    (void)context;
    struct kfl__presence presence;
    join(&presence);
    ck_assert(kfl__presence_maintain(&presence));
    peer_tell(self);
    peer_await(self);
    ck_assert(kfl__presence_maintain(&presence));
    peer_tell(self);
    peer_await(self);
}

START_TEST(one_maintains_until_it_dies)
{
    struct kfl__presence presence;
    struct peer peer;
    join(&presence);
    peer_start(&peer, maintain, NULL);
    peer_await(&peer);
    ck_assert(!kfl__presence_maintain(&presence));
    peer_tell(&peer);
    peer_await(&peer);
    ck_assert(!kfl__presence_maintain(&presence));
    peer_kill(&peer);
    ck_assert(kfl__presence_maintain(&presence));
    ck_assert(kfl__presence_maintain(&presence));
    peer_start(&peer, live, NULL);
    peer_await(&peer);
    leave(&presence);
    peer_tell(&peer);
    peer_join(&peer);
}
END_TEST

START_TEST(a_reader_creates_nothing)
{
    struct kfl__presence presence;
    ck_assert_int_eq(kfl__presence_enter(&presence, directory, 0600, true), KFL_FILE_MISSING);
    ck_assert_int_eq(presence.lock_fd, -1);
    ck_assert_int_ne(access(temp_dir_file("LOCK"), F_OK), 0);
    kfl__presence_leave(&presence, entries);

    /* Where it may write, a reader is one of the living. */
    enter(&presence);
    kfl__presence_leave(&presence, entries);
    ck_assert_int_eq(kfl__presence_enter(&presence, directory, 0600, true), 0);
    ck_assert(!presence.shared);
    ck_assert_int_eq(kfl__presence_join(&presence, entries), 0);
    ck_assert_int_eq(presence.entry, 0);
    kfl__presence_leave(&presence, entries);
}
END_TEST

static void read_without_permission(struct peer *self, void *context)
{
    (void)context;
    struct kfl__presence presence, second;
    if (geteuid() == 0)
        ck_assert_int_eq(seteuid(65534), 0);
    ck_assert_int_eq(kfl__presence_enter(&presence, directory, 0600, false), KFL_E_READ_ONLY);
    ck_assert_int_eq(kfl__presence_enter(&presence, directory, 0600, true), 0);
    ck_assert(presence.shared);
    /* Readers do not wait for one another. */
    ck_assert_int_eq(kfl__presence_enter(&second, directory, 0600, true), 0);
    kfl__presence_leave(&second, NULL);
    ck_assert(!bytes_held(&presence));
    ck_assert_int_eq(kfl__presence_join(&presence, NULL), 0);
    ck_assert_int_eq(presence.entry, -1);
    ck_assert(!kfl__presence_maintain(&presence));
    peer_tell(self);
    peer_await(self);
    ck_assert_int_eq(kfl__presence_settle(&presence), 0);
    peer_tell(self);
    peer_await(self);
    ck_assert(bytes_held(&presence));
    ck_assert(others(&presence));
    kfl__presence_leave(&presence, NULL);
}

START_TEST(a_reader_that_may_not_write_shares_the_door)
{
    struct kfl__presence presence;
    enter(&presence);
    kfl__presence_leave(&presence, entries);
    ck_assert_int_eq(chmod(temp_dir_path(), 0755), 0);
    ck_assert_int_eq(chmod(temp_dir_file("LOCK"), 0444), 0);
    struct peer peer;
    peer_start(&peer, read_without_permission, NULL);
    peer_await(&peer);
    ck_assert_int_eq(chmod(temp_dir_file("LOCK"), 0644), 0);
    int fd;
    ck_assert_int_eq(kfl__file_open(directory, "LOCK", true, &fd), 0);
    ck_assert_int_eq(kfl__file_lock(fd, 0, 1, false), KFL_FILE_LOCKED);
    kfl__file_close(fd);
    peer_tell(&peer);
    peer_await(&peer);
    join(&presence);
    peer_tell(&peer);
    peer_join(&peer);
    leave(&presence);
}
END_TEST

START_TEST(a_thread_is_described_by_its_process)
{
    char text[64], expected[64];
    kfl__presence_describe((int32_t)syscall(SYS_gettid), text, sizeof text);
    snprintf(expected, sizeof expected, "pid %d (", (int)getpid());
    ck_assert_int_eq(strncmp(text, expected, strlen(expected)), 0);
    kfl__presence_describe(INT32_MAX, text, sizeof text);
    ck_assert_ptr_nonnull(strstr(text, "cannot be seen"));
    char small[6];
    kfl__presence_describe((int32_t)syscall(SYS_gettid), small, sizeof small);
    ck_assert_uint_eq(strlen(small), 5);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("presence");
    TCase *tcase = tcase_create("presence");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, who_is_alone_sees_nobody);
    tcase_add_test(tcase, processes_see_each_other_until_they_leave_or_die);
    tcase_add_test(tcase, one_enters_at_a_time_and_a_death_inside_lets_the_next_in);
    tcase_add_test(tcase, a_byte_that_only_a_child_holds_is_a_dead_one);
    tcase_add_test(tcase, a_child_that_closes_takes_nothing_from_its_parent_and_keeps_nothing);
    tcase_add_test(tcase, who_leaves_frees_its_byte_though_a_child_has_it_too);
    tcase_add_test(tcase, a_second_copy_in_one_process_is_refused);
    tcase_add_test(tcase, a_process_of_another_namespace_is_refused);
    tcase_add_test(tcase, there_are_1024_places);
    tcase_add_test(tcase, one_maintains_until_it_dies);
    tcase_add_test(tcase, a_reader_creates_nothing);
    tcase_add_test(tcase, a_reader_that_may_not_write_shares_the_door);
    tcase_add_test(tcase, a_thread_is_described_by_its_process);
    suite_add_tcase(suite, tcase);
    return suite;
}
