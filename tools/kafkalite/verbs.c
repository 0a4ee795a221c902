/* SPDX-License-Identifier: MIT */
/*
 * The table of verbs. Parsing, help and suggestions read it; nothing about a verb's command line is
 * written anywhere else. Help lines stay within 80 columns.
 */
#include "call.h"

const struct option_row no_options[] = {{NULL, 0, NULL, NULL}};

const struct option_row global_options[] = {
    {"dir", 'd', "DIR", "the store's directory (or KAFKALITE_DIR, or .)"},
    {"json", 0, NULL, "JSON on standard output"},
    {"plain", 0, NULL, "tab-separated, whole numbers (what a pipe gets)"},
    {"color", 0, "WHEN", "auto, always, never"},
    {"utc", 0, NULL, "show and read times in UTC"},
    {"help", 'h', NULL, "this text"},
    {NULL, 0, NULL, NULL},
};

static const struct option_row topics_list_options[] = {
    {"names", 0, NULL, "only the names, one a line"},
    {NULL, 0, NULL, NULL},
};

static const struct option_row topics_create_options[] = {
    {"partitions", 'p', "N", "how many partitions (1)"},
    {"config", 'c', "NAME=VALUE", "a property of the topic; several times"},
    {"if-not-exists", 0, NULL, "no error when the topic is there"},
    {NULL, 0, NULL, NULL},
};

static const struct option_row topics_describe_options[] = {
    {"segments", 's', NULL, "a row for each segment file"},
    {NULL, 0, NULL, NULL},
};

static const struct option_row topics_alter_options[] = {
    {"partitions", 'p', "N", "grow to so many partitions"},
    {"config", 'c', "NAME=VALUE", "set a property; several times"},
    {"delete-config", 0, "NAME", "back to its default; several times"},
    {NULL, 0, NULL, NULL},
};

static const struct option_row topics_delete_options[] = {
    {"execute", 0, NULL, "do it; without, only the plan is shown"},
    {"if-exists", 0, NULL, "no error when there is no such topic"},
    {NULL, 0, NULL, NULL},
};

static const struct option_row configs_get_options[] = {
    {"all", 'a', NULL, "those at their defaults too"},
    {NULL, 0, NULL, NULL},
};

static const struct option_row produce_options[] = {
    {"key-sep", 'K', "STR", "each record is key, STR, value"},
    {"key", 'k', "KEY", "one key for all records"},
    {"header", 'H', "NAME=VALUE", "a header for all records; several times"},
    {"delim", 'D', "STR", "what ends a record (\\n); \"\": the whole input is one"},
    {"partition", 'p', "N", "this partition, or \"any\""},
    {"empty-is-null", 'Z', NULL, "an empty value or key is a missing one"},
    {"compress", 'z', "CODEC", "lz4 or zstd"},
    {"json", 'J', NULL, "input is JSON, an object a line (see below)"},
    {"acks", 0, "0|1|all", "all: safe from a power cut too (1)"},
    {"report", 0, NULL, "print \"partition offset\" of each record"},
    {"config", 'c', "NAME=VALUE", "a property of the producer; several times"},
    {NULL, 0, NULL, NULL},
};

static const struct option_row consume_options[] = {
    {"group", 'g', "GROUP", "join this group; commit what was shown"},
    {"from", 'o', "POINT", "beginning, end, stored, N, -N, @TIME"},
    {"to", 0, "POINT", "stop before it"},
    {"partition", 'p', "N", "only this one; 0,2; several times"},
    {"max", 'n', "N", "stop after so many records"},
    {"exit", 'e', NULL, "stop at the end as it is now"},
    {"format", 'f', "FMT", "how to show a record (see below)"},
    {"json", 'J', NULL, "a JSON object a line, as kcat"},
    {"timeout", 0, "TIME", "stop when nothing comes for 500ms, 2s, 1m"},
    {NULL, 0, NULL, NULL},
};

