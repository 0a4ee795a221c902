/* SPDX-License-Identifier: MIT */
/* Replays a trace and writes crash images: see images.h. */
#include "images.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A sector, or (size 0) the length of a file, not synced yet. */
struct image_write {
    uint64_t position; /* in the trace */
    uint64_t at;
    const uint8_t *bytes;
    uint32_t size;
};

struct image_file {
    uint8_t *durable;
    uint64_t durable_size, room;
    struct image_write *writes;
    uint32_t write_count, write_room;
    bool known;
};

/* A name: of a file, or of a folder (file -1). */
struct image_name {
    char path[256];
    int64_t file;
    bool durable;
};

struct image_change {
    uint64_t position;
    uint32_t name;
    bool added;
};

struct images {
    const struct recorder_trace *trace;
    uint64_t position, last_sync;
    struct image_file *files;
    uint32_t file_room;
    struct image_name *names;
    uint32_t name_count, name_room;
    struct image_change *changes; /* not synced yet */
    uint32_t change_count, change_room;
};

static void fail(const char *what)
{
    fprintf(stderr, "images: %s: %s\n", what, strerror(errno));
    abort();
}

static void *grow(void *list, uint32_t *io_room, uint32_t count, size_t item)
{
    if (count < *io_room)
        return list;
    uint32_t room = *io_room == 0 ? 64 : *io_room * 2;
    list = realloc(list, room * item);
    if (list == NULL)
        fail("memory");
    memset((uint8_t *)list + *io_room * item, 0, (room - *io_room) * item);
    *io_room = room;
    return list;
}

struct images *images_make(const struct recorder_trace *trace)
{
    struct images *images = calloc(1, sizeof *images);
    if (images == NULL)
        fail("memory");
    images->trace = trace;
    const void *mark;
    uint32_t kind;
    while (images->position < trace->begins && images_step(images, &mark, &kind))
        ;
    return images;
}

void images_drop(struct images *images)
{
    for (uint32_t i = 0; i < images->file_room; i++) {
        free(images->files[i].durable);
        free(images->files[i].writes);
    }
    free(images->files);
    free(images->names);
    free(images->changes);
    free(images);
}

/* ---- replay ---- */

static struct image_file *image_file(struct images *images, uint32_t number)
{
    while (number >= images->file_room)
        images->files =
            grow(images->files, &images->file_room, images->file_room, sizeof *images->files);
    return &images->files[number];
}

static void file_note(struct image_file *file, struct image_write write)
{
    file->writes = grow(file->writes, &file->write_room, file->write_count, sizeof *file->writes);
    file->writes[file->write_count++] = write;
}

static void bytes_apply(uint8_t **io_bytes, uint64_t *io_size, uint64_t *io_room,
                        const struct image_write *write)
{
    uint64_t end = write->size == 0 ? write->at : write->at + write->size;
    if (end > *io_room) {
        uint64_t room = (end + 65535) / 65536 * 65536;
        *io_bytes = realloc(*io_bytes, room);
        if (*io_bytes == NULL)
            fail("memory");
        memset(*io_bytes + *io_room, 0, room - *io_room);
        *io_room = room;
    }
    if (write->size == 0)
        *io_size = write->at;
    else if (end > *io_size)
        *io_size = end;
    memcpy(*io_bytes + write->at, write->bytes, write->size);
}

static void file_sync(struct image_file *file, const struct recorder_event *event)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < file->write_count; i++) {
        const struct image_write *write = &file->writes[i];
        bool covered = write->position < event->at &&
                       (event->to == 0 || write->size == 0 ||
                        (write->at + write->size > event->from && write->at < event->to));
        if (covered)
            bytes_apply(&file->durable, &file->durable_size, &file->room, write);
        else
            file->writes[kept++] = *write;
    }
    file->write_count = kept;
}

