/* SPDX-License-Identifier: MIT */
/*
 * Taking and giving back a robust mutex of the GNU C library without calling it.
 *
 * The kernel, when a thread ends, marks each mutex of that thread's robust list as one whose owner died, and the one
 * that the list calls pending if its word names the thread. The C library's calls keep that list, and cost more than the
 * rest of a short critical section. What is here does to the mutex, to the list and to the pending word what they do, in
 * the same order, for the one case that is nearly all: the mutex is free, or held by the calling thread and awaited by
 * nobody it has to choose among. Both ways may be mixed on one mutex. A thread tries first, on a mutex of its own, whether
 * the C library's calls and these understand each other; if not, it uses the library's only.
 */
#ifndef KFL_BASE_ROBUST_LIST_H
#define KFL_BASE_ROBUST_LIST_H

#include <linux/futex.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/wait.h"

/* The calling thread's list; NULL: not looked for yet; &kfl__robust_list_foreign: made in a way that is not known here. */
#define KFL_ROBUST_LIST_TLS __attribute__((visibility("hidden"), tls_model("initial-exec")))
extern _Thread_local struct robust_list_head *kfl__robust_list KFL_ROBUST_LIST_TLS;
extern struct robust_list_head kfl__robust_list_foreign;
struct robust_list_head *kfl__robust_list_learn(void);

/* NULL: use the C library. */
static inline struct robust_list_head *kfl__robust_list_of_thread(void)
{
    struct robust_list_head *list = kfl__robust_list;
    if (KFL_UNLIKELY(list == NULL))
        list = kfl__robust_list_learn();
    return KFL_LIKELY(list != &kfl__robust_list_foreign) ? list : NULL;
}

/* Where the C library keeps the thread's number: it is right in a child of fork() too. */
static inline int kfl__robust_list_thread(const struct robust_list_head *list)
{
    return ((const int *)list)[-4];
}

/* A store that a death right behind it must find done, and none behind it. */
static inline void robust_list_set_pending(struct robust_list_head *list, void *entry)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    __atomic_store_n(&list->list_op_pending, entry, __ATOMIC_RELAXED);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/* The lowest bit of a pointer in the list tells a mutex that inherits priority, which a caller may hold. */
static inline void **robust_list_at(void *entry)
{
    return (void **)((uintptr_t)entry & ~(uintptr_t)1);
}

static inline void robust_list_release(struct __pthread_mutex_s *inside)
{
    int word = __atomic_exchange_n(&inside->__lock, 0, __ATOMIC_RELEASE);
    if (KFL_UNLIKELY((word & (int)FUTEX_WAITERS) != 0))
        kfl__wake((_Atomic uint32_t *)(void *)&inside->__lock, 1);
}

/* false: it is not free, its last owner died, or it is lost; nothing is changed then. */
static inline bool kfl__robust_list_take(struct robust_list_head *list, pthread_mutex_t *mutex)
{
    struct __pthread_mutex_s *inside = &mutex->__data;
    void *entry = &inside->__list.__next;
    int thread = kfl__robust_list_thread(list), word = 0;
    robust_list_set_pending(list, entry);
    if (KFL_UNLIKELY(!__atomic_compare_exchange_n(&inside->__lock, &word, thread, false,
                                                  __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))) {
        robust_list_set_pending(list, NULL);
        return false;
    }
    if (KFL_UNLIKELY(__atomic_load_n(&inside->__owner, __ATOMIC_RELAXED) !=
                     0)) { /* given back unmended: lost */
        robust_list_release(inside);
        robust_list_set_pending(list, NULL);
        return false;
    }
    /* An entry is a mutex's `__next`; its `__prev` lies before it, as the list's own does. */
    robust_list_at(list->list.next)[-1] = entry;
    inside->__list.__next = (void *)list->list.next;
    inside->__list.__prev = (void *)list;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    list->list.next = entry;
    robust_list_set_pending(list, NULL);
    __atomic_store_n(&inside->__owner, thread, __ATOMIC_RELAXED);
    inside->__nusers++;
    inside->__count = 1;
    return true;
}

/* Held by this thread, and mended if its last owner died. */
static inline void kfl__robust_list_give(struct robust_list_head *list, pthread_mutex_t *mutex)
{
    struct __pthread_mutex_s *inside = &mutex->__data;
    void *entry = &inside->__list.__next;
    robust_list_set_pending(list, entry);
    void *next = inside->__list.__next, *previous = inside->__list.__prev;
    robust_list_at(next)[-1] = previous;
    *robust_list_at(previous) = next;
    inside->__list.__next = NULL;
    inside->__list.__prev = NULL;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    __atomic_store_n(&inside->__owner, 0, __ATOMIC_RELAXED);
    inside->__nusers--;
    robust_list_release(inside);
    robust_list_set_pending(list, NULL);
}

/*
 * The same for a critical section in which this thread touches no other robust mutex: the pending word alone tells the
 * kernel of it, which spares the list. For the C library it is a mutex that is held, by the thread that its word names.
 */
static inline bool kfl__robust_list_take_briefly(struct robust_list_head *list, pthread_mutex_t *mutex)
{
    struct __pthread_mutex_s *inside = &mutex->__data;
    int thread = kfl__robust_list_thread(list), word = 0;
    robust_list_set_pending(list, &inside->__list.__next);
    if (KFL_LIKELY(__atomic_compare_exchange_n(&inside->__lock, &word, thread, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED) &&
                   __atomic_load_n(&inside->__owner, __ATOMIC_RELAXED) == 0))
        return true;
    if (word == 0) /* given back unmended: lost */
        robust_list_release(inside);
    robust_list_set_pending(list, NULL);
    return false;
}

static inline void kfl__robust_list_give_briefly(struct robust_list_head *list, pthread_mutex_t *mutex)
{
    robust_list_release(&mutex->__data);
    robust_list_set_pending(list, NULL);
}

#endif
