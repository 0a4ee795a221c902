/* SPDX-License-Identifier: MIT */
/*
 * A thread that sleeps for others.
 *
 * A word can be waited for by a thread and by nothing else, so a descriptor that tells of arrivals needs
 * one, in each process, since no other process can reach the descriptor. It sleeps as a poll does
 * (engine/notify), and looks once a second, for a producer that was killed between publishing and
 * waking. Bits at the slots are left by the listeners: while none does, nobody pays for the thread.
 */
#include "engine/listener.h"

#include <signal.h>

#include "base/memory.h"
#include "base/wait.h"
#include "engine/notify.h"

#define LISTENER_LOOK_NS INT64_C(1000000000)

struct listeners {
    struct kfl__core *core;
    pthread_t thread;
    bool runs; /* guarded by lock, but for the stop, when no call is inside */
    _Atomic int stop;
    struct kfl__mutex lock; /* rank STORE, held while they are called; guards: */
    struct kfl__listener *first;
};

static void *listener_thread(void *context)
{
    struct listeners *listeners = context;
    struct kfl__core *core = listeners->core;
    pthread_setname_np(pthread_self(), "kafkalite-wait");
    for (;;) {
        bool stop = atomic_load(&listeners->stop) != 0;
        uint32_t value = kfl__notify_begin(core);
        kfl__notify_fence(false);
        kfl__mutex_lock(&listeners->lock);
        for (struct kfl__listener *listener = listeners->first; listener != NULL;
             listener = listener->next)
            listener->hear(listener->context);
        int64_t look = listeners->first == NULL ? -1 : kfl__clock_steady_ns() + LISTENER_LOOK_NS;
        kfl__mutex_unlock(&listeners->lock);
        if (stop)
            return NULL;
        (void)kfl__wait(kfl__notify_word(core), value, look);
    }
}

static int listener_start(struct listeners *listeners)
{
    sigset_t all, before;
    if (listeners->runs)
        return 0;
    /* The host's signals are none of its business (R19). */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&listeners->thread, NULL, listener_thread, listeners);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    listeners->runs = error == 0;
    return error == 0 ? 0
                      : kfl__fail_errno(KFL_E_NOMEM, error,
                                        "%s: cannot start a thread that waits for records",
                                        listeners->core->path);
}

/* The list, made by whoever comes first. */
static int listener_list(struct kfl__core *core, struct listeners **out_listeners)
{
    struct listeners *listeners = atomic_load(&core->listeners), *nobody = NULL;
    if (listeners == NULL) {
        listeners = kfl__alloc(sizeof *listeners);
        if (listeners == NULL)
            return kfl__fail(KFL_E_NOMEM, "%s: out of memory", core->path);
        listeners->core = core;
        int r = kfl__mutex_init(&listeners->lock, KFL_RANK_STORE);
        if (r < 0) {
            kfl__free(listeners);
            return r;
        }
        if (!atomic_compare_exchange_strong(&core->listeners, &nobody, listeners)) {
            kfl__mutex_destroy(&listeners->lock);
            kfl__free(listeners);
            listeners = nobody;
        }
    }
    *out_listeners = listeners;
    return 0;
}

int kfl__listener_add(struct kfl__core *core, struct kfl__listener *listener)
{
    struct listeners *listeners = NULL;
    int r = listener_list(core, &listeners);
    if (r < 0)
        return r;
    kfl__mutex_lock(&listeners->lock);
    r = listener_start(listeners);
    struct kfl__listener *at = listeners->first;
    while (at != NULL && at != listener)
        at = at->next;
    if (r == 0 && at == NULL) {
        listener->next = listeners->first;
        listeners->first = listener;
        kfl__notify_wake_process(core); /* it may sleep for ever, when it had nobody */
    }
    kfl__mutex_unlock(&listeners->lock);
    return r;
}

void kfl__listener_remove(struct kfl__core *core, struct kfl__listener *listener)
{
    struct listeners *listeners = atomic_load(&core->listeners);
    if (listeners == NULL)
        return;
    kfl__mutex_lock(&listeners->lock);
    for (struct kfl__listener **at = &listeners->first; *at != NULL; at = &(*at)->next)
        if (*at == listener) {
            *at = listener->next;
            break;
        }
    kfl__mutex_unlock(&listeners->lock);
}

void kfl__listener_stop(struct kfl__core *core)
{
    struct listeners *listeners = atomic_load(&core->listeners);
    if (listeners == NULL || !listeners->runs)
        return;
    atomic_store(&listeners->stop, 1);
    kfl__notify_wake_process(core);
    pthread_join(listeners->thread, NULL);
    listeners->runs = false;
}

void kfl__listener_destroy(struct kfl__core *core)
{
    struct listeners *listeners = atomic_load(&core->listeners);
    if (listeners == NULL)
        return;
    kfl__mutex_destroy(&listeners->lock);
    kfl__free(listeners);
    atomic_store(&core->listeners, NULL);
}
