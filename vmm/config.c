// SPDX-License-Identifier: Apache-2.0
/* The monitor's configuration: JSON -> struct vm_config. */
#include "vmm/config.h"

#include <stdarg.h>
#include <string.h>

#include "abi/boot.h"

#include "base/auto.h"
#include "base/err.h"
#include "base/json.h"

#define FD_MAX     1048576
#define MEMORY_MIN (UINT64_C(16) << 20)
#define MEMORY_MAX (UINT64_C(64) << 30)
#define HUGE       (UINT64_C(2) << 20)

_Static_assert(CONFIG_GIDS_MAX == BOOT_GID_MAX, "groups of abi/boot.h");

/* Refuse members that are not in the NULL-terminated list of names. */
static int only(json_t *o, const char *where, const char *const *names,
                struct err *e)
{
    const char *key;
    json_t *value;
    json_object_foreach(o, key, value)
    {
        const char *const *n = names;
        while (*n != NULL && strcmp(*n, key) != 0)
            n++;
        if (*n == NULL)
            return err_set(e, -EINVAL, "%s: unknown key \"%.64s\"", where, key);
    }
    return 0;
}

static int get_fd(const json_t *o, const char *key, const char *where, int *out,
                  struct err *e)
{
    int64_t v = -1;
    *out = -1;
    if (!json_has(o, key))
        return 0;
    if (json_get_int(o, key, where, -1, FD_MAX, &v, e) < 0)
        return e->code;
    *out = (int)v;
    return 0;
}

static int get_u32(const json_t *o, const char *key, const char *where,
                   uint64_t max, uint32_t *out, struct err *e)
{
    uint64_t v;
    if (!json_has(o, key))
        return 0;
    if (json_get_u64(o, key, where, max, &v, e) < 0)
        return e->code;
    *out = (uint32_t)v;
    return 0;
}

static int get_bool(const json_t *o, const char *key, const char *where,
                    bool *out, struct err *e)
{
    return json_has(o, key) ? json_get_bool(o, key, where, out, e) : 0;
}

/* jansson refuses "\u0000" unless asked, so strings have no NUL inside. */
static int get_strings(const json_t *o, const char *key, const char *where,
                       const json_t **out, struct err *e)
{
    json_t *a;
    if (json_get_arr(o, key, where, &a, e) < 0)
        return e->code;
    size_t i;
    json_t *v;
    json_array_foreach(a, i, v) if (!json_is_string(v)) return err_set(
        e, -EINVAL, "%s: %s[%zu] is not a string", where, key, i);
    *out = a;
    return 0;
}

static int parse_file(json_t *f, struct err *e)
{
    static const char *const names[] = {"path", "mode", "data", NULL};
    const char *text;
    uint64_t mode;
    if (!json_is_object(f))
        return err_set(e, -EINVAL, "containers[0].files: not an object");
    if (only(f, "files", names, e) < 0 ||
        json_get_str(f, "path", "files", &text, e) < 0)
        return e->code;
    if (text[0] != '/')
        return err_set(e, -EINVAL, "files: path \"%.64s\" is not absolute",
                       text);
    if (json_get_u64(f, "mode", "files", 07777, &mode, e) < 0)
        return e->code;
    return json_get_str(f, "data", "files", &text, e);
}

static int parse_files(const json_t *o, struct config_container *c,
                       struct err *e)
{
    json_t *files;
    if (!json_has(o, "files"))
        return 0;
    if (json_get_arr(o, "files", "containers[0]", &files, e) < 0)
        return e->code;
    size_t i;
    json_t *f;
    json_array_foreach(files, i, f) if (parse_file(f, e) < 0) return e->code;
    c->files = files;
    return 0;
}

