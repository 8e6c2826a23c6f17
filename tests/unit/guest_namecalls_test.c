// SPDX-License-Identifier: Apache-2.0
/* Calls on names and attributes of files, the old ones included. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "abi/linux/proc.h"

#include "guest/sys/calls_dev.h"
#include "tests/unit/guest_fs_env.h"

#define NO_FD 77

static int setup_group(void **state)
{
    (void)state;
    fake_init(32 << 20);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    fake_bad(NULL, 0);
    env_root(NULL, 4 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_bad(NULL, 0);
    fdtable_put(current()->proc->files);
    current()->proc->files = NULL;
    return 0;
}

static uint64_t open_new(const char *name)
{
    int fd = env_open(name, LX_O_CREAT | LX_O_RDWR);

    assert_in_range(fd, 0, 100);
    return (uint64_t)fd;
}

static struct lx_stat look(const char *name)
{
    struct lx_stat st = {.mode = 0};

    assert_int_equal(CALL(lstat, P(name), P(&st)), 0);
    return st;
}

static void test_old_names(void **state)
{
    (void)state;
    char buf[16] = "";
    struct lx_stat st;

    assert_in_range(CALL(creat, P("f"), 0640), 0, 100);
    assert_in_range(CALL(open, P("f"), LX_O_RDONLY, 0), 0, 100);
    assert_int_equal(CALL(link, P("f"), P("g")), 0);
    assert_int_equal(look("f").nlink, 2);
    assert_int_equal(CALL(symlink, P("f"), P("s")), 0);
    assert_int_equal(CALL(readlink, P("s"), P(buf), sizeof(buf)), 1);
    assert_string_equal(buf, "f");
    assert_int_equal(CALL(readlink, P("f"), P(buf), sizeof(buf)), -EINVAL);
    assert_int_equal(CALL(readlink, P("s"), P(buf), 0), -EINVAL);
    assert_int_equal(CALL(stat, P("s"), P(&st)), 0);
    assert_int_equal(st.ino, look("f").ino);
    assert_int_not_equal(look("s").ino, st.ino);
    assert_int_equal(CALL(rename, P("g"), P("h")), 0);
    assert_int_equal(CALL(stat, P("g"), P(&st)), -ENOENT);
    assert_int_equal(CALL(renameat, HERE, P("h"), HERE, P("g")), 0);
    assert_int_equal(CALL(unlink, P("g")), 0);
    assert_int_equal(CALL(unlink, P("g")), -ENOENT);
    assert_int_equal(CALL(mkdir, P("d"), 0700), 0);
    assert_int_equal(CALL(mkdir, P("d"), 0700), -EEXIST);
    assert_int_equal(CALL(rmdir, P("f")), -ENOTDIR);
    assert_int_equal(CALL(rmdir, P("d")), 0);
    assert_int_equal(CALL(mknod, P("p"), LX_S_IFIFO | 0600, 0), 0);
    assert_int_equal(look("p").mode, LX_S_IFIFO | 0600);
    assert_int_equal(CALL(mknod, P("q"), LX_S_IFDIR, 0), -EPERM);
    assert_int_equal(CALL(mknod, P("q"), LX_S_IFLNK, 0), -EINVAL);
    assert_int_equal(CALL(access, P("f"), 8), -EINVAL);
    assert_int_equal(CALL(access, P("f"), 1), -EACCES); /* no x, even root */
    assert_int_equal(CALL(access, P("f"), 6), 0);
    assert_int_equal(CALL(faccessat2, HERE, P("f"), 1, LX_AT_EACCESS), -EACCES);
    assert_int_equal(CALL(mount, P("a"), P("b")), -EPERM);
    assert_int_equal(CALL(umount2, P("a")), -EPERM);
    assert_int_equal(CALL(pivot_root, 0), -EPERM);
}

