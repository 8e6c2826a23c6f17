// SPDX-License-Identifier: Apache-2.0
/* States, deadlines and hostile peers: RFC 9293, 5961, 6298, 1122, 4987. */
#include "guest/core/page.h"
#include "tests/unit/guest_tcp_link.h"

/* --- what goes over the link --- */

static struct {
    unsigned count, syns, resets, acks, fins;
    nsec_t at[64];
    bool drop;
} seen;

static bool watch(const struct packet *p)
{
    const uint8_t *h = p->head + p->head_off;
    if (seen.count < ARRAY_COUNT(seen.at))
        seen.at[seen.count] = clock_now();
    seen.count++;
    seen.syns += (h[13] & TCP_SYN) != 0;
    seen.resets += (h[13] & TCP_RST) != 0;
    seen.fins += (h[13] & TCP_FIN) != 0;
    seen.acks += h[13] == TCP_ACK;
    return seen.drop;
}

static void watch_start(bool drop)
{
    memset(&seen, 0, sizeof(seen));
    seen.drop = drop;
    net_link.filter = watch;
}

static void inject(const struct tcp_sock *t, uint8_t flags, uint32_t seq,
                   uint32_t ack, unsigned size)
{
    const struct lx_tcphdr h = {
        .seq = be32(seq), .ack = be32(ack), .flags = flags};
    link_inject(t, &h, size);
}

/* --- deadlines --- */

static void near(nsec_t a, nsec_t b)
{
    if (a + 20 * MS < b || b + 20 * MS < a)
        fail_msg("%llu ms is not %llu ms", (unsigned long long)(a / MS),
                 (unsigned long long)(b / MS));
}

/* RFC 6298, 2.1 and 5.5: 1, 2, 4 ... s; tcp(7): 6 retries, 127 s. */
static void test_syn_retries(void **state)
{
    (void)state;
    link_reset();
    watch_start(true);
    struct tcp_sock *t = sock_new(LX_AF_INET);
    nsec_t start = clock_now();
    assert_int_equal(sock_connect(t, 2, 9), -EINPROGRESS);
    while (t->state != TCP_CLOSE && clock_now() - start < 300 * SECOND)
        link_step(MS);
    near(clock_now() - start, 127 * SECOND);
    assert_int_equal(seen.syns, 7);
    for (unsigned i = 1; i < 7; i++)
        near(seen.at[i] - seen.at[i - 1], SECOND << (i - 1));
    assert_int_equal(socket_error(&t->k.s), -ETIMEDOUT);
    sock_close(t);
    net_link.filter = NULL;
}

static void test_rto(void **state)
{
    (void)state;
    link_reset();
    struct pair p = pair_new(LX_AF_INET);
    assert_int_equal(sock_send(p.a, "x", 1, 0), 1);
    link_run(SECOND);
    watch_start(true);
    nsec_t rto = p.a->rto;
    assert_true(rto >= 200 * MS && rto < 300 * MS);
    assert_int_equal(sock_send(p.a, "y", 1, 0), 1);
    link_run(20 * SECOND);
    /* the first, a probe (RFC 8985), then each after twice the time */
    assert_true(seen.count >= 7);
    for (unsigned i = 4; i < 7; i++)
        near(seen.at[i] - seen.at[i - 1],
             2 * (seen.at[i - 1] - seen.at[i - 2]));
    p.a->tune.user_timeout = 30000;
    nsec_t start = clock_now();
    while (p.a->state != TCP_CLOSE && clock_now() - start < 200 * SECOND)
        link_step(MS);
    assert_int_equal(socket_error(&p.a->k.s), -ETIMEDOUT);
    assert_true(clock_now() - start < 60 * SECOND);
    net_link.filter = NULL;
    pair_free(&p);
}

