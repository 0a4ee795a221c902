/* SPDX-License-Identifier: MIT */
#include "state/state.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/hash.h"
#include "peer.h"
#include "suite.h"
#include "temp_dir.h"

static int directory = -1;
static const struct kfl__state_binding binding = {
    .store_id = "fifteen letters", .open_number = 42, .file_mode = 0600};

static void set_up(void)
{
    ck_assert_int_eq(kfl__file_open_directory(-1, temp_dir_make(), &directory), 0);
}

static void tear_down(void)
{
    kfl__file_close(directory);
    temp_dir_remove();
}

static struct kfl__state *rebuild(void)
{
    struct kfl__state *state = NULL;
    ck_assert_int_eq(kfl__state_rebuild(directory, &binding, &state), 0);
    return state;
}

static struct kfl__state *attach(void)
{
    struct kfl__state *state = NULL;
    ck_assert_int_eq(kfl__state_attach(directory, &binding, &state), 0);
    return state;
}

static struct kfl__slot *slot_of(struct kfl__state *state, uint32_t number)
{
    struct kfl__slot *slot = NULL;
    ck_assert_int_eq(kfl__state_slot(state, number, &slot), 0);
    return slot;
}

static void assert_stale(const struct kfl__state_binding *with)
{
    struct kfl__state *state = NULL;
    ck_assert_int_eq(kfl__state_attach(directory, with, &state), KFL_STATE_STALE);
    ck_assert_ptr_null(state);
}

static void write_file(const char *name, const void *bytes, size_t size, off_t place)
{
    int fd = open(temp_dir_file(name), O_WRONLY | O_CREAT, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pwrite(fd, bytes, size, place), (ssize_t)size);
    close(fd);
}

START_TEST(a_missing_file_is_stale_and_a_new_one_is_not)
{
    assert_stale(&binding);
    struct kfl__state *made = rebuild();
    struct kfl__state_header *header = kfl__state_header(made);
    ck_assert_uint_eq(header->open_number, 42);
    ck_assert_uint_eq(header->life, 1);
    ck_assert_uint_eq(header->slot_count, 64);

    struct kfl__state *attached = attach();
    ck_assert_ptr_ne(kfl__state_header(attached), header);
    header->topics_version = 77;
    ck_assert_uint_eq(kfl__state_header(attached)->topics_version, 77);
    kfl__state_entries(made)[KFL_PRESENCE_MAX - 1].wake_word = 5;
    ck_assert_uint_eq(kfl__state_entries(attached)[KFL_PRESENCE_MAX - 1].wake_word, 5);
    /* The last entry and the first slot are neighbours, not tenants of one place. */
    ck_assert_uint_eq(slot_of(attached, 0)->topic_id, 0);
    kfl__state_detach(made);
    kfl__state_detach(attached);
    kfl__state_detach(NULL);
}
END_TEST

START_TEST(a_small_store_has_a_small_file_without_holes)
{
    struct kfl__state *state = rebuild();
    struct stat status;
    ck_assert_int_eq(stat(temp_dir_file("state"), &status), 0);
    ck_assert_int_lt(status.st_size, 192 * 1024);
    ck_assert_int_ge(status.st_blocks * 512, status.st_size);
    slot_of(state, 64);
    ck_assert_int_eq(stat(temp_dir_file("state"), &status), 0);
    ck_assert_int_ge(status.st_blocks * 512, status.st_size);
    kfl__state_detach(state);
}
END_TEST

/* rule:R20 */
START_TEST(another_binding_is_stale)
{
    kfl__state_detach(rebuild());
    struct kfl__state_binding other = binding;
    other.open_number++;
    assert_stale(&other);
    other = binding;
    other.store_id[15] ^= 1;
    assert_stale(&other);
    other = binding;
    other.file_mode = 0640; /* no part of the binding */
    struct kfl__state *state = NULL;
    ck_assert_int_eq(kfl__state_attach(directory, &other, &state), 0);
    kfl__state_detach(state);
}
END_TEST

