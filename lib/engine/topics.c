/* SPDX-License-Identifier: MIT */
/*
 * The registry of this process: its topics, and their partitions.
 *
 * A topic is looked up in the catalog once and then only when the store's version of topics has moved.
 * What may change of it (number of partitions, properties) is a shape: immutable, replaced as a whole, and
 * kept until the topic goes, so that an append reads it without a lock. Partitions are made at their first
 * use. A topic that was deleted is taken off the list and marked; who still holds it gets an error.
 */
#include "engine/topics.h"

#include <string.h>

#include "base/memory.h"
#include "engine/notify.h"
#include "format/names.h"

#define TOPICS_SLOT_WAIT_MS 10000

/* ---- shapes ---- */

static void topic_destroy(struct kfl__topic *topic)
{
    struct kfl__topic_shape *shape = atomic_load(&topic->shape);
    if (shape != NULL)
        for (int32_t i = 0; i < shape->partition_count; i++)
            kfl__partition_destroy(atomic_load(&shape->partitions[i]));
    while (shape != NULL) {
        struct kfl__topic_shape *older = shape->older;
        kfl_config_destroy(shape->config);
        kfl__free(shape);
        shape = older;
    }
    kfl__free(topic);
}

/* Holding the registry: take over what the row says. */
static int topic_reshape(struct kfl__topic *topic, const struct kfl__topic_row *row, const char *properties)
{
    int32_t partition_count = row->partition_count;
    struct kfl__topic_shape *old = atomic_load(&topic->shape);
    if (old != NULL && old->version == row->version)
        return 0; /* another topic changed: shapes are kept, so there must be no more of them than changes */
    struct kfl__topic_shape *shape = kfl__alloc(sizeof *shape + (size_t)partition_count * sizeof shape->partitions[0]);
    if (shape == NULL)
        return kfl__fail(KFL_E_NOMEM, "topic %s: out of memory", topic->name);
    int r = kfl__config_decode(properties, &shape->config);
    if (r < 0) {
        kfl__free(shape);
        return r;
    }
    shape->settings = kfl__config_settings(shape->config);
    shape->version = row->version;
    shape->partition_count = partition_count;
    shape->older = old;
    for (int32_t i = 0; old != NULL && i < old->partition_count && i < partition_count; i++)
        atomic_store(&shape->partitions[i], atomic_load(&old->partitions[i]));
    atomic_store_explicit(&topic->shape, shape, memory_order_release);
    return 0;
}

/* ---- looking up ---- */

struct topics_look {
    const char *name;  /* either this */
    uint64_t topic_id; /* or this */
    struct kfl__topic_row row;
    uint64_t version; /* of all topics, when the row was read */
    char *properties; /* owned */
};

static int topics_get_row(struct kfl__catalog_txn *txn, void *context)
{
    struct topics_look *look = context;
    int r = kfl__topics_version(txn, &look->version);
    if (r < 0)
        return r;
    r = look->name != NULL ? kfl__topics_find(txn, look->name, &look->row) : kfl__topics_get(txn, look->topic_id, &look->row);
    if (r < 0)
        return r;
    look->properties = kfl__copy_string(look->row.properties == NULL ? "" : look->row.properties);
    return look->properties == NULL ? kfl__fail(KFL_E_NOMEM, "topic %s: out of memory", look->row.name) : 0;
}

/* Holding the registry. */
static struct kfl__topic *topics_listed(struct kfl__core *core, const char *name, uint64_t topic_id)
{
    for (struct kfl__topic *topic = core->topic_list; topic != NULL; topic = topic->next)
        if (name != NULL ? strcmp(topic->name, name) == 0 : topic->id == topic_id)
            return topic;
    return NULL;
}

/* Holding the registry. */
static void topics_unlist(struct kfl__topic *topic)
{
    for (struct kfl__topic **at = &topic->core->topic_list; *at != NULL; at = &(*at)->next)
        if (*at == topic) {
            *at = topic->next;
            topic->next = NULL;
            atomic_store(&topic->gone, 1);
            kfl__topic_release(topic); /* the list's share */
            return;
        }
}

