// SPDX-License-Identifier: Apache-2.0
/* image/fetcher.c: a converter that ends while it is being answered. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/regname.h"
#include "image/fetch.h"
#include "image/fetcher.h"

/* Its last word, or only its end, comes when the answer could not be sent. */
struct converter {
    int sock;
    bool says_why;
};

static void *end_later(void *arg)
{
    const struct converter *c = arg;
    struct fetch_ask last = {.op = FETCH_FAILED,
                             .failed = {-EBADMSG, "layer three is wrong"}};
    const struct timespec t = {0, 300000000};
    (void)nanosleep(&t, NULL);
    if (c->says_why)
        (void)!write(c->sock, &last, sizeof(last));
    (void)close(c->sock);
    return NULL;
}

static int serve(bool says_why, struct err *e)
{
    struct regname name;
    const struct fetcher_options o = {
        .name = &name, .quiet = true, .backoff_ms = 1};
    struct fetch_ask ask = {.op = FETCH_DOCUMENT, .size = 100};
    struct fetcher *f;
    struct fetcher_result r;
    int socks[2];
    pthread_t thread;

    assert_int_equal(regname_parse("127.0.0.1:1/a/b", &name, e), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, socks), 0);
    (void)snprintf(ask.name, sizeof(ask.name), "sha256:%064d", 1);
    assert_int_equal(write(socks[1], &ask, sizeof(ask)), sizeof(ask));
    assert_int_equal(shutdown(socks[1], SHUT_RD), 0);
    struct converter c = {socks[1], says_why};
    assert_int_equal(pthread_create(&thread, NULL, end_later, &c), 0);
    assert_int_equal(fetcher_new(&o, &f, e), 0);
    int code = fetcher_serve(f, socks[0], NULL, 0, &r, e);
    fetcher_free(f);
    (void)pthread_join(thread, NULL);
    (void)close(socks[0]);
    return code;
}

static void its_reason_is_told(void **state)
{
    struct err e;
    (void)state;
    assert_int_equal(serve(true, &e), -EBADMSG);
    assert_string_equal(e.msg, "layer three is wrong");
}

static void silence_is_a_failure(void **state)
{
    struct err e;
    (void)state;
    assert_int_equal(serve(false, &e), -EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_reason_is_told),
        cmocka_unit_test(silence_is_a_failure),
    };
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
