/* SPDX-License-Identifier: MIT */
#include "base/error.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "suite.h"

START_TEST(a_failure_answers_its_code_and_keeps_the_story)
{
    int r = kfl__fail(KFL_E_CORRUPT, "segment %s: batch at %d", "7", 4096);
    ck_assert_int_eq(r, KFL_E_CORRUPT);
    ck_assert_int_eq(kfl_last_error_code(), KFL_E_CORRUPT);
    ck_assert_str_eq(kfl_last_error(), "segment 7: batch at 4096");
    ck_assert_int_eq(kfl_last_error_errno(), 0);
}
END_TEST

static void *read_empty_words(void *context)
{
    int *out_wrong = context;
    *out_wrong = kfl_last_error()[0] != '\0' || kfl_last_error_code() != 0 ||
                 kfl_last_error_path()[0] != '\0' || kfl_last_error_topic()[0] != '\0' ||
                 kfl_last_error_partition() != -1 || kfl_last_error_offset() != -1 ||
                 kfl_last_error_errno() != 0;
    kfl__fail(KFL_E_BUSY, "somebody else's");
    return NULL;
}

START_TEST(words_belong_to_their_thread)
{
    kfl__fail(KFL_E_IO, "mine");
    pthread_t thread;
    int wrong = -1;
    ck_assert_int_eq(pthread_create(&thread, NULL, read_empty_words, &wrong), 0);
    pthread_join(thread, NULL);
    ck_assert_int_eq(wrong, 0);
    ck_assert_str_eq(kfl_last_error(), "mine");
}
END_TEST

START_TEST(a_new_failure_forgets_the_old_place)
{
    kfl__fail_errno(0, EIO, "cannot read");
    kfl__fail_in(KFL_E_IO, "/a/b");
    kfl__fail_at(KFL_E_IO, "orders", 3, 17);
    kfl__fail(KFL_E_BUSY, "held");
    ck_assert_str_eq(kfl_last_error_path(), "");
    ck_assert_str_eq(kfl_last_error_topic(), "");
    ck_assert_int_eq(kfl_last_error_partition(), -1);
    ck_assert_int_eq(kfl_last_error_offset(), -1);
    ck_assert_int_eq(kfl_last_error_errno(), 0);
}
END_TEST

START_TEST(a_place_is_added_part_by_part)
{
    kfl__fail(KFL_E_CORRUPT, "damaged");
    ck_assert_int_eq(kfl__fail_at(KFL_E_CORRUPT, NULL, -1, 0), KFL_E_CORRUPT);
    ck_assert_int_eq(kfl__fail_in(KFL_E_CORRUPT, "/s/7.log"), KFL_E_CORRUPT);
    kfl__fail_at(KFL_E_CORRUPT, "orders", 0, 99);
    kfl__fail_in(KFL_E_CORRUPT, "/elsewhere");
    kfl__fail_at(KFL_E_CORRUPT, "prices", 5, -1);
    ck_assert_int_eq(kfl_last_error_offset(), 0);
    ck_assert_int_eq(kfl_last_error_partition(), 0);
    ck_assert_str_eq(kfl_last_error_topic(), "orders");
    ck_assert_str_eq(kfl_last_error_path(), "/s/7.log");
    ck_assert_str_eq(kfl_last_error(), "damaged");
}
END_TEST

START_TEST(the_code_is_the_one_that_was_returned_last)
{
    kfl__fail(KFL_E_NOT_FOUND, "no row");
    kfl__fail_at(KFL_E_UNKNOWN_TOPIC_OR_PARTITION, "orders", -1, -1);
    ck_assert_int_eq(kfl_last_error_code(), KFL_E_UNKNOWN_TOPIC_OR_PARTITION);
}
END_TEST

START_TEST(a_story_may_quote_the_one_before)
{
    kfl__fail(KFL_E_IO, "the disk is on fire");
    kfl__fail(KFL_E_FAILED, "given up: %s", kfl_last_error());
    ck_assert_str_eq(kfl_last_error(), "given up: the disk is on fire");
    kfl__fail_errno(0, EIO, "again: %s", kfl_last_error());
    ck_assert_str_eq(kfl_last_error(), "again: given up: the disk is on fire: Input/output error");
}
END_TEST

START_TEST(what_the_system_said_is_appended_and_kept)
{
    ck_assert_int_eq(kfl__fail_errno(KFL_E_BUSY, EAGAIN, "cannot lock %s", "x"), KFL_E_BUSY);
    ck_assert_str_eq(kfl_last_error(), "cannot lock x: Resource temporarily unavailable");
    ck_assert_int_eq(kfl_last_error_errno(), EAGAIN);
    kfl__fail_errno(0, 4000, "cannot");
    ck_assert_str_eq(kfl_last_error(), "cannot: error 4000");
}
END_TEST

START_TEST(a_code_is_chosen_from_what_the_system_said)
{
    static const struct {
        int errnum, code;
    } rows[] = {
        {ENOSPC, KFL_E_NO_SPACE},  {EDQUOT, KFL_E_NO_SPACE},  {ENOMEM, KFL_E_NOMEM},
        {EROFS, KFL_E_READ_ONLY},  {EACCES, KFL_E_READ_ONLY}, {EPERM, KFL_E_READ_ONLY},
        {ENOENT, KFL_E_NOT_FOUND}, {EEXIST, KFL_E_EXISTS},    {EMFILE, KFL_E_IO},
        {ENFILE, KFL_E_IO},        {EIO, KFL_E_IO},           {EFBIG, KFL_E_IO},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ck_assert_int_eq(kfl__fail_errno(0, rows[i].errnum, "cannot"), rows[i].code);
        ck_assert_int_eq(kfl_last_error_code(), rows[i].code);
    }
}
END_TEST

