// SPDX-License-Identifier: Apache-2.0
/* image/tarpath.c: names of tar entries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/err.h"
#include "image/tarpath.h"

static void normalise_strips_and_resolves(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        const char *out;
    } cases[] = {
        {"", ""},           {"/", ""},        {"./", ""},
        {".", ""},          {"a", "a"},       {"/a//b/", "a/b"},
        {"./a/./b", "a/b"}, {"a/../b", "b"},  {"a/b/../../c", "c"},
        {"a/..", ""},       {"...", "..."},   {"..a/b..", "..a/b.."},
        {".wh.x", ".wh.x"}, {"///.//a", "a"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct tarpath p;
        struct err e;
        assert_int_equal(tarpath_normalise(cases[i].in, &p, &e), 0);
        assert_string_equal(p.text, cases[i].out);
        assert_int_equal(p.size, strlen(cases[i].out));
    }
}

static void normalise_refuses_what_leaves_the_root(void **state)
{
    (void)state;
    static const char *const cases[] = {"..",      "../a",   "/..",
                                        "a/../..", "./../a", "a/b/../../../c"};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct tarpath p;
        struct err e;
        assert_int_equal(tarpath_normalise(cases[i], &p, &e), -EINVAL);
        assert_string_equal(e.msg, "path leaves the root");
    }
}

static void normalise_bounds_names_and_paths(void **state)
{
    (void)state;
    char name[6000];
    struct tarpath p;
    struct err e;
    memset(name, 'n', sizeof(name));
    name[255] = '\0';
    assert_int_equal(tarpath_normalise(name, &p, &e), 0);
    name[255] = 'n';
    name[256] = '\0';
    assert_int_equal(tarpath_normalise(name, &p, &e), -ENAMETOOLONG);

    /* 4095 bytes are a path, 4096 are not. */
    for (size_t i = 0; i < sizeof(name); i++)
        name[i] = i % 2 == 0 ? 'a' : '/';
    name[4095] = '\0';
    assert_int_equal(tarpath_normalise(name, &p, &e), 0);
    assert_int_equal(p.size, 4095);
    name[4095] = '/';
    name[4097] = '\0';
    assert_int_equal(tarpath_normalise(name, &p, &e), -ENAMETOOLONG);
}

static void whiteouts_are_recognised(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        const char *out;
        enum tarpath_kind kind;
    } cases[] = {
        {"a", "a", TARPATH_PLAIN},
        {"", "", TARPATH_PLAIN},
        {"a.wh.b", "a.wh.b", TARPATH_PLAIN},
        {".wh.a", "a", TARPATH_WHITEOUT},
        {"d/.wh.a", "d/a", TARPATH_WHITEOUT},
        {"d/e/.wh..a", "d/e/.a", TARPATH_WHITEOUT},
        {".wh..wh..opq", "", TARPATH_OPAQUE},
        {"d/e/.wh..wh..opq", "d/e", TARPATH_OPAQUE},
        {".wh..wh.aufs", ".wh..wh.aufs", TARPATH_IGNORED},
        {".wh..wh.plnk/1.2", ".wh..wh.plnk/1.2", TARPATH_IGNORED},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct tarpath p;
        enum tarpath_kind kind;
        struct err e;
        assert_int_equal(tarpath_normalise(cases[i].in, &p, &e), 0);
        assert_int_equal(tarpath_whiteout(&p, &kind, &e), 0);
        assert_int_equal(kind, cases[i].kind);
        assert_string_equal(p.text, cases[i].out);
        assert_int_equal(p.size, strlen(cases[i].out));
    }
}

static void whiteouts_of_dots_are_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {".wh.", "d/.wh..", "d/.wh..."};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct tarpath p;
        enum tarpath_kind kind;
        struct err e;
        assert_int_equal(tarpath_normalise(cases[i], &p, &e), 0);
        assert_int_equal(tarpath_whiteout(&p, &kind, &e), -EINVAL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(normalise_strips_and_resolves),
        cmocka_unit_test(normalise_refuses_what_leaves_the_root),
        cmocka_unit_test(normalise_bounds_names_and_paths),
        cmocka_unit_test(whiteouts_are_recognised),
        cmocka_unit_test(whiteouts_of_dots_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
