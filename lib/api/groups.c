/* SPDX-License-Identifier: MIT */
/* Groups by name: what there is, what one has committed, who is in it; forgetting and deleting. */
#include "api/groups.h"

#include <string.h>

#include "api/consumer.h"
#include "base/memory.h"
#include "catalog/offsets.h"
#include "catalog/topics.h"
#include "engine/departures.h"
#include "engine/members.h"
#include "engine/subscription.h"

static int groups_add_name(const char *group, void *context)
{
    return kfl__names_add(context, group);
}

/* Of those that have both members and offsets the name comes twice. */
static int groups_list(struct kfl__catalog_txn *txn, void *context)
{
    int r = kfl__offsets_visit_groups(txn, groups_add_name, context);
    return r < 0 ? r : kfl__groups_list(txn, groups_add_name, context);
}

int kfl_group_list(kfl_store *store, kfl_names **out_names)
{
    kfl_names *names = NULL;
    int r = kfl__store_check(store);
    if (r == 0 && out_names == NULL)
        r = kfl__fail(KFL_E_INVALID, "kfl_group_list: out_names is NULL");
    if (r == 0)
        r = kfl__core_enter(store->core);
    if (r < 0)
        return r;
    r = kfl__names_create(&names);
    if (r == 0)
        r = kfl__catalog_look(store->core->catalog, groups_list, names);
    kfl__core_leave(store->core);
    if (r < 0) {
        kfl_names_release(names);
        return r;
    }
    kfl__names_sort(names);
    kfl__names_unique(names);
    *out_names = names;
    return 0;
}

struct groups_offsets_look {
    struct kfl__catalog_txn *txn;
    const char *group;
    kfl_offsets *offsets;
};

static int groups_add_offset(uint64_t topic_id, int32_t partition,
                             const struct kfl__offset_row *row, void *context)
{
    struct groups_offsets_look *look = context;
    struct kfl__topic_row topic;
    int r = kfl__topics_get(look->txn, topic_id, &topic);
    if (r == KFL_E_UNKNOWN_TOPIC_OR_PARTITION)
        return 0;
    if (r < 0)
        return r;
    kfl_partition_offset offset = {
        .topic = topic.name,
        .partition = partition,
        .offset = row->offset,
        .metadata = row->metadata,
        .metadata_size = row->metadata_size,
    };
    return kfl__offsets_add(look->offsets, &offset);
}

static int groups_look_offsets(struct kfl__catalog_txn *txn, void *context)
{
    struct groups_offsets_look *look = context;
    look->txn = txn;
    return kfl__offsets_visit_group(txn, look->group, groups_add_offset, look);
}

int kfl_group_offsets(kfl_store *store, const char *group, kfl_offsets **out_offsets)
{
    struct groups_offsets_look look = {.group = group};
    int r = kfl__store_check(store);
    if (r == 0 && out_offsets == NULL)
        r = kfl__fail(KFL_E_INVALID, "kfl_group_offsets: out_offsets is NULL");
    if (r == 0)
        r = kfl__group_name_check(group);
    if (r == 0)
        r = kfl__core_enter(store->core);
    if (r < 0)
        return r;
    r = kfl__offsets_create(&look.offsets);
    if (r == 0)
        r = kfl__catalog_look(store->core->catalog, groups_look_offsets, &look);
    kfl__core_leave(store->core);
    if (r == 0 && kfl_offsets_count(look.offsets) == 0)
        r = kfl__fail(KFL_E_GROUP_ID_NOT_FOUND, "group %s has committed nothing", group);
    if (r < 0) {
        kfl_offsets_release(look.offsets);
        return r;
    }
    *out_offsets = look.offsets;
    return 0;
}

/* ---- one group, described ---- */

struct groups_member {
    kfl_member shown;
    struct kfl__member *row; /* owned; strings are its */
    kfl_names *topics;
    kfl_offsets *owned, *target;
};

