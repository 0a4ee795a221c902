/* SPDX-License-Identifier: MIT */
/* What is believed of a tail after a reboot: gaps, proofs, end marks. rule:R22 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "engine/recover.h"
#include "engine/segments.h"
#include "engine/sync.h"
#include "one_partition.h"
#include "suite.h"

#define ROOM(value_size) kfl__batch_room(sizeof(struct kfl__record_head) + (value_size))

/* The n-th file and where record `offset` of equal batches stands in it. */
static int64_t file_of(int64_t offset, uint32_t size, uint64_t *out_place)
{
    struct kfl__view *view = NULL;
    assert_ok(kfl__partition_view(partition, &view));
    int32_t at = kfl__view_find(view, offset);
    int64_t id = view->entries[at].segment_id;
    *out_place = KFL_SEGMENT_FIRST_PLACE + (uint64_t)(offset - view->entries[at].base_offset) * ROOM(size);
    kfl__view_release(view);
    return id;
}

static int64_t first_of_next_file(int64_t offset)
{
    struct kfl__view *view = NULL;
    assert_ok(kfl__partition_view(partition, &view));
    int32_t at = kfl__view_find(view, offset);
    ck_assert_int_lt(at + 1, view->entry_count);
    int64_t base = view->entries[at + 1].base_offset;
    kfl__view_release(view);
    return base;
}

static char spoiled[700];

/* A power cut: what was published and not synced may lie on the disk in any part; `lost` of it does not. */
static void cut_power(int64_t id, uint64_t lost_place, uint64_t lost_size)
{
    snprintf(spoiled, sizeof spoiled, "%s", core_file(partition, id));
    core_abandon(core);
    core_reboot(temp_dir_path());
    if (lost_size > 0)
        core_spoil(spoiled, lost_place, lost_size, 0);
    core = core_open(temp_dir_path(), NULL);
    partition = core_partition(core, NULL);
}

START_TEST(everything_that_lies_there_is_kept)
{
    core_append_run(partition, 0, 100, 3000);
    cut_power(1, 0, 0);
    int64_t holes = 0;
    ck_assert_int_eq(core_read(partition, 0, &holes), 100);
    ck_assert_int_eq(holes, 0);
}
END_TEST

START_TEST(behind_a_gap_without_proof_all_is_cut)
{
    uint64_t place;
    int64_t holes = 0;
    core_append_run(partition, 0, 20, 1000);
    int64_t id = file_of(7, 1000, &place);
    cut_power(id, place, ROOM(1000));
    ck_assert_int_eq(core_read(partition, 0, &holes), 7);
    ck_assert_int_eq(holes, 0);
    /* Nobody sees one of them again, whatever is appended. */
    core_append_run(partition, kfl__slot_end(partition->slot), kfl__slot_end(partition->slot) + 20, 1000);
    ck_assert_int_eq(core_read(partition, 0, NULL), 27);
}
END_TEST

START_TEST(a_gap_below_what_a_later_batch_knew_durable_is_a_hole)
{
    uint64_t place;
    int64_t holes = 0;
    core_append_run(partition, 0, 10, 1000);
    assert_ok(kfl__sync_wait(partition, 10, -1));
    core_append_run(partition, 10, 20, 1000);
    int64_t id = file_of(7, 1000, &place);
    cut_power(id, place, ROOM(1000));
    ck_assert_int_eq(core_read(partition, 0, &holes), 19);
    ck_assert_int_eq(holes, 1);
    core_append_run(partition, kfl__slot_end(partition->slot), kfl__slot_end(partition->slot) + 20, 1000);
    ck_assert_int_eq(core_read(partition, 0, &holes), 39);
    ck_assert_int_eq(holes, 1);
}
END_TEST

START_TEST(the_proof_may_lie_in_another_file)
{
    uint64_t place;
    int64_t holes = 0;
    core_append_run(partition, 0, 15, 3000);
    assert_ok(kfl__sync_wait(partition, 15, -1));
    core_append_run(partition, 15, 60, 3000);
    int64_t next = first_of_next_file(0);
    int64_t id = file_of(7, 3000, &place);
    /* Of the first file, nothing behind the gap is left. */
    cut_power(id, place, 65536 - place);
    int64_t count = core_read(partition, 0, &holes);
    ck_assert_int_eq(holes, next - 7);
    ck_assert_int_eq(count + holes, 60);
}
END_TEST

START_TEST(a_file_is_entered_only_through_the_mark_that_names_it)
{
    uint64_t place;
    int64_t holes = 0;
    core_append_run(partition, 0, 60, 3000);
    int64_t next = first_of_next_file(0);
    int64_t id = file_of(next - 1, 3000, &place);
    cut_power(id, place + ROOM(3000), KFL_END_MARK_SIZE);
    ck_assert_int_eq(core_read(partition, 0, &holes), next);
    ck_assert_int_eq(holes, 0);
}
END_TEST

START_TEST(a_file_is_entered_only_at_exactly_its_first_offset)
{
    uint64_t place;
    int64_t holes = 0;
    core_append_run(partition, 0, 60, 3000);
    int64_t next = first_of_next_file(0);
    int64_t id = file_of(next, 3000, &place);
    ck_assert_uint_eq(place, KFL_SEGMENT_FIRST_PLACE);
    cut_power(id, place, ROOM(3000));
    ck_assert_int_eq(core_read(partition, 0, &holes), next);
    ck_assert_int_eq(holes, 0);
}
END_TEST

