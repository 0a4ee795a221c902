/* SPDX-License-Identifier: MIT */
/* What a check finds, of each kind of damage, and that it finds nothing where nothing is wrong. */
#include <ftw.h>
#include <signal.h>

#include "api/store.h"
#include "base/hash.h"
#include "catalog/offsets.h"
#include "catalog/segments.h"
#include "chance.h"
#include "child.h"
#include "format/batch.h"
#include "format/codec.h"
#include "inspect_fixture.h"
#include "log/index.h"
#include "suite.h"

static kfl_findings *findings;

static void forget(void)
{
    kfl_findings_release(findings);
    findings = NULL;
    inspect_tear_down();
}

static int verify(const char *topic, int quick)
{
    kfl_findings_release(findings);
    findings = NULL;
    return OK(kfl_store_verify(store, topic, quick, &findings));
}

static void expect_nothing(void)
{
    int count = verify(NULL, 0);
    ck_assert_msg(count == 0, "%d: %s", count,
                  count == 0 ? "" : kfl_findings_get(findings, 0)->text);
}

/* The only one. */
static const kfl_finding *expect_one(int quick, int32_t kind, const char *topic, int32_t partition,
                                     const char *path)
{
    int count = verify(NULL, quick);
    ck_assert_msg(count == 1, "%d findings: %s", count,
                  count == 0 ? "none" : kfl_findings_get(findings, count - 1)->text);
    const kfl_finding *finding = kfl_findings_get(findings, 0);
    ck_assert_msg(finding->kind == kind, "%d: %s", finding->kind, finding->text);
    ck_assert_str_eq(finding->topic, topic);
    ck_assert_int_eq(finding->partition, partition);
    ck_assert_str_eq(finding->path, path);
    ck_assert_int_gt((int)strlen(finding->text), 0);
    return finding;
}

/* Topic t, partition 1: three files and more, some sealed, of 1,000-byte values; others stand beside. */
#define RECORDS 200
static void fill(void)
{
    inspect_topic("s", 1, NULL, NULL);
    inspect_topic("t", 3, NULL, NULL);
    inspect_send("s", 0, 20, 100);
    inspect_send("t", 1, RECORDS, 1000);
    inspect_send("t", 2, 5, 10);
    OK(kfl_store_sync(store, -1));
    OK(kfl_store_maintain(store, 1000));
}

static kfl_segment file(int32_t index)
{
    return inspect_segment("t", 1, index);
}

static kfl_segment active_file(void)
{
    for (int32_t i = 0;; i++)
        if (file(i).state == KFL_SEGMENT_ACTIVE)
            return file(i);
}

static struct kfl__segment_header header_of(const char *path)
{
    struct kfl__segment_header header;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(pread(fd, &header, sizeof header, 0), (ssize_t)sizeof header);
    close(fd);
    return header;
}

/* Another batch in the place of one, sealed so that it verifies. */
static void forge(const char *path, kfl_batch batch, int64_t base_offset, uint32_t writer_epoch,
                  uint16_t flags, int fill_with)
{
    uint8_t bytes[4096];
    uint32_t payload = (uint32_t)batch.size - 48;
    ck_assert_int_le(batch.size, (int64_t)sizeof bytes);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(pread(fd, bytes, (size_t)batch.size, batch.place), batch.size);
    close(fd);
    if (fill_with >= 0)
        memset(bytes + 48, fill_with, payload);
    const struct kfl__batch_facts facts = {.base_offset = base_offset,
                                           .max_timestamp_ms = batch.max_timestamp_ms,
                                           .record_count = 1,
                                           .payload_size = payload,
                                           .unpacked_size = payload,
                                           .writer_epoch = writer_epoch,
                                           .flags = flags,
                                           .durable_offset = -1,
                                           .payload_hash = kfl__hash64(bytes + 48, payload)};
    kfl__batch_seal(bytes, &facts, (uint64_t)batch.place, header_of(path).seed);
    inspect_write(path, batch.place, bytes, (size_t)batch.size);
}

/* ---- all is well ---- */

START_TEST(an_empty_store_is_well)
{
    expect_nothing();
    inspect_topic("t", 3, NULL, NULL);
    expect_nothing();
    ck_assert_int_eq(kfl_findings_checked_records(findings), 0);
    ck_assert_int_eq(kfl_findings_checked_bytes(findings), 0);
}
END_TEST

