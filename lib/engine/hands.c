/* SPDX-License-Identifier: MIT */
#include "engine/hands.h"

#include <signal.h>

#include "base/memory.h"
#include "base/wait.h"

#define HAND_WISHES 16

struct hand {
    struct kfl__core *core;
    const char *name;
    struct kfl__mutex lock;               /* rank LEAF; guards: */
    struct kfl__wish wishes[HAND_WISHES]; /* the first is under way, or is the next */
    int32_t wish_count;
    uint64_t done; /* wishes so far: the number of the first */
    pthread_t thread;
    bool runs;

    _Atomic int32_t waiting; /* wish_count, for a look without the lock */
    _Atomic int stop;
    _Atomic uint32_t word;
    _Atomic uint32_t sleeps;
};

struct hands {
    struct hand hand[KFL_HAND_JOBS];
};

/* Holding the lock. Its share goes over. */
static struct kfl__wish hand_remove_first(struct hand *hand)
{
    struct kfl__wish wish = hand->wishes[0];
    hand->wish_count--;
    hand->done++;
    for (int32_t i = 0; i < hand->wish_count; i++)
        hand->wishes[i] = hand->wishes[i + 1];
    atomic_store(&hand->waiting, hand->wish_count);
    return wish;
}

/* A step of the first wish, which others may take steps of meanwhile. false: there is none. */
static bool hand_step(struct hand *hand)
{
    kfl__mutex_lock(&hand->lock);
    if (hand->wish_count == 0) {
        kfl__mutex_unlock(&hand->lock);
        return false;
    }
    struct kfl__wish wish = hand->wishes[0];
    uint64_t number = hand->done;
    wish.share(&wish);
    kfl__mutex_unlock(&hand->lock);
    bool last = false;
    if (wish.fulfil(hand->core, &wish)) {
        kfl__mutex_lock(&hand->lock);
        last = hand->done == number;
        if (last)
            (void)hand_remove_first(hand);
        kfl__mutex_unlock(&hand->lock);
    }
    if (last)
        wish.forget(&wish);
    wish.forget(&wish);
    return true;
}

static void hand_forget_all(struct hand *hand)
{
    kfl__mutex_lock(&hand->lock);
    while (hand->wish_count > 0) {
        struct kfl__wish wish = hand_remove_first(hand);
        kfl__mutex_unlock(&hand->lock);
        wish.forget(&wish);
        kfl__mutex_lock(&hand->lock);
    }
    kfl__mutex_unlock(&hand->lock);
}

static void *hand_thread(void *context)
{
    struct hand *hand = context;
    pthread_setname_np(pthread_self(), hand->name);
    while (atomic_load(&hand->stop) == 0) {
        uint32_t word = atomic_load(&hand->word);
        if (hand_step(hand))
            continue;
        atomic_store(&hand->sleeps, 1);
        if (atomic_load(&hand->stop) == 0)
            (void)kfl__wait(&hand->word, word, -1);
        atomic_store(&hand->sleeps, 0);
    }
    hand_forget_all(hand);
    return NULL;
}

/* Holding the lock. The host's signals are none of its business (R19). */
static void hand_start(struct hand *hand)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    hand->runs = pthread_create(&hand->thread, NULL, hand_thread, hand) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void hands_free(struct hands *hands)
{
    for (int job = 0; job < KFL_HAND_JOBS; job++)
        kfl__mutex_destroy(&hands->hand[job].lock);
    kfl__free(hands);
}

/* Made at the first wish. NULL: there are no threads, or there is no memory. */
static struct hands *hands_of(struct kfl__core *core)
{
    static const char *const names[KFL_HAND_JOBS] = {"kafkalite-touch", "kafkalite-next"};
    struct hands *hands = atomic_load(&core->hands);
    struct hands *nobody = NULL;
    if (hands != NULL || core->settings->background_threads == 0)
        return hands;
    hands = kfl__alloc(sizeof *hands);
    if (hands == NULL)
        return NULL;
    for (int job = 0; job < KFL_HAND_JOBS; job++) {
        struct hand *hand = &hands->hand[job];
        hand->core = core;
        hand->name = names[job];
        if (kfl__mutex_init(&hand->lock, KFL_RANK_LEAF) < 0) {
            while (job-- > 0)
                kfl__mutex_destroy(&hands->hand[job].lock);
            kfl__free(hands);
            return NULL;
        }
    }
    if (atomic_compare_exchange_strong(&core->hands, &nobody, hands))
        return hands;
    hands_free(hands);
    return nobody;
}

bool kfl__hands_ask(struct kfl__core *core, enum kfl__hand_job job, const struct kfl__wish *wish)
{
    struct hands *hands = hands_of(core);
    bool asked = false;
    if (hands == NULL)
        return false;
    struct hand *hand = &hands->hand[job];
    kfl__mutex_lock(&hand->lock);
    if (!hand->runs && atomic_load(&hand->stop) == 0)
        hand_start(hand);
    if (hand->runs && hand->wish_count < HAND_WISHES && atomic_load(&hand->stop) == 0) {
        hand->wishes[hand->wish_count++] = *wish;
        atomic_store(&hand->waiting, hand->wish_count);
        asked = true;
    }
    kfl__mutex_unlock(&hand->lock);
    if (!asked)
        return false;
    atomic_fetch_add(&hand->word, 1);
    if (atomic_load(&hand->sleeps) != 0)
        kfl__wake(&hand->word, 1);
    return true;
}

void kfl__hands_help(struct kfl__core *core, enum kfl__hand_job job)
{
    struct hands *hands = atomic_load(&core->hands);
    if (hands == NULL)
        return;
    while (atomic_load_explicit(&hands->hand[job].waiting, memory_order_relaxed) != 0)
        if (!hand_step(&hands->hand[job]))
            return;
}

void kfl__hands_stop(struct kfl__core *core)
{
    struct hands *hands = atomic_load(&core->hands);
    for (int job = 0; hands != NULL && job < KFL_HAND_JOBS; job++) {
        struct hand *hand = &hands->hand[job];
        kfl__mutex_lock(&hand->lock);
        atomic_store(&hand->stop, 1);
        bool runs = hand->runs;
        hand->runs = false;
        kfl__mutex_unlock(&hand->lock);
        atomic_fetch_add(&hand->word, 1);
        kfl__wake(&hand->word, 1);
        if (runs)
            pthread_join(hand->thread, NULL);
    }
}

void kfl__hands_destroy(struct kfl__core *core)
{
    struct hands *hands = atomic_load(&core->hands);
    if (hands == NULL)
        return;
    kfl__hands_stop(core); /* an append that was under way at the close may have begun one anew */
    hands_free(hands);
    atomic_store(&core->hands, NULL);
}
