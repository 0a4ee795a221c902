/* SPDX-License-Identifier: MIT */
/* The door, the state file and the entries together, as a store opens them. */
#include "state/state.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/fault.h"
#include "peer.h"
#include "state_fixture.h"
#include "suite.h"

START_TEST(the_mode_of_lock_is_what_was_asked_for_less_the_umask)
{
    static const struct {
        mode_t mask, asked, expected;
    } rows[] = {{0, 0600, 0600}, {077, 0660, 0600}, {0, 0666, 0666}};
    for (size_t index = 0; index < sizeof rows / sizeof rows[0]; index++) {
        unlink(temp_dir_file("LOCK"));
        mode_t old = umask(rows[index].mask);
        struct kfl__presence presence;
        ck_assert_int_eq(kfl__presence_enter(&presence, directory, rows[index].asked, false), 0);
        umask(old);
        kfl__presence_leave(&presence, NULL);
        struct stat status;
        ck_assert_int_eq(stat(temp_dir_file("LOCK"), &status), 0);
        ck_assert_uint_eq(status.st_mode & 0777, rows[index].expected);
    }
}
END_TEST

START_TEST(a_link_in_the_place_of_lock_is_not_followed)
{
    ck_assert_int_eq(symlink(temp_dir_file("elsewhere"), temp_dir_file("LOCK")), 0);
    struct kfl__presence presence;
    ck_assert_int_eq(kfl__presence_enter(&presence, directory, 0600, false), KFL_E_CORRUPT);
    ck_assert_int_ne(access(temp_dir_file("elsewhere"), F_OK), 0);
    kfl__presence_leave(&presence, NULL);
}
END_TEST

enum { OPENERS = 3, ROUNDS = 1000 };

struct race {
    pthread_barrier_t barrier;
    _Atomic int rebuilt[ROUNDS], met[ROUNDS];
};

/* Opening as a store does it; `round` stands for the catalog's open number. */
static void open_in_round(struct race *race, uint64_t round, struct kfl__presence *presence,
                          struct kfl__state **out_state)
{
    struct kfl__state_binding with = {.open_number = round, .file_mode = 0600};
    ck_assert_int_eq(kfl__presence_enter(presence, directory, 0600, false), 0);
    ck_assert_int_eq(kfl__presence_others(presence, NULL, &with.held), 0);
    int r = kfl__state_attach(directory, &with, out_state);
    bool living = with.held;
    if (r == KFL_STATE_STALE) {
        ck_assert(!living);
        ck_assert_int_eq(kfl__state_rebuild(directory, &with, out_state), 0);
        race->rebuilt[round]++;
    } else {
        ck_assert_int_eq(r, 0);
        int error = kfl__presence_others(presence, kfl__state_entries(*out_state), &living);
        ck_assert_int_eq(error, 0);
        ck_assert(living);
    }
    ck_assert_int_eq(kfl__presence_join(presence, kfl__state_entries(*out_state)), 0);
    kfl__state_header(*out_state)->topics_version++;
    ck_assert_int_eq(kfl__presence_settle(presence), 0);
}

static void race_to_open(struct peer *self, void *context)
{
    (void)self;
    struct race *race = context;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        struct kfl__presence presence;
        struct kfl__state *state;
        pthread_barrier_wait(&race->barrier);
        open_in_round(race, round, &presence, &state);
        pthread_barrier_wait(&race->barrier);
        ck_assert_uint_eq(kfl__state_header(state)->topics_version, OPENERS);
        race->met[round]++;
        ck_assert_int_eq(kfl__presence_reenter(&presence), 0);
        kfl__presence_leave(&presence, kfl__state_entries(state));
        kfl__state_detach(state);
    }
}