static int topics_add(struct kfl__core *core, const struct topics_look *look, struct kfl__topic **out_topic)
{
    struct kfl__topic *topic = kfl__alloc(sizeof *topic);
    if (topic == NULL)
        return kfl__fail(KFL_E_NOMEM, "topic %s: out of memory", look->row.name);
    topic->core = core;
    topic->id = look->row.topic_id;
    topic->name_size = strlen(look->row.name);
    memcpy(topic->name, look->row.name, topic->name_size);
    kfl__count_init(&topic->count); /* the list's share */
    atomic_init(&topic->seen_version, look->version * 2);
    int r = topic_reshape(topic, &look->row, look->properties);
    if (r < 0) {
        topic_destroy(topic);
        return r;
    }
    topic->next = core->topic_list;
    core->topic_list = topic;
    *out_topic = topic;
    return 0;
}

static int topics_find(struct kfl__core *core, const char *name, uint64_t topic_id, struct kfl__topic **out_topic)
{
    struct topics_look look = {.name = name, .topic_id = topic_id};
    struct kfl__topic *topic;
    int r = 0;
    kfl__mutex_lock(&core->registry);
    topic = topics_listed(core, name, topic_id);
    if (topic != NULL)
        kfl__topic_acquire(topic);
    kfl__mutex_unlock(&core->registry);
    if (topic != NULL) {
        r = kfl__topic_current(topic);
        if (r == 0) {
            *out_topic = topic;
            return 0;
        }
        kfl__topic_release(topic);
        if (r != KFL_E_UNKNOWN_TOPIC_OR_PARTITION || name == NULL)
            return r;
    }
    /* Not listed, or deleted; by now another thread may have listed what is there instead. */
    r = 0;
    kfl__mutex_lock(&core->registry);
    topic = topics_listed(core, name, topic_id);
    if (topic == NULL) {
        r = kfl__catalog_look(core->catalog, topics_get_row, &look);
        if (r == 0)
            r = topics_add(core, &look, &topic);
        if (r == 0)
            kfl__topics_saw(core, look.version);
        kfl__free(look.properties);
    }
    if (r == 0) {
        kfl__topic_acquire(topic);
        *out_topic = topic;
    }
    kfl__mutex_unlock(&core->registry);
    return r;
}

int kfl__topic_find(struct kfl__core *core, const char *name, struct kfl__topic **out_topic)
{
    int r = kfl__topic_name_check(name);
    return r < 0 ? r : topics_find(core, name, 0, out_topic);
}

int kfl__topic_find_id(struct kfl__core *core, uint64_t topic_id, struct kfl__topic **out_topic)
{
    return topics_find(core, NULL, topic_id, out_topic);
}

void kfl__topic_acquire(struct kfl__topic *topic)
{
    kfl__count_acquire(&topic->count);
}

void kfl__topic_release(struct kfl__topic *topic)
{
    if (topic != NULL && kfl__count_release(&topic->count))
        topic_destroy(topic);
}

/* The catalog no longer has it: no slot of it may take another append (a killed deleter may have left them). */
static void topic_mark_slots(struct kfl__topic *topic)
{
    struct kfl__topic_shape *shape = atomic_load(&topic->shape);
    for (int32_t i = 0; i < shape->partition_count; i++) {
        struct kfl__partition *partition = atomic_load(&shape->partitions[i]);
        if (partition == NULL || topic->core->read_only)
            continue;
        if (kfl__partition_lock(partition, -1) == 0) {
            atomic_store(&partition->slot->deleted, 1);
            atomic_fetch_add(&partition->slot->manifest_version, 1);
            kfl__partition_unlock(partition);
            kfl__notify_raise(topic->core, partition->slot);
        }
    }
}

