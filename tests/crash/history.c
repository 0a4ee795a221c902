/* SPDX-License-Identifier: MIT */
/*
 * A git history in a compacted topic, the maintainer killed again and again.
 *
 *   history [--seed N] [--kills N] [--data FOLDER] [--name NAME] [--events N] [--folder PATH]
 *
 * A record is one changed path, as examples/git_history has it: key the path, value mode and blob id (missing:
 * deleted), the commit as a header. One thread appends them, in order, a commit a call; another process compacts all the
 * time and is killed at random moments; another thread reads from offset 0, as often as it can. Where it has caught up
 * with the log's end, what it has seen must be the tree that exactly as many events leave. At the end, when the tombstones'
 * time has come and they are compacted away, the log must hold one record for each path, and these must be what
 * `git ls-tree` printed.
 *
 * The history is NAME.gitlog.xz (redis) of --data, of $KAFKALITE_TEST_DATA or of ../shared/data; where it is not
 * there, one is made up, of --events events. kafka:I2 kafka:I3 kafka:I8 kafka:I10 kafka:I15 rule:R27
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <search.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "chance.h"
#include "kafkalite.h"

#define TOPIC "history"
#define NOW_MS INT64_C(1900000000000) /* behind every commit */
#define DAY_MS INT64_C(86400000)
#define VALUE_SIZE 80

extern char **environ;

struct event {
    uint32_t path;
    uint32_t commit;
    bool deletes;
    char value[VALUE_SIZE]; /* "mode id" */
};

static struct event *events;
static int64_t event_count, event_room;
static char **paths;
static uint32_t path_count, path_room;
static void *path_index; /* of struct named */
static char (*commits)[41];
static uint32_t commit_count;
static char **tree; /* the lines of git ls-tree, sorted */
static size_t tree_count;

static char folder[400];
static kfl_store *store;
static _Atomic bool done;
static _Atomic int64_t readings;
static long kills = 100, replaced;

static _Noreturn void die(const char *what, const char *detail)
{
    fprintf(stderr, "history: %s: %s\n", what, detail);
    exit(1);
}

static int must(int r, const char *what)
{
    if (r < 0)
        die(what, kfl_last_error());
    return r;
}

static void *grown(void *list, int64_t count, size_t size)
{
    void *more = realloc(list, (size_t)count * size);
    if (more == NULL)
        die("memory", strerror(ENOMEM));
    return more;
}

/* ---- the history ---- */

struct named {
    const char *path;
    uint32_t number;
};

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct named *)a)->path, ((const struct named *)b)->path);
}

static uint32_t path_number(const char *path)
{
    struct named *named = malloc(sizeof *named);
    if (named == NULL)
        die("memory", strerror(ENOMEM));
    *named = (struct named){path, path_count};
    struct named **found = tsearch(named, &path_index, by_path);
    if (found == NULL)
        die("memory", strerror(ENOMEM));
    if (*found != named) {
        free(named);
        return (*found)->number;
    }
    if (path_count == path_room) {
        path_room = path_room * 2 + 1024;
        paths = grown(paths, path_room, sizeof *paths);
    }
    named->path = paths[path_count] = strdup(path);
    return path_count++;
}

static void add_commit(const char *id)
{
    commits = grown(commits, commit_count + 1, sizeof *commits);
    snprintf(commits[commit_count++], sizeof *commits, "%.40s", id);
}

static void add_event(const char *path, const char *value)
{
    if (event_count == event_room) {
        event_room = event_room * 2 + 4096;
        events = grown(events, event_room, sizeof *events);
    }
    struct event *event = &events[event_count++];
    *event = (struct event){
        .path = path_number(path), .commit = commit_count - 1, .deletes = value == NULL};
    if (value != NULL)
        snprintf(event->value, sizeof event->value, "%s", value);
}

static FILE *unpacked(const char *data, const char *name, const char *kind)
{
    char path[600], command[700];
    snprintf(path, sizeof path, "%s/%s.%s.xz", data, name, kind);
    if (access(path, R_OK) < 0)
        return NULL;
    snprintf(command, sizeof command, "xz -dc '%s'", path);
    return popen(command, "re");
}

/* ":old new oldid newid status\tpath", and "commit id time" before those of a commit. */
static void read_history(FILE *file)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t size;
    while ((size = getline(&line, &room, file)) > 0) {
        char mode[8], id[65], *path = strchr(line, '\t');
        line[size - 1] = '\0';
        if (strncmp(line, "commit ", 7) == 0) {
            add_commit(line + 7);
        } else if (line[0] == ':' && path != NULL) {
            char value[VALUE_SIZE];
            if (sscanf(line, ":%*s %7s %*s %64s", mode, id) != 2)
                die("no line of git log", line);
            snprintf(value, sizeof value, "%s %s", mode, id);
            add_event(path + 1, strcmp(mode, "000000") == 0 ? NULL : value);
        }
    }
    free(line);
}

