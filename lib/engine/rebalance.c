/* SPDX-License-Identifier: MIT */
/*
 * Target and ownership are two things. A rebalance writes a new target for everybody at once; what a
 * member owns changes by its own release, by its end, and by a grant, which gives only what nobody
 * owns. So a partition never has two owners, whatever the targets say.
 */
#include "engine/rebalance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"
#include "catalog/topics.h"
#include "engine/assignor.h"
#include "engine/subscription.h"

#define REBALANCE_ASSIGNORS_MAX 32

/* ---- assignors by name ---- */

/* The next name of a list separated by commas, with its size; NULL behind the last. */
static const char *assignors_next(const char **rest, size_t *out_size)
{
    const char *name = *rest;
    if (name == NULL)
        return NULL;
    *out_size = strcspn(name, ",");
    *rest = name[*out_size] == ',' ? name + *out_size + 1 : NULL;
    return name;
}

static bool assignors_known(const char *name, size_t size)
{
    char text[KFL_ASSIGNOR_NAME_MAX + 1];
    size_t prefix = strlen(KFL_ASSIGNOR_USER);
    if (size == 0 || size > KFL_ASSIGNOR_NAME_MAX)
        return false;
    if (size > prefix && memcmp(name, KFL_ASSIGNOR_USER, prefix) == 0)
        return true;
    memcpy(text, name, size);
    text[size] = '\0';
    for (int32_t kind = 0; kind < KFL_ASSIGNOR_COUNT; kind++)
        if (strcmp(kfl__assignor_name(kind), text) == 0)
            return true;
    return false;
}

int kfl__assignors_check(const char *assignors)
{
    const char *rest = assignors, *name;
    size_t size = 0, count = 0;
    while ((name = assignors_next(&rest, &size)) != NULL) {
        if (!assignors_known(name, size) || ++count > REBALANCE_ASSIGNORS_MAX)
            return kfl__fail(KFL_E_BAD_VALUE,
                             "\"%.*s\" is no assignor: partition.assignment.strategy takes range, "
                             "roundrobin, sticky, cooperative-sticky and user:NAME, at most %d",
                             (int)(size < 80 ? size : 80), name, REBALANCE_ASSIGNORS_MAX);
        const char *before = assignors, *other;
        size_t other_size = 0;
        while ((other = assignors_next(&before, &other_size)) != name)
            if (other_size == size && memcmp(other, name, size) == 0)
                return kfl__fail(KFL_E_BAD_VALUE, "partition.assignment.strategy names %.*s twice",
                                 (int)size, name);
    }
    return 0;
}

/* The list as pointers into a copy of it, which `text` is. */
static size_t assignors_split(char *text, const char **names)
{
    size_t count = 0;
    for (char *at = text; at != NULL && count < REBALANCE_ASSIGNORS_MAX;) {
        names[count++] = at;
        at = strchr(at, ',');
        if (at != NULL)
            *at++ = '\0';
    }
    return count;
}

/* ---- topics of a group ---- */

struct rebalance_topics {
    struct kfl__assignor_topic *rows;
    uint64_t *ids; /* rising */
    char (*names)[256];
    size_t count;
};

static void topics_free(struct rebalance_topics *topics)
{
    kfl__free(topics->rows);
    kfl__free(topics->ids);
    kfl__free(topics->names);
}

/* -1: not among them. */
static int32_t topics_index(const struct rebalance_topics *topics, uint64_t topic_id)
{
    const uint64_t *found = topics->count == 0
                                ? NULL
                                : bsearch(&topic_id, topics->ids, topics->count,
                                          sizeof *topics->ids, kfl__subscription_compare);
    return found == NULL ? -1 : (int32_t)(found - topics->ids);
}

