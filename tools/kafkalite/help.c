/* SPDX-License-Identifier: MIT */
/*
 * Help, printed from the table of verbs: examples first, at most 80 columns.
 */
#include <stdio.h>
#include <string.h>

#include "call.h"
#include "output.h"

static void print_examples(const char *examples)
{
    while (*examples != '\0') {
        size_t size = strcspn(examples, "\n");
        printf("  $ %.*s\n", (int)size, examples);
        examples += size + (examples[size] == '\n');
    }
    putchar('\n');
}

static int is_named(const char *name, const struct option_row *rows)
{
    for (; rows->name != NULL; rows++) {
        if (strcmp(rows->name, name) == 0)
            return 1;
    }
    return 0;
}

/* The rows but for those that `others` names too: there the verb means something of its own. */
static void print_options(const char *title, const struct option_row *rows,
                          const struct option_row *others)
{
    enum { TEXT_COLUMN = 28 };
    if (rows->name == NULL)
        return;
    printf("\n%s%s%s\n", output_bold(), title, output_plain());
    for (; rows->name != NULL; rows++) {
        if (is_named(rows->name, others))
            continue;
        char left[64];
        char letter[8] = "    ";
        if (rows->letter != 0)
            snprintf(letter, sizeof letter, "-%c, ", rows->letter);
        snprintf(left, sizeof left, "  %s--%s%s%s", letter, rows->name,
                 rows->argument != NULL ? " " : "", rows->argument != NULL ? rows->argument : "");
        if (strlen(left) >= TEXT_COLUMN)
            printf("%s\n%*s%s\n", left, TEXT_COLUMN, "", rows->text);
        else
            printf("%-*s%s\n", TEXT_COLUMN, left, rows->text);
    }
}

void help_verb(const struct verb *verb)
{
    print_examples(verb->examples);
    printf("%sUsage%s: kafkalite %s%s%s", output_bold(), output_plain(), verb->noun,
           verb->action != NULL ? " " : "", verb->action != NULL ? verb->action : "");
    printf("%s%s%s\n", *verb->arguments != '\0' ? " " : "", verb->arguments,
           verb->options->name != NULL ? " [OPTION...]" : "");
    printf("%c%s.\n",
           verb->text[0] >= 'a' && verb->text[0] <= 'z' ? verb->text[0] - 32 : verb->text[0],
           verb->text + 1);
    if (verb->alias != NULL)
        printf("Also called: %s %s.\n", verb->noun, verb->alias);
    print_options("Options", verb->options, no_options);
    print_options("Everywhere", global_options, verb->options);
    if (verb->notes != NULL)
        printf("\n%s\n", verb->notes);
}

static void print_verbs(const char *noun)
{
    for (const struct verb *verb = verbs; verb->noun != NULL; verb++) {
        char words[40];
        if (noun != NULL && strcmp(noun, verb->noun) != 0)
            continue;
        snprintf(words, sizeof words, "%s%s%s", verb->noun, verb->action != NULL ? " " : "",
                 verb->action != NULL ? verb->action : "");
        printf("  %-18s%s\n", words, verb->text);
    }
}

void help_noun(const char *noun)
{
    for (const struct verb *verb = verbs; verb->noun != NULL; verb++) {
        if (strcmp(noun, verb->noun) == 0)
            printf("  $ %.*s\n", (int)strcspn(verb->examples, "\n"), verb->examples);
    }
    printf("\n%sVerbs%s\n", output_bold(), output_plain());
    print_verbs(noun);
}

void help_program(void)
{
    fputs("  $ export KAFKALITE_DIR=./data\n"
          "  $ kafkalite topics create orders -p 3\n"
          "  $ echo 'o-1:hello' | kafkalite produce orders -K :\n"
          "  $ kafkalite consume orders -e\n\n",
          stdout);
    printf("%sUsage%s: kafkalite [-d DIR] VERB [ARGUMENT...] [OPTION...]\n", output_bold(),
           output_plain());
    puts("Kafka's log in a directory. Every verb works while programs have it open.");
    printf("\n%sVerbs%s\n", output_bold(), output_plain());
    print_verbs(NULL);
    print_options("Everywhere", global_options, no_options);
    puts("\nVerbs may be shortened while they stay unique. Verbs that lose records show a\n"
         "plan and need --execute.\n"
         "Status: 0 ok, 1 failed, 2 usage, 3 damage found, 4 no such topic, group or\n"
         "offset, 5 busy, 6 time ran out, 130 interrupted.");
}