int kfl__topic_refresh(struct kfl__topic *topic)
{
    struct kfl__core *core = topic->core;
    struct topics_look look = {.topic_id = topic->id};
    kfl__mutex_lock(&core->registry);
    int r = atomic_load(&topic->gone) != 0
                ? kfl__fail(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, "topic %s was deleted", topic->name)
                : kfl__catalog_look(core->catalog, topics_get_row, &look);
    if (r == 0)
        r = topic_reshape(topic, &look.row, look.properties);
    if (r == 0) {
        atomic_store(&topic->seen_version, look.version * 2);
        kfl__topics_saw(core, look.version);
    }
    if (r == KFL_E_UNKNOWN_TOPIC_OR_PARTITION && atomic_load(&topic->gone) == 0) {
        topic_mark_slots(topic);
        topics_unlist(topic);
        kfl__fail(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, "topic %s was deleted", topic->name);
    }
    kfl__mutex_unlock(&core->registry);
    kfl__free(look.properties);
    return r < 0 ? kfl__fail_at(r, topic->name, -1, -1) : 0;
}

/* ---- partitions ---- */

struct topics_partition_look {
    uint64_t topic_id;
    int32_t number;
    struct kfl__partition_row row;
};

static int topics_get_partition(struct kfl__catalog_txn *txn, void *context)
{
    struct topics_partition_look *look = context;
    return kfl__partition_get(txn, look->topic_id, look->number, &look->row);
}

static int topics_held_by(int32_t owner, const struct topics_partition_look *look)
{
    char holder[64];
    kfl__presence_describe(owner, holder, sizeof holder);
    return kfl__fail(KFL_E_BUSY, "the place of partition %d is still held by %s, which used a topic that was deleted",
                     look->number, holder);
}

static KFL_UNCHECKED int topics_lock(struct kfl__slot *slot, struct kfl__robust *robust, enum kfl__rank rank,
                                     const struct topics_partition_look *look)
{
    int r = kfl__robust_lock(robust, rank, kfl__clock_deadline_ns(TOPICS_SLOT_WAIT_MS));
    if (r == KFL_LOCK_OWNER_DIED) {
        /* What it was at belonged to a topic that is gone; or to ours, if it was first, and then is copied. */
        atomic_store(&slot->suspect, 1);
        kfl__robust_mended(robust);
        return 0;
    }
    return r == KFL_LOCK_BUSY ? topics_held_by(kfl__robust_owner(robust), look) : r;
}

static KFL_UNCHECKED int topics_lock_appends(struct kfl__slot *slot, const struct topics_partition_look *look)
{
    int r = kfl__lendable_lock(&slot->append, KFL_RANK_APPEND, kfl__clock_deadline_ns(TOPICS_SLOT_WAIT_MS));
    if (r == KFL_LOCK_OWNER_DIED) {
        atomic_store(&slot->suspect, 1);
        kfl__lendable_mended(&slot->append);
        return 0;
    }
    return r == KFL_LOCK_BUSY ? topics_held_by(kfl__lendable_owner(&slot->append), look) : r;
}

/* Holding its three locks: a slot of somebody whose topic is gone, or of nobody. */
static int topics_take_over(struct kfl__slot *slot, const struct topics_partition_look *look)
{
    uint64_t version = atomic_load(&slot->manifest_version);
    uint32_t incarnation = atomic_load(&slot->incarnation);
    if (atomic_load(&slot->topic_id) == look->topic_id && incarnation == look->row.incarnation &&
        atomic_load(&slot->deleted) == 0)
        return 0; /* another process was first */
    /* Incarnations rise: what we looked up may have been deleted, and its slot be in use again. */
    if ((int32_t)(look->row.incarnation - incarnation) <= 0)
        return kfl__fail(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, "the topic was deleted");
    kfl__slot_reset(slot);
    atomic_store(&slot->manifest_version, version + 1);
    atomic_store(&slot->partition, (uint32_t)look->number);
    atomic_store(&slot->incarnation, look->row.incarnation);
    atomic_store_explicit(&slot->topic_id, look->topic_id, memory_order_release);
    return 0;
}

/* Make the slot ours, once among all processes. Who still works on its former topic is waited for. */
static KFL_UNCHECKED int topics_claim_slot(struct kfl__slot *slot, const struct topics_partition_look *look)
{
    if (kfl__slot_is(slot, look->topic_id, (uint32_t)look->number, look->row.incarnation))
        return 0;
    int r = topics_lock(slot, &slot->prepare, KFL_RANK_PREPARE, look);
    if (r < 0)
        return r;
    r = topics_lock_appends(slot, look);
    if (r == 0) {
        r = topics_lock(slot, &slot->sync, KFL_RANK_SYNC, look);
        if (r == 0) {
            r = topics_take_over(slot, look);
            kfl__robust_unlock(&slot->sync, KFL_RANK_SYNC);
        }
        kfl__lendable_unlock(&slot->append, KFL_RANK_APPEND);
    }
    kfl__robust_unlock(&slot->prepare, KFL_RANK_PREPARE);
    return r;
}

