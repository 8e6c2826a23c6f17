// SPDX-License-Identifier: Apache-2.0
/* Names, permissions and files through system calls, on a plain tmpfs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/unit/guest_fs_env.h"

static int setup_group(void **state)
{
    (void)state;
    fake_init(64 << 20);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    env_root(NULL, 4 << 20);
    return 0;
}

static struct lx_stat stat_of(const char *name)
{
    struct lx_stat st;
    assert_int_equal(
        CALL(newfstatat, HERE, P(name), P(&st), LX_AT_SYMLINK_NOFOLLOW), 0);
    return st;
}

static int64_t mkdir_(const char *name)
{
    return CALL(mkdirat, HERE, P(name), 0777);
}

static int64_t symlink_(const char *target, const char *name)
{
    return CALL(symlinkat, P(target), HERE, P(name));
}

static int64_t unlink_(const char *name)
{
    return CALL(unlinkat, HERE, P(name), 0);
}

static int64_t rmdir_(const char *name)
{
    return CALL(unlinkat, HERE, P(name), LX_AT_REMOVEDIR);
}

static int64_t rename_(const char *from, const char *to, uint32_t flags)
{
    return CALL(renameat2, HERE, P(from), HERE, P(to), flags);
}

static void touch(const char *name)
{
    assert_int_equal(env_write(name, LX_O_CREAT, "x", 1), 1);
}

static void test_open_flags(void **state)
{
    (void)state;
    assert_int_equal(env_open("f", LX_O_RDONLY), -ENOENT);
    assert_int_equal(env_open("", LX_O_RDONLY), -ENOENT);
    assert_int_equal(env_open("f", LX_O_RDWR | LX_O_CREAT), 0);
    assert_int_equal(env_open("f", LX_O_RDWR | LX_O_CREAT | LX_O_EXCL),
                     -EEXIST);
    assert_int_equal(env_open("f/", LX_O_RDONLY), -ENOTDIR);
    assert_int_equal(env_open("g/", LX_O_WRONLY | LX_O_CREAT), -EISDIR);
    assert_int_equal(env_open("f/g", LX_O_WRONLY | LX_O_CREAT), -ENOTDIR);
    assert_int_equal(env_open("f", LX_O_RDONLY | LX_O_DIRECTORY), -ENOTDIR);
    assert_int_equal(mkdir_("d"), 0);
    assert_int_equal(env_open("d/.", LX_O_WRONLY | LX_O_CREAT), -EISDIR);
    assert_int_equal(env_open("d/.", LX_O_WRONLY | LX_O_CREAT | LX_O_EXCL),
                     -EEXIST);
    assert_int_equal(env_open("f/", LX_O_WRONLY | LX_O_CREAT), -EISDIR);
    assert_int_equal(env_open("d", LX_O_WRONLY), -EISDIR);
    assert_int_equal(env_open("d", LX_O_RDONLY | LX_O_CREAT), -EISDIR);
    assert_int_equal(env_open("d", LX_O_RDONLY | LX_O_DIRECTORY), 1);
    assert_int_equal(CALL(openat, 1, P("../f"), LX_O_RDONLY), 2);
    assert_int_equal(CALL(openat, 0, P("x"), LX_O_RDONLY), -ENOTDIR);
    assert_int_equal(CALL(openat, 77, P("x"), LX_O_RDONLY), -EBADF);
    assert_int_equal(CALL(openat, 77, P("/f"), LX_O_RDONLY), 3);
    fake_bad((void *)1, 4096);
    assert_int_equal(CALL(openat, HERE, 1, LX_O_RDONLY), -EFAULT);
    fake_bad(NULL, 0);
}

static void test_names_too_long(void **state)
{
    (void)state;
    static char name[PATH_MAX + 10];
    memset(name, 'n', sizeof(name) - 1);
    name[255] = '\0';
    assert_int_equal(env_write(name, LX_O_CREAT, "x", 1), 1);
    name[255] = 'n';
    name[256] = '\0';
    assert_int_equal(env_open(name, LX_O_CREAT | LX_O_WRONLY), -ENAMETOOLONG);
    assert_int_equal(env_open(name, LX_O_RDONLY), -ENAMETOOLONG);
    assert_int_equal(mkdir_(name), -ENAMETOOLONG);
    memset(name, '/', sizeof(name) - 1);
    name[PATH_MAX - 1] = '\0';
    assert_true(env_open(name, LX_O_RDONLY) >= 0);
    name[PATH_MAX - 1] = '/';
    assert_int_equal(env_open(name, LX_O_RDONLY), -ENAMETOOLONG);
}

static void test_symlinks(void **state)
{
    (void)state;
    char buf[16];
    assert_int_equal(mkdir_("d"), 0);
    touch("d/f");
    assert_int_equal(symlink_("d/f", "l"), 0);
    assert_int_equal(symlink_("d", "ld"), 0);
    assert_int_equal(symlink_("/ld/f", "abs"), 0);
    assert_int_equal(symlink_("../../../d/f", "d/up"), 0);
    assert_int_equal(symlink_("new", "dangling"), 0);
    assert_contents("l", "x");
    assert_contents("ld/f", "x");
    assert_contents("abs", "x");
    assert_contents("ld/up", "x"); /* ".." stays in the root */
    assert_int_equal(CALL(readlinkat, HERE, P("l"), P(buf), 16), 3);
    assert_memory_equal(buf, "d/f", 3);
    assert_int_equal(CALL(readlinkat, HERE, P("l"), P(buf), 2), 2);
    assert_int_equal(CALL(readlinkat, HERE, P("d"), P(buf), 16), -EINVAL);
    assert_int_equal(env_open("l", LX_O_RDONLY | LX_O_NOFOLLOW), -ELOOP);
    assert_int_equal(env_open("dangling", LX_O_RDONLY), -ENOENT);
    assert_int_equal(env_open("dangling", LX_O_CREAT | LX_O_EXCL | LX_O_WRONLY),
                     -EEXIST);
    assert_int_equal(env_write("dangling", LX_O_CREAT, "made", 4), 4);
    assert_contents("new", "made");
    assert_int_equal(stat_of("ld").mode, 0120777);
    assert_int_equal(stat_of("ld/").mode & LX_S_IFMT, LX_S_IFDIR);
    assert_int_equal(symlink_("", "e"), -ENOENT);
}

