// SPDX-License-Identifier: Apache-2.0
/* Addresses, ports and resolv.conf: what is decided without the kernel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/err.h"
#include "net/plan.h"
#include "net/port.h"
#include "net/resolv.h"

static struct net_addr addr(const char *text)
{
    struct net_addr a;
    assert_int_equal(net_addr_parse(text, &a), 0);
    return a;
}

static void assert_addr(const struct net_addr *a, const char *want)
{
    char text[NET_ADDR_TEXT_SIZE];
    net_addr_text(a, true, text);
    assert_string_equal(text, want);
}

static void test_overlaps(void **state)
{
    static const struct {
        const char *a, *b;
        bool yes;
    } cases[] = {
        {"10.0.0.0/8", "10.255.0.0/16", true},
        {"10.0.0.0/8", "11.0.0.0/8", false},
        {"0.0.0.0/1", "127.0.0.1/32", true},
        {"172.17.0.0/16", "172.16.0.0/12", true},
        {"172.17.0.0/17", "172.17.128.0/17", false},
        {"fd00::/64", "fd00::1/128", true},
        {"fd00::/64", "fd00:0:0:1::/64", false},
        {"0.0.0.0/1", "::/1", false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct net_addr a = addr(cases[i].a);
        struct net_addr b = addr(cases[i].b);
        assert_int_equal(plan_overlaps(&a, &b), cases[i].yes);
        assert_int_equal(plan_overlaps(&b, &a), cases[i].yes);
    }
}

static void test_covered(void **state)
{
    static const struct {
        const char *range;
        bool covered;
    } cases[] = {
        {"10.1.0.0/16", true}, /* by a later one */
        {"10.0.0.0/8", false}, {"10.2.0.0/16", true},
        {"10.9.9.9/8", true}, /* the same, said twice */
        {"11.0.0.0/8", false}, {"fd00:1::/64", true},
        {"fd00::/16", false},  {"fd00::/16", true},
        {"0.0.0.0/32", false},
    };
    struct net_addr all[ARRAY_COUNT(cases)];
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        all[i] = addr(cases[i].range);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        assert_int_equal(plan_is_covered(all, ARRAY_COUNT(all), i),
                         cases[i].covered);
}

static void test_pools(void **state)
{
    struct net_addr taken[32] = {0};
    struct net_addr got;
    size_t n = 0;
    (void)state;
    assert_true(plan_pick4(taken, 0, &got));
    assert_addr(&got, "172.17.0.0/16");
    taken[n++] = addr("172.16.0.0/14"); /* .16 to .19 */
    assert_true(plan_pick4(taken, n, &got));
    assert_addr(&got, "172.20.0.0/16");
    taken[n++] = addr("172.16.0.0/12");
    taken[n++] = addr("192.168.1.0/24");
    assert_true(plan_pick4(taken, n, &got));
    assert_addr(&got, "192.168.16.0/20");
    taken[n++] = addr("192.168.0.0/16");
    assert_false(plan_pick4(taken, n, &got));
}

static void test_hosts(void **state)
{
    struct net_addr range = addr("10.1.2.200/30");
    struct net_addr got;
    uint8_t mac[6];
    (void)state;
    assert_true(plan_host(&range, 1, &got));
    assert_addr(&got, "10.1.2.201/30");
    assert_true(plan_host(&range, 2, &got));
    assert_false(plan_host(&range, 3, &got)); /* broadcast */
    range = addr("172.17.0.0/16");
    assert_true(plan_host(&range, 258, &got));
    assert_addr(&got, "172.17.1.2/16");
    plan_mac(&got, mac);
    assert_memory_equal(mac, "\x02\x42\xac\x11\x01\x02", 6);
    got = plan_link_local(mac);
    assert_addr(&got, "fe80::42:acff:fe11:102/64");
    range = plan_ula((const uint8_t[]){1, 2, 3, 4, 5, 6, 7});
    assert_true(plan_host(&range, 2, &got));
    assert_addr(&got, "fd01:203:405:607::2/64");
}

static void test_ports(void **state)
{
    static const struct {
        const char *said, *shown; /* shown NULL: refused */
    } cases[] = {
        {"8080:80", "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp"},
        {"127.0.0.1:53:5353/udp", "127.0.0.1:53->5353/udp"},
        {"[::1]:1:2", "[::1]:1->2/tcp"},
        {"10.0.0.1:1-2:3-4", "10.0.0.1:1->3/tcp, 10.0.0.1:2->4/tcp"},
        {"10.0.0.1::80", "10.0.0.1:0->80/tcp"},
        {"1-2:80", NULL},
        {"0:80", NULL},
        {"65536:80", NULL},
        {"", NULL},
        {":", NULL},
        {"80/sctp", NULL},
        {"2-1", NULL},
        {"a:80", NULL},
        {"1.2.3:4:5", NULL},
        {"-1:80", NULL},
        {"1-2000:1-2000", NULL},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct port_list l = {0};
        struct err e;
        int code = port_parse(&l, cases[i].said, &e);
        AUTO_FREE char *text = port_list_text(&l);
        if (cases[i].shown != NULL) {
            assert_int_equal(code, 0);
            assert_string_equal(text, cases[i].shown);
        } else {
            assert_true(code < 0 && e.msg[0] != '\0');
        }
        port_list_fini(&l);
    }
}

static void test_port_json(void **state)
{
    struct port_list l = {0};
    struct port_list back = {0};
    struct err e;
    (void)state;
    assert_int_equal(port_parse(&l, "1:2/udp", &e), 0);
    assert_int_equal(port_parse(&l, "127.0.0.2:3:4", &e), 0);
    json_t *o = port_list_json(&l);
    assert_int_equal(port_list_from_json(&back, o, "t", &e), 0);
    json_decref(o);
    assert_int_equal(back.count, 2);
    assert_true(back.port[0].any && back.port[0].udp);
    assert_false(port_is_loopback(&back.port[0]));
    assert_true(port_is_loopback(&back.port[1]));
    port_list_fini(&l);
    port_list_fini(&back);
}

static void test_resolv(void **state)
{
    struct net_addr got[NET_DNS_MAX];
    char search[64];
    const char *text = "# x\nsearch a.example b\nnameserver 127.0.0.53\n"
                       " nameserver 9.9.9.9\nnameserver fe80::1%eth0\n"
                       "nameserver ::1\nnameserver nonsense\nnameserver";
    (void)state;
    assert_int_equal(resolv_parse(text, false, got), 2);
    assert_addr(&got[0], "9.9.9.9/32");
    assert_addr(&got[1], "fe80::1/128");
    assert_int_equal(resolv_parse(text, true, got), 4);
    resolv_line(text, "search", search, sizeof(search));
    assert_string_equal(search, "a.example b");
    assert_int_equal(resolv_parse("", false, got), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_overlaps), cmocka_unit_test(test_covered),
        cmocka_unit_test(test_pools),    cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_ports),    cmocka_unit_test(test_port_json),
        cmocka_unit_test(test_resolv),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