START_TEST(a_whole_store_is_well_and_all_of_it_is_read)
{
    fill();
    expect_nothing();
    ck_assert_int_eq(kfl_findings_checked_records(findings), 20 + RECORDS + 5);
    ck_assert_int_gt(kfl_findings_checked_bytes(findings), RECORDS * 1000);
    ck_assert_int_eq(verify("s", 0), 0);
    ck_assert_int_eq(kfl_findings_checked_records(findings), 20);
    ck_assert_int_eq(verify(NULL, 1), 0);
    ck_assert_int_eq(kfl_findings_checked_records(findings), 0);
    inspect_reopen();
    expect_nothing();
    ck_assert_int_eq(kfl_findings_checked_records(findings), 20 + RECORDS + 5);
}
END_TEST

/* Before anything is synced, sealed or maintained, at each length. */
START_TEST(at_any_time_a_store_is_well)
{
    inspect_topic("t", 1, NULL, NULL);
    for (int i = 1; i <= 150; i++) {
        inspect_send("t", 0, 1, 1500);
        if (i % 29 == 0)
            OK(kfl_store_maintain(store, 1000));
        if (i % 37 == 0)
            inspect_reopen();
        expect_nothing();
        ck_assert_int_eq(kfl_findings_checked_records(findings), i);
    }
}
END_TEST

START_TEST(compressed_batches_are_unpacked_and_checked)
{
    static const char *const names[] = {"lz4", "zstd"};
    if (!kfl__codec_is_built(kfl__codec_find(names[_i])))
        return;
    inspect_topic("t", 1, "compression.type", names[_i]);
    inspect_send("t", 0, 50, 2000);
    kfl_segment segment = inspect_segment("t", 0, 0);
    kfl_batch batch = inspect_batch(segment.path, 10);
    ck_assert_int_eq(batch.codec, kfl__codec_find(names[_i]));
    ck_assert_int_eq(batch.base_timestamp_ms, NOW_MS + 10);
    expect_nothing();
    ck_assert_int_eq(kfl_findings_checked_records(findings), 50);
    /* X48: what does not unpack, under a hash that fits. */
    forge(segment.path, batch, batch.base_offset, batch.writer_epoch, (uint16_t)batch.codec, 0xee);
    const kfl_finding *finding = expect_one(0, KFL_FINDING_DAMAGE, "t", 0, segment.path);
    ck_assert_int_eq(finding->offset, 10);
    ck_assert_int_eq(finding->end_offset, 11);
}
END_TEST

/* All files but those that every process writes to: the lock table, and what is true now. */
static uint64_t files_hash;
static int files_count;
static int add_file(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    const char *name = path + walk->base;
    if (kind != FTW_F || strcmp(name, "state") == 0 || strcmp(name, "catalog.mdb-lock") == 0)
        return 0;
    uint8_t *bytes = malloc((size_t)status->st_size + 1);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(read(fd, bytes, (size_t)status->st_size), status->st_size);
    close(fd);
    uint64_t seed = kfl__hash64(path, strlen(path)) + (uint64_t)status->st_mtim.tv_nsec;
    files_hash += kfl__hash64_seeded(bytes, (size_t)status->st_size, seed);
    files_count++;
    free(bytes);
    return 0;
}

static uint64_t hash_of_files(void)
{
    files_hash = 0;
    files_count = 0;
    ck_assert_int_eq(nftw(temp_dir_path(), add_file, 16, FTW_PHYS), 0);
    ck_assert_int_gt(files_count, 5);
    return files_hash;
}

START_TEST(nothing_is_changed)
{
    fill();
    inspect_flip(file(0).path, inspect_batch(file(0).path, 3).place + 60);
    uint64_t before = hash_of_files();
    verify(NULL, 0);
    verify(NULL, 1);
    ck_assert_uint_eq(hash_of_files(), before);
    inspect_flip(file(0).path, 513);
    ck_assert_uint_ne(hash_of_files(), before);
}
END_TEST

/* ---- bytes ---- */

/* X5, kafka:L4: one finding, with the records that it costs; what lies behind is read. */
START_TEST(a_flipped_byte_in_a_sealed_segment_costs_its_batch)
{
    fill();
    kfl_segment sealed = file(0);
    kfl_batch batch = inspect_batch(sealed.path, 7);
    const int64_t places[] = {0, 8, 11, 12, 16, 24, 32, 40, 42, 48, batch.size - 1};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        inspect_flip(sealed.path, batch.place + places[i]);
        const kfl_finding *finding = expect_one(0, KFL_FINDING_DAMAGE, "t", 1, sealed.path);
        ck_assert_int_eq(finding->offset, 7);
        ck_assert_int_eq(finding->end_offset, 8);
        ck_assert_int_eq(finding->place, batch.place);
        ck_assert_int_eq(kfl_findings_checked_records(findings), 20 + RECORDS + 5 - 1);
        ck_assert_int_eq(verify(NULL, 1), 0); /* headers and lists only */
        inspect_flip(sealed.path, batch.place + places[i]);
    }
    expect_nothing();
}
END_TEST

