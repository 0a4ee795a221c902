/* SPDX-License-Identifier: MIT */
/* What the tests of the state file share. */
#ifndef KFL_TESTS_STATE_FIXTURE_H
#define KFL_TESTS_STATE_FIXTURE_H

#include <check.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "state/state.h"
#include "temp_dir.h"

/* The folder of a store, and its state file. */
static int directory = -1;
static const struct kfl__state_binding binding = {
    .store_id = "fifteen letters", .open_number = 42, .file_mode = 0600};

static inline void set_up(void)
{
    ck_assert_int_eq(kfl__file_open_directory(-1, temp_dir_make(), &directory), 0);
}

static inline void tear_down(void)
{
    kfl__file_close(directory);
    temp_dir_remove();
}

static inline struct kfl__state *rebuild(void)
{
    struct kfl__state *state = NULL;
    ck_assert_int_eq(kfl__state_rebuild(directory, &binding, &state), 0);
    return state;
}

static inline struct kfl__state *attach(void)
{
    struct kfl__state *state = NULL;
    ck_assert_int_eq(kfl__state_attach(directory, &binding, &state), 0);
    return state;
}

static inline struct kfl__slot *slot_of(struct kfl__state *state, uint32_t number)
{
    struct kfl__slot *slot = NULL;
    ck_assert_int_eq(kfl__state_slot(state, number, &slot), 0);
    return slot;
}

static inline void assert_stale(const struct kfl__state_binding *with)
{
    struct kfl__state *state = NULL;
    ck_assert_int_eq(kfl__state_attach(directory, with, &state), KFL_STATE_STALE);
    ck_assert_ptr_null(state);
}

static inline void write_file(const char *name, const void *bytes, size_t size, off_t place)
{
    int fd = open(temp_dir_file(name), O_WRONLY | O_CREAT, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pwrite(fd, bytes, size, place), (ssize_t)size);
    close(fd);
}

#endif