/* A file whose first batch verifies, but begins one offset late: something in between is gone. */
START_TEST(a_file_that_begins_late_is_not_entered)
{
    uint64_t place;
    int64_t holes = 0;
    core_append_run(partition, 0, 40, 3000);
    int64_t next = first_of_next_file(0);
    int64_t id = file_of(next, 3000, &place);
    struct kfl__record_head head = {.key_size = -1, .value_size = 0};
    uint8_t batch[sizeof(struct kfl__batch_header) + sizeof head] = {0};
    memcpy(batch + sizeof(struct kfl__batch_header), &head, sizeof head);
    struct kfl__batch_facts facts = {
        .base_offset = next + 1,
        .record_count = 1,
        .payload_size = sizeof head,
        .unpacked_size = sizeof head,
        .writer_epoch = atomic_load(&partition->slot->writer_epoch),
        .durable_offset = -1,
        .payload_hash = kfl__hash64(&head, sizeof head),
    };
    struct kfl__view *view = NULL;
    struct kfl__segment *segment = NULL;
    assert_ok(kfl__partition_view(partition, &view));
    assert_ok(kfl__partition_segment(partition, view, kfl__view_find_segment(view, id), &segment));
    kfl__batch_seal(batch, &facts, KFL_SEGMENT_FIRST_PLACE, segment->seed);
    kfl__segment_release(segment);
    kfl__view_release(view);
    core_spoil(core_file(partition, id), KFL_SEGMENT_FIRST_PLACE, 0, 0);
    FILE *file = fopen(core_file(partition, id), "r+");
    ck_assert_int_eq(fseek(file, KFL_SEGMENT_FIRST_PLACE, SEEK_SET), 0);
    ck_assert_uint_eq(fwrite(batch, 1, sizeof batch, file), sizeof batch);
    fclose(file);
    cut_power(id, 0, 0);
    ck_assert_int_eq(core_read(partition, 0, &holes), next);
    ck_assert_int_eq(holes, 0);
}
END_TEST

START_TEST(a_file_in_the_middle_that_is_lost_ends_the_walk)
{
    uint64_t place;
    int64_t holes = 0;
    core_append_run(partition, 0, 100, 3000);
    int64_t next = first_of_next_file(0);
    int64_t id = file_of(next, 3000, &place);
    snprintf(spoiled, sizeof spoiled, "%s", core_file(partition, id));
    core_abandon(core);
    core_reboot(temp_dir_path());
    ck_assert_int_eq(unlink(spoiled), 0);
    core = core_open(temp_dir_path(), NULL);
    partition = core_partition(core, NULL);
    ck_assert_int_eq(core_read(partition, 0, &holes), next);
    ck_assert_int_eq(holes, 0);
    core_append_run(partition, kfl__slot_end(partition->slot), kfl__slot_end(partition->slot) + 30, 3000);
    ck_assert_int_eq(core_read(partition, 0, &holes), next + 30);
}
END_TEST

START_TEST(a_tail_that_ends_where_it_was_durable_keeps_its_file)
{
    struct kfl__partition_row row;
    core_append_run(partition, 0, 10, 1000);
    assert_ok(kfl__sync_wait(partition, 10, -1));
    int64_t id = atomic_load(&partition->slot->active.id);
    assert_ok(core_note_durable(partition));
    cut_power(id, 0, 0);
    ck_assert_int_eq(atomic_load(&partition->slot->active.id), id);
    assert_ok(core_partition_row(partition, &row));
    ck_assert_int_eq(row.durable_segment, id);
    core_append_run(partition, kfl__slot_end(partition->slot), kfl__slot_end(partition->slot) + 5, 1000);
    ck_assert_int_eq(core_read(partition, 0, NULL), 15);
    /* And once more, from a place in the middle of it, with a gap in the offsets. */
    cut_power(id, 0, 0);
    ck_assert_int_eq(core_read(partition, 0, NULL), 15);
}
END_TEST

/* Recovery that is cut short by further power cuts loses nothing and gives nothing twice. */
START_TEST(many_lives_of_a_few_records)
{
    int64_t count = 0, end = 0;
    for (int life = 0; life < 12; life++) {
        ck_assert_int_ge(kfl__slot_end(partition->slot), end);
        end = kfl__slot_end(partition->slot);
        core_append_run(partition, end, end + 7, 3000);
        count += 7;
        end += 7;
        if (life % 3 == 0)
            assert_ok(kfl__sync_wait(partition, end, -1));
        cut_power(1, 0, 0);
        ck_assert_int_eq(core_read(partition, 0, NULL), count);
    }
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("engine/tail");
    TCase *walks = tcase_create("walks");
    tcase_add_checked_fixture(walks, set_up, tear_down);
    tcase_set_timeout(walks, 60);
    tcase_add_test(walks, everything_that_lies_there_is_kept);
    tcase_add_test(walks, behind_a_gap_without_proof_all_is_cut);
    tcase_add_test(walks, a_gap_below_what_a_later_batch_knew_durable_is_a_hole);
    tcase_add_test(walks, the_proof_may_lie_in_another_file);
    tcase_add_test(walks, a_file_is_entered_only_through_the_mark_that_names_it);
    tcase_add_test(walks, a_file_is_entered_only_at_exactly_its_first_offset);
    tcase_add_test(walks, a_file_that_begins_late_is_not_entered);
    tcase_add_test(walks, a_file_in_the_middle_that_is_lost_ends_the_walk);
    tcase_add_test(walks, a_tail_that_ends_where_it_was_durable_keeps_its_file);
    tcase_add_test(walks, many_lives_of_a_few_records);
    suite_add_tcase(suite, walks);
    return suite;
}
