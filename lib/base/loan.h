/* SPDX-License-Identifier: MIT */
/*
 * A robust lock that is lent to the thread which alone takes it, for as long as nobody else wants it.
 *
 * Taking and giving back costs two locked instructions, each of which waits until all stores before it have left the
 * processor. A thread that has taken the lock many times in a row, with nobody else in between, therefore lends it to
 * itself: `word` names it from then on, and it enters by a store into a place of its own and leaves by another one,
 * with an order for the compiler only. Who wants the lock takes the robust mutex, marks `word`, makes a barrier on all
 * processors (base/barrier), and then either sees the thread inside and waits, or the thread sees the mark.
 *
 *     the thread                              who wants it, holding the mutex
 *     inside = 1                              word |= WAITERS
 *     (order for the compiler)                barrier on all processors
 *     word == thread?  the lock is held       inside == 0?  nobody is in; word = 0
 *     inside = 0; marked? word = 0, wake      else wait, and look again
 *
 * The thread's place is claimed for as long as it lives, or until it has seen that the loan is over: its store may come
 * at any later time, and must meet no other's. `word` lies where the kernel looks for a robust mutex's, with the
 * thread's pending word naming it while it is inside: its death there is marked as that of a mutex's owner. The loan of
 * a thread that died outside is taken back like any other. Thread numbers are those of one PID namespace, and are used
 * again: who finds that the lock is lent to its number enters only if the barriers of others reach its process, too.
 */
#ifndef KFL_BASE_LOAN_H
#define KFL_BASE_LOAN_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/barrier.h"
#include "base/lock.h"

#define KFL_LOAN_PLACES 4

struct kfl__loan {
    _Atomic uint32_t
        word; /* who has it, and FUTEX_… flags; 0: nobody; only OWNER_DIED: it died inside */
    _Atomic uint32_t place; /* where it says that it is inside */
    struct {
        _Atomic uint32_t thread; /* whose place it is; 0: free */
        _Atomic uint32_t inside; /* stored by that thread only */
    } places[KFL_LOAN_PLACES];
    _Atomic uint32_t lone_thread; /* who took the mutex last by kfl__lendable_take_free() */
    _Atomic int32_t
        lone_count; /* and how many times in a row; below 0: not to be lent for so many */
    _Atomic uint32_t
        died; /* guarded by the mutex: an owner died, and nothing has been mended since */
    uint32_t reserved[3];
};
_Static_assert(sizeof(struct kfl__loan) == 64, "one line, as the mutex before it");

struct KFL_CAPABILITY("lendable") kfl__lendable {
    struct kfl__robust robust;
    struct kfl__loan loan;
};

/* As kfl__robust_init() and its kind, whatever thread it is lent to. */
int kfl__lendable_init(struct kfl__lendable *lock);
int kfl__lendable_lock(struct kfl__lendable *lock, enum kfl__rank rank, int64_t deadline_ns);
int kfl__lendable_trylock(struct kfl__lendable *lock, enum kfl__rank rank);
void kfl__lendable_mended(struct kfl__lendable *lock);
void kfl__lendable_unlock(struct kfl__lendable *lock, enum kfl__rank rank);
int32_t kfl__lendable_owner(const struct kfl__lendable *lock);

/*
 * What about to sleep asks, behind the store that says so (sequentially consistent, or fenced): does somebody work with
 * an order for the compiler only, so that kfl__barrier_all() has to come before the last look?
 */
static inline bool kfl__lendable_is_lent(const struct kfl__lendable *lock)
{
    return atomic_load(&lock->loan.word) != 0;
}
/*
 * The same, so that it has to come no more: take a loan back, if nobody is inside and nothing is in the way. Without another
 * robust mutex. false: it stands, or somebody died inside, which who locks next is told.
 */
bool kfl__lendable_end_loan(struct kfl__lendable *lock, enum kfl__rank rank);
/* Not holding it: others come and go, and a loan would be in their way. By the thread that has it, or by any. */
void kfl__lendable_keep_company(struct kfl__lendable *lock);

/* How kfl__lendable_take_free() got it; what kfl__lendable_give_back() has to be told. */
enum kfl__taken {
    KFL_TAKEN_NOT = 0, /* says nothing: kfl__lendable_lock() tells */
    KFL_TAKEN_LENT,
    KFL_TAKEN_LOCKED,
};

