// SPDX-License-Identifier: Apache-2.0
#include "supervisor/config.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/path.h"
#include "supervisor/network.h"
#include "supervisor/network_names.h"
#include "supervisor/process.h"

enum {
    CONFIG_SIZE_MAX = 1 << 20, /* docs/vmm.md */
    CONFIG_UMASK = 022,
    CONFIG_MODE = 0644,
    CONFIG_NOFILE_SOFT = 1024,
    CONFIG_NOFILE_HARD = 524288,
};

static json_t *config_file(const char *path, const char *data)
{
    return json_pack("{s:s, s:i, s:s}", "path", path, "mode", CONFIG_MODE,
                     "data", data);
}

static void config_hosts(const struct config *c, struct buf *b)
{
    network_write_hosts(c->network, c->options, c->hostname, b);
}

static void config_resolv(const struct config *c, struct buf *b)
{
    network_write_resolv(c->network, c->options, b);
}

static json_t *config_text(const char *path, const struct config *c,
                           void (*write)(const struct config *, struct buf *))
{
    struct buf b = {0};
    write(c, &b);
    buf_add(&b, "", 1);
    json_t *o = b.failed != 0 ? NULL : config_file(path, (char *)b.data);
    buf_fini(&b);
    return o;
}

/* /etc files that depend on the container and not on its image. */
static json_t *config_files(const struct config *c)
{
    char host[256];
    (void)snprintf(host, sizeof(host), "%s\n", c->hostname);
    return json_pack("[o, o, o]", config_file("/etc/hostname", host),
                     config_text("/etc/hosts", c, config_hosts),
                     config_text("/etc/resolv.conf", c, config_resolv));
}

static json_t *config_container(const struct config *c)
{
    const struct process *p = c->process;
    json_t *gids = json_array();
    for (size_t i = 0; i < p->user.gid_count; i++)
        (void)json_array_append_new(gids, json_integer(p->user.gids[i]));
    return json_pack(
        "{s:O, s:O, s:s, s:I, s:I, s:o, s:i, s:s, s:b, s:b, s:b, s:[i, i], "
        "s:o}",
        "args", p->args, "env", p->env, "cwd", p->cwd, "uid",
        (json_int_t)p->user.uid, "gid", (json_int_t)p->user.gid, "gids", gids,
        "umask", CONFIG_UMASK, "hostname", c->hostname, "tty", c->tty, "stdin",
        c->stdin_open, "report_start", c->report_start, "nofile",
        CONFIG_NOFILE_SOFT, CONFIG_NOFILE_HARD, "files", config_files(c));
}

static json_t *config_make(const struct config *c)
{
    json_t *images = json_array();
    for (size_t i = 0; i < c->image_count; i++)
        (void)json_array_append_new(images, json_integer(c->image_fds[i]));
    json_t *stdio = json_pack(
        "{s:i, s:i, s:i, s:b, s:i, s:i, s:i}", "stdin_fd", c->stdin_fd,
        "stdout_fd", c->stdout_fd, "stderr_fd", c->stderr_fd, "tty", c->tty,
        "rows", (int)c->rows, "cols", (int)c->cols, "log_fd", c->log_fd);
    return json_pack(
        "{s:i, s:s, s:i, s:i, s:i, s:I, s:i, s:o, s:[], s:o, s:i, s:i, s:i, "
        "s:i, s:i, s:i, s:i, s:o, s:i, s:[o]}",
        "version", 1, "name", c->name, "kvm_fd", c->kvm_fd, "kernel_fd",
        c->kernel_fd, "symbols_fd", c->symbols_fd, "memory",
        (json_int_t)c->memory, "vcpus", (int)c->vcpus, "image_fds", images,
        "disks", "stdio", stdio, "client_fd", c->client_fd, "listen_fd",
        c->listen_fd, "lock_fd", c->lock_fd, "exit_fd", c->exit_fd,
        "vmm_log_fd", c->vmm_log_fd, "phases_fd", c->phases_fd,
        "cpuid_cache_fd", c->cpuid_cache_fd, "net",
        network_json(c->network, true), "net_spare",
        c->stock ? 0 : (int)network_spare(c->network), "containers",
        config_container(c));
}

/* The guest is a stock Linux. */
static int config_add_stock(json_t *o, const struct config *c)
{
    return json_object_set_new(o, "stock",
                               json_pack("{s:i, s:s}", "initrd_fd",
                                         c->initrd_fd, "cmdline",
                                         c->cmdline != NULL ? c->cmdline : ""));
}

int config_write(const struct config *c, struct err *e)
{
    json_t *o = config_make(c);
    if (o != NULL && c->stock && config_add_stock(o, c) < 0) {
        json_decref(o);
        return err_set(e, -EINVAL, "--cmdline is not UTF-8");
    }
    AUTO_FREE char *text = o != NULL ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    if (text == NULL)
        return err_set(e, -EINVAL, "cannot write the monitor's configuration");
    size_t size = strlen(text);
    if (size > CONFIG_SIZE_MAX)
        return err_set(e, -E2BIG,
                       "arguments, environment and files take %zu bytes; "
                       "%d are the most",
                       size, CONFIG_SIZE_MAX);
    AUTO_CLOSE int fd = memfd_create("limpet-config", MFD_CLOEXEC);
    if (fd < 0)
        return err_set(e, -errno, "memfd_create: %s", strerror(errno));
    int code = path_write_all(fd, text, size);
    if (code == 0 && lseek(fd, 0, SEEK_SET) < 0)
        code = -errno;
    if (code < 0)
        return err_set(e, code, "monitor's configuration: %s", strerror(-code));
    return fd_release(&fd);
}
