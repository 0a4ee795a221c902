/* SPDX-License-Identifier: MIT */
/* Many partitions in a process that may have few maps or descriptors. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "child.h"
#include "engine/sync.h"
#include "sanitized.h"
#include "one_partition.h"
#include "suite.h"

#define MANY 40

/* Every partition in turn, a few times: number of the round is the record's. 0, or the step that failed. */
static int use_many(struct kfl__core *own, struct kfl__partition **partitions)
{
    struct kfl__topic *topic = core_topic(own, "many", MANY, NULL);
    for (int64_t round = 0; round < 3; round++)
        for (int32_t i = 0; i < MANY; i++) {
            if (round == 0 && kfl__topic_partition(topic, i, &partitions[i]) < 0)
                return 1;
            if (core_append(partitions[i], round, 100, false) != round)
                return 2;
        }
    for (int32_t i = 0; i < MANY; i++)
        if (core_read(partitions[i], 0, NULL) != 3)
            return 3;
    kfl__topic_release(topic);
    return 0;
}

static bool holds_files(struct kfl__partition *one)
{
    return one->writing != NULL || one->writing_next != NULL || one->kept != NULL;
}

/* rule:R7 What was given back was durable. */
static int given_back(struct kfl__partition **partitions)
{
    int given = 0;
    for (int32_t i = 0; i < MANY; i++) {
        if (holds_files(partitions[i]))
            continue;
        given++;
        if (atomic_load(&partitions[i]->slot->durable_offset) != kfl__slot_end(partitions[i]->slot))
            return -1;
    }
    return given;
}

/* Of a child, which leaves it open. */
static struct kfl__core *volatile apart;

static struct kfl__core *open_apart(const char *name)
{
    char path[600];
    snprintf(path, sizeof path, "%s/%s", temp_dir_path(), name);
    apart = core_open(path, NULL);
    return apart;
}

/* Far fewer descriptors than partitions: those that are idle give theirs back. */
static int use_few_descriptors(void *context)
{
    bool learned = *(bool *)context;
    struct kfl__partition *partitions[MANY];
    struct kfl__core *own = open_apart(learned ? "few, and known" : "few");
    struct rlimit limit = {20 + 12, 20 + 12}; /* some are the test's own */
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        return CHILD_CANNOT_TRY;
    if (learned)
        kfl__segment_learn_limits(); /* else they are met: EMFILE */
    int r = use_many(own, partitions);
    if (r != 0)
        return r;
    if (given_back(partitions) < MANY - 32)
        return 10;
    struct kfl__segment_use use, most;
    kfl__segment_use(&use, &most);
    return use.descriptors <= 32 && most.descriptors == 16 ? 0 : 11;
}

/* X35 */
START_TEST(descriptors_are_given_back_when_there_are_few)
{
    for (int learned = 0; learned <= 1; learned++) {
        bool context = learned != 0;
        int r = child_run(use_few_descriptors, &context);
        ck_assert_msg(r == 0 || r == CHILD_CANNOT_TRY, "learned %d: %d", learned, r);
    }
}
END_TEST

static int use_no_descriptors(void *context)
{
    (void)context;
    struct kfl__core *own = open_apart("none");
    struct kfl__topic *topic = core_topic(own, "t", 1, NULL);
    struct kfl__partition *one = NULL;
    int taken[64], count = 0;
    struct rlimit limit = {40, 40};
    if (kfl__topic_partition(topic, 0, &one) < 0 || setrlimit(RLIMIT_NOFILE, &limit) != 0)
        return CHILD_CANNOT_TRY;
    while (count < 64 && (taken[count] = dup(0)) >= 0)
        count++;
    if (count == 0 || core_append(one, 0, 100, false) != KFL_E_IO ||
        strstr(kfl_last_error(), "ulimit -n") == NULL)
        return 1;
    while (count > 0)
        close(taken[--count]);
    return core_append(one, 0, 100, false) == 0 && core_read(one, 0, NULL) == 1 ? 0 : 2;
}

/* X35 */
START_TEST(without_descriptors_an_append_is_refused_and_nothing_is_broken)
{
    int r = child_run(use_no_descriptors, NULL);
    ck_assert_msg(r == 0 || r == CHILD_CANNOT_TRY, "%d", r);
}
END_TEST

static int use_few_maps(void *context)
{
    (void)context;
    struct kfl__partition *partitions[MANY];
    struct kfl__core *own = open_apart("maps");
    struct kfl__segment_use use, most;
    kfl__segment_limit_maps(40);
    int r = use_many(own, partitions);
    if (r != 0)
        return r;
    kfl__segment_use(&use, &most);
    /* One more file than the limit may be on its way. */
    if (use.maps > most.maps + 4 || most.maps != 40)
        return 10;
    return given_back(partitions) >= MANY - 11 ? 0 : 11;
}

/* X38: ten partitions' worth of maps, for forty partitions that are appended to and read in turn. */
START_TEST(maps_are_given_back_when_there_are_few)
{
    int r = child_run(use_few_maps, NULL);
    ck_assert_msg(r == 0, "%d", r);
}
END_TEST