/* All that some member is subscribed to, with its partitions. */
static int topics_collect(struct kfl__catalog_txn *txn, const struct kfl__group *group,
                          struct rebalance_topics *topics)
{
    size_t all = 0;
    *topics = (struct rebalance_topics){0};
    for (size_t i = 0; i < group->count; i++)
        all += group->members[i]->subscribed_count;
    uint64_t *ids = topics->ids = kfl__alloc_array(all + 1, sizeof *ids);
    if (ids == NULL)
        return kfl__fail(KFL_E_NOMEM, "group %s: out of memory", group->name);
    for (size_t i = 0, at = 0; i < group->count; i++)
        for (size_t j = 0; j < group->members[i]->subscribed_count; j++)
            ids[at++] = group->members[i]->subscribed[j];
    if (all > 1)
        qsort(ids, all, sizeof *ids, kfl__subscription_compare);
    for (size_t i = 0; i < all; i++)
        if (i == 0 || ids[i] != ids[i - 1])
            ids[topics->count++] = ids[i];
    topics->rows = kfl__alloc_array(topics->count + 1, sizeof *topics->rows);
    topics->names = kfl__alloc_array(topics->count + 1, sizeof *topics->names);
    if (topics->rows == NULL || topics->names == NULL) {
        topics_free(topics);
        return kfl__fail(KFL_E_NOMEM, "group %s: out of memory", group->name);
    }
    for (size_t i = 0; i < topics->count; i++) {
        struct kfl__topic_row row;
        int r = kfl__topics_get(txn, ids[i], &row);
        if (r < 0 && r != KFL_E_UNKNOWN_TOPIC_OR_PARTITION) {
            topics_free(topics);
            return r;
        }
        memcpy(topics->names[i], r < 0 ? "" : row.name, r < 0 ? 1 : strlen(row.name) + 1);
        topics->rows[i].name = topics->names[i];
        topics->rows[i].partition_count = r < 0 ? 0 : row.partition_count;
    }
    return 0;
}

static uint64_t topics_fingerprint(const struct kfl__group *group,
                                   const struct rebalance_topics *topics)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < topics->count; i++) {
        uint64_t words[2] = {topics->ids[i], (uint64_t)topics->rows[i].partition_count};
        hash = kfl__hash64_seeded(words, sizeof words, hash);
    }
    /* A static member that comes back has another id, and so another place among the members. */
    for (size_t i = 0; i < group->count; i++) {
        const struct kfl__member *member = group->members[i];
        const char *who = member->instance_id[0] != '\0' ? member->instance_id : member->id;
        uint64_t of_member = kfl__hash64(who, strlen(who));
        if (member->subscribed_count > 0)
            of_member = kfl__hash64_seeded(member->subscribed,
                                           member->subscribed_count * sizeof *member->subscribed,
                                           of_member);
        hash += of_member;
    }
    return hash;
}

int kfl__rebalance_resolve(struct kfl__catalog_txn *txn, struct kfl__group *group)
{
    struct rebalance_topics topics;
    int r = kfl__topics_version(txn, &group->topics_version);
    for (size_t i = 0; i < group->count && r == 0; i++)
        r = kfl__subscription_resolve(txn, group->members[i],
                                      i == 0 ? NULL : group->members[i - 1]);
    if (r == 0)
        r = topics_collect(txn, group, &topics);
    if (r < 0)
        return r;
    uint64_t fingerprint = topics_fingerprint(group, &topics);
    topics_free(&topics);
    if (fingerprint == group->fingerprint)
        return 0;
    group->fingerprint = fingerprint;
    return 1;
}

/* ---- targets ---- */

