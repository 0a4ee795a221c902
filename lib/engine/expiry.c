/* SPDX-License-Identifier: MIT */
/*
 * When committed offsets go (offsets.retention.minutes).
 *
 * A group with members keeps those of the topics that its members subscribe to, whatever their age.
 * A group that has had members and has none now keeps all for that time after the last one left; a
 * group that never had any, and what a group with members does not subscribe to, is counted from the
 * commit. A look finds the groups concerned; each is then settled in a change of its own, which
 * judges again.
 */
#include "engine/expiry.h"

#include <string.h>

#include "base/memory.h"
#include "catalog/groups.h"
#include "engine/janitor.h"
#include "engine/departures.h"
#include "engine/members.h"

#define EXPIRY_LOOK_MS INT64_C(600000)

struct expiry {
    struct kfl__core *core;
    int64_t now_ms, retention_ms;
    /* of the group that is looked at */
    struct kfl__group *group;
    struct kfl__catalog_txn *txn;
    struct kfl__places gone;
    bool left; /* some offset stays */
    /* groups with something to settle */
    char (*names)[KFL_GROUP_NAME_MAX + 1];
    size_t count, room;
    const char *name;
};

static bool expiry_subscribed(const struct kfl__group *group, uint64_t topic_id)
{
    for (size_t i = 0; i < group->count; i++)
        for (size_t j = 0; j < group->members[i]->subscribed_count; j++)
            if (group->members[i]->subscribed[j] == topic_id)
                return true;
    return false;
}

static int expiry_judge(uint64_t topic_id, int32_t partition, const struct kfl__offset_row *row,
                        void *context)
{
    struct expiry *expiry = context;
    const struct kfl__group *group = expiry->group;
    int64_t since_ms = row->commit_ms;
    if (group->exists && group->count == 0 && group->empty_since_ms > since_ms)
        since_ms = group->empty_since_ms;
    bool stays = expiry->now_ms - since_ms <= expiry->retention_ms ||
                 (group->count > 0 && expiry_subscribed(group, topic_id));
    if (stays) {
        expiry->left = true;
        return 0;
    }
    return kfl__places_add(&expiry->gone, &(struct kfl__place){topic_id, partition});
}

/* Fills what goes, and whether anything is left. */
static int expiry_look_at(struct expiry *expiry, struct kfl__catalog_txn *txn, const char *name)
{
    kfl__group_destroy(expiry->group);
    expiry->group = NULL;
    expiry->gone.count = 0;
    expiry->left = false;
    int r = kfl__group_load(txn, name, &expiry->group);
    return r < 0 ? r : kfl__offsets_visit_group(txn, name, expiry_judge, expiry);
}

/* The group's own row goes with its last offset, and at once where it never had one. */
static bool expiry_is_over(const struct expiry *expiry)
{
    return expiry->group->exists && expiry->group->count == 0 && !expiry->left;
}

static int expiry_visit(const char *name, void *context)
{
    struct expiry *expiry = context;
    int r = expiry_look_at(expiry, expiry->txn, name);
    if (r < 0 || (expiry->gone.count == 0 && !expiry_is_over(expiry)))
        return r;
    if (expiry->count > 0 && strcmp(expiry->names[expiry->count - 1], name) == 0)
        return 0;
    if (expiry->count == expiry->room) {
        size_t room = expiry->room == 0 ? 8 : expiry->room * 2;
        void *grown = kfl__realloc(expiry->names, room * sizeof *expiry->names);
        if (grown == NULL)
            return kfl__fail(KFL_E_NOMEM, "groups: out of memory");
        expiry->names = grown;
        expiry->room = room;
    }
    memcpy(expiry->names[expiry->count++], name, strlen(name) + 1);
    return 0;
}

static int expiry_find(struct kfl__catalog_txn *txn, void *context)
{
    struct expiry *expiry = context;
    expiry->txn = txn;
    expiry->count = 0;
    int r = kfl__offsets_visit_groups(txn, expiry_visit, expiry);
    return r < 0 ? r : kfl__groups_list(txn, expiry_visit, expiry);
}

static int expiry_settle(struct kfl__catalog_txn *txn, void *context)
{
    struct expiry *expiry = context;
    int r = expiry_look_at(expiry, txn, expiry->name);
    for (size_t i = 0; i < expiry->gone.count && r == 0; i++)
        r = kfl__offsets_remove(txn, expiry->name, expiry->gone.rows[i].topic_id,
                                expiry->gone.rows[i].partition);
    return r == 0 && expiry_is_over(expiry) ? kfl__group_remove(txn, expiry->name) : r;
}

int kfl__expiry_run(struct kfl__core *core)
{
    struct expiry expiry = {
        .core = core,
        .now_ms = kfl__clock_wall_ms(&core->clock),
        .retention_ms = core->settings->offsets_retention_minutes * 60000,
    };
    /* The dead are no members; when the last of them went is when somebody looked. */
    int r = kfl__members_sweep(core, false);
    if (r >= 0)
        r = kfl__catalog_look(core->catalog, expiry_find, &expiry);
    for (size_t i = 0; i < expiry.count && r == 0; i++) {
        expiry.name = expiry.names[i];
        r = kfl__catalog_change_run(core->catalog, expiry_settle, &expiry);
    }
    kfl__group_destroy(expiry.group);
    kfl__places_free(&expiry.gone);
    kfl__free(expiry.names);
    return r < 0 ? r : 0;
}

static int64_t expiry_chore(void *context, int64_t now_ns)
{
    struct kfl__core *core = context;
    int64_t now_ms = kfl__clock_wall_ms(&core->clock);
    int64_t due_ms = atomic_load(&core->expiry_due_ms);
    (void)now_ns;
    /* A clock that was set back looks at once, and not in years. */
    if (due_ms != 0 && now_ms < due_ms && due_ms - now_ms <= EXPIRY_LOOK_MS)
        return -1;
    atomic_store(&core->expiry_due_ms, now_ms + EXPIRY_LOOK_MS);
    (void)kfl__expiry_run(core); /* what fails is tried again in ten minutes */
    return -1;
}

int kfl__expiry_start(struct kfl__core *core)
{
    return core->read_only ? 0 : kfl__janitor_add(core, expiry_chore, core);
}