/* rule:R20 */
START_TEST(a_copy_from_elsewhere_is_stale)
{
    struct kfl__state *state = rebuild();
    struct stat status;
    ck_assert_int_eq(stat(temp_dir_file("state"), &status), 0);
    size_t size = (size_t)status.st_size;
    kfl__state_detach(state);
    char *bytes = malloc(size);
    ck_assert_ptr_nonnull(bytes);
    int fd = open(temp_dir_file("state"), O_RDONLY);
    ck_assert_int_eq(read(fd, bytes, size), (ssize_t)size);
    close(fd);
    write_file("copy", bytes, size, 0);
    ck_assert_int_eq(rename(temp_dir_file("copy"), temp_dir_file("state")), 0);
    free(bytes);
    assert_stale(&binding);
    kfl__state_detach(rebuild());
    kfl__state_detach(attach());
}
END_TEST

/* rule:R20 */
START_TEST(the_mount_counts_only_while_nobody_holds_the_store)
{
    struct kfl__state *state = rebuild();
    struct kfl__state_header *header = kfl__state_header(state);
    header->mount++;
    header->hash = kfl__hash64(header, offsetof(struct kfl__state_header, hash));
    assert_stale(&binding);
    struct kfl__state_binding held = binding;
    held.held = true;
    struct kfl__state *other = NULL;
    ck_assert_int_eq(kfl__state_attach(directory, &held, &other), 0);
    kfl__state_detach(other);
    /* All else counts as before. */
    header->inode++;
    header->hash = kfl__hash64(header, offsetof(struct kfl__state_header, hash));
    assert_stale(&held);
    kfl__state_detach(state);
}
END_TEST

/* rule:R20 */
START_TEST(a_file_of_another_boot_or_of_none_is_stale)
{
    struct kfl__state *state = rebuild();
    struct kfl__state_header *header = kfl__state_header(state);
    header->boot_id[0] ^= 1;
    header->hash = kfl__hash64(header, offsetof(struct kfl__state_header, hash));
    assert_stale(&binding);
    memset(header->boot_id, 0, sizeof header->boot_id);
    header->hash = kfl__hash64(header, offsetof(struct kfl__state_header, hash));
    assert_stale(&binding);
    kfl__state_detach(state);
}
END_TEST

/* rule:R20 */
START_TEST(each_bit_of_the_header_counts)
{
    struct kfl__state *state = rebuild();
    unsigned char *bytes = (unsigned char *)kfl__state_header(state);
    for (size_t place = 0; place < offsetof(struct kfl__state_header, hash) + 8; place++) {
        bytes[place] ^= (unsigned char)(1u << place % 8);
        assert_stale(&binding);
        bytes[place] ^= (unsigned char)(1u << place % 8);
    }
    kfl__state_detach(attach());
    kfl__state_detach(state);
}
END_TEST

START_TEST(a_short_or_foreign_file_is_stale)
{
    write_file("state", "", 0, 0);
    assert_stale(&binding);
    write_file("state", "no state file at all", 20, 0);
    assert_stale(&binding);
    write_file("state", "", 1, 300000);
    assert_stale(&binding);

    kfl__state_detach(rebuild());
    struct stat status;
    ck_assert_int_eq(stat(temp_dir_file("state"), &status), 0);
    ck_assert_int_eq(truncate(temp_dir_file("state"), status.st_size - 1), 0);
    assert_stale(&binding);
    ck_assert_int_eq(truncate(temp_dir_file("state"), 4096), 0);
    assert_stale(&binding);
}
END_TEST

