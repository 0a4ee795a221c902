/* SPDX-License-Identifier: MIT */
/* What the library says it is. */
#include <stdio.h>
#include <string.h>

#include "format/codec.h"
#include "format/layout.h"
#include "kafkalite.h"
#include "suite.h"

START_TEST(the_version_is_the_header_s)
{
    char text[32];
    ck_assert_int_eq(kfl_version(), KFL_VERSION_HEX);
    ck_assert_str_eq(kfl_version_string(), KFL_VERSION_STRING);
    snprintf(text, sizeof text, "%d.%d.%d", kfl_version() >> 16, kfl_version() >> 8 & 255,
             kfl_version() & 255);
    ck_assert_str_eq(text, kfl_version_string());
}
END_TEST

START_TEST(the_format_is_what_segments_are_written_in)
{
    ck_assert_int_eq(kfl_format_version(), KFL_FORMAT_VERSION);
}
END_TEST

START_TEST(the_build_names_its_codecs_and_its_compiler)
{
    const char *info = kfl_build_info();
    ck_assert_ptr_nonnull(strstr(info, KFL_VERSION_STRING));
    ck_assert_ptr_nonnull(strstr(info, "XXH3"));
    ck_assert_int_eq(strstr(info, " lz4") != NULL, kfl__codec_is_built(KFL_CODEC_LZ4));
    ck_assert_int_eq(strstr(info, " zstd") != NULL, kfl__codec_is_built(KFL_CODEC_ZSTD));
#ifdef __clang__
    ck_assert_ptr_nonnull(strstr(info, "clang"));
#else
    ck_assert_ptr_nonnull(strstr(info, "gcc"));
#endif
    ck_assert_ptr_null(strchr(info, '\n'));
    ck_assert_ptr_eq(info, kfl_build_info());
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("version");
    TCase *tests = tcase_create("version");
    tcase_add_test(tests, the_version_is_the_header_s);
    tcase_add_test(tests, the_format_is_what_segments_are_written_in);
    tcase_add_test(tests, the_build_names_its_codecs_and_its_compiler);
    suite_add_tcase(suite, tests);
    return suite;
}
