// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/err.h"
#include "cli/run_flags.h"

/* `docker run --help` of docker 28.2, and its hidden aliases. */
static const struct {
    const char *name;
    char letter;
    bool value;
} docker[] = {
    {"add-host", 0, true},
    {"annotation", 0, true},
    {"attach", 'a', true},
    {"blkio-weight", 0, true},
    {"blkio-weight-device", 0, true},
    {"cap-add", 0, true},
    {"cap-drop", 0, true},
    {"cgroup-parent", 0, true},
    {"cgroupns", 0, true},
    {"cidfile", 0, true},
    {"cpu-count", 0, true},
    {"cpu-percent", 0, true},
    {"cpu-period", 0, true},
    {"cpu-quota", 0, true},
    {"cpu-rt-period", 0, true},
    {"cpu-rt-runtime", 0, true},
    {"cpu-shares", 'c', true},
    {"cpus", 0, true},
    {"cpuset-cpus", 0, true},
    {"cpuset-mems", 0, true},
    {"detach", 'd', false},
    {"detach-keys", 0, true},
    {"device", 0, true},
    {"device-cgroup-rule", 0, true},
    {"device-read-bps", 0, true},
    {"device-read-iops", 0, true},
    {"device-write-bps", 0, true},
    {"device-write-iops", 0, true},
    {"disable-content-trust", 0, false},
    {"dns", 0, true},
    {"dns-option", 0, true},
    {"dns-search", 0, true},
    {"domainname", 0, true},
    {"entrypoint", 0, true},
    {"env", 'e', true},
    {"env-file", 0, true},
    {"expose", 0, true},
    {"gpus", 0, true},
    {"group-add", 0, true},
    {"health-cmd", 0, true},
    {"health-interval", 0, true},
    {"health-retries", 0, true},
    {"health-start-interval", 0, true},
    {"health-start-period", 0, true},
    {"health-timeout", 0, true},
    {"help", 0, false},
    {"hostname", 'h', true},
    {"init", 0, false},
    {"interactive", 'i', false},
    {"io-maxbandwidth", 0, true},
    {"io-maxiops", 0, true},
    {"ip", 0, true},
    {"ip6", 0, true},
    {"ipc", 0, true},
    {"isolation", 0, true},
    {"kernel-memory", 0, true},
    {"label", 'l', true},
    {"label-file", 0, true},
    {"link", 0, true},
    {"link-local-ip", 0, true},
    {"log-driver", 0, true},
    {"log-opt", 0, true},
    {"mac-address", 0, true},
    {"memory", 'm', true},
    {"memory-reservation", 0, true},
    {"memory-swap", 0, true},
    {"memory-swappiness", 0, true},
    {"mount", 0, true},
    {"name", 0, true},
    {"network", 0, true},
    {"network-alias", 0, true},
    {"no-healthcheck", 0, false},
    {"oom-kill-disable", 0, false},
    {"oom-score-adj", 0, true},
    {"pid", 0, true},
    {"pids-limit", 0, true},
    {"platform", 0, true},
    {"privileged", 0, false},
    {"publish", 'p', true},
    {"publish-all", 'P', false},
    {"pull", 0, true},
    {"quiet", 'q', false},
    {"read-only", 0, false},
    {"restart", 0, true},
    {"rm", 0, false},
    {"runtime", 0, true},
    {"security-opt", 0, true},
    {"shm-size", 0, true},
    {"sig-proxy", 0, false},
    {"stop-signal", 0, true},
    {"stop-timeout", 0, true},
    {"storage-opt", 0, true},
    {"sysctl", 0, true},
    {"tmpfs", 0, true},
    {"tty", 't', false},
    {"ulimit", 0, true},
    {"use-api-socket", 0, false},
    {"user", 'u', true},
    {"userns", 0, true},
    {"uts", 0, true},
    {"volume", 'v', true},
    {"volume-driver", 0, true},
    {"volumes-from", 0, true},
    {"workdir", 'w', true},
    {"dns-opt", 0, true},
    {"net", 0, true},
    {"net-alias", 0, true},
};

/* What the issue promises to take, and what the launcher adds. */
static const char *const ours[] = {
    "rm",          "interactive", "tty",           "env",         "env-file",
    "workdir",     "user",        "entrypoint",    "name",        "hostname",
    "memory",      "vcpus",       "pull",          "root",        "detach",
    "accel",       "platform",    "help",          "kernel",      "initrd",
    "cmdline",     "network",     "net",           "mac-address", "ip",
    "ip6",         "gateway",     "net-rate",      "quiet",       "publish",
    "publish-all", "expose",      "network-alias", "net-alias",   "egress",
    "dns",         "dns-opt",     "dns-option",    "dns-search",  "add-host",
};

static const struct opt *find(const char *name)
{
    for (const struct opt *o = run_flags; o->name != NULL; o++)
        if (strcmp(o->name, name) == 0)
            return o;
    return NULL;
}

static void test_every_docker_flag_is_known(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < ARRAY_COUNT(docker); i++) {
        const struct opt *o = find(docker[i].name);
        if (o == NULL)
            fail_msg("--%s is missing", docker[i].name);
        else if (o->letter != docker[i].letter || o->value != docker[i].value)
            fail_msg("--%s differs from docker's", docker[i].name);
    }
}

static int read_one(char *a, char *b, struct opt_seen *f, struct err *e)
{
    char *argv[] = {a, b};
    char *rest[2];
    struct opt_reader r = {
        .table = run_flags, .argv = argv, .argc = 2, .rest = rest};
    return opt_next(&r, f, e);
}

/* Either taken, or refused by name with advice. */
static void test_walk(void **unused)
{
    (void)unused;
    size_t taken = 0;
    for (const struct opt *o = run_flags; o->name != NULL; o++) {
        char flag[64];
        char value[] = "1";
        struct opt_seen f = {0};
        struct err e = {0};
        (void)snprintf(flag, sizeof(flag), "--%s", o->name);
        int code = read_one(flag, value, &f, &e);
        taken += code == 1;
        if (o->id > 0) {
            assert_int_equal(code, 1);
            assert_int_equal(f.id, o->id);
            continue;
        }
        assert_int_equal(code, -EINVAL);
        assert_ptr_equal(strstr(e.msg, flag), e.msg);
        assert_non_null(strstr(e.msg, " is not supported: "));
        assert_true(strlen(o->advice) > 10);
        assert_non_null(strstr(e.msg, o->advice));
        if (o->letter == 0)
            continue;
        (void)snprintf(flag, sizeof(flag), "-%c", o->letter);
        assert_int_equal(read_one(flag, value, &f, &e), -EINVAL);
        assert_ptr_equal(strstr(e.msg, flag), e.msg);
    }
    assert_int_equal(taken, ARRAY_COUNT(ours));
    for (size_t i = 0; i < ARRAY_COUNT(ours); i++) {
        const struct opt *o = find(ours[i]);
        assert_non_null(o);
        assert_true(o != NULL && o->id > 0);
    }
}

static void test_no_doubles(void **unused)
{
    (void)unused;
    for (const struct opt *a = run_flags; a->name != NULL; a++) {
        for (const struct opt *b = a + 1; b->name != NULL; b++) {
            assert_string_not_equal(a->name, b->name);
            assert_false(a->letter != 0 && a->letter == b->letter);
            assert_false(a->id != 0 && a->id == b->id);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_docker_flag_is_known),
        cmocka_unit_test(test_walk),
        cmocka_unit_test(test_no_doubles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
