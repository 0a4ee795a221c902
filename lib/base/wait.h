/* SPDX-License-Identifier: MIT */
/* Sleep on a shared word until it changes, a deadline, or a signal; wake who sleeps there. */
#ifndef KFL_BASE_WAIT_H
#define KFL_BASE_WAIT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define KFL_WAIT_TIMEOUT 1

/*
 * Sleeps while *word == expected. Works between processes (the word may lie in any shared map).
 *
 *   deadline_ns  on the steady clock (kfl__clock_steady_ns); -1 waits for ever
 *
 * Returns 0 when woken, when the word had changed already, or for no reason; KFL_WAIT_TIMEOUT;
 * KFL_E_INTR when a signal was handled.
 */
int kfl__wait(_Atomic uint32_t *word, uint32_t expected, int64_t deadline_ns);

/* Wake at most `count` sleepers; INT32_MAX for all. One system call, also when nobody sleeps. */
void kfl__wake(_Atomic uint32_t *word, int32_t count);

/*
 * The same among sleepers of several kinds on one word, a bit each: who waits for any of `kinds` is
 * woken by a wake that has one of them, or by a kfl__wake().
 */
int kfl__wait_for(_Atomic uint32_t *word, uint32_t expected, uint32_t kinds, int64_t deadline_ns);
void kfl__wake_those(_Atomic uint32_t *word, uint32_t kinds, int32_t count);

/*
 * A descriptor that is readable once it was raised, until it is cleared: for select() and its kind. Neither
 * call waits. Owned: kfl__file_close(). KFL_E_IO: there are no descriptors left.
 */
int kfl__event_open(int *out_fd);
void kfl__event_raise(int fd);
void kfl__event_clear(int fd);

/* Is there more than one processor? Where not, nobody does meanwhile what a spinning thread waits for. */
bool kfl__spins(void);

/* One turn of a spinning loop. */
static inline void kfl__relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

#endif
