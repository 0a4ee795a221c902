/* SPDX-License-Identifier: MIT */
/*
 * Who this process is, and whether another one still lives.
 *
 * A pid is used again, so a process is known by its pid and the moment it began, as the kernel
 * shows them in /proc. Where /proc is missing, or belongs to another pid namespace, the pid alone
 * must do: then a process is rather believed to live than to be dead.
 */
#include "base/process.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/file.h"

struct process_stat {
    int32_t pid;
    char state;
    int64_t threads;
    uint64_t start;
};

/* /proc/<pid>/stat: "pid (program) state ppid …". The program may hold blanks and parentheses. */
static bool process_parse_stat(const char *text, struct process_stat *out_stat)
{
    const char *end = strrchr(text, ')');
    if (end == NULL || end[1] != ' ' || end[2] == '\0')
        return false;
    struct process_stat stat = {.pid = (int32_t)strtol(text, NULL, 10), .state = end[2]};
    const char *field = end + 2;
    for (int number = 3; number < 22; number++) {
        if (number == 20)
            stat.threads = strtoll(field, NULL, 10);
        field = strchr(field, ' ');
        if (field == NULL)
            return false;
        field++;
    }
    stat.start = strtoull(field, NULL, 10);
    *out_stat = stat;
    return true;
}

static bool process_read_stat(const char *path, struct process_stat *out_stat)
{
    char text[1024];
    return kfl__file_read_text(path, text, sizeof text) == 0 && process_parse_stat(text, out_stat);
}

static uint64_t process_namespace(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 ? (uint64_t)status.st_ino : 0;
}

void kfl__process_self(struct kfl__process *out_process)
{
    struct kfl__process self = {.pid = (int32_t)getpid()};
    struct process_stat stat;
    /* A /proc of another namespace shows us under another pid, and others under ours. */
    if (process_read_stat("/proc/self/stat", &stat) && stat.pid == self.pid)
        self.start = stat.start;
    self.namespace =
        process_namespace("/proc/self/ns/time") << 32 | process_namespace("/proc/self/ns/pid");
    *out_process = self;
}

bool kfl__process_lives(int32_t pid, uint64_t start)
{
    if (pid <= 0 || (kill((pid_t)pid, 0) != 0 && errno == ESRCH))
        return false;
    char path[48];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    struct process_stat stat;
    if (start == 0 || !process_read_stat(path, &stat))
        return true;
    if (stat.start != start)
        return false;
    /* A first thread that ended shows as a zombie while the others of its process go on. */
    return !((stat.state == 'Z' || stat.state == 'X') && stat.threads <= 1);
}

int32_t kfl__process_of_thread(int32_t thread_id)
{
    char path[48], text[4096];
    snprintf(path, sizeof path, "/proc/%d/status", (int)thread_id);
    if (kfl__file_read_text(path, text, sizeof text) != 0)
        return 0;
    const char *group = strstr(text, "\nTgid:");
    return group != NULL ? (int32_t)strtol(group + strlen("\nTgid:"), NULL, 10) : 0;
}

void kfl__process_name(int32_t pid, char out_name[KFL_PROCESS_NAME_SIZE])
{
    char path[48], text[64] = "";
    snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
    if (kfl__file_read_text(path, text, sizeof text) != 0 || text[0] == '\0')
        snprintf(text, sizeof text, "?");
    /* A program may call itself anything, but not draw on our messages. */
    size_t length = strcspn(text, "\n");
    if (length >= KFL_PROCESS_NAME_SIZE)
        length = KFL_PROCESS_NAME_SIZE - 1;
    for (size_t index = 0; index < length; index++)
        out_name[index] = (unsigned char)text[index] < 32 || text[index] == 127 ? '?' : text[index];
    out_name[length] = '\0';
}
