/* SPDX-License-Identifier: MIT */
/*
 * Files: every call that touches the file system, but for maps.
 *
 * What is opened below a store is a plain file or a folder, or it is not opened: a link, a pipe or
 * a device there is damage or an attack, and opening one neither follows, blocks nor becomes a
 * terminal. Names are single names within a folder that is open already.
 */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fault.h"
#include "base/memory.h"

/* The name under which the kernel knows a descriptor; "" when it cannot be told. */
static void describe_descriptor(int fd, char *path, size_t path_size)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, path_size - 1);
    path[length > 0 ? length : 0] = '\0';
}

int kfl__file_fail(int code, int errnum, int fd, const char *operation)
{
    char path[1024];
    describe_descriptor(fd, path, sizeof path);
    int r =
        kfl__fail_errno(code, errnum, "cannot %s %s", operation, path[0] != '\0' ? path : "a file");
    return kfl__fail_in(r, path);
}

static void describe_name(int directory, const char *name, char *path, size_t path_size)
{
    path[0] = '\0';
    if (directory >= 0)
        describe_descriptor(directory, path, path_size);
    size_t length = strlen(path);
    snprintf(path + length, path_size - length, "%s%s", length > 0 ? "/" : "", name);
}

static int fail_name(int code, int errnum, int directory, const char *name, const char *operation)
{
    char path[1024];
    describe_name(directory, name, path, sizeof path);
    int r = kfl__fail_errno(code, errnum, "cannot %s %s", operation, path);
    return kfl__fail_in(r, path);
}

static int fail_kind(int directory, const char *name, const char *expected)
{
    char path[1024];
    describe_name(directory, name, path, sizeof path);
    int r =
        kfl__fail(directory >= 0 ? KFL_E_CORRUPT : KFL_E_INVALID, "%s is not a %s", path, expected);
    return kfl__fail_in(r, path);
}

/* A descriptor, or the negated errno. */
static int open_name(int directory, const char *name, int flags, uint32_t mode)
{
    if (directory < 0)
        directory = AT_FDCWD;
    else
        flags |= O_NOFOLLOW;
    for (;;) {
        int fd = openat(directory, name, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, (mode_t)mode);
        if (fd >= 0)
            return fd;
        if (errno != EINTR)
            return -errno;
    }
}

int kfl__file_open_directory(int directory, const char *name, int *out_fd)
{
    int errnum = KFL_FAULT("file.open_directory");
    int fd = errnum != 0 ? -errnum : open_name(directory, name, O_RDONLY | O_DIRECTORY, 0);
    switch (fd) {
    case -ENOENT:
        return KFL_FILE_MISSING;
    case -ENOTDIR:
    case -ELOOP:
        return fail_kind(directory, name, "directory");
    }
    if (fd < 0)
        return fail_name(0, -fd, directory, name, "open");
    *out_fd = fd;
    return 0;
}

int kfl__file_make_directory(int directory, const char *name, uint32_t mode)
{
    int errnum = KFL_FAULT("file.make_directory");
    if (errnum == 0) {
        if (mkdirat(directory < 0 ? AT_FDCWD : directory, name, (mode_t)mode) == 0)
            return 0;
        errnum = errno;
    }
    return errnum == EEXIST ? KFL_FILE_EXISTS : fail_name(0, errnum, directory, name, "create");
}

int kfl__file_create(int directory, const char *name, uint32_t mode, int *out_fd)
{
    int errnum = KFL_FAULT("file.create");
    int fd = errnum != 0 ? -errnum : open_name(directory, name, O_RDWR | O_CREAT | O_EXCL, mode);
    if (fd == -EEXIST)
        return KFL_FILE_EXISTS;
    if (fd < 0)
        return fail_name(0, -fd, directory, name, "create");
    *out_fd = fd;
    return 0;
}

