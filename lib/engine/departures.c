/* SPDX-License-Identifier: MIT */
/*
 * Who is gone: members whose process has ended, who are late, who have left their seat, or whose
 * session ran out. Anybody may find that out; a look at the seats tells whether it is worth one at
 * the catalog, and that one whether it is worth a change.
 */
#include "engine/departures.h"

#include <string.h>

#include "base/memory.h"
#include "engine/member_change.h"

static bool members_process_stands(struct kfl__member_change *change, uint32_t entry,
                                   uint64_t session)
{
    struct kfl__core *core = change->core;
    if (entry >= KFL_PRESENCE_MAX || session == 0)
        return false;
    if (change->leaving && session == core->presence.session)
        return false;
    if (change->known[entry] == 0 || change->known_session[entry] != session) {
        change->known_session[entry] = session;
        change->known[entry] =
            kfl__presence_stands(&core->presence, kfl__state_entries(core->state), entry, session)
                ? 1
                : 2;
    }
    return change->known[entry] == 1;
}

/*
 * Does it sit where its row says, and has it polled in time? A member that has left its seat is gone
 * also where its process lives: its leave did not reach the catalog.
 */
static bool members_is_seated(struct kfl__core *core, const struct kfl__member *member,
                              int64_t now_ns)
{
    const struct kfl__seat *seat = &kfl__state_seats(core->state)[member->seat % KFL_SEATS_MAX];
    return kfl__seat_is(seat, member->seat_owner) &&
           atomic_load_explicit(&seat->deadline_ns, memory_order_relaxed) >= now_ns;
}

enum { MEMBER_STAYS, MEMBER_GOES_AWAY, MEMBER_GOES };

static int members_judge(struct kfl__member_change *change, const struct kfl__member *member)
{
    if (member->away_since_ms >= 0) {
        bool back =
            change->now_ms < member->away_since_ms; /* the clock was set back: it begins anew */
        if (back)
            return MEMBER_GOES_AWAY;
        return change->now_ms - member->away_since_ms > member->session_timeout_ms ? MEMBER_GOES
                                                                                   : MEMBER_STAYS;
    }
    if (members_process_stands(change, member->entry, member->session) &&
        members_is_seated(change->core, member, change->now_ns))
        return MEMBER_STAYS;
    return member->instance_id[0] != '\0' ? MEMBER_GOES_AWAY : MEMBER_GOES;
}

void kfl__member_send_away(struct kfl__member_change *change, struct kfl__member *member)
{
    member->away_since_ms = change->now_ms;
    member->changed = member->raise = true;
}

/* 1: somebody went, so there must be a rebalance; 2: somebody is away; 0. */
int kfl__members_clear(struct kfl__member_change *change)
{
    struct kfl__group *group = change->group;
    int found = 0;
    for (size_t i = group->count; i > 0; i--) {
        int verdict = members_judge(change, group->members[i - 1]);
        if (verdict == MEMBER_STAYS)
            continue;
        if (verdict == MEMBER_GOES_AWAY) {
            kfl__member_send_away(change, group->members[i - 1]);
            found = found == 0 ? 2 : found;
            continue;
        }
        int r = kfl__group_drop_member(group, i - 1);
        if (r < 0)
            return r;
        found = 1;
    }
    return found;
}

static int members_step_sweep(struct kfl__catalog_txn *txn, struct kfl__member_change *change)
{
    int r = kfl__members_clear(change);
    if (r <= 0)
        return r < 0 ? r : KFL_MEMBERS_UNTOUCHED;
    return r == 1 ? kfl__members_rebalance(txn, change) : 0;
}

struct members_found {
    struct kfl__member_change *change;
    struct kfl__catalog_txn *txn;
    char (*names)[KFL_GROUP_NAME_MAX + 1];
    size_t count, room;
};

