/* SPDX-License-Identifier: MIT */
/*
 * Pages for the appends to come.
 *
 * The first store into a page of a reserved file makes the kernel zero, map and account it, which costs
 * more than the record. A thread asks for the pages a few MiB ahead of the appends, so that they find them.
 * It is a thread of its own because the helper may stand in a sync. Where it is late, or there is none, the
 * append asks for the next 64 KiB itself. Only appends through the map come here: pages that were asked for
 * and not written make a later sync slower, so those who sync each batch do without.
 */
#include "engine/touch.h"

#include "engine/hands.h"

/* Small, since a producer that comes upon a step under way has to fault. */
#define TOUCH_STEP (UINT64_C(128) << 10)
#define TOUCH_INLINE (UINT64_C(64) << 10)
/* In a smaller file a thread would hardly be awake before the file is full. */
#define TOUCH_FILE_LEAST (UINT64_C(4) << 20)

static bool touch_fulfil(struct kfl__core *core, const struct kfl__wish *wish)
{
    struct kfl__segment *segment = wish->subject;
    kfl__segment_touch_offsets(segment, wish->offsets_upto);
    return atomic_load(&core->closing) != 0 || atomic_load(&segment->touched_to) >= wish->upto ||
           !kfl__segment_touch_ahead(segment, TOUCH_STEP);
}

static void touch_share(const struct kfl__wish *wish)
{
    kfl__segment_acquire(wish->subject);
}

static void touch_forget(const struct kfl__wish *wish)
{
    kfl__segment_release(wish->subject);
}

static void touch_wish(struct kfl__core *core, struct kfl__segment *segment, uint64_t upto,
                       uint64_t offsets_upto)
{
    const struct kfl__wish wish = {touch_fulfil, touch_share, touch_forget,
                                   segment,      upto,        offsets_upto};
    kfl__segment_acquire(segment);
    if (!kfl__hands_ask(core, KFL_HAND_TOUCH, &wish))
        kfl__segment_release(segment);
}

void kfl__touch_begin(struct kfl__core *core, struct kfl__segment *segment)
{
    uint64_t asked = 0, upto = KFL_TOUCH_AHEAD < segment->size ? KFL_TOUCH_AHEAD : segment->size;
    if (segment->size >= TOUCH_FILE_LEAST &&
        atomic_compare_exchange_strong(&segment->asked_to, &asked, upto))
        touch_wish(core, segment, upto, 0);
}

/* As the batches so far, those to come take about so much of the signposts' file, up to a place in the segment. */
static uint64_t touch_offsets_upto(uint64_t place, uint32_t batches, uint64_t upto)
{
    return (uint64_t)((double)batches * sizeof(uint32_t) * (double)upto / (double)place);
}

void kfl__touch_look(struct kfl__core *core, struct kfl__segment *segment, uint64_t place,
                     uint32_t batches)
{
    uint64_t page = place / 4096 * 4096,
             touched_to = atomic_load_explicit(&segment->touched_to, memory_order_relaxed);
    if (touched_to < page) /* a sync came, or others wrote */
        (void)atomic_compare_exchange_strong(&segment->touched_to, &touched_to, page);
    uint64_t asked = atomic_load_explicit(&segment->asked_to, memory_order_relaxed);
    if (place + KFL_TOUCH_AHEAD / 2 > asked && asked < segment->size &&
        segment->size >= TOUCH_FILE_LEAST) {
        uint64_t upto =
            place + KFL_TOUCH_AHEAD < segment->size ? place + KFL_TOUCH_AHEAD : segment->size;
        if (atomic_compare_exchange_strong(&segment->asked_to, &asked, upto))
            touch_wish(core, segment, upto, touch_offsets_upto(place, batches, upto));
    }
    if (place + TOUCH_INLINE / 2 > atomic_load_explicit(&segment->touched_to, memory_order_relaxed))
        (void)kfl__segment_touch_ahead(segment, TOUCH_INLINE);
    uint64_t touched = atomic_load_explicit(&segment->touched_to, memory_order_relaxed);
    uint64_t look_at = touched >= segment->size     ? segment->size
                       : touched > TOUCH_INLINE / 2 ? touched - TOUCH_INLINE / 2
                                                    : 0;
    asked = atomic_load_explicit(&segment->asked_to, memory_order_relaxed);
    if (segment->size >= TOUCH_FILE_LEAST && asked < segment->size &&
        asked - KFL_TOUCH_AHEAD / 2 < look_at)
        look_at = asked - KFL_TOUCH_AHEAD / 2;
    /* The half is to be noticed too: then the next file is prepared. */
    if (place * 2 <= segment->size && look_at > segment->size / 2)
        look_at = segment->size / 2;
    atomic_store_explicit(&segment->look_at, look_at > place ? look_at : place,
                          memory_order_relaxed);
}
