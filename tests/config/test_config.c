/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/fault.h"
#include "base/memory.h"
#include "config/config.h"
#include "suite.h"

static kfl_config *made(void)
{
    kfl_config *config = NULL;
    ck_assert_int_eq(kfl_config_create(&config), 0);
    return config;
}

static void set(kfl_config *config, const char *name, const char *value)
{
    ck_assert_msg(kfl_config_set(config, name, value) == 0, "%s", kfl_last_error());
}

static void encodes_as(const kfl_config *config, const char *expected)
{
    char *text = NULL;
    ck_assert_int_eq(kfl__config_encode(config, &text), 0);
    ck_assert_str_eq(text, expected);
    kfl__free(text);
}

START_TEST(a_fresh_config_has_every_default)
{
    kfl_config *config = made();
    const char *name;
    for (int32_t i = 0; (name = kfl_property_name(i)) != NULL; i++) {
        ck_assert_str_eq(kfl_config_get(config, name), kfl_property_default(name));
        ck_assert_str_eq(kfl_config_get(NULL, name), kfl_property_default(name));
        ck_assert_int_eq(kfl_config_is_set(config, name), 0);
    }
    ck_assert_int_eq(kfl__config_settings(config)->batch_size, 16384);
    ck_assert_int_eq(kfl__config_settings(NULL)->batch_size, 16384);
    encodes_as(config, "");
    kfl_config_destroy(config);
    kfl_config_destroy(NULL);
}
END_TEST

START_TEST(what_is_set_is_in_force_as_text_and_typed)
{
    kfl_config *config = made();
    char value[] = "workers";
    set(config, "linger.ms", "007");
    set(config, "acks", "-1");
    set(config, "create", "FALSE");
    set(config, "cleanup.policy", "compact,delete");
    set(config, "file.mode", "640");
    set(config, "group.id", value);
    value[0] = '?'; /* it was copied */

    const struct kfl__settings *settings = kfl__config_settings(config);
    ck_assert_int_eq(settings->linger_ms, 7);
    ck_assert_int_eq(settings->acks, KFL_ACKS_ALL);
    ck_assert_int_eq(settings->create, 0);
    ck_assert_uint_eq(settings->cleanup_policy, KFL_CLEANUP_DELETE | KFL_CLEANUP_COMPACT);
    ck_assert_uint_eq(settings->file_mode, 0640);
    ck_assert_str_eq(settings->group_id, "workers");
    ck_assert_int_eq(settings->max_poll_records, 500);

    ck_assert_str_eq(kfl_config_get(config, "linger.ms"), "7");
    ck_assert_str_eq(kfl_config_get(config, "acks"), "all");
    ck_assert_str_eq(kfl_config_get(config, "create"), "false");
    ck_assert_str_eq(kfl_config_get(config, "cleanup.policy"), "delete,compact");
    ck_assert_str_eq(kfl_config_get(config, "file.mode"), "0640");
    ck_assert_str_eq(kfl_config_get(config, "group.id"), "workers");
    ck_assert_int_eq(kfl_config_is_set(config, "acks"), 1);
    ck_assert_int_eq(kfl_config_is_set(config, "flush.ms"), 0);
    kfl_config_destroy(config);
}
END_TEST

START_TEST(a_refused_value_changes_nothing)
{
    kfl_config *config = made();
    set(config, "linger.ms", "5");
    ck_assert_int_eq(kfl_config_set(config, "linger.ms", "5s"), KFL_E_BAD_VALUE);
    ck_assert_str_eq(kfl_last_error(),
                     "\"5s\" is not a value of linger.ms, which takes 0 .. 2147483647");
    ck_assert_int_eq(kfl_last_error_code(), KFL_E_BAD_VALUE);
    ck_assert_str_eq(kfl_config_get(config, "linger.ms"), "5");
    ck_assert_int_eq(kfl__config_settings(config)->linger_ms, 5);
    ck_assert_int_eq(kfl_config_set(config, "acks", "2"), KFL_E_BAD_VALUE);
    ck_assert_int_eq(kfl_config_is_set(config, "acks"), 0);
    kfl_config_destroy(config);
}
END_TEST

START_TEST(null_puts_the_default_back)
{
    kfl_config *config = made();
    set(config, "group.id", "g");
    set(config, "group.id", NULL);
    set(config, "linger.ms", "5");
    set(config, "linger.ms", NULL);
    ck_assert_str_eq(kfl__config_settings(config)->group_id, "");
    ck_assert_str_eq(kfl_config_get(config, "group.id"), "");
    ck_assert_int_eq(kfl__config_settings(config)->linger_ms, 0);
    ck_assert_int_eq(kfl_config_is_set(config, "linger.ms"), 0);
    encodes_as(config, "");
    kfl_config_destroy(config);
}
END_TEST