/* X42: each damaged place is told; the other partitions are well. */
START_TEST(each_damaged_place_is_told_by_itself)
{
    fill();
    ck_assert_int_ge(inspect_segment_count("t", 1), 4);
    for (int32_t i = 0; i < 3; i++) {
        int64_t second = inspect_batch(file(i).path, 2).place;
        if (i == 1)
            inspect_flip(file(i).path, inspect_batch(file(i).path, 4).place + 50);
        inspect_flip(file(i).path, second + 50);
    }
    ck_assert_int_eq(verify(NULL, 0), 4);
    int64_t after = -1;
    for (int32_t i = 0; i < 4; i++) {
        const kfl_finding *finding = kfl_findings_get(findings, i);
        ck_assert_int_eq(finding->kind, KFL_FINDING_DAMAGE);
        ck_assert_int_eq(finding->partition, 1);
        ck_assert_int_eq(finding->end_offset, finding->offset + 1);
        ck_assert_int_gt(finding->offset, after);
        after = finding->offset;
    }
    ck_assert_int_eq(kfl_findings_checked_records(findings), 20 + RECORDS + 5 - 4);
    ck_assert_int_eq(verify("s", 0), 0);
}
END_TEST

/* All but the first one on a page that is gone. */
START_TEST(a_lost_page_costs_the_batches_that_lay_in_it)
{
    static const uint8_t zeros[4096];
    fill();
    kfl_segment sealed = file(1);
    inspect_write(sealed.path, 8192, zeros, sizeof zeros);
    const kfl_finding *finding = expect_one(0, KFL_FINDING_DAMAGE, "t", 1, sealed.path);
    ck_assert_int_gt(finding->offset, sealed.base_offset);
    ck_assert_int_ge(finding->end_offset, finding->offset + 4);
    ck_assert_int_le(finding->end_offset, finding->offset + 6);
    ck_assert_int_eq(kfl_findings_checked_records(findings),
                     20 + RECORDS + 5 - (finding->end_offset - finding->offset));
}
END_TEST

/* The last batch of a file: the hole ends where the next file begins. */
START_TEST(damage_at_the_end_of_a_file_ends_with_it)
{
    fill();
    kfl_segment first = file(0);
    kfl_batch last = inspect_batch(first.path, (int)first.end_offset - 1);
    inspect_flip(first.path, last.place + 9);
    const kfl_finding *finding = expect_one(0, KFL_FINDING_DAMAGE, "t", 1, first.path);
    ck_assert_int_eq(finding->offset, first.end_offset - 1);
    ck_assert_int_eq(finding->end_offset, first.end_offset);
}
END_TEST

START_TEST(a_damaged_end_mark_costs_no_record)
{
    inspect_topic("t", 3, NULL, NULL);
    inspect_send("t", 1, 100,
                 1000); /* rolled, and not yet sealed: the mark is what ends the file */
    kfl_segment first = file(0);
    inspect_flip(first.path, first.used_bytes + 20);
    const kfl_finding *finding = expect_one(0, KFL_FINDING_DAMAGE, "t", 1, first.path);
    ck_assert_int_eq(finding->offset, -1);
    ck_assert_int_eq(finding->place, first.used_bytes);
    ck_assert_int_eq(kfl_findings_checked_records(findings), 100);
}
END_TEST

START_TEST(what_lies_above_the_published_place_is_not_looked_at)
{
    uint8_t junk[100];
    fill();
    kfl_segment active = active_file();
    memset(junk, 0x5a, sizeof junk);
    inspect_write(active.path, active.used_bytes, junk, sizeof junk);
    inspect_write(active.path, active.size_bytes - 100, junk, sizeof junk);
    expect_nothing();
    inspect_flip(active.path, active.used_bytes - 10);
    ck_assert_int_eq(expect_one(0, KFL_FINDING_DAMAGE, "t", 1, active.path)->end_offset, RECORDS);
}
END_TEST

