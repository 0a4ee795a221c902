/* SPDX-License-Identifier: MIT */
/*
 * Who is told of arrivals without sleeping for them: a thread sleeps on the process's word in their
 * stead, and lets each look when it is raised. There is no thread before the first listener.
 */
#ifndef KFL_ENGINE_LISTENER_H
#define KFL_ENGINE_LISTENER_H

#include "engine/core.h"

/* Called by the thread, after each raise and at least once a second; never two calls at once. */
struct kfl__listener {
    struct kfl__listener *next;
    void (*hear)(void *context);
    void *context;
};

/* Owned by the caller, who removes it. One that is listed already is fine. */
int kfl__listener_add(struct kfl__core *core, struct kfl__listener *listener);
/* It is not called any more when this returns; one that is not listed is fine. */
void kfl__listener_remove(struct kfl__core *core, struct kfl__listener *listener);
/* All are called once more, and then the thread is gone. With `closing` set. */
void kfl__listener_stop(struct kfl__core *core);
void kfl__listener_destroy(struct kfl__core *core);

#endif
