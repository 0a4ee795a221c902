/* SPDX-License-Identifier: MIT */
/*
 * Groups and their members as rows: one of the group, one a member, so that a change writes what it
 * changes. The places of a member are packed behind its strings.
 */
#include "catalog/groups.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/error.h"
#include "base/memory.h"
#include "catalog/rows.h"

struct group_head {
    uint8_t version;
    uint8_t answer_needed;
    uint8_t zero[2];
    int32_t generation;
    uint64_t next_order;
    uint64_t topics_version;
    uint64_t fingerprint;
    int64_t empty_since_ms;
};
_Static_assert(sizeof(struct group_head) == 40, "on disk; leader and assignor follow, with NULs");

struct member_head {
    uint8_t version;
    uint8_t exclude_internal;
    uint8_t zero[2];
    int32_t pid;
    uint32_t entry;
    uint32_t seat;
    uint64_t session;
    uint64_t seat_owner;
    int64_t away_since_ms;
    int64_t session_timeout_ms;
    uint64_t order;
    int32_t generation;
    uint32_t subscribed_count;
    uint32_t owned_count;
    uint32_t target_count;
    char program[16];
};
_Static_assert(sizeof(struct member_head) == 88,
               "on disk; five strings with NULs, topic ids, owned and target places follow");

#define MEMBER_STRINGS 5
#define ID_SIZE 8
#define PLACE_SIZE 12

/* ---- in memory ---- */

struct kfl__member *kfl__member_create(void)
{
    struct kfl__member *member = kfl__alloc(sizeof *member);
    if (member == NULL)
        return NULL;
    member->away_since_ms = -1;
    member->generation = -1;
    member->instance_id = kfl__copy_string("");
    member->client_id = kfl__copy_string("");
    member->assignors = kfl__copy_string("");
    member->topics = kfl__copy_string("");
    member->pattern = kfl__copy_string("");
    if (member->instance_id != NULL && member->client_id != NULL && member->assignors != NULL &&
        member->topics != NULL && member->pattern != NULL)
        return member;
    kfl__member_destroy(member);
    return NULL;
}

void kfl__member_destroy(struct kfl__member *member)
{
    if (member == NULL)
        return;
    kfl__free(member->instance_id);
    kfl__free(member->client_id);
    kfl__free(member->assignors);
    kfl__free(member->topics);
    kfl__free(member->pattern);
    kfl__free(member->subscribed);
    kfl__places_free(&member->owned);
    kfl__places_free(&member->target);
    kfl__free(member);
}

void kfl__group_destroy(struct kfl__group *group)
{
    if (group == NULL)
        return;
    for (size_t i = 0; i < group->count; i++)
        kfl__member_destroy(group->members[i]);
    for (size_t i = 0; i < group->gone_count; i++)
        kfl__member_destroy(group->gone[i]);
    kfl__free(group->members);
    kfl__free(group->gone);
    kfl__free(group);
}

int kfl__group_add_member(struct kfl__group *group, struct kfl__member *member)
{
    if (group->count == group->room) {
        size_t room = group->room == 0 ? 8 : group->room * 2;
        struct kfl__member **grown = kfl__realloc(group->members, room * sizeof *grown);
        if (grown == NULL) {
            kfl__member_destroy(member);
            return kfl__fail(KFL_E_NOMEM, "group %s: out of memory", group->name);
        }
        group->members = grown;
        group->room = room;
    }
    size_t at = group->count;
    while (at > 0 && strcmp(group->members[at - 1]->id, member->id) > 0)
        at--;
    memmove(group->members + at + 1, group->members + at,
            (group->count - at) * sizeof(struct kfl__member *));
    group->members[at] = member;
    group->count++;
    return 0;
}

int kfl__group_drop_member(struct kfl__group *group, size_t index)
{
    assert(index < group->count);
    struct kfl__member **grown =
        kfl__realloc(group->gone, (group->gone_count + 1) * sizeof(struct kfl__member *));
    if (grown == NULL)
        return kfl__fail(KFL_E_NOMEM, "group %s: out of memory", group->name);
    group->gone = grown;
    group->gone[group->gone_count++] = group->members[index];
    group->count--;
    memmove(group->members + index, group->members + index + 1,
            (group->count - index) * sizeof(struct kfl__member *));
    return 0;
}

struct kfl__member *kfl__group_find_member(const struct kfl__group *group, const char *member_id)
{
    for (size_t i = 0; i < group->count; i++)
        if (strcmp(group->members[i]->id, member_id) == 0)
            return group->members[i];
    return NULL;
}

