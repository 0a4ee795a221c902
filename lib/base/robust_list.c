/* SPDX-License-Identifier: MIT */
/* Whether the C library keeps robust mutexes as base/robust_list.h takes it to. */
#include "base/robust_list.h"

#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/lock.h"

/* Said once more: where declaration and definition are seen together, it is the definition that counts. */
_Thread_local struct robust_list_head *kfl__robust_list KFL_ROBUST_LIST_TLS;
struct robust_list_head kfl__robust_list_foreign;

#if defined(__GLIBC__) && defined(__LP64__) && !defined(KFL_THREAD_SANITIZER)
static bool robust_list_is_known(const struct robust_list_head *list)
{
    static const long offset = (long)offsetof(struct __pthread_mutex_s, __lock) -
                               (long)offsetof(struct __pthread_mutex_s, __list.__next);
    return list->futex_offset == offset &&
           kfl__robust_list_thread(list) == (int)syscall(SYS_gettid);
}

/* After each step of ours and of the C library's, in any order, the same bytes are in the mutex and the same list stands. */
static bool robust_list_agrees(struct robust_list_head *list)
{
    struct kfl__robust tried, held, free;
    struct robust_list *before = list->list.next;
    void *back = robust_list_at(before)[-1];
    bool agrees = kfl__robust_init(&tried) == 0 && pthread_mutex_lock(&tried.mutex) == 0;
    if (!agrees)
        return false;
    held = tried;
    agrees = (void *)list->list.next == &tried.mutex.__data.__list.__next &&
             list->list_op_pending == NULL && pthread_mutex_unlock(&tried.mutex) == 0;
    free = tried;
    for (int way = 0; agrees && way < 4; way++) {
        bool taken = (way & 1) != 0 ? kfl__robust_list_take(list, &tried.mutex)
                                    : pthread_mutex_lock(&tried.mutex) == 0;
        agrees =
            taken && memcmp(&tried, &held, sizeof tried) == 0 && robust_list_at(before)[-1] != back;
        if ((way & 2) != 0)
            kfl__robust_list_give(list, &tried.mutex);
        else
            agrees = pthread_mutex_unlock(&tried.mutex) == 0 && agrees;
        agrees = agrees && memcmp(&tried, &free, sizeof tried) == 0 && list->list.next == before &&
                 robust_list_at(before)[-1] == back && list->list_op_pending == NULL;
    }
    return agrees;
}

static struct robust_list_head *robust_list_find(void)
{
    struct robust_list_head *list = NULL;
    size_t size = 0;
    if (syscall(SYS_get_robust_list, 0, &list, &size) != 0 || list == NULL || size != sizeof *list)
        return NULL;
    return robust_list_is_known(list) && robust_list_agrees(list) ? list : NULL;
}
#else
static struct robust_list_head *robust_list_find(void)
{
    return NULL;
}
#endif

struct robust_list_head *kfl__robust_list_learn(void)
{
    struct robust_list_head *list = robust_list_find();
    kfl__robust_list = list != NULL ? list : &kfl__robust_list_foreign;
    return kfl__robust_list;
}
