/* SPDX-License-Identifier: MIT */
/* The heap. Every way to more memory passes the one fault point, so that a sweep meets them all. */
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/fault.h"

void *kfl__alloc(size_t size)
{
    return KFL_FAULT("memory.alloc") != 0 ? NULL : calloc(1, size);
}

void *kfl__alloc_lines(size_t size)
{
    if (KFL_FAULT("memory.alloc") != 0)
        return NULL;
    size_t lines = (size + KFL_CACHE_LINE - 1) / KFL_CACHE_LINE;
    void *block = aligned_alloc(KFL_CACHE_LINE, lines * KFL_CACHE_LINE);
    if (block != NULL)
        memset(block, 0, lines * KFL_CACHE_LINE);
    return block;
}

void *kfl__alloc_array(size_t count, size_t size)
{
    return KFL_FAULT("memory.alloc") != 0 ? NULL : calloc(count, size);
}

void *kfl__realloc(void *block, size_t size)
{
    assert(size > 0);
    return KFL_FAULT("memory.alloc") != 0 ? NULL : realloc(block, size);
}

char *kfl__copy_string(const char *string)
{
    assert(string != NULL);
    return KFL_FAULT("memory.alloc") != 0 ? NULL : strdup(string);
}

void kfl__free(void *block)
{
    free(block);
}
