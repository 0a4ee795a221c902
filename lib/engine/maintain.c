/* SPDX-License-Identifier: MIT */
/*
 * Maintenance: who does it, and when.
 *
 * A round visits every partition of every topic that asks for something, whether this process uses it or
 * not. In the background one process of all does it: the one that got byte 2^30 of LOCK, which the kernel
 * gives back when that process ends, so that another one has it at its next round. It does it in a thread
 * of its own, since a sync must not wait for it; the thread begins once there is a topic with something
 * to maintain. Whoever calls kfl_store_maintain() does it there and then, whoever has the byte: two at
 * once do the work twice at worst, because what changes a partition's list of files looks at it again in
 * the transaction that does.
 */
#include "engine/maintain.h"

#include <signal.h>
#include <string.h>

#include "base/memory.h"
#include "base/wait.h"
#include "catalog/topics.h"
#include "engine/retention.h"
#include "engine/topics.h"

#define MAINTAIN_FIRST_NS (INT64_C(30) * 1000000000)

struct maintain_item {
    uint64_t topic_id;
    int32_t partition;
};

struct maintain {
    struct kfl__core *core;
    struct kfl__mutex lock; /* guards: */
    struct kfl__condition moved;
    bool busy; /* a thread is at the round; the rest is its own meanwhile */

    struct maintain_item *items; /* of the round; NULL: none was begun */
    int32_t item_count, item_room, at;
    int failed; /* the first error of the round, and its words */
    struct kfl__words words;

    /* the helper's alone */
    uint64_t looked_version; /* of the store's topics, when it looked last; 0: never */
    bool thread_runs;
    pthread_t thread;

    _Atomic int stop;
    _Atomic uint32_t word; /* raised to wake the thread */
};

/* ---- the round ---- */

/* Defaults delete nothing and compact nothing: what is not set asks for nothing. */
static bool maintain_is_wanted(const char *properties)
{
    static const char *const names[] = {"retention.", "cleanup.policy="};
    for (const char *line = properties; line != NULL && *line != '\0';) {
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            if (strncmp(line, names[i], strlen(names[i])) == 0)
                return true;
        line = strchr(line, '\n');
        line += line != NULL;
    }
    return false;
}

static int maintain_add(const struct kfl__topic_row *row, void *context)
{
    struct maintain *maintain = context;
    if (!maintain_is_wanted(row->properties))
        return 0;
    if (maintain->item_count + row->partition_count > maintain->item_room) {
        int32_t room = (maintain->item_count + row->partition_count) * 2;
        struct maintain_item *grown = kfl__realloc(maintain->items, (size_t)room * sizeof *grown);
        if (grown == NULL)
            return kfl__fail(KFL_E_NOMEM, "a list of %d partitions: out of memory", room);
        maintain->items = grown;
        maintain->item_room = room;
    }
    for (int32_t i = 0; i < row->partition_count; i++)
        maintain->items[maintain->item_count++] = (struct maintain_item){row->topic_id, i};
    return 0;
}

static int maintain_list(struct kfl__catalog_txn *txn, void *context)
{
    struct maintain *maintain = context;
    maintain->item_count = 0;
    return kfl__topics_list(txn, maintain_add, maintain);
}

static int maintain_partition(struct kfl__partition *partition, kfl_progress *progress)
{
    struct kfl__retention_done done = {0};
    int r = kfl__retention_run(partition, &done);
    progress->deleted_segments += done.segments;
    progress->deleted_bytes += done.bytes;
    return r;
}

static int maintain_visit(struct kfl__core *core, const struct maintain_item *item,
                          kfl_progress *progress)
{
    struct kfl__partition *partition;
    struct kfl__topic *topic = NULL;
    int r = kfl__topic_find_id(core, item->topic_id, &topic);
    if (r == 0)
        r = kfl__topic_current(topic);
    if (r == 0)
        r = kfl__topic_partition(topic, item->partition, &partition);
    if (r == 0)
        r = maintain_partition(partition, progress);
    kfl__topic_release(topic);
    return r == KFL_E_UNKNOWN_TOPIC_OR_PARTITION ? 0 : r; /* deleted meanwhile */
}

/* Busy. 1: the deadline came first. */
static int maintain_round(struct maintain *maintain, int64_t deadline_ns, kfl_progress *progress)
{
    struct kfl__core *core = maintain->core;
    if (maintain->items == NULL) {
        int r = kfl__catalog_look(core->catalog, maintain_list, maintain);
        if (r < 0)
            return r;
        maintain->at = 0;
        maintain->failed = 0;
    }
    while (maintain->at < maintain->item_count) {
        if (atomic_load(&core->closing) != 0 || atomic_load(&maintain->stop) != 0)
            return kfl__fail(KFL_E_CLOSED, "the store %s is closed", core->path);
        int r = maintain_visit(core, &maintain->items[maintain->at], progress);
        /* One that cannot be maintained must not keep the others from it. */
        if (r < 0 && maintain->failed == 0) {
            maintain->failed = r;
            kfl__error_save(&maintain->words);
        }
        maintain->at++;
        if (deadline_ns >= 0 && maintain->at < maintain->item_count &&
            kfl__clock_steady_ns() >= deadline_ns)
            return 1;
    }
    kfl__free(maintain->items);
    maintain->items = NULL;
    maintain->item_room = 0;
    if (maintain->failed < 0)
        kfl__error_restore(&maintain->words);
    return maintain->failed;
}

