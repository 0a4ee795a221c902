/* SPDX-License-Identifier: MIT */
/*
 * The judge: what was promised up to a moment, held against what a crash image turns out to hold.
 *
 * What is there was sent, is whole, stands once, in its sender's order, and where its sender was told.
 * What was told to be durable is there. Commits and starts are there and reach no further than was asked.
 * Nothing is called damaged. New records get offsets that nobody was told before.
 */
#include "power.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kafkalite.h"
#include "records.h"

struct expect_told {
    int64_t offset;
    int32_t partition;
    bool told, durable;
};

struct expect_partition {
    int64_t durable_end, seen_end;
    int64_t committed, commit_begun;
    int64_t start, start_begun;
};

struct power_expect {
    int32_t partitions; /* 0: not told that the topic exists */
    bool all, dense;
    struct expect_partition partition[POWER_PARTITIONS_MAX];
    uint64_t begun[POWER_SENDERS];
    struct expect_told told[POWER_SENDERS][POWER_SEQUENCES];
};

struct power_expect *power_expect_make(void)
{
    struct power_expect *expect = calloc(1, sizeof *expect);
    if (expect == NULL)
        abort();
    for (int i = 0; i < POWER_PARTITIONS_MAX; i++)
        expect->partition[i].committed = -1;
    return expect;
}

void power_expect_drop(struct power_expect *expect)
{
    free(expect);
}

static void raise_to(int64_t *io_number, int64_t least)
{
    if (*io_number < least)
        *io_number = least;
}

void power_expect_mark(struct power_expect *expect, const struct power_mark *mark)
{
    struct expect_partition *partition = &expect->partition[mark->partition];
    struct expect_told *told = &expect->told[mark->sender][mark->sequence];
    switch (mark->kind) {
    case POWER_CREATED:
        expect->partitions = (int32_t)mark->offset;
        break;
    case POWER_BEGUN:
        expect->begun[mark->sender] = mark->sequence;
        break;
    case POWER_TOLD:
        *told = (struct expect_told){mark->offset, mark->partition, true, mark->durable != 0};
        raise_to(&partition->seen_end, mark->offset + 1);
        if (mark->durable != 0)
            raise_to(&partition->durable_end, mark->offset + 1);
        break;
    case POWER_DURABLE:
        raise_to(&partition->durable_end, mark->offset);
        raise_to(&partition->seen_end, mark->offset);
        break;
    case POWER_COMMIT_BEGUN:
        raise_to(&partition->commit_begun, mark->offset);
        break;
    case POWER_COMMITTED:
        raise_to(&partition->committed, mark->offset);
        raise_to(&partition->durable_end, mark->offset);
        break;
    case POWER_DELETE_BEGUN:
        raise_to(&partition->start_begun, mark->offset);
        break;
    default:
        raise_to(&partition->start, mark->offset);
        break;
    }
}

void power_expect_trace(struct power_expect *expect, const struct recorder_trace *trace)
{
    const struct recorder_event *event;
    uint64_t position = 0;
    while ((event = recorder_trace_next(trace, &position)) != NULL)
        if (event->kind == RECORDER_MARK)
            power_expect_mark(expect, recorder_payload(event));
}

void power_expect_all(struct power_expect *expect, bool dense)
{
    expect->all = true;
    expect->dense = dense;
}

/* ---- one look ---- */

struct check {
    const struct power_expect *expect;
    bool survivor; /* what the dead left lying is swept by the next one to open */
    kfl_store *store;
    int32_t partitions;
    int64_t start[POWER_PARTITIONS_MAX], end[POWER_PARTITIONS_MAX], next[POWER_PARTITIONS_MAX];
    uint64_t newest[POWER_PARTITIONS_MAX][POWER_SENDERS];
    int64_t found[POWER_SENDERS][POWER_SEQUENCES]; /* offset + 1 */
};

#define check_fail(...) (fprintf(stderr, __VA_ARGS__), fputc('\n', stderr), 1)