static int use_little_memory(void *context)
{
    (void)context;
    struct kfl__partition *partitions[MANY];
    struct kfl__core *own = open_apart("memory");
    struct kfl__topic *topic = core_topic(own, "many", MANY, NULL);
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%ld", &pages) != 1)
        return CHILD_CANNOT_TRY;
    fclose(file);
    /* The partitions' state, and ten of their files. */
    rlim_t bytes = (rlim_t)pages * 4096 + (rlim_t)20 * 2 * 65536;
    struct rlimit limit = {bytes, bytes};
    if (setrlimit(RLIMIT_AS, &limit) != 0)
        return CHILD_CANNOT_TRY;
    int r = use_many(own, partitions);
    kfl__topic_release(topic);
    if (r != 0)
        fprintf(stderr, "%s\n", kfl_last_error());
    return r != 0 ? r : given_back(partitions) > 0 ? 0 : 10;
}

/* X38: the limit is met, not known before. */
START_TEST(maps_are_given_back_when_memory_is_short)
{
    if (SANITIZED || getenv("KFL_TESTS_VALGRIND") != NULL)
        return;
    int r = child_run(use_little_memory, NULL);
    ck_assert_msg(r == 0 || r == CHILD_CANNOT_TRY, "%d", r);
}
END_TEST

/* A reader in the process that writes shares its map, and the file goes back as a whole when the writer rests. */
START_TEST(who_reads_what_this_process_writes_shares_its_map)
{
    struct kfl__segment_use before, use, most;
    core_append_run(partition, 0, 20, 3000);
    kfl__segment_use(&before, &most);
    ck_assert_int_eq(core_read(partition, 0, NULL), 20);
    kfl__segment_use(&use, &most);
    ck_assert_int_eq(use.maps, before.maps);
    ck_assert_int_eq(kfl__segment_count_reading(), 0);
    struct kfl__cursor cursor;
    kfl__cursor_init(&cursor, partition, 5, false);
    ck_assert_int_eq(kfl__cursor_batch(&cursor), KFL_CURSOR_BATCH);
    assert_ok(kfl__sync_wait(partition, 20, -1));
    kfl__partition_rest(partition);
    ck_assert_ptr_null(partition->writing);
    /* What is read stays (R27). */
    ck_assert_int_eq(kfl__batch_verify(cursor.segment->bytes, cursor.place, cursor.limit,
                                       cursor.segment->seed, &cursor.header),
                     0);
    kfl__cursor_close(&cursor);
    kfl__segment_use(&use, &most);
    ck_assert_int_eq(use.maps, 0);
    ck_assert_int_eq(use.descriptors, 0);
    core_append_run(partition, 20, 40, 3000);
    ck_assert_int_eq(core_read(partition, 0, NULL), 40);
}
END_TEST

struct crowd {
    struct kfl__partition *partitions[MANY];
    int32_t first; /* of every CROWD_THREADS-th partition: the appender's */
    _Atomic int failed;
};

#define CROWD_THREADS 4
#define CROWD_ROUNDS 6

static void *crowd_append(void *context)
{
    struct crowd *crowd = context;
    for (int64_t round = 0; round < CROWD_ROUNDS; round++)
        for (int32_t i = crowd->first; i < MANY; i += CROWD_THREADS)
            if (core_append(crowd->partitions[i], round, 100, round % 3 == 2) != round)
                atomic_store(&crowd->failed, 1);
    return NULL;
}

static void *crowd_read(void *context)
{
    struct crowd *crowd = context;
    for (int64_t round = 0; round < CROWD_ROUNDS; round++)
        for (int32_t i = 0; i < MANY; i++)
            if (core_read(crowd->partitions[i], 0, NULL) < 0)
                atomic_store(&crowd->failed, 1);
    return NULL;
}

/* Each opens what the others give back, and each has its records where it put them. */
START_TEST(threads_that_are_short_of_maps_do_not_harm_each_other)
{
    struct crowd crowds[CROWD_THREADS + 1] = {0};
    pthread_t threads[CROWD_THREADS + 1];
    struct kfl__topic *topic = core_topic(core, "many", MANY, NULL);
    kfl__segment_limit_maps(60);
    for (int32_t n = 0; n <= CROWD_THREADS; n++) {
        crowds[n] = (struct crowd){.first = n};
        for (int32_t i = 0; i < MANY; i++)
            assert_ok(kfl__topic_partition(topic, i, &crowds[n].partitions[i]));
    }
    for (int32_t n = 0; n <= CROWD_THREADS; n++)
        ck_assert_int_eq(pthread_create(&threads[n], NULL,
                                        n < CROWD_THREADS ? crowd_append : crowd_read, &crowds[n]),
                         0);
    for (int32_t n = 0; n <= CROWD_THREADS; n++) {
        pthread_join(threads[n], NULL);
        ck_assert_int_eq(crowds[n].failed, 0);
    }
    for (int32_t i = 0; i < MANY; i++)
        ck_assert_int_eq(core_read(crowds[0].partitions[i], 0, NULL), CROWD_ROUNDS);
    ck_assert_int_gt(given_back(crowds[0].partitions), 0);
    kfl__segment_limit_maps(0);
    kfl__topic_release(topic);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("engine/room");
    TCase *room = tcase_create("room");
    tcase_add_checked_fixture(room, set_up, tear_down);
    tcase_add_test(room, descriptors_are_given_back_when_there_are_few);
    tcase_add_test(room, maps_are_given_back_when_there_are_few);
    tcase_add_test(room, maps_are_given_back_when_memory_is_short);
    tcase_add_test(room, who_reads_what_this_process_writes_shares_its_map);
    tcase_add_test(room, without_descriptors_an_append_is_refused_and_nothing_is_broken);
    tcase_add_test(room, threads_that_are_short_of_maps_do_not_harm_each_other);
    tcase_set_timeout(room, 60);
    suite_add_tcase(suite, room);
    return suite;
}
