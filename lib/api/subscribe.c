/* SPDX-License-Identifier: MIT */
/* Subscribing: what a consumer wishes to read as a member of its group. The polls do the rest. */
#include <string.h>

#include "api/consumer.h"
#include "api/groups.h"
#include "base/memory.h"
#include "base/patience.h"
#include "base/wait.h"
#include "engine/members.h"
#include "engine/notify.h"
#include "engine/subscription.h"
#include "format/names.h"

/* Takes both strings. */
static int subscribe_wish(kfl_consumer *consumer, char *topics, char *pattern)
{
    struct kfl__membership *membership = NULL;
    int r = topics == NULL || pattern == NULL
                ? kfl__fail(KFL_E_NOMEM, "a subscription: out of memory")
                : kfl__consumer_enter(consumer);
    if (r < 0) {
        kfl__free(topics);
        kfl__free(pattern);
        return r;
    }
    if (consumer->membership == NULL && consumer->assigned_count > 0)
        r = kfl__fail(KFL_E_INVALID, "partitions are assigned to the consumer: assign none first");
    else if (consumer->membership == NULL && (membership = kfl__alloc(sizeof *membership)) == NULL)
        r = kfl__fail(KFL_E_NOMEM, "a subscription: out of memory");
    if (membership != NULL) {
        membership->generation = membership->asked_generation = -1;
        consumer->membership = membership;
        consumer->follows = true;
    }
    if (r == 0) {
        kfl__free(consumer->membership->topics);
        kfl__free(consumer->membership->pattern);
        consumer->membership->topics = topics;
        consumer->membership->pattern = pattern;
        consumer->membership->wish_changed = true;
        kfl__consumer_stir(consumer);
    } else {
        kfl__free(topics);
        kfl__free(pattern);
    }
    return kfl__consumer_leave(consumer, r);
}

static int subscribe_check(const kfl_consumer *consumer)
{
    if (consumer == NULL)
        return kfl__fail(KFL_E_INVALID, "the consumer is NULL");
    return kfl__group_name_check(consumer->settings->group_id);
}

int kfl_consumer_subscribe(kfl_consumer *consumer, const char *const *topics, size_t topic_count)
{
    size_t size = 1;
    int r = subscribe_check(consumer);
    if (r == 0 && (topics == NULL || topic_count == 0 || topic_count > KFL_PARTITIONS_MAX))
        r = kfl__fail(KFL_E_INVALID, "kfl_consumer_subscribe: %zu topics", topic_count);
    for (size_t i = 0; i < topic_count && r == 0; i++) {
        r = topics[i] == NULL
                ? kfl__fail(KFL_E_INVALID, "kfl_consumer_subscribe: a topic name is NULL")
                : kfl__topic_name_check(topics[i]);
        for (size_t j = 0; j < i && r == 0; j++)
            if (strcmp(topics[i], topics[j]) == 0)
                r = kfl__fail(KFL_E_INVALID, "kfl_consumer_subscribe: topic %s is named twice",
                              topics[i]);
        size += r == 0 ? strlen(topics[i]) + 1 : 0;
    }
    if (r < 0)
        return r;
    char *lines = kfl__alloc(size), *at = lines;
    for (size_t i = 0; i < topic_count && lines != NULL; i++) {
        size_t length = strlen(topics[i]);
        if (i > 0)
            *at++ = '\n';
        memcpy(at, topics[i], length);
        at += length;
    }
    return subscribe_wish(consumer, lines, kfl__copy_string(""));
}

int kfl_consumer_subscribe_pattern(kfl_consumer *consumer, const char *pattern)
{
    int r = subscribe_check(consumer);
    if (r == 0 && (pattern == NULL || pattern[0] == '\0'))
        r = kfl__fail(KFL_E_INVALID, "kfl_consumer_subscribe_pattern: no pattern");
    if (r == 0)
        r = kfl__subscription_check_pattern(pattern);
    return r < 0 ? r : subscribe_wish(consumer, kfl__copy_string(""), kfl__copy_string(pattern));
}

KFL_UNCHECKED int kfl_consumer_unsubscribe(kfl_consumer *consumer)
{
    int r = kfl__consumer_enter(consumer);
    if (r < 0)
        return r;
    struct kfl__membership *membership = consumer->membership;
    if (membership != NULL && consumer->polling) {
        /* The poll that is under way leaves, since what is assigned is its affair. */
        struct kfl__patience_wait wait;
        kfl__patience_begin(&wait, membership, -1);
        membership->leaving = true;
        kfl__notify_wake_process(consumer->core);
        while (r == 0 && consumer->membership == membership && consumer->polling)
            r = kfl__patience_end(&wait, kfl__condition_wait(&consumer->turn, &consumer->lock, wait.until_ns) == KFL_WAIT_TIMEOUT);
    }
    if (r == 0 && membership != NULL && consumer->membership == membership) {
        consumer->polling = true;
        r = kfl__consumer_leave_group(consumer);
        consumer->polling = false;
        kfl__condition_broadcast(&consumer->turn);
    }
    return kfl__consumer_leave(consumer, r);
}

struct subscribe_look {
    const char *pattern;
    bool exclude_internal;
    kfl_names *names;
};

static int subscribe_add_name(const char *name, uint64_t topic_id, void *context)
{
    (void)topic_id;
    return kfl__names_add(context, name);
}