static void test_link_loops(void **state)
{
    (void)state;
    char name[8], target[8];
    assert_int_equal(symlink_("a", "b"), 0);
    assert_int_equal(symlink_("b", "a"), 0);
    assert_int_equal(env_open("a", LX_O_RDONLY), -ELOOP);
    assert_int_equal(env_open("a", LX_O_WRONLY | LX_O_CREAT), -ELOOP);
    assert_int_equal(env_open("a/x", LX_O_RDONLY), -ELOOP);
    touch("l0");
    for (int n = 1; n <= 41; n++) {
        (void)snprintf(name, sizeof(name), "l%d", n);
        (void)snprintf(target, sizeof(target), "l%d", n - 1);
        assert_int_equal(symlink_(target, name), 0);
    }
    assert_contents("l40", "x");
    assert_int_equal(env_open("l41", LX_O_RDONLY), -ELOOP);
}

static void test_read_write_seek(void **state)
{
    (void)state;
    char buf[16] = {0};
    struct lx_stat st;
    int fd = env_open("f", LX_O_RDWR | LX_O_CREAT);
    assert_int_equal(CALL(write, 0, P("hello"), 5), 5);
    assert_int_equal(CALL(pwrite64, 0, P("J"), 1, 0), 1);
    assert_int_equal(CALL(lseek, 0, 0, LX_SEEK_CUR), 5);
    assert_int_equal(CALL(lseek, 0, 0, LX_SEEK_SET), 0);
    assert_int_equal(CALL(read, 0, P(buf), 16), 5);
    assert_string_equal(buf, "Jello");
    assert_int_equal(CALL(read, 0, P(buf), 16), 0);
    assert_int_equal(CALL(lseek, 0, (uint64_t)-9, LX_SEEK_END), -EINVAL);
    assert_int_equal(CALL(lseek, 0, 10000, LX_SEEK_SET), 10000);
    assert_int_equal(CALL(write, 0, P("!"), 1), 1);
    assert_int_equal(CALL(fstat, (uint64_t)fd, P(&st)), 0);
    assert_int_equal(st.size, 10001);
    assert_int_equal(st.blocks, 16); /* page 1 is a hole */
    assert_int_equal(CALL(lseek, 0, 0, LX_SEEK_HOLE), 4096);
    assert_int_equal(CALL(lseek, 0, 4096, LX_SEEK_DATA), 8192);
    assert_int_equal(CALL(lseek, 0, 10001, LX_SEEK_DATA), -ENXIO);
    assert_int_equal(CALL(pread64, 0, P(buf), 2, 5000), 2);
    assert_memory_equal(buf, "\0\0", 2);
    struct uio_seg {
        uint64_t base, size;
    } iov[2] = {{P(buf), 1}, {P(buf + 1), 3}};
    assert_int_equal(CALL(preadv, 0, P(iov), 2, 1), 4);
    assert_memory_equal(buf, "ello", 4);
    assert_int_equal(env_open("f", LX_O_WRONLY), 1);
    assert_int_equal(CALL(read, 1, P(buf), 1), -EBADF);
    assert_int_equal(CALL(pread64, 0, P(buf), 1, (uint64_t)-1), -EINVAL);
}

