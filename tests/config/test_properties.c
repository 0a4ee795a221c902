/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/random.h"
#include "config/properties.h"
#include "config/values.h"
#include "suite.h"

static const struct kfl__property *row(const char *name)
{
    int index = kfl__property_find(name);
    ck_assert_int_ge(index, 0);
    return kfl__property_get(index);
}

static void takes(const char *name, const char *text, int64_t expected)
{
    int64_t value = -77;
    ck_assert_msg(kfl__property_parse(row(name), text, &value) == 0, "%s=%s is refused", name,
                  text);
    ck_assert_msg(value == expected, "%s=%s gives %" PRId64, name, text, value);
}

static void refuses(const char *name, const char *text)
{
    int64_t value = -77;
    int r = kfl__property_parse(row(name), text, &value);
    ck_assert_msg(r == KFL_E_BAD_VALUE, "%s=\"%s\" gives %d", name, text, r);
    ck_assert_int_eq(value, -77);
    ck_assert_ptr_nonnull(strstr(kfl_last_error(), name));
    ck_assert_ptr_nonnull(strstr(kfl_last_error(), kfl_property_accepts(name)));
    ck_assert_ptr_nonnull(strstr(kfl_last_error(), text));
}

START_TEST(every_default_is_a_value_in_its_written_form)
{
    for (int32_t i = 0; i < KFL_PROPERTY_COUNT; i++) {
        const struct kfl__property *property = kfl__property_get(i);
        char text[KFL_VALUE_TEXT_SIZE];
        int64_t value = 0;
        ck_assert_msg(kfl__property_parse(property, property->default_text, &value) == 0, "%s",
                      property->name);
        if (property->type == KFL_TYPE_STRING)
            continue;
        kfl__value_format(property, value, text);
        ck_assert_str_eq(text, property->default_text);
    }
}
END_TEST

START_TEST(every_row_is_whole)
{
    static const char *const types[] = {"boolean", "int",  "long",  "octal",
                                        "choice",  "list", "string", "double"};
    for (int32_t i = 0; i < KFL_PROPERTY_COUNT; i++) {
        const struct kfl__property *property = kfl__property_get(i);
        const char *type = kfl_property_type(property->name);
        bool is_known = false;
        for (size_t t = 0; t < sizeof types / sizeof types[0]; t++)
            is_known = is_known || strcmp(type, types[t]) == 0;
        ck_assert_msg(is_known, "%s: %s", property->name, type);
        ck_assert_int_eq(kfl__property_find(property->name), i);
        ck_assert_uint_lt(strlen(property->name), 48);
        ck_assert_uint_ne(property->scopes, 0);
        ck_assert_uint_eq(property->scopes & ~15u, 0);
        ck_assert_uint_gt(strlen(kfl_property_scope(property->name)), 0);
        ck_assert_uint_gt(strlen(kfl_property_accepts(property->name)), 0);
        ck_assert_int_eq(property->text[strlen(property->text) - 1], '.');
        bool has_choices = property->type == KFL_TYPE_CHOICE || property->type == KFL_TYPE_LIST;
        ck_assert(has_choices == (property->choices != NULL));
        ck_assert_int_le(property->least, property->most);
    }
}
END_TEST

START_TEST(the_public_table_ends_behind_the_last_row)
{
    ck_assert_str_eq(kfl_property_name(0), "create");
    ck_assert_ptr_nonnull(kfl_property_name(KFL_PROPERTY_COUNT - 1));
    ck_assert_ptr_null(kfl_property_name(KFL_PROPERTY_COUNT));
    ck_assert_ptr_null(kfl_property_name(-1));
    ck_assert_ptr_null(kfl_property_name(INT32_MIN));
}
END_TEST

START_TEST(an_unknown_name_has_no_facts)
{
    static const char *const names[] = {"linger", "", NULL};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        ck_assert_ptr_null(kfl_property_scope(names[i]));
        ck_assert_ptr_null(kfl_property_type(names[i]));
        ck_assert_ptr_null(kfl_property_default(names[i]));
        ck_assert_ptr_null(kfl_property_accepts(names[i]));
        ck_assert_ptr_null(kfl_property_text(names[i]));
    }
}
END_TEST

