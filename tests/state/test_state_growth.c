/* SPDX-License-Identifier: MIT */
/* The state file grows under the eyes of those who use it. */
#include "state/state.h"

#include "quick_asserts.h"

#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "peer.h"
#include "state_fixture.h"
#include "suite.h"

/* rule:R21 */
START_TEST(growth_never_moves_a_mapped_slot)
{
    static const uint32_t numbers[] = {0,    63,   64,    191,   192,   447,   448,   8127,
                                       8128, 8191, 16319, 16320, 24511, 24512, 40000};
    enum { COUNT = sizeof numbers / sizeof numbers[0] };
    struct kfl__state *state = rebuild();
    struct kfl__slot *slots[COUNT];
    for (size_t index = 0; index < COUNT; index++) {
        slots[index] = slot_of(state, numbers[index]);
        ck_assert_uint_eq(slots[index]->topic_id, 0);
        slots[index]->topic_id = numbers[index] + 1;
    }
    struct kfl__state *other = attach();
    for (size_t index = COUNT; index-- > 0;) {
        ck_assert_ptr_eq(slot_of(state, numbers[index]), slots[index]);
        ck_assert_uint_eq(slots[index]->topic_id, numbers[index] + 1);
        ck_assert_uint_eq(slot_of(other, numbers[index])->topic_id, numbers[index] + 1);
    }
    ck_assert_uint_eq(kfl__state_header(state)->slot_count, 40896);
    kfl__state_detach(other);
    kfl__state_detach(state);
}
END_TEST

START_TEST(no_two_slots_share_a_byte)
{
    struct kfl__state *state = rebuild();
    for (uint32_t number = 0; number < 20000; number++) {
        struct kfl__slot *slot = slot_of(state, number);
        ck_assert_uint_eq(slot->topic_id, 0);
        ck_assert_uint_eq(slot->sync_ns, 0);
        slot->topic_id = number + 1;
        slot->sync_ns = number + 1;
    }
    for (uint32_t number = 0; number < 20000; number++) {
        ck_assert_uint_eq(slot_of(state, number)->topic_id, number + 1);
        ck_assert_uint_eq(slot_of(state, number)->sync_ns, number + 1);
    }
    kfl__state_detach(state);
}
END_TEST

START_TEST(there_is_a_last_slot)
{
    struct kfl__state *state = rebuild();
    struct kfl__slot *slot = NULL;
    ck_assert_int_eq(kfl__state_slot(state, KFL_STATE_SLOTS_MAX, &slot), KFL_E_UNSUPPORTED);
    ck_assert_int_eq(kfl__state_slot(state, UINT32_MAX, &slot), KFL_E_UNSUPPORTED);
    ck_assert_ptr_null(slot);
    ck_assert_uint_eq(kfl__state_header(state)->slot_count, 64);
    kfl__state_detach(state);
}
END_TEST

enum { RACERS = 4, RACED_SLOTS = 3000 };

static void race_to_grow(struct kfl__state *state)
{
    for (uint32_t number = 0; number < RACED_SLOTS; number++) {
        struct kfl__slot *slot = slot_of(state, number);
        /* A slot that is told of has its locks; one that is cleared again would lose a count. */
        ck_assert_int_eq(kfl__lendable_lock(&slot->append, KFL_RANK_APPEND, -1), 0);
        slot->appended_records++;
        kfl__lendable_unlock(&slot->append, KFL_RANK_APPEND);
    }
}

static void race_in_a_process(struct peer *self, void *context)
{
    (void)context;
    struct kfl__state *state = attach();
    peer_tell(self);
    peer_await(self);
    race_to_grow(state);
    kfl__state_detach(state);
}

static void assert_all_counted(struct kfl__state *state)
{
    for (uint32_t number = 0; number < RACED_SLOTS; number++)
        ck_assert_uint_eq(slot_of(state, number)->appended_records, RACERS);
    ck_assert_uint_eq(kfl__state_header(state)->slot_count, 4032);
}

/* rule:R21 */
START_TEST(four_processes_grow_at_once)
{
    struct kfl__state *state = rebuild();
    struct peer peers[RACERS];
    for (int index = 0; index < RACERS; index++)
        peer_start(&peers[index], race_in_a_process, NULL);
    for (int index = 0; index < RACERS; index++)
        peer_await(&peers[index]);
    for (int index = 0; index < RACERS; index++)
        peer_tell(&peers[index]);
    for (int index = 0; index < RACERS; index++)
        peer_join(&peers[index]);
    assert_all_counted(state);
    kfl__state_detach(state);
}
END_TEST

static void *race_in_a_thread(void *context)
{
    race_to_grow(context);
    return NULL;
}

/* rule:R21 */
START_TEST(four_threads_grow_at_once)
{
    struct kfl__state *state = rebuild();
    pthread_t threads[RACERS];
    for (int index = 0; index < RACERS; index++)
        ck_assert_int_eq(pthread_create(&threads[index], NULL, race_in_a_thread, state), 0);
    for (int index = 0; index < RACERS; index++)
        ck_assert_int_eq(pthread_join(threads[index], NULL), 0);
    assert_all_counted(state);
    kfl__state_detach(state);
}
END_TEST

