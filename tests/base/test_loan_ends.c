/* SPDX-License-Identifier: MIT */
/* How loans end, and what is left of them: by who has it, by who sleeps, by another of the same number. */
#include <sched.h>

#include "loan_fixture.h"

/* A child that is stopped inside, by loan; 0: cannot be done here. */
static pid_t child_inside(struct walked *walked)
{
    for (int instructions = 0;; instructions += 4) {
        pid_t pid = child_behind(walked, instructions);
        if (pid == 0 || atomic_load(&walked->held) != 0)
            return pid;
        ck_assert_int_eq(atomic_load(&walked->done), 0);
        child_kill(pid);
    }
}

static void child_wait_done(const struct walked *walked)
{
    int64_t deadline = kfl__clock_deadline_ns(WAIT_MS);
    while (atomic_load(&((struct walked *)(uintptr_t)walked)->done) == 0 &&
           kfl__clock_steady_ns() < deadline)
        sched_yield();
    ck_assert_int_ne(atomic_load(&((struct walked *)(uintptr_t)walked)->done), 0);
}

/* Else who is just about to sleep on the word, when it leaves, sleeps although there is nothing to wait for. */
START_TEST(who_leaves_a_loan_that_another_asked_for_ends_it)
{
    struct walked *walked = child_share(sizeof *walked);
    pid_t pid = child_inside(walked);
    if (pid != 0) {
        ck_assert_int_eq(kfl__lendable_trylock(&walked->lock, RANK), KFL_LOCK_BUSY);
        ck_assert(kfl__lendable_is_lent(&walked->lock));
        ck_assert_int_eq(ptrace(PTRACE_CONT, pid, NULL, NULL), 0);
        child_wait_done(walked);
        ck_assert(!kfl__lendable_is_lent(&walked->lock));
        child_kill(pid);
    }
    munmap(walked, sizeof *walked);
}
END_TEST

static int lock_in_vain(void *context)
{
    struct walked *walked = context;
    return kfl__lendable_lock(&walked->lock, RANK, kfl__clock_deadline_ns(WAIT_MS)) == 0 ? 0 : 1;
}

/* Who waits first holds the mutex meanwhile: it is not the one to be blamed. */
START_TEST(of_who_wait_for_a_stopped_thread_each_is_told_its_name)
{
    struct walked *walked = child_share(sizeof *walked);
    pid_t pid = child_inside(walked);
    if (pid != 0) {
        pid_t waiter = child_start(lock_in_vain, walked);
        int64_t deadline = kfl__clock_deadline_ns(WAIT_MS);
        while (kfl__robust_owner(&walked->lock.robust) != waiter &&
               kfl__clock_steady_ns() < deadline)
            sched_yield();
        ck_assert_int_eq(kfl__robust_owner(&walked->lock.robust), waiter);
        ck_assert_int_eq(kfl__lendable_lock(&walked->lock, RANK, kfl__clock_deadline_ns(1)),
                         KFL_LOCK_BUSY);
        ck_assert_int_eq(kfl__lendable_owner(&walked->lock), pid);
        ck_assert_int_eq(ptrace(PTRACE_CONT, pid, NULL, NULL), 0);
        ck_assert_int_eq(child_end(waiter), 0);
        child_kill(pid);
    }
    munmap(walked, sizeof *walked);
}
END_TEST

static int enter_anew(void *context)
{
    struct kfl__lendable *lock = context;
    if (!work_alone(lock))
        return CHILD_CANNOT_TRY;
    atomic_store(&kfl__barrier_is_joined,
                 0); /* as exec() does, which leaves the thread its number */
    if (kfl__lendable_take_free(lock, RANK) != KFL_TAKEN_NOT)
        return 1;
    if (kfl__lendable_lock(lock, RANK, kfl__clock_deadline_ns(WAIT_MS)) != 0)
        return 2;
    kfl__lendable_unlock(lock, RANK);
    return kfl__lendable_is_lent(lock) ? 3 : 0;
}

START_TEST(a_loan_to_the_same_number_is_not_used_where_barriers_do_not_reach)
{
    struct kfl__lendable *lock = lock_shared(sizeof *lock);
    int end = child_run(enter_anew, lock);
    ck_assert_msg(end == 0 || end == CHILD_CANNOT_TRY, "%d", end);
    munmap(lock, sizeof *lock);
}
END_TEST

