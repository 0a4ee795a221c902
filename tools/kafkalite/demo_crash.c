/* SPDX-License-Identifier: MIT */
/*
 * The demonstration's crash: this program, run once more as "produce --report", is killed while it
 * appends. What it had printed by then was acknowledged, and must be found again.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "demo.h"
#include "moment.h"
#include "output.h"

/* The child has far more to append than the reports that we read before we kill it. */
enum { CHILD_RECORDS = 400000, ENOUGH_REPORTS = 20000 };

struct reported {
    int32_t partition;
    int64_t offset;
};
struct crash {
    struct demo *demo;
    pid_t child;
    int reports; /* what the child prints */
    struct reported *reported;
    size_t reported_count;
    int64_t ends[DEMO_PARTITIONS]; /* before the child */
    int64_t found;
    double open_seconds;
};

extern char **environ;

/* Memory that is the child's input: record i is "o-…:i". */
static int make_input(int *out_fd)
{
    int fd = memfd_create("kafkalite-demo", MFD_CLOEXEC);
    if (fd < 0) {
        say("memory for a child's input: %s", strerror(errno));
        return STATUS_FAILED;
    }
    struct text lines = {0};
    for (int i = 0; i < CHILD_RECORDS; i++)
        text_add_format(&lines, "o-%d:%d\n", i % 5000, i);
    size_t done = 0;
    while (done < lines.size) {
        ssize_t size = write(fd, lines.data + done, lines.size - done);
        if (size < 0 && errno != EINTR)
            break;
        done += size > 0 ? (size_t)size : 0;
    }
    int is_whole = done == lines.size && lseek(fd, 0, SEEK_SET) == 0;
    text_free(&lines);
    if (!is_whole) {
        say("memory for a child's input: %s", strerror(errno));
        close(fd);
        return STATUS_FAILED;
    }
    *out_fd = fd;
    return STATUS_OK;
}

static int start_child(struct crash *crash)
{
    char *arguments[] = {"kafkalite", "-d", NULL, "produce", "orders", "-K", ":", "--report", NULL};
    int input;
    int pipes[2];
    int status = make_input(&input);
    if (status != STATUS_OK)
        return status;
    if (pipe2(pipes, O_CLOEXEC) < 0) {
        close(input);
        return STATUS_FAILED;
    }
    char *directory = need(strdup(crash->demo->call->directory));
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, pipes[1], STDOUT_FILENO);
    arguments[2] = directory;
    int error = posix_spawn(&crash->child, "/proc/self/exe", &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    free(directory);
    close(pipes[1]);
    close(input);
    if (error != 0) {
        say("starting a second process: %s", strerror(error));
        crash->child = 0;
        close(pipes[0]);
        return STATUS_FAILED;
    }
    crash->reports = pipes[0];
    return STATUS_OK;
}

/* Whole lines only: a line that the kill cut short acknowledges nothing. */
static void take_report(struct crash *crash, const char *line)
{
    struct reported one;
    if (crash->reported_count == CHILD_RECORDS ||
        sscanf(line, "%" SCNd32 " %" SCNd64, &one.partition, &one.offset) != 2)
        return;
    crash->reported[crash->reported_count++] = one;
}

