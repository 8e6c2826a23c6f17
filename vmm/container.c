// SPDX-License-Identifier: Apache-2.0
/* A configured container -> the record of abi/boot.h. */
#include "vmm/container.h"

#include <string.h>

#include "abi/boot.h"

#include "base/buf.h"
#include "vmm/config.h"

static void add_string(struct buf *b, const char *s)
{
    buf_add(b, s, strlen(s) + 1);
}

static void add_strings(struct buf *b, const json_t *a)
{
    size_t i;
    json_t *v;
    json_array_foreach(a, i, v) add_string(b, json_string_value(v));
}

static void add_file_heads(struct buf *b, const json_t *files)
{
    size_t i;
    json_t *v;
    json_array_foreach(files, i, v)
    {
        struct boot_file f = {
            .mode = (uint32_t)json_integer_value(json_object_get(v, "mode")),
            .size = (uint32_t)json_string_length(json_object_get(v, "data")),
        };
        buf_add(b, &f, sizeof(f));
    }
}

static void add_file_bodies(struct buf *b, const json_t *files)
{
    size_t i;
    json_t *v;
    json_array_foreach(files, i, v)
    {
        const json_t *data = json_object_get(v, "data");
        add_string(b, json_string_value(json_object_get(v, "path")));
        buf_add(b, json_string_value(data), json_string_length(data));
    }
}

static struct boot_addr boot_addr(const struct config_addr *a)
{
    struct boot_addr out = {.prefix = a->prefix,
                            .flags = a->alone ? BOOT_ADDR_ALONE : 0};
    memcpy(out.b, a->b, sizeof(out.b));
    return out;
}

static void add_netifs(struct buf *b, const struct vm_config *config)
{
    for (unsigned i = 0; i < config->net_count; i++) {
        const struct config_net *c = &config->net[i];
        struct boot_netif n = {.addr_count = (uint8_t)c->addr_count,
                               .gateway_count = (uint8_t)c->gateway_count,
                               .mtu = c->mtu,
                               .route_count = c->route_count};
        memcpy(n.name, c->name, sizeof(n.name));
        memcpy(n.mac, c->mac, sizeof(n.mac));
        for (unsigned k = 0; k < c->addr_count; k++)
            n.addr[k] = boot_addr(&c->addr[k]);
        for (unsigned k = 0; k < c->gateway_count; k++)
            n.gateway[k] = boot_addr(&c->gateway[k]);
        buf_add(b, &n, sizeof(n));
    }
}

/* Returns how many. */
static uint32_t add_routes(struct buf *b, const struct vm_config *config)
{
    uint32_t count = 0;
    for (unsigned i = 0; i < config->net_count; i++) {
        const struct config_net *c = &config->net[i];
        for (unsigned k = 0; k < c->route_count; k++, count++) {
            const struct config_route *r = &c->route[k];
            const struct boot_route out = {
                .to = boot_addr(&r->to),
                .via = boot_addr(&r->via),
                .src = boot_addr(&r->src),
                .metric = r->metric,
                .protocol = r->protocol,
                .scope = r->scope,
                .flags = r->onlink ? BOOT_ROUTE_ONLINK : 0,
            };
            buf_add(b, &out, sizeof(out));
        }
    }
    return count;
}

void container_write(struct buf *b, const struct vm_config *config)
{
    const struct config_container *c = &config->container;
    const struct config_stdio *stdio = &config->stdio;
    static const char zero[8];
    size_t start = b->size;
    struct boot_container r = {
        .flags = (c->tty ? BOOT_CONT_TTY : 0) |
                 (c->has_stdin ? BOOT_CONT_STDIN : 0) |
                 (c->report_start ? BOOT_CONT_REPORT : 0),
        .uid = c->uid,
        .gid = c->gid,
        .gid_count = c->gid_count,
        .argc = (uint32_t)json_array_size(c->args),
        .envc = (uint32_t)json_array_size(c->env),
        .file_count = (uint32_t)json_array_size(c->files),
        .umask = c->umask,
        .rows = stdio->rows,
        .cols = stdio->cols,
        .nofile_soft = c->nofile[0],
        .nofile_hard = c->nofile[1],
        .netif_count = config->net_count,
    };
    memcpy(r.gids, c->gids, sizeof(r.gids));
    buf_add(b, &r, sizeof(r));
    add_file_heads(b, c->files);
    add_netifs(b, config);
    uint32_t routes = add_routes(b, config);
    r.strings_off =
        (uint32_t)(sizeof(r) + r.file_count * sizeof(struct boot_file) +
                   r.netif_count * sizeof(struct boot_netif) +
                   routes * sizeof(struct boot_route));
    add_strings(b, c->args);
    add_strings(b, c->env);
    add_string(b, c->cwd);
    add_string(b, c->hostname);
    add_file_bodies(b, c->files);
    buf_add(b, zero, (8 - (b->size - start) % 8) % 8);
    r.size = (uint32_t)(b->size - start);
    if (b->failed == 0)
        memcpy(b->data + start, &r, sizeof(r));
}