START_TEST(a_slot_count_that_the_file_cannot_hold_is_stale)
{
    struct kfl__state *state = rebuild();
    _Atomic uint32_t *slot_count = &kfl__state_header(state)->slot_count;
    static const uint32_t counts[] = {0, 1, 63, 65, 192, 193, 16320, KFL_STATE_SLOTS_MAX, UINT32_MAX};
    for (size_t index = 0; index < sizeof counts / sizeof counts[0]; index++) {
        *slot_count = counts[index];
        assert_stale(&binding);
    }
    *slot_count = 64;
    kfl__state_detach(attach());

    /* Damaged while we live: an answer, no signal. */
    struct kfl__slot *slot = NULL;
    *slot_count = 192;
    ck_assert_int_eq(kfl__state_slot(state, 100, &slot), KFL_E_CORRUPT);
    *slot_count = UINT32_MAX;
    ck_assert_int_eq(kfl__state_slot(state, 100, &slot), KFL_E_CORRUPT);
    *slot_count = 65;
    ck_assert_int_eq(kfl__state_slot(state, 100, &slot), KFL_E_CORRUPT);
    ck_assert_ptr_null(slot);
    kfl__state_detach(state);
}
END_TEST

START_TEST(a_condemned_file_is_stale_for_ever)
{
    struct kfl__state *state = rebuild();
    kfl__state_condemn(state);
    assert_stale(&binding);
    kfl__state_detach(state);
    assert_stale(&binding);
}
END_TEST

START_TEST(a_link_or_folder_is_not_followed)
{
    kfl__state_detach(rebuild());
    ck_assert_int_eq(rename(temp_dir_file("state"), temp_dir_file("elsewhere")), 0);
    ck_assert_int_eq(symlink(temp_dir_file("elsewhere"), temp_dir_file("state")), 0);
    struct kfl__state *state = NULL;
    ck_assert_int_eq(kfl__state_attach(directory, &binding, &state), KFL_E_CORRUPT);
    /* A new file takes the place of the link; what it pointed at is untouched. */
    struct stat before, after;
    ck_assert_int_eq(stat(temp_dir_file("elsewhere"), &before), 0);
    kfl__state_detach(rebuild());
    ck_assert_int_eq(stat(temp_dir_file("elsewhere"), &after), 0);
    ck_assert_int_eq(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
    ck_assert_int_eq(lstat(temp_dir_file("state"), &after), 0);
    ck_assert(S_ISREG(after.st_mode));

    ck_assert_int_eq(unlink(temp_dir_file("state")), 0);
    ck_assert_int_eq(mkdir(temp_dir_file("state"), 0700), 0);
    ck_assert_int_eq(kfl__state_attach(directory, &binding, &state), KFL_E_CORRUPT);
    ck_assert_int_lt(kfl__state_rebuild(directory, &binding, &state), 0);
    ck_assert_ptr_null(state);
}
END_TEST

START_TEST(the_mode_is_what_was_asked_for_less_the_umask)
{
    static const struct {
        mode_t mask, asked, expected;
    } rows[] = {{0, 0600, 0600}, {077, 0600, 0600}, {0, 0660, 0660}, {077, 0660, 0600}, {0, 0666, 0666}};
    for (size_t index = 0; index < sizeof rows / sizeof rows[0]; index++) {
        mode_t old = umask(rows[index].mask);
        struct kfl__state_binding with = binding;
        with.file_mode = rows[index].asked;
        struct kfl__state *state = NULL;
        ck_assert_int_eq(kfl__state_rebuild(directory, &with, &state), 0);
        umask(old);
        kfl__state_detach(state);
        struct stat status;
        ck_assert_int_eq(stat(temp_dir_file("state"), &status), 0);
        ck_assert_uint_eq(status.st_mode & 0777, rows[index].expected);
    }
}
END_TEST

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
        ck_assert_int_eq(kfl__robust_lock(&slot->append, KFL_RANK_APPEND, -1), 0);
        slot->appended_records++;
        kfl__robust_unlock(&slot->append, KFL_RANK_APPEND);
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
    ck_assert_int_eq(kfl__robust_trylock(&slot->append, KFL_RANK_APPEND), 0);
    kfl__robust_unlock(&slot->append, KFL_RANK_APPEND);
    ck_assert_uint_eq(kfl__state_header(state)->slot_count, 192);
    kfl__state_detach(attach());
    kfl__state_detach(state);
}
END_TEST

