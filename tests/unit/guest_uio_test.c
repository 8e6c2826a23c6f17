// SPDX-License-Identifier: Apache-2.0
/* Copies to and from programs: ranges, faults, strings, scattered buffers. */
#include "guest/core/kmem.h"
#include "guest/core/uio.h"
#include "tests/unit/guest_mm_env.h"

#define BASE UINT64_C(0x40000000)

static void test_ranges(void **state)
{
    (void)state;
    char buf[64] = {0};
    map_at(BASE, 1, R | W);
    assert_int_equal(copy_to_user(uptr(BASE + PG - 4), "abcd", 4), 0);
    assert_int_equal(copy_from_user(buf, uptr(BASE + PG - 4), 4), 0);
    assert_memory_equal(buf, "abcd", 4);
    /* Kernel addresses, the end of the user half, wrapping lengths. */
    static const uint64_t bad[] = {USER_END, USER_END - 3, UINT64_MAX - 1,
                                   UINT64_C(0xffff888000000000)};
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(copy_to_user(uptr(bad[i]), buf, 8), -EFAULT);
        assert_int_equal(copy_from_user(buf, uptr(bad[i]), 8), -EFAULT);
        assert_int_equal(clear_user(uptr(bad[i]), 8), -EFAULT);
        assert_int_equal(copy_to_user(uptr(bad[i]), buf, 0), 0);
    }
    assert_int_equal(copy_from_user(buf, uptr(BASE), SIZE_MAX), -EFAULT);
    uint32_t v;
    assert_int_equal(user_load32(uptr(USER_END - 2), &v), -EFAULT);
    assert_int_equal(user_cmpxchg32(uptr(USER_END), 0, 1, &v), -EFAULT);
    assert_int_equal(user_cmpxchg32(uptr(BASE), 0, 5, &v), 0);
    assert_int_equal(v, 0);
    assert_int_equal(user_cmpxchg32(uptr(BASE), 7, 9, &v), 0);
    assert_int_equal(v, 5);
    assert_int_equal(user_load32(uptr(BASE), &v), 0);
    assert_int_equal(v, 5);
}

static void test_read_only(void **state)
{
    (void)state;
    map_at(BASE, 2, R | W);
    assert_int_equal(poke(BASE, 1), 0);
    assert_int_equal(aspace_protect(as_now(), BASE + PG, PG, R), 0);
    char buf[16] = "0123456789";
    fake_bad((const void *)(uintptr_t)(BASE + PG), 1);
    assert_int_equal(copy_to_user(uptr(BASE + PG - 5), buf, 10), -EFAULT);
    fake_bad(NULL, 0);
    assert_int_equal(clear_user(uptr(BASE), PG), 0);
    assert_int_equal(peek(BASE + PG - 5), 0);
}

static void test_strings(void **state)
{
    (void)state;
    char buf[5000];
    map_at(BASE, 2, R | W);
    assert_int_equal(copy_to_user(uptr(BASE + PG - 3), "limpet", 7), 0);
    assert_int_equal(strncpy_from_user(buf, uptr(BASE + PG - 3), 100), 6);
    assert_string_equal(buf, "limpet");
    assert_int_equal(strncpy_from_user(buf, uptr(BASE + PG - 3), 7), 6);
    assert_int_equal(strncpy_from_user(buf, uptr(BASE + PG - 3), 6),
                     -ENAMETOOLONG);
    /* It ends right before memory that is not there. */
    fake_bad((const void *)(uintptr_t)(BASE + 2 * PG), PG);
    assert_int_equal(copy_to_user(uptr(BASE + 2 * PG - 4), "abc", 4), 0);
    assert_int_equal(strncpy_from_user(buf, uptr(BASE + 2 * PG - 4), 5000), 3);
    assert_int_equal(poke(BASE + 2 * PG - 1, 'd'), 0);
    assert_int_equal(strncpy_from_user(buf, uptr(BASE + 2 * PG - 4), 5000),
                     -EFAULT);
    fake_bad(NULL, 0);
    assert_int_equal(strncpy_from_user(buf, uptr(USER_END), 10), -EFAULT);
}