static int subscribe_match(struct kfl__catalog_txn *txn, void *context)
{
    struct subscribe_look *look = context;
    return kfl__subscription_matches(txn, look->pattern, look->exclude_internal, subscribe_add_name,
                                     look->names);
}

KFL_UNCHECKED int kfl_consumer_subscription(kfl_consumer *consumer, kfl_names **out_names)
{
    struct subscribe_look look = {0};
    char *topics = NULL, *pattern = NULL;
    if (out_names == NULL)
        return kfl__fail(KFL_E_INVALID, "kfl_consumer_subscription: out_names is NULL");
    int r = kfl__consumer_enter(consumer);
    if (r < 0)
        return r;
    bool subscribed = consumer->membership != NULL;
    if (subscribed) {
        topics = kfl__copy_string(consumer->membership->topics);
        pattern = kfl__copy_string(consumer->membership->pattern);
        if (topics == NULL || pattern == NULL)
            r = kfl__fail(KFL_E_NOMEM, "a subscription: out of memory");
    }
    kfl__mutex_unlock(&consumer->lock);
    if (r == 0)
        r = kfl__names_create(&look.names);
    if (r == 0 && subscribed && pattern[0] != '\0') {
        look.pattern = pattern;
        look.exclude_internal = consumer->settings->exclude_internal_topics != 0;
        r = kfl__catalog_look(consumer->core->catalog, subscribe_match, &look);
    } else if (r == 0 && subscribed) {
        r = kfl__names_add_lines(look.names, topics);
    }
    kfl__mutex_lock(&consumer->lock);
    r = kfl__consumer_leave(consumer, r);
    kfl__free(topics);
    kfl__free(pattern);
    if (r < 0) {
        kfl_names_release(look.names);
        return r;
    }
    kfl__names_sort(look.names);
    *out_names = look.names;
    return 0;
}

int kfl_consumer_member(kfl_consumer *consumer, const char **out_member_id, int32_t *out_generation)
{
    int r = kfl__consumer_enter(consumer);
    if (r < 0)
        return r;
    const struct kfl__membership *membership = consumer->membership;
    if (membership == NULL || !membership->joined)
        return kfl__consumer_leave(
            consumer, kfl__fail(KFL_E_UNKNOWN_MEMBER_ID, "the consumer is no member of a group"));
    if (out_member_id != NULL)
        *out_member_id = membership->id;
    if (out_generation != NULL)
        *out_generation = membership->generation;
    return kfl__consumer_leave(consumer, 0);
}

/* ---- assignors of the program's own ---- */

struct subscribe_answer {
    const char **ids;
    struct kfl__places *targets;
    size_t count;
};

static int subscribe_answer_add(kfl_consumer *consumer, const kfl_member_partition *row,
                                struct subscribe_answer *answer)
{
    struct kfl__topic *topic = NULL;
    size_t at = 0;
    if (row->member_id == NULL || row->topic == NULL || row->partition < 0)
        return kfl__fail(KFL_E_INVALID,
                         "kfl_consumer_assign_answer: a row without member, topic or partition");
    int r = kfl__topic_find(consumer->core, row->topic, &topic);
    if (r < 0)
        return r;
    struct kfl__place place = {topic->id, row->partition};
    kfl__topic_release(topic);
    while (at < answer->count && strcmp(answer->ids[at], row->member_id) != 0)
        at++;
    if (at == answer->count)
        answer->ids[answer->count++] = row->member_id;
    if (kfl__places_have(&answer->targets[at], &place))
        return kfl__fail(KFL_E_INVALID, "partition %s/%d is given twice", row->topic,
                         row->partition);
    return kfl__places_add(&answer->targets[at], &place);
}

KFL_UNCHECKED int kfl_consumer_assign_answer(kfl_consumer *consumer, int32_t generation,
                                             const kfl_member_partition *partitions, size_t count)
{
    struct subscribe_answer answer = {0};
    const char *member_id = NULL;
    if (partitions == NULL && count > 0)
        return kfl__fail(KFL_E_INVALID, "kfl_consumer_assign_answer: partitions is NULL");
    int r = kfl__consumer_enter(consumer);
    if (r < 0)
        return r;
    if (consumer->membership != NULL && consumer->membership->joined)
        member_id = consumer->membership->id;
    kfl__mutex_unlock(&consumer->lock);
    if (member_id == NULL)
        r = kfl__fail(KFL_E_UNKNOWN_MEMBER_ID, "the consumer is no member of a group");
    answer.ids = kfl__alloc_array(count + 1, sizeof(const char *));
    answer.targets = kfl__alloc_array(count + 1, sizeof *answer.targets);
    if (r == 0 && (answer.ids == NULL || answer.targets == NULL))
        r = kfl__fail(KFL_E_NOMEM, "an answer of %zu partitions: out of memory", count);
    for (size_t i = 0; i < count && r == 0; i++)
        r = subscribe_answer_add(consumer, &partitions[i], &answer);
    if (r == 0)
        r = kfl__members_answer(consumer->core, consumer->settings->group_id, member_id, generation,
                                answer.ids, answer.targets, answer.count);
    for (size_t i = 0; answer.targets != NULL && i < answer.count; i++)
        kfl__places_free(&answer.targets[i]);
    kfl__free(answer.targets);
    kfl__free((void *)answer.ids);
    kfl__mutex_lock(&consumer->lock);
    r = kfl__consumer_leave(consumer, r);
    return r;
}