/* Wherever it falls: only the padding between batches is under no checksum. */
START_TEST(no_flipped_byte_that_counts_goes_unseen)
{
    struct chance chance = chance_begin("no_flipped_byte_that_counts_goes_unseen");
    inspect_topic("t", 3, NULL, NULL);
    inspect_send("t", 1, 90, 965); /* 48 + 24 + 3 + 965: hardly any padding */
    kfl_segment sealed = file(0);
    for (int i = 0; i < 150; i++) {
        int64_t place = 512 + (int64_t)chance_below(&chance, (uint64_t)sealed.used_bytes - 512);
        kfl_walk *walk;
        const kfl_batch *batch;
        int64_t behind = 512;
        OK(kfl_walk_open(sealed.path, &walk));
        while (behind <= place && kfl_walk_next(walk, &batch) == 1)
            behind = batch->place + batch->size;
        bool padding = place < batch->place;
        kfl_walk_close(walk);
        inspect_flip(sealed.path, place);
        int count = verify("t", 0);
        ck_assert_msg(count == (padding ? 0 : 1), "place %" PRId64, place);
        inspect_flip(sealed.path, place);
    }
}
END_TEST

/* X48: the hash is right, since a hostile writer knows the seed; what is under it is no record. */
START_TEST(a_batch_that_verifies_but_holds_no_record_is_damage)
{
    static const int fills[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
    fill();
    kfl_segment sealed = file(0);
    kfl_batch batch = inspect_batch(sealed.path, 5);
    for (size_t i = 0; i < sizeof fills / sizeof *fills; i++) {
        forge(sealed.path, batch, batch.base_offset, batch.writer_epoch, 0, fills[i]);
        const kfl_finding *finding = expect_one(0, KFL_FINDING_DAMAGE, "t", 1, sealed.path);
        ck_assert_int_eq(finding->offset, 5);
        ck_assert_int_eq(finding->end_offset, 6);
        ck_assert_int_eq(finding->place, batch.place);
    }
}
END_TEST

/* ---- order ---- */

START_TEST(offsets_that_go_back_are_out_of_order)
{
    fill();
    kfl_segment sealed = file(0);
    kfl_batch batch = inspect_batch(sealed.path, 5);
    forge(sealed.path, batch, 3, batch.writer_epoch, 0, -1);
    const kfl_finding *finding = expect_one(0, KFL_FINDING_ORDER, "t", 1, sealed.path);
    ck_assert_int_eq(finding->offset, 3);
    ck_assert_int_eq(finding->place, batch.place);
}
END_TEST

/* rule:R2 */
START_TEST(writer_epochs_that_fall_within_a_file_are_out_of_order)
{
    fill();
    kfl_segment sealed = file(0);
    kfl_batch batch = inspect_batch(sealed.path, 5);
    ck_assert_uint_gt(batch.writer_epoch, 0);
    forge(sealed.path, batch, batch.base_offset, batch.writer_epoch - 1, 0, -1);
    const kfl_finding *finding = expect_one(0, KFL_FINDING_ORDER, "t", 1, sealed.path);
    ck_assert_int_eq(finding->offset, 5);
    ck_assert_int_eq(finding->place, batch.place);
}
END_TEST

START_TEST(more_records_than_the_list_says_are_out_of_order)
{
    fill();
    kfl_segment sealed = file(0);
    ck_assert_int_eq(sealed.state, KFL_SEGMENT_SEALED);
    kfl_batch last = inspect_batch(sealed.path, (int)sealed.end_offset - 1);
    forge(sealed.path, last, last.base_offset + 10, last.writer_epoch, 0, -1);
    verify("t", 0);
    ck_assert_int_ge(kfl_findings_count(findings), 1);
    for (int32_t i = 0; i < kfl_findings_count(findings); i++)
        ck_assert_int_eq(kfl_findings_get(findings, i)->kind, KFL_FINDING_ORDER);
}
END_TEST

/* rule:R3 */
START_TEST(an_end_mark_that_names_another_file_is_out_of_order)
{
    uint8_t mark[48];
    inspect_topic("t", 3, NULL, NULL);
    inspect_send("t", 1, 200, 1000);
    kfl_segment first = file(0);
    kfl_batch end = inspect_batch(first.path, (int)first.end_offset);
    ck_assert_int_eq(end.kind, KFL_BATCH_END_MARK);
    kfl__batch_seal_end(mark, end.end_offset, file(2).segment_id, end.writer_epoch, -1,
                        (uint64_t)end.place, header_of(first.path).seed);
    inspect_write(first.path, end.place, mark, sizeof mark);
    const kfl_finding *finding = expect_one(0, KFL_FINDING_ORDER, "t", 1, first.path);
    ck_assert_int_eq(finding->place, end.place);
    ck_assert_int_eq(finding->offset, end.end_offset);
}
END_TEST

/* ---- files ---- */

/* rule:R27: missing, and the list still has it. */
START_TEST(a_missing_file_costs_its_records)
{
    for (int quick = 0; quick < 2; quick++) {
        if (quick == 0)
            fill();
        kfl_segment gone = file(1);
        if (quick == 0)
            ck_assert_int_eq(unlink(gone.path), 0);
        const kfl_finding *finding = expect_one(quick, KFL_FINDING_MISSING_FILE, "t", 1, gone.path);
        ck_assert_int_eq(finding->offset, gone.base_offset);
        ck_assert_int_eq(finding->end_offset, gone.end_offset);
    }
}
END_TEST

START_TEST(a_missing_folder_costs_all_its_files)
{
    char away[1100];
    fill();
    int32_t count = inspect_segment_count("t", 1);
    kfl_segment first = file(0);
    char *slash = strrchr((char *)(uintptr_t)first.path, '/');
    *slash = '\0';
    snprintf(away, sizeof away, "%s.away", first.path);
    ck_assert_int_eq(rename(first.path, away), 0);
    ck_assert_int_eq(verify(NULL, 0), count);
    for (int32_t i = 0; i < count; i++)
        ck_assert_int_eq(kfl_findings_get(findings, i)->kind, KFL_FINDING_MISSING_FILE);
}
END_TEST

/* X22: at lengths around the edges of a batch, a page, the end mark. Read, not mapped: no signal. */
START_TEST(a_cut_sealed_file_costs_what_was_cut_off)
{
    fill();
    kfl_segment sealed = file(0);
    kfl_batch batch = inspect_batch(sealed.path, 20);
    const int64_t lengths[] = {sealed.size_bytes - 1,
                               sealed.used_bytes,
                               sealed.used_bytes - 1,
                               40960,
                               batch.place + batch.size,
                               batch.place + 50,
                               batch.place + 48,
                               batch.place + 47,
                               batch.place,
                               560,
                               512};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        ck_assert_int_eq(truncate(sealed.path, lengths[i]), 0);
        const kfl_finding *finding = expect_one(0, KFL_FINDING_DAMAGE, "t", 1, sealed.path);
        ck_assert_ptr_nonnull(strstr(finding->text, "the file was cut"));
        int64_t lost = 0;
        if (lengths[i] > sealed.used_bytes - KFL_BATCH_ALIGNMENT) {
            ck_assert_int_eq(finding->offset, -1); /* at most padding */
        } else {
            ck_assert_int_eq(finding->end_offset, sealed.end_offset);
            lost = finding->end_offset - finding->offset;
            ck_assert_int_gt(lost, 0);
        }
        ck_assert_int_eq(kfl_findings_checked_records(findings), 20 + RECORDS + 5 - lost);
        finding = expect_one(1, KFL_FINDING_DAMAGE, "t", 1, sealed.path);
        ck_assert_int_eq(finding->place, lengths[i]);
    }
    const int64_t no_header[] = {511, 1, 0};
    for (size_t i = 0; i < sizeof no_header / sizeof *no_header; i++) {
        ck_assert_int_eq(truncate(sealed.path, no_header[i]), 0);
        const kfl_finding *finding = expect_one(i % 2, KFL_FINDING_DAMAGE, "t", 1, sealed.path);
        ck_assert_int_eq(finding->offset, 0);
        ck_assert_int_eq(finding->end_offset, sealed.end_offset);
    }
}
END_TEST

