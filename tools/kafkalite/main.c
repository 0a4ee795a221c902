/* SPDX-License-Identifier: MIT */
/*
 * The command line of libkafkalite: a guest that knows the public header and nothing else.
 *
 * Here a command line becomes a call: the verb, by its name or a unique prefix; the options, of
 * which the global ones may stand anywhere. Signals do not kill: they stop the verb, the store is
 * closed, and then the program dies of the signal, as its caller expects.
 */
#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "call.h"
#include "moment.h"
#include "output.h"

enum { OPTIONS_MOST = 32, FIRST_LONG = 1000 };

static volatile sig_atomic_t stop_signal;

static void note_signal(int number)
{
    stop_signal = number;
}

int call_stopped(void)
{
    return stop_signal;
}

/* What our caller ignores on our behalf (nohup, a shell's background job) stays ignored. */
static void catch_signal(int number)
{
    /* A second signal finds the default in place: nobody waits for a verb that does not stop. */
    struct sigaction action = {.sa_handler = note_signal, .sa_flags = (int)SA_RESETHAND};
    struct sigaction before;
    sigemptyset(&action.sa_mask);
    if (sigaction(number, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
        sigaction(number, &action, NULL);
}

static void die_of(int number)
{
    signal(number, SIG_DFL);
    raise(number);
    _exit(128 + number);
}

/* The rows of the verb, then the global ones that it does not name itself. */
static size_t collect_rows(const struct verb *verb, const struct option_row *out_rows[OPTIONS_MOST])
{
    size_t count = 0;
    if (verb != NULL) {
        for (const struct option_row *row = verb->options; row->name != NULL; row++)
            out_rows[count++] = row;
    }
    for (const struct option_row *row = global_options; row->name != NULL; row++) {
        size_t i = 0;
        while (i < count && strcmp(out_rows[i]->name, row->name) != 0)
            i++;
        if (i == count)
            out_rows[count++] = row;
    }
    return count;
}

/* Says what getopt_long did not like: it left the letter, or the number of the row, in optopt. */
static int wrong_option(const struct call *call, const struct option_row **rows, size_t row_count,
                        int answer, const char *word)
{
    int is_long = optopt == 0 || optopt >= FIRST_LONG;
    if (answer == ':' && is_long)
        return call_misused(call, "--%s needs a value", rows[optopt - FIRST_LONG]->name);
    if (answer == ':')
        return call_misused(call, "-%c needs a value", optopt);
    if (!is_long)
        return call_misused(call, "no option -%c", optopt);
    if (optopt != 0)
        return call_misused(call, "--%s takes no value", rows[optopt - FIRST_LONG]->name);
    const char *candidates[OPTIONS_MOST + 1] = {NULL};
    char name[40];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(word + 2, "="), word + 2);
    for (size_t i = 0; i < row_count; i++)
        candidates[i] = rows[i]->name;
    const char *near = text_nearest(name, candidates);
    if (near != NULL)
        return call_misused(call, "no option --%s; did you mean --%s?", name, near);
    return call_misused(call, "no option --%s", name);
}

/*
 * Takes the options in argv[1..]; what is left is at *out_first. Before the verb is known it stops
 * at the first other word.
 */
static int take_options(struct call *call, int argc, char **argv, int *out_first)
{
    const struct option_row *rows[OPTIONS_MOST];
    size_t row_count = collect_rows(call->verb, rows);
    struct option longs[OPTIONS_MOST + 1] = {{0}};
    struct text shorts = {0};
    text_add_format(&shorts, call->verb == NULL ? "+:" : ":");
    for (size_t i = 0; i < row_count; i++) {
        int takes = rows[i]->argument != NULL;
        longs[i] = (struct option){rows[i]->name, takes ? required_argument : no_argument, NULL,
                                   FIRST_LONG + (int)i};
        if (rows[i]->letter != 0)
            text_add_format(&shorts, "%c%s", rows[i]->letter, takes ? ":" : "");
    }
    int status = STATUS_OK;
    int answer;
    opterr = 0;
    optind = 0;
    while (status == STATUS_OK &&
           (answer = getopt_long(argc, argv, shorts.data, longs, NULL)) != -1) {
        const struct option_row *row = NULL;
        for (size_t i = 0; i < row_count; i++) {
            if (answer == FIRST_LONG + (int)i || (answer == rows[i]->letter && answer != 0))
                row = rows[i];
        }
        if (answer == '?' || answer == ':' || row == NULL) {
            status = wrong_option(call, rows, row_count, answer, argv[optind - 1]);
            break;
        }
        call->given = need_room(call->given, call->given_count, sizeof *call->given);
        call->given[call->given_count++] =
            (struct given){row->name, row->argument != NULL ? optarg : ""};
    }
    *out_first = optind;
    text_free(&shorts);
    return status;
}

static int is_prefix(const char *word, const char *name)
{
    return name != NULL && strncmp(word, name, strlen(word)) == 0;
}

/* The noun that a word stands for: the whole of it, or a prefix of one only. NULL: *out_message
 * says why. */
static const char *find_noun(const struct call *call, const char *word)
{
    const char *found = NULL;
    int several = 0;
    const char *candidates[64] = {NULL};
    size_t count = 0;
    for (const struct verb *verb = verbs; verb->noun != NULL; verb++) {
        if (strcmp(word, verb->noun) == 0)
            return verb->noun;
        if (is_prefix(word, verb->noun)) {
            several = several || (found != NULL && strcmp(found, verb->noun) != 0);
            found = verb->noun;
        }
        candidates[count++] = verb->noun;
    }
    if (several) {
        call_misused(call, "\"%s\" begins more than one verb", word);
        return NULL;
    }
    const char *near = found == NULL ? text_nearest(word, candidates) : NULL;
    if (near != NULL)
        call_misused(call, "no verb \"%s\"; did you mean \"%s\"?", word, near);
    else if (found == NULL)
        call_misused(call, "no verb \"%s\"", word);
    return found;
}

static const struct verb *find_action(const struct call *call, const char *noun, const char *word)
{
    const struct verb *found = NULL;
    int several = 0;
    const char *candidates[16] = {NULL};
    size_t count = 0;
    for (const struct verb *verb = verbs; verb->noun != NULL; verb++) {
        if (strcmp(noun, verb->noun) != 0)
            continue;
        if (verb->action == NULL || strcmp(word, verb->action) == 0 ||
            (verb->alias != NULL && strcmp(word, verb->alias) == 0))
            return verb;
        if (is_prefix(word, verb->action)) {
            several = several || found != NULL;
            found = verb;
        }
        candidates[count++] = verb->action;
    }
    const char *near = found == NULL ? text_nearest(word, candidates) : NULL;
    if (several)
        call_misused(call, "\"%s\" begins more than one of \"kafkalite help %s\"", word, noun);
    else if (near != NULL)
        call_misused(call, "no verb \"%s %s\"; did you mean \"%s\"?", noun, word, near);
    else if (found == NULL)
        call_misused(call, "no verb \"%s %s\"; see kafkalite help %s", noun, word, noun);
    return several ? NULL : found;
}

int run_version(struct call *call)
{
    (void)call;
    if (output_is_json())
        output_json(need_json(json_pack("{s:s, s:s, s:i}", "version", kfl_version_string(), "build",
                                        kfl_build_info(), "format", kfl_format_version())));
    else
        printf("kafkalite %s, format %d\n%s\n", kfl_version_string(), kfl_format_version(),
               kfl_build_info());
    return STATUS_OK;
}

int run_help(struct call *call)
{
    if (call->argument_count == 0) {
        help_program();
        return STATUS_OK;
    }
    const char *noun = find_noun(call, call->arguments[0]);
    if (noun == NULL)
        return STATUS_USAGE;
    const struct verb *verb = verbs;
    while (strcmp(verb->noun, noun) != 0)
        verb++;
    if (verb->action != NULL && call->argument_count == 1) {
        help_noun(noun);
        return STATUS_OK;
    }
    if (call->argument_count > 1)
        verb = find_action(call, noun, call->arguments[1]);
    if (verb == NULL)
        return STATUS_USAGE;
    help_verb(verb);
    return STATUS_OK;
}

static int setup(const struct call *call)
{
    const char *color = call_option(call, "color");
    int json = call_option(call, "json") != NULL;
    if (call_option(call, "utc") != NULL)
        moment_use_utc();
    if (!output_setup(json, call_option(call, "plain") != NULL, color != NULL ? color : "auto"))
        return call_misused(call, "--color takes auto, always or never, not \"%s\"", color);
    return STATUS_OK;
}

/* Finds the verb in front of *argv and steps over its words. NULL in *out_verb: the call is done.
 */
static int take_verb(struct call *call, int *argc, char ***argv, const struct verb **out_verb)
{
    int first;
    *out_verb = NULL;
    int status = take_options(call, *argc, *argv, &first);
    if (status == STATUS_OK)
        status = setup(call);
    if (status != STATUS_OK)
        return status;
    if (first >= *argc) {
        int asked = call_option(call, "help") != NULL;
        if (!asked)
            return call_misused(call, "which verb?");
        help_program();
        return STATUS_OK;
    }
    const char *noun = find_noun(call, (*argv)[first]);
    if (noun == NULL)
        return STATUS_USAGE;
    *argc -= first;
    *argv += first;

    const struct verb *verb = verbs;
    while (strcmp(verb->noun, noun) != 0)
        verb++;
    if (verb->action != NULL) {
        status = take_options(call, *argc, *argv, &first);
        if (status != STATUS_OK)
            return status;
        if (first >= *argc) {
            help_noun(noun);
            return call_option(call, "help") != NULL ? STATUS_OK : STATUS_USAGE;
        }
        verb = find_action(call, noun, (*argv)[first]);
        if (verb == NULL)
            return STATUS_USAGE;
        *argc -= first;
        *argv += first;
    }
    *out_verb = verb;
    return STATUS_OK;
}

static int run(struct call *call, int argc, char **argv)
{
    int first;
    const struct verb *verb;
    int status = take_verb(call, &argc, &argv, &verb);
    if (verb == NULL)
        return status;
    call->verb = verb;
    status = take_options(call, argc, argv, &first);
    if (status == STATUS_OK)
        status = setup(call);
    if (status != STATUS_OK)
        return status;
    if (call_option(call, "help") != NULL) {
        help_verb(verb);
        return STATUS_OK;
    }
    call->arguments = argv + first;
    call->argument_count = argc - first;
    if (call->argument_count < verb->least)
        return call_misused(call, "it needs %s", verb->arguments);
    if (verb->most >= 0 && call->argument_count > verb->most)
        return call_misused(call, "one argument too many: \"%s\"", call->arguments[verb->most]);
    status = verb->run(call);
    int r = kfl_store_close(call->store);
    return r < 0 && status == STATUS_OK ? call_failed(r) : status;
}

int main(int argc, char **argv)
{
    struct call call = {0};
    setlocale(LC_ALL, "");
    setlocale(LC_NUMERIC, "C");
    /* Verbs flush what they want seen: lines need not go out one by one. */
    setvbuf(stdout, NULL, _IOFBF, 65536);
    catch_signal(SIGINT);
    catch_signal(SIGTERM);
    signal(SIGPIPE, SIG_IGN);
    int status = run(&call, argc, argv);
    int broken;
    int output_status = output_finish(&broken);
    free(call.given);
    if (call_stopped())
        die_of(call_stopped());
    if (broken)
        die_of(SIGPIPE);
    return status == STATUS_OK ? output_status : status;
}
