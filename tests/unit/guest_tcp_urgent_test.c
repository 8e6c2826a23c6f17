// SPDX-License-Identifier: Apache-2.0
/* The urgent byte on the wire: RFC 9293, 3.8.5; RFC 6093. What programs see is
 * in tests/guest/conform/oob.c. */
#include "tests/unit/guest_tcp_link.h"

/* --- what goes over the link --- */

static struct {
    unsigned count;       /* segments with URG */
    uint32_t at;          /* behind the byte, by the last of them */
    unsigned odd, ribbon; /* pointers elsewhere; of segments to be cut */
    bool drop;
} seen;

static bool watch(const struct packet *p)
{
    struct lx_tcphdr h;
    memcpy(&h, p->head + p->head_off, sizeof(h));
    if ((h.flags & TCP_URG) == 0)
        return seen.drop;
    uint32_t at = be32(h.seq) + be16(h.urgent);
    seen.ribbon += p->gso_size != 0;
    seen.count++;
    if (be16(h.urgent) == 0xffff) /* at least so far */
        return seen.drop;
    seen.odd += seen.at != 0 && at != seen.at;
    seen.at = at;
    return seen.drop;
}

static void watch_start(bool drop)
{
    memset(&seen, 0, sizeof(seen));
    seen.drop = drop;
    net_link.filter = watch;
}

static void test_sent(void **state)
{
    char c[8];
    (void)state;
    link_reset();
    struct pair p = pair_new(LX_AF_INET);
    watch_start(false);
    assert_int_equal(sock_send(p.a, "abc", 3, 0), 3);
    link_run(SECOND);
    assert_int_equal(seen.count, 0);
    assert_int_equal(sock_send(p.a, "xyU", 3, LX_MSG_OOB), 3);
    link_run(SECOND);
    assert_true(seen.count >= 1 && seen.odd == 0);
    assert_int_equal(seen.at, p.a->write_seq);
    watch_start(false);
    assert_int_equal(sock_send(p.a, "d", 1, 0), 1);
    link_run(SECOND);
    assert_int_equal(seen.count, 0); /* it was acknowledged */
    assert_int_equal(sock_recv(p.b, c, 8, LX_MSG_OOB), 1);
    assert_int_equal(c[0], 'U');
    assert_int_equal(sock_recv(p.b, c, 8, 0), 5);
    assert_memory_equal(c, "abcxy", 5);
    assert_int_equal(sock_recv(p.b, c, 8, 0), 1);
    net_link.filter = NULL;
    assert_true(stream_pump(p.a, p.b, 100000, 100 * SECOND) != 0);
    pair_free(&p);
}

/* Of a segment that others cut (TSO), all parts would have one pointer. */
static void test_sent_long(void **state)
{
    static char data[200000];
    (void)state;
    link_reset();
    net_link.tso = 65536;
    struct pair p = pair_new(LX_AF_INET);
    watch_start(false);
    assert_in_range(sock_send(p.a, data, sizeof(data), LX_MSG_OOB), 1,
                    sizeof(data));
    uint32_t up = p.a->write_seq;
    for (int i = 0; i < 10000 && p.a->snd_una != up; i++) {
        link_step(MS);
        while (sock_recv(p.b, data, sizeof(data), 0) > 0)
            ;
    }
    assert_true(seen.count > 1 && seen.ribbon == 0 && seen.odd == 0);
    assert_int_equal(seen.at, up);
    assert_false(p.a->snd_urgent);
    net_link.filter = NULL;
    pair_free(&p);
}

/* Sent again, it is still urgent. */
static void test_sent_again(void **state)
{
    char c;
    (void)state;
    link_reset();
    struct pair p = pair_new(LX_AF_INET6);
    link_run(SECOND);
    watch_start(true);
    assert_int_equal(sock_send(p.a, "U", 1, LX_MSG_OOB), 1);
    link_run(100 * MS);
    assert_int_equal(sock_recv(p.b, &c, 1, LX_MSG_OOB), -EINVAL);
    watch_start(false);
    link_run(3 * SECOND);
    assert_true(seen.count >= 1);
    assert_int_equal(sock_recv(p.b, &c, 1, LX_MSG_OOB), 1);
    net_link.filter = NULL;
    pair_free(&p);
}

