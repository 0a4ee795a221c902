/* SPDX-License-Identifier: MIT */
/* A consumer's inside: what api/consumer, api/poll and api/commit share. */
#ifndef KFL_API_CONSUMER_H
#define KFL_API_CONSUMER_H

#include <stdbool.h>
#include <stdint.h>

#include "api/records.h"
#include "api/store.h"
#include "catalog/groups.h"
#include "engine/callers.h"
#include "engine/committer.h"
#include "engine/group.h"
#include "engine/listener.h"
#include "engine/read.h"
#include "state/seat.h"

struct kfl_event {
    struct kfl_event *next;
    int32_t kind, partition;
    int64_t offset, end_offset;
    int32_t generation;
    int code;
    int64_t ticket;
    kfl_offsets *offsets; /* owned */
    kfl_group *group;     /* owned */
    char topic[256];
    char text[256];
};

/* Why a partition hands out nothing. */
#define KFL_PAUSED_BY_CALLER 1
#define KFL_PAUSED_REVOKED 2 /* it was told as revoked, and is given up by the next poll */
#define KFL_PAUSED_GONE 4    /* its topic was deleted, and the group is about to see that */

/* One assigned partition. Guarded by the consumer. */
struct kfl__assigned {
    struct kfl__topic *topic; /* a share */
    struct kfl__partition *partition;
    struct kfl__cursor cursor; /* its offset is the position */
    uint8_t paused;            /* KFL_PAUSED_… */
    uint32_t epoch;            /* of the consumer, when it was assigned */
    int64_t auto_committed;    /* the position that enable.auto.commit committed last */
};

/* Partitions of a commit, with shares of their topics. */
struct kfl__commit_list {
    struct kfl__group_item *items; /* their metadata are borrowed, or owned by an asynchronous commit */
    struct kfl__topic **topics;
    size_t count, room;
};

/* Of the partitions that a member gives up, on their way back to the group. */
enum kfl__release {
    KFL_RELEASE_NONE,
    KFL_RELEASE_WAITS,  /* for the committer */
    KFL_RELEASE_TAKEN,  /* by the committer */
    KFL_RELEASE_FAILED, /* the next poll tries for itself */
};

/*
 * Asynchronous commits of one consumer, and what it gives up behind them. Guarded by its lock, but for what is
 * taken.
 */
struct kfl__async {
    struct kfl__commit_client client;
    struct kfl__commit_list waiting, taken;
    const char *member_id; /* that those waiting are committed as; NULL: as nobody */
    int64_t last_ticket, waiting_ticket, taken_ticket; /* 0: nobody asked for one */
    enum kfl__release release;
    const char *release_id;      /* whose they were; one of the consumer's ids */
    struct kfl__places released; /* not assigned any more, and still owned in the group's rows */
};

struct kfl__consumer_id {
    struct kfl__consumer_id *next;
    char id[KFL_MEMBER_ID_MAX + 1];
};

/* A consumer that is subscribed. Guarded by its lock; what a poll alone uses, by its turn. */
struct kfl__membership {
    char *topics;  /* separated by newlines; "" with a pattern */
    char *pattern; /* "" with names */
    bool wish_changed; /* the group is to be told of another subscription */
    bool leaving;      /* the poll that is under way is to leave the group */
    bool joined, fenced;
    bool releasing; /* some partitions were told as revoked */
    const char *id; /* one of the consumer's ids */
    int32_t generation, asked_generation; /* taken over; answered or to be answered; -1: none */
    uint32_t seat_number;
    uint64_t seat_owner;
    struct kfl__seat *seat;
    int64_t deadline_ns;   /* as the seat has it */
    uint32_t seen_version; /* of the seat */
    uint64_t seen_topics;  /* version of the store's topics */
    struct kfl__places stray; /* ours by the group's rows, but never begun */
};

/* A word that a poll spins on, and what it read there. */
struct kfl__watch {
    struct kfl__slot *slot;
    uint64_t word;
    const uint8_t *next; /* kfl__cursor_next(): to be fetched, and never looked at */
    uint32_t next_size;
};

struct kfl_consumer {
    /* constant after open */
    struct kfl__core *core; /* a share */
    kfl_config *config;
    const struct kfl__settings *settings;
    struct kfl__records_pool *pool;
    _Atomic int woken;
    _Atomic int closed;

    struct kfl__mutex lock; /* rank HANDLE, never held while waiting; guards: */
    struct kfl__caller caller;
    struct kfl__condition turn;
    bool polling; /* somebody is in a poll: others wait for their turn */
    struct kfl__assigned *assigned;
    int32_t assigned_count;
    int32_t first; /* which partition the next poll begins with */
    struct kfl_event *events, **last_event;
    uint32_t epoch; /* one more whenever partitions are assigned: tells old records from new ones */

    /* groups: api/follow */
    bool follows; /* polls have more to do than to read */
    struct kfl__membership *membership; /* NULL: not subscribed */
    struct kfl__async async;
    struct kfl__consumer_id *ids; /* member ids that it had, kept because callers borrow them */
    int64_t auto_commit_ns; /* when the next one is due, steady; 0: not known yet */
    int64_t look_ns;        /* when to look for members that are gone, where no thread does */

    /* api/event_fd */
    int event_fd;             /* -1: nobody has asked for one; guarded by lock, constant from then on */
    _Atomic int event_armed;  /* not readable: whoever brings about something raises it */
    int64_t event_look_ns;    /* when a poll has other things to do, where `follows` */
    struct kfl__listener listener;

    /* of the poll that is under way */
    struct kfl__watch *watches;
    int32_t watch_room;
};

