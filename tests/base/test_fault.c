/* SPDX-License-Identifier: MIT */
#include "base/fault.h"

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "child.h"
#include "suite.h"
#include "temp_dir.h"

#ifdef KFL_FAULT_POINTS

START_TEST(a_point_that_is_not_armed_does_nothing)
{
    kfl__fault_arm(NULL);
    ck_assert_int_eq(KFL_FAULT("test.one"), 0);
    kfl__fault_arm("test.other=EIO");
    ck_assert_int_eq(KFL_FAULT("test.one"), 0);
    ck_assert_int_eq(KFL_FAULT("test.oth"), 0);
    ck_assert_int_eq(KFL_FAULT("test.other.more"), 0);
}
END_TEST

START_TEST(an_armed_point_answers_at_its_first_passage_only)
{
    ck_assert_int_eq(kfl__fault_arm("test.one=ENOSPC"), 0);
    ck_assert_int_eq(KFL_FAULT("test.one"), ENOSPC);
    ck_assert_int_eq(KFL_FAULT("test.one"), 0);
}
END_TEST

START_TEST(the_nth_passage_and_each_passage_can_be_named)
{
    ck_assert_int_eq(kfl__fault_arm("test.one:3=5,test.two:*=EIO"), 0);
    ck_assert_int_eq(KFL_FAULT("test.one"), 0);
    ck_assert_int_eq(KFL_FAULT("test.two"), EIO);
    ck_assert_int_eq(KFL_FAULT("test.one"), 0);
    ck_assert_int_eq(KFL_FAULT("test.one"), 5);
    ck_assert_int_eq(KFL_FAULT("test.one"), 0);
    ck_assert_int_eq(KFL_FAULT("test.two"), EIO);
}
END_TEST

START_TEST(arming_anew_counts_anew)
{
    kfl__fault_arm("test.one:2=EIO");
    ck_assert_int_eq(KFL_FAULT("test.one"), 0);
    kfl__fault_arm("test.one:2=EIO");
    ck_assert_int_eq(KFL_FAULT("test.one"), 0);
    ck_assert_int_eq(KFL_FAULT("test.one"), EIO);
    kfl__fault_arm("test.one:*=EIO");
    kfl__fault_arm(NULL);
    ck_assert_int_eq(KFL_FAULT("test.one"), 0);
}
END_TEST

START_TEST(a_plan_that_cannot_be_read_is_refused_and_the_old_one_stands)
{
    static const char *const plans[] = {
        "test.one",       "test.one=",     "=EIO",       "test.one=EIOU", "test.one:0=EIO",
        "test.one:x=EIO", "test.one:=EIO", "test.one=0", "test.one=-5",   "test.one=EIO,test.two"};
    kfl__fault_arm("test.one:*=ENOSPC");
    for (size_t i = 0; i < sizeof plans / sizeof plans[0]; i++) {
        ck_assert_int_eq(kfl__fault_arm(plans[i]), KFL_E_BAD_VALUE);
        ck_assert_ptr_nonnull(strstr(kfl_last_error(), plans[i]));
        ck_assert_int_eq(KFL_FAULT("test.one"), ENOSPC);
    }
    kfl__fault_arm(NULL);
}
END_TEST

static int pass_twice(void *context)
{
    kfl__fault_arm(context);
    KFL_STEP("test.one");
    KFL_STEP("test.one");
    return 0;
}

START_TEST(a_point_can_end_the_process)
{
    ck_assert_int_eq(child_run(pass_twice, (void *)"test.one:2=kill"), -SIGKILL);
    ck_assert_int_eq(child_run(pass_twice, (void *)"test.one=exit"), 7);
    ck_assert_int_eq(child_run(pass_twice, (void *)"test.one:3=kill"), 0);
}
END_TEST

START_TEST(a_point_can_stop_the_process_which_then_goes_on)
{
    pid_t pid = child_start(pass_twice, (void *)"test.one=stop");
    int status;
    ck_assert_int_eq(waitpid(pid, &status, WUNTRACED), pid);
    ck_assert(WIFSTOPPED(status));
    kill(pid, SIGCONT);
    ck_assert_int_eq(child_end(pid), 0);
}
END_TEST

/* The environment is read at the first passage, so these begin as new programs. */
static int run_self(void *context)
{
    const char *const *variable = context;
    setenv("KFL_TEST_FAULT_CHILD", "1", 1);
    setenv(variable[0], variable[1], 1);
    char *arguments[] = {(char *)"test_fault", NULL};
    execv("/proc/self/exe", arguments);
    return 100;
}

START_TEST(the_environment_arms_points_and_a_bad_plan_aborts)
{
    const char *hit[] = {"KAFKALITE_FAULT", "test.child=exit"};
    ck_assert_int_eq(child_run(run_self, hit), 7);
    const char *missed[] = {"KAFKALITE_FAULT", "test.other=exit"};
    ck_assert_int_eq(child_run(run_self, missed), 3);
    const char *misspelt[] = {"KAFKALITE_FAULT", "test.child=exti"};
    ck_assert_int_eq(child_run_quietly(run_self, misspelt), -SIGABRT);
}
END_TEST

START_TEST(each_name_is_listed_once)
{
    temp_dir_make();
    const char *list[] = {"KAFKALITE_FAULT_LIST", temp_dir_file("names")};
    ck_assert_int_eq(child_run(run_self, list), 3);
    FILE *names = fopen(temp_dir_file("names"), "r");
    ck_assert_ptr_nonnull(names);
    char text[200] = "";
    size_t size = fread(text, 1, sizeof text - 1, names);
    fclose(names);
    text[size] = '\0';
    ck_assert_str_eq(text, "test.child\ntest.second\n");
    temp_dir_remove();
}
END_TEST

__attribute__((constructor)) static void be_the_child(void)
{
    if (getenv("KFL_TEST_FAULT_CHILD") == NULL)
        return;
    KFL_STEP("test.child");
    KFL_STEP("test.second");
    KFL_STEP("test.child");
    _exit(3);
}

#else

/* Usable where only a constant is: so there is no call left. */
_Static_assert(KFL_FAULT("test.one") == 0, "a fault point costs nothing");

START_TEST(without_fault_points_a_step_is_nothing)
{
    setenv("KAFKALITE_FAULT", "test.one=exit", 1);
    KFL_STEP("test.one");
    ck_assert_int_eq(KFL_FAULT("test.one"), 0);
}
END_TEST

#endif

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("fault");
    TCase *points = tcase_create("points");
#ifdef KFL_FAULT_POINTS
    tcase_add_test(points, a_point_that_is_not_armed_does_nothing);
    tcase_add_test(points, an_armed_point_answers_at_its_first_passage_only);
    tcase_add_test(points, the_nth_passage_and_each_passage_can_be_named);
    tcase_add_test(points, arming_anew_counts_anew);
    tcase_add_test(points, a_plan_that_cannot_be_read_is_refused_and_the_old_one_stands);
    tcase_add_test(points, a_point_can_end_the_process);
    tcase_add_test(points, a_point_can_stop_the_process_which_then_goes_on);
    tcase_add_test(points, the_environment_arms_points_and_a_bad_plan_aborts);
    tcase_add_test(points, each_name_is_listed_once);
#else
    tcase_add_test(points, without_fault_points_a_step_is_nothing);
#endif
    suite_add_tcase(suite, points);
    return suite;
}