static int check_record(struct check *check, const kfl_record *record)
{
    const struct power_expect *expect = check->expect;
    int32_t partition = record->partition;
    struct told told;
    if (!told_read(record->value, record->value_size, &told) || told.sender >= POWER_SENDERS ||
        told.sequence >= POWER_SEQUENCES)
        return check_fail("partition %d offset %" PRId64 ": bytes that nobody sent", partition,
                          record->offset);
    if (told.sender < POWER_CHECKER && told.sequence > expect->begun[told.sender])
        return check_fail("partition %d offset %" PRId64 ": from the future", partition,
                          record->offset);
    if (check->found[told.sender][told.sequence] != 0)
        return check_fail("partition %d offset %" PRId64 ": sender %u record %" PRIu64
                          " stands twice",
                          partition, record->offset, told.sender, told.sequence);
    check->found[told.sender][told.sequence] = record->offset + 1;
    if (told.sequence <= check->newest[partition][told.sender])
        return check_fail("partition %d offset %" PRId64 ": sender %u out of order", partition,
                          record->offset, told.sender);
    check->newest[partition][told.sender] = told.sequence;
    if (record->offset < check->next[partition])
        return check_fail("partition %d: offset %" PRId64 " again", partition, record->offset);
    /* A deletion whose owner died in it may have taken files before the start offset says so to the others. */
    bool deleted = check->survivor && record->offset <= expect->partition[partition].start_begun;
    if (expect->dense && !deleted && record->offset != check->next[partition])
        return check_fail("partition %d: nothing in [%" PRId64 ", %" PRId64 ")", partition,
                          check->next[partition], record->offset);
    check->next[partition] = record->offset + 1;
    const struct expect_told *expected = &expect->told[told.sender][told.sequence];
    if (expected->told && (expected->partition != partition ||
                           (expected->offset >= 0 && expected->offset != record->offset)))
        return check_fail("partition %d offset %" PRId64 ": sender %u record %" PRIu64
                          " was told to stand at %" PRId64,
                          partition, record->offset, told.sender, told.sequence, expected->offset);
    return 0;
}

static int check_event(kfl_consumer *consumer)
{
    kfl_event *event = NULL;
    if (kfl_consumer_next_event(consumer, &event) != 1)
        return check_fail("an event that is none");
    int r = check_fail("partition %d: event %d of [%" PRId64 ", %" PRId64 "): %s",
                       kfl_event_partition(event), kfl_event_kind(event), kfl_event_offset(event),
                       kfl_event_end_offset(event), kfl_event_text(event));
    kfl_event_release(event);
    return r;
}

static int check_read(struct check *check)
{
    kfl_partition_offset from[POWER_PARTITIONS_MAX] = {0};
    kfl_consumer *consumer = NULL;
    int r = kfl_consumer_open(check->store, NULL, &consumer);
    for (int32_t i = 0; i < check->partitions; i++)
        from[i] = (kfl_partition_offset){
            .topic = POWER_TOPIC, .partition = i, .offset = KFL_OFFSET_BEGINNING};
    if (r == 0)
        r = kfl_consumer_assign(consumer, from, (size_t)check->partitions);
    if (r < 0)
        return check_fail("consumer: %s", kfl_last_error());
    for (;;) {
        kfl_records *records = NULL;
        r = kfl_consumer_poll(consumer, 0, 0, &records);
        if (r == KFL_E_EVENT) {
            r = check_event(consumer);
            break;
        }
        if (r <= 0) {
            r = r == 0 ? 0 : check_fail("poll: %s", kfl_last_error());
            break;
        }
        int failed = 0;
        for (int32_t i = 0; i < r && !failed; i++)
            failed = check_record(check, kfl_records_get(records, i));
        kfl_records_release(records);
        if (failed) {
            r = 1;
            break;
        }
    }
    kfl_consumer_close(consumer);
    return r;
}

/* What was told to be durable, and is not deleted, is there. */
static int check_durable(const struct check *check)
{
    const struct power_expect *expect = check->expect;
    for (uint32_t sender = 0; sender < POWER_CHECKER; sender++)
        for (uint64_t sequence = 1; sequence <= expect->begun[sender]; sequence++) {
            const struct expect_told *told = &expect->told[sender][sequence];
            const struct expect_partition *partition = &expect->partition[told->partition];
            if (!told->told || check->found[sender][sequence] != 0)
                continue;
            int64_t start =
                check->survivor ? partition->start_begun : check->start[told->partition];
            if (told->offset < 0 ? partition->start_begun > 0 : told->offset < start)
                continue;
            if (expect->all || told->durable ||
                (told->offset >= 0 && told->offset < partition->durable_end))
                return check_fail("partition %d: sender %u record %" PRIu64
                                  ", durable at offset %" PRId64 ", is lost",
                                  told->partition, sender, sequence, told->offset);
        }
    return 0;
}

