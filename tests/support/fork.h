/* SPDX-License-Identifier: MIT */
/*
 * fork() of a test whose process has threads.
 *
 * The C library puts its allocator in order for the child; a sanitizer's does not, and a thread that is
 * inside it at that moment (a new one always is) leaves it locked in the child for ever.
 */
#ifndef KFL_TESTS_FORK_H
#define KFL_TESTS_FORK_H

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "sanitized.h"

static inline bool fork_thread_sleeps(pid_t thread)
{
    char path[48], text[256];
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)thread);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return true; /* it has ended */
    size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[size] = '\0';
    const char *name_end = strrchr(text, ')');
    return name_end == NULL || name_end[2] == 'S';
}

static inline bool fork_others_sleep(void)
{
    bool sleep = true;
    DIR *threads = opendir("/proc/self/task");
    if (threads == NULL)
        return true;
    for (const struct dirent *entry = readdir(threads); entry != NULL; entry = readdir(threads)) {
        pid_t thread = atoi(entry->d_name);
        if (thread > 0 && thread != gettid() && !fork_thread_sleeps(thread))
            sleep = false;
    }
    closedir(threads);
    return sleep;
}

/* Under a sanitizer: once all other threads have been seen asleep ten times in a row; after two seconds anyhow. */
static inline pid_t fork_among_threads(void)
{
    for (int looks = 0, asleep = 0; SANITIZED && asleep < 10 && looks < 2000; looks++) {
        asleep = fork_others_sleep() ? asleep + 1 : 0;
        nanosleep(&(struct timespec){0, asleep > 0 ? 100000 : 1000000}, NULL);
    }
    return fork();
}

#endif
