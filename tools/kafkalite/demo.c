/* SPDX-License-Identifier: MIT */
/*
 * demo: the main job in a few seconds, checked as it goes. The status is that of its checks, so it
 * is also the shortest test of an installation.
 */
#include "demo.h"

#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "moment.h"
#include "output.h"

enum { STEPS = 6, BATCH = 1000, CONSUMERS = 2 };

void demo_tell(struct demo *demo, const char *name, int good, const char *command,
               const char *format, ...)
{
    char told[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(told, sizeof told, format, arguments);
    va_end(arguments);
    demo->step++;
    demo->failed += !good;
    json_array_append_new(demo->steps,
                          need_json(json_pack("{s:s, s:b, s:s, s:s}", "step", name, "good", good,
                                              "text", told, "command", command)));
    if (output_is_json())
        return;
    printf("%d/%d %s%-9s%s %s%s%s\n", demo->step, STEPS, output_bold(), name, output_plain(),
           good ? "" : output_bad(), told, output_plain());
    printf("              %s$ kafkalite %s%s\n", output_dim(), command, output_plain());
    output_flush();
}

/* One call's worth of records: key, then "<number> …" as the value. */
static int send_batch(kfl_producer *producer, int64_t first, size_t count, struct text *bytes,
                      kfl_packed_row *rows)
{
    bytes->size = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t number = first + (int64_t)i;
        size_t begin = bytes->size;
        text_add_format(bytes, "o-%" PRId64, number % 5000);
        rows[i] = (kfl_packed_row){.offset = KFL_OFFSET_PENDING,
                                   .timestamp_ms = KFL_TIMESTAMP_NOW,
                                   .partition = KFL_PARTITION_ANY,
                                   .key_size = (int32_t)(bytes->size - begin)};
        begin = bytes->size;
        text_add_format(bytes, "%" PRId64 " {\"items\": %d, \"total\": %d.90}", number,
                        (int)(number % 7) + 1, (int)(number % 90) + 9);
        rows[i].value_size = (int32_t)(bytes->size - begin);
    }
    return kfl_producer_send_packed(producer, "orders", rows, count, bytes->data, bytes->size);
}

static int produce(struct demo *demo)
{
    kfl_producer *producer = NULL;
    struct text bytes = {0};
    kfl_packed_row *rows = need(calloc(BATCH, sizeof *rows));
    char count[TEXT_NUMBER_SIZE];
    char rate[TEXT_NUMBER_SIZE];
    int r = kfl_producer_open(demo->call->store, NULL, &producer);
    double begin = moment_steady_seconds();
    for (int64_t i = 0; r >= 0 && i < demo->records && !call_stopped(); i += BATCH)
        r = send_batch(producer, i, demo->records - i < BATCH ? (size_t)(demo->records - i) : BATCH,
                       &bytes, rows);
    double seconds = moment_steady_seconds() - begin;
    int status = r < 0 ? call_failed(r) : STATUS_OK;
    r = kfl_producer_close(producer);
    if (r < 0 && status == STATUS_OK)
        status = call_failed(r);
    if (status == STATUS_OK)
        demo_tell(demo, "produce", 1, "produce orders -K : FILE", "%s keyed records, %s a second",
                  text_of_count(demo->records, count),
                  text_of_count((int64_t)((double)demo->records / seconds), rate));
    text_free(&bytes);
    free(rows);
    return status;
}

/* One consumer of the group, in a thread. It reads the partitions whose number leaves its own. */
struct member {
    struct demo *demo;
    int number;
    unsigned char
        *seen; /* one a record; a record lies in one partition, so no two threads meet here */
    int64_t count;
    int result; /* of the library */
    char story[256];
};

static int assign(struct member *member, kfl_consumer *consumer)
{
    kfl_partition_offset places[DEMO_PARTITIONS];
    size_t count = 0;
    for (int32_t i = 0; i < DEMO_PARTITIONS; i++) {
        if (i % CONSUMERS == member->number)
            places[count++] = (kfl_partition_offset){
                .topic = "orders", .partition = i, .offset = KFL_OFFSET_STORED};
    }
    return kfl_consumer_assign(consumer, places, count);
}

