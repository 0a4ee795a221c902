/* SPDX-License-Identifier: MIT */
/* The registry: claims of slots, deletion, what other processes find. */
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fault.h"
#include "child.h"
#include "core.h"
#include "engine/janitor.h"
#include "engine/segments.h"
#include "suite.h"
#include "temp_dir.h"

static struct kfl__core *core;

static void set_up(void)
{
    temp_dir_make();
    core = core_open(temp_dir_path(), NULL);
}

static void tear_down(void)
{
    core_abandon(core);
    temp_dir_remove();
}

/* rule:R21 */
START_TEST(a_deleted_topic_takes_no_append_of_those_who_still_hold_it)
{
    struct kfl__topic *topic = core_topic(core, "t", 1, NULL);
    struct kfl__partition *partition;
    assert_ok(kfl__topic_partition(topic, 0, &partition));
    core_append_run(partition, 0, 10, 100);
    assert_ok(kfl__topics_remove(core, "t"));
    ck_assert_int_eq(core_append(partition, 10, 100, false), KFL_E_UNKNOWN_TOPIC_OR_PARTITION);
    /* Nor does the one that has its slot now take it. */
    struct kfl__topic *second = core_topic(core, "u", 1, NULL);
    struct kfl__partition *other;
    assert_ok(kfl__topic_partition(second, 0, &other));
    ck_assert_ptr_eq(other->slot, partition->slot);
    core_append_run(other, 0, 5, 100);
    ck_assert_int_eq(core_append(partition, 10, 100, false), KFL_E_UNKNOWN_TOPIC_OR_PARTITION);
    struct kfl__cursor cursor;
    kfl__cursor_init(&cursor, partition, 0, false);
    assert_code(kfl__cursor_batch(&cursor), KFL_E_UNKNOWN_TOPIC_OR_PARTITION);
    kfl__cursor_close(&cursor);
    ck_assert_int_eq(core_read(other, 0, NULL), 5);
    kfl__topic_release(topic);
    kfl__topic_release(second);
}
END_TEST

static _Atomic int claimed;

static void *claim(void *context)
{
    struct kfl__topic *topic = context;
    struct kfl__partition *partition;
    int r = kfl__topic_partition(topic, 0, &partition);
    atomic_store(&claimed, 1);
    return r == 0 ? partition : NULL;
}

/* rule:R21: a lock that somebody holds or waits for is not made anew. */
START_TEST(a_slot_changes_hands_once_its_locks_are_free)
{
    struct kfl__topic *topic = core_topic(core, "t", 1, NULL);
    struct kfl__partition *partition;
    void *result;
    pthread_t thread;
    assert_ok(kfl__topic_partition(topic, 0, &partition));
    core_append_run(partition, 0, 10, 100);
    struct kfl__slot *slot = partition->slot;
    assert_ok(kfl__topics_remove(core, "t"));
    struct kfl__topic *second = core_topic(core, "u", 1, NULL);
    ck_assert_int_eq(kfl__robust_lock(&slot->sync, KFL_RANK_SYNC, -1), 0);
    atomic_store(&claimed, 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, claim, second), 0);
    /* It stands at the last of the three locks, holding the others. */
    while (kfl__lendable_owner(&slot->append) == 0)
        sched_yield();
    ck_assert_int_eq(atomic_load(&claimed), 0);
    ck_assert_uint_eq(atomic_load(&slot->topic_id), topic->id);
    kfl__robust_unlock(&slot->sync, KFL_RANK_SYNC);
    pthread_join(thread, &result);
    ck_assert_ptr_nonnull(result);
    core_append_run(result, 0, 3, 100);
    kfl__topic_release(topic);
    kfl__topic_release(second);
}
END_TEST

START_TEST(deleting_a_large_topic_touches_only_what_was_used)
{
    struct kfl__topic *topic = core_topic(core, "t", 5000, NULL);
    struct kfl__partition *used;
    assert_ok(kfl__topic_partition(topic, 3, &used));
    core_append_run(used, 0, 3, 100);
    uint32_t slots = atomic_load(&core->shared->slot_count);
    ck_assert_uint_lt(slots, 5000);
    assert_ok(kfl__topics_remove(core, "t"));
    ck_assert_uint_eq(atomic_load(&core->shared->slot_count), slots);
    ck_assert_uint_eq(atomic_load(&used->slot->deleted), 1);
    ck_assert_int_eq(core_append(used, 3, 100, false), KFL_E_UNKNOWN_TOPIC_OR_PARTITION);
    kfl__topic_release(topic);
}
END_TEST

