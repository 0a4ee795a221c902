/* SPDX-License-Identifier: MIT */
/*
 * Included above a fixture that asserts in loops of many thousands. check.h writes down each assertion that holds, with
 * a system call, so that a crash is reported with the last of them; there, that would be most of what a test does. A
 * crash is reported with the name of the test alone.
 */
#ifndef KFL_TESTS_QUICK_ASSERTS_H
#define KFL_TESTS_QUICK_ASSERTS_H

#include <check.h>

#define _mark_point(file, line) ((void)0)

#endif
