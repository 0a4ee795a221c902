/* SPDX-License-Identifier: MIT */
/* Makes the store of a bad day, and visits it in a child. */
#include "day.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define VISIT_SECONDS 30

const char *const day_topics[DAY_PARTITIONS] = {"orders", "orders", "clicks"};
const int32_t day_numbers[DAY_PARTITIONS] = {0, 1, 0};
const int64_t day_ends[DAY_PARTITIONS] = {240, 5, 90};
const int64_t day_committed[DAY_PARTITIONS] = {100, 5, 0};

/* ---- records ---- */

static uint64_t day_mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

size_t day_value(int partition, int64_t offset, uint8_t *out_bytes)
{
    uint64_t seed = day_mix((uint64_t)partition * 1000003 + (uint64_t)offset + 0x9e3779b97f4a7c15u);
    size_t size = 100 + seed % 1200;
    for (size_t i = 0; out_bytes != NULL && i < size; i++)
        out_bytes[i] = (uint8_t)(day_mix(seed + i / 16) >> i % 16 * 4);
    return size;
}

kfl_config *day_config(void)
{
    kfl_config *config = NULL;
    if (kfl_config_create(&config) < 0 || kfl_config_set(config, "background.threads", "0") < 0)
        abort();
    return config;
}

int day_append(kfl_producer *producer, int partition, int64_t from, int64_t to, int64_t *out_next)
{
    uint8_t value[DAY_VALUE_MAX];
    for (int64_t n = from; n < to; n++) {
        char key[32];
        int64_t offset = -1;
        int key_size = snprintf(key, sizeof key, "k%lld", (long long)n);
        size_t size = day_value(partition, n, value);
        *out_next = n;
        int r =
            kfl_producer_send(producer, day_topics[partition], day_numbers[partition], key,
                              (size_t)key_size, value, size, NULL, 0, 1700000000000 + n, &offset);
        if (r < 0)
            return r;
        if (offset != n) {
            fprintf(stderr, "record %lld got offset %lld\n", (long long)n, (long long)offset);
            return KFL_E_BUG;
        }
    }
    *out_next = to;
    return 0;
}

/* Three records as one batch. */
static int day_append_packed(kfl_producer *producer, int partition, int64_t from)
{
    uint8_t bytes[3 * (DAY_VALUE_MAX + 32)];
    kfl_packed_row rows[3];
    size_t used = 0;
    for (int64_t n = from; n < from + 3; n++) {
        int key_size = snprintf((char *)bytes + used, 32, "k%lld", (long long)n);
        used += (size_t)key_size;
        size_t size = day_value(partition, n, bytes + used);
        used += size;
        rows[n - from] = (kfl_packed_row){.timestamp_ms = 1700000000000 + n,
                                          .partition = day_numbers[partition],
                                          .key_size = key_size,
                                          .value_size = (int32_t)size};
    }
    int r = kfl_producer_send_packed(producer, day_topics[partition], rows, 3, bytes, used);
    return r < 0 ? r : rows[0].offset != from ? KFL_E_BUG : 0;
}

int day_make_topics(kfl_store *store)
{
    kfl_config *config = NULL;
    int r = kfl_config_create(&config);
    if (r == 0)
        r = kfl_config_set(config, "segment.bytes", "65536");
    if (r == 0)
        r = kfl_topic_create(store, "orders", 2, config);
    if (r == 0)
        r = kfl_topic_create(store, "clicks", 1, config);
    kfl_config_destroy(config);
    return r;
}

static int day_fill(kfl_store *store)
{
    kfl_config *config = NULL;
    kfl_producer *producer = NULL;
    kfl_consumer *consumer = NULL;
    int64_t next;
    int r = kfl_producer_open(store, NULL, &producer);
    for (int p = 0; p < DAY_PARTITIONS && r == 0; p++) {
        /* Some batches hold more than one record. */
        for (int64_t n = 0; n < day_ends[p] && r == 0;) {
            bool packed = n % 10 == 7 && n + 3 <= day_ends[p];
            r = packed ? day_append_packed(producer, p, n)
                       : day_append(producer, p, n, n + 1, &next);
            n += packed ? 3 : 1;
        }
        if (r == 0 && p == 1)
            r = kfl_topic_wait_durable(store, day_topics[p], day_numbers[p], KFL_OFFSET_END, -1);
    }
    if (r == 0)
        r = kfl_config_create(&config);
    if (r == 0)
        r = kfl_config_set(config, "group.id", DAY_GROUP);
    if (r == 0)
        r = kfl_consumer_open(store, config, &consumer);
    kfl_partition_offset offsets[2] = {
        {.topic = "orders", .partition = 0, .offset = day_committed[0]},
        {.topic = "orders", .partition = 1, .offset = day_committed[1]}};
    if (r == 0)
        r = kfl_consumer_commit_offsets(consumer, offsets, 2);
    kfl_config_destroy(config);
    kfl_consumer_close(consumer);
    kfl_producer_close(producer);
    return r;
}

