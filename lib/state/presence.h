/* SPDX-License-Identifier: MIT */
/*
 * Which processes live (R19). LOCK is never unlinked. Byte 0: joining, creating, leaving. Byte 1 + n: the
 * process with entry n lives. Byte 2^30: maintains. The entries (pid, start time, pid namespace) stand in the state file; a held byte whose process is
 * gone (an inherited descriptor) counts as dead.
 */
#ifndef KFL_STATE_PRESENCE_H
#define KFL_STATE_PRESENCE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define KFL_PRESENCE_MAX 1024

struct kfl__presence_entry {
    _Atomic int32_t pid; /* 0: never used or left */
    _Atomic int32_t reserved;
    _Atomic uint64_t start;     /* of the process, in kernel ticks since boot: /proc/pid/stat field 22 */
    _Atomic uint64_t namespace; /* inode of its pid namespace */
    char program[16];
    _Atomic uint64_t session; /* random: no two openings, of whatever process or boot, have the same */
    /* A word of its own for whoever waits for records of several partitions (R5). */
    _Atomic uint32_t wake_word;
    _Atomic uint32_t sleeping;
    char padding[8];
};
_Static_assert(sizeof(struct kfl__presence_entry) == 64, "in the state file");

struct kfl__presence {
    int lock_fd;
    int32_t entry; /* ours; -1 while not joined */
    bool shared;   /* LOCK could only be opened for reading: we take shared locks, and no entry */
    int32_t pid;
    uint64_t start;     /* of this process; 0: unknown */
    uint64_t namespace; /* of this process */
    uint64_t session;   /* of this opening; 0 while not joined */
};

/*
 * Open (create) LOCK and take byte 0, waiting; everything until kfl__presence_settle happens alone.
 *   read_only  creates nothing: 0, or KFL_FILE_MISSING when there is no LOCK. Where LOCK cannot be
 *              written, byte 0 is shared with other such readers, and joining takes no entry.
 */
int kfl__presence_enter(struct kfl__presence *presence, int directory, uint32_t file_mode, bool read_only);
/* Under byte 0: does any other process live? Looks at the lock bytes, then at the entries (may be NULL: bytes alone decide). */
int kfl__presence_others(struct kfl__presence *presence, const struct kfl__presence_entry *entries, bool *out_living);
/* Under byte 0: take a free entry and its byte. entries NULL only where LOCK cannot be written. KFL_E_BUSY: 1,024 processes; KFL_E_UNSUPPORTED: the living are in another pid namespace, or this very process has it open through another copy of the library. */
int kfl__presence_join(struct kfl__presence *presence, struct kfl__presence_entry *entries);
/* Give byte 0 back. */
int kfl__presence_settle(struct kfl__presence *presence);
/* Take byte 0 again, to leave or to sweep. */
int kfl__presence_reenter(struct kfl__presence *presence);
/* Is the process that this entry described with this start still alive? From any time. */
bool kfl__presence_lives(struct kfl__presence *presence, const struct kfl__presence_entry *entries, uint32_t entry, uint64_t start);
/* Does the opening with this session, which had that entry, still stand? From any time and boot. */
bool kfl__presence_stands(struct kfl__presence *presence, const struct kfl__presence_entry *entries, uint32_t entry, uint64_t session);
/* Try to become (or stay) the one who maintains. */
bool kfl__presence_maintain(struct kfl__presence *presence);
/* Under byte 0 (or in a dying process: not needed). Frees entry, byte and descriptor. Takes a half-entered one. */
void kfl__presence_leave(struct kfl__presence *presence, struct kfl__presence_entry *entries);
/* In the child of a fork, first of all: only closes the descriptor. */
void kfl__presence_forked(struct kfl__presence *presence);
/* "pid 4242 (myapp)" of the process that a kernel thread id belongs to, for messages. */
void kfl__presence_describe(int32_t thread_id, char *out_text, int32_t text_size);

#endif