START_TEST(facts_are_told_in_words)
{
    ck_assert_str_eq(kfl_property_scope("flush.ms"), "store,topic");
    ck_assert_str_eq(kfl_property_scope("compression.type"), "topic,producer");
    ck_assert_str_eq(kfl_property_scope("group.id"), "consumer");
    ck_assert_str_eq(kfl_property_type("create"), "boolean");
    ck_assert_str_eq(kfl_property_type("max.poll.records"), "int");
    ck_assert_str_eq(kfl_property_type("flush.ms"), "long");
    ck_assert_str_eq(kfl_property_type("file.mode"), "octal");
    ck_assert_str_eq(kfl_property_type("acks"), "choice");
    ck_assert_str_eq(kfl_property_type("cleanup.policy"), "list");
    ck_assert_str_eq(kfl_property_type("group.id"), "string");
    ck_assert_str_eq(kfl_property_accepts("create"), "true, false");
    ck_assert_str_eq(kfl_property_accepts("max.poll.records"), "1 .. 65536");
    ck_assert_str_eq(kfl_property_accepts("flush.ms"), "1 .. 9223372036854775807");
    ck_assert_str_eq(kfl_property_accepts("file.mode"), "bits of 0666 with all of 0600");
    ck_assert_str_eq(kfl_property_accepts("acks"), "0, 1, all (or -1)");
    ck_assert_str_eq(kfl_property_accepts("cleanup.policy"),
                     "one or more of delete, compact, separated by commas");
    ck_assert_str_eq(kfl_property_accepts("group.id"), "at most 255 bytes, no control characters");
    ck_assert_str_eq(kfl_property_default("file.mode"), "0600");
}
END_TEST

