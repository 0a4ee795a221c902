/* SPDX-License-Identifier: MIT */
/* Bytes and batches that are not what they should be: what a check says of each. */
#include "chance.h"
#include "verify_fixture.h"

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
    inspect_send("t", 1, 90, 965); /* 48 + 20 + 3 + 965: hardly any padding */
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

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("verify_damage");
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
    return suite;
}
