/* SPDX-License-Identifier: MIT */
/*
 * Kinds of file systems, by the magic number that the kernel tells. One that is not known here is
 * taken for a copy-on-write one: that costs speed, the other mistake costs data.
 */
#include "base/file_system.h"

#include <errno.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>

#include "base/fault.h"
#include "base/file.h"

/* Those that linux/magic.h does not name. */
#define MAGIC_SMB2 0xfe534d42u
#define MAGIC_CIFS 0xff534d42u
#define MAGIC_LUSTRE 0x0bd00bd0u
#define MAGIC_GFS2 0x01161970u
#define MAGIC_GPFS 0x47504653u
#define MAGIC_VIRTUALBOX 0x786f4256u
#define MAGIC_VMWARE 0xbacbacbcu

static enum kfl__file_system kind_of_magic(uint32_t magic)
{
    switch (magic) {
    case EXT4_SUPER_MAGIC: /* and ext2, ext3 */
    case XFS_SUPER_MAGIC:
    case TMPFS_MAGIC:
    case RAMFS_MAGIC:
        return KFL_FILE_SYSTEM_PLAIN;
    case NFS_SUPER_MAGIC:
    case SMB_SUPER_MAGIC:
    case MAGIC_SMB2:
    case MAGIC_CIFS:
    case V9FS_MAGIC:
    case CEPH_SUPER_MAGIC:
    case AFS_SUPER_MAGIC:
    case AFS_FS_MAGIC:
    case CODA_SUPER_MAGIC:
    case OCFS2_SUPER_MAGIC:
    case FUSE_SUPER_MAGIC: /* Which kind cannot be told, and few of them keep shared maps coherent. */
    case MAGIC_LUSTRE:
    case MAGIC_GFS2:
    case MAGIC_GPFS:
    case MAGIC_VIRTUALBOX:
    case MAGIC_VMWARE:
        return KFL_FILE_SYSTEM_REMOTE;
    default:
        return KFL_FILE_SYSTEM_COPY_ON_WRITE;
    }
}

static int status_of(int fd, int errnum, struct statfs *out_status)
{
    while (errnum == 0 && fstatfs(fd, out_status) < 0) {
        if (errno != EINTR)
            errnum = errno;
    }
    return errnum == 0 ? 0 : kfl__file_fail(0, errnum, fd, "look at the file system of");
}

int kfl__file_system_kind(int fd, enum kfl__file_system *out_kind)
{
    int errnum = KFL_FAULT("file.system");
    if (errnum == EXDEV || errnum == EREMOTE) {
        *out_kind = errnum == EXDEV ? KFL_FILE_SYSTEM_COPY_ON_WRITE : KFL_FILE_SYSTEM_REMOTE;
        return 0;
    }
    struct statfs status;
    int r = status_of(fd, errnum, &status);
    if (r == 0)
        *out_kind = kind_of_magic((uint32_t)status.f_type);
    return r;
}

int kfl__file_system_free(int fd, int64_t *out_bytes)
{
    struct statfs status;
    int r = status_of(fd, 0, &status);
    if (r == 0)
        *out_bytes = (int64_t)status.f_bavail * (int64_t)status.f_bsize;
    return r;
}

void kfl__file_system_write_in_place(int fd)
{
    /* btrfs heeds it, and for files without bytes only; others refuse a flag that they do not know. */
    int flags = 0;
    if (ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0) {
        flags |= FS_NOCOW_FL;
        (void)ioctl(fd, FS_IOC_SETFLAGS, &flags);
    }
}