static int rebalance_choose(struct kfl__group *group)
{
    struct kfl__assignor_ballot *ballots = kfl__alloc_array(group->count, sizeof *ballots);
    char **texts = kfl__alloc_array(group->count, sizeof *texts);
    const char **names =
        kfl__alloc_array(group->count * REBALANCE_ASSIGNORS_MAX, sizeof(const char *));
    const char *chosen = NULL;
    int r = ballots == NULL || texts == NULL || names == NULL
                ? kfl__fail(KFL_E_NOMEM, "group %s: out of memory", group->name)
                : 0;
    for (size_t i = 0; i < group->count && r == 0; i++) {
        texts[i] = kfl__copy_string(group->members[i]->assignors);
        if (texts[i] == NULL) {
            r = kfl__fail(KFL_E_NOMEM, "group %s: out of memory", group->name);
            break;
        }
        ballots[i].names = names + i * REBALANCE_ASSIGNORS_MAX;
        ballots[i].name_count = assignors_split(texts[i], names + i * REBALANCE_ASSIGNORS_MAX);
    }
    if (r == 0) {
        chosen = kfl__assignor_choose(ballots, group->count);
        if (chosen == NULL || strlen(chosen) > KFL_ASSIGNOR_NAME_MAX)
            r = kfl__fail(KFL_E_INCONSISTENT_GROUP_PROTOCOL,
                          "group %s: its members and \"%s\" have no assignor in common: give all "
                          "members one partition.assignment.strategy",
                          group->name, group->members[group->count - 1]->assignors);
        else
            memcpy(group->assignor, chosen, strlen(chosen) + 1);
    }
    for (size_t i = 0; texts != NULL && i < group->count; i++)
        kfl__free(texts[i]);
    kfl__free(ballots);
    kfl__free(texts);
    kfl__free(names);
    return r;
}

/* The input of one member: what it is subscribed to, and what it claims. */
static int rebalance_member(const struct kfl__group *group, const struct kfl__member *member,
                            const struct rebalance_topics *topics, struct kfl__assignor_member *out)
{
    int32_t *subscribed = kfl__alloc_array(member->subscribed_count + 1, sizeof *subscribed);
    struct kfl__assignor_partition *owned =
        kfl__alloc_array(member->owned.count + 1, sizeof *owned);
    out->member_id = member->id;
    out->instance_id = member->instance_id[0] == '\0' ? NULL : member->instance_id;
    out->topics = subscribed;
    out->owned = owned;
    if (subscribed == NULL || owned == NULL)
        return kfl__fail(KFL_E_NOMEM, "group %s: out of memory", group->name);
    for (size_t i = 0; i < member->subscribed_count; i++) {
        int32_t index = topics_index(topics, member->subscribed[i]);
        if (topics->rows[index].partition_count > 0)
            subscribed[out->topic_count++] = index;
    }
    for (size_t i = 0; i < member->owned.count; i++) {
        int32_t index = topics_index(topics, member->owned.rows[i].topic_id);
        if (index >= 0 && topics->rows[index].partition_count > 0)
            owned[out->owned_count++] =
                (struct kfl__assignor_partition){index, member->owned.rows[i].partition};
    }
    out->generation = member->owned.count > 0 ? group->generation : KFL_ASSIGNOR_NO_GENERATION;
    return 0;
}

static int rebalance_take(struct kfl__group *group, const struct rebalance_topics *topics,
                          const struct kfl__assignment *assignment)
{
    int r = 0;
    for (size_t i = 0; i < group->count && r == 0; i++) {
        struct kfl__places *target = &group->members[i]->target;
        target->count = 0;
        for (size_t at = assignment->starts[i]; at < assignment->starts[i + 1] && r == 0; at++) {
            struct kfl__place place = {topics->ids[assignment->partitions[at].topic],
                                       assignment->partitions[at].partition};
            r = kfl__places_add(target, &place);
        }
    }
    return r;
}

static int rebalance_assign(struct kfl__group *group, const struct rebalance_topics *topics)
{
    struct kfl__assignment *assignment = NULL;
    struct kfl__assignor_member *members = kfl__alloc_array(group->count, sizeof *members);
    int32_t kind = kfl__assignor_find(group->assignor);
    int r = members == NULL ? kfl__fail(KFL_E_NOMEM, "group %s: out of memory", group->name) : 0;
    if (r == 0 && kind < 0)
        r = kind; /* a newer version's */
    for (size_t i = 0; i < group->count && r == 0; i++)
        r = rebalance_member(group, group->members[i], topics, &members[i]);
    if (r == 0)
        r = kfl__assignor_assign(kind, topics->rows, topics->count, members, group->count,
                                 &assignment);
    if (r == 0)
        r = rebalance_take(group, topics, assignment);
    kfl__assignment_destroy(assignment);
    for (size_t i = 0; members != NULL && i < group->count; i++) {
        kfl__free((int32_t *)(uintptr_t)members[i].topics);
        kfl__free((struct kfl__assignor_partition *)(uintptr_t)members[i].owned);
    }
    kfl__free(members);
    return r;
}

