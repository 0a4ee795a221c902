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
#include "engine/compact.h"
#include "engine/retention.h"
#include "engine/segments.h"
#include "engine/topics.h"

#define MAINTAIN_FIRST_NS (INT64_C(30) * 1000000000)

struct maintain_item {
    uint64_t topic_id;
    int32_t partition;
};

/* One way through a list of partitions; what was begun is gone on with at the next call. */
struct maintain_round {
    uint64_t topic_id;           /* 0: all that ask for something */
    int flags;                   /* KFL_COMPACT_… of kafkalite.h, for one topic */
    struct maintain_item *items; /* NULL: none was begun */
    int32_t item_count, item_room, at;
    struct kfl__compaction *compaction; /* of the partition at hand; NULL: none was begun */
    int64_t upto;                       /* its end when it was rolled first; 0: it was not */
    kfl_progress progress;              /* of what is done */
    int failed;                         /* the first error, and its words */
    struct kfl__words words;
};

struct maintain {
    struct kfl__core *core;
    struct kfl__mutex lock; /* guards: */
    struct kfl__condition moved;
    bool busy; /* a thread is at a round; they are its own meanwhile */

    struct maintain_round all, asked;

    /* the helper's alone */
    uint64_t looked_version; /* of the store's topics, when it looked last; 0: never */
    bool thread_runs;
    pthread_t thread;

    _Atomic int stop;
    _Atomic uint32_t word; /* raised to wake the thread */
};

/* ---- the list ---- */

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
    struct maintain_round *round = context;
    if (round->topic_id != 0 ? row->topic_id != round->topic_id
                             : !maintain_is_wanted(row->properties))
        return 0;
    if (round->item_count + row->partition_count > round->item_room) {
        int32_t room = (round->item_count + row->partition_count) * 2;
        struct maintain_item *grown = kfl__realloc(round->items, (size_t)room * sizeof *grown);
        if (grown == NULL)
            return kfl__fail(KFL_E_NOMEM, "a list of %d partitions: out of memory", room);
        round->items = grown;
        round->item_room = room;
    }
    for (int32_t i = 0; i < row->partition_count; i++)
        round->items[round->item_count++] = (struct maintain_item){row->topic_id, i};
    return 0;
}

static int maintain_list(struct kfl__catalog_txn *txn, void *context)
{
    struct maintain_round *round = context;
    round->item_count = 0;
    return kfl__topics_list(txn, maintain_add, round);
}

static void maintain_forget(struct maintain_round *round)
{
    kfl__compaction_end(round->compaction);
    kfl__free(round->items);
    *round = (struct maintain_round){0};
}

/* ---- one partition ---- */

/* What of the numbers belongs to the partition at hand, on top of what is done. */
static void maintain_add_compaction(kfl_progress *progress, const struct kfl__compact_done *done)
{
    progress->compacted_segments += done->segments;
    progress->written_bytes += done->written_bytes;
    progress->freed_bytes += done->freed_bytes;
    progress->kept_records += done->kept;
    progress->removed_records += done->removed;
    progress->kept_tombstones += done->kept_tombstones;
    progress->removed_tombstones += done->removed_tombstones;
}

static int maintain_retain(struct maintain_round *round, struct kfl__partition *partition)
{
    struct kfl__retention_done done = {0};
    int r = kfl__retention_run(partition, &done);
    round->progress.deleted_segments += done.segments;
    round->progress.deleted_bytes += done.bytes;
    return r;
}

static bool maintain_rolls(const struct maintain_round *round)
{
    return (round->flags & KFL_COMPACT_ROLL) != 0 && (round->flags & KFL_COMPACT_DRY_RUN) == 0;
}

/* A file that takes appends is not compacted: it takes no more from here on. */
static int maintain_roll(struct maintain_round *round, struct kfl__partition *partition)
{
    int r = kfl__partition_recovered(partition);
    if (r == 0 && round->upto == 0)
        round->upto = kfl__slot_end(partition->slot);
    return r < 0 ? r : kfl__partition_roll_behind(partition, round->upto - 1);
}

/* A sync that found its leader dead has copied what was in doubt into a file that takes appends. */
static bool maintain_is_undone(const struct maintain_round *round, struct kfl__partition *partition)
{
    int64_t active, base;
    if (!maintain_rolls(round))
        return false;
    kfl__partition_active(partition, &active, &base);
    return active != 0 && base < round->upto &&
           kfl__word_place(atomic_load(&partition->slot->published)) != KFL_SEGMENT_FIRST_PLACE;
}

static int maintain_begin_compaction(struct maintain_round *round, struct kfl__partition *partition)
{
    struct kfl__compact_wish wish = {
        .force = (round->flags & KFL_COMPACT_FORCE) != 0,
        .dry = (round->flags & KFL_COMPACT_DRY_RUN) != 0,
    };
    struct kfl__compact_plan plan;
    int r = 0;
    if ((kfl__topic_shape(partition->topic)->settings->cleanup_policy & KFL_CLEANUP_COMPACT) == 0)
        return 0;
    if (maintain_rolls(round))
        r = maintain_roll(round, partition);
    if (r == 0)
        r = kfl__compaction_begin(partition, &wish, &plan, &round->compaction);
    return r == KFL_COMPACT_NOTHING ? 0 : r;
}

/* 1: the deadline came first. */
static int maintain_compact(struct maintain_round *round, int64_t deadline_ns)
{
    int r = kfl__compaction_step(round->compaction, deadline_ns);
    if (r == 1)
        return 1;
    maintain_add_compaction(&round->progress, kfl__compaction_done(round->compaction));
    kfl__compaction_end(round->compaction);
    round->compaction = NULL;
    return r;
}

