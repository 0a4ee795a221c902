/* SPDX-License-Identifier: MIT */
/*
 * One list of clients with something to commit, one runner at a time: the helper, or a poll, a close
 * or kfl_store_maintain() where there is none. While a transaction is under way others join the
 * list, and what one client adds meanwhile is joined by the client itself. A run is over once what
 * was listed when it began is settled: who adds again and again keeps nobody in here.
 *
 * A transaction that is under way is not given up: what it commits is not its runner's alone. Who may lose patience
 * (base/patience) leaves it to the helper, where there is one, and waits for that.
 */
#include "engine/committer.h"

#include "base/memory.h"
#include "base/patience.h"
#include "base/wait.h"
#include "engine/janitor.h"

#define COMMITTER_TOGETHER 64

struct committer {
    struct kfl__core *core;
    struct kfl__mutex lock;
    struct kfl__condition moved;
    struct kfl__commit_client *first, **end;
    uint64_t listed, settled; /* so many clients, ever; in that order */
    bool running;
};

static int64_t committer_chore(void *context, int64_t now_ns)
{
    struct kfl__core *core = context;
    (void)now_ns;
    (void)kfl__committer_run(core);
    return -1; /* what was added meanwhile has woken the helper for another round */
}

int kfl__committer_start(struct kfl__core *core)
{
    if (core->committer != NULL)
        return 0;
    struct committer *committer = kfl__alloc(sizeof *committer);
    if (committer == NULL)
        return kfl__fail(KFL_E_NOMEM, "%s: out of memory", core->path);
    committer->core = core;
    committer->end = &committer->first;
    int r = kfl__mutex_init(&committer->lock, KFL_RANK_LEAF);
    if (r == 0) {
        r = kfl__condition_init(&committer->moved);
        if (r < 0)
            kfl__mutex_destroy(&committer->lock);
    }
    if (r < 0) {
        kfl__free(committer);
        return r;
    }
    core->committer = committer;
    return kfl__janitor_add(core, committer_chore, core);
}

void kfl__committer_destroy(struct kfl__core *core)
{
    struct committer *committer = core->committer;
    if (committer == NULL)
        return;
    kfl__condition_destroy(&committer->moved);
    kfl__mutex_destroy(&committer->lock);
    kfl__free(committer);
    core->committer = NULL;
}

void kfl__committer_add(struct kfl__core *core, struct kfl__commit_client *client)
{
    struct committer *committer = core->committer;
    kfl__mutex_lock(&committer->lock);
    bool listed = client->listed;
    if (!listed) {
        client->listed = true;
        client->next = NULL;
        *committer->end = client;
        committer->end = &client->next;
        committer->listed++;
    }
    kfl__mutex_unlock(&committer->lock);
    if (!listed && core->helper_runs)
        kfl__janitor_wake(core);
}

/* Takes some from the list. Holding the lock. */
static size_t committer_take(struct committer *committer, struct kfl__commit_client **clients)
{
    size_t count = 0;
    while (count < COMMITTER_TOGETHER && committer->first != NULL) {
        clients[count] = committer->first;
        committer->first = clients[count]->next;
        clients[count++]->listed = false;
    }
    if (committer->first == NULL)
        committer->end = &committer->first;
    return count;
}

static void committer_commit(struct kfl__core *core, struct kfl__commit_client **clients,
                             size_t count)
{
    struct kfl__group_commit *commits = kfl__alloc_array(count, sizeof *commits);
    size_t taken = 0;
    for (size_t i = 0; i < count; i++) {
        struct kfl__group_commit one = {0}, *commit = commits == NULL ? &one : &commits[taken];
        if (!clients[i]->take(clients[i], commit))
            continue;
        clients[taken++] = clients[i];
        if (commits == NULL) {
            /* Without memory to join them: one after the other. */
            kfl__group_commit_all(core, commit, 1);
            clients[taken - 1]->settle(clients[taken - 1], commit);
        }
    }
    if (commits == NULL)
        return;
    kfl__group_commit_all(core, commits, taken);
    for (size_t i = 0; i < taken; i++)
        clients[i]->settle(clients[i], &commits[i]);
    kfl__free(commits);
}

static void committer_work(struct committer *committer) KFL_REQUIRES(committer->lock);

/* Some of the list, holding the lock, which is given up meanwhile. */
KFL_UNCHECKED static void committer_work(struct committer *committer)
{
    struct kfl__commit_client *clients[COMMITTER_TOGETHER];
    committer->running = true;
    size_t count = committer_take(committer, clients);
    kfl__mutex_unlock(&committer->lock);
    int32_t patience = kfl__patience_set(-1);
    committer_commit(committer->core, clients, count);
    kfl__patience_set(patience);
    kfl__mutex_lock(&committer->lock);
    committer->settled += count;
    committer->running = false;
    kfl__condition_broadcast(&committer->moved);
}

int kfl__committer_run(struct kfl__core *core)
{
    struct committer *committer = core->committer;
    struct kfl__patience_wait wait;
    if (committer == NULL)
        return 0;
    bool waits = kfl__patience() >= 0 && core->helper_runs;
    int r = 0;
    kfl__patience_begin(&wait, committer, -1);
    kfl__mutex_lock(&committer->lock);
    uint64_t upto = committer->listed;
    while (committer->settled < upto && r == 0) {
        if (committer->running || waits) {
            bool late = kfl__condition_wait(&committer->moved, &committer->lock, wait.until_ns) ==
                        KFL_WAIT_TIMEOUT;
            r = committer->settled < upto ? kfl__patience_end(&wait, late) : 0;
        } else {
            committer_work(committer);
        }
    }
    kfl__mutex_unlock(&committer->lock);
    return r;
}
