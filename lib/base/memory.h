/* SPDX-License-Identifier: MIT */
/* The heap, through one door, where a test makes the n-th allocation fail ("memory.alloc"). */
#ifndef KFL_BASE_MEMORY_H
#define KFL_BASE_MEMORY_H

#include <stddef.h>

/* Zeroed. NULL when there is none; the caller writes the story. */
void *kfl__alloc(size_t size);
/* The same on cache lines of its own: what one thread writes again and again makes its neighbours slow for all others. */
void *kfl__alloc_lines(size_t size);
void *kfl__alloc_array(size_t count, size_t size);
/* As realloc: on failure the old block stays. New bytes are not zeroed. */
void *kfl__realloc(void *block, size_t size);
char *kfl__copy_string(const char *string);
/* Takes NULL. */
void kfl__free(void *block);

#endif
