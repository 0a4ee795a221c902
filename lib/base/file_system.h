/* SPDX-License-Identifier: MIT */
/*
 * What a file lies on, as far as maps and full disks care.
 *
 * Passes the fault point "file.system", where EREMOTE pretends a remote file system and EXDEV a
 * copy-on-write one.
 */
#ifndef KFL_BASE_FILE_SYSTEM_H
#define KFL_BASE_FILE_SYSTEM_H

#include <stdint.h>

enum kfl__file_system {
    KFL_FILE_SYSTEM_PLAIN, /* ext4, xfs, tmpfs: reserved blocks stay where they are */
    /* btrfs, zfs, bcachefs, overlayfs and unknown ones: a second store may need space (R25). */
    KFL_FILE_SYSTEM_COPY_ON_WRITE,
    /* nfs, smb, 9p, ceph, all of fuse: refused for writers, as hosts do not share maps. */
    KFL_FILE_SYSTEM_REMOTE,
};
int kfl__file_system_kind(int fd, enum kfl__file_system *out_kind);
/* Bytes that an unprivileged process may still take. */
int kfl__file_system_free(int fd, int64_t *out_bytes);
/* Ask that an empty file be overwritten in place. Silently nothing where that goes without saying. */
void kfl__file_system_write_in_place(int fd);

#endif
