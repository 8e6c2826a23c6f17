// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "supervisor/names.h"

static void test_check(void **unused)
{
    (void)unused;
    static const char *const good[] = {"ab", "a.b", "A_-", "0x"};
    static const char *const bad[] = {"",    "a",    "-a",        ".a", "a/b",
                                      "a b", "../x", "\303\244a", "a\n"};
    struct err e;
    char longest[200];
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_int_equal(names_check(good[i], &e), 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(names_check(bad[i], &e), -EINVAL);
    memset(longest, 'a', sizeof(longest));
    longest[127] = '\0';
    assert_int_equal(names_check(longest, &e), 0);
    longest[127] = 'a';
    longest[128] = '\0';
    assert_int_equal(names_check(longest, &e), -EINVAL);
}

static void test_random(void **unused)
{
    (void)unused;
    for (int i = 0; i < 300; i++) {
        struct err e;
        char name[64];
        names_random(i, name, sizeof(name));
        assert_int_equal(names_check(name, &e), 0);
        assert_non_null(strchr(name, '_'));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
