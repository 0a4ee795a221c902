/* SPDX-License-Identifier: MIT */
/*
 * Joining a store: its folder, who else lives there, the catalog, the state file.
 *
 * Everything that decides who is alone happens under byte 0 of LOCK. Whoever finds nobody living has the
 * catalog's file checked, takes over the state file of this boot or makes a new one, tells the history who
 * was killed, and sweeps what they left.
 */
#include "api/join.h"

#include <errno.h>
#include <string.h>

#include "api/memory.h"
#include "base/file.h"
#include "base/file_system.h"
#include "base/process.h"
#include "catalog/history.h"
#include "engine/topics.h"
#include "format/names.h"

/* ---- the folder ---- */

/*
 * The folder's own name must survive before anything in it counts. While there is no catalog each opening sees to
 * that, since whoever made the folder may have died first. A parent that may not be opened is somebody else's care.
 */
static int join_sync_name(struct kfl__core *core)
{
    struct kfl__words words;
    int fd = -1;
    int r = kfl__file_open(core->directory, KFL_CATALOG_FILE, false, &fd);
    if (r != KFL_FILE_MISSING) {
        kfl__file_close(fd);
        return 0; /* whatever is wrong with it is told by who uses it */
    }
    kfl__error_save(&words);
    r = kfl__file_open_directory(core->directory, "..", &fd);
    kfl__error_restore(&words);
    if (r != 0)
        return 0;
    r = kfl__file_sync_directory(fd);
    kfl__file_close(fd);
    return r;
}

int kfl__join_folder(struct kfl__core *core, bool create)
{
    uint32_t mode = core->settings->file_mode;
    int r = kfl__file_open_directory(-1, core->path, &core->directory);
    if (r == KFL_FILE_MISSING && create) {
        r = kfl__file_make_directory(-1, core->path, mode | (mode & 0444) >> 2);
        if (r >= 0)
            r = kfl__file_open_directory(-1, core->path, &core->directory);
    }
    if (r == KFL_FILE_MISSING)
        r = kfl__fail(KFL_E_NOT_FOUND, "there is no directory %s", core->path);
    if (r == 0 && create)
        r = join_sync_name(core);
    return r < 0 ? r : 0;
}

static int join_check_file_system(struct kfl__core *core)
{
    enum kfl__file_system kind;
    int r = kfl__file_system_kind(core->directory, &kind);
    if (r < 0)
        return r;
    if (kind == KFL_FILE_SYSTEM_REMOTE && !core->read_only)
        return kfl__fail(KFL_E_UNSUPPORTED, "%s lies on a network file system: use a local one, or read.only=true", core->path);
    core->by_file = kind == KFL_FILE_SYSTEM_COPY_ON_WRITE;
    return 0;
}

static int join_count_entry(const char *name, void *context)
{
    (void)name;
    ++*(int *)context;
    return 0;
}

/* Is there a store, or may one be made? Before anything is created. */
static int join_look(struct kfl__core *core, bool create, bool *out_records)
{
    int fd = -1, folders = 0;
    int r = kfl__file_open_directory(core->directory, KFL_NAME_TOPICS, &fd);
    if (r == 0) {
        r = kfl__file_list(fd, join_count_entry, &folders);
        kfl__file_close(fd);
    }
    if (r < 0)
        return r;
    r = kfl__file_open(core->directory, KFL_CATALOG_FILE, false, &fd);
    if (r == 0)
        kfl__file_close(fd);
    if (r == KFL_FILE_MISSING && !create && folders == 0)
        return kfl__fail(KFL_E_NOT_FOUND, "there is no store in %s", core->path);
    if (r < 0)
        return r;
    *out_records = folders > 0;
    return 0;
}

/* ---- joining ---- */

struct join {
    struct kfl__core *core;
    struct kfl__catalog_store store;
    bool rebuild;
    int32_t killed_count;
    struct kfl__history_row killed[8];
};

static int join_get(struct kfl__catalog_txn *txn, void *context)
{
    return kfl__catalog_store_get(txn, context);
}

static int join_put(struct kfl__catalog_txn *txn, void *context)
{
    struct join *join = context;
    struct kfl__core *core = join->core;
    struct kfl__catalog_store store;
    struct kfl__history_row row = {
        .time_ms = kfl__clock_wall_ms(&core->clock),
        .process_id = core->presence.pid,
        .kind = KFL_HISTORY_OPEN,
        .partition = -1,
    };
    int r = kfl__catalog_store_get(txn, &store);
    if (r < 0)
        return r;
    if (join->rebuild) {
        store.open_number++;
        store.clean = false;
        r = kfl__catalog_store_put(txn, &store);
        if (r < 0)
            return r;
    }
    join->store = store;
    for (int32_t i = 0; i < join->killed_count; i++) {
        r = kfl__history_add(txn, &join->killed[i]);
        if (r < 0)
            return r;
    }
    kfl__process_name(core->presence.pid, row.program);
    return kfl__history_add(txn, &row);
}

