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

#include <signal.h>

#include "base/memory.h"
#include "base/wait.h"

/* Small, since a producer that comes upon a step under way has to fault. */
#define TOUCH_STEP (UINT64_C(128) << 10)
#define TOUCH_INLINE (UINT64_C(64) << 10)
#define TOUCH_WISHES 16
/* In a smaller file a thread would hardly be awake before the file is full. */
#define TOUCH_FILE_LEAST (UINT64_C(4) << 20)

struct touch_wish {
    struct kfl__segment *segment; /* a share */
    uint64_t upto;
    uint64_t offsets_upto; /* of the signposts' file */
};

struct touch {
    struct kfl__mutex lock; /* rank LEAF; guards: */
    struct touch_wish wishes[TOUCH_WISHES];
    int32_t wish_count;
    pthread_t thread;
    bool runs;

    _Atomic int stop;
    _Atomic uint32_t word;
    _Atomic uint32_t sleeps;
};

static bool touch_take(struct touch *touch, struct touch_wish *out_wish)
{
    bool found = false;
    kfl__mutex_lock(&touch->lock);
    if (touch->wish_count > 0) {
        *out_wish = touch->wishes[0];
        touch->wish_count--;
        for (int32_t i = 0; i < touch->wish_count; i++)
            touch->wishes[i] = touch->wishes[i + 1];
        found = true;
    }
    kfl__mutex_unlock(&touch->lock);
    return found;
}

static void touch_fulfil(struct touch *touch, struct touch_wish *wish)
{
    kfl__segment_touch_offsets(wish->segment, wish->offsets_upto);
    while (atomic_load(&touch->stop) == 0 && atomic_load(&wish->segment->touched_to) < wish->upto)
        if (!kfl__segment_touch_ahead(wish->segment, TOUCH_STEP))
            break;
    kfl__segment_release(wish->segment);
}

static void *touch_thread(void *context)
{
    struct touch *touch = context;
    struct touch_wish wish;
    pthread_setname_np(pthread_self(), "kafkalite-touch");
    while (atomic_load(&touch->stop) == 0) {
        uint32_t word = atomic_load(&touch->word);
        if (touch_take(touch, &wish)) {
            touch_fulfil(touch, &wish);
            continue;
        }
        atomic_store(&touch->sleeps, 1);
        if (atomic_load(&touch->stop) == 0)
            (void)kfl__wait(&touch->word, word, -1);
        atomic_store(&touch->sleeps, 0);
    }
    while (touch_take(touch, &wish))
        kfl__segment_release(wish.segment);
    return NULL;
}

/* Holding the lock. */
static void touch_start(struct touch *touch)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    touch->runs = pthread_create(&touch->thread, NULL, touch_thread, touch) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static struct touch *touch_of(struct kfl__core *core)
{
    struct touch *touch = atomic_load(&core->touch);
    struct touch *nobody = NULL;
    if (touch != NULL || core->settings->background_threads == 0)
        return touch;
    touch = kfl__alloc(sizeof *touch);
    if (touch == NULL || kfl__mutex_init(&touch->lock, KFL_RANK_LEAF) < 0) {
        kfl__free(touch);
        return NULL;
    }
    if (atomic_compare_exchange_strong(&core->touch, &nobody, touch))
        return touch;
    kfl__mutex_destroy(&touch->lock);
    kfl__free(touch);
    return nobody;
}

static void touch_wish(struct kfl__core *core, struct kfl__segment *segment, uint64_t upto, uint64_t offsets_upto)
{
    struct touch *touch = touch_of(core);
    if (touch == NULL)
        return;
    kfl__mutex_lock(&touch->lock);
    if (!touch->runs && atomic_load(&touch->stop) == 0)
        touch_start(touch);
    if (touch->runs && touch->wish_count < TOUCH_WISHES && atomic_load(&touch->stop) == 0) {
        kfl__segment_acquire(segment);
        touch->wishes[touch->wish_count++] = (struct touch_wish){segment, upto, offsets_upto};
    }
    kfl__mutex_unlock(&touch->lock);
    atomic_fetch_add(&touch->word, 1);
    if (atomic_load(&touch->sleeps) != 0)
        kfl__wake(&touch->word, 1);
}

