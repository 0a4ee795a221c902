/* SPDX-License-Identifier: MIT */
/*
 * The processes of a group test. A member notes in shared memory what it owns when it takes the
 * event of it, and gives the note back when it takes the event of its loss: two notes for one
 * partition are two owners at one moment, unless the former one is dead.
 */
#include "rig.h"

#include <errno.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct rig *rig;

int64_t rig_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void rig_sleep_ms(int ms)
{
    struct timespec rest = {ms / 1000, ms % 1000 * 1000000L};
    nanosleep(&rest, NULL);
}

void rig_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "rig (pid %d): ", (int)getpid());
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    exit(1);
}

int rig_check(int r, const char *call)
{
    if (r < 0)
        rig_fail("%s: %s: %s", call, kfl_error_name(r), kfl_last_error());
    return r;
}

static kfl_store *rig_open(void)
{
    kfl_store *store = NULL;
    RIG_OK(kfl_store_open(rig->path, NULL, &store));
    return store;
}

void rig_begin(int partitions, int commits_first)
{
    const char *where = getenv("TMPDIR");
    rig = mmap(NULL, sizeof *rig, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (rig == MAP_FAILED)
        rig_fail("no memory to share");
    rig->partitions = partitions;
    rig->commits_first = commits_first;
    snprintf(rig->path, sizeof rig->path, "%s/kafkalite-groups-XXXXXX",
             where == NULL ? "/tmp" : where);
    if (mkdtemp(rig->path) == NULL)
        rig_fail("no folder %s", rig->path);
    kfl_store *store = rig_open();
    RIG_OK(kfl_topic_create(store, "t", partitions, NULL));
    RIG_OK(kfl_store_close(store));
}

static int rig_remove(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

void rig_end(void)
{
    nftw(rig->path, rig_remove, 16, FTW_DEPTH | FTW_PHYS);
    munmap(rig, sizeof *rig);
}

/* ---- a member ---- */

struct rig_member {
    int process, number;
};

/* Is the process dead, though perhaps nobody has waited for it yet? */
static int rig_has_ended(pid_t pid)
{
    char path[40], text[200];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return 1;
    size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[size] = '\0';
    const char *end = strrchr(text, ')');
    return end == NULL || end[2] == 'Z' || end[2] == 'X';
}

/* One that is being killed has given its locks back, and so is seen to be dead by others, before the kernel says so. */
static int rig_is_dead(int member, pid_t pid)
{
    const struct rig_process *process = &rig->processes[(member - 1) / RIG_MEMBERS];
    int dead = rig_has_ended(pid);
    for (int i = 0; !dead && i < 5000 && atomic_load(&process->pid) == pid && atomic_load(&process->dying) != 0; i++) {
        rig_sleep_ms(1);
        dead = rig_has_ended(pid);
    }
    return dead || rig_has_ended(pid);
}

static void rig_take(int me, int32_t partition)
{
    int nobody = 0;
    atomic_fetch_add(&rig->takes, 1);
    if (!atomic_compare_exchange_strong(&rig->owner[partition], &nobody, me)) {
        pid_t former = atomic_load(&rig->owner_pid[partition]);
        if (!rig_is_dead(nobody, former)) {
            atomic_fetch_add(&rig->two_owners, 1);
            fprintf(stderr, "partition %d: %d takes it, and %d (pid %d) has it\n", partition, me,
                    nobody, (int)former);
        }
        atomic_store(&rig->owner[partition], me);
    }
    atomic_store(&rig->owner_pid[partition], getpid());
}

static void rig_give(int me, int32_t partition)
{
    (void)atomic_compare_exchange_strong(&rig->owner[partition], &me, 0);
}

static void rig_take_events(kfl_consumer *consumer, int me)
{
    kfl_event *event = NULL;
    while (RIG_OK(kfl_consumer_next_event(consumer, &event)) == 1) {
        const kfl_offsets *offsets = kfl_event_offsets(event);
        for (int32_t i = 0; i < kfl_offsets_count(offsets); i++) {
            int32_t partition = kfl_offsets_get(offsets, i)->partition;
            if (kfl_event_kind(event) == KFL_EVENT_ASSIGNED)
                rig_take(me, partition);
            else if (kfl_event_kind(event) == KFL_EVENT_REVOKED ||
                     kfl_event_kind(event) == KFL_EVENT_LOST)
                rig_give(me, partition);
        }
        kfl_event_release(event);
    }
}

static void rig_handle(const kfl_records *records, int me)
{
    int64_t now = rig_now_ns();
    for (int32_t i = 0; i < kfl_records_count(records); i++) {
        const kfl_record *record = kfl_records_get(records, i);
        if (record->offset < RIG_RECORDS)
            atomic_fetch_add(&rig->counts[record->partition][record->offset], 1);
        atomic_fetch_add(&rig->handled, 1);
        if (atomic_load(&rig->owner[record->partition]) != me)
            atomic_fetch_add(&rig->handled_by_strangers, 1);
        atomic_store(&rig->handled_ns[record->partition], now);
    }
}

static void rig_poll(kfl_consumer *consumer, int me)
{
    kfl_records *records = NULL;
    int r = kfl_consumer_poll(consumer, 50, 500, &records);
    if (r == KFL_E_EVENT) {
        rig_take_events(consumer, me);
        return;
    }
    if (RIG_OK(r) == 0)
        return;
    if (rig->commits_first) {
        r = kfl_consumer_commit(consumer, records);
        if (r == KFL_E_ILLEGAL_GENERATION || r == KFL_E_UNKNOWN_MEMBER_ID)
            atomic_fetch_add(&rig->refused_commits, 1);
        else
            RIG_OK(r);
        if (r == 0)
            rig_handle(records, me);
    } else if (rig->commits_async) {
        rig_handle(records, me);
        RIG_OK(kfl_consumer_commit_async(consumer, NULL, 0, NULL));
    } else {
        rig_handle(records, me);
        r = kfl_consumer_commit(consumer, records);
        if (r == KFL_E_ILLEGAL_GENERATION || r == KFL_E_UNKNOWN_MEMBER_ID)
            atomic_fetch_add(&rig->refused_commits, 1);
        else
            RIG_OK(r);
    }
    kfl_records_release(records);
}

static kfl_store *rig_store;

static void *rig_member_run(void *context)
{
    struct rig_member *member = context;
    struct rig_process *process = &rig->processes[member->process];
    int me = 1 + member->process * RIG_MEMBERS + member->number;
    const char *topic = "t";
    kfl_config *config = NULL;
    RIG_OK(kfl_config_create(&config));
    RIG_OK(kfl_config_set(config, "group.id", "g"));
    while (atomic_load(&process->stop) == 0) {
        kfl_consumer *consumer = NULL;
        RIG_OK(kfl_consumer_open(rig_store, config, &consumer));
        RIG_OK(kfl_consumer_subscribe(consumer, &topic, 1));
        atomic_store(&process->rejoin[member->number], 0);
        while (atomic_load(&process->stop) == 0 &&
               atomic_load(&process->rejoin[member->number]) == 0)
            rig_poll(consumer, me);
        for (int32_t i = 0; i < rig->partitions; i++)
            rig_give(me, i);
        RIG_OK(kfl_consumer_close(consumer));
    }
    kfl_config_destroy(config);
    return NULL;
}

static void rig_process_run(int process, int members)
{
    pthread_t threads[RIG_MEMBERS];
    struct rig_member numbers[RIG_MEMBERS];
    rig_store = rig_open();
    for (int i = 0; i < members; i++) {
        numbers[i] = (struct rig_member){process, i};
        pthread_create(&threads[i], NULL, rig_member_run, &numbers[i]);
    }
    for (int i = 0; i < members; i++)
        pthread_join(threads[i], NULL);
    RIG_OK(kfl_store_close(rig_store));
}

/* ---- processes ---- */

void rig_start(int process, int members)
{
    struct rig_process *slot = &rig->processes[process];
    atomic_store(&slot->dying, 0);
    atomic_store(&slot->stop, 0);
    pid_t pid = fork();
    if (pid < 0)
        rig_fail("no process");
    if (pid == 0) {
        rig_process_run(process, members);
        exit(0);
    }
    atomic_store(&slot->pid, pid);
}

void rig_wait_child(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            rig_fail("process %d is not ours", (int)pid);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        return;
    if (status != 0)
        rig_fail("process %d ended with %d", (int)pid, status);
}

void rig_kill(int process)
{
    pid_t pid = atomic_load(&rig->processes[process].pid);
    atomic_store(&rig->processes[process].dying, 1);
    kill(pid, SIGKILL);
    rig_wait_child(pid);
    atomic_store(&rig->processes[process].pid, 0);
}

void rig_stop(int process)
{
    pid_t pid = atomic_load(&rig->processes[process].pid);
    atomic_store(&rig->processes[process].stop, 1);
    rig_wait_child(pid);
    atomic_store(&rig->processes[process].pid, 0);
}

pid_t rig_start_appender(int64_t records, int every_us)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    kfl_store *store = rig_open();
    kfl_producer *producer = NULL;
    int64_t offset = 0, sent = 0;
    RIG_OK(kfl_producer_open(store, NULL, &producer));
    atomic_store(&rig->appending, 1);
    int64_t next_ns = rig_now_ns();
    while (atomic_load(&rig->appending) != 0 && sent < records) {
        for (int32_t i = 0; i < rig->partitions && sent < records; i++, sent++) {
            RIG_OK(kfl_producer_send(producer, "t", i, NULL, 0, "v", 1, NULL, 0, 1, &offset));
            atomic_store(&rig->end[i], offset + 1);
        }
        next_ns += (int64_t)every_us * 1000;
        int64_t rest = next_ns - rig_now_ns();
        if (rest > 0)
            nanosleep(&(struct timespec){rest / 1000000000, rest % 1000000000}, NULL);
    }
    RIG_OK(kfl_producer_close(producer));
    RIG_OK(kfl_store_close(store));
    atomic_store(&rig->appended_all, 1);
    exit(0);
}

static int rig_is_balanced(int members)
{
    int counts[1 + RIG_PROCESSES * RIG_MEMBERS] = {0};
    int owners = 0, most = 0, least = RIG_PARTITIONS + 1;
    for (int i = 0; i < rig->partitions; i++) {
        int owner = atomic_load(&rig->owner[i]);
        if (owner == 0 || atomic_load(&rig->processes[(owner - 1) / RIG_MEMBERS].pid) == 0)
            return 0;
        counts[owner]++;
    }
    for (int i = 1; i <= RIG_PROCESSES * RIG_MEMBERS; i++) {
        if (counts[i] == 0)
            continue;
        owners++;
        most = counts[i] > most ? counts[i] : most;
        least = counts[i] < least ? counts[i] : least;
    }
    return owners == (members < rig->partitions ? members : rig->partitions) && most - least <= 1;
}

int64_t rig_wait_balanced(int members, int timeout_ms)
{
    int64_t begin = rig_now_ns();
    while (!rig_is_balanced(members)) {
        if (rig_now_ns() - begin > (int64_t)timeout_ms * 1000000)
            return -1;
        nanosleep(&(struct timespec){0, 200000}, NULL);
    }
    return rig_now_ns() - begin;
}
