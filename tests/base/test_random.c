/* SPDX-License-Identifier: MIT */
#include "base/random.h"

#include <check.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "child.h"
#include "suite.h"

static int numbers_differ(void *context)
{
    (void)context;
    enum { COUNT = 256 };
    uint64_t seen[COUNT];
    for (int i = 0; i < COUNT; i++) {
        seen[i] = kfl__random64();
        for (int k = 0; k < i; k++) {
            if (seen[i] == seen[k])
                return 1;
        }
    }
    return 0;
}

START_TEST(numbers_do_not_come_twice)
{
    ck_assert_int_eq(numbers_differ(NULL), 0);
}
END_TEST

START_TEST(every_byte_is_filled_and_none_behind)
{
    for (size_t size = 0; size <= 40; size++) {
        unsigned char seen[41] = {0}, bytes[41];
        for (int turn = 0; turn < 20; turn++) {
            memset(bytes, 0, sizeof bytes);
            kfl__random_bytes(bytes, size);
            for (size_t i = 0; i < sizeof bytes; i++)
                seen[i] |= bytes[i];
        }
        for (size_t i = 0; i < sizeof seen; i++)
            ck_assert_int_eq(seen[i] != 0, i < size);
    }
}
END_TEST

/* As in a sandbox that does not know the call. */
static int numbers_differ_without_the_kernel(void *context)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getrandom, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof filter[0], .filter = filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
        return CHILD_CANNOT_TRY;
    return numbers_differ(context);
}

START_TEST(without_the_kernels_help_numbers_still_differ)
{
    int end = child_run(numbers_differ_without_the_kernel, NULL);
    ck_assert(end == 0 || end == CHILD_CANNOT_TRY);
}
END_TEST

Suite *kfl_suite(void)
{
    Suite *suite = suite_create("random");
    TCase *numbers = tcase_create("numbers");
    tcase_add_test(numbers, numbers_do_not_come_twice);
    tcase_add_test(numbers, every_byte_is_filled_and_none_behind);
    tcase_add_test(numbers, without_the_kernels_help_numbers_still_differ);
    suite_add_tcase(suite, numbers);
    return suite;
}