/*
 * NULL -> KFL_E_INVALID; then takes the lock and enters the core. On success the caller calls kfl__consumer_leave.
 * Which of both it was cannot be told to the analysis of locks, so it does not look at them.
 */
int kfl__consumer_enter(kfl_consumer *consumer);
int kfl__consumer_leave(kfl_consumer *consumer, int r);
/* The assigned partition; NULL and KFL_E_INVALID with text when it is not. Holding the lock. */
int kfl__consumer_find(kfl_consumer *consumer, const char *topic, int32_t partition, struct kfl__assigned **out_assigned);
/* What an offset that is none means here: BEGINNING, END, STORED (with auto.offset.reset). */
int kfl__consumer_resolve(kfl_consumer *consumer, struct kfl__partition *partition, int64_t offset, int64_t *out_offset);
/* Where auto.offset.reset leads. KFL_E_OFFSET_OUT_OF_RANGE for none. */
int kfl__consumer_reset(kfl_consumer *consumer, struct kfl__partition *partition, int64_t *out_offset);

/* Another event at the end of the list; NULL and KFL_E_NOMEM's text. Holding the lock. */
kfl_event *kfl__event_push(kfl_consumer *consumer, int32_t kind);
/* Frees an event that nobody was handed. */
void kfl__events_drop(kfl_consumer *consumer);
/* Poll's answer when there are events. */
int kfl__event_fail(void);

/* Of one row of the array: cursor and topic. */
void kfl__assigned_release(struct kfl__assigned *assigned);

int kfl__commit_list_create(size_t room, struct kfl__commit_list *list);
/* By name, offset 0. There is room. */
int kfl__commit_list_add(struct kfl__commit_list *list, struct kfl__core *core, const char *name, int32_t number);
/* Acquires the topic. There is room. */
void kfl__commit_list_put(struct kfl__commit_list *list, struct kfl__topic *topic,
                          const struct kfl__group_item *item);
void kfl__commit_list_release(struct kfl__commit_list *list);
/* Commit now, as whom the consumer is. Without the lock. */
int kfl__consumer_commit_list(kfl_consumer *consumer, struct kfl__commit_list *list);

void kfl__async_init(kfl_consumer *consumer);
/* list NULL: the positions of all that is assigned. *out_ticket (may be NULL) is its number. */
int kfl__async_add(kfl_consumer *consumer, const struct kfl__commit_list *list, int64_t *out_ticket);
/* What has moved since enable.auto.commit committed it last. Holding the lock. */
int kfl__async_add_moved(kfl_consumer *consumer);
/* Behind all commits that wait these are given up: takes them over. Holding the lock; none may be on their way. */
void kfl__async_release(kfl_consumer *consumer, struct kfl__places *places);
/* Holding the lock: are partitions on their way back to the group? */
bool kfl__async_releases(const kfl_consumer *consumer);
/* Everything that waits is committed and given up, and its outcome is among the events; or KFL_E_INTR. Without the lock. */
int kfl__async_finish(kfl_consumer *consumer);
/* What waits is not to be committed any more, because of this error. Holding the lock. */
void kfl__async_refuse(kfl_consumer *consumer, int code);
void kfl__async_destroy(kfl_consumer *consumer);

/*
 * At the beginning of a poll, by whoever has the turn, holding the lock, which is given up
 * meanwhile: join, give up what was told as revoked, take over what the group has become, commit
 * what is due. KFL_E_EVENT: something is to be told. KFL_E_INTR: also when others were waited for until
 * the deadline (-1 and 0: there is none).
 */
int kfl__consumer_follow_group(kfl_consumer *consumer, int64_t deadline_ns);
static inline int kfl__consumer_follow(kfl_consumer *consumer, int64_t deadline_ns)
{
    return KFL_LIKELY(!consumer->follows) ? 0 : kfl__consumer_follow_group(consumer, deadline_ns);
}
/*
 * A poll has found nothing: it waits until what it has given up is given up. 1: that took a while, look again; 0;
 * KFL_E_INTR, as above. Holding the lock, which is given up meanwhile.
 */
int kfl__consumer_finish_release(kfl_consumer *consumer, int64_t deadline_ns);
/* Before a poll sleeps: would following find something? */
bool kfl__consumer_must_follow(kfl_consumer *consumer);
/* Reading met a topic that is gone: of a subscription, which loses it. Holding the lock. */
bool kfl__consumer_forgets(kfl_consumer *consumer, int code);
/* Memory only: what is left where the store was closed first. */
void kfl__membership_free(kfl_consumer *consumer);
/* Commits what is due, leaves, and has nothing assigned. Holding lock and turn. KFL_E_INTR: it has all that it had. */
int kfl__consumer_leave_group(kfl_consumer *consumer);
/* Has the group anything for a poll? Holding the lock; leaves all as it is. */
bool kfl__consumer_would_follow(const kfl_consumer *consumer);

/* Holding the lock: a poll, or who waits for the descriptor, may have more to look at now. */
void kfl__consumer_stir(kfl_consumer *consumer);

/* ---- api/poll ---- */

/* Leave our bits at what is assigned; the caller looks once more. Holding the lock. */
void kfl__poll_register(kfl_consumer *consumer);
/* Would a poll that waits answer at once? Holding the lock. "Yes" may be wrong. */
bool kfl__poll_ready(kfl_consumer *consumer);

/* ---- api/event_fd ---- */

void kfl__event_fd_init(kfl_consumer *consumer);
void kfl__event_fd_close(kfl_consumer *consumer);
/* There may be something for a poll: make it readable, if there is one and it is not. Any thread. */
void kfl__event_fd_raise(kfl_consumer *consumer);
/* A poll has found nothing. Holding the lock; only where there is a descriptor. */
void kfl__event_fd_arm(kfl_consumer *consumer);

#endif