static void test_keepalive(void **state)
{
    (void)state;
    link_reset();
    struct pair p = pair_new(LX_AF_INET6);
    p.a->tune.keep_idle = 10;
    p.a->tune.keep_interval = 5;
    p.a->tune.keep_count = 3;
    p.a->k.s.options |= 1u << LX_SO_KEEPALIVE;
    spin_lock(&p.a->k.lock);
    tcp_keep_start(p.a);
    spin_unlock(&p.a->k.lock);
    watch_start(false);
    link_run(60 * SECOND); /* it answers */
    assert_int_equal(p.a->state, TCP_ESTABLISHED);
    assert_in_range(seen.count, 10, 14);
    watch_start(true);
    link_run(30 * SECOND);
    assert_int_equal(p.a->state, TCP_CLOSE);
    assert_int_equal(seen.resets, 1);
    assert_int_equal(socket_error(&p.a->k.s), -ETIMEDOUT);
    net_link.filter = NULL;
    pair_free(&p);
}

/* RFC 9293, 3.8.6.1: it is asked, less and less often, and goes on. */
static void test_zero_window(void **state)
{
    static uint8_t buf[65536];
    (void)state;
    link_reset();
    struct pair p = pair_new(LX_AF_INET);
    uint64_t sent = 0, got = 0;
    for (int i = 0; i < 100; i++) {
        int64_t r;
        while ((r = sock_send(p.a, buf, sizeof(buf), 0)) > 0)
            sent += (uint64_t)r;
        link_run(50 * MS);
    }
    assert_int_equal(p.a->snd_wnd, 0);
    watch_start(false);
    link_run(60 * SECOND);
    assert_in_range(seen.count, 4, 40);
    nsec_t start = clock_now();
    while (got < sent && clock_now() - start < 200 * SECOND) {
        int64_t r = sock_recv(p.b, buf, sizeof(buf), 0);
        got += r > 0 ? (uint64_t)r : 0;
        link_step(MS);
    }
    assert_int_equal(got, sent);
    pair_free(&p);
}

/* RFC 1122, 4.2.3.2 and 4.2.3.4: one small segment at a time, late ACKs. */
static void test_nagle(void **state)
{
    (void)state;
    link_reset();
    struct pair p = pair_new(LX_AF_INET);
    link_run(SECOND);
    watch_start(false);
    for (int i = 0; i < 10; i++)
        assert_int_equal(sock_send(p.a, "z", 1, 0), 1);
    assert_int_equal(seen.count, 1);
    link_run(SECOND);
    assert_int_equal(p.b->rcv_nxt - p.b->copied_seq, 10);
    p.a->tune.nodelay = true;
    watch_start(false);
    for (int i = 0; i < 10; i++)
        assert_int_equal(sock_send(p.a, "z", 1, 0), 1);
    assert_int_equal(seen.count, 10);
    p.a->tune.cork = true;
    link_run(SECOND);
    watch_start(false);
    assert_int_equal(sock_send(p.a, "z", 1, 0), 1);
    assert_int_equal(seen.count, 0);
    link_run(SECOND); /* not for ever: tcp(7) */
    assert_true(seen.count >= 1);
    pair_free(&p);
}

/* RFC 9293, MUST-58 and 59: what came together is acknowledged together. */
static struct tcp_sock *burst_to;

static void burst(struct net_work *w)
{
    (void)w;
    for (unsigned i = 0; i < 8; i++)
        inject(burst_to, TCP_ACK, burst_to->rcv_nxt, burst_to->snd_una, 40);
}

static void test_acks_together(void **state)
{
    struct net_work w;
    (void)state;
    link_reset();
    struct pair p = pair_new(LX_AF_INET);
    link_run(SECOND);
    burst_to = p.b;
    watch_start(true);
    burst(&w); /* a segment each time */
    assert_true(seen.acks >= 4);
    watch_start(true);
    uint32_t from = p.b->rcv_nxt;
    net_work_init(&w, burst);
    net_work_queue(&w);
    link_run(10 * MS);
    assert_int_equal(p.b->rcv_nxt - from, 8 * 40);
    assert_int_equal(seen.acks, 1);
    assert_int_equal(p.b->last_ack, p.b->rcv_nxt);
    net_link.filter = NULL;
    pair_free(&p);
}

