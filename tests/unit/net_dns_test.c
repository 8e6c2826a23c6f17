// SPDX-License-Identifier: Apache-2.0
/* Names of containers: messages as resolvers send them, and who may ask for
 * whom. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/err.h"
#include "net/dnsmsg.h"
#include "net/dnszone.h"
#include "supervisor/network.h"
#include "supervisor/network_names.h"

/* "www.Example" A IN, ID 0x1234, RD. */
static const uint8_t plain[] = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00"
                               "\x00\x03www\x07"
                               "Example\x00\x00\x01\x00\x01";
enum { PLAIN_SIZE = sizeof(plain) - 1, PLAIN_NAME = 12, COUNT_EXTRA = 11 };

/* An OPT record that takes `n` bytes over UDP. */
static size_t add_opt(uint8_t *m, size_t at, unsigned n)
{
    const uint8_t opt[] = {0, 0, 41, (uint8_t)(n >> 8), (uint8_t)n, 0, 0, 0,
                           0, 0, 0};
    memcpy(m + at, opt, sizeof(opt));
    m[COUNT_EXTRA]++;
    return at + sizeof(opt);
}

static void test_query(void **state)
{
    struct dnsmsg_query q;
    uint8_t m[64];
    (void)state;
    assert_int_equal(dnsmsg_parse(plain, PLAIN_SIZE, &q), 0);
    assert_int_equal(q.id, 0x1234);
    assert_int_equal(q.type, DNSMSG_A);
    assert_string_equal(q.name, "www.example");
    assert_true(q.internet && q.plain && !q.edns);
    assert_int_equal(q.question, PLAIN_SIZE);
    assert_int_equal(q.udp_size, DNSMSG_UDP_MIN);

    memcpy(m, plain, PLAIN_SIZE);
    size_t size = add_opt(m, PLAIN_SIZE, 1232);
    assert_int_equal(dnsmsg_parse(m, size, &q), 0);
    assert_true(q.edns);
    assert_int_equal(q.udp_size, 1232);
    memcpy(m, plain, PLAIN_SIZE);
    size = add_opt(m, PLAIN_SIZE, 65535);
    assert_int_equal(dnsmsg_parse(m, size, &q), 0);
    assert_int_equal(q.udp_size, DNSMSG_UDP_MAX);
}

static void test_bad_queries(void **state)
{
    static const struct {
        size_t at;
        uint8_t value;
        int code;
    } bad[] = {
        {2, 0x81, -ENOMSG},     /* an answer */
        {2, 0x29, -EOPNOTSUPP}, /* an update */
        {5, 0, -EINVAL},        /* no question */
        {5, 2, -EINVAL},        /* two */
        {7, 1, -EINVAL},        /* with an answer */
        {9, 1, -EINVAL},        /* with an authority */
        {11, 1, -EINVAL},       /* an additional record that is not there */
        {12, 0xc0, -EINVAL},    /* a name that points to itself */
        {12, 64, -EINVAL},      /* a label that is too long */
        {12, 40, -EINVAL},      /* one that leaves the message */
        {12, 0, -EINVAL},       /* bytes behind the question */
        {PLAIN_SIZE - 5, 1, -EINVAL}, /* a name without an end */
    };
    struct dnsmsg_query q;
    uint8_t m[300] = {0};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        memcpy(m, plain, PLAIN_SIZE);
        m[bad[i].at] = bad[i].value;
        if (dnsmsg_parse(m, PLAIN_SIZE, &q) != bad[i].code)
            fail_msg("bad message %zu was taken", i);
    }
    for (size_t n = 0; n < PLAIN_SIZE; n++)
        assert_true(dnsmsg_parse(plain, n, &q) < 0);
    /* 255 bytes are a name, 256 are none: RFC 1035, 2.3.4. */
    memcpy(m, plain, PLAIN_NAME);
    for (size_t extra = 0; extra < 2; extra++) {
        size_t at = PLAIN_NAME;
        for (int i = 0; i < 4; i++) {
            size_t n = i < 3 ? 63 : 61 + extra;
            m[at++] = (uint8_t)n;
            memset(m + at, 'a', n);
            at += n;
        }
        memcpy(m + at, "\0\0\1\0\1", 5);
        assert_int_equal(dnsmsg_parse(m, at + 5, &q), extra == 0 ? 0 : -EINVAL);
    }
}

