// SPDX-License-Identifier: Apache-2.0
/* Descriptors: lowest number, limits, close-on-exec, sharing; device nodes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/guest_fs_env.h"

static int setup_group(void **state)
{
    (void)state;
    fake_init(64 << 20); /* once: the name cache outlives it */
    return 0;
}

static int setup(void **state)
{
    (void)state;
    env_root(NULL, 4 << 20);
    assert_int_equal(env_open("f", LX_O_RDWR | LX_O_CREAT), 0);
    return 0;
}

static void test_lowest_free_number(void **state)
{
    (void)state;
    for (int n = 1; n < 200; n++)
        assert_int_equal(CALL(dup, 0), n);
    assert_int_equal(CALL(close, 7), 0);
    assert_int_equal(CALL(close, 150), 0);
    assert_int_equal(CALL(close, 7), -EBADF);
    assert_int_equal(CALL(fcntl, 0, LX_F_DUPFD, 100), 150);
    assert_int_equal(env_open("f", LX_O_RDONLY), 7);
    assert_int_equal(CALL(dup, 0), 200);
    assert_int_equal(CALL(fcntl, 0, LX_F_DUPFD_CLOEXEC, 500), 500);
    assert_int_equal(CALL(fcntl, 500, LX_F_GETFD, 0), 1);
    assert_int_equal(CALL(fcntl, 200, LX_F_GETFD, 0), 0);
}

static void test_limit(void **state)
{
    (void)state;
    current()->proc->rlimits[LX_RLIMIT_NOFILE].cur = 5;
    for (int n = 1; n < 5; n++)
        assert_int_equal(CALL(dup, 0), n);
    assert_int_equal(CALL(dup, 0), -EMFILE);
    assert_int_equal(env_open("new", LX_O_WRONLY | LX_O_CREAT), -EMFILE);
    current()->proc->rlimits[LX_RLIMIT_NOFILE].cur = 6;
    assert_names("/", "f "); /* nothing was made */
}

static void test_limit_of_dup(void **state)
{
    (void)state;
    current()->proc->rlimits[LX_RLIMIT_NOFILE].cur = 5;
    assert_int_equal(CALL(dup2, 0, 5), -EBADF);
    assert_int_equal(CALL(dup2, 9, 1), -EBADF);
    assert_int_equal(CALL(fcntl, 0, LX_F_DUPFD, 5), -EINVAL);
    assert_int_equal(CALL(dup2, 0, 4), 4);
    assert_int_equal(CALL(dup2, 0, 0), 0);
    assert_int_equal(CALL(dup3, 0, 0, 0), -EINVAL);
    assert_int_equal(CALL(dup3, 0, 3, LX_O_CLOEXEC), 3);
    assert_int_equal(CALL(fcntl, 3, LX_F_GETFD, 0), 1);
}

static void test_exec_and_clone(void **state)
{
    (void)state;
    struct process *p = current()->proc;
    assert_int_equal(CALL(dup3, 0, 100, LX_O_CLOEXEC), 100);
    assert_int_equal(CALL(dup3, 0, 3, LX_O_CLOEXEC), 3);
    assert_int_equal(CALL(dup2, 0, 64), 64);
    struct fdtable *copy = fdtable_clone(p->files);
    assert_non_null(copy);
    fdtable_exec(p->files);
    assert_int_equal(CALL(close, 100), -EBADF);
    assert_int_equal(CALL(close, 3), -EBADF);
    assert_int_equal(CALL(close, 64), 0);
    bool cloexec = false;
    struct file *f = fd_of(copy, 100, &cloexec);
    assert_non_null(f);
    assert_true(cloexec);
    assert_int_equal(f->refs, 6); /* 0, four in the copy, ours */
    file_put(f);
    fdtable_put(copy);
    f = fd_get(0);
    assert_int_equal(f->refs, 2);
    file_put(f);
}

