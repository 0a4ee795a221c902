/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loan_fixture.h"

/* Else nobody would notice but by the clock. */
START_TEST(who_takes_it_alone_is_lent_it)
{
    struct kfl__lendable *lock = lock_shared(sizeof *lock);
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(KFL_THREAD_SANITIZER)
    ck_assert(work_alone(lock) || !kfl__barrier_joined());
    ck_assert(!kfl__barrier_joined() || kfl__lendable_is_lent(lock));
#endif
    ck_assert_int_eq(kfl__lendable_owner(lock), 0);
    ck_assert_int_eq(kfl__lendable_lock(lock, RANK, -1), 0);
    ck_assert(!kfl__lendable_is_lent(lock));
    ck_assert_int_eq(kfl__lendable_take_free(lock, RANK), KFL_TAKEN_NOT);
    kfl__lendable_unlock(lock, RANK);
    munmap(lock, sizeof *lock);
}
END_TEST

START_TEST(who_has_company_is_not)
{
    struct kfl__lendable *lock = lock_shared(sizeof *lock);
    if (work_alone(lock)) {
        kfl__lendable_keep_company(lock);
        ck_assert(!kfl__lendable_is_lent(lock));
        for (int i = 0; i < 1000; i++) {
            ck_assert_int_eq(kfl__lendable_take_free(lock, RANK), KFL_TAKEN_LOCKED);
            kfl__lendable_give_back(lock, RANK, KFL_TAKEN_LOCKED);
        }
        ck_assert(work_alone(lock)); /* but not for ever */
    }
    munmap(lock, sizeof *lock);
}
END_TEST

static void *end_alone(void *context)
{
    return work_alone(context) ? context : NULL;
}

/* The threads that were lent it and ended leave their places to others. */
START_TEST(a_thread_that_ended_is_no_hindrance)
{
    struct kfl__lendable *lock = lock_shared(sizeof *lock);
    bool first = work_alone(lock);
    for (int i = 0; i < 3 * KFL_LOAN_PLACES; i++) {
        pthread_t thread;
        void *lent;
        ck_assert_int_eq(pthread_create(&thread, NULL, end_alone, lock), 0);
        ck_assert_int_eq(pthread_join(thread, &lent), 0);
        ck_assert_msg(!first || lent != NULL, "thread %d", i);
        ck_assert_int_eq(kfl__lendable_lock(lock, RANK, kfl__clock_deadline_ns(WAIT_MS)), 0);
        kfl__lendable_unlock(lock, RANK);
    }
    munmap(lock, sizeof *lock);
}
END_TEST

/* rule:R2 rule:R19 */
START_TEST(a_death_at_any_instruction_is_told_if_it_was_inside)
{
    struct walked *walked = child_share(sizeof *walked);
    int died_inside = 0, died_outside = 0;
    for (int instructions = 0;; instructions++) {
        pid_t pid = child_behind(walked, instructions);
        if (pid == 0)
            break;
        bool done = atomic_load(&walked->done) != 0, held = atomic_load(&walked->held) != 0;
        child_kill(pid);
        int r = kfl__lendable_lock(&walked->lock, RANK, kfl__clock_deadline_ns(WAIT_MS));
        ck_assert_msg(r == 0 || r == KFL_LOCK_OWNER_DIED, "behind %d instructions: %d",
                      instructions, r);
        ck_assert_msg(r == KFL_LOCK_OWNER_DIED || !held, "behind %d instructions", instructions);
        died_inside += r == KFL_LOCK_OWNER_DIED;
        died_outside += r == 0;
        if (r == KFL_LOCK_OWNER_DIED)
            kfl__lendable_mended(&walked->lock);
        kfl__lendable_unlock(&walked->lock, RANK);
        ck_assert_int_eq(kfl__lendable_lock(&walked->lock, RANK, kfl__clock_deadline_ns(WAIT_MS)),
                         0);
        kfl__lendable_unlock(&walked->lock, RANK);
        if (done) {
            ck_assert(died_inside > 5 && died_outside > 5);
            break;
        }
    }
    munmap(walked, sizeof *walked);
}
END_TEST

/* Let the traced child run until it sleeps for the lock, or is through. */
static void child_go_on(pid_t pid, struct walked *walked)
{
    char path[64], text[512];
    ck_assert_int_eq(ptrace(PTRACE_CONT, pid, NULL, NULL), 0);
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int64_t deadline = kfl__clock_deadline_ns(WAIT_MS);
    while (atomic_load(&walked->done) == 0 && kfl__clock_steady_ns() < deadline) {
        FILE *file = fopen(path, "r");
        size_t size = file != NULL ? fread(text, 1, sizeof text - 1, file) : 0;
        text[size] = '\0';
        if (file != NULL)
            fclose(file);
        const char *name_end = strrchr(text, ')');
        if (name_end != NULL && name_end[2] == 'S')
            return;
        sched_yield();
    }
    ck_assert_int_ne(atomic_load(&walked->done), 0);
}