static void test_strange_names(void **state)
{
    struct dnsmsg_query q;
    uint8_t m[64];
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        memcpy(m, plain, PLAIN_SIZE);
        m[14] = (uint8_t) ". \0"[i];
        assert_int_equal(dnsmsg_parse(m, PLAIN_SIZE, &q), 0);
        assert_false(q.plain);
    }
}

static void test_answers(void **state)
{
    struct dnsmsg_query q;
    uint8_t m[DNSMSG_UDP_MIN];
    uint8_t other[PLAIN_SIZE];
    struct dnsmsg_reply r = {.data = m};
    struct net_addr a;
    (void)state;
    assert_int_equal(dnsmsg_parse(plain, PLAIN_SIZE, &q), 0);
    assert_int_equal(net_addr_parse("10.1.2.3", &a), 0);
    dnsmsg_start(&r, plain, &q, DNSMSG_OK, sizeof(m));
    dnsmsg_add_addr(&r, &a);
    dnsmsg_end(&r);
    assert_int_equal(r.size, PLAIN_SIZE + 16);
    assert_memory_equal(m + r.size - 4, "\x0a\x01\x02\x03", 4);
    assert_int_equal(m[7], 1);
    assert_true(dnsmsg_answers(m, r.size, plain, q.question));
    for (size_t i = 0; i < PLAIN_SIZE; i++) {
        memcpy(other, plain, PLAIN_SIZE);
        other[i] ^= 1;
        bool ours = i >= 2 && i < PLAIN_NAME; /* flags and counts */
        assert_int_equal(dnsmsg_answers(m, r.size, other, q.question), ours);
    }
    for (size_t n = 0; n < PLAIN_SIZE; n++)
        assert_false(dnsmsg_answers(m, n, plain, q.question));
    assert_false(dnsmsg_answers(plain, PLAIN_SIZE, plain, q.question));
    m[5] = 0; /* no question: only with an error */
    assert_false(dnsmsg_answers(m, DNSMSG_HEADER, plain, q.question));
    m[3] |= DNSMSG_REFUSED;
    assert_true(dnsmsg_answers(m, DNSMSG_HEADER, plain, q.question));
}

/* What does not fit is left out, and that is said. */
static void test_full(void **state)
{
    struct dnsmsg_query q;
    uint8_t m[DNSMSG_UDP_MIN];
    uint8_t with[64];
    struct dnsmsg_reply r = {.data = m};
    struct net_addr a;
    (void)state;
    assert_int_equal(net_addr_parse("fd00::1", &a), 0);
    memcpy(with, plain, PLAIN_SIZE);
    size_t size = add_opt(with, PLAIN_SIZE, 512);
    assert_int_equal(dnsmsg_parse(with, size, &q), 0);
    dnsmsg_start(&r, with, &q, DNSMSG_OK, sizeof(m));
    for (int i = 0; i < 100; i++)
        dnsmsg_add_addr(&r, &a);
    dnsmsg_end(&r);
    assert_true(r.size <= sizeof(m));
    assert_int_equal(m[7], (sizeof(m) - PLAIN_SIZE - 11) / 28);
    assert_int_equal(m[2] & 2, 2);
    assert_int_equal(m[COUNT_EXTRA], 1);
    assert_int_equal(dnsmsg_truncate(m, q.question), PLAIN_SIZE);
    assert_int_equal(m[7] + m[COUNT_EXTRA], 0);
}

