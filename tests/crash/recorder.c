/* SPDX-License-Identifier: MIT */
/*
 * The recorder: see recorder.h. What is not below the folder passes by untouched. The state file and
 * the two lock files are worth nothing after a reboot and are not recorded.
 */
/* Both names of a call are defined here: neither may stand for the other. */
#undef _FILE_OFFSET_BITS
#include "recorder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define FILES_MAX 4096
#define PATH_SIZE 256

struct recorded_file {
    char path[PATH_SIZE];
    bool lives;
    int fd; /* ours, to look by; -1: not opened yet */
    uint8_t *shadow;
    size_t size, room;
    const uint8_t *map;
    size_t map_size;
};

static pthread_mutex_t recorder_guard = PTHREAD_MUTEX_INITIALIZER;
static struct recorder_trace *recorder_trace; /* NULL: not recording */
static char recorder_folder[PATH_SIZE];
static size_t recorder_folder_size;
static int recorder_lies;
static struct recorded_file *recorder_files;
static uint32_t recorder_file_count;
static uint8_t recorder_dsync[4096]; /* descriptors whose writes are synced at once */

static void give_up(const char *what)
{
    fprintf(stderr, "recorder: %s: %s\n", what, strerror(errno));
    abort();
}

/* ---- the trace ---- */

struct recorder_trace *recorder_trace_make(uint64_t room)
{
    struct recorder_trace *trace =
        mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (trace == MAP_FAILED)
        give_up("trace");
    trace->room = room - sizeof *trace;
    return trace;
}

void recorder_trace_drop(struct recorder_trace *trace)
{
    if (trace != NULL)
        munmap(trace, trace->room + sizeof *trace);
}

static uint64_t event_size(const struct recorder_event *event)
{
    return sizeof *event + ((uint64_t)event->payload_size + 7) / 8 * 8;
}

const struct recorder_event *recorder_trace_next(const struct recorder_trace *trace,
                                                 uint64_t *io_position)
{
    if (*io_position >= atomic_load(&((struct recorder_trace *)(uintptr_t)trace)->used))
        return NULL;
    const struct recorder_event *event = (const void *)(trace->bytes + *io_position);
    *io_position += event_size(event);
    return event;
}

static void trace_add(struct recorder_event event, const void *payload, size_t size)
{
    event.payload_size = (uint32_t)size;
    uint64_t at = atomic_load(&recorder_trace->used);
    if (at + event_size(&event) > recorder_trace->room)
        give_up("the trace is full");
    memcpy(recorder_trace->bytes + at, &event, sizeof event);
    memcpy(recorder_trace->bytes + at + sizeof event, payload, size);
    atomic_store(&recorder_trace->used, at + event_size(&event));
}

static void trace_path(struct recorder_event event, const char *path)
{
    trace_add(event, path, strlen(path) + 1);
}

/* ---- files and their shadows ---- */

static struct recorded_file *file_find(const char *path)
{
    for (uint32_t i = 0; i < recorder_file_count; i++)
        if (recorder_files[i].lives && strcmp(recorder_files[i].path, path) == 0)
            return &recorder_files[i];
    return NULL;
}

static struct recorded_file *file_add(const char *path)
{
    if (recorder_file_count == FILES_MAX)
        give_up("too many files");
    struct recorded_file *file = &recorder_files[recorder_file_count++];
    *file = (struct recorded_file){.lives = true, .fd = -1};
    snprintf(file->path, sizeof file->path, "%s", path);
    return file;
}

static void file_gone(struct recorded_file *file)
{
    file->lives = false;
    if (file->map != NULL)
        munmap((void *)(uintptr_t)file->map, file->map_size);
    file->map = NULL;
    if (file->fd >= 0)
        syscall(SYS_close, file->fd);
    file->fd = -1;
    free(file->shadow);
    file->shadow = NULL;
    file->size = file->room = 0;
}

static void file_resize(struct recorded_file *file, size_t size)
{
    size_t room = (size + 4095) / 4096 * 4096;
    if (room > file->room) {
        file->shadow = realloc(file->shadow, room);
        if (file->shadow == NULL)
            give_up("shadow");
        memset(file->shadow + file->room, 0, room - file->room);
        file->room = room;
    }
    file->size = size;
}

/* False: somebody who is not recorded has unlinked it. */
static bool file_open_own(struct recorded_file *file)
{
    char path[2 * PATH_SIZE];
    snprintf(path, sizeof path, "%s/%s", recorder_folder, file->path);
    file->fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    if (file->fd < 0 && errno != ENOENT)
        give_up(path);
    return file->fd >= 0;
}