static void test_attribute_calls(void **state)
{
    (void)state;
    uint64_t fd = open_new("f");
    struct lx_timeval tv[2] = {{100, 7}, {200, 8}};
    int64_t sec[2] = {300, 400};

    assert_int_equal(CALL(chmod, P("f"), 06751), 0);
    assert_int_equal(look("f").mode, LX_S_IFREG | 06751);
    assert_int_equal(CALL(chown, P("f"), 5, 6), 0);
    assert_int_equal(look("f").mode, LX_S_IFREG | 0751); /* not set-id now */
    assert_int_equal(look("f").uid, 5);
    assert_int_equal(CALL(fchown, fd, (uint32_t)-1, 9), 0);
    assert_int_equal(look("f").uid, 5);
    assert_int_equal(look("f").gid, 9);
    assert_int_equal(CALL(symlink, P("f"), P("s")), 0);
    assert_int_equal(CALL(lchown, P("s"), 1, 1), 0);
    assert_int_equal(look("f").uid, 5);
    assert_int_equal(look("s").uid, 1);
    assert_int_equal(CALL(fchmod, fd, 0600), 0);
    assert_int_equal(CALL(fchmod, NO_FD, 0600), -EBADF);
    assert_int_equal(CALL(fchown, NO_FD, 0, 0), -EBADF);
    assert_int_equal(CALL(utimes, P("f"), P(tv)), 0);
    assert_int_equal(look("f").atime.nsec, 7000);
    assert_int_equal(look("f").mtime.sec, 200);
    tv[1].usec = 1000000;
    assert_int_equal(CALL(futimesat, HERE, P("f"), P(tv)), -EINVAL);
    assert_int_equal(CALL(utime, P("f"), P(sec)), 0);
    assert_int_equal(look("f").mtime.sec, 400);
    env_user(1000);
    assert_int_equal(CALL(chmod, P("f"), 0777), -EPERM);
    assert_int_equal(CALL(chown, P("f"), 1000, UINT32_MAX), -EPERM);
    assert_int_equal(CALL(chown, P("f"), UINT32_MAX, 1000), -EPERM);
    assert_int_equal(CALL(utime, P("f"), P(sec)), -EPERM);
    assert_int_equal(CALL(utimes, P("f"), 0), -EACCES);
    fake_bad(sec, sizeof(sec));
    assert_int_equal(CALL(utime, P("f"), P(sec)), -EFAULT);
    assert_int_equal(CALL(utimes, P("f"), P(sec)), -EFAULT);
}

static void test_xattrs_of_files(void **state)
{
    (void)state;
    char buf[64] = "";
    uint64_t fd = open_new("f");

    assert_int_equal(CALL(fsetxattr, fd, P("user.a"), P("12"), 2, 1), 0);
    assert_int_equal(CALL(fsetxattr, fd, P("user.a"), P("1"), 1, 1), -EEXIST);
    assert_int_equal(CALL(setxattr, P("f"), P("user.b"), P("1"), 1, 2),
                     -ENODATA);
    assert_int_equal(CALL(setxattr, P("f"), P("user.b"), 0, 0, 4), -EINVAL);
    assert_int_equal(CALL(setxattr, P("f"), P("user."), 0, 0, 0), -EINVAL);
    assert_int_equal(CALL(setxattr, P("f"), P("other.a"), 0, 0, 0),
                     -EOPNOTSUPP);
    assert_int_equal(CALL(setxattr, P("f"), P("user.b"), 0, 65537, 0), -E2BIG);
    assert_int_equal(CALL(setxattr, P("f"), P(""), 0, 0, 0), -ERANGE);
    assert_int_equal(CALL(fgetxattr, fd, P("user.a"), P(buf), 64), 2);
    assert_string_equal(buf, "12");
    assert_int_equal(CALL(lgetxattr, P("f"), P("user.a"), 0, 0), 2);
    assert_int_equal(CALL(lgetxattr, P("f"), P("user.a"), P(buf), 1), -ERANGE);
    assert_int_equal(CALL(flistxattr, fd, P(buf), 64), 7);
    assert_string_equal(buf, "user.a");
    assert_int_equal(CALL(llistxattr, P("f"), P(buf), 6), -ERANGE);
    assert_int_equal(CALL(fremovexattr, fd, P("user.a")), 0);
    assert_int_equal(CALL(lremovexattr, P("f"), P("user.a")), -ENODATA);
    assert_int_equal(CALL(fgetxattr, NO_FD, P("user.a"), P(buf), 1), -EBADF);
    assert_int_equal(CALL(symlink, P("f"), P("s")), 0);
    assert_int_equal(CALL(lsetxattr, P("s"), P("user.a"), P("1"), 1, 0),
                     -EPERM);
    env_user(1000);
    assert_int_equal(CALL(fsetxattr, fd, P("trusted.a"), P("1"), 1, 0), -EPERM);
    assert_int_equal(CALL(fgetxattr, fd, P("trusted.a"), 0, 0), -ENODATA);
    assert_int_equal(CALL(fsetxattr, fd, P("user.a"), P("1"), 1, 0), -EACCES);
}

