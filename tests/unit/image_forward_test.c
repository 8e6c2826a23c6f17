// SPDX-License-Identifier: Apache-2.0
/* image/forward.c: pieces of a file that only go up. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/err.h"
#include "image/forward.h"

enum { FILE_SIZE = 3 << 20, UPPER = 1 << 20 };

/* Pieces of all sizes with gaps, from two writers into one file. */
static void test_two_writers(void **state)
{
    (void)state;
    struct err e;
    struct forward f[2] = {0};
    AUTO_CLOSE int fd = memfd_create("forward", MFD_CLOEXEC);
    AUTO_FREE uint8_t *want = calloc(1, FILE_SIZE);
    AUTO_FREE uint8_t *is = calloc(1, FILE_SIZE);
    uint64_t at[2] = {100, UPPER};
    const uint64_t end[2] = {UPPER, FILE_SIZE};
    unsigned random = 7;
    assert_true(fd >= 0 && want != NULL && is != NULL);
    assert_int_equal(ftruncate(fd, FILE_SIZE), 0);
    assert_int_equal(forward_init(&f[0], fd, &e), 0);
    assert_int_equal(forward_init(&f[1], fd, &e), 0);
    for (unsigned i = 0; at[0] < end[0] || at[1] < end[1]; i++) {
        random = random * 1103515245 + 12345;
        unsigned k = random >> 30 & 1;
        size_t size = i % 50 == 0 ? 600000 : random >> 16 & 0xfff;
        if (at[k] >= end[k])
            continue;
        if (size > end[k] - at[k])
            size = (size_t)(end[k] - at[k]);
        memset(want + at[k], (int)(1 + i % 255), size);
        forward_put(&f[k], at[k], want + at[k], size);
        at[k] += size + (random >> 8 & 0x1ff);
    }
    assert_int_equal(forward_finish(&f[0], &e), 0);
    assert_int_equal(forward_finish(&f[1], &e), 0);
    assert_int_equal(pread(fd, is, FILE_SIZE, 0), FILE_SIZE);
    assert_memory_equal(is, want, FILE_SIZE);
    forward_fini(&f[0]);
    forward_fini(&f[1]);
}

static void test_failure_is_told_at_the_end(void **state)
{
    (void)state;
    struct err e;
    struct forward f;
    AUTO_CLOSE int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_int_equal(forward_init(&f, fd, &e), 0);
    forward_put(&f, 0, "x", 1);
    forward_put(&f, 1 << 20, "y", 1);
    assert_int_equal(forward_finish(&f, &e), -ENOSPC);
    assert_non_null(strstr(e.msg, "No space left"));
    forward_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_writers),
        cmocka_unit_test(test_failure_is_told_at_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