/* Until the leader has answered: what the targets have that cannot be any more goes. */
static void rebalance_await(struct kfl__group *group, const struct rebalance_topics *topics)
{
    const struct kfl__member *leader = NULL;
    for (size_t i = 0; i < group->count; i++) {
        struct kfl__member *member = group->members[i];
        if (member->away_since_ms < 0 && (leader == NULL || member->order < leader->order))
            leader = member;
        for (size_t j = member->target.count; j > 0; j--) {
            struct kfl__place place = member->target.rows[j - 1];
            int32_t index = topics_index(topics, place.topic_id);
            bool subscribed =
                member->subscribed_count > 0 &&
                bsearch(&place.topic_id, member->subscribed, member->subscribed_count,
                        sizeof *member->subscribed, kfl__subscription_compare) != NULL;
            if (!subscribed || index < 0 || place.partition >= topics->rows[index].partition_count)
                kfl__places_remove(&member->target, &place);
        }
    }
    group->answer_needed = leader != NULL;
    snprintf(group->leader, sizeof group->leader, "%s", leader == NULL ? "" : leader->id);
}

int kfl__rebalance_run(struct kfl__catalog_txn *txn, struct kfl__group *group)
{
    struct rebalance_topics topics;
    int r = 0;
    group->generation++;
    group->exists = true;
    group->answer_needed = false;
    group->leader[0] = '\0';
    group->assignor[0] = '\0';
    if (group->count == 0)
        return 0;
    r = rebalance_choose(group);
    if (r == 0)
        r = topics_collect(txn, group, &topics);
    if (r < 0)
        return r;
    if (strncmp(group->assignor, KFL_ASSIGNOR_USER, strlen(KFL_ASSIGNOR_USER)) == 0)
        rebalance_await(group, &topics);
    else
        r = rebalance_assign(group, &topics);
    topics_free(&topics);
    for (size_t i = 0; i < group->count; i++) {
        struct kfl__member *member = group->members[i];
        member->changed = member->raise = true;
        if (!group->answer_needed && member->generation < 0)
            member->generation = group->generation;
    }
    return r < 0 ? r : kfl__rebalance_grant(group);
}

/* ---- grants ---- */

static int grant_compare(const void *a, const void *b)
{
    return kfl__place_compare(a, b);
}

int kfl__rebalance_grant(struct kfl__group *group)
{
    size_t count = 0, at = 0;
    int r = 0;
    for (size_t i = 0; i < group->count; i++)
        count += group->members[i]->owned.count;
    struct kfl__place *taken = kfl__alloc_array(count + 1, sizeof *taken);
    if (taken == NULL)
        return kfl__fail(KFL_E_NOMEM, "group %s: out of memory", group->name);
    for (size_t i = 0; i < group->count; i++) {
        const struct kfl__places *owned = &group->members[i]->owned;
        if (owned->count > 0)
            memcpy(taken + at, owned->rows, owned->count * sizeof *taken);
        at += owned->count;
    }
    if (count > 1)
        qsort(taken, count, sizeof *taken, grant_compare);
    for (size_t i = 0; i < group->count && r == 0; i++) {
        struct kfl__member *member = group->members[i];
        size_t before = member->owned.count;
        for (size_t j = 0; j < member->target.count && r == 0; j++) {
            const struct kfl__place *place = &member->target.rows[j];
            if (count == 0 || bsearch(place, taken, count, sizeof *taken, grant_compare) == NULL)
                r = kfl__places_add(&member->owned, place);
        }
        if (member->owned.count != before)
            member->changed = member->raise = true;
    }
    kfl__free(taken);
    return r;
}