int kfl__file_open(int directory, const char *name, bool writable, int *out_fd)
{
    int errnum = KFL_FAULT("file.open");
    int fd = errnum != 0 ? -errnum : open_name(directory, name, writable ? O_RDWR : O_RDONLY, 0);
    switch (fd) {
    case -ENOENT:
        return KFL_FILE_MISSING;
    case -ELOOP:  /* a link */
    case -EISDIR: /* a folder, to be written */
    case -ENXIO:  /* a socket, or a device that nothing drives */
        return fail_kind(directory, name, "plain file");
    }
    if (fd < 0)
        return fail_name(0, -fd, directory, name, "open");

    struct stat status;
    if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode)) {
        close(fd);
        return fail_kind(directory, name, "plain file");
    }
    *out_fd = fd;
    return 0;
}

void kfl__file_close(int fd)
{
    if (fd >= 0)
        close(fd);
}

int kfl__file_size(int fd, int64_t *out_size)
{
    struct stat status;
    int errnum = KFL_FAULT("file.size");
    if (errnum == 0 && fstat(fd, &status) < 0)
        errnum = errno;
    if (errnum != 0)
        return kfl__file_fail(0, errnum, fd, "look at");
    *out_size = status.st_size;
    return 0;
}

/* 0 or an errno. */
static int write_whole(int fd, const void *bytes, size_t size, int64_t place)
{
    const char *from = bytes;
    while (size > 0) {
        ssize_t written = pwrite(fd, from, size, place);
        if (written < 0) {
            if (errno != EINTR)
                return errno;
            continue;
        }
        if (written == 0)
            return EIO;
        from += written;
        place += written;
        size -= (size_t)written;
    }
    return 0;
}

/* Where blocks cannot be reserved they are written. What the file has already stays as it is. */
static int reserve_by_zeros(int fd, int64_t place, int64_t end)
{
    static const char zeros[64 * 1024];
    struct stat status;
    if (fstat(fd, &status) < 0)
        return errno;
    if (place < status.st_size)
        place = status.st_size;
    while (place < end) {
        int64_t step = end - place < (int64_t)sizeof zeros ? end - place : (int64_t)sizeof zeros;
        int errnum = write_whole(fd, zeros, (size_t)step, place);
        if (errnum != 0)
            return errnum;
        place += step;
    }
    return 0;
}

int kfl__file_reserve(int fd, int64_t place, int64_t size)
{
    assert(place >= 0 && size > 0 && place <= INT64_MAX - size);
    int errnum = KFL_FAULT("file.reserve");
    while (errnum == 0 && fallocate(fd, 0, place, size) < 0) {
        if (errno != EINTR)
            errnum = errno;
    }
    if (errnum == EOPNOTSUPP || errnum == ENOSYS)
        errnum = reserve_by_zeros(fd, place, place + size);
    return errnum == 0 ? 0 : kfl__file_fail(0, errnum, fd, "reserve room in");
}

int kfl__file_punch(int fd, int64_t place, int64_t size)
{
    assert(place >= 0 && size > 0 && place <= INT64_MAX - size);
    int errnum = KFL_FAULT("file.punch");
    while (errnum == 0 &&
           fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, place, size) < 0) {
        if (errno != EINTR)
            errnum = errno;
    }
    if (errnum == 0 || errnum == EOPNOTSUPP || errnum == ENOSYS)
        return 0;
    return kfl__file_fail(0, errnum, fd, "give back room in");
}

int kfl__file_write_at(int fd, const void *bytes, size_t size, int64_t place)
{
    assert(place >= 0);
    int errnum = KFL_FAULT("file.write_at");
    if (errnum == 0)
        errnum = write_whole(fd, bytes, size, place);
    return errnum == 0 ? 0 : kfl__file_fail(0, errnum, fd, "write");
}

int kfl__file_read_at(int fd, void *bytes, size_t size, int64_t place, size_t *out_size)
{
    assert(place >= 0);
    int errnum = KFL_FAULT("file.read_at");
    size_t done = 0;
    while (errnum == 0 && done < size) {
        ssize_t got = pread(fd, (char *)bytes + done, size - done, place + (int64_t)done);
        if (got == 0)
            break;
        if (got > 0)
            done += (size_t)got;
        else if (errno != EINTR)
            errnum = errno;
    }
    if (errnum != 0)
        return kfl__file_fail(0, errnum, fd, "read");
    *out_size = done;
    return 0;
}