START_TEST(the_files_of_a_deleted_topic_go)
{
    struct kfl__topic *topic = core_topic(core, "t", 2, NULL);
    struct kfl__partition *partition;
    char folder[600];
    assert_ok(kfl__topic_partition(topic, 1, &partition));
    core_append_run(partition, 0, 3, 100);
    snprintf(folder, sizeof folder, "%s/topics/%llu", core->path, (unsigned long long)topic->id);
    ck_assert_int_eq(access(folder, F_OK), 0);
    assert_ok(kfl__topics_remove(core, "t"));
    ck_assert_int_ne(access(folder, F_OK), 0);
    kfl__topic_release(topic);
    assert_code(kfl__topic_find(core, "t", &topic), KFL_E_UNKNOWN_TOPIC_OR_PARTITION);
}
END_TEST

START_TEST(other_topics_do_not_change_a_topics_shape)
{
    struct kfl__topic *topic = core_topic(core, "t", 1, NULL);
    const struct kfl__topic_shape *shape = kfl__topic_shape(topic);
    kfl__topic_release(core_topic(core, "u", 1, NULL));
    assert_ok(kfl__topic_current(topic));
    ck_assert_ptr_eq(kfl__topic_shape(topic), shape);
    assert_ok(kfl__topics_add_partitions(core, "t", 3));
    assert_ok(kfl__topic_current(topic));
    ck_assert_ptr_ne(kfl__topic_shape(topic), shape);
    ck_assert_int_eq(kfl__topic_shape(topic)->partition_count, 3);
    kfl__topic_release(topic);
}
END_TEST

#ifdef KFL_FAULT_POINTS
struct dying_change {
    int (*change)(struct kfl__core *own);
    const char *plan;
};

static int remove_topic(struct kfl__core *own)
{
    return kfl__topics_remove(own, "t");
}

static int grow_topic(struct kfl__core *own)
{
    return kfl__topics_add_partitions(own, "t", 3);
}

static int die_in_a_change(void *context)
{
    const struct dying_change *dying = context;
    struct kfl__core *own = NULL;
    if (core_try_open(temp_dir_path(), NULL, &own) < 0 || kfl__fault_arm(dying->plan) < 0)
        return 1;
    (void)dying->change(own);
    return 2;
}

static uint64_t topics_word(void)
{
    return atomic_load(&core->shared->topics_version);
}

START_TEST(a_deletion_is_noticed_although_its_deleter_was_killed)
{
    struct dying_change dying = {remove_topic, "catalog.committed=kill"};
    struct kfl__topic *topic = core_topic(core, "t", 1, NULL);
    struct kfl__partition *partition;
    assert_ok(kfl__topic_partition(topic, 0, &partition));
    core_append_run(partition, 0, 10, 100);
    assert_ok(kfl__topic_current(topic));
    ck_assert_int_eq(child_run(die_in_a_change, &dying), -SIGKILL);
    assert_code(kfl__topic_current(topic), KFL_E_UNKNOWN_TOPIC_OR_PARTITION);
    ck_assert_int_eq(core_append(partition, 10, 100, false), KFL_E_UNKNOWN_TOPIC_OR_PARTITION);
    kfl__topic_release(topic);
}
END_TEST

START_TEST(a_larger_topic_is_noticed_although_its_alterer_was_killed)
{
    struct dying_change dying = {grow_topic, "catalog.committed=kill"};
    struct kfl__topic *topic = core_topic(core, "t", 1, NULL);
    struct kfl__partition *partition;
    assert_ok(kfl__topic_current(topic));
    ck_assert_int_eq(child_run(die_in_a_change, &dying), -SIGKILL);
    assert_ok(kfl__topic_partition_make(topic, 2, &partition));
    core_append_run(partition, 0, 10, 100);
    /* From here on nobody looks again. */
    assert_ok(kfl__topic_current(topic));
    ck_assert_uint_eq(topics_word(), atomic_load(&topic->seen_version));
    kfl__topic_release(topic);
}
END_TEST

START_TEST(a_change_that_did_not_happen_costs_looks_until_the_helper_comes)
{
    static const char *const plans[] = {"catalog.commit=kill", "catalog.commit=EIO"};
    struct kfl__topic *topic = core_topic(core, "t", 1, NULL);
    struct kfl__partition *partition;
    assert_ok(kfl__topic_partition(topic, 0, &partition));
    for (size_t i = 0; i < sizeof plans / sizeof *plans; i++) {
        struct dying_change dying = {remove_topic, plans[i]};
        ck_assert_int_eq(child_run(die_in_a_change, &dying), i == 0 ? -SIGKILL : 2);
        ck_assert_uint_eq(topics_word() % 2, 1);
        assert_ok(kfl__topic_current(topic));
        ck_assert_uint_ne(topics_word(), atomic_load(&topic->seen_version));
        ck_assert_int_eq(core_append(partition, (int64_t)i, 100, false), (int64_t)i);
        assert_ok(kfl__janitor_run(core, 1000));
        assert_ok(kfl__janitor_run(core, 1000));
        ck_assert_uint_eq(topics_word() % 2, 0);
        assert_ok(kfl__topic_current(topic));
        ck_assert_uint_eq(topics_word(), atomic_load(&topic->seen_version));
    }
    kfl__topic_release(topic);
}
END_TEST