static void test_reverse(void **state)
{
    struct net_addr a;
    char text[NET_ADDR_TEXT_SIZE];
    (void)state;
    assert_int_equal(dnsmsg_reverse("4.3.2.10.in-addr.arpa", &a), 0);
    net_addr_text(&a, false, text);
    assert_string_equal(text, "10.2.3.4");
    assert_int_equal(
        dnsmsg_reverse("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0."
                       "0.0.0.d.f.ip6.arpa",
                       &a),
        0);
    net_addr_text(&a, false, text);
    assert_string_equal(text, "fd00::1");
    static const char *const bad[] = {
        "",
        "in-addr.arpa",
        "3.2.10.in-addr.arpa",
        "5.4.3.2.10.in-addr.arpa",
        "4.3.2.256.in-addr.arpa",
        "4.3.2.1000.in-addr.arpa",
        "a.3.2.10.in-addr.arpa",
        "1.0.ip6.arpa",
        "www.example",
    };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_int_equal(dnsmsg_reverse(bad[i], &a), -EINVAL);
}

/* ---- who knows whom ---- */

static void add_net(struct dnszone *z, uint32_t number, const char *name,
                    bool internal)
{
    struct dnszone_network n = {.number = number, .internal = internal};
    (void)snprintf(n.name, sizeof(n.name), "%s", name);
    dnszone_set_network(z, &n);
}

static struct dnszone_vm vm_of(uint32_t number, uint32_t network,
                               const char *id, const char *name,
                               const char *ip4)
{
    struct dnszone_vm v = {
        .number = number, .network = network, .name_count = 1, .has4 = true};
    (void)snprintf(v.id, sizeof(v.id), "%s", id);
    (void)snprintf(v.name[0], sizeof(v.name[0]), "%s", name);
    (void)snprintf(v.container, sizeof(v.container), "%s", name);
    assert_int_equal(net_addr_parse(ip4, &v.ip4), 0);
    return v;
}

/* Networks a and b; "one" on both, "two" on a, "far" on b. */
static void make_zone(struct dnszone *z)
{
    const struct dnszone_vm v[] = {
        vm_of(1, 1, "id1", "one", "10.1.0.2"),
        vm_of(2, 2, "id1", "one", "10.2.0.2"),
        vm_of(3, 1, "id2", "two", "10.1.0.3"),
        vm_of(4, 2, "id3", "far", "10.2.0.3"),
    };
    add_net(z, 1, "a", true);
    add_net(z, 2, "B", false);
    for (size_t i = 0; i < ARRAY_COUNT(v); i++)
        dnszone_set_vm(z, &v[i]);
    z->servers.count = 1;
    assert_int_equal(net_addr_parse("9.9.9.9", &z->servers.server[0]), 0);
}

static struct dnszone_host *ask_as(const struct dnszone *z, uint32_t network,
                                   const char *ip4)
{
    struct net_addr a;
    assert_int_equal(net_addr_parse(ip4, &a), 0);
    return dnszone_asker(z, network, a.b);
}

