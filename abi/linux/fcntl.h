// SPDX-License-Identifier: Apache-2.0
/* Files. Source: Linux UAPI asm-generic/fcntl.h, asm/fcntl.h (arm64), linux/
 * {fcntl,fs,stat,openat2,falloc,memfd,xattr,mount,magic}.h, asm-generic/
 * {ioctls,ioctl}.h. tests/abi compares. */
#pragma once

#include "abi/abi.h"

#define LX_O_ACCMODE  00000003u
#define LX_O_RDONLY   00000000u
#define LX_O_WRONLY   00000001u
#define LX_O_RDWR     00000002u
#define LX_O_CREAT    00000100u
#define LX_O_EXCL     00000200u
#define LX_O_NOCTTY   00000400u
#define LX_O_TRUNC    00001000u
#define LX_O_APPEND   00002000u
#define LX_O_NONBLOCK 00004000u
#define LX_O_DSYNC    00010000u
#define LX_O_ASYNC    00020000u
#define LX_O_NOATIME  01000000u
#define LX_O_CLOEXEC  02000000u
#define LX_O_SYNC     04010000u
#define LX_O_PATH     010000000u
#if defined(__x86_64__)
#define LX_O_DIRECT    00040000u
#define LX_O_LARGEFILE 00100000u
#define LX_O_DIRECTORY 00200000u
#define LX_O_NOFOLLOW  00400000u
#else /* arm64 */
#define LX_O_DIRECTORY 00040000u
#define LX_O_NOFOLLOW  00100000u
#define LX_O_DIRECT    00200000u
#define LX_O_LARGEFILE 00400000u
#endif
#define LX_O_TMPFILE (020000000u | LX_O_DIRECTORY)

#define LX_AT_SYMLINK_NOFOLLOW 0x100u
#define LX_AT_EACCESS          0x200u
#define LX_AT_REMOVEDIR        0x200u
#define LX_AT_SYMLINK_FOLLOW   0x400u
#define LX_AT_NO_AUTOMOUNT     0x800u
#define LX_AT_EMPTY_PATH       0x1000u
#define LX_AT_STATX_SYNC_TYPE  0x6000u

#define LX_F_DUPFD         0
#define LX_F_GETFD         1
#define LX_F_SETFD         2
#define LX_F_GETFL         3
#define LX_F_SETFL         4
#define LX_F_GETLK         5
#define LX_F_SETLK         6
#define LX_F_SETLKW        7
#define LX_F_SETOWN        8
#define LX_F_GETOWN        9
#define LX_F_SETSIG        10
#define LX_F_GETSIG        11
#define LX_F_SETOWN_EX     15
#define LX_F_GETOWN_EX     16
#define LX_F_OFD_GETLK     36
#define LX_F_OFD_SETLK     37
#define LX_F_OFD_SETLKW    38
#define LX_F_SETLEASE      1024
#define LX_F_GETLEASE      1025
#define LX_F_NOTIFY        1026
#define LX_F_DUPFD_CLOEXEC 1030
#define LX_F_SETPIPE_SZ    1031
#define LX_F_GETPIPE_SZ    1032
#define LX_F_ADD_SEALS     1033
#define LX_F_GET_SEALS     1034
#define LX_F_GET_RW_HINT   1035
#define LX_F_SET_RW_HINT   1036
#define LX_FD_CLOEXEC      1

#define LX_RWH_WRITE_LIFE_EXTREME 5 /* the last; 0: not set */

#define LX_F_RDLCK 0
#define LX_F_WRLCK 1
#define LX_F_UNLCK 2

#define LX_LOCK_SH 1
#define LX_LOCK_EX 2
#define LX_LOCK_NB 4
#define LX_LOCK_UN 8

struct lx_flock {
    int16_t type;
    int16_t whence;
    int32_t pad0;
    int64_t start;
    int64_t len;
    int32_t pid;
    int32_t pad1;
};
ABI_SIZE(struct lx_flock, 32);

struct lx_f_owner_ex {
    int32_t type; /* 0 thread, 1 process, 2 group */
    int32_t pid;
};
ABI_SIZE(struct lx_f_owner_ex, 8);

