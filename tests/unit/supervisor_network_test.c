// SPDX-License-Identifier: Apache-2.0
/* --network as it is said, and what comes of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/err.h"
#include "supervisor/network.h"
#include "supervisor/network_connect.h"
#include "supervisor/state.h"

static struct network_options options;
static const struct network_vm vm = {.id = "0123",
                                     .name = "web",
                                     .hostname = "web",
                                     .libexec = "",
                                     .root = -1,
                                     .options = &options};

static void words_become_values(void **state)
{
    (void)state;
    struct network_want w;
    struct err e;
    char text[NET_ADDR_TEXT_SIZE];
    assert_int_equal(
        network_parse(&w,
                      "tap:t0,ip=10.0.0.2/24,ip6=fd00::2/64,gateway=10.0.0.1,"
                      "gateway=fe80::1,mac-address=02:42:AC:11:00:02,mtu=9000,"
                      "rate=10M,dns=9.9.9.9",
                      &e),
        0);
    assert_string_equal(w.mode, "tap:t0");
    assert_int_equal(w.said.addr_count, 2);
    net_addr_text(&w.said.addr[1], true, text);
    assert_string_equal(text, "fd00::2/64");
    assert_true(w.said.has_gateway4 && w.said.has_gateway6);
    assert_int_equal(w.said.mac[2], 0xac);
    assert_int_equal(w.said.mtu, 9000);
    assert_int_equal(w.said.rate, 10000000);
    assert_int_equal(w.said.dns_count, 1);
}

static void each_mistake_is_named(void **state)
{
    static const struct {
        const char *text, *needle;
    } bad[] = {
        {"", "want MODE"},
        {"tap:t0,", "want MODE"},
        {"tap:t0,ip", "no KEY=VALUE"},
        {"tap:t0,colour=red", "unknown key"},
        {"tap:t0,ip=fd00::1", "10.0.0.2/24"},
        {"tap:t0,ip=10.0.0.2/33", "10.0.0.2/24"},
        {"tap:t0,ip6=10.0.0.2", "fd00::2/64"},
        {"tap:t0,gateway=10.0.0.1/8", "10.0.0.1"},
        {"tap:t0,gateway=10.0.0.1,gateway=10.0.0.2", "twice"},
        {"tap:t0,mac-address=03:00:00:00:00:01", "unicast"},
        {"tap:t0,mac-address=00:00:00:00:00:00", "unicast"},
        {"tap:t0,mac-address=02:00:00:00:00", "unicast"},
        {"tap:t0,mac-address=02:00:00:00:00:0g", "unicast"},
        {"tap:t0,mtu=67", "68"},
        {"tap:t0,rate=10X", "10M"},
        {"tap:t0,rate=1", "10M"},
        {"tap:t0,rate=M", "10M"},
        {"tap:t0,rate=99999999999T", "10M"},
        {"tap:t0,rate=10MM", "10M"},
        {"tap:t0,dns=localhost", "an address"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct network_want w;
        struct err e = {0};
        assert_int_equal(network_parse(&w, bad[i].text, &e), -EINVAL);
        if (strstr(e.msg, bad[i].needle) == NULL)
            fail_msg("%s: %s", bad[i].text, e.msg);
    }
}

static void modes_that_are_none_are_refused(void **state)
{
    static const char *const modes[] = {
        "bridge", "tap",     "tap:",   "fd:x",
        "fd:1",   "fd:9999", "none:x", "tap:abcdefghijklmnop"};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(modes); i++) {
        struct network_want w;
        struct network n;
        struct err e = {0};
        assert_int_equal(network_parse(&w, modes[i], &e), 0);
        assert_true(network_attach(&n, &w, 1, &vm, &e) < 0);
        assert_true(e.msg[0] != '\0');
        assert_int_equal(n.count, 0);
    }
}

static void none_is_nothing_and_goes_alone(void **state)
{
    struct network_want w[2];
    struct network n;
    struct err e;
    (void)state;
    assert_int_equal(network_parse(&w[0], "none", &e), 0);
    assert_int_equal(network_parse(&w[1], "none", &e), 0);
    assert_int_equal(network_attach(&n, w, 1, &vm, &e), 0);
    assert_int_equal(n.count, 0);
    assert_int_equal(network_attach(&n, w, 2, &vm, &e), -EINVAL);
}

static void fds_are_told_apart(void **state)
{
    static const struct {
        int type;
        const char *frames;
    } kinds[] = {{SOCK_STREAM, "stream"},
                 {SOCK_SEQPACKET, "packet"},
                 {SOCK_DGRAM, "packet"}};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        int pair[2];
        char text[64];
        struct network_want w;
        struct network n;
        struct err e;
        assert_int_equal(socketpair(AF_UNIX, kinds[i].type, 0, pair), 0);
        (void)snprintf(text, sizeof(text), "fd:%d,ip=10.1.2.3/8", pair[0]);
        assert_int_equal(network_parse(&w, text, &e), 0);
        assert_int_equal(network_attach(&n, &w, 1, &vm, &e), 0);
        assert_int_equal(n.iface[0].mtu, 1500);
        assert_int_equal(n.iface[0].mac[0] & 3, 2);
        assert_int_not_equal(n.iface[0].fd, pair[0]);
        json_t *o = network_json(&n, true);
        const json_t *one = json_array_get(o, 0);
        assert_string_equal(json_string_value(json_object_get(one, "frames")),
                            kinds[i].frames);
        assert_string_equal(json_string_value(json_object_get(one, "name")),
                            "eth0");
        assert_true(json_is_integer(json_object_get(one, "fd")));
        json_decref(o);
        network_detach(&n);
        (void)close(pair[0]);
        (void)close(pair[1]);
    }
}

static struct net_addr addr_of(const char *text)
{
    struct net_addr a;
    assert_int_equal(net_addr_parse(text, &a), 0);
    return a;
}

static const char *member(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

static void routes_are_told(void **state)
{
    (void)state;
    struct network n = {.count = 1};
    struct net_iface *i = &n.iface[0];
    (void)snprintf(i->name, sizeof(i->name), "eth0");
    i->addr[0] = addr_of("10.1.2.3/32");
    i->alone[0] = true;
    i->addr_count = 1;
    i->route[0] = (struct net_route){.to = addr_of("10.9.0.0/16"),
                                     .via = addr_of("10.1.2.1"),
                                     .has_via = true,
                                     .metric = 7,
                                     .onlink = true};
    i->route_count = 1;
    json_t *o = network_json(&n, true);
    const json_t *one = json_array_get(o, 0);
    const json_t *r = json_array_get(json_object_get(one, "routes"), 0);
    const json_t *own = json_array_get(json_object_get(one, "addresses"), 0);
    assert_string_equal(json_string_value(own), "10.1.2.3/32 noprefixroute");
    assert_string_equal(member(r, "to"), "10.9.0.0/16");
    assert_string_equal(member(r, "via"), "10.1.2.1");
    assert_null(member(r, "src"));
    assert_int_equal(json_integer_value(json_object_get(r, "metric")), 7);
    assert_true(json_is_true(json_object_get(r, "onlink")));
    json_decref(o);
}

/* Networks of our own can come; beside a namespace's or an fd they cannot. */
static void spare_places(void **state)
{
    (void)state;
    struct network n = {.count = 0};
    assert_int_equal(network_spare(&n), 0);
    n.count = 1;
    (void)snprintf(n.mode[0], sizeof(n.mode[0]), "bridge");
    assert_true(network_spare(&n) > 0);
    (void)snprintf(n.mode[0], sizeof(n.mode[0]), "fd:5");
    assert_int_equal(network_spare(&n), 0);
}