static int maintain_partition(struct kfl__core *core, struct maintain_round *round,
                              struct kfl__partition *partition, int64_t deadline_ns)
{
    int r = 0;
    do {
        if (round->compaction == NULL)
            r = maintain_begin_compaction(round, partition);
        if (r == 0 && round->compaction != NULL)
            r = maintain_compact(round, deadline_ns);
    } while (r == 0 && maintain_is_undone(round, partition) && atomic_load(&core->closing) == 0);
    return r;
}

static int maintain_visit(struct kfl__core *core, struct maintain_round *round, int64_t deadline_ns)
{
    const struct maintain_item *item = &round->items[round->at];
    struct kfl__partition *partition;
    struct kfl__topic *topic = NULL;
    int r = kfl__topic_find_id(core, item->topic_id, &topic);
    if (r == 0)
        r = kfl__topic_current(topic);
    if (r == 0)
        r = kfl__topic_partition(topic, item->partition, &partition);
    if (r == 0 && round->topic_id == 0 && round->compaction == NULL)
        r = maintain_retain(round, partition);
    if (r == 0)
        r = maintain_partition(core, round, partition, deadline_ns);
    kfl__topic_release(topic);
    if (r < 0) {
        kfl__compaction_end(round->compaction);
        round->compaction = NULL;
    }
    return r == KFL_E_UNKNOWN_TOPIC_OR_PARTITION ? 0 : r; /* deleted meanwhile */
}

/* ---- the round ---- */

/* Busy. 1: the deadline came first. */
static int maintain_go_on(struct maintain *maintain, struct maintain_round *round,
                          int64_t deadline_ns)
{
    struct kfl__core *core = maintain->core;
    if (round->items == NULL) {
        int r = kfl__catalog_look(core->catalog, maintain_list, round);
        if (r < 0)
            return r;
    }
    while (round->at < round->item_count) {
        if (atomic_load(&core->closing) != 0 || atomic_load(&maintain->stop) != 0)
            return kfl__fail(KFL_E_CLOSED, "the store %s is closed", core->path);
        int r = maintain_visit(core, round, deadline_ns);
        if (r == 1)
            return 1;
        /* One that cannot be maintained must not keep the others from it. */
        if (r < 0 && round->failed == 0) {
            round->failed = r;
            kfl__error_save(&round->words);
        }
        round->at++;
        round->upto = 0;
        if (deadline_ns >= 0 && round->at < round->item_count &&
            kfl__clock_steady_ns() >= deadline_ns)
            return 1;
    }
    if (round->failed < 0)
        kfl__error_restore(&round->words);
    return round->failed;
}

static void maintain_tell(const struct maintain_round *round, kfl_progress *progress)
{
    *progress = round->progress;
    progress->partition = -1;
    if (round->at < round->item_count)
        progress->partition = round->items[round->at].partition;
    progress->partitions_left = round->item_count - round->at;
    if (round->compaction != NULL) {
        const struct kfl__compact_done *done = kfl__compaction_done(round->compaction);
        maintain_add_compaction(progress, done);
        progress->read_bytes = done->read_bytes;
        progress->total_bytes = done->total_bytes;
    }
}

static int maintain_run(struct kfl__core *core, uint64_t topic_id, int flags, int64_t deadline_ns,
                        kfl_progress *progress)
{
    struct maintain *maintain = core->maintain;
    struct maintain_round *round = topic_id == 0 ? &maintain->all : &maintain->asked;
    kfl__mutex_lock(&maintain->lock);
    while (maintain->busy)
        if (kfl__condition_wait(&maintain->moved, &maintain->lock, deadline_ns) ==
            KFL_WAIT_TIMEOUT) {
            kfl__mutex_unlock(&maintain->lock);
            return 1;
        }
    maintain->busy = true;
    kfl__mutex_unlock(&maintain->lock);
    if (round->topic_id != topic_id || round->flags != flags) {
        maintain_forget(round); /* who asked for that has stopped asking */
        round->topic_id = topic_id;
        round->flags = flags;
    }
    int r = maintain_go_on(maintain, round, deadline_ns);
    maintain_tell(round, progress);
    if (r != 1)
        maintain_forget(round);
    kfl__mutex_lock(&maintain->lock);
    maintain->busy = false;
    kfl__condition_signal(&maintain->moved);
    kfl__mutex_unlock(&maintain->lock);
    return r;
}

int kfl__maintain_run(struct kfl__core *core, int64_t deadline_ns, kfl_progress *progress)
{
    return maintain_run(core, 0, 0, deadline_ns, progress);
}

int kfl__maintain_compact(struct kfl__core *core, uint64_t topic_id, int flags, int64_t deadline_ns,
                          kfl_progress *progress)
{
    return maintain_run(core, topic_id, flags, deadline_ns, progress);
}

/* ---- the thread ---- */

static void *maintain_thread(void *context)
{
    struct maintain *maintain = context;
    struct kfl__core *core = maintain->core;
    int64_t interval_ms =
        core->settings->log_retention_check_interval_ms < core->settings->log_cleaner_backoff_ms
            ? core->settings->log_retention_check_interval_ms
            : core->settings->log_cleaner_backoff_ms;
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
    /* What was begun and left is thrown away while there is a catalog to note it in. */
    maintain_forget(&maintain->all);
    maintain_forget(&maintain->asked);
}

void kfl__maintain_destroy(struct kfl__core *core)
{
    struct maintain *maintain = core->maintain;
    if (maintain == NULL)
        return;
    kfl__condition_destroy(&maintain->moved);
    kfl__mutex_destroy(&maintain->lock);
    kfl__free(maintain);
    core->maintain = NULL;
}