static int consume_all(struct member *member, kfl_consumer *consumer)
{
    int r = assign(member, consumer);
    while (r >= 0 && !call_stopped()) {
        kfl_records *records = NULL;
        r = kfl_consumer_poll(consumer, 0, 20000, &records);
        if (r <= 0)
            return r;
        for (int32_t i = 0; i < r; i++) {
            const kfl_record *record = kfl_records_get(records, i);
            int64_t number = strtoll(record->value, NULL, 10);
            if (number >= 0 && number < member->demo->records && member->seen[number] < 255)
                member->seen[number]++;
            member->count++;
        }
        r = kfl_consumer_commit(consumer, records);
        kfl_records_release(records);
    }
    return r;
}

static void *run_member(void *argument)
{
    struct member *member = argument;
    kfl_config *config = NULL;
    kfl_consumer *consumer = NULL;
    int r = kfl_config_create(&config);
    if (r >= 0)
        r = kfl_config_set(config, "group.id", "billing");
    if (r >= 0)
        r = kfl_consumer_open(member->demo->call->store, config, &consumer);
    if (r >= 0)
        r = consume_all(member, consumer);
    /* The story of a failure belongs to this thread, which ends here. */
    if (r < 0)
        snprintf(member->story, sizeof member->story, "%s", kfl_last_error());
    member->result = r;
    kfl_consumer_close(consumer);
    kfl_config_destroy(config);
    return NULL;
}

static int consume(struct demo *demo)
{
    struct member members[CONSUMERS];
    pthread_t threads[CONSUMERS];
    unsigned char *seen = need(calloc((size_t)demo->records, 1));
    double begin = moment_steady_seconds();
    int started = 0;
    for (int i = 0; i < CONSUMERS; i++) {
        members[i] = (struct member){.demo = demo, .number = i, .seen = seen};
        if (pthread_create(&threads[i], NULL, run_member, &members[i]) != 0)
            break;
        started++;
    }
    int64_t count = 0;
    int status = started < CONSUMERS ? STATUS_FAILED : STATUS_OK;
    for (int i = 0; i < started; i++) {
        pthread_join(threads[i], NULL);
        count += members[i].count;
        if (members[i].result < 0) {
            say("consumer %d: %s", i + 1, members[i].story);
            status = STATUS_FAILED;
        }
    }
    double seconds = moment_steady_seconds() - begin;
    int64_t missing = 0;
    for (int64_t i = 0; i < demo->records; i++)
        missing += seen[i] != 1;
    free(seen);
    if (status != STATUS_OK || call_stopped())
        return status;
    char numbers[2][TEXT_NUMBER_SIZE];
    int good = missing == 0 && count == demo->records;
    demo_tell(demo, "consume", good, "consume orders -g billing -e",
              good ? "group billing, 2 consumers: all %s, none twice, %s"
                   : "group billing, 2 consumers: %s records, not what was produced, %s",
              text_of_count(count, numbers[0]), text_of_seconds(seconds, numbers[1]));
    return status;
}

/* What the group has committed is what there is. */
static int check_group(struct demo *demo)
{
    kfl_offsets *offsets = NULL;
    int64_t lag = demo->records;
    int r = kfl_group_offsets(demo->call->store, "billing", &offsets);
    if (r < 0)
        return call_failed(r);
    for (int32_t i = 0; i < kfl_offsets_count(offsets); i++)
        lag -= kfl_offsets_get(offsets, i)->offset;
    kfl_offsets_release(offsets);
    char number[TEXT_NUMBER_SIZE];
    demo_tell(demo, "commit", lag == 0, "groups describe billing",
              "group billing is %s records behind", text_of_count(lag, number));
    return STATUS_OK;
}

