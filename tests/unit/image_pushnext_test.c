// SPDX-License-Identifier: Apache-2.0
/* image/pushnext.c and the addresses of image/upload.c: for each step and
 * answer of a registry the next step, by the OCI distribution specification,
 * and by what registries do instead. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/regname.h"
#include "image/pushnext.h"
#include "image/upload.h"

#define HOST "https://r.example"

static const struct regname name = {.host = "r.example", .repo = "a/b"};
static const struct regname from = {.host = "r.example", .repo = "c/d"};

static struct pushnext *next_new(void)
{
    struct pushnext *n = calloc(1, sizeof(*n));
    assert_non_null(n);
    n->name = &name;
    n->backoff_ms = 1;
    n->answered = true;
    (void)snprintf(n->to.url, sizeof(n->to.url), HOST);
    (void)snprintf(n->to.host, sizeof(n->to.host), "r.example");
    return n;
}

static struct upload *upload_new(enum upload_step step)
{
    struct upload *u = calloc(1, sizeof(*u));
    assert_non_null(u);
    *u = (struct upload){.state = UPLOAD_RUNNING,
                         .step = step,
                         .size = 1000,
                         .fd = -1,
                         .stream = {.pipe = -1},
                         .trouble = {.max = 4096}};
    memset(u->digest, 'a', SHA256_HEX_SIZE - 1);
    (void)snprintf(u->location, sizeof(u->location), "%s",
                   step >= UPLOAD_PATCH ? HOST "/v2/u/1" : "");
    return u;
}

static void upload_drop(struct upload *u)
{
    upload_fini(u);
    free(u);
}

/* One answer; what it did is in *u. */
static void answer(struct pushnext *n, struct upload *u, long status,
                   const char *body)
{
    u->failed = (struct err){0}; /* as upload_arm() does */
    u->status = status;
    buf_add(&u->trouble, body, strlen(body));
    pushnext_answer(n, u, CURLE_OK, HOST "/v2/u/1");
}

static void each_answer_has_a_next_step(void **state)
{
    (void)state;
    static const struct {
        enum upload_step step;
        long status;
        const char *location;
        enum upload_state state;
        enum upload_step next;
    } cases[] = {
        {UPLOAD_HEAD, 200, "", UPLOAD_ENDED, UPLOAD_HEAD},
        {UPLOAD_HEAD, 404, "", UPLOAD_WAITING, UPLOAD_POST},
        {UPLOAD_HEAD, 405, "", UPLOAD_WAITING, UPLOAD_POST},
        {UPLOAD_HEAD, 503, "", UPLOAD_WAITING, UPLOAD_HEAD},
        {UPLOAD_POST, 202, "/v2/u/2", UPLOAD_WAITING, UPLOAD_PATCH},
        {UPLOAD_POST, 202, "", UPLOAD_ENDED, UPLOAD_POST},
        {UPLOAD_POST, 202, "http://r.example/", UPLOAD_ENDED, UPLOAD_POST},
        {UPLOAD_POST, 403, "", UPLOAD_ENDED, UPLOAD_POST},
        {UPLOAD_POST, 429, "", UPLOAD_WAITING, UPLOAD_POST},
        {UPLOAD_PATCH, 202, "", UPLOAD_WAITING, UPLOAD_PUT},
        {UPLOAD_PATCH, 202, "/v2/u/3", UPLOAD_WAITING, UPLOAD_PUT},
        {UPLOAD_PATCH, 502, "", UPLOAD_WAITING, UPLOAD_STATUS},
        {UPLOAD_PATCH, 404, "", UPLOAD_WAITING, UPLOAD_POST},
        {UPLOAD_PATCH, 403, "", UPLOAD_ENDED, UPLOAD_PATCH},
        {UPLOAD_STATUS, 404, "", UPLOAD_WAITING, UPLOAD_POST},
        {UPLOAD_STATUS, 204, "", UPLOAD_WAITING, UPLOAD_POST},
        {UPLOAD_PUT, 201, "", UPLOAD_ENDED, UPLOAD_PUT},
        {UPLOAD_PUT, 500, "", UPLOAD_WAITING, UPLOAD_HEAD},
        {UPLOAD_PUT, 400, "", UPLOAD_WAITING, UPLOAD_POST},
        {UPLOAD_DOCUMENT, 201, "", UPLOAD_ENDED, UPLOAD_DOCUMENT},
        {UPLOAD_DOCUMENT, 400, "", UPLOAD_ENDED, UPLOAD_DOCUMENT},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct pushnext *n = next_new();
        struct upload *u = upload_new(cases[i].step);
        n->from = &from;
        (void)snprintf(u->next, sizeof(u->next), "%s", cases[i].location);
        answer(n, u, cases[i].status, "");
        assert_int_equal(u->state, cases[i].state);
        assert_int_equal(u->step, cases[i].next);
        bool good = cases[i].status < 300 && cases[i].step != UPLOAD_POST;
        if (u->state == UPLOAD_ENDED)
            assert_int_equal(u->failed.code == 0, good);
        upload_drop(u);
        free(n);
    }
}

