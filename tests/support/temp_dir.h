/* SPDX-License-Identifier: MIT */
#ifndef KFL_TESTS_TEMP_DIR_H
#define KFL_TESTS_TEMP_DIR_H

/*
 * A fresh directory; the path lives until the next call. Remove with temp_dir_remove. It is below $TMPDIR, or else in
 * memory where there is room, or else below /tmp: what most tests would wait for is a disk that is told to sync, and no
 * test of a process can see whether it did (tests/crash cuts the power).
 */
const char *temp_dir_make(void);
/* The same on a disk (below $TMPDIR or /var/tmp): where it counts what a sync takes, or what a file system does. */
const char *temp_dir_make_on_disk(void);
/* The path of the one made last. */
const char *temp_dir_path(void);
/* With all that is in it. */
void temp_dir_remove(void);
/* "<dir>/<name>" in a static buffer of its own for each of the last 8 calls. */
const char *temp_dir_file(const char *name);

#endif