struct kfl_group {
    int32_t state, generation;
    char assignor[KFL_ASSIGNOR_NAME_MAX + 1];
    struct groups_member *members;
    int32_t count;
};

struct groups_describe_look {
    struct kfl__core *core;
    const char *name;
    kfl_group *described;
    struct kfl__catalog_txn *txn;
    kfl_names *names; /* being filled */
    bool has_gone;    /* somebody is not here any more, and nobody has found out */
};

static int groups_add_match(const char *name, uint64_t topic_id, void *context)
{
    (void)topic_id;
    return kfl__names_add(context, name);
}

/* Names that the member gave, or that its pattern matches. */
static int groups_add_topics(struct kfl__catalog_txn *txn, const struct kfl__member *row,
                             kfl_names *names)
{
    if (row->pattern[0] != '\0')
        return kfl__subscription_matches(txn, row->pattern, row->exclude_internal, groups_add_match,
                                         names);
    return kfl__names_add_lines(names, row->topics);
}

static int groups_add_places(struct groups_describe_look *look, const struct kfl__places *places,
                             kfl_offsets **out_offsets)
{
    int r = kfl__offsets_create(out_offsets);
    for (size_t i = 0; i < places->count && r == 0; i++) {
        struct kfl__topic_row topic;
        struct kfl__offset_row row;
        r = kfl__topics_get(look->txn, places->rows[i].topic_id, &topic);
        if (r == KFL_E_UNKNOWN_TOPIC_OR_PARTITION) {
            r = 0; /* deleted: it goes at the member's next poll */
            continue;
        }
        kfl_partition_offset offset = {
            .topic = topic.name, .partition = places->rows[i].partition, .offset = -1};
        if (r == 0)
            r = kfl__offsets_get(look->txn, look->name, places->rows[i].topic_id, offset.partition,
                                 &row);
        if (r == 0)
            offset.offset = row.offset;
        if (r == 0 || r == KFL_E_NOT_FOUND)
            r = kfl__offsets_add(*out_offsets, &offset);
    }
    return r;
}

/* Takes the row. */
static int groups_describe_member(struct groups_describe_look *look, struct kfl__member *row)
{
    struct groups_member *member = &look->described->members[look->described->count++];
    member->row = row;
    int r = kfl__names_create(&member->topics);
    if (r == 0)
        r = groups_add_topics(look->txn, row, member->topics);
    if (r == 0)
        r = groups_add_places(look, &row->owned, &member->owned);
    if (r == 0)
        r = groups_add_places(look, &row->target, &member->target);
    if (r < 0)
        return r;
    const struct kfl__seat *seat = &kfl__state_seats(look->core->state)[row->seat % KFL_SEATS_MAX];
    bool seated = kfl__seat_is(seat, row->seat_owner);
    kfl__names_sort(member->topics);
    member->shown = (kfl_member){
        .member_id = row->id,
        .instance_id = row->instance_id,
        .client_id = row->client_id,
        .program = row->program,
        .pattern = row->pattern,
        .topics = member->topics,
        .owned = member->owned,
        .target = member->target,
        .process_id = row->pid,
        .is_away = row->away_since_ms >= 0,
        .generation = seated ? atomic_load(&seat->generation) : -1,
    };
    return 0;
}

/* Who has something to give up makes it PREPARING; who has yet to take over, COMPLETING. */
static int32_t groups_state(const kfl_group *described, const struct kfl__group *group)
{
    bool preparing = false, completing = group->answer_needed;
    for (int32_t i = 0; i < described->count; i++) {
        const struct kfl__member *row = described->members[i].row;
        preparing = preparing || !kfl__places_equal(&row->owned, &row->target);
        completing = completing || (row->away_since_ms < 0 &&
                                    described->members[i].shown.generation != group->generation);
    }
    if (described->count == 0)
        return KFL_GROUP_EMPTY;
    return preparing    ? KFL_GROUP_PREPARING_REBALANCE
           : completing ? KFL_GROUP_COMPLETING_REBALANCE
                        : KFL_GROUP_STABLE;
}

