// SPDX-License-Identifier: Apache-2.0
/* What a guest may ask of passt, frame by frame. */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/auto.h"
#include "net/gate.h"

enum { TCP = IPPROTO_TCP, UDP = IPPROTO_UDP, SYN = 2, ACK = 16, ROOM = 256 };

struct frame {
    uint8_t b[ROOM];
    size_t size;
};

static struct net_addr addr(const char *text)
{
    struct net_addr a;
    assert_int_equal(net_addr_parse(text, &a), 0);
    return a;
}

/* From port 1000 to port 53; `more` are the TCP flags or the ICMP type. */
static struct frame make(const char *dst, uint8_t protocol, uint8_t more)
{
    struct frame f = {.b = {[12] = 0x08, [14] = 0x45, [22] = 64}};
    struct net_addr to = addr(dst);
    uint8_t *data = f.b + (to.v6 ? 54 : 34);
    f.size = (size_t)(data - f.b) + 20;
    if (to.v6) {
        f.b[12] = 0x86;
        f.b[13] = 0xdd;
        f.b[14] = 0x60;
        f.b[19] = 20;
        f.b[20] = protocol;
        f.b[22] = 0xfd; /* source */
        memcpy(f.b + 38, to.b, 16);
    } else {
        f.b[17] = 40;
        f.b[23] = protocol;
        memcpy(f.b + 30, to.b, 4);
    }
    if (protocol == TCP || protocol == UDP) {
        data[0] = 1000 >> 8;
        data[1] = 1000 & 255;
        data[3] = 53;
        data[13] = more;
    } else {
        data[0] = more;
    }
    return f;
}

static enum gate_verdict judge(const struct gate_rules *r,
                               const struct frame *f)
{
    struct gate_frame out;
    /* The size of the block is the frame's: reading further is found. */
    uint8_t *exact = malloc(f->size);
    memcpy(exact, f->b, f->size);
    enum gate_verdict v = gate_judge(r, exact, f->size, &out);
    free(exact);
    return v;
}

static const struct gate_rules open_rules;

static void test_destinations(void **state)
{
    static const struct {
        const char *dst;
        enum gate_verdict want;
    } cases[] = {
        {"192.0.2.1", GATE_ASK},
        {"10.0.0.1", GATE_ASK},
        {"127.0.0.1", GATE_DROP},
        {"127.255.255.254", GATE_DROP},
        {"0.0.0.0", GATE_DROP},
        {"0.1.2.3", GATE_DROP},
        {"169.254.169.254", GATE_DROP},
        {"169.253.255.255", GATE_ASK},
        {"224.0.0.251", GATE_DROP},
        {"255.255.255.255", GATE_DROP},
        {"2001:db8::1", GATE_ASK},
        {"fd00::1", GATE_ASK},
        {"::", GATE_DROP},
        {"::1", GATE_DROP},
        {"::ffff:127.0.0.1", GATE_DROP},
        {"::ffff:192.0.2.1", GATE_DROP},
        {"fe80::1", GATE_DROP},
        {"ff02::1:2", GATE_DROP},
        {"fd00:ec2::254", GATE_DROP},
        {"fd00:ec2::253", GATE_ASK},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct frame udp = make(cases[i].dst, UDP, 0);
        struct frame syn = make(cases[i].dst, TCP, SYN);
        bool v6 = addr(cases[i].dst).v6;
        struct frame echo = make(
            cases[i].dst, v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, v6 ? 128 : 8);
        assert_int_equal(judge(&open_rules, &udp), cases[i].want);
        assert_int_equal(judge(&open_rules, &syn), cases[i].want);
        assert_int_equal(judge(&open_rules, &echo), cases[i].want);
    }
}

static void test_tcp_that_opens_nothing(void **state)
{
    (void)state;
    for (unsigned flags = 0; flags < 64; flags++) {
        struct frame f = make("127.0.0.1", TCP, (uint8_t)flags);
        bool opens = (flags & (SYN | ACK)) == SYN;
        assert_int_equal(judge(&open_rules, &f), opens ? GATE_DROP : GATE_PASS);
    }
}