/* Up to `max` numbers of array `key`; absent is an empty array. */
static int get_numbers(const json_t *o, const char *key, uint64_t *out,
                       unsigned max, unsigned *count, struct err *e)
{
    json_t *a;
    size_t i;
    json_t *v;
    *count = 0;
    if (!json_has(o, key))
        return 0;
    if (json_get_arr(o, key, "containers[0]", &a, e) < 0)
        return e->code;
    json_array_foreach(a, i, v)
    {
        if (i == max || !json_is_integer(v) || json_integer_value(v) < 0)
            return err_set(e, -EINVAL, "containers[0]: %s: at most %u numbers",
                           key, max);
        out[i] = (uint64_t)json_integer_value(v);
        (*count)++;
    }
    return 0;
}

static int parse_ids(const json_t *o, struct config_container *c, struct err *e)
{
    uint64_t gids[CONFIG_GIDS_MAX];
    unsigned nofile_count;
    unsigned gid_count;
    if (get_u32(o, "uid", "containers[0]", UINT32_MAX - 1, &c->uid, e) < 0 ||
        get_u32(o, "gid", "containers[0]", UINT32_MAX - 1, &c->gid, e) < 0 ||
        get_u32(o, "umask", "containers[0]", 0777, &c->umask, e) < 0 ||
        get_numbers(o, "gids", gids, CONFIG_GIDS_MAX, &gid_count, e) < 0 ||
        get_numbers(o, "nofile", c->nofile, 2, &nofile_count, e) < 0)
        return e->code;
    for (unsigned i = 0; i < gid_count; i++) {
        if (gids[i] >= UINT32_MAX)
            return err_set(e, -EINVAL, "containers[0]: gids: out of range");
        c->gids[i] = (uint32_t)gids[i];
    }
    c->gid_count = gid_count;
    if (nofile_count == 1 || c->nofile[0] > c->nofile[1])
        return err_set(e, -EINVAL, "containers[0]: nofile: want [soft, hard]");
    return 0;
}

static int parse_container(const json_t *root, struct config_container *c,
                           struct err *e)
{
    static const char *const names[] = {
        "args",     "env", "cwd",   "uid",    "gid",   "gids",         "umask",
        "hostname", "tty", "stdin", "nofile", "files", "report_start", NULL};
    json_t *list;
    if (json_get_arr(root, "containers", "config", &list, e) < 0)
        return e->code;
    if (json_array_size(list) != 1)
        return err_set(e, -EINVAL, "config: want exactly one container");
    json_t *o = json_array_get(list, 0);
    const char *where = "containers[0]";
    if (!json_is_object(o))
        return err_set(e, -EINVAL, "%s: not an object", where);
    c->umask = 022;
    c->cwd = "/";
    c->hostname = "limpet";
    if (only(o, where, names, e) < 0 ||
        get_strings(o, "args", where, &c->args, e) < 0 ||
        (json_has(o, "env") && get_strings(o, "env", where, &c->env, e) < 0) ||
        (json_has(o, "cwd") && json_get_str(o, "cwd", where, &c->cwd, e) < 0) ||
        (json_has(o, "hostname") &&
         json_get_str(o, "hostname", where, &c->hostname, e) < 0) ||
        get_bool(o, "tty", where, &c->tty, e) < 0 ||
        get_bool(o, "stdin", where, &c->has_stdin, e) < 0 ||
        get_bool(o, "report_start", where, &c->report_start, e) < 0 ||
        parse_ids(o, c, e) < 0 || parse_files(o, c, e) < 0)
        return e->code;
    if (json_array_size(c->args) == 0)
        return err_set(e, -EINVAL, "%s: args is empty", where);
    return 0;
}