static void test_close_range(void **state)
{
    (void)state;
    for (int n = 1; n < 10; n++)
        assert_int_equal(CALL(dup, 0), n);
    assert_int_equal(CALL(close_range, 3, 5, 4), 0); /* CLOEXEC */
    assert_int_equal(CALL(fcntl, 4, LX_F_GETFD, 0), 1);
    assert_int_equal(CALL(close_range, 6, UINT32_MAX, 0), 0);
    assert_int_equal(CALL(dup, 0), 6);
    assert_int_equal(CALL(close_range, 5, 4, 0), -EINVAL);
}

static void test_flags(void **state)
{
    (void)state;
    assert_int_equal(CALL(fcntl, 0, LX_F_GETFL, 0), LX_O_RDWR | LX_O_LARGEFILE);
    assert_int_equal(
        CALL(fcntl, 0, LX_F_SETFL, LX_O_APPEND | LX_O_NONBLOCK | LX_O_WRONLY),
        0);
    assert_int_equal(CALL(fcntl, 0, LX_F_GETFL, 0),
                     LX_O_RDWR | LX_O_LARGEFILE | LX_O_APPEND | LX_O_NONBLOCK);
    int32_t off = 0;
    assert_int_equal(CALL(ioctl, 0, LX_FIONBIO, P(&off)), 0);
    assert_int_equal(CALL(fcntl, 0, LX_F_GETFL, 0),
                     LX_O_RDWR | LX_O_LARGEFILE | LX_O_APPEND);
    assert_int_equal(CALL(ioctl, 0, LX_FIOCLEX, 0), 0);
    assert_int_equal(CALL(fcntl, 0, LX_F_GETFD, 0), 1);
    assert_int_equal(CALL(ioctl, 0, 0x5401, 0), -ENOTTY); /* TCGETS */
    assert_int_equal(CALL(write, 0, P("abc"), 3), 3);
    assert_int_equal(CALL(lseek, 0, 1, LX_SEEK_SET), 1);
    uint32_t left = 0;
    assert_int_equal(CALL(ioctl, 0, LX_FIONREAD, P(&left)), 0);
    assert_int_equal(left, 2);
    assert_int_equal(CALL(fsync, 0), 0);
    assert_int_equal(CALL(fsync, 44), -EBADF);
    assert_int_equal(CALL(fcntl, 0, 9999, 0), -EINVAL);
}

static int node(const char *name, uint32_t minor)
{
    assert_int_equal(
        fs_mknod(AT_FDCWD, name, LX_S_IFCHR | 0666, LX_MKDEV(1, minor)), 0);
    return env_open(name, LX_O_RDWR);
}

static void test_memory_devices(void **state)
{
    (void)state;
    uint8_t buf[300], other[300];
    memset(buf, 1, sizeof(buf));
    uint64_t null = (uint64_t)node("null", 3);
    uint64_t zero = (uint64_t)node("zero", 5);
    uint64_t full = (uint64_t)node("full", 7);
    uint64_t random = (uint64_t)node("urandom", 9);
    assert_int_equal(CALL(read, null, P(buf), 10), 0);
    assert_int_equal(CALL(write, null, P(buf), 300), 300);
    assert_int_equal(CALL(lseek, null, 5, LX_SEEK_SET), 0);
    assert_int_equal(CALL(read, zero, P(buf), 300), 300);
    for (unsigned i = 0; i < 300; i++)
        assert_int_equal(buf[i], 0);
    assert_int_equal(CALL(write, full, P(buf), 1), -ENOSPC);
    assert_int_equal(CALL(read, random, P(buf), 300), 300);
    assert_int_equal(CALL(read, random, P(other), 300), 300);
    assert_memory_not_equal(buf, other, 300);
    assert_int_equal(node("nodev", 77), -ENXIO);
    struct file *f = fd_get((int)zero);
    struct inode_page p;
    assert_int_equal(f->ops->mmap(f, 1, 2), 0);
    assert_int_equal(f->inode->ops->get_page(f->inode, 5, false, &p), 0);
    page_put(p.pa);
    file_put(f);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_lowest_free_number), TEST(test_limit),
        TEST(test_limit_of_dup),       TEST(test_exec_and_clone),
        TEST(test_close_range),        TEST(test_flags),
        TEST(test_memory_devices),
    };
    return cmocka_run_group_tests(tests, setup_group, NULL);
}