static void test_append_and_truncate(void **state)
{
    (void)state;
    char buf[8];
    assert_int_equal(env_write("f", LX_O_CREAT, "abcdef", 6), 6);
    assert_int_equal(env_write("f", LX_O_APPEND, "gh", 2), 2);
    assert_contents("f", "abcdefgh");
    assert_int_equal(CALL(truncate, P("f"), 3), 0);
    assert_int_equal(CALL(truncate, P("f"), 6), 0);
    assert_int_equal(env_read("f", buf, 8), 6);
    assert_memory_equal(buf, "abc\0\0\0", 6);
    assert_int_equal(env_write("f", LX_O_TRUNC, "z", 1), 1);
    assert_contents("f", "z");
    assert_int_equal(CALL(truncate, P("f"), (uint64_t)-1), -EINVAL);
    assert_int_equal(CALL(truncate, P("/"), 0), -EISDIR);
    current()->proc->rlimits[LX_RLIMIT_FSIZE].cur = 4;
    assert_int_equal(env_write("f", 0, "123456", 6), 4);
    assert_int_equal(env_write("f", LX_O_APPEND, "5", 1), -EFBIG);
}

static void test_space_limit(void **state)
{
    (void)state;
    static uint8_t block[65536];
    struct lx_statfs fs;
    env_root(NULL, 1 << 20);
    int fd = env_open("f", LX_O_WRONLY | LX_O_CREAT);
    uint64_t total = 0;
    int64_t r;
    while ((r = CALL(write, (uint64_t)fd, P(block), sizeof(block))) > 0)
        total += (uint64_t)r;
    assert_int_equal(r, -ENOSPC);
    assert_int_equal(total, 1 << 20);
    assert_int_equal(CALL(statfs, P("/"), P(&fs)), 0);
    assert_int_equal(fs.bfree, 0);
    assert_int_equal(fs.blocks, 256);
    assert_int_equal(CALL(fallocate, (uint64_t)fd, 0, 1 << 20, 4096), -ENOSPC);
    assert_int_equal(unlink_("f"), 0);
    assert_int_equal(CALL(statfs, P("/"), P(&fs)), 0);
    assert_int_equal(fs.bfree, 0); /* still open */
    assert_int_equal(CALL(close, (uint64_t)fd), 0);
    assert_int_equal(CALL(statfs, P("/"), P(&fs)), 0);
    assert_int_equal(fs.bfree, 256);
}

static void test_fallocate(void **state)
{
    (void)state;
    static uint8_t buf[16384];
    struct lx_stat st;
    memset(buf, 'x', sizeof(buf));
    int fd = env_open("f", LX_O_RDWR | LX_O_CREAT);
    assert_int_equal(CALL(write, 0, P(buf), 16384), 16384);
    const uint64_t punch = LX_FALLOC_PUNCH_HOLE | LX_FALLOC_KEEP_SIZE;
    assert_int_equal(CALL(fallocate, 0, punch, 100, 8192), 0);
    assert_int_equal(CALL(fstat, (uint64_t)fd, P(&st)), 0);
    assert_int_equal(st.size, 16384);
    assert_int_equal(st.blocks, 24);
    assert_int_equal(CALL(pread64, 0, P(buf), 16384, 0), 16384);
    for (unsigned i = 0; i < sizeof(buf); i++)
        assert_int_equal(buf[i], i >= 100 && i < 8292 ? 0 : 'x');
    assert_int_equal(CALL(fallocate, 0, 0, 0, 20000), 0);
    assert_int_equal(CALL(fstat, (uint64_t)fd, P(&st)), 0);
    assert_int_equal(st.size, 20000);
    assert_int_equal(st.blocks, 40);
    assert_int_equal(CALL(fallocate, 0, LX_FALLOC_PUNCH_HOLE, 0, 1),
                     -EOPNOTSUPP);
    assert_int_equal(CALL(fallocate, 0, 0, 0, 0), -EINVAL);
}