static void die_appending(struct peer *self, void *context)
{
    (void)context;
    struct kfl__state *state = attach();
    struct kfl__slot *slot = slot_of(state, 100);
    ck_assert_int_eq(kfl__robust_lock(&slot->append, KFL_RANK_APPEND, -1), 0);
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
    ck_assert_int_eq(kfl__robust_trylock(&slot->append, KFL_RANK_APPEND), KFL_LOCK_BUSY);
    ck_assert_int_eq(kfl__robust_owner(&slot->append), peer.pid);
    peer_kill(&peer);
    ck_assert_int_eq(kfl__robust_lock(&slot->append, KFL_RANK_APPEND, -1), KFL_LOCK_OWNER_DIED);
    ck_assert_uint_eq(slot->reserved_end, 4096);
    kfl__robust_mended(&slot->append);
    kfl__robust_unlock(&slot->append, KFL_RANK_APPEND);
    ck_assert_int_eq(kfl__robust_lock(&slot->append, KFL_RANK_APPEND, -1), 0);
    kfl__robust_unlock(&slot->append, KFL_RANK_APPEND);
    kfl__state_detach(state);
}
END_TEST

/* In a tmpfs of its own namespace, where the test may make one; elsewhere the fault points below tell. */
START_TEST(a_full_disk_is_an_answer)
{
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
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
    ck_assert_int_eq(mount(NULL, temp_dir_path(), NULL, MS_REMOUNT, "size=4m"), 0);
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

/* Every call and every allocation fails once: an answer, nothing left behind, and then it works. */
START_TEST(a_failing_call_is_an_answer)
{
    static const char *const points[] = {"memory.alloc", "file.create", "file.open",  "file.size",
                                         "file.reserve", "map.open",    "file.unlink"};
    struct kfl__state *state = rebuild();
    kfl__state_detach(state);
    for (size_t index = 0; index < sizeof points / sizeof points[0]; index++) {
        char plan[64];
        snprintf(plan, sizeof plan, "%s=EIO", points[index]);
        struct kfl__slot *slot;
        ck_assert_int_eq(kfl__fault_arm(plan), 0);
        int r = kfl__state_attach(directory, &binding, &state);
        if (r == 0) {
            r = kfl__state_slot(state, 64 << index, &slot);
            kfl__state_detach(state);
        }
        if (r == 0) {
            r = kfl__state_rebuild(directory, &binding, &state);
            if (r == 0)
                kfl__state_detach(state);
        }
        ck_assert_msg(r != 0, "%s was never passed", points[index]);
        ck_assert_int_eq(kfl__fault_arm(NULL), 0);
        kfl__state_detach(rebuild());
        kfl__state_detach(attach());
    }
}
END_TEST
#endif

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("state");
    TCase *tcase = tcase_create("binding");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_missing_file_is_stale_and_a_new_one_is_not);
    tcase_add_test(tcase, a_small_store_has_a_small_file_without_holes);
    tcase_add_test(tcase, another_binding_is_stale);
    tcase_add_test(tcase, a_copy_from_elsewhere_is_stale);
    tcase_add_test(tcase, the_mount_counts_only_while_nobody_holds_the_store);
    tcase_add_test(tcase, a_file_of_another_boot_or_of_none_is_stale);
    tcase_add_test(tcase, each_bit_of_the_header_counts);
    tcase_add_test(tcase, a_short_or_foreign_file_is_stale);
    tcase_add_test(tcase, a_slot_count_that_the_file_cannot_hold_is_stale);
    tcase_add_test(tcase, a_condemned_file_is_stale_for_ever);
    tcase_add_test(tcase, a_link_or_folder_is_not_followed);
    tcase_add_test(tcase, the_mode_is_what_was_asked_for_less_the_umask);
    suite_add_tcase(suite, tcase);

    tcase = tcase_create("growth");
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
#ifdef KFL_FAULT_POINTS
    tcase_add_test(tcase, a_full_disk_changes_nothing);
    tcase_add_test(tcase, a_maker_may_die_at_any_step);
    tcase_add_test(tcase, a_failing_call_is_an_answer);
#endif
    suite_add_tcase(suite, tcase);
    return suite;
}