static int by_string(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void add_line(const char *line)
{
    tree = grown(tree, (int64_t)tree_count + 1, sizeof *tree);
    tree[tree_count++] = strdup(line);
}

static void read_tree(FILE *file)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t size;
    while ((size = getline(&line, &room, file)) > 0) {
        line[size - 1] = '\0';
        add_line(line);
    }
    free(line);
}

static void tree_line(const struct event *event, char *out, size_t room)
{
    snprintf(out, room, "%.6s %s %s\t%s", event->value,
             strncmp(event->value, "160000", 6) == 0 ? "commit" : "blob", event->value + 7,
             paths[event->path]);
}

static void make_up(struct chance *chance, int64_t count)
{
    bool there[700] = {false};
    for (int64_t i = 0; i < count; i++) {
        char path[40], value[VALUE_SIZE];
        uint64_t number =
            chance_below(chance, 10) == 0 ? chance_below(chance, 700) : chance_below(chance, 60);
        snprintf(path, sizeof path, "folder %d/file-%" PRIu64, (int)(number % 7), number);
        snprintf(value, sizeof value, "100644 %040" PRIx64, (uint64_t)i);
        if (i % 3 == 0) {
            char id[41];
            snprintf(id, sizeof id, "%040" PRIx64, (uint64_t)i);
            add_commit(id);
        }
        bool deletes = there[number] && chance_below(chance, 4) == 0;
        there[number] = !deletes;
        add_event(path, deletes ? NULL : value);
    }
    int64_t *newest = calloc(path_count, sizeof *newest);
    for (int64_t i = 0; i < event_count; i++)
        newest[events[i].path] = i;
    for (uint32_t path = 0; path < path_count; path++) {
        char line[700];
        if (events[newest[path]].deletes)
            continue;
        tree_line(&events[newest[path]], line, sizeof line);
        add_line(line);
    }
    free(newest);
}

static void find_history(const char *data, const char *name, struct chance *chance, int64_t count)
{
    FILE *log = unpacked(data, name, "gitlog"), *left = unpacked(data, name, "lstree");
    if (log != NULL && left != NULL) {
        read_history(log);
        read_tree(left);
        if (pclose(log) != 0 || pclose(left) != 0)
            die(data, "xz cannot unpack it");
    } else {
        fprintf(stderr, "history: no %s.gitlog.xz in %s: one is made up\n", name, data);
        make_up(chance, count);
    }
    qsort(tree, tree_count, sizeof *tree, by_string);
}

/* ---- the maintainer, a process of its own ---- */

static _Noreturn void maintain(void)
{
    kfl_config *config;
    must(kfl_config_create(&config), "config");
    must(kfl_config_set(config, "background.threads", "0"), "config");
    must(kfl_store_open(folder, config, &store), "open");
    must(kfl_store_set_clock(store, NOW_MS), "clock");
    for (;;) {
        int r = kfl_topic_compact(store, TOPIC, KFL_COMPACT_FORCE | KFL_COMPACT_ROLL, -1, NULL);
        if (r < 0 && r != KFL_E_BUSY) /* the one before us is dead, but not yet buried */
            must(r, "compact");
    }
}

/* The oldest file of the log. */
static int64_t first_segment(void)
{
    kfl_segments *segments = NULL;
    must(kfl_segments_list(store, TOPIC, 0, &segments), "segments");
    int64_t id = kfl_segments_count(segments) > 0 ? kfl_segments_get(segments, 0)->segment_id : -1;
    kfl_segments_release(segments);
    return id;
}

static void kill_one(struct chance *chance, uint64_t most_us)
{
    char *arguments[] = {"history", "--maintain", folder, NULL};
    pid_t pid;
    int status;
    if (posix_spawn(&pid, "/proc/self/exe", NULL, NULL, arguments, environ) != 0)
        die("spawn", strerror(errno));
    usleep((useconds_t)(2000 + chance_below(chance, most_us)));
    kill(pid, SIGKILL);
    if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        die("the maintainer", "has ended by itself");
}

/* ---- appending ---- */