static void test_remove(void **state)
{
    (void)state;
    assert_int_equal(mkdir_("d"), 0);
    assert_int_equal(mkdir_("d"), -EEXIST);
    assert_int_equal(mkdir_("no/d"), -ENOENT);
    assert_int_equal(mkdir_("/"), -EEXIST);
    assert_int_equal(mkdir_("d/."), -EEXIST);
    touch("d/f");
    assert_int_equal(rmdir_("d"), -ENOTEMPTY);
    assert_int_equal(rmdir_("d/f"), -ENOTDIR);
    assert_int_equal(unlink_("d"), -EISDIR);
    assert_int_equal(unlink_("no"), -ENOENT);
    assert_int_equal(rmdir_("d/."), -EINVAL);
    assert_int_equal(rmdir_("d/.."), -ENOTEMPTY);
    assert_int_equal(rmdir_("/"), -EBUSY);
    assert_int_equal(unlink_("d/f/"), -ENOTDIR);
    assert_int_equal(stat_of("/").nlink, 3);
    int fd = env_open("d", LX_O_RDONLY);
    assert_int_equal(unlink_("d/f"), 0);
    assert_int_equal(rmdir_("d/"), 0);
    assert_int_equal(stat_of("/").nlink, 2);
    assert_int_equal(
        CALL(openat, (uint64_t)fd, P("x"), LX_O_CREAT | LX_O_WRONLY, 0666),
        -ENOENT);
    char buf[64];
    assert_int_equal(CALL(getdents64, (uint64_t)fd, P(buf), 64), -ENOENT);
    assert_int_equal(CALL(fchdir, (uint64_t)fd), 0);
    assert_int_equal(CALL(getcwd, P(buf), 64), -ENOENT);
    assert_int_equal(mkdir_("y"), -ENOENT);
    assert_int_equal(CALL(chdir, P("..")), 0);
    assert_int_equal(CALL(getcwd, P(buf), 64), 2);
    assert_int_equal(CALL(getcwd, P(buf), 1), -ERANGE);
}

static void test_rename(void **state)
{
    (void)state;
    assert_int_equal(mkdir_("d"), 0);
    assert_int_equal(mkdir_("d/e"), 0);
    touch("a");
    assert_int_equal(env_write("b", LX_O_CREAT, "bb", 2), 2);
    assert_int_equal(rename_("a", "b", LX_RENAME_NOREPLACE), -EEXIST);
    assert_int_equal(rename_("a", "b", 0), 0);
    assert_contents("b", "x");
    assert_names("/", "b d ");
    assert_int_equal(rename_("d", "d/e/f", 0), -EINVAL);
    assert_int_equal(rename_("d/e", "d", 0), -ENOTEMPTY);
    assert_int_equal(rename_("b", "d", 0), -EISDIR);
    assert_int_equal(rename_("d", "b", 0), -ENOTDIR);
    assert_int_equal(rename_("no", "c", 0), -ENOENT);
    assert_int_equal(rename_("d/.", "c", 0), -EBUSY);
    assert_int_equal(rename_("b/", "c", 0), -ENOTDIR);
    assert_int_equal(rename_("b", "d/e/b", 0), 0);
    assert_int_equal(rename_("d/e", "e", 0), 0);
    assert_contents("e/b", "x");
    assert_int_equal(stat_of("d").nlink, 2);
    assert_int_equal(stat_of("/").nlink, 4);
    touch("f");
    assert_int_equal(rename_("f", "e", LX_RENAME_EXCHANGE), 0);
    assert_contents("f/b", "x");
    assert_contents("e", "x");
    assert_int_equal(rename_("f", "d/g", 0), 0);
    assert_int_equal(rename_("e", "d/g/b", LX_RENAME_EXCHANGE), 0);
    assert_int_equal(rename_("e", "zz", LX_RENAME_EXCHANGE), -ENOENT);
    assert_int_equal(rename_("d/g", "d", LX_RENAME_EXCHANGE), -EINVAL);
    assert_int_equal(rename_("d", "e/", LX_RENAME_EXCHANGE), -ENOTDIR);
    assert_int_equal(rename_("e", "e", 0), 0);
    assert_names("/", "d e ");
}

