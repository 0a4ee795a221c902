/* SPDX-License-Identifier: MIT */
/*
 * Groups written down in a line or two, and what the assignors make of them.
 *
 *   topics     "a:3 b:1"   with their partition counts; what is not listed is not there
 *   members    "M a,b; N#i1 a @7 a-0 b-1"   id, #instance id, topics or -, @generation and what
 *              was had in it
 *   partitions "M a-0 a-1; N -"   of each member, in order
 */
#ifndef KFL_TESTS_ASSIGNOR_FIXTURE_H
#define KFL_TESTS_ASSIGNOR_FIXTURE_H

#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/assignor.h"

#define GROUP_MAX_MEMBERS 64
#define GROUP_MAX_TOPICS 64
#define GROUP_MAX_OWNED 1024

struct group {
    struct kfl__assignor_topic topics[GROUP_MAX_TOPICS];
    size_t topic_count;
    struct kfl__assignor_member members[GROUP_MAX_MEMBERS];
    int32_t subscribed[GROUP_MAX_MEMBERS][GROUP_MAX_TOPICS];
    struct kfl__assignor_partition owned[GROUP_MAX_MEMBERS][GROUP_MAX_OWNED];
    size_t member_count;
    char names[GROUP_MAX_TOPICS][32];
    char ids[GROUP_MAX_MEMBERS][2][32];
};

static inline int32_t group_topic(struct group *group, const char *name, size_t size)
{
    for (size_t i = 0; i < group->topic_count; i++) {
        if (strlen(group->names[i]) == size && memcmp(group->names[i], name, size) == 0)
            return (int32_t)i;
    }
    ck_assert_uint_lt(group->topic_count, GROUP_MAX_TOPICS);
    snprintf(group->names[group->topic_count], sizeof group->names[0], "%.*s", (int)size, name);
    group->topics[group->topic_count].name = group->names[group->topic_count];
    group->topics[group->topic_count].partition_count = 0;
    return (int32_t)group->topic_count++;
}

static inline void group_read_topics(struct group *group, const char *text)
{
    while (*text != '\0') {
        size_t size = strcspn(text, ":");
        char *end;
        int32_t topic = group_topic(group, text, size);
        group->topics[topic].partition_count = (int32_t)strtol(text + size + 1, &end, 10);
        text = end + strspn(end, " ");
    }
}

/* The next word before a blank or ';', or 0 at the end of this member. */
static inline size_t group_word(const char **text)
{
    *text += strspn(*text, " ");
    return strcspn(*text, " ;");
}

static inline void group_read_member(struct group *group, const char **text)
{
    size_t place = group->member_count++;
    struct kfl__assignor_member *member = &group->members[place];
    size_t size = group_word(text);
    size_t id_size = strcspn(*text, " ;#");
    snprintf(group->ids[place][0], sizeof group->ids[0][0], "%.*s", (int)id_size, *text);
    *member = (struct kfl__assignor_member){.member_id = group->ids[place][0],
                                            .topics = group->subscribed[place],
                                            .owned = group->owned[place],
                                            .generation = KFL_ASSIGNOR_NO_GENERATION};
    if (id_size < size) {
        snprintf(group->ids[place][1], sizeof group->ids[0][1], "%.*s", (int)(size - id_size - 1),
                 *text + id_size + 1);
        member->instance_id = group->ids[place][1];
    }
    *text += size;
    size = group_word(text);
    while (size > 0 && **text != '-') {
        size_t name = strcspn(*text, ", ;");
        group->subscribed[place][member->topic_count++] = group_topic(group, *text, name);
        *text += name;
        if (**text != ',')
            break;
        *text += 1;
    }
    *text += **text == '-';
    while ((size = group_word(text)) > 0) {
        if (**text == '@') {
            member->generation = (int32_t)strtol(*text + 1, NULL, 10);
        } else {
            size_t name = strcspn(*text, "-");
            group->owned[place][member->owned_count++] = (struct kfl__assignor_partition){
                group_topic(group, *text, name), (int32_t)strtol(*text + name + 1, NULL, 10)};
        }
        *text += size;
    }
    *text += strspn(*text, "; ");
}

/* Owned: free(). */
static inline struct group *group_read(const char *topics, const char *members)
{
    struct group *group = calloc(1, sizeof *group);
    ck_assert_ptr_nonnull(group);
    group_read_topics(group, topics);
    while (*members != '\0')
        group_read_member(group, &members);
    return group;
}

static inline int group_compare_text(const void *left, const void *right)
{
    return strcmp(left, right);
}

/* As the fixture writes partitions; sorted within a member when asked for. Owned: free(). */
static inline char *group_write(const struct group *group, const struct kfl__assignment *assignment,
                                bool sorted)
{
    size_t room = 64 * (assignment->partition_count + group->member_count + 1);
    char *text = malloc(room);
    char *end = text;
    for (size_t i = 0; i < group->member_count; i++) {
        size_t count = assignment->starts[i + 1] - assignment->starts[i];
        char(*words)[40] = calloc(count + 1, sizeof *words);
        for (size_t j = 0; j < count; j++) {
            struct kfl__assignor_partition partition =
                assignment->partitions[assignment->starts[i] + j];
            snprintf(words[j], sizeof words[j], "%s-%d", group->topics[partition.topic].name,
                     partition.partition);
        }
        if (sorted)
            qsort(words, count, sizeof *words, group_compare_text);
        end += sprintf(end, "%s%s", i > 0 ? "; " : "", group->members[i].member_id);
        for (size_t j = 0; j < count; j++)
            end += sprintf(end, " %s", words[j]);
        if (count == 0)
            end += sprintf(end, " -");
        free(words);
    }
    *end = '\0';
    return text;
}

static inline struct kfl__assignment *group_assign(const struct group *group, int32_t kind)
{
    struct kfl__assignment *assignment = NULL;
    ck_assert_int_eq(kfl__assignor_assign(kind, group->topics, group->topic_count, group->members,
                                          group->member_count, &assignment),
                     0);
    return assignment;
}

/* Cooperative-sticky's first round, and how many it leaves out. */
static inline struct kfl__assignment *group_adjust(const struct group *group,
                                                   const struct kfl__assignment *target, int *out)
{
    struct kfl__assignment *assignment = NULL;
    *out = kfl__assignment_adjust(target, group->topics, group->topic_count, group->members,
                                  &assignment);
    ck_assert_int_ge(*out, 0);
    return assignment;
}

#endif
