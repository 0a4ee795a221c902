/* SPDX-License-Identifier: MIT */
/*
 * Walking a lone segment file: what is there is handed out, what is not is told, and the walk goes
 * on.
 */
#include "../golden/golden_text.h"
#include "base/fault.h"
#include "base/hash.h"
#include "format/batch.h"
#include "format/codec.h"
#include "inspect_fixture.h"
#include "suite.h"

#define GOLDEN KFL_TESTS_SOURCE_ROOT "/tests/golden/format-1/"

static kfl_walk *walk;
static const kfl_batch *batch;

static void forget(void)
{
    kfl_walk_close(walk);
    walk = NULL;
    inspect_tear_down();
}

/* A partition of two files: 40 batches of 2,000 bytes. */
static kfl_segment a_sealed_segment(void)
{
    inspect_topic("t", 1, NULL, NULL);
    inspect_send("t", 0, 40, 2000);
    ck_assert_int_eq(inspect_segment("t", 0, 0).base_offset, 0);
    ck_assert_int_gt(inspect_segment("t", 0, 1).base_offset, 0);
    return inspect_segment("t", 0, 0);
}

/* ---- whole files ---- */

static void tell_records(FILE *to)
{
    kfl_records *records;
    int count = OK(kfl_walk_records(walk, &records));
    ck_assert_int_eq(count, batch->record_count);
    ck_assert_int_eq(kfl_records_count(records), count);
    for (int32_t i = 0; i < count; i++) {
        const kfl_record *record = kfl_records_get(records, i);
        ck_assert_str_eq(record->topic, kfl_walk_topic(walk));
        ck_assert_int_eq(record->partition, kfl_walk_partition(walk));
        if (i == 0)
            ck_assert_int_eq(record->timestamp_ms, batch->base_timestamp_ms);
        text_record(to, record->offset, record->timestamp_ms, record->key, record->key_size,
                    record->value, record->value_size);
        for (int32_t h = 0; h < record->header_count; h++) {
            kfl_header header;
            OK(kfl_record_header(record, h, &header));
            text_header(to, header.name, strlen(header.name), header.value, header.value_size);
        }
    }
    kfl_records_release(records);
}

static const char *const golden_names[] = {"example", "plain", "missing", "lz4", "zstd", "open"};

/*
 * What the text beside a golden file says, but for what a walk does not tell: ids, sizes, kinds of
 * time.
 */
START_TEST(a_golden_file_says_what_its_text_says)
{
    char path[1024], line[1024], *told;
    size_t told_size;
    const char *name = golden_names[_i];
    int codec = kfl__codec_find(name);
    if (codec > 0 && !kfl__codec_is_built(codec))
        return;
    snprintf(path, sizeof path, GOLDEN "%s.log", name);
    OK(kfl_walk_open(path, &walk));
    FILE *to = open_memstream(&told, &told_size);
    int r;
    while ((r = kfl_walk_next(walk, &batch)) == 1) {
        if (batch->kind == KFL_BATCH_END_MARK)
            text_end(to, (uint64_t)batch->place, batch->end_offset, batch->next_segment_id);
        else {
            fprintf(to,
                    "batch at %" PRId64 ": %d from offset %" PRId64 ", epoch %u, durable %" PRId64
                    ", %s\n",
                    batch->place, batch->record_count, batch->base_offset, batch->writer_epoch,
                    batch->durable_offset, kfl__codec_name(batch->codec));
            tell_records(to);
        }
    }
    if (r == KFL_E_CORRUPT)
        text_nothing(to, (uint64_t)kfl_walk_place(walk));
    fclose(to);

    snprintf(path, sizeof path, GOLDEN "%s.txt", name);
    FILE *text = fopen(path, "r");
    ck_assert_ptr_nonnull(text);
    ck_assert_ptr_nonnull(fgets(line, sizeof line, text));
    char *at = told;
    while (fgets(line, sizeof line, text) != NULL) {
        char *kind = strncmp(line, "batch ", 6) == 0 ? strrchr(line, ',') : NULL;
        if (kind != NULL)
            strcpy(kind, "\n");
        ck_assert_msg(strncmp(at, line, strlen(line)) == 0, "expected %s, told %s", line, at);
        at += strlen(line);
    }
    ck_assert_str_eq(at, "");
    fclose(text);
    free(told);
}
END_TEST