void day_make(const char *path, bool close)
{
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        kfl_config *config = day_config();
        kfl_store *store = NULL;
        int r = kfl_store_open(path, config, &store);
        if (r == 0)
            r = day_make_topics(store);
        if (r == 0)
            r = day_fill(store);
        if (r == 0 && close)
            r = kfl_store_close(store);
        if (r < 0)
            fprintf(stderr, "the store cannot be made: %s\n", kfl_last_error());
        _exit(r < 0);
    }
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
}

/* ---- the visit ---- */

static int visit_note(struct day_visit *visit, int r)
{
    if (r < 0 && visit->words[0] == '\0')
        snprintf(visit->words, sizeof visit->words, "%s: %s", kfl_error_name(r), kfl_last_error());
    return r;
}

static void visit_take(struct day_visit *visit, int p, const kfl_record *record)
{
    uint8_t expected[DAY_VALUE_MAX];
    char key[32];
    if (record->offset < 0 || record->offset >= day_ends[p]) {
        if (record->offset == visit->partitions[p].appended_at && record->value_size == 5 &&
            memcmp(record->value, "after", 5) == 0)
            visit->partitions[p].read_again = 1;
        else
            visit->partitions[p].fates[DAY_OFFSETS_MAX - 1] = DAY_WRONG;
        return;
    }
    size_t size = day_value(p, record->offset, expected);
    int key_size = snprintf(key, sizeof key, "k%lld", (long long)record->offset);
    bool right = record->value_size == size && memcmp(record->value, expected, size) == 0 &&
                 record->key_size == (size_t)key_size &&
                 memcmp(record->key, key, record->key_size) == 0 &&
                 record->timestamp_ms == 1700000000000 + record->offset &&
                 strcmp(record->topic, day_topics[p]) == 0 && record->partition == day_numbers[p];
    uint8_t *fate = &visit->partitions[p].fates[record->offset];
    *fate = right && *fate == DAY_UNSEEN ? DAY_RIGHT : DAY_WRONG;
}

static void visit_take_event(struct day_visit *visit, int p, const kfl_event *event)
{
    int64_t end = kfl_event_end_offset(event);
    if (end > visit->partitions[p].holes_end)
        visit->partitions[p].holes_end = end;
    for (int64_t n = kfl_event_offset(event); n < end && n < day_ends[p]; n++) {
        uint8_t *fate = &visit->partitions[p].fates[n];
        *fate = n >= 0 && *fate == DAY_UNSEEN ? DAY_HOLE : DAY_WRONG;
    }
}

/* All that can be read from `from` on. 0, or the error that ended it. */
static int visit_read(kfl_store *store, struct day_visit *visit, int p, int64_t from)
{
    kfl_consumer *consumer = NULL;
    kfl_partition_offset assigned = {
        .topic = day_topics[p], .partition = day_numbers[p], .offset = from};
    int r = kfl_consumer_open(store, NULL, &consumer);
    if (r == 0)
        r = kfl_consumer_assign(consumer, &assigned, 1);
    while (r >= 0) {
        kfl_records *records = NULL;
        kfl_event *event = NULL;
        r = kfl_consumer_poll(consumer, 0, 50, &records);
        for (int32_t i = 0; i < r; i++)
            visit_take(visit, p, kfl_records_get(records, i));
        kfl_records_release(records);
        if (r == KFL_E_EVENT) {
            while (kfl_consumer_next_event(consumer, &event) == 1) {
                visit_take_event(visit, p, event);
                kfl_event_release(event);
            }
            r = 1;
        }
        if (r == 0)
            break;
    }
    visit_note(visit, r);
    kfl_consumer_close(consumer);
    return r;
}

