/* SPDX-License-Identifier: MIT */
/* Who sleeps is woken, and nobody else. */
#include <sched.h>

#include "base/barrier.h"
#include "chance.h"
#include "child.h"
#include "engine/notify.h"
#include "one_partition.h"
#include "suite.h"

/* rule:R5 */
START_TEST(an_append_raises_the_word_of_who_sleeps_and_of_nobody_else)
{
    core_append_run(partition, 0, 1, 100);
    _Atomic uint32_t *word = kfl__notify_word(core);
    uint32_t before = atomic_load(word);
    core_append_run(partition, 1, 2, 100);
    ck_assert_uint_eq(atomic_load(word), before);
    kfl__notify_register(core, partition->slot);
    /* A killed sleeper's bit, too. */
    atomic_fetch_or(&partition->slot->sleepers, UINT32_C(1) << 31);
    core_append_run(partition, 2, 3, 100);
    ck_assert_uint_eq(atomic_load(word), before + 1);
    ck_assert_uint_eq(atomic_load(&partition->slot->sleepers), 0);
    core_append_run(partition, 3, 4, 100);
    ck_assert_uint_eq(atomic_load(word), before + 1);
}
END_TEST

/* rule:R5: bits at many slots, and one who sleeps: one call. */
START_TEST(who_slept_is_woken_by_a_call_once)
{
    core_append_run(partition, 0, 1, 100);
    _Atomic uint32_t *word = kfl__notify_word(core);
    uint32_t value = kfl__notify_begin(core), n = (uint32_t)core->presence.entry % 32;
    ck_assert_uint_eq(value, atomic_load(word));
    ck_assert_uint_eq(atomic_load(&core->shared->arrivals[n].sleeps), 1);
    kfl__notify_register(core, partition->slot);
    core_append_run(partition, 1, 2, 100);
    ck_assert_uint_eq(atomic_load(word), value + 1);
    ck_assert_uint_eq(atomic_load(&core->shared->arrivals[n].sleeps), 0);
    /* A bit that was left behind changes the word, and nobody is said to sleep. */
    kfl__notify_register(core, partition->slot);
    core_append_run(partition, 2, 3, 100);
    ck_assert_uint_eq(atomic_load(word), value + 2);
    ck_assert_uint_eq(atomic_load(&core->shared->arrivals[n].sleeps), 0);
}
END_TEST

#define MEETINGS 3000
#define ALONE 100 /* appends after which the lock is lent again, to who was forgiven its company */
#define JITTER 2000

/* Of a topic with room for all of it. */
static struct kfl__partition *lone_partition(struct kfl__core *of)
{
    struct kfl__partition *lone;
    struct kfl__topic *topic = core_topic(of, "lone", 1, "segment.bytes=67108864");
    assert_ok(kfl__topic_partition(topic, 0, &lone));
    kfl__topic_release(topic); /* the registry's share stays */
    return lone;
}

struct meeting {
    _Atomic int ready, go, appended; /* numbers of meetings */
    _Atomic int lent;
};

static int append_alone(void *context)
{
    struct meeting *meeting = context;
    struct kfl__core *own = NULL;
    struct chance chance = {7};
    kfl__barrier_join();
    if (core_try_open(temp_dir_path(), NULL, &own) < 0)
        return 1;
    struct kfl__partition *to = lone_partition(own);
    for (int number = 1; number <= MEETINGS; number++) {
        atomic_store(&to->slot->append.loan.lone_count, 0);
        for (int i = 0; i < ALONE && !kfl__lendable_is_lent(&to->slot->append); i++)
            if (core_append_alone(to, number) < 0)
                return 2;
        atomic_fetch_add(&meeting->lent, kfl__lendable_is_lent(&to->slot->append) ? 1 : 0);
        atomic_store(&meeting->ready, number);
        while (atomic_load_explicit(&meeting->go, memory_order_acquire) < number)
            kfl__relax();
        for (uint64_t i = chance_below(&chance, JITTER); i > 0; i--)
            atomic_signal_fence(memory_order_seq_cst);
        if (core_append_alone(to, number) < 0)
            return 3;
        atomic_store(&meeting->appended, number);
    }
    core_abandon(own);
    return 0;
}

/* rule:R5, while the lock is lent and its holder appends without a fence: the sleeper sees the record, or is woken. */
START_TEST(who_goes_to_sleep_while_another_appends_alone_misses_nothing)
{
    struct meeting *meeting = child_share(sizeof *meeting);
    struct chance chance = chance_begin("notify");
    _Atomic uint32_t *word = kfl__notify_word(core);
    struct kfl__partition *lone = lone_partition(core);
    pid_t pid = child_start(append_alone, meeting);
    for (int number = 1; number <= MEETINGS; number++) {
        while (atomic_load(&meeting->ready) < number)
            sched_yield();
        int64_t end = kfl__slot_end(lone->slot);
        uint32_t value = kfl__notify_begin(core);
        atomic_store_explicit(&meeting->go, number, memory_order_release);
        for (uint64_t i = chance_below(&chance, JITTER); i > 0; i--)
            atomic_signal_fence(memory_order_seq_cst);
        kfl__notify_fence(kfl__notify_register(core, lone->slot));
        bool seen = kfl__slot_end(lone->slot) > end;
        while (atomic_load(&meeting->appended) < number)
            sched_yield();
        ck_assert_msg(seen || atomic_load(word) != value, "meeting %d", number);
        atomic_store(&lone->slot->sleepers, 0);
    }
    ck_assert_int_eq(child_end(pid), 0);
#if !defined(KFL_THREAD_SANITIZER)
    ck_assert(!kfl__barrier_joined() || atomic_load(&meeting->lent) > MEETINGS / 2);
#endif
    munmap(meeting, sizeof *meeting);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("engine/notify");
    TCase *all = tcase_create("notify");
    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_set_timeout(all, 60);
    tcase_add_test(all, an_append_raises_the_word_of_who_sleeps_and_of_nobody_else);
    tcase_add_test(all, who_slept_is_woken_by_a_call_once);
    tcase_add_test(all, who_goes_to_sleep_while_another_appends_alone_misses_nothing);
    suite_add_tcase(suite, all);
    return suite;
}
