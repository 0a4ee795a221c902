/* SPDX-License-Identifier: MIT */
/*
 * When to flush, prepare, note, seal.
 *
 * Every process has a helper thread, and any of them may do any of the work: a sync has one leader anyway,
 * and what another helper has done is found done. It sleeps until the next thing is due, on a word in the
 * state file by which appends ask for a prepared segment. A store without the thread does the same work
 * in kfl_store_maintain(), and appends bring about what they need themselves.
 */
#include "engine/janitor.h"

#include <signal.h>
#include <sys/single_threaded.h>

#include "base/barrier.h"
#include "base/memory.h"
#include "base/wait.h"
#include "catalog/topics.h"
#include "engine/maintain.h"
#include "engine/room.h"
#include "engine/segments.h"
#include "engine/sync.h"
#include "engine/topics.h"

#define JANITOR_REST_NS INT64_C(1000000000)
#define JANITOR_NOTE_NS INT64_C(1000000000)
/* A partition that took no append for so many notes gives back its files. */
#define JANITOR_REST_ROUNDS 30

struct janitor_chore {
    kfl__janitor_chore *chore;
    void *context;
};

struct janitor {
    struct kfl__core *core;
    struct kfl__mutex lock; /* guards the chores; held while they run */
    struct janitor_chore *chores;
    int32_t chore_count, chore_room;
    _Atomic int stop;
    _Atomic uint32_t word; /* of this process: raised to wake the thread */
    _Atomic uint32_t sleeps;
    _Atomic uint64_t topics_word; /* of the last round that noted */
    _Atomic int64_t noted_at_ns; /* rounds of the helper and of kfl_store_maintain() may run at once */
};

/* One round over the open partitions. */
struct janitor_round {
    struct janitor *janitor;
    int64_t now_ns, budget_ends_ns; /* -1: no budget */
    int64_t next_ns;                /* when something is due again; INT64_MAX: nothing is */
    bool note;
    bool more;
};

static int64_t janitor_flush_ms(const struct kfl__topic *topic)
{
    const struct kfl__topic_shape *shape = kfl__topic_shape(topic);
    return kfl_config_is_set(shape->config, "flush.ms") ? shape->settings->flush_ms : topic->core->settings->flush_ms;
}

static void janitor_due(struct janitor_round *round, int64_t at_ns)
{
    if (at_ns < round->next_ns)
        round->next_ns = at_ns;
}

/* When what was appended first after the last sync is to be synced at the latest; -1: nothing is. */
static int64_t janitor_flush_due(struct kfl__slot *slot, int64_t now_ns, int64_t flush_ms)
{
    int64_t since = atomic_load(&slot->unsynced_since_ns);
    if (since == 0) {
        /* An append does not wait for its note to be seen, so a sync that began just then may have missed both. */
        if (atomic_load(&slot->durable_offset) >= kfl__slot_end(slot))
            return -1;
        if (atomic_compare_exchange_strong(&slot->unsynced_since_ns, &since, now_ns))
            since = now_ns;
    }
    return flush_ms > INT64_MAX / 2000000 ? INT64_MAX : since + flush_ms * 1000000;
}

static int janitor_flush(struct janitor_round *round, struct kfl__partition *partition, int64_t flush_ms)
{
    struct kfl__slot *slot = partition->slot;
    int64_t end = kfl__slot_end(slot);
    int64_t since = atomic_load(&slot->unsynced_since_ns);
    bool asked = atomic_exchange(&partition->sync_asked, 0) != 0;
    int64_t due = janitor_flush_due(slot, round->now_ns, flush_ms);
    if (due < 0 || atomic_load(&slot->failed) != 0)
        return 0;
    if (due > round->now_ns) {
        janitor_due(round, due);
        return asked ? kfl__sync_full_files(partition, kfl__clock_deadline_ns(10000)) : 0;
    }
    if (atomic_load(&slot->durable_offset) >= end) {
        atomic_compare_exchange_strong(&slot->unsynced_since_ns, &since, 0);
        return 0;
    }
    return kfl__sync_wait(partition, end, kfl__clock_deadline_ns(10000));
}

static int janitor_put_note(struct kfl__catalog_txn *txn, void *context)
{
    return kfl__sync_put_note(txn, context);
}

/* R24: so that the walk after a power cut is short. */
static int janitor_note(struct kfl__partition *partition)
{
    struct kfl__slot *slot = partition->slot;
    struct kfl__sync_note note;
    kfl__sync_note(partition, &note);
    if (note.offset == atomic_load(&slot->noted_offset) || note.word == 0)
        return 0;
    int r = kfl__catalog_change_run(partition->core->catalog, janitor_put_note, &note);
    if (r == 0)
        atomic_store(&slot->noted_offset, note.offset);
    return r;
}