static void test_egress(void **state)
{
    struct gate_rules r;
    char **passt;
    char *none[] = {(char[]){"limited"}};
    char *two[] = {(char[]){"limited"}, (char[]){"10.1.0.0/16"},
                   (char[]){"fd01::/64"}};
    struct frame in4 = make("10.1.2.3", TCP, SYN);
    struct frame out4 = make("10.2.2.3", UDP, 0);
    struct frame in6 = make("fd01::7", UDP, 0);
    struct frame out6 = make("fd02::7", TCP, SYN);
    (void)state;
    assert_int_equal(gate_parse(&r, 1, none, &passt), 0);
    assert_int_equal(judge(&r, &in4), GATE_DROP);
    assert_int_equal(gate_parse(&r, 3, two, &passt), 0);
    assert_int_equal(judge(&r, &in4), GATE_ASK);
    assert_int_equal(judge(&r, &out4), GATE_DROP);
    assert_int_equal(judge(&r, &in6), GATE_ASK);
    assert_int_equal(judge(&r, &out6), GATE_DROP);
    char *closed[] = {(char[]){"limited"}, (char[]){"127.0.0.0/8"}};
    struct frame loop = make("127.0.0.1", UDP, 0);
    assert_int_equal(gate_parse(&r, 2, closed, &passt), 0);
    assert_int_equal(judge(&r, &loop), GATE_DROP);
    char *bad[] = {(char[]){"open"}, (char[]){"10.0.0.0/8"}};
    assert_true(gate_parse(&r, 2, bad, &passt) < 0 &&
                gate_parse(&r, 0, bad, &passt) < 0);
}

/* What does not say plainly where it goes does not go. */
static void test_not_plain(void **state)
{
    (void)state;
    const struct frame good = make("192.0.2.1", UDP, 0);
    const struct frame good6 = make("2001:db8::1", UDP, 0);
    struct frame f = good;
    assert_int_equal(judge(&open_rules, &f), GATE_ASK);
    f.b[20] = 0x20; /* more fragments */
    assert_int_equal(judge(&open_rules, &f), GATE_DROP);
    f = good;
    f.b[21] = 1; /* a later fragment */
    assert_int_equal(judge(&open_rules, &f), GATE_DROP);
    f = good;
    f.b[20] = 0x40; /* don't fragment */
    assert_int_equal(judge(&open_rules, &f), GATE_ASK);
    f = good;
    f.b[14] = 0x4f; /* options beyond the packet */
    assert_int_equal(judge(&open_rules, &f), GATE_DROP);
    f = good;
    f.b[14] = 0x44;
    assert_int_equal(judge(&open_rules, &f), GATE_DROP);
    f = good;
    f.b[17] = 41; /* longer than the frame */
    assert_int_equal(judge(&open_rules, &f), GATE_DROP);
    f = good;
    f.b[23] = 41; /* IPv6 in IPv4 */
    assert_int_equal(judge(&open_rules, &f), GATE_DROP);
    f = good;
    f.b[12] = 0x81; /* VLAN */
    assert_int_equal(judge(&open_rules, &f), GATE_DROP);
    static const uint8_t extensions[] = {0, 43, 44, 60, 135};
    for (size_t i = 0; i < ARRAY_COUNT(extensions); i++) {
        f = good6;
        f.b[20] = extensions[i];
        assert_int_equal(judge(&open_rules, &f), GATE_DROP);
    }
    for (size_t size = 0; size < good.size; size++) {
        f = good;
        f.size = size;
        assert_int_equal(judge(&open_rules, &f), GATE_DROP);
        f = good6;
        f.size = size;
        assert_int_equal(judge(&open_rules, &f), GATE_DROP);
    }
}

static void test_neighbours(void **state)
{
    struct frame arp = {.b = {[12] = 0x08, [13] = 0x06}, .size = 42};
    struct frame ask = make("ff02::1:ff00:1", IPPROTO_ICMPV6, 135);
    struct frame tell = make("ff02::1", IPPROTO_ICMPV6, 136);
    struct frame router = make("ff02::1", IPPROTO_ICMPV6, 134);
    struct frame duplicate = ask;
    duplicate.b[22] = 0; /* from :: */
    struct frame unreachable = make("192.0.2.1", IPPROTO_ICMP, 3);
    (void)state;
    assert_int_equal(judge(&open_rules, &arp), GATE_PASS);
    assert_int_equal(judge(&open_rules, &ask), GATE_PASS);
    assert_int_equal(judge(&open_rules, &duplicate), GATE_DROP);
    assert_int_equal(judge(&open_rules, &tell), GATE_DROP);
    assert_int_equal(judge(&open_rules, &router), GATE_DROP);
    assert_int_equal(judge(&open_rules, &unreachable), GATE_DROP);
}

static void test_flows(void **state)
{
    struct gate_frame out;
    struct gate_flow flow;
    struct frame f = make("127.0.0.1", UDP, 0);
    (void)state;
    assert_int_equal(gate_judge(&open_rules, f.b, f.size, &out), GATE_DROP);
    assert_true(out.udp && out.flow.port == 1000 && out.flow.peer_port == 53);
    memcpy(f.b + 26, (uint8_t[]){198, 51, 100, 1}, 4); /* source */
    assert_true(gate_learn(f.b, f.size, &flow));
    assert_true(flow.port == 53 && flow.peer_port == 1000);
    assert_memory_equal(flow.peer.b, ((uint8_t[]){198, 51, 100, 1}), 4);
    assert_false(gate_learn(f.b, 30, &flow));
    f = make("192.0.2.1", TCP, SYN);
    assert_false(gate_learn(f.b, f.size, &flow));
}