/* --- ends --- */

static void until(const struct tcp_sock *t, uint8_t want)
{
    for (int i = 0; i < 100000 && t->state != want; i++)
        link_step(MS);
    assert_int_equal(t->state, want);
}

/* Questions and answers in turns, of any size, carry each other's ACKs. */
static void test_turns(void **state)
{
    (void)state;
    static uint8_t data[600];
    link_reset();
    struct pair p = pair_new(LX_AF_INET);
    uint64_t before = 0;
    for (unsigned i = 0; i < 30; i++) {
        if (i == 10) /* now both know how it goes */
            before = net_link.sent;
        assert_int_equal(sock_send(p.a, data, 600, 0), 600);
        link_run(12 * MS);
        assert_int_equal(sock_recv(p.b, data, 600, 0), 600);
        assert_int_equal(sock_send(p.b, data, 100, 0), 100);
        link_run(12 * MS);
        assert_int_equal(sock_recv(p.a, data, 600, 0), 100);
    }
    assert_int_equal(net_link.sent - before, 2 * 20);
    pair_free(&p);
}

static void test_half_close(void **state)
{
    char c[4];
    (void)state;
    link_reset();
    struct pair p = pair_new(LX_AF_INET);
    assert_int_equal(tcp_shutdown(&p.a->k.s, LX_SHUT_WR), 0);
    until(p.b, TCP_CLOSE_WAIT);
    until(p.a, TCP_FIN_WAIT2);
    assert_int_equal(sock_recv(p.b, c, 4, 0), 0);
    assert_int_equal(sock_send(p.b, "abcd", 4, 0), 4);
    link_run(SECOND);
    assert_int_equal(sock_recv(p.a, c, 4, 0), 4);
    assert_int_equal(sock_send(p.a, "e", 1, 0), -EPIPE);
    assert_int_equal(tcp_shutdown(&p.b->k.s, LX_SHUT_WR), 0);
    until(p.a, TCP_TIME_WAIT);
    until(p.b, TCP_CLOSE);
    link_run(61 * SECOND);
    assert_int_equal(p.a->state, TCP_CLOSE);
    pair_free(&p);
}

/* RFC 9293, 3.6, figure 13: both at once. */
static void test_close_both(void **state)
{
    (void)state;
    link_reset();
    struct pair p = pair_new(LX_AF_INET);
    (void)tcp_shutdown(&p.a->k.s, LX_SHUT_WR);
    (void)tcp_shutdown(&p.b->k.s, LX_SHUT_WR);
    until(p.a, TCP_CLOSING);
    until(p.a, TCP_TIME_WAIT);
    until(p.b, TCP_TIME_WAIT);
    pair_free(&p);
}

/* Figure 7: both open. */
static void test_open_both(void **state)
{
    (void)state;
    link_reset();
    struct tcp_sock *a = sock_new(LX_AF_INET), *b = sock_new(LX_AF_INET);
    sock_bind(a, 1, 700);
    sock_bind(b, 2, 701);
    assert_int_equal(sock_connect(a, 2, 701), -EINPROGRESS);
    assert_int_equal(sock_connect(b, 1, 700), -EINPROGRESS);
    until(a, TCP_ESTABLISHED);
    until(b, TCP_ESTABLISHED);
    assert_true(stream_pump(a, b, 100000, 100 * SECOND) != 0);
    assert_true(stream_pump(b, a, 100000, 100 * SECOND) != 0);
    sock_close(a);
    sock_close(b);
    link_run(100 * SECOND);
}

