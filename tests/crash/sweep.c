/* SPDX-License-Identifier: MIT */
/*
 * Kills a process at each fault point, at its n-th passage for rising n, and looks at what is left.
 *
 *   sweep [--seed N] [--steep N] [--point NAME] [--passage N]
 *
 * Needs a build with fault points. Each try has a store of its own: a first process is killed with a tail
 * that is not synced; (every other time the state file is taken away, as a reboot does); a second one is
 * killed at the point, be it in recovering that tail, in its own work, or in closing; a third one judges, and
 * is one that had the store open all the time in every third try.
 * Passages are 1, 2, 3, 5, 8, … until one is not reached; with --steep 2 every second of these numbers.
 *
 * This holds the library to rule:R2 rule:R3 rule:R4 rule:R6 rule:R7 rule:R10 rule:R20 rule:R22 rule:R27.
 */
#include "power.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "images.h"

#define POINTS_MAX 200
#define TRACE_ROOM (UINT64_C(256) << 20)

struct sweep {
    uint64_t seed;
    char folder[160], list[200];
    char points[POINTS_MAX][64];
    int32_t point_count;
    int64_t tries, failed;
};

static int end_of(pid_t pid)
{
    int status = 0;
    if (waitpid(pid, &status, 0) != pid)
        return 99;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int run_load(const struct power_load *load)
{
    pid_t pid = fork();
    if (pid == 0) {
        alarm(60);
        _exit(power_load_run(load));
    }
    return end_of(pid);
}

/* Who judges, and (survivor) has the store open from now on. */
struct judge {
    pid_t pid;
    int up, down;
};

static void start_judge(struct judge *judge, const struct recorder_trace *trace, const char *folder,
                        bool dense, bool survivor)
{
    int up[2], down[2];
    char byte;
    if (pipe(up) != 0 || pipe(down) != 0)
        abort();
    judge->pid = fork();
    if (judge->pid == 0) {
        alarm(60);
        _exit(power_check_survive(trace, folder, dense, up[1], down[0]));
    }
    close(up[1]);
    close(down[0]);
    judge->up = up[0];
    judge->down = down[1];
    if (survivor && read(judge->up, &byte, 1) != 1)
        fprintf(stderr, "the survivor has not opened\n");
}

static int end_judge(struct judge *judge)
{
    (void)!write(judge->down, "!", 1);
    int r = end_of(judge->pid);
    close(judge->up);
    close(judge->down);
    return r;
}

/* One try: 1 when the point was reached, 0 when not; what is bad is told and counted. */
static int try_once(struct sweep *sweep, uint64_t seed, const char *fault, bool reboot,
                    bool survivor)
{
    struct judge judge;
    struct recorder_trace *trace = recorder_trace_make(TRACE_ROOM);
    struct power_load load = {.trace = trace, .seed = seed, .steps = 40, .kill = true};
    char state[300];
    snprintf(load.folder, sizeof load.folder, "%s/work", sweep->folder);
    snprintf(state, sizeof state, "%s/state", load.folder);
    if (mkdir(load.folder, 0700) != 0)
        images_clear(load.folder);
    sweep->tries++;
    int end = run_load(&load);
    bool reached = false;
    if (end == -SIGKILL) {
        if (reboot)
            unlink(state);
        load.phase = 1;
        load.kill = false;
        load.steps = 70;
        load.fault = fault;
        if (survivor)
            start_judge(&judge, trace, load.folder, !reboot, true);
        end = run_load(&load);
        reached = end == -SIGKILL;
    }
    int bad = end == -SIGKILL ? 0 : end;
    /* The kernel counts a process's start in 10 ms: who was killed is not the judge. */
    nanosleep(&(struct timespec){.tv_nsec = 11000000}, NULL);
    if (!survivor)
        start_judge(&judge, trace, load.folder, !reboot, false);
    int judged = end_judge(&judge);
    bad = bad ? bad : judged;
    if (bad) {
        char kept[300];
        snprintf(kept, sizeof kept, "%s/failed-%" PRId64, sweep->folder, sweep->failed++);
        if (rename(load.folder, kept) != 0)
            perror(kept);
        fprintf(stderr, "FAILED: seed %" PRIu64 " %s%s (%d): %s\n", seed,
                fault == NULL ? "no fault" : fault,
                reboot     ? " after a reboot"
                : survivor ? " beside a survivor"
                           : "",
                bad, kept);
    }
    recorder_trace_drop(trace);
    return reached;
}

static void learn_points(struct sweep *sweep)
{
    char line[128];
    snprintf(sweep->list, sizeof sweep->list, "%s/points", sweep->folder);
    setenv("KAFKALITE_FAULT_LIST", sweep->list, 1);
    try_once(sweep, sweep->seed, NULL, false, false);
    try_once(sweep, sweep->seed, NULL, true, false);
    unsetenv("KAFKALITE_FAULT_LIST");
    FILE *list = fopen(sweep->list, "r");
    while (list != NULL && fgets(line, sizeof line, list) != NULL &&
           sweep->point_count < POINTS_MAX) {
        bool known = false;
        line[strcspn(line, "\n")] = '\0';
        for (int32_t i = 0; i < sweep->point_count; i++)
            known |= strcmp(sweep->points[i], line) == 0;
        if (!known)
            snprintf(sweep->points[sweep->point_count++], sizeof sweep->points[0], "%.63s", line);
    }
    if (list != NULL)
        fclose(list);
}

static void sweep_point(struct sweep *sweep, const char *point, int64_t only, int64_t steep)
{
    int64_t passage = 1, next = 2, number = 0;
    bool reached = true;
    while (reached) {
        char fault[128];
        snprintf(fault, sizeof fault, "%s:%" PRId64 "=kill", point, only > 0 ? only : passage);
        reached = try_once(sweep, sweep->seed + (uint64_t)(number / 3), fault, number % 3 == 1,
                           number % 3 == 2);
        if (only > 0 && number == 2)
            return;
        /* The first passage in all three ways, the others in turn. */
        for (int64_t i = 0; i < steep && number >= 2; i++) {
            int64_t after = passage + next;
            passage = next;
            next = after;
        }
        number++;
    }
}

static int64_t number_after(int argc, char **argv, const char *name, int64_t otherwise)
{
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return strtoll(argv[i + 1], NULL, 0);
    return otherwise;
}

int main(int argc, char **argv)
{
    struct sweep sweep = {.seed =
                              (uint64_t)number_after(argc, argv, "--seed", (int64_t)time(NULL))};
    int64_t steep = number_after(argc, argv, "--steep", 1),
            passage = number_after(argc, argv, "--passage", 0);
    const char *only = NULL;
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], "--point") == 0)
            only = argv[i + 1];
    snprintf(sweep.folder, sizeof sweep.folder, "%s/kafkalite-sweep-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (mkdtemp(sweep.folder) == NULL)
        return 2;
    printf("sweep: --seed %" PRIu64 " --steep %" PRId64 "\n", sweep.seed, steep);
    fflush(stdout);
    learn_points(&sweep);
    if (sweep.point_count == 0) {
        printf("sweep: no fault points in this build\n");
        images_clear(sweep.folder);
        rmdir(sweep.folder);
        return 77;
    }
    for (int32_t i = 0; i < sweep.point_count; i++)
        if (only == NULL || strcmp(only, sweep.points[i]) == 0)
            sweep_point(&sweep, sweep.points[i], passage, steep);
    printf("sweep: %d points, %" PRId64 " tries: %" PRId64 " bad\n", sweep.point_count, sweep.tries,
           sweep.failed);
    if (sweep.failed == 0) {
        images_clear(sweep.folder);
        rmdir(sweep.folder);
    }
    return sweep.failed != 0;
}
