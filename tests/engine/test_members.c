/* SPDX-License-Identifier: MIT */
/*
 * Random schedules of a group against a model: members join, leave, die, hang, pause, change what they
 * read, while topics grow, go and come, and commits are tried by who owns a partition and by who does
 * not. KAFKALITE_TEST_SEED gives the first schedule, KAFKALITE_GROUP_SCHEDULES how many there are.
 */
#include "quick_asserts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chance.h"
#include "core.h"
#include "engine/departures.h"
#include "engine/members.h"
#include "suite.h"
#include "temp_dir.h"

enum { MEMBERS = 6, TOPICS = 3, STEPS = 80, PARTITIONS_MAX = 6 };

static struct kfl__core *core;
static struct chance chance;
static char group_name[40];
static uint64_t seed;

/* A member, as its consumer would see itself. */
struct sim {
    bool lives; /* it may call: perhaps the group has forgotten it */
    char id[KFL_MEMBER_ID_MAX + 1];
    char instance[8];
    uint32_t seat;
    uint64_t seat_owner;
    struct kfl__places held;    /* taken, not yet given up */
    struct kfl__places revoked; /* told; let go by the next step */
    struct kfl__places let_go;  /* not held any more, on their way back to the group */
};
static struct sim sims[MEMBERS];
static struct {
    char name[40];
    int32_t partitions; /* 0: not there */
} topics[TOPICS];
static int64_t now_ms;

static void set_up(void)
{
    temp_dir_make();
    core = core_open(temp_dir_path(), NULL);
}

static void tear_down(void)
{
    core_abandon(core);
    temp_dir_remove();
}

static void sim_forget(struct sim *sim)
{
    kfl__places_free(&sim->held);
    kfl__places_free(&sim->revoked);
    kfl__places_free(&sim->let_go);
    *sim = (struct sim){0};
}

/* ---- what the catalog says ---- */

static int load(struct kfl__catalog_txn *txn, void *context)
{
    struct kfl__group **group = context;
    return kfl__group_load(txn, group_name, group);
}

static struct kfl__group *rows(void)
{
    struct kfl__group *group = NULL;
    assert_ok(kfl__catalog_look(core->catalog, load, &group));
    return group;
}

/* No partition has two owners, and whoever lives holds only what its row says. */
static void check(const char *after)
{
    struct kfl__group *group = rows();
    struct kfl__places all = {0};
    for (size_t i = 0; i < group->count; i++)
        for (size_t j = 0; j < group->members[i]->owned.count; j++) {
            const struct kfl__place *place = &group->members[i]->owned.rows[j];
            ck_assert_msg(!kfl__places_have(&all, place),
                          "seed %" PRIu64 " after %s: %" PRIu64 "/%d has two owners", seed, after,
                          place->topic_id, place->partition);
            assert_ok(kfl__places_add(&all, place));
        }
    kfl__places_free(&all);
    for (int i = 0; i < MEMBERS; i++) {
        struct kfl__member *row = sims[i].lives ? kfl__group_find_member(group, sims[i].id) : NULL;
        for (size_t j = 0; row != NULL && j < sims[i].held.count; j++)
            ck_assert_msg(kfl__places_have(&row->owned, &sims[i].held.rows[j]),
                          "seed %" PRIu64 " after %s: member %s holds what it does not own", seed,
                          after, sims[i].id);
    }
    kfl__group_destroy(group);
}

/* ---- what happens ---- */

static void wish_topics(char *text, size_t size)
{
    text[0] = '\0';
    for (int i = 0; i < TOPICS; i++)
        if (chance_below(&chance, 3) != 0)
            snprintf(text + strlen(text), size - strlen(text), "%s%s", text[0] != '\0' ? "\n" : "",
                     topics[i].name);
    if (text[0] == '\0')
        snprintf(text, size, "%s", topics[0].name);
}

