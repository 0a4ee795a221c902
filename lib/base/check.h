/* SPDX-License-Identifier: MIT */
/*
 * Asserts and annotations.
 *
 * assert() is for what this process itself wrote or was promised by its own code; what comes from a
 * disk or from a caller is checked and answered with an error code.
 */
#ifndef KFL_BASE_CHECK_H
#define KFL_BASE_CHECK_H

#include <assert.h>

#if defined(__clang__)
#define KFL_CAPABILITY(name) __attribute__((capability(name)))
#define KFL_REQUIRES(...) __attribute__((requires_capability(__VA_ARGS__)))
#define KFL_ACQUIRES(...) __attribute__((acquire_capability(__VA_ARGS__)))
#define KFL_RELEASES(...) __attribute__((release_capability(__VA_ARGS__)))
#define KFL_UNCHECKED __attribute__((no_thread_safety_analysis))
#else
#define KFL_CAPABILITY(name)
#define KFL_REQUIRES(...)
#define KFL_ACQUIRES(...)
#define KFL_RELEASES(...)
#define KFL_UNCHECKED
#endif

#define KFL_PRINTF(format_at, first_at) __attribute__((format(printf, format_at, first_at)))
#define KFL_LIKELY(condition) __builtin_expect(!!(condition), 1)
#define KFL_UNLIKELY(condition) __builtin_expect(!!(condition), 0)

#if defined(__SANITIZE_THREAD__)
#define KFL_THREAD_SANITIZER
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define KFL_THREAD_SANITIZER
#endif
#endif

/*
 * For the definition of a function that its header declares as any other: inlined wherever the body is seen, which is
 * everywhere in the one unit that the library is built as. gcc wants the word as well; clang warns where such a function,
 * which has external linkage, uses a static one.
 */
#ifdef __clang__
#define KFL_INLINE_WHERE_SEEN __attribute__((always_inline))
#else
#define KFL_INLINE_WHERE_SEEN inline __attribute__((always_inline))
#endif

/*
 * Asks for a line that is about to be written: also away from another processor that reads it, which the compiler's own
 * prefetch leaves out where the oldest processors are to be served. They take this for no instruction; an address that is
 * not mapped does no harm.
 */
static inline void kfl__fetch_to_write(const void *at)
{
#if defined(__x86_64__)
    __asm__ volatile("prefetchw %0" : : "m"(*(const char *)at));
#else
    __builtin_prefetch(at, 1);
#endif
}

/*
 * Asks for a line that is about to be read. To the compiler the bare prefetch is nothing that anybody would miss: a function
 * that does only this is pure, and gcc takes out its calls where it sees the body.
 */
static inline void kfl__fetch(const void *at)
{
    __builtin_prefetch(at);
    __asm__ volatile("");
}

/* Two neighbouring lines: what one processor fetches at a time on today's machines. */
#define KFL_CACHE_LINE 128

#endif
