/* SPDX-License-Identifier: MIT */
/* A lock that is lent, and a child that is stopped behind any instruction of taking it by loan. */
#ifndef KFL_TESTS_BASE_LOAN_FIXTURE_H
#define KFL_TESTS_BASE_LOAN_FIXTURE_H

#include <check.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/barrier.h"
#include "base/clock.h"
#include "base/loan.h"
#include "child.h"
#include "suite.h"

#define RANK KFL_RANK_APPEND
#define OFTEN 6000 /* more than is needed, also after somebody took it back */
#define WAIT_MS 10000

static inline bool take_any_way(struct kfl__lendable *lock, enum kfl__taken *out_taken)
{
    *out_taken = kfl__lendable_take_free(lock, RANK);
    return *out_taken != KFL_TAKEN_NOT ||
           kfl__lendable_lock(lock, RANK, kfl__clock_deadline_ns(WAIT_MS)) == 0;
}

static inline void give_any_way(struct kfl__lendable *lock, enum kfl__taken taken)
{
    if (taken != KFL_TAKEN_NOT)
        kfl__lendable_give_back(lock, RANK, taken);
    else
        kfl__lendable_unlock(lock, RANK);
}

/* Take it alone until it is lent. false: this kernel or C library does not have it. */
static inline bool work_alone(struct kfl__lendable *lock)
{
    kfl__barrier_join();
    for (int i = 0; i < OFTEN; i++) {
        enum kfl__taken taken;
        if (!take_any_way(lock, &taken))
            abort();
        give_any_way(lock, taken);
        if (taken == KFL_TAKEN_LENT)
            return true;
    }
    return false;
}

static inline struct kfl__lendable *lock_shared(size_t room)
{
    struct kfl__lendable *lock = child_share(room);
    ck_assert_int_eq(kfl__lendable_init(lock), 0);
    return lock;
}

struct walked {
    struct kfl__lendable lock;
    _Atomic int held; /* the lock is certainly held by the child */
    _Atomic int entered, done, unlent;
};

static inline int enter_by_loan(void *context)
{
    struct walked *walked = context;
    if (!work_alone(&walked->lock)) {
        atomic_store(&walked->unlent, 1);
        return CHILD_CANNOT_TRY;
    }
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
        return CHILD_CANNOT_TRY;
    raise(SIGSTOP);
    enum kfl__taken taken;
    if (!take_any_way(&walked->lock, &taken))
        return 3;
    atomic_store_explicit(&walked->held, 1, memory_order_relaxed);
    atomic_store_explicit(&walked->entered, 1, memory_order_relaxed);
    atomic_store_explicit(&walked->held, 0, memory_order_relaxed);
    give_any_way(&walked->lock, taken);
    atomic_store_explicit(&walked->done, 1, memory_order_relaxed);
    for (;;)
        pause();
}

/* A child that stands behind so many instructions of taking and giving back by loan; 0: cannot be done here. */
static inline pid_t child_behind(struct walked *walked, int instructions)
{
    int status;
    ck_assert_int_eq(kfl__lendable_init(&walked->lock), 0);
    atomic_store(&walked->held, 0);
    atomic_store(&walked->entered, 0);
    atomic_store(&walked->done, 0);
    pid_t pid = child_start(enter_by_loan, walked);
    ck_assert_int_eq(waitpid(pid, &status, WUNTRACED), pid);
    if (!WIFSTOPPED(status)) {
        ck_assert_int_eq(WEXITSTATUS(status), CHILD_CANNOT_TRY);
        return 0;
    }
    for (int i = 0; i < instructions && atomic_load(&walked->done) == 0; i++) {
        ck_assert_int_eq(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert(WIFSTOPPED(status));
    }
    return pid;
}

static inline void child_kill(pid_t pid)
{
    int status;
    kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) == pid && !WIFSIGNALED(status))
        ;
}

#endif