static void test_hard_links(void **state)
{
    (void)state;
    struct lx_stat st;
    touch("a");
    assert_int_equal(mkdir_("d"), 0);
    assert_int_equal(CALL(linkat, HERE, P("a"), HERE, P("d/b"), 0), 0);
    assert_int_equal(stat_of("a").nlink, 2);
    assert_int_equal(stat_of("a").ino, stat_of("d/b").ino);
    assert_int_equal(CALL(linkat, HERE, P("a"), HERE, P("d/b"), 0), -EEXIST);
    assert_int_equal(CALL(linkat, HERE, P("d"), HERE, P("e"), 0), -EPERM);
    assert_int_equal(rename_("a", "d/b", 0), 0); /* one file: both stay */
    assert_int_equal(stat_of("a").nlink, 2);
    int fd = env_open("a", LX_O_RDONLY);
    assert_int_equal(unlink_("a"), 0);
    assert_int_equal(unlink_("d/b"), 0);
    assert_int_equal(CALL(fstat, (uint64_t)fd, P(&st)), 0);
    assert_int_equal(st.nlink, 0);
    int tmp = env_open("d", LX_O_RDWR | LX_O_TMPFILE);
    assert_true(tmp >= 0);
    assert_names("d", "");
    assert_int_equal(CALL(write, (uint64_t)tmp, P("t"), 1), 1);
    assert_int_equal(
        CALL(linkat, (uint64_t)tmp, P(""), HERE, P("named"), LX_AT_EMPTY_PATH),
        0);
    assert_contents("named", "t");
    assert_int_equal(
        CALL(linkat, (uint64_t)fd, P(""), HERE, P("back"), LX_AT_EMPTY_PATH),
        -ENOENT);
}

static void test_permissions(void **state)
{
    (void)state;
    CALL(umask, 022);
    assert_int_equal(mkdir_("d"), 0);
    assert_int_equal(stat_of("d").mode, LX_S_IFDIR | 0755);
    assert_int_equal(CALL(mkdirat, HERE, P("t"), 0777), 0);
    assert_int_equal(CALL(fchmodat, HERE, P("t"), 01777), 0);
    touch("d/f");
    touch("t/root");
    assert_int_equal(CALL(fchmodat, HERE, P("d/f"), 0640), 0);
    env_user(1000);
    assert_int_equal(env_open("d/f", LX_O_RDONLY), -EACCES);
    assert_int_equal(env_open("d/g", LX_O_WRONLY | LX_O_CREAT), -EACCES);
    assert_int_equal(unlink_("d/f"), -EACCES);
    assert_int_equal(CALL(fchmodat, HERE, P("d/f"), 0777), -EPERM);
    assert_int_equal(CALL(fchownat, HERE, P("d/f"), 1000, 1000, 0), -EPERM);
    assert_int_equal(CALL(faccessat, HERE, P("d/f"), 4), -EACCES);
    assert_int_equal(unlink_("t/root"), -EPERM); /* sticky */
    touch("t/mine");
    assert_int_equal(stat_of("t/mine").uid, 1000);
    assert_int_equal(rename_("t/mine", "t/root", 0), -EPERM);
    assert_int_equal(CALL(fchownat, HERE, P("t/mine"), 1000, 0, 0), -EPERM);
    assert_int_equal(CALL(fchownat, HERE, P("t/mine"), 1000, 1000, 0), 0);
    assert_int_equal(unlink_("t/mine"), 0);
    assert_int_equal(CALL(mknodat, HERE, P("t/n"), LX_S_IFCHR | 0666, 0x103),
                     -EPERM);
    assert_int_equal(CALL(chroot, P("t")), -EPERM);
    struct cred_groups *root = cred_groups_new(1);
    root->id[0] = 0;
    current()->cred.groups = root;
    assert_int_equal(CALL(faccessat, HERE, P("d/f"), 4), 0);
    current()->cred.groups = NULL;
    cred_groups_put(root);
    env_user(0);
    assert_int_equal(CALL(fchmodat, HERE, P("d"), 0700), 0);
    env_user(1000);
    assert_int_equal(env_open("d/f", LX_O_RDONLY), -EACCES);
    assert_int_equal(env_open("d/f/x", LX_O_RDONLY), -EACCES);
    env_user(0);
    assert_int_equal(CALL(faccessat, HERE, P("d/f"), 1), -EACCES); /* no x */
}

static void test_set_id_bits(void **state)
{
    (void)state;
    touch("f");
    assert_int_equal(CALL(fchmodat, HERE, P("f"), 06755), 0);
    assert_int_equal(CALL(fchownat, HERE, P("f"), 1000, 1000, 0), 0);
    assert_int_equal(stat_of("f").mode & 07777, 0755);
    assert_int_equal(CALL(fchmodat, HERE, P("f"), 06777), 0);
    env_user(1000);
    assert_int_equal(env_write("f", 0, "y", 1), 1);
    assert_int_equal(stat_of("f").mode & 07777, 0777);
    env_user(0);
    CALL(umask, 0);
    assert_int_equal(mkdir_("d"), 0);
    assert_int_equal(CALL(fchownat, HERE, P("d"), 0, 77, 0), 0);
    assert_int_equal(CALL(fchmodat, HERE, P("d"), 02777), 0);
    touch("d/f");
    assert_int_equal(stat_of("d/f").gid, 77);
    assert_int_equal(mkdir_("d/e"), 0);
    assert_int_equal(stat_of("d/e").mode, LX_S_IFDIR | 02777);
}