START_TEST(a_damaged_header_costs_the_file)
{
    fill();
    kfl_segment sealed = file(1);
    const int64_t places[] = {0, 8, 12, 24, 40, 56, 64, 80, 88, 300, 511};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        inspect_flip(sealed.path, places[i]);
        const kfl_finding *finding =
            expect_one((int)i % 2, KFL_FINDING_DAMAGE, "t", 1, sealed.path);
        ck_assert_int_eq(finding->offset, sealed.base_offset);
        ck_assert_int_eq(finding->end_offset, sealed.end_offset);
        inspect_flip(sealed.path, places[i]);
    }
}
END_TEST

START_TEST(a_file_of_another_partition_is_not_read_as_ours)
{
    fill();
    kfl_segment ours = file(0);
    char path[1024];
    snprintf(path, sizeof path, "%s", ours.path);
    kfl_segment theirs = inspect_segment("s", 0, 0);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(link(theirs.path, path), 0);
    const kfl_finding *finding = expect_one(0, KFL_FINDING_DAMAGE, "t", 1, path);
    ck_assert_ptr_nonnull(strstr(finding->text, "another"));
    ck_assert_int_eq(finding->offset, 0);
    ck_assert_int_eq(finding->end_offset, ours.end_offset);
    ck_assert_int_eq(kfl_findings_checked_records(findings), 20 + RECORDS + 5 - ours.end_offset);
}
END_TEST

