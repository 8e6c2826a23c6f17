// SPDX-License-Identifier: Apache-2.0
/* What peers can make TCP keep, and who goes on when memory is full. */
#include "tests/unit/guest_tcp_link.h"

/* Only what the linker wraps: tcp_memory_room, tcp_orphan_room. */
static struct {
    bool memory, orphans; /* full */
} full;

bool __real_tcp_memory_room(void);
bool __real_tcp_orphan_room(void);
bool __wrap_tcp_memory_room(void);
bool __wrap_tcp_orphan_room(void);

bool __wrap_tcp_memory_room(void)
{
    return !full.memory && __real_tcp_memory_room();
}

bool __wrap_tcp_orphan_room(void)
{
    return !full.orphans && __real_tcp_orphan_room();
}

static void until(const struct tcp_sock *t, uint8_t want)
{
    for (int i = 0; i < 100000 && t->state != want; i++)
        link_step(MS);
    assert_int_equal(t->state, want);
}

static void reset(void)
{
    full.memory = full.orphans = false;
    link_reset();
}

/* Memory that other sockets have: who has nothing on its way may send a little,
 * and what comes back for it wakes the writer. */
static void test_full(void **state)
{
    static uint8_t big[65536];
    (void)state;
    reset();
    struct pair p = pair_new(LX_AF_INET);
    full.memory = true;
    assert_true(tcp_writable(p.a));
    assert_in_range(sock_send(p.a, big, sizeof(big), 0), 1, PAGE_SIZE);
    assert_false(tcp_writable(p.a));
    assert_int_equal(sock_send(p.a, "x", 1, 0), -EAGAIN);
    for (int i = 0; i < 1000 && !tcp_writable(p.a); i++)
        link_step(MS);
    assert_true(tcp_writable(p.a));
    assert_int_equal(sock_send(p.a, "x", 1, 0), 1);
    full.memory = false;
    pair_free(&p);
}

/* Memory that other sockets' readers leave full: who is read goes on. */
static void test_read_when_full(void **state)
{
    static uint8_t buf[65536];
    (void)state;
    reset();
    struct pair p = pair_new(LX_AF_INET);
    full.memory = true;
    for (int i = 0; i < 500 && p.a->snd_wnd != 0; i++) {
        (void)sock_send(p.a, buf, PAGE_SIZE, 0);
        link_run(5 * MS);
    }
    assert_int_equal(p.a->snd_wnd, 0);
    while (sock_recv(p.b, buf, sizeof(buf), 0) > 0)
        ;
    link_run(5 * SECOND);
    assert_true(tcp_queued(p.b) > 1000); /* more than probes bring */
    full.memory = false;
    pair_free(&p);
}

/* A peer that answers every probe and takes nothing. */
static struct pair deaf_orphan(void)
{
    static uint8_t buf[65536];
    reset();
    struct pair p = pair_new(LX_AF_INET);
    for (int i = 0; i < 100; i++) {
        while (sock_send(p.a, buf, sizeof(buf), 0) > 0)
            ;
        link_run(50 * MS);
    }
    assert_int_equal(p.a->snd_wnd, 0);
    sock_close(p.a);
    link_run(5 * SECOND);
    assert_int_equal(tcp_orphans, 1);
    return p;
}

static void deaf_end(struct pair *p)
{
    assert_int_equal(tcp_orphans, 0);
    full.memory = false;
    sock_close(p->b);
    sock_close(p->l);
    link_run(200 * SECOND);
}

static void test_orphan_of_memory(void **state)
{
    (void)state;
    struct pair p = deaf_orphan();
    full.memory = true;
    link_run(130 * SECOND);
    deaf_end(&p);
}

static void test_orphan_of_time(void **state)
{
    (void)state;
    struct pair p = deaf_orphan();
    link_run(1200 * SECOND);
    deaf_end(&p);
}

/* Closed when it is in TIME_WAIT already: one more, or none. */
static void test_time_wait(void **state)
{
    (void)state;
    reset();
    for (int i = 0; i < 2; i++) {
        struct pair p = pair_new(LX_AF_INET);
        assert_int_equal(tcp_shutdown(&p.a->k.s, LX_SHUT_WR), 0);
        until(p.b, TCP_CLOSE_WAIT);
        assert_int_equal(tcp_shutdown(&p.b->k.s, LX_SHUT_WR), 0);
        until(p.a, TCP_TIME_WAIT);
        full.orphans = i == 1;
        inet_get(&p.a->k);
        sock_close(p.a);
        assert_int_equal(p.a->state, i == 0 ? TCP_TIME_WAIT : TCP_CLOSE);
        inet_put(&p.a->k);
        full.orphans = false;
        sock_close(p.b);
        sock_close(p.l);
        link_run(200 * SECOND);
    }
}

/* TCP_DEFER_ACCEPT, and peers that say nothing: cookies do not pass by the
 * listener's bound. */
static void test_deferred(void **state)
{
    struct tcp_sock *from[200];
    (void)state;
    reset();
    struct tcp_sock *l = sock_new(LX_AF_INET);
    sock_bind(l, 2, 81);
    assert_int_equal(tcp_listen(&l->k.s, 8), 0);
    l->tune.defer_accept = 5;
    for (unsigned i = 0; i < ARRAY_COUNT(from); i++) {
        from[i] = sock_new(LX_AF_INET);
        assert_int_equal(sock_connect(from[i], 2, 81), -EINPROGRESS);
        link_run(5 * MS);
    }
    link_run(SECOND);
    assert_true(l->cookie_time != 0);
    assert_true(l->pending_count <= 9);
    assert_true(l->ready_count <= 9);
    for (unsigned i = 0; i < ARRAY_COUNT(from); i++)
        sock_close(from[i]);
    sock_close(l);
    link_run(300 * SECOND);
}

/* connect(2), AF_UNSPEC: nothing of the last connection is there to read. */
static void test_disconnect(void **state)
{
    char c[4];
    struct net_addr none = {.size = sizeof(none.family)};
    (void)state;
    reset();
    struct pair p = pair_new(LX_AF_INET);
    assert_int_equal(sock_send(p.b, "12345", 5, 0), 5);
    link_run(SECOND);
    assert_int_equal(tcp_queued(p.a), 5);
    assert_int_equal(tcp_connect(&p.a->k.s, &none, false), 0);
    assert_int_equal(tcp_queued(p.a), 0);
    assert_int_equal(sock_recv(p.a, c, 4, 0), -ENOTCONN);
    assert_int_equal(tcp_poll(&p.a->k.s, NULL) & EPOLLIN, 0);
    pair_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_read_when_full),
        cmocka_unit_test(test_orphan_of_memory),
        cmocka_unit_test(test_orphan_of_time),
        cmocka_unit_test(test_time_wait),
        cmocka_unit_test(test_deferred),
        cmocka_unit_test(test_disconnect),
    };
    return cmocka_run_group_tests(tests, link_setup, NULL);
}
