/* SPDX-License-Identifier: MIT */
/*
 * Open and close.
 *
 * The same directory opened again in this process shares one core, found by device and inode; LMDB must
 * never be opened twice, and one process must be one presence. Everything that decides who is alone
 * happens under byte 0 of LOCK: joining, rebuilding the state file, sweeping what the killed left, and the
 * clean note of the last to leave.
 */
#include "api/store.h"

#include <string.h>

#include "api/join.h"
#include "api/memory.h"
#include "base/file.h"
#include "base/map.h"
#include "base/memory.h"
#include "base/patience.h"
#include "base/process.h"
#include "base/wait.h"
#include "catalog/history.h"
#include "engine/callers.h"
#include "engine/clean.h"
#include "engine/committer.h"
#include "engine/expiry.h"
#include "engine/hands.h"
#include "engine/janitor.h"
#include "engine/listener.h"
#include "engine/lookout.h"
#include "engine/maintain.h"
#include "engine/departures.h"
#include "engine/members.h"
#include "engine/notify.h"

#define STORE_CLOSE_WAIT_MS 10000

/* All stores that this process has open. */
static pthread_once_t stores_once = PTHREAD_ONCE_INIT;
static struct kfl__mutex stores_lock;
static struct kfl_store *stores;
static void *stores_fork_page;

/* In the child of a fork, first of all: give LOCK back, or the parent would seem to live for ever (R19). */
static void stores_forked(void)
{
    for (struct kfl_store *store = stores; store != NULL; store = store->next)
        kfl__presence_forked(&store->core->presence);
    /* What the parent has open is none of ours: forget it, whatever another thread was at. */
    stores = NULL;
    stores_fork_page = NULL;
    (void)kfl__mutex_init(&stores_lock, KFL_RANK_STORE);
}

static void stores_begin(void)
{
    if (kfl__mutex_init(&stores_lock, KFL_RANK_STORE) == 0)
        pthread_atfork(NULL, NULL, stores_forked);
}

/* Holding the list: a page of this process; what is opened while it stands is found dead in a child. */
static int stores_page(void)
{
    if (stores_fork_page != NULL && *(volatile uint8_t *)stores_fork_page == 0)
        stores_forked(); /* a child of a bare clone(), which runs no handlers */
    if (stores_fork_page != NULL)
        return 0;
    int r = kfl__map_fork_page(&stores_fork_page);
    if (r == 0)
        *(volatile uint8_t *)stores_fork_page = 1;
    return r;
}

void kfl__core_acquire(struct kfl__core *core)
{
    kfl__count_acquire(&core->count);
}

void kfl__core_release(struct kfl__core *core)
{
    if (core == NULL || !kfl__count_release(&core->count))
        return;
    kfl__hands_destroy(core);
    kfl__topics_close(core);
    kfl__lookout_destroy(core);
    kfl__committer_destroy(core);
    kfl__listener_destroy(core);
    kfl__janitor_destroy(core);
    kfl__state_detach(core->state);
    kfl_config_destroy(core->config);
    kfl__callers_destroy(core);
    kfl__mutex_destroy(&core->registry);
    kfl__free(core->path);
    kfl__free(core);
}

int kfl__store_check(const kfl_store *store)
{
    return store == NULL ? kfl__fail(KFL_E_INVALID, "the store is NULL") : kfl__core_check(store->core);
}

int kfl__store_check_writable(const kfl_store *store)
{
    return store == NULL ? kfl__fail(KFL_E_INVALID, "the store is NULL") : kfl__core_check_writable(store->core);
}

int kfl__store_partition(const kfl_store *store, const char *topic_name, int32_t number, struct kfl__topic **out_topic,
                         struct kfl__partition **out_partition)
{
    struct kfl__topic *topic = NULL;
    int r = kfl__topic_find(store->core, topic_name, &topic);
    if (r < 0)
        return r;
    r = kfl__topic_partition(topic, number, out_partition);
    if (r < 0) {
        kfl__topic_release(topic);
        return r;
    }
    *out_topic = topic;
    return 0;
}

/* ---- opening ---- */

static void core_close_resources(struct kfl__core *core)
{
    kfl__catalog_close(core->catalog);
    core->catalog = NULL;
    if (core->presence.lock_fd >= 0)
        kfl__presence_leave(&core->presence, core->state == NULL || core->detached ? NULL : kfl__state_entries(core->state));
    kfl__file_close(core->directory);
    core->directory = -1;
    if (core->memory)
        kfl__memory_remove(core->path);
}

