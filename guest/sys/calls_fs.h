// SPDX-License-Identifier: Apache-2.0
/* System calls of this topic: X(name). */
#pragma once

#include "guest/sys/sys.h"

/* clang-format off */
#define SYS_CALLS_FS(X) \
    X(openat) X(openat2) X(close) X(close_range) \
    X(read) X(write) X(readv) X(writev) X(pread64) X(pwrite64) \
    X(preadv) X(pwritev) X(preadv2) X(pwritev2) X(lseek) \
    X(sendfile) X(copy_file_range) X(splice) X(tee) X(vmsplice) \
    X(fstat) X(newfstatat) X(statx) X(statfs) X(fstatfs) \
    X(faccessat) X(faccessat2) X(readlinkat) \
    X(fchmod) X(fchmodat) X(fchmodat2) X(fchown) X(fchownat) X(utimensat) \
    X(truncate) X(ftruncate) X(fallocate) \
    X(getdents64) X(getcwd) X(chdir) X(fchdir) X(chroot) X(umask) \
    X(mkdirat) X(unlinkat) X(renameat) X(renameat2) X(linkat) X(symlinkat) \
    X(mknodat) X(mount) X(umount2) X(pivot_root) \
    X(fsync) X(fdatasync) X(sync) X(syncfs) X(sync_file_range) \
    X(fadvise64) X(readahead) X(name_to_handle_at) X(open_by_handle_at) \
    X(flock) X(fcntl) X(dup) X(dup3) X(pipe2) X(memfd_create) X(ioctl) \
    X(setxattr) X(lsetxattr) X(fsetxattr) \
    X(getxattr) X(lgetxattr) X(fgetxattr) \
    X(listxattr) X(llistxattr) X(flistxattr) \
    X(removexattr) X(lremovexattr) X(fremovexattr)

#define SYS_CALLS_FS_LEGACY(X) \
    X(open) X(creat) X(stat) X(lstat) X(access) X(readlink) X(getdents) \
    X(mkdir) X(rmdir) X(unlink) X(rename) X(link) X(symlink) X(mknod) \
    X(chmod) X(chown) X(lchown) X(utime) X(utimes) X(futimesat) \
    X(dup2) X(pipe)
/* clang-format on */

SYS_CALLS_FS(SYS_DECLARE)
SYS_CALLS_FS_LEGACY(SYS_DECLARE)
