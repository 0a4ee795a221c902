/* SPDX-License-Identifier: MIT */
#include "base/robust_list.h"

#include <check.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lock.h"
#include "child.h"
#include "suite.h"

#define RANK KFL_RANK_APPEND

/* Else all others would go by the C library, and nobody would notice but by the clock. */
START_TEST(the_list_of_this_c_library_is_known)
{
#if defined(__GLIBC__) && !defined(KFL_THREAD_SANITIZER)
    ck_assert_ptr_nonnull(kfl__robust_list_of_thread());
    ck_assert_int_eq(kfl__robust_list_thread(kfl__robust_list_of_thread()), gettid());
#endif
}
END_TEST

static pthread_mutex_t mutex_of_a_caller(int protocol)
{
    pthread_mutex_t mutex;
    pthread_mutexattr_t attributes;
    ck_assert_int_eq(pthread_mutexattr_init(&attributes), 0);
    ck_assert_int_eq(pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST), 0);
    ck_assert_int_eq(pthread_mutexattr_setprotocol(&attributes, protocol), 0);
    ck_assert_int_eq(pthread_mutex_init(&mutex, &attributes), 0);
    pthread_mutexattr_destroy(&attributes);
    return mutex;
}

/* Held together with a caller's, also one that inherits priority, and given back in any order. */
START_TEST(locks_of_both_kinds_share_the_list)
{
    static const int orders[][4] = {{0, 1, 2, 3}, {3, 2, 1, 0}, {1, 3, 0, 2}, {2, 0, 3, 1}};
    struct kfl__robust ours[2];
    pthread_mutex_t plain = mutex_of_a_caller(PTHREAD_PRIO_NONE),
                    inheriting = mutex_of_a_caller(PTHREAD_PRIO_INHERIT);
    ck_assert_int_eq(kfl__robust_init(&ours[0]) | kfl__robust_init(&ours[1]), 0);
    for (size_t taken = 0; taken < 16; taken++) {
        for (size_t i = 0; i < 8; i++) {
            int which = orders[i < 4 ? taken / 4 : taken % 4][i % 4];
            bool take = i < 4;
            if (which < 2 && take)
                ck_assert_int_eq(kfl__robust_trylock(&ours[which], RANK), 0);
            else if (which < 2)
                kfl__robust_unlock(&ours[which], RANK);
            else if (take)
                ck_assert_int_eq(pthread_mutex_trylock(which == 2 ? &plain : &inheriting), 0);
            else
                ck_assert_int_eq(pthread_mutex_unlock(which == 2 ? &plain : &inheriting), 0);
        }
        struct robust_list_head *list = kfl__robust_list_of_thread();
        if (list != NULL)
            ck_assert_ptr_eq(list->list.next, &list->list);
    }
    pthread_mutex_destroy(&plain);
    pthread_mutex_destroy(&inheriting);
}
END_TEST

struct walked {
    struct kfl__robust robust, other;
    _Atomic int held; /* the lock is certainly held */
    _Atomic int done;
};

static int lock_and_unlock(void *context)
{
    struct walked *walked = context;
    /* Whatever is done once is done before; and one more is held, so that the list is not empty. */
    if (kfl__robust_trylock(&walked->robust, RANK) != 0)
        return 1;
    kfl__robust_unlock(&walked->robust, RANK);
    if (kfl__robust_trylock(&walked->other, RANK) != 0 || ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
        return 2;
    raise(SIGSTOP);
    if (!kfl__robust_take_free(&walked->robust, RANK))
        return 3;
    atomic_store_explicit(&walked->held, 1, memory_order_relaxed);
    atomic_store_explicit(&walked->held, 0, memory_order_relaxed);
    kfl__robust_give_back(&walked->robust, RANK);
    atomic_store_explicit(&walked->done, 1, memory_order_relaxed);
    for (;;)
        pause();
}

/* Let the child do so many instructions, and kill it. false: it could not be watched; *out_done: it was through before. */
static bool kill_behind(struct walked *walked, int instructions, bool *out_done)
{
    int status;
    pid_t pid = child_start(lock_and_unlock, walked);
    ck_assert_int_eq(waitpid(pid, &status, WUNTRACED), pid);
    if (!WIFSTOPPED(status))
        return false;
    for (int i = 0; i < instructions && atomic_load(&walked->done) == 0; i++) {
        if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) < 0)
            return false;
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert(WIFSTOPPED(status));
    }
    *out_done = atomic_load(&walked->done) != 0;
    kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) == pid && !WIFSIGNALED(status))
        ;
    return true;
}

/* rule:R2 rule:R19: a death at any instruction of the taking and the giving back leaves a lock that the next one gets. */
START_TEST(a_death_at_any_instruction_leaves_a_lock_that_can_be_taken)
{
#ifndef KFL_THREAD_SANITIZER
    struct walked *walked = child_share(sizeof *walked);
    int died_inside = 0, died_outside = 0;
    bool done = false;
    for (int instructions = 0; !done; instructions++) {
        ck_assert_int_eq(kfl__robust_init(&walked->robust) | kfl__robust_init(&walked->other), 0);
        atomic_store(&walked->held, 0);
        if (!kill_behind(walked, instructions, &done)) {
            printf("# skipped: a child cannot be traced here\n");
            break;
        }
        int r = kfl__robust_lock(&walked->robust, RANK, kfl__clock_deadline_ns(5000));
        ck_assert_msg(r == 0 || r == KFL_LOCK_OWNER_DIED, "behind %d instructions: %d",
                      instructions, r);
        ck_assert_msg(r == KFL_LOCK_OWNER_DIED || atomic_load(&walked->held) == 0,
                      "behind %d instructions", instructions);
        ck_assert_int_eq(kfl__robust_trylock(&walked->other, RANK), KFL_LOCK_OWNER_DIED);
        died_inside += r == KFL_LOCK_OWNER_DIED;
        died_outside += r == 0;
        if (r == KFL_LOCK_OWNER_DIED)
            kfl__robust_mended(&walked->robust);
        kfl__robust_unlock(&walked->robust, RANK);
        kfl__robust_mended(&walked->other);
        kfl__robust_unlock(&walked->other, RANK);
    }
    ck_assert(!done || (died_inside > 10 && died_outside > 10));
    munmap(walked, sizeof *walked);
#endif
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("robust list");
    TCase *tests = tcase_create("robust list");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, the_list_of_this_c_library_is_known);
    tcase_add_test(tests, locks_of_both_kinds_share_the_list);
    tcase_add_test(tests, a_death_at_any_instruction_leaves_a_lock_that_can_be_taken);
    suite_add_tcase(suite, tests);
    return suite;
}
