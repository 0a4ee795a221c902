/* SPDX-License-Identifier: MIT */
/*
 * Mutexes with a rank. A lock may be taken only while all locks that the thread holds rank lower;
 * debug builds (no NDEBUG) assert it per thread. Append locks of several slots (same rank) may be
 * held together, taken in rising slot order: the order within one rank is the caller's affair, but
 * nothing is taken inside a leaf. A try counts as taking.
 *
 * `struct kfl__mutex` serves the threads of one process. `struct kfl__robust` lives in memory that
 * processes share, survives the death of its owner, and tells the next one of it.
 */
#ifndef KFL_BASE_LOCK_H
#define KFL_BASE_LOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "base/robust_list.h"

enum kfl__rank {
    KFL_RANK_STORE = 0, /* the process's list of open stores */
    KFL_RANK_HANDLE = 1,
    KFL_RANK_REGISTRY = 2,
    KFL_RANK_GROUP = 3,
    KFL_RANK_TRANSACTION = 4,
    KFL_RANK_PREPARE = 5, /* a partition's segment list: making, replacing, recovering */
    KFL_RANK_CATALOG = 6,
    KFL_RANK_APPEND = 7,
    KFL_RANK_SYNC = 8,
    KFL_RANK_VIEW = 9,
    KFL_RANK_LEAF = 10, /* held for a few instructions, nothing taken inside */
};

struct KFL_CAPABILITY("mutex") kfl__mutex {
    pthread_mutex_t mutex;
    int rank;
};

int kfl__mutex_init(struct kfl__mutex *mutex, enum kfl__rank rank);
void kfl__mutex_destroy(struct kfl__mutex *mutex);
void kfl__mutex_lock(struct kfl__mutex *mutex) KFL_ACQUIRES(mutex);
void kfl__mutex_unlock(struct kfl__mutex *mutex) KFL_RELEASES(mutex);
/* Where an owner may be waiting for another process: 0, or KFL_E_INTR (base/patience) and not taken. */
int kfl__mutex_lock_patiently(struct kfl__mutex *mutex);

/* A condition of one process; waits give up the rank together with the mutex. Steady clock. */
struct kfl__condition {
    pthread_cond_t condition;
    int32_t waiters; /* guarded by the mutex that they gave up */
};
int kfl__condition_init(struct kfl__condition *condition);
void kfl__condition_destroy(struct kfl__condition *condition);
/* 0: signalled or spurious; KFL_WAIT_TIMEOUT (base/wait.h): the deadline passed. */
int kfl__condition_wait(struct kfl__condition *condition, struct kfl__mutex *mutex,
                        int64_t deadline_ns) KFL_REQUIRES(mutex);
void kfl__condition_signal(struct kfl__condition *condition);
void kfl__condition_broadcast(struct kfl__condition *condition);
/* The same by who holds the mutex: costs nothing where nobody waits. */
static inline void kfl__condition_tell(struct kfl__condition *condition)
{
    if (KFL_UNLIKELY(condition->waiters > 0))
        kfl__condition_broadcast(condition);
}

/* 64 bytes in shared memory, whatever the C library's own size is. */
struct KFL_CAPABILITY("robust") kfl__robust {
    union {
        pthread_mutex_t mutex;
        char bytes[64];
    };
};
_Static_assert(sizeof(struct kfl__robust) == 64, "one place in the state file");

/* Taken; the last owner died inside: mend, then kfl__robust_mended(). */
#define KFL_LOCK_OWNER_DIED 1
/* Not taken. */
#define KFL_LOCK_BUSY 2

/* Robust, shared between processes. Only for memory that nobody uses. */
int kfl__robust_init(struct kfl__robust *robust);

/*
 * deadline_ns  on the steady clock; -1 waits for ever.
 * Returns 0, KFL_LOCK_OWNER_DIED, KFL_LOCK_BUSY (the deadline passed; nothing is written to the
 * thread's words), KFL_E_INTR (the thread's patience is over: base/patience), KFL_E_CORRUPT (a word that is no mutex, or not recoverable) or KFL_E_BUG (this
 * thread holds it already).
 */
int kfl__robust_lock(struct kfl__robust *robust, enum kfl__rank rank, int64_t deadline_ns);
int kfl__robust_trylock(struct kfl__robust *robust, enum kfl__rank rank);
void kfl__robust_mended(struct kfl__robust *robust);
/* The caller holds it: from a dead owner, and unmended? */
bool kfl__robust_is_dead(const struct kfl__robust *robust);
void kfl__robust_unlock(struct kfl__robust *robust, enum kfl__rank rank);

/* Robust (16), shared (128), error-checking (2): who locks twice is told so, and does not wait. */
#define KFL_ROBUST_KIND (16 | 128 | 2)

/* For the order of ranks; nothing where NDEBUG is set. */
#ifdef NDEBUG
static inline void kfl__lock_note_taken(int rank)
{
    (void)rank;
}
static inline void kfl__lock_note_given_back(int rank)
{
    (void)rank;
}
#else
void kfl__lock_note_taken(int rank); /* asserts that it may be */
void kfl__lock_note_given_back(int rank);
#endif

/*
 * For the shortest of critical sections, without another robust mutex in it: take it if it is free, its last owner lives, and
 * this can be done without a call. false says nothing: kfl__robust_lock() tells.
 */
static inline bool kfl__robust_take_free(struct kfl__robust *robust, enum kfl__rank rank)
{
    struct robust_list_head *list = kfl__robust_list_of_thread();
    if (KFL_UNLIKELY(list == NULL || robust->mutex.__data.__kind != KFL_ROBUST_KIND ||
                     !kfl__robust_list_take_briefly(list, &robust->mutex)))
        return false;
    kfl__lock_note_taken((int)rank);
    return true;
}

/* What kfl__robust_take_free() took. */
static inline void kfl__robust_give_back(struct kfl__robust *robust, enum kfl__rank rank)
{
    kfl__lock_note_given_back((int)rank);
    kfl__robust_list_give_briefly(kfl__robust_list, &robust->mutex);
}

/* The thread that holds it now (a kernel thread id), 0 when free. For messages and tests only. */
int32_t kfl__robust_owner(const struct kfl__robust *robust);

/* The highest rank that this thread holds, -1 for none; -1 always where NDEBUG is set. */
int kfl__lock_highest_rank(void);

#endif