START_TEST(a_value_may_be_set_to_what_get_gave)
{
    kfl_config *config = made();
    set(config, "group.id", "g");
    set(config, "group.id", kfl_config_get(config, "group.id"));
    ck_assert_str_eq(kfl_config_get(config, "group.id"), "g");
    ck_assert_str_eq(kfl__config_settings(config)->group_id, "g");
    kfl_config_destroy(config);
}
END_TEST

START_TEST(misuse_is_told)
{
    kfl_config *config = made();
    ck_assert_int_eq(kfl_config_create(NULL), KFL_E_INVALID);
    ck_assert_int_eq(kfl_config_set(NULL, "acks", "1"), KFL_E_INVALID);
    ck_assert_int_eq(kfl_config_set(config, NULL, "1"), KFL_E_INVALID);
    ck_assert_int_eq(kfl_config_set_int64(NULL, "acks", 1), KFL_E_INVALID);
    ck_assert_int_eq(kfl_config_set_int64(config, NULL, 1), KFL_E_INVALID);
    ck_assert_int_eq(kfl_config_set(config, "ackz", "1"), KFL_E_UNKNOWN_PROPERTY);
    ck_assert_str_eq(kfl_last_error(), "there is no property \"ackz\": did you mean acks?");
    ck_assert_int_eq(kfl_config_set(config, "ackz", NULL), KFL_E_UNKNOWN_PROPERTY);
    ck_assert_int_eq(kfl_config_set_int64(config, "ackz", 1), KFL_E_UNKNOWN_PROPERTY);
    ck_assert_ptr_null(kfl_config_get(config, "ackz"));
    ck_assert_ptr_null(kfl_config_get(config, NULL));
    ck_assert_ptr_null(kfl_config_get(NULL, NULL));
    ck_assert_int_eq(kfl_config_is_set(config, "ackz"), 0);
    ck_assert_int_eq(kfl_config_is_set(config, NULL), 0);
    ck_assert_int_eq(kfl_config_is_set(NULL, "acks"), 0);
    kfl_config_destroy(config);
}
END_TEST

START_TEST(a_number_needs_no_printing)
{
    kfl_config *config = made();
    ck_assert_int_eq(kfl_config_set_int64(config, "linger.ms", 12), 0);
    ck_assert_int_eq(kfl_config_set_int64(config, "flush.ms", INT64_MAX), 0);
    ck_assert_int_eq(kfl_config_set_int64(config, "acks", -1), 0);
    ck_assert_int_eq(kfl_config_set_int64(config, "read.only", 1), 0);
    ck_assert_int_eq(kfl_config_set_int64(config, "file.mode", 0640), 0);
    encodes_as(
        config,
        "read.only=true\nfile.mode=0640\nflush.ms=9223372036854775807\nacks=all\nlinger.ms=12\n");
    ck_assert_int_eq(kfl_config_set_int64(config, "linger.ms", -1), KFL_E_BAD_VALUE);
    ck_assert_int_eq(kfl_config_set_int64(config, "flush.ms", INT64_MIN), KFL_E_BAD_VALUE);
    ck_assert_int_eq(kfl_config_set_int64(config, "read.only", 2), KFL_E_BAD_VALUE);
    ck_assert_int_eq(kfl_config_set_int64(config, "file.mode", 640), KFL_E_BAD_VALUE);
    ck_assert_int_eq(kfl_config_set_int64(config, "file.mode", -1), KFL_E_BAD_VALUE);
    ck_assert_int_eq(kfl_config_set_int64(config, "file.mode", INT64_MAX), KFL_E_BAD_VALUE);
    ck_assert_int_eq(kfl_config_set_int64(config, "acks", 2), KFL_E_BAD_VALUE);
    kfl_config_destroy(config);
}
END_TEST