/* ---- rows ---- */

static void group_key(struct kfl__key *key, const char *name)
{
    kfl__key_begin(key, KFL_TABLE_GROUP);
    kfl__key_add_name(key, name);
}

static void member_key(struct kfl__key *key, const char *name, const char *member_id)
{
    kfl__key_begin(key, KFL_TABLE_MEMBER);
    kfl__key_add_name_and_end(key, name);
    if (member_id != NULL)
        kfl__key_add_name(key, member_id);
}

/* Takes a string with its NUL from what a row holds. NULL: there is none. */
static const char *take_string(const uint8_t **tail, size_t *size)
{
    const uint8_t *end = *size == 0 ? NULL : memchr(*tail, 0, *size);
    const char *string = (const char *)*tail;
    if (end == NULL)
        return NULL;
    *size -= (size_t)(end - *tail) + 1;
    *tail = end + 1;
    return string;
}

int kfl__group_get(struct kfl__catalog_txn *txn, const char *name, struct kfl__group *out_group)
{
    struct kfl__key key;
    struct kfl__row row;
    struct group_head head;
    const uint8_t *tail;
    size_t size;
    group_key(&key, name);
    int r = kfl__row_get(txn, &key, &row);
    if (r == KFL_ROW_MISSING)
        return kfl__fail(KFL_E_NOT_FOUND, "there is no group %s with members", name);
    if (r == 0)
        r = kfl__row_head(txn, &row, 1, &head, sizeof head, &tail, &size);
    if (r < 0)
        return r;
    const char *leader = take_string(&tail, &size);
    const char *assignor = leader == NULL ? NULL : take_string(&tail, &size);
    if (assignor == NULL || strlen(leader) > KFL_MEMBER_ID_MAX ||
        strlen(assignor) > KFL_ASSIGNOR_NAME_MAX)
        return kfl__row_fail(txn, &row, "is no group");
    memset(out_group, 0, sizeof *out_group);
    memcpy(out_group->name, name, strlen(name) + 1);
    memcpy(out_group->leader, leader, strlen(leader) + 1);
    memcpy(out_group->assignor, assignor, strlen(assignor) + 1);
    out_group->exists = true;
    out_group->answer_needed = head.answer_needed != 0;
    out_group->generation = head.generation;
    out_group->next_order = head.next_order;
    out_group->topics_version = head.topics_version;
    out_group->fingerprint = head.fingerprint;
    out_group->empty_since_ms = head.empty_since_ms;
    return 0;
}

static int take_places(const uint8_t **tail, size_t *size, uint32_t count,
                       struct kfl__places *places)
{
    if (*size / PLACE_SIZE < count)
        return KFL_E_CORRUPT;
    places->rows = kfl__alloc_array(count + 1, sizeof *places->rows);
    if (places->rows == NULL)
        return KFL_E_NOMEM;
    places->count = count;
    places->room = count + 1;
    for (uint32_t i = 0; i < count; i++, *tail += PLACE_SIZE)
        places->rows[i] = (struct kfl__place){kfl__load64(*tail), (int32_t)kfl__load32(*tail + 8)};
    *size -= (size_t)count * PLACE_SIZE;
    return 0;
}

static int take_ids(const uint8_t **tail, size_t *size, uint32_t count, struct kfl__member *member)
{
    if (*size / ID_SIZE < count)
        return KFL_E_CORRUPT;
    member->subscribed = kfl__alloc_array((size_t)count + 1, sizeof *member->subscribed);
    if (member->subscribed == NULL)
        return KFL_E_NOMEM;
    member->subscribed_count = count;
    for (uint32_t i = 0; i < count; i++, *tail += ID_SIZE)
        member->subscribed[i] = kfl__load64(*tail);
    *size -= (size_t)count * ID_SIZE;
    return 0;
}

static int replace_string(char **string, const char *with)
{
    char *copy = with == NULL ? NULL : kfl__copy_string(with);
    if (copy == NULL)
        return with == NULL ? KFL_E_CORRUPT : KFL_E_NOMEM;
    kfl__free(*string);
    *string = copy;
    return 0;
}

static int member_fill(const struct member_head *head, const uint8_t *tail, size_t size,
                       struct kfl__member *member)
{
    char **strings[MEMBER_STRINGS] = {&member->instance_id, &member->client_id, &member->assignors,
                                      &member->topics, &member->pattern};
    int r = 0;
    for (size_t i = 0; i < MEMBER_STRINGS && r == 0; i++)
        r = replace_string(strings[i], take_string(&tail, &size));
    if (r == 0)
        r = take_ids(&tail, &size, head->subscribed_count, member);
    if (r == 0)
        r = take_places(&tail, &size, head->owned_count, &member->owned);
    if (r == 0)
        r = take_places(&tail, &size, head->target_count, &member->target);
    if (r == 0 && size != 0)
        r = KFL_E_CORRUPT;
    return r;
}