/* --- what comes --- */

static void inject(const struct tcp_sock *t, uint32_t seq, uint16_t urgent,
                   unsigned size)
{
    const struct lx_tcphdr h = {.seq = be32(seq),
                                .ack = be32(t->snd_una),
                                .flags = TCP_ACK | TCP_URG,
                                .urgent = be16(urgent)};
    link_inject(t, &h, size);
}

/* The pointer may come before the byte, and say what is old or far away. */
static void test_pointer(void **state)
{
    char c[200];
    (void)state;
    link_reset();
    struct pair p = pair_new(LX_AF_INET);
    struct tcp_sock *b = p.b;
    link_run(SECOND);
    b->ts_ok = false;
    uint32_t nxt = b->rcv_nxt;
    inject(b, nxt, 100, 0); /* no byte at all */
    assert_int_equal(b->urgent, TCP_URGENT_COMES);
    assert_int_equal(sock_recv(b, c, 1, LX_MSG_OOB), -EAGAIN);
    assert_int_equal(tcp_poll(&b->k.s, NULL) & (EPOLLIN | EPOLLPRI), 0);
    inject(b, nxt, 50, 10); /* an older one: no news */
    assert_int_equal(b->urgent_seq, nxt + 99);
    inject(b, nxt + 10, 0, 100);
    assert_int_equal(b->urgent, TCP_URGENT_THERE);
    assert_int_equal(sock_recv(b, c, sizeof(c), 0), 99);
    assert_int_equal(sock_recv(b, c, sizeof(c), 0), 10);
    assert_int_equal(b->urgent, TCP_URGENT_NONE);
    nxt = b->rcv_nxt;
    inject(b, nxt - 5, 3, 5); /* it was read long ago */
    assert_int_equal(b->urgent, TCP_URGENT_NONE);
    inject(b, nxt, 0xffff, 1); /* it need never come */
    assert_int_equal(sock_recv(b, c, sizeof(c), 0), 1);
    assert_int_equal(sock_recv(b, c, sizeof(c), 0), -EAGAIN);
    assert_int_equal(b->urgent, TCP_URGENT_COMES);
    pair_free(&p);
}

/* Whatever is told, what came is read or passed over, and nothing else. */
static void test_pointers_at_random(void **state)
{
    char c[64];
    (void)state;
    link_reset();
    struct pair p = pair_new(LX_AF_INET);
    struct tcp_sock *b = p.b;
    link_run(SECOND);
    b->ts_ok = false;
    for (uint32_t i = 0; i < 100000; i++) {
        unsigned size = link_random(30);
        inject(b, b->rcv_nxt + (link_random(4) == 0 ? link_random(60) : 0),
               (uint16_t)link_random(link_random(8) == 0 ? 65536 : 60), size);
        if (link_random(16) == 0)
            b->k.s.options ^= UINT64_C(1) << LX_SO_OOBINLINE;
        uint32_t flags = link_random(3) == 0 ? LX_MSG_PEEK : 0;
        flags |= link_random(4) == 0 ? LX_MSG_OOB : 0;
        int64_t n = sock_recv(b, c, 1 + link_random(sizeof(c)), flags);
        assert_true(n > 0 ? n <= (int64_t)sizeof(c)
                          : n == -EAGAIN || n == -EINVAL);
        assert_true(tcp_unread(b) <= b->rcv_nxt - b->copied_seq);
        if (link_random(64) == 0)
            link_step(MS);
    }
    while (sock_recv(b, c, sizeof(c), 0) > 0)
        ;
    assert_int_equal(b->copied_seq, b->rcv_nxt);
    assert_false(b->has_hole);
    pair_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sent),
        cmocka_unit_test(test_sent_long),
        cmocka_unit_test(test_sent_again),
        cmocka_unit_test(test_pointer),
        cmocka_unit_test(test_pointers_at_random),
    };
    return cmocka_run_group_tests(tests, link_setup, NULL);
}
