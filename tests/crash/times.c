/* SPDX-License-Identifier: MIT */
/*
 * How long a death is felt.
 *
 *   times stall [--kills N]          a process is killed while it holds the append lock: the longest call of
 *                                    another one that appends all the time (needs fault points)
 *   times open [--mib N] [--opens N] [--folder PATH]
 *                                    after kill -9: the open, and the first append and poll behind it; then
 *                                    the same with the state file taken away, as by a reboot
 *
 * With --most-us N (of the medians) the program fails when it takes longer. rule:R2 rule:R18 rule:R20
 */
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "chance.h"
#include "images.h"
#include "kafkalite.h"

#define TOPIC "times"
#define MEASURES_MAX 10000

struct shared {
    _Atomic int stop;
    _Atomic int64_t longest_ns, calls;
};

struct measures {
    int64_t ns[MEASURES_MAX];
    int32_t count;
};

static char folder[400];
static int64_t most_us;

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int by_size(const void *left, const void *right)
{
    const int64_t *a = left, *b = right;
    return *a < *b ? -1 : *a > *b;
}

static int report(const char *what, struct measures *measures)
{
    if (measures->count == 0)
        return 1;
    qsort(measures->ns, (size_t)measures->count, sizeof measures->ns[0], by_size);
    int64_t median = measures->ns[measures->count / 2] / 1000;
    printf("%-28s %4d times: median %6" PRId64 " us, p99 %6" PRId64 " us, most %6" PRId64 " us\n",
           what, measures->count, median, measures->ns[(int64_t)measures->count * 99 / 100] / 1000,
           measures->ns[measures->count - 1] / 1000);
    return most_us > 0 && median > most_us;
}

static void measure(struct measures *measures, int64_t ns)
{
    if (measures->count < MEASURES_MAX)
        measures->ns[measures->count++] = ns;
}

static void must(int r, const char *what)
{
    if (r >= 0)
        return;
    fprintf(stderr, "%s: %s\n", what, kfl_last_error());
    _exit(1);
}

static void open_both(kfl_store **out_store, kfl_producer **out_producer)
{
    must(kfl_store_open(folder, NULL, out_store), "open");
    must(kfl_producer_open(*out_store, NULL, out_producer), "producer");
}

static void append(kfl_producer *producer, int64_t *out_offset)
{
    static const char value[100] = "a record of a hundred bytes";
    must(kfl_producer_send(producer, TOPIC, 0, NULL, 0, value, sizeof value, NULL, 0,
                           KFL_TIMESTAMP_NOW, out_offset),
         "send");
}

static void append_mib(kfl_producer *producer, int64_t mib)
{
    enum { ROWS = 64, VALUE = 1000 };
    static char bytes[ROWS * VALUE];
    kfl_packed_row rows[ROWS];
    for (int64_t done = 0; done < mib << 20; done += ROWS * VALUE) {
        for (int i = 0; i < ROWS; i++)
            rows[i] = (kfl_packed_row){
                .timestamp_ms = KFL_TIMESTAMP_NOW, .key_size = -1, .value_size = VALUE};
        must(kfl_producer_send_packed(producer, TOPIC, rows, ROWS, bytes, sizeof bytes), "send");
    }
}

static void make_store(int64_t mib)
{
    pid_t pid = fork();
    if (pid == 0) {
        kfl_store *store;
        kfl_producer *producer;
        open_both(&store, &producer);
        must(kfl_topic_create(store, TOPIC, 1, NULL), "create");
        append_mib(producer, mib);
        must(kfl_producer_close(producer), "close");
        must(kfl_store_close(store), "close");
        _exit(0);
    }
    waitpid(pid, NULL, 0);
}

/* ---- stall ---- */

static void run_observer(struct shared *shared)
{
    kfl_store *store;
    kfl_producer *producer;
    open_both(&store, &producer);
    while (atomic_load(&shared->stop) == 0) {
        int64_t offset, before = now_ns();
        append(producer, &offset);
        int64_t took = now_ns() - before;
        if (took > atomic_load(&shared->longest_ns))
            atomic_store(&shared->longest_ns, took);
        atomic_fetch_add(&shared->calls, 1);
        /* A pause, so that the log stays small and the lock is free for others. */
        while (now_ns() - before < 5000)
            ;
    }
    must(kfl_store_close(store), "close");
    _exit(0);
}