static int core_make(const char *path, const kfl_config *config, struct kfl__core **out_core)
{
    struct kfl__core *core = kfl__alloc(sizeof *core);
    if (core == NULL)
        return kfl__fail(KFL_E_NOMEM, "%s: out of memory", path);
    kfl__count_init(&core->count);
    core->directory = -1;
    core->presence.lock_fd = -1;
    core->presence.entry = -1;
    core->fork_page = stores_fork_page;
    kfl__clock_init(&core->clock);
    int r = kfl__mutex_init(&core->registry, KFL_RANK_REGISTRY);
    if (r == 0 && (r = kfl__callers_init(core)) < 0)
        kfl__mutex_destroy(&core->registry);
    if (r == 0 && (r = kfl__config_copy(config, &core->config)) < 0) {
        kfl__callers_destroy(core);
        kfl__mutex_destroy(&core->registry);
    }
    if (r < 0) {
        kfl__free(core);
        return r;
    }
    core->settings = kfl__config_settings(core->config);
    core->read_only = core->settings->read_only != 0;
    core->memory = strcmp(path, ":memory:") == 0;
    r = core->memory ? kfl__memory_make(&core->path) : kfl__file_absolute(path, &core->path);
    if (r < 0) {
        kfl__core_release(core);
        return r;
    }
    *out_core = core;
    return 0;
}

static int core_open(const char *path, const kfl_config *config, struct kfl__core **out_core)
{
    struct kfl__file_identity identity;
    struct kfl__core *core = NULL;
    int r = core_make(path, config, &core);
    if (r < 0)
        return r;
    bool create = core->settings->create != 0 && !core->read_only;
    r = kfl__join_folder(core, create);
    if (r == 0)
        r = kfl__file_identity(core->directory, &identity);
    if (r < 0)
        goto fail;
    core->device = identity.device;
    core->inode = identity.inode;
    for (struct kfl_store *store = stores; store != NULL; store = store->next) {
        struct kfl__core *open = store->core;
        if (open->device != core->device || open->inode != core->inode)
            continue;
        if (!kfl__config_equal(open->config, core->config, KFL_SCOPE_STORE)) {
            r = kfl__fail(KFL_E_OPTIONS_DIFFER, "%s is open in this process with other properties", core->path);
            goto fail;
        }
        kfl__core_acquire(open);
        kfl__file_close(core->directory);
        kfl__core_release(core);
        *out_core = open;
        return 0;
    }
    r = kfl__join(core, create);
    if (r == 0)
        r = kfl__janitor_start(core);
    if (r == 0)
        r = kfl__committer_start(core);
    if (r == 0)
        r = kfl__expiry_start(core);
    if (r < 0)
        goto fail;
    *out_core = core;
    return 0;
fail: {
    struct kfl__words words;
    kfl__error_save(&words);
    core_close_resources(core);
    kfl__core_release(core);
    kfl__error_restore(&words);
    return r;
}
}

int kfl_store_open(const char *path, const kfl_config *config, kfl_store **out_store)
{
    if (path == NULL || out_store == NULL || path[0] == '\0')
        return kfl__fail(KFL_E_INVALID, "kfl_store_open: path or out_store is missing");
    int r = kfl__config_check(config, KFL_SCOPE_STORE, true, true);
    if (r < 0)
        return r;
    pthread_once(&stores_once, stores_begin);
    kfl_store *store = kfl__alloc(sizeof *store);
    if (store == NULL || (store->path = kfl__copy_string(path)) == NULL) {
        kfl__free(store);
        return kfl__fail(KFL_E_NOMEM, "%s: out of memory", path);
    }
    int32_t patience = kfl__patience_set(-1); /* what is half open has no handle to go on with */
    kfl__mutex_lock(&stores_lock);
    r = stores_page();
    if (r == 0)
        r = core_open(path, config, &store->core);
    kfl__patience_set(patience);
    if (r == 0) {
        store->next = stores;
        stores = store;
    }
    kfl__mutex_unlock(&stores_lock);
    if (r < 0) {
        kfl__free(store->path);
        kfl__free(store);
        return r;
    }
    *out_store = store;
    return 0;
}

/* ---- closing ---- */

static void core_wake_all(struct kfl__core *core)
{
    kfl__notify_wake_process(core);
    kfl__clean_wake_waiters(core);
}

static void core_wait_outside(struct kfl__core *core)
{
    int64_t deadline = kfl__clock_deadline_ns(STORE_CLOSE_WAIT_MS);
    while ((atomic_load(&core->inside) > 0 || kfl__callers_inside(core)) && kfl__clock_steady_ns() < deadline) {
        _Atomic uint32_t pause = 0;
        core_wake_all(core);
        (void)kfl__wait(&pause, 0, kfl__clock_steady_ns() + 1000000);
    }
}