/* What stands there is not what was made: no hang, no following. */
START_TEST(what_is_no_plain_file_is_not_opened)
{
    fill();
    kfl_segment sealed = file(0);
    for (int i = 0; i < 3; i++) {
        char away[1100];
        snprintf(away, sizeof away, "%s/away", temp_dir_path());
        if (i == 0)
            ck_assert_int_eq(rename(sealed.path, away), 0);
        else
            ck_assert_int_eq(remove(sealed.path), 0);
        ck_assert_int_eq(i == 0   ? symlink(away, sealed.path)
                         : i == 1 ? mkfifo(sealed.path, 0600)
                                  : mkdir(sealed.path, 0700),
                         0);
        expect_one(0, KFL_FINDING_DAMAGE, "t", 1, sealed.path);
    }
}
END_TEST

/* ---- signposts ---- */

START_TEST(signposts_may_be_missing)
{
    fill();
    for (int32_t i = 0; i < inspect_segment_count("t", 1); i++) {
        ck_assert_int_eq(unlink(inspect_sibling(file(i).path, ".offsets")), 0);
        ck_assert_int_eq(unlink(inspect_sibling(file(i).path, ".times")), 0);
    }
    expect_nothing();
}
END_TEST

START_TEST(a_signpost_that_leads_to_no_batch_is_told)
{
    fill();
    kfl_segment sealed = file(0);
    const char *path = inspect_sibling(sealed.path, ".offsets");
    inspect_flip(path, 4 * 10);
    const kfl_finding *finding = expect_one(0, KFL_FINDING_INDEX, "t", 1, path);
    ck_assert_ptr_nonnull(strstr(finding->text, "1 of "));
    ck_assert_int_eq(finding->offset, -1);
    ck_assert_int_eq(kfl_findings_checked_records(findings), 20 + RECORDS + 5);
}
END_TEST

START_TEST(a_damaged_time_is_told)
{
    fill();
    kfl_segment sealed = file(0);
    const char *path = inspect_sibling(sealed.path, ".times");
    for (int place = 0; place < 16; place += 5) {
        inspect_flip(path, 16 * 2 + place);
        expect_one(0, KFL_FINDING_INDEX, "t", 1, path);
        inspect_flip(path, 16 * 2 + place);
    }
    inspect_flip(path, 16 * 2);
    expect_one(1, KFL_FINDING_INDEX, "t", 1, path);
}
END_TEST

/* It holds what was noted, and would make a reader look for a time behind the record that has it. */
START_TEST(a_time_that_is_too_early_is_told)
{
    fill();
    kfl_segment sealed = file(0);
    const char *path = inspect_sibling(sealed.path, ".times");
    struct kfl__time_signpost entries[3] = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(pread(fd, entries, sizeof entries, 0), (ssize_t)sizeof entries);
    close(fd);
    struct kfl__index index = {
        .bytes = (uint8_t *)entries, .size = sizeof entries, .writable = true};
    kfl__index_note_time(&index, 2, entries[2].max_timestamp_ms - 1,
                         (uint64_t)entries[2].place_eighth * 8, header_of(sealed.path).seed);
    inspect_write(path, 0, entries, sizeof entries);
    expect_one(0, KFL_FINDING_INDEX, "t", 1, path);
}
END_TEST

START_TEST(a_file_that_is_no_index_is_told)
{
    static const char *const suffixes[] = {".offsets", ".times"};
    static const uint8_t junk[64] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 7, 7, 7, 7,
                                     7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7};
    fill();
    kfl_segment sealed = file(0);
    for (int i = 0; i < 2; i++) {
        const char *path = inspect_sibling(sealed.path, suffixes[i]);
        struct stat before;
        ck_assert_int_eq(stat(path, &before), 0);
        ck_assert_int_eq(truncate(path, 0), 0);
        expect_one(0, KFL_FINDING_INDEX, "t", 1, path);
        ck_assert_int_eq(truncate(path, 4095), 0);
        expect_one(1, KFL_FINDING_INDEX, "t", 1, path);
        ck_assert_int_eq(truncate(path, before.st_size), 0);
        inspect_write(path, 0, junk, sizeof junk);
        expect_one(0, KFL_FINDING_INDEX, "t", 1, path);
        ck_assert_int_eq(unlink(path), 0);
        expect_nothing();
    }
}
END_TEST