static void name_change(struct images *images, uint64_t position, const char *path, int64_t file,
                        bool added)
{
    uint32_t number = images->name_count;
    if (!added)
        while (number > 0 && strcmp(images->names[number - 1].path, path) != 0)
            number--;
    if (added) {
        images->names =
            grow(images->names, &images->name_room, images->name_count, sizeof *images->names);
        struct image_name *name = &images->names[images->name_count++];
        snprintf(name->path, sizeof name->path, "%s", path);
        name->file = file;
        name->durable = false;
    } else if (number == 0) {
        return; /* of a file made by a process that was killed before it could tell */
    } else {
        number--;
    }
    images->changes =
        grow(images->changes, &images->change_room, images->change_count, sizeof *images->changes);
    images->changes[images->change_count++] = (struct image_change){position, number, added};
}

static bool lies_in(const char *path, const char *folder)
{
    const char *slash = strrchr(path, '/');
    size_t length = slash == NULL ? 0 : (size_t)(slash - path);
    return strlen(folder) == length && strncmp(path, folder, length) == 0;
}

static void names_sync(struct images *images, const char *folder, uint64_t covers)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < images->change_count; i++) {
        struct image_change *change = &images->changes[i];
        if (change->position < covers && lies_in(images->names[change->name].path, folder))
            images->names[change->name].durable = change->added;
        else
            images->changes[kept++] = *change;
    }
    images->change_count = kept;
}

bool images_step(struct images *images, const void **out_mark, uint32_t *out_kind)
{
    uint64_t position = images->position;
    const struct recorder_event *event = recorder_trace_next(images->trace, &images->position);
    *out_mark = NULL;
    if (event == NULL)
        return false;
    const void *payload = recorder_payload(event);
    *out_kind = event->kind;
    switch (event->kind) {
    case RECORDER_WRITE:
        file_note(image_file(images, event->file),
                  (struct image_write){position, event->at, payload, event->payload_size});
        break;
    case RECORDER_SIZE:
        file_note(image_file(images, event->file),
                  (struct image_write){position, event->at, payload, 0});
        break;
    case RECORDER_SYNC:
        file_sync(image_file(images, event->file), event);
        images->last_sync = position;
        break;
    case RECORDER_CREATE:
        (void)image_file(images, event->file);
        name_change(images, position, payload, event->file, true);
        break;
    case RECORDER_MKDIR:
        name_change(images, position, payload, -1, true);
        break;
    case RECORDER_UNLINK:
        name_change(images, position, payload, -1, false);
        break;
    case RECORDER_SYNC_NAMES:
        names_sync(images, payload, event->at);
        images->last_sync = position;
        break;
    default:
        *out_mark = payload;
    }
    return true;
}

/* ---- images ---- */

static void names_choose(const struct images *images, enum image_names model, struct chance *chance,
                         bool *there)
{
    for (uint32_t i = 0; i < images->name_count; i++)
        there[i] = images->names[i].durable;
    uint64_t upto = images->change_count == 0 ? 0 : chance_below(chance, images->change_count + 1);
    for (uint32_t i = 0; i < images->change_count; i++) {
        const struct image_change *change = &images->changes[i];
        bool applies = model == IMAGE_NAMES_ANY ? chance_below(chance, 2) == 0
                       : model == IMAGE_NAMES_ORDERED
                           ? change->position < images->last_sync || i < upto
                           : false;
        if (applies)
            there[change->name] = change->added;
    }
}

struct image_choice {
    enum image_strategy strategy;
    uint64_t total, cut;     /* of all that is in doubt; which one */
    uint64_t oldest, newest; /* positions */
};

static bool write_is_chosen(const struct image_choice *choice, const struct image_write *write,
                            uint64_t index, bool whole, struct chance *chance)
{
    switch (choice->strategy) {
    case IMAGE_NONE:
        return false;
    case IMAGE_ALL:
        return true;
    case IMAGE_FEW:
        return chance_below(chance, 10) == 0;
    case IMAGE_MOST:
        return chance_below(chance, 10) != 0;
    case IMAGE_LATE:
        return write->position >= choice->newest - (choice->newest - choice->oldest) / 4;
    case IMAGE_ONE_MISSING:
        return index != choice->cut;
    case IMAGE_PREFIX:
        return write->position <= choice->oldest + (choice->newest - choice->oldest) * choice->cut /
                                                       (choice->total + 1);
    case IMAGE_FILES:
        return whole;
    default:
        return chance_below(chance, 2) == 0;
    }
}

