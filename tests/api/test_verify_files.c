/* SPDX-License-Identifier: MIT */
/* Files and signposts that are missing, cut, foreign or damaged: what a check says of each. */
#include "log/index.h"
#include "verify_fixture.h"

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

/*
 * X22: at lengths around the edges of a batch, a page, the end mark. Read, not mapped: no signal.
 */
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

/*
 * It holds what was noted, and would make a reader look for a time behind the record that has it.
 */
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

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("verify_files");
    ADD_CASE(suite, "files", a_missing_file_costs_its_records, a_missing_folder_costs_all_its_files,
             a_cut_sealed_file_costs_what_was_cut_off, a_damaged_header_costs_the_file,
             a_file_of_another_partition_is_not_read_as_ours, what_is_no_plain_file_is_not_opened);
    ADD_CASE(suite, "signposts", signposts_may_be_missing,
             a_signpost_that_leads_to_no_batch_is_told, a_damaged_time_is_told,
             a_time_that_is_too_early_is_told, a_file_that_is_no_index_is_told,
             signposts_into_damage_are_no_fault_of_theirs);
    return suite;
}
