/* SPDX-License-Identifier: MIT */
/* Lending a lock, and taking it back. */
#include "base/loan.h"

#include <limits.h>
#include <linux/futex.h>
#include <string.h>

#include "base/barrier.h"
#include "base/clock.h"
#include "base/patience.h"
#include "base/process.h"
#include "base/wait.h"

/* Taken so many times in a row by one thread: it seems to be alone. */
#define LOAN_ALONE 64
/* Taken back by another: a barrier on all processors costs as much as some hundreds of appends. */
#define LOAN_REFUSED 4096
/* Looks at a thread inside, which leaves within tens of nanoseconds, or was stopped. */
#define LOAN_SPINS 1000
#define LOAN_LOOK_NS INT64_C(20000000)

#define load_relaxed(word) atomic_load_explicit(word, memory_order_relaxed)
#define store_relaxed(word, value) atomic_store_explicit(word, value, memory_order_relaxed)

int kfl__lendable_init(struct kfl__lendable *lock)
{
    memset(&lock->loan, 0, sizeof lock->loan);
    return kfl__robust_init(&lock->robust);
}

/*
 * Somebody has marked it, and may be waiting for us to leave: the loan is over. The word changes, so that who is about to
 * sleep on it does not; a death before the wake is the kernel's to tell, since we call the word pending.
 */
__attribute__((noinline)) void kfl__loan_left(struct kfl__loan *loan, uint32_t thread)
{
    uint32_t marked = thread | FUTEX_WAITERS;
    if (atomic_compare_exchange_strong(&loan->word, &marked, 0))
        kfl__wake(&loan->word, 1);
}

/* A place of this thread's; -1: each belongs to another that lives. Under the mutex, where places change hands. */
static int loan_claim(struct kfl__loan *loan, uint32_t thread)
{
    int free = -1, own = -1;
    for (int i = 0; i < KFL_LOAN_PLACES; i++) {
        uint32_t owner = load_relaxed(&loan->places[i].thread);
        if (owner == thread)
            own = i;
        if (owner == 0)
            free = i;
    }
    /* Of its own too it is outside; a thread that had its number may have died with `inside` set. */
    if (own >= 0)
        free = own;
    for (int i = 0; free < 0 && i < KFL_LOAN_PLACES; i++)
        if (!kfl__process_lives((int32_t)load_relaxed(&loan->places[i].thread), 0))
            free = i;
    if (free >= 0) {
        store_relaxed(&loan->places[free].inside, 0);
        store_relaxed(&loan->places[free].thread, thread);
    }
    return free;
}

/* Holding the mutex, with nobody lent to. The store that gives it back is a fence, before anything is done by loan. */
static __attribute__((noinline)) void loan_lend(struct kfl__loan *loan, uint32_t thread)
{
    int place = kfl__barrier_joined() ? loan_claim(loan, thread) : -1;
    if (place < 0) {
        store_relaxed(&loan->lone_count, -LOAN_REFUSED);
        return;
    }
    store_relaxed(&loan->lone_count, LOAN_ALONE);
    store_relaxed(&loan->place, (uint32_t)place);
    atomic_store(&loan->word, thread);
}

/* The loan is over, and this thread knows it: its place is free. */
static void loan_forget(struct kfl__loan *loan, uint32_t thread)
{
    for (int i = 0; i < KFL_LOAN_PLACES; i++)
        if (load_relaxed(&loan->places[i].thread) == thread)
            store_relaxed(&loan->places[i].thread, 0);
}

