/* SPDX-License-Identifier: MIT */
/* Wait for the end of other processes: told by the kernel, at once, whatever they ended of. */
#ifndef KFL_BASE_WATCH_H
#define KFL_BASE_WATCH_H

#include <stdint.h>

/*
 * A descriptor that tells of the end of this process; kfl__file_close(). -1: there is no such
 * process, or no descriptor to be had. Whether it is the process that was meant has to be asked
 * afterwards, because a pid may be another process's by now.
 */
int kfl__watch_process(int32_t pid);
/* A descriptor by which another thread ends a wait; -1: none to be had. */
int kfl__watch_make_bell(void);
void kfl__watch_ring(int bell);
/*
 * Until the bell rang, one of the processes has ended, or the time has passed. The bell is silent
 * again afterwards. 1: a process has ended.
 */
int kfl__watch_wait(int bell, const int *processes, int32_t count, int32_t timeout_ms);

#endif
