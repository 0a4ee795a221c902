/* SPDX-License-Identifier: MIT */
#include "base/process.h"

#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "peer.h"
#include "suite.h"

START_TEST(a_process_knows_itself)
{
    struct kfl__process self, again;
    kfl__process_self(&self);
    kfl__process_self(&again);
    ck_assert_int_eq(self.pid, getpid());
    ck_assert_uint_ne(self.start, 0);
    ck_assert_uint_ne(self.namespace, 0);
    ck_assert_uint_eq(self.start, again.start);
    ck_assert_uint_eq(self.namespace, again.namespace);
    ck_assert(kfl__process_lives(self.pid, self.start));
    ck_assert(kfl__process_lives(self.pid, 0));
}
END_TEST

START_TEST(a_pid_that_is_used_again_is_another_process)
{
    struct kfl__process self;
    kfl__process_self(&self);
    ck_assert(!kfl__process_lives(self.pid, self.start + 1));
    ck_assert(!kfl__process_lives(self.pid, self.start - 1));
    ck_assert(!kfl__process_lives(0, 0));
    ck_assert(!kfl__process_lives(-1, 0));
}
END_TEST

static void tell_start(struct peer *self, void *context)
{
    (void)context;
    struct kfl__process process;
    kfl__process_self(&process);
    ck_assert_int_eq(write(self->to, &process.start, sizeof process.start), sizeof process.start);
    pause();
}

START_TEST(a_process_that_waits_to_be_reaped_is_gone)
{
    struct peer peer;
    uint64_t start;
    peer_start(&peer, tell_start, NULL);
    ck_assert_int_eq(read(peer.from, &start, sizeof start), sizeof start);
    ck_assert(kfl__process_lives(peer.pid, start));
    ck_assert_int_eq(kill(peer.pid, SIGKILL), 0);
    siginfo_t what;
    ck_assert_int_eq(waitid(P_PID, (id_t)peer.pid, &what, WEXITED | WNOWAIT), 0);
    ck_assert(!kfl__process_lives(peer.pid, start));
    ck_assert_int_eq(waitpid(peer.pid, NULL, 0), peer.pid);
    ck_assert(!kfl__process_lives(peer.pid, start));
    ck_assert(!kfl__process_lives(peer.pid, 0));
}
END_TEST

/* Runs on when the first thread has ended: the process then looks like a zombie. */
static void *outlive_first_thread(void *context)
{
    struct peer *self = context;
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)getpid());
    const char *state;
    do {
        FILE *file = fopen(path, "r");
        ck_assert_ptr_nonnull(file);
        ck_assert_ptr_nonnull(fgets(text, sizeof text, file));
        fclose(file);
        state = strrchr(text, ')');
        ck_assert_ptr_nonnull(state);
    } while (state[2] != 'Z');
    struct kfl__process process;
    kfl__process_self(&process);
    ck_assert_int_eq(write(self->to, &process.start, sizeof process.start), sizeof process.start);
    pause();
    return NULL;
}

static void end_first_thread(struct peer *self, void *context)
{
    static struct peer kept;
    (void)context;
    kept = *self;
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, outlive_first_thread, &kept), 0);
    /* Ends this thread alone, without what the C library would do at its end. */
    syscall(SYS_exit, 0);
}

START_TEST(a_process_outlives_its_first_thread)
{
    struct peer peer;
    uint64_t start;
    peer_start(&peer, end_first_thread, NULL);
    ck_assert_int_eq(read(peer.from, &start, sizeof start), sizeof start);
    ck_assert(kfl__process_lives(peer.pid, start));
    peer_kill(&peer);
    ck_assert(!kfl__process_lives(peer.pid, start));
}
END_TEST

START_TEST(a_program_may_call_itself_anything)
{
    struct kfl__process self, renamed;
    kfl__process_self(&self);
    ck_assert_int_eq(prctl(PR_SET_NAME, ") Z 1\x1b(\n) "), 0);
    kfl__process_self(&renamed);
    ck_assert_uint_eq(renamed.start, self.start);
    ck_assert(kfl__process_lives(self.pid, self.start));
    char name[KFL_PROCESS_NAME_SIZE];
    kfl__process_name(self.pid, name);
    ck_assert_str_eq(name, ") Z 1?(");
    ck_assert_int_eq(prctl(PR_SET_NAME, "fifteen-letters"), 0);
    kfl__process_name(self.pid, name);
    ck_assert_str_eq(name, "fifteen-letters");
}
END_TEST

static void *find_process(void *context)
{
    int32_t *out_pid = context;
    *out_pid = kfl__process_of_thread((int32_t)syscall(SYS_gettid));
    return NULL;
}

START_TEST(a_thread_belongs_to_its_process)
{
    pthread_t thread;
    int32_t pid = 0;
    ck_assert_int_eq(pthread_create(&thread, NULL, find_process, &pid), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(pid, getpid());
    ck_assert_int_eq(kfl__process_of_thread(INT32_MAX), 0);
    char name[KFL_PROCESS_NAME_SIZE];
    kfl__process_name(INT32_MAX, name);
    ck_assert_str_eq(name, "?");
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("process");
    TCase *tcase = tcase_create("process");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_process_knows_itself);
    tcase_add_test(tcase, a_pid_that_is_used_again_is_another_process);
    tcase_add_test(tcase, a_process_that_waits_to_be_reaped_is_gone);
    tcase_add_test(tcase, a_process_outlives_its_first_thread);
    tcase_add_test(tcase, a_program_may_call_itself_anything);
    tcase_add_test(tcase, a_thread_belongs_to_its_process);
    suite_add_tcase(suite, tcase);
    return suite;
}
