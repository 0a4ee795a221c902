/* SPDX-License-Identifier: MIT */
/* A barrier for others where the kernel refuses it, as in a sandbox; base/test_loan has what it is there for. */
#include "base/barrier.h"

#include <check.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "base/clock.h"
#include "base/loan.h"
#include "child.h"
#include "suite.h"

#define RANK KFL_RANK_APPEND
#define REFUSED_MS 20
#define WORKER_TURNS 2000000
#define VISITS 20

static bool refuse_barriers(uint32_t error)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof filter[0], .filter = filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static void note_signal(int number)
{
    (void)number;
}

static int barrier_under_signals(void *context)
{
    const struct itimerval often = {{0, 500}, {0, 500}};
    struct sigaction action = {.sa_handler = note_signal};
    (void)context;
    if (!refuse_barriers(EPERM) || sigaction(SIGALRM, &action, NULL) < 0 ||
        setitimer(ITIMER_REAL, &often, NULL) < 0)
        return CHILD_CANNOT_TRY;
    int64_t before = kfl__clock_steady_ns();
    kfl__barrier_all();
    return kfl__clock_steady_ns() - before >= REFUSED_MS * INT64_C(1000000) ? 0 : 1;
}

/* The wait stands for the barrier. */
START_TEST(signals_do_not_shorten_the_wait_of_one_that_is_refused)
{
    int end = child_run(barrier_under_signals, NULL);
    ck_assert_msg(end == 0 || end == CHILD_CANNOT_TRY, "%d", end);
}
END_TEST

struct shared {
    struct kfl__lendable lock;
    _Alignas(64) volatile uint64_t turns, again; /* plain words, guarded by the lock */
    _Atomic int wrong, done;
    _Atomic uint64_t lent, visits;
    uint32_t error; /* what the kernel answers to the worker, or to the visitor */
    bool to_worker;
};

static void shared_turn(struct shared *shared)
{
    uint64_t turns = shared->turns;
    if (turns != shared->again)
        atomic_store(&shared->wrong, 1);
    shared->turns = turns + 1;
    shared->again = turns + 1;
}

static int shared_work(struct shared *shared)
{
    uint64_t lent = 0;
    for (int i = 0; i < WORKER_TURNS; i++) {
        enum kfl__taken taken = kfl__lendable_take_free(&shared->lock, RANK);
        if (taken == KFL_TAKEN_NOT && kfl__lendable_lock(&shared->lock, RANK, -1) != 0)
            return 1;
        shared_turn(shared);
        if (taken == KFL_TAKEN_NOT)
            kfl__lendable_unlock(&shared->lock, RANK);
        else
            kfl__lendable_give_back(&shared->lock, RANK, taken);
        lent += taken == KFL_TAKEN_LENT;
    }
    atomic_store(&shared->lent, lent);
    return 0;
}

static int shared_worker(void *context)
{
    struct shared *shared = context;
    if (shared->to_worker) {
        atomic_store(&kfl__barrier_is_joined, 0); /* whatever the test's process has done before */
        if (!refuse_barriers(shared->error))
            return CHILD_CANNOT_TRY;
    }
    kfl__barrier_join();
    int r = shared_work(shared);
    atomic_store(&shared->done, 1);
    return r;
}

static int shared_visitor(void *context)
{
    struct shared *shared = context;
    uint64_t visits = 0;
    if (!shared->to_worker && !refuse_barriers(shared->error))
        return CHILD_CANNOT_TRY;
    for (; atomic_load(&shared->done) == 0 || visits < VISITS; visits++) {
        if (kfl__lendable_lock(&shared->lock, RANK, -1) != 0)
            return 1;
        shared_turn(shared);
        kfl__lendable_unlock(&shared->lock, RANK);
        for (int i = 0; i < 100000 && atomic_load(&shared->done) == 0; i++)
            kfl__relax();
    }
    atomic_store(&shared->visits, visits);
    return 0;
}

/* Refused to one of two, with either answer: no turn is lost, and whose barriers do not come lends nothing. */
START_TEST(processes_to_which_it_is_refused_share_a_lock_with_others)
{
    struct shared *shared = child_share(sizeof *shared);
    shared->to_worker = (_i & 1) != 0;
    shared->error = (_i & 2) != 0 ? ENOSYS : EPERM;
    ck_assert_int_eq(kfl__lendable_init(&shared->lock), 0);
    pid_t worker = child_start(shared_worker, shared),
          visitor = child_start(shared_visitor, shared);
    int worker_end = child_end(worker);
    atomic_store(&shared->done, 1);
    int visitor_end = child_end(visitor);
    if (worker_end != CHILD_CANNOT_TRY && visitor_end != CHILD_CANNOT_TRY) {
        ck_assert_int_eq(worker_end, 0);
        ck_assert_int_eq(visitor_end, 0);
        ck_assert_int_eq(atomic_load(&shared->wrong), 0);
        ck_assert_uint_eq(shared->turns, WORKER_TURNS + atomic_load(&shared->visits));
        ck_assert(!shared->to_worker || atomic_load(&shared->lent) == 0);
    }
    munmap(shared, sizeof *shared);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("barrier");
    TCase *tests = tcase_create("barrier");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, signals_do_not_shorten_the_wait_of_one_that_is_refused);
    tcase_add_loop_test(tests, processes_to_which_it_is_refused_share_a_lock_with_others, 0, 4);
    suite_add_tcase(suite, tests);
    return suite;
}
