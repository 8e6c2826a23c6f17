// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "cli/opt.h"

static const struct opt table[] = {
    {"bool", 'b', false, 1, "a"}, {"tty", 't', false, 2, "a"},
    {"value", 'v', true, 3, "a"}, {"later", 'l', true, 0, "next year"},
    {"plain", 0, true, 4, "a"},   {0},
};

/* The line split at '|', read with `table`; "name=value ...;arguments". */
static void expect(const char *line, bool mixed, const char *want)
{
    char text[128];
    char *argv[16];
    char *rest[16];
    char got[ERR_MSG_SIZE] = "";
    int argc = 0;
    (void)snprintf(text, sizeof(text), "%s", line);
    char *save = NULL;
    for (char *p = strtok_r(text, "|", &save); p != NULL;
         p = strtok_r(NULL, "|", &save))
        argv[argc++] = p;
    struct opt_reader r = {.table = table,
                           .argv = argv,
                           .argc = argc,
                           .mixed = mixed,
                           .rest = rest};
    struct opt_seen f;
    struct err e;
    size_t n = 0;
    int code;
    while ((code = opt_next(&r, &f, &e)) == 1)
        n += (size_t)snprintf(got + n, sizeof(got) - n, "%s=%s ", f.name,
                              f.value);
    if (code < 0)
        (void)snprintf(got, sizeof(got), "%s", e.msg);
    for (int i = 0; code == 0 && i < r.rest_count; i++)
        n += (size_t)snprintf(got + n, sizeof(got) - n, ";%s", rest[i]);
    assert_string_equal(got, want);
}

static void test_forms(void **unused)
{
    (void)unused;
    expect("", false, "");
    expect("--bool|x", false, "bool=true ;x");
    expect("--bool=false|--tty=1", false, "bool=false tty=true ");
    expect("--value|a|--value=b|-v|c|-vd|-v=e", false,
           "value=a value=b value=c value=d value=e ");
    expect("--value=|--plain|--bool", false, "value= plain=--bool ");
    expect("-bt|-tbvx|-btv|y", false,
           "bool=true tty=true tty=true bool=true value=x bool=true "
           "tty=true value=y ");
    expect("-b=false|-", false, "bool=false ;-");
}

static void test_where_flags_end(void **unused)
{
    (void)unused;
    expect("-b|img|-t|--nope|--", false, "bool=true ;img;-t;--nope;--");
    expect("-b|--|-t|x", false, "bool=true ;-t;x");
    expect("a|-b|c|--|-t", true, "bool=true ;a;c;-t");
}

static void test_mistakes(void **unused)
{
    (void)unused;
    expect("--nope", false, "unknown flag: --nope");
    expect("--boo", false, "unknown flag: --boo");
    expect("--nope=x", false, "unknown flag: --nope");
    expect("-bxy", false, "unknown shorthand flag: 'x' in -xy");
    expect("--value", false, "flag needs an argument: --value");
    expect("-bv", false, "flag needs an argument: -v");
    expect("--bool=x", false, "invalid argument \"x\" for \"--bool\" flag");
    expect("--later", false, "--later is not supported: next year");
    expect("--later=x", false, "--later is not supported: next year");
    expect("-bl", false, "-l is not supported: next year");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_where_flags_end),
        cmocka_unit_test(test_mistakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