static void do_join(struct sim *sim, bool again)
{
    static const char *const assignors[] = {"range,cooperative-sticky", "cooperative-sticky,range",
                                            "sticky,range", "roundrobin,range"};
    char names[200], pattern[60];
    struct kfl__member_view view = {0};
    wish_topics(names, sizeof names);
    snprintf(pattern, sizeof pattern, "%.30s.*", group_name);
    bool by_pattern = chance_below(&chance, 4) == 0;
    struct kfl__member_wish wish = {
        .group = group_name,
        .member_id = again ? sim->id : "",
        .instance_id = sim->instance,
        .client_id = "",
        .assignors = assignors[chance_below(&chance, 4)],
        .topics = by_pattern ? "" : names,
        .pattern = by_pattern ? pattern : "",
        .session_timeout_ms = 1000,
    };
    int r = kfl__members_join(core, &wish, &view);
    if (again && (r == KFL_E_UNKNOWN_MEMBER_ID || r == KFL_E_FENCED_INSTANCE_ID)) {
        sim_forget(sim);
        return;
    }
    assert_ok(r);
    sim->lives = true;
    memcpy(sim->id, view.id, sizeof sim->id);
    sim->seat = (uint32_t)view.seat;
    sim->seat_owner = view.seat_owner;
    kfl__member_view_free(&view);
}

/* Half of them have an instance id, of which there are few: newer ones take the place of older ones. */
static void do_begin(struct sim *sim)
{
    if (chance_below(&chance, 2) == 0)
        snprintf(sim->instance, sizeof sim->instance, "i%d", (int)chance_below(&chance, 3));
    do_join(sim, false);
}

/* One poll: as api/follow does it. */
static bool do_step(struct sim *sim)
{
    struct kfl__member_view view = {0};
    bool moved = sim->revoked.count > 0 || sim->let_go.count > 0;
    for (size_t i = 0; i < sim->revoked.count; i++) {
        kfl__places_remove(&sim->held, &sim->revoked.rows[i]);
        assert_ok(kfl__places_add(&sim->let_go, &sim->revoked.rows[i]));
    }
    sim->revoked.count = 0;
    /* Until that is given up a consumer reads, and does not look at the rows. */
    if (moved && chance_below(&chance, 2) == 0)
        return true;
    if (moved)
        assert_ok(kfl__members_release(core, group_name, sim->id, &sim->let_go));
    sim->let_go.count = 0;
    assert_ok(kfl__members_sync_topics(core, group_name));
    int r = kfl__members_look(core, group_name, sim->id, sim->instance, &view);
    if (r == KFL_E_UNKNOWN_MEMBER_ID || r == KFL_E_FENCED_INSTANCE_ID) {
        sim_forget(sim);
        return true;
    }
    assert_ok(r);
    bool away = view.away;
    for (size_t i = 0; i < view.owned.count; i++) {
        const struct kfl__place *place = &view.owned.rows[i];
        bool wanted = kfl__places_have(&view.target, place);
        if (wanted && !kfl__places_have(&sim->held, place))
            moved = true;
        if (wanted)
            assert_ok(kfl__places_add(&sim->held, place));
        else
            assert_ok(kfl__places_add(&sim->revoked, place));
    }
    moved = moved || sim->revoked.count > 0 || away;
    kfl__member_view_free(&view);
    if (away)
        do_join(sim, true);
    else
        atomic_store(&kfl__state_seats(core->state)[sim->seat].deadline_ns, INT64_MAX);
    return moved;
}

static int kill_row(struct kfl__catalog_txn *txn, void *context)
{
    struct kfl__group *group = NULL;
    int r = kfl__group_load(txn, group_name, &group);
    struct kfl__member *member = r < 0 ? NULL : kfl__group_find_member(group, context);
    if (member != NULL) {
        member->session ^= 2; /* the opening of a process that is gone */
        member->changed = true;
        r = kfl__group_save(txn, group);
    }
    kfl__group_destroy(group);
    return r;
}

static void do_kill(struct sim *sim)
{
    assert_ok(kfl__catalog_change_run(core->catalog, kill_row, sim->id));
    sim_forget(sim);
}

