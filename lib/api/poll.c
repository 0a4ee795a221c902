/* SPDX-License-Identifier: MIT */
/*
 * Poll.
 *
 * Polls of one consumer take turns by a flag, so that the lock is never held while one waits. A poll takes
 * whole batches, verified, as pointers into the maps; the partition it begins with moves on each time.
 * A poll that waits spins first, for about as long as going to sleep and being woken take: who is spoken to
 * that often neither sleeps nor costs its producers a system call. Before it sleeps it leaves its bit at
 * each of its partitions and looks once more (engine/notify).
 */
#include <stdio.h>
#include <string.h>

#include "api/consumer.h"
#include "base/memory.h"
#include "base/wait.h"
#include "engine/notify.h"

#define POLL_RECORDS_MAX 65536
#define POLL_SPIN_NS 20000
#define POLL_SPIN_LOOKS 32 /* at words, between two at the clock */
#define POLL_LOOK_NS INT64_C(1000000000)

/* The position stands behind what is told; where it cannot be told it goes back, to be met again. */
static int poll_push_event(kfl_consumer *consumer, int32_t kind, struct kfl__assigned *assigned, int64_t offset,
                           int64_t end_offset, const char *text)
{
    kfl_event *event = kfl__alloc(sizeof *event);
    if (event == NULL) {
        kfl__cursor_seek(&assigned->cursor, offset);
        return kfl__fail(KFL_E_NOMEM, "an event: out of memory");
    }
    event->kind = kind;
    event->partition = assigned->partition->number;
    event->offset = offset;
    event->end_offset = end_offset;
    snprintf(event->topic, sizeof event->topic, "%s", assigned->topic->name);
    snprintf(event->text, sizeof event->text, "%s", text);
    *consumer->last_event = event;
    consumer->last_event = &event->next;
    return KFL_E_EVENT;
}

/* The position is outside the partition: auto.offset.reset says where to go on. */
static int poll_reset(kfl_consumer *consumer, struct kfl__assigned *assigned)
{
    int64_t before = assigned->cursor.offset, after;
    bool none = consumer->settings->auto_offset_reset == KFL_RESET_NONE;
    if (none && before >= 0)
        return KFL_E_OFFSET_OUT_OF_RANGE; /* the cursor has told the story */
    /* A member that was given what it has no offset for: perhaps one is committed by now. */
    int r = none ? kfl__consumer_resolve(consumer, assigned->partition, KFL_OFFSET_STORED, &after)
                 : kfl__consumer_reset(consumer, assigned->partition, &after);
    if (r < 0)
        return r;
    kfl__cursor_seek(&assigned->cursor, after);
    if (after <= before || none)
        return 0;
    return poll_push_event(consumer, KFL_EVENT_LAPPED, assigned, before, after,
                           "the records were deleted before they were read");
}

/* The batch verifies, but what it holds is no record. */
static int poll_bad_batch(kfl_consumer *consumer, struct kfl__assigned *assigned)
{
    struct kfl__cursor *cursor = &assigned->cursor;
    char text[200];
    int64_t from = cursor->offset;
    snprintf(text, sizeof text, "topics/%llu/%d/%020lld.log at %llu: the records of the batch cannot be decoded",
             (unsigned long long)assigned->topic->id, assigned->partition->number, (long long)cursor->segment->id,
             (unsigned long long)cursor->place);
    kfl__cursor_pass(cursor);
    return poll_push_event(consumer, KFL_EVENT_HOLE, assigned, from, cursor->offset, text);
}