void kfl__file_write_out(int fd, int64_t place, int64_t size)
{
    (void)sync_file_range(fd, place, size, SYNC_FILE_RANGE_WRITE);
}

int kfl__file_sync(int fd)
{
    int errnum = KFL_FAULT("file.sync");
    while (errnum == 0 && fdatasync(fd) < 0) {
        if (errno != EINTR)
            errnum = errno;
    }
    return errnum == 0 ? 0 : kfl__file_fail(0, errnum, fd, "sync");
}

int kfl__file_sync_directory(int fd)
{
    int errnum = KFL_FAULT("file.sync_directory");
    while (errnum == 0 && fsync(fd) < 0) {
        if (errno != EINTR)
            errnum = errno;
    }
    return errnum == 0 ? 0 : kfl__file_fail(0, errnum, fd, "sync");
}

int kfl__file_unlink(int directory, const char *name)
{
    int errnum = KFL_FAULT("file.unlink");
    if (errnum == 0) {
        if (unlinkat(directory, name, 0) == 0)
            return 0;
        errnum = errno;
    }
    return errnum == ENOENT ? KFL_FILE_MISSING : fail_name(0, errnum, directory, name, "remove");
}

int kfl__file_remove_directory(int directory, const char *name)
{
    int errnum = KFL_FAULT("file.remove_directory");
    if (errnum == 0) {
        if (unlinkat(directory, name, AT_REMOVEDIR) == 0)
            return 0;
        errnum = errno;
    }
    if (errnum == ENOENT)
        return KFL_FILE_MISSING;
    /* A folder that is not empty may be told as EEXIST, which means something else elsewhere. */
    int code = errnum == ENOTEMPTY || errnum == EEXIST ? KFL_E_IO : 0;
    return fail_name(code, errnum, directory, name, "remove");
}

bool kfl__file_has_name(int fd)
{
    struct stat status;
    return KFL_FAULT("file.has_name") == 0 && fstat(fd, &status) == 0 && status.st_nlink > 0;
}

/* 0, a negative result of visit, or an errno. */
static int visit_entries(DIR *entries, int (*visit)(const char *name, void *context), void *context)
{
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(entries);
        if (entry == NULL)
            return errno;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        int r = visit(entry->d_name, context);
        if (r < 0)
            return r;
    }
}

int kfl__file_list(int directory, int (*visit)(const char *name, void *context), void *context)
{
    int errnum = KFL_FAULT("file.list");
    /* A descriptor of its own: listing moves the position of the one it reads from. */
    int fd = errnum != 0 ? -errnum : open_name(directory, ".", O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return kfl__file_fail(0, -fd, directory, "list");
    DIR *entries = fdopendir(fd);
    if (entries == NULL) {
        int r = kfl__file_fail(0, errno, directory, "list");
        close(fd);
        return r;
    }
    int r = visit_entries(entries, visit, context);
    closedir(entries);
    return r > 0 ? kfl__file_fail(0, r, directory, "list") : r;
}

/*
 * 0 or an errno. The lock is the open file description's, not the process's: that one would go with
 * any descriptor of the file that is closed.
 */
static int lock_range(int fd, int command, struct flock *lock)
{
    assert(lock->l_start >= 0 && lock->l_len > 0 && lock->l_pid == 0);
    while (fcntl(fd, command, lock) < 0) {
        if (errno != EINTR)
            return errno;
    }
    return 0;
}

static int lock_bytes(int fd, short type, int64_t place, int64_t size, bool wait)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = place, .l_len = size};
    int errnum = KFL_FAULT("file.lock");
    if (errnum == 0)
        errnum = lock_range(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &lock);
    if (errnum == EAGAIN)
        return KFL_FILE_LOCKED;
    return errnum == 0 ? 0 : kfl__file_fail(0, errnum, fd, "lock");
}