static void test_times(void **state)
{
    (void)state;
    struct lx_timespec t[2] = {{100, 5}, {200, 6}};
    struct lx_stat st;
    touch("f");
    assert_int_equal(CALL(utimensat, HERE, P("f"), P(t), 0), 0);
    st = stat_of("f");
    assert_int_equal(st.atime.sec, 100);
    assert_int_equal(st.mtime.nsec, 6);
    t[0].nsec = LX_UTIME_OMIT;
    t[1].nsec = LX_UTIME_NOW;
    assert_int_equal(CALL(utimensat, HERE, P("f"), P(t), 0), 0);
    st = stat_of("f");
    assert_int_equal(st.atime.sec, 100);
    assert_int_not_equal(st.mtime.nsec, 6);
    t[1].nsec = 1000000000;
    assert_int_equal(CALL(utimensat, HERE, P("f"), P(t), 0), -EINVAL);
    env_user(1000);
    t[0] = t[1] = (struct lx_timespec){1, 1};
    assert_int_equal(CALL(utimensat, HERE, P("f"), P(t), 0), -EPERM);
    assert_int_equal(CALL(utimensat, HERE, P("f"), 0, 0), -EACCES);
    int fd = env_open("f", LX_O_RDONLY);
    env_user(0);
    assert_int_equal(CALL(utimensat, (uint64_t)fd, 0, P(t), 0), 0);
    assert_int_equal(stat_of("f").mtime.sec, 1);
}

/* rm -r: entries go away between getdents calls. */
static void test_readdir_while_removing(void **state)
{
    (void)state;
    enum { COUNT = 200 };
    static uint8_t buf[512];
    char name[24];
    unsigned seen = 0;
    assert_int_equal(mkdir_("d"), 0);
    for (int n = 0; n < COUNT; n++) {
        (void)snprintf(name, sizeof(name), "d/f%d", n);
        touch(name);
    }
    int fd = env_open("d", LX_O_RDONLY);
    int64_t n;
    while ((n = CALL(getdents64, (uint64_t)fd, P(buf), sizeof(buf))) > 0) {
        for (int64_t at = 0; at < n;) {
            uint16_t len;
            memcpy(&len, buf + at + 16, 2);
            const char *s = (const char *)buf + at + 19;
            if (*s != '.') {
                (void)snprintf(name, sizeof(name), "d/%s", s);
                assert_int_equal(unlink_(name), 0);
                seen++;
                /* What is made meanwhile must not keep us here for ever. */
                (void)snprintf(name, sizeof(name), "d/.n%u", seen);
                touch(name);
            }
            at += len;
        }
    }
    assert_int_equal(seen, COUNT);
    assert_int_equal(CALL(getdents64, (uint64_t)fd, P(buf), 512), 0);
    assert_int_equal(CALL(lseek, (uint64_t)fd, 0, LX_SEEK_SET), 0);
    assert_int_equal(CALL(getdents64, (uint64_t)fd, P(buf), 10), -EINVAL);
    assert_true(CALL(getdents64, (uint64_t)fd, P(buf), 512) > 0);
    assert_int_equal(CALL(getdents64, 99, P(buf), 512), -EBADF);
}

