/* SPDX-License-Identifier: MIT */
#include "state/slot.h"

#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "suite.h"

static struct kfl__slot *slot;

static void set_up(void)
{
    slot = aligned_alloc(_Alignof(struct kfl__slot), sizeof *slot);
    ck_assert_ptr_nonnull(slot);
    memset(slot, 0xa5, sizeof *slot);
}

static void tear_down(void)
{
    free(slot);
}

/* rule:R1 */
START_TEST(a_word_keeps_segment_and_place)
{
    uint64_t word = kfl__word(7, 4096);
    ck_assert_uint_eq(kfl__word_ordinal(word), 7);
    ck_assert_uint_eq(kfl__word_place(word), 4096);
    uint64_t largest = (uint64_t)UINT32_MAX * 8;
    word = kfl__word((int64_t)1 << 32 | 5, largest);
    ck_assert_uint_eq(kfl__word_ordinal(word), 5);
    ck_assert_uint_eq(kfl__word_place(word), largest);
}
END_TEST

START_TEST(a_cleared_slot_is_zero_where_nothing_else_is_said)
{
    kfl__slot_clear(slot);
    ck_assert_int_eq(slot->active_first_timestamp_ms, -1);
    ck_assert_int_eq(slot->sync_target, -1);

    slot->active_first_timestamp_ms = 0;
    slot->sync_target = 0;
    memset(&slot->append, 0, sizeof slot->append);
    memset(&slot->sync, 0, sizeof slot->sync);
    memset(&slot->prepare, 0, sizeof slot->prepare);
    const char *bytes = (const char *)slot;
    for (size_t place = 0; place < sizeof *slot; place++)
        ck_assert_msg(bytes[place] == 0, "byte %zu is %d", place, bytes[place]);
}
END_TEST

START_TEST(a_cleared_slot_has_free_locks)
{
    kfl__slot_clear(slot);
    ck_assert_int_eq(kfl__robust_trylock(&slot->prepare, KFL_RANK_PREPARE), 0);
    ck_assert_int_eq(kfl__lendable_trylock(&slot->append, KFL_RANK_APPEND), 0);
    ck_assert_int_eq(kfl__robust_trylock(&slot->sync, KFL_RANK_SYNC), 0);
    kfl__robust_unlock(&slot->sync, KFL_RANK_SYNC);
    kfl__lendable_unlock(&slot->append, KFL_RANK_APPEND);
    kfl__robust_unlock(&slot->prepare, KFL_RANK_PREPARE);
}
END_TEST

/* rule:R21 */
START_TEST(a_slot_belongs_to_one_incarnation)
{
    kfl__slot_clear(slot);
    ck_assert(!kfl__slot_is(slot, 9, 0, 0));
    slot->partition = 3;
    slot->incarnation = 2;
    slot->topic_id = 9;
    ck_assert(kfl__slot_is(slot, 9, 3, 2));
    ck_assert(!kfl__slot_is(slot, 8, 3, 2));
    ck_assert(!kfl__slot_is(slot, 9, 4, 2));
    ck_assert(!kfl__slot_is(slot, 9, 3, 3));
    slot->deleted = 1;
    ck_assert(!kfl__slot_is(slot, 9, 3, 2));
    slot->deleted = 0;
    kfl__slot_clear(slot);
    ck_assert(!kfl__slot_is(slot, 9, 3, 2));
}
END_TEST

/* The places of words that different sides write, in lines of the cache. */
START_TEST(writers_readers_and_sleepers_do_not_share_lines)
{
#define LINE(member) (offsetof(struct kfl__slot, member) / KFL_CACHE_LINE)
    ck_assert_uint_ne(LINE(topic_id), LINE(append));
    ck_assert_uint_ne(LINE(append), LINE(published));
    ck_assert_uint_ne(LINE(map_written_at_ns), LINE(published));
    ck_assert_uint_eq(LINE(published), LINE(end_offset));
    ck_assert_uint_ne(LINE(end_offset), LINE(sleepers));
    ck_assert_uint_ne(LINE(sleepers), LINE(sync));
    ck_assert_uint_ne(LINE(unsynced_since_ns), LINE(prepare));
    /* A reader that stands at the end looks at these two. */
    ck_assert_uint_eq(LINE(published), LINE(manifest_version));
    ck_assert_uint_ne(LINE(start_offset), LINE(appended_records));
    ck_assert_uint_eq(sizeof(struct kfl__slot) % KFL_CACHE_LINE, 0);
#undef LINE
}
END_TEST

/* As an append publishes, up to and without the given step; place n goes with end offset 3 n. */
static void publish(int64_t n, int steps)
{
    uint64_t word = kfl__word(1, (uint64_t)n * 8);
    if (steps > 0)
        atomic_store_explicit(&slot->pending_word, word, memory_order_release);
    if (steps > 1)
        atomic_store_explicit(&slot->pending_end_offset, 3 * n, memory_order_release);
    if (steps > 2)
        atomic_store_explicit(&slot->published, word, memory_order_release);
    if (steps > 3)
        atomic_store_explicit(&slot->end_offset, 3 * n, memory_order_release);
}

/* rule:R1 rule:R2: whoever dies between two of the stores leaves a tail that can be read. */
START_TEST(the_tail_is_that_before_or_after_an_append)
{
    for (int steps = 0; steps <= 4; steps++) {
        uint64_t word;
        int64_t end;
        kfl__slot_clear(slot);
        publish(70, 4);
        publish(71, steps);
        kfl__slot_tail(slot, &word, &end);
        int64_t n = steps < 3 ? 70 : 71;
        ck_assert_uint_eq(word, kfl__word(1, (uint64_t)n * 8));
        ck_assert_int_eq(end, 3 * n);
    }
}
END_TEST

#define TAIL_APPENDS 200000
static void *append_many(void *context)
{
    (void)context;
    for (int64_t n = 1; n <= TAIL_APPENDS; n++)
        publish(n, 4);
    return NULL;
}

START_TEST(the_tail_is_a_pair_of_one_moment)
{
    pthread_t thread;
    int64_t n = 0, wrong = 0;
    kfl__slot_clear(slot);
    publish(0, 4);
    ck_assert_int_eq(pthread_create(&thread, NULL, append_many, NULL), 0);
    while (n < TAIL_APPENDS) {
        uint64_t word;
        int64_t end;
        kfl__slot_tail(slot, &word, &end);
        int64_t at = (int64_t)kfl__word_place(word) / 8;
        wrong += end != 3 * at || at < n;
        n = at;
    }
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(wrong, 0);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("slot");
    TCase *tcase = tcase_create("slot");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_word_keeps_segment_and_place);
    tcase_add_test(tcase, a_cleared_slot_is_zero_where_nothing_else_is_said);
    tcase_add_test(tcase, a_cleared_slot_has_free_locks);
    tcase_add_test(tcase, a_slot_belongs_to_one_incarnation);
    tcase_add_test(tcase, writers_readers_and_sleepers_do_not_share_lines);
    tcase_add_test(tcase, the_tail_is_that_before_or_after_an_append);
    tcase_add_test(tcase, the_tail_is_a_pair_of_one_moment);
    suite_add_tcase(suite, tcase);
    return suite;
}
