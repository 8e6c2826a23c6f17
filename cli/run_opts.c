// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "abi/boot.h"

#include "base/auto.h"
#include "base/err.h"
#include "base/log.h"
#include "base/parse.h"
#include "cli/run.h"
#include "cli/run_flags.h"
#include "supervisor/network_names.h"

#define RUN_MEMORY_STEP (UINT64_C(2) << 20)
#define RUN_MEMORY_MIN  (UINT64_C(16) << 20)
#define RUN_MEMORY_MAX  (UINT64_C(64) << 30)

enum { RUN_HOSTNAME_MAX = 63 };

static int run_opts_memory(struct run_opts *o, const char *text, struct err *e)
{
    uint64_t size;
    if (parse_size(text, &size) < 0)
        return err_set(e, -EINVAL,
                       "invalid argument \"%.64s\" for \"-m, --memory\" flag: "
                       "invalid size: '%.64s'",
                       text, text);
    if (size < RUN_MEMORY_MIN || size > RUN_MEMORY_MAX)
        return err_set(e, -ERANGE,
                       "-m %.64s: a VM has between 16 MiB and 64 GiB of RAM",
                       text);
    o->memory = (size + RUN_MEMORY_STEP - 1) & ~(RUN_MEMORY_STEP - 1);
    return 0;
}

static int run_opts_vcpus(struct run_opts *o, const char *text, struct err *e)
{
    uint64_t n;
    if (parse_u64(text, 1, BOOT_CPU_MAX, &n) < 0)
        return err_set(e, -EINVAL,
                       "--vcpus %.64s: must be a whole number between 1 "
                       "and %d",
                       text, BOOT_CPU_MAX);
    o->vcpus = (unsigned)n;
    return 0;
}

static int run_opts_word(const char *flag, const char *text,
                         const char *const *words, int *out, struct err *e)
{
    for (int i = 0; words[i] != NULL; i++) {
        if (strcmp(words[i], text) == 0) {
            *out = i;
            return 0;
        }
    }
    return err_set(e, -EINVAL, "--%s %.64s: must be %s, %s%s%s", flag, text,
                   words[0], words[1], words[2] != NULL ? " or " : "",
                   words[2] != NULL ? words[2] : "");
}

static int run_opts_hostname(struct run_opts *o, const char *text,
                             struct err *e)
{
    size_t n = strlen(text);
    if (n > RUN_HOSTNAME_MAX || strpbrk(text, " \t\n/") != NULL)
        return err_set(e, -EINVAL,
                       "invalid hostname %.80s: at most %d bytes, no spaces",
                       text, RUN_HOSTNAME_MAX);
    o->hostname = n > 0 ? text : NULL;
    return 0;
}

static int run_opts_network(struct run_opts *o, const char *text, struct err *e)
{
    if (o->network_count == NET_IFACES_MAX)
        return err_set(e, -E2BIG, "--network: more than %d", NET_IFACES_MAX);
    return network_parse(&o->network[o->network_count++], text, e);
}

/* Flags about the interface go with one --network: kept until all is read. */
static int run_opts_iface(struct run_opts *o, const char *key,
                          const char *value, struct err *e)
{
    if (o->iface_count == RUN_IFACE_FLAGS_MAX)
        return err_set(e, -E2BIG, "--%s: said too often", key);
    o->iface[o->iface_count++] = (struct run_iface_flag){key, value};
    return 0;
}

static int run_opts_default(struct run_opts *o, struct err *e)
{
    struct err why = {0};
    const char *mode = network_default(&why);
    if (why.code < 0)
        log_warn("no network for the container: %s (--network none: it needs "
                 "none)",
                 why.msg);
    o->network_default = true;
    return run_opts_network(o, mode, e);
}

static int run_opts_networks(struct run_opts *o, struct err *e)
{
    if (o->network_count == 0 && run_opts_default(o, e) < 0)
        return e->code;
    bool none = strcmp(o->network[0].mode, "none") == 0;
    for (unsigned i = 0; i < o->iface_count; i++) {
        const struct run_iface_flag *f = &o->iface[i];
        if (o->network_count > 1)
            return err_set(e, -EINVAL,
                           "there are several networks: say %s=%.64s behind "
                           "one: --network MODE,%s=%.64s",
                           f->key, f->value, f->key, f->value);
        if (none)
            return err_set(e, -EINVAL,
                           "%s=%.64s: this container has no network: use "
                           "--network",
                           f->key, f->value);
        if (network_set(&o->network[0], f->key, f->value, e) < 0)
            return e->code;
    }
    return 0;
}