static void file_compare(struct recorded_file *file)
{
    struct stat status;
    uint32_t number = (uint32_t)(file - recorder_files);
    if (file->fd < 0 && !file_open_own(file)) {
        file_gone(file);
        return;
    }
    if (fstat(file->fd, &status) != 0)
        give_up(file->path);
    size_t size = (size_t)status.st_size;
    if (size != file->size) {
        file_resize(file, size);
        trace_add((struct recorder_event){.kind = RECORDER_SIZE, .file = number, .at = size}, "",
                  0);
    }
    if (size == 0)
        return;
    if (file->map_size != file->room) {
        if (file->map != NULL)
            munmap((void *)(uintptr_t)file->map, file->map_size);
        file->map = mmap(NULL, file->room, PROT_READ, MAP_SHARED, file->fd, 0);
        if (file->map == MAP_FAILED)
            give_up("map");
        file->map_size = file->room;
    }
    for (size_t page = 0; page < size; page += 4096) {
        size_t page_end = page + 4096 < size ? page + 4096 : size;
        if (memcmp(file->map + page, file->shadow + page, page_end - page) == 0)
            continue;
        for (size_t at = page; at < page_end; at += RECORDER_SECTOR) {
            size_t part = page_end - at < RECORDER_SECTOR ? page_end - at : RECORDER_SECTOR;
            uint8_t sector[RECORDER_SECTOR];
            /* Stores may be under way: what is taken once is what both sides get. */
            memcpy(sector, file->map + at, part);
            if (memcmp(sector, file->shadow + at, part) == 0)
                continue;
            memcpy(file->shadow + at, sector, part);
            trace_add((struct recorder_event){.kind = RECORDER_WRITE, .file = number, .at = at},
                      sector, part);
        }
    }
}

static void compare_all(void)
{
    for (uint32_t i = 0; i < recorder_file_count; i++)
        if (recorder_files[i].lives)
            file_compare(&recorder_files[i]);
}

/* ---- names ---- */

static bool name_is_recorded(const char *path)
{
    return strcmp(path, "state") != 0 && strcmp(path, "LOCK") != 0 &&
           strcmp(path, "catalog.mdb-lock") != 0;
}

/* The path below the folder; false: elsewhere. The folder itself is "". */
static bool path_below(const char *path, char *out_path)
{
    if (recorder_trace == NULL || strncmp(path, recorder_folder, recorder_folder_size) != 0)
        return false;
    const char *rest = path + recorder_folder_size;
    if (*rest == '/')
        rest++;
    else if (*rest != '\0')
        return false;
    if (strlen(rest) >= PATH_SIZE || strstr(rest, " (deleted)") != NULL)
        return false;
    snprintf(out_path, PATH_SIZE, "%s", rest);
    return name_is_recorded(out_path);
}

static bool path_of_descriptor(int fd, char *out_path)
{
    char link[64], path[512];
    if (recorder_trace == NULL)
        return false;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size < 0)
        return false;
    path[size] = '\0';
    return path_below(path, out_path);
}

static bool path_of_name(int directory, const char *name, char *out_path)
{
    char parent[PATH_SIZE], path[2 * PATH_SIZE + 2];
    if (recorder_trace == NULL)
        return false;
    if (name[0] == '/' || directory == AT_FDCWD)
        return path_below(name, out_path);
    if (!path_of_descriptor(directory, parent))
        return false;
    snprintf(path, sizeof path, parent[0] == '\0' ? "%s/%.0s%s" : "%s/%s/%s", recorder_folder,
             parent, name);
    return path_below(path, out_path);
}

static void begin(void)
{
    pthread_mutex_lock(&recorder_guard);
}

static void end(void)
{
    pthread_mutex_unlock(&recorder_guard);
}

static bool exists(int directory, const char *name)
{
    struct stat status;
    return fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0;
}

/* ---- the calls ---- */

static int open_recorded(int directory, const char *name, int flags, mode_t mode)
{
    char path[PATH_SIZE];
    bool mine = path_of_name(directory, name, path);
    bool creates = false;
    if (mine && (flags & O_CREAT) != 0) {
        begin();
        compare_all();
        creates = !exists(directory, name);
    }
    int fd = (int)syscall(SYS_openat, directory, name, flags, mode);
    int errnum = errno;
    if (mine && (flags & O_CREAT) != 0) {
        if (fd >= 0 && creates) {
            struct recorded_file *file = file_add(path);
            trace_path((struct recorder_event){.kind = RECORDER_CREATE,
                                               .file = (uint32_t)(file - recorder_files)},
                       path);
        }
        end();
    }
    if (fd >= 0 && fd < (int)sizeof recorder_dsync)
        recorder_dsync[fd] = mine && (flags & O_DSYNC) != 0;
    errno = errnum;
    return fd;
}

