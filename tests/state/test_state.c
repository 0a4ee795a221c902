/* SPDX-License-Identifier: MIT */
#include "state/state.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "state_fixture.h"
#include "suite.h"

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
    static const uint32_t counts[] = {0,   1,     63,                  65,        192,
                                      193, 16320, KFL_STATE_SLOTS_MAX, UINT32_MAX};
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

    /* The file would hold them; but slots come by chunks. */
    *slot_count = 64;
    slot_of(state, 64);
    *slot_count = 65;
    assert_stale(&binding);
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
    } rows[] = {{0, 0600, 0600},
                {077, 0600, 0600},
                {0, 0660, 0660},
                {077, 0660, 0600},
                {0, 0666, 0666}};
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

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("state");
    TCase *tcase = tcase_create("binding");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 60);
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

    return suite;
}