static int verify(struct demo *demo)
{
    kfl_findings *findings = NULL;
    char numbers[2][TEXT_NUMBER_SIZE];
    int r = kfl_store_verify(demo->call->store, NULL, 0, &findings);
    if (r < 0)
        return call_failed(r);
    demo_tell(demo, "verify", kfl_findings_count(findings) == 0, "verify",
              "%" PRId32 " problems in %s records, %s", kfl_findings_count(findings),
              text_of_count(kfl_findings_checked_records(findings), numbers[0]),
              text_of_bytes(kfl_findings_checked_bytes(findings), numbers[1]));
    kfl_findings_release(findings);
    return STATUS_OK;
}

static int run_steps(struct demo *demo)
{
    int r = kfl_store_open(demo->call->directory, NULL, &demo->call->store);
    if (r >= 0)
        r = kfl_topic_create(demo->call->store, "orders", DEMO_PARTITIONS, NULL);
    if (r < 0)
        return call_failed(r);
    demo_tell(demo, "create", 1, "topics create orders -p 3",
              "a store in %s, topic orders, 3 partitions", demo->call->directory);
    int status = produce(demo);
    if (status == STATUS_OK && !call_stopped())
        status = consume(demo);
    if (status == STATUS_OK && !call_stopped())
        status = check_group(demo);
    if (status == STATUS_OK && !call_stopped())
        status = demo_crash(demo);
    if (status == STATUS_OK && !call_stopped())
        status = verify(demo);
    return status;
}

static int remove_one(const char *path, const struct stat *found, int kind, struct FTW *walk)
{
    (void)found;
    (void)kind;
    (void)walk;
    return remove(path);
}

static int make_directory(struct demo *demo, char *directory, size_t size)
{
    const char *keep = call_option(demo->call, "keep");
    const char *parent = getenv("TMPDIR");
    if (keep != NULL) {
        if (mkdir(keep, 0777) < 0) {
            say("%s: %s", keep, strerror(errno));
            return STATUS_FAILED;
        }
        snprintf(directory, size, "%s", keep);
        return STATUS_OK;
    }
    snprintf(directory, size, "%s/kafkalite-demo-XXXXXX",
             parent != NULL && *parent != '\0' ? parent : "/tmp");
    if (mkdtemp(directory) == NULL) {
        say("%s: %s", directory, strerror(errno));
        return STATUS_FAILED;
    }
    return STATUS_OK;
}

static void tell_end(struct demo *demo, double seconds)
{
    char time[TEXT_NUMBER_SIZE];
    text_of_seconds(seconds, time);
    if (output_is_json()) {
        output_json(need_json(json_pack("{s:b, s:f, s:O}", "good", demo->failed == 0, "seconds",
                                        seconds, "steps", demo->steps)));
        return;
    }
    if (call_option(demo->call, "keep") != NULL)
        printf("Poke at it: kafkalite -d %s consume orders --from -3 -e -J\n",
               demo->call->directory);
    printf("%s%s in %s%s\n", demo->failed == 0 ? output_good() : output_bad(),
           demo->failed == 0 ? "all checks passed" : "a check FAILED", time, output_plain());
}

int run_demo(struct call *call)
{
    struct demo demo = {.call = call, .steps = need_json(json_array())};
    char directory[4096];
    double begin = moment_steady_seconds();
    int status = call_number(call, "records", 1000, 100000000, 100000, &demo.records);
    if (status == STATUS_OK)
        status = make_directory(&demo, directory, sizeof directory);
    if (status == STATUS_OK) {
        call->directory = directory;
        status = run_steps(&demo);
        int r = kfl_store_close(call->store);
        call->store = NULL;
        if (r < 0 && status == STATUS_OK)
            status = call_failed(r);
        if (status == STATUS_OK && !call_stopped())
            tell_end(&demo, moment_steady_seconds() - begin);
        if (call_option(call, "keep") == NULL)
            nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    }
    json_decref(demo.steps);
    return status == STATUS_OK && demo.failed > 0 ? STATUS_FAILED : status;
}