int kfl__maintain_run(struct kfl__core *core, int64_t deadline_ns, kfl_progress *progress)
{
    struct maintain *maintain = core->maintain;
    kfl__mutex_lock(&maintain->lock);
    while (maintain->busy)
        if (kfl__condition_wait(&maintain->moved, &maintain->lock, deadline_ns) ==
            KFL_WAIT_TIMEOUT) {
            kfl__mutex_unlock(&maintain->lock);
            return 1;
        }
    maintain->busy = true;
    kfl__mutex_unlock(&maintain->lock);
    int r = maintain_round(maintain, deadline_ns, progress);
    progress->partitions_left = maintain->items == NULL ? 0 : maintain->item_count - maintain->at;
    kfl__mutex_lock(&maintain->lock);
    maintain->busy = false;
    kfl__condition_signal(&maintain->moved);
    kfl__mutex_unlock(&maintain->lock);
    return r;
}

/* ---- the thread ---- */

static void *maintain_thread(void *context)
{
    struct maintain *maintain = context;
    struct kfl__core *core = maintain->core;
    int64_t interval_ms = core->settings->log_retention_check_interval_ms;
    int64_t interval_ns = interval_ms > INT64_MAX / 4000000 ? INT64_MAX / 4 : interval_ms * 1000000;
    int64_t due = kfl__clock_steady_ns() +
                  (interval_ns < MAINTAIN_FIRST_NS ? interval_ns : MAINTAIN_FIRST_NS);
    pthread_setname_np(pthread_self(), "kafkalite-keep");
    while (atomic_load(&maintain->stop) == 0) {
        uint32_t word = atomic_load(&maintain->word);
        if (kfl__clock_steady_ns() < due) {
            if (atomic_load(&maintain->stop) == 0)
                (void)kfl__wait(&maintain->word, word, due);
            continue;
        }
        /* What fails here is met again by whoever asks for it. */
        kfl_progress progress = {0};
        if (kfl__presence_maintain(&core->presence))
            (void)kfl__maintain_run(core, -1, &progress);
        due = kfl__clock_steady_ns() + interval_ns;
    }
    return NULL;
}

struct maintain_any {
    bool wanted;
};

static int maintain_find_any(const struct kfl__topic_row *row, void *context)
{
    struct maintain_any *any = context;
    any->wanted = any->wanted || maintain_is_wanted(row->properties);
    return 0;
}

static int maintain_look_any(struct kfl__catalog_txn *txn, void *context)
{
    return kfl__topics_list(txn, maintain_find_any, context);
}

void kfl__maintain_look(struct kfl__core *core)
{
    struct maintain *maintain = core->maintain;
    struct maintain_any any = {false};
    sigset_t all, before;
    uint64_t version = atomic_load(&core->shared->topics_version) + 1;
    if (maintain->thread_runs || maintain->looked_version == version)
        return;
    if (kfl__catalog_look(core->catalog, maintain_look_any, &any) < 0)
        return;
    maintain->looked_version = version;
    if (!any.wanted || atomic_load(&maintain->stop) != 0)
        return;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    maintain->thread_runs = pthread_create(&maintain->thread, NULL, maintain_thread, maintain) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* ---- making and stopping ---- */

int kfl__maintain_create(struct kfl__core *core)
{
    struct maintain *maintain = kfl__alloc(sizeof *maintain);
    if (maintain == NULL)
        return kfl__fail(KFL_E_NOMEM, "%s: out of memory", core->path);
    int r = kfl__mutex_init(&maintain->lock, KFL_RANK_STORE);
    if (r == 0) {
        r = kfl__condition_init(&maintain->moved);
        if (r < 0)
            kfl__mutex_destroy(&maintain->lock);
    }
    if (r < 0) {
        kfl__free(maintain);
        return r;
    }
    maintain->core = core;
    core->maintain = maintain;
    return 0;
}

/* The helper has ended: nobody begins the thread any more. */
void kfl__maintain_stop(struct kfl__core *core)
{
    struct maintain *maintain = core->maintain;
    if (maintain == NULL)
        return;
    atomic_store(&maintain->stop, 1);
    atomic_fetch_add(&maintain->word, 1);
    kfl__wake(&maintain->word, INT32_MAX);
    if (maintain->thread_runs)
        pthread_join(maintain->thread, NULL);
    maintain->thread_runs = false;
}

void kfl__maintain_destroy(struct kfl__core *core)
{
    struct maintain *maintain = core->maintain;
    if (maintain == NULL)
        return;
    kfl__condition_destroy(&maintain->moved);
    kfl__mutex_destroy(&maintain->lock);
    kfl__free(maintain->items);
    kfl__free(maintain);
    core->maintain = NULL;
}