static void do_hang(struct sim *sim)
{
    struct kfl__seat *seat = &kfl__state_seats(core->state)[sim->seat];
    if (kfl__seat_is(seat, sim->seat_owner))
        atomic_store(&seat->deadline_ns, 1);
}

static void do_topics(void)
{
    int i = (int)chance_below(&chance, TOPICS);
    if (topics[i].partitions == 0) {
        topics[i].partitions = 1 + (int32_t)chance_below(&chance, PARTITIONS_MAX - 1);
        assert_ok(kfl__topics_make(core, topics[i].name, topics[i].partitions, NULL));
    } else if (topics[i].partitions < PARTITIONS_MAX && chance_below(&chance, 2) == 0) {
        assert_ok(kfl__topics_add_partitions(core, topics[i].name, ++topics[i].partitions));
    } else {
        assert_ok(kfl__topics_remove(core, topics[i].name));
        topics[i].partitions = 0;
    }
}

/* Whoever owns it may commit, nobody else, and least of all who is no member. */
static void do_commit(const struct sim *sim)
{
    int i = (int)chance_below(&chance, TOPICS);
    struct kfl__topic *topic = NULL;
    struct kfl__group_item item = {0};
    if (topics[i].partitions == 0)
        return;
    assert_ok(kfl__topic_find(core, topics[i].name, &topic));
    assert_ok(kfl__topic_partition(
        topic, (int32_t)chance_below(&chance, (uint64_t)topics[i].partitions), &item.partition));
    struct kfl__group *group = rows();
    struct kfl__place place = {topic->id, item.partition->number};
    const struct kfl__member *row = kfl__group_find_member(group, sim->id);
    bool owns = row != NULL && kfl__places_have(&row->owned, &place);
    int r = kfl__group_commit(core, group_name, sim->id, sim->instance, &item, 1);
    if (owns)
        assert_ok(r);
    else
        ck_assert_msg(r == (row != NULL ? KFL_E_ILLEGAL_GENERATION : KFL_E_UNKNOWN_MEMBER_ID) ||
                          r == KFL_E_FENCED_INSTANCE_ID,
                      "seed %" PRIu64 ": a commit of a stranger: %s", seed, kfl_error_name(r));
    kfl__group_destroy(group);
    r = kfl__group_commit(core, group_name, NULL, "", &item, 1);
    group = rows(); /* it may have found out that nobody is there any more */
    ck_assert_msg(r == (group->count > 0 ? KFL_E_UNKNOWN_MEMBER_ID : 0),
                  "seed %" PRIu64 ": a commit of nobody: %s", seed, kfl_error_name(r));
    kfl__group_destroy(group);
    kfl__topic_release(topic);
}

static const char *do_something(void)
{
    struct sim *sim = &sims[chance_below(&chance, MEMBERS)];
    int64_t kind = (int64_t)chance_below(&chance, 16);
    if (!sim->lives) {
        do_begin(sim);
        return "join";
    }
    if (kind < 6) {
        (void)do_step(sim);
        return "step";
    }
    switch (kind) {
    case 6:
        assert_ok(kfl__members_leave(core, group_name, sim->id));
        sim_forget(sim);
        return "leave";
    case 7:
        do_kill(sim);
        return "kill";
    case 8:
        do_hang(sim);
        return "hang";
    case 9:
    case 10:
        assert_ok(kfl__members_sweep(core, false));
        return "sweep";
    case 11:
        do_topics();
        return "topics";
    case 12:
        do_join(sim, true);
        return "another subscription";
    case 13:
        kfl__clock_set(&core->clock, now_ms += 400);
        return "time";
    default:
        do_commit(sim);
        return "commit";
    }
}