static void who_cannot_be_connected(void **state)
{
    static const struct {
        enum instance_state at;
        const char *config, *says;
    } bad[] = {
        {INSTANCE_EXITED, "{}", "is not running"},
        {INSTANCE_RUNNING, "{\"accel\": \"emulate\"}", "--accel emulate"},
        {INSTANCE_RUNNING, "{\"accel\": \"kvm\", \"network\": []}",
         "--network none"},
        {INSTANCE_RUNNING,
         "{\"accel\": \"kvm\", \"network\": [{\"mode\": \"user\"}]}",
         "--network user"},
        {INSTANCE_RUNNING,
         "{\"accel\": \"kvm\", \"network\": [{\"mode\": \"fd:3\"}]}",
         "--network fd:3"},
    };
    const struct network_connect w = {.network = "n"};
    (void)state;
    for (size_t k = 0; k < ARRAY_COUNT(bad); k++) {
        struct state_info one = {.state = bad[k].at,
                                 .name = "c",
                                 .config = json_loads(bad[k].config, 0, NULL)};
        struct err e;
        assert_non_null(one.config);
        assert_true(network_connect(NULL, &one, &w, &e) < 0);
        assert_non_null(strstr(e.msg, bad[k].says));
        json_decref(one.config);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(routes_are_told),
        cmocka_unit_test(spare_places),
        cmocka_unit_test(who_cannot_be_connected),
        cmocka_unit_test(words_become_values),
        cmocka_unit_test(each_mistake_is_named),
        cmocka_unit_test(modes_that_are_none_are_refused),
        cmocka_unit_test(none_is_nothing_and_goes_alone),
        cmocka_unit_test(fds_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
