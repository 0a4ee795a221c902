/* SPDX-License-Identifier: MIT */
/*
 * Records what a process does to the files of one folder, so that a power cut at any moment can be
 * replayed: which 512-byte sectors changed since when, which of them were synced, which names exist.
 *
 * It stands in front of the C library's calls (the program that links it exports its symbols, so LMDB
 * comes by here too). Stores through maps make no call: every file is compared with a shadow copy
 * whenever something is synced, a name comes or goes, or the program makes a mark. A trace lies in
 * memory that processes share: one can be killed and another one go on with it.
 */
#ifndef KFL_TESTS_CRASH_RECORDER_H
#define KFL_TESTS_CRASH_RECORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECORDER_SECTOR 512u

enum recorder_kind {
    RECORDER_WRITE = 1, /* file, at = byte place; payload: the sector as it is now */
    RECORDER_SIZE,      /* file, at = size */
    RECORDER_SYNC, /* file; at = position in the trace of what it covers; from, to: bytes, 0, 0: all */
    RECORDER_CREATE,     /* file; payload: path below the folder */
    RECORDER_MKDIR,      /* payload: path */
    RECORDER_UNLINK,     /* payload: path; of a folder too */
    RECORDER_SYNC_NAMES, /* payload: the folder's path; at as in RECORDER_SYNC */
    RECORDER_MARK,       /* payload: the program's own */
};

struct recorder_event {
    uint32_t kind;
    uint32_t file;
    uint64_t at;
    uint32_t from, to;
    uint32_t payload_size;
    uint32_t reserved;
};

struct recorder_trace {
    _Atomic uint64_t used; /* bytes; an event counts once it is all there */
    uint64_t room;
    uint64_t begins; /* bytes that say what was there from the start: no power is cut in them */
    _Alignas(8) uint8_t bytes[];
};

/* Room is address space: what is not used costs nothing. */
struct recorder_trace *recorder_trace_make(uint64_t room);
void recorder_trace_drop(struct recorder_trace *trace);
/* The event at `position`, which is moved behind it; NULL at the end. */
const struct recorder_event *recorder_trace_next(const struct recorder_trace *trace,
                                                 uint64_t *io_position);
static inline const void *recorder_payload(const struct recorder_event *event)
{
    return event + 1;
}

/* Lies that a test may tell the program, to see whether it is caught. */
enum {
    RECORDER_SWALLOW_LOG_SYNC = 1,  /* syncs of .log files do nothing: acknowledged too early */
    RECORDER_SWALLOW_NAME_SYNC = 2, /* syncs of folders do nothing */
    RECORDER_SWALLOW_CATALOG_SYNC = 4,
};

/*
 * From now on, in this process. What is in the folder counts as durable when the trace is empty, and
 * goes on where a former process was killed when it is not.
 */
void recorder_start(const char *folder, struct recorder_trace *trace, int lies);
void recorder_stop(void);
/* End this process by SIGKILL, with the trace up to date and no other thread in the middle of an event. */
void recorder_kill(void);
/* Compares first, so that what was stored before is in the trace before the mark. */
void recorder_mark(const void *payload, uint32_t size, bool compare);

#endif