static void append_commit(kfl_producer *producer, int64_t from, int64_t to)
{
    for (int64_t i = from; i < to; i++) {
        const struct event *event = &events[i];
        kfl_header commit = {"commit", commits[event->commit], 40};
        int64_t offset = -1;
        must(kfl_producer_send(producer, TOPIC, 0, paths[event->path], strlen(paths[event->path]),
                               event->deletes ? NULL : event->value, strlen(event->value), &commit,
                               1, NOW_MS, &offset),
             "send");
        if (offset != i)
            die("send", "an offset that is not the next");
    }
}

/* As far as the kills have got, so that there is always something to compact. */
static _Atomic int64_t wanted;

static void *append_all(void *context)
{
    kfl_producer *producer;
    must(kfl_producer_open(store, NULL, &producer), "producer");
    (void)context;
    for (int64_t at = 0; at < event_count;) {
        int64_t to = at;
        while (at >= atomic_load(&wanted))
            usleep(500);
        while (to < event_count && events[to].commit == events[at].commit)
            to++;
        append_commit(producer, at, to);
        at = to;
    }
    must(kfl_producer_close(producer), "producer");
    return NULL;
}

/* ---- reading ---- */

/* What a record says must be what its event says. */
static void check_record(const kfl_record *record)
{
    if (record->offset < 0 || record->offset >= event_count)
        die("a record", "at an offset that was not given");
    const struct event *event = &events[record->offset];
    const char *path = paths[event->path];
    if (record->key_size != strlen(path) || memcmp(record->key, path, record->key_size) != 0 ||
        (record->value == NULL) != event->deletes ||
        (!event->deletes && (record->value_size != strlen(event->value) ||
                             memcmp(record->value, event->value, record->value_size) != 0)))
        die("a record", "is not what was appended there");
}

/* From 0 to the end as it then is; seen[path]: the offset of its newest record, or -1. The end; *out_count records. */
static int64_t read_all(int64_t *seen, int64_t *out_count)
{
    kfl_consumer *consumer;
    kfl_config *config;
    kfl_partition_offset at = {.topic = TOPIC, .partition = 0, .offset = 0};
    int64_t before = -1, position = 0;
    *out_count = 0;
    for (uint32_t i = 0; i < path_count; i++)
        seen[i] = -1;
    must(kfl_config_create(&config), "config");
    must(kfl_consumer_open(store, config, &consumer), "consumer");
    kfl_config_destroy(config);
    must(kfl_consumer_assign(consumer, &at, 1), "assign");
    for (;;) {
        kfl_records *records = NULL;
        int n = must(kfl_consumer_poll(consumer, 0, 0, &records), "poll");
        for (int32_t i = 0; i < n; i++) {
            const kfl_record *record = kfl_records_get(records, i);
            check_record(record);
            if (record->offset <= before)
                die("a record", "comes behind a newer one");
            before = record->offset;
            seen[events[before].path] = before;
            ++*out_count;
        }
        kfl_records_release(records);
        if (n > 0)
            continue;
        must(kfl_consumer_position(consumer, TOPIC, 0, &position), "position");
        break;
    }
    must(kfl_consumer_close(consumer), "consumer");
    return position;
}

/* What was seen up to `end` is the tree of as many events. */
static void check_prefix(const int64_t *seen, int64_t *newest, int64_t end)
{
    for (uint32_t i = 0; i < path_count; i++)
        newest[i] = -1;
    for (int64_t i = 0; i < end; i++)
        newest[events[i].path] = i;
    for (uint32_t i = 0; i < path_count; i++) {
        if (seen[i] == newest[i] || (seen[i] < 0 && newest[i] >= 0 && events[newest[i]].deletes))
            continue;
        fprintf(stderr,
                "history: read up to %" PRId64 ": %s is as of event %" PRId64 ", but event %" PRId64
                " is the newest\n",
                end, paths[i], seen[i], newest[i]);
        exit(1);
    }
}

static void *read_again_and_again(void *context)
{
    int64_t *seen = calloc(path_count, sizeof *seen), *newest = calloc(path_count, sizeof *newest);
    int64_t count;
    (void)context;
    while (!atomic_load(&done)) {
        int64_t end = read_all(seen, &count);
        check_prefix(seen, newest, end);
        atomic_fetch_add(&readings, 1);
    }
    free(seen);
    free(newest);
    return NULL;
}

/* ---- the end ---- */