static int parse_stdio(const json_t *root, struct config_stdio *s,
                       struct err *e)
{
    static const char *const names[] = {"stdin_fd", "stdout_fd", "stderr_fd",
                                        "tty",      "rows",      "cols",
                                        "log_fd",   NULL};
    json_t *o;
    uint32_t rows = 24;
    uint32_t cols = 80;
    if (json_get_obj(root, "stdio", "config", &o, e) < 0 ||
        only(o, "stdio", names, e) < 0 ||
        get_fd(o, "stdin_fd", "stdio", &s->stdin_fd, e) < 0 ||
        get_fd(o, "stdout_fd", "stdio", &s->stdout_fd, e) < 0 ||
        get_fd(o, "stderr_fd", "stdio", &s->stderr_fd, e) < 0 ||
        get_fd(o, "log_fd", "stdio", &s->log_fd, e) < 0 ||
        get_bool(o, "tty", "stdio", &s->tty, e) < 0 ||
        get_u32(o, "rows", "stdio", UINT16_MAX, &rows, e) < 0 ||
        get_u32(o, "cols", "stdio", UINT16_MAX, &cols, e) < 0)
        return e->code;
    s->rows = (uint16_t)rows;
    s->cols = (uint16_t)cols;
    return 0;
}

static int parse_images(const json_t *root, struct vm_config *c, struct err *e)
{
    json_t *a;
    size_t i;
    json_t *v;
    if (!json_has(root, "image_fds"))
        return 0;
    if (json_get_arr(root, "image_fds", "config", &a, e) < 0)
        return e->code;
    if (json_array_size(a) > CONFIG_IMAGES_MAX)
        return err_set(e, -E2BIG, "config: more than %d image files",
                       CONFIG_IMAGES_MAX);
    json_array_foreach(a, i, v)
    {
        json_int_t fd = json_integer_value(v);
        if (!json_is_integer(v) || fd < 0 || fd > FD_MAX)
            return err_set(e, -EINVAL, "config: image_fds[%zu]: not an fd", i);
        c->image_fd[c->image_count++] = (int)fd;
    }
    return 0;
}

static int parse_disks(const json_t *root, struct vm_config *c, struct err *e)
{
    static const char *const names[] = {"fd", "readonly", NULL};
    json_t *a;
    size_t i;
    json_t *v;
    if (!json_has(root, "disks"))
        return 0;
    if (json_get_arr(root, "disks", "config", &a, e) < 0)
        return e->code;
    if (json_array_size(a) > CONFIG_DISKS_MAX)
        return err_set(e, -E2BIG, "config: more than %d disks",
                       CONFIG_DISKS_MAX);
    json_array_foreach(a, i, v)
    {
        struct config_disk *d = &c->disk[i];
        int64_t fd;
        if (!json_is_object(v))
            return err_set(e, -EINVAL, "config: disks[%zu]: not an object", i);
        if (only(v, "disks", names, e) < 0 ||
            json_get_int(v, "fd", "disks", 0, FD_MAX, &fd, e) < 0 ||
            get_bool(v, "readonly", "disks", &d->readonly, e) < 0)
            return e->code;
        d->fd = (int)fd;
        c->disk_count++;
    }
    return 0;
}

static int parse_fds(const json_t *root, struct vm_config *c, struct err *e)
{
    const struct {
        const char *key;
        int *out;
    } fds[] = {
        {"kvm_fd", &c->kvm_fd},         {"kernel_fd", &c->kernel_fd},
        {"symbols_fd", &c->symbols_fd}, {"client_fd", &c->client_fd},
        {"listen_fd", &c->listen_fd},   {"lock_fd", &c->lock_fd},
        {"exit_fd", &c->exit_fd},       {"vmm_log_fd", &c->vmm_log_fd},
        {"phases_fd", &c->phases_fd},   {"cpuid_cache_fd", &c->cpuid_cache_fd},
    };
    for (unsigned i = 0; i < ARRAY_COUNT(fds); i++)
        if (get_fd(root, fds[i].key, "config", fds[i].out, e) < 0)
            return e->code;
    return 0;
}