static void test_sharing(void **state)
{
    static struct net_addr out[DNSZONE_ADDRS_MAX];
    char name[LEASE_NAME_SIZE + STORE_NAME_SIZE];
    struct net_addr a;
    struct dnszone z = {0};
    (void)state;
    make_zone(&z);
    const struct dnszone_host *two = ask_as(&z, 1, "10.1.0.3");
    const struct dnszone_host *one = ask_as(&z, 1, "10.1.0.2");
    assert_non_null(two);
    assert_non_null(one);
    assert_null(ask_as(&z, 2, "10.1.0.3")); /* that address is another net's */
    assert_int_equal(dnszone_find(&z, two, "one", false, out), 1);
    assert_memory_equal(out[0].b, "\x0a\x01\x00\x02", 4);
    assert_int_equal(dnszone_find(&z, two, "one.a", false, out), 1);
    assert_int_equal(dnszone_find(&z, two, "one.b", false, out), -ENOENT);
    assert_int_equal(dnszone_find(&z, two, "far", false, out), -ENOENT);
    assert_int_equal(dnszone_find(&z, two, "one", true, out), 0);
    assert_int_equal(dnszone_find(&z, one, "far", false, out), 1);
    assert_int_equal(dnszone_find(&z, one, "far.b", false, out), 1);
    assert_int_equal(dnszone_find(&z, one, "one", false, out), 2);
    assert_int_equal(net_addr_parse("10.2.0.3", &a), 0);
    assert_int_equal(dnszone_reverse(&z, two, &a, name), -ENOENT);
    assert_int_equal(dnszone_reverse(&z, one, &a, name), 0);
    assert_string_equal(name, "far.B");
    /* Another container of that name: the first one is no more. */
    const struct dnszone_vm next = vm_of(5, 2, "id4", "far", "10.2.0.4");
    dnszone_set_vm(&z, &next);
    assert_int_equal(dnszone_find(&z, one, "far", false, out), 1);
    assert_memory_equal(out[0].b, "\x0a\x02\x00\x04", 4);
    dnszone_drop_vm(&z, 5);
    assert_int_equal(dnszone_find(&z, one, "far", false, out), -ENOENT);
    dnszone_drop_network(&z, 1);
    assert_int_equal(dnszone_find(&z, one, "two", false, out), -ENOENT);
    dnszone_fini(&z);
}

/* "Web" and "web" may both run, and both hear to the name in any case. */
static void test_case(void **state)
{
    static struct net_addr out[DNSZONE_ADDRS_MAX];
    char name[LEASE_NAME_SIZE + STORE_NAME_SIZE];
    struct dnszone z = {0};
    (void)state;
    make_zone(&z);
    struct dnszone_vm first = vm_of(5, 1, "id5", "web", "10.1.0.5");
    (void)snprintf(first.container, sizeof(first.container), "Web");
    dnszone_set_vm(&z, &first);
    for (uint32_t i = 0; i < 2; i++) { /* the same network, another one */
        const struct dnszone_vm v =
            vm_of(6, 1 + i, "id6", "web", i == 0 ? "10.1.0.6" : "10.2.0.6");
        dnszone_set_vm(&z, &v);
        const struct dnszone_host *two = ask_as(&z, 1, "10.1.0.3");
        assert_int_equal(dnszone_find(&z, two, "web", false, out), 2 - i);
        assert_int_equal(dnszone_reverse(&z, two, &first.ip4, name), 0);
        assert_string_equal(name, "web.a");
    }
    /* The one that is not on a network with names is another container, too. */
    struct dnszone_vm next = vm_of(7, 3, "id7", "", "10.3.0.7");
    next.name_count = 0;
    dnszone_set_vm(&z, &next);
    assert_int_equal(ask_as(&z, 1, "10.1.0.5")->vm.name_count, 1);
    (void)snprintf(next.container, sizeof(next.container), "Web");
    dnszone_set_vm(&z, &next);
    assert_int_equal(ask_as(&z, 1, "10.1.0.5")->vm.name_count, 0);
    dnszone_fini(&z);
}

static void test_servers(void **state)
{
    struct net_addr out[NET_DNS_MAX];
    struct dnszone z = {0};
    (void)state;
    make_zone(&z);
    /* a is internal; "one" has a way out by b. */
    assert_int_equal(dnszone_servers(&z, ask_as(&z, 1, "10.1.0.3"), out), 0);
    assert_int_equal(dnszone_servers(&z, ask_as(&z, 1, "10.1.0.2"), out), 1);
    struct dnszone_host *far = ask_as(&z, 2, "10.2.0.3");
    assert_int_equal(dnszone_servers(&z, far, out), 1);
    far->vm.limited = true;
    assert_int_equal(dnszone_servers(&z, far, out), 0);
    far->vm.egress_count = 1;
    assert_int_equal(net_addr_parse("9.9.9.0/24", &far->vm.egress[0]), 0);
    assert_int_equal(dnszone_servers(&z, far, out), 1);
    far->vm.dns_count = 1;
    assert_int_equal(net_addr_parse("9.9.8.1", &far->vm.dns[0]), 0);
    assert_int_equal(dnszone_servers(&z, far, out), 0);
    far->vm.limited = false;
    assert_int_equal(dnszone_servers(&z, far, out), 1);
    assert_memory_equal(out[0].b, "\x09\x09\x08\x01", 4);
    dnszone_fini(&z);
}