enum kfl__taken kfl__lendable_take_mutex(struct kfl__lendable *lock, enum kfl__rank rank);
void kfl__lendable_give_mutex(struct kfl__lendable *lock, enum kfl__rank rank);
void kfl__loan_left(struct kfl__loan *loan, uint32_t thread);

/* Where a mutex would have its entry: the kernel finds the word from there, and looks at nothing else. */
static inline void *loan_entry(struct kfl__loan *loan)
{
    return (char *)loan + offsetof(struct __pthread_mutex_s, __list.__next);
}

/* A loan that was entered; `list` is NULL where none was. By value, so that it need not be in memory. */
struct kfl__lent {
    struct robust_list_head *list;
    _Atomic uint32_t *inside;
};

static inline __attribute__((always_inline)) void loan_leave(struct kfl__loan *loan, struct kfl__lent lent)
{
    uint32_t thread = (uint32_t)kfl__robust_list_thread(lent.list);
    atomic_store_explicit(lent.inside, 0, memory_order_release);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    if (KFL_UNLIKELY(atomic_load_explicit(&loan->word, memory_order_relaxed) != thread))
        kfl__loan_left(loan, thread);
    robust_list_set_pending(lent.list, NULL);
}

static inline __attribute__((always_inline)) struct kfl__lent loan_enter(struct kfl__loan *loan)
{
    struct kfl__lent lent = {kfl__robust_list_of_thread(), NULL}, none = {NULL, NULL};
    if (KFL_UNLIKELY(lent.list == NULL))
        return none;
    uint32_t thread = (uint32_t)kfl__robust_list_thread(lent.list);
    uint32_t place = atomic_load_explicit(&loan->place, memory_order_relaxed) % KFL_LOAN_PLACES;
    /* The place first of all: what is not ours may be another's by now, and is not stored to. */
    if (KFL_UNLIKELY(atomic_load_explicit(&loan->places[place].thread, memory_order_relaxed) !=
                         thread ||
                     atomic_load_explicit(&loan->word, memory_order_relaxed) != thread ||
                     !kfl__barrier_joined()))
        return none;
    lent.inside = &loan->places[place].inside;
    robust_list_set_pending(lent.list, loan_entry(loan));
    atomic_store_explicit(lent.inside, 1, memory_order_relaxed);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    if (KFL_LIKELY(atomic_load_explicit(&loan->word, memory_order_acquire) == thread))
        return lent;
    loan_leave(loan, lent);
    return none;
}

/* The shortest way in, for who has the lock lent nearly always; a list of NULL says nothing. */
static inline __attribute__((always_inline)) struct kfl__lent kfl__lendable_enter(struct kfl__lendable *lock, enum kfl__rank rank)
{
    struct kfl__lent lent = loan_enter(&lock->loan);
    if (KFL_LIKELY(lent.list != NULL))
        kfl__lock_note_taken((int)rank);
    return lent;
}

static inline __attribute__((always_inline)) void kfl__lendable_leave(struct kfl__lendable *lock, enum kfl__rank rank,
                                                                      struct kfl__lent lent)
{
    kfl__lock_note_given_back((int)rank);
    loan_leave(&lock->loan, lent);
}

/*
 * For the shortest of critical sections, without another robust mutex in it: take it if it is lent to this thread, or free,
 * its last owner lives, and this can be done without a call.
 */
static inline enum kfl__taken kfl__lendable_take_free(struct kfl__lendable *lock,
                                                      enum kfl__rank rank)
{
    if (kfl__lendable_enter(lock, rank).list != NULL)
        return KFL_TAKEN_LENT;
    return kfl__robust_list_of_thread() == NULL ? KFL_TAKEN_NOT : kfl__lendable_take_mutex(lock, rank);
}

/* What kfl__lendable_take_free() took. */
static inline void kfl__lendable_give_back(struct kfl__lendable *lock, enum kfl__rank rank,
                                           enum kfl__taken taken)
{
    if (KFL_UNLIKELY(taken == KFL_TAKEN_LOCKED)) {
        kfl__lendable_give_mutex(lock, rank);
        return;
    }
    uint32_t place = atomic_load_explicit(&lock->loan.place, memory_order_relaxed) % KFL_LOAN_PLACES;
    kfl__lendable_leave(lock, rank, (struct kfl__lent){kfl__robust_list, &lock->loan.places[place].inside});
}

#endif
