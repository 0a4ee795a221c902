/* SPDX-License-Identifier: MIT */
#ifndef KFL_TESTS_SUITE_H
#define KFL_TESTS_SUITE_H

#include <check.h>

/* Each test file exports one. */
Suite *kfl_suite(void);

#endif
