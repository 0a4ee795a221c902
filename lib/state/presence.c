/* SPDX-License-Identifier: MIT */
/*
 * Which processes live.
 *
 * The kernel frees a lock byte with the last descriptor that shares it, so a free byte proves a
 * death. A held one proves nothing by itself: a child made by fork() may have inherited it from a
 * process that is gone. So who holds byte 1 + n is believed to live only while the process that
 * entry n describes does. An entry is written by its owner alone, after its byte is taken; its pid
 * is written last when joining and cleared first when leaving. Nothing here waits but for byte 0.
 */
#include "state/presence.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/process.h"
#include "base/random.h"

#define LOCK_NAME "LOCK"
#define BYTE_JOINING 0
#define BYTE_OF_ENTRY(entry) (1 + (int64_t)(entry))
#define BYTE_MAINTAINS ((int64_t)1 << 30)

static int presence_lock(struct kfl__presence *presence, int64_t byte, bool wait)
{
    return presence->shared ? kfl__file_lock_shared(presence->lock_fd, byte, 1, wait)
                            : kfl__file_lock(presence->lock_fd, byte, 1, wait);
}

static int presence_open(struct kfl__presence *presence, int directory, uint32_t file_mode,
                         bool read_only)
{
    /* Somebody else may create it between our look and our creation: then it can be opened. */
    for (int attempt = 0; attempt < 2; attempt++) {
        int r = kfl__file_open(directory, LOCK_NAME, true, &presence->lock_fd);
        if (r == KFL_E_READ_ONLY && read_only) {
            r = kfl__file_open(directory, LOCK_NAME, false, &presence->lock_fd);
            presence->shared = r == 0;
        }
        if (r != KFL_FILE_MISSING || read_only)
            return r;
        r = kfl__file_create(directory, LOCK_NAME, file_mode, &presence->lock_fd);
        if (r != KFL_FILE_EXISTS)
            return r;
    }
    return kfl__fail(KFL_E_IO, LOCK_NAME " comes and goes: something deletes the store's files");
}

int kfl__presence_enter(struct kfl__presence *presence, int directory, uint32_t file_mode,
                        bool read_only)
{
    *presence = (struct kfl__presence){.lock_fd = -1, .entry = -1};
    struct kfl__process self;
    kfl__process_self(&self);
    presence->pid = self.pid;
    presence->start = self.start;
    presence->namespace = self.namespace;

    int r = presence_open(presence, directory, file_mode, read_only);
    if (r != 0)
        return r;
    r = presence_lock(presence, BYTE_JOINING, true);
    if (r < 0) {
        kfl__file_close(presence->lock_fd);
        presence->lock_fd = -1;
    }
    return r;
}

enum presence_kind {
    PRESENCE_GONE,
    PRESENCE_LIVES,
    PRESENCE_IS_US,   /* this very process, through another descriptor */
    PRESENCE_FOREIGN, /* of another namespace: its pid says nothing to us */
};

/* Who is behind an entry, or a negative error. Our own byte is never seen as held: it is ours. */
static int presence_look(struct kfl__presence *presence, const struct kfl__presence_entry *entries,
                         uint32_t number)
{
    const struct kfl__presence_entry *entry = &entries[number];
    int32_t pid = atomic_load_explicit(&entry->pid, memory_order_acquire);
    if (pid == 0)
        return PRESENCE_GONE;
    uint64_t start = atomic_load_explicit(&entry->start, memory_order_relaxed);
    uint64_t namespace = atomic_load_explicit(&entry->namespace, memory_order_relaxed);
    bool held;
    int r = kfl__file_is_locked(presence->lock_fd, BYTE_OF_ENTRY(number), 1, &held);
    if (r < 0)
        return r;
    if (!held)
        return PRESENCE_GONE;
    if (namespace != presence->namespace)
        return PRESENCE_FOREIGN;
    /* Who cannot tell its own start cannot compare those of others. */
    if (!kfl__process_lives(pid, presence->start != 0 ? start : 0))
        return PRESENCE_GONE;
    return pid == presence->pid && start == presence->start ? PRESENCE_IS_US : PRESENCE_LIVES;
}

int kfl__presence_others(struct kfl__presence *presence, const struct kfl__presence_entry *entries,
                         bool *out_living)
{
    bool living;
    int r = kfl__file_is_locked(presence->lock_fd, BYTE_OF_ENTRY(0), KFL_PRESENCE_MAX, &living);
    if (r < 0)
        return r;
    if (living && entries != NULL) {
        living = false;
        for (uint32_t number = 0; number < KFL_PRESENCE_MAX && !living; number++) {
            r = presence_look(presence, entries, number);
            if (r < 0)
                return r;
            living = r != PRESENCE_GONE;
        }
    }
    *out_living = living;
    return 0;
}

