/* SPDX-License-Identifier: MIT */
/*
 * What the processes of a group test share: who holds which partition, which records were handled
 * how often, and what they are told to do. In memory that all of them map, so that it outlives a kill.
 */
#ifndef KFL_TESTS_GROUPS_RIG_H
#define KFL_TESTS_GROUPS_RIG_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

#include "kafkalite.h"

enum {
    RIG_PROCESSES = 8,
    RIG_MEMBERS = 2, /* threads of a process, each a member */
    RIG_PARTITIONS = 12,
    RIG_RECORDS = 200000, /* a partition, at most */
};

struct rig_process {
    _Atomic pid_t pid;               /* 0: not running */
    _Atomic int dying;               /* it is being killed */
    _Atomic int stop;                /* close the members, and end */
    _Atomic int rejoin[RIG_MEMBERS]; /* close and open this member */
};

struct rig {
    char path[200];
    int commits_first; /* commit before handling: at most once */
    int commits_async; /* and do not wait for it: what is measured is not the disk */
    int partitions;
    _Atomic int appending, appended_all;
    /* 1 + process * RIG_MEMBERS + member; 0: nobody */
    _Atomic int owner[RIG_PARTITIONS];
    _Atomic pid_t owner_pid[RIG_PARTITIONS];
    _Atomic int64_t end[RIG_PARTITIONS];
    _Atomic int64_t handled_ns[RIG_PARTITIONS]; /* when the last record of it was handled, steady */
    _Atomic int64_t handled, handled_by_strangers, two_owners, takes, refused_commits;
    struct rig_process processes[RIG_PROCESSES];
    _Atomic uint8_t counts[RIG_PARTITIONS][RIG_RECORDS];
};

/* The only one of this program. */
extern struct rig *rig;

int64_t rig_now_ns(void);
void rig_sleep_ms(int ms);
void rig_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
#define RIG_OK(call) rig_check(call, #call)
int rig_check(int r, const char *call);

/* Makes the store, with one topic "t". */
void rig_begin(int partitions, int commits_first);
void rig_end(void);
/* Processes: members that consume, one that appends a record a partition every `every_us`. */
void rig_start(int process, int members);
void rig_kill(int process);
void rig_stop(int process);
pid_t rig_start_appender(int64_t records, int every_us);
void rig_wait_child(pid_t pid);
/* Until the members that live share all partitions evenly; the time it took, or -1. */
int64_t rig_wait_balanced(int members, int timeout_ms);

#endif