static void test_openat2(void **state)
{
    (void)state;
    struct lx_open_how how = {.flags = LX_O_RDONLY};
    assert_int_equal(mkdir_("d"), 0);
    touch("f");
    touch("d/f");
    assert_int_equal(symlink_("/f", "d/abs"), 0);
    assert_int_equal(symlink_("../f", "d/up"), 0);
    int d = env_open("d", LX_O_RDONLY | LX_O_DIRECTORY);
    static const struct {
        const char *name;
        uint64_t resolve;
        int result; /* 1: opens */
    } cases[] = {
        {"f", LX_RESOLVE_BENEATH, 1},
        {"up", LX_RESOLVE_BENEATH, -EXDEV},
        {"abs", LX_RESOLVE_BENEATH, -EXDEV},
        {"/f", LX_RESOLVE_BENEATH, -EXDEV},
        {"abs", LX_RESOLVE_IN_ROOT, 1},
        {"up", LX_RESOLVE_IN_ROOT, 1},
        {"../../f", LX_RESOLVE_IN_ROOT, 1},
        {"up", LX_RESOLVE_NO_SYMLINKS, -ELOOP},
        {"up", 0, 1},
        {"f", LX_RESOLVE_BENEATH | LX_RESOLVE_IN_ROOT, -EINVAL},
        {"f", 0x1000, -EINVAL},
    };
    for (size_t n = 0; n < ARRAY_COUNT(cases); n++) {
        how.resolve = cases[n].resolve;
        int64_t r =
            CALL(openat2, (uint64_t)d, P(cases[n].name), P(&how), sizeof(how));
        assert_int_equal(r >= 0 ? 1 : r, cases[n].result);
    }
    assert_int_equal(CALL(openat2, (uint64_t)d, P("f"), P(&how), 8), -EINVAL);
}

static void test_xattrs(void **state)
{
    (void)state;
    char buf[64];
    touch("f");
    assert_int_equal(CALL(setxattr, P("f"), P("user.k"), P("v1"), 2, 0), 0);
    assert_int_equal(
        CALL(setxattr, P("f"), P("user.k"), P("v"), 1, LX_XATTR_CREATE),
        -EEXIST);
    assert_int_equal(
        CALL(setxattr, P("f"), P("user.n"), P("v"), 1, LX_XATTR_REPLACE),
        -ENODATA);
    assert_int_equal(CALL(setxattr, P("f"), P("bad"), P("v"), 1, 0),
                     -EOPNOTSUPP);
    assert_int_equal(CALL(setxattr, P("f"), P("user."), P("v"), 1, 0), -EINVAL);
    assert_int_equal(CALL(getxattr, P("f"), P("user.k"), P(buf), 64), 2);
    assert_int_equal(CALL(getxattr, P("f"), P("user.k"), 0, 0), 2);
    assert_int_equal(CALL(getxattr, P("f"), P("user.k"), P(buf), 1), -ERANGE);
    assert_int_equal(CALL(setxattr, P("f"), P("user.e"), 0, 0, 0), 0);
    assert_int_equal(CALL(listxattr, P("f"), P(buf), 64), 14);
    assert_memory_equal(buf, "user.k\0user.e", 14);
    assert_int_equal(CALL(removexattr, P("f"), P("user.k")), 0);
    assert_int_equal(CALL(removexattr, P("f"), P("user.k")), -ENODATA);
    env_user(1000);
    assert_int_equal(CALL(setxattr, P("f"), P("user.z"), P("v"), 1, 0),
                     -EACCES);
    assert_int_equal(CALL(setxattr, P("f"), P("trusted.z"), P("v"), 1, 0),
                     -EPERM);
}

static void test_o_path_and_cwd(void **state)
{
    (void)state;
    char buf[32];
    assert_int_equal(mkdir_("d"), 0);
    touch("d/f");
    int p = env_open("d", LX_O_PATH | LX_O_DIRECTORY);
    assert_int_equal(CALL(read, (uint64_t)p, P(buf), 1), -EBADF);
    assert_int_equal(CALL(openat, (uint64_t)p, P("f"), LX_O_RDONLY), p + 1);
    assert_int_equal(CALL(fchdir, (uint64_t)p), 0);
    assert_contents("f", "x");
    assert_int_equal(CALL(getcwd, P(buf), 32), 3);
    assert_string_equal(buf, "/d");
    assert_int_equal(rename_("/d", "/moved", 0), 0);
    assert_int_equal(CALL(getcwd, P(buf), 32), 7);
    assert_string_equal(buf, "/moved");
    assert_int_equal(CALL(chroot, P(".")), 0);
    assert_int_equal(CALL(getcwd, P(buf), 32), 2);
    assert_int_equal(env_open("/../../f", LX_O_RDONLY), p + 2);
}

static void test_kernel_helpers(void **state)
{
    (void)state;
    assert_int_equal(symlink_("/nowhere", "link"), 0);
    assert_int_equal(fs_write_file("/a/b/c", 0600, "data", 4), 0);
    assert_contents("a/b/c", "data");
    assert_int_equal(fs_write_file("/a/b/c", 0644, "new", 3), 0);
    assert_contents("a/b/c", "new");
    assert_int_equal(fs_write_file("/link", 0644, "l", 1), 0);
    assert_int_equal(stat_of("link").mode, LX_S_IFREG | 0644);
}

