/* SPDX-License-Identifier: MIT */
/*
 * Cuts the power: runs a workload under the recorder, makes images of what may be left at moments of it,
 * and has each judged in a process of its own. Some recoveries are recorded too, and cut again.
 *
 *   power [--seed N] [--loads N] [--images N] [--again N] [--lie log|names|catalog] [--spoil PLAN] [--compacting 1]
 *         [--only IMAGE] [--print 1]
 *
 * Load n of seed s is seed s + n; image i of it is repeated by --seed s+n --loads 1 --only i. The folder of
 * an image that fails is kept and named.
 *
 * Is the judge awake? With --lie the recorder drops the syncs of the segments, of the folders or of the
 * catalog, with --spoil the judged library runs with that plan of faults: then some image must fail, and
 * the exit is turned round.
 *
 * This holds the library to rule:R2 rule:R3 rule:R4 rule:R6 rule:R8 rule:R10 rule:R20 rule:R22 rule:R24.
 */
#include "power.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "images.h"

#define TRACE_ROOM (UINT64_C(1) << 30)

struct power {
    uint64_t seed;
    int32_t loads, images, again, lies;
    bool compacting;
    bool must_fail;
    const char *spoil; /* KAFKALITE_FAULT of those who judge */
    int64_t only, print;
    char folder[160]; /* ours: work, image, again below it */
    /* what was found */
    int64_t judged, judged_again, failed;
};

struct power_cut {
    enum image_strategy strategy;
    enum image_names names;
    uint64_t position; /* how many events */
    struct chance chance;
};