static int store_put_leave(struct kfl__catalog_txn *txn, void *context)
{
    struct kfl__core *core = context;
    struct kfl__history_row row = {
        .time_ms = kfl__clock_wall_ms(&core->clock),
        .process_id = core->presence.pid,
        .kind = KFL_HISTORY_CLOSE,
        .partition = -1,
    };
    kfl__process_name(core->presence.pid, row.program);
    return kfl__history_add(txn, &row);
}

/* Consumers that are still open: what they have committed by now is committed, and their places are free. */
static int core_leave_groups(struct kfl__core *core)
{
    (void)kfl__committer_run(core);
    return kfl__members_sweep(core, true);
}

/* The last handle of this process. What the syncs meet is the close's answer. */
static int core_shut(struct kfl__core *core)
{
    bool others = true;
    int r = 0;
    atomic_store(&core->closing, 1);
    core_wait_outside(core);
    kfl__lookout_stop(core);
    kfl__janitor_stop(core);
    kfl__hands_stop(core);
    kfl__listener_stop(core);
    if (!core->read_only) {
        r = core_leave_groups(core);
        int synced = kfl__clean_sync(core);
        r = r < 0 ? r : synced;
        int alone = kfl__presence_reenter(&core->presence);
        if (alone >= 0)
            alone = kfl__presence_others(&core->presence, kfl__state_entries(core->state), &others);
        if (r == 0 && alone >= 0 && !others)
            r = kfl__clean_note(core);
        if (alone >= 0) {
            int put = kfl__catalog_change_run(core->catalog, store_put_leave, core);
            r = r < 0 ? r : put;
        }
    }
    atomic_store(&core->closing, 2);
    core_wake_all(core);
    struct kfl__words words;
    kfl__error_save(&words);
    core_close_resources(core);
    kfl__error_restore(&words);
    return r < 0 ? r : 0;
}

int kfl_store_close(kfl_store *store)
{
    if (store == NULL)
        return 0;
    struct kfl__core *core = store->core;
    bool last = true;
    int r = 0;
    if (core->fork_page[0] == 0) {
        /* A child gives back the handle's memory and nothing else: the rest is the parent's. */
        r = kfl__fail(KFL_E_FORKED, "%s was opened before fork(): the parent closes it", store->path);
        kfl__free(store->path);
        kfl__free(store);
        return r;
    }
    kfl__mutex_lock(&stores_lock);
    for (struct kfl_store **at = &stores; *at != NULL;) {
        if (*at == store) {
            *at = store->next;
            continue;
        }
        if ((*at)->core == core)
            last = false;
        at = &(*at)->next;
    }
    int32_t patience = kfl__patience_set(-1);
    if (last)
        r = core_shut(core);
    kfl__mutex_unlock(&stores_lock);
    kfl__core_release(core);
    kfl__patience_set(patience);
    kfl__free(store->path);
    kfl__free(store);
    return r;
}

const char *kfl_store_path(const kfl_store *store)
{
    return store == NULL ? "" : store->path;
}

int kfl_store_set_clock(kfl_store *store, int64_t wall_ms)
{
    int r = kfl__store_check(store);
    if (r == 0 && wall_ms < -1)
        r = kfl__fail(KFL_E_INVALID, "kfl_store_set_clock: %lld is no time", (long long)wall_ms);
    if (r == 0)
        kfl__clock_set(&store->core->clock, wall_ms);
    return r;
}

int kfl_store_sync(kfl_store *store, int32_t timeout_ms)
{
    int r = kfl__store_check_writable(store);
    if (r == 0 && timeout_ms < -1)
        r = kfl__fail(KFL_E_INVALID, "kfl_store_sync: timeout_ms %d", timeout_ms);
    if (r < 0)
        return r;
    r = kfl__core_enter(store->core);
    if (r < 0)
        return r;
    r = kfl__clean_sync_until(store->core, kfl__clock_deadline_ns(timeout_ms));
    kfl__core_leave(store->core);
    return r;
}

int kfl_store_maintain(kfl_store *store, int32_t budget_ms, kfl_progress *out_progress)
{
    int64_t deadline = budget_ms < 0 ? -1 : kfl__clock_deadline_ns(budget_ms);
    kfl_progress progress = {0};
    int r = kfl__store_check_writable(store);
    if (r == 0)
        r = kfl__core_enter(store->core);
    if (r < 0)
        return r;
    int more = kfl__janitor_run(store->core, budget_ms);
    r = kfl__maintain_run(store->core, deadline, &progress);
    kfl__core_leave(store->core);
    if (r >= 0)
        r = r > 0 || more > 0;
    if (r >= 0 && out_progress != NULL)
        *out_progress = progress;
    return r;
}