START_TEST(a_sealed_segment_is_walked_to_its_end_mark)
{
    kfl_segment segment = a_sealed_segment();
    OK(kfl_walk_open(segment.path, &walk));
    ck_assert_str_eq(kfl_walk_topic(walk), "t");
    ck_assert_int_eq(kfl_walk_partition(walk), 0);
    ck_assert_int_eq(kfl_walk_segment_id(walk), segment.segment_id);
    int64_t offset = 0;
    while (kfl_walk_next(walk, &batch) == 1 && batch->kind == KFL_BATCH_RECORDS) {
        ck_assert_int_eq(batch->base_offset, offset);
        ck_assert_int_eq(batch->base_timestamp_ms, NOW_MS + offset);
        ck_assert_int_eq(batch->max_timestamp_ms, NOW_MS + offset);
        offset++;
    }
    ck_assert_int_eq(batch->kind, KFL_BATCH_END_MARK);
    ck_assert_int_eq(batch->end_offset, segment.end_offset);
    ck_assert_int_eq(batch->place, segment.used_bytes);
    ck_assert_int_eq(batch->next_segment_id, inspect_segment("t", 0, 1).segment_id);
    ck_assert_int_eq(kfl_walk_next(walk, &batch), 0);
    ck_assert_int_eq(kfl_walk_next(walk, &batch), 0);
}
END_TEST

START_TEST(the_active_segment_ends_where_nothing_was_written)
{
    a_sealed_segment();
    kfl_segment active = inspect_segment("t", 0, 1);
    ck_assert_int_eq(active.state, KFL_SEGMENT_ACTIVE);
    OK(kfl_walk_open(active.path, &walk));
    int64_t end = 0;
    while (kfl_walk_next(walk, &batch) == 1)
        end = batch->end_offset;
    ck_assert_int_eq(kfl_walk_next(walk, &batch), 0);
    ck_assert_int_eq(end, 40);
    ck_assert_int_eq(kfl_walk_place(walk), active.used_bytes);
}
END_TEST

START_TEST(records_outlive_walk_and_file)
{
    kfl_segment segment = a_sealed_segment();
    kfl_records *records;
    OK(kfl_walk_open(segment.path, &walk));
    ck_assert_int_eq(kfl_walk_next(walk, &batch), 1);
    ck_assert_int_eq(kfl_walk_records(walk, &records), 1);
    kfl_walk_close(walk);
    walk = NULL;
    ck_assert_int_eq(truncate(segment.path, 0), 0);
    const kfl_record *record = kfl_records_get(records, 0);
    ck_assert_uint_eq(record->key_size, 2);
    ck_assert_mem_eq(record->key, "k0", 2);
    ck_assert_uint_eq(record->value_size, 2000);
    ck_assert_int_eq(((const char *)record->value)[1999], 'v');
    kfl_records_release(records);
}
END_TEST

/* A batch of several windows, behind a small one. */
START_TEST(a_batch_may_be_larger_than_what_is_read_at_once)
{
    kfl_records *records;
    inspect_topic("t", 1, "max.message.bytes", "8000000");
    inspect_send("t", 0, 1, 10);
    inspect_send("t", 0, 1, 5000000);
    inspect_send("t", 0, 1, 10);
    kfl_segment segment = inspect_segment("t", 0, 1);
    OK(kfl_walk_open(segment.path, &walk));
    ck_assert_int_eq(kfl_walk_next(walk, &batch), 1);
    ck_assert_int_eq(batch->base_offset, 1);
    ck_assert_int_gt(batch->size, 5000000);
    ck_assert_int_eq(kfl_walk_records(walk, &records), 1);
    const char *value = kfl_records_get(records, 0)->value;
    ck_assert_uint_eq(kfl_records_get(records, 0)->value_size, 5000000);
    ck_assert_int_eq(value[0], 'v');
    ck_assert_mem_eq(value, value + 1, 5000000 - 1);
    kfl_records_release(records);
}
END_TEST

/* ---- damage ---- */

