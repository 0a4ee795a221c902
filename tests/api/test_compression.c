/* SPDX-License-Identifier: MIT */
/* Codecs: whose word counts, and that nothing but the bytes changes. */
#include "chance.h"
#include "store_fixture.h"

enum { CODEC_NONE = 0, CODEC_LZ4 = 3, CODEC_ZSTD = 4 };

/* The codec of the last batch of a partition, by a walk over its newest file. */
static int32_t last_codec(const char *topic)
{
    kfl_segments *segments;
    const kfl_batch *batch;
    kfl_walk *walk;
    int32_t codec = -1;
    OK(kfl_store_sync(store, -1));
    OK(kfl_segments_list(store, topic, 0, &segments));
    for (int32_t i = 0; i < kfl_segments_count(segments); i++) {
        const kfl_segment *segment = kfl_segments_get(segments, i);
        if (segment->state == KFL_SEGMENT_PREPARED)
            continue;
        OK(kfl_walk_open(segment->path, &walk));
        while (kfl_walk_next(walk, &batch) == 1)
            if (batch->kind == KFL_BATCH_RECORDS)
                codec = batch->codec;
        kfl_walk_close(walk);
    }
    kfl_segments_release(segments);
    return codec;
}

static void send_compressible(kfl_producer *producer, const char *topic)
{
    char value[2000];
    memset(value, 'x', sizeof value);
    OK(kfl_producer_send(producer, topic, 0, NULL, 0, value, sizeof value, NULL, 0, 1, NULL));
}

/* kafka:B15 */
START_TEST(topic_and_producer_agree_on_a_codec)
{
    static const struct {
        const char *topic, *producer;
        int32_t codec;
    } cases[] = {
        {"producer", "none", CODEC_NONE}, {"producer", "lz4", CODEC_LZ4},
        {"producer", "zstd", CODEC_ZSTD}, {"producer", "producer", CODEC_NONE},
        {"none", "lz4", CODEC_NONE},      {"uncompressed", "zstd", CODEC_NONE},
        {"lz4", "none", CODEC_LZ4},       {"lz4", "zstd", CODEC_LZ4},
        {"zstd", "lz4", CODEC_ZSTD},      {"zstd", "none", CODEC_ZSTD},
    };
    kfl_producer *producer = open_producer(WITH("compression.type", cases[_i].producer));
    make_topic("t", 1, WITH("compression.type", cases[_i].topic));
    send_compressible(producer, "t");
    ck_assert_int_eq(last_codec("t"), cases[_i].codec);
    OK(kfl_producer_close(producer));
}
END_TEST

/* kafka:B15 */
START_TEST(compression_changes_nothing_but_the_bytes)
{
    static const char *const types[] = {"none", "lz4", "zstd"};
    kfl_producer *producer = open_producer(
        WITH("compression.type", types[_i], "linger.ms", "3600000", "batch.size", "50000"));
    kfl_header headers[2] = {{"a", "1", 1}, {"b", NULL, 0}};
    kfl_consumer *consumer = open_consumer(NULL);
    kfl_records *records;
    char key[16], value[400];
    make_topic("t", 1, NULL);
    memset(value, 'v', sizeof value);
    for (int i = 0; i < 300; i++) {
        snprintf(key, sizeof key, "k%d", i);
        OK(kfl_producer_send(producer, "t", 0, i % 5 == 0 ? NULL : key,
                             i % 5 == 0 ? 0 : strlen(key), i % 7 == 0 ? NULL : value,
                             i % 7 == 0 ? 0 : (size_t)i, headers, (size_t)(i % 3), 5000 - i, NULL));
    }
    OK(kfl_producer_flush(producer, -1));
    ck_assert_int_lt(stat_of("appended_batches_total", "t", 0), 5);
    assign_at(consumer, "t", 0, 0);
    ck_assert_int_eq(OK(kfl_consumer_poll(consumer, 0, 1000, &records)), 300);
    for (int32_t i = 0; i < 300; i++) {
        const kfl_record *record = kfl_records_get(records, i);
        snprintf(key, sizeof key, "k%d", i);
        ck_assert_int_eq(record->offset, i);
        ck_assert_int_eq(record->timestamp_ms, 5000 - i);
        check_bytes(record->key, record->key_size, i % 5 == 0 ? NULL : key);
        ck_assert_int_eq(record->value == NULL, i % 7 == 0);
        ck_assert_uint_eq(record->value_size, i % 7 == 0 ? 0 : (size_t)i);
        ck_assert(record->value_size == 0 || memcmp(record->value, value, record->value_size) == 0);
        ck_assert_int_eq(record->header_count, i % 3);
        for (int32_t n = 0; n < record->header_count; n++) {
            kfl_header header;
            OK(kfl_record_header(record, n, &header));
            ck_assert_str_eq(header.name, headers[n].name);
            ck_assert_int_eq(header.value == NULL, n == 1);
        }
    }
    kfl_records_release(records);
    OK(kfl_consumer_close(consumer));
    OK(kfl_producer_close(producer));
}
END_TEST