/* Holding the mutex: wait until the marked thread is outside, or dead: 0. KFL_LOCK_BUSY: the deadline passed; KFL_E_INTR. */
static int loan_wait(struct kfl__loan *loan, uint32_t thread, int64_t deadline_ns)
{
    uint32_t place = load_relaxed(&loan->place) % KFL_LOAN_PLACES;
    struct kfl__patience_wait wait;
    kfl__patience_begin(&wait, loan, deadline_ns);
    for (int looks = 0;; looks++) {
        uint32_t word = atomic_load_explicit(&loan->word, memory_order_acquire);
        if ((word & FUTEX_OWNER_DIED) != 0 ||
            atomic_load_explicit(&loan->places[place].inside, memory_order_acquire) == 0)
            return kfl__patience_end(&wait, false);
        if (looks < LOAN_SPINS && kfl__spins()) {
            kfl__relax();
            continue;
        }
        int64_t now = kfl__clock_steady_ns(), look = now + LOAN_LOOK_NS;
        if (wait.until_ns >= 0 && now >= wait.until_ns) {
            int r = kfl__patience_end(&wait, true);
            return r < 0 ? r : KFL_LOCK_BUSY;
        }
        (void)kfl__wait(&loan->word, thread | FUTEX_WAITERS,
                        wait.until_ns >= 0 && wait.until_ns < look ? wait.until_ns : look);
    }
}

/* Holding the mutex. 0: nobody has it now; KFL_LOCK_OWNER_DIED: who had it died inside; KFL_LOCK_BUSY; KFL_E_INTR. */
static int loan_take_back(struct kfl__loan *loan, uint32_t self, int64_t deadline_ns)
{
    uint32_t word = atomic_load_explicit(&loan->word, memory_order_acquire),
             thread = word & FUTEX_TID_MASK;
    if (thread == self && (word & FUTEX_OWNER_DIED) == 0) { /* it is outside: here */
        store_relaxed(&loan->word, 0);
        return 0;
    }
    while (thread != 0 && !atomic_compare_exchange_weak(&loan->word, &word, word | FUTEX_WAITERS))
        thread = word & FUTEX_TID_MASK;
    if (thread != 0) {
        kfl__barrier_all();
        int r = loan_wait(loan, thread, deadline_ns);
        if (r != 0)
            return r;
    }
    if ((atomic_load_explicit(&loan->word, memory_order_acquire) & FUTEX_OWNER_DIED) != 0)
        return KFL_LOCK_OWNER_DIED;
    store_relaxed(&loan->word, 0);
    store_relaxed(&loan->lone_count, -LOAN_REFUSED);
    return 0;
}

static uint32_t loan_self(void)
{
    struct robust_list_head *list = kfl__robust_list_of_thread();
    return list != NULL ? (uint32_t)kfl__robust_list_thread(list) : 0;
}

/* The mutex answered `r`, and it is lent or somebody died. */
static __attribute__((noinline)) int lendable_settle(struct kfl__lendable *lock,
                                                     enum kfl__rank rank, int r,
                                                     int64_t deadline_ns)
{
    struct kfl__loan *loan = &lock->loan;
    if (r == KFL_LOCK_OWNER_DIED)
        store_relaxed(&loan->died, 1);
    int back = atomic_load_explicit(&loan->word, memory_order_acquire) != 0
                   ? loan_take_back(loan, loan_self(), deadline_ns)
                   : 0;
    if (back == KFL_LOCK_BUSY || back < 0) {
        /* What an owner left stands in `died`, for whoever comes next. */
        if (r == KFL_LOCK_OWNER_DIED)
            kfl__robust_mended(&lock->robust);
        kfl__robust_unlock(&lock->robust, rank);
        return back;
    }
    if (back == KFL_LOCK_OWNER_DIED)
        store_relaxed(&loan->died, 1);
    return load_relaxed(&loan->died) != 0 ? KFL_LOCK_OWNER_DIED : 0;
}

/* Holding the mutex: nobody has it, and nobody died. Who had it may have ended the loan without the mutex: after all it did. */
static inline bool loan_is_quiet(struct kfl__loan *loan)
{
    return (atomic_load_explicit(&loan->word, memory_order_acquire) | load_relaxed(&loan->died)) ==
           0;
}

static inline int lendable_result(struct kfl__lendable *lock, enum kfl__rank rank, int r,
                                  int64_t deadline_ns)
{
    if (KFL_UNLIKELY((r == 0 && !loan_is_quiet(&lock->loan)) || r == KFL_LOCK_OWNER_DIED))
        return lendable_settle(lock, rank, r, deadline_ns);
    return r;
}

