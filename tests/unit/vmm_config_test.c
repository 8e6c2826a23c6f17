// SPDX-License-Identifier: Apache-2.0
/* The monitor's configuration: what is taken and what is refused. */
#include "base/auto.h"
#include "tests/unit/vmm_driver.h"
#include "vmm/config.h"

static int parse(const char *text, struct vm_config *c, struct err *e)
{
    int rc = config_parse(c, text, strlen(text), e);
    if (rc < 0)
        config_fini(c);
    return rc;
}

static void everything_is_taken(void **state)
{
    (void)state;
    struct vm_config c;
    struct err e;
    int fds[32];
    assert_int_equal(
        parse("{\"version\":1,\"name\":\"web\",\"kvm_fd\":3,\"kernel_fd\":4,"
              "\"symbols_fd\":-1,\"memory\":1073741824,\"vcpus\":2,"
              "\"image_fds\":[5,6],\"disks\":[{\"fd\":7,\"readonly\":true}],"
              "\"net\":[{\"fd\":12,\"frames\":\"packet\",\"name\":\"eth0\","
              "\"mac\":\"02:00:00:00:00:01\",\"mtu\":1500,\"rate\":8000,"
              "\"addresses\":[\"10.0.0.2/24 noprefixroute\",\"fd00::2/64\"],"
              "\"gateways\":[\"10.0.0.1\"],\"routes\":[{\"to\":\"0.0.0.0/0\","
              "\"via\":\"10.0.0.9\",\"src\":\"10.0.0.2\",\"metric\":7,"
              "\"protocol\":3,\"scope\":0,\"onlink\":true}]}],"
              "\"stdio\":{\"stdin_fd\":0,\"stdout_fd\":1,\"stderr_fd\":2,"
              "\"tty\":true,\"rows\":50,\"cols\":132,\"log_fd\":-1},"
              "\"client_fd\":8,\"listen_fd\":9,\"lock_fd\":10,\"exit_fd\":11,"
              "\"vmm_log_fd\":2,\"phases_fd\":-1,\"cpuid_cache_fd\":-1,"
              "\"containers\":[{\"args\":[\"/app\"],\"env\":[\"P=/\"],"
              "\"cwd\":\"/w\",\"uid\":1,\"gid\":2,\"gids\":[3],\"umask\":18,"
              "\"hostname\":\"h\",\"tty\":true,\"stdin\":true,"
              "\"nofile\":[1024,524288],\"files\":[{\"path\":\"/etc/hosts\","
              "\"mode\":420,\"data\":\"x\"}]}]}",
              &c, &e),
        0);
    assert_int_equal(c.vcpus, 2);
    assert_int_equal(c.image_fd[1], 6);
    assert_true(c.disk[0].readonly);
    assert_int_equal(c.stdio.cols, 132);
    assert_int_equal(c.container.nofile[1], 524288);
    assert_int_equal(c.container.gids[0], 3);
    assert_string_equal(c.container.cwd, "/w");
    assert_int_equal(c.net[0].frames, VIRTIO_NET_PACKET);
    assert_int_equal(c.net[0].mac[5], 1);
    assert_int_equal(c.net[0].addr[0].b[11], 0xff);
    assert_int_equal(c.net[0].addr[0].prefix, 24);
    assert_true(c.net[0].addr[0].alone);
    assert_int_equal(c.net[0].addr[1].prefix, 64);
    assert_false(c.net[0].addr[1].alone);
    assert_int_equal(c.net[0].route_count, 1);
    assert_int_equal(c.net[0].route[0].to.prefix, 0);
    assert_int_equal(c.net[0].route[0].via.b[15], 9);
    assert_int_equal(c.net[0].route[0].src.b[15], 2);
    assert_int_equal(c.net[0].route[0].metric, 7);
    assert_int_equal(c.net[0].route[0].protocol, 3);
    assert_true(c.net[0].route[0].onlink);
    assert_int_equal(c.net[0].gateway[0].b[15], 1);
    assert_int_equal(config_fds(&c, fds, 32), 14);
    assert_int_equal(config_fds(&c, fds, 4), 4);
    config_fini(&c);
    config_fini(&c);
}