/* RFC 1071: over what includes its own checksum, the sum is 0xffff. */
static unsigned sum(const uint8_t *at, size_t size, unsigned more)
{
    for (size_t i = 0; i + 1 < size; i += 2)
        more += (unsigned)(at[i] << 8 | at[i + 1]);
    while (more > 0xffff)
        more = (more & 0xffff) + (more >> 16);
    return more;
}

static void test_ack(void **state)
{
    uint8_t out[GATE_ACK_MAX];
    (void)state;
    for (int v6 = 0; v6 < 2; v6++) {
        struct frame f = make(v6 ? "2001:db8::1" : "192.0.2.1", TCP, SYN | ACK);
        size_t head = v6 ? 54 : 34;
        uint8_t *tcp = f.b + head;
        memcpy(tcp + 4, (uint8_t[]){1, 2, 3, 255, 9, 8, 7, 6}, 8);
        assert_int_equal(gate_ack(f.b, f.size, out), head + 20);
        const uint8_t *got = out + head;
        assert_memory_equal(got, ((uint8_t[]){0, 53, 1000 >> 8, 1000 & 255}),
                            4);
        assert_memory_equal(got + 4, ((uint8_t[]){9, 8, 7, 6, 1, 2, 4, 0}), 8);
        assert_int_equal(got[13], ACK);
        size_t addresses = v6 ? 22 : 26;
        assert_memory_equal(out + addresses, f.b + addresses + (v6 ? 16 : 4),
                            v6 ? 16 : 4);
        if (v6 == 0)
            assert_int_equal(sum(out + 14, 20, 0), 0xffff);
        unsigned pseudo = sum(out + addresses, v6 ? 32 : 8, TCP + 20);
        assert_int_equal(sum(got, 20, pseudo), 0xffff);
        tcp[13] = SYN;
        assert_int_equal(gate_ack(f.b, f.size, out), 0);
        tcp[13] = ACK;
        assert_int_equal(gate_ack(f.b, f.size, out), 0);
    }
}

static void test_segment(void **state)
{
    struct gate_segment got;
    struct frame f = make("192.0.2.1", TCP, ACK | 1);
    uint8_t *tcp = f.b + 34;
    (void)state;
    assert_false(gate_segment(f.b, f.size, true, &got)); /* no header length */
    tcp[12] = 0x60;
    assert_false(gate_segment(f.b, f.size, true, &got));
    tcp[12] = 0x50;
    memcpy(tcp + 4, (uint8_t[]){0, 0, 1, 0, 0, 0, 2, 0}, 8);
    assert_true(gate_segment(f.b, f.size, true, &got));
    assert_true(got.fin && !got.syn && !got.rst);
    assert_true(got.ack == 0x200 && got.end == 0x101);
    assert_true(got.flow.port == 1000 && got.flow.peer_port == 53);
    assert_true(gate_segment(f.b, f.size, false, &got));
    assert_true(got.flow.port == 53 && got.flow.peer_port == 1000);
    f = make("192.0.2.1", UDP, 0);
    assert_false(gate_segment(f.b, f.size, true, &got));
}

static void test_introduction(void **state)
{
    struct frame f = make("ff02::1:ff00:1", IPPROTO_ICMPV6, 135);
    const struct net_addr own = addr("fe80::aa:1");
    f.size = 78;
    f.b[19] = 24;
    memcpy(f.b + 62, own.b, 16);
    (void)state;
    assert_int_equal(gate_introduce(f.b, f.size), 0); /* it has a source */
    f.b[22] = 0;
    assert_int_equal(gate_introduce(f.b, f.size - 1), 0);
    struct frame global = f;
    global.b[62] = 0xfd;
    assert_int_equal(gate_introduce(global.b, global.size), 0);
    assert_int_equal(gate_introduce(f.b, f.size), 74);
    f.size = 74;
    assert_memory_equal(f.b + 22, own.b, 16);
    assert_int_equal(f.b[54 + 13], 4);
    assert_int_equal(sum(f.b + 22, 52, TCP + 20), 0xffff);
    assert_int_equal(judge(&open_rules, &f), GATE_PASS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_destinations),
        cmocka_unit_test(test_tcp_that_opens_nothing),
        cmocka_unit_test(test_egress),
        cmocka_unit_test(test_not_plain),
        cmocka_unit_test(test_neighbours),
        cmocka_unit_test(test_flows),
        cmocka_unit_test(test_ack),
        cmocka_unit_test(test_segment),
        cmocka_unit_test(test_introduction),
    };
    return cmocka_run_group_tests_name("net_gate", tests, NULL, NULL);
}
