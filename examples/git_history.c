/* SPDX-License-Identifier: MIT */
/*
 * A git history as a log: each change of a file is an event, and the tree is what the events leave.
 *
 *     git log --first-parent -m --reverse --raw --no-abbrev --no-renames --format='commit %H %ct' |
 *         git_history DIR          prints what `git ls-tree -r HEAD` prints
 *
 * A record is: key the path, value the new mode and blob id (missing: deleted), the commit's time.
 * The program may be killed at any moment and run again, also with a history that has grown, and
 * two may run at once: no event is left out and none is logged twice. A path belongs to one
 * partition, which gets its events in the order of the input, so it always holds the first so many
 * of them: how many is all there is to know, and the log itself tells it. Records are counted, for
 * after a power cut offsets may leave out numbers. Each append demands that the partition still end
 * where the count ended; if somebody else was faster (KFL_E_CONFLICT), we count what came, and go on
 * behind it.
 */
#include <kafkalite.h>

#include <errno.h>
#include <inttypes.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOPIC "history"
#define PARTITION_COUNT 4
#define OBJECT_ID_SIZE_MAX 64 /* SHA-256, in hexadecimal digits */

struct partition {
    int64_t met_count;    /* events of this partition that the input has had so far */
    int64_t logged_count; /* records below end_offset */
    int64_t end_offset;   /* where the partition has to end for an append */
    uint64_t last_hash;   /* of the last record that was read */
};

struct history {
    kfl_store *store;
    kfl_producer *producer;
    kfl_consumer *consumer;
    struct partition partitions[PARTITION_COUNT];
    int64_t appended_count;
    void *tree; /* of struct file, by path: tsearch(3) */
};

/* One event; the strings are borrowed from the line that was read. */
struct event {
    const char *path;
    size_t path_size;
    char value[6 + 1 + OBJECT_ID_SIZE_MAX];
    size_t value_size; /* 0: deleted */
    const char *commit;
    size_t commit_size;
    int64_t timestamp_ms;
};

struct file {
    char *path;
    char *value; /* NULL: deleted */
};

static _Noreturn void fail(const char *what, const char *detail)
{
    fprintf(stderr, "git_history: %s: %s\n", what, detail);
    exit(EXIT_FAILURE);
}

static int check(int r, const char *what)
{
    if (r < 0)
        fail(what, kfl_last_error());
    return r;
}

/* FNV-1a. */
static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t size)
{
    const unsigned char *byte = bytes;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ byte[i]) * 0x100000001b3u;
    return hash;
}

static uint64_t hash_event(const void *key, size_t key_size, const void *value, size_t value_size,
                           const void *commit, size_t commit_size)
{
    uint64_t hash = hash_bytes(0xcbf29ce484222325u, key, key_size);
    hash = hash_bytes(hash, value, value_size);
    return hash_bytes(hash, commit, commit_size);
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(((const struct file *)a)->path, ((const struct file *)b)->path);
}

static char *copy_bytes(const void *bytes, size_t size)
{
    char *copy = malloc(size + 1);
    if (copy == NULL)
        fail("memory", strerror(ENOMEM));
    memcpy(copy, bytes, size);
    copy[size] = '\0';
    return copy;
}

/* The newest record of a path says what the path is now. */
static void apply_record(struct history *history, const kfl_record *record)
{
    struct file *file = malloc(sizeof *file);
    if (file == NULL)
        fail("memory", strerror(ENOMEM));
    file->path = copy_bytes(record->key, record->key_size);
    file->value = record->value != NULL ? copy_bytes(record->value, record->value_size) : NULL;

    struct file **found = tsearch(file, &history->tree, compare_paths);
    if (found == NULL)
        fail("memory", strerror(ENOMEM));
    if (*found == file)
        return;
    free((*found)->value);
    (*found)->value = file->value;
    free(file->path);
    free(file);
}