int kfl__file_lock(int fd, int64_t place, int64_t size, bool wait)
{
    return lock_bytes(fd, F_WRLCK, place, size, wait);
}

int kfl__file_lock_shared(int fd, int64_t place, int64_t size, bool wait)
{
    return lock_bytes(fd, F_RDLCK, place, size, wait);
}

int kfl__file_unlock(int fd, int64_t place, int64_t size)
{
    struct flock lock = {.l_type = F_UNLCK, .l_whence = SEEK_SET, .l_start = place, .l_len = size};
    int errnum = KFL_FAULT("file.unlock");
    if (errnum == 0)
        errnum = lock_range(fd, F_OFD_SETLK, &lock);
    return errnum == 0 ? 0 : kfl__file_fail(0, errnum, fd, "unlock");
}

int kfl__file_is_locked(int fd, int64_t place, int64_t size, bool *out_locked)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = place, .l_len = size};
    int errnum = KFL_FAULT("file.is_locked");
    if (errnum == 0)
        errnum = lock_range(fd, F_OFD_GETLK, &lock);
    if (errnum != 0)
        return kfl__file_fail(0, errnum, fd, "look at the locks of");
    *out_locked = lock.l_type != F_UNLCK;
    return 0;
}

int kfl__file_identity(int fd, struct kfl__file_identity *out_identity)
{
    struct statx status;
    int errnum = KFL_FAULT("file.identity");
    if (errnum == 0 && statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_MNT_ID, &status) < 0)
        errnum = errno;
    if (errnum != 0)
        return kfl__file_fail(0, errnum, fd, "look at");
    *out_identity = (struct kfl__file_identity){
        .device = makedev(status.stx_dev_major, status.stx_dev_minor),
        .inode = status.stx_ino,
        .mount = (status.stx_mask & STATX_MNT_ID) != 0 ? status.stx_mnt_id : 0,
    };
    return 0;
}

int kfl__file_read_text(const char *path, char *text, size_t text_size)
{
    assert(text_size > 0);
    int errnum = KFL_FAULT("file.read_text");
    int fd = errnum != 0 ? -errnum : open_name(-1, path, O_RDONLY, 0);
    size_t length = 0;
    errnum = fd < 0 ? -fd : 0;
    while (errnum == 0 && length < text_size - 1) {
        ssize_t got = read(fd, text + length, text_size - 1 - length);
        if (got == 0)
            break;
        if (got > 0)
            length += (size_t)got;
        else if (errno != EINTR)
            errnum = errno;
    }
    kfl__file_close(fd);
    /* A file below /proc whose process ends meanwhile says that there is no such process. */
    if (errnum == ENOENT || errnum == ESRCH)
        return KFL_FILE_MISSING;
    if (errnum != 0)
        return fail_name(0, errnum, -1, path, "read");
    text[length] = '\0';
    return 0;
}

int kfl__file_absolute(const char *path, char **out_path)
{
    char folder[4096];
    if (path[0] == '/') {
        *out_path = kfl__copy_string(path);
        return *out_path == NULL ? kfl__fail(KFL_E_NOMEM, "%s: out of memory", path) : 0;
    }
    if (getcwd(folder, sizeof folder) == NULL)
        return kfl__fail_errno(0, errno,
                               "cannot find the working directory, from which %s is named", path);
    size_t size = strlen(folder) + strlen(path) + 2;
    char *absolute = kfl__alloc(size);
    if (absolute == NULL)
        return kfl__fail(KFL_E_NOMEM, "%s: out of memory", path);
    snprintf(absolute, size, "%s/%s", folder, path);
    *out_path = absolute;
    return 0;
}

int kfl__file_make_temporary(char *path)
{
    return mkdtemp(path) == NULL ? kfl__fail_errno(0, errno, "cannot make the folder %s", path) : 0;
}