static void test_syncing_and_advice(void **state)
{
    (void)state;
    int32_t p[2] = {-1, -1}, left = 0;
    uint64_t fd = open_new("f"), size = 0;

    assert_int_equal(CALL(pipe, P(p)), 0);
    uint64_t in = (uint64_t)p[0];
    assert_int_equal(CALL(ftruncate, fd, 9), 0);
    assert_int_equal(CALL(ioctl, fd, LX_FIONREAD, P(&left)), 0);
    assert_int_equal(left, 9);
    assert_int_equal(CALL(ioctl, fd, LX_FIOQSIZE, P(&size)), 0);
    assert_int_equal(size, 9);
    assert_int_equal(CALL(ioctl, in, LX_FIONBIO, P(&left)), 0);
    assert_int_equal(CALL(read, in, P(&left), 1), -EAGAIN);
    assert_int_equal(CALL(ioctl, in, LX_FIOCLEX, 0), 0);
    assert_int_equal(CALL(fcntl, in, LX_F_GETFD), LX_FD_CLOEXEC);
    assert_int_equal(CALL(ioctl, in, LX_FIONCLEX, 0), 0);
    assert_int_equal(CALL(fcntl, in, LX_F_GETFD), 0);
    assert_int_equal(CALL(ioctl, NO_FD, LX_FIOCLEX, 0), -EBADF);
    assert_int_equal(CALL(fdatasync, fd), 0);
    assert_int_equal(CALL(fdatasync, in), -EINVAL);
    assert_int_equal(CALL(fsync, NO_FD), -EBADF);
    assert_int_equal(CALL(sync, 0), 0);
    assert_int_equal(CALL(syncfs, fd), 0);
    assert_int_equal(CALL(syncfs, NO_FD), -EBADF);
    assert_int_equal(CALL(sync_file_range, fd, 0, 9, 8), -EINVAL);
    assert_int_equal(CALL(sync_file_range, in, 0, 9, 7), -ESPIPE);
    assert_int_equal(CALL(sync_file_range, fd, 0, 9, 7), 0);
    assert_int_equal(CALL(fadvise64, fd, 0, 9, 6), -EINVAL);
    assert_int_equal(CALL(fadvise64, in, 0, 9, 0), -ESPIPE);
    assert_int_equal(CALL(fadvise64, NO_FD, 0, 9, 0), -EBADF);
    assert_int_equal(CALL(readahead, fd, 0, 9), 0);
    assert_int_equal(CALL(readahead, in, 0, 9), -EINVAL);
    assert_int_equal(CALL(readahead, (uint64_t)p[1], 0, 9), -EBADF);
    assert_int_equal(CALL(name_to_handle_at, 0), -EOPNOTSUPP);
    assert_int_equal(CALL(fcntl, in, LX_F_SETSIG, 65), -EINVAL);
    assert_int_equal(CALL(fcntl, in, LX_F_SETSIG, 10), 0);
    assert_int_equal(CALL(fcntl, in, LX_F_GETSIG), 10);
    assert_int_equal(CALL(fcntl, in, LX_F_SETOWN, 1), 0);
    assert_int_equal(CALL(fcntl, in, LX_F_GETOWN), 1);
    assert_int_equal(CALL(fcntl, in, LX_F_SETOWN, 0x80000000u), -EINVAL);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_old_names),
        T(test_attribute_calls),
        T(test_xattrs_of_files),
        T(test_syncing_and_advice),
    };
    return cmocka_run_group_tests(tests, setup_group, NULL);
}
