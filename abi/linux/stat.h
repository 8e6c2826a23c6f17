// SPDX-License-Identifier: Apache-2.0
/* Times and file attributes. Source: Linux UAPI asm/stat.h, linux/stat.h,
 * asm/statfs.h, linux/time_types.h. tests/abi compares every offset. */
#pragma once

#include "abi/abi.h"

struct lx_timespec {
    int64_t sec;
    int64_t nsec; /* 0..999999999 */
};

#define LX_S_IFMT   0170000u
#define LX_S_IFSOCK 0140000u
#define LX_S_IFLNK  0120000u
#define LX_S_IFREG  0100000u
#define LX_S_IFBLK  0060000u
#define LX_S_IFDIR  0040000u
#define LX_S_IFCHR  0020000u
#define LX_S_IFIFO  0010000u
#define LX_S_ISUID  0004000u
#define LX_S_ISGID  0002000u
#define LX_S_ISVTX  0001000u

struct lx_stat_x86_64 {
    uint64_t dev;
    uint64_t ino;
    uint64_t nlink;
    uint32_t mode;
    uint32_t uid;
    uint32_t gid;
    uint32_t pad0;
    uint64_t rdev;
    int64_t size;
    int64_t blksize;
    int64_t blocks; /* of 512 bytes */
    struct lx_timespec atime, mtime, ctime;
    int64_t unused[3];
};
ABI_SIZE(struct lx_stat_x86_64, 144);

struct lx_stat_arm64 { /* asm-generic */
    uint64_t dev;
    uint64_t ino;
    uint32_t mode;
    uint32_t nlink;
    uint32_t uid;
    uint32_t gid;
    uint64_t rdev;
    uint64_t pad1;
    int64_t size;
    int32_t blksize;
    int32_t pad2;
    int64_t blocks;
    struct lx_timespec atime, mtime, ctime;
    uint32_t unused[2];
};
ABI_SIZE(struct lx_stat_arm64, 128);

#if defined(__x86_64__)
#define lx_stat lx_stat_x86_64
#else
#define lx_stat lx_stat_arm64
#endif

struct lx_statx_time {
    int64_t sec;
    uint32_t nsec;
    int32_t pad;
};

struct lx_statx {
    uint32_t mask;
    uint32_t blksize;
    uint64_t attributes;
    uint32_t nlink;
    uint32_t uid;
    uint32_t gid;
    uint16_t mode;
    uint16_t pad0;
    uint64_t ino;
    uint64_t size;
    uint64_t blocks;
    uint64_t attributes_mask;
    struct lx_statx_time atime, btime, ctime, mtime;
    uint32_t rdev_major, rdev_minor;
    uint32_t dev_major, dev_minor;
    uint64_t mnt_id;
    uint64_t spare[13];
};
ABI_SIZE(struct lx_statx, 256);

struct lx_statfs { /* 64-bit architectures */
    int64_t type;
    int64_t bsize;
    uint64_t blocks, bfree, bavail;
    uint64_t files, ffree;
    int32_t fsid[2];
    int64_t namelen;
    int64_t frsize;
    int64_t flags;
    int64_t spare[4];
};
ABI_SIZE(struct lx_statfs, 120);