START_TEST(a_number_is_digits_within_its_bounds)
{
    takes("max.poll.records", "1", 1);
    takes("max.poll.records", "65536", 65536);
    takes("max.poll.records", "007", 7);
    takes("linger.ms", "-0", 0);
    takes("flush.ms", "9223372036854775807", INT64_MAX);
    static const char *const wrong[] = {"12abc",
                                        "",
                                        " 12",
                                        "12 ",
                                        "1e3",
                                        "0x10",
                                        "+1",
                                        "-",
                                        "--1",
                                        "1.0",
                                        "1,000",
                                        "9223372036854775808",
                                        "18446744073709551617",
                                        "-1",
                                        "0",
                                        "65537",
                                        "99999999999999999999999999",
                                        "-9223372036854775809",
                                        "1\n",
                                        "١"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        refuses("max.poll.records", wrong[i]);
    refuses("flush.ms", "9223372036854775808");
}
END_TEST

START_TEST(a_boolean_is_true_or_false_in_any_case)
{
    takes("create", "true", 1);
    takes("create", "TRUE", 1);
    takes("create", "False", 0);
    static const char *const wrong[] = {"",  "1",     "0",     "yes",   "no",
                                        "t", "true ", " true", "truee", "tru"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        refuses("create", wrong[i]);
}
END_TEST

START_TEST(a_choice_is_one_of_its_words_as_they_are_spelt)
{
    takes("acks", "0", KFL_ACKS_0);
    takes("acks", "1", KFL_ACKS_1);
    takes("acks", "all", KFL_ACKS_ALL);
    takes("compression.type", "producer", KFL_COMPRESSION_PRODUCER);
    takes("compression.type", "none", KFL_COMPRESSION_NONE);
    takes("compression.type", "uncompressed", KFL_COMPRESSION_UNCOMPRESSED);
    takes("compression.type", "lz4", KFL_COMPRESSION_LZ4);
    takes("compression.type", "zstd", KFL_COMPRESSION_ZSTD);
    takes("message.timestamp.type", "CreateTime", KFL_TIME_CREATE);
    takes("message.timestamp.type", "LogAppendTime", KFL_TIME_APPEND);
    takes("partitioner", "murmur2", KFL_PARTITIONER_MURMUR2);
    takes("partitioner", "xxh3", KFL_PARTITIONER_XXH3);
    takes("auto.offset.reset", "earliest", KFL_RESET_EARLIEST);
    takes("auto.offset.reset", "latest", KFL_RESET_LATEST);
    takes("auto.offset.reset", "none", KFL_RESET_NONE);
    static const char *const wrong[] = {"",    "2",    "-2", "ALL", "al",  "all=-1",
                                        "0|1", "all=", "=",  "|",   "-1 ", "none"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        refuses("acks", wrong[i]);
}
END_TEST

START_TEST(minus_one_is_another_word_for_all)
{
    char text[KFL_VALUE_TEXT_SIZE];
    takes("acks", "-1", KFL_ACKS_ALL);
    kfl__value_format(row("acks"), KFL_ACKS_ALL, text);
    ck_assert_str_eq(text, "all");
}
END_TEST

START_TEST(a_list_is_a_set_of_words)
{
    char text[KFL_VALUE_TEXT_SIZE];
    takes("cleanup.policy", "delete", KFL_CLEANUP_DELETE);
    takes("cleanup.policy", "compact", KFL_CLEANUP_COMPACT);
    takes("cleanup.policy", "compact,delete", KFL_CLEANUP_COMPACT | KFL_CLEANUP_DELETE);
    kfl__value_format(row("cleanup.policy"), KFL_CLEANUP_COMPACT | KFL_CLEANUP_DELETE, text);
    ck_assert_str_eq(text, "delete,compact");
    static const char *const wrong[] = {"",
                                        ",",
                                        "delete,",
                                        ",delete",
                                        "delete,delete",
                                        "delete, compact",
                                        "delete,compact,delete",
                                        "Delete",
                                        "deletecompact",
                                        "delete|compact"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        refuses("cleanup.policy", wrong[i]);
}
END_TEST

START_TEST(a_mode_is_octal_and_leaves_the_owner_his_files)
{
    char text[KFL_VALUE_TEXT_SIZE];
    takes("file.mode", "0600", 0600);
    takes("file.mode", "600", 0600);
    takes("file.mode", "0640", 0640);
    takes("file.mode", "0666", 0666);
    kfl__value_format(row("file.mode"), 0640, text);
    ck_assert_str_eq(text, "0640");
    static const char *const wrong[] = {"",      "0400",  "0700",  "0777",
                                        "0680",  "0o600", "00600", "60",
                                        "0666 ", "-600",  "4600",  "07777777777777777777777600"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        refuses("file.mode", wrong[i]);
}
END_TEST

START_TEST(a_string_is_one_bounded_line)
{
    char longest[300];
    memset(longest, 'g', sizeof longest);
    longest[255] = '\0';
    takes("group.id", "", 0);
    takes("group.id", "g 1=\"é\"", 8);
    takes("group.id", longest, 255);
    refuses("group.id", "a\nb");
    refuses("group.id", "a\x7f");
    refuses("group.id", "\t");
    longest[255] = 'g';
    longest[256] = '\0';
    int64_t value;
    ck_assert_int_eq(kfl__property_parse(row("group.id"), longest, &value), KFL_E_BAD_VALUE);
}
END_TEST

START_TEST(a_value_too_long_to_be_told_is_told_in_part)
{
    char value[5000];
    int64_t number;
    memset(value, '9', sizeof value);
    value[sizeof value - 1] = '\0';
    ck_assert_int_eq(kfl__property_parse(row("linger.ms"), value, &number), KFL_E_BAD_VALUE);
    ck_assert_uint_lt(strlen(kfl_last_error()), 200);
    ck_assert_ptr_nonnull(strstr(kfl_last_error(), "999...\""));
    ck_assert_ptr_nonnull(strstr(kfl_last_error(), "linger.ms, which takes 0 .. 2147483647"));
}
END_TEST

START_TEST(the_name_that_was_meant_is_suggested)
{
    static const struct {
        const char *name, *meant;
    } slips[] = {
        {"linger_ms", "linger.ms"},
        {"LINGER.MS", "linger.ms"},
        {"linger.m", "linger.ms"},
        {"lingre.ms", "linger.ms"},
        {"ack", "acks"},
        {"segment.byte", "segment.bytes"},
        {"max-message-bytes", "max.message.bytes"},
        {"auto.ofset.reset", "auto.offset.reset"},
        {"fetch.max.bytess", "fetch.max.bytes"},
        {"groupid", "group.id"},
        {"partitoner", "partitioner"},
    };
    for (size_t i = 0; i < sizeof slips / sizeof slips[0]; i++) {
        char expected[100];
        snprintf(expected, sizeof expected, "there is no property \"%s\": did you mean %s?",
                 slips[i].name, slips[i].meant);
        ck_assert_int_eq(kfl__property_find(slips[i].name), KFL_E_UNKNOWN_PROPERTY);
        ck_assert_str_eq(kfl_last_error(), expected);
    }
}
END_TEST

START_TEST(a_name_far_from_all_gets_no_suggestion)
{
    char longest[3000];
    memset(longest, 'a', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    const char *names[] = {"", "x", "bootstrap.servers", "sasl.mechanism", longest};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        ck_assert_int_eq(kfl__property_find(names[i]), KFL_E_UNKNOWN_PROPERTY);
        ck_assert_ptr_null(strstr(kfl_last_error(), "did you mean"));
        ck_assert_uint_lt(strlen(kfl_last_error()), 200);
    }
}
END_TEST

START_TEST(a_ratio_has_at_most_six_places)
{
    const char *name = "min.cleanable.dirty.ratio";
    char text[KFL_VALUE_TEXT_SIZE];
    takes(name, "0", 0);
    takes(name, "1", 1000000);
    takes(name, "1.0", 1000000);
    takes(name, "0.5", 500000);
    takes(name, "0.123456", 123456);
    refuses(name, "1.000001");
    refuses(name, "2");
    refuses(name, "0.1234567");
    refuses(name, "0.");
    refuses(name, ".5");
    refuses(name, "-0.5");
    refuses(name, "0.5 ");
    refuses(name, "5e-1");
    kfl__value_format(row(name), 500000, text);
    ck_assert_str_eq(text, "0.5");
    kfl__value_format(row(name), 1000000, text);
    ck_assert_str_eq(text, "1.0");
    kfl__value_format(row(name), 1, text);
    ck_assert_str_eq(text, "0.000001");
}
END_TEST

START_TEST(defaults_are_typed)
{
    const struct kfl__settings *defaults = kfl__property_defaults();
    ck_assert_int_eq(defaults->create, 1);
    ck_assert_int_eq(defaults->read_only, 0);
    ck_assert_uint_eq(defaults->file_mode, 0600);
    ck_assert_uint_eq(defaults->cleanup_policy, KFL_CLEANUP_DELETE);
    ck_assert_int_eq(defaults->compression_type, KFL_COMPRESSION_PRODUCER);
    ck_assert_int_eq(defaults->segment_bytes, 64 << 20);
    ck_assert_int_eq(defaults->flush_messages, INT64_MAX);
    ck_assert_int_eq(defaults->acks, KFL_ACKS_1);
    ck_assert_int_eq(defaults->auto_offset_reset, KFL_RESET_EARLIEST);
    ck_assert_str_eq(defaults->group_id, "");
}
END_TEST

/* Whatever is accepted has one written form, and that reads as the same value. */
START_TEST(what_is_accepted_reads_back_from_its_written_form)
{
    static const char *const pieces[] = {"0",   "1",      "6",       "9", "-",    "all",
                                         "lz4", "delete", "compact", ",", "true", " "};
    uint64_t seed = kfl__random64();
    uint64_t state = seed;
    int accepted = 0;
    for (int round = 0; round < 50000; round++) {
        const struct kfl__property *property =
            kfl__property_get((int32_t)(state >> 33) % KFL_PROPERTY_COUNT);
        char text[64] = "", written[KFL_VALUE_TEXT_SIZE];
        int64_t value = 0, again = 0;
        for (int i = 0; i < 5; i++) {
            state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            if (i == 0 || (state >> 60) < 10)
                strcat(text, pieces[(state >> 40) % (sizeof pieces / sizeof pieces[0])]);
        }
        if (property->type == KFL_TYPE_STRING || kfl__property_parse(property, text, &value) < 0)
            continue;
        accepted++;
        kfl__value_format(property, value, written);
        ck_assert_msg(kfl__property_parse(property, written, &again) == 0 && again == value,
                      "%s=%s, written as %s, seed %" PRIu64, property->name, text, written, seed);
    }
    ck_assert_msg(accepted > 300, "%d, seed %" PRIu64, accepted, seed);
}
END_TEST

static void *ask(void *context)
{
    const char *accepts = kfl_property_accepts("acks");
    int64_t flush_ms = kfl__property_defaults()->flush_ms;
    bool is_right = strcmp(accepts, "0, 1, all (or -1)") == 0 && flush_ms == 1000;
    return is_right ? context : NULL;
}

/* In a process of its own (Check forks), so that the first use is what is raced for. */
START_TEST(many_threads_may_ask_first)
{
    pthread_t threads[8];
    for (size_t i = 0; i < 8; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, ask, threads), 0);
    for (size_t i = 0; i < 8; i++) {
        void *answer;
        pthread_join(threads[i], &answer);
        ck_assert_ptr_nonnull(answer);
    }
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("properties");

    TCase *table = tcase_create("table");
    tcase_add_test(table, many_threads_may_ask_first);
    tcase_add_test(table, every_row_is_whole);
    tcase_add_test(table, every_default_is_a_value_in_its_written_form);
    tcase_add_test(table, the_public_table_ends_behind_the_last_row);
    tcase_add_test(table, an_unknown_name_has_no_facts);
    tcase_add_test(table, facts_are_told_in_words);
    tcase_add_test(table, a_ratio_has_at_most_six_places);
    tcase_add_test(table, defaults_are_typed);
    suite_add_tcase(suite, table);

    TCase *values = tcase_create("values");
    tcase_add_test(values, a_number_is_digits_within_its_bounds);
    tcase_add_test(values, a_boolean_is_true_or_false_in_any_case);
    tcase_add_test(values, a_choice_is_one_of_its_words_as_they_are_spelt);
    tcase_add_test(values, minus_one_is_another_word_for_all);
    tcase_add_test(values, a_list_is_a_set_of_words);
    tcase_add_test(values, a_mode_is_octal_and_leaves_the_owner_his_files);
    tcase_add_test(values, a_string_is_one_bounded_line);
    tcase_add_test(values, what_is_accepted_reads_back_from_its_written_form);
    tcase_add_test(values, a_value_too_long_to_be_told_is_told_in_part);
    suite_add_tcase(suite, values);

    TCase *names = tcase_create("names");
    tcase_add_test(names, the_name_that_was_meant_is_suggested);
    tcase_add_test(names, a_name_far_from_all_gets_no_suggestion);
    suite_add_tcase(suite, names);
    return suite;
}