static void read_record(struct history *history, const kfl_record *record)
{
    kfl_header commit;
    if (record->key == NULL || (record->value != NULL && record->value_size < 8) ||
        kfl_record_header(record, 0, &commit) < 0)
        fail("not a record of this program in topic", TOPIC);
    apply_record(history, record);

    /* What this process has appended itself is counted already. */
    struct partition *partition = &history->partitions[record->partition];
    if (record->offset < partition->end_offset)
        return;
    partition->logged_count++;
    partition->end_offset = record->offset + 1;
    partition->last_hash = hash_event(record->key, record->key_size, record->value,
                                      record->value_size, commit.value, commit.value_size);
}

/* A hole would make the count wrong, and a wrong count would append events twice. */
static _Noreturn void fail_on_event(struct history *history)
{
    kfl_event *event;
    if (check(kfl_consumer_next_event(history->consumer, &event), "event") == 1)
        fail("cannot go on", kfl_event_text(event));
    fail("cannot go on", "an event without a text");
}

/* Read what has come since the last time, whoever appended it. */
static void read_log(struct history *history)
{
    /* The ends are taken first: then all records below them have been read when nothing more comes.
     */
    int64_t ends[PARTITION_COUNT];
    for (int32_t i = 0; i < PARTITION_COUNT; i++)
        check(kfl_topic_end_offset(history->store, TOPIC, i, &ends[i]), TOPIC);

    kfl_records *records;
    int count;
    while ((count = kfl_consumer_poll(history->consumer, 0, 4096, &records)) != 0) {
        if (count == KFL_E_EVENT)
            fail_on_event(history);
        check(count, "poll");
        for (int32_t i = 0; i < count; i++)
            read_record(history, kfl_records_get(records, i));
        kfl_records_release(records);
    }

    for (int32_t i = 0; i < PARTITION_COUNT; i++) {
        if (history->partitions[i].end_offset < ends[i])
            history->partitions[i].end_offset = ends[i];
    }
}

/* The event is in the log when this returns: it was there, or somebody else appended it, or we did.
 */
static void log_event(struct history *history, const struct event *event)
{
    uint64_t path_hash = hash_bytes(0xcbf29ce484222325u, event->path, event->path_size);
    int32_t number = (int32_t)(path_hash % PARTITION_COUNT);
    struct partition *partition = &history->partitions[number];
    const kfl_header header = {
        .name = "commit", .value = event->commit, .value_size = event->commit_size};
    const char *value = event->value_size > 0 ? event->value : NULL;
    int64_t index = partition->met_count++;

    while (index >= partition->logged_count) {
        int64_t offset;
        int r = kfl_producer_send_if(history->producer, TOPIC, number, event->path,
                                     event->path_size, value, event->value_size, &header, 1,
                                     event->timestamp_ms, partition->end_offset, &offset);
        if (r == KFL_E_CONFLICT) {
            read_log(history);
            continue;
        }
        check(r, TOPIC);
        partition->logged_count++;
        partition->end_offset = offset + 1;
        history->appended_count++;
        return;
    }

    /* The last one that the log holds must be this very event, or the counts speak of another
     * history. */
    if (index == partition->logged_count - 1 &&
        partition->last_hash != hash_event(event->path, event->path_size, event->value,
                                           event->value_size, event->commit, event->commit_size))
        fail("the directory holds another history than the input, at", event->path);
}

/* ":<old mode> <new mode> <old id> <new id> <status>\t<path>", which is cut into pieces. */
static int parse_event(char *line, struct event *out_event)
{
    char *tab = strchr(line, '\t');
    if (tab == NULL || tab[1] == '\0')
        return -1;
    *tab = '\0';
    char new_mode[7], new_id[OBJECT_ID_SIZE_MAX + 1];
    if (sscanf(line, ":%*6[0-7] %6[0-7] %*64[0-9a-f] %64[0-9a-f] ", new_mode, new_id) != 2)
        return -1;
    out_event->path = tab + 1;
    out_event->path_size = strlen(tab + 1);
    out_event->value_size = 0;
    if (strcmp(new_mode, "000000") != 0) {
        char text[sizeof out_event->value + 1];
        out_event->value_size = (size_t)snprintf(text, sizeof text, "%s %s", new_mode, new_id);
        memcpy(out_event->value, text, out_event->value_size);
    }
    return 0;
}