static int groups_exists(struct kfl__catalog_txn *txn, const struct kfl__group *group,
                         const char *name)
{
    int any = group->exists ? 1 : kfl__group_has_offsets(txn, name);
    if (any < 0)
        return any;
    return any > 0 ? 0 : kfl__fail(KFL_E_GROUP_ID_NOT_FOUND, "there is no group %s", name);
}

static int groups_describe(struct kfl__catalog_txn *txn, void *context)
{
    struct groups_describe_look *look = context;
    struct kfl__group *group = NULL;
    kfl_group *described = look->described;
    look->txn = txn;
    int r = kfl__group_load(txn, look->name, &group);
    if (r == 0)
        r = groups_exists(txn, group, look->name);
    if (r == 0) {
        described->generation = group->generation;
        memcpy(described->assignor, group->assignor, sizeof described->assignor);
        described->members = kfl__alloc_array(group->count + 1, sizeof *described->members);
        if (described->members == NULL)
            r = kfl__fail(KFL_E_NOMEM, "group %s: out of memory", look->name);
    }
    for (size_t i = 0; r == 0 && i < group->count; i++) {
        struct kfl__member *row = group->members[i];
        group->members[i] = NULL; /* it goes with the description */
        look->has_gone =
            look->has_gone || (row->away_since_ms < 0 && !kfl__member_is_here(look->core, row));
        r = groups_describe_member(look, row);
    }
    if (r == 0)
        described->state = groups_state(described, group);
    kfl__group_destroy(group);
    return r;
}

int kfl__group_describe(struct kfl__core *core, const char *name, kfl_group **out_group)
{
    for (int attempt = 0;; attempt++) {
        struct groups_describe_look look = {.core = core, .name = name};
        look.described = kfl__alloc(sizeof *look.described);
        if (look.described == NULL)
            return kfl__fail(KFL_E_NOMEM, "group %s: out of memory", name);
        int r = kfl__catalog_look(core->catalog, groups_describe, &look);
        /* The dead are not described: they are found out first. */
        if (r == 0 && look.has_gone && attempt == 0 && !core->read_only &&
            kfl__members_sweep(core, false) > 0) {
            kfl_group_release(look.described);
            continue;
        }
        if (r < 0)
            kfl_group_release(look.described);
        else
            *out_group = look.described;
        return r;
    }
}

int kfl_group_describe(kfl_store *store, const char *group, kfl_group **out_group)
{
    int r = kfl__store_check(store);
    if (r == 0 && out_group == NULL)
        r = kfl__fail(KFL_E_INVALID, "kfl_group_describe: out_group is NULL");
    if (r == 0)
        r = kfl__group_name_check(group);
    if (r == 0)
        r = kfl__core_enter(store->core);
    if (r < 0)
        return r;
    r = kfl__group_describe(store->core, group, out_group);
    kfl__core_leave(store->core);
    return r;
}

int32_t kfl_group_state(const kfl_group *group)
{
    return group == NULL ? 0 : group->state;
}

const char *kfl_group_assignor(const kfl_group *group)
{
    return group == NULL ? "" : group->assignor;
}

int32_t kfl_group_generation(const kfl_group *group)
{
    return group == NULL ? -1 : group->generation;
}

int32_t kfl_group_member_count(const kfl_group *group)
{
    return group == NULL ? 0 : group->count;
}

const kfl_member *kfl_group_member(const kfl_group *group, int32_t index)
{
    return group == NULL || index < 0 || index >= group->count ? NULL
                                                               : &group->members[index].shown;
}

void kfl_group_release(kfl_group *group)
{
    if (group == NULL)
        return;
    for (int32_t i = 0; i < group->count; i++) {
        kfl__member_destroy(group->members[i].row);
        kfl_names_release(group->members[i].topics);
        kfl_offsets_release(group->members[i].owned);
        kfl_offsets_release(group->members[i].target);
    }
    kfl__free(group->members);
    kfl__free(group);
}

