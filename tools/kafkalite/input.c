/* SPDX-License-Identifier: MIT */
/*
 * Input in pieces. What is there is handed out before the next read, so that what one read brought
 * can be appended together and a slow writer's records do not wait for one another.
 */
#include "input.h"

#include <string.h>
#include <unistd.h>

#include "call.h"

enum { READ_SIZE = 65536 };

int input_cut(struct input *input, const char **out_data, size_t *out_size)
{
    const char *data = input->bytes.data + input->begin;
    size_t size = input->bytes.size - input->begin;
    size_t skip = input->scanned - input->begin;
    const char *found = NULL;
    if (input->delimiter->size > 0 && size > skip)
        found = memmem(data + skip, size - skip, input->delimiter->data, input->delimiter->size);
    if (found != NULL) {
        *out_data = data;
        *out_size = (size_t)(found - data);
        input->begin += *out_size + input->delimiter->size;
        input->scanned = input->begin;
        return 1;
    }
    if (input->ended && size > 0) {
        *out_data = data;
        *out_size = size;
        input->begin = input->scanned = input->bytes.size;
        return 1;
    }
    /* A delimiter may have begun, but for its last byte. */
    if (input->delimiter->size > 0 && size >= input->delimiter->size)
        input->scanned = input->begin + size - (input->delimiter->size - 1);
    return 0;
}

int input_read(struct input *input)
{
    if (input->ended)
        return 0;
    if (input->begin > 0) {
        size_t left = input->bytes.size - input->begin;
        memmove(input->bytes.data, input->bytes.data + input->begin, left);
        input->scanned -= input->begin;
        input->begin = 0;
        input->bytes.size = left;
    }
    text_reserve(&input->bytes, READ_SIZE);
    ssize_t got = read(input->fd, input->bytes.data + input->bytes.size, READ_SIZE);
    if (got < 0)
        return -1;
    input->bytes.size += (size_t)got;
    input->ended = got == 0;
    return got > 0;
}
