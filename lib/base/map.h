/* SPDX-License-Identifier: MIT */
/* Map and unmap a file, and touch its pages without dying of what is wrong with them. */
#ifndef KFL_BASE_MAP_H
#define KFL_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A page in the range cannot be read: device error, or beyond the end of the file. */
#define KFL_MAP_BAD 1

/* Shared with everybody who has the file. `place` a multiple of the page size, size > 0. */
int kfl__map_open(int fd, int64_t place, size_t size, bool writable, void **out_bytes);
void kfl__map_close(void *bytes, size_t size); /* takes NULL */

/* Rounds outwards to pages. 0, KFL_MAP_BAD, or an error. */
int kfl__map_populate_read(const void *bytes, size_t size);
int kfl__map_populate_write(void *bytes, size_t size);
void kfl__map_expect_sequential(void *bytes, size_t size);
/* Read, and not wanted again soon: first to go when memory is short, but for pages that others have mapped. A hint. */
void kfl__map_cold(const void *bytes, size_t size);
/*
 * Take the pages that lie wholly in the range out of the map; what was stored there is in the file's cache, and a page that is
 * touched again comes back. A sync would take away the right to store there page by page, and interrupt every
 * processor that runs this process for each.
 */
void kfl__map_let_go(void *bytes, size_t size);
/* A private page whose bytes a child of fork() sees as zeros. */
int kfl__map_fork_page(void **out_page);
size_t kfl__map_page_size(void);

#endif