static const struct option_row offsets_options[] = {
    {"at", 0, "TIME", "the first record of this time or later"},
    {"earliest", 0, NULL, "the first offset kept"},
    {"latest", 0, NULL, "the next offset to be given"},
    {"max-timestamp", 0, NULL, "the record with the largest timestamp"},
    {"partition", 'p', "N", "only this one; 0,2; several times"},
    {NULL, 0, NULL, NULL},
};

static const struct option_row trim_options[] = {
    {"before", 'b', "POINT", "an offset, -N, @TIME, end"},
    {"partition", 'p', "N", "only this one; 0,2; several times"},
    {"execute", 0, NULL, "do it; without, only the plan is shown"},
    {NULL, 0, NULL, NULL},
};

static const struct option_row retain_options[] = {
    {"dry-run", 0, NULL, "only show which segments would go"},
    {"explain", 0, NULL, "show every segment, and why it goes or stays"},
    {NULL, 0, NULL, NULL},
};

static const struct option_row compact_options[] = {
    {"roll", 0, NULL, "close the file that takes appends: all takes part"},
    {"dry-run", 0, NULL, "read and count, change nothing"},
    {"explain", 0, NULL, "show every segment, and why it takes part or not"},
    {"force", 0, NULL, "with --explain: as this verb does, not the helper"},
    {NULL, 0, NULL, NULL},
};

static const struct option_row vacuum_options[] = {
    {"size", 0, "SIZE", "until all is no larger than 2G, 500M, 64K"},
    {"time", 0, "TIME", "what is older: 7d, 12h, 2026-11-20"},
    {"execute", 0, NULL, "do it; without, only the plan is shown"},
    {NULL, 0, NULL, NULL},
};

static const struct option_row forget_options[] = {
    {"execute", 0, NULL, "do it"},
    {NULL, 0, NULL, NULL},
};

static const struct option_row dump_options[] = {
    {"from", 0, "N", "begin at this offset"},
    {"to", 0, "N", "stop before this offset"},
    {"max", 'n', "N", "stop after so many records"},
    {"batches", 'b', NULL, "only segments and batches, no records"},
    {"hex", 'x', NULL, "keys and values as hex dumps"},
    {NULL, 0, NULL, NULL},
};

static const struct option_row verify_options[] = {
    {"quick", 'q', NULL, "headers, manifests and indexes only"},
    {NULL, 0, NULL, NULL},
};

static const struct option_row demo_options[] = {
    {"records", 'n', "N", "how many (100000)"},
    {"keep", 0, "DIR", "make the store there and leave it"},
    {NULL, 0, NULL, NULL},
};

static const struct option_row groups_describe_options[] = {
    {"members", 0, NULL, "a row for each member, not for each partition"},
    {"by-topic", 0, NULL, "a row for each topic, not for each partition"},
    {"watch", 0, "TIME", "again and again, every 500ms, 2s, 1m"},
    {NULL, 0, NULL, NULL},
};

static const struct option_row groups_reset_options[] = {
    {"topic", 't', "TOPIC[:0,1]", "this topic or partitions of it; several times"},
    {"to-earliest", 0, NULL, "the first offset kept"},
    {"to-latest", 0, NULL, "the next offset to be given"},
    {"to-current", 0, NULL, "where the group is; the end where it is nowhere"},
    {"to-offset", 0, "N", "this offset"},
    {"to-datetime", 0, "TIME", "the first record of this time or later"},
    {"by-duration", 0, "TIME", "the first record of so long ago (2h, PT2H)"},
    {"shift-by", 0, "N", "so many further; negative: back"},
    {"from-file", 0, "FILE", "as groups export has written them"},
    {"execute", 0, NULL, "do it; without, only the plan is shown"},
    {NULL, 0, NULL, NULL},
};

static const struct option_row groups_delete_options[] = {
    {"topic", 't', "TOPIC[:0,1]", "only what is committed there; several times"},
    {"execute", 0, NULL, "do it; without, only the plan is shown"},
    {NULL, 0, NULL, NULL},
};

#define TIME_NOTE                                                                                  \
    "TIME is 2026-11-20T11:00:00Z, 2026-11-20, -1h, now, or seconds or\n"                          \
    "milliseconds since 1970."