/* Holding the registry. */
static int topics_make_partition(struct kfl__topic *topic, int32_t number, struct kfl__partition **out_partition)
{
    struct topics_partition_look look = {.topic_id = topic->id, .number = number};
    struct kfl__slot *slot = NULL;
    int r = kfl__catalog_look(topic->core->catalog, topics_get_partition, &look);
    if (r == 0)
        r = kfl__state_slot(topic->core->state, look.row.slot, &slot);
    if (r == 0)
        r = kfl__lock_answer(topic->core, topics_claim_slot(slot, &look));
    if (r < 0)
        return r;
    struct kfl__partition *partition = kfl__alloc(sizeof *partition);
    if (partition == NULL)
        return kfl__fail(KFL_E_NOMEM, "partition %s/%d: out of memory", topic->name, number);
    r = kfl__mutex_init(&partition->view_lock, KFL_RANK_VIEW);
    if (r < 0) {
        kfl__free(partition);
        return r;
    }
    partition->core = topic->core;
    partition->topic = topic;
    partition->number = number;
    partition->incarnation = look.row.incarnation;
    partition->slot = slot;
    *out_partition = partition;
    return 0;
}

int kfl__topic_partition_make(struct kfl__topic *topic, int32_t number, struct kfl__partition **out_partition)
{
    struct kfl__core *core = topic->core;
    struct kfl__partition *partition = NULL;
    int r = kfl__topic_current(topic);
    if (r < 0)
        return kfl__fail_at(r, topic->name, number, -1);
    kfl__mutex_lock(&core->registry);
    struct kfl__topic_shape *shape = atomic_load(&topic->shape);
    if (number < 0 || number >= shape->partition_count) {
        r = kfl__fail(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, "topic %s has no partition %d: it has %d, 0 to %d", topic->name, number,
                      shape->partition_count, shape->partition_count - 1);
        r = kfl__fail_at(r, topic->name, number, -1);
    } else {
        partition = atomic_load(&shape->partitions[number]);
        if (partition == NULL) {
            r = topics_make_partition(topic, number, &partition);
            if (r == 0)
                atomic_store_explicit(&shape->partitions[number], partition, memory_order_release);
        }
    }
    kfl__mutex_unlock(&core->registry);
    if (r == 0)
        r = kfl__partition_ready(partition);
    if (r < 0)
        return kfl__fail_at(r, topic->name, number, -1);
    *out_partition = partition;
    return 0;
}

/* ---- the whole list ---- */

int kfl__topics_visit_open(struct kfl__core *core, int (*visit)(struct kfl__topic *topic, void *context), void *context)
{
    struct kfl__topic *topic, *last = NULL;
    int r = 0;
    kfl__mutex_lock(&core->registry);
    topic = core->topic_list;
    if (topic != NULL)
        kfl__topic_acquire(topic);
    kfl__mutex_unlock(&core->registry);
    while (topic != NULL && r >= 0) {
        r = visit(topic, context);
        kfl__mutex_lock(&core->registry);
        last = topic;
        topic = topic->next;
        if (topic != NULL)
            kfl__topic_acquire(topic);
        kfl__mutex_unlock(&core->registry);
        kfl__topic_release(last);
    }
    kfl__topic_release(topic);
    return r;
}

void kfl__topics_close(struct kfl__core *core)
{
    kfl__mutex_lock(&core->registry);
    struct kfl__topic *topic = core->topic_list;
    core->topic_list = NULL;
    kfl__mutex_unlock(&core->registry);
    while (topic != NULL) {
        struct kfl__topic *next = topic->next;
        topic->next = NULL;
        kfl__topic_release(topic);
        topic = next;
    }
}
