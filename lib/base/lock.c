/* SPDX-License-Identifier: MIT */
/*
 * Mutexes, and the check of their order.
 *
 * Each thread counts what it holds by rank, in debug builds. The robust kind relies on the layout
 * of the GNU C library's mutex: its kind and whether it is lost, looked at before each lock because
 * the memory may have come from a damaged file, and its owner.
 */
#include "base/lock.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/patience.h"
#include "base/robust_list.h"
#include "base/wait.h"

#ifndef NDEBUG
static _Thread_local struct {
    uint32_t ranks; /* bit n: at least one of rank n is held */
    int32_t counts[KFL_RANK_LEAF + 1];
} held;

int kfl__lock_highest_rank(void)
{
    return held.ranks == 0 ? -1 : 31 - __builtin_clz(held.ranks);
}

/* Inside a leaf nothing is taken, not even another leaf. */
static bool rank_may_be_taken(int rank)
{
    return held.ranks >> (rank == KFL_RANK_LEAF ? rank : rank + 1) == 0;
}

void kfl__lock_note_taken(int rank)
{
    assert(rank_may_be_taken(rank));
    held.counts[rank]++;
    held.ranks |= 1u << rank;
}

void kfl__lock_note_given_back(int rank)
{
    assert(held.counts[rank] > 0);
    if (--held.counts[rank] == 0)
        held.ranks &= ~(1u << rank);
}
#else
int kfl__lock_highest_rank(void)
{
    return -1;
}
#endif

static struct timespec deadline_timespec(int64_t deadline_ns)
{
    return (struct timespec){.tv_sec = deadline_ns / 1000000000,
                             .tv_nsec = deadline_ns % 1000000000};
}

int kfl__mutex_init(struct kfl__mutex *mutex, enum kfl__rank rank)
{
    int errnum = pthread_mutex_init(&mutex->mutex, NULL);
    if (errnum != 0)
        return kfl__fail_errno(0, errnum, "cannot make a mutex");
    mutex->rank = (int)rank;
    return 0;
}

void kfl__mutex_destroy(struct kfl__mutex *mutex)
{
    int errnum = pthread_mutex_destroy(&mutex->mutex);
    assert(errnum == 0);
    (void)errnum;
}

KFL_UNCHECKED void kfl__mutex_lock(struct kfl__mutex *mutex)
{
    assert(rank_may_be_taken(mutex->rank));
    int errnum = pthread_mutex_lock(&mutex->mutex);
    assert(errnum == 0);
    (void)errnum;
    kfl__lock_note_taken(mutex->rank);
}

KFL_UNCHECKED int kfl__mutex_lock_patiently(struct kfl__mutex *mutex)
{
    struct kfl__patience_wait wait;
    if (kfl__patience() < 0 || pthread_mutex_trylock(&mutex->mutex) == EBUSY) {
        kfl__patience_begin(&wait, mutex, -1);
        if (!wait.gives_up) {
            kfl__mutex_lock(mutex);
            return 0;
        }
        struct timespec until = deadline_timespec(wait.until_ns);
        int errnum = pthread_mutex_clocklock(&mutex->mutex, CLOCK_MONOTONIC, &until);
        int r = kfl__patience_end(&wait, errnum == ETIMEDOUT);
        if (r < 0)
            return r;
        assert(errnum == 0);
    }
    kfl__lock_note_taken(mutex->rank);
    return 0;
}

KFL_UNCHECKED void kfl__mutex_unlock(struct kfl__mutex *mutex)
{
    kfl__lock_note_given_back(mutex->rank);
    int errnum = pthread_mutex_unlock(&mutex->mutex);
    assert(errnum == 0);
    (void)errnum;
}