/* X5, kafka:L4: whichever byte of the batch it is. */
START_TEST(a_flipped_byte_costs_one_batch)
{
    kfl_segment segment = a_sealed_segment();
    kfl_batch third = inspect_batch(segment.path, 3);
    const int64_t places[] = {0,  8,  9,  11, 12, 16, 23,  24,
                              32, 36, 40, 42, 44, 48, 100, third.size - 1};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        int64_t skipped;
        inspect_flip(segment.path, third.place + places[i]);
        OK(kfl_walk_open(segment.path, &walk));
        for (int n = 0; n < 3; n++)
            ck_assert_int_eq(kfl_walk_next(walk, &batch), 1);
        ck_assert_int_eq(kfl_walk_next(walk, &batch), KFL_E_CORRUPT);
        ck_assert_int_eq(kfl_walk_place(walk), third.place);
        ck_assert_int_eq(kfl_last_error_code(), KFL_E_CORRUPT);
        ck_assert_str_eq(kfl_last_error_topic(), "t");
        ck_assert_int_eq(kfl_last_error_offset(), 3);
        ck_assert_str_eq(kfl_last_error_path(), segment.path);
        ck_assert_int_eq(kfl_walk_records(walk, &(kfl_records *){NULL}), KFL_E_INVALID);
        ck_assert_int_eq(kfl_walk_skip(walk, &skipped), 1);
        ck_assert_int_eq(skipped,
                         inspect_batch(segment.path, 2).size > 0 ? (third.size + 7) / 8 * 8 : 0);
        ck_assert_int_eq(kfl_walk_next(walk, &batch), 1);
        ck_assert_int_eq(batch->base_offset, 4);
        int64_t end = batch->end_offset;
        while (kfl_walk_next(walk, &batch) == 1)
            end = batch->end_offset;
        ck_assert_int_eq(end, segment.end_offset);
        kfl_walk_close(walk);
        walk = NULL;
        inspect_flip(segment.path, third.place + places[i]);
    }
}
END_TEST

START_TEST(lost_pages_read_as_zeros_and_are_damage)
{
    static const uint8_t zeros[8192];
    kfl_segment segment = a_sealed_segment();
    int64_t skipped;
    inspect_write(segment.path, 8192, zeros, sizeof zeros);
    OK(kfl_walk_open(segment.path, &walk));
    int r;
    while ((r = kfl_walk_next(walk, &batch)) == 1)
        ;
    ck_assert_int_eq(r, KFL_E_CORRUPT);
    int64_t place = kfl_walk_place(walk);
    ck_assert_int_gt(place, 8192 - 2100);
    ck_assert_int_eq(kfl_walk_skip(walk, &skipped), 1);
    ck_assert_int_eq(kfl_walk_place(walk), place + skipped);
    ck_assert_int_ge(kfl_walk_place(walk), 16384);
    ck_assert_int_lt(kfl_walk_place(walk), 16384 + 2100);
    ck_assert_int_eq(kfl_walk_next(walk, &batch), 1);
}
END_TEST

/* X22: at each length. The bytes are read, not mapped: no signal. */
START_TEST(a_cut_file_is_walked_as_far_as_it_goes)
{
    kfl_segment segment = a_sealed_segment();
    kfl_batch third = inspect_batch(segment.path, 3);
    const int64_t lengths[] = {third.place + third.size - 1,
                               third.place + 60,
                               third.place + 48,
                               third.place + 47,
                               third.place + 8,
                               third.place + 1,
                               third.place};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        ck_assert_int_eq(truncate(segment.path, lengths[i]), 0);
        OK(kfl_walk_open(segment.path, &walk));
        for (int n = 0; n < 3; n++)
            ck_assert_int_eq(kfl_walk_next(walk, &batch), 1);
        ck_assert_int_eq(kfl_walk_next(walk, &batch), KFL_E_CORRUPT);
        int64_t skipped;
        ck_assert_int_eq(kfl_walk_skip(walk, &skipped), 0);
        ck_assert_int_eq(skipped, lengths[i] - third.place);
        kfl_walk_close(walk);
        walk = NULL;
    }
    const int64_t no_header[] = {511, 100, 1, 0};
    for (size_t i = 0; i < sizeof no_header / sizeof *no_header; i++) {
        ck_assert_int_eq(truncate(segment.path, no_header[i]), 0);
        ck_assert_int_eq(kfl_walk_open(segment.path, &walk), KFL_E_CORRUPT);
        ck_assert_ptr_null(walk);
    }
}
END_TEST

START_TEST(a_file_cut_while_it_is_walked_is_damage)
{
    kfl_segment segment = a_sealed_segment();
    inspect_topic("large", 1, "max.message.bytes", "8000000");
    inspect_send("large", 0, 1, 10);
    inspect_send("large", 0, 1, 3000000);
    inspect_send("large", 0, 1, 3000000);
    segment = inspect_segment("large", 0, 1);
    OK(kfl_walk_open(segment.path, &walk));
    ck_assert_int_eq(truncate(segment.path, 1000000), 0);
    ck_assert_int_eq(kfl_walk_next(walk, &batch), KFL_E_CORRUPT);
    ck_assert_ptr_nonnull(strstr(kfl_last_error(), "the file was cut"));
    ck_assert_int_eq(kfl_walk_skip(walk, NULL), 0);
}
END_TEST