#define HEAD "{\"version\":1,\"memory\":16777216,\"vcpus\":1,\"stdio\":{},"
#define NET(frames, mac, addr)                                                 \
    "\"net\":[{\"fd\":3,\"mtu\":1500,\"name\":\"eth0\",\"frames\":\"" frames   \
    "\",\"mac\":\"" mac "\",\"addresses\":[\"" addr "\"]}]}"
#define ROUTE(to, via)                                                         \
    HEAD "\"net\":[{\"fd\":3,\"mtu\":1500,\"name\":\"eth0\",\"frames\":"       \
         "\"tap\","                                                            \
         "\"mac\":\"02:00:00:00:00:01\",\"addresses\":[],\"routes\":[{"        \
         "\"to\":\"" to "\",\"metric\":0,\"protocol\":3,\"scope\":0,"          \
         "\"onlink\":false,\"via\":\"" via "\"}]}]}"
#define CONT(members) HEAD "\"containers\":[{\"args\":[\"x\"]," members "}]}"

static void each_mistake_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *needle;
    } bad[] = {
        {"", "malformed"},
        {HEAD "\"net\":1}", "net"},
        {HEAD "\"net\":[1]}", "not an object"},
        {HEAD "\"net\":[{\"x\":1}]}", "unknown key"},
        {HEAD "\"net\":[{\"fd\":3,\"mtu\":67}]}", "mtu"},
        {HEAD NET("pigeon", "02:00:00:00:00:01", ""), "frames"},
        {HEAD NET("tap", "03:00:00:00:00:01", ""), "mac"},
        {HEAD NET("tap", "02:00:00:00:00:01", "300.1.1.1"), "addresses"},
        {HEAD NET("tap", "02:00:00:00:00:01", "1.1.1.1/33"), "addresses"},
        {HEAD NET("tap", "02:00:00:00:00:01", "1.1.1.1/3 x"), "addresses"},
        {ROUTE("x", "10.0.0.1"), "to: want"},
        {ROUTE("10.0.0.0/33", "10.0.0.1"), "to: want"},
        {ROUTE("10.0.0.0/8", "fd00::1"), "via: want"},
        {ROUTE("fd00::/8", "10.0.0.1"), "via: want"},
        {ROUTE("10.0.0.0/8", "10.0.0.1/8"), "via: want"},
        {"[]", "not an object"},
        {"{}", "version"},
        {HEAD "\"containers\":[]}", "container"},
        {HEAD "\"containers\":[{}]}", "args"},
        {HEAD "\"containers\":[{\"args\":[]}]}", "args"},
        {HEAD "\"containers\":[{\"args\":[\"a\\u0000b\"]}]}", "malformed"},
        {HEAD "\"containers\":[1]}", "object"},
        {CONT("\"env\":[1]"), "env"},
        {CONT("\"uid\":-1"), "uid"},
        {CONT("\"uid\":4294967295"), "uid"},
        {CONT("\"umask\":512"), "umask"},
        {CONT("\"nofile\":[1]"), "nofile"},
        {CONT("\"nofile\":[2,1]"), "nofile"},
        {CONT("\"gids\":[4294967295]"), "gids"},
        {CONT("\"gids\":\"x\""), "gids"},
        {CONT("\"files\":[{\"path\":\"rel\",\"mode\":1,\"data\":\"\"}]"),
         "absolute"},
        {CONT("\"files\":[{\"path\":\"/x\",\"mode\":99999,\"data\":\"\"}]"),
         "mode"},
        {CONT("\"files\":[1]"), "object"},
        {CONT("\"surprise\":1"), "surprise"},
        {HEAD "\"stock\":1,\"containers\":[{\"args\":[\"x\"]}]}", "stock"},
        {HEAD "\"stock\":{\"initrd_fd\":\"\"}}", "initrd_fd"},
        {HEAD "\"stock\":{\"cmdline\":1}}", "cmdline"},
        {HEAD "\"stock\":{\"x\":1}}", "stock"},
        {HEAD "\"stdio\":1}", "malformed"}, /* twice the same key */
    };
    for (unsigned i = 0; i < ARRAY_COUNT(bad); i++) {
        struct vm_config c;
        struct err e = {0};
        assert_true(parse(bad[i].text, &c, &e) < 0);
        if (strstr(e.msg, bad[i].needle) == NULL)
            fail_msg("%s: \"%s\"", bad[i].text, e.msg);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_taken),
        cmocka_unit_test(each_mistake_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