/* Records of one partition, as far as there is room. 0; KFL_E_EVENT: an event stands behind what was taken; error. */
static int poll_partition(kfl_consumer *consumer, struct kfl__assigned *assigned, kfl_records *records)
{
    struct kfl__cursor *cursor = &assigned->cursor;
    kfl__cursor_begin(cursor);
    if (kfl__cursor_guess(cursor)) {
        int r = kfl__records_take_guessed(records, cursor, assigned->topic->name, assigned->partition->number);
        if (r < 0)
            return r;
    }
    while (kfl__records_room(records) > 0 &&
           (kfl__records_bytes(records) < consumer->settings->fetch_max_bytes || kfl_records_count(records) == 0)) {
        int r = kfl__cursor_batch(cursor);
        if (KFL_LIKELY(r == KFL_CURSOR_BATCH)) {
            r = kfl__records_take(records, cursor, consumer->settings->fetch_max_bytes, assigned->topic->name,
                                  assigned->partition->number);
            if (r >= 0 && kfl__cursor_at_end(cursor))
                return 0;
            if (KFL_LIKELY(r >= 0))
                continue;
            return r == KFL_E_CORRUPT ? poll_bad_batch(consumer, assigned) : r;
        }
        if (r == KFL_CURSOR_HOLE)
            return poll_push_event(consumer, KFL_EVENT_HOLE, assigned, cursor->hole_from, cursor->hole_to, cursor->hole_text);
        if (r == KFL_E_OFFSET_OUT_OF_RANGE) {
            r = poll_reset(consumer, assigned);
            if (r == 0)
                continue;
        }
        return r;
    }
    return 0;
}

/* One look at all partitions. The number of records, 0, or an error. */
static int poll_look(kfl_consumer *consumer, kfl_records *records)
{
    int32_t count = consumer->assigned_count, first = consumer->first < count ? consumer->first : 0;
    /* Also after an error: a partition that was deleted must not keep the others from being read. */
    if (count > 0)
        consumer->first = first + 1 < count ? first + 1 : 0;
    for (int32_t i = 0; i < count; i++) {
        struct kfl__assigned *assigned = &consumer->assigned[first + i < count ? first + i : first + i - count];
        if (kfl__cursor_idle(&assigned->cursor) || assigned->paused)
            continue;
        if (assigned->cursor.idle_slot != NULL)
            kfl__cursor_fetch(kfl__cursor_next(&assigned->cursor),
                              kfl__cursor_next_size(&assigned->cursor));
        int r = poll_partition(consumer, assigned, records);
        if (r < 0 && kfl_records_count(records) == 0)
            return r;
        if (r < 0 || kfl__records_room(records) == 0)
            break; /* what was taken comes first; an error is met again, an event waits in the list */
    }
    return kfl_records_count(records);
}

/* Might a look find something? Cheap, and never wrong when it says no. */
static bool poll_anything(kfl_consumer *consumer)
{
    for (int32_t i = 0; i < consumer->assigned_count; i++) {
        const struct kfl__assigned *assigned = &consumer->assigned[i];
        if (kfl__cursor_idle(&assigned->cursor))
            continue;
        struct kfl__slot *slot = assigned->partition->slot;
        int64_t end = consumer->settings->read_durable != 0
                          ? atomic_load_explicit(&slot->durable_offset, memory_order_acquire)
                          : kfl__slot_end(slot);
        /* The slot of a deleted topic may be another partition's by now. */
        if (!assigned->paused && (end > assigned->cursor.offset || !kfl__partition_exists(assigned->partition)))
            return true;
    }
    return false;
}

bool kfl__poll_ready(kfl_consumer *consumer)
{
    return atomic_load(&consumer->woken) != 0 || consumer->events != NULL || atomic_load(&consumer->core->closing) != 0 ||
           kfl__consumer_would_follow(consumer) || poll_anything(consumer);
}

void kfl__poll_register(kfl_consumer *consumer)
{
    bool lent = false, tried = false;
    for (int32_t i = 0; i < consumer->assigned_count; i++) {
        struct kfl__slot *slot = consumer->assigned[i].partition->slot;
        if (consumer->assigned[i].paused || !kfl__notify_register(consumer->core, slot))
            continue;
        /* Where nobody appends any more, each sleep would make the barrier: so each ends a loan. All at once take too long. */
        if (tried || !kfl__lendable_end_loan(&slot->append, KFL_RANK_APPEND))
            lent = true;
        tried = true;
    }
    kfl__notify_fence(lent);
}