START_TEST(batches_of_another_segment_are_no_batches)
{
    kfl_segment segment = a_sealed_segment();
    uint8_t bytes[4096];
    kfl_batch first = inspect_batch(segment.path, 0);
    kfl_batch second = inspect_batch(segment.path, 1);
    ck_assert_int_eq(first.size, second.size);
    int fd = open(segment.path, O_RDONLY);
    ck_assert_int_eq(pread(fd, bytes, (size_t)first.size, first.place), first.size);
    close(fd);
    /* The first one once more, where the second was: a misdirected write. */
    inspect_write(segment.path, second.place, bytes, (size_t)first.size);
    OK(kfl_walk_open(segment.path, &walk));
    ck_assert_int_eq(kfl_walk_next(walk, &batch), 1);
    ck_assert_int_eq(kfl_walk_next(walk, &batch), KFL_E_CORRUPT);
    ck_assert_int_eq(kfl_walk_skip(walk, NULL), 1);
    ck_assert_int_eq(kfl_walk_next(walk, &batch), 1);
    ck_assert_int_eq(batch->base_offset, 2);
}
END_TEST

/*
 * Sealed as the writer of the file could have sealed it, but with an offset that was given before.
 */
START_TEST(a_batch_that_goes_back_is_damage)
{
    kfl_segment segment = a_sealed_segment();
    struct kfl__segment_header header;
    uint8_t bytes[4096];
    kfl_batch fifth = inspect_batch(segment.path, 5);
    int fd = open(segment.path, O_RDONLY);
    ck_assert_int_eq(pread(fd, &header, sizeof header, 0), (ssize_t)sizeof header);
    ck_assert_int_eq(pread(fd, bytes, (size_t)fifth.size, fifth.place), fifth.size);
    close(fd);
    uint32_t payload = (uint32_t)fifth.size - 48;
    const struct kfl__batch_facts facts = {.base_offset = 2,
                                           .max_timestamp_ms = fifth.max_timestamp_ms,
                                           .record_count = 1,
                                           .payload_size = payload,
                                           .unpacked_size = payload,
                                           .writer_epoch = fifth.writer_epoch,
                                           .durable_offset = -1,
                                           .payload_hash = kfl__hash64(bytes + 48, payload)};
    kfl__batch_seal(bytes, &facts, (uint64_t)fifth.place, header.seed);
    inspect_write(segment.path, fifth.place, bytes, (size_t)fifth.size);
    OK(kfl_walk_open(segment.path, &walk));
    for (int n = 0; n < 5; n++)
        ck_assert_int_eq(kfl_walk_next(walk, &batch), 1);
    ck_assert_int_eq(kfl_walk_next(walk, &batch), KFL_E_CORRUPT);
    ck_assert_ptr_nonnull(strstr(kfl_last_error(), "cannot follow"));
    ck_assert_int_eq(kfl_walk_skip(walk, NULL), 1);
    ck_assert_int_eq(kfl_walk_next(walk, &batch), 1);
    ck_assert_int_eq(batch->base_offset, 6);
}
END_TEST

#ifdef KFL_FAULT_POINTS
/* rule:R26: the first reading is of the window, the second of its first page. */
START_TEST(a_page_that_the_device_refuses_costs_its_batches)
{
    kfl_segment segment = a_sealed_segment();
    int64_t skipped;
    OK(kfl_walk_open(segment.path, &walk));
    ck_assert_int_eq(kfl__fault_arm("file.read_at:1=EIO,file.read_at:2=EIO"), 0);
    ck_assert_int_eq(kfl_walk_next(walk, &batch), KFL_E_CORRUPT);
    kfl__fault_arm(NULL);
    ck_assert_ptr_nonnull(strstr(kfl_last_error(), "the device cannot read it"));
    ck_assert_int_eq(kfl_walk_place(walk), 512);
    ck_assert_int_eq(kfl_walk_skip(walk, &skipped), 1);
    ck_assert_int_ge(kfl_walk_place(walk), 4096);
    ck_assert_int_lt(kfl_walk_place(walk), 4096 + 2100);
    ck_assert_int_eq(kfl_walk_next(walk, &batch), 1);
    ck_assert_int_eq(batch->base_offset, 2);
}
END_TEST

START_TEST(a_device_that_answers_the_second_time_costs_nothing)
{
    kfl_segment segment = a_sealed_segment();
    OK(kfl_walk_open(segment.path, &walk));
    ck_assert_int_eq(kfl__fault_arm("file.read_at:1=EIO"), 0);
    ck_assert_int_eq(kfl_walk_next(walk, &batch), 1);
    kfl__fault_arm(NULL);
    ck_assert_int_eq(batch->base_offset, 0);
}
END_TEST
#endif

