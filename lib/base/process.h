/* SPDX-License-Identifier: MIT */
/* Who this process is, and whether another one still lives. */
#ifndef KFL_BASE_PROCESS_H
#define KFL_BASE_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

struct kfl__process {
    int32_t pid;
    uint64_t start; /* kernel ticks since boot; 0 where /proc is missing or another namespace's */
    /* Of pids, and in the high half that of time, which shifts `start`; 0: unknown. */
    uint64_t namespace;
};

/* The calling process. Never fails: what cannot be learned is 0. */
void kfl__process_self(struct kfl__process *out_process);

/*
 * Is the process with this pid, in our namespace, still the one that began at `start` (0: any)?
 * One that ended and waits to be reaped is gone. One that we may not look at counts as living.
 */
bool kfl__process_lives(int32_t pid, uint64_t start);

/* The process that a kernel thread id belongs to; 0: there is none, or it cannot be seen. */
int32_t kfl__process_of_thread(int32_t thread_id);

/* The program's short name, made printable; "?" where unknown. */
#define KFL_PROCESS_NAME_SIZE 16
void kfl__process_name(int32_t pid, char out_name[KFL_PROCESS_NAME_SIZE]);

#endif