/* Entries of processes that never left: they were killed. */
static void join_find_killed(struct join *join)
{
    struct kfl__core *core = join->core;
    struct kfl__presence_entry *entries = kfl__state_entries(core->state);
    for (uint32_t n = 0; n < KFL_PRESENCE_MAX; n++) {
        int32_t pid = atomic_load(&entries[n].pid);
        if (pid == 0 || kfl__presence_lives(&core->presence, entries, n, atomic_load(&entries[n].start)))
            continue;
        if (join->killed_count < (int32_t)(sizeof join->killed / sizeof join->killed[0])) {
            struct kfl__history_row *row = &join->killed[join->killed_count++];
            row->time_ms = kfl__clock_wall_ms(&core->clock);
            row->process_id = pid;
            row->kind = KFL_HISTORY_KILLED;
            row->partition = -1;
            memcpy(row->program, entries[n].program, sizeof row->program - 1);
        }
        atomic_store(&entries[n].pid, 0);
    }
}

/* Reading only, and nobody whose state file could be used: numbers of our own, in memory that has no name. */
static int join_private_state(struct kfl__core *core, const struct kfl__state_binding *binding)
{
    core->detached = true;
    return kfl__memory_state(binding, &core->state);
}

static int join_attach(struct kfl__core *core, bool others, struct join *join)
{
    struct kfl__state_binding binding = {.open_number = join->store.open_number, .file_mode = core->settings->file_mode, .held = others};
    memcpy(binding.store_id, join->store.store_id, sizeof binding.store_id);
    if (core->read_only && (!others || core->presence.shared))
        return join_private_state(core, &binding);
    int r = kfl__state_attach(core->directory, &binding, &core->state);
    if (r < 0)
        return r;
    if (r == KFL_STATE_STALE && others)
        return kfl__fail(KFL_E_CORRUPT,
                         "the state file in %s cannot be used, and other processes have the store open: close them, then open it again",
                         core->path);
    if (r == KFL_STATE_STALE) {
        join->rebuild = true;
        binding.open_number++;
        return kfl__state_rebuild(core->directory, &binding, &core->state);
    }
    /* A byte may be held by an orphaned child alone: the entries tell. */
    if (others)
        r = kfl__presence_others(&core->presence, kfl__state_entries(core->state), &others);
    if (r == 0 && !others)
        atomic_fetch_add(&kfl__state_header(core->state)->life, 1);
    return r;
}

/* Under byte 0. */
static int join_alone(struct kfl__core *core, bool create)
{
    struct join join = {.core = core};
    bool others = false;
    int r = kfl__presence_others(&core->presence, NULL, &others);
    if (r < 0)
        return r;
    struct kfl__catalog_options options = {
        .create = create,
        .read_only = core->read_only,
        .file_mode = core->settings->file_mode,
        .now_ms = kfl__clock_wall_ms(&core->clock),
        .check = !others,
    };
    r = kfl__catalog_open(core->directory, core->path, &options, &core->catalog);
    if (r == 0)
        r = kfl__catalog_look(core->catalog, join_get, &join.store);
    if (r == 0)
        r = join_attach(core, others, &join);
    if (r < 0)
        return r;
    core->shared = kfl__state_header(core->state);
    memcpy(core->store_id, join.store.store_id, sizeof core->store_id);
    if (core->detached)
        return 0;
    kfl__catalog_share(core->catalog, &core->shared->catalog_writers, &core->shared->catalog_readers);
    join_find_killed(&join);
    r = kfl__presence_join(&core->presence, kfl__state_entries(core->state));
    if (r < 0 || core->read_only)
        return r;
    r = kfl__catalog_change_run(core->catalog, join_put, &join);
    if (r < 0)
        return r;
    kfl__catalog_clear_dead_readers(core->catalog);
    return kfl__topics_sweep(core);
}

static int join_presence(struct kfl__core *core, bool create)
{
    int r = kfl__presence_enter(&core->presence, core->directory, core->settings->file_mode, core->read_only);
    if (r < 0)
        return r;
    if (r == KFL_FILE_MISSING) {
        /* Reading only, and nobody ever wrote here by this library's rules but left a catalog: look at it all the same. */
        core->presence.shared = true;
        return join_alone(core, create);
    }
    r = join_alone(core, create);
    struct kfl__words words;
    kfl__error_save(&words);
    int settled = kfl__presence_settle(&core->presence);
    if (r < 0)
        kfl__error_restore(&words);
    return r < 0 ? r : settled < 0 ? settled : 0;
}

/* Writing needs room, for the state file first of all; reading does not. */
static int join_tell_no_space(const struct kfl__core *core)
{
    int errnum = kfl_last_error_errno();
    kfl__fail_errno(KFL_E_NO_SPACE, errnum != 0 ? errnum : ENOSPC,
                    "there is no room to open the store %s: make some, or read it with read.only=true", core->path);
    return kfl__fail_in(KFL_E_NO_SPACE, core->path);
}

int kfl__join(struct kfl__core *core, bool create)
{
    bool records = false;
    int r = join_check_file_system(core);
    if (r == 0)
        r = join_look(core, create, &records);
    if (r < 0)
        return r;
    /* The catalog was there before the first folder: a new one would give out the numbers of old files. */
    r = join_presence(core, create && !records);
    if (r == KFL_E_NOT_FOUND && records)
        r = kfl__fail(KFL_E_CORRUPT, "%s holds records, but its %s is gone or empty: put it back, or salvage the records with kafkalite repair",
                      core->path, KFL_CATALOG_FILE);
    return r == KFL_E_NO_SPACE && records && !core->read_only ? join_tell_no_space(core) : r;
}
