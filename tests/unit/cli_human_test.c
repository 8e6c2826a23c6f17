// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/human.h"

static void test_durations(void **unused)
{
    (void)unused;
    static const struct {
        int64_t seconds;
        const char *want;
    } rows[] = {
        {-5, "Less than a second"},
        {0, "Less than a second"},
        {1, "1 second"},
        {2, "2 seconds"},
        {59, "59 seconds"},
        {60, "About a minute"},
        {119, "About a minute"},
        {120, "2 minutes"},
        {3599, "59 minutes"},
        {3600, "About an hour"},
        {7200, "2 hours"},
        {47 * 3600, "47 hours"},
        {48 * 3600, "2 days"},
        {14 * 86400, "2 weeks"},
        {60 * 86400, "2 months"},
        {730 * 86400, "2 years"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[64];
        human_duration(rows[i].seconds * 1000000000, text, sizeof(text));
        assert_string_equal(text, rows[i].want);
    }
}

static void test_width(void **unused)
{
    (void)unused;
    assert_int_equal(human_width(""), 0);
    assert_int_equal(human_width("abc"), 3);
    assert_int_equal(human_width("a\xe2\x80\xa6"), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_width),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