static int member_decode(struct kfl__catalog_txn *txn, const struct kfl__row *row,
                         const char *member_id, struct kfl__member **out_member)
{
    struct member_head head;
    const uint8_t *tail;
    size_t size;
    int r = kfl__row_head(txn, row, 1, &head, sizeof head, &tail, &size);
    if (r < 0)
        return r;
    struct kfl__member *member = kfl__member_create();
    if (member == NULL)
        return kfl__fail(KFL_E_NOMEM, "a member of a group: out of memory");
    memcpy(member->id, member_id, strlen(member_id) + 1);
    memcpy(member->program, head.program, sizeof member->program - 1);
    member->exclude_internal = head.exclude_internal != 0;
    member->pid = head.pid;
    member->entry = head.entry;
    member->seat = head.seat;
    member->session = head.session;
    member->seat_owner = head.seat_owner;
    member->away_since_ms = head.away_since_ms;
    member->session_timeout_ms = head.session_timeout_ms;
    member->order = head.order;
    member->generation = head.generation;
    r = member_fill(&head, tail, size, member);
    if (r == 0) {
        *out_member = member;
        return 0;
    }
    kfl__member_destroy(member);
    return r == KFL_E_CORRUPT ? kfl__row_fail(txn, row, "is no member of a group")
                              : kfl__fail(r, "a member of a group: out of memory");
}

int kfl__group_get_member(struct kfl__catalog_txn *txn, const char *name, const char *member_id,
                          struct kfl__member **out_member)
{
    struct kfl__key key;
    struct kfl__row row;
    member_key(&key, name, member_id);
    int r = kfl__row_get(txn, &key, &row);
    if (r == KFL_ROW_MISSING)
        return kfl__fail(KFL_E_NOT_FOUND, "group %s has no member %s", name, member_id);
    return r < 0 ? r : member_decode(txn, &row, member_id, out_member);
}

int kfl__group_has_members(struct kfl__catalog_txn *txn, const char *name)
{
    struct kfl__key key;
    struct kfl__row row;
    member_key(&key, name, NULL);
    int r = kfl__rows_seek(txn, &key, &row);
    if (r < 0)
        return r;
    return r == 0 && row.key_size > key.size && memcmp(row.key, key.bytes, key.size) == 0;
}

static int load_member(struct kfl__catalog_txn *txn, const struct kfl__row *row, void *context)
{
    struct kfl__group *group = context;
    struct kfl__member *member = NULL;
    char id[KFL_MEMBER_ID_MAX + 1];
    size_t begin = 1 + strlen(group->name) + 1, size = row->key_size - begin;
    if (row->key_size <= begin || size > KFL_MEMBER_ID_MAX)
        return kfl__row_fail(txn, row, "is no member of a group");
    memcpy(id, row->key + begin, size);
    id[size] = '\0';
    int r = member_decode(txn, row, id, &member);
    return r < 0 ? r : kfl__group_add_member(group, member);
}

int kfl__group_load(struct kfl__catalog_txn *txn, const char *name, struct kfl__group **out_group)
{
    struct kfl__key prefix;
    struct kfl__group *group = kfl__alloc(sizeof *group);
    if (group == NULL)
        return kfl__fail(KFL_E_NOMEM, "group %s: out of memory", name);
    int r = kfl__group_get(txn, name, group);
    if (r == KFL_E_NOT_FOUND) {
        memset(group, 0, sizeof *group);
        memcpy(group->name, name, strlen(name) + 1);
        group->empty_since_ms = -1;
        r = 0;
    }
    member_key(&prefix, name, NULL);
    if (r == 0)
        r = kfl__rows_visit(txn, &prefix, load_member, group);
    if (r < 0) {
        kfl__group_destroy(group);
        return r;
    }
    *out_group = group;
    return 0;
}

static uint8_t *add_string(uint8_t *at, const char *string)
{
    size_t size = strlen(string) + 1;
    memcpy(at, string, size);
    return at + size;
}

static uint8_t *add_places(uint8_t *at, const struct kfl__places *places)
{
    for (size_t i = 0; i < places->count; i++, at += PLACE_SIZE) {
        kfl__store64(at, places->rows[i].topic_id);
        kfl__store32(at + 8, (uint32_t)places->rows[i].partition);
    }
    return at;
}