START_TEST(it_saves_bytes)
{
    kfl_producer *plain = open_producer(NULL),
                 *packs = open_producer(WITH("compression.type", "zstd"));
    make_topic("plain", 1, NULL);
    make_topic("packed", 1, NULL);
    send_compressible(plain, "plain");
    send_compressible(packs, "packed");
    ck_assert_int_lt(stat_of("appended_bytes_total", "packed", 0) * 5,
                     stat_of("appended_bytes_total", "plain", 0));
    OK(kfl_producer_close(plain));
    OK(kfl_producer_close(packs));
}
END_TEST

/* What does not become smaller is left as it is. */
START_TEST(what_cannot_be_compressed_is_not)
{
    struct chance chance = chance_begin("what_cannot_be_compressed_is_not");
    kfl_producer *producer = open_producer(WITH("compression.type", _i == 0 ? "lz4" : "zstd"));
    kfl_records *records;
    char value[10000];
    chance_fill(&chance, value, sizeof value);
    make_topic("t", 1, NULL);
    OK(kfl_producer_send(producer, "t", 0, NULL, 0, value, sizeof value, NULL, 0, 1, NULL));
    ck_assert_int_eq(last_codec("t"), CODEC_NONE);
    kfl_consumer *consumer = open_consumer(NULL);
    assign_at(consumer, "t", 0, 0);
    ck_assert_mem_eq(poll_one(consumer, &records)->value, value, sizeof value);
    kfl_records_release(records);
    OK(kfl_consumer_close(consumer));
    OK(kfl_producer_close(producer));
}
END_TEST

START_TEST(codecs_may_be_mixed_in_one_partition)
{
    static const char *const types[] = {"none", "lz4", "zstd"};
    make_topic("t", 1, NULL);
    for (int i = 0; i < 30; i++) {
        kfl_producer *producer = open_producer(WITH("compression.type", types[i % 3]));
        send_batch(producer, "t", 0, 50);
        OK(kfl_producer_close(producer));
    }
    kfl_consumer *consumer = open_consumer(NULL);
    assign_at(consumer, "t", 0, 0);
    ck_assert_int_eq(read_on(consumer, 0), 1500);
    /* kafka:G5: times inside compressed batches. */
    for (int64_t i = 0; i < 1500; i += 77) {
        int64_t offset, time;
        ck_assert_int_eq(OK(kfl_topic_offset_for_time(store, "t", 0, NOW_MS + i, &offset, &time)),
                         1);
        ck_assert_int_eq(offset, i);
        ck_assert_int_eq(time, NOW_MS + i);
    }
    OK(kfl_consumer_close(consumer));
}
END_TEST

START_TEST(an_unknown_codec_is_refused)
{
    kfl_config *config;
    OK(kfl_config_create(&config));
    FAILS(KFL_E_BAD_VALUE, kfl_config_set(config, "compression.type", "gzip"));
    ck_assert_ptr_nonnull(strstr(kfl_last_error(), "lz4"));
    kfl_config_destroy(config);
    make_topic("t", 1, NULL);
    FAILS(KFL_E_BAD_VALUE, kfl_topic_set(store, "t", "compression.type", "snappy"));
}
END_TEST

/* With acks=all, by the other way into the file. */
START_TEST(compressed_and_durable)
{
    kfl_producer *producer = open_producer(WITH("compression.type", "zstd", "acks", "all"));
    kfl_consumer *consumer = open_consumer(WITH("read.durable", "true"));
    make_topic("t", 1, NULL);
    send_batch(producer, "t", 0, 200);
    assign_at(consumer, "t", 0, 0);
    ck_assert_int_eq(read_on(consumer, 0), 200);
    OK(kfl_consumer_close(consumer));
    OK(kfl_producer_close(producer));
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("compression");
    TCase *tests = tcase_create("compression");
    tcase_add_checked_fixture(tests, memory_set_up, memory_tear_down);
    tcase_add_loop_test(tests, topic_and_producer_agree_on_a_codec, 0, 10);
    tcase_add_loop_test(tests, compression_changes_nothing_but_the_bytes, 0, 3);
    tcase_add_test(tests, it_saves_bytes);
    tcase_add_loop_test(tests, what_cannot_be_compressed_is_not, 0, 2);
    tcase_add_test(tests, codecs_may_be_mixed_in_one_partition);
    tcase_add_test(tests, an_unknown_codec_is_refused);
    tcase_add_test(tests, compressed_and_durable);
    suite_add_tcase(suite, tests);
    return suite;
}