static void test_scattered(void **state)
{
    (void)state;
    map_at(BASE, 4, R | W);
    const uint64_t iov[][2] = {
        {BASE + 1, 3}, {0, 0}, {BASE + PG, 2}, {BASE + 2 * PG - 2, 100}};
    struct uio u;
    struct uio_seg *segs;
    char back[105];
    assert_int_equal(uio_user_vec(&u, &segs, uptr((uintptr_t)iov), 4), 0);
    assert_int_equal(u.left, 105);
    assert_int_equal(uio_put(&u, "abcdef", 6), 6);
    assert_int_equal(u.left, 99);
    assert_int_equal(uio_zero(&u, 50), 50);
    memset(back, 'z', sizeof(back));
    assert_int_equal(uio_put(&u, back, 100), 49);
    assert_int_equal(u.left, 0);
    assert_int_equal(uio_put(&u, back, 1), 0);
    kfree(segs);
    assert_int_equal(peek(BASE + 3), 'c');
    assert_int_equal(peek(BASE + 4), 0);
    assert_int_equal(peek(BASE + PG + 1), 'e');
    assert_int_equal(peek(BASE + 2 * PG - 2), 'f');
    assert_int_equal(uio_user_vec(&u, &segs, uptr((uintptr_t)iov), 4), 0);
    assert_int_equal(uio_get(&u, back, 200), 105);
    assert_memory_equal(back, "abcdef\0", 7);
    assert_int_equal(back[104], 'z');
    kfree(segs);
}

static void test_scattered_errors(void **state)
{
    (void)state;
    struct uio u;
    struct uio_seg *segs;
    uint64_t iov[2][2] = {{BASE, 5}, {BASE, UINT64_MAX}};
    map_at(BASE, 1, R | W);
    assert_int_equal(uio_user_vec(&u, &segs, uptr((uintptr_t)iov), 2), -EINVAL);
    assert_int_equal(uio_user_vec(&u, &segs, uptr((uintptr_t)iov), 1025),
                     -EINVAL);
    assert_int_equal(uio_user_vec(&u, &segs, uptr(USER_END), 2), -EFAULT);
    assert_int_equal(uio_user_vec(&u, &segs, uptr(0), 0), 0);
    assert_int_equal(uio_put(&u, "x", 1), 0);
    /* Too much in all is cut as Linux does. */
    iov[1][1] = INT64_MAX;
    assert_int_equal(uio_user_vec(&u, &segs, uptr((uintptr_t)iov), 2), -EFAULT);
    iov[1][1] = UINT64_C(1) << 40;
    assert_int_equal(uio_user_vec(&u, &segs, uptr((uintptr_t)iov), 2), 0);
    assert_int_equal(u.left, 0x7ffff000);
    kfree(segs);
    /* An address that is no program's is told at once, as Linux does. */
    iov[1][0] = USER_END;
    assert_int_equal(uio_user_vec(&u, &segs, uptr((uintptr_t)iov), 2), -EFAULT);
}

static void test_kernel_memory(void **state)
{
    (void)state;
    char buf[8] = "xxxxxxx";
    struct uio u;
    struct uio_seg seg;
    uio_kernel(&u, &seg, buf, 6);
    assert_int_equal(uio_put(&u, "ab", 2), 2);
    assert_int_equal(uio_zero(&u, 1), 1);
    assert_int_equal(uio_put(&u, "cdef", 4), 3);
    assert_memory_equal(buf, "ab\0cdex", 8);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, env_setup)
    const struct CMUnitTest tests[] = {
        T(test_ranges),    T(test_read_only),        T(test_strings),
        T(test_scattered), T(test_scattered_errors), T(test_kernel_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