int kfl__condition_init(struct kfl__condition *condition)
{
    condition->waiters = 0;
    pthread_condattr_t attributes;
    int errnum = pthread_condattr_init(&attributes);
    if (errnum == 0) {
        errnum = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        if (errnum == 0)
            errnum = pthread_cond_init(&condition->condition, &attributes);
        pthread_condattr_destroy(&attributes);
    }
    return errnum == 0 ? 0 : kfl__fail_errno(0, errnum, "cannot make a condition");
}

void kfl__condition_destroy(struct kfl__condition *condition)
{
    pthread_cond_destroy(&condition->condition);
}

int kfl__condition_wait(struct kfl__condition *condition, struct kfl__mutex *mutex,
                        int64_t deadline_ns)
{
    assert(deadline_ns >= -1);
    kfl__lock_note_given_back(mutex->rank);
    condition->waiters++;
    int errnum;
    if (deadline_ns < 0) {
        errnum = pthread_cond_wait(&condition->condition, &mutex->mutex);
    } else {
        struct timespec deadline = deadline_timespec(deadline_ns);
        errnum = pthread_cond_timedwait(&condition->condition, &mutex->mutex, &deadline);
    }
    condition->waiters--;
    kfl__lock_note_taken(mutex->rank);
    assert(errnum == 0 || errnum == ETIMEDOUT);
    return errnum == ETIMEDOUT ? KFL_WAIT_TIMEOUT : 0;
}

void kfl__condition_signal(struct kfl__condition *condition)
{
    pthread_cond_signal(&condition->condition);
}

void kfl__condition_broadcast(struct kfl__condition *condition)
{
    pthread_cond_broadcast(&condition->condition);
}

/* The owner of a mutex that is not recoverable. */
#define ROBUST_LOST (INT_MAX - 1)
/* Of one that is held, and was not mended yet. */
#define ROBUST_DEAD INT_MAX

static int init_robust_mutex(pthread_mutex_t *mutex)
{
    pthread_mutexattr_t attributes;
    int errnum = pthread_mutexattr_init(&attributes);
    if (errnum != 0)
        return errnum;
    errnum = pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
    if (errnum == 0)
        errnum = pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    if (errnum == 0)
        errnum = pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    if (errnum == 0)
        errnum = pthread_mutex_init(mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
    return errnum;
}

int kfl__robust_init(struct kfl__robust *robust)
{
    memset(robust, 0, sizeof *robust);
    int errnum = init_robust_mutex(&robust->mutex);
    if (errnum != 0)
        return kfl__fail_errno(KFL_E_UNSUPPORTED, errnum,
                               "cannot make a mutex that processes share");
    if (robust->mutex.__data.__kind != KFL_ROBUST_KIND)
        return kfl__fail(KFL_E_UNSUPPORTED, "this C library lays out its mutexes in another way");
    return 0;
}

/* What the C library answered to a try to take it. */
static int robust_result(int errnum, enum kfl__rank rank)
{
    switch (errnum) {
    case 0:
        kfl__lock_note_taken((int)rank);
        return 0;
    case EOWNERDEAD:
        kfl__lock_note_taken((int)rank);
        return KFL_LOCK_OWNER_DIED;
    case EBUSY:
    case ETIMEDOUT:
        return KFL_LOCK_BUSY;
    case EDEADLK:
        return kfl__fail(KFL_E_BUG, "this thread holds the shared lock already");
    default:
        return kfl__fail_errno(KFL_E_CORRUPT, errnum, "a shared lock cannot be used");
    }
}

/*
 * Memory that holds no lock, or one that was given back unmended. The C library must not see the
 * latter in pthread_mutex_trylock(): it would answer rightly, and keep it locked for ever.
 */
static inline bool robust_is_usable(const struct kfl__robust *robust)
{
    return robust->mutex.__data.__kind == KFL_ROBUST_KIND &&
           __atomic_load_n(&robust->mutex.__data.__owner, __ATOMIC_RELAXED) != ROBUST_LOST;
}

__attribute__((noinline)) static int lock_robust_until(pthread_mutex_t *mutex, int64_t deadline_ns)
{
    if (deadline_ns < 0)
        return pthread_mutex_lock(mutex);
#ifdef KFL_THREAD_SANITIZER
    /* It knows of dead owners in this call only, and so would miss the order that a lock makes. */
    int errnum;
    while ((errnum = pthread_mutex_trylock(mutex)) == EBUSY && kfl__clock_steady_ns() < deadline_ns)
        sched_yield();
    return errnum == EBUSY ? ETIMEDOUT : errnum;
#else
    struct timespec deadline = deadline_timespec(deadline_ns);
    return pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, &deadline);
#endif
}