static void visit_committed(kfl_store *store, struct day_visit *visit)
{
    kfl_offsets *offsets = NULL;
    visit->committed = visit_note(visit, kfl_group_offsets(store, DAY_GROUP, &offsets));
    if (visit->committed < 0)
        return;
    int right = 0;
    for (int32_t i = 0; i < kfl_offsets_count(offsets); i++) {
        const kfl_partition_offset *offset = kfl_offsets_get(offsets, i);
        for (int p = 0; p < DAY_PARTITIONS; p++)
            if (strcmp(offset->topic, day_topics[p]) == 0 && offset->partition == day_numbers[p] &&
                offset->offset == day_committed[p])
                right++;
    }
    visit->committed_right = right == 2 && kfl_offsets_count(offsets) == 2;
    kfl_offsets_release(offsets);
}

static void visit_append(kfl_store *store, struct day_visit *visit)
{
    kfl_producer *producer = NULL;
    if (visit_note(visit, kfl_producer_open(store, NULL, &producer)) < 0)
        return;
    for (int p = 0; p < DAY_PARTITIONS; p++) {
        int64_t offset = -1;
        visit->partitions[p].append =
            visit_note(visit, kfl_producer_send(producer, day_topics[p], day_numbers[p], NULL, 0,
                                                "after", 5, NULL, 0, KFL_TIMESTAMP_NOW, &offset));
        if (visit->partitions[p].append < 0)
            continue;
        visit->partitions[p].appended_at = offset;
        int r = visit_read(store, visit, p, offset);
        if (r < 0)
            visit->partitions[p].read_again = r;
    }
    kfl_producer_close(producer);
}

static void visit_body(const char *path, int flags, struct day_visit *visit)
{
    kfl_config *config = day_config();
    kfl_store *store = NULL;
    kfl_findings *findings = NULL;
    if (flags & DAY_READ_ONLY)
        kfl_config_set(config, "read.only", "true");
    visit->open = visit_note(visit, kfl_store_open(path, config, &store));
    kfl_config_destroy(config);
    if (visit->open < 0)
        return;
    for (int p = 0; p < DAY_PARTITIONS; p++) {
        visit->partitions[p].appended_at = -1;
        visit->partitions[p].start_offset = visit->partitions[p].end_offset = -1;
        visit->partitions[p].read = visit_read(store, visit, p, KFL_OFFSET_BEGINNING);
        (void)kfl_topic_start_offset(store, day_topics[p], day_numbers[p],
                                     &visit->partitions[p].start_offset);
        (void)kfl_topic_end_offset(store, day_topics[p], day_numbers[p],
                                   &visit->partitions[p].end_offset);
    }
    visit_committed(store, visit);
    if (flags & DAY_VERIFY) {
        visit->verify = visit_note(visit, kfl_store_verify(store, NULL, 0, &findings));
        if (visit->verify >= 0)
            kfl_findings_release(findings);
    }
    if (flags & DAY_APPEND)
        visit_append(store, visit);
    visit->close = visit_note(visit, kfl_store_close(store));
}

struct day_visit *day_visit_create(void)
{
    void *bytes = mmap(NULL, sizeof(struct day_visit), PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(bytes, MAP_FAILED);
    return bytes;
}

void day_visit_run(const char *path, int flags, struct day_visit *visit)
{
    memset(visit, 0, sizeof *visit);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        signal(SIGALRM, SIG_DFL);
        alarm(VISIT_SECONDS);
        visit_body(path, flags, visit);
        _exit(0);
    }
    int status;
    while (waitpid(pid, &status, 0) < 0)
        ck_assert_int_eq(errno, EINTR);
    visit->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    visit->exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
}

bool day_visit_is_whole(const struct day_visit *visit)
{
    bool whole = visit->signal == 0 && visit->exit_status == 0 && visit->open == 0 &&
                 visit->close == 0 && visit->verify == 0 && visit->committed == 0 &&
                 visit->committed_right;
    for (int p = 0; p < DAY_PARTITIONS && whole; p++) {
        whole = visit->partitions[p].read == 0 && visit->partitions[p].append >= 0 &&
                visit->partitions[p].fates[DAY_OFFSETS_MAX - 1] == DAY_UNSEEN &&
                (visit->partitions[p].appended_at < 0 || visit->partitions[p].read_again == 1);
        for (int64_t n = 0; n < day_ends[p]; n++)
            whole = whole && visit->partitions[p].fates[n] == DAY_RIGHT;
    }
    return whole;
}

