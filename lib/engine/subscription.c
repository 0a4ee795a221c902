/* SPDX-License-Identifier: MIT */
/*
 * What a member is subscribed to is looked up by whoever runs the rebalance, for all members, so
 * that a new topic needs one transaction and not one a member.
 */
#include "engine/subscription.h"

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "catalog/topics.h"

int kfl__subscription_check_pattern(const char *pattern)
{
    regex_t regex;
    char text[160];
    int answer = regcomp(&regex, pattern, REG_EXTENDED);
    if (answer == 0) {
        regfree(&regex);
        return 0;
    }
    regerror(answer, &regex, text, sizeof text);
    return kfl__fail(KFL_E_BAD_VALUE, "\"%.80s\" is no extended regular expression: %s", pattern,
                     text);
}

struct subscription_look {
    regex_t regex;
    bool exclude_internal;
    int (*visit)(const char *name, uint64_t topic_id, void *context);
    void *context;
};

static int subscription_match(const struct kfl__topic_row *row, void *context)
{
    const struct subscription_look *look = context;
    if (look->exclude_internal && row->name[0] == '_' && row->name[1] == '_')
        return 0;
    if (regexec(&look->regex, row->name, 0, NULL, 0) != 0)
        return 0;
    return look->visit(row->name, row->topic_id, look->context);
}

int kfl__subscription_matches(struct kfl__catalog_txn *txn, const char *pattern,
                              bool exclude_internal,
                              int (*visit)(const char *name, uint64_t topic_id, void *context),
                              void *context)
{
    struct subscription_look look = {
        .exclude_internal = exclude_internal, .visit = visit, .context = context};
    /* The whole name must match. */
    size_t size = strlen(pattern) + sizeof "^()$";
    char *anchored = kfl__alloc(size);
    if (anchored == NULL)
        return kfl__fail(KFL_E_NOMEM, "a pattern: out of memory");
    snprintf(anchored, size, "^(%s)$", pattern);
    int answer = regcomp(&look.regex, anchored, REG_EXTENDED | REG_NOSUB);
    kfl__free(anchored);
    if (answer != 0)
        return kfl__fail(KFL_E_BAD_VALUE, "\"%.80s\" is no extended regular expression", pattern);
    int r = kfl__topics_list(txn, subscription_match, &look);
    regfree(&look.regex);
    return r;
}

int kfl__subscription_compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x == y ? 0 : x < y ? -1 : 1;
}

static int subscription_add(const char *name, uint64_t topic_id, void *context)
{
    struct kfl__member *member = context;
    size_t count = member->subscribed_count;
    (void)name;
    /* Room is made in powers of two, from what is there alone. */
    if ((count & (count - 1)) == 0) {
        uint64_t *grown =
            kfl__realloc(member->subscribed, (count == 0 ? 1 : count * 2) * sizeof *grown);
        if (grown == NULL)
            return kfl__fail(KFL_E_NOMEM, "a subscription: out of memory");
        member->subscribed = grown;
    }
    member->subscribed[member->subscribed_count++] = topic_id;
    return 0;
}

static int subscription_add_names(struct kfl__catalog_txn *txn, struct kfl__member *member)
{
    const char *at = member->topics;
    int r = 0;
    while (*at != '\0' && r == 0) {
        struct kfl__topic_row topic;
        char name[256];
        size_t size = strcspn(at, "\n");
        if (size >= sizeof name)
            return kfl__fail(KFL_E_CORRUPT, "member %s: a subscription that cannot be", member->id);
        memcpy(name, at, size);
        name[size] = '\0';
        r = kfl__topics_find(txn, name, &topic);
        if (r == 0)
            r = subscription_add(name, topic.topic_id, member);
        else if (r == KFL_E_UNKNOWN_TOPIC_OR_PARTITION)
            r = 0; /* it is read once it is there */
        at += size + (at[size] == '\n' ? 1 : 0);
    }
    return r;
}

int kfl__subscription_resolve(struct kfl__catalog_txn *txn, struct kfl__member *member,
                              const struct kfl__member *before)
{
    int r = 0;
    kfl__free(member->subscribed);
    member->subscribed = NULL;
    member->subscribed_count = 0;
    if (before != NULL && strcmp(before->topics, member->topics) == 0 &&
        strcmp(before->pattern, member->pattern) == 0 &&
        before->exclude_internal == member->exclude_internal) {
        for (size_t i = 0; i < before->subscribed_count && r == 0; i++)
            r = subscription_add(NULL, before->subscribed[i], member);
        return r;
    }
    if (member->pattern[0] != '\0')
        r = kfl__subscription_matches(txn, member->pattern, member->exclude_internal,
                                      subscription_add, member);
    else
        r = subscription_add_names(txn, member);
    if (r == 0 && member->subscribed_count > 1)
        qsort(member->subscribed, member->subscribed_count, sizeof *member->subscribed,
              kfl__subscription_compare);
    return r;
}
