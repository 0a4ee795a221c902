/* SPDX-License-Identifier: MIT */
/* Runs the suite of the file it is linked with; TAP on standard output, for meson. */
#include <check.h>
#include <stdlib.h>

#include "suite.h"

int main(void)
{
    /* Check gives a test four seconds, of a machine that may be busy with other things. */
    setenv("CK_TIMEOUT_MULTIPLIER", "5", 0);
    SRunner *runner = srunner_create(kfl_suite());
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
