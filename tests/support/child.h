/* SPDX-License-Identifier: MIT */
/*
 * Child processes of a test: a body of its own, a word for how it ended. Needs no fork mode of Check.
 * A child tells failure by its exit status; it must not use Check's asserts.
 */
#ifndef KFL_TESTS_CHILD_H
#define KFL_TESTS_CHILD_H

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fork.h"

/* What a child answers when this machine does not let it try. */
#define CHILD_CANNOT_TRY 77

/* The body's result is the exit status. */
static inline pid_t child_start(int (*body)(void *context), void *context)
{
    pid_t pid = fork_among_threads();
    ck_assert_int_ge(pid, 0);
    if (pid == 0)
        _exit(body(context));
    return pid;
}

/* The exit status, or minus the signal that ended it. */
static inline int child_end(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0)
        ck_assert_int_eq(errno, EINTR);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static inline int child_run(int (*body)(void *context), void *context)
{
    return child_end(child_start(body, context));
}

/* The same for a body that is expected to abort: leaves no core and says nothing. */
static inline int child_run_quietly(int (*body)(void *context), void *context)
{
    pid_t pid = fork_among_threads();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        signal(SIGABRT, SIG_DFL);
        if (freopen("/dev/null", "w", stderr) == NULL)
            _exit(CHILD_CANNOT_TRY);
        _exit(body(context));
    }
    return child_end(pid);
}

/* Zeroed memory that parent and children share. */
static inline void *child_share(size_t size)
{
    void *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(bytes, MAP_FAILED);
    return bytes;
}

#endif