/* Inline, since it is the whole of a lock that is free. */
static inline int try_robust(struct kfl__robust *robust, enum kfl__rank rank)
{
    assert(rank_may_be_taken((int)rank));
    if (KFL_UNLIKELY(!robust_is_usable(robust)))
        return kfl__fail(KFL_E_CORRUPT,
                         "a shared lock cannot be used: it was overwritten, or never mended");
    struct robust_list_head *list = kfl__robust_list_of_thread();
    if (KFL_UNLIKELY(list == NULL || !kfl__robust_list_take(list, &robust->mutex)))
        return robust_result(pthread_mutex_trylock(&robust->mutex), rank);
    kfl__lock_note_taken((int)rank);
    return 0;
}

int kfl__robust_trylock(struct kfl__robust *robust, enum kfl__rank rank)
{
    return try_robust(robust, rank);
}

#define LOCK_LOOK_NS INT64_C(20000000)

int kfl__robust_lock(struct kfl__robust *robust, enum kfl__rank rank, int64_t deadline_ns)
{
    assert(deadline_ns >= -1);
    int r = try_robust(robust, rank);
    if (KFL_LIKELY(r != KFL_LOCK_BUSY))
        return r;
    /*
     * An owner that is killed between giving back and waking wakes nobody when somebody else has taken
     * the mutex by then: who sleeps looks again now and then (a look; nothing is decided by it).
     */
    struct kfl__patience_wait wait;
    int errnum;
    bool last;
    kfl__patience_begin(&wait, robust, deadline_ns);
    do {
        int64_t look_ns = kfl__clock_steady_ns() + LOCK_LOOK_NS;
        last = wait.until_ns >= 0 && wait.until_ns <= look_ns;
        errnum = lock_robust_until(&robust->mutex, last ? wait.until_ns : look_ns);
    } while (errnum == ETIMEDOUT && !last);
    r = kfl__patience_end(&wait, errnum == ETIMEDOUT);
    return r < 0 ? r : robust_result(errnum, rank);
}

bool kfl__robust_is_dead(const struct kfl__robust *robust)
{
    return __atomic_load_n(&robust->mutex.__data.__owner, __ATOMIC_RELAXED) == ROBUST_DEAD;
}

void kfl__robust_mended(struct kfl__robust *robust)
{
    int errnum = pthread_mutex_consistent(&robust->mutex);
    assert(errnum == 0);
    (void)errnum;
}

void kfl__robust_unlock(struct kfl__robust *robust, enum kfl__rank rank)
{
    kfl__lock_note_given_back((int)rank);
    struct robust_list_head *list = kfl__robust_list_of_thread();
    if (KFL_LIKELY(list != NULL && robust->mutex.__data.__owner == kfl__robust_list_thread(list))) {
        kfl__robust_list_give(list, &robust->mutex);
        return;
    }
    int errnum = pthread_mutex_unlock(&robust->mutex);
    assert(errnum == 0);
    (void)errnum;
}

int32_t kfl__robust_owner(const struct kfl__robust *robust)
{
    /* The kernel's word of a robust futex: thread id, and two flags above it. */
    int word = __atomic_load_n(&robust->mutex.__data.__lock, __ATOMIC_RELAXED);
    return (int32_t)((uint32_t)word & FUTEX_TID_MASK);
}