static int put_member(struct kfl__catalog_txn *txn, const char *name,
                      const struct kfl__member *member)
{
    const char *strings[MEMBER_STRINGS] = {member->instance_id, member->client_id,
                                           member->assignors, member->topics, member->pattern};
    struct member_head head = {
        .version = 1,
        .exclude_internal = member->exclude_internal,
        .pid = member->pid,
        .entry = member->entry,
        .seat = member->seat,
        .session = member->session,
        .seat_owner = member->seat_owner,
        .away_since_ms = member->away_since_ms,
        .session_timeout_ms = member->session_timeout_ms,
        .order = member->order,
        .generation = member->generation,
        .subscribed_count = (uint32_t)member->subscribed_count,
        .owned_count = (uint32_t)member->owned.count,
        .target_count = (uint32_t)member->target.count,
    };
    size_t size = member->subscribed_count * ID_SIZE +
                  (member->owned.count + member->target.count) * PLACE_SIZE;
    memcpy(head.program, member->program, sizeof head.program);
    for (size_t i = 0; i < MEMBER_STRINGS; i++)
        size += strlen(strings[i]) + 1;
    uint8_t *tail = kfl__alloc(size), *at = tail;
    if (tail == NULL)
        return kfl__fail(KFL_E_NOMEM, "group %s: out of memory", name);
    for (size_t i = 0; i < MEMBER_STRINGS; i++)
        at = add_string(at, strings[i]);
    for (size_t i = 0; i < member->subscribed_count; i++, at += ID_SIZE)
        kfl__store64(at, member->subscribed[i]);
    at = add_places(add_places(at, &member->owned), &member->target);
    struct kfl__key key;
    member_key(&key, name, member->id);
    int r = kfl__row_put(txn, &key, &head, sizeof head, tail, (size_t)(at - tail));
    kfl__free(tail);
    return r;
}

int kfl__group_save(struct kfl__catalog_txn *txn, struct kfl__group *group)
{
    struct group_head head = {
        .version = 1,
        .answer_needed = group->answer_needed,
        .generation = group->generation,
        .next_order = group->next_order,
        .topics_version = group->topics_version,
        .fingerprint = group->fingerprint,
        .empty_since_ms = group->empty_since_ms,
    };
    uint8_t tail[sizeof group->leader + sizeof group->assignor];
    uint8_t *end = add_string(add_string(tail, group->leader), group->assignor);
    struct kfl__key key;
    int r = 0;
    for (size_t i = 0; i < group->gone_count && r >= 0; i++) {
        member_key(&key, group->name, group->gone[i]->id);
        r = kfl__row_remove(txn, &key);
    }
    for (size_t i = 0; i < group->count && r >= 0; i++)
        if (group->members[i]->changed)
            r = put_member(txn, group->name, group->members[i]);
    if (r < 0)
        return r;
    group_key(&key, group->name);
    if (!group->over)
        return kfl__row_put(txn, &key, &head, sizeof head, tail, (size_t)(end - tail));
    r = kfl__row_remove(txn, &key);
    return r < 0 ? r : 0;
}

int kfl__group_remove(struct kfl__catalog_txn *txn, const char *name)
{
    struct kfl__key key;
    member_key(&key, name, NULL);
    int r = kfl__rows_remove(txn, &key);
    if (r < 0)
        return r;
    group_key(&key, name);
    r = kfl__row_remove(txn, &key);
    return r < 0 ? r : 0;
}

struct groups_visit {
    int (*visit)(const char *name, void *context);
    void *context;
};

static int visit_group(struct kfl__catalog_txn *txn, const struct kfl__row *row, void *context)
{
    const struct groups_visit *outer = context;
    char name[KFL_GROUP_NAME_MAX + 1];
    size_t size = row->key_size - 1;
    if (size < 1 || size > KFL_GROUP_NAME_MAX)
        return kfl__row_fail(txn, row, "names no group");
    memcpy(name, row->key + 1, size);
    name[size] = '\0';
    int r = outer->visit(name, outer->context);
    return r < 0 ? r : 0;
}

int kfl__groups_list(struct kfl__catalog_txn *txn, int (*visit)(const char *name, void *context),
                     void *context)
{
    struct kfl__key prefix;
    struct groups_visit outer = {visit, context};
    kfl__key_begin(&prefix, KFL_TABLE_GROUP);
    return kfl__rows_visit(txn, &prefix, visit_group, &outer);
}