/* ---- what is no segment ---- */

START_TEST(what_is_no_segment_is_refused)
{
    ck_assert_int_eq(kfl_walk_open(temp_dir_file("nothing"), &walk), KFL_E_NOT_FOUND);
    ck_assert_int_eq(kfl_walk_open(temp_dir_path(), &walk), KFL_E_INVALID);
    ck_assert_int_eq(kfl_walk_open("/dev/null", &walk), KFL_E_INVALID);
    ck_assert_int_eq(kfl_walk_open(temp_dir_file("catalog.mdb"), &walk), KFL_E_CORRUPT);
    ck_assert_int_eq(mkfifo(temp_dir_file("pipe"), 0600), 0);
    ck_assert_int_eq(kfl_walk_open(temp_dir_file("pipe"), &walk), KFL_E_INVALID);
    ck_assert_ptr_null(walk);
}
END_TEST

START_TEST(a_newer_format_is_refused)
{
    kfl_segment segment = a_sealed_segment();
    struct kfl__segment_header header;
    int fd = open(segment.path, O_RDONLY);
    ck_assert_int_eq(pread(fd, &header, sizeof header, 0), (ssize_t)sizeof header);
    close(fd);
    header.format++;
    header.hash = kfl__hash64(&header, offsetof(struct kfl__segment_header, hash));
    inspect_write(segment.path, 0, &header, sizeof header);
    ck_assert_int_eq(kfl_walk_open(segment.path, &walk), KFL_E_VERSION);
    ck_assert_ptr_null(walk);
}
END_TEST

START_TEST(nonsense_is_refused)
{
    ck_assert_int_eq(kfl_walk_open(NULL, &walk), KFL_E_INVALID);
    ck_assert_int_eq(kfl_walk_open("", &walk), KFL_E_INVALID);
    ck_assert_int_eq(kfl_walk_open("x", NULL), KFL_E_INVALID);
    ck_assert_int_eq(kfl_walk_next(NULL, &batch), KFL_E_INVALID);
    ck_assert_int_eq(kfl_walk_skip(NULL, NULL), KFL_E_INVALID);
    ck_assert_int_eq(kfl_walk_records(NULL, &(kfl_records *){NULL}), KFL_E_INVALID);
    ck_assert_int_eq(kfl_walk_place(NULL), -1);
    kfl_walk_close(NULL);
    kfl_segment segment = a_sealed_segment();
    OK(kfl_walk_open(segment.path, &walk));
    ck_assert_int_eq(kfl_walk_next(walk, NULL), KFL_E_INVALID);
    ck_assert_int_eq(kfl_walk_records(walk, &(kfl_records *){NULL}), KFL_E_INVALID);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("walk");
    TCase *whole = tcase_create("whole");
    TCase *damage = tcase_create("damage");
    TCase *refused = tcase_create("refused");
    tcase_add_checked_fixture(whole, inspect_set_up, forget);
    tcase_add_loop_test(whole, a_golden_file_says_what_its_text_says, 0,
                        (int)(sizeof golden_names / sizeof *golden_names));
    tcase_add_test(whole, a_sealed_segment_is_walked_to_its_end_mark);
    tcase_add_test(whole, the_active_segment_ends_where_nothing_was_written);
    tcase_add_test(whole, records_outlive_walk_and_file);
    tcase_add_test(whole, a_batch_may_be_larger_than_what_is_read_at_once);
    tcase_add_checked_fixture(damage, inspect_set_up, forget);
    tcase_add_test(damage, a_flipped_byte_costs_one_batch);
    tcase_add_test(damage, lost_pages_read_as_zeros_and_are_damage);
    tcase_add_test(damage, a_cut_file_is_walked_as_far_as_it_goes);
    tcase_add_test(damage, a_file_cut_while_it_is_walked_is_damage);
    tcase_add_test(damage, batches_of_another_segment_are_no_batches);
    tcase_add_test(damage, a_batch_that_goes_back_is_damage);
#ifdef KFL_FAULT_POINTS
    tcase_add_test(damage, a_page_that_the_device_refuses_costs_its_batches);
    tcase_add_test(damage, a_device_that_answers_the_second_time_costs_nothing);
#endif
    tcase_add_checked_fixture(refused, inspect_set_up, forget);
    tcase_add_test(refused, what_is_no_segment_is_refused);
    tcase_add_test(refused, a_newer_format_is_refused);
    tcase_add_test(refused, nonsense_is_refused);
    suite_add_tcase(suite, whole);
    suite_add_tcase(suite, damage);
    suite_add_tcase(suite, refused);
    return suite;
}