static int end_of(pid_t pid)
{
    int status = 0;
    if (waitpid(pid, &status, 0) != pid)
        return 99;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int judge(const struct power *power, const struct power_expect *expect, const char *folder,
                 uint32_t round, struct recorder_trace *trace)
{
    pid_t pid = fork();
    if (pid == 0) {
        if (power->spoil != NULL)
            setenv("KAFKALITE_FAULT", power->spoil, 1);
        alarm(60);
        _exit(power_check_run(expect, folder, round, trace));
    }
    return end_of(pid);
}

/* Where a phase is killed; where this build has no fault points, it kills itself at its end. */
static const char *choose_fault(struct chance *chance, char *text, size_t text_size)
{
    static const char *const points[] = {
        "append.reserved",     "append.laid",       "append.before_publish",
        "append.published",    "roll.marked",       "roll.published",
        "roll.before_publish", "sync.noted",        "sync.done",
        "sync.durable",        "prepare.listed",    "prepare.created",
        "prepare.ready",       "prepare.withdrawn", "floor.raised",
        "recover.listed",      "recover.copied",    "recover.synced",
        "recover.committed",   "trim.committed",    "catalog.begun",
        "catalog.committed",   "segment.created",   "file.make_directory",
        "file.sync_directory", "file.unlink",       "file.sync",
    };
    if (chance_below(chance, 2) == 0)
        return NULL;
    snprintf(text, text_size, "%s:%" PRIu64 "=kill",
             points[chance_below(chance, sizeof points / sizeof points[0])],
             1 + chance_below(chance, 1 + chance_below(chance, 60)));
    return text;
}

static const char *choose_compaction_fault(struct chance *chance, char *text, size_t text_size)
{
    static const char *const points[] = {
        "compact.learned", "compact.listed",        "compact.created",   "compact.written",
        "compact.synced",  "compact.before_commit", "compact.committed", "compact.told",
    };
    snprintf(text, text_size, "%s:%" PRIu64 "=kill",
             points[chance_below(chance, sizeof points / sizeof points[0])],
             1 + chance_below(chance, 3));
    return text;
}

static int run_load(const struct power *power, uint64_t seed, struct recorder_trace *trace)
{
    struct chance chance = {seed ^ 0x5eed};
    char fault[80];
    int32_t phases = 1 + (int32_t)chance_below(&chance, 3);
    for (int32_t phase = 0; phase < phases; phase++) {
        struct power_load load = {
            .trace = trace,
            .seed = seed,
            .phase = phase,
            .steps = 20 + (int32_t)chance_below(&chance, 80),
            .kill = phase + 1 < phases || chance_below(&chance, 2) == 0,
            .lies = power->lies,
            .compacting = power->compacting,
        };
        if (load.kill)
            load.fault = power->compacting && chance_below(&chance, 2) == 0
                             ? choose_compaction_fault(&chance, fault, sizeof fault)
                             : choose_fault(&chance, fault, sizeof fault);
        snprintf(load.folder, sizeof load.folder, "%s/work", power->folder);
        pid_t pid = fork();
        if (pid == 0)
            _exit(power_load_run(&load));
        int end = end_of(pid);
        if (end != (load.kill ? -9 : 0)) {
            fprintf(stderr, "load %" PRIu64 " phase %d ended with %d\n", seed, phase, end);
            return 1;
        }
    }
    return 0;
}

/* For whoever wants to see what an image was cut from. */
static void print_trace(const struct recorder_trace *trace)
{
    static const char *const kinds[] = {"",      "write",  "size",       "sync", "create",
                                        "mkdir", "unlink", "sync-names", "mark"};
    const struct recorder_event *event;
    uint64_t position = 0, number = 0;
    while ((event = recorder_trace_next(trace, &position)) != NULL) {
        const struct power_mark *mark = recorder_payload(event);
        bool named = event->kind >= RECORDER_CREATE && event->kind <= RECORDER_SYNC_NAMES;
        printf("%" PRIu64 " %s file %u at %" PRIu64 " %s\n", number++, kinds[event->kind],
               event->file, event->at, named ? (const char *)recorder_payload(event) : "");
        if (event->kind == RECORDER_MARK)
            printf("    mark %u partition %d sender %u sequence %" PRIu64 " offset %" PRId64
                   " durable %u\n",
                   mark->kind, mark->partition, mark->sender, mark->sequence, mark->offset,
                   mark->durable);
    }
}

static uint64_t count_events(const struct recorder_trace *trace)
{
    uint64_t count = 0, position = trace->begins;
    while (recorder_trace_next(trace, &position) != NULL)
        count++;
    return count;
}

static int by_position(const void *left, const void *right)
{
    const struct power_cut *a = left, *b = right;
    return a->position < b->position ? -1 : a->position > b->position;
}

static struct power_cut *plan_cuts(struct chance *chance, uint64_t events, int32_t count)
{
    struct power_cut *cuts = calloc((size_t)count, sizeof *cuts);
    if (cuts == NULL)
        abort();
    for (int32_t i = 0; i < count; i++)
        cuts[i] = (struct power_cut){
            .strategy = (enum image_strategy)chance_below(chance, IMAGE_STRATEGIES),
            .names = (enum image_names)chance_below(chance, IMAGE_NAMES),
            .position = chance_below(chance, events + 1),
            .chance = {chance_next(chance)},
        };
    qsort(cuts, (size_t)count, sizeof *cuts, by_position);
    return cuts;
}

static void make_image(struct images *images, const struct power_cut *cut, const char *folder)
{
    struct chance chance = cut->chance;
    if (mkdir(folder, 0700) != 0)
        images_clear(folder);
    images_write(images, folder, cut->strategy, cut->names, &chance);
}

static void tell(struct power *power, struct images *images, const struct power_cut *cut,
                 uint64_t seed, int32_t number, const char *again)
{
    char kept[300];
    snprintf(kept, sizeof kept, "%s/failed-%" PRIu64 "-%d%s", power->folder, seed, number, again);
    make_image(images, cut, kept);
    fprintf(stderr,
            "FAILED: load %" PRIu64 " image %d%s, cut at event %" PRIu64
            ", sectors %s, names %s: %s\n",
            seed, number, again, cut->position, image_strategy_name(cut->strategy),
            image_names_name(cut->names), kept);
    power->failed++;
}

/* Cut the recovery of the image as well. */
static void judge_again(struct power *power, const struct power_expect *expect,
                        const struct recorder_trace *trace, uint64_t seed, int32_t number)
{
    char folder[200], suffix[32];
    struct chance chance = {seed * 77 + (uint64_t)number};
    struct images *images = images_make(trace);
    uint64_t done = 0;
    struct power_cut *cuts = plan_cuts(&chance, count_events(trace), 4);
    snprintf(folder, sizeof folder, "%s/again", power->folder);
    for (int32_t i = 0; i < 4; i++) {
        const void *mark;
        uint32_t kind;
        while (done < cuts[i].position && images_step(images, &mark, &kind))
            done++;
        make_image(images, &cuts[i], folder);
        power->judged_again++;
        /* The kernel counts a process's start in 10 ms: whoever made a file in the trace is not the judge. */
        nanosleep(&(struct timespec){.tv_nsec = 11000000}, NULL);
        if (judge(power, expect, folder, 1, NULL) == 0)
            continue;
        snprintf(suffix, sizeof suffix, "-again-%d", i);
        tell(power, images, &cuts[i], seed, number, suffix);
    }
    free(cuts);
    images_drop(images);
}

static void judge_load(struct power *power, uint64_t seed, const struct recorder_trace *trace)
{
    char folder[200];
    struct chance chance = {seed * 13 + 5};
    struct images *images = images_make(trace);
    struct power_expect *expect = power_expect_make();
    struct power_cut *cuts = plan_cuts(&chance, count_events(trace), power->images);
    uint64_t done = 0;
    snprintf(folder, sizeof folder, "%s/image", power->folder);
    for (int32_t i = 0; i < power->images; i++) {
        const void *mark;
        uint32_t kind;
        while (done < cuts[i].position && images_step(images, &mark, &kind)) {
            done++;
            if (mark != NULL)
                power_expect_mark(expect, mark);
        }
        if (power->only >= 0 && power->only != i)
            continue;
        bool twice = power->again > 0 && i % power->again == 0;
        struct recorder_trace *second = twice ? recorder_trace_make(TRACE_ROOM / 4) : NULL;
        make_image(images, &cuts[i], folder);
        power->judged++;
        if (judge(power, expect, folder, 0, second) != 0)
            tell(power, images, &cuts[i], seed, i, "");
        else if (twice)
            judge_again(power, expect, second, seed, i);
        recorder_trace_drop(second);
    }
    free(cuts);
    power_expect_drop(expect);
    images_drop(images);
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
    struct power power = {
        .seed = (uint64_t)number_after(argc, argv, "--seed", (int64_t)time(NULL)),
        .loads = (int32_t)number_after(argc, argv, "--loads", 10),
        .images = (int32_t)number_after(argc, argv, "--images", 60),
        .again = (int32_t)number_after(argc, argv, "--again", 10),
        .only = number_after(argc, argv, "--only", -1),
        .print = number_after(argc, argv, "--print", 0),
        .compacting = number_after(argc, argv, "--compacting", 0) != 0,
    };
    char work[200];
    for (int i = 1; i + 1 < argc; i++) {
        if (strcmp(argv[i], "--lie") == 0)
            power.lies = strcmp(argv[i + 1], "log") == 0     ? RECORDER_SWALLOW_LOG_SYNC
                         : strcmp(argv[i + 1], "names") == 0 ? RECORDER_SWALLOW_NAME_SYNC
                                                             : RECORDER_SWALLOW_CATALOG_SYNC;
        if (strcmp(argv[i], "--spoil") == 0)
            power.spoil = argv[i + 1];
    }
    power.must_fail = power.lies != 0 || power.spoil != NULL;
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(power.folder, sizeof power.folder, "%s/kafkalite-power-XXXXXX", base);
    if (mkdtemp(power.folder) == NULL)
        return 2;
    snprintf(work, sizeof work, "%s/work", power.folder);
    printf("power: --seed %" PRIu64 " --loads %d --images %d --again %d\n", power.seed, power.loads,
           power.images, power.again);
    fflush(stdout);
    for (int32_t i = 0; i < power.loads; i++) {
        struct recorder_trace *trace = recorder_trace_make(TRACE_ROOM);
        if (mkdir(work, 0700) != 0)
            images_clear(work);
        if (run_load(&power, power.seed + (uint64_t)i, trace) != 0)
            power.failed++;
        else if (power.print)
            print_trace(trace);
        else
            judge_load(&power, power.seed + (uint64_t)i, trace);
        recorder_trace_drop(trace);
        if (power.must_fail && power.failed > 0)
            break;
    }
    printf("power: %" PRId64 " images, %" PRId64 " of recoveries: %" PRId64 " bad\n", power.judged,
           power.judged_again, power.failed);
    if (power.failed == 0 || power.must_fail) {
        images_clear(power.folder);
        rmdir(power.folder);
    }
    return power.must_fail ? power.failed == 0 : power.failed != 0;
}