static int check_offsets(struct check *check)
{
    for (int32_t i = 0; i < check->partitions; i++) {
        const struct expect_partition *expected = &check->expect->partition[i];
        if (kfl_topic_start_offset(check->store, POWER_TOPIC, i, &check->start[i]) < 0 ||
            kfl_topic_end_offset(check->store, POWER_TOPIC, i, &check->end[i]) < 0)
            return check_fail("partition %d: %s", i, kfl_last_error());
        check->next[i] = check->start[i];
        if (check->start[i] < expected->start || check->start[i] > expected->start_begun)
            return check_fail("partition %d starts at %" PRId64 ", not in [%" PRId64 ", %" PRId64
                              "]",
                              i, check->start[i], expected->start, expected->start_begun);
        if (check->end[i] < expected->seen_end)
            return check_fail("partition %d ends at %" PRId64 " although %" PRId64
                              " was told to somebody",
                              i, check->end[i], expected->seen_end - 1);
    }
    return 0;
}

static int check_commits(const struct check *check)
{
    kfl_offsets *offsets = NULL;
    int64_t committed[POWER_PARTITIONS_MAX] = {-1, -1, -1};
    int r = kfl_group_offsets(check->store, POWER_GROUP, &offsets);
    for (int32_t i = 0; r == 0 && i < kfl_offsets_count(offsets); i++)
        committed[kfl_offsets_get(offsets, i)->partition] = kfl_offsets_get(offsets, i)->offset;
    kfl_offsets_release(offsets);
    for (int32_t i = 0; i < check->partitions; i++) {
        const struct expect_partition *expected = &check->expect->partition[i];
        if (committed[i] < expected->committed || committed[i] > expected->commit_begun ||
            committed[i] > check->end[i])
            return check_fail("partition %d: committed %" PRId64 ", not in [%" PRId64 ", %" PRId64
                              "], end %" PRId64,
                              i, committed[i], expected->committed, expected->commit_begun,
                              check->end[i]);
    }
    return 0;
}

static int check_verify(const struct check *check)
{
    kfl_findings *findings = NULL;
    int count = kfl_store_verify(check->store, NULL, 0, &findings);
    if (count < 0)
        return check_fail("verify: %s", kfl_last_error());
    int bad = 0;
    for (int32_t i = 0; i < count; i++) {
        const kfl_finding *finding = kfl_findings_get(findings, i);
        /* Signposts are never synced: what is left of them after a power cut is as it may be. */
        if (finding->kind == KFL_FINDING_INDEX)
            continue;
        bad =
            check_fail("verify: kind %d partition %d place %" PRId64 " offset %" PRId64 ": %s: %s",
                       finding->kind, finding->partition, finding->place, finding->offset,
                       finding->path, finding->text);
    }
    kfl_findings_release(findings);
    return bad;
}

/* Files that no row of the catalog remembers would stay for ever. */
static int check_files(const struct check *check, const char *folder)
{
    for (int32_t i = 0; i < check->partitions; i++) {
        kfl_segments *segments = NULL;
        char path[512];
        if (kfl_segments_list(check->store, POWER_TOPIC, i, &segments) < 0)
            return check_fail("segments: %s", kfl_last_error());
        snprintf(path, sizeof path, "%s/topics/1/%d", folder, i);
        DIR *directory = opendir(path);
        struct dirent *entry;
        int unlisted = 0;
        while (directory != NULL && (entry = readdir(directory)) != NULL) {
            int64_t id = strtoll(entry->d_name, NULL, 10);
            bool listed = id == 0;
            for (int32_t n = 0; n < kfl_segments_count(segments); n++)
                listed |= kfl_segments_get(segments, n)->segment_id == id;
            if (!listed)
                unlisted = check_fail("partition %d: %s is listed nowhere", i, entry->d_name);
        }
        if (directory != NULL)
            closedir(directory);
        kfl_segments_release(segments);
        if (unlisted)
            return 1;
    }
    return 0;
}