/* The thread that had our number was killed when it had said that it is inside, and not yet seen that it is not. */
START_TEST(what_a_dead_thread_of_the_same_number_left_holds_nobody_up)
{
    struct kfl__lendable *lock = lock_shared(sizeof *lock);
    if (work_alone(lock)) {
        kfl__lendable_keep_company(lock);
        atomic_store(&lock->loan.places[atomic_load(&lock->loan.place)].inside, 1);
        for (int i = 0; i < OFTEN && !kfl__lendable_is_lent(lock); i++) {
            enum kfl__taken taken;
            ck_assert(take_any_way(lock, &taken));
            give_any_way(lock, taken);
        }
        ck_assert(kfl__lendable_is_lent(lock));
        ck_assert_int_eq(kfl__lendable_owner(lock), 0);
    }
    munmap(lock, sizeof *lock);
}
END_TEST

/* Such a one may go on for years. */
START_TEST(a_thread_that_itself_ends_its_loans_is_counted_no_further)
{
    struct kfl__lendable *lock = lock_shared(sizeof *lock);
    if (work_alone(lock)) {
        int32_t count = atomic_load(&lock->loan.lone_count);
        for (int i = 0; i < 10; i++) {
            ck_assert_int_eq(kfl__lendable_lock(lock, RANK, -1), 0);
            kfl__lendable_unlock(lock, RANK);
            ck_assert_int_eq(kfl__lendable_take_free(lock, RANK), KFL_TAKEN_LOCKED);
            kfl__lendable_give_back(lock, RANK, KFL_TAKEN_LOCKED);
            ck_assert(kfl__lendable_is_lent(lock));
        }
        ck_assert_int_eq(atomic_load(&lock->loan.lone_count), count);
    }
    munmap(lock, sizeof *lock);
}
END_TEST

START_TEST(a_loan_is_ended_where_that_takes_no_time)
{
    struct walked *walked = child_share(sizeof *walked);
    pid_t pid = child_inside(walked);
    if (pid != 0) {
        ck_assert(!kfl__lendable_end_loan(&walked->lock, RANK));
        ck_assert_int_eq(kfl__robust_owner(&walked->lock.robust), 0);
        child_kill(pid);
        /* Died inside: that is for who mends to be told. */
        ck_assert(!kfl__lendable_end_loan(&walked->lock, RANK));
        ck_assert_int_eq(kfl__lendable_lock(&walked->lock, RANK, -1), KFL_LOCK_OWNER_DIED);
        ck_assert(!kfl__lendable_end_loan(&walked->lock, RANK)); /* held */
        kfl__lendable_mended(&walked->lock);
        kfl__lendable_unlock(&walked->lock, RANK);
        ck_assert(kfl__lendable_end_loan(&walked->lock, RANK));
        pid = child_behind(walked, 0);
        ck_assert(kfl__lendable_is_lent(&walked->lock));
        ck_assert(kfl__lendable_end_loan(&walked->lock, RANK));
        ck_assert(!kfl__lendable_is_lent(&walked->lock));
        child_kill(pid);
        ck_assert_int_eq(kfl__lendable_lock(&walked->lock, RANK, -1), 0);
        kfl__lendable_unlock(&walked->lock, RANK);
    }
    munmap(walked, sizeof *walked);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("loan_ends");
    TCase *tests = tcase_create("ends");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, who_leaves_a_loan_that_another_asked_for_ends_it);
    tcase_add_test(tests, of_who_wait_for_a_stopped_thread_each_is_told_its_name);
    tcase_add_test(tests, a_loan_to_the_same_number_is_not_used_where_barriers_do_not_reach);
    tcase_add_test(tests, what_a_dead_thread_of_the_same_number_left_holds_nobody_up);
    tcase_add_test(tests, a_thread_that_itself_ends_its_loans_is_counted_no_further);
    tcase_add_test(tests, a_loan_is_ended_where_that_takes_no_time);
    suite_add_tcase(suite, tests);
    return suite;
}