static void test_memfd_seals(void **state)
{
    (void)state;
    int fd = (int)CALL(memfd_create, P("m"), LX_MFD_ALLOW_SEALING);
    assert_true(fd >= 0);
    uint64_t f = (uint64_t)fd;
    assert_int_equal(CALL(write, f, P("abc"), 3), 3);
    assert_int_equal(
        CALL(fcntl, f, LX_F_ADD_SEALS, LX_F_SEAL_SHRINK | LX_F_SEAL_GROW), 0);
    assert_int_equal(CALL(ftruncate, f, 2), -EPERM);
    assert_int_equal(CALL(write, f, P("d"), 1), -EPERM);
    assert_int_equal(CALL(pwrite64, f, P("A"), 1, 0), 1);
    assert_int_equal(
        CALL(fcntl, f, LX_F_ADD_SEALS, LX_F_SEAL_WRITE | LX_F_SEAL_SEAL), 0);
    assert_int_equal(CALL(pwrite64, f, P("A"), 1, 0), -EPERM);
    assert_int_equal(CALL(fcntl, f, LX_F_ADD_SEALS, LX_F_SEAL_GROW), -EPERM);
    assert_int_equal(CALL(fcntl, f, LX_F_GET_SEALS, 0), 15);
}

static void test_copies_in_the_kernel(void **state)
{
    (void)state;
    static uint8_t big[40000], back[40000];
    uint64_t in = 10, out = 0;
    for (unsigned i = 0; i < sizeof(big); i++)
        big[i] = (uint8_t)(i * 7);
    assert_int_equal(env_write("a", LX_O_CREAT, big, sizeof(big)), 40000);
    int a = env_open("a", LX_O_RDONLY);
    int b = env_open("b", LX_O_RDWR | LX_O_CREAT);
    assert_int_equal(CALL(copy_file_range, (uint64_t)a, P(&in), (uint64_t)b,
                          P(&out), 100000, 0),
                     39990);
    assert_int_equal(in, 40000);
    assert_int_equal(out, 39990);
    assert_int_equal(CALL(pread64, (uint64_t)b, P(back), 40000, 0), 39990);
    assert_memory_equal(back, big + 10, 39990);
    assert_int_equal(CALL(sendfile, (uint64_t)b, (uint64_t)a, 0, 100), 100);
    assert_int_equal(CALL(lseek, (uint64_t)a, 0, LX_SEEK_CUR), 100);
    assert_int_equal(CALL(pread64, (uint64_t)b, P(back), 100, 0), 100);
    assert_memory_equal(back, big, 100);
}

/* Everything of a file system is given back when the last user goes. */
static void test_no_leaks(void **state)
{
    (void)state;
    struct page_stats before, after;
    static uint8_t block[10000];
    for (unsigned round = 0; round < 4; round++) {
        if (round == 2)
            page_stats(&before);
        for (unsigned n = 0; n < 50; n++) {
            assert_int_equal(mkdir_("d"), 0);
            assert_int_equal(env_write("d/f", LX_O_CREAT, block, sizeof(block)),
                             10000);
            assert_int_equal(symlink_("target", "d/l"), 0);
            assert_int_equal(
                CALL(setxattr, P("d/f"), P("user.a"), P(block), 5000, 0), 0);
            assert_int_equal(rename_("d/f", "g", 0), 0);
            assert_int_equal(unlink_("d/l"), 0);
            assert_int_equal(rmdir_("d"), 0);
            assert_int_equal(unlink_("g"), 0);
        }
        dentry_shrink(10000);
    }
    page_stats(&after);
    assert_int_equal(after.free, before.free);
    assert_int_equal(after.cached, before.cached);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_open_flags),
        TEST(test_names_too_long),
        TEST(test_symlinks),
        TEST(test_link_loops),
        TEST(test_read_write_seek),
        TEST(test_append_and_truncate),
        TEST(test_space_limit),
        TEST(test_fallocate),
        TEST(test_remove),
        TEST(test_rename),
        TEST(test_hard_links),
        TEST(test_permissions),
        TEST(test_set_id_bits),
        TEST(test_times),
        TEST(test_readdir_while_removing),
        TEST(test_openat2),
        TEST(test_xattrs),
        TEST(test_o_path_and_cwd),
        TEST(test_kernel_helpers),
        TEST(test_memfd_seals),
        TEST(test_copies_in_the_kernel),
        TEST(test_no_leaks),
    };
    return cmocka_run_group_tests(tests, setup_group, NULL);
}