const char *day_visit_text(const struct day_visit *visit)
{
    static char text[1200];
    int at =
        snprintf(text, sizeof text, "signal %d exit %d open %d close %d verify %d committed %d%s",
                 visit->signal, visit->exit_status, visit->open, visit->close, visit->verify,
                 visit->committed, visit->committed_right ? "" : " (wrong)");
    for (int p = 0; p < DAY_PARTITIONS; p++) {
        int fates[4] = {0};
        for (int64_t n = 0; n < day_ends[p]; n++)
            fates[visit->partitions[p].fates[n]]++;
        at += snprintf(
            text + at, sizeof text - (size_t)at,
            "; %s/%d: read %d, ends at %lld, %d right %d holes (to %lld) %d wrong%s %d unseen, append %d at %lld, read again %d",
            day_topics[p], day_numbers[p], visit->partitions[p].read,
            (long long)visit->partitions[p].end_offset, fates[DAY_RIGHT], fates[DAY_HOLE],
            (long long)visit->partitions[p].holes_end, fates[DAY_WRONG],
            visit->partitions[p].fates[DAY_OFFSETS_MAX - 1] == DAY_WRONG ? "+" : "",
            fates[DAY_UNSEEN], visit->partitions[p].append,
            (long long)visit->partitions[p].appended_at, visit->partitions[p].read_again);
    }
    snprintf(text + at, sizeof text - (size_t)at, "; %s", visit->words);
    return text;
}

/* ---- folders ---- */

static void copy_file(const char *from, const char *to, const struct stat *status)
{
    static uint8_t bytes[65536];
    int in = open(from, O_RDONLY | O_CLOEXEC),
        out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, status->st_mode & 07777);
    ck_assert_int_ge(in, 0);
    ck_assert_int_ge(out, 0);
    ck_assert_int_eq(ftruncate(out, status->st_size), 0);
    for (off_t at = 0; (at = lseek(in, at, SEEK_DATA)) >= 0;) {
        ssize_t got = pread(in, bytes, sizeof bytes, at);
        ck_assert_int_gt(got, 0);
        ck_assert_int_eq(pwrite(out, bytes, (size_t)got, at), got);
        at += got;
    }
    close(in);
    close(out);
}

void day_copy(const char *from, const char *to)
{
    struct stat status;
    ck_assert_int_eq(lstat(from, &status), 0);
    if (!S_ISDIR(status.st_mode)) {
        copy_file(from, to, &status);
        return;
    }
    ck_assert_int_eq(mkdir(to, status.st_mode & 07777), 0);
    DIR *directory = opendir(from);
    ck_assert_ptr_nonnull(directory);
    struct dirent *entry;
    while ((entry = readdir(directory)) != NULL) {
        char a[PATH_MAX], b[PATH_MAX];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(a, sizeof a, "%s/%s", from, entry->d_name);
        snprintf(b, sizeof b, "%s/%s", to, entry->d_name);
        day_copy(a, b);
    }
    closedir(directory);
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

void day_remove(const char *path)
{
    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static struct day_files *listed;
static const char *listed_suffix;
static size_t listed_root;

static int list_entry(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)walk;
    size_t size = strlen(path), suffix = strlen(listed_suffix);
    if (kind == FTW_F && size >= suffix && strcmp(path + size - suffix, listed_suffix) == 0 &&
        listed->count < 64)
        snprintf(listed->paths[listed->count++], sizeof listed->paths[0], "%s",
                 path + listed_root + 1);
    return 0;
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(a, b);
}

void day_list(const char *path, const char *suffix, struct day_files *out_files)
{
    memset(out_files, 0, sizeof *out_files);
    listed = out_files;
    listed_suffix = suffix;
    listed_root = strlen(path);
    ck_assert_int_eq(nftw(path, list_entry, 16, FTW_PHYS), 0);
    qsort(out_files->paths, (size_t)out_files->count, sizeof out_files->paths[0], compare_paths);
}
