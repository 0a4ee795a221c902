/* SPDX-License-Identifier: MIT */
/*
 * The words of a failure, one set a thread.
 *
 * Nothing here allocates or fails: what does not fit is cut, a sentence at its end, a path at its
 * beginning. A thread that never failed has empty words.
 */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct words {
    int32_t code;
    int32_t errnum;
    int64_t offset_plus_1; /* 0: none, so that the zeroed words of a new thread are empty */
    int64_t partition_plus_1;
    char text[600];
    char path[320];
    char topic[256]; /* at most 249 bytes */
};
_Static_assert(sizeof(struct words) <= sizeof(struct kfl__words), "saved and restored whole");

static _Thread_local struct words words;

static int keep_words(int code, int errnum, const char *text, size_t text_size)
{
    assert(code < 0);
    words.code = code;
    words.errnum = errnum;
    words.offset_plus_1 = 0;
    words.partition_plus_1 = 0;
    memcpy(words.text, text, text_size);
    words.path[0] = '\0';
    words.topic[0] = '\0';
    return code;
}

/* The arguments may be the words themselves, so the text is made elsewhere. Returns its size. */
static size_t format_words(char *text, size_t text_size, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));
static size_t format_words(char *text, size_t text_size, const char *format, va_list arguments)
{
    int length = vsnprintf(text, text_size, format, arguments);
    if (length < 0) {
        text[0] = '\0';
        return 1;
    }
    return (size_t)length < text_size ? (size_t)length + 1 : text_size;
}

int kfl__fail(int code, const char *format, ...)
{
    char text[sizeof words.text];
    va_list arguments;
    va_start(arguments, format);
    size_t text_size = format_words(text, sizeof text, format, arguments);
    va_end(arguments);
    return keep_words(code, 0, text, text_size);
}

static int code_of_errno(int errnum)
{
    switch (errnum) {
    case ENOSPC:
    case EDQUOT:
        return KFL_E_NO_SPACE;
    case ENOMEM:
        return KFL_E_NOMEM;
    case EROFS:
    case EACCES:
    case EPERM:
        return KFL_E_READ_ONLY;
    case ENOENT:
        return KFL_E_NOT_FOUND;
    case EEXIST:
        return KFL_E_EXISTS;
    default:
        return KFL_E_IO;
    }
}

static const char *remedy_of_errno(int errnum)
{
    switch (errnum) {
    case EMFILE:
        return " (raise the process's limit, ulimit -n)";
    case ENFILE:
        return " (raise the system's limit, sysctl fs.file-max)";
    default:
        return "";
    }
}

int kfl__fail_errno(int code, int errnum, const char *format, ...)
{
    assert(errnum > 0);
    char text[sizeof words.text];
    va_list arguments;
    va_start(arguments, format);
    size_t text_size = format_words(text, sizeof text, format, arguments);
    va_end(arguments);

    /* Unlike strerror() this neither translates nor shares a buffer between threads. */
    const char *said = strerrordesc_np(errnum);
    char tail[128];
    int tail_length = said != NULL
                          ? snprintf(tail, sizeof tail, ": %s%s", said, remedy_of_errno(errnum))
                          : snprintf(tail, sizeof tail, ": error %d", errnum);
    /* What the system said is worth more than the end of a long story. */
    size_t tail_size = (size_t)tail_length < sizeof tail ? (size_t)tail_length + 1 : sizeof tail;
    size_t begin = text_size - 1;
    if (begin + tail_size > sizeof text)
        begin = sizeof text - tail_size;
    memcpy(text + begin, tail, tail_size);
    return keep_words(code != 0 ? code : code_of_errno(errnum), errnum, text, begin + tail_size);
}

int kfl__fail_at(int code, const char *topic, int32_t partition, int64_t offset)
{
    assert(code < 0);
    words.code = code;
    if (topic != NULL && words.topic[0] == '\0')
        snprintf(words.topic, sizeof words.topic, "%s", topic);
    if (partition >= 0 && words.partition_plus_1 == 0)
        words.partition_plus_1 = (int64_t)partition + 1;
    if (offset >= 0 && offset < INT64_MAX && words.offset_plus_1 == 0)
        words.offset_plus_1 = offset + 1;
    return code;
}

int kfl__fail_in(int code, const char *path)
{
    assert(code < 0);
    words.code = code;
    if (path == NULL || words.path[0] != '\0')
        return code;
    size_t length = strlen(path);
    if (length < sizeof words.path)
        memmove(words.path, path, length + 1);
    else
        snprintf(words.path, sizeof words.path, "…%s",
                 path + length + 1 + strlen("…") - sizeof words.path);
    return code;
}

void kfl__error_save(struct kfl__words *out_words)
{
    memcpy(out_words->bytes, &words, sizeof words);
}

void kfl__error_restore(const struct kfl__words *saved)
{
    memcpy(&words, saved->bytes, sizeof words);
}

const char *kfl_error_name(int code)
{
    switch (code) {
    case KFL_OK:
        return "KFL_OK";
#define ERROR_NAME(number, name, text)                                                             \
    case KFL_E_##name:                                                                             \
        return "KFL_E_" #name;
        KFL_ERROR_MAP(ERROR_NAME)
#undef ERROR_NAME
    default:
        return code > 0 ? "KFL_OK" : "KFL_E_UNKNOWN";
    }
}

const char *kfl_error_text(int code)
{
    switch (code) {
    case KFL_OK:
        return "all is well";
#define ERROR_TEXT(number, name, text)                                                             \
    case KFL_E_##name:                                                                             \
        return text;
        KFL_ERROR_MAP(ERROR_TEXT)
#undef ERROR_TEXT
    default:
        return code > 0 ? "all is well" : "not a code of this library";
    }
}

const char *kfl_last_error(void)
{
    return words.text;
}

int kfl_last_error_code(void)
{
    return words.code;
}

const char *kfl_last_error_path(void)
{
    return words.path;
}

const char *kfl_last_error_topic(void)
{
    return words.topic;
}

int32_t kfl_last_error_partition(void)
{
    return (int32_t)(words.partition_plus_1 - 1);
}

int64_t kfl_last_error_offset(void)
{
    return words.offset_plus_1 - 1;
}

int kfl_last_error_errno(void)
{
    return words.errnum;
}
