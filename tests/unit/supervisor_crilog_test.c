// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "supervisor/crilog.h"

/* The log without its 30-character times. */
static void logged(const char *data, size_t size, const char *want)
{
    char text[4096];
    char got[4096] = "";
    int fd = memfd_create("log", 0);
    crilog_write(fd, "stdout", data, size);
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
    assert_true(n >= 0);
    text[n] = '\0';
    for (char *p = text; *p != '\0';) {
        char *end = strchr(p, '\n');
        assert_non_null(end);
        assert_true(end - p > 31);
        assert_int_equal(p[10], 'T');
        assert_int_equal(p[29], 'Z');
        (void)strncat(got, p + 31, (size_t)(end - p - 30));
        p = end + 1;
    }
    assert_string_equal(got, want);
    (void)close(fd);
}

static void test_lines(void **unused)
{
    (void)unused;
    logged("", 0, "");
    logged("a\n", 2, "stdout F a\n");
    logged("a\n\nb\n", 5, "stdout F a\nstdout F \nstdout F b\n");
    logged("a\nrest", 6, "stdout F a\nstdout P rest\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lines)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