/* "commit <id> <seconds>" */
static int parse_commit(const char *line, char commit[OBJECT_ID_SIZE_MAX + 1],
                        struct event *out_event)
{
    int64_t seconds;
    if (sscanf(line, "commit %64[0-9a-f] %" SCNd64, commit, &seconds) != 2 || seconds < 0)
        return -1;
    out_event->commit = commit;
    out_event->commit_size = strlen(commit);
    out_event->timestamp_ms = seconds * 1000;
    return 0;
}

static void log_input(struct history *history)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size;
    char commit[OBJECT_ID_SIZE_MAX + 1] = "";
    struct event event = {.commit = commit};

    while ((size = getline(&line, &capacity, stdin)) > 0) {
        if (line[size - 1] == '\n')
            line[size - 1] = '\0';
        int r = 0;
        if (line[0] == ':' && event.commit_size > 0) {
            r = parse_event(line, &event);
            if (r == 0)
                log_event(history, &event);
        } else if (line[0] != '\0') {
            r = parse_commit(line, commit, &event);
        }
        if (r < 0)
            fail("not a line of the git log that the head of this program shows", line);
    }
    if (ferror(stdin))
        fail("standard input", strerror(errno));
    free(line);
}

static void print_file(const void *node, VISIT visit, int depth)
{
    (void)depth;
    const struct file *file = *(struct file *const *)node;
    if ((visit != postorder && visit != leaf) || file->value == NULL)
        return;
    const char *type = strncmp(file->value, "160000", 6) == 0 ? "commit" : "blob";
    printf("%.6s %s %s\t%s\n", file->value, type, file->value + 7, file->path);
}

static void free_file(void *node)
{
    struct file *file = node;
    free(file->path);
    free(file->value);
    free(file);
}

static void open_history(struct history *history, const char *path)
{
    check(kfl_store_open(path, NULL, &history->store), path);

    /* A segment closes by the times of its records, and these span years. */
    kfl_config *config;
    check(kfl_config_create(&config), "config");
    check(kfl_config_set_int64(config, "segment.ms", INT64_MAX), "config");
    int r = kfl_topic_create(history->store, TOPIC, PARTITION_COUNT, config);
    if (r != KFL_E_TOPIC_ALREADY_EXISTS)
        check(r, TOPIC);
    kfl_config_destroy(config);

    check(kfl_producer_open(history->store, NULL, &history->producer), "producer");
    check(kfl_consumer_open(history->store, NULL, &history->consumer), "consumer");
    kfl_partition_offset partitions[PARTITION_COUNT] = {{0}};
    for (int32_t i = 0; i < PARTITION_COUNT; i++) {
        partitions[i] =
            (kfl_partition_offset){.topic = TOPIC, .partition = i, .offset = KFL_OFFSET_BEGINNING};
    }
    check(kfl_consumer_assign(history->consumer, partitions, PARTITION_COUNT), TOPIC);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: git log --first-parent -m --reverse --raw --no-abbrev --no-renames "
                        "--format='commit %%H %%ct' | git_history DIR\n");
        return 2;
    }

    struct history history = {0};
    open_history(&history, argv[1]);
    read_log(&history);
    log_input(&history);
    read_log(&history);

    twalk(history.tree, print_file);
    tdestroy(history.tree, free_file);
    if (fflush(stdout) != 0)
        fail("standard output", strerror(errno));
    fprintf(stderr, "git_history: %" PRId64 " events appended\n", history.appended_count);

    check(kfl_consumer_close(history.consumer), "consumer");
    check(kfl_producer_close(history.producer), "producer");
    check(kfl_store_close(history.store), "store");
    return EXIT_SUCCESS;
}

/* prints, for a repository with one file:
100644 blob 257cc5642cb1a054f08cc83f2d943e56fd3ebe99	greeting
*/