/* What to spin on: a copy, since the lock is given up. How many; -1: there is something to look at. */
static int32_t poll_watch(kfl_consumer *consumer)
{
    int32_t count = 0;
    if (consumer->watch_room < consumer->assigned_count) {
        size_t size = (size_t)consumer->assigned_count * sizeof *consumer->watches;
        struct kfl__watch *grown = kfl__realloc(consumer->watches, size);
        if (grown == NULL)
            return -1; /* to sleep at once is slower, and no error */
        consumer->watches = grown;
        consumer->watch_room = consumer->assigned_count;
    }
    for (int32_t i = 0; i < consumer->assigned_count; i++) {
        const struct kfl__assigned *assigned = &consumer->assigned[i];
        if (assigned->paused)
            continue;
        if (assigned->cursor.idle_slot == NULL)
            return -1;
        consumer->watches[count++] = (struct kfl__watch){
            assigned->cursor.idle_slot,
            assigned->cursor.idle_word,
            kfl__cursor_next(&assigned->cursor),
            kfl__cursor_next_size(&assigned->cursor),
        };
    }
    return count;
}

static bool poll_moved(const struct kfl__watch *watches, int32_t count, bool durable)
{
    for (int32_t i = 0; i < count; i++)
        if (kfl__cursor_word(watches[i].slot, durable) != watches[i].word) {
            kfl__cursor_fetch(watches[i].next, watches[i].next_size);
            return true;
        }
    return false;
}

/* Holding the lock, which is given up meanwhile. True: look again. Whatever others change raises our word. */
static KFL_UNCHECKED bool poll_spin(kfl_consumer *consumer, int64_t deadline_ns)
{
    const _Atomic uint32_t *word = kfl__notify_word(consumer->core);
    uint32_t value = atomic_load_explicit(word, memory_order_acquire);
    bool durable = consumer->settings->read_durable != 0, moved = false;
    int32_t count = kfl__spins() ? poll_watch(consumer) : 0;
    if (count <= 0)
        return false;
    kfl__mutex_unlock(&consumer->lock);
    int64_t end = kfl__clock_steady_ns() + POLL_SPIN_NS;
    if (deadline_ns >= 0 && deadline_ns < end)
        end = deadline_ns;
    do {
        for (int32_t looks = 0; looks < POLL_SPIN_LOOKS && !moved; looks += count) {
            kfl__relax();
            moved = poll_moved(consumer->watches, count, durable);
        }
        moved = moved || atomic_load_explicit(word, memory_order_acquire) != value;
    } while (!moved && kfl__clock_steady_ns() < end);
    kfl__mutex_lock(&consumer->lock);
    return moved;
}

static int poll_check(kfl_consumer *consumer)
{
    if (atomic_load(&consumer->woken) != 0 && atomic_exchange(&consumer->woken, 0) != 0)
        return kfl__fail(KFL_E_WOKEN, "kfl_consumer_wakeup() was called");
    return kfl__core_check(consumer->core);
}

/* Holding the lock, which is given up meanwhile: until there may be something, the deadline, or a reason to stop. */
static KFL_UNCHECKED int poll_wait(kfl_consumer *consumer, int64_t deadline_ns)
{
    if (poll_spin(consumer, deadline_ns))
        return 0;
    uint32_t value = kfl__notify_begin(consumer->core);
    kfl__poll_register(consumer);
    int r = poll_check(consumer);
    if (r < 0 || poll_anything(consumer))
        return r;
    bool follows = kfl__consumer_must_follow(consumer);
    int64_t now = kfl__clock_steady_ns();
    if (deadline_ns >= 0 && now >= deadline_ns)
        return KFL_WAIT_TIMEOUT; /* also where the group gives something to do again and again */
    if (follows)
        return 0;
    int64_t look = now + POLL_LOOK_NS;
    kfl__mutex_unlock(&consumer->lock);
    r = kfl__wait(kfl__notify_word(consumer->core), value, deadline_ns >= 0 && deadline_ns < look ? deadline_ns : look);
    kfl__mutex_lock(&consumer->lock);
    return r == KFL_WAIT_TIMEOUT ? 0 : r;
}