START_TEST(at_any_instruction_another_gets_it_only_when_nobody_is_inside)
{
    struct walked *walked = child_share(sizeof *walked);
    int busy = 0, got = 0;
    for (int instructions = 0;; instructions++) {
        pid_t pid = child_behind(walked, instructions);
        if (pid == 0)
            break;
        bool done = atomic_load(&walked->done) != 0, held = atomic_load(&walked->held) != 0,
             entered = atomic_load(&walked->entered) != 0;
        int r = kfl__lendable_trylock(&walked->lock, RANK);
        ck_assert_msg(r == 0 || r == KFL_LOCK_BUSY, "behind %d instructions: %d", instructions, r);
        ck_assert_msg(r == KFL_LOCK_BUSY || !held, "behind %d instructions", instructions);
        if (r == 0) {
            if (!done) {
                child_go_on(pid, walked);
                /* What it had not entered by then it does not enter while we are in. */
                ck_assert_msg(entered || atomic_load(&walked->entered) == 0,
                              "behind %d instructions", instructions);
            }
            kfl__lendable_unlock(&walked->lock, RANK);
        } else {
            ck_assert_int_eq(kfl__lendable_owner(&walked->lock), pid);
            ck_assert_int_eq(ptrace(PTRACE_CONT, pid, NULL, NULL), 0);
        }
        /* And we get it while it goes on, or went on, and it gets it too. */
        ck_assert_int_eq(kfl__lendable_lock(&walked->lock, RANK, kfl__clock_deadline_ns(WAIT_MS)),
                         0);
        kfl__lendable_unlock(&walked->lock, RANK);
        int64_t deadline = kfl__clock_deadline_ns(WAIT_MS);
        while (!done && atomic_load(&walked->done) == 0 && kfl__clock_steady_ns() < deadline)
            sched_yield();
        ck_assert_msg(atomic_load(&walked->done) != 0, "behind %d instructions", instructions);
        child_kill(pid);
        busy += r == KFL_LOCK_BUSY;
        got += r == 0;
        if (done) {
            ck_assert(busy > 5 && got > 5);
            break;
        }
    }
    munmap(walked, sizeof *walked);
}
END_TEST

#define SHARED_TURNS 3000000
#define SHARED_VISITS 300

struct shared {
    struct kfl__lendable lock;
    _Alignas(64) volatile uint64_t turns, again; /* plain words, guarded by the lock */
    _Atomic int wrong;
    _Atomic int lent, workers;
    _Atomic uint64_t taken; /* what they counted themselves */
};

static void shared_turn(struct shared *shared)
{
    uint64_t turns = shared->turns;
    if (turns != shared->again)
        atomic_store(&shared->wrong, 1);
    shared->turns = turns + 1;
    shared->again = turns + 1;
}

static int shared_worker(void *context)
{
    struct shared *shared = context;
    kfl__barrier_join();
    for (int i = 0; i < SHARED_TURNS; i++) {
        enum kfl__taken taken;
        if (!take_any_way(&shared->lock, &taken))
            return 1;
        shared_turn(shared);
        give_any_way(&shared->lock, taken);
        if (taken == KFL_TAKEN_LENT)
            atomic_fetch_add_explicit(&shared->lent, 1, memory_order_relaxed);
    }
    atomic_fetch_add(&shared->taken, SHARED_TURNS);
    atomic_fetch_sub(&shared->workers, 1);
    return 0;
}

/* Comes now and then, for as long as there are workers. */
static int shared_visitor(void *context)
{
    struct shared *shared = context;
    int visits = 0;
    for (; atomic_load(&shared->workers) > 0 || visits < SHARED_VISITS; visits++) {
        if (kfl__lendable_lock(&shared->lock, RANK, kfl__clock_deadline_ns(WAIT_MS)) != 0)
            return 1;
        shared_turn(shared);
        kfl__lendable_unlock(&shared->lock, RANK);
        if (visits >= SHARED_VISITS)
            sched_yield();
        for (int i = 0; i < 20000 && atomic_load(&shared->wrong) == 0; i++)
            kfl__relax();
    }
    atomic_fetch_add(&shared->taken, (uint64_t)visits);
    return 0;
}

/* Processes: one that is nearly always alone, or two that get into each other's way, and one that visits. */
START_TEST(no_turn_is_lost_between_processes)
{
    struct shared *shared = child_share(sizeof *shared);
    int workers = 1 + _i;
    pid_t pids[3];
    ck_assert_int_eq(kfl__lendable_init(&shared->lock), 0);
    shared->turns = shared->again = 0;
    atomic_store(&shared->workers, workers);
    atomic_store(&shared->taken, 0);
    for (int i = 0; i < workers; i++)
        pids[i] = child_start(shared_worker, shared);
    pids[workers] = child_start(shared_visitor, shared);
    for (int i = 0; i <= workers; i++)
        ck_assert_int_eq(child_end(pids[i]), 0);
    ck_assert_int_eq(atomic_load(&shared->wrong), 0);
    ck_assert_uint_eq(shared->turns, atomic_load(&shared->taken));
    ck_assert_uint_eq(shared->turns, shared->again);
    if (getenv("KAFKALITE_TEST_SAY") != NULL)
        printf("# %d of %d turns by loan\n", atomic_load(&shared->lent), workers * SHARED_TURNS);
    munmap(shared, sizeof *shared);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("loan");
    TCase *tests = tcase_create("loan");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, who_takes_it_alone_is_lent_it);
    tcase_add_test(tests, who_has_company_is_not);
    tcase_add_test(tests, a_thread_that_ended_is_no_hindrance);
    tcase_add_test(tests, a_death_at_any_instruction_is_told_if_it_was_inside);
    tcase_add_test(tests, at_any_instruction_another_gets_it_only_when_nobody_is_inside);
    tcase_add_loop_test(tests, no_turn_is_lost_between_processes, 0, 2);
    suite_add_tcase(suite, tests);
    return suite;
}