static void check_left(void)
{
    int64_t *seen = calloc(path_count, sizeof *seen), count;
    size_t line_count = 0;
    char **lines = calloc(path_count, sizeof *lines);
    if (read_all(seen, &count) != event_count)
        die("at the end", "not all was appended");
    for (uint32_t i = 0; i < path_count; i++) {
        char line[700];
        if (seen[i] < 0)
            continue;
        if (events[seen[i]].deletes)
            die("a tombstone is left", paths[i]);
        tree_line(&events[seen[i]], line, sizeof line);
        lines[line_count++] = strdup(line);
    }
    qsort(lines, line_count, sizeof *lines, by_string);
    if (count != (int64_t)line_count)
        die("at the end", "a path has more than one record");
    for (size_t i = 0; i < line_count || i < tree_count; i++)
        if (i >= line_count || i >= tree_count || strcmp(lines[i], tree[i]) != 0)
            die("not what git ls-tree prints", i < line_count ? lines[i] : tree[i]);
    for (size_t i = 0; i < line_count; i++)
        free(lines[i]);
    free(lines);
    free(seen);
}

static void compact_all(void)
{
    must(kfl_topic_compact(store, TOPIC, KFL_COMPACT_FORCE | KFL_COMPACT_ROLL, -1, NULL),
         "compact");
}

static void run(struct chance *chance)
{
    kfl_config *config;
    pthread_t appender, reader;
    must(kfl_config_create(&config), "config");
    must(kfl_config_set(config, "log.cleaner.backoff.ms", "3600000"), "config");
    must(kfl_store_open(folder, config, &store), "open");
    kfl_config_destroy(config);
    must(kfl_store_set_clock(store, NOW_MS), "clock");
    must(kfl_config_create(&config), "config");
    must(kfl_config_set(config, "cleanup.policy", "compact"), "config");
    must(kfl_config_set(config, "segment.bytes", "131072"), "config");
    must(kfl_topic_create(store, TOPIC, 1, config), "topic");
    kfl_config_destroy(config);
    if (pthread_create(&appender, NULL, append_all, NULL) != 0 ||
        pthread_create(&reader, NULL, read_again_and_again, NULL) != 0)
        die("thread", strerror(errno));
    for (long i = 0; i < kills; i++) {
        int64_t first = first_segment();
        atomic_store(&wanted, event_count * (i + 1) / kills);
        kill_one(chance, i % 4 == 0 ? 8000 : 300000);
        replaced += first_segment() != first;
    }
    atomic_store(&wanted, event_count);
    pthread_join(appender, NULL);
    compact_all();
    atomic_store(&done, true);
    pthread_join(reader, NULL);
    must(kfl_store_set_clock(store, NOW_MS + 2 * DAY_MS), "clock");
    compact_all();
    check_left();
    kfl_findings *findings = NULL;
    if (must(kfl_store_verify(store, NULL, 0, &findings), "verify") != 0)
        die("verify", kfl_findings_get(findings, 0)->text);
    kfl_findings_release(findings);
    must(kfl_store_close(store), "close");
}

int main(int argc, char **argv)
{
    const char *data = getenv("KAFKALITE_TEST_DATA"), *name = "redis";
    int64_t made_up = 20000;
    uint64_t seed = 0;
    bool seeded = false, own = true;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--maintain") == 0) {
            snprintf(folder, sizeof folder, "%s", argv[i + 1]);
            maintain();
        } else if (strcmp(argv[i], "--seed") == 0) {
            seed = strtoull(argv[i + 1], NULL, 0);
            seeded = true;
        } else if (strcmp(argv[i], "--kills") == 0) {
            kills = strtol(argv[i + 1], NULL, 0);
        } else if (strcmp(argv[i], "--data") == 0) {
            data = argv[i + 1];
        } else if (strcmp(argv[i], "--name") == 0) {
            name = argv[i + 1];
        } else if (strcmp(argv[i], "--events") == 0) {
            made_up = strtoll(argv[i + 1], NULL, 0);
        } else if (strcmp(argv[i], "--folder") == 0) {
            snprintf(folder, sizeof folder, "%s", argv[i + 1]);
            own = false;
        } else {
            die("no such option", argv[i]);
        }
    }
    struct chance chance = seeded ? (struct chance){seed} : chance_begin("history");
    const char *temporary = getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp";
    if (own) {
        snprintf(folder, sizeof folder, "%s/kafkalite-history-XXXXXX", temporary);
        if (mkdtemp(folder) == NULL)
            die(folder, strerror(errno));
    }
    find_history(data != NULL ? data : HISTORY_DATA, name, &chance, made_up);
    if (event_count == 0 || kills < 1)
        die("nothing to do", name);
    run(&chance);
    printf("%" PRId64 " events, %ld kills, files replaced before %ld, %" PRId64
           " readings, %zu paths left\n",
           event_count, kills, replaced, atomic_load(&readings), tree_count);
    if (own) {
        char command[500];
        snprintf(command, sizeof command, "rm -rf '%s'", folder);
        return system(command) != 0;
    }
    return 0;
}
