/* SPDX-License-Identifier: MIT */
#include "format/names.h"

#include <stdio.h>
#include <string.h>

#include "chance.h"
#include "kafkalite.h"
#include "suite.h"

static const int64_t ids[] = {0, 7, 9, 10, 123456789, INT64_MAX - 1, INT64_MAX};
#define ID_COUNT (sizeof ids / sizeof ids[0])

START_TEST(a_name_is_twenty_digits_and_a_suffix)
{
    char name[KFL_NAME_SIZE];
    kfl__name_encode(name, 7, KFL_NAME_LOG);
    ck_assert_str_eq(name, "00000000000000000007.log");
    kfl__name_encode(name, INT64_MAX, KFL_NAME_OFFSETS);
    ck_assert_str_eq(name, "09223372036854775807.offsets");
    kfl__name_encode(name, 0, KFL_NAME_TIMES);
    ck_assert_str_eq(name, "00000000000000000000.times");
}
END_TEST

START_TEST(every_name_that_is_encoded_is_decoded)
{
    for (size_t i = 0; i < ID_COUNT; i++) {
        for (int kind = KFL_NAME_LOG; kind <= KFL_NAME_TIMES; kind++) {
            char name[KFL_NAME_SIZE];
            int64_t id = -1;
            enum kfl__name_kind found;
            kfl__name_encode(name, ids[i], (enum kfl__name_kind)kind);
            ck_assert(kfl__name_decode(name, &id, &found));
            ck_assert_int_eq(id, ids[i]);
            ck_assert_int_eq((int)found, kind);
        }
    }
}
END_TEST

START_TEST(other_names_are_not_ours)
{
    static const char *const names[] = {
        "",
        ".",
        "..",
        "7.log",
        "00000000000000000007",
        "00000000000000000007.",
        "00000000000000000007.lo",
        "00000000000000000007.logs",
        "00000000000000000007.log ",
        "00000000000000000007.LOG",
        "00000000000000000007.keys",
        "0000000000000000007.log",
        "000000000000000000007.log",
        "-0000000000000000007.log",
        "+0000000000000000007.log",
        " 0000000000000000007.log",
        "0000000000000000000a.log",
        "09223372036854775808.log",
        "99999999999999999999.log",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        int64_t id = -5;
        enum kfl__name_kind kind = KFL_NAME_TIMES;
        ck_assert_msg(!kfl__name_decode(names[i], &id, &kind), "\"%s\"", names[i]);
        ck_assert_int_eq(id, -5);
        ck_assert_int_eq((int)kind, KFL_NAME_TIMES);
    }
}
END_TEST

START_TEST(names_sort_as_ids_do)
{
    for (size_t i = 1; i < ID_COUNT; i++) {
        char before[KFL_NAME_SIZE], name[KFL_NAME_SIZE];
        kfl__name_encode(before, ids[i - 1], KFL_NAME_LOG);
        kfl__name_encode(name, ids[i], KFL_NAME_LOG);
        ck_assert_int_lt(strcmp(before, name), 0);
    }
}
END_TEST

/* kafka:A1 */
START_TEST(a_topic_name_is_letters_digits_dot_underscore_dash)
{
    char longest[250];
    memset(longest, 'x', 249);
    longest[249] = '\0';
    const char *const good[] = {"a",    "orders", "A-Z_a-z.0-9", "...", ".a",
                                "a..b", "-",      "_",           "0",   longest};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        ck_assert_msg(kfl__topic_name_check(good[i]) == 0, "\"%s\"", good[i]);
}
END_TEST

START_TEST(no_other_topic_name_is_taken)
{
    char too_long[251];
    memset(too_long, 'x', 250);
    too_long[250] = '\0';
    const char *const bad[] = {"",    ".",   "..",          "a b", "a/b",  "/",     "../x",
                               "a\n", "a\\", "caf\xc3\xa9", "a:b", "\x7f", too_long};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(kfl__topic_name_check(bad[i]) == KFL_E_INVALID_TOPIC, "\"%s\"", bad[i]);
}
END_TEST

START_TEST(exactly_sixty_five_bytes_may_stand_in_a_name)
{
    int good = 0;
    for (int c = 1; c < 256; c++) {
        const char name[] = {'a', (char)c, '\0'};
        good += kfl__topic_name_check(name) == 0;
    }
    ck_assert_int_eq(good, 26 + 26 + 10 + 3);
}
END_TEST

/* A name that cannot be printed must not reach a terminal through the message. */
START_TEST(the_message_prints_no_byte_that_is_not_good)
{
    ck_assert_int_eq(kfl__topic_name_check("ab\x1b[31m"), KFL_E_INVALID_TOPIC);
    ck_assert_ptr_null(strchr(kfl_last_error(), '\x1b'));
    ck_assert_ptr_nonnull(strstr(kfl_last_error(), "0x1b"));
}
END_TEST

/* X51 */
START_TEST(a_good_name_never_leaves_a_directory)
{
    struct chance chance = chance_begin("a_good_name_never_leaves_a_directory");
    static const char bytes[] = "./\\~ab\n\0";
    for (int i = 0; i < 200000; i++) {
        char name[9] = {0};
        size_t size = (size_t)chance_below(&chance, sizeof name);
        for (size_t k = 0; k < size; k++)
            name[k] = bytes[chance_below(&chance, sizeof bytes - 1)];
        if (kfl__topic_name_check(name) == 0) {
            ck_assert_ptr_null(strchr(name, '/'));
            ck_assert_str_ne(name, "");
            ck_assert_str_ne(name, ".");
            ck_assert_str_ne(name, "..");
        }
    }
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("names");
    TCase *files = tcase_create("file names");
    tcase_add_test(files, a_name_is_twenty_digits_and_a_suffix);
    tcase_add_test(files, every_name_that_is_encoded_is_decoded);
    tcase_add_test(files, other_names_are_not_ours);
    tcase_add_test(files, names_sort_as_ids_do);
    suite_add_tcase(suite, files);
    TCase *topics = tcase_create("topic names");
    tcase_add_test(topics, a_topic_name_is_letters_digits_dot_underscore_dash);
    tcase_add_test(topics, no_other_topic_name_is_taken);
    tcase_add_test(topics, exactly_sixty_five_bytes_may_stand_in_a_name);
    tcase_add_test(topics, the_message_prints_no_byte_that_is_not_good);
    tcase_add_test(topics, a_good_name_never_leaves_a_directory);
    suite_add_tcase(suite, topics);
    return suite;
}