/* Reads reports, kills the child when there are enough, and reads what the pipe still holds. */
static void read_and_kill(struct crash *crash)
{
    char buffer[8192];
    size_t used = 0;
    int is_killed = 0;
    for (;;) {
        ssize_t got = read(crash->reports, buffer + used, sizeof buffer - 1 - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        used += (size_t)got;
        buffer[used] = '\0';
        char *line = buffer;
        char *end;
        while ((end = strchr(line, '\n')) != NULL) {
            take_report(crash, line);
            line = end + 1;
        }
        used -= (size_t)(line - buffer);
        memmove(buffer, line, used);
        if (!is_killed && (crash->reported_count >= ENOUGH_REPORTS || call_stopped())) {
            kill(crash->child, SIGKILL);
            is_killed = 1;
        }
    }
    close(crash->reports);
}

/* Number i of the child's input lies where the report said. */
static void check_record(struct crash *crash, const kfl_record *record)
{
    char digits[TEXT_NUMBER_SIZE];
    size_t size = record->value_size < sizeof digits - 1 ? record->value_size : sizeof digits - 1;
    memcpy(digits, record->value, size);
    digits[size] = '\0';
    int64_t number;
    if (!text_to_number(digits, &number) || number < 0)
        return;
    if ((uint64_t)number < crash->reported_count &&
        crash->reported[number].partition == record->partition &&
        crash->reported[number].offset == record->offset)
        crash->found++;
}

static int look_for_all(struct crash *crash)
{
    kfl_consumer *consumer = NULL;
    kfl_partition_offset places[DEMO_PARTITIONS];
    for (int32_t i = 0; i < DEMO_PARTITIONS; i++)
        places[i] =
            (kfl_partition_offset){.topic = "orders", .partition = i, .offset = crash->ends[i]};
    int r = kfl_consumer_open(crash->demo->call->store, NULL, &consumer);
    if (r >= 0)
        r = kfl_consumer_assign(consumer, places, DEMO_PARTITIONS);
    while (r >= 0) {
        kfl_records *records = NULL;
        r = kfl_consumer_poll(consumer, 0, 20000, &records);
        if (r <= 0)
            break;
        for (int32_t i = 0; i < r; i++)
            check_record(crash, kfl_records_get(records, i));
        kfl_records_release(records);
    }
    int status = r < 0 ? call_failed(r) : STATUS_OK;
    kfl_consumer_close(consumer);
    return status;
}

/* Opens the store, and gets from each partition what it needs to serve. */
static int reopen(struct crash *crash)
{
    double begin = moment_steady_seconds();
    int64_t end;
    struct call *call = crash->demo->call;
    int r = kfl_store_open(call->directory, NULL, &call->store);
    for (int32_t i = 0; r >= 0 && i < DEMO_PARTITIONS; i++)
        r = kfl_topic_end_offset(call->store, "orders", i, &end);
    crash->open_seconds = moment_steady_seconds() - begin;
    return r < 0 ? call_failed(r) : STATUS_OK;
}

static int run_crash(struct crash *crash)
{
    struct call *call = crash->demo->call;
    int status = STATUS_OK;
    int wait_status = 0;
    for (int32_t i = 0; i < DEMO_PARTITIONS; i++) {
        int r = kfl_topic_end_offset(call->store, "orders", i, &crash->ends[i]);
        if (r < 0)
            return call_failed(r);
    }
    int r = kfl_store_close(call->store);
    call->store = NULL;
    if (r < 0)
        return call_failed(r);
    status = start_child(crash);
    if (status != STATUS_OK)
        return status;
    read_and_kill(crash);
    while (waitpid(crash->child, &wait_status, 0) < 0 && errno == EINTR) {
    }
    if (call_stopped())
        return STATUS_OK;
    if (!WIFSIGNALED(wait_status) || WTERMSIG(wait_status) != SIGKILL) {
        say("the child ended by itself, after %zu records", crash->reported_count);
        return STATUS_FAILED;
    }
    status = reopen(crash);
    return status == STATUS_OK ? look_for_all(crash) : status;
}

int demo_crash(struct demo *demo)
{
    struct crash crash = {.demo = demo,
                          .reported = need(calloc(CHILD_RECORDS, sizeof *crash.reported))};
    int status = run_crash(&crash);
    free(crash.reported);
    if (status != STATUS_OK || call_stopped())
        return status;
    char numbers[3][TEXT_NUMBER_SIZE];
    int good = crash.found == (int64_t)crash.reported_count && crash.found >= ENOUGH_REPORTS;
    demo_tell(demo, "crash", good, "produce orders -K : --report & kill -9 $!",
              "killed in mid-append, open again in %s: %s%s acknowledged records are there",
              text_of_seconds(crash.open_seconds, numbers[0]), good ? "all " : "",
              text_of_count(crash.found, numbers[1]));
    if (!good)
        say("%s were acknowledged", text_of_count((int64_t)crash.reported_count, numbers[2]));
    return STATUS_OK;
}
