// SPDX-License-Identifier: Apache-2.0
/* image/registry.c and base/regname.c: what strangers and users write. The
 * challenges of Docker Hub, GHCR and quay are as those answered in 2025. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/regname.h"
#include "image/registry.h"

static void names_are_completed_as_docker_does(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        const char *out;
        const char *familiar;
    } cases[] = {
        {"nginx", "docker.io/library/nginx:latest", "nginx:latest"},
        {"docker://nginx:1.25", "docker.io/library/nginx:1.25", "nginx:1.25"},
        {"a/b", "docker.io/a/b:latest", "a/b:latest"},
        {"docker.io/nginx", "docker.io/library/nginx:latest", "nginx:latest"},
        {"index.docker.io/a/b:c", "docker.io/a/b:c", "a/b:c"},
        {"localhost/a", "localhost/a:latest", "localhost/a:latest"},
        {"h:5000/a", "h:5000/a:latest", "h:5000/a:latest"},
        {"ghcr.io/o/r/s:v1.2-x", "ghcr.io/o/r/s:v1.2-x",
         "ghcr.io/o/r/s:v1.2-x"},
        {"[::1]:5000/a", "[::1]:5000/a:latest", "[::1]:5000/a:latest"},
        {"a__b/c-d.e---f", "docker.io/a__b/c-d.e---f:latest",
         "a__b/c-d.e---f:latest"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct regname n;
        struct err e;
        char text[REGNAME_TEXT_SIZE];
        assert_int_equal(regname_parse(cases[i].in, &n, &e), 0);
        regname_text(&n, text);
        assert_string_equal(text, cases[i].out);
        regname_familiar(&n, text);
        assert_string_equal(text, cases[i].familiar);
    }
}

static void names_with_digests(void **state)
{
    (void)state;
    char text[128];
    struct regname n;
    struct err e;
    memcpy(text, "a@sha256:", 9);
    memset(text + 9, 'e', 64);
    text[73] = '\0';
    assert_int_equal(regname_parse(text, &n, &e), 0);
    assert_string_equal(n.tag, "");
    assert_int_equal(strlen(n.digest), 64);
    text[72] = 'E';
    assert_int_equal(regname_parse(text, &n, &e), -EINVAL);
    text[72] = '\0';
    assert_int_equal(regname_parse(text, &n, &e), -EINVAL);
}

static void odd_names_are_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",      "A",     "a/B",   "/a",     "a/",   "a//b",  "-a",
        "a-",    "a..b",  "a___b", "a:",     "a:.b", "a b",   "a:b c",
        "h:1/",  "h:x/a", "h:/a",  "..",     ".",    "a@b",   "a\n",
        "http:", "[1/a",  "h.:p/", "a@sha1", ":b",   "a:b:c",
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct regname n;
        struct err e;
        if (regname_parse(cases[i], &n, &e) != -EINVAL)
            fail_msg("'%s' was accepted", cases[i]);
    }
    char big[700];
    struct regname n;
    struct err e;
    memset(big, 'a', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    assert_int_equal(regname_parse(big, &n, &e), -EINVAL);
}

static void challenges_of_well_known_registries(void **state)
{
    (void)state;
    struct registry_challenge c;
    assert_int_equal(
        registry_parse_challenge(
            "Bearer realm=\"https://auth.docker.io/token\",service=\"registry."
            "docker.io\",scope=\"repository:library/nginx:pull\"",
            &c),
        0);
    assert_int_equal(c.kind, REGISTRY_AUTH_BEARER);
    assert_string_equal(c.realm, "https://auth.docker.io/token");
    assert_string_equal(c.service, "registry.docker.io");
    assert_string_equal(c.scope, "repository:library/nginx:pull");
    assert_int_equal(registry_parse_challenge(
                         "bearer realm=\"https://ghcr.io/token\",service=\"ghcr"
                         ".io\",scope=\"repository:user/image:pull\"",
                         &c),
                     0);
    assert_string_equal(c.service, "ghcr.io");
    assert_int_equal(
        registry_parse_challenge(
            "Bearer realm=\"https://quay.io/v2/auth\",service=\"quay.io\"", &c),
        0);
    assert_string_equal(c.scope, "");
    assert_int_equal(registry_parse_challenge("Basic realm=\"test\"", &c), 0);
    assert_int_equal(c.kind, REGISTRY_AUTH_BASIC);
    assert_int_equal(
        registry_parse_challenge("Bearer realm=\"http://h/a\\\"b\"", &c), 0);
    assert_string_equal(c.realm, "http://h/a\"b");
}

static void odd_challenges_are_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "Bearer",
        "Digest realm=\"x\"",
        "Bearer realm=\"https://x",
        "Bearer realm=\"file:///etc/passwd\"",
        "Bearer service=\"x\"",
        "Bearerrealm=\"https://x\"",
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct registry_challenge c;
        assert_int_equal(registry_parse_challenge(cases[i], &c), -EINVAL);
    }
}

static int parse_token(const char *text, char *out, size_t room)
{
    struct err e;
    return registry_parse_token(text, strlen(text), out, room, &e);
}

static void tokens(void **state)
{
    (void)state;
    char out[16];
    assert_int_equal(parse_token("{\"token\":\"abc\",\"access_token\":\"d\"}",
                                 out, sizeof(out)),
                     0);
    assert_string_equal(out, "abc");
    assert_int_equal(parse_token("{\"access_token\":\"d\"}", out, sizeof(out)),
                     0);
    assert_string_equal(out, "d");
    assert_int_equal(parse_token("{}", out, sizeof(out)), -EINVAL);
    assert_int_equal(parse_token("[", out, sizeof(out)), -EINVAL);
    assert_int_equal(
        parse_token("{\"token\":\"a\\r\\nX: y\"}", out, sizeof(out)), -EINVAL);
    assert_int_equal(
        parse_token("{\"token\":\"0123456789abcdef\"}", out, sizeof(out)),
        -EINVAL);
}

static void error_texts(void **state)
{
    (void)state;
    static const char json[] =
        "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"a\\tb\"}]}";
    char out[200];
    registry_error_text(json, sizeof(json) - 1, out);
    assert_string_equal(out, "DENIED: a?b");
    static const char *const others[] = {
        "{\"details\":\"why\"}", "{\"error\":\"why\",\"error_code\":\"X\"}",
        "{\"error\":\"x\",\"error_description\":\"why\"}",
        "{\"message\":\"why\"}"};
    for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
        registry_error_text(others[i], strlen(others[i]), out);
        assert_string_equal(out, "why");
    }
    registry_error_text("<html>", 6, out);
    assert_string_equal(out, "");
}

static void queries_are_encoded(void **state)
{
    (void)state;
    char out[32];
    assert_true(registry_encode("a:b/c d&", out, sizeof(out)));
    assert_string_equal(out, "a%3Ab%2Fc%20d%26");
    assert_false(registry_encode("::::::::::::", out, sizeof(out)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_completed_as_docker_does),
        cmocka_unit_test(names_with_digests),
        cmocka_unit_test(odd_names_are_refused),
        cmocka_unit_test(challenges_of_well_known_registries),
        cmocka_unit_test(odd_challenges_are_refused),
        cmocka_unit_test(tokens),
        cmocka_unit_test(error_texts),
        cmocka_unit_test(queries_are_encoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