static void refusals_say_what_to_do(void **state)
{
    (void)state;
    static const struct {
        long status;
        const char *body;
        const char *advice;
    } cases[] = {
        {403, "", "; limpet login r.example first"},
        {400, "{\"errors\":[{\"code\":\"DENIED\"}]}", "limpet login r.example"},
        {404, "{\"errors\":[{\"code\":\"NAME_UNKNOWN\"}]}", "make the"},
        {404, "", "make the repository"},
        {405, "<html>", "nobody can push"},
        {413, "", "nothing that large"},
        {400, "{\"errors\":[{\"code\":\"MANIFEST_BLOB_UNKNOWN\"}]}", "again"},
        {400, "{\"errors\":[{\"code\":\"DIGEST_INVALID\"}]}", "damaged"},
        {418, "", "(HTTP 418)"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct pushnext *n = next_new();
        struct upload *u = upload_new(UPLOAD_DOCUMENT);
        answer(n, u, cases[i].status, cases[i].body);
        assert_int_equal(u->state, UPLOAD_ENDED);
        assert_true(u->failed.code < 0);
        assert_non_null(strstr(u->failed.msg, cases[i].advice));
        upload_drop(u);
        free(n);
    }
}

static void tries_end(void **state)
{
    (void)state;
    struct pushnext *n = next_new();
    struct upload *u = upload_new(UPLOAD_DOCUMENT);
    unsigned tries = 0;
    for (; u->state != UPLOAD_ENDED && tries < 100; tries++)
        answer(n, u, tries % 2 == 0 ? 503 : 429, "");
    assert_int_equal(tries, 6);
    upload_drop(u);
    /* Nobody ever answered: no use in six. */
    u = upload_new(UPLOAD_HEAD);
    n->answered = false;
    for (tries = 0; u->state != UPLOAD_ENDED && tries < 100; tries++) {
        u->failed = (struct err){0};
        pushnext_answer(n, u, CURLE_COULDNT_CONNECT, HOST);
    }
    assert_int_equal(tries, 2);
    upload_drop(u);
    free(n);
}

static void http_only_where_it_is_allowed(void **state)
{
    (void)state;
    struct pushnext *n = next_new();
    struct upload *u = upload_new(UPLOAD_HEAD);
    n->answered = false;
    n->to.http_too = true;
    pushnext_answer(n, u, CURLE_SSL_CONNECT_ERROR, HOST);
    assert_int_equal(u->state, UPLOAD_WAITING);
    assert_string_equal(n->to.url, "http://r.example");
    upload_drop(u);
    free(n);
}

static void mounts_and_what_if_not(void **state)
{
    (void)state;
    struct pushnext *n = next_new();
    struct upload *u = upload_new(UPLOAD_HEAD);
    n->from = &from;
    n->mount = true;
    (void)snprintf(n->mounted, sizeof(n->mounted), "Mounted from c/d");
    answer(n, u, 404, "");
    assert_true(u->mount && u->step == UPLOAD_POST);
    answer(n, u, 405, "");
    assert_true(!u->mount && u->step == UPLOAD_POST);
    u->mount = true;
    answer(n, u, 201, "");
    assert_int_equal(u->state, UPLOAD_ENDED);
    assert_string_equal(u->outcome, "Mounted from c/d");
    upload_drop(u);
    free(n);
}

static void nothing_to_send(void **state)
{
    (void)state;
    struct pushnext *n = next_new();
    struct upload *u = upload_new(UPLOAD_HEAD);
    answer(n, u, 404, "");
    assert_int_equal(u->state, UPLOAD_ENDED);
    assert_int_equal(u->failed.code, -ENOENT);
    assert_non_null(strstr(u->failed.msg, "--keep-blobs"));
    upload_drop(u);
    free(n);
}

static void what_came_is_not_sent_again(void **state)
{
    (void)state;
    static const struct {
        uint64_t has;
        enum upload_step next;
        uint64_t acked;
    } cases[] = {{0, UPLOAD_PATCH, 0},
                 {400, UPLOAD_PATCH, 400},
                 {1000, UPLOAD_PUT, 1000},
                 {1001, UPLOAD_POST, 0}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct pushnext *n = next_new();
        struct upload *u = upload_new(UPLOAD_STATUS);
        u->tries = 3;
        u->has_range = true;
        u->range_size = cases[i].has;
        answer(n, u, 204, "");
        assert_int_equal(u->step, cases[i].next);
        assert_int_equal(u->acked, cases[i].acked);
        upload_drop(u);
        free(n);
    }
}

/* It says that it has more and less by turns: that is no progress. */
static void a_registry_that_forgets(void **state)
{
    (void)state;
    struct pushnext *n = next_new();
    struct upload *u = upload_new(UPLOAD_PATCH);
    unsigned breaks = 0;
    for (; u->state != UPLOAD_ENDED && breaks < 100; breaks++) {
        u->failed = (struct err){0};
        pushnext_answer(n, u, CURLE_RECV_ERROR, HOST);
        if (u->step != UPLOAD_STATUS)
            break;
        u->has_range = true;
        u->range_size = breaks % 2 == 0 ? 400 : 100;
        answer(n, u, 204, "");
    }
    assert_int_equal(u->state, UPLOAD_ENDED);
    assert_true(breaks < 10);
    upload_drop(u);
    free(n);
}

static void passwords_are_asked_once(void **state)
{
    (void)state;
    struct pushnext *n = next_new();
    struct upload *u = upload_new(UPLOAD_HEAD);
    (void)snprintf(n->creds.user, sizeof(n->creds.user), "edge");
    (void)snprintf(u->challenge, sizeof(u->challenge), "Basic realm=\"x\"");
    answer(n, u, 401, "");
    assert_int_equal(u->state, UPLOAD_WAITING);
    assert_string_equal(n->auth.header, "Authorization: Basic ZWRnZTo=");
    answer(n, u, 401, "");
    assert_int_equal(u->state, UPLOAD_ENDED);
    assert_non_null(strstr(u->failed.msg, "as somebody who may push"));
    upload_drop(u);
    free(n);
}

static void another_digest_is_refused(void **state)
{
    (void)state;
    struct pushnext *n = next_new();
    struct upload *u = upload_new(UPLOAD_PUT);
    (void)snprintf(u->is, sizeof(u->is), "sha256:%064d", 0);
    answer(n, u, 201, "");
    assert_int_equal(u->failed.code, -EBADMSG);
    upload_drop(u);
    free(n);
}

static void sessions_are_where_locations_say(void **state)
{
    (void)state;
    static const struct {
        const char *base, *next, *want;
    } cases[] = {
        {HOST "/v2/x/", "/v2/u/1?a=b", HOST "/v2/u/1?a=b"},
        {HOST "/v2/x/", "u/1", HOST "/v2/x/u/1"},
        {HOST "/v2/x/", "https://o.example:5/u", "https://o.example:5/u"},
        {"http://r.example/v2/", "http://o.example/u", "http://o.example/u"},
        {HOST "/v2/x/", "http://r.example/u", NULL},
        {HOST "/v2/x/", "ftp://r.example/u", NULL},
        {HOST "/v2/x/", "", NULL},
        {HOST "/v2/x/", "https://", NULL},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct upload *u = upload_new(UPLOAD_POST);
        (void)snprintf(u->next, sizeof(u->next), "%s", cases[i].next);
        assert_int_equal(upload_follow(u, cases[i].base),
                         cases[i].want != NULL);
        assert_string_equal(u->location,
                            cases[i].want != NULL ? cases[i].want : "");
        upload_drop(u);
    }
}

static void credentials_are_for_one_place(void **state)
{
    (void)state;
    const struct registry_endpoint to = {.url = HOST};
    assert_true(upload_is_at(HOST "/v2/", &to));
    assert_true(upload_is_at("https://R.example:443/v2/", &to));
    assert_false(upload_is_at("http://r.example/v2/", &to));
    assert_false(upload_is_at("https://r.example:444/v2/", &to));
    assert_false(upload_is_at("https://r.example.evil/v2/", &to));
    assert_false(upload_is_at("https://r.example@evil/v2/", &to));
    assert_false(upload_is_at("", &to));
}

static void a_broken_stream_is_thrown_away(void **state)
{
    (void)state;
    static const uint32_t heads[] = {3, 2, 0};
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    struct upload_stream s = {.pipe = ends[0], .used = true};
    upload_drain(&s);
    assert_false(s.ended);
    assert_int_equal(write(ends[1], &heads[0], 4), 4);
    assert_int_equal(write(ends[1], "abc", 3), 3);
    assert_int_equal(write(ends[1], &heads[1], 4), 4);
    assert_int_equal(write(ends[1], "d", 1), 1);
    upload_drain(&s);
    assert_false(s.ended);
    assert_int_equal(s.left, 1);
    assert_int_equal(write(ends[1], "e", 1), 1);
    assert_int_equal(write(ends[1], &heads[2], 4), 4);
    upload_drain(&s);
    assert_true(s.ended);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_answer_has_a_next_step),
        cmocka_unit_test(refusals_say_what_to_do),
        cmocka_unit_test(tries_end),
        cmocka_unit_test(http_only_where_it_is_allowed),
        cmocka_unit_test(mounts_and_what_if_not),
        cmocka_unit_test(nothing_to_send),
        cmocka_unit_test(what_came_is_not_sent_again),
        cmocka_unit_test(a_registry_that_forgets),
        cmocka_unit_test(passwords_are_asked_once),
        cmocka_unit_test(another_digest_is_refused),
        cmocka_unit_test(sessions_are_where_locations_say),
        cmocka_unit_test(credentials_are_for_one_place),
        cmocka_unit_test(a_broken_stream_is_thrown_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
