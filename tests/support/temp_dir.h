/* SPDX-License-Identifier: MIT */
#ifndef KFL_TESTS_TEMP_DIR_H
#define KFL_TESTS_TEMP_DIR_H

/* A fresh directory below $TMPDIR (or /tmp); the path lives until the next call. Remove with temp_dir_remove. */
const char *temp_dir_make(void);
/* The path of the one made last. */
const char *temp_dir_path(void);
/* With all that is in it. */
void temp_dir_remove(void);
/* "<dir>/<name>" in a static buffer of its own for each of the last 8 calls. */
const char *temp_dir_file(const char *name);

#endif