/* ---- forgetting ---- */

struct groups_change {
    const char *name;
    struct kfl__commit_list list;
};

static int groups_remove(struct kfl__catalog_txn *txn, void *context)
{
    struct groups_change *change = context;
    struct kfl__group group = {0};
    int r = kfl__group_has_members(txn, change->name);
    if (r > 0)
        return kfl__fail(KFL_E_NON_EMPTY_GROUP, "group %s has members: close them first",
                         change->name);
    if (r == 0)
        r = kfl__group_get(txn, change->name, &group);
    if (r == KFL_E_NOT_FOUND)
        r = 0;
    if (r == 0)
        r = groups_exists(txn, &group, change->name);
    if (r == 0)
        r = kfl__group_remove(txn, change->name);
    return r < 0 ? r : kfl__offsets_remove_group(txn, change->name);
}

/* Enter, and see to it that the dead do not count as members. */
static int groups_enter(kfl_store *store, const char *group)
{
    int r = kfl__store_check_writable(store);
    if (r == 0)
        r = kfl__group_name_check(group);
    if (r == 0)
        r = kfl__core_enter(store->core);
    if (r < 0)
        return r;
    r = kfl__members_sweep(store->core, false);
    if (r < 0)
        kfl__core_leave(store->core);
    return r < 0 ? r : 0;
}

int kfl_group_delete(kfl_store *store, const char *group)
{
    struct groups_change change = {.name = group};
    int r = groups_enter(store, group);
    if (r < 0)
        return r;
    r = kfl__catalog_change_run(store->core->catalog, groups_remove, &change);
    kfl__core_leave(store->core);
    return r;
}

static int groups_forget(struct kfl__catalog_txn *txn, void *context)
{
    struct groups_change *change = context;
    struct kfl__group *group = NULL;
    int r = kfl__group_load(txn, change->name, &group);
    if (r == 0)
        r = groups_exists(txn, group, change->name);
    for (size_t i = 0; i < change->list.count && r == 0; i++)
        for (size_t j = 0; j < group->count && r == 0; j++)
            for (size_t k = 0; k < group->members[j]->subscribed_count && r == 0; k++)
                if (group->members[j]->subscribed[k] == change->list.topics[i]->id)
                    r = kfl__fail(KFL_E_GROUP_SUBSCRIBED_TO_TOPIC,
                                  "member %s of group %s is subscribed to %s",
                                  group->members[j]->id, change->name,
                                  change->list.topics[i]->name);
    for (size_t i = 0; i < change->list.count && r == 0; i++)
        r = kfl__offsets_remove(txn, change->name, change->list.topics[i]->id,
                                change->list.items[i].partition->number);
    /* Without members and offsets it is no group any more. */
    if (r == 0 && group->count == 0 && group->exists) {
        r = kfl__group_has_offsets(txn, change->name);
        r = r == 0 ? kfl__group_remove(txn, change->name) : r;
    }
    kfl__group_destroy(group);
    return r < 0 ? r : 0;
}

int kfl_group_delete_offsets(kfl_store *store, const char *group,
                             const kfl_partition_offset *partitions, size_t count)
{
    struct groups_change change = {.name = group};
    if (partitions == NULL && count > 0)
        return kfl__fail(KFL_E_INVALID, "kfl_group_delete_offsets: partitions is NULL");
    int r = groups_enter(store, group);
    if (r < 0)
        return r;
    r = kfl__commit_list_create(count, &change.list);
    for (size_t i = 0; i < count && r == 0; i++)
        r = kfl__commit_list_add(&change.list, store->core, partitions[i].topic,
                                 partitions[i].partition);
    if (r == 0)
        r = kfl__catalog_change_run(store->core->catalog, groups_forget, &change);
    kfl__commit_list_release(&change.list);
    kfl__core_leave(store->core);
    return r;
}