static void run_victim(uint64_t passage)
{
    char fault[64];
    kfl_store *store;
    kfl_producer *producer;
    snprintf(fault, sizeof fault, "append.laid:%" PRIu64 "=kill", passage);
    setenv("KAFKALITE_FAULT", fault, 1);
    open_both(&store, &producer);
    for (uint64_t i = 0; i < 2 * passage; i++) {
        int64_t offset;
        append(producer, &offset);
    }
    _exit(0);
}

static int measure_stall(int64_t kills)
{
    static struct measures measures;
    struct chance chance = chance_begin("times stall");
    struct shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return 2;
    make_store(1);
    pid_t observer = fork();
    if (observer == 0)
        run_observer(shared);
    for (int64_t i = 0; i < kills; i++) {
        int status = 0;
        pid_t victim = fork();
        if (victim == 0)
            run_victim(1 + chance_below(&chance, 200));
        atomic_store(&shared->longest_ns, 0);
        waitpid(victim, &status, 0);
        if (WIFEXITED(status)) {
            printf("times: no fault points in this build\n");
            kill(observer, SIGKILL);
            waitpid(observer, NULL, 0);
            return WEXITSTATUS(status) == 0 ? 77 : 1;
        }
        for (int64_t calls = atomic_load(&shared->calls); atomic_load(&shared->calls) < calls + 3;)
            usleep(100);
        measure(&measures, atomic_load(&shared->longest_ns));
    }
    atomic_store(&shared->stop, 1);
    int status = 0;
    waitpid(observer, &status, 0);
    return report("the longest call", &measures) || status != 0;
}

/* ---- open ---- */

static void dirty_and_kill(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        kfl_store *store;
        kfl_producer *producer;
        open_both(&store, &producer);
        append_mib(producer, 1);
        kill(getpid(), SIGKILL);
    }
    waitpid(pid, NULL, 0);
}

struct open_times {
    _Atomic int64_t opened, appended, polled;
};

static void run_open(struct open_times *times)
{
    kfl_store *store;
    kfl_producer *producer;
    kfl_consumer *consumer;
    kfl_records *records = NULL;
    int64_t offset, began = now_ns();
    must(kfl_store_open(folder, NULL, &store), "open");
    atomic_store(&times->opened, now_ns() - began);
    must(kfl_producer_open(store, NULL, &producer), "producer");
    append(producer, &offset);
    atomic_store(&times->appended, now_ns() - began);
    kfl_partition_offset from = {.topic = TOPIC, .offset = offset};
    must(kfl_consumer_open(store, NULL, &consumer), "consumer");
    must(kfl_consumer_assign(consumer, &from, 1), "assign");
    must(kfl_consumer_poll(consumer, 1000, 1, &records), "poll");
    atomic_store(&times->polled, now_ns() - began);
    kill(getpid(), SIGKILL);
}

static int measure_opens(int64_t opens, bool reboot)
{
    static struct measures opened, appended, polled;
    struct open_times *times =
        mmap(NULL, sizeof *times, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    opened.count = appended.count = polled.count = 0;
    if (times == MAP_FAILED)
        return 2;
    for (int64_t i = 0; i < opens; i++) {
        char state[500];
        dirty_and_kill();
        snprintf(state, sizeof state, "%s/state", folder);
        if (reboot)
            unlink(state);
        pid_t pid = fork();
        if (pid == 0)
            run_open(times);
        int status = 0;
        waitpid(pid, &status, 0);
        if (!WIFSIGNALED(status))
            return 1;
        measure(&opened, atomic_load(&times->opened));
        measure(&appended, atomic_load(&times->appended));
        measure(&polled, atomic_load(&times->polled));
    }
    int r = report(reboot ? "open, no state file" : "open", &opened);
    report("  + the first append", &appended);
    report("  + a poll of it", &polled);
    munmap(times, sizeof *times);
    return r;
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
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], "--folder") == 0)
            base = argv[i + 1];
    most_us = number_after(argc, argv, "--most-us", 0);
    snprintf(folder, sizeof folder, "%s/kafkalite-times-XXXXXX", base);
    if (argc < 2 || mkdtemp(folder) == NULL)
        return 2;
    int r;
    if (strcmp(argv[1], "stall") == 0) {
        r = measure_stall(number_after(argc, argv, "--kills", 200));
    } else {
        int64_t opens = number_after(argc, argv, "--opens", 50);
        make_store(number_after(argc, argv, "--mib", 100));
        r = measure_opens(opens, false);
        r |= measure_opens(opens, true);
    }
    images_clear(folder);
    rmdir(folder);
    return r;
}
