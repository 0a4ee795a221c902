/* SPDX-License-Identifier: MIT */
/*
 * Every file-system call but maps. Short transfers and EINTR are looped over; symbolic links are
 * never followed below the store; descriptors close on exec. A failure's text names the operation,
 * the file (found through the descriptor when there is no name) and what the system said.
 *
 * Each function passes a fault point named after it, e.g. "file.sync" (base/fault.h).
 */
#ifndef KFL_BASE_FILE_H
#define KFL_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KFL_FILE_MISSING 1 /* positive answers: the caller deals with them */
#define KFL_FILE_EXISTS 2
#define KFL_FILE_LOCKED 3

/*
 * `directory` may be -1: `name` is then a path from the working directory, and a link there is
 * followed (only for the store's own folder).
 */
/* 0, KFL_FILE_MISSING */
int kfl__file_open_directory(int directory, const char *name, int *out_fd);
/* 0, KFL_FILE_EXISTS */
int kfl__file_make_directory(int directory, const char *name, uint32_t mode);
/* A new one, to read and write: 0, KFL_FILE_EXISTS */
int kfl__file_create(int directory, const char *name, uint32_t mode, int *out_fd);
/* 0, KFL_FILE_MISSING; a folder, link, pipe or device is KFL_E_CORRUPT, and does not hang */
int kfl__file_open(int directory, const char *name, bool writable, int *out_fd);
void kfl__file_close(int fd); /* takes -1 */

/*
 * The failure of a call on a descriptor, told as kfl__fail_errno() does: "cannot <operation> <its
 * path>: <what errno says>". Keeps the path.
 */
int kfl__file_fail(int code, int errnum, int fd, const char *operation);

int kfl__file_size(int fd, int64_t *out_size);
/*
 * Reserve real blocks [place, place + size) and grow the file to hold them; new bytes read zero,
 * old ones stay. NO_SPACE: the file may have kept a part, so unlink it.
 */
int kfl__file_reserve(int fd, int64_t place, int64_t size);
/* Give blocks back, the size stays. Silently nothing where the file system cannot. */
int kfl__file_punch(int fd, int64_t place, int64_t size);
int kfl__file_write_at(int fd, const void *bytes, size_t size, int64_t place);
/* Reads up to `size`; fewer only at the end of the file. */
int kfl__file_read_at(int fd, void *bytes, size_t size, int64_t place, size_t *out_size);
/* Let what was written there begin its way to the disk, so that the sync has less to wait for. Tells no errors: the sync does. */
void kfl__file_write_out(int fd, int64_t place, int64_t size);
int kfl__file_sync(int fd);           /* data and what is needed to find it (fdatasync) */
int kfl__file_sync_directory(int fd); /* names */

int kfl__file_unlink(int directory, const char *name); /* 0, KFL_FILE_MISSING */
/* 0, KFL_FILE_MISSING; not empty: KFL_E_IO */
int kfl__file_remove_directory(int directory, const char *name);
bool kfl__file_has_name(int fd); /* link count above 0 */

/* Calls visit(name, context) for each entry but . and ..; a result < 0 stops and is returned. */
int kfl__file_list(int directory, int (*visit)(const char *name, void *context), void *context);

/*
 * Byte-range locks of the open file description: exclusive, and shared, which is what a read-only
 * descriptor may take. 0, KFL_FILE_LOCKED
 */
int kfl__file_lock(int fd, int64_t place, int64_t size, bool wait);
int kfl__file_lock_shared(int fd, int64_t place, int64_t size, bool wait);
int kfl__file_unlock(int fd, int64_t place, int64_t size);
/* By another description. */
int kfl__file_is_locked(int fd, int64_t place, int64_t size, bool *out_locked);

struct kfl__file_identity {
    uint64_t device, inode, mount; /* mount: from statx, 0 when unknown */
};
int kfl__file_identity(int fd, struct kfl__file_identity *out_identity);

/*
 * The beginning of a small file such as /proc/sys/kernel/random/boot_id; ends the text with NUL. 0,
 * or KFL_FILE_MISSING, also below /proc for a process that ends meanwhile.
 */
int kfl__file_read_text(const char *path, char *text, size_t text_size);

/* The path from the root on, without looking at it. Owned: kfl__free. */
int kfl__file_absolute(const char *path, char **out_path);
/* A new folder for this user alone; the path ends in XXXXXX, which is replaced. */
int kfl__file_make_temporary(char *path);

#endif