/* The batch is told, not the signpost that leads to it. */
START_TEST(signposts_into_damage_are_no_fault_of_theirs)
{
    fill();
    kfl_segment sealed = file(0);
    int64_t place = inspect_batch(sealed.path, 3).place;
    for (int i = 0; i < 8; i++)
        inspect_flip(sealed.path, place + 1040 * i + 60);
    ck_assert_int_ge(verify("t", 0), 1);
    for (int32_t i = 0; i < kfl_findings_count(findings); i++)
        ck_assert_int_eq(kfl_findings_get(findings, i)->kind, KFL_FINDING_DAMAGE);
}
END_TEST

/* ---- the catalog ---- */

struct commit {
    uint64_t topic_id;
    int32_t partition;
    int64_t offset;
};

static int put_commit(struct kfl__catalog_txn *txn, void *context)
{
    const struct commit *commit = context;
    const struct kfl__offset_row row = {.offset = commit->offset, .commit_ms = NOW_MS};
    return kfl__offsets_put(txn, "g", commit->topic_id, commit->partition, &row);
}

/* rule:R8 */
START_TEST(a_commit_above_the_end_is_told)
{
    fill();
    struct kfl__topic *topic;
    OK(kfl__topic_find(store->core, "t", &topic));
    struct commit commit = {topic->id, 1, RECORDS};
    kfl__topic_release(topic);
    OK(kfl__catalog_change_run(store->core->catalog, put_commit, &commit));
    expect_nothing();
    commit.offset++;
    OK(kfl__catalog_change_run(store->core->catalog, put_commit, &commit));
    const kfl_finding *finding = expect_one(1, KFL_FINDING_CATALOG, "t", 1, "");
    ck_assert_int_eq(finding->offset, RECORDS + 1);
}
END_TEST

struct row_change {
    uint64_t topic_id;
    int64_t segment_id;
};

static int change_seed(struct kfl__catalog_txn *txn, void *context)
{
    const struct row_change *change = context;
    struct kfl__segment_row row;
    int r = kfl__segments_get(txn, change->topic_id, 1, change->segment_id, &row);
    row.seed ^= 1;
    return r < 0 ? r : kfl__segments_put(txn, change->topic_id, 1, &row);
}

START_TEST(a_row_that_does_not_agree_with_its_file_is_told)
{
    fill();
    struct kfl__topic *topic;
    OK(kfl__topic_find(store->core, "t", &topic));
    kfl_segment sealed = file(0);
    struct row_change change = {topic->id, sealed.segment_id};
    kfl__topic_release(topic);
    OK(kfl__catalog_change_run(store->core->catalog, change_seed, &change));
    expect_one(0, KFL_FINDING_CATALOG, "t", 1, sealed.path);
    ck_assert_int_eq(kfl_findings_checked_records(findings), 20 + RECORDS + 5);
}
END_TEST

/* ---- others ---- */

static int append_and_be_killed(void *context)
{
    int told = *(int *)context;
    store = NULL;
    kfl_producer *producer;
    int64_t offset;
    char value[700] = {0};
    if (kfl_store_open(temp_dir_path(), NULL, &store) < 0 ||
        kfl_producer_open(store, NULL, &producer) < 0)
        return 1;
    for (int i = 0;; i++) {
        if (kfl_producer_send(producer, "t", 0, "k", 1, value, (size_t)(i % 700), NULL, 0,
                              NOW_MS + i, &offset) < 0)
            return 2;
        if (i == 300 && write(told, "!", 1) != 1)
            return 3;
    }
}

/* rule:R1 rule:R27: while another process appends, rolls and is killed, and this one deletes. */
START_TEST(others_may_append_roll_and_delete_meanwhile)
{
    int told[2];
    char byte;
    int64_t end, start;
    inspect_topic("t", 1, NULL, NULL);
    OK(kfl_store_close(store));
    ck_assert_int_eq(pipe(told), 0);
    pid_t pid = child_start(append_and_be_killed, &told[1]);
    ck_assert_int_eq(read(told[0], &byte, 1), 1);
    store = inspect_open(NULL, NULL);
    for (int i = 0; i < 30; i++) {
        expect_nothing();
        OK(kfl_topic_end_offset(store, "t", 0, &end));
        if (i % 4 == 0)
            OK(kfl_topic_delete_records(store, "t", 0, end - 100, &start));
    }
    kill(pid, SIGKILL);
    ck_assert_int_eq(child_end(pid), -SIGKILL);
    expect_nothing();
    inspect_send("t", 0, 10, 100);
    expect_nothing();
    inspect_reopen();
    expect_nothing();
}
END_TEST