/* A FIN_WAIT2 that nobody owns ends, data for it are answered by RST. */
static void test_orphan(void **state)
{
    (void)state;
    link_reset();
    struct pair p = pair_new(LX_AF_INET);
    sock_close(p.a);
    until(p.b, TCP_CLOSE_WAIT);
    watch_start(false);
    assert_int_equal(sock_send(p.b, "late", 4, 0), 4);
    link_run(SECOND);
    assert_int_equal(seen.resets, 1);
    assert_int_equal(p.b->state, TCP_CLOSE);
    assert_int_equal(socket_error(&p.b->k.s), -EPIPE);
    sock_close(p.b);
    sock_close(p.l);
    link_run(100 * SECOND);
    assert_int_equal(tcp_orphans, 0);
}

/* --- who is not the peer --- */

/* RFC 5961: only exactly right segments end a connection. */
static void test_blind(void **state)
{
    (void)state;
    link_reset();
    struct pair p = pair_new(LX_AF_INET);
    struct tcp_sock *b = p.b;
    link_run(SECOND);
    b->ts_ok = false; /* so that nothing else stops them */
    const uint32_t nxt = b->rcv_nxt, una = b->snd_una;
    watch_start(true);
    inject(b, TCP_RST, nxt + 1, 0, 0); /* 3.2: in the window: asked */
    assert_int_equal(b->state, TCP_ESTABLISHED);
    assert_int_equal(seen.acks, 1);
    inject(b, TCP_RST, nxt - 1, 0, 0);
    inject(b, TCP_RST, nxt + 10000000, 0, 0);
    assert_int_equal(b->state, TCP_ESTABLISHED);
    link_run(SECOND);
    inject(b, TCP_SYN, nxt + 5, 0, 0); /* 4.2 */
    assert_int_equal(b->state, TCP_ESTABLISHED);
    assert_int_equal(seen.acks, 2);
    link_run(SECOND);
    inject(b, TCP_ACK, nxt, una + 100000, 10); /* 5.2 */
    inject(b, TCP_ACK, nxt, una - 100000000, 10);
    assert_int_equal(b->rcv_nxt, nxt);
    inject(b, 0, nxt, 0, 10); /* no ACK at all */
    assert_int_equal(b->rcv_nxt, nxt);
    unsigned before = seen.count;
    for (int i = 0; i < 1000; i++)
        inject(b, TCP_SYN, nxt + 5, 0, 0);
    assert_true(seen.count - before <= 2); /* 7: throttled */
    inject(b, TCP_RST, nxt, 0, 0);
    assert_int_equal(b->state, TCP_CLOSE);
    assert_int_equal(socket_error(&b->k.s), -ECONNRESET);
    pair_free(&p);
}

/* RFC 5927, 7: what an ICMP error may say of the MTU of a connection. */
static void test_too_big(void **state)
{
    (void)state;
    link_reset();
    struct pair p = pair_new(LX_AF_INET);
    const struct inet_sock *k = &p.a->k;
    struct lx_tcphdr h = {.source = be16(k->lport), .dest = be16(k->rport)};
    net_link.filter = NULL;
    assert_int_equal(sock_send(p.a, "x", 1, 0), 1);
    h.seq = be32(p.a->snd_una - 1);
    tcp_protocol.error(&k->local, &k->remote, (const uint8_t *)&h, 8, EMSGSIZE,
                       false, 600);
    assert_int_equal(p.a->pmtu, 0);
    h.seq = be32(p.a->snd_una);
    tcp_protocol.error(&k->local, &k->remote, (const uint8_t *)&h, 8, EMSGSIZE,
                       false, 600);
    assert_int_equal(p.a->pmtu, 600);
    /* net.ipv4.route.min_pmtu */
    tcp_protocol.error(&k->local, &k->remote, (const uint8_t *)&h, 8, EMSGSIZE,
                       false, 130);
    assert_int_equal(p.a->pmtu, 552);
    pair_free(&p);
}

