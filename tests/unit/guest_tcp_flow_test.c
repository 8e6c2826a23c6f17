// SPDX-License-Identifier: Apache-2.0
/* Streams over a link that delays, loses, reorders and doubles: every byte
 * arrives in order, and as fast as the link lets a good sender. */
#include "tests/unit/guest_tcp_link.h"

static void rate_is(nsec_t took, uint64_t size, uint64_t least)
{
    uint64_t rate = took != 0 ? size * 1000 / (took / MS + 1) : 0;
    print_message("%llu KB/s\n", (unsigned long long)rate / 1000);
    assert_true(rate >= least);
}

static void test_clean(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        link_reset();
        net_link.rate = 12500000; /* 100 Mbit/s */
        net_link.queue = 250000;
        net_link.tso = i == 0 ? 0 : 65535;
        struct pair p = pair_new(i == 0 ? LX_AF_INET : LX_AF_INET6);
        nsec_t took = stream_pump(p.a, p.b, 12 << 20, 100 * SECOND);
        rate_is(took, 12 << 20, 8000000);
        pair_free(&p);
    }
}

/* RTT 20 ms and 1 %: what a Reno of RFC 5681 would get is about 0.9 MB/s. */
static void test_loss(void **state)
{
    (void)state;
    link_reset();
    struct pair p = pair_new(LX_AF_INET);
    net_link.loss = 10;
    net_link.rate = 12500000;
    net_link.queue = 250000;
    nsec_t took = stream_pump(p.a, p.b, 5 << 20, 100 * SECOND);
    rate_is(took, 5 << 20, 600000);
    assert_true(p.a->total_again > 10);
    pair_free(&p);
}

static void mangle(bool sack, bool ts, unsigned seed)
{
    link_reset();
    net_link.seed = seed;
    struct pair p = pair_new(LX_AF_INET);
    p.a->sack_ok = p.b->sack_ok = sack;
    p.a->ts_ok = p.b->ts_ok = ts;
    net_link.loss = 20;
    net_link.disorder = 50;
    net_link.copies = 30;
    net_link.rate = 2500000;
    net_link.queue = 100000;
    assert_true(stream_pump(p.a, p.b, 512 << 10, 200 * SECOND) != 0);
    assert_true(stream_pump(p.b, p.a, 512 << 10, 200 * SECOND) != 0);
    pair_free(&p);
}

static void test_mangled(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        mangle(true, true, 1 + i);
        mangle(false, true, 10 + i);
        mangle(true, false, 20 + i);
        mangle(false, false, 30 + i);
    }
}

/* Order alone costs little: nothing was lost. */
static void test_reorder(void **state)
{
    (void)state;
    link_reset();
    struct pair p = pair_new(LX_AF_INET);
    net_link.disorder = 30;
    net_link.rate = 12500000;
    net_link.queue = 500000;
    nsec_t took = stream_pump(p.a, p.b, 8 << 20, 100 * SECOND);
    rate_is(took, 8 << 20, 4000000);
    pair_free(&p);
}

/* RFC 9293, 3.4: numbers wrap in the middle of everything. */
static void test_wrap(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 6; i++) {
        link_reset();
        net_link.isn_set = true;
        net_link.isn = i < 4    ? 0u - i
                       : i == 4 ? 0x80000000u - 50000
                                : 0u - 90000;
        struct pair p = pair_new(LX_AF_INET);
        net_link.loss = 10;
        net_link.copies = 10;
        assert_true(stream_pump(p.a, p.b, 300000, 100 * SECOND) != 0);
        pair_free(&p);
    }
}

/* Half of all SYNs and ACKs are lost: connections come all the same. */
static void test_handshakes(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 10; i++) {
        link_reset();
        net_link.seed = i;
        net_link.loss = 200;
        net_link.copies = 200;
        net_link.disorder = 200;
        struct pair p = pair_new(i & 1 ? LX_AF_INET : LX_AF_INET6);
        assert_true(stream_pump(p.a, p.b, 10000, 300 * SECOND) != 0);
        pair_free(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clean),   cmocka_unit_test(test_loss),
        cmocka_unit_test(test_mangled), cmocka_unit_test(test_reorder),
        cmocka_unit_test(test_wrap),    cmocka_unit_test(test_handshakes),
    };
    return cmocka_run_group_tests(tests, link_setup, NULL);
}