static int run_opts_value(struct run_opts *o, const struct opt_seen *f,
                          struct err *e)
{
    static const char *const pulls[] = {"missing", "always", "never", NULL};
    static const char *const accels[] = {"kvm", "emulate", NULL};
    int n = 0;
    int code = 0;
    switch (f->id) {
    case RUN_NET:
    case RUN_NETWORK: return run_opts_network(o, f->value, e);
    case RUN_MAC: return run_opts_iface(o, "mac-address", f->value, e);
    case RUN_IP: return run_opts_iface(o, "ip", f->value, e);
    case RUN_IP6: return run_opts_iface(o, "ip6", f->value, e);
    case RUN_GATEWAY: return run_opts_iface(o, "gateway", f->value, e);
    case RUN_ALIAS:
    case RUN_NET_ALIAS: return network_add_alias(&o->net, f->value, e);
    case RUN_EGRESS: return network_add_egress(&o->net, f->value, e);
    case RUN_DNS: return network_add_dns(&o->net, f->value, e);
    case RUN_DNS_OPT:
    case RUN_DNS_OPTION: return network_add_dns_option(&o->net, f->value, e);
    case RUN_DNS_SEARCH: return network_add_search(&o->net, f->value, e);
    case RUN_ADD_HOST: return network_add_host(&o->net, f->value, e);
    case RUN_PUBLISH: return port_parse(&o->net.ports, f->value, e);
    case RUN_EXPOSE: return port_parse(&o->expose, f->value, e);
    case RUN_NET_RATE: return run_opts_iface(o, "rate", f->value, e);
    case RUN_ENV: return run_env_flag(o->flag_env, f->value, e);
    case RUN_ENV_FILE: return run_env_file(o->file_env, f->value, e);
    case RUN_MEMORY: return run_opts_memory(o, f->value, e);
    case RUN_VCPUS: return run_opts_vcpus(o, f->value, e);
    case RUN_HOSTNAME: return run_opts_hostname(o, f->value, e);
    case RUN_PULL:
        code = run_opts_word("pull", f->value, pulls, &n, e);
        o->pull = (enum run_pull)n;
        return code;
    case RUN_ACCEL:
        code = run_opts_word("accel", f->value, accels, &n, e);
        o->emulate = n == 1;
        return code;
    default: return err_set(e, -EINVAL, "--%s: forgotten here", f->name);
    }
}

static int run_opts_take(struct run_opts *o, const struct opt_seen *f,
                         struct err *e)
{
    bool on = strcmp(f->value, "true") == 0;
    switch (f->id) {
    case RUN_RM: o->rm = on; return 0;
    case RUN_INTERACTIVE: o->interactive = on; return 0;
    case RUN_TTY: o->tty = on; return 0;
    case RUN_DETACH: o->detach = on; return 0;
    case RUN_PUBLISH_ALL: o->publish_all = on; return 0;
    case RUN_HELP: o->help = on; return 0;
    case RUN_QUIET: o->quiet = on; return 0;
    case RUN_WORKDIR: o->workdir = f->value; return 0;
    case RUN_USER: o->user = f->value; return 0;
    case RUN_ENTRYPOINT: o->entrypoint = f->value; return 0;
    case RUN_NAME: o->name = f->value; return 0;
    case RUN_ROOT: o->root = f->value; return 0;
    case RUN_PLATFORM: o->platform = f->value; return 0;
    case RUN_KERNEL: o->kernel = f->value; return 0;
    case RUN_INITRD: o->initrd = f->value; return 0;
    case RUN_CMDLINE: o->cmdline = f->value; return 0;
    default: return run_opts_value(o, f, e);
    }
}

int run_opts_parse(int argc, char **argv, struct run_opts *o, char **rest,
                   struct err *e)
{
    *o = (struct run_opts){.argv = argv, .argc = argc};
    o->file_env = json_array();
    o->flag_env = json_array();
    struct opt_reader r = {
        .table = run_flags, .argv = argv, .argc = argc, .rest = rest};
    struct opt_seen f;
    int code;
    while ((code = opt_next(&r, &f, e)) == 1) {
        code = run_opts_take(o, &f, e);
        if (code < 0)
            return code;
    }
    if (code < 0 || o->help)
        return code;
    if (o->kernel == NULL && (o->initrd != NULL || o->cmdline != NULL))
        return err_set(e, -EINVAL, "--%s goes with --kernel FILE",
                       o->initrd != NULL ? "initrd" : "cmdline");
    if (o->kernel != NULL && o->emulate)
        return err_set(e, -EINVAL,
                       "--kernel needs KVM: leave --accel emulate out, or "
                       "boot that kernel with QEMU itself");
    if (run_opts_networks(o, e) < 0)
        return e->code;
    if (r.rest_count == 0)
        return err_set(e, -EINVAL, "run needs an image");
    o->image = rest[0];
    o->args = rest + 1;
    o->arg_count = (size_t)r.rest_count - 1;
    return 0;
}

void run_opts_fini(struct run_opts *o)
{
    json_decref(o->file_env);
    json_decref(o->flag_env);
    o->file_env = NULL;
    port_list_fini(&o->net.ports);
    port_list_fini(&o->expose);
    o->flag_env = NULL;
}
