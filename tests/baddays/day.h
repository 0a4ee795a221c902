/* SPDX-License-Identifier: MIT */
/*
 * The store of a bad day: two topics whose records follow from their place, so that whoever reads one knows
 * whether it is right; and a visitor that opens the store, reads, verifies, appends and closes in a child
 * with a time limit, and tells what became of each record.
 */
#ifndef KFL_TESTS_DAY_H
#define KFL_TESTS_DAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kafkalite.h"

#define DAY_PARTITIONS 3 /* orders/0, orders/1, clicks/0 */
#define DAY_OFFSETS_MAX 4096
#define DAY_GROUP "readers"

extern const char *const day_topics[DAY_PARTITIONS];
extern const int32_t day_numbers[DAY_PARTITIONS];
/* How many records the store holds, and what its group has committed. */
extern const int64_t day_ends[DAY_PARTITIONS];
extern const int64_t day_committed[DAY_PARTITIONS];

/* The value of a record: its size, and its bytes where `out_bytes` is not NULL (DAY_VALUE_MAX fit). */
#define DAY_VALUE_MAX 2048
size_t day_value(int partition, int64_t offset, uint8_t *out_bytes);

/* Store properties for a test: no helper thread, so that a case is the same each time. Owned. */
kfl_config *day_config(void);
/* Append records [from, to) of one partition. 0 or the first error; *out_next behind the last that went in. */
int day_append(kfl_producer *producer, int partition, int64_t from, int64_t to, int64_t *out_next);
/* Make the store in an existing or missing folder. 0 or an error. */
int day_make_topics(kfl_store *store);
/* `close` false: the maker ends as a killed process does. Aborts the test where it fails. */
void day_make(const char *path, bool close);

/* What became of one record. */
enum day_fate {
    DAY_UNSEEN = 0,
    DAY_RIGHT = 1,
    DAY_HOLE = 2,  /* told by an event */
    DAY_WRONG = 3, /* other bytes than were sent, or told twice */
};

struct day_visit {
    int signal; /* that ended the visitor; SIGALRM: it hung; 0: none */
    int exit_status;
    int open; /* the results, 0 or an error */
    int close;
    int verify;    /* findings, or an error */
    int committed; /* 0, or an error */
    bool committed_right;
    struct {
        int read; /* 0, or the error that ended the reading */
        int64_t start_offset, end_offset;
        int64_t holes_end; /* highest end of a hole */
        uint8_t fates[DAY_OFFSETS_MAX];
        int append; /* 0 or more, or an error */
        int64_t appended_at;
        int read_again; /* 1: what was appended was read; 0: not; or an error */
    } partitions[DAY_PARTITIONS];
    char words[256]; /* of the first error */
};

enum {
    DAY_APPEND = 1,
    DAY_VERIFY = 2,
    DAY_READ_ONLY = 4,
};
/* Shared memory for a visit; kept for the whole test. */
struct day_visit *day_visit_create(void);
void day_visit_run(const char *path, int flags, struct day_visit *visit);
/* All is there and right. */
bool day_visit_is_whole(const struct day_visit *visit);
/* One line for a message. */
const char *day_visit_text(const struct day_visit *visit);

/* Folders as they are: holes stay holes, modes stay. */
void day_copy(const char *from, const char *to);
void day_remove(const char *path);

/* Files of a store by what they are. */
struct day_files {
    int count;
    char paths[64][160]; /* relative to the store */
};
/* Whose names end with `suffix`, sorted; "" lists all. */
void day_list(const char *path, const char *suffix, struct day_files *out_files);

#endif