/* In the end, with everybody awake: each partition that is read has one owner, and it holds it. */
static void check_end(void)
{
    assert_ok(kfl__members_sweep(core, false));
    kfl__clock_set(&core->clock, now_ms += 5000);
    assert_ok(kfl__members_sweep(core, false));
    bool moved = true;
    for (int round = 0; round < 40 && moved; round++) {
        moved = false;
        for (int i = 0; i < MEMBERS; i++)
            if (sims[i].lives)
                moved = do_step(&sims[i]) || moved;
    }
    ck_assert_msg(!moved, "seed %" PRIu64 ": the group does not come to rest", seed);
    check("the end");
    struct kfl__group *group = rows();
    for (size_t i = 0; i < group->count; i++) {
        const struct kfl__member *member = group->members[i];
        ck_assert_msg(kfl__places_equal(&member->owned, &member->target),
                      "seed %" PRIu64 ": not all is given", seed);
        for (int j = 0; j < MEMBERS; j++)
            if (sims[j].lives && strcmp(sims[j].id, member->id) == 0)
                ck_assert_msg(kfl__places_equal(&member->owned, &sims[j].held),
                              "seed %" PRIu64 ": not all is taken", seed);
        for (size_t j = 0; j < member->subscribed_count; j++) {
            struct kfl__topic *topic = NULL;
            assert_ok(kfl__topic_find_id(core, member->subscribed[j], &topic));
            int32_t count = kfl__topic_shape(topic)->partition_count;
            for (int32_t partition = 0; partition < count; partition++) {
                struct kfl__place place = {topic->id, partition};
                int owners = 0;
                for (size_t k = 0; k < group->count; k++)
                    owners += kfl__places_have(&group->members[k]->owned, &place);
                ck_assert_msg(owners == 1, "seed %" PRIu64 ": %s/%d has %d owners", seed,
                              topic->name, partition, owners);
            }
            kfl__topic_release(topic);
        }
    }
    kfl__group_destroy(group);
}

static void run_schedule(uint64_t with_seed)
{
    seed = with_seed;
    chance = (struct chance){seed};
    now_ms = INT64_C(1700000000000);
    kfl__clock_set(&core->clock, now_ms);
    snprintf(group_name, sizeof group_name, "g%016" PRIx64, seed);
    for (int i = 0; i < TOPICS; i++) {
        snprintf(topics[i].name, sizeof topics[i].name, "%.30s-%d", group_name, i);
        topics[i].partitions = i == 0 ? 0 : 3;
        if (topics[i].partitions > 0)
            assert_ok(kfl__topics_make(core, topics[i].name, topics[i].partitions, NULL));
    }
    for (int step = 0; step < STEPS; step++)
        check(do_something());
    check_end();
    for (int i = 0; i < MEMBERS; i++) {
        if (sims[i].lives)
            assert_ok(kfl__members_leave(core, group_name, sims[i].id));
        sim_forget(&sims[i]);
    }
    kfl__clock_set(&core->clock, now_ms += 5000);
    assert_ok(kfl__members_sweep(core, false));
    struct kfl__group *group = rows();
    ck_assert_uint_eq(group->count, 0);
    kfl__group_destroy(group);
    for (int i = 0; i < TOPICS; i++)
        if (topics[i].partitions > 0)
            assert_ok(kfl__topics_remove(core, topics[i].name));
}

/* kafka:D10 kafka:E1 kafka:E3 kafka:E6 kafka:E8 kafka:E9 kafka:E15 kafka:E17 */
START_TEST(a_random_schedule_never_gives_a_partition_to_two)
{
    const char *wanted = getenv("KAFKALITE_GROUP_SCHEDULES");
    int schedules = wanted == NULL ? 200 : atoi(wanted);
    struct chance seeds = chance_begin("members");
    for (int i = 0; i < schedules; i++)
        run_schedule(i == 0 ? seeds.state : chance_next(&seeds));
    /* Nobody is left: nor is a seat. */
    for (int i = 0; i < KFL_SEATS_MAX; i++)
        ck_assert_uint_eq(kfl__state_seats(core->state)[i].owner, 0);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("engine/members");
    TCase *all = tcase_create("members");
    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_set_timeout(all, 3600);
    tcase_add_test(all, a_random_schedule_never_gives_a_partition_to_two);
    suite_add_tcase(suite, all);
    return suite;
}