START_TEST(a_property_of_another_scope_is_refused)
{
    kfl_config *config = made();
    ck_assert_int_eq(kfl__config_check(NULL, KFL_SCOPE_TOPIC, true, true), 0);
    set(config, "linger.ms", "5");
    ck_assert_int_eq(kfl__config_check(config, KFL_SCOPE_PRODUCER, true, true), 0);
    ck_assert_int_eq(kfl__config_check(config, KFL_SCOPE_TOPIC, true, true),
                     KFL_E_UNKNOWN_PROPERTY);
    ck_assert_str_eq(kfl_last_error(), "a topic has no property linger.ms: it belongs to producer");
    ck_assert_int_eq(kfl__config_check(config, KFL_SCOPE_STORE, true, true),
                     KFL_E_UNKNOWN_PROPERTY);
    ck_assert_int_eq(kfl__config_check(config, KFL_SCOPE_CONSUMER, true, true),
                     KFL_E_UNKNOWN_PROPERTY);
    set(config, "linger.ms", NULL);
    ck_assert_int_eq(kfl__config_check(config, KFL_SCOPE_TOPIC, true, true), 0);
    set(config, "flush.ms", "5");
    ck_assert_int_eq(kfl__config_check(config, KFL_SCOPE_TOPIC, true, true), 0);
    ck_assert_int_eq(kfl__config_check(config, KFL_SCOPE_STORE, true, true), 0);
    kfl_config_destroy(config);
}
END_TEST

START_TEST(a_codec_that_was_not_built_is_refused)
{
    kfl_config *config = made();
    set(config, "compression.type", "lz4");
    ck_assert_int_eq(kfl__config_check(config, KFL_SCOPE_TOPIC, true, false), 0);
    ck_assert_int_eq(kfl__config_check(config, KFL_SCOPE_TOPIC, false, true), KFL_E_UNSUPPORTED);
    ck_assert_str_eq(kfl_last_error(), "compression.type=lz4: this library was built without it");
    set(config, "compression.type", "zstd");
    ck_assert_int_eq(kfl__config_check(config, KFL_SCOPE_PRODUCER, false, true), 0);
    ck_assert_int_eq(kfl__config_check(config, KFL_SCOPE_PRODUCER, true, false), KFL_E_UNSUPPORTED);
    static const char *const plain[] = {"producer", "none", "uncompressed"};
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        set(config, "compression.type", plain[i]);
        ck_assert_int_eq(kfl__config_check(config, KFL_SCOPE_TOPIC, false, false), 0);
    }
    kfl_config_destroy(config);
}
END_TEST

START_TEST(a_copy_shares_nothing_with_its_source)
{
    kfl_config *source = NULL, *copy = NULL, *empty = NULL;
    ck_assert_int_eq(kfl__config_decode("group.id=g\nlinger.ms=5\nfrom.the.future=x\n", &source),
                     0);
    ck_assert_int_eq(kfl__config_copy(source, &copy), 0);
    kfl_config_destroy(source);
    ck_assert_str_eq(kfl__config_settings(copy)->group_id, "g");
    ck_assert_int_eq(kfl__config_settings(copy)->linger_ms, 5);
    encodes_as(copy, "linger.ms=5\ngroup.id=g\nfrom.the.future=x\n");
    kfl_config_destroy(copy);

    ck_assert_int_eq(kfl__config_copy(NULL, &empty), 0);
    encodes_as(empty, "");
    kfl_config_destroy(empty);
}
END_TEST

START_TEST(a_merge_puts_what_is_set_and_what_was_set_to_null)
{
    kfl_config *config = NULL, *changes = made();
    ck_assert_int_eq(
        kfl__config_decode("flush.ms=5\nsegment.bytes=65536\nsegment.ms=9\nnew.one=1\n", &config),
        0);
    set(changes, "flush.ms", NULL);
    set(changes, "segment.ms", "8");
    set(changes, "cleanup.policy", "compact");
    ck_assert_int_eq(kfl__config_merge(config, changes), 0);
    encodes_as(config, "cleanup.policy=compact\nsegment.bytes=65536\nsegment.ms=8\nnew.one=1\n");
    ck_assert_int_eq(kfl__config_settings(config)->flush_ms, 1000);
    ck_assert_int_eq(kfl__config_settings(config)->segment_ms, 8);
    ck_assert_int_eq(kfl__config_merge(config, NULL), 0);
    encodes_as(config, "cleanup.policy=compact\nsegment.bytes=65536\nsegment.ms=8\nnew.one=1\n");
    kfl_config_destroy(config);
    kfl_config_destroy(changes);
}
END_TEST