/* May this process live here together with those who do? */
static int presence_admit(struct kfl__presence *presence,
                          const struct kfl__presence_entry *entries)
{
    bool held;
    int r = kfl__file_is_locked(presence->lock_fd, BYTE_OF_ENTRY(0), KFL_PRESENCE_MAX, &held);
    if (r < 0 || !held)
        return r;
    for (uint32_t number = 0; number < KFL_PRESENCE_MAX; number++) {
        r = presence_look(presence, entries, number);
        if (r < 0)
            return r;
        int32_t pid = atomic_load_explicit(&entries[number].pid, memory_order_relaxed);
        if (r == PRESENCE_IS_US)
            return kfl__fail(KFL_E_UNSUPPORTED,
                             "this process (pid %d) has the store open through another copy of the "
                             "library: link the program and its plugins to one shared "
                             "libkafkalite, or close the store there first",
                             (int)pid);
        if (r == PRESENCE_FOREIGN)
            return kfl__fail(KFL_E_UNSUPPORTED,
                             "process %d of another pid or time namespace has the store open: run "
                             "both in one (docker: --pid, Kubernetes: shareProcessNamespace), or "
                             "close the store there first",
                             (int)pid);
    }
    return 0;
}

int kfl__presence_join(struct kfl__presence *presence, struct kfl__presence_entry *entries)
{
    assert(presence->lock_fd >= 0 && presence->entry == -1);
    if (presence->shared)
        return 0;
    assert(entries != NULL);
    int r = presence_admit(presence, entries);
    if (r < 0)
        return r;

    uint32_t number = 0;
    /* Not only the bytes of the living are taken: children of the dead may hold theirs. */
    while ((r = presence_lock(presence, BYTE_OF_ENTRY(number), false)) == KFL_FILE_LOCKED) {
        if (++number == KFL_PRESENCE_MAX)
            return kfl__fail(KFL_E_BUSY, "%d processes have the store open: no more can",
                             KFL_PRESENCE_MAX);
    }
    if (r < 0)
        return r;

    struct kfl__presence_entry *entry = &entries[number];
    atomic_store_explicit(&entry->pid, 0, memory_order_relaxed);
    atomic_store_explicit(&entry->start, presence->start, memory_order_relaxed);
    atomic_store_explicit(&entry->namespace, presence->namespace, memory_order_relaxed);
    atomic_store_explicit(&entry->sleeping, 0, memory_order_relaxed);
    presence->session = kfl__random64() | 1;
    atomic_store_explicit(&entry->session, presence->session, memory_order_relaxed);
    _Static_assert(sizeof entry->program == KFL_PROCESS_NAME_SIZE, "the name fits");
    kfl__process_name(presence->pid, entry->program);
    atomic_store_explicit(&entry->pid, presence->pid, memory_order_release);
    presence->entry = (int32_t)number;
    return 0;
}

int kfl__presence_settle(struct kfl__presence *presence)
{
    return kfl__file_unlock(presence->lock_fd, BYTE_JOINING, 1);
}

int kfl__presence_reenter(struct kfl__presence *presence)
{
    return presence_lock(presence, BYTE_JOINING, true);
}

bool kfl__presence_lives(struct kfl__presence *presence, const struct kfl__presence_entry *entries,
                         uint32_t entry, uint64_t start)
{
    if (entry >= KFL_PRESENCE_MAX)
        return false;
    /* What cannot be learned must not declare anybody dead. */
    bool lives = (int32_t)entry == presence->entry ||
                 presence_look(presence, entries, entry) != PRESENCE_GONE;
    /* Asked last: the entry may have been taken by another process meanwhile. */
    return lives && atomic_load_explicit(&entries[entry].start, memory_order_acquire) == start;
}

bool kfl__presence_stands(struct kfl__presence *presence, const struct kfl__presence_entry *entries,
                          uint32_t entry, uint64_t session)
{
    if (entry >= KFL_PRESENCE_MAX || session == 0)
        return false;
    if (session == presence->session)
        return true;
    if (atomic_load_explicit(&entries[entry].session, memory_order_acquire) != session)
        return false;
    uint64_t start = atomic_load_explicit(&entries[entry].start, memory_order_acquire);
    return kfl__presence_lives(presence, entries, entry, start) &&
           atomic_load_explicit(&entries[entry].session, memory_order_acquire) == session;
}

bool kfl__presence_maintain(struct kfl__presence *presence)
{
    return !presence->shared && presence_lock(presence, BYTE_MAINTAINS, false) == 0;
}

void kfl__presence_leave(struct kfl__presence *presence, struct kfl__presence_entry *entries)
{
    if (presence->lock_fd < 0)
        return;
    if (presence->entry >= 0)
        atomic_store_explicit(&entries[presence->entry].pid, 0, memory_order_release);
    /* Closing alone would leave all bytes with a child that has inherited the descriptor. */
    (void)kfl__file_unlock(presence->lock_fd, 0, BYTE_MAINTAINS + 1);
    kfl__file_close(presence->lock_fd);
    presence->lock_fd = -1;
    presence->entry = -1;
    presence->session = 0;
}

void kfl__presence_forked(struct kfl__presence *presence)
{
    /* Unlocking would take the bytes from the parent: the description is one. */
    kfl__file_close(presence->lock_fd);
    presence->lock_fd = -1;
    presence->entry = -1;
    presence->session = 0;
}

void kfl__presence_describe(int32_t thread_id, char *out_text, int32_t text_size)
{
    assert(text_size > 0);
    int32_t pid = kfl__process_of_thread(thread_id);
    if (pid == 0) {
        snprintf(out_text, (size_t)text_size, "thread %d, which cannot be seen", (int)thread_id);
        return;
    }
    char name[KFL_PROCESS_NAME_SIZE];
    kfl__process_name(pid, name);
    snprintf(out_text, (size_t)text_size, "pid %d (%s)", (int)pid, name);
}