/* Dies in the middle of making the second chunk: reserved in part, its first slots written. */
static void die_growing(struct peer *self, void *context)
{
    (void)context;
    struct kfl__state *state = attach();
    struct kfl__robust *grow = &kfl__state_header(state)->grow;
    ck_assert_int_eq(kfl__robust_lock(grow, KFL_RANK_LEAF, -1), 0);
    struct stat status;
    ck_assert_int_eq(stat(temp_dir_file("state"), &status), 0);
    char scribble[5000];
    memset(scribble, 0x5a, sizeof scribble);
    write_file("state", scribble, sizeof scribble, status.st_size);
    peer_tell(self);
    peer_await(self);
}

/* rule:R21 */
START_TEST(a_half_grown_file_is_grown_again)
{
    struct kfl__state *state = rebuild();
    struct peer peer;
    peer_start(&peer, die_growing, NULL);
    peer_await(&peer);
    peer_kill(&peer);
    struct kfl__slot *slot = slot_of(state, 66);
    ck_assert_uint_eq(slot->topic_id, 0);
    ck_assert_int_eq(slot->sync_target, -1);
    ck_assert_int_eq(kfl__lendable_trylock(&slot->append, KFL_RANK_APPEND), 0);
    kfl__lendable_unlock(&slot->append, KFL_RANK_APPEND);
    ck_assert_uint_eq(kfl__state_header(state)->slot_count, 192);
    kfl__state_detach(attach());
    /* The lock of the dead is whole again. */
    slot_of(state, 192);
    kfl__state_detach(state);
}
END_TEST

static void die_appending(struct peer *self, void *context)
{
    (void)context;
    struct kfl__state *state = attach();
    struct kfl__slot *slot = slot_of(state, 100);
    ck_assert_int_eq(kfl__lendable_lock(&slot->append, KFL_RANK_APPEND, -1), 0);
    slot->reserved_end = 4096;
    peer_tell(self);
    peer_await(self);
}

/* rule:R2 */
START_TEST(the_next_owner_learns_of_a_kill)
{
    struct kfl__state *state = rebuild();
    struct kfl__slot *slot = slot_of(state, 100);
    struct peer peer;
    peer_start(&peer, die_appending, NULL);
    peer_await(&peer);
    ck_assert_int_eq(kfl__lendable_trylock(&slot->append, KFL_RANK_APPEND), KFL_LOCK_BUSY);
    ck_assert_int_eq(kfl__lendable_owner(&slot->append), peer.pid);
    peer_kill(&peer);
    ck_assert_int_eq(kfl__lendable_lock(&slot->append, KFL_RANK_APPEND, -1), KFL_LOCK_OWNER_DIED);
    ck_assert_uint_eq(slot->reserved_end, 4096);
    kfl__lendable_mended(&slot->append);
    kfl__lendable_unlock(&slot->append, KFL_RANK_APPEND);
    ck_assert_int_eq(kfl__lendable_lock(&slot->append, KFL_RANK_APPEND, -1), 0);
    kfl__lendable_unlock(&slot->append, KFL_RANK_APPEND);
    kfl__state_detach(state);
}
END_TEST

/* On a disk of its own, where the test may have one; test_state_open asks the fault points. */
START_TEST(a_full_disk_is_an_answer)
{
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", temp_dir_path(), "tmpfs", 0, "size=400k") != 0)
        return;
    kfl__file_close(directory);
    ck_assert_int_eq(kfl__file_open_directory(-1, temp_dir_path(), &directory), 0);
    struct kfl__state *state = rebuild();
    struct kfl__slot *slot = NULL;
    slot_of(state, 64);
    ck_assert_int_eq(kfl__state_slot(state, 500, &slot), KFL_E_NO_SPACE);
    ck_assert_ptr_null(slot);
    ck_assert_uint_eq(kfl__state_header(state)->slot_count, 192);
    kfl__state_detach(attach());
    slot_of(state, 191)->topic_id = 1;
    ck_assert_int_eq(mount("tmpfs", temp_dir_path(), "tmpfs", MS_REMOUNT, "size=4m"), 0);
    slot_of(state, 500)->topic_id = 2;
    kfl__state_detach(state);

    ck_assert_int_eq(unlink(temp_dir_file("state")), 0);
    int fd = open(temp_dir_file("filler"), O_WRONLY | O_CREAT, 0600);
    ck_assert_int_eq(fallocate(fd, 0, 0, (4 << 20) - (64 << 10)), 0);
    close(fd);
    state = NULL;
    ck_assert_int_eq(kfl__state_rebuild(directory, &binding, &state), KFL_E_NO_SPACE);
    ck_assert_ptr_null(state);
    ck_assert_int_eq(access(temp_dir_file("state"), F_OK), -1);
    kfl__file_close(directory);
    directory = -1;
    ck_assert_int_eq(umount2(temp_dir_path(), MNT_DETACH), 0);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("state_growth");
    TCase *tcase = tcase_create("growth");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, growth_never_moves_a_mapped_slot);
    tcase_add_test(tcase, no_two_slots_share_a_byte);
    tcase_add_test(tcase, there_is_a_last_slot);
    tcase_add_test(tcase, four_processes_grow_at_once);
    tcase_add_test(tcase, four_threads_grow_at_once);
    tcase_add_test(tcase, a_half_grown_file_is_grown_again);
    tcase_add_test(tcase, the_next_owner_learns_of_a_kill);
    tcase_add_test(tcase, a_full_disk_is_an_answer);
    suite_add_tcase(suite, tcase);
    return suite;
}