/* What was taken back in one config must be taken back by whatever that config is merged into. */
START_TEST(changes_can_be_gathered_by_merging)
{
    kfl_config *config = made(), *gathered = made(), *changes = made();
    set(config, "segment.ms", "9");
    set(gathered, "segment.ms", "8");
    set(changes, "segment.ms", NULL);
    ck_assert_int_eq(kfl__config_merge(gathered, changes), 0);
    ck_assert_int_eq(kfl__config_merge(config, gathered), 0);
    ck_assert_int_eq(kfl_config_is_set(config, "segment.ms"), 0);
    set(changes, "segment.ms", "7");
    ck_assert_int_eq(kfl__config_merge(config, changes), 0);
    ck_assert_str_eq(kfl_config_get(config, "segment.ms"), "7");
    kfl_config_destroy(config);
    kfl_config_destroy(gathered);
    kfl_config_destroy(changes);
}
END_TEST

START_TEST(configs_are_equal_when_the_same_is_in_force)
{
    kfl_config *a = made(), *b = made();
    ck_assert(kfl__config_equal(NULL, NULL, KFL_SCOPE_STORE));
    ck_assert(kfl__config_equal(a, NULL, KFL_SCOPE_STORE));
    set(a, "read.only", "FALSE");
    set(a, "flush.ms", "1000");
    ck_assert(kfl__config_equal(a, b, KFL_SCOPE_STORE));
    ck_assert(kfl__config_equal(NULL, a, KFL_SCOPE_STORE));
    set(b, "read.only", "true");
    ck_assert(!kfl__config_equal(a, b, KFL_SCOPE_STORE));
    ck_assert(!kfl__config_equal(NULL, b, KFL_SCOPE_STORE));
    set(a, "read.only", "true");
    set(a, "linger.ms", "9");
    ck_assert(kfl__config_equal(a, b, KFL_SCOPE_STORE));
    ck_assert(!kfl__config_equal(a, b, KFL_SCOPE_PRODUCER));
    kfl_config_destroy(a);
    kfl_config_destroy(b);
}
END_TEST

START_TEST(a_topic_that_follows_its_store_differs_from_one_that_says_the_same)
{
    kfl_config *a = made(), *b = made();
    set(a, "flush.ms", "1000");
    ck_assert(!kfl__config_equal(a, b, KFL_SCOPE_TOPIC));
    set(b, "flush.ms", "1000");
    ck_assert(kfl__config_equal(a, b, KFL_SCOPE_TOPIC));
    kfl_config_destroy(a);
    kfl_config_destroy(b);
}
END_TEST

START_TEST(what_is_encoded_decodes_to_the_same)
{
    kfl_config *config = made(), *again = NULL;
    const char *name;
    for (int32_t i = 0; (name = kfl_property_name(i)) != NULL; i++)
        set(config, name, kfl_property_default(name));
    set(config, "group.id", "a=b \"c\" é");
    set(config, "acks", "all");
    set(config, "flush.ms", "250");

    char *text = NULL;
    ck_assert_int_eq(kfl__config_encode(config, &text), 0);
    ck_assert_int_eq(kfl__config_decode(text, &again), 0);
    encodes_as(again, text);
    for (int32_t i = 0; (name = kfl_property_name(i)) != NULL; i++) {
        ck_assert_int_eq(kfl_config_is_set(again, name), 1);
        ck_assert_str_eq(kfl_config_get(again, name), kfl_config_get(config, name));
    }
    kfl__free(text);
    kfl_config_destroy(config);
    kfl_config_destroy(again);
    encodes_as(NULL, "");
}
END_TEST

START_TEST(lines_of_a_newer_version_are_kept)
{
    kfl_config *config = NULL;
    ck_assert_int_eq(kfl__config_decode("b.new=1=2\nsegment.ms=8\na.new=\n", &config), 0);
    ck_assert_ptr_null(kfl_config_get(config, "b.new"));
    ck_assert_int_eq(kfl__config_settings(config)->segment_ms, 8);
    encodes_as(config, "segment.ms=8\nb.new=1=2\na.new=\n");
    kfl_config_destroy(config);
}
END_TEST

START_TEST(what_is_no_list_of_properties_is_not_decoded)
{
    static const char *const wrong[] = {"\n",     "=",      "=1\n",       "acks",
                                        "acks\n", "acks=1", "acks=1\n\n", "x\ny=1\n"};
    kfl_config *config = NULL;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        int r = kfl__config_decode(wrong[i], &config);
        ck_assert_msg(r == KFL_E_CORRUPT, "\"%s\" gives %d", wrong[i], r);
        ck_assert_ptr_null(config);
    }
    ck_assert_int_eq(kfl__config_decode("segment.ms=8\nlinger.ms=x\n", &config), KFL_E_BAD_VALUE);
    ck_assert_ptr_null(config);
    ck_assert_int_eq(kfl__config_decode("", &config), 0);
    encodes_as(config, "");
    kfl_config_destroy(config);
}
END_TEST

