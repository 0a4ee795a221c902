/* SPDX-License-Identifier: MIT */
/*
 * One call of the program: which verb, with which arguments and options, on which store.
 *
 * A verb is a row of the table in verbs.c; its options drive getopt_long and the help alike. The
 * program runs one verb and ends, so memory that runs out ends it at once.
 */
#ifndef KAFKALITE_CALL_H
#define KAFKALITE_CALL_H

#include <stddef.h>
#include <stdint.h>

#include "kafkalite.h"

/* What the process answers. A signal is answered by dying of it: 130, 141 and 143 in a shell. */
enum {
    STATUS_OK = 0,
    STATUS_FAILED = 1,
    STATUS_USAGE = 2,
    STATUS_DAMAGE = 3,  /* an integrity problem was found */
    STATUS_MISSING = 4, /* no such topic, group, offset */
    STATUS_BUSY = 5,
    STATUS_TIMEOUT = 6 /* time ran out, with nothing to show */
};

struct option_row {
    const char *name;
    int letter;           /* 0: only the long form */
    const char *argument; /* what the help calls it; NULL: takes none */
    const char *text;
};

struct call;

struct verb {
    const char *noun;
    const char *action;    /* NULL: the noun is the verb */
    const char *alias;     /* another name of the action; may be NULL */
    const char *arguments; /* as the help shows them */
    int least;
    int most; /* -1: any number */
    const char *text;
    const char *examples;
    const char *notes; /* may be NULL */
    const struct option_row *options;
    int (*run)(struct call *call);
};

extern const struct verb verbs[];            /* ends with a NULL noun */
extern const struct option_row no_options[]; /* ends with a NULL name, as they all do */
extern const struct option_row global_options[];

struct given {
    const char *name; /* borrowed from the row */
    const char *value;
};

struct call {
    const struct verb *verb;
    char **arguments;
    int argument_count;
    struct given *given;
    size_t given_count;
    kfl_store *store;
    const char *directory;
};

/* The value of an option that was given last; "" for one that takes none; NULL when it was not
 * given. */
const char *call_option(const struct call *call, const char *name);
/* Each value of an option in turn: *cursor begins at 0. NULL behind the last. */
const char *call_next_option(const struct call *call, const char *name, size_t *cursor);
/* A whole number within bounds. Returns STATUS_OK, also when the option was not given (`fallback`),
 * or STATUS_USAGE. */
int call_number(const struct call *call, const char *name, int64_t least, int64_t most,
                int64_t fallback, int64_t *out_number);
/* name=value pairs of an option into a config. */
int call_properties(const struct call *call, const char *name, kfl_config *config);
/* One such pair; value_needed 0 takes a bare name as "back to its default". */
int call_property(const char *pair, int value_needed, kfl_config *config);

/* Finds out which directory this call is about, and says so when it cannot. call_open does it too. */
int call_directory(struct call *call);
/* Opens the store of this call, which main() closes. */
enum { OPEN_TO_READ, OPEN_TO_WRITE, OPEN_TO_CREATE };
int call_open(struct call *call, int purpose);
/* STATUS_OK and the number of partitions, or an error that suggests a topic of a similar name. */
int call_topic(struct call *call, const char *topic, int32_t *out_partition_count);

/* Says what the library's last failure found out. Returns the status that stands for the code. */
int call_failed(int code);
/* Says what is wrong with the command. Returns STATUS_USAGE. */
int call_misused(const struct call *call, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Tells the human on standard error. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Memory that is there, or the end of the program. */
void *need(void *memory);
/* A larger block for an array that holds `count` and takes one more. */
void *need_room(void *array, size_t count, size_t element_size);

/* The signal that asks the program to stop, or 0. A second one ends it on the spot. */
int call_stopped(void);

/* help.c */
void help_program(void);
void help_verb(const struct verb *verb);
void help_noun(const char *noun);

/* The verbs. */
int run_topics_list(struct call *call);
int run_topics_create(struct call *call);
int run_topics_describe(struct call *call);
int run_topics_alter(struct call *call);
int run_topics_delete(struct call *call);
int run_configs_list(struct call *call);
int run_configs_get(struct call *call);
int run_configs_set(struct call *call);
int run_configs_unset(struct call *call);
int run_produce(struct call *call);
int run_consume(struct call *call);
int run_offsets(struct call *call);
int run_trim(struct call *call);
int run_retain(struct call *call);
int run_compact(struct call *call);
int run_vacuum(struct call *call);
int run_forget(struct call *call);
int run_dump(struct call *call);
int run_verify(struct call *call);
int run_repair(struct call *call);
int run_history(struct call *call);
int run_groups_list(struct call *call);
int run_groups_describe(struct call *call);
int run_groups_reset(struct call *call);
int run_groups_export(struct call *call);
int run_groups_delete(struct call *call);
int run_stats(struct call *call);
int run_demo(struct call *call);
int run_version(struct call *call);
int run_help(struct call *call);

#endif