/* ---- files ---- */

static void test_flags(void **state)
{
    static const char *const bad_hosts[] = {
        "",           "x",       ":1.2.3.4",       "x:",
        "x:1.2.3",    "a b:::1", "x:1.2.3.4/24",   "x\n:1.2.3.4",
        "#x:1.2.3.4", "x:[::1",  "x:host-gateway",
    };
    static struct network_options o;
    struct err e;
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(bad_hosts); i++)
        assert_int_equal(network_add_host(&o, bad_hosts[i], &e), -EINVAL);
    assert_int_equal(network_add_dns(&o, "dns.example", &e), -EINVAL);
    assert_int_equal(network_add_dns(&o, "1.2.3.4/8", &e), -EINVAL);
    assert_int_equal(network_add_search(&o, "a b", &e), -EINVAL);
    assert_int_equal(network_add_dns_option(&o, "a\nb", &e), -EINVAL);
    assert_int_equal(o.host_count + o.dns_count + o.search_count, 0);
}

static void expect_resolv(const struct network *n,
                          const struct network_options *o, const char *want)
{
    struct buf b = {0};
    network_write_resolv(n, o, &b);
    assert_string_equal(b.data, want);
    buf_fini(&b);
}

static void test_files(void **state)
{
    static struct network_options o;
    static struct network n;
    struct err e;
    struct buf b = {0};
    (void)state;
    assert_int_equal(network_add_host(&o, "db:10.0.0.9", &e), 0);
    assert_int_equal(network_add_host(&o, "six=[fd00::9]", &e), 0);
    network_write_hosts(&n, &o, "me", &b);
    assert_string_equal(b.data, "127.0.0.1\tlocalhost\n"
                                "::1\tlocalhost ip6-localhost ip6-loopback\n"
                                "10.0.0.9\tdb\nfd00::9\tsix\n127.0.1.1\tme\n");
    buf_fini(&b);
    expect_resolv(&n, &o, "# limpet: no servers\n");
    assert_int_equal(network_add_dns(&o, "1.2.3.4", &e), 0);
    assert_int_equal(network_add_search(&o, "a.example", &e), 0);
    assert_int_equal(network_add_search(&o, "b", &e), 0);
    assert_int_equal(network_add_dns_option(&o, "use-vc", &e), 0);
    expect_resolv(&n, &o,
                  "nameserver 1.2.3.4\nsearch a.example b\noptions use-vc\n");
    n.count = 1;
    n.iface[0].resolver = true;
    n.iface[0].dns_count = 1;
    assert_int_equal(net_addr_parse("10.5.0.1", &n.iface[0].dns[0]), 0);
    expect_resolv(&n, &o,
                  "nameserver 10.5.0.1\nsearch a.example b\n"
                  "options use-vc ndots:0\n");
    assert_int_equal(network_add_dns_option(&o, "ndots:2", &e), 0);
    o.search_count = 0;
    assert_int_equal(network_add_search(&o, ".", &e), 0);
    expect_resolv(&n, &o, "nameserver 10.5.0.1\noptions use-vc ndots:2\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_query),
        cmocka_unit_test(test_bad_queries),
        cmocka_unit_test(test_strange_names),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_reverse),
        cmocka_unit_test(test_sharing),
        cmocka_unit_test(test_case),
        cmocka_unit_test(test_servers),
        cmocka_unit_test(test_flags),
        cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