/* Descriptors and maps that were not used for a while go back. */
static void janitor_give_back(struct janitor_round *round, struct kfl__partition *partition)
{
    struct kfl__slot *slot = partition->slot;
    int64_t end = kfl__slot_end(slot);
    if (kfl__segment_count_reading() > KFL_SEGMENTS_OPEN)
        (void)kfl__partition_give_back(partition, partition->view_uses_seen);
    kfl__mutex_lock(&partition->view_lock);
    partition->view_uses_seen = partition->view_uses;
    kfl__mutex_unlock(&partition->view_lock);
    if (!round->note)
        return;
    if (end != partition->rest_offset || atomic_load(&slot->durable_offset) < end) {
        partition->rest_offset = end;
        partition->rest_rounds = 0;
    } else if (++partition->rest_rounds == JANITOR_REST_ROUNDS) {
        kfl__partition_rest(partition);
    }
}

static int janitor_visit_partition(struct janitor_round *round, struct kfl__topic *topic, struct kfl__partition *partition)
{
    struct kfl__slot *slot = partition->slot;
    if (atomic_load(&slot->ready) != KFL_SLOT_READY ||
        !kfl__slot_is(slot, topic->id, (uint32_t)partition->number, partition->incarnation))
        return 0;
    /* A failure here is met again, and told, by whoever appends or waits: the round goes on. */
    (void)kfl__partition_prepare_ahead(partition);
    (void)janitor_flush(round, partition, janitor_flush_ms(topic));
    if (round->note) {
        kfl__segments_look_after(partition);
        (void)janitor_note(partition);
        if (kfl__partition_seal(partition) > 0)
            round->more = true;
    }
    janitor_give_back(round, partition);
    return round->budget_ends_ns >= 0 && kfl__clock_steady_ns() > round->budget_ends_ns ? KFL_E_TIMEOUT : 0;
}

static int janitor_visit(struct kfl__topic *topic, void *context)
{
    struct janitor_round *round = context;
    const struct kfl__topic_shape *shape = kfl__topic_shape(topic);
    int r = 0;
    for (int32_t i = 0; i < shape->partition_count && r == 0; i++) {
        struct kfl__partition *partition =
            atomic_load_explicit(&((struct kfl__topic_shape *)(uintptr_t)shape)->partitions[i], memory_order_acquire);
        if (partition != NULL)
            r = janitor_visit_partition(round, topic, partition);
    }
    return r;
}

/* Slots with bytes that nobody has synced for long, of topics that this process does not have open: their writers may be dead. */
static void janitor_adopt(struct janitor_round *round)
{
    struct kfl__core *core = round->janitor->core;
    uint32_t count = atomic_load(&core->shared->slot_count);
    for (uint32_t n = 0; n < count; n++) {
        struct kfl__slot *slot;
        struct kfl__topic *topic = NULL;
        struct kfl__partition *partition;
        if (kfl__state_slot(core->state, n, &slot) < 0)
            return;
        if (atomic_load(&slot->ready) != KFL_SLOT_READY || atomic_load(&slot->deleted) != 0)
            continue;
        int64_t due = janitor_flush_due(slot, round->now_ns, core->settings->flush_ms);
        if (due < 0 || due > round->now_ns - JANITOR_REST_NS / 2)
            continue;
        if (kfl__topic_find_id(core, atomic_load(&slot->topic_id), &topic) < 0)
            continue;
        (void)kfl__topic_partition(topic, (int32_t)atomic_load(&slot->partition), &partition);
        kfl__topic_release(topic);
    }
}

static void janitor_run_chores(struct janitor *janitor, struct janitor_round *round)
{
    kfl__mutex_lock(&janitor->lock);
    for (int32_t i = 0; i < janitor->chore_count; i++) {
        int64_t at = janitor->chores[i].chore(janitor->chores[i].context, round->now_ns);
        if (at >= 0)
            janitor_due(round, at);
    }
    kfl__mutex_unlock(&janitor->lock);
}

/* A change of topics that did not come to its end from one round to the next: its process may be dead. */
static void janitor_settle_topics(struct janitor *janitor)
{
    struct kfl__core *core = janitor->core;
    uint64_t word = atomic_load(&core->shared->topics_version);
    if (atomic_exchange(&janitor->topics_word, word) == word)
        (void)kfl__topics_catch_up(core, word);
}

static void janitor_round(struct janitor *janitor, struct janitor_round *round)
{
    round->janitor = janitor;
    round->now_ns = kfl__clock_steady_ns();
    round->next_ns = INT64_MAX;
    round->note = round->now_ns - atomic_load(&janitor->noted_at_ns) >= JANITOR_NOTE_NS || round->budget_ends_ns >= 0;
    janitor_run_chores(janitor, round);
    kfl__room_make(janitor->core);
    if (round->note) {
        janitor_settle_topics(janitor);
        janitor_adopt(round);
    }
    if (kfl__topics_visit_open(janitor->core, janitor_visit, round) == KFL_E_TIMEOUT)
        round->more = true;
    if (round->note)
        atomic_store(&janitor->noted_at_ns, round->now_ns);
}