/* rule:R19 rule:R20 */
START_TEST(of_racing_openers_exactly_one_rebuilds)
{
    int protection = PROT_READ | PROT_WRITE;
    struct race *race = mmap(NULL, sizeof *race, protection, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(race, MAP_FAILED);
    pthread_barrierattr_t attributes;
    pthread_barrierattr_init(&attributes);
    pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_barrier_init(&race->barrier, &attributes, OPENERS);
    struct peer peers[OPENERS];
    for (int index = 0; index < OPENERS; index++)
        peer_start(&peers[index], race_to_open, race);
    for (int index = 0; index < OPENERS; index++)
        peer_join(&peers[index]);
    for (int round = 0; round < ROUNDS; round++) {
        int rebuilt = race->rebuilt[round];
        ck_assert_msg(rebuilt == 1, "round %d: %d rebuilt", round, rebuilt);
        ck_assert_int_eq(race->met[round], OPENERS);
    }
    munmap(race, sizeof *race);
}
END_TEST

#ifdef KFL_FAULT_POINTS
START_TEST(a_full_disk_changes_nothing)
{
    struct kfl__state *state = rebuild();
    struct kfl__slot *slot = NULL;
    ck_assert_int_eq(kfl__fault_arm("file.reserve=ENOSPC"), 0);
    ck_assert_int_eq(kfl__state_slot(state, 64, &slot), KFL_E_NO_SPACE);
    ck_assert_ptr_null(slot);
    ck_assert_uint_eq(kfl__state_header(state)->slot_count, 64);
    slot_of(state, 64);
    kfl__state_detach(state);
}
END_TEST

static void die_at(struct peer *self, void *context)
{
    (void)self;
    ck_assert_int_eq(kfl__fault_arm(context), 0);
    if (strcmp(context, "state.publish=kill") == 0)
        rebuild();
    else
        slot_of(attach(), 64);
}

/* rule:R20 rule:R21 */
START_TEST(a_maker_may_die_at_any_step)
{
    struct peer peer;
    peer_start(&peer, die_at, (void *)"state.publish=kill");
    peer_kill(&peer);
    assert_stale(&binding);
    struct kfl__state *state = rebuild();
    static const char *const plans[] = {"state.grow=kill", "state.grown=kill"};
    for (size_t index = 0; index < 2; index++) {
        peer_start(&peer, die_at, (void *)plans[index]);
        peer_kill(&peer);
        ck_assert_uint_eq(kfl__state_header(state)->slot_count, 64);
        kfl__state_detach(attach());
    }
    ck_assert_uint_eq(slot_of(state, 64)->topic_id, 0);
    kfl__state_detach(state);
}
END_TEST

/* rule:R20 */
START_TEST(without_a_name_of_the_boot_each_opening_begins_anew)
{
    ck_assert_int_eq(kfl__fault_arm("file.read_text:*=EIO"), 0);
    assert_stale(&binding);
    struct kfl__state *state = rebuild();
    slot_of(state, 64);
    assert_stale(&binding);
    kfl__state_detach(state);
}
END_TEST

static int32_t open_descriptors(void)
{
    int32_t count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* All that an opening does, from the door to the second chunk, and back. */
static int open_and_leave(void)
{
    struct kfl__presence presence;
    struct kfl__state *state = NULL;
    struct kfl__slot *slot;
    bool living;
    int r = kfl__presence_enter(&presence, directory, 0600, false);
    if (r == 0)
        r = kfl__presence_others(&presence, NULL, &living);
    if (r == 0)
        r = kfl__state_attach(directory, &binding, &state);
    if (r == KFL_STATE_STALE)
        r = kfl__state_rebuild(directory, &binding, &state);
    if (r == 0)
        r = kfl__presence_join(&presence, kfl__state_entries(state));
    if (r == 0)
        r = kfl__presence_settle(&presence);
    if (r == 0)
        r = kfl__state_slot(state, 64, &slot);
    if (r == 0)
        r = kfl__presence_reenter(&presence);
    kfl__presence_leave(&presence, state != NULL ? kfl__state_entries(state) : NULL);
    kfl__state_detach(state);
    return r;
}

/* The n-th passage of each point fails, n rising until none does. */
START_TEST(each_failing_call_is_an_answer_and_leaves_nothing_behind)
{
    static const char *const points[] = {"memory.alloc",  "file.create",    "file.open",
                                         "file.size",     "file.reserve",   "file.unlink",
                                         "file.identity", "file.is_locked", "file.lock",
                                         "file.unlock",   "map.open"};
    for (size_t index = 0; index < sizeof points / sizeof points[0]; index++) {
        int failures = 0;
        for (int n = 1;; n++) {
            char plan[64];
            unlink(temp_dir_file("state"));
            unlink(temp_dir_file("LOCK"));
            snprintf(plan, sizeof plan, "%s:%d=EIO", points[index], n);
            int32_t before = open_descriptors();
            ck_assert_int_eq(kfl__fault_arm(plan), 0);
            int r = open_and_leave();
            ck_assert_int_eq(kfl__fault_arm(NULL), 0);
            ck_assert_int_eq(open_descriptors(), before);
            ck_assert_int_eq(open_and_leave(), 0);
            if (r == 0 && n > 4)
                break;
            ck_assert_int_le(r, 0);
            failures += r < 0;
        }
        ck_assert_msg(failures > 0, "%s was never passed", points[index]);
    }
}
END_TEST
#endif

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("state_open");
    TCase *tcase = tcase_create("open");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, the_mode_of_lock_is_what_was_asked_for_less_the_umask);
    tcase_add_test(tcase, a_link_in_the_place_of_lock_is_not_followed);
    tcase_add_test(tcase, of_racing_openers_exactly_one_rebuilds);
#ifdef KFL_FAULT_POINTS
    tcase_add_test(tcase, a_full_disk_changes_nothing);
    tcase_add_test(tcase, a_maker_may_die_at_any_step);
    tcase_add_test(tcase, without_a_name_of_the_boot_each_opening_begins_anew);
    tcase_add_test(tcase, each_failing_call_is_an_answer_and_leaves_nothing_behind);
#endif
    suite_add_tcase(suite, tcase);
    return suite;
}
