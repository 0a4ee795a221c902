/* SPDX-License-Identifier: MIT */
/*
 * The ring of watchers.
 *
 * Each process with group members watches the processes whose presence entries follow its own, round
 * the table; a few of them, so that the death of one wakes a few and not all. Between a process that
 * dies and the next living one before it lie only dead ones: when the first of those is seen to end,
 * the look round finds the others. Once a second everybody looks round in any case.
 */
#include "engine/lookout.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/watch.h"
#include "engine/departures.h"
#include "engine/members.h"

#define LOOKOUT_WATCHED 16
#define LOOKOUT_REST_MS 1000

struct lookout {
    struct kfl__core *core;
    pthread_t thread;
    bool runs;
    int bell;
    _Atomic int stop;
    /* the thread's own */
    int fds[LOOKOUT_WATCHED];
    uint32_t entries[LOOKOUT_WATCHED];
    uint64_t sessions[LOOKOUT_WATCHED];
    int32_t count;
};

static void lookout_forget(struct lookout *lookout, int32_t at)
{
    kfl__file_close(lookout->fds[at]);
    lookout->count--;
    lookout->fds[at] = lookout->fds[lookout->count];
    lookout->entries[at] = lookout->entries[lookout->count];
    lookout->sessions[at] = lookout->sessions[lookout->count];
}

static bool lookout_watches(const struct lookout *lookout, uint32_t entry, uint64_t session)
{
    for (int32_t i = 0; i < lookout->count; i++)
        if (lookout->entries[i] == entry && lookout->sessions[i] == session)
            return true;
    return false;
}

static void lookout_watch(struct lookout *lookout, uint32_t entry, uint64_t session, int32_t pid)
{
    struct kfl__core *core = lookout->core;
    int fd = kfl__watch_process(pid);
    if (fd < 0)
        return;
    /* Asked behind the open: now the descriptor is that of the process which has the entry. */
    if (!kfl__presence_stands(&core->presence, kfl__state_entries(core->state), entry, session)) {
        kfl__file_close(fd);
        return;
    }
    lookout->fds[lookout->count] = fd;
    lookout->entries[lookout->count] = entry;
    lookout->sessions[lookout->count++] = session;
}

/* Watch those who follow now. */
static void lookout_look_round(struct lookout *lookout)
{
    struct kfl__core *core = lookout->core;
    struct kfl__presence_entry *entries = kfl__state_entries(core->state);
    uint32_t mine = (uint32_t)core->presence.entry;
    uint32_t wanted[LOOKOUT_WATCHED];
    int32_t count = 0;
    for (uint32_t step = 1; step < KFL_PRESENCE_MAX && count < LOOKOUT_WATCHED; step++) {
        uint32_t n = (mine + step) % KFL_PRESENCE_MAX;
        if (atomic_load(&entries[n].pid) != 0)
            wanted[count++] = n;
    }
    for (int32_t i = lookout->count; i > 0; i--) {
        bool keep = false;
        for (int32_t j = 0; j < count; j++)
            keep = keep || (wanted[j] == lookout->entries[i - 1] &&
                            atomic_load(&entries[wanted[j]].session) == lookout->sessions[i - 1]);
        if (!keep)
            lookout_forget(lookout, i - 1);
    }
    for (int32_t j = 0; j < count && lookout->count < LOOKOUT_WATCHED; j++) {
        int32_t pid = atomic_load(&entries[wanted[j]].pid);
        uint64_t session = atomic_load(&entries[wanted[j]].session);
        if (pid != 0 && !lookout_watches(lookout, wanted[j], session))
            lookout_watch(lookout, wanted[j], session, pid);
    }
}

static void lookout_sweep(struct lookout *lookout)
{
    struct kfl__core *core = lookout->core;
    /* What fails here is tried again with the next look round. */
    if (kfl__core_enter(core) < 0)
        return;
    (void)kfl__members_sweep(core, false);
    kfl__core_leave(core);
}

static void *lookout_thread(void *context)
{
    struct lookout *lookout = context;
    pthread_setname_np(pthread_self(), "kafkalite-watch");
    while (atomic_load(&lookout->stop) == 0) {
        lookout_look_round(lookout);
        if (kfl__members_suspect(lookout->core))
            lookout_sweep(lookout);
        if (atomic_load(&lookout->stop) != 0)
            break;
        if (kfl__watch_wait(lookout->bell, lookout->fds, lookout->count, LOOKOUT_REST_MS) == 0)
            continue;
        lookout_sweep(lookout);
        /* The dead may have changed a group and not told of it. */
        kfl__members_wake_all(lookout->core, true);
        while (lookout->count > 0)
            lookout_forget(lookout, 0);
    }
    while (lookout->count > 0)
        lookout_forget(lookout, 0);
    return NULL;
}

int kfl__lookout_start(struct kfl__core *core)
{
    sigset_t all, before;
    int r = 0;
    if (core->settings->background_threads == 0)
        return 0;
    kfl__mutex_lock(&core->registry);
    if (core->lookout == NULL && atomic_load(&core->closing) == 0) {
        struct lookout *lookout = kfl__alloc(sizeof *lookout);
        if (lookout == NULL)
            r = kfl__fail(KFL_E_NOMEM, "%s: out of memory", core->path);
        else {
            lookout->core = core;
            lookout->bell = kfl__watch_make_bell();
            core->lookout = lookout;
            sigfillset(&all);
            pthread_sigmask(SIG_SETMASK, &all, &before);
            lookout->runs = lookout->bell >= 0 &&
                            pthread_create(&lookout->thread, NULL, lookout_thread, lookout) == 0;
            pthread_sigmask(SIG_SETMASK, &before, NULL);
        }
    }
    kfl__mutex_unlock(&core->registry);
    return r;
}

void kfl__lookout_ring(struct kfl__core *core)
{
    struct lookout *lookout = core->lookout;
    if (lookout != NULL && lookout->runs)
        kfl__watch_ring(lookout->bell);
}

void kfl__lookout_stop(struct kfl__core *core)
{
    struct lookout *lookout = core->lookout;
    if (lookout == NULL || !lookout->runs)
        return;
    atomic_store(&lookout->stop, 1);
    kfl__watch_ring(lookout->bell);
    pthread_join(lookout->thread, NULL);
    lookout->runs = false;
}

void kfl__lookout_destroy(struct kfl__core *core)
{
    struct lookout *lookout = core->lookout;
    if (lookout == NULL)
        return;
    kfl__file_close(lookout->bell);
    kfl__free(lookout);
    core->lookout = NULL;
}