static void *janitor_thread(void *context)
{
    struct janitor *janitor = context;
    pthread_setname_np(pthread_self(), "kafkalite");
    while (atomic_load(&janitor->stop) == 0) {
        uint32_t word = atomic_load(&janitor->word);
        struct janitor_round round = {.budget_ends_ns = -1};
        janitor_round(janitor, &round);
        if (round.note)
            kfl__maintain_look(janitor->core);
        kfl__barrier_join(); /* a call the first time only */
        int64_t rest = kfl__clock_steady_ns() + JANITOR_REST_NS;
        if (round.next_ns < rest)
            rest = round.next_ns;
        atomic_store(&janitor->sleeps, 1);
        if (atomic_load(&janitor->stop) == 0 && !round.more)
            (void)kfl__wait(&janitor->word, word, rest);
        atomic_store(&janitor->sleeps, 0);
    }
    return NULL;
}

int kfl__janitor_start(struct kfl__core *core)
{
    struct janitor *janitor = kfl__alloc(sizeof *janitor);
    sigset_t all, before;
    if (janitor == NULL)
        return kfl__fail(KFL_E_NOMEM, "%s: out of memory", core->path);
    int r = kfl__mutex_init(&janitor->lock, KFL_RANK_STORE);
    if (r < 0) {
        kfl__free(janitor);
        return r;
    }
    janitor->core = core;
    core->janitor = janitor;
    kfl__segment_learn_limits();
    if (__libc_single_threaded && !core->read_only)
        kfl__barrier_join();
    r = kfl__maintain_create(core);
    if (r < 0 || core->read_only || core->settings->background_threads == 0)
        return r;
    /* The host's signals are none of the helper's business (R19). */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    core->helper_runs = pthread_create(&core->helper, NULL, janitor_thread, janitor) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return 0;
}

void kfl__janitor_stop(struct kfl__core *core)
{
    struct janitor *janitor = core->janitor;
    if (janitor == NULL)
        return;
    if (core->helper_runs) {
        atomic_store(&janitor->stop, 1);
        atomic_fetch_add(&janitor->word, 1);
        kfl__wake(&janitor->word, INT32_MAX);
        pthread_join(core->helper, NULL);
        core->helper_runs = false;
    }
    kfl__maintain_stop(core);
}

void kfl__janitor_destroy(struct kfl__core *core)
{
    struct janitor *janitor = core->janitor;
    if (janitor == NULL)
        return;
    kfl__maintain_destroy(core);
    kfl__mutex_destroy(&janitor->lock);
    kfl__free(janitor->chores);
    kfl__free(janitor);
    core->janitor = NULL;
}

void kfl__janitor_wake(struct kfl__core *core)
{
    struct janitor *janitor = core->janitor;
    atomic_fetch_add(&janitor->word, 1);
    if (atomic_load(&janitor->sleeps) != 0)
        kfl__wake(&janitor->word, INT32_MAX);
}

void kfl__janitor_sync(struct kfl__partition *partition)
{
    atomic_store(&partition->sync_asked, 1);
    kfl__janitor_wake(partition->core);
}

int kfl__janitor_run(struct kfl__core *core, int32_t budget_ms)
{
    struct janitor *janitor = core->janitor;
    struct janitor_round round = {.budget_ends_ns = budget_ms < 0 ? INT64_MAX : kfl__clock_deadline_ns(budget_ms)};
    janitor_round(janitor, &round);
    return round.more ? 1 : 0;
}

int kfl__janitor_add(struct kfl__core *core, kfl__janitor_chore *chore, void *context)
{
    struct janitor *janitor = core->janitor;
    int r = 0;
    kfl__mutex_lock(&janitor->lock);
    if (janitor->chore_count == janitor->chore_room) {
        int32_t room = janitor->chore_room == 0 ? 4 : janitor->chore_room * 2;
        struct janitor_chore *grown = kfl__realloc(janitor->chores, (size_t)room * sizeof *grown);
        if (grown == NULL)
            r = kfl__fail(KFL_E_NOMEM, "%s: out of memory", core->path);
        else {
            janitor->chores = grown;
            janitor->chore_room = room;
        }
    }
    if (r == 0)
        janitor->chores[janitor->chore_count++] = (struct janitor_chore){chore, context};
    kfl__mutex_unlock(&janitor->lock);
    return r;
}

void kfl__janitor_remove(struct kfl__core *core, kfl__janitor_chore *chore, void *context)
{
    struct janitor *janitor = core->janitor;
    kfl__mutex_lock(&janitor->lock);
    for (int32_t i = 0; i < janitor->chore_count; i++)
        if (janitor->chores[i].chore == chore && janitor->chores[i].context == context) {
            janitor->chores[i] = janitor->chores[--janitor->chore_count];
            break;
        }
    kfl__mutex_unlock(&janitor->lock);
}