START_TEST(too_many_open_files_names_the_remedy)
{
    kfl__fail_errno(0, EMFILE, "cannot open x");
    ck_assert_ptr_nonnull(strstr(kfl_last_error(), "ulimit -n"));
    kfl__fail_errno(0, ENFILE, "cannot open x");
    ck_assert_ptr_nonnull(strstr(kfl_last_error(), "fs.file-max"));
}
END_TEST

START_TEST(a_story_that_is_too_long_is_cut_but_not_what_the_system_said)
{
    char story[5000];
    memset(story, 'x', sizeof story - 1);
    story[sizeof story - 1] = '\0';
    kfl__fail(KFL_E_IO, "%s", story);
    ck_assert_uint_gt(strlen(kfl_last_error()), 500);
    ck_assert_uint_lt(strlen(kfl_last_error()), 1200);
    kfl__fail_errno(0, EIO, "%s", story);
    const char *text = kfl_last_error();
    ck_assert_uint_lt(strlen(text), 1200);
    ck_assert_str_eq(text + strlen(text) - strlen(": Input/output error"), ": Input/output error");
}
END_TEST

START_TEST(a_path_that_is_too_long_keeps_its_end)
{
    char path[4096];
    memset(path, 'd', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    memcpy(path + sizeof path - sizeof "/7.log", "/7.log", sizeof "/7.log");
    kfl__fail(KFL_E_IO, "x");
    kfl__fail_in(KFL_E_IO, path);
    const char *kept = kfl_last_error_path();
    ck_assert_uint_gt(strlen(kept), 250);
    ck_assert_ptr_eq(strstr(kept, "…"), kept);
    ck_assert_str_eq(kept + strlen(kept) - strlen("ddd/7.log"), "ddd/7.log");
}
END_TEST

START_TEST(words_can_be_put_aside_and_back)
{
    kfl__fail_errno(0, ENOSPC, "first");
    kfl__fail_in(KFL_E_NO_SPACE, "/p");
    kfl__fail_at(KFL_E_NO_SPACE, "orders", 2, 5);
    struct kfl__words saved;
    kfl__error_save(&saved);
    kfl__fail(KFL_E_NOMEM, "second");
    kfl__error_restore(&saved);
    ck_assert_int_eq(kfl_last_error_code(), KFL_E_NO_SPACE);
    ck_assert_str_eq(kfl_last_error(), "first: No space left on device");
    ck_assert_str_eq(kfl_last_error_path(), "/p");
    ck_assert_str_eq(kfl_last_error_topic(), "orders");
    ck_assert_int_eq(kfl_last_error_partition(), 2);
    ck_assert_int_eq(kfl_last_error_offset(), 5);
    ck_assert_int_eq(kfl_last_error_errno(), ENOSPC);
}
END_TEST

START_TEST(every_code_has_a_name_and_a_text_of_its_own)
{
    static const int codes[] = {
#define CODE(number, name, text) number,
        KFL_ERROR_MAP(CODE)
#undef CODE
    };
    size_t count = sizeof codes / sizeof codes[0];
    for (size_t i = 0; i < count; i++) {
        ck_assert_int_eq(strncmp(kfl_error_name(codes[i]), "KFL_E_", 6), 0);
        ck_assert_str_ne(kfl_error_name(codes[i]), "KFL_E_UNKNOWN");
        ck_assert_str_ne(kfl_error_text(codes[i]), "");
        for (size_t k = 0; k < i; k++) {
            ck_assert_int_ne(codes[i], codes[k]);
            ck_assert_str_ne(kfl_error_text(codes[i]), kfl_error_text(codes[k]));
        }
    }
    ck_assert_str_eq(kfl_error_name(-1006), "KFL_E_NO_SPACE");
    ck_assert_str_eq(kfl_error_text(-1006), "the disk or a quota is full");
}
END_TEST

START_TEST(a_number_that_is_no_code_has_a_name_too)
{
    ck_assert_str_eq(kfl_error_name(0), "KFL_OK");
    ck_assert_str_eq(kfl_error_name(17), "KFL_OK");
    ck_assert_str_eq(kfl_error_name(-5), "KFL_E_UNKNOWN");
    ck_assert_str_ne(kfl_error_text(-5), "");
    ck_assert_str_ne(kfl_error_text(INT32_MIN), "");
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("error");
    TCase *words = tcase_create("words");
    tcase_add_test(words, a_failure_answers_its_code_and_keeps_the_story);
    tcase_add_test(words, words_belong_to_their_thread);
    tcase_add_test(words, a_new_failure_forgets_the_old_place);
    tcase_add_test(words, a_place_is_added_part_by_part);
    tcase_add_test(words, the_code_is_the_one_that_was_returned_last);
    tcase_add_test(words, a_story_may_quote_the_one_before);
    tcase_add_test(words, what_the_system_said_is_appended_and_kept);
    tcase_add_test(words, a_code_is_chosen_from_what_the_system_said);
    tcase_add_test(words, too_many_open_files_names_the_remedy);
    tcase_add_test(words, a_story_that_is_too_long_is_cut_but_not_what_the_system_said);
    tcase_add_test(words, a_path_that_is_too_long_keeps_its_end);
    tcase_add_test(words, words_can_be_put_aside_and_back);
    suite_add_tcase(suite, words);
    TCase *codes = tcase_create("codes");
    tcase_add_test(codes, every_code_has_a_name_and_a_text_of_its_own);
    tcase_add_test(codes, a_number_that_is_no_code_has_a_name_too);
    suite_add_tcase(suite, codes);
    return suite;
}
