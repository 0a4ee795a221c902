/* SPDX-License-Identifier: MIT */
/*
 * The cleaner against a model: an array of what was appended, from which it follows what must be left. Random keys,
 * tombstones, times, batches, codecs, properties, memory and kills. KAFKALITE_TEST_SEEDS=n runs so many; the seed of
 * each is printed when it fails.
 */
#include "quick_asserts.h"

#include <stdbool.h>

#include "base/fault.h"
#include "chance.h"
#include "child.h"
#include "store_fixture.h"

#define MOST 6000
#define MOST_KEYS 2500 /* more than the least memory holds: several passes */

static struct entry {
    int32_t key, value_size; /* key -1: none; value_size -1: a tombstone */
    int64_t time_ms;
    int64_t batch; /* base offset of the batch it was sent in */
    bool gone;
} log_of[MOST];
static int64_t end;
static struct chance chance;
static uint64_t seed;
static char properties[300];

#define CHECK(what)                                                                                \
    ck_assert_msg(what, "seed %" PRIu64 ": " #what " (%s) %s", seed, properties, kfl_last_error())

static uint32_t pick(uint32_t below)
{
    return (uint32_t)chance_below(&chance, below);
}

static size_t fill_value(uint8_t *to, int64_t offset, int32_t size)
{
    for (int32_t i = 0; i < size; i++)
        to[i] = (uint8_t)(offset * 31 + i);
    return (size_t)size;
}

enum key_shape { KEYS_OF_TEXT, KEYS_OF_4, KEYS_OF_8, KEYS_OF_24, KEYS_ALIKE, KEY_SHAPES };
static enum key_shape key_shape;

/* At most 24 bytes. */
static int32_t fill_key(uint8_t *to, int32_t key)
{
    static const int32_t sizes[] = {0, 4, 8, 24};
    if (key_shape == KEYS_OF_TEXT)
        return sprintf((char *)to, "key %d", key);
    memset(to, 0, 24);
    if (key_shape == KEYS_ALIKE) { /* with more or fewer zeros behind */
        to[0] = (uint8_t)(key / 9);
        to[1] = (uint8_t)(key / 9 >> 8);
        return 2 + key % 9;
    }
    memcpy(to + sizes[key_shape] - 4, &key, 4);
    return sizes[key_shape];
}

static void append(kfl_producer *producer, uint32_t keys, int64_t now_ms)
{
    static uint8_t bytes[200000];
    kfl_packed_row rows[40];
    uint32_t count = pick(4) == 0 ? 1 + pick(40) : 1;
    size_t size = 0;
    if (end + count > MOST)
        return;
    for (uint32_t i = 0; i < count; i++) {
        struct entry *entry = &log_of[end + i];
        *entry = (struct entry){.key = (int32_t)pick(keys),
                                .value_size =
                                    pick(5) == 0 ? -1 : (int32_t)pick(pick(10) == 0 ? 3000 : 60),
                                .time_ms = now_ms - pick(5000),
                                .batch = end};
        rows[i] = (kfl_packed_row){.timestamp_ms = entry->time_ms, .value_size = entry->value_size};
        rows[i].key_size = fill_key(bytes + size, entry->key);
        size += (size_t)rows[i].key_size;
        if (entry->value_size >= 0)
            size += fill_value(bytes + size, end + i, entry->value_size);
    }
    CHECK(kfl_producer_send_packed(producer, "t", rows, count, bytes, size) == (int)count);
    CHECK(rows[0].offset == end);
    end += count;
}

/* Reads everything; each record must be what was appended there. What is left: marked in `there`. */
static int64_t read_all(bool *there)
{
    kfl_consumer *consumer = open_consumer(NULL);
    int64_t before = -1, count = 0;
    int n;
    memset(there, 0, MOST);
    assign_at(consumer, "t", 0, 0);
    for (;;) {
        kfl_records *records = NULL;
        uint8_t value[4096], key[24];
        n = kfl_consumer_poll(consumer, 0, 0, &records);
        CHECK(n >= 0);
        if (n == 0)
            break;
        for (int32_t i = 0; i < n; i++) {
            const kfl_record *record = kfl_records_get(records, i);
            CHECK(record->offset > before && record->offset < end);
            const struct entry *entry = &log_of[record->offset];
            CHECK(record->timestamp_ms == entry->time_ms);
            CHECK(record->key_size == (size_t)fill_key(key, entry->key));
            CHECK(memcmp(record->key, key, record->key_size) == 0);
            CHECK((record->value == NULL) == (entry->value_size < 0));
            if (record->value != NULL) {
                CHECK(record->value_size == fill_value(value, record->offset, entry->value_size));
                CHECK(memcmp(record->value, value, record->value_size) == 0);
            }
            before = record->offset;
            there[before] = true;
            count++;
        }
        kfl_records_release(records);
    }
    CHECK(position_of(consumer, "t", 0) == end);
    OK(kfl_consumer_close(consumer));
    return count;
}

/*
 * What holds at any moment: nothing comes back, the newest record of a key is there unless it is a tombstone, and no older
 * value is to be seen of a key whose newest record is not.
 */
static void check_any_time(void)
{
    static bool there[MOST];
    static int64_t newest[MOST_KEYS];
    for (int32_t i = 0; i < MOST_KEYS; i++)
        newest[i] = -1;
    (void)read_all(there);
    for (int64_t i = 0; i < end; i++) {
        CHECK(!(there[i] && log_of[i].gone));
        log_of[i].gone = !there[i];
        newest[log_of[i].key] = i;
    }
    for (int32_t key = 0; key < MOST_KEYS; key++) {
        int64_t last = newest[key];
        if (last < 0 || there[last])
            continue;
        CHECK(log_of[last].value_size < 0);
        for (int64_t i = 0; i < last; i++)
            CHECK(log_of[i].key != key || !there[i]);
    }
}

/* After a pass over all: of each key only the newest record. */
static void check_compacted(int64_t below)
{
    static bool there[MOST];
    static int64_t newest[MOST_KEYS];
    for (int32_t i = 0; i < MOST_KEYS; i++)
        newest[i] = -1;
    (void)read_all(there);
    for (int64_t i = 0; i < below; i++)
        newest[log_of[i].key] = i;
    for (int64_t i = 0; i < below; i++)
        CHECK(!there[i] || newest[log_of[i].key] == i);
}

static void check_times(void)
{
    static bool there[MOST];
    int64_t largest = -1, at = -1, offset = -1, time = -1,
            asked = NOW_MS - pick(8000) + pick(20000);
    int64_t first = -1;
    (void)read_all(there);
    for (int64_t i = 0; i < end; i++) {
        if (there[i] && log_of[i].time_ms > largest) {
            largest = log_of[i].time_ms;
            at = i;
        }
        if (there[i] && first < 0 && log_of[i].time_ms >= asked)
            first = i;
    }
    CHECK(kfl_topic_max_timestamp(store, "t", 0, &offset, &time) == (at >= 0));
    CHECK(at < 0 || (offset == at && time == largest));
    CHECK(kfl_topic_offset_for_time(store, "t", 0, asked, &offset, &time) == (first >= 0));
    CHECK(first < 0 || offset == first);
}

static void open_model(const char *memory)
{
    store = open_store(temp_dir_path(),
                       WITH("background.threads", "0", "log.cleaner.dedupe.buffer.size", memory));
}

#ifdef KFL_FAULT_POINTS
struct victim {
    const char *memory, *plan;
    int64_t now_ms;
    int flags;
};

static int die(void *context)
{
    const struct victim *victim = context;
    kfl_store *own = NULL;
    kfl_config *config = config_of(
        WITH("background.threads", "0", "log.cleaner.dedupe.buffer.size", victim->memory));
    if (kfl_store_open(temp_dir_path(), config, &own) < 0 ||
        kfl_store_set_clock(own, victim->now_ms) < 0 || kfl__fault_arm(victim->plan) < 0)
        return 1;
    (void)kfl_topic_compact(own, "t", victim->flags, -1, NULL);
    (void)kfl__fault_arm(NULL);
    kfl_store_close(own);
    return 0;
}

/* A compaction that is killed at a step, if it comes to that one. */
static void kill_one(const char *memory, int64_t now_ms)
{
    static const char *const steps[] = {
        "compact.learned", "compact.listed", "compact.created",       "compact.written",
        "compact.synced",  "compact.told",   "compact.before_commit", "compact.committed",
        "segment.created", "catalog.begun",  "roll.marked",           "seal.committed"};
    char plan[60];
    snprintf(plan, sizeof plan, "%s:%u=kill", steps[pick(12)], 1 + pick(3));
    struct victim victim = {memory, plan, now_ms,
                            KFL_COMPACT_FORCE | (pick(2) ? KFL_COMPACT_ROLL : 0)};
    OK(kfl_store_close(store));
    int status = child_run(die, &victim);
    CHECK(status == 0 || status == -SIGKILL);
    open_model(memory);
    OK(kfl_store_set_clock(store, now_ms));
}
#endif

static void run_one(void)
{
    static const char *const codecs[] = {"producer", "producer", "lz4", "zstd"};
    static const char *const retentions[] = {"0", "1000", "86400000"};
    bool many = pick(24) == 0;
    const char *memory = many || pick(3) == 0 ? "65536" : "1000000", *codec = codecs[pick(4)],
               *retention = retentions[pick(3)];
    uint32_t keys = many ? MOST_KEYS - pick(1000) : 1 + pick(64);
    int64_t now_ms = NOW_MS;
    end = 0;
    key_shape = pick(KEY_SHAPES);
    temp_dir_make();
    open_model(memory);
    OK(kfl_store_set_clock(store, now_ms));
    snprintf(properties, sizeof properties, "codec %s delete.retention.ms %s memory %s keys %u of shape %d",
             codec, retention, memory, keys, (int)key_shape);
    kfl_config *config =
        config_of(WITH("cleanup.policy", "compact", "segment.bytes", "65536", "delete.retention.ms",
                       retention, "min.cleanable.dirty.ratio", pick(2) ? "0.5" : "0"));
    (void)(pick(2) &&
           kfl_config_set(config, "compression.type", codec) < 0); /* perhaps not built */
    OK(kfl_topic_create(store, "t", 1, config));
    kfl_config_destroy(config);
    for (int step = 0, steps = 4 + (int)pick(8); step < steps; step++) {
        kfl_producer *producer = open_producer(NULL);
        for (uint32_t i = 0, count = pick(many ? 500 : 120); i < count; i++)
            append(producer, keys, now_ms);
        OK(kfl_producer_close(producer));
        now_ms += pick(3) == 0 ? 86400000 : pick(2000);
        OK(kfl_store_set_clock(store, now_ms));
        switch (pick(4)) {
        case 0:
            OK(kfl_store_maintain(store, -1, NULL));
            break;
        case 1:
            OK(kfl_topic_compact(store, "t", KFL_COMPACT_FORCE | KFL_COMPACT_ROLL, -1, NULL));
            check_compacted(end);
            break;
#ifdef KFL_FAULT_POINTS
        case 2:
            kill_one(memory, now_ms);
            break;
#endif
        default:
            (void)OK(
                kfl_topic_compact(store, "t", KFL_COMPACT_FORCE, 0, NULL)); /* begun and left */
            break;
        }
        check_any_time();
        CHECK(end_of("t", 0) == end);
        if (pick(3) == 0) {
            OK(kfl_store_close(store));
            open_model(memory);
            OK(kfl_store_set_clock(store, now_ms));
            check_any_time();
        }
    }
    check_times();
    kfl_findings *findings = NULL;
    CHECK(kfl_store_verify(store, NULL, 0, &findings) == 0);
    kfl_findings_release(findings);
    disk_tear_down();
}

START_TEST(what_is_left_is_what_the_model_says)
{
    const char *given = getenv("KAFKALITE_TEST_SEEDS");
    long seeds = given != NULL ? strtol(given, NULL, 10) : 200;
    struct chance all = chance_begin("compact_model");
    if (getenv("KAFKALITE_TEST_SEED") != NULL && given == NULL)
        seeds = 1;
    for (long i = 0; i < seeds; i++) {
        seed = seeds == 1 ? all.state : chance_next(&all);
        chance = (struct chance){seed};
        run_one();
    }
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("compact_model");
    TCase *tests = tcase_create("model");
    tcase_set_timeout(tests, 0);
    tcase_add_test(tests, what_is_left_is_what_the_model_says);
    suite_add_tcase(suite, tests);
    return suite;
}