EXPORT int openat(int directory, const char *name, int flags, ...);
EXPORT int openat64(int directory, const char *name, int flags, ...);
EXPORT int open(const char *name, int flags, ...);
EXPORT int open64(const char *name, int flags, ...);

#define MODE_ARGUMENT(flags)                                                                       \
    mode_t mode = 0;                                                                               \
    if (((flags) & (O_CREAT | O_TMPFILE)) != 0) {                                                  \
        va_list list;                                                                              \
        va_start(list, flags);                                                                     \
        mode = (mode_t)va_arg(list, unsigned);                                                     \
        va_end(list);                                                                              \
    }

int openat(int directory, const char *name, int flags, ...)
{
    MODE_ARGUMENT(flags)
    return open_recorded(directory, name, flags, mode);
}

int openat64(int directory, const char *name, int flags, ...)
{
    MODE_ARGUMENT(flags)
    return open_recorded(directory, name, flags, mode);
}

int open(const char *name, int flags, ...)
{
    MODE_ARGUMENT(flags)
    return open_recorded(AT_FDCWD, name, flags, mode);
}

int open64(const char *name, int flags, ...)
{
    MODE_ARGUMENT(flags)
    return open_recorded(AT_FDCWD, name, flags, mode);
}

static int sync_recorded(int fd, long call)
{
    char path[PATH_SIZE];
    struct stat status;
    if (!path_of_descriptor(fd, path))
        return (int)syscall(call, fd);
    bool folder = fstat(fd, &status) == 0 && S_ISDIR(status.st_mode);
    size_t length = strlen(path);
    bool log = length > 4 && strcmp(path + length - 4, ".log") == 0;
    if ((folder && (recorder_lies & RECORDER_SWALLOW_NAME_SYNC) != 0) ||
        (log && (recorder_lies & RECORDER_SWALLOW_LOG_SYNC) != 0) ||
        (strcmp(path, "catalog.mdb") == 0 && (recorder_lies & RECORDER_SWALLOW_CATALOG_SYNC) != 0))
        return 0;
    begin();
    compare_all();
    uint64_t covers = atomic_load(&recorder_trace->used);
    end();
    int r = (int)syscall(call, fd);
    begin();
    struct recorded_file *file = file_find(path);
    if (r == 0 && folder)
        trace_path((struct recorder_event){.kind = RECORDER_SYNC_NAMES, .at = covers}, path);
    else if (r == 0 && file != NULL)
        trace_add((struct recorder_event){.kind = RECORDER_SYNC,
                                          .file = (uint32_t)(file - recorder_files),
                                          .at = covers},
                  "", 0);
    end();
    return r;
}

EXPORT int fdatasync(int fd)
{
    return sync_recorded(fd, SYS_fdatasync);
}

EXPORT int fsync(int fd)
{
    return sync_recorded(fd, SYS_fsync);
}

static ssize_t write_recorded(int fd, const void *bytes, size_t size, off_t place)
{
    char path[PATH_SIZE];
    if (recorder_trace == NULL || fd < 0 || fd >= (int)sizeof recorder_dsync ||
        !recorder_dsync[fd] || !path_of_descriptor(fd, path))
        return syscall(SYS_pwrite64, fd, bytes, size, place);
    begin();
    compare_all();
    ssize_t written = syscall(SYS_pwrite64, fd, bytes, size, place);
    struct recorded_file *file = file_find(path);
    if (written > 0 && file != NULL) {
        compare_all();
        trace_add((struct recorder_event){.kind = RECORDER_SYNC,
                                          .file = (uint32_t)(file - recorder_files),
                                          .at = atomic_load(&recorder_trace->used),
                                          .from = (uint32_t)place,
                                          .to = (uint32_t)(place + written)},
                  "", 0);
    }
    end();
    return written;
}

EXPORT ssize_t pwrite(int fd, const void *bytes, size_t size, off_t place)
{
    return write_recorded(fd, bytes, size, place);
}

EXPORT ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t place)
{
    return write_recorded(fd, bytes, size, place);
}

static int make_directory_recorded(int directory, const char *name, mode_t mode)
{
    char path[PATH_SIZE];
    if (!path_of_name(directory, name, path))
        return (int)syscall(SYS_mkdirat, directory, name, mode);
    begin();
    compare_all();
    int r = (int)syscall(SYS_mkdirat, directory, name, mode);
    int errnum = errno;
    if (r == 0)
        trace_path((struct recorder_event){.kind = RECORDER_MKDIR}, path);
    end();
    errno = errnum;
    return r;
}

