/* SPDX-License-Identifier: MIT */
/*
 * What every benchmark here stands on: a clock, interleaved rounds, minimum and median, one table.
 *
 * A table is a list of rows. In each round every row runs once, one after the other, so that a
 * limit, ours and the peers meet the same weather; a ratio is taken within the round. What counts
 * is the median of these ratios; the ratio of the two minima stands beside it.
 */
#ifndef KFL_BENCH_H
#define KFL_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_ROUNDS_MAX 32

enum bench_role { BENCH_LIMIT, BENCH_OURS, BENCH_PEER, BENCH_NOTE };

/* How a row is judged: against the nearest limit above it in its table, or by its time alone. */
enum bench_measure {
    BENCH_TIME, /* its time over the limit's: smaller is better */
    BENCH_RATE, /* its rate over the limit's: larger is better */
    BENCH_NS    /* nanoseconds an operation, without regard to the limit */
};

struct bench_bar {
    enum bench_measure measure;
    double must, goal; /* 0: no such bar */
};

struct bench_row {
    const char *name;
    enum bench_role role;
    double bytes; /* payload of one operation; 0 prints no MB/s */
    struct bench_bar bar;
    /* Both may be NULL. open returns 0, or a negative number with a reason in `note`. */
    int (*open)(struct bench_row *row);
    void (*close)(struct bench_row *row);
    /* One round: nanoseconds an operation, or a negative number with a reason in `note`. */
    double (*run)(struct bench_row *row);
    void *context;
    char note[96]; /* printed at the end of the row */

    /* filled by bench_table() */
    double ns[BENCH_ROUNDS_MAX];
    int rounds;
    bool out;      /* failed: is not run again */
    bool left_out; /* a peer, and --no-peers */
};

/* Reads the command line; ends the program on a wrong one. `name` is the program's, e.g. "append".
 */
void bench_start(int argc, char **argv, const char *name);
/* Runs one table and prints it, unless --only names another. */
void bench_table(const char *title, struct bench_row *rows, size_t row_count);
/* A round of the tables that follow takes a minute or more: three of them are enough. */
void bench_take_long(void);
/* Removes what was written; returns the exit status. */
int bench_finish(void);

/* --quick: a few seconds instead of minutes, and smaller stores. */
bool bench_quick(void);
/* False once a signal asked to stop: long set-ups look at it. */
bool bench_going_on(void);
/* "<directory of this run>/<name>", owned: free(). */
char *bench_path(const char *name);
/* With all that is in it; nothing there is fine. */
void bench_remove(const char *path);

int64_t bench_now_ns(void);
/* Page faults of this thread so far. */
int64_t bench_faults(void);
/* Bytes written so far to the device below the directory of this run, by everybody; -1: not
 * readable. */
int64_t bench_device_written(void);
/* On virtual machines a page that the guest has not used lately is slow to come: use some, give
 * them back. */
void bench_recycle_memory(size_t size);
/* Sorts `values`; part 0.5 is the median. */
double bench_quantile(double *values, size_t count, double part);
/* Writes row->note and returns -1. */
int bench_out(struct bench_row *row, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Ends the program: for what cannot fail on a healthy machine. */
void bench_die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/*
 * This thread alone on a processor (side 0, 1 ...) and before all others, where the system allows it, until _end. For
 * less than a second: others wait.
 */
void bench_burst_begin(int side);
/* This thread, and those that it begins from here on, run elsewhere, where there is another processor; until _end, too. */
void bench_burst_aside(int side);
void bench_burst_end(void);

/* A fallocated file of `size` bytes, mapped shared and writable; the pages present when `populate`.
 */
void *bench_map(const char *path, size_t size, bool populate);
void bench_unmap(void *bytes, size_t size);

/*
 * Records to write, of random bytes: an 8-byte key and a value each, one behind the other. All
 * together fit the second-level cache, as what a program has just made would.
 */
#define BENCH_KEY_SIZE 8u
struct bench_source {
    char *bytes;
    size_t value_size, record_size; /* record_size: key and value */
    uint64_t count;                 /* a power of two */
};
struct bench_source bench_source_create(size_t value_size);
void bench_source_destroy(struct bench_source *source);
/* The record for number n: its key, with the value behind it. */
static inline const char *bench_source_record(const struct bench_source *source, uint64_t n)
{
    return source->bytes + (n & (source->count - 1)) * source->record_size;
}

/* A fast generator of numbers; the state is the caller's and not 0. */
static inline uint64_t bench_random(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    *state = x;
    return x * UINT64_C(0x2545F4914F6CDD1D);
}

/* Keeps the compiler from leaving out what computed `value`. */
static inline void bench_keep(uint64_t value)
{
    __asm__ volatile("" : : "r"(value) : "memory");
}

#endif
