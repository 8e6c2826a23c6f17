// SPDX-License-Identifier: Apache-2.0
/* image/http.c without its transport, and image/creds.c: who gets a password,
 * where it is kept, and what people are told. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/path.h"
#include "image/creds.h"
#include "image/http.h"

static char folder[] = "/tmp/limpet-http-test.XXXXXX";
static char auth_file[64];

static int make_folder(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(auth_file, sizeof(auth_file), "%s/auth.json", folder);
    (void)setenv("REGISTRY_AUTH_FILE", auth_file, 1);
    return 0;
}

static int drop_folder(void **state)
{
    (void)state;
    (void)unlink(auth_file);
    return rmdir(folder);
}

static void write_file(const char *text)
{
    struct err e;
    assert_int_equal(
        path_replace(AT_FDCWD, auth_file, text, strlen(text), 0, &e), 0);
}

static void header_lines(void **state)
{
    (void)state;
    static const struct {
        const char *line, *want;
    } cases[] = {
        {"Location: /a\r\n", "/a"},
        {"LOCATION:\t/a \r\n", "/a"},
        {"location:\r\n", ""},
        {"Locations: /a\r\n", NULL},
        {"Location /a\r\n", NULL},
        {"", NULL},
        {"location: 123456789\r\n", "1234567"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        char out[8];
        const char *is = http_header(cases[i].line, strlen(cases[i].line),
                                     "location", out, sizeof(out));
        if (cases[i].want == NULL)
            assert_null(is);
        else
            assert_string_equal(is, cases[i].want);
    }
}

static void plain_http_is_an_exception(void **state)
{
    (void)state;
    struct registry_endpoint to = {.url = "https://h:5000"};
    assert_false(http_fall_back(&to, CURLE_SSL_CONNECT_ERROR));
    to.http_too = true;
    assert_false(http_fall_back(&to, CURLE_PEER_FAILED_VERIFICATION));
    assert_true(http_fall_back(&to, CURLE_SSL_CONNECT_ERROR));
    assert_string_equal(to.url, "http://h:5000");
    assert_false(http_fall_back(&to, CURLE_COULDNT_CONNECT));
}

static void errors_say_what_to_do(void **state)
{
    (void)state;
    static const struct {
        CURLcode code;
        const char *detail;
        int errno_;
        const char *word;
    } cases[] = {
        {CURLE_PEER_FAILED_VERIFICATION, "unable to get local issuer", -EACCES,
         "/etc/docker/certs.d/h/ca.crt"},
        {CURLE_PEER_FAILED_VERIFICATION, "certificate has expired", -EACCES,
         "must mend"},
        {CURLE_PEER_FAILED_VERIFICATION, "certificate subject name 'x'",
         -EACCES, "must mend"},
        {CURLE_TOO_MANY_REDIRECTS, "", -ELOOP, "redirects"},
        {CURLE_UNSUPPORTED_PROTOCOL, "", -EACCES, "unencrypted"},
        {CURLE_OUT_OF_MEMORY, "", -ENOMEM, "memory"},
        {CURLE_COULDNT_CONNECT, "", -EIO, "h: "},
    };
    const struct registry_endpoint to = {.host = "h"};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct err e;
        assert_int_equal(http_error(cases[i].code, cases[i].detail, &to, &e),
                         cases[i].errno_);
        assert_non_null(strstr(e.msg, cases[i].word));
    }
}

static void passwords_go_where_they_may(void **state)
{
    (void)state;
    struct http h = {0};
    struct registry_endpoint to = {.url = "https://h", .host = "h"};
    struct http_auth *auth = calloc(1, sizeof(*auth));
    struct creds *c = calloc(1, sizeof(*c));
    struct err e;
    assert_true(auth != NULL && c != NULL);
    auth->challenge.kind = REGISTRY_AUTH_BASIC;
    assert_int_equal(http_authorize(&h, &to, auth, c, "", &e), -EACCES);
    assert_non_null(strstr(e.msg, "limpet login h"));
    (void)snprintf(c->user, sizeof(c->user), "edge");
    (void)snprintf(c->password, sizeof(c->password), "s3cret");
    assert_int_equal(http_authorize(&h, &to, auth, c, "", &e), 0);
    assert_string_equal(auth->header, "Authorization: Basic ZWRnZTpzM2NyZXQ=");
    /* An encrypted registry sends us to a server in the clear. */
    auth->challenge = (struct registry_challenge){.kind = REGISTRY_AUTH_BEARER,
                                                  .realm = "http://t/token"};
    assert_int_equal(http_authorize(&h, &to, auth, c, "a b", &e), -EACCES);
    assert_non_null(strstr(e.msg, "not https"));
    (void)snprintf(auth->challenge.realm, sizeof(auth->challenge.realm), "x");
    assert_int_equal(http_authorize(&h, &to, auth, c, "", &e), -EINVAL);
    http_fini(&h);
    free(auth);
    free(c);
}

