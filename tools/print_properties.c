/* SPDX-License-Identifier: MIT */
/*
 * Prints docs/configuration.md from the library's own table, or says whether a file still agrees
 * with it: print_properties [--check FILE].
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kafkalite.h"

static const struct scope {
    const char *name, *title, *text;
} scopes[] = {
    {"store", "Store",
     "For `kfl_store_open()`. All who open a directory in one process give the same values."},
    {"topic", "Topic",
     "For `kfl_topic_create()`, `kfl_topic_alter()` and `kfl_topic_set()`. Kept in the store."},
    {"producer", "Producer", "For `kfl_producer_open()`."},
    {"consumer", "Consumer", "For `kfl_consumer_open()`."},
};

/* Is this one of the words in a list separated by commas? */
static int is_among(const char *word, const char *list)
{
    size_t size = strlen(word);
    for (; list != NULL; list = strchr(list, ',')) {
        list += *list == ',';
        if (strncmp(list, word, size) == 0 && (list[size] == ',' || list[size] == '\0'))
            return 1;
    }
    return 0;
}

/* A bar would end the cell. */
static void print_cell(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '|')
            fputc('\\', out);
        fputc(*text, out);
    }
}

static void print_scope(FILE *out, const struct scope *scope)
{
    const char *name;
    fprintf(out, "\n## %s\n\n%s\n\n", scope->title, scope->text);
    fprintf(out, "| Name | Type | Default | Accepted | What it does |\n|---|---|---|---|---|\n");
    for (int32_t i = 0; (name = kfl_property_name(i)) != NULL; i++) {
        if (!is_among(scope->name, kfl_property_scope(name)))
            continue;
        const char *fallback = kfl_property_default(name);
        fprintf(out, "| `%s` | %s | ", name, kfl_property_type(name));
        if (fallback[0] != '\0')
            fprintf(out, "`%s` | ", fallback);
        else
            fprintf(out, "empty | ");
        print_cell(out, kfl_property_accepts(name));
        fprintf(out, " | ");
        print_cell(out, kfl_property_text(name));
        fprintf(out, " |\n");
    }
}

static void print_all(FILE *out)
{
    fputs(
        "<!-- Printed by tools/print_properties.c from lib/config/properties.h: change that. -->\n"
        "# Configuration\n\n"
        "Everything that can be set is a property: a name, as in Kafka where Kafka has it, and a\n"
        "value given as text. A store, a topic, a producer and a consumer each take the properties\n"
        "of their own table; any other name is refused with the name that was probably meant, and so\n"
        "is a value that is not accepted. There are no properties without effect.\n\n"
        "A number is decimal digits, with a minus where one is accepted: no blanks, no units. `true`\n"
        "and `false` may be written in any case, all other words as they stand here. Of a number\n"
        "without a bound, 9223372036854775807 is the largest value and means \"no limit\".\n",
        out);
    for (size_t i = 0; i < sizeof scopes / sizeof scopes[0]; i++)
        print_scope(out, &scopes[i]);
}

static int check(const char *path, const char *program)
{
    char *expected = NULL, *actual = NULL;
    size_t expected_size = 0, actual_size = 0;
    FILE *out = open_memstream(&expected, &expected_size);
    FILE *in = fopen(path, "r");
    int is_same = 0;
    if (out != NULL) {
        print_all(out);
        fclose(out);
    }
    if (in != NULL) {
        actual = malloc(expected_size + 1);
        actual_size = actual != NULL ? fread(actual, 1, expected_size + 1, in) : 0;
        fclose(in);
    }
    if (expected != NULL && actual != NULL)
        is_same = actual_size == expected_size && memcmp(actual, expected, expected_size) == 0;
    free(expected);
    free(actual);
    if (is_same)
        return EXIT_SUCCESS;
    fprintf(stderr, "%s is not what the property table says: renew it by\n    %s > %s\n", path,
            program, path);
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--check") == 0)
        return check(argv[2], argv[0]);
    if (argc != 1) {
        fprintf(stderr, "usage: %s [--check FILE]\n", argv[0]);
        return 2;
    }
    print_all(stdout);
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