#ifdef KFL_FAULT_POINTS
/* The n-th allocation fails, n upward until all passes: no failure leaves half a change. */
START_TEST(a_change_without_memory_changes_nothing)
{
    kfl_config *config = NULL, *changes = made(), *copy = NULL;
    set(changes, "segment.ms", "8");
    set(changes, "flush.ms", "7");
    ck_assert_int_eq(kfl__config_decode("segment.ms=9\nnew.one=1\n", &config), 0);

    int failures = 0;
    for (int r = KFL_E_NOMEM; r != 0; failures++) {
        char plan[40];
        snprintf(plan, sizeof plan, "memory.alloc:%d=ENOMEM", failures + 1);
        ck_assert_int_eq(kfl__fault_arm(plan), 0);
        r = kfl__config_merge(config, changes);
        kfl__fault_arm(NULL);
        if (r == 0)
            break;
        ck_assert_int_eq(r, KFL_E_NOMEM);
        encodes_as(config, "segment.ms=9\nnew.one=1\n");
    }
    ck_assert_int_eq(failures, 2);

    for (int n = 1, r = KFL_E_NOMEM; r != 0; n++) {
        char plan[40];
        snprintf(plan, sizeof plan, "memory.alloc:%d=ENOMEM", n);
        ck_assert_int_eq(kfl__fault_arm(plan), 0);
        r = kfl__config_copy(config, &copy);
        kfl__fault_arm(NULL);
        ck_assert(r == 0 || (r == KFL_E_NOMEM && copy == NULL));
    }
    encodes_as(copy, "flush.ms=7\nsegment.ms=8\nnew.one=1\n");
    kfl_config_destroy(config);
    kfl_config_destroy(changes);
    kfl_config_destroy(copy);
}
END_TEST

START_TEST(a_decode_without_memory_leaves_nothing)
{
    kfl_config *config = NULL;
    for (int n = 1, r = KFL_E_NOMEM; r != 0; n++) {
        char plan[40];
        snprintf(plan, sizeof plan, "memory.alloc:%d=ENOMEM", n);
        ck_assert_int_eq(kfl__fault_arm(plan), 0);
        r = kfl__config_decode("segment.ms=9\nnew.one=1\nnew.two=2\n", &config);
        kfl__fault_arm(NULL);
        ck_assert(r == 0 || (r == KFL_E_NOMEM && config == NULL));
    }
    encodes_as(config, "segment.ms=9\nnew.one=1\nnew.two=2\n");
    kfl_config_destroy(config);
}
END_TEST
#endif

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("config");

    TCase *values = tcase_create("values");
    tcase_add_test(values, a_fresh_config_has_every_default);
    tcase_add_test(values, what_is_set_is_in_force_as_text_and_typed);
    tcase_add_test(values, a_refused_value_changes_nothing);
    tcase_add_test(values, null_puts_the_default_back);
    tcase_add_test(values, a_value_may_be_set_to_what_get_gave);
    tcase_add_test(values, misuse_is_told);
    tcase_add_test(values, a_number_needs_no_printing);
    suite_add_tcase(suite, values);

    TCase *whole = tcase_create("whole");
    tcase_add_test(whole, a_property_of_another_scope_is_refused);
    tcase_add_test(whole, a_codec_that_was_not_built_is_refused);
    tcase_add_test(whole, a_copy_shares_nothing_with_its_source);
    tcase_add_test(whole, a_merge_puts_what_is_set_and_what_was_set_to_null);
    tcase_add_test(whole, changes_can_be_gathered_by_merging);
    tcase_add_test(whole, configs_are_equal_when_the_same_is_in_force);
    tcase_add_test(whole, a_topic_that_follows_its_store_differs_from_one_that_says_the_same);
    suite_add_tcase(suite, whole);

    TCase *text = tcase_create("text");
    tcase_add_test(text, what_is_encoded_decodes_to_the_same);
    tcase_add_test(text, lines_of_a_newer_version_are_kept);
    tcase_add_test(text, what_is_no_list_of_properties_is_not_decoded);
    suite_add_tcase(suite, text);

#ifdef KFL_FAULT_POINTS
    TCase *memory = tcase_create("memory");
    tcase_add_test(memory, a_change_without_memory_changes_nothing);
    tcase_add_test(memory, a_decode_without_memory_leaves_nothing);
    suite_add_tcase(suite, memory);
#endif
    return suite;
}