/* RFC 7323, 5.3: an old duplicate of long ago. */
static void test_paws(void **state)
{
    (void)state;
    link_reset();
    struct pair p = pair_new(LX_AF_INET);
    assert_int_equal(sock_send(p.a, "abc", 3, 0), 3);
    link_run(SECOND);
    p.b->ts_recent += 1000000; /* as if it had heard of a later time */
    p.b->ts_recent_time = clock_now();
    uint32_t nxt = p.b->rcv_nxt;
    assert_int_equal(sock_send(p.a, "def", 3, 0), 3);
    link_run(100 * MS);
    assert_int_equal(p.b->rcv_nxt, nxt);
    p.b->ts_recent -= 1000000;
    link_run(10 * SECOND);
    assert_int_equal(p.b->rcv_nxt, nxt + 3);
    pair_free(&p);
}

static uint64_t pages_free(void)
{
    struct page_stats st;
    page_stats(&st);
    return st.free;
}

/* Every second byte, from the far end back, again and again. */
static void test_holes(void **state)
{
    (void)state;
    link_reset();
    struct pair p = pair_new(LX_AF_INET);
    struct tcp_sock *b = p.b;
    b->ts_ok = false;
    watch_start(true);
    uint64_t before = pages_free();
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = 30000; i > 0; i--)
            inject(b, TCP_ACK, b->rcv_nxt + i * 2, b->snd_una, 1);
        for (uint32_t i = 1; i < 30000; i++)
            inject(b, TCP_ACK, b->rcv_nxt + i, b->snd_una, 100);
    }
    assert_true(b->range_count <= TCP_RANGES_MAX);
    assert_true(before - pages_free() < 200);
    uint32_t nxt = b->rcv_nxt;
    inject(b, TCP_ACK, nxt, b->snd_una, 100);
    assert_true(seq_lt(nxt, b->rcv_nxt));
    pair_free(&p);
}

/* RFC 4987: a listener's memory is bounded and it still serves. */
static void test_flood(void **state)
{
    (void)state;
    link_reset();
    struct tcp_sock *l = sock_new(LX_AF_INET);
    sock_bind(l, 2, 80);
    assert_int_equal(tcp_listen(&l->k.s, 128), 0);
    struct tcp_sock from = {.k.lport = 80};
    from.k.local = link_addr(LX_AF_INET, 2);
    watch_start(true);
    uint64_t before = pages_free();
    for (uint32_t i = 0; i < 20000; i++) {
        from.k.remote = ip_from4(link_random(UINT32_MAX));
        from.k.rport = (uint16_t)link_random(65536);
        inject(&from, TCP_SYN, link_random(UINT32_MAX), 0, 0);
    }
    assert_true(l->pending_count <= 128);
    assert_true(before - pages_free() < 500);
    assert_int_equal(seen.syns, 20000);
    net_link.filter = NULL;
    struct tcp_sock *a = sock_new(LX_AF_INET);
    assert_int_equal(sock_connect(a, 2, 80), -EINPROGRESS);
    until(a, TCP_ESTABLISHED);
    struct socket *s = NULL;
    for (int i = 0; i < 1000 && s == NULL; i++, link_step(MS))
        (void)tcp_accept(&l->k.s, true, &s);
    assert_non_null(s);
    assert_true(stream_pump(a, tcp_of(s), 100000, 100 * SECOND) != 0);
    /* A cookie that nobody made opens nothing. */
    for (uint32_t i = 0; i < 1000; i++) {
        from.k.rport = (uint16_t)link_random(65536);
        inject(&from, TCP_ACK, link_random(UINT32_MAX), link_random(UINT32_MAX),
               0);
    }
    assert_int_equal(l->ready_count, 0);
    sock_close(a);
    sock_close(tcp_of(s));
    sock_close(l);
    link_run(300 * SECOND);
}

