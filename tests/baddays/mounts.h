/* SPDX-License-Identifier: MIT */
/* File systems of a test's own, in a mount namespace that ends with it. Needs root. */
#ifndef KFL_TESTS_MOUNTS_H
#define KFL_TESTS_MOUNTS_H

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* false: this machine does not let us. Every mount made afterwards vanishes with the process. */
static inline bool mounts_begin(void)
{
    return geteuid() == 0 && unshare(CLONE_NEWNS) == 0 &&
           mount("none", "/", "", MS_REC | MS_PRIVATE, NULL) == 0;
}

/* A new file system of this kind at `folder`, of `megabytes`; `image` is a file for it. false: it cannot be had. */
static inline bool mounts_make(const char *kind, const char *folder, const char *image,
                               int megabytes)
{
    char command[4096], options[64];
    (void)mkdir(folder, 0755);
    if (strcmp(kind, "tmpfs") == 0) {
        snprintf(options, sizeof options, "size=%dm", megabytes);
        return mount("none", folder, "tmpfs", 0, options) == 0;
    }
    /* A file of holes takes what is written to it only. xfs has no smaller size than 300 MiB. */
    const char *make = strcmp(kind, "xfs") == 0     ? "mkfs.xfs -q -f"
                       : strcmp(kind, "btrfs") == 0 ? "mkfs.btrfs -q -f"
                                                    : "mkfs.ext4 -q -F";
    snprintf(command, sizeof command,
             "truncate -s %dM '%s' && PATH=$PATH:/sbin:/usr/sbin && %s '%s' >/dev/null 2>&1 && "
             "mount -o loop '%s' '%s' 2>/dev/null",
             megabytes, image, make, image, image, folder);
    return system(command) == 0;
}

#endif
