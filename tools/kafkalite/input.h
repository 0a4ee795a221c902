/* SPDX-License-Identifier: MIT */
/* A file or a pipe, cut into pieces by a delimiter, as fast as it comes. */
#ifndef KAFKALITE_INPUT_H
#define KAFKALITE_INPUT_H

#include "text.h"

struct input {
    int fd;
    int ended;
    const struct text *delimiter; /* size 0: all of it is one piece */
    struct text bytes;
    size_t begin;   /* of the piece that is not handed out yet */
    size_t scanned; /* no delimiter begins before this */
};

/* The next piece that is there already: 1, or 0 when more has to be read. Borrowed until the next
 * read. */
int input_cut(struct input *input, const char **out_data, size_t *out_size);
/* Reads once. Returns 1; 0 at the end, when a last piece without delimiter may be cut; -1 with
 * errno. */
int input_read(struct input *input);

#endif