/* Groups in which somebody is to go. */
static int members_visit_group(const char *name, void *context)
{
    struct members_found *found = context;
    struct kfl__member_change *change = found->change;
    int r = kfl__group_load(found->txn, name, &change->group);
    if (r < 0)
        return r;
    bool goes = false, away = false;
    for (size_t i = 0; i < change->group->count; i++) {
        goes = goes || members_judge(change, change->group->members[i]) != MEMBER_STAYS;
        away = away || change->group->members[i]->away_since_ms >= 0;
    }
    if (away || goes)
        atomic_store(&change->core->members_away, 1);
    (void)kfl__member_change_finish(change, 0);
    if (!goes)
        return 0;
    if (found->count == found->room) {
        size_t room = found->room == 0 ? 8 : found->room * 2;
        void *grown = kfl__realloc(found->names, room * sizeof *found->names);
        if (grown == NULL)
            return kfl__fail(KFL_E_NOMEM, "groups: out of memory");
        found->names = grown;
        found->room = room;
    }
    memcpy(found->names[found->count++], name, strlen(name) + 1);
    return 0;
}

static int members_find(struct kfl__catalog_txn *txn, void *context)
{
    struct members_found *found = context;
    found->txn = txn;
    found->count = 0;
    return kfl__groups_list(txn, members_visit_group, found);
}

/* Seats of processes that are gone: whoever was to free them may have died too. */
static void members_free_seats(struct kfl__member_change *change)
{
    struct kfl__seat *seats = kfl__state_seats(change->core->state);
    for (uint32_t i = 0; i < KFL_SEATS_MAX; i++) {
        uint64_t owner = atomic_load_explicit(&seats[i].owner, memory_order_acquire);
        if (owner > KFL_SEAT_RESERVED &&
            !members_process_stands(change, kfl__seat_entry(owner), atomic_load(&seats[i].session)))
            kfl__seat_leave(seats, i, owner);
    }
}

int kfl__members_sweep(struct kfl__core *core, bool leaving)
{
    struct kfl__member_change *change = kfl__member_change_create(core, "");
    if (change == NULL)
        return KFL_E_NOMEM;
    struct members_found found = {.change = change};
    change->leaving = leaving;
    change->step = members_step_sweep;
    atomic_store(&core->members_away, 0); /* set again by what is found */
    int r = kfl__catalog_look(core->catalog, members_find, &found);
    for (size_t i = 0; i < found.count && r == 0; i++) {
        change->name = found.names[i];
        r = kfl__member_change_run(change);
        r = kfl__member_change_finish(change, r);
    }
    if (r == 0)
        members_free_seats(change);
    int went = found.count > 0;
    kfl__free(found.names);
    kfl__free(change);
    return r < 0 ? r : went;
}

bool kfl__members_suspect(struct kfl__core *core)
{
    struct kfl__member_change *change = NULL;
    struct kfl__seat *seats = kfl__state_seats(core->state);
    int64_t now_ns = kfl__clock_steady_ns();
    bool suspect = atomic_load(&core->members_away) != 0;
    for (uint32_t i = 0; i < KFL_SEATS_MAX && !suspect; i++) {
        uint64_t owner = atomic_load_explicit(&seats[i].owner, memory_order_acquire);
        if (owner <= KFL_SEAT_RESERVED)
            continue;
        if (change == NULL && (change = kfl__member_change_create(core, "")) == NULL)
            return true;
        suspect =
            atomic_load(&seats[i].deadline_ns) < now_ns ||
            !members_process_stands(change, kfl__seat_entry(owner), atomic_load(&seats[i].session));
    }
    kfl__free(change);
    return suspect;
}

bool kfl__member_is_here(struct kfl__core *core, const struct kfl__member *member)
{
    return member->away_since_ms < 0 &&
           kfl__presence_stands(&core->presence, kfl__state_entries(core->state), member->entry,
                                member->session) &&
           members_is_seated(core, member, kfl__clock_steady_ns());
}
