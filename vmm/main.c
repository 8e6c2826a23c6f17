// SPDX-License-Identifier: Apache-2.0
/* limpet-vmm: inherited fds + JSON -> one VM (docs/vmm.md). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/err.h"
#include "base/parse.h"
#include "vmm/arch/arch.h"
#include "vmm/boot.h"
#include "vmm/config.h"
#include "vmm/phases.h"
#include "vmm/sandbox.h"
#include "vmm/vmm.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 125 };

struct options {
    int config_fd;
    int blob_fd;          /* -1: run */
    int kvm_fd, cache_fd; /* fill the cache and nothing else */
};

static int parse_fd(const char *text, int *out)
{
    uint64_t v;
    if (text == NULL || parse_u64(text, 0, 1048576, &v) < 0)
        return -EINVAL;
    *out = (int)v;
    return 0;
}

static int parse_options(int argc, char **argv, struct options *o,
                         struct err *e)
{
    *o = (struct options){-1, -1, -1, -1};
    for (int i = 1; i < argc; i += 2) {
        int *out = strcmp(argv[i], "--config-fd") == 0  ? &o->config_fd
                   : strcmp(argv[i], "--blob-fd") == 0  ? &o->blob_fd
                   : strcmp(argv[i], "--kvm-fd") == 0   ? &o->kvm_fd
                   : strcmp(argv[i], "--cache-fd") == 0 ? &o->cache_fd
                                                        : NULL;
        if (out == NULL || parse_fd(argv[i + 1], out) < 0)
            return err_set(e, -EINVAL, "bad argument \"%s\"", argv[i]);
    }
    if (o->config_fd < 0 && (o->kvm_fd < 0 || o->cache_fd < 0))
        return err_set(e, -EINVAL,
                       "usage: limpet-vmm --config-fd N [--blob-fd M]; it is "
                       "started by limpet run");
    return 0;
}

/* The whole file; at most CONFIG_SIZE_MAX bytes. */
static int read_config(int fd, char **text, size_t *size, struct err *e)
{
    *size = 0;
    *text = malloc(CONFIG_SIZE_MAX + 1);
    if (*text == NULL)
        return err_set(e, -ENOMEM, "configuration: out of memory");
    for (;;) {
        ssize_t n = read(fd, *text + *size, CONFIG_SIZE_MAX + 1 - *size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set(e, -errno, "configuration: %s", strerror(errno));
        *size += (size_t)n;
        if (n == 0)
            return 0;
        if (*size > CONFIG_SIZE_MAX)
            return err_set(e, -EFBIG, "configuration: more than %d bytes",
                           CONFIG_SIZE_MAX);
    }
}

static int load_config(int fd, struct vm_config *c, struct err *e)
{
    AUTO_FREE char *text = NULL;
    size_t size;
    if (read_config(fd, &text, &size, e) < 0)
        return e->code;
    (void)close(fd);
    return config_parse(c, text, size, e);
}

static int run(int argc, char **argv, uint64_t start_ns, struct err *e)
{
    static struct vm_config config; /* threads use it until the process ends */
    struct options o;
    if (parse_options(argc, argv, &o, e) < 0)
        return e->code;
    if (o.config_fd < 0)
        return arch_cache_save(o.kvm_fd, o.cache_fd, e);
    if (load_config(o.config_fd, &config, e) < 0)
        return e->code;
    if (o.blob_fd >= 0)
        return boot_write_blob(&config, o.blob_fd, e);
    if (config.kvm_fd < 0 || config.kernel_fd < 0)
        return err_set(e, -EINVAL,
                       "configuration: kvm_fd and kernel_fd are needed");
    if (vmm_run(&config, start_ns) < 0)
        _exit(EXIT_FAILED); /* it has said why */
    return 0;
}

int main(int argc, char **argv)
{
    uint64_t start_ns = phases_now();
    json_object_seed((size_t)start_ns | 1); /* else jansson opens urandom */
    struct err e = {0};
    if (argc == 2 && strcmp(argv[1], "--print-seccomp") == 0) {
        sandbox_print(STDOUT_FILENO);
        return EXIT_DONE;
    }
    if (run(argc, argv, start_ns, &e) == 0)
        _exit(EXIT_DONE); /* threads are running: no destructors */
    (void)dprintf(STDERR_FILENO, "limpet-vmm: %s\n", e.msg);
    _exit(EXIT_FAILED);
}
