/* SPDX-License-Identifier: MIT */
/* Members of groups in a test: polls that take events, and what they own. Only the public calls. */
#ifndef KFL_TESTS_API_GROUP_FIXTURE_H
#define KFL_TESTS_API_GROUP_FIXTURE_H

#include "store_fixture.h"

/* What the events of one poll said, oldest first: "A[t/0 t/1] R[] L[] N C(0)". */
static char told[4096];

static inline void tell_offsets(const kfl_offsets *offsets, char *text, size_t size)
{
    text[0] = '\0';
    for (int32_t i = 0; i < kfl_offsets_count(offsets); i++) {
        const kfl_partition_offset *at = kfl_offsets_get(offsets, i);
        snprintf(text + strlen(text), size - strlen(text), "%s%s/%d", i > 0 ? " " : "", at->topic,
                 at->partition);
    }
}

static inline void tell_event(const kfl_event *event)
{
    static const char letters[] = "?HPARLNC";
    char text[2048];
    size_t used = strlen(told);
    int kind = kfl_event_kind(event);
    tell_offsets(kfl_event_offsets(event), text, sizeof text);
    if (kind == KFL_EVENT_COMMITTED)
        snprintf(text, sizeof text, "%d", kfl_event_code(event));
    snprintf(told + used, sizeof told - used, "%s%c[%s]", used > 0 ? " " : "", letters[kind], text);
}

/* Takes all events there are. */
static inline void take_events(kfl_consumer *consumer)
{
    kfl_event *event = NULL;
    told[0] = '\0';
    while (OK(kfl_consumer_next_event(consumer, &event)) == 1) {
        tell_event(event);
        kfl_event_release(event);
    }
}

/* One poll that does not wait: its answer. Its events are taken, and told; its records let go. */
static inline int follow(kfl_consumer *consumer)
{
    kfl_records *records = NULL;
    told[0] = '\0';
    int r = kfl_consumer_poll(consumer, 0, 0, &records);
    if (r > 0)
        kfl_records_release(records);
    if (r == KFL_E_EVENT)
        take_events(consumer);
    return r;
}

/* Polls without waiting until nothing is told: what was told, all of it. */
static inline const char *settle(kfl_consumer *consumer)
{
    static char all[sizeof told];
    all[0] = '\0';
    for (int i = 0; i < 20; i++) {
        int r = follow(consumer);
        if (r != KFL_E_EVENT) {
            fixture_ok(r, "settle");
            if (r == 0)
                break;
            continue;
        }
        size_t used = strlen(all);
        snprintf(all + used, sizeof all - used, "%s%s", used > 0 ? " " : "", told);
    }
    return all;
}

/* The partitions that the consumer has, "t/0 t/1", in order. */
static inline int compare_partitions(const void *a, const void *b)
{
    const kfl_partition_offset *x = *(const kfl_partition_offset *const *)a;
    const kfl_partition_offset *y = *(const kfl_partition_offset *const *)b;
    int order = strcmp(x->topic, y->topic);
    return order != 0 ? order : x->partition - y->partition;
}

static inline const char *has(kfl_consumer *consumer)
{
    static _Thread_local char text[2048];
    const kfl_partition_offset *sorted[256];
    kfl_offsets *offsets = NULL;
    if (kfl_consumer_assignment(consumer, &offsets) == KFL_E_NOMEM)
        OK(kfl_consumer_assignment(consumer, &offsets)); /* refused once, by a test's plan */
    int32_t count = kfl_offsets_count(offsets);
    for (int32_t i = 0; i < count; i++)
        sorted[i] = kfl_offsets_get(offsets, i);
    if (count > 1)
        qsort(sorted, (size_t)count, sizeof sorted[0], compare_partitions);
    text[0] = '\0';
    for (int32_t i = 0; i < count; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s/%d", i > 0 ? " " : "",
                 sorted[i]->topic, sorted[i]->partition);
    kfl_offsets_release(offsets);
    return text;
}

/* A member of group "g", subscribed to one topic. Not joined before its first poll. */
static inline kfl_consumer *open_member_with(const char *topic, const char *const *properties)
{
    kfl_config *config = config_of(properties);
    kfl_consumer *consumer = NULL;
    if (config == NULL)
        OK(kfl_config_create(&config));
    if (!kfl_config_is_set(config, "group.id"))
        OK(kfl_config_set(config, "group.id", "g"));
    OK(kfl_consumer_open(store, config, &consumer));
    kfl_config_destroy(config);
    if (topic != NULL)
        OK(kfl_consumer_subscribe(consumer, &topic, 1));
    return consumer;
}

static inline kfl_consumer *open_member(const char *topic, const char *client_id)
{
    return open_member_with(topic, WITH("client.id", client_id));
}

static inline kfl_group *describe(const char *name)
{
    kfl_group *group = NULL;
    OK(kfl_group_describe(store, name, &group));
    return group;
}

static inline int32_t state_of(const char *name)
{
    kfl_group *group = describe(name);
    int32_t state = kfl_group_state(group);
    kfl_group_release(group);
    return state;
}

static inline int32_t generation_of(const char *name)
{
    kfl_group *group = describe(name);
    int32_t generation = kfl_group_generation(group);
    kfl_group_release(group);
    return generation;
}

static inline int32_t members_of(const char *name)
{
    kfl_group *group = describe(name);
    int32_t count = kfl_group_member_count(group);
    kfl_group_release(group);
    return count;
}

static inline const char *id_of(kfl_consumer *consumer)
{
    const char *id = NULL;
    OK(kfl_consumer_member(consumer, &id, NULL));
    return id;
}

static inline int commit_at(kfl_consumer *consumer, const char *topic, int32_t partition,
                            int64_t offset)
{
    kfl_partition_offset at = {.topic = topic, .partition = partition, .offset = offset};
    return kfl_consumer_commit_offsets(consumer, &at, 1);
}

static inline void close_consumer(kfl_consumer *consumer)
{
    OK(kfl_consumer_close(consumer));
}

#endif