int kfl__lendable_lock(struct kfl__lendable *lock, enum kfl__rank rank, int64_t deadline_ns)
{
    return lendable_result(lock, rank, kfl__robust_lock(&lock->robust, rank, deadline_ns),
                           deadline_ns);
}

/* A thread inside is not waited for, beyond the moment that it takes. */
int kfl__lendable_trylock(struct kfl__lendable *lock, enum kfl__rank rank)
{
    return lendable_result(lock, rank, kfl__robust_trylock(&lock->robust, rank), 0);
}

bool kfl__lendable_end_loan(struct kfl__lendable *lock, enum kfl__rank rank)
{
    struct kfl__loan *loan = &lock->loan;
    if (!kfl__robust_take_free(&lock->robust, rank))
        return false;
    bool over = atomic_load_explicit(&loan->word, memory_order_acquire) == 0 ||
                loan_take_back(loan, loan_self(), 0) == 0;
    kfl__robust_give_back(&lock->robust, rank);
    return over;
}

void kfl__lendable_mended(struct kfl__lendable *lock)
{
    struct kfl__loan *loan = &lock->loan;
    if ((load_relaxed(&loan->word) & FUTEX_OWNER_DIED) != 0) {
        uint32_t place = load_relaxed(&loan->place) % KFL_LOAN_PLACES;
        store_relaxed(&loan->places[place].inside, 0);
        store_relaxed(&loan->places[place].thread, 0);
        store_relaxed(&loan->word, 0);
    }
    store_relaxed(&loan->died, 0);
    if (kfl__robust_is_dead(&lock->robust))
        kfl__robust_mended(&lock->robust);
}

void kfl__lendable_unlock(struct kfl__lendable *lock, enum kfl__rank rank)
{
    kfl__robust_unlock(&lock->robust, rank);
}

int32_t kfl__lendable_owner(const struct kfl__lendable *lock)
{
    uint32_t place = load_relaxed(&lock->loan.place) % KFL_LOAN_PLACES;
    uint32_t thread = load_relaxed(&lock->loan.word) & FUTEX_TID_MASK;
    /* Who waits for it holds the mutex meanwhile. */
    if (thread != 0 && load_relaxed(&lock->loan.places[place].inside) != 0)
        return (int32_t)thread;
    return kfl__robust_owner(&lock->robust);
}

void kfl__lendable_keep_company(struct kfl__lendable *lock)
{
    struct kfl__loan *loan = &lock->loan;
    uint32_t self = loan_self();
    store_relaxed(&loan->lone_count, -LOAN_REFUSED);
    /* Outside, so that it can be ended without the mutex; who has marked it meanwhile ends it. */
    if (self != 0 && load_relaxed(&loan->word) == self)
        (void)atomic_compare_exchange_strong(&loan->word, &self, 0);
}

enum kfl__taken kfl__lendable_take_mutex(struct kfl__lendable *lock, enum kfl__rank rank)
{
    struct kfl__loan *loan = &lock->loan;
    if (!kfl__robust_take_free(&lock->robust, rank))
        return KFL_TAKEN_NOT;
    if (KFL_LIKELY(loan_is_quiet(loan)))
        return KFL_TAKEN_LOCKED;
    kfl__robust_give_back(&lock->robust, rank);
    return KFL_TAKEN_NOT;
}

void kfl__lendable_give_mutex(struct kfl__lendable *lock, enum kfl__rank rank)
{
    struct kfl__loan *loan = &lock->loan;
    uint32_t self = loan_self();
    if (load_relaxed(&loan->lone_thread) != self) {
        store_relaxed(&loan->lone_thread, self);
        store_relaxed(&loan->lone_count,
                      load_relaxed(&loan->lone_count) < 0 ? load_relaxed(&loan->lone_count) : 0);
        loan_forget(loan, self);
    } else {
        int32_t count = load_relaxed(&loan->lone_count) + 1;
        store_relaxed(&loan->lone_count, count);
        if (KFL_UNLIKELY(count > LOAN_ALONE))
            loan_lend(loan, self);
    }
    kfl__robust_give_back(&lock->robust, rank);
}