EXPORT int mkdirat(int directory, const char *name, mode_t mode)
{
    return make_directory_recorded(directory, name, mode);
}

EXPORT int mkdir(const char *name, mode_t mode)
{
    return make_directory_recorded(AT_FDCWD, name, mode);
}

EXPORT int unlinkat(int directory, const char *name, int flags)
{
    char path[PATH_SIZE];
    if (!path_of_name(directory, name, path))
        return (int)syscall(SYS_unlinkat, directory, name, flags);
    begin();
    compare_all();
    int r = (int)syscall(SYS_unlinkat, directory, name, flags);
    int errnum = errno;
    if (r == 0) {
        trace_path((struct recorder_event){.kind = RECORDER_UNLINK}, path);
        struct recorded_file *file = file_find(path);
        if (file != NULL)
            file_gone(file);
    }
    end();
    errno = errnum;
    return r;
}

/* ---- begin, end, marks ---- */

/* What stands in the folder already, as if it had been made and synced before. */
static void take_folder(const char *below)
{
    char path[2 * PATH_SIZE];
    snprintf(path, sizeof path, "%s%s%s", recorder_folder, below[0] == '\0' ? "" : "/", below);
    DIR *folder = opendir(path);
    if (folder == NULL)
        give_up(path);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char name[PATH_SIZE];
        struct stat status;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        int length = snprintf(name, sizeof name, "%s%s%s", below, below[0] == '\0' ? "" : "/",
                              entry->d_name);
        if (length >= (int)sizeof name || !name_is_recorded(name) ||
            fstatat(dirfd(folder), entry->d_name, &status, 0) != 0)
            continue;
        if (S_ISDIR(status.st_mode)) {
            trace_path((struct recorder_event){.kind = RECORDER_MKDIR}, name);
            take_folder(name);
            continue;
        }
        struct recorded_file *file = file_add(name);
        uint32_t number = (uint32_t)(file - recorder_files);
        trace_path((struct recorder_event){.kind = RECORDER_CREATE, .file = number}, name);
        file_compare(file);
        trace_add((struct recorder_event){.kind = RECORDER_SYNC,
                                          .file = number,
                                          .at = atomic_load(&recorder_trace->used)},
                  "", 0);
    }
    closedir(folder);
    trace_path((struct recorder_event){.kind = RECORDER_SYNC_NAMES,
                                       .at = atomic_load(&recorder_trace->used)},
               below);
}

/* Files and shadows as a killed process had them. */
static void take_trace(void)
{
    const struct recorder_event *event;
    uint64_t position = 0;
    while ((event = recorder_trace_next(recorder_trace, &position)) != NULL) {
        struct recorded_file *file = &recorder_files[event->file];
        if (event->kind == RECORDER_CREATE) {
            file_add(recorder_payload(event));
        } else if (event->kind == RECORDER_UNLINK) {
            file = file_find(recorder_payload(event));
            if (file != NULL)
                file_gone(file);
        } else if (event->kind == RECORDER_SIZE && file->lives) {
            file_resize(file, event->at);
        } else if (event->kind == RECORDER_WRITE && file->lives) {
            memcpy(file->shadow + event->at, recorder_payload(event), event->payload_size);
        }
    }
}

void recorder_start(const char *folder, struct recorder_trace *trace, int lies)
{
    snprintf(recorder_folder, sizeof recorder_folder, "%s", folder);
    recorder_folder_size = strlen(recorder_folder);
    recorder_files = calloc(FILES_MAX, sizeof *recorder_files);
    if (recorder_files == NULL)
        give_up("files");
    recorder_file_count = 0;
    recorder_trace = trace;
    recorder_lies = lies;
    if (atomic_load(&trace->used) == 0) {
        take_folder("");
        trace->begins = atomic_load(&trace->used);
    } else {
        take_trace();
    }
    compare_all();
}

void recorder_stop(void)
{
    begin();
    compare_all();
    for (uint32_t i = 0; i < recorder_file_count; i++)
        if (recorder_files[i].lives)
            file_gone(&recorder_files[i]);
    free(recorder_files);
    recorder_trace = NULL;
    end();
}

void recorder_kill(void)
{
    begin();
    compare_all();
    kill(getpid(), SIGKILL);
}

void recorder_mark(const void *payload, uint32_t size, bool compare)
{
    if (recorder_trace == NULL)
        return;
    begin();
    if (compare)
        compare_all();
    trace_add((struct recorder_event){.kind = RECORDER_MARK}, payload, size);
    end();
}