static int parse_stock(const json_t *root, struct vm_config *c, struct err *e)
{
    static const char *const names[] = {"initrd_fd", "cmdline", NULL};
    json_t *o;
    c->cmdline = "";
    if (!json_has(root, "stock"))
        return 0;
    c->stock = true;
    if (json_get_obj(root, "stock", "config", &o, e) < 0 ||
        only(o, "stock", names, e) < 0 ||
        get_fd(o, "initrd_fd", "stock", &c->initrd_fd, e) < 0)
        return e->code;
    return json_has(o, "cmdline")
               ? json_get_str(o, "cmdline", "stock", &c->cmdline, e)
               : 0;
}

static int parse_root(struct vm_config *c, struct err *e)
{
    static const char *const names[] = {
        "version",        "name",       "kvm_fd",     "kernel_fd",
        "symbols_fd",     "memory",     "vcpus",      "image_fds",
        "disks",          "stdio",      "client_fd",  "listen_fd",
        "lock_fd",        "exit_fd",    "vmm_log_fd", "phases_fd",
        "cpuid_cache_fd", "containers", "stock",      "net",
        "net_spare",      NULL};
    json_t *root = c->root;
    int64_t v;
    c->name = "vm";
    if (only(root, "config", names, e) < 0 ||
        json_get_int(root, "version", "config", 1, 1, &v, e) < 0 ||
        (json_has(root, "name") &&
         json_get_str(root, "name", "config", &c->name, e) < 0) ||
        parse_fds(root, c, e) < 0 ||
        json_get_u64(root, "memory", "config", MEMORY_MAX, &c->memory, e) < 0 ||
        json_get_int(root, "vcpus", "config", 1, BOOT_CPU_MAX, &v, e) < 0)
        return e->code;
    c->vcpus = (uint32_t)v;
    if (c->memory < MEMORY_MIN || c->memory % HUGE != 0)
        return err_set(e, -EINVAL,
                       "config: memory: want a multiple of 2 MiB from 16 MiB "
                       "to 64 GiB");
    if (parse_stock(root, c, e) < 0 || parse_images(root, c, e) < 0 ||
        parse_disks(root, c, e) < 0 || config_parse_nets(root, c, e) < 0 ||
        parse_stdio(root, &c->stdio, e) < 0)
        return e->code;
    return parse_container(root, &c->container, e);
}

int config_parse(struct vm_config *c, const char *text, size_t size,
                 struct err *e)
{
    memset(c, 0, sizeof(*c));
    c->kvm_fd = c->kernel_fd = c->symbols_fd = c->initrd_fd = -1;
    c->client_fd = c->listen_fd = c->lock_fd = c->exit_fd = -1;
    c->vmm_log_fd = c->phases_fd = c->cpuid_cache_fd = -1;
    c->root = json_parse(text, size, "config", e);
    if (c->root == NULL)
        return e->code;
    if (!json_is_object(c->root))
        return err_set(e, -EINVAL, "config: not an object");
    return parse_root(c, e);
}

void config_fini(struct vm_config *c)
{
    json_decref(c->root);
    c->root = NULL;
}

unsigned config_fds(const struct vm_config *c, int *out, unsigned max)
{
    const int one[] = {
        c->kvm_fd,          c->kernel_fd,       c->symbols_fd,
        c->initrd_fd,       c->client_fd,       c->listen_fd,
        c->lock_fd,         c->exit_fd,         c->vmm_log_fd,
        c->phases_fd,       c->cpuid_cache_fd,  c->stdio.stdin_fd,
        c->stdio.stdout_fd, c->stdio.stderr_fd, c->stdio.log_fd};
    unsigned n = 0;
    for (unsigned i = 0; i < ARRAY_COUNT(one); i++)
        if (one[i] >= 0 && n < max)
            out[n++] = one[i];
    for (unsigned i = 0; i < c->image_count && n < max; i++)
        out[n++] = c->image_fd[i];
    for (unsigned i = 0; i < c->disk_count && n < max; i++)
        out[n++] = c->disk[i].fd;
    for (unsigned i = 0; i < c->net_count && n < max; i++)
        out[n++] = c->net[i].fd;
    return n;
}
