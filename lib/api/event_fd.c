/* SPDX-License-Identifier: MIT */
/*
 * A descriptor for epoll, select and event loops.
 *
 * It is readable while it is not armed. The poll that finds nothing arms it: it leaves its bits at the
 * slots, as a poll that sleeps does, and a thread of the process (engine/listener) raises it when there may
 * be something. What another thread changes of the consumer raises it at once. To be readable without
 * cause is allowed, and the next poll finds out; to have a cause and not be readable is not.
 */
#include "api/consumer.h"
#include "base/file.h"
#include "base/wait.h"

#define EVENT_LOOK_NS INT64_C(1000000000)

void kfl__event_fd_raise(kfl_consumer *consumer)
{
    /* Mostly there is no descriptor. What was changed before this is seen by who arms it, or he is seen to have. */
    if (atomic_load(&consumer->event_armed) != 0 && atomic_exchange(&consumer->event_armed, 0) != 0)
        kfl__event_raise(consumer->event_fd);
}

/* Leaves bits, and looks once more. Holding the lock. */
static void event_fd_watch(kfl_consumer *consumer)
{
    kfl__poll_register(consumer);
    if (kfl__poll_ready(consumer))
        kfl__event_fd_raise(consumer);
}

void kfl__event_fd_arm(kfl_consumer *consumer)
{
    if (atomic_load(&consumer->event_armed) != 0)
        return; /* the thread looks after it */
    kfl__event_clear(consumer->event_fd);
    consumer->event_look_ns = kfl__clock_steady_ns() + EVENT_LOOK_NS;
    atomic_store(&consumer->event_armed, 1);
    event_fd_watch(consumer);
}

/*
 * In the thread. A member of a group polls now and then whether or not there are records: to be taken for
 * alive, and to commit. The bits may be gone although there is nothing: another consumer has the same.
 */
static void event_fd_hear(void *context)
{
    kfl_consumer *consumer = context;
    if (atomic_load(&consumer->event_armed) == 0)
        return;
    kfl__mutex_lock(&consumer->lock);
    bool due = consumer->follows && kfl__clock_steady_ns() >= consumer->event_look_ns;
    if (due || kfl__poll_ready(consumer))
        kfl__event_fd_raise(consumer);
    else
        event_fd_watch(consumer);
    kfl__mutex_unlock(&consumer->lock);
}

int kfl_consumer_event_fd(kfl_consumer *consumer)
{
    if (consumer == NULL)
        return kfl__fail(KFL_E_INVALID, "the consumer is NULL");
    int r = kfl__core_enter(consumer->core);
    if (r < 0)
        return r;
    r = kfl__listener_add(consumer->core, &consumer->listener);
    if (r == 0) {
        kfl__mutex_lock(&consumer->lock);
        if (consumer->event_fd < 0) {
            int fd = -1;
            r = kfl__event_open(&fd);
            if (r == 0) {
                consumer->event_fd = fd;
                kfl__event_raise(fd); /* until a poll has found nothing */
            }
        }
        if (r == 0)
            r = consumer->event_fd;
        kfl__mutex_unlock(&consumer->lock);
    }
    kfl__core_leave(consumer->core);
    return r;
}

void kfl__event_fd_init(kfl_consumer *consumer)
{
    consumer->event_fd = -1;
    consumer->listener.hear = event_fd_hear;
    consumer->listener.context = consumer;
}

void kfl__event_fd_close(kfl_consumer *consumer)
{
    kfl__listener_remove(consumer->core, &consumer->listener);
    kfl__file_close(consumer->event_fd);
}
