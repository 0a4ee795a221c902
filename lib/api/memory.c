/* SPDX-License-Identifier: MIT */
/*
 * ":memory:" stores, and the private state of a reader.
 *
 * A store in memory is an ordinary one in a folder of /dev/shm (or /tmp where there is none) that carries
 * its process's number: it goes at close, and what a killed process left goes when the next one is made.
 */
#include "api/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/process.h"

#define MEMORY_PREFIX "kafkalite-memory-"

static const char *memory_root(void)
{
    int fd = -1;
    if (kfl__file_open_directory(-1, "/dev/shm", &fd) != 0)
        return "/tmp";
    kfl__file_close(fd);
    return "/dev/shm";
}

struct memory_folder {
    int directory;
};

/* Files first; what is left are folders. */
static int memory_remove_entry(const char *name, void *context)
{
    struct memory_folder *folder = context;
    struct memory_folder inner = {-1};
    int r = kfl__file_open_directory(folder->directory, name, &inner.directory);
    if (r == KFL_FILE_MISSING)
        return 0;
    if (r < 0)
        return kfl__file_unlink(folder->directory, name) < 0 ? KFL_E_IO : 0;
    r = kfl__file_list(inner.directory, memory_remove_entry, &inner);
    kfl__file_close(inner.directory);
    return r < 0 ? r : kfl__file_remove_directory(folder->directory, name) < 0 ? KFL_E_IO : 0;
}

void kfl__memory_remove(const char *path)
{
    struct kfl__words words;
    struct memory_folder root = {-1};
    const char *name = strrchr(path, '/') + 1;
    kfl__error_save(&words);
    if (strncmp(name, MEMORY_PREFIX, strlen(MEMORY_PREFIX)) == 0 &&
        kfl__file_open_directory(-1, memory_root(), &root.directory) == 0) {
        (void)memory_remove_entry(name, &root);
        kfl__file_close(root.directory);
    }
    kfl__error_restore(&words);
}

static int memory_sweep_entry(const char *name, void *context)
{
    int32_t pid;
    uint64_t start;
    if (sscanf(name, MEMORY_PREFIX "%" SCNd32 "-%" SCNu64 "-", &pid, &start) == 2 && !kfl__process_lives(pid, start))
        (void)memory_remove_entry(name, context);
    return 0;
}

static int memory_folder_make(char *path, size_t path_size)
{
    struct kfl__process self;
    struct memory_folder root = {-1};
    kfl__process_self(&self);
    if (kfl__file_open_directory(-1, memory_root(), &root.directory) == 0) {
        (void)kfl__file_list(root.directory, memory_sweep_entry, &root);
        kfl__file_close(root.directory);
    }
    snprintf(path, path_size, "%s/" MEMORY_PREFIX "%" PRId32 "-%" PRIu64 "-XXXXXX", memory_root(), self.pid, self.start);
    return kfl__file_make_temporary(path);
}

int kfl__memory_make(char **out_path)
{
    char path[128];
    int r = memory_folder_make(path, sizeof path);
    if (r < 0)
        return r;
    *out_path = kfl__copy_string(path);
    if (*out_path != NULL)
        return 0;
    kfl__memory_remove(path);
    return kfl__fail(KFL_E_NOMEM, "a store in memory: out of memory");
}

int kfl__memory_state(const struct kfl__state_binding *binding, struct kfl__state **out_state)
{
    char path[128];
    int directory = -1;
    int r = memory_folder_make(path, sizeof path);
    if (r < 0)
        return r;
    r = kfl__file_open_directory(-1, path, &directory);
    if (r == 0)
        r = kfl__state_rebuild(directory, binding, out_state);
    kfl__file_close(directory);
    /* The maps stay, and the descriptor by which it grows. */
    kfl__memory_remove(path);
    return r < 0 ? r : 0;
}
