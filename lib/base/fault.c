/* SPDX-License-Identifier: MIT */
/*
 * Fault points: what a test has armed, how often each was passed, and the list of names.
 *
 * A plan that cannot be read ends the process with a message: a crash test with a misspelt plan
 * would otherwise pass and show nothing. That, and the list, are the only things this library ever
 * prints, in builds that are not for users.
 */
#include "base/fault.h"

#ifdef KFL_FAULT_POINTS

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

enum fault_action {
    FAULT_KILL = -1, /* above 0: the errno to answer */
    FAULT_STOP = -2,
    FAULT_EXIT = -3,
};

#define FAULT_EACH 0

struct fault_point {
    char name[64];
    uint64_t at; /* which passage, or FAULT_EACH */
    uint64_t passed;
    int action;
};

/* Guarded by `fault_guard`: a plain mutex, since a point may be passed while any lock is held. */
static pthread_mutex_t fault_guard = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fault_once = PTHREAD_ONCE_INIT;
static struct fault_point fault_points[32];
static int fault_point_count;
static char fault_seen[1024][64];
static int fault_seen_count;
static const char *fault_list_path;

static int parse_action(const char *text)
{
    if (strcmp(text, "kill") == 0)
        return FAULT_KILL;
    if (strcmp(text, "stop") == 0)
        return FAULT_STOP;
    if (strcmp(text, "exit") == 0)
        return FAULT_EXIT;
    for (int errnum = 1; errnum < 200; errnum++) {
        const char *name = strerrorname_np(errnum);
        if (name != NULL && strcmp(text, name) == 0)
            return errnum;
    }
    char *end;
    long number = strtol(text, &end, 10);
    return *text != '\0' && *end == '\0' && number > 0 && number < 4096 ? (int)number : 0;
}

/* One "name[:n]=action"; changes `text`. */
static bool parse_point(char *text, struct fault_point *out_point)
{
    struct fault_point point = {.at = 1};
    char *action = strchr(text, '=');
    if (action == NULL)
        return false;
    *action++ = '\0';
    point.action = parse_action(action);
    char *passage = strchr(text, ':');
    if (passage != NULL) {
        *passage++ = '\0';
        char *end;
        point.at = strcmp(passage, "*") == 0 ? FAULT_EACH : strtoull(passage, &end, 10);
        if (strcmp(passage, "*") != 0 && (point.at == 0 || *end != '\0'))
            return false;
    }
    size_t length = strlen(text);
    if (point.action == 0 || length == 0 || length >= sizeof point.name)
        return false;
    memcpy(point.name, text, length);
    *out_point = point;
    return true;
}

static int parse_plan(const char *plan, struct fault_point *points, int points_max)
{
    char text[2048];
    if (strlen(plan) >= sizeof text)
        return -1;
    memcpy(text, plan, strlen(plan) + 1);
    int count = 0;
    char *rest = text;
    for (char *one = strsep(&rest, ","); one != NULL; one = strsep(&rest, ",")) {
        if (*one == '\0')
            continue;
        if (count == points_max || !parse_point(one, &points[count]))
            return -1;
        count++;
    }
    return count;
}

static void lock_guard(void)
{
    pthread_mutex_lock(&fault_guard);
}

static void unlock_guard(void)
{
    pthread_mutex_unlock(&fault_guard);
}

static void read_environment(void)
{
    /* A child of fork() must not inherit the guard from a thread that it does not have. */
    pthread_atfork(lock_guard, unlock_guard, unlock_guard);
    fault_list_path = getenv("KAFKALITE_FAULT_LIST");
    const char *plan = getenv("KAFKALITE_FAULT");
    if (plan == NULL)
        return;
    fault_point_count =
        parse_plan(plan, fault_points, (int)(sizeof fault_points / sizeof fault_points[0]));
    if (fault_point_count < 0) {
        fprintf(stderr, "KAFKALITE_FAULT cannot be read: %s\n", plan);
        abort();
    }
}

static void list_name(const char *name)
{
    for (int i = 0; i < fault_seen_count; i++) {
        if (strcmp(fault_seen[i], name) == 0)
            return;
    }
    assert(fault_seen_count < (int)(sizeof fault_seen / sizeof fault_seen[0]));
    assert(strlen(name) < sizeof fault_seen[0]);
    int length = snprintf(fault_seen[fault_seen_count++], sizeof fault_seen[0], "%s", name);

    char line[sizeof fault_seen[0] + 1];
    snprintf(line, sizeof line, "%s\n", name);
    int fd = open(fault_list_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0 || write(fd, line, (size_t)length + 1) != length + 1) {
        fprintf(stderr, "KAFKALITE_FAULT_LIST cannot be written: %s\n", fault_list_path);
        abort();
    }
    close(fd);
}

/* The action due at this passage, 0 for none. */
static int pass_points(const char *name)
{
    int action = 0;
    for (int i = 0; i < fault_point_count; i++) {
        struct fault_point *point = &fault_points[i];
        if (strcmp(point->name, name) != 0)
            continue;
        point->passed++;
        if (point->at == FAULT_EACH || point->at == point->passed)
            action = point->action;
    }
    return action;
}

int kfl__fault(const char *name)
{
    pthread_once(&fault_once, read_environment);
    lock_guard();
    if (fault_list_path != NULL)
        list_name(name);
    int action = pass_points(name);
    unlock_guard();
    switch (action) {
    case FAULT_KILL:
        kill(getpid(), SIGKILL);
        return 0;
    case FAULT_STOP:
        raise(SIGSTOP);
        return 0;
    case FAULT_EXIT:
        _exit(7);
    default:
        return action;
    }
}

int kfl__fault_arm(const char *plan)
{
    pthread_once(&fault_once, read_environment);
    struct fault_point points[sizeof fault_points / sizeof fault_points[0]];
    int count =
        plan == NULL ? 0 : parse_plan(plan, points, (int)(sizeof points / sizeof points[0]));
    if (count < 0)
        return kfl__fail(KFL_E_BAD_VALUE, "not a plan of faults: %s", plan);
    lock_guard();
    memcpy(fault_points, points, (size_t)count * sizeof points[0]);
    fault_point_count = count;
    unlock_guard();
    return 0;
}

#endif