static int check_look(struct check *check, const char *folder)
{
    check->partitions = kfl_topic_partition_count(check->store, POWER_TOPIC);
    if (check->partitions == KFL_E_UNKNOWN_TOPIC_OR_PARTITION && check->expect->partitions == 0)
        return check->partitions = 0;
    if (check->partitions < 0 ||
        (check->expect->partitions > 0 && check->partitions != check->expect->partitions))
        return check_fail("the topic: %s", kfl_last_error());
    int r = check_offsets(check);
    if (r == 0)
        r = check_read(check);
    if (r == 0)
        r = check_durable(check);
    if (r == 0)
        r = check_commits(check);
    if (r == 0)
        r = check_verify(check);
    if (r == 0 && !check->survivor)
        r = check_files(check, folder);
    return r;
}

/* A record more in each partition, above all that were ever told. */
static int check_go_on(struct check *check, uint32_t round)
{
    kfl_config *config = NULL;
    kfl_producer *producer = NULL;
    int r = kfl_config_create(&config);
    if (r == 0)
        r = kfl_config_set(config, "acks", "all");
    if (r == 0)
        r = kfl_producer_open(check->store, config, &producer);
    for (int32_t i = 0; r >= 0 && i < check->partitions; i++) {
        uint8_t value[100];
        int64_t offset = -1;
        told_write(value, POWER_CHECKER + round, (uint64_t)i + 1, sizeof value);
        r = kfl_producer_send(producer, POWER_TOPIC, i, value, sizeof(struct told), value,
                              sizeof value, NULL, 0, KFL_TIMESTAMP_NOW, &offset);
        if (r >= 0 && offset < check->end[i])
            return check_fail("partition %d: offset %" PRId64 " given again", i, offset);
    }
    if (r >= 0)
        r = kfl_producer_close(producer);
    kfl_config_destroy(config);
    return r < 0 ? check_fail("going on: %s", kfl_last_error()) : 0;
}

static int check_open(const struct power_expect *expect, const char *folder,
                      struct check **out_check)
{
    kfl_config *config = NULL;
    struct check *check = calloc(1, sizeof *check);
    if (check == NULL || kfl_config_create(&config) < 0 ||
        kfl_config_set(config, "background.threads", "0") < 0)
        abort();
    check->expect = expect;
    if (kfl_store_open(folder, config, &check->store) < 0)
        return check_fail("refused: %s", kfl_last_error());
    kfl_config_destroy(config);
    *out_check = check;
    return 0;
}

/* What is open now, and once more after it was closed. */
static int check_twice(struct check *check, const char *folder, uint32_t round)
{
    const struct power_expect *expect = check->expect;
    for (int time = 0; time < 2; time++) {
        int r = time == 0 ? 0 : check_open(expect, folder, &check);
        if (r == 0)
            r = check_look(check, folder);
        if (r == 0 && time == 0)
            r = check_go_on(check, round);
        if (r == 0 && kfl_store_close(check->store) < 0)
            r = check_fail("close: %s", kfl_last_error());
        free(check);
        if (r != 0)
            return time == 0 ? r : check_fail("at the second opening");
    }
    return 0;
}

int power_check_run(const struct power_expect *expect, const char *folder, uint32_t round,
                    struct recorder_trace *trace)
{
    struct check *check = NULL;
    if (trace != NULL)
        recorder_start(folder, trace, 0);
    int r = check_open(expect, folder, &check);
    if (r == 0)
        r = check_twice(check, folder, round);
    if (r == 0 && trace != NULL)
        recorder_stop();
    return r;
}

int power_check_survive(const struct recorder_trace *trace, const char *folder, bool dense, int up,
                        int down)
{
    struct power_expect *expect = power_expect_make();
    struct check *check = NULL;
    char byte = '!';
    int64_t offset;
    int r = check_open(expect, folder, &check);
    if (r == 0)
        check->survivor = true;
    /* Known here, with a list of files of its own, before the other one goes on. */
    for (int32_t i = 0; r == 0 && i < kfl_topic_partition_count(check->store, POWER_TOPIC); i++)
        (void)kfl_topic_end_offset(check->store, POWER_TOPIC, i, &offset);
    if (write(up, &byte, 1) != 1 || read(down, &byte, 1) != 1)
        r = check_fail("the other one is gone");
    power_expect_trace(expect, trace);
    power_expect_all(expect, dense);
    if (r == 0)
        r = check_twice(check, folder, 0);
    power_expect_drop(expect);
    return r;
}