/* A reader beside a dead writer: it mends nothing, and what it checks is what it would read. */
START_TEST(a_reader_may_check_what_a_killed_process_left)
{
    int told[2];
    char byte;
    inspect_topic("t", 1, NULL, NULL);
    OK(kfl_store_close(store));
    ck_assert_int_eq(pipe(told), 0);
    pid_t pid = child_start(append_and_be_killed, &told[1]);
    ck_assert_int_eq(read(told[0], &byte, 1), 1);
    kill(pid, SIGKILL);
    ck_assert_int_eq(child_end(pid), -SIGKILL);
    uint64_t before = hash_of_files();
    store = inspect_open("read.only", "true");
    expect_nothing();
    ck_assert_int_ge(kfl_findings_checked_records(findings), 300);
    ck_assert_uint_eq(hash_of_files(), before);
}
END_TEST

START_TEST(nonsense_is_refused)
{
    ck_assert_int_eq(kfl_store_verify(NULL, NULL, 0, &findings), KFL_E_INVALID);
    ck_assert_int_eq(kfl_store_verify(store, NULL, 0, NULL), KFL_E_INVALID);
    ck_assert_int_eq(kfl_store_verify(store, "none", 0, &findings),
                     KFL_E_UNKNOWN_TOPIC_OR_PARTITION);
    ck_assert_int_eq(kfl_store_verify(store, "../t", 0, &findings), KFL_E_INVALID_TOPIC);
    ck_assert_ptr_null(findings);
    ck_assert_int_eq(kfl_findings_count(NULL), 0);
    ck_assert_ptr_null(kfl_findings_get(NULL, 0));
    ck_assert_int_eq(kfl_findings_checked_records(NULL), 0);
    ck_assert_int_eq(kfl_findings_checked_bytes(NULL), 0);
    kfl_findings_release(NULL);
    expect_nothing();
    ck_assert_ptr_null(kfl_findings_get(findings, 0));
    ck_assert_ptr_null(kfl_findings_get(findings, -1));
}
END_TEST

static void add_case(Suite *suite, const char *name, const TTest *const *tests, int count)
{
    TCase *tcase = tcase_create(name);
    tcase_add_checked_fixture(tcase, inspect_set_up, forget);
    tcase_set_timeout(tcase, 30);
    for (int i = 0; i < count; i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
}
#define ADD_CASE(suite, name, ...)                                                                 \
    add_case(suite, name, (const TTest *const[]){__VA_ARGS__},                                     \
             (int)(sizeof(const TTest *const[]){__VA_ARGS__} / sizeof(TTest *)))

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("verify");
    ADD_CASE(suite, "well", an_empty_store_is_well, a_whole_store_is_well_and_all_of_it_is_read,
             at_any_time_a_store_is_well, nothing_is_changed);
    TCase *codecs = tcase_create("codecs");
    tcase_add_checked_fixture(codecs, inspect_set_up, forget);
    tcase_add_loop_test(codecs, compressed_batches_are_unpacked_and_checked, 0, 2);
    suite_add_tcase(suite, codecs);
    ADD_CASE(suite, "bytes", a_flipped_byte_in_a_sealed_segment_costs_its_batch,
             each_damaged_place_is_told_by_itself, a_lost_page_costs_the_batches_that_lay_in_it,
             damage_at_the_end_of_a_file_ends_with_it, a_damaged_end_mark_costs_no_record,
             what_lies_above_the_published_place_is_not_looked_at,
             no_flipped_byte_that_counts_goes_unseen,
             a_batch_that_verifies_but_holds_no_record_is_damage);
    ADD_CASE(suite, "order", offsets_that_go_back_are_out_of_order,
             writer_epochs_that_fall_within_a_file_are_out_of_order,
             more_records_than_the_list_says_are_out_of_order,
             an_end_mark_that_names_another_file_is_out_of_order);
    ADD_CASE(suite, "files", a_missing_file_costs_its_records, a_missing_folder_costs_all_its_files,
             a_cut_sealed_file_costs_what_was_cut_off, a_damaged_header_costs_the_file,
             a_file_of_another_partition_is_not_read_as_ours, what_is_no_plain_file_is_not_opened);
    ADD_CASE(suite, "signposts", signposts_may_be_missing,
             a_signpost_that_leads_to_no_batch_is_told, a_damaged_time_is_told,
             a_time_that_is_too_early_is_told, a_file_that_is_no_index_is_told,
             signposts_into_damage_are_no_fault_of_theirs);
    ADD_CASE(suite, "catalog", a_commit_above_the_end_is_told,
             a_row_that_does_not_agree_with_its_file_is_told);
    ADD_CASE(suite, "others", others_may_append_roll_and_delete_meanwhile,
             a_reader_may_check_what_a_killed_process_left, nonsense_is_refused);
    return suite;
}
