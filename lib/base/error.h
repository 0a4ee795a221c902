/* SPDX-License-Identifier: MIT */
/*
 * Codes, names, and the calling thread's last words.
 *
 * Whoever finds out writes the story, once; everyone above passes the code on unchanged. The text
 * and the place belong to the calling thread until its next failure. Implements the error part of
 * kafkalite.h.
 */
#ifndef KFL_BASE_ERROR_H
#define KFL_BASE_ERROR_H

#include <stdint.h>

#include "base/check.h"
#include "kafkalite.h"

/* Keep the text for this thread, forget an older place, and return `code` (negative). */
int kfl__fail(int code, const char *format, ...) KFL_PRINTF(2, 3);

/*
 * The same for a failed system call: appends ": <what errno says>" and keeps `errnum`. With code 0
 * the code is chosen from errnum: ENOSPC and EDQUOT -> NO_SPACE, ENOMEM -> NOMEM, EROFS, EACCES and
 * EPERM -> READ_ONLY, ENOENT -> NOT_FOUND, EEXIST -> EXISTS, EMFILE and ENFILE -> IO with the
 * remedy in the text, all else -> IO.
 */
int kfl__fail_errno(int code, int errnum, const char *format, ...) KFL_PRINTF(3, 4);

/*
 * Add the place to the last failure of this thread, and answer `code`. Unknown parts: NULL, -1, -1.
 * What an earlier call has filled stays. The strings are copied.
 */
int kfl__fail_at(int code, const char *topic, int32_t partition, int64_t offset);
int kfl__fail_in(int code, const char *path);

/* A deeper module may save and put back the thread's words around clean-up that can fail itself. */
struct kfl__words {
    char bytes[1200];
};
void kfl__error_save(struct kfl__words *out_words);
void kfl__error_restore(const struct kfl__words *saved);

#endif