struct lx_open_how {
    uint64_t flags;
    uint64_t mode;
    uint64_t resolve;
};
ABI_SIZE(struct lx_open_how, 24);
#define LX_RESOLVE_NO_XDEV       0x01u
#define LX_RESOLVE_NO_MAGICLINKS 0x02u
#define LX_RESOLVE_NO_SYMLINKS   0x04u
#define LX_RESOLVE_BENEATH       0x08u
#define LX_RESOLVE_IN_ROOT       0x10u
#define LX_RESOLVE_CACHED        0x20u

struct lx_dirent64 {
    uint64_t ino;
    int64_t off;
    uint16_t reclen;
    uint8_t type;
    char name[];
};
ABI_AT(struct lx_dirent64, name, 19);

struct lx_dirent { /* getdents(2): the type is in the last byte */
    uint64_t ino;
    uint64_t off;
    uint16_t reclen;
    char name[];
};
ABI_AT(struct lx_dirent, name, 18);

#define LX_SEEK_SET  0
#define LX_SEEK_CUR  1
#define LX_SEEK_END  2
#define LX_SEEK_DATA 3
#define LX_SEEK_HOLE 4

#define LX_RENAME_NOREPLACE 1u
#define LX_RENAME_EXCHANGE  2u
#define LX_RENAME_WHITEOUT  4u

#define LX_FALLOC_KEEP_SIZE  0x01u
#define LX_FALLOC_PUNCH_HOLE 0x02u
#define LX_FALLOC_ZERO_RANGE 0x10u

#define LX_UTIME_NOW  0x3fffffff
#define LX_UTIME_OMIT 0x3ffffffe

#define LX_MFD_CLOEXEC       1u
#define LX_MFD_ALLOW_SEALING 2u
#define LX_MFD_NOEXEC_SEAL   8u
#define LX_MFD_EXEC          16u

#define LX_F_SEAL_SEAL         1u
#define LX_F_SEAL_SHRINK       2u
#define LX_F_SEAL_GROW         4u
#define LX_F_SEAL_WRITE        8u
#define LX_F_SEAL_FUTURE_WRITE 16u

#define LX_XATTR_CREATE   1u
#define LX_XATTR_REPLACE  2u
#define LX_XATTR_NAME_MAX 255
#define LX_XATTR_SIZE_MAX 65536
#define LX_XATTR_LIST_MAX 65536

#define LX_RWF_HIPRI  0x01u
#define LX_RWF_DSYNC  0x02u
#define LX_RWF_SYNC   0x04u
#define LX_RWF_NOWAIT 0x08u
#define LX_RWF_APPEND 0x10u

#define LX_STATX_BASIC_STATS     0x7ffu
#define LX_STATX_BTIME           0x800u
#define LX_STATX_MNT_ID          0x1000u
#define LX_STATX__RESERVED       0x80000000u
#define LX_STATX_ATTR_MOUNT_ROOT 0x2000u

#define LX_MS_RDONLY   1u
#define LX_MS_NOSUID   2u
#define LX_MS_NODEV    4u
#define LX_MS_NOEXEC   8u
#define LX_MS_NOATIME  1024u
#define LX_MS_RELATIME 0x200000u

#define LX_FIONREAD 0x541bu
#define LX_FIONBIO  0x5421u
#define LX_FIGETBSZ 0x0002u
#define LX_FIONCLEX 0x5450u
#define LX_FIOCLEX  0x5451u
#define LX_FIOASYNC 0x5452u
#define LX_FIOQSIZE 0x5460u

#define LX_TMPFS_MAGIC   0x01021994
#define LX_OVERLAY_MAGIC 0x794c7630
#define LX_PIPEFS_MAGIC  0x50495045
#define LX_ANON_MAGIC    0x09041934

#define LX_MAP_SHARED 0x01u
#define LX_MAP_TYPE   0x0fu

#define LX_CAP_CHOWN        0
#define LX_CAP_DAC_OVERRIDE 1
#define LX_CAP_DAC_READ     2
#define LX_CAP_FOWNER       3
#define LX_CAP_FSETID       4
#define LX_CAP_SYS_CHROOT   18
#define LX_CAP_SYS_ADMIN    21
#define LX_CAP_SYS_RESOURCE 24
#define LX_CAP_MKNOD        27

#define LX_RLIMIT_FSIZE  1
#define LX_RLIMIT_NOFILE 7