const struct verb verbs[] = {
    {"topics", "list", "ls", "", 0, 0, "the topics of a store", "kafkalite topics list", NULL,
     topics_list_options, run_topics_list},
    {"topics", "create", "new", "TOPIC...", 1, -1, "make topics, and the store if there is none",
     "kafkalite -d ./data topics create orders -p 3 -c retention.ms=604800000", NULL,
     topics_create_options, run_topics_create},
    {"topics", "describe", "info", "[TOPIC...]", 0, -1, "offsets and sizes of each partition",
     "kafkalite topics describe orders --segments", NULL, topics_describe_options,
     run_topics_describe},
    {"topics", "alter", NULL, "TOPIC", 1, 1, "more partitions, other properties",
     "kafkalite topics alter orders -p 6 -c retention.bytes=1073741824", NULL, topics_alter_options,
     run_topics_alter},
    {"topics", "delete", "rm", "TOPIC...", 1, -1, "delete topics with all their records",
     "kafkalite topics delete orders --execute", NULL, topics_delete_options, run_topics_delete},
    {"configs", "list", "ls", "[SCOPE]", 0, 1, "all properties: store, topic, producer, consumer",
     "kafkalite configs list topic", NULL, no_options, run_configs_list},
    {"configs", "get", NULL, "TOPIC [NAME...]", 1, -1, "the properties of a topic",
     "kafkalite configs get orders\nkafkalite configs get orders retention.ms --all", NULL,
     configs_get_options, run_configs_get},
    {"configs", "set", NULL, "TOPIC NAME=VALUE...", 2, -1, "set properties of a topic",
     "kafkalite configs set orders retention.ms=86400000", NULL, no_options, run_configs_set},
    {"configs", "unset", NULL, "TOPIC NAME...", 2, -1, "put properties back to their defaults",
     "kafkalite configs unset orders retention.ms", NULL, no_options, run_configs_unset},
    {"produce", NULL, NULL, "TOPIC [FILE...]", 1, -1,
     "append records, from files or standard input",
     "echo 'o-1:hello' | kafkalite produce orders -K :\n"
     "kafkalite consume orders -e -J | kafkalite -d ./copy produce orders -J",
     "JSON input is what consume -J prints: {\"key\", \"payload\" or \"value\", \"ts\",\n"
     "\"partition\", \"headers\"}, all optional. Text is a string, other bytes are\n"
     "{\"base64\": \"...\"}, null is missing; headers are [name, value, ...].",
     produce_options, run_produce},
    {"consume", NULL, NULL, "TOPIC...", 1, -1, "show records, and wait for more",
     "kafkalite consume orders --from -10 -e\n"
     "kafkalite consume orders -g billing -f '%p/%o %k=%s\\n'",
     "A group's partitions are shared with its other members; with -p, --to or\n"
     "--from (other than stored) we read as no member, and the group may have none.\n"
     "Without --from: stored with a group, else beginning. Format: %t topic,\n"
     "%p partition, %o offset, %k key, %K its size, %s or %v value, %S its size\n"
     "(-1: missing), %T time in ms, %d time, %h headers, %%; %k{hex}, %s{base64},\n"
     "%s{json}, %d{strftime[%F %T]}; \\n \\t \\0 \\xNN.\n"
     "The status is 6 when --timeout passed with nothing shown.\n" TIME_NOTE,
     consume_options, run_consume},
    {"offsets", NULL, NULL, "TOPIC...", 1, -1, "first and next offsets; offsets by time",
     "kafkalite offsets orders --at -1h", TIME_NOTE, offsets_options, run_offsets},
    {"trim", NULL, NULL, "TOPIC", 1, 1, "delete the oldest records",
     "kafkalite trim orders --before @-7d --execute\n"
     "kafkalite trim orders --before 1200 -p 0 --execute",
     "An offset needs -p when there are several partitions.\n" TIME_NOTE, trim_options, run_trim},
    {"retain", NULL, NULL, "[TOPIC...]", 0, -1, "delete now what retention lets go",
     "kafkalite retain orders --explain", "Without a topic: all of them.", retain_options, run_retain},
    {"compact", NULL, NULL, "[TOPIC...]", 0, -1, "compact now, whatever the dirty ratio",
     "kafkalite compact prices --roll\nkafkalite compact prices --explain",
     "Without a topic: all that are compacted.", compact_options, run_compact},
    {"vacuum", NULL, NULL, "[TOPIC...]", 0, -1, "delete the oldest segments over all topics",
     "kafkalite vacuum --size 2G --execute\nkafkalite vacuum --time 7d",
     "Whole segments, oldest first; not of topics that are only compacted.\n" TIME_NOTE,
     vacuum_options, run_vacuum},
    {"forget", NULL, NULL, "TOPIC KEY", 2, 2, "take every record of one key out of a topic",
     "kafkalite forget users 4711 --execute",
     "A tombstone is appended, and the topic compacted; then no file has a record\n"
     "of the key.",
     forget_options, run_forget},
    {"dump", NULL, NULL, "TOPIC[/PARTITION]|FILE.log...", 1, -1, "what lies in the segment files",
     "kafkalite dump orders/1 --from 1200 -n 2\nkafkalite dump 00000000000000000007.log --batches",
     "A lone segment file needs no store. The status is 3 when bytes are damaged.", dump_options,
     run_dump},
    {"verify", NULL, NULL, "[TOPIC]", 0, 1, "read and check everything, change nothing",
     "kafkalite verify && echo all is well", "The status is 3 when something is wrong.",
     verify_options, run_verify},
    {"repair", NULL, NULL, "COPY", 1, 1, "salvage a store that does not open into a new one",
     "kafkalite -d ./data repair ./data.new",
     "The old store is only read. Every record that verifies is copied at its offset;\n"
     "committed offsets, properties and topics without records are lost with the\n"
     "catalog, and deleted records may be back. Partitions go on 2^32 above their\n"
     "last record. The status is 3 when something could not be copied.",
     no_options, run_repair},
    {"history", NULL, NULL, "", 0, 0, "who opened the store, how it ended, what was mended",
     "kafkalite history", NULL, no_options, run_history},
    {"groups", "list", "ls", "", 0, 0, "the groups, their members and lag", "kafkalite groups list",
     NULL, no_options, run_groups_list},
    {"groups", "describe", "info", "GROUP...", 1, -1, "offsets, lag and members of a group",
     "kafkalite groups describe billing\nkafkalite groups describe billing --members\n"
     "kafkalite groups describe billing --by-topic --watch 1s",
     "LAG-TIME: for how long the first record that is not read has been waiting.",
     groups_describe_options, run_groups_describe},
    {"groups", "reset", NULL, "GROUP", 1, 1, "set the offsets of a group without members",
     "kafkalite groups reset billing --topic orders:0,1 --to-earliest --execute\n"
     "kafkalite groups reset billing --by-duration 2h",
     "Without --topic: what the group has committed. Offsets are kept within what\n"
     "a partition has. The status is 5 while the group has members.\n" TIME_NOTE,
     groups_reset_options, run_groups_reset},
    {"groups", "export", NULL, "GROUP", 1, 1, "committed offsets as topic,partition,offset",
     "kafkalite groups export billing > offsets.csv", NULL, no_options, run_groups_export},
    {"groups", "delete", "rm", "GROUP...", 1, -1, "forget a group, or some of its topics",
     "kafkalite groups delete billing --execute", NULL, groups_delete_options, run_groups_delete},
    {"stats", NULL, NULL, "[NAME...]", 0, -1, "the store's numbers", "kafkalite stats", NULL,
     no_options, run_stats},
    {"demo", NULL, NULL, "", 0, 0, "five seconds of what this is", "kafkalite demo", NULL,
     demo_options, run_demo},
    {"version", NULL, NULL, "", 0, 0, "the version of the library", "kafkalite version", NULL,
     no_options, run_version},
    {"help", NULL, NULL, "[VERB...]", 0, 2, "what a verb does and takes", "kafkalite help consume",
     NULL, no_options, run_help},
    {NULL, NULL, NULL, NULL, 0, 0, NULL, NULL, NULL, NULL, NULL},
};