/* RFC 6191: the same four again while one end is in TIME_WAIT. */
static void test_reuse(void **state)
{
    (void)state;
    link_reset();
    struct tcp_sock *l = sock_new(LX_AF_INET);
    sock_bind(l, 2, 81);
    assert_int_equal(tcp_listen(&l->k.s, 5), 0);
    for (int i = 0; i < 5; i++) {
        struct tcp_sock *a = sock_new(LX_AF_INET);
        struct socket *s = NULL;
        a->k.s.options |= 1u << LX_SO_REUSEADDR;
        sock_bind(a, 1, 4000);
        watch_start(false);
        assert_int_equal(sock_connect(a, 2, 81), -EINPROGRESS);
        for (int k = 0; k < 10000 && s == NULL; k++, link_step(MS))
            (void)tcp_accept(&l->k.s, true, &s);
        assert_non_null(s);
        until(a, TCP_ESTABLISHED);
        assert_int_equal(seen.syns, 2); /* at the first attempt */
        const uint32_t a_off = a->ts_off;
        sock_close(tcp_of(s)); /* the server's end waits */
        until(a, TCP_CLOSE_WAIT);
        sock_close(a);
        link_run(SECOND);
        /* In the same millisecond, too: the number says that it is newer. */
        tcp_of(s)->ts_recent = tcp_ts_now() + a_off;
        net_link.isn = tcp_of(s)->rcv_nxt + 1000;
        net_link.isn_set = true;
    }
    sock_close(l);
    link_run(100 * SECOND);
}

/* Anything at all, at every state. */
static void test_noise(void **state)
{
    (void)state;
    link_reset();
    struct pair p = pair_new(LX_AF_INET);
    struct tcp_sock *to[] = {p.a, p.b, p.l};
    watch_start(true);
    for (uint32_t i = 0; i < 200000; i++) {
        struct tcp_sock *t = to[link_random(3)];
        struct packet *q = packet_new(PACKET_ROOM);
        uint8_t raw[120];
        uint32_t n = link_random(sizeof(raw));
        for (uint32_t k = 0; k < sizeof(raw); k++)
            raw[k] = (uint8_t)link_random(256);
        struct lx_tcphdr h;
        memcpy(&h, raw, sizeof(h));
        if (link_random(8) != 0) {
            h.source = be16(t->k.rport);
            h.dest = be16(t->k.lport);
            h.seq = be32(t->rcv_nxt + link_random(40) - 20);
            h.ack = be32(t->snd_una + link_random(40) - 20);
            if (link_random(4) != 0)
                h.flags &= (uint8_t)~TCP_RST;
            h.off = (uint8_t)((5 + link_random(9)) << 4);
            memcpy(raw, &h, sizeof(h));
        }
        memcpy(packet_push(q, (uint16_t)n), raw, n);
        link_from_peer(t, q);
        if (link_random(64) == 0)
            (void)sock_send(t, raw, 100, 0);
        if (link_random(64) == 0)
            link_step(MS);
    }
    net_link.filter = NULL;
    pair_free(&p);
}

/* What was taken is given back. */
static void test_leaks(void **state)
{
    (void)state;
    link_reset();
    uint64_t before = 0;
    for (int i = 0; i < 40; i++) {
        struct pair p = pair_new(LX_AF_INET);
        net_link.loss = 20;
        (void)stream_pump(p.a, p.b, 50000, 100 * SECOND);
        pair_free(&p);
        if (i == 4)
            before = pages_free();
    }
    assert_true(before - pages_free() < 4);
    assert_int_equal(tcp_orphans, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_syn_retries),
        cmocka_unit_test(test_rto),
        cmocka_unit_test(test_keepalive),
        cmocka_unit_test(test_zero_window),
        cmocka_unit_test(test_nagle),
        cmocka_unit_test(test_acks_together),
        cmocka_unit_test(test_turns),
        cmocka_unit_test(test_half_close),
        cmocka_unit_test(test_close_both),
        cmocka_unit_test(test_open_both),
        cmocka_unit_test(test_orphan),
        cmocka_unit_test(test_blind),
        cmocka_unit_test(test_too_big),
        cmocka_unit_test(test_paws),
        cmocka_unit_test(test_holes),
        cmocka_unit_test(test_flood),
        cmocka_unit_test(test_reuse),
        cmocka_unit_test(test_noise),
        cmocka_unit_test(test_leaks),
    };
    return cmocka_run_group_tests(tests, link_setup, NULL);
}
