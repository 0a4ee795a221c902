/* SPDX-License-Identifier: MIT */
/* SANITIZED: a sanitizer keeps its shadow in the address space, so that a limit on it says nothing about the library. */
#ifndef KFL_TESTS_SANITIZED_H
#define KFL_TESTS_SANITIZED_H

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#endif