/* Not signals, and not want of patience: the poll's own time ran out while it waited for others. */
static bool poll_is_late(int r, int64_t deadline_ns)
{
    return r == KFL_E_INTR && deadline_ns > 0 && kfl__clock_steady_ns() >= deadline_ns;
}

/* It is this caller's turn. */
static int poll_run(kfl_consumer *consumer, int64_t deadline_ns, kfl_records *records)
{
    for (;;) {
        int r = poll_check(consumer);
        if (r < 0)
            return r;
        if (consumer->events != NULL)
            return kfl__event_fail();
        r = kfl__consumer_follow(consumer, deadline_ns);
        if (KFL_UNLIKELY(poll_is_late(r, deadline_ns)))
            return 0;
        if (r == 0)
            r = poll_look(consumer, records);
        if (r < 0 && kfl__consumer_forgets(consumer, r))
            continue;
        if (r != 0)
            return r == KFL_E_EVENT ? kfl__event_fail() : r;
        if (KFL_UNLIKELY(consumer->follows)) {
            r = kfl__consumer_finish_release(consumer, deadline_ns);
            if (r < 0)
                return poll_is_late(r, deadline_ns) ? 0 : r;
            if (r > 0)
                continue;
        }
        if (deadline_ns == 0)
            return 0;
        r = poll_wait(consumer, deadline_ns);
        if (r != 0)
            return r == KFL_WAIT_TIMEOUT ? 0 : r;
    }
}

KFL_UNCHECKED int kfl_consumer_poll(kfl_consumer *consumer, int32_t timeout_ms, int32_t max_records, kfl_records **out_records)
{
    kfl_records *records = NULL;
    if (out_records == NULL)
        return kfl__fail(KFL_E_INVALID, "kfl_consumer_poll: out_records is NULL");
    if (max_records < 0 || max_records > POLL_RECORDS_MAX || timeout_ms < -1)
        return kfl__fail(KFL_E_INVALID, "kfl_consumer_poll: timeout_ms %d, max_records %d (0 .. %d)", timeout_ms, max_records,
                         POLL_RECORDS_MAX);
    int r = kfl__consumer_enter(consumer);
    if (r < 0)
        return r;
    int64_t deadline = timeout_ms == 0 ? 0 : kfl__clock_deadline_ns(timeout_ms);
    if (max_records == 0)
        max_records = (int32_t)consumer->settings->max_poll_records;
    while (consumer->polling && r == 0)
        if (kfl__condition_wait(&consumer->turn, &consumer->lock, deadline) == KFL_WAIT_TIMEOUT)
            r = KFL_WAIT_TIMEOUT;
    if (r == 0) {
        consumer->polling = true;
        r = kfl__records_create(consumer->pool, max_records, &records);
        if (r == 0)
            r = poll_run(consumer, deadline, records);
        if (r == 0 && consumer->event_fd >= 0)
            kfl__event_fd_arm(consumer);
        consumer->polling = false;
        kfl__condition_tell(&consumer->turn);
        if (r > 0) {
            kfl__records_set_epoch(records, consumer->epoch);
            *out_records = records;
            records = NULL;
        } else if (r == 0) {
            kfl__records_let_go(records, consumer->assigned_count == 1 ? consumer->assigned[0].cursor.segment : NULL);
            *out_records = NULL;
        }
    } else {
        *out_records = NULL;
        r = 0;
    }
    kfl_records_release(records);
    return kfl__consumer_leave(consumer, r);
}
