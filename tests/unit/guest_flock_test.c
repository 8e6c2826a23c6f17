// SPDX-License-Identifier: Apache-2.0
/* Record locks against a model of bytes; waiting, dead locks, release. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "guest/core/sched.h"
#include "guest/fs/flock.h"
#include "tests/unit/guest_fs_env.h"

static struct inode *a, *b;
static char owners[3];
static char trace[16];

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
    a = anon_inode(LX_S_IFREG, "a");
    b = anon_inode(LX_S_IFREG, "b");
    assert_non_null(a);
    assert_non_null(b);
    trace[0] = '\0';
    return 0;
}

static struct flock_request want(unsigned owner, int type, uint64_t start,
                                 uint64_t end)
{
    return (struct flock_request){.kind = FLOCK_POSIX,
                                  .type = type,
                                  .start = start,
                                  .end = end,
                                  .owner = &owners[owner],
                                  .pid = (int32_t)owner + 1};
}

static int set(struct inode *i, unsigned owner, int type, uint64_t start,
               uint64_t end, bool wait)
{
    struct flock_request r = want(owner, type, start, end);
    return flock_set(i, &r, wait);
}

#define SIZE 24

static void compare(int (*model)[SIZE])
{
    for (unsigned at = 0; at < SIZE; at++) {
        for (unsigned o = 0; o < 3; o++) {
            int worst = LX_F_UNLCK;
            for (unsigned other = 0; other < 3; other++) {
                if (other != o && model[other][at] != LX_F_UNLCK)
                    worst = model[other][at];
            }
            struct flock_request r = want(o, LX_F_WRLCK, at, at);
            flock_test(a, &r);
            assert_int_equal(r.type, worst);
            if (worst == LX_F_UNLCK)
                continue;
            assert_true(r.start <= at && at <= r.end);
            for (uint64_t n = r.start; n <= r.end && n < SIZE; n++)
                assert_int_equal(model[r.pid - 1][n], r.type);
        }
    }
}

static void test_against_bytes(void **state)
{
    (void)state;
    static int model[3][SIZE];
    for (unsigned o = 0; o < 3; o++) {
        for (unsigned at = 0; at < SIZE; at++)
            model[o][at] = LX_F_UNLCK;
    }
    srand(3);
    for (unsigned n = 0; n < 3000; n++) {
        unsigned o = (unsigned)rand() % 3;
        int type = rand() % 3;
        unsigned start = (unsigned)rand() % SIZE;
        unsigned end = start + (unsigned)rand() % (SIZE - start);
        bool conflict = false;
        for (unsigned at = start; at <= end && type != LX_F_UNLCK; at++) {
            for (unsigned other = 0; other < 3; other++) {
                int held = model[other][at];
                if (other != o && held != LX_F_UNLCK &&
                    (held == LX_F_WRLCK || type == LX_F_WRLCK))
                    conflict = true;
            }
        }
        assert_int_equal(set(a, o, type, start, end, false),
                         conflict ? -EAGAIN : 0);
        for (unsigned at = start; at <= end && !conflict; at++)
            model[o][at] = type;
        compare(model);
    }
}

struct ask {
    struct inode *i;
    unsigned owner;
    char mark;
};

static void locker(void *arg)
{
    const struct ask *q = arg;
    char text[2] = {q->mark, '\0'};
    if (set(q->i, q->owner, LX_F_WRLCK, 0, 9, true) == 0)
        (void)strcat(trace, text);
    sched_exit();
}

static void spawn(struct ask *q)
{
    struct task *t = task_new_kernel("locker", locker, q);
    assert_non_null(t);
    sched_start(t);
    for (unsigned n = 0; n < 20; n++)
        sched_yield();
}

static void settle(void)
{
    for (unsigned n = 0; n < 50; n++)
        sched_yield();
}

static void test_waits(void **state)
{
    (void)state;
    static struct ask q = {.owner = 1, .mark = '1'};
    q.i = a;
    assert_int_equal(set(a, 0, LX_F_RDLCK, 0, 4, false), 0);
    spawn(&q);
    assert_string_equal(trace, "");
    assert_int_equal(set(a, 0, LX_F_UNLCK, 0, 2, false), 0);
    settle();
    assert_string_equal(trace, ""); /* still 3..4 */
    flock_release(a, FLOCK_POSIX, &owners[0]);
    settle();
    assert_string_equal(trace, "1");
    assert_int_equal(set(a, 0, LX_F_RDLCK, 5, 5, false), -EAGAIN);
}