static void kept_found_and_forgotten(void **state)
{
    (void)state;
    char path[PATH_MAX];
    struct stat st;
    struct err e;
    struct creds *c = calloc(1, sizeof(*c));
    struct creds *is = calloc(1, sizeof(*is));
    assert_true(c != NULL && is != NULL);
    (void)unlink(auth_file);
    assert_int_equal(creds_find("h:5000", is, &e), 0);
    assert_string_equal(is->user, "");
    (void)snprintf(c->user, sizeof(c->user), "org+robot");
    (void)snprintf(c->password, sizeof(c->password), "a:b c");
    assert_int_equal(creds_store("h:5000", c, path, &e), 0);
    assert_string_equal(path, auth_file);
    assert_int_equal(creds_store("docker.io", c, path, &e), 0);
    assert_int_equal(stat(auth_file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    static const char *const hosts[] = {"h:5000", "docker.io"};
    for (size_t i = 0; i < ARRAY_COUNT(hosts); i++) {
        assert_int_equal(creds_find(hosts[i], is, &e), 0);
        assert_string_equal(is->user, "org+robot");
        assert_string_equal(is->password, "a:b c");
        assert_int_equal(creds_erase(hosts[i], &e), 1);
        assert_int_equal(creds_erase(hosts[i], &e), 0);
        creds_wipe(is);
        assert_int_equal(creds_find(hosts[i], is, &e), 0);
        assert_string_equal(is->user, "");
    }
    free(c);
    free(is);
}

static void files_that_others_wrote(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int code;
        const char *user, *identity;
    } cases[] = {
        {"", 0, "", ""},
        {"{}", 0, "", ""},
        {"{\"auths\":{\"h\":{\"auth\":\"YTpi\"}}}", 0, "a", ""},
        {"{\"auths\":{\"https://h\":{\"auth\":\"YTpi\"}}}", 0, "a", ""},
        {"{\"auths\":{\"h\":{\"username\":\"a\",\"password\":\"b\"}}}", 0, "a",
         ""},
        {"{\"auths\":{\"h\":{\"auth\":\"YTo=\",\"identitytoken\":\"t\"}}}", 0,
         "a", "t"},
        {"{\"auths\":{\"other\":{\"auth\":\"YTpi\"}}}", 0, "", ""},
        {"{\"auths\":{\"h\":{}}}", 0, "", ""},
        {"{", -EINVAL, "", ""},
        {"[]", -EINVAL, "", ""},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct creds *c = calloc(1, sizeof(*c));
        struct err e = {0};
        assert_non_null(c);
        write_file(cases[i].text);
        assert_int_equal(creds_find("h", c, &e) < 0, cases[i].code < 0);
        assert_string_equal(c->user, cases[i].user);
        assert_string_equal(c->identity, cases[i].identity);
        free(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_lines),
        cmocka_unit_test(plain_http_is_an_exception),
        cmocka_unit_test(errors_say_what_to_do),
        cmocka_unit_test(passwords_go_where_they_may),
        cmocka_unit_test(kept_found_and_forgotten),
        cmocka_unit_test(files_that_others_wrote),
    };
    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