static void put_file(const char *folder, const char *path, const uint8_t *bytes, uint64_t size)
{
    char name[1024];
    snprintf(name, sizeof name, "%s/%s", folder, path);
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        fail(name);
    /* What is zero stays a hole: less to copy. */
    for (uint64_t at = 0; at < size; at += 4096) {
        static const uint8_t zeros[4096];
        uint64_t part = size - at < 4096 ? size - at : 4096;
        if (memcmp(bytes + at, zeros, part) != 0 &&
            pwrite(fd, bytes + at, part, (off_t)at) != (ssize_t)part)
            fail(name);
    }
    if (ftruncate(fd, (off_t)size) != 0)
        fail(name);
    close(fd);
}

static void write_file(struct images *images, const char *folder, const struct image_name *name,
                       const struct image_choice *choice, uint64_t *io_index, struct chance *chance)
{
    const struct image_file *file = &images->files[name->file];
    uint64_t size = file->durable_size, room = file->room;
    uint8_t *bytes = calloc(1, room + 1);
    bool whole = chance_below(chance, 2) == 0;
    if (bytes == NULL)
        fail("memory");
    if (size > 0)
        memcpy(bytes, file->durable, size);
    for (uint32_t i = 0; i < file->write_count; i++)
        if (write_is_chosen(choice, &file->writes[i], (*io_index)++, whole, chance))
            bytes_apply(&bytes, &size, &room, &file->writes[i]);
    put_file(folder, name->path, bytes, size);
    free(bytes);
}

static bool parent_is_there(const struct images *images, const bool *there, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        return true;
    for (uint32_t i = images->name_count; i > 0; i--) {
        const struct image_name *name = &images->names[i - 1];
        if (name->file < 0 && there[i - 1] && strlen(name->path) == (size_t)(slash - path) &&
            strncmp(name->path, path, (size_t)(slash - path)) == 0)
            return parent_is_there(images, there, name->path);
    }
    return false;
}

void images_write(struct images *images, const char *folder, enum image_strategy strategy,
                  enum image_names names, struct chance *chance)
{
    struct image_choice choice = {.strategy = strategy, .oldest = UINT64_MAX};
    bool *there = calloc(images->name_count + 1, sizeof *there);
    uint64_t index = 0;
    if (there == NULL)
        fail("memory");
    for (uint32_t i = 0; i < images->file_room; i++)
        for (uint32_t w = 0; w < images->files[i].write_count; w++) {
            uint64_t position = images->files[i].writes[w].position;
            choice.total++;
            choice.oldest = position < choice.oldest ? position : choice.oldest;
            choice.newest = position > choice.newest ? position : choice.newest;
        }
    choice.cut = chance_below(chance, choice.total + 1);
    names_choose(images, names, chance, there);
    /* Names are in the order of their making: a folder comes before what is in it. */
    for (uint32_t i = 0; i < images->name_count; i++) {
        const struct image_name *name = &images->names[i];
        if (!there[i] || !parent_is_there(images, there, name->path))
            continue;
        if (name->file >= 0) {
            write_file(images, folder, name, &choice, &index, chance);
        } else {
            char path[1024];
            snprintf(path, sizeof path, "%s/%s", folder, name->path);
            if (mkdir(path, 0700) != 0 && errno != EEXIST)
                fail(path);
        }
    }
    free(there);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    return walk->level == 0 ? 0 : remove(path);
}

void images_clear(const char *folder)
{
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *image_strategy_name(enum image_strategy strategy)
{
    static const char *const names[] = {"none", "all",         "half",   "few",  "most",
                                        "late", "one-missing", "prefix", "files"};
    return names[strategy];
}

const char *image_names_name(enum image_names names)
{
    static const char *const kinds[] = {"strict", "any", "ordered"};
    return kinds[names];
}
