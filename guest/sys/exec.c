// SPDX-License-Identifier: Apache-2.0
/* execve(2), execveat(2). */
#include "guest/core/exec.h"

#include "abi/linux/errno.h"

#include "guest/core/klib.h"
#include "guest/core/kmem.h"
#include "guest/core/usercopy.h"
#include "guest/fs/file.h"
#include "guest/fs/inode.h"
#include "guest/sys/calls_mm.h"

#define AT_SYMLINK_NOFOLLOW 0x100u
#define AT_EMPTY_PATH       0x1000u

/* Name that #! scripts and /proc see for an execveat by descriptor. */
static void exec_fd_name(char *name, int dirfd)
{
    char rest[PATH_MAX / 16];
    if (name[0] == '/' || dirfd == AT_FDCWD)
        return;
    (void)kstrcpy(rest, name, sizeof(rest));
    (void)ksnprintf(name, PATH_MAX, "/dev/fd/%d%s%s", dirfd,
                    rest[0] != '\0' ? "/" : "", rest);
}

static int64_t exec_user(int dirfd, uptr_t uname, uptr_t argv, uptr_t envv,
                         unsigned flags)
{
    struct exec_args args = {.size = 0};
    struct file *file;
    char *name = kmalloc(PATH_MAX);
    if (name == NULL)
        return -ENOMEM;
    int64_t r = strncpy_from_user(name, uname, PATH_MAX);
    if (r >= 0)
        r = exec_open(dirfd, name, flags, &file);
    if (r == 0) {
        args.name_ends = name[0] != '/' && dirfd != AT_FDCWD &&
                         fd_flag_cloexec(dirfd, -1) == 1;
        exec_fd_name(name, dirfd);
        r = exec_args_user(&args, argv, envv);
        if (r == 0)
            r = exec_program(file, name, &args);
        exec_args_fini(&args);
        file_put(file);
    }
    kfree(name);
    return r;
}

int64_t sys_execve(const uint64_t *a)
{
    return exec_user(AT_FDCWD, uptr(a[0]), uptr(a[1]), uptr(a[2]), PATH_FOLLOW);
}

int64_t sys_execveat(const uint64_t *a)
{
    uint64_t flags = a[4];
    if ((flags & ~(uint64_t)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) != 0)
        return -EINVAL;
    unsigned walk = (flags & AT_SYMLINK_NOFOLLOW) != 0 ? 0 : PATH_FOLLOW;
    if ((flags & AT_EMPTY_PATH) != 0)
        walk |= PATH_EMPTY;
    return exec_user((int)a[0], uptr(a[1]), uptr(a[2]), uptr(a[3]), walk);
}