void kfl__touch_begin(struct kfl__core *core, struct kfl__segment *segment)
{
    uint64_t asked = 0, upto = KFL_TOUCH_AHEAD < segment->size ? KFL_TOUCH_AHEAD : segment->size;
    if (segment->size >= TOUCH_FILE_LEAST && atomic_compare_exchange_strong(&segment->asked_to, &asked, upto))
        touch_wish(core, segment, upto, 0);
}

/* As the batches so far, those to come take about so much of the signposts' file, up to a place in the segment. */
static uint64_t touch_offsets_upto(uint64_t place, uint32_t batches, uint64_t upto)
{
    return (uint64_t)((double)batches * sizeof(uint32_t) * (double)upto / (double)place);
}

void kfl__touch_look(struct kfl__core *core, struct kfl__segment *segment, uint64_t place, uint32_t batches)
{
    uint64_t page = place / 4096 * 4096, touched_to = atomic_load_explicit(&segment->touched_to, memory_order_relaxed);
    if (touched_to < page) /* a sync came, or others wrote */
        (void)atomic_compare_exchange_strong(&segment->touched_to, &touched_to, page);
    uint64_t asked = atomic_load_explicit(&segment->asked_to, memory_order_relaxed);
    if (place + KFL_TOUCH_AHEAD / 2 > asked && asked < segment->size && segment->size >= TOUCH_FILE_LEAST) {
        uint64_t upto = place + KFL_TOUCH_AHEAD < segment->size ? place + KFL_TOUCH_AHEAD : segment->size;
        if (atomic_compare_exchange_strong(&segment->asked_to, &asked, upto))
            touch_wish(core, segment, upto, touch_offsets_upto(place, batches, upto));
    }
    if (place + TOUCH_INLINE / 2 > atomic_load_explicit(&segment->touched_to, memory_order_relaxed))
        (void)kfl__segment_touch_ahead(segment, TOUCH_INLINE);
    uint64_t touched = atomic_load_explicit(&segment->touched_to, memory_order_relaxed);
    uint64_t look_at = touched >= segment->size ? segment->size : touched > TOUCH_INLINE / 2 ? touched - TOUCH_INLINE / 2 : 0;
    asked = atomic_load_explicit(&segment->asked_to, memory_order_relaxed);
    if (segment->size >= TOUCH_FILE_LEAST && asked < segment->size && asked - KFL_TOUCH_AHEAD / 2 < look_at)
        look_at = asked - KFL_TOUCH_AHEAD / 2;
    /* The half is to be noticed too: then the next file is prepared. */
    if (place * 2 <= segment->size && look_at > segment->size / 2)
        look_at = segment->size / 2;
    atomic_store_explicit(&segment->look_at, look_at > place ? look_at : place, memory_order_relaxed);
}

void kfl__touch_stop(struct kfl__core *core)
{
    struct touch *touch = atomic_load(&core->touch);
    if (touch == NULL)
        return;
    kfl__mutex_lock(&touch->lock);
    atomic_store(&touch->stop, 1);
    bool runs = touch->runs;
    touch->runs = false;
    kfl__mutex_unlock(&touch->lock);
    atomic_fetch_add(&touch->word, 1);
    kfl__wake(&touch->word, 1);
    if (runs)
        pthread_join(touch->thread, NULL);
}

void kfl__touch_destroy(struct kfl__core *core)
{
    struct touch *touch = atomic_load(&core->touch);
    if (touch == NULL)
        return;
    kfl__touch_stop(core); /* an append that was under way at the close may have begun it anew */
    kfl__mutex_destroy(&touch->lock);
    kfl__free(touch);
    atomic_store(&core->touch, NULL);
}
