/* SPDX-License-Identifier: MIT */
/* Handles whose calls the close of a store waits for. */
#include "engine/callers.h"

int kfl__callers_init(struct kfl__core *core)
{
    return kfl__mutex_init(&core->callers_lock, KFL_RANK_STORE);
}

void kfl__callers_destroy(struct kfl__core *core)
{
    assert(core->callers == NULL);
    kfl__mutex_destroy(&core->callers_lock);
}

void kfl__callers_add(struct kfl__core *core, struct kfl__caller *caller)
{
    kfl__mutex_lock(&core->callers_lock);
    caller->next = core->callers;
    core->callers = caller;
    kfl__mutex_unlock(&core->callers_lock);
}

void kfl__callers_remove(struct kfl__core *core, struct kfl__caller *caller)
{
    kfl__mutex_lock(&core->callers_lock);
    for (struct kfl__caller **at = &core->callers; *at != NULL; at = &(*at)->next)
        if (*at == caller) {
            *at = caller->next;
            break;
        }
    kfl__mutex_unlock(&core->callers_lock);
}

bool kfl__callers_inside(struct kfl__core *core)
{
    bool inside = false;
    kfl__mutex_lock(&core->callers_lock);
    for (struct kfl__caller *caller = core->callers; caller != NULL; caller = caller->next) {
        kfl__mutex_lock(caller->lock);
        inside = caller->inside > 0 || inside;
        kfl__mutex_unlock(caller->lock);
    }
    kfl__mutex_unlock(&core->callers_lock);
    return inside;
}