static void test_deadlock_is_noticed(void **state)
{
    (void)state;
    static struct ask q = {.owner = 1, .mark = '1'};
    q.i = a;
    assert_int_equal(set(a, 0, LX_F_WRLCK, 0, 0, false), 0);
    assert_int_equal(set(b, 1, LX_F_WRLCK, 0, 0, false), 0);
    spawn(&q); /* owner 1 waits for owner 0 */
    assert_int_equal(set(b, 0, LX_F_WRLCK, 0, 0, true), -EDEADLK);
    assert_int_equal(set(a, 0, LX_F_UNLCK, 0, 0, false), 0);
    settle();
    assert_string_equal(trace, "1");
}

static void test_flock_is_another_kind(void **state)
{
    (void)state;
    struct flock_request r = {.kind = FLOCK_WHOLE,
                              .type = LX_F_WRLCK,
                              .end = UINT64_MAX,
                              .owner = &owners[0]};
    assert_int_equal(flock_set(a, &r, false), 0);
    assert_int_equal(set(a, 1, LX_F_WRLCK, 0, 9, false), 0);
    r.owner = &owners[1];
    assert_int_equal(flock_set(a, &r, false), -EAGAIN);
    r.type = LX_F_RDLCK;
    assert_int_equal(flock_set(a, &r, false), -EAGAIN);
    flock_release(a, FLOCK_WHOLE, &owners[0]);
    assert_int_equal(flock_set(a, &r, false), 0);
}

static int64_t lock_call(int fd, uint32_t cmd, int16_t type, int64_t start,
                         int64_t len)
{
    struct lx_flock l = {.type = type, .start = start, .len = len};
    return CALL(fcntl, (uint64_t)fd, cmd, P(&l));
}

/* Through fcntl(2): a descriptor's close drops the process's locks, an open
 * file's own locks conflict with another open file's. */
static void test_fcntl(void **state)
{
    (void)state;
    int f = env_open("f", LX_O_RDWR | LX_O_CREAT);
    int g = env_open("f", LX_O_RDWR);
    int h = env_open("f", LX_O_RDONLY);
    assert_int_equal(lock_call(f, LX_F_SETLK, LX_F_WRLCK, 0, 0), 0);
    assert_int_equal(lock_call(g, LX_F_SETLK, LX_F_WRLCK, 5, 1), 0);
    assert_int_equal(lock_call(g, LX_F_OFD_SETLK, LX_F_WRLCK, 0, 1), -EAGAIN);
    assert_int_equal(lock_call(h, LX_F_SETLK, LX_F_WRLCK, 0, 1), -EBADF);
    assert_int_equal(CALL(close, (uint64_t)h), 0);
    assert_int_equal(lock_call(g, LX_F_OFD_SETLK, LX_F_WRLCK, 0, 1), 0);
    assert_int_equal(lock_call(f, LX_F_OFD_SETLK, LX_F_RDLCK, 0, 9), -EAGAIN);
    assert_int_equal(lock_call(f, LX_F_OFD_SETLK, LX_F_RDLCK, 1, 9), 0);
    struct lx_flock l = {.type = LX_F_WRLCK, .start = 0, .len = 0};
    assert_int_equal(CALL(fcntl, (uint64_t)f, LX_F_GETLK, P(&l)), 0);
    assert_int_equal(l.type, LX_F_WRLCK);
    assert_int_equal(l.pid, -1);
    assert_int_equal(l.len, 1);
    assert_int_equal(lock_call(f, LX_F_SETLK, LX_F_RDLCK, -1, 1), -EINVAL);
    assert_int_equal(lock_call(f, LX_F_SETLK, 7, 0, 1), -EINVAL);
    assert_int_equal(CALL(flock, (uint64_t)f, LX_LOCK_EX), 0);
    assert_int_equal(CALL(flock, (uint64_t)g, LX_LOCK_SH | LX_LOCK_NB),
                     -EAGAIN);
    assert_int_equal(CALL(close, (uint64_t)f), 0);
    assert_int_equal(CALL(flock, (uint64_t)g, LX_LOCK_SH | LX_LOCK_NB), 0);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_against_bytes),
        TEST(test_waits),
        TEST(test_deadlock_is_noticed),
        TEST(test_flock_is_another_kind),
        TEST(test_fcntl),
    };
    return cmocka_run_group_tests(tests, setup_group, NULL);
}