static int stop_in_a_roll(void *context)
{
    struct kfl__core *own = NULL;
    if (core_try_open(temp_dir_path(), NULL, &own) < 0)
        return 1;
    struct kfl__partition *partition = core_partition(own, NULL);
    if (kfl__fault_arm(context) < 0)
        return 1;
    int64_t number = 0;
    while (number >= 0 && number < 100)
        number = core_append(partition, number, 30000, false) + 1;
    return number == KFL_E_UNKNOWN_TOPIC_OR_PARTITION + 1 ? 0 : 2;
}

static int get_topic(struct kfl__catalog_txn *txn, void *context)
{
    struct kfl__topic_row row;
    (void)context;
    return kfl__topics_find(txn, "t", &row);
}

static void *remove_in_a_thread(void *context)
{
    (void)context;
    return kfl__topics_remove(core, "t") == 0 ? core : NULL;
}

/* rule:R4: who makes a file while its topic is deleted is waited for. */
START_TEST(no_file_made_during_a_deletion_stays)
{
    static const char *const plans[] = {"prepare.listed=stop", "prepare.created=stop",
                                        "prepare.ready=stop", "prepare.listed:3=stop"};
    for (size_t i = 0; i < sizeof plans / sizeof *plans; i++) {
        struct kfl__topic *topic = core_topic(core, "t", 1, "segment.bytes=65536");
        char folder[600];
        pthread_t thread;
        void *result;
        int status;
        snprintf(folder, sizeof folder, "%s/topics/%llu", core->path,
                 (unsigned long long)topic->id);
        pid_t pid = child_start(stop_in_a_roll, (void *)(uintptr_t)plans[i]);
        ck_assert_int_eq(waitpid(pid, &status, WUNTRACED), pid);
        ck_assert_msg(WIFSTOPPED(status), "%s: not stopped: %d", plans[i], status);
        ck_assert_int_eq(pthread_create(&thread, NULL, remove_in_a_thread, NULL), 0);
        while (kfl__catalog_look(core->catalog, get_topic, NULL) == 0)
            sched_yield();
        kill(pid, SIGCONT);
        pthread_join(thread, &result);
        ck_assert_ptr_eq(result, core);
        ck_assert_int_eq(child_end(pid), 0);
        ck_assert_msg(access(folder, F_OK) != 0, "%s: %s is still there", plans[i], folder);
        kfl__topic_release(topic);
    }
}
END_TEST

/* rule:R4: the same for one whose deleter was killed: the sweep stops those who go on. */
START_TEST(a_sweep_stops_those_who_use_what_was_deleted)
{
    struct dying_change dying = {remove_topic, "catalog.committed=kill"};
    struct kfl__topic *topic = core_topic(core, "t", 1, NULL);
    struct kfl__partition *partition;
    char folder[600];
    snprintf(folder, sizeof folder, "%s/topics/%llu", core->path, (unsigned long long)topic->id);
    assert_ok(kfl__topic_partition(topic, 0, &partition));
    core_append_run(partition, 0, 10, 100);
    ck_assert_int_eq(child_run(die_in_a_change, &dying), -SIGKILL);
    ck_assert_int_eq(access(folder, F_OK), 0);
    assert_ok(kfl__topics_sweep(core));
    ck_assert_int_ne(access(folder, F_OK), 0);
    /* Without a look at the topic: as an append that was under way. */
    ck_assert_int_eq(core_append(partition, 10, 100, false), KFL_E_UNKNOWN_TOPIC_OR_PARTITION);
    ck_assert_int_ne(access(folder, F_OK), 0);
    kfl__topic_release(topic);
}
END_TEST
#endif

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("engine/topics");
    TCase *topics = tcase_create("topics");
    tcase_add_checked_fixture(topics, set_up, tear_down);
    tcase_set_timeout(topics, 60);
    tcase_add_test(topics, a_deleted_topic_takes_no_append_of_those_who_still_hold_it);
    tcase_add_test(topics, a_slot_changes_hands_once_its_locks_are_free);
    tcase_add_test(topics, deleting_a_large_topic_touches_only_what_was_used);
    tcase_add_test(topics, the_files_of_a_deleted_topic_go);
    tcase_add_test(topics, other_topics_do_not_change_a_topics_shape);
#ifdef KFL_FAULT_POINTS
    tcase_add_test(topics, a_deletion_is_noticed_although_its_deleter_was_killed);
    tcase_add_test(topics, a_larger_topic_is_noticed_although_its_alterer_was_killed);
    tcase_add_test(topics, a_change_that_did_not_happen_costs_looks_until_the_helper_comes);
    tcase_add_test(topics, no_file_made_during_a_deletion_stays);
    tcase_add_test(topics, a_sweep_stops_those_who_use_what_was_deleted);
#endif
    suite_add_tcase(suite, topics);
    return suite;
}
